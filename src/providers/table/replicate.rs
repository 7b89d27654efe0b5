//! Replicate.

use super::faults::on;
use super::thinks_aloud;
use crate::call::{Fault, Op};
use crate::providers::spec::{Discover, Exchange, Listing, Pace, Spec, may, need};
use crate::wire::Native;

/// <https://replicate.com/docs/reference/http>. What a model takes follows from its own description.
pub(super) static REPLICATE: Spec = Spec {
    ops: &[
        (Op::Chat, "/predictions"),
        (Op::Image, "/predictions"),
        (Op::Speech, "/predictions"),
        (Op::Transcribe, "/predictions"),
    ],
    files: &[".replicate.delivery"],
    lists: &["text_models", "image_models"],
    thinks_aloud,
    faults: &[
        on(0, "nsfw", Fault::ContentPolicy),
        on(0, "flagged", Fault::ContentPolicy),
        on(0, "(e005)", Fault::ContentPolicy),
        on(0, "invalid input", Fault::BadRequest),
        on(0, "(e006)", Fault::BadRequest),
    ],
    // of its thousands of models those that it has sorted by what is served here
    discover: Discover::Lists(&[
        Listing::of("/collections/language-models", "models", "owner/name"),
        Listing::of("/collections/text-to-image", "models", "owner/name"),
    ]),
    exchange: Exchange::Predictions,
    // a model that nobody has asked for lately is started first
    pace: Pace::Slow,
    docs: "https://replicate.com/docs/reference/http",
    hint: "check REPLICATE_API_TOKEN",
    ..Spec::native(
        Native::Replicate,
        "replicate",
        "https://api.replicate.com/v1",
        &[
            need("api_key", &["REPLICATE_API_TOKEN"]),
            may("base_url", &["REPLICATE_BASE_URL"]),
            may("text_models", &["REPLICATE_TEXT_MODELS"]),
            may("image_models", &["REPLICATE_IMAGE_MODELS"]),
        ],
    )
};
