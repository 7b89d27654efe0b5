//! Second attempts beside silent ones: who wins, what becomes of the other, and how many there may be.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use tokio::sync::Notify;

use crate::support::upstream::delta;
use crate::support::{Say, TestGateway, Upstream};

use super::{Way, begun, gateway, metric, within};

/// Where a second attempt does no harm.
const HEDGED: [Way; 3] = [Way::Chat, Way::Stream, Way::Embed];

const AT_ONCE: &str = "{ mode: fallback, hedge: { after: 20ms, max_percent: 100 } }";

/// One that never comes.
fn silent() -> Say {
    Say::text("never").late(Duration::from_secs(3_600))
}

async fn counted(gateway: &TestGateway, result: &str) -> f64 {
    metric(gateway, "gateway_hedges_total", &format!("result=\"{result}\"")).await
}

#[tokio::test]
async fn the_second_answers_for_a_silent_first_whose_connection_is_closed() {
    for way in HEDGED {
        let (slow, fast) = (Upstream::says([silent()]).await, Upstream::says([way.good()]).await);
        let gateway = gateway(AT_ONCE, &[(&slow, ""), (&fast, "")], "").await;
        let reply = way.ask(&gateway).await;
        assert_eq!((reply.status, reply.header("x-ferro-target")), (200, "t1"), "{way:?}");
        assert_eq!(reply.header("x-ferro-attempts"), "2");
        within(slow.left.notified()).await;
        assert_eq!((slow.seen().len(), counted(&gateway, "won").await), (1, 1.0));
    }
}

#[tokio::test]
async fn a_stream_that_has_only_opened_is_still_silent() {
    let opened = Say::events([delta(r#"{"role":"assistant","content":""}"#, "null")]).hang();
    let (slow, fast) = (Upstream::says([opened]).await, Upstream::says([Way::Stream.good()]).await);
    let gateway = gateway(AT_ONCE, &[(&slow, ""), (&fast, "")], "").await;
    let reply = Way::Stream.ask(&gateway).await;
    assert!(reply.is_done() && reply.header("x-ferro-target") == "t1", "{}", reply.body);
    within(slow.left.notified()).await;
}

#[tokio::test]
async fn the_first_may_still_win_and_then_the_second_is_closed() {
    for way in HEDGED {
        // silent until the second is asked
        let never = Upstream::says([silent()]).await;
        let slow = Upstream::says([way.good().once(&never.asked)]).await;
        let gateway = gateway(AT_ONCE, &[(&slow, ""), (&never, "")], "").await;
        let reply = way.ask(&gateway).await;
        assert_eq!((reply.status, reply.header("x-ferro-target"), reply.header("x-ferro-attempts")), (200, "t0", "2"));
        within(never.left.notified()).await;
        assert_eq!(counted(&gateway, "lost").await, 1.0);
    }
}

#[tokio::test]
async fn a_second_that_fails_takes_nothing_from_the_first() {
    for way in HEDGED {
        let (gate, bad) = (Arc::new(Notify::new()), Upstream::says([]).await);
        let slow = Upstream::says([way.good().once(&gate)]).await;
        let gateway = gateway(AT_ONCE, &[(&slow, ""), (&bad, "")], "").await;
        for (status, failures) in [(500, 1.0), (502, 2.0), (400, 3.0)] {
            bad.forget();
            bad.tell([Say::json(status, "{}")]);
            let asking = tokio::spawn(gateway.http.execute(way.request(&gateway).build().unwrap()));
            within(async { while metric(&gateway, "gateway_attempt_failures_total", "t1").await < failures {} }).await;
            gate.notify_one();
            let reply = within(asking).await.unwrap().unwrap();
            assert_eq!((reply.status(), &reply.headers()["x-ferro-target"]), (StatusCode::OK, &"t0".parse().unwrap()));
            assert_eq!((bad.seen().len(), counted(&gateway, "failed").await), (1, failures), "{way:?} {status}");
        }
    }
}

#[tokio::test]
async fn a_first_that_fails_leaves_it_to_the_second() {
    for way in HEDGED {
        let second = Upstream::says([]).await;
        let first = Upstream::says([Say::json(500, "").once(&second.asked)]).await;
        second.tell([way.good().once(&first.left)]);
        let gateway = gateway(AT_ONCE, &[(&first, ""), (&second, "")], "").await;
        let reply = way.ask(&gateway).await;
        assert_eq!((reply.status, reply.header("x-ferro-target")), (200, "t1"));
        assert_eq!(counted(&gateway, "won").await, 1.0);
    }
}

#[tokio::test]
async fn what_is_the_callers_fault_is_over_at_once() {
    let second = Upstream::says([silent()]).await;
    let first = Upstream::says([Say::json(400, r#"{"error":{"message":"no"}}"#).once(&second.asked)]).await;
    let gateway = gateway(AT_ONCE, &[(&first, ""), (&second, "")], "").await;
    assert_eq!(Way::Chat.ask(&gateway).await.status, 400);
    within(second.left.notified()).await;
}

#[tokio::test]
async fn when_both_fail_the_others_are_asked() {
    for way in HEDGED {
        let two = Upstream::says([Say::json(500, "")]).await;
        let one = Upstream::says([Say::json(500, "").once(&two.asked)]).await;
        let three = Upstream::says([way.good()]).await;
        let gateway = gateway(AT_ONCE, &[(&one, ""), (&two, ""), (&three, "")], "").await;
        let reply = way.ask(&gateway).await;
        assert_eq!((reply.status, reply.header("x-ferro-target"), reply.header("x-ferro-attempts")), (200, "t2", "3"));
    }
}

#[tokio::test]
async fn no_more_second_attempts_are_made_than_the_share_allows() {
    let slow = Upstream::says([Way::Chat.good().late(Duration::from_millis(100))]).await;
    let fast = Upstream::says([Way::Chat.good()]).await;
    let strategy = "{ mode: fallback, hedge: { after: 5ms, max_percent: 20 } }";
    let gateway = gateway(strategy, &[(&slow, ""), (&fast, "")], "").await;
    for _ in 0..15 {
        assert_eq!(Way::Chat.ask(&gateway).await.status, 200);
    }
    assert_eq!((slow.seen().len(), fast.seen().len()), (15, 3));
}

#[tokio::test]
async fn what_makes_something_that_stays_is_never_asked_twice() {
    let image = r#"{"created":1,"data":[{"b64_json":"aGk="}]}"#;
    let response = r#"{"id":"resp_1","object":"response","status":"completed","output":[]}"#;
    for (path, body, answer) in [
        ("/v1/images/generations", r#"{"model":"m","prompt":"tide"}"#, image),
        ("/v1/responses", r#"{"model":"m","input":"tide"}"#, response),
    ] {
        let slow = Upstream::says([Say::json(200, answer).late(Duration::from_millis(80))]).await;
        let other = Upstream::says([Say::json(200, answer)]).await;
        let gateway = gateway(AT_ONCE, &[(&slow, ""), (&other, "")], "").await;
        let reply = gateway.post(path, body).await;
        assert_eq!((reply.status, reply.header("x-ferro-target"), other.seen().len()), (200, "t0", 0), "{path}");
    }
}

#[tokio::test]
async fn the_loser_gives_back_its_slot_and_its_probe() {
    let held = "    concurrency: { max_concurrency: 1 }\n    circuit_breaker: { failure_threshold: 1 }\n";
    let (slow, fast) = (Upstream::says([silent()]).await, Upstream::says([Way::Stream.good()]).await);
    let gateway = gateway(AT_ONCE, &[(&slow, held), (&fast, held)], "").await;
    assert!(Way::Stream.ask(&gateway).await.is_done());
    for at in 0..2 {
        let target = super::target_of(&gateway, at);
        super::until(|| target.vitals.slots.as_ref().unwrap().in_use() == 0).await;
        assert!(target.is_ready(std::time::Instant::now()));
    }
}

#[tokio::test]
async fn a_winner_that_breaks_midway_is_one_error() {
    let (slow, breaks) = (Upstream::says([silent()]).await, Upstream::says([begun().cut()]).await);
    let gateway = gateway(AT_ONCE, &[(&slow, ""), (&breaks, "")], "").await;
    let reply = Way::Stream.ask(&gateway).await;
    assert_eq!((reply.status, reply.is_done(), reply.body.matches("\"error\"").count()), (200, false, 1));
}
