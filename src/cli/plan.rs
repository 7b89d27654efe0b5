//! `ferrogw plan`: what a running gateway would do otherwise with another configuration.

use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::{Value, json};

use super::Global;
use super::choice::Choice;
use super::client::{Client, Reply};
use super::output::{BOLD, Failed, GREEN, Output, RED, YELLOW, paint};
use super::validate::{self, Care};
use crate::config::Env;
use crate::config::diff::{self, Change, Diff, Kind};

/// The status of success with changes, where that is wanted.
const CHANGES: u8 = 2;

/// What to compare.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The new configuration [default: the file that `ferrogw` would use]
    file: Option<PathBuf>,
    /// Exit with status 2 if there are changes
    #[arg(long)]
    exit_code: bool,
}

/// Compares the configuration that a gateway serves with a file, which is checked first as `validate` does.
pub(super) fn run(args: &Args, global: &Global, env: &Env, output: Output) -> Result<ExitCode, Failed> {
    let file = args.file.as_deref().or(global.config.as_deref());
    let choice = validate::checked(file, env, output, Care::File)?;
    let client = Client::new(global, env)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let running = runtime.block_on(client.get("/admin/config"))?;
    match running.status {
        200 if running.body.is_object() => {}
        200 => return Err(Failed::because("GET /admin/config: the answer is no configuration")),
        404 => {
            let reason = format!("{} does not show its configuration: is it a ferrogw of this version?", client.url);
            return Err(Failed::because(reason));
        }
        _ => return Err(Failed::because(format!("GET /admin/config: {}", running.error()))),
    }
    let new = serde_json::to_value(&choice.config).map_err(Failed::because)?;
    let diff = diff::values(&running.body, &new);
    output.print(&data(&client, &running, &choice, &diff), || text(&client, &running, &choice, &diff))?;
    Ok(if args.exit_code && !diff.is_empty() { ExitCode::from(CHANGES) } else { ExitCode::SUCCESS })
}

fn data(client: &Client, running: &Reply, choice: &Choice, diff: &Diff) -> Value {
    json!({
        "url": client.url.as_str(),
        "running": {
            "source": running.header("x-ferro-config-source"),
            "file": running.header("x-ferro-config-file"),
            "hash": running.header("etag").map(|tag| tag.trim_matches('"')),
            "loaded_at": running.header("x-ferro-config-loaded-at"),
            "status": running.header("x-ferro-config-status"),
        },
        "new": { "file": choice.file(), "hash": choice.hash() },
        "changes": diff.changes,
        "masked": diff.masked,
    })
}

fn text(client: &Client, running: &Reply, choice: &Choice, diff: &Diff) -> String {
    let url = client.url.as_str().trim_end_matches('/');
    let from = running.header("x-ferro-config-file").unwrap_or("made from its environment");
    let since = running.header("x-ferro-config-loaded-at").map(|at| format!(", loaded {at}")).unwrap_or_default();
    let mut text = String::new();
    let new = if choice.file().is_empty() { choice.origin() } else { choice.file().to_owned() };
    for (name, value) in [("Running:", format!("{url} ({from}{since})")), ("New:", new)] {
        text += &format!("{} {value}\n", paint(BOLD, format!("{name:<8}")));
    }
    text += "\n";
    for change in &diff.changes {
        text += &format!("{}\n", painted(change));
    }
    text += &match diff.changes.len() {
        0 => "No changes.\n".to_owned(),
        1 => "\n1 change.\n".to_owned(),
        count => format!("\n{count} changes.\n"),
    };
    if !diff.masked.is_empty() {
        let what = "The running gateway masks these secrets, so they may or may not be the same";
        text += &format!("{what}:\n  {}\n", diff.masked.join("\n  "));
    }
    text
}

fn painted(change: &Change) -> String {
    let style = match change.change {
        Kind::Added => GREEN,
        Kind::Removed => RED,
        Kind::Changed | Kind::Moved => YELLOW,
    };
    let line = change.to_string();
    let (sign, rest) = line.split_at(1);
    format!("{}{rest}", paint(style, sign))
}
