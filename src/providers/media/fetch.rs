//! One medium, fetched: redirects followed by hand and judged each, bytes counted, and known by the first of them.

use std::error::Error as _;
use std::time::Duration;

use reqwest::header::{ACCEPT, CACHE_CONTROL, LOCATION};
use reqwest::{Client, Response, Url};

use super::guard::{Guard, SEND_DATA, Why};
use super::shown;
use crate::config::render_duration;
use crate::wire::media::{self, Medium};

/// The most redirects.
const REDIRECTS: usize = 3;

/// What one fetch may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// The most bytes.
    pub(super) bytes: usize,
    /// The longest time, redirects included.
    pub(super) time: Duration,
}

/// Fetch what stands at an address, and say whether it may be kept. Fails on what is not there, not let in, too long, too
/// slow, or none of the kinds that are taken.
pub(super) async fn fetch(guard: &Guard, http: &Client, limits: Limits, url: Url) -> Result<(Medium, bool), Why> {
    let fetched = tokio::time::timeout(limits.time, content(guard, http, limits.bytes, url)).await;
    let (content, keep) = fetched.map_err(|_late| {
        let said = format!("did not answer in whole within {}", render_duration(limits.time));
        Why::new(said, format!("{SEND_DATA}, or let the operator raise `media.fetch.timeout`"))
    })??;
    // to encode 20 MiB takes a while, which others on this thread should not have to wait
    let encoded = tokio::task::spawn_blocking(move || Medium::of(&content)).await;
    let medium = encoded.ok().flatten().ok_or_else(strange)?;
    Ok((medium, keep))
}

async fn content(guard: &Guard, http: &Client, most: usize, first: Url) -> Result<(Vec<u8>, bool), Why> {
    let mut url = first;
    for hop in 0..=REDIRECTS {
        // what is wrong further on is told of the place it was sent to
        let told = |url: &Url, why: Why| match hop {
            0 => why,
            _ => Why { said: format!("redirects to `{}`, which {}", shown(url), why.said).into(), ..why },
        };
        guard.admits(&url).map_err(|why| told(&url, why))?;
        let response =
            http.get(url.clone()).header(ACCEPT, "*/*").send().await.map_err(|error| told(&url, lost(&error)))?;
        // the resolver has seen to it; nothing is read from elsewhere, should that ever fail
        if let (Some(peer), Some(host)) = (response.remote_addr(), url.host_str()) {
            guard.admits_peer(&super::guard::plain(host), peer.ip()).map_err(|why| told(&url, why))?;
        }
        if response.status().is_redirection() {
            let next = response.headers().get(LOCATION).and_then(|to| url.join(to.to_str().ok()?).ok());
            url = next.ok_or_else(|| told(&url, Why::new("redirects to nowhere", SEND_DATA)))?;
            continue;
        }
        if !response.status().is_success() {
            let said = format!("answers with status {}", response.status().as_u16());
            return Err(told(&url, Why::new(said, format!("give an address that answers, or {SEND_DATA}"))));
        }
        return read(response, most).await.map_err(|why| told(&url, why));
    }
    Err(Why::new(format!("redirects more than {REDIRECTS} times"), format!("give the last address, or {SEND_DATA}")))
}

async fn read(mut response: Response, most: usize) -> Result<(Vec<u8>, bool), Why> {
    let too_long = || {
        let said = format!("has more than {most} bytes");
        Why::new(said, "give a smaller one, or let the operator raise `media.fetch.max_bytes`")
    };
    let length = response.content_length().unwrap_or_default();
    if length > most as u64 {
        return Err(too_long());
    }
    let private = response.headers().get_all(CACHE_CONTROL).iter().any(|value| {
        let value = value.to_str().unwrap_or_default().to_ascii_lowercase();
        value.contains("no-store")
    });
    let mut content = Vec::with_capacity(usize::try_from(length).unwrap_or_default().min(most));
    let mut is_known = false;
    while let Some(chunk) = response.chunk().await.map_err(|error| lost(&error))? {
        if content.len() + chunk.len() > most {
            return Err(too_long());
        }
        content.extend_from_slice(&chunk);
        if !is_known && content.len() >= media::HEAD {
            media::sniff(&content).ok_or_else(strange)?;
            is_known = true;
        }
    }
    media::sniff(&content).ok_or_else(strange)?;
    Ok((content, !private))
}

fn strange() -> Why {
    Why::new(format!("is, by its first bytes, none of {}", media::TAKEN), "give one of these")
}

/// Why there was no answer, or not the whole of it. What the guard has said stands somewhere below.
fn lost(error: &reqwest::Error) -> Why {
    let mut source = error.source();
    while let Some(cause) = source {
        if let Some(why) = cause.downcast_ref::<Why>() {
            return why.clone();
        }
        source = cause.source();
    }
    let said = if error.is_connect() {
        "cannot be reached"
    } else if error.is_body() || error.is_decode() {
        "broke off"
    } else {
        "did not answer in HTTP"
    };
    Why::new(said, format!("give an address that answers, or {SEND_DATA}"))
}
