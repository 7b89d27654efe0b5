//! One upstream host: where it is, how patient we are with it, and its connections.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{HOST, PROXY_AUTHORIZATION};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderValue, Method, Request, Response, Uri};
use http_body_util::Full;
use tokio::time::{Instant, timeout};

use super::body::Incoming;
use super::connect::Way;
use super::error::{Phase, SendError, words};
use super::link::{Failure, Link};
use super::pool::{Connection, Shard};

/// A reused connection that closes later than this after the request was sent was not a stale one: the upstream took
/// the request and died on it, and sending it again is for the retry rules to decide.
const STALE: Duration = Duration::from_secs(2);

/// How long to wait for an upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For a connection: name lookup, TCP, egress proxy and TLS together.
    pub connect: Duration,
    /// From the request being sent to the head of the answer.
    pub first_byte: Duration,
    /// Between two pieces of the answer's body.
    pub idle: Duration,
    /// For a whole exchange. Streams are never cut by it: only [`collect`](super::collect) applies it.
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
}

impl Origin {
    /// `host:port`, as error messages name it.
    pub fn name(&self) -> &Arc<str> {
        &self.way.to.name
    }

    /// The `Host` header of its requests, for those who prepare headers once.
    pub fn host(&self) -> &HeaderValue {
        &self.host
    }

    /// The limits it was made with.
    pub fn timeouts(&self) -> Timeouts {
        self.timeouts
    }

    /// How many connections rest in the pools.
    pub fn resting(&self) -> usize {
        self.shards.iter().map(Shard::len).sum()
    }

    /// Closes connections that rested for too long, and takes the buffers from those that rest for a while. Safe from
    /// any thread.
    pub fn sweep(&self, now: std::time::Instant) {
        for shard in &self.shards {
            shard.sweep(now.into(), self.keep.age);
        }
    }

    /// Sends `request` and waits for the head of the answer; of its URI only path and query matter.
    /// [`Origin::ask`] saves a copy of the headers.
    pub async fn send(self: &Arc<Self>, request: Request<Bytes>) -> Result<Response<Incoming>, SendError> {
        let (head, body) = request.into_parts();
        let root = PathAndQuery::from_static("/");
        let path = head.uri.path_and_query().unwrap_or(&root);
        self.ask(&head.method, path, || head.headers.clone(), body).await
    }

    /// Sends a request and waits for the head of the answer. `headers` is called once for each connection tried, so
    /// that the usual request makes its headers once. `Host` is set unless they have it, `Content-Length` always;
    /// redirects are not followed.
    ///
    /// A pooled connection that turns out to be closed before any byte of an answer is replaced by a fresh one, once.
    /// Dropping the future or the body before its end closes the connection.
    pub async fn ask(
        self: &Arc<Self>,
        method: &Method,
        path: &PathAndQuery,
        headers: impl Fn() -> HeaderMap,
        body: Bytes,
    ) -> Result<Response<Incoming>, SendError> {
        let since = Instant::now();
        let home = (self.keep.worker)() % self.shards.len();
        if let Some(link) = self.rested(home, since).await {
            let request = self.request(method, path, headers(), body.clone());
            match link.exchange(request, since + self.timeouts.first_byte).await {
                Ok((answer, link)) => return Ok(self.answer(answer, link, since)),
                Err(failure) if is_stale(&failure, since) => {}
                Err(failure) => return Err(self.blame(failure)),
            }
        }
        // boxed: connecting is rare, and its state would make every request's future three times as large
        let link = Box::pin(self.connect(home)).await?;
        let request = self.request(method, path, headers(), body);
        match link.exchange(request, Instant::now() + self.timeouts.first_byte).await {
            Ok((answer, link)) => Ok(self.answer(answer, link, since)),
            Err(failure) => Err(self.blame(failure)),
        }
    }

    /// Keeps a connection whose exchange is over; only its socket, if hyper's buffers have grown.
    pub(super) fn rest(&self, link: Box<Link>, large: bool) {
        let Some(shard) = self.shards.get(link.home) else { return };
        let connection = match large {
            false => Connection::Warm(link),
            true => match link.into_stream() {
                Some(stream) => Connection::Cold(stream),
                None => return,
            },
        };
        shard.put(connection, Instant::now(), self.keep.limit);
    }

    async fn rested(&self, home: usize, now: Instant) -> Option<Box<Link>> {
        match self.shards.get(home)?.take(now, self.keep.age)? {
            Connection::Warm(link) => Some(link),
            Connection::Cold(stream) => Box::pin(Link::new(stream, home)).await.ok(),
        }
    }

    async fn connect(&self, home: usize) -> Result<Box<Link>, SendError> {
        let within = self.timeouts.connect;
        let stream = timeout(within, self.way.connect(within)).await.unwrap_or_else(|_elapsed| {
            Err(SendError::Timeout { host: self.name().clone(), phase: Phase::Connect, after: within })
        })?;
        Link::new(stream, home).await.map_err(|error| self.blame(Failure::Hyper { error, heard: false }))
    }

    fn request(&self, method: &Method, path: &PathAndQuery, headers: HeaderMap, body: Bytes) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method.clone();
        *request.headers_mut() = headers;
        let headers = request.headers_mut();
        if !headers.contains_key(HOST) {
            headers.insert(HOST, self.host.clone());
        }
        *request.uri_mut() = match &self.way.proxy {
            Some(proxy) if self.way.tls.is_none() => {
                if let Some(auth) = &proxy.auth {
                    request.headers_mut().insert(PROXY_AUTHORIZATION, auth.clone());
                }
                let mut parts = http::uri::Parts::default();
                parts.scheme = Some(self.scheme.clone());
                parts.authority = Some(self.authority.clone());
                parts.path_and_query = Some(path.clone());
                Uri::from_parts(parts).unwrap_or_else(|_invalid| Uri::from(path.clone()))
            }
            _ => Uri::from(path.clone()),
        };
        request
    }

    fn answer(
        self: &Arc<Self>,
        answer: Response<hyper::body::Incoming>,
        link: Option<Box<Link>>,
        since: Instant,
    ) -> Response<Incoming> {
        answer.map(|body| Incoming::new(link, body, self.clone(), since))
    }

    fn blame(&self, failure: Failure) -> SendError {
        let host = self.name().clone();
        match failure {
            Failure::Late => SendError::Timeout { host, phase: Phase::FirstByte, after: self.timeouts.first_byte },
            Failure::Hyper { error, .. } if is_closed(&error) => SendError::Closed { host, cause: words(&error) },
            Failure::Hyper { error, .. } => SendError::Protocol { host, cause: words(&error) },
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
    match failure {
        Failure::Hyper { error, heard: false } => is_closed(error) && since.elapsed() < STALE,
        _ => false,
    }
}

/// Whether the connection closed, in one of the ways a socket can.
fn is_closed(error: &hyper::Error) -> bool {
    let closed = error.is_canceled() || error.is_closed() || error.is_incomplete_message();
    closed || {
        let io = error.source().and_then(|source| source.downcast_ref::<io::Error>());
        io.is_some_and(|io| io.kind() != io::ErrorKind::InvalidData)
    }
}
