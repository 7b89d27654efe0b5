//! Time limits that leave nobody else a chance: a request that is over before its first target has been given up.

use std::time::Duration;

use super::period;
use super::problem::Problem;
use super::rules::Findings;
use super::schema::Config;
use super::source::{item_path, member_path};
use super::strategy::{Mode, OnFailure, Strategy};
use super::target::{Failure, Target};

/// What every provider is given for its first byte at least, where a target says nothing.
const USUAL: Duration = Duration::from_secs(120);

/// A warning for each limit of requests that is too short for a failover where a target hangs.
pub(super) fn check(config: &Config, found: &mut Findings) {
    let top = "request_timeout".to_owned();
    let all: Vec<&str> = config.targets.iter().map(|target| &*target.virtual_key).collect();
    let in_order = Strategy::of(Mode::Fallback);
    let mut ways = vec![(top.clone(), config.request_timeout, &config.strategy, all, config.failover_on.as_ref())];
    for (at, route) in config.routes.iter().enumerate() {
        let own = || member_path(&item_path("routes", at), "request_timeout");
        let path = if route.request_timeout.is_some() { own() } else { top.clone() };
        let limit = route.request_timeout.or(config.request_timeout);
        let strategy = route.strategy.as_ref().unwrap_or(&in_order);
        let members = route.targets.iter().map(String::as_str).collect();
        ways.push((path, limit, strategy, members, route.failover_on.as_ref().or(config.failover_on.as_ref())));
    }
    let mut told = Vec::new();
    for (path, limit, strategy, members, causes) in ways {
        let Some(limit) = limit.filter(|limit| !limit.is_zero()) else { continue };
        let moves_on = causes.is_none_or(|causes| causes.contains(&Failure::Timeout));
        // a second attempt beside the first does not wait for its end
        if !moves_on || !asks_others(strategy) || strategy.hedge.is_some() || told.contains(&path) {
            continue;
        }
        let (mut targets, mut groups) = (Vec::new(), Vec::new());
        members.iter().for_each(|name| below(config, name, &mut targets, &mut groups));
        let firsts = if strategy.mode == Some(Mode::Fallback) || strategy.mode.is_none() { 1 } else { targets.len() };
        let patience = |target: &Target| target.timeouts.first_byte.unwrap_or(USUAL);
        let slow = targets.iter().take(firsts).find(|target| patience(target) >= limit);
        if let Some(slow) = slow.filter(|_| targets.len() > 1) {
            let name = &slow.virtual_key;
            let silence = match slow.timeouts.first_byte {
                Some(own) => format!("{}, its `timeouts.first_byte`", period::render(own)),
                None => format!("{} or more, the default of `timeouts.first_byte`", period::render(USUAL)),
            };
            let message =
                format!("leaves no time to ask another target where `{name}` hangs: it may be silent for {silence}");
            let help = format!(
                "a longer `request_timeout`, a shorter `timeouts.first_byte` of `{name}` or a `hedge` leaves some"
            );
            found.warnings.push(Problem::new(path.clone(), "no_time_for_failover", message).help(help));
            told.push(path);
        }
    }
}

/// Whether a strategy goes on to others where a target fails.
fn asks_others(strategy: &Strategy) -> bool {
    match strategy.mode.unwrap_or(Mode::Fallback) {
        Mode::Single => false,
        Mode::Conditional | Mode::ContentBased => strategy.on_failure == Some(OnFailure::Leave),
        Mode::AbTest => strategy.on_failure != Some(OnFailure::Stay),
        Mode::Fallback | Mode::Loadbalance | Mode::LeastLatency | Mode::CostOptimized => true,
    }
}

/// The targets in service of this name, once each; `groups` are those that were looked into, as some go in circles.
fn below<'c>(config: &'c Config, name: &'c str, targets: &mut Vec<&'c Target>, groups: &mut Vec<&'c str>) {
    if let Some(target) = config.targets.iter().find(|target| target.virtual_key == name) {
        if !target.is_drained() && !targets.iter().any(|known| known.virtual_key == name) {
            targets.push(target);
        }
    } else if let Some(group) = config.groups.iter().find(|group| group.name == name && group.weight != Some(0.0))
        && !groups.contains(&name)
    {
        groups.push(name);
        group.targets.iter().for_each(|member| below(config, member, targets, groups));
    }
}
