//! Named routes and groups of targets: which requests go where.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::period;
use super::several::Several;
use super::strategy::Strategy;
use super::target::Failure;

/// Requests that go their own way.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("required" = ["name", "match", "targets"]))]
pub struct Route {
    /// Its name in headers, metrics and log lines, different for each.
    pub name: String,
    /// Which requests it takes.
    #[serde(rename = "match")]
    pub matches: Match,
    /// How their target is chosen. Default: `fallback`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strategy: Option<Strategy>,
    /// The names of the targets and groups they may go to, in the order of preference.
    pub targets: Vec<String>,
    /// Which failures move a request on to the next target. Default: the `failover_on` of the configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failover_on: Option<Vec<Failure>>,
    /// Longest time for a request, as the `request_timeout` of the configuration, which is also the default.
    #[serde(with = "period::option", skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "period::schema")]
    pub request_timeout: Option<Duration>,
}

/// Targets under one name, with a strategy of their own. A group can stand wherever a target's name can.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("required" = ["name", "targets"]))]
pub struct Group {
    /// Its name, different from all targets and other groups.
    pub name: String,
    /// How the target of a request is chosen. Default: `fallback`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strategy: Option<Strategy>,
    /// The names of targets and of other groups, in the order of preference.
    pub targets: Vec<String>,
    /// Its share where a strategy weighs; 0 takes it out. Default: 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub weight: Option<f64>,
}

/// What requests are told by. All members must hold; of several values of a member, one.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct Match {
    /// The model, after aliases; `claude-*` is every model that begins so.
    #[serde(skip_serializing_if = "Several::is_empty")]
    pub model: Several<String>,
    /// Headers of the request, by name: a value, its beginning with `*`, or `*` for any.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub header: BTreeMap<String, Several<String>>,
    /// Members of the request's `metadata`, by name, as headers.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, Several<String>>,
    /// The member `user` (or `safety_identifier`) of the request, as headers.
    #[serde(skip_serializing_if = "Several::is_empty")]
    pub user: Several<String>,
    /// What is asked for: `chat`, `completions`, `embeddings`, `responses`, `images`, `image_edits`, `speech`,
    /// `transcriptions`, `rerank`, `moderations`, …
    #[serde(skip_serializing_if = "Several::is_empty")]
    pub surface: Several<String>,
    /// Whether the answer shall be streamed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream: Option<bool>,
    /// The length of the prompt in tokens, estimated as a quarter of its bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<Tokens>,
    /// When the request comes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<Hours>,
    /// A text that occurs in what the user has said, whatever its case.
    #[serde(skip_serializing_if = "Several::is_empty")]
    pub prompt_contains: Several<String>,
    /// A text that occurs nowhere in what the user has said, whatever its case.
    #[serde(skip_serializing_if = "Several::is_empty")]
    pub prompt_not_contains: Several<String>,
    /// A regular expression that matches somewhere in what the user has said.
    #[serde(skip_serializing_if = "Several::is_empty")]
    pub prompt_regex: Several<String>,
}

/// A range of tokens.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
#[serde(deny_unknown_fields, default)]
pub struct Tokens {
    /// At least so many. Default: 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min: Option<u64>,
    /// At most so many. Default: any number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<u64>,
}

/// Hours of a week.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
#[serde(deny_unknown_fields, default)]
pub struct Hours {
    /// The days on which it begins. Default: every day.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub days: Vec<Day>,
    /// The first minute: `08:00`. Default: `00:00`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The minute after the last: `18:30`; one before `from` is on the next day. Default: `24:00`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// The time zone: `Europe/Berlin`, `+02:00`. Default: `UTC`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
}

impl Hours {
    /// The minute of a day that `08:30` is; `24:00` is the end.
    pub fn minute(text: &str) -> Option<u16> {
        let (hours, minutes) = text.split_once(':')?;
        let number = |digits: &str| digits.parse::<u16>().ok().filter(|_| digits.len() == 2);
        let (hours, minutes) = (number(hours)?, number(minutes)?);
        (minutes < 60 && (hours < 24 || (hours, minutes) == (24, 0))).then_some(hours * 60 + minutes)
    }

    /// The time zone that a name or an offset is.
    pub fn zone(text: &str) -> Option<jiff::tz::TimeZone> {
        match text.strip_prefix(['+', '-']).and_then(Self::minute) {
            Some(minutes) if minutes < 24 * 60 => {
                let seconds = i32::from(minutes) * 60 * if text.starts_with('-') { -1 } else { 1 };
                Some(jiff::tz::Offset::from_seconds(seconds).ok()?.to_time_zone())
            }
            Some(_) => None,
            None => jiff::tz::TimeZone::get(text).ok(),
        }
    }
}

/// A day of the week.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "days need none")]
pub enum Day {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}
