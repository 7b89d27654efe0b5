//! Circuits: what opens them, who is let through while they are, and how they close.

use std::time::{Duration, Instant};

use ferrogw::routing::breaker::State;

use crate::support::upstream::delta;
use crate::support::{ASK, ASK_STREAM, Say, TestGateway, Upstream};

use super::{WAYS, Way, begun, gateway, target_of, until, within};

const THREE: &str = "    circuit_breaker: { failure_threshold: 3, timeout: 60ms }\n";
const ONE: &str = "    circuit_breaker: { failure_threshold: 1, timeout: 60ms }\n";
/// Open for the rest of the test.
const LONG: &str = "    circuit_breaker: { failure_threshold: 1, timeout: 7s }\n";

fn state(gateway: &TestGateway, at: usize) -> State {
    target_of(gateway, at).vitals.breaker.as_ref().unwrap().state(Instant::now())
}

async fn half_open(gateway: &TestGateway) {
    until(|| state(gateway, 0) == State::HalfOpen).await;
}

#[tokio::test]
async fn failures_in_a_row_open_it_and_a_probe_that_succeeds_closes_it() {
    let up = Upstream::says([]).await;
    let gateway = gateway("{ mode: single }", &[(&up, THREE)], "").await;
    for way in WAYS {
        let bad = || Say::json(500, "");
        up.forget();
        // a success in between: it begins anew
        up.tell([bad(), bad(), way.good(), bad(), bad(), bad(), way.good()]);
        for status in [502, 502, 200, 502, 502, 502] {
            assert_eq!(way.ask(&gateway).await.status, status, "{way:?}");
        }
        assert_eq!(state(&gateway, 0), State::Open);
        half_open(&gateway).await;
        assert_eq!(way.ask(&gateway).await.status, 200);
        assert_eq!((state(&gateway, 0), up.seen().len()), (State::Closed, 7));
    }
}

#[tokio::test]
async fn an_open_circuit_is_a_503_that_says_when_to_come_back() {
    for way in WAYS {
        let down = [Upstream::says([Say::json(500, "")]).await, Upstream::down().await];
        let gateway = gateway("{ mode: fallback }", &[(&down[0], LONG), (&down[1], LONG)], "").await;
        assert_eq!(way.ask(&gateway).await.status, 502);
        let reply = way.ask(&gateway).await;
        assert_eq!((reply.status, reply.code().as_str()), (503, "upstream_unavailable"), "{way:?}");
        let wait: u32 = reply.header("retry-after").parse().unwrap();
        assert!((6..=7).contains(&wait), "{wait}");
        assert_eq!(down[0].seen().len(), 1);
    }
}

#[tokio::test]
async fn a_probe_that_fails_opens_it_again() {
    let up = Upstream::says([Say::json(500, "")]).await;
    let gateway = gateway("{ mode: single }", &[(&up, ONE)], "").await;
    for asked in 1..=3 {
        assert_eq!(Way::Chat.ask(&gateway).await.status, 502);
        assert_eq!((state(&gateway, 0), up.seen().len()), (State::Open, 1), "{asked}");
        half_open(&gateway).await;
    }
}

#[tokio::test]
async fn one_probe_at_a_time_is_let_through_and_a_client_that_leaves_gives_it_back() {
    let up = Upstream::says([Say::json(500, ""), begun().hang(), Say::text("a")]).await;
    let gateway = gateway("{ mode: single }", &[(&up, ONE)], "").await;
    assert_eq!(Way::Chat.ask(&gateway).await.status, 502);
    half_open(&gateway).await;
    let probe = within(gateway.request("/v1/chat/completions", ASK_STREAM).send()).await.unwrap();
    let other = Way::Chat.ask(&gateway).await;
    assert_eq!((other.status, other.header("retry-after")), (503, "1"));
    assert_eq!(up.seen().len(), 2);
    drop(probe);
    let target = target_of(&gateway, 0);
    until(|| !target.vitals.breaker.as_ref().unwrap().is_open(Instant::now())).await;
    assert_eq!(state(&gateway, 0), State::HalfOpen, "who leaves says nothing about the target");
    assert_eq!(Way::Chat.ask(&gateway).await.status, 200);
    assert_eq!(state(&gateway, 0), State::Closed);
}

#[tokio::test]
async fn what_is_not_the_targets_failure_opens_nothing() {
    let up = Upstream::says([]).await;
    let gateway = gateway("{ mode: single }", &[(&up, ONE)], "").await;
    for way in WAYS {
        for status in [400, 401, 402, 403, 404, 409, 413, 422, 429] {
            up.forget();
            up.tell([Say::json(status, "{}")]);
            way.ask(&gateway).await;
            assert_eq!((state(&gateway, 0), up.seen().len()), (State::Closed, 1), "{way:?} {status}");
        }
    }
}

#[tokio::test]
async fn what_is_opens_it() {
    let check = async |say: Option<Say>, more: &str, top: &str| {
        let up = match say {
            Some(say) => Upstream::says([say]).await,
            None => Upstream::down().await,
        };
        let gateway = gateway("{ mode: single }", &[(&up, &format!("{LONG}{more}"))], top).await;
        assert_ne!(Way::Chat.ask(&gateway).await.status, 200);
        until(|| state(&gateway, 0) == State::Open).await;
    };
    for status in [500, 502, 503, 504, 529, 408] {
        check(Some(Say::json(status, "")), "", "").await;
    }
    check(None, "", "").await;
    check(Some(Say::text("a").cut()), "", "").await;
    check(Some(Say::json(200, "<html>")), "", "").await;
    check(Some(Say::text("a").hang()), "    timeouts: { first_byte: 40ms, idle: 40ms }\n", "").await;
    check(Some(Say::text("a").hang()), "", "request_timeout: 40ms\n").await;
}

#[tokio::test]
async fn the_time_for_a_request_is_over_for_a_stream_that_does_not_begin() {
    let role = delta(r#"{"role":"assistant"}"#, "null");
    let up = Upstream::says([Say::events([role]).hang()]).await;
    let gateway = gateway("{ mode: single }", &[(&up, LONG)], "request_timeout: 40ms\n").await;
    let reply = Way::Stream.ask(&gateway).await;
    assert_eq!((reply.status, reply.code().as_str()), (504, "gateway_timeout"));
    assert_eq!(state(&gateway, 0), State::Open);
}

#[tokio::test]
async fn who_is_asked_when_the_time_is_nearly_over_is_not_to_blame() {
    let (slow, late) =
        (Upstream::says([Say::json(500, "").late(Duration::from_millis(150))]).await, Upstream::says([]).await);
    late.tell([Say::text("a").hang()]);
    let gateway = gateway("{ mode: fallback }", &[(&slow, LONG), (&late, LONG)], "request_timeout: 200ms\n").await;
    assert_eq!(Way::Chat.ask(&gateway).await.code(), "gateway_timeout");
    assert_eq!((state(&gateway, 0), state(&gateway, 1)), (State::Open, State::Closed));
}

#[tokio::test]
async fn a_stream_is_judged_at_its_end() {
    let bad = [
        begun().cut(),
        begun(),
        Say::events([
            delta(r#"{"content":"ti"}"#, "null"),
            r#"{"error":{"message":"overloaded","code":529}}"#.to_owned(),
        ]),
    ];
    for say in bad {
        let up = Upstream::says([say]).await;
        let gateway = gateway("{ mode: single }", &[(&up, LONG)], "").await;
        let reply = Way::Stream.ask(&gateway).await;
        assert_eq!(reply.status, 200);
        assert!(!reply.is_done() && reply.body.contains("\"error\""), "{}", reply.body);
        assert_eq!(state(&gateway, 0), State::Open);
    }
    // where events have types, the provider's own word for it is passed on
    let event = |kind: &str, more: &str| format!("event: {kind}\ndata: {{\"type\":\"{kind}\"{more}}}\n\n");
    let failed = event("response.failed", r#","response":{"error":{"code":"server_error","message":"no"}}"#);
    let up = Upstream::says([Say::raw_events([event("response.output_text.delta", r#","delta":"ti""#), failed])]).await;
    let gateway = gateway("{ mode: single }", &[(&up, LONG)], "").await;
    let reply = gateway.post("/v1/responses", r#"{"model":"m","stream":true,"input":"hi"}"#).await;
    assert!(reply.status == 200 && reply.body.contains("response.failed"), "{}", reply.body);
    assert_eq!(state(&gateway, 0), State::Open);
}

#[tokio::test]
async fn a_stream_that_stands_still_is_a_failure() {
    let idle = Upstream::says([begun().hang()]).await;
    let gateway = gateway("{ mode: single }", &[(&idle, &format!("{LONG}    timeouts: {{ idle: 40ms }}\n"))], "").await;
    assert!(Way::Stream.ask(&gateway).await.body.contains("\"error\""));
    assert_eq!(state(&gateway, 0), State::Open);
}

#[tokio::test]
async fn the_single_target_has_a_stand_in_while_its_circuit_is_open() {
    for strategy in
        ["{ mode: single }", "{ mode: conditional, conditions: [{ key: model, value: m, target_key: t0 }] }"]
    {
        let (down, up) = (Upstream::says([Say::json(500, "")]).await, Upstream::says([Say::text("b")]).await);
        let gateway = gateway(strategy, &[(&down, LONG), (&up, "")], "").await;
        assert_eq!(Way::Chat.ask(&gateway).await.status, 502);
        assert_eq!(Way::Chat.ask(&gateway).await.header("x-ferro-target"), "t1");
        up.forget();
        up.tell([Say::json(500, "")]);
        assert_eq!(Way::Chat.ask(&gateway).await.status, 502);
        assert_eq!(down.seen().len(), 1);
    }
}

#[tokio::test]
async fn whoever_waits_for_a_slot_meanwhile_is_not_let_through() {
    let gate = std::sync::Arc::new(tokio::sync::Notify::new());
    let up = Upstream::says([Say::json(500, "").once(&gate), Say::text("a")]).await;
    let narrow = format!("{LONG}    concurrency: {{ max_concurrency: 1 }}\n");
    let gateway = gateway("{ mode: single }", &[(&up, &narrow)], "").await;
    let ask = || tokio::spawn(Way::Chat.request(&gateway).send());
    let asking = ask();
    within(up.until("/v1/chat/completions")).await;
    let waiting = [ask(), ask()];
    let target = target_of(&gateway, 0);
    until(|| target.vitals.slots.as_ref().unwrap().waiting() == 2).await;
    gate.notify_one();
    assert_eq!(within(asking).await.unwrap().unwrap().status(), 502);
    for one in waiting {
        assert_eq!(within(one).await.unwrap().unwrap().status(), 503);
    }
    assert!(up.seen().is_empty(), "a target that fails is spared the queue");
}

#[tokio::test]
async fn a_share_of_failures_opens_it_too() {
    let up =
        Upstream::says([Say::text("a"), Say::json(500, ""), Say::text("a"), Say::json(500, ""), Say::json(500, "")])
            .await;
    let rate = "    circuit_breaker: { failure_threshold: 100, error_rate: { percent: 50, minimum: 4 } }\n";
    let gateway = gateway("{ mode: single }", &[(&up, rate)], "").await;
    for expected in [200, 502, 200, 502, 503] {
        assert_eq!(gateway.post("/v1/chat/completions", ASK).await.status, expected);
    }
}
