//! The one loop over targets, taken by every operation.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::call::{Call, Error, Fault, Route, Upstream};
use crate::providers::receive::Got;
use crate::routing::{Plan, Target};
use crate::telemetry::Metrics;

/// A call that failed, and where it went until then.
#[derive(Debug)]
pub struct Failed {
    /// Why.
    pub error: Error,
    /// Where it went.
    pub route: Route,
}

/// Ask the targets of a plan in order, each as often as its retry rule says, until one answers. The last failure is the
/// call's; `route` says at any time where the call is.
pub async fn walk(call: &Call, plan: &Plan, route: &mut Route, metrics: &Metrics) -> Result<Got, Error> {
    let mut last = None;
    for (at, (target, model)) in plan.iter().enumerate() {
        match attempts(call, target, model, route, metrics).await {
            Ok(got) => return Ok(got),
            Err(Error::Upstream(failed)) if target.failover.moves_on(&failed) => {
                if at + 1 < plan.len() && matches!(failed.fault, Fault::Auth | Fault::Billing) {
                    // the next target may make it good, and then nobody else speaks of it
                    let (target, code) = (&failed.target, failed.fault.code());
                    tracing::warn!(%target, code, reason = %failed.message, "a credential does not serve");
                }
                last = Some(failed);
            }
            Err(error) => return Err(error),
        }
    }
    Err(last.map_or_else(|| Error::NoTarget(call.model.clone()), Error::Upstream))
}

async fn attempts(
    call: &Call,
    target: &Target,
    model: &Arc<str>,
    route: &mut Route,
    metrics: &Metrics,
) -> Result<Got, Error> {
    route.provider = target.provider.spec.id;
    route.target = target.name.clone();
    route.model = model.clone();
    for made in 1_u32.. {
        route.attempts += 1;
        route.retries += u32::from(made > 1);
        route.warnings.clear();
        let since = Instant::now();
        let asked = target.provider.ask(call, model, &mut route.warnings).await;
        route.upstream += since.elapsed();
        let failed = match asked {
            Ok(got) => return Ok(got),
            Err(Error::Upstream(failed)) => failed,
            Err(error) => return Err(error),
        };
        metrics.attempt_failed(route.provider, &route.target, failed.fault);
        match target.retry.pause(made, &failed, chance()) {
            Some(pause) => {
                rest(pause, call, &failed).await;
                route.upstream += pause;
            }
            None => return Err(Error::Upstream(failed)),
        }
    }
    Err(Error::NoTarget(call.model.clone()))
}

async fn rest(pause: Duration, call: &Call, failed: &Upstream) {
    tracing::debug!(id = %call.id, target = %failed.target, code = failed.fault.code(), ?pause, "trying the target again");
    tokio::time::sleep(pause).await;
}

/// A random number from 0 to 1.
fn chance() -> f64 {
    getrandom::u32().map_or(0.5, |number| f64::from(number) / f64::from(u32::MAX))
}
