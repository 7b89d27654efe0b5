//! The old form of tools: who asked with `functions` is answered with `function_call`.

use memchr::memmem;

use crate::wire::{Malformed, Object};

/// Whether a request has its tools in the old form.
pub fn asked(body: &Object) -> bool {
    let given = |member: &str| body.raw(member).is_some_and(|raw| !matches!(raw, b"null" | b"[]"));
    given("functions") && !given("tools")
}

/// Put the first call of a whole answer or an event into the old form, which has no room for a second one. Says whether
/// there was one.
pub fn in_old_form(body: &mut Object) -> Result<bool, Malformed> {
    if body.raw("choices").is_none_or(|choices| memmem::find(choices, b"\"tool_calls\"").is_none()) {
        return Ok(false);
    }
    let mut choices = body.objects("choices")?;
    for choice in &mut choices {
        for member in ["message", "delta"] {
            let Some(mut message) = choice.object(member)? else { continue };
            if !message.has("tool_calls") {
                continue;
            }
            let calls = message.objects("tool_calls")?;
            message.remove("tool_calls");
            let first = calls.iter().find(|call| matches!(call.raw("index"), None | Some(b"0")));
            if let Some(function) = first.map(|call| call.object("function")).transpose()?.flatten() {
                message.set_raw("function_call", function.encode());
            }
            choice.set_raw(member, message.encode());
        }
        if choice.raw("finish_reason") == Some(b"\"tool_calls\"") {
            choice.set("finish_reason", &"function_call");
        }
    }
    body.set_objects("choices", &choices);
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(json: &str) -> Object {
        Object::parse(bytes::Bytes::copy_from_slice(json.as_bytes())).expect("an object")
    }

    #[track_caller]
    fn check(answer: &str, expected: &str) {
        let mut body = object(answer);
        let changed = in_old_form(&mut body).expect("an answer");
        assert_eq!((body.encode().as_ref(), changed), (expected.as_bytes(), answer != expected));
    }

    #[test]
    fn a_call_is_a_function_call_in_answers_and_events() {
        check(
            r#"{"choices":[{"message":{"content":null,"tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{}"}},{"id":"b"}]},"finish_reason":"tool_calls"}]}"#,
            r#"{"choices":[{"message":{"content":null,"function_call":{"name":"f","arguments":"{}"}},"finish_reason":"function_call"}]}"#,
        );
        check(
            r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{"}},{"index":1,"function":{"arguments":"x"}}]}}]}"#,
            r#"{"choices":[{"delta":{"function_call":{"arguments":"{"}}}]}"#,
        );
        check(r#"{"choices":[{"delta":{"tool_calls":[{"index":1}]}}]}"#, r#"{"choices":[{"delta":{}}]}"#);
        check(
            r#"{"choices":[{"delta":{},"finish_reason":"tool_calls"}]}"#,
            r#"{"choices":[{"delta":{},"finish_reason":"function_call"}]}"#,
        );
        check(r#"{"choices":[{"delta":{"content":"a"}}]}"#, r#"{"choices":[{"delta":{"content":"a"}}]}"#);
    }

    #[test]
    fn who_asks_in_both_forms_asks_in_the_new_one() {
        for (body, old) in [
            (r#"{"functions":[{"name":"f"}]}"#, true),
            (r#"{"functions":[{"name":"f"}],"tools":[]}"#, true),
            (r#"{"functions":[{"name":"f"}],"tools":[{}]}"#, false),
            (r#"{"functions":[]}"#, false),
            ("{}", false),
        ] {
            assert_eq!(asked(&object(body)), old, "{body}");
        }
    }
}
