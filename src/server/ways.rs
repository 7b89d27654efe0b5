//! Strategies, groups and routes of a configuration, compiled into the ways that requests go.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Instant;

use http::HeaderName;

use crate::catalog::Catalog;
use crate::config::{self, Affinity, Condition, ConditionKey, Config, ContentKind, Mode, OnFailure, StickyBy};
use crate::routing::affinity;
use crate::routing::budget::Budget;
use crate::routing::candidates::Memo;
use crate::routing::conversation;
use crate::routing::experiment::{Test, Variant};
use crate::routing::hedge::Hedge;
use crate::routing::matcher::Matcher;
use crate::routing::order::{Group, Member, Node, Rule, Strategy};
use crate::routing::retry::Failover;
use crate::routing::route::{Drained, GoesBy};
use crate::routing::{Route, Routing, Target};

/// The ways of a configuration, which its rules have judged; `targets` are those in service.
pub(super) fn routing(
    config: &Config,
    targets: &[Arc<Target>],
    catalog: &Arc<Catalog>,
    told: Arc<AtomicU64>,
) -> Routing {
    let all: Vec<&str> = config.targets.iter().map(|target| &*target.virtual_key).collect();
    let ways = Ways { config, targets: targets.iter().map(|target| (&*target.name, target)).collect() };
    let main = ways.route(None, &config.strategy, Mode::Single, &all);
    let routes: Vec<Route> = config.routes.iter().map(|route| ways.named(route)).collect();
    let mut headers: BTreeSet<&str> = BTreeSet::new();
    let mut warms = false;
    for route in routes.iter().chain([&main]) {
        wanted(&route.root, &mut headers);
        headers.extend(route.when.headers().map(HeaderName::as_str));
        warms |= route.goes_by.affinity.is_some();
    }
    if warms {
        headers.extend(conversation::HEADERS);
    }
    let headers = headers.into_iter().filter_map(|name| HeaderName::from_bytes(name.as_bytes()).ok()).collect();
    let affinity = warms.then(|| Arc::new(affinity::Affinity::new(Instant::now())));
    Routing { routes, main, headers, affinity, told, catalog: catalog.clone() }
}

/// The headers that rules below a group ask for.
fn wanted<'g>(group: &'g Group, headers: &mut BTreeSet<&'g str>) {
    let mut below = |node: &'g Node| {
        if let Node::Group(group) = node {
            wanted(group, headers);
        }
    };
    group.members.iter().for_each(|member| below(&member.node));
    match &group.strategy {
        Strategy::Rules { rules, .. } => {
            rules.iter().for_each(|rule| below(&rule.to));
            headers.extend(rules.iter().flat_map(|rule| rule.when.headers()).map(HeaderName::as_str));
        }
        Strategy::Test(test) => {
            test.variants.iter().for_each(|variant| below(&variant.to));
            headers.extend(test.sticky.iter().filter_map(|(_, header)| header.as_ref()).map(HeaderName::as_str));
        }
        _ => {}
    }
}

struct Ways<'c> {
    config: &'c Config,
    targets: HashMap<&'c str, &'c Arc<Target>>,
}

/// One route in the making.
#[derive(Default)]
struct Making {
    leaves: Vec<Arc<Target>>,
    groups: u16,
    labels: Vec<Arc<str>>,
    goes_by: GoesBy,
    drained: Vec<Drained>,
}

impl Making {
    fn drain(&mut self, target: &str, group: Option<Arc<str>>) {
        if !self.drained.iter().any(|known| *known.target == *target) {
            self.drained.push(Drained { target: target.into(), group });
        }
    }
}

impl<'c> Ways<'c> {
    fn named(&self, given: &'c config::Route) -> Route {
        let members: Vec<&str> = given.targets.iter().map(String::as_str).collect();
        let in_order = config::Strategy::default();
        let strategy = given.strategy.as_ref().unwrap_or(&in_order);
        let mut route = self.route(Some(given.name.as_str().into()), strategy, Mode::Fallback, &members);
        route.when = Matcher::of(&given.matches);
        if given.failover_on.is_some() {
            route.failover = Failover { on: given.failover_on.clone() };
        }
        route.timeout = given.request_timeout.or(route.timeout);
        route
    }

    fn route(&self, name: Option<Arc<str>>, strategy: &config::Strategy, usual: Mode, members: &[&str]) -> Route {
        let mut making = Making::default();
        let hedge = strategy.hedge.as_ref();
        making.goes_by.pace |= hedge.is_some_and(|hedge| hedge.after.is_none());
        let root = self.group("", strategy, usual, members, &mut making);
        making.drained.retain(|one| !making.leaves.iter().any(|leaf| leaf.name == one.target));
        Route {
            name,
            when: Matcher::default(),
            root,
            leaves: making.leaves,
            groups: making.groups,
            labels: making.labels,
            failover: Failover { on: self.config.failover_on.clone() },
            timeout: self.config.request_timeout,
            hedge: hedge.map(|given| Hedge {
                after: given.after,
                budget: Arc::new(Budget::new(given.max_percent, 0.0, Instant::now())),
            }),
            goes_by: making.goes_by,
            memo: Memo::default(),
            drained: making.drained,
        }
    }

    fn group(&self, name: &str, given: &config::Strategy, usual: Mode, members: &[&str], making: &mut Making) -> Group {
        let mode = given.mode.unwrap_or(usual);
        let members = members.iter().filter_map(|member| {
            let node = self.node(member, making)?;
            let own = given.weights.get(*member).copied();
            let weight = own.or_else(|| self.weight(member)).unwrap_or(1.0);
            Some(Member { node, weight })
        });
        let members: Vec<Member> = members.collect();
        let leave = |usual| given.on_failure.map_or(usual, |word| word == OnFailure::Leave);
        let warm = Some(given.affinity).filter(|how| *how != Affinity::Off);
        let strategy = match mode {
            Mode::Single => Strategy::Single,
            Mode::Fallback => Strategy::Fallback,
            Mode::Loadbalance => Strategy::Weighted,
            Mode::LeastLatency => {
                // nobody asks how fast a target is that stands alone
                making.goes_by.pace |= members.len() > 1;
                Strategy::Fastest
            }
            Mode::CostOptimized => {
                making.goes_by.price = true;
                Strategy::Cheapest(given.unpriced_strategy)
            }
            Mode::Conditional => {
                let rules = given.conditions.iter();
                let rules = rules.filter_map(|rule| self.rule(condition(rule), &rule.target_key, making)).collect();
                Strategy::Rules { rules, first: true, leave: leave(false) }
            }
            Mode::ContentBased => {
                let rules = given.content_conditions.iter();
                let rules = rules.filter_map(|rule| self.rule(content(rule), &rule.target_key, making)).collect();
                Strategy::Rules { rules, first: false, leave: leave(false) }
            }
            Mode::AbTest => self.test(given, leave(true), making),
        };
        let chooses = matches!(mode, Mode::Loadbalance | Mode::LeastLatency | Mode::CostOptimized) && members.len() > 1;
        let warm = warm.filter(|_| chooses);
        // a pool of keys is accounts, each with a cache of its own, whatever the strategy
        let pools = making.leaves.iter().any(|target| target.provider.keys().is_some());
        let accounts = Some(given.affinity).filter(|how| pools && *how != Affinity::Off);
        making.goes_by.affinity = making.goes_by.affinity.or(warm).or(accounts);
        making.groups += 1;
        Group { name: name.into(), members, strategy, warms: warm.is_some(), number: making.groups - 1 }
    }

    fn test(&self, given: &config::Strategy, leave: bool, making: &mut Making) -> Strategy {
        let variants = given.ab_variants.iter().filter_map(|variant| {
            let to = self.node(&variant.target_key, making)?;
            making.labels.push(variant.label().into());
            let label = u8::try_from(making.labels.len()).unwrap_or(0);
            Some(Variant { to, weight: variant.weight.unwrap_or(1.0), label })
        });
        let variants = variants.collect();
        let sticky = given.sticky.as_ref().map(|sticky| {
            let header = sticky.header.as_ref().filter(|_| sticky.by == StickyBy::Header);
            (sticky.by, header.and_then(|name| HeaderName::from_bytes(name.as_bytes()).ok()))
        });
        let salt = Test::salt(given.ab_variants.iter().map(config::Variant::label));
        Strategy::Test(Test { variants, sticky, leave, salt })
    }

    fn rule(&self, when: Matcher, to: &str, making: &mut Making) -> Option<Rule> {
        // a rule that names who is out of service still decides: for nobody
        let to = self.node(to, making).unwrap_or(Node::Leaf(u16::MAX));
        Some(Rule { when, to })
    }

    /// A target in service, or a group with one.
    fn node(&self, name: &str, making: &mut Making) -> Option<Node> {
        if let Some(group) = self.config.groups.iter().find(|group| group.name == name) {
            if group.weight == Some(0.0) {
                self.drained(group, &group.name, making);
                return None;
            }
            let members: Vec<&str> = group.targets.iter().map(String::as_str).collect();
            let in_order = config::Strategy::default();
            let strategy = group.strategy.as_ref().unwrap_or(&in_order);
            let group = self.group(name, strategy, Mode::Fallback, &members, making);
            return (!group.members.is_empty()).then(|| Node::Group(Arc::new(group)));
        }
        let Some(target) = self.targets.get(name).copied() else {
            making.drain(name, None);
            return None;
        };
        let known = making.leaves.iter().position(|leaf| leaf.name == target.name);
        let leaf = known.unwrap_or_else(|| {
            making.leaves.push(target.clone());
            making.leaves.len() - 1
        });
        u16::try_from(leaf).ok().map(Node::Leaf)
    }

    /// Notes everybody below a group whom the weight of `by`, which is the group or one around it, takes out of service.
    fn drained(&self, group: &config::Group, by: &str, making: &mut Making) {
        for name in &group.targets {
            match self.config.groups.iter().find(|inner| inner.name == *name) {
                Some(inner) => self.drained(inner, by, making),
                None => making.drain(name, self.targets.contains_key(name.as_str()).then(|| by.into())),
            }
        }
    }

    fn weight(&self, name: &str) -> Option<f64> {
        let group = self.config.groups.iter().find(|group| group.name == name);
        let target = || self.config.targets.iter().find(|target| target.virtual_key == name);
        group.map_or_else(|| target().and_then(|target| target.weight), |group| group.weight)
    }
}

fn condition(rule: &Condition) -> Matcher {
    if let Some(matches) = &rule.matches {
        return Matcher::of(matches);
    }
    let value = rule.value.clone().unwrap_or_default();
    match rule.key {
        Some(ConditionKey::ModelPrefix) => Matcher::model_prefix(&value),
        _ => Matcher::model(&value),
    }
}

fn content(rule: &config::ContentCondition) -> Matcher {
    let value = rule.value.clone().into();
    let mut matches = config::Match::default();
    match rule.kind {
        ContentKind::PromptContains => matches.prompt_contains = value,
        ContentKind::PromptNotContains => matches.prompt_not_contains = value,
        ContentKind::PromptRegex => matches.prompt_regex = value,
    }
    Matcher::of(&matches)
}
