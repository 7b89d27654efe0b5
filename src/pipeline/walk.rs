//! The one loop over targets, taken by every operation.

use std::iter::Peekable;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::hedged;
use super::hold::{Held, Hold, verdict};
use crate::call::{Call, Error, Fault, LeftAlone, Route, Tried, Upstream};
use crate::providers::media::{Fetched, Wanted};
use crate::providers::receive::Got;
use crate::providers::tempo::Tempo;
use crate::providers::trace::Trace;
use crate::routing::breaker::Verdict;
use crate::routing::pace::Track;
use crate::routing::{Plan, Step, Target, random};
use crate::telemetry::Metrics;

/// A target that asks for a pause and does not say how long gets this one.
const REST: Duration = Duration::from_secs(1);

/// No target is left alone for longer, whatever it asks for.
const LONGEST_REST: Duration = Duration::from_secs(60);

/// A call that failed, and where it went until then.
#[derive(Debug)]
pub struct Failed {
    /// Why.
    pub error: Error,
    /// Where it went.
    pub route: Route,
}

/// What a walk needs to know.
#[derive(Clone, Copy)]
pub struct Way<'w, 'r> {
    /// The call.
    pub call: &'w Call,
    /// Who is asked for it.
    pub plan: &'w Plan<'r>,
    /// Where failed attempts are counted.
    pub metrics: &'w Metrics,
    /// When it must have an answer.
    pub before: Option<Instant>,
    /// Set when that moment has passed, before the walk is dropped.
    pub late: &'w AtomicBool,
}

impl Way<'_, '_> {
    /// The time of the call.
    fn limit(&self) -> Duration {
        self.before.map_or(Duration::MAX, |before| before.saturating_duration_since(self.call.since))
    }
}

/// Why a step has no answer.
pub enum Miss {
    /// Its circuit is open, for so long.
    Open(Duration),
    /// It has no place for another request.
    Saturated,
    /// It was asked in vain.
    Failed(Box<Upstream>),
    /// It can't be asked this: it does not take some of the content.
    Unfit(Error),
    /// Whatever is asked next, the call is over.
    Over(Error),
}

/// What a walk has met so far.
#[derive(Default)]
pub struct Met {
    /// The last failure; or that somebody can't be asked this, if nobody else has failed.
    failed: Option<Box<Error>>,
    open: Option<Box<LeftAlone>>,
    saturated: Option<Arc<str>>,
}

impl Miss {
    /// Whether it ends the call, so that nobody else is asked.
    pub fn is_final(&self, step: &Step<'_>) -> bool {
        match self {
            Miss::Over(_) => true,
            Miss::Failed(failed) => !step.route.failover.moves_on(failed),
            Miss::Open(_) | Miss::Saturated | Miss::Unfit(_) => false,
        }
    }
}

impl Met {
    /// Notes a miss. `Err` if the next target is not asked.
    pub fn note(&mut self, miss: Miss, step: &Step<'_>, is_last: bool) -> Result<(), Error> {
        match miss {
            Miss::Over(error) => return Err(error),
            Miss::Open(left) => self.open.get_or_insert_default().add(&step.candidate.target.name, left),
            Miss::Saturated => self.saturated = Some(step.candidate.target.name.clone()),
            Miss::Failed(failed) if step.route.failover.moves_on(&failed) => {
                if !is_last && matches!(failed.fault, Fault::Auth | Fault::Billing) {
                    // the next target may make it good, and then nobody else speaks of it
                    let (target, code) = (&failed.target, failed.fault.code());
                    tracing::warn!(%target, code, reason = %failed.message, "a credential does not serve");
                }
                self.failed = Some(Box::new(Error::Upstream(failed)));
            }
            Miss::Unfit(error) => self.failed = Some(self.failed.take().unwrap_or_else(|| Box::new(error))),
            Miss::Failed(failed) => return Err(Error::Upstream(failed)),
        }
        Ok(())
    }

    /// Whether somebody was too busy to be asked, which is no reason to ask who stands in for a broken one.
    fn saturated(&self) -> bool {
        self.saturated.is_some()
    }

    /// Whether there was anything.
    fn any(&self) -> bool {
        self.failed.is_some() || self.saturated.is_some() || self.open.is_some()
    }

    /// What the call ends with when its time is over before anybody else is asked.
    fn late(self, limit: Duration) -> Error {
        let silent = self.failed.and_then(|failed| match *failed {
            Error::Upstream(failed) if failed.fault == Fault::Timeout => Some(failed.target),
            _ => None,
        });
        self.saturated.map_or(Error::Deadline { limit, hung: silent, others: true }, Error::Saturated)
    }

    /// What the call ends with when nobody is left.
    pub fn end(self, call: &Call) -> Error {
        let asked = self.failed.as_ref().is_some_and(|failed| !failed.is_of_content());
        match (self.failed, self.saturated, self.open) {
            (Some(failed), ..) if asked => *failed,
            (_, Some(target), _) => Error::Saturated(target),
            (_, None, Some(targets)) => Error::Unavailable(targets),
            (Some(unfit), None, None) => *unfit,
            (None, None, None) => Error::NoTarget(call.model.clone()),
        }
    }
}

/// Ask the targets of a plan in order, each as often as its retry rule says, until one answers. The last failure is the
/// call's; `route` says at any time where the call is.
pub async fn walk(way: Way<'_, '_>, route: &mut Route) -> Result<(Got, Hold), Error> {
    let mut met = Met::default();
    let mut steps = way.plan.steps().peekable();
    if let Some(hedge) = hedged::applies(&way) {
        let hedged = Box::pin(hedged::first(way, hedge, &mut steps, route, &mut met)).await?;
        if let Some(answered) = hedged {
            return Ok(answered);
        }
    }
    while let Some(step) = next(&mut steps, route, &met) {
        // the first is asked at once
        if met.any() && way.before.is_some_and(|before| before <= Instant::now()) {
            return Err(met.late(way.limit()));
        }
        let others = has_more(&mut steps);
        match attempts(way, &step, others, route).await {
            Ok(answered) => return Ok(answered),
            Err(miss) => met.note(miss, &step, !others)?,
        }
    }
    Err(met.end(way.call))
}

/// The next step that is asked: one that stands in for others only if their circuits are open.
pub fn next<'p>(steps: &mut impl Iterator<Item = Step<'p>>, route: &Route, met: &Met) -> Option<Step<'p>> {
    let stands_in = route.attempts == 0 && !met.saturated() && met.failed.is_none();
    steps.find(|step| !step.pick.spare || stands_in)
}

/// Whether there will be another after the one that is about to be asked.
pub fn has_more<'p>(steps: &mut Peekable<impl Iterator<Item = Step<'p>>>) -> bool {
    // those that stand in for others are the last of their group: a plain one behind them is rare, and found in its turn
    steps.peek().is_some_and(|step| !step.pick.spare)
}

/// Ask one target as often as its rule says.
pub async fn attempts(way: Way<'_, '_>, step: &Step<'_>, others: bool, route: &mut Route) -> Result<(Got, Hold), Miss> {
    let Way { call, metrics, .. } = way;
    let (candidate, target) = (step.candidate, &step.candidate.target);
    let vitals = &target.vitals;
    if !candidate.lacks.is_empty()
        && let Err(error) = target.provider.takes(call, &candidate.model, candidate.lacks)
    {
        return Err(unfit(step, error, Instant::now(), route));
    }
    let mut last: Option<Box<Upstream>> = None;
    let fetched;
    let call = match target.provider.wants(call, &candidate.model) {
        None => call,
        Some(wanted) => {
            fetched = Box::pin(with_media(call, step, wanted, route)).await?;
            &fetched.call
        }
    };
    for made in 1_u32.. {
        let since = Instant::now();
        let track = candidate.tracks.as_ref().map(|tracks| &tracks[usize::from(call.stream)]);
        let mut held = Held::of(step, track.map(|track| track.enter()));
        if let Some(breaker) = &vitals.breaker {
            match breaker.enter(since) {
                Ok(pass) => held.pass = Some((target.clone(), pass)),
                Err(left) => {
                    route.tried.push(tried(step, "circuit_open", None, since));
                    return Err(last.map_or(Miss::Open(left), Miss::Failed));
                }
            }
        }
        if let Some(slots) = &vitals.slots {
            held.slot = match slots.try_take() {
                Some(slot) => Some(slot),
                None => match Box::pin(slots.take(way.before)).await {
                    // while it waited, the circuit may have opened
                    Ok(slot) => match held.admit_anew(Instant::now()) {
                        Ok(()) => Some(slot),
                        Err(left) => {
                            route.tried.push(tried(step, "circuit_open", None, since));
                            return Err(last.map_or(Miss::Open(left), Miss::Failed));
                        }
                    },
                    Err(_) => {
                        route.tried.push(tried(step, "saturated", None, since));
                        return Err(last.map_or(Miss::Saturated, Miss::Failed));
                    }
                },
            };
        }
        if made == 1 && target.retry.attempts > 1 {
            vitals.budget.earn();
        }
        route.provider = target.provider.spec.id;
        route.target = target.name.clone();
        route.model = candidate.model.clone();
        route.name = step.route.name.clone();
        route.label = step.label().cloned();
        route.attempts += 1;
        route.retries += u32::from(made > 1);
        route.warnings.clear();
        let mut asking = Asking { way, target, track, held, since };
        let mut trace = Trace { metrics: Some(metrics), prefer: step.key(), ..Trace::new(&mut route.warnings) };
        let asked = target.provider.ask(call, &candidate.model, &mut trace).await;
        route.key = trace.key;
        let mut held = std::mem::take(&mut asking.held);
        let now = Instant::now();
        let took = now.saturating_duration_since(since);
        route.upstream += took;
        let failed = match asked {
            Ok(mut got) => {
                vitals.awakes();
                if let (Got::Flow(flow), Some(least)) = (&mut got, &target.min_throughput) {
                    flow.demand(Tempo::new(least.events_per_second, least.over));
                }
                if let Some(track) = track {
                    track.record(took, now);
                }
                if let Got::Whole(_, usage) = &got {
                    held.settle(Verdict::Good, now);
                    held.learn(usage.as_ref());
                    return Ok((got, Hold::default()));
                }
                if let Got::Tunnel(_) = &got {
                    // it was switched to: what callers do on it for hours says nothing about the target
                    held.settle(Verdict::Good, now);
                }
                return Ok((got, held.keep()));
            }
            Err(Error::Upstream(failed)) => failed,
            Err(error) if error.is_of_content() => {
                route.attempts -= 1;
                back_to_the_last(way.plan, route);
                return Err(unfit(step, error, since, route));
            }
            Err(error) => return Err(Miss::Over(error)),
        };
        let verdict = verdict(failed.fault);
        held.settle(verdict, now);
        drop(held);
        let too_large = failed.is_too_large();
        if let Some(track) = track.filter(|_| !failed.fault.is_callers() && !too_large) {
            track.fail(now);
        }
        route.tried.push(tried(step, failed.fault.code(), failed.status, since));
        metrics.attempt_failed(route.provider, &route.target, failed.fault);
        if failed.fault == Fault::RateLimited && !too_large {
            vitals.rest(failed.retry_after.unwrap_or(REST).min(LONGEST_REST), now);
        }
        let pause = target.retry.pause(made, &failed, others, random::chance());
        match pause.filter(|_| call.is_repeatable(failed.fault)) {
            // nobody waits for an attempt that its call has no time for
            Some(pause) if way.before.is_none_or(|before| now + pause < before) && vitals.budget.spend(now) => {
                rest(pause, call, &failed).await;
                route.upstream += pause;
                last = Some(failed);
            }
            _ => return Err(Miss::Failed(failed)),
        }
    }
    Err(last.map_or(Miss::Saturated, Miss::Failed))
}

/// The call with its media in it, fetched before anybody is asked: nothing of it counts for the target, and nothing is
/// fetched for one whose circuit is open.
async fn with_media(
    call: &Call,
    step: &Step<'_>,
    wanted: Vec<Wanted>,
    route: &mut Route,
) -> Result<Box<Fetched>, Miss> {
    let (target, since) = (&step.candidate.target, Instant::now());
    // the pass is given back unused
    if let Some(Err(left)) = target.vitals.breaker.as_ref().map(|breaker| breaker.enter(since).map(drop)) {
        route.tried.push(tried(step, "circuit_open", None, since));
        return Err(Miss::Open(left));
    }
    let fetched = target.provider.fetched(call, wanted).await;
    fetched.map(Box::new).map_err(|error| match error {
        Error::Saturated(_) => Miss::Saturated,
        error => unfit(step, error, since, route),
    })
}

/// A step that can't be asked this. Where nobody else can, it is the one that has refused.
fn unfit(step: &Step<'_>, error: Error, since: Instant, route: &mut Route) -> Miss {
    if !error.is_of_content() {
        return Miss::Over(error);
    }
    let target = &step.candidate.target;
    route.tried.push(tried(step, error.code(), None, since));
    if route.attempts == 0 {
        (route.provider, route.target) = (target.provider.spec.id, target.name.clone());
        route.model = step.candidate.model.clone();
    }
    Miss::Unfit(error)
}

/// The call is again where it was when somebody was last asked, if anybody was: who was not has not failed.
fn back_to_the_last(plan: &Plan<'_>, route: &mut Route) {
    let asked = route.tried.iter().rev().find(|one| one.status.is_some());
    let step = asked.and_then(|last| plan.steps().find(|step| step.candidate.target.name == last.target));
    if let Some(step) = step.filter(|_| route.attempts > 0) {
        let target = &step.candidate.target;
        (route.provider, route.target) = (target.provider.spec.id, target.name.clone());
        (route.model, route.label) = (step.candidate.model.clone(), step.label().cloned());
        route.name = step.route.name.clone();
    }
}

/// An attempt under way. When its call runs out of time it is dropped where it waits; whoever has not answered by then
/// has failed, unlike whoever is left because the client is gone.
struct Asking<'w, 'r> {
    way: Way<'w, 'r>,
    target: &'w Arc<Target>,
    track: Option<&'w Arc<Track>>,
    held: Held,
    since: Instant,
}

impl Drop for Asking<'_, '_> {
    fn drop(&mut self) {
        if self.way.late.load(Ordering::Relaxed) {
            let (now, fault) = (Instant::now(), Fault::Timeout);
            // who was asked when more than half of the time was gone is not to blame
            if now.saturating_duration_since(self.since) * 2 >= self.way.limit() {
                self.held.settle(verdict(fault), now);
                self.track.into_iter().for_each(|track| track.fail(now));
            }
            self.way.metrics.attempt_failed(self.target.provider.spec.id, &self.target.name, fault);
        }
    }
}

/// A step that did not answer.
pub(super) fn tried(step: &Step<'_>, code: &'static str, status: Option<u16>, since: Instant) -> Tried {
    let (target, model) = (step.candidate.target.name.clone(), step.candidate.model.clone());
    Tried { target, model, code, status, took: since.elapsed() }
}

async fn rest(pause: Duration, call: &Call, failed: &Upstream) {
    tracing::debug!(id = %call.id, target = %failed.target, code = failed.fault.code(), ?pause, "trying the target again");
    tokio::time::sleep(pause).await;
}
