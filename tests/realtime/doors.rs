//! Who gets a WebSocket, from whom, and what the others are told.

use super::peer::{KEY, Vendor, answer, ask, ask_with};
use super::{gateway, opened, target};
use crate::support::{Say, TestGateway, Upstream};

/// The status and code of a refusal.
async fn refused(gateway: &TestGateway, path: &str, more: &str) -> (String, String) {
    let mut near = answer(ask(&gateway.url, path, more).await).await;
    let status = near.line().split(' ').nth(1).unwrap().to_owned();
    (status, near.body().await["error"]["code"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn nobody_is_asked_who_was_not_meant() {
    let mut vendor = Vendor::plain().await;
    let targets = target("t0", "openai", &vendor, "") + &target("t1", "cohere", &vendor, "").replace("[m]", "[c]");
    let gateway = gateway(&targets, "").await;
    for (path, more, status, code) in [
        ("/v1/realtime", "", "400", "provider_not_resolved"),
        ("/v1/realtime?model=nobodys", "", "404", "model_not_found"),
        ("/v1/realtime?model=c", "", "501", "proxy_not_supported"),
        ("/v1/realtime?model=m", "X-Provider: nobody\r\n", "404", "provider_not_found"),
        ("/v1/realtime?model=m", "X-Provider: t1\r\n", "501", "proxy_not_supported"),
        ("/v1/realtime?model=m", "Origin: https://evil.test\r\n", "403", "open_mode"),
    ] {
        assert_eq!(refused(&gateway, path, more).await, (status.to_owned(), code.to_owned()), "{path} {more}");
    }
    assert!(vendor.is_unasked());
}

#[tokio::test]
async fn whom_the_caller_names_is_asked_for_any_model_and_at_any_path() {
    let (mut other, mut vendor) = (Vendor::plain().await, Vendor::plain().await);
    let targets = target("t0", "openai", &other, "") + &target("t1", "groq", &vendor, "");
    let gateway = gateway(&(targets + &target("t2", "openai", &vendor, "")), "").await;
    for (path, name) in [
        ("/v1/realtime?call_id=rtc_1", "t2"),
        ("/v1/realtime/translations?model=new", "t2"),
        ("/v1/audio/live?a=b", "t1"),
    ] {
        let client = ask(&gateway.url, path, &format!("X-Provider: {name}\r\n")).await;
        let mut far = vendor.asked().await;
        assert_eq!(far.line(), format!("GET {path} HTTP/1.1"));
        far.agree("").await;
        let mut near = answer(client).await;
        far.text("hello").await;
        assert_eq!(near.said().await, "hello");
    }
    assert!(other.is_unasked());
}

#[tokio::test]
async fn a_vendors_refusal_is_an_error_like_any_other_and_the_next_is_asked_where_that_helps() {
    let (mut first, mut second) = (Vendor::plain().await, Vendor::plain().await);
    let gateway = gateway(&(target("t0", "openai", &first, "") + &target("t1", "openai", &second, "")), "").await;
    let client = ask(&gateway.url, "/v1/realtime?model=m", "").await;
    first.asked().await.write(b"HTTP/1.1 503 Busy\r\nContent-Length: 2\r\n\r\n{}").await;
    second.asked().await.agree("").await;
    let near = answer(client).await;
    assert_eq!((near.line(), near.headers()["x-ferro-target"].as_str()), ("HTTP/1.1 101 Switching Protocols", "t1"));
    for (said, status, code) in [
        (
            "400 Bad Request\r\nContent-Length: 33\r\n\r\n{\"error\":{\"message\":\"no such one\"}}",
            "400",
            "invalid_request",
        ),
        ("401 Unauthorized\r\nContent-Length: 2\r\n\r\n{}", "502", "upstream_auth_error"),
        ("200 OK\r\nContent-Length: 2\r\n\r\n{}", "502", "upstream_error"),
        ("302 Found\r\nLocation: http://evil.test/\r\nContent-Length: 0\r\n\r\n", "502", "upstream_error"),
        ("101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n", "502", "upstream_error"),
        ("", "502", "upstream_unreachable"),
    ] {
        let said = if said.is_empty() { String::new() } else { format!("HTTP/1.1 {said}") };
        let client = ask(&gateway.url, "/v1/realtime?model=m", "X-Provider: t0\r\n").await;
        first.asked().await.write(said.as_bytes()).await;
        let mut near = answer(client).await;
        let told = near.line().split(' ').nth(1).unwrap().to_owned();
        let refused = (told.as_str(), near.body().await["error"]["code"].clone());
        assert_eq!(refused, (status, code.into()), "{said}");
    }
}

#[tokio::test]
async fn a_browser_shows_the_gateways_key_in_a_subprotocol() {
    let mut vendor = Vendor::plain().await;
    let yaml = format!("strategy: {{ mode: single }}\ntargets:\n{}", target("t0", "openai", &vendor, ""));
    let gateway = TestGateway::configured(&yaml, &[("MASTER_KEY", "a-master-key-of-the-test")]).await;
    let offer = |key: &str| format!("Sec-WebSocket-Protocol: realtime, openai-insecure-api-key.{key}\r\n");
    let path = "/v1/realtime?model=m";
    assert_eq!(refused(&gateway, path, "").await.1, "missing_api_key");
    assert_eq!(refused(&gateway, path, &offer("another")).await.1, "invalid_api_key");
    assert!(vendor.is_unasked());
    let _client = ask(&gateway.url, path, &offer("a-master-key-of-the-test")).await;
    let far = vendor.asked().await;
    assert_eq!(far.headers()["sec-websocket-protocol"], "realtime");
    assert!(!far.head.contains("a-master-key-of-the-test"), "{}", far.head);
}

#[tokio::test]
async fn where_there_is_none_the_caller_is_told_to_send_a_request() {
    let vendor = Vendor::plain().await;
    let gateway = gateway(&target("t0", "openai", &vendor, ""), "").await;
    for path in ["/v1/responses", "/v1/chat/completions"] {
        let mut near = answer(ask(&gateway.url, path, "").await).await;
        assert_eq!((near.line(), near.headers()["connection"].as_str()), ("HTTP/1.1 426 Upgrade Required", "close"));
        assert_eq!(near.body().await["error"]["code"], "websocket_not_supported");
        assert_eq!(near.next().await, None);
    }
    // nor at who speaks the Responses API in requests alone, whatever says where it should be
    let silent = super::gateway(&target("t0", "fireworks", &vendor, ""), "responses_target: t0\n").await;
    for headers in ["", "X-Provider: t0\r\n"] {
        let near = answer(ask(&silent.url, "/v1/responses", headers).await).await;
        assert_eq!(near.line(), "HTTP/1.1 426 Upgrade Required");
    }
    assert_eq!(refused(&gateway, "/v1/responses", "X-Provider: nobody\r\n").await.1, "provider_not_found");
    let plain = gateway.get("/v1/responses").await;
    assert_eq!((plain.status, plain.header("allow"), plain.code().as_str()), (405, "POST", "method_not_supported"));
}

#[tokio::test]
async fn a_handshake_that_cannot_succeed_is_answered_before_anybody_is_asked() {
    let mut vendor = Vendor::plain().await;
    let gateway = gateway(&(target("t0", "openai", &vendor, "") + &target("t1", "openai", &vendor, "")), "").await;
    let (key, version) = (format!("Sec-WebSocket-Key: {KEY}\r\n"), "Sec-WebSocket-Version: 13\r\n");
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\n";
    for (path, headers, status, word) in [
        ("/v1/realtime?model=m", format!("{upgrade}{version}"), "400", "Sec-WebSocket-Key"),
        ("/v1/audio/live?model=m", format!("{upgrade}{version}Sec-WebSocket-Key:\r\n"), "400", "Sec-WebSocket-Key"),
        ("/v1/realtime?model=m", format!("{upgrade}{key}"), "426", "Sec-WebSocket-Version: 13"),
        ("/v1/realtime?model=m", format!("{upgrade}{key}Sec-WebSocket-Version: 8\r\n"), "426", "version"),
        ("/v1/realtime?model=m", format!("{key}{version}"), "426", "only a WebSocket"),
        ("/v1/realtime", format!("{upgrade}{key}{version}"), "400", "`model` in its query"),
    ] {
        let mut near = answer(ask_with(&gateway.url, path, &headers).await).await;
        let asked = (near.line().split(' ').nth(1).unwrap().to_owned(), near.headers());
        let version = asked.1.get("sec-websocket-version").map(String::as_str);
        assert_eq!((asked.0.as_str(), version), (status, (status == "426").then_some("13")), "{headers}");
        let message = near.body().await["error"]["message"].as_str().unwrap().to_owned();
        assert!(message.contains(word), "{message}");
    }
    assert!(vendor.is_unasked());
}

#[tokio::test]
async fn other_requests_at_the_same_path_are_passed_on() {
    let upstream = Upstream::says([Say::json(200, r#"{"value":"ek_1"}"#)]).await;
    let gateway = TestGateway::fallback(&[&upstream]).await;
    let secret = gateway.request("/v1/realtime/client_secrets", r#"{"session":{}}"#).header("x-provider", "openai");
    assert_eq!(gateway.send(secret).await.body, r#"{"value":"ek_1"}"#);
    let plain = gateway.http.get(format!("{}/v1/realtime/calls?model=m", gateway.url)).header("x-provider", "openai");
    // a server need not follow an offer of another protocol
    assert_eq!(gateway.send(plain.header("upgrade", "h2c").header("connection", "upgrade")).await.status, 200);
    let seen: Vec<_> =
        upstream.seen().into_iter().map(|seen| (seen.path, seen.headers.contains_key("upgrade"))).collect();
    assert_eq!(seen, [("/v1/realtime/client_secrets".into(), false), ("/v1/realtime/calls?model=m".into(), false)]);
}

#[tokio::test]
async fn a_key_that_is_refused_is_followed_by_the_next() {
    let mut vendor = Vendor::plain().await;
    let keys =
        target("t0", "openai", &vendor, "").replace("sk-test-t0-0123456789", "[key-of-test-one, key-of-test-two]");
    let gateway = gateway(&keys, "").await;
    let client = ask(&gateway.url, "/v1/realtime?model=m", "").await;
    let mut first = vendor.asked().await;
    first.write(b"HTTP/1.1 429 Slow Down\r\nContent-Length: 2\r\n\r\n{}").await;
    let mut second = vendor.asked().await;
    assert_ne!(first.headers()["authorization"], second.headers()["authorization"]);
    second.agree("").await;
    assert!(answer(client).await.line().contains("101"));
}

#[tokio::test]
async fn an_open_websocket_takes_its_place_at_the_target() {
    let mut vendor = Vendor::plain().await;
    let slots = "    concurrency: { max_concurrency: 1, queue_size: 1, queue_timeout: 1ms }\n";
    let gateway = gateway(&target("t0", "openai", &vendor, slots), "").await;
    let (near, far) = opened(&gateway, &mut vendor).await;
    assert_eq!(refused(&gateway, "/v1/realtime?model=m", "").await, ("429".into(), "provider_saturated".into()));
    drop((near, far));
    loop {
        let client = ask(&gateway.url, "/v1/realtime?model=m", "").await;
        if let Ok(mut far) = tokio::time::timeout(std::time::Duration::from_millis(50), vendor.asked()).await {
            far.agree("").await;
            assert!(answer(client).await.line().contains("101"));
            break;
        }
    }
}
