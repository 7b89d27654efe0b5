//! Cohere behind the gateway: what it is sent, and what callers get of what it says.

use serde_json::{Value, json};

use crate::support::{ASK, ASK_STREAM, Say, TestGateway, Upstream, events};

const CHAT: &str = "/v1/chat/completions";
const EMBED: &str = "/v1/embeddings";

const WHOLE: &str = r#"{"id":"c-1","message":{"role":"assistant","content":[{"type":"thinking","thinking":"Two ports."},
{"type":"text","text":"Take \"Brest\"."}]},"finish_reason":"COMPLETE","usage":{"billed_units":{"input_tokens":40,
"output_tokens":8},"tokens":{"input_tokens":310.0,"output_tokens":21.0},"cached_tokens":64}}"#;

async fn gateway(upstream: &Upstream, more: &str) -> TestGateway {
    let target = format!(
        "targets:\n  - virtual_key: cohere\n    base_url: {}\n    api_key: co-test-0123456789\n    models: [m]\n{more}",
        upstream.url
    );
    TestGateway::configured(&target, &[]).await
}

/// A stream as Cohere frames it.
fn stream(payloads: &[&str]) -> Say {
    let kind = |payload: &str| {
        let value: Value = serde_json::from_str(payload).unwrap();
        value["type"].as_str().unwrap_or_default().to_owned()
    };
    Say::raw_events(payloads.iter().map(|payload| format!("event: {}\ndata: {payload}\n\n", kind(payload))))
}

const START: &str = r#"{"type":"message-start","id":"c-1","delta":{"message":{"role":"assistant","content":[],"tool_plan":"","tool_calls":[],"citations":[]}}}"#;
const HELLO: &str = r#"{"type":"content-delta","index":0,"delta":{"message":{"content":{"text":"Hello"}}}}"#;
const END: &str = r#"{"type":"message-end","delta":{"finish_reason":"COMPLETE","usage":{"billed_units":{"input_tokens":2,"output_tokens":3},"tokens":{"input_tokens":71,"output_tokens":5}}}}"#;

#[tokio::test]
async fn a_chat_goes_there_and_back() {
    let upstream = Upstream::says([Say::json(200, WHOLE)]).await;
    let gateway = gateway(&upstream, "").await;
    let reply = gateway.chat().await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    let seen = upstream.seen().remove(0);
    assert_eq!((seen.path.as_str(), seen.header("authorization")), ("/v2/chat", "Bearer co-test-0123456789"));
    assert_eq!((seen.header("x-client-name"), seen.header("accept")), ("ferrogw", "application/json"));
    assert_eq!(
        seen.json(),
        json!({ "model": "m", "stream": false, "messages": [{ "role": "user", "content": "hi" }] })
    );
    let answer = reply.json();
    let message = &answer["choices"][0]["message"];
    assert_eq!((&message["content"], &message["reasoning_content"]), (&"Take \"Brest\".".into(), &"Two ports.".into()));
    assert_eq!(
        (&answer["id"], &answer["object"], &answer["model"]),
        (&"c-1".into(), &"chat.completion".into(), &"m".into())
    );
    assert!(answer["created"].as_u64().unwrap() > 1_700_000_000);
    let usage = &answer["usage"];
    assert_eq!(
        (&usage["prompt_tokens"], &usage["completion_tokens"], &usage["total_tokens"]),
        (&310.into(), &21.into(), &331.into())
    );
    assert_eq!(usage["prompt_tokens_details"]["cached_tokens"], 64);
}

#[tokio::test]
async fn a_stream_becomes_openais_events() {
    let upstream = Upstream::says([stream(&[START, HELLO, END])]).await;
    let gateway = gateway(&upstream, "").await;
    let reply = gateway.stream().await;
    assert_eq!((reply.status, upstream.seen().remove(0).header("accept")), (200, "text/event-stream"));
    let frames = events(&reply.body);
    let deltas: Vec<Value> =
        frames[..frames.len() - 1].iter().map(|frame| serde_json::from_str(frame).unwrap()).collect();
    let told: Vec<&Value> = deltas.iter().map(|chunk| &chunk["choices"][0]["delta"]).collect();
    assert_eq!(told, [&json!({ "role": "assistant", "content": "" }), &json!({ "content": "Hello" }), &json!({})]);
    assert_eq!((&deltas[2]["choices"][0]["finish_reason"], frames[3]), (&"stop".into(), "[DONE]"));
    assert!(deltas.iter().all(|chunk| chunk["id"] == "c-1" && chunk["object"] == "chat.completion.chunk"));
    let asked = ASK_STREAM.replace("\"stream\"", "\"stream_options\":{\"include_usage\":true},\"stream\"");
    let reply = gateway.post(CHAT, asked).await;
    let frames = events(&reply.body);
    let last: Value = serde_json::from_str(frames[3]).unwrap();
    assert_eq!((&last["choices"], &last["usage"]["total_tokens"]), (&json!([]), &76.into()));
    let metrics = gateway.get("/metrics").await.body;
    let counted = metrics.lines().find(|line| line.starts_with("gateway_tokens_input_total{")).unwrap_or_default();
    assert!(counted.ends_with("142"), "{counted}");
}

#[tokio::test]
async fn a_failure_in_front_of_a_stream_has_a_status_and_one_inside_is_an_event() {
    let failed = r#"{"type":"message-end","delta":{"finish_reason":"ERROR","error":"the model broke"}}"#;
    let upstream =
        Upstream::says([stream(&[START, failed]), stream(&[START, HELLO, failed]), stream(&[START, HELLO])]).await;
    let gateway = gateway(&upstream, "    retry: { attempts: 1 }\n").await;
    let reply = gateway.stream().await;
    assert_eq!((reply.status, reply.code().as_str()), (502, "upstream_error"), "{}", reply.body);
    assert!(reply.body.contains("the model broke"), "{}", reply.body);
    for expected in ["upstream_error", "upstream_stream_truncated"] {
        let reply = gateway.stream().await;
        let frames = events(&reply.body);
        assert!(reply.status == 200 && reply.body.contains("Hello"), "{}", reply.body);
        let last: Value = serde_json::from_str(frames.last().unwrap()).unwrap();
        assert_eq!(last["error"]["code"], expected, "{}", reply.body);
    }
}

#[tokio::test]
async fn a_text_completion_goes_through_chat() {
    let upstream = Upstream::says([Say::json(200, WHOLE), stream(&[START, HELLO, END])]).await;
    let gateway = gateway(&upstream, "").await;
    let whole = gateway.post("/v1/completions", r#"{"model":"m","prompt":"hi"}"#).await.json();
    assert_eq!(
        (&whole["object"], &whole["choices"][0]["text"]),
        (&"text_completion".into(), &"Take \"Brest\".".into())
    );
    let streamed = gateway.post("/v1/completions", r#"{"model":"m","prompt":"hi","stream":true}"#).await;
    assert!(streamed.body.contains(r#""text":"Hello""#) && streamed.is_done(), "{}", streamed.body);
}

#[tokio::test]
async fn what_it_cannot_take_is_named() {
    let upstream = Upstream::says([Say::json(200, WHOLE)]).await;
    let warns = gateway(&upstream, "").await;
    let ask = ASK.replace("{\"model\"", r#"{"n":2,"logit_bias":{},"temperature":1.5,"model""#);
    let reply = warns.post(CHAT, ask.as_str()).await;
    let named = "param=n;provider=cohere;action=dropped, param=temperature;provider=cohere;action=clamped";
    assert_eq!((reply.status, reply.header("x-ferro-warnings")), (200, named), "{}", reply.body);
    let audio = r#"{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"?"},
        {"type":"input_audio","input_audio":{"data":"","format":"wav"}}]}]}"#;
    let reply = warns.post(CHAT, audio).await;
    assert_eq!((reply.status, reply.code().as_str()), (400, "unsupported_content"), "{}", reply.body);
    assert_eq!(reply.json()["error"]["param"], "messages[0].content[1]");
    let strict = gateway(&upstream, "compatibility: { on_unsupported_param: reject }\n").await;
    let reply = strict.post(CHAT, ask).await;
    assert_eq!((reply.status, reply.code().as_str()), (400, "unsupported_parameter"), "{}", reply.body);
}

#[tokio::test]
async fn options_for_it_are_put_into_its_own_body() {
    let upstream = Upstream::says([Say::json(200, WHOLE)]).await;
    let gateway = gateway(&upstream, "").await;
    let with = |options: &str| ASK.replace("{\"model\"", &format!(r#"{{"provider_options":{options},"model""#));
    let reply = gateway.post(CHAT, with(r#"{"cohere":{"safety_mode":"NONE","stream":1},"x":{}}"#)).await;
    assert_eq!((reply.status, &reply.json()["error"]["param"]), (400, &"provider_options.cohere.stream".into()));
    let reply = gateway.post(CHAT, with(r#"{"cohere":{"safety_mode":"NONE"},"openai":{"store":true}}"#)).await;
    assert_eq!((reply.status, reply.header("x-ferro-warnings")), (200, ""));
    let sent = upstream.seen().remove(0).json();
    assert_eq!(
        (&sent["safety_mode"], &sent["provider_options"], &sent["store"]),
        (&"NONE".into(), &Value::Null, &Value::Null)
    );
}

#[tokio::test]
async fn its_errors_are_told_as_openais() {
    let check = async |status: u16, body: &str, expected: (u16, &str)| {
        let upstream = Upstream::says([Say::json(status, body)]).await;
        let reply = gateway(&upstream, "    retry: { attempts: 1 }\n").await.chat().await;
        assert_eq!((reply.status, reply.code().as_str()), expected, "{status} {body}: {}", reply.body);
    };
    check(401, r#"{"message":"invalid api token"}"#, (502, "upstream_auth_error")).await;
    check(498, r#"{"message":"invalid api token"}"#, (502, "upstream_auth_error")).await;
    check(400, r#"{"id":"x","message":"invalid request: bad role"}"#, (400, "invalid_request")).await;
    check(400, r#"{"id":"x","message":"too many tokens: total"}"#, (400, "context_length_exceeded")).await;
    check(404, r#"{"id":"x","message":"model 'm' not found"}"#, (404, "model_not_found")).await;
    check(429, r#"{"message":"You are using a Trial key"}"#, (429, "rate_limit_exceeded")).await;
    check(500, "", (502, "upstream_error")).await;
    check(503, "{}", (503, "upstream_overloaded")).await;
    check(200, r#"{"message":"not an answer"}"#, (502, "upstream_error")).await;
    check(200, "[]", (502, "upstream_error")).await;
}

#[tokio::test]
async fn many_texts_are_embedded_in_parts() {
    let vectors = |count: usize, tokens: usize| {
        let vectors: Vec<Vec<f32>> = (0..count).map(|at| vec![at as f32, 0.5]).collect();
        let answer = json!({ "id": "e", "embeddings": { "float": vectors }, "meta": { "billed_units": { "input_tokens": tokens } } });
        Say::json(200, &answer.to_string())
    };
    let upstream = Upstream::says([vectors(96, 100), vectors(4, 7)]).await;
    let gateway = gateway(&upstream, "").await;
    let texts: Vec<String> = (0..100).map(|at| format!("text {at}")).collect();
    let ask = json!({ "model": "m", "input": texts, "dimensions": 256, "user": "u" }).to_string();
    let reply = gateway.post(EMBED, ask).await;
    assert_eq!((reply.status, reply.header("x-ferro-warnings")), (200, "param=user;provider=cohere;action=dropped"));
    let answer = reply.json();
    let data = answer["data"].as_array().unwrap();
    assert_eq!((data.len(), &data[99]["index"], &answer["usage"]["total_tokens"]), (100, &99.into(), &107.into()));
    let mut sent: Vec<Value> = upstream.seen().iter().map(|seen| seen.json()).collect();
    sent.sort_by_key(|sent| std::cmp::Reverse(sent["texts"].as_array().unwrap().len()));
    assert_eq!((sent[0]["texts"].as_array().unwrap().len(), &sent[1]["texts"][3]), (96, &"text 99".into()));
    assert_eq!((&sent[1]["input_type"], &sent[1]["output_dimension"]), (&"search_document".into(), &256.into()));
}

#[tokio::test]
async fn an_embedding_comes_as_base64_from_the_vendor_itself() {
    let upstream = Upstream::says([Say::json(200, r#"{"id":"e","embeddings":{"base64":["AACAPw=="]}}"#)]).await;
    let gateway = gateway(&upstream, "").await;
    let reply = gateway.post(EMBED, r#"{"model":"m","input":"hi","encoding_format":"base64"}"#).await;
    assert_eq!((reply.status, &reply.json()["data"][0]["embedding"]), (200, &"AACAPw==".into()));
    assert_eq!(upstream.seen().remove(0).json()["embedding_types"], json!(["base64"]));
    let reply = gateway.post(EMBED, r#"{"model":"m","input":[[1,2]]}"#).await;
    assert_eq!((reply.status, &reply.json()["error"]["param"]), (400, &"input".into()));
}
