//! What vendors do that nobody hopes for, between the steps of the usual script.

use serde_json::json;

use super::google::{delete, id, lines, make};
use super::{anthropic, gemini, vertex};
use crate::support::{Say, TestGateway, Upstream};
use crate::surfaces::Form;

/// What is known for a secret by its form.
const SECRET: &str = "sk-test-t-0123456789";

#[tokio::test]
async fn results_whose_batch_can_not_be_looked_at_are_neither_deleted_nor_read() {
    let upstream = Upstream::says([]).await;
    let gateway = gemini::gateway(&upstream).await;
    let (errors, output) = (id("file-", "efiles/batch-b7"), id("file-", "ofiles/batch-b7"));
    upstream.tell([Say::json(503, "{}")]);
    assert_eq!(delete(&gateway, &format!("/v1/files/{errors}")).await.status, 503);
    assert_eq!(upstream.seen().iter().map(|seen| seen.method.as_str()).collect::<Vec<_>>(), ["GET"]);
    upstream.forget();
    upstream.tell([Say::json(503, "{}")]);
    assert_eq!(gateway.get(&format!("/v1/files/{output}/content")).await.status, 503);
    // of a batch that is gone they are still there
    upstream.forget();
    upstream.tell([Say::json(404, "{}"), Say::json(200, "{}")]);
    assert_eq!(delete(&gateway, &format!("/v1/files/{errors}")).await.status, 200);
    assert_eq!(upstream.seen()[1].method, "DELETE");
}

#[tokio::test]
async fn why_a_batch_failed_is_told_without_secrets() {
    let mut failed = gemini::operation("BATCH_STATE_FAILED", json!({}));
    failed["error"] = json!({"code": 9, "message": format!("no access with {SECRET}")});
    let told = gemini::say(&failed);
    let listed = gemini::say(&json!({"operations": [failed]}));
    let mut file = gemini::resource("files/x", "user_data a.pdf");
    (file["state"], file["error"]) = (json!("FAILED"), json!({"code": 3, "message": format!("bad {SECRET}")}));
    let upstream = Upstream::says([told, listed, gemini::say(&file), gemini::say(&json!({"files": [file]}))]).await;
    let gateway = gemini::gateway(&upstream).await;
    let (batch, file) = (id("batch_", "bbatches/b7"), id("file-", "ffiles/x\napplication/jsonl"));
    for path in [format!("/v1/batches/{batch}"), "/v1/batches".into(), format!("/v1/files/{file}"), "/v1/files".into()]
    {
        let reply = gateway.get(&path).await;
        assert_eq!(reply.status, 200, "{path}: {}", reply.body);
        assert!(reply.body.contains("no access with") || reply.body.contains("\"bad "), "{path}: {}", reply.body);
        assert!(!reply.body.contains(SECRET), "{path}: {}", reply.body);
    }
}

#[tokio::test]
async fn what_is_not_there_is_not_told_by_the_operators_names() {
    let upstream = Upstream::says([]).await;
    let gateway = vertex::gateway(&upstream, json!({}), &[]).await;
    let gone =
        json!({"error": {"code": 404, "status": "NOT_FOUND", "message": "No such object: tides/blue, of projects/7"}});
    let (input, batch) = (id("file-", &format!("i{}", vertex::INPUT)), id("batch_", "b42"));
    let (file, output) = (format!("/v1/files/{input}"), format!("/v1/files/{}/content", id("file-", "o42")));
    for path in [&file, &output, &format!("/v1/batches/{batch}")] {
        upstream.tell([Say::json(404, &gone.to_string())]);
        let reply = gateway.get(path).await;
        assert_eq!((reply.status, reply.code().as_str()), (404, "resource_not_found"), "{}", reply.body);
        assert!(!reply.body.contains("tides") && !reply.body.contains("projects"), "{}", reply.body);
    }
    upstream.tell([Say::json(404, &gone.to_string())]);
    let reply = make(&gateway, &input).await;
    assert!(reply.status == 404 && !reply.body.contains("tides"), "{}", reply.body);
    assert!(reply.body.contains("No such File object"), "{}", reply.body);
}

#[tokio::test]
async fn counts_of_any_size_are_counts() {
    let most = u64::MAX.to_string();
    let stats = json!({"successfulRequestCount": most, "failedRequestCount": most, "pendingRequestCount": most});
    let upstream = Upstream::says([gemini::say(&gemini::operation("BATCH_STATE_RUNNING", stats))]).await;
    let gateway = gemini::gateway(&upstream).await;
    let batch = gateway.get(&format!("/v1/batches/{}", id("batch_", "bbatches/b7"))).await.json();
    assert_eq!(batch["request_counts"], json!({"total": u64::MAX, "completed": u64::MAX, "failed": u64::MAX}));

    let counts = [u64::MAX, u64::MAX, u64::MAX, u64::MAX, 1];
    let upstream = Upstream::says([gemini::say(&anthropic::job(anthropic::NAME, "ended", counts))]).await;
    let gateway = super::keeper("anthropic", &upstream, "").await;
    let batch = id("batch_", &format!("b{}", anthropic::NAME));
    assert_eq!(gateway.get(&format!("/v1/batches/{batch}")).await.json()["request_counts"]["failed"], u64::MAX);

    let mut job = vertex::done(vertex::GEMINI);
    job["completionStats"] = json!({"successfulCount": most, "failedCount": most, "incompleteCount": most});
    let upstream = Upstream::says([gemini::say(&job)]).await;
    let gateway = vertex::gateway(&upstream, json!({}), &[]).await;
    let batch = gateway.get(&format!("/v1/batches/{}", id("batch_", "b42"))).await.json();
    assert_eq!(batch["request_counts"]["total"], u64::MAX);
}

#[tokio::test]
async fn no_result_is_lost_where_the_vendor_has_counted_otherwise() {
    let upstream = Upstream::says([]).await;
    let gateway = vertex::gateway(&upstream, json!({}), &[]).await;
    let parts = json!({"items": [{"name": format!("{}/predictions_1.jsonl", vertex::FOLDER), "size": "1"}]});
    let result = r#"{"custom_id":"id-a","status":"Bad Request: {\"error\": {\"code\": 400, \"message\": \"odd\"}}"}"#;
    let mut job = vertex::done(vertex::GEMINI);
    job["completionStats"] = json!({"successfulCount": "1"});
    upstream.tell([gemini::say(&job), gemini::say(&parts), Say::bytes(200, result.into())]);
    let output = gateway.get(&format!("/v1/files/{}/content", id("file-", "o42"))).await;
    assert_eq!(lines(&output.body)[0]["response"]["status_code"], 400, "{}", output.body);

    // who counts nothing may have both
    upstream.forget();
    job["completionStats"] = json!({});
    upstream.tell([gemini::say(&job)]);
    let batch = gateway.get(&format!("/v1/batches/{}", id("batch_", "b42"))).await.json();
    assert!(batch["output_file_id"].is_string() && batch["error_file_id"].is_string(), "{batch}");
    let mut done = gemini::done();
    done["metadata"]["batchStats"] = json!({"requestCount": "3"});
    let upstream = Upstream::says([gemini::say(&done)]).await;
    let gateway = gemini::gateway(&upstream).await;
    let batch = gateway.get(&format!("/v1/batches/{}", id("batch_", "bbatches/b7"))).await.json();
    assert!(batch["output_file_id"].is_string() && batch["error_file_id"].is_string(), "{batch}");
}

#[tokio::test]
async fn results_of_a_job_that_goes_on_are_not_there_yet() {
    let upstream = Upstream::says([]).await;
    let gateway = vertex::gateway(&upstream, json!({}), &[]).await;
    let mut job = vertex::done(vertex::GEMINI);
    job["state"] = json!("JOB_STATE_RUNNING");
    let output = format!("/v1/files/{}", id("file-", "o42"));
    upstream.tell([gemini::say(&job), gemini::say(&job)]);
    assert_eq!(gateway.get(&format!("{output}/content")).await.status, 404);
    assert_eq!(delete(&gateway, &output).await.status, 404);
    assert_eq!(upstream.seen().len(), 2);
}

#[tokio::test]
async fn results_in_several_parts_are_played_without_the_store() {
    let folder = tempfile::tempdir().unwrap();
    let part = |at: u64| format!("{}/predictions_{at}.jsonl", vertex::FOLDER);
    let listed = json!({"items": [{"name": part(1), "size": "1"}, {"name": part(2), "size": "1"}]});
    let at = |at| format!("/storage/v1/b/tides/o/{}?alt=media", part(at).replace('/', "%2F").replace(':', "%3A"));
    let result = |id: &str| format!(r#"{{"custom_id":"id-{id}","response":{{"candidates":[]}}}}"#);
    let root = "/v1/projects/p-1/locations/europe-west4";
    let exchanges = [
        (format!("{root}/batchPredictionJobs/42"), vertex::done(vertex::GEMINI).to_string()),
        ("/storage/v1/b/tides/o?prefix=x".to_owned(), listed.to_string()),
        (at(1), result("one")),
        (at(2), result("two")),
    ];
    for (number, (path, text)) in exchanges.iter().enumerate() {
        // nobody listens at the root
        let exchange = json!({"cassette": 1, "provider": "vertex-ai", "root": format!("http://127.0.0.1:1{root}"),
            "operation": "files", "request": {"method": "GET", "path": path},
            "response": {"status": 200, "chunks": [{"text": text}]}});
        std::fs::write(folder.path().join(format!("{number:06}-vertex-ai-files.json")), exchange.to_string()).unwrap();
    }
    let yaml = format!(
        "batch_target: t\ntargets:\n  - {{ virtual_key: t, provider: vertex-ai, base_url: \"replay://{}\", replay_speed: 0, \
         options: {{ batch_bucket: gs://tides/blue }} }}\n",
        folder.path().display()
    );
    let gateway = TestGateway::configured(&yaml, &[]).await;
    let reply = gateway.get(&format!("/v1/files/{}/content", id("file-", "o42"))).await;
    let mut all = lines(&reply.body);
    let failures = gateway.get(&format!("/v1/files/{}/content", id("file-", "e42"))).await;
    all.extend(lines(&failures.body));
    let ids: Vec<_> = all.iter().map(|line| line["custom_id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["one", "two"], "{}", reply.body);
}

#[tokio::test]
async fn a_list_by_purpose_looks_beyond_pages_without_a_match() {
    let upstream = Upstream::says([]).await;
    let gateway = super::keeper("anthropic", &upstream, "").await;
    let file = |id: &str, made: bool| json!({"id": id, "filename": "a", "size_bytes": 1, "downloadable": made});
    let page = |data, more: bool| gemini::say(&json!({"data": data, "has_more": more}));
    upstream.tell([page(json!([file("file_1", false)]), true), page(json!([file("file_2", true)]), false)]);
    let list = gateway.get("/v1/files?purpose=assistants_output&limit=1").await.json();
    assert_eq!((&list["last_id"], &list["has_more"]), (&json!("file_2"), &json!(false)), "{list}");
    let paths: Vec<_> = upstream.seen().into_iter().map(|seen| seen.path).collect();
    assert_eq!(paths, ["/v1/files?limit=1", "/v1/files?limit=1000&after_id=file_1"]);

    // batches that have no files are passed over in long strides
    upstream.forget();
    let job = |name: &str, ended: &str| anthropic::job(name, ended, [0, 1, 0, 0, 0]);
    upstream.tell([
        page(json!([job("msgbatch_1", "in_progress")]), true),
        page(json!([job("msgbatch_2", "in_progress"), job("msgbatch_3", "ended")]), false),
    ]);
    let list = gateway.get("/v1/files?purpose=batch_output&limit=1").await.json();
    assert_eq!(list["data"].as_array().map(Vec::len), Some(1), "{list}");
    let paths: Vec<_> = upstream.seen().into_iter().map(|seen| seen.path).collect();
    let batches = "/v1/messages/batches?limit=";
    assert_eq!(paths, [format!("{batches}1"), format!("{batches}1000&after_id=msgbatch_1")]);
}

#[tokio::test]
async fn uploads_with_long_lines_wait_for_each_other_and_all_are_taken() {
    let upstream = Upstream::says([]).await;
    let gateway = super::keeper("anthropic", &upstream, "").await;
    let mut long = super::chat("a", "m");
    long["body"]["messages"][0]["content"] = "tide ".repeat(400_000).into();
    let content = super::lines(&[long, super::chat("b", "m"), super::chat("c", "m")]);
    let uploads = (0..6).map(|_| super::upload(&gateway, "batch", content.clone()));
    for reply in futures_util::future::join_all(uploads).await {
        assert_eq!((reply.status, reply.json()["bytes"].as_u64()), (200, Some(content.len() as u64)), "{}", reply.body);
    }
}

#[tokio::test]
async fn a_form_with_two_files_is_refused() {
    let upstream = Upstream::says([]).await;
    let gateway = super::keeper("anthropic", &upstream, "").await;
    let content = super::lines(&[super::chat("a", "m")]).into_bytes();
    let form = Form::default().text("purpose", "batch");
    let form = form.file("file", "a.jsonl", content.clone()).file("file", "b.jsonl", content);
    let request = gateway.http.post(format!("{}/v1/files", gateway.url)).bearer_auth("any");
    let refused = gateway.send(form.on(request)).await;
    assert_eq!((refused.status, &refused.json()["error"]["param"]), (400, &json!("file")), "{}", refused.body);
}
