//! Cohere's batches over datasets.

use bytes::Bytes;
use ferrogw::wire::jobs::id::{Kind, Name};
use serde_json::{Value, json};

use super::{chat, delete, id, keeper, lines, order, results, upload};
use crate::support::{Say, TestGateway, Upstream};

const MODEL: &str = "command-a-03-2025";
const NAME: &str = "ferrogw__command-a-03-2025__in.jsonl";

fn say(value: &Value) -> Say {
    Say::json(200, &value.to_string())
}

fn dataset(status: &str, parts: &Value) -> Say {
    say(
        &json!({"dataset": {"id": "in-x1", "name": NAME, "created_at": "2026-01-15T12:00:00Z", "validation_status": status,
        "updated_at": "2026-01-15T12:00:00Z", "dataset_type": "batch-chat-v2-input", "validation_error": "row 1",
        "dataset_parts": parts}}),
    )
}

fn batch(status: &str, counts: [u64; 2]) -> Value {
    json!({"id": "b-1", "name": "ferrogw", "status": format!("BATCH_STATUS_{status}"), "model": MODEL, "org_id": "o",
        "input_dataset_id": "in-x1", "output_dataset_id": if counts == [0, 0] { "" } else { "out-1" },
        "created_at": "2026-01-15T12:00:00Z", "updated_at": "2026-01-15T13:00:00Z", "num_records": counts[0] + counts[1],
        "num_successful_records": counts[0], "num_failed_records": counts[1], "input_tokens": "50", "output_tokens": "20"})
}

fn job(status: &str, counts: [u64; 2]) -> Say {
    say(&json!({"batch": batch(status, counts)}))
}

async fn kept(gateway: &TestGateway, upstream: &Upstream) -> String {
    upstream.tell([say(&json!({"id": "in-x1"}))]);
    id(&upload(gateway, "batch", lines(&[chat("a", MODEL), chat("b", MODEL)])).await)
}

/// One record in Avro: a text of less than 64 bytes has its length, doubled, before it.
fn text(text: &str) -> Vec<u8> {
    let mut out = vec![u8::try_from(text.len() * 2 % 128).unwrap() | if text.len() >= 64 { 0x80 } else { 0 }];
    if text.len() >= 64 {
        out.push(u8::try_from(text.len() * 2 / 128).unwrap());
    }
    out.extend_from_slice(text.as_bytes());
    out
}

/// Results as they come, in two blocks.
fn avro() -> Vec<u8> {
    let schema = json!({"type": "record", "name": "Row", "fields": [{"name": "custom_id", "type": "string"},
        {"name": "error", "type": "string"},
        {"name": "body", "type": ["null", {"type": "record", "name": "Body", "fields": [
            {"name": "id", "type": "string"}, {"name": "finish_reason", "type": "string"},
            {"name": "message", "type": {"type": "record", "name": "Message", "fields": [{"name": "role", "type": "string"},
                {"name": "content", "type": {"type": "array", "items": {"type": "record", "name": "Part", "fields": [
                    {"name": "type", "type": "string"}, {"name": "text", "type": ["null", "string"]}]}}}]}}]}]}]});
    let mark = [9; 16];
    let mut file = b"Obj\x01\x02\x16avro.schema".to_vec();
    file.extend([text(&schema.to_string()), vec![0], mark.to_vec()].concat());
    let good = [
        text("a"),
        text(""),
        vec![2],
        text("c-1"),
        text("COMPLETE"),
        text("assistant"),
        vec![2],
        text("text"),
        vec![2],
        text("High."),
        vec![0],
    ]
    .concat();
    let bad = [text("b"), text("Invalid request"), vec![0]].concat();
    for record in [good, bad] {
        file.extend([vec![2, u8::try_from(record.len() * 2).unwrap()], record, mark.to_vec()].concat());
    }
    file
}

#[tokio::test]
async fn the_usual_script_of_a_batch_runs() {
    let upstream = Upstream::says([]).await;
    let gateway = keeper("cohere", &upstream, "").await;
    upstream.tell([say(&json!({"id": "in-x1"}))]);
    let file = upload(&gateway, "batch", lines(&[chat("a", MODEL), chat("b", MODEL)])).await.json();
    assert_eq!(
        (&file["status"], &file["purpose"], &file["filename"]),
        (&"uploaded".into(), &"batch".into(), &"in.jsonl".into())
    );
    let put = upstream.seen().remove(0);
    assert_eq!(
        (put.method.as_str(), put.path.as_str()),
        ("POST", &*format!("/v1/v1/datasets?name={NAME}&type=batch-chat-v2-input"))
    );
    assert!(put.header("content-type").starts_with("multipart/form-data; boundary=lines-"));
    let sent = String::from_utf8_lossy(&put.body).into_owned();
    let row = r#"{"custom_id":"a","body":{"messages":[{"role":"user","content":[{"type":"text","text":"How high is the tide?"}]}],"max_tokens":9}}"#;
    assert!(sent.contains("name=\"data\"; filename=\"batch.jsonl\"") && sent.contains(row), "{sent}");

    upstream.forget();
    upstream.tell([dataset("processing", &Value::Null), dataset("validated", &Value::Null), job("QUEUED", [0, 0])]);
    let made = order(&gateway, file["id"].as_str().unwrap()).await.json();
    assert_eq!(
        (&made["status"], &made["input_file_id"], &made["model"]),
        (&"validating".into(), &file["id"], &MODEL.into())
    );
    assert_eq!((&made["org_id"], &made["output_file_id"]), (&Value::Null, &Value::Null));
    let seen = upstream.seen();
    assert_eq!((seen[1].path.as_str(), seen[2].path.as_str()), ("/v1/v1/datasets/in-x1", "/v1/v2/batches"));
    assert_eq!(seen[2].json(), json!({"name": "ferrogw", "input_dataset_id": "in-x1", "model": MODEL}));

    let url = format!("{}/bucket/out.avro?X-Goog-Signature=abc", upstream.url);
    let parts = json!([{"id": "p", "name": "p", "url": url}]);
    let told = || [job("COMPLETED", [1, 1]), dataset("validated", &parts), Say::bytes(200, avro())];
    upstream.forget();
    upstream.tell([job("COMPLETED", [1, 1])]);
    upstream.tell(told());
    let at = format!("/v1/batches/{}", made["id"].as_str().unwrap());
    let done = gateway.get(&at).await.json();
    assert_eq!((&done["status"], &done["completed_at"]), (&"completed".into(), &1_768_482_000.into()));
    assert_eq!(done["request_counts"], json!({"total": 2, "completed": 1, "failed": 1}));
    assert_eq!(done["usage"]["total_tokens"], 70);
    let good = results(&gateway.get(&format!("/v1/files/{}/content", done["output_file_id"].as_str().unwrap())).await);
    assert_eq!((good.len(), &good[0]["custom_id"]), (1, &"a".into()));
    let answer = &good[0]["response"]["body"];
    assert_eq!((&answer["choices"][0]["message"]["content"], &answer["model"]), (&"High.".into(), &MODEL.into()));
    let seen = upstream.seen();
    assert_eq!(seen[3].path, "/bucket/out.avro?X-Goog-Signature=abc");
    assert_eq!((seen[3].header("authorization"), seen[3].header("x-client-name")), ("", ""));

    upstream.forget();
    upstream.tell(told());
    let bad = results(&gateway.get(&format!("/v1/files/{}/content", done["error_file_id"].as_str().unwrap())).await);
    assert_eq!((bad.len(), &bad[0]["custom_id"]), (1, &"b".into()));
    assert_eq!(bad[0]["response"]["body"]["error"]["message"], "Invalid request");
}

#[tokio::test]
async fn what_a_row_can_not_say_is_refused_by_line() {
    let upstream = Upstream::says([]).await;
    let gateway = keeper("cohere", &upstream, "").await;
    let mut schema = chat("b", MODEL);
    schema["body"]["response_format"] = json!({"type": "json_object"});
    let reply = upload(&gateway, "batch", lines(&[chat("a", MODEL), schema])).await;
    assert!(
        reply.status == 400 && reply.body.contains("line 2") && reply.body.contains("`response_format`"),
        "{}",
        reply.body
    );
    let reply = upload(&gateway, "user_data", "x").await;
    assert_eq!(reply.json()["error"]["param"], "purpose");
    assert!(upstream.seen().is_empty());
}

#[tokio::test]
async fn a_model_says_nothing_else_of_its_dataset() {
    let upstream = Upstream::says([say(&json!({"id": "in-x1"}))]).await;
    let gateway = keeper("cohere", &upstream, "").await;
    let model = "a&type=embed-input#b c";
    assert_eq!(upload(&gateway, "batch", lines(&[chat("a", model)])).await.status, 200);
    let path = "/v1/v1/datasets?name=ferrogw__a%26type%3Dembed-input%23b%20c__in.jsonl&type=batch-chat-v2-input";
    assert_eq!(upstream.seen()[0].path, path);
}

#[tokio::test]
async fn a_dataset_that_is_no_good_becomes_no_batch() {
    let upstream = Upstream::says([]).await;
    let gateway = keeper("cohere", &upstream, "").await;
    let input = kept(&gateway, &upstream).await;
    upstream.forget();
    upstream.tell([dataset("failed", &Value::Null)]);
    let reply = order(&gateway, &input).await;
    assert!(reply.status == 400 && reply.body.contains("row 1"), "{}", reply.body);
    assert_eq!(gateway.get(&format!("/v1/files/{input}")).await.json()["status_details"], "row 1");
    // one that was not uploaded here says no model
    upstream.forget();
    let other =
        json!({"id": "in-x1", "name": "mine", "dataset_type": "batch-chat-v2-input", "validation_status": "validated"});
    upstream.tell([say(&json!({"dataset": other}))]);
    let reply = order(&gateway, &input).await;
    assert!(reply.status == 400 && reply.body.contains("uploaded here"), "{}", reply.body);
}

#[tokio::test]
async fn results_are_fetched_from_hosts_that_are_known_alone() {
    let upstream = Upstream::says([]).await;
    let gateway = keeper("cohere", &upstream, "").await;
    let output = Name::new(Kind::Output, ["b-1"]).encode();
    for url in
        ["http://169.254.169.254/latest", "https://evil.example/x", "https://storage.googleapis.com.evil.example/x", ""]
    {
        upstream.forget();
        upstream.tell([job("COMPLETED", [1, 0]), dataset("validated", &json!([{"id": "p", "name": "p", "url": url}]))]);
        let reply = gateway.get(&format!("/v1/files/{output}/content")).await;
        assert_eq!(reply.status, 502, "{}", reply.body);
        assert!(reply.body.contains("not asked") && !reply.body.contains("evil"), "{}", reply.body);
    }
    upstream.forget();
    upstream.tell([job("COMPLETED", [1, 0]), dataset("validated", &json!([]))]);
    let reply = gateway.get(&format!("/v1/files/{output}/content")).await;
    assert!(reply.status == 502 && reply.body.contains("names no files"), "{}", reply.body);
    // what can't be had, or read, does not end as if it were whole
    let parts = json!([{"id": "p", "name": "p", "url": format!("{}/p", upstream.url)}]);
    let begin = || [job("COMPLETED", [1, 0]), dataset("validated", &parts)];
    upstream.forget();
    upstream.tell(begin().into_iter().chain([Say::json(403, "expired")]));
    assert_eq!(gateway.get(&format!("/v1/files/{output}/content")).await.status, 502);
    let cut = Bytes::from(avro());
    for file in [cut.slice(..cut.len() - 1), cut.slice(..20), Bytes::from_static(b"Obj\x01\x00")] {
        upstream.forget();
        upstream.tell(begin().into_iter().chain([Say::bytes(200, file.to_vec())]));
        let url = format!("{}/v1/files/{output}/content", gateway.url);
        let said = async { gateway.http.get(&url).bearer_auth("any").send().await?.text().await };
        assert!(said.await.is_err());
    }
    // parts come one after the other
    let parts = json!([{"id": "p", "name": "p", "url": format!("{}/1", upstream.url), "index": 0},
        {"id": "q", "name": "q", "url": format!("{}/2", upstream.url), "index": 1}]);
    let second = lines(&[json!({"custom_id": "z", "error": "", "body": {"id": "c", "message": {"content": []}}})]);
    upstream.forget();
    upstream.tell([
        job("COMPLETED", [2, 0]),
        dataset("validated", &parts),
        Say::bytes(200, avro()),
        Say::bytes(200, second.into()),
    ]);
    let told = results(&gateway.get(&format!("/v1/files/{output}/content")).await);
    // the batch has counted none that failed, and has no other file for the one that did
    let ids: Vec<_> = told.iter().map(|line| line["custom_id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["a", "b", "z"]);
}

#[tokio::test]
async fn files_and_batches_are_listed_ended_and_deleted() {
    let upstream = Upstream::says([]).await;
    let gateway = keeper("cohere", &upstream, "").await;
    let older = json!({"id": "in-0", "name": NAME, "created_at": "2026-01-14T12:00:00Z", "dataset_type": "batch-embed-v2-input",
        "validation_status": "queued"});
    let newer = json!({"id": "in-1", "name": NAME, "created_at": "2026-01-15T12:00:00Z", "dataset_type": "batch-chat-v2-input",
        "validation_status": "validated"});
    let other = json!({"id": "x", "name": "x", "created_at": "2026-01-15T12:00:00Z", "dataset_type": "embed-input"});
    upstream.tell([say(&json!({"datasets": [older, newer, other]})), say(&json!({"datasets": null}))]);
    let page = gateway.get("/v1/files?purpose=batch&limit=1").await.json();
    let first = Name::new(Kind::Input, ["in-1"]).encode();
    assert_eq!((&page["data"][0]["id"], &page["has_more"]), (&first.as_str().into(), &true.into()));
    let paths: Vec<_> = upstream.seen().into_iter().map(|seen| seen.path).collect();
    assert_eq!(paths, ["/v1/v1/datasets?limit=1000&offset=0", "/v1/v1/datasets?limit=1000&offset=3"]);

    let mut old = batch("COMPLETED", [1, 0]);
    (old["id"], old["created_at"]) = ("b-0".into(), "2026-01-14T12:00:00Z".into());
    let pages = || {
        [
            say(&json!({"batches": [old], "next_page_token": "n+1"})),
            say(&json!({"batches": [batch("IN_PROGRESS", [0, 0])], "next_page_token": ""})),
        ]
    };
    upstream.forget();
    upstream.tell(pages());
    let page = gateway.get("/v1/batches?limit=1").await.json();
    let batch = Name::new(Kind::Batch, ["b-1"]).encode();
    assert_eq!((&page["data"][0]["id"], &page["has_more"]), (&batch.as_str().into(), &true.into()));
    assert_eq!(upstream.seen()[1].path, "/v1/v2/batches?page_size=1000&page_token=n%2B1");
    upstream.forget();
    upstream.tell(pages());
    let rest = gateway.get(&format!("/v1/batches?after={batch}")).await.json();
    assert_eq!((rest["data"].as_array().unwrap().len(), &rest["has_more"]), (1, &false.into()));
    upstream.forget();
    upstream.tell(pages());
    let outputs = gateway.get("/v1/files?purpose=batch_output").await.json();
    assert_eq!(
        (&outputs["data"][0]["filename"], outputs["data"].as_array().unwrap().len()),
        (&"b-0_output.jsonl".into(), 1)
    );

    upstream.forget();
    upstream.tell([say(&json!({})), job("CANCELING", [0, 0])]);
    let ended = gateway.post(&format!("/v1/batches/{batch}/cancel"), "").await.json();
    assert_eq!((&ended["status"], &ended["cancelling_at"]), (&"cancelling".into(), &1_768_482_000.into()));
    assert_eq!(upstream.seen()[0].path, "/v1/v2/batches/b-1:cancel");

    let (output, errors) = (Name::new(Kind::Output, ["b-1"]).encode(), Name::new(Kind::Errors, ["b-1"]).encode());
    upstream.forget();
    let (own, account) = (say(&json!({"dataset": newer})), say(&json!({"dataset": other})));
    upstream.tell([job("COMPLETED", [1, 1]), job("COMPLETED", [1, 1]), say(&json!({})), own, say(&json!({})), account]);
    assert!(delete(&gateway, &format!("/v1/files/{errors}")).await.body.contains("output_file_id"));
    assert_eq!(delete(&gateway, &format!("/v1/files/{output}")).await.json()["deleted"], true);
    assert_eq!(delete(&gateway, &format!("/v1/files/{first}")).await.json()["deleted"], true);
    let seen = upstream.seen();
    assert_eq!((seen[2].method.as_str(), seen[2].path.as_str()), ("DELETE", "/v1/v1/datasets/out-1"));
    assert_eq!((seen[4].method.as_str(), seen[4].path.as_str()), ("DELETE", "/v1/v1/datasets/in-1"));
    // a dataset of the account that is no input of a batch
    let foreign = Name::new(Kind::Input, ["x"]).encode();
    assert_eq!(delete(&gateway, &format!("/v1/files/{foreign}")).await.status, 404);
    assert_eq!(upstream.seen().last().unwrap().method, "GET");

    upstream.forget();
    upstream.tell([Say::json(404, r#"{"message":"not found"}"#)]);
    let forged = Name::new(Kind::Output, ["../../v1/models"]).encode();
    for path in [
        format!("/v1/batches/{batch}"),
        format!("/v1/files/{first}"),
        format!("/v1/files/{output}/content"),
        format!("/v1/files/{forged}"),
    ] {
        let reply = gateway.get(&path).await;
        assert_eq!((reply.status, reply.code().as_str()), (404, "resource_not_found"), "{path}");
    }
    assert_eq!(upstream.seen().len(), 3);
}
