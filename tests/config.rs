//! Configuration files: what loads, what is refused, and in which words.

mod files;
mod models;
mod newcomers;
mod values;

use std::time::Duration;

use ferrogw::config::{self, Format, Invalid, Loaded, Mode, Text};

const PROVIDERS: [&str; 4] = ["deepseek", "groq", "ollama", "openai"];

fn yaml(text: &str) -> Result<Loaded, Invalid> {
    config::parse(text, Format::Yaml, "config.yaml")
}

fn json(text: &str) -> Result<Loaded, Invalid> {
    config::parse(text, Format::Json, "config.json")
}

fn words(outcome: Result<Loaded, Invalid>) -> String {
    match outcome {
        Ok(loaded) => loaded.warnings.iter().map(|warning| warning.render("warning", loaded.source.name())).collect(),
        Err(invalid) => invalid.to_string(),
    }
}

/// Path and code of each problem, or of each warning.
fn codes(outcome: &Result<Loaded, Invalid>) -> Vec<(&str, &str)> {
    let problems = match outcome {
        Ok(loaded) => &loaded.warnings,
        Err(invalid) => &invalid.problems,
    };
    problems.iter().map(|problem| (problem.path.as_str(), problem.code)).collect()
}

/// The annotated example of the reference's README, all features on.
const REFERENCE: &str = r#"
strategy:
  mode: fallback  # single | fallback | loadbalance | conditional
                  # least-latency | cost-optimized | content-based | ab-test

targets:
  - virtual_key: openai
    retry:
      attempts: 3
      on_status_codes: [429, 502, 503]
      initial_backoff_ms: 100
  - virtual_key: groq
    retry:
      attempts: 2
  - virtual_key: deepseek

aliases:
  fast: gpt-4o-mini
  smart: claude-3-5-sonnet-20241022

plugins:
  - name: word-filter
    type: guardrail
    stage: before_request
    enabled: true
    config:
      blocked_words: ["password", "secret"]
      case_sensitive: false
  - name: max-token
    type: guardrail
    stage: before_request
    enabled: false
  - name: request-logger
    type: logging
    stage: before_request
    enabled: true
    config: { level: info, persist: true, backend: sqlite, dsn: ferrogw-requests.db }

mcp_servers:
  - name: my-tools
    url: https://mcp.example.com/mcp
    headers:
      Authorization: Bearer ${MY_TOOLS_TOKEN}
    allowed_tools: [search, get_weather]
    max_call_depth: 5
    timeout_seconds: 30
"#;

#[test]
fn the_minimal_configuration_of_the_reference_loads() {
    let text = REFERENCE.split("\nplugins:").next().unwrap();
    let loaded = yaml(text).unwrap();
    assert_eq!(loaded.config.strategy.mode, Some(Mode::Fallback));
    assert_eq!(loaded.config.targets[0].retry.on_status_codes, Some(vec![429, 502, 503]));
    assert_eq!(loaded.config.targets[1].retry.tries(), 2);
    assert_eq!(loaded.config.aliases["fast"].0, ["gpt-4o-mini"]);
    assert_eq!((loaded.warnings.len(), config::check(&loaded.config, &PROVIDERS)), (0, Vec::new()));
}

#[test]
fn what_is_not_built_yet_is_refused_by_name() {
    let outcome = yaml(REFERENCE);
    assert_eq!(
        codes(&outcome),
        [
            ("plugins[0]", "unsupported_config"),
            ("plugins[2]", "unsupported_config"),
            ("mcp_servers", "unsupported_config")
        ]
    );
    insta::assert_snapshot!(words(outcome));
}

#[test]
fn every_missing_feature_has_its_path() {
    let outcome = yaml(
        r#"
strategy: { mode: fallback }
targets:
  - virtual_key: openai
  - virtual_key: groq
routes: [{ name: a, match: { model: "*" }, targets: [openai], plugins: [] }, { name: b, match: { model: "*" }, targets: [groq], plugins: off }]
observability: { tracing: { endpoint: "localhost:4317" }, exporters: [{ name: langfuse, enabled: true }] }
"#,
    );
    let expected = ["routes[1].plugins", "observability.tracing", "observability.exporters[0]"];
    assert_eq!(codes(&outcome), expected.map(|path| (path, "unsupported_config")));
}

#[test]
fn what_asks_for_nothing_is_accepted() {
    let outcome = yaml(
        r#"
strategy: { mode: fallback, conditions: [], ab_variants: [{ target_key: openai, weight: 1, label: a }] }
targets: [{ virtual_key: openai, weight: 3, circuit_breaker: }]
plugins: [{ name: word-filter, type: guardrail, stage: before_request, enabled: false, config: { a: 1 } }, { name: x }]
mcp_servers: []
routes:
observability: { tracing: { enabled: false, endpoint: "localhost:4317" }, exporters: [] }
batch_target: ""
"#,
    );
    assert_eq!(codes(&outcome), [("strategy.ab_variants", "no_effect"), ("targets[0].weight", "no_effect")]);
}

#[test]
fn unknown_keys_are_reported_together_with_the_nearest_name() {
    insta::assert_snapshot!(words(yaml(
        "stategy:\n  mode: fallback\ntargets:\n  - virtualkey: openai\n    apikey: abc\n    retry: { attempt: 2, colour: red }\n  - virtual_key: groq\n    circuit_braker: {}\n"
    )));
}

#[test]
fn wrong_types_are_reported_together() {
    insta::assert_snapshot!(words(yaml(
        r#"
strategy: fallback
targets:
  - virtual_key: [openai]
    models: gpt-5
    api_key: { a: abc }
    headers: { x-team: [abc] }
    timeouts: { connect: 5, idle: soon }
    retry: { attempts: "3", on_status_codes: [429, 700], initial_backoff_ms: 1.5 }
  - openai
request_timeout: 30
max_request_bytes: -1
compatibility: { on_unsupported_param: rejekt }
failover_on: [200, 5xx, timeouts]
server: { expose_headers: maybe }
"#
    )));
}

#[test]
fn broken_rules_are_reported_together() {
    insta::assert_snapshot!(words(yaml(
        r#"
strategy: { mode: fallback }
targets:
  - virtual_key: openai
    base_url: ftp://host/v1
    models: [gpt-5, " o3", gpt-5]
    headers: { "a b": c, host: d }
    timeouts: { idle: 0s }
  - virtual_key: openai
    base_url: https://me:word@host/v1?key=1
  - weight: -1
    provider: ""
aliases: { a: a, b: a, "": c, d: "" }
request_timeout: 0s
"#
    )));
}

#[test]
fn json_has_the_same_words() {
    insta::assert_snapshot!(words(json(
        "{\n  \"targets\": [\n    { \"virtual_key\": \"é\", \"api_key\": \"abc\", \"weight\": -1 },\n\t{ \"virtual_key\": 5, \"retry\": { \"attempts\": \"3\" }, \"bogus\": 1 }\n  ],\n  \"aliases\": { \"a\": 1 }\n}\n"
    )));
}

#[test]
fn a_key_given_twice_is_refused() {
    insta::assert_snapshot!(words(yaml(
        "targets:\n  - virtual_key: openai\n    weight: 1\n    weight: 2\naliases: { a: b, a: c }\n"
    )));
    insta::assert_snapshot!(words(json("{\"targets\": [{\"virtual_key\": \"openai\"}],\n \"targets\": []}")));
}

#[test]
fn text_that_cannot_be_parsed_is_shown_where_it_breaks() {
    let cases = [
        words(yaml("targets:\n  - virtual_key: openai\n   api_key: abc\n")),
        words(yaml("targets: [{ virtual_key: openai ]\n")),
        words(yaml("targets: *nobody\n")),
        words(yaml("targets: []\n---\ntargets: []\n")),
        words(yaml("a:\n\t- b\n")),
        words(json("{\n  \"targets\": [\n    { \"virtual_key\": \"é\", }\n")),
        words(json("{} {}")),
        words(json("")),
        words(json("[]")),
        words(yaml("")),
    ];
    insta::assert_snapshot!(cases.join("\n"));
}

#[test]
fn a_file_that_cannot_be_read_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.toml");
    assert_eq!(config::load(&path).unwrap_err().problems[0].code, "unknown_format");
    let path = dir.path().join("config.YML");
    assert_eq!(config::load(&path).unwrap_err().problems[0].code, "unreadable_file");
    std::fs::write(&path, [0xff, 0xfe]).unwrap();
    assert_eq!(config::load(&path).unwrap_err().problems[0].code, "unreadable_file");
    std::fs::write(&path, "\u{feff}targets: [{ virtual_key: openai }]\r\n").unwrap();
    assert_eq!(config::load(&path).unwrap().config.targets[0].provider(), "openai");
}

#[test]
fn scalars_are_read_as_the_reference_reads_them() {
    let loaded = yaml(
        "targets: [{ virtual_key: 1.10, headers: { a: yes, b: 0x10, c: 2024-10-21 }, retry: { attempts: 2.0 } }]\nserver: { expose_headers: off, keep_alive: 0 }\nstrategy:\naliases: { on: gpt-5 }\n",
    )
    .unwrap()
    .config;
    let target = &loaded.targets[0];
    assert_eq!(target.virtual_key, "1.10");
    assert_eq!(target.headers.values().map(Text::as_written).collect::<Vec<_>>(), ["yes", "0x10", "2024-10-21"]);
    assert_eq!((target.retry.attempts, loaded.server.expose_headers), (2, false));
    assert_eq!((loaded.server.keep_alive, loaded.server.drain), (Duration::ZERO, Duration::from_secs(15)));
    assert_eq!(loaded.aliases["on"].0, ["gpt-5"]);
    let merged = yaml("targets:\n  - &base { virtual_key: a, weight: 0.5 }\n  - { <<: *base, virtual_key: b }\n")
        .unwrap()
        .config;
    assert_eq!((merged.targets[1].virtual_key.as_str(), merged.targets[1].weight), ("b", Some(0.5)));
}

#[test]
fn what_can_have_no_effect_is_a_warning() {
    let outcome = yaml(
        "apiVersion: v2\ntargets:\n  - virtual_key: openai\n    models: [gpt-5]\n    retry: { on_status_codes: [500] }\n  - virtual_key: groq\nfailover_on: [429]\naliases: { gpt-5: gpt-4o }\n",
    );
    assert!(outcome.is_ok());
    insta::assert_snapshot!(words(outcome));
}

#[test]
fn a_configuration_in_which_nothing_can_serve_is_refused() {
    let check = |text: &str, path: &str| assert_eq!(codes(&yaml(text)), [(path, "invalid_value")]);
    check("targets: []", "targets");
    check("targets: [{ virtual_key: a, weight: 0 }, { virtual_key: b }]", "targets[0].weight");
    check("strategy: { mode: fallback }\ntargets: [{ virtual_key: a, weight: 0 }]", "targets");
}

#[test]
fn providers_are_checked_by_the_list_there_is() {
    let text = "strategy: { mode: fallback }\ntargets:\n  - virtual_key: opnai\n  - virtual_key: eu\n  - virtual_key: a\n    provider: qwert\n  - virtual_key: replicate\n  - virtual_key: b\n    provider: openai\n";
    let loaded = yaml(text).unwrap();
    let problems = config::check(&loaded.config, &PROVIDERS);
    insta::assert_snapshot!(loaded.source.blame(problems));
}
