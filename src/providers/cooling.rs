//! When a key that a provider has refused may be used again: state and rules, with the time as an argument.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::call::{Fault, Upstream};

/// Why a key is set aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// Too many requests.
    Limited = 1,
    /// It is no key there.
    Refused = 2,
    /// It may not do what another key may.
    Forbidden = 3,
    /// Its account is out of money.
    Unpaid = 4,
    /// Its account has used up its quota.
    Quota = 5,
}

impl Reason {
    const ALL: [Self; 5] = [Self::Limited, Self::Refused, Self::Forbidden, Self::Unpaid, Self::Quota];

    /// Why this failure sets a key aside; `None` if it says nothing about the key.
    pub(super) fn of(failed: &Upstream) -> Option<Self> {
        match (failed.fault, failed.status) {
            // no key will do
            (Fault::RateLimited, _) if failed.is_too_large() => None,
            (Fault::RateLimited, _) => Some(Self::Limited),
            (Fault::Auth, Some(403)) => Some(Self::Forbidden),
            (Fault::Auth, _) => Some(Self::Refused),
            (Fault::Billing, Some(429)) => Some(Self::Quota),
            (Fault::Billing, _) => Some(Self::Unpaid),
            _ => None,
        }
    }

    pub(super) fn fault(self) -> Fault {
        match self {
            Self::Limited => Fault::RateLimited,
            Self::Refused | Self::Forbidden => Fault::Auth,
            Self::Unpaid | Self::Quota => Fault::Billing,
        }
    }

    /// The status that it was refused with.
    pub(super) fn status(self) -> u16 {
        match self {
            Self::Limited | Self::Quota => 429,
            Self::Refused => 401,
            Self::Forbidden => 403,
            Self::Unpaid => 402,
        }
    }

    /// How long a key is set aside for the `again`th time in a row, from 0.
    fn rest(self, again: u32, hint: Option<Duration>) -> Duration {
        let doubled = |least: u64, most: u64| Duration::from_secs(least.saturating_mul(1 << again.min(16)).min(most));
        match self {
            Self::Limited => hint.unwrap_or(doubled(1, 60)),
            Self::Refused | Self::Forbidden => Duration::from_secs(300),
            Self::Unpaid | Self::Quota => doubled(600, 3600),
        }
    }
}

/// What is known of a key.
pub(super) struct State {
    /// The origin of its times.
    epoch: Instant,
    /// Until when it rests, milliseconds, and behind [`REASON`] bits why.
    until: AtomicU64,
    /// How often in a row it was set aside for that reason.
    again: AtomicU32,
}

/// Bits of a reason.
const REASON: u32 = 3;

impl Default for State {
    fn default() -> Self {
        Self { epoch: Instant::now(), until: AtomicU64::new(0), again: AtomicU32::new(0) }
    }
}

impl State {
    fn millis(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.epoch).as_millis()).unwrap_or(u64::MAX >> REASON)
    }

    /// How long it still rests, and why.
    pub(super) fn cooling(&self, now: Instant) -> Option<(Duration, Reason)> {
        let (end, reason) = unpacked(self.until.load(Ordering::Relaxed));
        let left = end.saturating_sub(self.millis(now));
        Some((Duration::from_millis(left), reason?)).filter(|_| left > 0)
    }

    /// It has served a request that was sent at `since`.
    pub(super) fn served(&self, since: Instant) {
        let (end, _) = unpacked(self.until.load(Ordering::Relaxed));
        // what was sent before it was set aside says nothing about now
        if self.millis(since) >= end && self.again.load(Ordering::Relaxed) != 0 {
            self.again.store(0, Ordering::Relaxed);
        }
    }

    /// It was refused for a request that was sent at `since`. Returns for how long it rests if that is news: of many
    /// requests on their way at the same time one is.
    pub(super) fn cool(
        &self,
        reason: Reason,
        hint: Option<Duration>,
        since: Instant,
        now: Instant,
    ) -> Option<Duration> {
        let mut known = self.until.load(Ordering::Relaxed);
        loop {
            let (end, before) = unpacked(known);
            let (echo, same) = (self.millis(since) < end, before == Some(reason));
            if echo && same && hint.is_none() {
                return None;
            }
            let again = if same { self.again.load(Ordering::Relaxed) } else { 0 };
            let rest = reason.rest(again, hint).max(Duration::from_millis(1));
            let until = self.millis(now).saturating_add(u64::try_from(rest.as_millis()).unwrap_or(u64::MAX));
            let until = until.min(u64::MAX >> REASON);
            if echo && until <= end {
                return None;
            }
            let next = until << REASON | reason as u64;
            match self.until.compare_exchange(known, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) if echo && same => return None,
                Ok(_) => {
                    self.again.store(again.saturating_add(1), Ordering::Relaxed);
                    return Some(rest);
                }
                Err(newer) => known = newer,
            }
        }
    }
}

fn unpacked(packed: u64) -> (u64, Option<Reason>) {
    let reason = packed & ((1 << REASON) - 1);
    (packed >> REASON, Reason::ALL.into_iter().find(|known| *known as u64 == reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    #[test]
    fn each_refusal_in_a_row_doubles_the_rest_and_a_success_ends_the_row() {
        let (state, mut now) = (State::default(), Instant::now());
        let mut refused = |reason, hint| {
            let rest = state.cool(reason, hint, now, now).expect("a key that is not set aside can be");
            assert_eq!(state.cooling(now).map(|(_, why)| why), Some(reason));
            now += rest + Duration::from_millis(1);
            assert_eq!(state.cooling(now), None);
            rest.as_secs()
        };
        let limited: Vec<u64> = (0..8).map(|_| refused(Reason::Limited, None)).collect();
        assert_eq!(limited, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(refused(Reason::Limited, Some(secs(7))), 7, "the provider knows better");
        let unpaid: Vec<u64> = (0..4).map(|_| refused(Reason::Unpaid, None)).collect();
        assert_eq!(unpaid, [600, 1200, 2400, 3600]);
        let wrong: Vec<u64> = (0..2).map(|_| refused(Reason::Refused, Some(secs(1)))).collect();
        assert_eq!(wrong, [300, 300]);
        assert_eq!([refused(Reason::Limited, None), refused(Reason::Limited, None)], [1, 2], "another row");
        state.served(now);
        assert_eq!(state.cool(Reason::Limited, None, now, now), Some(secs(1)));
    }

    #[test]
    fn what_was_on_its_way_when_the_key_was_set_aside_is_no_second_refusal() {
        let (state, start) = (State::default(), Instant::now());
        let later = start + secs(1) / 2;
        let rest = || state.cooling(start).map(|(left, _)| left);
        assert_eq!(state.cool(Reason::Limited, None, start, start), Some(secs(1)));
        assert_eq!(state.cool(Reason::Limited, None, start, later), None);
        assert_eq!(rest(), Some(secs(1)), "it rests no longer for that");
        assert_eq!(state.cool(Reason::Limited, Some(secs(9)), start, start), None);
        assert_eq!(rest(), Some(secs(9)), "unless the provider says so");
        state.served(start);
        assert_eq!(rest(), Some(secs(9)), "nor is a good answer to an older request a pardon");
        assert_eq!(state.cool(Reason::Refused, None, start, later), Some(secs(300)), "another reason is news");
        assert_eq!(state.cool(Reason::Limited, Some(secs(2)), start, later), None, "a shorter one is not");
        assert_eq!(state.cooling(later), Some((secs(300), Reason::Refused)));
        let after = later + secs(301);
        assert_eq!(state.cool(Reason::Limited, None, after, after), Some(secs(1)));
    }

    #[test]
    fn refusals_tell_what_is_wrong_with_the_key_and_what_is_not() {
        let check = |fault: Fault, status: u16, message: &str, expected: Option<Reason>| {
            let mut failed = Upstream::new("p", "t".into(), fault, message.to_owned());
            failed.status = Some(status);
            assert_eq!(Reason::of(&failed), expected, "{status} {message}");
            if let Some(reason) = expected {
                assert_eq!((reason.fault(), reason.status()), (fault, status));
            }
        };
        check(Fault::RateLimited, 429, "Rate limit reached", Some(Reason::Limited));
        check(Fault::RateLimited, 429, "Request too large for gpt-4o: Limit 30000, Requested 40000", None);
        check(Fault::Auth, 401, "", Some(Reason::Refused));
        check(Fault::Auth, 403, "", Some(Reason::Forbidden));
        check(Fault::Billing, 402, "", Some(Reason::Unpaid));
        check(Fault::Billing, 429, "", Some(Reason::Quota));
        check(Fault::Overloaded, 503, "", None);
        check(Fault::BadRequest, 400, "", None);
    }
}
