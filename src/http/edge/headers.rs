//! Headers of every response, and the methods HTTP knows.

use http::{HeaderMap, HeaderName, HeaderValue, Method, Version, header};

use super::client_ip::{X_FORWARDED_FOR, X_REAL_IP};
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

/// What every response has, with empty values of `names` among it: to copy such a map and set its values costs a third
/// of inserting them one by one. The values stand in the order of insertion, the request id's before those of `names`.
pub fn template(names: impl IntoIterator<Item = HeaderName>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for name in [X_REQUEST_ID].into_iter().chain(names) {
        headers.insert(name, HeaderValue::from_static(""));
    }
    add(&mut headers);
    headers
}

/// Which of the headers that hardly any request has are there. One look at all names costs less than one look-up each.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rare {
    /// `x-request-id`
    pub(super) id: bool,
    /// `x-forwarded-for` or `x-real-ip`
    pub(super) forwarded: bool,
}

impl Rare {
    /// Looks at all names.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let mut rare = Self::default();
        for name in headers.keys().map(HeaderName::as_str) {
            // the lengths are different, and few other names have one of them
            match name.len() {
                12 => rare.id |= name == X_REQUEST_ID.as_str(),
                15 => rare.forwarded |= name == X_FORWARDED_FOR.as_str(),
                9 => rare.forwarded |= name == X_REAL_IP.as_str(),
                _ => {}
            }
        }
        rare
    }
}

/// Adds the request id, the security headers, and that answers depend on the origin. Says whether a handler had made the
/// headers from [`template`], and with them everything else that it knows.
pub(super) fn put(headers: &mut HeaderMap, request_id: HeaderValue) -> bool {
    // What begins with an empty id is a copy of the template.
    if let Some((name, id)) = headers.iter_mut().next()
        && *name == X_REQUEST_ID
        && id.is_empty()
    {
        *id = request_id;
        return true;
    }
    headers.reserve(SECURITY.len() + 4);
    headers.insert(X_REQUEST_ID, request_id);
    add(headers);
    false
}

fn add(headers: &mut HeaderMap) {
    for (name, value) in &SECURITY {
        headers.insert(name, value.clone());
    }
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_values_of_a_template_stand_in_the_order_of_their_names() {
        let names = [header::CONTENT_TYPE, HeaderName::from_static("x-ferro-target"), header::ETAG];
        let mut headers = template(names.clone());
        put(&mut headers, HeaderValue::from_static("id"));
        for (value, new) in headers.values_mut().skip(1).zip(["a", "b", "c"]) {
            *value = HeaderValue::from_static(new);
        }
        assert_eq!(headers[X_REQUEST_ID], "id");
        assert_eq!(names.map(|name| headers[name].clone()), ["a", "b", "c"]);
        let mut plain = HeaderMap::new();
        put(&mut plain, HeaderValue::from_static("id"));
        assert_eq!(headers.len(), plain.len() + 3);
    }
}
