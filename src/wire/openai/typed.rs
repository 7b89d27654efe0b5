//! Streams whose events have a type: Responses, images, speech, transcriptions. They pass byte for byte; what they say
//! is noticed.

use bytes::Bytes;

use super::errors;
use super::stream::Broken;
use super::usage;
use crate::wire::{Object, Usage, sse};

/// The longest frame that is waited for, bytes: images come in one.
const LONGEST: usize = 64 << 20;

/// Events that only say that the work has begun.
const PREFACE: [&str; 4] = ["response.created", "response.in_progress", "response.queued", "keepalive"];

/// Events after which nothing follows.
const LAST: [&str; 8] = [
    "response.completed",
    "response.incomplete",
    "response.failed",
    "image_generation.completed",
    "image_edit.completed",
    "speech.audio.done",
    "transcript.text.done",
    "transcription.done",
];

/// The state of one stream.
#[derive(Default)]
pub struct Typed {
    frames: sse::Frames,
    /// The first event beyond the preface has been seen.
    opened: bool,
    /// The last event has been seen.
    done: bool,
    /// Events of the Responses API have been seen: without the last of them the stream has broken off.
    responds: bool,
    /// The provider has said, in an event that was passed on, that it failed.
    failed: bool,
    usage: Option<Usage>,
    chunks: u64,
    broken: Option<Broken>,
}

impl Typed {
    /// Take what arrived; returns the frames that are whole now, as they came. Fails when the provider reports a failure
    /// before it has said anything, or in an event that says nothing else.
    pub fn push(&mut self, chunk: Bytes) -> Result<Bytes, Broken> {
        let whole = self.frames.within(LONGEST, chunk)?;
        self.pass(whole)
    }

    /// The provider has closed the stream; returns what is left. Fails if it has broken off.
    pub fn end(&mut self) -> Result<Bytes, Broken> {
        let rest = self.frames.end();
        let rest = if rest.trim_ascii().is_empty() { Bytes::new() } else { self.pass(rest)? };
        if self.responds && !self.done {
            return Err(Broken::Truncated);
        }
        self.done = true;
        Ok(rest)
    }

    /// What broke the stream behind the frames that the last push returned.
    pub fn broken(&mut self) -> Option<Broken> {
        self.broken.take()
    }

    /// Whether anything beyond the preface has been said.
    pub fn opened(&self) -> bool {
        self.opened
    }

    /// Whether the last event has been seen.
    pub fn done(&self) -> bool {
        self.done
    }

    /// Whether the provider has said, in an event that was passed on, that it failed.
    pub fn failed(&self) -> bool {
        self.failed
    }

    /// What was consumed, if that has been said.
    pub fn usage(&self) -> Option<Usage> {
        self.usage
    }

    /// How many events with content came.
    pub fn chunks(&self) -> u64 {
        self.chunks
    }

    fn pass(&mut self, whole: Bytes) -> Result<Bytes, Broken> {
        let mut kept = 0;
        for frame in sse::split(whole.clone()) {
            match self.look(&frame) {
                Ok(()) => kept += frame.len(),
                Err(broken) if kept == 0 => return Err(broken),
                Err(broken) => {
                    self.broken = Some(broken);
                    return Ok(whole.slice(..kept));
                }
            }
        }
        Ok(whole)
    }

    fn look(&mut self, frame: &Bytes) -> Result<(), Broken> {
        let Some(data) = sse::data(frame) else { return Ok(()) };
        let data = data.slice_ref(data.trim_ascii());
        if data == "[DONE]"[..] {
            self.done = true;
            return Ok(());
        }
        let named = sse::event(frame).and_then(|name| std::str::from_utf8(name).ok());
        let read = || Object::parse(data.clone()).map_err(Broken::Malformed);
        let (kind, object) = match named {
            Some(name) => (name.to_owned(), None),
            None if data.is_empty() => return Ok(()),
            None => {
                let object = read()?;
                (object.get("type").ok().flatten().unwrap_or_default(), Some(object))
            }
        };
        self.responds |= kind.starts_with("response.");
        if kind == "error" {
            return Err(Broken::Said(errors::read(&data)));
        }
        if PREFACE.contains(&kind.as_str()) {
            return Ok(());
        }
        let last = LAST.contains(&kind.as_str());
        if last || kind.is_empty() {
            let object = object.map_or_else(read, Ok)?;
            if let Some(complaint) = errors::inside(&object) {
                return Err(Broken::Said(complaint));
            }
            let response = object.object("response").ok().flatten();
            let told = object.raw("usage").or_else(|| response.as_ref()?.raw("usage"));
            self.usage = told.and_then(usage::parse).or(self.usage);
            if kind == "response.failed" {
                let said = response.as_ref().and_then(|response| response.raw("error")).map(errors::read);
                let said = said.unwrap_or_default();
                if !self.opened {
                    return Err(Broken::Said(said));
                }
                self.failed = true;
            }
        }
        self.done |= last;
        self.opened = true;
        self.chunks += 1;
        Ok(())
    }
}
