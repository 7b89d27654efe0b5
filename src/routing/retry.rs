//! When a failed attempt is made again, and when the next target is asked.

use std::time::Duration;

use crate::call::Upstream;
use crate::config;

/// A hint to wait longer than this ends the attempts at a target.
const PATIENCE: Duration = Duration::from_secs(30);

/// The same while another target could be asked at once.
const IMPATIENCE: Duration = Duration::from_secs(1);

/// `targets[].retry`.
#[derive(Clone, Debug)]
pub struct Retry {
    /// Attempts in all, at least 1.
    pub attempts: u32,
    /// The statuses that are tried again; `None` for those where it may help.
    pub on_status: Option<Vec<u16>>,
    /// The base of the exponential pause.
    pub backoff: Duration,
    /// No pause of our own choosing is longer.
    pub longest: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self { attempts: 1, on_status: None, backoff: Duration::from_millis(100), longest: PATIENCE }
    }
}

impl Retry {
    /// How long to wait after the `made`th attempt failed so; `None` if it is not made again. `others` says whether
    /// somebody else could be asked instead: then nobody waits long.
    /// `chance` is a random number from 0 to 1: pauses have full jitter, so that callers do not come back together.
    pub fn pause(&self, made: u32, failed: &Upstream, others: bool, chance: f64) -> Option<Duration> {
        if made >= self.attempts || !self.is_worth_it(failed) {
            return None;
        }
        if let Some(hint) = failed.retry_after {
            return (hint <= if others { IMPATIENCE } else { PATIENCE }).then_some(hint);
        }
        let most = self.backoff.saturating_mul(1 << (made - 1).min(16)).min(self.longest);
        Some(most.mul_f64(chance))
    }

    fn is_worth_it(&self, failed: &Upstream) -> bool {
        if failed.is_too_large() {
            return false;
        }
        match (&self.on_status, failed.status) {
            (Some(list), Some(status)) => list.contains(&status),
            _ => failed.fault.is_retryable(),
        }
    }
}

/// `failover_on`: which failures move on to the next target.
#[derive(Clone, Debug, Default)]
pub struct Failover {
    /// What the configuration lists; `None` for every failure that is not the caller's.
    pub on: Option<Vec<config::Failure>>,
}

impl Failover {
    /// Whether the next target is asked.
    pub fn moves_on(&self, failed: &Upstream) -> bool {
        match &self.on {
            None => !failed.fault.is_callers(),
            Some(causes) => causes.iter().any(|cause| cause.covers(failed.fault, failed.status)),
        }
    }
}
