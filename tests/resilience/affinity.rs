//! Conversations stay where their prompt is cached.

use std::collections::HashSet;

use serde_json::json;

use crate::support::{Reply, Say, TestGateway, Upstream};

use super::{gateway, within};

const POOL: &str = "{ mode: loadbalance }";

/// A turn of a conversation that began with these words, after so many answers.
fn turn(model: &str, start: &str, answers: usize) -> String {
    let mut messages = vec![json!({ "role": "user", "content": start })];
    for _ in 0..answers {
        messages.push(json!({ "role": "assistant", "content": "tide" }));
        messages.push(json!({ "role": "user", "content": "go on" }));
    }
    json!({ "model": model, "messages": messages }).to_string()
}

async fn ask(gateway: &TestGateway, body: String) -> String {
    let reply: Reply = within(gateway.post("/v1/chat/completions", body)).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    reply.header("x-ferro-target").to_owned()
}

async fn four() -> [Upstream; 4] {
    let up = || Upstream::says([Say::text("tide")]);
    [up().await, up().await, up().await, up().await]
}

fn plain(ups: &[Upstream]) -> Vec<(&Upstream, &'static str)> {
    ups.iter().map(|up| (up, "")).collect()
}

#[tokio::test]
async fn a_conversation_stays_on_its_target() {
    let ups = four().await;
    let gateway = gateway(POOL, &plain(&ups), "").await;
    let mut targets = HashSet::new();
    for start in 0..12 {
        let start = format!("conversation {start}");
        let first = ask(&gateway, turn("m", &start, 0)).await;
        for answers in 1..6 {
            assert_eq!(ask(&gateway, turn("m", &start, answers)).await, first);
        }
        targets.insert(first);
    }
    assert!(targets.len() > 1, "conversations are spread");
}

#[tokio::test]
async fn an_explanation_says_where_a_conversation_stays_and_nothing_of_one_that_begins() {
    let ups = four().await;
    let gateway = gateway(POOL, &plain(&ups), "").await;
    let first = ask(&gateway, turn("m", "tell me", 0)).await;
    for (answers, expected) in [(0, json!(null)), (1, json!(first))] {
        let said = gateway.post("/v1/route/explain", turn("m", "tell me", answers)).await.json();
        assert_eq!(said["models"][0]["affinity"], json!({ "conversation": true, "warm": expected }));
    }
}

#[tokio::test]
async fn a_session_that_a_header_names_stays_from_the_first_word() {
    let ups = four().await;
    let gateway = gateway(POOL, &plain(&ups), "").await;
    let ask = async |session: &str, at: usize| {
        let request = gateway.request("/v1/chat/completions", turn("m", &format!("{at}"), 0));
        gateway.send(request.header("x-session-id", session)).await.header("x-ferro-target").to_owned()
    };
    for session in ["one", "two", "three"] {
        let first = ask(session, 0).await;
        for at in 1..12 {
            assert_eq!(ask(session, at).await, first);
        }
    }
}

#[tokio::test]
async fn it_moves_when_its_target_fails_and_stays_where_it_went() {
    let ups = four().await;
    let gateway = gateway(POOL, &plain(&ups), "").await;
    let first = ask(&gateway, turn("m", "tide", 0)).await;
    let at: usize = first[1..].parse().unwrap();
    ups[at].forget();
    ups[at].tell([Say::json(500, ""), Say::text("tide")]);
    let second = ask(&gateway, turn("m", "tide", 1)).await;
    assert_ne!(second, first);
    for answers in 2..12 {
        assert_eq!(ask(&gateway, turn("m", "tide", answers)).await, second, "it does not go back");
    }
}

#[tokio::test]
async fn equal_questions_are_spread() {
    let ups = four().await;
    let gateway = gateway(POOL, &plain(&ups), "").await;
    let mut targets = HashSet::new();
    for _ in 0..60 {
        targets.insert(ask(&gateway, turn("m", "how is tide?", 0)).await);
    }
    assert_eq!(targets.len(), 4);
}

#[tokio::test]
async fn with_a_chain_of_models_it_stays_as_well() {
    let ups = four().await;
    let gateway = gateway(POOL, &plain(&ups), "aliases: { smart: [m, n] }\n").await;
    for start in 0..4 {
        let start = format!("conversation {start}");
        let first = ask(&gateway, turn("smart", &start, 0)).await;
        for answers in 1..8 {
            assert_eq!(ask(&gateway, turn("smart", &start, answers)).await, first);
        }
    }
}

#[tokio::test]
async fn it_comes_before_the_draw_of_a_group_and_not_before_the_order_of_groups() {
    let ups = four().await;
    let top = "groups:\n  - { name: main, targets: [t0, t1], strategy: { mode: loadbalance } }\n  \
               - { name: spare, targets: [t2, t3], strategy: { mode: loadbalance } }\n\
               routes:\n  - { name: r, match: { model: m }, targets: [main, spare] }\n";
    let gateway = gateway(POOL, &plain(&ups), top).await;
    let first = ask(&gateway, turn("m", "tide", 0)).await;
    assert!(["t0", "t1"].contains(&&*first));
    for up in &ups[..2] {
        up.forget();
        up.tell([Say::json(500, ""), Say::text("tide")]);
    }
    let away = ask(&gateway, turn("m", "tide", 1)).await;
    assert!(["t2", "t3"].contains(&&*away));
    let back = ask(&gateway, turn("m", "tide", 2)).await;
    assert!(["t0", "t1"].contains(&&*back), "whoever stands first is asked first: {back}");
    for answers in 3..12 {
        assert_eq!(ask(&gateway, turn("m", "tide", answers)).await, back);
    }
}

#[tokio::test]
async fn no_conversation_overrides_a_rule() {
    let ups = four().await;
    let top = "groups:\n  - { name: pool, targets: [t0, t1], strategy: { mode: loadbalance } }\n";
    let strategy = "{ mode: conditional, on_failure: leave, conditions: [{ match: { tokens: { min: 100 } }, target_key: t2 }, \
                    { match: { model: m }, target_key: pool }] }";
    let gateway = gateway(strategy, &plain(&ups), top).await;
    let first = ask(&gateway, turn("m", "tide", 0)).await;
    assert!(["t0", "t1"].contains(&&*first));
    assert_eq!(ask(&gateway, turn("m", "tide", 20)).await, "t2", "it has grown long");
}

#[tokio::test]
async fn it_can_be_turned_off() {
    let ups = four().await;
    let gateway = gateway("{ mode: loadbalance, affinity: off }", &plain(&ups), "").await;
    let mut targets = HashSet::new();
    for answers in 0..60 {
        targets.insert(ask(&gateway, turn("m", "tide", answers % 5)).await);
    }
    assert_eq!(targets.len(), 4);
}
