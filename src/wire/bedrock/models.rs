//! What sets the models behind Converse apart, by name. Data: the vendors' pages change with every release.
//!
//! <https://docs.aws.amazon.com/bedrock/latest/userguide/conversation-inference-supported-models-features.html>,
//! <https://docs.aws.amazon.com/bedrock/latest/userguide/structured-output.html>,
//! <https://docs.aws.amazon.com/bedrock/latest/userguide/prompt-caching.html>

/// Who made a model, as far as Converse treats it differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    /// Anthropic's.
    Claude,
    /// Amazon's.
    Nova,
    /// Meta's.
    Llama,
    /// Mistral's.
    Mistral,
    /// Cohere's.
    Cohere,
    /// AI21's.
    Jamba,
    /// Amazon's older text models.
    Titan,
    /// Any other vendor's.
    Other,
    /// One whose name does not tell: an ARN of an application profile, an import, a deployment.
    Opaque,
}

/// How a model is asked to think.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Thinking {
    /// It can't be asked.
    Never,
    /// So many tokens of thought.
    Budget,
    /// As much as it finds right, at this effort; `xhigh` if the last effort below `max` exists, `default` if it thinks
    /// unasked.
    Adaptive {
        /// Whether `xhigh` is an effort.
        xhigh: bool,
        /// Whether it thinks if nothing is said.
        default: bool,
    },
    /// Nova's `reasoningConfig`.
    Config,
    /// A flat `reasoning_effort` of low, medium or high.
    Effort,
}

/// Which of `temperature` and `top_p` a model takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sampling {
    /// Both.
    Both,
    /// One of them.
    One,
    /// None, and no `top_k` either.
    None,
}

/// Where a prompt can be marked for caching.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Caching {
    /// Nowhere.
    Never,
    /// In system texts and messages.
    Messages,
    /// There and after tools.
    Everywhere,
}

/// What a model is like.
#[derive(Clone, Copy, Debug)]
pub(super) struct Model {
    /// Who made it.
    pub(super) family: Family,
    /// How it is asked to think.
    pub(super) thinking: Thinking,
    /// What of the sampling parameters it takes.
    pub(super) sampling: Sampling,
    /// Where its prompts are cached.
    pub(super) caching: Caching,
    /// Whether a cached prompt can be kept for an hour.
    pub(super) hour: bool,
    /// Whether its own `tool_choice`, among the additional fields, can say that tools are called one at a time.
    pub(super) serial: bool,
    /// Whether it can be held to a JSON schema, by `outputConfig` and by strict tools.
    pub(super) schema: bool,
    /// Whether it takes system texts.
    pub(super) system: bool,
    /// Whether a tool call can be demanded of it.
    pub(super) forced: bool,
    /// Whether it takes tools at all.
    pub(super) tools: bool,
    /// The name of `top_k` among the additional fields, if it has one.
    pub(super) top_k: Option<&'static str>,
}

const VENDORS: &[&str] = &[
    "amazon",
    "anthropic",
    "ai21",
    "cohere",
    "deepseek",
    "google",
    "luma",
    "meta",
    "minimax",
    "mistral",
    "moonshot",
    "moonshotai",
    "nvidia",
    "openai",
    "qwen",
    "stability",
    "twelvelabs",
    "writer",
    "zai",
];

/// The name a model has at its vendor, `anthropic.claude-…`: without a geography, out of an ARN. Empty if the id hides it.
pub(super) fn base(id: &str) -> &str {
    let name = match id.strip_prefix("arn:") {
        Some(arn) if arn.contains(":inference-profile/") || arn.contains(":foundation-model/") => {
            arn.rsplit('/').next().unwrap_or_default()
        }
        // a custom model's ARN goes on with what it was made from
        Some(arn) => arn.split_once(":custom-model/").map_or("", |(_, name)| name),
        None => id,
    };
    let vendor = |name: &str| name.split_once('.').is_some_and(|(vendor, _)| VENDORS.contains(&vendor));
    match name.split_once('.') {
        Some((_, rest)) if !vendor(name) && vendor(rest) => rest,
        _ => name,
    }
}

/// What is known of a model.
pub(super) fn of(id: &str) -> Model {
    let name = base(id);
    let plain = Model {
        family: Family::Other,
        thinking: Thinking::Never,
        sampling: Sampling::Both,
        caching: Caching::Never,
        hour: false,
        serial: false,
        schema: false,
        system: true,
        forced: true,
        tools: true,
        top_k: None,
    };
    match name.split_once('.') {
        Some(("anthropic", name)) => claude(name, plain),
        Some(("amazon", name)) if name.starts_with("nova") => Model {
            family: Family::Nova,
            thinking: if name.starts_with("nova-2") { Thinking::Config } else { Thinking::Never },
            caching: Caching::Messages,
            top_k: Some("topK"),
            ..plain
        },
        Some(("amazon", _)) => Model { family: Family::Titan, system: false, forced: false, tools: false, ..plain },
        Some(("meta", _)) => Model { family: Family::Llama, forced: false, ..plain },
        Some(("mistral", name)) => Model {
            family: Family::Mistral,
            system: !name.contains("7b-instruct") && !name.contains("8x7b"),
            schema: ["magistral", "ministral", "mistral-large-3", "voxtral", "devstral"]
                .iter()
                .any(|known| name.contains(known)),
            top_k: Some("top_k"),
            ..plain
        },
        Some(("cohere", _)) => Model { family: Family::Cohere, forced: false, top_k: Some("k"), ..plain },
        Some(("ai21", _)) => Model { family: Family::Jamba, forced: false, ..plain },
        Some(("deepseek", name)) if name.starts_with("r1") => Model { tools: false, forced: false, ..plain },
        Some(("google", name)) if name.starts_with("gemma") => Model { schema: true, ..plain },
        Some(("deepseek" | "minimax" | "moonshot" | "moonshotai" | "nvidia" | "openai" | "qwen" | "zai", _)) => {
            Model { thinking: Thinking::Effort, schema: true, ..plain }
        }
        Some((vendor, _)) if VENDORS.contains(&vendor) => plain,
        _ => Model { family: Family::Opaque, ..plain },
    }
}

/// Claude's generations. An unknown one is taken for the newest.
fn claude(name: &str, plain: Model) -> Model {
    let is = |parts: &[&str]| parts.iter().any(|part| name.contains(part));
    let model = Model { family: Family::Claude, caching: Caching::Everywhere, top_k: Some("top_k"), ..plain };
    if is(&["claude-3-7"]) {
        return Model { thinking: Thinking::Budget, ..model };
    }
    if is(&["claude-3-5-haiku", "claude-3-5-sonnet-20241022"]) {
        return model;
    }
    if is(&["claude-3", "claude-v2", "claude-instant"]) {
        return Model { caching: Caching::Never, ..model };
    }
    if is(&["opus-4-5", "sonnet-4-5", "haiku-4-5"]) {
        return Model {
            thinking: Thinking::Budget,
            sampling: Sampling::One,
            hour: true,
            serial: true,
            schema: true,
            ..model
        };
    }
    if is(&["opus-4-6", "sonnet-4-6"]) {
        let thinking = Thinking::Adaptive { xhigh: false, default: false };
        let schema = is(&["opus-4-6"]);
        return Model { thinking, sampling: Sampling::One, hour: true, serial: true, schema, ..model };
    }
    if is(&["opus-4-1"]) {
        return Model { thinking: Thinking::Budget, sampling: Sampling::One, ..model };
    }
    if is(&["opus-4-2", "sonnet-4-2"]) || name.ends_with("opus-4") || name.ends_with("sonnet-4") {
        return Model { thinking: Thinking::Budget, ..model };
    }
    let thinking = Thinking::Adaptive { xhigh: true, default: is(&["sonnet-5"]) };
    Model { thinking, sampling: Sampling::None, hour: true, serial: true, ..model }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_known_under_every_form_of_its_id() {
        for id in [
            "anthropic.claude-haiku-4-5-20251001-v1:0",
            "us.anthropic.claude-haiku-4-5-20251001-v1:0",
            "us-gov.anthropic.claude-haiku-4-5-20251001-v1:0",
            "global.anthropic.claude-haiku-4-5-20251001-v1:0",
            "arn:aws:bedrock:us-east-1:111122223333:inference-profile/us.anthropic.claude-haiku-4-5-20251001-v1:0",
            "arn:aws-us-gov:bedrock:us-gov-west-1::foundation-model/anthropic.claude-haiku-4-5-20251001-v1:0",
        ] {
            assert_eq!(base(id), "anthropic.claude-haiku-4-5-20251001-v1:0", "{id}");
            assert_eq!(of(id).thinking, Thinking::Budget, "{id}");
        }
        for id in ["arn:aws:bedrock:us-east-1:111122223333:application-inference-profile/ab12cd", "my-endpoint", ""] {
            assert_eq!(of(id).family, Family::Opaque, "{id}");
        }
    }

    #[test]
    fn the_generations_of_claude_think_as_they_were_built() {
        let check = |name: &str, thinking| assert_eq!(of(name).thinking, thinking, "{name}");
        check("anthropic.claude-3-5-sonnet-20240620-v1:0", Thinking::Never);
        check("anthropic.claude-opus-4-20250514-v1:0", Thinking::Budget);
        check("anthropic.claude-opus-4-1-20250805-v1:0", Thinking::Budget);
        check("anthropic.claude-opus-4-6-v1", Thinking::Adaptive { xhigh: false, default: false });
        check("anthropic.claude-opus-5-v1", Thinking::Adaptive { xhigh: true, default: false });
        check("amazon.nova-pro-v1:0", Thinking::Never);
        check("us.amazon.nova-2-lite-v1:0", Thinking::Config);
        check("openai.gpt-oss-120b-1:0", Thinking::Effort);
        check("us.deepseek.r1-v1:0", Thinking::Never);
    }
}
