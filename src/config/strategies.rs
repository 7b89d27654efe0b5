//! What strategies, routes and groups must not say although their types allow it, and what they say in vain.

use std::collections::{HashMap, HashSet};

use super::idle;
use super::nearest;
use super::problem::Problem;
use super::routes::{Hours, Match};
use super::rules::{Findings, model_fault, name_fault};
use super::schema::Config;
use super::source::{item_path, member_path};
use super::strategy::{Affinity, ContentKind, Mode, StickyBy, Strategy, Unpriced};
use crate::wire::op::SURFACES;

/// Every rule about who is asked when.
pub(super) fn check(config: &Config, found: &mut Findings) {
    let all = names(config, found);
    top(config, found);
    strategy(&config.strategy, Mode::Single, "strategy", &all, &all, found);
    let none = Strategy::default();
    for (at, group) in config.groups.iter().enumerate() {
        let path = item_path("groups", at);
        let known = members(&group.targets, &path, &all, found);
        let given = group.strategy.as_ref().unwrap_or(&none);
        strategy(given, Mode::Fallback, &member_path(&path, "strategy"), &known, &all, found);
        if let Some(way) = cycle(config, &group.name) {
            found.refuse(member_path(&path, "targets"), format!("goes in a circle: {}", way.join(" → ")));
        }
    }
    idle::check(config, found);
    for (at, route) in config.routes.iter().enumerate() {
        let path = item_path("routes", at);
        let known = members(&route.targets, &path, &all, found);
        let given = route.strategy.as_ref().unwrap_or(&none);
        strategy(given, Mode::Fallback, &member_path(&path, "strategy"), &known, &all, found);
        matches(&route.matches, &member_path(&path, "match"), found);
        if route.request_timeout.is_some_and(|limit| limit.is_zero()) {
            found.refuse(member_path(&path, "request_timeout"), "must be longer than 0");
        }
    }
}

/// The names of targets and groups, each of which must be different from all others, and those of routes.
fn names<'c>(config: &'c Config, found: &mut Findings) -> Vec<&'c str> {
    let mut seen: HashMap<&str, String> = config
        .targets
        .iter()
        .enumerate()
        .map(|(at, target)| (&*target.virtual_key, item_path("targets", at)))
        .collect();
    for (at, group) in config.groups.iter().enumerate() {
        let path = item_path("groups", at);
        let name = member_path(&path, "name");
        if let Some(fault) = name_fault(&group.name) {
            found.refuse(name, fault);
        } else if let Some(first) = seen.insert(&group.name, path) {
            found.refuse(name, format!("{first} has the name `{}` already", group.name));
        }
    }
    let mut routes: HashSet<&str> = HashSet::new();
    for (at, route) in config.routes.iter().enumerate() {
        let path = member_path(&item_path("routes", at), "name");
        if let Some(fault) = name_fault(&route.name) {
            found.refuse(path, fault);
        } else if !routes.insert(&route.name) {
            found.refuse(path, format!("another route has the name `{}` already", route.name));
        }
    }
    let targets = config.targets.iter().map(|target| &*target.virtual_key);
    targets.chain(config.groups.iter().map(|group| &*group.name)).collect()
}

/// The members of a group or route that exist.
fn members<'c>(given: &'c [String], path: &str, all: &[&str], found: &mut Findings) -> Vec<&'c str> {
    let list = member_path(path, "targets");
    if given.is_empty() {
        found.refuse(&list, "at least one target is required");
    }
    let mut known: Vec<&str> = Vec::new();
    for (at, name) in given.iter().enumerate() {
        if known.contains(&&**name) {
            found.refuse(item_path(&list, at), format!("`{name}` is there twice"));
        } else if exists(name, &item_path(&list, at), all, found) {
            known.push(name);
        }
    }
    known
}

fn exists(name: &str, path: &str, all: &[&str], found: &mut Findings) -> bool {
    let known = all.contains(&name);
    if name.is_empty() {
        found.refuse(path, "must name a target or a group");
    } else if !known {
        let problem = Problem::new(path, "invalid_value", format!("there is no target or group `{name}`"));
        found.problems.push(problem.suggest(nearest::of(name, all.iter().copied())));
    }
    known
}

/// The way from a group back to itself, if there is one.
fn cycle(config: &Config, start: &str) -> Option<Vec<String>> {
    fn step(config: &Config, at: &str, way: &mut Vec<String>) -> bool {
        let Some(group) = config.groups.iter().find(|group| group.name == at) else { return false };
        way.push(at.to_owned());
        for next in &group.targets {
            if *next == way[0] {
                way.push(next.clone());
                return true;
            }
            if !way.contains(next) && step(config, next, way) {
                return true;
            }
        }
        way.pop();
        false
    }
    let mut way = Vec::new();
    step(config, start, &mut way).then_some(way)
}

/// The strategy of the whole configuration, and whom it never asks.
fn top(config: &Config, found: &mut Findings) {
    let mode = config.strategy.mode.unwrap_or_default();
    if config.targets.is_empty() {
        found.refuse("targets", "at least one target is required");
    } else if mode == Mode::Single && config.targets[0].is_drained() {
        found.refuse("targets[0].weight", "0 takes the only target out of service that the strategy `single` asks");
    } else if config.targets.iter().all(super::Target::is_drained) {
        found.refuse("targets", "every target is out of service: each has the weight 0");
    }
    let strategies = config.routes.iter().map(|route| &route.strategy);
    let strategies = strategies.chain(config.groups.iter().map(|group| &group.strategy)).flatten();
    let weighs = std::iter::once(&config.strategy).chain(strategies).any(|one| one.mode == Some(Mode::Loadbalance));
    let lists =
        config.routes.iter().map(|route| &route.targets).chain(config.groups.iter().map(|group| &group.targets));
    let named: HashSet<&str> = lists.flatten().map(String::as_str).collect();
    // whom a circuit that opens is open for
    let spares = config.targets.first().is_some_and(|first| first.circuit_breaker.is_some());
    for (index, target) in config.targets.iter().enumerate() {
        let path = item_path("targets", index);
        let name = target.virtual_key.as_str();
        let is_keeper = config.keepers().iter().any(|(_, keeper)| *keeper == Some(name));
        if mode == Mode::Single && index > 0 && !spares && !is_keeper && !named.contains(name) {
            let message = "is never asked: the strategy `single` asks the first target alone";
            let warning = Problem::new(path, "no_effect", message);
            found.warnings.push(warning.help("set `strategy: { mode: fallback }` to ask the others after it"));
        } else if !weighs && target.weight.is_some_and(|weight| weight > 0.0 && (weight - 1.0).abs() > f64::EPSILON) {
            let message = format!("has no effect: the strategy `{}` knows only 0, out of service", mode.name());
            found.warn(member_path(&path, "weight"), "no_effect", message);
        }
    }
    if mode == Mode::Single && config.failover_on.is_some() && config.routes.is_empty() {
        found.warn("failover_on", "no_effect", "has no effect: the strategy `single` asks one target");
    }
}

/// One strategy. `own` are the names its rules and weights may use, `all` those that exist.
fn strategy(given: &Strategy, usual: Mode, path: &str, own: &[&str], all: &[&str], found: &mut Findings) {
    let mode = given.mode.unwrap_or(usual);
    let at = |name: &str| member_path(path, name);
    let named = |key: &str, path: String, found: &mut Findings| {
        if exists(key, &path, all, found) && !own.contains(&key) {
            found.refuse(path, format!("`{key}` is not among the `targets` here"));
        }
    };
    let idle = |member: &str, there: bool, reads: &str, found: &mut Findings| {
        if there {
            found.warn(at(member), "no_effect", format!("has no effect: only the strategy `{reads}` reads it"));
        }
    };
    match mode {
        Mode::Conditional => {
            required(given.conditions.len(), &at("conditions"), found);
            for (index, rule) in given.conditions.iter().enumerate() {
                let path = item_path(&at("conditions"), index);
                named(&rule.target_key, member_path(&path, "target_key"), found);
                match (rule.key, &rule.value, &rule.matches) {
                    (Some(_), Some(value), None) if !value.is_empty() => {}
                    (None, None, Some(given)) => matches(given, &member_path(&path, "match"), found),
                    (_, _, None) => found.refuse(path, "needs a `key` and a `value`, or a `match`"),
                    (_, _, Some(_)) => found.refuse(path, "can have a `key` with a `value` or a `match`, not both"),
                }
            }
        }
        _ => idle("conditions", !given.conditions.is_empty(), "conditional", found),
    }
    match mode {
        Mode::ContentBased => {
            required(given.content_conditions.len(), &at("content_conditions"), found);
            for (index, rule) in given.content_conditions.iter().enumerate() {
                let path = item_path(&at("content_conditions"), index);
                named(&rule.target_key, member_path(&path, "target_key"), found);
                text(&rule.value, rule.kind == ContentKind::PromptRegex, member_path(&path, "value"), found);
            }
        }
        _ => idle("content_conditions", !given.content_conditions.is_empty(), "content-based", found),
    }
    match mode {
        Mode::AbTest => {
            required(given.ab_variants.len(), &at("ab_variants"), found);
            let mut labels = HashSet::new();
            for (index, variant) in given.ab_variants.iter().enumerate() {
                let path = item_path(&at("ab_variants"), index);
                named(&variant.target_key, member_path(&path, "target_key"), found);
                if ::http::HeaderValue::from_str(variant.label()).is_err() || variant.label().len() > 128 {
                    found.refuse(member_path(&path, "label"), "must be at most 128 characters a header can hold");
                } else if !labels.insert(variant.label()) {
                    found.refuse(member_path(&path, "label"), format!("`{}` is there twice", variant.label()));
                }
            }
            if !given.ab_variants.is_empty() && given.ab_variants.iter().all(|variant| variant.weight == Some(0.0)) {
                found.refuse(at("ab_variants"), "every variant is out of service: each has the weight 0");
            }
        }
        _ => {
            idle("ab_variants", !given.ab_variants.is_empty(), "ab-test", found);
            idle("sticky", given.sticky.is_some(), "ab-test", found);
        }
    }
    for name in given.weights.keys() {
        named(name, member_path(&at("weights"), name), found);
    }
    if !given.weights.is_empty() && mode != Mode::Loadbalance {
        idle("weights", true, "loadbalance", found);
    } else if !own.is_empty() && own.iter().all(|name| given.weights.get(*name) == Some(&0.0)) {
        found.refuse(at("weights"), "every target is out of service: each has the weight 0");
    }
    idle(
        "unpriced_strategy",
        given.unpriced_strategy != Unpriced::default() && mode != Mode::CostOptimized,
        "cost-optimized",
        found,
    );
    let chooses = matches!(mode, Mode::Conditional | Mode::ContentBased | Mode::AbTest);
    if given.on_failure.is_some() && !chooses {
        let message = "has no effect: only the strategies `conditional`, `content-based` and `ab-test` read it";
        found.warn(at("on_failure"), "no_effect", message);
    }
    let warms = matches!(mode, Mode::Loadbalance | Mode::LeastLatency | Mode::CostOptimized);
    if given.affinity == Affinity::Session && !warms {
        let message = "has no effect: only `loadbalance`, `least-latency` and `cost-optimized` read it";
        found.warn(at("affinity"), "no_effect", message);
    }
    if let Some(sticky) = &given.sticky {
        let header = sticky.header.as_deref().unwrap_or_default();
        let path = member_path(&at("sticky"), "header");
        match sticky.by {
            StickyBy::Header if ::http::HeaderName::from_bytes(header.as_bytes()).is_err() => {
                found.refuse(path, "must be the name of a header, since `by` is `header`");
            }
            StickyBy::Key | StickyBy::User if sticky.header.is_some() => {
                found.warn(path, "no_effect", "has no effect: `by` is not `header`");
            }
            _ => {}
        }
    }
    if let Some(hedge) = &given.hedge {
        if hedge.after.is_some_and(|after| after.is_zero()) {
            found.refuse(member_path(&at("hedge"), "after"), "must be longer than 0");
        }
        if mode == Mode::Single {
            found.warn(at("hedge"), "no_effect", "has no effect: the strategy `single` asks one target");
        }
    }
}

fn required(rules: usize, path: &str, found: &mut Findings) {
    if rules == 0 {
        found.refuse(path, "at least one is required");
    }
}

/// A text that is looked for.
fn text(value: &str, is_regex: bool, path: String, found: &mut Findings) {
    if value.is_empty() {
        found.refuse(path, "must not be empty");
    } else if is_regex && let Err(error) = regex::Regex::new(value) {
        let why = error.to_string();
        let why = why.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
        found.refuse(path, format!("is not a regular expression: {why}"));
    }
}

/// What requests are told by.
fn matches(given: &Match, path: &str, found: &mut Findings) {
    let at = |name: &str| member_path(path, name);
    if *given == Match::default() {
        found.refuse(path, "must say something; `model: \"*\"` takes every request");
    }
    for (index, model) in given.model.iter().enumerate() {
        if let Some(fault) =
            model_fault(model.strip_suffix('*').filter(|_| model != "*").unwrap_or(model.trim_end_matches('*')))
                .filter(|_| model != "*")
        {
            found.refuse(item_path(&at("model"), index), fault);
        }
    }
    for name in given.header.keys() {
        if ::http::HeaderName::from_bytes(name.as_bytes()).is_err() {
            found.refuse(member_path(&at("header"), name), "is not a name a header can have");
        }
    }
    for (index, surface) in given.surface.iter().enumerate() {
        let names = SURFACES.iter().map(|row| row.name);
        if !names.clone().any(|name| name == surface) {
            let problem = Problem::new(
                item_path(&at("surface"), index),
                "invalid_value",
                format!("there is no surface `{surface}`"),
            );
            found.problems.push(problem.suggest(nearest::of(surface, names)));
        }
    }
    if let Some(tokens) = &given.tokens
        && let (Some(min), Some(max)) = (tokens.min, tokens.max)
        && min > max
    {
        found.refuse(at("tokens"), format!("holds for no prompt: {min} is more than {max}"));
    }
    if let Some(hours) = &given.time {
        self::hours(hours, &at("time"), found);
    }
    let texts = [("prompt_contains", &given.prompt_contains), ("prompt_not_contains", &given.prompt_not_contains)];
    for (name, list) in texts {
        list.iter().enumerate().for_each(|(index, one)| text(one, false, item_path(&at(name), index), found));
    }
    for (index, one) in given.prompt_regex.iter().enumerate() {
        text(one, true, item_path(&at("prompt_regex"), index), found);
    }
}

fn hours(given: &Hours, path: &str, found: &mut Findings) {
    for (name, minute) in [("from", &given.from), ("to", &given.to)] {
        if minute.as_deref().is_some_and(|text| Hours::minute(text).is_none()) {
            found.refuse(member_path(path, name), "must be a time of day from `00:00` to `24:00`");
        }
    }
    if given.zone.as_deref().is_some_and(|zone| Hours::zone(zone).is_none()) {
        let message = "is not a time zone this machine knows: write `UTC`, `+02:00` or a name as `Europe/Berlin`";
        found.refuse(member_path(path, "zone"), message);
    }
}
