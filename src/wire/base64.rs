//! Base64 and data URLs.

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Standard base64 with padding (RFC 4648, section 4).
pub(crate) fn base64(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let word = group.iter().chain([0, 0].iter()).take(3).fold(0_u32, |word, byte| word << 8 | u32::from(*byte));
        for digit in 0..4 {
            let value = (word >> (18 - 6 * digit)) as usize & 63;
            out.push(if digit <= group.len() { char::from(DIGITS[value]) } else { '=' });
        }
    }
    out
}

/// What base64 stands for, in either alphabet; line ends and padding do not matter. `None` if it is something else.
pub(crate) fn unbase64(text: impl AsRef<[u8]>) -> Option<Vec<u8>> {
    let text = text.as_ref();
    let mut out = Vec::with_capacity(text.len() / 4 * 3 + 3);
    let (mut word, mut bits) = (0_u32, 0);
    let end = text.iter().rposition(|byte| !matches!(byte, b'=' | b'\r' | b'\n')).map_or(0, |last| last + 1);
    for byte in text[..end].iter().filter(|byte| !matches!(byte, b'\r' | b'\n')) {
        word = word << 6 | digit(*byte)?;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            out.push((word >> bits) as u8);
        }
    }
    // one digit alone is not a byte
    (bits < 6).then_some(out)
}

/// The value of a digit of base64, in either alphabet.
pub(super) fn digit(byte: u8) -> Option<u32> {
    Some(match byte {
        b'A'..=b'Z' => u32::from(byte - b'A'),
        b'a'..=b'z' => u32::from(byte - b'a') + 26,
        b'0'..=b'9' => u32::from(byte - b'0') + 52,
        b'+' | b'-' => 62,
        b'/' | b'_' => 63,
        _ => return None,
    })
}

/// Bytes that were percent-encoded. What is no escape stays as it is.
pub(super) fn unpercent(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
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

/// What stands in front of the data of a data URL.
pub(super) struct Head {
    /// The media type, lower case; empty if it is not said.
    pub(super) media: String,
    /// Whether the data is base64; percent-encoded otherwise.
    pub(super) base64: bool,
    /// Where the data begins.
    pub(super) end: usize,
}

/// The head of a data URL; `None` if it is none.
pub(super) fn head(url: &[u8]) -> Option<Head> {
    url.get(..5).filter(|scheme| scheme.eq_ignore_ascii_case(b"data:"))?;
    let comma = memchr::memchr(b',', url)?;
    let mut parts = std::str::from_utf8(&url[5..comma]).ok()?.split(';').map(str::trim);
    let media = parts.next().unwrap_or_default().to_ascii_lowercase();
    Some(Head { media, base64: parts.any(|part| part.eq_ignore_ascii_case("base64")), end: comma + 1 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_goes_both_ways() {
        for bytes in [&b""[..], b"a", b"ab", b"abc", b"\xff\xfe\xfd\x00"] {
            assert_eq!(unbase64(base64(bytes)).as_deref(), Some(bytes));
        }
        assert_eq!(base64(b"ab"), "YWI=");
        assert_eq!(unbase64("YWI\n="), Some(b"ab".to_vec()));
        assert_eq!(unbase64("not base64!"), None);
        assert_eq!(unbase64("YWIjY"), None);
    }
}
