//! Cohere's stream as OpenAI's events.

use std::borrow::Cow;

use bytes::{BufMut, Bytes, BytesMut};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::answer::{Detail, Logprob, Used, annotations, failed, word};
use crate::wire::native::Back;
use crate::wire::native::finish::Finish;
use crate::wire::openai::errors;
use crate::wire::openai::stream::{Broken, DONE};
use crate::wire::{Malformed, sse};

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(rename = "type", borrow, default)]
    kind: Cow<'a, str>,
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    index: Option<u64>,
    #[serde(borrow, default)]
    delta: Option<Delta<'a>>,
    #[serde(borrow, default)]
    logprobs: Option<Logprob<'a>>,
}

#[derive(Default, Deserialize)]
struct Delta<'a> {
    #[serde(borrow, default)]
    message: Option<Message<'a>>,
    #[serde(default)]
    finish_reason: Option<String>,
    #[serde(borrow, default)]
    usage: Option<Used<'a>>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

/// What is an object in a delta is a list in the first event, where it is empty.
#[derive(Default, Deserialize)]
struct Message<'a> {
    #[serde(borrow, default)]
    content: Option<&'a RawValue>,
    #[serde(default)]
    tool_plan: Option<String>,
    #[serde(borrow, default)]
    tool_calls: Option<&'a RawValue>,
    #[serde(borrow, default)]
    citations: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
struct Content<'a> {
    #[serde(borrow, default)]
    text: Option<&'a RawValue>,
    #[serde(default)]
    thinking: Option<String>,
}

#[derive(Default, Deserialize)]
struct Call<'a> {
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    function: Option<Function<'a>>,
}

#[derive(Default, Deserialize)]
struct Function<'a> {
    #[serde(default)]
    name: Option<String>,
    #[serde(borrow, default)]
    arguments: Option<&'a RawValue>,
}

/// The state of one stream.
pub struct Decoder {
    back: Back,
    frames: sse::Frames,
    /// What every event begins with, up to its choices.
    head: Vec<u8>,
    /// The tools that were called: what the vendor numbers them by, and whether arguments came.
    calls: Vec<(u64, bool)>,
    /// The role has been told.
    begun: bool,
    /// The end mark has come.
    ended: bool,
}

impl Decoder {
    /// A stream that has not begun.
    pub fn new(back: Back) -> Self {
        let (frames, head) = (sse::Frames::default(), Vec::new());
        Self { back, frames, head, calls: Vec::new(), begun: false, ended: false }
    }

    /// Append the events that are whole now. Fails on what is no event, and with what the provider reports.
    pub fn push(&mut self, chunk: Bytes, out: &mut BytesMut) -> Result<(), Broken> {
        sse::split(self.frames.within(sse::LONGEST, chunk)?).try_for_each(|frame| self.frame(&frame, out))
    }

    /// The stream has been closed; fails if its end mark never came.
    pub fn end(&mut self, out: &mut BytesMut) -> Result<(), Broken> {
        let mut last = BytesMut::from(&self.frames.end()[..]);
        if !self.ended && !last.trim_ascii().is_empty() {
            last.put_slice(b"\n\n");
            self.frame(&last.freeze(), out).map_err(Broken::at_the_end)?;
        }
        if self.ended { Ok(()) } else { Err(Broken::Truncated) }
    }

    fn frame(&mut self, frame: &Bytes, out: &mut BytesMut) -> Result<(), Broken> {
        let Some(data) = sse::data(frame) else { return Ok(()) };
        let data = data.trim_ascii();
        if self.ended || data.is_empty() || data == b"[DONE]" {
            return Ok(());
        }
        let event: Event<'_> = serde_json::from_slice(data).map_err(|error| Broken::Malformed(error.into()))?;
        let delta = event.delta.unwrap_or_default();
        let message = delta.message.unwrap_or_default();
        let index = event.index.unwrap_or_default();
        match event.kind.as_ref() {
            "message-start" => self.begin(event.id, out),
            "content-start" | "content-delta" => {
                let content: Content<'_> = object(message.content)?;
                self.content(&content, event.logprobs.as_ref(), out);
            }
            "tool-plan-delta" => {
                if let Some(plan) = message.tool_plan.filter(|plan| !plan.is_empty()) {
                    self.reasoning(&plan, Detail::plan(&plan, 1), out);
                }
            }
            "tool-call-start" | "tool-call-delta" => {
                let call: Call<'_> = object(message.tool_calls)?;
                self.call(index, &call, out);
            }
            "tool-call-end" => self.call_ends(index, out),
            "citation-start" => self.cite(message.citations, out),
            "message-end" => {
                let native = delta.finish_reason.unwrap_or_else(|| "COMPLETE".to_owned());
                let error = delta.error.map(|error| error.get().as_bytes());
                self.finish(&native, delta.usage.as_ref(), error, out)?;
            }
            // what is not typed is no event, but what a gateway says in front of it
            "" => return Err(Broken::Said(errors::read(data))),
            "error" => return Err(Broken::Said(errors::read(data))),
            _ => {}
        }
        Ok(())
    }

    fn begin(&mut self, id: Option<String>, out: &mut BytesMut) {
        if self.begun {
            return;
        }
        self.begun = true;
        #[derive(Serialize)]
        struct Head<'a> {
            id: &'a str,
            object: &'static str,
            created: u64,
            model: &'a str,
        }
        let id = id.as_deref().filter(|id| !id.is_empty()).unwrap_or(&self.back.id);
        let head = Head { id, object: "chat.completion.chunk", created: self.back.created, model: &self.back.model };
        let mut event = b"data: ".to_vec();
        event.extend(serde_json::to_vec(&head).expect("texts and a number always encode"));
        event.pop();
        event.extend_from_slice(b",\"choices\":[");
        self.head = event;
        self.chunk(br#"{"role":"assistant","content":""}"#, b"null", b"", out);
    }

    /// One event; `more` are members beside the choices, each with a comma before it.
    fn chunk(&mut self, delta: &[u8], logprobs: &[u8], more: &[u8], out: &mut BytesMut) {
        self.choice(
            &[br#"{"index":0,"delta":"#, delta, br#","logprobs":"#, logprobs, br#","finish_reason":null}"#],
            more,
            out,
        );
    }

    fn choice(&mut self, choice: &[&[u8]], more: &[u8], out: &mut BytesMut) {
        if !self.begun {
            self.begin(None, out);
        }
        out.put_slice(&self.head);
        choice.iter().for_each(|piece| out.put_slice(piece));
        out.put_u8(b']');
        out.put_slice(more);
        out.put_slice(b"}\n\n");
    }

    fn content(&mut self, content: &Content<'_>, logprobs: Option<&Logprob<'_>>, out: &mut BytesMut) {
        if let Some(thinking) = content.thinking.as_deref().filter(|text| !text.is_empty()) {
            self.reasoning(thinking, Detail::thinking(thinking, 0), out);
        }
        let Some(text) = content.text.map(RawValue::get).filter(|text| !matches!(*text, "null" | "\"\"")) else {
            return;
        };
        let logprobs = logprobs.map(|logprobs| json(&[logprobs.token()]));
        let logprobs = logprobs.map(|tokens| [b"{\"content\":", &tokens[..], b"}"].concat());
        let delta = [b"{\"content\":", text.as_bytes(), b"}"].concat();
        self.chunk(&delta, logprobs.as_deref().unwrap_or(b"null"), b"", out);
    }

    /// A citation comes alone, not in a list.
    fn cite(&mut self, citation: Option<&RawValue>, out: &mut BytesMut) {
        let Some(citation) = citation.filter(|raw| raw.get().starts_with('{')) else { return };
        let annotations = annotations(&[citation]);
        let delta = match annotations.is_empty() {
            true => b"{}".to_vec(),
            false => [b"{\"annotations\":", &json(&annotations)[..], b"}"].concat(),
        };
        let citations = [b",\"citations\":[", &sse::one_line(citation.get().as_bytes())[..], b"]"].concat();
        self.chunk(&delta, b"null", &citations, out);
    }

    fn reasoning(&mut self, text: &str, detail: Detail<'_>, out: &mut BytesMut) {
        let pieces: [&[u8]; 5] =
            [b"{\"reasoning_content\":", &json(text), b",\"reasoning_details\":[", &json(&detail), b"]}"];
        self.chunk(&pieces.concat(), b"null", b"", out);
    }

    /// A call begins, or goes on.
    fn call(&mut self, index: u64, call: &Call<'_>, out: &mut BytesMut) {
        let function = call.function.as_ref();
        let arguments = function.and_then(|function| function.arguments).map(RawValue::get);
        let arguments = arguments.filter(|text| text.starts_with('"') && *text != "\"\"");
        let known = self.calls.iter().position(|(known, _)| *known == index);
        let name = function.and_then(|function| function.name.as_deref()).filter(|name| !name.is_empty());
        let at = known.unwrap_or(self.calls.len());
        if known.is_none() {
            self.calls.push((index, false));
        }
        self.calls[at].1 |= arguments.is_some();
        let arguments = arguments.unwrap_or("\"\"");
        let delta = match (known, name) {
            // the older form has one call, and no ids
            _ if self.back.functions && at > 0 => return,
            (Some(_), None) if self.back.functions => format!(r#"{{"arguments":{arguments}}}"#),
            (_, name) if self.back.functions => {
                let name = String::from_utf8_lossy(&json(self.back.tool(name.unwrap_or_default()))).into_owned();
                format!(r#"{{"name":{name},"arguments":{arguments}}}"#)
            }
            (Some(_), None) => format!(r#"{{"index":{at},"function":{{"arguments":{arguments}}}}}"#),
            (_, name) => {
                let id = match call.id.map(RawValue::get).filter(|id| *id != "null") {
                    Some(id) => id.to_owned(),
                    None => format!("\"call_{}_{at}\"", self.back.id),
                };
                let name = String::from_utf8_lossy(&json(self.back.tool(name.unwrap_or_default()))).into_owned();
                format!(
                    r#"{{"index":{at},"id":{id},"type":"function","function":{{"name":{name},"arguments":{arguments}}}}}"#
                )
            }
        };
        if known.is_some() && arguments == "\"\"" {
            return;
        }
        self.call_chunk(&delta, out);
    }

    fn call_chunk(&mut self, delta: &str, out: &mut BytesMut) {
        let delta = match self.back.functions {
            true => format!(r#"{{"function_call":{delta}}}"#),
            false => format!(r#"{{"tool_calls":[{delta}]}}"#),
        };
        self.chunk(delta.as_bytes(), b"null", b"", out);
    }

    /// A call without arguments has empty ones.
    fn call_ends(&mut self, index: u64, out: &mut BytesMut) {
        let Some(at) = self.calls.iter().position(|(known, some)| *known == index && !some) else { return };
        self.calls[at].1 = true;
        match self.back.functions {
            true if at > 0 => {}
            true => self.call_chunk(r#"{"arguments":"{}"}"#, out),
            false => self.call_chunk(&format!(r#"{{"index":{at},"function":{{"arguments":"{{}}"}}}}"#), out),
        }
    }

    fn finish(
        &mut self,
        native: &str,
        used: Option<&Used<'_>>,
        error: Option<&[u8]>,
        out: &mut BytesMut,
    ) -> Result<(), Broken> {
        if Finish::of(native) == Some(Finish::Failed) {
            return Err(failed(native, error));
        }
        let (word, native) = (json(word(native, !self.calls.is_empty(), &self.back)), json(native));
        let finish: [&[u8]; 5] = [
            br#"{"index":0,"delta":{},"logprobs":null,"finish_reason":"#,
            &word,
            br#","native_finish_reason":"#,
            &native,
            b"}",
        ];
        self.choice(&finish, b"", out);
        if let Some(usage) = used.and_then(Used::usage) {
            let usage = [b",\"usage\":", &json(&usage)[..]].concat();
            self.choice(&[], &sse::one_line(&usage), out);
        }
        out.put_slice(DONE);
        self.ended = true;
        Ok(())
    }
}

/// What a delta holds, if it is an object.
fn object<'a, T: Default + Deserialize<'a>>(raw: Option<&'a RawValue>) -> Result<T, Broken> {
    match raw.map(RawValue::get) {
        Some(text) if text.starts_with('{') => {
            serde_json::from_str(text).map_err(|error| Broken::Malformed(Malformed::from(error)))
        }
        _ => Ok(T::default()),
    }
}

fn json(value: &(impl Serialize + ?Sized)) -> Vec<u8> {
    serde_json::to_vec(value).expect("texts and finite numbers always encode")
}
