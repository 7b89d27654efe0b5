//! Ollama, at home and as a service.

use super::usual::{CHAT, COMPLETE, EMBED, PASS, RESPOND};
use super::{FLAT, MAX_TOKENS, NO_HINTS, NO_MARKS, NO_NULL, ROLES, THOUGHTS, given, gpt_oss, place, thinks_aloud};
use crate::call::{Fault, Op};
use crate::config::Invalid;
use crate::providers::rework::{choices, effort, embeddings, messages, replay};
use crate::providers::settings::Settings;
use crate::providers::spec::Edit::{self, Body, Lacks, Mentions, Messages, When};
use crate::providers::spec::{Discover, Kind, Listing, Owns, Pace, Place, Root, Spec, may, need};
use crate::wire::Extra;

use super::faults::on;

fn not_gpt_oss(model: &str) -> bool {
    !gpt_oss(model)
}

/// "Base64 encoded image" is all that it takes.
fn pictures(_: &str, kind: Kind, _: &str) -> bool {
    kind == Kind::Image
}

const EDITS: &[Edit] = &[
    ROLES,
    FLAT,
    NO_NULL,
    NO_MARKS,
    Mentions(THOUGHTS, &[Messages(replay::as_reasoning)]),
    Mentions(&["\"image_url\""], &[Messages(messages::inline_images)]),
    When(gpt_oss, &[Body(effort::low_to_high)]),
    When(not_gpt_oss, &[Body(effort::none_to_max)]),
    MAX_TOKENS,
    NO_HINTS,
];

const LACKS: &[&str] = &[
    "tool_choice",
    "n",
    "logit_bias",
    "user",
    "safety_identifier",
    "parallel_tool_calls",
    "metadata",
    "store",
    "service_tier",
    "prediction",
    "modalities",
    "audio",
];

/// Where `OLLAMA_HOST` says it is. The variable is the server's own, too: it may name all interfaces, or a port alone.
fn ollama(settings: &Settings) -> Result<Place, Invalid> {
    if let Some(given) = given(settings, "/v1") {
        return given;
    }
    place("host", &address(settings.get("host").unwrap_or_default()), "/v1")
}

/// An address of `host`, `host:port`, `:port` or a whole one, as Ollama's own client reads it.
fn address(host: &str) -> String {
    let (scheme, rest, port) = match host.trim().split_once("://") {
        Some(("https", rest)) => ("https", rest, 443),
        Some((_, rest)) => ("http", rest, 80),
        None => ("http", host.trim(), 11434),
    };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    // an address of IPv6 has its colons in brackets, or is one without a port
    let end = authority.rfind(']').map_or(0, |end| end + 1);
    let (name, given) = match authority[end..].rfind(':') {
        Some(_) if end == 0 && authority.matches(':').count() > 1 => (authority, ""),
        Some(at) => (&authority[..end + at], &authority[end + at + 1..]),
        None => (authority, ""),
    };
    let name = match name {
        "" | "0.0.0.0" => "127.0.0.1".to_owned(),
        "::" | "[::]" => "[::1]".to_owned(),
        name if name.contains(':') && !name.starts_with('[') => format!("[{name}]"),
        name => name.to_owned(),
    };
    let port = if given.is_empty() { port.to_string() } else { given.to_owned() };
    format!("{scheme}://{name}:{port}{}", path.trim_end_matches('/'))
}

/// <https://docs.ollama.com/api/openai-compatibility>. `num_ctx` cannot be set here: prompts beyond the model's default
/// context are cut by the server. Images are sent as data only.
pub(super) static OLLAMA: Spec = Spec {
    root: Root::By(ollama),
    ops: &[CHAT, COMPLETE, EMBED, RESPOND, PASS],
    lists: &["models"],
    edits: EDITS,
    fetches: Some(pictures),
    embeds: &[Body(embeddings::text_only), Lacks(&["user"])],
    floats_only: true,
    lacks: LACKS,
    thinks_aloud,
    mends: &[choices::reasoning_content, choices::tool_calls, choices::finish_reasons],
    follows: &[choices::tool_finish],
    faults: &[on(400, "does not support", Fault::BadRequest), on(404, "", Fault::NotFound)],
    discover: Discover::Lists(&[Listing::of("//api/tags", "models", "name")]),
    owns: Owns::Any,
    // a model is loaded when it is first asked for
    pace: Pace::Slow,
    docs: "https://docs.ollama.com/api/openai-compatibility",
    hint: "is `ollama serve` running, and OLLAMA_HOST its address? models must be pulled first: `ollama pull <model>`",
    ..Spec::openai(
        "ollama",
        "",
        &[
            need("host", &["OLLAMA_HOST"]),
            may("base_url", &[]),
            may("api_key", &[]),
            // the latter is the name of a folder to the server itself: then it names no models
            may("models", &["FERRO_OLLAMA_MODELS", "OLLAMA_MODELS"]),
        ],
    )
};

/// <https://docs.ollama.com/cloud>. Embeddings have a route of their own, in no dialect of ours.
pub(super) static OLLAMA_CLOUD: Spec = Spec {
    aliases: &["ollama_cloud"],
    ops: &[CHAT, (Op::Embed, "//api/embed")],
    extras: &[(Op::Embed, Extra::OllamaEmbed)],
    floats_only: true,
    lists: &["models"],
    fetches: OLLAMA.fetches,
    edits: EDITS,
    lacks: LACKS,
    thinks_aloud,
    mends: OLLAMA.mends,
    follows: OLLAMA.follows,
    faults: OLLAMA.faults,
    discover: OLLAMA.discover,
    pace: Pace::Slow,
    docs: "https://docs.ollama.com/cloud",
    hint: "check OLLAMA_API_KEY",
    ..Spec::openai(
        "ollama-cloud",
        "https://ollama.com/v1",
        &[
            need("api_key", &["OLLAMA_API_KEY"]),
            may("base_url", &["OLLAMA_CLOUD_BASE_URL"]),
            may("models", &["OLLAMA_CLOUD_MODELS"]),
        ],
    )
};

#[cfg(test)]
mod tests {
    use super::address;

    #[test]
    fn a_host_is_read_as_ollama_reads_it() {
        let check = |host: &str, expected: &str| assert_eq!(address(host), expected, "{host}");
        check("localhost", "http://localhost:11434");
        check("0.0.0.0", "http://127.0.0.1:11434");
        check("0.0.0.0:8000", "http://127.0.0.1:8000");
        check(":11435", "http://127.0.0.1:11435");
        check("gpu.lan:9", "http://gpu.lan:9");
        check("http://gpu.lan", "http://gpu.lan:80");
        check("https://gpu.lan", "https://gpu.lan:443");
        check("https://gpu.lan/ollama/", "https://gpu.lan:443/ollama");
        check("http://localhost:11434", "http://localhost:11434");
        check("[::1]", "http://[::1]:11434");
        check("[::]:7", "http://[::1]:7");
        check("::1", "http://[::1]:11434");
    }
}
