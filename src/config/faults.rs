//! Faults on purpose: what goes wrong with a target's requests because its configuration says so.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::period;
use super::rules::Findings;
use super::source::{item_path, member_path};
use crate::call::Op;
use crate::wire::op::SURFACES;

/// A fault that is injected into requests to a target, to rehearse an outage. It hits by `rate` or by `every`, and does
/// one of `status`, `cut_after`, `malformed` and `refuse`, or nothing but the `delay`.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct Injection {
    /// How many requests it hits, at random, in percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100))]
    pub rate: Option<f64>,
    /// It hits each request of this number: with 3 the third, the sixth, the ninth.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000_000))]
    pub every: Option<u64>,
    /// The request waits this long before whatever else happens to it: `800ms`. Longer than the target's `first_byte`, it
    /// ends as a timeout.
    #[serde(with = "period::option", skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "period::schema")]
    pub delay: Option<Duration>,
    /// The provider is not asked; the answer is an error with this status.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 400, max = 599))]
    pub status: Option<u16>,
    /// When that answer says to come back: `2s`.
    #[serde(with = "period::option", skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "period::schema")]
    pub retry_after: Option<Duration>,
    /// The connection breaks after so many events of a stream; of any other answer, in the middle of its body.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_000_000_000))]
    pub cut_after: Option<u64>,
    /// The provider is not asked; the answer, with status 200, cannot be read.
    #[serde(skip_serializing_if = "is_false")]
    pub malformed: bool,
    /// The provider is not asked, as if no connection could be made.
    #[serde(skip_serializing_if = "is_false")]
    pub refuse: bool,
    /// The provider's names of the models it is for; a `*` at the end stands for anything. Default: all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<String>,
    /// The operations it is for, as `chat` or `embeddings`. Default: all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub operations: Vec<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
pub(super) fn is_false(value: &bool) -> bool {
    !value
}

impl Injection {
    /// The operations it is for; none means all.
    pub fn ops(&self) -> impl Iterator<Item = Op> {
        self.operations.iter().filter_map(|name| op(name))
    }

    /// What it does beside waiting, by the names of the members.
    fn acts(&self) -> Vec<&'static str> {
        let all = [
            ("status", self.status.is_some()),
            ("cut_after", self.cut_after.is_some()),
            ("malformed", self.malformed),
            ("refuse", self.refuse),
        ];
        all.into_iter().filter_map(|(name, said)| said.then_some(name)).collect()
    }
}

fn op(name: &str) -> Option<Op> {
    SURFACES.iter().find(|surface| surface.name == name).map(|surface| surface.op)
}

/// What is wrong with the faults of the target at `path`; that there are any is worth a warning.
pub(super) fn check(faults: &[Injection], path: &str, found: &mut Findings) {
    for (index, fault) in faults.iter().enumerate() {
        one(fault, &item_path(path, index), found);
    }
    if !faults.is_empty() {
        let count = if faults.len() == 1 { "a fault is".to_owned() } else { format!("{} faults are", faults.len()) };
        found.warn(path, "faults_on_purpose", format!("{count} injected into this target's requests, on purpose"));
    }
}

fn one(fault: &Injection, path: &str, found: &mut Findings) {
    let at = |name: &str| member_path(path, name);
    match (fault.rate, fault.every) {
        (None, None) => found.refuse(path, "must say how often it hits: `rate`, in percent, or `every`"),
        (Some(_), Some(_)) => {
            found.refuse(at("every"), "cannot stand beside `rate`: one of them says how often it hits")
        }
        (Some(rate), _) if !(0.0..=100.0).contains(&rate) => found.refuse(at("rate"), "must be from 0 to 100"),
        (Some(0.0), _) => found.warn(at("rate"), "no_effect", "has no effect: 0 percent is never"),
        (_, Some(0)) => found.refuse(at("every"), "must be at least 1"),
        _ => {}
    }
    match fault.acts().as_slice() {
        [] if fault.delay.is_none() => {
            found.refuse(path, "must say what happens: `status`, `cut_after`, `malformed`, `refuse` or `delay`");
        }
        [first, second, ..] => {
            found.refuse(at(second), format!("cannot stand beside `{first}`: a request fails in one way"));
        }
        _ => {}
    }
    if fault.status.is_some_and(|status| !(400..600).contains(&status)) {
        found.refuse(at("status"), "must be from 400 to 599");
    }
    if fault.retry_after.is_some() && fault.status.is_none() {
        found.refuse(at("retry_after"), "needs a `status`: only an answer can say it");
    }
    for (index, model) in fault.models.iter().enumerate() {
        let stars = model.matches('*').count();
        if model.is_empty() || stars > 1 || (stars == 1 && !model.ends_with('*')) {
            let message = "must be the id of a model, or its beginning with a `*` behind it";
            found.refuse(item_path(&at("models"), index), message);
        }
    }
    for (index, name) in fault.operations.iter().enumerate().filter(|(_, name)| op(name).is_none()) {
        let known = SURFACES.iter().map(|surface| surface.name);
        found.suggest(item_path(&at("operations"), index), format!("there is no operation `{name}`"), name, known);
    }
}
