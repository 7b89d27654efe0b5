//! Requests for WebSockets (RFC 6455, 4.1): who asks for one, with which key, and what of the request goes along.

use axum::extract::Request;
use http::Method;
use http::header::{
    CONNECTION, HeaderMap, HeaderName, HeaderValue, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION,
    UPGRADE,
};
use hyper::upgrade::OnUpgrade;

use super::error::Failure;

/// What stands before the key in the subprotocol with which a browser shows it, since it can set no header:
/// <https://github.com/openai/openai-node/blob/master/src/realtime/websocket.ts>.
const KEY: &str = "openai-insecure-api-key.";

/// Parts of the names of subprotocols that carry what is the caller's own: credentials, and whom they belong to.
const OWN: [&str; 7] = ["key", "secret", "token", "auth", "bearer", "openai-organization.", "openai-project."];

/// Subprotocols behind which the next one is a credential.
const NAMES_A_KEY: [&str; 3] = ["token", "bearer", "authorization"];

/// Whether a WebSocket is asked for.
pub(super) fn is_asked<B>(request: &http::Request<B>) -> bool {
    let has = |name: HeaderName, word: &str| {
        let values = request.headers().get_all(name);
        values.iter().any(|value| words(value).any(|said| said.eq_ignore_ascii_case(word)))
    };
    *request.method() == Method::GET && has(UPGRADE, "websocket") && has(CONNECTION, "upgrade")
}

/// Whether one is asked for on a connection that can become one.
pub(super) fn can_open(request: &Request) -> bool {
    request.extensions().get::<OnUpgrade>().is_some() && is_asked(request)
}

/// Whether one can be opened as it is asked for, by the headers that RFC 6455 demands (4.2.1).
pub(super) fn check(headers: &HeaderMap) -> Result<(), Failure> {
    let said = |name: HeaderName| headers.get(name).map_or(&b""[..], |value| value.as_bytes().trim_ascii());
    match (said(SEC_WEBSOCKET_VERSION), said(SEC_WEBSOCKET_KEY)) {
        (b"13", b"") => Err(Failure::WebSocketKey),
        (b"13", _) => Ok(()),
        _ => Err(Failure::WebSocketVersion),
    }
}

/// The key that a browser shows.
pub(super) fn key(headers: &HeaderMap) -> Option<&[u8]> {
    offered(headers).find_map(|offer| offer.strip_prefix(KEY)).map(str::as_bytes)
}

/// The headers of the same request to somebody else. Extensions are not offered: what is packed cannot be metered.
pub(super) fn asking(headers: &HeaderMap) -> HeaderMap {
    let mut asking = HeaderMap::new();
    asking.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    asking.insert(UPGRADE, HeaderValue::from_static("websocket"));
    for name in [SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION] {
        asking.extend(headers.get(&name).map(|value| (name, value.clone())));
    }
    let is_own = |offer: &str| {
        let offer = offer.to_ascii_lowercase();
        OWN.iter().any(|part| offer.contains(part))
    };
    // in `token, <key>` the second one is the key
    let mut behind = false;
    let mut is_foreign = |offer: &&str| {
        let foreign = !behind && !is_own(offer);
        behind = NAMES_A_KEY.iter().any(|word| offer.eq_ignore_ascii_case(word));
        foreign
    };
    let offers: Vec<_> = offered(headers).filter(&mut is_foreign).collect();
    if let (false, Ok(value)) = (offers.is_empty(), HeaderValue::try_from(offers.join(", "))) {
        asking.insert(SEC_WEBSOCKET_PROTOCOL, value);
    }
    asking
}

/// The subprotocols that are offered.
fn offered(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter().flat_map(words)
}

fn words(value: &HeaderValue) -> impl Iterator<Item = &str> {
    value.to_str().unwrap_or_default().split(',').map(str::trim).filter(|word| !word.is_empty())
}
