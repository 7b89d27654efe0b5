//! Without a master key the gateway serves its own machine, and nobody may borrow that machine's browser or a tunnel.

use std::net::{IpAddr, Ipv6Addr};

use http::uri::Authority;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, header};

use super::client_ip::{X_FORWARDED_FOR, X_REAL_IP};
use crate::http::error::Failure;

/// What reverse proxies and tunnels add to requests that came from elsewhere.
static FORWARDING: [HeaderName; 8] = [
    X_FORWARDED_FOR,
    X_REAL_IP,
    header::FORWARDED,
    HeaderName::from_static("x-forwarded-host"),
    HeaderName::from_static("x-forwarded-proto"),
    HeaderName::from_static("cf-connecting-ip"),
    HeaderName::from_static("true-client-ip"),
    HeaderName::from_static("tailscale-user-login"),
];

/// Refuses what this machine's programs do not send: 403 with the reason and what to set.
pub(super) fn check<B>(origins: &[HeaderValue], peer: IpAddr, request: &Request<B>) -> Result<(), Failure> {
    let headers = request.headers();
    let reason = if !peer.is_loopback() {
        "open mode serves this machine only: set MASTER_KEY to serve other machines"
    } else if FORWARDING.iter().any(|name| headers.contains_key(name)) {
        "open mode serves this machine only, and this request was forwarded by a proxy or tunnel: set MASTER_KEY"
    } else if !host(request).is_some_and(is_local) {
        "open mode answers to localhost, 127.0.0.1 and [::1] only, and the request's Host is another: set MASTER_KEY \
         to serve other names"
    } else if !headers.get_all(header::ORIGIN).iter().all(|origin| origins.contains(origin) || is_local_page(origin)) {
        "open mode does not serve web pages of other origins: set MASTER_KEY, or add the page's origin to CORS_ORIGINS"
    } else if *request.method() == Method::POST && !is_json(headers) && !has_credential(headers) {
        "open mode takes POST requests only as web pages cannot send them unasked: with `Content-Type: \
         application/json`, or with a credential, be it any: set one of these headers, or set MASTER_KEY"
    } else {
        return Ok(());
    };
    Err(Failure::Forbidden(reason))
}

/// Refuses a WebSocket that a page of somebody else's asks for where anybody may call: unlike an answer, a browser lets any
/// page read it.
pub(super) fn page<B>(origins: &[HeaderValue], request: &Request<B>) -> Result<(), Failure> {
    let own = host(request);
    let is_own = |origin: &HeaderValue| {
        let authority = origin.to_str().ok().and_then(|origin| Authority::try_from(origin.split_once("://")?.1).ok());
        authority.is_some() && authority == own
    };
    if request.headers().get_all(header::ORIGIN).iter().all(|origin| origins.contains(origin) || is_own(origin)) {
        return Ok(());
    }
    Err(Failure::Forbidden("a web page of another origin asks for a WebSocket: add the page's origin to CORS_ORIGINS"))
}

/// Whom the request means to talk to: the target's authority where it has one (HTTP/2), else `Host`, of which there is
/// one. `None` if it does not say or cannot be read.
fn host<B>(request: &Request<B>) -> Option<Authority> {
    if let Some(authority) = request.uri().authority() {
        return Some(authority.clone());
    }
    Authority::try_from(request.headers().get(header::HOST)?.as_bytes()).ok()
}

fn is_local(authority: Authority) -> bool {
    let host = authority.host();
    if authority.as_str().contains('@') {
        return false;
    }
    if let Some(address) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return address.parse::<Ipv6Addr>().is_ok_and(|address| address.to_canonical().is_loopback());
    }
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// An origin of this machine, as `http://localhost:3000`; `null` is not one.
fn is_local_page(origin: &HeaderValue) -> bool {
    let Ok(origin) = origin.to_str() else { return false };
    let Some((_, authority)) = origin.split_once("://") else { return false };
    Authority::try_from(authority).is_ok_and(is_local)
}

/// Whether there is a header that a web page may send elsewhere only if that agrees beforehand. Its value does not matter.
fn has_credential(headers: &HeaderMap) -> bool {
    let bearer = headers.get(header::AUTHORIZATION).is_some_and(|value| value.as_bytes().starts_with(b"Bearer "));
    bearer || headers.contains_key("x-api-key")
}

fn is_json(headers: &HeaderMap) -> bool {
    let Some(Ok(value)) = headers.get(header::CONTENT_TYPE).map(HeaderValue::to_str) else { return false };
    let essence = value.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
}
