//! Strings of JSON that are looked at without being decoded.

use std::borrow::Cow;

pub(super) use crate::wire::native::json::{comma, compact, decoded, key, put, put_inside, put_text, quoted, text};

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
