//! What whole answers and streams have in common: why they end, what was thought, what was cited.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::json;

/// How thoughts are labelled, so that they are given back to whom they came from.
const FORMAT: &str = r#","format":"anthropic-claude-v1""#;

/// OpenAI's word for the reason an answer ended, and the API's own if it is another one.
pub(super) fn reason(native: Option<&str>, calls: bool, refused: bool) -> Cow<'static, str> {
    let mapped = match native.unwrap_or_default() {
        "end_turn" | "stop_sequence" | "pause_turn" | "compaction" | "" => "stop",
        "max_tokens" | "model_context_window_exceeded" => "length",
        "tool_use" => "tool_calls",
        "refusal" => "content_filter",
        other => return Cow::Owned(other.to_owned()),
    };
    Cow::Borrowed(match mapped {
        _ if refused => "content_filter",
        "stop" if calls => "tool_calls",
        "tool_calls" if !calls => "stop",
        other => other,
    })
}

/// One item of `reasoning_details`: a thought, or a part of one. Texts are JSON strings.
pub(super) fn thought(out: &mut Vec<u8>, text: Option<&[u8]>, signature: Option<&[u8]>, index: u64) {
    out.extend_from_slice(br#"{"type":"reasoning.text","text":"#);
    out.extend_from_slice(text.unwrap_or(br#""""#));
    if let Some(signature) = signature {
        out.extend_from_slice(br#","signature":"#);
        out.extend_from_slice(signature);
    }
    place(out, index);
}

/// One item of `reasoning_details`: a thought that nobody may read.
pub(super) fn redacted(out: &mut Vec<u8>, data: &[u8], index: u64) {
    out.extend_from_slice(br#"{"type":"reasoning.encrypted","data":"#);
    out.extend_from_slice(data);
    place(out, index);
}

fn place(out: &mut Vec<u8>, index: u64) {
    out.extend_from_slice(FORMAT.as_bytes());
    out.extend_from_slice(format!(r#","index":{index}}}"#).as_bytes());
}

/// A string, not empty, of an answer.
pub(super) fn full(raw: Option<&RawValue>) -> Option<&[u8]> {
    let raw = raw?.get().as_bytes();
    (json::is_string(raw) && !json::is_empty(raw)).then_some(raw)
}

/// An object of an answer.
pub(super) fn object(raw: Option<&RawValue>) -> Option<&[u8]> {
    raw.map(|raw| raw.get().as_bytes()).filter(|raw| raw.starts_with(b"{"))
}

/// Where a text comes from.
#[derive(Deserialize)]
struct Citation<'a> {
    #[serde(borrow, default)]
    url: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    source: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    title: Option<Cow<'a, str>>,
}

/// A citation as an annotation of the characters from `start` to `end`; `None` if what it cites has no address.
pub(super) fn annotation(raw: &[u8], start: u64, end: u64) -> Option<Vec<u8>> {
    let citation: Citation<'_> = serde_json::from_slice(raw).ok()?;
    let web = |url: &Cow<'_, str>| url.starts_with("http://") || url.starts_with("https://");
    let url = citation.url.or(citation.source.filter(web))?;
    let mut out = Vec::new();
    out.extend_from_slice(br#"{"type":"url_citation","url_citation":{"#);
    json::put_text(&mut out, "url", &url);
    json::put_text(&mut out, "title", citation.title.as_deref().unwrap_or_default());
    json::put(&mut out, "start_index", start.to_string().as_bytes());
    json::put(&mut out, "end_index", end.to_string().as_bytes());
    out.extend_from_slice(b"}}");
    Some(out)
}

/// What a refusal says of itself.
#[derive(Deserialize)]
struct Details<'a> {
    #[serde(borrow, default)]
    explanation: Option<&'a RawValue>,
}

/// Why the model refused, as a JSON string.
pub(super) fn explanation(details: &[u8]) -> Option<&[u8]> {
    let details: Details<'_> = serde_json::from_slice(details).ok()?;
    full(details.explanation)
}

/// What OpenAI's answers have no place for, as `provider_metadata`.
#[derive(Default)]
pub(super) struct Extras {
    /// Elements: blocks of server tools.
    blocks: Vec<u8>,
    /// Elements: citations of what has no address.
    citations: Vec<u8>,
    /// Other members of the answer, by name.
    members: Vec<(&'static str, Vec<u8>)>,
}

/// Beyond this, blocks of a stream are not kept, bytes.
const MOST: usize = 4 << 20;

impl Extras {
    pub(super) fn block(&mut self, raw: &[u8]) {
        if self.blocks.len() + raw.len() < MOST {
            json::comma(&mut self.blocks);
            json::compact(&mut self.blocks, raw);
        }
    }

    pub(super) fn citation(&mut self, raw: &[u8]) {
        if self.citations.len() + raw.len() < MOST {
            json::comma(&mut self.citations);
            json::compact(&mut self.citations, raw);
        }
    }

    pub(super) fn member(&mut self, name: &'static str, raw: Option<&RawValue>) {
        let Some(raw) = raw.filter(|raw| raw.get() != "null") else { return };
        let mut value = Vec::with_capacity(raw.get().len());
        json::compact(&mut value, raw.get().as_bytes());
        self.members.retain(|(known, _)| *known != name);
        self.members.push((name, value));
    }

    /// Write the member `provider_metadata`, if there is anything in it.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        if self.blocks.is_empty() && self.citations.is_empty() && self.members.is_empty() {
            return;
        }
        json::key(out, "provider_metadata");
        out.extend_from_slice(br#"{"anthropic":{"#);
        for (name, list) in [("content_blocks", &self.blocks), ("citations", &self.citations)] {
            if !list.is_empty() {
                json::key(out, name);
                out.push(b'[');
                out.extend_from_slice(list);
                out.push(b']');
            }
        }
        for (name, value) in &self.members {
            json::put(out, name, value);
        }
        out.extend_from_slice(b"}}");
    }
}
