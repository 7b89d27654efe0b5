//! Groups in groups, routes, aliases that are chains, wildcards, and who stands in for the single one.

use ferrogw::call::Op;
use ferrogw::routing::random::Dice;

use super::desk::{Ask, DRAWS, rules, target, within};

#[test]
fn groups_stand_wherever_a_target_can_two_deep() {
    let targets = ["a", "b", "c", "d", "e"].map(|name| target(name, "")).concat();
    let rules = rules(&format!(
        "targets:\n{targets}groups:\n  - {{ name: outer, targets: [a, inner, b] }}\n  \
         - {{ name: inner, targets: [c, d], strategy: {{ mode: loadbalance, weights: {{ c: 3 }} }} }}\n\
         routes:\n  - name: r\n    match: {{ surface: chat }}\n    targets: [outer, e, c]\n"
    ));
    let mut dice = Dice::new(31);
    let mut c_first = 0;
    for _ in 0..DRAWS {
        let order = Ask::chat("").asked(&rules, &mut dice).join(" ");
        assert!(order == "a c d b e" || order == "a d c b e", "each once, where it comes first: {order}");
        c_first += usize::from(order.starts_with("a c"));
    }
    within(c_first, DRAWS, 0.75);
    assert_eq!(Ask::of(Op::Embed, "m", "").order(&rules), "a (b) (c) (d) (e)", "no route takes it");
}

#[test]
fn rules_and_variants_may_name_groups() {
    let targets = ["a", "b", "c"].map(|name| target(name, "")).concat();
    let groups = "groups:\n  - { name: g, targets: [c, b] }\n";
    let ruled = rules(&format!(
        "strategy: {{ mode: conditional, conditions: [{{ key: model, value: m, target_key: g }}] }}\ntargets:\n{targets}{groups}"
    ));
    assert_eq!(Ask::chat("").order(&ruled), "c b (a)");
    let tested = rules(&format!(
        "strategy: {{ mode: ab-test, on_failure: stay, ab_variants: [{{ target_key: g, label: new }}] }}\ntargets:\n{targets}{groups}"
    ));
    let drawn = Ask::chat("").drawn(&tested, &mut Dice::new(1));
    let labels: Vec<_> = drawn.iter().map(|taken| (&*taken.target, taken.label.as_deref(), taken.spare)).collect();
    assert_eq!(labels, [("c", Some("new"), false), ("b", Some("new"), false)]);
}

#[test]
fn the_single_one_is_drawn_once() {
    let targets = ["a", "b", "c"].map(|name| target(name, "")).concat();
    let rules = rules(&format!(
        "targets:\n{targets}groups:\n  - {{ name: g, targets: [a, b], strategy: {{ mode: ab-test, on_failure: stay, \
         ab_variants: [{{ target_key: a, label: old }}, {{ target_key: b, label: new }}] }} }}\n\
         routes:\n  - {{ name: r, match: {{ model: '*' }}, targets: [g, c], strategy: {{ mode: single }} }}\n"
    ));
    let mut dice = Dice::new(7);
    for _ in 0..50 {
        let drawn = Ask::chat("").drawn(&rules, &mut dice);
        let labels: Vec<_> = drawn.iter().map(|taken| (taken.label.is_some(), taken.spare)).collect();
        assert_eq!(labels, [(true, false), (false, true)], "the other variant does not stand in");
    }
}

#[test]
fn a_group_of_weight_0_is_out_of_service() {
    let targets = ["a", "b", "c"].map(|name| target(name, "")).concat();
    for mode in ["fallback", "loadbalance", "least-latency", "cost-optimized"] {
        let rules = rules(&format!(
            "targets:\n{targets}groups:\n  - {{ name: g, targets: [b, c], weight: 0 }}\nroutes:\n  - name: r\n    \
             match: {{ model: '*' }}\n    targets: [g, a]\n    strategy: {{ mode: {mode} }}\n"
        ));
        assert_eq!(Ask::chat("").order(&rules), "a", "{mode}");
    }
}

#[test]
fn the_first_route_that_takes_a_request_has_it() {
    let targets = ["a", "b", "c"].map(|name| target(name, ", models: [m, n]")).concat();
    let rules = rules(&format!(
        "targets:\n{targets}request_timeout: 9s\nfailover_on: ['5xx']\nroutes:\n  \
         - {{ name: gold, match: {{ header: {{ x-tier: gold }} }}, targets: [b], request_timeout: 1s, failover_on: ['429'] }}\n  \
         - {{ name: chat, match: {{ surface: chat, model: 'm*' }}, targets: [c, a] }}\n"
    ));
    let order = |ask: Ask| ask.order(&rules);
    assert_eq!(order(Ask::chat("")), "c a");
    assert_eq!(order(Ask::chat("").header("x-tier", "gold")), "b");
    assert_eq!(order(Ask::chat("").model("n")), "a (b) (c)");
    let route = |ask: Ask| ask.drawn(&rules, &mut Dice::new(1))[0].route.clone();
    assert_eq!(route(Ask::chat("")), Some("chat".to_owned()));
    assert_eq!(route(Ask::chat("").model("n")), None);
    let seconds = |at: usize| rules.routing.routes[at].timeout.unwrap().as_secs();
    assert_eq!((seconds(0), seconds(1)), (1, 9), "its own, or that of all");
    let on = |at: usize| format!("{:?}", rules.routing.routes[at].failover.on);
    assert_ne!(on(0), on(1));
    assert_eq!(on(1), format!("{:?}", rules.routing.main.failover.on));
    assert_eq!(rules.routing.headers.names(), ["x-tier"]);
    // a route whose targets do not serve the model is the end of it
    assert_eq!(order(Ask::chat("").model("m-else")), "");
}

#[test]
fn an_alias_of_several_models_is_a_chain_over_all_who_serve_them() {
    let targets =
        [target("a", ", models: [big]"), target("b", ", models: [big, small]"), target("c", ", models: [small]")];
    let rules = rules(&format!(
        "strategy: {{ mode: fallback }}\naliases: {{ smart: [big, none-such, small] }}\ntargets:\n{}routes:\n  \
         - {{ name: small, match: {{ model: small }}, targets: [c] }}\n",
        targets.concat()
    ));
    let chain = rules.aliases["smart"].iter().map(|model| &**model).collect::<Vec<_>>();
    assert_eq!(chain, ["big", "none-such", "small"]);
    let steps = Ask::chat("").plan(&rules, &chain, &mut Dice::new(1));
    let steps: Vec<_> = steps.iter().map(|step| (&*step.target, &*step.model, step.route.as_deref())).collect();
    assert_eq!(steps, [("a", "big", None), ("b", "big", None), ("c", "small", Some("small"))]);
}

#[test]
fn wildcards_and_addresses_name_targets() {
    let targets = [
        target("a", ", models: ['gemma-*', exact]"),
        target("eu", ", models: [exact], model_map: { exact: eu-exact }"),
    ];
    let rules = rules(&format!("strategy: {{ mode: fallback }}\ntargets:\n{}", targets.concat()));
    let order = |model: &str| Ask::chat("").model(model).order(&rules);
    assert_eq!((order("gemma-3"), order("gemma"), order("exact")), ("a".into(), String::new(), "a eu".into()));
    assert_eq!((order("eu/exact"), order("openai/exact")), ("eu".into(), "a eu".into()));
    let named = &Ask::chat("").model("eu/exact").drawn(&rules, &mut Dice::new(1))[0];
    assert_eq!(named.model, "eu-exact");
}

#[test]
fn a_star_takes_the_names_that_nobody_else_has() {
    let targets = [
        target("rest", ", models: [own, '*'], model_map: { short: long }"),
        target("a", ", models: ['gemma-*', exact]"),
        "  - { virtual_key: anthropic, api_key: k }\n".to_owned(),
    ];
    let rules = rules(&format!("strategy: {{ mode: fallback }}\ntargets:\n{}", targets.concat()));
    let order = |model: &str| Ask::chat("").model(model).order(&rules);
    assert_eq!((order("exact"), order("gemma-3"), order("own")), ("a".into(), "a".into(), "rest".into()));
    assert_eq!(order("claude-of-tomorrow"), "anthropic", "a name that begins as a vendor's is that vendor's");
    assert_eq!((order("anything"), order("some/thing"), order("a/thing")), ("rest".into(), "rest".into(), "a".into()));
    let named = &Ask::chat("").model("short").drawn(&rules, &mut Dice::new(1))[0];
    assert_eq!((&*named.target, &*named.model), ("rest", "long"));
}

#[test]
fn the_single_one_has_stand_ins_that_serve_the_model() {
    let targets =
        [target("a", ", models: [m, n], circuit_breaker: {}"), target("b", ", models: [other]"), target("c", "")];
    let rules = rules(&format!("targets:\n{}", targets.concat()));
    assert_eq!(Ask::chat("").order(&rules), "a (c)");
    assert_eq!(Ask::chat("").model("n").order(&rules), "a");
    assert_eq!(Ask::chat("").model("other").order(&rules), "", "whoever stands in does so for the first alone");
}
