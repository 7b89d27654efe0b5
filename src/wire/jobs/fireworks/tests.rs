//! Fireworks' jobs and datasets, as its API tells them.

use serde_json::{Value, json};

use super::*;
use crate::wire::Dialect;
use crate::wire::jobs::item::Endpoint;

fn object(value: &Value) -> Object {
    Object::parse(Bytes::from(value.to_string())).expect("it is one")
}

#[test]
fn a_line_says_neither_the_model_nor_that_it_streams() {
    let body = br#"{"model":"accounts/fireworks/models/m","stream":true,"stream_options":{"include_usage":true},"max_tokens":9000,"x":1}"#;
    let ask = Asked { custom_id: "a\"b", endpoint: Endpoint::Chat, model: "m", dialect: Dialect::OpenAi, body };
    let mut out = Vec::new();
    line(&mut out, &ask).expect("it can be said");
    assert_eq!(String::from_utf8_lossy(&out), r#"{"custom_id":"a\"b","body":{"max_tokens":9000,"x":1}}"#);
}

#[test]
fn a_display_name_says_the_model_and_the_file() {
    let read = |model: &str, filename: &str| {
        let name = display_name(model, filename);
        let told = json!({"name": "accounts/a/datasets/d-1", "displayName": name, "state": "READY",
            "status": {"code": "OK", "message": ""}});
        let dataset = dataset(&object(&told)).expect("it is one").expect("it is ours");
        assert_eq!((dataset.model.as_str(), dataset.file.status), (model, Standing::Processed));
        (name.chars().count(), dataset.file.filename)
    };
    assert_eq!(read("accounts/fireworks/models/kimi-k2", "my asks.jsonl").1, "my asks.jsonl");
    assert_eq!(read("accounts/me/models/ft-1", "").1, "batch.jsonl");
    let (length, filename) = read("accounts/fireworks/models/kimi-k2", &"ä".repeat(99));
    assert_eq!((length, filename.chars().count()), (63, 47));
    // a name too long for it is not cut
    read(&format!("accounts/me/models/{}", "m".repeat(80)), "in.jsonl");
    let other = json!({"name": "accounts/a/datasets/d-1", "displayName": "mine"});
    assert!(dataset(&object(&other)).expect("it is one").is_none());
    assert!(dataset(&object(&json!({"name": "accounts/a/datasets/.."}))).is_err());
}

#[test]
fn a_state_is_a_status() {
    let told = |state: &str| {
        let job = json!({"name": "accounts/a/batchInferenceJobs/j", "state": format!("JOB_STATE_{state}"),
            "outputDatasetId": "accounts/a/datasets/o", "updateTime": "2026-01-15T13:00:00Z", "jobProgress": null});
        batch(object(&job)).expect("it is one").2
    };
    for (state, status) in [
        ("VALIDATING", Status::Validating),
        ("PENDING", Status::InProgress),
        ("RE_QUEUEING", Status::InProgress),
        ("NEW_WORD", Status::InProgress),
        ("WRITING_RESULTS", Status::Finalizing),
        ("EXPIRED", Status::Expired),
        ("CANCELLING", Status::Cancelling),
        ("DELETING_CLEANING_UP", Status::Cancelled),
    ] {
        let batch = told(state);
        assert_eq!((batch.status, batch.output_file_id), (status, None), "{state}");
    }
    assert!(told("COMPLETED").output_file_id.is_some());
}

#[test]
fn a_job_names_no_account() {
    let job = json!({"name": "accounts/secret/batchInferenceJobs/j", "createdBy": "me@secret.example", "precision": "BF16",
        "inputDatasetId": "accounts/secret/datasets/i", "outputDatasetId": "accounts/secret/datasets/o",
        "state": "JOB_STATE_EXPIRED", "displayName": "", "placement": null, "waitingOnCapacity": false,
        "jobProgress": {"totalInputRequests": 1, "totalProcessedRequests": 3, "successfullyProcessedRequests": 2,
            "failedRequests": 1, "inputTokens": "126", "outputTokens": 15, "cachedInputTokenCount": 82}});
    let (id, output, batch) = batch(object(&job)).expect("it is one");
    assert_eq!((id.as_str(), output.as_deref()), ("j", Some("o")));
    assert_eq!(batch.counts, Counts { total: 3, completed: 2, failed: 1 });
    assert_eq!(batch.usage, Some(Consumed { input: 126, cached: 82, output: 15, reasoning: 0 }));
    let said = String::from_utf8_lossy(&batch.encode().encode()).into_owned();
    assert!(!said.contains("secret") && said.ends_with(r#""precision":"BF16","waitingOnCapacity":false}"#), "{said}");
}

#[test]
fn a_line_of_results_is_an_answer_or_a_failure() {
    let failure = |line: &str| told(line.as_bytes()).expect("it is one").outcome.expect_err("it failed");
    let good = told(br#"{"custom_id":"a","response":{"id":"c"}}"#).expect("it is one");
    assert_eq!(good.outcome.as_deref(), Ok(&br#"{"id":"c"}"#[..]));
    let said = failure(r#"{"custom_id":"a","error":{"message":"no","code":400}}"#);
    assert_eq!((said.status, said.code, said.message.as_str()), (Some(400), None, "no"));
    let said = failure(r#"{"custom_id":"a","response":null,"error":{"message":"no","code":"INTERNAL"}}"#);
    assert_eq!((said.status, said.code.as_deref()), (Some(500), Some("INTERNAL")));
    assert_eq!(failure(r#"{"custom_id":"a","error":"no"}"#).message, "no");
    assert!(told(br#"{"custom_id":"a"}"#).is_err() && told(b"[]").is_err());
}

#[test]
fn answers_come_before_failures() {
    let told = json!({"filenameToSignedUrls": {"dataset/o/error-data": "https://e", "dataset/o/BIJOutputSet.jsonl": "https://b"}});
    assert_eq!(addresses(&object(&told)).expect("it names them"), ["https://b", "https://e"]);
    assert!(addresses(&object(&json!({}))).expect("it names none").is_empty());
}
