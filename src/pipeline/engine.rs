//! The middle of a call's journey: alias, plan, walk.

use std::convert::{Infallible, identity};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tower::Service;

use super::Rules;
use super::hold::Hold;
use super::walk::{Failed, Way, walk};
use crate::call::{Call, Error, Lack, Op, Route};
use crate::providers::receive::Got;
use crate::routing::candidates::{Candidates, Claim};
use crate::routing::{Facts, Moment, Plan, random};
use crate::telemetry::Metrics;

/// A stream that has said nothing for so long gets its status and keep-alive comments, while the search for a target
/// that answers goes on behind it.
const HOLD: Duration = Duration::from_secs(15);

/// What a walk came to.
pub type Walked = Result<(Got, Route, Hold), Failed>;

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
            // not in a block of its own, which would hold the call a second time, and in no other future, into which it
            // would be moved
            return Box::pin(run(rules, metrics, call, |walked| Ok(Begun::Walked(walked))));
        }
        Box::pin(async move {
            let mut walk: BoxFuture<'static, Walked> = Box::pin(run(rules, metrics, call, identity));
            Ok(match tokio::time::timeout(HOLD, &mut walk).await {
                Ok(walked) => Begun::Walked(walked),
                Err(_) => Begun::Waiting(walk),
            })
        })
    }
}

/// The targets to ask for one of these models. Fails if there is none.
fn plan<'r>(rules: &'r Rules, call: &Call, models: &[Arc<str>]) -> Result<Plan<'r>, Error> {
    if call.op.is_passed() {
        return passed(rules, call);
    }
    if call.op != Op::Chat
        && let Some(name) = call.named()
    {
        return named(rules, call, name);
    }
    let plan = served(rules, call, models);
    if !plan.is_empty() {
        return Ok(plan);
    }
    Err(nobody(rules, call, models))
}

/// The one target that a caller names, whatever it is known to serve.
fn named<'r>(rules: &'r Rules, call: &Call, name: &str) -> Result<Plan<'r>, Error> {
    let target = rules.targets.iter().find(|target| target.is_called(name));
    let target = target.ok_or_else(|| Error::Lacking(Lack::Provider(name.into())))?;
    let provider = target.provider.spec;
    match call.op {
        op if provider.serves(op) => {
            Ok(Plan::only(&rules.routing.main, Candidates::only(target, call.op, &call.model)))
        }
        Op::Respond => Err(Error::Lacking(Lack::Responses(provider.id))),
        _ => Err(Error::Lacking(Lack::Passage(provider.id))),
    }
}

/// Why a call fails that nobody can be asked for.
pub(super) fn nobody(rules: &Rules, call: &Call, models: &[Arc<str>]) -> Error {
    match chats(rules, call, models).filter(|_| call.op != Op::Chat) {
        Some(provider) if call.op == Op::Respond => Error::Lacking(Lack::Responses(provider)),
        Some(provider) => Error::NoSurface { model: call.model.clone(), provider, surface: call.op.name() },
        None if models.iter().any(|model| is_served(rules, call.op, model)) => Error::NotHere(call.model.clone()),
        None => Error::NoTarget(call.model.clone()),
    }
}

/// Whether a target is known to serve a model, be it one that the request may not go to.
fn is_served(rules: &Rules, op: Op, model: &Arc<str>) -> bool {
    let mut claims = rules.targets.iter().filter_map(|target| target.claim(op, model));
    claims.any(|(claim, _)| claim != Claim::Any)
}

/// Who serves these models, in order.
fn served<'r>(rules: &'r Rules, call: &Call, models: &[Arc<str>]) -> Plan<'r> {
    let mut plan = Plan::default();
    for model in models {
        rules.routing.leg(&Facts::new(call, model), model, Moment::default(), &mut random::chance, &mut plan);
    }
    plan
}

/// The provider of whoever would chat with these models.
fn chats(rules: &Rules, call: &Call, models: &[Arc<str>]) -> Option<&'static str> {
    let chat = Call { op: Op::Chat, ..call.clone() };
    let plan = served(rules, &chat, models);
    plan.steps().next().map(|step| step.candidate.target.provider.spec.id)
}

/// The targets of a request that is passed on: those who keep what it is about, whom it names, or who serve its model.
fn passed<'r>(rules: &'r Rules, call: &Call) -> Result<Plan<'r>, Error> {
    let to = call.passage.as_ref().and_then(|passage| passage.to.as_ref());
    let lack: fn(&'static str) -> Lack = match call.op {
        Op::File | Op::Batch => Lack::Batches,
        Op::Stored => Lack::Responses,
        _ => Lack::Passage,
    };
    let one = match (call.op, to) {
        (_, Some(name)) => {
            let named = rules.targets.iter().find(|target| target.is_called(name));
            named.ok_or_else(|| Lack::Provider(name.clone()))
        }
        (Op::File | Op::Batch, None) => rules.batch_target.as_ref().ok_or(Lack::BatchTarget),
        (Op::Stored, None) => rules.responses_target.as_ref().ok_or(Lack::ResponsesTarget),
        (_, None) if call.model.is_empty() => {
            let upgrades = call.passage.as_ref().is_some_and(|passage| passage.upgrades);
            Err(Lack::Direction(if upgrades { "query" } else { "body" }))
        }
        (_, None) => {
            let models = std::slice::from_ref(&call.model);
            let plan = served(rules, call, models);
            return match plan.is_empty().then(|| chats(rules, call, models)) {
                None => Ok(plan),
                Some(Some(provider)) => Err(Error::Lacking(Lack::Passage(provider))),
                Some(None) => Err(Error::NoTarget(call.model.clone())),
            };
        }
    };
    let target = one.map_err(Error::Lacking)?;
    match target.provider.spec.serves(call.op) {
        true => Ok(Plan::only(&rules.routing.main, Candidates::only(target, call.op, &call.model))),
        false => Err(Error::Lacking(lack(target.provider.spec.id))),
    }
}

async fn run<T>(rules: Arc<Rules>, metrics: Arc<Metrics>, mut call: Call, told: impl FnOnce(Walked) -> T) -> T {
    let chain = rules.aliases.get(&call.model).cloned();
    if let Some(first) = chain.as_ref().and_then(|chain| chain.first()) {
        call.model = first.clone();
    }
    let models = chain.as_deref().unwrap_or(std::slice::from_ref(&call.model));
    let plan = match plan(&rules, &call, models) {
        Ok(plan) => plan,
        Err(error) => return told(Err(Failed { error, route: Route::default() })),
    };
    let mut route = Route::default();
    let timeout = plan.legs.first().and_then(|leg| leg.route.timeout);
    let (before, late) = (timeout.map(|limit| call.since + limit), AtomicBool::new(false));
    let way = Way { call: &call, plan: &plan, metrics: &metrics, before, late: &late };
    let walked = {
        // pinned once: written out for both ways it would stand in the call's future twice
        let mut walk = pin!(walk(way, &mut route));
        match timeout.zip(before) {
            None => walk.await,
            Some((limit, before)) => {
                let walked = tokio::time::timeout_at(before.into(), walk.as_mut()).await;
                walked.unwrap_or_else(|_| {
                    late.store(true, Ordering::Relaxed);
                    Err(Error::Deadline { limit, hung: None, others: false })
                })
            }
        }
    };
    told(match walked {
        Ok((got, hold)) => {
            rules.routing.served(&plan, &route);
            Ok((got, route, hold))
        }
        Err(Error::Deadline { limit, hung: None, others: false }) => {
            Err(Failed { error: overdue(limit, &plan, &route), route })
        }
        Err(error) => Err(Failed { error, route }),
    })
}

/// What a call ends with that was stopped where it was when its time was over.
fn overdue(limit: Duration, plan: &Plan<'_>, route: &Route) -> Error {
    let asked = route.tried.iter().filter(|one| one.was_asked()).count();
    let first = plan.steps().next();
    // two that are asked side by side say where they are when they are done
    let hedged = first.as_ref().is_some_and(|step| step.route.hedge.is_some()) && route.tried.is_empty();
    let hung = match route.attempts {
        0 => first.filter(|_| hedged).map(|step| step.candidate.target.name.clone()),
        attempts => (attempts as usize > asked).then(|| route.target.clone()),
    };
    let is_new = |name: &Arc<str>| Some(name) != hung.as_ref() && !route.tried.iter().any(|one| one.target == *name);
    let others = plan.steps().any(|step| !step.pick.spare && is_new(&step.candidate.target.name));
    Error::Deadline { limit, others: others && !(hedged && route.attempts == 0), hung }
}
