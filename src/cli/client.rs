//! A running gateway, seen from outside.

use std::time::{Duration, Instant};

use reqwest::header::{CONTENT_TYPE, HeaderMap};
use reqwest::{Certificate, Method, Url, redirect};
use serde_json::Value;

use super::Global;
use super::output::Failed;
use crate::config::{Env, Secret};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(15);

/// A gateway, and the key to ask it with.
pub(super) struct Client {
    http: reqwest::Client,
    pub(super) url: Url,
    key: Option<Secret>,
}

/// What a gateway said.
pub(super) struct Reply {
    pub(super) status: u16,
    /// `Null` if it is not JSON.
    pub(super) body: Value,
    headers: HeaderMap,
    pub(super) took: Duration,
}

impl Client {
    /// The gateway that the flags and the environment name.
    pub(super) fn new(global: &Global, env: &Env) -> Result<Self, Failed> {
        let given = global.gateway_url.as_deref().map(str::trim).filter(|url| !url.is_empty());
        let url = given.or_else(|| env.get("FERROGW_URL")).unwrap_or("http://localhost:8080");
        let key = global.api_key.clone().filter(|key| !key.expose().is_empty());
        let key = key.or_else(|| env.get("FERROGW_API_KEY").or_else(|| env.get("MASTER_KEY")).map(Secret::from));
        Self::to(url, key, PATIENCE, env)
    }

    /// The gateway at `url`.
    pub(super) fn to(url: &str, key: Option<Secret>, patience: Duration, env: &Env) -> Result<Self, Failed> {
        let refused = |_| Failed::because("the gateway's URL is not one, as http://localhost:8080");
        let url = url.parse::<Url>().map_err(|_| refused(()))?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err(refused(()));
        }
        // The key must not travel to wherever an answer points, nor this machine's requests through a proxy.
        let mut builder = reqwest::Client::builder().redirect(redirect::Policy::none()).timeout(patience);
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        if host == "localhost" || host.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback()) {
            builder = builder.no_proxy();
        }
        if let Some(path) = env.get("FERROGW_CA_FILE") {
            let pem = std::fs::read(path)
                .map_err(|error| Failed::because(format!("FERROGW_CA_FILE: cannot read {path}: {error}")))?;
            let certificates = Certificate::from_pem_bundle(&pem)
                .map_err(|_| Failed::because(format!("FERROGW_CA_FILE: {path} holds no certificates in PEM")))?;
            builder = builder.tls_certs_merge(certificates);
        }
        Ok(Self { http: builder.build().map_err(Failed::because)?, url, key })
    }

    /// Whether there is a key to ask with.
    pub(super) fn has_key(&self) -> bool {
        self.key.is_some()
    }

    /// `GET` of a path. Fails when there is no answer; a status of failure is an answer.
    pub(super) async fn get(&self, path: &str) -> Result<Reply, Failed> {
        self.ask(Method::GET, path, None).await
    }

    /// `POST` of a JSON body to a path. Fails as [`Self::get`] does.
    pub(super) async fn post(&self, path: &str, body: String) -> Result<Reply, Failed> {
        self.ask(Method::POST, path, Some(body)).await
    }

    async fn ask(&self, method: Method, path: &str, body: Option<String>) -> Result<Reply, Failed> {
        let since = Instant::now();
        let url = format!("{}{path}", self.url.as_str().trim_end_matches('/'));
        let mut request = self.http.request(method.clone(), url);
        if let Some(key) = &self.key {
            request = request.bearer_auth(key.expose());
        }
        if let Some(body) = body {
            request = request.header(CONTENT_TYPE, "application/json").body(body);
        }
        let lost = |error: reqwest::Error| Failed::because(format!("{method} {path}: {}: {}", self.url, words(&error)));
        let response = request.send().await.map_err(lost)?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.map_err(lost)?;
        Ok(Reply { status, body: serde_json::from_str(&text).unwrap_or_default(), headers, took: since.elapsed() })
    }
}

impl Reply {
    /// A header, if it is there and is text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// What went wrong, by the gateway's own words if it has any.
    pub(super) fn error(&self) -> String {
        let message = self.body["error"]["message"].as_str();
        message.map_or_else(|| format!("HTTP {}", self.status), str::to_owned)
    }
}

/// The innermost cause: the outer ones repeat the URL.
fn words(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return format!("no answer within {} s", PATIENCE.as_secs());
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
