//! Which models providers list: every page of every list, and nothing that cannot be asked for.

use std::collections::{BTreeMap, BTreeSet};

use ferrogw::config::{Env, Text};
use ferrogw::providers::settings::Settings;
use ferrogw::providers::spec::{Discover, Place};
use ferrogw::providers::table;
use serde_json::{Value, json};

use crate::support::{Say, Seen, TestGateway, Upstream};

fn page(body: Value) -> Say {
    Say::json(200, &body.to_string())
}

/// A gateway that asks this upstream once what it lists, of one target with these lines.
async fn gateway(provider: &str, upstream: &Upstream, path: &str, more: &str) -> TestGateway {
    let yaml = format!(
        "targets:\n  - virtual_key: t\n    provider: {provider}\n    base_url: {}{path}\n    {more}\n",
        upstream.url
    );
    TestGateway::configured(&yaml, &[("FERRO_MODEL_DISCOVERY_INTERVAL", "1h")]).await
}

/// What it lists once it knows this name.
async fn listed(gateway: &TestGateway, known: &str) -> BTreeSet<String> {
    loop {
        let models = gateway.get("/v1/models").await.json();
        let ids = models["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap().to_owned());
        let ids: BTreeSet<String> = ids.collect();
        if ids.contains(known) {
            return ids;
        }
    }
}

fn paths(seen: &[Seen]) -> Vec<&str> {
    seen.iter().map(|seen| seen.path.as_str()).collect()
}

const KEYS: &str = "options: { region: eu-west-1, access_key_id: AKIDEXAMPLE, secret_access_key: wJalrXUtnFEMI }";

/// The four lists of Bedrock, the second of them on two pages.
fn of_bedrock() -> [Say; 5] {
    let profile = |id: &str, kind: &str| {
        json!({"inferenceProfileId": id, "inferenceProfileArn": format!("arn:aws:bedrock:eu-west-1:1:application-inference-profile/{id}"),
            "status": "ACTIVE", "type": kind})
    };
    [
        page(json!({"modelSummaries": [
            {"modelId": "amazon.titan-embed-text-v2:0", "inferenceTypesSupported": ["ON_DEMAND"], "modelLifecycle": {"status": "ACTIVE"}},
            {"modelId": "anthropic.claude-sonnet-4-5-20250929-v1:0", "inferenceTypesSupported": ["INFERENCE_PROFILE"]},
            {"modelId": "amazon.titan-text-lite-v1:0:4k", "inferenceTypesSupported": ["PROVISIONED"]},
        ]})),
        page(
            json!({"inferenceProfileSummaries": [profile("eu.anthropic.claude-sonnet-4-5-20250929-v1:0", "SYSTEM_DEFINED")],
            "nextToken": "a+b/c="}),
        ),
        page(json!({"inferenceProfileSummaries": [profile("ab12", "APPLICATION")]})),
        page(
            json!({"modelSummaries": [{"modelArn": "arn:aws:bedrock:eu-west-1:1:imported-model/x", "modelName": "x"}]}),
        ),
        page(json!({"provisionedModelSummaries": [
            {"provisionedModelArn": "arn:aws:bedrock:eu-west-1:1:provisioned-model/p", "status": "InService"},
            {"provisionedModelArn": "arn:aws:bedrock:eu-west-1:1:provisioned-model/q", "status": "Creating"},
        ]})),
    ]
}

#[tokio::test]
async fn bedrock_lists_models_profiles_imports_and_provisioned_ones_each_by_what_it_is_asked_for() {
    let upstream = Upstream::says(of_bedrock()).await;
    let gateway = gateway("bedrock", &upstream, "", KEYS).await;
    let names = listed(&gateway, "amazon.titan-embed-text-v2:0").await;
    let expected = [
        "amazon.titan-embed-text-v2:0",
        "arn:aws:bedrock:eu-west-1:1:application-inference-profile/ab12",
        "arn:aws:bedrock:eu-west-1:1:imported-model/x",
        "arn:aws:bedrock:eu-west-1:1:provisioned-model/p",
        "eu.anthropic.claude-sonnet-4-5-20250929-v1:0",
    ];
    assert_eq!(names, expected.map(str::to_owned).into());
    let seen = upstream.seen();
    assert_eq!(
        paths(&seen),
        [
            "/foundation-models",
            "/inference-profiles?maxResults=1000",
            "/inference-profiles?maxResults=1000&nextToken=a%2Bb%2Fc%3D",
            "/imported-models?maxResults=1000",
            "/provisioned-model-throughputs?maxResults=1000",
        ]
    );
    for seen in &seen {
        let signature = seen.header("authorization");
        assert!(signature.contains("/eu-west-1/bedrock/aws4_request, SignedHeaders=host;x-amz-date, "), "{signature}");
        assert_eq!(seen.header("host"), upstream.url.strip_prefix("http://").unwrap());
    }
}

#[tokio::test]
async fn a_list_that_may_not_be_read_takes_nothing_from_the_others() {
    let denied = || Say::json(403, r#"{"message":"User is not authorized to perform: bedrock:ListFoundationModels"}"#);
    let [_, profiles, more, imported, _] = of_bedrock();
    let upstream = Upstream::says([denied(), profiles, more, imported, denied()]).await;
    let gateway = gateway("bedrock", &upstream, "", "api_key: bedrock-api-key-0123456789").await;
    let names = listed(&gateway, "eu.anthropic.claude-sonnet-4-5-20250929-v1:0").await;
    assert_eq!(names.len(), 3, "{names:?}");
    assert!(upstream.seen().iter().all(|seen| seen.header("authorization") == "Bearer bedrock-api-key-0123456789"));
}

#[tokio::test]
async fn who_may_list_nothing_is_still_asked_for_what_is_his() {
    let whole = r#"{"output":{"message":{"role":"assistant","content":[{"text":"06:12"}]}},"stopReason":"end_turn"}"#;
    let denied = Say::json(403, r#"{"message":"no"}"#);
    let upstream =
        Upstream::says([denied.clone(), denied.clone(), denied.clone(), denied, Say::json(200, whole)]).await;
    let gateway = gateway("bedrock", &upstream, "", KEYS).await;
    upstream.until("/provisioned-model-throughputs?maxResults=1000").await;
    let ask = r#"{"model":"amazon.nova-lite-v1:0","messages":[{"role":"user","content":"Tide?"}]}"#;
    assert_eq!(gateway.post("/v1/chat/completions", ask).await.status, 200);
}

#[tokio::test]
async fn with_profiles_by_themselves_their_models_are_listed_too() {
    let upstream = Upstream::says(of_bedrock()).await;
    let keys = KEYS.replace(" }", ", auto_profile: eu }");
    let gateway = gateway("bedrock", &upstream, "", &keys).await;
    let names = listed(&gateway, "amazon.titan-embed-text-v2:0").await;
    assert!(names.contains("anthropic.claude-sonnet-4-5-20250929-v1:0"), "{names:?}");
}

#[test]
fn bedrocks_lists_are_asked_for_where_they_are_for_each_address() {
    let spec = table::find("bedrock").unwrap();
    let Discover::By(at, _) = spec.discover else { panic!("its lists are elsewhere") };
    let check = |given: &[(&str, &str)], env: &[(&str, &str)], expected: &str| {
        let given: BTreeMap<_, _> =
            given.iter().map(|(name, value)| ((*name).to_owned(), Text::from(*value))).collect();
        let env: Env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let settings = Settings::resolve(spec, &given, &env).unwrap();
        let ferrogw::providers::spec::Root::By(place) = spec.root else { panic!("it has no fixed address") };
        let place: Place = place(&settings).unwrap();
        assert_eq!(at(&place, &settings).unwrap().base, expected, "{given:?}");
    };
    let region = ("region", "eu-west-1");
    check(&[region], &[], "https://bedrock.eu-west-1.amazonaws.com");
    check(&[region, ("fips", "true")], &[], "https://bedrock-fips.eu-west-1.amazonaws.com");
    check(&[("region", "cn-north-1")], &[], "https://bedrock.cn-north-1.amazonaws.com.cn");
    check(
        &[("api_key", "k"), ("base_url", "https://bedrock-runtime.us-west-2.amazonaws.com")],
        &[],
        "https://bedrock.us-west-2.amazonaws.com",
    );
    // an endpoint inside a VPC: its neighbour's id is its own affair
    let inside = ("base_url", "https://vpce-1-a.bedrock-runtime.eu-west-1.vpce.amazonaws.com");
    check(&[region, inside], &[], "https://bedrock.eu-west-1.amazonaws.com");
    let neighbour = ("control_url", "https://vpce-2-b.bedrock.eu-west-1.vpce.amazonaws.com/");
    check(&[region, inside, neighbour], &[], "https://vpce-2-b.bedrock.eu-west-1.vpce.amazonaws.com");
    // anything else serves both, and an address of the environment is not asked with the key of a target's own
    let emulator = ("base_url", "http://localhost:4566");
    let elsewhere = [("AWS_ENDPOINT_URL_BEDROCK", "https://lists.example")];
    check(&[region, emulator], &elsewhere, "http://localhost:4566");
    check(&[region], &elsewhere, "https://lists.example");
}

#[tokio::test]
async fn lists_are_read_to_their_last_page() {
    let hundred: Vec<Value> = (0..100).map(|at| json!({"name": format!("@cf/meta/llama-{at}")})).collect();
    let cloudflare =
        Upstream::says([page(json!({"result": hundred})), page(json!({"result": [{"name": "@cf/last"}]}))]).await;
    let gateway = gateway("cloudflare", &cloudflare, "", "api_key: k\n    options: { account_id: acc }").await;
    assert_eq!(listed(&gateway, "@cf/last").await.len(), 101);
    let search = "/client/v4/accounts/acc/ai/models/search?per_page=100&page=";
    assert_eq!(paths(&cloudflare.seen()), [format!("{search}1"), format!("{search}2")]);

    let cohere = Upstream::says([
        page(json!({"models": [{"name": "command-a-03-2025"}], "next_page_token": "n2"})),
        page(json!({"models": [{"name": "embed-v4.0"}], "next_page_token": ""})),
    ])
    .await;
    let gateway = self::gateway("cohere", &cohere, "", "api_key: k").await;
    assert_eq!(listed(&gateway, "embed-v4.0").await.len(), 2);
    assert_eq!(paths(&cohere.seen()), ["/v1/models?page_size=1000", "/v1/models?page_size=1000&page_token=n2"]);

    let anthropic = Upstream::says([
        page(json!({"data": [{"id": "claude-opus-4-5"}], "has_more": true, "last_id": "claude-opus-4-5"})),
        page(json!({"data": [{"id": "claude-haiku-4-5"}], "has_more": false, "last_id": "claude-haiku-4-5"})),
    ])
    .await;
    let gateway = self::gateway("anthropic", &anthropic, "/v1", "api_key: k").await;
    assert_eq!(listed(&gateway, "claude-haiku-4-5").await.len(), 2);
    let more = "/v1/models?limit=1000&after_id=claude-opus-4-5";
    assert_eq!(paths(&anthropic.seen()), ["/v1/models?limit=1000", more]);
}

#[tokio::test]
async fn a_page_that_fails_takes_nothing_from_those_before_it() {
    let first = page(json!({"models": [{"name": "command-a-03-2025"}], "next_page_token": "n2"}));
    let upstream = Upstream::says([first, Say::json(500, "")]).await;
    let gateway = gateway("cohere", &upstream, "", "api_key: k").await;
    assert_eq!(listed(&gateway, "command-a-03-2025").await.len(), 1);
}

#[tokio::test]
async fn a_list_that_never_ends_is_left() {
    let same = page(json!({"models": [{"name": "command-a-03-2025"}], "next_page_token": "again"}));
    let upstream = Upstream::says([same]).await;
    let gateway = gateway("cohere", &upstream, "", "api_key: k").await;
    listed(&gateway, "command-a-03-2025").await;
    assert_eq!(upstream.seen().len(), 2);
}

#[tokio::test]
async fn vertex_lists_what_each_publisher_serves_without_being_deployed() {
    let names = |names: &[&str]| {
        page(
            json!({"publisherModels": names.iter().map(|name| json!({"name": format!("publishers/{name}")})).collect::<Vec<_>>()}),
        )
    };
    let upstream = Upstream::says([
        names(&["google/models/gemini-3-pro"]),
        names(&["anthropic/models/claude-opus-4-5"]),
        names(&["mistralai/models/mistral-medium-3"]),
        names(&["meta/models/llama-3.3-70b-instruct-maas", "meta/models/llama2"]),
    ])
    .await;
    let gateway = gateway("vertex-ai", &upstream, "", "api_key: k\n    options: { project_id: p }").await;
    let names = listed(&gateway, "gemini-3-pro").await;
    let expected = ["claude-opus-4-5", "gemini-3-pro", "meta/llama-3.3-70b-instruct-maas", "mistral-medium-3"];
    assert_eq!(names, expected.map(str::to_owned).into());
    let seen = upstream.seen();
    assert_eq!(seen[3].path, "/v1beta1/publishers/meta/models?pageSize=300");
    assert_eq!((seen[3].header("x-goog-api-key"), seen[3].header("x-goog-user-project")), ("k", ""));
}

#[tokio::test]
async fn google_is_told_whose_quota_it_is_where_it_refuses_to_list_without() {
    let listed_once = page(json!({"publisherModels": [{"name": "publishers/google/models/gemini-3-pro"}]}));
    let denied = Say::json(403, r#"{"error":{"status":"PERMISSION_DENIED","message":"requires a quota project"}}"#);
    let upstream = Upstream::says([denied, listed_once]).await;
    let gateway = gateway("vertex-ai", &upstream, "", "api_key: k\n    options: { project_id: p }").await;
    listed(&gateway, "gemini-3-pro").await;
    let told: Vec<_> =
        upstream.seen().iter().take(3).map(|seen| seen.header("x-goog-user-project").to_owned()).collect();
    assert_eq!(told, ["", "p", ""]);
}

#[tokio::test]
async fn databricks_lists_the_endpoints_that_answer_in_words_or_vectors() {
    let upstream = Upstream::says([page(json!({"endpoints": [
        {"name": "databricks-claude-sonnet-4", "task": "llm/v1/chat", "state": {"ready": "READY"}},
        {"name": "our-agent", "task": "agent/v1/responses"},
        {"name": "our-own"},
        {"name": "churn", "task": "classification"},
    ]}))])
    .await;
    let gateway = gateway("databricks", &upstream, "", "api_key: k").await;
    let names = listed(&gateway, "our-own").await;
    assert_eq!(names, ["databricks-claude-sonnet-4", "our-agent", "our-own"].map(str::to_owned).into());
    assert_eq!(paths(&upstream.seen()), ["/api/2.0/serving-endpoints"]);
}

#[tokio::test]
async fn replicate_lists_what_writes_and_what_draws_beside_what_is_configured() {
    let upstream = Upstream::says([
        page(json!({"models": [{"owner": "meta", "name": "llama"}]})),
        page(json!({"models": [{"owner": "black-forest-labs", "name": "flux-schnell"}]})),
    ])
    .await;
    let more = "api_key: k\n    options: { text_models: 'me/words, me/letters', image_models: me/pictures }";
    let gateway = gateway("replicate", &upstream, "/v1", more).await;
    let names = listed(&gateway, "black-forest-labs/flux-schnell").await;
    let expected = ["black-forest-labs/flux-schnell", "me/letters", "me/pictures", "me/words", "meta/llama"];
    assert_eq!(names, expected.map(str::to_owned).into());
    assert_eq!(paths(&upstream.seen()), ["/v1/collections/language-models", "/v1/collections/text-to-image"]);
}
