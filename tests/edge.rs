//! The edge around a tiny router: what callers, web pages and the access log see of it.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::extract::Extension;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use bytes::Bytes;
use ferrogw::call::{Op, Outcome, OutcomeSlot, Route};
use ferrogw::http::edge::{Caller, Caps, Edge, EdgeSettings};
use ferrogw::http::error::Failure;
use ferrogw::telemetry::Line;
use futures_util::{FutureExt, StreamExt, stream};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use tower::{Service, ServiceExt};

mod access_log;
mod failures;
mod open_mode;
mod requests;

const KEY: &str = "fgw_0123456789abcdef0123456789abcdef";

/// An access line, owned.
#[derive(Clone, Debug, PartialEq)]
struct Logged {
    id: String,
    method: String,
    path: String,
    status: u16,
    bytes: u64,
    remote: IpAddr,
    key: Option<String>,
    error: Option<String>,
    model: Option<String>,
}

/// The edge with an environment, and all it logged.
#[derive(Clone)]
struct Door {
    edge: Edge,
    lines: Arc<Mutex<Vec<Logged>>>,
    peer: SocketAddr,
}

/// A response, read.
struct Seen {
    status: u16,
    headers: HeaderMap,
    body: String,
}

impl Seen {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// The code of the error.
    fn code(&self) -> String {
        let body: serde_json::Value = serde_json::from_str(&self.body).unwrap();
        body["error"]["code"].as_str().unwrap().to_owned()
    }
}

impl Door {
    fn with(env: &[(&str, &str)]) -> Self {
        let settings = settings(env).unwrap();
        let lines = Arc::new(Mutex::new(Vec::new()));
        let kept = lines.clone();
        let log = Arc::new(move |line: &Line<'_>| {
            kept.lock().unwrap().push(Logged {
                id: line.id.to_owned(),
                method: line.method.to_owned(),
                path: line.path.to_owned(),
                status: line.status,
                bytes: line.bytes,
                remote: line.remote,
                key: line.key.map(str::to_owned),
                error: line.error.map(str::to_owned),
                model: line.outcome.map(|outcome| outcome.model.to_string()),
            });
        });
        Self { edge: Edge::new(settings, log), lines, peer: "127.0.0.1:4000".parse().unwrap() }
    }

    /// With a master key and nothing else.
    fn locked() -> Self {
        Self::with(&[("MASTER_KEY", KEY)])
    }

    /// The same process, seen from another address.
    fn from(&self, peer: &str) -> Self {
        Self { peer: SocketAddr::new(peer.parse().unwrap(), 4000), ..self.clone() }
    }

    fn service(
        &self,
    ) -> impl Service<Request<Body>, Response = Response, Error = Infallible, Future: Send> + Clone + use<> {
        self.edge.around(router(), self.peer)
    }

    /// Sends a request, without a body, with these headers.
    async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Seen {
        self.ask(request(method, path, headers)).await
    }

    async fn ask(&self, request: Request<Body>) -> Seen {
        let response = self.service().oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Seen { status: head.status.as_u16(), headers: head.headers, body: String::from_utf8(body.to_vec()).unwrap() }
    }

    /// Sends a GET request with the master key.
    async fn get(&self, path: &str) -> Seen {
        self.send("GET", path, &[("authorization", &format!("Bearer {KEY}"))]).await
    }

    fn lines(&self) -> Vec<Logged> {
        self.lines.lock().unwrap().clone()
    }
}

fn settings(env: &[(&str, &str)]) -> Result<EdgeSettings, Vec<String>> {
    EdgeSettings::from_env(
        |name| env.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()),
        Caps { file: 2000, body: 1000 },
    )
}

fn request(method: &str, path: &str, headers: &[(&str, &str)]) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    if !headers.iter().any(|(name, _)| *name == "host") {
        request = request.header("host", "localhost:8080");
    }
    request.body(Body::empty()).unwrap()
}

/// Every kind of answer there is.
fn router() -> Router {
    Router::new()
        .route("/health", get(|| async { "fine" }))
        .route("/metrics", get(|| async { "metrics" }))
        .route("/v1/models", get(|| async { "models" }))
        .route("/v1/models/{*id}", get(|| async { "model" }))
        .route("/v1/echo", post(|| async { "echo" }))
        .route("/v1/caller", get(caller))
        .route("/v1/call", get(call))
        .route("/v1/events", get(events))
        .route("/v1/short", get(async || Body::from_stream(stream::iter(["a", "bc"].map(Ok::<_, Infallible>)))))
        .route("/v1/never", get(std::future::pending::<()>))
        .route("/v1/panic", get(panics))
        .fallback(async || Failure::NotFound)
        .method_not_allowed_fallback(async || Failure::MethodNotAllowed)
}

async fn caller(Extension(caller): Extension<Caller>) -> Json<[String; 3]> {
    Json([caller.id.to_string(), caller.remote.to_string(), caller.key.as_deref().unwrap_or("none").to_owned()])
}

/// A call that is over when its whole answer is there.
async fn call(Extension(caller): Extension<Caller>) -> &'static str {
    caller.outcome.file(outcome("whole"));
    "answer"
}

/// A call that is over when its stream is dropped, and sends two chunks before it waits for ever.
async fn events(Extension(caller): Extension<Caller>) -> Body {
    struct Meter(OutcomeSlot);
    impl Drop for Meter {
        fn drop(&mut self) {
            self.0.file(outcome("streamed"));
        }
    }
    let meter = Meter(caller.outcome);
    let chunks = ["data: 1\n\n", "data: 2\n\n"].map(|chunk| Ok::<_, Infallible>(Bytes::from_static(chunk.as_bytes())));
    let chunks = stream::iter(chunks).chain(stream::pending());
    Body::from_stream(chunks.inspect(move |_| _ = &meter))
}

async fn panics() -> StatusCode {
    panic!("a handler with a defect")
}

fn outcome(model: &str) -> Outcome {
    Outcome {
        op: Op::Chat,
        model: model.into(),
        route: Route::default(),
        stream: false,
        error: None,
        abandoned: false,
        took: std::time::Duration::ZERO,
        first_token: None,
        usage: None,
        cost: None,
    }
}
