//! `GET /admin/config`: the configuration that is served, and where it comes from.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, ETAG};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::pipeline::Gateway;

/// `file`, or `defaults` where the configuration follows from the environment.
pub const SOURCE: HeaderName = HeaderName::from_static("x-ferro-config-source");
/// The file.
pub const FILE: HeaderName = HeaderName::from_static("x-ferro-config-file");
/// When it was loaded, in RFC 3339.
pub const LOADED: HeaderName = HeaderName::from_static("x-ferro-config-loaded-at");
/// `stale` where the file, as it is now, cannot be used; else `ok`.
pub const STATUS: HeaderName = HeaderName::from_static("x-ferro-config-status");
/// Members that take effect at the next start, separated by commas.
pub const PENDING: HeaderName = HeaderName::from_static("x-ferro-config-pending-restart");

/// The document as the file has it, with all defaults, secrets masked: as JSON, or as YAML for who accepts that. What is
/// not part of the document is in headers.
pub async fn show(State(gateway): State<Arc<Gateway>>, headers: HeaderMap) -> Response {
    let (snapshot, standing) = (gateway.snapshot(), gateway.standing());
    let config = &*snapshot.rules.config;
    let mut response = if wants_yaml(&headers) {
        let text = serde_yaml::to_string(config).unwrap_or_default();
        ([(CONTENT_TYPE, "application/yaml")], text).into_response()
    } else {
        Json(config).into_response()
    };
    let file = standing.file.as_ref().map(|file| file.display().to_string());
    let told = [
        (SOURCE, Some(if file.is_some() { "file" } else { "defaults" }.to_owned())),
        (FILE, file),
        (ETAG, standing.hash.as_ref().map(|hash| format!("\"{hash}\""))),
        (LOADED, Some(super::time(standing.loaded))),
        (STATUS, Some(if standing.stale.is_some() { "stale" } else { "ok" }.to_owned())),
        (PENDING, Some(standing.pending_restart.join(", ")).filter(|paths| !paths.is_empty())),
        (CACHE_CONTROL, Some("no-store".to_owned())),
    ];
    for (name, value) in told {
        // a file's name may hold what a header can't
        if let Some(value) = value.and_then(|value| HeaderValue::from_bytes(value.as_bytes()).ok()) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

fn wants_yaml(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accepted.flat_map(|list| list.split(',')).any(|kind| {
        let essence = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        matches!(essence.as_str(), "application/yaml" | "application/x-yaml" | "text/yaml")
    })
}
