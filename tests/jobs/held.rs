//! Inputs that the gateway holds because their vendor has no place for them.

use std::time::Duration;

use super::anthropic::{NAME, job, say};
use super::{chat, id, lines, order, upload};
use crate::reload::Followed;
use crate::support::{Say, Upstream, target};

const OK: &str = r#"gateway_config_reloads_total{result="ok"}"#;

#[tokio::test]
async fn an_input_is_held_over_a_reload() {
    let upstream = Upstream::says([say(&job(NAME, "in_progress", [1, 0, 0, 0, 0]))]).await;
    let text = format!("targets:\n{}batch_target: t\n", target("t", "anthropic", &upstream, "m", ""));
    let followed = Followed::begins(&text, &[]).await;
    let input = id(&upload(&followed.gateway, "batch", lines(&[chat("a", "m")])).await);
    followed.write(&format!("{text}aliases: {{ house: m }}\n"));
    let reloaded = async { while followed.metric(OK).await < 1.0 {} };
    tokio::time::timeout(Duration::from_secs(20), reloaded).await.unwrap();
    assert_eq!(order(&followed.gateway, &input).await.status, 200);
    // another key is the same account's; another address is somebody else
    let other = Upstream::says([say(&job(NAME, "in_progress", [1, 0, 0, 0, 0]))]).await;
    let input = id(&upload(&followed.gateway, "batch", lines(&[chat("a", "m")])).await);
    followed.write(&format!("targets:\n{}batch_target: t\n", target("t", "anthropic", &other, "m", "")));
    let reloaded = async { while followed.metric(OK).await < 2.0 {} };
    tokio::time::timeout(Duration::from_secs(20), reloaded).await.unwrap();
    assert_eq!(order(&followed.gateway, &input).await.status, 400);
    assert!(other.seen().is_empty());
}

#[tokio::test]
async fn no_more_inputs_are_held_than_there_is_room_for() {
    let upstream = Upstream::says([]).await;
    let gateway = super::keeper("anthropic", &upstream, "").await;
    let first = id(&upload(&gateway, "batch", lines(&[chat("a", "m")])).await);
    for _ in 1..64 {
        assert_eq!(upload(&gateway, "batch", lines(&[chat("a", "m")])).await.status, 200);
    }
    let full = upload(&gateway, "batch", lines(&[chat("a", "m")])).await;
    assert_eq!((full.status, full.code().as_str()), (400, "invalid_request"));
    assert!(full.body.contains("delete them"), "{}", full.body);
    assert_eq!(super::delete(&gateway, &format!("/v1/files/{first}")).await.status, 200);
    assert_eq!(upload(&gateway, "batch", lines(&[chat("a", "m")])).await.status, 200);
}

#[tokio::test]
async fn no_second_batch_is_made_where_the_answer_to_the_first_was_lost() {
    let upstream = Upstream::says([]).await;
    let gateway = super::keeper("anthropic", &upstream, "").await;
    let input = id(&upload(&gateway, "batch", lines(&[chat("a", "m")])).await);
    for refused in [529, 500] {
        upstream.forget();
        upstream.tell([Say::json(refused, "{}")]);
        assert!(order(&gateway, &input).await.status >= 500);
    }
    upstream.forget();
    upstream.tell([Say::json(200, "not JSON")]);
    assert_eq!(order(&gateway, &input).await.status, 502);
    upstream.forget();
    let again = order(&gateway, &input).await;
    assert_eq!((again.status, &again.json()["error"]["param"]), (400, &"input_file_id".into()), "{}", again.body);
    assert!(again.body.contains("look for it among the batches") && upstream.seen().is_empty(), "{}", again.body);
}
