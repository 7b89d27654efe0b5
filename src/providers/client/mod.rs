//! The client of the data path: HTTP/1.1 spoken inside the request's own task, on connections pooled per worker.
//!
//! [`Client`] knows what all upstreams share (roots of trust, egress proxies, workers), [`Origin`] is one upstream host
//! with its connections, [`Answer`] what it says. No task is spawned and no channel crosses tasks: whoever
//! awaits an answer or reads a body drives the connection. HTTP/2, for targets that ask for it, is the exception: a
//! connection that is shared has a task. Redirects are never followed.

mod body;
mod connect;
mod error;
mod fields;
mod framing;
mod head;
mod http2;
mod link;
mod origin;
mod outgoing;
mod pool;
mod stream;
mod switch;
mod tls;

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use http::uri::Scheme;
use http::{HeaderValue, Uri};
use hyper_util::client::proxy::matcher::Matcher;
use rustls::ClientConfig;
use rustls::pki_types::{CertificateDer, ServerName};

pub use self::body::Incoming;
use self::connect::{Place, Proxy, Tls, Way};
pub use self::error::{Phase, SendError};
pub use self::fields::{Fields, Lines};
use self::origin::Keep;
pub use self::origin::{Answer, Origin, Protocol, Timeouts};
pub use self::outgoing::{Outgoing, Pieces};
use self::pool::Shard;
pub use self::switch::{Raw, Switched};
use super::tape::Recorder;

/// What all upstreams share.
#[derive(Clone, Debug)]
pub struct Options {
    /// Number of workers, each with connections of its own. At least 1.
    pub workers: usize,
    /// The index of the worker we are on; anything outside workers is 0.
    pub worker: fn() -> usize,
    /// Most connections at rest per worker and upstream.
    pub resting: usize,
    /// How long a connection may rest before it is closed.
    pub resting_age: Duration,
    /// Egress proxies.
    pub egress: Egress,
    /// A PEM file of certificates to trust beside the system's and the built-in ones.
    pub ca_file: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            workers: 1,
            worker: || 0,
            resting: 1024,
            resting_age: Duration::from_secs(90),
            egress: Egress::default(),
            ca_file: None,
        }
    }
}

/// The values of the usual proxy variables: URLs with `http` or `https`, which may hold a user and a password.
#[derive(Clone, Default)]
pub struct Egress {
    /// `HTTP_PROXY`
    pub http: Option<String>,
    /// `HTTPS_PROXY`
    pub https: Option<String>,
    /// `ALL_PROXY`, for schemes without one of their own.
    pub all: Option<String>,
    /// `NO_PROXY`: hosts, domains, addresses and networks, separated by commas.
    pub no: Option<String>,
}

impl fmt::Debug for Egress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The URLs may hold passwords.
        f.debug_struct("Egress").field("no", &self.no).finish_non_exhaustive()
    }
}

/// Why there is no client for these settings.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// A proxy variable cannot be used. Its value is not shown: it may hold a password.
    #[error("{0}: not the http or https URL of a proxy")]
    Proxy(&'static str),
    /// The file of additional certificates cannot be used.
    #[error("{}: {cause}", path.display())]
    CaFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: Box<str>,
    },
    /// TLS cannot be set up.
    #[error("tls: {0}")]
    Tls(#[from] rustls::Error),
    /// The base URL is not one of an upstream.
    #[error("base url: {0}")]
    Base(&'static str),
}

/// What all upstreams share, and a list of them: one per process. A clone is the same client.
#[derive(Clone)]
pub struct Client(Arc<Shared>, Option<Recorder>);

struct Shared {
    keep: Keep,
    workers: usize,
    proxies: Matcher,
    extra_roots: Vec<CertificateDer<'static>>,
    /// Built for the first upstream that needs it: reading the system's roots takes milliseconds and memory.
    tls: OnceLock<Arc<ClientConfig>>,
    /// The same for HTTP/2.
    tls_http2: OnceLock<Arc<ClientConfig>>,
    origins: Mutex<Vec<Weak<Origin>>>,
}

impl Client {
    /// A client without upstreams. Fails when a proxy or the file of certificates cannot be used.
    pub fn new(options: Options) -> Result<Self, Unusable> {
        let Options { workers, worker, resting, resting_age, egress, ca_file } = options;
        let extra_roots = ca_file.map(tls::read).transpose()?.unwrap_or_default();
        let shared = Arc::new(Shared {
            keep: Keep { limit: resting, age: resting_age, worker },
            workers: workers.max(1),
            proxies: matcher(&egress)?,
            extra_roots,
            tls: OnceLock::new(),
            tls_http2: OnceLock::new(),
            origins: Mutex::default(),
        });
        Ok(Self(shared, None))
    }

    /// The same client, whose exchanges are recorded.
    #[must_use]
    pub fn recorded_by(self, recorder: Option<Recorder>) -> Self {
        Self(self.0, recorder)
    }

    /// What records its exchanges.
    pub fn recorder(&self) -> Option<&Recorder> {
        self.1.as_ref()
    }

    /// The upstream at `base`, of which scheme, host and port matter; the one that exists already if its timeouts and its
    /// protocol are the same, so that a reload keeps its connections.
    pub fn origin(&self, base: &Uri, timeouts: Timeouts, protocol: Protocol) -> Result<Arc<Origin>, Unusable> {
        let scheme = base.scheme().ok_or(Unusable::Base("no scheme"))?.clone();
        let host = base.host().filter(|host| !host.is_empty()).ok_or(Unusable::Base("no host"))?;
        let secure = scheme == Scheme::HTTPS;
        if !secure && scheme != Scheme::HTTP {
            return Err(Unusable::Base("the scheme must be http or https"));
        }
        let usual = if secure { 443 } else { 80 };
        let to = place(host, base.port_u16().unwrap_or(usual));
        let mut origins = self.0.origins.lock().unwrap_or_else(PoisonError::into_inner);
        origins.retain(|origin| origin.strong_count() > 0);
        let same = |origin: &Arc<Origin>| {
            origin.scheme == scheme
                && origin.way.to.name == to.name
                && origin.timeouts == timeouts
                && origin.way.protocol == protocol
        };
        if let Some(origin) = origins.iter().filter_map(Weak::upgrade).find(same) {
            return Ok(origin);
        }
        let authority = if to.port == usual { host.to_owned() } else { format!("{host}:{}", to.port) };
        let bad = |_invalid| Unusable::Base("the host is not valid");
        let host = HeaderValue::from_str(&authority).map_err(|_invalid| Unusable::Base("the host is not valid"))?;
        let tls = secure.then(|| self.tls(&to, protocol)).transpose()?;
        let way = Way { tls, proxy: self.proxy(base, &to)?, to, protocol };
        let shards = (0..self.0.workers).map(|_| Shard::default()).collect();
        let lanes = if protocol == Protocol::Http2 { self.0.workers } else { 0 };
        let lanes = (0..lanes).map(|_| Arc::default()).collect();
        let authority = authority.parse().map_err(bad)?;
        let origin = Arc::new(Origin { scheme, authority, way, host, timeouts, keep: self.0.keep, shards, lanes });
        origins.push(Arc::downgrade(&origin));
        Ok(origin)
    }

    /// [`Origin::sweep`] for every upstream in use. Call it every few seconds.
    pub fn sweep(&self, now: Instant) {
        let origins: Vec<_> = {
            let origins = self.0.origins.lock().unwrap_or_else(PoisonError::into_inner);
            origins.iter().filter_map(Weak::upgrade).collect()
        };
        for origin in origins {
            origin.sweep(now);
        }
    }

    fn tls(&self, to: &Place, protocol: Protocol) -> Result<Tls, Unusable> {
        let server = ServerName::try_from(to.host.to_string());
        let server = server.map_err(|_invalid| Unusable::Base("the host is not valid in a certificate"))?;
        let config = match self.0.tls.get() {
            Some(config) => config.clone(),
            None => {
                let config = tls::config(&self.0.extra_roots)?;
                self.0.tls.get_or_init(|| config).clone()
            }
        };
        let config = match protocol {
            Protocol::Http1 => config,
            Protocol::Http2 => self.0.tls_http2.get_or_init(|| tls::for_http2(&config)).clone(),
        };
        Ok(Tls { config, server })
    }

    /// The proxy that requests to `base` take, if any. This machine is never reached through one.
    fn proxy(&self, base: &Uri, to: &Place) -> Result<Option<Proxy>, Unusable> {
        let is_here = match to.host.parse::<std::net::IpAddr>() {
            Ok(address) => address.is_loopback(),
            Err(_name) => &*to.host == "localhost" || to.host.ends_with(".localhost"),
        };
        let Some(proxy) = self.0.proxies.intercept(base).filter(|_| !is_here) else { return Ok(None) };
        let uri = proxy.uri();
        let secure = uri.scheme() == Some(&Scheme::HTTPS);
        let place = place(uri.host().unwrap_or_default(), uri.port_u16().unwrap_or(if secure { 443 } else { 80 }));
        let tls = secure.then(|| self.tls(&place, Protocol::Http1)).transpose()?;
        Ok(Some(Proxy { place, tls, auth: proxy.basic_auth().cloned() }))
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("workers", &self.0.workers).finish_non_exhaustive()
    }
}

fn place(host: &str, port: u16) -> Place {
    Place { name: format!("{host}:{port}").into(), host: host.trim_matches(['[', ']']).into(), port }
}

/// The matcher of these variables. A value that it would silently ignore is refused here.
fn matcher(egress: &Egress) -> Result<Matcher, Unusable> {
    let Egress { http, https, all, no } = egress;
    let anywhere = Uri::from_static("http://upstream.invalid/");
    for (name, value) in [("HTTP_PROXY", http), ("HTTPS_PROXY", https), ("ALL_PROXY", all)] {
        let Some(value) = value.as_deref().filter(|value| !value.is_empty()) else { continue };
        let proxy = Matcher::builder().all(value).build().intercept(&anywhere);
        let scheme = proxy.as_ref().and_then(|proxy| proxy.uri().scheme_str());
        if !matches!(scheme, Some("http" | "https")) {
            return Err(Unusable::Proxy(name));
        }
    }
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    Ok(Matcher::builder().http(text(http)).https(text(https)).all(text(all)).no(text(no)).build())
}
