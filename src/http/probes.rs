//! Health, liveness, readiness and metrics.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde_json::json;

use crate::pipeline::Gateway;

/// `GET /livez`: the process answers.
pub async fn livez() -> impl IntoResponse {
    Json(json!({ "status": "ok" }))
}

/// `GET /health`: who can be called, and how many models each is known to have.
pub async fn health(State(gateway): State<Arc<Gateway>>) -> impl IntoResponse {
    let snapshot = gateway.snapshot();
    let providers: Vec<_> = snapshot
        .rules
        .targets
        .iter()
        .map(|target| {
            // without a circuit breaker the circuit is always closed
            json!({
                "name": target.name, "provider": target.provider.spec.id, "status": "available",
                "circuit": "closed", "models": target.names().len(),
            })
        })
        .collect();
    Json(json!({ "status": "ok", "version": env!("CARGO_PKG_VERSION"), "providers": providers }))
}

/// `GET /readyz`: whether calls should be sent here.
pub async fn readyz(State(gateway): State<Arc<Gateway>>) -> Response {
    if gateway.draining.is_cancelled() {
        let body = Json(json!({ "status": "not_ready", "reason": "shutting down" }));
        return (StatusCode::SERVICE_UNAVAILABLE, body).into_response();
    }
    let snapshot = gateway.snapshot();
    let targets: Vec<_> =
        snapshot.rules.targets.iter().map(|target| json!({ "name": target.name, "routable": true })).collect();
    let providers: Vec<_> =
        snapshot.rules.targets.iter().map(|target| json!({ "name": target.name, "circuit": "closed" })).collect();
    Json(json!({ "status": "ready", "targets": targets, "providers": providers })).into_response()
}

/// `GET /metrics`: Prometheus' text format.
pub async fn metrics(State(gateway): State<Arc<Gateway>>) -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], gateway.metrics.render())
}
