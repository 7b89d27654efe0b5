//! Anthropic's Message Batches and its Files API.

use serde_json::{Value, json};

use super::{chat, delete, id, keeper, lines, order, results, upload};
use crate::support::{Say, Seen, TestGateway, Upstream};

pub(super) const NAME: &str = "msgbatch_013Zva2CMHLNnXjNJJKqJ2EF";
pub(super) const FILE: &str = "file_011CNha8iCJcU1wXNR6q4V8w";

/// A job as the API tells it.
pub(super) fn job(name: &str, status: &str, counts: [u64; 5]) -> Value {
    let [processing, succeeded, errored, canceled, expired] = counts;
    let ended = status == "ended";
    json!({
        "id": name, "type": "message_batch", "processing_status": status,
        "request_counts": {"processing": processing, "succeeded": succeeded, "errored": errored, "canceled": canceled, "expired": expired},
        "created_at": "2026-01-01T00:00:00.100435Z", "expires_at": "2026-01-02T00:00:00.100435Z",
        "ended_at": ended.then_some("2026-01-01T01:00:00Z"),
        "cancel_initiated_at": (canceled > 0 || status == "canceling").then_some("2026-01-01T00:30:00Z"),
        "archived_at": null,
        "results_url": ended.then(|| format!("https://elsewhere.example/v1/messages/batches/{name}/results")),
        "never_heard_of": 1.50
    })
}

pub(super) fn say(value: &Value) -> Say {
    Say::json(200, &value.to_string())
}

fn message(id: &str, block: &Value) -> Value {
    json!({"id": id, "type": "message", "role": "assistant", "model": "claude-haiku-4-5", "content": [block],
        "stop_reason": if block["type"] == "tool_use" { "tool_use" } else { "end_turn" }, "stop_sequence": null,
        "usage": {"input_tokens": 5, "output_tokens": 2}})
}

/// Results as the API has them, out of order.
fn told() -> String {
    let text = json!({"type": "text", "text": "High."});
    let tool = json!({"type": "tool_use", "id": "toolu_1", "name": "json_output", "input": {"height": 2}});
    let refused = json!({"type": "error", "request_id": "req_1",
        "error": {"type": "invalid_request_error", "message": "max_tokens: too many, sk-test-t-0123456789"}});
    let billed = json!({"type": "error", "error": {"type": "invalid_request_error",
        "message": "Your credit balance is too low to access the Anthropic API."}});
    let result = |custom_id: &str, result: Value| json!({"custom_id": custom_id, "result": result});
    lines(&[
        result("b", json!({"type": "errored", "error": refused})),
        result("a", json!({"type": "succeeded", "message": message("msg_1", &text)})),
        result("c", json!({"type": "canceled"})),
        result("d", json!({"type": "expired"})),
        result("e", json!({"type": "succeeded", "message": message("msg_2", &tool)})),
        result("f", json!({"type": "errored", "error": billed})),
    ])
}

fn asked(seen: &[Seen]) -> Vec<String> {
    seen.iter().map(|seen| format!("{} {}", seen.method, seen.path)).collect()
}

async fn made(gateway: &TestGateway, upstream: &Upstream) -> (String, String) {
    let input = id(&upload(gateway, "batch", lines(&[chat("a", "claude-haiku-4-5")])).await);
    upstream.tell([say(&job(NAME, "in_progress", [1, 0, 0, 0, 0]))]);
    (id(&order(gateway, &input).await), input)
}

#[tokio::test]
async fn the_usual_script_of_a_batch_runs() {
    let upstream = Upstream::says([]).await;
    let gateway = keeper("anthropic", &upstream, "").await;
    let mut schema = chat("e", "anthropic/claude-sonnet-4-20250514");
    schema["body"]["response_format"] =
        json!({"type": "json_schema", "json_schema": {"name": "s", "schema": {"type": "object"}}});
    let mut thinking = chat("b", "t/claude-sonnet-4-5");
    thinking["body"]["reasoning_effort"] = "high".into();
    thinking["body"]["max_tokens"] = 9000.into();
    thinking["body"]["seed"] = 7.into();
    thinking["body"]["tools"] = json!([{"type": "function", "function": {"name": "look"}}]);
    let taken = upload(&gateway, "batch", lines(&[chat("a", "claude-haiku-4-5"), thinking, schema])).await;
    assert_eq!(taken.header("x-ferro-warnings"), "param=seed;provider=anthropic;action=dropped");
    let file = taken.json();
    assert_eq!(
        (&file["object"], &file["purpose"], &file["status"]),
        (&"file".into(), &"batch".into(), &"processed".into())
    );
    assert!(file["bytes"].as_u64() > Some(500) && file["filename"] == "in.jsonl");
    assert!(upstream.seen().is_empty());

    upstream.tell([say(&job(NAME, "in_progress", [3, 0, 0, 0, 0]))]);
    let order = json!({"input_file_id": file["id"], "endpoint": "/v1/chat/completions", "completion_window": "24h",
        "metadata": {"night": "1"}});
    let reply = gateway.post("/v1/batches", order.to_string()).await;
    assert_eq!(reply.header("x-ferro-warnings"), "param=metadata;provider=anthropic;action=dropped");
    let batch = reply.json();
    let counts = json!({"total": 3, "completed": 0, "failed": 0});
    assert_eq!(
        (&batch["status"], &batch["input_file_id"], &batch["request_counts"]),
        (&"in_progress".into(), &file["id"], &counts)
    );
    assert_eq!((&batch["endpoint"], &batch["created_at"]), (&"/v1/chat/completions".into(), &1_767_225_600.into()));
    assert_eq!((&batch["expires_at"], &batch["output_file_id"]), (&1_767_312_000.into(), &Value::Null));
    assert!(reply.body.contains(r#""never_heard_of":1.5"#));
    let seen = upstream.seen().remove(0);
    assert_eq!((seen.method.as_str(), seen.path.as_str()), ("POST", "/v1/messages/batches"));
    assert_eq!((seen.header("x-api-key"), seen.header("anthropic-version")), ("sk-test-t-0123456789", "2023-06-01"));
    assert_eq!(seen.header("anthropic-beta"), "interleaved-thinking-2025-05-14");
    let requests = seen.json()["requests"].clone();
    assert_eq!(requests[0]["params"]["model"], "claude-haiku-4-5");
    assert_eq!(
        requests[0],
        json!({"custom_id": "a", "params": {"model": "claude-haiku-4-5", "max_tokens": 9,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "How high is the tide?"}]}]}})
    );
    assert_eq!(
        (&requests[1]["params"]["model"], &requests[2]["params"]["tools"][0]["name"]),
        (&"claude-sonnet-4-5".into(), &"json_output".into())
    );

    let at = format!("/v1/batches/{}", batch["id"].as_str().unwrap());
    upstream.forget();
    upstream.tell([
        say(&job(NAME, "ended", [0, 2, 2, 1, 1])),
        say(&job(NAME, "ended", [0, 2, 2, 1, 1])),
        Say::bytes(200, told().into_bytes()),
    ]);
    let done = gateway.get(&at).await.json();
    assert_eq!(
        (&done["status"], &done["id"], &done["input_file_id"]),
        (&"cancelled".into(), &batch["id"], &file["id"])
    );
    assert_eq!(done["request_counts"], json!({"total": 6, "completed": 2, "failed": 4}));
    assert_eq!((&done["cancelled_at"], &done["completed_at"]), (&1_767_229_200.into(), &Value::Null));
    let output = format!("/v1/files/{}/content", done["output_file_id"].as_str().unwrap());
    let reply = gateway.get(&output).await;
    assert_eq!(reply.header("content-type"), "application/jsonl");
    let good = results(&reply);
    assert_eq!(good.iter().map(|line| line["custom_id"].as_str().unwrap()).collect::<Vec<_>>(), ["a", "e"]);
    let body = &good[0]["response"]["body"];
    assert_eq!((&good[0]["error"], &good[0]["response"]["status_code"]), (&Value::Null, &200.into()));
    assert_eq!(
        (&body["object"], &body["choices"][0]["message"]["content"]),
        (&"chat.completion".into(), &"High.".into())
    );
    assert_eq!((&body["usage"]["prompt_tokens"], &body["created"]), (&5.into(), &1_767_229_200.into()));
    let schema = &good[1]["response"]["body"]["choices"][0];
    assert_eq!((&schema["message"]["content"], &schema["finish_reason"]), (&r#"{"height":2}"#.into(), &"stop".into()));

    let errors = format!("/v1/files/{}/content", done["error_file_id"].as_str().unwrap());
    upstream.forget();
    upstream.tell([say(&job(NAME, "ended", [0, 2, 2, 1, 1])), Say::bytes(200, told().into_bytes())]);
    let reply = gateway.get(&errors).await;
    assert!(!reply.body.contains("sk-test") && !reply.body.contains("credit"), "{}", reply.body);
    let bad = results(&reply);
    assert_eq!(bad.iter().map(|line| line["custom_id"].as_str().unwrap()).collect::<Vec<_>>(), ["b", "c", "d", "f"]);
    let refused = &bad[0]["response"];
    assert_eq!((&refused["status_code"], &refused["request_id"]), (&400.into(), &"req_1".into()));
    assert_eq!(refused["body"]["error"]["code"], "invalid_request_error");
    assert_eq!((&bad[1]["response"], &bad[1]["error"]["code"]), (&Value::Null, &"batch_cancelled".into()));
    assert_eq!(bad[2]["error"]["code"], "batch_expired");
    assert_eq!(bad[3]["response"]["body"]["error"]["code"], "upstream_billing");
    let path = format!("/v1/messages/batches/{NAME}");
    assert_eq!(asked(&upstream.seen()), [format!("GET {path}"), format!("GET {path}/results")]);
}

#[tokio::test]
async fn an_input_becomes_one_batch_and_is_remembered_by_name() {
    let upstream = Upstream::says([]).await;
    let gateway = keeper("anthropic", &upstream, "").await;
    let (batch, input) = made(&gateway, &upstream).await;
    let again = order(&gateway, &input).await;
    assert_eq!((again.status, again.json()["error"]["param"].as_str()), (400, Some("input_file_id")));
    assert!(again.body.contains(&batch) && again.body.contains("upload it again"), "{}", again.body);
    assert_eq!(gateway.get(&format!("/v1/files/{input}")).await.json()["id"], input.as_str());
    assert_eq!(gateway.get(&format!("/v1/files/{input}/content")).await.status, 400);
    let gone = delete(&gateway, &format!("/v1/files/{input}")).await;
    assert_eq!((gone.status, gone.json()), (200, json!({"id": input, "object": "file", "deleted": true})));
    assert_eq!(delete(&gateway, &format!("/v1/files/{input}")).await.status, 404);
    assert_eq!(upstream.seen().len(), 1);
}

#[tokio::test]
async fn an_input_that_is_not_held_is_refused_with_what_to_do() {
    let upstream = Upstream::says([]).await;
    let other = keeper("anthropic", &upstream, "").await;
    let input = id(&upload(&other, "batch", lines(&[chat("a", "m")])).await);
    let gateway = keeper("anthropic", &upstream, "").await;
    let reply = order(&gateway, &input).await;
    assert_eq!((reply.status, reply.code().as_str()), (400, "invalid_request"));
    assert!(reply.body.contains("holds it for an hour") && reply.body.contains("replicas"), "{}", reply.body);
    for no_input in [FILE, "file-abc", "x"] {
        assert!(matches!(order(&gateway, no_input).await.status, 400 | 404), "{no_input}");
    }
    assert!(upstream.seen().is_empty());
}

#[tokio::test]
async fn a_batch_that_may_have_been_made_is_not_made_again() {
    let upstream = Upstream::says([]).await;
    let retry = "    retry: { attempts: 3 }\n";
    let gateway = keeper("anthropic", &upstream, retry).await;
    let input = id(&upload(&gateway, "batch", lines(&[chat("a", "m")])).await);
    let overloaded = Say::json(529, r#"{"type":"error","error":{"type":"overloaded_error","message":"later"}}"#);
    upstream.tell([overloaded, Say::json(500, "")]);
    assert_eq!(order(&gateway, &input).await.status, 502);
    assert_eq!(upstream.seen().len(), 2);
    // the input is still there
    upstream.forget();
    upstream.tell([say(&job(NAME, "in_progress", [1, 0, 0, 0, 0]))]);
    assert_eq!(order(&gateway, &input).await.status, 200);
    upstream.forget();
    upstream.tell([Say::json(500, ""), say(&job(NAME, "in_progress", [1, 0, 0, 0, 0]))]);
    // to ask how batches are doing does no harm
    assert_eq!(gateway.get("/v1/batches?limit=1").await.status, 200);
}

#[tokio::test]
async fn results_that_break_off_do_not_end_as_if_they_were_whole() {
    let upstream = Upstream::says([]).await;
    let gateway = keeper("anthropic", &upstream, "").await;
    let (batch, _) = made(&gateway, &upstream).await;
    let ended = say(&job(NAME, "ended", [0, 2, 2, 1, 1]));
    let cut = told().replace("\"c\"", "\"c\",");
    let broken = Say::pieces("application/x-jsonl", [cut.into_bytes(), b"{\"custom_id\":\"half".to_vec()]);
    upstream.forget();
    upstream.tell([ended.clone(), ended.clone(), broken.clone().cut()]);
    let output =
        gateway.get(&format!("/v1/batches/{batch}")).await.json()["output_file_id"].as_str().unwrap().to_owned();
    let url = format!("{}/v1/files/{output}/content", gateway.url);
    assert!(gateway.http.get(&url).send().await.unwrap().text().await.is_err());
    // a line that can't be read is told wherever it is found, whole answers or not
    upstream.forget();
    upstream.tell([ended, broken]);
    let reply = gateway.get(&format!("/v1/files/{output}/content")).await;
    let found = results(&reply);
    let codes: Vec<_> = found.iter().map(|line| line["error"]["code"].as_str().unwrap_or("good")).collect();
    assert_eq!(codes, ["good", "result_unreadable", "good", "result_unreadable"]);
    assert!(reply.body.contains("line 3 of the results"), "{}", reply.body);
}

#[tokio::test]
async fn results_go_with_the_answers_and_forged_ids_reach_nothing() {
    let upstream = Upstream::says([]).await;
    let gateway = keeper("anthropic", &upstream, "").await;
    let (batch, _) = made(&gateway, &upstream).await;
    let mixed = say(&job(NAME, "ended", [0, 1, 1, 0, 0]));
    upstream.forget();
    upstream.tell([
        mixed.clone(),
        mixed.clone(),
        mixed.clone(),
        Say::json(200, &json!({"id": NAME, "type": "message_batch_deleted"}).to_string()),
    ]);
    let done = gateway.get(&format!("/v1/batches/{batch}")).await.json();
    let (output, errors) = (done["output_file_id"].as_str().unwrap(), done["error_file_id"].as_str().unwrap());
    let told = gateway.get(&format!("/v1/files/{output}")).await.json();
    assert_eq!((&told["purpose"], &told["filename"]), (&"batch_output".into(), &format!("{NAME}_output.jsonl").into()));
    let kept = delete(&gateway, &format!("/v1/files/{errors}")).await;
    assert!(kept.status == 400 && kept.body.contains("output_file_id"), "{}", kept.body);
    assert_eq!(delete(&gateway, &format!("/v1/files/{output}")).await.json()["deleted"], true);
    let path = format!("/v1/messages/batches/{NAME}");
    let seen = asked(&upstream.seen());
    assert_eq!(seen[2..], [format!("GET {path}"), format!("DELETE {path}")]);

    let forged =
        |text: &str| ferrogw::wire::jobs::id::Name::new(ferrogw::wire::jobs::id::Kind::Output, [text]).encode();
    for id in [
        forged("../models"),
        forged("msgbatch_../x"),
        forged("msgbatch_"),
        forged("file_1"),
        batch.clone(),
        "file-x".into(),
        "file_%2e".into(),
    ] {
        for path in [format!("/v1/files/{id}"), format!("/v1/files/{id}/content")] {
            let reply = gateway.get(&path).await;
            assert_eq!((reply.status, reply.code().as_str()), (404, "resource_not_found"), "{path}");
        }
    }
    for id in [output, "batch_x", NAME] {
        assert_eq!(gateway.get(&format!("/v1/batches/{id}")).await.status, 404, "{id}");
        assert_eq!(gateway.post(&format!("/v1/batches/{id}/cancel"), "").await.status, 404, "{id}");
    }
    assert!(upstream.seen().is_empty());
}

#[tokio::test]
async fn a_batch_is_cancelled_and_what_is_not_there_is_said() {
    let upstream = Upstream::says([]).await;
    let gateway = keeper("anthropic", &upstream, "").await;
    let (batch, _) = made(&gateway, &upstream).await;
    upstream.forget();
    let missing = Say::json(404, r#"{"type":"error","error":{"type":"not_found_error","message":"no such batch"}}"#);
    upstream.tell([say(&job(NAME, "canceling", [1, 0, 0, 0, 0])), missing, Say::json(401, "{}")]);
    let reply = gateway.post(&format!("/v1/batches/{batch}/cancel"), "").await.json();
    assert_eq!((&reply["status"], &reply["cancelling_at"]), (&"cancelling".into(), &1_767_227_400.into()));
    let reply = gateway.get(&format!("/v1/batches/{batch}")).await;
    assert_eq!((reply.status, reply.code().as_str()), (404, "resource_not_found"));
    assert_eq!(gateway.get(&format!("/v1/batches/{batch}")).await.code(), "upstream_auth_error");
    let seen = upstream.seen();
    assert_eq!(asked(&seen)[0], format!("POST /v1/messages/batches/{NAME}/cancel"));
    assert_eq!((seen[0].header("content-type"), seen[0].body.len()), ("", 0));
    for (method, path) in [
        ("DELETE", format!("/v1/batches/{batch}")),
        ("PUT", "/v1/files".to_owned()),
        ("GET", format!("/v1/batches/{batch}/x")),
    ] {
        let ask = gateway.http.request(method.parse().unwrap(), format!("{}{path}", gateway.url)).bearer_auth("any");
        assert_eq!(gateway.send(ask).await.code(), "resource_not_found", "{method} {path}");
    }
}
