//! Health, liveness, readiness and metrics.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde_json::{Value, json};

use super::edge::Insider;
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

/// `GET /health`: whether calls can be served, and to insiders, by whom: how each target is, and how many models it is known
/// to have. 200 however its targets are, as who restarts a gateway by it would mend nothing; 503 only if it has none.
pub async fn health(State(gateway): State<Arc<Gateway>>, insider: Option<Extension<Insider>>) -> Response {
    let (snapshot, now) = (gateway.snapshot(), Instant::now());
    let targets = &snapshot.rules.targets;
    let count = |state: &str| targets.iter().filter(|target| state_of(target, now) == state).count();
    let [available, resting, unavailable] = ["available", "resting", "unavailable"].map(count);
    let (code, status) = match targets.len() {
        0 => (StatusCode::SERVICE_UNAVAILABLE, "no_providers"),
        all if all == available => (StatusCode::OK, "ok"),
        all if all == unavailable => (StatusCode::OK, "unavailable"),
        _ => (StatusCode::OK, "degraded"),
    };
    let mut body = json!({
        "status": status, "version": env!("CARGO_PKG_VERSION"),
        "targets": {
            "total": targets.len(), "available": available, "resting": resting, "unavailable": unavailable,
        },
    });
    if insider.is_some() {
        body["providers"] = targets.iter().map(|target| shown(target, now)).collect();
    }
    (code, Json(body)).into_response()
}

/// How a target is: `unavailable` if it is not even asked, `resting` if only where nobody else can be.
fn state_of(target: &Target, now: Instant) -> &'static str {
    let cools = target.provider.keys().is_some_and(|pool| pool.all_cooling(now).is_some());
    match target.vitals.rests(now) {
        _ if cools || circuit(target, now) == breaker::State::Open => "unavailable",
        Some(_) => "resting",
        None => "available",
    }
}

/// A target with everything there is to say of it.
fn shown(target: &Target, now: Instant) -> Value {
    let mut shown = json!({
        "name": target.name, "provider": target.provider.spec.id, "status": state_of(target, now),
        "circuit": circuit(target, now).name(), "models": target.names().len(),
    });
    if let Some(slots) = &target.vitals.slots {
        shown["requests"] = slots.in_use().into();
        shown["waiting"] = slots.waiting().into();
    }
    if let Some(pool) = target.provider.keys() {
        shown["keys"] = pool.report(now).iter().map(key).collect();
    }
    shown
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

/// `GET /readyz`: whether calls should be sent here; to insiders, to which targets they would go.
pub async fn readyz(State(gateway): State<Arc<Gateway>>, insider: Option<Extension<Insider>>) -> Response {
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
    let mut body = json!({ "status": "ready", "config": config(&gateway, insider.is_some()) });
    if insider.is_some() {
        body["targets"] =
            all().map(|(name, circuit)| json!({ "name": name, "routable": circuit != breaker::State::Open })).collect();
        body["providers"] = all().map(|(name, circuit)| json!({ "name": name, "circuit": circuit.name() })).collect();
    }
    Json(body).into_response()
}

/// Whether the configuration's file, as it is now, is what is served. A bad one is no reason to send calls elsewhere.
fn config(gateway: &Gateway, insider: bool) -> Value {
    let Some(stale) = &gateway.standing().stale else { return json!({ "status": "ok" }) };
    let mut shown = json!({ "status": "stale", "since": super::admin::time(stale.since) });
    if insider {
        shown["error"] = stale.error.as_str().into();
    }
    shown
}

/// `GET /metrics`: Prometheus' text format.
pub async fn metrics(State(gateway): State<Arc<Gateway>>) -> impl IntoResponse {
    let (snapshot, now) = (gateway.snapshot(), Instant::now());
    gateway.metrics.show(snapshot.rules.targets.iter().map(|target| standing(target, now)));
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], gateway.metrics.render())
}
