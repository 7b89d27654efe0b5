//! Data URLs and base64.

use std::borrow::Cow;

/// The media type of a data URL, and its data in base64.
pub(super) fn base64_of(url: Cow<'_, str>) -> Option<(String, Cow<'_, str>)> {
    let comma = url.find(',')?;
    let head = url.get("data:".len()..comma)?;
    let mime = head.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if !head.to_ascii_lowercase().ends_with(";base64") {
        return Some((mime, Cow::Owned(base64(&unescaped(&url[comma + 1..])))));
    }
    let data = match url {
        Cow::Borrowed(url) => Cow::Borrowed(&url[comma + 1..]),
        Cow::Owned(mut url) => Cow::Owned(url.split_off(comma + 1)),
    };
    // line breaks come with tools that wrap at 76 characters
    let data = if data.contains(char::is_whitespace) { Cow::Owned(data.split_whitespace().collect()) } else { data };
    Some((mime, data))
}

/// Bytes that were percent-encoded.
fn unescaped(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let hex = after.get(..2).filter(|_| *first == b'%').and_then(|hex| std::str::from_utf8(hex).ok());
        rest = match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                &after[2..]
            }
            None => {
                out.push(*first);
                after
            }
        };
    }
    out
}

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Base64 with padding, RFC 4648 section 4.
fn base64(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let word = group.iter().chain([0, 0].iter()).take(3).fold(0_u32, |word, byte| word << 8 | u32::from(*byte));
        for digit in 0..4 {
            let filled = digit <= group.len();
            out.push(if filled { char::from(DIGITS[(word >> (18 - 6 * digit)) as usize & 63]) } else { '=' });
        }
    }
    out
}

/// The first bytes of base64; zeros where it is none or too short.
pub(super) fn first_bytes(data: &str) -> [u8; 12] {
    let mut out = [0; 12];
    for (group, bytes) in data.as_bytes().chunks_exact(4).zip(out.chunks_exact_mut(3)) {
        let mut word = 0_u32;
        for digit in group {
            let value = DIGITS.iter().position(|known| known == digit).unwrap_or_default();
            word = word << 6 | value as u32;
        }
        bytes.copy_from_slice(&word.to_be_bytes()[1..]);
    }
    out
}
