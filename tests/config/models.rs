//! `catalog`: what the owner of a configuration knows of models, judged before anything starts.

use std::path::Path;

use ferrogw::catalog::Catalog;
use ferrogw::config::{self, Invalid};

use super::{PROVIDERS, yaml};

const TARGET: &str = "targets:\n  - virtual_key: openai\n";

fn problems(overrides: &str) -> Vec<String> {
    let text = format!("{TARGET}catalog:\n  overrides: [{overrides}]\n");
    let told = |invalid: Invalid| invalid.problems;
    let found = match yaml(&text) {
        Err(invalid) => told(invalid),
        Ok(loaded) => {
            let mut found = config::check(&loaded.config, &PROVIDERS);
            found.extend(Catalog::of(&loaded.config.catalog, None).err().map(told).unwrap_or_default());
            found
        }
    };
    found.into_iter().map(|problem| format!("{}: {}", problem.path, problem.message)).collect()
}

#[test]
fn what_is_wrong_with_a_model_is_said_with_its_place() {
    let check = |overrides: &str, expected: &str| {
        let found = problems(overrides);
        assert!(found.len() == 1 && found[0].contains(expected), "{overrides}: {found:?}");
    };
    assert_eq!(problems("{ provider: openai, model: mine, price: { input_per_m_tokens: 0.25 } }"), [""; 0]);
    check("{ model: mine }", "catalog.overrides[0]: must name the `provider`");
    check("{ provider: openai, target: openai, model: mine }", "overrides[0].target: cannot stand beside");
    check("{ target: nobody, model: mine }", "overrides[0].target: there is no target `nobody`");
    check("{ provider: opnai, model: mine }", "overrides[0].provider: there is no provider `opnai`");
    check("{ provider: openai, model: '' }", "overrides[0].model: must not be empty");
    check(
        "{ provider: openai, model: a }, { provider: openai, model: a }",
        "overrides[1]: the model `a` is there twice",
    );
    check("{ provider: openai, model: mine, like: gpt-99 }", "overrides[0].like: the catalog has no `gpt-99`");
    check("{ provider: openai, model: mine, mode: chatting }", "overrides[0].mode: there is no `chatting`");
    check(
        "{ provider: openai, model: mine, capabilities: [seeing] }",
        "overrides[0].capabilities: there is no `seeing`",
    );
    check("{ provider: openai, model: mine, price: { input: 1 } }", "price.input: ");
    check("{ provider: openai, model: mine, price: { input_per_m_tokens: -1 } }", "price.input_per_m_tokens: ");
    let fine = "{ provider: openai, model: mine, price: { input_per_m_tokens: 0.0000001 } }";
    check(fine, "overrides[0].price.input_per_m_tokens: must be an amount of US dollars");
    check(
        "{ provider: openai, model: mine, price: { per_request: 100000 } }",
        "price.per_request: is more than a price can be",
    );
}

#[test]
fn a_file_that_cannot_be_used_is_named() {
    let check = |file: &str, expected: &str| {
        let invalid = Catalog::of(&config::Catalog::default(), Some(Path::new(file))).unwrap_err();
        let problem = &invalid.problems[0];
        assert_eq!(problem.path, "catalog.file");
        assert!(problem.message.contains(file) && problem.message.contains(expected), "{}", problem.message);
    };
    check("/nowhere/models.jsonl", "No such file");
    check(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"), "line 1: ");
}
