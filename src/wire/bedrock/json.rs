//! JSON read as slices and written as bytes: values that stay as they are, are copied and never decoded.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::wire::native::Refused;
pub(super) use crate::wire::native::json::compacted as compact;
use crate::wire::{Malformed, Object};

/// The members of an object, each value as the text it is written in.
#[derive(Clone, Debug, Default)]
pub(super) struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Members<'de>;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::with_capacity(4);
                while let Some((Name(name), value)) = map.next_entry()? {
                    members.push((name, value));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Reader)
    }
}

impl<'a> Members<'a> {
    /// The text of one member's value; `null` counts as absent.
    pub(super) fn raw(&self, name: &str) -> Option<&'a str> {
        let (_, value) = self.0.iter().find(|(known, _)| known == name)?;
        Some(value.get()).filter(|value| *value != "null")
    }

    /// One member, if it is a text.
    pub(super) fn text(&self, name: &str) -> Option<Cow<'a, str>> {
        text(self.raw(name)?)
    }

    /// One member as an object; `None` if it is absent or anything else.
    pub(super) fn object(&self, name: &str) -> Option<Members<'a>> {
        parse(self.raw(name)?).ok()
    }

    /// One member as an array of objects; `None` if it is absent or anything else.
    pub(super) fn objects(&self, name: &str) -> Option<Vec<Members<'a>>> {
        parse(self.raw(name)?).ok()
    }

    /// All members in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &'a str)> {
        self.0.iter().map(|(name, value)| (name.as_ref(), value.get()))
    }
}

/// Read a JSON text.
pub(super) fn parse<'a, T: Deserialize<'a>>(raw: &'a str) -> Result<T, Malformed> {
    serde_json::from_str(raw).map_err(Malformed::from)
}

/// What a JSON string says, if it is one.
pub(super) fn text(raw: &str) -> Option<Cow<'_, str>> {
    let inner = inner(raw)?;
    if !inner.contains('\\') {
        return Some(Cow::Borrowed(inner));
    }
    serde_json::from_str(raw).ok().map(Cow::Owned)
}

/// What stands between the quotes of a JSON string, escapes and all.
pub(super) fn inner(raw: &str) -> Option<&str> {
    raw.strip_prefix('"')?.strip_suffix('"')
}

/// Whether a JSON string says nothing: white space at most.
pub(super) fn blank(raw: &str) -> bool {
    let inner = inner(raw).unwrap_or(raw);
    let mut rest = inner.bytes();
    while let Some(byte) = rest.next() {
        let space = match byte {
            b' ' => true,
            b'\\' => matches!(rest.next(), Some(b'n' | b'r' | b't')),
            _ => false,
        };
        if !space {
            return false;
        }
    }
    true
}

/// A member of the caller's body as text; `null` counts as absent.
pub(super) fn raw<'a>(body: &'a Object, name: &str) -> Option<&'a str> {
    let value = body.raw(name).filter(|value| *value != b"null")?;
    std::str::from_utf8(value).ok()
}

/// The same under either of two names: ours, or the one Converse has.
pub(super) fn either<'a>(body: &'a Object, ours: &str, theirs: &str) -> Option<&'a str> {
    raw(body, ours).or_else(|| raw(body, theirs))
}

/// A JSON text being written: commas are put where they belong.
#[derive(Debug, Default)]
pub(super) struct Json(Vec<u8>);

impl Json {
    /// With room for this many bytes.
    pub(super) fn sized(bytes: usize) -> Self {
        Self(Vec::with_capacity(bytes))
    }

    /// Whether nothing has been written.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What has been written.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The same, to keep.
    pub(super) fn done(self) -> Vec<u8> {
        self.0
    }

    fn comma(&mut self) {
        if !matches!(self.0.last(), None | Some(b'{' | b'[' | b':')) {
            self.0.push(b',');
        }
    }

    /// Begin an object or array as the next element, or as the value of the member just named.
    pub(super) fn open(&mut self, bracket: u8) {
        self.comma();
        self.0.push(bracket);
    }

    /// End it.
    pub(super) fn close(&mut self, bracket: u8) {
        self.0.push(bracket);
    }

    /// Begin a member; its value must follow. The name must need no escapes.
    pub(super) fn name(&mut self, name: &str) {
        self.comma();
        self.0.push(b'"');
        self.0.extend_from_slice(name.as_bytes());
        self.0.extend_from_slice(b"\":");
    }

    /// A value that is JSON already.
    pub(super) fn raw(&mut self, value: &str) {
        self.comma();
        self.0.extend_from_slice(value.as_bytes());
    }

    /// Elements or members that are JSON already and have their commas; at least one.
    pub(super) fn splice(&mut self, elements: &[u8]) {
        self.comma();
        self.0.extend_from_slice(elements);
    }

    /// A text.
    pub(super) fn text(&mut self, text: &str) {
        self.comma();
        escape(text, &mut self.0);
    }

    /// A text made of the insides of JSON strings.
    pub(super) fn joined<'a>(&mut self, inners: impl IntoIterator<Item = &'a str>) {
        self.comma();
        self.0.push(b'"');
        for inner in inners {
            self.0.extend_from_slice(inner.as_bytes());
        }
        self.0.push(b'"');
    }

    /// A member with a value that is JSON already.
    pub(super) fn member(&mut self, name: &str, value: &str) {
        self.name(name);
        self.0.extend_from_slice(value.as_bytes());
    }

    /// A member that is a text.
    pub(super) fn member_text(&mut self, name: &str, text: &str) {
        self.name(name);
        escape(text, &mut self.0);
    }

    /// A member whose value is the text of this JSON, without white space.
    pub(super) fn member_of_json(&mut self, name: &str, value: &str) {
        self.name(name);
        crate::wire::native::json::quoted(&mut self.0, value.as_bytes());
    }

    /// A member with a name that may need escapes.
    pub(super) fn foreign(&mut self, name: &str, value: &str) {
        self.comma();
        escape(name, &mut self.0);
        self.0.push(b':');
        self.0.extend_from_slice(value.as_bytes());
    }
}

/// Write a text as a JSON string.
pub(super) fn escape(text: &str, out: &mut Vec<u8>) {
    serde_json::to_writer(out, text).expect("a string always encodes");
}

/// A text as a JSON string.
pub(super) fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("a string always encodes")
}

/// A member is not what it must be.
pub(super) fn invalid(param: impl Into<String>, message: impl Into<String>) -> Refused {
    Refused::Invalid { param: param.into(), message: message.into() }
}
