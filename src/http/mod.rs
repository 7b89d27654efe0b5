//! Bytes on a socket ↔ calls and answers: the whole route table, on one screen.

pub mod api;
pub mod edge;
pub mod error;
pub mod extract;
pub mod front;
pub mod probes;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};

use self::error::Failure;
use crate::pipeline::Gateway;

/// Every route, without the edge around it. Paths arrive normalised: no trailing slash, no `/openai/v1`.
pub fn router(gateway: Arc<Gateway>) -> Router {
    Router::new()
        .route("/v1/chat/completions", post(api::chat))
        .route("/v1/completions", post(api::completions))
        .route("/v1/embeddings", post(api::embeddings))
        .route("/v1/capabilities", get(api::capabilities::list))
        .route("/v1/models", get(api::models::list))
        .route("/v1/models/{*id}", get(api::models::retrieve))
        .route("/health", get(probes::health))
        .route("/livez", get(probes::livez))
        .route("/readyz", get(probes::readyz))
        .route("/metrics", get(probes::metrics))
        .method_not_allowed_fallback(async || Failure::MethodNotAllowed)
        .fallback(async || Failure::NotFound)
        .with_state(gateway)
}
