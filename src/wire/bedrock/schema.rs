//! JSON schemas as Converse and the models behind it take them.

use std::borrow::Cow;

use serde_json::{Map, Value, json};

use super::json::{self, Members};
use super::models::{Family, Model};
use crate::wire::native::schema::{BOUNDS, is_object, tell};

/// A schema is not followed deeper than this.
const DEEPEST: usize = 32;

/// A schema whose references, written out, come to more values than this keeps them.
const LARGEST: usize = 20_000;

const EMPTY: &str = r#"{"type":"object","properties":{}}"#;

/// What a tool's parameters become: always the schema of an object. `None` if they are none.
pub(super) fn of_tool<'a>(raw: Option<&'a str>, model: &Model) -> Option<Cow<'a, str>> {
    let Some(raw) = raw else { return Some(Cow::Borrowed(EMPTY)) };
    let members: Members<'_> = json::parse(raw).ok()?;
    let inlines = matches!(model.family, Family::Nova | Family::Llama);
    let root_only = |name: &str| matches!(name, "type" | "properties" | "required");
    let fits = members.text("type").as_deref() == Some("object")
        && members.raw("$schema").is_none()
        && (!inlines || !raw.contains("\"$ref\""))
        && (model.family != Family::Nova || members.iter().all(|(name, _)| root_only(name)));
    if fits {
        return Some(Cow::Borrowed(raw));
    }
    let mut schema: Value = serde_json::from_str(raw).ok()?;
    if inlines {
        schema = inlined(&schema);
    }
    let root = schema.as_object_mut()?;
    root.shift_remove("$schema");
    if root.get("type").is_none_or(|kind| kind != "object") {
        root.insert("type".to_owned(), Value::from("object"));
    }
    if model.family == Family::Nova {
        root.retain(|name, _| root_only(name));
    }
    root.entry("properties").or_insert_with(|| json!({}));
    Some(Cow::Owned(schema.to_string()))
}

/// What an answer's schema becomes where the model is held to it: every object closed, and bounds that its grammar has
/// no rules for told in words.
pub(super) fn of_answer(raw: &str) -> Option<String> {
    let mut schema: Value = serde_json::from_str(raw).ok()?;
    schema.as_object_mut()?.shift_remove("$schema");
    close(&mut schema, 0);
    Some(schema.to_string())
}

fn close(schema: &mut Value, depth: usize) {
    if depth > DEEPEST {
        return;
    }
    let Some(object) = schema.as_object_mut() else {
        for item in schema.as_array_mut().into_iter().flatten() {
            close(item, depth + 1);
        }
        return;
    };
    let bound = |name: &&str| match *name {
        "format" | "minItems" => false,
        // a property may well be called so: then it is an object
        name => object.get(name).is_some_and(|value| !value.is_object()),
    };
    let several = object.get("minItems").and_then(Value::as_u64).is_some_and(|least| least > 1);
    let told: Vec<&str> = BOUNDS.iter().copied().filter(bound).chain(several.then_some("minItems")).collect();
    tell(object, told.into_iter());
    if let Some(choices) = object.shift_remove("oneOf") {
        object.entry("anyOf").or_insert(choices);
    }
    if is_object(object) {
        object.insert("additionalProperties".to_owned(), Value::Bool(false));
    }
    for (name, inner) in object.iter_mut() {
        match name.as_str() {
            "properties" | "$defs" | "definitions" => {
                inner.as_object_mut().into_iter().flatten().for_each(|(_, schema)| close(schema, depth + 1));
            }
            "items" | "anyOf" | "allOf" | "prefixItems" => close(inner, depth + 1),
            _ => {}
        }
    }
}

/// The schema with what it refers to written out. A reference within itself becomes any object.
fn inlined(schema: &Value) -> Value {
    let mut left = LARGEST;
    let mut whole = inline(schema, schema, 0, &mut Vec::new(), &mut left);
    if left == 0 {
        return schema.clone();
    }
    if let Some(root) = whole.as_object_mut() {
        root.shift_remove("$defs");
        root.shift_remove("definitions");
    }
    whole
}

fn inline<'a>(part: &'a Value, root: &'a Value, depth: usize, open: &mut Vec<&'a str>, left: &mut usize) -> Value {
    *left = if depth > 4 * DEEPEST { 0 } else { left.saturating_sub(1) };
    if *left == 0 {
        return Value::Null;
    }
    let depth = depth + 1;
    match part {
        Value::Array(items) => items.iter().map(|item| inline(item, root, depth, open, left)).collect(),
        Value::Object(object) => {
            let reference = object.get("$ref").and_then(Value::as_str);
            if let Some(name) = reference {
                let target = name.strip_prefix('#').and_then(|pointer| root.pointer(pointer));
                return match target {
                    Some(target) if !open.contains(&name) => {
                        open.push(name);
                        let inner = inline(target, root, depth, open, left);
                        open.pop();
                        inner
                    }
                    _ => json!({"type": "object"}),
                };
            }
            let members = object.iter().map(|(name, value)| (name.clone(), inline(value, root, depth, open, left)));
            Value::Object(members.collect::<Map<_, _>>())
        }
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::models;
    use super::*;

    #[test]
    fn references_are_written_out_for_nova_and_cycles_end() {
        let schema = r##"{"$schema":"x","title":"t","type":"object","properties":{"a":{"$ref":"#/$defs/n"}},
            "$defs":{"n":{"type":"object","properties":{"next":{"$ref":"#/$defs/n"}}}}}"##;
        let sent = of_tool(Some(schema), &models::of("amazon.nova-pro-v1:0")).expect("as the test has it");
        let expected = json!({"type": "object", "properties": {"a": {"type": "object", "properties": {"next": {"type": "object"}}}}});
        assert_eq!(serde_json::from_str::<Value>(&sent).expect("as the test has it"), expected);
    }

    #[test]
    fn bounds_of_an_answer_are_told_in_words_and_objects_are_closed() {
        let sent = of_answer(r#"{"type":"object","properties":{"maximum":{"type":"integer","maximum":9}}}"#)
            .expect("as the test has it");
        let expected = json!({"type": "object", "additionalProperties": false,
            "properties": {"maximum": {"type": "integer", "description": "(maximum: 9)"}}});
        assert_eq!(serde_json::from_str::<Value>(&sent).expect("as the test has it"), expected);
    }
}
