//! The traffic: what is asked, what the mock upstream answers, and the shapes of load that are measured.

use std::time::Duration;

/// One row of the table of measurements.
pub(crate) struct Shape {
    /// The word by which `BENCH` chooses it.
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    /// The model asked for: it tells the mock how to answer.
    pub(crate) model: &'static str,
    pub(crate) connections: usize,
    /// Size of the request body in bytes.
    pub(crate) request: usize,
    /// Over how long the first requests of the connections are spread, so that they do not march in step.
    pub(crate) spread: Duration,
    pub(crate) warmup: Duration,
    /// The upstream is reached over TLS.
    pub(crate) tls: bool,
    /// Every header that an SDK and a vendor send, rather than the handful with which the bars were measured.
    pub(crate) sdk: bool,
    /// Each connection is followed by one that never asks, so that where connections are dealt out to threads in turn all
    /// the work falls to half of them.
    pub(crate) uneven: bool,
    pub(crate) answer: Answer,
}

/// What the load generator expects back.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Answer {
    /// A JSON body of so many bytes.
    Whole(usize),
    /// Server-sent events that end with `[DONE]`.
    Events,
}

const CHAT: Shape = Shape {
    name: "chat",
    title: "chat, 0 ms, 64 connections",
    model: "bench-chat",
    connections: 64,
    request: 425,
    spread: Duration::ZERO,
    warmup: Duration::from_millis(500),
    tls: false,
    sdk: false,
    uneven: false,
    answer: Answer::Whole(SMALL),
};

/// `busy` stands first: its memory figures want processes that have done nothing else yet.
pub(crate) static SHAPES: &[Shape] = &[
    Shape {
        name: "busy",
        title: "chat, 60 ms, 1000 connections",
        model: "bench-60ms",
        connections: 1000,
        spread: Duration::from_millis(60),
        warmup: Duration::from_millis(1000),
        ..CHAT
    },
    CHAT,
    Shape {
        name: "stream",
        title: "50 events, 5 ms apart, 200 connections",
        model: "bench-stream",
        connections: 200,
        spread: Duration::from_millis(250),
        warmup: Duration::from_millis(700),
        answer: Answer::Events,
        ..CHAT
    },
    Shape { name: "large-request", title: "100 KB request, 64 connections", request: 100_000, ..CHAT },
    Shape {
        name: "large-answer",
        title: "1 MB answer, 16 connections",
        model: "bench-1mb",
        connections: 16,
        answer: Answer::Whole(LARGE),
        ..CHAT
    },
    Shape { name: "https", title: "chat, 0 ms, 64 connections, HTTPS upstream", tls: true, ..CHAT },
    Shape { name: "uneven", title: "chat, 0 ms, 64 connections beside 64 silent ones", uneven: true, ..CHAT },
    Shape {
        name: "sdk",
        title: "chat, 0 ms, 64 connections, all headers of an SDK",
        model: "bench-sdk",
        sdk: true,
        ..CHAT
    },
];

/// Sizes of the answers in bytes.
pub(crate) const SMALL: usize = 660;
pub(crate) const LARGE: usize = 1_000_000;
/// Content events of a stream, bytes of each with its `data: ` and blank line, and the time between two.
pub(crate) const EVENTS: usize = 50;
pub(crate) const EVENT: usize = 322;
pub(crate) const GAP: Duration = Duration::from_millis(5);

/// The models the gateway is configured with, and how the mock answers them.
pub(crate) const MODELS: [&str; 6] =
    ["bench-chat", "bench-60ms", "bench-1mb", "bench-stream", "bench-stream-0", "bench-sdk"];

/// The key the callers show; the gateway's `MASTER_KEY`.
pub(crate) const KEY: &str = "fgw_0123456789abcdef0123456789abcdef";

/// What the openai client for Python sends on top of the usual headers.
const SDK_HEADERS: &str = "Accept-Encoding: gzip, deflate\r\n\
                           Connection: keep-alive\r\n\
                           X-Stainless-Lang: python\r\n\
                           X-Stainless-Package-Version: 2.8.0\r\n\
                           X-Stainless-OS: Linux\r\n\
                           X-Stainless-Arch: x64\r\n\
                           X-Stainless-Runtime: CPython\r\n\
                           X-Stainless-Runtime-Version: 3.12.3\r\n\
                           X-Stainless-Async: false\r\n\
                           X-Stainless-Retry-Count: 0\r\n\
                           X-Stainless-Read-Timeout: 600\r\n";

/// What a vendor answers with on top of type and length.
pub(crate) const VENDOR_HEADERS: &str = "date: Fri, 20 Nov 2026 12:00:00 GMT\r\n\
                                         x-request-id: req_4d1f0e2c9b7a\r\n\
                                         openai-organization: example\r\n\
                                         openai-processing-ms: 412\r\n\
                                         openai-version: 2020-10-01\r\n\
                                         x-ratelimit-limit-requests: 10000\r\n\
                                         x-ratelimit-remaining-requests: 9999\r\n\
                                         x-ratelimit-reset-requests: 6ms\r\n";

/// Finds a shape by its name.
pub(crate) fn shape(name: &str) -> anyhow::Result<&'static Shape> {
    SHAPES.iter().find(|shape| shape.name == name).ok_or_else(|| anyhow::anyhow!("no shape is named {name}"))
}

impl Shape {
    /// The request as it goes over the wire.
    pub(crate) fn request(&self) -> Vec<u8> {
        let stream = match self.answer {
            Answer::Whole(_) => r#""temperature":0.7,"max_tokens":256"#,
            Answer::Events => r#""stream":true,"stream_options":{"include_usage":true}"#,
        };
        let before = format!(
            r#"{{"model":"{}",{stream},"messages":[{{"role":"system","content":"You answer in one sentence."}},{{"role":"user","content":""#,
            self.model
        );
        let after = r#""}]}"#;
        let body = format!("{before}{}{after}", prose(self.request - before.len() - after.len()));
        let more = if self.sdk { SDK_HEADERS } else { "" };
        let head = format!(
            "POST /v1/chat/completions HTTP/1.1\r\n\
             Host: 127.0.0.1\r\n\
             Accept: application/json\r\n\
             Content-Type: application/json\r\n\
             User-Agent: OpenAI/Python 2.8.0\r\n\
             Authorization: Bearer {KEY}\r\n\
             {more}Content-Length: {}\r\n\r\n",
            body.len()
        );
        [head.into_bytes(), body.into_bytes()].concat()
    }
}

/// A chat completion of exactly `size` bytes.
pub(crate) fn completion(size: usize) -> Vec<u8> {
    let before = r#"{"id":"chatcmpl-CkQ0bXb2Lw7tJp3vZ9mHs1YdRfGn","object":"chat.completion","created":1763640000,"model":"gpt-4o-mini-2024-07-18","choices":[{"index":0,"message":{"role":"assistant","content":""#;
    let after = r#"","refusal":null,"annotations":[]},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":87,"completion_tokens":42,"total_tokens":129,"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0}},"service_tier":"default","system_fingerprint":"fp_560af6e559"}"#;
    format!("{before}{}{after}", prose(size - before.len() - after.len())).into_bytes()
}

/// The events of a stream: `EVENTS` of `EVENT` bytes, then one with the usage, then `[DONE]`.
pub(crate) fn events() -> Vec<Vec<u8>> {
    let chunk = |choices: &str, usage: &str| {
        format!(
            r#"data: {{"id":"chatcmpl-CkQ0bXb2Lw7tJp3vZ9mHs1YdRfGn","object":"chat.completion.chunk","created":1763640000,"model":"gpt-4o-mini-2024-07-18","service_tier":"default","system_fingerprint":"fp_560af6e559","choices":[{choices}],"usage":{usage}"#
        )
    };
    let mut events = Vec::with_capacity(EVENTS + 2);
    let content = |text: &str| {
        let delta = format!(r#"{{"index":0,"delta":{{"content":"{text}"}},"logprobs":null,"finish_reason":null}}"#);
        format!("{}}}\n\n", chunk(&delta, "null"))
    };
    let room = EVENT - content("").len();
    for n in 0..EVENTS {
        let text = format!(" w{n:02} and so on, and so on, and so on, and so on");
        events.push(content(&text[..room]).into_bytes());
    }
    let usage = chunk("", r#"{"prompt_tokens":87,"completion_tokens":50,"total_tokens":137}"#);
    events.push(format!("{usage}}}\n\n").into_bytes());
    events.push(b"data: [DONE]\n\n".to_vec());
    events
}

/// Text of exactly `size` bytes inside a JSON string, an escape in every line.
fn prose(size: usize) -> String {
    const LINE: &str = r"The quick brown fox jumps over the lazy dog and then rests for a while.\n";
    let mut text = LINE.repeat(size / LINE.len());
    text.push_str(&"and so on, and so on, and so on, and so on, and so on, and so on, and so on"[..size % LINE.len()]);
    text
}
