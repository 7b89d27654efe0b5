//! Bedrock behind the gateway: what it is sent, how that is authorised, and what callers get of what it says.

mod keys;

use serde_json::{Value, json};

use crate::support::{Say, TestGateway, Upstream, events};
use crate::wire::bedrock::{frame, frames};

const CHAT: &str = "/v1/chat/completions";
const CLAUDE: &str = "us.anthropic.claude-sonnet-4-5-20250929-v1:0";
const FIXED: &str = "access_key_id: AKIDEXAMPLE, secret_access_key: wJalrXUtnFEMI, session_token: SESSION";

const WHOLE: &str = r#"{"output":{"message":{"role":"assistant","content":[{"text":"Take \"Brest\"."}]}},"stopReason":"end_turn",
"usage":{"inputTokens":30,"outputTokens":8,"totalTokens":138,"cacheReadInputTokens":100,"cacheWriteInputTokens":0}}"#;

/// A stream of these events, each in a chunk of its own.
fn stream(script: &str) -> Say {
    Say::pieces("application/vnd.amazon.eventstream", script.lines().map(frames))
}

const HELLO: &str = r#"messageStart {"role":"assistant"}
contentBlockDelta {"contentBlockIndex":0,"delta":{"text":"Hello"}}
"#;
const END: &str = r#"contentBlockStop {"contentBlockIndex":0}
messageStop {"stopReason":"end_turn"}
metadata {"usage":{"inputTokens":5,"outputTokens":2,"totalTokens":7}}
"#;

fn target(name: &str, upstream: &Upstream, options: &str) -> String {
    format!(
        "  - virtual_key: {name}\n    provider: bedrock\n    base_url: {}\n    options: {{ region: eu-west-1, {options} }}\n",
        upstream.url
    )
}

async fn gateway(upstream: &Upstream, options: &str, env: &[(&str, &str)]) -> TestGateway {
    TestGateway::configured(&format!("targets:\n{}", target("aws", upstream, options)), env).await
}

fn ask(model: &str, stream: bool) -> String {
    json!({"model": model, "stream": stream, "messages": [{"role": "user", "content": "Which tide?"}]}).to_string()
}

#[tokio::test]
async fn a_chat_is_signed_and_goes_there_and_back() {
    let upstream = Upstream::says([Say::json(200, WHOLE)]).await;
    let gateway = gateway(&upstream, FIXED, &[]).await;
    let reply = gateway.post(CHAT, ask(CLAUDE, false)).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    let seen = upstream.seen().remove(0);
    assert_eq!(seen.path, "/model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse");
    assert_eq!(seen.json(), json!({"messages": [{"role": "user", "content": [{"text": "Which tide?"}]}]}));
    let signature = seen.header("authorization");
    let date = &seen.header("x-amz-date")[..8];
    let scope = format!("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/{date}/eu-west-1/bedrock/aws4_request, ");
    assert!(signature.starts_with(&scope), "{signature}");
    assert!(signature.contains("SignedHeaders=content-type;host;x-amz-date;x-amz-security-token, "), "{signature}");
    assert_eq!(seen.header("x-amz-security-token"), "SESSION");
    let answer = reply.json();
    assert_eq!(answer["choices"][0]["message"]["content"], "Take \"Brest\".");
    assert_eq!((&answer["usage"]["prompt_tokens"], &answer["usage"]["total_tokens"]), (&130.into(), &138.into()));
    assert!(answer["id"].as_str().unwrap().starts_with("chatcmpl-"));
}

#[tokio::test]
async fn a_model_may_be_an_arn_and_says_where_it_lives() {
    let upstream = Upstream::says([Say::json(200, WHOLE)]).await;
    let gateway = gateway(&upstream, FIXED, &[]).await;
    let arn = "arn:aws:bedrock:us-west-2:111122223333:application-inference-profile/ab12cd34ef56";
    assert_eq!(gateway.post(CHAT, ask(arn, false)).await.status, 200);
    let seen = upstream.seen().remove(0);
    let path =
        "/model/arn%3Aaws%3Abedrock%3Aus-west-2%3A111122223333%3Aapplication-inference-profile%2Fab12cd34ef56/converse";
    assert_eq!(seen.path, path);
    assert!(seen.header("authorization").contains("/us-west-2/bedrock/aws4_request"));
}

#[tokio::test]
async fn a_stream_becomes_openais_events() {
    let upstream = Upstream::says([stream(&format!("{HELLO}{END}"))]).await;
    let gateway = gateway(&upstream, "api_key: bedrock-key-0123456789", &[]).await;
    let reply = gateway.post(CHAT, ask(CLAUDE, true)).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    let seen = upstream.seen().remove(0);
    assert_eq!(seen.path, "/model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse-stream");
    assert_eq!(seen.header("authorization"), "Bearer bedrock-key-0123456789");
    assert_eq!((seen.header("accept"), seen.header("x-amz-date")), ("application/vnd.amazon.eventstream", ""));
    let frames = events(&reply.body);
    let chunks: Vec<Value> = frames[..3].iter().map(|frame| serde_json::from_str(frame).unwrap()).collect();
    assert_eq!(chunks[0]["choices"][0]["delta"], json!({"role": "assistant", "content": ""}));
    assert_eq!(chunks[1]["choices"][0]["delta"], json!({"content": "Hello"}));
    assert_eq!((&chunks[2]["choices"][0]["finish_reason"], frames[3]), (&"stop".into(), "[DONE]"));
    let metrics = gateway.get("/metrics").await.body;
    let counted = metrics.lines().find(|line| line.starts_with("gateway_tokens_input_total{")).unwrap_or_default();
    assert!(counted.ends_with(" 5"), "{counted}");
}

#[tokio::test]
async fn a_tool_loop_brings_its_thoughts_back_with_their_signatures() {
    let thinks = r#"messageStart {"role":"assistant"}
contentBlockDelta {"contentBlockIndex":0,"delta":{"reasoningContent":{"text":"Need the "}}}
contentBlockDelta {"contentBlockIndex":0,"delta":{"reasoningContent":{"text":"table."}}}
contentBlockDelta {"contentBlockIndex":0,"delta":{"reasoningContent":{"signature":"YnItc2ln"}}}
contentBlockStop {"contentBlockIndex":0}
contentBlockStart {"contentBlockIndex":1,"start":{"toolUse":{"toolUseId":"tooluse_1","name":"tide_table"}}}
contentBlockDelta {"contentBlockIndex":1,"delta":{"toolUse":{"input":"{\"port\":\"Brest\"}"}}}
contentBlockStop {"contentBlockIndex":1}
messageStop {"stopReason":"tool_use"}
metadata {"usage":{"inputTokens":5,"outputTokens":20,"totalTokens":25}}
"#;
    let upstream = Upstream::says([stream(thinks), Say::json(200, WHOLE)]).await;
    let gateway = gateway(&upstream, FIXED, &[]).await;
    let tool = json!({"type": "function", "function": {"name": "tide_table", "parameters": {"type": "object"}}});
    let mut ask = json!({"model": CLAUDE, "stream": true, "reasoning_effort": "low", "tools": [tool],
        "messages": [{"role": "user", "content": "Which tide?"}]});
    let reply = gateway.post(CHAT, ask.to_string()).await;
    // what a client makes of the pieces: lists appended, texts joined
    let mut message = json!({"role": "assistant", "content": "", "reasoning_details": [], "tool_calls": []});
    for chunk in events(&reply.body).iter().filter(|frame| **frame != "[DONE]") {
        let delta = serde_json::from_str::<Value>(chunk).unwrap()["choices"][0]["delta"].clone();
        let details = delta["reasoning_details"].as_array().cloned().unwrap_or_default();
        message["reasoning_details"].as_array_mut().unwrap().extend(details);
        for call in delta["tool_calls"].as_array().into_iter().flatten() {
            let calls = message["tool_calls"].as_array_mut().unwrap();
            match call.get("id") {
                Some(_) => calls.push(call.clone()),
                None => {
                    let known = calls[0]["function"]["arguments"].as_str().unwrap();
                    calls[0]["function"]["arguments"] =
                        format!("{known}{}", call["function"]["arguments"].as_str().unwrap()).into();
                }
            }
        }
    }
    let messages = ask["messages"].as_array_mut().unwrap();
    messages.push(message);
    messages.push(json!({"role": "tool", "tool_call_id": "tooluse_1", "content": "HW 06:12"}));
    ask["stream"] = false.into();
    let reply = gateway.post(CHAT, ask.to_string()).await;
    assert_eq!((reply.status, reply.header("x-ferro-warnings")), (200, ""), "{}", reply.body);
    let sent = upstream.seen().remove(1).json();
    let thought = json!({"reasoningContent": {"reasoningText": {"text": "Need the table.", "signature": "YnItc2ln"}}});
    let call = json!({"toolUse": {"toolUseId": "tooluse_1", "name": "tide_table", "input": {"port": "Brest"}}});
    assert_eq!(sent["messages"][1]["content"], json!([thought, call]));
    assert_eq!(sent["additionalModelRequestFields"]["thinking"], json!({"type": "enabled", "budget_tokens": 1024}));
}

#[tokio::test]
async fn failures_are_what_aws_calls_them() {
    let cases = [
        (403, "AccessDeniedException", "no access", (502, "upstream_auth_error")),
        (400, "ExpiredTokenException:http://internal.amazon.com/coral/", "expired", (502, "upstream_auth_error")),
        (400, "ValidationException", "malformed input request", (400, "invalid_request")),
        (400, "ValidationException", "Input is too long for requested model.", (400, "context_length_exceeded")),
        (400, "ValidationException", "The provided model identifier is invalid.", (404, "model_not_found")),
        (400, "ValidationException", "blocked by our content filtering policy", (400, "content_filter")),
        (404, "ResourceNotFoundException", "Model not found.", (404, "model_not_found")),
        (429, "ThrottlingException", "Too many requests, please wait.", (429, "rate_limit_exceeded")),
        (429, "ThrottlingException", "Too many tokens per day, please wait.", (429, "upstream_billing")),
        (429, "ModelNotReadyException", "The model is not ready.", (503, "upstream_overloaded")),
        (408, "ModelTimeoutException", "timed out", (504, "upstream_timeout")),
        (424, "ModelErrorException", "failed", (502, "upstream_error")),
        (400, "ServiceQuotaExceededException", "quota", (429, "rate_limit_exceeded")),
        (503, "ServiceUnavailableException", "later", (503, "upstream_overloaded")),
        (500, "InternalServerException", "oops", (502, "upstream_error")),
    ];
    for (status, name, message, expected) in cases {
        let body = json!({ "message": message }).to_string();
        let upstream = Upstream::says([Say::json(status, &body).header("x-amzn-errortype", name)]).await;
        let yaml = format!("targets:\n{}    retry: {{ attempts: 1 }}\n", target("aws", &upstream, FIXED));
        let gateway = TestGateway::configured(&yaml, &[]).await;
        let reply = gateway.post(CHAT, ask(CLAUDE, false)).await;
        assert_eq!((reply.status, reply.code().as_str()), expected, "{name} {message}: {}", reply.body);
    }
    let front = r#"{"Output":{"__type":"com.amazon.coral.service#UnknownOperationException"},"Version":"1.0"}"#;
    let upstream = Upstream::says([Say::json(200, front)]).await;
    let reply = gateway(&upstream, FIXED, &[]).await.post(CHAT, ask(CLAUDE, false)).await;
    assert_eq!((reply.status, reply.code().as_str()), (502, "upstream_error"), "{}", reply.body);
}

#[tokio::test]
async fn an_exception_in_front_of_a_stream_moves_to_the_next_target() {
    let busy = Upstream::says([stream(r#"!throttlingException {"message":"Slow down."}"#)]).await;
    let fine = Upstream::says([stream(&format!("{HELLO}{END}"))]).await;
    let targets = [target("one", &busy, FIXED), target("two", &fine, FIXED)];
    let retry = "    retry: { attempts: 1 }\n";
    let yaml = format!("strategy: {{ mode: fallback }}\ntargets:\n{}{retry}{}{retry}", targets[0], targets[1]);
    let gateway = TestGateway::configured(&yaml, &[]).await;
    let reply = gateway.post(CHAT, ask(CLAUDE, true)).await;
    assert_eq!((reply.status, reply.header("x-ferro-target")), (200, "two"), "{}", reply.body);
    assert!(reply.body.contains("Hello") && reply.is_done(), "{}", reply.body);
    assert_eq!((busy.seen().len(), fine.seen().len()), (1, 1));
}

#[tokio::test]
async fn an_exception_alone_has_its_status() {
    let upstream = Upstream::says([stream(r#"!validationException {"message":"Input is too long."}"#)]).await;
    let reply = gateway(&upstream, FIXED, &[]).await.post(CHAT, ask(CLAUDE, true)).await;
    assert_eq!((reply.status, reply.code().as_str()), (400, "context_length_exceeded"), "{}", reply.body);
}

#[tokio::test]
async fn what_breaks_inside_a_stream_ends_it_with_one_error() {
    let kind = "application/vnd.amazon.eventstream";
    let hello = frames(HELLO);
    let mut damaged = frames(END);
    damaged[40] ^= 1;
    let cut = frames(END)[..30].to_vec();
    let exception = frame("exception", "modelStreamErrorException", r#"{"message":"the model broke"}"#);
    for (rest, expected, words) in [
        (exception, "upstream_error", "the model broke"),
        (damaged, "upstream_error", "a broken event"),
        (cut, "upstream_stream_truncated", "before its answer was finished"),
        (Vec::new(), "upstream_stream_truncated", "before its answer was finished"),
    ] {
        let upstream = Upstream::says([Say::pieces(kind, [hello.clone(), rest])]).await;
        let reply = gateway(&upstream, FIXED, &[]).await.post(CHAT, ask(CLAUDE, true)).await;
        assert!(reply.status == 200 && reply.body.contains("Hello"), "{}", reply.body);
        let frames = events(&reply.body);
        let last: Value = serde_json::from_str(frames.last().unwrap()).unwrap();
        assert_eq!(last["error"]["code"], expected, "{}", reply.body);
        assert!(last["error"]["message"].as_str().unwrap().contains(words), "{}", reply.body);
        assert!(!reply.body.contains("[DONE]"), "{}", reply.body);
    }
}

#[tokio::test]
async fn embeddings_are_asked_for_one_by_one_where_the_model_takes_one() {
    let vector = |token: u8| Say::json(200, &format!(r#"{{"embedding":[{token}],"inputTextTokenCount":{token}}}"#));
    let upstream = Upstream::says([vector(1), vector(1), vector(1)]).await;
    let gateway = gateway(&upstream, FIXED, &[]).await;
    let ask = r#"{"model":"amazon.titan-embed-text-v2:0","input":["a","b","c"],"encoding_format":"base64"}"#;
    let reply = gateway.post("/v1/embeddings", ask).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    let answer = reply.json();
    assert_eq!(answer["data"].as_array().unwrap().len(), 3);
    assert_eq!((&answer["data"][2]["index"], &answer["data"][2]["embedding"]), (&2.into(), &"AACAPw==".into()));
    assert_eq!(answer["usage"]["prompt_tokens"], 3);
    let seen = upstream.seen();
    assert_eq!(seen[0].path, "/model/amazon.titan-embed-text-v2%3A0/invoke");
    let mut texts: Vec<String> =
        seen.iter().map(|seen| seen.json()["inputText"].as_str().unwrap().to_owned()).collect();
    texts.sort();
    assert_eq!(texts, ["a", "b", "c"]);
}

#[tokio::test]
async fn what_converse_has_no_word_for_is_reported() {
    let upstream = Upstream::says([Say::json(200, WHOLE)]).await;
    let gateway = gateway(&upstream, FIXED, &[]).await;
    let ask = json!({"model": CLAUDE, "seed": 7, "n": 1, "temperature": 1.5, "messages": [{"role": "user", "content": "hi"}]});
    let reply = gateway.post(CHAT, ask.to_string()).await;
    let named = "param=seed;provider=bedrock;action=dropped, param=temperature;provider=bedrock;action=clamped";
    assert_eq!((reply.status, reply.header("x-ferro-warnings")), (200, named), "{}", reply.body);
    let image = json!({"type": "image_url", "image_url": {"url": "https://example.com/a.png"}});
    let ask = json!({"model": CLAUDE, "messages": [{"role": "user", "content": [image]}]});
    let reply = gateway.post(CHAT, ask.to_string()).await;
    assert_eq!((reply.status, reply.code().as_str()), (400, "media_not_fetched"), "{}", reply.body);
}

#[tokio::test]
async fn a_target_says_what_hides_behind_an_arn_and_what_guards_it() {
    let upstream = Upstream::says([Say::json(200, WHOLE)]).await;
    let options = format!("{FIXED}, base_model: '{CLAUDE}', guardrail: gr1, guardrail_version: '3'");
    let gateway = gateway(&upstream, &options, &[]).await;
    let arn = "arn:aws:bedrock:eu-west-1:111122223333:application-inference-profile/ab12cd34ef56";
    let ask = json!({"model": arn, "reasoning_effort": "low", "messages": [{"role": "user", "content": "hi"}]});
    let reply = gateway.post(CHAT, ask.to_string()).await;
    assert_eq!((reply.status, reply.header("x-ferro-warnings")), (200, ""), "{}", reply.body);
    let sent = upstream.seen().remove(0).json();
    assert_eq!(sent["additionalModelRequestFields"]["thinking"]["budget_tokens"], 1024);
    assert_eq!(sent["guardrailConfig"], json!({"guardrailIdentifier": "gr1", "guardrailVersion": "3"}));
}

#[tokio::test]
async fn a_geography_can_be_put_before_foundation_models() {
    let upstream = Upstream::says([Say::json(200, WHOLE)]).await;
    let gateway = gateway(&upstream, &format!("{FIXED}, auto_profile: eu"), &[]).await;
    for model in ["anthropic.claude-haiku-4-5-20251001-v1:0", "eu.anthropic.claude-haiku-4-5-20251001-v1:0"] {
        assert_eq!(gateway.post(CHAT, ask(model, false)).await.status, 200);
        let path = "/model/eu.anthropic.claude-haiku-4-5-20251001-v1%3A0/converse";
        assert_eq!(upstream.seen().remove(0).path, path);
    }
}

#[tokio::test]
async fn images_and_rankings_are_asked_for_in_their_vendors_words() {
    let upstream = Upstream::says([
        Say::json(200, r#"{"images":["QUJD"]}"#),
        Say::json(200, r#"{"results":[{"index":1,"relevance_score":0.2},{"index":0,"relevance_score":0.9}]}"#),
    ])
    .await;
    let gateway = gateway(&upstream, FIXED, &[]).await;
    let ask = r#"{"model":"amazon.nova-canvas-v1:0","prompt":"a boat","n":1,"size":"512x512"}"#;
    let reply = gateway.post("/v1/images/generations", ask).await;
    assert_eq!((reply.status, &reply.json()["data"][0]["b64_json"]), (200, &"QUJD".into()), "{}", reply.body);
    let ask = r#"{"model":"cohere.rerank-v3-5:0","query":"tide?","documents":["ebb",{"text":"flood"}],"top_n":2}"#;
    let reply = gateway.post("/v1/rerank", ask).await;
    assert_eq!((reply.status, &reply.json()["results"][0]["index"]), (200, &0.into()), "{}", reply.body);
    let seen = upstream.seen();
    assert_eq!(seen[0].path, "/model/amazon.nova-canvas-v1%3A0/invoke");
    assert_eq!(seen[0].json()["imageGenerationConfig"]["width"], 512);
    assert_eq!(seen[1].path, "/model/cohere.rerank-v3-5%3A0/invoke");
    let sent = json!({"query": "tide?", "documents": ["ebb", "flood"], "top_n": 2, "api_version": 2});
    assert_eq!(seen[1].json(), sent);
}
