//! Probes: what they say of the gateway, and to whom they say more.

use serde_json::{Value, json};

use crate::support::{Say, TestGateway, Upstream, target};

const MASTER: &str = "fgw_0123456789abcdef0123456789abcdef";

/// Two targets, of which the first has a breaker that opens at once and the second two keys.
async fn gateway(first: &Upstream, second: &Upstream, env: &[(&str, &str)]) -> TestGateway {
    let breaker = "    circuit_breaker: { failure_threshold: 1, timeout: 1h }\n";
    let (a, b) = (target("inner-a", "openai", first, "m", breaker), target("inner-b", "openai", second, "m", ""));
    let b = b.replace("sk-test-inner-b-0123456789", "[sk-test-b0-0123456789, sk-test-b1-0123456789]");
    TestGateway::configured(&format!("strategy: {{ mode: fallback }}\ntargets:\n{a}{b}"), env).await
}

fn counts(available: u8, resting: u8, unavailable: u8) -> Value {
    json!({ "total": 2, "available": available, "resting": resting, "unavailable": unavailable })
}

#[tokio::test]
async fn names_and_reasons_are_for_callers_with_the_key_and_counts_for_everybody() {
    let (down, limited) = (Upstream::says([Say::json(500, "{}")]).await, Upstream::says([Say::text("hi")]).await);
    let gateway = gateway(&down, &limited, &[("MASTER_KEY", MASTER)]).await;
    let ask = async |method: http::Method, path: &str, key: &str| {
        let request = gateway.http.request(method, format!("{}{path}", gateway.url));
        let request = if key.is_empty() { request } else { request.bearer_auth(key) };
        gateway.send(request.header("content-type", "application/json").body(crate::support::ASK)).await
    };
    assert_eq!(ask(http::Method::POST, "/v1/chat/completions", MASTER).await.status, 200);
    for key in ["", "fgw_wrong"] {
        let health = ask(http::Method::GET, "/health", key).await;
        assert_eq!(health.status, 200);
        let expected =
            json!({ "status": "degraded", "version": env!("CARGO_PKG_VERSION"), "targets": counts(1, 0, 1) });
        assert_eq!(health.json(), expected);
        let ready = ask(http::Method::GET, "/readyz", key).await;
        assert_eq!((ready.status, ready.json()), (200, json!({ "status": "ready", "config": { "status": "ok" } })));
        assert_eq!(ask(http::Method::GET, "/livez", key).await.json(), json!({ "status": "ok" }));
    }
    let health = ask(http::Method::GET, "/health", MASTER).await.json();
    assert_eq!(health["targets"], counts(1, 0, 1));
    let first = &health["providers"][0];
    assert_eq!((&first["name"], &first["status"]), (&json!("inner-a"), &json!("unavailable")));
    let ready = ask(http::Method::GET, "/readyz", MASTER).await.json();
    assert_eq!(ready["targets"][0], json!({ "name": "inner-a", "routable": false }));
}

#[tokio::test]
async fn without_a_master_key_names_are_for_programs_of_this_machine() {
    let upstream = Upstream::says([Say::text("hi")]).await;
    let gateway = gateway(&upstream, &upstream, &[]).await;
    assert_eq!(gateway.get("/health").await.json()["providers"][1]["name"], "inner-b");
    for path in ["/health", "/readyz"] {
        for (name, value) in [("host", "pages.example"), ("x-forwarded-for", "192.0.2.7")] {
            let foreign = gateway.send(gateway.http.get(format!("{}{path}", gateway.url)).header(name, value)).await;
            assert_eq!(foreign.status, 200, "{path} {name}");
            assert!(!foreign.body.contains("inner-"), "{path} {name}: {}", foreign.body);
        }
    }
}

#[tokio::test]
async fn health_says_how_many_targets_can_serve_and_readiness_goes_by_circuits_alone() {
    let down = Upstream::says([Say::json(500, "{}")]).await;
    let limited = Say::json(429, r#"{"error":{"message":"slow down"}}"#).header("retry-after", "3600");
    let limited = Upstream::says([limited]).await;
    let gateway = gateway(&down, &limited, &[]).await;
    let health = async || {
        let reply = gateway.get("/health").await;
        assert_eq!(reply.status, 200, "who restarts it by this mends nothing");
        reply.json()
    };
    let before = health().await;
    assert_eq!((&before["status"], &before["targets"]), (&json!("ok"), &counts(2, 0, 0)));
    assert_eq!(gateway.chat().await.status, 429);
    let after = health().await;
    assert_eq!((&after["status"], &after["targets"]), (&json!("unavailable"), &counts(0, 0, 2)));
    let states = [0, 1].map(|at| after["providers"][at]["status"].as_str().unwrap());
    assert_eq!(states, ["unavailable", "unavailable"]);
    assert_eq!(after["providers"][1]["circuit"], "closed", "it is its keys that cool down");
    assert_eq!(gateway.get("/readyz").await.status, 200);
}

#[tokio::test]
async fn a_target_that_asked_for_a_pause_is_no_outage() {
    let limited = Say::json(429, r#"{"error":{"message":"slow down"}}"#).header("retry-after", "3600");
    let limited = Upstream::says([limited]).await;
    let gateway = TestGateway::with(&[&limited], "", "").await;
    assert_eq!(gateway.chat().await.status, 429);
    let health = gateway.get("/health").await.json();
    assert_eq!((&health["status"], &health["providers"][0]["status"]), (&json!("degraded"), &json!("resting")));
}
