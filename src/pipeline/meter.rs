//! The layer that starts the clock of a call and files exactly one outcome, even if the client leaves.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use tower::{Layer, Service, layer::layer_fn};

use super::engine::Begun;
use super::hold::Hold;
use super::metered::{Metered, Source};
use super::recent::{Past, Recent};
use super::tunnel;
use super::walk::Failed;
use super::{Hurry, Rules};
use crate::call::{Answer, Answered, Call, Outcome, OutcomeSlot, Price, Reply, Route, Usage};
use crate::catalog::Catalog;
use crate::catalog::known::Owner;
use crate::providers::receive::Got;
use crate::telemetry::{InFlight, Metrics};

/// Measures every call that goes through it.
#[derive(Clone)]
pub struct Meter<S> {
    inner: S,
    metrics: Arc<Metrics>,
    hurry: Hurry,
    rules: Arc<Rules>,
    recent: Recent,
}

impl<S> Meter<S> {
    /// As a layer.
    pub fn layer(
        metrics: Arc<Metrics>,
        hurry: Hurry,
        rules: Arc<Rules>,
        recent: Recent,
    ) -> impl Layer<S, Service = Meter<S>> + Clone {
        layer_fn(move |inner| Meter {
            inner,
            metrics: metrics.clone(),
            hurry: hurry.clone(),
            rules: rules.clone(),
            recent: recent.clone(),
        })
    }
}

impl<S> Service<(Call, OutcomeSlot)> for Meter<S>
where
    S: Service<Call, Response = Begun, Error = Infallible, Future: Send + 'static>,
{
    type Response = Answered;
    type Error = Failed;
    type Future = BoxFuture<'static, Result<Answered, Failed>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failed>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, (call, slot): (Call, OutcomeSlot)) -> Self::Future {
        let mut ledger = Ledger::new(&call, self.metrics.clone(), self.rules.clone(), self.recent.clone(), slot);
        let (hurry, keep_alive, idle) = (self.hurry.clone(), self.rules.keep_alive, self.rules.tunnel_idle);
        let begun = self.inner.call(call);
        Box::pin(async move {
            let Ok(begun) = begun.await;
            let walked = match begun {
                Begun::Walked(walked) => walked,
                Begun::Waiting(walk) => {
                    let route = ledger.outcome.route.clone();
                    let events = Metered::new(Source::Waiting(walk), Hold::default(), ledger, hurry.here(), keep_alive);
                    return Ok(Answered { answer: Answer::Events(events.boxed()), route, cost: None });
                }
            };
            let (got, route, hold) = match walked {
                Ok(walked) => walked,
                Err(failed) => {
                    ledger.outcome.route = failed.route.clone();
                    ledger.end(Some(failed.error.code()), None);
                    return Err(failed);
                }
            };
            ledger.outcome.route = route;
            let (answer, route, cost) = match got {
                Got::Whole(body, usage) => {
                    ledger.end(None, usage);
                    let content_type = http::HeaderValue::from_static("application/json");
                    // it is filed: nobody else asks the ledger where the call went
                    let Outcome { route, cost, .. } = &mut ledger.outcome;
                    (Answer::Whole(Reply { body, content_type }), std::mem::take(route), *cost)
                }
                Got::Long(long) => {
                    let (head, route) = (Box::new(long.head.clone()), ledger.outcome.route.clone());
                    let chunks = Metered::new(Source::Long(long), hold, ledger, hurry.here(), None);
                    (Answer::Bytes(head, chunks.boxed()), route, None)
                }
                Got::Flow(flow) => {
                    let route = ledger.outcome.route.clone();
                    let events = Metered::new(Source::Flow(flow), hold, ledger, hurry.here(), keep_alive);
                    (Answer::Events(events.boxed()), route, None)
                }
                Got::Tunnel(passage) => {
                    // its time is the conversation's, not ours
                    ledger.outcome.stream = true;
                    let route = ledger.outcome.route.clone();
                    (Answer::Tunnel(tunnel::answer(*passage, hold, ledger, hurry.here(), idle)), route, None)
                }
            };
            Ok(Answered { answer, route, cost })
        })
    }
}

/// The price list of what was asked, if the catalog has one.
fn price(catalog: &Catalog, route: &Route) -> Option<Price> {
    let prices = catalog.prices(Owner { provider: route.provider, target: &route.target }, &route.model)?;
    Some(Price(Arc::new(move |usage, at| prices.cost(usage, at))))
}

/// One call's outcome in the making. Dropped before its end, it files that the client left.
pub struct Ledger {
    /// What is known so far.
    pub outcome: Outcome,
    since: Instant,
    /// The size of the request, bytes: the measure of a prompt whose tokens nobody told.
    asked: usize,
    metrics: Arc<Metrics>,
    rules: Arc<Rules>,
    recent: Recent,
    slot: OutcomeSlot,
    id: Arc<str>,
    _in_flight: InFlight,
    open: bool,
}

impl Ledger {
    fn new(call: &Call, metrics: Arc<Metrics>, rules: Arc<Rules>, recent: Recent, slot: OutcomeSlot) -> Self {
        let outcome = Outcome {
            op: call.op,
            model: call.model.clone(),
            route: Default::default(),
            stream: call.stream,
            error: None,
            abandoned: false,
            took: Duration::ZERO,
            first_token: None,
            usage: None,
            cost: None,
        };
        Self {
            outcome,
            since: call.since,
            asked: call.body.size(),
            _in_flight: metrics.enter(),
            metrics,
            rules,
            recent,
            slot,
            id: call.id.clone(),
            open: true,
        }
    }

    /// Whether callers are told what a call cost.
    pub fn tells(&self) -> bool {
        self.rules.expose_headers
    }

    /// The first content has been passed on.
    pub fn first_content(&mut self) {
        self.outcome.first_token.get_or_insert(self.since.elapsed());
    }

    /// The tokens of an answer that broke off: about four bytes of request, and one event, a token.
    pub fn estimate(&self, chunks: u64) -> Usage {
        let prompt = (self.asked / 4) as u64;
        Usage { prompt, completion: chunks, estimated: true, ..Usage::default() }
    }

    /// The call has ended. Only the first end counts.
    pub fn end(&mut self, error: Option<&'static str>, usage: Option<Usage>) {
        if !std::mem::take(&mut self.open) {
            return;
        }
        self.outcome.error = error;
        self.outcome.usage = usage;
        self.outcome.took = self.since.elapsed();
        let catalog = &self.rules.catalog;
        self.metrics.settle(&mut self.outcome, |route| price(catalog, route));
        self.slot.file(self.outcome.clone());
        self.recent.push(Past { id: self.id.clone(), since: self.since, outcome: self.slot.clone() });
    }

    /// The client has left.
    pub fn abandon(&mut self, usage: Option<Usage>) {
        self.outcome.abandoned |= self.open;
        self.end(Some("client_canceled"), usage);
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        self.abandon(None);
    }
}
