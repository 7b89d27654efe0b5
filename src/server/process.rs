//! A whole gateway: configuration, telemetry, clients and server put together, and the work behind them.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use super::background::Behind;
use super::reload::{Again, Follow, Reloader};
use super::{BindError, Handle, Options, Stop, Threads, background, build};
use crate::call::redact::Redactor;
use crate::config::{Config, Env, Invalid};
use crate::http::edge::{Caps, Edge, EdgeSettings};
use crate::pipeline::gateway::Memory;
use crate::pipeline::recent::Recent;
use crate::pipeline::{Gateway, Hurry, Snapshot};
use crate::providers::auth::Fetcher;
use crate::providers::client::{self, Client, Egress};
use crate::providers::tape::Recorder;
use crate::telemetry::{self, AccessLog, Metrics, Sink};

/// The memory for request bodies, unless the container has less, bytes.
const BODIES: usize = 1 << 30;

/// What a gateway is made from.
pub struct Plan {
    /// The configuration.
    pub config: Config,
    /// Where it comes from, and how its changes are noticed.
    pub follow: Follow,
    /// The environment: credentials, and the edge's settings.
    pub env: Env,
    /// Where to listen; port 0 takes any free one.
    pub listen: Vec<SocketAddr>,
    /// Who serves.
    pub threads: Threads,
    /// Where access lines go.
    pub access: AccessLog,
    /// The sink behind them, whose losses are counted.
    pub sink: Option<Sink>,
    /// What keeps secrets out of errors and logs.
    pub redactor: Arc<Redactor>,
}

/// Why a gateway does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration can't be used in this environment.
    #[error("{0}")]
    Config(#[from] Invalid),
    /// The environment can't be used: one line for each problem.
    #[error("{}", .0.join("\n"))]
    Environment(Vec<String>),
    /// The upstream client can't be made.
    #[error(transparent)]
    Client(#[from] client::Unusable),
    /// The client of everything but calls can't be made.
    #[error("the HTTP client can't be made: {0}")]
    Http(#[from] reqwest::Error),
    /// The file of certificates can't be used.
    #[error("FERROGW_CA_FILE: {0}")]
    CaFile(String),
    /// An address can't be listened on.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The system refuses threads.
    #[error("the workers can't be started: {0}")]
    Io(#[from] std::io::Error),
}

/// A gateway that serves.
pub struct Running {
    /// The gateway.
    pub gateway: Arc<Gateway>,
    /// Its server.
    pub handle: Handle,
    /// Makes it read its configuration again.
    pub again: Again,
    /// What the operator should know, one line each.
    pub warnings: Vec<String>,
}

/// The upstream client of an environment.
pub fn client(env: &Env, workers: usize) -> Result<Client, client::Unusable> {
    let proxy = |name: &str| env.get(name).or_else(|| env.get(&name.to_ascii_lowercase())).map(str::to_owned);
    Client::new(client::Options {
        workers,
        worker: telemetry::worker,
        egress: Egress {
            http: proxy("HTTP_PROXY"),
            https: proxy("HTTPS_PROXY"),
            all: proxy("ALL_PROXY"),
            no: proxy("NO_PROXY"),
        },
        ca_file: env.get("FERROGW_CA_FILE").map(PathBuf::from),
        ..client::Options::default()
    })
}

/// The client of everything but calls: lists of models, tokens. It trusts what the upstream client trusts, goes through
/// the same proxies and follows no redirect.
pub fn http(env: &Env) -> Result<reqwest::Client, StartError> {
    Ok(builder(env)?.build()?)
}

/// What is to be known of media where there is an egress proxy: they are fetched from the very addresses that were judged.
pub fn past_proxies(config: &Config, env: &Env) -> Option<String> {
    let names = ["HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY"].into_iter();
    let set = |name: &&str| env.get(name).or_else(|| env.get(&name.to_ascii_lowercase())).is_some();
    let name = names.filter(|_| config.media.fetch.enabled).find(set)?;
    Some(format!("media.fetch does not go through {name}: the hosts of media must be within reach without it"))
}

/// What such clients are made of.
pub(super) fn builder(env: &Env) -> Result<reqwest::ClientBuilder, StartError> {
    let mut roots: Vec<reqwest::Certificate> = Vec::new();
    for root in webpki_root_certs::TLS_SERVER_ROOT_CERTS {
        roots.push(reqwest::Certificate::from_der(root)?);
    }
    if let Some(path) = env.get("FERROGW_CA_FILE") {
        let pem = std::fs::read(path).map_err(|error| StartError::CaFile(format!("{path}: {error}")))?;
        roots.extend(reqwest::Certificate::from_pem_bundle(&pem)?);
    }
    let builder = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).tls_certs_merge(roots);
    Ok(builder.user_agent(concat!("ferrogw/", env!("CARGO_PKG_VERSION"))))
}

/// Start a gateway. Accepting and background work run on the current runtime. Fails before anything is served.
pub async fn start(plan: Plan) -> Result<Running, StartError> {
    start_recorded(plan, None).await
}

/// The same with something that records its exchanges with providers.
pub async fn start_recorded(plan: Plan, recorder: Option<Recorder>) -> Result<Running, StartError> {
    let Plan { config, follow, env, listen, threads, access, sink, redactor } = plan;
    let drain = config.server.drain;
    let options = Options { threads, drain, refusal: crate::http::error::refusal, ..Options::default() };
    let parts = Parts::of(&config, &env, threads.count(), access, &redactor, &options.stop, recorder)?;
    let listeners = super::bind(&listen)?;

    let Parts { gateway, edge, behind, fetcher, hurry, warnings } = parts;
    gateway.stands(follow.standing());
    if let Some(sink) = &sink {
        gateway.metrics.watch(sink);
    }
    let connections = options.connections.clone();
    gateway.metrics.connections(Arc::new(move || connections.counts()));
    let front = crate::http::front::Front::new(gateway.clone());
    let stop = options.stop.clone();
    let (client, outer) = (behind.client.clone(), edge.clone());
    let handle = super::start(listeners, move |peer, _| edge.around(front.clone(), peer), options)?;
    let discovery = behind.start(&gateway, stop.now.clone());
    let started = Arc::new(config);
    let reloader = Reloader { gateway: gateway.clone(), edge: outer, env, client, fetcher, hurry, discovery, started };
    let again = reloader.follow(follow, stop.now);
    Ok(Running { gateway, handle, again, warnings })
}

/// A gateway without sockets: what a server of ours and one of somebody else have in common.
pub(super) struct Parts {
    pub(super) gateway: Arc<Gateway>,
    pub(super) edge: Edge,
    pub(super) behind: Behind,
    pub(super) fetcher: Fetcher,
    pub(super) hurry: Hurry,
    pub(super) warnings: Vec<String>,
}

impl Parts {
    /// Put it together for this many workers. It heeds the steps of `stop`.
    pub(super) fn of(
        config: &Config,
        env: &Env,
        workers: usize,
        access: AccessLog,
        redactor: &Arc<Redactor>,
        stop: &Stop,
        recorder: Option<Recorder>,
    ) -> Result<Self, StartError> {
        let (client, http) = (client(env, workers)?.recorded_by(recorder), http(env)?);
        let fetcher = Fetcher::new(http.clone(), tokio::runtime::Handle::current());
        let (rules, left_out) = build::compile_usable(config, env, &client, redactor, &fetcher)?;
        let settings = EdgeSettings::from_env(|name| env.get(name).map(str::to_owned), Caps::of(config))
            .map_err(StartError::Environment)?;
        let mut warnings = settings.warnings().to_vec();
        warnings.extend(past_proxies(config, env));
        let behind = Behind { client, http, discovery: background::interval(env, &mut warnings) };
        let metrics = Arc::new(Metrics::new());
        for (provider, wrong) in left_out {
            metrics.init_failed(provider);
            warnings.push(format!("{provider} is left out: {}", wrong.to_string().trim()));
        }
        let hurry = Hurry((0..workers).map(|_| stop.hurry.child_token()).collect());
        let recent = Recent::new(workers);
        let snapshot = Snapshot::new(rules, &metrics, &hurry, &recent);
        let memory = Memory::new(body_memory());
        let gateway = Arc::new(Gateway::new(snapshot, metrics, stop.draining.clone(), memory, recent));
        let counted = gateway.metrics.clone();
        let edge = Edge::new(
            settings,
            Arc::new(move |line| {
                if line.outcome.is_none() && line.error == Some("rate_limit_exceeded") {
                    counted.rate_limited("ip");
                }
                access.write(telemetry::worker(), line);
            }),
        );
        Ok(Self { gateway, edge, behind, fetcher, hurry, warnings })
    }
}

/// A quarter of the container's memory if it has a limit, and not more than [`BODIES`].
fn body_memory() -> usize {
    let limit = |path: &str| std::fs::read_to_string(path).ok()?.trim().parse::<usize>().ok();
    let limit = limit("/sys/fs/cgroup/memory.max").or_else(|| limit("/sys/fs/cgroup/memory/memory.limit_in_bytes"));
    limit.map_or(BODIES, |limit| BODIES.min(limit / 4))
}
