//! The request id: the caller's, if it is sane, else a new one of 32 hexadecimal digits.

use std::cell::Cell;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};

use super::headers::Rare;

/// The header, on requests and responses.
pub(super) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The longest id taken from a caller.
const LONGEST: usize = 128;

/// The id of a request, and the header value that echoes it.
pub(super) fn of(headers: &HeaderMap, rare: Rare) -> (Arc<str>, HeaderValue) {
    if rare.id
        && let Some(value) = headers.get(X_REQUEST_ID)
        && let Some(id) = sane(value)
    {
        return (id.into(), value.clone());
    }
    let digits = fresh();
    let id = std::str::from_utf8(&digits).expect("hexadecimal digits are ASCII");
    (id.into(), HeaderValue::from_bytes(&digits).expect("hexadecimal digits are fine in a header"))
}

fn sane(value: &HeaderValue) -> Option<&str> {
    let bytes = value.as_bytes();
    let sane = (1..=LONGEST).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic);
    if sane { value.to_str().ok() } else { None }
}

/// A new id. It has to be unique, not secret: two SplitMix64 sequences per thread, seeded by the system once, instead of
/// a system call per request.
fn fresh() -> [u8; 32] {
    thread_local! {
        static STATE: Cell<Option<[u64; 2]>> = const { Cell::new(None) };
    }
    let state = STATE.get().unwrap_or_else(seed).map(|word| word.wrapping_add(0x9e37_79b9_7f4a_7c15));
    STATE.set(Some(state));
    let mut digits = [0; 32];
    let [high, low] = state.map(mixed);
    for (four, part) in [high >> 32, high, low >> 32, low].into_iter().zip(digits.chunks_exact_mut(8)) {
        part.copy_from_slice(&hex(four as u32));
    }
    digits
}

/// The eight hexadecimal digits of a number, all at once.
fn hex(number: u32) -> [u8; 8] {
    let spread = u64::from(number);
    let spread = (spread | spread << 16) & 0x0000_ffff_0000_ffff;
    let spread = (spread | spread << 8) & 0x00ff_00ff_00ff_00ff;
    let digits = (spread | spread << 4) & 0x0f0f_0f0f_0f0f_0f0f;
    // Where a digit is above 9, adding 6 carries into the bit above it.
    let letters = ((digits + 0x0606_0606_0606_0606) >> 4) & 0x0101_0101_0101_0101;
    (digits + 0x3030_3030_3030_3030 + letters * u64::from(b'a' - b'9' - 1)).to_be_bytes()
}

fn seed() -> [u64; 2] {
    let word = || getrandom::u64().expect("the system has random numbers");
    [word(), word()]
}

/// The output function of SplitMix64.
fn mixed(word: u64) -> u64 {
    let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_those_of_the_standard_library() {
        for number in [0, 9, 10, 0x0123_4567, 0x89ab_cdef, u32::MAX] {
            assert_eq!(hex(number), format!("{number:08x}").as_bytes());
        }
    }
}
