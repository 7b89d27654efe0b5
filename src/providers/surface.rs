//! Operations beyond chat and embeddings: forms, and requests that are passed on as they are, as they are sent; and how
//! answers that are no JSON are judged.

use std::collections::VecDeque;

use bytes::Bytes;
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode};

use super::Provider;
use super::client::{Fields, Lines, Outgoing};
use super::encode::{Back, Sent};
use super::forms;
use super::inbound::Inbound;
use super::receive::{self, EVENTS, Got, Reader};
use super::recorded;
use super::spec::{FormEdit, Mend};
use super::stored;
use super::stream::{Long, Source};
use super::units;
use crate::call::{Body, Call, Error, Head, Op, Upload, Upstream, Usage};
use crate::wire::Dialect;
use crate::wire::extras::{sound, transcripts};
use crate::wire::multipart::{Form, Piece};
use crate::wire::openai::stream::Manner;
use crate::wire::openai::think::Aloud;
use crate::wire::openai::usage;

/// Headers of an answer that is passed on which are about its body; the others are the provider's affair.
const PASSED: [HeaderName; 10] = [
    CONTENT_TYPE,
    HeaderName::from_static("content-disposition"),
    HeaderName::from_static("content-language"),
    HeaderName::from_static("content-range"),
    HeaderName::from_static("accept-ranges"),
    CACHE_CONTROL,
    HeaderName::from_static("etag"),
    HeaderName::from_static("last-modified"),
    HeaderName::from_static("retry-after"),
    HeaderName::from_static("openai-processing-ms"),
];

/// The method of a call.
pub fn method(call: &Call) -> &Method {
    call.passage.as_ref().map_or(&Method::POST, |passage| &passage.method)
}

/// The fields of a request: those of every request of the provider, but for those that are the caller's to say, and
/// `more`. Where there is no body there is no content type.
pub fn lines(own: &HeaderMap, host: &HeaderValue, more: Vec<(HeaderName, HeaderValue)>, call: &Call) -> Lines {
    let mut headers = own.clone();
    headers.insert(HOST, host.clone());
    if let Some(passage) = &call.passage {
        for name in [CONTENT_TYPE, ACCEPT] {
            headers.remove(name);
        }
        for (name, value) in &passage.headers {
            if !own.contains_key(name) || name == CONTENT_TYPE || name == ACCEPT {
                headers.append(name, value.clone());
            }
        }
    } else if let Body::Upload(upload) = &call.body
        && let Some(kind) = &upload.content_type
    {
        headers.insert(CONTENT_TYPE, kind.clone());
    }
    if call.stream {
        headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
    } else if matches!(call.op, Op::Speech | Op::Transcribe | Op::Translate) {
        headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
    }
    for (name, value) in more {
        headers.insert(name, value);
    }
    Lines::from(&headers)
}

/// Encode a call that is a form, or passed on. Fails on what the provider can't be asked for.
pub fn encode(provider: &Provider, call: &Call, model: &str, warnings: &mut Vec<String>) -> Result<Sent, Error> {
    let way = provider.spec.way(call.op, model, call.stream, &provider.settings);
    if let (Some(way), Body::Upload(upload), None) = (way, &call.body, &call.passage)
        && let (Dialect::Native(native), Some(form)) = (way.dialect, &upload.form)
    {
        return forms::encode(provider, call, (form, upload), (native, way), model, warnings);
    }
    let mut headers = Vec::new();
    let body = match &call.body {
        Body::None => Bytes::new().into(),
        Body::Json(object) if call.model.is_empty() || object.get::<String>("model")?.as_deref() == Some(model) => {
            object.encode().into()
        }
        Body::Json(object) => {
            let mut object = object.clone();
            object.set_text("model", model);
            object.encode().into()
        }
        Body::Upload(upload) => match &upload.form {
            Some(form) => {
                let (sent, kind) = self::form(provider, call, form, upload, model, warnings)?;
                headers.extend(kind.map(|kind| (CONTENT_TYPE, kind)));
                sent
            }
            None => outgoing(upload, vec![Piece::Kept(0..upload.stored.length())]),
        },
    };
    Ok(Sent { op: call.op, body, back: Back::default(), model: None, path: way.map(|way| way.path), headers })
}

/// A form as it is sent, and the content type if it is not that of the form any more.
fn form(
    provider: &Provider,
    call: &Call,
    form: &Form,
    upload: &Upload,
    model: &str,
    warnings: &mut Vec<String>,
) -> Result<(Outgoing, Option<HeaderValue>), Error> {
    let mut draft = form.draft();
    if !call.model.is_empty() {
        draft.set("model", model);
    }
    let mut notes = provider.notes(model, call.stream, warnings);
    let edits = provider.spec.forms.iter().find(|(op, _)| *op == call.op).map_or(&[][..], |(_, edits)| edits);
    for edit in edits {
        match *edit {
            FormEdit::Rename(from, to) => draft.rename(from, to),
            FormEdit::Last(name) => draft.move_last(name),
            FormEdit::Lacks(fields) => {
                for field in fields.iter().filter(|field| draft.has(field)) {
                    notes.lost_field(field)?;
                }
                fields.iter().for_each(|field| _ = draft.remove(field));
            }
            FormEdit::Check(check) => check(&mut draft)?,
            FormEdit::Alone(name) => {
                let part = form.parts().iter().find(|part| part.name == name);
                let missing = || Error::Invalid { param: name.to_owned(), message: format!("`{name}` is missing") };
                let part = part.ok_or_else(missing)?;
                let kind = part.content_type.as_deref().unwrap_or("application/octet-stream");
                let kind = HeaderValue::from_str(kind).unwrap_or(HeaderValue::from_static("application/octet-stream"));
                return Ok((outgoing(upload, vec![Piece::Kept(part.content.clone())]), Some(kind)));
            }
        }
    }
    Ok((outgoing(upload, draft.encode()), None))
}

fn outgoing(upload: &Upload, pieces: Vec<Piece>) -> Outgoing {
    stored::outgoing(&upload.stored, pieces)
}

/// Judge a good answer to one of these operations. Fails on what is none.
pub async fn receive(reader: Reader<'_>, call: &Call, body: Inbound) -> Result<Got, Box<Upstream>> {
    let provider = reader.provider;
    match judged(reader, call, body).await? {
        Got::Long(long) if call.op == Op::Speech && recorded::in_events(call) => {
            recorded::spoken(provider, *long).await
        }
        Got::Flow(flow) if call.op == Op::Speech => Ok(Got::Flow(Box::new(flow.counting(units::asked(call))))),
        got => Ok(got),
    }
}

async fn judged(reader: Reader<'_>, call: &Call, body: Inbound) -> Result<Got, Box<Upstream>> {
    let Reader { provider, status, fields, .. } = reader;
    let kind = receive::media_type(fields);
    if call.op.is_passed() {
        let head = Head { status, headers: self::passed(provider, fields) };
        let tail = kind == "application/json";
        return Ok(Got::Long(Box::new(Long::new(provider, None, body, head, tail))));
    }
    if status == StatusCode::ACCEPTED {
        return Err(reader.nonsense("accepted the request (202) instead of answering it".to_owned()));
    }
    let hears = matches!(call.op, Op::Transcribe | Op::Translate);
    let as_it_is = match kind {
        EVENTS if call.stream || call.op == Op::Speech => {
            let source = match reader.foreign {
                Some(foreign) => Source::typed().translated(foreign.native.decoder(foreign.back), foreign.shelf),
                None => Source::typed(),
            };
            return receive::open(provider, source, body).await;
        }
        "application/json" => false,
        kind if call.op == Op::Speech => {
            kind.is_empty() || kind.starts_with("audio/") || kind.starts_with("application/octet")
        }
        kind if hears && reader.foreign.is_none() => {
            kind.is_empty() || kind.starts_with("text/") || kind.starts_with("application/")
        }
        "" | "text/plain" => false,
        kind if reader.foreign.is_some() && kind.starts_with("image/") => false,
        kind => return Err(reader.nonsense(format!("answered with {kind} where JSON was asked for"))),
    };
    let counted = units::asked(call);
    if as_it_is {
        let kind = HeaderValue::from_str(fields.content_type()).ok();
        let mut head = Head { status, headers: HeaderMap::new() };
        head.headers.extend(kind.map(|kind| (CONTENT_TYPE, kind)));
        head.headers.extend(length(fields).map(|length| (CONTENT_LENGTH, length)));
        return Ok(Got::Long(Box::new(Long::new(provider, None, body, head, false).counting(counted))));
    }
    let format = asked_format(call);
    if call.op == Op::Speech {
        return sound(reader, call, &format, counted, body).await.map(|long| Got::Long(Box::new(long)));
    }
    if hears && call.stream && transcripts::is_plain(&format) {
        let answer = reader.read(body).await?;
        return recorded::told(&reader, &answer).await;
    }
    if hears && transcripts::is_made(&format) {
        return text(reader, &format, body).await;
    }
    let of_op = |list: &'static [(Op, &'static [Mend])]| {
        list.iter().find(|(op, _)| *op == call.op).map_or(&[][..], |(_, mends)| mends)
    };
    let manner = Manner {
        mends: of_op(provider.spec.answers),
        follows: &[],
        usage: usage::read,
        wants_usage: false,
        thinks_aloud: Aloud::No,
        completion: None,
    };
    Ok(match receive::whole(reader, manner, body, false).await? {
        Got::Whole(body, told) => {
            let usage = units::told(call.op, &body, told, counted);
            Got::Whole(body, usage)
        }
        Got::Long(long) => Got::Long(Box::new(long.counting(counted))),
        flow => flow,
    })
}

/// The form in which the caller wants an answer, or what is in it; empty if none is named.
pub(super) fn asked_format(call: &Call) -> String {
    let of_form = call.body.form().and_then(|form| form.text("response_format"));
    let of_json = || call.body.json()?.get::<String>("response_format").ok().flatten();
    of_form.map(str::to_owned).or_else(of_json).unwrap_or_default()
}

/// Sound that came in JSON, or is named there.
async fn sound(
    reader: Reader<'_>,
    call: &Call,
    format: &str,
    counted: Option<Usage>,
    body: Inbound,
) -> Result<Long, Box<Upstream>> {
    let answer = reader.read(body).await?;
    let usage = units::both(usage::read(&answer), counted);
    if let Some(url) = answer.get::<String>("audio_url").ok().flatten() {
        return recorded::fetched(&reader, call, &url, format).await.map(|long| long.counting(usage));
    }
    let found = sound::within(&answer.encode(), format);
    let (sound, kind) =
        found.ok_or_else(|| reader.nonsense("answered with JSON that has no sound in it".to_owned()))?;
    Ok(made(&reader, sound, kind).counting(usage))
}

/// A transcript in a form that the provider does not have.
async fn text(reader: Reader<'_>, format: &str, body: Inbound) -> Result<Got, Box<Upstream>> {
    let answer = reader.read(body).await?;
    let text = transcripts::render(&answer, format).map_err(|error| reader.nonsense(error.to_string()))?;
    let kind = if format == "vtt" { "text/vtt; charset=utf-8" } else { "text/plain; charset=utf-8" };
    let usage = units::told(Op::Transcribe, &answer.encode(), usage::read(&answer), None);
    Ok(Got::Long(Box::new(made(&reader, text.into(), kind).counting(usage))))
}

/// An answer that was made here.
fn made(reader: &Reader<'_>, body: Bytes, kind: &'static str) -> Long {
    let mut head = Head { status: reader.status, headers: HeaderMap::new() };
    head.headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    head.headers.insert(CONTENT_LENGTH, body.len().into());
    Long::new(reader.provider, Some(body), Inbound::Local(VecDeque::new()), head, false)
}

/// The headers of an answer that go along, and of them only those that hold no secret of ours.
pub(super) fn passed(provider: &Provider, fields: &Fields) -> HeaderMap {
    let mut passed = HeaderMap::new();
    for (name, value) in &fields.map() {
        let known = PASSED.contains(name) || name.as_str().starts_with("x-ratelimit-");
        if known && value.to_str().is_ok_and(|text| provider.redactor.redact(text) == text) {
            passed.append(name, value.clone());
        }
    }
    passed.extend(length(fields).map(|length| (CONTENT_LENGTH, length)));
    passed
}

/// The length of a body that is passed on as it comes.
fn length(fields: &Fields) -> Option<HeaderValue> {
    fields.content_length().filter(|_| fields.content_encoding().is_none()).map(HeaderValue::from)
}
