//! The circuit breaker of a target: whether it is asked at all. One word of state, changed by compare-exchange only.
//!
//! Every change of state begins a generation, and a permit belongs to the one it was given in. What becomes of a call
//! of an earlier generation changes nothing: it says how the target was, not how it is.

mod window;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{AcqRel, Acquire};
use std::time::{Duration, Instant};

use self::window::Window;

/// When a target is left alone, and when it is asked again: `targets[].circuit_breaker`.
#[derive(Clone, Debug, PartialEq)]
pub struct Terms {
    /// Failures in a row that open the circuit; 0: they are not counted.
    pub failures: u32,
    /// Successful probes that close it; 0 is as 1.
    pub successes: u32,
    /// Probes at a time while it is half-open; 0 is as 1.
    pub probes: u32,
    /// How long it stays open.
    pub open_for: Duration,
    /// The share of failures that opens it.
    pub rate: Option<Rate>,
}

/// A share of failures over a sliding window. A tenth of the window is the finest it sees.
#[derive(Clone, Debug, PartialEq)]
pub struct Rate {
    /// The share of calls that failed, in percent, 1 to 100, from which the next failure opens the circuit.
    pub percent: f32,
    /// How far back calls count.
    pub window: Duration,
    /// Calls in the window before their share means anything; more than 8,000 is as 8,000.
    pub minimum: u32,
}

/// What callers see of a circuit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Calls go through.
    Closed,
    /// None does.
    Open,
    /// A few do, to see whether it may close.
    HalfOpen,
}

impl State {
    /// The word for it in logs, health and metrics.
    pub fn name(self) -> &'static str {
        match self {
            State::Closed => "closed",
            State::Open => "open",
            State::HalfOpen => "half_open",
        }
    }
}

/// What a call says about its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It works.
    Good,
    /// It does not.
    Bad,
    /// Nothing: the caller left, or the fault was the caller's.
    Neutral,
}

/// A call that was let through. It must be settled, or a probe stays taken; [`Pass`] sees to that by itself.
#[derive(Debug)]
#[must_use = "a probe stays taken until it is settled"]
pub struct Permit {
    generation: u64,
    probe: bool,
}

impl Permit {
    /// Whether the call is one of the few that a half-open circuit lets through.
    pub fn is_probe(&self) -> bool {
        self.probe
    }
}

/// The circuit of one target.
#[derive(Debug)]
pub struct Breaker {
    terms: Terms,
    epoch: Instant,
    /// See [`Word`].
    word: AtomicU64,
    window: Option<Window>,
}

/// The state, unpacked. From the top: 2 bits which, 20 bits generation, 42 bits what the state has to remember.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    /// Failures in a row.
    Closed(u64),
    /// When it opened, in ticks since the epoch, rounded up: in the same word as the state, so that nobody can read
    /// the new state with the old time.
    Open(u64),
    /// Successes, and probes under way.
    HalfOpen(u64, u64),
}

/// Nanoseconds of a tick: 42 bits of them are fourteen years.
const TICK: u64 = 100_000;
const GENERATION: u64 = (1 << 20) - 1;
const PAYLOAD: u64 = (1 << 42) - 1;
/// The most that half a payload can count.
const HALF: u64 = (1 << 21) - 1;

impl Word {
    fn pack(self, generation: u64) -> u64 {
        let (which, payload) = match self {
            Word::Closed(failures) => (0, failures),
            Word::Open(at) => (1, at),
            Word::HalfOpen(successes, probes) => (2, successes << 21 | probes),
        };
        which << 62 | (generation & GENERATION) << 42 | (payload & PAYLOAD)
    }

    fn unpack(word: u64) -> (Self, u64) {
        let payload = word & PAYLOAD;
        let state = match word >> 62 {
            0 => Word::Closed(payload),
            1 => Word::Open(payload),
            _ => Word::HalfOpen(payload >> 21, payload & HALF),
        };
        (state, word >> 42 & GENERATION)
    }

    fn state(self) -> State {
        match self {
            Word::Closed(_) => State::Closed,
            Word::Open(_) => State::Open,
            Word::HalfOpen(..) => State::HalfOpen,
        }
    }
}

impl Breaker {
    /// A closed circuit. No instant that it is shown later should be before the epoch.
    pub fn new(terms: Terms, epoch: Instant) -> Self {
        let window = terms.rate.as_ref().map(|rate| Window::new(rate.window));
        Self { terms, epoch, word: AtomicU64::new(Word::Closed(0).pack(0)), window }
    }

    /// What it was made with.
    pub fn terms(&self) -> &Terms {
        &self.terms
    }

    /// Let a call through, or say how long the circuit stays open: no time at all if it is half-open and the probes
    /// are taken. What is let through must be settled.
    #[inline]
    pub fn admit(&self, now: Instant) -> Result<Permit, Duration> {
        let mut word = self.word.load(Acquire);
        loop {
            let (state, generation) = Word::unpack(word);
            let (next, of) = match state {
                Word::Closed(_) => return Ok(Permit { generation, probe: false }),
                Word::Open(at) => match self.left(at, now) {
                    Some(left) => return Err(left),
                    None => (Word::HalfOpen(0, 1), following(generation)),
                },
                Word::HalfOpen(_, probes) if probes >= self.probes() => return Err(Duration::ZERO),
                Word::HalfOpen(successes, probes) => (Word::HalfOpen(successes, probes + 1), generation),
            };
            match self.word.compare_exchange_weak(word, next.pack(of), AcqRel, Acquire) {
                Ok(_) => return Ok(Permit { generation: of, probe: true }),
                Err(current) => word = current,
            }
        }
    }

    /// As [`Breaker::admit`], settled as neutral by itself if nobody settles it.
    pub fn enter(self: &Arc<Self>, now: Instant) -> Result<Pass, Duration> {
        Ok(Pass { permit: Some(self.admit(now)?), breaker: self.clone() })
    }

    /// Whether a call would be refused now. Takes nothing and changes nothing.
    #[inline]
    pub fn is_open(&self, now: Instant) -> bool {
        match Word::unpack(self.word.load(Acquire)).0 {
            Word::Closed(_) => false,
            Word::Open(at) => self.left(at, now).is_some(),
            Word::HalfOpen(_, probes) => probes >= self.probes(),
        }
    }

    /// The state at a moment. An open circuit whose time is over is half-open, whether somebody came by or not.
    pub fn state(&self, now: Instant) -> State {
        match Word::unpack(self.word.load(Acquire)).0 {
            Word::Open(at) if self.left(at, now).is_none() => State::HalfOpen,
            word => word.state(),
        }
    }

    /// How long until it is half-open; `None` if it is not open.
    pub fn remaining(&self, now: Instant) -> Option<Duration> {
        match Word::unpack(self.word.load(Acquire)).0 {
            Word::Open(at) => self.left(at, now),
            _ => None,
        }
    }

    /// What became of a call that was let through. Returns the new state if this changed it.
    #[inline]
    pub fn settle(&self, permit: Permit, verdict: Verdict, now: Instant) -> Option<State> {
        let mut word = self.word.load(Acquire);
        let (state, generation) = Word::unpack(word);
        if generation != permit.generation {
            return None;
        }
        let mut too_many = false;
        if let (Some(rate), Some(window), Word::Closed(_)) = (&self.terms.rate, &self.window, state)
            && verdict != Verdict::Neutral
        {
            let counted = window.count(generation, verdict == Verdict::Bad, self.since(now));
            too_many = verdict == Verdict::Bad && counted.is_some_and(|counts| counts.exceed(rate));
        }
        loop {
            let (state, generation) = Word::unpack(word);
            if generation != permit.generation {
                return None;
            }
            let next = self.after(state, verdict, too_many, now);
            if next == state {
                return None;
            }
            let changed = next.state() != state.state();
            let of = if changed { following(generation) } else { generation };
            match self.word.compare_exchange_weak(word, next.pack(of), AcqRel, Acquire) {
                Ok(_) => return changed.then(|| next.state()),
                Err(current) => word = current,
            }
        }
    }

    /// The state after a call of its own generation has ended.
    fn after(&self, state: Word, verdict: Verdict, too_many: bool, now: Instant) -> Word {
        let open = || Word::Open(self.since(now).div_ceil(TICK).min(PAYLOAD));
        match (state, verdict) {
            (Word::Closed(failures), Verdict::Bad) => {
                // without a limit there is nothing to count
                let failures = if self.terms.failures == 0 { 0 } else { failures + 1 };
                let in_a_row = failures > 0 && failures >= self.terms.failures.into();
                if in_a_row || too_many { open() } else { Word::Closed(failures) }
            }
            (Word::Closed(_), Verdict::Good) => Word::Closed(0),
            (Word::HalfOpen(..), Verdict::Bad) => open(),
            (Word::HalfOpen(successes, probes), Verdict::Good) => {
                let successes = successes + 1;
                let enough = successes >= u64::from(self.terms.successes).clamp(1, HALF);
                if enough { Word::Closed(0) } else { Word::HalfOpen(successes, probes.saturating_sub(1)) }
            }
            (Word::HalfOpen(successes, probes), Verdict::Neutral) => {
                Word::HalfOpen(successes, probes.saturating_sub(1))
            }
            (Word::Closed(_), Verdict::Neutral) | (Word::Open(_), _) => state,
        }
    }

    /// How long a circuit that opened at this tick stays open; `None` if its time is over.
    fn left(&self, at: u64, now: Instant) -> Option<Duration> {
        let until = Duration::from_nanos(at.saturating_mul(TICK)).saturating_add(self.terms.open_for);
        until.checked_sub(now.saturating_duration_since(self.epoch))
    }

    /// Nanoseconds since the epoch.
    fn since(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.epoch).as_nanos()).unwrap_or(u64::MAX)
    }

    fn probes(&self) -> u64 {
        u64::from(self.terms.probes).clamp(1, HALF)
    }
}

fn following(generation: u64) -> u64 {
    (generation + 1) & GENERATION
}

/// A permit that is settled as neutral when it is dropped, be it because the caller has left.
#[derive(Debug)]
pub struct Pass {
    permit: Option<Permit>,
    breaker: Arc<Breaker>,
}

impl Pass {
    /// Whether the circuit is as it was when this was given: after a wait, it may be let through no more.
    pub fn is_current(&self) -> bool {
        let (_, generation) = Word::unpack(self.breaker.word.load(Acquire));
        self.permit.as_ref().is_some_and(|permit| permit.generation == generation)
    }

    /// See [`Breaker::settle`].
    pub fn settle(mut self, verdict: Verdict, now: Instant) -> Option<State> {
        self.breaker.settle(self.permit.take()?, verdict, now)
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if let Some(permit) = self.permit.take() {
            // a neutral outcome opens nothing, so that it has no need of the time
            let _ = self.breaker.settle(permit, Verdict::Neutral, self.breaker.epoch);
        }
    }
}

#[cfg(test)]
mod tests;
