//! Every target of a route, in or out, and why.

use std::sync::Arc;
use std::time::Duration;

use super::answer::{Candidate, Predicted, Reason, Slots, State, amount, exact};
use super::view::{View, is_busy, is_full};
use crate::call::Body;
use crate::config::Unpriced;
use crate::routing::candidates::{self, Claim, Claims};
use crate::routing::order::{Group, Node, Strategy};
use crate::routing::{Target, cost};

impl View<'_> {
    /// All of them, those out of service last.
    pub(super) fn all(&self, model: &Arc<str>) -> Vec<Candidate> {
        let leaves = self.route.leaves.iter().zip(0_u16..);
        let leaves = leaves.map(|(target, leaf)| match self.candidate(leaf) {
            None => self.unable(target, model),
            Some((at, candidate)) => self.able(leaf, at, candidate),
        });
        let drained = self.route.drained.iter().map(|one| {
            let whose = one.group.as_ref().map_or("its weight".to_owned(), |group| format!("the weight of `{group}`"));
            let words = format!("the configuration takes it out of service: {whose} is 0");
            Candidate { reasons: vec![Reason::new("drained", words)], ..out(&one.target) }
        });
        leaves.chain(drained).collect()
    }

    /// One that must not be asked for the model.
    fn unable(&self, target: &Arc<Target>, model: &Arc<str>) -> Candidate {
        let (spec, op) = (target.provider.spec, self.facts.call.op);
        let reason = if spec.serves(op) {
            let how = match (target.has_told(), target.models.is_empty() && target.wildcards.is_empty()) {
                _ if target.any => "it takes any name but those that are another's",
                (true, _) => "its provider does not list it",
                (false, true) => "its name is not one of its vendor's",
                (false, false) => "it is not among its `models`",
            };
            Reason::new("not_serving", format!("it is not known to serve `{model}`: {how}"))
        } else {
            let words = format!("{} does not serve the surface `{}`", spec.id, op.name());
            Reason::new("surface_not_supported", words)
        };
        Candidate { provider: Some(spec.id), reasons: vec![reason], ..out(&target.name) }
    }

    /// One that can be asked.
    fn able(&self, leaf: u16, at: u16, candidate: &candidates::Candidate) -> Candidate {
        let target = &candidate.target;
        let pick = self.order.iter().find(|pick| pick.at == at);
        let mut reasons = Vec::new();
        let mut warnings = Vec::new();
        match pick {
            None => reasons.push(self.why_not(&self.route.root, None, leaf)),
            Some(pick) => {
                if pick.spare {
                    reasons.push(Reason::new("spare", "it is asked only if none of those before it can even be asked"));
                }
                if candidate.prices.is_none() && self.route.goes_by.price {
                    reasons.push(Reason::new("unpriced", "its price for the model is not known"));
                }
                if let Some(error) = self.refused(candidate, &mut warnings) {
                    reasons.push(Reason::new(error.code(), error.to_string()));
                }
            }
        }
        let track = candidate.tracks.as_ref().map(|tracks| &tracks[usize::from(self.facts.call.stream)]);
        let times = track.map(|track| track.times(self.now())).filter(|times| *times > 1);
        if let Some(times) = times.filter(|_| goes_by_speed(&self.route.root)) {
            let words = format!("it has failed lately, which `least-latency` takes for {times} times as slow");
            reasons.push(Reason::new("failing", words));
        }
        self.condition(target, &mut reasons);
        Candidate {
            provider: Some(target.provider.spec.id),
            is_in: pick.is_some() && self.obstacle(candidate).is_none(),
            reasons,
            claim: Some(claim(candidate.claim)),
            model: Some(candidate.model.clone()),
            predicted: self.predicted(candidate),
            state: Some(self.state(candidate)),
            warnings,
            ..out(&target.name)
        }
    }

    /// What keeps a target from being asked at once.
    fn condition(&self, target: &Target, reasons: &mut Vec<Reason>) {
        let (vitals, now) = (&target.vitals, self.now());
        if let Some(breaker) = vitals.breaker.as_ref().filter(|breaker| breaker.is_open(now)) {
            reasons.push(match breaker.remaining(now) {
                Some(left) => {
                    let words = format!("its circuit is open after failures, for another {}", seconds(left));
                    Reason::lasting("circuit_open", words, left)
                }
                None => Reason::new("circuit_open", "its circuit is half open, and as many try it already as may"),
            });
        }
        if let Some(left) = vitals.rests(now) {
            let words = format!("its provider has asked for a pause: it comes behind others for {}", seconds(left));
            reasons.push(Reason::lasting("cooling_down", words, left));
        }
        if let Some(keys) = target.provider.keys()
            && let Some(left) = keys.all_cooling(now)
        {
            let words = format!("all of its {} keys cool down; the first is back in {}", keys.size(), seconds(left));
            reasons.push(Reason::lasting("cooling_down", words, left));
        }
        if let Some(slots) = vitals.slots.as_ref().filter(|slots| is_busy(slots)) {
            let (most, waiting, queue) = (slots.terms().most, slots.waiting(), slots.terms().queue);
            let what = if is_full(slots) { "so that nobody else may wait" } else { "and this one would wait, too" };
            let words = format!("all of its {most} places are taken and {waiting} of at most {queue} wait, {what}");
            reasons.push(Reason::new("saturated", words));
        }
    }

    /// Why one that serves the model has no place in the order.
    fn why_not(&self, group: &Group, mask: Option<Claims>, leaf: u16) -> Reason {
        let not_chosen = |words: String| Reason::new("not_chosen", words);
        let named = self.pool(group, mask).is_none();
        let mask = Some(self.claims(group, mask)).filter(|_| !named || !self.order.is_empty());
        let Some((_, candidate)) = self.candidate(leaf) else { return not_chosen("it cannot be asked".to_owned()) };
        if let Some(mask) = mask.filter(|mask| !mask.has(candidate.claim)) {
            let surer = self.candidates.list.iter().filter(|one| mask.has(one.claim));
            let names: Vec<_> = surer.map(|one| format!("`{}`", one.target.name)).collect();
            let own = claim(candidate.claim).words;
            return Reason::new("not_serving", format!("{own}, but it is surer of {}", names.join(", ")));
        }
        let below = |node: &Node| {
            let mut below = false;
            node.leaves(&mut |other| below |= other == leaf);
            below
        };
        let member = group.members.iter().find(|member| below(&member.node));
        match &group.strategy {
            Strategy::Weighted if member.is_some_and(|member| member.weight <= 0.0) => {
                return Reason::new("weight_zero", "its weight is 0 here: it is never drawn");
            }
            Strategy::Test(test) if test.variants.iter().any(|one| one.weight <= 0.0 && below(&one.to)) => {
                return Reason::new("weight_zero", "it is a variant whose weight is 0: it is never drawn");
            }
            Strategy::Cheapest(Unpriced::Skip) if candidate.prices.is_none() => {
                let words = "its price for the model is not known, and `unpriced_strategy` is `skip`";
                return Reason::new("unpriced", words);
            }
            _ => {}
        }
        if let Some(Node::Group(inner)) = member.map(|member| &member.node) {
            let words = self.why_not(inner, mask, leaf);
            if words.code != "not_chosen" {
                return words;
            }
        }
        not_chosen(match &group.strategy {
            Strategy::Single => "the strategy `single` asks its first target alone, which cannot be asked".to_owned(),
            Strategy::Rules { .. } => "a rule names somebody else, who cannot be asked".to_owned(),
            Strategy::Test(test) if !test.leave && !self.order.is_empty() => {
                "the request stays with the variant that is drawn: `on_failure` is `stay`".to_owned()
            }
            Strategy::Test(_) => "no variant can be asked".to_owned(),
            _ => "its group is not asked".to_owned(),
        })
    }

    fn predicted(&self, candidate: &candidates::Candidate) -> Option<Predicted> {
        if !matches!(self.facts.call.body, Body::Json(_)) {
            return None;
        }
        let ask = cost::Ask::of(self.facts);
        let usage = ask.usage(candidate);
        Some(Predicted {
            prompt_tokens: usage.prompt,
            completion_tokens: usage.completion,
            cached_tokens: usage.cached,
            cost_usd: ask.cost(candidate, self.moment.clock()).and_then(amount),
        })
    }

    fn state(&self, candidate: &candidates::Candidate) -> State {
        let (vitals, now) = (&candidate.target.vitals, self.now());
        let track = vitals.pace.peek(&candidate.model, self.facts.call.stream);
        State {
            circuit: vitals.breaker.as_ref().map(|breaker| breaker.state(now).name()),
            slots: vitals.slots.as_ref().map(|slots| Slots {
                in_use: slots.in_use(),
                most: slots.terms().most,
                waiting: slots.waiting(),
                queue: slots.terms().queue,
            }),
            latency_ms: track.as_ref().and_then(|track| track.estimate(now)).map(exact),
            in_flight: track.as_ref().map_or(0, |track| track.in_flight()),
        }
    }
}

/// Whether a strategy in it asks the fastest first.
fn goes_by_speed(group: &Group) -> bool {
    let inner = |node: &Node| matches!(node, Node::Group(inner) if goes_by_speed(inner));
    matches!(group.strategy, Strategy::Fastest) || group.members.iter().any(|member| inner(&member.node))
}

/// One that is out, with nothing more to say of it.
fn out(name: &Arc<str>) -> Candidate {
    Candidate {
        target: name.clone(),
        provider: None,
        is_in: false,
        reasons: Vec::new(),
        claim: None,
        model: None,
        predicted: None,
        state: None,
        warnings: Vec::new(),
    }
}

/// Why a target is taken to serve a model.
fn claim(claim: Claim) -> Reason {
    let (code, words) = match claim {
        Claim::Declared => ("declared", "the configuration says that it serves the model"),
        Claim::Listed => ("listed", "its provider lists the model"),
        Claim::Addressed => ("addressed", "the model's name begins with its own"),
        Claim::Likely => ("likely", "the name is like its vendor's, and its provider has not told its models yet"),
        Claim::Owned => ("owned", "the name is like its vendor's, but its provider does not list it"),
        Claim::Catalogued => ("catalogued", "the catalog knows the model as its provider's"),
        Claim::Any => ("any", "it takes any name"),
    };
    Reason::new(code, words)
}

fn seconds(left: Duration) -> String {
    format!("{:.1} s", left.as_secs_f64())
}
