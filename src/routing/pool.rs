//! Who of a group's members can be asked for a model: found once a model, then read for every call.

use super::candidates::{Candidates, Claims};
use super::order::{Group, Node};
use super::pick::Shares;

/// The members of a group that can be asked for a model.
#[derive(Debug)]
pub struct Pool {
    /// The claims that count among them.
    pub mask: Claims,
    /// Who they are, in the order of the configuration.
    pub able: Box<[Able]>,
    /// With what each of them is drawn.
    pub shares: Shares,
    below: Box<[u16]>,
}

/// A member that can be asked.
#[derive(Clone, Copy, Debug)]
pub struct Able {
    /// Its place among the members.
    pub member: u16,
    from: u16,
    to: u16,
}

impl Pool {
    /// Those who can be asked with such a claim; if nobody has said which, with the best there is among them.
    #[expect(clippy::cast_possible_truncation, reason = "the rules of a configuration allow far fewer targets")]
    pub fn of(group: &Group, candidates: &Candidates, mask: Option<Claims>) -> Self {
        let claim = |at: u16| candidates.list[usize::from(at)].claim;
        let of = |node: &Node| {
            let mut places = Vec::new();
            node.leaves(&mut |leaf| places.extend(candidates.place(leaf)));
            places
        };
        let members: Vec<Vec<u16>> = group.members.iter().map(|member| of(&member.node)).collect();
        let mask = mask.unwrap_or_else(|| Claims::best(members.iter().flatten().map(|at| claim(*at))));
        let (mut able, mut below, mut weights) = (Vec::new(), Vec::new(), Vec::new());
        for (place, (member, places)) in group.members.iter().zip(members).enumerate() {
            let from = below.len();
            below.extend(places.into_iter().filter(|at| mask.has(claim(*at))));
            if below.len() > from {
                able.push(Able { member: place as u16, from: from as u16, to: below.len() as u16 });
                weights.push(member.weight);
            }
        }
        Self { mask, able: able.into(), shares: Shares::of(&weights), below: below.into() }
    }

    /// Those below one of them that can be asked: their places among the candidates.
    pub fn below(&self, able: Able) -> &[u16] {
        &self.below[usize::from(able.from)..usize::from(able.to)]
    }
}
