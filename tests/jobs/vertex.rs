//! Vertex AI: batches whose lines stand in a bucket of Cloud Storage.

use std::collections::BTreeMap;

use ferrogw::config::{Env, Text};
use ferrogw::providers::jobs::gcs;
use ferrogw::providers::settings::Settings;
use ferrogw::providers::table;
use serde_json::{Value, json};

use super::google::{chat, delete, id, input, lines, make, upload};
use crate::support::{Say, Seen, TestGateway, Upstream};

pub(super) const INPUT: &str = "0123456789abcdef0123456789abcdef";
const ROOT: &str = "/v1/projects/p-1/locations/europe-west4";

pub(super) async fn gateway(upstream: &Upstream, options: Value, env: &[(&str, &str)]) -> TestGateway {
    let mut all = json!({"project_id": "p-1", "region": "europe-west4", "batch_bucket": "gs://tides/blue/"});
    all.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
    let yaml = format!(
        "batch_target: vertex-ai\ntargets:\n  - virtual_key: vertex-ai\n    base_url: {}\n    api_key: key-of-the-test-0123456789\n    \
         retry: {{ attempts: 1 }}\n    options: {all}\n",
        upstream.url
    );
    TestGateway::configured(&yaml, env).await
}

fn say(value: &Value) -> Say {
    Say::json(200, &value.to_string())
}

/// An input as the store tells it.
pub(super) fn object(model: &str) -> Value {
    json!({"kind": "storage#object", "name": format!("blue/ferrogw-batches/{INPUT}.jsonl"), "bucket": "tides", "size": "312",
        "timeCreated": "2026-11-20T10:00:00.250Z", "metadata": {"model": model, "filename": "in.jsonl"}})
}

pub(super) const GEMINI: &str = "publishers/google/models/gemini-3-flash";
const CLAUDE: &str = "publishers/anthropic/models/claude-sonnet-5";

/// A job as it is told.
pub(super) fn job(state: &str, model: &str) -> Value {
    json!({"name": "projects/7/locations/europe-west4/batchPredictionJobs/42", "displayName": "ferrogw", "model": model,
        "inputConfig": {"instancesFormat": "jsonl", "gcsSource": {"uris": [format!("gs://tides/blue/ferrogw-batches/{INPUT}.jsonl")]}},
        "outputConfig": {"predictionsFormat": "jsonl", "gcsDestination": {"outputUriPrefix": format!("gs://tides/blue/ferrogw-batches/{INPUT}")}},
        "state": state, "createTime": "2026-11-20T11:00:00.5Z", "updateTime": "2026-11-20T11:00:01Z"})
}

pub(super) const FOLDER: &str =
    "blue/ferrogw-batches/0123456789abcdef0123456789abcdef/prediction-model-2026-11-20T11:00:00.500000Z";

pub(super) fn done(model: &str) -> Value {
    let mut done = job("JOB_STATE_SUCCEEDED", model);
    done["startTime"] = json!("2026-11-20T11:01:00Z");
    done["endTime"] = json!("2026-11-20T11:05:00Z");
    done["completionStats"] = json!({"successfulCount": "2", "failedCount": "1", "incompleteCount": "-1"});
    done["outputInfo"] = json!({"gcsOutputDirectory": format!("gs://tides/{FOLDER}")});
    done
}

/// The results of a job as the store lists them, and things beside them.
fn parts() -> Value {
    let part = |name: &str| json!({"name": format!("{FOLDER}/{name}"), "size": "100"});
    json!({"items": [part("predictions_2.jsonl"), part("incremental.txt"), part("prediction.errors_stats-00000-of-00001"), part("predictions_1.jsonl")]})
}

/// The parts of what was uploaded: what is told of it, and its lines.
fn parts_of(seen: &Seen) -> (Value, Vec<Value>) {
    let boundary = seen.header("content-type").strip_prefix("multipart/related; boundary=").unwrap();
    let body = String::from_utf8(seen.body.to_vec()).unwrap();
    let body = body.strip_suffix(&format!("\r\n--{boundary}--\r\n")).unwrap();
    let all: Vec<_> =
        body.strip_prefix(&format!("--{boundary}\r\n")).unwrap().split(&format!("\r\n--{boundary}\r\n")).collect();
    let content = |part: &str| part.split_once("\r\n\r\n").unwrap().1.to_owned();
    let [about, sent] = [content(all[0]), content(all[1])];
    let sent = sent.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    (serde_json::from_str(&about).unwrap(), sent)
}

fn paths(upstream: &Upstream) -> Vec<String> {
    upstream.seen().into_iter().map(|seen| format!("{} {}", seen.method, seen.path)).collect()
}

#[tokio::test]
async fn openais_usual_script_runs() {
    let upstream =
        Upstream::says([say(&object(GEMINI)), say(&object(GEMINI)), say(&job("JOB_STATE_PENDING", GEMINI))]).await;
    let gateway = gateway(&upstream, json!({}), &[]).await;
    let content = [chat("007", "gemini-3-flash", "When?"), chat("b é", "vertex-ai/google/gemini-3-flash", "Where?")];
    let receipt = upload(&gateway, "batch", ("in.jsonl", "application/jsonl"), &content.join("\n")).await;
    let file = id("file-", &format!("i{INPUT}"));
    let receipt = receipt.json();
    assert_eq!(
        receipt,
        json!({"id": file, "object": "file", "bytes": 312, "created_at": 1_795_168_800, "expires_at": null,
            "filename": "in.jsonl", "purpose": "batch", "status": "processed", "status_details": null})
    );
    let seen = upstream.seen().remove(0);
    assert_eq!(seen.path, "/upload/storage/v1/b/tides/o?uploadType=multipart");
    let (about, sent) = parts_of(&seen);
    assert_eq!(about["metadata"], json!({"model": GEMINI, "filename": "in.jsonl"}));
    let name = about["name"].as_str().unwrap().strip_prefix("blue/ferrogw-batches/").unwrap();
    assert!(name.len() == 38 && name.ends_with(".jsonl"), "{name}");
    let asked = |key: &str, text: &str| {
        json!({"custom_id": key, "request": {"contents": [{"role": "user", "parts": [{"text": text}]}],
            "generationConfig": {"thinkingConfig": {"includeThoughts": true}, "maxOutputTokens": 9}}})
    };
    assert_eq!(sent, [asked("id-007", "When?"), asked("id-b é", "Where?")]);

    let ask = json!({"input_file_id": file, "endpoint": "/v1/chat/completions", "completion_window": "24h",
        "metadata": {"night": "7"}});
    let batch = gateway.post("/v1/batches", ask.to_string()).await.json();
    let seen = upstream.seen();
    let stored = format!("/storage/v1/b/tides/o/blue%2Fferrogw-batches%2F{INPUT}.jsonl");
    assert_eq!((seen[0].method.as_str(), seen[0].path.as_str()), ("GET", stored.as_str()));
    assert_eq!((seen[1].method.as_str(), seen[1].path.clone()), ("POST", format!("{ROOT}/batchPredictionJobs")));
    assert_eq!(
        seen[1].json(),
        json!({"displayName": "{\"night\":\"7\"}", "model": GEMINI,
            "inputConfig": {"instancesFormat": "jsonl", "gcsSource": {"uris": [format!("gs://tides/blue/ferrogw-batches/{INPUT}.jsonl")]}},
            "outputConfig": {"predictionsFormat": "jsonl", "gcsDestination": {"outputUriPrefix": format!("gs://tides/blue/ferrogw-batches/{INPUT}")}}})
    );
    let name = batch["id"].as_str().unwrap();
    assert_eq!((name, &batch["status"]), (id("batch_", "b42").as_str(), &json!("validating")), "{batch}");

    upstream.forget();
    upstream.tell([say(&done(GEMINI))]);
    let batch = gateway.get(&format!("/v1/batches/{name}")).await.json();
    assert_eq!(paths(&upstream), [format!("GET {ROOT}/batchPredictionJobs/42")]);
    assert_eq!(
        (&batch["status"], &batch["model"], &batch["completed_at"], &batch["input_file_id"]),
        (&json!("completed"), &json!("gemini-3-flash"), &json!(1_795_172_700), &json!(file))
    );
    assert_eq!(batch["request_counts"], json!({"total": 3, "completed": 2, "failed": 1}));

    let first = r#"{"status":"","processed_time":"2026-11-20T11:04:00+00:00","custom_id":"id-b é","request":{},"response":{"candidates":[{"content":{"role":"model","parts":[{"text":"Dover."}]},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":3,"candidatesTokenCount":2,"totalTokenCount":5},"modelVersion":"gemini-3-flash","responseId":"r2"}}"#;
    let second = concat!(
        r#"{"custom_id":"id-007","response":{"candidates":[{"content":{"role":"model","parts":[{"text":"06:12"}]},"finishReason":"STOP"}]}}"#,
        "\n",
        r#"{"custom_id":"id-bad","status":"Bad Request: {\"error\": {\"code\": 400, \"message\": \"Please use a valid role: user, model.\", \"status\": \"INVALID_ARGUMENT\"}}","processed_time":"x","request":{"contents":[]},"response":{}}"#,
        "\n"
    );
    let told = |of: &str| {
        let (gateway, upstream) = (&gateway, &upstream);
        let path = format!("/v1/files/{}/content", batch[of].as_str().unwrap());
        async move {
            upstream.forget();
            upstream.tell([
                say(&done(GEMINI)),
                say(&parts()),
                Say::bytes(200, first.into()),
                Say::bytes(200, second.into()),
            ]);
            lines(&gateway.get(&path).await.body)
        }
    };
    let answers = told("output_file_id").await;
    let folder = FOLDER.replace('/', "%2F").replace(':', "%3A");
    assert_eq!(
        paths(&upstream),
        [
            format!("GET {ROOT}/batchPredictionJobs/42"),
            format!("GET /storage/v1/b/tides/o?prefix={folder}%2F&delimiter=%2F&maxResults=1000"),
            format!("GET /storage/v1/b/tides/o/{folder}%2Fpredictions_1.jsonl?alt=media"),
            format!("GET /storage/v1/b/tides/o/{folder}%2Fpredictions_2.jsonl?alt=media"),
        ]
    );
    assert_eq!(answers.iter().map(|line| line["custom_id"].as_str().unwrap()).collect::<Vec<_>>(), ["b é", "007"]);
    assert_eq!(answers[0]["response"]["body"]["choices"][0]["message"]["content"], "Dover.");
    let failures = told("error_file_id").await;
    let error = json!({"message": "Please use a valid role: user, model.", "type": "invalid_request_error", "param": null,
        "code": "INVALID_ARGUMENT"});
    let failed = json!({"custom_id": "bad", "response": {"status_code": 400, "request_id": "", "body": {"error": error}},
        "error": null});
    assert_eq!(failures, [failed]);

    upstream.forget();
    upstream.tell([say(&done(GEMINI)), say(&parts()), Say::bytes(200, first.into()), Say::json(503, "{}")]);
    let path = format!("{}/v1/files/{}/content", gateway.url, batch["output_file_id"].as_str().unwrap());
    let broken = gateway.http.get(path).send().await.unwrap();
    assert_eq!(broken.status(), 200);
    assert!(broken.text().await.is_err(), "a part that is missing breaks the file off");
}

#[tokio::test]
async fn lines_of_claude_are_those_of_its_own_batches() {
    let upstream = Upstream::says([say(&object(CLAUDE))]).await;
    let gateway = gateway(&upstream, json!({}), &[]).await;
    input(&gateway, &chat("a", "claude-sonnet-5", "When?")).await;
    let (about, sent) = parts_of(&upstream.seen()[0]);
    assert_eq!(about["metadata"]["model"], CLAUDE);
    assert_eq!((sent[0]["custom_id"].as_str(), sent[0].as_object().unwrap().len()), (Some("id-a"), 2));
    let request = sent[0]["request"].as_object().unwrap();
    assert_eq!((&request["anthropic_version"], &request["max_tokens"]), (&json!("vertex-2023-10-16"), &json!(9)));
    assert!(!request.contains_key("model") && !request.contains_key("stream"), "{request:?}");
    upstream.forget();
    let message = json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-sonnet-5", "content": [{"type": "text", "text": "06:12"}],
        "stop_reason": "end_turn", "usage": {"input_tokens": 3, "output_tokens": 2}});
    let result = json!({"custom_id": "id-a", "response": message, "status": "", "processed_time": "x"});
    upstream.tell([say(&done(CLAUDE)), say(&parts()), say(&result), Say::json(200, "")]);
    let answers = lines(&gateway.get(&format!("/v1/files/{}/content", id("file-", "o42"))).await.body);
    let body = &answers[0]["response"]["body"];
    assert_eq!((&answers[0]["custom_id"], &body["choices"][0]["message"]["content"]), (&json!("a"), &json!("06:12")));
    assert_eq!(body["usage"]["total_tokens"], 5);
}

#[tokio::test]
async fn what_has_no_batches_there_is_refused_by_its_name() {
    let upstream = Upstream::says([Say::json(500, "{}")]).await;
    let open = gateway(&upstream, json!({}), &[]).await;
    for (model, why) in [
        ("meta/llama-4-maas", "has no batches here"),
        ("4242", "has no batches here"),
        ("mistral-small-2503", "has no batches here"),
    ] {
        let refused = upload(&open, "batch", ("in.jsonl", "text/plain"), &chat("a", model, "x")).await;
        assert_eq!((refused.status, &refused.json()["error"]["param"]), (400, &json!("file")), "{}", refused.body);
        assert!(refused.body.contains("line 1: `a`") && refused.body.contains(why), "{}", refused.body);
    }
    let refused = upload(&open, "user_data", ("a.pdf", "application/pdf"), "x").await;
    assert_eq!((refused.status, &refused.json()["error"]["param"]), (400, &json!("purpose")));
    let nowhere = gateway(&upstream, json!({"batch_bucket": ""}), &[]).await;
    let line = chat("a", "gemini-3-flash", "x");
    for reply in [
        upload(&nowhere, "batch", ("in.jsonl", "text/plain"), &line).await,
        make(&nowhere, &id("file-", &format!("i{INPUT}"))).await,
        nowhere.get("/v1/files").await,
    ] {
        assert_eq!(reply.status, 400, "{}", reply.body);
        assert!(reply.body.contains("VERTEX_BATCH_BUCKET"), "{}", reply.body);
    }
    for forged in ["b42/../x", "b", "b4 2", "bprojects/1", "i42"] {
        let reply = open.get(&format!("/v1/batches/{}", id("batch_", forged))).await;
        assert_eq!(reply.status, 404, "{forged}: {}", reply.body);
    }
    for forged in ["i../x", "i0123", "o4x", "e", "fx", "i0123456789abcdef0123456789abcde/"] {
        let id = id("file-", forged);
        for path in ["", "/content"] {
            assert_eq!(open.get(&format!("/v1/files/{id}{path}")).await.status, 404, "{forged}");
        }
        assert_eq!(delete(&open, &format!("/v1/files/{id}")).await.status, 404, "{forged}");
        assert_eq!(make(&open, &id).await.status, 404, "{forged}");
    }
    assert!(upstream.seen().is_empty());
}

#[tokio::test]
async fn jobs_whose_lines_stand_elsewhere_are_not_ours() {
    let mut foreign = done(GEMINI);
    foreign["inputConfig"]["gcsSource"]["uris"] = json!(["gs://others/blue/ferrogw-batches/x.jsonl"]);
    let mut led_away = done(GEMINI);
    led_away["outputInfo"]["gcsOutputDirectory"] = json!("gs://tides/blue/ferrogw-batches/../secrets");
    let upstream = Upstream::says([say(&foreign)]).await;
    let gateway = gateway(&upstream, json!({}), &[]).await;
    let name = id("batch_", "b42");
    assert_eq!(gateway.get(&format!("/v1/batches/{name}")).await.status, 404);
    assert_eq!(gateway.post(&format!("/v1/batches/{name}/cancel"), "").await.status, 404);
    assert!(upstream.seen().iter().all(|seen| seen.method == "GET"));
    upstream.forget();
    upstream.tell([say(&led_away)]);
    let batch = gateway.get(&format!("/v1/batches/{name}")).await.json();
    assert_eq!((&batch["status"], &batch["output_file_id"]), (&json!("completed"), &Value::Null));
    for path in [format!("/v1/files/{}", id("file-", "o42")), format!("/v1/files/{}/content", id("file-", "o42"))] {
        assert_eq!(gateway.get(&path).await.status, 404, "{path}");
    }
    upstream.forget();
    upstream.tell([say(&json!({"batchPredictionJobs": [foreign, job("JOB_STATE_RUNNING", GEMINI)]}))]);
    let list = gateway.get("/v1/batches").await.json();
    assert_eq!((list["data"].as_array().unwrap().len(), &list["data"][0]["status"]), (1, &json!("in_progress")));
}

#[tokio::test]
async fn files_are_listed_and_deleted_and_batches_cancelled() {
    let mut newer = object(GEMINI);
    newer["name"] = json!(format!("blue/ferrogw-batches/{}.jsonl", "f".repeat(32)));
    newer["timeCreated"] = json!("2026-11-21T10:00:00Z");
    let stranger = json!({"name": "blue/ferrogw-batches/readme.txt", "size": "1"});
    let store = json!({"items": [object(GEMINI), stranger, newer]});
    let upstream = Upstream::says([say(&store), say(&json!({"batchPredictionJobs": [done(GEMINI)]}))]).await;
    let gateway = gateway(&upstream, json!({}), &[]).await;
    let ids = |list: &Value| {
        list["data"].as_array().unwrap().iter().map(|file| file["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let inputs = [id("file-", &format!("i{}", "f".repeat(32))), id("file-", &format!("i{INPUT}"))];
    let results = [id("file-", "o42"), id("file-", "e42")];
    let list = gateway.get("/v1/files").await.json();
    assert_eq!((ids(&list), &list["has_more"]), ([inputs.clone(), results.clone()].concat(), &json!(false)));
    upstream.forget();
    upstream.tell([say(&store), say(&json!({"batchPredictionJobs": [done(GEMINI)]}))]);
    let list = gateway.get(&format!("/v1/files?limit=2&after={}", inputs[0])).await.json();
    assert_eq!((ids(&list), &list["has_more"]), (vec![inputs[1].clone(), results[0].clone()], &json!(true)));
    upstream.forget();
    upstream.tell([say(&json!({"batchPredictionJobs": [done(GEMINI)]}))]);
    let list = gateway.get(&format!("/v1/files?after={}", results[0])).await.json();
    assert_eq!((ids(&list), &list["has_more"]), (vec![results[1].clone()], &json!(false)));

    upstream.forget();
    upstream.tell([Say::json(204, "")]);
    assert_eq!(delete(&gateway, &format!("/v1/files/{}", inputs[1])).await.json()["deleted"], true);
    assert_eq!(paths(&upstream), [format!("DELETE /storage/v1/b/tides/o/blue%2Fferrogw-batches%2F{INPUT}.jsonl")]);
    upstream.forget();
    upstream.tell([say(&done(GEMINI))]);
    let refused = delete(&gateway, &format!("/v1/files/{}", results[1])).await;
    assert_eq!(refused.status, 400, "{}", refused.body);
    upstream.forget();
    upstream.tell([say(&done(GEMINI)), say(&parts()), Say::json(204, "")]);
    assert_eq!(delete(&gateway, &format!("/v1/files/{}", results[0])).await.json()["deleted"], true);
    assert_eq!(paths(&upstream).iter().filter(|path| path.starts_with("DELETE ")).count(), 2);
    upstream.forget();
    upstream.tell([say(&done(GEMINI)), say(&parts())]);
    let file = gateway.get(&format!("/v1/files/{}", results[0])).await.json();
    assert_eq!(
        (&file["bytes"], &file["purpose"], &file["filename"]),
        (&json!(200), &json!("batch_output"), &json!("batch_42_output.jsonl"))
    );

    upstream.forget();
    let running = job("JOB_STATE_RUNNING", GEMINI);
    upstream.tell([say(&running), Say::json(200, "{}"), say(&running)]);
    let batch = gateway.post(&format!("/v1/batches/{}/cancel", id("batch_", "b42")), "").await.json();
    assert_eq!(batch["status"], "cancelling");
    assert_eq!(paths(&upstream)[1], format!("POST {ROOT}/batchPredictionJobs/42:cancel"));
}

#[tokio::test]
async fn the_store_gets_the_credential_unless_the_environment_names_an_emulator() {
    let upstream = Upstream::says([Say::json(500, "{}")]).await;
    let store = Upstream::says([say(&object(GEMINI))]).await;
    let line = chat("a", "gemini-3-flash", "x");
    let named = gateway(&upstream, json!({"storage_endpoint": store.url}), &[]).await;
    input(&named, &line).await;
    let seen = store.seen().remove(0);
    let host = store.url.strip_prefix("http://").unwrap();
    assert_eq!((seen.header("x-goog-api-key"), seen.header("host")), ("key-of-the-test-0123456789", host));
    let emulated = gateway(&upstream, json!({}), &[("STORAGE_EMULATOR_HOST", host)]).await;
    input(&emulated, &line).await;
    let seen = store.seen().remove(0);
    assert_eq!((seen.header("x-goog-api-key"), seen.header("authorization")), ("", ""));
    assert_eq!(seen.path, "/upload/storage/v1/b/tides/o?uploadType=multipart");
    assert!(upstream.seen().is_empty());
}

#[test]
fn buckets_and_addresses_that_are_none_are_refused_by_the_option() {
    let spec = table::find("vertex-ai").unwrap();
    let judged = |name: &str, value: &str| {
        let given =
            BTreeMap::from([(name.to_owned(), Text::from(value)), ("project_id".to_owned(), Text::from("p-1"))]);
        let settings = Settings::resolve(spec, &given, &Env::default()).unwrap();
        gcs::settings(&settings).map_err(|invalid| invalid.to_string())
    };
    for fine in ["gs://tides", "gs://tides/", "gs://my.tides_7-a/blue/green"] {
        assert_eq!(judged("batch_bucket", fine), Ok(()), "{fine}");
    }
    for wrong in
        ["tides", "s3://tides", "gs://", "gs://T", "gs://tides/../x", "gs://tides//x", "gs://ti des", "gs://tides/a?b"]
    {
        let why = judged("batch_bucket", wrong).unwrap_err();
        assert!(why.contains("options.batch_bucket") && why.contains("gs://bucket"), "{why}");
    }
    for fine in ["https://storage.googleapis.com", "localhost:9023", "http://127.0.0.1:9023/"] {
        assert_eq!(judged("storage_endpoint", fine), Ok(()), "{fine}");
    }
    for wrong in ["ftp://x", "https://", "a b"] {
        let why = judged("storage_endpoint", wrong).unwrap_err();
        assert!(why.contains("options.storage_endpoint"), "{why}");
    }
}
