//! What a call came to: the one record from which logs, metrics and headers are written.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::{Op, Usage, Usd};

/// Where a call went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Route {
    /// The provider's id; empty if no target was tried.
    pub provider: &'static str,
    /// The target's name in the configuration.
    pub target: Arc<str>,
    /// The model the target was asked for, after its model map.
    pub model: Arc<str>,
    /// The route that took it; `None` for the way of all others.
    pub name: Option<Arc<str>>,
    /// The key of the target's pool that was used, by its place in the list; `None` where it has no choice.
    pub key: Option<u8>,
    /// The variant of an experiment that was asked.
    pub label: Option<Arc<str>>,
    /// Attempts made over all targets, retries included.
    pub attempts: u32,
    /// Of these, attempts on a target that had been tried before.
    pub retries: u32,
    /// Time that is the providers': waiting for their answers, and pausing between attempts.
    pub upstream: Duration,
    /// What the provider could not take, as `param=<name>;provider=<id>;action=<what was done>`.
    pub warnings: Vec<String>,
    /// What did not answer on the way, in order; nothing when the first attempt did.
    pub tried: Vec<Tried>,
}

/// An attempt, or a target that was passed over, that did not answer a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tried {
    /// The target's name.
    pub target: Arc<str>,
    /// Its own name for the model.
    pub model: Arc<str>,
    /// The code of the failure; `circuit_open` and `saturated` where nothing was sent, `outpaced` where an attempt beside
    /// it was faster.
    pub code: &'static str,
    /// The provider's status, if it answered.
    pub status: Option<u16>,
    /// How long it took, the wait for a place included.
    pub took: Duration,
}

impl Tried {
    /// Whether something was sent.
    pub fn was_asked(&self) -> bool {
        !matches!(self.code, "circuit_open" | "saturated" | "unsupported_content" | "media_not_fetched")
    }
}

/// The one record of a finished call.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The surface.
    pub op: Op,
    /// The model as the caller named it.
    pub model: Arc<str>,
    /// Where it went.
    pub route: Route,
    /// Whether it was streamed.
    pub stream: bool,
    /// The code of the failure; `None` when it went well.
    pub error: Option<&'static str>,
    /// The client left before the end.
    pub abandoned: bool,
    /// From the arrival of the request to the last byte of the answer.
    pub took: Duration,
    /// From the arrival of the request to the first content of a stream.
    pub first_token: Option<Duration>,
    /// Tokens, if the provider said or they could be estimated.
    pub usage: Option<Usage>,
    /// What these cost; `None` if that is not known.
    pub cost: Option<Usd>,
}

/// What a usage costs at a moment, seconds of Unix time.
type Costs = dyn Fn(&Usage, u64) -> Option<Usd> + Send + Sync;

/// Says what a usage costs: a price list that was found once.
#[derive(Clone)]
pub struct Price(pub Arc<Costs>);

impl fmt::Debug for Price {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Price")
    }
}

/// Where whoever finishes a call files its outcome, and whoever writes the access line looks for it.
#[derive(Clone, Debug, Default)]
pub struct OutcomeSlot(pub Arc<OnceLock<Outcome>>);

impl OutcomeSlot {
    /// Files the outcome. Only the first one counts: a call has one.
    pub fn file(&self, outcome: Outcome) {
        let _ = self.0.set(outcome);
    }

    /// The outcome, if the call is over.
    pub fn get(&self) -> Option<&Outcome> {
        self.0.get()
    }
}
