//! What `/metrics` shows: the families, and the one function that counts a finished call.
//!
//! Every label is bounded: providers and codes are constants, targets come from the configuration, and a model becomes
//! a label only once a target has served it or the configuration names it. Reading takes no lock; growing does.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use prometheus::{IntCounter, IntGauge, Registry, TextEncoder};

use super::connections::{self, States};
use super::families::{Families, New};
use super::millis::overhead;
use super::reloads::Reloads;
use super::series::{NONE, OTHER, Series, Table, UNKNOWN};
use super::sink::Sink;
use super::standings::Standing;
use crate::call::{Fault, Op, Outcome, Price, Route};
use crate::wire::op::SURFACES;

/// The content type of [`Metrics::render`].
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The metrics of one process. They outlive every reload of the configuration.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    pub(super) families: Families,
    surfaces: Surfaces,
    connections: States,
    /// What became of the configuration's file.
    pub reloads: Reloads,
    table: ArcSwap<Table>,
    growing: Mutex<()>,
}

/// What went well and what did not, for each operation; made with the first call of it.
#[derive(Debug, Default)]
struct Surfaces([[OnceLock<IntCounter>; 2]; SURFACES.len()]);

impl Surfaces {
    fn file(&self, families: &Families, op: Op, good: bool) {
        let status = if good { "success" } else { "error" };
        let counter = &self.0[op as usize][usize::from(good)];
        counter.get_or_init(|| families.surfaces.with_label_values(&[op.name(), status])).inc();
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Empty metrics with a registry of their own.
    pub fn new() -> Self {
        let registry = Registry::new();
        let new = New(&registry);
        let families = Families::new(&new);
        let connections = States::new(
            &new.gauges("gateway_server_connections_current", "Open client connections.", &["state"]),
            &new.counters(
                "gateway_server_connection_transitions_total",
                "Client connections that entered a state.",
                &["state"],
            ),
        );
        new.gauges("gateway_build_info", "Always 1; the label tells the version.", &["version"])
            .with_label_values(&[env!("CARGO_PKG_VERSION")])
            .set(1);
        let reloads = Reloads::new(
            &new.counters("gateway_config_reloads_total", "Attempts to reload the configuration.", &["result"]),
            new.single(IntGauge::new(
                "gateway_config_last_reload_success_timestamp_seconds",
                "When the configuration in use was loaded, in seconds since 1970.",
            )),
            new.single(IntGauge::new(
                "gateway_config_last_reload_successful",
                "1 unless the configuration has been changed since into one that cannot be used.",
            )),
        );
        families.rate_limited.with_label_values(&["ip"]);
        #[cfg(target_os = "linux")]
        new.register(prometheus::process_collector::ProcessCollector::for_self());
        let surfaces = Surfaces::default();
        let (table, growing) = (ArcSwap::default(), Mutex::new(()));
        Self { registry, families, surfaces, connections, reloads, table, growing }
    }

    /// The series of a model that the configuration names, made if it is not there. Past 500 models of a target, and
    /// for names over 128 bytes, it is the target's series `other`.
    pub fn series(&self, provider: &'static str, target: &str, model: &str) -> Arc<Series> {
        let table = self.table.load();
        let label = match table.find(provider, target, model) {
            Some(series) => return series.clone(),
            None => table.label(provider, target, model),
        };
        match table.find(provider, target, label) {
            Some(series) => series.clone(),
            None => self.grow(provider, target, model),
        }
    }

    /// Counts a finished call, once: requests, durations, tokens, cost, retries, overhead and errors.
    pub fn file(&self, outcome: &Outcome) {
        let table = self.table.load();
        match self.find(&table, outcome) {
            Some(series) => series.file(outcome),
            None => self.resolve(outcome).file(outcome),
        }
        self.count(outcome);
    }

    /// The same for a call whose cost is still to be told: `find` looks for the price list of what was asked.
    pub fn settle(&self, outcome: &mut Outcome, find: impl FnOnce(&Route) -> Option<Price>) {
        let table = self.table.load();
        let resolved;
        let series = match self.find(&table, outcome) {
            Some(series) => series,
            None => {
                resolved = self.resolve(outcome);
                &resolved
            }
        };
        if outcome.usage.is_some() {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
            outcome.cost = series.cost(outcome, now, || find(&outcome.route));
        }
        series.file(outcome);
        self.count(outcome);
    }

    /// The series of a call, if its labels are known.
    fn find<'a>(&self, table: &'a Table, outcome: &Outcome) -> Option<&'a Arc<Series>> {
        let route = &outcome.route;
        match route.provider {
            "" => table.find(NONE, NONE, if table.knows(&outcome.model) { &outcome.model } else { UNKNOWN }),
            provider => table.find(provider, &route.target, named(route)),
        }
    }

    fn count(&self, outcome: &Outcome) {
        if let Some(label) = &outcome.route.label {
            let route = outcome.route.name.as_deref().unwrap_or(NONE);
            let status = if outcome.error.is_none() && !outcome.abandoned { "success" } else { "error" };
            self.families.variants.with_label_values(&[route, label, status]).inc();
        }
        self.surfaces.file(&self.families, outcome.op, outcome.error.is_none() && !outcome.abandoned);
        if let Some(overhead) = overhead(outcome) {
            self.families.overhead.observe(overhead.as_secs_f64());
        }
        if outcome.abandoned || outcome.error.is_some() {
            self.file_error(outcome);
        }
    }

    /// The series of a call whose labels are new: only what a target has served becomes a label.
    fn resolve(&self, outcome: &Outcome) -> Arc<Series> {
        let (route, served) = (&outcome.route, outcome.error.is_none() && !outcome.abandoned);
        match route.provider {
            "" if self.table.load().knows(&outcome.model) => self.series(NONE, NONE, &outcome.model),
            "" => self.series(NONE, NONE, UNKNOWN),
            provider if served => self.series(provider, &route.target, named(route)),
            provider => {
                let label = self.table.load().label(provider, &route.target, named(route));
                self.series(provider, &route.target, if label == OTHER { OTHER } else { UNKNOWN })
            }
        }
    }

    fn grow(&self, provider: &'static str, target: &str, model: &str) -> Arc<Series> {
        let _growing = self.growing.lock().unwrap_or_else(PoisonError::into_inner);
        let table = self.table.load();
        let label = table.label(provider, target, model);
        if let Some(series) = table.find(provider, target, model).or_else(|| table.find(provider, target, label)) {
            return series.clone();
        }
        let (grown, series) = table.with(&self.families, (provider, target, label));
        self.table.store(Arc::new(grown));
        series
    }

    fn file_error(&self, outcome: &Outcome) {
        let route = &outcome.route;
        let code = outcome.error.unwrap_or("client_canceled");
        let (provider, target) =
            if route.provider.is_empty() { (NONE, NONE) } else { (route.provider, &*route.target) };
        self.families.request_errors.with_label_values(&[provider, target, code]).inc();
        let kind = if outcome.abandoned { Some("client_canceled") } else { error_type(code) };
        if let (Some(kind), false) = (kind, route.provider.is_empty()) {
            self.families.provider_errors.with_label_values(&[provider, kind]).inc();
        }
    }

    /// Counts a failed attempt, whatever becomes of the call.
    pub fn attempt_failed(&self, provider: &'static str, target: &str, fault: Fault) {
        self.families.attempt_failures.with_label_values(&[provider, target, fault.code()]).inc();
    }

    /// Counts a second attempt: `won`, `lost` to the first, or `failed`.
    pub fn hedged(&self, provider: &'static str, target: &str, result: &'static str) {
        self.families.hedges.with_label_values(&[provider, target, result]).inc();
    }

    /// Shows how the targets stand at the next [`Metrics::render`].
    pub fn show<'a>(&self, targets: impl Iterator<Item = Standing<'a>>) {
        self.families.standings.show(targets);
    }

    /// Counts an attempt that was stopped because the one beside it was faster, by the tokens of its prompt.
    pub fn stopped(&self, provider: &'static str, target: &str, tokens: u64) {
        self.families.wasted.with_label_values(&[provider, target]).inc_by(tokens);
    }

    /// Counts a provider that could not be set up.
    pub fn init_failed(&self, provider: &'static str) {
        self.families.init_failures.with_label_values(&[provider]).inc();
    }

    /// Counts a request refused by a rate limit: `ip` today.
    pub fn rate_limited(&self, key_type: &'static str) {
        self.families.rate_limited.with_label_values(&[key_type]).inc();
    }

    /// Counts faults that are injected on purpose.
    pub fn injected(&self, target: &str, kind: &'static str) -> IntCounter {
        self.families.injected.with_label_values(&[target, kind])
    }

    /// Counts a request as in flight for as long as the guard lives.
    pub fn enter(&self) -> InFlight {
        self.families.in_flight.inc();
        InFlight(self.families.in_flight.clone())
    }

    /// Shows the server's connections as `source` counts them.
    pub fn connections(&self, source: connections::Source) {
        self.connections.read_from(source);
    }

    /// Shows how many lines the sink had to drop. Each sink may be shown once.
    pub fn watch(&self, sink: &Sink) {
        New(&self.registry).register(sink.dropped());
    }

    /// All metrics in the text format of Prometheus; send it as [`CONTENT_TYPE`].
    pub fn render(&self) -> String {
        self.connections.refresh();
        TextEncoder::new().encode_to_string(&self.registry.gather()).unwrap_or_default()
    }
}

/// The model that was asked for; some operations have none.
fn named(route: &Route) -> &str {
    if route.model.is_empty() { NONE } else { &route.model }
}

/// A request in flight.
#[derive(Debug)]
pub struct InFlight(IntGauge);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// The reference's word for a failure a provider is to blame for; `None` when the caller is.
fn error_type(code: &'static str) -> Option<&'static str> {
    match code {
        "upstream_timeout" | "gateway_timeout" => Some("timeout"),
        "invalid_request"
        | "request_too_large"
        | "context_length_exceeded"
        | "content_filter"
        | "unsupported_parameter" => None,
        _ => Some("provider_error"),
    }
}
