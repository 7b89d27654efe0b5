//! Operations that vendors have in forms of their own: what they are sent, and what becomes of their answers.

use serde_json::{Value, json};

use super::{Form, gateway, metric};
use crate::support::{Say, Upstream};

/// One request: to a provider, at an operation; where it goes and what is sent; what is answered and what becomes of it.
struct Case {
    provider: &'static str,
    path: &'static str,
    ask: Value,
    sent_to: &'static str,
    sent: Value,
    answer: Value,
    reply: Value,
}

async fn check(case: Case) {
    let upstream = Upstream::says([Say::json(200, &case.answer.to_string())]).await;
    let gateway = gateway(&[(case.provider, &upstream)], "").await;
    let reply = gateway.post(&format!("/v1/{}", case.path), case.ask.to_string()).await;
    assert_eq!(reply.status, 200, "{}: {}", case.provider, reply.body);
    let seen = upstream.seen().remove(0);
    assert_eq!((seen.path.as_str(), seen.json()), (case.sent_to, case.sent), "{}", case.provider);
    let mut reply = reply.json();
    for made in ["id", "created"] {
        if reply.as_object_mut().unwrap().remove(made).is_some() {
            reply[made] = json!("made");
        }
    }
    assert_eq!(reply, case.reply, "{}", case.provider);
}

fn ranking(results: &[(u64, f64)], usage: Option<u64>) -> Value {
    let results: Vec<Value> =
        results.iter().map(|(index, score)| json!({"index": index, "relevance_score": score})).collect();
    let mut reply = json!({"id": "made", "model": "m", "results": results});
    if let Some(tokens) = usage {
        reply["usage"] = json!({"prompt_tokens": tokens, "total_tokens": tokens});
    }
    reply
}

#[tokio::test]
async fn documents_are_ranked_in_every_vendors_form() {
    let ask = || json!({"model": "m", "query": "tide", "documents": ["a", {"text": "b"}, "c"], "top_n": 2});
    let case = |provider, sent_to, sent, answer, reply| Case {
        provider,
        path: "rerank",
        ask: ask(),
        sent_to,
        sent,
        answer,
        reply,
    };
    check(case(
        "cohere",
        "/v1/v2/rerank",
        ask(),
        json!({"id": "x", "results": [{"index": 1, "relevance_score": 0.9}]}),
        json!({"id": "made", "results": [{"index": 1, "relevance_score": 0.9}]}),
    ))
    .await;
    check(case(
        "deepinfra",
        "/inference/m",
        json!({"queries": ["tide"], "documents": ["a", "b", "c"]}),
        json!({"scores": [0.1, 0.9, 0.5], "input_tokens": 7}),
        ranking(&[(1, 0.9), (2, 0.5)], Some(7)),
    ))
    .await;
    let passages = json!([{"text": "a"}, {"text": "b"}, {"text": "c"}]);
    check(case(
        "nvidia-nim",
        "/v1/ranking",
        json!({"model": "m", "query": {"text": "tide"}, "passages": passages, "truncate": "END"}),
        json!({"rankings": [{"index": 2, "logit": 0.0}, {"index": 0, "logit": -40.0}, {"index": 1, "logit": 40.0}], "usage": {"total_tokens": 9}}),
        ranking(&[(1, 1.0), (2, 0.5)], Some(9)),
    ))
    .await;
    check(case(
        "qwen",
        "/api/v1/services/rerank/text-rerank/text-rerank",
        json!({"model": "m", "input": {"query": "tide", "documents": ["a", "b", "c"]}, "parameters": {"top_n": 2, "return_documents": false}}),
        json!({"output": {"results": [{"index": 1, "relevance_score": 0.9}]}, "usage": {"total_tokens": 5}, "request_id": "r"}),
        ranking(&[(1, 0.9)], Some(5)),
    ))
    .await;
    check(case(
        "cloudflare",
        "/run/m",
        json!({"query": "tide", "contexts": passages, "top_k": 2}),
        json!({"result": {"response": [{"id": 0, "score": 0.25}, {"id": 1, "score": 0.75}]}, "success": true, "errors": []}),
        ranking(&[(1, 0.75), (0, 0.25)], None),
    ))
    .await;
}

#[tokio::test]
async fn images_are_drawn_in_every_vendors_form() {
    let ask = || json!({"model": "m", "prompt": "a tide", "size": "1536x1024", "seed": 7});
    let case = |provider, sent_to, sent, answer, data| Case {
        provider,
        path: "images/generations",
        ask: ask(),
        sent_to,
        sent,
        answer,
        reply: json!({"created": "made", "data": data}),
    };
    check(case(
        "cloudflare",
        "/run/m",
        json!({"prompt": "a tide", "width": 1536, "height": 1024, "seed": 7}),
        json!({"result": {"image": "aGk="}, "success": true}),
        json!([{"b64_json": "aGk="}]),
    ))
    .await;
    let content = json!([{"text": "a tide"}]);
    check(case(
        "qwen",
        "/api/v1/services/aigc/multimodal-generation/generation",
        json!({"model": "m", "input": {"messages": [{"role": "user", "content": content}]}, "parameters": {"size": "1536*1024", "seed": 7}}),
        json!({"output": {"choices": [{"message": {"content": [{"image": "https://example.test/a.png"}]}}]}, "usage": {"image_count": 1}}),
        json!([{"url": "https://example.test/a.png"}]),
    ))
    .await;
    check(case(
        "together",
        "/v1/images/generations",
        json!({"model": "m", "prompt": "a tide", "seed": 7, "width": 1536, "height": 1024}),
        json!({"created": 1, "data": [{"b64_json": "aGk="}]}),
        json!([{"b64_json": "aGk="}]),
    ))
    .await;
    check(case(
        "xai",
        "/v1/images/generations",
        json!({"model": "m", "prompt": "a tide", "seed": 7, "aspect_ratio": "3:2"}),
        json!({"created": 1, "data": [{"url": "https://example.test/a.png"}]}),
        json!([{"url": "https://example.test/a.png"}]),
    ))
    .await;
    check(Case {
        provider: "openrouter",
        path: "images/generations",
        ask: json!({"model": "m", "prompt": "a tide"}),
        sent_to: "/v1/chat/completions",
        sent: json!({"model": "m", "messages": [{"role": "user", "content": "a tide"}], "modalities": ["image", "text"]}),
        answer: json!({"choices": [{"message": {"images": [{"image_url": {"url": "data:image/png;base64,aGk="}}]}}], "usage": {"prompt_tokens": 3, "completion_tokens": 4}}),
        reply: json!({"created": "made", "data": [{"b64_json": "aGk="}], "usage": {"prompt_tokens": 3, "completion_tokens": 4}}),
    })
    .await;
}

#[tokio::test]
async fn google_draws_by_prediction_or_in_its_content() {
    let case = |provider, model: &str, sent_to, sent, answer, reply| Case {
        provider,
        path: "images/generations",
        ask: json!({"model": format!("t0/{model}"), "prompt": "a tide", "size": "1792x1024"}),
        sent_to,
        sent,
        answer,
        reply,
    };
    let predicted =
        json!({"instances": [{"prompt": "a tide"}], "parameters": {"sampleCount": 1, "aspectRatio": "16:9"}});
    let drawn = json!({"predictions": [{"bytesBase64Encoded": "aGk=", "mimeType": "image/png"}]});
    let data = json!([{"b64_json": "aGk="}]);
    let reply = json!({"created": "made", "data": data});
    check(case("gemini", "imagen-4", "/v1/models/imagen-4:predict", predicted.clone(), drawn, reply)).await;
    let content = json!([{"role": "user", "parts": [{"text": "a tide"}]}]);
    let config = json!({"responseModalities": ["TEXT", "IMAGE"], "imageConfig": {"aspectRatio": "16:9"}});
    check(case(
        "gemini",
        "gemini-3-pro-image",
        "/v1/models/gemini-3-pro-image:generateContent",
        json!({"contents": content, "generationConfig": config}),
        json!({"candidates": [{"content": {"parts": [{"text": "Here"}, {"inlineData": {"mimeType": "image/png", "data": "aGk="}}]}, "finishReason": "STOP"}], "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 4}}),
        json!({"created": "made", "data": data, "usage": {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}}),
    ))
    .await;
    let filtered = r#"{"predictions":[{"raiFilteredReason":"The prompt was blocked."}]}"#;
    let upstream = Upstream::says([Say::json(200, filtered)]).await;
    let gateway = gateway(&[("gemini", &upstream)], "").await;
    let reply = gateway.post("/v1/images/generations", r#"{"model":"t0/imagen-4","prompt":"x"}"#).await;
    assert_eq!((reply.status, reply.code().as_str()), (400, "content_filter"), "{}", reply.body);
}

#[tokio::test]
async fn texts_are_embedded_in_every_vendors_form() {
    let vectors = |usage: Option<Value>| {
        let vector =
            |index: u64, embedding: Value| json!({"object": "embedding", "index": index, "embedding": embedding});
        let data = [vector(0, json!([0.5, 1.0])), vector(1, json!([0.25, -1.0]))];
        let mut reply = json!({"object": "list", "data": data, "model": "m"});
        usage.into_iter().for_each(|usage| reply["usage"] = usage);
        reply
    };
    let case = |provider, sent_to, sent, answer, reply| Case {
        provider,
        path: "embeddings",
        ask: json!({"model": "m", "input": ["a", "b"]}),
        sent_to,
        sent,
        answer,
        reply,
    };
    check(case(
        "hugging-face",
        "/hf-inference/models/m/pipeline/feature-extraction",
        json!({"inputs": ["a", "b"]}),
        json!([[0.5, 1.0], [0.25, -1.0]]),
        vectors(None),
    ))
    .await;
    check(case(
        "ollama-cloud",
        "/api/embed",
        json!({"model": "m", "input": ["a", "b"]}),
        json!({"model": "m", "embeddings": [[0.5, 1.0], [0.25, -1.0]], "prompt_eval_count": 4}),
        vectors(Some(json!({"prompt_tokens": 4, "total_tokens": 4}))),
    ))
    .await;
    let upstream = Upstream::says([Say::json(200, "[[[0.5]]]")]).await;
    let gateway = gateway(&[("hugging-face", &upstream)], "").await;
    let reply = gateway.post("/v1/embeddings", r#"{"model":"m","input":"a"}"#).await;
    assert_eq!((reply.status, reply.code().as_str()), (502, "upstream_error"));
    let reply = gateway.post("/v1/embeddings", r#"{"model":"m","input":[1,2]}"#).await;
    assert_eq!((reply.status, &reply.json()["error"]["param"]), (400, &"input[0]".into()));
}

#[tokio::test]
async fn an_image_is_a_prediction_at_replicate() {
    let done = r#"{"id":"p","status":"succeeded","output":["https://replicate.delivery/a.webp"],"urls":{}}"#;
    let described = r#"{"latest_version":{"id":"v","openapi_schema":{"components":{"schemas":{"Input":{"properties":{
        "prompt":{"type":"string"},"width":{"type":"integer"},"height":{"type":"integer"}}}}}}}}"#;
    let upstream = Upstream::says([Say::json(200, described), Say::json(201, done)]).await;
    let gateway = gateway(&[("replicate", &upstream)], "").await;
    let ask = r#"{"model":"t0/owner/flux","prompt":"a tide","size":"1536x1024","quality":"high"}"#;
    let reply = gateway.post("/v1/images/generations", ask).await;
    assert_eq!(
        (reply.status, &reply.json()["data"]),
        (200, &json!([{"url": "https://replicate.delivery/a.webp"}])),
        "{}",
        reply.body
    );
    assert!(reply.header("x-ferro-warnings").contains("param=quality"));
    let made = upstream.seen().remove(1);
    assert_eq!(made.path, "/v1/models/owner/flux/predictions");
    assert_eq!(made.json(), json!({"input": {"prompt": "a tide", "width": 1536, "height": 1024}}));
}

#[tokio::test]
async fn recordings_go_to_the_path_of_their_own_host() {
    let upstream = Upstream::says([Say::json(200, r#"{"text":"x"}"#)]).await;
    let gateway = gateway(&[("fireworks", &upstream)], "").await;
    for model in ["whisper-v3", "t0/whisper-v3-turbo"] {
        let form = Form::default().text("model", model).file("file", "a.mp3", vec![1]);
        let path = format!("{}/v1/audio/transcriptions", gateway.url);
        let status = gateway.send(form.on(gateway.http.post(path).bearer_auth("any"))).await.status;
        assert_eq!(status, if model.contains('/') { 200 } else { 404 }, "{model}");
    }
    assert_eq!(upstream.seen().remove(0).path, "/v1/audio/transcriptions");
}

#[tokio::test]
async fn an_answer_that_is_the_image_becomes_one_with_the_image_in_it() {
    for (provider, path) in [
        ("fireworks", "/v1/workflows/accounts/fireworks/models/m/text_to_image"),
        ("hugging-face", "/hf-inference/models/m"),
    ] {
        let image = Say::bytes(200, b"\x89PNG and so on".to_vec()).header("content-type", "image/png");
        let upstream = Upstream::says([image]).await;
        let gateway = gateway(&[(provider, &upstream)], "").await;
        let reply = gateway.post("/v1/images/generations", r#"{"model":"m","prompt":"a tide","quality":"high"}"#).await;
        assert_eq!(
            (reply.status, &reply.json()["data"][0]["b64_json"]),
            (200, &"iVBORyBhbmQgc28gb24=".into()),
            "{}",
            reply.body
        );
        assert!(reply.header("x-ferro-warnings").contains("param=quality"), "{}", reply.header("x-ferro-warnings"));
        assert_eq!(upstream.seen().remove(0).path, path);
        let many = gateway.post("/v1/images/generations", r#"{"model":"m","prompt":"a tide","n":2}"#).await;
        assert_eq!((many.status, many.code().as_str()), (400, "unsupported_parameter"));
    }
}

#[tokio::test]
async fn gpt_image_models_are_not_asked_for_what_they_always_do() {
    let upstream = Upstream::says([Say::json(200, r#"{"created":1,"data":[{"b64_json":"aGk="}]}"#)]).await;
    let gateway = gateway(&[("openai", &upstream)], "").await;
    let ask = |model: &str, form: &str| format!(r#"{{"model":"{model}","prompt":"x","response_format":"{form}"}}"#);
    let path = "/v1/images/generations";
    assert_eq!(gateway.post(path, ask("gpt-image-1", "b64_json")).await.header("x-ferro-warnings"), "");
    assert!(gateway.post(path, ask("gpt-image-1", "url")).await.header("x-ferro-warnings").contains("response_format"));
    gateway.post(path, ask("dall-e-3", "url")).await;
    let sent: Vec<_> = upstream.seen().iter().map(|seen| seen.json()["response_format"].clone()).collect();
    assert_eq!(sent, [Value::Null, Value::Null, json!("url")]);
}

#[tokio::test]
async fn speech_comes_as_sound_whatever_the_vendor_wraps_it_in() {
    let wrapped = Say::json(200, r#"{"audio_data":"aGk="}"#);
    let plain = Say::bytes(200, b"hi".to_vec()).header("content-type", "audio/wav");
    let (mistral, xai) = (Upstream::says([wrapped]).await, Upstream::says([plain]).await);
    let ask = r#"{"model":"m","input":"High tide.","voice":"v","response_format":"wav"}"#;
    for (provider, upstream) in [("mistral", &mistral), ("xai", &xai)] {
        let gateway = gateway(&[(provider, upstream)], "").await;
        let reply = gateway.post("/v1/audio/speech", ask).await;
        assert_eq!(
            (reply.status, reply.header("content-type"), reply.body.as_str()),
            (200, "audio/wav", "hi"),
            "{provider}"
        );
        assert_eq!(
            metric(&gateway, r#"gateway_surface_requests_total{status="success",surface="speech"}"#).await,
            Some(1.0)
        );
    }
    let sent = mistral.seen().remove(0).json();
    assert_eq!(sent, json!({"model": "m", "input": "High tide.", "voice_id": "v", "response_format": "wav"}));
    let seen = xai.seen().remove(0);
    let expected =
        json!({"text": "High tide.", "voice_id": "v", "language": "auto", "output_format": {"codec": "wav"}});
    assert_eq!((seen.path.as_str(), seen.json()), ("/v1/tts", expected));
}

#[tokio::test]
async fn subtitles_are_made_where_the_vendor_has_none() {
    let answer = r#"{"text":" High tide.","duration":1.5,"segments":[{"start":0,"end":1.5,"text":" High tide."}]}"#;
    let upstream = Upstream::says([Say::json(200, answer)]).await;
    for (provider, field, asked) in [
        ("groq", "response_format", Some("verbose_json")),
        ("together", "response_format", Some("verbose_json")),
        ("mistral", "timestamp_granularities", Some("segment")),
        ("mistral", "response_format", None),
        ("xai", "model", None),
    ] {
        let gateway = gateway(&[(provider, &upstream)], "").await;
        let form = Form::default().file("file", "a.mp3", vec![1]).text("model", "m").text("response_format", "srt");
        let path = format!("{}/v1/audio/transcriptions", gateway.url);
        let reply = gateway.send(form.on(gateway.http.post(path).bearer_auth("any"))).await;
        let srt = "1\n00:00:00,000 --> 00:00:01,500\nHigh tide.\n\n";
        assert_eq!((reply.status, reply.body.as_str()), (200, srt), "{provider}");
        assert_eq!(reply.header("content-type"), "text/plain; charset=utf-8");
        let seen = upstream.seen().remove(0);
        let sent = String::from_utf8_lossy(&seen.body).into_owned();
        match asked {
            Some(value) => {
                assert!(sent.contains(&format!("name=\"{field}\"\r\n\r\n{value}\r\n")), "{provider}: {sent}")
            }
            None => assert!(!sent.contains(&format!("name=\"{field}\"")), "{provider}: {sent}"),
        }
        assert!(provider != "xai" || sent.rfind("name=\"file\"") > sent.rfind("name=\"language\""), "{sent}");
    }
}

#[tokio::test]
async fn a_judgement_says_whether_the_text_is_flagged() {
    let answer = r#"{"id":"x","model":"m","results":[{"categories":{"hate":false,"violence":true},"category_scores":{}},{"categories":{"hate":false}}]}"#;
    let upstream = Upstream::says([Say::json(200, answer)]).await;
    let gateway = gateway(&[("mistral", &upstream)], "").await;
    let reply = gateway.post("/v1/moderations", r#"{"model":"m","input":["a","b"]}"#).await.json();
    assert_eq!((&reply["results"][0]["flagged"], &reply["results"][1]["flagged"]), (&true.into(), &false.into()));
}
