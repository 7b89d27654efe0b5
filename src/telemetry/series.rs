//! The metrics of one (provider, target, model): handles resolved once, and the bounded table that finds them.

use std::cmp::Ordering::{Equal, Greater};
use std::collections::HashSet;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prometheus::{Counter, CounterVec, Histogram, HistogramVec, IntCounter, IntCounterVec};

use super::families::Families;
use crate::call::{Outcome, Price, Usage, Usd};

/// Models of one target that get series of their own; further ones are counted as `other`.
const MODELS: usize = 500;
/// Bytes of a model's name that may become a label; longer ones are counted as `other`.
const LONGEST: usize = 128;
/// The label of models beyond the bounds.
pub(super) const OTHER: &str = "other";
/// The label of models that no target is known to serve.
pub(super) const UNKNOWN: &str = "unknown";
/// The label of provider and target where none was asked.
pub(super) const NONE: &str = "none";

/// Handles of one (provider, target, model): filing a call takes no look-up and no lock.
#[derive(Debug)]
pub struct Series {
    provider: &'static str,
    target: Box<str>,
    model: Arc<str>,
    success: IntCounter,
    error: IntCounter,
    duration: Histogram,
    /// Made with the first stream: most embedding models never have one.
    first_token: OnceLock<Histogram>,
    first_tokens: HistogramVec,
    input: IntCounter,
    output: IntCounter,
    cost: Counter,
    unpriced: IntCounter,
    /// Made with the first prompt that was cached: tokens, and what they have saved.
    cached: OnceLock<(IntCounter, Counter)>,
    caches: (IntCounterVec, CounterVec),
    /// Found with the first usage; within, `None` if nobody knows a price.
    price: OnceLock<Option<Price>>,
    retries: IntCounter,
    failovers: IntCounter,
}

impl Series {
    fn new(families: &Families, (provider, target, model): (&'static str, &str, &str)) -> Self {
        let labels = [provider, target, model];
        Self {
            provider,
            target: target.into(),
            model: model.into(),
            success: families.requests.with_label_values(&[provider, target, model, "success"]),
            error: families.requests.with_label_values(&[provider, target, model, "error"]),
            duration: families.duration.with_label_values(&labels),
            first_token: OnceLock::new(),
            first_tokens: families.first_token.clone(),
            input: families.input.with_label_values(&labels),
            output: families.output.with_label_values(&labels),
            cost: families.cost.with_label_values(&labels),
            cached: OnceLock::new(),
            caches: (families.cached.clone(), families.saved.clone()),
            unpriced: families.unpriced.with_label_values(&labels),
            price: OnceLock::new(),
            retries: families.retries.with_label_values(&[provider, target]),
            failovers: families.failovers.with_label_values(&[provider, target]),
        }
    }

    /// The model's label: its name, `other` or `unknown`.
    pub fn model(&self) -> &str {
        &self.model
    }

    /// What the usage of a call costs. The price list is found once, but for models that share a series.
    pub(super) fn cost(&self, outcome: &Outcome, at: u64, find: impl FnOnce() -> Option<Price>) -> Option<Usd> {
        let usage = outcome.usage.as_ref()?;
        let found;
        let price = if self.model == outcome.route.model {
            self.price.get_or_init(find)
        } else {
            found = find();
            &found
        };
        match price {
            Some(Price(cost)) => cost(usage, at),
            // of what the catalog does not know, the provider may
            None => Some(usage.told).filter(|told| *told > Usd::ZERO),
        }
    }

    /// Counts one finished call.
    pub(super) fn file(&self, outcome: &Outcome) {
        let good = outcome.error.is_none() && !outcome.abandoned;
        if good {
            self.success.inc()
        } else {
            self.error.inc()
        }
        self.duration.observe(outcome.took.as_secs_f64());
        if let Some(first_token) = outcome.first_token {
            self.observe_first_token(first_token);
        }
        if let Some(usage) = outcome.usage {
            self.input.inc_by(usage.prompt);
            self.output.inc_by(usage.completion);
            if usage.cached > 0 {
                self.file_cached(&usage, outcome.cost);
            }
            match outcome.cost {
                Some(cost) => self.cost.inc_by(cost.as_f64()),
                None if self.provider != NONE => self.unpriced.inc(),
                None => {}
            }
        }
        let route = &outcome.route;
        if route.retries > 0 {
            self.retries.inc_by(u64::from(route.retries));
        }
        let failovers = route.attempts.saturating_sub(1).saturating_sub(route.retries);
        if failovers > 0 {
            self.failovers.inc_by(u64::from(failovers));
        }
    }

    /// Counts the part of a prompt that was read from the cache, and by how much that was cheaper.
    fn file_cached(&self, usage: &Usage, cost: Option<Usd>) {
        let labels = [self.provider, &*self.target, &*self.model];
        let (tokens, saved) = self
            .cached
            .get_or_init(|| (self.caches.0.with_label_values(&labels), self.caches.1.with_label_values(&labels)));
        tokens.inc_by(usage.cached);
        // what the provider charges, and does not say how it came about, tells nothing about its cache
        let price = self.price.get().and_then(Option::as_ref).filter(|_| usage.told == Usd::ZERO);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let whole = price.and_then(|Price(price)| price(&Usage { cached: 0, ..*usage }, now));
        if let (Some(whole), Some(cost)) = (whole, cost) {
            saved.inc_by((whole.as_f64() - cost.as_f64()).max(0.0));
        }
    }

    fn observe_first_token(&self, after: Duration) {
        let labels = [self.provider, &*self.target, &*self.model];
        self.first_token.get_or_init(|| self.first_tokens.with_label_values(&labels)).observe(after.as_secs_f64());
    }

    fn labels(&self) -> (&str, &str, &str) {
        (self.provider, &self.target, &self.model)
    }
}

/// All series, in the order of their labels. Never edited: a grown copy takes its place.
#[derive(Debug, Default)]
pub(super) struct Table {
    series: Vec<Arc<Series>>,
    /// The same in the order of their labels' hashes, by which they are found.
    hashed: Vec<(u64, Arc<Series>)>,
    models: HashSet<Arc<str>>,
}

/// FNV-1a: labels are short, and are told apart by comparing them in the end.
fn hash((provider, target, model): (&str, &str, &str)) -> u64 {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    let add = |hash: u64, text: &str| step(text.bytes().fold(hash, step), 0xff);
    add(add(add(0xcbf2_9ce4_8422_2325, provider), target), model)
}

impl Table {
    /// The series of exactly these labels.
    pub(super) fn find(&self, provider: &str, target: &str, model: &str) -> Option<&Arc<Series>> {
        let labels = (provider, target, model);
        let hash = hash(labels);
        let from = self.hashed.partition_point(|(known, _)| *known < hash);
        let same = self.hashed[from..].iter().take_while(|(known, _)| *known == hash);
        same.map(|(_, series)| series).find(|series| series.labels() == labels)
    }

    /// Whether any target serves the model.
    pub(super) fn knows(&self, model: &str) -> bool {
        self.models.contains(model)
    }

    /// The label under which a model that has no series yet is counted.
    pub(super) fn label<'a>(&self, provider: &str, target: &str, model: &'a str) -> &'a str {
        let edge =
            |side| move |series: &Arc<Series>| (series.provider, &*series.target).cmp(&(provider, target)) < side;
        let (from, to) = (self.series.partition_point(edge(Equal)), self.series.partition_point(edge(Greater)));
        let unnamed = [OTHER, UNKNOWN].iter().filter(|label| self.find(provider, target, label).is_some()).count();
        match model {
            "" => UNKNOWN,
            OTHER | UNKNOWN => model,
            _ if to - from - unnamed >= MODELS || model.len() > LONGEST => OTHER,
            _ => model,
        }
    }

    /// A copy with one more series, and that series. The labels must be new.
    pub(super) fn with(&self, families: &Families, labels: (&'static str, &str, &str)) -> (Self, Arc<Series>) {
        let new = Arc::new(Series::new(families, labels));
        let at = self.series.partition_point(|series| series.labels() < labels);
        let mut series = Vec::with_capacity(self.series.len() + 1);
        series.extend_from_slice(&self.series[..at]);
        series.push(new.clone());
        series.extend_from_slice(&self.series[at..]);
        let mut hashed = self.hashed.clone();
        let hash = hash(labels);
        hashed.insert(hashed.partition_point(|(known, _)| *known < hash), (hash, new.clone()));
        let mut models = self.models.clone();
        models.insert(new.model.clone());
        (Self { series, hashed, models }, new)
    }
}
