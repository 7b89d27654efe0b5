//! How a target is doing: what outlives a reload as long as its own block of the configuration stays the same.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::breaker::Breaker;
use super::budget::Budget;
use super::habits::Habits;
use super::pace::Pace;
use super::slots::Slots;

/// The state of one target.
#[derive(Clone)]
pub struct Vitals {
    /// Lets nobody through while the target keeps failing.
    pub breaker: Option<Arc<Breaker>>,
    /// Lets so many through at a time.
    pub slots: Option<Arc<Slots>>,
    /// How fast it has been.
    pub pace: Arc<Pace>,
    /// How long its answers usually are.
    pub habits: Arc<Habits>,
    /// How often it may be asked again.
    pub budget: Arc<Budget>,
    rest: Arc<Rest>,
}

/// Until when a target has asked to be left alone.
struct Rest {
    epoch: Instant,
    /// Milliseconds since the epoch.
    until: AtomicU64,
}

impl Vitals {
    /// A target that nobody has asked yet.
    pub fn new(breaker: Option<Breaker>, slots: Option<Arc<Slots>>, budget: Budget, epoch: Instant) -> Self {
        Self {
            breaker: breaker.map(Arc::new),
            slots,
            pace: Arc::new(Pace::new(epoch)),
            habits: Arc::default(),
            budget: Arc::new(budget),
            rest: Arc::new(Rest { epoch, until: AtomicU64::new(0) }),
        }
    }

    /// It has asked for a pause: others come before it until then.
    pub fn rest(&self, pause: Duration, now: Instant) {
        let until = (now + pause).saturating_duration_since(self.rest.epoch);
        self.rest.until.store(u64::try_from(until.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// How long it still wants to be left alone.
    pub fn rests(&self, now: Instant) -> Option<Duration> {
        let until = self.rest.until.load(Ordering::Relaxed);
        let left = || Duration::from_millis(until).checked_sub(now.saturating_duration_since(self.rest.epoch));
        (until > 0).then(left).flatten().filter(|left| !left.is_zero())
    }

    /// It wants to be left alone as long as it did before a reload.
    pub fn rest_as(&mut self, before: &Self) {
        self.rest = before.rest.clone();
    }

    /// It answers.
    pub fn awakes(&self) {
        if self.rest.until.load(Ordering::Relaxed) > 0 {
            self.rest.until.store(0, Ordering::Relaxed);
        }
    }

    /// Whether a request would be let through at once.
    pub fn is_ready(&self, now: Instant) -> bool {
        self.rests(now).is_none()
            && self.breaker.as_ref().is_none_or(|breaker| !breaker.is_open(now))
            && self.slots.as_ref().is_none_or(|slots| slots.in_use() < slots.terms().most)
    }
}
