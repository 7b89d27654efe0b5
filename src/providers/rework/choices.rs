//! Changes of answers: what is in `choices`, of whole answers (`message`) and of events (`delta`) alike.

use super::{given, is, json, mentions, object, text};
use crate::providers::spec::Trail;
use crate::wire::{Malformed, Object};

/// Rework each choice; returns whether any was changed.
pub(super) fn each(
    body: &mut Object,
    mut rework: impl FnMut(&mut Object) -> Result<bool, Malformed>,
) -> Result<bool, Malformed> {
    let mut choices = body.objects("choices")?;
    let mut changed = false;
    for choice in &mut choices {
        changed |= rework(choice)?;
    }
    if changed {
        body.set_objects("choices", &choices);
    }
    Ok(changed)
}

/// Rework the message or delta of each choice; returns whether any was changed.
pub(super) fn each_message(
    body: &mut Object,
    mut rework: impl FnMut(&mut Object) -> Result<bool, Malformed>,
) -> Result<bool, Malformed> {
    each(body, |choice| {
        let mut changed = false;
        for member in ["message", "delta"] {
            let Some(mut message) = choice.object(member)? else { continue };
            if rework(&mut message)? {
                choice.set_raw(member, message.encode());
                changed = true;
            }
        }
        Ok(changed)
    })
}

/// Whether the choices, as they came, contain a text.
pub(super) fn choices_mention(body: &Object, needle: &str) -> bool {
    body.raw("choices").is_some_and(|choices| mentions(choices, needle))
}

/// `reasoning` is `reasoning_content` for callers; it stays under its own name too.
pub fn reasoning_content(body: &mut Object) -> Result<bool, Malformed> {
    if !choices_mention(body, "\"reasoning\"") {
        return Ok(false);
    }
    each_message(body, |message| {
        let Some(reasoning) = message.raw("reasoning").filter(|raw| raw.starts_with(b"\"")) else { return Ok(false) };
        if given(message, "reasoning_content") {
            return Ok(false);
        }
        let reasoning = bytes::Bytes::copy_from_slice(reasoning);
        message.set_raw("reasoning_content", reasoning);
        Ok(true)
    })
}

/// Finish reasons have the names of this dialect; the provider's own is kept beside it. Unknown ones pass.
pub fn finish_reasons(body: &mut Object) -> Result<bool, Malformed> {
    if !choices_mention(body, "\"finish_reason\"") {
        return Ok(false);
    }
    each(body, |choice| {
        let Some(native) = text(choice, "finish_reason") else { return Ok(false) };
        if matches!(native.as_str(), "stop" | "length" | "tool_calls" | "content_filter" | "function_call") {
            return Ok(false);
        }
        if native.is_empty() || native == "null" {
            choice.set("finish_reason", &());
            return Ok(true);
        }
        let Some(known) = finish_reason(&native.trim().to_ascii_lowercase()) else { return Ok(false) };
        choice.set("finish_reason", &known);
        if !choice.has("native_finish_reason") {
            choice.set("native_finish_reason", &native);
        }
        Ok(true)
    })
}

/// The name of a finish reason in this dialect.
fn finish_reason(native: &str) -> Option<&'static str> {
    Some(match native {
        "stop" | "end_turn" | "stop_sequence" | "complete" | "completed" | "finish" | "finished"
        | "stop_criteria_met" | "eos" | "eos_token" | "endoftext" | "succeeded" | "done" | "load" | "unload"
        | "pause_turn" | "compaction" => "stop",
        "length"
        | "max_tokens"
        | "model_length"
        | "max_output_tokens"
        | "model_context_window_exceeded"
        | "context_window"
        | "truncated" => "length",
        "tool_use" | "tool_call" | "tool_calls" => "tool_calls",
        "content_filter"
        | "content_filtered"
        | "safety"
        | "refusal"
        | "error_toxic"
        | "recitation"
        | "blocklist"
        | "prohibited_content"
        | "spii"
        | "image_safety"
        | "guardrail_intervened"
        | "model_armor"
        | "jailbreak" => "content_filter",
        _ => return None,
    })
}

/// A `stop` after tool calls is `tool_calls`: several servers forget what they streamed.
pub fn tool_finish(body: &mut Object, trail: &mut Trail) -> Result<bool, Malformed> {
    trail.tool_calls |= choices_mention(body, "\"tool_calls\":[{") || {
        choices_mention(body, "\"tool_calls\"")
            && body.objects("choices")?.iter().any(|choice| {
                ["message", "delta"].iter().any(|member| {
                    let message = choice.object(member).ok().flatten().unwrap_or_default();
                    message.objects("tool_calls").is_ok_and(|calls| !calls.is_empty())
                })
            })
    };
    if !trail.tool_calls || !choices_mention(body, "\"stop\"") {
        return Ok(false);
    }
    each(body, |choice| {
        let stopped = is(choice, "finish_reason", r#""stop""#);
        if stopped {
            choice.set("finish_reason", &"tool_calls");
        }
        Ok(stopped)
    })
}

/// Tool calls are complete: arguments are a string, and each call that begins has an index, an id and a type.
pub fn tool_calls(body: &mut Object) -> Result<bool, Malformed> {
    if !choices_mention(body, "\"tool_calls\"") {
        return Ok(false);
    }
    let answer = text(body, "id").unwrap_or_default();
    let mut choices = body.objects("choices")?;
    let mut changed = false;
    for choice in &mut choices {
        let nth: u64 = choice.get("index").ok().flatten().unwrap_or(0);
        for member in ["message", "delta"] {
            let Some(mut message) = choice.object(member)? else { continue };
            if !given(&message, "tool_calls") {
                continue;
            }
            let mut calls = message.objects("tool_calls")?;
            let mut touched = false;
            for (at, call) in calls.iter_mut().enumerate() {
                touched |= complete(call, at, member == "delta", &answer, nth)?;
            }
            if touched {
                message.set_objects("tool_calls", &calls);
                choice.set_raw(member, message.encode());
                changed = true;
            }
        }
    }
    if changed {
        body.set_objects("choices", &choices);
    }
    Ok(changed)
}

fn complete(call: &mut Object, at: usize, streamed: bool, answer: &str, choice: u64) -> Result<bool, Malformed> {
    let mut changed = false;
    if streamed && !given(call, "index") {
        call.set("index", &at);
        changed = true;
    }
    let Some(mut function) = call.object("function")? else { return Ok(changed) };
    let begins = text(&function, "name").is_some_and(|name| !name.is_empty());
    let arguments = match function.raw("arguments") {
        Some(raw) if raw.starts_with(b"\"") => None,
        Some(b"null") | None => {
            (begins || function.has("arguments")).then(|| if streamed { String::new() } else { "{}".to_owned() })
        }
        Some(raw) => Some(compact(raw)),
    };
    if let Some(arguments) = arguments {
        function.set("arguments", &arguments);
        call.set_raw("function", function.encode());
        changed = true;
    }
    if begins {
        if text(call, "id").is_none_or(|id| id.is_empty()) {
            let index: u64 = call.get("index").ok().flatten().unwrap_or(at as u64);
            call.set("id", &call_id(answer, choice, index));
            changed = true;
        }
        if !given(call, "type") {
            call.set("type", &"function");
            changed = true;
        }
    }
    Ok(changed)
}

/// JSON without white space between its parts.
fn compact(raw: &[u8]) -> String {
    match serde_json::from_slice::<serde_json::Value>(raw) {
        Ok(value) => value.to_string(),
        Err(_) => String::from_utf8_lossy(raw).into_owned(),
    }
}

/// An id for a call that came without: it follows from the answer's id and the call's place.
fn call_id(answer: &str, choice: u64, index: u64) -> String {
    let hash = answer
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    format!("call_{hash:016x}{choice:02}{index:06}")
}

/// Content that is a list of chunks becomes text; thoughts among them become `reasoning_content`, references
/// `annotations`. Mistral and Databricks answer so, in deltas too.
pub fn content_lists(body: &mut Object) -> Result<bool, Malformed> {
    if !choices_mention(body, "\"content\":[") && !choices_mention(body, "\"content\": [") {
        return Ok(false);
    }
    each_message(body, |message| {
        if !message.raw("content").is_some_and(|content| content.starts_with(b"[")) {
            return Ok(false);
        }
        let mut found = super::content::Found::default();
        for chunk in message.objects("content")? {
            found.add(&chunk)?;
        }
        found.put(message);
        Ok(true)
    })
}

/// Perplexity repeats all it has said so far as `message` of each event: the delta is enough.
pub fn deltas_only(body: &mut Object) -> Result<bool, Malformed> {
    if !choices_mention(body, "\"delta\"") {
        return Ok(false);
    }
    // a whole answer may carry an empty delta beside its message
    let whole = body.raw("object") == Some(br#""chat.completion""#);
    each(body, |choice| Ok(!whole && given(choice, "delta") && choice.remove("message")))
}

/// Cited addresses become annotations of the message, as OpenAI's search models have them; the lists stay too.
pub fn citations(body: &mut Object) -> Result<bool, Malformed> {
    if !given(body, "search_results") || !choices_mention(body, "\"message\"") {
        return Ok(false);
    }
    let mut annotations = Vec::new();
    for result in body.objects("search_results")? {
        let Some(url) = text(&result, "url") else { continue };
        let title = text(&result, "title").unwrap_or_default();
        let citation = object(&[("url", &json(&url)), ("title", &json(&title))]);
        annotations.push(Object::parse(object(&[("type", br#""url_citation""#), ("url_citation", &citation)]))?);
    }
    each_message(body, |message| {
        if message.has("annotations") || annotations.is_empty() {
            return Ok(false);
        }
        message.set_objects("annotations", &annotations);
        Ok(true)
    })
}
