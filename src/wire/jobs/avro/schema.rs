//! Schemas of Avro: what stands where in a record. <https://avro.apache.org/docs/1.12.0/specification/#schema-declaration>

use std::collections::HashMap;

use serde_json::Value;

use super::broken;
use crate::wire::Malformed;

/// No schema has more kinds.
const MOST: usize = 10_000;

/// Kinds are within each other no deeper.
const DEEPEST: usize = 64;

/// What a file holds: its kinds, each named by its place here; the first is that of a record.
pub(super) struct Schema(Vec<Kind>);

/// What a value may be.
pub(super) enum Kind {
    Null,
    Boolean,
    /// A whole number, short or long: they are written the same.
    Long,
    Float,
    Double,
    Bytes,
    Text,
    Record(Vec<(String, usize)>),
    Enum(Vec<String>),
    Array(usize),
    Map(usize),
    Union(Vec<usize>),
    Fixed(usize),
}

impl Schema {
    /// Read one in JSON. Fails on what is none.
    pub(super) fn read(text: &[u8]) -> Result<Self, Malformed> {
        let schema: Value = serde_json::from_slice(text).map_err(|_| broken("its schema is no JSON"))?;
        let mut reading = Reading { kinds: Vec::new(), names: HashMap::new() };
        reading.kind(&schema, "", 0)?;
        Ok(Self(reading.kinds))
    }

    pub(super) fn kind(&self, at: usize) -> &Kind {
        self.0.get(at).unwrap_or(&Kind::Null)
    }
}

struct Reading {
    kinds: Vec<Kind>,
    /// The places of kinds with a name.
    names: HashMap<String, usize>,
}

impl Reading {
    /// The place of a kind, which is found by its name or added.
    fn kind(&mut self, schema: &Value, space: &str, depth: usize) -> Result<usize, Malformed> {
        if depth > DEEPEST || self.kinds.len() >= MOST {
            return Err(broken("its schema is too large"));
        }
        match schema {
            Value::String(name) => match plain(name) {
                Some(kind) => Ok(self.add(kind)),
                None => {
                    let found = self.names.get(&full(name, space)).or_else(|| self.names.get(name.as_str()));
                    found.copied().ok_or_else(|| broken("its schema names a kind that it does not have"))
                }
            },
            Value::Array(kinds) => {
                let at = self.add(Kind::Null);
                let kinds = kinds.iter().map(|kind| self.kind(kind, space, depth + 1)).collect::<Result<_, _>>()?;
                self.kinds[at] = Kind::Union(kinds);
                Ok(at)
            }
            Value::Object(_) => self.said(schema, space, depth),
            _ => Err(broken("its schema is none")),
        }
    }

    fn said(&mut self, schema: &Value, space: &str, depth: usize) -> Result<usize, Malformed> {
        let text = |member: &str| schema.get(member).and_then(Value::as_str);
        let Some(kind) = text("type") else {
            return self.kind(schema.get("type").unwrap_or(&Value::Null), space, depth + 1);
        };
        if !matches!(kind, "record" | "error" | "enum" | "fixed" | "array" | "map") {
            return self.kind(&Value::String(kind.to_owned()), space, depth + 1);
        }
        let at = self.add(Kind::Null);
        let missing = |member: &str| broken(&format!("a kind of its schema has no {member}"));
        let within = |member: &str| schema.get(member).ok_or_else(|| missing(member));
        let name = text("name").unwrap_or_default();
        let space = match (name.rsplit_once('.'), text("namespace")) {
            (Some((space, _)), _) | (None, Some(space)) => space,
            (None, None) => space,
        };
        if !name.is_empty() {
            // before what is within it, which may name it
            self.names.insert(full(name, space), at);
        }
        self.kinds[at] = match kind {
            "array" => Kind::Array(self.kind(within("items")?, space, depth + 1)?),
            "map" => Kind::Map(self.kind(within("values")?, space, depth + 1)?),
            "enum" => {
                let symbols = within("symbols")?.as_array().ok_or_else(|| missing("symbols"))?;
                Kind::Enum(symbols.iter().filter_map(Value::as_str).map(str::to_owned).collect())
            }
            "fixed" => {
                let size = within("size")?.as_u64().and_then(|size| usize::try_from(size).ok());
                Kind::Fixed(size.ok_or_else(|| missing("size"))?)
            }
            _ => {
                let fields = within("fields")?.as_array().ok_or_else(|| missing("fields"))?;
                let fields = fields.iter().map(|field| {
                    let name = field.get("name").and_then(Value::as_str).ok_or_else(|| missing("name"))?;
                    let kind = field.get("type").ok_or_else(|| missing("type"))?;
                    Ok((name.to_owned(), self.kind(kind, space, depth + 1)?))
                });
                Kind::Record(fields.collect::<Result<_, Malformed>>()?)
            }
        };
        Ok(at)
    }

    fn add(&mut self, kind: Kind) -> usize {
        self.kinds.push(kind);
        self.kinds.len() - 1
    }
}

fn plain(name: &str) -> Option<Kind> {
    Some(match name {
        "null" => Kind::Null,
        "boolean" => Kind::Boolean,
        "int" | "long" => Kind::Long,
        "float" => Kind::Float,
        "double" => Kind::Double,
        "bytes" => Kind::Bytes,
        "string" => Kind::Text,
        _ => return None,
    })
}

fn full(name: &str, space: &str) -> String {
    if space.is_empty() || name.contains('.') { name.to_owned() } else { format!("{space}.{name}") }
}
