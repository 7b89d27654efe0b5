//! Providers as a whole: what they list, what they teach, and what they are told apart by.

use std::time::{Duration, Instant};

use ferrogw::config::Env;
use ferrogw::server::build;

use crate::support::{ASK_STREAM, Say, TestGateway, Upstream, target};

const CHAT: &str = "/v1/chat/completions";

#[tokio::test]
async fn a_parameter_that_is_refused_by_name_is_left_out_and_remembered() {
    let refuses = r#"{"error":{"message":"Unrecognized request argument supplied: stream_options"}}"#;
    let upstream = Upstream::says([Say::json(400, refuses), Say::words(&["a"]), Say::words(&["b"])]).await;
    let gateway = TestGateway::fallback(&[&upstream]).await;
    assert_eq!(gateway.stream().await.status, 200);
    assert_eq!(gateway.stream().await.status, 200);
    let asked: Vec<_> = upstream.seen().iter().map(|seen| seen.json()["stream_options"].is_object()).collect();
    assert_eq!(asked, [true, false, false]);
}

#[tokio::test]
async fn a_model_that_is_held_to_no_schema_is_told_it() {
    let refuses = r#"{"error":{"message":"This model does not support response format `json_schema`. See supported models","type":"invalid_request_error","param":"response_format"}}"#;
    let dislikes = r#"{"error":{"message":"invalid schema for response format: response_format/json_schema/x: minItems is not supported"}}"#;
    let upstream = Upstream::says([Say::json(400, refuses), Say::text("{}"), Say::json(400, dislikes)]).await;
    let targets = target("t", "groq", &upstream, "m, n", "");
    let gateway = TestGateway::configured(&format!("strategy: {{ mode: single }}\ntargets:\n{targets}"), &[]).await;
    let ask = |model: &str| {
        format!(
            r#"{{"model":"{model}","messages":[{{"role":"user","content":"hi"}}],"response_format":{{"type":"json_schema","json_schema":{{"name":"n","schema":{{"type":"object"}}}}}}}}"#
        )
    };
    let reply = gateway.post(CHAT, ask("m")).await;
    assert_eq!(
        (reply.status, reply.header("x-ferro-warnings")),
        (200, "param=response_format;provider=groq;action=translated")
    );
    let told = upstream.seen().remove(1).json();
    assert_eq!(told["response_format"]["type"], "json_object");
    assert!(told["messages"][0]["content"].as_str().unwrap().ends_with(r#"{"type":"object"}"#), "{told}");
    assert_eq!(gateway.post(CHAT, ask("n")).await.status, 400, "a schema it does not like is the caller's affair");
    assert_eq!(upstream.seen().len(), 1);
}

#[tokio::test]
async fn a_whole_answer_that_broke_off_is_a_failure() {
    let broken =
        r#"{"id":"1","choices":[{"index":0,"message":{"role":"assistant","content":"so"},"finish_reason":"error"}]}"#;
    for row in ["mistral", "openai"] {
        let upstream = Upstream::says([Say::json(200, broken)]).await;
        let targets = target("t", row, &upstream, "m", "    retry: { attempts: 1 }\n");
        let gateway = TestGateway::configured(&format!("strategy: {{ mode: single }}\ntargets:\n{targets}"), &[]).await;
        let reply = gateway.chat().await;
        assert_eq!(reply.status, 502, "{row}: {}", reply.body);
        assert!(reply.body.contains("the model broke off with an error"), "{}", reply.body);
    }
}

#[tokio::test]
async fn an_operator_who_wants_refusals_gets_them() {
    let refuses = r#"{"error":{"message":"Unsupported parameter: 'temperature'","param":"temperature"}}"#;
    let upstream = Upstream::says([Say::json(400, refuses)]).await;
    let strict = "compatibility: { on_unsupported_param: reject }\n";
    let gateway = TestGateway::with(&[&upstream], "", strict).await;
    let reply = gateway.post(CHAT, r#"{"model":"m","temperature":0.5,"messages":[{}]}"#).await;
    assert_eq!((reply.status, upstream.seen().len()), (400, 1));
}

#[tokio::test]
async fn models_are_discovered_in_the_background_and_routed_by() {
    let upstream = Upstream::says([Say::json(200, r#"{"data":[{"id":"house/model-1"},{"id":"m2"}]}"#)]).await;
    let yaml = format!(
        "targets:\n  - virtual_key: mine\n    provider: openai\n    base_url: {}/v1\n    api_key: sk-test-0123456789ab\n",
        upstream.url
    );
    let gateway = TestGateway::configured(&yaml, &[("FERRO_MODEL_DISCOVERY_INTERVAL", "1h")]).await;
    let models = loop {
        let models = gateway.get("/v1/models").await.json();
        if models["data"].as_array().unwrap().len() == 2 {
            break models;
        }
    };
    assert_eq!(models["data"][0]["id"], "house/model-1");
    let seen = upstream.seen().remove(0);
    assert_eq!((seen.method.as_str(), seen.path.as_str()), ("GET", "/v1/models"));
    assert_eq!(seen.header("authorization"), "Bearer sk-test-0123456789ab");
    let one = gateway.get("/v1/models/house/model-1").await;
    assert_eq!((one.status, &one.json()["owned_by"]), (200, &"mine".into()));
    assert_eq!(gateway.get("/v1/models/nobodys").await.status, 404);
}

#[tokio::test]
async fn a_model_can_be_asked_of_one_target_by_name() {
    let (first, second) = (Upstream::says([Say::text("1")]).await, Upstream::says([Say::text("2")]).await);
    let gateway = TestGateway::fallback(&[&first, &second]).await;
    let reply = gateway.post(CHAT, r#"{"model":"t1/any-model","messages":[{}]}"#).await;
    assert_eq!((reply.header("x-ferro-target"), reply.header("x-ferro-model")), ("t1", "any-model"));
    assert_eq!(second.seen().remove(0).json()["model"], "any-model");
}

#[tokio::test]
async fn options_for_a_provider_reach_only_that_provider() {
    let (first, second) = (Upstream::says([Say::json(500, "")]).await, Upstream::says([Say::text("2")]).await);
    let targets = target("a", "openai", &first, "m", "") + &target("b", "deepinfra", &second, "m", "");
    let gateway = TestGateway::configured(&format!("strategy: {{ mode: fallback }}\ntargets:\n{targets}"), &[]).await;
    let ask = r#"{"model":"m","messages":[{}],"provider_options":{"openai":{"store":true},"deepinfra":{"min_p":0.1}}}"#;
    assert_eq!(gateway.post(CHAT, ask).await.status, 200);
    let (first, second) = (first.seen().remove(0).json(), second.seen().remove(0).json());
    assert_eq!((&first["store"], &first["min_p"], &first["provider_options"]), (&true.into(), &().into(), &().into()));
    assert_eq!((&second["store"], &second["min_p"]), (&().into(), &0.1.into()));
}

#[tokio::test]
async fn the_environments_key_does_not_go_to_an_address_of_the_targets() {
    let upstream = Upstream::says([Say::words(&["x"])]).await;
    let own = |key: &str| {
        format!("targets:\n  - virtual_key: openai\n    base_url: {}/v1\n    models: [m]\n{key}", upstream.url)
    };
    let gateway =
        TestGateway::configured(&own("    api_key: ''\n"), &[("OPENAI_API_KEY", "sk-the-vendors-key-0123")]).await;
    gateway.post(CHAT, ASK_STREAM).await;
    assert_eq!(upstream.seen().remove(0).header("authorization"), "");
}

#[tokio::test]
async fn nvidias_promised_answers_are_asked_for_until_they_are_there() {
    let promise = || Say::json(202, "{}").header("nvcf-reqid", "6f2a-11");
    let upstream = Upstream::says([promise(), promise(), Say::text("there")]).await;
    let row = target("n", "nvidia-nim", &upstream, "m", "");
    let gateway = TestGateway::configured(&format!("targets:\n{row}"), &[]).await;
    let reply = gateway.chat().await;
    assert_eq!((reply.status, &reply.json()["choices"][0]["message"]["content"]), (200, &"there".into()));
    let seen = upstream.seen();
    let status = "GET /v2/nvcf/pexec/status/6f2a-11";
    let paths: Vec<_> = seen.iter().map(|seen| format!("{} {}", seen.method, seen.path)).collect();
    assert_eq!(paths, ["POST /v1/chat/completions", status, status]);
    assert_eq!(seen[2].header("authorization"), "Bearer sk-test-n-0123456789");
    // who promises without a name does not answer
    let vague = Upstream::says([Say::json(202, "{}").header("nvcf-reqid", "../../x")]).await;
    let row = target("n", "nvidia-nim", &vague, "m", "    retry: { attempts: 1 }\n");
    let gateway = TestGateway::configured(&format!("targets:\n{row}"), &[]).await;
    assert_eq!((gateway.chat().await.status, vague.seen().len()), (502, 1));
}

#[tokio::test]
async fn how_long_to_wait_is_read_from_words_before_it_is_guessed_from_a_limit() {
    let words = r#"{"error":{"message":"Rate limit reached for m. Please try again in 90.5s.","type":"tokens","code":"rate_limit_exceeded"}}"#;
    let limited = Say::json(429, words).header("x-ratelimit-reset-requests", "6m0s");
    let told = limited.clone().header("retry-after", "7");
    let upstream = Upstream::says([limited, told]).await;
    let gateway = TestGateway::with(&[&upstream], "    retry: { attempts: 1 }\n", "").await;
    assert_eq!(gateway.chat().await.header("retry-after"), "91");
    assert_eq!(gateway.chat().await.header("retry-after"), "7");
}

#[tokio::test]
async fn of_several_limits_the_one_that_is_used_up_says_how_long_to_wait() {
    let limited = |limits: &[(&str, &str)]| {
        let say = Say::json(429, r#"{"error":{"message":"Rate limit reached"}}"#);
        limits.iter().fold(say, |say, (name, value)| say.header(&format!("x-ratelimit-{name}"), value))
    };
    let (requests, tokens) = (("remaining-requests", "14000"), ("remaining-tokens", "0"));
    let cases = [
        (vec![requests, ("reset-requests", "2m59.56s"), tokens, ("reset-tokens", "7s")], "7"),
        (vec![requests, ("reset-requests", "6ms"), tokens, ("reset-tokens", "12s")], "12"),
        (vec![("remaining-requests", "0"), ("reset-requests", "20s"), tokens, ("reset-tokens", "12s")], "20"),
        (vec![("reset-requests", "2m59.56s"), ("reset-tokens", "7s")], "7"),
        (
            vec![
                ("remaining-requests", "4999"),
                ("reset-requests", "12ms"),
                ("remaining-tokens", "300"),
                ("reset-tokens", "3s"),
            ],
            "3",
        ),
        (vec![("reset", "33"), ("remaining", "0")], "33"),
    ];
    for (limits, expected) in cases {
        let upstream = Upstream::says([limited(&limits)]).await;
        let gateway = TestGateway::with(&[&upstream], "    retry: { attempts: 1 }\n", "").await;
        assert_eq!(gateway.chat().await.header("retry-after"), expected, "{limits:?}");
    }
}

#[tokio::test]
async fn a_limit_that_is_fresh_at_once_is_no_reason_to_come_back_at_once() {
    let limited = Say::json(429, "{}").header("x-ratelimit-reset-requests", "6ms");
    let (busy, free) = (Upstream::says([limited]).await, Upstream::says([Say::text("free")]).await);
    let gateway = TestGateway::with(&[&busy, &free], "", "").await;
    for _ in 0..3 {
        assert_eq!(gateway.chat().await.status, 200);
    }
    let rests = gateway.running.gateway.snapshot().rules.targets[0].vitals.rests(Instant::now());
    assert!(rests.is_some_and(|left| left > Duration::from_millis(500)), "{rests:?}");
    assert_eq!(busy.seen().len(), 1);
}

#[tokio::test]
async fn a_request_larger_than_a_limit_is_not_made_again_and_holds_up_nobody_else() {
    let words = r#"{"error":{"message":"Request too large for m in organization org-1 on tokens per min (TPM): Limit 30000, Requested 50000.","code":"rate_limit_exceeded"}}"#;
    let (small, large) =
        (Upstream::says([Say::json(429, words), Say::text("small")]).await, Upstream::says([Say::text("large")]).await);
    let gateway = TestGateway::with(&[&small, &large], "    retry: { attempts: 3 }\n", "").await;
    assert_eq!(gateway.chat().await.header("x-ferro-attempts"), "2");
    assert!(gateway.chat().await.body.contains("small"), "the next one is not that large");
}

#[tokio::test]
async fn a_request_larger_than_groqs_limit_a_minute_is_served_by_another_or_refused_as_too_large() {
    let words = r#"{"error":{"message":"Request too large for model `m` in organization `org_1` service tier `on_demand` on tokens per minute (TPM): Limit 6000, Requested 12328, please reduce your message size and try again.","type":"tokens","code":"rate_limit_exceeded"}}"#;
    let large = || Say::json(413, words).header("retry-after", "30");
    let other = Upstream::says([Say::text("other")]).await;
    let groq = Upstream::says([large(), Say::text("groq"), large(), large()]).await;
    let config = |more: &str| format!("targets:\n{}{more}", target("g", "groq", &groq, "m", ""));
    let second = target("o", "openai", &other, "m", "") + "strategy: { mode: fallback }\n";
    let gateway = TestGateway::configured(&config(&second), &[]).await;
    assert!(gateway.chat().await.body.contains("other"));
    assert!(gateway.chat().await.body.contains("groq"), "the next one is not that large");
    let alone = TestGateway::configured(&config(""), &[]).await;
    let reply = alone.chat().await;
    assert_eq!((reply.status, reply.code().as_str()), (413, "rate_limit_exceeded"), "{}", reply.body);
    assert!(reply.body.contains("larger than what groq allows") && !reply.body.contains("org_1"), "{}", reply.body);
    assert_eq!((reply.header("retry-after"), groq.seen().len()), ("", 3));
}

#[tokio::test]
async fn a_provider_of_the_environment_that_cannot_be_set_up_is_left_out_and_counted() {
    let env = [
        ("OPENAI_API_KEY", "sk-test-0123456789"),
        ("AZURE_OPENAI_ENDPOINT", "no address"),
        ("AZURE_OPENAI_API_KEY", "azure-test-0123456789"),
    ];
    let found = build::derive(&Env::from(env));
    assert_eq!(found.targets.iter().map(|target| target.provider()).collect::<Vec<_>>(), ["openai", "azure-openai"]);
    let gateway = TestGateway::of(found, &env).await;
    let warnings = &gateway.running.warnings;
    assert!(warnings.iter().any(|warning| warning.starts_with("azure-openai is left out: ")), "{warnings:?}");
    let metrics = gateway.get("/metrics").await.body;
    assert!(metrics.contains("gateway_provider_init_failures_total{provider=\"azure-openai\"} 1"), "{metrics}");
}
