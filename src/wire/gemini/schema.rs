//! JSON schemas in the narrower words of OpenAPI, which is all that models before Gemini 2.5 take.
//!
//! <https://ai.google.dev/api/caching#Schema>

use serde_json::{Map, Value, json};

use super::json::invalid;
use crate::wire::native::Refused;
use crate::wire::{Malformed, scan};

/// The deepest schema that is translated, and the most nodes of it: references multiply.
const DEEPEST: usize = 64;
const MOST: usize = 20_000;

/// Members that keep their meaning.
const KEPT: [&str; 13] = [
    "description",
    "title",
    "minItems",
    "maxItems",
    "minLength",
    "maxLength",
    "minProperties",
    "maxProperties",
    "minimum",
    "maximum",
    "pattern",
    "nullable",
    "propertyOrdering",
];

/// Formats Google knows.
const FORMATS: [&str; 6] = ["enum", "date-time", "int32", "int64", "float", "double"];

/// Whether a schema is that of an object without members: it says nothing about parameters.
pub(super) fn is_empty(raw: &[u8]) -> bool {
    let mut empty = true;
    let read = scan::members(raw, |extent| {
        let value = &raw[extent.value];
        empty &= match &raw[extent.name] {
            b"properties" => value.strip_prefix(b"{").is_some_and(|rest| rest.trim_ascii() == b"}"),
            b"$ref" | b"anyOf" | b"oneOf" | b"allOf" | b"items" | b"enum" => false,
            b"additionalProperties" => matches!(value, b"false" | b"true"),
            _ => true,
        };
        Ok(())
    });
    read.is_ok() && empty
}

/// The parameters of a function; `None` where nothing is left to say.
pub(super) fn parameters(raw: &[u8]) -> Result<Option<Vec<u8>>, Refused> {
    let translated = Translation::new(raw, false)?.whole("tools")?;
    let nothing = translated.get("properties").is_none_or(|properties| properties == &json!({}));
    if nothing && translated.get("anyOf").is_none() {
        return Ok(None);
    }
    Ok(Some(serde_json::to_vec(&translated).expect("a value always encodes")))
}

/// The schema of an answer. Fails where it refers to itself: the answer could not be checked.
pub(super) fn response(raw: &[u8]) -> Result<Vec<u8>, Refused> {
    let translated = Translation::new(raw, true)?.whole("response_format.json_schema.schema")?;
    Ok(serde_json::to_vec(&translated).expect("a value always encodes"))
}

struct Translation {
    root: Value,
    /// Whether a schema within itself is refused; else it becomes an object of any kind.
    strict: bool,
    nodes: usize,
    recursive: bool,
    /// References that are being followed.
    open: Vec<String>,
}

impl Translation {
    fn new(raw: &[u8], strict: bool) -> Result<Self, Refused> {
        let root = serde_json::from_slice(raw).map_err(Malformed::from)?;
        Ok(Self { root, strict, nodes: 0, recursive: false, open: Vec::new() })
    }

    fn whole(mut self, param: &str) -> Result<Value, Refused> {
        let root = self.root.clone();
        let translated = self.schema(&root, 0);
        if self.recursive && self.strict {
            return invalid(param, "refers to itself, which this model's schemas cannot");
        }
        if self.nodes > MOST {
            return invalid(param, "is too large for this model");
        }
        Ok(translated)
    }

    fn schema(&mut self, schema: &Value, depth: usize) -> Value {
        self.nodes += 1;
        let Value::Object(given) = schema else { return json!({"type": "OBJECT"}) };
        if depth > DEEPEST || self.nodes > MOST {
            self.recursive |= depth > DEEPEST;
            return json!({"type": "OBJECT"});
        }
        if let Some(reference) = given.get("$ref").and_then(Value::as_str) {
            return self.reference(reference, given, depth);
        }
        let mut out = Map::new();
        self.types(given, &mut out);
        for name in KEPT {
            if let Some(value) = given.get(name) {
                out.insert(name.to_owned(), value.clone());
            }
        }
        if let Some(format) = given.get("format").filter(|format| FORMATS.iter().any(|known| *format == known)) {
            out.insert("format".to_owned(), format.clone());
        }
        let literals = given.get("enum").and_then(Value::as_array).cloned();
        if let Some(literals) = literals.or_else(|| Some(vec![given.get("const")?.clone()])) {
            let words = literals.iter().filter(|word| !word.is_null()).map(|word| match word {
                Value::String(_) => word.clone(),
                other => Value::String(other.to_string()),
            });
            out.insert("enum".to_owned(), words.collect());
            // only texts are enumerated
            out.insert("type".to_owned(), "STRING".into());
        }
        self.branches(given, &mut out, depth);
        self.members(given, &mut out, depth);
        Value::Object(out)
    }

    /// What a reference stands for, with what is said beside it.
    fn reference(&mut self, reference: &str, given: &Map<String, Value>, depth: usize) -> Value {
        let target = reference.strip_prefix('#').and_then(|path| self.root.pointer(path)).cloned();
        if self.open.iter().any(|open| open == reference) || target.is_none() {
            self.recursive |= target.is_some();
            return json!({"type": "OBJECT"});
        }
        self.open.push(reference.to_owned());
        let mut found = self.schema(&target.unwrap_or_default(), depth + 1);
        self.open.pop();
        if let (Some(description), Value::Object(found)) = (given.get("description"), &mut found) {
            found.insert("description".to_owned(), description.clone());
        }
        found
    }

    fn types(&mut self, given: &Map<String, Value>, out: &mut Map<String, Value>) {
        let named: Vec<&str> = match given.get("type") {
            Some(Value::String(one)) => vec![one],
            Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        if named.contains(&"null") {
            out.insert("nullable".to_owned(), true.into());
        }
        let known: Vec<String> = named.iter().filter(|name| **name != "null").map(|name| name.to_uppercase()).collect();
        match known.as_slice() {
            [] if given.contains_key("properties") => _ = out.insert("type".to_owned(), "OBJECT".into()),
            [] if given.contains_key("items") => _ = out.insert("type".to_owned(), "ARRAY".into()),
            [] => {}
            [one] => _ = out.insert("type".to_owned(), one.as_str().into()),
            several => {
                let each = several.iter().map(|name| json!({"type": name}));
                out.insert("anyOf".to_owned(), each.collect());
            }
        }
    }

    fn branches(&mut self, given: &Map<String, Value>, out: &mut Map<String, Value>, depth: usize) {
        for name in ["anyOf", "oneOf"] {
            let Some(branches) = given.get(name).and_then(Value::as_array) else { continue };
            let is_null = |branch: &Value| branch.get("type").is_some_and(|kind| kind == "null");
            if branches.iter().any(is_null) {
                out.insert("nullable".to_owned(), true.into());
            }
            let real: Vec<&Value> = branches.iter().filter(|branch| !is_null(branch)).collect();
            let mut translated: Vec<Value> = real.into_iter().map(|branch| self.schema(branch, depth + 1)).collect();
            match (translated.len(), translated.pop()) {
                (1, Some(Value::Object(only))) => out.extend(only),
                (_, Some(last)) => {
                    translated.push(last);
                    out.insert("anyOf".to_owned(), translated.into());
                }
                _ => {}
            }
        }
        for part in given.get("allOf").and_then(Value::as_array).into_iter().flatten() {
            let Value::Object(part) = self.schema(part, depth + 1) else { continue };
            for (name, value) in part {
                match (out.get_mut(&name), value) {
                    (Some(Value::Object(known)), Value::Object(more)) => known.extend(more),
                    (Some(Value::Array(known)), Value::Array(more)) => known.extend(more),
                    (Some(_), _) => {}
                    (None, value) => _ = out.insert(name, value),
                }
            }
        }
    }

    fn members(&mut self, given: &Map<String, Value>, out: &mut Map<String, Value>, depth: usize) {
        if let Some(Value::Object(properties)) = given.get("properties") {
            let known = out.entry("properties").or_insert_with(|| json!({}));
            let mut all = known.as_object().cloned().unwrap_or_default();
            for (name, schema) in properties {
                all.insert(name.clone(), self.schema(schema, depth + 1));
            }
            out.insert("properties".to_owned(), Value::Object(all));
        }
        if let Some(items) = given.get("items").filter(|items| items.is_object()) {
            let items = self.schema(items, depth + 1);
            out.insert("items".to_owned(), items);
        } else if out.get("type").is_some_and(|kind| kind == "ARRAY") && !out.contains_key("items") {
            out.insert("items".to_owned(), json!({"type": "STRING"}));
        }
        let mut required: Vec<Value> = given.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
        required.extend(out.get("required").and_then(Value::as_array).cloned().unwrap_or_default());
        let properties = out.get("properties").and_then(Value::as_object);
        required.retain(|name| {
            name.as_str().is_some_and(|name| properties.is_some_and(|properties| properties.contains_key(name)))
        });
        let mut seen: Vec<Value> = Vec::with_capacity(required.len());
        for name in required {
            if !seen.contains(&name) {
                seen.push(name);
            }
        }
        match seen.is_empty() {
            true => _ = out.remove("required"),
            false => _ = out.insert("required".to_owned(), seen.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(schema: Value, expected: Value) {
        let found = parameters(schema.to_string().as_bytes()).expect("a schema").expect("members");
        assert_eq!(serde_json::from_slice::<Value>(&found).expect("JSON"), expected, "{schema}");
    }

    #[test]
    fn schemas_are_said_in_googles_words() {
        check(
            json!({"type": "object", "$schema": "x", "additionalProperties": false, "required": ["a", "gone"], "properties": {
                "a": {"type": ["string", "null"], "format": "email", "default": 1},
                "b": {"type": "array"},
                "c": {"const": 3},
                "d": {"oneOf": [{"type": "integer", "format": "int32"}, {"type": "boolean"}]},
                "e": {"anyOf": [{"$ref": "#/$defs/E"}, {"type": "null"}]},
                "f": {"type": ["integer", "string"]},
            }, "$defs": {"E": {"type": "object", "properties": {"again": {"$ref": "#/$defs/E"}}}}}),
            json!({"type": "OBJECT", "properties": {
                "a": {"type": "STRING", "nullable": true},
                "b": {"type": "ARRAY", "items": {"type": "STRING"}},
                "c": {"type": "STRING", "enum": ["3"]},
                "d": {"anyOf": [{"type": "INTEGER", "format": "int32"}, {"type": "BOOLEAN"}]},
                "e": {"nullable": true, "type": "OBJECT", "properties": {"again": {"type": "OBJECT"}}},
                "f": {"anyOf": [{"type": "INTEGER"}, {"type": "STRING"}]},
            }, "required": ["a"]}),
        );
        check(
            json!({"allOf": [{"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]},
                             {"properties": {"b": {"type": "number"}}, "required": ["b"]}]}),
            json!({"type": "OBJECT", "properties": {"a": {"type": "STRING"}, "b": {"type": "NUMBER"}},
                   "required": ["a", "b"]}),
        );
    }

    #[test]
    fn a_schema_that_multiplies_by_references_is_refused() {
        let mut definitions = Map::new();
        for level in 0..40 {
            let next = json!({"$ref": format!("#/$defs/L{}", level + 1)});
            definitions.insert(format!("L{level}"), json!({"type": "object", "properties": {"a": next, "b": next}}));
        }
        definitions.insert("L40".to_owned(), json!({"type": "string"}));
        let schema = json!({"$ref": "#/$defs/L0", "$defs": definitions});
        assert!(response(schema.to_string().as_bytes()).is_err());
    }

    #[test]
    fn an_object_without_members_says_nothing() {
        assert!(is_empty(br#"{"type":"object","properties":{ },"additionalProperties":false}"#));
        assert!(!is_empty(br#"{"type":"object","properties":{"a":{}}}"#));
        assert!(!is_empty(br##"{"$ref":"#/$defs/A"}"##));
    }
}
