//! What the translations are measured with: a conversation of 100 KB as an agent has it, answers to it in each vendor's
//! format, and their streams.

use aws_smithy_eventstream::frame::write_message_to;
use aws_smithy_types::event_stream::{Header, HeaderValue, Message};
use bytes::Bytes;
use ferrogw::wire::anthropic::Hosting;
use ferrogw::wire::{Native, gemini};
use serde_json::{Value, json};

/// Bytes of the conversation, at least.
pub(crate) const SIZE: usize = 100_000;

/// A dialect that is measured.
pub(crate) struct Subject {
    pub(crate) name: &'static str,
    pub(crate) native: Native,
    pub(crate) model: &'static str,
    /// An answer that thinks, says so much prose and calls so many tools with so long a text each.
    answer: fn(usize, usize, usize) -> Vec<u8>,
    /// One frame that opens a stream, and one with a text.
    pub(crate) stream: fn() -> (Vec<u8>, Vec<u8>),
}

pub(crate) static SUBJECTS: [Subject; 4] = [
    Subject {
        name: "anthropic",
        native: Native::Anthropic(Hosting::Direct),
        model: "claude-sonnet-4-5",
        answer: anthropic,
        stream: anthropic_stream,
    },
    Subject {
        name: "gemini",
        native: Native::Gemini(gemini::Host::Api),
        model: "gemini-2.5-pro",
        answer: gemini,
        stream: gemini_stream,
    },
    Subject {
        name: "bedrock",
        native: Native::Bedrock,
        model: "anthropic.claude-sonnet-4-5-20250929-v1:0",
        answer: bedrock,
        stream: bedrock_stream,
    },
    Subject {
        name: "cohere",
        native: Native::Cohere,
        model: "command-a-vision-07-2025",
        answer: cohere,
        stream: cohere_stream,
    },
];

impl Subject {
    /// An answer of the usual size: some words and one call.
    pub(crate) fn usual(&self) -> Vec<u8> {
        (self.answer)(900, 1, 1_200)
    }

    /// An answer about as long as the conversation: a program written in eight files.
    pub(crate) fn long(&self) -> Vec<u8> {
        (self.answer)(12_000, 8, 9_600)
    }
}

/// The conversation: instructions, tools with schemas, a picture, and turns in which two tools are called at once.
pub(crate) fn conversation() -> Vec<u8> {
    let picture = format!("data:image/png;base64,iVBORw0KGgo{}", noise(12_000));
    let mut messages = vec![
        json!({ "role": "system", "content": prose(4_000) }),
        json!({ "role": "user", "content": [
            { "type": "text", "text": "What does the plan in this picture say? Then make it so.\n" },
            { "type": "image_url", "image_url": { "url": picture } },
        ] }),
    ];
    let tools: Vec<Value> = (0..10).map(tool).collect();
    let mut turn = 0;
    loop {
        let ask = json!({
            "model": "demo", "max_tokens": 4096, "temperature": 0.2, "stream": false, "user": "u-4711",
            "tool_choice": "auto", "parallel_tool_calls": true, "tools": tools, "messages": messages,
        });
        let body = ask.to_string().into_bytes();
        if body.len() >= SIZE {
            return body;
        }
        let id = |n: usize| format!("call_{turn:02}{n}_Hq3vT7kRzXw2");
        let call = |n: usize, name: &str, arguments: Value| {
            let function = json!({ "name": name, "arguments": arguments.to_string() });
            json!({ "id": id(n), "type": "function", "function": function })
        };
        let path = format!("src/harbour/quay_{turn}.rs");
        let edit = json!({ "path": path, "old": code(180), "new": code(260), "all": false });
        let calls = [call(0, "tool_1", json!({ "path": path, "limit": 40 })), call(1, "tool_2", edit)];
        messages.extend([
            json!({ "role": "user", "content": prose(350) }),
            json!({ "role": "assistant", "content": prose(220), "tool_calls": calls }),
            json!({ "role": "tool", "tool_call_id": id(0), "content": code(1_100) }),
            json!({ "role": "tool", "tool_call_id": id(1), "content": json!({ "ok": true, "said": prose(160) }).to_string() }),
            json!({ "role": "assistant", "content": prose(600) }),
        ]);
        turn += 1;
    }
}

fn tool(n: usize) -> Value {
    let text = |words: &str| json!({ "type": "string", "description": words });
    let parameters = json!({
        "type": "object",
        "properties": {
            "path": text("The file, from the root of the project."),
            "old": text("What stands there now, with its \"quotes\" and line ends; it must stand there once."),
            "new": text("What shall stand there."),
            "limit": { "type": "integer", "minimum": 1, "maximum": 2000, "description": "Lines, at most." },
            "mode": { "type": "string", "enum": ["read", "write", "append"] },
            "all": { "type": "boolean" },
            "places": { "type": "array", "items": {
                "type": "object", "properties": { "line": { "type": "integer" }, "column": { "type": "integer" } },
                "required": ["line"],
            } },
        },
        "required": ["path"],
    });
    json!({ "type": "function", "function": {
        "name": format!("tool_{n}"), "description": prose(160), "parameters": parameters,
    } })
}

/// What a call that writes a file says.
fn written(n: usize, size: usize) -> Value {
    json!({ "path": format!("src/harbour/pier_{n}.rs"), "new": code(size), "all": true })
}

fn anthropic(words: usize, calls: usize, each: usize) -> Vec<u8> {
    let mut content = vec![
        json!({ "type": "thinking", "thinking": prose(words), "signature": noise(800) }),
        json!({ "type": "text", "text": prose(words) }),
    ];
    content.extend((0..calls).map(|n| {
        json!({ "type": "tool_use", "id": format!("toolu_01Hq3vT7kR{n}"), "name": "tool_2", "input": written(n, each) })
    }));
    let usage = json!({
        "input_tokens": 2100, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 21000, "output_tokens": 2500,
        "cache_creation": { "ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0 }, "service_tier": "standard",
    });
    let body = json!({
        "id": "msg_01Hq3vT7kRzXw2", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5-20250929",
        "content": content, "stop_reason": "tool_use", "stop_sequence": null, "usage": usage,
    });
    body.to_string().into_bytes()
}

/// Google indents its answers.
fn gemini(words: usize, calls: usize, each: usize) -> Vec<u8> {
    let mut parts = vec![json!({ "text": prose(words), "thought": true }), json!({ "text": prose(words) })];
    parts.extend((0..calls).map(|n| {
        let mut part = json!({ "functionCall": { "name": "tool_2", "args": written(n, each) } });
        if n == 0 {
            part["thoughtSignature"] = noise(800).into();
        }
        part
    }));
    let body = json!({
        "candidates": [{ "content": { "parts": parts, "role": "model" }, "finishReason": "STOP", "index": 0 }],
        "usageMetadata": {
            "promptTokenCount": 23100, "candidatesTokenCount": 2500, "totalTokenCount": 26000,
            "promptTokensDetails": [{ "modality": "TEXT", "tokenCount": 22842 }, { "modality": "IMAGE", "tokenCount": 258 }],
            "thoughtsTokenCount": 400,
        },
        "modelVersion": "gemini-2.5-pro", "responseId": "Hq3vT7kRzXw2",
    });
    format!("{body:#}").into_bytes()
}

fn bedrock(words: usize, calls: usize, each: usize) -> Vec<u8> {
    let reasoning = json!({ "reasoningText": { "text": prose(words), "signature": noise(800) } });
    let mut content = vec![json!({ "reasoningContent": reasoning }), json!({ "text": prose(words) })];
    content.extend((0..calls).map(|n| {
        json!({ "toolUse": { "toolUseId": format!("tooluse_Hq3vT7kR{n}"), "name": "tool_2", "input": written(n, each) } })
    }));
    let body = json!({
        "metrics": { "latencyMs": 8120 }, "output": { "message": { "content": content, "role": "assistant" } },
        "stopReason": "tool_use",
        "usage": {
            "inputTokens": 2100, "outputTokens": 2500, "totalTokens": 25600,
            "cacheReadInputTokens": 21000, "cacheWriteInputTokens": 0,
        },
    });
    body.to_string().into_bytes()
}

fn cohere(words: usize, calls: usize, each: usize) -> Vec<u8> {
    let calls: Vec<Value> = (0..calls)
        .map(|n| {
            let function = json!({ "name": "tool_2", "arguments": written(n, each).to_string() });
            json!({ "id": format!("tool_2_Hq3vT7kR{n}"), "type": "function", "function": function })
        })
        .collect();
    let message = json!({ "role": "assistant", "tool_plan": prose(2 * words), "tool_calls": calls });
    let body = json!({
        "id": "c14c80c3-18eb-4519-9460-6c92edd8cfb4", "finish_reason": "TOOL_CALL", "message": message,
        "usage": {
            "billed_units": { "input_tokens": 23100.0, "output_tokens": 2500.0 },
            "tokens": { "input_tokens": 23400.0, "output_tokens": 2600.0 },
        },
    });
    body.to_string().into_bytes()
}

fn anthropic_stream() -> (Vec<u8>, Vec<u8>) {
    let event = |value: Value| format!("event: {}\ndata: {value}\n\n", value["type"].as_str().unwrap_or_default());
    let message = json!({
        "id": "msg_01Hq3vT7kRzXw2", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5-20250929",
        "content": [], "stop_reason": null, "stop_sequence": null, "usage": { "input_tokens": 2100, "output_tokens": 1 },
    });
    let start = json!({ "type": "message_start", "message": message });
    let block = json!({ "type": "content_block_start", "index": 0, "content_block": { "type": "text", "text": "" } });
    let delta = json!({
        "type": "content_block_delta", "index": 0, "delta": { "type": "text_delta", "text": SAID },
    });
    ((event(start) + &event(block)).into_bytes(), event(delta).into_bytes())
}

fn gemini_stream() -> (Vec<u8>, Vec<u8>) {
    let frame = || {
        let body = json!({
            "candidates": [{ "content": { "parts": [{ "text": SAID }], "role": "model" }, "index": 0 }],
            "usageMetadata": {
                "promptTokenCount": 2100, "candidatesTokenCount": 42, "totalTokenCount": 2142,
                "promptTokensDetails": [{ "modality": "TEXT", "tokenCount": 2100 }],
            },
            "modelVersion": "gemini-2.5-pro", "responseId": "Hq3vT7kRzXw2",
        });
        format!("data: {body}\r\n\r\n").into_bytes()
    };
    (frame(), frame())
}

fn bedrock_stream() -> (Vec<u8>, Vec<u8>) {
    let frame = |name: &str, payload: Value| {
        let text = |name: &'static str, value: &str| Header::new(name, HeaderValue::String(value.to_owned().into()));
        let message = Message::new(Bytes::from(payload.to_string()))
            .add_header(text(":event-type", name))
            .add_header(text(":content-type", "application/json"))
            .add_header(text(":message-type", "event"));
        let mut out = Vec::new();
        write_message_to(&message, &mut out).expect("three short headers are encoded");
        out
    };
    let start = frame("messageStart", json!({ "p": "abcdefghijklmnop", "role": "assistant" }));
    let delta = json!({ "contentBlockIndex": 0, "delta": { "text": SAID }, "p": "abcdefghijklmnopqrstuvwxyz" });
    (start, frame("contentBlockDelta", delta))
}

fn cohere_stream() -> (Vec<u8>, Vec<u8>) {
    let event = |value: Value| format!("event: {}\ndata: {value}\n\n", value["type"].as_str().unwrap_or_default());
    let message = json!({ "role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": [] });
    let start = json!({ "id": "c14c80c3-18eb-4519", "type": "message-start", "delta": { "message": message } });
    let content = |text: &str| json!({ "message": { "content": { "type": "text", "text": text } } });
    let opened = json!({ "type": "content-start", "index": 0, "delta": content("") });
    let delta = json!({ "type": "content-delta", "index": 0, "delta": content(SAID) });
    ((event(start) + &event(opened)).into_bytes(), event(delta).into_bytes())
}

/// What one event says: some tokens with an escape.
const SAID: &str = " the \"quay\",\nand so on";

/// Prose of about so many bytes: a line end and quotes in every other line, now and then a letter beyond ASCII.
fn prose(size: usize) -> String {
    repeated(
        "The quick brown fox jumps over the lazy dog, says \"enough\" and rests.\nThen it goes on — as if nothing had \
         been — to the café at the quay, where the others wait.\n\n",
        size,
    )
}

/// A program of about so many bytes.
fn code(size: usize) -> String {
    repeated(
        "    /// Where a ship lies.\n    pub fn berth(&self, ship: &str) -> Option<usize> {\n        \
         self.quays.iter().position(|quay| quay.name == \"north\" && quay.ship == ship)\n    }\n\n",
        size,
    )
}

fn repeated(text: &str, size: usize) -> String {
    let mut all = text.repeat(size / text.len() + 1);
    all.truncate(all.floor_char_boundary(size));
    all
}

/// What base64 looks like, of so many characters: a multiple of four.
fn noise(size: usize) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let digit = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char::from(DIGITS[(state >> 58) as usize])
    };
    (0..size).map(digit).collect()
}
