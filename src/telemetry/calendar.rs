//! The time of a log line: RFC 3339 in UTC with microseconds, formatted once a second.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Remembers the last second it wrote.
#[derive(Debug)]
pub(super) struct Calendar {
    second: u64,
    text: [u8; 19],
}

impl Default for Calendar {
    fn default() -> Self {
        Self { second: 0, text: *b"1970-01-01T00:00:00" }
    }
}

impl Calendar {
    /// Appends `now` as `2026-01-31T12:00:00.000001Z`.
    pub(super) fn write(&mut self, out: &mut Vec<u8>, now: SystemTime) {
        let since = now.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        if since.as_secs() != self.second {
            self.second = since.as_secs();
            self.text = second(since.as_secs());
        }
        out.extend_from_slice(&self.text);
        let micros = since.subsec_micros();
        let digit = |unit| b'0' + (micros / unit % 10) as u8;
        out.extend_from_slice(&[
            b'.',
            digit(100_000),
            digit(10_000),
            digit(1_000),
            digit(100),
            digit(10),
            digit(1),
            b'Z',
        ]);
    }
}

/// Years to 9999: later seconds, which no clock shows, keep the last.
fn second(since_epoch: u64) -> [u8; 19] {
    const LAST: i64 = 253_402_207_200;
    let at = jiff::Timestamp::from_second(i64::try_from(since_epoch).unwrap_or(LAST).min(LAST)).unwrap_or_default();
    let text = at.strftime("%Y-%m-%dT%H:%M:%S").to_string();
    text.as_bytes().try_into().unwrap_or(*b"1970-01-01T00:00:00")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rfc_3339_with_microseconds() {
        let mut calendar = Calendar::default();
        let mut check = |micros, expected: &str| {
            let mut out = Vec::new();
            calendar.write(&mut out, UNIX_EPOCH + Duration::from_micros(micros));
            assert_eq!(String::from_utf8_lossy(&out), expected);
        };
        check(0, "1970-01-01T00:00:00.000000Z");
        check(1_709_164_799_000_001, "2024-02-28T23:59:59.000001Z");
        check(1_709_164_799_999_999, "2024-02-28T23:59:59.999999Z");
        check(1_709_164_800_123_456, "2024-02-29T00:00:00.123456Z");
    }
}
