//! `ferrogw` and `ferrogw serve`: run the gateway in the foreground.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use tokio_util::sync::CancellationToken;

use crate::call::redact::Redactor;
use crate::config::{self, Env};
use crate::http::edge::{Edge, EdgeSettings};
use crate::pipeline::gateway::Memory;
use crate::pipeline::{Gateway, Hurry, Snapshot};
use crate::providers::client::{Client, Egress, Options};
use crate::server::{self, build};
use crate::telemetry::{self, AccessLog, Format, Level, Metrics, Sink};

/// How to serve.
#[derive(clap::Args, Debug, Default)]
pub struct Args {
    /// The configuration file [default: $GATEWAY_CONFIG, else ./config.yaml, .yml or .json]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The port to listen on [default: $PORT, else 8080]
    #[arg(long)]
    pub port: Option<u16>,
    /// The address to listen on [default: $FERROGW_HOST, else all with a MASTER_KEY, this machine without]
    #[arg(long)]
    pub host: Option<IpAddr>,
}

/// Serve until told to stop.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let env = Env::of_process();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(serve(args, &env))
}

async fn serve(args: &Args, env: &Env) -> anyhow::Result<()> {
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let redactor = Arc::new(Redactor::new(std::env::vars()));
    let sink = Sink::stdout(workers)?;
    telemetry::logs::init(&sink, Level::Info, Format::Json, redactor.clone())?;
    let config = match config::find(args.config.as_deref(), env, &std::env::current_dir()?) {
        Some(found) => config::load(&found.path)?.config,
        None => build::derive(env),
    };
    let client =
        Client::new(Options { workers, worker: telemetry::worker, egress: Egress::default(), ..Options::default() })?;
    let rules = build::compile(&config, env, &client, &redactor)?;
    let settings = EdgeSettings::from_env(|name| env.get(name).map(str::to_owned), config.body_cap())
        .map_err(|problems| anyhow::anyhow!(problems.join("\n")))?;
    let metrics = Arc::new(Metrics::new());
    metrics.watch(&sink);
    let options = server::Options {
        threads: server::Threads::Exactly(workers),
        on_start: telemetry::worker::enter,
        drain: config.server.drain,
        ..server::Options::default()
    };
    let hurry: Arc<[CancellationToken]> = (0..workers).map(|_| options.stop.hurry.child_token()).collect();
    let snapshot = Snapshot::new(rules, &metrics, &Hurry(hurry));
    let gateway = Arc::new(Gateway::new(snapshot, metrics, options.stop.draining.clone(), Memory::new(1 << 30)));
    let access = AccessLog::new(sink.clone(), Level::Info, Format::Json, redactor);
    let reach = settings.has_master_key();
    let edge = Edge::new(settings, Arc::new(move |line| access.write(telemetry::worker(), line)));
    let router = crate::http::router(gateway);
    let port = args.port.or_else(|| env.get("PORT")?.parse().ok()).unwrap_or(8080);
    let hosts: Vec<IpAddr> = match args.host {
        Some(host) => vec![host],
        None if reach => vec![Ipv4Addr::UNSPECIFIED.into()],
        None => vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()],
    };
    let addresses: Vec<SocketAddr> = hosts.into_iter().map(|host| SocketAddr::new(host, port)).collect();
    let listeners = server::bind(&addresses)?;
    server::stop_on_signals(&options.stop).context("signals")?;
    let handle = server::start(listeners, move |peer, _| edge.around(router.clone(), peer), options)?;
    tracing::info!(addresses = ?handle.addresses(), "ferrogw started");
    handle.join().await;
    sink.flush();
    Ok(())
}
