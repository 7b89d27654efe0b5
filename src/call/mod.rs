//! One request on its way through, and what it came to: the words everything above speaks.

pub mod error;
pub mod outcome;
pub mod redact;

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use futures_util::stream::BoxStream;
use http::HeaderValue;

pub use self::error::{Error, Fault, Upstream};
pub use self::outcome::{Outcome, OutcomeSlot, Route};
use crate::wire::{Dialect, Object};
pub use crate::wire::{Op, Usage};

/// One request, from the handler to the provider. Cheap to clone: every field is shared.
#[derive(Clone, Debug)]
pub struct Call {
    /// What is asked for.
    pub op: Op,
    /// The dialect it arrived in, which is also the one it is answered in.
    pub dialect: Dialect,
    /// The body as it came: indexed, not decoded.
    pub body: Object,
    /// The model to route by, after aliases.
    pub model: Arc<str>,
    /// Whether the answer shall be a stream of events.
    pub stream: bool,
    /// Whether the caller asked for the usage event of a stream.
    pub wants_usage: bool,
    /// The request id, as echoed to the caller and sent upstream.
    pub id: Arc<str>,
    /// When the request reached the gateway.
    pub since: Instant,
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
    /// A body too large to hold: its content type, its length in bytes if that is known, and its chunks as they arrive.
    Bytes(HeaderValue, Option<usize>, BoxStream<'static, Result<Bytes, Error>>),
    /// A stream of server-sent events in the caller's dialect: whole frames, several in one chunk when they came so.
    Events(BoxStream<'static, Result<Bytes, Error>>),
}

/// An answer, and how it came about.
pub struct Answered {
    /// The answer itself.
    pub answer: Answer,
    /// Who gave it: the source of the response headers.
    pub route: Route,
}
