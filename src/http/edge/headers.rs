//! Headers of every response, and the methods HTTP knows.

use http::{HeaderMap, HeaderName, HeaderValue, Method, Version, header};

use super::request_id::X_REQUEST_ID;
use crate::http::error::Failure;

static SECURITY: [(HeaderName, HeaderValue); 5] = [
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'self'; script-src 'self'; style-src 'self'; font-src 'self'; connect-src 'self'; \
             img-src 'self' data:; base-uri 'self'; form-action 'self'; frame-ancestors 'none'; object-src 'none'",
        ),
    ),
    (
        HeaderName::from_static("permissions-policy"),
        HeaderValue::from_static("camera=(), microphone=(), geolocation=()"),
    ),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (header::REFERRER_POLICY, HeaderValue::from_static("strict-origin-when-cross-origin")),
];

/// Adds the request id and the security headers.
pub(super) fn put(headers: &mut HeaderMap, request_id: HeaderValue) {
    headers.reserve(SECURITY.len() + 4);
    headers.insert(X_REQUEST_ID, request_id);
    for (name, value) in &SECURITY {
        headers.insert(name, value.clone());
    }
}

/// Refuses methods that RFC 9110 and 5789 do not define.
pub(super) fn known_method(method: &Method) -> Result<(), Failure> {
    match *method {
        Method::GET
        | Method::POST
        | Method::HEAD
        | Method::OPTIONS
        | Method::PUT
        | Method::DELETE
        | Method::PATCH
        | Method::CONNECT
        | Method::TRACE => Ok(()),
        _ => Err(Failure::UnknownMethod),
    }
}

/// Refuses requests of HTTP/1.1 without `Host`, and any with two (RFC 9112 3.2): what is in front of us might have read
/// another one.
pub(super) fn one_host(version: Version, headers: &HeaderMap) -> Result<(), Failure> {
    // Clients send it first, and where no name has two values nothing needs to be looked up.
    if headers.len() == headers.keys_len() && headers.keys().next() == Some(&header::HOST) {
        return Ok(());
    }
    match headers.get_all(header::HOST).iter().take(2).count() {
        0 if version == Version::HTTP_11 => Err(Failure::InvalidHost),
        2 => Err(Failure::InvalidHost),
        _ => Ok(()),
    }
}
