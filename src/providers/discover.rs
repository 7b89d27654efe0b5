//! Which models a provider lists: asked in the background, never on the way of a call.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use http::header::{CONTENT_TYPE, HOST};
use serde_json::Value;

use super::Provider;
use super::spec::Discover;
use crate::config::Invalid;

/// A list takes no longer than this.
const LIMIT: Duration = Duration::from_secs(30);

/// No list is longer, bytes: OpenRouter's, the longest known, has less than one million.
const LONGEST: usize = 16 << 20;

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

/// The names of the models that a provider lists; `None` if it has no list to ask for.
pub async fn models(provider: &Provider, http: &reqwest::Client) -> Result<Option<BTreeSet<Arc<str>>>, DiscoverError> {
    let Some(place) = provider.place.as_ref().filter(|_| provider.tape().is_none()) else { return Ok(None) };
    let fill = |path: &str| provider.settings.fill(path).map_err(DiscoverError::Address);
    let (url, member, name) = match provider.spec.discover {
        Discover::Known(_) => return Ok(None),
        Discover::List(path) => (format!("{}{}", place.base, fill(path)?), "data", "id"),
        Discover::Under(path, member, name) => (format!("{}{}", place.base, fill(path)?), member, name),
        Discover::Host(path, member, name) => {
            let host: String = place.base.splitn(4, '/').take(3).collect::<Vec<_>>().join("/");
            (format!("{host}{}", fill(path)?), member, name)
        }
    };
    let mut headers: HeaderMap = provider.ready.headers.clone();
    for of_calls in [CONTENT_TYPE, HOST] {
        headers.remove(of_calls);
    }
    if let Some((name, value)) = provider.token().await.map_err(|failed| DiscoverError::Credential(failed.message))? {
        headers.insert(name, value);
    }
    let mut response = http.get(url).headers(headers).timeout(LIMIT).send().await?;
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
    let list: Value = serde_json::from_slice(&body).map_err(|_| DiscoverError::Shape)?;
    names(&list, member, name).map(Some).ok_or(DiscoverError::Shape)
}

/// The names in a list: a bare array, or one under `member`. A name of several members is written with their slashes.
fn names(list: &Value, member: &str, name: &str) -> Option<BTreeSet<Arc<str>>> {
    let items = list.as_array().or_else(|| list.get(member)?.as_array())?;
    let whole = |item: &Value| {
        let parts: Option<Vec<&str>> = name.split('/').map(|part| item.get(part)?.as_str()).collect();
        Some(Arc::from(plain(&parts?.join("/"))))
    };
    Some(items.iter().filter_map(whole).collect())
}

/// Google lists resources, as `models/gemini-3-pro` and `publishers/google/models/gemini-3-pro`; a call names the model.
fn plain(name: &str) -> &str {
    match name.rsplit_once("models/") {
        Some((before, model)) if before.is_empty() || before.starts_with("publishers/") => model,
        _ => name,
    }
}
