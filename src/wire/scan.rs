//! JSON read for its extents only: where each member of an object begins and ends, and whether all of it is JSON.
//!
//! Strict as RFC 8259, in one pass, without recursion, and without decoding anything. The text must be UTF-8 already.

use std::ops::Range;

/// Where a text stops being JSON.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// The offset of the first byte that can't be there.
    pub(super) at: usize,
    /// What should have been there.
    pub(super) wants: &'static str,
}

/// One member of an object, as extents of the text.
pub(super) struct Extent {
    /// Between the quotes of the name.
    pub(super) name: Range<usize>,
    /// Whether the name has escapes.
    pub(super) escaped: bool,
    /// The value.
    pub(super) value: Range<usize>,
}

/// Where to go on.
pub(super) type Step = Result<usize, Fault>;

fn fault<T>(at: usize, wants: &'static str) -> Result<T, Fault> {
    Err(Fault { at, wants })
}

/// Visit the members of a text that is exactly one object, in order; `each` may end the visit with a fault of its own.
pub(super) fn members(text: &[u8], mut each: impl FnMut(Extent) -> Result<(), Fault>) -> Result<(), Fault> {
    let end = walk(text, space(text, 0), |name, escaped, from| {
        let to = value(text, from)?;
        each(Extent { name, escaped, value: from..to })?;
        Ok(to)
    })?;
    let at = space(text, end);
    if at == text.len() { Ok(()) } else { fault(at, "the end of the body") }
}

/// Visit the members of the object that begins at `at`; returns where it ends. `each` gets a name, whether that has
/// escapes, and where the value begins; it says where the value ends.
#[inline]
pub(super) fn walk(text: &[u8], mut at: usize, mut each: impl FnMut(Range<usize>, bool, usize) -> Step) -> Step {
    if text.get(at) != Some(&b'{') {
        return fault(at, "a JSON object");
    }
    at = space(text, at + 1);
    if text.get(at) == Some(&b'}') {
        return Ok(at + 1);
    }
    loop {
        let from = at + 1;
        let (to, escaped) = name(text, at)?;
        let after = each(from..to - 1, escaped, colon(text, to)?)?;
        at = space(text, after);
        match text.get(at) {
            Some(b',') => at = space(text, at + 1),
            Some(b'}') => return Ok(at + 1),
            _ => return fault(at, "`,` or `}`"),
        }
    }
}

/// Visit the elements of the array that begins at `at`; returns where it ends. `each` gets where an element begins, and
/// says where it ends.
#[inline]
pub(super) fn elements(text: &[u8], mut at: usize, mut each: impl FnMut(usize) -> Step) -> Step {
    if text.get(at) != Some(&b'[') {
        return fault(at, "a JSON array");
    }
    at = space(text, at + 1);
    if text.get(at) == Some(&b']') {
        return Ok(at + 1);
    }
    loop {
        at = space(text, each(at)?);
        match text.get(at) {
            Some(b',') => at = space(text, at + 1),
            Some(b']') => return Ok(at + 1),
            _ => return fault(at, "`,` or `]`"),
        }
    }
}

/// Where the value of a member begins in the object that begins at `at`; what stands behind it is not looked at.
pub(super) fn find(text: &[u8], at: usize, name: &str) -> Option<usize> {
    let mut found = None;
    _ = walk(text, at, |known, _, from| {
        if &text[known] == name.as_bytes() {
            found = Some(from);
            return fault(from, "nothing more");
        }
        value(text, from)
    });
    found
}

fn space(text: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\n' | b'\r' | b'\t') = text.get(at) {
        at += 1;
    }
    at
}

/// The end of a name, and whether it has escapes.
fn name(text: &[u8], at: usize) -> Result<(usize, bool), Fault> {
    if text.get(at) == Some(&b'"') { string(text, at + 1) } else { fault(at, "a member's name in quotes") }
}

fn colon(text: &[u8], at: usize) -> Step {
    let at = space(text, at);
    if text.get(at) == Some(&b':') { Ok(space(text, at + 1)) } else { fault(at, "`:`") }
}

/// The end of the value that begins here.
#[inline]
pub(super) fn value(text: &[u8], at: usize) -> Step {
    match text.get(at) {
        Some(b'"') => Ok(string(text, at + 1)?.0),
        Some(b'-' | b'0'..=b'9') => number(text, at),
        _ => nested(text, at),
    }
}

fn nested(text: &[u8], mut at: usize) -> Step {
    let mut open = Open::default();
    loop {
        at = match text.get(at) {
            Some(b'"') => string(text, at + 1)?.0,
            Some(b'{') => match space(text, at + 1) {
                inner if text.get(inner) == Some(&b'}') => inner + 1,
                inner => {
                    open.push(true);
                    at = colon(text, name(text, inner)?.0)?;
                    continue;
                }
            },
            Some(b'[') => match space(text, at + 1) {
                inner if text.get(inner) == Some(&b']') => inner + 1,
                inner => {
                    open.push(false);
                    at = inner;
                    continue;
                }
            },
            Some(b't') => word(text, at, b"true")?,
            Some(b'f') => word(text, at, b"false")?,
            Some(b'n') => word(text, at, b"null")?,
            Some(b'-' | b'0'..=b'9') => number(text, at)?,
            _ => return fault(at, "a value"),
        };
        // behind a value: close what it closes, go on with what it belongs to
        loop {
            let Some(object) = open.top() else { return Ok(at) };
            let next = space(text, at);
            at = match (text.get(next), object) {
                (Some(b'}'), true) | (Some(b']'), false) => {
                    open.pop();
                    next + 1
                }
                (Some(b','), true) => {
                    at = colon(text, name(text, space(text, next + 1))?.0)?;
                    break;
                }
                (Some(b','), false) => {
                    at = space(text, next + 1);
                    break;
                }
                (_, true) => return fault(next, "`,` or `}`"),
                (_, false) => return fault(next, "`,` or `]`"),
            };
        }
    }
}

fn word(text: &[u8], at: usize, word: &'static [u8]) -> Step {
    let there = text.get(at..at + word.len()) == Some(word);
    if there { Ok(at + word.len()) } else { fault(at, "true, false or null") }
}

fn digits(text: &[u8], at: usize) -> Step {
    let count = text.get(at..).unwrap_or_default().iter().take_while(|byte| byte.is_ascii_digit()).count();
    if count == 0 { fault(at, "a digit") } else { Ok(at + count) }
}

fn number(text: &[u8], mut at: usize) -> Step {
    at += usize::from(text.get(at) == Some(&b'-'));
    at = if text.get(at) == Some(&b'0') { at + 1 } else { digits(text, at)? };
    if text.get(at) == Some(&b'.') {
        at = digits(text, at + 1)?;
    }
    if let Some(b'e' | b'E') = text.get(at) {
        at += 1;
        at += usize::from(matches!(text.get(at), Some(b'+' | b'-')));
        at = digits(text, at)?;
    }
    Ok(at)
}

/// The end of the string whose inside begins here, and whether it has escapes.
fn string(text: &[u8], mut at: usize) -> Result<(usize, bool), Fault> {
    let mut escaped = false;
    loop {
        at = plain(text, at);
        match text.get(at) {
            Some(b'"') => return Ok((at + 1, escaped)),
            Some(b'\\') => {
                escaped = true;
                at = match text.get(at + 1) {
                    Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => at + 2,
                    Some(b'u') if text.get(at + 2..at + 6).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit)) => {
                        at + 6
                    }
                    _ => return fault(at, "an escape that JSON knows"),
                };
            }
            Some(_) => return fault(at, "no control character"),
            None => return fault(at, "the end of a string"),
        }
    }
}

const ONES: u64 = 0x0101_0101_0101_0101;
const TOPS: u64 = 0x8080_8080_8080_8080;

/// The first byte from here that is a quote, a backslash or a control character; eight are looked at at a time.
fn plain(text: &[u8], at: usize) -> usize {
    let mut rest = text.get(at..).unwrap_or_default();
    while let Some((eight, behind)) = rest.split_first_chunk::<8>() {
        let word = u64::from_le_bytes(*eight);
        let (quote, slash) = (word ^ (ONES * 0x22), word ^ (ONES * 0x5c));
        let found = (quote.wrapping_sub(ONES) & !quote)
            | (slash.wrapping_sub(ONES) & !slash)
            | (word.wrapping_sub(ONES * 0x20) & !word);
        if found & TOPS != 0 {
            // a borrow can only make a later byte look like a hit, never an earlier one
            return text.len() - rest.len() + (found & TOPS).trailing_zeros() as usize / 8;
        }
        rest = behind;
    }
    let left = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20)).unwrap_or(rest.len());
    text.len() - rest.len() + left
}

/// What is open around a value: one bit each, set for objects; a list only beyond 64 levels.
#[derive(Default)]
struct Open {
    bits: u64,
    depth: u32,
    outer: Vec<u64>,
}

impl Open {
    fn push(&mut self, object: bool) {
        if self.depth > 0 && self.depth.is_multiple_of(64) {
            self.outer.push(std::mem::take(&mut self.bits));
        }
        self.bits = self.bits << 1 | u64::from(object);
        self.depth += 1;
    }

    fn top(&self) -> Option<bool> {
        (self.depth > 0).then_some(self.bits & 1 == 1)
    }

    fn pop(&mut self) {
        self.bits >>= 1;
        self.depth -= 1;
        if self.depth > 0 && self.depth.is_multiple_of(64) {
            self.bits = self.outer.pop().unwrap_or_default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_object(text: &str) -> bool {
        members(text.as_bytes(), |_| Ok(())).is_ok()
    }

    #[test]
    fn depth_has_no_limit_and_no_mix_up() {
        for depth in [1, 2, 63, 64, 65, 127, 128, 129, 1000, 100_000] {
            let mixed = |n: usize| if n.is_multiple_of(3) { ("{\"a\":", "}") } else { ("[", "]") };
            let open: String = (0..depth).map(|n| mixed(n).0).collect();
            let close: String = (0..depth).rev().map(|n| mixed(n).1).collect();
            assert!(is_object(&format!("{{\"x\":{open}1{close}}}")), "{depth}");
            assert!(!is_object(&format!("{{\"x\":{open}1{}}}", &close[1..])), "{depth}");
        }
    }

    #[test]
    fn elements_are_told_where_the_array_is_one() {
        let found = |text: &str| {
            let mut found = Vec::new();
            let read = elements(text.as_bytes(), 0, |at| {
                let end = value(text.as_bytes(), at)?;
                found.push(text[at..end].to_owned());
                Ok(end)
            });
            read.map(|end| (end, found.join(" "))).map_err(|fault| fault.at)
        };
        assert_eq!(found(r#"[ 1 ,"a]", [2], {"b":[]} ] "#), Ok((26, r#"1 "a]" [2] {"b":[]}"#.to_owned())));
        assert_eq!(found("[ ]"), Ok((3, String::new())));
        for (wrong, at) in [("", 0), ("{}", 0), ("[", 1), ("[1", 2), ("[1,]", 3), ("[,1]", 1), ("[1 2]", 3)] {
            assert_eq!(found(wrong), Err(at), "{wrong}");
        }
    }

    #[test]
    fn a_member_is_found_where_it_begins() {
        let text = br#"{"a": {"b": 1}, "b" : [2], "c": tru"#;
        assert_eq!(find(text, 0, "b"), Some(22));
        assert_eq!(find(text, 6, "b"), Some(12));
        assert_eq!(find(text, 0, "d"), None);
        assert_eq!(find(text, 22, "b"), None);
    }

    proptest::proptest! {
        #[test]
        fn what_is_json_here_is_json_to_serde(text in r#"\{("[a-z\\"u0-9]{0,9}":)?[\[\]{}:,"a-z0-9eE.+\-\\ \t]{0,40}\}?"#) {
            let theirs = serde_json::from_str::<std::collections::HashMap<String, serde::de::IgnoredAny>>(&text).is_ok();
            // serde decodes the names, so it refuses lone surrogates in them
            proptest::prop_assume!(!text.contains("\\ud"));
            proptest::prop_assert_eq!(is_object(&text), theirs, "{}", text);
        }

        #[test]
        fn anything_serde_writes_is_json_here(text in ".{0,40}", number in proptest::num::f64::NORMAL) {
            let object = serde_json::json!({ &text: [&text, number, null, { "x": &text }, true], "y": {} });
            let (short, long) = (object.to_string(), format!("{object:#}"));
            proptest::prop_assert!(is_object(&short) && is_object(&long));
        }
    }
}
