//! `least-latency`: what is known of each target's pace, how it fades, and who is asked to find out.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use ferrogw::pipeline::Rules;
use ferrogw::routing::random::Dice;

use super::desk::{Ask, DRAWS, rules, target, within};

const CLOCK: &str = "2026-11-20T12:00:00Z";

fn three() -> Rules {
    let targets = [target("a", ""), target("b", ""), target("c", "")].concat();
    rules(&format!("strategy: {{ mode: least-latency }}\ntargets:\n{targets}"))
}

fn tell(rules: &Rules, at: usize, stream: bool, millis: u64, now: Instant) {
    rules.targets[at].vitals.pace.track("m", stream).record(Duration::from_millis(millis), now);
}

/// How often each is asked first.
fn firsts(rules: &Rules, ask: &Ask) -> HashMap<String, usize> {
    let mut dice = Dice::new(21);
    let mut counts = HashMap::new();
    for _ in 0..DRAWS {
        let order = ask.asked(rules, &mut dice);
        assert_eq!(order.len(), 3);
        *counts.entry(order[0].clone()).or_insert(0) += 1;
    }
    counts
}

#[test]
fn who_has_never_been_asked_comes_first_then_the_fastest() {
    let rules = three();
    let now = Instant::now();
    let ask = Ask::chat("").at(now, CLOCK);
    let counts = firsts(&rules, &ask);
    ["a", "b", "c"].iter().for_each(|name| within(counts[*name], DRAWS, 1.0 / 3.0));
    tell(&rules, 0, false, 900, now);
    let order = ask.asked(&rules, &mut Dice::new(1));
    assert_eq!(order[2], "a", "the unknown come before what is known");
    tell(&rules, 1, false, 100, now);
    tell(&rules, 2, false, 400, now);
    assert_eq!(firsts(&rules, &ask), [("b".to_owned(), DRAWS)].into());
    assert_eq!(ask.order(&rules), "b c a");
    // streams are another matter: nobody knows how they are
    assert_eq!(firsts(&rules, &ask.clone().streamed()).len(), 3);
    tell(&rules, 0, true, 10, now);
    tell(&rules, 1, true, 500, now);
    tell(&rules, 2, true, 600, now);
    assert_eq!(ask.streamed().asked(&rules, &mut Dice::new(1))[0], "a");
}

#[test]
fn an_old_sample_gives_way_to_a_new_one_and_is_forgotten_in_the_end() {
    let rules = three();
    let start = Instant::now();
    for at in 0..3 {
        (0..50).for_each(|_| tell(&rules, at, false, 100 * (at as u64 + 1), start));
    }
    let later = start + Duration::from_secs(20);
    tell(&rules, 0, false, 2_000, later);
    assert_eq!(Ask::chat("").at(later, CLOCK).order(&rules), "b c a", "one sample weighs more than fifty old ones");
    let forgotten = start + Duration::from_secs(310);
    assert_eq!(Ask::chat("").at(forgotten, CLOCK).order(&rules).rsplit(' ').next(), Some("a"), "only its is known");
}

#[test]
fn calls_under_way_make_a_target_dearer() {
    let rules = three();
    let now = Instant::now();
    for (at, millis) in [(0, 100), (1, 250), (2, 900)] {
        tell(&rules, at, false, millis, now);
    }
    let ask = Ask::chat("").at(now, CLOCK);
    assert_eq!(ask.order(&rules), "a b c");
    let track = rules.targets[0].vitals.pace.track("m", false);
    let going: Vec<_> = (0..9).map(|_| track.enter()).collect();
    assert_eq!(ask.order(&rules), "b c a");
    drop(going);
    assert_eq!(ask.order(&rules), "a b c");
}

#[test]
fn one_request_in_fifty_finds_out_whether_the_slow_one_is_faster_now() {
    let rules = three();
    let start = Instant::now();
    for (at, millis) in [(0, 100), (1, 1_000), (2, 2_000)] {
        tell(&rules, at, false, millis, start + Duration::from_secs(2 * (2 - at as u64)));
    }
    let now = start + Duration::from_secs(8);
    tell(&rules, 0, false, 100, now);
    let counts = firsts(&rules, &Ask::chat("").at(now, CLOCK));
    assert_eq!(counts.get("b"), None);
    within(counts["c"], DRAWS, 1.0 / 50.0);
}

#[test]
fn a_group_is_as_fast_as_its_best() {
    let targets = [target("a", ""), target("b", ""), target("c", "")].concat();
    let rules = rules(&format!(
        "targets:\n{targets}groups:\n  - {{ name: g, targets: [b, c] }}\nroutes:\n  - name: r\n    match: {{ model: '*' }}\n    \
         targets: [a, g]\n    strategy: {{ mode: least-latency }}\n"
    ));
    let now = Instant::now();
    let ask = Ask::chat("").at(now, CLOCK);
    for (at, millis) in [(0, 500), (1, 900), (2, 100)] {
        tell(&rules, at, false, millis, now);
    }
    assert_eq!(ask.order(&rules), "b c a", "the group's own order is its own affair");
    tell(&rules, 2, false, 9_000, now);
    tell(&rules, 2, false, 9_000, now);
    assert_eq!(ask.order(&rules), "a b c");
}

#[test]
fn who_begins_to_fail_is_soon_not_the_first_and_comes_back_step_by_step() {
    let rules = three();
    let start = Instant::now();
    for (at, millis) in [(0, 10), (1, 200), (2, 900)] {
        tell(&rules, at, false, millis, start);
    }
    let track = rules.targets[0].vitals.pace.track("m", false);
    let order = |secs| Ask::chat("").at(start + Duration::from_secs(secs), CLOCK).order(&rules);
    track.fail(start);
    assert_eq!(order(0), "a b c", "one failure is none");
    (0..4).for_each(|_| track.fail(start));
    assert_eq!(order(0), "b a c");
    assert_eq!(order(10), "a b c", "after a while one call finds out");
    track.fail(start + Duration::from_secs(10));
    assert_eq!(order(10), "b a c", "and if it fails, that is enough");
    tell(&rules, 0, false, 10, start + Duration::from_secs(11));
    assert_eq!(order(11), "a b c", "who answers is believed sooner than who fails");
    (0..100).for_each(|_| track.fail(start + Duration::from_secs(12)));
    assert_eq!(order(12), "b c a");
    assert_eq!(order(130), "a b c", "nothing is held against anybody for long");
}
