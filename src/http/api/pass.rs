//! Requests that are passed on as they are: what of them goes along, and what says where they go.

use std::sync::Arc;

use axum::body::Body as HttpBody;
use axum::extract::Query;
use http::header::{self, HeaderMap};
use http::request::Parts;
use http_body::Body as _;
use serde::Deserialize;

use crate::call::{Body, Call, Op, Passage, Stored, Upload, X_PROVIDER};
use crate::http::edge::Caller;
use crate::http::error::Failure;
use crate::http::extract;
use crate::http::upload::{self, Cap, Reading};
use crate::http::websocket;
use crate::pipeline::Rules;
use crate::pipeline::gateway::{Memory, Reserved};
use crate::wire::Object;

/// Headers that stay here: they are about this connection, this gateway or the way the request took to it, or they tell
/// others who the caller is. A name that ends in `-` stands for all that begin so.
const NOT_PASSED: [&str; 47] = [
    "accept-encoding",
    "access-control-",
    "alt-used",
    "api-key",
    "authorization",
    "baggage",
    "cdn-loop",
    "cf-",
    "client-ip",
    "connection",
    "content-length",
    "cookie",
    "expect",
    "fly-",
    "forwarded",
    "host",
    "http2-settings",
    "keep-alive",
    "openai-organization",
    "openai-project",
    "origin",
    "proxy-",
    "referer",
    "sec-",
    "tailscale-",
    "te",
    "traceparent",
    "tracestate",
    "trailer",
    "transfer-encoding",
    "true-client-ip",
    "upgrade",
    "user-agent",
    "via",
    "x-amz-",
    "x-amzn-",
    "x-api-key",
    "x-client-request-id",
    "x-ferro-",
    "x-forwarded-",
    "x-gateway-",
    "x-goog-api-key",
    "x-goog-user-project",
    "x-provider",
    "x-real-ip",
    "x-request-id",
    "x-stainless-",
];

/// What a header is named that holds a credential.
const SECRET: [&str; 6] = ["token", "secret", "password", "credential", "auth", "session"];

/// Whom a request names, if it names anybody.
fn named(parts: &Parts) -> Option<Arc<str>> {
    let name = parts.headers.get(X_PROVIDER)?.to_str().ok()?;
    (!name.is_empty()).then(|| name.into())
}

/// Read a request.
pub(super) async fn read(
    op: Op,
    parts: &Parts,
    body: HttpBody,
    caller: &Caller,
    rules: &Rules,
    memory: &Memory,
) -> Result<(Call, Reserved), Failure> {
    let to = named(parts);
    let limit = rules.max_request_bytes;
    let by_model = op == Op::Pass && to.is_none();
    let (body, reserved) = match body.is_end_stream() {
        true => (Body::None, memory.reserve(0).ok_or(Failure::Overloaded)?),
        false if by_model && super::is_json(&parts.headers) => {
            let (bytes, reserved) = extract::body(&parts.headers, body, limit, memory).await?;
            let body = Object::parse(bytes.clone()).map_or_else(
                |_| {
                    let content_type = parts.headers.get(header::CONTENT_TYPE).cloned();
                    Body::Upload(Arc::new(Upload { content_type, form: None, stored: Stored::Memory(bytes) }))
                },
                Body::Json,
            );
            (body, reserved)
        }
        false => {
            let cap = match op {
                Op::File => Cap(rules.max_file_bytes, Failure::file_too_large),
                _ => Cap(limit as u64, Failure::too_large),
            };
            let reading = if by_model { Reading::MaybeForm } else { Reading::Blind };
            let (upload, reserved) = upload::read(&parts.headers, body, cap, memory, reading).await?;
            (Body::Upload(Arc::new(upload)), reserved)
        }
    };
    let model = match &body {
        Body::Json(object) => object.get::<String>("model").ok().flatten(),
        Body::Upload(upload) => upload.form.as_ref().and_then(|form| form.text("model")).map(str::to_owned),
        Body::None => None,
    };
    let mut headers = passed(&parts.headers);
    if matches!(body, Body::Json(_)) {
        // it has been unpacked
        headers.remove(header::CONTENT_ENCODING);
    }
    let passage = Passage { method: parts.method.clone(), below: below(op, parts), headers, to, upgrades: false };
    let model = model.unwrap_or_default().into();
    let call = Call::new(op, body, model, caller.id.clone(), caller.since);
    Ok((Call { passage: Some(Arc::new(passage)), ..call }, reserved))
}

/// What of a query matters here.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Asked {
    model: String,
}

/// Read a request for a WebSocket. It has no body: its model is in the query.
pub(super) fn socket(op: Op, parts: &Parts, caller: &Caller, memory: &Memory) -> Result<(Call, Reserved), Failure> {
    websocket::check(&parts.headers)?;
    let reserved = memory.reserve(0).ok_or(Failure::Overloaded)?;
    let asked = Query::<Asked>::try_from_uri(&parts.uri).map_or_else(|_| Asked::default(), |Query(asked)| asked);
    let mut headers = passed(&parts.headers);
    headers.extend(websocket::asking(&parts.headers));
    let to = named(parts);
    let passage = Passage { method: parts.method.clone(), below: below(op, parts), headers, to, upgrades: true };
    let call = Call::new(op, Body::None, asked.model.into(), caller.id.clone(), caller.since);
    Ok((Call { passage: Some(Arc::new(passage)), key: caller.key.clone(), ..call }, reserved))
}

/// What of the path is below the operation's own, with the query. Paths arrive normalised: none of them climbs.
fn below(op: Op, parts: &Parts) -> String {
    let target = parts.uri.path_and_query().map_or("", |target| target.as_str());
    let target = target.strip_prefix("/v1").unwrap_or(target);
    target.strip_prefix(op.surface().path).unwrap_or(target).to_owned()
}

/// The headers that go along.
fn passed(headers: &HeaderMap) -> HeaderMap {
    let named: Vec<String> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(',').map(|name| name.trim().to_ascii_lowercase()))
        .collect();
    let stays = |name: &str| {
        NOT_PASSED.iter().any(|rule| name == *rule || (rule.ends_with('-') && name.starts_with(rule)))
            || SECRET.iter().any(|word| name.contains(word))
            || (name.ends_with("key") && name != "idempotency-key")
            || named.iter().any(|own| own == name)
    };
    let passed = headers.iter().filter(|(name, _)| !stays(name.as_str()));
    passed.map(|(name, value)| (name.clone(), value.clone())).collect()
}
