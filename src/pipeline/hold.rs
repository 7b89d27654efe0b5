//! What an answer holds as long as it lasts: its breaker's pass, its slot, its place in the count.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::call::{Error, Fault, Usage};
use crate::routing::breaker::{Pass, Verdict};
use crate::routing::habits::Habit;
use crate::routing::pace::Going;
use crate::routing::slots::Slot;
use crate::routing::{Step, Target};

/// Everything is given back when it is dropped; a pass that nobody has settled until then counts for nothing.
#[derive(Default)]
pub struct Hold(Option<Box<Held>>);

/// What is held.
#[derive(Default)]
pub struct Held {
    /// Of the breaker.
    pub pass: Option<(Arc<Target>, Pass)>,
    /// Of the slots.
    pub slot: Option<Slot>,
    /// Of the requests in flight.
    pub going: Option<Going>,
    habit: Option<Arc<Habit>>,
}

impl Held {
    /// Nothing yet of a step.
    pub fn of(step: &Step<'_>, going: Option<Going>) -> Self {
        Self { pass: None, slot: None, going, habit: step.candidate.habit.clone() }
    }

    /// Has the breaker let it through once more, if its circuit has changed since it did. Fails as the breaker does.
    pub fn admit_anew(&mut self, now: Instant) -> Result<(), Duration> {
        if let Some((target, _)) = self.pass.take_if(|(_, pass)| !pass.is_current())
            && let Some(breaker) = &target.vitals.breaker
        {
            let pass = breaker.enter(now)?;
            self.pass = Some((target, pass));
        }
        Ok(())
    }

    /// What became of an attempt.
    pub fn settle(&mut self, verdict: Verdict, now: Instant) {
        let Some((target, pass)) = self.pass.take() else { return };
        if let Some(state) = pass.settle(verdict, now) {
            tracing::warn!(target = %target.name, state = state.name(), "the circuit breaker has changed");
        }
    }

    /// Learn from an answer.
    pub fn learn(&self, usage: Option<&Usage>) {
        if let (Some(habit), Some(usage)) = (&self.habit, usage) {
            habit.learn(usage);
        }
    }

    /// For as long as the answer lasts.
    pub fn keep(self) -> Hold {
        let empty = self.pass.is_none() && self.slot.is_none() && self.going.is_none() && self.habit.is_none();
        Hold((!empty).then(|| Box::new(self)))
    }
}

impl Hold {
    /// The provider has said in its own words that it has failed.
    pub fn fail(&mut self, fault: Fault) {
        if let Some(held) = &mut self.0 {
            held.settle(verdict(fault), Instant::now());
        }
    }

    /// The answer has ended, with this failure if it has failed.
    pub fn end(&mut self, failed: Option<&Error>, usage: Option<&Usage>) {
        let Some(mut held) = self.0.take() else { return };
        let verdict = match failed {
            None => Verdict::Good,
            Some(Error::Upstream(failed)) => verdict(failed.fault),
            Some(_) => Verdict::Neutral,
        };
        held.settle(verdict, Instant::now());
        held.learn(usage);
    }
}

/// What a failure says about the target: only what is its fault counts, and being busy is none.
pub fn verdict(fault: Fault) -> Verdict {
    match fault {
        Fault::Overloaded | Fault::Timeout | Fault::Server | Fault::Unreachable | Fault::Truncated => Verdict::Bad,
        _ => Verdict::Neutral,
    }
}
