//! What a call costs, as its caller, the access line and the metrics learn it.

use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::Duration;

use ferrogw::call::redact::Redactor;
use ferrogw::config::{self, Env, Format};
use ferrogw::server::Threads;
use ferrogw::server::process::{self, Plan};
use ferrogw::server::reload::Follow;
use ferrogw::telemetry::{self, AccessLog, Level, Sink};
use serde_json::{Value, json};

use crate::support::{Reply, Say, TestGateway, Upstream, events, target};

/// Where lines go.
struct Tap(Sender<String>);

impl Write for Tap {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _nobody_listens = self.0.send(String::from_utf8_lossy(bytes).into_owned());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A gateway whose access lines are read.
struct Charged {
    gateway: TestGateway,
    lines: Receiver<String>,
    sink: Sink,
}

impl Charged {
    async fn with(upstream: &Upstream, more: &str) -> Self {
        let text = format!("targets:\n{}{more}", target("t0", "openai", upstream, "gpt-4o, tuned, m", ""));
        let (sender, lines) = mpsc::channel();
        let sink = Sink::to(Tap(sender), "tap", 1).unwrap();
        let running = process::start(Plan {
            config: config::parse(&text, Format::Yaml, "test.yaml")
                .unwrap_or_else(|invalid| panic!("{invalid}"))
                .config,
            follow: Follow::default(),
            env: [("FERRO_MODEL_DISCOVERY_INTERVAL".to_owned(), "0".to_owned())].into_iter().collect::<Env>(),
            listen: vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 0))],
            threads: Threads::Shared,
            access: AccessLog::new(sink.clone(), Level::Info, telemetry::Format::Json, Arc::default()),
            sink: None,
            redactor: Arc::new(Redactor::default()),
        });
        let running = running.await.unwrap_or_else(|error| panic!("{error}"));
        let url = format!("http://{}", running.handle.addresses()[0]);
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { gateway: TestGateway { url, http, running }, lines, sink }
    }

    async fn ask(&self, path: &str, body: Value) -> (Reply, Value) {
        let reply = self.gateway.post(path, body.to_string()).await;
        loop {
            self.sink.flush();
            let lines = self.lines.recv_timeout(Duration::from_secs(20)).unwrap();
            if let Some(line) = lines.lines().find(|line| line.contains(path)) {
                return (reply, serde_json::from_str(line).unwrap());
            }
        }
    }

    async fn chat(&self, model: &str) -> (Reply, Value) {
        self.ask("/v1/chat/completions", json!({ "model": model, "messages": [{ "role": "user", "content": "hi" }] }))
            .await
    }

    /// The value of a metric of the model.
    async fn metric(&self, name: &str, model: &str) -> f64 {
        let metrics = self.gateway.get("/metrics").await.body;
        let start = format!("{name}{{model=\"{model}\"");
        let line = metrics.lines().find(|line| line.starts_with(&start)).unwrap_or("0");
        line.rsplit(' ').next().unwrap().parse().unwrap()
    }
}

/// A good answer with this usage and these members behind it.
fn answer(usage: &Value, more: &str) -> Say {
    let body = json!({ "id": "c", "object": "chat.completion", "choices": [], "usage": usage }).to_string();
    Say::json(200, &format!("{}{more}}}", body.strip_suffix('}').unwrap()))
}

#[tokio::test]
async fn a_whole_answer_has_its_cost_in_header_line_and_metric() {
    let usage =
        json!({ "prompt_tokens": 1000, "completion_tokens": 300, "prompt_tokens_details": { "cached_tokens": 200 } });
    let upstream = Upstream::says([answer(&usage, ""), answer(&usage, r#","service_tier":"priority""#)]).await;
    let charged = Charged::with(&upstream, "").await;
    let (reply, line) = charged.chat("gpt-4o").await;
    assert_eq!((reply.status, reply.header("x-ferro-cost-usd")), (200, "0.00525"));
    assert_eq!(line["cost_usd"], json!(0.00525), "{line}");
    let (reply, line) = charged.chat("gpt-4o").await;
    let dearer: f64 = reply.header("x-ferro-cost-usd").parse().unwrap();
    assert!(dearer > 0.00525 && line["cost_usd"] == json!(dearer), "{line}");
    let counted = charged.metric("gateway_request_cost_usd_total", "gpt-4o").await;
    assert!((counted - 0.00525 - dearer).abs() < 1e-9, "{counted}");
    assert_eq!(charged.metric("gateway_unpriced_requests_total", "gpt-4o").await, 0.0);
}

#[tokio::test]
async fn what_nobody_knows_the_price_of_is_unknown_and_counted() {
    let upstream = Upstream::says([Say::text("hi")]).await;
    let charged = Charged::with(&upstream, "").await;
    let (reply, line) = charged.chat("m").await;
    assert_eq!((reply.status, reply.headers.get("x-ferro-cost-usd")), (200, None));
    assert_eq!((line.get("cost_usd"), &line["prompt_tokens"]), (Some(&Value::Null), &json!(5)));
    assert_eq!(charged.metric("gateway_unpriced_requests_total", "m").await, 1.0);
    assert_eq!(charged.metric("gateway_request_cost_usd_total", "m").await, 0.0);
}

#[tokio::test]
async fn a_stream_ends_with_a_comment_that_says_what_it_cost() {
    let upstream = Upstream::says([Say::words(&["a", "b"])]).await;
    let charged = Charged::with(&upstream, "").await;
    let ask =
        |model: &str| json!({ "model": model, "stream": true, "messages": [{ "role": "user", "content": "hi" }] });
    let (reply, line) = charged.ask("/v1/chat/completions", ask("gpt-4o")).await;
    // 5 x 2.50 and 2 x 10 dollars a million
    assert!(reply.body.ends_with("data: [DONE]\n\n: x-ferro-cost-usd 0.0000325\n\n"), "{}", reply.body);
    assert_eq!(events(&reply.body).last(), Some(&"[DONE]"));
    assert_eq!(line["cost_usd"], json!(0.0000325));
    let (reply, line) = charged.ask("/v1/chat/completions", ask("m")).await;
    assert!(reply.body.ends_with("data: [DONE]\n\n") && line["cost_usd"].is_null(), "{}", reply.body);
    let quiet = Charged::with(&upstream, "server: { expose_headers: false }\n").await;
    let (reply, line) = quiet.ask("/v1/chat/completions", ask("gpt-4o")).await;
    assert!(reply.body.ends_with("data: [DONE]\n\n") && line["cost_usd"] == json!(0.0000325), "{}", reply.body);
}

#[tokio::test]
async fn a_stream_that_breaks_is_charged_by_an_estimate_and_says_nothing_more() {
    let upstream =
        Upstream::says([Say::events([crate::support::upstream::delta(r#"{"content":"a"}"#, "null")]).cut()]).await;
    let charged = Charged::with(&upstream, "").await;
    let ask = json!({ "model": "gpt-4o", "stream": true, "messages": [{ "role": "user", "content": "hi" }] });
    let (reply, line) = charged.ask("/v1/chat/completions", ask).await;
    assert!(!reply.body.contains("x-ferro-cost-usd"), "{}", reply.body);
    assert!(line["estimated"] == true && line["cost_usd"].as_f64().unwrap() > 0.0, "{line}");
}

#[tokio::test]
async fn own_prices_win_over_what_the_provider_says_and_that_over_the_catalog() {
    let usage = json!({ "prompt_tokens": 1000, "completion_tokens": 0, "cost": 0.125 });
    let upstream = Upstream::says([answer(&usage, "")]).await;
    let own = "catalog:\n  overrides: [{ target: t0, model: tuned, price: { input_per_m_tokens: 7 } }]\n";
    let charged = Charged::with(&upstream, own).await;
    for (model, expected) in [("tuned", "0.007"), ("gpt-4o", "0.125"), ("m", "0.125")] {
        assert_eq!(charged.chat(model).await.0.header("x-ferro-cost-usd"), expected, "{model}");
    }
}

#[tokio::test]
async fn a_failed_call_without_an_answer_has_no_cost() {
    let upstream = Upstream::says([Say::json(500, "{}")]).await;
    let charged = Charged::with(&upstream, "").await;
    let (reply, line) = charged.chat("gpt-4o").await;
    assert!(reply.status >= 500 && reply.headers.get("x-ferro-cost-usd").is_none());
    assert_eq!(line.get("cost_usd"), None);
}

#[tokio::test]
async fn other_operations_are_charged_for_what_they_count() {
    let own = "catalog:\n  overrides:\n    - { provider: openai, model: m, price: { output_per_image: 0.04, input_per_character: 0.000015 } }\n";
    let upstream = Upstream::says([
        Say::json(200, r#"{"created":1,"data":[{"b64_json":"aGk="},{"b64_json":"aGk="}]}"#),
        Say::json(200, r#"{"object":"list","data":[],"model":"m","usage":{"prompt_tokens":8,"total_tokens":8}}"#),
    ]);
    let upstream = upstream.await;
    let charged = Charged::with(&upstream, own).await;
    let (reply, line) = charged.ask("/v1/images/generations", json!({ "model": "m", "prompt": "a cat", "n": 2 })).await;
    assert_eq!((reply.status, &line["cost_usd"]), (200, &json!(0.08)), "{} {line}", reply.body);
    let (reply, line) = charged.ask("/v1/embeddings", json!({ "model": "gpt-4o", "input": "hi" })).await;
    assert_eq!((reply.status, &line["cost_usd"]), (200, &json!(0.00002)), "{} {line}", reply.body);
}
