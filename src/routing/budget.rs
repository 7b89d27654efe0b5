//! How many extra calls there may be, as a share of the calls there are: retries and hedges must not become the load.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};
use std::time::{Duration, Instant};

/// Extra calls are saved up to so many, and so many seconds of the floor.
const SAVED: f64 = 100.0;
const SECONDS: f64 = 10.0;
/// What one extra call costs.
const CALL: u64 = 1_000_000;
/// A hundred thousand calls, which no `u64` overflows by.
const MOST: f64 = 1e5;

/// Tokens in a bucket: each first attempt earns a part of an extra call, and time brings some in any case, so that who
/// has few callers may still ask again.
#[derive(Debug)]
pub struct Budget {
    epoch: Instant,
    /// Millionths of a call that a first attempt earns.
    share: u64,
    /// Calls a second that time brings.
    floor: f64,
    most: u64,
    saved: AtomicU64,
    /// Until when time has brought its part, in nanoseconds since the epoch.
    filled: AtomicU64,
}

impl Budget {
    /// `percent` extra calls to a hundred first ones, but `floor_per_second` in any case. What ten seconds of the floor
    /// bring is there from the start.
    pub fn new(percent: f32, floor_per_second: f32, epoch: Instant) -> Self {
        let floor = f64::from(floor_per_second).clamp(0.0, MOST);
        let calls = |calls: f64| (calls * CALL as f64) as u64;
        Self {
            epoch,
            share: calls((f64::from(percent) / 100.0).clamp(0.0, SAVED)),
            floor,
            most: calls(floor * SECONDS + SAVED),
            saved: AtomicU64::new(calls(floor * SECONDS)),
            filled: AtomicU64::new(0),
        }
    }

    /// Whether it was made with the same terms.
    pub fn is_like(&self, other: &Self) -> bool {
        self.share == other.share && self.most == other.most
    }

    /// A first attempt is made.
    #[inline]
    pub fn earn(&self) {
        self.add(self.share);
    }

    /// Whether an extra call may be made now; if so it is paid for.
    pub fn spend(&self, now: Instant) -> bool {
        self.fill(now);
        self.saved.fetch_update(AcqRel, Acquire, |saved| saved.checked_sub(CALL)).is_ok()
    }

    /// An extra call that was paid for was not made.
    pub fn refund(&self) {
        self.add(CALL);
    }

    /// Nothing is written when there is nothing to add: that is how it is as long as all goes well.
    #[inline]
    fn add(&self, part: u64) {
        let mut saved = self.saved.load(Relaxed);
        while saved < self.most && part > 0 {
            let next = saved.saturating_add(part).min(self.most);
            match self.saved.compare_exchange_weak(saved, next, AcqRel, Relaxed) {
                Ok(_) => return,
                Err(current) => saved = current,
            }
        }
    }

    fn fill(&self, now: Instant) {
        let now = u64::try_from(now.saturating_duration_since(self.epoch).as_nanos()).unwrap_or(u64::MAX);
        let filled = self.filled.load(Acquire);
        let part = Duration::from_nanos(now.saturating_sub(filled)).as_secs_f64() * self.floor * CALL as f64;
        // less than a millionth waits until it is more
        if part >= 1.0 && self.filled.compare_exchange(filled, now, AcqRel, Acquire).is_ok() {
            self.add(part as u64);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::thread;

    use super::*;

    fn spent(budget: &Budget, now: Instant) -> usize {
        std::iter::repeat_with(|| budget.spend(now)).take_while(|paid| *paid).count()
    }

    #[test]
    fn first_attempts_earn_their_share() {
        let at = Instant::now();
        let budget = Budget::new(10.0, 0.0, at);
        assert_eq!(spent(&budget, at), 0);
        (0..95).for_each(|_| budget.earn());
        assert_eq!(spent(&budget, at), 9);
        (0..5).for_each(|_| budget.earn());
        assert_eq!(spent(&budget, at + Duration::from_secs(3_600)), 1, "time alone brings nothing");
    }

    #[test]
    fn time_brings_the_floor_in_steps_however_small() {
        let at = Instant::now();
        let budget = Budget::new(0.0, 0.5, at);
        assert_eq!(spent(&budget, at), 5, "ten seconds of it are there from the start");
        let mut paid = 0;
        for micros in 0..4_000_000 / 100 {
            paid += spent(&budget, at + Duration::from_micros((micros + 1) * 100));
        }
        assert!((1..=2).contains(&paid), "{paid}");
        assert_eq!(spent(&budget, at), 0, "a thread a little behind takes nothing back and brings nothing");
    }

    #[test]
    fn what_is_saved_is_bounded() {
        let at = Instant::now();
        let budget = Budget::new(20.0, 2.0, at);
        (0..10_000).for_each(|_| budget.earn());
        assert_eq!(spent(&budget, at + Duration::from_secs(1_000_000)), 120);
    }

    #[test]
    fn what_was_not_used_comes_back() {
        let at = Instant::now();
        let budget = Budget::new(0.0, 0.1, at);
        assert!(budget.spend(at) && !budget.spend(at));
        budget.refund();
        assert!(budget.spend(at));
    }

    #[test]
    fn numbers_that_make_no_sense_are_no_fault() {
        let at = Instant::now();
        for (percent, floor) in [(f32::NAN, f32::NAN), (-1.0, -1.0), (f32::INFINITY, f32::INFINITY)] {
            let budget = Budget::new(percent, floor, at);
            budget.earn();
            budget.spend(at + Duration::from_secs(u64::from(u32::MAX)));
        }
    }

    #[test]
    fn under_many_threads_nothing_is_spent_twice() {
        let at = Instant::now();
        let (budget, paid) = (Budget::new(1.0, 0.0, at), AtomicUsize::new(0));
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..10_000 {
                        budget.earn();
                        paid.fetch_add(usize::from(budget.spend(at)), Relaxed);
                    }
                });
            }
        });
        assert_eq!(paid.into_inner() + spent(&budget, at), 400);
    }
}
