//! Parameters that have another name, form or range.

use super::{given, invalid, is, json, mentions, object, text};
use crate::call::Error;
use crate::providers::spec::Notes;
use crate::wire::Object;

/// The limit goes by its old name, `max_tokens`.
pub fn max_tokens(body: &mut Object, _: &mut Notes<'_>) -> Result<(), Error> {
    one_limit(body, "max_completion_tokens", "max_tokens");
    Ok(())
}

/// The limit goes by its new name, `max_completion_tokens`.
pub fn max_completion_tokens(body: &mut Object, _: &mut Notes<'_>) -> Result<(), Error> {
    one_limit(body, "max_tokens", "max_completion_tokens");
    Ok(())
}

/// `max_completion_tokens` counts if both are given; `null` is as good as absent.
fn one_limit(body: &mut Object, from: &'static str, to: &'static str) {
    if !body.has(from) {
        return;
    }
    let newer = if given(body, "max_completion_tokens") { "max_completion_tokens" } else { "max_tokens" };
    if newer == to || !given(body, from) {
        body.remove(from);
    } else {
        body.rename(from, to);
    }
}

/// `tool_choice: "required"` is `"any"` there.
pub fn any_for_required(body: &mut Object, _: &mut Notes<'_>) -> Result<(), Error> {
    if is(body, "tool_choice", r#""required""#) {
        body.set("tool_choice", &"any");
    }
    Ok(())
}

/// A tool can be offered there, not demanded.
pub fn auto_for_required(body: &mut Object, notes: &mut Notes<'_>) -> Result<(), Error> {
    if is(body, "tool_choice", r#""required""#) {
        body.set("tool_choice", &"auto");
        notes.warn("tool_choice", "lowered");
    }
    Ok(())
}

/// `user` is called `safety_identifier` there.
pub fn safety_identifier(body: &mut Object, _: &mut Notes<'_>) -> Result<(), Error> {
    if given(body, "safety_identifier") {
        body.remove("user");
    } else {
        body.rename("user", "safety_identifier");
    }
    Ok(())
}

/// `user` is called `user_id` there, and `safety_identifier` means the same.
pub fn user_id(body: &mut Object, _: &mut Notes<'_>) -> Result<(), Error> {
    if !body.has("user_id") {
        let from = if given(body, "safety_identifier") { "safety_identifier" } else { "user" };
        body.rename(from, "user_id");
    }
    body.remove("user");
    body.remove("safety_identifier");
    Ok(())
}

/// `logprobs` is the number of alternatives there: `true` with `top_logprobs` of three is 3, alone it is 1.
pub fn counted_logprobs(body: &mut Object, _: &mut Notes<'_>) -> Result<(), Error> {
    let count = body.get::<u64>("top_logprobs").ok().flatten();
    body.remove("top_logprobs");
    match body.raw("logprobs") {
        Some(b"true") => body.set("logprobs", &count.unwrap_or(1).max(1)),
        Some(b"false" | b"null") => drop(body.remove("logprobs")),
        _ => {}
    }
    Ok(())
}

/// A tool without parameters says so: `parameters` may not be absent there.
pub fn spelled_out_parameters(body: &mut Object, _: &mut Notes<'_>) -> Result<(), Error> {
    if !given(body, "tools") {
        return Ok(());
    }
    let mut tools = body.objects("tools")?;
    let mut changed = false;
    for tool in &mut tools {
        let Some(mut function) = tool.object("function")? else { continue };
        if !given(&function, "parameters") {
            function.set_raw("parameters", bytes::Bytes::from_static(br#"{"type":"object","properties":{}}"#));
            tool.set_raw("function", function.encode());
            changed = true;
        }
    }
    if changed {
        body.set_objects("tools", &tools);
    }
    Ok(())
}

/// Tools have no `strict` there.
pub fn lax_tools(body: &mut Object, notes: &mut Notes<'_>) -> Result<(), Error> {
    if !body.raw("tools").is_some_and(|tools| mentions(tools, "\"strict\"")) {
        return Ok(());
    }
    let mut tools = body.objects("tools")?;
    let mut lost = false;
    for tool in &mut tools {
        let Some(mut function) = tool.object("function")? else { continue };
        lost |= is(&function, "strict", "true");
        if function.remove("strict") {
            tool.set_raw("function", function.encode());
        }
    }
    body.set_objects("tools", &tools);
    if lost {
        notes.warn("tools[].function.strict", "dropped");
    }
    Ok(())
}

/// A JSON schema is not enforced there: JSON is, and the schema is put into the instructions.
pub fn schema_as_instruction(body: &mut Object, notes: &mut Notes<'_>) -> Result<(), Error> {
    let Some(format) = body.object("response_format")? else { return Ok(()) };
    if !is(&format, "type", r#""json_schema""#) {
        return Ok(());
    }
    let inner = format.object("json_schema")?;
    let schema = inner
        .as_ref()
        .and_then(|inner| inner.raw("schema"))
        .ok_or_else(|| invalid("response_format.json_schema.schema", "missing"))?;
    let schema = String::from_utf8_lossy(schema);
    let instruction =
        format!("Answer with one JSON object, and nothing else, that is valid under this JSON schema: {schema}");
    let mut messages = body.objects("messages")?;
    let first = messages.first_mut().filter(|message| is(message, "role", r#""system""#));
    match first.and_then(|message| Some((text(message, "content")?, message))) {
        Some((content, message)) => message.set("content", &format!("{content}\n\n{instruction}")),
        None => {
            let system = object(&[("role", br#""system""#), ("content", &json(&instruction))]);
            messages.insert(0, Object::parse(system)?);
        }
    }
    body.set_objects("messages", &messages);
    body.set_raw("response_format", bytes::Bytes::from_static(br#"{"type":"json_object"}"#));
    notes.warn("response_format", "translated");
    Ok(())
}

/// Hugging Face's own backend takes a schema as the value of `json_object`.
pub fn schema_as_value(body: &mut Object, _: &mut Notes<'_>) -> Result<(), Error> {
    let Some(format) = body.object("response_format")? else { return Ok(()) };
    if !is(&format, "type", r#""json_schema""#) {
        return Ok(());
    }
    let inner = format.object("json_schema")?.unwrap_or_default();
    if let Some(schema) = inner.raw("schema") {
        body.set_raw("response_format", object(&[("type", br#""json_object""#), ("value", schema)]));
    }
    Ok(())
}
