//! The events of a message as OpenAI's chunks.

use bytes::{Bytes, BytesMut};

use super::chunks::Chunks;
use super::event::{self, Block, Delta, Event, Start};
use super::finish::{self, Extras, full};
use super::usage::Usage;
use super::{errors, json};
use crate::wire::native::Back;
use crate::wire::openai::stream::{Broken, DONE};
use crate::wire::sse;

/// The state of one stream.
pub struct Decoder {
    back: Back,
    frames: sse::Frames,
    chunks: Chunks,
    /// The block that is open.
    open: Open,
    /// Characters of text so far.
    characters: u64,
    /// Calls so far.
    calls: u64,
    usage: Usage,
    reason: Option<String>,
    /// Why the model refused, a JSON string.
    refusal: Option<Vec<u8>>,
    extras: Extras,
    /// Text that came where a tool stands for the answer: it is the answer only if that tool is never called.
    aside: Vec<u8>,
    /// Whether that tool has been called.
    answered: bool,
    done: bool,
}

/// What is being said.
enum Open {
    Nothing,
    Text {
        /// Characters before it.
        from: u64,
        citations: Vec<Vec<u8>>,
    },
    /// A call, by its place among the calls.
    Call {
        at: u64,
        begun: bool,
    },
    /// The arguments that are the answer.
    Answer {
        begun: bool,
    },
    /// A block of a server's tool, and its input as far as it came: insides of JSON strings.
    Server {
        block: Vec<u8>,
        input: Vec<u8>,
    },
}

impl Decoder {
    /// A stream that has not begun.
    pub fn new(back: Back) -> Self {
        Self {
            back,
            frames: sse::Frames::default(),
            chunks: Chunks::default(),
            open: Open::Nothing,
            characters: 0,
            calls: 0,
            usage: Usage::default(),
            reason: None,
            refusal: None,
            extras: Extras::default(),
            aside: Vec::new(),
            answered: false,
            done: false,
        }
    }

    /// Take what arrived, and append the chunks that are whole now. When it fails, what was appended before still counts.
    pub fn push(&mut self, chunk: Bytes, out: &mut BytesMut) -> Result<(), Broken> {
        for frame in sse::split(self.frames.within(sse::LONGEST, chunk)?) {
            if let Some(data) = sse::data(&frame) {
                self.event(&data, out)?;
            }
        }
        Ok(())
    }

    /// The provider has closed the stream: append what is left. Fails if the answer was not finished.
    pub fn end(&mut self, out: &mut BytesMut) -> Result<(), Broken> {
        let rest = self.frames.end();
        if let Some(data) = sse::data(&rest).filter(|_| !self.done) {
            // a last frame may lack its blank line, but not its end
            self.event(&data, out).map_err(Broken::at_the_end)?;
        }
        match (self.done, &self.reason) {
            (true, _) => {}
            (false, Some(_)) => self.finish(out),
            (false, None) => return Err(Broken::Truncated),
        }
        Ok(())
    }

    /// Take the payload of one event, however it was framed, and append its chunks.
    pub fn event(&mut self, data: &[u8], out: &mut BytesMut) -> Result<(), Broken> {
        let data = data.trim_ascii();
        if self.done || data.is_empty() || data == b"[DONE]" {
            return Ok(());
        }
        let event: Event<'_> = serde_json::from_slice(data).map_err(|error| Broken::Malformed(error.into()))?;
        match &*event.kind {
            "content_block_delta" => {
                if let Some(delta) = &event.delta {
                    self.begin(None, out);
                    self.delta(delta, event.index.unwrap_or_default(), out);
                }
            }
            "content_block_start" => {
                self.begin(None, out);
                self.close(out);
                if let Some(block) = event.content_block {
                    self.start(block.get().as_bytes(), event.index.unwrap_or_default(), out);
                }
            }
            "content_block_stop" => self.close(out),
            "message_start" => {
                if let Some(start) = &event.message {
                    if let Some(usage) = start.usage.filter(|_| !self.chunks.begun()) {
                        self.usage.take(usage);
                    }
                    self.begin(Some(start), out);
                }
            }
            "message_delta" => self.ends(&event),
            "message_stop" => self.finish(out),
            "error" => return Err(Broken::Said(errors::read(data))),
            // `ping`, and whatever comes to be
            _ if event.error.is_some() => return Err(Broken::Said(errors::read(data))),
            _ => {}
        }
        Ok(())
    }

    /// The first chunk; some proxies send the beginning twice, or not at all.
    fn begin(&mut self, start: Option<&Start<'_>>, out: &mut BytesMut) {
        if self.chunks.begun() {
            return;
        }
        let (id, model) = (start.and_then(|start| full(start.id)), start.and_then(|start| full(start.model)));
        self.chunks.begin(&self.back, id, model);
        self.chunks.delta(&[br#""role":"assistant","content":"""#], out);
    }

    fn start(&mut self, raw: &[u8], index: u64, out: &mut BytesMut) {
        let Ok(block) = serde_json::from_slice::<Block<'_>>(raw) else { return };
        match &*block.kind {
            "text" => {
                self.open = Open::Text { from: self.characters, citations: Vec::new() };
                if let Some(text) = full(block.text) {
                    self.text(text, out);
                }
            }
            "thinking" => {
                self.open = Open::Nothing;
                let (text, signature) = (full(block.thinking), full(block.signature));
                if text.is_some() || signature.is_some() {
                    self.chunks.thought(text, signature, index, out);
                }
            }
            "redacted_thinking" => {
                self.open = Open::Nothing;
                if let Some(data) = full(block.data) {
                    let mut item = Vec::with_capacity(data.len() + 96);
                    finish::redacted(&mut item, data, index);
                    self.chunks.delta(&[br#""reasoning_details":["#, &item, b"]"], out);
                }
            }
            "tool_use" => {
                let name = block.name.as_deref().unwrap_or_default();
                let input = finish::object(block.input).filter(|raw| !event::is_empty(raw));
                if self.back.json_tool.as_deref() == Some(name) {
                    (self.answered, self.aside) = (true, Vec::new());
                    self.open = Open::Answer { begun: input.is_some() };
                } else {
                    self.chunks.call(self.calls, self.back.tool(name), full(block.id), self.back.functions, out);
                    self.open = Open::Call { at: self.calls, begun: input.is_some() };
                    self.calls += 1;
                }
                if let Some(input) = input {
                    let mut text = Vec::with_capacity(input.len() + 16);
                    json::quoted(&mut text, input);
                    self.arguments(&text, out);
                }
            }
            _ => self.open = Open::Server { block: raw.to_vec(), input: Vec::new() },
        }
    }

    fn delta(&mut self, delta: &Delta<'_>, index: u64, out: &mut BytesMut) {
        match &*delta.kind {
            "text_delta" => {
                if let Some(text) = full(delta.text) {
                    self.text(text, out);
                }
            }
            "input_json_delta" => {
                let Some(piece) = full(delta.partial_json) else { return };
                match &mut self.open {
                    Open::Call { begun, .. } | Open::Answer { begun } => *begun = true,
                    Open::Server { input, .. } => {
                        input.extend_from_slice(&piece[1..piece.len() - 1]);
                        return;
                    }
                    _ => return,
                }
                self.arguments(piece, out);
            }
            "thinking_delta" => {
                if let Some(text) = full(delta.thinking) {
                    self.chunks.thought(Some(text), None, index, out);
                }
            }
            "signature_delta" => {
                if let Some(signature) = full(delta.signature) {
                    self.chunks.thought(None, Some(signature), index, out);
                }
            }
            "citations_delta" => {
                if let (Some(raw), Open::Text { citations, .. }) = (finish::object(delta.citation), &mut self.open) {
                    citations.push(raw.to_vec());
                }
            }
            _ => {}
        }
    }

    /// Text, a JSON string.
    fn text(&mut self, text: &[u8], out: &mut BytesMut) {
        self.characters += json::characters(text);
        if self.back.json_tool.is_some() {
            if !self.answered {
                self.aside.extend_from_slice(&text[1..text.len() - 1]);
            }
            return;
        }
        self.chunks.delta(&[br#""content":"#, text], out);
    }

    /// A piece of arguments, a JSON string.
    fn arguments(&self, piece: &[u8], out: &mut BytesMut) {
        match self.open {
            Open::Answer { .. } => self.chunks.delta(&[br#""content":"#, piece], out),
            Open::Call { at, .. } => self.chunks.arguments(at, piece, self.back.functions, out),
            _ => {}
        }
    }

    /// The end of a block.
    fn close(&mut self, out: &mut BytesMut) {
        match std::mem::replace(&mut self.open, Open::Nothing) {
            Open::Nothing => {}
            Open::Text { from, citations } => {
                let mut found = Vec::new();
                for citation in &citations {
                    match finish::annotation(citation, from, self.characters) {
                        Some(annotation) => {
                            json::comma(&mut found);
                            found.extend_from_slice(&annotation);
                        }
                        None => self.extras.citation(citation),
                    }
                }
                if !found.is_empty() {
                    self.chunks.delta(&[br#""annotations":["#, &found, b"]"], out);
                }
            }
            // a call without arguments has none at all
            open @ (Open::Call { begun: false, .. } | Open::Answer { begun: false }) => {
                self.open = open;
                self.arguments(br#""{}""#, out);
                self.open = Open::Nothing;
            }
            Open::Call { .. } | Open::Answer { .. } => {}
            Open::Server { block, input } => self.extras.block(&event::with_input(&block, &input)),
        }
    }

    fn ends(&mut self, event: &Event<'_>) {
        if let Some(usage) = event.usage {
            self.usage.take(usage);
        }
        self.extras.member("context_management", event.context_management);
        let Some(delta) = &event.delta else { return };
        if let Some(reason) = &delta.stop_reason {
            self.reason = Some(reason.clone().into_owned());
        }
        if let Some(details) = delta.stop_details {
            self.refusal = finish::explanation(details.get().as_bytes()).map(<[u8]>::to_vec);
        }
        self.extras.member("stop_sequence", delta.stop_sequence);
        self.extras.member("stop_details", delta.stop_details);
        self.extras.member("container", delta.container);
    }

    /// The last chunks.
    fn finish(&mut self, out: &mut BytesMut) {
        self.begin(None, out);
        self.close(out);
        if !self.aside.is_empty() {
            let text = [b"\"", &*std::mem::take(&mut self.aside), b"\""].concat();
            self.chunks.delta(&[br#""content":"#, &text], out);
        }
        let native = self.reason.as_deref();
        let refused = native == Some("refusal");
        if let Some(why) = self.refusal.as_deref().filter(|_| refused) {
            self.chunks.delta(&[br#""refusal":"#, why], out);
        }
        let reason = finish::reason(native, self.calls > 0, refused);
        let reason = if self.back.functions && reason == "tool_calls" { "function_call" } else { &*reason };
        let mut last = br#"{"index":0,"delta":{},"logprobs":null"#.to_vec();
        json::put_text(&mut last, "finish_reason", reason);
        if let Some(native) = native.filter(|native| *native != reason) {
            json::put_text(&mut last, "native_finish_reason", native);
        }
        last.extend_from_slice(b"}]");
        if let Some(tier) = self.usage.tier() {
            json::put_text(&mut last, "service_tier", tier);
        }
        self.extras.write(&mut last);
        self.chunks.other(&last, out);
        let mut usage = br#"],"usage":"#.to_vec();
        self.usage.write(&mut usage);
        self.chunks.other(&usage, out);
        out.extend_from_slice(DONE);
        self.done = true;
    }
}
