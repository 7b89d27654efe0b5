//! Targets with several keys: who serves, who rests, and what is shown of it.

use std::sync::Arc;
use std::time::Instant;

use ferrogw::call::redact::Redactor;
use ferrogw::call::{Body, Call, Error, Fault, Op};
use ferrogw::config::{self, Env, Format, Invalid};
use ferrogw::pipeline::Rules;
use ferrogw::providers::auth::Fetcher;
use ferrogw::providers::client::{Client, Options};
use ferrogw::providers::trace::Trace;
use ferrogw::server::build;
use ferrogw::wire::Object;
use serde_json::{Value, json};

use crate::support::{ASK, Reply, Say, TestGateway, Upstream, target};

/// A target with these keys, called `pool`.
fn pool(provider: &str, upstream: &Upstream, keys: &[&str]) -> String {
    format!(
        "  - virtual_key: pool\n    provider: {provider}\n    base_url: {}/v1\n    api_key: [{}]\n    models: [m]\n",
        upstream.url,
        keys.join(", ")
    )
}

const KEYS: [&str; 3] = ["sk-test-pool-a-0123456789", "sk-test-pool-b-0123456789", "sk-test-pool-c-0123456789"];

async fn gateway(upstream: &Upstream, size: usize) -> TestGateway {
    with(&pool("openai", upstream, &KEYS[..size]), "").await
}

async fn with(targets: &str, top: &str) -> TestGateway {
    TestGateway::configured(&format!("strategy: {{ mode: fallback }}\ntargets:\n{targets}{top}"), &[]).await
}

/// Which keys were used, as letters.
fn used(upstream: &Upstream) -> String {
    let letter = |key: &str| key.strip_prefix("Bearer ").unwrap_or(key).chars().nth(13).unwrap();
    upstream.seen().iter().map(|seen| letter(seen.header("authorization"))).collect()
}

async fn chats(gateway: &TestGateway, times: usize) -> Vec<u16> {
    let mut statuses = Vec::new();
    for _ in 0..times {
        statuses.push(gateway.chat().await.status);
    }
    statuses
}

async fn keys(gateway: &TestGateway) -> Value {
    gateway.get("/health").await.json()["providers"][0]["keys"].clone()
}

fn limited(after: u32) -> Say {
    Say::json(429, r#"{"error":{"message":"slow down"}}"#).header("retry-after", &after.to_string())
}

fn refused(status: u16) -> Say {
    Say::json(status, r#"{"error":{"message":"no"}}"#)
}

#[tokio::test]
async fn keys_serve_in_turn() {
    let upstream = Upstream::says([Say::text("hi")]).await;
    let gateway = gateway(&upstream, 3).await;
    assert_eq!(chats(&gateway, 6).await, [200; 6]);
    assert_eq!(used(&upstream), "abcabc");
    let ok = |key: u8| json!({ "key": key, "status": "ok" });
    assert_eq!(keys(&gateway).await, json!([ok(0), ok(1), ok(2)]));
    let metrics = gateway.get("/metrics").await.body;
    assert!(metrics.contains("gateway_keys_cooling{provider=\"openai\",target=\"pool\"} 0\n"), "{metrics}");
    assert!(!metrics.contains("gateway_key_cooldowns_total{"), "{metrics}");
}

#[tokio::test]
async fn a_conversation_stays_with_the_key_whose_account_has_its_prompt_cached() {
    let upstream = Upstream::says([Say::text("hi")]).await;
    let gateway = gateway(&upstream, 3).await;
    let turn = |start: &str, answered: bool| {
        let mut messages = vec![json!({ "role": "user", "content": start })];
        if answered {
            messages.push(json!({ "role": "assistant", "content": "hi" }));
            messages.push(json!({ "role": "user", "content": "go on" }));
        }
        json!({ "model": "m", "messages": messages }).to_string()
    };
    for start in ["one", "two"] {
        assert_eq!(gateway.post("/v1/chat/completions", turn(start, false)).await.status, 200);
    }
    // other callers move the turn on
    assert_eq!(chats(&gateway, 2).await, [200; 2]);
    for start in ["one", "two", "two", "one"] {
        assert_eq!(gateway.post("/v1/chat/completions", turn(start, true)).await.status, 200);
    }
    let used = used(&upstream);
    assert_eq!((&used[..2], &used[4..]), ("ab", "abba"));
}

#[tokio::test]
async fn a_target_with_one_key_shows_none() {
    let upstream = Upstream::says([limited(30), Say::text("hi")]).await;
    let gateway = TestGateway::fallback(&[&upstream]).await;
    assert_eq!(chats(&gateway, 2).await, [429, 200], "one key is never set aside");
    assert_eq!(keys(&gateway).await, Value::Null);
    assert!(!gateway.get("/metrics").await.body.contains("gateway_key"));
}

#[tokio::test]
async fn a_limited_key_rests_as_long_as_the_provider_says_and_the_others_serve() {
    let upstream = Upstream::says([limited(30), Say::text("hi")]).await;
    let gateway = gateway(&upstream, 3).await;
    let reply = gateway.chat().await;
    assert_eq!((reply.status, reply.header("x-ferro-attempts")), (200, "1"), "another key is no other attempt");
    assert_eq!(chats(&gateway, 4).await, [200; 4]);
    assert_eq!(used(&upstream).replace('a', ""), "cbcbc", "in turn among those that are left");
    let keys = keys(&gateway).await;
    assert_eq!((&keys[0]["status"], &keys[0]["reason"]), (&"cooling".into(), &"rate_limit_exceeded".into()));
    assert!((20_000..=30_000).contains(&keys[0]["for_ms"].as_u64().unwrap()), "{keys}");
    assert_eq!((&keys[1]["status"], &keys[2]["status"]), (&"ok".into(), &"ok".into()));
    let metrics = gateway.get("/metrics").await.body;
    for line in [
        "gateway_key_cooldowns_total{key=\"0\",provider=\"openai\",reason=\"rate_limit_exceeded\",target=\"pool\"} 1\n",
        "gateway_key_switches_total{provider=\"openai\",target=\"pool\"} 1\n",
        "gateway_keys_cooling{provider=\"openai\",target=\"pool\"} 1\n",
    ] {
        assert!(metrics.contains(line), "{line} in {metrics}");
    }
}

#[tokio::test]
async fn a_key_that_is_refused_or_has_no_money_rests_longer() {
    for (status, reason, least) in [(401, "upstream_auth_error", 290_000), (402, "upstream_billing", 590_000)] {
        let upstream = Upstream::says([refused(status), Say::text("hi")]).await;
        let gateway = gateway(&upstream, 2).await;
        assert_eq!(chats(&gateway, 3).await, [200; 3]);
        assert_eq!(used(&upstream), "abbb");
        let keys = keys(&gateway).await;
        assert_eq!(keys[0]["reason"], reason);
        assert!(keys[0]["for_ms"].as_u64().unwrap() > least, "{keys}");
    }
}

#[tokio::test]
async fn what_only_one_key_may_not_do_sets_it_aside_and_what_none_may_do_sets_aside_none() {
    let upstream = Upstream::says([refused(403), Say::text("hi")]).await;
    let first = gateway(&upstream, 2).await;
    assert_eq!(chats(&first, 2).await, [200; 2]);
    assert_eq!(used(&upstream), "abb");
    assert_eq!(keys(&first).await[0]["reason"], "upstream_auth_error");

    let upstream = Upstream::says([refused(403)]).await;
    let gateway = gateway(&upstream, 3).await;
    let statuses = chats(&gateway, 2).await;
    assert_eq!(used(&upstream).len(), 6, "{statuses:?}");
    assert!(keys(&gateway).await.as_array().unwrap().iter().all(|key| key["status"] == "ok"), "a model nobody may use");
}

#[tokio::test]
async fn when_all_keys_rest_nobody_is_asked_and_the_caller_hears_when_the_first_is_back() {
    let upstream = Upstream::says([limited(40), limited(20)]).await;
    let gateway = gateway(&upstream, 2).await;
    let after = |reply: &Reply| reply.header("retry-after").parse::<u32>().unwrap();
    let reply = gateway.chat().await;
    assert_eq!((reply.status, reply.code().as_str()), (429, "rate_limit_exceeded"));
    assert!((10..=20).contains(&after(&reply)), "{:?}", reply.headers);
    assert_eq!(used(&upstream), "ab");
    let reply = gateway.chat().await;
    assert_eq!((reply.status, reply.code().as_str()), (429, "rate_limit_exceeded"));
    assert!((10..=20).contains(&after(&reply)), "{:?}", reply.headers);
    assert_eq!(gateway.stream().await.status, 429);
    assert_eq!(upstream.seen().len(), 0);
}

#[tokio::test]
async fn when_all_keys_rest_the_next_target_serves() {
    for (failing, on) in [(limited(30), "[429]"), (refused(401), "[401]")] {
        let (upstream, next) = (Upstream::says([failing]).await, Upstream::says([Say::text("hi")]).await);
        let targets = pool("openai", &upstream, &KEYS[..2]) + &target("next", "openai", &next, "m", "");
        let gateway = with(&targets, &format!("failover_on: {on}\n")).await;
        assert_eq!(chats(&gateway, 3).await, [200; 3]);
        assert_eq!((upstream.seen().len(), next.seen().len()), (2, 3));
    }
}

#[tokio::test]
async fn a_stream_that_fails_before_its_first_content_goes_on_with_another_key() {
    let failing = Say::events([r#"{"error":{"message":"slow down","type":"rate_limit_error","code":429}}"#]);
    let upstream = Upstream::says([limited(30), failing, Say::words(&["hi"])]).await;
    let gateway = gateway(&upstream, 3).await;
    let reply = gateway.stream().await;
    assert!(reply.status == 200 && reply.is_done(), "{}", reply.body);
    let seen = used(&upstream);
    assert_eq!((&seen[..1], seen.len()), ("a", 3), "{seen}");
    let cooling = keys(&gateway).await.as_array().unwrap().iter().filter(|key| key["status"] == "cooling").count();
    assert_eq!(cooling, 2);
}

#[tokio::test]
async fn what_is_not_the_keys_fault_is_asked_once() {
    let large =
        r#"{"error":{"message":"Request too large for m: Limit 10, Requested 20","code":"rate_limit_exceeded"}}"#;
    let upstream =
        Upstream::says([Say::json(400, r#"{"error":{"message":"no"}}"#), Say::json(500, "{}"), Say::json(429, large)])
            .await;
    let gateway = gateway(&upstream, 3).await;
    assert_eq!(chats(&gateway, 3).await, [400, 502, 413]);
    assert_eq!(used(&upstream), "abc");
    assert!(keys(&gateway).await.as_array().unwrap().iter().all(|key| key["status"] == "ok"));
}

#[tokio::test]
async fn what_an_account_keeps_is_asked_for_with_the_first_key() {
    let upstream = Upstream::says([limited(30), Say::json(200, "{}")]).await;
    let gateway = with(&pool("openai", &upstream, &KEYS), "batch_target: pool\n").await;
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(gateway.get("/v1/files").await.status);
    }
    assert_eq!((statuses, used(&upstream).as_str()), (vec![429, 200, 200], "aaa"));
}

#[tokio::test]
async fn keys_that_go_into_other_headers_serve_in_turn() {
    let answer = r#"{"id":"m","type":"message","role":"assistant","content":[{"type":"text","text":"hi"}],"stop_reason":"end_turn","usage":{"input_tokens":1,"output_tokens":1}}"#;
    let upstream = Upstream::says([Say::json(200, answer)]).await;
    let gateway = with(&pool("anthropic", &upstream, &KEYS[..2]), "").await;
    assert_eq!(chats(&gateway, 3).await, [200; 3]);
    let seen: Vec<String> = upstream.seen().iter().map(|seen| seen.header("x-api-key").to_owned()).collect();
    assert_eq!(seen, [KEYS[0], KEYS[1], KEYS[0]]);
}

#[tokio::test]
async fn parts_of_a_long_list_are_asked_for_with_whichever_key_serves() {
    let vector = r#"{"object":"list","data":[{"object":"embedding","index":0,"embedding":[1]}],"usage":{"prompt_tokens":1,"total_tokens":1}}"#;
    let upstream = Upstream::says([limited(30), Say::json(200, vector)]).await;
    let gateway = with(&pool("qwen", &upstream, &KEYS), "").await;
    let input: Vec<String> = (0..35).map(|n| n.to_string()).collect();
    let reply = gateway.post("/v1/embeddings", json!({ "model": "m", "input": input }).to_string()).await;
    assert_eq!((reply.status, reply.json()["data"].as_array().unwrap().len()), (200, 4), "{}", reply.body);
    let used = used(&upstream);
    assert!(used.len() == 5 && ['a', 'b', 'c'].iter().all(|key| used.contains(*key)), "{used}");
}

#[tokio::test]
async fn a_prediction_is_asked_for_with_the_key_that_made_it() {
    let upstream = Upstream::says([]).await;
    let urls = json!({ "get": format!("{}/v1/predictions/p", upstream.url), "cancel": format!("{}/v1/predictions/p/cancel", upstream.url) });
    let prediction = |status: &str| json!({ "id": "p", "status": status, "output": ["hi"], "urls": urls }).to_string();
    upstream.tell([
        Say::json(404, "{}"),
        limited(30),
        Say::json(201, &prediction("processing")),
        Say::json(200, &prediction("succeeded")),
    ]);
    let gateway = with(&pool("replicate", &upstream, &KEYS[..2]).replace("[m]", "[o/m]"), "").await;
    let reply = gateway.post("/v1/chat/completions", ASK.replace("\"m\"", "\"o/m\"")).await;
    let seen: Vec<(String, String)> =
        upstream.seen().iter().map(|seen| (seen.path.clone(), seen.header("authorization").to_owned())).collect();
    assert_eq!(reply.status, 200, "{} {seen:?}", reply.body);
    let (made, asked) = (&seen[seen.len() - 2], &seen[seen.len() - 1]);
    assert_eq!((made.1.as_str(), asked.1.as_str()), (&*format!("Bearer {}", KEYS[1]), made.1.as_str()), "{seen:?}");
    assert_eq!(asked.0, "/v1/predictions/p");
}

#[tokio::test]
async fn no_key_is_shown_to_anybody() {
    let said = format!(r#"{{"error":{{"message":"Incorrect API key provided: {} or {}"}}}}"#, KEYS[0], KEYS[1]);
    let upstream = Upstream::says([Say::json(401, &said), Say::json(400, &said)]).await;
    let yaml = format!("targets:\n{}", pool("openai", &upstream, &KEYS[..2]));
    let config = config::parse(&yaml, Format::Yaml, "").unwrap().config;
    let mut shown = format!("{config:?}{}", serde_json::to_string(&config).unwrap());
    let gateway = TestGateway::of(config, &[]).await;
    for _ in 0..2 {
        shown += &gateway.chat().await.body;
    }
    shown += &(gateway.get("/health").await.body + &gateway.get("/metrics").await.body);
    for key in KEYS {
        assert!(!shown.contains(key), "{shown}");
    }
}

fn compiled(targets: &str, env: &[(&str, &str)], old: Option<&Rules>) -> Result<Rules, Invalid> {
    let loaded = config::parse(&format!("targets:\n{targets}"), Format::Yaml, "")?;
    let env: Env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let redactor = Arc::new(Redactor::new(std::iter::empty::<(&str, &str)>()));
    let client = Client::new(Options::default()).unwrap();
    build::succeed(&loaded.config, &env, &client, &redactor, &Fetcher::default(), old)
}

#[test]
fn a_list_that_is_none_is_refused_with_the_entry() {
    let check = |targets: &str, expected: &str| {
        let env = [("A", "key-one"), ("B", "key-one"), ("NIL", ""), ("CUT", "a\nb")];
        let shown = compiled(targets, &env, None).err().unwrap().to_string();
        assert!(shown.contains(expected), "{shown}");
        assert!(!shown.contains("key-one") && !shown.contains("hush"), "{shown}");
    };
    let keys = |keys: &str| format!("  - {{ virtual_key: openai, api_key: {keys} }}\n");
    check(&keys("[]"), "targets[0].api_key: a list must name at least one key");
    check(&keys("[hush, '']"), "targets[0].api_key[1]: must not be empty");
    check(&keys("[hush, b, hush]"), "targets[0].api_key[2]: is the key of `api_key[0]` again");
    check(&keys("[hush, [hush]]"), "targets[0].api_key[1]: expected a text, found a list");
    check(&keys("{ hush: 1 }"), "targets[0].api_key: expected a text or a list of texts, found keys with values");
    check(&keys(&format!("[{}]", (0..129).map(|n| n.to_string()).collect::<Vec<_>>().join(","))), "at most 128 keys");
    check(&keys("['${A}', '${B}']"), "targets[0].api_key[1]: is the key of `api_key[0]` again");
    check(&keys("['${A}', '${NIL}']"), "targets[0].api_key[1]: is empty");
    check(&keys("['${CUT}', '${A}']"), "targets[0].api_key[0]: has characters that a header cannot carry");
    check(&keys("['${A}', '${GONE}']"), "targets[0].api_key[1]: the environment variable `GONE` is not set");
    check(
        "  - { virtual_key: openai, api_key: [hush, b], headers: { authorization: x } }\n",
        "targets[0].headers.authorization: takes the place of the keys in the list `api_key`",
    );
    let env = Env::from([("A", "x")]);
    let config = config::parse(&format!("targets:\n{}", keys("['${A}', '${GONE}']")), Format::Yaml, "").unwrap().config;
    let paths: Vec<String> = config::undefined(&config, &env).into_iter().map(|problem| problem.path).collect();
    assert_eq!(paths, ["targets[0].api_key[1]"]);
}

#[tokio::test]
async fn what_is_known_of_a_key_survives_in_another_list_and_a_preferred_key_is_used() {
    let upstream = Upstream::says([limited(30), Say::text("hi")]).await;
    let rules = |keys: &[&str], old: Option<&Rules>| compiled(&pool("openai", &upstream, keys), &[], old).unwrap();
    let old = rules(&KEYS[..2], None);
    let body = Body::Json(Object::parse(ASK.into()).unwrap());
    let call = Call::new(Op::Chat, body, "m".into(), "id".into(), Instant::now());
    let ask = async |rules: &Rules, prefer: Option<u8>| {
        let mut warnings = Vec::new();
        let mut trace = Trace { prefer, ..Trace::new(&mut warnings) };
        let asked = rules.targets[0].provider.ask(&call, "m", &mut trace).await;
        (asked.is_ok(), trace.key)
    };
    assert_eq!(ask(&old, Some(0)).await, (true, Some(1)), "the other one serves");
    let new = rules(&[KEYS[2], KEYS[0]], Some(&old));
    let (pool, now) = (new.targets[0].provider.keys().unwrap(), Instant::now());
    let report = pool.report(now);
    assert_eq!((report[0].cooling, report[1].reason), (None, Some("rate_limit_exceeded")));
    assert_eq!(pool.pick(now, Some(1)), Some(0), "it rests");
    assert_eq!(pool.all_cooling(now), None);
    assert_eq!(ask(&new, Some(1)).await, (true, Some(0)));
    let fresh = rules(&KEYS, None);
    for _ in 0..2 {
        assert_eq!(ask(&fresh, Some(2)).await, (true, Some(2)));
    }
    assert_eq!(fresh.targets[0].provider.keys().unwrap().pick(now, Some(9)), Some(0), "there is no such key");
    upstream.forget();
    upstream.tell([limited(30)]);
    let mut trace_warnings = Vec::new();
    let mut trace = Trace::new(&mut trace_warnings);
    let Err(Error::Upstream(failed)) = fresh.targets[0].provider.ask(&call, "m", &mut trace).await else { panic!() };
    assert_eq!(failed.fault, Fault::RateLimited);
    let pool = fresh.targets[0].provider.keys().unwrap();
    assert!(pool.all_cooling(Instant::now()).is_some() && pool.pick(Instant::now(), None).is_none());
}
