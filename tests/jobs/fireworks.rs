//! Fireworks' jobs over datasets of an account.

use ferrogw::wire::jobs::id::{Kind, Name};
use serde_json::{Value, json};

use super::{chat, delete, id, lines, order, results, upload};
use crate::support::{Say, TestGateway, Upstream};

const MODEL: &str = "accounts/fireworks/models/kimi-k2";
const ROOT: &str = "/v1/accounts/tides";

async fn keeper(upstream: &Upstream) -> TestGateway {
    super::keeper("fireworks", upstream, "    options: { account_id: tides }\n").await
}

fn say(value: &Value) -> Say {
    Say::json(200, &value.to_string())
}

fn dataset(state: &str) -> Say {
    say(&json!({"name": "accounts/tides/datasets/in-1", "displayName": "ferrogw kimi-k2 in.jsonl", "state": state,
        "createTime": "2026-01-15T12:00:00Z", "status": {"code": "OK", "message": ""}}))
}

fn job(state: &str, counts: [u64; 2]) -> Value {
    json!({"name": "accounts/tides/batchInferenceJobs/j-1", "state": format!("JOB_STATE_{state}"), "model": MODEL,
        "createTime": "2026-01-15T12:00:00Z", "updateTime": "2026-01-15T13:00:00Z", "createdBy": "me@tides.example",
        "inputDatasetId": "accounts/tides/datasets/in-1", "outputDatasetId": "accounts/tides/datasets/out-1",
        "status": {"code": if state == "FAILED" { "INVALID_ARGUMENT" } else { "OK" }, "message": "invalid role"},
        "jobProgress": {"totalInputRequests": 2, "totalProcessedRequests": counts[0] + counts[1],
            "successfullyProcessedRequests": counts[0], "failedRequests": counts[1], "inputTokens": 50, "outputTokens": 20}})
}

fn files(upstream: &Upstream) -> Say {
    let at = |name: &str| format!("{}/bucket/{name}?X-Goog-Signature=abc", upstream.url);
    say(&json!({"filenameToSignedUrls": {"dataset/out-1/error-data": at("error-data"),
        "dataset/out-1/BIJOutputSet.jsonl": at("BIJOutputSet.jsonl")}}))
}

fn good() -> Say {
    let answer = json!({"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": MODEL,
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "High."}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}});
    // no newline at its end
    Say::bytes(200, json!({"custom_id": "a", "response": answer}).to_string().into())
}

fn bad() -> Say {
    Say::bytes(200, lines(&[json!({"custom_id": "b", "error": {"message": "Invalid request", "code": 400}})]).into())
}

fn paths(upstream: &Upstream) -> Vec<String> {
    upstream.seen().into_iter().map(|seen| format!("{} {}", seen.method, seen.path)).collect()
}

#[tokio::test]
async fn the_usual_script_of_a_batch_runs() {
    let upstream = Upstream::says([]).await;
    let gateway = keeper(&upstream).await;
    upstream.tell([say(&json!({})), say(&json!({"object": "file"}))]);
    let mut long = chat("b", "fireworks/kimi-k2");
    long["body"]["max_tokens"] = 9000.into();
    let file = upload(&gateway, "batch", lines(&[chat("a", "kimi-k2"), long])).await.json();
    assert_eq!((&file["status"], &file["filename"]), (&"uploaded".into(), &"in.jsonl".into()), "{file}");
    let seen = upstream.seen();
    assert_eq!((seen[0].method.as_str(), seen[0].path.as_str()), ("POST", "/v1/accounts/tides/datasets"));
    let made = seen[0].json();
    let own = json!({"displayName": "ferrogw kimi-k2 in.jsonl", "exampleCount": "2", "userUploaded": {}});
    assert_eq!(made["dataset"], own);
    let name = made["datasetId"].as_str().unwrap();
    assert_eq!(file["id"], Name::new(Kind::Input, [name]).encode());
    assert_eq!(seen[1].path, format!("{ROOT}/datasets/{name}:upload"));
    let sent = String::from_utf8_lossy(&seen[1].body).into_owned();
    let line = r#"{"custom_id":"b","body":{"max_tokens":9000,"messages":[{"role":"user","content":"How high is the tide?"}]}}"#;
    assert!(sent.contains("name=\"file\"; filename=\"batch.jsonl\"") && sent.contains(line), "{sent}");

    upstream.forget();
    upstream.tell([dataset("UPLOADING"), dataset("READY"), say(&job("VALIDATING", [0, 0]))]);
    let made = order(&gateway, file["id"].as_str().unwrap()).await.json();
    assert_eq!((&made["status"], &made["model"]), (&"validating".into(), &MODEL.into()), "{made}");
    assert!(!made.to_string().contains("tides"), "{made}");
    let seen = upstream.seen();
    assert_eq!(seen[2].path, format!("{ROOT}/batchInferenceJobs"));
    assert_eq!(seen[2].json(), json!({"model": MODEL, "inputDatasetId": "accounts/tides/datasets/in-1"}));

    upstream.forget();
    upstream.tell([say(&job("COMPLETED", [1, 1]))]);
    let done = gateway.get(&format!("/v1/batches/{}", made["id"].as_str().unwrap())).await.json();
    assert_eq!((&done["status"], &done["completed_at"]), (&"completed".into(), &1_768_482_000.into()));
    assert_eq!(done["request_counts"], json!({"total": 2, "completed": 1, "failed": 1}));
    for (member, custom_id) in [("output_file_id", "a"), ("error_file_id", "b")] {
        upstream.forget();
        upstream.tell([say(&job("COMPLETED", [1, 1])), files(&upstream), good(), bad()]);
        let told = results(&gateway.get(&format!("/v1/files/{}/content", done[member].as_str().unwrap())).await);
        assert_eq!((told.len(), &told[0]["custom_id"]), (1, &custom_id.into()));
        let body = &told[0]["response"]["body"];
        let said = if custom_id == "a" { &body["choices"][0]["message"]["content"] } else { &body["error"]["message"] };
        assert!(said == "High." || said == "Invalid request", "{body}");
        let seen = upstream.seen();
        assert_eq!(seen[1].path, format!("{ROOT}/datasets/out-1:getDownloadEndpoint"));
        assert_eq!(seen[2].path, "/bucket/BIJOutputSet.jsonl?X-Goog-Signature=abc");
        assert_eq!((seen[2].header("authorization"), seen[3].header("authorization")), ("", ""));
    }
}

#[tokio::test]
async fn what_is_too_long_for_one_request_goes_to_a_signed_address() {
    let upstream = Upstream::says([]).await;
    let gateway = keeper(&upstream).await;
    let begin = || [say(&json!({})), Say::json(413, "{}")];
    let address = |url: String| say(&json!({"filenameToSignedUrls": {"batch.jsonl": url}}));
    upstream.tell(begin());
    upstream.tell([address(format!("{}/bucket/in?sig=1", upstream.url)), Say::bytes(200, Vec::new()), say(&json!({}))]);
    assert_eq!(upload(&gateway, "batch", lines(&[chat("a", "kimi-k2")])).await.status, 200);
    let seen = upstream.seen();
    let length = seen[3].body.len();
    assert_eq!(seen[2].json(), json!({"filenameToSize": {"batch.jsonl": length.to_string()}}));
    assert_eq!((seen[3].method.as_str(), seen[3].path.as_str()), ("PUT", "/bucket/in?sig=1"));
    assert_eq!(seen[3].header("x-goog-content-length-range"), format!("{length},{length}"));
    assert_eq!((seen[3].header("authorization"), seen[3].header("content-type")), ("", "application/octet-stream"));
    assert!(seen[3].body.starts_with(br#"{"custom_id":"a","body":{"#) && seen[4].path.ends_with(":validateUpload"));

    // an address elsewhere is not asked, and what can't be filled does not stay
    upstream.forget();
    upstream.tell(begin());
    upstream.tell([address("https://evil.example/in".to_owned()), say(&json!({}))]);
    let reply = upload(&gateway, "batch", lines(&[chat("a", "kimi-k2")])).await;
    assert!(reply.status == 502 && reply.body.contains("not asked"), "{}", reply.body);
    assert!(paths(&upstream).pop().unwrap().starts_with("DELETE /v1/accounts/tides/datasets/ferrogw-"));
}

#[tokio::test]
async fn without_an_account_there_are_no_batches() {
    let upstream = Upstream::says([]).await;
    let gateway = super::keeper("fireworks", &upstream, "").await;
    let file = Name::new(Kind::Input, ["in-1"]).encode();
    let replies = [
        upload(&gateway, "batch", lines(&[chat("a", "kimi-k2")])).await,
        order(&gateway, &file).await,
        gateway.get("/v1/batches").await,
        gateway.get(&format!("/v1/files/{file}")).await,
    ];
    for reply in replies {
        let named = reply.body.contains("`account_id`") && reply.body.contains("FIREWORKS_ACCOUNT_ID");
        assert!(reply.status == 400 && named, "{}", reply.body);
    }
    assert!(upstream.seen().is_empty());
}

#[tokio::test]
async fn lines_of_two_models_and_other_purposes_are_refused() {
    let upstream = Upstream::says([]).await;
    let gateway = keeper(&upstream).await;
    let reply = upload(&gateway, "batch", lines(&[chat("a", "kimi-k2"), chat("b", MODEL), chat("c", "other")])).await;
    assert!(reply.status == 400 && reply.body.contains("line 3"), "{}", reply.body);
    assert_eq!(upload(&gateway, "user_data", "x").await.json()["error"]["param"], "purpose");
    assert!(upstream.seen().is_empty());
}

#[tokio::test]
async fn a_batch_is_ended_by_deleting_its_job_unless_it_has_ended() {
    let upstream = Upstream::says([]).await;
    let gateway = keeper(&upstream).await;
    let batch = Name::new(Kind::Batch, ["j-1"]).encode();
    let at = format!("/v1/batches/{batch}/cancel");
    let gone = || Say::json(404, r#"{"code":5,"message":"resource not found"}"#);
    for last in [say(&job("DELETING_CLEANING_UP", [0, 0])), gone()] {
        upstream.forget();
        upstream.tell([say(&job("RUNNING", [0, 0])), say(&json!({})), last]);
        let ended = gateway.post(&at, "").await.json();
        assert!(ended["status"] == "cancelled" && ended["cancelled_at"].is_number(), "{ended}");
        assert_eq!(paths(&upstream)[1], "DELETE /v1/accounts/tides/batchInferenceJobs/j-1");
    }
    upstream.forget();
    upstream.tell([say(&job("FAILED", [0, 0]))]);
    let failed = gateway.post(&at, "").await.json();
    assert_eq!((&failed["status"], &failed["output_file_id"]), (&"failed".into(), &Value::Null));
    assert_eq!(failed["errors"]["data"][0]["message"], "invalid role");
    assert_eq!(upstream.seen().len(), 1);
    upstream.forget();
    upstream.tell([gone()]);
    assert_eq!(gateway.get(&format!("/v1/batches/{batch}")).await.status, 404);
}

#[tokio::test]
async fn datasets_of_others_are_nobodys_files() {
    let upstream = Upstream::says([]).await;
    let gateway = keeper(&upstream).await;
    let other = say(&json!({"name": "accounts/tides/datasets/mine", "displayName": "mine", "state": "READY"}));
    let input = Name::new(Kind::Input, ["mine"]).encode();
    upstream.tell([other.clone(), other.clone(), other]);
    assert_eq!(gateway.get(&format!("/v1/files/{input}")).await.status, 404);
    assert_eq!(delete(&gateway, &format!("/v1/files/{input}")).await.status, 404);
    assert_eq!(order(&gateway, &input).await.status, 404);
    assert!(paths(&upstream).iter().all(|path| path.starts_with("GET ")));
    let forged = Name::new(Kind::Input, ["../../models"]).encode();
    assert_eq!(gateway.get(&format!("/v1/files/{forged}")).await.status, 404);
    assert!(upstream.seen().is_empty());

    upstream.forget();
    let page = |more: &str| json!({"batchInferenceJobs": [job("COMPLETED", [1, 1])], "nextPageToken": more});
    upstream.tell([say(&page("n+1")), say(&json!({}))]);
    let outputs = gateway.get("/v1/files?purpose=batch_output").await.json();
    assert_eq!(outputs["data"].as_array().unwrap().len(), 2);
    assert_eq!(paths(&upstream)[1], "GET /v1/accounts/tides/batchInferenceJobs?pageSize=200&pageToken=n%2B1");
    upstream.forget();
    upstream.tell([say(&job("COMPLETED", [1, 1])), say(&job("COMPLETED", [1, 1])), say(&json!({}))]);
    let errors = Name::new(Kind::Errors, ["j-1"]).encode();
    assert!(delete(&gateway, &format!("/v1/files/{errors}")).await.body.contains("output_file_id"));
    let output = Name::new(Kind::Output, ["j-1"]).encode();
    assert_eq!(delete(&gateway, &format!("/v1/files/{output}")).await.json()["deleted"], true);
    assert_eq!(paths(&upstream)[2], "DELETE /v1/accounts/tides/datasets/out-1");
    upstream.tell([say(&json!({})), say(&json!({}))]);
    assert_eq!(id(&upload(&gateway, "batch", lines(&[chat("a", MODEL)])).await).split_at(5).0, "file-");
}
