//! OpenAI itself.

use crate::call::Op;
use crate::providers::spec::{Owns, Spec, may, need};

/// <https://platform.openai.com/docs/api-reference>
pub static OPENAI: Spec = Spec {
    ops: &[(Op::Chat, "/chat/completions"), (Op::Complete, "/completions"), (Op::Embed, "/embeddings")],
    headers: &[("openai-organization", "organization"), ("openai-project", "project")],
    owns: Owns::Prefixes(&["gpt-", "chatgpt-", "o1", "o3", "o4", "text-embedding-", "ft:"]),
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
