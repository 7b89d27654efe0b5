//! What would become of a request, and why: who is asked, who is not, in which order and at which price, and what would
//! be sent. Nothing is called, and nothing that calls go by is changed.

pub mod answer;
mod candidates;
pub mod past;
mod view;
mod ways;

use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;
use serde_json::value::RawValue;

use self::answer::{Explanation, Model, Order, Reason, Request, Sent, Step, Timeouts, millis};
use self::view::View;
use super::Rules;
use super::engine::nobody;
use super::recent::Past;
use crate::call::{Body, Call, Error, LeftAlone, Op, Outcome};
use crate::providers::preview::Preview;
use crate::routing::candidates::Candidate;
use crate::routing::order::Pick;
use crate::routing::{Facts, Moment, Route};
use crate::wire::op::Shape;

/// The operations that can be asked about: those that name a model.
pub fn is_explained(op: Op) -> bool {
    matches!(op.surface().shape, Shape::Json | Shape::Form)
}

/// What would become of a call that comes at a moment; `now` is this one.
pub fn explain(rules: &Rules, mut call: Call, now: Instant, at: Timestamp) -> Explanation {
    let moment = Moment::at(now, at);
    let chain = rules.aliases.get(&call.model).cloned();
    let asked = call.model.clone();
    if let Some(first) = chain.as_ref().and_then(|chain| chain.first()) {
        call.model = first.clone();
    }
    let call = call;
    let models = chain.as_deref().unwrap_or(std::slice::from_ref(&call.model));
    let facts: Vec<_> = models.iter().map(|model| Facts::new(&call, model)).collect();
    let views = models.iter().zip(&facts).map(|(model, facts)| {
        let route = rules.routing.route(facts, at);
        View::new(rules, route, facts, model, moment)
    });
    let views: Vec<View<'_>> = views.collect();
    let steps: Vec<_> = views.iter().flat_map(|view| view.order.iter().map(move |pick| (view, pick))).collect();
    let word = |(view, pick): &(&View<'_>, &Pick)| view.obstacle(view.candidate_of(pick));
    let busy = steps.iter().any(|step| word(step) == Some("saturated"));
    // nobody stands in for one who is only busy
    let free = steps.iter().find(|step| word(step).is_none() && !(step.1.spare && busy));
    Explanation {
        alias_of: chain.clone(),
        error: match free {
            Some(_) => None,
            None if steps.is_empty() => Some(nobody(rules, &call, models)),
            None => Some(refusal(&steps, now)),
        }
        .map(|error| Reason::new(error.code(), error.to_string())),
        order: Some(Order {
            drawn: views.iter().any(|view| view.drawn),
            steps: views.iter().flat_map(View::steps).collect(),
        }),
        sent: free.map(|(view, pick)| view.sent(pick)),
        models: models.iter().zip(&views).map(|(model, view)| view.model(model, Some(&rules.routing.routes))).collect(),
        ..about(&call, asked, at)
    }
}

/// What became of a call, and who could be asked for its model now: its body is not kept.
pub fn recall(rules: &Rules, past: &Past, outcome: &Outcome, now: Instant, clock: Timestamp) -> Explanation {
    let moment = Moment::at(now, clock);
    let asked = outcome.model.clone();
    let chain = rules.aliases.get(&asked).cloned();
    let models = chain.as_deref().unwrap_or(std::slice::from_ref(&asked));
    let call = Call::new(outcome.op, Body::None, asked.clone(), past.id.clone(), past.since);
    let call = Call { stream: outcome.stream, ..call };
    let route = rules.routing.all().find(|route| route.name == outcome.route.name).unwrap_or(&rules.routing.main);
    let models = models.iter().map(|model| {
        let facts = Facts::new(&call, model);
        View::new(rules, route, &facts, model, moment).model(model, None)
    });
    let models = if is_explained(call.op) { models.collect() } else { Vec::new() };
    let recorded = Some(past::recorded(past, outcome, now, clock));
    Explanation { alias_of: chain.clone(), recorded, models, ..about(&call, asked, clock) }
}

/// What is said in any case.
fn about(call: &Call, model: Arc<str>, at: Timestamp) -> Explanation {
    Explanation {
        object: "route.explanation",
        at,
        surface: call.op.name(),
        model,
        alias_of: None,
        stream: call.stream,
        error: None,
        recorded: None,
        models: Vec::new(),
        order: None,
        sent: None,
    }
}

/// What a call ends with when everybody is passed over, as a walk has it.
fn refusal(steps: &[(&View<'_>, &Pick)], now: Instant) -> Error {
    let (mut saturated, mut open, mut unfit) = (None, LeftAlone::default(), None);
    for (view, pick) in steps {
        let candidate = view.candidate_of(pick);
        if let Some(error) = view.refused(candidate, &mut Vec::new()).filter(Error::is_of_content) {
            unfit = unfit.or(Some(error));
            continue;
        }
        let target = &candidate.target;
        match &target.vitals.breaker {
            Some(breaker) if breaker.is_open(now) => {
                open.add(&target.name, breaker.remaining(now).unwrap_or_default());
            }
            _ => saturated = Some(target.name.clone()),
        }
    }
    match (saturated, unfit) {
        (Some(target), _) => Error::Saturated(target),
        (None, Some(unfit)) if open == LeftAlone::default() => unfit,
        (None, _) => Error::Unavailable(Box::new(open)),
    }
}

impl View<'_> {
    fn candidate_of(&self, pick: &Pick) -> &Candidate {
        &self.candidates.list[usize::from(pick.at)]
    }

    /// All about one model; `routes` are those that were looked at.
    fn model(&self, model: &Arc<str>, routes: Option<&[Route]>) -> Model {
        let failover = self.route.failover.on.as_ref();
        Model {
            model: model.clone(),
            routes: routes.map_or_else(Vec::new, |routes| ways::routes(routes, self.facts, self.moment.clock())),
            route: self.route.name.clone(),
            strategy: self.strategy(&self.route.root),
            failover_on: failover.map(|causes| causes.iter().map(ToString::to_string).collect()),
            request_timeout_ms: self.route.timeout.map(millis),
            hedge: self.hedge(),
            affinity: self.warmth(),
            candidates: self.all(model),
        }
    }

    fn steps(&self) -> Vec<Step> {
        let shares = self.shares();
        let step = |pick: &Pick| {
            let candidate = self.candidate_of(pick);
            let target = &candidate.target;
            let limits = target.provider.origin().map(|origin| origin.timeouts());
            let share = shares.as_ref().map(|shares| shares[usize::from(pick.at)]);
            Step {
                target: target.name.clone(),
                provider: target.provider.spec.id,
                model: candidate.model.clone(),
                spare: pick.spare,
                passed_over: self.obstacle(candidate),
                variant: self.route.labels.get(usize::from(pick.label).wrapping_sub(1)).cloned(),
                share_percent: share.map(|share| (share * 100.0).round() / 100.0),
                attempts: target.retry.attempts,
                timeouts: limits.map(|limits| Timeouts {
                    connect_ms: millis(limits.connect),
                    first_byte_ms: millis(limits.first_byte),
                    idle_ms: millis(limits.idle),
                    total_ms: limits.total.map(millis),
                }),
            }
        };
        self.order.iter().map(step).collect()
    }

    /// What the target of a place would be sent.
    fn sent(&self, pick: &Pick) -> Sent {
        let candidate = self.candidate_of(pick);
        let mut warnings = Vec::new();
        let preview = match self.facts.call.op.surface().shape {
            Shape::Form => Ok(Preview::Unknown("forms are not shown: their files are not part of the question")),
            _ => candidate.target.provider.preview(self.facts.call, &candidate.model, &mut warnings),
        };
        let (omitted, request) = match preview {
            Ok(Preview::Request(request)) => (None, Some(*request)),
            Ok(Preview::Unknown(why)) => (Some(why.to_owned()), None),
            Err(error) => (Some(format!("it is refused: {error}")), None),
        };
        let request = request.map(|request| Request {
            method: request.method.to_string(),
            url: request.url,
            headers: request.headers,
            body: raw(request.body),
            parts: Some(request.parts).filter(|parts| *parts > 1),
        });
        Sent { target: candidate.target.name.clone(), omitted, request, warnings }
    }
}

/// A body as it is; what is no JSON, as a text.
fn raw(body: String) -> Box<RawValue> {
    let text = |body: &str| serde_json::value::to_raw_value(body).unwrap_or_default();
    RawValue::from_string(body.clone()).unwrap_or_else(|_| text(&body))
}
