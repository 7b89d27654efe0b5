//! Bedrock's batch inference: jobs of the control plane, and S3.

use ferrogw::wire::jobs::id::{Kind, Name};
use serde_json::{Value, json};

use super::{chat, delete, id, lines, order, results, upload};
use crate::support::{Reply, Say, Seen, TestGateway, Upstream};

const NOVA: &str = "amazon.nova-pro-v1:0";
const ROLE: &str = "arn:aws:iam::111122223333:role/Batch";
const ARN: &str = "arn:aws:bedrock:us-east-1:111122223333:model-invocation-job/ab12cd34ef56";
const KEYS: &str = "access_key_id: AKIDEXAMPLE, secret_access_key: wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

/// A gateway whose one target keeps its batches at `upstream`, which is S3, too.
async fn keeper(upstream: &Upstream, options: &str) -> TestGateway {
    let url = &upstream.url;
    let target = format!(
        "  - virtual_key: t\n    provider: bedrock\n    base_url: {url}\n    models: [m]\n    options: {{ region: us-east-1, {options} }}\n"
    );
    TestGateway::configured(&format!("targets:\n{target}batch_target: t\n"), &[]).await
}

async fn usual(upstream: &Upstream) -> TestGateway {
    keeper(upstream, &format!("{KEYS}, batch_bucket: \"s3://bucket/batches\", batch_role: \"{ROLE}\"")).await
}

fn job(status: &str, input: &str, more: &Value) -> Say {
    let mut job = json!({
        "jobArn": ARN, "jobName": "ferrogw-1", "modelId": NOVA, "roleArn": ROLE, "status": status,
        "submitTime": "2026-01-15T12:00:00Z", "lastModifiedTime": "2026-01-15T12:30:00Z",
        "inputDataConfig": {"s3InputDataConfig": {"s3InputFormat": "JSONL", "s3Uri": format!("s3://bucket/batches/{input}")}},
        "outputDataConfig": {"s3OutputDataConfig": {"s3Uri": "s3://bucket/batches/out/"}},
    });
    job.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    Say::json(200, &job.to_string())
}

fn counts(success: u64, error: u64) -> Value {
    json!({"totalRecordCount": success + error, "successRecordCount": success, "errorRecordCount": error,
        "endTime": "2026-01-15T13:00:00Z"})
}

fn nothing() -> Say {
    Say::json(200, "")
}

fn absent() -> Say {
    let xml = "<?xml version=\"1.0\"?><Error><Code>NoSuchKey</Code><Message>The specified key does not exist.</Message></Error>";
    Say::bytes(404, xml.into()).header("content-type", "application/xml")
}

fn told() -> String {
    let answer = json!({"output": {"message": {"role": "assistant", "content": [{"text": "High."}]}}, "stopReason": "end_turn",
        "usage": {"inputTokens": 5, "outputTokens": 2, "totalTokens": 7}});
    lines(&[
        json!({"recordId": "b", "modelInput": {}, "error": {"errorCode": 400, "errorMessage": "too long"}}),
        json!({"recordId": "a", "modelInput": {}, "modelOutput": answer}),
        json!({"recordId": "c", "modelInput": {}, "error": {"errorCode": 403, "errorMessage": "User: arn:aws:iam::1:user/x"}}),
    ])
}

/// The key of an input, as its id says it.
fn key(input: &str) -> String {
    let [key] = Name::of(input, Kind::Input).unwrap();
    key
}

async fn kept(gateway: &TestGateway, upstream: &Upstream) -> (String, Seen) {
    upstream.tell([nothing()]);
    let input = id(&upload(gateway, "batch", lines(&[chat("a", NOVA), chat("b", NOVA)])).await);
    let put = upstream.seen().remove(0);
    upstream.forget();
    (input, put)
}

fn code(reply: &Reply) -> (u16, String) {
    (reply.status, reply.code())
}

#[tokio::test]
async fn the_usual_script_of_a_batch_runs() {
    let upstream = Upstream::says([]).await;
    let gateway = usual(&upstream).await;
    let (input, put) = kept(&gateway, &upstream).await;
    let at = key(&input);
    assert_eq!(
        (put.method.as_str(), put.path.as_str()),
        ("PUT", &*format!("/bucket/batches/{}", at.replace('!', "%21")))
    );
    assert!(at.ends_with("/chat/amazon.nova-pro-v1!3A0/in.jsonl"), "{at}");
    let hash = put.header("x-amz-content-sha256").to_owned();
    assert_eq!((hash.len(), put.header("content-type")), (64, "application/jsonl"));
    assert!(put.header("authorization").contains("/us-east-1/s3/aws4_request"));
    let first = String::from_utf8_lossy(&put.body).lines().next().unwrap().to_owned();
    let line = json!({"recordId": "a", "modelInput": {"messages": [{"role": "user",
        "content": [{"text": "How high is the tide?"}]}], "inferenceConfig": {"maxTokens": 9}}});
    assert_eq!(serde_json::from_str::<Value>(&first).unwrap(), line);

    upstream.tell([nothing(), Say::json(200, &json!({"jobArn": ARN}).to_string())]);
    let wanted = json!({"input_file_id": input, "endpoint": "/v1/chat/completions", "completion_window": "24h",
        "metadata": {"night": "1"}});
    let reply = gateway.post("/v1/batches", wanted.to_string()).await;
    assert_eq!(reply.header("x-ferro-warnings"), "param=metadata;provider=bedrock;action=dropped");
    let batch = reply.json();
    assert_eq!((&batch["status"], &batch["input_file_id"]), (&"validating".into(), &input.as_str().into()));
    assert_eq!((&batch["model"], &batch["endpoint"]), (&NOVA.into(), &"/v1/chat/completions".into()));
    let seen = upstream.seen();
    assert_eq!((seen[0].method.as_str(), seen[1].method.as_str()), ("GET", "POST"));
    assert_eq!(seen[1].path, "/model-invocation-job");
    assert!(seen[1].header("authorization").contains("/us-east-1/bedrock/aws4_request"));
    let made = seen[1].json();
    assert_eq!(
        (&made["modelId"], &made["modelInvocationType"], &made["roleArn"]),
        (&NOVA.into(), &"Converse".into(), &ROLE.into())
    );
    assert_eq!(made["inputDataConfig"]["s3InputDataConfig"]["s3Uri"], format!("s3://bucket/batches/{at}"));

    let id = batch["id"].as_str().unwrap();
    let done = || job("Completed", &at, &counts(1, 2));
    let summary = json!({"inputTokenCount": 50, "outputTokenCount": 20});
    upstream.forget();
    upstream.tell([done(), Say::json(200, &summary.to_string()), done(), Say::bytes(200, told().into())]);
    let ended = gateway.get(&format!("/v1/batches/{id}")).await.json();
    assert_eq!((&ended["status"], &ended["completed_at"]), (&"completed".into(), &1_768_482_000.into()));
    assert_eq!(ended["request_counts"], json!({"total": 3, "completed": 1, "failed": 2}));
    assert_eq!(ended["usage"]["total_tokens"], 70);
    let output = gateway.get(&format!("/v1/files/{}/content", ended["output_file_id"].as_str().unwrap())).await;
    let good = results(&output);
    let body = &good[0]["response"]["body"];
    assert_eq!((good.len(), &good[0]["custom_id"], &body["model"]), (1, &"a".into(), &NOVA.into()));
    assert_eq!(
        (&body["choices"][0]["message"]["content"], &body["usage"]["total_tokens"]),
        (&"High.".into(), &7.into())
    );
    let paths: Vec<_> = upstream.seen().into_iter().map(|seen| seen.path).collect();
    let out = "/bucket/batches/out/ab12cd34ef56";
    let get = "/model-invocation-job/ab12cd34ef56";
    assert_eq!(paths, [get, &format!("{out}/manifest.json.out"), get, &format!("{out}/in.jsonl.out")]);

    upstream.forget();
    upstream.tell([done(), Say::bytes(200, told().into())]);
    let bad = results(&gateway.get(&format!("/v1/files/{}/content", ended["error_file_id"].as_str().unwrap())).await);
    let statuses: Vec<_> =
        bad.iter().map(|line| (line["custom_id"].as_str(), &line["response"]["status_code"])).collect();
    assert_eq!(statuses, [(Some("b"), &json!(400)), (Some("c"), &json!(403))]);
    assert!(!bad[1].to_string().contains("arn:aws"), "{}", bad[1]);
}

#[tokio::test]
async fn what_is_missing_is_said_by_name() {
    let upstream = Upstream::says([nothing()]).await;
    let lines = || lines(&[chat("a", NOVA)]);
    let bare = keeper(&upstream, KEYS).await;
    let reply = upload(&bare, "batch", lines()).await;
    assert_eq!(code(&reply), (400, "invalid_request".to_owned()));
    assert!(reply.body.contains("`batch_bucket`") && reply.body.contains("BEDROCK_BATCH_BUCKET"), "{}", reply.body);
    let bearer = keeper(&upstream, "api_key: key-of-the-test-0123456789, batch_bucket: \"s3://bucket\"").await;
    let reply = upload(&bearer, "batch", lines()).await;
    assert_eq!(reply.status, 400);
    assert!(
        reply.body.contains("AWS_BEARER_TOKEN_BEDROCK") && reply.body.contains("`access_key_id`"),
        "{}",
        reply.body
    );
    assert!(upstream.seen().is_empty());
    let roleless = keeper(&upstream, &format!("{KEYS}, batch_bucket: \"s3://bucket\"")).await;
    let input = id(&upload(&roleless, "batch", lines()).await);
    let reply = order(&roleless, &input).await;
    assert!(reply.status == 400 && reply.body.contains("`batch_role`"), "{}", reply.body);
    let reply = upload(&roleless, "assistants", lines()).await;
    assert_eq!(reply.json()["error"]["param"], "purpose");
}

#[tokio::test]
async fn a_line_with_tools_is_refused() {
    let upstream = Upstream::says([nothing()]).await;
    let gateway = usual(&upstream).await;
    let mut tools = chat("b", NOVA);
    tools["body"]["tools"] = json!([{"type": "function", "function": {"name": "look"}}]);
    let reply = upload(&gateway, "batch", lines(&[chat("a", NOVA), tools])).await;
    assert!(reply.status == 400 && reply.body.contains("line 2") && reply.body.contains("no tools"), "{}", reply.body);
    let other = chat("b", "amazon.nova-lite-v1:0");
    let reply = upload(&gateway, "batch", lines(&[chat("a", NOVA), other])).await;
    assert!(reply.body.contains("one model a batch"), "{}", reply.body);
    assert!(upstream.seen().is_empty());
}

#[tokio::test]
async fn inputs_of_embeddings_are_invoked() {
    let upstream = Upstream::says([nothing()]).await;
    let gateway = usual(&upstream).await;
    let titan = "amazon.titan-embed-text-v2:0";
    let line =
        json!({"custom_id": "a", "method": "POST", "url": "/v1/embeddings", "body": {"model": titan, "input": "tide"}});
    let input = id(&upload(&gateway, "batch", lines(&[line])).await);
    let sent: Value = serde_json::from_slice(&upstream.seen()[0].body).unwrap();
    assert_eq!(sent, json!({"recordId": "a", "modelInput": {"inputText": "tide"}}));
    let reply = order(&gateway, &input).await;
    assert_eq!((reply.status, reply.json()["error"]["param"].as_str()), (400, Some("endpoint")));
    upstream.forget();
    upstream.tell([nothing(), Say::json(200, &json!({"jobArn": ARN}).to_string())]);
    let wanted = json!({"input_file_id": input, "endpoint": "/v1/embeddings", "completion_window": "24h"});
    assert_eq!(gateway.post("/v1/batches", wanted.to_string()).await.json()["endpoint"], "/v1/embeddings");
    assert_eq!(upstream.seen()[1].json()["modelInvocationType"], "InvokeModel");
    let row =
        json!({"recordId": "a", "modelInput": {}, "modelOutput": {"embedding": [0.5, 1.0], "inputTextTokenCount": 3}});
    let done = || job("Completed", &key(&input), &counts(1, 0));
    upstream.forget();
    upstream.tell([done(), Say::bytes(200, lines(&[row]).into())]);
    let output = Name::new(Kind::Output, ["out/ab12cd34ef56/in.jsonl.out"]).encode();
    let told = results(&gateway.get(&format!("/v1/files/{output}/content")).await);
    assert_eq!(told[0]["response"]["body"]["data"][0]["embedding"], json!([0.5, 1.0]));
}

#[tokio::test]
async fn ids_reach_nothing_but_what_is_below_the_prefix() {
    let upstream = Upstream::says([]).await;
    let gateway = usual(&upstream).await;
    let forged = |kind, text: &str| Name::new(kind, [text]).encode();
    let stamp = "e643e79218400000007";
    for id in [
        forged(Kind::Input, "../secret.jsonl"),
        forged(Kind::Input, &format!("in/{stamp}/chat/m/../../x.jsonl")),
        forged(Kind::Input, &format!("in/{stamp}/chat/m/a.jsonl?versionId=1")),
        forged(Kind::Output, "out/ab12cd34ef56/../../other.jsonl.out"),
        forged(Kind::Output, "other/in.jsonl.out"),
        forged(Kind::File, "in/x"),
    ] {
        for path in [format!("/v1/files/{id}"), format!("/v1/files/{id}/content")] {
            assert_eq!(code(&gateway.get(&path).await), (404, "resource_not_found".to_owned()), "{path}");
        }
        assert_eq!(delete(&gateway, &format!("/v1/files/{id}")).await.status, 404);
        assert_eq!(order(&gateway, &id).await.status, 404);
    }
    for id in [forged(Kind::Batch, "../foundation-models"), forged(Kind::Batch, ARN), "batch_x".to_owned()] {
        assert_eq!(gateway.get(&format!("/v1/batches/{id}")).await.status, 404);
        assert_eq!(gateway.post(&format!("/v1/batches/{id}/cancel"), "").await.status, 404);
    }
    assert!(upstream.seen().is_empty());
    // a job of the same account over other files, and results that are not those of the job
    let batch = forged(Kind::Batch, "ab12cd34ef56");
    upstream.tell([job("Completed", "elsewhere/x.jsonl", &json!({}))]);
    assert_eq!(gateway.get(&format!("/v1/batches/{batch}")).await.status, 404);
    assert_eq!(gateway.post(&format!("/v1/batches/{batch}/cancel"), "").await.status, 404);
    upstream.forget();
    upstream.tell([job("Completed", &format!("in/{stamp}/chat/m/in.jsonl"), &json!({}))]);
    let other = forged(Kind::Output, "out/ab12cd34ef56/other.jsonl.out");
    assert_eq!(gateway.get(&format!("/v1/files/{other}/content")).await.status, 404);
    assert!(upstream.seen().iter().all(|seen| seen.path == "/model-invocation-job/ab12cd34ef56"));
}

#[tokio::test]
async fn files_and_batches_are_listed_found_and_ended() {
    let upstream = Upstream::says([]).await;
    let gateway = usual(&upstream).await;
    let (input, _) = kept(&gateway, &upstream).await;
    let at = key(&input);
    let object = |key: &str| {
        format!(
            "<Contents><Key>batches/{key}</Key><LastModified>2026-01-15T12:00:00Z</LastModified><Size>9</Size></Contents>"
        )
    };
    let part = |objects: &str, cut: bool| {
        Say::bytes(
            200,
            format!("<ListBucketResult><IsTruncated>{cut}</IsTruncated>{objects}</ListBucketResult>").into(),
        )
    };
    let list = |objects: &str| part(objects, false);
    let result = object("out/ab12cd34ef56/in.jsonl.out");
    let results = [&*result, &object("out/ab12cd34ef56/manifest.json.out")].concat();
    // a page of names that are not ours, and that of a file behind it
    let foreign = [object("out/a b"), object("out/a c")].concat();
    upstream.tell([list(&object(&at)), list(&results), list(""), part(&foreign, true), list(&results)]);
    let page = gateway.get("/v1/files?limit=1").await.json();
    assert_eq!((&page["data"][0]["id"], &page["data"][0]["filename"]), (&input.as_str().into(), &"in.jsonl".into()));
    assert_eq!((&page["has_more"], &page["data"][0]["bytes"]), (&true.into(), &9.into()));
    let rest = gateway.get(&format!("/v1/files?after={input}")).await.json();
    assert_eq!((&rest["data"][0]["purpose"], &rest["has_more"]), (&"batch_output".into(), &false.into()));
    let seen = upstream.seen();
    let at_list = "/bucket?list-type=2&max-keys=1000&prefix=batches%2F";
    let after = format!("batches/{at}").replace('/', "%2F").replace('!', "%21");
    let paths: Vec<_> = seen.iter().map(|seen| seen.path.strip_prefix(at_list).unwrap_or(&seen.path)).collect();
    let behind = format!("in%2F&start-after={after}");
    assert_eq!(paths, ["in%2F", "out%2F", &behind, "out%2F", "out%2F&start-after=batches%2Fout%2Fa%20c"]);

    let head = || {
        Say::json(206, "x")
            .header("content-range", "bytes 0-0/175")
            .header("last-modified", "Thu, 15 Jan 2026 12:00:00 GMT")
    };
    upstream.forget();
    upstream.tell([head(), head(), Say::bytes(204, Vec::new()), absent(), absent(), absent()]);
    assert_eq!(gateway.get(&format!("/v1/files/{input}")).await.json()["bytes"], 175);
    assert_eq!(delete(&gateway, &format!("/v1/files/{input}")).await.json()["deleted"], true);
    for reply in
        [gateway.get(&format!("/v1/files/{input}")).await, delete(&gateway, &format!("/v1/files/{input}")).await]
    {
        assert_eq!(code(&reply), (404, "resource_not_found".to_owned()));
    }
    assert_eq!(order(&gateway, &input).await.status, 404);

    let summary = |id: &str, input: &str| {
        json!({"jobArn": format!("{}/{id}", &ARN[..ARN.len() - 13]), "jobName": "ferrogw-1", "modelId": NOVA,
        "roleArn": ROLE, "status": "InProgress", "submitTime": "2026-01-15T12:00:00.5Z",
        "inputDataConfig": {"s3InputDataConfig": {"s3Uri": format!("s3://bucket/{input}")}},
        "outputDataConfig": {"s3OutputDataConfig": {"s3Uri": "s3://bucket/batches/out/"}}})
    };
    let ours = format!("batches/{at}");
    let first = json!({"invocationJobSummaries": [summary("aaaaaaaaaaaa", "else/x"), summary("ab12cd34ef56", &ours)], "nextToken": "a+/="});
    let second = json!({"invocationJobSummaries": [summary("bbbbbbbbbbbb", &ours)]});
    upstream.forget();
    upstream.tell([Say::json(200, &first.to_string()), Say::json(200, &second.to_string())]);
    let page = gateway.get("/v1/batches").await.json();
    assert_eq!((page["data"].as_array().unwrap().len(), &page["has_more"]), (2, &false.into()));
    let seen = upstream.seen();
    let path = "/model-invocation-jobs?maxResults=100&sortBy=CreationTime&sortOrder=Descending";
    assert_eq!((seen[0].path.as_str(), seen[1].path.as_str()), (path, &*format!("{path}&nextToken=a%2B%2F%3D")));
    let batch = page["data"][0]["id"].as_str().unwrap().to_owned();
    upstream.forget();
    upstream.tell([
        Say::json(200, &summary("ab12cd34ef56", &ours).to_string()),
        Say::json(
            200,
            // the first was made in the same moment, and was on the page before
            &json!({"invocationJobSummaries": [summary("cccccccccccc", &ours), summary("ab12cd34ef56", &ours),
                summary("bbbbbbbbbbbb", &ours)]})
            .to_string(),
        ),
    ]);
    let rest = gateway.get(&format!("/v1/batches?after={batch}")).await.json();
    assert_eq!((rest["data"].as_array().unwrap().len(), &rest["data"][0]["id"]), (1, &page["data"][1]["id"]));
    assert_eq!(upstream.seen()[1].path, format!("{path}&submitTimeBefore=2026-01-15T12%3A00%3A00.501Z"));

    upstream.forget();
    upstream.tell([job("InProgress", &at, &json!({})), Say::json(200, "{}"), job("Stopping", &at, &json!({}))]);
    let reply = gateway.post(&format!("/v1/batches/{batch}/cancel"), "").await.json();
    assert_eq!((&reply["status"], &reply["cancelling_at"]), (&"cancelling".into(), &1_768_480_200.into()));
    let seen = upstream.seen();
    assert_eq!((seen[1].method.as_str(), seen[1].path.as_str()), ("POST", "/model-invocation-job/ab12cd34ef56/stop"));
    upstream.forget();
    let missing =
        Say::json(404, r#"{"message":"Could not find job"}"#).header("x-amzn-errortype", "ResourceNotFoundException");
    upstream.tell([missing]);
    assert_eq!(code(&gateway.get(&format!("/v1/batches/{batch}")).await), (404, "resource_not_found".to_owned()));
}

#[tokio::test]
async fn a_refusal_of_s3_is_the_operators_affair() {
    let xml =
        "<Error><Code>AccessDenied</Code><Message>User: arn:aws:iam::1:user/x is not authorized</Message></Error>";
    let upstream = Upstream::says([Say::bytes(403, xml.into())]).await;
    let gateway = usual(&upstream).await;
    let reply = upload(&gateway, "batch", lines(&[chat("a", NOVA)])).await;
    assert_eq!(code(&reply), (502, "upstream_auth_error".to_owned()));
    assert!(!reply.body.contains("arn:aws"), "{}", reply.body);
}

#[tokio::test]
async fn a_bucket_that_is_not_there_is_no_failure_of_the_target() {
    for (status, code, why) in [
        (404, "NoSuchBucket", "`batch_bucket` has: the target's operator"),
        (301, "PermanentRedirect", "in another region"),
        (400, "AuthorizationHeaderMalformed", "in another region"),
    ] {
        let xml = format!("<Error><Code>{code}</Code><Message>no</Message></Error>");
        let upstream = Upstream::says([Say::bytes(status, xml.into())]).await;
        let gateway = usual(&upstream).await;
        let reply = upload(&gateway, "batch", lines(&[chat("a", NOVA)])).await;
        assert_eq!((reply.status, reply.json()["error"]["type"].as_str()), (400, Some("invalid_request_error")));
        assert!(reply.body.contains(why) && reply.json()["error"]["param"].is_null(), "{}", reply.body);
        // nor is it asked for again
        assert_eq!(upstream.seen().len(), 1, "{code}");
    }
}

#[tokio::test]
async fn what_has_not_been_counted_is_in_the_one_file_there_is() {
    let upstream = Upstream::says([]).await;
    let gateway = usual(&upstream).await;
    let (input, _) = kept(&gateway, &upstream).await;
    upstream.tell([job("Completed", &key(&input), &json!({})), Say::bytes(200, told().into())]);
    let output = Name::new(Kind::Output, ["out/ab12cd34ef56/in.jsonl.out"]).encode();
    let told = results(&gateway.get(&format!("/v1/files/{output}/content")).await);
    let ids: Vec<_> = told.iter().map(|line| line["custom_id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["b", "a", "c"]);
}
