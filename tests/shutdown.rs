//! The end of the process: what has begun is finished, or told that it can't be.

use std::time::Duration;

use futures_util::StreamExt;

use crate::support::upstream::delta;
use crate::support::{ASK_STREAM, Say, TestGateway, Upstream, events};

const CHAT: &str = "/v1/chat/completions";

#[tokio::test]
async fn a_request_in_flight_is_answered_while_new_connections_are_refused() {
    let upstream = Upstream::says([Say::text("late").late(Duration::from_millis(200))]).await;
    let gateway = TestGateway::fallback(&[&upstream]).await;
    let in_flight = tokio::spawn(gateway.request(CHAT, crate::support::ASK).send());
    while upstream.seen().is_empty() {
        tokio::task::yield_now().await;
    }
    gateway.running.handle.shutdown();
    let answer = in_flight.await.unwrap().unwrap();
    assert_eq!(answer.status(), 200);
    assert!(answer.text().await.unwrap().contains("late"));
    let newcomer = reqwest::Client::builder().no_proxy().build().unwrap();
    assert!(newcomer.get(format!("{}/livez", gateway.url)).send().await.is_err());
}

#[tokio::test]
async fn a_stream_that_outlives_the_drain_ends_with_an_error_event() {
    let upstream = Upstream::says([Say::events([delta(r#"{"content":"half"}"#, "null")]).hang()]).await;
    let gateway = TestGateway::with(&[&upstream], "", "server: { drain: 50ms }\n").await;
    let answer = gateway.request(CHAT, ASK_STREAM).send().await.unwrap();
    let mut chunks = answer.bytes_stream();
    let mut body = String::from_utf8(chunks.next().await.unwrap().unwrap().to_vec()).unwrap();
    gateway.running.handle.shutdown();
    while let Some(Ok(chunk)) = chunks.next().await {
        body.push_str(std::str::from_utf8(&chunk).unwrap());
    }
    let events = events(&body);
    assert!(events[0].contains("half") && events[1].contains("shutting_down") && events.len() == 2, "{body}");
}

#[tokio::test]
async fn every_call_has_exactly_one_outcome() {
    let upstream = Upstream::says([
        Say::text("1"),
        Say::words(&["2"]),
        Say::json(500, ""),
        Say::events([delta(r#"{"content":"4"}"#, "null")]).hang(),
    ])
    .await;
    let gateway = TestGateway::fallback(&[&upstream]).await;
    gateway.chat().await;
    gateway.stream().await;
    gateway.chat().await;
    drop(gateway.request(CHAT, ASK_STREAM).send().await.unwrap());
    upstream.left.notified().await;
    let count = |metrics: &str, start: &str| {
        let lines = metrics.lines().filter(|line| line.starts_with(start));
        lines.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum::<f64>()
    };
    let metrics = loop {
        let metrics = gateway.get("/metrics").await.body;
        if count(&metrics, "gateway_requests_in_flight") == 0.0 {
            break metrics;
        }
    };
    assert_eq!(count(&metrics, "gateway_requests_total{"), 4.0, "{metrics}");
    assert_eq!(count(&metrics, r#"gateway_request_errors_total{code="client_canceled""#), 1.0, "{metrics}");
    assert_eq!(count(&metrics, "gateway_request_duration_seconds_count"), 4.0, "{metrics}");
}
