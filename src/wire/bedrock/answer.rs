//! Converse's answer, as OpenAI's `chat.completion`.

use std::borrow::Cow;

use bytes::Bytes;

use super::json::{self, Json, Members};
use super::usage::Tokens;
use crate::wire::native::{Back, Translated};
use crate::wire::openai::errors::{self, Complaint};
use crate::wire::openai::stream::Broken;
use crate::wire::{Malformed, Object};

/// How our `reasoning_details` say whose they are.
pub(super) const FORMAT: &str = r#""bedrock-v1""#;

/// Translate a whole answer. Fails if it is an error with a good status, if the model produced nothing but nonsense, and
/// if it can't be read.
pub fn answer(body: Bytes, back: &Back) -> Translated {
    let whole = Members::of_body(&body).map_err(Broken::Malformed)?;
    let blocks = whole.raw("output").and_then(|output| json::objects_at(output, &["message", "content"]));
    let Some(blocks) = blocks else { return Err(no_answer(&whole, &body)) };
    let mut said = Said::default();
    for (at, block) in blocks.iter().enumerate() {
        said.block(at, block, back);
    }
    let native = whole.text("stopReason").unwrap_or_default();
    let finish = finish(&native, !said.calls.is_empty(), !said.is_empty()).ok_or_else(|| nonsense(&native))?;
    let tokens: Tokens = whole.raw("usage").and_then(|raw| json::parse(raw).ok()).unwrap_or_default();

    // arguments of tools become texts, with an escape for every few characters
    let mut out = Json::with_capacity(body.len() + body.len() / 4 + 512);
    out.open(b'{');
    out.member_text("id", &back.id);
    out.member("object", r#""chat.completion""#);
    out.member("created", &back.created.to_string());
    out.member_text("model", &back.model);
    out.name("choices");
    out.open(b'[');
    out.open(b'{');
    out.member("index", "0");
    said.write(&mut out, back);
    out.member("logprobs", "null");
    out.member_text("finish_reason", finish);
    if finish != native {
        out.member_text("native_finish_reason", &native);
    }
    out.close(b'}');
    out.close(b']');
    out.member("usage", &tokens.write());
    if let Some(tier) = whole.object("serviceTier").and_then(|tier| tier.raw("type")) {
        out.member("service_tier", tier);
    }
    let blocks = (!said.others.is_empty()).then(|| String::from_utf8_lossy(&said.others.0).into_owned());
    if let Some(metadata) = metadata(&whole, blocks.as_deref()) {
        out.member("provider_metadata", &metadata);
    }
    out.close(b'}');
    Object::parse(out.0.into()).map_err(Broken::Malformed)
}

/// A good status, and no answer.
fn no_answer(whole: &Members<'_>, body: &[u8]) -> Broken {
    // what AWS' front says where the path is none of Bedrock's, as when a model's id is wrongly encoded
    let front = whole.object("Output").and_then(|output| output.text("__type"));
    if let Some(kind) = front {
        let kind = kind.rsplit('#').next().unwrap_or_default().to_owned();
        let message = Some(format!("{kind}: the path is not one of Bedrock's"));
        return Broken::Said(Complaint { message, code: Some(kind), status: Some(404), ..Complaint::default() });
    }
    let said = errors::read(body);
    if said == Complaint::default() {
        return Broken::Malformed(Malformed::new("an answer without `output.message`"));
    }
    Broken::Said(said)
}

/// The finish reason in OpenAI's words. `None`: the model produced something that could not be read, and nothing else.
pub(super) fn finish(native: &str, calls: bool, said: bool) -> Option<&str> {
    Some(match native {
        "end_turn" | "stop_sequence" | "tool_use" | "" if calls => "tool_calls",
        "end_turn" | "stop_sequence" | "tool_use" | "" => "stop",
        "max_tokens" | "model_context_window_exceeded" => "length",
        "guardrail_intervened" | "content_filtered" => "content_filter",
        "malformed_model_output" | "malformed_tool_use" if calls => "tool_calls",
        "malformed_model_output" | "malformed_tool_use" => return said.then_some("stop"),
        other => other,
    })
}

/// The model's output was unreadable: a fault of the provider's, worth another attempt.
pub(super) fn nonsense(native: &str) -> Broken {
    let message = Some(format!("the model's output could not be read ({native})"));
    Broken::Said(Complaint { message, code: Some(native.to_owned()), status: Some(502), ..Complaint::default() })
}

/// What OpenAI has no word for, as `provider_metadata`.
pub(super) fn metadata(whole: &Members<'_>, blocks: Option<&str>) -> Option<String> {
    let mut out = Json::default();
    out.open(b'{');
    out.name("bedrock");
    out.open(b'{');
    let mut any = blocks.is_some();
    for (name, member) in [
        ("trace", "trace"),
        ("additional_model_response_fields", "additionalModelResponseFields"),
        ("performance_config", "performanceConfig"),
    ] {
        if let Some(raw) = whole.raw(member).filter(|raw| *raw != "{}") {
            out.member(name, &json::compact(raw));
            any = true;
        }
    }
    if let Some(blocks) = blocks {
        out.name("content_blocks");
        out.open(b'[');
        out.item(blocks.as_bytes());
        out.close(b']');
    }
    out.close(b'}');
    out.close(b'}');
    any.then(|| String::from_utf8(out.0).unwrap_or_default())
}

/// What the model said, block by block. Texts are the insides of JSON strings.
#[derive(Default)]
struct Said<'a> {
    text: Vec<&'a str>,
    /// The arguments of the tool that stands for a schema.
    shaped: Vec<String>,
    thoughts: Vec<&'a str>,
    details: Json,
    calls: Vec<Call<'a>>,
    annotations: Json,
    images: Json,
    /// Blocks that are no part of an answer in OpenAI's form.
    others: Json,
}

impl<'a> Said<'a> {
    fn is_empty(&self) -> bool {
        let texts = self.text.iter().chain(&self.thoughts).all(|text| text.is_empty());
        texts && self.shaped.is_empty() && self.calls.is_empty() && self.images.is_empty()
    }

    fn block(&mut self, at: usize, block: &Members<'a>, back: &Back) {
        if let Some(text) = block.raw("text").and_then(json::inner) {
            self.text.push(text);
        } else if let Some(call) = block.object("toolUse") {
            self.call(&call, block, back);
        } else if let Some(thought) = block.object("reasoningContent") {
            self.thought(at, &thought);
        } else if let Some(cited) = block.object("citationsContent") {
            for content in cited.objects("content").unwrap_or_default() {
                self.text.extend(content.raw("text").and_then(json::inner));
            }
            for citation in cited.objects("citations").unwrap_or_default() {
                annotation(&citation, &mut self.annotations);
            }
        } else if let Some(image) = block.object("image") {
            picture(&image, &mut self.images);
        } else {
            self.other(block);
        }
    }

    fn other(&mut self, block: &Members<'a>) {
        self.others.open(b'{');
        block.iter().for_each(|(name, value)| self.others.foreign(name, &json::compact(value)));
        self.others.close(b'}');
    }

    fn call(&mut self, call: &Members<'a>, block: &Members<'a>, back: &Back) {
        // what the provider has called itself is no call of the caller's tools
        if call.text("type").as_deref() == Some("server_tool_use") {
            return self.other(block);
        }
        let name = call.text("name").unwrap_or_default();
        let input = call.raw("input").unwrap_or("{}");
        if back.json_tool.as_deref() == Some(&*name) {
            self.shaped.push(json::compact(input).into_owned());
            return;
        }
        self.calls.push(Call { id: call.text("toolUseId").unwrap_or_default(), name, input });
    }

    fn thought(&mut self, at: usize, thought: &Members<'a>) {
        let index = at.to_string();
        if let Some(data) = thought.raw("redactedContent").filter(|data| data.starts_with('"')) {
            self.details.open(b'{');
            self.details.member("type", r#""reasoning.encrypted""#);
            self.details.member("data", data);
        } else {
            let Some(inner) = thought.object("reasoningText") else { return };
            let text = inner.raw("text").filter(|text| text.starts_with('"')).unwrap_or(r#""""#);
            self.thoughts.extend(json::inner(text));
            self.details.open(b'{');
            self.details.member("type", r#""reasoning.text""#);
            self.details.member("text", text);
            if let Some(signature) = inner.raw("signature").filter(|signature| signature.starts_with('"')) {
                self.details.member("signature", signature);
            }
        }
        self.details.member("format", FORMAT);
        self.details.member("index", &index);
        self.details.close(b'}');
    }

    fn write(&self, out: &mut Json, back: &Back) {
        out.name("message");
        out.open(b'{');
        out.member("role", r#""assistant""#);
        out.name("content");
        if !self.shaped.is_empty() {
            // what it said beside the answer is not the answer
            out.text(&self.shaped.concat());
        } else if self.text.is_empty() && !self.calls.is_empty() {
            out.item("null");
        } else {
            out.joined(self.text.iter().copied());
        }
        out.member("refusal", "null");
        if !self.thoughts.is_empty() {
            out.name("reasoning_content");
            out.joined(self.thoughts.iter().copied());
        }
        list(out, "reasoning_details", &self.details);
        if !self.calls.is_empty() {
            out.name("tool_calls");
            out.open(b'[');
            self.calls.iter().for_each(|call| call.write(out, back));
            out.close(b']');
        }
        list(out, "annotations", &self.annotations);
        list(out, "images", &self.images);
        out.close(b'}');
    }
}

/// A member with elements that are written already, if there are any.
fn list(out: &mut Json, name: &str, elements: &Json) {
    if !elements.is_empty() {
        out.name(name);
        out.open(b'[');
        out.item(&elements.0);
        out.close(b']');
    }
}

/// A call of one of the caller's tools.
struct Call<'a> {
    id: Cow<'a, str>,
    /// As the provider knows the tool.
    name: Cow<'a, str>,
    input: &'a str,
}

impl Call<'_> {
    fn write(&self, out: &mut Json, back: &Back) {
        out.open(b'{');
        out.member_text("id", &self.id);
        out.member("type", r#""function""#);
        out.name("function");
        out.open(b'{');
        out.member_text("name", back.tool(&self.name));
        out.name("arguments").text_of_json(self.input);
        out.close(b'}');
        out.close(b'}');
    }
}

/// A citation: of a page in OpenAI's form, of a document in Converse's.
pub(super) fn annotation(citation: &Members<'_>, out: &mut Json) {
    let web = citation.object("location").and_then(|location| location.object("web"));
    out.open(b'{');
    match web.and_then(|web| web.raw("url")) {
        Some(url) => {
            out.member("type", r#""url_citation""#);
            out.name("url_citation");
            out.open(b'{');
            out.member("url", url);
            out.member("title", citation.raw("title").unwrap_or(r#""""#));
            out.close(b'}');
        }
        None => {
            out.member("type", r#""document_citation""#);
            out.name("document_citation");
            out.open(b'{');
            citation.iter().for_each(|(name, value)| out.foreign(name, &json::compact(value)));
            out.close(b'}');
        }
    }
    out.close(b'}');
}

/// A picture the model has drawn.
pub(super) fn picture(image: &Members<'_>, out: &mut Json) {
    let data = image.object("source").and_then(|source| source.raw("bytes")).and_then(json::inner);
    let Some(data) = data else { return };
    let format = image.text("format").unwrap_or_else(|| "png".into());
    out.open(b'{');
    out.member("type", r#""image_url""#);
    out.name("image_url");
    out.open(b'{');
    out.name("url");
    let head = json::quoted(&format!("data:image/{format};base64,"));
    out.joined([json::inner(&head).unwrap_or_default(), data]);
    out.close(b'}');
    out.close(b'}');
}
