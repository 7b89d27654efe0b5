//! A duration as milliseconds with three decimals, written without an allocation.

use std::time::Duration;

use crate::call::Outcome;

/// The digits of a duration in milliseconds: `12.345`. For the overhead header and for log lines.
#[derive(Clone, Copy, Debug)]
pub struct Millis {
    digits: [u8; Self::LONGEST],
    from: u8,
}

impl Millis {
    /// 20 digits of an `u64`, and the point.
    const LONGEST: usize = 21;

    /// Formats `duration`, cut to whole microseconds.
    pub fn of(duration: Duration) -> Self {
        let mut micros =
            duration.as_secs().saturating_mul(1_000_000).saturating_add(u64::from(duration.subsec_micros()));
        let mut digits = [b'0'; Self::LONGEST];
        let mut from = Self::LONGEST;
        let mut written = 0;
        while micros > 0 || written < 4 {
            if written == 3 {
                from -= 1;
                digits[from] = b'.';
            }
            from -= 1;
            digits[from] = b'0' + (micros % 10) as u8;
            micros /= 10;
            written += 1;
        }
        Self { digits, from: from as u8 }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }

    /// The text as ASCII bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.digits[usize::from(self.from)..]
    }
}

/// The gateway's own share of a whole answer: its time without the time spent waiting for providers. `None` for
/// streams, whose time goes with the provider's, and for calls that never had a complete answer.
pub fn overhead(outcome: &Outcome) -> Option<Duration> {
    let whole = !outcome.stream && !outcome.abandoned && outcome.error.is_none();
    whole.then(|| outcome.took.saturating_sub(outcome.route.upstream))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn milliseconds_have_three_decimals() {
        let check = |micros, expected: &str| assert_eq!(Millis::of(Duration::from_micros(micros)).as_str(), expected);
        check(0, "0.000");
        check(7, "0.007");
        check(999, "0.999");
        check(1_000, "1.000");
        check(12_345, "12.345");
        check(u64::MAX, "18446744073709551.615");
        assert_eq!(Millis::of(Duration::MAX).as_str(), "18446744073709551.615");
        assert_eq!(Millis::of(Duration::from_nanos(1_999)).as_str(), "0.001");
    }
}
