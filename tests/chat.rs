//! Chat through the gateway: what arrives upstream, what comes back, and who is asked next.

use std::time::Duration;

use crate::support::{ASK, Say, TestGateway, Upstream, events};

const CHAT: &str = "/v1/chat/completions";

#[tokio::test]
async fn a_request_reaches_the_provider_byte_for_byte() {
    let upstream = Upstream::says([Say::text("hello")]).await;
    let gateway = TestGateway::fallback(&[&upstream]).await;
    let ask = r#"{ "model":"m", "unknown":{"deep":[1,{"x":1.50}]}, "messages":[{"role":"user","extra":1,"content":[{"type":"text","text":"hi","odd":null}]}], "tools":[{"type":"function","function":{"name":"f","zz":true}}] }"#;
    let reply = gateway.post(CHAT, ask).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    let seen = upstream.seen().remove(0);
    assert_eq!(seen.body, ask);
    assert_eq!(seen.path, "/v1/chat/completions");
    assert_eq!(seen.header("authorization"), "Bearer sk-test-t0-0123456789");
    assert_eq!(seen.header("accept-encoding"), "identity");
    assert_eq!(seen.header("x-client-request-id"), reply.header("x-request-id"));
}

#[tokio::test]
async fn an_answer_comes_back_byte_for_byte_with_headers_that_explain_it() {
    let body = r#"{"id":"x", "choices":[{"message":{"content":"a","refusal":null},"logprobs":{"content":[]}}],"system_fingerprint":"fp", "usage":{"prompt_tokens":1,"completion_tokens":1}}"#;
    let upstream = Upstream::says([Say::json(200, body)]).await;
    let reply = TestGateway::fallback(&[&upstream]).await.chat().await;
    assert_eq!(reply.body, body);
    let of = |name| reply.header(name);
    assert_eq!(
        (of("x-gateway-provider"), of("x-ferro-target"), of("x-ferro-model"), of("x-ferro-attempts")),
        ("openai", "t0", "m", "1")
    );
    assert!(of("x-gateway-overhead-ms").parse::<f64>().unwrap() > 0.0);
}

#[tokio::test]
async fn falls_back_to_the_second_target_when_the_first_is_down() {
    let (down, up) = (Upstream::down().await, Upstream::says([Say::text("2")]).await);
    let reply = TestGateway::fallback(&[&down, &up]).await.chat().await;
    assert_eq!((reply.status, reply.header("x-ferro-target"), reply.header("x-ferro-attempts")), (200, "t1", "2"));
}

#[tokio::test]
async fn an_upstream_that_is_down_is_named_without_its_address() {
    let down = Upstream::down().await;
    let reply = TestGateway::fallback(&[&down]).await.chat().await;
    assert_eq!((reply.status, reply.code().as_str()), (502, "upstream_unreachable"));
    assert!(reply.body.contains("openai") && !reply.body.contains("127.0.0.1"), "{}", reply.body);
}

#[tokio::test]
async fn what_is_the_callers_fault_goes_no_further() {
    let refuses = Upstream::says([Say::json(
        400,
        r#"{"error":{"message":"no such thing","type":"invalid_request_error","param":"tools","code":"bad"}}"#,
    )])
    .await;
    let second = Upstream::says([Say::text("2")]).await;
    let gateway = TestGateway::with(&[&refuses, &second], "    retry: { attempts: 3 }\n", "").await;
    let reply = gateway.chat().await;
    assert_eq!((reply.status, reply.code().as_str()), (400, "invalid_request"));
    assert!(reply.body.contains("no such thing") && reply.json()["error"]["param"] == "tools");
    assert_eq!((refuses.seen().len(), second.seen().len()), (1, 0));
}

#[tokio::test]
async fn a_target_is_asked_again_before_the_next_one() {
    let shaky =
        Upstream::says([Say::json(503, ""), Say::json(429, "{}").header("retry-after-ms", "1"), Say::text("3")]).await;
    let gateway = TestGateway::with(&[&shaky], "    retry: { attempts: 3, initial_backoff_ms: 1 }\n", "").await;
    let reply = gateway.chat().await;
    assert_eq!((reply.status, reply.header("x-ferro-attempts")), (200, "3"));
}

#[tokio::test]
async fn a_long_wait_sends_the_call_to_the_next_target() {
    let busy = Upstream::says([Say::json(429, "{}").header("retry-after", "31")]).await;
    let free = Upstream::says([Say::text("2")]).await;
    let gateway = TestGateway::with(&[&busy, &free], "    retry: { attempts: 3 }\n", "").await;
    assert_eq!(gateway.chat().await.header("x-ferro-target"), "t1");
    assert_eq!(busy.seen().len(), 1);
}

#[tokio::test]
async fn the_last_failure_is_the_calls_with_the_providers_hint_when_to_come_back() {
    let first = Upstream::says([Say::json(500, "")]).await;
    let last =
        Upstream::says([Say::json(429, r#"{"error":{"message":"slow down"}}"#).header("retry-after", "17")]).await;
    let reply = TestGateway::fallback(&[&first, &last]).await.chat().await;
    assert_eq!((reply.status, reply.code().as_str(), reply.header("retry-after")), (429, "rate_limit_exceeded", "17"));
}

#[tokio::test]
async fn a_stream_arrives_as_it_was_sent_without_the_usage_nobody_asked_for() {
    let upstream = Upstream::says([Say::words(&["Hel", "lo"])]).await;
    let gateway = TestGateway::fallback(&[&upstream]).await;
    let reply = gateway.stream().await;
    assert_eq!(reply.header("content-type"), "text/event-stream");
    insta::assert_snapshot!(reply.body);
    assert_eq!(upstream.seen().remove(0).json()["stream_options"]["include_usage"], true);
}

#[tokio::test]
async fn usage_is_passed_on_when_it_was_asked_for() {
    let upstream = Upstream::says([Say::words(&["a"])]).await;
    let gateway = TestGateway::fallback(&[&upstream]).await;
    let ask = r#"{"model":"m","stream":true,"stream_options":{"include_usage":true},"messages":[{}]}"#;
    let reply = gateway.post(CHAT, ask).await;
    assert_eq!(upstream.seen().remove(0).body, ask);
    assert!(events(&reply.body).iter().any(|event| event.contains(r#""usage":{"#)), "{}", reply.body);
}

#[tokio::test]
async fn a_stream_that_fails_before_its_first_content_moves_to_the_next_target() {
    let role = crate::support::upstream::delta(r#"{"role":"assistant","content":""}"#, "null");
    for bad in [
        Say::events([role.clone()]).cut(),
        Say::events([role.clone(), r#"{"error":{"message":"overloaded","code":529}}"#.to_owned()]),
        Say::events([role.clone()]),
        Say::events(["not json".to_owned()]),
        Say::json(200, r#"{"error":{"message":"oops"}}"#),
        Say::json(200, "<html>").header("content-type", "text/html"),
    ] {
        let (bad, good) = (Upstream::says([bad]).await, Upstream::says([Say::words(&["ok"])]).await);
        let reply = TestGateway::fallback(&[&bad, &good]).await.stream().await;
        assert_eq!((reply.status, reply.header("x-ferro-target")), (200, "t1"), "{}", reply.body);
        assert!(reply.body.contains(r#""content":"ok""#) && reply.body.ends_with("data: [DONE]\n\n"));
    }
}

#[tokio::test]
async fn a_stream_that_breaks_in_the_middle_ends_with_one_error_event_and_no_end_mark() {
    let content = crate::support::upstream::delta(r#"{"content":"half"}"#, "null");
    for end in [
        Say::events([content.clone()]).cut(),
        Say::events([content.clone()]),
        Say::events([content.clone(), r#"{"error":{"message":"boom"}}"#.to_owned()]),
    ] {
        let end = end.paced(Duration::from_millis(30));
        let (breaks, unused) = (Upstream::says([end]).await, Upstream::says([Say::words(&["no"])]).await);
        let reply = TestGateway::fallback(&[&breaks, &unused]).await.stream().await;
        let events = events(&reply.body);
        assert_eq!(events.len(), 2, "{}", reply.body);
        assert!(events[0].contains("half") && events[1].starts_with(r#"{"error":{"#), "{}", reply.body);
        assert!(unused.seen().is_empty());
    }
}

#[tokio::test]
async fn a_finished_stream_without_an_end_mark_gets_one() {
    let upstream =
        Upstream::says([Say::events([crate::support::upstream::delta(r#"{"content":"x"}"#, r#""stop""#)])]).await;
    let reply = TestGateway::fallback(&[&upstream]).await.stream().await;
    assert!(reply.body.ends_with("data: [DONE]\n\n"), "{}", reply.body);
}

#[tokio::test]
async fn a_whole_answer_to_a_stream_request_becomes_a_stream() {
    let upstream = Upstream::says([Say::text("whole")]).await;
    let reply = TestGateway::fallback(&[&upstream]).await.stream().await;
    insta::assert_snapshot!(reply.body);
}

#[tokio::test]
async fn a_silent_stream_is_kept_alive() {
    let say = Say::words(&["slow"]).paced(Duration::from_millis(150));
    let upstream = Upstream::says([say]).await;
    let gateway = TestGateway::with(&[&upstream], "", "server: { keep_alive: 25ms }\n").await;
    let reply = gateway.stream().await;
    assert!(reply.body.contains(": keep-alive\n\n") && reply.body.ends_with("[DONE]\n\n"), "{}", reply.body);
}

#[tokio::test]
async fn a_client_that_leaves_closes_the_upstream() {
    let content = crate::support::upstream::delta(r#"{"content":"half"}"#, "null");
    for (say, path_ask) in [(Say::events([content]).hang(), true), (Say::json(200, "").hang(), false)] {
        let upstream = Upstream::says([say]).await;
        let gateway = TestGateway::fallback(&[&upstream]).await;
        let ask = if path_ask { crate::support::ASK_STREAM } else { ASK };
        let sent = gateway.request(CHAT, ask).send();
        let left = upstream.left.clone();
        if path_ask {
            drop(sent.await.unwrap());
        } else {
            let waiting = tokio::time::timeout(Duration::from_millis(80), sent).await;
            assert!(waiting.is_err());
        }
        left.notified().await;
    }
}

#[tokio::test]
async fn an_upstream_that_says_nothing_in_time_is_left_for_the_next() {
    let (slow, quick) =
        (Upstream::says([Say::text("1").late(Duration::from_secs(9))]).await, Upstream::says([Say::text("2")]).await);
    let gateway = TestGateway::with(&[&slow, &quick], "    timeouts: { first_byte: 50ms }\n", "").await;
    assert_eq!(gateway.chat().await.header("x-ferro-target"), "t1");
}

#[tokio::test]
async fn the_gateways_own_deadline_is_504() {
    let slow = Upstream::says([Say::text("1").late(Duration::from_secs(9))]).await;
    let reply = TestGateway::with(&[&slow], "", "request_timeout: 50ms\n").await.chat().await;
    assert_eq!((reply.status, reply.code().as_str()), (504, "gateway_timeout"));
}

#[tokio::test]
async fn aliases_and_model_maps_rename_only_the_model() {
    let upstream = Upstream::says([Say::text("x")]).await;
    let gateway =
        TestGateway::with(&[&upstream], "    model_map: { fast: gpt-x }\n", "aliases: { quick: fast }\n").await;
    gateway.post(CHAT, r#"{"model":"quick","messages":[ {} ],"n" : 1}"#).await;
    assert_eq!(upstream.seen().remove(0).body, r#"{"model":"gpt-x","messages":[ {} ],"n":1}"#);
}

#[tokio::test]
async fn a_vendor_that_owns_no_match_is_never_asked() {
    let upstream = Upstream::says([Say::text("x")]).await;
    let gateway = TestGateway::fallback(&[&upstream]).await;
    let reply = gateway.post(CHAT, r#"{"model":"claude-x","messages":[{}]}"#).await;
    assert_eq!((reply.status, reply.code().as_str()), (404, "model_not_found"));
    assert!(upstream.seen().is_empty());
}
