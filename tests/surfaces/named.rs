//! `X-Provider` on the operations that have a model: it names the one target that is asked.

use super::{Form, gateway};
use crate::support::{ASK, Say, Upstream};

#[tokio::test]
async fn the_named_target_alone_is_asked_for_any_model() {
    let answer = r#"{"id":"resp_1","object":"response","status":"completed","error":null,"output":[]}"#;
    let (first, named) =
        (Upstream::says([Say::json(200, answer)]).await, Upstream::says([Say::json(200, answer)]).await);
    let gateway = gateway(&[("openai", &first), ("groq", &named)], "aliases: { house: gpt-5 }\n").await;
    for (name, model, sent) in
        [("t1", "m", "m"), ("groq", "unheard-of", "unheard-of"), ("t1", "house", "gpt-5"), ("t1", "groq/x", "x")]
    {
        let ask = gateway.request("/v1/responses", format!(r#"{{"model":"{model}","input":"hi"}}"#));
        let reply = gateway.send(ask.header("x-provider", name)).await;
        assert_eq!((reply.status, reply.header("x-ferro-target")), (200, "t1"), "{}", reply.body);
        let seen = named.seen().remove(0);
        assert_eq!((seen.json()["model"].as_str(), seen.headers.contains_key("x-provider")), (Some(sent), false));
    }
    named.forget();
    named.tell([Say::json(503, "{}")]);
    let ask = gateway.request("/v1/responses", r#"{"model":"m","input":"hi"}"#).header("x-provider", "t1");
    assert_eq!(gateway.send(ask).await.status, 503);
    assert!(first.seen().is_empty());
}

const ASKED: &str = r#"{"model":"m","input":"hi","query":"q","documents":["d"]}"#;

#[tokio::test]
async fn who_is_not_there_or_cannot_do_it_is_told_apart() {
    let upstream = Upstream::says([Say::json(200, "{}")]).await;
    let gateway = gateway(&[("openai", &upstream), ("cohere", &upstream)], "").await;
    for (path, name, status, code) in [
        ("/v1/responses", "nobody", 404, "provider_not_found"),
        ("/v1/responses", "anthropic", 404, "provider_not_found"),
        ("/v1/responses", "cohere", 501, "responses_not_supported"),
        ("/v1/rerank", "t0", 501, "proxy_not_supported"),
    ] {
        let reply = gateway.send(gateway.request(path, ASKED).header("x-provider", name)).await;
        assert_eq!((reply.status, reply.code().as_str()), (status, code), "{path} {name}: {}", reply.body);
    }
    assert!(upstream.seen().is_empty());
}

#[tokio::test]
async fn what_is_kept_is_asked_of_whom_it_names() {
    let (first, named) =
        (Upstream::says([Say::json(200, "{}")]).await, Upstream::says([Say::json(200, r#"{"id":"f"}"#)]).await);
    let gateway = gateway(&[("openai", &first), ("groq", &named)], "batch_target: t0\n").await;
    for path in ["/v1/files/f", "/v1/batches/b"] {
        let get = |name: &str| gateway.http.get(format!("{}{path}", gateway.url)).header("x-provider", name.to_owned());
        let reply = gateway.send(get("t1")).await;
        assert_eq!((reply.status, reply.header("x-ferro-target")), (200, "t1"), "{path}: {}", reply.body);
        assert_eq!(gateway.send(get("nobody")).await.code(), "provider_not_found", "{path}");
        assert_eq!(gateway.send(get("")).await.header("x-ferro-target"), "t0", "{path}");
    }
}

#[tokio::test]
async fn forms_heed_it_and_chat_does_not() {
    let (first, named) =
        (Upstream::says([Say::text("x")]).await, Upstream::says([Say::json(200, r#"{"text":"x"}"#)]).await);
    let gateway = gateway(&[("openai", &first), ("groq", &named)], "").await;
    let form = Form::default().text("model", "m").file("file", "a.wav", vec![1]);
    let ask = form.on(gateway.http.post(format!("{}/v1/audio/transcriptions", gateway.url)).bearer_auth("any"));
    assert_eq!(gateway.send(ask.header("x-provider", "t1")).await.header("x-ferro-target"), "t1");
    let chat = gateway.request("/v1/chat/completions", ASK).header("x-provider", "t1");
    assert_eq!(gateway.send(chat).await.header("x-ferro-target"), "t0");
    let question = r#"{"surface":"responses","request":{"model":"m","input":"x"},"headers":{"x-provider":"t1"}}"#;
    let reply = gateway.post("/v1/route/explain", question).await;
    assert_eq!((reply.status, reply.json()["error"]["param"].as_str()), (400, Some("headers.x-provider")));
}
