//! Routes: which requests go which way, and who is asked for them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::affinity::{self, Affinity, Warm};
use super::candidates::{Candidate, Candidates, Claim, Memo};
use super::conversation;
use super::facts::{Facts, Wanted};
use super::hedge::Hedge;
use super::matcher::Matcher;
use super::order::{Asked, Chance, Group, Strategy};
use super::picks::{Order, PLAIN};
use super::plan::{Conversation, Leg, Plan};
use super::retry::Failover;
use super::target::Target;
use crate::call::{self, Body, Op};
use crate::catalog::Catalog;
use crate::catalog::known::Owner;
use crate::catalog::price::Prices;
use crate::config;

/// A way that requests can go.
pub struct Route {
    /// Its name; `None` for the way of all requests that no route takes.
    pub name: Option<Arc<str>>,
    /// Which requests it takes.
    pub when: Matcher,
    /// Who is asked, by which strategies.
    pub root: Group,
    /// Every target below the root, once.
    pub leaves: Vec<Arc<Target>>,
    /// How many groups there are, the root among them.
    pub groups: u16,
    /// The names of variants.
    pub labels: Vec<Arc<str>>,
    /// Which failures move on to the next target.
    pub failover: Failover,
    /// The time a call may take; of a stream, until it starts.
    pub timeout: Option<Duration>,
    /// When a second attempt is made beside the first.
    pub hedge: Option<Hedge>,
    /// What of its candidates its strategies go by.
    pub goes_by: GoesBy,
    /// What was found for the models that were asked for.
    pub memo: Memo,
    /// The targets that would be among the leaves if the configuration had not taken them out of service.
    pub drained: Vec<Drained>,
}

/// A target that the configuration has taken out of service.
#[derive(Clone, Debug)]
pub struct Drained {
    /// Its name.
    pub target: Arc<str>,
    /// The group whose weight of 0 does it; `None` if it is the target's own.
    pub group: Option<Arc<str>>,
}

/// What strategies go by, so that nobody else pays for it.
#[derive(Clone, Copy, Debug, Default)]
pub struct GoesBy {
    /// How fast targets are.
    pub pace: bool,
    /// What they cost.
    pub price: bool,
    /// What a conversation is known by, if its requests stay together.
    pub affinity: Option<config::Affinity>,
}

/// All routes, and what they share.
pub struct Routing {
    /// In order: the first that takes a request has it.
    pub routes: Vec<Route>,
    /// The way of all others.
    pub main: Route,
    /// The headers that rules ask for.
    pub headers: Wanted,
    /// Where the prompts of conversations are cached.
    pub affinity: Option<Arc<Affinity>>,
    /// How often providers have told their models.
    pub told: Arc<AtomicU64>,
    /// What is known of models.
    pub catalog: Arc<Catalog>,
}

impl Routing {
    /// The route of a request.
    pub fn route(&self, facts: &Facts<'_>, clock: Timestamp) -> &Route {
        self.routes.iter().find(|route| route.when.holds(facts, clock)).unwrap_or(&self.main)
    }

    /// Every route, the one of all other requests last.
    pub fn all(&self) -> impl Iterator<Item = &Route> {
        self.routes.iter().chain([&self.main])
    }

    /// Appends who is asked for a model.
    pub fn leg<'r>(
        &'r self,
        facts: &Facts<'_>,
        model: &Arc<str>,
        moment: Moment,
        chance: Chance<'_>,
        plan: &mut Plan<'r>,
    ) {
        let route = if self.routes.is_empty() { &self.main } else { self.route(facts, moment.clock()) };
        let candidates = self.candidates(route, facts.call.op, model);
        if candidates.list.is_empty() {
            return;
        }
        if candidates.list.len() == 1 && route.root.is_plain() && candidates.list[0].target.provider.keys().is_none() {
            plan.legs.push(Leg { route, candidates, order: PLAIN.into(), conversation: Conversation::default() });
            return;
        }
        let (order, conversation) = self.ordered(route, facts, &candidates, moment, chance);
        if !order.is_empty() {
            plan.legs.push(Leg { route, candidates, order, conversation });
        }
    }

    /// Who of a route's candidates is asked, in order, and the conversation that the request is part of.
    pub fn ordered(
        &self,
        route: &Route,
        facts: &Facts<'_>,
        candidates: &Candidates,
        moment: Moment,
        chance: Chance<'_>,
    ) -> (Order, Conversation) {
        let moment = moment.begun();
        let mut order = Order::with_capacity(candidates.list.len());
        let conversation = self.conversation(route, facts, candidates, moment);
        let asked = Asked { facts, candidates, moment, warm: conversation.warm.map(|warm| warm.target) };
        route.root.order(&asked, None, chance, &mut order);
        if order.len() > 1 {
            let target = |at: u16| &candidates.list[usize::from(at)].target;
            let now = moment.now();
            let rests = |at: u16| target(at).vitals.rests(now).is_some();
            let plain = order.iter().take_while(|pick| !pick.spare).count();
            let whole = &mut order[..plain];
            // whoever has asked for a pause is behind the others, whatever a strategy says
            if whole.iter().any(|pick| rests(pick.at)) {
                whole.sort_by_key(|pick| rests(pick.at));
            }
        }
        (order, conversation)
    }

    /// Every target that is asked when all goes well, once.
    pub fn reachable(&self) -> Vec<&Arc<Target>> {
        let mut all: Vec<&Arc<Target>> = Vec::new();
        for target in [&self.main].into_iter().chain(&self.routes).flat_map(Route::reachable) {
            if !all.iter().any(|known| known.name == target.name) {
                all.push(target);
            }
        }
        all
    }

    /// Who would be asked for a chat with a model, if nothing but the model is known of the request, and its name there.
    pub fn server(&self, model: &Arc<str>) -> Option<(Arc<Target>, Arc<str>)> {
        let routes = [&self.main].into_iter().chain(&self.routes).filter(|route| route.when.takes_model(model));
        routes.into_iter().find_map(|route| {
            let candidates = self.candidates(route, Op::Chat, model);
            let best = candidates
                .list
                .iter()
                .filter(|one| route.reachable().iter().any(|target| target.name == one.target.name));
            best.min_by_key(|one| one.claim).map(|one| (one.target.clone(), one.model.clone()))
        })
    }

    /// Those of a route who can be asked for a model.
    pub fn candidates(&self, route: &Route, op: Op, model: &Arc<str>) -> Arc<Candidates> {
        route.memo.get(op, model, self.told.load(Ordering::Relaxed), || {
            Candidates::of((&route.leaves, route.groups), op, model, |target, model, claim| {
                self.candidate(route.goes_by, target, model, claim)
            })
        })
    }

    fn candidate(&self, goes_by: GoesBy, target: &Arc<Target>, model: Arc<str>, claim: Claim) -> Candidate {
        let owner = Owner { provider: target.provider.spec.id, target: &target.name };
        let prices = goes_by.price.then(|| self.catalog.prices(owner, &model)).flatten();
        Candidate {
            target: target.clone(),
            per_token: prices.as_ref().and_then(Prices::per_token),
            prices,
            tracks: goes_by.pace.then(|| [false, true].map(|stream| target.vitals.pace.track(&model, stream))),
            habit: goes_by.price.then(|| target.vitals.habits.of(&model)),
            lacks: target.provider.lacks(&model),
            claim,
            model,
        }
    }

    /// A call was answered: where, is where its conversation goes on.
    pub fn served(&self, plan: &Plan<'_>, route: &call::Route) {
        let Some(affinity) = &self.affinity else { return };
        if plan.legs.iter().all(|leg| leg.conversation.known.is_none()) {
            return;
        }
        let served = plan.legs.iter().find_map(|leg| {
            let mut list = leg.candidates.list.iter();
            let one = list.find(|one| one.target.name == route.target && one.model == route.model)?;
            Some((leg.conversation.known?, one.target.tag))
        });
        if let Some((conversation, target)) = served {
            affinity.note(conversation, Warm { target, key: route.key.unwrap_or(0) }, Instant::now());
        }
    }

    /// The conversation of a request, and the target and key that have it in their cache, if that target would answer.
    fn conversation(&self, route: &Route, facts: &Facts<'_>, candidates: &Candidates, moment: Moment) -> Conversation {
        let (Some(how), Some(affinity)) = (route.goes_by.affinity, &self.affinity) else {
            return Conversation::default();
        };
        let Some((known, goes_on)) = known(how, facts) else { return Conversation::default() };
        let now = moment.now();
        let answers =
            |warm: &Warm| candidates.list.iter().any(|one| one.target.tag == warm.target && one.target.is_ready(now));
        let warm = affinity.find(known, now).filter(|_| goes_on).filter(answers);
        Conversation { known: Some(known), warm }
    }
}

/// What a conversation is known by, and whether this request goes on with it.
fn known(how: config::Affinity, facts: &Facts<'_>) -> Option<(u64, bool)> {
    let scope = [facts.model, facts.call.key.as_deref().unwrap_or_default()];
    if !facts.call.headers.is_empty()
        && let Some(session) = conversation::of_headers(|name| facts.header(name))
    {
        return Some((affinity::scoped(session, &scope), true));
    }
    let Body::Json(body) = &facts.call.body else { return None };
    let prefix = match how {
        config::Affinity::Conversation => conversation::of_body(body)?,
        _ => conversation::named(body)?,
    };
    Some((affinity::scoped(prefix.conversation, &scope), prefix.begun))
}

/// A moment, as the two clocks tell it: this one, read only when a rule asks, or one that is given.
#[derive(Clone, Copy, Debug, Default)]
pub struct Moment {
    now: Option<Instant>,
    clock: Option<Timestamp>,
}

impl Moment {
    /// One that is given.
    pub fn at(now: Instant, clock: Timestamp) -> Self {
        Self { now: Some(now), clock: Some(clock) }
    }

    /// The same for whoever asks from now on, for what fades.
    fn begun(self) -> Self {
        Self { now: Some(self.now()), ..self }
    }

    /// For what fades.
    pub fn now(self) -> Instant {
        self.now.unwrap_or_else(Instant::now)
    }

    /// What the clock on the wall says.
    pub fn clock(self) -> Timestamp {
        self.clock.unwrap_or_else(Timestamp::now)
    }
}

impl Route {
    /// Whom the route asks when all goes well with it: without those who only stand in for others.
    pub fn reachable(&self) -> &[Arc<Target>] {
        match self.root.strategy {
            Strategy::Single => &self.leaves[..self.leaves.len().min(1)],
            _ => &self.leaves,
        }
    }
}
