//! AI21's older models, which complete a text and know no messages: <https://docs.ai21.com/reference/j2-complete-ref>.

use std::borrow::Cow;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{made, read, request};
use crate::wire::native::{Back, Refused, Request, Terms, Translated, invalid};
use crate::wire::openai::stream::Broken;
use crate::wire::{Malformed, Object};

const KNOWN: &[&str] = &[
    "messages",
    "max_tokens",
    "max_completion_tokens",
    "temperature",
    "top_p",
    "n",
    "stop",
    "stream",
    "stream_options",
];

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Asked<'a> {
    prompt: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    num_results: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    stop_sequences: Vec<Cow<'a, str>>,
}

/// A chat as a text to be completed. Fails on messages that are no texts.
pub(super) fn complete(ask: &Object, terms: &Terms<'_>) -> Result<Request, Refused> {
    let stop = match ask.raw("stop") {
        Some([b'"', ..]) => vec![ask.get("stop")?.unwrap_or_default()],
        Some([b'[', ..]) => ask.get("stop")?.unwrap_or_default(),
        _ => Vec::new(),
    };
    let asked = Asked {
        prompt: prompt(ask)?,
        max_tokens: ask.get::<&RawValue>("max_completion_tokens")?.or(ask.get("max_tokens")?),
        temperature: ask.get("temperature")?,
        top_p: ask.get("top_p")?,
        num_results: ask.get("n")?,
        stop_sequences: stop,
    };
    Ok(request(ask, terms, &asked, KNOWN))
}

/// One message is the text itself; of several, each says whose it is, and the answer's turn is last.
fn prompt(ask: &Object) -> Result<String, Refused> {
    let messages = ask.objects("messages")?;
    let mut prompt = String::new();
    for (at, message) in messages.iter().enumerate() {
        let text = said(message).ok_or_else(|| Refused::Unsupported { param: format!("messages[{at}].content") })?;
        if messages.len() == 1 {
            return Ok(text);
        }
        let role = message.get::<String>("role")?.unwrap_or_default();
        match role.as_str() {
            "system" | "developer" => prompt.push_str(&format!("{text}\n\n")),
            "user" => prompt.push_str(&format!("User: {text}\n")),
            "assistant" => prompt.push_str(&format!("Assistant: {text}\n")),
            _ => return Err(invalid(format!("messages[{at}].role"), "the model completes texts and takes no tools")),
        }
    }
    Ok(prompt + "Assistant:")
}

/// The text of a message; `None` if it has parts that are none.
fn said(message: &Object) -> Option<String> {
    match message.raw("content") {
        Some([b'"', ..]) => message.get("content").ok()?,
        Some([b'[', ..]) => {
            let parts = message.objects("content").ok()?;
            parts.iter().map(|part| part.get::<String>("text").ok()?).collect()
        }
        _ => Some(String::new()),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Completion {
    data: Text,
    finish_reason: Option<Reason>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Text {
    text: String,
    tokens: Vec<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct Reason {
    reason: String,
}

/// The completions as the answers of a chat.
pub(super) fn of_complete(body: Bytes, back: &Back) -> Translated {
    let object = read(body)?;
    let malformed = |error: Malformed| Broken::Malformed(error);
    let completions: Vec<Completion> = object
        .get("completions")
        .map_err(malformed)?
        .ok_or_else(|| Broken::Malformed(Malformed::new("there are no `completions`")))?;
    let prompt: Text = object.get("prompt").map_err(malformed)?.unwrap_or_default();
    let (asked, told) = (prompt.tokens.len(), completions.iter().map(|one| one.data.tokens.len()).sum::<usize>());
    let choices: Vec<_> = completions
        .iter()
        .enumerate()
        .map(|(index, one)| {
            let reason = one.finish_reason.as_ref().map(|reason| reason.reason.as_str());
            serde_json::json!({
                "index": index,
                "message": { "role": "assistant", "content": one.data.text },
                "finish_reason": if reason == Some("length") { "length" } else { "stop" },
            })
        })
        .collect();
    let mut answer = serde_json::json!({
        "id": back.id, "object": "chat.completion", "created": back.created, "model": back.model, "choices": choices,
    });
    if asked + told > 0 {
        answer["usage"] =
            serde_json::json!({ "prompt_tokens": asked, "completion_tokens": told, "total_tokens": asked + told });
    }
    made(&answer)
}
