//! `cost-optimized`: what is expected to be paid, and where nobody knows.

use std::sync::Arc;
use std::time::Instant;

use ferrogw::call::{Op, Usage};
use ferrogw::pipeline::Rules;

use super::desk::{Ask, rules, target};

/// Targets with prices of their own: input and output for a million tokens, and more.
fn priced(unpriced: &str, prices: &[(&str, &str)]) -> Rules {
    let targets: String = prices.iter().map(|(name, _)| target(name, "")).collect();
    let priced = prices.iter().filter(|(_, price)| !price.is_empty());
    let overrides: String = priced
        .map(|(name, price)| format!("    - {{ target: {name}, model: m, mode: chat, price: {{ {price} }} }}\n"))
        .collect();
    let catalog = if overrides.is_empty() { String::new() } else { format!("catalog:\n  overrides:\n{overrides}") };
    rules(&format!("strategy: {{ mode: cost-optimized, unpriced_strategy: {unpriced} }}\ntargets:\n{targets}{catalog}"))
}

fn price(input: f64, output: f64) -> String {
    format!("input_per_m_tokens: {input}, output_per_m_tokens: {output}")
}

/// A chat with so many bytes of prompt and at most so many tokens of answer.
fn chat(bytes: usize, most: Option<u64>) -> Ask {
    let most = most.map(|most| format!(r#","max_tokens":{most}"#)).unwrap_or_default();
    let text = "x".repeat(bytes);
    Ask::chat(&format!(r#"{{"model":"m","messages":[{{"role":"user","content":"{text}"}}]{most}}}"#))
}

#[test]
fn each_way_with_the_unpriced_is_what_it_says() {
    let (cheap, dear) = (price(1.0, 1.0), price(9.0, 9.0));
    let check = |prices: &[(&str, &str)], fallback: &str, skip: &str, allow: &str| {
        for (way, expected) in [("fallback", fallback), ("skip", skip), ("allow", allow)] {
            assert_eq!(chat(8, None).order(&priced(way, prices)), expected, "{way} {prices:?}");
        }
    };
    // the cheapest first, equals as they are declared
    check(&[("a", &dear), ("b", &cheap), ("c", &cheap)], "b c a", "b c a", "b c a");
    check(&[("a", &dear), ("b", ""), ("c", &cheap)], "c a b", "c a", "b c a");
    check(&[("a", ""), ("b", "")], "a b", "", "a b");
    check(&[("a", ""), ("b", &price(0.0, 0.0)), ("c", "")], "b a c", "b", "a b c");
}

#[test]
fn the_length_of_the_answer_counts_as_far_as_the_caller_allows_it() {
    let (talks, reads) = (price(10.0, 1.0), price(1.0, 10.0));
    let rules = priced("fallback", &[("talks", &talks), ("reads", &reads)]);
    // ten thousand tokens of prompt, and as many as usual or as allowed of answer
    assert_eq!(chat(40_000, None).order(&rules), "reads talks");
    assert_eq!(chat(40, None).order(&rules), "talks reads");
    assert_eq!(chat(40, Some(5)).order(&rules), "reads talks");
    assert_eq!(chat(40_000, Some(5)).order(&rules), "reads talks");
}

#[test]
fn what_a_target_usually_answers_and_caches_counts() {
    let (talks, reads) = (price(10.0, 1.0), price(1.0, 10.0));
    let rules = priced("fallback", &[("talks", &talks), ("reads", &reads)]);
    let ask = chat(4_000, None);
    assert_eq!(ask.order(&rules), "reads talks");
    let habit = |at: usize, prompt, cached, completion| {
        let usage = Usage { prompt, cached, completion, ..Usage::default() };
        rules.targets[at].vitals.habits.of(&Arc::from("m")).learn(&usage);
    };
    habit(1, 1000, 0, 5_000);
    assert_eq!(ask.order(&rules), "talks reads", "its answers are long");
    let cached = "input_per_m_tokens: 10, output_per_m_tokens: 1, cache_read_per_m_tokens: 0.1";
    let rules = priced("fallback", &[("cold", &price(9.0, 1.0)), ("warm", cached)]);
    assert_eq!(ask.order(&rules), "cold warm");
    let usage = Usage { prompt: 1000, cached: 900, completion: 400, ..Usage::default() };
    rules.targets[1].vitals.habits.of(&Arc::from("m")).learn(&usage);
    assert_eq!(ask.order(&rules), "warm cold", "most of the prompt is read from its cache");
}

#[test]
fn operations_without_tokens_are_compared_by_what_they_count() {
    let check = |op: Op, body: &str, cheap: &str, dear: &str| {
        let rules = priced("skip", &[("dear", dear), ("cheap", cheap)]);
        assert_eq!(Ask::of(op, "m", body).order(&rules), "cheap dear", "{op:?}");
    };
    check(Op::Embed, r#"{"input":"tide"}"#, "input_per_m_tokens: 1", "input_per_m_tokens: 2");
    check(Op::Image, r#"{"prompt":"tide","n":2}"#, "output_per_image: 0.1", "output_per_image: 0.2");
    check(Op::Speech, r#"{"input":"tide"}"#, "input_per_character: 0.1", "input_per_character: 0.2");
    check(Op::Transcribe, "", "input_per_second: 0.1", "input_per_second: 0.2");
    check(Op::Moderate, r#"{"input":"tide"}"#, "input_per_m_tokens: 1", "input_per_m_tokens: 2");
}

#[test]
fn prices_of_the_catalog_are_those_of_the_provider() {
    let targets = [
        target("big", ", models: [gpt-4o]"),
        target("small", ", models: [gpt-4o, gpt-4o-mini], model_map: { gpt-4o: gpt-4o-mini }"),
    ];
    let rules = rules(&format!("strategy: {{ mode: cost-optimized }}\ntargets:\n{}", targets.concat()));
    let ask = chat(8, None).model("gpt-4o").at(Instant::now(), "2026-11-20T12:00:00Z");
    assert_eq!(ask.order(&rules), "small big", "by the name the provider knows it by");
}
