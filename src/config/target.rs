//! One target: a provider as this configuration uses it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::faults::{Injection, is_false};
use super::keys::Keys;
use super::period;
use super::resilience::{CircuitBreaker, Concurrency, MinThroughput};
use super::text::{self, Text};
use crate::call::Fault;

/// A provider as this configuration uses it: one account, one host.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("required" = ["virtual_key"]))]
pub struct Target {
    /// Name of the target, different for each. Without `provider` it is also the id of the provider.
    pub virtual_key: String,
    /// Id of the provider, as `openai` or `deepseek`. Default: the `virtual_key`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// Root of the provider's API, version included: `https://eu.api.openai.com/v1`. `${VAR}` is read from the
    /// environment. `replay://DIR` plays what `ferrogw record --out DIR` has recorded there, and asks nobody. Default: the
    /// provider's own, or its `<PROVIDER>_BASE_URL`.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "text::shown_address")]
    pub base_url: Option<Text>,
    /// Credential, best as `${VAR}`. An empty one means that the provider needs none. Default: the provider's variable,
    /// as `OPENAI_API_KEY`; with a `base_url` there is no default, for the vendor's key must not reach another host.
    /// A list is a pool, used in turn: a key that is limited (429) or refused (401, 403, out of money) rests for a while
    /// and the others serve. Files, batches and stored responses are asked for with the first key alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_key: Option<Keys>,
    /// Ids of models this target serves, beside those the provider is known to have; `gpt-5*` is every id that begins so,
    /// and `*` every id that no other target and no vendor here is known to have.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<String>,
    /// What the provider calls a model that callers know by another name: `fast: gpt-5-mini`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub model_map: BTreeMap<String, String>,
    /// Headers sent to the provider with every request. `${VAR}` is read from the environment.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, Text>,
    /// What only this provider knows: `region`, `project`, `deployment`, `api_version`, `account`. `${VAR}` is read from
    /// the environment.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", serialize_with = "text::shown_options")]
    pub options: BTreeMap<String, Text>,
    /// How long this target may take. Defaults are the provider's.
    #[serde(skip_serializing_if = "Timeouts::is_empty")]
    pub timeouts: Timeouts,
    /// Speak HTTP/2 to the provider's host, all requests of a worker on one connection: over TLS if the host agrees to it
    /// (ALPN), without TLS unasked (prior knowledge). A host that does not speak it counts as unreachable. Default: false,
    /// which is HTTP/1.1.
    #[serde(skip_serializing_if = "is_false")]
    pub http2: bool,
    /// Its share where a strategy weighs. 0 takes the target out of service: it is never chosen. Default: 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub weight: Option<f64>,
    /// Whether and when this target is asked again after a failure.
    #[serde(skip_serializing_if = "Retry::is_default")]
    pub retry: Retry,
    /// When a target that keeps failing is left alone for a while. Default: never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub circuit_breaker: Option<CircuitBreaker>,
    /// How many requests it gets at a time. Default: any number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<Concurrency>,
    /// The least speed of its streams. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_throughput: Option<MinThroughput>,
    /// How fast recordings are played: 1 as they were recorded, 2 twice as fast, 0 at once. Default: 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub replay_speed: Option<f64>,
    /// Faults that are injected into requests to this target, to rehearse outages. Each is drawn by its own rate; the first
    /// that hits acts. Default: none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<Injection>,
}

impl Target {
    /// A target that is nothing but its provider, with the provider's defaults.
    pub fn of(provider: &str) -> Self {
        Target { virtual_key: provider.to_owned(), ..Target::default() }
    }

    /// The id of the provider.
    pub fn provider(&self) -> &str {
        self.provider.as_deref().unwrap_or(&self.virtual_key)
    }

    /// Whether the target is out of service: never chosen, not even when all others fail.
    pub fn is_drained(&self) -> bool {
        self.weight == Some(0.0)
    }
}

/// How long a target may take. What is not set is the provider's default.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct Timeouts {
    /// To connect, TLS included: `5s`.
    #[serde(with = "period::option", skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "period::schema")]
    pub connect: Option<Duration>,
    /// From the request to the first byte of the answer: `2m`.
    #[serde(with = "period::option", skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "period::schema")]
    pub first_byte: Option<Duration>,
    /// Between two pieces of an answer: `1m`.
    #[serde(with = "period::option", skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "period::schema")]
    pub idle: Option<Duration>,
    /// For a whole answer, one attempt: `10m`. Never cuts a stream.
    #[serde(with = "period::option", skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "period::schema")]
    pub total: Option<Duration>,
}

impl Timeouts {
    fn is_empty(&self) -> bool {
        *self == Timeouts::default()
    }
}

/// Whether and when a target is asked again.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct Retry {
    /// How often this target is asked in all; 0 and 1 both mean once. Default: 1.
    #[schemars(range(min = 0, max = 1000))]
    pub attempts: u32,
    /// Statuses after which it is asked again. Default: 408, 429 and all from 500. A failure without a status (no
    /// connection, a broken one) always counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(inner(range(min = 100, max = 599)))]
    pub on_status_codes: Option<Vec<u16>>,
    /// The wait before the second attempt is drawn between 0 and this many milliseconds, and doubles with each further
    /// one; a `Retry-After` of the provider replaces it. Default: 100.
    #[schemars(range(min = 0, max = 3_600_000))]
    pub initial_backoff_ms: u64,
    /// The longest wait that is drawn, in milliseconds. Default: 30000.
    #[schemars(range(min = 0, max = 3_600_000))]
    pub max_backoff_ms: u64,
    /// How many attempts may be repeated, so that a target that is down is not asked several times as much.
    #[serde(skip_serializing_if = "RetryBudget::is_default")]
    pub budget: RetryBudget,
}

impl Default for Retry {
    fn default() -> Self {
        Retry {
            attempts: 1,
            on_status_codes: None,
            initial_backoff_ms: 100,
            max_backoff_ms: 30_000,
            budget: RetryBudget::default(),
        }
    }
}

/// How many attempts at a target may be repeated.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct RetryBudget {
    /// Repeated attempts for 100 requests. Default: 20.
    #[schemars(range(min = 0, max = 1000))]
    pub percent: f32,
    /// Repeated attempts a second that are always allowed. Default: 10.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub min_per_second: f32,
}

impl Default for RetryBudget {
    fn default() -> Self {
        RetryBudget { percent: 20.0, min_per_second: 10.0 }
    }
}

impl RetryBudget {
    fn is_default(&self) -> bool {
        *self == RetryBudget::default()
    }
}

impl Retry {
    fn is_default(&self) -> bool {
        *self == Retry::default()
    }

    /// How often the target is asked in all, at least once.
    pub fn tries(&self) -> u32 {
        self.attempts.max(1)
    }
}

/// A failure of a target, as `failover_on` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// This status.
    Status(u16),
    /// All statuses with this first digit: `5xx`.
    Class(u16),
    /// No answer in time, the provider's word or ours.
    Timeout,
    /// No connection could be made, or it broke before the answer.
    Connect,
    /// The answer broke off or cannot be read.
    Broken,
}

impl Failure {
    /// What can be written, for messages.
    pub(super) const WORDS: &'static str = "a status from 400 to 599, `4xx`, `5xx`, `timeout`, `connect` or `broken`";

    /// Whether an attempt that failed in this way is meant.
    pub fn covers(self, fault: Fault, status: Option<u16>) -> bool {
        match self {
            Failure::Status(code) => status == Some(code),
            Failure::Class(digit) => status.is_some_and(|status| status / 100 == digit),
            Failure::Timeout => fault == Fault::Timeout,
            Failure::Connect => fault == Fault::Unreachable,
            Failure::Broken => {
                fault == Fault::Truncated || (fault == Fault::Server && status.is_none_or(|status| status < 400))
            }
        }
    }
}

impl FromStr for Failure {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, ()> {
        match word {
            "timeout" => Ok(Failure::Timeout),
            "connect" => Ok(Failure::Connect),
            "broken" => Ok(Failure::Broken),
            "4xx" => Ok(Failure::Class(4)),
            "5xx" => Ok(Failure::Class(5)),
            number => match number.parse() {
                Ok(status @ 400..=599) => Ok(Failure::Status(status)),
                _ => Err(()),
            },
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Status(status) => write!(f, "{status}"),
            Failure::Class(digit) => write!(f, "{digit}xx"),
            Failure::Timeout => f.write_str("timeout"),
            Failure::Connect => f.write_str("connect"),
            Failure::Broken => f.write_str("broken"),
        }
    }
}

impl Serialize for Failure {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Failure::Status(status) => serializer.serialize_u16(*status),
            word => serializer.collect_str(word),
        }
    }
}

impl<'de> Deserialize<'de> for Failure {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Number(u16),
            Word(String),
        }
        let word = match Written::deserialize(deserializer)? {
            Written::Number(status) => status.to_string(),
            Written::Word(word) => word,
        };
        word.parse().map_err(|()| serde::de::Error::custom(format!("expected {}", Failure::WORDS)))
    }
}

impl JsonSchema for Failure {
    fn schema_name() -> Cow<'static, str> {
        "Failure".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A status, a class of statuses, or a kind of failure without one.",
            "oneOf": [
                { "type": "integer", "minimum": 400, "maximum": 599 },
                { "type": "string", "enum": ["4xx", "5xx", "timeout", "connect", "broken"] }
            ],
            "x-is": "failure"
        })
    }
}
