//! Time as measures keep it: in ticks, of which a word has room for two.

use std::time::Instant;

/// The ticks of a second: ages are kept no finer.
pub const SECOND: u32 = 100;

/// A moment in ticks, counted once for all who began to count together.
#[derive(Debug)]
pub struct Ticks {
    now: Instant,
    known: Option<(Instant, u32)>,
}

impl Ticks {
    /// That of a moment.
    pub fn of(now: Instant) -> Self {
        Self { now, known: None }
    }

    /// Ticks go round in sixteen months: only differences mean anything. They begin at 1, as 0 is none.
    pub(super) fn since(&mut self, epoch: Instant) -> u32 {
        if let Some((_, tick)) = self.known.filter(|(known, _)| *known == epoch) {
            return tick;
        }
        let since = self.now.saturating_duration_since(epoch);
        let ticks = since.as_secs() * u64::from(SECOND) + u64::from(since.subsec_millis() * SECOND / 1000);
        let tick = (ticks as u32).wrapping_add(1).max(1);
        self.known = Some((epoch, tick));
        tick
    }
}

/// The ticks between two; none if the earlier one is really a little later, as told by another thread.
pub(super) fn age(tick: u32, earlier: u32) -> u32 {
    if earlier.wrapping_sub(tick) < 60 * SECOND { 0 } else { tick.wrapping_sub(earlier) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_survive_the_turn_of_the_ticks_and_threads_that_are_ahead() {
        for (tick, earlier, expected) in [(5, 5, 0), (7, 5, 2), (4, u32::MAX, 5), (5, 7, 0), (u32::MAX, 2, 0)] {
            assert_eq!(age(tick, earlier), expected, "{tick} {earlier}");
        }
    }
}
