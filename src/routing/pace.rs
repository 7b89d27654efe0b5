//! How fast a target is, by model, streamed and not: the time to the first token of a stream, or of a whole answer.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};
use std::sync::atomic::{AtomicU32, AtomicU64};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;

mod spread;
mod ticks;

use self::spread::Spread;
use self::ticks::age;
pub use self::ticks::{SECOND, Ticks};
use super::digest::Digests;

/// Models of a target that are measured by themselves; all others share one measure.
const MODELS: usize = 500;
/// A sample older than this says nothing any more, ticks: five minutes.
const STALE: u32 = 300 * SECOND;
/// After this long a sample weighs 1/e of one of now, ticks.
const FADES: f64 = 15.0 * SECOND as f64;
/// Samples that are no further apart are a burst, of which nothing has faded yet; ticks.
const BURST: u32 = SECOND / 2;
/// The least that a faster sample weighs: of a burst each answer counts.
const FALL: f64 = 1.0 / 16.0;
/// The least that a slower sample weighs. Up is quicker than down, so that the measure stands near the slow end of what
/// callers see; yet one long prompt, whose first token takes ten times as long, does not drive everybody away, as a
/// jump to the peak would.
const RISE: f64 = 1.0 / 2.0;
/// A failure counts as if the target took twice as long, the next four times, so many times at most …
const WORST: u32 = 10;
/// … and each is forgiven after this long without another. Whoever comes back so is first for one call at a time: with
/// it under way somebody else is.
const FORGIVEN: u32 = 10 * SECOND;

/// The measures of one target.
#[derive(Debug)]
pub struct Pace {
    epoch: Instant,
    models: ArcSwap<HashMap<Arc<str>, Pair, Digests>>,
    others: Pair,
}

/// A model's measures: whole answers, and streams.
#[derive(Clone, Debug)]
struct Pair([Arc<Track>; 2]);

impl Pair {
    fn new(epoch: Instant) -> Self {
        Self([(); 2].map(|()| Arc::new(Track::new(epoch))))
    }

    fn of(&self, stream: bool) -> &Arc<Track> {
        &self.0[usize::from(stream)]
    }
}

/// What a choice between targets goes by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Standing {
    /// Seconds expected, as many times as calls would then be under way; `None`: nobody knows.
    pub score: Option<f64>,
    /// Calls under way.
    pub in_flight: u32,
    /// How long since a call last told something, be it by failing, in ticks; `u32::MAX` if none ever has.
    pub quiet: u32,
}

impl Standing {
    /// That of a target never asked.
    pub const NEW: Standing = Standing { score: None, in_flight: 0, quiet: u32::MAX };
}

impl Pace {
    /// No samples yet. No instant that it is shown later should be before the epoch.
    pub fn new(epoch: Instant) -> Self {
        Self { epoch, models: ArcSwap::default(), others: Pair::new(epoch) }
    }

    /// The measure of a model, from now on.
    pub fn track(&self, model: &str, stream: bool) -> Arc<Track> {
        if let Some(track) = self.peek(model, stream) {
            return track;
        }
        let (name, pair) = (Arc::<str>::from(model), Pair::new(self.epoch));
        self.models.rcu(|models| {
            let mut models = HashMap::clone(models);
            if models.len() < MODELS {
                models.entry(name.clone()).or_insert_with(|| pair.clone());
            }
            models
        });
        // whose pair it became, or if any, is for the map to say
        self.peek(model, stream).unwrap_or_else(|| self.others.of(stream).clone())
    }

    /// The measure of a model, if there is one.
    pub fn peek(&self, model: &str, stream: bool) -> Option<Arc<Track>> {
        self.read(model, stream, Arc::clone)
    }

    /// How the target stands with a model.
    pub fn standing(&self, model: &str, stream: bool, now: Instant) -> Standing {
        self.read(model, stream, |track| track.standing(now)).unwrap_or(Standing::NEW)
    }

    fn read<T>(&self, model: &str, stream: bool, read: impl FnOnce(&Arc<Track>) -> T) -> Option<T> {
        let models = self.models.load();
        let pair = match models.get(model) {
            Some(pair) => pair,
            None if models.len() >= MODELS => &self.others,
            None => return None,
        };
        Some(read(pair.of(stream)))
    }
}

/// The measure of one model, streamed or not.
#[derive(Debug)]
pub struct Track {
    epoch: Instant,
    /// Seconds as an `f32` in the upper half, when they were last told, in ticks, in the lower; 0: never.
    measure: AtomicU64,
    /// Failures that are held against it in the upper half, when a call last failed, in ticks, in the lower; 0: never.
    failed: AtomicU64,
    going: AtomicU32,
    spread: Spread,
}

impl Track {
    fn new(epoch: Instant) -> Self {
        let (measure, failed, going) = Default::default();
        Self { epoch, measure, failed, going, spread: Spread::default() }
    }

    /// A call has told its first token, or if it is not streamed its end, after this long.
    pub fn record(&self, took: Duration, now: Instant) {
        let (tick, took_secs) = (self.tick(now), took.as_secs_f64().max(1e-6));
        self.spread.add(took, tick);
        if self.failed.load(Relaxed) >> 32 > 0 {
            // who answers is believed sooner than who fails
            self.blame(tick, |failures| failures / 2, |_, at| at);
        }
        let mut word = self.measure.load(Acquire);
        loop {
            let secs = match self.unpack(word, tick) {
                Some((secs, age)) if age <= STALE => {
                    let least = if took_secs > secs { RISE } else { FALL };
                    let weight = match age {
                        0..=BURST => least,
                        _ => least.max(1.0 - (-f64::from(age) / FADES).exp()),
                    };
                    secs + (took_secs - secs) * weight
                }
                _ => took_secs,
            };
            let next = u64::from((secs as f32).to_bits()) << 32 | u64::from(tick);
            match self.measure.compare_exchange_weak(word, next, AcqRel, Acquire) {
                Ok(_) => return,
                Err(current) => word = current,
            }
        }
    }

    /// A call has failed: that counts as if it was slow, lest whoever fails fast is asked first by everybody; and for a
    /// while nobody goes there just to find out how fast it is.
    pub fn fail(&self, now: Instant) {
        self.blame(self.tick(now), |failures| (failures + 1).min(WORST), |tick, _| tick);
    }

    /// Counts failures anew from those that are not forgiven yet, with the moment of the last.
    fn blame(&self, tick: u32, count: impl Fn(u32) -> u32, when: impl Fn(u32, u32) -> u32) {
        let next = |word: u64| {
            let (failures, at) = failures(word, tick);
            Some(u64::from(count(failures)) << 32 | u64::from(when(tick, at)))
        };
        // it always succeeds: there is always a next
        let _ = self.failed.fetch_update(AcqRel, Acquire, next);
    }

    /// A call is under way until the guard is dropped.
    pub fn enter(self: &Arc<Self>) -> Going {
        self.going.fetch_add(1, AcqRel);
        Going(self.clone())
    }

    /// Calls under way.
    pub fn in_flight(&self) -> u32 {
        self.going.load(Acquire)
    }

    /// How long a call takes; `None` if there was no sample within five minutes.
    pub fn estimate(&self, now: Instant) -> Option<Duration> {
        self.secs(self.tick(now)).map(|(secs, _)| Duration::from_secs_f64(secs))
    }

    /// The estimate in seconds, as many times as calls would be under way with one more, and more after failures.
    pub fn score(&self, now: Instant) -> Option<f64> {
        self.standing(now).score
    }

    /// All of it at once.
    pub fn standing(&self, now: Instant) -> Standing {
        self.standing_at(&mut Ticks::of(now))
    }

    /// The same, for many at one moment.
    pub fn standing_at(&self, now: &mut Ticks) -> Standing {
        let (tick, in_flight) = (now.since(self.epoch), self.in_flight());
        let told = self.secs(tick);
        let (failed, times) = match self.failed.load(Relaxed) {
            0 => (u32::MAX, 1),
            word => (age(tick, word as u32), times(word, tick)),
        };
        Standing {
            score: told.map(|(secs, _)| secs * (f64::from(in_flight) + 1.0) * f64::from(times)),
            in_flight,
            quiet: told.map_or(u32::MAX, |(_, age)| age).min(failed),
        }
    }

    /// How many times as slow as it is it counts, since it has failed lately; 1 if it has not.
    pub fn times(&self, now: Instant) -> u32 {
        times(self.failed.load(Relaxed), self.tick(now))
    }

    /// The 95th percentile of what has been recorded, for hedging; `None` below 20 samples.
    pub fn high(&self) -> Option<Duration> {
        self.spread.percentile(0.95)
    }

    fn secs(&self, tick: u32) -> Option<(f64, u32)> {
        self.unpack(self.measure.load(Acquire), tick).filter(|(_, age)| *age <= STALE)
    }

    fn unpack(&self, word: u64, tick: u32) -> Option<(f64, u32)> {
        let secs = f32::from_bits((word >> 32) as u32);
        (word != 0).then(|| (f64::from(secs), age(tick, word as u32)))
    }

    fn tick(&self, now: Instant) -> u32 {
        Ticks::of(now).since(self.epoch)
    }
}

/// Of the failures that are held against a target those that are not forgiven, and when the last was.
fn failures(word: u64, tick: u32) -> (u32, u32) {
    let (failures, at) = ((word >> 32) as u32, word as u32);
    (failures.saturating_sub(age(tick, at) / FORGIVEN), at)
}

fn times(word: u64, tick: u32) -> u32 {
    1 << failures(word, tick).0.min(WORST)
}

/// A call under way; over when it is dropped.
#[derive(Debug)]
#[must_use = "the call is over when it is dropped"]
pub struct Going(Arc<Track>);

impl Drop for Going {
    fn drop(&mut self) {
        self.0.going.fetch_sub(1, AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn near(track: &Track, now: Instant, expected: f64) {
        let estimate = track.estimate(now).expect("there are samples").as_secs_f64();
        assert!((estimate - expected).abs() < expected / 1_000.0, "{estimate} is not {expected}");
    }

    #[test]
    fn the_first_sample_counts_whole_and_says_nothing_after_five_minutes() {
        let at = Instant::now();
        let track = Track::new(at);
        assert_eq!((track.estimate(at), track.score(at)), (None, None));
        track.record(ms(800), at);
        near(&track, at, 0.8);
        near(&track, at + ms(300_000), 0.8);
        let late = at + ms(300_010);
        assert_eq!(track.estimate(late), None);
        track.record(ms(100), late);
        near(&track, late, 0.1);
    }

    #[test]
    fn slower_is_believed_sooner_than_faster() {
        let at = Instant::now();
        let track = Track::new(at);
        track.record(ms(100), at);
        track.record(ms(900), at);
        near(&track, at, 0.5);
        track.record(ms(100), at);
        near(&track, at, 0.475);
        let later = at + ms(15_000);
        track.record(ms(100), later);
        near(&track, later, 0.1 + 0.375 / std::f64::consts::E);
    }

    #[test]
    fn calls_under_way_multiply_the_score() {
        let at = Instant::now();
        let track = Arc::new(Track::new(at));
        track.record(ms(500), at);
        let (one, other) = (track.enter(), track.enter());
        assert_eq!((track.in_flight(), track.score(at)), (2, Some(1.5)));
        drop((one, other));
        assert_eq!((track.in_flight(), track.score(at)), (0, Some(0.5)));
    }

    #[test]
    fn a_failure_ends_the_quiet_and_is_no_sample() {
        let at = Instant::now();
        let track = Track::new(at);
        track.fail(at + ms(50));
        let standing = track.standing(at + ms(1_050));
        assert_eq!(standing, Standing { score: None, in_flight: 0, quiet: SECOND });
        track.record(ms(100), at + ms(2_000));
        assert_eq!(track.standing(at + ms(2_500)).quiet, SECOND / 2);
    }

    #[test]
    fn models_are_measured_apart_and_so_are_streams() {
        let at = Instant::now();
        let pace = Pace::new(at);
        assert!(pace.peek("a", true).is_none());
        assert_eq!(pace.standing("a", true, at), Standing::NEW);
        pace.track("a", true).record(ms(100), at);
        assert!(Arc::ptr_eq(&pace.track("a", true), &pace.peek("a", true).expect("it is there")));
        assert_eq!(pace.track("a", false).estimate(at), None);
        assert_eq!(pace.track("b", true).estimate(at), None);
        assert!(pace.standing("a", true, at).score.is_some());
    }

    #[test]
    fn past_five_hundred_models_they_share_one_measure() {
        let pace = Pace::new(Instant::now());
        for model in 0..MODELS {
            pace.track(&model.to_string(), true);
        }
        let (one, other) = (pace.track("one", true), pace.track("other", true));
        assert!(Arc::ptr_eq(&one, &other) && !Arc::ptr_eq(&one, &pace.track("7", true)));
        assert!(Arc::ptr_eq(&one, &pace.peek("never asked", true).expect("the shared one")));
        assert_eq!(pace.models.load().len(), MODELS);
    }

    #[test]
    fn the_high_end_needs_twenty_samples() {
        let at = Instant::now();
        let track = Track::new(at);
        for sample in 0..20 {
            assert_eq!(track.high(), None, "{sample}");
            track.record(ms(if sample == 0 { 4_000 } else { 100 }), at);
        }
        let high = track.high().expect("enough samples");
        assert!((ms(85)..ms(120)).contains(&high), "{high:?}");
        track.record(ms(4_000), at);
        let high = track.high().expect("enough samples");
        assert!((ms(3_400)..ms(4_800)).contains(&high), "{high:?}");
    }
}
