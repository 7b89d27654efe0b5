//! Rows at work: the gateway between a caller and a scripted upstream of each kind.

use ferrogw::call::Op;
use ferrogw::providers::table::PROVIDERS;
use ferrogw::wire::Dialect;
use serde_json::{Value, json};

use crate::support::{ASK, Say, TestGateway, Upstream, events};

const CHAT: &str = "/v1/chat/completions";

/// A gateway with one target of this provider, which stands at the upstream.
async fn gateway(id: &str, upstream: &Upstream, more: &str) -> TestGateway {
    let yaml = format!(
        "strategy: {{ mode: single }}\ntargets:\n  - virtual_key: t\n    provider: {id}\n    models: [m]\n{}",
        more.replace("URL", &upstream.url)
    );
    TestGateway::configured(&yaml, &[]).await
}

#[tokio::test]
async fn every_row_carries_a_chat_and_a_stream() {
    // rows with formats of their own are asked in those
    for spec in PROVIDERS.iter().filter(|spec| spec.dialect == Dialect::OpenAi) {
        let upstream = Upstream::says([Say::text("hello"), Say::words(&["hel", "lo"])]).await;
        let gateway = gateway(spec.id, &upstream, "    base_url: URL/root\n    api_key: sk-test-0123456789\n").await;
        let reply = gateway.post(CHAT, ASK).await;
        assert_eq!(reply.status, 200, "{}: {}", spec.id, reply.body);
        assert_eq!(reply.json()["choices"][0]["message"]["content"], "hello", "{}", spec.id);
        assert_eq!(reply.header("x-gateway-provider"), spec.id);
        assert_eq!(reply.header("x-ferro-warnings"), "", "{}", spec.id);
        let streamed = gateway.stream().await;
        let said: String = events(&streamed.body)
            .iter()
            .filter_map(|event| serde_json::from_str::<Value>(event).ok())
            .filter_map(|event| event["choices"][0]["delta"]["content"].as_str().map(str::to_owned))
            .collect();
        assert_eq!((said.as_str(), events(&streamed.body).last()), ("hello", Some(&"[DONE]")), "{}", spec.id);
        let seen = upstream.seen();
        assert_eq!(seen[0].path, format!("/root{}", spec.path(Op::Chat).unwrap()), "{}", spec.id);
        let key = format!("{}{}", seen[0].header("authorization").replace("Bearer ", ""), seen[0].header("api-key"));
        assert_eq!(key, "sk-test-0123456789", "{}", spec.id);
        let usage = seen[1].json()["stream_options"]["include_usage"] == true;
        assert_eq!(usage, spec.asks_usage, "{}", spec.id);
    }
}

#[tokio::test]
async fn what_is_only_streamed_is_folded_into_a_whole_answer() {
    let check = async |id: &str, ask: Value, path: &str, text: &str| {
        let upstream =
            Upstream::says([Say::words(&["hel", "lo"]), Say::events([r#"{"error":{"message":"no"}}"#])]).await;
        let gateway = gateway(id, &upstream, "    base_url: URL/v1\n    api_key: k-0123456789\n").await;
        let reply = gateway.post(path, ask.to_string()).await;
        assert_eq!((reply.status, reply.header("content-type")), (200, "application/json"), "{}", reply.body);
        let answer = reply.json();
        assert_eq!(answer.pointer(text), Some(&json!("hello")), "{answer}");
        assert!(answer["usage"]["total_tokens"].is_u64(), "{answer}");
        let sent = &upstream.seen()[0];
        assert_eq!((sent.json()["stream"].as_bool(), sent.header("accept")), (Some(true), "text/event-stream"));
        assert_eq!(gateway.post(path, ask.to_string()).await.status, 502);
    };
    let messages = json!([{"role": "user", "content": "hi"}]);
    let long = json!({"model": "m", "max_tokens": 8000, "messages": messages});
    check("fireworks", long, CHAT, "/choices/0/message/content").await;
    let chat = "/choices/0/message/content";
    let thinking = json!({"model": "qwen/qwen3-235b-a22b-thinking-2507", "messages": messages});
    check("qwen", thinking, CHAT, chat).await;
    let prompt = json!({"model": "qwen/qwq-plus", "prompt": "hi"});
    check("qwen", prompt, "/v1/completions", "/choices/0/text").await;
}

#[tokio::test]
async fn a_deployment_is_asked_by_its_name() {
    let upstream =
        Upstream::says([Say::text("1"), Say::text("2"), Say::json(200, r#"{"data":[{"embedding":"AA=="}]}"#)]).await;
    let more = "    api_key: k-0123456789\n    options: { endpoint: URL, deployment: prod }\n";
    let gateway = gateway("azure-openai", &upstream, more).await;
    assert_eq!(gateway.post(CHAT, ASK).await.status, 200);
    assert_eq!(gateway.post(CHAT, ASK.replace("\"m\"", "\"azure/prod\"")).await.status, 200);
    let embed = r#"{"model":"m","input":"a","encoding_format":"base64"}"#;
    let reply = gateway.post("/v1/embeddings", embed).await;
    assert_eq!(reply.json()["data"][0]["embedding"], "AA==");
    let seen = upstream.seen();
    let path = |at: usize| seen[at].path.as_str();
    assert!(path(0).starts_with("/openai/deployments/prod/chat/completions"), "{}", path(0));
    assert_eq!(path(1), path(0));
    assert!(path(2).starts_with("/openai/deployments/m/embeddings"), "{}", path(2));
    assert_eq!(seen[0].header("api-key"), "k-0123456789");
}

#[tokio::test]
async fn a_token_is_fetched_before_the_first_request_and_used_for_all() {
    let token = r#"{"access_token":"one","expires_in":3600}"#;
    let upstream = Upstream::says([Say::json(200, token), Say::text("a"), Say::text("b")]).await;
    let more = "    api_key: \"\"\n    options: { host: URL, client_id: c, client_secret: s }\n";
    let gateway = gateway("databricks", &upstream, more).await;
    for expected in ["a", "b"] {
        let reply = gateway.post(CHAT, ASK).await;
        assert_eq!(reply.json()["choices"][0]["message"]["content"], expected, "{}", reply.body);
    }
    let seen = upstream.seen();
    let paths: Vec<_> = seen.iter().map(|seen| seen.path.as_str()).collect();
    let chat = "/serving-endpoints/chat/completions";
    assert_eq!(paths, ["/oidc/v1/token", chat, chat]);
    assert_eq!(seen[2].header("authorization"), "Bearer one");
}

#[tokio::test]
async fn a_token_that_is_refused_is_the_operator_s_problem() {
    let upstream = Upstream::says([Say::json(401, r#"{"error":"invalid_client"}"#)]).await;
    let more = "    api_key: \"\"\n    options: { host: URL, client_id: c, client_secret: hush-hush-hush }\n";
    let reply = gateway("databricks", &upstream, more).await.post(CHAT, ASK).await;
    assert_eq!((reply.status, reply.code().as_str()), (502, "upstream_auth_error"));
    assert!(!reply.body.contains("hush"), "{}", reply.body);
}

#[tokio::test]
async fn a_stream_that_called_a_tool_ends_saying_so() {
    let event = |delta: Value, finish: Value| {
        json!({"id": "x", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}).to_string()
    };
    let call = json!({"tool_calls": [{"function": {"name": "f", "arguments": {"a": 1}}}]});
    let script = [event(call, Value::Null), event(json!({}), json!("stop")), "[DONE]".to_owned()];
    let upstream = Upstream::says([Say::events(script)]).await;
    let gateway = gateway("ollama", &upstream, "    base_url: URL\n").await;
    let streamed = gateway.stream().await;
    let said: Vec<Value> = events(&streamed.body).iter().filter_map(|event| serde_json::from_str(event).ok()).collect();
    let call = &said[0]["choices"][0]["delta"]["tool_calls"][0];
    assert_eq!((&call["index"], &call["function"]["arguments"]), (&json!(0), &json!("{\"a\":1}")));
    assert_eq!(said[1]["choices"][0]["finish_reason"], "tool_calls");
}

#[tokio::test]
async fn base64_is_made_where_only_numbers_come() {
    let upstream = Upstream::says([Say::json(200, r#"{"data":[{"index":0,"embedding":[1.0,-2.5]}]}"#)]).await;
    let gateway = gateway("mistral", &upstream, "    base_url: URL/v1\n    api_key: k\n").await;
    let reply = gateway.post("/v1/embeddings", r#"{"model":"m","input":"a","encoding_format":"base64"}"#).await;
    assert_eq!(reply.json()["data"][0]["embedding"], "AACAPwAAIMA=", "{}", reply.body);
    assert!(!upstream.seen()[0].json().as_object().unwrap().contains_key("encoding_format"));
}

#[tokio::test]
async fn what_a_provider_cannot_take_is_named_in_the_warnings() {
    let upstream = Upstream::says([Say::text("hello")]).await;
    let gateway = gateway("groq", &upstream, "    base_url: URL/v1\n    api_key: k\n").await;
    let reply = gateway.post(CHAT, r#"{"model":"m","n":3,"messages":[{"role":"user","content":"hi"}]}"#).await;
    assert_eq!(reply.header("x-ferro-warnings"), "param=n;provider=groq;action=dropped", "{}", reply.body);
}
