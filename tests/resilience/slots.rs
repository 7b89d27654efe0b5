//! So many requests at a time: who waits, who is refused, who goes elsewhere.

use crate::support::{ASK_STREAM, Say, TestGateway, Upstream};

use super::{WAYS, Way, begun, gateway, target_of, until, within};

const ONE: &str = "    concurrency: { max_concurrency: 1, queue_size: 1 }\n";

fn counts(gateway: &TestGateway) -> (usize, usize) {
    let target = target_of(gateway, 0);
    let slots = target.vitals.slots.as_ref().unwrap();
    (slots.in_use(), slots.waiting())
}

/// A stream that has begun and holds its slot.
async fn hold(gateway: &TestGateway) -> reqwest::Response {
    let response = within(gateway.request("/v1/chat/completions", ASK_STREAM).send()).await.unwrap();
    assert_eq!(response.status(), 200);
    response
}

#[tokio::test]
async fn one_is_served_one_waits_and_the_next_is_refused_at_once() {
    let up = Upstream::says([]).await;
    let gateway = gateway("{ mode: single }", &[(&up, ONE)], "").await;
    for way in WAYS {
        up.forget();
        up.tell([begun().hang(), way.good()]);
        let held = hold(&gateway).await;
        let waiting = tokio::spawn(way.request(&gateway).send());
        until(|| counts(&gateway) == (1, 1)).await;
        let refused = way.ask(&gateway).await;
        assert_eq!((refused.status, refused.code().as_str()), (429, "provider_saturated"), "{way:?}");
        assert_eq!(refused.header("retry-after"), "1");
        assert_eq!(up.seen().len(), 1, "nobody was asked meanwhile");
        // a client that leaves frees its slot, and whoever waits has it
        drop(held);
        assert_eq!(within(waiting).await.unwrap().unwrap().status(), 200);
        until(|| counts(&gateway) == (0, 0)).await;
    }
}

#[tokio::test]
async fn a_client_that_waits_and_leaves_makes_room() {
    let up = Upstream::says([begun().hang()]).await;
    let gateway = gateway("{ mode: single }", &[(&up, ONE)], "").await;
    let held = hold(&gateway).await;
    let waiting = tokio::spawn(Way::Chat.request(&gateway).send());
    until(|| counts(&gateway) == (1, 1)).await;
    waiting.abort();
    until(|| counts(&gateway) == (1, 0)).await;
    drop(held);
    until(|| counts(&gateway) == (0, 0)).await;
}

#[tokio::test]
async fn whoever_waits_too_long_is_refused() {
    let up = Upstream::says([begun().hang()]).await;
    let wait = "    concurrency: { max_concurrency: 1, queue_timeout: 30ms }\n";
    let gateway = gateway("{ mode: single }", &[(&up, wait)], "").await;
    let _held = hold(&gateway).await;
    for way in WAYS {
        assert_eq!(way.ask(&gateway).await.code(), "provider_saturated");
    }
    assert_eq!(counts(&gateway), (1, 0));
}

#[tokio::test]
async fn the_time_of_a_request_is_over_in_the_queue_as_well() {
    let up = Upstream::says([begun().hang()]).await;
    let slots = "    concurrency: { max_concurrency: 1 }\n";
    let top = "routes: [{ name: short, match: { header: { x-way: short } }, targets: [t0], request_timeout: 60ms }]\n";
    let gateway = gateway("{ mode: single }", &[(&up, slots)], top).await;
    let _held = hold(&gateway).await;
    let reply = gateway.send(Way::Chat.request(&gateway).header("x-way", "short")).await;
    assert_eq!((reply.status, reply.code().as_str()), (429, "provider_saturated"));
}

#[tokio::test]
async fn a_full_target_sends_a_pool_to_the_next_and_a_single_one_to_nobody() {
    for (strategy, status) in [
        ("{ mode: fallback }", 200),
        ("{ mode: single }", 429),
        ("{ mode: conditional, conditions: [{ key: model, value: m, target_key: t0 }] }", 429),
    ] {
        let (full, free) = (Upstream::says([begun().hang()]).await, Upstream::says([]).await);
        let narrow = "    concurrency: { max_concurrency: 1, queue_size: 1 }\n    circuit_breaker: {}\n";
        let gateway = gateway(strategy, &[(&full, narrow), (&free, "")], "").await;
        let _held = hold(&gateway).await;
        let waiting = tokio::spawn(Way::Chat.request(&gateway).send());
        until(|| counts(&gateway) == (1, 1)).await;
        for way in WAYS {
            free.forget();
            free.tell([way.good()]);
            let reply = way.ask(&gateway).await;
            assert_eq!(reply.status, status, "{strategy} {way:?}");
            let attempts = if status == 200 { ("t1", "1") } else { ("", "") };
            assert_eq!((reply.header("x-ferro-target"), reply.header("x-ferro-attempts")), attempts);
        }
        waiting.abort();
    }
}

#[tokio::test]
async fn a_stream_that_ends_gives_its_slot_back_and_so_does_one_that_fails() {
    for (say, done) in [(Say::words(&["a", "b"]), true), (begun().cut(), false)] {
        let up = Upstream::says([say]).await;
        let gateway = gateway("{ mode: single }", &[(&up, ONE)], "").await;
        for _ in 0..5 {
            assert_eq!(Way::Stream.ask(&gateway).await.is_done(), done);
            assert_eq!(counts(&gateway), (0, 0));
        }
    }
}
