//! One request on its way through, and what it came to: the words everything above speaks.

pub mod error;
pub mod outcome;
pub mod redact;
pub mod tunnel;
pub mod upload;

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use futures_util::stream::BoxStream;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};

pub use self::error::{Error, Fault, Lack, LeftAlone, Upstream};
pub use self::outcome::{Outcome, OutcomeSlot, Price, Route, Tried};
pub use self::tunnel::{Duplex, Tunnel};
pub use self::upload::{Body, Passage, Stored, Upload};
use crate::wire::Dialect;
pub use crate::wire::{Op, Usage, Usd};

/// The header that names the target, or the provider.
pub const X_PROVIDER: HeaderName = HeaderName::from_static("x-provider");

/// One request, from the handler to the provider. Cheap to clone: every field is shared.
#[derive(Clone, Debug)]
pub struct Call {
    /// What is asked for.
    pub op: Op,
    /// The dialect it arrived in, which is also the one it is answered in.
    pub dialect: Dialect,
    /// The body as it came.
    pub body: Body,
    /// The model to route by, after aliases; empty where the operation has none.
    pub model: Arc<str>,
    /// Whether the answer shall be a stream of events.
    pub stream: bool,
    /// Whether the caller asked for the usage event of a stream.
    pub wants_usage: bool,
    /// The request id, as echoed to the caller and sent upstream.
    pub id: Arc<str>,
    /// When the request reached the gateway.
    pub since: Instant,
    /// The caller's key by its id, never the key.
    pub key: Option<Arc<str>>,
    /// Those of its headers that rules ask for, and the one that names a target.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The rest of a request that is passed on as it is.
    pub passage: Option<Arc<Passage>>,
}

impl Call {
    /// A call of an operation with a body, a model and nothing special.
    pub fn new(op: Op, body: Body, model: Arc<str>, id: Arc<str>, since: Instant) -> Self {
        let (dialect, stream, wants_usage, passage) = (Dialect::OpenAi, false, false, None);
        let (key, headers) = (None, Vec::new());
        Self { op, dialect, body, model, stream, wants_usage, id, since, key, headers, passage }
    }

    /// Whether the same target may be asked again after such a failure: who has made a batch would make another one.
    pub fn is_repeatable(&self, fault: Fault) -> bool {
        let makes = self.op == Op::Batch && self.passage.as_ref().is_some_and(|passage| passage.method == Method::POST);
        !makes || matches!(fault, Fault::RateLimited | Fault::Overloaded)
    }

    /// The target or provider that its caller names, where that is looked at: in all operations but chat.
    pub fn named(&self) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(name, _)| *name == X_PROVIDER)?;
        value.to_str().ok().filter(|name| !name.is_empty())
    }
}

/// A whole answer.
#[derive(Debug)]
pub struct Reply {
    /// The body in the caller's dialect.
    pub body: Bytes,
    /// Its content type.
    pub content_type: HeaderValue,
}

/// What a call is answered with.
pub enum Answer {
    /// The whole body at once.
    Whole(Reply),
    /// A body that is passed on: its chunks as they arrive.
    Bytes(Box<Head>, BoxStream<'static, Result<Bytes, Error>>),
    /// A stream of server-sent events in the caller's dialect: whole frames, several in one chunk when they came so.
    Events(BoxStream<'static, Result<Bytes, Error>>),
    /// A WebSocket.
    Tunnel(Box<Tunnel>),
}

/// What stands before a body that is passed on.
#[derive(Clone, Debug)]
pub struct Head {
    /// The status, a good one.
    pub status: StatusCode,
    /// The provider's headers that are about the body.
    pub headers: HeaderMap,
}

/// An answer, and how it came about.
pub struct Answered {
    /// The answer itself.
    pub answer: Answer,
    /// Who gave it: the source of the response headers.
    pub route: Route,
    /// What it cost, if it is whole and that is known.
    pub cost: Option<Usd>,
}
