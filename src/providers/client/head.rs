//! The heads of HTTP/1.1 messages: a request's written, an answer's read.

use std::borrow::Cow;
use std::mem::MaybeUninit;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING};
use http::{Method, StatusCode};
use httparse::Status;
use memchr::memmem;

use super::framing::Framing;

/// Largest head of an answer, bytes.
const LARGEST: usize = 64 * 1024;
/// Most fields of an answer's head.
const FIELDS: usize = 128;

/// What is wrong with an answer, in words.
pub(super) type Nonsense = Cow<'static, str>;

/// Begins a request: its first line.
pub(super) fn begin(out: &mut Vec<u8>, method: &Method, target: &str) {
    out.extend_from_slice(method.as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(target.as_bytes());
    out.extend_from_slice(b" HTTP/1.1\r\n");
}

/// One field of a request's head.
pub(super) fn field(out: &mut Vec<u8>, name: &HeaderName, value: &HeaderValue) {
    line(out, name.as_str(), value.as_bytes());
}

/// A field whose value is known to be one.
pub(super) fn line(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// The head of an answer.
pub(super) struct Head {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) framing: Framing,
    /// Whether the connection can be used again after the answer.
    pub(super) keeps: bool,
    /// How long it is, bytes.
    pub(super) length: usize,
}

/// Reads the head of an answer from the beginning of `heard`, of which the first `known` bytes have been looked at
/// before; `None` as long as it is not whole. Heads of interim answers (1xx) are skipped.
pub(super) fn read(heard: &Bytes, known: usize) -> Result<Option<Head>, Nonsense> {
    let unfinished = || if heard.len() > LARGEST { Err("its head is too large".into()) } else { Ok(None) };
    // a head that comes byte by byte must not be parsed from its beginning for every byte
    if known > 0 && !has_end(&heard[known.saturating_sub(3)..]) {
        return unfinished();
    }
    let mut begin = 0;
    loop {
        let Some(mut head) = one(&heard.slice(begin..))? else { return unfinished() };
        begin += head.length;
        if begin > LARGEST {
            return Err("its head is too large".into());
        }
        match head.status {
            StatusCode::SWITCHING_PROTOCOLS => return Err("it switches protocols, which nobody asked for".into()),
            status if status.is_informational() => {}
            _ => {
                head.length = begin;
                return Ok(Some(head));
            }
        }
    }
}

/// Whether a head may end here; some servers end lines with a line feed alone.
fn has_end(heard: &[u8]) -> bool {
    memmem::find(heard, b"\n\r\n").is_some() || memmem::find(heard, b"\n\n").is_some()
}

fn one(heard: &Bytes) -> Result<Option<Head>, Nonsense> {
    let mut space = [const { MaybeUninit::uninit() }; FIELDS];
    let mut answer = httparse::Response::new(&mut []);
    let parser = httparse::ParserConfig::default();
    let length = match parser.parse_response_with_uninit_headers(&mut answer, heard, &mut space) {
        Ok(Status::Complete(length)) => length,
        Ok(Status::Partial) => return Ok(None),
        Err(error) => return Err(format!("not HTTP: {error}").into()),
    };
    let status = answer.code.and_then(|code| StatusCode::from_u16(code).ok()).ok_or("its status is none")?;
    let mut keeps = answer.version == Some(1);
    let mut headers = HeaderMap::with_capacity(answer.headers.len());
    for field in answer.headers.iter() {
        let name = HeaderName::from_bytes(field.name.as_bytes()).map_err(|_| "a header has no valid name")?;
        let value = HeaderValue::from_maybe_shared(heard.slice_ref(field.value));
        headers.append(name, value.map_err(|_| "a header has no valid value")?);
    }
    let mut closes = false;
    for value in headers.get_all(CONNECTION) {
        for word in value.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
            closes |= word.eq_ignore_ascii_case(b"close");
            keeps |= word.eq_ignore_ascii_case(b"keep-alive");
        }
    }
    let framing = match status {
        StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED => Framing::Length(0),
        status if status.is_informational() => Framing::Length(0),
        _ => framing(&headers, answer.version == Some(1), &mut closes)?,
    };
    let keeps = keeps && !closes && !matches!(framing, Framing::Close);
    Ok(Some(Head { status, headers, framing, keeps, length }))
}

/// How the body is delimited (RFC 9112, 6.3). What is ambiguous is refused: two readers that disagree about where an
/// answer ends is how one caller gets the answer of another.
fn framing(headers: &HeaderMap, is_1_1: bool, closes: &mut bool) -> Result<Framing, Nonsense> {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    if let Some(coding) = codings.next() {
        if !is_1_1 || codings.next().is_some() || !coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked") {
            return Err(format!("its transfer-encoding {coding:?} is not understood").into());
        }
        // the length is void beside it, and whoever sends both may have been fooled
        *closes |= headers.contains_key(CONTENT_LENGTH);
        return Ok(Framing::chunked());
    }
    let mut length = None;
    for value in headers.get_all(CONTENT_LENGTH) {
        for text in value.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
            let digits = !text.is_empty() && text.len() < 19 && text.iter().all(u8::is_ascii_digit);
            let one = digits.then(|| text.iter().fold(0, |sum, byte| sum * 10 + u64::from(byte - b'0')));
            match (one, length) {
                (None, _) => return Err(format!("its content-length {value:?} is no length").into()),
                (one, known) if known.is_some() && one != known => {
                    return Err("it has two different content-lengths".into());
                }
                (one, _) => length = one,
            }
        }
    }
    Ok(length.map_or(Framing::Close, Framing::Length))
}
