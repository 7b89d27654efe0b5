//! Calls and failures of the last while, in ten slots that are reused in turn.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{AcqRel, Acquire};
use std::time::Duration;

use super::Rate;

const SLOTS: u64 = 10;
/// The most calls a slot counts; then both its counts are halved, which keeps their share.
const FULL: u64 = (1 << 14) - 1;
/// A slot that has been halved still holds more than this.
const MOST: u64 = 8_000;
const GENERATION: u64 = (1 << 16) - 1;
const NUMBER: u64 = (1 << 20) - 1;
/// As much as a call may be behind others between reading the state and counting. What seems further ahead of it than
/// this, in generations or spans of time, is from the last time round the circle of numbers.
const BEHIND: u64 = 4;

/// A slot is one word: 16 bits generation, 20 bits which span of time it is about, 14 bits calls, 14 bits failures.
#[derive(Debug)]
pub(super) struct Window {
    /// Nanoseconds of a slot.
    span: u64,
    slots: [AtomicU64; SLOTS as usize],
}

/// What a window holds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Counts {
    calls: u64,
    failures: u64,
}

impl Counts {
    pub(super) fn exceed(self, rate: &Rate) -> bool {
        let share = self.failures as f64 * 100.0 / self.calls.max(1) as f64;
        self.calls >= u64::from(rate.minimum).clamp(1, MOST) && share >= f64::from(rate.percent)
    }
}

#[derive(Clone, Copy)]
struct Slot {
    generation: u64,
    number: u64,
    counts: Counts,
}

impl Slot {
    fn unpack(word: u64) -> Self {
        let counts = Counts { calls: word >> 14 & FULL, failures: word & FULL };
        Self { generation: word >> 48, number: word >> 28 & NUMBER, counts }
    }

    fn pack(self) -> u64 {
        self.generation << 48 | self.number << 28 | self.counts.calls << 14 | self.counts.failures
    }

    fn add(&mut self, failed: bool) {
        if self.counts.calls == FULL {
            self.counts = Counts { calls: FULL / 2, failures: self.counts.failures / 2 };
        }
        self.counts.calls += 1;
        self.counts.failures += u64::from(failed);
    }
}

impl Window {
    pub(super) fn new(length: Duration) -> Self {
        let span = u64::try_from(length.as_nanos()).unwrap_or(u64::MAX) / SLOTS;
        Self { span: span.max(1), slots: Default::default() }
    }

    /// Count a call that ended so many nanoseconds after the epoch. After a failure, what the window then holds.
    pub(super) fn count(&self, generation: u64, failed: bool, at: u64) -> Option<Counts> {
        let generation = generation & GENERATION;
        // numbers begin at 1, so that a slot never used is not the first one
        let number = at / self.span + 1;
        let home = &self.slots[(number % SLOTS) as usize];
        let number = number & NUMBER;
        let mut word = home.load(Acquire);
        loop {
            let mut slot = Slot::unpack(word);
            let ahead = slot.generation.wrapping_sub(generation) & GENERATION;
            let later = slot.number.wrapping_sub(number) & NUMBER;
            let overtaken = (1..=BEHIND).contains(&ahead) || (ahead == 0 && (1..=BEHIND * SLOTS).contains(&later));
            if overtaken && slot.counts.calls > 0 {
                return None;
            }
            if (ahead, later) != (0, 0) {
                slot = Slot { generation, number, counts: Counts::default() };
            }
            slot.add(failed);
            match home.compare_exchange_weak(word, slot.pack(), AcqRel, Acquire) {
                Ok(_) => break,
                Err(current) => word = current,
            }
        }
        failed.then(|| self.sum(generation, number))
    }

    fn sum(&self, generation: u64, number: u64) -> Counts {
        let mut sum = Counts::default();
        for slot in &self.slots {
            let slot = Slot::unpack(slot.load(Acquire));
            let age = number.wrapping_sub(slot.number) & NUMBER;
            if slot.generation == generation && age < SLOTS && slot.counts.calls > 0 {
                sum.calls += slot.counts.calls;
                sum.failures += slot.counts.failures;
            }
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn calls_leave_the_window_with_their_slot() {
        let window = Window::new(Duration::from_secs(10));
        let counts = |at| window.count(0, true, at).expect("it is a failure");
        assert_eq!(counts(0), Counts { calls: 1, failures: 1 });
        assert_eq!(window.count(0, false, SECOND), None);
        assert_eq!(counts(9 * SECOND), Counts { calls: 3, failures: 2 });
        assert_eq!(counts(10 * SECOND), Counts { calls: 3, failures: 2 }, "the first is gone");
        assert_eq!(counts(30 * SECOND), Counts { calls: 1, failures: 1 });
    }

    #[test]
    fn a_generation_begins_with_nothing_and_late_calls_of_an_earlier_one_are_dropped() {
        let window = Window::new(Duration::from_secs(10));
        assert_eq!(window.count(GENERATION, true, 0), Some(Counts { calls: 1, failures: 1 }));
        assert_eq!(window.count(GENERATION + 1, true, 0), Some(Counts { calls: 1, failures: 1 }));
        assert_eq!(window.count(GENERATION, true, 0), None);
        assert_eq!(window.count(GENERATION + 1, true, 0), Some(Counts { calls: 2, failures: 2 }));
        assert_eq!(window.count(GENERATION + 1, true, 40 * SECOND), Some(Counts { calls: 1, failures: 1 }));
        assert_eq!(window.count(GENERATION + 1, true, 0), None, "a call several windows late");
    }

    #[test]
    fn a_slot_of_long_ago_is_no_obstacle() {
        let window = Window::new(Duration::from_secs(10));
        for exponent in 0..20 {
            let (generation, at) = (3_u64.pow(exponent), 3_u64.pow(exponent) * 10 * SECOND);
            assert_eq!(window.count(generation, true, at), Some(Counts { calls: 1, failures: 1 }), "{exponent}");
        }
    }

    #[test]
    fn a_full_slot_keeps_its_share() {
        let mut slot = Slot { generation: 1, number: 7, counts: Counts::default() };
        for call in 0..200_000 {
            slot.add(call % 4 == 0);
        }
        let again = Slot::unpack(slot.pack());
        let Counts { calls, failures } = again.counts;
        assert!(calls > MOST && (failures * 4).abs_diff(calls) < 8, "{calls} {failures}");
        assert_eq!((again.generation, again.number), (1, 7));
    }

    #[test]
    fn a_share_counts_from_the_minimum_on() {
        let rate = Rate { percent: 50.0, window: Duration::from_secs(1), minimum: 10 };
        for (calls, failures, expected) in [(9, 9, false), (10, 4, false), (10, 5, true), (0, 0, false)] {
            assert_eq!(Counts { calls, failures }.exceed(&rate), expected, "{failures} of {calls}");
        }
    }
}
