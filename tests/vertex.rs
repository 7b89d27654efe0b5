//! Vertex AI behind the gateway: where requests go, and whose token they carry.

use std::collections::BTreeMap;

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use ferrogw::config::{Env, Text};
use ferrogw::providers::auth::{Fetcher, credential};
use ferrogw::providers::settings::Settings;
use ferrogw::providers::spec::{Place, Root};
use ferrogw::providers::table;
use serde_json::{Value, json};

use crate::support::{Reply, Say, TestGateway, Upstream};

const CHAT: &str = "/v1/chat/completions";

const ANSWER: &str =
    r#"{"candidates":[{"content":{"parts":[{"text":"hi"}]},"finishReason":"STOP"}],"modelVersion":"g"}"#;

fn token(token: &str) -> Say {
    Say::json(200, &json!({"access_token": token, "expires_in": 3600, "token_type": "Bearer"}).to_string())
}

/// Base64 of PEM and of JSON Web Tokens, read by whoever does not write it.
fn decoded(text: &str) -> Vec<u8> {
    let digit = |c: u8| match c {
        b'A'..=b'Z' => u32::from(c - b'A'),
        b'a'..=b'z' => u32::from(c - b'a') + 26,
        b'0'..=b'9' => u32::from(c - b'0') + 52,
        b'-' | b'+' => 62,
        _ => 63,
    };
    let mut out = Vec::new();
    let (mut word, mut bits) = (0_u32, 0);
    for c in text.bytes() {
        (word, bits) = (word << 6 | digit(c), bits + 6);
        if bits >= 8 {
            bits -= 8;
            out.push((word >> bits & 0xff) as u8);
        }
    }
    out
}

/// A throw-away key, as PEM, and its public half.
fn key() -> (String, Vec<u8>) {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let der = AsDer::<aws_lc_rs::encoding::Pkcs8V1Der<'_>>::as_der(&pair).unwrap();
    let mut text = String::new();
    for group in der.as_ref().chunks(3) {
        let word = group.iter().chain(&[0, 0]).take(3).fold(0_u32, |word, byte| word << 8 | u32::from(*byte));
        for digit in 0..4 {
            let last = digit > group.len();
            text.push(if last { '=' } else { char::from(DIGITS[(word >> (18 - 6 * digit)) as usize & 63]) });
        }
    }
    let lines: Vec<_> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines.join("\n"));
    (pem, pair.public_key().as_ref().to_vec())
}

fn service_account(token_uri: &str, pem: &str) -> String {
    json!({"type": "service_account", "project_id": "p-1", "private_key_id": "kid-1", "private_key": pem,
           "client_email": "gw@p-1.iam.gserviceaccount.com", "token_uri": token_uri})
    .to_string()
}

/// A gateway with one Vertex target at this upstream and with these options.
async fn gateway(upstream: &Upstream, options: Value, env: &[(&str, &str)]) -> TestGateway {
    let models = "[gemini-3-flash, mistral-small-2503, meta/llama-4-maas, claude-sonnet-4@20250514, gemini-embedding-001, '4242']";
    let yaml = format!(
        "targets:\n  - virtual_key: vertex-ai\n    base_url: {}\n    models: {models}\n    retry: {{ attempts: 1 }}\n    options: {options}\n",
        upstream.url
    );
    TestGateway::configured(&yaml, env).await
}

async fn ask(gateway: &TestGateway, model: &str) -> Reply {
    let ask = json!({"model": model, "messages": [{"role": "user", "content": "hi"}]});
    gateway.post(CHAT, ask.to_string()).await
}

#[tokio::test]
async fn a_service_account_signs_for_a_token_that_serves_all_requests() {
    let (pem, public) = key();
    let tokens = Upstream::says([token("ya29.one")]).await;
    let upstream = Upstream::says([Say::json(200, ANSWER)]).await;
    let account = service_account(&format!("{}/token", tokens.url), &pem);
    let options = json!({"service_account_json": account, "region": "europe-west4"});
    let gateway = gateway(&upstream, options, &[]).await;
    for _ in 0..2 {
        let reply = ask(&gateway, "gemini-3-flash").await;
        assert_eq!(
            (reply.status, &reply.json()["choices"][0]["message"]["content"]),
            (200, &json!("hi")),
            "{}",
            reply.body
        );
    }
    let seen = upstream.seen();
    let path = "/v1/projects/p-1/locations/europe-west4/publishers/google/models/gemini-3-flash:generateContent";
    assert_eq!((seen[1].path.as_str(), seen[1].header("authorization")), (path, "Bearer ya29.one"));
    let asked = tokens.seen();
    assert_eq!((asked.len(), asked[0].path.as_str()), (1, "/token"));
    let form = String::from_utf8(asked[0].body.to_vec()).unwrap();
    let assertion =
        form.strip_prefix("grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=").unwrap();
    let (signed, signature) = assertion.rsplit_once('.').unwrap();
    let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public);
    key.verify(signed.as_bytes(), &decoded(signature)).unwrap();
    let (head, claims) = signed.split_once('.').unwrap();
    let head: Value = serde_json::from_slice(&decoded(head)).unwrap();
    assert_eq!(head, json!({"alg": "RS256", "typ": "JWT", "kid": "kid-1"}));
    let claims: Value = serde_json::from_slice(&decoded(claims)).unwrap();
    assert_eq!(
        (&claims["iss"], &claims["aud"]),
        (&json!("gw@p-1.iam.gserviceaccount.com"), &json!(format!("{}/token", tokens.url)))
    );
    assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 3600);
}

#[tokio::test]
async fn the_publisher_follows_from_the_model() {
    let chat = r#"{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}]}"#;
    let check = async |model: &str, answer: &str, path: &str, named: Value| {
        let upstream = Upstream::says([Say::json(200, answer)]).await;
        let gateway = gateway(&upstream, json!({"project_id": "p", "api_key": "k-1"}), &[]).await;
        let reply = ask(&gateway, model).await;
        let seen = upstream.seen().remove(0);
        let keys = (seen.header("x-goog-api-key").to_owned(), seen.header("authorization").to_owned());
        assert_eq!(
            (reply.status, seen.path.clone()),
            (200, format!("/v1/projects/p/locations/global{path}")),
            "{}",
            reply.body
        );
        assert_eq!((keys.0.as_str(), keys.1.as_str(), &seen.json()["model"]), ("k-1", "", &named));
    };
    check("gemini-3-flash", ANSWER, "/publishers/google/models/gemini-3-flash:generateContent", Value::Null).await;
    let raw = "/publishers/mistralai/models/mistral-small-2503:rawPredict";
    check("mistral-small-2503", chat, raw, json!("mistral-small-2503")).await;
    check("meta/llama-4-maas", chat, "/endpoints/openapi/chat/completions", json!("meta/llama-4-maas")).await;
    let claude = r#"{"id":"msg_1","type":"message","role":"assistant","model":"claude","content":[{"type":"text","text":"hi"}],"stop_reason":"end_turn","usage":{"input_tokens":1,"output_tokens":1}}"#;
    let raw = "/publishers/anthropic/models/claude-sonnet-4@20250514:rawPredict";
    check("claude-sonnet-4@20250514", claude, raw, Value::Null).await;
    check("4242", ANSWER, "/endpoints/4242:generateContent", Value::Null).await;
}

#[tokio::test]
async fn embeddings_are_predictions() {
    let predicted = r#"{"predictions":[{"embeddings":{"values":[1.0,0.0],"statistics":{"token_count":3}}}]}"#;
    let upstream = Upstream::says([Say::json(200, predicted)]).await;
    let gateway = gateway(&upstream, json!({"project_id": "p", "api_key": "k-1"}), &[]).await;
    let reply = gateway.post("/v1/embeddings", r#"{"model":"gemini-embedding-001","input":["a","b"]}"#).await;
    assert_eq!((reply.status, &reply.json()["usage"]["total_tokens"]), (200, &json!(6)), "{}", reply.body);
    let seen = upstream.seen();
    let path = "/v1/projects/p/locations/global/publishers/google/models/gemini-embedding-001:predict";
    assert_eq!((seen.len(), seen[0].path.as_str()), (2, path), "this model takes one text at a time");
}

#[tokio::test]
async fn federated_identities_are_exchanged_and_impersonate() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("subject.json"), r#"{"id_token":"subject-1"}"#).unwrap();
    let expires = "2999-01-01T00:00:00Z";
    let impersonated = json!({"accessToken": "ya29.two", "expireTime": expires}).to_string();
    let google = Upstream::says([token("federated-1"), Say::json(200, &impersonated)]).await;
    let file = json!({"type": "external_account", "audience": "//iam/pool", "token_url": format!("{}/v1/token", google.url),
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "credential_source": {"file": path("subject.json"), "format": {"type": "json", "subject_token_field_name": "id_token"}},
        "service_account_impersonation_url": format!("{}/v1/sa:generateAccessToken", google.url)});
    std::fs::write(path("adc.json"), file.to_string()).unwrap();
    let upstream = Upstream::says([Say::json(200, ANSWER)]).await;
    let options = json!({"project_id": "p", "credentials_file": path("adc.json")});
    let reply = ask(&gateway(&upstream, options, &[]).await, "gemini-3-flash").await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert_eq!(upstream.seen().remove(0).header("authorization"), "Bearer ya29.two");
    let asked = google.seen();
    let form = String::from_utf8(asked[0].body.to_vec()).unwrap();
    assert!(form.contains("subject_token=subject-1") && form.contains("audience=%2F%2Fiam%2Fpool"), "{form}");
    assert_eq!(
        (asked[1].path.as_str(), asked[1].header("authorization")),
        ("/v1/sa:generateAccessToken", "Bearer federated-1")
    );
    assert_eq!(asked[1].json()["scope"], json!(["https://www.googleapis.com/auth/cloud-platform"]));
}

#[tokio::test]
async fn a_user_s_login_and_the_metadata_server_give_tokens_too() {
    let folder = tempfile::tempdir().unwrap();
    let google = Upstream::says([token("ya29.user"), token("ya29.machine")]).await;
    let upstream = Upstream::says([Say::json(200, ANSWER)]).await;
    let login = json!({"type": "authorized_user", "client_id": "c", "client_secret": "s-0123456789", "refresh_token": "r",
        "token_uri": google.url});
    let path = folder.path().join("application_default_credentials.json");
    std::fs::write(&path, login.to_string()).unwrap();
    let options = json!({"project_id": "p", "cloudsdk_config": folder.path().to_str()});
    assert_eq!(ask(&gateway(&upstream, options, &[]).await, "gemini-3-flash").await.status, 200);
    let host = google.url.strip_prefix("http://").unwrap();
    let options = json!({"project_id": "p", "metadata_server": "true", "metadata_host": host});
    assert_eq!(ask(&gateway(&upstream, options, &[]).await, "gemini-3-flash").await.status, 200);
    let used: Vec<_> = upstream.seen().iter().map(|seen| seen.header("authorization").to_owned()).collect();
    assert_eq!(used, ["Bearer ya29.user", "Bearer ya29.machine"]);
    let asked = google.seen();
    assert!(asked[0].body.starts_with(b"grant_type=refresh_token&"));
    assert_eq!((asked[1].method.as_str(), asked[1].header("metadata-flavor")), ("GET", "Google"));
}

#[tokio::test]
async fn a_token_endpoint_that_refuses_is_the_operator_s_problem() {
    let (pem, _) = key();
    let refusal = r#"{"error":"invalid_grant","error_description":"Invalid JWT Signature."}"#;
    let tokens = Upstream::says([Say::json(400, refusal)]).await;
    let upstream = Upstream::says([Say::json(200, ANSWER)]).await;
    let options = json!({"service_account_json": service_account(&tokens.url, &pem)});
    let reply = ask(&gateway(&upstream, options, &[]).await, "gemini-3-flash").await;
    assert_eq!((reply.status, reply.code().as_str()), (502, "upstream_auth_error"), "{}", reply.body);
    assert!(upstream.seen().is_empty(), "no request without its credential");
}

fn settings(given: &[(&str, &str)], env: &[(&str, &str)]) -> Result<Settings, String> {
    let given: BTreeMap<_, _> = given.iter().map(|(name, value)| ((*name).to_owned(), Text::from(*value))).collect();
    let env: Env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Settings::resolve(table::find("vertex-ai").unwrap(), &given, &env).map_err(|invalid| invalid.to_string())
}

#[test]
fn a_limit_of_answers_is_a_number() {
    assert_eq!(
        settings(&[("max_tokens", "16000")], &[("VERTEX_AI_PROJECT_ID", "p")]).unwrap().usual_output(),
        Some(16_000)
    );
    for wrong in ["0", "many", "-1", "1.5"] {
        let refused = settings(&[("max_tokens", wrong)], &[("VERTEX_AI_PROJECT_ID", "p")]).map(drop).unwrap_err();
        assert!(refused.contains("at least 1"), "{refused}");
    }
}

#[test]
fn every_region_has_its_host() {
    let Root::By(place) = table::find("vertex-ai").unwrap().root else { panic!("it has no fixed address") };
    let base = |given: &[(&str, &str)]| place(&settings(given, &[]).unwrap()).map(|place| place.base);
    for (region, host) in [
        ("global", "aiplatform.googleapis.com"),
        ("us", "aiplatform.us.rep.googleapis.com"),
        ("eu", "aiplatform.eu.rep.googleapis.com"),
        ("europe-west4", "europe-west4-aiplatform.googleapis.com"),
    ] {
        let found = base(&[("project_id", "p"), ("region", region)]).unwrap();
        assert_eq!(found, format!("https://{host}/v1/projects/p/locations/{region}"));
    }
    assert_eq!(base(&[("api_key", "k")]).unwrap(), "https://aiplatform.googleapis.com/v1");
    let own = base(&[("project_id", "p"), ("base_url", "https://psc.example/v1")]).unwrap();
    assert_eq!(own, "https://psc.example/v1/projects/p/locations/global");
    for wrong in [[("project_id", "p"), ("region", "evil.example/")], [("project_id", "p/../q"), ("region", "us")]] {
        assert!(base(&wrong).is_err(), "{wrong:?}");
    }
}

#[test]
fn what_the_machine_knows_is_not_sent_to_another_address() {
    let env = [
        ("VERTEX_AI_SERVICE_ACCOUNT_JSON", "{}"),
        ("GOOGLE_APPLICATION_CREDENTIALS", "/x"),
        ("HOME", "/home/x"),
        ("VERTEX_AI_API_KEY", "k"),
        ("VERTEX_AI_PROJECT_ID", "p"),
    ];
    let resolved = settings(&[("base_url", "https://elsewhere.example")], &env).unwrap();
    for setting in ["api_key", "service_account_json", "credentials_file", "home"] {
        assert_eq!(resolved.get(setting), None, "{setting}");
    }
    assert_eq!(settings(&[], &env).unwrap().get("api_key"), Some("k"));
}

#[test]
fn a_credential_file_may_not_send_us_anywhere() {
    let (pem, _) = key();
    let refused = |file: String, why: &str| {
        let spec = table::find("vertex-ai").unwrap();
        let settings = settings(&[("project_id", "p"), ("service_account_json", &file)], &[]).unwrap();
        let place = Place { base: "https://aiplatform.googleapis.com".to_owned(), query: None };
        let problem = credential(spec, &settings, &place, &Fetcher::default()).err().unwrap().to_string();
        assert!(problem.contains(why) && !problem.contains("PRIVATE KEY"), "{why}: {problem}");
    };
    refused(service_account("https://evil.example/token", &pem), "evil.example");
    refused(service_account("https://googleapis.com.evil.example/token", &pem), "evil.example");
    refused(service_account("http://oauth2.googleapis.com/token", &pem), "token_uri");
    refused(service_account("https://oauth2.googleapis.com/token", "no key"), "private_key");
    refused(json!({"type": "robot"}).to_string(), "robot");
    refused("{not json".to_owned(), "credential file");
    refused("/no/such/file".to_owned(), "cannot read /no/such/file");
}
