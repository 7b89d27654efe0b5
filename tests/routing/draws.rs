//! Orders that are drawn: shares of weights, and experiments whose callers stay with their variant.

use std::collections::HashMap;

use ferrogw::call::Op;
use ferrogw::routing::random::Dice;

use super::desk::{ANY, Ask, DRAWS, rules, target, within};

#[test]
fn a_pool_is_drawn_by_weight_and_so_is_the_order_of_the_rest() {
    let targets = [target("a", ", weight: 5"), target("b", ", weight: 3"), target("c", ", weight: 2")].concat();
    let rules = rules(&format!("strategy: {{ mode: loadbalance }}\ntargets:\n{targets}"));
    for ask in [Ask::chat(""), Ask::chat("").streamed(), Ask::of(Op::Embed, "m", ""), Ask::of(Op::Image, "m", "")] {
        let mut dice = Dice::new(11);
        let (mut first, mut after_a) = (HashMap::new(), HashMap::new());
        for _ in 0..DRAWS {
            let order = ask.asked(&rules, &mut dice);
            assert_eq!(order.len(), 3, "all are there for failover");
            *first.entry(order[0].clone()).or_insert(0) += 1;
            if order[0] == "a" {
                *after_a.entry(order[1].clone()).or_insert(0) += 1;
            }
        }
        for (name, share) in [("a", 0.5), ("b", 0.3), ("c", 0.2)] {
            within(first[name], DRAWS, share);
        }
        // the rest is drawn by the weights that are left, not by rotation
        within(after_a["b"], first["a"], 0.6);
    }
}

#[test]
fn who_is_drained_or_cannot_serve_has_no_share_and_gets_no_failover() {
    let targets = [
        target("a", ", weight: 0"),
        target("b", ""),
        target("c", ", weight: 3"),
        target("d", ", models: [other], weight: 9"),
        target("e", ", weight: 4"),
    ];
    let yaml = format!("strategy: {{ mode: loadbalance, weights: {{ e: 0, a: 7 }} }}\ntargets:\n{}", targets.concat());
    let rules = rules(&yaml);
    let mut dice = Dice::new(12);
    let mut c_first = 0;
    for _ in 0..DRAWS {
        let order = Ask::chat("").drawn(&rules, &mut dice);
        let mut names: Vec<&str> = order.iter().map(|taken| &*taken.target).collect();
        c_first += usize::from(names[0] == "c");
        names.sort_unstable();
        assert_eq!(names, ["b", "c"]);
    }
    within(c_first, DRAWS, 0.75);
}

#[test]
fn weights_of_a_strategy_stand_in_for_those_of_its_targets() {
    let targets = [target("a", ", weight: 9"), target("b", "")].concat();
    let yaml = format!(
        "strategy: {{ mode: loadbalance, weights: {{ a: 1, g: 2 }} }}\ntargets:\n{targets}groups:\n  - {{ name: g, targets: [b], weight: 8 }}\n\
         routes:\n  - name: r\n    match: {{ model: m }}\n    targets: [a, g]\n    strategy: {{ mode: loadbalance, weights: {{ g: 2, a: 1 }} }}\n"
    );
    let rules = rules(&yaml);
    let mut dice = Dice::new(13);
    let firsts = (0..DRAWS).filter(|_| Ask::chat("").asked(&rules, &mut dice)[0] == "b");
    within(firsts.count(), DRAWS, 2.0 / 3.0);
}

/// Variants of 3 to 1, and one target beside them.
fn experiment(more: &str) -> String {
    let targets = [target("a", ""), target("b", ""), target("off", ""), target("c", "")].concat();
    format!(
        "strategy:\n  mode: ab-test\n{more}  ab_variants:\n    - {{ target_key: a, weight: 3, label: control }}\n    \
         - {{ target_key: b }}\n    - {{ target_key: off, weight: 0, label: gone }}\ntargets:\n{targets}"
    )
}

#[test]
fn variants_have_their_shares_and_their_names() {
    let leaving = rules(&experiment(""));
    let staying = rules(&experiment("  on_failure: stay\n"));
    let mut dice = Dice::new(14);
    let mut control = 0;
    for _ in 0..DRAWS {
        let order = Ask::chat("").drawn(&leaving, &mut dice);
        let (first, second) = (&order[0], &order[1]);
        let labels = (first.label.as_deref(), second.label.as_deref());
        assert!(
            labels == (Some("control"), Some("b")) || labels == (Some("b"), Some("control")),
            "the other variant is next, under its own name: {order:?}"
        );
        let rest: Vec<_> = order[2..].iter().map(|taken| (&*taken.target, &taken.label, taken.spare)).collect();
        assert_eq!(rest, [("c", &None, false)], "then who is no variant; one of weight 0 is not asked at all");
        control += usize::from(first.target == "a");
        let stays = Ask::chat("").asked(&staying, &mut dice);
        assert_eq!(stays.len(), 1, "a failure ends it");
    }
    within(control, DRAWS, 0.75);
}

#[test]
fn a_variant_that_does_not_serve_the_model_leaves_its_share_to_the_others() {
    let yaml = experiment("").replace("virtual_key: a, provider: openai", "virtual_key: a, provider: cohere");
    let rules = rules(&yaml.replacen("models: [m]", "models: [other]", 1));
    let mut dice = Dice::new(15);
    assert!((0..100).all(|_| Ask::chat("").asked(&rules, &mut dice)[0] == "b"));
    assert_eq!(Ask::chat("").model("nobodys").order(&rules), "");
}

#[test]
fn who_takes_any_name_is_no_way_out_of_an_experiment() {
    let mut yaml = experiment("");
    yaml.push_str(ANY);
    let rules = rules(&yaml);
    let order = Ask::chat("").drawn(&rules, &mut Dice::new(16));
    assert!(order.iter().all(|taken| taken.target != "any"), "others have claimed the model: {order:?}");
}

#[test]
fn callers_stay_with_their_variant_and_are_split_by_the_weights() {
    type By = fn(Ask, &str) -> Ask;
    let user: By = |_, name| Ask::chat(&format!(r#"{{"model":"m","messages":[],"user":"{name}"}}"#));
    let header: By = |ask, name| ask.header("x-team", name);
    let key: By = |ask, name| ask.key(name);
    for (sticky, by) in [("{ by: user }", user), ("{ by: header, header: X-Team }", header), ("{ by: key }", key)] {
        let rules = rules(&experiment(&format!("  sticky: {sticky}\n")));
        let mut dice = Dice::new(17);
        let mut control = 0;
        for caller in 0..DRAWS {
            let ask = by(Ask::chat(""), &format!("caller {caller}"));
            let first = ask.asked(&rules, &mut dice)[0].clone();
            control += usize::from(first == "a");
            if caller % 100 == 0 {
                assert!((0..20).all(|_| ask.asked(&rules, &mut dice)[0] == first), "{sticky}: {caller} moved");
            }
        }
        within(control, DRAWS, 0.75);
        // who does not say who they are is drawn anew
        let nobody = (0..DRAWS).filter(|_| Ask::chat("").asked(&rules, &mut dice)[0] == "a").count();
        within(nobody, DRAWS, 0.75);
    }
}
