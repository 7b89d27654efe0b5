//! What the tests of both of Google's services have in common.

use serde_json::{Value, json};

use crate::support::{Reply, TestGateway};

/// A line of a batch's input.
pub(super) fn line(custom_id: &str, body: Value) -> String {
    json!({"custom_id": custom_id, "method": "POST", "url": "/v1/chat/completions", "body": body}).to_string()
}

/// A line that asks for a chat.
pub(super) fn chat(custom_id: &str, model: &str, content: &str) -> String {
    line(custom_id, json!({"model": model, "messages": [{"role": "user", "content": content}], "max_tokens": 9}))
}

/// Upload a file, as OpenAI's SDKs do.
pub(super) async fn upload(
    gateway: &TestGateway,
    purpose: &str,
    (filename, kind): (&str, &str),
    content: &str,
) -> Reply {
    const BOUNDARY: &str = "a-boundary-5d1f";
    let body = format!(
        "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\n{purpose}\r\n--{BOUNDARY}\r\n\
         Content-Disposition: form-data; name=\"file\"; filename=\"{filename}\"\r\nContent-Type: {kind}\r\n\r\n{content}\r\n\
         --{BOUNDARY}--\r\n"
    );
    let request = gateway.http.post(format!("{}/v1/files", gateway.url)).bearer_auth("any");
    let kind = format!("multipart/form-data; boundary={BOUNDARY}");
    gateway.send(request.header("content-type", kind).body(body)).await
}

/// Upload the input of a batch, and return its id.
pub(super) async fn input(gateway: &TestGateway, content: &str) -> String {
    let receipt = upload(gateway, "batch", ("in.jsonl", "application/octet-stream"), content).await;
    assert_eq!(receipt.status, 200, "{}", receipt.body);
    receipt.json()["id"].as_str().unwrap().to_owned()
}

/// Make a batch of an input.
pub(super) async fn make(gateway: &TestGateway, input: &str) -> Reply {
    let ask = json!({"input_file_id": input, "endpoint": "/v1/chat/completions", "completion_window": "24h"});
    gateway.post("/v1/batches", ask.to_string()).await
}

pub(super) async fn delete(gateway: &TestGateway, path: &str) -> Reply {
    gateway.send(gateway.http.delete(format!("{}{path}", gateway.url))).await
}

/// The lines of a file, without the names that are made here.
pub(super) fn lines(body: &str) -> Vec<Value> {
    let mut lines: Vec<Value> = body.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for line in &mut lines {
        assert!(line.as_object_mut().unwrap().remove("id").unwrap().as_str().unwrap().starts_with("batch_req_"));
    }
    lines
}

/// An id that names this: forged, or as the gateway makes it.
pub(super) fn id(prefix: &str, named: &str) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut id = prefix.to_owned();
    for group in named.as_bytes().chunks(3) {
        let word = group.iter().chain(&[0, 0]).take(3).fold(0_u32, |word, byte| word << 8 | u32::from(*byte));
        id.extend((0..=group.len()).map(|digit| char::from(DIGITS[(word >> (18 - 6 * digit)) as usize & 63])));
    }
    id
}
