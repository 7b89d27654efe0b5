//! The keys of a target that has several: used in turn, and set aside for a while when the provider refuses one.
//!
//! Nothing here tells a key: it is known by its place in the list.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderValue};

use super::Provider;
use super::auth::{self, Credential, Fetcher};
use super::cooling::{Reason, State};
use super::fault;
use super::lines::Ready;
use super::receive::Got;
use super::settings::Settings;
use super::spec::{Place, Spec};
use super::trace::Trace;
use crate::call::{Call, Error, Fault, Upstream};
use crate::config::{Invalid, MOST_KEYS, Secret};

/// The keys of a pool that were tried, a bit each.
type Tried = u128;

const _: () = assert!(MOST_KEYS <= Tried::BITS as usize);

/// So many keys may be refused for one request with 403 before it is the request that is at fault.
const FORBIDDEN: usize = 3;

/// The keys of one target.
pub struct Pool {
    members: Box<[Member]>,
    turn: AtomicUsize,
}

/// One key. What is known of it is shared with the pools of configurations before and after.
struct Member {
    ready: Ready,
    value: HeaderValue,
    state: Arc<State>,
}

/// A key of a pool, as it is shown: without itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// Its place in the list, from 0.
    pub index: u8,
    /// How long it still rests.
    pub cooling: Option<Duration>,
    /// Why, as [`Fault::code`].
    pub reason: Option<&'static str>,
}

impl Pool {
    /// The pool of a target with these fields of every request; `None` if it has no list of keys. Fails where
    /// the provider takes no such keys, and where a header of the target takes their place.
    pub(super) fn build(
        spec: &Spec,
        settings: &Settings,
        keys: &[Secret],
        place: &Place,
        headers: &HeaderMap,
        fetcher: &Fetcher,
    ) -> Result<Option<Self>, Invalid> {
        let mut members: Vec<Member> = Vec::with_capacity(keys.len());
        for (at, key) in keys.iter().enumerate() {
            let credential = auth::credential(spec, &settings.with_key(key), place, fetcher)?;
            let Credential::Fixed(name, value) = credential else {
                let message = format!("`{}` takes no list of keys: make each account a target of its own", spec.id);
                return Err(Invalid::at("api_key", message));
            };
            if at == 0 && headers.get(&name) != Some(&value) {
                let message = "takes the place of the keys in the list `api_key`: remove one of the two";
                return Err(Invalid::at(format!("headers.{name}"), message));
            }
            let mut headers = headers.clone();
            headers.insert(name, value.clone());
            members.push(Member { ready: Ready::new(headers, spec.dialect), value, state: Arc::default() });
        }
        Ok((!members.is_empty()).then(|| Self { members: members.into(), turn: AtomicUsize::new(0) }))
    }

    /// Keep what another pool knows about keys that both have.
    pub(super) fn inherit(&mut self, old: &Pool) {
        for member in &mut self.members {
            if let Some(known) = old.members.iter().find(|known| known.value == member.value) {
                member.state = known.state.clone();
            }
        }
    }

    /// The key to use: the preferred one if it does not rest, else the next in turn of those that do not.
    pub fn pick(&self, now: Instant, prefer: Option<u8>) -> Option<u8> {
        self.choose(now, prefer, 0)
    }

    /// How many keys there are.
    pub fn size(&self) -> u8 {
        u8::try_from(self.members.len()).unwrap_or(u8::MAX)
    }

    /// How long it takes until a key can be used, if all of them rest.
    pub fn all_cooling(&self, now: Instant) -> Option<Duration> {
        let rests = self.members.iter().map(|member| member.state.cooling(now).map(|(left, _)| left));
        rests.min().flatten()
    }

    /// What there is to say of each key.
    pub fn report(&self, now: Instant) -> Vec<Key> {
        let states = self.members.iter().map(|member| member.state.cooling(now));
        let report = (0_u8..).zip(states).map(|(index, rest)| Key {
            index,
            cooling: rest.map(|(left, _)| left),
            reason: rest.map(|(_, reason)| reason.fault().code()),
        });
        report.collect()
    }

    /// What a request with this key is sent with.
    pub(super) fn ready(&self, key: u8) -> Option<&Ready> {
        self.members.get(usize::from(key)).map(|member| &member.ready)
    }

    fn choose(&self, now: Instant, prefer: Option<u8>, tried: Tried) -> Option<u8> {
        let fresh = |at: u8| {
            let member = self.members.get(usize::from(at))?;
            (tried & (1 << at) == 0 && member.state.cooling(now).is_none()).then_some(at)
        };
        if let Some(preferred) = prefer.and_then(fresh) {
            return Some(preferred);
        }
        let all = || (0_u8..).take(self.members.len()).filter_map(fresh);
        let count = all().count();
        if count == 0 {
            return None;
        }
        // in turn among those that do not rest, lest the neighbour of one that does gets its share
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % count;
        // another request may have put one to rest since
        all().nth(turn).or_else(|| all().next())
    }

    /// Ask with one key after the other, each at most once, until it is no key that is refused.
    pub(super) async fn ask(
        &self,
        provider: &Provider,
        call: &Call,
        model: &str,
        trace: &mut Trace<'_>,
    ) -> Result<Got, Error> {
        let (mut tried, mut last): (Tried, Option<Box<Upstream>>) = (0, None);
        let mut forbidden: Vec<(u8, Instant)> = Vec::new();
        loop {
            let since = Instant::now();
            let Some(at) = self.choose(since, trace.prefer, tried) else {
                return Err(self.spent(provider, last, since));
            };
            let member = &self.members[usize::from(at)];
            (trace.key, tried) = (Some(at), tried | 1 << at);
            if last.is_some() {
                trace.warnings.clear();
                if let Some(metrics) = trace.metrics {
                    metrics.key_switched(provider.spec.id, &provider.target);
                }
            }
            let failed = match provider.ask_with(&member.ready, call, model, trace.warnings).await {
                Ok(got) => {
                    member.state.served(since);
                    // what one key may and others may not is the others' fault
                    for (at, since) in forbidden {
                        self.cool(provider, at, since, (Reason::Forbidden, None), trace);
                    }
                    return Ok(got);
                }
                Err(Error::Upstream(failed)) => failed,
                Err(error) => return Err(error),
            };
            match Reason::of(&failed) {
                Some(Reason::Forbidden) => forbidden.push((at, since)),
                Some(reason) => self.cool(provider, at, since, (reason, failed.retry_after), trace),
                None => return Err(failed.into()),
            }
            if forbidden.len() >= FORBIDDEN {
                return Err(failed.into());
            }
            last = Some(failed);
        }
    }

    fn cool(
        &self,
        provider: &Provider,
        at: u8,
        since: Instant,
        (reason, hint): (Reason, Option<Duration>),
        trace: &Trace<'_>,
    ) {
        let state = &self.members[usize::from(at)].state;
        let Some(rest) = state.cool(reason, hint, since, Instant::now()) else { return };
        let (target, code) = (&provider.target, reason.fault().code());
        tracing::warn!(%target, key = at, code, ?rest, "a key cools down");
        if let Some(metrics) = trace.metrics {
            metrics.key_cools(provider.spec.id, target, at, code);
        }
    }

    /// No key is left to try: the last failure, or one of ours if all of them rest. It says when the first is back.
    fn spent(&self, provider: &Provider, last: Option<Box<Upstream>>, now: Instant) -> Error {
        let back = self.all_cooling(now);
        if let Some(mut failed) = last {
            failed.retry_after = back.filter(|_| failed.fault == Fault::RateLimited).or(failed.retry_after);
            return failed.into();
        }
        let rests = self.members.iter().filter_map(|member| member.state.cooling(now));
        // a limit passes by itself: if there is one, it is what the caller waits for
        let first = rests.min_by_key(|(left, reason)| (*reason != Reason::Limited, *left));
        let reason = first.map_or(Reason::Limited, |(_, reason)| reason);
        let message = match self.members.len() {
            1 => "the one key of the target cools down".to_owned(),
            all => format!("all {all} keys of the target cool down"),
        };
        let mut failed = fault::ours(provider, reason.fault(), message);
        // `failover_on` and `on_status_codes` go by what the provider has said before
        (failed.status, failed.retry_after) = (Some(reason.status()), back);
        failed.into()
    }
}
