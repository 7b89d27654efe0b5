//! An order: who is asked for a call, one after the other, nobody twice.

use std::ops::{Deref, DerefMut};

use smallvec::SmallVec;

/// One place in an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pick {
    /// Whose, among the candidates.
    pub at: u16,
    /// Only in place of those before, when none of them could even be asked.
    pub spare: bool,
    /// The name of the variant among the labels of the route, and one more; 0 for none.
    pub label: u8,
}

/// A place without anything special.
pub(super) const PLAIN: Pick = Pick { at: 0, spare: false, label: 0 };

/// A place in the stead of others.
pub(super) const SPARE: Pick = Pick { spare: true, ..PLAIN };

/// Who is asked, in order. Short ones are no allocation.
#[derive(Debug, Default)]
pub struct Order {
    picks: SmallVec<[Pick; 8]>,
    /// A bit for each of the first 64 candidates that is in it, so that longer orders need not be searched.
    seen: u64,
}

impl Order {
    /// With room for so many.
    pub(super) fn with_capacity(most: usize) -> Self {
        Self { picks: SmallVec::with_capacity(most), seen: 0 }
    }

    /// Puts a candidate behind the others, unless it is among them.
    pub(super) fn push(&mut self, pick: Pick) {
        let bit = bit(pick.at);
        let known = if bit == 0 { self.picks.iter().any(|one| one.at == pick.at) } else { self.seen & bit != 0 };
        if !known {
            self.seen |= bit;
            self.picks.push(pick);
        }
    }

    /// Takes those out from this place on who are not to be kept.
    pub(super) fn retain_from(&mut self, from: usize, keep: impl Fn(u16) -> bool) {
        let (mut place, mut seen) = (0, self.seen);
        self.picks.retain(|pick| {
            place += 1;
            let keeps = place <= from || keep(pick.at);
            seen &= if keeps { u64::MAX } else { !bit(pick.at) };
            keeps
        });
        self.seen = seen;
    }
}

/// The bit of a candidate; 0 beyond those that have one.
fn bit(at: u16) -> u64 {
    1_u64.checked_shl(at.into()).unwrap_or(0)
}

impl From<Pick> for Order {
    fn from(pick: Pick) -> Self {
        let mut order = Self::default();
        order.push(pick);
        order
    }
}

impl Deref for Order {
    type Target = [Pick];

    fn deref(&self) -> &[Pick] {
        &self.picks
    }
}

impl DerefMut for Order {
    fn deref_mut(&mut self) -> &mut [Pick] {
        &mut self.picks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(order: &Order) -> Vec<u16> {
        order.iter().map(|pick| pick.at).collect()
    }

    #[test]
    fn nobody_is_in_it_twice_however_many_there_are() {
        let mut order = Order::default();
        for at in [3, 63, 64, 200, 3, 64, 63, 200, 0] {
            order.push(Pick { at, ..PLAIN });
        }
        assert_eq!(places(&order), [3, 63, 64, 200, 0]);
    }

    #[test]
    fn who_was_taken_out_can_come_back() {
        let mut order = Order::default();
        [1, 2, 70, 4].into_iter().for_each(|at| order.push(Pick { at, ..PLAIN }));
        order.retain_from(1, |at| at == 4);
        assert_eq!(places(&order), [1, 4]);
        [4, 2, 70].into_iter().for_each(|at| order.push(Pick { at, ..PLAIN }));
        assert_eq!(places(&order), [1, 4, 2, 70]);
    }
}
