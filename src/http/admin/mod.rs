//! The operator's API: every path of it asks for a key, whatever else is open.

pub mod config;

use std::sync::Arc;
use std::time::SystemTime;

use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::edge::Caller;
use super::error::Failure;
use crate::pipeline::Gateway;

/// The routes below `/admin`.
pub fn routes() -> Router<Arc<Gateway>> {
    Router::new().route("/config", get(config::show)).route_layer(from_fn(with_a_key))
}

/// The edge refuses wrong keys, and lets anybody of this machine pass where there is none: not here.
async fn with_a_key(request: Request, next: Next) -> Response {
    match request.extensions().get::<Caller>() {
        Some(Caller { key: Some(_), .. }) => next.run(request).await,
        _ => {
            let hint = "the admin API needs a key: start the gateway with MASTER_KEY set, and send it as \
                        `Authorization: Bearer $MASTER_KEY`";
            Failure::Forbidden(hint).into_response()
        }
    }
}

/// A moment in RFC 3339, in UTC.
pub(super) fn time(at: SystemTime) -> String {
    jiff::Timestamp::try_from(at).map(|at| format!("{at:.3}")).unwrap_or_default()
}
