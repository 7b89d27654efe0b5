//! JSON schemas as vendors take them: keywords they have no rules for, objects they want closed.

use serde_json::{Map, Value};

use crate::wire::Malformed;

/// A schema is not looked into deeper than this.
const DEEPEST: usize = 64;

/// Bounds of numbers, texts and lists.
pub const BOUNDS: &[&str] = &[
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "pattern",
    "format",
    "minItems",
    "maxItems",
    "uniqueItems",
    "minProperties",
    "maxProperties",
];

/// What becomes of a schema.
#[derive(Clone, Copy, Debug)]
pub struct Profile {
    /// Keywords there are no rules for: the model is told about them in the description.
    pub told: &'static [&'static str],
    /// Keywords that are left out.
    pub gone: &'static [&'static str],
    /// Whether objects must say that they have no other members.
    pub closed: bool,
    /// Whether every member of an object must be required.
    pub complete: bool,
    /// Whether `type` may not stand beside `anyOf`, only in its branches.
    pub types_in_branches: bool,
}

/// A profile that leaves everything as it is.
pub const AS_IT_IS: Profile =
    Profile { told: &[], gone: &[], closed: false, complete: false, types_in_branches: false };

/// A schema that was changed.
#[derive(Debug, PartialEq, Eq)]
pub struct Fitted {
    /// The schema.
    pub schema: Vec<u8>,
    /// Whether rules of it are now words.
    pub told: bool,
}

impl Profile {
    /// A schema as this profile has it; `None` if it is so already. Fails on what is no JSON.
    pub fn fit(&self, raw: &[u8]) -> Result<Option<Fitted>, Malformed> {
        let mut schema: Value = serde_json::from_slice(raw)?;
        let mut told = false;
        if !self.visit(&mut schema, 0, &mut told) {
            return Ok(None);
        }
        Ok(Some(Fitted { schema: serde_json::to_vec(&schema)?, told }))
    }

    /// Change a schema and those inside it; says whether anything was changed.
    fn visit(&self, schema: &mut Value, depth: usize, told: &mut bool) -> bool {
        let Some(object) = schema.as_object_mut().filter(|_| depth < DEEPEST) else { return false };
        let mut changed = self.change(object, told);
        for (name, inner) in object.iter_mut() {
            changed |= match name.as_str() {
                "properties" | "patternProperties" | "$defs" | "definitions" | "dependentSchemas" => {
                    self.all(inner.as_object_mut().into_iter().flatten().map(|(_, inner)| inner), depth, told)
                }
                "anyOf" | "oneOf" | "allOf" | "prefixItems" => {
                    self.all(inner.as_array_mut().into_iter().flatten(), depth, told)
                }
                "items" if inner.is_array() => self.all(inner.as_array_mut().into_iter().flatten(), depth, told),
                "items" | "additionalProperties" | "contains" | "not" | "if" | "then" | "else" => {
                    self.visit(inner, depth + 1, told)
                }
                _ => false,
            };
        }
        changed
    }

    fn all<'a>(&self, schemas: impl Iterator<Item = &'a mut Value>, depth: usize, told: &mut bool) -> bool {
        schemas.fold(false, |changed, schema| self.visit(schema, depth + 1, told) | changed)
    }

    fn change(&self, object: &mut Map<String, Value>, told: &mut bool) -> bool {
        let mut changed = false;
        for name in self.gone {
            changed |= object.shift_remove(*name).is_some();
        }
        if tell(object, self.told.iter().copied()) {
            (changed, *told) = (true, true);
        }
        if self.types_in_branches && object.get("anyOf").is_some_and(Value::is_array) {
            changed |= into_branches(object);
        }
        if (self.closed || self.complete) && is_object(object) {
            changed |= self.shut(object);
        }
        changed
    }

    fn shut(&self, object: &mut Map<String, Value>) -> bool {
        let mut changed = false;
        if self.closed && object.get("additionalProperties") != Some(&Value::Bool(false)) {
            object.insert("additionalProperties".to_owned(), Value::Bool(false));
            changed = true;
        }
        let members = object.get("properties").and_then(Value::as_object);
        let names: Vec<Value> = members.into_iter().flat_map(Map::keys).map(|name| name.as_str().into()).collect();
        let required = object.get("required").and_then(Value::as_array).map_or(0, Vec::len);
        if self.complete && required < names.len() {
            object.insert("required".to_owned(), names.into());
            changed = true;
        }
        changed
    }
}

/// Rules as words, which are rules no more; empty if there are none of these names.
pub(in crate::wire) fn words<'a>(object: &mut Map<String, Value>, names: impl Iterator<Item = &'a str>) -> String {
    let rules = names.filter_map(|name| Some(format!("{name}: {}", object.shift_remove(name)?)));
    rules.collect::<Vec<_>>().join(", ")
}

/// Move rules of these names into the description; says whether there were any.
pub(in crate::wire) fn tell<'a>(object: &mut Map<String, Value>, names: impl Iterator<Item = &'a str>) -> bool {
    let words = words(object, names);
    if !words.is_empty() {
        let description = object.get("description").and_then(Value::as_str).unwrap_or_default();
        let gap = if description.is_empty() { "" } else { " " };
        let description = format!("{description}{gap}({words})");
        object.insert("description".to_owned(), description.into());
    }
    !words.is_empty()
}

/// Whether a schema is that of an object.
pub(in crate::wire) fn is_object(schema: &Map<String, Value>) -> bool {
    match schema.get("type") {
        Some(Value::String(kind)) => kind == "object",
        Some(Value::Array(kinds)) => kinds.iter().any(|kind| kind == "object"),
        _ => schema.contains_key("properties"),
    }
}

fn into_branches(object: &mut Map<String, Value>) -> bool {
    let Some(kind) = object.shift_remove("type") else { return false };
    for branch in object.get_mut("anyOf").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(branch) = branch.as_object_mut() {
            branch.entry("type").or_insert_with(|| kind.clone());
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(profile: Profile, schema: &Value, expected: Option<(Value, bool)>) {
        let fitted = profile.fit(schema.to_string().as_bytes()).expect("a schema");
        let fitted = fitted.map(|fitted| (serde_json::from_slice(&fitted.schema).expect("JSON"), fitted.told));
        assert_eq!(fitted, expected, "{schema}");
    }

    #[test]
    fn what_fits_is_left_alone() {
        let closed = Profile { closed: true, complete: true, told: BOUNDS, ..AS_IT_IS };
        let schema = json!({ "type": "object", "properties": { "minimum": { "type": "string" } },
                             "required": ["minimum"], "additionalProperties": false });
        check(closed, &schema, None);
        check(AS_IT_IS, &json!({ "type": "string", "minLength": 1 }), None);
    }

    #[test]
    fn bounds_are_told_in_words_and_objects_are_closed() {
        let closed = Profile { closed: true, complete: true, told: BOUNDS, ..AS_IT_IS };
        let inner = json!({ "type": ["object", "null"], "properties": { "b": { "type": "integer", "minimum": 1 } } });
        let schema = json!({ "type": "object", "properties": { "a": { "type": "array", "description": "All.",
                             "maxItems": 3, "minItems": 1, "items": inner }, "c": { "$ref": "#/$defs/d" } },
                             "required": ["a"], "$defs": { "d": { "anyOf": [{ "properties": {} }] } } });
        let inner = json!({ "type": ["object", "null"], "properties": { "b": { "type": "integer",
                            "description": "(minimum: 1)" } }, "additionalProperties": false, "required": ["b"] });
        let expected = json!({ "type": "object", "properties": { "a": { "type": "array",
                               "description": "All. (minItems: 1, maxItems: 3)", "items": inner },
                               "c": { "$ref": "#/$defs/d" } }, "required": ["a", "c"],
                               "$defs": { "d": { "anyOf": [{ "properties": {}, "additionalProperties": false }] } },
                               "additionalProperties": false });
        check(closed, &schema, Some((expected, true)));
    }

    #[test]
    fn a_type_moves_into_the_branches() {
        let inside = Profile { types_in_branches: true, gone: &["$schema"], ..AS_IT_IS };
        let schema = json!({ "$schema": "x", "type": "object", "anyOf": [{ "required": ["a"] }, { "type": "null" }] });
        let expected = json!({ "anyOf": [{ "required": ["a"], "type": "object" }, { "type": "null" }] });
        check(inside, &schema, Some((expected, false)));
    }

    #[test]
    fn depth_has_an_end() {
        let mut schema = json!({ "type": "string", "minLength": 1 });
        for _ in 0..40 {
            schema = json!({ "not": { "items": schema } });
        }
        check(Profile { told: BOUNDS, ..AS_IT_IS }, &schema, None);
        assert!(AS_IT_IS.fit("[".repeat(10_000).as_bytes()).is_err());
    }
}
