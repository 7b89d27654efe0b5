//! Keys of AWS: fixed ones, or those that its chain of sources finds, kept and renewed before they expire.
//!
//! <https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html>

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use arc_swap::ArcSwapOption;
use aws_credential_types::Credentials;
use aws_smithy_runtime_api::client::identity::Identity;
use reqsign_aws_core::Credential;
use tokio::sync::Mutex;

use super::aws_chain::Chain;
use super::sigv4::seconds;
use super::token::TokenError;
use super::{Fetcher, missing};
use crate::call::Fault;
use crate::config::Invalid;
use crate::providers::settings::Settings;
use crate::providers::spec::Spec;

/// Who is asked, in messages for the operator.
pub(super) const WHO: &str = "AWS credentials";

/// How long before their end keys are renewed, at most; short-lived ones after four fifths of their life.
const MARGIN: Duration = Duration::from_secs(300);

/// How long to leave the sources alone that failed while the old keys are still good.
const PAUSE: Duration = Duration::from_secs(30);

/// How long one search may take: several sources may have to be asked.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long keys that do not say when they end are kept: a profile may be rewritten.
const UNTOLD: Duration = Duration::from_secs(900);

/// Where keys come from. No `Debug`: they are secrets. Clones share what has been found.
#[derive(Clone)]
pub struct Keys(Source);

#[derive(Clone)]
enum Source {
    Fixed(Identity),
    Found(Arc<Found>),
}

struct Found {
    chain: Chain,
    fetcher: Fetcher,
    held: ArcSwapOption<Held>,
    /// Searches that have ended; who waited while one ended takes its result, good or bad.
    ended: AtomicU64,
    /// Held while searching; the last failure, and when the sources may be asked again.
    turn: Mutex<Option<(TokenError, Instant)>>,
}

/// Keys, and until when they are good.
struct Held {
    identity: Identity,
    renew: Instant,
    end: Instant,
}

/// The region that requests are signed for.
pub(crate) fn region(settings: &Settings) -> &str {
    let in_host = || {
        let host = settings.get("base_url")?.split_once("://")?.1.split(['/', ':']).next()?;
        let mut labels = host.split('.');
        labels.find(|label| matches!(*label, "bedrock-runtime" | "bedrock-runtime-fips"))?;
        labels.next()
    };
    settings.get("region").or_else(in_host).unwrap_or("us-east-1")
}

/// What signs, of these keys.
pub(super) fn identity(keys: &Credential) -> Identity {
    let (id, secret) = (keys.access_key_id.clone(), keys.secret_access_key.clone());
    Credentials::new(id, secret, keys.session_token.clone(), None, "ferrogw").into()
}

impl Keys {
    /// Fixed ones.
    pub fn of(id: &str, secret: &str, token: Option<&str>) -> Self {
        let token = token.map(str::to_owned);
        Self(Source::Fixed(Credentials::new(id, secret, token, None, "ferrogw").into()))
    }

    /// Those that the settings give, or else the chain finds; with `assume_role_arn`, those of that role. Fails, naming
    /// the setting, if half of a pair is missing.
    pub fn from_settings(spec: &Spec, settings: &Settings, region: &str, fetcher: &Fetcher) -> Result<Self, Invalid> {
        let get = |name| settings.get(name).filter(|value| !value.is_empty());
        let fixed = match (get("access_key_id"), get("secret_access_key")) {
            (Some(id), Some(secret)) => Some(Credential {
                access_key_id: id.to_owned(),
                secret_access_key: secret.to_owned(),
                session_token: get("session_token").map(str::to_owned),
                expires_in: None,
            }),
            (Some(_), None) => return Err(missing(spec, "secret_access_key")),
            (None, Some(_)) => return Err(missing(spec, "access_key_id")),
            (None, None) => None,
        };
        if let (Some(fixed), None) = (&fixed, get("assume_role_arn")) {
            return Ok(Self(Source::Fixed(identity(fixed))));
        }
        let found = Found {
            chain: Chain::new(settings, region, fixed, fetcher),
            fetcher: fetcher.clone(),
            held: ArcSwapOption::empty(),
            ended: AtomicU64::new(0),
            turn: Mutex::new(None),
        };
        Ok(Self(Source::Found(Arc::new(found))))
    }

    /// What signs. Waits only if there are no good keys; some that are about to expire are renewed in the background.
    /// Fails if none can be had.
    pub async fn identity(&self) -> Result<Identity, TokenError> {
        let found = match &self.0 {
            Source::Fixed(identity) => return Ok(identity.clone()),
            Source::Found(found) => found,
        };
        let now = Instant::now();
        if let Some(held) = found.held.load().as_ref() {
            if now < held.renew {
                return Ok(held.identity.clone());
            }
            if now < held.end {
                if let Ok(turn) = found.turn.try_lock()
                    && turn.as_ref().is_none_or(|(_, again)| now >= *again)
                {
                    drop(turn);
                    drop(renew(found));
                }
                return Ok(held.identity.clone());
            }
        }
        let gone = |_| TokenError::new(WHO, "the gateway is shutting down".to_owned(), Fault::Unreachable);
        renew(found).await.map_err(gone)?
    }
}

/// Search on the background runtime, so that a caller who leaves takes nothing with him.
fn renew(found: &Arc<Found>) -> tokio::task::JoinHandle<Result<Identity, TokenError>> {
    let (me, ended) = (Arc::clone(found), found.ended.load(Ordering::Acquire));
    found.fetcher.spawn(async move { me.renewed(ended).await })
}

impl Found {
    async fn renewed(&self, ended: u64) -> Result<Identity, TokenError> {
        let mut turn = self.turn.lock().await;
        if self.ended.load(Ordering::Acquire) != ended {
            if let Some((error, _)) = turn.as_ref() {
                return Err(error.clone());
            }
            if let Some(held) = self.held.load().as_ref() {
                return Ok(held.identity.clone());
            }
        }
        let late = || TokenError::new(WHO, format!("no answer within {PATIENCE:?}"), Fault::Unreachable);
        let result = tokio::time::timeout(PATIENCE, self.chain.find()).await.unwrap_or_else(|_| Err(late()));
        self.ended.fetch_add(1, Ordering::Release);
        match result {
            Ok(keys) => {
                let identity = identity(&keys);
                self.held.store(Some(Arc::new(Held::of(identity.clone(), &keys))));
                *turn = None;
                Ok(identity)
            }
            Err(error) => {
                tracing::warn!(%error, "no keys");
                *turn = Some((error.clone(), Instant::now() + PAUSE));
                Err(error)
            }
        }
    }
}

impl Held {
    fn of(identity: Identity, keys: &Credential) -> Self {
        let life = match keys.expires_in {
            Some(end) => Duration::from_secs((end.as_second() - seconds(SystemTime::now())).max(0) as u64),
            None => UNTOLD,
        };
        let now = Instant::now();
        Self { identity, renew: now + life - MARGIN.min(life / 5), end: now + life }
    }
}
