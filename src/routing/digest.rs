//! A fast hash for tables of ours, where a collision costs nothing but a comparison or a missed chance.
//!
//! Sixteen bytes a multiplication, folded as in <https://github.com/wangyi-fudan/wyhash>. Not for anything that someone
//! gains by guessing.

use std::hash::{BuildHasherDefault, Hasher};

/// For `HashMap`s that are bounded in size.
pub type Digests = BuildHasherDefault<Digest>;

/// The state of a hash.
#[derive(Clone, Debug)]
pub struct Digest(u64);

const ONE: u64 = 0xa076_1d64_78bd_642f;
const TWO: u64 = 0xe703_7ed1_a0b4_28db;

impl Default for Digest {
    fn default() -> Self {
        Self(ONE)
    }
}

impl Digest {
    /// A state that only its seed's owner can foretell.
    pub fn seeded(seed: u64) -> Self {
        Self(ONE ^ seed)
    }
}

#[inline]
fn fold(one: u64, other: u64) -> u64 {
    let wide = u128::from(one) * u128::from(other);
    wide as u64 ^ (wide >> 64) as u64
}

impl Hasher for Digest {
    /// Two writes are not as one of both.
    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        let word = |bytes: &[u8]| bytes.try_into().map(u64::from_le_bytes).unwrap_or_default();
        let mut add = |pair: &[u8; 16]| {
            self.0 = fold(word(&pair[..8]) ^ self.0, word(&pair[8..]) ^ TWO);
        };
        let (pairs, rest) = bytes.as_chunks::<16>();
        pairs.iter().for_each(&mut add);
        if !rest.is_empty() {
            let mut last = [0; 16];
            last[..rest.len()].copy_from_slice(rest);
            add(&last);
        }
        // the state goes on even from a zero
        self.0 = fold(self.0 ^ ONE, bytes.len() as u64 ^ TWO);
    }

    #[inline]
    fn write_u8(&mut self, byte: u8) {
        self.write_u64(byte.into());
    }

    #[inline]
    fn write_u64(&mut self, word: u64) {
        self.0 = fold(self.0 ^ word, TWO);
    }

    #[inline]
    fn finish(&self) -> u64 {
        fold(self.0 ^ TWO, ONE)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn digest(parts: &[&[u8]]) -> u64 {
        let mut digest = Digest::default();
        parts.iter().for_each(|part| digest.write(part));
        digest.finish()
    }

    #[test]
    fn every_length_every_byte_and_every_cut_matters() {
        let text = [0_u8; 100];
        let mut seen: HashSet<u64> = (0..text.len()).map(|len| digest(&[&text[..len]])).collect();
        for at in 0..text.len() {
            let mut other = text;
            other[at] = 1;
            seen.insert(digest(&[&other]));
            seen.insert(digest(&[&text[..at], &text[at..]]));
        }
        assert_eq!(seen.len(), 300);
    }

    #[test]
    fn numbers_in_a_row_spread_over_a_table() {
        const BUCKETS: u64 = 1_024;
        let mut filled = HashSet::new();
        let mut upper = HashSet::new();
        for number in 0..BUCKETS {
            let digest = digest(&[number.to_string().as_bytes()]);
            filled.insert(digest % BUCKETS);
            upper.insert(digest >> 54);
        }
        // of as many balls as boxes, 1 - 1/e of the boxes hold one: 647, with a deviation of 10
        for filled in [filled.len(), upper.len()] {
            assert!((607..687).contains(&filled), "{filled}");
        }
    }
}
