//! A whole message as OpenAI's chat completion.

use std::borrow::Cow;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::finish::{self, Extras, full};
use super::usage::Usage;
use super::{errors, json};
use crate::wire::native::{Back, Translated};
use crate::wire::openai::stream::Broken;
use crate::wire::{Malformed, Object};

/// A message, as far as it is read.
#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow, rename = "type", default)]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    model: Option<&'a RawValue>,
    #[serde(borrow, default)]
    content: Option<Vec<Block<'a>>>,
    #[serde(borrow, default)]
    stop_reason: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    stop_sequence: Option<&'a RawValue>,
    #[serde(borrow, default)]
    stop_details: Option<&'a RawValue>,
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
    #[serde(borrow, default)]
    container: Option<&'a RawValue>,
    #[serde(borrow, default)]
    context_management: Option<&'a RawValue>,
    #[serde(borrow, default)]
    diagnostics: Option<&'a RawValue>,
}

/// A content block: once for what is read of it, and as it came.
struct Block<'a> {
    raw: &'a RawValue,
    read: Read<'a>,
}

#[derive(Deserialize)]
struct Read<'a> {
    #[serde(borrow, rename = "type", default)]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    text: Option<&'a RawValue>,
    #[serde(borrow, default)]
    thinking: Option<&'a RawValue>,
    #[serde(borrow, default)]
    signature: Option<&'a RawValue>,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    name: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    input: Option<&'a RawValue>,
    #[serde(borrow, default)]
    citations: Option<Vec<&'a RawValue>>,
}

impl<'de: 'a, 'a> Deserialize<'de> for Block<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(from)?;
        let read = serde_json::from_str(raw.get()).map_err(serde::de::Error::custom)?;
        Ok(Self { raw, read })
    }
}

/// The parts of OpenAI's message while it is put together.
#[derive(Default)]
struct Parts<'a> {
    /// Insides of JSON strings, joined.
    text: Vec<u8>,
    /// Whether anything of it is cited: only then its characters are counted.
    cites: bool,
    characters: u64,
    /// The answer that came as the arguments of the tool that stands for a schema.
    json: Option<Vec<u8>>,
    /// Insides of JSON strings, joined.
    reasoning: Vec<u8>,
    details: Vec<u8>,
    calls: Vec<(&'a [u8], Cow<'a, str>, &'a [u8])>,
    annotations: Vec<u8>,
    extras: Extras,
}

/// Translate a whole answer. Fails on what is no message, and with an error that came with a good status.
pub fn answer(body: Bytes, back: &Back) -> Translated {
    let message: Message<'_> = serde_json::from_slice(&body).map_err(|error| Broken::Malformed(error.into()))?;
    let Message { content: Some(blocks), .. } = &message else {
        if message.kind.as_deref() == Some("error") {
            return Err(Broken::Said(errors::read(&body)));
        }
        return Err(Broken::Malformed(Malformed::new("the answer has no `content`")));
    };
    let cites = |block: &Block<'_>| block.read.citations.as_ref().is_some_and(|citations| !citations.is_empty());
    let mut parts = Parts { cites: blocks.iter().any(cites), ..Parts::default() };
    for (index, block) in blocks.iter().enumerate() {
        parts.take(block, index as u64, back);
    }
    parts.extras.member("stop_sequence", message.stop_sequence);
    parts.extras.member("stop_details", message.stop_details);
    parts.extras.member("container", message.container);
    parts.extras.member("context_management", message.context_management);
    parts.extras.member("diagnostics", message.diagnostics);
    Object::parse(Bytes::from(parts.write(&message, body.len(), back))).map_err(Broken::Malformed)
}

impl<'a> Parts<'a> {
    fn take(&mut self, block: &'a Block<'a>, index: u64, back: &Back) {
        let Block { raw, read } = block;
        let string = |raw: Option<&'a RawValue>| raw.map(|raw| raw.get().as_bytes()).filter(|raw| json::is_string(raw));
        match &*read.kind {
            "text" => {
                let Some(text) = string(read.text) else { return };
                let from = self.characters;
                self.text.extend_from_slice(&text[1..text.len() - 1]);
                let cites = read.citations.as_deref().unwrap_or_default();
                self.characters += if self.cites { json::characters(text) } else { 0 };
                for citation in cites.iter().map(|citation| citation.get().as_bytes()) {
                    match finish::annotation(citation, from, self.characters) {
                        Some(annotation) => {
                            json::comma(&mut self.annotations);
                            self.annotations.extend_from_slice(&annotation);
                        }
                        None => self.extras.citation(citation),
                    }
                }
            }
            "thinking" => {
                let text = string(read.thinking);
                if let Some(text) = text {
                    self.reasoning.extend_from_slice(&text[1..text.len() - 1]);
                }
                json::comma(&mut self.details);
                finish::thought(&mut self.details, text, full(read.signature), index);
            }
            "redacted_thinking" => {
                if let Some(data) = full(read.data) {
                    json::comma(&mut self.details);
                    finish::redacted(&mut self.details, data, index);
                }
            }
            "tool_use" => {
                let input = finish::object(read.input).unwrap_or(b"{}");
                let name = read.name.as_deref().unwrap_or_default();
                if back.json_tool.as_deref() == Some(name) {
                    let mut text = Vec::with_capacity(input.len() + input.len() / 4);
                    json::quoted(&mut text, input);
                    self.json = Some(text);
                    return;
                }
                self.calls.push((full(read.id).unwrap_or(br#""""#), Cow::Borrowed(name), input));
            }
            _ => self.extras.block(raw.get().as_bytes()),
        }
    }

    fn write(&self, message: &Message<'_>, size: usize, back: &Back) -> Vec<u8> {
        let mut out = Vec::with_capacity(size + size / 4 + 512);
        let out = &mut out;
        let refused = message.stop_reason.as_deref() == Some("refusal");
        let calls = !self.calls.is_empty();
        out.push(b'{');
        match full(message.id) {
            Some(id) => json::put(out, "id", id),
            None => json::put_text(out, "id", &back.id),
        }
        json::put(out, "object", br#""chat.completion""#);
        json::put(out, "created", back.created.to_string().as_bytes());
        match full(message.model) {
            Some(model) => json::put(out, "model", model),
            None => json::put_text(out, "model", &back.model),
        }
        out.extend_from_slice(br#","choices":[{"index":0,"message":{"role":"assistant""#);
        match &self.json {
            Some(text) => json::put(out, "content", text),
            None if self.text.is_empty() && (calls || refused) => json::put(out, "content", b"null"),
            None => json::put_inside(out, "content", &self.text),
        }
        let why = message.stop_details.filter(|_| refused).and_then(|raw| finish::explanation(raw.get().as_bytes()));
        json::put(out, "refusal", why.unwrap_or(b"null"));
        if !self.reasoning.is_empty() {
            json::put_inside(out, "reasoning_content", &self.reasoning);
        }
        for (name, list) in [("reasoning_details", &self.details), ("annotations", &self.annotations)] {
            if !list.is_empty() {
                json::key(out, name);
                out.push(b'[');
                out.extend_from_slice(list);
                out.push(b']');
            }
        }
        self.write_calls(out, back);
        out.extend_from_slice(br#"},"logprobs":null"#);
        let reason = finish::reason(message.stop_reason.as_deref(), calls, refused);
        let reason = if back.functions && reason == "tool_calls" { "function_call" } else { &*reason };
        json::put_text(out, "finish_reason", reason);
        if let Some(native) = message.stop_reason.as_deref().filter(|native| *native != reason) {
            json::put_text(out, "native_finish_reason", native);
        }
        out.extend_from_slice(b"}]");
        let mut usage = Usage::default();
        if let Some(raw) = message.usage {
            usage.take(raw);
        }
        json::key(out, "usage");
        usage.write(out);
        if let Some(tier) = usage.tier() {
            json::put_text(out, "service_tier", tier);
        }
        self.extras.write(out);
        out.push(b'}');
        std::mem::take(out)
    }

    fn write_calls(&self, out: &mut Vec<u8>, back: &Back) {
        let function = |out: &mut Vec<u8>, name: &str, input: &[u8]| {
            out.push(b'{');
            json::put_text(out, "name", back.tool(name));
            json::key(out, "arguments");
            json::quoted(out, input);
            out.push(b'}');
        };
        match self.calls.first() {
            None => {}
            Some((_, name, input)) if back.functions => {
                json::key(out, "function_call");
                function(out, name, input);
            }
            Some(_) => {
                json::key(out, "tool_calls");
                out.push(b'[');
                for (id, name, input) in &self.calls {
                    json::comma(out);
                    out.push(b'{');
                    json::put(out, "id", id);
                    json::put(out, "type", br#""function""#);
                    json::key(out, "function");
                    function(out, name, input);
                    out.push(b'}');
                }
                out.push(b']');
            }
        }
    }
}
