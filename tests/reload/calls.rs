//! Calls while the configuration changes: nothing is lost, and each keeps the configuration it began with.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use super::{FAILED, Followed, OK, one};
use crate::support::upstream::delta;
use crate::support::{ASK, ASK_STREAM, Say, Upstream, events, target};

const CHAT: &str = "/v1/chat/completions";

#[tokio::test]
async fn an_open_stream_finishes_on_the_configuration_it_began_with() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    let old =
        format!("targets: [{{ virtual_key: old, provider: openai, base_url: \"{url}\", api_key: k, models: [m] }}]");
    let followed = Followed::begins(&old, &[]).await;
    let asked = tokio::spawn(followed.gateway.request(CHAT, ASK_STREAM).send());
    let (mut held, _) = listener.accept().await.unwrap();
    let event = |word: &str| format!("data: {}\n\n", delta(&format!(r#"{{"content":"{word}"}}"#), "null"));
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
    held.write_all((head.to_owned() + &event("before")).as_bytes()).await.unwrap();
    let answer = asked.await.unwrap().unwrap();
    let mut chunks = answer.bytes_stream();
    let mut body = String::from_utf8(chunks.next().await.unwrap().unwrap().to_vec()).unwrap();

    let new = Upstream::says([Say::text("new")]).await;
    followed.write(&one("new", &new));
    followed.serves("new").await;
    assert!(followed.gateway.chat().await.body.contains("new"));
    let end = format!("data: {}\n\ndata: [DONE]\n\n", delta("{}", r#""stop""#));
    held.write_all((event("after") + &end).as_bytes()).await.unwrap();
    drop(held);
    while let Some(Ok(chunk)) = chunks.next().await {
        body.push_str(std::str::from_utf8(&chunk).unwrap());
    }
    assert!(body.contains("before") && body.contains("after") && events(&body).contains(&"[DONE]"), "{body}");
    assert!(!body.contains("error"), "{body}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reloads_under_load_lose_nothing() {
    const CALLS: usize = 500;
    const RELOADS: usize = 20;
    let (one_of, other) = (Upstream::says([Say::text("p")]).await, Upstream::says([Say::text("p")]).await);
    let texts: Vec<String> = (0..RELOADS)
        .map(|at| {
            let upstream = if at % 2 == 0 { &other } else { &one_of };
            format!("{}aliases: {{ a{at}: m }}\n", one(&format!("t{at}"), upstream))
        })
        .collect();
    let followed = Followed::begins(&one("t", &one_of), &[]).await;
    let (done, over) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let clients: Vec<_> = (0..16)
        .map(|_| {
            let request = followed.gateway.request(CHAT, ASK);
            let (done, over) = (done.clone(), over.clone());
            tokio::spawn(async move {
                let mut statuses = Vec::new();
                while !over.load(Ordering::Relaxed) || done.load(Ordering::Relaxed) < CALLS {
                    let answer = request.try_clone().unwrap().send().await.unwrap();
                    statuses.push(answer.status().as_u16());
                    answer.bytes().await.unwrap();
                    done.fetch_add(1, Ordering::Relaxed);
                }
                statuses
            })
        })
        .collect();
    for (at, text) in texts.iter().enumerate() {
        followed.write(text);
        followed.serves(&format!("t{at}")).await;
    }
    over.store(true, Ordering::Relaxed);
    let mut calls = 0;
    for client in clients {
        let statuses = client.await.unwrap();
        assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
        calls += statuses.len();
    }
    assert!(calls >= CALLS);
    assert_eq!(one_of.seen().len() + other.seen().len(), calls);
    assert_eq!((followed.metric(OK).await, followed.metric(FAILED).await), (RELOADS as f64, 0.0));
    assert_eq!(followed.metric("gateway_requests_in_flight").await, 0.0);
}

#[tokio::test]
async fn what_a_provider_lists_is_known_across_reloads() {
    let list = Say::json(200, r#"{"data":[{"id":"found"}]}"#);
    let upstream = Upstream::says([list, Say::text("p")]).await;
    let text = |name: &str, more: &str| format!("targets:\n{}", target(name, "openai", &upstream, "m", more));
    let followed = Followed::begins(&text("a", ""), &[("FERRO_MODEL_DISCOVERY_INTERVAL", "6h")]).await;
    while !followed.gateway.get("/v1/models").await.body.contains("found") {}
    followed.write(&(text("a", "") + "aliases: { x: m }\n"));
    while followed.metric(OK).await < 1.0 {}
    assert_eq!(followed.gateway.post(CHAT, ASK.replace(r#""m""#, r#""found""#)).await.status, 200);
    let asked: Vec<String> = upstream.seen().into_iter().map(|seen| seen.path).collect();
    assert_eq!(asked, ["/v1/models", "/v1/chat/completions"]);
    // who has changed is asked again, and what was known of it holds until it answers
    followed.write(&text("a", "    weight: 2\n"));
    while followed.metric(OK).await < 2.0 {}
    assert!(followed.gateway.get("/v1/models").await.body.contains("found"));
    upstream.until("/v1/models").await;
}

#[tokio::test]
async fn a_circuit_stays_open_across_reloads_that_leave_its_block_alone() {
    let (down, up) = (Upstream::says([Say::json(500, "")]).await, Upstream::says([Say::text("p")]).await);
    let text = |threshold: u32, more: &str| {
        let breaker = format!("    circuit_breaker: {{ failure_threshold: {threshold}, timeout: 1h }}\n");
        let (a, b) = (target("a", "openai", &down, "m", &breaker), target("b", "openai", &up, "m", ""));
        format!("strategy: {{ mode: fallback }}\ntargets:\n{a}{b}{more}")
    };
    let followed = Followed::begins(&text(1, ""), &[]).await;
    let circuit = async || followed.gateway.get("/readyz").await.json()["providers"][0]["circuit"].clone();
    assert_eq!((circuit().await, followed.gateway.chat().await.status), ("closed".into(), 200));
    assert_eq!(circuit().await, "open");
    followed.write(&text(1, "aliases: { x: m }\n"));
    while followed.metric(OK).await < 1.0 {}
    assert_eq!((circuit().await, followed.gateway.chat().await.status), ("open".into(), 200));
    assert_eq!(down.seen().len(), 1);
    followed.write(&text(2, ""));
    while followed.metric(OK).await < 2.0 {}
    assert_eq!(circuit().await, "closed");
}

#[tokio::test]
async fn what_is_saved_up_for_second_attempts_is_kept_while_their_share_is_the_same() {
    let slow = Upstream::says([Say::text("p").late(Duration::from_millis(100))]).await;
    let fast = Upstream::says([Say::text("p")]).await;
    let text = |percent: u32, more: &str| {
        let hedge = format!("{{ after: 5ms, max_percent: {percent} }}");
        let (a, b) = (target("a", "openai", &slow, "m", ""), target("b", "openai", &fast, "m", ""));
        format!("strategy: {{ mode: fallback, hedge: {hedge} }}\ntargets:\n{a}{b}{more}")
    };
    let followed = Followed::begins(&text(34, ""), &[]).await;
    let chats = async |times: usize| {
        for _ in 0..times {
            assert_eq!(followed.gateway.chat().await.status, 200);
        }
    };
    chats(2).await;
    assert_eq!(fast.seen().len(), 0, "two requests have saved up 68 in 100 of one");
    followed.write(&text(34, "aliases: { x: m }\n"));
    while followed.metric(OK).await < 1.0 {}
    chats(1).await;
    assert_eq!(fast.seen().len(), 1);
    chats(2).await;
    followed.write(&text(33, ""));
    while followed.metric(OK).await < 2.0 {}
    chats(1).await;
    assert_eq!(fast.seen().len(), 0, "another share begins anew");
}
