//! Why a request to an upstream came to nothing, in words that name the host and never a credential.

use std::error::Error as StdError;
use std::fmt::Write as _;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::call::Fault;

/// The part of an exchange that took too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Name lookup, TCP, egress proxy and TLS together.
    Connect,
    /// From the request being sent to the head of the answer.
    FirstByte,
    /// Between two pieces of the answer's body.
    Idle,
}

impl Phase {
    /// The phase in words, as they stand before the time it took.
    fn words(self) -> &'static str {
        match self {
            Phase::Connect => "no connection within",
            Phase::FirstByte => "no answer within",
            Phase::Idle => "the answer paused for",
        }
    }
}

/// Why a request failed. `host` is `name:port` of the upstream, `cause` the chain of causes in words.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SendError {
    /// The host name has no address.
    #[error("{host}: name not resolved: {cause}")]
    Resolve {
        /// The upstream.
        host: Arc<str>,
        /// What the resolver said.
        cause: Box<str>,
    },
    /// No address of the host took the connection.
    #[error("{host}: not connected: {cause}")]
    Connect {
        /// The upstream.
        host: Arc<str>,
        /// What the last address answered.
        cause: Box<str>,
    },
    /// The TLS handshake was refused, by them or by us.
    #[error("{host}: tls: {cause}")]
    Tls {
        /// The upstream.
        host: Arc<str>,
        /// What was wrong.
        cause: Box<str>,
    },
    /// The egress proxy is unreachable or does not let us through.
    #[error("{host}: proxy {proxy}: {cause}")]
    Proxy {
        /// The upstream.
        host: Arc<str>,
        /// `name:port` of the proxy.
        proxy: Arc<str>,
        /// What was wrong.
        cause: Box<str>,
    },
    /// A limit of [`Timeouts`](super::Timeouts) passed.
    #[error("{host}: {} {after:?}", phase.words())]
    Timeout {
        /// The upstream.
        host: Arc<str>,
        /// Which one.
        phase: Phase,
        /// The limit.
        after: Duration,
    },
    /// The connection closed before the head of the answer was complete.
    #[error("{host}: closed before an answer: {cause}")]
    Closed {
        /// The upstream.
        host: Arc<str>,
        /// How it closed.
        cause: Box<str>,
    },
    /// The answer is not HTTP, or its head is larger than we take.
    #[error("{host}: answer not understood: {cause}")]
    Protocol {
        /// The upstream.
        host: Arc<str>,
        /// What is wrong with it.
        cause: Box<str>,
    },
    /// The answer broke off in the middle of its body.
    #[error("{host}: answer broke off: {cause}")]
    Broken {
        /// The upstream.
        host: Arc<str>,
        /// How it broke.
        cause: Box<str>,
    },
    /// The body of the request could not be read to its end.
    #[error("{host}: the request's body: {cause}")]
    Body {
        /// The upstream.
        host: Arc<str>,
        /// What was wrong with it.
        cause: Box<str>,
    },
}

impl SendError {
    /// The same failure on the way to the egress proxy `proxy` of `host`.
    pub(super) fn of_proxy(self, host: &Arc<str>, proxy: &Arc<str>) -> Self {
        match self {
            SendError::Resolve { cause, .. } | SendError::Connect { cause, .. } | SendError::Tls { cause, .. } => {
                SendError::Proxy { host: host.clone(), proxy: proxy.clone(), cause }
            }
            other => other,
        }
    }

    /// Whom it happened with, as `host:port`.
    pub fn host(&self) -> &str {
        match self {
            SendError::Resolve { host, .. }
            | SendError::Connect { host, .. }
            | SendError::Tls { host, .. }
            | SendError::Proxy { host, .. }
            | SendError::Timeout { host, .. }
            | SendError::Closed { host, .. }
            | SendError::Protocol { host, .. }
            | SendError::Broken { host, .. }
            | SendError::Body { host, .. } => host,
        }
    }

    /// The kind of failure that retries, failover and the breaker decide on.
    pub fn fault(&self) -> Fault {
        match self {
            SendError::Resolve { .. }
            | SendError::Connect { .. }
            | SendError::Tls { .. }
            | SendError::Proxy { .. }
            | SendError::Closed { .. } => Fault::Unreachable,
            SendError::Timeout { .. } => Fault::Timeout,
            SendError::Broken { .. } => Fault::Truncated,
            SendError::Protocol { .. } => Fault::Server,
            // what we keep of it is broken, and no other target would get more
            SendError::Body { .. } => Fault::BadRequest,
        }
    }
}

/// An error and its causes on one line. rustls keeps the interesting part in the source.
pub(super) fn words(error: &(dyn StdError + 'static)) -> Box<str> {
    let mut words = one(error);
    let mut next = error.source();
    while let Some(cause) = next {
        let text = one(cause);
        if !words.contains(&text) {
            let _ = write!(words, ": {text}");
        }
        next = cause.source();
    }
    words.into()
}

/// One error in words: the standard library's for what the system reports, which come without number and capital.
fn one(error: &(dyn StdError + 'static)) -> String {
    match error.downcast_ref::<io::Error>() {
        Some(io) if io.raw_os_error().is_some() && io.kind() != io::Error::from_raw_os_error(-1).kind() => {
            io.kind().to_string()
        }
        _ => error.to_string(),
    }
}
