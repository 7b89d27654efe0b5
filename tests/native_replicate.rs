//! Replicate over sockets: predictions that are waited for, asked about, listened to, cancelled, and that fail.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::upstream::Seen;
use crate::support::{Reply, Say, TestGateway, Upstream, events, target};

const CHAT: &str = "/v1/chat/completions";
const ASK: &str = r#"{"model":"meta/llama","max_tokens":9,"messages":[{"role":"user","content":"hi"}]}"#;
const ASK_STREAM: &str = r#"{"model":"meta/llama","stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"hi"}]}"#;
const CANCEL: &str = "/v1/predictions/p1/cancel";

/// A gateway whose only target is Replicate, at an upstream that has nothing to say yet.
async fn gateway(each: &str, top: &str) -> (TestGateway, Upstream) {
    let upstream = Upstream::says([]).await;
    let target = target("r", "replicate", &upstream, "meta/llama", each);
    (TestGateway::configured(&format!("targets:\n{target}{top}"), &[]).await, upstream)
}

/// What the API says of the model.
fn described() -> Say {
    let inputs = json!({"prompt": {"type": "string"}, "max_tokens": {"type": "integer"}, "seed": {"type": "integer"}});
    let schema = json!({"components": {"schemas": {"Input": {"properties": inputs}}}});
    Say::json(200, &json!({"owner": "meta", "latest_version": {"id": "v1", "openapi_schema": schema}}).to_string())
}

/// A prediction at this upstream, with more members.
fn prediction(upstream: &Upstream, status: &str, more: Value) -> Say {
    let root = format!("{}/v1/predictions/p1", upstream.url);
    let mut said = json!({
        "id": "p1", "model": "meta/llama", "status": status, "output": null, "error": null,
        "urls": {"get": root, "cancel": format!("{root}/cancel"), "stream": format!("{}/stream/p1", upstream.url)},
    });
    said.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    Say::json(201, &said.to_string())
}

fn succeeded(upstream: &Upstream) -> Say {
    let metrics = json!({"input_token_count": 12, "output_token_count": 6, "predict_time": 0.4});
    prediction(upstream, "succeeded", json!({"output": ["High ", "water"], "metrics": metrics}))
}

fn paths(seen: &[Seen]) -> Vec<String> {
    seen.iter().map(|seen| format!("{} {}", seen.method, seen.path)).collect()
}

fn error(reply: &Reply) -> (u16, String, String) {
    let error = reply.json()["error"].clone();
    (reply.status, error["code"].as_str().unwrap().to_owned(), error["message"].as_str().unwrap().to_owned())
}

fn frame(event: &str, data: &str) -> String {
    format!("event: {event}\nid: 1:0\ndata: {data}\n\n")
}

#[tokio::test]
async fn a_prediction_that_is_ready_at_once_is_the_answer() {
    let (gateway, upstream) = gateway("", "").await;
    upstream.tell([described(), succeeded(&upstream)]);
    let reply = gateway.post(CHAT, ASK).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    let answer = reply.json();
    assert_eq!((&answer["id"], &answer["model"]), (&"p1".into(), &"meta/llama".into()));
    assert_eq!(answer["choices"][0]["message"]["content"], "High water");
    assert_eq!(answer["usage"], json!({"prompt_tokens": 12, "completion_tokens": 6, "total_tokens": 18}));
    let seen = upstream.seen();
    assert_eq!(paths(&seen), ["GET /v1/models/meta/llama", "POST /v1/models/meta/llama/predictions"]);
    assert_eq!(seen[1].json(), json!({"input": {"prompt": "hi", "max_tokens": 9}}));
    let headers = ["prefer", "cancel-after", "authorization", "accept"].map(|name| seen[1].header(name));
    assert_eq!(headers, ["wait=60", "1800s", "Bearer sk-test-r-0123456789", "application/json"]);
    assert_eq!(seen[0].header("authorization"), "Bearer sk-test-r-0123456789");
    // what the model takes is asked for once
    assert_eq!(gateway.post(CHAT, ASK).await.status, 200);
    assert_eq!(paths(&upstream.seen()), ["POST /v1/models/meta/llama/predictions"]);
}

#[tokio::test]
async fn a_prediction_that_takes_longer_is_asked_about_until_it_has_ended() {
    let (gateway, upstream) = gateway("", "").await;
    let running = |status: &str| prediction(&upstream, status, json!({"output": ["Hi"]}));
    let busy = Say::json(503, r#"{"title":"Service unavailable","status":503}"#);
    upstream.tell([described(), running("starting"), busy, running("processing"), succeeded(&upstream)]);
    let reply = gateway.post(CHAT, ASK).await;
    assert_eq!((reply.status, &reply.json()["choices"][0]["message"]["content"]), (200, &"High water".into()));
    let seen = upstream.seen();
    assert_eq!(paths(&seen)[2..], ["GET /v1/predictions/p1"; 3]);
    assert_eq!(seen[4].header("authorization"), "Bearer sk-test-r-0123456789");
}

#[tokio::test]
async fn a_prediction_is_listened_to_and_then_asked_what_it_cost() {
    let (gateway, upstream) = gateway("", "").await;
    let said = [
        frame("output", "High water"),
        frame("logs", "x"),
        frame("output", " is at 06:12.\ndata: "),
        frame("done", "{}"),
    ];
    upstream.tell([
        described(),
        prediction(&upstream, "starting", json!({})),
        Say::raw_events(said),
        succeeded(&upstream),
    ]);
    let reply = gateway.post(CHAT, ASK_STREAM).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    let told = events(&reply.body);
    let text: String =
        told.iter().filter_map(|event| serde_json::from_str::<Value>(event).ok()).fold(String::new(), |text, event| {
            assert_eq!((&event["id"], &event["object"]), (&"p1".into(), &"chat.completion.chunk".into()));
            text + event["choices"][0]["delta"]["content"].as_str().unwrap_or_default()
        });
    assert_eq!(text, "High water is at 06:12.\n");
    let [.., finish, usage, end] = told.as_slice() else { panic!("{}", reply.body) };
    assert!(finish.contains(r#""finish_reason":"stop""#) && usage.contains(r#""total_tokens":18"#), "{}", reply.body);
    assert_eq!(*end, "[DONE]");
    let seen = upstream.seen();
    assert_eq!(
        paths(&seen)[1..],
        ["POST /v1/models/meta/llama/predictions", "GET /stream/p1", "GET /v1/predictions/p1"]
    );
    assert_eq!(
        (&seen[1].json()["stream"], seen[1].header("prefer"), seen[1].header("cancel-after")),
        (&true.into(), "", "")
    );
    let headers = ["accept", "cache-control", "authorization"].map(|name| seen[2].header(name));
    assert_eq!(headers, ["text/event-stream", "no-store", "Bearer sk-test-r-0123456789"]);
}

#[tokio::test]
async fn a_prediction_that_cannot_be_listened_to_is_waited_for_and_told_as_events() {
    let (gateway, upstream) = gateway("", "").await;
    let mute = json!({"urls": {"get": format!("{}/v1/predictions/p1", upstream.url)}});
    upstream.tell([described(), prediction(&upstream, "starting", mute), succeeded(&upstream)]);
    let reply = gateway.post(CHAT, ASK_STREAM).await;
    assert!(reply.body.contains(r#""content":"High water""#) && reply.is_done(), "{}", reply.body);
    // the same if nothing is to be heard where it should be
    upstream.seen();
    let deaf = Say::json(410, r#"{"detail":"gone"}"#);
    upstream.tell([prediction(&upstream, "starting", json!({})), deaf, succeeded(&upstream)]);
    gateway.post(CHAT, ASK_STREAM).await;
    let reply = gateway.post(CHAT, ASK_STREAM).await;
    assert!(reply.body.contains(r#""content":"High water""#), "{}", reply.body);
}

#[tokio::test]
async fn who_leaves_a_stream_cancels_its_prediction() {
    let (gateway, upstream) = gateway("", "").await;
    let words = Say::raw_events([frame("output", "High")]).hang();
    upstream.tell([described(), prediction(&upstream, "starting", json!({})), words, Say::json(200, "{}")]);
    let mut response = gateway.request(CHAT, ASK_STREAM).send().await.unwrap();
    assert!(response.chunk().await.unwrap().is_some());
    drop(response);
    let seen = upstream.until(CANCEL).await;
    let cancel = seen.last().unwrap();
    assert_eq!((cancel.method.as_str(), cancel.header("authorization")), ("POST", "Bearer sk-test-r-0123456789"));
}

#[tokio::test]
async fn who_leaves_while_a_prediction_is_made_or_runs_cancels_it() {
    let (gateway, upstream) = gateway("", "").await;
    // it runs, and is asked about
    let running = || prediction(&upstream, "processing", json!({}));
    upstream.tell([described(), running(), running()]);
    let asking = tokio::spawn(gateway.request(CHAT, ASK).send());
    upstream.until("/v1/predictions/p1").await;
    asking.abort();
    upstream.until(CANCEL).await;
    // it is being made
    let (gateway, upstream) = self::gateway("", "").await;
    upstream.tell([
        described(),
        prediction(&upstream, "starting", json!({})).late(Duration::from_millis(200)),
        Say::json(200, "{}"),
    ]);
    let asking = tokio::spawn(gateway.request(CHAT, ASK).send());
    upstream.until("/v1/models/meta/llama/predictions").await;
    asking.abort();
    upstream.until(CANCEL).await;
}

#[tokio::test]
async fn a_prediction_that_takes_too_long_is_cancelled() {
    let (gateway, upstream) = gateway("    timeouts: { total: 300ms }\n    retry: { attempts: 1 }\n", "").await;
    upstream.tell([described(), prediction(&upstream, "processing", json!({}))]);
    let reply = gateway.post(CHAT, ASK).await;
    assert_eq!((reply.status, reply.code().as_str()), (504, "upstream_timeout"), "{}", reply.body);
    let seen = upstream.until(CANCEL).await;
    assert_eq!(seen[1].header("cancel-after"), "5s");
}

#[tokio::test]
async fn a_failed_prediction_says_why_and_another_target_is_asked() {
    let (gateway, upstream) = gateway("    retry: { attempts: 1 }\n", "").await;
    let failed = |why: &str| prediction(&upstream, "failed", json!({"error": why, "logs": "…"}));
    let check = async |say: Say, expected: (u16, &str, &str)| {
        upstream.tell([say]);
        let (status, code, message) = error(&gateway.post(CHAT, ASK).await);
        assert_eq!((status, code.as_str()), (expected.0, expected.1), "{message}");
        assert!(message.contains(expected.2), "{message}");
        assert!(!paths(&upstream.seen()).iter().any(|path| path.contains("cancel")));
        upstream.forget();
    };
    upstream.tell([described()]);
    check(failed("CUDA out of memory"), (502, "upstream_error", "CUDA out of memory")).await;
    check(failed("NSFW content detected"), (400, "content_filter", "NSFW")).await;
    check(failed("The input was flagged as sensitive. (E005)"), (400, "content_filter", "E005")).await;
    check(failed("Invalid input (E006)"), (400, "invalid_request", "E006")).await;
    check(prediction(&upstream, "canceled", json!({})), (502, "upstream_error", "`canceled`")).await;

    let (down, up) = (Upstream::says([described()]).await, Upstream::says([Say::text("2")]).await);
    down.tell([failed("CUDA out of memory")]);
    let targets = target("r", "replicate", &down, "meta/llama", "    retry: { attempts: 1 }\n");
    let targets = targets + &target("o", "openai", &up, "meta/llama", "");
    let gateway = TestGateway::configured(&format!("strategy: {{ mode: fallback }}\ntargets:\n{targets}"), &[]).await;
    let reply = gateway.post(CHAT, ASK).await;
    assert_eq!((reply.status, reply.header("x-ferro-target")), (200, "o"), "{}", reply.body);
}

#[tokio::test]
async fn a_stream_that_breaks_ends_with_an_error_and_cancels() {
    let (gateway, upstream) = gateway("    retry: { attempts: 1 }\n", "").await;
    let check = async |say: Say, code: &str, cancels: bool| {
        // what follows the first word in the same read is still before it
        let say = say.paced(Duration::from_millis(150));
        upstream.tell([prediction(&upstream, "starting", json!({})), say, Say::json(200, "{}")]);
        let reply = gateway.post(CHAT, ASK_STREAM).await;
        assert_eq!(reply.status, 200, "{}", reply.body);
        let last: Value = serde_json::from_str(events(&reply.body).last().unwrap()).unwrap();
        assert_eq!(last["error"]["code"], code, "{}", reply.body);
        assert!(reply.body.contains(r#""content":"High""#));
        if cancels {
            upstream.until(CANCEL).await;
        }
        upstream.forget();
    };
    upstream.tell([described()]);
    let begun = || frame("output", "High");
    check(Say::raw_events([begun()]).cut(), "upstream_stream_truncated", true).await;
    check(Say::raw_events([begun()]), "upstream_stream_truncated", true).await;
    check(Say::raw_events([begun(), frame("error", "CUDA out of memory")]), "upstream_error", false).await;
    check(Say::raw_events([begun(), frame("done", r#"{"reason":"error"}"#)]), "upstream_error", false).await;
    // before the first word there is still a status
    let early = Say::raw_events([frame("error", r#"{"detail":"NSFW content detected"}"#)]);
    upstream.tell([prediction(&upstream, "starting", json!({})), early]);
    let (status, code, _) = error(&gateway.post(CHAT, ASK_STREAM).await);
    assert_eq!((status, code.as_str()), (400, "content_filter"));
}

#[tokio::test]
async fn addresses_on_other_hosts_are_never_asked() {
    let foreign = Upstream::says([Say::json(200, "{}")]).await;
    let (gateway, upstream) = gateway("    retry: { attempts: 1 }\n", "").await;
    let elsewhere = |what: &str| {
        let mut urls = json!({
            "get": format!("{}/v1/predictions/p1", upstream.url), "cancel": format!("{}{CANCEL}", upstream.url),
            "stream": format!("{}/stream/p1", upstream.url),
        });
        urls[what] = foreign.url.clone().into();
        prediction(&upstream, "starting", json!({ "urls": urls }))
    };
    upstream.tell([described(), elsewhere("get"), Say::json(200, "{}")]);
    let (status, code, message) = error(&gateway.post(CHAT, ASK).await);
    assert_eq!((status, code.as_str()), (502, "upstream_error"));
    assert!(message.contains("another host"), "{message}");
    upstream.until(CANCEL).await;
    upstream.forget();
    upstream.tell([elsewhere("stream"), Say::json(200, "{}")]);
    let (status, _, message) = error(&gateway.post(CHAT, ASK_STREAM).await);
    assert!(status == 502 && message.contains("not the provider's"), "{message}");
    upstream.until(CANCEL).await;
    assert!(foreign.seen().is_empty());
}

#[tokio::test]
async fn a_model_that_runs_only_by_its_version_is_asked_so() {
    let (gateway, upstream) = gateway("", "").await;
    let unknown = Say::json(404, r#"{"detail":"The requested resource could not be found.","status":404}"#);
    upstream.tell([described(), unknown, succeeded(&upstream)]);
    assert_eq!(gateway.post(CHAT, ASK).await.status, 200);
    assert_eq!(gateway.post(CHAT, ASK).await.status, 200);
    let seen = upstream.seen();
    assert_eq!(
        paths(&seen)[1..],
        ["POST /v1/models/meta/llama/predictions", "POST /v1/predictions", "POST /v1/predictions"]
    );
    assert_eq!((&seen[2].json()["version"], &seen[3].json()["version"]), (&"v1".into(), &"v1".into()));
}

#[tokio::test]
async fn deployments_and_versions_are_asked_at_their_own_addresses() {
    let upstream = Upstream::says([]).await;
    let target = target("r", "replicate", &upstream, "", "");
    let gateway = TestGateway::configured(&format!("targets:\n{target}"), &[]).await;
    let release = Say::json(200, r#"{"current_release":{"model":"a/b","version":"v9"}}"#);
    let version = json!({"id": "v9", "openapi_schema": {"components": {"schemas": {"Input": {"properties": {"prompt": {}, "seed": {}}}}}}});
    upstream.tell([release, Say::json(200, &version.to_string()), succeeded(&upstream)]);
    let ask =
        |model: &str| format!(r#"{{"model":"r/{model}","seed":7,"messages":[{{"role":"user","content":"hi"}}]}}"#);
    assert_eq!(gateway.post(CHAT, ask("deployments/o/d")).await.status, 200);
    let seen = upstream.seen();
    assert_eq!(
        paths(&seen),
        ["GET /v1/deployments/o/d", "GET /v1/models/a/b/versions/v9", "POST /v1/deployments/o/d/predictions"]
    );
    assert_eq!(seen[2].json(), json!({"input": {"prompt": "hi", "seed": 7}}));
    let id = "5c7d5dc6dd8bf75c1acaa8565735e7986bc5b66206b55cca93cb72c9bf15ccaa";
    let reply = gateway.post(CHAT, ask(id)).await;
    assert_eq!(reply.header("x-ferro-warnings"), "param=seed;provider=replicate;action=dropped");
    let seen = upstream.seen();
    assert_eq!((paths(&seen), &seen[0].json()["version"]), (vec!["POST /v1/predictions".to_owned()], &id.into()));
    let (status, code, message) = error(&gateway.post(CHAT, ask("no-model")).await);
    assert_eq!((status, code.as_str()), (404, "model_not_found"), "{message}");
    assert!(upstream.seen().is_empty());
}

#[tokio::test]
async fn refusals_are_told_in_the_apis_words() {
    let (gateway, upstream) = gateway("    retry: { attempts: 1 }\n", "").await;
    upstream.tell([described()]);
    let check = async |say: Say, expected: (u16, &str)| {
        upstream.tell([say]);
        let reply = gateway.post(CHAT, ASK).await;
        assert_eq!((reply.status, reply.code().as_str()), expected, "{}", reply.body);
        upstream.forget();
        reply
    };
    let problem = |status: u16, title: &str, detail: &str| {
        Say::json(
            status,
            &json!({"type": "about:blank", "title": title, "status": status, "detail": detail}).to_string(),
        )
    };
    check(
        problem(401, "Unauthenticated", "You did not pass a valid authentication token"),
        (502, "upstream_auth_error"),
    )
    .await;
    check(problem(402, "Insufficient credit", "You have insufficient credit"), (502, "upstream_billing")).await;
    let invalid = r#"{"title":"Input validation failed","detail":"- input.prompt is required","status":422,"invalid_fields":[{"field":"input.prompt"}]}"#;
    let reply = check(Say::json(422, invalid), (422, "invalid_request")).await;
    assert_eq!(reply.json()["error"]["param"], "input.prompt");
    let reply =
        check(problem(429, "Too many requests", "Your rate limit resets in ~6s."), (429, "rate_limit_exceeded")).await;
    assert_eq!(reply.header("retry-after"), "6");
    check(Say::json(201, "[]"), (502, "upstream_error")).await;
    check(Say::json(201, r#"{"hello":"world"}"#), (502, "upstream_error")).await;
    check(Say::json(500, "<html>"), (502, "upstream_error")).await;
}

#[tokio::test]
async fn what_no_model_there_can_do_is_named() {
    let (gateway, upstream) = gateway("", "").await;
    upstream.tell([described(), succeeded(&upstream)]);
    let ask = r#"{"model":"meta/llama","n":2,"top_k":4,"messages":[{"role":"user","content":"hi"}],
        "provider_options":{"replicate":{"top_k":5,"min_tokens":1}}}"#;
    let reply = gateway.post(CHAT, ask).await;
    assert_eq!(
        reply.header("x-ferro-warnings"),
        "param=n;provider=replicate;action=dropped, param=top_k;provider=replicate;action=dropped"
    );
    assert_eq!(upstream.seen()[1].json()["input"], json!({"prompt": "hi", "top_k": 5, "min_tokens": 1}));
    let calls = r#"{"model":"meta/llama","messages":[{"role":"tool","tool_call_id":"c","content":"x"}]}"#;
    let (status, code, message) = error(&gateway.post(CHAT, calls).await);
    assert_eq!((status, code.as_str()), (400, "unsupported_content"), "{message}");
    let text = gateway.post("/v1/completions", r#"{"model":"meta/llama","prompt":"hi"}"#).await.json();
    assert_eq!((&text["object"], &text["choices"][0]["text"]), (&"text_completion".into(), &"High water".into()));

    let (strict, upstream) = self::gateway("", "compatibility: { on_unsupported_param: reject }\n").await;
    upstream.tell([described()]);
    let (status, code, message) = error(&strict.post(CHAT, ask.replace(r#""top_k":4,"#, "")).await);
    assert_eq!((status, code.as_str()), (400, "unsupported_parameter"), "{message}");
    assert_eq!(paths(&upstream.seen()), ["GET /v1/models/meta/llama"]);
}

#[tokio::test]
async fn its_language_models_are_discovered() {
    let upstream = Upstream::says([]).await;
    let listed = json!({"slug": "language-models", "models": [{"owner": "meta", "name": "llama"}, {"owner": "x"}]});
    upstream.tell([Say::json(200, &listed.to_string())]);
    let targets = format!("targets:\n{}", target("r", "replicate", &upstream, "", ""));
    let gateway = TestGateway::configured(&targets, &[("FERRO_MODEL_DISCOVERY_INTERVAL", "1h")]).await;
    assert_eq!(paths(&upstream.until("/v1/collections/language-models").await).len(), 1);
    while gateway.get("/v1/models/meta/llama").await.json()["owned_by"] != "r" {}
}
