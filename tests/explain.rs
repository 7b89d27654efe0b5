//! What the gateway says of a request without asking anybody, and of calls that are over.

use serde_json::{Value, json};

use crate::support::{ASK, Reply, Say, TestGateway, Upstream, target};

const PATH: &str = "/v1/route/explain";

/// An upstream that would break every test that asks it something.
async fn mute() -> Upstream {
    Upstream::says([]).await
}

async fn explained(gateway: &TestGateway, question: &Value) -> Value {
    let reply = gateway.post(PATH, question.to_string()).await;
    assert_eq!((reply.status, reply.header("content-type")), (200, "application/json"), "{}", reply.body);
    reply.json()
}

fn chat(model: &str) -> Value {
    json!({"model": model, "messages": [{"role": "user", "content": "tell me about rust"}], "max_tokens": 100})
}

/// The targets in the order in which they would be asked.
fn order(said: &Value) -> Vec<&str> {
    said["order"]["steps"].as_array().unwrap().iter().map(|step| step["target"].as_str().unwrap()).collect()
}

/// Of the first model, each target with whether it is in and the codes of its reasons.
fn candidates(said: &Value) -> Vec<(&str, bool, Vec<&str>)> {
    let all = said["models"][0]["candidates"].as_array().unwrap().iter();
    let codes = |one: &Value| -> Vec<String> {
        one["reasons"].as_array().unwrap().iter().map(|reason| reason["code"].as_str().unwrap().to_owned()).collect()
    };
    all.map(|one| {
        let codes = codes(one).into_iter().map(|code| &*code.leak()).collect();
        (one["target"].as_str().unwrap(), one["in"].as_bool().unwrap(), codes)
    })
    .collect()
}

fn reason<'s>(said: &'s Value, target: &str, code: &str) -> &'s Value {
    let all = said["models"][0]["candidates"].as_array().unwrap();
    let candidate = all.iter().find(|one| one["target"] == target).unwrap();
    candidate["reasons"].as_array().unwrap().iter().find(|reason| reason["code"] == code).unwrap()
}

#[tokio::test]
async fn a_whole_explanation_has_every_part_and_no_secret() {
    let (one, two) = (mute().await, mute().await);
    let yaml = format!(
        "strategy: {{ mode: fallback }}\ntargets:\n{}{}{}  - {{ virtual_key: off, provider: groq, api_key: sk-off-0123456789, \
         weight: 0 }}\naliases: {{ fast: gpt-4o-mini }}\nroutes:\n  - name: night\n    match: {{ time: {{ from: '22:00', to: \
         '06:00' }} }}\n    targets: [t2]\n  - name: research\n    match: {{ model: 'gpt-*', header: {{ x-team: search }} }}\n    \
         strategy: {{ mode: loadbalance }}\n    targets: [t0, t1, off]\n    request_timeout: 30s\n    failover_on: [429, 5xx]\n",
        target("t0", "openai", &one, "gpt-4o-mini", "    headers: { x-tenant: sk-tenant-0123456789 }\n    weight: 3\n"),
        target("t1", "anthropic", &two, "gpt-4o-mini", "    retry: { attempts: 3 }\n"),
        target("t2", "openai", &two, "gpt-4o-mini", ""),
    );
    let gateway = TestGateway::configured(&yaml, &[]).await;
    let mut request = chat("fast");
    request["logit_bias"] = json!({"50256": -100});
    let said = explained(
        &gateway,
        &json!({"surface": "chat", "request": request, "headers": {"X-Team": "search"}, "at": "2026-11-20T12:00:00Z"}),
    )
    .await;
    let shown = serde_json::to_string_pretty(&said).unwrap();
    assert!(!shown.contains("0123456789"), "{shown}");
    let shown = shown.replace(&one.url, "http://one").replace(&two.url, "http://two");
    let id = said["sent"]["headers"]["x-client-request-id"].as_str().unwrap();
    let host = said["sent"]["headers"]["host"].as_str().unwrap();
    insta::assert_snapshot!(shown.replace(id, "ID").replace(host, "HOST"));
    assert!(one.seen().is_empty() && two.seen().is_empty());
}

#[tokio::test]
async fn the_first_route_that_takes_a_request_is_told_from_those_that_do_not() {
    let (one, two) = (mute().await, mute().await);
    let yaml = format!(
        "targets:\n{}{}routes:\n  - name: batch\n    match: {{ user: nightly }}\n    targets: [t1]\n  - name: search\n    match: \
         {{ header: {{ x-team: search }} }}\n    targets: [t1]\n  - name: rest\n    match: {{ surface: embeddings }}\n    targets: \
         [t0]\n",
        target("t0", "openai", &one, "m", ""),
        target("t1", "openai", &two, "m", "")
    );
    let gateway = TestGateway::configured(&yaml, &[]).await;
    // the headers of the question are those of the request, unless it brings its own
    let reply = gateway.send(gateway.request(PATH, ASK).header("x-team", "search")).await.json();
    let routes = json!([
        {"name": "batch", "matched": false, "objection": "the user is missing or another"},
        {"name": "search", "matched": true},
    ]);
    assert_eq!((&reply["models"][0]["routes"], &reply["models"][0]["route"]), (&routes, &json!("search")));
    assert_eq!(order(&reply), ["t1"]);
    let bare = json!({"request": chat("m"), "headers": {}});
    let said = gateway.send(gateway.request(PATH, bare.to_string()).header("x-team", "search")).await.json();
    assert_eq!(said["models"][0]["route"], Value::Null);
    assert_eq!(said["models"][0]["routes"][1]["objection"], "the header `x-team` is missing or another");
    assert_eq!(said["models"][0]["routes"][2]["objection"], "the surface is another");
    assert_eq!((order(&said), said["models"][0]["strategy"]["mode"].as_str()), (vec!["t0"], Some("single")));
}

#[tokio::test]
async fn every_target_is_in_or_out_for_a_reason() {
    let upstream = mute().await;
    let yaml = format!(
        "strategy: {{ mode: loadbalance, weights: {{ zero: 0 }} }}\ntargets:\n{}{}{}{}{}  - {{ virtual_key: any, provider: \
         openrouter, api_key: k, base_url: '{}/v1' }}\n",
        target("heavy", "openai", &upstream, "m", "    weight: 3\n"),
        target("light", "openai", &upstream, "m", ""),
        target("zero", "openai", &upstream, "m", ""),
        target("drained", "openai", &upstream, "m", "    weight: 0\n"),
        target("other", "openai", &upstream, "other", ""),
        upstream.url
    );
    let gateway = TestGateway::configured(&yaml, &[]).await;
    let said = explained(&gateway, &chat("m")).await;
    assert_eq!(
        candidates(&said),
        [
            ("heavy", true, vec![]),
            ("light", true, vec![]),
            ("zero", false, vec!["weight_zero"]),
            ("other", false, vec!["not_serving"]),
            ("any", false, vec!["not_serving"]),
            ("drained", false, vec!["drained"]),
        ]
    );
    let words = |target: &str| reason(&said, target, "not_serving")["words"].as_str().unwrap();
    assert_eq!(words("other"), "it is not known to serve `m`: it is not among its `models`");
    assert_eq!(words("any"), "it takes any name, but it is surer of `heavy`, `light`, `zero`");
    assert_eq!((order(&said), &said["order"]["drawn"]), (vec!["heavy", "light"], &json!(true)));
    let shares: Vec<_> =
        said["order"]["steps"].as_array().unwrap().iter().map(|step| step["share_percent"].clone()).collect();
    assert_eq!(shares, [json!(75.0), json!(25.0)]);
    let said =
        explained(&gateway, &json!({"surface": "rerank", "request": {"model": "m", "query": "q", "documents": ["d"]}}))
            .await;
    assert_eq!(candidates(&said)[0], ("heavy", false, vec!["surface_not_supported"]));
    let none = explained(&gateway, &json!({"surface": "embeddings", "request": {"model": "x", "input": "i"}})).await;
    assert_eq!(
        (order(&none), none.get("sent")),
        (vec!["any"].into_iter().filter(|_| !order(&none).is_empty()).collect(), none.get("sent"))
    );
    assert!(upstream.seen().is_empty());
}
