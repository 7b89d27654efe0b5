//! Tokens: fetched once, kept, renewed, and never shown.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode, Uri};
use ferrogw::call::Fault;
use ferrogw::providers::auth::{Credential, Fetcher, credential};
use ferrogw::providers::spec::Place;
use tokio::sync::Mutex;

use super::{row, settings};

/// A token endpoint that answers by script, the last answer again and again, and remembers what it was asked.
struct Endpoint {
    url: String,
    asked: Arc<Mutex<Vec<(String, HeaderMap, String)>>>,
}

impl Endpoint {
    async fn says(script: &[(u16, &str)]) -> Self {
        let script: Vec<(u16, String)> = script.iter().map(|(status, body)| (*status, (*body).to_owned())).collect();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (seen, turn) = (asked.clone(), Arc::new(AtomicUsize::new(0)));
        let answer = move |uri: Uri, headers: HeaderMap, body: Bytes| async move {
            seen.lock().await.push((uri.to_string(), headers, String::from_utf8(body.to_vec()).unwrap()));
            let (status, body) = script[turn.fetch_add(1, Ordering::SeqCst).min(script.len() - 1)].clone();
            (StatusCode::from_u16(status).unwrap(), body)
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
        Self { url, asked }
    }
}

fn of(id: &str, given: &[(&str, &str)], base: &str) -> Credential {
    let spec = row(id);
    let place = Place { base: base.to_owned(), query: None };
    let http = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let fetcher = Fetcher::new(http, tokio::runtime::Handle::current());
    credential(spec, &settings(spec, given), &place, &fetcher).unwrap()
}

/// Azure OpenAI with a client secret, told where the login stands.
fn entra(endpoint: &Endpoint) -> Credential {
    let given = [
        ("endpoint", "https://r.example"),
        ("tenant_id", "t-1"),
        ("client_id", "c-1"),
        ("client_secret", "hush-hush-hush"),
        ("authority", endpoint.url.as_str()),
    ];
    of("azure-openai", &given, "https://r.example")
}

async fn header(credential: &Credential) -> String {
    let (name, value) = credential.header().await.unwrap().unwrap();
    assert!(value.is_sensitive());
    format!("{name}: {}", value.to_str().unwrap())
}

#[tokio::test]
async fn a_key_goes_where_the_vendor_wants_it() {
    assert_eq!(header(&of("openai", &[("api_key", "k")], "https://x.example")).await, "authorization: Bearer k");
    let azure = [("endpoint", "https://r.example"), ("api_key", "k")];
    assert_eq!(header(&of("azure-openai", &azure, "https://r.example")).await, "api-key: k");
    let foundry = |base| of("azure-foundry", &azure, base);
    assert_eq!(header(&foundry("https://r.services.ai.azure.com/openai/v1")).await, "api-key: k");
    assert_eq!(header(&foundry("https://m.eastus.models.ai.azure.com/v1")).await, "authorization: Bearer k");
    let token = [("endpoint", "https://r.example"), ("ad_token", "t")];
    assert_eq!(header(&of("azure-openai", &token, "https://r.example")).await, "authorization: Bearer t");
    assert!(matches!(of("ollama", &[], "http://127.0.0.1:1"), Credential::None));
}

#[tokio::test]
async fn a_client_secret_buys_a_token_that_is_kept() {
    let endpoint = Endpoint::says(&[(200, r#"{"access_token":"one","expires_in":3600}"#)]).await;
    let credential = entra(&endpoint);
    for _ in 0..3 {
        assert_eq!(header(&credential).await, "authorization: Bearer one");
    }
    let asked = endpoint.asked.lock().await;
    let (uri, _, form) = &asked[0];
    assert_eq!((asked.len(), uri.as_str()), (1, "/t-1/oauth2/v2.0/token"));
    assert_eq!(
        form,
        "grant_type=client_credentials&client_id=c-1&scope=https%3A%2F%2Fcognitiveservices.azure.com%2F.default&client_secret=hush-hush-hush"
    );
}

#[tokio::test]
async fn an_expired_token_is_replaced() {
    let endpoint = Endpoint::says(&[
        (200, r#"{"access_token":"one","expires_in":"0"}"#),
        (200, r#"{"access_token":"two","expires_in":"3600"}"#),
    ])
    .await;
    let credential = entra(&endpoint);
    assert_eq!(header(&credential).await, "authorization: Bearer one");
    assert_eq!(header(&credential).await, "authorization: Bearer two");
    assert_eq!(header(&credential).await, "authorization: Bearer two");
    assert_eq!(endpoint.asked.lock().await.len(), 2);
}

#[tokio::test]
async fn many_who_need_a_token_fetch_it_once() {
    let endpoint = Endpoint::says(&[(200, r#"{"access_token":"one","expires_in":3600}"#)]).await;
    let credential = entra(&endpoint);
    let all = futures_util::future::join_all((0..20).map(|_| header(&credential))).await;
    assert!(all.iter().all(|header| header == "authorization: Bearer one"));
    assert_eq!(endpoint.asked.lock().await.len(), 1);
}

#[tokio::test]
async fn a_refusal_says_why_without_the_secret() {
    let endpoint = Endpoint::says(&[
        (401, r#"{"error":"invalid_client","error_description":"AADSTS7000215: hush-hush-hush is wrong.\r\nTrace ID: x"}"#),
        (503, "<html>hush-hush-hush</html>"),
        (200, r#"{"token":"hush-hush-hush"}"#),
        (302, ""),
    ])
    .await;
    let credential = entra(&endpoint);
    let check = async |fault: Fault, expected: &str| {
        let error = credential.header().await.unwrap_err();
        assert_eq!((error.fault(), error.to_string().as_str()), (fault, expected));
        assert!(!format!("{error:?}").contains("hush"));
    };
    check(Fault::Auth, "Microsoft Entra: answered 401: invalid_client: AADSTS7000215: [REDACTED] is wrong.").await;
    check(Fault::Server, "Microsoft Entra: answered 503").await;
    check(Fault::Server, "Microsoft Entra: answered without a usable token").await;
    check(Fault::Auth, "Microsoft Entra: answered 302").await;
}

#[tokio::test]
async fn a_token_endpoint_that_is_not_there_is_unreachable() {
    let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let given = [("host", "h.example"), ("api_key", ""), ("client_id", "c"), ("client_secret", "hush-hush-hush")];
    let error = of("databricks", &given, &format!("http://{gone}/serving-endpoints")).header().await.unwrap_err();
    assert_eq!(
        (error.fault(), error.to_string().as_str()),
        (Fault::Unreachable, "Databricks OAuth: cannot be reached")
    );
}

#[tokio::test]
async fn databricks_exchanges_its_client_at_its_own_host() {
    let endpoint = Endpoint::says(&[(200, r#"{"access_token":"one","expires_in":3600}"#)]).await;
    let given = [("host", "h.example"), ("api_key", ""), ("client_id", "c"), ("client_secret", "s")];
    let credential = of("databricks", &given, &format!("{}/serving-endpoints", endpoint.url));
    assert_eq!(header(&credential).await, "authorization: Bearer one");
    let asked = endpoint.asked.lock().await;
    let (uri, headers, form) = &asked[0];
    assert_eq!((uri.as_str(), form.as_str()), ("/oidc/v1/token", "grant_type=client_credentials&scope=all-apis"));
    assert_eq!(headers["authorization"], "Basic Yzpz");
}

#[tokio::test]
async fn a_workload_shows_the_token_of_its_file() {
    let endpoint = Endpoint::says(&[(200, r#"{"access_token":"one","expires_in":3600}"#)]).await;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "federated\n").unwrap();
    let given = [
        ("endpoint", "https://r.example"),
        ("tenant_id", "t"),
        ("client_id", "c"),
        ("token_file", file.path().to_str().unwrap()),
        ("authority", endpoint.url.as_str()),
    ];
    assert_eq!(header(&of("azure-foundry", &given, "https://r.example")).await, "authorization: Bearer one");
    let form = endpoint.asked.lock().await[0].2.clone();
    assert!(form.contains("scope=https%3A%2F%2Fai.azure.com%2F.default"), "{form}");
    assert!(form.ends_with("jwt-bearer&client_assertion=federated"), "{form}");
}

#[tokio::test]
async fn a_managed_identity_is_asked_where_the_platform_offers_it() {
    let endpoint = Endpoint::says(&[(200, r#"{"access_token":"one","expires_in":"86399"}"#)]).await;
    let base = [("endpoint", "https://r.example")];
    let app_service = format!("{}/msi/token", endpoint.url);
    let given = [base[0], ("identity_endpoint", app_service.as_str()), ("identity_header", "proof")];
    assert_eq!(header(&of("azure-openai", &given, "https://r.example")).await, "authorization: Bearer one");
    let given = [base[0], ("managed_identity", "true"), ("client_id", "c"), ("metadata_host", endpoint.url.as_str())];
    assert_eq!(header(&of("azure-openai", &given, "https://r.example")).await, "authorization: Bearer one");
    let asked = endpoint.asked.lock().await;
    let resource = "resource=https%3A%2F%2Fcognitiveservices.azure.com%2F";
    assert_eq!(asked[0].0, format!("/msi/token?{resource}&api-version=2019-08-01"));
    assert_eq!(asked[0].1["x-identity-header"], "proof");
    assert_eq!(asked[1].0, format!("/metadata/identity/oauth2/token?{resource}&client_id=c&api-version=2018-02-01"));
    assert_eq!(asked[1].1["metadata"], "true");
}
