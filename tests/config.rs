//! Configuration files: what loads, what is refused, and in which words.

use ferrogw::config::{self, Format};

fn show(text: &str, format: Format, name: &str) -> String {
    match config::parse(text, format, name) {
        Ok(loaded) => {
            let mut out = format!("{}\n", serde_json::to_string_pretty(&loaded.config).unwrap());
            for warning in &loaded.warnings {
                out += &warning.render("warning", name);
            }
            out
        }
        Err(invalid) => invalid.to_string(),
    }
}

fn yaml(text: &str) -> String {
    show(text, Format::Yaml, "config.yaml")
}

fn json(text: &str) -> String {
    show(text, Format::Json, "config.json")
}
#[test]
fn scratch() {
    println!(
        "{}",
        yaml(
            "strategy:\n  mode: fallback\n\ntargets:\n  - virtual_key: openai\n    retry:\n      attempts: 3\n      on_status_codes: [429, 502, 503]\n  - virtual_key: 1.10\n    headers: {a: 1.20}\n    weight: 0\n"
        )
    );
    println!(
        "{}",
        yaml(
            "stategy:\n  mode: fallback\ntargets:\n  - virtualkey: openai\n    api_ky: foo\n    base_url: ftp://x\n    retry: {attempts: -1, bogus: 1}\n  - 5\n  - virtual_key: a\n    weight: -3\n    timeouts: {connect: 5}\n    models: [a, 'x*', ' b']\n    circuit_breaker: {timeout: 3s}\n    api_key: [a, b]\nplugins:\n  - name: word-filter\n    enabled: true\n"
        )
    );
    println!(
        "{}",
        json(
            "{\n  \"targets\": [\n    {\"virtual_key\": \"é\", \"retry\": {\"attempts\": \"3\"}, \"weight\": 1, \"weight\": 2}\n  ],\n\t\"x\": 1\n}"
        )
    );
    println!("{}", json("{\n  \"targets\": [\n    {\"virtual_key\": \"é\", }"));
    println!("{}", yaml(""));
    println!("{}", yaml("a: 1\n---\nb: 2\n"));
    println!("{}", yaml("a: [1\nb: 2\n"));
    println!("{}", yaml("targets:\n  - virtual_key: openai\n   api_key: sk-1\n"));
    println!("{}", yaml("targets: &a\n  - *b\n"));
    println!("{}", config::schema_json());
}
