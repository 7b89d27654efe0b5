//! The Gemini API: its Files API, and batches of what is uploaded there.

use serde_json::{Value, json};

use super::google::{chat, delete, id, input, line, lines, make, upload};
use crate::support::{Say, TestGateway, Upstream};

const KEY: &str = "AIza-of-the-test-0123456789";

pub(super) async fn gateway(upstream: &Upstream) -> TestGateway {
    let yaml = format!(
        "batch_target: gemini\ntargets:\n  - virtual_key: gemini\n    base_url: {}/v1beta\n    api_key: {KEY}\n    retry: {{ attempts: 1 }}\n",
        upstream.url
    );
    TestGateway::configured(&yaml, &[]).await
}

/// What the vendor says to the first request of an upload: its address is on a host of its own.
fn begun() -> Say {
    let url = "https://generativelanguage.googleapis.com/upload/v1beta/files?upload_id=AbC-7&upload_protocol=resumable";
    Say::json(200, "").header("x-goog-upload-url", url)
}

pub(super) fn resource(name: &str, display: &str) -> Value {
    json!({"name": name, "displayName": display, "mimeType": "application/jsonl", "sizeBytes": "213",
        "createTime": "2026-11-20T10:00:00.5Z", "updateTime": "2026-11-20T10:00:00.5Z",
        "expirationTime": "2026-11-22T10:00:00Z", "sha256Hash": "aGFzaA==", "state": "ACTIVE", "source": "UPLOADED",
        "uri": format!("https://generativelanguage.googleapis.com/v1beta/{name}")})
}

fn kept(name: &str, display: &str) -> Say {
    Say::json(200, &json!({"file": resource(name, display)}).to_string())
}

/// A batch as the vendor tells it.
pub(super) fn operation(state: &str, stats: Value) -> Value {
    json!({"name": "batches/b7", "metadata": {
        "@type": "type.googleapis.com/google.ai.generativelanguage.v1main.GenerateContentBatch",
        "model": "models/gemini-3-flash", "displayName": "ferrogw", "inputConfig": {"fileName": "files/in-1"},
        "createTime": "2026-11-20T11:00:00Z", "updateTime": "2026-11-20T11:00:00Z", "batchStats": stats, "state": state,
        "name": "batches/b7"}})
}

pub(super) fn done() -> Value {
    let stats = json!({"requestCount": "3", "successfulRequestCount": "2", "failedRequestCount": "1"});
    let mut done = operation("BATCH_STATE_SUCCEEDED", stats);
    done["metadata"]["endTime"] = json!("2026-11-20T11:05:00Z");
    done["metadata"]["output"] = json!({"responsesFile": "files/batch-b7"});
    done["done"] = json!(true);
    done["response"] = json!({"responsesFile": "files/batch-b7"});
    done
}

pub(super) fn say(value: &Value) -> Say {
    Say::json(200, &value.to_string())
}

const RESULTS: &str = concat!(
    r#"{"key":"second","response":{"candidates":[{"content":{"parts":[{"text":"Dover."}],"role":"model"},"finishReason":"STOP","index":0}],"usageMetadata":{"promptTokenCount":3,"candidatesTokenCount":2,"totalTokenCount":5},"modelVersion":"gemini-3-flash","responseId":"r2"}}"#,
    "\n",
    r#"{"key":"third","error":{"code":3,"message":"Please use a valid role: user, model."}}"#,
    "\n",
    r#"{"response":{"candidates":[{"content":{"parts":[{"text":"06:12"}]},"finishReason":"STOP"}]},"key":"first \"é\""}"#,
    "\n",
    "not JSON\n",
);

#[tokio::test]
async fn openais_usual_script_runs() {
    let display = "batch gemini-3-flash in.jsonl";
    let script = [begun(), kept("files/in-1", display), say(&operation("BATCH_STATE_PENDING", json!({})))];
    let upstream = Upstream::says(script).await;
    let gateway = gateway(&upstream).await;
    let content =
        [chat("first \"é\"", "gemini/models/gemini-3-flash", "When?"), chat("second", "gemini-3-flash", "Where?")];
    let receipt = upload(&gateway, "batch", ("in.jsonl", "application/octet-stream"), &content.join("\n")).await;
    let file = id("file-", "ifiles/in-1\ngemini-3-flash");
    assert_eq!(receipt.status, 200, "{}", receipt.body);
    let receipt = receipt.json();
    assert_eq!(
        receipt,
        json!({"id": file, "object": "file", "bytes": 213, "created_at": 1_795_168_800, "expires_at": 1_795_341_600,
            "filename": "in.jsonl", "purpose": "batch", "status": "processed", "status_details": null,
            "mimeType": "application/jsonl", "updateTime": "2026-11-20T10:00:00.5Z", "sha256Hash": "aGFzaA==",
            "source": "UPLOADED", "uri": "https://generativelanguage.googleapis.com/v1beta/files/in-1"})
    );
    let seen = upstream.seen();
    let (begins, sends) = (&seen[0], &seen[1]);
    assert_eq!(
        (begins.path.as_str(), begins.json()),
        ("/upload/v1beta/files", json!({"file": {"displayName": display}}))
    );
    let told = ["protocol", "command", "header-content-length", "header-content-type"];
    let told = told.map(|name| begins.header(&format!("x-goog-upload-{name}")).to_owned());
    let length = sends.body.len().to_string();
    assert_eq!(told, ["resumable", "start", &length, "application/jsonl"].map(str::to_owned));
    assert_eq!(sends.path, "/upload/v1beta/files?upload_id=AbC-7&upload_protocol=resumable");
    let told = ["x-goog-upload-command", "x-goog-upload-offset", "content-length", "x-goog-api-key"];
    assert_eq!(told.map(|name| sends.header(name)), ["upload, finalize", "0", &length, KEY]);
    let sent: Vec<Value> =
        std::str::from_utf8(&sends.body).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let asked = |key: &str, text: &str| {
        json!({"key": key, "request": {"contents": [{"role": "user", "parts": [{"text": text}]}],
            "generationConfig": {"thinkingConfig": {"includeThoughts": true}, "maxOutputTokens": 9}}})
    };
    assert_eq!(sent, [asked("first \"é\"", "When?"), asked("second", "Where?")]);

    let ask = json!({"input_file_id": file, "endpoint": "/v1/chat/completions", "completion_window": "24h",
        "metadata": {"night": "7"}});
    let batch = gateway.post("/v1/batches", ask.to_string()).await;
    let seen = upstream.seen().remove(0);
    assert_eq!(
        (seen.method.as_str(), seen.path.as_str()),
        ("POST", "/v1beta/models/gemini-3-flash:batchGenerateContent")
    );
    let made = json!({"batch": {"displayName": "{\"night\":\"7\"}", "inputConfig": {"fileName": "files/in-1"}}});
    assert_eq!(seen.json(), made);
    let batch = batch.json();
    let name = batch["id"].as_str().unwrap();
    assert_eq!(name, id("batch_", "bbatches/b7"));
    assert_eq!(
        (&batch["status"], &batch["input_file_id"], &batch["output_file_id"], &batch["endpoint"]),
        (&json!("validating"), &json!(file), &Value::Null, &json!("/v1/chat/completions"))
    );

    upstream.forget();
    upstream.tell([say(&done())]);
    let batch = gateway.get(&format!("/v1/batches/{name}")).await.json();
    assert_eq!(upstream.seen()[0].path, "/v1beta/batches/b7");
    assert_eq!(batch["request_counts"], json!({"total": 3, "completed": 2, "failed": 1}));
    assert_eq!((&batch["status"], &batch["completed_at"]), (&json!("completed"), &json!(1_795_172_700)));

    upstream.forget();
    upstream.tell([say(&done()), Say::bytes(200, RESULTS.into())]);
    let answers = gateway.get(&format!("/v1/files/{}/content", batch["output_file_id"].as_str().unwrap())).await;
    let paths: Vec<_> = upstream.seen().into_iter().map(|seen| seen.path).collect();
    assert_eq!(paths, ["/v1beta/batches/b7", "/v1beta/files/batch-b7:download?alt=media"]);
    let told = lines(&answers.body);
    assert_eq!(told.len(), 3, "{}", answers.body);
    let body = &told[0]["response"]["body"];
    assert_eq!((&told[0]["custom_id"], &told[0]["response"]["status_code"]), (&json!("second"), &json!(200)));
    assert_eq!((&body["id"], &body["object"]), (&json!("r2"), &json!("chat.completion")));
    assert_eq!(body["choices"][0]["message"]["content"], "Dover.");
    assert_eq!(body["usage"]["total_tokens"], 5);
    assert_eq!(
        (&told[1]["custom_id"], &told[1]["response"]["body"]["model"]),
        (&json!("first \"é\""), &json!("gemini-3-flash"))
    );
    assert_eq!(told[2]["error"]["code"], "result_unreadable");

    upstream.forget();
    upstream.tell([say(&done()), Say::bytes(200, RESULTS.into())]);
    let failures = gateway.get(&format!("/v1/files/{}/content", batch["error_file_id"].as_str().unwrap())).await;
    let told = lines(&failures.body);
    let error = json!({"message": "Please use a valid role: user, model.", "type": "invalid_request_error", "param": null,
        "code": "INVALID_ARGUMENT"});
    let failed = json!({"custom_id": "third", "response": {"status_code": 400, "request_id": "", "body": {"error": error}},
        "error": null});
    assert_eq!((told.len(), &told[0]), (2, &failed), "{}", failures.body);
}

#[tokio::test]
async fn a_batch_that_failed_says_why_and_one_that_is_cancelled_says_so() {
    let mut failed = operation("BATCH_STATE_FAILED", json!({"requestCount": "2"}));
    failed["metadata"]["endTime"] = json!("2026-11-20T11:05:00Z");
    failed["error"] = json!({"code": 9, "message": "the file is empty"});
    let upstream = Upstream::says([say(&failed)]).await;
    let gateway = gateway(&upstream).await;
    let name = id("batch_", "bbatches/b7");
    let batch = gateway.get(&format!("/v1/batches/{name}")).await.json();
    assert_eq!((&batch["status"], &batch["failed_at"]), (&json!("failed"), &json!(1_795_172_700)));
    let why = json!({"code": "FAILED_PRECONDITION", "message": "the file is empty", "param": null, "line": null});
    assert_eq!(batch["errors"], json!({"object": "list", "data": [why]}));

    upstream.forget();
    upstream.tell([Say::json(200, "{}"), say(&operation("BATCH_STATE_RUNNING", json!({})))]);
    let batch = gateway.post(&format!("/v1/batches/{name}/cancel"), "").await.json();
    assert_eq!(batch["status"], "cancelling");
    let seen = upstream.seen();
    assert_eq!((seen[0].method.as_str(), seen[0].path.as_str()), ("POST", "/v1beta/batches/b7:cancel"));

    upstream.forget();
    let mut cancelled = operation("BATCH_STATE_CANCELLED", json!({}));
    cancelled["error"] = json!({"code": 1, "message": "cancelled"});
    upstream.tell([say(&cancelled)]);
    let batch = gateway.get(&format!("/v1/batches/{name}")).await.json();
    assert_eq!((&batch["status"], &batch["errors"]), (&json!("cancelled"), &Value::Null));
}

#[tokio::test]
async fn lists_go_on_behind_what_was_seen() {
    let named = |name: &str| {
        let mut one = operation("BATCH_STATE_RUNNING", json!({}));
        one["name"] = json!(name);
        one
    };
    let first = json!({"operations": [named("batches/a"), named("batches/b")], "nextPageToken": "t/2"});
    let second = json!({"operations": [named("batches/c"), named("batches/d")]});
    let upstream = Upstream::says([say(&first), say(&second)]).await;
    let gateway = gateway(&upstream).await;
    let after = id("batch_", "bbatches/a");
    let list = gateway.get(&format!("/v1/batches?limit=2&after={after}")).await.json();
    let ids: Vec<_> = list["data"].as_array().unwrap().iter().map(|batch| batch["id"].clone()).collect();
    assert_eq!(ids, [id("batch_", "bbatches/b"), id("batch_", "bbatches/c")]);
    assert_eq!((&list["object"], &list["has_more"]), (&json!("list"), &json!(true)));
    let paths: Vec<_> = upstream.seen().into_iter().map(|seen| seen.path).collect();
    assert_eq!(paths, ["/v1beta/batches?pageSize=100", "/v1beta/batches?pageSize=100&pageToken=t%2F2"]);

    upstream.forget();
    let mut made = resource("files/batch-b7", "");
    made["source"] = json!("GENERATED");
    let all = [
        resource("files/x", "user_data tide.pdf"),
        resource("files/y", "somebody's"),
        made,
        resource("files/in-1", "batch m in.jsonl"),
    ];
    upstream.tell([say(&json!({"files": all}))]);
    let files = gateway.get("/v1/files").await.json();
    let told: Vec<_> = files["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| (file["purpose"].as_str().unwrap(), file["filename"].as_str().unwrap()))
        .collect();
    assert_eq!(
        told,
        [
            ("user_data", "tide.pdf"),
            ("user_data", "somebody's"),
            ("batch_output", "files/batch-b7"),
            ("batch", "in.jsonl")
        ]
    );
    upstream.forget();
    upstream.tell([say(&json!({}))]);
    assert_eq!(gateway.get("/v1/files?purpose=batch").await.json()["data"], json!([]));
}

#[tokio::test]
async fn a_file_of_a_callers_is_named_by_chats() {
    let mut pdf = resource("files/tide-7", "user_data tide.pdf");
    pdf["mimeType"] = json!("application/pdf");
    let answer = r#"{"candidates":[{"content":{"parts":[{"text":"hi"}]},"finishReason":"STOP"}]}"#;
    let upstream = Upstream::says([begun(), say(&json!({"file": pdf})), Say::json(200, answer)]).await;
    let gateway = gateway(&upstream).await;
    let receipt = upload(&gateway, "user_data", ("tide.pdf", "application/octet-stream"), "%PDF-1.7").await.json();
    assert_eq!((&receipt["purpose"], &receipt["filename"]), (&json!("user_data"), &json!("tide.pdf")));
    let seen = upstream.seen();
    assert_eq!(seen[0].header("x-goog-upload-header-content-type"), "application/pdf");
    assert_eq!(seen[1].body, "%PDF-1.7");
    let ask = json!({"model": "gemini-3-flash", "messages": [{"role": "user", "content": [
        {"type": "text", "text": "When?"}, {"type": "file", "file": {"file_id": receipt["id"]}}]}]});
    let reply = gateway.post("/v1/chat/completions", ask.to_string()).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    let address = "https://generativelanguage.googleapis.com/v1beta/files/tide-7";
    let parts = json!([{"text": "When?"}, {"fileData": {"mimeType": "application/pdf", "fileUri": address}}]);
    assert_eq!(upstream.seen()[0].json()["contents"][0]["parts"], parts);
    upstream.forget();
    upstream.tell([Say::json(200, "{}")]);
    let gone = delete(&gateway, &format!("/v1/files/{}", receipt["id"].as_str().unwrap())).await;
    assert_eq!(gone.json(), json!({"id": receipt["id"], "object": "file", "deleted": true}));
    let seen = upstream.seen().remove(0);
    assert_eq!((seen.method.as_str(), seen.path.as_str()), ("DELETE", "/v1beta/files/tide-7"));
    let refused = upload(&gateway, "fine-tune", ("a.jsonl", "text/plain"), "x").await;
    assert_eq!((refused.status, &refused.json()["error"]["param"]), (400, &json!("purpose")));
}

#[tokio::test]
async fn embeddings_are_asked_for_one_a_line() {
    let mut made = operation("BATCH_STATE_PENDING", json!({}));
    made["metadata"]["@type"] = json!("type.googleapis.com/google.ai.generativelanguage.v1main.EmbedContentBatch");
    let upstream =
        Upstream::says([begun(), kept("files/in-1", "batch gemini-embedding-001 in.jsonl"), say(&made)]).await;
    let gateway = gateway(&upstream).await;
    let embed = |input: Value| {
        let body = json!({"model": "gemini-embedding-001", "input": input, "dimensions": 2});
        json!({"custom_id": "e", "method": "POST", "url": "/v1/embeddings", "body": body}).to_string()
    };
    let refused = upload(&gateway, "batch", ("in.jsonl", "text/plain"), &embed(json!(["a", "b"]))).await;
    assert_eq!(refused.status, 400, "{}", refused.body);
    assert!(refused.body.contains("line 1: `e`: `input` has 2 texts"), "{}", refused.body);
    let file = input(&gateway, &embed(json!("a"))).await;
    let sent: Value = serde_json::from_slice(&upstream.seen()[1].body).unwrap();
    let request = json!({"model": "models/gemini-embedding-001", "content": {"parts": [{"text": "a"}]}, "outputDimensionality": 2});
    assert_eq!(sent, json!({"key": "e", "request": request}));
    let ask = json!({"input_file_id": file, "endpoint": "/v1/embeddings", "completion_window": "24h"});
    let batch = gateway.post("/v1/batches", ask.to_string()).await.json();
    assert_eq!(batch["endpoint"], "/v1/embeddings", "{batch}");
    assert_eq!(upstream.seen()[0].path, "/v1beta/models/gemini-embedding-001:asyncBatchEmbedContent");
    upstream.forget();
    let mut ended = done();
    ended["metadata"]["@type"] = made["metadata"]["@type"].clone();
    let results = r#"{"key":"e","response":{"embedding":{"values":[0.6,0.8]},"usageMetadata":{"promptTokenCount":1}}}"#;
    upstream.tell([say(&ended), Say::bytes(200, results.into())]);
    let answers = gateway.get(&format!("/v1/files/{}/content", id("file-", "ofiles/batch-b7"))).await;
    let body = &lines(&answers.body)[0]["response"]["body"];
    assert_eq!(
        (&body["object"], &body["data"][0]["embedding"]),
        (&json!("list"), &json!([0.6, 0.8])),
        "{}",
        answers.body
    );
}

#[tokio::test]
async fn what_can_not_be_is_refused_by_line_and_forged_ids_reach_nothing() {
    let upstream = Upstream::says([Say::json(500, "{}")]).await;
    let gateway = gateway(&upstream).await;
    for (content, why) in [
        (chat("a", "gemini-3-flash", "x") + "\n" + &chat("b", "gemini-2.5-pro", "x"), "line 2: `b`: `model`"),
        (chat("a", "../x", "x"), "is no model of the Gemini API"),
        (line("a", json!({"model": "gemini-3-flash", "messages": [], "stream": true})), "line 1: `a`: `body.stream`"),
        (String::new(), "has no lines"),
    ] {
        let refused = upload(&gateway, "batch", ("in.jsonl", "text/plain"), &content).await;
        assert_eq!((refused.status, &refused.json()["error"]["param"]), (400, &json!("file")), "{}", refused.body);
        assert!(refused.body.contains(why), "{}", refused.body);
    }
    for forged in ["batches/../files/x", "operations/x", "batches/", "batches/x:cancel?", "batches/x%2e", "batches/X"] {
        let reply = gateway.get(&format!("/v1/batches/{}", id("batch_", &format!("b{forged}")))).await;
        assert_eq!(reply.status, 404, "{forged}: {}", reply.body);
    }
    for forged in ["ifiles/../models/x\nm", "ffiles/x?y\nm", "fmodels/x\nm", "ofiles/x/y", "bbatches/x", "e"] {
        let id = id("file-", forged);
        for path in ["", "/content"] {
            let reply = gateway.get(&format!("/v1/files/{id}{path}")).await;
            assert_eq!(reply.status, 404, "{forged}: {}", reply.body);
        }
        assert_eq!(delete(&gateway, &format!("/v1/files/{id}")).await.status, 404);
    }
    for forged in ["ifiles/x\n../m", "ifiles/x\nm?a", "ofiles/x", "ifiles/x"] {
        let reply = make(&gateway, &id("file-", forged)).await;
        assert_eq!(reply.status, 404, "{forged}: {}", reply.body);
    }
    assert!(upstream.seen().is_empty());
}

#[tokio::test]
async fn an_upload_that_fails_is_told_as_every_failure_is() {
    let quota = r#"{"error":{"code":429,"message":"quota","status":"RESOURCE_EXHAUSTED"}}"#;
    let upstream = Upstream::says([Say::json(429, quota)]).await;
    let gateway = gateway(&upstream).await;
    let content = chat("a", "gemini-3-flash", "x");
    let send = async || upload(&gateway, "batch", ("in.jsonl", "text/plain"), &content).await;
    assert_eq!(send().await.status, 429);
    for silent in [Say::json(200, "{}"), Say::json(200, "{}").header("x-goog-upload-url", "not an address at all")] {
        upstream.forget();
        upstream.tell([silent]);
        let refused = send().await;
        assert!(refused.status >= 500 && refused.body.contains("where to upload"), "{}", refused.body);
    }
    upstream.forget();
    upstream.tell([begun(), Say::json(200, r#"{"file":{"name":"models/x"}}"#)]);
    assert!(send().await.status >= 500);
}
