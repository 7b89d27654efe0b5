//! The gateway built into an application's own axum server.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use ferrogw::call::redact::Redactor;
use ferrogw::config::{self, Env, Format};
use ferrogw::server::embed::{Embedded, embed};
use ferrogw::telemetry::AccessLog;
use http::{Request, StatusCode};
use tower::ServiceExt;

fn embedded(env: &[(&str, &str)]) -> Embedded {
    let config = config::parse("targets: [{ virtual_key: demo }]", Format::Yaml, "test.yaml").unwrap().config;
    let env: Env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    embed(&config, &env, AccessLog::off(), &Arc::new(Redactor::default())).unwrap()
}

#[tokio::test]
async fn an_application_serves_the_gateway_beside_its_own_routes() {
    let app = Router::new().route("/", get(async || "mine")).fallback_service(embedded(&[]).router);
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = app.into_make_service_with_connect_info::<SocketAddr>();
    let server = tokio::spawn(async move { axum::serve(listener, service).await });
    let http = reqwest::Client::builder().no_proxy().build().unwrap();

    let mine = http.get(format!("http://{address}/")).send().await.unwrap();
    assert_eq!(mine.text().await.unwrap(), "mine");
    let models = http.get(format!("http://{address}/openai/v1/models/")).send().await.unwrap();
    assert!(models.headers().contains_key("x-request-id"));
    let models: serde_json::Value = models.json().await.unwrap();
    assert_eq!(models["data"][0]["id"], "demo");
    let ask = r#"{"model":"demo","messages":[{"role":"user","content":"hi"}]}"#;
    let chat = http.post(format!("http://{address}/v1/chat/completions")).header("content-type", "application/json");
    assert_eq!(chat.body(ask).send().await.unwrap().status(), 200);
    server.abort();
}

#[tokio::test]
async fn an_application_that_does_not_say_who_calls_needs_a_master_key() {
    let ask = |key: &str| {
        let request = Request::get("http://localhost/v1/models")
            .header("host", "localhost")
            .header("authorization", format!("Bearer {key}"));
        request.body(Body::empty()).unwrap()
    };
    let open = embedded(&[]).router.oneshot(ask("")).await.unwrap();
    assert_eq!(open.status(), StatusCode::FORBIDDEN);
    let closed = embedded(&[("MASTER_KEY", "a-key-of-36-characters-0123456789abc")]).router;
    assert_eq!(closed.clone().oneshot(ask("another")).await.unwrap().status(), StatusCode::UNAUTHORIZED);
    assert_eq!(closed.oneshot(ask("a-key-of-36-characters-0123456789abc")).await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn an_application_says_when_it_ends() {
    let Embedded { router, stop, .. } = embedded(&[]);
    let ready = || Request::get("/readyz").header("host", "localhost").body(Body::empty()).unwrap();
    assert_eq!(router.clone().oneshot(ready()).await.unwrap().status(), StatusCode::OK);
    stop.draining.cancel();
    assert_eq!(router.oneshot(ready()).await.unwrap().status(), StatusCode::SERVICE_UNAVAILABLE);
}
