//! `ferrogw` and `ferrogw serve`: run the gateway in the foreground.

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use super::choice::{Choice, Origin, choose};
use super::output::{Failed, Output, say};
use super::{Global, banner, later, listen};
use crate::call::redact::Redactor;
use crate::config::{self, Env};
use crate::http::edge::{Caps, EdgeSettings};
use crate::providers::auth::Fetcher;
use crate::providers::tape::Recorder;
use crate::server::process::{self, Plan, Running, StartError};
use crate::server::rehearsal::{Rehearsal, rehearse};
use crate::server::{self, Threads};
use crate::telemetry::{self, AccessLog, Format, Level, Sink};

/// How to serve.
#[derive(clap::Args, Clone, Default)]
#[group(skip)]
pub(super) struct Args {
    #[command(flatten)]
    listen: listen::Args,
    /// The least important lines to log: debug, info, warn or error [default: $LOG_LEVEL, else info]
    #[arg(long, value_name = "LEVEL", value_parser = level)]
    log_level: Option<Level>,
    /// What log lines look like: json or text [default: $LOG_FORMAT, else text on a terminal and json elsewhere]
    #[arg(long, value_name = "FORMAT", value_parser = log_format)]
    log_format: Option<Format>,
    /// Where the line of each request goes: a file, - for standard output, or off [default: -]
    #[arg(long, value_name = "FILE|-|off")]
    access_log: Option<String>,
    /// Threads: one with connections of its own for each core, or all for all connections, which costs more and is evener
    /// where few connections bring most of the work [default: $FERROGW_RUNTIME, else workers]
    #[arg(long, value_name = "RUNTIME")]
    runtime: Option<Runtime>,
}

/// Who serves connections.
#[derive(clap::ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Runtime {
    /// One thread with connections of its own for each core.
    #[default]
    Workers,
    /// All threads for all connections.
    Shared,
}

impl Runtime {
    /// As the flag says, else the environment, whose value must be a word the flag knows.
    fn of(args: &Args, env: &Env) -> Result<Self, Failed> {
        let Some(text) = env.get("FERROGW_RUNTIME").filter(|text| args.runtime.is_none() && !text.is_empty()) else {
            return Ok(args.runtime.unwrap_or_default());
        };
        let wrong = |_| Failed::from(vec![format!("FERROGW_RUNTIME: `{text}` is neither `workers` nor `shared`")]);
        <Self as clap::ValueEnum>::from_str(text, false).map_err(wrong)
    }
}

impl Args {
    pub(super) fn is_empty(&self) -> bool {
        let Args { listen, log_level, log_format, access_log, runtime } = self;
        listen.is_empty() && log_level.is_none() && log_format.is_none() && access_log.is_none() && runtime.is_none()
    }

    /// Takes what is not set from the flags that stood in front of the command.
    pub(super) fn inherit(&mut self, before: Args) {
        self.listen.port = self.listen.port.or(before.listen.port);
        self.listen.host = self.listen.host.take().or(before.listen.host);
        self.log_level = self.log_level.or(before.log_level);
        self.log_format = self.log_format.or(before.log_format);
        self.access_log = self.access_log.take().or(before.access_log);
        self.runtime = self.runtime.or(before.runtime);
    }
}

fn level(text: &str) -> Result<Level, String> {
    Level::parse(text).ok_or_else(|| "the levels are debug, info, warn and error".to_owned())
}

fn log_format(text: &str) -> Result<Format, String> {
    Format::parse(text).ok_or_else(|| "the formats are json and text".to_owned())
}

/// Serves until told to stop.
pub(super) fn run(args: &Args, global: &Global, env: Env, output: Output) -> Result<(), Failed> {
    run_recorded(args, global, env, output, None)
}

/// The same with something that records, and what is to be told of it.
pub(super) fn run_recorded(
    args: &Args,
    global: &Global,
    env: Env,
    output: Output,
    recorder: Option<(Recorder, String)>,
) -> Result<(), Failed> {
    let which = Runtime::of(args, &env)?;
    let threads = match which {
        // one thread for what is not a request: accepting, signals, sweeps
        Runtime::Workers => 1,
        Runtime::Shared => Threads::PerCore.count(),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build()?;
    runtime.block_on(serve(args, global, env, output, (which, recorder)))
}

async fn serve(
    args: &Args,
    global: &Global,
    env: Env,
    output: Output,
    (runtime, recorder): (Runtime, Option<(Recorder, String)>),
) -> Result<(), Failed> {
    let (recorder, mut warnings) = match recorder {
        Some((recorder, warning)) => (Some(recorder), vec![warning]),
        None => (None, Vec::new()),
    };
    let logs = Logs::of(args, &env, &mut warnings);
    let (choice, listen) = settle(args, global, &env)?;

    let threads = match runtime {
        Runtime::Workers => Threads::PerCore,
        Runtime::Shared => Threads::Shared,
    };
    let redactor = Arc::new(server::build::redactor(&choice.config, &env));
    let sink = Sink::stdout(threads.count())?;
    telemetry::logs::init(&sink, logs.level, logs.format, redactor.clone()).map_err(Failed::because)?;
    let (access, access_sink) = access_log(args, &sink, &logs, threads.count(), &redactor)?;
    let plan = Plan {
        config: choice.config.clone(),
        follow: choice.follow(),
        env: env.clone(),
        listen,
        threads,
        access: access.clone(),
        sink: access_sink,
        redactor,
    };
    let running = process::start_recorded(plan, recorder.clone()).await.map_err(|error| match error {
        // It names the first problem of each target; these are all.
        StartError::Config(invalid) => unusable(&choice, &env).unwrap_or_else(|| choice.blame(invalid.problems).into()),
        StartError::Environment(lines) => Failed::from(lines),
        other => Failed::because(other),
    })?;
    server::stop_on_signals(running.handle.stop())?;
    server::reload::reload_on_hangup(&running.again, running.handle.stop())?;
    warnings.extend(later::warnings(&env));
    warnings.extend(running.warnings.iter().cloned());
    announce(&choice, &running, &warnings, &env, output);
    running.handle.join().await;
    if let Some(recorder) = recorder {
        recorder.finish();
    }
    tracing::info!("server stopped");
    access.flush();
    sink.flush();
    Ok(())
}

/// The configuration and the addresses. Fails with everything that keeps the gateway from starting here.
fn settle(args: &Args, global: &Global, env: &Env) -> Result<(Choice, Vec<SocketAddr>), Failed> {
    let mut failed = Failed::default();
    let choice = choose(global.config.as_deref(), env).map_err(|problems| failed.add(problems)).ok();
    let caps = choice.as_ref().map_or(Caps::default(), |choice| Caps::of(&choice.config));
    let listen = EdgeSettings::from_env(|name| env.get(name).map(str::to_owned), caps)
        .map_err(|lines| [lines, args.listen.problems(env)].concat())
        .and_then(|edge| args.listen.addresses(env, &edge))
        .map_err(|lines| failed.add(lines))
        .ok();
    if let Some(choice) = &choice
        && (!failed.is_empty() || !config::undefined(&choice.config, env).is_empty())
        && let Some(problems) = unusable(choice, env)
    {
        failed.add(problems);
    }
    failed.check()?;
    choice.zip(listen).ok_or_else(Failed::told)
}

/// Everything that keeps a configuration from being used in this environment.
fn unusable(choice: &Choice, env: &Env) -> Option<Failed> {
    let client = process::client(env, 1).ok()?;
    let Rehearsal { mut problems, lacks, .. } = rehearse(&choice.config, env, &client, &Fetcher::default());
    problems.extend(lacks);
    (!problems.is_empty()).then(|| choice.blame(problems).into())
}

/// How log lines are written.
struct Logs {
    level: Level,
    format: Format,
}

impl Logs {
    fn of(args: &Args, env: &Env, warnings: &mut Vec<String>) -> Self {
        let mut unknown = |name: &str, text: &str, instead: &str| {
            warnings.push(format!("{name}: `{text}` is unknown, so {instead}"));
        };
        let level = args.log_level.or_else(|| {
            let text = env.get("LOG_LEVEL")?;
            let level = Level::parse(text);
            if level.is_none() {
                unknown("LOG_LEVEL", text, "it is info; the levels are debug, info, warn and error");
            }
            level
        });
        let format = args.log_format.or_else(|| {
            let text = env.get("LOG_FORMAT")?;
            let format = Format::parse(text);
            if format.is_none() {
                unknown("LOG_FORMAT", text, "it is the default; the formats are json and text");
            }
            format
        });
        let usual = if std::io::stdout().is_terminal() { Format::Text } else { Format::Json };
        Self { level: level.unwrap_or_default(), format: format.unwrap_or(usual) }
    }
}

fn access_log(
    args: &Args,
    sink: &Sink,
    logs: &Logs,
    workers: usize,
    redactor: &Arc<Redactor>,
) -> Result<(AccessLog, Option<Sink>), Failed> {
    let sink = match args.access_log.as_deref() {
        Some("off") => return Ok((AccessLog::off(), Some(sink.clone()))),
        None | Some("-") => sink.clone(),
        Some(path) => Sink::file(Path::new(path), workers)
            .map_err(|error| Failed::because(format!("--access-log: cannot write to {path}: {error}")))?,
    };
    Ok((AccessLog::new(sink.clone(), logs.level, logs.format, redactor.clone()), Some(sink)))
}

/// Says that the gateway serves: to programs in the log, to people on standard error.
fn announce(choice: &Choice, running: &Running, warnings: &[String], env: &Env, output: Output) {
    let config = &choice.config;
    let (source, file) = match &choice.origin {
        Origin::File { path, .. } => ("file", Some(path.display().to_string())),
        _ => ("defaults", None),
    };
    tracing::info!(
        source,
        strategy = config.strategy.mode.unwrap_or_default().name(),
        targets = config.targets.len(),
        plugins = 0,
        max_request_bytes = config.body_cap(),
        file,
        "active config resolved"
    );
    let addresses = running.handle.addresses();
    let addr = addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        addr,
        providers = choice.providers().join(", "),
        "ferrogw started"
    );
    // A person who sees both streams needs it once.
    if !(output.is_text() && std::io::stdout().is_terminal() && std::io::stderr().is_terminal()) {
        for problem in &choice.warnings {
            tracing::warn!(path = problem.path, code = problem.code, line = problem.line, "{}", problem.message);
        }
        warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
    }
    if output.is_text() {
        output.warn(&choice.warnings, choice.file());
        say(&banner::banner(choice, addresses, warnings, env));
    }
}
