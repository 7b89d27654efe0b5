//! Writing log members into a byte buffer, in both formats, without the formatting machinery.

use std::net::IpAddr;

/// Appends `text` as a JSON string. Control characters are escaped, so that no value can begin a new line.
pub(super) fn string(out: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes();
    out.push(b'"');
    if is_clean(bytes) {
        out.extend_from_slice(bytes);
    } else {
        escaped(out, bytes);
    }
    out.push(b'"');
}

/// Whether nothing is to be escaped, eight bytes at a time; the last eight may overlap those before them.
fn is_clean(bytes: &[u8]) -> bool {
    let Some(last) = bytes.last_chunk() else { return !bytes.iter().any(|&byte| is_escaped(byte)) };
    let (words, _) = bytes.as_chunks();
    words.iter().fold(suspects(last), |any, word| any | suspects(word)) == 0
}

/// Not 0 if one of eight bytes is to be escaped. What is subtracted borrows from a byte's highest bit only where the
/// byte is less; a byte above 127 is none of ours.
fn suspects(word: &[u8; 8]) -> u64 {
    const EACH: u64 = 0x0101_0101_0101_0101;
    let word = u64::from_le_bytes(*word);
    let is = |byte: u8| (word ^ (EACH * u64::from(byte))).wrapping_sub(EACH);
    let found = word.wrapping_sub(EACH * 0x20) | is(b'"') | is(b'\\') | is(0x7f);
    found & !word & (EACH * 0x80)
}

fn is_escaped(byte: u8) -> bool {
    (byte < 0x20) | (byte == b'"') | (byte == b'\\') | (byte == 0x7f)
}

fn escaped(out: &mut Vec<u8>, bytes: &[u8]) {
    let mut from = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        if !is_escaped(byte) {
            continue;
        }
        out.extend_from_slice(&bytes[from..at]);
        from = at + 1;
        match byte {
            b'"' => out.extend_from_slice(br#"\""#),
            b'\\' => out.extend_from_slice(br"\\"),
            b'\n' => out.extend_from_slice(br"\n"),
            b'\r' => out.extend_from_slice(br"\r"),
            b'\t' => out.extend_from_slice(br"\t"),
            _ => {
                let hex = |digit: u8| b"0123456789abcdef"[usize::from(digit)];
                out.extend_from_slice(&[b'\\', b'u', b'0', b'0', hex(byte >> 4), hex(byte & 15)]);
            }
        }
    }
    out.extend_from_slice(&bytes[from..]);
}

/// Appends `text` as it is if it is one plain word, as a JSON string otherwise.
pub(super) fn word(out: &mut Vec<u8>, text: &str) {
    let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\' | b'=');
    if !text.is_empty() && text.bytes().all(plain) {
        out.extend_from_slice(text.as_bytes());
    } else {
        string(out, text);
    }
}

/// Appends `text` as it is if it stays on its line, as a JSON string otherwise.
pub(super) fn phrase(out: &mut Vec<u8>, text: &str) {
    if text.bytes().any(|byte| byte.is_ascii_control()) {
        string(out, text);
    } else {
        out.extend_from_slice(text.as_bytes());
    }
}

/// Appends a number in decimal.
pub(super) fn number(out: &mut Vec<u8>, mut number: u64) {
    let digit = |unit| b'0' + (number / unit % 10) as u8;
    match number {
        0..10 => return out.push(digit(1)),
        10..100 => return out.extend_from_slice(&[digit(10), digit(1)]),
        100..1000 => return out.extend_from_slice(&[digit(100), digit(10), digit(1)]),
        _ => {}
    }
    let mut digits = [b'0'; 20];
    let mut from = digits.len() - 1;
    loop {
        digits[from] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
        from -= 1;
    }
    out.extend_from_slice(&digits[from..]);
}

/// Appends an address; one of IPv4 dressed as IPv6 is written as IPv4.
pub(super) fn address(out: &mut Vec<u8>, address: IpAddr) {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let (mut text, mut length) = ([b'.'; 16], 0);
            let mut put = |byte: u8| {
                text[length & 15] = byte;
                length += 1;
            };
            for octet in address.octets() {
                if octet > 99 {
                    put(b'0' + octet / 100);
                }
                if octet > 9 {
                    put(b'0' + octet / 10 % 10);
                }
                put(b'0' + octet % 10);
                put(b'.');
            }
            out.extend_from_slice(&text[..length - 1]);
        }
        IpAddr::V6(address) => out.extend_from_slice(address.to_string().as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap_or_default()
    }

    #[test]
    fn numbers_and_addresses_read_as_the_standard_library_writes_them() {
        for value in [0, 9, 10, 99, 100, 999, 1_000, 4_096, u64::MAX] {
            assert_eq!(written(|out| number(out, value)), value.to_string());
        }
        for text in ["127.0.0.1", "203.0.113.9", "255.255.255.255", "10.100.0.99", "2001:db8::1"] {
            let parsed = text.parse().unwrap_or(IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED));
            assert_eq!(written(|out| address(out, parsed)), text);
        }
    }

    proptest! {
        #[test]
        fn any_string_is_read_back_and_stays_on_its_line(text: String) {
            let json = written(|out| string(out, &text));
            prop_assert_eq!(serde_json::from_str::<String>(&json).ok(), Some(text));
            prop_assert!(!json.contains(['\n', '\r']));
        }
    }
}
