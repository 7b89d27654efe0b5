//! ConverseStream's events, as OpenAI's chunks.

use std::borrow::Cow;

use bytes::{Bytes, BytesMut};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::answer::{self, FORMAT};
use super::eventstream::{Event, Frames, Kind};
use super::json::{self, Json, Members};
use super::usage::Tokens;
use crate::wire::native::Back;
use crate::wire::openai::errors::{self, Complaint};
use crate::wire::openai::stream::{Broken, DONE};

/// What ends a chunk that is not the last of its choice.
const OPEN_END: &[u8] = b",\"finish_reason\":null}]}\n\n";

/// The state of one stream.
pub struct Decoder {
    back: Back,
    frames: Frames,
    /// Every chunk up to its choices.
    head: Vec<u8>,
    role: bool,
    /// Blocks that have begun and not ended, by their index.
    blocks: Vec<(u64, Block)>,
    calls: u32,
    /// Whether the model has said anything.
    said: bool,
    finished: bool,
    over: bool,
}

/// What a block of the answer is, where that has to be remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Block {
    /// A call of the caller's tool: its index among the calls, and whether arguments have come.
    Call(u32, bool),
    /// The tool that stands for a JSON schema.
    Answer,
    /// Something the provider does itself.
    Theirs,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Start<'a> {
    #[serde(default)]
    content_block_index: u64,
    #[serde(borrow)]
    start: Members<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Delta<'a> {
    #[serde(default)]
    content_block_index: u64,
    #[serde(borrow)]
    delta: Piece<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Piece<'a> {
    #[serde(borrow, default)]
    text: Option<&'a RawValue>,
    #[serde(borrow, default)]
    tool_use: Option<Input<'a>>,
    #[serde(borrow, default)]
    reasoning_content: Option<Thought<'a>>,
    #[serde(borrow, default)]
    citation: Option<Members<'a>>,
    #[serde(borrow, default)]
    image: Option<Members<'a>>,
}

#[derive(Deserialize)]
struct Input<'a> {
    #[serde(borrow, default)]
    input: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Thought<'a> {
    #[serde(borrow, default)]
    text: Option<&'a RawValue>,
    #[serde(borrow, default)]
    signature: Option<&'a RawValue>,
    #[serde(borrow, default)]
    redacted_content: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stop {
    #[serde(default)]
    content_block_index: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Last<'a> {
    #[serde(borrow, default)]
    stop_reason: Cow<'a, str>,
}

/// A text, as the JSON string it came as.
fn string(raw: Option<&RawValue>) -> Option<&str> {
    raw.map(RawValue::get).filter(|raw| raw.starts_with('"'))
}

fn read<'a, T: Deserialize<'a>>(payload: &'a [u8]) -> Result<T, Broken> {
    serde_json::from_slice(payload).map_err(|error| Broken::Malformed(error.into()))
}

impl Decoder {
    /// A stream that has not begun.
    pub fn new(back: Back) -> Self {
        let mut head = Json::default();
        head.open(b'{');
        head.member_text("id", &back.id);
        head.member("object", r#""chat.completion.chunk""#);
        head.member("created", &back.created.to_string());
        head.member_text("model", &back.model);
        let head = [b"data: ", &head.0[..], b",\"choices\":["].concat();
        Self {
            back,
            frames: Frames::default(),
            head,
            role: false,
            blocks: Vec::new(),
            calls: 0,
            said: false,
            finished: false,
            over: false,
        }
    }

    /// Take what arrived; appends a frame to `out` for everything that is whole now. Fails on a failure the provider
    /// reports, and on what is no event; what is in `out` then is still good, and nothing follows.
    pub fn push(&mut self, chunk: Bytes, out: &mut BytesMut) -> Result<(), Broken> {
        if self.over {
            return Ok(());
        }
        self.frames.push(&chunk);
        loop {
            let event = self.frames.take().map_err(Broken::Malformed);
            let taken = match event {
                Ok(None) => return Ok(()),
                Ok(Some(event)) => self.take(&event, out),
                Err(broken) => Err(broken),
            };
            if taken.is_err() {
                self.over = true;
                return taken;
            }
        }
    }

    /// The provider has closed the stream. Fails if it was cut: within an event, or before the model had finished.
    pub fn end(&mut self, out: &mut BytesMut) -> Result<(), Broken> {
        if self.over {
            return Ok(());
        }
        self.over = true;
        if !self.finished || self.frames.pending() > 0 {
            return Err(Broken::Truncated);
        }
        out.extend_from_slice(DONE);
        Ok(())
    }

    fn take(&mut self, event: &Event, out: &mut BytesMut) -> Result<(), Broken> {
        if event.kind != Kind::Event {
            return Err(Broken::Said(complaint(event)));
        }
        let payload = &event.payload[..];
        match event.name.as_str() {
            "contentBlockDelta" => self.delta(&read(payload)?, out),
            "contentBlockStart" => self.start(&read(payload)?, out),
            "contentBlockStop" => self.stop(&read(payload)?, out),
            "messageStart" => self.begin(out),
            "messageStop" => self.finish(payload, out)?,
            "metadata" => self.metadata(&read(payload)?, out),
            _ => {}
        }
        Ok(())
    }

    /// Append a chunk of one choice, with these pieces of JSON as its delta.
    fn chunk(&mut self, pieces: &[&[u8]], out: &mut BytesMut) {
        self.begin(out);
        out.reserve(self.head.len() + pieces.iter().map(|piece| piece.len()).sum::<usize>() + 64);
        out.extend_from_slice(&self.head);
        out.extend_from_slice(b"{\"index\":0,\"delta\":");
        pieces.iter().for_each(|piece| out.extend_from_slice(piece));
        out.extend_from_slice(OPEN_END);
    }

    /// The first chunk says who speaks.
    fn begin(&mut self, out: &mut BytesMut) {
        if !self.role {
            self.role = true;
            self.chunk(&[br#"{"role":"assistant","content":""}"#], out);
        }
    }

    fn start(&mut self, start: &Start<'_>, out: &mut BytesMut) {
        let at = start.content_block_index;
        let block = match start.start.object("toolUse") {
            Some(call) if call.text("type").as_deref() == Some("server_tool_use") => Block::Theirs,
            Some(call) => {
                let name = call.text("name").unwrap_or_default();
                if self.back.json_tool.as_deref() == Some(&*name) {
                    Block::Answer
                } else {
                    let index = self.calls;
                    self.calls += 1;
                    self.said = true;
                    let id = json::quoted(&call.text("toolUseId").unwrap_or_default());
                    let name = json::quoted(self.back.tool(&name));
                    let delta = format!(
                        r#"{{"tool_calls":[{{"index":{index},"id":{id},"type":"function","function":{{"name":{name},"arguments":""}}}}]}}"#
                    );
                    self.chunk(&[delta.as_bytes()], out);
                    Block::Call(index, false)
                }
            }
            None if start.start.raw("toolResult").is_some() => Block::Theirs,
            None => return,
        };
        self.blocks.retain(|(known, _)| *known != at);
        self.blocks.push((at, block));
    }

    fn delta(&mut self, delta: &Delta<'_>, out: &mut BytesMut) {
        let (at, piece) = (delta.content_block_index, &delta.delta);
        if let Some(text) = string(piece.text) {
            self.said |= text != r#""""#;
            self.chunk(&[b"{\"content\":", text.as_bytes(), b"}"], out);
        } else if let Some(input) = &piece.tool_use {
            self.input(at, string(input.input).unwrap_or(r#""""#), out);
        } else if let Some(thought) = &piece.reasoning_content {
            self.thought(at, thought, out);
        } else if let Some(citation) = &piece.citation {
            let mut list = Json::default();
            answer::annotation(citation, &mut list);
            self.chunk(&[b"{\"annotations\":[", &list.0, b"]}"], out);
        } else if let Some(image) = &piece.image {
            let mut list = Json::default();
            answer::picture(image, &mut list);
            self.said = true;
            self.chunk(&[b"{\"images\":[", &list.0, b"]}"], out);
        }
    }

    fn input(&mut self, at: u64, input: &str, out: &mut BytesMut) {
        let Some((_, block)) = self.blocks.iter_mut().find(|(known, _)| *known == at) else { return };
        match block {
            Block::Theirs => {}
            _ if input == r#""""# => {}
            Block::Answer => {
                self.said = true;
                self.chunk(&[b"{\"content\":", input.as_bytes(), b"}"], out);
            }
            Block::Call(index, fed) => {
                *fed = true;
                let head = format!(r#"{{"tool_calls":[{{"index":{index},"function":{{"arguments":"#);
                self.chunk(&[head.as_bytes(), input.as_bytes(), b"}}]}"], out);
            }
        }
    }

    fn thought(&mut self, at: u64, thought: &Thought<'_>, out: &mut BytesMut) {
        let tail = format!(r#","format":{FORMAT},"index":{at}}}]}}"#);
        let tail = tail.as_bytes();
        if let Some(text) = string(thought.text) {
            self.said |= text != r#""""#;
            let (text, details) = (text.as_bytes(), br#","reasoning_details":[{"type":"reasoning.text","text":"#);
            self.chunk(&[b"{\"reasoning_content\":", text, details, text, tail], out);
        }
        if let Some(signature) = string(thought.signature) {
            // without a text of its own: who joins the pieces of an index has the whole block
            let details = br#"{"reasoning_details":[{"type":"reasoning.text","text":"","signature":"#;
            self.chunk(&[details, signature.as_bytes(), tail], out);
        }
        if let Some(data) = string(thought.redacted_content) {
            let details = br#"{"reasoning_details":[{"type":"reasoning.encrypted","data":"#;
            self.chunk(&[details, data.as_bytes(), tail], out);
        }
    }

    fn stop(&mut self, stop: &Stop, out: &mut BytesMut) {
        let Some(place) = self.blocks.iter().position(|(known, _)| *known == stop.content_block_index) else { return };
        if let (_, Block::Call(index, false)) = self.blocks.remove(place) {
            let delta = format!(r#"{{"tool_calls":[{{"index":{index},"function":{{"arguments":"{{}}"}}}}]}}"#);
            self.chunk(&[delta.as_bytes()], out);
        }
    }

    fn finish(&mut self, payload: &[u8], out: &mut BytesMut) -> Result<(), Broken> {
        let last: Last<'_> = read(payload)?;
        let native = last.stop_reason;
        let finish = answer::finish(&native, self.calls > 0, self.said);
        let finish = finish.ok_or_else(|| answer::nonsense(&native))?;
        self.begin(out);
        out.extend_from_slice(&self.head);
        out.extend_from_slice(b"{\"index\":0,\"delta\":{},\"finish_reason\":");
        out.extend_from_slice(json::quoted(finish).as_bytes());
        if finish != native {
            out.extend_from_slice(b",\"native_finish_reason\":");
            out.extend_from_slice(json::quoted(&native).as_bytes());
        }
        out.extend_from_slice(b"}]");
        let whole: Members<'_> = read(payload)?;
        self.close(&whole, out);
        self.finished = true;
        Ok(())
    }

    /// Comes behind the finish.
    fn metadata(&mut self, whole: &Members<'_>, out: &mut BytesMut) {
        let tokens: Option<Tokens> = whole.raw("usage").and_then(|raw| json::parse(raw).ok());
        let Some(tokens) = tokens else { return };
        out.extend_from_slice(&self.head);
        out.extend_from_slice(b"],\"usage\":");
        out.extend_from_slice(tokens.write().as_bytes());
        if let Some(tier) = whole.object("serviceTier").and_then(|tier| tier.raw("type")) {
            out.extend_from_slice(b",\"service_tier\":");
            out.extend_from_slice(json::compact(tier).as_bytes());
        }
        self.close(whole, out);
    }

    /// The end of a chunk, with what OpenAI has no word for.
    fn close(&self, whole: &Members<'_>, out: &mut BytesMut) {
        if let Some(metadata) = answer::metadata(whole, None) {
            out.extend_from_slice(b",\"provider_metadata\":");
            out.extend_from_slice(metadata.as_bytes());
        }
        out.extend_from_slice(b"}\n\n");
    }
}

/// A failure in the stream: under the names it would have as an answer, and with their status.
fn complaint(event: &Event) -> Complaint {
    let mut said = errors::read(&event.payload);
    let mut name = event.name.clone();
    if let Some(first) = name.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    let status = match name.as_str() {
        "ThrottlingException" | "ModelNotReadyException" => 429,
        "ValidationException" | "ServiceQuotaExceededException" => 400,
        "AccessDeniedException" | "UnrecognizedClientException" | "ExpiredTokenException" => 403,
        "ResourceNotFoundException" => 404,
        "ModelTimeoutException" => 408,
        "ModelStreamErrorException" | "ModelErrorException" => 424,
        "ServiceUnavailableException" => 503,
        _ => 500,
    };
    let members: Option<Members<'_>> = serde_json::from_slice(&event.payload).ok();
    if let Some(original) = members.and_then(|members| members.text("originalMessage").map(Cow::into_owned)) {
        let message = said.message.unwrap_or_default();
        said.message = Some(format!("{message}: {original}").trim_start_matches(": ").to_owned());
    }
    said.status = Some(status);
    said.code = Some(name).filter(|name| !name.is_empty());
    said
}
