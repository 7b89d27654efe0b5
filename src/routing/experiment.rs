//! `ab-test`: a variant is drawn, and a caller may stay with theirs.

use http::HeaderName;
use smallvec::SmallVec;

use super::order::{Asked, Chance, Node};
use super::pick;
use super::picks::{Order, PLAIN, Pick};
use crate::config::StickyBy;

/// An experiment.
#[derive(Debug)]
pub struct Test {
    /// What is compared.
    pub variants: Vec<Variant>,
    /// What keeps a caller with one variant, and the header where that is one.
    pub sticky: Option<(StickyBy, Option<HeaderName>)>,
    /// Whether a failure moves on.
    pub leave: bool,
    /// What tells it from other experiments, so that each splits the same callers in its own way.
    pub salt: u64,
}

/// One side of an experiment.
#[derive(Debug)]
pub struct Variant {
    /// Who is asked.
    pub to: Node,
    /// Its share.
    pub weight: f64,
    /// Its name among the labels of the route, and one more.
    pub label: u8,
}

impl Test {
    /// Appends who is asked: the variant that is drawn, and after it the others.
    pub(super) fn order(&self, asked: &Asked<'_, '_>, chance: Chance<'_>, order: &mut Order) {
        let able = |variant: &Variant| {
            let mut able = false;
            variant.to.leaves(&mut |leaf| able |= asked.candidates.place(leaf).is_some());
            able
        };
        let weight = |variant: &Variant| if able(variant) { variant.weight } else { 0.0 };
        let weights: SmallVec<[f64; 8]> = self.variants.iter().map(weight).collect();
        let mut drawn = false;
        let mut sticky = self.sticky_chance(asked);
        let mut first = || match sticky.take().filter(|_| !drawn) {
            Some(chance) => {
                drawn = true;
                chance
            }
            None => chance(),
        };
        let mut turns = pick::Turns::new();
        pick::Shares::of(&weights).draw(&mut first, &mut turns);
        for turn in turns.into_iter().take(if self.leave { usize::MAX } else { 1 }) {
            let variant = &self.variants[usize::from(turn)];
            variant.to.add(asked, None, Pick { label: variant.label, ..PLAIN }, chance, order);
        }
    }

    /// Takes those out from this place on who are a variant without a share: they get no failover either.
    pub(super) fn without_the_drained(&self, asked: &Asked<'_, '_>, from: usize, order: &mut Order) {
        let mut drained: SmallVec<[u16; 8]> = SmallVec::new();
        for variant in self.variants.iter().filter(|variant| variant.weight <= 0.0) {
            variant.to.leaves(&mut |leaf| drained.extend(asked.candidates.place(leaf)));
        }
        order.retain_from(from, |at| !drained.contains(&at));
    }

    /// What stands in for chance where a caller shall stay with one variant: the same number for the same caller.
    #[expect(clippy::cast_precision_loss, reason = "53 bits of a hash are enough")]
    fn sticky_chance(&self, asked: &Asked<'_, '_>) -> Option<f64> {
        let (by, header) = self.sticky.as_ref()?;
        let facts = asked.facts;
        let name = match by {
            StickyBy::Key => facts.call.key.as_deref().map(str::to_owned),
            StickyBy::User => facts.user().map(std::borrow::Cow::into_owned),
            StickyBy::Header => facts.header(header.as_ref()?.as_str()).map(str::to_owned),
        };
        let name = name.filter(|name| !name.is_empty())?;
        Some((fnv(self.salt, name.as_bytes()) >> 11) as f64 / (1_u64 << 53) as f64)
    }
}

impl Test {
    /// The salt of an experiment with these variants.
    pub fn salt<'v>(labels: impl Iterator<Item = &'v str>) -> u64 {
        labels.fold(0, |salt, label| fnv(salt, label.as_bytes()))
    }
}

/// FNV-1a with a last mix: the same on every machine and in every version, so that replicas agree.
fn fnv(salt: u64, bytes: &[u8]) -> u64 {
    let start = 0xcbf2_9ce4_8422_2325_u64 ^ salt;
    let hash = bytes.iter().fold(start, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    let mixed = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    mixed ^ (mixed >> 33)
}
