//! Where the prompt cache of a conversation is warm: a table of fixed size that forgets by itself.

use std::hash::Hasher;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use super::digest::Digest;

/// Sets of [`WAYS`] entries: half a megabyte.
const SETS: usize = 1 << 15;
const WAYS: usize = 2;
/// What vendors keep a prompt for after its last use, unless asked for more:
/// <https://docs.anthropic.com/en/docs/build-with-claude/prompt-caching>,
/// <https://platform.openai.com/docs/guides/prompt-caching>.
const LIFE: Duration = Duration::from_secs(300);
/// Times are kept in these many seconds and go round in 36 hours.
const TICK: u64 = 2;
const TIMES: u64 = (1 << 16) - 1;
const TAGS: u64 = (1 << 24) - 1;

/// Where a conversation has been answered last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Warm {
    /// The target, as its owner numbers them.
    pub target: u16,
    /// Which of the target's keys.
    pub key: u8,
}

/// The conversations of the last minutes. Two that share a place and a tag are taken for one, which costs one of them
/// its warm cache and nothing else.
///
/// An entry is one word, 0 for none: 24 bits tag, 16 bits time of the last use, 16 bits target, 8 bits key.
#[derive(Debug)]
pub struct Affinity {
    epoch: Instant,
    /// In ticks.
    life: u64,
    sets: Box<[[AtomicU64; WAYS]]>,
}

/// The name of a conversation in the table: itself together with what its cache is bound to beside the target, such
/// as the model and whose it is.
pub fn scoped(conversation: u64, scope: &[&str]) -> u64 {
    let mut digest = Digest::default();
    digest.write_u64(conversation);
    scope.iter().for_each(|part| digest.write(part.as_bytes()));
    digest.finish()
}

impl Affinity {
    /// An empty table whose entries last five minutes after their last use. No instant that it is shown later should
    /// be before the epoch.
    pub fn new(epoch: Instant) -> Self {
        Self::lasting(LIFE, epoch)
    }

    /// The same with entries that last this long, in steps of two seconds, a day at most.
    pub fn lasting(life: Duration, epoch: Instant) -> Self {
        let life = (life.as_secs() / TICK).clamp(1, 86_400 / TICK);
        let sets = (0..SETS).map(|_| [(); WAYS].map(|()| AtomicU64::new(0))).collect();
        Self { epoch, life, sets }
    }

    /// Where this conversation's cache is warm, if it is anywhere.
    pub fn find(&self, conversation: u64, now: Instant) -> Option<Warm> {
        let time = self.time(now);
        let words = self.set(conversation).iter().map(|entry| entry.load(Relaxed));
        let word = words.filter(|word| self.lives(*word, time)).find(|word| word >> 40 == tag(conversation))?;
        Some(Warm { target: (word >> 8) as u16, key: word as u8 })
    }

    /// This conversation has just been answered there.
    pub fn note(&self, conversation: u64, warm: Warm, now: Instant) {
        let (time, tag) = (self.time(now), tag(conversation));
        let word = tag << 40 | time << 24 | u64::from(warm.target) << 8 | u64::from(warm.key);
        let set = self.set(conversation);
        // its own entry, else a dead one, else the oldest
        let rank = |entry: &&AtomicU64| match entry.load(Relaxed) {
            word if word >> 40 == tag && word != 0 => 0,
            word if !self.lives(word, time) => 1,
            word => 2 + TIMES - age(word, time),
        };
        if let Some(entry) = set.iter().min_by_key(rank)
            && entry.load(Relaxed) != word
        {
            entry.store(word, Relaxed);
        }
    }

    fn set(&self, conversation: u64) -> &[AtomicU64; WAYS] {
        &self.sets[conversation as usize % SETS]
    }

    fn lives(&self, word: u64, time: u64) -> bool {
        word != 0 && age(word, time) <= self.life
    }

    /// Ticks since the epoch, never 0, so that no entry is.
    fn time(&self, now: Instant) -> u64 {
        (now.saturating_duration_since(self.epoch).as_secs() / TICK % TIMES) + 1
    }
}

/// The bits that do not say the set.
fn tag(conversation: u64) -> u64 {
    conversation >> 40 & TAGS
}

/// Ticks since an entry's last use. One that another thread wrote a moment ahead of this one's clock is new.
fn age(word: u64, time: u64) -> u64 {
    let age = (time + TIMES - (word >> 24 & TIMES)) % TIMES;
    if age == TIMES - 1 { 0 } else { age }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::super::random::Dice;
    use super::*;

    const HERE: Warm = Warm { target: 65_535, key: 255 };
    const THERE: Warm = Warm { target: 0, key: 0 };

    fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    #[test]
    fn a_conversation_is_found_where_it_was_answered_last() {
        let at = Instant::now();
        let table = Affinity::new(at);
        for conversation in [0, 7, u64::MAX] {
            assert_eq!(table.find(conversation, at), None);
            table.note(conversation, HERE, at);
            assert_eq!(table.find(conversation, at), Some(HERE));
            table.note(conversation, THERE, at);
            assert_eq!(table.find(conversation, at), Some(THERE));
        }
    }

    #[test]
    fn every_use_makes_it_last_anew() {
        let at = Instant::now();
        let table = Affinity::lasting(secs(60), at);
        table.note(7, HERE, at);
        assert_eq!(table.find(7, at + secs(60)), Some(HERE));
        assert_eq!(table.find(7, at + secs(63)), None);
        table.note(7, HERE, at + secs(50));
        assert_eq!(table.find(7, at + secs(110)), Some(HERE));
        assert_eq!(table.find(7, at + secs(113)), None);
        // where the times go round
        let turn = secs(TIMES * TICK);
        table.note(7, HERE, at + turn - secs(10));
        assert_eq!(table.find(7, at + turn + secs(40)), Some(HERE));
        assert_eq!(table.find(7, at + turn + secs(60)), None);
        table.note(7, HERE, at + turn);
        assert_eq!(table.find(7, at + turn - secs(1)), Some(HERE), "a thread a little behind");
    }

    #[test]
    fn of_three_that_share_a_place_the_one_of_longest_ago_goes() {
        let at = Instant::now();
        let table = Affinity::new(at);
        let conversation = |which: u64| which << 40 | 5;
        table.note(conversation(1), HERE, at);
        table.note(conversation(2), THERE, at + secs(10));
        table.note(conversation(1), HERE, at + secs(20));
        table.note(conversation(3), HERE, at + secs(30));
        let found = |which| table.find(conversation(which), at + secs(30));
        assert_eq!([found(1), found(2), found(3)], [Some(HERE), None, Some(HERE)]);
        // what is dead goes before what is old
        table.note(conversation(1), HERE, at + secs(325));
        table.note(conversation(4), THERE, at + secs(340));
        let found = |which| table.find(conversation(which), at + secs(340));
        assert_eq!([found(1), found(3), found(4)], [Some(HERE), None, Some(THERE)]);
    }

    #[test]
    fn twenty_thousand_conversations_fit_nearly_all() {
        const CONVERSATIONS: u64 = 20_000;
        let at = Instant::now();
        let table = Affinity::new(at);
        let mut dice = Dice::new(8);
        let all: Vec<u64> = (0..CONVERSATIONS).map(|_| dice.bits()).collect();
        let warm = |conversation: u64| Warm { target: conversation as u16, key: 1 };
        all.iter().for_each(|conversation| table.note(*conversation, warm(*conversation), at));
        let kept = all.iter().filter(|of| table.find(**of, at) == Some(warm(**of))).count();
        assert!(kept > 19_000, "{kept}");
    }

    #[test]
    fn threads_never_find_what_nobody_noted() {
        let at = Instant::now();
        let table = Affinity::new(at);
        thread::scope(|scope| {
            for target in 0..4_u16 {
                let table = &table;
                scope.spawn(move || {
                    for round in 0..20_000_u64 {
                        let warm = Warm { target, key: target as u8 };
                        table.note(round % 64, warm, at);
                        let found = table.find(round % 64, at).expect("it was noted");
                        assert_eq!(found.target, u16::from(found.key), "torn");
                    }
                });
            }
        });
    }

    #[test]
    fn a_scope_tells_conversations_of_one_name_apart() {
        let names = [scoped(1, &["a", "b"]), scoped(1, &["ab"]), scoped(1, &["a"]), scoped(2, &["a"]), scoped(1, &[])];
        for (at, name) in names.iter().enumerate() {
            assert!(!names[..at].contains(name), "{at}");
        }
    }
}
