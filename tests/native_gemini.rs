//! Gemini behind the gateway: what it is sent, and what callers get of what it says.

use serde_json::{Value, json};

use crate::support::{ASK, ASK_STREAM, Say, TestGateway, Upstream, events};

const CHAT: &str = "/v1/chat/completions";
const EMBED: &str = "/v1/embeddings";

async fn gateway(upstream: &Upstream, more: &str) -> TestGateway {
    let target = format!(
        "targets:\n  - virtual_key: gemini\n    base_url: {}\n    api_key: AIza-test-0123456789\n    models: [m, gemini-3-flash]\n{more}",
        upstream.url
    );
    TestGateway::configured(&target, &[]).await
}

fn text(text: &str) -> String {
    json!({"candidates": [{"content": {"role": "model", "parts": [{"text": text}]}}], "responseId": "r-1"}).to_string()
}

const END: &str = r#"{"candidates":[{"content":{"parts":[{"text":""}]},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":5,"candidatesTokenCount":2,"totalTokenCount":7}}"#;

fn whole(text: &str) -> Say {
    let parts = json!([{"text": text}]);
    let candidate = json!({"content": {"role": "model", "parts": parts}, "finishReason": "STOP", "index": 0});
    let usage = json!({"promptTokenCount": 5, "candidatesTokenCount": 2, "totalTokenCount": 7});
    Say::json(200, &json!({"candidates": [candidate], "usageMetadata": usage}).to_string())
}

#[tokio::test]
async fn a_tool_loop_keeps_the_signatures_of_thoughts() {
    let call = json!({"functionCall": {"id": "fc-1", "name": "tide", "args": {"port": "Brest"}}, "thoughtSignature": "c2lnbmVk"});
    let first = json!({"candidates": [{"content": {"role": "model", "parts": [
        {"text": "A port.", "thought": true}, call, {"functionCall": {"id": "fc-2", "name": "tide"}}]}, "finishReason": "STOP"}]});
    let upstream = Upstream::says([Say::json(200, &format!("{first:#}")), whole("06:12")]).await;
    let gateway = gateway(&upstream, "").await;
    let tools = json!([{"type": "function", "function": {"name": "tide"}}]);
    let question = json!({"role": "user", "content": "Tides?"});
    let ask = json!({"model": "gemini-3-flash", "messages": [question], "tools": tools});
    let reply = gateway.post(CHAT, ask.to_string()).await.json();
    let choice = &reply["choices"][0];
    assert_eq!((&choice["finish_reason"], &choice["message"]["content"]), (&json!("tool_calls"), &Value::Null));
    let result = |id: &str, said: &str| json!({"role": "tool", "tool_call_id": id, "content": said});
    let messages = json!([question, choice["message"], result("fc-2", "none"), result("fc-1", "06:12")]);
    let ask = json!({"model": "gemini-3-flash", "messages": messages, "tools": tools});
    let reply = gateway.post(CHAT, ask.to_string()).await;
    assert_eq!((reply.status, reply.header("x-ferro-warnings")), (200, ""), "{}", reply.body);
    assert_eq!(reply.json()["choices"][0]["message"]["content"], "06:12");
    let seen = upstream.seen();
    assert_eq!(seen[1].path, "/v1beta/models/gemini-3-flash:generateContent");
    assert_eq!((seen[1].header("x-goog-api-key"), seen[1].header("authorization")), ("AIza-test-0123456789", ""));
    let contents = &seen[1].json()["contents"];
    let replayed = [&contents[1]["parts"][0], &contents[1]["parts"][1]["functionCall"]["id"]];
    assert_eq!(replayed, [&call, &json!("fc-2")]);
    let results: Vec<_> = (0..2).map(|at| contents[2]["parts"][at]["functionResponse"]["id"].clone()).collect();
    assert_eq!(results, ["fc-1", "fc-2"], "results stand in the order of their calls");
}

#[tokio::test]
async fn a_caller_that_keeps_only_calls_goes_on_with_their_signatures() {
    let call = json!({"functionCall": {"id": "fc-1", "name": "tide"}, "thoughtSignature": "c2lnbmVk"});
    let first = json!({"candidates": [{"content": {"role": "model", "parts": [call]}, "finishReason": "STOP"}]});
    let upstream = Upstream::says([Say::json(200, &first.to_string()), whole("06:12")]).await;
    let gateway = gateway(&upstream, "").await;
    let tools = json!([{"type": "function", "function": {"name": "tide"}}]);
    let question = json!({"role": "user", "content": "Tides?"});
    let ask = json!({"model": "gemini-3-flash", "messages": [question], "tools": tools});
    let reply = gateway.post(CHAT, ask.to_string()).await.json();
    let mut kept = reply["choices"][0]["message"]["tool_calls"].clone();
    kept[0].as_object_mut().unwrap().remove("extra_content").unwrap();
    let result = json!({"role": "tool", "tool_call_id": "fc-1", "content": "06:12"});
    let messages = json!([question, {"role": "assistant", "content": "", "tool_calls": kept}, result]);
    let ask = json!({"model": "gemini-3-flash", "messages": messages, "tools": tools});
    assert_eq!(gateway.post(CHAT, ask.to_string()).await.status, 200);
    assert_eq!(upstream.seen()[1].json()["contents"][1]["parts"][0]["thoughtSignature"], "c2lnbmVk");
}

#[tokio::test]
async fn a_stream_is_openais() {
    let upstream = Upstream::says([Say::events([text("Hel"), text("lo"), END.to_owned()])]).await;
    let gateway = gateway(&upstream, "").await;
    let reply = gateway.stream().await;
    assert_eq!((reply.status, reply.header("content-type")), (200, "text/event-stream"));
    let frames = events(&reply.body);
    let chunks: Vec<Value> =
        frames[..frames.len() - 1].iter().map(|data| serde_json::from_str(data).unwrap()).collect();
    let said: String = chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str()).collect();
    assert_eq!((said.as_str(), frames[frames.len() - 1], chunks.len()), ("Hello", "[DONE]", 4));
    assert_eq!(chunks[3]["choices"][0]["finish_reason"], "stop");
    assert!(chunks.iter().all(|chunk| chunk["id"] == "r-1" && chunk["object"] == "chat.completion.chunk"));
    let seen = upstream.seen().remove(0);
    assert_eq!(seen.path, "/v1beta/models/m:streamGenerateContent?alt=sse");
    assert_eq!((&seen.json()["stream"], seen.header("accept")), (&Value::Null, "text/event-stream"));
    let asked = ASK_STREAM.replace("\"stream\":true", r#""stream":true,"stream_options":{"include_usage":true}"#);
    let reply = gateway.post(CHAT, asked).await;
    let frames = events(&reply.body);
    let usage: Value = serde_json::from_str(frames[frames.len() - 2]).unwrap();
    assert_eq!((&usage["choices"], &usage["usage"]["total_tokens"]), (&json!([]), &json!(7)));
}

fn error(code: u16, status: &str, message: &str) -> String {
    json!({"error": {"code": code, "status": status, "message": message}}).to_string()
}

#[tokio::test]
async fn its_errors_are_told_as_openais() {
    let check = async |status: u16, body: &str, expected: (u16, &str, &str)| {
        let upstream = Upstream::says([Say::json(status, body)]).await;
        let reply = gateway(&upstream, "    retry: { attempts: 1 }\n").await.chat().await;
        let found = (reply.status, reply.json()["error"]["code"].clone(), reply.header("retry-after").to_owned());
        assert_eq!(found, (expected.0, json!(expected.1), expected.2.to_owned()), "{body}: {}", reply.body);
    };
    let invalid = error(400, "INVALID_ARGUMENT", "Unknown name \"x\"");
    check(400, &invalid, (400, "invalid_request", "")).await;
    let key = error(400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key.");
    check(400, &key, (502, "upstream_auth_error", "")).await;
    check(400, &format!("[{key}]"), (502, "upstream_auth_error", "")).await;
    let region = error(400, "FAILED_PRECONDITION", "User location is not supported for the API use.");
    check(400, &region, (502, "upstream_auth_error", "")).await;
    let long = error(400, "INVALID_ARGUMENT", "The input token count (2000000) exceeds the maximum number of tokens");
    check(400, &long, (400, "context_length_exceeded", "")).await;
    check(401, &error(401, "UNAUTHENTICATED", "no"), (502, "upstream_auth_error", "")).await;
    check(403, &error(403, "PERMISSION_DENIED", "no"), (502, "upstream_auth_error", "")).await;
    check(404, &error(404, "NOT_FOUND", "models/m is not found"), (404, "model_not_found", "")).await;
    let info = json!({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "36.2s"});
    let quota = json!({"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "Quota.", "details": [info]}});
    check(429, &quota.to_string(), (429, "rate_limit_exceeded", "37")).await;
    check(500, &error(500, "INTERNAL", "oops"), (502, "upstream_error", "")).await;
    check(503, &error(503, "UNAVAILABLE", "The model is overloaded."), (503, "upstream_overloaded", "1")).await;
    check(504, &error(504, "DEADLINE_EXCEEDED", "late"), (504, "upstream_timeout", "")).await;
    check(200, &error(503, "UNAVAILABLE", "overloaded"), (503, "upstream_overloaded", "1")).await;
    check(200, "{}", (502, "upstream_error", "")).await;
}

#[tokio::test]
async fn a_prompt_that_is_refused_is_an_answer_that_says_so() {
    let blocked =
        r#"{"promptFeedback":{"blockReason":"SAFETY"},"usageMetadata":{"promptTokenCount":8,"totalTokenCount":8}}"#;
    let upstream = Upstream::says([Say::json(200, blocked), Say::events([blocked])]).await;
    let gateway = gateway(&upstream, "").await;
    let reply = gateway.chat().await;
    let choice = &reply.json()["choices"][0];
    assert_eq!((reply.status, &choice["finish_reason"]), (200, &json!("content_filter")));
    assert_eq!((&choice["native_finish_reason"], &choice["message"]["content"]), (&json!("SAFETY"), &Value::Null));
    assert!(choice["message"]["refusal"].is_string());
    let reply = gateway.stream().await;
    assert_eq!(reply.status, 200);
    assert!(reply.body.contains(r#""finish_reason":"content_filter""#) && reply.is_done());
}

#[tokio::test]
async fn a_model_that_only_makes_a_mistake_is_asked_again() {
    let mistake = r#"{"candidates":[{"finishReason":"MALFORMED_FUNCTION_CALL","index":0}]}"#;
    let retry = "    retry: { attempts: 2, initial_backoff_ms: 1 }\n";
    let upstream = Upstream::says([Say::json(200, mistake), whole("better")]).await;
    let reply = gateway(&upstream, retry).await.chat().await;
    assert_eq!((reply.status, upstream.seen().len()), (200, 2), "{}", reply.body);
    let upstream = Upstream::says([Say::events([mistake]), Say::events([&text("better"), END])]).await;
    let reply = gateway(&upstream, retry).await.stream().await;
    assert_eq!((reply.status, upstream.seen().len()), (200, 2), "{}", reply.body);
}

#[tokio::test]
async fn a_stream_that_fails_in_the_middle_says_so_and_does_not_pretend_to_be_done() {
    let overloaded = error(503, "UNAVAILABLE", "The model is overloaded.");
    let check = async |say: Say, code: &str| {
        let upstream = Upstream::says([say]).await;
        let reply = gateway(&upstream, "").await.stream().await;
        let frames = events(&reply.body);
        let last: Value = serde_json::from_str(frames[frames.len() - 1]).unwrap();
        assert_eq!((reply.status, &last["error"]["code"]), (200, &json!(code)), "{}", reply.body);
        assert!(reply.body.contains("\"content\":\"Hel\"") && !reply.body.contains("[DONE]"), "{}", reply.body);
    };
    check(Say::events([text("Hel"), overloaded.clone()]), "upstream_error").await;
    check(Say::raw_events([format!("data: {}\n\n", text("Hel")), format!(",{overloaded}\n]")]), "upstream_error").await;
    check(Say::events([text("Hel")]), "upstream_stream_truncated").await;
    check(Say::events([text("Hel"), END.to_owned()[..40].to_owned()]).cut(), "upstream_error").await;
    check(Say::events([text("Hel")]).cut(), "upstream_stream_truncated").await;
}

#[tokio::test]
async fn a_stream_that_fails_before_its_first_word_has_a_true_status() {
    let upstream = Upstream::says([Say::events([error(429, "RESOURCE_EXHAUSTED", "Quota.")])]).await;
    let reply = gateway(&upstream, "    retry: { attempts: 1 }\n").await.stream().await;
    assert_eq!((reply.status, reply.code().as_str()), (429, "rate_limit_exceeded"), "{}", reply.body);
}

#[tokio::test]
async fn what_it_cannot_do_is_named_or_refused() {
    let upstream = Upstream::says([whole("hi")]).await;
    let ask = ASK.replace("{\"model\"", r#"{"logit_bias":{"1":2},"n":1,"seed":3,"model""#);
    let reply = gateway(&upstream, "").await.post(CHAT, ask.clone()).await;
    let named = "param=logit_bias;provider=gemini;action=dropped";
    assert_eq!((reply.status, reply.header("x-ferro-warnings")), (200, named), "{}", reply.body);
    assert_eq!(upstream.seen().remove(0).json()["generationConfig"]["seed"], 3);
    let strict = gateway(&upstream, "compatibility: { on_unsupported_param: reject }\n").await;
    let reply = strict.post(CHAT, ask).await;
    assert_eq!((reply.status, &reply.json()["error"]["param"]), (400, &json!("logit_bias")), "{}", reply.body);
    let image = json!([{"type": "image_url", "image_url": {"url": "http://a.example/x.png"}}]);
    let ask = json!({"model": "m", "messages": [{"role": "user", "content": image}]});
    let reply = strict.post(CHAT, ask.to_string()).await;
    let found = (reply.status, reply.json()["error"]["param"].clone());
    assert_eq!(found, (400, json!("messages[0].content[0]")), "{}", reply.body);
    assert!(upstream.seen().is_empty());
}

#[tokio::test]
async fn many_texts_are_embedded_a_hundred_at_a_time_and_come_as_base64_if_asked() {
    let vectors = |count: usize, first: f32| {
        let vectors: Vec<Value> =
            (0..count).map(|at| json!({"values": [if at == 0 { first } else { 1.0 }, 0.0]})).collect();
        Say::json(200, &json!({"embeddings": vectors, "usageMetadata": {"promptTokenCount": count}}).to_string())
    };
    let upstream = Upstream::says([vectors(100, 1.0), vectors(20, 1.0), vectors(1, 1.0)]).await;
    let gateway = gateway(&upstream, "").await;
    let texts: Vec<String> = (0..120).map(|at| format!("text {at}")).collect();
    let ask = json!({"model": "m", "input": texts, "dimensions": 2});
    let reply = gateway.post(EMBED, ask.to_string()).await;
    let answer = reply.json();
    assert_eq!((reply.status, answer["data"].as_array().map(Vec::len)), (200, Some(120)), "{}", reply.body);
    assert_eq!((&answer["data"][119]["index"], &answer["usage"]["total_tokens"]), (&json!(119), &json!(120)));
    let seen = upstream.seen();
    assert_eq!((seen.len(), seen[0].path.as_str()), (2, "/v1beta/models/m:batchEmbedContents"));
    assert_eq!(seen[0].json()["requests"][0]["outputDimensionality"], 2);
    let reply = gateway.post(EMBED, r#"{"model":"m","input":"hi","encoding_format":"base64"}"#).await;
    assert_eq!((reply.status, &reply.json()["data"][0]["embedding"]), (200, &json!("AACAPwAAAAA=")), "{}", reply.body);
}

#[tokio::test]
async fn its_models_are_discovered_by_their_bare_names() {
    let list = r#"{"models":[{"name":"models/gemini-3-pro","supportedGenerationMethods":["generateContent"]}]}"#;
    let upstream = Upstream::says([Say::json(200, list)]).await;
    let yaml = format!("targets:\n  - virtual_key: gemini\n    base_url: {}\n    api_key: AIza-1\n", upstream.url);
    let gateway = TestGateway::configured(&yaml, &[("FERRO_MODEL_DISCOVERY_INTERVAL", "1h")]).await;
    while gateway.get("/v1/models").await.json()["data"][0]["id"] != "gemini-3-pro" {}
    let seen = upstream.seen().remove(0);
    assert_eq!((seen.path.as_str(), seen.header("x-goog-api-key")), ("/v1beta/models?pageSize=1000", "AIza-1"));
}

#[tokio::test]
async fn a_text_completion_is_a_chat_there() {
    let upstream = Upstream::says([whole("and found")]).await;
    let reply = gateway(&upstream, "").await.post("/v1/completions", r#"{"model":"m","prompt":"Lost"}"#).await;
    assert_eq!((reply.status, &reply.json()["choices"][0]["text"]), (200, &json!("and found")), "{}", reply.body);
}

#[tokio::test]
async fn who_asks_with_functions_is_answered_with_a_function_call() {
    let call = json!({"functionCall": {"id": "fc-1", "name": "tide", "args": {"port": "Brest"}}});
    let told = json!({"candidates": [{"content": {"role": "model", "parts": [call]}, "finishReason": "STOP"}]});
    let upstream = Upstream::says([Say::json(200, &told.to_string()), Say::events([told.to_string()])]).await;
    let gateway = gateway(&upstream, "").await;
    let ask = |stream: bool| {
        let question = json!({"role": "user", "content": "Tides?"});
        let functions = json!([{"name": "tide", "parameters": {"type": "object"}}]);
        json!({"model": "gemini-3-flash", "stream": stream, "messages": [question], "functions": functions}).to_string()
    };
    let function = json!({"name": "tide", "arguments": "{\"port\":\"Brest\"}"});
    let whole = gateway.post(CHAT, ask(false)).await.json()["choices"][0].clone();
    assert_eq!((&whole["message"]["function_call"], &whole["message"]["tool_calls"]), (&function, &Value::Null));
    assert_eq!(whole["finish_reason"], "function_call");
    let streamed = gateway.post(CHAT, ask(true)).await;
    let events: Vec<Value> =
        events(&streamed.body).iter().filter_map(|event| serde_json::from_str(event).ok()).collect();
    let seen = |member: &str| events.iter().any(|event| event["choices"][0]["delta"][member] == function);
    assert!(seen("function_call") && !streamed.body.contains("tool_calls"), "{}", streamed.body);
}
