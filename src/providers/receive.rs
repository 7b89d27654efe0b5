//! A provider's answer, judged before anything of it is passed on.

use std::pin::pin;
use std::task::Poll;
use std::time::Instant;

use bytes::Bytes;
use http::StatusCode;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue};

use super::Provider;
use super::client::Fields;
use super::encode::{Back, Foreign};
use super::fault;
use super::inbound::{Gathered, Inbound, Response};
use super::rework::{self, embeddings};
use super::spec::{Mend, Trail};
use super::stream::{Flow, Long, Source};
use super::surface;
use super::upgrade::Tunnel;
use crate::call::{Call, Fault, Head, Op, Upstream, Usage};
use crate::wire::openai::answer::{self, Whole};
use crate::wire::openai::errors::{self, Complaint};
use crate::wire::openai::fold::Fold;
use crate::wire::openai::functions;
use crate::wire::openai::stream::{Broken, DONE, Events, Manner};
use crate::wire::openai::think::{self, Aloud};
use crate::wire::openai::usage;
use crate::wire::{Malformed, Object, sse};

/// Whole answers up to here are held and read; longer ones pass through, bytes.
const SHORT: usize = 64 << 10;

/// Answers that a row mends, or that become a stream, are read whole up to here, bytes.
const LONGEST: usize = 64 << 20;

/// Error bodies are read up to here, bytes.
const COMPLAINT: usize = 64 << 10;

/// What answers of other formats become for callers who gave their tools in the old form.
const OLD_FORM: &[Mend] = &[functions::in_old_form];

/// The content type of most streams.
pub(super) const EVENTS: &str = "text/event-stream";

/// What came of asking.
pub enum Got {
    /// A whole answer.
    Whole(Bytes, Option<Usage>),
    /// An answer too long to be held.
    Long(Box<Long>),
    /// A stream that has begun to say something.
    Flow(Box<Flow>),
    /// A WebSocket.
    Tunnel(Box<Tunnel>),
}

/// Judge an answer by status, content type and beginning, and turn it into what the caller asked for.
pub async fn receive(provider: &Provider, call: &Call, response: Response, back: Back) -> Result<Got, Box<Upstream>> {
    let Response { status, fields, body } = response;
    let nonsense = |message: String| fault::of_nonsense(provider, status, &fields, message);
    let body = match fields.content_encoding() {
        None => body,
        Some(encoding) => body
            .unpacked(encoding)
            .ok_or_else(|| nonsense(format!("answered with content-encoding {encoding:?}, which nobody asked for")))?,
    };
    if !status.is_success() {
        let said = match Box::pin(body.gather(COMPLAINT, None)).await {
            Ok(Gathered::All(body) | Gathered::Beyond(body, _)) => errors::read(&body),
            Err(_) => Complaint::default(),
        };
        let mut failed = fault::of_answer(provider, status, &fields, said);
        if call.op.is_passed() && failed.fault == Fault::NotFound {
            failed.fault = Fault::Missing;
        }
        return Err(failed);
    }
    if !matches!(call.op, Op::Chat | Op::Complete | Op::Embed) {
        let reader = Reader { provider, status, fields: &fields, foreign: back.native };
        return Box::pin(surface::receive(reader, call, body)).await;
    }
    if status == StatusCode::ACCEPTED {
        return Err(nonsense("accepted the request (202) instead of answering it".to_owned()));
    }
    let kind = media_type(&fields);
    let old = back.native.as_ref().is_some_and(|foreign| foreign.functions);
    let manner = Manner {
        mends: if old { OLD_FORM } else { provider.spec.mends },
        follows: provider.spec.follows,
        usage: provider.spec.usage.unwrap_or(usage::read),
        wants_usage: call.wants_usage || back.fold,
        thinks_aloud: back.thinks_aloud,
        completion: back.completion,
    };
    let reader = Reader { provider, status, fields: &fields, foreign: back.native };
    match (call.stream, kind) {
        (true, "application/json") => Box::pin(replay(reader, manner, body)).await,
        (true, kind) if kind == reader.stream_type() || kind.is_empty() => {
            let mut source = Source::new(Events::new(manner), None);
            if let Some(foreign) = reader.foreign {
                source = source.translated(foreign.native.decoder(foreign.back), foreign.shelf);
            }
            Box::pin(open(provider, source, body)).await
        }
        (false, EVENTS) if back.fold => Box::pin(fold(provider, manner, body)).await,
        (false, "application/json" | "text/plain" | "") => {
            let base64 = embeddings::wants_base64(provider.spec, call);
            whole(reader, manner, body, base64).await
        }
        (true, other) => Err(nonsense(format!("answered with {other} where a stream of events was asked for"))),
        (false, other) => Err(nonsense(format!("answered with {other} where JSON was asked for"))),
    }
}

/// Hold a stream back until it says something: until then it can fail with a true status.
pub(super) async fn open(provider: &Provider, mut source: Source, mut body: Inbound) -> Result<Got, Box<Upstream>> {
    let mut held: Vec<Bytes> = Vec::new();
    while !source.opened() && !source.done() {
        let passed = match body.next().await {
            Some(Ok(chunk)) => source.push(chunk),
            Some(Err(error)) => return Err(fault::of_transport(provider, &error)),
            None => {
                let rest = source.end();
                if rest.is_ok() && !source.opened() {
                    return Err(fault::ours(provider, Fault::Server, "answered with an empty stream".to_owned()));
                }
                rest
            }
        };
        // nothing has been passed on yet, so a failure right behind the first content is still a failure before it
        let passed = match source.broken() {
            Some(broken) => Err(broken),
            None => passed,
        };
        let passed = passed.map_err(|broken| Flow::fault(provider, broken))?;
        if !passed.is_empty() {
            held.push(passed);
        }
    }
    let first = if held.len() == 1 { held.remove(0) } else { held.concat().into() };
    Ok(Got::Flow(Box::new(Flow::new(provider, source, body, first))))
}

/// A stream where a whole answer was asked for, as the answer it would have been.
async fn fold(provider: &Provider, mut manner: Manner, body: Inbound) -> Result<Got, Box<Upstream>> {
    let completion = manner.completion.take();
    let read = async {
        let Got::Flow(mut flow) = open(provider, Source::new(Events::new(manner), None), body).await? else {
            return Err(fault::ours(provider, Fault::Server, "answered with an empty stream".to_owned()));
        };
        let malformed = |error: Malformed| Flow::fault(provider, Broken::Malformed(error));
        let mut fold = Fold::default();
        while let Some(frames) = std::future::poll_fn(|cx| flow.poll(cx)).await {
            fold.push(frames?).map_err(malformed)?;
            if flow.done() {
                break;
            }
        }
        let object = fold.end().map_err(malformed)?;
        let body = match completion {
            Some(echo) => echo.answer(&object).map_err(malformed)?,
            None => object.encode(),
        };
        Ok(Got::Whole(body, flow.usage()))
    };
    let late = || fault::ours(provider, Fault::Timeout, format!("no whole answer within {:?}", provider.total));
    tokio::time::timeout(provider.total, read).await.map_err(|_| late())?
}

/// A whole answer where a stream was asked for, as the events it would have been.
async fn replay(reader: Reader<'_>, manner: Manner, body: Inbound) -> Result<Got, Box<Upstream>> {
    let object = reader.read(body).await?;
    let nonsense = |error: Malformed| reader.nonsense(error.to_string());
    let mut event = object.clone();
    event.set("object", &"chat.completion.chunk");
    let mut choices = object.objects("choices").map_err(nonsense)?;
    for choice in &mut choices {
        choice.rename("message", "delta");
        let Some(mut delta) = choice.object("delta").map_err(nonsense)? else { continue };
        let mut calls = delta.objects("tool_calls").map_err(nonsense)?;
        for (index, call) in calls.iter_mut().enumerate() {
            call.set("index", &index);
        }
        if !calls.is_empty() {
            delta.set_objects("tool_calls", &calls);
        }
        choice.set_raw("delta", delta.encode());
    }
    event.set_objects("choices", &choices);
    event.remove("usage");
    let mut chunks = vec![sse::frame(&event.encode())];
    if let Some(usage) = object.raw("usage") {
        event.set_raw("choices", Bytes::from_static(b"[]"));
        event.set_raw("usage", Bytes::copy_from_slice(usage));
        chunks.push(sse::frame(&event.encode()));
    }
    chunks.push(Bytes::from_static(DONE));
    open(reader.provider, Source::new(Events::new(manner), None), Inbound::Local(chunks.into())).await
}

/// A whole answer: read if it is short or must be changed, passed on if it is long.
pub(super) async fn whole(
    reader: Reader<'_>,
    manner: Manner,
    body: Inbound,
    base64: bool,
) -> Result<Got, Box<Upstream>> {
    let Reader { provider, fields, .. } = reader;
    let mended = !manner.mends.is_empty() || !manner.follows.is_empty() || manner.thinks_aloud != Aloud::No;
    let changed = mended || base64 || manner.completion.is_some() || reader.foreign.is_some();
    let length = length(fields).filter(|_| fields.content_encoding().is_none());
    let limit = if changed { LONGEST } else { SHORT };
    let mut gathered = pin!(body.gather(limit, length));
    // most answers are there with their head: only the others need a timer
    let there = std::future::poll_fn(|cx| Poll::Ready(gathered.as_mut().poll(cx))).await;
    let bytes = match there {
        Poll::Ready(all) => Ok(all),
        Poll::Pending => tokio::time::timeout(provider.total, gathered).await,
    };
    let bytes = match bytes {
        Err(_) => {
            return Err(fault::ours(provider, Fault::Timeout, format!("no whole answer within {:?}", provider.total)));
        }
        Ok(Err(error)) => return Err(fault::of_transport(provider, &error)),
        Ok(Ok(Gathered::All(bytes))) => bytes,
        Ok(Ok(Gathered::Beyond(first, rest))) if !changed => {
            let kind = HeaderValue::from_str(fields.content_type()).ok().filter(|kind| !kind.is_empty());
            let mut head = Head { status: reader.status, headers: HeaderMap::new() };
            head.headers.insert(CONTENT_TYPE, kind.unwrap_or(HeaderValue::from_static("application/json")));
            head.headers.extend(length.map(|length| (CONTENT_LENGTH, length.into())));
            return Ok(Got::Long(Box::new(Long::new(provider, Some(first), rest, head, true))));
        }
        Ok(Ok(Gathered::Beyond(..))) => {
            return Err(reader.nonsense(format!("answered with more than {LONGEST} bytes")));
        }
    };
    if !changed && answer::looks_whole(&bytes) {
        let usage = usage::in_tail(&bytes);
        return Ok(Got::Whole(bytes, usage));
    }
    let mut object = reader.judge(bytes)?;
    let nonsense = |error: Malformed| reader.nonsense(error.to_string());
    rework::mend(manner.mends, manner.follows, &mut object, &mut Trail::default()).map_err(nonsense)?;
    if manner.thinks_aloud != Aloud::No {
        think::whole(manner.thinks_aloud, &mut object).map_err(nonsense)?;
    }
    if base64 {
        embeddings::to_base64(&mut object).map_err(nonsense)?;
    }
    let usage = (manner.usage)(&object);
    let body = match &manner.completion {
        Some(echo) => echo.answer(&object).map_err(nonsense)?,
        None => object.encode(),
    };
    Ok(Got::Whole(body, usage))
}

/// Reads whole answers of one provider.
pub struct Reader<'a> {
    pub(super) provider: &'a Provider,
    pub(super) status: StatusCode,
    pub(super) fields: &'a Fields,
    pub(super) foreign: Option<Box<Foreign>>,
}

impl Reader<'_> {
    /// The content type of a stream.
    fn stream_type(&self) -> &'static str {
        self.foreign.as_ref().map_or(EVENTS, |foreign| foreign.native.stream_type())
    }

    pub(super) async fn read(&self, body: Inbound) -> Result<Object, Box<Upstream>> {
        match body.gather(LONGEST, length(self.fields)).await {
            Ok(Gathered::All(bytes)) => self.judge(bytes),
            Ok(Gathered::Beyond(..)) => Err(self.nonsense(format!("answered with more than {LONGEST} bytes"))),
            Err(error) => Err(fault::of_transport(self.provider, &error)),
        }
    }

    /// An answer, as OpenAI's. Fails if it is none, and if it is an error under a good status.
    fn judge(&self, bytes: Bytes) -> Result<Object, Box<Upstream>> {
        if bytes.trim_ascii().is_empty() {
            return Err(self.nonsense("answered with an empty body".to_owned()));
        }
        let read = match &self.foreign {
            Some(foreign) => {
                let read = foreign.native.answer(foreign.op, bytes, &foreign.back);
                if let (Ok(answer), Some(shelf)) = (&read, &foreign.shelf) {
                    shelf.keep(answer, Instant::now());
                }
                read
            }
            None => match answer::read(bytes) {
                Ok(Whole::Good(object)) => Ok(object),
                Ok(Whole::Error(said)) => Err(Broken::Said(said)),
                Err(error) => Err(Broken::Malformed(error)),
            },
        };
        read.map_err(|broken| match broken {
            Broken::Said(said) => fault::of_answer(self.provider, self.status, self.fields, said),
            Broken::Malformed(error) => self.nonsense(format!("the answer can't be read: {error}")),
            Broken::Truncated => self.nonsense("the answer is not finished".to_owned()),
        })
    }

    pub(super) fn nonsense(&self, message: String) -> Box<Upstream> {
        fault::of_nonsense(self.provider, self.status, self.fields, message)
    }
}

pub(super) fn media_type(fields: &Fields) -> &str {
    // as nearly all answers spell it
    for known in ["application/json", EVENTS] {
        if fields.content_type() == known {
            return known;
        }
    }
    let kind = fields.content_type().split(';').next().unwrap_or_default().trim();
    ["application/json", EVENTS, "text/plain"]
        .into_iter()
        .find(|known| known.eq_ignore_ascii_case(kind))
        .unwrap_or(kind)
}

fn length(fields: &Fields) -> Option<usize> {
    fields.content_length().and_then(|length| length.try_into().ok())
}
