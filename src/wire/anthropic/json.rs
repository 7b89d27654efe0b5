//! JSON written by hand: what is JSON already is copied, not decoded.

use std::borrow::Cow;

pub(super) use crate::wire::native::json::{compact, quoted};

/// A comma, unless something has just begun.
pub(super) fn comma(out: &mut Vec<u8>) {
    if !matches!(out.last(), None | Some(b'{' | b'[' | b':')) {
        out.push(b',');
    }
}

/// The name of a member whose value follows.
pub(super) fn key(out: &mut Vec<u8>, name: &'static str) {
    comma(out);
    out.push(b'"');
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}

/// A member whose value is JSON already.
pub(super) fn put(out: &mut Vec<u8>, name: &'static str, value: &[u8]) {
    key(out, name);
    out.extend_from_slice(value);
}

/// A member that is a text.
pub(super) fn put_text(out: &mut Vec<u8>, name: &'static str, value: &str) {
    key(out, name);
    text(out, value);
}

/// A text, quoted and escaped.
pub(super) fn text(out: &mut Vec<u8>, value: &str) {
    serde_json::to_writer(out, value).expect("a string always encodes");
}

/// A member that is a text, of which the inside is JSON already.
pub(super) fn put_inside(out: &mut Vec<u8>, name: &'static str, inside: &[u8]) {
    key(out, name);
    out.push(b'"');
    out.extend_from_slice(inside);
    out.push(b'"');
}

/// Whether a value is a string.
pub(super) fn is_string(value: &[u8]) -> bool {
    value.first() == Some(&b'"') && value.len() >= 2
}

/// Whether a value is a string that is empty.
pub(super) fn is_empty(value: &[u8]) -> bool {
    value == br#""""#
}

/// The inside of a string, still escaped, but with no needless escapes: what is plain ASCII in it can be compared.
/// `None` if the value is no string, or none that can be decoded.
pub(super) fn inside(value: &[u8]) -> Option<Cow<'_, [u8]>> {
    let [b'"', inner @ .., b'"'] = value else { return None };
    if memchr::memchr(b'\\', inner).is_none() {
        return Some(Cow::Borrowed(inner));
    }
    let mut plain = serde_json::to_vec(&decoded(value)?).expect("a string always encodes");
    plain.pop();
    plain.remove(0);
    Some(Cow::Owned(plain))
}

/// A string without its escapes. `None` if the value is no string, or none that can be decoded.
pub(super) fn decoded(value: &[u8]) -> Option<Cow<'_, str>> {
    match value {
        [b'"', inner @ .., b'"'] if memchr::memchr(b'\\', inner).is_none() => {
            std::str::from_utf8(inner).ok().map(Cow::Borrowed)
        }
        _ => serde_json::from_slice::<String>(value).ok().map(Cow::Owned),
    }
}

/// How many characters a string has, counted without decoding it.
pub(super) fn characters(value: &[u8]) -> u64 {
    let mut rest = value.get(1..value.len().saturating_sub(1)).unwrap_or_default();
    let mut count = 0;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        count += starts(&rest[..at]) + 1;
        let (long, low) = match rest.get(at + 1..at + 4) {
            // the second half of a pair belongs to the first
            Some([b'u', b'd' | b'D', b'c'..=b'f' | b'C'..=b'F']) => (6, true),
            Some([b'u', ..]) => (6, false),
            _ => (2, false),
        };
        count -= u64::from(low);
        rest = rest.get(at + long..).unwrap_or_default();
    }
    count + starts(rest)
}

/// The bytes that begin a character.
fn starts(text: &[u8]) -> u64 {
    text.iter().filter(|byte| **byte & 0xc0 != 0x80).count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn json_is_the_same_json_without_white_space_and_as_a_text(
            text in ".{0,30}", escaped in proptest::bool::ANY, number in proptest::num::f64::NORMAL,
        ) {
            let value = serde_json::json!({ &text: [&text, number, null, { "x": &text }] });
            let pretty = format!("{value:#}");
            let mut out = Vec::new();
            compact(&mut out, pretty.as_bytes());
            proptest::prop_assert_eq!(String::from_utf8(out).expect("UTF-8"), value.to_string());
            let mut out = Vec::new();
            quoted(&mut out, pretty.as_bytes());
            proptest::prop_assert_eq!(serde_json::from_slice::<String>(&out).expect("a string"), value.to_string());
            let json = if escaped {
                format!("\"{}\"", text.encode_utf16().map(|unit| format!("\\u{unit:04X}")).collect::<String>())
            } else {
                serde_json::to_string(&text).expect("a string")
            };
            proptest::prop_assert_eq!(characters(json.as_bytes()), text.chars().count() as u64);
            let inside = inside(json.as_bytes()).expect("a string");
            let plain = serde_json::to_string(&text).expect("a string");
            proptest::prop_assert_eq!(&*inside, &plain.as_bytes()[1..plain.len() - 1]);
        }
    }
}
