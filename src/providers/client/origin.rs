//! One upstream host: where it is, how patient we are with it, and its connections.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::header::{HOST, HeaderValue, PROXY_AUTHORIZATION};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Method, StatusCode};
use tokio::time::{Instant, timeout};

use super::body::Incoming;
use super::connect::Way;
use super::error::{Phase, SendError, words};
use super::fields::{Fields, Lines, line};
use super::framing::Framing;
use super::head;
use super::http2::{self, Lane};
use super::link::{Failure, Heard, Link};
use super::outgoing::{Outgoing, Sending};
use super::pool::Shard;

/// Room for the head of a request, bytes.
pub(super) const HEAD: usize = 1024;

/// A reused connection that closes later than this after the request was sent was not a stale one: the upstream took
/// the request and died on it, and sending it again is for the retry rules to decide.
pub(super) const STALE: Duration = Duration::from_secs(2);

/// How long to wait for an upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For a connection: name lookup, TCP, egress proxy and TLS together.
    pub connect: Duration,
    /// From the request being sent to the head of the answer.
    pub first_byte: Duration,
    /// Between two pieces of the answer's body.
    pub idle: Duration,
    /// For a whole answer. Streams are never cut by it: whoever gathers an answer applies it.
    pub total: Option<Duration>,
}

impl Default for Timeouts {
    /// What hosted chat models need.
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            first_byte: Duration::from_secs(120),
            idle: Duration::from_secs(60),
            total: Some(Duration::from_secs(600)),
        }
    }
}

/// What is spoken to an upstream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1.
    #[default]
    Http1,
    /// HTTP/2: over TLS agreed on by ALPN, else with prior knowledge. Nothing else is spoken instead.
    Http2,
}

/// How connections are kept.
#[derive(Clone, Copy)]
pub(super) struct Keep {
    pub(super) limit: usize,
    pub(super) age: Duration,
    /// The index of the worker thread we are on.
    pub(super) worker: fn() -> usize,
}

/// One upstream host and its connections. Made by [`Client::origin`](super::Client::origin).
pub struct Origin {
    pub(super) scheme: Scheme,
    pub(super) authority: Authority,
    pub(super) way: Way,
    pub(super) host: HeaderValue,
    pub(super) timeouts: Timeouts,
    pub(super) keep: Keep,
    /// One per worker.
    pub(super) shards: Box<[Shard]>,
    /// The same for HTTP/2; empty where HTTP/1.1 is spoken.
    pub(super) lanes: Box<[Arc<Lane>]>,
}

/// The answer to a request.
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its fields.
    pub fields: Fields,
    /// Its body, as it arrives.
    pub body: Incoming,
}

impl Origin {
    /// `host:port`, as error messages name it.
    pub fn name(&self) -> &Arc<str> {
        &self.way.to.name
    }

    /// The address of a path there.
    pub fn address(&self, path: &PathAndQuery) -> String {
        format!("{}://{}{path}", self.scheme, self.authority)
    }

    /// The `Host` header of its requests, for those who prepare headers once.
    pub fn host(&self) -> &HeaderValue {
        &self.host
    }

    /// The limits it was made with.
    pub fn timeouts(&self) -> Timeouts {
        self.timeouts
    }

    /// What is spoken to it.
    pub fn protocol(&self) -> Protocol {
        if self.lanes.is_empty() { Protocol::Http1 } else { Protocol::Http2 }
    }

    /// How many connections rest in the pools.
    pub fn resting(&self) -> usize {
        let lanes: usize = self.lanes.iter().map(|lane| lane.resting()).sum();
        self.shards.iter().map(Shard::len).sum::<usize>() + lanes
    }

    /// Closes connections that rested for too long. Safe from any thread.
    pub fn sweep(&self, now: std::time::Instant) {
        for shard in &self.shards {
            shard.sweep(now.into(), self.keep.age);
        }
        for lane in &self.lanes {
            lane.sweep(now.into(), self.keep.age);
        }
    }

    /// Sends a request and waits for the head of the answer. `ready` are the fields of every such request, `more` those
    /// of this one; `Host` is set unless they have it, what frames the body always. Redirects are not followed.
    ///
    /// A pooled connection that turns out to be closed before any byte of an answer is replaced by a fresh one, once.
    /// Dropping the future or the body before its end closes the connection, or resets the stream of HTTP/2.
    pub async fn ask(
        self: &Arc<Self>,
        method: &Method,
        path: &PathAndQuery,
        ready: &Lines,
        more: &Lines,
        body: Outgoing,
    ) -> Result<Answer, SendError> {
        let since = Instant::now();
        let home = (self.keep.worker)() % self.shards.len();
        if let Some(lane) = self.lanes.get(home) {
            // boxed, as connecting is below
            return Box::pin(http2::ask(self, lane, http2::Ask { method, path, lines: (ready, more), body: &body }))
                .await;
        }
        if let Some(mut link) = self.rested(home, since) {
            let sending = self.sending(method, path, (ready, more), &body);
            match link.exchange::<false>(sending, since + self.timeouts.first_byte).await {
                Ok(heard) => return Ok(self.answer(heard, method, link)),
                Err(failure) if is_stale(&failure, since) => {}
                Err(failure) => return Err(self.blame(failure)),
            }
        }
        // boxed: connecting is rare, and its state would make every request's future three times as large
        let mut link = Box::pin(self.connect(home, false)).await?;
        let sending = self.sending(method, path, (ready, more), &body);
        match link.exchange::<false>(sending, Instant::now() + self.timeouts.first_byte).await {
            Ok(heard) => Ok(self.answer(heard, method, link)),
            Err(failure) => Err(self.blame(failure)),
        }
    }

    /// Keeps a connection whose exchange is over.
    pub(super) fn rest(&self, link: Box<Link>) {
        if let Some(shard) = self.shards.get(link.home) {
            shard.put(link, Instant::now(), self.keep.limit);
        }
    }

    /// A connection at rest whose other side is still there, as far as the reactor knows.
    fn rested(&self, home: usize, now: Instant) -> Option<Box<Link>> {
        let shard = self.shards.get(home)?;
        loop {
            let mut link = shard.take(now, self.keep.age)?;
            if link.is_at_rest() {
                return Some(link);
            }
        }
    }

    /// A new connection; `tunnels` as [`Way::connect`] has it.
    pub(super) async fn connect(&self, home: usize, tunnels: bool) -> Result<Box<Link>, SendError> {
        let within = self.timeouts.connect;
        let stream = timeout(within, self.way.connect(within, tunnels)).await.unwrap_or_else(|_elapsed| {
            Err(SendError::Timeout { host: self.name().clone(), phase: Phase::Connect, after: within })
        })?;
        Ok(Link::new(stream, home))
    }

    /// The request as it goes out.
    fn sending(
        &self,
        method: &Method,
        path: &PathAndQuery,
        (ready, more): (&Lines, &Lines),
        body: &Outgoing,
    ) -> Sending {
        let mut out = Vec::with_capacity(HEAD);
        // through a tunnel the proxy is not spoken to
        let proxy = self.way.proxy.as_ref().filter(|_| self.way.tls.is_none());
        match proxy {
            Some(_) => head::begin(&mut out, method, &format!("{}://{}{path}", self.scheme, self.authority)),
            None => head::begin(&mut out, method, path.as_str()),
        }
        out.extend_from_slice(ready.bytes());
        out.extend_from_slice(more.bytes());
        if !ready.named && !more.named {
            line(&mut out, HOST.as_str(), self.host.as_bytes());
        }
        if let Some(auth) = proxy.and_then(|proxy| proxy.auth.as_ref()) {
            line(&mut out, PROXY_AUTHORIZATION.as_str(), auth.as_bytes());
        }
        Sending::new(out, body, !matches!(*method, Method::GET | Method::HEAD | Method::DELETE | Method::OPTIONS))
    }

    pub(super) fn answer(self: &Arc<Self>, heard: Heard, method: &Method, link: Box<Link>) -> Answer {
        let Heard { head, rest, sent } = heard;
        // what such an answer says of its body is about the one that another method would get
        let framing = if method == Method::HEAD { Framing::Length(0) } else { head.framing };
        let body = Incoming::new(link, rest, framing, head.keeps && sent, self.clone());
        Answer { status: head.status, fields: head.fields, body }
    }

    pub(super) fn blame(&self, failure: Failure) -> SendError {
        let host = self.name().clone();
        match failure {
            Failure::Late => SendError::Timeout { host, phase: Phase::FirstByte, after: self.timeouts.first_byte },
            Failure::Closed { cause: Some(error), .. } => SendError::Closed { host, cause: words(&error) },
            Failure::Closed { cause: None, heard: false } => {
                SendError::Closed { host, cause: "the connection ended".into() }
            }
            Failure::Closed { cause: None, heard: true } => {
                SendError::Closed { host, cause: "the connection ended within its head".into() }
            }
            Failure::Nonsense(cause) => SendError::Protocol { host, cause: cause.into() },
            Failure::Body(error) => SendError::Body { host, cause: words(&error) },
        }
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Origin({}://{})", self.scheme, self.name())
    }
}

/// Whether a reused connection failed as one does that the upstream closed while it rested.
fn is_stale(failure: &Failure, since: Instant) -> bool {
    matches!(failure, Failure::Closed { heard: false, .. }) && since.elapsed() < STALE
}
