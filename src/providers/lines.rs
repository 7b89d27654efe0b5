//! The fields of every request of a provider, once as values and once as they are sent.

use http::header::{ACCEPT, HeaderMap, HeaderName, HeaderValue};

use super::client::Lines;
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
