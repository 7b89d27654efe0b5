//! An upstream that says what it was told to, in order, and remembers what it was asked.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::Response;
use futures_util::StreamExt;
use serde_json::Value;
use tokio::sync::Notify;

/// What an upstream was asked.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Seen {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// How an answer ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Clean,
    Cut,
    Hang,
}

/// One answer.
#[derive(Clone)]
pub(crate) struct Say {
    status: u16,
    headers: Vec<(String, String)>,
    parts: Vec<Bytes>,
    pause: Duration,
    late: Duration,
    gate: Option<Arc<Notify>>,
    end: End,
    length: bool,
}

impl Say {
    pub(crate) fn json(status: u16, body: &str) -> Self {
        let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        let parts = vec![Bytes::copy_from_slice(body.as_bytes())];
        Self {
            status,
            headers,
            parts,
            pause: Duration::ZERO,
            late: Duration::ZERO,
            gate: None,
            end: End::Clean,
            length: true,
        }
    }

    /// The same with any bytes.
    pub(crate) fn bytes(status: u16, body: Vec<u8>) -> Self {
        Self { parts: vec![body.into()], ..Self::json(status, "") }
    }

    /// A good chat answer that says this.
    pub(crate) fn text(content: &str) -> Self {
        Self::json(200, &chat(content))
    }

    /// A stream of these payloads, each in a frame and a chunk of its own.
    pub(crate) fn events<S: AsRef<str>>(payloads: impl IntoIterator<Item = S>) -> Self {
        Self::raw_events(payloads.into_iter().map(|payload| format!("data: {}\n\n", payload.as_ref())))
    }

    /// A stream of these pieces, as they are.
    pub(crate) fn raw_events(parts: impl IntoIterator<Item = String>) -> Self {
        let parts = parts.into_iter().map(Bytes::from).collect();
        Self { parts, length: false, ..Self::json(200, "") }.header("content-type", "text/event-stream")
    }

    /// A stream of another kind, in these pieces.
    pub(crate) fn pieces(kind: &str, parts: impl IntoIterator<Item = Vec<u8>>) -> Self {
        let parts = parts.into_iter().map(Bytes::from).collect();
        Self { parts, length: false, ..Self::json(200, "") }.header("content-type", kind)
    }

    /// A good stream: a role, these words, a finish, usage, `[DONE]`.
    pub(crate) fn words(words: &[&str]) -> Self {
        let mut payloads = vec![delta(r#"{"role":"assistant","content":""}"#, "null")];
        payloads.extend(words.iter().map(|word| delta(&format!(r#"{{"content":"{word}"}}"#), "null")));
        payloads.push(delta("{}", r#""stop""#));
        payloads.push(USAGE.to_owned());
        payloads.push("[DONE]".to_owned());
        Self::events(payloads)
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(known, _)| known != name);
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Breaks the connection after its parts.
    pub(crate) fn cut(mut self) -> Self {
        (self.end, self.length) = (End::Cut, false);
        self
    }

    /// Says nothing more after its parts, and does not end.
    pub(crate) fn hang(mut self) -> Self {
        (self.end, self.length) = (End::Hang, false);
        self
    }

    /// Waits before each part.
    pub(crate) fn paced(mut self, pause: Duration) -> Self {
        self.pause = pause;
        self
    }

    /// Waits for this before the head.
    pub(crate) fn once(mut self, gate: &Arc<Notify>) -> Self {
        self.gate = Some(gate.clone());
        self
    }

    /// Waits before the head.
    pub(crate) fn late(mut self, late: Duration) -> Self {
        self.late = late;
        self
    }
}

pub(crate) const USAGE: &str = r#"{"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[],"usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7}}"#;

pub(crate) fn chat(content: &str) -> String {
    format!(
        r#"{{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{{"index":0,"message":{{"role":"assistant","content":"{content}"}},"finish_reason":"stop"}}],"usage":{{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7}}}}"#
    )
}

pub(crate) fn delta(delta: &str, finish: &str) -> String {
    format!(
        r#"{{"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{{"index":0,"delta":{delta},"finish_reason":{finish}}}]}}"#
    )
}

/// Answers in the order it was told to; the last answer is repeated.
#[derive(Clone, Default)]
pub(crate) struct Upstream {
    script: Arc<Mutex<VecDeque<Say>>>,
    seen: Arc<Mutex<Vec<Seen>>>,
    /// Notified when an answer's body is dropped, finished or not.
    pub(crate) left: Arc<Notify>,
    /// Notified when it is asked something.
    pub(crate) asked: Arc<Notify>,
    pub(crate) url: String,
}

impl Upstream {
    pub(crate) async fn says(script: impl IntoIterator<Item = Say>) -> Self {
        let mut me = Self { script: Arc::new(Mutex::new(script.into_iter().collect())), ..Self::default() };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        me.url = format!("http://{}", listener.local_addr().unwrap());
        let app = Router::new().fallback(answer).layer(DefaultBodyLimit::disable()).with_state(me.clone());
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        me
    }

    /// One that refuses connections.
    pub(crate) async fn down() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self { url: format!("http://{}", listener.local_addr().unwrap()), ..Self::default() }
    }

    /// Gives it more to say: what can only be said once its address is known.
    pub(crate) fn tell(&self, script: impl IntoIterator<Item = Say>) {
        self.script.lock().unwrap().extend(script);
    }

    /// Waits until it is asked for this path, and returns everything it was asked until then.
    pub(crate) async fn until(&self, path: &str) -> Vec<Seen> {
        let mut all = Vec::new();
        loop {
            all.extend(self.seen());
            if all.iter().any(|seen: &Seen| seen.path == path) {
                return all;
            }
            self.asked.notified().await;
        }
    }

    /// Forgets what it was asked, and what it would say again.
    pub(crate) fn forget(&self) {
        self.script.lock().unwrap().clear();
        self.seen();
    }

    /// Everything it was asked since the last time.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        std::mem::take(&mut *self.seen.lock().unwrap())
    }
}

struct Leaves(Arc<Notify>);

impl Drop for Leaves {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

async fn answer(State(me): State<Upstream>, method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let leaves = Leaves(me.left.clone());
    let path = uri.path_and_query().unwrap().to_string();
    me.seen.lock().unwrap().push(Seen { method, path, headers, body });
    me.asked.notify_one();
    let say = {
        let mut script = me.script.lock().unwrap();
        let next = script.pop_front().expect("the upstream has nothing to say");
        if script.is_empty() {
            script.push_back(next.clone());
        }
        next
    };
    tokio::time::sleep(say.late).await;
    if let Some(gate) = &say.gate {
        gate.notified().await;
    }
    let mut response = Response::builder().status(StatusCode::from_u16(say.status).unwrap());
    for (name, value) in &say.headers {
        response = response.header(name, value);
    }
    if say.length {
        return response.body(Body::from(say.parts.concat())).unwrap();
    }
    let (pause, end) = (say.pause, say.end);
    let parts = futures_util::stream::iter(say.parts).then(move |part| async move {
        tokio::time::sleep(pause).await;
        Ok::<_, std::io::Error>(part)
    });
    let rest = futures_util::stream::once(async move {
        let _leaves = leaves;
        tokio::time::sleep(pause).await;
        match end {
            End::Clean => None,
            End::Cut => Some(Err(std::io::Error::other("cut"))),
            End::Hang => std::future::pending::<Option<Result<Bytes, std::io::Error>>>().await,
        }
    })
    .filter_map(|item| async move { item });
    let body = parts.chain(rest).map(|item| item.map_err(|_| std::io::Error::other("cut")));
    response.body(Body::from_stream(body)).unwrap()
}
