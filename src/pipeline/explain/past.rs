//! What became of a call that is over, as far as it was kept.

use std::sync::Arc;
use std::time::Instant;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::value::RawValue;

use super::answer::{amount, exact};
use crate::call::{Outcome, Usage};
use crate::pipeline::recent::Past;

/// What became of a call.
#[derive(Serialize)]
pub struct Recorded {
    /// The request id.
    pub id: Arc<str>,
    /// When it arrived.
    #[serde(serialize_with = "super::answer::time")]
    pub at: Timestamp,
    /// The route that took it.
    pub route: Option<Arc<str>>,
    /// Who was asked last; empty if nobody was.
    pub target: Arc<str>,
    /// The provider of that one.
    pub provider: &'static str,
    /// Its own name for the model.
    pub model: Arc<str>,
    /// The variant it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variant: Option<Arc<str>>,
    /// Attempts over all targets.
    pub attempts: u32,
    /// The code of the failure; `null` if it went well.
    pub error: Option<&'static str>,
    /// Whether the caller left.
    pub abandoned: bool,
    /// From its arrival to the end of the answer.
    pub took_ms: f64,
    /// From its arrival to the first content of a stream.
    pub first_token_ms: Option<f64>,
    /// Of that time, what was spent waiting for providers.
    pub upstream_ms: f64,
    /// What it consumed, if anybody said.
    pub usage: Option<Consumed>,
    /// What that cost; `null` if it is not known.
    pub cost_usd: Option<Box<RawValue>>,
    /// What did not answer on the way.
    pub tried: Vec<Tried>,
    /// What the provider could not take.
    pub warnings: Vec<String>,
}

/// What a call consumed.
#[derive(Serialize)]
pub struct Consumed {
    /// Input tokens.
    pub prompt_tokens: u64,
    /// Output tokens.
    pub completion_tokens: u64,
    /// Input tokens read from the provider's cache.
    pub cached_tokens: u64,
    /// Whether the gateway estimated them.
    pub estimated: bool,
}

impl From<&Usage> for Consumed {
    fn from(usage: &Usage) -> Self {
        let Usage { prompt, completion, cached, estimated, .. } = *usage;
        Self { prompt_tokens: prompt, completion_tokens: completion, cached_tokens: cached, estimated }
    }
}

/// A target that did not answer.
#[derive(Serialize)]
pub struct Tried {
    /// Who.
    pub target: Arc<str>,
    /// Its own name for the model.
    pub model: Arc<str>,
    /// The code of the failure, `circuit_open`, `saturated` or `outpaced`.
    pub code: &'static str,
    /// The provider's status, if it answered.
    pub status: Option<u16>,
    /// How long it took.
    pub took_ms: f64,
}

/// What was kept of a call; `now` and `clock` are the same moment.
pub fn recorded(past: &Past, outcome: &Outcome, now: Instant, clock: Timestamp) -> Recorded {
    let Outcome { route, error, abandoned, took, first_token, usage, cost, .. } = outcome;
    let age = SignedDuration::try_from(now.saturating_duration_since(past.since)).unwrap_or_default();
    Recorded {
        id: past.id.clone(),
        at: clock.saturating_sub(age).unwrap_or(clock),
        route: route.name.clone(),
        target: route.target.clone(),
        provider: route.provider,
        model: route.model.clone(),
        variant: route.label.clone(),
        attempts: route.attempts,
        error: *error,
        abandoned: *abandoned,
        took_ms: exact(*took),
        first_token_ms: first_token.map(exact),
        upstream_ms: exact(route.upstream),
        usage: usage.as_ref().map(Consumed::from),
        cost_usd: cost.and_then(amount),
        tried: route
            .tried
            .iter()
            .map(|tried| Tried {
                target: tried.target.clone(),
                model: tried.model.clone(),
                code: tried.code,
                status: tried.status,
                took_ms: exact(tried.took),
            })
            .collect(),
        warnings: route.warnings.clone(),
    }
}
