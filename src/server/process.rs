//! A whole gateway: configuration, telemetry, clients and server put together, and the work behind them.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{BindError, Handle, Options, Threads, build};
use crate::call::redact::Redactor;
use crate::config::{Config, Env, Invalid};
use crate::http::edge::{Edge, EdgeSettings};
use crate::pipeline::gateway::Memory;
use crate::pipeline::{Gateway, Hurry, Snapshot};
use crate::providers::client::{self, Client, Egress};
use crate::telemetry::{self, AccessLog, Metrics, Sink};

/// How often connections to upstreams that have rested too long are closed.
const SWEEP: Duration = Duration::from_secs(30);

/// The memory for request bodies, unless the container has less, bytes.
const BODIES: usize = 1 << 30;

/// What a gateway is made from.
pub struct Plan {
    /// The configuration.
    pub config: Config,
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

/// Start a gateway. Accepting and background work run on the current runtime. Fails before anything is served.
pub async fn start(plan: Plan) -> Result<Running, StartError> {
    let Plan { config, env, listen, threads, access, sink, redactor } = plan;
    let workers = threads.count();
    let client = client(&env, workers)?;
    let rules = build::compile(&config, &env, &client, &redactor)?;
    let settings = EdgeSettings::from_env(|name| env.get(name).map(str::to_owned), config.body_cap())
        .map_err(StartError::Environment)?;
    let warnings = settings.warnings().to_vec();
    let listeners = super::bind(&listen)?;

    let metrics = Arc::new(Metrics::new());
    if let Some(sink) = &sink {
        metrics.watch(sink);
    }
    let options =
        Options { threads, drain: config.server.drain, refusal: crate::http::error::refusal, ..Options::default() };
    let connections = options.connections.clone();
    metrics.connections(Arc::new(move || connections.counts()));
    let hurry = Hurry((0..workers).map(|_| options.stop.hurry.child_token()).collect());
    let snapshot = Snapshot::new(rules, &metrics, &hurry);
    let (draining, memory) = (options.stop.draining.clone(), Memory::new(body_memory()));
    let gateway = Arc::new(Gateway::new(snapshot, metrics, draining, memory));
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
    let router = crate::http::router(gateway.clone());
    let stop = options.stop.clone();
    let handle = super::start(listeners, move |peer, _| edge.around(router.clone(), peer), options)?;
    tokio::spawn(sweep(client, stop.now));
    Ok(Running { gateway, handle, warnings })
}

/// A quarter of the container's memory if it has a limit, and not more than [`BODIES`].
fn body_memory() -> usize {
    let limit = |path: &str| std::fs::read_to_string(path).ok()?.trim().parse::<usize>().ok();
    let limit = limit("/sys/fs/cgroup/memory.max").or_else(|| limit("/sys/fs/cgroup/memory/memory.limit_in_bytes"));
    limit.map_or(BODIES, |limit| BODIES.min(limit / 4))
}

async fn sweep(client: Client, end: CancellationToken) {
    let mut tick = tokio::time::interval(SWEEP);
    loop {
        tokio::select! {
            _ = tick.tick() => client.sweep(std::time::Instant::now()),
            () = end.cancelled() => return,
        }
    }
}
