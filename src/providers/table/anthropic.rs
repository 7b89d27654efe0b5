//! Anthropic.

use super::faults::on;
use crate::call::{Fault, Op};
use crate::providers::spec::{Auth, Discover, Jobs, Listing, Owns, Pages, Spec, may};
use crate::wire::Native;
use crate::wire::anthropic::Hosting;

/// <https://platform.claude.com/docs/en/api/overview>, <https://platform.claude.com/docs/en/api/errors>.
pub(super) static ANTHROPIC: Spec = Spec {
    any_of: &["api_key", "auth_token"],
    auth: Auth::KeyOrToken("x-api-key"),
    ops: &[(Op::Chat, "/messages"), (Op::File, "/files"), (Op::Batch, "/messages/batches")],
    jobs: Some(Jobs::Anthropic),
    fixed_headers: &[("anthropic-version", "2023-06-01")],
    faults: &[
        on(400, "credit balance is too low", Fault::Billing),
        on(0, "billing_error", Fault::Billing),
        on(0, "overloaded_error", Fault::Overloaded),
    ],
    discover: Discover::Lists(&[
        Listing::of("/models?limit=1000", "data", "id").paged(Pages::Token("last_id", "after_id"))
    ]),
    owns: Owns::Prefixes(&["claude"]),
    docs: "https://platform.claude.com/docs/en/api/overview",
    hint: "check ANTHROPIC_API_KEY",
    ..Spec::native(
        Native::Anthropic(Hosting::Direct),
        "anthropic",
        "https://api.anthropic.com/v1",
        &[
            may("api_key", &["ANTHROPIC_API_KEY"]),
            may("auth_token", &["ANTHROPIC_AUTH_TOKEN"]),
            may("base_url", &["ANTHROPIC_BASE_URL"]),
            // where a request does not say; by itself 8192, or the model's limit if that is less
            may("max_tokens", &[]),
        ],
    )
};
