//! A provider as one configuration uses it.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use arc_swap::ArcSwapOption;

use super::candidates::Claim;
use super::retry::Retry;
use super::vitals::Vitals;
use crate::call::Op;
use crate::catalog::Catalog;
use crate::config::MinThroughput;
use crate::providers::Provider;
use crate::providers::spec::Discover;

/// One entry of `targets`.
pub struct Target {
    /// Its name: `virtual_key` in the configuration.
    pub name: Arc<str>,
    /// Whom it calls.
    pub provider: Provider,
    /// A short form of the name, the same after every reload.
    pub tag: u16,
    /// The models it declares.
    pub models: BTreeSet<Arc<str>>,
    /// Beginnings of models that it declares.
    pub wildcards: Vec<Arc<str>>,
    /// Whether it declares that it takes every name that nobody owns.
    pub any: bool,
    /// The provider's names for models that are called otherwise here.
    pub model_map: HashMap<Arc<str>, Arc<str>>,
    /// What is known of its provider's models; `None` if that says nothing about this target.
    pub catalog: Option<Arc<Catalog>>,
    /// When the same target is asked again.
    pub retry: Retry,
    /// The least speed of its streams.
    pub min_throughput: Option<MinThroughput>,
    /// How it is doing.
    pub vitals: Vitals,
    /// The models the provider lists, once it has been asked; [`Target::tell`] says so. Outlives reloads that leave the
    /// provider where it is.
    pub discovered: Arc<ArcSwapOption<BTreeSet<Arc<str>>>>,
    /// How often providers have told their models, all targets together and over all reloads.
    pub told: Arc<AtomicU64>,
}

impl Target {
    /// How sure it is that it serves a model, and its own name for it; `None` if it must not be asked.
    pub fn claim(&self, op: Op, model: &Arc<str>) -> Option<(Claim, Arc<str>)> {
        let spec = self.provider.spec;
        if !spec.serves(op) {
            return None;
        }
        let named = |claim| Some((claim, self.upstream_model(model)));
        if self.declares(model) {
            return named(Claim::Declared);
        }
        if self.lists(model) {
            return named(Claim::Listed);
        }
        if let Some((head, rest)) = model.split_once('/')
            && self.is_called(head)
        {
            return Some((Claim::Addressed, self.upstream_model(&rest.into())));
        }
        if spec.owns(model) {
            return named(if self.has_told() { Claim::Owned } else { Claim::Likely });
        }
        if self.may_serve(model) {
            return named(Claim::Catalogued);
        }
        (self.any || self.takes_any()).then(|| named(Claim::Any)).flatten()
    }

    /// Its provider has told which models it serves.
    pub fn tell(&self, models: BTreeSet<Arc<str>>) {
        self.discovered.store(Some(Arc::new(models)));
        self.told.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether a request would be let through at once.
    pub fn is_ready(&self, now: Instant) -> bool {
        self.vitals.is_ready(now)
    }

    /// Whether the configuration says that it serves exactly this name.
    pub fn declares(&self, model: &str) -> bool {
        self.models.contains(model)
            || self.model_map.contains_key(model)
            || self.wildcards.iter().any(|head| model.starts_with(&**head))
    }

    /// Whether it is known to serve exactly this name.
    pub fn lists(&self, model: &str) -> bool {
        self.declares(model)
            || self.discovered.load().as_ref().is_some_and(|found| found.contains(model))
            || matches!(self.provider.spec.discover, Discover::Known(known) if known.contains(&model))
    }

    /// Whether its provider has told which models it serves.
    pub fn has_told(&self) -> bool {
        matches!(self.provider.spec.discover, Discover::Known(_)) || self.discovered.load().is_some()
    }

    /// Whether the catalog says that its provider serves this name, and nobody knows better: a provider that tells its
    /// models, or whose models nobody can list, does.
    pub fn may_serve(&self, model: &str) -> bool {
        let catalog = self.catalog.as_ref().filter(|_| !self.has_told() && !self.takes_any());
        catalog.and_then(|catalog| catalog.get(self.provider.spec.id, model)).is_some_and(|row| !row.is_retired())
    }

    /// The names that it may serve so.
    pub fn catalogued(&self) -> Vec<Arc<str>> {
        let catalog = self.catalog.as_ref().filter(|_| !self.has_told() && !self.takes_any());
        let models = catalog.into_iter().flat_map(|catalog| catalog.of_provider(self.provider.spec.id));
        models.filter(|row| !row.is_retired()).map(|row| row.id().into()).collect()
    }

    /// Whether `provider/model` means this target.
    pub fn is_called(&self, name: &str) -> bool {
        self.name.as_ref() == name || self.provider.spec.is_called(name)
    }

    /// Whether its provider takes names that nobody owns.
    pub fn takes_any(&self) -> bool {
        self.provider.spec.takes_any()
    }

    /// The provider's name for a model.
    pub fn upstream_model(&self, model: &Arc<str>) -> Arc<str> {
        self.model_map.get(model).unwrap_or(model).clone()
    }

    /// Every name it is known to serve.
    pub fn names(&self) -> BTreeSet<Arc<str>> {
        let mut names = self.models.clone();
        names.extend(self.model_map.keys().cloned());
        if let Some(found) = self.discovered.load().as_ref() {
            names.extend(found.iter().cloned());
        }
        if let Discover::Known(known) = self.provider.spec.discover {
            names.extend(known.iter().map(|name| Arc::from(*name)));
        }
        names
    }
}
