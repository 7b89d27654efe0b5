//! The gateway inside an application of your own: its API beside your routes, in one axum server.
//!
//! `cargo run --example embedded`, then `curl http://localhost:8080/v1/models` and `curl http://localhost:8080/`.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use ferrogw::config::{self, Env, Format};
use ferrogw::server::build;
use ferrogw::server::embed::embed;
use ferrogw::telemetry::AccessLog;

const CONFIG: &str = "
targets:
  - virtual_key: demo
aliases:
  fast: demo
";

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let config = config::parse(CONFIG, Format::Yaml, "embedded")?.config;
    let env = Env::of_process();
    let redactor = Arc::new(build::redactor(&config, &env));
    let gateway = embed(&config, &env, AccessLog::off(), &redactor)?;
    let app = Router::new().route("/", get(async || "an application")).fallback_service(gateway.router);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
    axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await?;
    Ok(())
}
