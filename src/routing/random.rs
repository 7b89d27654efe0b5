//! Randomness for choices that need to be even, not secret.

use std::cell::Cell;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};

/// A generator that tells the same numbers for the same seed: SplitMix64, <https://prng.di.unimi.it/splitmix64.c>.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// Begin with this seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// 64 even bits.
    #[inline]
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// An even number of [0, 1).
    #[inline]
    pub fn chance(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// An even number of [0, 1), from this thread's own generator: the system is asked for a seed once a thread.
#[inline]
pub fn chance() -> f64 {
    thread_local! {
        static DICE: Cell<u64> = Cell::new(RandomState::new().build_hasher().finish());
    }
    let mut dice = Dice(DICE.get());
    let chance = dice.chance();
    DICE.set(dice.0);
    chance
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn chances_are_even() {
        const DRAWS: usize = 100_000;
        let mut dice = Dice::new(7);
        let mut tenths = [0_usize; 10];
        for _ in 0..DRAWS {
            tenths[(dice.chance() * 10.0) as usize] += 1;
        }
        let sigma = (DRAWS as f64 * 0.1 * 0.9).sqrt();
        for tenth in tenths {
            assert!((tenth as f64 - DRAWS as f64 / 10.0).abs() < 3.5 * sigma, "{tenths:?}");
        }
    }

    #[test]
    fn threads_do_not_tell_the_same_numbers() {
        let first = || (chance(), chance());
        let other = thread::spawn(first).join().expect("it draws");
        assert_ne!(first(), other);
    }
}
