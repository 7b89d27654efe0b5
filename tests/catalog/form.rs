//! The compiled form: everything that was put in is found, and no bytes make a read fail.

use std::time::Instant;

use ferrogw::catalog::price::{self, Prices};
use ferrogw::catalog::record::{self, Record};
use ferrogw::catalog::{Table, embedded, pack, view};
use ferrogw::wire::Tier;
use proptest::prelude::*;

const MODELS: &str = include_str!("../../src/catalog/models.jsonl");

#[test]
fn the_catalog_is_large_small_and_quick_to_open() {
    let table = embedded();
    let priced = table.rows().filter(|row| row.is_priced()).count();
    assert!(table.len() >= 3500 && priced >= 3400, "{} models, {priced} priced", table.len());
    assert!(table.size() <= 450_000, "{} bytes", table.size());
    assert!(table.origin().sources.len() >= 2);
    let bytes = pack::compile(MODELS).unwrap();
    let best = (0..20).map(|_| {
        let (bytes, since) = (bytes.clone().into(), Instant::now());
        let opened = Table::open(bytes).unwrap();
        (since.elapsed(), opened.len()).0
    });
    let best = best.min().unwrap();
    assert!(best.as_micros() < 1000, "opening takes {best:?}, and this is no optimised build");
}

#[test]
fn every_model_is_found_and_says_what_its_line_says() {
    let (_, records) = record::read(MODELS).unwrap();
    assert_eq!(records.len(), embedded().len());
    for record in &records {
        let row = embedded().get(&record.provider, &record.id).unwrap();
        assert_eq!(view::record(row), Record { src: row.sources(), ..record.clone() });
        assert_eq!(price::list(row).is_empty(), record.price.is_empty(), "{}/{}", record.provider, record.id);
        // prices are not negative and nobody pays a dollar for a token
        let rates = Prices::of(row, None).rates(1_795_219_200, Tier::Standard, 0);
        let dear = rates.iter().find(|(kind, usd)| *kind < 17 && usd.as_f64() > 0.01);
        assert_eq!(dear, None, "{}/{}", record.provider, record.id);
    }
    assert!(embedded().get("openai", "no-such-model").is_none() && embedded().get("nobody", "gpt-5").is_none());
}

#[test]
fn the_lines_are_in_order_and_written_as_they_are_read() {
    let (origin, records) = record::read(MODELS).unwrap();
    assert_eq!(record::write(&origin, &records).unwrap(), MODELS);
}

#[test]
fn every_provider_of_the_catalog_is_one_of_ours() {
    let strange: Vec<&str> = embedded().providers().filter(|id| !PROVIDERS.contains(id)).collect();
    assert!(strange.is_empty(), "{strange:?}");
    assert!(embedded().providers().all(|id| embedded().of(id).count() > 0));
    let all: usize = embedded().providers().map(|id| embedded().of(id).count()).sum();
    assert_eq!(all, embedded().len());
}

/// The ids of `providers.md`, also of those whose formats are not spoken yet.
const PROVIDERS: [&str; 30] = [
    "ai21",
    "anthropic",
    "azure-foundry",
    "azure-openai",
    "bedrock",
    "cerebras",
    "cloudflare",
    "cohere",
    "databricks",
    "deepinfra",
    "deepseek",
    "fireworks",
    "gemini",
    "groq",
    "hugging-face",
    "mistral",
    "moonshot",
    "novita",
    "nvidia-nim",
    "ollama",
    "ollama-cloud",
    "openai",
    "openrouter",
    "perplexity",
    "qwen",
    "replicate",
    "sambanova",
    "together",
    "vertex-ai",
    "xai",
];

#[test]
fn what_is_wrong_with_a_line_is_said() {
    let head = r#"{"catalog":"2026-11-21","sources":[]}"#;
    let check = |line: &str, expected: &str| {
        let error = pack::compile(&format!("{head}\n{line}")).unwrap_err();
        assert!(error.contains(expected), "{error} is not about {expected}");
    };
    let model = |more: &str| format!(r#"{{"provider":"p","id":"m","mode":"chat","trust":"one"{more}}}"#);
    assert!(pack::compile(&format!("{head}\n{}", model(""))).is_ok());
    check("{", "line 2: EOF");
    check(&model(r#","contxt":1"#), "unknown field `contxt`");
    check(&model(r#","price":[{"inn":"1"}]"#), "`inn` is nothing that has a price");
    check(&model(r#","price":[{"in":0.1}]"#), "`in` is no text");
    check(&model(r#","price":[{"in":"0.0000000000001"}]"#), "no amount in picodollars");
    check(&model(r#","price":[{"in":"80000"}]"#), "more than a price can be");
    check(&model(r#","price":[{"from":"soon","in":"1"}]"#), "`soon` is no day");
    check(&model(r#","caps":["sorcery"]"#), "there is no `sorcery`");
    check(&format!("{}\n{}", model(""), model("")), "p/m is there twice");
    assert_eq!(pack::compile("").unwrap_err(), "it is empty");
}

fn read_all(table: &Table) {
    for row in table.rows().take(50) {
        let _whatever = (view::View::of(row), view::record(row), Prices::of(row, Some("eu")).rates(0, Tier::Flex, 9));
        let _whatever = table.get(row.provider(), row.id());
    }
    let _whatever: usize = table.providers().map(|id| table.of(id).count()).sum();
}

proptest! {
    #[test]
    fn no_bytes_make_a_read_fail(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let mut with_head = b"FCAT\x02\0\0\0".to_vec();
        with_head.extend(&bytes);
        for bytes in [bytes, with_head] {
            if let Ok(table) = Table::open(bytes.into()) { read_all(&table) }
        }
    }

    #[test]
    fn no_damage_makes_a_read_fail(places in proptest::collection::vec((any::<usize>(), any::<u8>()), 1..40)) {
        let mut lines = MODELS.lines();
        let some: Vec<&str> = [lines.next().unwrap()].into_iter().chain(lines.step_by(200)).collect();
        let mut bytes = pack::compile(&some.join("\n")).unwrap();
        for (at, byte) in places {
            // behind magic and counts, whose damage is found at once
            let at = 28 + at % (bytes.len() - 28);
            bytes[at] = byte;
        }
        if let Ok(table) = Table::open(bytes.into()) { read_all(&table) }
    }
}
