//! Routes and strategies in words: which matched, which rule holds, and how likely each comes first.

use std::sync::Arc;

use jiff::Timestamp;

use super::answer::{Hedge, Member, Named, Rule, Strategy, Warmth, millis};
use super::view::View;
use crate::config::{Affinity, Mode};
use crate::routing::candidates::Claims;
use crate::routing::order::{self, Group, Node};
use crate::routing::{Facts, Route};

/// The named routes up to the one that takes a request.
pub(super) fn routes(routes: &[Route], facts: &Facts<'_>, clock: Timestamp) -> Vec<Named> {
    let mut named = Vec::new();
    for route in routes {
        let objection = route.when.objection(facts, clock);
        let matched = objection.is_none();
        named.push(Named { name: route.name.clone().unwrap_or_default(), matched, objection });
        if matched {
            break;
        }
    }
    named
}

impl View<'_> {
    /// The name of a target or group; `None` if it is out of service.
    fn name(&self, node: &Node) -> Option<Arc<str>> {
        match node {
            Node::Leaf(leaf) => self.route.leaves.get(usize::from(*leaf)).map(|target| target.name.clone()),
            Node::Group(group) => Some(group.name.clone()),
        }
    }

    /// A strategy with all below it.
    pub(super) fn strategy(&self, group: &Group) -> Strategy {
        let weighs = matches!(group.strategy, order::Strategy::Weighted);
        let of_members = || {
            let members = group.members.iter();
            members.filter_map(|member| self.member(&member.node, weighs.then_some(member.weight), None)).collect()
        };
        let (mode, rules, members) = match &group.strategy {
            order::Strategy::Single => (Mode::Single, Vec::new(), of_members()),
            order::Strategy::Fallback => (Mode::Fallback, Vec::new(), of_members()),
            order::Strategy::Weighted => (Mode::Loadbalance, Vec::new(), of_members()),
            order::Strategy::Fastest => (Mode::LeastLatency, Vec::new(), of_members()),
            order::Strategy::Cheapest(_) => (Mode::CostOptimized, Vec::new(), of_members()),
            order::Strategy::Rules { rules, first, .. } => {
                let mode = if *first { Mode::Conditional } else { Mode::ContentBased };
                (mode, self.rules(rules), of_members())
            }
            order::Strategy::Test(test) => {
                let label = |at: u8| self.route.labels.get(usize::from(at).checked_sub(1)?).cloned();
                let variants = test.variants.iter();
                let variants = variants.filter_map(|one| self.member(&one.to, Some(one.weight), label(one.label)));
                (Mode::AbTest, Vec::new(), variants.collect())
            }
        };
        let rule = rules.iter().find(|rule| rule.matched).map(|rule| rule.index);
        Strategy { mode, rules, rule, members }
    }

    fn member(&self, node: &Node, weight: Option<f64>, variant: Option<Arc<str>>) -> Option<Member> {
        let strategy = match node {
            Node::Leaf(_) => None,
            Node::Group(group) => Some(self.strategy(group)),
        };
        Some(Member { name: self.name(node)?, variant, weight, strategy })
    }

    /// The rules up to the one that holds.
    fn rules(&self, rules: &[order::Rule]) -> Vec<Rule> {
        let mut said = Vec::new();
        for (index, rule) in rules.iter().enumerate() {
            let objection = rule.when.objection(self.facts, self.moment.clock());
            let matched = objection.is_none();
            said.push(Rule { index, target_key: self.name(&rule.to), matched, objection });
            if matched {
                break;
            }
        }
        said
    }

    /// When a second attempt is made beside the first.
    pub(super) fn hedge(&self) -> Option<Hedge> {
        let hedge = self.route.hedge.as_ref()?;
        let first = self.order.first().map(|pick| &self.candidates.list[usize::from(pick.at)]);
        let after = first.map_or(hedge.after, |first| hedge.patience(first, self.facts.call.stream));
        Some(Hedge { after_ms: after.map(millis) })
    }

    /// Where the prompt is cached.
    pub(super) fn warmth(&self) -> Option<Warmth> {
        self.route.goes_by.affinity.filter(|how| *how != Affinity::Off)?;
        self.rules.routing.affinity.as_ref()?;
        let target =
            self.conversation.warm.and_then(|warm| self.route.leaves.iter().find(|target| target.tag == warm.target));
        Some(Warmth { conversation: self.conversation.known.is_some(), warm: target.map(|target| target.name.clone()) })
    }

    /// For each candidate, in how many of a hundred draws by weight it comes first; `None` if nobody is drawn by weight.
    pub(super) fn shares(&self) -> Option<Vec<f64>> {
        let mut shares = vec![0.0; self.candidates.list.len()];
        let weighed = self.share(&self.route.root, None, 100.0, &mut shares);
        weighed.then_some(shares)
    }

    fn share(&self, group: &Group, mask: Option<Claims>, whole: f64, shares: &mut [f64]) -> bool {
        let mask = self.pool(group, mask);
        let weighed: Vec<(&Node, f64)> = match &group.strategy {
            order::Strategy::Weighted => group.members.iter().map(|one| (&one.node, one.weight)).collect(),
            order::Strategy::Test(test) => test.variants.iter().map(|one| (&one.to, one.weight)).collect(),
            _ => {
                let places = group.members.iter().filter_map(|one| Some((self.earliest(&one.node)?, &one.node)));
                let first = places.min_by_key(|(place, _)| *place);
                return first.is_some_and(|(_, node)| self.part(node, mask, whole, shares));
            }
        };
        let able: Vec<_> =
            weighed.into_iter().filter(|(node, weight)| *weight > 0.0 && self.is_able(node, mask)).collect();
        let total: f64 = able.iter().map(|(_, weight)| weight).sum();
        for (node, weight) in able {
            self.part(node, mask, whole * weight / total, shares);
        }
        true
    }

    fn part(&self, node: &Node, mask: Option<Claims>, whole: f64, shares: &mut [f64]) -> bool {
        match node {
            Node::Group(group) => self.share(group, mask, whole, shares),
            Node::Leaf(leaf) => {
                if let Some((at, _)) = self.candidate(*leaf) {
                    shares[usize::from(at)] += whole;
                }
                false
            }
        }
    }
}
