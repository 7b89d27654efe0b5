//! Credentials: what a request is authorised with, be it a key or a token that has to be fetched first.

pub mod aws;
mod aws_chain;
mod aws_profile;
mod aws_role;
pub mod entra;
mod google;
mod jwt;
pub mod oauth;
pub mod sigv4;
pub mod token;

use std::sync::{Arc, OnceLock};

use http::{HeaderName, HeaderValue, header};

use self::aws::Keys;
use self::sigv4::Signer;
use self::token::{Grant, TokenError, TokenSource};
use super::settings::Settings;
use super::spec::{Auth, Place, Spec};
use crate::config::Invalid;

/// What a target's requests are authorised with. Clones share the token. No `Debug`: it is a secret.
#[derive(Clone)]
pub enum Credential {
    /// Nothing.
    None,
    /// Always this header; its value is marked sensitive.
    Fixed(HeaderName, HeaderValue),
    /// `Authorization: Bearer` with a token that is fetched and renewed.
    Token(Arc<TokenSource>),
    /// A signature of each request, when it is ready to be sent.
    Signed(Arc<Signer>),
}

impl Credential {
    /// The header to send, if any. Costs two counter increments but where a token has to be fetched. Fails with the
    /// token endpoint.
    pub async fn header(&self) -> Result<Option<(HeaderName, HeaderValue)>, TokenError> {
        match self {
            Credential::None => Ok(None),
            Credential::Fixed(name, value) => Ok(Some((name.clone(), value.clone()))),
            Credential::Token(source) => Ok(Some((header::AUTHORIZATION, source.bearer().await?))),
            // there is none without a request
            Credential::Signed(_) => Ok(None),
        }
    }
}

/// What tokens are fetched with: the client that everything but the data plane shares, on the runtime of background work.
/// The default makes a client of its own when the first token is needed, and fetches on the runtime of whoever needs it.
#[derive(Clone, Default)]
pub struct Fetcher {
    http: Arc<OnceLock<reqwest::Client>>,
    runtime: Option<tokio::runtime::Handle>,
}

impl Fetcher {
    /// With a client, which must not follow redirects, and a runtime, where fetching goes on when the call that needed
    /// the token is gone.
    pub fn new(http: reqwest::Client, runtime: tokio::runtime::Handle) -> Self {
        Self { http: Arc::new(OnceLock::from(http)), runtime: Some(runtime) }
    }

    fn http(&self) -> Result<&reqwest::Client, reqwest::Error> {
        match self.http.get() {
            Some(http) => Ok(http),
            None => {
                let made = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build()?;
                Ok(self.http.get_or_init(|| made))
            }
        }
    }

    /// Run a task there.
    pub(in crate::providers) fn spawn<T: Send + 'static>(
        &self,
        task: impl Future<Output = T> + Send + 'static,
    ) -> tokio::task::JoinHandle<T> {
        match &self.runtime {
            Some(runtime) => runtime.spawn(task),
            None => tokio::spawn(task),
        }
    }
}

/// The credential of a target; none if no setting gives one, which [`Settings::resolve`] allows where the configuration
/// says so. Fails, naming the setting, if half of one is missing, or if it has characters that no header may have.
pub fn credential(spec: &Spec, settings: &Settings, place: &Place, fetcher: &Fetcher) -> Result<Credential, Invalid> {
    let auth = match spec.auth {
        Auth::By(choose) => choose(place),
        auth => auth,
    };
    let token = |grant: Grant| Credential::Token(Arc::new(TokenSource::new(grant, fetcher.clone())));
    Ok(match auth {
        Auth::None => Credential::None,
        Auth::Bearer => bearer(settings.get("api_key"), "api_key")?,
        Auth::KeyOrGoogle(name) => match settings.get("api_key").filter(|key| !key.is_empty()) {
            Some(key) => Credential::Fixed(HeaderName::from_static(name), sensitive(key, "api_key")?),
            None => google::grant(settings)?.map_or(Credential::None, token),
        },
        Auth::KeyOrEntra(name, scope) => match settings.get("api_key").filter(|key| !key.is_empty()) {
            Some(key) => Credential::Fixed(HeaderName::from_static(name), sensitive(key, "api_key")?),
            None => match settings.get("ad_token").filter(|token| !token.is_empty()) {
                Some(_) => bearer(settings.get("ad_token"), "ad_token")?,
                None => entra::grant(spec, settings, scope)?.map_or(Credential::None, token),
            },
        },
        Auth::KeyOrToken(name) => match settings.get("api_key").filter(|key| !key.is_empty()) {
            Some(key) => Credential::Fixed(HeaderName::from_static(name), sensitive(key, "api_key")?),
            None => bearer(settings.get("auth_token"), "auth_token")?,
        },
        Auth::BearerOrClient => {
            match (settings.get("api_key"), settings.get("client_id"), settings.get("client_secret")) {
                (Some(key), _, _) => bearer(Some(key), "api_key")?,
                (None, Some(id), Some(secret)) => token(oauth::client(place, id, secret)?),
                (None, None, Some(_)) => return Err(missing(spec, "client_id")),
                (None, _, None) => Credential::None,
            }
        }
        Auth::BearerOrAws(service) => match settings.get("api_key").filter(|_| !settings.prefers_keys()) {
            Some(key) => bearer(Some(key), "api_key")?,
            None => {
                let region = aws::region(settings);
                let keys = Keys::from_settings(spec, settings, region, fetcher)?;
                Credential::Signed(Arc::new(Signer::new(keys, region.to_owned(), service)))
            }
        },
        Auth::By(_) => return Err(Invalid::at("provider".to_owned(), format!("`{}` names no authorisation", spec.id))),
    })
}

fn bearer(key: Option<&str>, setting: &str) -> Result<Credential, Invalid> {
    match key.filter(|key| !key.is_empty()) {
        Some(key) => Ok(Credential::Fixed(header::AUTHORIZATION, sensitive(&format!("Bearer {key}"), setting)?)),
        None => Ok(Credential::None),
    }
}

fn sensitive(value: &str, setting: &str) -> Result<HeaderValue, Invalid> {
    let mut value = HeaderValue::from_str(value).map_err(|_| {
        Invalid::at(setting.to_owned(), "has characters that a header cannot carry; is it cut or quoted?".to_owned())
    })?;
    value.set_sensitive(true);
    Ok(value)
}

/// The project of a service account's file, where the settings name none.
pub(in crate::providers) fn google_project(settings: &Settings) -> Option<String> {
    google::project(settings)
}

/// A setting is missing: names its variables.
fn missing(spec: &Spec, setting: &str) -> Invalid {
    let names = spec.vars.iter().find(|var| var.setting == setting).map_or(String::new(), |var| var.names.join(" or "));
    Invalid::at(setting.to_owned(), format!("missing; set {names} in the environment or `{setting}` at the target"))
}
