//! Health, liveness, readiness and metrics.

use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde_json::{Value, json};

use crate::pipeline::Gateway;
use crate::providers::keys::{Key, Pool};
use crate::routing::Target;
use crate::routing::breaker;
use crate::telemetry::standings::Standing;

/// The circuit of a target; closed where it has no breaker.
fn circuit(target: &Target, now: Instant) -> breaker::State {
    target.vitals.breaker.as_ref().map_or(breaker::State::Closed, |breaker| breaker.state(now))
}

/// How many keys of a pool cool down.
fn cooling(pool: &Pool, now: Instant) -> usize {
    pool.report(now).iter().filter(|key| key.cooling.is_some()).count()
}

fn standing(target: &Target, now: Instant) -> Standing<'_> {
    let vitals = &target.vitals;
    Standing {
        provider: target.provider.spec.id,
        target: &target.name,
        circuit: vitals.breaker.as_ref().map(|breaker| breaker.state(now) as i64),
        slots: vitals.slots.as_ref().map(|slots| (slots.in_use(), slots.waiting())),
        resting: vitals.rests(now).is_some(),
        cooling: target.provider.keys().map(|pool| cooling(pool, now)),
    }
}

/// `GET /livez`: the process answers.
pub async fn livez() -> impl IntoResponse {
    Json(json!({ "status": "ok" }))
}

/// `GET /health`: who can be called, and how many models each is known to have.
pub async fn health(State(gateway): State<Arc<Gateway>>) -> impl IntoResponse {
    let (snapshot, now) = (gateway.snapshot(), Instant::now());
    let providers: Vec<_> = snapshot
        .rules
        .targets
        .iter()
        .map(|target| {
            let vitals = &target.vitals;
            let status = match (circuit(target, now), vitals.rests(now)) {
                (breaker::State::Open, _) => "unavailable",
                (_, Some(_)) => "resting",
                _ => "available",
            };
            let mut shown = json!({
                "name": target.name, "provider": target.provider.spec.id, "status": status,
                "circuit": circuit(target, now).name(), "models": target.names().len(),
            });
            if let Some(slots) = &vitals.slots {
                shown["requests"] = slots.in_use().into();
                shown["waiting"] = slots.waiting().into();
            }
            if let Some(pool) = target.provider.keys() {
                shown["keys"] = pool.report(now).iter().map(key).collect();
            }
            shown
        })
        .collect();
    Json(json!({ "status": "ok", "version": env!("CARGO_PKG_VERSION"), "providers": providers }))
}

/// A key of a pool, by its place alone.
fn key(key: &Key) -> Value {
    match (key.cooling, key.reason) {
        (Some(left), Some(reason)) => {
            let millis = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
            json!({ "key": key.index, "status": "cooling", "for_ms": millis, "reason": reason })
        }
        _ => json!({ "key": key.index, "status": "ok" }),
    }
}

/// `GET /readyz`: whether calls should be sent here.
pub async fn readyz(State(gateway): State<Arc<Gateway>>) -> Response {
    if gateway.draining.is_cancelled() {
        let body = Json(json!({ "status": "not_ready", "reason": "shutting down" }));
        return (StatusCode::SERVICE_UNAVAILABLE, body).into_response();
    }
    let (snapshot, now) = (gateway.snapshot(), Instant::now());
    let all = || snapshot.rules.targets.iter().map(|target| (&target.name, circuit(target, now)));
    if all().all(|(_, circuit)| circuit == breaker::State::Open) {
        let body = Json(json!({ "status": "not_ready", "reason": "no routable targets" }));
        return (StatusCode::SERVICE_UNAVAILABLE, body).into_response();
    }
    let targets: Vec<_> =
        all().map(|(name, circuit)| json!({ "name": name, "routable": circuit != breaker::State::Open })).collect();
    let providers: Vec<_> = all().map(|(name, circuit)| json!({ "name": name, "circuit": circuit.name() })).collect();
    let body = json!({ "status": "ready", "targets": targets, "providers": providers, "config": config(&gateway) });
    Json(body).into_response()
}

/// Whether the configuration's file, as it is now, is what is served. A bad one is no reason to send calls elsewhere.
fn config(gateway: &Gateway) -> Value {
    match &gateway.standing().stale {
        None => json!({ "status": "ok" }),
        Some(stale) => json!({ "status": "stale", "error": stale.error, "since": super::admin::time(stale.since) }),
    }
}

/// `GET /metrics`: Prometheus' text format.
pub async fn metrics(State(gateway): State<Arc<Gateway>>) -> impl IntoResponse {
    let (snapshot, now) = (gateway.snapshot(), Instant::now());
    gateway.metrics.show(snapshot.rules.targets.iter().map(|target| standing(target, now)));
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], gateway.metrics.render())
}
