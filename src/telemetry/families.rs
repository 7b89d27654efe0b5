//! The families of metrics whose labels are not known at the start, and how families are made.

use std::sync::Mutex;

use prometheus::core::Collector;
use prometheus::{
    CounterVec, Histogram, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};

use super::keys::Keys;
use super::standings::Standings;

/// Upper bounds in seconds of whole calls and of the wait for the first token; reasoning models take minutes.
const CALLS: [f64; 16] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1., 2.5, 5., 10., 30., 60., 120., 300., 600.];
/// Upper bounds in seconds of the gateway's own share.
const OVERHEAD: [f64; 10] = [0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.1, 1.];

/// The families whose labels are not known at the start.
#[derive(Debug)]
pub(super) struct Families {
    pub(super) requests: IntCounterVec,
    pub(super) duration: HistogramVec,
    pub(super) first_token: HistogramVec,
    pub(super) input: IntCounterVec,
    pub(super) output: IntCounterVec,
    pub(super) cost: CounterVec,
    pub(super) unpriced: IntCounterVec,
    pub(super) cached: IntCounterVec,
    pub(super) saved: CounterVec,
    pub(super) retries: IntCounterVec,
    pub(super) failovers: IntCounterVec,
    pub(super) request_errors: IntCounterVec,
    pub(super) provider_errors: IntCounterVec,
    pub(super) attempt_failures: IntCounterVec,
    pub(super) keys: Keys,
    pub(super) init_failures: IntCounterVec,
    pub(super) rate_limited: IntCounterVec,
    pub(super) injected: IntCounterVec,
    pub(super) surfaces: IntCounterVec,
    pub(super) overhead: Histogram,
    pub(super) in_flight: IntGauge,
    pub(super) hedges: IntCounterVec,
    pub(super) wasted: IntCounterVec,
    pub(super) variants: IntCounterVec,
    pub(super) standings: Standings,
}

impl Families {
    /// All of them, entered into the registry.
    pub(super) fn new(new: &New<'_>) -> Self {
        let call = ["provider", "target", "model"];
        let target = ["provider", "target"];
        let failure = ["provider", "target", "code"];
        Self {
            requests: new.counters(
                "gateway_requests_total",
                "Finished calls.",
                &["provider", "target", "model", "status"],
            ),
            duration: new.histograms(
                "gateway_request_duration_seconds",
                "Time from the arrival of a request to the last byte of its answer.",
                &call,
            ),
            first_token: new.histograms(
                "gateway_time_to_first_token_seconds",
                "Time from the arrival of a request to the first content of a stream.",
                &call,
            ),
            input: new.counters("gateway_tokens_input_total", "Prompt tokens.", &call),
            output: new.counters("gateway_tokens_output_total", "Completion tokens.", &call),
            cost: new.single(CounterVec::new(
                Opts::new("gateway_request_cost_usd_total", "What calls cost, as far as that is known, in US dollars."),
                &call,
            )),
            unpriced: new.counters(
                "gateway_unpriced_requests_total",
                "Calls with a usage whose price nobody knows.",
                &call,
            ),
            cached: new.counters(
                "gateway_tokens_cached_total",
                "Prompt tokens that were read from the provider's cache.",
                &call,
            ),
            saved: new.single(CounterVec::new(
                Opts::new("gateway_cache_saved_usd_total", "What reading prompts from the cache has saved, in US dollars."),
                &call,
            )),
            retries: new.counters(
                "gateway_retries_total",
                "Further attempts at a target, by the target that was asked last.",
                &target,
            ),
            failovers: new.counters(
                "gateway_failovers_total",
                "Moves from one target to the next, by the target that was asked last.",
                &target,
            ),
            request_errors: new.counters("gateway_request_errors_total", "Failed calls by error code.", &failure),
            provider_errors: new.counters(
                "gateway_provider_errors_total",
                "Calls that a provider failed.",
                &["provider", "error_type"],
            ),
            attempt_failures: new.counters(
                "gateway_attempt_failures_total",
                "Failed attempts, those that a retry or another target made good included.",
                &failure,
            ),
            keys: Keys::new(new),
            init_failures: new.counters(
                "gateway_provider_init_failures_total",
                "Providers that could not be set up.",
                &["provider"],
            ),
            rate_limited: new.counters(
                "gateway_rate_limit_rejections_total",
                "Requests refused by a rate limit.",
                &["key_type"],
            ),
            injected: new.counters(
                "gateway_injected_faults_total",
                "Faults that the configuration injects into requests to a target, on purpose.",
                &["target", "kind"],
            ),
            surfaces: new.counters(
                "gateway_surface_requests_total",
                "Finished calls by the operation of the API.",
                &["surface", "status"],
            ),
            overhead: new.single(Histogram::with_opts(
                HistogramOpts::new("gateway_overhead_seconds", "The gateway's own share of whole answers.")
                    .buckets(OVERHEAD.to_vec()),
            )),
            hedges: new.counters(
                "gateway_hedges_total",
                "Second attempts beside a silent one, by the target they were made at: won, lost to the first, or failed.",
                &["provider", "target", "result"],
            ),
            wasted: new.counters(
                "gateway_hedge_wasted_tokens_total",
                "Prompt tokens, estimated, of attempts that were stopped because the one beside them was faster.",
                &target,
            ),
            variants: new.counters(
                "gateway_variant_requests_total",
                "Finished calls of experiments, by the variant that was asked last.",
                &["route", "variant", "status"],
            ),
            standings: Standings {
                circuits: new.gauges(
                    "gateway_circuit_breaker_state",
                    "Circuits of targets that have a breaker: 0 closed, 1 open, 2 half-open.",
                    &target,
                ),
                in_use: new.gauges(
                    "gateway_target_requests",
                    "Requests in hand at targets with a limit.",
                    &target,
                ),
                waiting: new.gauges(
                    "gateway_target_queue",
                    "Requests that wait for their turn at targets with a limit.",
                    &target,
                ),
                resting: new.gauges(
                    "gateway_target_resting",
                    "1 while a target has asked to be left alone, and others come before it.",
                    &target,
                ),
                cooling: new.gauges("gateway_keys_cooling", "Keys of a pool that cool down now.", &target),
                showing: Mutex::new(()),
            },
            in_flight: new
                .single(IntGauge::new("gateway_requests_in_flight", "Requests between arrival and last byte.")),
        }
    }
}

/// Makes families and enters them into the registry. Names are constants, so that no step can fail.
pub(super) struct New<'a>(pub(super) &'a Registry);

impl New<'_> {
    pub(super) fn counters(&self, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
        self.single(IntCounterVec::new(Opts::new(name, help), labels))
    }

    pub(super) fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
        self.single(IntGaugeVec::new(Opts::new(name, help), labels))
    }

    pub(super) fn histograms(&self, name: &str, help: &str, labels: &[&str]) -> HistogramVec {
        self.single(HistogramVec::new(HistogramOpts::new(name, help).buckets(CALLS.to_vec()), labels))
    }

    pub(super) fn single<C: Collector + Clone + 'static>(&self, made: prometheus::Result<C>) -> C {
        let family = made.expect("names and labels are valid constants");
        self.register(family.clone());
        family
    }

    pub(super) fn register(&self, family: impl Collector + 'static) {
        self.0.register(Box::new(family)).expect("each family is registered once");
    }
}
