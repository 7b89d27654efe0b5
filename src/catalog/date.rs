//! Days as numbers: 0 is 2020-01-01. Shared with the build script, so it knows nothing but the calendar.

/// Days from 1970-01-01 to 2020-01-01.
const FIRST: i64 = 18_262;

/// The day of a Unix time in seconds, the minute of that day, and the day of the week (0 is Monday), in UTC.
pub fn of_unix(seconds: u64) -> (u16, u16, u8) {
    let days = (seconds / 86_400) as i64;
    let day = u16::try_from(days - FIRST).unwrap_or(if days < FIRST { 0 } else { u16::MAX });
    // 1970-01-01 was a Thursday
    (day, (seconds % 86_400 / 60) as u16, ((days + 3) % 7) as u8)
}

/// A moment in seconds of Unix time.
pub fn unix(now: std::time::SystemTime) -> u64 {
    now.duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// A day written `2026-11-21`; `None` for what is no day, or one before 2020.
pub fn parse(text: &str) -> Option<u16> {
    let mut parts = text.splitn(3, '-');
    let mut part = |length: usize| {
        let part = parts.next()?;
        (part.len() == length && part.bytes().all(|byte| byte.is_ascii_digit())).then(|| part.parse::<i64>().ok())?
    };
    let (year, month, day) = (part(4)?, part(2)?, part(2)?);
    let number = u16::try_from(days(year, month, day) - FIRST).ok()?;
    (render(number) == text).then_some(number)
}

/// A day as it is written.
pub fn render(day: u16) -> String {
    // Howard Hinnant's civil_from_days, which begins its years in March
    let days = i64::from(day) + FIRST + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let of_month = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    format!("{:04}-{month:02}-{of_month:02}", year + era * 400 + i64::from(month <= 2))
}

/// Days since 1970-01-01; the inverse of what [`render`] does.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_read_and_written() {
        let check = |text: &str, day: Option<u16>| assert_eq!(parse(text), day, "{text}");
        check("2020-01-01", Some(0));
        check("2020-02-29", Some(59));
        check("2020-12-31", Some(365));
        check("2026-11-21", Some(2516));
        for nonsense in
            ["", "2019-12-31", "2021-02-29", "2026-13-01", "2026-11-31", "2026-1-1", "2026-11-21x", "-026-01-01"]
        {
            check(nonsense, None);
        }
        for day in 0..u16::MAX {
            assert_eq!(parse(&render(day)), Some(day));
        }
    }

    #[test]
    fn a_moment_has_a_day_a_minute_and_a_weekday() {
        assert_eq!(of_unix(0), (0, 0, 3));
        // 2026-11-21 is a Saturday
        assert_eq!(of_unix(1_795_219_200 + 61 * 60), (2516, 61, 5));
        assert_eq!(of_unix(u64::MAX).0, u16::MAX);
    }
}
