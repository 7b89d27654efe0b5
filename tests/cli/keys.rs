//! Pools of keys as an operator sees them: in `config show`, in the log, in `doctor --live`.

use super::support::{Place, http};
use crate::support::{ASK, Say, Upstream};

const KEYS: [&str; 2] = ["hush-hush-first-0123456789", "hush-hush-second-0123456789"];

fn place(upstream: &Upstream) -> Place {
    let place = Place::new();
    let target = format!(
        "targets:\n  - virtual_key: pool\n    provider: openai\n    base_url: {}/v1\n    api_key: ['${{ONE}}', {}]\n    models: [m]\n",
        upstream.url, KEYS[1]
    );
    place.write("config.yaml", &target);
    place
}

#[tokio::test]
async fn a_key_that_begins_to_rest_is_one_line_without_the_key() {
    let refused = format!(r#"{{"error":{{"message":"Incorrect API key provided: {}"}}}}"#, KEYS[0]);
    let upstream = Upstream::says([Say::json(401, &refused), Say::text("hi")]).await;
    let mut gateway = place(&upstream).serve(&["--log-level", "debug"], &[("ONE", KEYS[0])]);
    for _ in 0..2 {
        let sent =
            http().post(format!("{}/v1/chat/completions", gateway.url)).header("content-type", "application/json");
        assert_eq!(sent.body(ASK).send().await.unwrap().status(), 200);
    }
    let line = gateway.until("a key cools down");
    assert_eq!((&line["level"], &line["target"]), (&"WARN".into(), &"pool".into()));
    assert_eq!((&line["key"], &line["code"]), (&0.into(), &"upstream_auth_error".into()));
    for _ in 0..2 {
        gateway.until("http request");
    }
    gateway.signal("-TERM");
    gateway.until("server stopped");
    let ended = gateway.end().1;
    let said = format!("{:?}{ended}", gateway.log);
    assert_eq!(said.matches("a key cools down").count(), 1, "{said}");
    assert!(!said.contains("hush-hush"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_commands_look_at_every_key_and_show_none() {
    let there = Say::json(404, "{}");
    let upstream = Upstream::says([there.clone()]).await;
    let place = place(&upstream);
    for args in [&["config", "show"][..], &["validate", "--format", "json"], &["doctor"]] {
        let shown = place.run(args, &[("PORT", "0"), ("ONE", KEYS[0])]).shown();
        assert!(!shown.contains("hush-hush"), "{shown}");
    }
    let shown = place.run(&["config", "show", "--format", "json"], &[]).json();
    assert_eq!(shown["targets"][0]["api_key"], serde_json::json!(["${ONE}", "[REDACTED]"]));
    let lacks = place.run(&["validate"], &[]).shown();
    assert!(lacks.contains("targets[0].api_key[0]"), "{lacks}");

    let live = async |script: Vec<Say>| {
        upstream.forget();
        upstream.tell(script);
        let ended = place.run(&["doctor", "--live", "--format", "json"], &[("PORT", "0"), ("ONE", KEYS[0])]);
        let checks = ended.json()["checks"].as_array().unwrap().clone();
        let check = checks.iter().find(|check| check["area"] == "Live").unwrap().clone();
        (ended.code, check["mark"].as_str().unwrap().to_owned(), check["detail"].as_str().unwrap().to_owned())
    };
    let (code, mark, detail) = live(vec![there.clone(), Say::text("p")]).await;
    assert_eq!((code, mark.as_str()), (0, "ok"));
    assert!(detail.starts_with("key 0: m answers (") && detail.contains("\nkey 1: m answers ("), "{detail}");
    let sent: Vec<String> = upstream.seen()[1..].iter().map(|seen| seen.header("authorization").to_owned()).collect();
    assert_eq!(sent, KEYS.map(|key| format!("Bearer {key}")));
    let bad = Say::json(401, r#"{"error":{"message":"no such key"}}"#);
    let (code, mark, detail) = live(vec![there, Say::text("p"), bad]).await;
    assert_eq!((code, mark.as_str()), (1, "broken"));
    assert!(detail.starts_with("key 1: m: no such key (401)\n"), "{detail}");
}
