//! Attempts at the same target: how many, when, and when no longer.

use std::time::{Duration, Instant};

use crate::support::{Say, Upstream};

use super::{WAYS, Way, gateway};

fn retry(words: &str) -> String {
    format!("    retry: {{ initial_backoff_ms: 1, {words} }}\n")
}

#[tokio::test]
async fn there_are_as_many_attempts_as_allowed() {
    for (attempts, status) in [(1, 502), (2, 502), (3, 200), (5, 200)] {
        let up = Upstream::says([]).await;
        let gateway = gateway("{ mode: single }", &[(&up, &retry(&format!("attempts: {attempts}")))], "").await;
        for way in WAYS {
            up.forget();
            up.tell([Say::json(500, ""), Say::json(500, "").cut(), way.good()]);
            let reply = way.ask(&gateway).await;
            assert_eq!((reply.status, up.seen().len()), (status, attempts.min(3)), "{way:?} {attempts}");
        }
    }
}

#[tokio::test]
async fn without_a_budget_left_nothing_is_tried_again() {
    for way in WAYS {
        let down = Upstream::says([Say::json(500, "")]).await;
        // ten seconds of the floor are there from the start: three attempts more
        let words = retry("attempts: 3, budget: { percent: 0, min_per_second: 0.3 }");
        let gateway = gateway("{ mode: single }", &[(&down, &words)], "").await;
        let mut asked = Vec::new();
        for _ in 0..4 {
            assert_eq!(way.ask(&gateway).await.status, 502);
            asked.push(down.seen().len());
        }
        assert_eq!(asked, [3, 2, 1, 1], "{way:?}");
    }
}

#[tokio::test]
async fn a_share_of_the_requests_may_be_tried_again() {
    let down = Upstream::says([Say::json(500, "")]).await;
    let words = retry("attempts: 2, budget: { percent: 20, min_per_second: 0 }");
    let gateway = gateway("{ mode: single }", &[(&down, &words)], "").await;
    for _ in 0..50 {
        assert_eq!(Way::Chat.ask(&gateway).await.status, 502);
    }
    assert_eq!(down.seen().len(), 60);
}

#[tokio::test]
async fn a_pool_does_not_wait_long_and_the_single_target_does() {
    for way in WAYS {
        let busy = Upstream::says([Say::json(429, "{}").header("retry-after-ms", "9000"), way.good()]).await;
        let free = Upstream::says([way.good()]).await;
        let pool = gateway("{ mode: fallback }", &[(&busy, &retry("attempts: 2")), (&free, "")], "").await;
        assert_eq!(way.ask(&pool).await.header("x-ferro-target"), "t1", "{way:?}");
        assert_eq!(busy.seen().len(), 1);
    }
    let busy = Upstream::says([Say::json(429, "{}").header("retry-after-ms", "1100"), Way::Chat.good()]).await;
    let alone = gateway("{ mode: single }", &[(&busy, &retry("attempts: 2"))], "").await;
    let since = Instant::now();
    assert_eq!(Way::Chat.ask(&alone).await.status, 200);
    assert!(since.elapsed() >= Duration::from_millis(1100));
}

#[tokio::test]
async fn nobody_waits_for_what_comes_after_the_time_of_the_request() {
    for way in WAYS {
        let busy = Upstream::says([Say::json(429, "{}").header("retry-after", "20")]).await;
        let gateway = gateway("{ mode: single }", &[(&busy, &retry("attempts: 2"))], "request_timeout: 19s\n").await;
        let reply = way.ask(&gateway).await;
        assert_eq!((reply.status, reply.header("retry-after")), (429, "20"), "{way:?}");
    }
}

#[tokio::test]
async fn a_hint_of_nothing_is_none() {
    let up =
        Upstream::says([Say::json(503, "").header("retry-after", "0"), Say::json(503, "").header("retry-after", "0")])
            .await;
    let gateway = gateway("{ mode: single }", &[(&up, &retry("attempts: 2"))], "").await;
    let reply = Way::Chat.ask(&gateway).await;
    assert_eq!((reply.status, reply.header("retry-after"), up.seen().len()), (503, "1", 2));
}

#[tokio::test]
async fn listed_statuses_are_those_that_are_tried_again() {
    let up = Upstream::says([]).await;
    let gateway = gateway("{ mode: single }", &[(&up, &retry("attempts: 9, on_status_codes: [404]"))], "").await;
    for way in WAYS {
        up.tell([Say::json(404, "{}"), Say::json(500, "")]);
        assert_eq!((way.ask(&gateway).await.status, up.seen().len()), (502, 2), "{way:?}");
        up.forget();
    }
}

#[tokio::test]
async fn a_client_that_leaves_ends_the_attempts() {
    let up = Upstream::says([Say::json(429, "{}").header("retry-after-ms", "200"), Way::Chat.good()]).await;
    let gateway = gateway("{ mode: single }", &[(&up, &retry("attempts: 2"))], "").await;
    let asking = tokio::spawn(Way::Chat.request(&gateway).send());
    super::within(up.until("/v1/chat/completions")).await;
    asking.abort();
    super::within(async {
        while super::metric(&gateway, "gateway_request_errors_total", "client_canceled").await < 1.0 {}
    })
    .await;
    assert!(up.seen().is_empty(), "nothing more was asked");
}
