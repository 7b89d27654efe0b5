//! Inputs of batches: what is wrong with a line is said with its number.

use serde_json::{Value, json};

use super::{chat, keeper, lines, order, upload};
use crate::support::Upstream;
use crate::surfaces::Form;

fn with(mut line: Value, path: &str, value: Value) -> Value {
    *line.pointer_mut(path).unwrap() = value;
    line
}

#[tokio::test]
async fn a_line_that_is_wrong_is_named() {
    let upstream = Upstream::says([]).await;
    let gateway = keeper("anthropic", &upstream, "").await;
    let (fine, second) = (chat("a", "m"), chat("b", "m"));
    let mut more = second.clone();
    let body = more["body"].as_object_mut().unwrap();
    body.insert("stream".into(), true.into());
    let tool = |name: &str| {
        let mut line = second.clone();
        line["body"]["tools"] = json!([{"type": "function", "function": {"name": name}}]);
        line
    };
    let mut functions = second.clone();
    functions["body"]["functions"] = json!([{"name": "f"}]);
    let mut odd = second.clone();
    odd["body"]["messages"] = json!([{"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}}]}]);
    for (line, word) in [
        ("[]".to_owned(), "line 2: it is no JSON object"),
        ("{\"custom_id\":".to_owned(), "line 2: it is no JSON object"),
        (with(fine.clone(), "/custom_id", "".into()).to_string(), "`custom_id` is missing"),
        (with(fine.clone(), "/custom_id", 7.into()).to_string(), "`custom_id` must be a text"),
        (fine.to_string(), "line 2: `a`: another line before has the same"),
        (
            with(second.clone(), "/custom_id", "the tide".into()).to_string(),
            "line 2: `the tide`: Anthropic takes no such",
        ),
        (with(second.clone(), "/custom_id", "x".repeat(65).into()).to_string(), "1 to 64 letters"),
        (with(second.clone(), "/method", "GET".into()).to_string(), "`method` is `GET`, and must be POST"),
        (with(second.clone(), "/url", "/v1/embeddings".into()).to_string(), "it must be /v1/chat/completions"),
        (with(second.clone(), "/body", "x".into()).to_string(), "`body` is no JSON object"),
        (with(second.clone(), "/body/model", "".into()).to_string(), "`body.model` is missing"),
        (with(second.clone(), "/body/messages", 7.into()).to_string(), "line 2: `b`:"),
        (more.to_string(), "`body.stream` can't be had"),
        (tool("json_output").to_string(), "call it otherwise"),
        (tool("the tide").to_string(), "does not take the name of the tool `the tide`"),
        (functions.to_string(), "give them as `tools`"),
        (odd.to_string(), "line 2: `b`: anthropic cannot take"),
    ] {
        let reply = upload(&gateway, "batch", format!("{fine}\n{line}\n{second}")).await;
        let error = reply.json()["error"].clone();
        assert_eq!((reply.status, error["param"].as_str()), (400, Some("file")), "{line}: {}", reply.body);
        assert!(error["message"].as_str().unwrap().contains(word), "{line}: {}", reply.body);
    }
    for empty in ["", "\n \n"] {
        let reply = upload(&gateway, "batch", empty).await;
        assert!(reply.status == 400 && reply.body.contains("has no lines"), "{}", reply.body);
    }
    assert!(upstream.seen().is_empty());
    // blank lines and the end of the last one do not matter
    assert_eq!(upload(&gateway, "batch", format!("\r\n{fine}\r\n\n{second}")).await.status, 200);
}

#[tokio::test]
async fn what_is_no_upload_and_what_is_no_order_is_refused() {
    let upstream = Upstream::says([]).await;
    let gateway = keeper("anthropic", &upstream, "").await;
    let url = format!("{}/v1/files", gateway.url);
    let post = || gateway.http.post(&url).bearer_auth("any");
    let line = lines(&[chat("a", "m")]).into_bytes();
    for (ask, param) in [
        (gateway.request("/v1/files", "{}"), "file"),
        (post(), "file"),
        (Form::default().file("file", "a", line.clone()).on(post()), "purpose"),
        (Form::default().text("purpose", "batch").on(post()), "file"),
        (post().header("content-type", "multipart/form-data; boundary=x").body("nonsense"), "file"),
    ] {
        let reply = gateway.send(ask).await;
        assert_eq!((reply.status, reply.json()["error"]["param"].as_str()), (400, Some(param)), "{}", reply.body);
    }
    let fine = json!({"input_file_id": "file-x", "endpoint": "/v1/chat/completions", "completion_window": "24h"});
    for (path, value, param) in [
        ("/input_file_id", json!(""), "input_file_id"),
        ("/endpoint", json!("/v1/embeddings"), "endpoint"),
        ("/completion_window", json!("7d"), "completion_window"),
    ] {
        let reply = gateway.post("/v1/batches", with(fine.clone(), path, value).to_string()).await;
        assert_eq!((reply.status, reply.json()["error"]["param"].as_str()), (400, Some(param)), "{}", reply.body);
    }
    for body in ["", "[]", "{"] {
        assert_eq!(gateway.post("/v1/batches", body).await.status, 400, "{body}");
    }
    assert_eq!(order(&gateway, "file-x").await.status, 404);
    assert!(upstream.seen().is_empty());
}

#[tokio::test]
async fn what_is_lost_is_said_once_or_refused() {
    let upstream = Upstream::says([]).await;
    let gateway = keeper("anthropic", &upstream, "").await;
    let losing = |id: &str| {
        let mut line = chat(id, "m");
        line["body"]["seed"] = 7.into();
        line["priority"] = "high".into();
        line
    };
    let content = lines(&[losing("a"), losing("b"), losing("c")]);
    let form = Form::default().text("purpose", "batch").text("expires_after[seconds]", "3600");
    let form = form.file("file", "in.jsonl", content.clone().into_bytes());
    let reply = gateway.send(form.on(gateway.http.post(format!("{}/v1/files", gateway.url)).bearer_auth("any"))).await;
    let said = ["expires_after[seconds]", "priority", "seed"]
        .map(|param| format!("param={param};provider=anthropic;action=dropped"));
    assert_eq!((reply.status, reply.header("x-ferro-warnings")), (200, said.join(", ").as_str()));
    let gateway = keeper("anthropic", &upstream, "compatibility: { on_unsupported_param: reject }\n").await;
    let mut line = chat("b", "m");
    line["body"]["seed"] = 7.into();
    let reply = upload(&gateway, "batch", lines(&[chat("a", "m"), line])).await;
    assert!(
        reply.status == 400 && reply.body.contains("line 2: `b`: anthropic does not support `seed`"),
        "{}",
        reply.body
    );
}
