//! `ferrogw models`: what a gateway started here, or a running one, can be asked for, with limits and prices.

use std::sync::Arc;

use serde_json::{Value, json};

use super::Global;
use super::catalog::thousands;
use super::choice::choose;
use super::client::Client;
use super::output::{Failed, Output, table};
use crate::config::{Config, Env};
use crate::http::api::models::{Filter, all};
use crate::providers::auth::Fetcher;
use crate::providers::client::{Client as Upstreams, Options};
use crate::server::build;
use crate::server::rehearsal::rehearse;

/// What to list.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Parts of the id or the name, all of which must be there
    words: Vec<String>,
    /// Only models of this provider or target
    #[arg(long, value_name = "NAME")]
    provider: Option<String>,
    /// Only models that can do this, as `vision` or `reasoning`; may be given several times
    #[arg(long, value_name = "NAME")]
    capability: Vec<String>,
    /// Ask a running gateway, which also knows what its providers have told
    #[arg(long)]
    live: bool,
}

/// Prints them.
pub(super) fn run(args: &Args, global: &Global, env: &Env, output: Output) -> Result<(), Failed> {
    let filter = Filter {
        provider: args.provider.clone(),
        capability: Some(args.capability.join(",")).filter(|names| !names.is_empty()),
        search: Some(args.words.join(" ")).filter(|words| !words.is_empty()),
    };
    let models = if args.live { ask(&filter, global, env)? } else { configured(&filter, global, env)? };
    output.print(&models, || show(&models))
}

/// What the configuration and the catalog know. Nobody is asked.
fn configured(filter: &Filter, global: &Global, env: &Env) -> Result<Vec<Value>, Failed> {
    let choice = choose(global.config.as_deref(), env)?;
    let (client, fetcher) = (Upstreams::new(Options::default()).map_err(Failed::because)?, Fetcher::default());
    // a target that lacks its key serves nothing, and is no reason to say nothing of the others
    let able = rehearse(&choice.config, env, &client, &fetcher).targets;
    let serves = |target: &crate::config::Target| able.iter().any(|able| *able.name == target.virtual_key);
    let targets = choice.config.targets.iter().filter(|target| serves(target)).cloned().collect();
    let config = Config { targets, ..choice.config };
    let redactor = Arc::new(build::redactor(&config, env));
    let rules = build::compile(&config, env, &client, &redactor, &fetcher)?;
    Ok(all(&rules, filter).iter().map(|model| json!(model)).collect())
}

/// What a running gateway lists.
fn ask(filter: &Filter, global: &Global, env: &Env) -> Result<Vec<Value>, Failed> {
    let client = Client::new(global, env)?;
    let mut query = reqwest::Url::parse("http://query").map_err(Failed::because)?;
    for (name, value) in
        [("provider", &filter.provider), ("capability", &filter.capability), ("search", &filter.search)]
    {
        if let Some(value) = value {
            query.query_pairs_mut().append_pair(name, value);
        }
    }
    let query = query.query().map_or_else(String::new, |query| format!("?{query}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let reply = runtime.block_on(client.get(&format!("/v1/models{query}")))?;
    match reply.body["data"].as_array() {
        Some(models) if reply.status == 200 => Ok(models.clone()),
        _ => Err(Failed::because(format!("GET /v1/models: {}", reply.error()))),
    }
}

fn show(models: &[Value]) -> String {
    if models.is_empty() {
        return "No models.\n".to_owned();
    }
    let text = |value: &Value| value.as_str().map_or_else(|| "-".to_owned(), str::to_owned);
    let number = |value: &Value| value.as_u64().map_or_else(|| "-".to_owned(), thousands);
    let price = |value: &Value| value.as_f64().map_or_else(|| "-".to_owned(), |price| price.to_string());
    let rows = models.iter().map(|model| {
        let (name, pricing) = (text(&model["id"]), &model["pricing"]);
        let name = model["alias_of"].as_str().map_or(name.clone(), |of| format!("{name} = {of}"));
        let (input, output) = (&pricing["input_per_m_tokens"], &pricing["output_per_m_tokens"]);
        let context = number(&model["context_window"]);
        vec![name, text(&model["owned_by"]), text(&model["mode"]), context, price(input), price(output)]
    });
    table(&["MODEL", "TARGET", "FOR", "CONTEXT", "INPUT $/M", "OUTPUT $/M"], rows.collect())
}
