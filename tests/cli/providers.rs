//! `ferrogw providers`: the table, one row of it, and no secret in either.

use ferrogw::providers::capabilities::PARAMS;
use ferrogw::providers::table::PROVIDERS;
use serde_json::Value;

use super::support::Place;

#[test]
fn every_provider_is_listed_with_what_the_environment_has_of_it() {
    let env = [
        ("GROQ_API_KEY", "gsk_hush"),
        ("DEEPSEEK_BASE_URL", "https://user:hush@deepseek.example/v1"),
        ("AZURE_OPENAI_ENDPOINT", "https://r.openai.azure.com"),
        ("AZURE_OPENAI_API_KEY", "hush"),
    ];
    let place = Place::new();
    let listed = place.run(&["providers", "--format", "json"], &env);
    let all: Vec<Value> = serde_json::from_str(&listed.out).unwrap();
    let ids: Vec<_> = all.iter().map(|one| one["id"].as_str().unwrap()).collect();
    assert_eq!(ids, PROVIDERS.iter().map(|spec| spec.id).collect::<Vec<_>>());
    let one = |id: &str| all.iter().find(|one| one["id"] == id).unwrap();
    let state = |id: &str| one(id)["credentials"].as_str().unwrap();
    assert_eq!(
        ["groq", "azure-openai", "deepseek", "openai"].map(state),
        ["present", "present", "incomplete", "absent"]
    );
    assert_eq!(
        (&one("deepseek")["missing"][0], &one("groq")["set"][0]),
        (&"DEEPSEEK_API_KEY".into(), &"GROQ_API_KEY".into())
    );
    let address = |id: &str| one(id)["address"].as_str().unwrap();
    assert_eq!(address("deepseek"), "https://deepseek.example/v1");
    assert_eq!(address("azure-openai"), "https://r.openai.azure.com/openai/v1");
    let text = place.run(&["providers"], &env);
    assert_eq!(text.code, 0);
    assert!(text.out.contains(" DEEPSEEK_BASE_URL; missing: DEEPSEEK_API_KEY "), "{}", text.out);
    assert!(!(text.shown() + &listed.shown()).contains("hush"));
}

#[test]
fn one_provider_is_shown_whole() {
    let place = Place::new();
    insta::assert_snapshot!(place.run(&["providers", "show", "groq"], &[]).shown());
    let one = place.run(&["providers", "show", "hugging_face", "--format", "json"], &[]).json();
    assert_eq!((&one["id"], one["parameters"].as_array().unwrap().len()), (&"hugging-face".into(), PARAMS.len()));
    let effect = |model: &[&str]| {
        let args: Vec<_> = ["providers", "show", "openai", "--format", "json"].iter().chain(model).copied().collect();
        place.run(&args, &[]).json()["parameters"][0].clone()
    };
    assert_eq!(effect(&[])["effect"], "forward");
    assert_eq!(effect(&["--model", "o3"]), serde_json::json!({"name": "temperature", "effect": "unsupported"}));
    let nobody = place.run(&["providers", "show", "nope"], &[]);
    assert!(nobody.code == 1 && nobody.err.starts_with("error: there is no provider `nope`; there are ai21, "));
}
