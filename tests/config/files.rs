//! The examples, the schema for editors, and files nobody meant.

use std::path::Path;

use ferrogw::config::{self, Env, Format, Text};
use proptest::prelude::*;

use super::{PROVIDERS, json, yaml};

#[test]
fn the_examples_are_one_configuration_and_name_every_key() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (yaml, json) = (
        config::load(&root.join("config.example.yaml")).unwrap(),
        config::load(&root.join("config.example.json")).unwrap(),
    );
    assert_eq!(yaml.config, json.config);
    for loaded in [&yaml, &json] {
        assert_eq!(loaded.warnings, []);
        assert_eq!(config::check(&loaded.config, &PROVIDERS), []);
    }
    let text = std::fs::read_to_string(root.join("config.example.yaml")).unwrap();
    let schema: serde_json::Value = serde_json::from_str(&config::schema_json()).unwrap();
    for object in std::iter::once(&schema).chain(schema["$defs"].as_object().unwrap().values()) {
        for key in object["properties"].as_object().into_iter().flatten().map(|(key, _)| key) {
            assert!(key == "$schema" || text.contains(&format!("{key}:")), "{key} is not in the example");
        }
    }
}

#[test]
fn the_schema_for_editors_describes_every_key() {
    let schema: serde_json::Value = serde_json::from_str(&config::schema_json()).unwrap();
    for object in std::iter::once(&schema).chain(schema["$defs"].as_object().unwrap().values()) {
        for (key, property) in object["properties"].as_object().into_iter().flatten() {
            assert!(property["description"].is_string(), "{key} has no description");
        }
    }
    insta::assert_snapshot!(config::schema_json());
}

/// Files that come near to a configuration: its own words in any order.
fn nearly() -> impl Strategy<Value = String> {
    let pieces = [
        "targets",
        "virtual_key",
        "api_key",
        "aliases",
        "plugins",
        "observability",
        "tracing",
        "weight",
        "failover_on",
        "models",
        "strategy",
        "mode",
        "retry",
        "timeouts",
        "connect",
        ":",
        ": ",
        "\n",
        "\n  ",
        "\n  - ",
        "- ",
        "[",
        "]",
        "{",
        "}",
        ",",
        "\"",
        "'",
        "5",
        "-1",
        "1e999",
        ".nan",
        "5s",
        "*",
        "&a ",
        "*a",
        "<<: ",
        "|",
        "é",
        "\u{1F511}",
        "\t",
        "${A}",
        "${",
        "~",
        "null",
        "true",
        "#",
        "---",
        "!!int ",
        "\\",
        "\r\n",
        "//",
        "@",
        "://",
    ];
    prop::collection::vec(prop::sample::select(pieces.to_vec()), 0..60).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn no_text_panics(text in prop_oneof![any::<String>(), nearly()]) {
        for format in [Format::Yaml, Format::Json] {
            match config::parse(&text, format, "x") {
                Ok(loaded) => prop_assert!(config::check(&loaded.config, &[]).iter().all(|problem| problem.line.is_none())),
                Err(invalid) => prop_assert!(!invalid.to_string().is_empty() && !invalid.problems.is_empty()),
            }
        }
    }

    #[test]
    fn no_reference_panics(text in "[$A-C{}é_0]{0,20}") {
        let env = Env::from([("A", "x")]);
        let _ = Text::from(text.as_str()).resolve(&env).map_err(|invalid| invalid.to_string());
    }
}

#[test]
fn a_file_may_nest_as_deep_as_it_likes_without_harm() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let deep = format!("{}1{}", open.repeat(5000), close.repeat(5000));
        assert!(yaml(&deep).is_err() && json(&deep).is_err());
    }
}
