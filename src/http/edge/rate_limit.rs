//! Limits by address: everybody's, where the operator asks for one, and that of failed logins always.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use governor::clock::{Clock, MonotonicClock};
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed, StateStore};
use governor::{Quota, RateLimiter};

use crate::http::error::Failure;

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

type Limiter = RateLimiter<usize, Buckets, MonotonicClock, NoOpMiddleware<Instant>>;

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
    seed: RandomState,
}

impl Limits {
    pub(super) fn new(limit: Limit) -> Self {
        let (callers, only_strangers) = match limit {
            Limit::Strangers => (Some(limiter(DEFAULT)), true),
            Limit::Everyone(rate) => (Some(limiter(rate)), false),
            Limit::Nobody => (None, false),
        };
        Self { callers, only_strangers, failed_logins: limiter(FAILED_LOGINS), seed: RandomState::new() }
    }

    /// Counts a request against its address. Fails with 429 when there were too many. A right credential is served
    /// whatever others behind the same address tried: one misconfigured client must not lock out its neighbours.
    pub(super) fn check(&self, remote: IpAddr, login: &Result<Option<Arc<str>>, Failure>) -> Result<(), Failure> {
        let is_stranger = !matches!(login, Ok(Some(_))) && !remote.is_loopback();
        if let Some(callers) = &self.callers
            && (is_stranger || !self.only_strangers)
        {
            self.count(callers, remote)?;
        }
        match login {
            Ok(_) => Ok(()),
            Err(_) => self.count(&self.failed_logins, remote),
        }
    }

    fn count(&self, limiter: &Limiter, remote: IpAddr) -> Result<(), Failure> {
        limiter
            .check_key(&self.bucket(remote))
            .map_err(|early| Failure::RateLimited { retry_after: early.wait_time_from(limiter.clock().now()) })
    }

    /// One bucket for an IPv4 address, or for an IPv6 network of 64 bits, which is what one customer gets.
    fn bucket(&self, remote: IpAddr) -> usize {
        let network = match remote {
            IpAddr::V4(address) => u64::from(address.to_bits()),
            IpAddr::V6(address) => (address.to_bits() >> 64) as u64,
        };
        self.seed.hash_one(network) as usize % BUCKETS
    }
}

fn limiter(rate: Rate) -> Limiter {
    let period = Duration::from_secs_f64(1.0 / rate.rps).max(Duration::from_nanos(1));
    let quota = Quota::with_period(period).expect("the period is not zero");
    let quota = quota.allow_burst(NonZeroU32::new(rate.burst).unwrap_or(NonZeroU32::MIN));
    let buckets = Buckets(std::iter::repeat_with(OnceLock::new).take(BUCKETS / CHUNK).collect());
    RateLimiter::new(quota, buckets, MonotonicClock)
}
