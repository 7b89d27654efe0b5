//! Clouds that serve models beside everything else: Cloudflare, Databricks.

use serde_json::Value;

use super::faults::on;
use super::usual::{CHAT, EMBED, PASS, RESPOND};
use super::{
    FLAT, FLAT_BUT_USER, MAX_TOKENS, NO_HINTS, NO_MARKS, NO_NULL, NO_THOUGHTS, ROLES, given, place, thinks_aloud,
};
use crate::call::{Fault, Op};
use crate::config::Invalid;
use crate::providers::rework::{choices, effort, embeddings, messages, params, usage};
use crate::providers::settings::Settings;
use crate::providers::spec::Edit::{Body, Lacks, Mentions, Messages, When};
use crate::providers::spec::{Auth, Discover, Kind, Listing, Owns, Pace, Pages, Place, Root, Spec, may, need};
use crate::wire::Extra;

/// <https://developers.cloudflare.com/workers-ai/configuration/open-ai-compatibility>,
/// <https://developers.cloudflare.com/workers-ai/platform/errors>. Errors come in Cloudflare's own envelope.
pub(super) static CLOUDFLARE: Spec = Spec {
    ops: &[
        CHAT,
        EMBED,
        RESPOND,
        (Op::Image, "../run/{path}"),
        (Op::Speech, "../run/{path}"),
        (Op::Transcribe, "../run/{path}"),
        (Op::Translate, "../run/{path}"),
        (Op::Rerank, "../run/{path}"),
        PASS,
    ],
    extras: &[
        (Op::Image, Extra::CloudflareImage),
        (Op::Speech, Extra::CloudflareSpeech),
        (Op::Transcribe, Extra::CloudflareTranscript),
        (Op::Translate, Extra::CloudflareTranscript),
        (Op::Rerank, Extra::CloudflareRerank),
    ],
    batch: Some(|_| 100),
    // the schemas of these say so: <https://developers.cloudflare.com/workers-ai/models/llama-4-scout-17b-16e-instruct>
    fetches: Some(|model, kind, _| {
        kind == Kind::Image && ["llama-4", "gemma-3", "mistral-small"].iter().any(|name| model.contains(name))
    }),
    edits: &[ROLES, FLAT, NO_NULL, NO_THOUGHTS, NO_MARKS, MAX_TOKENS, NO_HINTS],
    embeds: &[Body(embeddings::text_only), Lacks(&["user", "dimensions"])],
    floats_only: true,
    lacks: &[
        "n",
        "logprobs",
        "top_logprobs",
        "logit_bias",
        "user",
        "safety_identifier",
        "store",
        "metadata",
        "parallel_tool_calls",
        "service_tier",
        "prediction",
        "modalities",
        "audio",
    ],
    thinks_aloud,
    mends: &[usage::native_frame, choices::reasoning_content, choices::tool_calls, choices::finish_reasons],
    follows: &[choices::tool_finish],
    faults: &[
        on(0, "7009", Fault::Auth),
        on(0, "10000", Fault::Auth),
        on(0, "9109", Fault::Auth),
        on(0, "5004", Fault::BadRequest),
        on(0, "5006", Fault::BadRequest),
        on(0, "5007", Fault::NotFound),
        on(0, "3036", Fault::Billing),
        on(0, "3040", Fault::Overloaded),
    ],
    discover: Discover::Lists(&[Listing::of(
        "//client/v4/accounts/{account_id}/ai/models/search?per_page=100",
        "result",
        "name",
    )
    .paged(Pages::Counted("page", 100))]),
    owns: Owns::PrefixesAndAny(&["@cf/", "@hf/"]),
    docs: "https://developers.cloudflare.com/workers-ai/configuration/open-ai-compatibility",
    hint: "check CLOUDFLARE_API_KEY and CLOUDFLARE_ACCOUNT_ID: the token needs `Workers AI: Read` for this account",
    ..Spec::openai(
        "cloudflare",
        "https://api.cloudflare.com/client/v4/accounts/{account_id}/ai/v1",
        &[
            need("api_key", &["CLOUDFLARE_API_KEY", "CLOUDFLARE_API_TOKEN"]),
            need("account_id", &["CLOUDFLARE_ACCOUNT_ID"]),
            may("base_url", &["CLOUDFLARE_BASE_URL"]),
        ],
    )
};

fn databricks(settings: &Settings) -> Result<Place, Invalid> {
    const PATH: &str = "/serving-endpoints";
    if let Some(given) = given(settings, PATH) {
        return given;
    }
    let host = settings.get("host").unwrap_or_default();
    // Databricks' own tools take a host without a scheme
    if host.contains("://") { place("host", host, PATH) } else { place("host", &format!("https://{host}"), PATH) }
}

fn claude(model: &str) -> bool {
    model.contains("claude")
}

/// Claudes that are told how many tokens to think: those before 4.6.
fn claude_with_budget(model: &str) -> bool {
    const BUDGET: &[&str] = &["claude-3", "sonnet-4-5", "opus-4-5", "haiku-4-5", "opus-4-1"];
    claude(model)
        && (BUDGET.iter().any(|part| model.contains(part)) || model.ends_with("sonnet-4") || model.ends_with("opus-4"))
}

fn claude_adaptive(model: &str) -> bool {
    claude(model) && !claude_with_budget(model)
}

fn gemini_with_budget(model: &str) -> bool {
    model.contains("gemini-2")
}

/// Neither a Claude nor a Gemini of the second generation, nor one that takes an effort.
fn no_effort(model: &str) -> bool {
    !claude(model) && !gemini_with_budget(model) && !["gpt", "gemini-3"].iter().any(|name| model.contains(name))
}

fn not_claude(model: &str) -> bool {
    !claude(model)
}

fn llama(model: &str) -> bool {
    model.contains("llama")
}

/// Endpoints that answer in words or vectors; who serves a classifier of their own there asks it otherwise.
/// <https://docs.databricks.com/api/workspace/servingendpoints/list>
fn databricks_endpoint(endpoint: &Value, _: &Settings) -> Vec<String> {
    let of = |member: &str| endpoint.get(member).and_then(Value::as_str);
    let speaks = of("task").is_none_or(|task| task.starts_with("llm/") || task.starts_with("agent/"));
    of("name").filter(|_| speaks).map(str::to_owned).into_iter().collect()
}

/// <https://docs.databricks.com/machine-learning/foundation-model-apis/api-reference>,
/// <https://docs.databricks.com/machine-learning/model-serving/query-reason-models>. Endpoints have the names their owners
/// give them; what they take is guessed from these. Seeds are not documented and left out. Replayed thoughts are refused
/// ("extra inputs") or unverified.
pub(super) static DATABRICKS: Spec = Spec {
    root: Root::By(databricks),
    any_of: &["api_key", "client_secret"],
    auth: Auth::BearerOrClient,
    ops: &[CHAT, EMBED, RESPOND, PASS],
    batch: Some(|_| 150),
    fetches: Some(|model, kind, _| claude(model) && kind == Kind::Image),
    edits: &[
        ROLES,
        FLAT_BUT_USER,
        NO_THOUGHTS,
        MAX_TOKENS,
        When(claude_with_budget, &[Body(effort::thinking_budget)]),
        When(claude_adaptive, &[Body(effort::thinking_adaptive)]),
        When(gemini_with_budget, &[Body(effort::thinking_budget)]),
        When(no_effort, &[Lacks(&["reasoning_effort"])]),
        When(
            claude,
            &[
                Mentions(&["\"image_url\""], &[Messages(messages::inline_images)]),
                Body(params::lax_tools),
                Lacks(&["parallel_tool_calls"]),
            ],
        ),
        When(not_claude, &[NO_MARKS]),
        When(llama, &[Body(params::lax_tools)]),
        NO_HINTS,
    ],
    embeds: &[Body(embeddings::text_only)],
    floats_only: true,
    lacks: &["store", "metadata", "service_tier", "logit_bias", "seed", "prediction", "modalities", "audio"],
    mends: &[choices::content_lists, choices::tool_calls, choices::finish_reasons],
    follows: &[choices::tool_finish],
    faults: &[
        on(0, "REQUEST_LIMIT_EXCEEDED", Fault::RateLimited),
        on(0, "RESOURCE_DOES_NOT_EXIST", Fault::NotFound),
        on(0, "ENDPOINT_NOT_FOUND", Fault::NotFound),
        on(0, "PERMISSION_DENIED", Fault::Auth),
        on(403, "temporarily disabled", Fault::Overloaded),
        on(0, "TEMPORARILY_UNAVAILABLE", Fault::Overloaded),
    ],
    discover: Discover::Lists(&[
        Listing::of("//api/2.0/serving-endpoints", "endpoints", "name").called(databricks_endpoint)
    ]),
    owns: Owns::PrefixesAndAny(&["databricks-"]),
    // endpoints scale from zero
    pace: Pace::Slow,
    docs: "https://docs.databricks.com/machine-learning/foundation-model-apis/api-reference",
    hint: "check DATABRICKS_TOKEN, or DATABRICKS_CLIENT_ID and DATABRICKS_CLIENT_SECRET: they belong to one workspace, and need \
           the permission `CAN QUERY` for the endpoint",
    ..Spec::openai(
        "databricks",
        "",
        &[
            need("host", &["DATABRICKS_HOST"]),
            may("api_key", &["DATABRICKS_TOKEN"]),
            may("base_url", &[]),
            may("client_id", &["DATABRICKS_CLIENT_ID"]),
            may("client_secret", &["DATABRICKS_CLIENT_SECRET"]),
        ],
    )
};
