//! Every strategy moves on to somebody who answers, on every surface, and says who it was.

use std::time::Duration;

use crate::support::{ASK, ASK_STREAM, Say, Upstream};

use super::{WAYS, Way, gateway, target_of, until};

/// Strategies that move on, and what is asked of them with `t0` down and `t1` up.
const MOVING: [&str; 7] = [
    "{ mode: fallback }",
    "{ mode: loadbalance }",
    "{ mode: least-latency }",
    "{ mode: cost-optimized }",
    "{ mode: conditional, on_failure: leave, conditions: [{ key: model, value: m, target_key: t0 }] }",
    "{ mode: content-based, on_failure: leave, content_conditions: [{ type: prompt_not_contains, value: xyz, target_key: t0 }] }",
    "{ mode: ab-test, ab_variants: [{ target_key: t0 }, { target_key: t1 }] }",
];

#[tokio::test]
async fn each_strategy_moves_on_to_who_answers_on_each_surface() {
    for strategy in MOVING {
        let (down, up) = (Upstream::says([Say::json(503, "")]).await, Upstream::says([]).await);
        let gateway = gateway(strategy, &[(&down, ""), (&up, "")], "").await;
        for way in WAYS {
            up.forget();
            up.tell([way.good()]);
            for _ in 0..4 {
                let reply = way.ask(&gateway).await;
                assert_eq!((reply.status, reply.header("x-ferro-target")), (200, "t1"), "{strategy} {way:?}");
                assert!(way != Way::Stream || reply.is_done());
            }
            assert_eq!(up.seen().len(), 4);
        }
    }
}

#[tokio::test]
async fn those_that_stay_report_what_happened() {
    for strategy in [
        "{ mode: single }",
        "{ mode: conditional, conditions: [{ key: model, value: m, target_key: t0 }] }",
        "{ mode: content-based, content_conditions: [{ type: prompt_not_contains, value: xyz, target_key: t0 }] }",
        "{ mode: ab-test, on_failure: stay, ab_variants: [{ target_key: t0 }] }",
    ] {
        let (down, up) = (Upstream::says([Say::json(500, "")]).await, Upstream::says([]).await);
        let gateway = gateway(strategy, &[(&down, ""), (&up, "")], "").await;
        for way in WAYS {
            let reply = way.ask(&gateway).await;
            assert_eq!((reply.status, reply.code().as_str()), (502, "upstream_error"), "{strategy} {way:?}");
            assert_eq!((down.seen().len(), up.seen().len()), (1, 0));
        }
    }
}

#[tokio::test]
async fn a_request_stays_with_its_variant_while_the_circuit_of_that_is_open() {
    let breaker = "    circuit_breaker: { failure_threshold: 1, timeout: 1h }\n";
    let strategy = "{ mode: ab-test, on_failure: stay, ab_variants: [{ target_key: t0, label: new }, { target_key: t1, weight: 0 }] }";
    let (down, up) = (Upstream::says([Say::json(500, "")]).await, Upstream::says([]).await);
    let gateway = gateway(strategy, &[(&down, breaker), (&up, "")], "").await;
    assert_eq!(Way::Chat.ask(&gateway).await.status, 502);
    for way in WAYS {
        let reply = way.ask(&gateway).await;
        assert_eq!((reply.status, reply.code().as_str()), (503, "upstream_unavailable"), "{way:?}");
        assert!(reply.body.contains("the target `t0` has failed too often lately"), "{}", reply.body);
        assert!(reply.body.contains("it is tried again in 3600 s"), "{}", reply.body);
        assert_eq!(reply.header("retry-after"), "3600");
    }
    assert_eq!((down.seen().len(), up.seen().len()), (1, 0));
    let said = gateway.post("/v1/route/explain", ASK).await.json();
    let why = &said["models"][0]["candidates"][1]["reasons"][0]["words"];
    assert!(why.as_str().unwrap().contains("weight is 0"), "{said}");
}

#[tokio::test]
async fn a_target_that_fails_is_not_the_first_to_be_asked_how_fast_it_is() {
    let (down, up) = (Upstream::says([Say::json(503, "")]).await, Upstream::says([Way::Chat.good()]).await);
    let gateway = gateway("{ mode: least-latency }", &[(&down, ""), (&up, "")], "").await;
    for _ in 0..30 {
        assert_eq!(Way::Chat.ask(&gateway).await.status, 200);
    }
    let asked = down.seen().len();
    assert!(asked <= 1, "one failure is enough to know for a while: {asked}");
}

#[tokio::test]
async fn the_fastest_that_begins_to_fail_is_soon_not_the_first_anymore() {
    let fast = Upstream::says([Way::Chat.good()]).await;
    let slow = Upstream::says([Way::Chat.good().late(Duration::from_millis(60))]).await;
    let gateway = gateway("{ mode: least-latency }", &[(&fast, ""), (&slow, "")], "").await;
    for _ in 0..6 {
        assert_eq!(Way::Chat.ask(&gateway).await.status, 200);
    }
    fast.forget();
    fast.tell([Say::json(500, "")]);
    for _ in 0..40 {
        assert_eq!(Way::Chat.ask(&gateway).await.header("x-ferro-target"), "t1");
    }
    let asked = fast.seen().len();
    assert!((1..=15).contains(&asked), "it fails, and is asked {asked} of 40 times");
    let said = gateway.post("/v1/route/explain", ASK).await.json();
    let reasons = &said["models"][0]["candidates"][0]["reasons"];
    assert_eq!(reasons[0]["code"], "failing", "{said}");
}

#[tokio::test]
async fn the_answer_names_its_route_and_its_variant() {
    let up = Upstream::says([Say::text("a")]).await;
    let top = "routes:\n  - name: gold\n    match: { header: { x-tier: gold } }\n    targets: [t0]\n    \
               strategy: { mode: ab-test, ab_variants: [{ target_key: t0, label: new-model }] }\n";
    let gateway = gateway("{ mode: fallback }", &[(&up, "")], top).await;
    let plain = Way::Chat.ask(&gateway).await;
    assert!(!plain.headers.contains_key("x-ferro-route") && !plain.headers.contains_key("x-ferro-variant"));
    for way in WAYS {
        up.forget();
        up.tell([way.good()]);
        let reply = gateway.send(way.request(&gateway).header("X-Tier", "gold")).await;
        let of = |name| reply.header(name);
        assert_eq!((of("x-ferro-route"), of("x-ferro-variant")), ("gold", "new-model"), "{way:?}");
    }
    up.forget();
    up.tell([Say::json(500, "")]);
    let failed = gateway.send(Way::Chat.request(&gateway).header("x-tier", "gold")).await;
    assert_eq!((failed.status, failed.header("x-ferro-variant")), (502, "new-model"));
}

#[tokio::test]
async fn a_route_has_its_own_time_and_its_own_reasons_to_move_on() {
    let (slow, up) = (Upstream::says([Say::text("a").hang()]).await, Upstream::says([Say::text("b")]).await);
    let top = "routes:\n  - { name: short, match: { header: { x-way: short } }, targets: [t0], request_timeout: 40ms }\n  \
               - { name: stubborn, match: { header: { x-way: stubborn } }, targets: [t2, t1], failover_on: ['429'] }\n";
    let broken = Upstream::says([Say::json(500, "")]).await;
    let gateway = gateway("{ mode: fallback }", &[(&slow, ""), (&up, ""), (&broken, "")], top).await;
    let ask = async |way| gateway.send(Way::Chat.request(&gateway).header("x-way", way)).await;
    let late = ask("short").await;
    assert_eq!((late.status, late.code().as_str()), (504, "gateway_timeout"));
    assert!(late.body.contains("passed: the target `t0` had not answered\""), "{}", late.body);
    assert_eq!(ask("stubborn").await.status, 502);
    assert_eq!(up.seen().len(), 0);
}

#[tokio::test]
async fn a_call_out_of_time_says_who_has_hung_and_whether_others_were_left() {
    let hung = || async { Upstream::says([Say::text("a").hang()]).await };
    let (slow, other, broken) = (hung().await, hung().await, Upstream::says([Say::json(500, "")]).await);
    let limit = "request_timeout: 250ms\n";
    let says = async |strategy: &str, targets: &[(&Upstream, &str)], words: &str| {
        let gateway = gateway(strategy, targets, limit).await;
        for way in [Way::Chat, Way::Stream] {
            let reply = way.ask(&gateway).await;
            assert_eq!((reply.status, reply.code().as_str()), (504, "gateway_timeout"), "{strategy}");
            let expected = format!("the gateway's request_timeout of 250ms passed{words}");
            assert!(reply.body.contains(&expected), "{strategy}: {}", reply.body);
        }
    };
    let order = "{ mode: fallback }";
    let left =
        ": the target `t0` had not answered, and no time was left to ask another; a shorter `timeouts.first_byte`";
    says(order, &[(&slow, ""), (&other, "")], left).await;
    says(order, &[(&broken, ""), (&slow, "")], ": the target `t1` had not answered\"").await;
    says(
        "{ mode: fallback, hedge: { after: 10ms, max_percent: 100 } }",
        &[(&slow, ""), (&other, "")],
        ": the target `t0`",
    )
    .await;
    let narrow = "    concurrency: { max_concurrency: 1 }\n";
    says(order, &[(&broken, narrow), (&slow, ""), (&other, "")], ": the target `t1` had not answered, and no time")
        .await;
}

#[tokio::test]
async fn a_chain_of_models_goes_on_where_the_first_fails() {
    let up = Upstream::says([
        Say::json(404, r#"{"error":{"message":"no such model","code":"model_not_found"}}"#),
        Say::text("b"),
    ])
    .await;
    let gateway = gateway("{ mode: fallback }", &[(&up, "")], "aliases: { smart: [m, n] }\n").await;
    let reply = gateway.post("/v1/chat/completions", ASK.replace("\"m\"", "\"smart\"")).await;
    assert_eq!((reply.status, reply.header("x-ferro-model"), reply.header("x-ferro-attempts")), (200, "n", "2"));
    let models: Vec<_> = up.seen().iter().map(|seen| seen.json()["model"].clone()).collect();
    assert_eq!(models, ["m", "n"]);
}

#[tokio::test]
async fn who_asks_for_a_pause_is_behind_the_others_until_it_is_over() {
    let (busy, free) = (Upstream::says([]).await, Upstream::says([]).await);
    let gateway = gateway("{ mode: fallback }", &[(&busy, ""), (&free, "")], "").await;
    for way in WAYS {
        [&busy, &free].iter().for_each(|upstream| upstream.forget());
        busy.tell([Say::json(429, "{}").header("retry-after", "20"), way.good()]);
        free.tell([way.good()]);
        for _ in 0..5 {
            assert_eq!(way.ask(&gateway).await.header("x-ferro-target"), "t1");
        }
        assert_eq!(busy.seen().len(), 1, "it is left alone");
        free.forget();
        free.tell([Say::json(500, "")]);
        assert_eq!(way.ask(&gateway).await.header("x-ferro-target"), "t0", "it is still there for need");
        assert_eq!(way.ask(&gateway).await.header("x-ferro-attempts"), "1", "and first again, since it answers");
    }
}

#[tokio::test]
async fn a_short_pause_ends_by_itself() {
    let busy = Upstream::says([Say::json(429, "{}").header("retry-after-ms", "60"), Say::text("a")]).await;
    let free = Upstream::says([Say::text("b")]).await;
    let gateway = gateway("{ mode: fallback }", &[(&busy, ""), (&free, "")], "").await;
    assert_eq!(Way::Chat.ask(&gateway).await.header("x-ferro-target"), "t1");
    let target = target_of(&gateway, 0);
    until(|| target.vitals.rests(std::time::Instant::now()).is_none()).await;
    assert_eq!(Way::Chat.ask(&gateway).await.header("x-ferro-target"), "t0");
}

#[tokio::test]
async fn a_stream_that_creeps_is_given_up_and_one_that_keeps_up_is_not() {
    let demand = |least: u32| format!("    min_throughput: {{ events_per_second: {least}, over: 100ms }}\n");
    let slow = Upstream::says([Say::words(&["tide"; 40]).paced(Duration::from_millis(15))]).await;
    let gateway = gateway("{ mode: fallback }", &[(&slow, &demand(500)), (&slow, &demand(1))], "").await;
    let reply = Way::Stream.ask(&gateway).await;
    assert!(reply.body.contains("tide") && reply.body.contains("upstream_timeout") && !reply.is_done());
    assert!(reply.body.contains("retry, or lower `min_throughput` of the target `t0`"), "{}", reply.body);
    let reply = gateway.send(gateway.request("/v1/chat/completions", ASK_STREAM.replace("\"m\"", "\"t1/m\""))).await;
    assert!(reply.is_done(), "{}", reply.body);
}
