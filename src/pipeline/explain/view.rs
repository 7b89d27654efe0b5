//! One model of a request on one route: what strategies see of it.

use std::sync::Arc;
use std::time::Instant;

use crate::call::{Body, Error, Op};
use crate::catalog::known::Owner;
use crate::catalog::price::Prices;
use crate::pipeline::Rules;
use crate::routing::candidates::{Candidate, Candidates, Claims};
use crate::routing::order::{Group, Node, Order, Strategy};
use crate::routing::plan::Conversation;
use crate::routing::slots::Slots;
use crate::routing::{Facts, Moment, Route, Target};

/// What a draw comes to here, so that the same question has the same answer: the middle, where the heaviest lies.
const CHANCE: f64 = 0.5;

/// A model on its route.
pub(super) struct View<'v> {
    /// What to go by.
    pub(super) rules: &'v Rules,
    /// The route.
    pub(super) route: &'v Route,
    /// The request.
    pub(super) facts: &'v Facts<'v>,
    /// Who can be asked.
    pub(super) candidates: Arc<Candidates>,
    /// Who would be asked.
    pub(super) order: Order,
    /// Whether a draw has decided.
    pub(super) drawn: bool,
    /// The conversation that the request is part of, and where it stays.
    pub(super) conversation: Conversation,
    /// When.
    pub(super) moment: Moment,
}

impl<'v> View<'v> {
    /// Plans as a call would, and leaves no trace: nothing is remembered of a model nobody has asked for.
    pub(super) fn new(
        rules: &'v Rules,
        route: &'v Route,
        facts: &'v Facts<'v>,
        model: &Arc<str>,
        moment: Moment,
    ) -> Self {
        let candidates = candidates(rules, route, facts.call.op, model);
        let mut drawn = false;
        let mut chance = || {
            drawn = true;
            CHANCE
        };
        let (order, conversation) = rules.routing.ordered(route, facts, &candidates, moment, &mut chance);
        let candidates = Arc::new(candidates);
        Self { rules, route, facts, candidates, order, drawn, conversation, moment }
    }

    /// The moment, for what fades.
    pub(super) fn now(&self) -> Instant {
        self.moment.now()
    }

    /// Why a candidate can't be asked this, and what is lost on the way there.
    pub(super) fn refused(&self, candidate: &Candidate, warnings: &mut Vec<String>) -> Option<Error> {
        let (provider, call) = (&candidate.target.provider, self.facts.call);
        if !matches!(call.body, Body::Json(_)) {
            return None;
        }
        let taken = provider.takes(call, &candidate.model, candidate.lacks);
        taken.and_then(|()| provider.preview(call, &candidate.model, warnings).map(drop)).err()
    }

    /// Why a candidate would be passed over as it is, in a word.
    pub(super) fn obstacle(&self, candidate: &Candidate) -> Option<&'static str> {
        let unfit = self.refused(candidate, &mut Vec::new()).filter(Error::is_of_content);
        unfit.map(|error| error.code()).or_else(|| obstacle(&candidate.target, self.now()))
    }

    /// A target by its number, if it can be asked.
    pub(super) fn candidate(&self, leaf: u16) -> Option<(u16, &Candidate)> {
        let at = self.candidates.place(leaf)?;
        Some((at, &self.candidates.list[usize::from(at)]))
    }

    /// Whether somebody below can be asked.
    pub(super) fn is_able(&self, node: &Node, mask: Option<Claims>) -> bool {
        let mut able = false;
        node.leaves(&mut |leaf| {
            let candidate = self.candidate(leaf);
            able |= candidate.is_some_and(|(_, one)| mask.is_none_or(|mask| mask.has(one.claim)));
        });
        able
    }

    /// The claims that count in a group for whom it means. `None` where whoever is named is meant.
    pub(super) fn pool(&self, group: &Group, mask: Option<Claims>) -> Option<Claims> {
        let pools = match &group.strategy {
            Strategy::Single | Strategy::Test(_) => false,
            Strategy::Rules { rules, first, .. } => {
                !first && !rules.iter().any(|rule| rule.when.holds(self.facts, self.moment.clock()))
            }
            Strategy::Fallback | Strategy::Weighted | Strategy::Fastest | Strategy::Cheapest(_) => true,
        };
        if !pools {
            return None;
        }
        Some(self.claims(group, mask))
    }

    /// The claims that count among the members of a group, if nobody above has decided.
    pub(super) fn claims(&self, group: &Group, mask: Option<Claims>) -> Claims {
        let own = || {
            let mut claims = Vec::new();
            group.members.iter().for_each(|member| {
                member.node.leaves(&mut |leaf| claims.extend(self.candidate(leaf).map(|(_, one)| one.claim)));
            });
            Claims::best(claims.into_iter())
        };
        mask.unwrap_or_else(own)
    }

    /// The earliest place of somebody below.
    pub(super) fn earliest(&self, node: &Node) -> Option<usize> {
        let mut earliest: Option<usize> = None;
        node.leaves(&mut |leaf| {
            let at = self.candidates.place(leaf);
            let place = self.order.iter().position(|pick| Some(pick.at) == at);
            earliest = earliest.into_iter().chain(place).min();
        });
        earliest
    }
}

/// Those who can be asked, with all that is known of each.
fn candidates(rules: &Rules, route: &Route, op: Op, model: &Arc<str>) -> Candidates {
    Candidates::of((&route.leaves, route.groups), op, model, |target, model, claim| {
        let owner = Owner { provider: target.provider.spec.id, target: &target.name };
        let prices = rules.catalog.prices(owner, &model);
        let tracks = [false, true].map(|stream| target.vitals.pace.peek(&model, stream));
        Candidate {
            target: target.clone(),
            per_token: prices.as_ref().and_then(Prices::per_token),
            prices,
            tracks: match tracks {
                [Some(whole), Some(streamed)] => Some([whole, streamed]),
                _ => None,
            },
            habit: target.vitals.habits.peek(&model),
            lacks: target.provider.lacks(&model),
            claim,
            model,
        }
    })
}

/// Whether so many hold a place and so many wait that nobody is let in.
pub(super) fn is_full(slots: &Slots) -> bool {
    is_busy(slots) && slots.waiting() >= slots.terms().queue
}

/// Whether every place is taken.
pub(super) fn is_busy(slots: &Slots) -> bool {
    slots.in_use() >= slots.terms().most
}

/// Why a target would be passed over as it is, in a word.
fn obstacle(target: &Target, now: Instant) -> Option<&'static str> {
    let vitals = &target.vitals;
    if vitals.breaker.as_ref().is_some_and(|breaker| breaker.is_open(now)) {
        return Some("circuit_open");
    }
    vitals.slots.as_ref().is_some_and(|slots| is_full(slots)).then_some("saturated")
}
