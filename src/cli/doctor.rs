//! `ferrogw doctor`: what a gateway started here would find. No credential is sent to anybody, unless `--live` asks for it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Method;
use http::uri::PathAndQuery;
use serde_json::json;

use super::checks::{Checks, Mark};
use super::choice::{Choice, choose};
use super::client::Client;
use super::output::{Failed, Output};
use super::{Global, credentials, later, listen, live};
use crate::config::{Env, Problem};
use crate::http::edge::{Caps, EdgeSettings};
use crate::providers::auth::Fetcher;
use crate::providers::client::Lines;
use crate::routing::Target;
use crate::server::process;
use crate::server::rehearsal::rehearse;

/// How long an upstream may take to say anything.
const PATIENCE: Duration = Duration::from_secs(3);

/// What to look at.
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    listen: listen::Args,
    /// Send one small real request to each target: it uses the credentials, and may cost a fraction of a cent
    #[arg(long)]
    live: bool,
}

/// Looks at everything; fails if anything is broken.
pub(super) fn run(args: &Args, global: &Global, env: &Env, output: Output) -> Result<(), Failed> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let checks = runtime.block_on(examine(args, global, env));
    let value = json!({ "healthy": !checks.any_broken(), "checks": checks });
    output.print(&value, || checks.text())?;
    if checks.any_broken() { Err(Failed::told()) } else { Ok(()) }
}

async fn examine(args: &Args, global: &Global, env: &Env) -> Checks {
    let mut checks = Checks::default();
    let http = match args.live.then(|| process::http(env)).transpose() {
        Ok(http) => http,
        Err(error) => {
            checks.add("Configuration", Mark::Broken, "client", error.to_string());
            None
        }
    };
    let targets = configuration(&mut checks, global, env, http.as_ref());
    keys(&mut checks, env);
    let edge = access(&mut checks, env);
    upstreams(&mut checks, &targets).await;
    if let Some(http) = http {
        live::ask(&mut checks, &targets, &http).await;
    }
    if let Some(edge) = edge {
        port(&mut checks, &args.listen, env, &edge).await;
    }
    checks
}

/// The targets that could serve.
fn configuration(checks: &mut Checks, global: &Global, env: &Env, http: Option<&reqwest::Client>) -> Vec<Arc<Target>> {
    const AREA: &str = "Configuration";
    let choice = match choose(global.config.as_deref(), env) {
        Ok(choice) => choice,
        Err(failed) => {
            failed.lines().into_iter().for_each(|line| checks.add(AREA, Mark::Broken, "", line));
            return Vec::new();
        }
    };
    let client = match process::client(env, 1) {
        Ok(client) => client,
        Err(error) => {
            checks.add(AREA, Mark::Broken, "upstream client", error.to_string());
            return Vec::new();
        }
    };
    let fetcher = http.map(|http| Fetcher::new(http.clone(), tokio::runtime::Handle::current())).unwrap_or_default();
    let rehearsal = rehearse(&choice.config, env, &client, &fetcher);
    let list = |checks: &mut Checks, mark, choice: &Choice, problems: Vec<Problem>| {
        let invalid = choice.blame(problems);
        for problem in &invalid.problems {
            let place = problem.line.map(|line| format!("{}:{line}: ", invalid.file)).unwrap_or_default();
            let help = problem.help.as_deref().map(|help| format!(" ({help})")).unwrap_or_default();
            checks.add(AREA, mark, problem.path.clone(), format!("{place}{}{help}", problem.message));
        }
    };
    if rehearsal.problems.is_empty() && rehearsal.lacks.is_empty() {
        checks.add(AREA, Mark::Ok, "", format!("{}; targets: {}", choice.origin(), choice.targets().join(", ")));
    } else {
        checks.add(AREA, Mark::Broken, "", format!("{}: cannot be served", choice.origin()));
    }
    list(checks, Mark::Broken, &choice, rehearsal.problems);
    list(checks, Mark::Broken, &choice, rehearsal.lacks);
    list(checks, Mark::Warning, &choice, choice.warnings.clone());
    if let Some(line) = process::past_proxies(&choice.config, env) {
        checks.add(AREA, Mark::Warning, "media.fetch", line);
    }
    later::warnings(env).into_iter().for_each(|line| checks.add(AREA, Mark::Warning, "", line));
    rehearsal.targets
}

fn keys(checks: &mut Checks, env: &Env) {
    const AREA: &str = "Credentials";
    let all = credentials::all(env);
    for one in &all {
        let set = one.set.join(", ");
        if one.complete {
            checks.add(AREA, Mark::Ok, one.provider, set);
        } else if !one.set.is_empty() && !one.missing.is_empty() {
            let detail = format!("{set} is set, {} is missing", one.missing.join(", "));
            checks.add(AREA, Mark::Warning, one.provider, detail);
        }
    }
    if !all.iter().any(|one| one.complete) {
        checks.add(AREA, Mark::Skipped, "", "no provider's key is in the environment");
    }
}

fn access(checks: &mut Checks, env: &Env) -> Option<EdgeSettings> {
    const AREA: &str = "Access";
    match EdgeSettings::from_env(|name| env.get(name).map(str::to_owned), Caps::default()) {
        Ok(edge) => {
            match edge.has_master_key() {
                true => checks.add(AREA, Mark::Ok, "MASTER_KEY", "set"),
                false => checks.add(AREA, Mark::Skipped, "MASTER_KEY", "not set: this machine only, no key needed"),
            }
            edge.warnings().iter().for_each(|line| checks.add(AREA, Mark::Warning, "", line));
            Some(edge)
        }
        Err(lines) => {
            lines.into_iter().for_each(|line| checks.add(AREA, Mark::Broken, "", line));
            None
        }
    }
}

async fn upstreams(checks: &mut Checks, targets: &[Arc<Target>]) {
    const AREA: &str = "Upstreams";
    let asked =
        targets.iter().cloned().map(|target| tokio::spawn(async move { (target.name.clone(), reach(&target).await) }));
    for answer in asked.collect::<Vec<_>>() {
        if let Ok((name, (mark, detail))) = answer.await {
            checks.add(AREA, mark, &*name, detail);
        }
    }
}

/// Whether the target's host speaks HTTP with us; what it says to a stranger does not matter.
async fn reach(target: &Target) -> (Mark, String) {
    if let Some(tape) = target.provider.tape() {
        return (Mark::Ok, format!("plays the recordings in {}", tape.folder().display()));
    }
    let Some(origin) = target.provider.origin() else { return (Mark::Ok, "built in".to_owned()) };
    let (path, none) = (PathAndQuery::from_static("/"), Lines::default());
    let since = Instant::now();
    let asked = origin.ask(&Method::HEAD, &path, &none, &none, Bytes::new().into());
    match tokio::time::timeout(PATIENCE, asked).await {
        Ok(Ok(_)) => (Mark::Ok, format!("{} answers ({} ms)", origin.name(), since.elapsed().as_millis())),
        Ok(Err(error)) => (Mark::Broken, error.to_string()),
        Err(_) => (Mark::Broken, format!("{}: no answer within {} s", origin.name(), PATIENCE.as_secs())),
    }
}

async fn port(checks: &mut Checks, args: &listen::Args, env: &Env, edge: &EdgeSettings) {
    const AREA: &str = "Port";
    let addresses = match args.addresses(env, edge) {
        Ok(addresses) => addresses,
        Err(lines) => return lines.into_iter().for_each(|line| checks.add(AREA, Mark::Broken, "", line)),
    };
    let shown = addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let Err(taken) = crate::server::bind(&addresses) else {
        return checks.add(AREA, Mark::Ok, shown, "free");
    };
    let url = listen::url(&addresses);
    let health = match Client::to(&url, None, PATIENCE, env) {
        Ok(client) => client.get("/health").await,
        Err(failed) => Err(failed),
    };
    match health {
        Ok(reply) if reply.body["targets"]["total"].is_number() => {
            let version = reply.body["version"].as_str().unwrap_or("of unknown version");
            checks.add(AREA, Mark::Ok, shown, format!("ferrogw {version} serves there already"));
        }
        _ => checks.add(AREA, Mark::Broken, "", taken.to_string()),
    }
}
