//! A stream of chunks on its way through: what it says is noticed, what must not pass is held back, the rest goes as it came.

use std::borrow::Cow;
use std::sync::LazyLock;

use bytes::{Bytes, BytesMut};
use memchr::memmem::Finder;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::completions::Echo;
use super::errors::{self, Complaint};
use super::think::{Aloud, Event, Thoughts};
use crate::wire::{Malformed, Object, Usage, sse};

/// What a frame of one line has around its payload, bytes: `data: ` and two line ends.
const ONE_LINE: usize = 10;

/// What makes an event worth reading. Made once: making the finders costs more than a short stream's use of them.
static FINDERS: LazyLock<[Finder<'static>; 3]> =
    LazyLock::new(|| [&br#""finish_reason""#[..], br#""usage""#, br#""error""#].map(Finder::new));

/// What ends every stream of this dialect that went well.
pub const DONE: &[u8] = b"data: [DONE]\n\n";

/// One change of a whole answer or of an event: returns whether anything was changed.
pub type Mend = fn(&mut Object) -> Result<bool, Malformed>;

/// One change that needs to know what the same answer said before: returns whether anything was changed.
pub type Follow = fn(&mut Object, &mut Trail) -> Result<bool, Malformed>;

/// How a stream differs from what the provider sends.
#[derive(Clone)]
pub struct Manner {
    /// Changes of each event.
    pub mends: &'static [Mend],
    /// Changes of each event, after the mends, that need to know what came before.
    pub follows: &'static [Follow],
    /// Reads the usage out of an event.
    pub usage: fn(&Object) -> Option<Usage>,
    /// Whether the caller gets the usage event.
    pub wants_usage: bool,
    /// Whether thoughts stand in front of an answer, as `<think>…</think>`: they become `reasoning_content`.
    pub thinks_aloud: Aloud,
    /// Whether chat chunks become those of text completions.
    pub completion: Option<Echo>,
}

/// What an answer has said so far: one for each whole answer, one for each stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trail {
    /// Whether the model has called a tool.
    pub tool_calls: bool,
}

/// A stream that can't be passed on.
#[derive(Debug)]
pub enum Broken {
    /// The provider reports a failure in the stream.
    Said(Complaint),
    /// A frame is not what it should be.
    Malformed(Malformed),
    /// It ended before it was finished.
    Truncated,
}

impl From<Malformed> for Broken {
    fn from(malformed: Malformed) -> Self {
        Broken::Malformed(malformed)
    }
}

impl Broken {
    /// The same of a last frame that lacks its blank line: what can't be read in it was cut off.
    pub(in crate::wire) fn at_the_end(self) -> Self {
        if matches!(self, Broken::Malformed(_)) { Broken::Truncated } else { self }
    }
}

/// The state of one stream.
pub struct Events {
    manner: Manner,
    trail: Trail,
    thoughts: Option<Box<Thoughts>>,
    frames: sse::Frames,
    /// The first content has been seen.
    opened: bool,
    /// A finish reason has been seen.
    finished: bool,
    /// The end mark has been seen.
    done: bool,
    usage: Option<Usage>,
    chunks: u64,
    /// Found behind frames that can still be passed on.
    broken: Option<Broken>,
}

/// What becomes of one frame.
enum Fate {
    Keep,
    Hide,
    Replace(Bytes),
}

impl Events {
    /// A stream that has not begun.
    pub fn new(manner: Manner) -> Self {
        let (opened, finished, done) = (false, false, false);
        let aloud = Some(manner.thinks_aloud).filter(|aloud| *aloud != Aloud::No);
        let thoughts = aloud.map(|aloud| Box::new(Thoughts::new(aloud)));
        Self {
            manner,
            trail: Trail::default(),
            thoughts,
            frames: sse::Frames::default(),
            opened,
            finished,
            done,
            usage: None,
            chunks: 0,
            broken: None,
        }
    }

    /// Take what arrived; returns what the caller shall have of it: whole frames, or nothing yet.
    /// Fails when the provider reports a failure, or sends what is no event of this dialect.
    pub fn push(&mut self, chunk: Bytes) -> Result<Bytes, Broken> {
        let whole = self.frames.within(sse::LONGEST, chunk)?;
        self.pass(whole)
    }

    /// The provider has closed the stream; returns what is left for the caller.
    /// Fails if the stream was not finished.
    pub fn end(&mut self) -> Result<Bytes, Broken> {
        let rest = self.frames.end();
        let mut out = BytesMut::new();
        if !rest.trim_ascii().is_empty() && !self.done {
            // a last frame may lack its blank line, but not its end
            let mut last = BytesMut::from(&rest[..]);
            last.extend_from_slice(b"\n\n");
            let passed = self.pass(last.freeze()).map_err(Broken::at_the_end)?;
            out.extend_from_slice(&passed);
        }
        match (self.done, self.finished) {
            (true, _) => {}
            (false, true) => {
                out.extend_from_slice(&self.waiting()?);
                out.extend_from_slice(DONE);
            }
            (false, false) => return Err(Broken::Truncated),
        }
        self.done = true;
        Ok(out.freeze())
    }

    /// What broke the stream behind the frames that the last push returned: nothing follows them.
    pub fn broken(&mut self) -> Option<Broken> {
        self.broken.take()
    }

    /// Whether the first content has been seen.
    pub fn opened(&self) -> bool {
        self.opened
    }

    /// Whether the end mark has been seen: nothing more is expected.
    pub fn done(&self) -> bool {
        self.done
    }

    /// The tokens, as far as they are known: the last usage the provider sent.
    pub fn usage(&self) -> Option<Usage> {
        self.usage
    }

    /// How many events with content came: the measure of an answer whose usage never arrived.
    pub fn chunks(&self) -> u64 {
        self.chunks
    }

    fn pass(&mut self, whole: Bytes) -> Result<Bytes, Broken> {
        let mut out: Option<BytesMut> = None;
        let mut kept = 0;
        for frame in sse::split(whole.clone()) {
            let fate = match self.look(&frame) {
                Ok(fate) => fate,
                Err(broken) if kept == 0 => return Err(broken),
                Err(broken) => {
                    self.broken = Some(broken);
                    return Ok(out.map_or_else(|| whole.slice(..kept), BytesMut::freeze));
                }
            };
            if !matches!(fate, Fate::Keep) && out.is_none() {
                out = Some(BytesMut::from(&whole[..kept]));
            }
            kept += frame.len();
            match (&mut out, fate) {
                (Some(out), Fate::Keep) => out.extend_from_slice(&frame),
                (Some(out), Fate::Replace(other)) => out.extend_from_slice(&other),
                _ => {}
            }
        }
        Ok(out.map_or(whole, BytesMut::freeze))
    }

    fn look(&mut self, frame: &Bytes) -> Result<Fate, Broken> {
        let Some(data) = sse::data(frame) else { return Ok(Fate::Keep) };
        let data = data.slice_ref(data.trim_ascii());
        if self.done || data.is_empty() {
            return Ok(Fate::Hide);
        }
        if data == "[DONE]"[..] {
            let waiting = self.waiting()?;
            self.done = true;
            let alone = waiting.is_empty();
            return Ok(if alone { Fate::Keep } else { Fate::Replace([&waiting[..], frame].concat().into()) });
        }
        // only a frame with more than one line has room for an event's name
        if frame.len() > data.len() + ONE_LINE && sse::event(frame) == Some(b"error") {
            return Err(Broken::Said(errors::read(&data)));
        }
        if !(data.starts_with(b"{") && data.ends_with(b"}")) {
            return Err(Broken::Malformed(Malformed::new("an event is not a JSON object")));
        }
        let mended = !self.manner.mends.is_empty() || !self.manner.follows.is_empty();
        let edited = mended || self.manner.completion.is_some() || self.thoughts.is_some();
        let hits = [0, 1, 2].map(|at: usize| FINDERS[at].find(&data).is_some());
        if self.opened && !edited && hits == [false; 3] {
            self.chunks += 1;
            return Ok(Fate::Keep);
        }
        self.read(frame, data)
    }

    /// Look closely: at every event until the first content, at those that may end the stream, and where rows mend.
    fn read(&mut self, frame: &Bytes, data: Bytes) -> Result<Fate, Broken> {
        let mut object = Object::parse(data.clone()).map_err(Broken::Malformed)?;
        if let Some(complaint) = errors::inside(&object) {
            return Err(Broken::Said(complaint));
        }
        let mut changed = false;
        for mend in self.manner.mends {
            changed |= mend(&mut object).map_err(Broken::Malformed)?;
        }
        for follow in self.manner.follows {
            changed |= follow(&mut object, &mut self.trail).map_err(Broken::Malformed)?;
        }
        let usage = (self.manner.usage)(&object);
        self.usage = usage.or(self.usage);
        let choices: Vec<Choice<'_>> = object.get("choices").map_err(Broken::Malformed)?.unwrap_or_default();
        let mut content = false;
        for choice in &choices {
            let reason = choice.finish_reason.as_deref();
            if reason == Some("error") {
                return Err(Broken::Said(errors::of_broken(&data)));
            }
            self.finished |= reason.is_some_and(|reason| !reason.is_empty() && reason != "null");
            content |= choice.says_something();
        }
        self.chunks += u64::from(content);
        if usage.is_some() && choices.is_empty() && object.has("choices") && !self.manner.wants_usage {
            return Ok(Fate::Hide);
        }
        let fate = match &mut self.thoughts {
            None => self.write(&object, changed)?,
            Some(thoughts) => {
                let event = Event { frame: frame.clone(), object, changed };
                let ready = thoughts.take(event).map_err(Broken::Malformed)?;
                match ready.as_slice() {
                    [] => Fate::Hide,
                    [this] => self.write(&this.object, this.changed)?,
                    _ => Fate::Replace(self.join(&ready)?),
                }
            }
        };
        // what waits has not been said
        self.opened |= (content || self.finished) && !matches!(fate, Fate::Hide);
        Ok(fate)
    }

    /// One event as the caller gets it.
    fn write(&mut self, object: &Object, changed: bool) -> Result<Fate, Broken> {
        if let Some(echo) = &mut self.manner.completion {
            return Ok(Fate::Replace(sse::frame(&echo.event(object).map_err(Broken::Malformed)?)));
        }
        Ok(if changed { Fate::Replace(sse::frame(&object.encode())) } else { Fate::Keep })
    }

    fn join(&mut self, events: &[Event]) -> Result<Bytes, Broken> {
        let mut out = BytesMut::new();
        for event in events {
            match self.write(&event.object, event.changed)? {
                Fate::Replace(other) => out.extend_from_slice(&other),
                Fate::Keep | Fate::Hide => out.extend_from_slice(&event.frame),
            }
        }
        Ok(out.freeze())
    }

    /// What has waited, where the stream ends before it is clear how an answer begins, and thoughts that were the answer.
    fn waiting(&mut self) -> Result<Bytes, Broken> {
        let Some(thoughts) = self.thoughts.as_mut().filter(|thoughts| thoughts.owes()) else {
            return Ok(Bytes::new());
        };
        let events = thoughts.end().map_err(Broken::Malformed)?;
        self.opened = true;
        self.join(&events)
    }
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(borrow, default)]
    delta: Option<Delta<'a>>,
    #[serde(borrow, default)]
    text: Option<&'a RawValue>,
    #[serde(borrow, default)]
    finish_reason: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Delta<'a> {
    #[serde(borrow, default)]
    content: Option<&'a RawValue>,
    #[serde(borrow, default)]
    reasoning: Option<&'a RawValue>,
    #[serde(borrow, default)]
    reasoning_content: Option<&'a RawValue>,
    #[serde(borrow, default)]
    refusal: Option<&'a RawValue>,
    #[serde(borrow, default)]
    audio: Option<&'a RawValue>,
    #[serde(borrow, default)]
    tool_calls: Option<&'a RawValue>,
    #[serde(borrow, default)]
    function_call: Option<&'a RawValue>,
}

impl Choice<'_> {
    fn says_something(&self) -> bool {
        let full = |value: &Option<&RawValue>| value.is_some_and(|v| !matches!(v.get(), "null" | "\"\"" | "[]" | "{}"));
        let delta = self.delta.as_ref().is_some_and(|d| {
            [&d.content, &d.reasoning, &d.reasoning_content, &d.refusal, &d.audio, &d.tool_calls, &d.function_call]
                .into_iter()
                .any(full)
        });
        delta || full(&self.text)
    }
}
