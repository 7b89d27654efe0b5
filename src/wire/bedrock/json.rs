//! JSON read as slices: values that stay as they are, are copied and never decoded.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

pub(super) use crate::wire::native::invalid;
pub(super) use crate::wire::native::json::{Json, compacted as compact, unquoted as text};
use crate::wire::scan::{self, Extent, Fault};
use crate::wire::{Malformed, Object};

/// The members of an object, each value as the text it is written in.
#[derive(Clone, Debug, Default)]
pub(super) struct Members<'a>(Vec<(Cow<'a, str>, &'a str)>);

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
                while let Some((Name(name), value)) = map.next_entry::<_, &RawValue>()? {
                    members.push((name, value.get()));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Reader)
    }
}

impl<'a> Members<'a> {
    /// Those of a text that is one object, found without a look into their values: where these are long it is several
    /// times as fast as serde's way.
    pub(super) fn of(text: &'a str) -> Result<Self, Malformed> {
        let mut whole = Members::default();
        scan::members(text.as_bytes(), |extent| whole.add(text, extent)).map_err(expected)?;
        Ok(whole)
    }

    /// The same of a body.
    pub(super) fn of_body(body: &'a [u8]) -> Result<Self, Malformed> {
        let text = simdutf8::basic::from_utf8(body).map_err(|_| Malformed::new("the body is not UTF-8"))?;
        Self::of(text)
    }

    /// Those of each object of the array that begins at `at`.
    fn of_each(text: &'a str, at: usize) -> Result<Vec<Self>, Malformed> {
        let (bytes, mut each) = (text.as_bytes(), Vec::with_capacity(4));
        let read = scan::elements(bytes, at, |at| {
            let mut one = Members::default();
            let end = scan::walk(bytes, at, |name, escaped, from| {
                let to = scan::value(bytes, from)?;
                one.add(text, Extent { name, escaped, value: from..to })?;
                Ok(to)
            })?;
            each.push(one);
            Ok(end)
        });
        read.map_err(expected)?;
        Ok(each)
    }

    fn add(&mut self, text: &'a str, Extent { name, value, .. }: Extent) -> Result<(), Fault> {
        let at = name.start;
        let name = self::text(&text[at - 1..=name.end]).ok_or(Fault { at, wants: "a name in Unicode" })?;
        if self.0.is_empty() {
            self.0.reserve(4);
        }
        self.0.push((name, &text[value]));
        Ok(())
    }

    /// The text of one member's value; `null` counts as absent.
    pub(super) fn raw(&self, name: &str) -> Option<&'a str> {
        let (_, value) = self.0.iter().find(|(known, _)| known == name)?;
        Some(*value).filter(|value| *value != "null")
    }

    /// One member, if it is a text.
    pub(super) fn text(&self, name: &str) -> Option<Cow<'a, str>> {
        text(self.raw(name)?)
    }

    /// One member as an object; `None` if it is absent or anything else.
    pub(super) fn object(&self, name: &str) -> Option<Members<'a>> {
        Members::of(self.raw(name)?).ok()
    }

    /// One member as an array of objects; `None` if it is absent or anything else.
    pub(super) fn objects(&self, name: &str) -> Option<Vec<Members<'a>>> {
        Members::of_each(self.raw(name)?, 0).ok()
    }

    /// All members in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &'a str)> {
        self.0.iter().map(|(name, value)| (name.as_ref(), *value))
    }
}

/// The members of each object of an array, which is deep within an object: nothing is read twice on the way there.
/// `None` if there is none, and none where it is `null`.
pub(super) fn objects_at<'a>(raw: &'a str, path: &[&str]) -> Option<Vec<Members<'a>>> {
    let at = path.iter().try_fold(0, |at, name| scan::find(raw.as_bytes(), at, name))?;
    if raw[at..].starts_with("null") { Some(Vec::new()) } else { Members::of_each(raw, at).ok() }
}

fn expected(Fault { at, wants }: Fault) -> Malformed {
    Malformed::new(format!("expected {wants} at byte {at}"))
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
