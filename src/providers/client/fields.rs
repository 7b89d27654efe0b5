//! The fields of heads: those of an answer, left where they came, and those of a request, ready to be sent.

use std::fmt;
use std::ops::Range;

use bytes::Bytes;
use http::header::{
    CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING,
};
use smallvec::SmallVec;

/// The fields of an answer. They are looked for only when somebody asks: of the twenty that a provider sends we read
/// two or three.
#[derive(Clone, Default)]
pub struct Fields {
    /// The head, from the first field on.
    block: Bytes,
    /// Where the values are that every answer is asked for.
    kind: Option<Range<u32>>,
    encoding: Option<Range<u32>>,
    pub(super) length: Option<u64>,
}

impl Fields {
    pub(super) fn new(block: Bytes) -> Self {
        Self { block, kind: None, encoding: None, length: None }
    }

    /// Those of an answer that was made here.
    pub fn of_kind(content_type: &'static str) -> Self {
        let block = Bytes::from_static(content_type.as_bytes());
        Self { kind: Some(0..block.len() as u32), block, encoding: None, length: None }
    }

    /// Those of an answer that was made here, in this order. What no field can hold is left out.
    pub fn of<'a>(given: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let (mut text, mut places) = (String::new(), Vec::new());
        for (name, value) in given {
            if HeaderName::from_bytes(name.as_bytes()).is_err() || HeaderValue::from_str(value).is_err() {
                continue;
            }
            text.push_str(name);
            text.push_str(": ");
            places.push((name, text.len()..text.len() + value.len(), value.parse().ok()));
            text.push_str(value);
            text.push('\n');
        }
        let mut fields = Self::new(text.into());
        let block = fields.block.clone();
        for (name, place, number) in places {
            fields.note(name, &block[place]);
            if name.eq_ignore_ascii_case(CONTENT_LENGTH.as_str()) {
                fields.length = number;
            }
        }
        fields
    }

    /// Those of HTTP/2, whose names and values are as HTTP/1.1 would have them.
    pub(super) fn of_map(map: &HeaderMap) -> Self {
        let mut text = Vec::new();
        let mut places = SmallVec::<[_; 2]>::new();
        for (name, value) in map {
            let begin = text.len() + name.as_str().len() + 2;
            line(&mut text, name.as_str(), value.as_bytes());
            if [CONTENT_TYPE, CONTENT_ENCODING].contains(name) {
                places.push((name, begin..begin + value.len()));
            }
        }
        let mut fields = Self::new(text.into());
        let block = fields.block.clone();
        for (name, place) in places {
            fields.note(name.as_str(), &block[place]);
        }
        fields.length = map.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        fields
    }

    /// Those of the same answer with its body in plain.
    pub fn unpacked(self) -> Self {
        Self { encoding: None, length: None, ..self }
    }

    /// Notes a field that every answer is asked for. `value` is a part of the block.
    pub(super) fn note(&mut self, name: &str, value: &[u8]) {
        let range = || {
            let begin = value.as_ptr().addr().saturating_sub(self.block.as_ptr().addr()) as u32;
            Some(begin..begin + value.len() as u32)
        };
        if name.eq_ignore_ascii_case("content-type") {
            self.kind = range();
        } else if name.eq_ignore_ascii_case("content-encoding") {
            self.encoding = range();
        }
    }

    /// `Content-Type`; empty if there is none, or none in plain text.
    pub fn content_type(&self) -> &str {
        self.text(&self.kind).unwrap_or_default()
    }

    /// `Content-Encoding`, if there is one.
    pub fn content_encoding(&self) -> Option<&str> {
        self.text(&self.encoding)
    }

    /// The length of the body in bytes, if it is known.
    pub fn content_length(&self) -> Option<u64> {
        self.length
    }

    fn text(&self, range: &Option<Range<u32>>) -> Option<&str> {
        let range = range.as_ref()?;
        std::str::from_utf8(self.block.get(range.start as usize..range.end as usize)?).ok()
    }

    /// The first value of a field, if it is plain text.
    pub fn get(&self, name: &str) -> Option<&str> {
        let (_, value) = self.iter().find(|(known, _)| known.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(value).ok()
    }

    /// All of them, as they came.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.block.split(|byte| *byte == b'\n').filter_map(|line| {
            let colon = memchr::memchr(b':', line)?;
            Some((std::str::from_utf8(&line[..colon]).ok()?, line[colon + 1..].trim_ascii()))
        })
    }

    /// A copy of those that can be passed on; the rest is not what a field may be.
    pub fn map(&self) -> HeaderMap {
        let valid = |(name, value): (&str, &[u8])| {
            Some((HeaderName::from_bytes(name.as_bytes()).ok()?, HeaderValue::from_bytes(value).ok()?))
        };
        let mut map = HeaderMap::new();
        for (name, value) in self.iter().filter_map(valid) {
            map.append(name, value);
        }
        map
    }
}

impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter().map(|(name, _)| name)).finish()
    }
}

/// Fields of a request, written once and sent often. May hold credentials.
#[derive(Clone, Default)]
pub struct Lines {
    text: Vec<u8>,
    /// Whether `Host` is among them.
    pub(super) named: bool,
}

impl Lines {
    /// Adds a field. How long the body is and how it is framed is not said here, but by who sends it.
    pub fn push(&mut self, name: &HeaderName, value: &HeaderValue) {
        if *name != CONTENT_LENGTH && *name != TRANSFER_ENCODING {
            line(&mut self.text, name.as_str(), value.as_bytes());
            self.named |= *name == HOST;
        }
    }

    /// Adds a field of plain text; one that is none is left out.
    pub fn text(&mut self, name: &'static str, value: &str) {
        if value.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            line(&mut self.text, name, value.as_bytes());
        }
    }

    /// All of them that are text.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let lines = self.text.split(|byte| *byte == b'\n').filter_map(|line| std::str::from_utf8(line).ok());
        lines.filter_map(|line| line.trim_end().split_once(": "))
    }

    /// All of them, in bytes.
    pub(super) fn each(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.text.split(|byte| *byte == b'\n').filter_map(|line| {
            let colon = memchr::memchr(b':', line)?;
            Some((&line[..colon], line[colon + 1..].trim_ascii()))
        })
    }

    /// As they are sent.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.text
    }
}

impl From<&HeaderMap> for Lines {
    fn from(headers: &HeaderMap) -> Self {
        let mut lines = Self::default();
        headers.iter().for_each(|(name, value)| lines.push(name, value));
        lines
    }
}

/// Writes a field whose value is known to be one.
pub(super) fn line(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.reserve(name.len() + value.len() + 4);
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}
