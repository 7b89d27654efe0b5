//! What a target does about its own failures and limits: circuit breaker, concurrency, the least speed of a stream.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::period;

/// When a target that keeps failing is left alone for a while. Failures are statuses from 500, lost connections and
/// timeouts; what is the caller's fault never counts.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct CircuitBreaker {
    /// So many failures in a row open the circuit; 0 means the default. Default: 5.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub failure_threshold: u32,
    /// So many successes of the requests that try it close the circuit again; 0 means the default. Default: 1.
    #[schemars(range(min = 0, max = 1000))]
    pub success_threshold: u32,
    /// So many requests at a time try whether the target is back; 0 means the default. Default: 1.
    #[schemars(range(min = 0, max = 1000))]
    pub max_half_threshold: u32,
    /// How long the circuit stays open before it is tried: `30s`. Default: `30s`.
    #[serde(with = "period")]
    #[schemars(schema_with = "period::schema")]
    pub timeout: Duration,
    /// A share of failures that opens the circuit as well. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_rate: Option<ErrorRate>,
}

impl Default for CircuitBreaker {
    fn default() -> Self {
        CircuitBreaker {
            failure_threshold: 5,
            success_threshold: 1,
            max_half_threshold: 1,
            timeout: Duration::from_secs(30),
            error_rate: None,
        }
    }
}

/// A share of failures that opens a circuit.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct ErrorRate {
    /// Failures in 100 requests. Default: 50.
    #[schemars(range(min = 1, max = 100))]
    pub percent: f32,
    /// The time that is looked back on. Default: `10s`.
    #[serde(with = "period")]
    #[schemars(schema_with = "period::schema")]
    pub window: Duration,
    /// Fewer requests than this in the window say nothing. Default: 20.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub minimum: u32,
}

impl Default for ErrorRate {
    fn default() -> Self {
        ErrorRate { percent: 50.0, window: Duration::from_secs(10), minimum: 20 }
    }
}

/// How many requests a target gets at a time.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("required" = ["max_concurrency"]))]
pub struct Concurrency {
    /// Requests at a time; a stream counts until its end.
    #[schemars(range(min = 1, max = 10_000))]
    pub max_concurrency: usize,
    /// Requests that wait for their turn, first come, first served; beyond them, the next target is asked or the request
    /// is answered 429. 0 means the default. Default: 1000.
    #[schemars(range(min = 0, max = 10_000))]
    pub queue_size: usize,
    /// How long a request waits for its turn. Default: as long as the request may take.
    #[serde(with = "period::option", skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "period::schema")]
    pub queue_timeout: Option<Duration>,
}

impl Default for Concurrency {
    fn default() -> Self {
        Concurrency { max_concurrency: 0, queue_size: 1000, queue_timeout: None }
    }
}

/// A stream that creeps is given up, as one that has stopped is.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("required" = ["events_per_second"]))]
pub struct MinThroughput {
    /// Events (of most providers: tokens) a second, at least.
    #[schemars(range(min = 0))]
    pub events_per_second: f64,
    /// The time over which they are counted, and which every stream has before it is judged. Default: `10s`.
    #[serde(with = "period")]
    #[schemars(schema_with = "period::schema")]
    pub over: Duration,
}

impl Default for MinThroughput {
    fn default() -> Self {
        MinThroughput { events_per_second: 0.0, over: Duration::from_secs(10) }
    }
}
