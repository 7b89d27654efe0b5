//! AI21's older models complete texts: a chat with them is one text.

use serde_json::json;

use crate::support::{Say, TestGateway, Upstream, events};

const DONE: &str = r#"{"id":"1","prompt":{"text":"p","tokens":[{},{}]},"completions":[{"data":{"text":" Paris","tokens":[{}]},"finishReason":{"reason":"endoftext"}}]}"#;

async fn gateway(upstream: &Upstream) -> TestGateway {
    let target = format!(
        "targets:\n  - {{ virtual_key: ai21, base_url: \"{}/studio/v1\", api_key: sk-test-0123456789, models: [j2-ultra] }}\n",
        upstream.url
    );
    TestGateway::configured(&target, &[]).await
}

#[tokio::test]
async fn a_chat_becomes_one_text_and_its_completion_an_answer() {
    let upstream = Upstream::says([Say::json(200, DONE)]).await;
    let gateway = gateway(&upstream).await;
    let ask = json!({
        "model": "j2-ultra", "max_tokens": 9, "stop": "x", "seed": 7,
        "messages": [
            { "role": "system", "content": "Be brief." },
            { "role": "user", "content": [{ "type": "text", "text": "The capital of France?" }] },
        ],
    });
    let reply = gateway.post("/v1/chat/completions", ask.to_string()).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    let answer = reply.json();
    assert_eq!(answer["choices"][0]["message"]["content"], " Paris");
    assert_eq!((&answer["choices"][0]["finish_reason"], &answer["usage"]["total_tokens"]), (&"stop".into(), &3.into()));
    assert!(reply.header("x-ferro-warnings").contains("param=seed"), "{:?}", reply.header("x-ferro-warnings"));
    let seen = upstream.seen();
    assert_eq!(seen[0].path, "/studio/v1/j2-ultra/complete");
    let prompt = "Be brief.\n\nUser: The capital of France?\nAssistant:";
    assert_eq!(seen[0].json(), json!({ "prompt": prompt, "maxTokens": 9, "stopSequences": ["x"] }));
}

#[tokio::test]
async fn what_is_asked_for_as_a_stream_comes_as_one() {
    let upstream = Upstream::says([Say::json(200, DONE)]).await;
    let gateway = gateway(&upstream).await;
    let ask = r#"{"model":"j2-ultra","stream":true,"messages":[{"role":"user","content":"Hi"}]}"#;
    let reply = gateway.post("/v1/chat/completions", ask).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    let events = events(&reply.body);
    assert!(reply.body.contains(" Paris") && events.last() == Some(&"[DONE]"), "{}", reply.body);
}

#[tokio::test]
async fn an_image_is_refused_by_name() {
    let upstream = Upstream::says([Say::json(200, DONE)]).await;
    let gateway = gateway(&upstream).await;
    let ask = r#"{"model":"j2-ultra","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"https://a.example/b.png"}}]}]}"#;
    let reply = gateway.post("/v1/chat/completions", ask).await;
    assert_eq!((reply.status, reply.code()), (400, "unsupported_content".to_owned()), "{}", reply.body);
    assert!(upstream.seen().is_empty());
}
