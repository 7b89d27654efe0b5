//! JSON written as bytes, and strings of it that are passed on without being decoded.

use std::borrow::Cow;

use crate::wire::Malformed;
use crate::wire::native::Refused;
pub(super) use crate::wire::native::json::compacted as compact;

/// A text of JSON that grows. Commas are set by what stands before them.
#[derive(Clone, Debug, Default)]
pub(super) struct Json(pub(super) Vec<u8>);

impl Json {
    /// Empty, with room for this many bytes.
    pub(super) fn with_capacity(size: usize) -> Self {
        Self(Vec::with_capacity(size))
    }

    /// Bytes that are JSON where they stand.
    pub(super) fn raw(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.0.extend_from_slice(bytes.as_ref());
        self
    }

    /// A text, quoted and escaped.
    pub(super) fn text(&mut self, text: &str) -> &mut Self {
        serde_json::to_writer(&mut self.0, text).expect("a string always encodes");
        self
    }

    /// What stands between the quotes of a string, with quotes.
    pub(super) fn quoted(&mut self, inside: &[u8]) -> &mut Self {
        self.0.push(b'"');
        self.0.extend_from_slice(inside);
        self.0.push(b'"');
        self
    }

    /// The text of JSON, without white space.
    pub(super) fn text_of_json(&mut self, json: &str) -> &mut Self {
        crate::wire::native::json::quoted(&mut self.0, json.as_bytes());
        self
    }

    /// A number.
    pub(super) fn number(&mut self, number: u64) -> &mut Self {
        serde_json::to_writer(&mut self.0, &number).expect("a number always encodes");
        self
    }

    /// The next element of an array, or the next member: a comma, unless it is the first.
    pub(super) fn next(&mut self) -> &mut Self {
        if !matches!(self.0.last(), None | Some(b'{' | b'[' | b':')) {
            self.0.push(b',');
        }
        self
    }

    /// The name of the next member, which needs no escapes.
    pub(super) fn name(&mut self, name: &str) -> &mut Self {
        self.next().quoted(name.as_bytes());
        self.0.push(b':');
        self
    }

    /// Whether nothing was written.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// What stands between the quotes of a JSON string; `None` if it is none.
pub(super) fn inside(raw: &[u8]) -> Option<&[u8]> {
    match raw {
        [b'"', inside @ .., b'"'] => Some(inside),
        _ => None,
    }
}

/// The text of a JSON string, borrowed where it has no escapes; `None` if it is none.
pub(super) fn text(raw: &[u8]) -> Option<Cow<'_, str>> {
    let inside = inside(raw)?;
    if memchr::memchr(b'\\', inside).is_none() {
        return std::str::from_utf8(inside).ok().map(Cow::Borrowed);
    }
    serde_json::from_slice(raw).ok().map(Cow::Owned)
}

/// Whether a value stands for none.
pub(super) fn is_null(raw: &[u8]) -> bool {
    raw == b"null"
}

/// A member is not what it must be.
pub(super) fn invalid<T>(param: impl Into<String>, message: impl Into<String>) -> Result<T, Refused> {
    Err(Refused::Invalid { param: param.into(), message: message.into() })
}

/// There is no word for a member.
pub(super) fn unsupported<T>(param: impl Into<String>) -> Result<T, Refused> {
    Err(Refused::Unsupported { param: param.into() })
}

/// Whether a text is exactly one JSON object.
pub(super) fn is_object(text: &[u8]) -> bool {
    crate::wire::scan::members(text, |_| Ok(())).is_ok()
}

/// A text of the provider's that can't be read.
pub(super) fn malformed(error: serde_json::Error) -> crate::wire::openai::stream::Broken {
    crate::wire::openai::stream::Broken::Malformed(Malformed::from(error))
}
