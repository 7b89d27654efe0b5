//! Files and batches at vendors whose batches are not OpenAI's: the usual script of OpenAI's SDK, against each of them.

mod anthropic;
mod bedrock;
mod bedrock_options;
mod cohere;
mod fireworks;
mod gemini;
mod google;
mod held;
mod input;
mod lists;
mod sizes;
mod trouble;
mod vertex;

use serde_json::{Value, json};

use crate::support::{Reply, TestGateway, Upstream};
use crate::surfaces::Form;

/// A gateway with one target of this provider, called `t`, which keeps files and batches.
async fn keeper(provider: &str, upstream: &Upstream, more: &str) -> TestGateway {
    let target = crate::support::target("t", provider, upstream, "m", more);
    TestGateway::configured(&format!("targets:\n{target}batch_target: t\n"), &[]).await
}

/// A line of input that asks for a chat.
fn chat(custom_id: &str, model: &str) -> Value {
    let body =
        json!({"model": model, "max_tokens": 9, "messages": [{"role": "user", "content": "How high is the tide?"}]});
    json!({"custom_id": custom_id, "method": "POST", "url": "/v1/chat/completions", "body": body})
}

/// Lines as they stand in a file.
fn lines(lines: &[Value]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// Uploads a file for a purpose.
async fn upload(gateway: &TestGateway, purpose: &str, content: impl Into<String>) -> Reply {
    let form = Form::default().text("purpose", purpose).file("file", "in.jsonl", content.into().into_bytes());
    gateway.send(form.on(gateway.http.post(format!("{}/v1/files", gateway.url)).bearer_auth("any"))).await
}

/// Asks for a batch of an uploaded input.
async fn order(gateway: &TestGateway, input: &str) -> Reply {
    let order = json!({"input_file_id": input, "endpoint": "/v1/chat/completions", "completion_window": "24h"});
    gateway.post("/v1/batches", order.to_string()).await
}

async fn delete(gateway: &TestGateway, path: &str) -> Reply {
    gateway.send(gateway.http.delete(format!("{}{path}", gateway.url))).await
}

/// The lines of a file of results.
fn results(reply: &Reply) -> Vec<Value> {
    reply.body.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn id(reply: &Reply) -> String {
    assert_eq!(reply.status, 200, "{}", reply.body);
    reply.json()["id"].as_str().unwrap().to_owned()
}
