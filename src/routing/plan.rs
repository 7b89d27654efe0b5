//! A plan: who is asked for one call, in order, and by which route.

use std::sync::Arc;

use smallvec::SmallVec;

use super::affinity::Warm;
use super::candidates::{Candidate, Candidates};
use super::picks::{Order, PLAIN, Pick};
use super::route::Route;

/// Who is asked for one model of a call.
pub struct Leg<'r> {
    /// The route that took it.
    pub route: &'r Route,
    /// Who can be asked.
    pub candidates: Arc<Candidates>,
    /// In which order.
    pub order: Order,
    /// The conversation that the call is part of, where requests of one stay together, and where it is cached.
    pub conversation: Conversation,
}

/// What a request belongs to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Conversation {
    /// The conversation, if it is known.
    pub known: Option<u64>,
    /// Where its prompt is cached, if that would answer.
    pub warm: Option<Warm>,
}

/// Who is asked for a call: a leg for each model it may be asked of.
#[derive(Default)]
pub struct Plan<'r> {
    /// In order; one but for aliases that name several models.
    pub legs: SmallVec<[Leg<'r>; 1]>,
}

/// One place of a plan.
#[derive(Clone, Copy)]
pub struct Step<'p> {
    /// Who is asked, and for which model.
    pub candidate: &'p Candidate,
    /// The route.
    pub route: &'p Route,
    /// How.
    pub pick: Pick,
    /// Where the conversation is cached.
    pub warm: Option<Warm>,
}

impl Step<'_> {
    /// The key of the target with which the conversation is cached.
    pub fn key(&self) -> Option<u8> {
        self.warm.filter(|warm| warm.target == self.candidate.target.tag).map(|warm| warm.key)
    }

    /// The name of the variant it is, if it is one.
    pub fn label(&self) -> Option<&Arc<str>> {
        self.route.labels.get(usize::from(self.pick.label).checked_sub(1)?)
    }
}

impl<'r> Plan<'r> {
    /// A plan of one target.
    pub fn only(route: &'r Route, candidates: Candidates) -> Self {
        let (candidates, order) = (Arc::new(candidates), PLAIN.into());
        let leg = Leg { route, candidates, order, conversation: Conversation::default() };
        Self { legs: SmallVec::from_iter([leg]) }
    }

    /// The steps, in order.
    pub fn steps(&self) -> impl Iterator<Item = Step<'_>> {
        self.legs.iter().flat_map(|leg| {
            leg.order.iter().map(|pick| Step {
                candidate: &leg.candidates.list[usize::from(pick.at)],
                route: leg.route,
                pick: *pick,
                warm: leg.conversation.warm,
            })
        })
    }

    /// Whether there is nobody to ask.
    pub fn is_empty(&self) -> bool {
        self.legs.iter().all(|leg| leg.order.is_empty())
    }
}
