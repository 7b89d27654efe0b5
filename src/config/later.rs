//! What the reference's configuration or ours may say and this version cannot do yet. A feature that arrives takes its
//! row with it.

use super::mask;
use super::node::{Node, Value};
use super::problem::Problem;
use super::source::{item_path, member_path};

/// When a member asks for what is missing.
enum When {
    /// It has content.
    Filled,
    /// One of its entries is not `enabled: false`, which is also their default.
    Enabled,
    /// Tracing or an exporter is on.
    Observing,
}

/// Shape of the member's path, when it asks for something, and for what.
static LATER: &[(&str, When, &str)] = &[
    ("routes[].plugins", When::Filled, "plugins"),
    ("plugins", When::Enabled, "plugins"),
    ("mcp_servers", When::Filled, "MCP tool servers"),
    ("observability", When::Observing, "tracing and exporters"),
];

/// What becomes of a member.
pub(super) enum Verdict {
    /// The table does not speak of it, or not of this value.
    Open,
    /// It asks for what is missing.
    Refused(Vec<Problem>),
    /// It asks for nothing. With a warning if its owner may think that it does.
    Ignored(Option<Problem>),
}

/// Judges the member at `path`, whose shape is the path without indexes and free names.
pub(super) fn judge(shape: &str, path: &str, node: &Node) -> Verdict {
    let Some((_, when, what)) = LATER.iter().find(|(row, ..)| *row == shape) else { return Verdict::Open };
    let refuse = |path: String, node: &Node, what: &str| missing(path, what).at(node.at.line, node.at.column);
    let refused = || Verdict::Refused(vec![refuse(path.to_owned(), node, what).help("remove it to go on without")]);
    match (when, &node.value) {
        (When::Filled, _) if node.is_empty() => Verdict::Ignored(None),
        (When::Filled, _) => refused(),
        (When::Enabled, _) if node.is_empty() => Verdict::Ignored(None),
        (When::Enabled, Value::List(entries)) => {
            let problems: Vec<Problem> = entries
                .iter()
                .enumerate()
                .filter(|(_, entry)| !is_off(entry))
                .map(|(index, entry)| {
                    let name = match entry.get("name").map(|node| &node.value) {
                        Some(Value::Text(name)) => format!("the plugin `{}`", mask::words(name)),
                        _ => what.to_string(),
                    };
                    refuse(item_path(path, index), entry, &name).help("set `enabled: false` to go on without")
                })
                .collect();
            if problems.is_empty() { Verdict::Ignored(None) } else { Verdict::Refused(problems) }
        }
        (When::Enabled, _) => refused(),
        (When::Observing, _) => observing(path, node, refuse),
    }
}

/// The problem of asking for what is not there yet.
pub(super) fn missing(path: String, what: &str) -> Problem {
    Problem::new(path, "unsupported_config", format!("this version of ferrogw does not have {what} yet"))
}

/// Whether an entry of plugins or exporters is switched off.
fn is_off(entry: &Node) -> bool {
    let Value::Map(_) = &entry.value else { return false };
    match entry.get("enabled").map(|node| &node.value) {
        None | Some(Value::Null | Value::Bool(false, _)) => true,
        Some(Value::Text(word)) => matches!(word.as_str(), "no" | "off" | "n"),
        Some(_) => false,
    }
}

fn observing(path: &str, node: &Node, refuse: impl Fn(String, &Node, &str) -> Problem) -> Verdict {
    let mut problems = Vec::new();
    let known = |name: &str| name == "tracing" || name == "exporters";
    if let Value::Map(members) = &node.value
        && members.iter().all(|(key, _)| known(&key.name))
    {
        for (key, member) in members {
            let path = member_path(path, &key.name);
            match (key.name.as_str(), &member.value) {
                (_, Value::Null) => {}
                ("tracing", Value::Map(_)) => {
                    let endpoint = member.get("endpoint").filter(|endpoint| !endpoint.is_empty());
                    let told = member.get("enabled").is_some_and(|node| !matches!(node.value, Value::Null));
                    if (told && !is_off(member)) || (!told && endpoint.is_some()) {
                        problems.push(refuse(path, member, "tracing").help("set `enabled: false` to go on without"));
                    }
                }
                ("exporters", Value::List(entries)) => {
                    for (index, entry) in entries.iter().enumerate().filter(|(_, entry)| !is_off(entry)) {
                        let path = item_path(&path, index);
                        problems.push(refuse(path, entry, "exporters").help("set `enabled: false` to go on without"));
                    }
                }
                _ => problems.push(refuse(path, member, "tracing and exporters")),
            }
        }
    } else if !node.is_empty() {
        problems.push(refuse(path.to_owned(), node, "tracing and exporters"));
    }
    if problems.is_empty() { Verdict::Ignored(None) } else { Verdict::Refused(problems) }
}

/// Names that this version refuses, for suggestions: a misspelt one is better explained than called unknown.
pub(super) fn names(parent: &str) -> impl Iterator<Item = &str> {
    LATER.iter().filter_map(move |(shape, ..)| match shape.rsplit_once('.') {
        Some((head, name)) if head == parent => Some(name),
        None if parent.is_empty() => Some(*shape),
        _ => None,
    })
}
