//! Media given by address: who gets them as data, from where they are fetched, and from where not.

mod bytes;
mod guarded;
mod limits;
mod shared;

use serde_json::{Value, json};

use crate::support::{Reply, Say, TestGateway, Upstream};

const CHAT: &str = "/v1/chat/completions";

/// A picture, as far as anybody looks at it here, and the same in base64.
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01";
const PNG64: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAAB";

/// What Bedrock answers.
const CONVERSE: &str = r#"{"output":{"message":{"role":"assistant","content":[{"text":"a cat"}]}},"stopReason":"end_turn","usage":{"inputTokens":3,"outputTokens":2,"totalTokens":5}}"#;

/// Fetching, from this machine, too: whatever else is said stands behind it.
const HERE: &str = "enabled: true, http: true, private_hosts: [127.0.0.1]";

/// A host that serves this picture to everybody.
async fn album() -> Upstream {
    Upstream::says([picture()]).await
}

fn picture() -> Say {
    Say::bytes(200, PNG.to_vec()).header("content-type", "image/png")
}

async fn bedrock() -> Upstream {
    Upstream::says([Say::json(200, CONVERSE)]).await
}

fn target(name: &str, upstream: &Upstream) -> String {
    format!(
        "  - virtual_key: {name}\n    provider: bedrock\n    base_url: {}\n    api_key: k\n    models: [m]\n    \
         options: {{ region: eu-west-1 }}\n",
        upstream.url
    )
}

/// A gateway before Bedrock whose media are fetched as this says.
async fn gateway(upstream: &Upstream, fetch: &str) -> TestGateway {
    with(upstream, fetch, "").await
}

/// The same with more at the top level.
async fn with(upstream: &Upstream, fetch: &str, top: &str) -> TestGateway {
    let yaml = format!("targets:\n{}media: {{ fetch: {{ {fetch} }} }}\n{top}", target("aws", upstream));
    TestGateway::configured(&yaml, &[]).await
}

fn image(url: &str) -> Value {
    json!({"type": "image_url", "image_url": {"url": url}})
}

fn asking(parts: &[Value]) -> String {
    let mut content = vec![json!({"type": "text", "text": "What is on http://it.example?"})];
    content.extend_from_slice(parts);
    json!({"model": "m", "messages": [{"role": "system", "content": "See."}, {"role": "user", "content": content}]})
        .to_string()
}

/// Asks about the picture at this address.
async fn about(gateway: &TestGateway, url: &str) -> Reply {
    gateway.post(CHAT, asking(&[image(url)])).await
}

/// Fails unless it is refused as the caller's fault, at this part, in words that have these in them.
#[track_caller]
fn refused(reply: &Reply, place: &str, words: &[&str]) {
    let error = &reply.json()["error"];
    assert_eq!((reply.status, reply.code().as_str()), (400, "media_not_fetched"), "{}", reply.body);
    assert_eq!((&error["param"], &error["type"]), (&json!(place), &json!("invalid_request_error")), "{}", reply.body);
    let message = error["message"].as_str().unwrap();
    for word in words {
        assert!(message.contains(word), "`{word}` is not in: {message}");
    }
}

const PLACE: &str = "messages[1].content[1]";
