//! Bedrock's jobs, as its documents show them.

use serde_json::Value;

use super::*;
use crate::wire::{Dialect, Native};

const ARN: &str = "arn:aws:bedrock:us-east-1:111122223333:model-invocation-job/ab12cd34ef56";
const CLAUDE: &str = "us.anthropic.claude-sonnet-4-5-20250929-v1:0";

fn store() -> Store {
    Store::read("s3://bucket/batches").expect("it is one")
}

fn input() -> Input {
    let created = 1_768_478_400_123;
    Input { endpoint: Endpoint::Chat, model: CLAUDE.to_owned(), filename: "in.jsonl".to_owned(), created }
}

fn object(text: &str) -> Object {
    Object::parse(Bytes::copy_from_slice(text.as_bytes())).expect("it is one")
}

#[test]
fn the_name_of_an_input_says_what_it_is() {
    let key = input().key(7);
    assert_eq!(
        key,
        "in/e643e792184".to_owned() + "00000007/chat/us.anthropic.claude-sonnet-4-5-20250929-v1!3A0/in.jsonl"
    );
    assert_eq!(Input::read(&key), Some(input()));
    let later = Input { created: input().created + 1, ..input() };
    assert!(later.key(9) < key, "the newest comes first");
    let arn = "arn:aws:bedrock:eu-west-1:111122223333:application-inference-profile/ab12";
    let odd =
        Input { model: arn.to_owned(), filename: "mein Ä/../x".to_owned(), endpoint: Endpoint::Embeddings, ..input() };
    let read = Input::read(&odd.key(u32::MAX)).expect("it is one");
    assert_eq!((read.model.as_str(), read.filename.as_str()), (arn, "mein____.._x.jsonl"));
    for foreign in ["in/x/chat/m/a.jsonl", "out/e643e79218400000007/chat/m/a.jsonl", "in/../chat/m/a.jsonl"] {
        assert_eq!(Input::read(foreign), None, "{foreign}");
    }
    for wrong in ["image/m/a.jsonl", "chat/m/a.txt", "chat/m/b/a.jsonl", "chat/!zz/a.jsonl", "chat/!ff/a.jsonl"] {
        assert_eq!(Input::read(&format!("in/e643e79218400000007/{wrong}")), None, "{wrong}");
    }
}

#[test]
fn a_line_has_the_body_as_it_is_and_no_tools() {
    let mut out = Vec::new();
    let dialect = Dialect::Native(Native::Bedrock);
    let body = br#"{"messages":[{"role":"user","content":[{"text":"Hi"}]}]}"#;
    let mut ask = Asked { custom_id: "a \"b\"", endpoint: Endpoint::Chat, model: CLAUDE, dialect, body };
    line(&mut out, &ask).expect("it can be said");
    let said = r#"{"recordId":"a \"b\"","modelInput":{"messages":[{"role":"user","content":[{"text":"Hi"}]}]}}"#;
    assert_eq!(String::from_utf8_lossy(&out), said);
    ask.body = br#"{"messages":[],"toolConfig":{"tools":[]}}"#;
    assert!(line(&mut out, &ask).expect_err("it can't").contains("no tools"));
}

#[test]
fn a_job_is_asked_for() {
    let (store, key) = (store(), input().key(7));
    let role = "arn:aws:iam::111122223333:role/Batch";
    let order = Order { store: &store, input: &key, role, token: "abc123" };
    let job: Value = serde_json::from_slice(&job(&order).expect("it is ours").encode()).expect("JSON");
    let uri = format!("s3://bucket/batches/{key}");
    assert_eq!(
        job,
        json!({
            "jobName": "ferrogw-abc123", "clientRequestToken": "abc123", "roleArn": role, "modelId": CLAUDE,
            "modelInvocationType": "Converse", "timeoutDurationInHours": 24,
            "inputDataConfig": {"s3InputDataConfig": {"s3Uri": uri, "s3InputFormat": "JSONL"}},
            "outputDataConfig": {"s3OutputDataConfig": {"s3Uri": "s3://bucket/batches/out/"}},
        })
    );
    assert!(super::job(&Order { input: "in/else.jsonl", ..order }).is_none());
}

fn told_job(status: &str, more: &str) -> Object {
    let uri = format!("s3://bucket/batches/{}", input().key(7));
    object(&format!(
        r#"{{"jobArn":"{ARN}","jobName":"n","modelId":"{CLAUDE}","status":"{status}","roleArn":"r",
            "submitTime":"2026-01-15T12:00:00Z","inputDataConfig":{{"s3InputDataConfig":{{"s3Uri":"{uri}"}}}},
            "outputDataConfig":{{"s3OutputDataConfig":{{"s3Uri":"s3://bucket/batches/out/"}}}}{more}}}"#
    ))
}

#[test]
fn a_job_is_a_batch() {
    let counts = r#","totalRecordCount":100,"processedRecordCount":100,"successRecordCount":98,"errorRecordCount":2"#;
    let more = format!(r#"{counts},"endTime":"2026-01-15T13:00:00Z""#);
    let job = batch(told_job("Completed", &more), &store()).expect("it is a job").expect("it is ours");
    assert_eq!(job.results, "out/ab12cd34ef56/in.jsonl.out");
    assert_eq!(job.summary, "out/ab12cd34ef56/manifest.json.out");
    let Batch { status, counts, ended_at, model, .. } = &job.batch;
    assert_eq!((*status, *ended_at, model.as_deref()), (Status::Completed, Some(1_768_482_000), Some(CLAUDE)));
    assert_eq!(*counts, Counts { total: 100, completed: 98, failed: 2 });
    assert_eq!(Name::of::<1>(&job.batch.id, Kind::Batch), Some(["ab12cd34ef56".to_owned()]));
    assert_eq!(Name::of(&job.batch.output_file_id.expect("it has ended"), Kind::Output), Some([job.results.clone()]));
    assert_eq!(Name::of(&job.batch.error_file_id.expect("it has ended"), Kind::Errors), Some([job.results]));
    assert_eq!(Name::of(&job.batch.input_file_id, Kind::Input), Some([input().key(7)]));
}

#[test]
fn each_status_is_one_of_openais() {
    let check = |said: &str, status: Status| {
        let job = batch(told_job(said, r#","message":"no""#), &store()).expect("it is a job").expect("it is ours");
        assert_eq!(job.batch.status, status, "{said}");
        assert_eq!(job.batch.errors.len(), usize::from(status == Status::Failed), "{said}");
        assert_eq!(job.batch.output_file_id.is_some(), status == Status::Completed, "{said}");
    };
    for said in ["Submitted", "Validating", "Scheduled"] {
        check(said, Status::Validating);
    }
    check("InProgress", Status::InProgress);
    check("Completed", Status::Completed);
    check("PartiallyCompleted", Status::Expired);
    check("Expired", Status::Expired);
    check("Failed", Status::Failed);
    check("Stopping", Status::Cancelling);
    check("Stopped", Status::Cancelled);
    check("SomethingNew", Status::InProgress);
}

#[test]
fn a_job_over_other_files_is_somebody_elses() {
    let other = Store::read("s3://bucket/other").expect("it is one");
    assert!(batch(told_job("Completed", ""), &other).expect("it is a job").is_none());
    assert!(batch(object("{}"), &other).is_err());
}

#[test]
fn a_summary_says_what_was_consumed() {
    let mut made = Batch::default();
    let summary = br#"{"totalRecordCount":3,"processedRecordCount":3,"successRecordCount":2,"errorRecordCount":1,
        "inputTokenCount":30,"outputTokenCount":20}"#;
    summarised(&mut made, Bytes::from_static(summary));
    assert_eq!(made.counts, Counts { total: 3, completed: 2, failed: 1 });
    assert_eq!(made.usage, Some(Consumed { input: 30, output: 20, ..Consumed::default() }));
    summarised(&mut made, Bytes::from_static(b"<Error/>"));
}

#[test]
fn a_line_of_results_is_an_answer_or_a_failure() {
    let read = |line: &'static str| told(Bytes::from_static(line.as_bytes()));
    let answer = read(r#"{"recordId":"a","modelInput":{},"modelOutput":{"output":{}}}"#).expect("it is one");
    assert_eq!((answer.custom_id.as_str(), answer.outcome), ("a", Ok(Bytes::from_static(br#"{"output":{}}"#))));
    let fails = |line, status, code: Option<&str>, message: &str| {
        let Told { outcome: Err(failure), .. } = read(line).expect("it is one") else { panic!("it failed") };
        assert_eq!((failure.status, failure.code.as_deref(), &*failure.message), (Some(status), code, message));
    };
    fails(r#"{"recordId":"b","error":{"errorCode":400,"errorMessage":"bad request"}}"#, 400, None, "bad request");
    fails(r#"{"recordId":"b","error":{"errorCode":"429","message":"slow"}}"#, 429, None, "slow");
    fails(r#"{"recordId":"b","error":{"errorCode":"Odd"}}"#, 500, Some("Odd"), "Bedrock says no reason.");
    fails(r#"{"recordId":"b","error":"went wrong"}"#, 500, None, "went wrong");
    assert!(read(r#"{"recordId":"c"}"#).is_err() && read("{}").is_err() && read("x").is_err());
}

#[test]
fn results_are_files_too() {
    let file = result("out/ab12cd34ef56/in.jsonl.out", Kind::Errors, 9, 5).expect("it is one");
    assert_eq!((file.filename.as_str(), file.bytes, file.created_at), ("ab12cd34ef56_error.jsonl", 9, 5));
    for foreign in
        ["out/ab12cd34ef56/manifest.json.out", "out/x/in.jsonl.out", "out/ab12cd34ef56/a/in.jsonl.out", "in/a"]
    {
        assert!(result(foreign, Kind::Output, 0, 0).is_none(), "{foreign}");
    }
}
