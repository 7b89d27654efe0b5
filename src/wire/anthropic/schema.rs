//! JSON schemas as the API enforces them (`providers.md` 1.15, profile `anthropic`).

use std::collections::HashSet;

use serde_json::{Map, Value};

use crate::wire::Malformed;
use crate::wire::native::schema::{BOUNDS, is_object, words};

/// How deep a schema may go.
const DEEPEST: usize = 64;

/// Formats of strings that are enforced.
const FORMATS: [&str; 10] =
    ["date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"];

/// Rules that can't be enforced, beside bounds: they are told to the model in words too.
const RULES: [&str; 5] = ["contains", "minContains", "maxContains", "patternProperties", "propertyNames"];

/// A schema that can be enforced; `None` if it is one that can't be: one that refers to itself, or goes too deep.
pub(super) fn enforced(raw: &[u8]) -> Result<Option<Vec<u8>>, Malformed> {
    let mut schema: Value = serde_json::from_slice(raw)?;
    if recursive(&schema, &schema, &mut Vec::new(), &mut HashSet::new()) || !rework(&mut schema, 0) {
        return Ok(None);
    }
    Ok(Some(serde_json::to_vec(&schema)?))
}

/// Whether following references leads back to where one was.
fn recursive<'a>(schema: &'a Value, root: &'a Value, open: &mut Vec<&'a str>, seen: &mut HashSet<&'a str>) -> bool {
    if open.len() > DEEPEST {
        return true;
    }
    match schema {
        Value::Object(members) => {
            if let Some(Value::String(reference)) = members.get("$ref") {
                if open.contains(&reference.as_str()) {
                    return true;
                }
                let Some(target) = reference.strip_prefix('#').and_then(|pointer| root.pointer(pointer)) else {
                    return false;
                };
                // what has been followed once leads nowhere else the second time
                if !seen.insert(reference) {
                    return false;
                }
                open.push(reference);
                let again = recursive(target, root, open, seen);
                open.pop();
                return again;
            }
            members
                .iter()
                .filter(|(name, _)| *name != "$defs" && *name != "definitions")
                .any(|(_, value)| recursive(value, root, open, seen))
        }
        Value::Array(items) => items.iter().any(|item| recursive(item, root, open, seen)),
        _ => false,
    }
}

/// Make a schema one that can be enforced; says whether it could be done.
fn rework(schema: &mut Value, depth: usize) -> bool {
    let Value::Object(members) = schema else { return depth <= DEEPEST };
    if depth > DEEPEST {
        return false;
    }
    members.shift_remove("$schema");
    members.shift_remove("$id");
    if let Some(Value::Array(all)) = members.get_mut("allOf").filter(|all| all.as_array().is_some_and(|a| a.len() == 1))
    {
        let only = all.pop();
        members.shift_remove("allOf");
        for (name, value) in only.and_then(|only| only.as_object().cloned()).unwrap_or_default() {
            members.entry(name).or_insert(value);
        }
    }
    if let Some(one) = members.shift_remove("oneOf") {
        members.entry("anyOf").or_insert(one);
    }
    describe(members);
    if is_object(members) {
        members.insert("additionalProperties".to_owned(), Value::Bool(false));
    }
    members.iter_mut().all(|(name, value)| match (name.as_str(), value) {
        ("properties" | "$defs" | "definitions", Value::Object(each)) => {
            each.values_mut().all(|value| rework(value, depth + 1))
        }
        ("anyOf" | "allOf" | "prefixItems", Value::Array(each)) => {
            each.iter_mut().all(|value| rework(value, depth + 1))
        }
        ("items", value) => rework(value, depth + 1),
        _ => true,
    })
}

/// Move bounds and unknown formats into the description.
fn describe(members: &mut Map<String, Value>) {
    // an array of at least one is enforced
    let stays = members.get("minItems").is_some_and(|value| matches!(value.as_u64(), Some(0 | 1)));
    let odd = |value: &Value| value.as_str().is_some_and(|format| !FORMATS.contains(&format));
    let odd = members.get("format").is_some_and(odd);
    let bounds = BOUNDS.iter().copied().filter(|name| *name != "format" && !(stays && *name == "minItems"));
    let words = words(members, bounds.chain(RULES).chain(odd.then_some("format")));
    if words.is_empty() {
        return;
    }
    let text = match members.get("description").and_then(Value::as_str) {
        Some(text) if !text.is_empty() => format!("{text} ({words})"),
        _ => words,
    };
    members.insert("description".to_owned(), Value::String(text));
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_schema_is_made_one_that_can_be_enforced() {
        let check = |schema: Value, expected: Value| {
            let done = enforced(schema.to_string().as_bytes()).expect("JSON").expect("one that can be enforced");
            assert_eq!(serde_json::from_slice::<Value>(&done).expect("JSON"), expected);
        };
        check(
            json!({"$schema": "x", "type": "object", "properties": {"n": {"type": "integer", "minimum": 1, "description": "a"}}}),
            json!({"type": "object", "properties": {"n": {"type": "integer", "description": "a (minimum: 1)"}},
                "additionalProperties": false}),
        );
        check(
            json!({"oneOf": [{"type": "string", "format": "uri"}, {"type": "string", "format": "phone"}]}),
            json!({"anyOf": [{"type": "string", "format": "uri"}, {"type": "string", "description": "format: \"phone\""}]}),
        );
        check(
            json!({"type": "array", "minItems": 1, "items": {"allOf": [{"type": "object", "properties": {}}]}}),
            json!({"type": "array", "minItems": 1,
                "items": {"type": "object", "properties": {}, "additionalProperties": false}}),
        );
        // a property may have any name
        check(
            json!({"type": "object", "properties": {"pattern": {"type": "string"}, "oneOf": {"type": "null"}}}),
            json!({"type": "object", "properties": {"pattern": {"type": "string"}, "oneOf": {"type": "null"}},
                "additionalProperties": false}),
        );
        let twice = json!({"$defs": {"a": {"type": "string"}}, "type": "object",
            "properties": {"x": {"$ref": "#/$defs/a"}, "y": {"$ref": "#/$defs/a"}}});
        assert!(enforced(twice.to_string().as_bytes()).expect("JSON").is_some());
        let tree = json!({"$defs": {"t": {"type": "object", "properties": {"sub": {"$ref": "#/$defs/t"}}}}, "$ref": "#/$defs/t"});
        assert!(enforced(tree.to_string().as_bytes()).expect("JSON").is_none());
        assert!(enforced(b"nonsense").is_err());
    }
}
