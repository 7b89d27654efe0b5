//! Media that callers give by address, fetched for providers that take them only as data.
//!
//! Rows say by [`Spec::fetches`](super::spec::Spec::fetches) which they need so. What is fetched stands in the copy of the call that this target
//! is asked with; the call itself keeps the addresses, for whoever is asked next.

mod address;
mod fetch;
mod guard;
mod shelf;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use futures_util::future::{BoxFuture, Shared, WeakShared};
use futures_util::stream;
use futures_util::{FutureExt, StreamExt};
use reqwest::Url;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::task::AbortOnDropHandle;

use self::fetch::Limits;
use self::guard::{Guard, SEND_DATA, Why};
use self::shelf::Shelf;
use super::Provider;
use super::auth::Fetcher;
use super::notes::Notes;
use crate::call::{Body, Call, Error, Op};
use crate::config;
use crate::wire::Object;
use crate::wire::media::{self, Kind, Medium};

/// The most KiB of fetched media that calls under way hold together.
const ROOM: usize = 512 << 10;

/// How many media of one request are fetched at once.
const AT_ONCE: usize = 4;

/// The most different media that one request may have fetched.
const MOST: usize = 100;

/// Who fetches media: shared by all targets of a configuration, and by the next one if it says the same. The default
/// fetches nothing.
#[derive(Default)]
pub struct Media(Option<Arc<Open>>);

struct Open {
    guard: Arc<Guard>,
    http: reqwest::Client,
    limits: Limits,
    /// The most bytes of a request with its media in it.
    request: usize,
    slots: Semaphore,
    /// What calls under way may hold, a permit a KiB.
    room: Arc<Semaphore>,
    runtime: Fetcher,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    shelf: Shelf,
    /// Those that are under way, for as long as somebody waits for them.
    flights: HashMap<Arc<str>, WeakShared<Flight>>,
}

type Flight = BoxFuture<'static, Result<Arc<Medium>, Why>>;

/// A call with its media in it, and the room it takes as long as it is there.
pub struct Fetched {
    /// The call.
    pub call: Call,
    _room: OwnedSemaphorePermit,
}

/// A part of a request that has to be fetched before its provider can be asked.
#[derive(Debug)]
pub struct Wanted {
    place: String,
    kind: Kind,
    url: String,
}

impl Media {
    /// Fetch as the configuration says, on the runtime of `runtime`, if it says so at all; `http` is what clients are made
    /// of, with the certificates that are trusted. `request` is the most bytes of a request with its media in it. Egress
    /// proxies are passed by: they look names up again, and nobody could tell where a request ends.
    ///
    /// # Errors
    /// When there is no client to be made.
    pub fn of(
        fetch: &config::Fetch,
        request: usize,
        http: reqwest::ClientBuilder,
        runtime: Fetcher,
    ) -> Result<Self, reqwest::Error> {
        let guard = Guard::of(fetch);
        let http = http
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .dns_resolver(guard.clone())
            // each fetch has a connection of its own, to an address that was judged for it
            .pool_max_idle_per_host(0)
            .http1_only()
            .gzip(false)
            .referer(false)
            .build()?;
        let bytes = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        Ok(Self(Some(Arc::new(Open {
            guard,
            http,
            limits: Limits { bytes: bytes(fetch.max_bytes), time: fetch.timeout },
            request,
            slots: Semaphore::new(fetch.concurrency),
            room: Arc::new(Semaphore::new(ROOM)),
            runtime,
            state: Mutex::new(State { shelf: Shelf::new(bytes(fetch.cache_bytes)), ..State::default() }),
        }))))
    }
}

impl Open {
    /// What stands at an address, known or fetched: once for all who want it at the same time.
    async fn get(self: Arc<Self>, url: Url) -> Result<Arc<Medium>, Why> {
        let key: Arc<str> = url.as_str().into();
        let flight: Shared<Flight> = {
            let mut state = self.lock();
            if let Some(medium) = state.shelf.get(&key, Instant::now()) {
                return Ok(medium);
            }
            match state.flights.get(&key).and_then(WeakShared::upgrade) {
                Some(flight) => flight,
                None => {
                    let flight = self.clone().launch(key.clone(), url).boxed().shared();
                    state.flights.retain(|_, flight| flight.upgrade().is_some());
                    state.flights.extend(flight.downgrade().map(|weak| (key, weak)));
                    flight
                }
            }
        };
        flight.await
    }

    /// Fetch it beside the workers; when nobody waits any more, it is given up.
    async fn launch(self: Arc<Self>, key: Arc<str>, url: Url) -> Result<Arc<Medium>, Why> {
        let open = self.clone();
        let task = async move {
            let Ok(_slot) = tokio::time::timeout(open.limits.time, open.slots.acquire()).await else {
                open.lock().flights.remove(&key);
                return Err(Why::new("was not fetched, since too many others are", SEND_DATA));
            };
            let fetched = fetch::fetch(&open.guard, &open.http, open.limits, url).await;
            let mut state = open.lock();
            state.flights.remove(&key);
            let (medium, keep) = fetched?;
            let medium = Arc::new(medium);
            if keep {
                state.shelf.put(key, medium.clone(), Instant::now());
            }
            Ok(medium)
        };
        let task = AbortOnDropHandle::new(self.runtime.spawn(task));
        task.await.unwrap_or_else(|_panic| Err(Why::new("could not be read", SEND_DATA)))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Read and judge an address.
    fn judged(&self, url: &str) -> Result<Url, Why> {
        let mut url: Url = url.parse().map_err(|_| Why::new("is no address", SEND_DATA))?;
        url.set_fragment(None);
        self.guard.admits(&url)?;
        Ok(url)
    }
}

impl Provider {
    /// What has to be fetched before this provider can be asked for a call: `None` where it takes addresses itself, or
    /// there are none, which most calls find out by a branch.
    #[inline]
    pub fn wants(&self, call: &Call, model: &str) -> Option<Vec<Wanted>> {
        let fetches = self.spec.fetches?;
        wanted(fetches, call, model)
    }

    /// The call with what it wants in the place of the addresses. Fails as the caller's fault on what can't be had; the
    /// provider is not asked then.
    pub async fn fetched(&self, call: &Call, wanted: Vec<Wanted>) -> Result<Fetched, Error> {
        let open = self.open(&wanted)?;
        let mut urls: Vec<(&str, Vec<&Wanted>)> = Vec::new();
        for one in &wanted {
            match urls.iter_mut().find(|(url, _)| *url == one.url) {
                Some((_, of)) => of.push(one),
                None => urls.push((&one.url, vec![one])),
            }
        }
        // all are judged before the first is fetched
        let judged = urls.iter().map(|(url, of)| Ok((open.judged(url).map_err(|why| of[0].refused(&why))?, of)));
        let judged = judged.collect::<Result<Vec<_>, Error>>()?;
        // a request leaves slots to others
        let fetches: Vec<_> =
            judged.into_iter().map(|(url, of)| open.clone().get(url).map(move |got| (of, got))).collect();
        let mut flights = stream::iter(fetches).buffer_unordered(AT_ONCE);
        let mut bytes = call.body.size();
        let mut found: HashMap<&str, Arc<Medium>> = HashMap::new();
        while let Some((of, got)) = flights.next().await {
            let medium = got.map_err(|why| of[0].refused(&why))?;
            bytes = bytes.saturating_add(medium.base64.len().saturating_mul(of.len()));
            if bytes > open.request {
                let said = format!("would make the request larger than {} bytes", open.request);
                let mend = "give fewer or smaller ones, or let the operator raise `max_request_bytes`";
                return Err(of[0].refused(&Why::new(said, mend)));
            }
            found.insert(&of[0].url, medium);
        }
        let wants: HashMap<&str, &Medium> =
            wanted.iter().filter_map(|one| Some((one.place.as_str(), &**found.get(one.url.as_str())?))).collect();
        let added = bytes.saturating_sub(call.body.size()).div_ceil(1024).min(ROOM);
        let room = open.room.clone().try_acquire_many_owned(u32::try_from(added).unwrap_or(u32::MAX));
        let room = room.map_err(|_full| Error::Saturated(self.target.clone()))?;
        Ok(Fetched { call: with(call, &wants), _room: room })
    }

    /// The call as it would be with what it wants, which is not fetched: in its place stands where it would come from.
    /// Fails on what would not be fetched.
    pub(super) fn foreseen(&self, call: &Call, model: &str, warnings: &mut Vec<String>) -> Result<Option<Call>, Error> {
        let Some(wanted) = self.wants(call, model) else { return Ok(None) };
        let open = self.open(&wanted)?;
        let mut notes: Notes<'_> = self.notes(model, call.stream, warnings);
        let mut media = Vec::with_capacity(wanted.len());
        for one in &wanted {
            let url = open.judged(&one.url).map_err(|why| one.refused(&why))?;
            media.push(Medium::unseen(one.kind, url.path(), &shown(&url)));
            notes.warn(&one.place, "would_be_fetched");
        }
        let wants = wanted.iter().map(|one| one.place.as_str()).zip(&media).collect();
        Ok(Some(with(call, &wants)))
    }

    /// Who fetches. Fails where nobody does, or too much is wanted.
    fn open(&self, wanted: &[Wanted]) -> Result<&Arc<Open>, Error> {
        let Some(open) = &self.media.0 else {
            let (param, provider) = (wanted.first().map(|one| one.place.clone()).unwrap_or_default(), self.spec.id);
            let url = wanted.first().map(Wanted::shown).unwrap_or_default();
            let message = format!(
                "{provider} takes this only as data, and `{url}` is an address: {SEND_DATA}, or let the operator set \
                 `media.fetch.enabled`, so that the gateway fetches it"
            );
            return Err(Error::Media { param, message });
        };
        let mut urls: Vec<&str> = wanted.iter().map(|one| one.url.as_str()).collect();
        urls.sort_unstable();
        urls.dedup();
        match wanted.get(MOST) {
            Some(one) if urls.len() > MOST => {
                Err(one
                    .refused(&Why::new(format!("is one of more than {MOST}"), format!("give fewer, or {SEND_DATA}"))))
            }
            _ => Ok(open),
        }
    }
}

impl Wanted {
    fn refused(&self, why: &Why) -> Error {
        let message = format!("`{}` is not fetched: it {}; {}", self.shown(), why.said, why.mend);
        Error::Media { param: self.place.clone(), message }
    }

    fn shown(&self) -> String {
        self.url.parse().map_or_else(|_| "the address".to_owned(), |url| shown(&url))
    }
}

/// An address without what may be secret in it: user, password, query and fragment.
fn shown(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    let path: String = url.path().chars().take(200).collect();
    format!("{}://{}{port}{path}", url.scheme(), url.host_str().unwrap_or_default())
}

/// Where messages stand in the body of an operation.
fn list(op: Op) -> Option<&'static str> {
    match op {
        Op::Chat => Some("messages"),
        Op::Respond => Some("input"),
        _ => None,
    }
}

fn wanted(fetches: fn(&str, Kind, &str) -> bool, call: &Call, model: &str) -> Option<Vec<Wanted>> {
    let (Some(list), Body::Json(body), None) = (list(call.op), &call.body, &call.passage) else { return None };
    if !media::may_hold(body, list) {
        return None;
    }
    let (mut body, mut wanted) = (Object::clone(body), Vec::new());
    media::replace(&mut body, list, &mut |link| {
        if fetches(model, link.kind, link.url) {
            wanted.push(Wanted { place: link.place.to_owned(), kind: link.kind, url: link.url.to_owned() });
        }
        None
    });
    (!wanted.is_empty()).then_some(wanted)
}

/// The call with media in the places that want them.
fn with(call: &Call, wants: &HashMap<&str, &Medium>) -> Call {
    let mut call = call.clone();
    if let (Some(list), Body::Json(body)) = (list(call.op), &mut call.body) {
        media::replace(body, list, &mut |link| wants.get(link.place).copied());
    }
    call
}
