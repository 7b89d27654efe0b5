//! JSON of one format inside another: without white space, or as a text.

use std::borrow::Cow;

/// JSON without the white space between its parts.
pub(in crate::wire) fn compact(out: &mut Vec<u8>, value: &[u8]) {
    let mut rest = value;
    while let Some(at) = memchr::memchr(b'"', rest) {
        squeeze(out, &rest[..at]);
        let end = at + string(&rest[at..]);
        out.extend_from_slice(&rest[at..end]);
        rest = &rest[end..];
    }
    squeeze(out, rest);
}

/// What stands between strings, without white space.
fn squeeze(out: &mut Vec<u8>, between: &[u8]) {
    out.extend(between.iter().filter(|byte| !matches!(byte, b' ' | b'\n' | b'\r' | b'\t')));
}

/// JSON without the white space between its parts, borrowed where it has none.
pub(in crate::wire) fn compacted(value: &str) -> Cow<'_, str> {
    if !value.bytes().any(|byte| byte.is_ascii_whitespace()) {
        return Cow::Borrowed(value);
    }
    let mut out = Vec::with_capacity(value.len());
    compact(&mut out, value.as_bytes());
    // only ASCII is left out, so what stays is UTF-8
    Cow::Owned(String::from_utf8(out).unwrap_or_default())
}

/// The length of the string that the text begins with, both quotes included.
fn string(text: &[u8]) -> usize {
    let mut at = 1;
    while let Some(found) = text.get(at..).and_then(|rest| memchr::memchr2(b'"', b'\\', rest)) {
        if text[at + found] == b'"' {
            return at + found + 1;
        }
        at += found + 2;
    }
    text.len()
}

/// JSON as a text: compact, quoted, escaped.
pub(in crate::wire) fn quoted(out: &mut Vec<u8>, value: &[u8]) {
    let mut plain = Vec::with_capacity(value.len());
    compact(&mut plain, value);
    // programs have an escape for about every tenth character
    out.reserve(plain.len() + plain.len() / 8 + 2);
    out.push(b'"');
    let mut rest = &plain[..];
    // without white space there are no control characters left
    while let Some(at) = memchr::memchr2(b'"', b'\\', rest) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(&[b'\\', rest[at]]);
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}
