//! Answers that are passed on while they arrive: streams of events, and bodies too long to be held.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::{Buf, Bytes, BytesMut};
use http::StatusCode;
use http::header::CONTENT_LENGTH;

use super::Provider;
use super::client::{Fields, SendError};
use super::fault;
use super::inbound::Inbound;
use super::learned::signatures::{Listener, Shelf};
use super::tempo::{CREEPS, Tempo};
use super::units;
use crate::call::redact::Redactor;
use crate::call::{Fault, Head, Upstream, Usage};
use crate::wire::native::Decoder;
use crate::wire::openai::stream::{Broken, Events};
use crate::wire::openai::typed::Typed;
use crate::wire::openai::usage;

/// How much of a long answer's end is kept to find its usage in, bytes.
const TAIL: usize = 4096;

/// The events of a stream, in whatever format they arrive.
pub struct Source {
    decoder: Option<Box<Decoder>>,
    /// Remembers what is signed in the stream.
    listener: Option<Box<Listener>>,
    events: Heard,
    /// What the decoder makes of a chunk.
    decoded: BytesMut,
    /// Found by the decoder behind events that can still be passed on.
    broken: Option<Broken>,
}

/// Who listens to the events that pass.
enum Heard {
    /// Chat chunks, or text completions.
    Chunks(Events),
    /// Events with a type.
    Typed(Typed),
}

/// Calls the same method of whoever listens.
macro_rules! heard {
    ($heard:expr, $events:ident => $call:expr) => {
        match $heard {
            Heard::Chunks($events) => $call,
            Heard::Typed($events) => $call,
        }
    };
}

impl Source {
    /// A stream that has not begun; without a decoder it is OpenAI's.
    pub fn new(events: Events, decoder: Option<Decoder>) -> Self {
        let events = Heard::Chunks(events);
        let decoder = decoder.map(Box::new);
        Self { decoder, listener: None, events, decoded: BytesMut::new(), broken: None }
    }

    /// A stream of events with types, which passes as it comes.
    pub fn typed() -> Self {
        let events = Heard::Typed(Typed::default());
        Self { decoder: None, listener: None, events, decoded: BytesMut::new(), broken: None }
    }

    /// The same stream, which arrives in another format, with what its thoughts are remembered by.
    pub fn translated(self, decoder: Option<Decoder>, shelf: Option<Shelf>) -> Self {
        let listener = shelf.map(|shelf| Box::new(Listener::new(shelf)));
        Self { decoder: decoder.map(Box::new), listener, ..self }
    }

    /// As [`Events::push`].
    pub fn push(&mut self, chunk: Bytes) -> Result<Bytes, Broken> {
        let Some(decoder) = &mut self.decoder else { return heard!(&mut self.events, events => events.push(chunk)) };
        let decoded = decoder.push(chunk, &mut self.decoded);
        self.take(decoded)
    }

    /// As [`Events::end`].
    pub fn end(&mut self) -> Result<Bytes, Broken> {
        let Some(decoder) = &mut self.decoder else { return heard!(&mut self.events, events => events.end()) };
        let decoded =
            if heard!(&self.events, events => events.done()) { Ok(()) } else { decoder.end(&mut self.decoded) };
        self.take(decoded)
    }

    /// Passes on what the decoder has made.
    fn take(&mut self, decoded: Result<(), Broken>) -> Result<Bytes, Broken> {
        let frames = self.decoded.split().freeze();
        if let Some(listener) = &mut self.listener {
            listener.hear(&frames);
        }
        let passed = heard!(&mut self.events, events => events.push(frames))?;
        if self.done()
            && let Some(listener) = self.listener.take()
        {
            listener.keep(Instant::now());
        }
        match decoded {
            Err(broken) if passed.is_empty() => Err(broken),
            Err(broken) => {
                self.broken = Some(broken);
                Ok(passed)
            }
            Ok(()) => Ok(passed),
        }
    }

    /// What broke the stream behind the frames that were returned last: nothing follows them.
    pub fn broken(&mut self) -> Option<Broken> {
        heard!(&mut self.events, events => events.broken()).or_else(|| self.broken.take())
    }

    /// Whether the first content has been seen.
    pub fn opened(&self) -> bool {
        heard!(&self.events, events => events.opened())
    }

    /// Whether the end mark has been seen: nothing more is expected.
    pub fn done(&self) -> bool {
        heard!(&self.events, events => events.done())
    }
}

/// A stream of events that has begun to say something.
pub struct Flow {
    provider: Name,
    source: Source,
    /// `None` once the stream has ended.
    body: Option<Inbound>,
    /// The frames up to the first content.
    first: Option<Bytes>,
    /// The least speed, if one is demanded.
    tempo: Option<Box<Tempo>>,
    /// What is known to be consumed, whatever the provider says.
    counted: Option<Box<Usage>>,
}

/// What an error needs to know of its provider.
pub(super) struct Name {
    id: &'static str,
    target: Arc<str>,
    redactor: Arc<Redactor>,
}

impl Flow {
    /// A stream whose beginning has been judged.
    pub fn new(provider: &Provider, source: Source, body: Inbound, first: Bytes) -> Self {
        Self { provider: Name::of(provider), source, body: Some(body), first: Some(first), tempo: None, counted: None }
    }

    /// With what is known to be consumed, whatever the provider says.
    pub fn counting(self, counted: Option<Usage>) -> Self {
        Self { counted: counted.map(Box::new), ..self }
    }

    /// Demand a least speed from now on.
    pub fn demand(&mut self, tempo: Tempo) {
        self.tempo = Some(Box::new(tempo));
    }

    /// What is wrong with the speed, if anything is.
    fn too_slow(&mut self) -> Option<Box<Upstream>> {
        let events = self.chunks();
        let tempo = self.tempo.as_mut()?;
        let came = tempo.judge(events).err()?;
        let message = format!("{CREEPS}: {came} events came where the target demands {}", tempo.demand());
        self.body = None;
        Some(self.provider.ours(Fault::Timeout, message))
    }

    /// The tokens, as far as the provider has told them.
    pub fn usage(&self) -> Option<Usage> {
        let told = heard!(&self.source.events, events => events.usage());
        match &self.counted {
            None => told,
            Some(counted) => units::both(told, Some(**counted)),
        }
    }

    /// How many events with content came.
    pub fn chunks(&self) -> u64 {
        heard!(&self.source.events, events => events.chunks())
    }

    /// Whether the provider has said, in an event that was passed on, that it failed.
    pub fn failed(&self) -> bool {
        matches!(&self.source.events, Heard::Typed(events) if events.failed())
    }

    /// Whether the provider has said everything, so that only its end is missing.
    pub fn done(&self) -> bool {
        self.source.done()
    }

    /// The next whole frames for the caller; `None` at a good end. After a failure there is nothing more.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Box<Upstream>>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(first)));
        }
        loop {
            if let Some(broken) = self.source.broken() {
                self.body = None;
                return Poll::Ready(Some(Err(self.provider.fault(broken))));
            }
            if self.tempo.is_some()
                && !self.source.done()
                && let Some(failed) = self.too_slow()
            {
                return Poll::Ready(Some(Err(failed)));
            }
            let Some(body) = &mut self.body else { return Poll::Ready(None) };
            let polled = match (body.poll(cx), &mut self.tempo) {
                (Poll::Ready(polled), _) => polled,
                (Poll::Pending, Some(tempo)) => match tempo.wait(cx) {
                    Poll::Ready(()) => continue,
                    Poll::Pending => return Poll::Pending,
                },
                (Poll::Pending, None) => return Poll::Pending,
            };
            let passed = match polled {
                Some(Ok(chunk)) => self.source.push(chunk),
                // the provider has said everything: how it closes does not matter
                Some(Err(_)) if self.source.done() => Ok(Bytes::new()),
                Some(Err(error)) => {
                    self.body = None;
                    return Poll::Ready(Some(Err(self.provider.broke(&error))));
                }
                None => {
                    self.body = None;
                    self.source.end()
                }
            };
            match passed {
                Ok(frames) if frames.is_empty() => {}
                Ok(frames) => return Poll::Ready(Some(Ok(frames))),
                Err(broken) => {
                    self.body = None;
                    return Poll::Ready(Some(Err(self.provider.fault(broken))));
                }
            }
        }
    }

    /// A stream that can't be passed on, as a failure of its provider.
    pub fn fault(provider: &Provider, broken: Broken) -> Box<Upstream> {
        match broken {
            Broken::Said(said) => fault::of_answer(provider, StatusCode::OK, &Fields::default(), said),
            other => Name::of(provider).fault(other),
        }
    }
}

impl Name {
    pub(super) fn of(provider: &Provider) -> Self {
        let redactor = provider.redactor.clone();
        Self { id: provider.spec.id, target: provider.target.clone(), redactor }
    }

    pub(super) fn ours(&self, fault: Fault, message: String) -> Box<Upstream> {
        Upstream::new(self.id, self.target.clone(), fault, message)
    }

    fn broke(&self, error: &SendError) -> Box<Upstream> {
        let fault = if error.fault() == Fault::Timeout { Fault::Timeout } else { Fault::Truncated };
        self.ours(fault, fault::without_address(error))
    }

    fn fault(&self, broken: Broken) -> Box<Upstream> {
        match broken {
            Broken::Said(said) => {
                let message = said.message.as_deref().map(|text| self.redactor.error_text(text).into_owned());
                let mut upstream = self.ours(Fault::Server, message.unwrap_or_else(|| "reported a failure".to_owned()));
                upstream.code = said.code.or(said.kind);
                upstream.status = said.status;
                upstream
            }
            Broken::Malformed(error) => self.ours(Fault::Server, error.to_string()),
            Broken::Truncated => {
                self.ours(Fault::Truncated, "the stream ended before its answer was finished".to_owned())
            }
        }
    }
}

/// An answer that passes through: too long to be held, or none of our business.
pub struct Long {
    provider: Name,
    body: Inbound,
    first: Option<Bytes>,
    /// The end of what has passed, if the usage may stand there.
    tail: Option<VecDeque<u8>>,
    passed: u64,
    /// Its length, if the provider told it, bytes.
    length: Option<u64>,
    /// What is known to be consumed, whatever the provider says.
    counted: Option<Usage>,
    /// The status, and the headers that go along.
    pub head: Head,
}

impl Long {
    /// A body of which `first` has arrived. `told` says whether the usage may stand at its end.
    pub fn new(provider: &Provider, first: Option<Bytes>, body: Inbound, head: Head, told: bool) -> Self {
        let tail = told.then(|| VecDeque::with_capacity(TAIL));
        let length = head.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        Self { provider: Name::of(provider), body, first, tail, passed: 0, length, counted: None, head }
    }

    /// The next chunk, as it came; `None` at the end.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Box<Upstream>>>> {
        let next = match self.first.take() {
            Some(first) => Some(Ok(first)),
            None => ready!(self.body.poll(cx)),
        };
        Poll::Ready(next.map(|chunk| match chunk {
            Ok(chunk) => {
                if let Some(tail) = &mut self.tail {
                    let mut end = &chunk[chunk.len().saturating_sub(TAIL)..];
                    let over = (tail.len() + end.len()).saturating_sub(TAIL);
                    tail.drain(..over.min(tail.len()));
                    while end.has_remaining() {
                        tail.extend(end.chunk());
                        end.advance(end.chunk().len());
                    }
                }
                self.passed += chunk.len() as u64;
                if self.complete() {
                    // nobody asks for more than the length, so its end is taken here: the connection can be used again
                    let _end = self.body.poll(cx);
                }
                Ok(chunk)
            }
            Err(error) => Err(self.provider.broke(&error)),
        }))
    }

    /// Whether all of the length the provider told has been passed on.
    pub fn complete(&self) -> bool {
        self.length == Some(self.passed)
    }

    /// With what is known to be consumed, whatever the provider says.
    pub fn counting(self, counted: Option<Usage>) -> Self {
        Self { counted, ..self }
    }

    /// What has arrived of it, what is still to come, and what is known to be consumed.
    pub fn parts(self) -> (Option<Bytes>, Inbound, Option<Usage>) {
        (self.first, self.body, self.counted)
    }

    /// The usage, if it stood at the end of the body, and what else is known.
    pub fn usage(&mut self) -> Option<Usage> {
        let told = self.tail.as_mut().and_then(|tail| usage::in_tail(tail.make_contiguous()));
        units::both(told, self.counted)
    }
}
