//! Google's access tokens: where they come from when there is no API key.
//!
//! The order is that of Google's own libraries: <https://cloud.google.com/docs/authentication/application-default-credentials>.
//! Their crate makes an HTTP client of its own, which would not know our proxies and certificates, so the exchanges are
//! ours: service accounts, users, workload identity federation, impersonation, the metadata server.

use std::path::PathBuf;

use serde::Deserialize;

use super::jwt::Signer;
use super::token::{Field, Grant, Then};
use crate::config::Invalid;
use crate::providers::settings::Settings;

const WHO: &str = "Google";
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
const TOKENS: &str = "https://oauth2.googleapis.com/token";
const METADATA: &str = "metadata.google.internal";
const SERVICE_ACCOUNT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

/// A credential file, of any of its kinds.
#[derive(Deserialize, Default)]
#[serde(default)]
struct File {
    r#type: String,
    project_id: Option<String>,
    client_email: Option<String>,
    private_key: Option<String>,
    private_key_id: Option<String>,
    token_uri: Option<String>,
    client_id: Option<String>,
    client_secret: Option<String>,
    refresh_token: Option<String>,
    audience: Option<String>,
    subject_token_type: Option<String>,
    token_url: Option<String>,
    credential_source: Option<Source>,
    service_account_impersonation_url: Option<String>,
    source_credentials: Option<Box<File>>,
    delegates: Vec<String>,
}

/// Where a federated identity's own token is found.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Source {
    file: Option<String>,
    url: Option<String>,
    headers: std::collections::BTreeMap<String, String>,
    format: Format,
    environment_id: Option<String>,
    executable: Option<serde_json::Value>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Format {
    r#type: String,
    subject_token_field_name: Option<String>,
}

/// Where the settings have a credential, in order of precedence: the setting to blame, and the text.
fn found(settings: &Settings) -> Result<Option<(&'static str, String)>, Invalid> {
    if let Some(given) = settings.get("service_account_json").map(str::trim).filter(|given| !given.is_empty()) {
        let text = if given.starts_with('{') { given.to_owned() } else { read("service_account_json", given)? };
        return Ok(Some(("service_account_json", text)));
    }
    if let Some(path) = settings.get("credentials_file") {
        return Ok(Some(("credentials_file", read("credentials_file", path)?)));
    }
    // what `gcloud auth application-default login` leaves
    let folder = match (settings.get("cloudsdk_config"), settings.get("appdata"), settings.get("home")) {
        (Some(folder), _, _) => PathBuf::from(folder),
        (None, Some(data), _) => PathBuf::from(data).join("gcloud"),
        (None, None, Some(home)) => PathBuf::from(home).join(".config").join("gcloud"),
        (None, None, None) => return Ok(None),
    };
    let path = folder.join("application_default_credentials.json");
    match path.is_file() {
        true => Ok(Some(("credentials_file", read("credentials_file", &path.to_string_lossy())?))),
        false => Ok(None),
    }
}

fn read(setting: &str, path: &str) -> Result<String, Invalid> {
    std::fs::read_to_string(path)
        .map_err(|error| Invalid::at(format!("options.{setting}"), format!("cannot read {path}: {}", error.kind())))
}

fn parse(setting: &'static str, text: &str) -> Result<File, Invalid> {
    // the parser's words may repeat what is secret
    serde_json::from_str(text).map_err(|_| {
        Invalid::at(format!("options.{setting}"), "is no credential file of Google's: not JSON of that form".to_owned())
    })
}

/// The project that a service account belongs to.
pub(super) fn project(settings: &Settings) -> Option<String> {
    let (setting, text) = found(settings).ok()??;
    parse(setting, &text).ok()?.project_id
}

/// How a token is asked for. A target with an address of its own gets none from this machine's surroundings, unless the
/// setting `metadata_server` says so: it would be sent to another host. Fails on a credential that can't be used.
pub(super) fn grant(settings: &Settings) -> Result<Option<Grant>, Invalid> {
    if let Some((setting, text)) = found(settings)? {
        let file = parse(setting, &text)?;
        return Desk { settings, setting }.grant(&file).map(Some);
    }
    let elsewhere = settings.get("base_url").is_some();
    if elsewhere && settings.get("metadata_server") != Some("true") {
        return Ok(None);
    }
    let host = settings.get("metadata_host").unwrap_or(METADATA);
    Ok(Some(Grant {
        url: format!("http://{host}/computeMetadata/v1/instance/service-accounts/default/token?scopes={SCOPE}"),
        who: "Google's metadata server",
        form: None,
        headers: vec![("Metadata-Flavor", "Google".to_owned())],
        basic: None,
        then: None,
    }))
}

/// Reads one credential file.
struct Desk<'a> {
    settings: &'a Settings,
    /// The setting to blame.
    setting: &'static str,
}

impl Desk<'_> {
    fn wrong(&self, why: impl Into<String>) -> Invalid {
        Invalid::at(format!("options.{}", self.setting), why.into())
    }

    fn needed<'f>(&self, value: &'f Option<String>, name: &str) -> Result<&'f str, Invalid> {
        value.as_deref().filter(|value| !value.is_empty()).ok_or_else(|| self.wrong(format!("has no `{name}`")))
    }

    fn grant(&self, file: &File) -> Result<Grant, Invalid> {
        match file.r#type.as_str() {
            "service_account" => self.service_account(file),
            "authorized_user" => self.user(file),
            "external_account" => self.federated(file),
            "impersonated_service_account" => {
                let source = file.source_credentials.as_deref();
                let source = source.ok_or_else(|| self.wrong("has no `source_credentials`"))?;
                if source.r#type == file.r#type {
                    return Err(self.wrong("impersonates by impersonation; use `delegates`"));
                }
                let mut grant = self.grant(source)?;
                grant.then = Some(self.impersonation(file)?);
                Ok(grant)
            }
            other => Err(self.wrong(format!(
                "is a credential of type `{other}`; known are service_account, authorized_user, external_account and \
                 impersonated_service_account"
            ))),
        }
    }

    /// A token endpoint. What is sent there is as good as a key, and credential files come from anywhere: it is Google's,
    /// or on this machine, or named in the setting `token_host`.
    fn judged(&self, url: &str, name: &str) -> Result<String, Invalid> {
        let parsed = reqwest::Url::parse(url).map_err(|_| self.wrong(format!("`{name}` is no address")))?;
        let host = parsed.host_str().unwrap_or_default();
        let google = host == "googleapis.com" || host.ends_with(".googleapis.com");
        let named = self.settings.get("token_host").is_some_and(|named| named == host);
        if (parsed.scheme() == "https" && (google || named)) || is_loopback(host) {
            return Ok(url.to_owned());
        }
        Err(self.wrong(format!(
            "`{name}` names {}://{host}: a token endpoint must be https://*.googleapis.com, on this machine, or the host \
             that `token_host` names",
            parsed.scheme()
        )))
    }

    fn post(&self, url: String, form: Vec<(&'static str, Field)>) -> Grant {
        Grant { url, who: WHO, form: Some(form), headers: Vec::new(), basic: None, then: None }
    }

    fn service_account(&self, file: &File) -> Result<Grant, Invalid> {
        let url = self.judged(file.token_uri.as_deref().unwrap_or(TOKENS), "token_uri")?;
        let (key, email) =
            (self.needed(&file.private_key, "private_key")?, self.needed(&file.client_email, "client_email")?);
        let signer = Signer::new(key, file.private_key_id.as_deref(), email, &url, SCOPE)
            .ok_or_else(|| self.wrong("`private_key` is no RSA key in PEM; is it cut or escaped twice?"))?;
        let form =
            vec![("grant_type", Field::Is(SERVICE_ACCOUNT.to_owned())), ("assertion", Field::Signed(Box::new(signer)))];
        Ok(self.post(url, form))
    }

    fn user(&self, file: &File) -> Result<Grant, Invalid> {
        let url = self.judged(file.token_uri.as_deref().unwrap_or(TOKENS), "token_uri")?;
        let member =
            |value: &Option<String>, name: &str| Ok::<_, Invalid>(Field::Is(self.needed(value, name)?.to_owned()));
        let form = vec![
            ("grant_type", Field::Is("refresh_token".to_owned())),
            ("client_id", member(&file.client_id, "client_id")?),
            ("client_secret", member(&file.client_secret, "client_secret")?),
            ("refresh_token", member(&file.refresh_token, "refresh_token")?),
        ];
        Ok(self.post(url, form))
    }

    /// <https://cloud.google.com/iam/docs/reference/sts/rest/v1/TopLevel/token>
    fn federated(&self, file: &File) -> Result<Grant, Invalid> {
        let url = self.judged(self.needed(&file.token_url, "token_url")?, "token_url")?;
        let source = file.credential_source.as_ref().ok_or_else(|| self.wrong("has no `credential_source`"))?;
        let form = vec![
            ("grant_type", Field::Is(EXCHANGE.to_owned())),
            ("audience", Field::Is(self.needed(&file.audience, "audience")?.to_owned())),
            ("scope", Field::Is(SCOPE.to_owned())),
            ("requested_token_type", Field::Is(ACCESS_TOKEN.to_owned())),
            ("subject_token_type", Field::Is(self.needed(&file.subject_token_type, "subject_token_type")?.to_owned())),
            ("subject_token", self.subject(source)?),
        ];
        let mut grant = self.post(url, form);
        if file.service_account_impersonation_url.is_some() {
            grant.then = Some(self.impersonation(file)?);
        }
        Ok(grant)
    }

    fn subject(&self, source: &Source) -> Result<Field, Invalid> {
        let member = match source.format.r#type.as_str() {
            "json" => match &source.format.subject_token_field_name {
                Some(name) => Some(name.clone()),
                None => return Err(self.wrong("`credential_source.format` has no `subject_token_field_name`")),
            },
            _ => None,
        };
        match (&source.file, &source.url, member) {
            _ if source.environment_id.is_some() || source.executable.is_some() => {
                Err(self.wrong("`credential_source` is AWS or a program; known are a file and an address"))
            }
            (Some(path), _, Some(member)) => Ok(Field::Within(path.clone(), member)),
            (Some(path), _, None) => Ok(Field::In(path.clone())),
            (None, Some(url), member) => {
                let headers = source.headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
                Ok(Field::At(url.clone(), headers, member))
            }
            (None, None, _) => Err(self.wrong("`credential_source` names neither a file nor an address")),
        }
    }

    /// <https://cloud.google.com/iam/docs/reference/credentials/rest/v1/projects.serviceAccounts/generateAccessToken>
    fn impersonation(&self, file: &File) -> Result<Then, Invalid> {
        let name = "service_account_impersonation_url";
        let url = self.judged(self.needed(&file.service_account_impersonation_url, name)?, name)?;
        let body = serde_json::json!({ "scope": [SCOPE], "lifetime": "3600s", "delegates": file.delegates });
        Ok(Then { url, body: body.to_string() })
    }
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}
