//! How durations are spread, in classes a fifth apart, the past counting less and less.

use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::time::Duration;

/// Classes to a doubling.
const STEPS: f64 = 4.0;
/// From 1 ms in steps of a fourth of a doubling: the last begins at a quarter of an hour.
const CLASSES: usize = 80;
/// Samples below which no percentile is told.
const ENOUGH: u32 = 20;
/// Samples at which all counts are halved.
const FULL: u32 = 1_024;
/// Ticks of 10 ms after which all counts are halved: ten minutes.
const PERIOD: u32 = 60_000;

/// Counts by class. Halving is not one step: who reads meanwhile is off by a few samples, which no percentile notices.
#[derive(Debug)]
pub(super) struct Spread {
    classes: [AtomicU32; CLASSES],
    total: AtomicU32,
    /// The tick of the last halving by time; 0: none yet.
    halved: AtomicU32,
}

impl Default for Spread {
    fn default() -> Self {
        let classes = [(); CLASSES].map(|()| AtomicU32::new(0));
        Self { classes, total: AtomicU32::new(0), halved: AtomicU32::new(0) }
    }
}

impl Spread {
    /// Count a sample.
    pub(super) fn add(&self, took: Duration, tick: u32) {
        self.age(tick);
        self.classes[class(took)].fetch_add(1, Relaxed);
        // whoever makes it full is one alone
        if self.total.fetch_add(1, Relaxed) + 1 == FULL {
            self.shrink(1);
        }
    }

    /// The duration that this share of the samples does not exceed; `None` if there are too few.
    pub(super) fn percentile(&self, share: f64) -> Option<Duration> {
        let counts: [u32; CLASSES] = std::array::from_fn(|class| self.classes[class].load(Relaxed));
        let total: u32 = counts.iter().sum();
        if total < ENOUGH {
            return None;
        }
        let mut left = share * f64::from(total);
        for (class, count) in counts.into_iter().enumerate() {
            let count = f64::from(count);
            if count > 0.0 && left <= count {
                let (low, high) = (bound(class), bound(class + 1));
                return Some(Duration::from_secs_f64(low + (high - low) * left / count));
            }
            left -= count;
        }
        Some(Duration::from_secs_f64(bound(CLASSES)))
    }

    fn age(&self, tick: u32) {
        let halved = self.halved.load(Acquire);
        if halved == 0 {
            let _ = self.halved.compare_exchange(0, tick, AcqRel, Acquire);
            return;
        }
        let periods = tick.wrapping_sub(halved) / PERIOD;
        // threads that are a little behind see an age of more than half the circle
        if (1..u32::MAX / PERIOD / 2).contains(&periods)
            && self.halved.compare_exchange(halved, tick, AcqRel, Acquire).is_ok()
        {
            self.shrink(periods.min(31));
        }
    }

    fn shrink(&self, times: u32) {
        let mut total = 0;
        for class in &self.classes {
            // twice at once halves twice, and never takes more than there is
            let before = class.fetch_update(AcqRel, Acquire, |count| Some(count >> times));
            total += before.unwrap_or_default() >> times;
        }
        self.total.store(total, Release);
    }
}

/// The class of a duration: class 0 is all up to a millisecond and a fifth.
fn class(took: Duration) -> usize {
    let doublings = (took.as_secs_f64() * 1_000.0).max(1.0).log2();
    ((doublings * STEPS) as usize).min(CLASSES - 1)
}

/// Where a class begins, in seconds.
fn bound(class: usize) -> f64 {
    (class as f64 / STEPS).exp2() / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_right_within_a_fifth() {
        let spread = Spread::default();
        for millis in 1..=1_000 {
            spread.add(Duration::from_millis(millis), 1);
        }
        for (share, expected) in [(0.05, 0.05), (0.5, 0.5), (0.95, 0.95)] {
            let found = spread.percentile(share).expect("enough samples").as_secs_f64();
            assert!((found / expected - 1.0).abs() < 0.2, "{found} is not {expected}");
        }
    }

    #[test]
    fn what_is_out_of_bounds_is_in_the_outermost_class() {
        for (took, expected) in [(0, 0), (1, 0), (2, 4), (1_000_000, 79), (u64::MAX, 79)] {
            assert_eq!(class(Duration::from_millis(took)), expected, "{took}");
        }
    }

    #[test]
    fn the_past_counts_less_by_number_and_by_time() {
        let spread = Spread::default();
        let fill = |millis, samples, tick| (0..samples).for_each(|_| spread.add(Duration::from_millis(millis), tick));
        fill(4_000, FULL - 1, 1);
        assert_eq!(spread.total.load(Relaxed), FULL - 1);
        fill(4_000, 1, 1);
        assert_eq!(spread.total.load(Relaxed), FULL / 2);
        fill(100, 1, PERIOD + 1);
        assert_eq!(spread.total.load(Relaxed), FULL / 4 + 1);
        fill(100, 20, 41 * PERIOD);
        assert_eq!(spread.total.load(Relaxed), 20, "nothing of the past is left");
        assert!(spread.percentile(0.95).expect("enough") < Duration::from_millis(120));
        fill(100, 1, 41 * PERIOD - 5);
        assert_eq!(spread.total.load(Relaxed), 21, "a thread a little behind halves nothing");
    }
}
