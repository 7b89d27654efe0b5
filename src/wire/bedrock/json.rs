//! JSON read as slices: values that stay as they are, are copied and never decoded.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

pub(super) use crate::wire::native::invalid;
pub(super) use crate::wire::native::json::{Json, compacted as compact, unquoted as text};
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

/// A text as a JSON string.
pub(super) fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("a string always encodes")
}
