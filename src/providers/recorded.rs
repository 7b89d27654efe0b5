//! Recordings on their way: forms that go out as JSON with the recording in it, sound that an answer only names, and
//! transcripts that are told as events although they came whole.

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue};

use super::Provider;
use super::client::Outgoing;
use super::encode::{Foreign, id, refusal};
use super::inbound::Inbound;
use super::predictions::files::File;
use super::receive::{self, Got, Reader};
use super::stored;
use super::stream::{Long, Source};
use crate::call::{Call, Error, Head, Op, Upload, Upstream};
use crate::wire::extras::{Extra, recordings};
use crate::wire::multipart::{Form, Piece};
use crate::wire::native::{Native, Terms};
use crate::wire::{Object, sse};

/// A form as the JSON that a provider takes in its place, with the recording written into it while it goes out. Fails on
/// what the provider can't be asked for.
pub(super) fn inlay(
    provider: &Provider,
    call: &Call,
    (form, upload, model): (&Form, &Upload, &str),
    extra: Extra,
    warnings: &mut Vec<String>,
) -> Result<(Outgoing, Box<Foreign>), Error> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let (op, id, created) = (call.op, id(), now.as_secs());
    let terms = Terms { op, model, stream: call.stream, id: &id, created, most_output: None, usual_output: None };
    let inlaid = extra.hear(form, &terms).map_err(|refused| refusal(provider.spec, refused))?;
    let mut notes = provider.notes(model, call.stream, warnings);
    // a stream is made here
    for loss in inlaid.losses.iter().filter(|loss| loss.param != "stream") {
        notes.lost_field(&loss.param)?;
    }
    let pieces = vec![Piece::New(inlaid.before), Piece::Coded(inlaid.file), Piece::New(inlaid.after)];
    let foreign = Foreign { native: Native::Extra(extra), op, back: inlaid.back, functions: false, shelf: None };
    Ok((stored::outgoing(&upload.stored, pieces), Box::new(foreign)))
}

/// Sound that an answer names by its address. Fails if it can't be fetched, or is none.
pub(super) async fn fetched(reader: &Reader<'_>, call: &Call, url: &str, format: &str) -> Result<Long, Box<Upstream>> {
    let Reader { provider, status, .. } = *reader;
    let Some(files) = &provider.files else {
        return Err(reader.nonsense("names its sound by an address, and none is expected".to_owned()));
    };
    let head = |kind: HeaderValue, length: Option<u64>| {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, kind);
        headers.extend(length.map(|length| (CONTENT_LENGTH, length.into())));
        Head { status, headers }
    };
    let of_kind = |said: &str| {
        let kind = recordings::kind(said, url).or_else(|| recordings::kind(said, &format!("x.{format}")));
        let value = kind.and_then(|kind| HeaderValue::try_from(kind).ok());
        value.ok_or_else(|| reader.nonsense(format!("names a file of the type `{said}`, where sound was asked for")))
    };
    if format == "pcm" {
        // samples come in a file that says so, or without one
        let (said, content) = files.read(provider, call, url).await?;
        of_kind(&said)?;
        let samples = recordings::samples(&content);
        let head = head(HeaderValue::from_static("audio/pcm"), Some(samples.len() as u64));
        return Ok(Long::new(provider, Some(samples), Inbound::Local([].into()), head, false));
    }
    let File { kind, length, body } = files.open(provider, call, url).await?;
    Ok(Long::new(provider, None, body, head(of_kind(&kind)?, length), false))
}

/// A whole transcript as the events of a stream: its text at once, and its end with what it took.
pub(super) async fn told(reader: &Reader<'_>, answer: &Object) -> Result<Got, Box<Upstream>> {
    let text: String = answer.get("text").ok().flatten().unwrap_or_default();
    let mut delta = Object::default();
    delta.set_text("type", "transcript.text.delta");
    delta.set_text("delta", &text);
    let mut done = Object::default();
    done.set_text("type", "transcript.text.done");
    done.set_text("text", &text);
    match (answer.raw("usage"), answer.get::<f64>("duration")) {
        (Some(usage), _) => done.set_raw("usage", Bytes::copy_from_slice(usage)),
        (None, Ok(Some(seconds))) => {
            let mut usage = Object::default();
            usage.set_text("type", "duration");
            usage.set("seconds", &seconds);
            done.set_raw("usage", usage.encode());
        }
        (None, _) => {}
    }
    let chunks = [sse::frame(&delta.encode()), sse::frame(&done.encode())];
    receive::open(reader.provider, Source::typed(), Inbound::Local(chunks.into())).await
}

/// Whether a transcript that came whole is to be told as events.
pub(super) fn is_told(call: &Call) -> bool {
    call.stream && matches!(call.op, Op::Transcribe | Op::Translate)
}
