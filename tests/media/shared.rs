//! What is fetched once, for whom, and for how long.

use std::sync::Arc;

use tokio::sync::Notify;

use super::*;
use crate::reload::Followed;

#[tokio::test]
async fn equal_addresses_of_a_request_are_fetched_once_and_known_to_the_next() {
    let (album, upstream) = (album().await, bedrock().await);
    let gateway = gateway(&upstream, HERE).await;
    let url = |end: &str| image(&format!("{}/cat.png?{end}", album.url));
    let reply = gateway.post(CHAT, asking(&[url("a"), url("b"), url("a#top"), url("a")])).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    let content = upstream.seen().remove(0).json()["messages"][0]["content"].clone();
    for at in 1..5 {
        assert_eq!(content[at]["image"]["source"]["bytes"], PNG64, "{content}");
    }
    assert_eq!(album.seen().len(), 2);
    assert_eq!(gateway.post(CHAT, asking(&[url("b"), url("a")])).await.status, 200);
    assert!(album.seen().is_empty());
}

#[tokio::test]
async fn requests_that_want_the_same_at_once_wait_for_one_fetch() {
    let gate = Arc::new(Notify::new());
    let (album, upstream) = (Upstream::says([picture().once(&gate)]).await, bedrock().await);
    let gateway = gateway(&upstream, &format!("{HERE}, cache_bytes: 0")).await;
    let cat = format!("{}/cat.png", album.url);
    let all = futures_util::future::join_all((0..8).map(|_| about(&gateway, &cat)));
    let open = async {
        album.asked.notified().await;
        gate.notify_one();
        // whoever came too late for the first one
        loop {
            album.asked.notified().await;
            gate.notify_one();
        }
    };
    let replies = tokio::select! {
        replies = all => replies,
        () = open => unreachable!("it never ends"),
    };
    assert!(replies.iter().all(|reply| reply.status == 200));
    assert_eq!(upstream.seen().len(), 8);
    assert!(album.seen().len() < 8);
}

#[tokio::test]
async fn what_shall_not_be_stored_is_fetched_again_and_so_is_what_has_no_room() {
    let upstream = bedrock().await;
    let check = async |fetch: &str, say: Say, expected: usize| {
        let album = Upstream::says([say]).await;
        let gateway = gateway(&upstream, fetch).await;
        for _ in 0..3 {
            let reply = about(&gateway, &format!("{}/cat.png", album.url)).await;
            assert_eq!(reply.status, 200, "{}", reply.body);
        }
        assert_eq!(album.seen().len(), expected, "{fetch}");
    };
    check(HERE, picture(), 1).await;
    check(HERE, picture().header("cache-control", "private, No-Store"), 3).await;
    check(&format!("{HERE}, cache_bytes: 0"), picture(), 3).await;
}

#[tokio::test]
async fn a_failure_is_not_remembered() {
    let (album, upstream) = (Upstream::says([Say::json(404, ""), picture()]).await, bedrock().await);
    let gateway = gateway(&upstream, HERE).await;
    let cat = format!("{}/cat.png", album.url);
    assert_eq!([about(&gateway, &cat).await.status, about(&gateway, &cat).await.status], [400, 200]);
}

#[tokio::test]
async fn retries_and_other_targets_do_not_fetch_again() {
    let busy = Say::json(503, r#"{"message":"busy"}"#);
    let (album, upstream) = (album().await, Upstream::says([busy.clone(), busy, Say::json(200, CONVERSE)]).await);
    let (first, second) = (target("one", &upstream), target("two", &upstream));
    let yaml = format!(
        "strategy: {{ mode: fallback }}\ntargets:\n{first}    retry: {{ attempts: 2, initial_backoff_ms: 1 }}\n{second}media: {{ fetch: {{ {HERE} }} }}\n"
    );
    let gateway = TestGateway::configured(&yaml, &[]).await;
    let reply = about(&gateway, &format!("{}/cat.png", album.url)).await;
    assert_eq!((reply.status, reply.header("x-ferro-target")), (200, "two"), "{}", reply.body);
    let seen = upstream.seen();
    assert_eq!(seen.len(), 3);
    assert!(seen.iter().all(|one| one.body == seen[0].body));
    assert_eq!(album.seen().len(), 1);
}

#[tokio::test]
async fn so_many_are_fetched_at_a_time_as_the_operator_says() {
    let gate = Arc::new(Notify::new());
    let (album, upstream) = (Upstream::says([picture().once(&gate)]).await, bedrock().await);
    let gateway = gateway(&upstream, &format!("{HERE}, concurrency: 1")).await;
    let parts: Vec<_> = (0..3).map(|at| image(&format!("{}/{at}", album.url))).collect();
    let all = gateway.post(CHAT, asking(&parts));
    let one_by_one = async {
        for _ in 0..3 {
            album.asked.notified().await;
            // nobody else is under way
            assert_eq!(album.seen().len(), 1);
            gate.notify_one();
        }
    };
    let (reply, ()) = tokio::join!(all, one_by_one);
    assert_eq!(reply.status, 200, "{}", reply.body);
}

#[tokio::test]
async fn what_was_fetched_outlives_a_reload_that_does_not_concern_it() {
    let (album, upstream) = (album().await, bedrock().await);
    let yaml =
        |name: &str, fetch: &str| format!("targets:\n{}media: {{ fetch: {{ {fetch} }} }}\n", target(name, &upstream));
    let followed = Followed::begins(&yaml("one", HERE), &[]).await;
    let cat = format!("{}/cat.png", album.url);
    let asked = async || (about(&followed.gateway, &cat).await.status, album.seen().len());
    assert_eq!(asked().await, (200, 1));
    followed.write(&yaml("two", HERE));
    followed.serves("two").await;
    assert_eq!(asked().await, (200, 0));
    followed.write(&yaml("three", &format!("{HERE}, timeout: 9s")));
    followed.serves("three").await;
    assert_eq!(asked().await, (200, 1));
    followed.write(&yaml("four", "enabled: false"));
    followed.serves("four").await;
    assert_eq!(asked().await, (400, 0));
}
