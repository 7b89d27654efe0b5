//! `ferrogw` and `ferrogw serve`: run the gateway in the foreground.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use crate::call::redact::Redactor;
use crate::config::{self, Env};
use crate::server::process::{self, Plan};
use crate::server::{self, Threads, build};
use crate::telemetry::{self, AccessLog, Format, Level, Sink};

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
    runtime.block_on(serve(args, env))
}

async fn serve(args: &Args, env: Env) -> anyhow::Result<()> {
    let threads = Threads::default();
    let redactor = Arc::new(Redactor::new(std::env::vars()));
    let sink = Sink::stdout(threads.count())?;
    telemetry::logs::init(&sink, Level::Info, Format::Json, redactor.clone())?;
    let config = match config::find(args.config.as_deref(), &env, &std::env::current_dir()?) {
        Some(found) => config::load(&found.path)?.config,
        None => build::derive(&env),
    };
    let port = args.port.or_else(|| env.get("PORT")?.parse().ok()).unwrap_or(8080);
    let hosts: Vec<IpAddr> = match args.host {
        Some(host) => vec![host],
        None if env.get("MASTER_KEY").is_some() => vec![Ipv4Addr::UNSPECIFIED.into()],
        None => vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()],
    };
    let listen: Vec<SocketAddr> = hosts.into_iter().map(|host| SocketAddr::new(host, port)).collect();
    let access = AccessLog::new(sink.clone(), Level::Info, Format::Json, redactor.clone());
    let plan = Plan { config, env, listen, threads, access, sink: Some(sink.clone()), redactor };
    let running = process::start(plan).await?;
    server::stop_on_signals(running.handle.stop())?;
    tracing::info!(addresses = ?running.handle.addresses(), "ferrogw started");
    running.handle.join().await;
    sink.flush();
    Ok(())
}
