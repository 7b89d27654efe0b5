//! Faults on purpose: a caller, the retry rules and the next target see what a true failure would show them.

use std::time::{Duration, Instant};

use ferrogw::config::{self, Format};

use super::support::{Say, TestGateway, Upstream, events};

/// A gateway whose first target has these faults and whose second has none.
async fn rehearsal(upstreams: [&Upstream; 2], faults: &str) -> TestGateway {
    let [first, second] = upstreams.map(|upstream| &upstream.url);
    TestGateway::configured(
        &format!(
            "strategy: {{ mode: fallback }}\ntargets:\n  - {{ virtual_key: a, provider: openai, base_url: {first}/v1, \
             api_key: \"\", models: [m], timeouts: {{ first_byte: 200ms }}, faults: [{faults}] }}\n  - {{ virtual_key: b, \
             provider: openai, base_url: {second}/v1, api_key: \"\", models: [m] }}\n"
        ),
        &[],
    )
    .await
}

async fn two() -> (Upstream, Upstream) {
    (Upstream::says([Say::text("first")]).await, Upstream::says([Say::text("second")]).await)
}

#[tokio::test]
async fn what_fails_on_purpose_moves_on_to_the_next_target() {
    for fault in
        ["status: 503", "status: 429, retry_after: 90s", "refuse: true", "malformed: true", "cut_after: 1", "delay: 1s"]
    {
        let (first, second) = two().await;
        let gateway = rehearsal([&first, &second], &format!("{{ rate: 100, {fault} }}")).await;
        let reply = gateway.chat().await;
        assert_eq!(reply.status, 200, "{fault}: {}", reply.body);
        assert_eq!(reply.header("x-ferro-target"), "b", "{fault}");
        assert!(reply.body.contains("second"), "{fault}: {}", reply.body);
        let asked = usize::from(fault.starts_with("cut"));
        assert_eq!((first.seen().len(), second.seen().len()), (asked, 1), "{fault}");
    }
}

#[tokio::test]
async fn a_stream_that_fails_before_its_first_content_moves_on() {
    for fault in ["status: 500", "malformed: true", "refuse: true", "cut_after: 0", "cut_after: 1"] {
        let first = Upstream::says([Say::words(&["first"])]).await;
        let second = Upstream::says([Say::words(&["second"])]).await;
        let gateway = rehearsal([&first, &second], &format!("{{ rate: 100, {fault} }}")).await;
        let reply = gateway.stream().await;
        assert_eq!((reply.status, reply.header("x-ferro-target")), (200, "b"), "{fault}: {}", reply.body);
        assert!(reply.is_done() && reply.body.contains("second"), "{fault}: {}", reply.body);
    }
}

#[tokio::test]
async fn a_stream_is_cut_after_so_many_events() {
    let (first, second) = (Upstream::says([Say::words(&["one", "two", "three"])]).await, Upstream::down().await);
    let gateway = rehearsal([&first, &second], "{ every: 1, cut_after: 3 }").await;
    let reply = gateway.stream().await;
    assert_eq!(reply.status, 200);
    assert!(reply.body.contains("two") && !reply.body.contains("three"), "{}", reply.body);
    let last = *events(&reply.body).last().unwrap();
    assert!(last.contains("upstream_stream_truncated"), "{last}");
    assert!(last.contains("the answer of openai broke off: injected fault: cut"), "{last}");
    assert!(!reply.is_done());
}

#[tokio::test]
async fn each_fault_counts_its_own_requests_and_says_that_it_is_one() {
    let (first, second) = (Upstream::says([Say::text("first")]).await, Upstream::down().await);
    let gateway =
        rehearsal([&first, &second], "{ every: 2, status: 422 }, { every: 3, status: 404, operations: [embeddings] }")
            .await;
    let mut statuses = Vec::new();
    for _ in 0..4 {
        let reply = gateway.chat().await;
        if reply.status != 200 {
            assert!(reply.json()["error"]["message"].as_str().unwrap().contains("injected fault"), "{}", reply.body);
        }
        statuses.push(reply.status);
    }
    assert_eq!(statuses, [200, 422, 200, 422]);
    let metrics = gateway.get("/metrics").await.body;
    let counted = r#"gateway_injected_faults_total{kind="status",target="a"} 2"#;
    assert!(metrics.contains(counted), "{metrics}");
    assert_eq!(first.seen().len(), 2, "nobody pays for what fails on purpose");
}

#[tokio::test]
async fn a_retry_meets_the_provider_again() {
    let up = Upstream::says([Say::text("hello")]).await;
    let gateway = TestGateway::with(
        &[&up],
        "    retry: { attempts: 2, initial_backoff_ms: 0 }\n    faults: [{ every: 2, status: 500 }]\n",
        "",
    )
    .await;
    for retries in ["1", "2", "2"] {
        let reply = gateway.chat().await;
        assert_eq!((reply.status, reply.header("x-ferro-attempts")), (200, retries), "{}", reply.body);
    }
}

#[tokio::test]
async fn a_delay_is_waited_and_then_the_provider_is_asked() {
    let (first, second) = two().await;
    let gateway = rehearsal([&first, &second], "{ rate: 100, delay: 50ms }").await;
    let since = Instant::now();
    let reply = gateway.chat().await;
    assert!(since.elapsed() >= Duration::from_millis(50));
    assert_eq!((reply.status, reply.header("x-ferro-target")), (200, "a"), "{}", reply.body);
}

#[tokio::test]
async fn the_demo_fails_on_purpose_too() {
    let yaml = "targets:\n  - { virtual_key: demo, faults: [{ every: 2, status: 503 }] }\n";
    let gateway = TestGateway::configured(yaml, &[]).await;
    let ask = r#"{"model":"demo","messages":[{"role":"user","content":"hi"}]}"#;
    let mut statuses = Vec::new();
    for _ in 0..2 {
        statuses.push(gateway.post("/v1/chat/completions", ask).await.status);
    }
    assert_eq!(statuses, [200, 503]);
}

#[test]
fn a_fault_must_be_one_and_is_told() {
    let problems = |fault: &str| {
        let yaml = format!("targets:\n  - virtual_key: openai\n    faults:\n      - {fault}\n");
        let invalid = config::parse(&yaml, Format::Yaml, "c.yaml").unwrap_err();
        invalid.problems.iter().map(|problem| format!("{}: {}", problem.path, problem.message)).collect::<Vec<_>>()
    };
    let check = |fault: &str, expected: &str| assert_eq!(problems(fault), [expected], "{fault}");
    check("{ status: 503 }", "targets[0].faults[0]: must say how often it hits: `rate`, in percent, or `every`");
    check("{ rate: 120, status: 503 }", "targets[0].faults[0].rate: must be from 0 to 100");
    check(
        "{ rate: 1 }",
        "targets[0].faults[0]: must say what happens: `status`, `cut_after`, `malformed`, `refuse` or `delay`",
    );
    check(
        "{ rate: 1, status: 503, refuse: true }",
        "targets[0].faults[0].refuse: cannot stand beside `status`: a request fails in one way",
    );
    check(
        "{ rate: 1, every: 2, refuse: true }",
        "targets[0].faults[0].every: cannot stand beside `rate`: one of them says how often it hits",
    );
    check("{ rate: 1, status: 200 }", "targets[0].faults[0].status: must be from 400 to 599");
    check(
        "{ rate: 1, refuse: true, retry_after: 1s }",
        "targets[0].faults[0].retry_after: needs a `status`: only an answer can say it",
    );
    check(
        "{ rate: 1, refuse: true, operations: [chats] }",
        "targets[0].faults[0].operations[0]: there is no operation `chats`",
    );
    check(
        "{ rate: 1, refuse: true, models: [\"*x\"] }",
        "targets[0].faults[0].models[0]: must be the id of a model, or its beginning with a `*` behind it",
    );

    let yaml = "targets:\n  - { virtual_key: openai, faults: [{ rate: 1, refuse: true }] }\n";
    let loaded = config::parse(yaml, Format::Yaml, "c.yaml").unwrap();
    let told: Vec<_> = loaded.warnings.iter().map(|warning| (warning.path.as_str(), warning.code)).collect();
    assert_eq!(told, [("targets[0].faults", "faults_on_purpose")]);
    assert!(loaded.warnings[0].message.contains("on purpose"), "{}", loaded.warnings[0].message);
}
