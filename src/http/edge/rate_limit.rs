//! Limits by address: everybody's, where the operator asks for one, and that of failed logins always. How a caller stands
//! with the former is told in OpenAI's headers.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use governor::clock::{Clock, MonotonicClock};
use governor::middleware::StateInformationMiddleware;
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed, StateStore};
use governor::{NotUntil, Quota, RateLimiter};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::http::error::Failure;
use crate::routing::digest::Digest;

/// Addresses are hashed into this many buckets: memory stays bounded without evicting anybody, at the price that two
/// addresses in 131,072 share one. The hash is seeded, so that nobody can choose whom to share with.
const BUCKETS: usize = 1 << 17;

/// Buckets are made this many at a time, 4 KiB, when the first of them is needed.
const CHUNK: usize = 512;

/// Requests a second where nothing is configured, and how many may come at once.
const DEFAULT: Rate = Rate { rps: 20.0, burst: 40 };

/// Failed logins a second, and at once: a misconfigured client gets its 401s, a guesser gets nowhere.
const FAILED_LOGINS: Rate = Rate { rps: 1.0, burst: 20 };

/// A rate, and how far a quiet caller may exceed it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rate {
    /// Requests a second, more than 0.
    pub(super) rps: f64,
    /// Requests at once, at least 1.
    pub(super) burst: u32,
}

impl Default for Rate {
    fn default() -> Self {
        DEFAULT
    }
}

/// Who is limited.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Limit {
    /// Strangers: neither authenticated nor on this machine.
    Strangers,
    /// Everybody.
    Everyone(Rate),
    /// Nobody, but failed logins.
    Nobody,
}

type Limiter = RateLimiter<usize, Buckets, MonotonicClock, StateInformationMiddleware>;

/// `x-ratelimit-limit-requests`, `-remaining-requests`, `-reset-requests`.
pub const HEADERS: [HeaderName; 3] = [
    HeaderName::from_static("x-ratelimit-limit-requests"),
    HeaderName::from_static("x-ratelimit-remaining-requests"),
    HeaderName::from_static("x-ratelimit-reset-requests"),
];

/// How an address stands with the limit of callers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Standing {
    /// Requests at once, of a caller who has been quiet.
    limit: u32,
    /// Requests that would be served now.
    remaining: u32,
    /// Until all of them would be.
    reset: Duration,
}

impl Standing {
    fn new(quota: Quota, remaining: u32, late: Duration) -> Self {
        let limit = quota.burst_size().get();
        let missing = limit.saturating_sub(remaining);
        Self { limit, remaining, reset: late + quota.replenish_interval().saturating_mul(missing) }
    }

    /// Adds the headers, unless a provider's answer brought its own: one answer tells of one limit.
    pub(super) fn put(self, headers: &mut HeaderMap) {
        if !HEADERS.iter().any(|name| headers.contains_key(name)) {
            headers.extend(HEADERS.into_iter().zip(self.values()));
        }
    }

    /// The values of [`HEADERS`].
    pub fn values(self) -> [HeaderValue; 3] {
        [self.limit.into(), self.remaining.into(), span(self.reset)]
    }
}

/// A duration as OpenAI writes it: `350ms`, `1.2s`, `1m30s`, `2h0m5s`; rounded up to milliseconds.
fn span(duration: Duration) -> HeaderValue {
    let millis = u64::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX);
    // what it nearly always is, without the formatting machinery
    match millis {
        0 => return HeaderValue::from_static("0ms"),
        1 => return HeaderValue::from_static("1ms"),
        _ => {}
    }
    let (minutes, rest) = (millis / 60_000, millis % 60_000);
    let seconds = format!("{}.{:03}", rest / 1000, rest % 1000);
    let seconds = seconds.trim_end_matches('0').trim_end_matches('.');
    let text = match (minutes / 60, minutes % 60) {
        (0, 0) if millis < 1000 => format!("{millis}ms"),
        (0, 0) => format!("{seconds}s"),
        (0, minutes) => format!("{minutes}m{seconds}s"),
        (hours, minutes) => format!("{hours}h{minutes}m{seconds}s"),
    };
    HeaderValue::try_from(text).expect("digits and letters")
}

/// A state for each bucket, found by its index: no map, no lock.
struct Buckets(Box<[OnceLock<Box<[InMemoryState]>>]>);

impl StateStore for Buckets {
    type Key = usize;

    fn measure_and_replace<T, F, E>(&self, bucket: &usize, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let new = || std::iter::repeat_with(InMemoryState::default).take(CHUNK).collect();
        let chunk = self.0[bucket / CHUNK].get_or_init(new);
        chunk[bucket % CHUNK].measure_and_replace(&NotKeyed::NonKey, decide)
    }
}

/// The limiters of one process.
pub(super) struct Limits {
    callers: Option<Limiter>,
    only_strangers: bool,
    failed_logins: Limiter,
    seed: u64,
}

impl Limits {
    pub(super) fn new(limit: Limit) -> Self {
        let (callers, only_strangers) = match limit {
            Limit::Strangers => (Some(limiter(DEFAULT)), true),
            Limit::Everyone(rate) => (Some(limiter(rate)), false),
            Limit::Nobody => (None, false),
        };
        Self {
            callers,
            only_strangers,
            failed_logins: limiter(FAILED_LOGINS),
            seed: RandomState::new().build_hasher().finish(),
        }
    }

    /// Counts a request against its address, and notes how it stands then, if callers are limited. Fails with 429 when
    /// there were too many. A right credential is served
    /// whatever others behind the same address tried: one misconfigured client must not lock out its neighbours.
    pub(super) fn check(
        &self,
        remote: IpAddr,
        login: &Result<Option<Arc<str>>, Failure>,
        standing: &mut Option<Standing>,
    ) -> Result<(), Failure> {
        let is_stranger = !matches!(login, Ok(Some(_))) && !remote.is_loopback();
        if let Some(callers) = &self.callers
            && (is_stranger || !self.only_strangers)
        {
            let counted = self.count(callers, remote);
            *standing = Some(*counted.as_ref().unwrap_or_else(|(standing, _)| standing));
            counted.map_err(|(_, failure)| failure)?;
        }
        match login {
            Ok(_) => Ok(()),
            Err(_) => self.count(&self.failed_logins, remote).map(drop).map_err(|(_, failure)| failure),
        }
    }

    fn count(&self, limiter: &Limiter, remote: IpAddr) -> Result<Standing, (Standing, Failure)> {
        let refused = |early: NotUntil<Instant>| {
            let retry_after = early.wait_time_from(limiter.clock().now());
            // the next place is there after that time: it is not missing twice
            let late = retry_after.saturating_sub(early.quota().replenish_interval());
            (Standing::new(early.quota(), 0, late), Failure::RateLimited { retry_after })
        };
        let state = limiter.check_key(&self.bucket(remote)).map_err(refused)?;
        Ok(Standing::new(state.quota(), state.remaining_burst_capacity(), Duration::ZERO))
    }

    /// One bucket for an IPv4 address, or for an IPv6 network of 64 bits, which is what one customer gets.
    fn bucket(&self, remote: IpAddr) -> usize {
        let network = match remote {
            IpAddr::V4(address) => u64::from(address.to_bits()),
            IpAddr::V6(address) => (address.to_bits() >> 64) as u64,
        };
        let mut digest = Digest::seeded(self.seed);
        digest.write_u64(network);
        digest.finish() as usize % BUCKETS
    }
}

fn limiter(rate: Rate) -> Limiter {
    let period = Duration::from_secs_f64(1.0 / rate.rps).max(Duration::from_nanos(1));
    let quota = Quota::with_period(period).expect("the period is not zero");
    let quota = quota.allow_burst(NonZeroU32::new(rate.burst).unwrap_or(NonZeroU32::MIN));
    let buckets = Buckets(std::iter::repeat_with(OnceLock::new).take(BUCKETS / CHUNK).collect());
    RateLimiter::new(quota, buckets, MonotonicClock)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_openai_writes_them() {
        for (millis, written) in [
            (0, "0ms"),
            (350, "350ms"),
            (1000, "1s"),
            (1250, "1.25s"),
            (30_000, "30s"),
            (90_000, "1m30s"),
            (360_000, "6m0s"),
            (7_205_010, "2h0m5.01s"),
        ] {
            assert_eq!(span(Duration::from_millis(millis)), written);
        }
        assert_eq!(span(Duration::from_nanos(1)), "1ms");
    }
}
