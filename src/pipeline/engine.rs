//! The middle of a call's journey: alias, plan, walk.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tower::Service;

use super::Rules;
use super::walk::{Failed, walk};
use crate::call::{Call, Error, Lack, Op, Route};
use crate::providers::receive::Got;
use crate::routing::Plan;
use crate::telemetry::Metrics;

/// A stream that has said nothing for so long gets its status and keep-alive comments, while the search for a target
/// that answers goes on behind it.
const HOLD: Duration = Duration::from_secs(15);

/// What a walk came to.
pub type Walked = Result<(Got, Route), Failed>;

/// What the engine returns: how the call began to be answered.
#[expect(clippy::large_enum_variant, reason = "it is moved once, and nearly every call is the large one")]
pub enum Begun {
    /// It ended, well or badly.
    Walked(Walked),
    /// A stream on which nothing has been said yet.
    Waiting(BoxFuture<'static, Walked>),
}

/// The innermost service over a call.
#[derive(Clone)]
pub struct Engine {
    /// What to go by.
    pub rules: Arc<Rules>,
    /// Where failed attempts are counted that a later one makes good.
    pub metrics: Arc<Metrics>,
}

impl Service<Call> for Engine {
    type Response = Begun;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Begun, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Call) -> Self::Future {
        let (rules, metrics) = (self.rules.clone(), self.metrics.clone());
        if !call.stream {
            // not in a block of its own, which would hold the call a second time
            return run(rules, metrics, call).map(|walked| Ok(Begun::Walked(walked))).boxed();
        }
        Box::pin(async move {
            let mut walk: BoxFuture<'static, Walked> = Box::pin(run(rules, metrics, call));
            Ok(match tokio::time::timeout(HOLD, &mut walk).await {
                Ok(walked) => Begun::Walked(walked),
                Err(_) => Begun::Waiting(walk),
            })
        })
    }
}

/// The targets to ask. Fails if there is none.
fn plan(rules: &Rules, call: &Call) -> Result<Plan, Error> {
    if call.op.is_passed() {
        return passed(rules, call);
    }
    let plan = rules.strategy.plan(&rules.targets, call.op, &call.model);
    if !plan.is_empty() {
        return Ok(plan);
    }
    let chats = || rules.strategy.plan(&rules.targets, Op::Chat, &call.model);
    match chats().first().filter(|_| call.op == Op::Respond) {
        Some((target, _)) => Err(Error::Lacking(Lack::Responses(target.provider.spec.id))),
        None => Err(Error::NoTarget(call.model.clone())),
    }
}

/// The targets of a request that is passed on: those who keep what it is about, whom it names, or who serve its model.
fn passed(rules: &Rules, call: &Call) -> Result<Plan, Error> {
    let to = call.passage.as_ref().and_then(|passage| passage.to.as_ref());
    let (one, lack): (_, fn(&'static str) -> Lack) = match (call.op, to) {
        (Op::File | Op::Batch, _) => (rules.batch_target.as_ref().ok_or(Lack::BatchTarget), Lack::Batches),
        (Op::Stored, _) => (rules.responses_target.as_ref().ok_or(Lack::ResponsesTarget), Lack::Responses),
        (_, Some(name)) => {
            let named = rules.targets.iter().find(|target| target.is_called(name));
            (named.ok_or_else(|| Lack::Provider(name.clone())), Lack::Passage)
        }
        (_, None) if call.model.is_empty() => (Err(Lack::Direction), Lack::Passage),
        (_, None) => {
            let plan = rules.strategy.plan(&rules.targets, call.op, &call.model);
            let chats = || rules.strategy.plan(&rules.targets, Op::Chat, &call.model);
            return match plan.is_empty().then(chats).as_deref() {
                None => Ok(plan),
                Some([(target, _), ..]) => Err(Error::Lacking(Lack::Passage(target.provider.spec.id))),
                Some([]) => Err(Error::NoTarget(call.model.clone())),
            };
        }
    };
    let target = one.map_err(Error::Lacking)?;
    match target.provider.spec.serves(call.op) {
        true => Ok(vec![(target.clone(), target.upstream_model(&call.model))]),
        false => Err(Error::Lacking(lack(target.provider.spec.id))),
    }
}

async fn run(rules: Arc<Rules>, metrics: Arc<Metrics>, mut call: Call) -> Walked {
    if let Some(model) = rules.aliases.get(&call.model) {
        call.model = model.clone();
    }
    let plan = match plan(&rules, &call) {
        Ok(plan) => plan,
        Err(error) => return Err(Failed { error, route: Route::default() }),
    };
    let mut route = Route::default();
    let walked = {
        // pinned once: written out for both ways it would stand in the call's future twice
        let walk = pin!(walk(&call, &plan, &mut route, &metrics));
        match rules.request_timeout {
            None => walk.await,
            Some(limit) => {
                let left = limit.saturating_sub(call.since.elapsed());
                tokio::time::timeout(left, walk).await.unwrap_or(Err(Error::Deadline(limit)))
            }
        }
    };
    match walked {
        Ok(got) => Ok((got, route)),
        Err(error) => Err(Failed { error, route }),
    }
}
