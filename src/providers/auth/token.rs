//! Tokens that are fetched, kept, and renewed before they expire: one fetch at a time, whoever asks.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwapOption;
use http::{HeaderValue, header};
use serde::Deserialize;
use tokio::sync::Mutex;

use super::Fetcher;
use super::jwt::Signer;
use crate::call::Fault;

/// How long before its end a token is renewed, at most; a short-lived one is renewed after four fifths of its life.
const MARGIN: Duration = Duration::from_secs(300);

/// How long to leave a token endpoint alone that failed while the old token is still good.
const PAUSE: Duration = Duration::from_secs(30);

/// How long one fetch may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// How a token is asked for. No `Debug`: it holds secrets.
pub struct Grant {
    /// The token endpoint.
    pub url: String,
    /// Who is asked, in messages for the operator: `Microsoft Entra`.
    pub who: &'static str,
    /// Form fields of a POST; `None`: a GET.
    pub form: Option<Vec<(&'static str, Field)>>,
    /// Headers, as the managed identity endpoints want them.
    pub headers: Vec<(&'static str, String)>,
    /// HTTP basic authentication: client id and secret.
    pub basic: Option<(String, String)>,
    /// Whom the token is exchanged for, in a second step.
    pub then: Option<Then>,
}

/// A second step: with the first token as credential, this JSON is sent, and Google's IAM answers with another token.
pub struct Then {
    /// Where.
    pub url: String,
    /// What.
    pub body: String,
}

/// The value of a form field.
pub enum Field {
    /// Known.
    Is(String),
    /// The content of a file, read for each fetch: Kubernetes renews it.
    In(String),
    /// This text member of a JSON file, read for each fetch.
    Within(String, String),
    /// What this address answers, asked for each fetch with these headers; or a text member of it.
    At(String, Vec<(String, String)>, Option<String>),
    /// A signed statement of who we are, made for each fetch.
    Signed(Box<Signer>),
}

/// Why there is no token. Never holds a secret.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{who}: {why}")]
pub struct TokenError {
    who: &'static str,
    why: String,
    fault: Fault,
}

impl TokenError {
    /// Of whoever was asked.
    pub(super) fn new(who: &'static str, why: String, fault: Fault) -> Self {
        Self { who, why, fault }
    }

    /// What kind of failure it is.
    pub fn fault(&self) -> Fault {
        self.fault
    }
}

/// A token, and until when it is good.
struct Held {
    bearer: HeaderValue,
    renew: Instant,
    end: Instant,
}

impl Held {
    fn until(bearer: HeaderValue, now: Instant, life: Duration) -> Self {
        Self { bearer, renew: now + life - MARGIN.min(life / 5), end: now + life }
    }
}

/// A source of bearer tokens.
pub struct TokenSource {
    inner: Arc<Inner>,
}

struct Inner {
    grant: Grant,
    fetcher: Fetcher,
    held: ArcSwapOption<Held>,
    /// Fetches that have ended; who waited while one ended takes its result, good or bad.
    ended: AtomicU64,
    /// Held while fetching; the last failure, and when the endpoint may be asked again.
    turn: Mutex<Option<(TokenError, Instant)>>,
}

impl TokenSource {
    /// A source that has no token yet.
    pub fn new(grant: Grant, fetcher: Fetcher) -> Self {
        let inner =
            Inner { grant, fetcher, held: ArcSwapOption::empty(), ended: AtomicU64::new(0), turn: Mutex::new(None) };
        Self { inner: Arc::new(inner) }
    }

    /// `Bearer` and the token, marked sensitive. Waits only if there is no good token; one that is about to expire is
    /// renewed in the background. Fails if none can be had.
    pub async fn bearer(&self) -> Result<HeaderValue, TokenError> {
        let now = Instant::now();
        let held = self.inner.held.load();
        if let Some(held) = held.as_ref() {
            if now < held.renew {
                return Ok(held.bearer.clone());
            }
            if now < held.end {
                if let Ok(turn) = self.inner.turn.try_lock()
                    && turn.as_ref().is_none_or(|(_, again)| now >= *again)
                {
                    drop(turn);
                    drop(self.renew());
                }
                return Ok(held.bearer.clone());
            }
        }
        drop(held);
        let who = self.inner.grant.who;
        match self.renew().await {
            Ok(result) => result,
            Err(_) => {
                Err(TokenError { who, why: "the gateway is shutting down".to_owned(), fault: Fault::Unreachable })
            }
        }
    }

    /// Fetch on the background runtime, so that a caller who leaves takes nothing with him.
    fn renew(&self) -> tokio::task::JoinHandle<Result<HeaderValue, TokenError>> {
        let inner = Arc::clone(&self.inner);
        let ended = inner.ended.load(Ordering::Acquire);
        self.inner.fetcher.spawn(async move { inner.renewed(ended).await })
    }
}

impl Inner {
    async fn renewed(&self, ended: u64) -> Result<HeaderValue, TokenError> {
        let mut turn = self.turn.lock().await;
        if self.ended.load(Ordering::Acquire) != ended {
            if let Some((error, _)) = turn.as_ref() {
                return Err(error.clone());
            }
            if let Some(held) = self.held.load().as_ref() {
                return Ok(held.bearer.clone());
            }
        }
        let result = self.fetch().await;
        self.ended.fetch_add(1, Ordering::Release);
        match result {
            Ok(held) => {
                let bearer = held.bearer.clone();
                self.held.store(Some(Arc::new(held)));
                *turn = None;
                Ok(bearer)
            }
            Err(error) => {
                tracing::warn!(%error, "no token");
                *turn = Some((error.clone(), Instant::now() + PAUSE));
                Err(error)
            }
        }
    }

    async fn fetch(&self) -> Result<Held, TokenError> {
        let http = self.fetcher.http().map_err(|error| self.failed(Fault::Server, format!("no TLS: {error}")))?;
        let asked = Instant::now();
        let (bearer, life) = self.first(http).await?;
        match &self.grant.then {
            None => Ok(Held::until(bearer, asked, life)),
            Some(then) => self.second(http, then, bearer).await,
        }
    }

    /// The token of the grant itself, and how long it is good.
    async fn first(&self, http: &reqwest::Client) -> Result<(HeaderValue, Duration), TokenError> {
        let grant = &self.grant;
        let mut request = match &grant.form {
            None => http.get(&grant.url),
            Some(fields) => {
                let mut form = Vec::with_capacity(fields.len());
                for (name, field) in fields {
                    form.push((*name, self.value(http, field).await?));
                }
                http.post(&grant.url).form(&form)
            }
        };
        for (name, value) in &grant.headers {
            request = request.header(*name, value);
        }
        if let Some((id, secret)) = &grant.basic {
            request = request.basic_auth(id, Some(secret));
        }
        let body = self.asked(request).await?;
        let answer: Answer = serde_json::from_slice(&body).map_err(|_| self.unreadable())?;
        let life = answer.expires_in.map_or(Duration::from_secs(3600), Seconds::duration);
        Ok((self.bearer(&answer.access_token)?, life))
    }

    /// The token that the first one is exchanged for: Google's service account impersonation.
    async fn second(&self, http: &reqwest::Client, then: &Then, bearer: HeaderValue) -> Result<Held, TokenError> {
        let request = http.post(&then.url).header(header::AUTHORIZATION, bearer).body(then.body.clone());
        let asked = Instant::now();
        let body = self.asked(request.header(header::CONTENT_TYPE, "application/json")).await?;
        let answer: Impersonated = serde_json::from_slice(&body).map_err(|_| self.unreadable())?;
        let end = answer.expire_time.and_then(|end| end.parse::<jiff::Timestamp>().ok());
        let life = end.and_then(|end| end.duration_since(jiff::Timestamp::now()).try_into().ok());
        Ok(Held::until(self.bearer(&answer.access_token)?, asked, life.unwrap_or(Duration::from_secs(3600))))
    }

    /// The body of a good answer.
    async fn asked(&self, request: reqwest::RequestBuilder) -> Result<bytes::Bytes, TokenError> {
        let unreachable = |error: reqwest::Error| {
            let why = if error.is_timeout() { "no answer in time" } else { "cannot be reached" };
            self.failed(Fault::Unreachable, why.to_owned())
        };
        let response = request.timeout(PATIENCE).send().await.map_err(unreachable)?;
        let status = response.status();
        let body = response.bytes().await.map_err(unreachable)?;
        if !status.is_success() {
            let fault = if status.is_server_error() || status == 429 { Fault::Server } else { Fault::Auth };
            return Err(self.failed(fault, format!("answered {}{}", status.as_u16(), self.reason(&body))));
        }
        Ok(body)
    }

    fn bearer(&self, token: &str) -> Result<HeaderValue, TokenError> {
        let mut bearer = HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| self.unreadable())?;
        bearer.set_sensitive(true);
        Ok(bearer)
    }

    fn unreadable(&self) -> TokenError {
        self.failed(Fault::Server, "answered without a usable token".to_owned())
    }

    async fn value(&self, http: &reqwest::Client, field: &Field) -> Result<String, TokenError> {
        match field {
            Field::Is(value) => Ok(value.clone()),
            Field::In(path) => Ok(self.file(path).await?.trim().to_owned()),
            Field::Within(path, member) => self.member(self.file(path).await?.as_bytes(), member),
            Field::At(url, headers, member) => {
                let request = headers.iter().fold(http.get(url), |request, (name, value)| request.header(name, value));
                let body = self.asked(request).await?;
                match member {
                    Some(member) => self.member(&body, member),
                    None => Ok(String::from_utf8_lossy(&body).trim().to_owned()),
                }
            }
            Field::Signed(signer) => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
                signer.assertion(now).ok_or_else(|| self.failed(Fault::Auth, "the private key cannot sign".to_owned()))
            }
        }
    }

    async fn file(&self, path: &str) -> Result<String, TokenError> {
        let unread = |error: std::io::Error| self.failed(Fault::Auth, format!("cannot read {path}: {}", error.kind()));
        tokio::fs::read_to_string(path).await.map_err(unread)
    }

    /// A text member of a JSON object.
    fn member(&self, object: &[u8], member: &str) -> Result<String, TokenError> {
        let value: Option<serde_json::Value> = serde_json::from_slice(object).ok();
        let found = value.as_ref().and_then(|value| value.get(member)?.as_str());
        let missing = || self.failed(Fault::Auth, format!("the credential's source has no `{member}`"));
        found.map(str::to_owned).ok_or_else(missing)
    }

    /// The endpoint's own reason, in its first line: an OAuth error code and description.
    fn reason(&self, body: &[u8]) -> String {
        let said: Complaint = serde_json::from_slice(body).unwrap_or_default();
        let line = said.error_description.as_deref().unwrap_or_default().lines().next().unwrap_or_default();
        let mut reason = [said.error.as_deref().unwrap_or_default(), line].iter().filter(|part| !part.is_empty()).fold(
            String::new(),
            |mut reason, part| {
                reason.push_str(": ");
                reason.push_str(part);
                reason
            },
        );
        for secret in self.secrets() {
            reason = reason.replace(secret, "[REDACTED]");
        }
        reason.chars().take(240).collect()
    }

    fn secrets(&self) -> impl Iterator<Item = &str> {
        let form = self.grant.form.iter().flatten().filter_map(|(name, field)| match field {
            Field::Is(value) if matches!(*name, "client_secret" | "refresh_token") => Some(value.as_str()),
            _ => None,
        });
        let headers = self.grant.headers.iter().map(|(_, value)| value.as_str());
        let basic = self.grant.basic.iter().map(|(_, secret)| secret.as_str());
        form.chain(headers).chain(basic).filter(|secret| secret.len() >= 8)
    }

    fn failed(&self, fault: Fault, why: String) -> TokenError {
        TokenError { who: self.grant.who, why, fault }
    }
}

#[derive(Deserialize)]
struct Answer {
    access_token: String,
    expires_in: Option<Seconds>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Impersonated {
    access_token: String,
    expire_time: Option<String>,
}

/// Managed identities write numbers as strings.
#[derive(Deserialize)]
#[serde(untagged)]
enum Seconds {
    Number(f64),
    Text(String),
}

impl Seconds {
    fn duration(self) -> Duration {
        let seconds = match self {
            Seconds::Number(seconds) => seconds,
            Seconds::Text(text) => text.parse().unwrap_or(0.0),
        };
        // a week is more than any of them grants
        Duration::from_secs_f64(seconds.clamp(0.0, 604_800.0))
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Complaint {
    error: Option<String>,
    error_description: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_renewed_five_minutes_before_its_end_or_after_four_fifths_of_a_short_life() {
        let now = Instant::now();
        let check = |life: u64, renew: u64| {
            let held = Held::until(HeaderValue::from_static("Bearer t"), now, Duration::from_secs(life));
            assert_eq!((held.renew - now, held.end - now), (Duration::from_secs(renew), Duration::from_secs(life)));
        };
        check(3600, 3300);
        check(86_400, 86_100);
        check(100, 80);
        check(0, 0);
    }
}
