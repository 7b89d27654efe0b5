//! What callers see of the catalog: `/v1/models` with limits, capabilities and prices, and names it finds an owner for.

use serde_json::{Value, json};

use crate::support::{Say, TestGateway, Upstream, target};

/// Without a `base_url` and without a call: nothing leaves this machine.
const OPENAI: &str =
    "strategy: { mode: fallback }\ntargets:\n  - virtual_key: openai\n    api_key: sk-test-0123456789\n";

async fn models(gateway: &TestGateway, query: &str) -> Vec<Value> {
    let reply = gateway.get(&format!("/v1/models{query}")).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    reply.json()["data"].as_array().unwrap().clone()
}

fn ids(models: &[Value]) -> Vec<&str> {
    models.iter().map(|model| model["id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn models_are_listed_with_limits_capabilities_and_prices() {
    let gateway = TestGateway::configured(&format!("{OPENAI}aliases: {{ small: gpt-5-mini }}\n"), &[]).await;
    let all = models(&gateway, "").await;
    assert!(all.len() > 100, "{} models", all.len());
    let find = |id: &str| all.iter().find(|model| model["id"] == id).unwrap().clone();
    let mini = find("gpt-5-mini");
    assert_eq!(
        (&mini["object"], &mini["owned_by"], &mini["provider"], &mini["mode"]),
        (&json!("model"), &json!("openai"), &json!("openai"), &json!("chat"))
    );
    assert_eq!((&mini["context_window"], &mini["max_output_tokens"]), (&json!(400_000), &json!(128_000)));
    assert_eq!(mini["pricing"]["input_per_m_tokens"], 0.25);
    assert!(mini["capabilities"].as_array().unwrap().contains(&json!("vision")), "{mini}");
    // an alias is what it stands for, under another name
    let mut small = find("small");
    assert_eq!(small["alias_of"], "gpt-5-mini");
    small["id"] = json!("gpt-5-mini");
    small.as_object_mut().unwrap().shift_remove("alias_of");
    assert_eq!(small, mini);
    for name in ["gpt-5-mini", "openai/gpt-5-mini", "small"] {
        let mut one = gateway.get(&format!("/v1/models/{}", name.replace('/', "%2F"))).await.json();
        one.as_object_mut().unwrap().shift_remove("alias_of");
        assert_eq!(one["pricing"], mini["pricing"], "{one}");
        assert_eq!(one["id"], *name);
    }
}

#[tokio::test]
async fn models_are_filtered() {
    let other = Upstream::says([Say::text("hi")]).await;
    let text = format!("{OPENAI}{}", target("mine", "deepseek", &other, "own-model", ""));
    let gateway = TestGateway::configured(&text, &[]).await;
    let all = models(&gateway, "").await;
    assert!(ids(&all).contains(&"own-model"));
    for (query, fits) in [
        ("?provider=deepseek", (|model: &Value| model["owned_by"] == "mine") as fn(&Value) -> bool),
        ("?provider=mine", |model| model["provider"] == "deepseek"),
        ("?capability=vision", |model| model["capabilities"].as_array().unwrap().contains(&json!("vision"))),
        ("?capability=vision,reasoning", |model| {
            model["capabilities"].as_array().unwrap().contains(&json!("reasoning"))
        }),
        ("?search=GPT-5", |model| {
            model["id"].as_str().unwrap().to_lowercase().contains("gpt-5")
                || model["name"].as_str().unwrap().contains("GPT-5")
        }),
        ("?provider=openai&search=embedding", |model| model["id"].as_str().unwrap().contains("embedding")),
    ] {
        let some = models(&gateway, query).await;
        assert!(!some.is_empty() && some.len() < all.len() && some.iter().all(fits), "{query}: {:?}", ids(&some));
    }
    assert!(models(&gateway, "?capability=sorcery").await.is_empty());
    assert_eq!(gateway.get("/v1/models?search=a&search=b").await.status, 400);
    // nobody knows what it costs, and that is not nothing
    let own = gateway.get("/v1/models/own-model").await.json();
    assert_eq!(own["pricing"], Value::Null);
    assert!(own.as_object().unwrap().contains_key("pricing") && own.get("context_window").is_none(), "{own}");
    assert_eq!(gateway.get("/v1/models/nobodys-model").await.code(), "model_not_found");
}

#[tokio::test]
async fn what_stands_elsewhere_is_not_said_to_have_the_providers_models() {
    let upstream = Upstream::says([Say::text("hi")]).await;
    let gateway = TestGateway::fallback(&[&upstream]).await;
    assert_eq!(ids(&models(&gateway, "").await), ["m"]);
}

#[tokio::test]
async fn the_configuration_knows_its_models_best() {
    let upstream = Upstream::says([Say::text("hi")]).await;
    let targets = target("eu", "openai", &upstream, "gpt-5-mini, tuned, other", "");
    let us = target("us", "openai", &upstream, "gpt-5-mini", "");
    let text = format!(
        "strategy: {{ mode: fallback }}\ntargets:\n{targets}{us}catalog:\n  overrides:\n    - {{ target: eu, model: gpt-5-mini, like: \
         openai/gpt-5-mini, price: {{ input_per_m_tokens: 0.2, output_per_m_tokens: 1.6 }} }}\n    - {{ provider: openai, \
         model: tuned, like: openai/gpt-4o-mini, context_window: 64000, capabilities: [vision] }}\n"
    );
    let gateway = TestGateway::configured(&text, &[]).await;
    let one = async |id: &str| gateway.get(&format!("/v1/models/{id}")).await.json();
    let mini = one("gpt-5-mini").await;
    assert_eq!(mini["pricing"], json!({ "input_per_m_tokens": 0.2, "output_per_m_tokens": 1.6 }));
    assert_eq!(mini["context_window"], 400_000);
    assert_eq!(one("us/gpt-5-mini").await["pricing"]["input_per_m_tokens"], 0.25);
    let tuned = one("tuned").await;
    assert_eq!((&tuned["context_window"], &tuned["capabilities"]), (&json!(64_000), &json!(["vision"])));
    assert_eq!(tuned["pricing"]["input_per_m_tokens"], 0.15);
    assert_eq!(one("other").await["pricing"], Value::Null);
}

#[tokio::test]
async fn a_name_that_only_the_catalog_knows_finds_its_owner() {
    // `sonar` begins like nobody else's names, `llama-3.3-70b-versatile` like everybody's
    let text = "strategy: { mode: fallback }\ntargets:\n  - { virtual_key: cerebras, api_key: csk-test-0123456789 }\n  \
                - { virtual_key: groq, api_key: gsk-test-0123456789 }\n";
    let gateway = TestGateway::configured(text, &[]).await;
    let one = gateway.get("/v1/models/llama-3.3-70b-versatile").await;
    assert_eq!((one.status, &one.json()["owned_by"]), (200, &json!("groq")), "{}", one.body);
    assert_eq!(gateway.get("/v1/models/llama-99").await.code(), "model_not_found");
    let ask = json!({ "model": "llama-99", "messages": [{ "role": "user", "content": "hi" }] });
    assert_eq!(gateway.post("/v1/chat/completions", ask.to_string()).await.code(), "model_not_found");
}

#[tokio::test]
async fn a_newer_catalog_is_read_from_its_file() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("models.jsonl");
    let lines = [
        r#"{"catalog":"2027-01-01","sources":[]}"#,
        r#"{"provider":"openai","id":"gpt-9","mode":"chat","context":9000000,"price":[{"in":"0.000009"}],"trust":"one"}"#,
    ];
    std::fs::write(&file, lines.join("\n")).unwrap();
    let gateway = TestGateway::configured(&format!("{OPENAI}catalog: {{ file: {} }}\n", file.display()), &[]).await;
    let all = models(&gateway, "").await;
    let new = all.iter().find(|model| model["id"] == "gpt-9").unwrap();
    assert_eq!((&new["context_window"], &new["pricing"]["input_per_m_tokens"]), (&json!(9_000_000), &json!(9.0)));
    assert!(ids(&all).contains(&"gpt-5-mini"));
}

#[tokio::test]
async fn answers_are_not_needed_to_list_models() {
    let silent = Upstream::says([Say::json(500, "{}")]).await;
    let gateway = TestGateway::fallback(&[&silent]).await;
    assert_eq!(models(&gateway, "?search=m").await.len(), 1);
    assert!(silent.seen().is_empty());
}
