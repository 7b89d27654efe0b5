//! Holds a file against the JSON Schema of the configuration: unknown names, wrong types, words and ranges.
//!
//! The schema is made from the types, so that the file, the editor and the program cannot disagree.

use std::collections::HashMap;

use serde_json::{Map, Value as Json};

use super::Format;
use super::later::{self, Verdict};
use super::mask;
use super::nearest;
use super::node::{Node, Value};
use super::period;
use super::problem::Problem;
use super::source::{item_path, member_path};
use super::target::Failure;
use super::text::references;

/// What a file says: its sound parts as the types want them, and what was wrong with the rest.
pub(super) struct Read {
    pub(super) value: Json,
    pub(super) problems: Vec<Problem>,
    pub(super) warnings: Vec<Problem>,
    pub(super) settled: Settled,
}

/// Members that already have their problem. What a rule would say about them or what they lie in is an echo of it.
#[derive(Default)]
pub(super) struct Settled(Vec<String>);

impl Settled {
    pub(super) fn add(&mut self, path: impl Into<String>) {
        self.0.push(path.into());
    }

    pub(super) fn covers(&self, path: &str) -> bool {
        let holds = |outer: &str, inner: &str| {
            inner
                .strip_prefix(outer)
                .is_some_and(|rest| outer.is_empty() || rest.is_empty() || rest.starts_with(['.', '[']))
        };
        self.0.iter().any(|settled| holds(settled, path) || holds(path, settled))
    }
}

/// Reads a tree by a schema.
pub(super) fn read(tree: &Node, schema: &Json, format: Format) -> Read {
    let mut walk =
        Walk { root: schema, format, problems: Vec::new(), warnings: Vec::new(), settled: Settled::default() };
    let value = walk.value(tree, schema, &At::default()).unwrap_or_else(|| Json::Object(Map::new()));
    Read { value, problems: walk.problems, warnings: walk.warnings, settled: walk.settled }
}

/// A path as it is shown, and its shape: without indexes and free names.
#[derive(Default)]
struct At {
    path: String,
    shape: String,
}

impl At {
    fn member(&self, key: &str, free: bool) -> At {
        let name = if free { "*" } else { key };
        let shape = if self.shape.is_empty() { name.to_owned() } else { format!("{}.{name}", self.shape) };
        At { path: member_path(&self.path, key), shape }
    }

    fn item(&self, index: usize) -> At {
        At { path: item_path(&self.path, index), shape: format!("{}[]", self.shape) }
    }
}

struct Walk<'s> {
    root: &'s Json,
    format: Format,
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
    settled: Settled,
}

impl<'s> Walk<'s> {
    fn value(&mut self, node: &Node, schema: &'s Json, at: &At) -> Option<Json> {
        match later::judge(&at.shape, &at.path, node) {
            Verdict::Open => {}
            Verdict::Ignored(warning) => {
                self.warnings.extend(warning);
                return None;
            }
            Verdict::Refused(problems) => {
                self.settled.add(&at.path);
                self.problems.extend(problems);
                return None;
            }
        }
        let schema = self.resolve(schema);
        let Some(wanted) = kind(schema) else { return self.wrong(node, at, "nothing") };
        match (wanted, &node.value) {
            (_, Value::Null) => None,
            ("either", Value::List(items)) => self.list(items, schema, at),
            ("either", _) => {
                let item = schema.get("items").unwrap_or(&Json::Null);
                self.value(node, item, at).map(|value| Json::Array(vec![value]))
            }
            ("object", Value::Map(members)) => Some(self.object(members, schema, at)),
            ("object", _) => self.wrong(node, at, "keys with values"),
            ("array", Value::List(items)) => self.list(items, schema, at),
            ("array", _) => self.wrong(node, at, "a list"),
            ("string" | "text", Value::Text(text)) => self.text(node, text, wanted == "text", at),
            // Unquoted numbers and truths are taken as they are written, as the reference takes them.
            ("string" | "text", Value::Bool(_, text) | Value::Number(_, text)) if self.format == Format::Yaml => {
                self.text(node, text, wanted == "text", at)
            }
            ("string" | "text", _) => self.wrong(node, at, "a text"),
            ("keys", Value::List(items)) => self.list(items, &schema["oneOf"][1], at),
            ("keys", Value::Map(_)) => self.wrong(node, at, "a text or a list of texts"),
            ("keys", _) => self.value(node, &schema["oneOf"][0], at),
            ("words", Value::Text(word)) => self.word(node, word, schema, at),
            // `off` without quotes is a word, too
            ("words", Value::Bool(_, word)) if self.format == Format::Yaml && words(schema).contains(&&**word) => {
                self.word(node, word, schema, at)
            }
            ("words", _) => self.wrong(node, at, &one_of(&words(schema))),
            ("boolean", Value::Bool(truth, _)) => Some(Json::Bool(*truth)),
            ("boolean", Value::Text(word)) if self.format == Format::Yaml && truth(word).is_some() => {
                truth(word).map(Json::Bool)
            }
            ("boolean", _) => self.wrong(node, at, "true or false"),
            ("integer", Value::Number(number, _)) => {
                let whole = number.as_f64().filter(|value| value.fract() == 0.0 && value.abs() < 9e15);
                match (number.is_f64(), whole) {
                    #[expect(clippy::cast_possible_truncation, reason = "whole and below 2^53 by the line above")]
                    (true, Some(value)) => self.number(node, (value as i64).into(), schema, at),
                    (true, None) => self.wrong(node, at, "a whole number"),
                    (false, _) => self.number(node, number.clone(), schema, at),
                }
            }
            ("integer", _) => self.wrong(node, at, "a whole number"),
            ("number", Value::Number(number, _)) => self.number(node, number.clone(), schema, at),
            ("number", _) => self.wrong(node, at, "a number"),
            ("duration", Value::Text(text)) if period::parse(text).is_some() => Some(Json::String(text.clone())),
            ("duration", Value::Number(number, _)) if number.as_u64() == Some(0) => Some(Json::String("0".to_owned())),
            ("duration", _) => self.wrong(node, at, period::WORDS),
            ("failure", Value::Text(text) | Value::Number(_, text)) if text.parse::<Failure>().is_ok() => {
                Some(Json::String(text.clone()))
            }
            ("failure", _) => self.wrong(node, at, Failure::WORDS),
            _ => self.wrong(node, at, wanted),
        }
    }

    fn object(&mut self, members: &[(super::node::Key, Node)], schema: &'s Json, at: &At) -> Json {
        let known = schema.get("properties").and_then(Json::as_object);
        let free = schema.get("additionalProperties").filter(|free| free.is_object());
        let mut seen: HashMap<&str, usize> = HashMap::new();
        let mut object = Map::new();
        for (key, node) in members {
            let property = known.and_then(|known| known.get(&key.name));
            let at_member = at.member(&key.name, property.is_none() && free.is_some());
            if let Some(first) = seen.insert(&key.name, key.at.line) {
                let message = format!("given twice; the first is on line {first}");
                self.problem(Problem::new(&at_member.path, "duplicate_key", message).at(key.at.line, key.at.column));
                continue;
            }
            match property.or(free) {
                Some(schema) => {
                    if property.is_none() && matches!(node.value, Value::Null) {
                        self.wrong(node, &at_member, "a text");
                    } else if let Some(value) = self.value(node, schema, &at_member) {
                        object.insert(key.name.clone(), value);
                    }
                }
                None => self.unknown(key, node, known, at, &at_member),
            }
        }
        Json::Object(object)
    }

    fn unknown(
        &mut self,
        key: &super::node::Key,
        node: &Node,
        known: Option<&'s Map<String, Json>>,
        at: &At,
        at_member: &At,
    ) {
        match later::judge(&at_member.shape, &at_member.path, node) {
            Verdict::Ignored(warning) => return self.warnings.extend(warning),
            Verdict::Refused(problems) => return self.problems.extend(problems),
            Verdict::Open => {}
        }
        let names: Vec<&str> = known.into_iter().flatten().map(|(name, _)| name.as_str()).collect();
        let near = nearest::of(&key.name, names.iter().copied().chain(later::names(&at.shape)));
        let near = near.or_else(|| nearest::synonym(&at.shape, &key.name));
        let problem =
            Problem::new(&at_member.path, "unknown_key", "there is no such key").at(key.at.line, key.at.column);
        let problem = match near {
            Some(near) => {
                self.settled.add(member_path(&at.path, near));
                problem.suggest(Some(near))
            }
            None => problem.help(match self.below(known, &key.name) {
                Some(outer) => format!("it belongs under `{outer}`: is it indented as far?"),
                None => {
                    format!("the keys here are {}", names.iter().map(|name| quote(name)).collect::<Vec<_>>().join(", "))
                }
            }),
        };
        self.problem(problem);
    }

    /// The one of these members that has a member of this name.
    fn below(&self, known: Option<&'s Map<String, Json>>, name: &str) -> Option<&'s str> {
        let has = |schema| self.resolve(schema).get("properties").is_some_and(|inner| inner.get(name).is_some());
        let mut outer = known.into_iter().flatten().filter(|(_, schema)| has(schema)).map(|(outer, _)| outer.as_str());
        outer.next().filter(|_| outer.next().is_none())
    }

    /// A list whose items are objects keeps its length, so that the paths of later items stay true.
    fn list(&mut self, items: &[Node], schema: &'s Json, at: &At) -> Option<Json> {
        let item_schema = schema.get("items").unwrap_or(&Json::Null);
        let objects = kind(self.resolve(item_schema)) == Some("object");
        let mut list = Vec::with_capacity(items.len());
        let mut sound = true;
        for (index, item) in items.iter().enumerate() {
            let at = at.item(index);
            let value = match item.value {
                Value::Null => self.wrong(item, &at, if objects { "keys with values" } else { "a value" }),
                _ => self.value(item, item_schema, &at),
            };
            match value {
                Some(value) => list.push(value),
                None if objects => list.push(Json::Object(Map::new())),
                None => sound = false,
            }
        }
        sound.then_some(Json::Array(list))
    }

    fn text(&mut self, node: &Node, text: &str, may_refer: bool, at: &At) -> Option<Json> {
        if !may_refer && let Some(reference) = references(text).next() {
            let message = format!("`{}` is not read here", &text[reference]);
            let problem = Problem::new(&at.path, "invalid_value", message).at(node.at.line, node.at.column);
            self.problem(problem.help("variables are read in `base_url`, `api_key`, `headers` and `options`"));
            return None;
        }
        Some(Json::String(text.to_owned()))
    }

    fn word(&mut self, node: &Node, word: &str, schema: &Json, at: &At) -> Option<Json> {
        let words = words(schema);
        if words.contains(&word) {
            return Some(Json::String(word.to_owned()));
        }
        if word.is_empty() {
            return None;
        }
        let shown = mask::words(&clip(word));
        let message = format!("expected {}, found `{shown}`", one_of(&words));
        let problem = Problem::new(&at.path, "invalid_value", message).at(node.at.line, node.at.column);
        let near = nearest::of(word, words);
        self.problem(match at.shape.ends_with("conditions[].key") && near.is_none() {
            true => problem.help("all else is a `match`, as `match: { header: { x-team: search } }`"),
            false => problem.suggest(near),
        });
        None
    }

    fn number(&mut self, node: &Node, number: serde_json::Number, schema: &Json, at: &At) -> Option<Json> {
        let bound = |name| schema.get(name).and_then(Json::as_f64);
        let (least, most) = (bound("minimum"), bound("maximum"));
        let value = number.as_f64().unwrap_or(f64::NAN);
        if least.is_some_and(|least| value < least) || most.is_some_and(|most| value > most) {
            let message = match (least, most) {
                (Some(0.0), _) if value < 0.0 => "must not be negative".to_owned(),
                (Some(least), Some(most)) => format!("must be from {least} to {most}"),
                (least, most) => format!("must be {}", least.or(most).unwrap_or_default()),
            };
            self.problem(Problem::new(&at.path, "invalid_value", message).at(node.at.line, node.at.column));
            return None;
        }
        Some(Json::Number(number))
    }

    fn wrong(&mut self, node: &Node, at: &At, expected: &str) -> Option<Json> {
        let secret = at.path.split(['.', '[']).any(mask::is_sensitive);
        let found = match &node.value {
            Value::Null => "nothing".to_owned(),
            Value::List(_) => "a list".to_owned(),
            Value::Map(_) => "keys with values".to_owned(),
            Value::Text(_) if secret => "a text".to_owned(),
            Value::Bool(..) | Value::Number(..) if secret => "another value".to_owned(),
            Value::Text(text) if text.is_empty() => "an empty text".to_owned(),
            Value::Text(text) => format!("the text `{}`", mask::words(&clip(text))),
            Value::Bool(_, text) | Value::Number(_, text) => format!("`{}`", clip(text)),
        };
        let message = format!("expected {expected}, found {found}");
        let problem = Problem::new(&at.path, "wrong_type", message).at(node.at.line, node.at.column);
        self.problem(match (&node.value, expected) {
            (Value::Number(number, _), period::WORDS) => problem.help(format!("add the unit: `{number}s`")),
            (Value::Text(word), "keys with values") if at.shape.ends_with("strategy") && !word.is_empty() => {
                problem.help(format!("write `strategy: {{ mode: {} }}`", mask::words(&clip(word))))
            }
            (Value::Map(_), "a list") => problem.help("put it in brackets: `[{ … }]`"),
            (Value::Text(text), "a number") if text.ends_with('%') => problem.help("leave out the `%`"),
            (Value::Text(_) | Value::Number(..), "keys with values") => {
                let form = nearest::example(&at.shape).map(|form| format!("write it as `{form}`"));
                form.into_iter().fold(problem, Problem::help)
            }
            (Value::Text(_), "a list") => problem.help("put it in brackets: `[…]`"),
            (Value::Text(text), "a whole number" | "a number") if text.parse::<f64>().is_ok() => {
                problem.help("remove the quotes")
            }
            (Value::Number(..) | Value::Bool(..), "a text") => problem.help("put it in quotes"),
            _ => problem,
        });
        None
    }

    fn problem(&mut self, problem: Problem) {
        self.settled.add(&problem.path);
        self.problems.push(problem);
    }

    /// Follows references, and takes the sound half of "or null".
    fn resolve(&self, schema: &'s Json) -> &'s Json {
        if let Some(target) = schema.get("$ref").and_then(Json::as_str) {
            return self.root.pointer(target.trim_start_matches('#')).unwrap_or(&Json::Null);
        }
        match schema.get("anyOf").and_then(Json::as_array) {
            Some(any) => any.iter().find(|one| kind(one) != Some("null")).map_or(schema, |one| self.resolve(one)),
            None => schema,
        }
    }
}

/// What a schema wants: its `x-is`, `words` for an enumeration, else its type.
fn kind(schema: &Json) -> Option<&str> {
    if let Some(is) = schema.get("x-is").and_then(Json::as_str) {
        return Some(is);
    }
    if schema.get("enum").is_some() || schema.get("oneOf").is_some() {
        return Some("words");
    }
    match schema.get("type")? {
        Json::String(name) => Some(name),
        Json::Array(names) => names.iter().filter_map(Json::as_str).find(|name| *name != "null"),
        _ => None,
    }
}

/// The words of an enumeration, with or without a description each.
fn words(schema: &Json) -> Vec<&str> {
    let plain = schema.get("enum").and_then(Json::as_array).into_iter().flatten().filter_map(Json::as_str);
    let described = schema.get("oneOf").and_then(Json::as_array).into_iter().flatten();
    plain.chain(described.filter_map(|one| one.get("const")?.as_str())).collect()
}

fn one_of(words: &[&str]) -> String {
    words.iter().map(|word| quote(word)).collect::<Vec<_>>().join(" or ")
}

fn quote(word: &str) -> String {
    format!("`{word}`")
}

fn clip(text: &str) -> String {
    if text.chars().count() <= 40 { text.to_owned() } else { text.chars().take(40).chain(['…']).collect() }
}

/// The other words for true and false that YAML 1.1 had and the reference reads.
fn truth(word: &str) -> Option<bool> {
    match word {
        "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => Some(true),
        "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => Some(false),
        _ => None,
    }
}
