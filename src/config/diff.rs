//! What is different between two configurations, member by member. Things with a name are compared with what has the
//! same name on the other side, wherever it stands.

use std::fmt;

use serde::Serialize;
use serde_json::Value;

use super::Config;
use super::mask::{self, HIDDEN};
use super::source::{item_path, member_path};

/// What is read once, when the process starts.
static AT_START: &[&str] = &["server.drain"];

/// Members that name an item of a list, and those that do so together with the first.
static NAMES: &[(&str, &[&str])] =
    &[("virtual_key", &[]), ("name", &[]), ("model", &["target", "provider"]), ("target_key", &[])];

/// Characters of a value that are shown to people.
const SHOWN: usize = 100;

/// Changes that a summary names.
const NAMED: usize = 20;

/// All that is different.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Diff {
    /// What is different, in the order of the configuration.
    pub changes: Vec<Change>,
    /// Members that hold a secret on both sides, and may or may not be the same.
    pub masked: Vec<String>,
}

/// One thing that is different.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    /// Where: `targets[openai].weight`.
    pub path: String,
    /// In which way.
    pub change: Kind,
    /// What was there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Value>,
    /// What is there instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Value>,
    /// Whether a running gateway goes by it only after its next start.
    pub pending_restart: bool,
}

/// In which way something is different.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// It was not there.
    Added,
    /// It is no longer there.
    Removed,
    /// It has another value.
    Changed,
    /// The same things stand in another order.
    Moved,
}

/// Compares two configurations, secrets included; none is in what is returned.
pub fn configs(old: &Config, new: &Config) -> Diff {
    let shown = |config| serde_json::to_value(config).unwrap_or_default();
    let mut diff = values(&shown(old), &shown(new));
    diff.masked.clear();
    for target in &new.targets {
        let Some(was) = old.targets.iter().find(|was| was.virtual_key == target.virtual_key) else { continue };
        let place = named_path("targets", &target.virtual_key);
        for (member, differs) in [
            ("base_url", was.base_url != target.base_url),
            ("api_key", was.api_key != target.api_key),
            ("headers", was.headers != target.headers),
            ("options", was.options != target.options),
        ] {
            let path = member_path(&place, member);
            if differs && !diff.changes.iter().any(|change| change.path.starts_with(&path)) {
                let hidden = || Some(Value::from(HIDDEN));
                diff.add(path, Kind::Changed, hidden(), hidden());
            }
        }
    }
    diff
}

/// Compares two configurations as they are shown, with secrets masked.
pub fn values(old: &Value, new: &Value) -> Diff {
    let mut diff = Diff::default();
    diff.walk(String::new(), old, new);
    diff
}

/// What `new` says otherwise than `started`, and a process that began with `started` can't do before its next start.
pub fn pending(started: &Config, new: &Config) -> Vec<Change> {
    configs(started, new).changes.into_iter().filter(|change| change.pending_restart).collect()
}

impl Diff {
    /// Whether nothing is known to be different.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// The first changes, in one line.
    pub fn summary(&self) -> String {
        let mut named: Vec<String> = self.changes.iter().take(NAMED).map(ToString::to_string).collect();
        if self.changes.len() > NAMED {
            named.push(format!("and {} more", self.changes.len() - NAMED));
        }
        if named.is_empty() { "no changes".to_owned() } else { named.join("; ") }
    }

    fn add(&mut self, path: String, change: Kind, from: Option<Value>, to: Option<Value>) {
        let pending_restart = AT_START.contains(&path.as_str());
        self.changes.push(Change { path, change, from, to, pending_restart });
    }

    fn walk(&mut self, path: String, old: &Value, new: &Value) {
        match (old, new) {
            _ if old == new => self.note_masked(path, new),
            (Value::Object(was), Value::Object(is)) => {
                for (name, old) in was {
                    let path = member_path(&path, name);
                    match is.get(name) {
                        Some(new) => self.walk(path, old, new),
                        None => self.add(path, Kind::Removed, Some(old.clone()), None),
                    }
                }
                for (name, new) in is.iter().filter(|(name, _)| !was.contains_key(*name)) {
                    self.add(member_path(&path, name), Kind::Added, None, Some(new.clone()));
                }
            }
            (Value::Array(was), Value::Array(is)) => self.lists(path, was, is),
            _ => self.add(path, Kind::Changed, Some(old.clone()), Some(new.clone())),
        }
    }

    fn lists(&mut self, path: String, was: &[Value], is: &[Value]) {
        if let (Some(old), Some(new)) = (names(was), names(is)) {
            for (name, item) in old.iter().zip(was) {
                match new.iter().position(|other| other == name) {
                    Some(at) => self.walk(named_path(&path, name), item, &is[at]),
                    None => self.add(named_path(&path, name), Kind::Removed, Some(item.clone()), None),
                }
            }
            for (name, item) in new.iter().zip(is).filter(|(name, _)| !old.contains(name)) {
                self.add(named_path(&path, name), Kind::Added, None, Some(item.clone()));
            }
            let both = |these: &[String], those: &[String]| -> Vec<String> {
                these.iter().filter(|name| those.contains(name)).cloned().collect()
            };
            let (before, after) = (both(&old, &new), both(&new, &old));
            if before != after {
                self.add(path, Kind::Moved, Some(before.into()), Some(after.into()));
            }
            return;
        }
        let (before, after) = (Value::from(was), Value::from(is));
        if was.iter().chain(is).any(|item| item.is_object() || item.is_array()) && was.len() == is.len() {
            for (at, (old, new)) in was.iter().zip(is).enumerate() {
                self.walk(item_path(&path, at), old, new);
            }
        } else if was.len() == is.len() && was.iter().all(|item| is.contains(item)) {
            self.add(path, Kind::Moved, Some(before), Some(after));
        } else {
            self.add(path, Kind::Changed, Some(before), Some(after));
        }
    }

    /// Notes where the same mask stands on both sides.
    fn note_masked(&mut self, path: String, value: &Value) {
        match value {
            Value::String(text) if text.contains(HIDDEN) => self.masked.push(path),
            Value::Object(members) => {
                members.iter().for_each(|(name, member)| self.note_masked(member_path(&path, name), member));
            }
            Value::Array(items) => {
                let names = names(items);
                for (at, item) in items.iter().enumerate() {
                    let path = names.as_ref().map_or_else(|| item_path(&path, at), |all| named_path(&path, &all[at]));
                    self.note_masked(path, item);
                }
            }
            _ => {}
        }
    }
}

/// The names of the items of a list, if each has one of its own.
fn names(items: &[Value]) -> Option<Vec<String>> {
    let mut names = Vec::new();
    for item in items {
        let word = |member: &str| item.get(member).and_then(Value::as_str);
        let (member, with) = NAMES.iter().find(|(member, _)| word(member).is_some())?;
        let mut name = with.iter().find_map(|member| word(member)).map(|of| format!("{of}/")).unwrap_or_default();
        name += word(member)?;
        if names.contains(&name) {
            return None;
        }
        names.push(name);
    }
    Some(names)
}

/// The path of an item with a name: `targets[openai]`.
fn named_path(path: &str, name: &str) -> String {
    let plain = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "_-./:".contains(c));
    let name = mask::words(name);
    if plain { format!("{path}[{name}]") } else { format!("{path}[{name:?}]") }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Change { path, change, from, to, .. } = self;
        let shown = |value: &Option<Value>| value.as_ref().map(|value| short(shown(value))).unwrap_or_default();
        match (change, from, to) {
            (Kind::Added, ..) => write!(f, "+ {path}: {}", shown(to))?,
            (Kind::Removed, ..) => write!(f, "- {path}: {}", shown(from))?,
            (Kind::Moved, ..) => write!(f, "~ {path}: order {} -> {}", shown(from), shown(to))?,
            (Kind::Changed, Some(Value::Array(was)), Some(Value::Array(is))) if scalars(was) && scalars(is) => {
                let lost = was.iter().filter(|item| !is.contains(item)).map(|item| format!("-{}", self::shown(item)));
                let new = is.iter().filter(|item| !was.contains(item)).map(|item| format!("+{}", self::shown(item)));
                write!(f, "~ {path}: {}", short(lost.chain(new).collect::<Vec<_>>().join(" ")))?;
            }
            (Kind::Changed, Some(was), Some(is)) if was == is => write!(f, "~ {path}: another {HIDDEN}")?,
            (Kind::Changed, ..) => write!(f, "~ {path}: {} -> {}", shown(from), shown(to))?,
        }
        if self.pending_restart { f.write_str(" (takes a restart)") } else { Ok(()) }
    }
}

fn scalars(items: &[Value]) -> bool {
    items.iter().all(|item| !item.is_object() && !item.is_array())
}

/// A value in few characters.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) if text.is_empty() || text.contains(char::is_control) => format!("{text:?}"),
        Value::String(text) => text.clone(),
        Value::Array(items) => format!("[{}]", items.iter().map(shown).collect::<Vec<_>>().join(", ")),
        Value::Object(members) => {
            let members = members.iter().map(|(name, member)| format!("{name}: {}", shown(member)));
            format!("{{ {} }}", members.collect::<Vec<_>>().join(", "))
        }
        // a weight of 1 is written so
        other => other.to_string().trim_end_matches(".0").to_owned(),
    }
}

fn short(text: String) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn lines(diff: &Diff) -> Vec<String> {
        diff.changes.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn things_with_a_name_are_compared_by_it() {
        let check = |old: Value, new: Value, expected: &[&str]| assert_eq!(lines(&values(&old, &new)), expected);
        let targets = |list: Value| json!({ "targets": list });
        let (a, b) = (json!({"virtual_key": "a", "weight": 1}), json!({"virtual_key": "b"}));
        check(targets(json!([a, b])), targets(json!([a, b])), &[]);
        check(targets(json!([a, b])), targets(json!([b, a])), &["~ targets: order [a, b] -> [b, a]"]);
        check(targets(json!([a, b])), targets(json!([a])), &["- targets[b]: { virtual_key: b }"]);
        check(
            targets(json!([a])),
            targets(json!([b, {"virtual_key": "a", "weight": 2, "models": ["m"]}])),
            &["~ targets[a].weight: 1 -> 2", "+ targets[a].models: [m]", "+ targets[b]: { virtual_key: b }"],
        );
        let rows = |list: Value| json!({ "catalog": { "overrides": list } });
        check(
            rows(json!([{"target": "t", "model": "m", "mode": "chat"}, {"provider": "p", "model": "m"}])),
            rows(json!([{"provider": "p", "model": "m"}, {"target": "t", "model": "n"}])),
            &[
                "- catalog.overrides[t/m]: { target: t, model: m, mode: chat }",
                "+ catalog.overrides[t/n]: { target: t, model: n }",
            ],
        );
    }

    #[test]
    fn lists_without_names_are_compared_as_lists() {
        let check = |old: Value, new: Value, expected: &[&str]| assert_eq!(lines(&values(&old, &new)), expected);
        check(json!({"m": ["a", "b"]}), json!({"m": ["c", "b"]}), &["~ m: -a +c"]);
        check(json!({"m": ["a", "b"]}), json!({"m": ["b", "a"]}), &["~ m: order [a, b] -> [b, a]"]);
        check(json!({"m": [{"x": 1}, {"x": 2}]}), json!({"m": [{"x": 1}, {"x": 3}]}), &["~ m[1].x: 2 -> 3"]);
        check(json!({"m": [{"x": 1}]}), json!({"m": []}), &["~ m: [{ x: 1 }] -> []"]);
        check(json!({"m": "a"}), json!({"m": ["a"]}), &["~ m: a -> [a]"]);
        let twice = json!({"m": [{"name": "a", "x": 1}, {"name": "a", "x": 2}]});
        check(twice, json!({"m": [{"name": "a", "x": 1}, {"name": "a", "x": 3}]}), &["~ m[1].x: 2 -> 3"]);
    }

    #[test]
    fn a_secret_that_is_another_is_found_and_not_shown() {
        let of = |key: &str| {
            let yaml = format!("targets: [{{ virtual_key: openai, api_key: \"{key}\", headers: {{ x-a: abc }} }}]");
            crate::config::parse(&yaml, crate::config::Format::Yaml, "t.yaml").expect("a configuration").config
        };
        let (one, two) = (of("first-0123"), of("other-0123"));
        assert_eq!(lines(&configs(&one, &two)), ["~ targets[openai].api_key: another [REDACTED]"]);
        assert!(configs(&one, &one).is_empty());
        let masked = values(&json!(one), &json!(two));
        assert!(masked.is_empty());
        assert_eq!(masked.masked, ["targets[openai].api_key", "targets[openai].headers.x-a"]);
        let named = values(&json!(one), &json!(of("${KEY}")));
        assert_eq!(lines(&named), ["~ targets[openai].api_key: [REDACTED] -> ${KEY}"]);
    }

    #[test]
    fn what_takes_a_restart_says_so() {
        let (old, mut new) = (Config::default(), Config::default());
        new.server.drain += std::time::Duration::from_secs(5);
        assert_eq!(configs(&old, &new).summary(), "~ server.drain: 15s -> 20s (takes a restart)");
        assert_eq!(pending(&old, &new).len(), 1);
        assert_eq!(configs(&old, &old).summary(), "no changes");
    }
}
