//! What single vendors have in forms of their own, where it takes more than a fixture to show.

use serde_json::{Value, json};

use super::{Form, gateway};
use crate::support::{Say, TestGateway, Upstream, target};

/// A gateway with one target of this provider, which keeps files and batches.
async fn keeper(provider: &str, upstream: &Upstream) -> TestGateway {
    let yaml = format!("targets:\n{}batch_target: t\n", target("t", provider, upstream, "m", ""));
    TestGateway::configured(&yaml, &[]).await
}

#[tokio::test]
async fn perplexitys_bytes_become_the_form_that_was_asked_for() {
    let vectors = json!({"object": "list", "model": "m", "data": [{"object": "embedding", "index": 0, "embedding": "AQD/"}],
        "usage": {"prompt_tokens": 3, "total_tokens": 3}});
    let upstream = Upstream::says([Say::json(200, &vectors.to_string())]).await;
    let gateway = gateway(&[("perplexity", &upstream)], "").await;
    let embedded = async |format: Value| {
        let ask = json!({"model": "m", "input": "a tide", "encoding_format": format});
        let reply = gateway.post("/v1/embeddings", ask.to_string()).await;
        assert_eq!(reply.status, 200, "{}", reply.body);
        (reply.json()["data"][0]["embedding"].clone(), upstream.seen().remove(0).json()["encoding_format"].clone())
    };
    assert_eq!(embedded(Value::Null).await, (json!([1, 0, -1]), Value::Null));
    // little-endian 32-bit floats, as OpenAI has them
    assert_eq!(embedded(json!("base64")).await, (json!("AACAPwAAAAAAAIC/"), Value::Null));
    // who names the vendor's own form gets it
    assert_eq!(embedded(json!("base64_int8")).await, (json!("AQD/"), json!("base64_int8")));
    let broken = vectors.to_string().replace("AQD/", "no base64!");
    upstream.forget();
    upstream.tell([Say::json(200, &broken)]);
    assert_eq!(gateway.post("/v1/embeddings", r#"{"model":"m","input":"x"}"#).await.status, 502);
}

#[tokio::test]
async fn a_large_file_goes_to_together_with_what_is_said_beside_it() {
    let told = json!({"id": "file-1", "object": "file", "filename": "asks.jsonl", "bytes": 3, "purpose": "batch-api", "Processed": false});
    let upstream = Upstream::says([Say::json(200, &told.to_string())]).await;
    let gateway = keeper("together", &upstream).await;
    // longer than what is kept in memory
    let form = Form::default().file("file", "asks.jsonl", vec![b'x'; 3 << 20]).text("purpose", "batch");
    let reply = gateway.send(form.on(gateway.http.post(format!("{}/v1/files", gateway.url)).bearer_auth("any"))).await;
    assert_eq!(
        (reply.status, &reply.json()["purpose"], &reply.json()["status"]),
        (200, &json!("batch"), &json!("uploaded"))
    );
    let seen = upstream.seen().remove(0);
    assert_eq!((seen.method.as_str(), seen.path.as_str()), ("POST", "/v1/files/upload"));
    assert!(seen.body.len() > 3 << 20);
    let head = String::from_utf8_lossy(&seen.body[..600]).into_owned();
    for field in [
        "name=\"purpose\"\r\n\r\nbatch-api\r\n",
        "name=\"file_name\"\r\n\r\nasks.jsonl\r\n",
        "name=\"file_type\"\r\n\r\njsonl\r\n",
    ] {
        assert!(head.contains(field), "{head}");
    }
}

#[tokio::test]
async fn an_upload_that_is_no_form_or_has_no_file_is_the_callers_mistake() {
    let upstream = Upstream::says([]).await;
    let gateway = keeper("together", &upstream).await;
    let url = format!("{}/v1/files", gateway.url);
    let without = Form::default().text("purpose", "batch").on(gateway.http.post(&url).bearer_auth("any"));
    let reply = gateway.send(without).await;
    assert_eq!((reply.status, &reply.json()["error"]["param"]), (400, &json!("file")), "{}", reply.body);
    let kind = format!("multipart/form-data; boundary={}", Form::BOUNDARY);
    let broken = gateway.http.post(&url).bearer_auth("any").header("content-type", kind).body("not a form");
    let reply = gateway.send(broken).await;
    assert_eq!((reply.status, &reply.json()["error"]["param"]), (400, &json!("file")), "{}", reply.body);
    assert!(reply.body.contains("boundary") && !reply.body.contains("JSON"), "{}", reply.body);
    assert!(upstream.seen().is_empty());
}

#[tokio::test]
async fn mistrals_lists_end_for_who_pages_by_the_last_id() {
    let upstream = Upstream::says([Say::json(200, r#"{"object":"list","total":0}"#)]).await;
    let gateway = keeper("mistral", &upstream).await;
    let list = async |query: &str| gateway.get(&format!("/v1/batches{query}")).await;
    let empty = list("?limit=2").await;
    assert_eq!(
        empty.json(),
        json!({"object": "list", "total": 0, "first_id": null, "last_id": null, "has_more": false, "data": []})
    );
    assert_eq!(upstream.seen().remove(0).path, "/v1/batch/jobs?page=0&page_size=100");
    list("?limit=2&page=1").await;
    assert_eq!(upstream.seen().remove(0).path, "/v1/batch/jobs?page_size=2&page=1");
    upstream.forget();
    let files = r#"{"object":"list","total":3,"data":[{"id":"1"},{"id":"2"},{"id":"3"}]}"#;
    upstream.tell([Say::json(200, files)]);
    for (query, sent, ids, more) in [
        ("", "?page=0&page_size=100", json!(["1", "2", "3"]), false),
        ("?purpose=batch&after=3", "?purpose=batch&page=0&page_size=100", json!([]), false),
        ("?after=1&limit=1", "?page=0&page_size=100", json!(["2"]), true),
        ("?page=0&limit=3", "?page=0&page_size=3", json!(["1", "2", "3"]), false),
    ] {
        for (path, there) in [("/v1/files", "/v1/files"), ("/v1/batches", "/v1/batch/jobs")] {
            let listed = gateway.get(&format!("{path}{query}")).await.json();
            let found: Vec<_> = listed["data"].as_array().unwrap().iter().map(|item| item["id"].clone()).collect();
            assert_eq!((json!(found), &listed["has_more"]), (ids.clone(), &json!(more)), "{path}{query}");
            assert_eq!(upstream.seen().remove(0).path, format!("{there}{sent}"));
        }
    }
    let window =
        gateway.post("/v1/batches", r#"{"input_file_id":"f","endpoint":"/v1/embeddings","completion_window":"soon"}"#);
    let window = window.await;
    assert_eq!((window.status, &window.json()["error"]["param"]), (400, &json!("completion_window")));
    assert!(upstream.seen().is_empty());
}

#[tokio::test]
async fn mistrals_lists_are_put_together_of_as_many_pages_as_are_wanted() {
    let page = |ids: std::ops::Range<usize>| {
        let data: Vec<_> = ids.map(|id| json!({"id": id.to_string()})).collect();
        Say::json(200, &json!({"object": "list", "total": 250, "data": data}).to_string())
    };
    for (query, pages, first, last, more) in [
        ("", 3, "0", "249", false),
        ("?limit=100", 2, "0", "99", true),
        ("?limit=20&after=50", 1, "51", "70", true),
        ("?limit=100&after=198", 3, "199", "249", false),
    ] {
        // somebody adds one while the list is read
        let upstream = Upstream::says([page(0..100), page(99..199), page(199..250)]).await;
        let list = keeper("mistral", &upstream).await.get(&format!("/v1/files{query}")).await.json();
        assert_eq!(
            (&list["first_id"], &list["last_id"], &list["has_more"]),
            (&json!(first), &json!(last), &json!(more))
        );
        let seen: Vec<_> = upstream.seen().into_iter().map(|seen| seen.path).collect();
        let expected: Vec<_> = (0..pages).map(|page| format!("/v1/files?page={page}&page_size=100")).collect();
        assert_eq!(seen, expected, "{query}");
    }
    // a list that never ends does so here
    let huge = |at: usize| {
        let data: Vec<_> = (at * 100..at * 100 + 100).map(|id| json!({"id": id.to_string()})).collect();
        Say::json(200, &json!({"object": "list", "data": data}).to_string())
    };
    let endless = Upstream::says((0..60).map(huge)).await;
    let gateway = keeper("mistral", &endless).await;
    let list = gateway.get("/v1/files").await.json();
    assert_eq!((&list["last_id"], &list["has_more"], endless.seen().len()), (&json!("4999"), &json!(true), 50));
    endless.forget();
    endless.tell((0..60).map(huge));
    let list = gateway.get("/v1/files?after=5500").await.json();
    assert_eq!((&list["data"], &list["has_more"]), (&json!([]), &json!(false)), "who begins anew never ends");
}

#[tokio::test]
async fn a_receipt_that_is_none_is_the_vendors_failure() {
    for (provider, said) in [("mistral", "[]"), ("mistral", "<html>"), ("together", "[7]"), ("together", "{\"job\":1}")]
    {
        let upstream = Upstream::says([Say::json(200, said)]).await;
        let reply = keeper(provider, &upstream).await.get("/v1/batches/b1").await;
        assert_eq!((reply.status, reply.code().as_str()), (502, "upstream_error"), "{provider} {said}: {}", reply.body);
    }
}

#[tokio::test]
async fn on_azures_deployments_what_is_passed_on_goes_to_the_newer_surface() {
    let upstream = Upstream::says([Say::json(200, r#"{"id":"vs_1"}"#)]).await;
    let asked = async |options: &str| {
        let yaml = format!(
            "targets:\n  - virtual_key: t\n    provider: azure-openai\n    api_key: k\n    options: {{ endpoint: '{}', {options} }}\n",
            upstream.url
        );
        let gateway = TestGateway::configured(&yaml, &[]).await;
        let request = gateway.request("/v1/vector_stores?limit=2", r#"{"name":"Tides"}"#).header("x-provider", "t");
        assert_eq!(gateway.send(request).await.status, 200);
        let seen = upstream.seen().remove(0);
        assert_eq!(seen.header("api-key"), "k");
        seen.path
    };
    assert_eq!(asked("deployment: gpt").await, "/openai/v1/vector_stores?limit=2");
    assert_eq!(asked("api_version: '2024-10-21'").await, "/openai/v1/vector_stores?limit=2");
    assert_eq!(asked("api_version: preview").await, "/openai/v1/vector_stores?limit=2&api-version=preview");
}

#[tokio::test]
async fn googles_ranking_needs_the_project_that_the_target_names() {
    let upstream =
        Upstream::says([Say::json(200, r#"{"records":[{"id":"1","score":0.9},{"id":"0","score":0.1}]}"#)]).await;
    let asked = async |options: &str| {
        let yaml = format!(
            "targets:\n  - virtual_key: t\n    provider: vertex-ai\n    base_url: {}\n    api_key: k\n{options}",
            upstream.url
        );
        let ask = r#"{"model":"semantic-ranker-fast-004","query":"q","documents":["a","b"]}"#;
        TestGateway::configured(&yaml, &[]).await.post("/v1/rerank", ask).await
    };
    let reply = asked("    options: { project_id: tides, region: europe-west4 }\n").await;
    assert_eq!((reply.status, &reply.json()["results"][0]["index"]), (200, &json!(1)), "{}", reply.body);
    let path = "/v1/projects/tides/locations/global/rankingConfigs/default_ranking_config:rank";
    assert_eq!(upstream.seen().remove(0).path, path);
    assert_eq!(asked("").await.status, 404);
    assert!(upstream.seen().is_empty());
    upstream.forget();
    upstream.tell([Say::json(200, r#"{"records":[{"id":"x","score":0.9}]}"#)]);
    assert_eq!(asked("    options: { project_id: tides }\n").await.status, 502);
}

#[tokio::test]
async fn bedrock_answers_the_responses_api_on_its_own_host_signed_as_a_chat_is() {
    let whole = r#"{"id":"resp_1","object":"response","status":"completed","output":[],"usage":{"input_tokens":3,"output_tokens":2,"total_tokens":5}}"#;
    let upstream = Upstream::says([Say::json(200, whole)]).await;
    let yaml = format!(
        "targets:\n  - virtual_key: t\n    provider: bedrock\n    base_url: {}\n    options: {{ region: eu-west-1, \
         access_key_id: AKIDEXAMPLE, secret_access_key: wJalrXUtnFEMI }}\n",
        upstream.url
    );
    let gateway = TestGateway::configured(&yaml, &[]).await;
    let reply = gateway.post("/v1/responses", r#"{"model":"openai.gpt-oss-120b","input":"Tide?"}"#).await;
    assert_eq!((reply.status, reply.body.as_str()), (200, whole));
    let seen = upstream.seen().remove(0);
    assert_eq!((seen.path.as_str(), &seen.json()["input"]), ("/openai/v1/responses", &json!("Tide?")));
    assert!(seen.header("authorization").contains("/eu-west-1/bedrock/aws4_request, "));
}
