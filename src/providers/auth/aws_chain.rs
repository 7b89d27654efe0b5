//! Where AWS' keys are looked for: profiles, SSO, web identity, a process, the container, the machine; and a role that
//! they may take on.

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HOST};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue};
use reqsign_aws_core::{
    AssumeRoleWithWebIdentityCredentialProvider, Credential, ECSCredentialProvider, IMDSv2CredentialProvider,
    ProcessCredentialProvider, ProfileCredentialProvider, SSOCredentialProvider,
};
use reqsign_core::{CommandExecute, CommandOutput, Context, Env, Error, FileRead, HttpSend, ProvideCredentialDyn};
use serde::Deserialize;

use super::Fetcher;
use super::aws::{WHO, identity};
use super::sigv4;
use super::token::TokenError;
use crate::call::Fault;
use crate::providers::settings::Settings;

/// How long one source may take to answer: where there is no metadata service, nobody does.
const LIMIT: Duration = Duration::from_secs(5);

/// Settings, and the variables under which the sources look for them.
const VARIABLES: &[(&str, &str)] = &[
    ("profile", "AWS_PROFILE"),
    ("config_file", "AWS_CONFIG_FILE"),
    ("credentials_file", "AWS_SHARED_CREDENTIALS_FILE"),
    ("role_arn", "AWS_ROLE_ARN"),
    ("role_session_name", "AWS_ROLE_SESSION_NAME"),
    ("web_identity_token_file", "AWS_WEB_IDENTITY_TOKEN_FILE"),
    ("sso_endpoint", "AWS_SSO_ENDPOINT"),
    ("container_relative_uri", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"),
    ("container_full_uri", "AWS_CONTAINER_CREDENTIALS_FULL_URI"),
    ("container_token", "AWS_CONTAINER_AUTHORIZATION_TOKEN"),
    ("container_token_file", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"),
    ("metadata_disabled", "AWS_EC2_METADATA_DISABLED"),
    ("metadata_endpoint", "AWS_EC2_METADATA_SERVICE_ENDPOINT"),
];

type Provider = Box<dyn ProvideCredentialDyn<Credential = Credential>>;

/// One place to look.
struct Place {
    name: &'static str,
    /// The settings of which one must be given for its failure to be worth telling; none: always.
    told: &'static [&'static str],
    provider: Provider,
}

/// The sources of one target, in order.
pub(super) struct Chain {
    context: Context,
    variables: Variables,
    places: Vec<Place>,
    fixed: Option<Credential>,
    role: Option<Role>,
    fetcher: Fetcher,
}

/// A role to take on with the keys that were found.
struct Role {
    arn: String,
    session: String,
    external: Option<String>,
    region: String,
    endpoint: String,
}

impl Chain {
    /// The sources that these settings describe; with `fixed` keys only the role is theirs to find.
    pub(super) fn new(settings: &Settings, region: &str, fixed: Option<Credential>, fetcher: &Fetcher) -> Self {
        let variables = Variables::of(settings, region);
        let get = |name: &str| settings.get(name).filter(|value| !value.is_empty()).map(str::to_owned);
        let china = if region.starts_with("cn-") { ".cn" } else { "" };
        let role = get("assume_role_arn").map(|arn| Role {
            arn,
            session: get("role_session_name").unwrap_or_else(|| "ferrogw".to_owned()),
            external: get("external_id"),
            region: region.to_owned(),
            endpoint: get("sts_endpoint").unwrap_or_else(|| format!("https://sts.{region}.amazonaws.com{china}")),
        });
        let context = Context::new()
            .with_env(variables.clone())
            .with_file_read(Files)
            .with_http_send(Http(fetcher.clone()))
            .with_command_execute(Commands);
        let place = |name, told, provider| Place { name, told, provider };
        let profile = &["profile"];
        let places = vec![
            place("profile", profile, Box::new(ProfileCredentialProvider::new()) as Provider),
            place("SSO", profile, Box::new(SSOCredentialProvider::new())),
            place(
                "web identity",
                &["web_identity_token_file"],
                Box::new(AssumeRoleWithWebIdentityCredentialProvider::new()),
            ),
            place("process", profile, Box::new(ProcessCredentialProvider::new())),
            place(
                "container",
                &["container_relative_uri", "container_full_uri"],
                Box::new(ECSCredentialProvider::new()),
            ),
            place("instance metadata", &[], Box::new(IMDSv2CredentialProvider::new())),
        ];
        Self { context, variables, places, fixed, role, fetcher: fetcher.clone() }
    }

    /// Keys, of the first source that has some. Fails with what the sources say that were meant to have them.
    pub(super) async fn find(&self) -> Result<Credential, TokenError> {
        let keys = match &self.fixed {
            Some(keys) => keys.clone(),
            None => self.look().await?,
        };
        match &self.role {
            Some(role) => role.assume(&keys, &self.fetcher).await,
            None => Ok(keys),
        }
    }

    async fn look(&self) -> Result<Credential, TokenError> {
        let mut told = Vec::new();
        for place in &self.places {
            match place.provider.provide_credential_dyn(&self.context).await {
                Ok(Some(keys)) => return Ok(keys),
                Ok(None) => {}
                Err(error) if place.told.is_empty() || place.told.iter().any(|name| self.variables.has(name)) => {
                    told.push(format!("{}: {error}", place.name));
                }
                Err(_) => {}
            }
        }
        let why = if told.is_empty() { "there are none".to_owned() } else { told.join("; ") };
        let why = format!(
            "none found ({why}); set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_BEARER_TOKEN_BEDROCK, or a profile"
        );
        Err(TokenError::new(WHO, why, Fault::Auth))
    }
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
    async fn assume(&self, keys: &Credential, fetcher: &Fetcher) -> Result<Credential, TokenError> {
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

/// What the sources see of the environment: the settings of the target, and nothing else. No values in `Debug`.
#[derive(Clone)]
struct Variables {
    values: HashMap<String, String>,
    home: Option<PathBuf>,
}

impl Variables {
    fn of(settings: &Settings, region: &str) -> Self {
        let given = |(setting, name): &(&str, &str)| Some(((*name).to_owned(), settings.get(setting)?.to_owned()));
        let mut values: HashMap<String, String> = VARIABLES.iter().filter_map(given).collect();
        values.insert("AWS_REGION".to_owned(), region.to_owned());
        // the global endpoint is one region's
        values.insert("AWS_STS_REGIONAL_ENDPOINTS".to_owned(), "regional".to_owned());
        Self { values, home: settings.get("home").map(PathBuf::from) }
    }

    fn has(&self, setting: &str) -> bool {
        VARIABLES.iter().any(|(known, name)| *known == setting && self.values.contains_key(*name))
    }
}

impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.values.keys()).finish()
    }
}

impl Env for Variables {
    fn var(&self, key: &str) -> Option<String> {
        self.values.get(key).cloned()
    }

    fn vars(&self) -> HashMap<String, String> {
        self.values.clone()
    }

    fn home_dir(&self) -> Option<PathBuf> {
        self.home.clone()
    }
}

#[derive(Debug)]
struct Files;

impl FileRead for Files {
    async fn file_read(&self, path: &str) -> Result<Vec<u8>, Error> {
        tokio::fs::read(path)
            .await
            .map_err(|error| Error::config_invalid(format!("cannot read {path}: {}", error.kind())))
    }
}

/// `credential_process` of a profile.
#[derive(Debug)]
struct Commands;

impl CommandExecute for Commands {
    async fn command_execute(&self, program: &str, args: &[&str]) -> Result<CommandOutput, Error> {
        let (program, args) = (program.to_owned(), args.iter().map(|arg| (*arg).to_owned()).collect::<Vec<_>>());
        let run = tokio::task::spawn_blocking(move || std::process::Command::new(program).args(args).output());
        let failed = |why: String| Error::unexpected(format!("credential_process: {why}"));
        let output =
            run.await.map_err(|error| failed(error.to_string()))?.map_err(|error| failed(error.to_string()))?;
        Ok(CommandOutput { status: output.status.code().unwrap_or(-1), stdout: output.stdout, stderr: output.stderr })
    }
}

/// The client that everything but the data plane shares.
struct Http(Fetcher);

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Http")
    }
}

impl HttpSend for Http {
    async fn http_send(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, Error> {
        let failed = |error: reqwest::Error| Error::unexpected(error.without_url().to_string());
        let http = self.0.http().map_err(failed)?;
        let mut request = reqwest::Request::try_from(request).map_err(failed)?;
        *request.timeout_mut() = Some(LIMIT);
        let response = http.execute(request).await.map_err(failed)?;
        let (status, headers) = (response.status(), response.headers().clone());
        let mut made = http::Response::new(response.bytes().await.map_err(failed)?);
        (*made.status_mut(), *made.headers_mut()) = (status, headers);
        Ok(made)
    }
}
