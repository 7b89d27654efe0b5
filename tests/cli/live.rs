//! `ferrogw doctor --live`: a small real request to each target, and what to do about those that fail.

use serde_json::{Value, json};

use super::support::Place;
use crate::support::{Say, Upstream, target};

/// What it says of each target, in their order: mark and detail. Every upstream is asked first whether it is there.
async fn live(upstreams: &[(&str, &Upstream, &str)]) -> (i32, Vec<(String, String)>) {
    let place = Place::new();
    let targets: String = upstreams
        .iter()
        .enumerate()
        .map(|(at, (provider, upstream, models))| target(&format!("t{at}"), provider, upstream, models, ""))
        .collect();
    place.write("config.yaml", &format!("strategy: {{ mode: fallback }}\ntargets:\n{targets}"));
    let ended = place.run(&["doctor", "--live", "--format", "json"], &[("PORT", "0")]);
    assert!(!ended.shown().contains("sk-test"), "{}", ended.shown());
    let checks = ended.json()["checks"].as_array().unwrap().clone();
    let word = |check: &Value, name: &str| check[name].as_str().unwrap().to_owned();
    let live = checks.iter().filter(|check| check["area"] == "Live");
    (ended.code, live.map(|check| (word(check, "mark"), word(check, "detail"))).collect())
}

fn there() -> Say {
    Say::json(404, "{}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_target_gets_one_small_request() {
    let declared = Upstream::says([there(), Say::text("p")]).await;
    let listed = Say::json(200, r#"{"data":[{"id":"whisper-1"},{"id":"big"},{"id":"big-mini"}]}"#);
    let listed = Upstream::says([there(), listed, Say::text("p")]).await;
    let short = r#"{"error":{"message":"max_tokens is too low: the output limit of 1 token was reached"}}"#;
    let wordy = Upstream::says([there(), Say::json(400, short), Say::text("p")]).await;
    let (code, said) =
        live(&[("groq", &declared, "whisper-x, llama-8b"), ("openai", &listed, ""), ("mistral", &wordy, "m")]).await;
    assert_eq!(code, 0, "{said:?}");
    for ((mark, detail), model) in said.iter().zip(["llama-8b", "big-mini", "m"]) {
        assert_eq!(mark, "ok");
        assert!(detail.starts_with(&format!("{model} answers (")), "{detail}");
    }
    let seen = declared.seen();
    assert_eq!(seen.len(), 2);
    let ping = json!([{"role": "user", "content": "ping"}]);
    assert_eq!(seen[1].json(), json!({"model": "llama-8b", "max_completion_tokens": 1, "messages": ping}));
    assert_eq!(seen[1].header("authorization"), "Bearer sk-test-t0-0123456789");
    assert_eq!(listed.seen()[2].json()["model"], "big-mini");
    assert_eq!(wordy.seen()[2].json()["max_tokens"], 16);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_fails_is_said_with_how_to_mend_it() {
    let fails = async |status, message: &str| {
        let body = json!({"error": {"message": message}}).to_string();
        Upstream::says([there(), Say::json(status, &body)]).await
    };
    let key = fails(401, "no such key sk-test-t0-0123456789").await;
    let (money, gone, busy) =
        (fails(402, "Insufficient Balance").await, fails(404, "no m").await, fails(429, "slow").await);
    let (odd, nothing) = (fails(400, "bad").await, Upstream::says([there(), Say::json(500, "")]).await);
    let down = Upstream::down().await;
    let (code, said) = live(&[
        ("groq", &key, "m"),
        ("deepseek", &money, "m"),
        ("ollama", &gone, "m"),
        ("xai", &busy, "m"),
        ("together", &odd, "m"),
        ("openai", &nothing, ""),
        ("mistral", &down, "m"),
    ])
    .await;
    assert_eq!(code, 1);
    let expected = [
        ("broken", "m: no such key [REDACTED_SECRET] (401)\ncheck GROQ_API_KEY"),
        ("broken", "m: Insufficient Balance (402)\nthe account has no credit or quota left: see to it at the provider"),
        ("broken", "ollama pull <model>"),
        ("warning", "m: slow (429)\nthe key works, and is used too often at the moment"),
        ("broken", "m: bad (400)\nthe credential is good"),
        (
            "warning",
            "not asked: no model is declared, and the provider's list: answered 500; name one in the target's `models`",
        ),
        ("broken", "check base_url, HTTPS_PROXY and FERROGW_CA_FILE"),
    ];
    for ((mark, detail), (expected, words)) in said.iter().zip(expected) {
        assert_eq!(mark, expected, "{detail}");
        assert!(detail.contains(words), "{detail}");
    }
    assert_eq!(said.len(), 7);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_asked_unless_that_is_wanted() {
    let upstream = Upstream::says([there()]).await;
    let place = Place::new();
    place.write("config.yaml", &format!("targets:\n{}", target("t", "openai", &upstream, "m", "")));
    assert_eq!(place.run(&["doctor"], &[("PORT", "0")]).code, 0);
    let methods: Vec<_> = upstream.seen().iter().map(|seen| seen.method.to_string()).collect();
    assert_eq!(methods, ["HEAD"]);
    // the demo answers by itself
    place.write("config.yaml", "targets:\n  - virtual_key: demo\n");
    let ended = place.run(&["doctor", "--live"], &[("PORT", "0")]);
    assert!(ended.code == 0 && ended.out.contains("demo: demo answers ("), "{}", ended.shown());
}
