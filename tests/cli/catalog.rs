//! `ferrogw catalog`: what is known of models, and how that is renewed.

use super::support::Place;

const SOURCES: [&str; 2] = [
    concat!(env!("CARGO_MANIFEST_DIR"), "/tests/catalog/sources/litellm"),
    concat!(env!("CARGO_MANIFEST_DIR"), "/tests/catalog/sources/genai"),
];

fn import<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&["catalog", "import", SOURCES[0], SOURCES[1], "--today", "2026-11-21"], more].concat()
}

#[test]
fn an_import_says_what_came_of_it() {
    let place = Place::new();
    place.write("before.jsonl", "{\"catalog\":\"2026-11-20\",\"sources\":[]}\n");
    let ended = place.run(&import(&["--from", "before.jsonl", "--output", "new.jsonl"]), &[]);
    insta::assert_snapshot!("catalog_import", ended.shown());
    let printed = place.run(&import(&["--from", "before.jsonl"]), &[]);
    assert_eq!(printed.out, place.read("new.jsonl"));
    insta::assert_snapshot!("catalog_diff", place.run(&["catalog", "diff", "new.jsonl", "before.jsonl"], &[]).shown());
    let same = place.run(&["catalog", "diff", "new.jsonl", "new.jsonl", "--format", "json"], &[]).json();
    assert_eq!(same, serde_json::json!({ "added": [], "gone": [], "changed": [] }));
}

#[test]
fn an_import_that_loses_what_was_known_writes_nothing() {
    let place = Place::new();
    // the catalog of the binary knows thousands that these sources do not
    let ended = place.run(&import(&["--output", "new.jsonl"]), &[]);
    assert_eq!(ended.code, 1);
    assert!(ended.err.contains("models with a price are gone") && ended.err.contains("--force"), "{}", ended.err);
    assert!(!place.path().join("new.jsonl").exists());
    let forced = place.run(&import(&["--output", "new.jsonl", "--force", "--format", "json"]), &[]).json();
    assert!(forced["models"].as_u64().unwrap() > 3500 && forced["vanished"].as_u64().unwrap() > 3000, "{forced}");
    let wrong = place.run(&["catalog", "import", SOURCES[0], "--today", "2026-02-30"], &[]);
    assert_eq!((wrong.code, wrong.err.as_str()), (1, "error: `2026-02-30` is no day, as 2026-11-21\n"));
}

#[test]
fn a_model_is_shown_with_all_its_prices() {
    let place = Place::new();
    let ended = place.run(&["catalog", "show", "openai/gpt-4o"], &[]);
    assert!(ended.out.contains("input $2.5/M, output $10/M, cache read $1.25/M"), "{}", ended.out);
    let json = place.run(&["catalog", "show", "openai/gpt-4o", "--format", "json"], &[]).json();
    let prices = &json[0]["prices"][0];
    assert_eq!(prices["input_per_m_tokens"], 2.5, "{json}");
    assert_eq!(json[0]["context_window"], 128_000);
    // a name that several providers have
    let shared = place.run(&["catalog", "show", "gpt-4o", "--format", "yaml"], &[]);
    assert!(shared.out.contains("provider: azure-openai") && shared.out.contains("provider: openai"), "{}", shared.out);
    let missing = place.run(&["catalog", "show", "gpt-4o-mega"], &[]);
    assert_eq!((missing.code, missing.err.as_str()), (1, "error: the catalog has no model `gpt-4o-mega`\n"));
}

#[test]
fn models_are_searched_by_what_they_are_and_cost() {
    let place = Place::new();
    let search = |more: &[&str]| place.run(&[&["catalog", "search", "--format", "json"], more].concat(), &[]).json();
    let found = search(&["claude", "--provider", "anthropic", "--capability", "vision", "--context", "200000"]);
    let found = found.as_array().unwrap();
    assert!(!found.is_empty() && found.iter().all(|model| model["provider"] == "anthropic"), "{found:?}");
    let cheap = search(&["--mode", "embedding", "--cheapest", "--limit", "3"]);
    assert_eq!(cheap.as_array().unwrap().len(), 3);
    assert!(cheap[0]["mode"] == "embedding", "{cheap}");
    let text = place.run(&["catalog", "search", "gpt", "--limit", "2"], &[]).out;
    assert!(text.starts_with("MODEL") && text.contains("more: narrow the search"), "{text}");
    assert_eq!(place.run(&["catalog", "search", "--capability", "sorcery"], &[]).code, 2);
}

#[test]
fn the_catalog_says_where_it_comes_from() {
    let place = Place::new();
    let json = place.run(&["catalog", "show", "--format", "json"], &[]).json();
    assert!(json["models"].as_u64().unwrap() >= 3500 && json["sources"].as_array().unwrap().len() >= 2, "{json}");
    assert!(place.run(&["catalog", "show"], &[]).out.contains("PROVIDER"));
    let notice = place.run(&["catalog", "notice"], &[]).out;
    assert!(notice.contains("litellm") && notice.contains("Permission is hereby granted"), "{notice}");
}

#[test]
fn the_models_of_a_configuration_are_listed_with_their_prices() {
    let place = Place::new();
    place.write(
        "config.yaml",
        "strategy: { mode: fallback }\ntargets:\n  - { virtual_key: mine, provider: openai, base_url: 'http://localhost:9/v1', \
         api_key: '', models: [gpt-4o, house-model] }\n  - { virtual_key: groq }\naliases: { fast: gpt-4o }\n",
    );
    insta::assert_snapshot!("models", place.run(&["models"], &[]).shown());
    let vision = place.run(&["models", "gpt", "--capability", "vision", "--format", "json"], &[]).json();
    assert_eq!((vision.as_array().unwrap().len(), &vision[0]["alias_of"]), (2, &"gpt-4o".into()), "{vision}");
    assert_eq!((&vision[1]["id"], &vision[1]["pricing"]["input_per_m_tokens"]), (&"gpt-4o".into(), &2.5.into()));
    // with its key a target serves what the catalog knows of its provider
    let key = [("GROQ_API_KEY", "gsk-1")];
    let groq = place.run(&["models", "--provider", "groq", "--format", "json"], &key).json();
    assert!(groq.as_array().unwrap().len() > 10, "{groq}");
    let gateway = place.serve(&[], &key);
    let live = place.run(&["models", "--live", "--gateway-url", &gateway.url, "--format", "json"], &[]).json();
    assert_eq!(live, place.run(&["models", "--format", "json"], &key).json());
}
