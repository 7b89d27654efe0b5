//! Strategies: in which order those who serve a model are asked.

use std::sync::Arc;
use std::time::Instant;

use smallvec::SmallVec;

use super::candidates::{Candidate, Candidates, Claim, Claims};
use super::cost;
use super::experiment::Test;
use super::facts::Facts;
use super::matcher::Matcher;
use super::pace::Standing;
use super::pick::{self, Turns};
pub use super::picks::{Order, Pick};
use super::picks::{PLAIN, SPARE};
use super::route::Moment;
use crate::config::Unpriced;

/// A target, by its number among the leaves of its route, or targets that have a strategy of their own.
#[derive(Debug)]
pub enum Node {
    /// One target.
    Leaf(u16),
    /// Several.
    Group(Arc<Group>),
}

/// Targets and groups with a strategy.
#[derive(Debug)]
pub struct Group {
    /// Its name in the configuration; empty for what a route or the configuration itself holds.
    pub name: Arc<str>,
    /// In the order of the configuration, without those out of service.
    pub members: Vec<Member>,
    /// How they are ordered.
    pub strategy: Strategy,
    /// Whether the member where a conversation is cached comes before what the strategy says.
    pub warms: bool,
}

/// One entry of a group.
#[derive(Debug)]
pub struct Member {
    /// Who.
    pub node: Node,
    /// Its share where the strategy weighs.
    pub weight: f64,
}

/// How members are ordered.
#[derive(Debug)]
pub enum Strategy {
    /// The first, and the others only in its place.
    Single,
    /// All, in order.
    Fallback,
    /// Drawn by weight.
    Weighted,
    /// The fastest first.
    Fastest,
    /// The cheapest first.
    Cheapest(Unpriced),
    /// Whom a rule names, and after a failure the others if `leave`.
    Rules {
        /// The first that holds decides.
        rules: Vec<Rule>,
        /// Whether the first member is meant when none holds; else all are asked in order.
        first: bool,
        /// Whether a failure moves on.
        leave: bool,
    },
    /// A variant, drawn by weight.
    Test(Test),
}

/// A rule of a strategy.
#[derive(Debug)]
pub struct Rule {
    /// Which requests it is about.
    pub when: Matcher,
    /// Who is asked for them.
    pub to: Node,
}

/// What a strategy goes by.
pub struct Asked<'a, 'c> {
    /// The request.
    pub facts: &'a Facts<'c>,
    /// Who can be asked.
    pub candidates: &'a Candidates,
    /// When.
    pub moment: Moment,
    /// The target where the conversation is cached, by its tag, if it would answer.
    pub warm: Option<u16>,
}

impl Asked<'_, '_> {
    fn candidate(&self, leaf: u16) -> Option<(u16, &Candidate)> {
        let at = self.candidates.place(leaf)?;
        Some((at, &self.candidates.list[usize::from(at)]))
    }
}

/// Random numbers from 0 to 1.
pub type Chance<'a> = &'a mut dyn FnMut() -> f64;

impl Node {
    /// Every leaf below.
    pub fn leaves(&self, each: &mut dyn FnMut(u16)) {
        match self {
            Node::Leaf(leaf) => each(*leaf),
            Node::Group(group) => group.members.iter().for_each(|member| member.node.leaves(each)),
        }
    }

    /// Of those below that can be asked, the least by some measure.
    fn least<T: PartialOrd>(
        &self,
        asked: &Asked<'_, '_>,
        mask: Claims,
        of: &dyn Fn(&Candidate) -> Option<T>,
    ) -> Option<T> {
        let mut least: Option<T> = None;
        if let Node::Leaf(leaf) = self {
            let candidate = asked.candidate(*leaf).filter(|(_, candidate)| mask.has(candidate.claim));
            return candidate.and_then(|(_, candidate)| of(candidate));
        }
        self.leaves(&mut |leaf| {
            let candidate = asked.candidate(leaf).filter(|(_, candidate)| mask.has(candidate.claim));
            if let Some(new) = candidate.and_then(|(_, candidate)| of(candidate))
                && least.as_ref().is_none_or(|old| new < *old)
            {
                least = Some(new);
            }
        });
        least
    }

    /// Of those below that can be asked, how the best one stands: idle and unknown, or fast.
    fn standing(&self, asked: &Asked<'_, '_>, mask: Claims, now: Instant) -> Standing {
        let stream = usize::from(asked.facts.call.stream);
        let mut best = Standing::NEW;
        let mut least = f64::INFINITY;
        let of = |leaf| {
            let candidate = asked.candidate(leaf).filter(|(_, candidate)| mask.has(candidate.claim));
            Some(candidate?.1.tracks.as_ref()?[stream].standing(now))
        };
        if let Node::Leaf(leaf) = self {
            return of(*leaf).unwrap_or(Standing::NEW);
        }
        self.leaves(&mut |leaf| {
            if let Some(standing) = of(leaf) {
                let rank = standing.score.unwrap_or(if standing.in_flight == 0 { -1.0 } else { f64::MAX });
                if rank < least {
                    (best, least) = (standing, rank);
                }
            }
        });
        best
    }

    /// Whether the target with this tag is below and can be asked.
    fn has(&self, asked: &Asked<'_, '_>, tag: u16) -> bool {
        let mut has = false;
        self.leaves(&mut |leaf| has |= asked.candidate(leaf).is_some_and(|(_, one)| one.target.tag == tag));
        has
    }

    fn is_able(&self, asked: &Asked<'_, '_>, mask: Claims) -> bool {
        match self {
            Node::Leaf(leaf) => asked.candidate(*leaf).is_some_and(|(_, candidate)| mask.has(candidate.claim)),
            Node::Group(group) => group.members.iter().any(|member| member.node.is_able(asked, mask)),
        }
    }

    /// Adds those below. With a `mask` only those with such a claim; without one, whoever is named serves.
    pub(super) fn add(
        &self,
        asked: &Asked<'_, '_>,
        mask: Option<Claims>,
        how: Pick,
        chance: Chance<'_>,
        order: &mut Order,
    ) {
        match self {
            Node::Leaf(leaf) => {
                if let Some((at, candidate)) = asked.candidate(*leaf)
                    && mask.is_none_or(|mask| mask.has(candidate.claim))
                {
                    order.push(Pick { at, ..how });
                }
            }
            Node::Group(group) => {
                let from = order.len();
                group.order(asked, mask, chance, order);
                for pick in &mut order[from..] {
                    pick.spare |= how.spare;
                    pick.label = if pick.label == 0 { how.label } else { pick.label };
                }
            }
        }
    }
}

impl Group {
    /// Appends who is asked, in order.
    pub fn order(&self, asked: &Asked<'_, '_>, mask: Option<Claims>, chance: Chance<'_>, order: &mut Order) {
        let pool = || mask.unwrap_or_else(|| self.claims(asked));
        match &self.strategy {
            Strategy::Single => {
                let Some((first, others)) = self.members.split_first() else { return };
                let from = order.len();
                first.node.add(asked, None, PLAIN, chance, order);
                if order.len() > from {
                    let mask = Some(pool());
                    others.iter().for_each(|member| member.node.add(asked, mask, SPARE, chance, order));
                }
            }
            Strategy::Fallback => {
                let mask = Some(pool());
                self.members.iter().for_each(|member| member.node.add(asked, mask, PLAIN, chance, order));
            }
            Strategy::Weighted => {
                let mask = pool();
                let weight = |member: &Member| if member.node.is_able(asked, mask) { member.weight } else { 0.0 };
                let weights: SmallVec<[f64; 32]> = self.members.iter().map(weight).collect();
                let mut turns = Turns::new();
                pick::weighted(&weights, &mut || chance(), &mut turns);
                self.in_turn(&mut turns, asked, mask, chance, order);
            }
            Strategy::Fastest => {
                let mask = pool();
                let able: Turns = self.able(asked, mask).collect();
                let now = asked.moment.now();
                let standing = |at: &u16| self.members[usize::from(*at)].node.standing(asked, mask, now);
                let standings: SmallVec<[Standing; 32]> = able.iter().map(standing).collect();
                let mut turns = Turns::new();
                pick::least(&standings, &mut || chance(), &mut turns);
                turns.iter_mut().for_each(|turn| *turn = able[usize::from(*turn)]);
                self.in_turn(&mut turns, asked, mask, chance, order);
            }
            Strategy::Cheapest(unpriced) => self.cheapest(*unpriced, asked, pool(), chance, order),
            Strategy::Rules { rules, first, leave } => {
                let rest = Pick { spare: !leave, ..PLAIN };
                let from = order.len();
                let clock = asked.moment.clock();
                match rules.iter().find(|rule| rule.when.holds(asked.facts, clock)) {
                    Some(rule) => rule.to.add(asked, None, PLAIN, chance, order),
                    None if *first => {
                        self.members.iter().take(1).for_each(|one| one.node.add(asked, None, PLAIN, chance, order));
                    }
                    None => {
                        let mask = Some(pool());
                        let mut plain = PLAIN;
                        for member in &self.members {
                            member.node.add(asked, mask, plain, chance, order);
                            plain = if order.len() > from { rest } else { PLAIN };
                        }
                    }
                }
                // whom a rule names is meant: if it does not serve the model, nobody does
                if order.len() > from {
                    let mask = Some(pool());
                    self.members.iter().for_each(|member| member.node.add(asked, mask, rest, chance, order));
                }
            }
            Strategy::Test(test) => {
                let from = order.len();
                test.order(asked, chance, order);
                let drawn = order.len();
                if drawn > from {
                    let (mask, rest) = (Some(pool()), Pick { spare: !test.leave, ..PLAIN });
                    self.members.iter().for_each(|member| member.node.add(asked, mask, rest, chance, order));
                    test.without_the_drained(asked, drawn, order);
                }
            }
        }
    }

    /// Whether a single candidate is asked whatever is known of it: nobody is left out, named or labelled here.
    pub fn is_plain(&self) -> bool {
        matches!(self.strategy, Strategy::Fallback | Strategy::Fastest)
            && self.members.iter().all(|member| matches!(member.node, Node::Leaf(_)))
    }

    /// The claims that count among the members.
    fn claims(&self, asked: &Asked<'_, '_>) -> Claims {
        let mut best: Option<Claim> = None;
        for member in &self.members {
            member.node.leaves(&mut |leaf| {
                if let Some((_, candidate)) = asked.candidate(leaf) {
                    best = Some(best.map_or(candidate.claim, |best| best.min(candidate.claim)));
                }
            });
        }
        Claims::best(best.into_iter())
    }

    #[expect(clippy::cast_possible_truncation, reason = "the rules of a configuration allow far fewer members")]
    fn able<'a>(&'a self, asked: &'a Asked<'_, '_>, mask: Claims) -> impl Iterator<Item = u16> + 'a {
        let members = self.members.iter().enumerate();
        members.filter(move |(_, member)| member.node.is_able(asked, mask)).map(|(at, _)| at as u16)
    }

    /// Adds members in this order, but for one where the conversation is cached, which comes first.
    fn in_turn(&self, turns: &mut [u16], asked: &Asked<'_, '_>, mask: Claims, chance: Chance<'_>, order: &mut Order) {
        let node = |turn: u16| &self.members[usize::from(turn)].node;
        let warm = asked.warm.filter(|_| self.warms);
        if let Some(place) = warm.and_then(|tag| turns.iter().position(|turn| node(*turn).has(asked, tag))) {
            turns[..=place].rotate_right(1);
        }
        turns.iter().for_each(|turn| node(*turn).add(asked, Some(mask), PLAIN, chance, order));
    }

    fn cheapest(&self, unpriced: Unpriced, asked: &Asked<'_, '_>, mask: Claims, chance: Chance<'_>, order: &mut Order) {
        let (ask, clock) = (cost::Ask::of(asked.facts), asked.moment.clock());
        let price = |at: u16| {
            let of = |candidate: &Candidate| ask.cost(candidate, clock).map(|usd| usd.picos());
            self.members[usize::from(at)].node.least(asked, mask, &of)
        };
        let priced = self.able(asked, mask).map(|at| (price(at), at));
        let mut priced: SmallVec<[(Option<u64>, u16); 32]> = priced
            .filter_map(|(price, at)| match (price, unpriced) {
                (None, Unpriced::Skip) => None,
                (None, Unpriced::Allow) => Some((Some(0), at)),
                known => Some((known.0, at)),
            })
            .collect();
        priced.sort_by_key(|(price, _)| (price.is_none(), *price));
        let mut turns: Turns = priced.into_iter().map(|(_, at)| at).collect();
        self.in_turn(&mut turns, asked, mask, chance, order);
    }
}
