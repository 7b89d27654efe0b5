//! Strategies: in which order those who serve a model are asked.

use std::sync::Arc;

use smallvec::SmallVec;

use super::candidates::{Candidate, Candidates, Claims};
use super::cost;
use super::experiment::Test;
use super::facts::Facts;
use super::matcher::Matcher;
use super::pace::{Standing, Ticks};
use super::pick::{self, Turns};
pub use super::picks::{Order, Pick};
use super::picks::{PLAIN, SPARE};
use super::pool::{Able, Pool};
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
    /// Its number among the groups of its route.
    pub number: u16,
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

    fn of(&self, places: &[u16]) -> impl Iterator<Item = &Candidate> {
        places.iter().map(|at| &self.candidates.list[usize::from(*at)])
    }

    /// How the best of some stands: idle and unknown, or fast.
    fn standing(&self, places: &[u16], now: &mut Ticks, stream: usize) -> Standing {
        let mut of = |one: &Candidate| one.tracks.as_ref().map(|tracks| tracks[stream].standing_at(now));
        if let [only] = places {
            return of(&self.candidates.list[usize::from(*only)]).unwrap_or(Standing::NEW);
        }
        let rank = |standing: &Standing| match standing.score {
            Some(score) => score,
            None if standing.in_flight == 0 => -1.0,
            None => f64::MAX,
        };
        let all = self.of(places).filter_map(of);
        all.min_by(|one, other| rank(one).total_cmp(&rank(other))).unwrap_or(Standing::NEW)
    }

    /// Those of a pool by what this will cost, in picodollars, of the cheapest below each.
    #[expect(clippy::cast_possible_truncation, reason = "the rules of a configuration allow far fewer members")]
    fn cheapest(&self, pool: &Pool, unpriced: Unpriced) -> Turns {
        let (ask, clock) = (cost::Ask::of(self.facts), self.moment.clock());
        let cost = |one: &Candidate| ask.cost(one, clock).map(|usd| usd.picos());
        let priced = pool.able.iter().enumerate().filter_map(|(turn, able)| {
            let price = self.of(pool.below(*able)).filter_map(cost).min();
            match (price, unpriced) {
                (None, Unpriced::Skip) => None,
                (None, Unpriced::Allow) => Some((Some(0), turn as u16)),
                (price, _) => Some((price, turn as u16)),
            }
        });
        let mut priced: SmallVec<[(Option<u64>, u16); 32]> = priced.collect();
        priced.sort_by_key(|(price, _)| (price.is_none(), *price));
        priced.into_iter().map(|(_, turn)| turn).collect()
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
        match &self.strategy {
            Strategy::Single => {
                let Some((first, _)) = self.members.split_first() else { return };
                let from = order.len();
                first.node.add(asked, None, PLAIN, chance, order);
                if order.len() > from {
                    // a group that has come first draws no second time
                    let others = |able: &&Able| able.member != 0;
                    self.pooled(asked, mask, |pool| {
                        let others = pool.able.iter().filter(others);
                        others.for_each(|able| self.member(pool, *able, asked, SPARE, chance, order));
                    });
                }
            }
            Strategy::Fallback => self.pooled(asked, mask, |pool| self.rest(pool, asked, PLAIN, chance, order)),
            Strategy::Weighted => self.pooled(asked, mask, |pool| {
                let mut turns = Turns::new();
                pool.shares.draw(&mut || chance(), &mut turns);
                self.in_turn(pool, &mut turns, asked, chance, order);
            }),
            Strategy::Fastest => self.pooled(asked, mask, |pool| {
                let (mut now, stream) = (Ticks::of(asked.moment.now()), usize::from(asked.facts.call.stream));
                let standing = |able: &Able| asked.standing(pool.below(*able), &mut now, stream);
                let standings: SmallVec<[Standing; 32]> = pool.able.iter().map(standing).collect();
                let mut turns = Turns::new();
                pick::least(&standings, &mut || chance(), &mut turns);
                self.in_turn(pool, &mut turns, asked, chance, order);
            }),
            Strategy::Cheapest(unpriced) => self.pooled(asked, mask, |pool| {
                let mut turns = asked.cheapest(pool, *unpriced);
                self.in_turn(pool, &mut turns, asked, chance, order);
            }),
            Strategy::Rules { rules, first, leave } => {
                let rest = Pick { spare: !leave, ..PLAIN };
                let from = order.len();
                let clock = asked.moment.clock();
                match rules.iter().find(|rule| rule.when.holds(asked.facts, clock)) {
                    Some(rule) => rule.to.add(asked, None, PLAIN, chance, order),
                    None if *first => {
                        self.members.iter().take(1).for_each(|one| one.node.add(asked, None, PLAIN, chance, order));
                    }
                    None => self.pooled(asked, mask, |pool| {
                        for able in &pool.able {
                            self.member(pool, *able, asked, PLAIN, chance, order);
                            if order.len() > from {
                                break;
                            }
                        }
                    }),
                }
                // whom a rule names is meant: if it does not serve the model, nobody does
                if order.len() > from {
                    self.pooled(asked, mask, |pool| self.rest(pool, asked, rest, chance, order));
                }
            }
            Strategy::Test(test) => {
                let from = order.len();
                test.order(asked, chance, order);
                let drawn = order.len();
                // who stays is no part of the comparison anywhere else, not even while its circuit is open
                if drawn > from && test.leave {
                    self.pooled(asked, mask, |pool| self.rest(pool, asked, PLAIN, chance, order));
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

    /// Does something with those of its members who can be asked, with a claim that counts.
    fn pooled(&self, asked: &Asked<'_, '_>, mask: Option<Claims>, with: impl FnOnce(&Pool)) {
        match asked.candidates.pool(self) {
            Some(pool) if mask.is_none_or(|mask| mask == pool.mask) => with(pool),
            _ => with(&Pool::of(self, asked.candidates, mask)),
        }
    }

    /// Adds all of a pool in order.
    fn rest(&self, pool: &Pool, asked: &Asked<'_, '_>, how: Pick, chance: Chance<'_>, order: &mut Order) {
        pool.able.iter().for_each(|able| self.member(pool, *able, asked, how, chance, order));
    }

    fn member(&self, pool: &Pool, able: Able, asked: &Asked<'_, '_>, how: Pick, chance: Chance<'_>, order: &mut Order) {
        match &self.members[usize::from(able.member)].node {
            Node::Leaf(_) => pool.below(able).iter().for_each(|at| order.push(Pick { at: *at, ..how })),
            group => group.add(asked, Some(pool.mask), how, chance, order),
        }
    }

    /// Adds those of a pool in this order, but for one where the conversation is cached, which comes first.
    fn in_turn(&self, pool: &Pool, turns: &mut [u16], asked: &Asked<'_, '_>, chance: Chance<'_>, order: &mut Order) {
        let able = |turn: u16| pool.able[usize::from(turn)];
        let tag = |at: &u16| asked.candidates.list[usize::from(*at)].target.tag;
        if let Some(warm) = asked.warm.filter(|_| self.warms)
            && let Some(place) = turns.iter().position(|turn| pool.below(able(*turn)).iter().any(|at| tag(at) == warm))
        {
            turns[..=place].rotate_right(1);
        }
        turns.iter().for_each(|turn| self.member(pool, able(*turn), asked, PLAIN, chance, order));
    }
}
