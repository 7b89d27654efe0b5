//! One client connection: HTTP/1.1 or HTTP/2 by its first bytes, served until it ends or is told to.

use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::{Frame, SizeHint};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tower::Service;

use super::pulse::{self, Busy, Order, Pulse};
use super::socket::{Bare, Socket};

/// A request head (its line and headers) is at most this long, in bytes; hyper answers 431 beyond it, also beyond 100
/// headers. A request target is at most 65,534 bytes long (414).
const MAX_HEAD: usize = 256 * 1024;

/// HTTP/2: dead peers are found by pings, which are answered or end the connection.
const PING_EVERY: Duration = Duration::from_secs(30);

/// HTTP/2 requests in hand on one connection.
const MAX_STREAMS: u32 = 256;

/// How both protocols are spoken; one for all connections.
pub(super) struct Protocols {
    http1: http1::Builder,
    http2: http2::Builder<TokioExecutor>,
    refusal: fn(StatusCode) -> &'static str,
}

impl Protocols {
    pub(super) fn new(refusal: fn(StatusCode) -> &'static str) -> Self {
        let mut http1 = http1::Builder::new();
        // The pulse keeps the time, and `max_headers` stays at its default of 100: setting it allocates a request.
        http1.half_close(false).header_read_timeout(None).max_header_size(MAX_HEAD);
        let mut http2 = http2::Builder::new(TokioExecutor::new());
        http2
            .timer(TokioTimer::new())
            .keep_alive_interval(PING_EVERY)
            .max_concurrent_streams(MAX_STREAMS)
            .max_header_list_size(MAX_HEAD as u32);
        Self { http1, http2, refusal }
    }
}

/// Serves a connection to its end. Errors of a connection are its client's affair: they are logged at debug.
pub(super) async fn serve<S>(protocols: &Protocols, stream: TcpStream, service: S, pulse: &Arc<Pulse>)
where
    S: Service<Request<Incoming>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send + 'static,
{
    let Some(preface) = obey(pulse, None, pin!(speaks_http2(&stream)), |_| {}).await else { return };
    let requests = pulse.clone();
    let service = service_fn(move |request: Request<hyper::body::Incoming>| {
        let busy = requests.begin();
        let bell = (!preface).then(|| requests.clone());
        // Every service we are handed is always ready; cloning one that is not would not help either.
        let answer = service.clone().call(request.map(|body| Incoming { body, bell }));
        async move {
            let Ok(mut response) = answer.await;
            if response.status() == StatusCode::SWITCHING_PROTOCOLS {
                busy.leave(response.extensions_mut().remove());
            }
            Ok::<_, Infallible>(response.map(|body| Watched { body, _busy: busy }))
        }
    });
    let refusal = (!preface).then_some(protocols.refusal);
    let socket = TokioIo::new(Socket::new(stream, pulse.clone(), refusal));
    let ended = if preface {
        let connection = pin!(protocols.http2.serve_connection(socket, service));
        obey(pulse, None, connection, http2::Connection::graceful_shutdown).await
    } else {
        let mut connection = protocols.http1.serve_connection(socket, service);
        let bell = Waker::from(pulse.clone());
        let ended = obey(pulse, Some(&bell), Pin::new(&mut connection), http1::Connection::graceful_shutdown).await;
        if let (Some(switch), Some(Ok(()))) = (pulse.left(), &ended) {
            let http1::Parts { io, read_buf, .. } = connection.into_parts();
            let client = Box::new(Bare::new(io.into_inner(), read_buf));
            let _busy = pulse.begin();
            // what has begun may go on until it is hurried, as streams may
            obey(pulse, None, pin!(switch.run(client)), |_| {}).await;
        }
        ended
    };
    match ended {
        Some(Ok(())) => {}
        Some(Err(error)) => tracing::debug!(%error, "connection ended"),
        None => tracing::debug!("connection cut"),
    }
}

/// Drives `future`, winding it down once when told to finish; `None` when cut. It is woken through `bell` if there is one.
async fn obey<F: Future>(
    pulse: &Pulse,
    bell: Option<&Waker>,
    mut future: Pin<&mut F>,
    wind_down: fn(Pin<&mut F>),
) -> Option<F::Output> {
    let mut told = false;
    std::future::poll_fn(|cx| {
        pulse.listen(cx.waker());
        match pulse.order() {
            Order::Serve => {}
            Order::Finish if told => {}
            Order::Finish => {
                told = true;
                wind_down(future.as_mut());
            }
            Order::Cut => return Poll::Ready(None),
        }
        match bell {
            Some(bell) => future.as_mut().poll(&mut Context::from_waker(bell)).map(Some),
            None => future.as_mut().poll(cx).map(Some),
        }
    })
    .await
}

/// Whether a connection opens with HTTP/2's preface (RFC 9113 §3.4). The bytes stay in the socket: looking costs one
/// system call a connection, while reading them would put a copy before every later read.
async fn speaks_http2(stream: &TcpStream) -> bool {
    let mut head = [0; 4];
    loop {
        match stream.peek(&mut head).await {
            Ok(4) => return head == *b"PRI ",
            // Another method, or nothing: HTTP/1.1 deals with it, errors included.
            Ok(n) if n == 0 || head[..n] != b"PRI "[..n] => return false,
            // A segment that ends within the preface's first word, or within the P of a POST. Peeking does not wait
            // for more than is there.
            Ok(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            Err(_) => return false,
        }
    }
}

/// A request's body as it comes in.
///
/// Whoever takes a piece of it wakes the connection for the next one (hyper does that also behind the last): the task
/// that is running already would run all over again for nothing. So the wake is held back, and passed on if the body
/// has not ended.
pub struct Incoming {
    body: hyper::body::Incoming,
    /// HTTP/2 has none: there a wake may mean the window of another request.
    bell: Option<Arc<Pulse>>,
}

impl http_body::Body for Incoming {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Self { body, bell } = &mut *self;
        let Some(bell) = bell else { return Pin::new(body).poll_frame(cx) };
        let (polled, woken) = pulse::hushed(|| Pin::new(&mut *body).poll_frame(cx));
        if woken && !body.is_end_stream() {
            bell.wake_by_ref();
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// An answer's body: as long as it lives, its request is in hand.
struct Watched {
    body: Body,
    _busy: Busy,
}

impl http_body::Body for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
