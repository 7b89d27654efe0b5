//! WebSockets: asked for with the provider's credential, and handed on once it has agreed.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{
    CONNECTION, HeaderMap, HeaderName, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_PROTOCOL, UPGRADE,
};
use http::{Method, StatusCode, Uri};

use super::auth::Credential;
use super::client::{Client, Fields, Lines, Origin, Outgoing, Protocol, Raw, Switched, Timeouts};
use super::encode::Back;
use super::inbound::Response;
use super::lines::{REQUEST_ID, Ready};
use super::receive::{self, Got};
use super::stage::Ask;
use super::stream::Name;
use super::{Link, Provider, fault, surface};
use crate::call::{Call, Error, Fault, Head, Lack, Passage, Upstream};
use crate::config::Invalid;

/// Fields of the answer that agrees which the caller must see.
const AGREED: [HeaderName; 2] = [SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_PROTOCOL];

/// A WebSocket to a provider.
pub struct Tunnel {
    /// What the caller is answered with.
    pub head: Head,
    /// The connection.
    pub raw: Raw,
    provider: Name,
}

impl Tunnel {
    /// The failure of a connection that broke, or ended without a word.
    pub fn broke(&self, cause: Option<&io::Error>) -> Box<Upstream> {
        let message = match cause {
            Some(error) => format!("the WebSocket broke: {error}"),
            None => "the WebSocket ended without being closed".to_owned(),
        };
        self.provider.ours(Fault::Truncated, message)
    }
}

/// The host of a target as it is asked for WebSockets, where that differs: a connection of HTTP/2 becomes none.
pub(super) fn host(
    client: &Client,
    base: &Uri,
    timeouts: Timeouts,
    protocol: Protocol,
) -> Result<Option<Arc<Origin>>, Invalid> {
    let host = (protocol == Protocol::Http2).then(|| client.origin(base, timeouts, Protocol::Http1)).transpose();
    host.map_err(|error| Invalid::at("base_url", error.to_string()))
}

/// Ask a provider for a WebSocket, with the credential that is in `ready`. `model` is its own name for the model.
pub(super) async fn ask(
    provider: &Provider,
    ready: &Ready,
    call: &Call,
    passage: &Passage,
    model: &str,
) -> Result<Got, Error> {
    let op = call.op;
    let (Link::Net(usual, elsewhere), None) = (&provider.link, provider.tape()) else {
        return Err(Error::Lacking(Lack::Passage(provider.spec.id)));
    };
    let way = provider.spec.way(op, model, false, &provider.settings).map(|way| way.path);
    let begins =
        |(base, _): &&(&str, Arc<Origin>)| way.or(provider.spec.path(op)).is_some_and(|path| path.starts_with(base));
    let usual = provider.sockets.as_ref().unwrap_or(usual);
    let origin = elsewhere.iter().find(begins).map_or(usual, |(_, origin)| origin);
    let below = with_model(&passage.below, model);
    let path = provider.paths.below(op, way, &below).ok_or_else(|| Error::NoTarget(call.model.clone()))?;
    let more: Vec<_> = match &provider.credential {
        Credential::Token(_) => provider.token().await?.into_iter().collect(),
        Credential::Signed(signer) => {
            let signed = signer.sign(&Method::GET, &path, &ready.headers, &Bytes::new()).await;
            signed.map_err(|error| fault::ours(provider, error.fault(), error.to_string()))?.into_iter().collect()
        }
        Credential::Fixed(..) | Credential::None => Vec::new(),
    };
    let mut own = Lines::default();
    own.text(REQUEST_ID, &call.id);
    let lines = surface::lines(&ready.headers, origin.host(), more, call);
    let switched = match &provider.stage {
        None => origin.switch(&path, &lines, &own).await.map(|switched| match switched {
            Switched::To(fields, raw) => Ok((fields, raw)),
            Switched::Refused(answer) => Err(Box::new(Response::from(answer))),
        }),
        Some(stage) => {
            let body = Outgoing::Whole(Bytes::new());
            let (method, stream) = (&Method::GET, false);
            let ask = Ask { op, model, stream, method, path: &path, ready: &lines, more: &own, body };
            stage.switch(origin, ask).await
        }
    };
    match switched.map_err(|error| fault::of_transport(provider, &error))? {
        Ok((fields, raw)) => {
            let head = agreed(provider, &fields)?;
            Ok(Got::Tunnel(Box::new(Tunnel { head, raw, provider: Name::of(provider) })))
        }
        Err(refused) if refused.status.is_success() => {
            let message = "answered the request for a WebSocket without opening one".to_owned();
            Err(fault::of_nonsense(provider, refused.status, &refused.fields, message).into())
        }
        Err(refused) => Ok(receive::receive(provider, call, *refused, Back::default()).await?),
    }
}

/// The head that the caller gets. Fails if another protocol was agreed on.
fn agreed(provider: &Provider, fields: &Fields) -> Result<Head, Box<Upstream>> {
    let status = StatusCode::SWITCHING_PROTOCOLS;
    if !fields.get(UPGRADE.as_str()).is_some_and(|spoken| spoken.eq_ignore_ascii_case("websocket")) {
        let message = "switched to another protocol than WebSocket".to_owned();
        return Err(fault::of_nonsense(provider, status, fields, message));
    }
    let mut headers = HeaderMap::new();
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    for name in AGREED {
        let value = fields.get(name.as_str()).filter(|value| provider.redactor.redact(value) == *value);
        headers.extend(value.and_then(|value| Some((name, HeaderValue::from_str(value).ok()?))));
    }
    Ok(Head { status, headers })
}

/// A path with its query, whose `model` is this one, if it has one.
fn with_model(below: &str, model: &str) -> String {
    let Some((path, query)) = below.split_once('?').filter(|_| !model.is_empty()) else { return below.to_owned() };
    let mut pairs = Vec::new();
    for pair in query.split('&') {
        match pair.split_once('=') {
            Some((name, _)) if is_model(name) => {
                let mut encoded = String::from("model=");
                encoded.extend(form_encoded(model));
                pairs.push(encoded);
            }
            _ => pairs.push(pair.to_owned()),
        }
    }
    format!("{path}?{}", pairs.join("&"))
}

/// Whether a name in a query is `model`, with whichever percent signs it is written.
fn is_model(name: &str) -> bool {
    let url = reqwest::Url::parse(&format!("http://query/?{name}"));
    url.is_ok_and(|url| url.query_pairs().any(|(name, _)| name == "model"))
}

/// A value as a query has it.
fn form_encoded(text: &str) -> impl Iterator<Item = char> {
    text.bytes().flat_map(|byte| {
        let plain = byte.is_ascii_alphanumeric() || b"-._~:/@".contains(&byte);
        let text = if plain { char::from(byte).to_string() } else { format!("%{byte:02X}") };
        text.chars().collect::<Vec<_>>()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_of_a_query_is_replaced_and_all_else_stays() {
        let check = |below: &str, model: &str, expected: &str| assert_eq!(with_model(below, model), expected);
        check("?model=house&intent=x%20y", "gpt-realtime", "?model=gpt-realtime&intent=x%20y");
        check("/translations?a&model=openai%2Fx", "a b&c/ü", "/translations?a&model=a%20b%26c/%C3%BC");
        check("?call_id=rtc_1", "", "?call_id=rtc_1");
        check("?call_id=rtc_1&models=1", "m", "?call_id=rtc_1&models=1");
        check("", "m", "");
    }
}
