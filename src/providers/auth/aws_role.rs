//! Roles of AWS: taken on with the keys that were found, at its token service.

use std::time::Duration;

use http::header::{ACCEPT, CONTENT_TYPE, HOST};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue};
use reqsign_aws_core::Credential;
use serde::Deserialize;

use super::Fetcher;
use super::aws::{WHO, identity};
use super::sigv4;
use super::token::TokenError;
use crate::call::Fault;

/// How long the token service may take.
const LIMIT: Duration = Duration::from_secs(5);

/// A role to take on with the keys that were found.
#[derive(Clone)]
pub(super) struct Role {
    pub(super) arn: String,
    pub(super) session: String,
    pub(super) external: Option<String>,
    pub(super) region: String,
    pub(super) endpoint: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Assumed {
    assume_role_response: AssumedResult,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct AssumedResult {
    assume_role_result: AssumedKeys,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct AssumedKeys {
    credentials: RoleKeys,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RoleKeys {
    access_key_id: String,
    secret_access_key: String,
    session_token: String,
    /// Seconds of Unix time.
    expiration: f64,
}

impl Role {
    /// <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html>, answered in JSON.
    pub(super) async fn assume(&self, keys: &Credential, fetcher: &Fetcher) -> Result<Credential, TokenError> {
        let failed = |fault, why: String| TokenError::new(WHO, format!("role {}: {why}", self.arn), fault);
        let mut form = vec![
            ("Action", "AssumeRole"),
            ("Version", "2011-06-15"),
            ("RoleArn", &self.arn),
            ("RoleSessionName", &self.session),
            ("DurationSeconds", "3600"),
        ];
        form.extend(self.external.as_deref().map(|external| ("ExternalId", external)));
        let broken = |error: String| failed(Fault::Server, error);
        let http = fetcher.http().map_err(|error| broken(format!("no TLS: {error}")))?;
        let request = http.post(&self.endpoint).form(&form).header(ACCEPT, "application/json").timeout(LIMIT);
        let mut request = request.build().map_err(|_| broken("sts_endpoint is no address".to_owned()))?;
        let mut headers = HeaderMap::new();
        let url = request.url();
        let host = url.host_str().unwrap_or_default();
        let host = url.port().map_or(host.to_owned(), |port| format!("{host}:{port}"));
        headers.insert(HOST, HeaderValue::try_from(host).map_err(|error| broken(error.to_string()))?);
        headers.extend(request.headers().get(CONTENT_TYPE).map(|kind| (CONTENT_TYPE, kind.clone())));
        let path = PathAndQuery::try_from(url.path()).map_err(|error| broken(error.to_string()))?;
        let body = request.body().and_then(|body| body.as_bytes()).unwrap_or_default();
        let signed = sigv4::once(&identity(keys), (&self.region, "sts"), &path, &headers, body).map_err(broken)?;
        request.headers_mut().extend(signed);
        let unreachable = |error: reqwest::Error| {
            let why = if error.is_timeout() { "no answer in time" } else { "STS cannot be reached" };
            failed(Fault::Unreachable, why.to_owned())
        };
        let response = http.execute(request).await.map_err(unreachable)?;
        let status = response.status();
        let answer = response.bytes().await.map_err(unreachable)?;
        if !status.is_success() {
            let said = crate::wire::openai::errors::read(&answer);
            let fault = if status.is_server_error() { Fault::Server } else { Fault::Auth };
            let said = said.message.map(|message| format!(": {message}")).unwrap_or_default();
            let said: String = said.chars().take(240).collect();
            return Err(failed(fault, format!("STS answered {}{said}", status.as_u16())));
        }
        let unreadable = |_| broken("STS answered without usable keys".to_owned());
        let assumed: Assumed = serde_json::from_slice(&answer).map_err(unreadable)?;
        let keys = assumed.assume_role_response.assume_role_result.credentials;
        let end = reqsign_core::time::Timestamp::from_second(keys.expiration as i64);
        Ok(Credential {
            access_key_id: keys.access_key_id,
            secret_access_key: keys.secret_access_key,
            session_token: Some(keys.session_token),
            expires_in: Some(end.map_err(|_| broken("STS answered with an impossible date".to_owned()))?),
        })
    }
}
