//! What callers and upstreams get wrong: each has one clear error, and nothing crashes.

use std::time::Instant;

use crate::support::{ASK, ASK_STREAM, Say, TestGateway, Upstream};

const CHAT: &str = "/v1/chat/completions";

async fn gateway() -> (TestGateway, Upstream) {
    let upstream = Upstream::says([Say::text("ok")]).await;
    (TestGateway::fallback(&[&upstream]).await, upstream)
}

#[tokio::test]
async fn a_request_that_is_not_one_json_object_is_refused() {
    let (gateway, upstream) = gateway().await;
    for body in [
        "",
        " ",
        "nope",
        "[]",
        "null",
        "\"x\"",
        r#"{"model":"m""#,
        r#"{"model":"m","messages":[{}]} x"#,
        r#"{"model":"m","messages":[{}]}{}"#,
        r#"{"model":"m","model":"n","messages":[{}]}"#,
        r#"{"model":"m","\u006dodel":"n","messages":[{}]}"#,
        r#"{"model":"m","messages":[{}],}"#,
        "{\"model\":\"m\",\"messages\":[\"\u{1}\"]}",
    ] {
        let reply = gateway.post(CHAT, body).await;
        assert_eq!((reply.status, reply.code().as_str()), (400, "invalid_request"), "{body}: {}", reply.body);
    }
    let request = gateway.http.post(format!("{}{CHAT}", gateway.url)).header("content-type", "application/json");
    let reply = gateway.send(request.body(b"{\"model\":\"\xff\"}".to_vec())).await;
    assert_eq!(reply.status, 400);
    assert!(upstream.seen().is_empty());
}

#[tokio::test]
async fn members_out_of_range_are_named() {
    let (gateway, upstream) = gateway().await;
    for (member, param) in [
        (r#""model":"","messages":[{}]"#, "model"),
        (r#""model":7,"messages":[{}]"#, "model"),
        (r#""messages":[{}]"#, "model"),
        (r#""model":"m""#, "messages"),
        (r#""model":"m","messages":[]"#, "messages"),
        (r#""model":"m","messages":{}"#, "messages"),
        (r#""model":"m","messages":[{}],"temperature":2.1"#, "temperature"),
        (r#""model":"m","messages":[{}],"temperature":"hot""#, "temperature"),
        (r#""model":"m","messages":[{}],"top_p":-0.1"#, "top_p"),
        (r#""model":"m","messages":[{}],"presence_penalty":-3"#, "presence_penalty"),
        (r#""model":"m","messages":[{}],"frequency_penalty":3"#, "frequency_penalty"),
        (r#""model":"m","messages":[{}],"max_tokens":0"#, "max_tokens"),
        (r#""model":"m","messages":[{}],"max_completion_tokens":-1"#, "max_completion_tokens"),
        (r#""model":"m","messages":[{}],"stop":[1]"#, "stop"),
        (r#""model":"m","messages":[{}],"stream":"yes""#, "stream"),
    ] {
        let reply = gateway.post(CHAT, format!("{{{member}}}")).await;
        assert_eq!((reply.status, &reply.json()["error"]["param"]), (400, &param.into()), "{member}: {}", reply.body);
    }
    assert!(upstream.seen().is_empty());
}

#[tokio::test]
async fn many_members_and_deep_nesting_pass_in_linear_time() {
    let (gateway, upstream) = gateway().await;
    let members: String = (0..100_000).map(|n| format!(r#""k{n}":{n},"#)).collect();
    let deep = format!("{}{}", "[".repeat(1000), "]".repeat(1000));
    let body = format!(r#"{{{members}"deep":{deep},"model":"m","messages":[{{}}]}}"#);
    let since = Instant::now();
    let reply = gateway.post(CHAT, body.clone()).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert!(since.elapsed().as_secs() < 20, "not linear: {:?}", since.elapsed());
    assert_eq!(upstream.seen().remove(0).body, body);
}

#[tokio::test]
async fn a_body_that_is_nothing_but_members_is_refused() {
    let (gateway, upstream) = gateway().await;
    let members: String = (0..1_000_001).map(|n| format!(r#""{n:x}":0,"#)).collect();
    let reply = gateway.post(CHAT, format!(r#"{{{members}"model":"m","messages":[{{}}]}}"#)).await;
    assert_eq!((reply.status, reply.code().as_str()), (400, "invalid_request"), "{}", reply.body);
    assert!(reply.body.contains("million") && upstream.seen().is_empty());
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_declared_or_not() {
    let upstream = Upstream::says([Say::text("ok")]).await;
    let gateway = TestGateway::with(&[&upstream], "", "max_request_bytes: 1000\n").await;
    let large = format!(r#"{{"model":"m","messages":[{{}}],"x":"{}"}}"#, "x".repeat(2000));
    let declared = gateway.post(CHAT, large.clone()).await;
    let chunks = large.into_bytes().chunks(100).map(|c| Ok::<_, std::io::Error>(c.to_vec())).collect::<Vec<_>>();
    let chunked = gateway.request(CHAT, "").body(reqwest::Body::wrap_stream(futures_util::stream::iter(chunks)));
    let chunked = gateway.send(chunked).await;
    for reply in [declared, chunked] {
        assert_eq!((reply.status, reply.code().as_str()), (413, "request_too_large"), "{}", reply.body);
    }
}

#[tokio::test]
async fn unknown_paths_and_wrong_methods_say_what_would_be_right() {
    let (gateway, _upstream) = gateway().await;
    let wrong = gateway.get(CHAT).await;
    assert_eq!((wrong.status, wrong.header("allow"), wrong.code().as_str()), (405, "POST", "method_not_supported"));
    assert_eq!(gateway.get("/v1/nothing").await.code(), "provider_not_resolved");
    assert_eq!(gateway.get("/nothing").await.status, 404);
    for path in ["/v1/v1/chat/completions", "/openai/v1/chat/completions", "/v1/chat/completions/"] {
        assert_eq!(gateway.post(path, ASK).await.status, 200, "{path}");
    }
    assert_eq!(gateway.get("/v1/..%2fmetrics").await.code(), "invalid_proxy_path");
}

#[tokio::test]
async fn compressed_requests_are_read_within_the_limit() {
    use std::io::Write;
    let upstream = Upstream::says([Say::text("ok")]).await;
    let gateway = TestGateway::with(&[&upstream], "", "max_request_bytes: 10000\n").await;
    let pack = |text: &str| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    };
    let send = async |body: Vec<u8>, encoding: &str| {
        let request = gateway.request(CHAT, "").body(body).header("content-encoding", encoding);
        gateway.send(request).await
    };
    assert_eq!(send(pack(ASK), "gzip").await.status, 200);
    assert_eq!(upstream.seen().remove(0).body, ASK);
    assert_eq!(send(pack(&" ".repeat(1_000_000)), "gzip").await.status, 413);
    assert_eq!(send(b"nonsense".to_vec(), "gzip").await.status, 400);
    assert_eq!(send(ASK.into(), "zstd").await.status, 415);
}

#[tokio::test]
async fn an_upstream_that_answers_nonsense_is_a_clear_error_of_its_own() {
    let html = || Say::json(200, "<html>x</html>").header("content-type", "text/html");
    for (say, status, code) in [
        (Say::json(200, ""), 502, "upstream_error"),
        (Say::json(200, "not json"), 502, "upstream_error"),
        (Say::json(200, r#"{"id":"x","choices":[{"mess"#), 502, "upstream_error"),
        (Say::json(200, r#"{"error":{"message":"inside","code":429}}"#), 429, "rate_limit_exceeded"),
        (Say::json(200, r#"{"error":"inside"}"#), 502, "upstream_error"),
        (html(), 502, "upstream_error"),
        (Say::json(302, "").header("location", "http://127.0.0.1:1/"), 502, "upstream_error"),
        (Say::json(202, "{}"), 502, "upstream_error"),
        (Say::json(200, r#"{"id":"#).cut(), 502, "upstream_stream_truncated"),
        (Say::json(401, r#"{"error":{"message":"bad key sk-test-t0-0123456789"}}"#), 502, "upstream_auth_error"),
        (Say::json(403, ""), 502, "upstream_auth_error"),
        (Say::json(402, ""), 502, "upstream_billing"),
        (Say::json(404, ""), 404, "model_not_found"),
        (Say::json(408, ""), 504, "upstream_timeout"),
        (Say::json(413, ""), 413, "request_too_large"),
        (Say::json(422, r#"{"detail":[{"loc":["body","n"],"msg":"too many"}]}"#), 422, "invalid_request"),
        (Say::json(400, r#"{"error":{"message":"maximum context length is 8"}}"#), 400, "context_length_exceeded"),
        (Say::json(400, r#"{"error":{"message":"no","code":"content_filter"}}"#), 400, "content_filter"),
        (Say::json(429, r#"{"error":{"code":"insufficient_quota"}}"#), 429, "upstream_billing"),
        (Say::json(500, "boom"), 502, "upstream_error"),
        (Say::json(503, ""), 503, "upstream_overloaded"),
        (Say::json(529, ""), 503, "upstream_overloaded"),
        (Say::json(504, ""), 504, "upstream_timeout"),
    ] {
        for ask in [ASK, ASK_STREAM] {
            let upstream = Upstream::says([say.clone()]).await;
            let reply = TestGateway::fallback(&[&upstream]).await.post(CHAT, ask).await;
            let error = &reply.json()["error"];
            assert_eq!((reply.status, error["code"].as_str().unwrap()), (status, code), "{}", reply.body);
            assert_eq!(error["provider"], "openai", "{}", reply.body);
            assert!(!reply.body.contains("sk-test"), "{}", reply.body);
        }
    }
}

#[tokio::test]
async fn a_large_answer_passes_through_and_its_usage_is_counted() {
    let text = "x".repeat(300_000);
    let body = crate::support::upstream::chat(&text);
    let upstream = Upstream::says([Say::json(200, &body)]).await;
    let gateway = TestGateway::fallback(&[&upstream]).await;
    let reply = gateway.chat().await;
    assert!(reply.body == body);
    assert_eq!(reply.header("content-length"), body.len().to_string());
    let metrics = gateway.get("/metrics").await.body;
    assert!(metrics.contains(r#"gateway_tokens_input_total{model="m",provider="openai",target="t0"} 5"#), "{metrics}");
}

#[tokio::test]
async fn a_compressed_answer_is_unpacked_and_one_without_its_end_is_none() {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(crate::support::upstream::chat("packed").as_bytes()).unwrap();
    let packed = encoder.finish().unwrap();
    let without = packed[..packed.len() - 8].to_vec();
    let says = |packed: Vec<u8>| Say::bytes(200, packed).header("content-encoding", "gzip");
    let reply = TestGateway::fallback(&[&Upstream::says([says(packed)]).await]).await.chat().await;
    assert!(reply.body.contains("packed"), "{}", reply.body);
    let reply = TestGateway::fallback(&[&Upstream::says([says(without)]).await]).await.chat().await;
    assert_eq!(reply.status, 502, "{}", reply.body);
}
