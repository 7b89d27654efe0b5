//! Laboratories elsewhere that serve their own models: AI21, Mistral, Perplexity, xAI.

use super::faults::on;
use super::usual::{
    BATCH, CHAT, EMBED, FILE, IMAGE, IMAGE_EDIT, MODERATE, PASS, REALTIME, RESPOND, SPEECH, STORED, TRANSCRIBE,
};
use super::{FLAT, MAX_TOKENS, NO_HINTS, NO_MARKS, NO_THOUGHTS, ROLES, THOUGHTS};
use crate::call::{Error, Fault, Op};
use crate::providers::rework::{
    choices, effort, embeddings, images, messages, mistral, moderations, params, replay, schema, sound, usage,
};
use crate::providers::settings::Settings;
use crate::providers::spec::Edit::{Body, Drop, Lacks, Mentions, Messages, Rename, When};
use crate::providers::spec::{Discover, FormEdit, Owns, Pace, Spec, Way, may, need};
use crate::wire::extras::batches::Kept;
use crate::wire::multipart::Draft;
use crate::wire::native::Native;
use crate::wire::openai::think::Aloud;
use crate::wire::{Dialect, Extra};

/// <https://docs.ai21.com/reference/jamba-1-6-api-ref>. Content is a string; what is not in the schema is answered 422.
/// The older models (Jurassic) complete texts behind `/{model}/complete`: a chat becomes one text, and what is streamed comes whole.
pub(super) static AI21: Spec = Spec {
    ops: &[CHAT, PASS],
    ways: Some(ai21_way),
    edits: &[
        ROLES,
        FLAT,
        Mentions(
            &["\"assistant\"", "\"name\"", "\"cache_control\"", "\"reasoning"],
            &[
                Messages(messages::tools_for_functions),
                Messages(messages::known_members_only),
                Messages(messages::empty_for_null),
                Messages(messages::no_names),
            ],
        ),
        MAX_TOKENS,
        NO_HINTS,
        // the last chunk has the usage unasked
        Drop(&["stream_options"]),
    ],
    knows: &[
        "model",
        "messages",
        "max_tokens",
        "temperature",
        "top_p",
        "stop",
        "n",
        "stream",
        "tools",
        "documents",
        "response_format",
    ],
    asks_usage: false,
    mends: &[choices::tool_calls, choices::finish_reasons],
    discover: Discover::Known(&["jamba-large", "jamba-mini"]),
    owns: Owns::Prefixes(&["jamba"]),
    docs: "https://docs.ai21.com/reference/jamba-1-6-api-ref",
    hint: "check AI21_API_KEY",
    ..Spec::openai(
        "ai21",
        "https://api.ai21.com/studio/v1",
        &[need("api_key", &["AI21_API_KEY"]), may("base_url", &["AI21_BASE_URL"])],
    )
};

fn ai21_way(op: Op, model: &str, _: bool, _: &Settings) -> Option<Way> {
    let dialect = Dialect::Native(Native::Extra(Extra::Ai21Chat));
    let completes = ["j1-", "j2-", "jurassic"].iter().any(|head| model.starts_with(head));
    (op == Op::Chat && completes).then_some(Way { dialect, path: "/{model}/complete" })
}

fn magistral(model: &str) -> bool {
    model.starts_with("magistral")
}

/// Models that think if `reasoning_effort` says so; small since 2603, medium since 3.5.
fn mistral_on_demand(model: &str) -> bool {
    model == "mistral-small-latest"
        || model == "mistral-medium-latest"
        || model.starts_with("mistral-medium-3.5")
        || model.strip_prefix("mistral-small-").and_then(|date| date.parse().ok()).is_some_and(|date: u32| date >= 2603)
        || model
            .strip_prefix("mistral-medium-")
            .and_then(|date| date.parse().ok())
            .is_some_and(|date: u32| date >= 2604)
}

fn mistral_plain(model: &str) -> bool {
    !magistral(model) && !mistral_on_demand(model)
}

/// <https://docs.mistral.ai/api/endpoint/chat>. The schema forbids members that it does not know, in messages too.
pub(super) static MISTRAL: Spec = Spec {
    reply_after_tool: true,
    ops: &[CHAT, EMBED, SPEECH, TRANSCRIBE, MODERATE, FILE, (Op::Batch, "/batch/jobs"), PASS],
    kept: &[(Op::File, Kept::MistralFiles), (Op::Batch, Kept::MistralBatches)],
    others: &[(Op::Speech, &[Body(sound::mistral)])],
    forms: &[(Op::Transcribe, &[FormEdit::Lacks(&["prompt"]), FormEdit::Check(sound::mistral_form)])],
    answers: &[(Op::Moderate, &[moderations::flagged])],
    edits: &[
        ROLES,
        When(magistral, &[Body(effort::prompt_mode), Mentions(THOUGHTS, &[Messages(replay::as_thinking_chunk)])]),
        When(
            mistral_on_demand,
            &[Body(effort::none_or_high), Mentions(THOUGHTS, &[Messages(replay::as_thinking_chunk)])],
        ),
        When(mistral_plain, &[Lacks(&["reasoning_effort"])]),
        NO_MARKS,
        Mentions(
            &["\"assistant\"", "\"tool\"", "\"name\""],
            &[
                Messages(messages::tools_for_functions),
                Messages(messages::known_members_only),
                Messages(messages::empty_for_null),
                Messages(mistral::tool_names),
                Messages(mistral::short_ids),
                Messages(mistral::prefix),
            ],
        ),
        Body(params::any_for_required),
        Body(params::spelled_out_parameters),
        Body(schema::closed_if_strict),
        MAX_TOKENS,
        Rename("seed", "random_seed"),
        // the last chunk has the usage unasked; hints are spelled otherwise or not at all
        Drop(&["stream_options", "prompt_cache_retention", "prompt_cache_options"]),
    ],
    embeds: &[Body(embeddings::text_only), Rename("dimensions", "output_dimension"), Lacks(&["user"])],
    floats_only: true,
    knows: &[
        "model",
        "messages",
        "temperature",
        "top_p",
        "max_tokens",
        "stream",
        "stop",
        "random_seed",
        "metadata",
        "response_format",
        "tools",
        "tool_choice",
        "presence_penalty",
        "frequency_penalty",
        "n",
        "prediction",
        "parallel_tool_calls",
        "prompt_mode",
        "reasoning_effort",
        "safe_prompt",
        "guardrails",
        "prompt_cache_key",
        "logprobs",
        "top_logprobs",
        "prompt_logprobs",
        "top_prompt_logprobs",
        "top_k",
        "min_tokens",
        "repetition_penalty",
        "service_tier",
    ],
    asks_usage: false,
    mends: &[choices::content_lists, choices::tool_calls, choices::finish_reasons],
    faults: &[on(0, "too large for model with", Fault::ContextLength)],
    owns: Owns::Prefixes(&[
        "mistral-",
        "codestral-",
        "open-mistral-",
        "open-mixtral-",
        "pixtral-",
        "ministral-",
        "magistral-",
        "devstral-",
        "voxtral-",
    ]),
    docs: "https://docs.mistral.ai/api/endpoint/chat",
    hint: "check MISTRAL_API_KEY",
    ..Spec::openai(
        "mistral",
        "https://api.mistral.ai/v1",
        &[need("api_key", &["MISTRAL_API_KEY"]), may("base_url", &["MISTRAL_BASE_URL"])],
    )
};

/// The models that think, and take an effort.
fn sonar_thinks(model: &str) -> bool {
    model.contains("reasoning") || model.contains("deep-research")
}

fn sonar_plain(model: &str) -> bool {
    !sonar_thinks(model)
}

/// <https://docs.perplexity.ai/api-reference/sonar-post>, <https://docs.perplexity.ai/api-reference/embeddings-post>,
/// <https://docs.perplexity.ai/docs/agent-api/openai-compatibility>. `stop` is undocumented and at times refused, so it is left out.
pub(super) static PERPLEXITY: Spec = Spec {
    ops: &[CHAT, (Op::Embed, "/v1/embeddings"), (Op::Respond, "/v1/responses"), PASS],
    extras: &[(Op::Embed, Extra::PerplexityEmbed)],
    batch: Some(|_| 512),
    floats_only: true,
    edits: &[
        FLAT,
        Body(messages::alternate),
        When(sonar_thinks, &[Body(effort::nothing_to_high)]),
        When(sonar_plain, &[Lacks(&["reasoning_effort"])]),
        MAX_TOKENS,
        NO_HINTS,
        // every chunk has the usage so far, unasked
        Drop(&["stream_options"]),
    ],
    lacks: &[
        "tools",
        "tool_choice",
        "parallel_tool_calls",
        "n",
        "stop",
        "seed",
        "logit_bias",
        "logprobs",
        "top_logprobs",
        "presence_penalty",
        "frequency_penalty",
        "user",
        "safety_identifier",
        "metadata",
        "store",
        "service_tier",
        "prediction",
        "modalities",
        "audio",
    ],
    asks_usage: false,
    thinks_aloud: |model, _| Aloud::tagged(sonar_thinks(model)),
    mends: &[choices::deltas_only, choices::citations, choices::finish_reasons],
    discover: Discover::Known(&[
        "sonar",
        "sonar-pro",
        "sonar-reasoning-pro",
        "sonar-deep-research",
        "pplx-embed-v1-0.6b",
        "pplx-embed-v1-4b",
    ]),
    owns: Owns::Prefixes(&["sonar", "pplx-embed-v"]),
    // deep research is silent for minutes
    pace: Pace::Slow,
    docs: "https://docs.perplexity.ai/api-reference/sonar-post",
    hint: "check PERPLEXITY_API_KEY",
    ..Spec::openai(
        "perplexity",
        "https://api.perplexity.ai",
        &[need("api_key", &["PERPLEXITY_API_KEY", "PPLX_API_KEY"]), may("base_url", &["PERPLEXITY_BASE_URL"])],
    )
};

/// Models that think: all since grok-4, but for those that say otherwise.
fn grok_thinks(model: &str) -> bool {
    !model.contains("non-reasoning")
        && ["grok-3-mini", "grok-4", "grok-5", "grok-code"].iter().any(|prefix| model.starts_with(prefix))
}

fn grok_3_mini(model: &str) -> bool {
    model.starts_with("grok-3-mini")
}

/// Models with efforts: grok-4 with a minor version and later ones, unless thinking is part of the name.
fn grok_efforts(model: &str) -> bool {
    (model.starts_with("grok-4.") || model.starts_with("grok-5"))
        && !model.contains("-reasoning")
        && !model.contains("-non-reasoning")
}

fn grok_no_efforts(model: &str) -> bool {
    !grok_3_mini(model) && !grok_efforts(model)
}

/// Edits are asked for in JSON there, by the addresses of images or with their data.
fn edits_in_json(draft: &mut Draft<'_>) -> Result<(), Error> {
    let param = if draft.has("image[]") { "image[]" } else { "image" }.to_owned();
    let message = "xai takes no forms: send JSON with `image: {\"url\": \"https://… or data:…\"}`".to_owned();
    Err(Error::Invalid { param, message })
}

/// <https://docs.x.ai/docs/api-reference#chat-completions>, <https://docs.x.ai/docs/guides/reasoning>,
/// <https://docs.x.ai/docs/guides/voice/agent>. Reasoning tokens are counted beside the completion's.
pub(super) static XAI: Spec = Spec {
    aliases: &["x-ai"],
    ops: &[
        CHAT,
        RESPOND,
        STORED,
        IMAGE,
        IMAGE_EDIT,
        (Op::Speech, "/tts"),
        (Op::Transcribe, "/stt"),
        FILE,
        BATCH,
        REALTIME,
        PASS,
    ],
    // <https://docs.x.ai/developers/advanced-api-usage/websocket-mode>
    talks: true,
    extras: &[(Op::Speech, Extra::XaiSpeech)],
    others: &[(Op::Image, &[Body(images::aspect_ratio)]), (Op::ImageEdit, &[Body(images::aspect_ratio)])],
    forms: &[
        (
            Op::Transcribe,
            &[FormEdit::Lacks(&["prompt", "temperature"]), FormEdit::Check(sound::xai_form), FormEdit::Last("file")],
        ),
        (Op::ImageEdit, &[FormEdit::Check(edits_in_json)]),
    ],
    edits: &[
        NO_THOUGHTS,
        NO_MARKS,
        When(grok_thinks, &[Lacks(&["presence_penalty", "frequency_penalty", "stop"])]),
        When(grok_3_mini, &[Body(effort::low_or_high)]),
        When(grok_efforts, &[Body(effort::low_to_high)]),
        When(grok_no_efforts, &[Lacks(&["reasoning_effort"])]),
        Body(schema::without_lengths),
        Drop(&["prompt_cache_retention", "prompt_cache_options"]),
    ],
    lacks: &["metadata", "store", "prediction", "modalities", "audio"],
    ignores: &["logit_bias", "logprobs", "top_logprobs"],
    mends: &[usage::inclusive, choices::finish_reasons],
    faults: &[on(403, "violates usage guidelines", Fault::ContentPolicy), on(400, "incorrect api key", Fault::Auth)],
    owns: Owns::Prefixes(&["grok"]),
    docs: "https://docs.x.ai/docs/api-reference#chat-completions",
    hint: "check XAI_API_KEY",
    ..Spec::openai(
        "xai",
        "https://api.x.ai/v1",
        &[need("api_key", &["XAI_API_KEY"]), may("base_url", &["XAI_BASE_URL"])],
    )
};
