//! The heads of HTTP/1.1 messages: a request's written, an answer's read.

use std::borrow::Cow;
use std::mem::MaybeUninit;

use bytes::Bytes;
use http::{Method, StatusCode};
use httparse::Status;
use memchr::memmem;

use super::fields::Fields;
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

/// The head of an answer.
pub(super) struct Head {
    pub(super) status: StatusCode,
    pub(super) fields: Fields,
    pub(super) framing: Framing,
    /// Whether the connection can be used again after the answer.
    pub(super) keeps: bool,
    /// How long it is, bytes.
    pub(super) length: usize,
}

/// Reads the head of an answer from the beginning of `heard`, of which the first `known` bytes have been looked at
/// before; `None` as long as it is not whole. Heads of interim answers (1xx) are skipped; one that `switches` protocols is
/// an answer only where somebody has asked for it.
pub(super) fn read(heard: &Bytes, known: usize, switches: bool) -> Result<Option<Head>, Nonsense> {
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
            StatusCode::SWITCHING_PROTOCOLS if !switches => {
                return Err("it switches protocols, which nobody asked for".into());
            }
            status if status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS => {}
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
    let version = answer.version;
    // the first line has no field
    let begin = memchr::memchr(b'\n', heard).map_or(0, |end| end + 1);
    let mut fields = Fields::new(heard.slice(begin..length));
    let mut delimited = Delimited::default();
    let (mut closes, mut stays) = (false, false);
    for field in answer.headers.iter() {
        match field.name.len() {
            10 if field.name.eq_ignore_ascii_case("connection") => {
                for word in field.value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
                    closes |= word.eq_ignore_ascii_case(b"close");
                    stays |= word.eq_ignore_ascii_case(b"keep-alive");
                }
            }
            14 if field.name.eq_ignore_ascii_case("content-length") => delimited.length(field.value)?,
            17 if field.name.eq_ignore_ascii_case("transfer-encoding") => delimited.coding(field.value)?,
            12 | 16 => fields.note(field.name, field.value),
            _ => {}
        }
    }
    let framing = match status {
        StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED => Framing::Length(0),
        status if status.is_informational() => Framing::Length(0),
        _ if delimited.chunked && version != Some(1) => return Err("it is in chunks, which HTTP/1.0 has not".into()),
        // the length is void beside chunks, and whoever sends both may have been fooled
        _ if delimited.chunked => Framing::chunked(),
        _ => delimited.length.map_or(Framing::Close, Framing::Length),
    };
    fields.length = match framing {
        Framing::Length(length) => Some(length),
        Framing::Chunked(_) | Framing::Close => None,
    };
    closes |= delimited.chunked && delimited.length.is_some() || matches!(framing, Framing::Close);
    let keeps = (version == Some(1) || stays) && !closes;
    Ok(Some(Head { status, fields, framing, keeps, length }))
}

/// How the body is delimited (RFC 9112, 6.3). What is ambiguous is refused: two readers that disagree about where an
/// answer ends is how one caller gets the answer of another.
#[derive(Default)]
struct Delimited {
    chunked: bool,
    length: Option<u64>,
}

impl Delimited {
    fn coding(&mut self, value: &[u8]) -> Result<(), Nonsense> {
        if self.chunked || !value.trim_ascii().eq_ignore_ascii_case(b"chunked") {
            return Err(format!("its transfer-encoding `{}` is not understood", value.escape_ascii()).into());
        }
        self.chunked = true;
        Ok(())
    }

    fn length(&mut self, value: &[u8]) -> Result<(), Nonsense> {
        for text in value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
            if text.is_empty() || text.len() > 18 || !text.iter().all(u8::is_ascii_digit) {
                return Err(format!("its content-length `{}` is no length", value.escape_ascii()).into());
            }
            let length = text.iter().fold(0, |sum, byte| sum * 10 + u64::from(byte - b'0'));
            if self.length.replace(length).is_some_and(|known| known != length) {
                return Err("it has two different content-lengths".into());
            }
        }
        Ok(())
    }
}
