//! `ferrogw explain`: what a running gateway would do with a request, or has done with one. Nothing is called.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::json;
use serde_json::value::{RawValue, to_raw_value};

use super::Global;
use super::client::{Client, Reply};
use super::explained;
use super::output::{Failed, Output};
use crate::config::Env;

const PATH: &str = "/v1/route/explain";

/// What is asked about.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The model; with --file, in place of the one there
    #[arg(long, value_name = "MODEL", required_unless_present_any = ["file", "id"])]
    model: Option<String>,
    /// What the user says [default: hi]
    #[arg(long, value_name = "TEXT", conflicts_with = "file")]
    prompt: Option<String>,
    /// A file with the request's body as JSON; `-` reads standard input
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// A header of the request, as `x-team: search`; may be given several times
    #[arg(long = "header", value_name = "NAME: VALUE")]
    headers: Vec<String>,
    /// What the request is for, as `embeddings`; anything but chat needs --file
    #[arg(long, value_name = "NAME", default_value = "chat")]
    surface: String,
    /// When it comes, as 2026-11-20T12:00:00Z [default: now]
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// Ask for a stream
    #[arg(long)]
    stream: bool,
    /// The id of a request that is over, as its header `x-request-id` says: one of the last 1,000
    #[arg(long, value_name = "ID", conflicts_with_all = ["model", "prompt", "file", "headers", "at", "stream"])]
    id: Option<String>,
}

/// Asks and prints. Fails if there is no answer, or if the call would fail at once.
pub(super) fn run(args: &Args, global: &Global, env: &Env, output: Output) -> Result<(), Failed> {
    let question = question(args)?;
    let client = Client::new(global, env)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let reply: Reply = runtime.block_on(client.post(PATH, question))?;
    if reply.status != 200 {
        return Err(Failed::because(reply.error()));
    }
    output.print(&reply.body, || explained::text(&reply.body))?;
    if reply.body.get("error").is_some() { Err(Failed::told()) } else { Ok(()) }
}

/// A question.
#[derive(Serialize)]
struct Question<'a> {
    surface: &'a str,
    headers: BTreeMap<&'a str, &'a str>,
    request: Box<RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<&'a str>,
}

/// The body of the question.
fn question(args: &Args) -> Result<String, Failed> {
    if let Some(id) = &args.id {
        return Ok(json!({ "id": id }).to_string());
    }
    let mut headers = BTreeMap::new();
    for header in &args.headers {
        let (name, value) = header.split_once(':').ok_or_else(|| {
            Failed::because(format!("--header `{header}`: write it as a name and a value, as `x-team: search`"))
        })?;
        headers.insert(name.trim(), value.trim());
    }
    let question = Question { surface: &args.surface, headers, request: request(args)?, at: args.at.as_deref() };
    serde_json::to_string(&question).map_err(Failed::because)
}

/// The request that is asked about: of a file, its values as they are written.
fn request(args: &Args) -> Result<Box<RawValue>, Failed> {
    let mut request: BTreeMap<String, Box<RawValue>> = match &args.file {
        None => {
            let prompt = args.prompt.as_deref().unwrap_or("hi");
            let messages = to_raw_value(&json!([{ "role": "user", "content": prompt }])).map_err(Failed::because)?;
            BTreeMap::from([("messages".to_owned(), messages)])
        }
        Some(path) => serde_json::from_str(&read(path)?)
            .map_err(|error| Failed::because(format!("{}: is no JSON object: {error}", path.display())))?,
    };
    let model = args.model.as_ref().map(|model| ("model", json!(model)));
    for (name, value) in model.into_iter().chain(args.stream.then(|| ("stream", json!(true)))) {
        request.insert(name.to_owned(), to_raw_value(&value).map_err(Failed::because)?);
    }
    to_raw_value(&request).map_err(Failed::because)
}

fn read(path: &Path) -> Result<String, Failed> {
    let read = if path.as_os_str() == "-" {
        let mut text = String::new();
        io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        fs::read_to_string(path)
    };
    read.map_err(|error| Failed::because(format!("cannot read {}: {error}", path.display())))
}
