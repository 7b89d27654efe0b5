//! The fields of every request of a provider, once as values and once as they are sent, and those that are made for one.

use http::header::{ACCEPT, HeaderMap, HeaderName, HeaderValue};

use super::auth::Credential;
use super::client::Lines;
use super::{Provider, fault};
use crate::call::Upstream;
use crate::wire::Dialect;

/// Tells the vendor our name for a request.
pub(super) const REQUEST_ID: &str = "x-client-request-id";

/// The fields of every request with one credential. May hold it: no `Debug`.
#[derive(Default)]
pub(super) struct Ready {
    /// The fields of a request for a whole answer.
    pub(super) headers: HeaderMap,
    whole: Lines,
    streamed: Lines,
}

impl Ready {
    pub(super) fn new(headers: HeaderMap, dialect: Dialect) -> Self {
        let mut streamed = headers.clone();
        let kind = match dialect {
            Dialect::OpenAi => "text/event-stream",
            Dialect::Native(native) => native.stream_type(),
        };
        streamed.insert(ACCEPT, HeaderValue::from_static(kind));
        Self { whole: Lines::from(&headers), streamed: Lines::from(&streamed), headers }
    }

    /// The fields as they are sent for a stream, or for a whole answer.
    pub(super) fn of(&self, stream: bool) -> &Lines {
        if stream { &self.streamed } else { &self.whole }
    }

    /// Adds the fields of one request to its `own`; returns those of every request anew if one of them is replaced.
    pub(super) fn add(&self, more: Vec<(HeaderName, HeaderValue)>, stream: bool, own: &mut Lines) -> Option<Lines> {
        if !more.iter().any(|(name, _)| self.headers.contains_key(name)) {
            more.iter().for_each(|(name, value)| own.push(name, value));
            return None;
        }
        let mut headers = self.headers.clone();
        if stream {
            headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
        }
        for (name, value) in more {
            headers.insert(name, value);
        }
        Some(Lines::from(&headers))
    }
}

impl Provider {
    /// A credential that has to be fetched; the others are among the headers of every request.
    pub(super) async fn token(&self) -> Result<Option<(HeaderName, HeaderValue)>, Box<Upstream>> {
        match &self.credential {
            Credential::Token(_) => {
                let header = self.credential.header().await;
                header.map_err(|error| fault::ours(self, error.fault(), error.to_string()))
            }
            Credential::Fixed(..) | Credential::Signed(_) | Credential::None => Ok(None),
        }
    }

    /// Whether a refusal was for this machine's clock, which is corrected then.
    pub(super) fn corrected(&self, failed: &Upstream) -> bool {
        match &self.credential {
            Credential::Signed(signer) => signer.corrected(failed.code.as_deref().unwrap_or_default(), &failed.message),
            Credential::Fixed(..) | Credential::Token(_) | Credential::None => false,
        }
    }
}
