//! The Responses API, at vendors that speak it.

use super::{gateway, metric};
use crate::support::{Say, TestGateway, Upstream};

const ASK: &str = r#"{"model":"m","input":"hi"}"#;
const ASK_STREAM: &str = r#"{"model":"m","input":"hi","stream":true}"#;

fn event(kind: &str, more: &str) -> String {
    format!("event: {kind}\ndata: {{\"type\":\"{kind}\"{more}}}\n\n")
}

fn stream() -> Vec<String> {
    let usage = r#""usage":{"input_tokens":9,"input_tokens_details":{"cached_tokens":4},"output_tokens":5,"output_tokens_details":{"reasoning_tokens":2},"total_tokens":14}"#;
    vec![
        event("response.created", r#","response":{"id":"resp_1","status":"in_progress"}"#),
        event("response.output_text.delta", r#","delta":"Hi","x_new":1.50"#),
        event("response.output_item.done", r#","item":{"id":"msg_1"}"#),
        event("response.completed", &format!(r#","response":{{"id":"resp_1","status":"completed",{usage}}}"#)),
    ]
}

#[tokio::test]
async fn a_response_is_routed_by_its_model_and_its_usage_counted() {
    let answer = r#"{"id":"resp_1","object":"response","status":"completed","error":null,"output":[],"usage":{"input_tokens":9,"output_tokens":5,"total_tokens":14}}"#;
    let (down, up) = (Upstream::says([Say::json(500, "")]).await, Upstream::says([Say::json(200, answer)]).await);
    let gateway = gateway(&[("openai", &down), ("groq", &up)], "").await;
    let reply = gateway.post("/v1/responses", ASK).await;
    assert_eq!((reply.status, reply.body.as_str(), reply.header("x-gateway-provider")), (200, answer, "groq"));
    assert_eq!(up.seen().remove(0).path, "/v1/responses");
    let labels = r#"{model="m",provider="groq",target="t1"}"#;
    assert_eq!(metric(&gateway, &format!("gateway_tokens_input_total{labels}")).await, Some(9.0));
}

#[tokio::test]
async fn a_stream_passes_byte_for_byte_and_its_usage_is_counted() {
    let upstream = Upstream::says([Say::raw_events(stream())]).await;
    let gateway = gateway(&[("openai", &upstream)], "").await;
    let reply = gateway.post("/v1/responses", ASK_STREAM).await;
    assert_eq!((reply.status, reply.body), (200, stream().concat()));
    assert_eq!(upstream.seen().remove(0).header("accept"), "text/event-stream");
    let labels = r#"{model="m",provider="openai",target="t0"}"#;
    assert_eq!(metric(&gateway, &format!("gateway_tokens_output_total{labels}")).await, Some(5.0));
}

#[tokio::test]
async fn a_stream_that_fails_before_it_says_anything_moves_on() {
    let failed = event("response.failed", r#","response":{"error":{"code":"server_error","message":"no"}}"#);
    let first = Upstream::says([Say::raw_events([stream().remove(0), failed])]).await;
    let second = Upstream::says([Say::raw_events(stream())]).await;
    let gateway = gateway(&[("openai", &first), ("openai", &second)], "").await;
    let reply = gateway.post("/v1/responses", ASK_STREAM).await;
    assert_eq!((reply.status, reply.header("x-ferro-target"), &reply.body), (200, "t1", &stream().concat()));
}

#[tokio::test]
async fn a_stream_that_breaks_off_says_so() {
    let upstream = Upstream::says([Say::raw_events(stream().into_iter().take(2)).cut()]).await;
    let gateway = gateway(&[("openai", &upstream)], "").await;
    let reply = gateway.post("/v1/responses", ASK_STREAM).await;
    assert!(reply.body.starts_with(&stream()[..2].concat()), "{}", reply.body);
    let last = &reply.body[stream()[..2].concat().len()..];
    let data: serde_json::Value = serde_json::from_str(last.strip_prefix("event: error\ndata: ").unwrap()).unwrap();
    assert_eq!((&data["type"], &data["code"]), (&"error".into(), &"upstream_stream_truncated".into()));
    assert_eq!(data["error"]["code"], "upstream_stream_truncated");
}

#[tokio::test]
async fn a_failure_in_the_middle_is_passed_on_and_counted() {
    let mut events = stream();
    events[3] = event("response.failed", r#","response":{"error":{"code":"server_error","message":"no"}}"#);
    let upstream = Upstream::says([Say::raw_events(events.clone())]).await;
    let gateway = gateway(&[("openai", &upstream)], "").await;
    assert_eq!(gateway.post("/v1/responses", ASK_STREAM).await.body, events.concat());
    assert_eq!(
        metric(&gateway, r#"gateway_surface_requests_total{status="error",surface="responses"}"#).await,
        Some(1.0)
    );
}

#[tokio::test]
async fn who_does_not_speak_it_is_named() {
    let upstream = Upstream::says([Say::text("hi")]).await;
    let gateway = gateway(&[("deepseek", &upstream)], "").await;
    let reply = gateway.post("/v1/responses", ASK).await;
    assert_eq!((reply.status, reply.code().as_str()), (501, "responses_not_supported"));
    assert!(reply.body.contains("deepseek"), "{}", reply.body);
    let reply = gateway.post("/v1/responses", r#"{"model":"nobodys","input":"hi"}"#).await;
    assert_eq!((reply.status, reply.code().as_str()), (404, "model_not_found"));
}

#[tokio::test]
async fn what_is_stored_is_with_the_one_target_that_keeps_it() {
    let (other, keeper) =
        (Upstream::says([Say::json(500, "")]).await, Upstream::says([Say::json(200, r#"{"id":"resp_1"}"#)]).await);
    let gateway = gateway(&[("openai", &other), ("openai", &keeper)], "responses_target: t1\n").await;
    let reply = gateway.get("/v1/responses/resp_1?include[]=output").await;
    assert_eq!((reply.status, reply.body.as_str(), reply.header("x-ferro-target")), (200, r#"{"id":"resp_1"}"#, "t1"));
    let cancel = gateway.http.post(format!("{}/v1/responses/resp_1/cancel", gateway.url)).bearer_auth("x");
    assert_eq!(gateway.send(cancel).await.status, 200);
    let delete = gateway.http.delete(format!("{}/v1/responses/resp_1", gateway.url));
    assert_eq!(gateway.send(delete).await.status, 200);
    let seen = keeper.seen();
    let seen: Vec<_> = seen.iter().map(|seen| (seen.method.as_str(), seen.path.as_str())).collect();
    let id = "/v1/responses/resp_1";
    assert_eq!(
        seen,
        [("GET", "/v1/responses/resp_1?include[]=output"), ("POST", "/v1/responses/resp_1/cancel"), ("DELETE", id)]
    );
    assert!(other.seen().is_empty());
}

#[tokio::test]
async fn without_a_keeper_nothing_is_stored() {
    let upstream = Upstream::says([Say::json(200, "{}")]).await;
    let reply = TestGateway::fallback(&[&upstream]).await.get("/v1/responses/resp_1").await;
    assert_eq!((reply.status, reply.code().as_str()), (501, "responses_not_configured"));
    let gateway = gateway(&[("deepseek", &upstream)], "responses_target: t0\n").await;
    let reply = gateway.get("/v1/responses/resp_1").await;
    assert_eq!((reply.status, reply.code().as_str()), (501, "responses_not_supported"));
}
