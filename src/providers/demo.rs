//! The built-in `demo` provider: deterministic answers without a network, for a first run before any key is set.

use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};

use super::client::Fields;
use super::inbound::{Inbound, Response};
use super::spec::{Auth, Discover, Owns, Root, Spec};
use crate::call::Op;
use crate::wire::{openai, sse};

/// The models it answers for.
pub const MODELS: &[&str] = &["demo", "demo-embedding"];

/// The demo's row. It is offered only when nothing else is configured, or when a target names it.
pub static DEMO: Spec = Spec {
    root: Root::Inside,
    auth: Auth::None,
    ops: &[(Op::Chat, ""), (Op::Embed, "")],
    discover: Discover::Known(MODELS),
    owns: Owns::Prefixes(&["demo"]),
    ..Spec::openai("demo", "", &[])
};

const NOTICE: &str = "This is ferrogw's built-in demo, not a language model. Set a provider's key, for example \
                      OPENAI_API_KEY, and restart to get real answers.";

/// Answer a request as a provider of OpenAI's dialect would.
pub fn answer(op: Op, body: &Bytes, stream: bool) -> Response {
    let ask: Value = serde_json::from_slice(body).unwrap_or_default();
    let (kind, chunks) = match op {
        Op::Embed => ("application/json", vec![embeddings(&ask)]),
        _ if stream => ("text/event-stream", events(&ask)),
        _ => ("application/json", vec![chat(&ask).to_string().into()]),
    };
    Response { status: StatusCode::OK, fields: Fields::of_kind(kind), body: Inbound::Local(chunks.into()) }
}

/// The last thing the user said, in text.
fn last_words(ask: &Value) -> String {
    let messages = ask["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let content = messages.iter().rev().find(|message| message["role"] == "user").map(|message| &message["content"]);
    match content {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(parts)) => {
            parts.iter().filter_map(|part| part["text"].as_str()).collect::<Vec<_>>().join(" ")
        }
        _ => String::new(),
    }
}

/// The first tool, if the caller offers some and has not answered one yet.
fn tool(ask: &Value) -> Option<&str> {
    let answered = ask["messages"].as_array()?.last()?["role"] == "tool";
    let name = ask["tools"].as_array()?.first()?["function"]["name"].as_str()?;
    (!answered && ask["tool_choice"] != "none").then_some(name)
}

fn usage(ask: &Value, text: &str) -> Value {
    let prompt = (ask["messages"].to_string().len() / 4 + 1) as u64;
    let completion = (text.len() / 4 + 1) as u64;
    json!({ "prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion })
}

fn text(ask: &Value) -> String {
    if ask["response_format"]["type"] == "json_object" || ask["response_format"]["type"] == "json_schema" {
        return json!({ "notice": NOTICE, "you_said": last_words(ask) }).to_string();
    }
    format!("You said: {}\n\n{NOTICE}", last_words(ask))
}

fn chat(ask: &Value) -> Value {
    let text = text(ask);
    let (message, reason) = match tool(ask) {
        Some(name) => {
            let call =
                json!({ "id": "call_demo", "type": "function", "function": { "name": name, "arguments": "{}" } });
            (json!({ "role": "assistant", "content": null, "tool_calls": [call] }), "tool_calls")
        }
        None => (json!({ "role": "assistant", "content": text }), "stop"),
    };
    json!({
        "id": "chatcmpl-demo", "object": "chat.completion", "created": 0, "model": ask["model"],
        "choices": [{ "index": 0, "message": message, "finish_reason": reason }],
        "usage": usage(ask, &text),
    })
}

fn events(ask: &Value) -> Vec<Bytes> {
    let chunk = |choices: Value, extra: Option<Value>| {
        let mut event = json!({
            "id": "chatcmpl-demo", "object": "chat.completion.chunk", "created": 0, "model": ask["model"], "choices": choices,
        });
        if let Some(usage) = extra {
            event["usage"] = usage;
        }
        sse::frame(event.to_string().as_bytes())
    };
    let delta = |delta: Value| chunk(json!([{ "index": 0, "delta": delta, "finish_reason": null }]), None);
    let mut out = vec![delta(json!({ "role": "assistant", "content": "" }))];
    let text = text(ask);
    let reason = match tool(ask) {
        Some(name) => {
            let call = json!({ "index": 0, "id": "call_demo", "type": "function", "function": { "name": name, "arguments": "{}" } });
            out.push(delta(json!({ "tool_calls": [call] })));
            "tool_calls"
        }
        None => {
            out.extend(text.split_inclusive(' ').map(|word| delta(json!({ "content": word }))));
            "stop"
        }
    };
    out.push(chunk(json!([{ "index": 0, "delta": {}, "finish_reason": reason }]), None));
    out.push(chunk(json!([]), Some(usage(ask, &text))));
    out.push(Bytes::from_static(openai::stream::DONE));
    out
}

/// Eight numbers from the bytes of each input: equal texts get equal vectors, which is all a first try needs.
fn embeddings(ask: &Value) -> Bytes {
    let inputs: Vec<String> = match &ask["input"] {
        Value::Array(items) if items.iter().all(|item| !item.is_number()) => {
            items.iter().map(Value::to_string).collect()
        }
        other => vec![other.to_string()],
    };
    let vector = |text: &str| -> Vec<f32> {
        let mut sums = [0_u32; 8];
        text.bytes()
            .enumerate()
            .for_each(|(at, byte)| sums[at % 8] = sums[at % 8].wrapping_mul(31).wrapping_add(byte.into()));
        sums.iter().map(|sum| (sum % 2000) as f32 / 1000.0 - 1.0).collect()
    };
    let data: Vec<Value> = inputs
        .iter()
        .enumerate()
        .map(|(index, text)| {
            let vector = vector(text);
            let embedding = if ask["encoding_format"] == "base64" {
                json!(base64(&vector.iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<_>>()))
            } else {
                json!(vector)
            };
            json!({ "object": "embedding", "index": index, "embedding": embedding })
        })
        .collect();
    let tokens = inputs.iter().map(|text| text.len() / 4 + 1).sum::<usize>();
    let usage = json!({ "prompt_tokens": tokens, "total_tokens": tokens });
    json!({ "object": "list", "model": ask["model"], "data": data, "usage": usage }).to_string().into()
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let word = group.iter().fold(0_u32, |word, byte| word << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        for at in 0..4 {
            let digit = ALPHABET[(word >> (18 - 6 * at)) as usize & 63];
            out.push(if at <= group.len() { char::from(digit) } else { '=' });
        }
    }
    out
}
