//! How long the answers of a model usually are, and how much of its prompts is read from the cache.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use arc_swap::ArcSwap;

use crate::call::Usage;

/// Models that are told apart; further ones share one habit.
const MOST: usize = 500;

/// What a new answer counts against all before.
const SHARE: f32 = 0.1;

/// The habits of one target's models.
#[derive(Default)]
pub struct Habits {
    models: ArcSwap<HashMap<Arc<str>, Arc<Habit>>>,
    others: Arc<Habit>,
}

impl Habits {
    /// The habit of a model, if it has one.
    pub fn peek(&self, model: &str) -> Option<Arc<Habit>> {
        self.models.load().get(model).cloned()
    }

    /// The habit of a model.
    pub fn of(&self, model: &Arc<str>) -> Arc<Habit> {
        if let Some(known) = self.models.load().get(model) {
            return known.clone();
        }
        if self.models.load().len() >= MOST {
            return self.others.clone();
        }
        self.models.rcu(|models| {
            let mut models = HashMap::clone(models);
            models.entry(model.clone()).or_default();
            models
        });
        self.models.load().get(model).cloned().unwrap_or_else(|| self.others.clone())
    }
}

/// Means over the last answers, older ones counting less and less.
#[derive(Default)]
pub struct Habit {
    /// Output tokens and one more, as the bits of an `f32`; 0 before the first answer.
    output: AtomicU32,
    /// The share of the prompt that was read from the cache, as the bits of an `f32`.
    cached: AtomicU32,
}

impl Habit {
    /// Learn from an answer. Two at a time may count as one: it is a mean.
    #[expect(clippy::cast_precision_loss, reason = "tokens are far below 2^24, and a mean need not be exact")]
    pub fn learn(&self, usage: &Usage) {
        if usage.estimated || usage.prompt == 0 {
            return;
        }
        let first = self.output.load(Ordering::Relaxed) == 0;
        let learn = |cell: &AtomicU32, new: f32| {
            let old = f32::from_bits(cell.load(Ordering::Relaxed));
            let mean = if first { new } else { old + SHARE * (new - old) };
            cell.store(mean.to_bits(), Ordering::Relaxed);
        };
        learn(&self.cached, (usage.cached as f32 / usage.prompt as f32).min(1.0));
        learn(&self.output, usage.completion as f32 + 1.0);
    }

    /// Output tokens of an answer, if one has been seen.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a mean of tokens, never negative")]
    pub fn output(&self) -> Option<u64> {
        let mean = f32::from_bits(self.output.load(Ordering::Relaxed));
        (mean > 0.0).then_some((mean - 1.0) as u64)
    }

    /// Of 1 token of a prompt, the share that is read from the cache.
    pub fn cached(&self) -> f32 {
        f32::from_bits(self.cached.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_follows_the_answers_and_starts_with_the_first() {
        let habit = Habit::default();
        assert_eq!((habit.output(), habit.cached()), (None, 0.0));
        let usage = |prompt, cached, completion| Usage { prompt, cached, completion, ..Usage::default() };
        habit.learn(&usage(100, 50, 200));
        assert_eq!((habit.output(), habit.cached()), (Some(200), 0.5));
        for _ in 0..100 {
            habit.learn(&usage(100, 0, 0));
        }
        assert_eq!(habit.output(), Some(0));
        assert!(habit.cached() < 0.01);
        habit.learn(&Usage { estimated: true, ..usage(1, 0, 90_000) });
        assert_eq!(habit.output(), Some(0));
    }
}
