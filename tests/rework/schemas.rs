//! JSON schemas on their way to hosts that take only some of them.

use super::{becomes, becomes_with};

const BOUNDED: &str = r#"{"type":"object","properties":{"a":{"type":"string","minLength":2}}}"#;

fn answer(schema: &str) -> String {
    format!(
        r#"{{"model":"m","messages":[],"response_format":{{"type":"json_schema","json_schema":{{"name":"n","schema":{schema}}}}}}}"#
    )
}

fn tool(strict: &str, schema: &str) -> String {
    format!(
        r#"{{"model":"m","messages":[],"tools":[{{"type":"function","function":{{"name":"f"{strict},"parameters":{schema}}}}}]}}"#
    )
}

const STRICT: &str = ",\"strict\":true";

#[test]
fn cerebras_takes_closed_and_complete_objects_without_bounds() {
    let closed = r#"{"type":"object","properties":{"a":{"type":"string","description":"(minLength: 2)"}},"additionalProperties":false,"required":["a"]}"#;
    becomes_with("cerebras", &answer(BOUNDED), &answer(closed), &["response_format converted"]);
    becomes_with(
        "cerebras",
        &tool(STRICT, BOUNDED),
        &tool(STRICT, closed),
        &["tools[0].function.parameters converted"],
    );
    becomes("cerebras", &tool("", BOUNDED), &tool("", BOUNDED));
}

#[test]
fn xai_has_no_lengths_in_answers() {
    let told = r#"{"type":"object","properties":{"a":{"type":"string","description":"(minLength: 2)"}}}"#;
    becomes_with("xai", &answer(BOUNDED), &answer(told), &["response_format converted"]);
    becomes("xai", &tool(STRICT, BOUNDED), &tool(STRICT, BOUNDED));
}

#[test]
fn mistral_closes_what_it_is_held_to() {
    let closed = r#"{"type":"object","properties":{"a":{"type":"string","minLength":2}},"additionalProperties":false}"#;
    becomes("mistral", &tool(STRICT, BOUNDED), &tool(STRICT, closed));
    becomes("mistral", &tool("", BOUNDED), &tool("", BOUNDED));
}

#[test]
fn moonshot_wants_types_in_branches() {
    let beside = r#"{"$schema":"x","type":"object","anyOf":[{"required":["a"]},{"required":["b"]}]}"#;
    let inside = r#"{"anyOf":[{"required":["a"],"type":"object"},{"required":["b"],"type":"object"}]}"#;
    becomes("moonshot", &tool("", beside), &tool("", inside));
}

#[test]
fn what_is_no_schema_is_left_to_the_vendor() {
    for schema in ["true", "[]", "7", "\"x\"", "null"] {
        becomes("cerebras", &answer(schema), &answer(schema));
    }
}
