//! Routers in front of many hosts: Hugging Face, OpenRouter.

use super::faults::on;
use super::usual::{CHAT, EMBED, PASS, RESPOND};
use super::{FLAT_BUT_USER, NO_HINTS, NO_MARKS, NO_THOUGHTS, ROLES, thinks_aloud};
use crate::call::{Error, Fault, Op};
use crate::providers::rework::{choices, effort, params};
use crate::providers::spec::Edit::{Body, When};
use crate::providers::spec::{FormEdit, Owns, Pace, Spec, may, need};
use crate::wire::Extra;
use crate::wire::multipart::Draft;

/// Asked of Hugging Face's own backend rather than of a partner's.
fn hf_inference(model: &str) -> bool {
    model.ends_with(":hf-inference")
}

/// A recording that is sent alone is answered with its text, and with no times.
fn text_alone(draft: &mut Draft<'_>) -> Result<(), Error> {
    match draft.text("response_format") {
        None | Some("json" | "text") => Ok(()),
        Some(other) => {
            let message = format!("hugging-face has no `{other}`, only json and text");
            Err(Error::Invalid { param: "response_format".to_owned(), message })
        }
    }
}

/// <https://huggingface.co/docs/inference-providers/tasks/chat-completion>,
/// <https://huggingface.co/docs/inference-providers/tasks/automatic-speech-recognition>. What a request may hold depends on the host
/// behind it, so little is left out. Embeddings have a route of their own, in no dialect of ours.
pub(super) static HUGGING_FACE: Spec = Spec {
    aliases: &["hugging_face", "huggingface"],
    ops: &[
        CHAT,
        RESPOND,
        (Op::Embed, "//hf-inference/models/{path}/pipeline/feature-extraction"),
        (Op::Image, "//hf-inference/models/{path}"),
        (Op::Speech, "//hf-inference/models/{path}"),
        (Op::Transcribe, "//hf-inference/models/{path}"),
        PASS,
    ],
    forms: &[(
        Op::Transcribe,
        &[
            FormEdit::Check(text_alone),
            FormEdit::Lacks(&["language", "prompt", "temperature", "timestamp_granularities[]"]),
            FormEdit::Alone("file"),
        ],
    )],
    extras: &[
        (Op::Embed, Extra::HuggingFaceEmbed),
        (Op::Image, Extra::HuggingFaceImage),
        (Op::Speech, Extra::HuggingFaceSpeech),
    ],
    floats_only: true,
    headers: &[("x-hf-bill-to", "bill_to")],
    edits: &[
        ROLES,
        FLAT_BUT_USER,
        NO_THOUGHTS,
        NO_MARKS,
        When(hf_inference, &[Body(params::schema_as_value)]),
        NO_HINTS,
    ],
    lacks: &["metadata", "store", "service_tier", "prediction", "modalities", "audio"],
    thinks_aloud,
    mends: &[choices::reasoning_content, choices::tool_calls, choices::finish_reasons],
    follows: &[choices::tool_finish],
    faults: &[
        on(503, "loading", Fault::Overloaded),
        on(404, "not supported by provider", Fault::NotFound),
        on(400, "not supported by provider", Fault::NotFound),
    ],
    owns: Owns::Any,
    // models are loaded when they are asked for
    pace: Pace::Slow,
    docs: "https://huggingface.co/docs/inference-providers/tasks/chat-completion",
    hint: "check HUGGING_FACE_API_KEY: the token needs the permission to call inference providers",
    ..Spec::openai(
        "hugging-face",
        "https://router.huggingface.co/v1",
        &[
            need("api_key", &["HUGGING_FACE_API_KEY", "HF_TOKEN"]),
            may("base_url", &["HUGGING_FACE_ENDPOINT"]),
            may("bill_to", &["HF_BILL_TO"]),
        ],
    )
};

/// <https://openrouter.ai/docs/api-reference/chat-completion>, <https://openrouter.ai/docs/use-cases/reasoning-tokens>,
/// <https://openrouter.ai/docs/api-reference/errors>. Thoughts, marks and hints go through: it passes them on.
pub(super) static OPENROUTER: Spec = Spec {
    ops: &[CHAT, EMBED, RESPOND, (Op::Image, "/chat/completions"), PASS],
    extras: &[(Op::Image, Extra::OpenrouterImage)],
    headers: &[("http-referer", "site_url"), ("x-title", "app_name")],
    edits: &[Body(effort::reasoning_object)],
    lacks: &["n"],
    mends: &[choices::reasoning_content],
    faults: &[
        on(403, "moderation", Fault::ContentPolicy),
        on(403, "flagged", Fault::ContentPolicy),
        on(400, "is not a valid model id", Fault::NotFound),
    ],
    owns: Owns::Any,
    docs: "https://openrouter.ai/docs/api-reference/chat-completion",
    hint: "check OPENROUTER_API_KEY",
    ..Spec::openai(
        "openrouter",
        "https://openrouter.ai/api/v1",
        &[
            need("api_key", &["OPENROUTER_API_KEY"]),
            may("base_url", &["OPENROUTER_BASE_URL"]),
            may("site_url", &["OPENROUTER_SITE_URL"]),
            may("app_name", &["OPENROUTER_APP_NAME"]),
        ],
    )
};
