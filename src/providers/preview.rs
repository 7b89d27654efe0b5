//! What a provider would be sent, without sending it: as [`Provider::ask`] would, with every secret masked.

use http::header::{ACCEPT, AUTHORIZATION, HOST};
use http::{HeaderMap, HeaderName, HeaderValue, Method};

use super::auth::Credential;
use super::client::Outgoing;
use super::encode::{self, Sent};
use super::{Course, Link, Provider, REQUEST_ID, batch, surface};
use crate::call::redact::Redactor;
use crate::call::{Body, Call, Error, Op};
use crate::wire::Dialect;

/// What stands where a secret is sent.
const MASK: &str = "***";

/// Parts of names whose values are credentials, whoever has put them there.
const TELLING: [&str; 8] = ["authorization", "key", "token", "secret", "cookie", "signature", "password", "credential"];

/// What would be sent, as far as that can be known without asking anybody.
pub enum Preview {
    /// This request.
    Request(Box<Request>),
    /// Nobody can say; the reason in words.
    Unknown(&'static str),
}

/// A request that is not made.
pub struct Request {
    /// Its method.
    pub method: Method,
    /// Its address, with secrets masked.
    pub url: String,
    /// Its header fields, by name; those that may hold a secret have `***` for a value.
    pub headers: Vec<(String, String)>,
    /// Its body, with secrets masked.
    pub body: String,
    /// How many requests it takes: more than one where the provider takes fewer inputs at a time. This is the first.
    pub parts: usize,
}

impl Provider {
    /// What this call would be sent as. What can't be sent as asked is added to `warnings`, and what would be fetched first,
    /// which is not done here. Fails as [`Self::ask`] does before it sends anything.
    pub fn preview(&self, call: &Call, model: &str, warnings: &mut Vec<String>) -> Result<Preview, Error> {
        if matches!(self.course, Course::Predictions(_)) {
            return Ok(Preview::Unknown(
                "what is sent depends on the model's inputs, which the provider is asked for first",
            ));
        }
        if matches!(call.body, Body::None | Body::Upload(_)) {
            return Ok(Preview::Unknown("the body is not known"));
        }
        let foreseen = self.foreseen(call, model, warnings)?;
        let call = foreseen.as_ref().unwrap_or(call);
        let parts = batch::split(self.spec, call, model)?;
        let (first, parts) = parts.as_deref().map_or((call, 1), |parts| (parts.first().unwrap_or(call), parts.len()));
        let sent = encode::encode(self, first, model, warnings)?;
        let Link::Net(origin, elsewhere) = &self.link else {
            return Ok(Preview::Unknown("the provider is part of the gateway"));
        };
        let Sent { op, body, back, model: name, path, headers: more } = sent;
        let Outgoing::Whole(body) = body else { return Ok(Preview::Unknown("the body is not known")) };
        let begins = |(base, _): &&(&str, _)| path.or(self.spec.path(op)).is_some_and(|path| path.starts_with(base));
        let origin = elsewhere.iter().find(begins).map_or(origin, |(_, origin)| origin);
        let path = self.paths.find(op, path, name.as_deref().unwrap_or(model));
        let path = path.ok_or_else(|| Error::NoTarget(call.model.clone()))?;
        let mut headers = self.ready.headers.clone();
        if !matches!(call.op, Op::Chat | Op::Complete | Op::Embed) {
            headers.insert(HOST, origin.host().clone());
        }
        if call.stream || back.fold {
            let kind = match self.spec.dialect {
                Dialect::OpenAi => "text/event-stream",
                Dialect::Native(native) => native.stream_type(),
            };
            headers.insert(ACCEPT, HeaderValue::from_static(kind));
        } else if matches!(call.op, Op::Speech | Op::Transcribe | Op::Translate) {
            headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
        }
        if matches!(self.credential, Credential::Token(_) | Credential::Signed(_)) {
            headers.insert(AUTHORIZATION, HeaderValue::from_static(MASK));
        }
        headers.extend(HeaderValue::from_str(&call.id).ok().map(|id| (HeaderName::from_static(REQUEST_ID), id)));
        headers.extend(more);
        Ok(Preview::Request(Box::new(Request {
            method: surface::method(call).clone(),
            url: address(&origin.address(&path), &self.redactor),
            headers: masked(&headers, &self.redactor),
            body: self.redactor.redact(&String::from_utf8_lossy(&body)).into_owned(),
            parts,
        })))
    }
}

fn is_telling(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    TELLING.iter().any(|part| name.contains(part))
}

fn masked(headers: &HeaderMap, redactor: &Redactor) -> Vec<(String, String)> {
    let shown = |(name, value): (&HeaderName, &HeaderValue)| {
        let value = match value.to_str() {
            Ok(text) if !value.is_sensitive() && !is_telling(name.as_str()) => redactor.redact(text).into_owned(),
            _ => MASK.to_owned(),
        };
        (name.as_str().to_owned(), value)
    };
    let mut shown: Vec<_> = headers.iter().map(shown).collect();
    shown.sort();
    shown
}

/// An address without what its query may give away.
fn address(url: &str, redactor: &Redactor) -> String {
    let url = redactor.redact(url);
    let Some((path, query)) = url.split_once('?') else { return url.into_owned() };
    let member = |member: &str| match member.split_once('=') {
        Some((name, _)) if is_telling(name) || name == "sig" || name == "code" => format!("{name}={MASK}"),
        _ => member.to_owned(),
    };
    format!("{path}?{}", query.split('&').map(member).collect::<Vec<_>>().join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_masked_wherever_they_stand() {
        let redactor = Redactor::default().with_secret("sk-a-secret-of-ours");
        let mut headers = HeaderMap::new();
        let mut value = HeaderValue::from_static("search");
        value.set_sensitive(true);
        headers.insert("x-team", value);
        headers.insert("x-goog-api-key", HeaderValue::from_static("plain"));
        headers.insert("x-note", HeaderValue::from_static("has sk-a-secret-of-ours in it"));
        headers.insert("accept", HeaderValue::from_static("*/*"));
        let expected = [
            ("accept", "*/*"),
            ("x-goog-api-key", "***"),
            ("x-note", "has [REDACTED_SECRET] in it"),
            ("x-team", "***"),
        ];
        assert_eq!(masked(&headers, &redactor), expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
        let shown = address("https://h/v1/x?api-version=1&key=abc&sig=d", &redactor);
        assert_eq!(shown, "https://h/v1/x?api-version=1&key=***&sig=***");
    }
}
