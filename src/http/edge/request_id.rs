//! The request id: the caller's, if it is sane, else a new one of 32 hexadecimal digits.

use std::cell::Cell;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};

/// The header, on requests and responses.
pub(super) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The longest id taken from a caller.
const LONGEST: usize = 128;

/// The id of a request, and the header value that echoes it.
pub(super) fn of(headers: &HeaderMap) -> (Arc<str>, HeaderValue) {
    if let Some(value) = headers.get(X_REQUEST_ID)
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
    for (at, byte) in state.map(mixed).iter().flat_map(|word| word.to_be_bytes()).enumerate() {
        digits[2 * at] = HEX[usize::from(byte >> 4)];
        digits[2 * at + 1] = HEX[usize::from(byte & 15)];
    }
    digits
}

const HEX: &[u8; 16] = b"0123456789abcdef";

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
