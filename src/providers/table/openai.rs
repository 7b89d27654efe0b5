//! OpenAI itself.

use super::faults::on;
use super::usual::{
    BATCH, CHAT, COMPLETE, EMBED, FILE, IMAGE, IMAGE_EDIT, IMAGE_VARIATION, MODERATE, PASS, REALTIME, RESPOND, SPEECH,
    STORED, TRANSCRIBE, TRANSLATE,
};
use super::{NO_EVENTS, tts_1};
use crate::call::{Fault, Op};
use crate::providers::rework::{generations, images};
use crate::providers::spec::Edit::{Body, Lacks, When};
use crate::providers::spec::{Owns, Spec, may, need};

/// Names of OpenAI's models, here and at Azure.
pub(super) const OWN_NAMES: &[&str] = &[
    "gpt-",
    "chatgpt-",
    "codex-",
    "computer-use-",
    "o1",
    "o3",
    "o4",
    "text-embedding-3",
    "text-embedding-ada",
    "babbage-",
    "davinci-",
    "ft:",
    "dall-e-",
    "sora-",
    "tts-",
    "whisper-",
    "omni-moderation-",
    "text-moderation-",
];

/// What the models that search in every answer refuse.
pub(super) const SEARCHERS_LACK: &[&str] = &[
    "temperature",
    "top_p",
    "presence_penalty",
    "frequency_penalty",
    "n",
    "seed",
    "logit_bias",
    "logprobs",
    "top_logprobs",
];

/// <https://platform.openai.com/docs/api-reference/chat>; errors: <https://platform.openai.com/docs/guides/error-codes>,
/// realtime: <https://developers.openai.com/api/docs/guides/realtime-websocket>.
/// Models that do not think need no edit: their requests pass as they came.
pub(super) static OPENAI: Spec = Spec {
    ops: &[
        CHAT,
        COMPLETE,
        EMBED,
        RESPOND,
        STORED,
        IMAGE,
        IMAGE_EDIT,
        IMAGE_VARIATION,
        SPEECH,
        TRANSCRIBE,
        TRANSLATE,
        MODERATE,
        FILE,
        BATCH,
        REALTIME,
        PASS,
    ],
    talks: true,
    headers: &[("openai-organization", "organization"), ("openai-project", "project")],
    others: &[
        (Op::Image, &[When(generations::draws, &[Body(images::always_base64)])]),
        (Op::Speech, &[When(tts_1, &[NO_EVENTS])]),
    ],
    edits: &[
        When(generations::thinks, &[Body(generations::openai)]),
        When(generations::searches, &[Lacks(SEARCHERS_LACK)]),
    ],
    faults: &[
        on(403, "unsupported_country_region_territory", Fault::Auth),
        on(503, "slow_down", Fault::Overloaded),
        on(429, "resource_unavailable", Fault::Overloaded),
    ],
    owns: Owns::Prefixes(OWN_NAMES),
    docs: "https://platform.openai.com/docs/api-reference/chat",
    hint: "check OPENAI_API_KEY",
    ..Spec::openai(
        "openai",
        "https://api.openai.com/v1",
        &[
            need("api_key", &["OPENAI_API_KEY"]),
            may("base_url", &["OPENAI_BASE_URL"]),
            may("organization", &["OPENAI_ORG_ID"]),
            may("project", &["OPENAI_PROJECT_ID"]),
        ],
    )
};
