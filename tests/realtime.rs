//! WebSockets: asked for at the vendor, carried both ways, and ended by one outcome.

mod doors;
mod ends;
mod peer;

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use ferrogw::config::{self, Env, Format};
use ferrogw::providers::table::PROVIDERS;
use ferrogw::server::Threads;
use ferrogw::server::process::{self, Plan};
use ferrogw::server::reload::Follow;
use ferrogw::telemetry::{AccessLog, Format as LogFormat, Level, Sink};
use ferrogw::wire::Op;
use serde_json::Value;

use self::peer::{ACCEPT, KEY, Peer, Vendor, answer, ask};
use crate::client::egress::authority;
use crate::support::TestGateway;

/// A target of a provider that serves the model `m`.
fn target(name: &str, provider: &str, vendor: &Vendor, more: &str) -> String {
    format!(
        "  - virtual_key: {name}\n    provider: {provider}\n    base_url: {}/v1\n    api_key: sk-test-{name}-0123456789\n    \
         models: [m]\n{more}",
        vendor.url
    )
}

async fn gateway(targets: &str, top: &str) -> TestGateway {
    TestGateway::configured(&format!("strategy: {{ mode: fallback }}\ntargets:\n{targets}{top}"), &[]).await
}

/// A WebSocket through a gateway: both ends of it.
async fn opened(gateway: &TestGateway, vendor: &mut Vendor) -> (Peer, Peer) {
    let client = ask(&gateway.url, "/v1/realtime?model=m", "").await;
    let mut far = vendor.asked().await;
    far.agree("").await;
    let near = answer(client).await;
    assert_eq!(near.line(), "HTTP/1.1 101 Switching Protocols", "{}", near.head);
    (near, far)
}

/// What became of the last call.
async fn recalled(gateway: &TestGateway, id: &str) -> serde_json::Value {
    loop {
        let recalled = gateway.get(&format!("/v1/route/explain?id={id}")).await;
        if recalled.status == 200 {
            return recalled.json();
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn the_vendor_is_asked_with_its_own_key_and_name_of_the_model() {
    let mut vendor = Vendor::plain().await;
    let more = "    model_map: { m: gpt-realtime }\n";
    let gateway = gateway(&target("t0", "openai", &vendor, more), "aliases: { voice: m }\n").await;
    let offers = "openai-insecure-api-key.callers-own, openai-organization.callers-own";
    let own = format!(
        "Authorization: Bearer callers-own\r\nCookie: callers-own\r\nX-Request-ID: one\r\nOpenAI-Beta: realtime=v1\r\n\
         Sec-WebSocket-Protocol: realtime, {offers}, openai-beta.realtime-v1\r\n"
    );
    for model in ["voice", "m", "openai%2Fgpt-realtime", "t0/gpt-realtime"] {
        let client = ask(&gateway.url, &format!("/v1/realtime?model={model}&x=a%20b"), &own).await;
        let mut far = vendor.asked().await;
        assert_eq!(far.line(), "GET /v1/realtime?model=gpt-realtime&x=a%20b HTTP/1.1");
        let headers = far.headers();
        let asked =
            ["authorization", "sec-websocket-protocol", "sec-websocket-key", "sec-websocket-version", "upgrade"]
                .map(|name| headers[name].as_str());
        let expected = ["Bearer sk-test-t0-0123456789", "realtime, openai-beta.realtime-v1", KEY, "13", "websocket"];
        assert_eq!(asked, expected);
        assert_eq!(headers["openai-beta"], "realtime=v1");
        assert!(!far.head.contains("callers-own") && !headers.contains_key("sec-websocket-extensions"), "{}", far.head);
        assert!(!headers.contains_key("content-length") && !headers.contains_key("content-type"), "{}", far.head);

        far.agree("Sec-WebSocket-Protocol: realtime\r\nSet-Cookie: a=b\r\n").await;
        let near = answer(client).await;
        let headers = near.headers();
        assert_eq!(near.line(), "HTTP/1.1 101 Switching Protocols");
        let told = ["sec-websocket-accept", "sec-websocket-protocol", "upgrade", "x-request-id", "x-ferro-target"]
            .map(|name| headers[name].as_str());
        assert_eq!(told, [ACCEPT, "realtime", "websocket", "one", "t0"]);
        assert!(!headers.contains_key("set-cookie") && !headers.contains_key("content-length"), "{}", near.head);
    }
}

#[tokio::test]
async fn what_is_said_passes_both_ways_and_is_metered() {
    let mut vendor = Vendor::plain().await;
    let price = "catalog: { overrides: [{ provider: openai, model: m, price: { input_per_m_tokens: 10, output_per_m_tokens: 20 } }] }\n";
    let gateway = gateway(&target("t0", "openai", &vendor, ""), price).await;
    let client = ask(&gateway.url, "/v1/realtime?model=m", "X-Request-ID: spoken\r\n").await;
    let mut far = vendor.asked().await;
    far.agree("").await;
    // what comes right behind the head is not lost
    far.text(r#"{"type":"session.created"}"#).await;
    let mut near = answer(client).await;
    assert_eq!(near.said().await, r#"{"type":"session.created"}"#);
    near.masked(0x81, br#"{"type":"response.create"}"#).await;
    assert_eq!(far.said().await, r#"{"type":"response.create"}"#);
    let long = vec![b'x'; 200_000];
    near.masked(0x82, &long).await;
    assert_eq!(far.next().await, Some((0x82, long)));
    let done = r#"{"type":"response.done","response":{"usage":{"input_tokens":100,"output_tokens":50,
        "input_token_details":{"cached_tokens":40,"audio_tokens":60},"output_token_details":{"audio_tokens":30}}}}"#;
    for _ in 0..2 {
        far.text(done).await;
        assert_eq!(near.said().await, done);
    }
    near.masked(0x88, &1000_u16.to_be_bytes()).await;
    assert_eq!(far.next().await, Some((0x88, 1000_u16.to_be_bytes().to_vec())));
    far.write(&peer::frame(0x88, &1000_u16.to_be_bytes(), None)).await;
    drop(far);
    assert_eq!(near.next().await, Some((0x88, 1000_u16.to_be_bytes().to_vec())));
    assert_eq!(near.next().await, None);
    drop(near);

    let call = recalled(&gateway, "spoken").await;
    let text = call.to_string();
    assert!(call["error"].is_null(), "{text}");
    let metrics = gateway.get("/metrics").await.body;
    for line in [
        r#"gateway_surface_requests_total{status="success",surface="realtime"} 1"#,
        r#"gateway_requests_total{model="m",provider="openai",status="success",target="t0"} 1"#,
        r#"gateway_tokens_input_total{model="m",provider="openai",target="t0"} 200"#,
        r#"gateway_tokens_output_total{model="m",provider="openai",target="t0"} 100"#,
        "gateway_requests_in_flight 0",
    ] {
        assert!(metrics.contains(line), "{line}\n{text}\n{metrics}");
    }
    assert!(text.contains("\"cost_usd\":0.004"), "{text}");
}

#[tokio::test]
async fn responses_are_made_over_a_websocket_where_the_vendor_has_one() {
    let mut vendor = Vendor::plain().await;
    let targets = target("t0", "fireworks", &vendor, "") + &target("t1", "openai", &vendor, "");
    let gateway = gateway(&targets, "responses_target: t1\n").await;
    for header in ["", "X-Provider: t1\r\n"] {
        let client = ask(&gateway.url, "/v1/responses", &format!("X-Request-ID: talk\r\n{header}")).await;
        let mut far = vendor.asked().await;
        assert_eq!(far.line(), "GET /v1/responses HTTP/1.1");
        assert_eq!(far.headers()["authorization"], "Bearer sk-test-t1-0123456789");
        far.agree("").await;
        let mut near = answer(client).await;
        assert_eq!(near.line(), "HTTP/1.1 101 Switching Protocols", "{}", near.head);
        assert!(!near.headers().contains_key("allow"), "{}", near.head);
        let create = r#"{"type":"response.create","model":"m","input":"High tide?","store":false}"#;
        near.masked(0x81, create.as_bytes()).await;
        assert_eq!(far.said().await, create);
        let done = r#"{"type":"response.completed","sequence_number":4,"response":{"id":"resp_1","usage":{"input_tokens":36,"output_tokens":87}}}"#;
        far.text(done).await;
        assert_eq!(near.said().await, done);
        near.masked(0x88, &1000_u16.to_be_bytes()).await;
        assert_eq!(far.next().await, Some((0x88, 1000_u16.to_be_bytes().to_vec())));
        far.write(&peer::frame(0x88, &1000_u16.to_be_bytes(), None)).await;
        drop(far);
        assert_eq!(near.next().await, Some((0x88, 1000_u16.to_be_bytes().to_vec())));
        assert_eq!(near.next().await, None);
        recalled(&gateway, "talk").await;
    }
    let metrics = gateway.get("/metrics").await.body;
    for line in [
        r#"gateway_surface_requests_total{status="success",surface="stored_responses"} 2"#,
        r#"gateway_tokens_input_total{model="none",provider="openai",target="t1"} 72"#,
        "gateway_requests_in_flight 0",
    ] {
        assert!(metrics.contains(line), "{line}\n{metrics}");
    }
}

#[tokio::test]
async fn every_row_that_has_it_is_asked_where_its_vendor_has_it() {
    let expected = [
        ("azure-foundry", "/openai/v1/realtime?model=m", "api-key"),
        ("azure-openai", "/openai/v1/realtime?model=m", "api-key"),
        ("openai", "/v1/realtime?model=m", "authorization"),
        ("qwen", "/api-ws/v1/realtime?model=m", "authorization"),
        ("xai", "/v1/realtime?model=m", "authorization"),
    ];
    let mut rows: Vec<_> = PROVIDERS.iter().filter(|spec| spec.serves(Op::Realtime)).map(|spec| spec.id).collect();
    rows.sort_unstable();
    assert_eq!(rows, expected.map(|(id, ..)| id));
    for (id, path, credential) in expected {
        let mut vendor = Vendor::plain().await;
        let root = match id {
            "azure-openai" | "azure-foundry" => format!("options: {{ endpoint: {0:?} }}", vendor.url),
            _ => format!("base_url: {}/v1", vendor.url),
        };
        // a deployment's own address has no WebSockets: they are on the newer surface
        let more = if id == "azure-openai" { "    options: { endpoint: URL, deployment: chats }\n" } else { "" };
        let more = more.replace("URL", &format!("{:?}", vendor.url));
        let root = if more.is_empty() { format!("    {root}\n") } else { more };
        let yaml = format!(
            "targets:\n  - virtual_key: t\n    provider: {id}\n    api_key: key-of-the-test\n    models: [m]\n{root}"
        );
        let gateway = TestGateway::configured(&format!("strategy: {{ mode: single }}\n{yaml}"), &[]).await;
        let _client = ask(&gateway.url, "/v1/realtime?model=m", "").await;
        let far = vendor.asked().await;
        assert_eq!(far.line(), format!("GET {path} HTTP/1.1"), "{id}");
        assert!(far.headers()[credential].ends_with("key-of-the-test"), "{id}");
    }
}

#[tokio::test]
async fn it_is_the_same_on_every_runtime_over_tls_and_beside_http2() {
    let (file, tls) = authority(&["127.0.0.1"], &[b"h2", b"http/1.1"]);
    for (threads, more) in
        [(Threads::Shared, ""), (Threads::Exactly(2), ""), (Threads::Exactly(2), "    http2: true\n")]
    {
        let mut vendor = Vendor::listen(Some(tls.clone())).await;
        let yaml = format!("strategy: {{ mode: single }}\ntargets:\n{}", target("t0", "openai", &vendor, more));
        let env = [
            ("FERRO_MODEL_DISCOVERY_INTERVAL".to_owned(), "0".to_owned()),
            ("FERROGW_CA_FILE".to_owned(), file.path().to_str().unwrap().to_owned()),
        ];
        let written = Written::default();
        let sink = Sink::to(written.clone(), "test", 2).unwrap();
        let running = process::start(Plan {
            config: config::parse(&yaml, Format::Yaml, "test.yaml").unwrap().config,
            follow: Follow::default(),
            env: env.into_iter().collect::<Env>(),
            listen: vec!["127.0.0.1:0".parse().unwrap()],
            threads,
            access: AccessLog::new(sink.clone(), Level::Info, LogFormat::Json, Arc::default()),
            sink: None,
            redactor: Arc::default(),
        })
        .await
        .unwrap();
        let client = ask(&format!("http://{}", running.handle.addresses()[0]), "/v1/realtime?model=m", "").await;
        let mut far = vendor.asked().await;
        far.agree("").await;
        let mut near = answer(client).await;
        for turn in ["one", "two"] {
            near.masked(0x81, turn.as_bytes()).await;
            assert_eq!(far.said().await, turn);
            far.text(turn).await;
            assert_eq!(near.said().await, turn);
        }
        near.masked(0x88, &[]).await;
        drop((near, far));
        let line = written.line(&sink).await;
        let told = ["method", "path", "op", "model", "target"].map(|name| line[name].as_str().unwrap().to_owned());
        assert_eq!(told, ["GET", "/v1/realtime", "realtime", "m", "t0"]);
        assert_eq!(
            (&line["status"], &line["bytes"], &line["error"]),
            (&101.into(), &10.into(), &Value::Null),
            "{line}"
        );
    }
}

/// What is written to the log.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Written {
    /// The one line, once it is there.
    async fn line(&self, sink: &Sink) -> Value {
        loop {
            assert!(sink.flush());
            if let Ok(line) = serde_json::from_slice(&self.0.lock().unwrap()) {
                return line;
            }
            tokio::task::yield_now().await;
        }
    }
}
