//! Groups, routes and rules that are there in vain: nobody asks them, or they ask nobody.

use std::collections::HashSet;

use super::problem::Problem;
use super::routes::Match;
use super::rules::Findings;
use super::schema::Config;
use super::source::{item_path, member_path};
use super::strategy::Strategy;

/// A warning for each of them.
pub(super) fn check(config: &Config, found: &mut Findings) {
    unused(config, found);
    rules(config, &config.strategy, "strategy", found);
    for (at, group) in config.groups.iter().enumerate() {
        let path = member_path(&item_path("groups", at), "strategy");
        let Some(strategy) = &group.strategy else { continue };
        rules(config, strategy, &path, found);
        if strategy.hedge.is_some() {
            let message = "has no effect: whether a request is made twice is said by the strategy of its route";
            found.warn(member_path(&path, "hedge"), "no_effect", message);
        }
    }
    for (at, route) in config.routes.iter().enumerate() {
        let path = item_path("routes", at);
        if !route.targets.is_empty() && route.targets.iter().all(|name| is_out(config, name, 0)) {
            let message = "nobody here is in service: each has the weight 0, and the requests are answered 404";
            found.warn(member_path(&path, "targets"), "out_of_service", message);
        }
        if let Some(strategy) = &route.strategy {
            rules(config, strategy, &member_path(&path, "strategy"), found);
        }
    }
}

/// Rules that name somebody out of service: they are final, so that nobody else is asked.
fn rules(config: &Config, strategy: &Strategy, path: &str, found: &mut Findings) {
    let conditions = strategy.conditions.iter().map(|rule| &rule.target_key).enumerate();
    let conditions = conditions.map(|(at, name)| (item_path("conditions", at), name));
    let contents = strategy.content_conditions.iter().map(|rule| &rule.target_key).enumerate();
    let contents = contents.map(|(at, name)| (item_path("content_conditions", at), name));
    for (rule, name) in conditions.chain(contents).filter(|(_, name)| is_out(config, name, 0)) {
        let message = format!("`{name}` is out of service, with the weight 0: what the rule is about is answered 404");
        found.warn(format!("{path}.{rule}.target_key"), "out_of_service", message);
    }
}

/// Whether nobody of this name is in service.
fn is_out(config: &Config, name: &str, depth: usize) -> bool {
    if let Some(target) = config.targets.iter().find(|target| target.virtual_key == name) {
        return target.is_drained();
    }
    let group = config.groups.iter().find(|group| group.name == name);
    // groups that go in a circle are refused elsewhere
    group.filter(|group| depth <= config.groups.len() && !group.targets.is_empty()).is_some_and(|group| {
        group.weight == Some(0.0) || group.targets.iter().all(|member| is_out(config, member, depth + 1))
    })
}

/// Groups that nobody asks, and routes behind one that takes every request.
fn unused(config: &Config, found: &mut Findings) {
    let lists = config.routes.iter().map(|route| &route.targets);
    let lists = lists.chain(config.groups.iter().map(|group| &group.targets)).flatten();
    let top = &config.strategy;
    let rules = top.conditions.iter().map(|rule| &rule.target_key);
    let rules = rules.chain(top.content_conditions.iter().map(|rule| &rule.target_key));
    let rules = rules.chain(top.ab_variants.iter().map(|variant| &variant.target_key));
    let named: HashSet<&String> = lists.chain(rules).collect();
    for (at, group) in config.groups.iter().enumerate().filter(|(_, group)| !named.contains(&group.name)) {
        let problem =
            Problem::new(item_path("groups", at), "no_effect", "is never asked: no route and no rule names it");
        let help = format!("`routes: [{{ name: all, match: {{ model: \"*\" }}, targets: [{}] }}]` asks it", group.name);
        found.warnings.push(problem.help(help));
    }
    let everything = Match { model: "*".to_owned().into(), ..Match::default() };
    let Some(last) = config.routes.iter().position(|route| route.matches == everything) else { return };
    for at in last + 1..config.routes.len() {
        let message = format!("is never reached: `{}` takes every request before it", config.routes[last].name);
        found.warn(item_path("routes", at), "no_effect", message);
    }
}
