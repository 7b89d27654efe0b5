//! A configuration file as a tree that knows where each part stands.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Number;
use serde_json::value::RawValue;
use serde_yaml::{Location, Spanned};

use super::Format;
use super::problem::Problem;

/// How deep a file may nest. The schema needs six levels, and the YAML reader 30 KB of stack for each.
const DEEPEST: usize = 24;

/// Line and column from 1, the column in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) line: usize,
    pub(super) column: usize,
}

/// The name of a member.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) name: String,
    pub(super) at: Place,
}

/// A part of the file.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) at: Place,
    pub(super) value: Value,
}

/// What a part is. Numbers and truths remember how they were written: a `1.10` may be meant as text.
#[derive(Debug)]
pub(super) enum Value {
    Null,
    Bool(bool, String),
    Number(Number, String),
    Text(String),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

impl Node {
    /// The member of this name, if this is an object that has one.
    pub(super) fn get(&self, name: &str) -> Option<&Node> {
        match &self.value {
            Value::Map(members) => members.iter().find(|(key, _)| key.name == name).map(|(_, node)| node),
            _ => None,
        }
    }

    /// Whether there is nothing in it: null, an empty text, list or object.
    pub(super) fn is_empty(&self) -> bool {
        match &self.value {
            Value::Null => true,
            Value::Text(text) => text.is_empty(),
            Value::List(items) => items.is_empty(),
            Value::Map(members) => members.is_empty(),
            Value::Bool(..) | Value::Number(..) => false,
        }
    }
}

/// Reads a text. Members named twice are kept: the next step reports them with the rest.
pub(super) fn parse(text: &str, format: Format) -> Result<Node, Box<Problem>> {
    match format {
        Format::Yaml => yaml(text),
        Format::Json => {
            let whole: &RawValue = serde_json::from_str(text).map_err(|error| json_fault(text, &error, 0))?;
            Json { text, line_starts: line_starts(text) }.node(whole, 0)
        }
    }
}

fn yaml(text: &str) -> Result<Node, Box<Problem>> {
    let options = serde_yaml::options! {
        duplicate_keys: serde_yaml::DuplicateKeyPolicy::PassThrough,
        with_snippet: false,
        budget: serde_yaml::budget! { max_depth: DEEPEST },
    };
    match serde_yaml::from_str_with_options::<Spanned<Loose>>(text, options) {
        Ok(tree) => Ok(tree.value.at(tree.referenced, tree.defined, text)),
        Err(error) => {
            let error = error.without_snippet();
            let plain = serde_yaml::render_options! { snippets: serde_yaml::SnippetMode::Off };
            let place = error.location().map(place);
            let message = match error {
                serde_yaml::Error::MultipleDocuments { .. } => {
                    "a second document begins here; there must be one".to_owned()
                }
                _ => trim_place(&error.render_with_options(plain)),
            };
            let help = place.and_then(|place| yaml_help(&message, text.lines().nth(place.line.checked_sub(1)?)?));
            let problem = Problem::new("", "syntax", message);
            let problem = help.into_iter().fold(problem, Problem::help);
            Err(Box::new(match place {
                Some(Place { line, column }) if line > 0 => problem.at(line, column.max(1)),
                _ => problem,
            }))
        }
    }
}

/// What would be right, where the parser's words are those of its own grammar.
fn yaml_help(message: &str, line: &str) -> Option<&'static str> {
    let bare = |word: &str| line.match_indices(word).any(|(at, _)| !line[..at].ends_with(['"', '\'']));
    if message.contains("tab") && line.trim_start_matches(' ').starts_with('\t') {
        Some("indent with spaces")
    } else if message.contains("alias") && bare("*") {
        Some("put a value that begins with `*` in quotes")
    } else if line.contains('{') && bare("${") {
        Some("between braces, put `${…}` in quotes")
    } else {
        None
    }
}

/// The parser's message without the place at its end, which is shown by other means.
fn trim_place(message: &str) -> String {
    let message = message.lines().next().unwrap_or_default();
    let end = [" at line ", " (line "].iter().filter_map(|place| message.rfind(place)).max().unwrap_or(message.len());
    super::mask::words(&message[..end])
}

fn place(location: Location) -> Place {
    let number = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
    Place { line: number(location.line()), column: number(location.column()) }
}

/// Any value YAML can write, its parts with their places.
enum Loose {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Spanned<Loose>>),
    Map(Vec<(Spanned<String>, Spanned<Loose>)>),
}

impl Loose {
    fn at(self, used: Location, defined: Location, text: &str) -> Node {
        let written = || {
            let span = defined.span();
            let start = usize::try_from(span.byte_offset()?).ok()?;
            let len = usize::try_from(span.byte_len()?).ok()?;
            Some(text.get(start..start.checked_add(len)?)?.trim().to_owned())
        };
        let value = match self {
            Loose::Null => Value::Null,
            Loose::Bool(value) => Value::Bool(value, written().unwrap_or_else(|| value.to_string())),
            Loose::Number(number) => {
                let written = written().unwrap_or_else(|| number.to_string());
                Value::Number(number, written)
            }
            Loose::Text(text) => Value::Text(text),
            Loose::List(items) => {
                Value::List(items.into_iter().map(|item| item.value.at(item.referenced, item.defined, text)).collect())
            }
            Loose::Map(members) => Value::Map(
                members
                    .into_iter()
                    .map(|(key, member)| {
                        let key = Key { at: place(key.referenced), name: key.value };
                        (key, member.value.at(member.referenced, member.defined, text))
                    })
                    .collect(),
            ),
        };
        Node { at: place(used), value }
    }
}

impl<'de> Deserialize<'de> for Loose {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;

        impl<'de> Visitor<'de> for Any {
            type Value = Loose;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }

            fn visit_unit<E>(self) -> Result<Loose, E> {
                Ok(Loose::Null)
            }

            fn visit_none<E>(self) -> Result<Loose, E> {
                Ok(Loose::Null)
            }

            fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Loose, D::Error> {
                deserializer.deserialize_any(self)
            }

            fn visit_bool<E>(self, value: bool) -> Result<Loose, E> {
                Ok(Loose::Bool(value))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Loose, E> {
                Ok(Loose::Number(value.into()))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Loose, E> {
                Ok(Loose::Number(value.into()))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Loose, E> {
                Ok(Number::from_f64(value).map_or_else(|| Loose::Text(value.to_string()), Loose::Number))
            }

            fn visit_i128<E>(self, value: i128) -> Result<Loose, E> {
                Ok(Loose::Text(value.to_string()))
            }

            fn visit_u128<E>(self, value: u128) -> Result<Loose, E> {
                Ok(Loose::Text(value.to_string()))
            }

            fn visit_str<E>(self, value: &str) -> Result<Loose, E> {
                Ok(Loose::Text(value.to_owned()))
            }

            fn visit_bytes<E>(self, value: &[u8]) -> Result<Loose, E> {
                Ok(Loose::Text(String::from_utf8_lossy(value).into_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Loose, A::Error> {
                let mut list = Vec::new();
                while let Some(item) = items.next_element()? {
                    list.push(item);
                }
                Ok(Loose::List(list))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Loose, A::Error> {
                let mut map = Vec::new();
                while let Some(member) = members.next_entry()? {
                    map.push(member);
                }
                Ok(Loose::Map(map))
            }
        }

        deserializer.deserialize_any(Any)
    }
}

/// JSON, whose parts are slices of the text: their addresses say where they stand.
struct Json<'t> {
    text: &'t str,
    line_starts: Vec<usize>,
}

/// The members of an object as written, in order, repeated ones included.
struct Members<'t>(Vec<(&'t RawValue, &'t RawValue)>);

impl<'de: 't, 't> Deserialize<'de> for Members<'t> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;

        impl<'de> Visitor<'de> for Pairs {
            type Value = Vec<(&'de RawValue, &'de RawValue)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = members.next_entry()? {
                    pairs.push(pair);
                }
                Ok(pairs)
            }
        }

        deserializer.deserialize_map(Pairs).map(Members)
    }
}

impl<'t> Json<'t> {
    fn node(&self, raw: &'t RawValue, depth: usize) -> Result<Node, Box<Problem>> {
        let text = raw.get();
        let at = self.place(raw);
        if depth > DEEPEST {
            return Err(Box::new(Problem::new("", "syntax", "nested too deeply").at(at.line, at.column)));
        }
        let fault = |error: serde_json::Error| json_fault(self.text, &error, self.offset(raw));
        let value = match text.as_bytes().first() {
            Some(b'n') => Value::Null,
            Some(b't') => Value::Bool(true, text.to_owned()),
            Some(b'f') => Value::Bool(false, text.to_owned()),
            Some(b'"') => Value::Text(serde_json::from_str(text).map_err(fault)?),
            Some(b'[') => {
                let items: Vec<&RawValue> = serde_json::from_str(text).map_err(fault)?;
                Value::List(items.into_iter().map(|item| self.node(item, depth + 1)).collect::<Result<_, _>>()?)
            }
            Some(b'{') => {
                let Members(members) = serde_json::from_str(text).map_err(fault)?;
                let member = |(key, value): (&'t RawValue, &'t RawValue)| {
                    let name = serde_json::from_str(key.get())
                        .map_err(|error| json_fault(self.text, &error, self.offset(key)))?;
                    Ok((Key { name, at: self.place(key) }, self.node(value, depth + 1)?))
                };
                Value::Map(members.into_iter().map(member).collect::<Result<_, Box<Problem>>>()?)
            }
            _ => Value::Number(serde_json::from_str(text).map_err(fault)?, text.to_owned()),
        };
        Ok(Node { at, value })
    }

    fn offset(&self, raw: &RawValue) -> usize {
        (raw.get().as_ptr() as usize).wrapping_sub(self.text.as_ptr() as usize)
    }

    fn place(&self, raw: &RawValue) -> Place {
        let offset = self.offset(raw);
        let line = self.line_starts.partition_point(|start| *start <= offset);
        let before = self.text.get(self.line_starts[line - 1]..offset).unwrap_or_default();
        Place { line, column: before.chars().count() + 1 }
    }
}

fn line_starts(text: &str) -> Vec<usize> {
    std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect()
}

/// Whether a list ends at the place of this error, and a comma stands before that.
fn is_behind_a_comma(part: &str, error: &serde_json::Error) -> bool {
    let lines: usize = part.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
    let (before, rest) = part.split_at_checked(lines + error.column().saturating_sub(1)).unwrap_or_default();
    rest.starts_with(']') && before.trim_end().ends_with(',')
}

/// A fault of the JSON parser in the part of `text` that begins at `offset`.
fn json_fault(text: &str, error: &serde_json::Error, offset: usize) -> Box<Problem> {
    let message = match trim_place(&error.to_string()).as_str() {
        "key must be a string" => "expected a key in quotes; a comma before a `}` is one too many".to_owned(),
        "trailing characters" => "the configuration ended before this".to_owned(),
        "expected value" if text.get(offset..).is_some_and(|part| is_behind_a_comma(part, error)) => {
            "expected a value; a comma before a `]` is one too many".to_owned()
        }
        "trailing comma" => "this comma is one too many".to_owned(),
        message => message.replace("EOF while parsing", "the file ends inside"),
    };
    let part = text.get(offset..).unwrap_or_default();
    let lines_before = text.get(..offset).unwrap_or_default().matches('\n').count();
    let line_start = text.get(..offset).unwrap_or_default().rfind('\n').map_or(0, |at| at + 1);
    let line = part.split('\n').nth(error.line().saturating_sub(1)).unwrap_or_default();
    let bytes = line.as_bytes().get(..error.column().saturating_sub(1)).unwrap_or(line.as_bytes());
    let mut column = String::from_utf8_lossy(bytes).chars().count() + 1;
    if error.line() <= 1 {
        column += text.get(line_start..offset).unwrap_or_default().chars().count();
    }
    Box::new(Problem::new("", "syntax", message).at(lines_before + error.line().max(1), column))
}
