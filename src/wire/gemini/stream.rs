//! A stream of Google's, as OpenAI's events.
//!
//! Frames hold whole answers that continue each other, and no mark ends them: a finish reason does.

use bytes::{Bytes, BytesMut};

use super::answer::{blocked, provider_metadata, too_many};
use super::json::{Json, compact, malformed};
use super::read::Answer;
use super::said::{Choice, Said};
use super::usage;
use crate::wire::native::Back;
use crate::wire::openai::errors;
use crate::wire::openai::stream::{Broken, DONE};
use crate::wire::sse;

/// What a frame of Google's says, if it says anything. Fails where it is a failure in a form that is no frame.
pub fn said(frame: &Bytes) -> Result<Option<Bytes>, Broken> {
    let Some(data) = sse::data(frame) else {
        // a failure can end the stream as the piece of an array that it would have been without `alt=sse`
        let bare = frame.trim_ascii();
        let bare = match bare.strip_prefix(b",") {
            Some(next) => next.strip_suffix(b"]").unwrap_or(next).trim_ascii(),
            None => bare,
        };
        return match bare.first() {
            Some(b'{' | b'[') => Err(Broken::Said(errors::read(bare))),
            _ => Ok(None),
        };
    };
    match data.trim_ascii() {
        b"" | b"[DONE]" => Ok(None),
        list @ [b'[', ..] => Err(Broken::Said(errors::read(list))),
        _ => Ok(Some(data)),
    }
}

/// The most candidates of an answer.
const MOST: usize = 64;

/// The state of one stream.
pub struct Decoder {
    back: Back,
    frames: sse::Frames,
    /// What every chunk begins with, once the first frame has told.
    head: Vec<u8>,
    id: String,
    choices: Vec<Choice>,
    /// The last counts; each frame has those so far.
    usage: Vec<u8>,
    feedback: Option<String>,
    /// Whether the prompt was refused, and there is an answer only to say so.
    refused: bool,
    rest: Vec<(String, String)>,
    /// Room that every frame uses again.
    said: Said,
    chunk: Json,
}

impl Decoder {
    /// A stream that has not begun.
    pub fn new(back: Back) -> Self {
        Self {
            back,
            frames: sse::Frames::default(),
            head: Vec::new(),
            id: String::new(),
            choices: Vec::new(),
            usage: Vec::new(),
            feedback: None,
            refused: false,
            rest: Vec::new(),
            said: Said::default(),
            chunk: Json::default(),
        }
    }

    /// Take what arrived, and append the events it comes to. Fails where the provider reports a failure, or sends what is
    /// no event of its; what was appended before is good.
    pub fn push(&mut self, chunk: Bytes, out: &mut BytesMut) -> Result<(), Broken> {
        sse::split(self.frames.within(sse::LONGEST, chunk)?).try_for_each(|frame| self.frame(&frame, out))
    }

    /// The provider has closed the stream: append what is left. Fails if the answer was not finished.
    pub fn end(&mut self, out: &mut BytesMut) -> Result<(), Broken> {
        let rest = self.frames.end();
        if !rest.trim_ascii().is_empty() {
            // a last frame may lack its blank line, but not its end
            self.frame(&rest, out).map_err(Broken::at_the_end)?;
        }
        self.refusal(out);
        if self.choices.is_empty() {
            return Err(Broken::Truncated);
        }
        let mut words = Vec::with_capacity(self.choices.len());
        for choice in &self.choices {
            words.push(match self.refused {
                true => "content_filter".to_owned(),
                false => choice.finish().map_err(Broken::Said)?.ok_or(Broken::Truncated)?,
            });
        }
        for (at, word) in words.iter().enumerate() {
            self.finish(at, word, out);
        }
        self.last(out);
        Ok(())
    }

    fn frame(&mut self, frame: &Bytes, out: &mut BytesMut) -> Result<(), Broken> {
        let Some(data) = said(frame)? else { return Ok(()) };
        let data = data.trim_ascii();
        let read: Answer<'_> = serde_json::from_slice(data).map_err(malformed)?;
        if read.error.is_some() {
            return Err(Broken::Said(errors::read(data)));
        }
        self.take(&read, out)
    }

    fn take(&mut self, read: &Answer<'_>, out: &mut BytesMut) -> Result<(), Broken> {
        if self.head.is_empty() {
            self.begin(read);
        }
        if let Some(usage) = read.usage {
            self.usage.clear();
            self.usage.extend_from_slice(usage.get().as_bytes());
        }
        if let Some(feedback) = read.feedback {
            self.feedback = Some(compact(feedback.get()).into_owned());
        }
        for (name, value) in &read.rest {
            match self.rest.iter_mut().find(|(known, _)| known == name.as_ref()) {
                Some((_, old)) => *old = compact(value.get()).into_owned(),
                None => self.rest.push((name.clone().into_owned(), compact(value.get()).into_owned())),
            }
        }
        for candidate in &read.candidates {
            let at = match self.choices.iter().position(|choice| choice.index == candidate.index) {
                Some(at) => at,
                None if self.choices.len() == MOST => return Err(too_many()),
                None => {
                    self.choices.push(Choice::new(candidate.index, &self.id));
                    self.choices.len() - 1
                }
            };
            self.said.clear();
            self.choices[at].take(candidate, &self.back, true, &mut self.said);
            if !self.said.is_empty() {
                self.delta(at, out);
            }
        }
        Ok(())
    }

    fn begin(&mut self, read: &Answer<'_>) {
        self.id = read.id.as_deref().unwrap_or(&self.back.id).to_owned();
        let mut head = Json::default();
        head.raw("data: {").name("id").text(&self.id).name("object").text("chat.completion.chunk");
        head.name("created").number(self.back.created);
        head.name("model").text(read.model.as_deref().unwrap_or(&self.back.model));
        head.name("choices").raw("[");
        self.head = head.0;
    }

    /// The beginning of a chunk of this choice, up to the inside of its delta.
    fn open(&mut self, at: usize) {
        self.chunk.0.clear();
        self.chunk.raw(&self.head).raw("{").name("index").number(u64::from(self.choices[at].index));
        self.chunk.name("delta").raw("{");
    }

    fn send(&mut self, out: &mut BytesMut) {
        out.extend_from_slice(&self.chunk.0);
        out.extend_from_slice(b"\n\n");
    }

    /// The first chunk of a choice says who speaks.
    fn introduce(&mut self, at: usize, out: &mut BytesMut) {
        if std::mem::replace(&mut self.choices[at].begun, true) {
            return;
        }
        self.open(at);
        self.chunk.raw(r#""role":"assistant","content":""},"logprobs":null,"finish_reason":null}]}"#);
        self.send(out);
    }

    fn delta(&mut self, at: usize, out: &mut BytesMut) {
        self.introduce(at, out);
        self.open(at);
        if !self.said.text.is_empty() {
            self.chunk.name("content").quoted(&self.said.text);
        }
        self.said.members(&self.choices[at], &mut self.chunk);
        self.chunk.raw("}");
        self.said.logprobs(&mut self.chunk);
        self.chunk.raw(r#","finish_reason":null}]}"#);
        self.send(out);
    }

    /// A prompt that was refused has no candidates: there is one choice all the same, which says why. One that is refused
    /// while it is being answered ends the choices it has.
    fn refusal(&mut self, out: &mut BytesMut) {
        let Some(blocked) = self.feedback.as_deref().and_then(blocked) else { return };
        if self.choices.iter().any(|choice| choice.reason.is_some()) {
            return;
        }
        if self.choices.is_empty() {
            self.choices.push(Choice::new(0, &self.id));
        }
        self.refused = true;
        for at in 0..self.choices.len() {
            self.introduce(at, out);
            self.open(at);
            self.chunk.name("refusal").text(&blocked.words).raw(r#"},"logprobs":null,"finish_reason":null}]}"#);
            self.send(out);
            self.choices[at].reason = Some(blocked.reason.clone());
        }
    }

    fn finish(&mut self, at: usize, word: &str, out: &mut BytesMut) {
        self.introduce(at, out);
        self.open(at);
        let cited = self.choices[at].cited(true);
        if let Some(cited) = cited.as_ref().filter(|cited| !cited.annotations.is_empty()) {
            self.chunk.name("annotations").raw("[").raw(&cited.annotations.0).raw("]");
        }
        self.chunk.raw("}").name("logprobs").raw("null");
        self.choices[at].reasons(word, &mut self.chunk);
        self.chunk.raw("}]");
        if let Some(cited) = cited.filter(|cited| !cited.citations.is_empty()) {
            self.chunk.name("citations").raw("[").raw(&cited.citations.0).raw("]");
        }
        if at + 1 == self.choices.len() {
            let mut metadata = Json::default();
            self.choices.iter().for_each(|choice| choice.metadata(&mut metadata));
            let traffic = usage::traffic(&self.usage);
            let rest = self.rest.iter().map(|(name, value)| (name.as_str(), value.as_str()));
            provider_metadata(&metadata, self.feedback.as_deref(), traffic.as_deref(), rest, &mut self.chunk);
        }
        self.chunk.raw("}");
        self.send(out);
    }

    fn last(&mut self, out: &mut BytesMut) {
        if let Some(usage) = usage::usage(&self.usage) {
            self.chunk.0.clear();
            self.chunk.raw(&self.head).raw("]").name("usage").raw(&usage.0).raw("}");
            self.send(out);
        }
        out.extend_from_slice(DONE);
    }
}
