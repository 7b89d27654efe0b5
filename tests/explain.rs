//! What the gateway says of a request without asking anybody, and of calls that are over.

use serde_json::{Value, json};

use crate::support::{ASK, Say, TestGateway, Upstream, target};

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
    all.map(|one| {
        let codes = one["reasons"].as_array().unwrap().iter().map(|reason| reason["code"].as_str().unwrap());
        (one["target"].as_str().unwrap(), one["in"].as_bool().unwrap(), codes.collect())
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
    assert_eq!((order(&said), said["models"][0]["strategy"]["mode"].as_str()), (vec!["t0", "t1"], Some("single")));
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
    assert!(upstream.seen().is_empty());
}

#[tokio::test]
async fn an_alias_for_several_models_is_explained_model_by_model() {
    let upstream = mute().await;
    let yaml = format!(
        "strategy: {{ mode: fallback }}\ntargets:\n{}{}aliases: {{ smart: [first, second], lost: nobody }}\nroutes:\n  - name: \
         seconds\n    match: {{ model: second }}\n    targets: [t1]\n",
        target("t0", "openai", &upstream, "first", ""),
        target("t1", "openai", &upstream, "second", "")
    );
    let gateway = TestGateway::configured(&yaml, &[]).await;
    let said = explained(&gateway, &chat("smart")).await;
    assert_eq!((&said["model"], &said["alias_of"]), (&json!("smart"), &json!(["first", "second"])));
    let models: Vec<_> = said["models"].as_array().unwrap().iter().map(|one| (&one["model"], &one["route"])).collect();
    assert_eq!(models, [(&json!("first"), &Value::Null), (&json!("second"), &json!("seconds"))]);
    assert_eq!(order(&said), ["t0", "t1"]);
    assert_eq!(said["sent"]["body"]["model"], "first");
    let lost = explained(&gateway, &chat("lost")).await;
    assert_eq!((order(&lost), &lost["error"]["code"]), (vec![], &json!("model_not_found")));
    assert!(lost.get("sent").is_none() && upstream.seen().is_empty());
}

#[tokio::test]
async fn rules_and_variants_are_told_as_they_decide() {
    let upstream = mute().await;
    let rules = "{ mode: conditional, conditions: [{ key: model, value: x, target_key: t0 }, { key: model_prefix, value: m, \
                 target_key: duel }] }";
    let yaml = format!(
        "strategy: {rules}\ntargets:\n{}{}{}groups:\n  - name: duel\n    targets: [t1, t2]\n    strategy: {{ mode: ab-test, \
         ab_variants: [{{ target_key: t1, weight: 1, label: a }}, {{ target_key: t2, weight: 3, label: b }}] }}\nroutes:\n  - \
         name: all\n    match: {{ surface: chat }}\n    targets: [t0, duel]\n    strategy: {rules}\n",
        target("t0", "openai", &upstream, "m", ""),
        target("t1", "openai", &upstream, "m", ""),
        target("t2", "openai", &upstream, "m", "")
    );
    let yaml = yaml.replacen(&format!("strategy: {rules}\n"), "strategy: { mode: fallback }\n", 1);
    let gateway = TestGateway::configured(&yaml, &[]).await;
    let said = explained(&gateway, &chat("m")).await;
    let strategy = &said["models"][0]["strategy"];
    assert_eq!((&strategy["mode"], &strategy["rule"]), (&json!("conditional"), &json!(1)));
    let rules = json!([
        {"index": 0, "target_key": "t0", "matched": false, "objection": "the model is another"},
        {"index": 1, "target_key": "duel", "matched": true},
    ]);
    assert_eq!(strategy["rules"], rules);
    let duel = &strategy["members"][1]["strategy"];
    assert_eq!((&duel["mode"], &duel["members"][1]["variant"]), (&json!("ab-test"), &json!("b")));
    let step = |at: usize| {
        let step = &said["order"]["steps"][at];
        (step["target"].as_str().unwrap(), step["share_percent"].as_f64().unwrap(), step["spare"].as_bool().unwrap())
    };
    assert_eq!([step(0), step(1), step(2)], [("t2", 75.0, false), ("t1", 25.0, false), ("t0", 0.0, true)]);
    assert_eq!(candidates(&said)[0], ("t0", true, vec!["spare"]));
}

#[tokio::test]
async fn open_circuits_and_pauses_are_among_the_reasons() {
    let broken = Upstream::says([Say::json(500, "{}")]).await;
    let busy = Upstream::says([Say::json(429, "{}").header("retry-after", "20")]).await;
    let good = Upstream::says([Say::text("hi")]).await;
    let breaker = "    circuit_breaker: { failure_threshold: 1, timeout: 60s }\n";
    let gateway = TestGateway::with(&[&broken, &busy, &good], breaker, "").await;
    assert_eq!(gateway.chat().await.status, 200);
    for upstream in [&broken, &busy, &good] {
        upstream.seen();
    }
    let said = explained(&gateway, &chat("m")).await;
    let expected = [("t0", false, vec!["circuit_open"]), ("t1", true, vec!["cooling_down"]), ("t2", true, vec![])];
    assert_eq!(candidates(&said), expected);
    let left = |target, code| reason(&said, target, code)["for_ms"].as_u64().unwrap();
    assert!((30_000..=60_000).contains(&left("t0", "circuit_open")), "{said}");
    assert!((10_000..=20_000).contains(&left("t1", "cooling_down")), "{said}");
    assert_eq!(order(&said), ["t0", "t2", "t1"]);
    assert_eq!(said["order"]["steps"][0]["passed_over"], "circuit_open");
    assert_eq!(said["sent"]["target"], "t2");
    assert_eq!([&broken, &busy, &good].map(|upstream| upstream.seen().len()), [0, 0, 0]);
}

#[tokio::test]
async fn a_call_that_is_over_is_found_by_its_id() {
    let broken = Upstream::says([Say::json(503, "{}")]).await;
    let good = Upstream::says([Say::text("hi")]).await;
    let gateway = TestGateway::with(&[&broken, &good], "", "").await;
    let asked = gateway.request("/v1/chat/completions", ASK).header("x-request-id", "call-7");
    assert_eq!(gateway.send(asked).await.status, 200);
    assert_eq!((broken.seen().len(), good.seen().len()), (1, 1));
    let said = explained(&gateway, &json!({"id": "call-7"})).await;
    let past = &said["recorded"];
    let words = ["id", "target", "provider", "model", "attempts", "error"].map(|name| past[name].clone());
    assert_eq!(words, [json!("call-7"), json!("t1"), json!("openai"), json!("m"), json!(2), Value::Null]);
    assert_eq!(past["usage"]["prompt_tokens"], 5);
    let tried = &past["tried"][0];
    assert_eq!(
        (&tried["target"], &tried["code"], &tried["status"]),
        (&json!("t0"), &json!("upstream_overloaded"), &json!(503))
    );
    assert!(tried["took_ms"].as_f64().unwrap() > 0.0 && past["tried"].as_array().unwrap().len() == 1);
    assert_eq!(candidates(&said).iter().map(|one| one.0).collect::<Vec<_>>(), ["t0", "t1"]);
    assert!(said.get("order").is_none() && said.get("sent").is_none());
    assert_eq!(gateway.get("/v1/route/explain?id=call-7").await.json()["recorded"], *past);
    let unknown = gateway.get("/v1/route/explain?id=call-8").await;
    assert_eq!((unknown.status, unknown.code().as_str()), (404, "resource_not_found"));
    assert_eq!((broken.seen().len(), good.seen().len()), (0, 0));
}

#[tokio::test]
async fn what_is_no_question_is_refused_with_its_place() {
    let upstream = mute().await;
    let gateway = TestGateway::fallback(&[&upstream]).await;
    let check = async |body: Value, param: &str| {
        let reply = gateway.post(PATH, body.to_string()).await;
        assert_eq!((reply.status, reply.json()["error"]["param"].as_str()), (400, Some(param)), "{}", reply.body);
    };
    check(json!({}), "request").await;
    check(json!({"surface": "chat"}), "request").await;
    check(json!({"surface": "files", "request": {}}), "surface").await;
    check(json!({"request": chat("m"), "at": "noon"}), "at").await;
    check(json!({"request": chat("m"), "headers": {"x y": "z"}}), "headers.x y").await;
    check(json!({"request": chat("m"), "headers": ["x"]}), "headers").await;
    check(json!({"request": chat("m"), "id": "x"}), "id").await;
    check(json!({"request": chat("m"), "surfaces": "chat"}), "surfaces").await;
    check(json!({"request": {"model": "m"}}), "request.messages").await;
    check(json!({"model": "m"}), "messages").await;
    assert_eq!(gateway.post(PATH, "[]").await.status, 400);
    let reply = gateway.get(PATH).await;
    assert_eq!((reply.status, reply.json()["error"]["param"].as_str()), (400, Some("id")));
    assert_eq!(gateway.send(gateway.http.delete(format!("{}{PATH}", gateway.url))).await.status, 405);
    assert!(upstream.seen().is_empty());
}

#[tokio::test]
async fn only_who_may_call_may_ask() {
    let upstream = mute().await;
    let yaml = format!("targets:\n{}", target("t0", "openai", &upstream, "m", ""));
    let gateway = TestGateway::configured(&yaml, &[("MASTER_KEY", "fgw_0123456789abcdef0123456789abcdef")]).await;
    assert_eq!(gateway.post(PATH, ASK).await.status, 401);
    let asked = gateway.request(PATH, ASK).bearer_auth("fgw_0123456789abcdef0123456789abcdef");
    let reply = gateway.send(asked).await;
    assert_eq!((reply.status, reply.json()["sent"]["headers"]["authorization"].as_str()), (200, Some("***")));
}

#[tokio::test]
async fn a_route_with_nobody_in_service_says_whose_weight_it_is() {
    let upstream = mute().await;
    let [a, b] = ["a", "b"].map(|name| target(name, "openai", &upstream, "m", ""));
    let off = target("off", "openai", &upstream, "m", "    weight: 0\n");
    let gateway = TestGateway::configured(
        &format!(
            "targets:\n{a}{b}{off}groups:\n  - {{ name: inner, targets: [b, off] }}\n  - {{ name: g, targets: [a, inner], weight: 0 }}\n\
             routes:\n  - {{ name: r, match: {{ model: m }}, targets: [g] }}\n"
        ),
        &[],
    )
    .await;
    let said = explained(&gateway, &chat("m")).await;
    let drained = vec!["drained"];
    assert_eq!(
        candidates(&said),
        [("a", false, drained.clone()), ("b", false, drained.clone()), ("off", false, drained)]
    );
    let words = |target| reason(&said, target, "drained")["words"].as_str().unwrap().to_owned();
    assert!(words("b").ends_with("the weight of `g` is 0") && words("off").ends_with("its weight is 0"), "{said}");
    assert_eq!(said["error"]["code"], "model_not_found");
    let reply = gateway.chat().await;
    assert_eq!((reply.status, reply.code().as_str()), (404, "model_not_found"));
    assert!(reply.body.contains("though another does: its route or rule names who is asked"), "{}", reply.body);
    assert!(gateway.post("/v1/chat/completions", ASK.replace("\"m\"", "\"n\"")).await.body.contains("GET /v1/models"));
}
