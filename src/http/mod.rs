//! Bytes on a socket ↔ calls and answers: the whole route table, on one screen.

pub mod admin;
pub mod api;
pub mod edge;
pub mod error;
pub mod extract;
pub mod front;
pub mod probes;
pub mod tunnel;
pub mod upload;
mod websocket;
mod words;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::routing::{any, get, post};

use self::error::Failure;
use crate::pipeline::Gateway;
use crate::wire::Op;
use crate::wire::op::{SURFACES, Shape};

/// Every route, without the edge around it. Paths arrive normalised: no trailing slash, no `/openai/v1`.
pub fn router(gateway: Arc<Gateway>) -> Router {
    let mut router = Router::new().route("/v1/chat/completions", post(api::chat));
    for surface in SURFACES.iter().filter(|surface| surface.op != Op::Chat) {
        let op = surface.op;
        let handler = move |State(gateway): State<Arc<Gateway>>, request: Request| api::serve(op, gateway, request);
        let path = format!("/v1{}", surface.path);
        router = match surface.shape {
            Shape::Json if op == Op::Respond => router.route(&path, post(handler).get(api::converse)),
            Shape::Json | Shape::Form => router.route(&path, post(handler)),
            Shape::Kept | Shape::Socket => {
                router.route(&path, any(handler)).route(&format!("{path}/{{*below}}"), any(handler))
            }
            Shape::Below | Shape::Rest => router.route(&format!("{path}/{{*below}}"), any(handler)),
        };
    }
    router
        .route("/v1/capabilities", get(api::capabilities::list))
        .route("/v1/models", get(api::models::list))
        .route("/v1/route/explain", get(api::explain::recall).post(api::explain::explain))
        .route("/v1/models/{*id}", get(api::models::retrieve))
        .route("/health", get(probes::health))
        .route("/livez", get(probes::livez))
        .route("/readyz", get(probes::readyz))
        .route("/metrics", get(probes::metrics))
        .nest("/admin", admin::routes())
        .method_not_allowed_fallback(async |request: Request| match websocket::is_asked(&request) {
            true => Failure::NoWebSocket,
            false => Failure::MethodNotAllowed,
        })
        .fallback(async || Failure::NotFound)
        .with_state(gateway)
}
