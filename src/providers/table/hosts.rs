//! Hosts of open models: DeepInfra, Fireworks, Novita, Together.

use super::faults::on;
use super::usual::{
    BATCH, CHAT, COMPLETE, EMBED, FILE, IMAGE, PASS, RERANK, RESPOND, SPEECH, STORED, TRANSCRIBE, TRANSLATE,
};
use super::{FLAT_BUT_USER, MAX_TOKENS, NO_EVENTS, NO_HINTS, NO_MARKS, NO_THOUGHTS, ROLES, gpt_oss, thinks_aloud};
use crate::call::{Error, Fault, Op};
use crate::providers::rework::{choices, effort, embeddings, images, logprobs, params, rankings, sound};
use crate::providers::settings::Settings;
use crate::providers::spec::Edit::{Body, Lacks, When};
use crate::providers::spec::{Exchange, FormEdit, Jobs, Owns, Spec, Way, may, need};
use crate::wire::extras::batches::{Kept, together_purpose};
use crate::wire::extras::novita;
use crate::wire::multipart::Draft;
use crate::wire::{Dialect, Extra, Native};

/// <https://deepinfra.com/docs/openai_api>, <https://docs.deepinfra.com/batch/batch-endpoints>
pub(super) static DEEPINFRA: Spec = Spec {
    ops: &[
        CHAT,
        COMPLETE,
        EMBED,
        IMAGE,
        SPEECH,
        TRANSCRIBE,
        TRANSLATE,
        (Op::Rerank, "../inference/{path}"),
        FILE,
        BATCH,
        PASS,
    ],
    extras: &[(Op::Rerank, Extra::DeepinfraRerank)],
    others: &[(Op::Speech, &[NO_EVENTS])],
    edits: &[ROLES, FLAT_BUT_USER, NO_THOUGHTS, NO_MARKS, MAX_TOKENS, NO_HINTS],
    embeds: &[Body(embeddings::text_only)],
    floats_only: true,
    lacks: &["logit_bias", "parallel_tool_calls", "metadata", "store", "prediction", "modalities", "audio"],
    thinks_aloud,
    mends: &[choices::tool_calls, choices::finish_reasons],
    follows: &[choices::tool_finish],
    docs: "https://deepinfra.com/docs/openai_api",
    hint: "check DEEPINFRA_API_KEY",
    ..Spec::openai(
        "deepinfra",
        "https://api.deepinfra.com/v1/openai",
        &[need("api_key", &["DEEPINFRA_API_KEY", "DEEPINFRA_TOKEN"]), may("base_url", &["DEEPINFRA_BASE_URL"])],
    )
};

/// A model without an account is one of Fireworks' own.
fn fireworks_name(model: &str, _: Op, _: &Settings) -> Option<String> {
    (!model.contains('/')).then(|| format!("accounts/fireworks/models/{model}"))
}

/// Recordings have hosts of their own, by model.
const FIREWORKS_AUDIO: &[&str] = &["https://audio-prod.api.fireworks.ai", "https://audio-turbo.api.fireworks.ai"];

/// Datasets and jobs belong to accounts, beside the API of inference.
const FIREWORKS_ACCOUNTS: &str = "//v1/accounts";

fn fireworks_way(op: Op, model: &str, _: bool, _: &Settings) -> Option<Way> {
    let path = match op {
        Op::Transcribe => "https://audio-turbo.api.fireworks.ai/v1/audio/transcriptions",
        Op::Translate => "https://audio-turbo.api.fireworks.ai/v1/audio/translations",
        _ => return None,
    };
    model.contains("turbo").then_some(Way { dialect: Dialect::OpenAi, path })
}

/// <https://docs.fireworks.ai/api-reference/post-chatcompletions>. Some models answer more than 4,096 tokens only in
/// streams; their refusal reaches the caller.
pub(super) static FIREWORKS: Spec = Spec {
    streams_only: |_, body| body.get::<u64>("max_tokens").is_ok_and(|most| most.is_some_and(|most| most > 4096)),
    aliases: &["fireworks_ai"],
    ops: &[
        CHAT,
        COMPLETE,
        EMBED,
        RESPOND,
        STORED,
        (Op::Image, "/workflows/{path}/text_to_image"),
        (Op::Transcribe, "https://audio-prod.api.fireworks.ai/v1/audio/transcriptions"),
        (Op::Translate, "https://audio-prod.api.fireworks.ai/v1/audio/translations"),
        RERANK,
        (Op::File, FIREWORKS_ACCOUNTS),
        (Op::Batch, FIREWORKS_ACCOUNTS),
        PASS,
    ],
    jobs: Some(Jobs::Fireworks),
    files: &[".storage.googleapis.com"],
    hosts: FIREWORKS_AUDIO,
    ways: Some(fireworks_way),
    extras: &[(Op::Image, Extra::FireworksImage)],
    answers: &[(Op::Rerank, &[rankings::results])],
    model: fireworks_name,
    edits: &[ROLES, FLAT_BUT_USER, NO_THOUGHTS, NO_MARKS, Body(effort::none_to_high), MAX_TOKENS],
    embeds: &[Body(embeddings::text_only)],
    floats_only: true,
    lacks: &["modalities", "audio"],
    thinks_aloud,
    mends: &[choices::finish_reasons],
    faults: &[on(412, "", Fault::Overloaded)],
    owns: Owns::Prefixes(&["accounts/"]),
    docs: "https://docs.fireworks.ai/api-reference/post-chatcompletions",
    hint: "check FIREWORKS_API_KEY",
    ..Spec::openai(
        "fireworks",
        "https://api.fireworks.ai/inference/v1",
        &[
            need("api_key", &["FIREWORKS_API_KEY", "FIREWORKS_AI_API_KEY"]),
            may("base_url", &["FIREWORKS_BASE_URL"]),
            may("account_id", &["FIREWORKS_ACCOUNT_ID"]),
        ],
    )
};

fn r1(model: &str) -> bool {
    model.contains("-r1") || model.contains("-R1")
}

/// Images have addresses by the kind of their model, below the host.
fn novita_way(op: Op, model: &str, _: bool, _: &Settings) -> Option<Way> {
    let path = match model {
        _ if op != Op::Image => return None,
        novita::SCHNELL => "//v3beta/flux-1-schnell",
        model if novita::is_checkpoint(model) => "//v3/async/txt2img",
        _ => return None,
    };
    Some(Way { dialect: Dialect::Native(Native::Extra(Extra::NovitaImage)), path })
}

/// <https://novita.ai/docs/api-reference/model-apis-llm-create-chat-completion>. Older configurations name the root
/// `/v3/openai`, which works too. Rankings: <https://novita.ai/docs/api-reference/model-apis-llm-create-rerank>.
pub(super) static NOVITA: Spec = Spec {
    ops: &[CHAT, COMPLETE, EMBED, (Op::Image, "//v3/async/{model}"), RERANK, FILE, BATCH, PASS],
    extras: &[(Op::Image, Extra::NovitaImage)],
    // as its pages on the result of a task and on FLUX.1 show them
    files: &[
        ".faas-output-image.s3.ap-southeast-1.amazonaws.com",
        ".model-api-output.5e61b0cbce9f453eb9db49fdd85c7cac.r2.cloudflarestorage.com",
    ],
    ways: Some(novita_way),
    exchange: Exchange::Tasks("/v3/async/task-result?task_id="),
    edits: &[
        ROLES,
        FLAT_BUT_USER,
        NO_THOUGHTS,
        NO_MARKS,
        Body(effort::enable_thinking),
        When(r1, &[Body(effort::separate_reasoning)]),
        MAX_TOKENS,
        NO_HINTS,
    ],
    embeds: &[Body(embeddings::text_only)],
    floats_only: true,
    lacks: &["parallel_tool_calls", "metadata", "store", "service_tier", "prediction", "modalities", "audio"],
    thinks_aloud,
    mends: &[choices::reasoning_content, choices::tool_calls, choices::finish_reasons],
    follows: &[choices::tool_finish],
    faults: &[on(403, "not enough balance", Fault::Billing)],
    docs: "https://novita.ai/docs/api-reference/model-apis-llm-create-chat-completion",
    hint: "check NOVITA_API_KEY",
    ..Spec::openai(
        "novita",
        "https://api.novita.ai/openai/v1",
        &[need("api_key", &["NOVITA_API_KEY"]), may("base_url", &["NOVITA_BASE_URL"])],
    )
};

fn not_gpt_oss(model: &str) -> bool {
    !gpt_oss(model)
}

/// Uploads say the file's name and kind beside it, and have other purposes.
/// <https://docs.together.ai/reference/upload-file>
fn together_upload(draft: &mut Draft<'_>) -> Result<(), Error> {
    if let Some(purpose) = draft.text("purpose").map(|purpose| together_purpose(purpose).to_owned()) {
        draft.set("purpose", &purpose);
    }
    let Some(name) = draft.filename("file") else {
        let message = "`file` is missing, or has no name".to_owned();
        return Err(Error::Invalid { param: "file".to_owned(), message });
    };
    if !draft.has("file_name") {
        draft.set("file_name", name);
    }
    let kind = name.rsplit_once('.').map(|(_, kind)| kind).filter(|kind| ["jsonl", "csv", "parquet"].contains(kind));
    if let (Some(kind), false) = (kind, draft.has("file_type")) {
        draft.set("file_type", kind);
    }
    Ok(())
}

/// <https://docs.together.ai/reference/chat-completions-1>, <https://docs.together.ai/docs/logprobs>. The form of
/// `json_schema` is OpenAI's, as in the newer documentation. `GET /models` answers with a bare array.
pub(super) static TOGETHER: Spec = Spec {
    aliases: &["together_ai", "togetherai"],
    ops: &[CHAT, COMPLETE, EMBED, IMAGE, SPEECH, TRANSCRIBE, TRANSLATE, RERANK, FILE, BATCH, PASS],
    kept: &[(Op::File, Kept::TogetherFiles), (Op::Batch, Kept::TogetherBatches)],
    others: &[
        (Op::Image, &[Body(images::width_and_height)]),
        (Op::Speech, &[NO_EVENTS, Lacks(&["speed", "instructions"])]),
    ],
    forms: &[
        (Op::Transcribe, &[FormEdit::Check(sound::json_only)]),
        (Op::Translate, &[FormEdit::Check(sound::json_only)]),
        (Op::File, &[FormEdit::Check(together_upload), FormEdit::Last("file")]),
    ],
    edits: &[
        ROLES,
        FLAT_BUT_USER,
        NO_THOUGHTS,
        NO_MARKS,
        When(gpt_oss, &[Body(effort::low_to_high)]),
        When(not_gpt_oss, &[Body(effort::reasoning_switch)]),
        Body(params::counted_logprobs),
        MAX_TOKENS,
        NO_HINTS,
    ],
    embeds: &[Body(embeddings::text_only), Lacks(&["user", "dimensions"])],
    floats_only: true,
    lacks: &[
        "parallel_tool_calls",
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
    mends: &[choices::reasoning_content, choices::finish_reasons, logprobs::per_token],
    follows: &[choices::tool_finish],
    faults: &[on(403, "token", Fault::ContextLength)],
    docs: "https://docs.together.ai/reference/chat-completions-1",
    hint: "check TOGETHER_API_KEY",
    ..Spec::openai(
        "together",
        "https://api.together.ai/v1",
        &[need("api_key", &["TOGETHER_API_KEY", "TOGETHERAI_API_KEY"]), may("base_url", &["TOGETHER_BASE_URL"])],
    )
};
