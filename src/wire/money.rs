//! Money: US dollars as a whole number of millionths of a millionth, so that sums never drift.

use std::fmt;

/// Picodollars in a dollar.
const DOLLAR: u64 = 1_000_000_000_000;

/// Decimals that a picodollar needs.
const DECIMALS: usize = 12;

/// An amount of US dollars, never negative, exact to 10⁻¹² of one; at most about 18 million.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Usd(u64);

impl Usd {
    /// Nothing: what is free costs that. What nobody knows the price of costs `None`.
    pub const ZERO: Usd = Usd(0);

    /// An amount in picodollars; what does not fit is the largest amount there is.
    pub fn of_picos(picos: u128) -> Self {
        Usd(u64::try_from(picos).unwrap_or(u64::MAX))
    }

    /// The amount in picodollars.
    pub fn picos(self) -> u64 {
        self.0
    }

    /// The amount as a float, for counters that know nothing else.
    pub fn as_f64(self) -> f64 {
        self.0 as f64 / DOLLAR as f64
    }

    /// A decimal number, as `0.00000125` or `1.25e-6`, times 10^`shift`. `None` if it is no number, negative, too large,
    /// or finer than a picodollar.
    pub fn parse(text: &str, shift: i32) -> Option<Self> {
        match parse(text, shift)? {
            (usd, true) => Some(usd),
            (_, false) => None,
        }
    }

    /// The same, with what is finer than a picodollar rounded off.
    pub fn parse_rounded(text: &str, shift: i32) -> Option<Self> {
        parse(text, shift).map(|(usd, _)| usd)
    }

    /// The digits of the amount, without an allocation.
    pub fn digits(self) -> Digits {
        Digits::of(self, 0)
    }

    /// The digits of the amount times 10^`shift`: 6 shows a price for one token as the price for a million.
    pub fn scaled(self, shift: usize) -> Digits {
        Digits::of(self, shift)
    }
}

impl fmt::Display for Usd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.digits().as_str())
    }
}

/// The amount, and whether it is exact.
fn parse(text: &str, shift: i32) -> Option<(Usd, bool)> {
    let (number, exponent) = match text.split_once(['e', 'E']) {
        Some((number, exponent)) => (number, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = || whole.bytes().chain(fraction.bytes());
    if digits().count() == 0 || digits().count() > 64 || !digits().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    // the power of ten of the last digit, in picodollars
    let last = i32::try_from(fraction.len()).ok()?;
    let power = exponent.checked_add(shift)?.checked_add(DECIMALS as i32)?.checked_sub(last)?;
    let mut value: u128 = 0;
    let mut exact = true;
    let kept = digits().count() as i32 + power.min(0);
    let mut half = false;
    for (at, digit) in digits().enumerate() {
        let digit = digit - b'0';
        if (at as i32) < kept {
            value = value.checked_mul(10)?.checked_add(u128::from(digit))?;
        } else {
            half |= at as i32 == kept && digit >= 5;
            exact &= digit == 0;
        }
    }
    value += u128::from(half);
    for _ in 0..power.max(0) {
        if value == 0 {
            break;
        }
        value = value.checked_mul(10)?;
    }
    Some((Usd(u64::try_from(value).ok()?), exact))
}

/// The digits of an amount: no trailing zeros, no point without decimals.
#[derive(Clone, Copy)]
pub struct Digits {
    text: [u8; Self::LONGEST],
    from: u8,
    to: u8,
}

impl Digits {
    /// 20 digits of an `u64`, a zero and the point.
    const LONGEST: usize = 24;

    fn of(Usd(mut picos): Usd, shift: usize) -> Self {
        let decimals = DECIMALS.saturating_sub(shift);
        let mut text = [b'0'; Self::LONGEST];
        let (mut from, mut to, mut written) = (Self::LONGEST, Self::LONGEST, 0);
        while picos > 0 || written <= decimals {
            let digit = (picos % 10) as u8;
            picos /= 10;
            if written == decimals && decimals > 0 && to > from {
                from -= 1;
                text[from] = b'.';
            }
            from -= 1;
            text[from] = b'0' + digit;
            written += 1;
            if digit == 0 && written <= decimals && to == from + 1 {
                to = from;
            }
        }
        Self { text, from: from as u8, to: to as u8 }
    }

    /// The digits as text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }

    /// The digits as ASCII bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.text[usize::from(self.from)..usize::from(self.to)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_exactly_or_not_at_all() {
        let check = |text: &str, picos: Option<u64>| assert_eq!(Usd::parse(text, 0), picos.map(Usd), "{text}");
        check("0", Some(0));
        check("1", Some(DOLLAR));
        check("0.00000125", Some(1_250_000));
        check("1.25e-6", Some(1_250_000));
        check("7.5E-08", Some(75_000));
        check(".5", Some(DOLLAR / 2));
        check("3.", Some(3 * DOLLAR));
        check("0.000000000001", Some(1));
        check("0.0000000000010", Some(1));
        check("0.0000000000015", None);
        check("18446744.073709551615", Some(u64::MAX));
        check("18446744.073709551616", None);
        for nonsense in ["", ".", "-1", "+1", "1,5", "1e", "e5", "1e99999999999", "1e2147483647", "0x1", "NaN", " 1"] {
            check(nonsense, None);
        }
        check("0e2147483000", Some(0));
        assert_eq!(Usd::parse("0.0000000000015", -12), None);
        assert_eq!(Usd::parse_rounded("0.0000000000015", 0), Some(Usd(2)));
        assert_eq!(Usd::parse_rounded("0.00000000000149", 0), Some(Usd(1)));
        assert_eq!(Usd::parse_rounded("1", -13), Some(Usd(0)));
        assert_eq!(Usd::parse("2.5", -6), Some(Usd(2_500_000)));
    }

    #[test]
    fn amounts_are_written_without_needless_zeros() {
        let check = |picos, text: &str| {
            assert_eq!(Usd(picos).to_string(), text);
            assert_eq!(Usd::parse(text, 0), Some(Usd(picos)));
        };
        check(0, "0");
        check(1, "0.000000000001");
        check(1_250_000, "0.00000125");
        check(DOLLAR, "1");
        check(10 * DOLLAR, "10");
        check(DOLLAR / 10, "0.1");
        check(1_050_000_000_000, "1.05");
        check(u64::MAX, "18446744.073709551615");
        assert_eq!(Usd(1_250_000).scaled(6).as_str(), "1.25");
        assert_eq!(Usd(30_000_000).scaled(6).as_str(), "30");
        assert_eq!(Usd(75).scaled(6).as_str(), "0.000075");
        assert_eq!(Usd(7).scaled(12).as_str(), "7");
    }
}
