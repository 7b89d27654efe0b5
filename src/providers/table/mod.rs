//! The rows: one per provider, a file per group of vendors.

mod anthropic;
mod aws;
mod azure;
mod china;
mod clouds;
mod cohere;
mod faults;
mod google;
mod hosts;
mod labs;
mod ollama;
mod openai;
mod replicate;
mod routers;
mod silicon;
mod usual;

use super::rework::{messages, params, replay};
use super::settings::Settings;
use super::spec::{Edit, Place, Spec};
use crate::config::Invalid;
use crate::providers::rework::is;
use crate::wire::Object;
use crate::wire::openai::think::Aloud;

/// Every provider, in the order in which they are offered when nothing is configured: alphabetical by id, but Azure's
/// OpenAI behind OpenAI itself. Both own the same names, and who has keys of both means the vendor by a bare `gpt-…`: the
/// other serves what has been deployed there.
pub static PROVIDERS: &[&Spec] = &[
    &labs::AI21,
    &anthropic::ANTHROPIC,
    &azure::FOUNDRY,
    &aws::BEDROCK,
    &silicon::CEREBRAS,
    &clouds::CLOUDFLARE,
    &cohere::COHERE,
    &clouds::DATABRICKS,
    &hosts::DEEPINFRA,
    &china::DEEPSEEK,
    &hosts::FIREWORKS,
    &google::GEMINI,
    &silicon::GROQ,
    &routers::HUGGING_FACE,
    &labs::MISTRAL,
    &china::MOONSHOT,
    &hosts::NOVITA,
    &silicon::NVIDIA_NIM,
    &ollama::OLLAMA,
    &ollama::OLLAMA_CLOUD,
    &openai::OPENAI,
    &azure::OPENAI,
    &routers::OPENROUTER,
    &labs::PERPLEXITY,
    &china::QWEN,
    &replicate::REPLICATE,
    &silicon::SAMBANOVA,
    &hosts::TOGETHER,
    &google::VERTEX,
    &labs::XAI,
];

/// The row of an id.
pub fn find(id: &str) -> Option<&'static Spec> {
    PROVIDERS.iter().copied().find(|spec| spec.id == id)
}

/// `developer` is unknown there.
const ROLES: Edit = Edit::Mentions(&["\"developer\""], &[Edit::Messages(messages::developer_to_system)]);

/// Content is text there.
const FLAT: Edit = Edit::Mentions(&["\"text\""], &[Edit::Messages(messages::flatten)]);

/// Only users may send parts there.
const FLAT_BUT_USER: Edit = Edit::Mentions(&["\"text\""], &[Edit::Messages(messages::flatten_all_but_user)]);

/// An assistant's content may not be absent there.
const NO_NULL: Edit = Edit::Mentions(&["\"assistant\""], &[Edit::Messages(messages::empty_for_null)]);

/// What betrays thoughts, or other vendors' signatures, in a history.
const THOUGHTS: &[&str] = &["\"reasoning", "\"thinking_blocks\"", "\"provider_specific_fields\"", "thought_signature"];

/// Thoughts are not taken back there.
const NO_THOUGHTS: Edit = Edit::Mentions(THOUGHTS, &[Edit::Messages(replay::no_thoughts)]);

/// Marks of what is worth caching are not known there.
const NO_MARKS: Edit =
    Edit::Mentions(&["\"cache_control\"", "\"prompt_cache_breakpoint\""], &[Edit::Messages(messages::no_cache_marks)]);

/// Hints about caching are not known there; nothing but speed is lost.
const NO_HINTS: Edit = Edit::Drop(&["prompt_cache_key", "prompt_cache_retention", "prompt_cache_options"]);

/// Speech comes as sound there: events are made of it here, if any are wanted.
const NO_EVENTS: Edit = Edit::Drop(&["stream_format"]);

/// OpenAI's models that tell no events: <https://platform.openai.com/docs/api-reference/audio/createSpeech>.
fn tts_1(model: &str) -> bool {
    matches!(model, "tts-1" | "tts-1-hd")
}

/// The limit is `max_tokens`.
const MAX_TOKENS: Edit = Edit::Body(params::max_tokens);

/// The limit is `max_completion_tokens`.
const MAX_COMPLETION_TOKENS: Edit = Edit::Body(params::max_completion_tokens);

/// Whether a model is one of OpenAI's open ones, whoever serves it.
fn gpt_oss(model: &str) -> bool {
    model.contains("gpt-oss")
}

/// What names of models that think have in them, lower case.
const THINKERS: &[&str] = &[
    "-r1",
    "_r1",
    "qwq",
    "qwen3",
    "deepseek-v3",
    "magistral",
    "minimax-m",
    "nemotron",
    "glm-4",
    "reason",
    "think",
    "cogito",
];

/// Models whose templates end the prompt with `<think>`, by what their names have in them, all of it: the distilled R1s
/// <https://huggingface.co/deepseek-ai/DeepSeek-R1-Distill-Qwen-32B>, QwQ <https://huggingface.co/Qwen/QwQ-32B>, the
/// thinking Qwens <https://huggingface.co/Qwen/Qwen3-235B-A22B-Thinking-2507> and GLM-Z1. Servers without a parser for
/// thoughts pass on what comes behind.
const OPENED: &[&[&str]] = &[&["r1-distill"], &["qwq"], &["qwen3", "-thinking"], &["glm-z1"]];

/// Open models whose thoughts stand in front of the answer wherever the host does not take them out: by their names,
/// generously, because it is the answer that decides.
fn thinks_aloud(model: &str, body: &Object) -> Aloud {
    let model = model.to_ascii_lowercase();
    if OPENED.iter().any(|parts| parts.iter().all(|part| model.contains(part))) && may_think(body) {
        return Aloud::Begun;
    }
    Aloud::tagged(THINKERS.iter().any(|part| model.contains(part)))
}

/// Whether a request lets a model write thoughts where its template opens them: not if it forbids them, begins the
/// answer itself, or has it held to a schema from its first character on.
fn may_think(body: &Object) -> bool {
    let off = |options: &Object| ["enable_thinking", "thinking"].iter().any(|name| is(options, name, "false"));
    let forbidden = off(body)
        || is(body, "reasoning_effort", "\"none\"")
        || body.object("chat_template_kwargs").ok().flatten().is_some_and(|options| off(&options));
    let held = body.object("response_format").ok().flatten().is_some_and(|form| !is(&form, "type", "\"text\""));
    let prefixed = || {
        let messages = body.objects("messages").unwrap_or_default();
        messages.last().is_some_and(|last| is(last, "role", "\"assistant\""))
    };
    !forbidden && !held && !prefixed()
}

/// A place at a given address; one without a path gets this path. Fails on what is no plain HTTP address.
fn place(setting: &str, address: &str, path: &str) -> Result<Place, Invalid> {
    let wrong = |why: &str| Invalid::at(setting.to_owned(), why.to_owned());
    if address.contains(['?', '#']) {
        return Err(wrong("must be an address without query and fragment"));
    }
    let uri: http::Uri = address.parse().map_err(|_| wrong("is not an address"))?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) || uri.host().is_none_or(str::is_empty) {
        return Err(wrong("must be an address that begins with https:// or http://"));
    }
    let base = address.trim_end_matches('/');
    let path = if uri.path().trim_end_matches('/').is_empty() { path } else { "" };
    Ok(Place { base: format!("{base}{path}"), query: None })
}

/// The place that `base_url` names, if it is given.
fn given(settings: &Settings, path: &str) -> Option<Result<Place, Invalid>> {
    settings.get("base_url").map(|base| place("base_url", base, path))
}
