//! Cohere's batches and datasets, as its SDK and its users have them.

use serde_json::{Value, json};

use super::*;
use crate::wire::{Dialect, Native};

fn object(value: &Value) -> Object {
    Object::parse(Bytes::from(value.to_string())).expect("it is one")
}

fn said(endpoint: Endpoint, body: &Value) -> Result<Value, String> {
    let (mut out, body) = (Vec::new(), body.to_string());
    let dialect = Dialect::Native(Native::Cohere);
    let ask = Asked { custom_id: "a", endpoint, model: "command-a-03-2025", dialect, body: body.as_bytes() };
    line(&mut out, &ask)?;
    Ok(serde_json::from_slice(&out).expect("JSON"))
}

#[test]
fn a_row_has_words_of_its_own() {
    let body = json!({
        "model": "command-a-03-2025", "stream": false, "max_tokens": 5, "temperature": 0.3,
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "Hi"},
                {"type": "image_url", "image_url": {"url": "https://a.example/b.png", "detail": "low"}}]},
            {"role": "assistant", "tool_plan": "I look.", "tool_calls": [{"id": "t", "type": "function",
                "function": {"name": "f", "arguments": "{}"}}]},
            {"role": "tool", "tool_call_id": "t", "content": "Sunny"},
        ],
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
        "thinking": {"type": "enabled", "token_budget": 512},
    });
    let text = |text: &str| json!([{"type": "text", "text": text}]);
    let row = json!({"custom_id": "a", "body": {
        "max_tokens": 5, "temperature": 0.3, "reasoning": true, "thinking_budget": 512,
        "messages": [
            {"role": "system", "content": text("Be brief.")},
            {"role": "user", "content": [{"type": "text", "text": "Hi"},
                {"type": "image_url", "image_url": "https://a.example/b.png"}]},
            body["messages"][2].clone(),
            {"role": "tool", "tool_call_id": "t", "content": text("Sunny")},
        ],
        "tools": [{"type": "function", "function": {"name": "f", "parameters": r#"{"type":"object"}"#}}],
    }});
    assert_eq!(said(Endpoint::Chat, &body), Ok(row));
    let off = json!({"messages": [], "thinking": {"type": "disabled"}});
    assert_eq!(said(Endpoint::Chat, &off).map(|row| row["body"]["reasoning"].clone()), Ok(json!(false)));
    let embed =
        json!({"model": "embed-v4.0", "texts": ["a"], "input_type": "search_document", "embedding_types": ["float"]});
    let mut row = embed.clone();
    row.as_object_mut().expect("one").remove("model");
    assert_eq!(said(Endpoint::Embeddings, &embed).map(|row| row["body"].clone()), Ok(row));
}

#[test]
fn what_a_row_has_no_word_for_is_refused_by_name() {
    let refused = |endpoint, body: &Value, name: &str| {
        let why = said(endpoint, body).expect_err("it can't be said");
        assert!(why.contains(&format!("`{name}`")), "{why}");
    };
    refused(Endpoint::Chat, &json!({"messages": [], "response_format": {"type": "json_object"}}), "response_format");
    refused(Endpoint::Chat, &json!({"messages": [], "stop_sequences": ["x"]}), "stop");
    refused(Endpoint::Chat, &json!({"messages": [], "tool_choice": "REQUIRED"}), "tool_choice");
    let document = json!({"messages": [{"role": "tool", "content": [{"type": "document", "document": {}}]}]});
    refused(Endpoint::Chat, &document, "document");
    refused(Endpoint::Embeddings, &json!({"texts": [], "output_dimension": 256}), "dimensions");
}

#[test]
fn a_dataset_is_a_file_whose_name_says_its_model() {
    let name = dataset_name("command-a-03-2025", "mein Ä__in.jsonl");
    assert_eq!(name, "ferrogw__command-a-03-2025__mein-----in.jsonl");
    let said = json!({
        "id": "in-x1", "name": name, "created_at": "2026-01-15T12:00:00.123456Z", "dataset_type": "batch-chat-v2-input",
        "validation_status": "validated", "dataset_parts": [
            {"id": "2", "name": "b", "url": "https://s/2", "index": 1, "size_bytes": 5},
            {"id": "1", "name": "a", "url": "https://s/1", "original_url": "https://s/o", "index": 0, "size_bytes": 7},
        ],
    });
    let read = dataset(&object(&said)).expect("it is one");
    assert_eq!((read.model.as_deref(), read.endpoint), (Some("command-a-03-2025"), Some(Endpoint::Chat)));
    let File { bytes, created_at, filename, status, .. } = read.file;
    assert_eq!((bytes, created_at, &*filename, status), (12, 1_768_478_400, "mein-----in.jsonl", Standing::Processed));
    assert_eq!(read.parts, ["https://s/1", "https://s/2"]);

    let bare = json!({"id": "x", "name": "my-data", "dataset_type": "embed-input", "validation_status": "failed",
        "validation_error": "row 3", "dataset_parts": null});
    let read = dataset(&object(&bare)).expect("it is one");
    assert_eq!((read.model, read.endpoint, read.file.status), (None, None, Standing::Error("row 3".to_owned())));
    assert!(dataset(&object(&json!({"id": "../x"}))).is_err() && dataset(&object(&json!({}))).is_err());
}

fn job(status: &str, completed: u64, failed: u64) -> Batch {
    let said = json!({
        "id": "b-1", "name": "ferrogw", "status": status, "model": "command-a-03-2025", "input_dataset_id": "in-1",
        "output_dataset_id": "out-1", "created_at": "2026-01-15T12:00:00Z", "updated_at": "2026-01-15T13:00:00Z",
        "num_records": 3, "num_successful_records": completed, "num_failed_records": failed,
        "input_tokens": "30", "output_tokens": 20, "status_reason": "why",
    });
    let (id, output, batch) = batch(object(&said)).expect("it is one");
    assert_eq!((id.as_str(), output.as_deref()), ("b-1", Some("out-1")));
    batch
}

#[test]
fn a_job_is_a_batch() {
    let done = job("BATCH_STATUS_COMPLETED", 2, 1);
    assert_eq!(done.counts, Counts { total: 3, completed: 2, failed: 1 });
    assert_eq!(done.usage, Some(Consumed { input: 30, output: 20, ..Consumed::default() }));
    assert_eq!((done.status, done.ended_at), (Status::Completed, Some(1_768_482_000)));
    assert_eq!(Name::of(&done.output_file_id.expect("it has ended"), Kind::Output), Some(["b-1".to_owned()]));
    assert_eq!(Name::of(&done.error_file_id.expect("it has ended"), Kind::Errors), Some(["b-1".to_owned()]));
    assert_eq!(Name::of(&done.input_file_id, Kind::Input), Some(["in-1".to_owned()]));
    assert!(done.errors.is_empty());
    let failed = job("BATCH_STATUS_FAILED", 0, 0);
    assert_eq!((failed.errors.len(), failed.output_file_id), (1, None));
    for (said, status) in [
        ("BATCH_STATUS_QUEUED", Status::Validating),
        ("BATCH_STATUS_UNSPECIFIED", Status::Validating),
        ("BATCH_STATUS_IN_PROGRESS", Status::InProgress),
        ("BATCH_STATUS_CANCELING", Status::Cancelling),
        ("BATCH_STATUS_CANCELED", Status::Cancelled),
        ("SOMETHING_NEW", Status::InProgress),
    ] {
        assert_eq!(job(said, 0, 0).status, status, "{said}");
    }
    // one that has no output yet says so with nothing
    let queued = json!({"id": "b", "input_dataset_id": "in", "output_dataset_id": "", "model": "embed-v4.0"});
    let (_, output, queued) = batch(object(&queued)).expect("it is one");
    assert_eq!((output, queued.endpoint), (None, Endpoint::Embeddings));
    assert!(batch(object(&json!({"id": "a/b"}))).is_err());
}

#[test]
fn a_row_of_results_is_an_answer_or_a_failure() {
    let answer = told(br#"{"custom_id":"a","body":{"id":"c"},"error":""}"#).expect("it is one");
    assert_eq!((answer.custom_id.as_str(), answer.outcome), ("a", Ok(Bytes::from_static(br#"{"id":"c"}"#))));
    let text = told(br#"{"custom_id":"a","body":"{\"id\":\"c\"}","error":null}"#).expect("it is one");
    assert_eq!(text.outcome, Ok(Bytes::from_static(br#"{"id":"c"}"#)));
    let fails = |row: &str, status, message: &str| {
        let Told { outcome: Err(failure), .. } = told(row.as_bytes()).expect("it is one") else { panic!("it failed") };
        assert_eq!((failure.status, &*failure.message), (Some(status), message));
    };
    fails(r#"{"custom_id":"b","error":"Invalid request"}"#, 500, "Invalid request");
    fails(r#"{"custom_id":"b","error":"{\"message\":\"no\",\"status\":400}","body":null}"#, 400, "no");
    fails(r#"{"custom_id":"b","error":{"message":"no","code":"x"}}"#, 500, "no");
    assert!(told(br#"{"custom_id":"c"}"#).is_err() && told(b"{}").is_err());
}
