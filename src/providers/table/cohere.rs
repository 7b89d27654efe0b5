//! Cohere.

use super::faults::on;
use crate::call::{Fault, Op};
use crate::providers::rework::sound;
use crate::providers::spec::{Discover, FormEdit, Jobs, Listing, Owns, Pages, Spec, may, need};
use crate::wire::Native;

/// <https://docs.cohere.com/reference/about>, <https://docs.cohere.com/reference/errors>,
/// <https://docs.cohere.com/reference/create-audio-transcription>. Versions are part of the paths. Recordings are read
/// while they arrive, so what is said about them comes before.
pub(super) static COHERE: Spec = Spec {
    ops: &[
        (Op::Chat, "/v2/chat"),
        (Op::Embed, "/v2/embed"),
        (Op::Transcribe, "/v2/audio/transcriptions"),
        (Op::Rerank, "/v2/rerank"),
        (Op::File, "/v1/datasets"),
        (Op::Batch, "/v2/batches"),
    ],
    jobs: Some(Jobs::Cohere),
    files: &[".storage.googleapis.com"],
    forms: &[(
        Op::Transcribe,
        &[
            FormEdit::Check(sound::text_alone),
            FormEdit::Check(sound::language_is_said),
            FormEdit::Lacks(&["prompt", "timestamp_granularities[]", "include[]", "chunking_strategy"]),
            FormEdit::Check(sound::told_as_events),
            FormEdit::Last("file"),
        ],
    )],
    batch: Some(|_| 96),
    fixed_headers: &[("x-client-name", "ferrogw")],
    faults: &[on(498, "", Fault::Auth), on(499, "", Fault::Server), on(0, "too many tokens", Fault::ContextLength)],
    discover: Discover::Lists(&[
        Listing::of("/v1/models?page_size=1000", "models", "name").paged(Pages::Token("next_page_token", "page_token"))
    ]),
    owns: Owns::Prefixes(&["command", "embed-", "rerank-", "cohere-transcribe", "c4ai-", "aya-"]),
    docs: "https://docs.cohere.com/reference/about",
    hint: "check COHERE_API_KEY",
    ..Spec::native(
        Native::Cohere,
        "cohere",
        "https://api.cohere.com",
        &[need("api_key", &["COHERE_API_KEY", "CO_API_KEY"]), may("base_url", &["COHERE_BASE_URL"])],
    )
};
