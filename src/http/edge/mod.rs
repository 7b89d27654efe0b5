//! What happens to every request before its handler and to every response after it, in one service around the router.
//!
//! The order is that of [`admit`] and [`Answering`]; each step is a plain function in a file of its own. One service and
//! one future instead of a stack of layers: each layer would box a future of its own on the hot path.

mod access_log;
mod auth;
mod body_cap;
mod client_ip;
mod cors;
mod headers;
mod open_mode;
pub mod path;
mod rate_limit;
mod request_id;
mod settings;

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::panic::{self, AssertUnwindSafe};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::response::IntoResponse;
use axum::routing::future::RouteFuture;
use bytes::Bytes;
use http::{HeaderValue, Request, Response};

use self::access_log::Entry;
pub use self::access_log::Log;
pub use self::body_cap::Caps;
pub use self::headers::template;
use self::path::Scope;
pub use self::rate_limit::{HEADERS as RATE_LIMIT, Standing};
pub use self::settings::EdgeSettings;
use super::error::Failure;
use super::websocket;
use crate::call::OutcomeSlot;

/// Who asks, and since when: what the edge tells a handler beside the request.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The request id, as echoed to the caller.
    pub id: Arc<str>,
    /// When the request's head had arrived.
    pub since: Instant,
    /// The id of the caller's key, never the key; `None` for anonymous callers.
    pub key: Option<Arc<str>>,
    /// The caller's address, behind trusted proxies.
    pub remote: IpAddr,
    /// Where the call's outcome belongs: filed there, it is in the access line even if the caller leaves early.
    pub outcome: OutcomeSlot,
    /// How its address stands with the limit of callers, if that counts it.
    pub standing: Option<Standing>,
}

/// Among the extensions of a probe whose caller may know names and reasons: who has the credential, or where there is none,
/// whom open mode serves. Everybody else is told how many there are.
#[derive(Clone, Copy, Debug)]
pub struct Insider;

/// A caller of a router that is embedded without the edge: anonymous, arriving now.
impl Default for Caller {
    fn default() -> Self {
        let (since, remote) = (Instant::now(), Ipv4Addr::UNSPECIFIED.into());
        Self {
            id: request_id::of(&http::HeaderMap::new(), headers::Rare::default()).0,
            since,
            key: None,
            remote,
            outcome: OutcomeSlot::default(),
            standing: None,
        }
    }
}

/// The edge of one process: settings, limiters, where access lines go. Cheap to clone.
#[derive(Clone)]
pub struct Edge(Arc<Shared>);

struct Shared {
    settings: EdgeSettings,
    caps: body_cap::Live,
    limits: rate_limit::Limits,
    log: Log,
}

impl Edge {
    /// An edge that hands its access lines to `log`, which is called exactly once per request but probes, on the thread
    /// the response ended on.
    pub fn new(settings: EdgeSettings, log: Log) -> Self {
        let limits = rate_limit::Limits::new(settings.limit);
        let caps = body_cap::Live::new(settings.caps);
        Self(Arc::new(Shared { settings, caps, limits, log }))
    }

    /// From now on bodies may be this long.
    pub fn take_bodies_up_to(&self, caps: Caps) {
        self.0.caps.set(caps);
    }

    /// The service of one connection: `inner` behind this edge.
    pub fn around<S>(&self, inner: S, peer: SocketAddr) -> Service<S> {
        Service { edge: self.clone(), inner, peer: peer.ip().to_canonical() }
    }
}

/// What stands behind the edge.
pub trait Inner {
    /// A request at work.
    type Future: Future<Output = Result<Response<Body>, Infallible>> + Unpin;

    /// Begins with a request.
    fn handle(&mut self, request: Request<Body>, caller: Caller) -> Self::Future;
}

/// A router's handlers find the caller among the extensions.
impl Inner for Router {
    type Future = RouteFuture<Infallible>;

    fn handle(&mut self, mut request: Request<Body>, caller: Caller) -> Self::Future {
        request.extensions_mut().insert(caller);
        tower::Service::call(self, request)
    }
}

/// Handlers behind the edge, for one connection.
#[derive(Clone)]
pub struct Service<S> {
    edge: Edge,
    inner: S,
    peer: IpAddr,
}

impl<S, B> tower::Service<Request<B>> for Service<S>
where
    S: Inner,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<axum::BoxError>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answering<S::Future>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let rare = headers::Rare::of(request.headers());
        let (id, echo) = request_id::of(request.headers(), rare);
        let mut entry = Entry::open(self.edge.0.log.clone(), &request, id, self.peer);
        let origin = cors::allowed(&self.edge.0.settings.origins, request.headers());
        let mut standing = None;
        let admitted = panic::catch_unwind(AssertUnwindSafe(|| {
            match admit(&self.edge.0, self.peer, &mut request, &mut entry, (rare, &mut standing)) {
                Ok(None) => Stage::Handler(self.inner.handle(request.map(Body::new), entry.caller(standing))),
                Ok(Some(reply)) => Stage::Over(reply),
                Err(failure) => Stage::Over(failure.into_response()),
            }
        }));
        let stage = admitted.unwrap_or_else(|_| Stage::Over(panicked(&entry)));
        Answering(Some(Open { stage, entry, echo, origin, standing }))
    }
}

/// What stands before the handler, in order. Everything in it may refuse, and may even panic. Some requests it answers.
fn admit<B: http_body::Body>(
    edge: &Shared,
    peer: IpAddr,
    request: &mut Request<B>,
    entry: &mut Entry,
    (rare, standing): (headers::Rare, &mut Option<Standing>),
) -> Result<Option<Response<Body>>, Failure> {
    let settings = &edge.settings;
    let scope = path::normalise(request.uri_mut())?;
    entry.silent = scope == Scope::Probe;
    entry.remote = client_ip::of(&settings.proxies, peer, request.headers(), rare);
    headers::known_method(request.method())?;
    headers::one_host(request.version(), request.headers())?;
    if let Some(reply) = cors::preflight(&settings.origins, request) {
        return Ok(Some(reply));
    }
    if scope == Scope::Probe {
        let is_insider = match settings.auth.has_master_key() {
            true => settings.auth.identify(scope, request.headers())?.is_some(),
            false => open_mode::check(&settings.origins, peer, request).is_ok(),
        };
        if is_insider {
            request.extensions_mut().insert(Insider);
        }
    } else {
        let identity = settings.auth.identify(scope, request.headers());
        edge.limits.check(entry.remote, &identity, standing)?;
        entry.key = identity?;
        if settings.auth.is_open(scope) {
            open_mode::check(&settings.origins, peer, request)?;
        } else if entry.key.is_none() && websocket::is_asked(request) {
            open_mode::page(&settings.origins, request)?;
        }
    }
    edge.caps.check(request.uri().path(), request.body())?;
    Ok(None)
}

/// A response in the making: whatever happens, there is one, with its headers, and one access line.
pub struct Answering<F>(Option<Open<F>>);

struct Open<F> {
    stage: Stage<F>,
    entry: Entry,
    echo: HeaderValue,
    origin: Option<HeaderValue>,
    standing: Option<Standing>,
}

enum Stage<F> {
    /// The handler is at work.
    Handler(F),
    /// The edge has answered itself.
    Over(Response<Body>),
}

impl<F: Future<Output = Result<Response<Body>, Infallible>> + Unpin> Future for Answering<F> {
    type Output = Result<Response<Body>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let open = self.0.as_mut().expect("a finished future is not polled again");
        let handled = match &mut open.stage {
            Stage::Over(_) => None,
            Stage::Handler(handler) => {
                match panic::catch_unwind(AssertUnwindSafe(|| Pin::new(handler).poll(context))) {
                    Ok(Poll::Pending) => return Poll::Pending,
                    Ok(Poll::Ready(Ok(response))) => Some(response),
                    Err(_) => Some(panicked(&open.entry)),
                }
            }
        };
        let Some(Open { stage, entry, echo, origin, standing }) = self.0.take() else { return Poll::Pending };
        let mut response = match (handled, stage) {
            (Some(response), _) | (None, Stage::Over(response)) => response,
            (None, Stage::Handler(_)) => return Poll::Pending,
        };
        let is_whole = headers::put(response.headers_mut(), echo);
        cors::put(response.headers_mut(), origin);
        if let Some(standing) = standing.filter(|_| !is_whole) {
            standing.put(response.headers_mut());
        }
        Poll::Ready(Ok(entry.close(response)))
    }
}

fn panicked(entry: &Entry) -> Response<Body> {
    tracing::error!(request_id = %entry.id(), "a handler panicked");
    Failure::Panic.into_response()
}
