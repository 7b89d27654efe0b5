//! What earlier answers thought, on its way back: every provider wants it under its own name, or not at all.

use super::messages::strip;
use super::{given, is, mentions, text};
use crate::call::Error;
use crate::providers::spec::Notes;
use crate::wire::Object;

/// Names under which a caller may hold thoughts in its history.
const THOUGHTS: &[&str] = &[
    "reasoning_content",
    "reasoning",
    "reasoning_details",
    "thinking_blocks",
    "provider_metadata",
    "provider_specific_fields",
];

/// Signatures that other vendors attach to tool calls.
const SIGNATURES: &[&str] = &["extra_content", "thought_signature", "provider_specific_fields"];

/// Thoughts are not taken back there.
pub fn no_thoughts(messages: &mut [Object]) -> Result<bool, Error> {
    Ok(strip(messages, THOUGHTS) | no_signatures(messages)?)
}

/// Thoughts come back as `reasoning_content` there.
pub fn as_reasoning_content(messages: &mut [Object]) -> Result<bool, Error> {
    under(messages, "reasoning_content", "reasoning")
}

/// Thoughts come back as `reasoning` there.
pub fn as_reasoning(messages: &mut [Object]) -> Result<bool, Error> {
    under(messages, "reasoning", "reasoning_content")
}

fn under(messages: &mut [Object], name: &'static str, other: &str) -> Result<bool, Error> {
    let mut changed = false;
    for message in messages.iter_mut() {
        if !given(message, name) && given(message, other) {
            message.rename(other, name);
            changed = true;
        }
        for member in THOUGHTS.iter().filter(|member| **member != name) {
            changed |= message.remove(member);
        }
    }
    Ok(changed | no_signatures(messages)?)
}

fn no_signatures(messages: &mut [Object]) -> Result<bool, Error> {
    let mut changed = false;
    for message in messages {
        if !message.raw("tool_calls").is_some_and(|calls| SIGNATURES.iter().any(|name| mentions(calls, name))) {
            continue;
        }
        let mut calls = message.objects("tool_calls")?;
        if strip(&mut calls, SIGNATURES) {
            message.set_objects("tool_calls", &calls);
            changed = true;
        }
    }
    Ok(changed)
}

/// While DeepSeek thinks, every assistant message must hold its `reasoning_content`: an empty one will do.
pub fn on_every_assistant(body: &mut Object, _: &mut Notes<'_>) -> Result<(), Error> {
    fill_in(body, "", |_| true)
}

/// While Kimi thinks, assistant messages with tool calls must. A space, as other gateways send: whether nothing would do is
/// not verified.
pub fn on_every_call(body: &mut Object, _: &mut Notes<'_>) -> Result<(), Error> {
    fill_in(body, " ", |message| given(message, "tool_calls"))
}

/// Thoughts for assistant messages that need and do not have them.
fn fill_in(body: &mut Object, thought: &str, needs: impl Fn(&Object) -> bool) -> Result<(), Error> {
    if body.raw("thinking").is_some_and(|thinking| mentions(thinking, "\"disabled\"")) {
        return Ok(());
    }
    if !body.raw("messages").is_some_and(|messages| mentions(messages, "\"assistant\"")) {
        return Ok(());
    }
    let mut messages = body.objects("messages")?;
    let mut changed = false;
    for message in &mut messages {
        if is(message, "role", r#""assistant""#) && needs(message) && !given(message, "reasoning_content") {
            message.set("reasoning_content", &thought);
            changed = true;
        }
    }
    if changed {
        body.set_objects("messages", &messages);
    }
    Ok(())
}

/// Mistral's thinking models take thoughts back as the first chunk of a content list.
pub fn as_thinking_chunk(messages: &mut [Object]) -> Result<bool, Error> {
    let mut changed = false;
    for message in messages {
        let thought = text(message, "reasoning_content").or_else(|| text(message, "reasoning"));
        let Some(thought) = thought.filter(|thought| !thought.is_empty()) else { continue };
        let mut chunks = vec![serde_json::json!({"type": "thinking", "thinking": [{"type": "text", "text": thought}]})];
        match message.get::<serde_json::Value>("content")? {
            Some(serde_json::Value::Array(parts)) => chunks.extend(parts),
            Some(serde_json::Value::String(text)) if !text.is_empty() => {
                chunks.push(serde_json::json!({"type": "text", "text": text}));
            }
            _ => {}
        }
        message.set("content", &chunks);
        changed = true;
    }
    Ok(changed)
}
