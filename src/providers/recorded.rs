//! Recordings on their way back: sound that an answer only names, and speech and transcripts that are told as events
//! although they came as they are.

use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue};

use super::Provider;
use super::inbound::Inbound;
use super::predictions::files::{File, LONGEST};
use super::receive::{self, Got, Reader};
use super::stream::{Long, Source};
use crate::call::{Call, Head, Upstream};
use crate::wire::extras::{base64, recordings};
use crate::wire::{Object, sse};

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
        let (said, content) = files.read(provider, call, url, LONGEST as usize).await?;
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

/// What of a sound is told in one event, bytes: whole groups of three, so that nothing but the end is padded.
const PIECE: usize = 48 << 10;

/// Whether speech is wanted as events: <https://platform.openai.com/docs/api-reference/audio/createSpeech>.
pub(super) fn in_events(call: &Call) -> bool {
    let format = call.body.json().and_then(|body| body.get::<String>("stream_format").ok().flatten());
    format.as_deref() == Some("sse")
}

/// Speech that comes as sound, as the events of a stream: what arrives as it arrives, and its end.
pub(super) async fn spoken(provider: &Provider, long: Long) -> Result<Got, Box<Upstream>> {
    let (first, rest, counted) = long.parts();
    let pieces = stream::unfold((first, Some(rest)), |(mut held, mut rest)| async move {
        let piece = match held.take() {
            Some(held) => Ok(held),
            None => match rest.as_mut()?.next().await {
                Some(next) => next,
                // told once, behind everything else
                None => return Some((Ok(sse::frame(br#"{"type":"speech.audio.done"}"#)), (None, None))),
            },
        };
        let frame = piece.map(|mut piece| {
            let sound = piece.split_to(piece.len().min(PIECE));
            held = Some(piece).filter(|more| !more.is_empty());
            if sound.is_empty() { sound } else { delta(&sound) }
        });
        Some((frame, (held, rest)))
    });
    let told = receive::open(provider, Source::typed(), Inbound::Made(pieces.boxed())).await?;
    let Got::Flow(flow) = told else { return Ok(told) };
    Ok(Got::Flow(Box::new(flow.counting(counted))))
}

fn delta(sound: &[u8]) -> Bytes {
    let mut delta = Object::default();
    delta.set_text("type", "speech.audio.delta");
    delta.set_text("audio", &base64(sound));
    sse::frame(&delta.encode())
}
