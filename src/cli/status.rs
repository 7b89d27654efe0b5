//! `ferrogw status`: how a running gateway is.

use serde_json::{Value, json};

use super::Global;
use super::client::Client;
use super::output::{Failed, GREEN, Output, RED, YELLOW, paint, table};
use crate::config::Env;

/// Asks for health and for the models; fails if there is no answer or not a good one.
pub(super) fn run(global: &Global, env: &Env, output: Output) -> Result<(), Failed> {
    let client = Client::new(global, env)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(ask(&client, output))
}

async fn ask(client: &Client, output: Output) -> Result<(), Failed> {
    let health = client.get("/health").await?;
    let models = client.get("/v1/models").await?;
    let ready = client.get("/readyz").await?;
    let config = &ready.body["config"];
    let degraded = health.body["status"] == "degraded";
    let healthy = health.status == 200 && (degraded || health.body["status"] == "ok");
    let access = match models.status {
        200 if client.has_key() => "accepted".to_owned(),
        200 => "not needed".to_owned(),
        401 if !client.has_key() => "needed: set FERROGW_API_KEY, or MASTER_KEY".to_owned(),
        _ => format!("refused: {}", models.error()),
    };
    let count = models.body["data"].as_array().map(Vec::len);
    let latency = u64::try_from(health.took.as_millis()).unwrap_or(u64::MAX);
    let value = json!({
        "url": client.url.as_str(),
        "healthy": healthy,
        "status": health.body["status"],
        "version": health.body["version"],
        "latency_ms": latency,
        "key": access,
        "models": count,
        "config": config,
        "targets": health.body["targets"],
        "providers": health.body["providers"],
    });
    output.print(&value, || {
        let url = client.url.as_str().trim_end_matches('/');
        let mut text = match healthy {
            true if degraded => {
                let counted = counted(&health.body["targets"]);
                format!("{} {url} -- degraded: {counted} ({latency} ms)\n", paint(YELLOW, "[!]"))
            }
            true => format!("{} {url} -- healthy ({latency} ms)\n", paint(GREEN, "[OK]")),
            false => format!("{} {url} -- {}\n", paint(RED, "[X]"), unhealthy(health.status, &health.body)),
        };
        let version = health.body["version"].as_str().unwrap_or_default().to_owned();
        let count = count.map(|count| count.to_string()).unwrap_or_default();
        for (name, value) in [("Version:", version), ("Key:", access), ("Models:", count), ("Config:", stale(config))] {
            if !value.is_empty() {
                text += &format!("{name:<11}{value}\n");
            }
        }
        text + &providers(&health.body["providers"])
    })?;
    if healthy { Ok(()) } else { Err(Failed::told()) }
}

/// How many targets are how: `of 3 targets 1 unavailable`.
fn counted(targets: &Value) -> String {
    let states = ["unavailable", "resting"].map(|state| (targets[state].as_u64().unwrap_or_default(), state));
    let states = states.iter().filter(|(count, _)| *count > 0).map(|(count, state)| format!("{count} {state}"));
    format!("of {} targets {}", targets["total"], states.collect::<Vec<_>>().join(", "))
}

fn unhealthy(status: u16, body: &Value) -> String {
    match body["status"].as_str() {
        Some("unavailable") => {
            "unavailable: the circuits of all targets are open, or all their keys cool down".to_owned()
        }
        Some(word) => format!("unhealthy: {word} (HTTP {status})"),
        None => format!("not a gateway that is well: HTTP {status}"),
    }
}

/// What is said of a configuration whose file cannot be used; nothing while all is well.
fn stale(config: &Value) -> String {
    let word = |name: &str| config[name].as_str().unwrap_or_default();
    match word("status") {
        "stale" => format!("stale since {}: {}", word("since"), word("error")),
        _ => String::new(),
    }
}

fn providers(list: &Value) -> String {
    let Some(list) = list.as_array().filter(|list| !list.is_empty()) else { return String::new() };
    let word = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let rows =
        list.iter().map(|one| ["name", "provider", "status", "circuit", "models"].map(|key| word(&one[key])).into());
    format!("\n{}", table(&["TARGET", "PROVIDER", "STATUS", "CIRCUIT", "MODELS"], rows.collect()))
}
