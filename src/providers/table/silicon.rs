//! Makers of chips that serve open models on them: Cerebras, Groq, NVIDIA, SambaNova.

use super::faults::on;
use super::usual::{BATCH, CHAT, COMPLETE, EMBED, FILE, PASS, RESPOND, SPEECH, TRANSCRIBE, TRANSLATE};
use super::{
    FLAT, FLAT_BUT_USER, MAX_COMPLETION_TOKENS, MAX_TOKENS, NO_EVENTS, NO_HINTS, NO_MARKS, NO_NULL, NO_THOUGHTS, ROLES,
    THOUGHTS, gpt_oss, thinks_aloud,
};
use crate::call::{Fault, Op};
use crate::providers::rework::{choices, effort, embeddings, is, messages, replay, schema, sound, usage};
use crate::providers::settings::Settings;
use crate::providers::spec::Edit::{self, Body, Lacks, Mentions, Messages, When};
use crate::providers::spec::{Exchange, FormEdit, Kind, Spec, Way, may, need};
use crate::wire::openai::think::Aloud;
use crate::wire::{Dialect, Extra, Native};

/// What SDKs copy from answers into the history is refused.
const NO_ANSWER_FIELDS: Edit = Mentions(
    &["\"refusal\"", "\"annotations\"", "\"audio\"", "\"function_call\""],
    &[Messages(messages::no_answer_fields)],
);

fn not_gpt_oss(model: &str) -> bool {
    !gpt_oss(model)
}

/// <https://inference-docs.cerebras.ai/api-reference/chat-completions>. Schemas are sent as they are: strict ones must keep
/// to the subset that Cerebras documents.
pub(super) static CEREBRAS: Spec = Spec {
    ops: &[CHAT, COMPLETE, FILE, BATCH, PASS],
    // <https://inference-docs.cerebras.ai/capabilities/image-inputs>
    fetches: Some(|_, kind, _| kind == Kind::Image),
    edits: &[
        ROLES,
        FLAT_BUT_USER,
        Mentions(THOUGHTS, &[Messages(replay::as_reasoning)]),
        NO_ANSWER_FIELDS,
        NO_MARKS,
        When(gpt_oss, &[Body(effort::low_to_high)]),
        When(not_gpt_oss, &[Body(effort::disable_reasoning)]),
        Body(schema::closed_and_complete),
        MAX_COMPLETION_TOKENS,
    ],
    lacks: &["frequency_penalty", "presence_penalty", "logit_bias", "n", "store", "metadata", "modalities", "audio"],
    thinks_aloud,
    mends: &[choices::reasoning_content],
    docs: "https://inference-docs.cerebras.ai/api-reference/chat-completions",
    hint: "check CEREBRAS_API_KEY",
    ..Spec::openai(
        "cerebras",
        "https://api.cerebras.ai/v1",
        &[need("api_key", &["CEREBRAS_API_KEY"]), may("base_url", &["CEREBRAS_BASE_URL"])],
    )
};

fn qwen3(model: &str) -> bool {
    model.contains("qwen3")
}

fn groq_plain(model: &str) -> bool {
    !gpt_oss(model) && !qwen3(model)
}

/// <https://console.groq.com/docs/openai>, <https://console.groq.com/docs/reasoning>, <https://console.groq.com/docs/errors>
pub(super) static GROQ: Spec = Spec {
    ops: &[CHAT, RESPOND, SPEECH, TRANSCRIBE, TRANSLATE, FILE, BATCH, PASS],
    others: &[(Op::Speech, &[NO_EVENTS])],
    forms: &[
        (Op::Transcribe, &[FormEdit::Check(sound::no_subtitles)]),
        (Op::Translate, &[FormEdit::Check(sound::no_subtitles)]),
    ],
    edits: &[
        FLAT_BUT_USER,
        Mentions(&["\"name\""], &[Messages(messages::no_names)]),
        When(gpt_oss, &[Mentions(THOUGHTS, &[Messages(replay::as_reasoning)]), Body(effort::low_to_high)]),
        When(not_gpt_oss, &[NO_THOUGHTS]),
        When(qwen3, &[Body(effort::none_or_default), Body(effort::parsed_reasoning)]),
        When(groq_plain, &[Lacks(&["reasoning_effort"])]),
        NO_ANSWER_FIELDS,
        NO_MARKS,
        MAX_COMPLETION_TOKENS,
        NO_HINTS,
    ],
    lacks: &[
        "logprobs",
        "top_logprobs",
        "logit_bias",
        "n",
        "metadata",
        "store",
        "prediction",
        "verbosity",
        "modalities",
        "audio",
    ],
    ignores: &["presence_penalty", "frequency_penalty"],
    // who wants thoughts in the text gets them there
    thinks_aloud: |model, body| Aloud::tagged(qwen3(model) && !is(body, "reasoning_format", "\"raw\"")),
    mends: &[choices::reasoning_content, choices::tool_calls],
    usage: Some(usage::groq),
    faults: &[
        on(498, "", Fault::Overloaded),
        // larger than what the account's tier allows in a minute, which is no word about the model or the request
        on(413, "rate_limit_exceeded", Fault::RateLimited),
        // the model wrote what is no call or no JSON: another attempt may do better
        on(400, "tool_use_failed", Fault::Server),
        on(400, "json_validate_failed", Fault::Server),
    ],
    docs: "https://console.groq.com/docs/openai",
    hint: "check GROQ_API_KEY",
    ..Spec::openai(
        "groq",
        "https://api.groq.com/openai/v1",
        &[need("api_key", &["GROQ_API_KEY"]), may("base_url", &["GROQ_BASE_URL"])],
    )
};

/// Models whose template has the switch `enable_thinking`.
fn template_enable(model: &str) -> bool {
    let model = model.to_ascii_lowercase();
    model.contains("qwen3") || model.contains("nemotron") || model.contains("glm-")
}

/// Models whose template has the switch `thinking`.
fn template_thinking(model: &str) -> bool {
    let model = model.to_ascii_lowercase();
    model.contains("deepseek-v") || model.contains("kimi-k2")
}

fn no_switch(model: &str) -> bool {
    !gpt_oss(model) && !template_enable(model) && !template_thinking(model)
}

/// Where NVIDIA itself ranks and draws; containers do it beside everything else.
const NVIDIA_RETRIEVAL: &str = "https://ai.api.nvidia.com";

/// The first model for ranking has an address that does not name it.
fn nvidia_way(op: Op, model: &str, _: bool, settings: &Settings) -> Option<Way> {
    if op == Op::Image && settings.get("base_url").is_none() {
        let path = "https://ai.api.nvidia.com/v1/genai/{path}";
        return Some(Way { dialect: Dialect::Native(Native::Extra(Extra::NimImage)), path });
    }
    let path = match model.contains("nv-rerankqa-mistral") || model.contains("nv-rerank-qa-mistral") {
        true => "https://ai.api.nvidia.com/v1/retrieval/nvidia/reranking",
        false => "https://ai.api.nvidia.com/v1/retrieval/{dotless}/reranking",
    };
    let hosted = op == Op::Rerank && settings.get("base_url").is_none();
    hosted.then_some(Way { dialect: Dialect::Native(Native::Extra(Extra::NimRerank)), path })
}

/// <https://docs.api.nvidia.com/nim/reference/llm-apis>, <https://docs.nvidia.com/nim/large-language-models/latest/api-reference.html>.
/// Completions exist on self-hosted containers and few hosted models, so they go through chat.
pub(super) static NVIDIA_NIM: Spec = Spec {
    aliases: &["nvidia_nim", "nvidia"],
    ops: &[CHAT, EMBED, (Op::Image, "/infer"), (Op::Rerank, "/ranking"), PASS],
    extras: &[(Op::Image, Extra::NimImage), (Op::Rerank, Extra::NimRerank)],
    hosts: &[NVIDIA_RETRIEVAL],
    ways: Some(nvidia_way),
    edits: &[
        ROLES,
        FLAT_BUT_USER,
        NO_NULL,
        NO_THOUGHTS,
        NO_MARKS,
        When(gpt_oss, &[Body(effort::low_to_high)]),
        When(template_enable, &[Body(effort::template_enable_thinking)]),
        When(template_thinking, &[Body(effort::template_thinking)]),
        When(no_switch, &[Lacks(&["reasoning_effort"])]),
        MAX_TOKENS,
        NO_HINTS,
    ],
    embeds: &[Body(embeddings::text_only), Body(embeddings::query_by_default)],
    floats_only: true,
    lacks: &[
        "user",
        "safety_identifier",
        "logit_bias",
        "store",
        "metadata",
        "n",
        "service_tier",
        "prediction",
        "modalities",
        "audio",
    ],
    thinks_aloud,
    mends: &[choices::reasoning_content, choices::tool_calls, choices::finish_reasons],
    follows: &[choices::tool_finish],
    exchange: Exchange::Promised("https://api.nvcf.nvidia.com/v2/nvcf/pexec/status"),
    docs: "https://docs.api.nvidia.com/nim/reference/llm-apis",
    hint: "check NVIDIA_NIM_API_KEY",
    ..Spec::openai(
        "nvidia-nim",
        "https://integrate.api.nvidia.com/v1",
        &[need("api_key", &["NVIDIA_NIM_API_KEY", "NVIDIA_API_KEY"]), may("base_url", &["NVIDIA_NIM_BASE_URL"])],
    )
};

/// <https://docs.sambanova.ai/docs/en/api-reference/endpoints/chat>. Seeds and penalties are model-dependent and sent.
pub(super) static SAMBANOVA: Spec = Spec {
    ops: &[CHAT, COMPLETE, EMBED, TRANSCRIBE, PASS],
    forms: &[(Op::Transcribe, &[FormEdit::Check(sound::no_subtitles)])],
    edits: &[
        ROLES,
        FLAT,
        NO_THOUGHTS,
        NO_MARKS,
        When(gpt_oss, &[Body(effort::low_to_high)]),
        When(template_enable, &[Body(effort::template_enable_thinking)]),
        When(template_thinking, &[Body(effort::template_thinking)]),
        When(no_switch, &[Lacks(&["reasoning_effort"])]),
        NO_HINTS,
    ],
    embeds: &[Body(embeddings::text_only)],
    floats_only: true,
    lacks: &[
        "logit_bias",
        "n",
        "logprobs",
        "top_logprobs",
        "user",
        "safety_identifier",
        "metadata",
        "store",
        "service_tier",
        "prediction",
        "modalities",
        "audio",
    ],
    thinks_aloud,
    mends: &[choices::reasoning_content, choices::tool_calls, choices::finish_reasons],
    follows: &[choices::tool_finish],
    docs: "https://docs.sambanova.ai/docs/en/api-reference/endpoints/chat",
    hint: "check SAMBANOVA_API_KEY",
    ..Spec::openai(
        "sambanova",
        "https://api.sambanova.ai/v1",
        &[need("api_key", &["SAMBANOVA_API_KEY"]), may("base_url", &["SAMBANOVA_BASE_URL"])],
    )
};
