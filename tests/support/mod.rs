//! The real gateway on port 0, and upstreams that follow a script and remember what they were asked.

pub(crate) mod upstream;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use ferrogw::call::redact::Redactor;
use ferrogw::config::{self, Env, Format};
use ferrogw::server::Threads;
use ferrogw::server::process::{self, Plan, Running};
use ferrogw::server::reload::Follow;
use ferrogw::telemetry::AccessLog;
use serde_json::Value;

pub(crate) use self::upstream::{Say, Seen, Upstream};

/// A small chat request.
pub(crate) const ASK: &str = r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#;

/// The same, streamed.
pub(crate) const ASK_STREAM: &str = r#"{"model":"m","stream":true,"messages":[{"role":"user","content":"hi"}]}"#;

/// A gateway that serves on a free port until it is dropped.
pub(crate) struct TestGateway {
    pub(crate) url: String,
    pub(crate) http: reqwest::Client,
    pub(crate) running: Running,
}

pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: http::HeaderMap,
    pub(crate) body: String,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    pub(crate) fn code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap_or_default().to_owned()
    }

    /// Whether a stream has ended as it should: comments may stand behind its end mark.
    pub(crate) fn is_done(&self) -> bool {
        events(&self.body).last() == Some(&"[DONE]")
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// A target block for an upstream that serves any of `models`.
pub(crate) fn target(name: &str, provider: &str, upstream: &Upstream, models: &str, more: &str) -> String {
    format!(
        "  - virtual_key: {name}\n    provider: {provider}\n    base_url: {}/v1\n    api_key: sk-test-{name}-0123456789\n    \
         models: [{models}]\n{more}",
        upstream.url
    )
}

impl TestGateway {
    /// One `openai` target per upstream, named `t0`, `t1`, …, each serving the model `m`, tried in order.
    pub(crate) async fn fallback(upstreams: &[&Upstream]) -> Self {
        Self::with(upstreams, "", "").await
    }

    /// The same, with more lines for each target and at the top level.
    pub(crate) async fn with(upstreams: &[&Upstream], each: &str, top: &str) -> Self {
        let targets: String = upstreams
            .iter()
            .enumerate()
            .map(|(at, upstream)| target(&format!("t{at}"), "openai", upstream, "m", each))
            .collect();
        Self::configured(&format!("strategy: {{ mode: fallback }}\ntargets:\n{targets}{top}"), &[]).await
    }

    /// A gateway of this configuration and environment.
    pub(crate) async fn configured(yaml: &str, env: &[(&str, &str)]) -> Self {
        let loaded = config::parse(yaml, Format::Yaml, "test.yaml").unwrap_or_else(|invalid| panic!("{invalid}"));
        Self::of(loaded.config, env).await
    }

    /// A gateway of this configuration and environment.
    pub(crate) async fn of(config: config::Config, env: &[(&str, &str)]) -> Self {
        Self::following(config, Follow::default(), env).await
    }

    /// The same with a configuration that came from a file.
    pub(crate) async fn following(config: config::Config, follow: Follow, env: &[(&str, &str)]) -> Self {
        let running = process::start(Plan {
            config,
            follow,
            env: [("FERRO_MODEL_DISCOVERY_INTERVAL", "0")]
                .iter()
                .chain(env)
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect::<Env>(),
            listen: vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 0))],
            threads: Threads::Shared,
            access: AccessLog::off(),
            sink: None,
            redactor: Arc::new(Redactor::new(env.iter().copied())),
        })
        .await
        .unwrap_or_else(|error| panic!("{error}"));
        let url = format!("http://{}", running.handle.addresses()[0]);
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { url, http, running }
    }

    pub(crate) async fn post(&self, path: &str, body: impl Into<String>) -> Reply {
        self.send(self.request(path, body)).await
    }

    pub(crate) fn request(&self, path: &str, body: impl Into<String>) -> reqwest::RequestBuilder {
        let request = self.http.post(format!("{}{path}", self.url)).header("content-type", "application/json");
        request.body(body.into())
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.send(self.http.get(format!("{}{path}", self.url))).await
    }

    pub(crate) async fn send(&self, request: reqwest::RequestBuilder) -> Reply {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Reply { status, headers, body: response.text().await.unwrap() }
    }

    pub(crate) async fn chat(&self) -> Reply {
        self.post("/v1/chat/completions", ASK).await
    }

    pub(crate) async fn stream(&self) -> Reply {
        self.post("/v1/chat/completions", ASK_STREAM).await
    }
}

/// The payloads of a body of server-sent events.
pub(crate) fn events(body: &str) -> Vec<&str> {
    body.split("\n\n").filter_map(|frame| frame.strip_prefix("data: ")).collect()
}
