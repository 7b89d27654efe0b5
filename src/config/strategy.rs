//! How the target of a request is chosen: the words of a strategy.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::period;
use super::routes::Match;

/// How the target of a request is chosen.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct Strategy {
    /// `single` asks the first target alone; `fallback` asks the targets in order until one answers; `loadbalance` draws
    /// them by their weights; `least-latency` and `cost-optimized` ask the fastest and the cheapest first; `conditional`
    /// and `content-based` go by rules; `ab-test` draws a variant. Default: `single`; of routes and groups, `fallback`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// Weights in place of those of the targets and groups, by their names: `{ openai: 3, anthropic: 1 }`. 0 takes one
    /// out. Read by `loadbalance`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(inner(range(min = 0)))]
    pub weights: BTreeMap<String, f64>,
    /// Rules of `conditional`; the first that holds decides, without one the first target does.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// Rules of `content-based`; the first that holds decides, without one the targets are asked in their order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub content_conditions: Vec<ContentCondition>,
    /// Variants of `ab-test`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ab_variants: Vec<Variant>,
    /// What keeps a caller with one variant of `ab-test`. Default: nothing, each request is drawn anew.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sticky: Option<Sticky>,
    /// What `cost-optimized` does with targets whose price is not known: asks them last (`fallback`), never (`skip`), or
    /// as if they were free (`allow`). Default: `fallback`.
    #[serde(skip_serializing_if = "Unpriced::is_default")]
    pub unpriced_strategy: Unpriced,
    /// Whether a failed request leaves the target that a rule or a draw has chosen for the others. Default: `leave` for
    /// `ab-test`, `stay` for `conditional` and `content-based`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_failure: Option<OnFailure>,
    /// Whether requests of one conversation stay with the target, and its key, where their prompt is cached, as long as it
    /// is healthy. Read by `loadbalance`, `least-latency` and `cost-optimized`. Default: `conversation`.
    #[serde(skip_serializing_if = "Affinity::is_default")]
    pub affinity: Affinity,
    /// A second attempt at the next target while the first is silent. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hedge: Option<Hedge>,
}

impl Strategy {
    /// A strategy that says nothing but its mode.
    pub fn of(mode: Mode) -> Self {
        Strategy { mode: Some(mode), ..Strategy::default() }
    }
}

/// Ways to choose a target.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// The first target, and no other but in place of one whose circuit is open.
    #[default]
    Single,
    /// All targets that serve the model, in order, until one answers.
    Fallback,
    /// Drawn by weight; after a failure the next is drawn from the rest.
    Loadbalance,
    /// The one that has lately been fastest for this model.
    LeastLatency,
    /// The one whose price for this request is the lowest.
    CostOptimized,
    /// The target of the first rule about the request that holds.
    Conditional,
    /// The target of the first rule about the prompt that holds.
    ContentBased,
    /// A variant, drawn by weight and labelled.
    AbTest,
}

impl Mode {
    /// The word the configuration uses.
    pub fn name(self) -> &'static str {
        match self {
            Mode::Single => "single",
            Mode::Fallback => "fallback",
            Mode::Loadbalance => "loadbalance",
            Mode::LeastLatency => "least-latency",
            Mode::CostOptimized => "cost-optimized",
            Mode::Conditional => "conditional",
            Mode::ContentBased => "content-based",
            Mode::AbTest => "ab-test",
        }
    }
}

/// A rule of `conditional`: `key` with `value`, or `match`.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("required" = ["target_key"]))]
pub struct Condition {
    /// What `value` is compared with: the `model`, or its beginning (`model_prefix`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<ConditionKey>,
    /// The model, or its beginning.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Everything else a request can be told by.
    #[serde(rename = "match", skip_serializing_if = "Option::is_none")]
    pub matches: Option<Match>,
    /// The target or group that is asked when the rule holds.
    pub target_key: String,
}

/// What a rule compares.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum ConditionKey {
    /// The model, after aliases.
    Model,
    /// The beginning of the model.
    ModelPrefix,
}

/// A rule of `content-based`.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct ContentCondition {
    /// How `value` is looked for in what the user has said.
    #[serde(rename = "type")]
    pub kind: ContentKind,
    /// A text, whatever its case, or a regular expression.
    pub value: String,
    /// The target or group that is asked when the rule holds.
    pub target_key: String,
}

/// How a prompt is judged.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum ContentKind {
    /// The text occurs, whatever its case.
    PromptContains,
    /// The text occurs nowhere, whatever its case.
    PromptNotContains,
    /// The regular expression matches somewhere.
    PromptRegex,
}

/// A variant of `ab-test`.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("required" = ["target_key"]))]
pub struct Variant {
    /// The target or group.
    pub target_key: String,
    /// Its share among the variants that serve the model; 0 takes it out. Default: 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub weight: Option<f64>,
    /// Its name in headers, metrics and log lines. Default: the `target_key`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub label: String,
}

impl Variant {
    /// The name in headers, metrics and log lines.
    pub fn label(&self) -> &str {
        if self.label.is_empty() { &self.target_key } else { &self.label }
    }
}

/// What keeps a caller with one variant.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("required" = ["by"]))]
pub struct Sticky {
    /// The caller's key, the `user` of the request, or a header of it. Requests without it are drawn anew.
    pub by: StickyBy,
    /// The header.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header: Option<String>,
}

/// By what a caller is known again.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum StickyBy {
    /// The key it presents.
    Key,
    /// The member `user` (or `safety_identifier`) of the request.
    #[default]
    User,
    /// A header.
    Header,
}

/// What is done with targets whose price nobody knows.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Unpriced {
    /// They are asked last.
    #[default]
    Fallback,
    /// They are never asked.
    Skip,
    /// They count as free.
    Allow,
}

impl Unpriced {
    fn is_default(&self) -> bool {
        *self == Unpriced::default()
    }
}

/// What becomes of a request whose chosen target has failed.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum OnFailure {
    /// It fails. While the circuit of the one that a rule has chosen is open, the others stand in for it; a variant of
    /// `ab-test` has nobody to stand in for it.
    Stay,
    /// The others are asked.
    Leave,
}

/// What tells that requests belong together.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Affinity {
    /// The headers and members in which agents name their session, else the beginning of the conversation.
    #[default]
    Conversation,
    /// Only the headers and members in which agents name their session.
    Session,
    /// Nothing.
    Off,
}

impl Affinity {
    fn is_default(&self) -> bool {
        *self == Affinity::default()
    }
}

/// A second attempt while the first is silent: the first content wins, the other attempt is stopped.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct Hedge {
    /// How long the first attempt may be silent: `800ms`. Default: as long as 95 of 100 requests took for this model and
    /// target until their first content; before 20 have been seen, no second attempt is made.
    #[serde(with = "period::option", skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "period::schema")]
    pub after: Option<Duration>,
    /// At most this many of 100 requests get a second attempt. Default: 10.
    #[schemars(range(min = 0, max = 100))]
    pub max_percent: f32,
}

impl Default for Hedge {
    fn default() -> Self {
        Hedge { after: None, max_percent: 10.0 }
    }
}
