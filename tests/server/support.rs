//! A server that says what happens to its handlers, and a client that sees bytes.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use axum::routing::{any, get as on_get};
use ferrogw::server::{Ended, Handle, Options, Stop, bind, start};
use futures_util::stream::{self, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, mpsc};

/// Far more than anything here takes; a test that gets this far has failed.
const LONG: Duration = Duration::from_secs(20);

pub(super) async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(LONG, future).await.expect("it takes too long")
}

/// Waits for a condition that nothing announces.
pub(super) async fn until(condition: impl Fn() -> bool) {
    within(async {
        while !condition() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

pub(super) fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")
}

pub(super) struct Server {
    pub(super) handle: Handle,
    pub(super) stop: Stop,
    arrived: Mutex<mpsc::UnboundedReceiver<()>>,
    left: Mutex<mpsc::UnboundedReceiver<()>>,
}

impl Server {
    pub(super) fn with(options: Options) -> Self {
        Self::on(bind(&[(Ipv4Addr::LOCALHOST, 0).into()]).unwrap(), options)
    }

    pub(super) fn on(listeners: Vec<TcpListener>, options: Options) -> Self {
        let (arrives, arrived) = mpsc::unbounded_channel();
        let (leaves, left) = mpsc::unbounded_channel();
        let stop = options.stop.clone();
        let router = router(arrives, leaves, stop.clone());
        let handle = start(listeners, move |_, _| router.clone(), options).unwrap();
        Self { handle, stop, arrived: Mutex::new(arrived), left: Mutex::new(left) }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.handle.addresses()[0]
    }

    pub(super) async fn client(&self) -> Client {
        Client::to(self.address()).await
    }

    /// Waits until one more request has come to a handler.
    pub(super) async fn arrived(&self) {
        within(async { self.arrived.lock().await.recv().await }).await.unwrap();
    }

    /// Waits until one more handler or stream that waits is dropped.
    pub(super) async fn left(&self) {
        within(async { self.left.lock().await.recv().await }).await.unwrap();
    }

    /// How many requests have come to a handler that nobody has waited for.
    pub(super) async fn unseen(&self) -> usize {
        let mut arrived = self.arrived.lock().await;
        std::iter::from_fn(|| arrived.try_recv().ok()).count()
    }

    pub(super) async fn finish(self) -> Ended {
        self.handle.shutdown();
        within(self.handle.join()).await
    }
}

/// Announces its end.
struct Leaving(mpsc::UnboundedSender<()>);

impl Drop for Leaving {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}

fn router(arrives: mpsc::UnboundedSender<()>, leaves: mpsc::UnboundedSender<()>, stop: Stop) -> Router {
    let say = move || _ = arrives.send(());
    let (waits, streams, posts, slow) = (say.clone(), say.clone(), say.clone(), say.clone());
    let (waiting, streaming) = (leaves.clone(), leaves);
    let hurry = stop.hurry;
    Router::new()
        .route("/thread", on_get(async || std::thread::current().name().unwrap_or_default().to_owned()))
        .route("/refuse", any(async || (StatusCode::PAYLOAD_TOO_LARGE, "too much")))
        .route(
            "/echo",
            any(move |body: Bytes| {
                posts();
                async move { body }
            }),
        )
        .route("/pieces", any(async |body: Body| body))
        .route(
            "/endless",
            any(async || {
                Body::from_stream(stream::repeat_with(|| Ok::<_, Infallible>(Bytes::from_static(&[b'x'; 4096]))))
            }),
        )
        .route(
            "/wait",
            any(move || {
                waits();
                let leaving = Leaving(waiting.clone());
                async move {
                    std::future::pending::<()>().await;
                    drop(leaving)
                }
            }),
        )
        // Ends in an orderly way when hurried.
        .route(
            "/patient",
            any(move || {
                slow();
                let hurry = hurry.clone();
                async move {
                    hurry.cancelled().await;
                    "hurried"
                }
            }),
        )
        .route(
            "/stream",
            any(move || {
                streams();
                let leaving = Leaving(streaming.clone());
                async move {
                    let first = stream::once(async { Ok::<_, Infallible>(Bytes::from_static(b"first")) });
                    Body::from_stream(first.chain(stream::once(async move {
                        std::future::pending::<()>().await;
                        drop(leaving);
                        Ok(Bytes::new())
                    })))
                }
            }),
        )
        .fallback(move || {
            say();
            async { "hello" }
        })
}

#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: String,
}

/// A connection, byte by byte.
pub(super) struct Client {
    stream: TcpStream,
    read: Vec<u8>,
}

impl Client {
    pub(super) async fn to(address: SocketAddr) -> Self {
        Self { stream: within(TcpStream::connect(address)).await.unwrap(), read: Vec::new() }
    }

    pub(super) async fn send(&mut self, bytes: String) {
        within(self.stream.write_all(bytes.as_bytes())).await.unwrap();
    }

    /// Sends what may no longer be wanted at the other end.
    pub(super) async fn try_send(&mut self, bytes: &[u8]) -> bool {
        within(self.stream.write_all(bytes)).await.is_ok()
    }

    pub(super) async fn ask(&mut self, request: &str) -> Answer {
        self.send(request.to_owned()).await;
        self.answer().await
    }

    /// The next answer, which has a Content-Length.
    pub(super) async fn answer(&mut self) -> Answer {
        let head = self.until("\r\n\r\n").await;
        let status = head[9..12].parse().unwrap();
        let length =
            head.lines().find_map(|line| line.strip_prefix("content-length: ")).map_or(0, |n| n.parse().unwrap());
        let body = String::from_utf8(self.bytes(length).await).unwrap();
        Answer { status, head, body }
    }

    pub(super) async fn until(&mut self, end: &str) -> String {
        let at = loop {
            if let Some(at) = self.read.windows(end.len()).position(|window| window == end.as_bytes()) {
                break at + end.len();
            }
            assert_ne!(self.more().await, 0, "closed after {:?}", String::from_utf8_lossy(&self.read));
        };
        String::from_utf8(self.read.drain(..at).collect()).unwrap()
    }

    pub(super) async fn bytes(&mut self, length: usize) -> Vec<u8> {
        while self.read.len() < length {
            assert_ne!(self.more().await, 0, "closed after {:?}", String::from_utf8_lossy(&self.read));
        }
        self.read.drain(..length).collect()
    }

    /// Waits for the server to close, by whatever means; what came before.
    pub(super) async fn closed(&mut self) -> String {
        while self.more().await > 0 {}
        String::from_utf8_lossy(&std::mem::take(&mut self.read)).into_owned()
    }

    /// Reads once; 0 when closed or reset.
    async fn more(&mut self) -> usize {
        within(self.stream.read_buf(&mut self.read)).await.unwrap_or(0)
    }
}
