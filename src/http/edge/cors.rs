//! Cross-origin requests: which web pages may read answers, and what they may send.

use axum::body::Body;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};

const METHODS: HeaderValue = HeaderValue::from_static("GET, POST, PUT, DELETE, OPTIONS");

/// Where a preflight does not name the headers it wants; else they are echoed, since browser SDKs send a dozen of
/// `x-stainless-*` whose names change with their versions.
const HEADERS: HeaderValue =
    HeaderValue::from_static("Content-Type, Authorization, X-Api-Key, X-Request-ID, X-Provider");

const EXPOSED: HeaderValue = HeaderValue::from_static(
    "X-Request-ID, Retry-After, X-Should-Retry, X-Gateway-Provider, X-Gateway-Overhead-Ms, X-Ferro-Target, \
     X-Ferro-Model, X-Ferro-Attempts, X-Ferro-Cache, X-Ferro-Cost-Usd, X-Ferro-Warnings, \
     X-RateLimit-Limit-Requests, X-RateLimit-Remaining-Requests, X-RateLimit-Reset-Requests, \
     X-RateLimit-Limit-Tokens, X-RateLimit-Remaining-Tokens, X-RateLimit-Reset-Tokens",
);

const A_DAY: HeaderValue = HeaderValue::from_static("86400");

const REQUESTED: HeaderName = header::ACCESS_CONTROL_REQUEST_HEADERS;

/// The request's origin, if it is on the list. Origins are compared literally: `*` is none.
pub(super) fn allowed(origins: &[HeaderValue], headers: &HeaderMap) -> Option<HeaderValue> {
    if origins.is_empty() {
        return None;
    }
    let origin = headers.get(header::ORIGIN)?;
    origins.contains(origin).then(|| origin.clone())
}

/// The reply to a preflight: 204 for everybody, and permissions for those on the list. `None` if it is not one.
pub(super) fn preflight<B>(origins: &[HeaderValue], request: &Request<B>) -> Option<Response<Body>> {
    if *request.method() != Method::OPTIONS || !request.headers().contains_key(header::ORIGIN) {
        return None;
    }
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    if allowed(origins, request.headers()).is_some() {
        let headers = response.headers_mut();
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
        let wanted = request.headers().get(REQUESTED).cloned().unwrap_or(HEADERS);
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, wanted);
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, A_DAY);
        headers.insert(header::VARY, HeaderValue::from_name(REQUESTED));
    }
    Some(response)
}

/// Lets an allowed origin read this answer.
pub(super) fn put(headers: &mut HeaderMap, allowed: Option<HeaderValue>) {
    if let Some(origin) = allowed {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    }
}
