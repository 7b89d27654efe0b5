//! `conditional` and `content-based`: the first rule that holds decides.

use std::time::Instant;

use ferrogw::call::Op;
use ferrogw::pipeline::Rules;

use super::desk::{ANY, Ask, rules, target};

/// Targets `a`, `b`, `c` of the models `m` and `n`, of which `c` knows `m` alone.
fn with(strategy: &str) -> Rules {
    let both = ", models: [m, n, m-two]";
    let targets = [target("a", both), target("b", both), target("c", "")].concat();
    rules(&format!("strategy:\n{strategy}targets:\n{targets}"))
}

#[test]
fn the_first_rule_about_the_model_decides_and_the_first_target_else() {
    let rules = with(
        "  mode: conditional\n  conditions:\n    - { key: model, value: n, target_key: c }\n    \
         - { key: model_prefix, value: m-, target_key: b }\n    - { key: model, value: m-two, target_key: a }\n",
    );
    assert_eq!(Ask::chat("").order(&rules), "a (b) (c)");
    assert_eq!(Ask::chat("").model("m-two").order(&rules), "b (a)");
    assert_eq!(Ask::chat("").model("n").order(&rules), "", "whom the rule names does not serve it: nobody does");
    assert_eq!(Ask::of(Op::Embed, "m-two", "").order(&rules), "b (a)", "on every surface");
}

#[test]
fn a_request_can_be_told_by_all_it_says() {
    let check = |matches: &str, yes: &[Ask], no: &[Ask]| {
        let yaml = format!("  mode: conditional\n  conditions:\n    - {{ match: {{ {matches} }}, target_key: b }}\n");
        let rules = with(&yaml);
        yes.iter().for_each(|ask| assert_eq!(ask.order(&rules), "b (a) (c)", "{matches}: {:?}", ask.call));
        no.iter().for_each(|ask| assert_eq!(ask.order(&rules), "a (b) (c)", "{matches}: {:?}", ask.call));
    };
    let of = |more: &str| Ask::chat(&format!(r#"{{"model":"m","messages":[]{more}}}"#));
    let plain = || of("");
    let with = |name, value| plain().header(name, value);
    check("model: ['x', 'm*']", &[plain()], &[]);
    check("header: { X-Tier: gold }", &[with("x-tier", "gold")], &[plain(), with("x-tier", "golden")]);
    check(
        "header: { x-tier: 'go*', x-team: '*' }",
        &[with("x-tier", "gold").header("x-team", "")],
        &[with("x-tier", "gold")],
    );
    check(
        "metadata: { plan: [pro, max] }",
        &[of(r#","metadata":{"plan":"max"}"#)],
        &[plain(), of(r#","metadata":{"plan":"mini"}"#)],
    );
    check(
        "metadata: { level: '3' }",
        &[of(r#","metadata":{"level":3}"#)],
        &[of(r#","metadata":7"#), of(r#","metadata":null"#)],
    );
    check(
        "user: 'team-*'",
        &[of(r#","user":"team-\u0061""#), of(r#","safety_identifier":"team-b""#)],
        &[plain(), of(r#","user":7"#)],
    );
    check("stream: true", &[plain().streamed()], &[plain()]);
    check("stream: false", &[plain()], &[plain().streamed()]);
    check("surface: [embeddings]", &[Ask::of(Op::Embed, "m", "{}")], &[plain()]);
    let long = || Ask::saying(&"x".repeat(4_000));
    check("tokens: { min: 1000 }", &[long()], &[plain()]);
    check("tokens: { max: 999 }", &[plain()], &[long()]);
    let at = |clock| plain().at(Instant::now(), clock);
    // a Friday
    let night = "time: { days: [fri], from: '22:00', to: '06:00', zone: '+01:00' }";
    check(
        night,
        &[at("2026-11-20T21:00:00Z"), at("2026-11-21T04:59:59Z")],
        &[at("2026-11-20T20:59:59Z"), at("2026-11-21T05:00:00Z"), at("2026-11-20T03:00:00Z")],
    );
    // all of it at once
    let all = "model: m, stream: true, user: u, header: { x-tier: gold }";
    let gold = || of(r#","user":"u""#).header("x-tier", "gold");
    check(all, &[gold().streamed()], &[gold(), of(r#","user":"u""#).streamed()]);
}

#[test]
fn a_failure_stays_with_the_rule_unless_it_is_to_leave() {
    let strategy = "  mode: conditional\n  conditions: [{ key: model, value: m, target_key: b }]\n";
    assert_eq!(Ask::chat("").order(&with(strategy)), "b (a) (c)");
    assert_eq!(Ask::chat("").order(&with(&format!("{strategy}  on_failure: leave\n"))), "b a c");
}

#[test]
fn who_takes_any_name_stands_in_for_nobody_who_claims_the_model() {
    let rule =
        "strategy: { mode: conditional, conditions: [{ key: model, value: m, target_key: a }], on_failure: leave }\n";
    let targets = [target("a", ""), target("b", "")].concat();
    let open = rules(&format!("{rule}targets:\n{targets}{ANY}"));
    assert_eq!(Ask::chat("").order(&open), "a b");
    let single = rules(&format!("targets:\n{}{ANY}{}", target("a", ", circuit_breaker: {}"), target("b", "")));
    assert_eq!(Ask::chat("").order(&single), "a (b)");
    // unless a rule means it
    let named = rules(&format!("{}targets:\n{targets}{ANY}", rule.replace("target_key: a", "target_key: any")));
    assert_eq!(Ask::chat("").order(&named), "any a b");
}

const CONTENT: &str = "  mode: content-based\n  content_conditions:\n    \
    - { type: prompt_contains, value: Invoice, target_key: c }\n    \
    - { type: prompt_regex, value: '^\\s*translate\\b', target_key: b }\n";

fn user(content: &str) -> Ask {
    Ask::chat(&format!(r#"{{"model":"m","messages":[{{"role":"user","content":{content}}}]}}"#))
}

#[test]
fn every_text_that_the_user_has_said_is_judged() {
    let rules = with(CONTENT);
    let check = |ask: Ask, expected: &str| assert_eq!(ask.order(&rules), expected, "{:?}", ask.call.body);
    check(user(r#""my INVOICE, please""#), "c (a) (b)");
    check(user(r#""my inv\u006fice""#), "c (a) (b)");
    check(user(r#""hello""#), "a (b) (c)");
    check(user(r#"[{"type":"text","text":"hello"},{"type":"text","text":"an invoice"}]"#), "c (a) (b)");
    check(
        user(r#"[{"type":"image_url","image_url":{"url":"invoice"}},{"type":"text","text":"what is it?"}]"#),
        "a (b) (c)",
    );
    check(user(r#"[{"type":"text","text":"hello"},{"type":"text","text":" translate it"}]"#), "b (a) (c)");
    check(user(r#""do not translate""#), "a (b) (c)");
    check(user("null"), "a (b) (c)");
    check(user("7"), "a (b) (c)");
    // each message by itself, and only the user's
    let said = |role: &str| {
        Ask::chat(&format!(
            r#"{{"messages":[{{"role":"{role}","content":"an invoice"}},{{"role":"user","content":[{{"type":"text","text":"hi"}}]}}]}}"#
        ))
    };
    check(said("user"), "c (a) (b)");
    ["system", "developer", "assistant", "tool"].iter().for_each(|role| check(said(role), "a (b) (c)"));
}

#[test]
fn what_other_operations_are_about_is_judged_too() {
    let rules = with(CONTENT);
    let check =
        |op: Op, body: &str, expected: &str| assert_eq!(Ask::of(op, "m", body).order(&rules), expected, "{body}");
    check(Op::Embed, r#"{"input":"an invoice"}"#, "c (a) (b)");
    check(Op::Embed, r#"{"input":["hello","an invoice"]}"#, "c (a) (b)");
    check(Op::Embed, r#"{"input":[1,2,3]}"#, "a (b) (c)");
    check(Op::Embed, r#"{"input":[[1,2],[3]]}"#, "a (b) (c)");
    check(Op::Image, r#"{"prompt":"paint an invoice"}"#, "c (a) (b)");
    check(Op::Complete, r#"{"prompt":["one","translate two"]}"#, "b (a) (c)");
    check(Op::Respond, r#"{"input":"an invoice"}"#, "c (a) (b)");
    let responses = r#"{"instructions":"INSTRUCTIONS","input":[{"role":"user","content":[{"type":"input_text","text":"SAID"}]},{"type":"function_call_output","output":"x"}]}"#;
    check(Op::Respond, &responses.replace("SAID", "an invoice"), "c (a) (b)");
    check(Op::Respond, &responses.replace("INSTRUCTIONS", "an invoice"), "a (b) (c)");
    check(Op::Respond, r#"{"input":[{"role":"developer","content":"an invoice"}]}"#, "a (b) (c)");
}

#[test]
fn what_must_not_be_said_is_said_nowhere() {
    let rules = with(
        "  mode: content-based\n  content_conditions: [{ type: prompt_not_contains, value: secret, target_key: b }]\n",
    );
    assert_eq!(Ask::saying("hello").order(&rules), "b (a) (c)");
    assert_eq!(Ask::saying("a SECRET").order(&rules), "a (b) (c)");
    assert_eq!(user(r#"[{"type":"text","text":"x"},{"type":"text","text":"a secret"}]"#).order(&rules), "a (b) (c)");
}
