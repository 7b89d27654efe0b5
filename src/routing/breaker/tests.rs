//! The breaker beside a plain one of a single thread, and under many threads.

use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;

use proptest::prelude::*;

use super::*;

fn terms(failures: u32, successes: u32, probes: u32) -> Terms {
    Terms { failures, successes, probes, open_for: ms(30_000), rate: None }
}

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Let a call through and settle it.
fn call(breaker: &Breaker, verdict: Verdict, now: Instant) -> Option<State> {
    breaker.settle(breaker.admit(now).expect("it is let through"), verdict, now)
}

#[test]
fn failures_in_a_row_open_it_and_a_success_between_them_does_not() {
    let at = Instant::now();
    let breaker = Breaker::new(terms(3, 1, 1), at);
    for verdict in [Verdict::Bad, Verdict::Bad, Verdict::Good, Verdict::Bad, Verdict::Neutral, Verdict::Bad] {
        assert_eq!(call(&breaker, verdict, at), None);
    }
    assert_eq!(call(&breaker, Verdict::Bad, at), Some(State::Open));
    assert_eq!(breaker.admit(at + ms(10_000)).err(), Some(ms(20_000)));
    assert_eq!(breaker.remaining(at + ms(29_999)), Some(ms(1)));
}

#[test]
fn it_is_half_open_strictly_after_its_time() {
    let at = Instant::now();
    let breaker = Breaker::new(terms(1, 2, 1), at);
    let opened = at + ms(5_000);
    assert_eq!(call(&breaker, Verdict::Bad, opened), Some(State::Open));
    let end = opened + ms(30_000);
    assert!(breaker.is_open(end) && breaker.admit(end).is_err());
    let later = end + Duration::from_nanos(1);
    assert!(!breaker.is_open(later));
    assert_eq!((breaker.state(later), breaker.remaining(later)), (State::HalfOpen, None));
    let probe = breaker.admit(later).expect("the first probe");
    assert!(probe.is_probe() && breaker.is_open(later));
    assert_eq!(breaker.admit(later).err(), Some(Duration::ZERO));
    assert_eq!(breaker.settle(probe, Verdict::Neutral, later), None);
    assert_eq!(call(&breaker, Verdict::Good, later), None);
    assert_eq!(call(&breaker, Verdict::Good, later), Some(State::Closed));
    assert_eq!(breaker.state(later), State::Closed);
}

#[test]
fn a_failed_probe_opens_it_for_the_full_time_again() {
    let at = Instant::now();
    let breaker = Breaker::new(terms(1, 1, 2), at);
    assert_eq!(call(&breaker, Verdict::Bad, at), Some(State::Open));
    let later = at + ms(31_000);
    let (one, other) = (breaker.admit(later).expect("a probe"), breaker.admit(later).expect("another"));
    assert_eq!(breaker.settle(one, Verdict::Bad, later), Some(State::Open));
    assert_eq!(breaker.settle(other, Verdict::Good, later), None, "it came too late");
    assert_eq!(breaker.remaining(later), Some(ms(30_000)));
}

#[test]
fn an_outcome_of_an_earlier_generation_changes_nothing() {
    let at = Instant::now();
    let breaker = Breaker::new(terms(1, 1, 1), at);
    let mut slow: Vec<Permit> = (0..4).map(|_| breaker.admit(at).expect("it is closed")).collect();
    let mut late = |verdict, now| breaker.settle(slow.pop().expect("one is left"), verdict, now);
    assert_eq!(call(&breaker, Verdict::Bad, at), Some(State::Open));
    assert_eq!(late(Verdict::Good, at), None, "an open circuit does not close");
    let later = at + ms(31_000);
    let probe = breaker.admit(later).expect("a probe");
    assert_eq!(late(Verdict::Good, later), None, "nor does a half-open one");
    assert_eq!(late(Verdict::Neutral, later), None);
    assert!(breaker.is_open(later), "the probe is still taken");
    assert_eq!(late(Verdict::Bad, later), None);
    assert_eq!(breaker.settle(probe, Verdict::Good, later), Some(State::Closed));
}

#[test]
fn a_share_of_failures_opens_it_and_what_was_before_is_forgotten_when_it_closes() {
    let at = Instant::now();
    let rate = Rate { percent: 50.0, window: ms(10_000), minimum: 4 };
    let breaker = Breaker::new(Terms { rate: Some(rate), ..terms(0, 1, 1) }, at);
    for verdict in [Verdict::Bad, Verdict::Bad, Verdict::Good, Verdict::Neutral] {
        assert_eq!(call(&breaker, verdict, at), None);
    }
    assert_eq!(call(&breaker, Verdict::Bad, at + ms(9_000)), Some(State::Open), "3 of 4");
    let later = at + ms(39_001);
    assert_eq!(call(&breaker, Verdict::Good, later), Some(State::Closed));
    assert_eq!(call(&breaker, Verdict::Bad, later), None);
}

#[test]
fn a_pass_that_is_dropped_gives_its_probe_back() {
    let at = Instant::now();
    let breaker = Arc::new(Breaker::new(terms(1, 1, 1), at));
    assert_eq!(breaker.enter(at).expect("it is closed").settle(Verdict::Bad, at), Some(State::Open));
    let later = at + ms(31_000);
    drop(breaker.enter(later).expect("a probe"));
    assert_eq!(breaker.enter(later).expect("again").settle(Verdict::Good, later), Some(State::Closed));
}

#[test]
fn under_many_threads_every_change_happens_once_and_probes_stay_within_their_number() {
    const THREADS: usize = 8;
    const STEPS: u64 = 20_000;
    let at = Instant::now();
    let breaker = Breaker::new(Terms { open_for: ms(3), ..terms(2, 3, 2) }, at);
    let (opened, closed, start) = (AtomicUsize::new(0), AtomicUsize::new(0), Barrier::new(THREADS));
    let probes: Vec<AtomicUsize> = (0..THREADS * STEPS as usize).map(|_| AtomicUsize::new(0)).collect();
    let worker = &|mut dice: u64| {
        start.wait();
        for step in 0..STEPS {
            let now = at + ms(step);
            let Ok(permit) = breaker.admit(now) else { continue };
            let running = permit.is_probe().then(|| &probes[permit.generation as usize]);
            if let Some(running) = running {
                assert!(running.fetch_add(1, SeqCst) < 2, "a third probe");
            }
            dice ^= dice << 13;
            dice ^= dice >> 7;
            dice ^= dice << 17;
            let verdict = match dice & 7 {
                0..3 => Verdict::Bad,
                3 => Verdict::Neutral,
                _ => Verdict::Good,
            };
            if let Some(running) = running {
                running.fetch_sub(1, SeqCst);
            }
            match breaker.settle(permit, verdict, now) {
                Some(State::Open) => opened.fetch_add(1, SeqCst),
                Some(_) => closed.fetch_add(1, SeqCst),
                None => 0,
            };
        }
    };
    thread::scope(|scope| {
        for seed in 1..=THREADS as u64 {
            scope.spawn(move || worker(seed * 0x9e37_79b9));
        }
    });
    let (last, generation) = Word::unpack(breaker.word.load(SeqCst));
    let (opened, closed) = (opened.load(SeqCst), closed.load(SeqCst));
    // whenever it was open it has become half-open again, but perhaps for the last time
    let halved = opened - usize::from(matches!(last, Word::Open(_)));
    assert_eq!(generation as usize, opened + halved + closed, "every generation is one change");
    assert!(opened > 10 && closed > 0, "{opened} {closed}");
    if let Word::HalfOpen(_, probes) = last {
        assert_eq!(probes, 0, "all are settled");
    }
}

#[test]
fn of_many_failures_at_once_one_opens_it() {
    let at = Instant::now();
    for _ in 0..200 {
        let breaker = Breaker::new(terms(4, 1, 1), at);
        let permits: Vec<Permit> = (0..8).map(|_| breaker.admit(at).expect("it is closed")).collect();
        let opened = AtomicUsize::new(0);
        thread::scope(|scope| {
            for permit in permits {
                scope.spawn(|| {
                    opened.fetch_add(usize::from(breaker.settle(permit, Verdict::Bad, at).is_some()), SeqCst);
                });
            }
        });
        assert_eq!((opened.load(SeqCst), breaker.state(at)), (1, State::Open));
    }
}

/// The same rules without packing, atomics or slots that are reused.
struct Plain {
    terms: Terms,
    state: State,
    generation: usize,
    in_a_row: u32,
    calls: Vec<(u64, bool)>,
    opened: u64,
    successes: u32,
    probes: u32,
}

impl Plain {
    fn admit(&mut self, now: u64) -> Option<usize> {
        if self.state == State::Open && now > self.opened + self.terms.open_for.as_millis() as u64 {
            self.enter(State::HalfOpen, now);
        }
        match self.state {
            State::Open => return None,
            State::HalfOpen if self.probes == self.terms.probes => return None,
            State::HalfOpen => self.probes += 1,
            State::Closed => {}
        }
        Some(self.generation)
    }

    fn enter(&mut self, state: State, now: u64) -> Option<State> {
        let (terms, generation) = (self.terms.clone(), self.generation + 1);
        *self = Plain { terms, state, generation, in_a_row: 0, calls: vec![], opened: now, successes: 0, probes: 0 };
        Some(state)
    }

    fn settle(&mut self, generation: usize, verdict: Verdict, now: u64) -> Option<State> {
        if generation != self.generation {
            return None;
        }
        if self.state == State::HalfOpen {
            self.probes -= 1;
            self.successes += u32::from(verdict == Verdict::Good);
            return match verdict {
                Verdict::Bad => self.enter(State::Open, now),
                Verdict::Good if self.successes == self.terms.successes => self.enter(State::Closed, now),
                _ => None,
            };
        }
        if verdict == Verdict::Neutral {
            return None;
        }
        let bad = verdict == Verdict::Bad;
        self.in_a_row = if bad { self.in_a_row + 1 } else { 0 };
        let mut too_many = false;
        if let Some(rate) = &self.terms.rate {
            let slot = rate.window.as_millis() as u64 / 10;
            self.calls.push((now / slot, bad));
            self.calls.retain(|(at, _)| now / slot - at < 10);
            let failures = self.calls.iter().filter(|(_, bad)| *bad).count();
            let share = failures as f32 * 100.0 / self.calls.len() as f32;
            too_many = self.calls.len() >= rate.minimum as usize && share >= rate.percent;
        }
        let in_a_row = self.terms.failures > 0 && self.in_a_row >= self.terms.failures;
        if bad && (in_a_row || too_many) { self.enter(State::Open, now) } else { None }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Wait(u64),
    Admit,
    Settle(prop::sample::Index, Verdict),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let verdict = prop_oneof![3 => Just(Verdict::Good), 4 => Just(Verdict::Bad), 1 => Just(Verdict::Neutral)];
    let step = prop_oneof![
        2 => prop_oneof![0..50_u64, 100..3_000_u64].prop_map(Step::Wait),
        4 => Just(Step::Admit),
        4 => (any::<prop::sample::Index>(), verdict).prop_map(|(which, verdict)| Step::Settle(which, verdict)),
    ];
    prop::collection::vec(step, 1..200)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn it_does_what_a_plain_one_does(
        steps in steps(),
        (failures, successes, probes) in (0..4_u32, 1..4_u32, 1..4_u32),
        rate in prop::option::of((1..100_u8, 1..6_u32)),
    ) {
        let rate = rate.map(|(percent, minimum)| Rate { percent: percent.into(), window: ms(5_000), minimum });
        let terms = Terms { failures, successes, probes, open_for: ms(1_000), rate };
        let epoch = Instant::now();
        let breaker = Breaker::new(terms.clone(), epoch);
        let mut plain = Plain {
            terms, state: State::Closed, generation: 0, in_a_row: 0, calls: vec![], opened: 0, successes: 0, probes: 0,
        };
        let (mut at, mut open) = (0, Vec::new());
        for step in steps {
            let now = epoch + ms(at);
            match step {
                Step::Wait(millis) => at += millis,
                Step::Admit => {
                    let refused = breaker.is_open(now);
                    match (breaker.admit(now), plain.admit(at)) {
                        (Ok(permit), Some(generation)) => open.push((permit, generation)),
                        (Err(_), None) => {}
                        (ours, theirs) => prop_assert!(false, "{ours:?} and {theirs:?}"),
                    }
                    prop_assert_eq!(refused && plain.state == State::Closed, false);
                }
                Step::Settle(which, verdict) if !open.is_empty() => {
                    let (permit, generation) = open.swap_remove(which.index(open.len()));
                    prop_assert_eq!(breaker.settle(permit, verdict, now), plain.settle(generation, verdict, at));
                }
                Step::Settle(..) => {}
            }
            prop_assert_eq!(Word::unpack(breaker.word.load(SeqCst)).0.state(), plain.state);
        }
    }
}
