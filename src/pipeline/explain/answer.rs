//! What an explanation says, in the words of its JSON.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;

use super::past::Recorded;
use crate::call::Usd;
use crate::config::Mode;

/// What would become of a request, or what has become of one.
#[derive(Serialize)]
pub struct Explanation {
    /// Always `route.explanation`.
    pub object: &'static str,
    /// The moment by which rules about time are judged.
    #[serde(serialize_with = "time")]
    pub at: Timestamp,
    /// The surface, as metrics name it.
    pub surface: &'static str,
    /// The model that is asked for.
    pub model: Arc<str>,
    /// The models that it stands for, in order, if it is an alias.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alias_of: Option<Arc<[Arc<str>]>>,
    /// Whether the answer would be a stream.
    pub stream: bool,
    /// What the call would end with at once, if nobody can be asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Reason>,
    /// What happened, if the question was about a call that is over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recorded: Option<Recorded>,
    /// One for each model: several only of an alias.
    pub models: Vec<Model>,
    /// Who would be asked, one after the other.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order: Option<Order>,
    /// What the first of them would be sent; absent if nobody would be asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sent: Option<Sent>,
}

/// A word that programs know, and what it means here.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Reason {
    /// The word.
    pub code: &'static str,
    /// The same for people.
    pub words: String,
    /// For how long, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub for_ms: Option<u64>,
}

impl Reason {
    /// For nobody knows how long.
    pub fn new(code: &'static str, words: impl Into<String>) -> Self {
        Self { code, words: words.into(), for_ms: None }
    }

    /// For this long.
    pub fn lasting(code: &'static str, words: impl Into<String>, left: Duration) -> Self {
        Self { for_ms: Some(millis(left)), ..Self::new(code, words) }
    }
}

/// How one model is served.
#[derive(Serialize)]
pub struct Model {
    /// Its name, after aliases.
    pub model: Arc<str>,
    /// The named routes, in order, up to the one that takes the request.
    pub routes: Vec<Named>,
    /// The route that takes it; `null` for the way of all requests that no route takes.
    pub route: Option<Arc<str>>,
    /// By which strategy its targets are asked.
    pub strategy: Strategy,
    /// Which failures move on to the next target, if the configuration says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failover_on: Option<Vec<String>>,
    /// The time a call may take; of a stream, until it starts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_timeout_ms: Option<u64>,
    /// When a second attempt is made beside the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hedge: Option<Hedge>,
    /// How requests of one conversation stay together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub affinity: Option<Warmth>,
    /// Every target of the route, in the order of the configuration.
    pub candidates: Vec<Candidate>,
}

/// A named route.
#[derive(Serialize)]
pub struct Named {
    /// Its name.
    pub name: Arc<str>,
    /// Whether it takes the request.
    pub matched: bool,
    /// The first thing that does not hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub objection: Option<String>,
}

/// How the members of a route or group are ordered.
#[derive(Serialize)]
pub struct Strategy {
    /// By which way.
    pub mode: Mode,
    /// The rules of `conditional` and `content-based`, up to the one that holds.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Rule>,
    /// The rule that holds: its place in the configuration, the first is 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<usize>,
    /// Who is ordered.
    pub members: Vec<Member>,
}

/// A rule.
#[derive(Serialize)]
pub struct Rule {
    /// Its place in the configuration, the first is 0.
    pub index: usize,
    /// Whom it names; `null` if that one is out of service.
    pub target_key: Option<Arc<str>>,
    /// Whether it holds.
    pub matched: bool,
    /// The first thing that does not hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub objection: Option<String>,
}

/// A target, or a group with a strategy of its own.
#[derive(Serialize)]
pub struct Member {
    /// Its name.
    pub name: Arc<str>,
    /// The name of the variant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variant: Option<Arc<str>>,
    /// Its weight, where the strategy weighs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<f64>,
    /// Its strategy, if it is a group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strategy: Option<Strategy>,
}

/// A second attempt.
#[derive(Serialize)]
pub struct Hedge {
    /// How long the first may be silent; `null` if nobody knows yet what is usual.
    pub after_ms: Option<u64>,
}

/// Where the prompt is cached.
#[derive(Serialize)]
pub struct Warmth {
    /// Whether the request is known to be part of a conversation.
    pub conversation: bool,
    /// The target that has its prompt in the cache, if the request goes there for that.
    pub warm: Option<Arc<str>>,
}

/// A target, in or out.
#[derive(Serialize)]
pub struct Candidate {
    /// Its name.
    pub target: Arc<str>,
    /// Its provider; absent if it is out of service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<&'static str>,
    /// Whether it would be asked, now or after others.
    #[serde(rename = "in")]
    pub is_in: bool,
    /// Why not, or what stands in the way.
    pub reasons: Vec<Reason>,
    /// Why it is taken to serve the model; absent if it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claim: Option<Reason>,
    /// Its own name for the model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<Arc<str>>,
    /// What the request would consume there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub predicted: Option<Predicted>,
    /// How it is doing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<State>,
    /// What it could not take, as the header `x-ferro-warnings` says it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// A forecast.
#[derive(Serialize)]
pub struct Predicted {
    /// Input tokens.
    pub prompt_tokens: u64,
    /// Output tokens, by what is usual for the model there.
    pub completion_tokens: u64,
    /// Input tokens that are read from the provider's cache.
    pub cached_tokens: u64,
    /// What that costs; `null` if the price is not known.
    pub cost_usd: Option<Box<RawValue>>,
}

/// How a target is doing.
#[derive(Serialize)]
pub struct State {
    /// Its circuit: `closed`, `open` or `half_open`; `null` if it has none.
    pub circuit: Option<&'static str>,
    /// Its places for requests; `null` if there is no bound.
    pub slots: Option<Slots>,
    /// The time to the first content that is expected of the model there; `null` if nobody has measured it.
    pub latency_ms: Option<f64>,
    /// Calls for the model that are under way there, where that is counted.
    pub in_flight: u32,
}

/// Places for requests.
#[derive(Serialize)]
pub struct Slots {
    /// Those that are taken.
    pub in_use: usize,
    /// Those there are.
    pub most: usize,
    /// Requests that wait for one.
    pub waiting: usize,
    /// Requests that may wait.
    pub queue: usize,
}

/// Who would be asked.
#[derive(Serialize)]
pub struct Order {
    /// Whether a draw has decided: it is made with a fixed chance here, so that the same question has the same answer.
    pub drawn: bool,
    /// One after the other.
    pub steps: Vec<Step>,
}

/// A place in the order.
#[derive(Serialize)]
pub struct Step {
    /// Who.
    pub target: Arc<str>,
    /// Its provider.
    pub provider: &'static str,
    /// Its own name for the model.
    pub model: Arc<str>,
    /// Only if none of those before can even be asked.
    pub spare: bool,
    /// Why it would be passed over as things are; absent if it would not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub passed_over: Option<&'static str>,
    /// The variant it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variant: Option<Arc<str>>,
    /// In how many of a hundred draws it comes first; absent if nothing is drawn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub share_percent: Option<f64>,
    /// Attempts that are made there at most.
    pub attempts: u32,
    /// Its time limits; absent for a provider inside the gateway.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeouts: Option<Timeouts>,
}

/// Time limits of one attempt.
#[derive(Serialize)]
pub struct Timeouts {
    /// Until there is a connection.
    pub connect_ms: u64,
    /// Until the answer begins.
    pub first_byte_ms: u64,
    /// Between two pieces of it.
    pub idle_ms: u64,
    /// Until a whole answer has ended.
    pub total_ms: Option<u64>,
}

/// What would be sent.
#[derive(Serialize)]
pub struct Sent {
    /// To whom.
    pub target: Arc<str>,
    /// Why it is not shown; absent if it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub omitted: Option<String>,
    /// The request.
    #[serde(flatten)]
    pub request: Option<Request>,
    /// What it loses on its way.
    pub warnings: Vec<String>,
}

/// A request that is not made.
#[derive(Serialize)]
pub struct Request {
    /// Its method.
    pub method: String,
    /// Its address.
    pub url: String,
    /// Its header fields; `***` where a secret would be.
    #[serde(serialize_with = "fields")]
    pub headers: Vec<(String, String)>,
    /// Its body.
    pub body: Box<RawValue>,
    /// How many requests it takes, if more than this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parts: Option<usize>,
}

/// Whole milliseconds.
pub fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Milliseconds with their microseconds.
pub fn exact(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

/// An amount as a number with all its digits.
pub fn amount(usd: Usd) -> Option<Box<RawValue>> {
    RawValue::from_string(usd.to_string()).ok()
}

/// A moment to the millisecond.
pub(super) fn time<S: serde::Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&at.round(jiff::Unit::Millisecond).unwrap_or(*at))
}

fn fields<S: serde::Serializer>(fields: &[(String, String)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(fields.iter().map(|(name, value)| (name, value)))
}
