//! Which models a provider lists: asked in the background, never on the way of a call.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use http::header::{CONTENT_TYPE, HOST};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use reqwest::Url;
use serde_json::Value;

use super::Provider;
use super::auth::Credential;
use super::lists::{Desk, Discover, Listing, Name, Pages};
use super::settings::Settings;
use crate::config::Invalid;

/// A page of a list takes no longer than this.
const LIMIT: Duration = Duration::from_secs(30);

/// No page is longer, bytes: OpenRouter's, the longest known, has less than one million.
const LONGEST: usize = 16 << 20;

/// No list has more pages: one that goes on has lost count.
const MOST: usize = 100;

/// Why there is no list. None of the texts repeats a credential or what the provider says.
#[derive(Debug, thiserror::Error)]
pub enum DiscoverError {
    /// Its address can't be made from the settings.
    #[error("no address: {0}")]
    Address(Invalid),
    /// No credential could be had.
    #[error("no credential: {0}")]
    Credential(String),
    /// No answer, or a broken one.
    #[error("no answer: {}", .0.to_string().split(" for url").next().unwrap_or_default())]
    Http(#[from] reqwest::Error),
    /// An answer that is none.
    #[error("answered {0}")]
    Status(u16),
    /// An answer that holds no list where one is expected.
    #[error("answered without a list of models")]
    Shape,
}

impl DiscoverError {
    /// Whether it may be otherwise soon.
    pub fn passes(&self) -> bool {
        match self {
            DiscoverError::Credential(_) | DiscoverError::Http(_) => true,
            DiscoverError::Status(status) => *status == 429 || *status >= 500,
            DiscoverError::Address(_) | DiscoverError::Shape => false,
        }
    }
}

/// What a provider lists.
pub struct Found {
    /// The names of its models.
    pub models: BTreeSet<Arc<str>>,
    /// The lists of it that could not be had, or not to their end: their paths, and why.
    pub missing: Vec<(&'static str, DiscoverError)>,
}

/// The models that a provider lists; `None` if it has no list to ask for. Fails if none of its lists could be had.
pub async fn models(provider: &Provider, http: &reqwest::Client) -> Result<Option<Found>, DiscoverError> {
    let Some(place) = provider.place.as_ref().filter(|_| provider.tape().is_none()) else { return Ok(None) };
    let usual;
    let at_root = || Ok(Desk { base: place.base.clone(), header: None });
    let (desk, lists) = match provider.spec.discover {
        Discover::Known(_) => return Ok(None),
        Discover::List(path) => {
            usual = [Listing::of(path, "data", "id")];
            (at_root(), &usual[..])
        }
        Discover::Lists(lists) => (at_root(), lists),
        Discover::By(at, lists) => (at(place, &provider.settings), lists),
    };
    let desk = desk.map_err(DiscoverError::Address)?;
    let (mut models, mut missing) = (BTreeSet::new(), Vec::new());
    for list in lists {
        match read(provider, http, &desk, list, &mut models).await {
            Ok(()) => {}
            Err(error) if lists.len() == 1 && models.is_empty() => return Err(error),
            Err(error) => missing.push((list.path, error)),
        }
    }
    match missing.pop() {
        Some((_, error)) if models.is_empty() && missing.len() + 1 == lists.len() => Err(error),
        last => {
            missing.extend(last);
            Ok(Some(Found { models, missing }))
        }
    }
}

/// Add the names of one list. Fails where a page of it can't be had: what the ones before it say stays.
async fn read(
    provider: &Provider,
    http: &reqwest::Client,
    desk: &Desk,
    list: &Listing,
    models: &mut BTreeSet<Arc<str>>,
) -> Result<(), DiscoverError> {
    let path = provider.settings.fill(list.path).map_err(DiscoverError::Address)?;
    let first = match path.strip_prefix("//") {
        Some(below) => format!("{}/{below}", desk.base.splitn(4, '/').take(3).collect::<Vec<_>>().join("/")),
        None => format!("{}{path}", desk.base),
    };
    let first = Url::parse(&first).map_err(|_| DiscoverError::Address(super::root::invalid(&desk.base)))?;
    let mut next = Some(first.clone());
    if let Pages::Counted(parameter, _) = list.pages {
        next = Some(with(&first, parameter, "1"));
    }
    for page in 1..=MOST {
        let Some(url) = next.take() else { return Ok(()) };
        let answer = ask(provider, http, url.clone(), desk).await?;
        let items = answer.as_array().or_else(|| answer.get(list.member)?.as_array()).ok_or(DiscoverError::Shape)?;
        models.extend(items.iter().flat_map(|item| names(list.name, item, &provider.settings)));
        next = match list.pages {
            Pages::One => None,
            Pages::Counted(parameter, most) if items.len() >= most => {
                Some(with(&first, parameter, &(page + 1).to_string()))
            }
            Pages::Counted(..) => None,
            Pages::Token(member, parameter) => {
                let more = answer.get("has_more") != Some(&Value::Bool(false));
                let token = answer.get(member).and_then(Value::as_str).filter(|token| more && !token.is_empty());
                token.map(|token| with(&first, parameter, token)).filter(|other| *other != url)
            }
        };
    }
    Ok(())
}

/// An address with one more parameter.
fn with(url: &Url, name: &str, value: &str) -> Url {
    let mut more = url.clone();
    // a signature covers spaces as %20 and nothing else
    let escaped: String = value
        .bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect();
    let query = url.query().map_or(String::new(), |query| format!("{query}&"));
    more.set_query(Some(&format!("{query}{name}={escaped}")));
    more
}

/// One page.
async fn ask(provider: &Provider, http: &reqwest::Client, url: Url, desk: &Desk) -> Result<Value, DiscoverError> {
    let mut headers: HeaderMap = provider.ready.headers.clone();
    for of_calls in [CONTENT_TYPE, HOST] {
        headers.remove(of_calls);
    }
    match &provider.credential {
        Credential::Signed(signer) => {
            let invalid = || DiscoverError::Address(super::root::invalid(&desk.base));
            let uri: Uri = url.as_str().parse().map_err(|_| invalid())?;
            let path = uri.path_and_query().ok_or_else(invalid)?;
            let host =
                uri.authority().and_then(|host| HeaderValue::from_str(host.as_str()).ok()).ok_or_else(invalid)?;
            let signed = signer.sign(&Method::GET, path, &HeaderMap::from_iter([(HOST, host)]), b"").await;
            headers.extend(signed.map_err(|error| DiscoverError::Credential(error.to_string()))?);
        }
        _ => {
            let token = provider.token().await.map_err(|failed| DiscoverError::Credential(failed.message))?;
            headers.extend(token);
        }
    }
    let send = async |headers: &HeaderMap| http.get(url.clone()).headers(headers.clone()).timeout(LIMIT).send().await;
    let mut response = send(&headers).await?;
    if response.status() == StatusCode::FORBIDDEN
        && let Some((name, value)) = &desk.header
        && !headers.contains_key(*name)
        && let Ok(value) = HeaderValue::from_str(value)
    {
        headers.insert(HeaderName::from_static(name), value);
        response = send(&headers).await?;
    }
    if !response.status().is_success() {
        return Err(DiscoverError::Status(response.status().as_u16()));
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        body.extend_from_slice(&chunk);
        if body.len() > LONGEST {
            return Err(DiscoverError::Shape);
        }
    }
    serde_json::from_slice(&body).map_err(|_| DiscoverError::Shape)
}

/// The names of an item. One of several members is written with their slashes.
fn names(name: Name, item: &Value, settings: &Settings) -> Vec<Arc<str>> {
    match name {
        Name::Of(name) => {
            let parts: Option<Vec<&str>> = name.split('/').map(|part| item.get(part)?.as_str()).collect();
            parts.map(|parts| Arc::from(plain(&parts.join("/")))).into_iter().collect()
        }
        Name::By(names) => names(item, settings).into_iter().map(Arc::from).collect(),
    }
}

/// Google lists resources, as `models/gemini-3-pro` and `publishers/google/models/gemini-3-pro`; a call names the model.
fn plain(name: &str) -> &str {
    match name.rsplit_once("models/") {
        Some((before, model)) if before.is_empty() || before.starts_with("publishers/") => model,
        _ => name,
    }
}
