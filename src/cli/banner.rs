//! What a person sees when the gateway has started: where it is, whom it serves, and what to do next.

use std::net::SocketAddr;

use super::choice::{Choice, Origin};
use super::listen;
use super::output::{BOLD, FAINT, YELLOW, paint};
use crate::config::Env;
use crate::providers::demo::DEMO;
use crate::server::build;

/// The text, with colours.
pub(super) fn banner(choice: &Choice, addresses: &[SocketAddr], warnings: &[String], env: &Env) -> String {
    let url = listen::url(addresses);
    let has_key = env.get("MASTER_KEY").is_some();
    let listens = addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let access =
        match (has_key, env.get("ALLOW_UNAUTHENTICATED_PROXY").is_some_and(|it| it.eq_ignore_ascii_case("true"))) {
            (_, true) => "/v1 is open to everybody who can reach it",
            (true, false) => "requests need the MASTER_KEY",
            (false, false) => "open mode: this machine only, no key needed (set MASTER_KEY to serve other machines)",
        };
    let targets =
        format!("{} ({})", choice.targets().join(", "), choice.config.strategy.mode.unwrap_or_default().name());
    let mut text = format!("\n{}\n\n", paint(BOLD, format!("ferrogw {}", env!("CARGO_PKG_VERSION"))));
    for (name, value) in [
        ("Address", format!("{} {}", paint(BOLD, &url), paint(FAINT, format!("({listens})")))),
        ("Access", access.to_owned()),
        ("Config", choice.origin()),
        ("Targets", targets),
    ] {
        text += &format!("  {name:<9}{value}\n");
    }
    for warning in warnings.iter().cloned().chain(unused(choice, env)) {
        text += &format!("  {}  {warning}\n", paint(YELLOW, "warning"));
    }
    text += &next(choice, &url, has_key);
    text
}

/// Keys that are set and that no target of the file uses.
fn unused(choice: &Choice, env: &Env) -> Option<String> {
    let Origin::File { path, .. } = &choice.origin else { return None };
    let used = choice.providers();
    let unused: Vec<&str> =
        build::present(env).into_iter().filter(|spec| !used.contains(&spec.id)).map(|spec| spec.id).collect();
    let first = unused.first()?;
    let list = unused.join(", ");
    Some(format!("no target uses the keys of {list}: add `- virtual_key: {first}` to {}", path.display()))
}

fn next(choice: &Choice, url: &str, has_key: bool) -> String {
    if choice.providers() == [DEMO.id] {
        let how = match &choice.origin {
            Origin::File { path, .. } => {
                format!("export OPENAI_API_KEY=sk-... and add `- virtual_key: openai` to {}", path.display())
            }
            _ => "export OPENAI_API_KEY=sk-... (or any other provider's key)".to_owned(),
        };
        return format!(
            "\n  Only the built-in demo answers. Try it:\n\n{}\n\n  For a real model: {how}, then start again.\n  \
             `ferrogw init` writes a configuration file.\n\n",
            chat(url, DEMO.id, has_key)
        );
    }
    let named = choice.config.targets.iter().flat_map(|target| target.models.iter().chain(target.model_map.keys()));
    match choice.config.aliases.keys().chain(named).next() {
        Some(model) => format!("\n  Try it:\n\n{}\n\n", chat(url, model, has_key)),
        None => format!("\n  The models:\n\n{}\n\n", models(url, has_key)),
    }
}

/// A command that lists the models.
pub(super) fn models(url: &str, has_key: bool) -> String {
    format!("    curl {url}/v1/models{}", if has_key { AUTHORIZATION } else { "" })
}

/// A command that asks a model.
pub(super) fn chat(url: &str, model: &str, has_key: bool) -> String {
    let key = if has_key { AUTHORIZATION } else { "" };
    format!(
        "    curl {url}/v1/chat/completions{key} \\\n      -H \"Content-Type: application/json\" \\\n      -d \
         '{{\"model\":\"{model}\",\"messages\":[{{\"role\":\"user\",\"content\":\"Hello!\"}}]}}'"
    )
}

const AUTHORIZATION: &str = " \\\n      -H \"Authorization: Bearer $MASTER_KEY\"";
