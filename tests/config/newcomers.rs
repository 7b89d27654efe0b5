//! Mistakes of somebody who writes a first configuration: each is named with what would be right.

use super::{words, yaml};

const OPENAI: &str = "targets: [{ virtual_key: openai }]\n";

/// Every one of these is in what is said about the configuration.
fn says(text: &str, expected: &[&str]) {
    let said = words(yaml(text));
    for expected in expected {
        assert!(said.contains(expected), "{text}\n{said}");
    }
}

#[test]
fn a_target_without_a_name_is_told_what_is_missing() {
    says(
        "targets: [{ provider: openai }]",
        &["targets[0].virtual_key: is missing", "help: write `virtual_key: openai`"],
    );
    says(
        "targets: [{ name: openai }]",
        &["targets[0].name: there is no such key", "help: did you mean `virtual_key`?"],
    );
    says(
        "targets: [{ virtual_key: '' }]",
        &["targets[0].virtual_key: is missing", "help: it is the name of the target"],
    );
    let said = words(yaml("targets: [{ name: openai }]"));
    assert!(!said.contains("is missing"), "it is said once: {said}");
}

#[test]
fn a_strategy_in_one_word_is_told_its_form() {
    says("strategy: fallback\ntargets: [{ virtual_key: a }]", &["help: write `strategy: { mode: fallback }`"]);
    says(
        &format!("{OPENAI}groups: [{{ name: g, strategy: loadbalance, targets: [openai] }}]"),
        &["{ mode: loadbalance }`"],
    );
}

#[test]
fn wildcards_in_other_places_than_the_end_are_told_where_they_may_stand() {
    let text = "targets: [{ virtual_key: openai, models: ['gpt-*-mini', '*', 'o?', '*'] }]";
    says(text, &["models[0]: can have one `*`, at its end", "models[2]: can have one `*`, at its end"]);
    says(text, &["models[3]: is listed twice"]);
    says("targets: [{ virtual_key: openai, model_map: { 'a*': b } }]", &["without `*` and `?`"]);
}

#[test]
fn what_yaml_cannot_read_is_explained() {
    says("targets:\n\t- virtual_key: openai\n", &["help: indent with spaces"]);
    says(
        "targets:\n  - virtual_key: openai\n    models: [gpt-*, *]\n",
        &["help: put a value that begins with `*` in quotes"],
    );
}

#[test]
fn what_only_looks_like_a_variable_is_a_warning() {
    for (value, help) in [
        ("$OPENAI_KEY", "write `${OPENAI_KEY}`"),
        ("'${OPENAI_KEY:-none}'", "write `${OPENAI_KEY}`: there are no defaults"),
        ("'${OPENAI-KEY}'", "letters, digits and underscores"),
        ("'{{ OPENAI_KEY }}'", "write `${OPENAI_KEY}`"),
        ("env.OPENAI_KEY", "write `${OPENAI_KEY}`"),
        ("os.environ/OPENAI_KEY", "write `${OPENAI_KEY}`"),
        ("'%OPENAI_KEY%'", "write `${OPENAI_KEY}`"),
    ] {
        let text = format!("targets: [{{ virtual_key: openai, api_key: {value} }}]");
        says(&text, &["warning[no_reference]: targets[0].api_key: is sent as it stands", help]);
        let listed = format!("targets: [{{ virtual_key: openai, api_key: ['${{A}}', {value}] }}]");
        says(&listed, &["targets[0].api_key[1]: is sent as it stands"]);
    }
    for fine in ["'${OPENAI_KEY}'", "sk-$abc-123", "'Bearer ${A}'", "''"] {
        assert_eq!(words(yaml(&format!("targets: [{{ virtual_key: openai, api_key: {fine} }}]"))), "", "{fine}");
    }
}

#[test]
fn a_group_that_nobody_asks_and_a_route_that_is_never_reached_are_warnings() {
    let group = |rest: &str| format!("{OPENAI}groups: [{{ name: g, targets: [openai] }}]\n{rest}");
    says(&group(""), &["warning[no_effect]: groups[0]: is never asked: no route and no rule names it"]);
    let named = [
        "routes: [{ name: r, match: { model: a }, targets: [g] }]",
        "strategy: { mode: conditional, conditions: [{ key: model, value: a, target_key: g }] }",
        "strategy: { mode: ab-test, ab_variants: [{ target_key: g, weight: 1 }] }",
    ];
    for rest in named {
        assert_eq!(words(yaml(&group(rest))), "", "{rest}");
    }
    let routes = |first: &str| {
        format!(
            "{OPENAI}routes:\n  - {{ name: all, match: {first}, targets: [openai] }}\n  \
             - {{ name: late, match: {{ model: 'gpt-*' }}, targets: [openai] }}\n"
        )
    };
    says(&routes("{ model: '*' }"), &["warning[no_effect]: routes[1]: is never reached: `all` takes every request"]);
    assert_eq!(words(yaml(&routes("{ model: '*', stream: true }"))), "");
}

#[test]
fn a_queue_of_nobody_is_told_that_it_is_the_default() {
    let slots = |words: &str| {
        format!("targets: [{{ virtual_key: openai, concurrency: {{ max_concurrency: 2, queue_size: 0{words} }} }}]")
    };
    says(
        &slots(""),
        &["concurrency.queue_size: 0 means the default, 1000", "help: so that nobody waits, write `queue_timeout: 0s`"],
    );
    assert_eq!(words(yaml(&slots(", queue_timeout: 0s"))), "");
}

#[test]
fn a_password_in_an_address_is_a_warning_since_nobody_sends_it() {
    says(
        "targets: [{ virtual_key: openai, base_url: 'https://me:word@host/v1' }]",
        &["warning[no_effect]: targets[0].base_url: its user and password have no effect", "[REDACTED]@host"],
    );
}

#[test]
fn a_condition_on_something_else_is_told_how_to_say_it() {
    let rule = "strategy: { mode: conditional, conditions: [{ key: header, value: a, target_key: openai }] }";
    says(&format!("{OPENAI}{rule}"), &["help: all else is a `match`, as `match: { header: { x-team: search } }`"]);
}

#[test]
fn a_group_is_no_keeper_of_files() {
    let text = format!(
        "{OPENAI}groups: [{{ name: g, targets: [openai] }}]\nroutes: [{{ name: r, match: {{ model: a }}, targets: [g] }}]\nbatch_target: g\n"
    );
    says(&text, &["batch_target: `g` is a group", "what is kept is kept by one target"]);
}

#[test]
fn the_line_that_is_wrong_is_shown_although_a_rule_has_a_key() {
    let text = format!(
        "{OPENAI}strategy:\n  mode: conditional\n  conditions:\n    - {{ key: model, value: gpt-5, target_key: opnai }}\n"
    );
    says(&text, &["- { key: model, value: gpt-5, target_key: opnai }"]);
    let text = format!("{OPENAI}routes:\n  - {{ name: r, match: {{ tokens: {{ min: 10 }} }}, targets: [opnai] }}\n");
    says(&text, &["tokens: { min: 10 } }, targets: [opnai] }"]);
}

#[test]
fn other_words_and_other_forms_are_led_to_ours() {
    for (text, help) in [
        ("targets: [{ virtual_key: openai, retry: 3 }]", "write it as `retry: { attempts: 3 }`"),
        ("targets: [{ virtual_key: openai, weight: 70% }]", "leave out the `%`"),
        ("targets: [{ virtual_key: openai, faults: { rate: 10, status: 503 } }]", "put it in brackets: `[{ … }]`"),
        ("targets:\n- virtual_key: openai\n  retry:\n  attempts: 3\n", "it belongs under `retry`: is it indented"),
        ("strategy: { type: fallback }\ntargets: [{ virtual_key: a }]", "did you mean `mode`?"),
        ("strategy: { hedge: 500ms }\ntargets: [{ virtual_key: a }]", "write it as `hedge: { after: 500ms }`"),
        ("targets: [{ virtual_key: openai, api_key: ${KEY} }]", "between braces, put `${…}` in quotes"),
    ] {
        says(text, &[&format!("help: {help}")]);
    }
    let variants = "strategy: { mode: ab-test, ab_variants: [{ weight: 1, label: a }, { target: openai }] }";
    says(&format!("{OPENAI}{variants}"), &["target_key: must name a target", "help: did you mean `target_key`?"]);
}

#[test]
fn a_circuit_that_never_stays_open_is_refused() {
    let text = "targets: [{ virtual_key: openai, circuit_breaker: { timeout: 0s, error_rate: { window: 0s } } }]";
    says(text, &["circuit_breaker.timeout: must be longer", "circuit_breaker.error_rate.window: must be longer"]);
}

#[test]
fn what_asks_nobody_and_what_is_not_read_in_a_group_are_warnings() {
    let two = "targets: [{ virtual_key: a, weight: 0 }, { virtual_key: b }]\n";
    let fallback = format!("{two}strategy: {{ mode: fallback }}\n");
    for (text, warning) in [
        (
            format!("{fallback}routes: [{{ name: r, match: {{ model: m }}, targets: [a] }}]"),
            "routes[0].targets: nobody",
        ),
        (
            format!(
                "{fallback}groups: [{{ name: g, weight: 0, targets: [b] }}]\n\
                 routes: [{{ name: r, match: {{ model: m }}, targets: [g, a] }}]"
            ),
            "warning[out_of_service]: routes[0].targets: nobody here is in service",
        ),
        (
            "targets: [{ virtual_key: b }, { virtual_key: a, weight: 0 }]\n\
             strategy: { mode: conditional, conditions: [{ key: model, value: m, target_key: a }] }"
                .to_owned(),
            "strategy.conditions[0].target_key: `a` is out of service",
        ),
        (
            format!(
                "{fallback}groups: [{{ name: g, strategy: {{ mode: fallback, hedge: {{ after: 1s }} }}, targets: [b] }}]\n\
                 routes: [{{ name: r, match: {{ model: m }}, targets: [g] }}]"
            ),
            "groups[0].strategy.hedge: has no effect",
        ),
    ] {
        says(&text, &[warning]);
    }
    let one = format!("{fallback}routes: [{{ name: r, match: {{ model: m }}, targets: [a, b] }}]");
    assert_eq!(words(yaml(&one)), "", "somebody is left");
}

#[test]
fn a_limit_of_requests_that_leaves_no_time_for_a_failover_is_a_warning() {
    let warns = |text: &str| Some(words(yaml(text))).filter(|said| said.contains("no_time_for_failover"));
    let config = |strategy: &str, first: &str, more: &str| {
        let targets = format!("targets: [{{ virtual_key: a, provider: openai{first} }}, {{ virtual_key: openai }}]");
        format!("strategy: {strategy}\n{targets}\n{more}")
    };
    let limit = "request_timeout: 30s\n";
    let short = ", timeouts: { first_byte: 10s }";
    let said = warns(&config("{ mode: fallback }", "", limit)).unwrap();
    for words in [
        "request_timeout: leaves no time to ask another target where `a` hangs: it may be silent for 2m or more, the default",
        "a `hedge`",
    ] {
        assert!(said.contains(words), "{said}");
    }
    assert!(warns(&config("{ mode: fallback }", ", timeouts: { first_byte: 30s }", limit)).is_some());
    assert!(
        warns(&config("{ mode: loadbalance }", short, limit)).unwrap().contains("`openai`"),
        "any may be the first"
    );
    let routed = "routes: [{ name: r, match: { model: '*' }, targets: [g], request_timeout: 5s }]\n\
                  groups: [{ name: g, targets: [a, openai] }]\n";
    assert!(
        warns(&config("{ mode: single }", "", routed)).unwrap().contains("routes[0].request_timeout: leaves no time")
    );
    for fine in [
        config("{ mode: single }", "", limit),
        config("{ mode: fallback }", short, limit),
        config("{ mode: fallback }", "", "request_timeout: 3m\n"),
        config("{ mode: fallback, hedge: { after: 1s } }", "", limit),
        config("{ mode: fallback }", "", "request_timeout: 30s\nfailover_on: [429]\n"),
        config("{ mode: fallback }", ", weight: 0", limit),
        config("{ mode: conditional, conditions: [{ key: model, value: m, target_key: a }] }", "", limit),
    ] {
        assert_eq!(warns(&fine), None, "{fine}");
    }
    // groups that go in a circle are refused, and looked into once
    let circle = "groups: [{ name: g, targets: [h, a] }, { name: h, targets: [g, h] }]\n\
                  routes: [{ name: r, match: { model: '*' }, targets: [g] }]\n";
    says(&config("{ mode: fallback }", "", &format!("{limit}{circle}")), &["goes in a circle"]);
}
