//! What a running configuration hands to the one that follows it: this is the only place that pairs old and new targets.

use std::sync::Arc;

use super::Rules;
use crate::config;
use crate::providers::media::Media;
use crate::routing::{Routing, Target};

/// Hands the state of the old target of the same name to the new one, before anybody uses that. `given` is the new one's
/// block of the configuration.
///
/// A state goes on when the block it depends on is unchanged, and begins anew otherwise. It is shared, not copied, so
/// that calls which are still at the old target are counted at the new one.
pub fn target(new: &mut Target, given: &config::Target, old: Option<&Rules>) {
    let Some((old, was)) = old.and_then(|old| pair(old, &new.name)) else { return };
    // another provider, or the same elsewhere, is somebody else
    if was.provider() != given.provider() || was.base_url != given.base_url || was.options != given.options {
        return;
    }
    new.discovered = old.discovered.clone();
    new.provider.inherit(&old.provider);
    let (vitals, before) = (&mut new.vitals, &old.vitals);
    vitals.pace = before.pace.clone();
    vitals.habits = before.habits.clone();
    if was.circuit_breaker == given.circuit_breaker {
        vitals.breaker = before.breaker.clone();
    }
    if was.concurrency == given.concurrency {
        vitals.slots = before.slots.clone();
    }
    if was.retry.budget == given.retry.budget {
        vitals.budget = before.budget.clone();
    }
    if was.api_key == given.api_key {
        vitals.rest_as(before);
    }
}

/// The old one that fetches media, with what it remembers, if the new configuration would have the same.
pub fn media(config: &config::Config, old: Option<&Rules>) -> Option<Arc<Media>> {
    let old = old.filter(|old| old.config.media == config.media && old.config.body_cap() == config.body_cap())?;
    Some(old.media.clone())
}

/// Hands on what is known of conversations, since targets have the same tags as before, and what routes have saved up for
/// second attempts.
pub fn routing(new: &mut Routing, old: Option<&Rules>) {
    let Some(old) = old.map(|old| &old.routing) else { return };
    if new.affinity.is_some() && old.affinity.is_some() {
        new.affinity = old.affinity.clone();
    }
    for route in new.routes.iter_mut().chain([&mut new.main]) {
        let before = old.all().find(|known| known.name == route.name).and_then(|known| known.hedge.as_ref());
        if let (Some(hedge), Some(before)) = (&mut route.hedge, before)
            && hedge.budget.is_like(&before.budget)
        {
            hedge.budget = before.budget.clone();
        }
    }
}

/// The target of this name, and its block of the configuration.
fn pair<'a>(rules: &'a Rules, name: &str) -> Option<(&'a Target, &'a config::Target)> {
    let target = rules.targets.iter().find(|target| &*target.name == name)?;
    let given = rules.config.targets.iter().find(|given| given.virtual_key == name)?;
    Some((target, given))
}
