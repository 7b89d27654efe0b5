//! Anthropic behind the gateway: what it is sent, and what callers get of what it says.

use serde_json::{Value, json};

use crate::support::{Say, TestGateway, Upstream, events, target};

const CHAT: &str = "/v1/chat/completions";
const MODEL: &str = "claude-sonnet-4-6";
const ASK: &str = r#"{"model":"claude-sonnet-4-6","messages":[{"role":"user","content":"hi"}]}"#;
const ASK_STREAM: &str = r#"{"model":"claude-sonnet-4-6","stream":true,"messages":[{"role":"user","content":"hi"}]}"#;
const ONCE: &str = "    retry: { attempts: 1 }\n";

const HELLO: &str = r#"{"id":"msg_1","type":"message","role":"assistant","model":"claude-sonnet-4-6",
"content":[{"type":"text","text":"Hello"}],"stop_reason":"end_turn","stop_sequence":null,
"usage":{"input_tokens":3,"output_tokens":2,"cache_read_input_tokens":40}}"#;

const START: &str = r#"{"type":"message_start","message":{"id":"msg_2","type":"message","role":"assistant","model":"claude-sonnet-4-6","content":[],"stop_reason":null,"usage":{"input_tokens":25,"output_tokens":1}}}"#;
const OPEN: &str = r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#;
const TEXT: &str = r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hel\"lo"}}"#;
const CLOSE: &str = r#"{"type":"content_block_stop","index":0}"#;
const PING: &str = r#"{"type":"ping"}"#;
const ENDS: &str =
    r#"{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":7}}"#;
const STOP: &str = r#"{"type":"message_stop"}"#;
const OVERLOADED: &str = r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#;

async fn gateway(upstream: &Upstream, more: &str) -> TestGateway {
    let target = target("claude", "anthropic", upstream, MODEL, more);
    TestGateway::configured(&format!("targets:\n{target}"), &[]).await
}

/// A stream as Anthropic frames it.
fn stream(payloads: &[&str]) -> Say {
    let kind = |payload: &str| serde_json::from_str::<Value>(payload).unwrap()["type"].as_str().unwrap().to_owned();
    Say::raw_events(payloads.iter().map(|payload| format!("event: {}\ndata: {payload}\n\n", kind(payload))))
}

fn chunks(body: &str) -> Vec<Value> {
    events(body).into_iter().filter_map(|frame| serde_json::from_str(frame).ok()).collect()
}

#[tokio::test]
async fn a_chat_goes_there_and_back() {
    let upstream = Upstream::says([Say::json(200, HELLO)]).await;
    let gateway = gateway(&upstream, "").await;
    let reply = gateway.post(CHAT, ASK).await;
    assert_eq!((reply.status, reply.header("x-gateway-provider")), (200, "anthropic"), "{}", reply.body);
    let seen = upstream.seen().remove(0);
    let headers = ["x-api-key", "anthropic-version", "authorization", "anthropic-beta"].map(|name| seen.header(name));
    assert_eq!((seen.path.as_str(), headers), ("/v1/messages", ["sk-test-claude-0123456789", "2023-06-01", "", ""]));
    let content = json!([{ "type": "text", "text": "hi" }]);
    let sent = json!({ "model": MODEL, "max_tokens": 8192, "messages": [{ "role": "user", "content": content }] });
    assert_eq!(seen.json(), sent);
    let answer = reply.json();
    assert_eq!(answer["choices"][0]["message"]["content"], "Hello");
    assert_eq!((&answer["id"], &answer["usage"]["total_tokens"]), (&"msg_1".into(), &45.into()));
    let metrics = gateway.get("/metrics").await.body;
    let counted = metrics.lines().find(|line| line.starts_with("gateway_tokens_input_total{")).unwrap_or_default();
    assert!(counted.ends_with(" 43"), "{counted}");
}

#[tokio::test]
async fn a_loop_of_tools_goes_on_with_what_was_thought() {
    let calls = r#"{"id":"msg_1","type":"message","role":"assistant","model":"claude-sonnet-4-6","content":[
        {"type":"thinking","thinking":"I need the \"table\".","signature":"c2lnLWRlbW8="},
        {"type":"redacted_thinking","data":"b3BhcXVl"},
        {"type":"text","text":"One moment."},
        {"type":"tool_use","id":"toolu_A","name":"tide_table","input":{"port":"Brest"}},
        {"type":"tool_use","id":"toolu_B","name":"tide_table","input":{"port":"Dover"}}],
        "stop_reason":"tool_use","usage":{"input_tokens":3,"output_tokens":20}}"#;
    let upstream = Upstream::says([Say::json(200, calls), Say::json(200, HELLO)]).await;
    let gateway = gateway(&upstream, "").await;
    let mut ask = json!({
        "model": MODEL, "reasoning_effort": "low", "messages": [{ "role": "user", "content": "Tides?" }],
        "tools": [{ "type": "function", "function": { "name": "tide_table", "parameters": { "type": "object" } } }],
    });
    let first = gateway.post(CHAT, ask.to_string()).await.json();
    assert_eq!(first["choices"][0]["finish_reason"], "tool_calls");
    let message = first["choices"][0]["message"].clone();
    let result = |at: usize, text: &str| json!({ "role": "tool", "tool_call_id": message["tool_calls"][at]["id"], "content": text });
    let (one, two) = (result(0, "06:12"), result(1, "11:40"));
    let messages = ask["messages"].as_array_mut().unwrap();
    messages.extend([message, one, two]);
    let reply = gateway.post(CHAT, ask.to_string()).await;
    assert_eq!((reply.status, reply.header("x-ferro-warnings")), (200, ""), "{}", reply.body);
    let sent = upstream.seen().remove(1).json();
    // every block as it came, in the same order
    let came: Value = serde_json::from_str(calls).unwrap();
    assert_eq!(sent["messages"][1]["content"], came["content"]);
    let results = json!([
        { "type": "tool_result", "tool_use_id": "toolu_A", "content": "06:12" },
        { "type": "tool_result", "tool_use_id": "toolu_B", "content": "11:40" },
    ]);
    assert_eq!((&sent["messages"][2]["content"], &sent["thinking"]), (&results, &json!({ "type": "adaptive" })));
}

#[tokio::test]
async fn a_caller_that_keeps_only_calls_goes_on_with_what_was_thought() {
    let block =
        |index: u64, block: Value| json!({ "type": "content_block_start", "index": index, "content_block": block });
    let delta = |index: u64, delta: Value| json!({ "type": "content_block_delta", "index": index, "delta": delta });
    let stop = |index: u64| json!({ "type": "content_block_stop", "index": index });
    let told = [
        block(0, json!({ "type": "thinking", "thinking": "", "signature": "" })),
        delta(0, json!({ "type": "thinking_delta", "thinking": "I need " })),
        delta(0, json!({ "type": "thinking_delta", "thinking": "the table." })),
        delta(0, json!({ "type": "signature_delta", "signature": "c2ln" })),
        stop(0),
        block(1, json!({ "type": "tool_use", "id": "toolu_A", "name": "tide_table", "input": {} })),
        delta(1, json!({ "type": "input_json_delta", "partial_json": "{}" })),
        stop(1),
    ];
    let told: Vec<String> = told.iter().map(Value::to_string).collect();
    let ends = ENDS.replace("end_turn", "tool_use");
    let frames: Vec<&str> = [START].into_iter().chain(told.iter().map(String::as_str)).chain([&*ends, STOP]).collect();
    let upstream = Upstream::says([stream(&frames), Say::json(200, HELLO)]).await;
    let gateway = gateway(&upstream, "").await;
    let tools =
        json!([{ "type": "function", "function": { "name": "tide_table", "parameters": { "type": "object" } } }]);
    let question = json!({ "role": "user", "content": "Tides?" });
    let ask =
        json!({ "model": MODEL, "stream": true, "reasoning_effort": "low", "messages": [question], "tools": tools });
    assert!(gateway.post(CHAT, ask.to_string()).await.is_done());
    let call = json!({ "id": "toolu_A", "type": "function", "function": { "name": "tide_table", "arguments": "{}" } });
    let messages = json!([
        question,
        { "role": "assistant", "content": null, "tool_calls": [call] },
        { "role": "tool", "tool_call_id": "toolu_A", "content": "06:12" },
    ]);
    let ask = json!({ "model": MODEL, "reasoning_effort": "low", "messages": messages, "tools": tools });
    let reply = gateway.post(CHAT, ask.to_string()).await;
    assert_eq!((reply.status, reply.header("x-ferro-warnings")), (200, ""), "{}", reply.body);
    let sent = upstream.seen().remove(1).json();
    let thought = json!({ "type": "thinking", "thinking": "I need the table.", "signature": "c2ln" });
    assert_eq!((&sent["messages"][1]["content"][0], &sent["thinking"]), (&thought, &json!({ "type": "adaptive" })));
}

#[tokio::test]
async fn how_long_an_answer_may_be_where_nobody_says_is_the_operators_choice() {
    let upstream = Upstream::says([Say::json(200, HELLO)]).await;
    let sent = async |configured: u64, ask: &str| {
        let gateway = gateway(&upstream, &format!("    options: {{ max_tokens: {configured} }}\n")).await;
        let reply = gateway.post(CHAT, ask).await;
        assert_eq!((reply.status, reply.header("x-ferro-warnings")), (200, ""));
        upstream.seen().remove(0).json()["max_tokens"].as_u64().unwrap()
    };
    assert_eq!(sent(20_000, ASK).await, 20_000);
    assert_eq!(sent(20_000, &ASK.replace("\"messages\"", "\"max_tokens\":7,\"messages\"")).await, 7);
    assert!(sent(9_000_000, ASK).await < 9_000_000, "no more than the model can");
}

#[tokio::test]
async fn a_stream_becomes_openais_events() {
    let upstream = Upstream::says([stream(&[START, OPEN, PING, TEXT, CLOSE, ENDS, STOP])]).await;
    let gateway = gateway(&upstream, "").await;
    let reply = gateway.post(CHAT, ASK_STREAM).await;
    let seen = upstream.seen().remove(0);
    assert_eq!((reply.status, seen.header("accept"), &seen.json()["stream"]), (200, "text/event-stream", &true.into()));
    let told = chunks(&reply.body);
    let deltas: Vec<&Value> = told.iter().map(|chunk| &chunk["choices"][0]["delta"]).collect();
    assert_eq!(deltas, [&json!({ "role": "assistant", "content": "" }), &json!({ "content": "Hel\"lo" }), &json!({})]);
    assert_eq!((&told[2]["choices"][0]["finish_reason"], events(&reply.body)[3]), (&"stop".into(), "[DONE]"));
    let asked = ASK_STREAM.replace("\"stream\"", "\"stream_options\":{\"include_usage\":true},\"stream\"");
    let told = chunks(&gateway.post(CHAT, asked).await.body);
    let usage = json!({ "prompt_tokens": 25, "completion_tokens": 7, "total_tokens": 32 });
    assert_eq!((&told[3]["choices"], &told[3]["usage"]), (&json!([]), &usage));
}

#[tokio::test]
async fn its_errors_are_told_as_openais() {
    let check = async |status: u16, kind: &str, message: &str, expected: (u16, &str)| {
        let error = json!({ "type": "error", "error": { "type": kind, "message": message }, "request_id": "req_1" });
        let upstream = Upstream::says([Say::json(status, &error.to_string())]).await;
        let reply = gateway(&upstream, ONCE).await.post(CHAT, ASK).await;
        assert_eq!((reply.status, reply.code().as_str()), expected, "{status} {kind}: {}", reply.body);
    };
    check(400, "invalid_request_error", "messages: at least one is required", (400, "invalid_request")).await;
    check(400, "invalid_request_error", "prompt is too long: 9 tokens > 8", (400, "context_length_exceeded")).await;
    check(400, "invalid_request_error", "Your credit balance is too low", (502, "upstream_billing")).await;
    check(401, "authentication_error", "invalid x-api-key", (502, "upstream_auth_error")).await;
    check(403, "permission_error", "not allowed", (502, "upstream_auth_error")).await;
    check(404, "not_found_error", "model: claude-x", (404, "model_not_found")).await;
    check(413, "request_too_large", "Request exceeds the maximum size", (413, "request_too_large")).await;
    check(500, "api_error", "Internal server error", (502, "upstream_error")).await;
    check(529, "overloaded_error", "Overloaded", (503, "upstream_overloaded")).await;
    check(200, "overloaded_error", "Overloaded", (503, "upstream_overloaded")).await;
    check(200, "api_error", "Internal server error", (502, "upstream_error")).await;
}

#[tokio::test]
async fn a_limit_says_when_to_come_back() {
    let error = r#"{"type":"error","error":{"type":"rate_limit_error","message":"slow down"}}"#;
    let upstream = Upstream::says([Say::json(429, error).header("retry-after", "17")]).await;
    let reply = gateway(&upstream, ONCE).await.post(CHAT, ASK).await;
    assert_eq!((reply.status, reply.code().as_str()), (429, "rate_limit_exceeded"), "{}", reply.body);
    assert_eq!(reply.header("retry-after"), "17");
    // without it, the dates at which its limits are fresh again: of several, that of the one which is used up
    let fresh = |secs| jiff::Timestamp::now() + jiff::SignedDuration::from_secs(secs);
    let limits = [("requests", "49", 5), ("input-tokens", "0", 600), ("output-tokens", "8000", 3_000)];
    let told = limits.into_iter().fold(Say::json(429, error), |say, (name, left, secs)| {
        let header = |what: &str| format!("anthropic-ratelimit-{name}-{what}");
        say.header(&header("remaining"), left).header(&header("reset"), &format!("{:.0}", fresh(secs)))
    });
    let upstream = Upstream::says([told]).await;
    let wait: u64 = gateway(&upstream, ONCE).await.post(CHAT, ASK).await.header("retry-after").parse().unwrap();
    assert!((590..=600).contains(&wait), "{wait}");
}

#[tokio::test]
async fn an_error_in_front_of_a_stream_moves_on_and_one_inside_is_its_last_event() {
    let first = Upstream::says([stream(&[OVERLOADED]), stream(&[START, OPEN, TEXT, OVERLOADED])]).await;
    let second = Upstream::says([stream(&[START, OPEN, TEXT, CLOSE, ENDS, STOP])]).await;
    let targets = target("a", "anthropic", &first, MODEL, ONCE) + &target("b", "anthropic", &second, MODEL, ONCE);
    let gateway = TestGateway::configured(&format!("strategy: {{ mode: fallback }}\ntargets:\n{targets}"), &[]).await;
    let reply = gateway.post(CHAT, ASK_STREAM).await;
    assert!(reply.status == 200 && reply.is_done(), "{}", reply.body);
    assert_eq!((first.seen().len(), second.seen().len()), (1, 1));
    let reply = gateway.post(CHAT, ASK_STREAM).await;
    let told = chunks(&reply.body);
    assert_eq!(told.iter().filter(|chunk| is_error(chunk)).count(), 1, "{}", reply.body);
    assert!(is_error(told.last().unwrap()) && !reply.body.contains("[DONE]"), "{}", reply.body);
    assert_eq!((first.seen().len(), second.seen().len()), (1, 0));
}

fn is_error(chunk: &Value) -> bool {
    chunk["error"].is_object()
}

#[tokio::test]
async fn a_stream_that_breaks_off_is_no_answer() {
    let cut = [stream(&[START, OPEN, TEXT]).cut(), stream(&[START, OPEN, TEXT])];
    for say in cut {
        let upstream = Upstream::says([say]).await;
        let reply = gateway(&upstream, ONCE).await.post(CHAT, ASK_STREAM).await;
        let last = chunks(&reply.body).pop().unwrap();
        assert_eq!(last["error"]["code"], "upstream_stream_truncated", "{}", reply.body);
        assert!(reply.body.contains("Hel") && !reply.body.contains("[DONE]"), "{}", reply.body);
    }
}

#[tokio::test]
async fn what_it_cannot_take_is_named() {
    let upstream = Upstream::says([Say::json(200, HELLO)]).await;
    let warns = gateway(&upstream, "").await;
    let ask = ASK.replace("{\"model\"", r#"{"n":2,"seed":null,"logit_bias":{},"temperature":1.5,"model""#);
    let reply = warns.post(CHAT, ask.as_str()).await;
    let named = "param=temperature;provider=anthropic;action=clamped, param=n;provider=anthropic;action=dropped";
    assert_eq!((reply.status, reply.header("x-ferro-warnings")), (200, named), "{}", reply.body);
    let target = target("claude", "anthropic", &upstream, MODEL, "");
    let yaml = format!("compatibility: {{ on_unsupported_param: reject }}\ntargets:\n{target}");
    let reply = TestGateway::configured(&yaml, &[]).await.post(CHAT, ask).await;
    assert_eq!((reply.status, reply.code().as_str()), (400, "unsupported_parameter"), "{}", reply.body);
    let audio = ASK.replace("\"hi\"", r#"[{"type":"input_audio","input_audio":{"data":"","format":"wav"}}]"#);
    let reply = warns.post(CHAT, audio).await;
    assert_eq!((reply.status, reply.code().as_str()), (400, "unsupported_content"), "{}", reply.body);
}

#[tokio::test]
async fn betas_of_the_target_and_of_the_request_are_one_list() {
    let upstream = Upstream::says([Say::json(200, HELLO)]).await;
    let gateway = gateway(&upstream, "    headers: { anthropic-beta: context-1m-2025-08-07 }\n").await;
    let ask = ASK.replace("\"hi\"", r#"[{"type":"file","file":{"file_id":"file_1"}}]"#);
    assert_eq!(gateway.post(CHAT, ask).await.status, 200);
    let betas = upstream.seen().remove(0).header("anthropic-beta").replace(' ', "");
    assert_eq!(betas, "context-1m-2025-08-07,files-api-2025-04-14");
}

#[tokio::test]
async fn a_token_is_sent_where_there_is_no_key() {
    let upstream = Upstream::says([Say::json(200, HELLO)]).await;
    let yaml = format!(
        "targets:\n  - virtual_key: anthropic\n    base_url: {}\n    options: {{ auth_token: sk-ant-oat-0123456789 }}\n",
        upstream.url
    );
    let gateway = TestGateway::configured(&yaml, &[]).await;
    assert_eq!(gateway.post(CHAT, ASK).await.status, 200);
    let seen = upstream.seen().remove(0);
    let headers = ["authorization", "x-api-key"].map(|name| seen.header(name));
    // an address without a path gets the row's
    assert_eq!((seen.path.as_str(), headers), ("/v1/messages", ["Bearer sk-ant-oat-0123456789", ""]));
}

#[tokio::test]
async fn a_text_completion_goes_through_its_chat() {
    let upstream = Upstream::says([Say::json(200, HELLO), stream(&[START, OPEN, TEXT, CLOSE, ENDS, STOP])]).await;
    let gateway = gateway(&upstream, "").await;
    let ask = format!(r#"{{"model":"{MODEL}","prompt":"hi"}}"#);
    let whole = gateway.post("/v1/completions", ask).await.json();
    assert_eq!((&whole["object"], &whole["choices"][0]["text"]), (&"text_completion".into(), &"Hello".into()));
    let streamed =
        gateway.post("/v1/completions", format!(r#"{{"model":"{MODEL}","prompt":"hi","stream":true}}"#)).await;
    assert!(streamed.body.contains(r#""text":"Hel\"lo""#) && streamed.is_done(), "{}", streamed.body);
}
