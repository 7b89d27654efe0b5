//! JSON written by hand: what is JSON already is copied, as it is, without white space, or as a text.

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
    // programs have an escape for about every tenth character
    out.reserve(value.len() + value.len() / 8 + 2);
    out.push(b'"');
    let mut rest = value;
    while let Some(at) = memchr::memchr(b'"', rest) {
        squeeze(out, &rest[..at]);
        out.extend_from_slice(br#"\""#);
        rest = escaped(out, &rest[at + 1..]);
    }
    squeeze(out, rest);
    out.push(b'"');
}

/// The rest of a JSON string with its end quote, escaped once more; returns what stands behind it.
fn escaped<'a>(out: &mut Vec<u8>, mut rest: &'a [u8]) -> &'a [u8] {
    while let Some(at) = memchr::memchr2(b'"', b'\\', rest) {
        out.extend_from_slice(&rest[..at]);
        if rest[at] == b'"' {
            out.extend_from_slice(br#"\""#);
            return &rest[at + 1..];
        }
        // `\n` becomes `\\n`, `\"` becomes `\\\"`
        match rest.get(at + 1) {
            Some(marked @ (b'"' | b'\\')) => out.extend_from_slice(&[b'\\', b'\\', b'\\', *marked]),
            Some(letter) => out.extend_from_slice(&[b'\\', b'\\', *letter]),
            None => out.extend_from_slice(br"\\"),
        }
        rest = rest.get(at + 2..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
    &[]
}

/// What a JSON string says, borrowed where it has no escapes; `None` if it is none.
pub(in crate::wire) fn unquoted(raw: &str) -> Option<Cow<'_, str>> {
    let inner = raw.strip_prefix('"')?.strip_suffix('"')?;
    if memchr::memchr(b'\\', inner.as_bytes()).is_none() {
        return Some(Cow::Borrowed(inner));
    }
    serde_json::from_str(raw).ok().map(Cow::Owned)
}

/// The same of bytes.
pub(in crate::wire) fn decoded(raw: &[u8]) -> Option<Cow<'_, str>> {
    unquoted(std::str::from_utf8(raw).ok()?)
}

/// A comma, unless something has just begun.
pub(in crate::wire) fn comma(out: &mut Vec<u8>) {
    if !matches!(out.last(), None | Some(b'{' | b'[' | b':' | b',')) {
        out.push(b',');
    }
}

/// The name of a member whose value follows. It must need no escapes.
pub(in crate::wire) fn key(out: &mut Vec<u8>, name: &str) {
    comma(out);
    inside(out, name.as_bytes());
    out.push(b':');
}

/// A member whose value is JSON already.
pub(in crate::wire) fn put(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    key(out, name);
    out.extend_from_slice(value);
}

/// A member that is a text.
pub(in crate::wire) fn put_text(out: &mut Vec<u8>, name: &str, value: &str) {
    key(out, name);
    text(out, value);
}

/// A member that is a text, of which the inside is JSON already.
pub(in crate::wire) fn put_inside(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    key(out, name);
    inside(out, value);
}

/// A text, quoted and escaped.
pub(in crate::wire) fn text(out: &mut Vec<u8>, value: &str) {
    serde_json::to_writer(out, value).expect("a string always encodes");
}

/// What stands between the quotes of a string, with quotes.
fn inside(out: &mut Vec<u8>, value: &[u8]) {
    out.push(b'"');
    out.extend_from_slice(value);
    out.push(b'"');
}

/// A text of JSON that grows. Commas are set by what stands before them.
#[derive(Clone, Debug, Default)]
pub(in crate::wire) struct Json(pub(in crate::wire) Vec<u8>);

impl Json {
    /// Empty, with room for this many bytes.
    pub(in crate::wire) fn with_capacity(size: usize) -> Self {
        Self(Vec::with_capacity(size))
    }

    /// Whether nothing was written.
    pub(in crate::wire) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Bytes that are JSON where they stand.
    pub(in crate::wire) fn raw(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.0.extend_from_slice(bytes.as_ref());
        self
    }

    /// The next element of an array, or the next member: a comma, unless it is the first.
    pub(in crate::wire) fn next(&mut self) -> &mut Self {
        comma(&mut self.0);
        self
    }

    /// The name of the next member, which needs no escapes.
    pub(in crate::wire) fn name(&mut self, name: &str) -> &mut Self {
        key(&mut self.0, name);
        self
    }

    /// A text, quoted and escaped.
    pub(in crate::wire) fn text(&mut self, value: &str) -> &mut Self {
        text(&mut self.next().0, value);
        self
    }

    /// What stands between the quotes of a string, with quotes.
    pub(in crate::wire) fn quoted(&mut self, value: &[u8]) -> &mut Self {
        inside(&mut self.next().0, value);
        self
    }

    /// The text of JSON, without white space.
    pub(in crate::wire) fn text_of_json(&mut self, json: &str) -> &mut Self {
        quoted(&mut self.next().0, json.as_bytes());
        self
    }

    /// A number.
    pub(in crate::wire) fn number(&mut self, number: u64) -> &mut Self {
        serde_json::to_writer(&mut self.next().0, &number).expect("a number always encodes");
        self
    }

    /// Begin an object or array as the next element, or as the value of the member just named.
    pub(in crate::wire) fn open(&mut self, bracket: u8) {
        self.next().0.push(bracket);
    }

    /// End it.
    pub(in crate::wire) fn close(&mut self, bracket: u8) {
        self.0.push(bracket);
    }

    /// Elements or members that are JSON already and have their commas; at least one.
    pub(in crate::wire) fn item(&mut self, json: impl AsRef<[u8]>) {
        self.next().raw(json);
    }

    /// A text made of the insides of JSON strings.
    pub(in crate::wire) fn joined<'a>(&mut self, insides: impl IntoIterator<Item = &'a str>) {
        self.next().0.push(b'"');
        insides.into_iter().for_each(|inside| self.0.extend_from_slice(inside.as_bytes()));
        self.0.push(b'"');
    }

    /// A member with a value that is JSON already.
    pub(in crate::wire) fn member(&mut self, name: &str, value: &str) {
        put(&mut self.0, name, value.as_bytes());
    }

    /// A member that is a text.
    pub(in crate::wire) fn member_text(&mut self, name: &str, value: &str) {
        put_text(&mut self.0, name, value);
    }

    /// A member with a name that may need escapes.
    pub(in crate::wire) fn foreign(&mut self, name: &str, value: &str) {
        self.text(name).raw(":").raw(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn anything_at_all_becomes_a_string(wrong in r#"[{}"\\a ]{0,20}"#) {
            quoted(&mut Vec::new(), wrong.as_bytes());
        }
    }
}
