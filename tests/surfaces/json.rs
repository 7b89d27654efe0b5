//! Operations that take a JSON object: images, speech, rerank, moderations.

use serde_json::{Value, json};

use super::{decoded, gateway, metric};
use crate::support::{Say, TestGateway, Upstream, target};

#[tokio::test]
async fn an_image_is_made_by_who_serves_its_model_and_its_tokens_are_counted() {
    let answer =
        r#"{"created":1,"data":[{"b64_json":"aGk="}],"usage":{"input_tokens":7,"output_tokens":11,"total_tokens":18}}"#;
    let (down, up) = (Upstream::says([Say::json(503, "")]).await, Upstream::says([Say::json(200, answer)]).await);
    let gateway = gateway(&[("openai", &down), ("openai", &up)], "aliases: { painter: m }\n").await;
    let ask = r#"{"model":"painter","prompt":"a tide","size":"1024x1024","background":"transparent","x_new":[1.50]}"#;
    let reply = gateway.post("/v1/images/generations", ask).await;
    assert_eq!((reply.status, reply.body.as_str()), (200, answer));
    assert_eq!((reply.header("x-ferro-target"), reply.header("x-ferro-attempts")), ("t1", "2"));
    let seen = up.seen().remove(0);
    assert_eq!(
        (seen.path.as_str(), seen.header("authorization")),
        ("/v1/images/generations", "Bearer sk-test-t1-0123456789")
    );
    assert_eq!(seen.body, ask.replace("painter", "m"));
    assert_eq!(
        metric(&gateway, r#"gateway_surface_requests_total{status="success",surface="images"}"#).await,
        Some(1.0)
    );
    let labels = r#"{model="m",provider="openai",target="t1"}"#;
    assert_eq!(metric(&gateway, &format!("gateway_tokens_output_total{labels}")).await, Some(11.0));
}

#[tokio::test]
async fn a_stream_of_images_passes_as_it_came() {
    let events = [
        "event: image_generation.partial_image\ndata: {\"type\":\"image_generation.partial_image\",\"b64_json\":\"YQ==\",\"partial_image_index\":0}\n\n",
        "event: image_generation.completed\ndata: {\"type\":\"image_generation.completed\",\"b64_json\":\"YWI=\",\"usage\":{\"input_tokens\":3,\"output_tokens\":5}}\n\n",
    ];
    let upstream = Upstream::says([Say::raw_events(events.map(str::to_owned))]).await;
    let gateway = gateway(&[("openai", &upstream)], "").await;
    let reply = gateway.post("/v1/images/generations", r#"{"model":"m","prompt":"a tide","stream":true}"#).await;
    assert_eq!((reply.status, reply.header("content-type")), (200, "text/event-stream"));
    assert_eq!(reply.body, events.concat());
    let labels = r#"{model="m",provider="openai",target="t0"}"#;
    assert_eq!(metric(&gateway, &format!("gateway_tokens_input_total{labels}")).await, Some(3.0));
}

#[tokio::test]
async fn speech_comes_as_sound() {
    let sound = (0..=255).cycle().take(100_000).collect::<Vec<u8>>();
    let said = Say::bytes(200, sound.clone()).header("content-type", "audio/mpeg");
    let (down, up) = (Upstream::down().await, Upstream::says([said]).await);
    let gateway = gateway(&[("openai", &down), ("groq", &up)], "").await;
    let ask = gateway.request("/v1/audio/speech", r#"{"model":"m","input":"High tide.","voice":"alloy"}"#);
    let reply = ask.send().await.unwrap();
    assert_eq!((reply.status().as_u16(), &reply.headers()["content-type"]), (200, &"audio/mpeg".parse().unwrap()));
    assert_eq!(
        (&reply.headers()["content-length"], &reply.headers()["x-ferro-target"]),
        (&"100000".parse().unwrap(), &"t1".parse().unwrap())
    );
    assert_eq!(reply.bytes().await.unwrap(), sound);
    assert_eq!(
        metric(&gateway, r#"gateway_surface_requests_total{status="success",surface="speech"}"#).await,
        Some(1.0)
    );
}

#[tokio::test]
async fn speech_in_events_passes_as_it_came() {
    let events = [
        "data: {\"type\":\"speech.audio.delta\",\"audio\":\"YQ==\"}\n\n",
        "data: {\"type\":\"speech.audio.done\",\"usage\":{\"input_tokens\":2,\"output_tokens\":9}}\n\n",
    ];
    let upstream = Upstream::says([Say::raw_events(events.map(str::to_owned))]).await;
    let gateway = gateway(&[("openai", &upstream)], "").await;
    let reply =
        gateway.post("/v1/audio/speech", r#"{"model":"m","input":"x","voice":"alloy","stream_format":"sse"}"#).await;
    assert_eq!((reply.status, reply.body), (200, events.concat()));
}

/// The sound in the events of a stream of speech, and the types of those.
fn told(body: &str) -> (Vec<u8>, Vec<String>) {
    let events = body.lines().filter_map(|line| line.strip_prefix("data: "));
    let events: Vec<Value> = events.map(|data| serde_json::from_str(data).unwrap()).collect();
    let sound = events.iter().filter_map(|event| event["audio"].as_str()).flat_map(decoded).collect();
    (sound, events.iter().map(|event| event["type"].as_str().unwrap().to_owned()).collect())
}

#[tokio::test]
async fn speech_that_comes_as_sound_is_told_in_events_where_those_are_wanted() {
    let ask = r#"{"model":"m","input":"High tide","voice":"v","stream_format":"sse"}"#;
    let sound: Vec<u8> = (0..100_001_u32).map(|at| (at % 251) as u8).collect();
    let groq = Upstream::says([Say::pieces("audio/wav", sound.chunks(40_000).map(<[u8]>::to_vec))]).await;
    let qwen = Upstream::says([]).await;
    let spoken = json!({"output": {"audio": {"url": format!("{}/a.wav", qwen.url)}}, "usage": {"characters": 9}});
    qwen.tell([Say::json(200, &spoken.to_string())]);
    qwen.tell([Say::bytes(200, sound.clone()).header("content-type", "audio/wav")]);
    for (provider, upstream) in [("groq", &groq), ("qwen", &qwen)] {
        let prices = format!(
            "catalog: {{ overrides: [{{ provider: {provider}, model: m, price: {{ input_per_character: 0.5 }} }}] }}\n"
        );
        let gateway = gateway(&[(provider, upstream)], &prices).await;
        let reply = gateway.post("/v1/audio/speech", ask).await;
        assert_eq!((reply.status, reply.header("content-type")), (200, "text/event-stream"), "{provider}");
        assert_eq!(reply.header("x-ferro-warnings"), "", "{provider}");
        let (heard, mut types) = told(&reply.body);
        assert!(heard == sound, "{provider}");
        assert_eq!(types.pop().as_deref(), Some("speech.audio.done"));
        assert!(types.len() > 2 && types.iter().all(|kind| kind == "speech.audio.delta"), "{provider} {types:?}");
        assert_eq!(upstream.seen()[0].json().get("stream_format"), None, "{provider}");
        let cost = format!(r#"gateway_request_cost_usd_total{{model="m",provider="{provider}",target="t0"}}"#);
        assert_eq!(metric(&gateway, &cost).await, Some(4.5), "{provider}");
    }
}

#[tokio::test]
async fn documents_are_ranked_and_texts_judged() {
    let ranked =
        r#"{"id":"r","results":[{"index":1,"relevance_score":0.9}],"meta":{"billed_units":{"search_units":1}}}"#;
    let judged = r#"{"id":"modr-1","model":"m","results":[{"flagged":false,"categories":{},"category_scores":{}}]}"#;
    let (together, openai) =
        (Upstream::says([Say::json(200, ranked)]).await, Upstream::says([Say::json(200, judged)]).await);
    let gateway = gateway(&[("together", &together), ("openai", &openai)], "").await;
    let reply = gateway.post("/v1/rerank", r#"{"model":"m","query":"tide","documents":["a","b"],"top_n":1}"#).await;
    assert_eq!((reply.status, reply.body.as_str(), reply.header("x-ferro-target")), (200, ranked, "t0"));
    assert_eq!(together.seen().remove(0).path, "/v1/rerank");
    let reply = gateway.post("/v1/moderations", r#"{"model":"m","input":"hello"}"#).await;
    assert_eq!((reply.status, reply.body.as_str(), reply.header("x-ferro-target")), (200, judged, "t1"));
    let reply = gateway.post("/v1/moderations", r#"{"input":"hello"}"#).await;
    assert_eq!((reply.status, reply.header("x-ferro-model")), (200, "omni-moderation-latest"));
    let asked: Vec<_> = openai.seen().iter().map(|seen| seen.json()["model"].clone()).collect();
    assert_eq!(asked, [json!("m"), json!("omni-moderation-latest")]);
}

#[tokio::test]
async fn what_is_missing_is_said_before_anybody_is_asked() {
    let upstream = Upstream::says([Say::json(200, "{}")]).await;
    let gateway = gateway(&[("together", &upstream)], "").await;
    for (path, body, param) in [
        ("images/generations", r#"{"model":"m"}"#, "prompt"),
        ("images/generations", r#"{"prompt":"x"}"#, "model"),
        ("audio/speech", r#"{"model":"m","input":""}"#, "input"),
        ("rerank", r#"{"model":"m","query":"x","documents":[]}"#, "documents"),
        ("rerank", r#"{"model":"m","query":"x","documents":"y"}"#, "documents"),
        ("rerank", r#"{"model":"m","documents":["y"]}"#, "query"),
        ("moderations", r#"{}"#, "input"),
    ] {
        let reply = gateway.post(&format!("/v1/{path}"), body).await;
        assert_eq!((reply.status, reply.code().as_str()), (400, "invalid_request"), "{path} {body}");
        assert_eq!(reply.json()["error"]["param"], param, "{path} {body}");
    }
    let reply = gateway.post("/v1/moderations", r#"{"model":"m","input":"x"}"#).await;
    assert_eq!((reply.status, reply.code().as_str()), (404, "model_not_found"));
    assert!(reply.body.contains("serves the model `m` for moderations: together does without"), "{}", reply.body);
    let reply = gateway.post("/v1/moderations", r#"{"model":"nobodys","input":"x"}"#).await;
    assert!(reply.body.contains("no target serves the model `nobodys`; GET"), "{}", reply.body);
    assert!(upstream.seen().is_empty());
}

#[tokio::test]
async fn what_a_models_own_vendor_does_not_do_nobody_is_asked_for_who_takes_any_name() {
    let (anthropic, any) = (Upstream::says([]).await, Upstream::says([Say::json(200, r#"{"data":[]}"#)]).await);
    let targets = target("t0", "anthropic", &anthropic, "opus", "") + &target("t1", "openrouter", &any, "m", "");
    let yaml = format!("strategy: {{ mode: fallback }}\ntargets:\n{targets}");
    let gateway = TestGateway::configured(&yaml, &[("T0_API_KEY", "sk-test-t0-0123456789")]).await;
    let embed = async |model: &str| {
        gateway.post("/v1/embeddings", json!({"model": model, "input": "high tide"}).to_string()).await
    };
    // by the beginning of its name, and because the configuration says so
    for model in ["claude-sonnet-4-5", "opus"] {
        let reply = embed(model).await;
        assert_eq!((reply.status, reply.code().as_str()), (404, "model_not_found"), "{model}: {}", reply.body);
        let words = format!("the model `{model}` for embeddings: anthropic does without");
        assert!(reply.body.contains(&words), "{}", reply.body);
    }
    assert!(any.seen().is_empty() && anthropic.seen().is_empty());
    assert_eq!(embed("nobodys").await.status, 200);
    assert_eq!(any.seen().len(), 1);
}

#[tokio::test]
async fn an_answer_of_another_kind_is_a_failure() {
    let sound = Say::bytes(200, b"RIFF".to_vec()).header("content-type", "audio/wav");
    let inside = Say::json(200, r#"{"error":{"message":"no more paint","code":"server_error"}}"#);
    let upstream = Upstream::says([sound, inside]).await;
    let gateway = gateway(&[("openai", &upstream)], "").await;
    for _ in 0..2 {
        let reply = gateway.post("/v1/images/generations", r#"{"model":"m","prompt":"x"}"#).await;
        assert_eq!((reply.status, reply.code().as_str()), (502, "upstream_error"), "{}", reply.body);
    }
}
