//! Cohere's whole answers as OpenAI's.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::FORMAT;
use crate::wire::Object;
use crate::wire::native::finish::Finish;
use crate::wire::native::{Back, Translated};
use crate::wire::openai::errors::{self, Complaint};
use crate::wire::openai::stream::Broken;

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(default)]
    id: Option<String>,
    #[serde(borrow, default)]
    message: Option<&'a RawValue>,
    #[serde(default)]
    finish_reason: Option<String>,
    #[serde(default, borrow)]
    usage: Option<Used<'a>>,
    #[serde(default, borrow)]
    logprobs: Option<Vec<Logprob<'a>>>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow, default)]
    content: Option<&'a RawValue>,
    #[serde(default)]
    tool_plan: Option<String>,
    #[serde(borrow, default)]
    tool_calls: Option<Vec<ToolCall<'a>>>,
    #[serde(borrow, default)]
    citations: Option<Vec<&'a RawValue>>,
}

#[derive(Deserialize)]
struct Block<'a> {
    #[serde(borrow, default)]
    text: Option<&'a RawValue>,
    #[serde(default)]
    thinking: Option<String>,
}

#[derive(Deserialize)]
struct ToolCall<'a> {
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    function: Option<Function<'a>>,
}

#[derive(Deserialize)]
struct Function<'a> {
    #[serde(default)]
    name: String,
    #[serde(borrow, default)]
    arguments: Option<&'a RawValue>,
}

/// What was consumed: counted as the model sees it, and as it is billed.
#[derive(Deserialize)]
pub(super) struct Used<'a> {
    #[serde(default)]
    tokens: Option<Tokens>,
    #[serde(borrow, default)]
    billed_units: Option<&'a RawValue>,
    #[serde(default)]
    cached_tokens: Option<f64>,
}

#[derive(Clone, Copy, Default, Deserialize)]
struct Tokens {
    #[serde(default)]
    input_tokens: Option<f64>,
    #[serde(default)]
    output_tokens: Option<f64>,
}

#[derive(Serialize)]
pub(super) struct Usage<'a> {
    prompt_tokens: u64,
    completion_tokens: u64,
    total_tokens: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt_tokens_details: Option<Cached>,
    #[serde(skip_serializing_if = "Option::is_none")]
    billed_units: Option<&'a RawValue>,
}

#[derive(Serialize)]
struct Cached {
    cached_tokens: u64,
}

impl<'a> Used<'a> {
    /// In OpenAI's members, beside what is billed; `None` if nothing was counted. Numbers come as floats.
    pub(super) fn usage(&self) -> Option<Usage<'a>> {
        let billed: Option<Tokens> = self.billed_units.and_then(|raw| serde_json::from_str(raw.get()).ok());
        let tokens = self.tokens.filter(Tokens::counted).or(billed.filter(Tokens::counted))?;
        let count = |number: Option<f64>| number.unwrap_or_default().max(0.0) as u64;
        let (prompt, completion) = (count(tokens.input_tokens), count(tokens.output_tokens));
        Some(Usage {
            prompt_tokens: prompt,
            completion_tokens: completion,
            total_tokens: prompt + completion,
            prompt_tokens_details: self.cached_tokens.map(|cached| Cached { cached_tokens: count(Some(cached)) }),
            billed_units: self.billed_units,
        })
    }
}

impl Tokens {
    fn counted(&self) -> bool {
        self.input_tokens.is_some() || self.output_tokens.is_some()
    }
}

/// The probability of a piece of text.
#[derive(Deserialize)]
pub(super) struct Logprob<'a> {
    #[serde(borrow, default)]
    text: Option<&'a RawValue>,
    #[serde(default)]
    logprobs: Option<Vec<f64>>,
}

#[derive(Serialize)]
pub(super) struct Token<'a> {
    token: Option<&'a RawValue>,
    logprob: f64,
    bytes: Option<Vec<u8>>,
    top_logprobs: [(); 0],
}

impl<'a> Logprob<'a> {
    /// In OpenAI's members. A piece of several tokens has the probability of all of them together.
    pub(super) fn token(&self) -> Token<'a> {
        let bytes = self.text.and_then(|raw| serde_json::from_str::<String>(raw.get()).ok()).map(String::into_bytes);
        Token {
            token: self.text,
            logprob: self.logprobs.iter().flatten().fold(0.0, |sum, one| sum + one),
            bytes,
            top_logprobs: [],
        }
    }
}

/// One replayable thought.
#[derive(Serialize)]
pub(super) struct Detail<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<&'a str>,
    format: &'static str,
    index: usize,
}

impl<'a> Detail<'a> {
    /// What the model thought.
    pub(super) fn thinking(text: &'a str, index: usize) -> Self {
        Self { kind: "reasoning.text", text: Some(text), summary: None, format: FORMAT, index }
    }

    /// What it said it would do with its tools.
    pub(super) fn plan(text: &'a str, index: usize) -> Self {
        Self { kind: "reasoning.summary", text: None, summary: Some(text), format: FORMAT, index }
    }
}

/// Where the text says what a page says.
#[derive(Serialize)]
pub(super) struct Annotation {
    #[serde(rename = "type")]
    kind: &'static str,
    url_citation: Page,
}

#[derive(Serialize)]
struct Page {
    start_index: u64,
    end_index: u64,
    url: String,
    title: String,
}

#[derive(Deserialize)]
struct Citation {
    #[serde(default)]
    start: u64,
    #[serde(default)]
    end: u64,
    #[serde(default)]
    sources: Vec<Source>,
}

#[derive(Deserialize)]
struct Source {
    #[serde(default)]
    document: serde_json::Map<String, serde_json::Value>,
}

/// Those of the citations that are of documents with an address. Documents have whatever members the caller gave them.
pub(super) fn annotations(citations: &[&RawValue]) -> Vec<Annotation> {
    let read = citations.iter().filter_map(|raw| serde_json::from_str::<Citation>(raw.get()).ok());
    let pages = read.flat_map(|citation| {
        let Citation { start: start_index, end: end_index, sources } = citation;
        sources.into_iter().filter_map(move |source| {
            let text = |name: &str| source.document.get(name).and_then(|value| value.as_str()).map(str::to_owned);
            let (url, title) = (text("url")?, text("title").unwrap_or_default());
            Some(Page { start_index, end_index, url, title })
        })
    });
    pages.map(|url_citation| Annotation { kind: "url_citation", url_citation }).collect()
}

/// A failure that comes in an answer's place.
pub(super) fn failed(reason: &str, said: Option<&[u8]>) -> Broken {
    let said = said.map(errors::read).unwrap_or_default();
    let message = said.message.unwrap_or_else(|| format!("the model stopped with {reason}"));
    let (code, status) = (said.code.or_else(|| Some(reason.to_ascii_lowercase())), said.status.or(Some(502)));
    Broken::Said(Complaint { message: Some(message), code, status, ..said })
}

/// A whole answer of `POST /v2/chat`. Fails on what is none, and on an answer that is a failure.
pub fn answer(body: Bytes, back: &Back) -> Translated {
    let malformed = |error: serde_json::Error| Broken::Malformed(error.into());
    let read: Answer<'_> = serde_json::from_slice(&body).map_err(malformed)?;
    let Some(message) = read.message.filter(|raw| raw.get().starts_with('{')) else {
        // an error's message is a text
        return Err(Broken::Said(errors::read(&body)));
    };
    let message: Message<'_> = serde_json::from_str(message.get()).map_err(malformed)?;
    let blocks = match message.content {
        Some(raw) if raw.get().starts_with('"') => vec![Block { text: Some(raw), thinking: None }],
        Some(raw) => serde_json::from_str::<Option<Vec<Block<'_>>>>(raw.get()).map_err(malformed)?.unwrap_or_default(),
        None => Vec::new(),
    };
    let calls = message.tool_calls.as_deref().unwrap_or_default();
    let text = text(&blocks);
    let native = read.finish_reason.as_deref().unwrap_or("COMPLETE");
    let finish = Finish::of(native);
    if finish == Some(Finish::Failed) && text.is_none() && calls.is_empty() {
        return Err(failed(native, None));
    }
    let mut said = Object::default();
    said.set("role", &"assistant");
    match (text, calls.is_empty()) {
        (Some(text), _) => said.set_raw("content", text.into()),
        (None, true) => said.set("content", &""),
        (None, false) => said.set("content", &()),
    }
    said.set("refusal", &());
    reason(&mut said, &blocks, message.tool_plan.as_deref());
    let citations = message.citations.unwrap_or_default();
    let annotations = annotations(&citations);
    if !annotations.is_empty() {
        said.set("annotations", &annotations);
    }
    match calls {
        [] => {}
        [call, ..] if back.functions => said.set_raw("function_call", function(call, back).encode()),
        calls => {
            let calls: Vec<Object> = calls.iter().enumerate().map(|(at, call)| tool_call(at, call, back)).collect();
            said.set_objects("tool_calls", &calls);
        }
    }
    let mut choice = Object::default();
    choice.set("index", &0);
    choice.set_raw("message", said.encode());
    choice.set("logprobs", &());
    if let Some(logprobs) = &read.logprobs {
        let mut found = Object::default();
        found.set("content", &logprobs.iter().map(Logprob::token).collect::<Vec<_>>());
        choice.set_raw("logprobs", found.encode());
    }
    choice.set("finish_reason", &word(native, !calls.is_empty(), back));
    choice.set("native_finish_reason", &native);
    let mut out = Object::default();
    out.set_text("id", read.id.as_deref().unwrap_or(&back.id));
    out.set("object", &"chat.completion");
    out.set("created", &back.created);
    out.set_text("model", &back.model);
    out.set_objects("choices", &[choice]);
    if let Some(usage) = read.usage.as_ref().and_then(Used::usage) {
        out.set("usage", &usage);
    }
    if !citations.is_empty() {
        out.set("citations", &citations);
    }
    Ok(out)
}

/// The text of all blocks, as the JSON of one.
fn text(blocks: &[Block<'_>]) -> Option<Vec<u8>> {
    let mut out = vec![b'"'];
    for raw in blocks.iter().filter_map(|block| block.text) {
        let inner = raw.get().strip_prefix('"').and_then(|raw| raw.strip_suffix('"'));
        out.extend_from_slice(inner.unwrap_or_default().as_bytes());
    }
    out.push(b'"');
    (out.len() > 2).then_some(out)
}

fn reason(said: &mut Object, blocks: &[Block<'_>], plan: Option<&str>) {
    let thoughts = blocks.iter().filter_map(|block| block.thinking.as_deref()).filter(|text| !text.is_empty());
    let plan = plan.filter(|plan| !plan.is_empty());
    let all: Vec<&str> = thoughts.clone().chain(plan).collect();
    if all.is_empty() {
        return;
    }
    said.set("reasoning_content", &all.join("\n\n"));
    let mut details: Vec<Detail<'_>> = thoughts.enumerate().map(|(at, text)| Detail::thinking(text, at)).collect();
    details.extend(plan.map(|plan| Detail::plan(plan, details.len())));
    said.set("reasoning_details", &details);
}

/// OpenAI's word for why it stopped. Calls are the reason wherever there are some.
pub(super) fn word<'a>(native: &'a str, calls: bool, back: &Back) -> &'a str {
    match (calls, Finish::of(native).map(Finish::word)) {
        (true, Some("stop" | "tool_calls")) if back.functions => "function_call",
        (true, Some("stop")) => "tool_calls",
        (false, Some("tool_calls")) => "stop",
        (_, word) => word.unwrap_or(native),
    }
}

fn function(call: &ToolCall<'_>, back: &Back) -> Object {
    let mut function = Object::default();
    let name = call.function.as_ref().map_or("", |function| &function.name);
    function.set_text("name", back.tool(name));
    let given = call.function.as_ref().and_then(|function| function.arguments);
    match given.map(RawValue::get) {
        None | Some("null" | "\"\"") => function.set("arguments", &"{}"),
        Some(text) if text.starts_with('"') => function.set_raw("arguments", Bytes::copy_from_slice(text.as_bytes())),
        Some(object) => function.set_text("arguments", object),
    }
    function
}

fn tool_call(at: usize, call: &ToolCall<'_>, back: &Back) -> Object {
    let mut out = Object::default();
    match call.id.filter(|id| id.get() != "null") {
        Some(id) => out.set("id", &id),
        None => out.set_text("id", &format!("call_{}_{at}", back.id)),
    }
    out.set("type", &"function");
    out.set_raw("function", function(call, back).encode());
    out
}
