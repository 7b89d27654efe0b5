//! Laboratories of China that serve their own models: DeepSeek, Moonshot, Qwen.

use super::faults::on;
use super::usual::{BATCH, CHAT, EMBED, FILE, PASS, RESPOND};
use super::{FLAT, FLAT_BUT_USER, MAX_TOKENS, NO_HINTS, NO_MARKS, NO_THOUGHTS, ROLES, THOUGHTS};
use crate::call::{Fault, Op};
use crate::config::Invalid;
use crate::providers::rework::{choices, effort, embeddings, params, replay, schema, usage};
use crate::providers::settings::Settings;
use crate::providers::spec::Edit::{Body, Drop, Ignores, Lacks, Mentions, Messages, When};
use crate::providers::spec::{Kind, Owns, Place, Root, Spec, Way, may, need};
use crate::wire::extras::qwen::synthesizes;
use crate::wire::{Dialect, Extra, Native, Object};

/// Models of the R1 kind: always thinking, and refusing their thoughts back.
fn deepseek_r1(model: &str) -> bool {
    model.contains("-r1") || model.contains("reasoner")
}

fn deepseek_switches(model: &str) -> bool {
    !deepseek_r1(model)
}

/// <https://api-docs.deepseek.com/api/create-chat-completion>, <https://api-docs.deepseek.com/guides/thinking_mode>.
/// Strict tools and prefixes exist below `/beta` only, which `DEEPSEEK_BASE_URL` may name.
pub(super) static DEEPSEEK: Spec = Spec {
    ops: &[CHAT, PASS],
    edits: &[
        ROLES,
        FLAT,
        NO_MARKS,
        NO_HINTS,
        When(deepseek_r1, &[NO_THOUGHTS, Lacks(&["reasoning_effort"]), Drop(&["thinking"])]),
        When(
            deepseek_switches,
            &[
                Mentions(THOUGHTS, &[Messages(replay::as_reasoning_content)]),
                Body(effort::thinking_and_effort),
                Body(replay::on_every_assistant),
            ],
        ),
        Body(params::schema_as_instruction),
        Body(params::user_id),
        MAX_TOKENS,
    ],
    lacks: &[
        "seed",
        "n",
        "logit_bias",
        "service_tier",
        "store",
        "metadata",
        "parallel_tool_calls",
        "prediction",
        "modalities",
        "audio",
    ],
    ignores: &["temperature", "top_p", "presence_penalty", "frequency_penalty"],
    mends: &[choices::finish_reasons],
    faults: &[on(422, "", Fault::BadRequest)],
    owns: Owns::Prefixes(&["deepseek-"]),
    docs: "https://api-docs.deepseek.com/api/create-chat-completion",
    hint: "check DEEPSEEK_API_KEY",
    ..Spec::openai(
        "deepseek",
        "https://api.deepseek.com/v1",
        &[need("api_key", &["DEEPSEEK_API_KEY"]), may("base_url", &["DEEPSEEK_BASE_URL"])],
    )
};

/// K3 and later take an effort.
fn kimi_3(model: &str) -> bool {
    model.contains("kimi-k3")
}

/// K2 of the kinds that can be told to think.
fn kimi_2(model: &str) -> bool {
    model.contains("kimi-k2.") || (model.contains("kimi-k2") && model.contains("thinking"))
}

/// Those whose temperature is fixed: the server refuses any other.
fn kimi_fixed(model: &str) -> bool {
    kimi_3(model) || model.contains("kimi-k2.") || model.contains("thinking")
}

fn moonshot_classic(model: &str) -> bool {
    !kimi_3(model) && !kimi_2(model)
}

/// <https://platform.moonshot.ai/docs/api/chat>, <https://platform.moonshot.ai/docs/guide/use-kimi-k2-thinking-model>.
/// Fixed temperatures of K2.5 and later: not verified live, so both parameters are left out there.
pub(super) static MOONSHOT: Spec = Spec {
    aliases: &["moonshotai", "kimi"],
    ops: &[CHAT, FILE, PASS],
    // data, and files that were uploaded: <https://platform.moonshot.ai/docs/guide/use-kimi-vision-model>
    fetches: Some(|_, kind, _| matches!(kind, Kind::Image | Kind::Video)),
    edits: &[
        ROLES,
        NO_MARKS,
        Mentions(THOUGHTS, &[Messages(replay::as_reasoning_content)]),
        When(kimi_3, &[Body(effort::low_high_max)]),
        When(kimi_2, &[Body(effort::thinking_switch), Body(replay::on_every_call)]),
        When(moonshot_classic, &[Lacks(&["reasoning_effort"])]),
        When(kimi_fixed, &[Lacks(&["temperature", "top_p"]), Body(params::auto_for_required)]),
        Body(params::safety_identifier),
        Body(schema::types_in_branches),
        MAX_TOKENS,
        Drop(&["prompt_cache_retention", "prompt_cache_options"]),
    ],
    lacks: &[
        "seed",
        "logit_bias",
        "logprobs",
        "top_logprobs",
        "top_k",
        "store",
        "metadata",
        "parallel_tool_calls",
        "service_tier",
        "prediction",
        "modalities",
        "audio",
    ],
    mends: &[usage::out_of_choice, choices::finish_reasons],
    faults: &[
        on(429, "exceeded_current_quota_error", Fault::Billing),
        on(429, "engine_overloaded_error", Fault::Overloaded),
    ],
    owns: Owns::Prefixes(&["kimi-", "moonshot-"]),
    docs: "https://platform.moonshot.ai/docs/api/chat",
    hint: "check MOONSHOT_API_KEY; keys of platform.moonshot.ai and platform.moonshot.cn are not shared: for the latter set \
           MOONSHOT_BASE_URL=https://api.moonshot.cn/v1",
    ..Spec::openai(
        "moonshot",
        "https://api.moonshot.ai/v1",
        &[need("api_key", &["MOONSHOT_API_KEY", "KIMI_API_KEY"]), may("base_url", &["MOONSHOT_BASE_URL"])],
    )
};

/// The region's root. Hosts of the US and Hong Kong are not verified live.
fn qwen(settings: &Settings) -> Result<Place, Invalid> {
    const PATH: &str = "/compatible-mode/v1";
    if let Some(given) = super::given(settings, PATH) {
        return given;
    }
    let host = match settings.get("region").unwrap_or("intl") {
        "intl" => "https://dashscope-intl.aliyuncs.com",
        "cn" => "https://dashscope.aliyuncs.com",
        "us" => "https://dashscope-us.aliyuncs.com",
        "hk" => "https://cn-hongkong.dashscope.aliyuncs.com",
        _ => return Err(Invalid::at("options.region".to_owned(), "must be intl, cn, us or hk".to_owned())),
    };
    Ok(Place { base: format!("{host}{PATH}"), query: None })
}

/// Models that only stream, and those that do while they think.
fn qwen_streams_only(model: &str, body: &Object) -> bool {
    let always = ["-thinking", "qwq", "qvq", "-omni"].iter().any(|part| model.contains(part));
    always || (effort::qwen_open(model) && body.raw("enable_thinking") == Some(b"true"))
}

/// Some models speak at an address of their own.
fn qwen_way(op: Op, model: &str, _: bool, _: &Settings) -> Option<Way> {
    let way = Way {
        dialect: Dialect::Native(Native::Extra(Extra::QwenSpeech)),
        path: "//api/v1/services/audio/tts/SpeechSynthesizer",
    };
    (op == Op::Speech && synthesizes(model)).then_some(way)
}

/// <https://www.alibabacloud.com/help/en/model-studio/compatibility-of-openai-with-dashscope>,
/// <https://www.alibabacloud.com/help/en/model-studio/deep-thinking>,
/// <https://help.aliyun.com/en/model-studio/compatibility-with-openai-responses-api>,
/// <https://www.alibabacloud.com/help/en/model-studio/omni-realtime-websocket-access>
pub(super) static QWEN: Spec = Spec {
    aliases: &["dashscope"],
    root: Root::By(qwen),
    ops: &[
        CHAT,
        EMBED,
        (Op::Image, "//api/v1/services/aigc/multimodal-generation/generation"),
        (Op::Speech, "//api/v1/services/aigc/multimodal-generation/generation"),
        (Op::Transcribe, "//api/v1/services/aigc/multimodal-generation/generation"),
        (Op::Rerank, "//api/v1/services/rerank/text-rerank/text-rerank"),
        RESPOND,
        FILE,
        BATCH,
        (Op::Realtime, "//api-ws/v1/realtime"),
        PASS,
    ],
    extras: &[
        (Op::Image, Extra::QwenImage),
        (Op::Speech, Extra::QwenSpeech),
        (Op::Transcribe, Extra::QwenTranscript),
        (Op::Rerank, Extra::QwenRerank),
    ],
    ways: Some(qwen_way),
    // what is made is kept in its object storage for a day
    files: &[".aliyuncs.com"],
    // the first two versions took more
    batch: Some(|model| if model.ends_with("v1") || model.ends_with("v2") { 25 } else { 10 }),
    edits: &[
        ROLES,
        FLAT_BUT_USER,
        Mentions(THOUGHTS, &[Messages(replay::as_reasoning_content)]),
        Body(effort::qwen),
        MAX_TOKENS,
        NO_HINTS,
        Ignores(&["frequency_penalty"]),
    ],
    embeds: &[Body(embeddings::text_only), Lacks(&["user"])],
    floats_only: true,
    streams_only: qwen_streams_only,
    lacks: &["logit_bias", "store", "metadata", "service_tier", "user", "safety_identifier", "prediction"],
    mends: &[choices::tool_calls, choices::finish_reasons],
    faults: &[
        on(400, "Arrearage", Fault::Billing),
        on(0, "data_inspection_failed", Fault::ContentPolicy),
        on(0, "DataInspectionFailed", Fault::ContentPolicy),
        on(403, "AccessDenied.Unpurchased", Fault::Auth),
        on(0, "Throttling", Fault::RateLimited),
        on(0, "limit_requests", Fault::RateLimited),
    ],
    owns: Owns::Prefixes(&["qwen", "qwq-", "qvq-", "cosyvoice-", "text-embedding-v"]),
    docs: "https://www.alibabacloud.com/help/en/model-studio/compatibility-of-openai-with-dashscope",
    hint: "check QWEN_API_KEY; keys belong to one region: set the option `region` (intl, cn, us, hk) or QWEN_BASE_URL",
    ..Spec::openai(
        "qwen",
        "",
        &[
            need("api_key", &["QWEN_API_KEY", "DASHSCOPE_API_KEY"]),
            may("base_url", &["QWEN_BASE_URL"]),
            may("region", &[]),
        ],
    )
};
