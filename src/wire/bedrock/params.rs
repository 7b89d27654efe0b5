//! Parameters: those Converse has, those a model has beside it, and those nobody has.

use super::json::{self, Json, Members, invalid};
use super::models::{Family, Sampling};
use super::reasoning::Plan;
use super::scene::Scene;
use super::tools::Tools;
use crate::wire::Object;
use crate::wire::native::params::{DELIVERY, says_nothing};
use crate::wire::native::{Refused, Terms};

/// What a Claude may say beside its thoughts, where nobody says how much, tokens.
const SPEECH: u64 = 8192;

/// Members that are read by name somewhere in this folder, or can be left out without a word.
const KNOWN: &[&str] = &[
    "tools",
    "tool_choice",
    "functions",
    "function_call",
    "max_tokens",
    "max_completion_tokens",
    "temperature",
    "top_p",
    "top_k",
    "stop",
    "response_format",
    "reasoning_effort",
    "reasoning",
    "thinking",
    "output_config",
    "service_tier",
    "serviceTier",
    "metadata",
    "user",
    "safety_identifier",
    "base_model",
    "cache_control",
    "parallel_tool_calls",
    "anthropic_beta",
    "guardrail_config",
    "guardrailConfig",
    "performance_config",
    "performanceConfig",
    "request_metadata",
    "requestMetadata",
    "additional_model_request_fields",
    "additionalModelRequestFields",
    "additional_model_response_field_paths",
    "additionalModelResponseFieldPaths",
];

/// Report every member that is not carried over.
pub(super) fn strangers(ask: &Object, scene: &mut Scene) {
    for (name, value) in ask.members() {
        if !(DELIVERY.contains(&name) || KNOWN.contains(&name) || says_nothing(name, value)) {
            scene.lose(name, "dropped");
        }
    }
}

/// A number as it is written, and its value.
fn number<'a>(ask: &'a Object, name: &str) -> Result<Option<(&'a str, f64)>, Refused> {
    let Some(raw) = json::raw(ask, name) else { return Ok(None) };
    let value = raw.parse().map_err(|_| invalid(name, "must be a number"))?;
    Ok(Some((raw, value)))
}

/// Write `inferenceConfig`; returns `top_k` if the model takes one now, and the plan, its budget cut to what fits.
pub(super) fn inference(
    ask: &Object,
    terms: &Terms<'_>,
    plan: Plan,
    scene: &mut Scene,
    out: &mut Json,
) -> Result<Plan, Refused> {
    let mut inner = Json::default();
    inner.open(b'{');
    // Nova says no to all of these while it thinks hard
    let hard = plan == Plan::Config("high");
    let plan = limit(ask, terms, plan, hard, scene, &mut inner)?;
    let thinks = plan.claude_thinks();
    let sampling = scene.model.sampling;
    let temperature = number(ask, "temperature")?;
    if let Some((raw, value)) = temperature {
        if hard || sampling == Sampling::None || (thinks && value != 1.0) {
            scene.lose("temperature", "dropped");
        } else if value > 1.0 {
            scene.lose("temperature", "clamped");
            inner.member("temperature", "1");
        } else {
            inner.member("temperature", raw);
        }
    }
    if let Some((raw, value)) = number(ask, "top_p")? {
        let other = sampling == Sampling::One && temperature.is_some();
        if hard || other || sampling == Sampling::None || (thinks && value < 0.95) {
            scene.lose("top_p", "dropped");
        } else {
            inner.member("topP", raw);
        }
    }
    stops(ask, scene, &mut inner)?;
    inner.close(b'}');
    if inner.0 != b"{}" {
        out.name("inferenceConfig");
        out.item(inner.0);
    }
    Ok(plan)
}

fn limit(
    ask: &Object,
    terms: &Terms<'_>,
    plan: Plan,
    hard: bool,
    scene: &mut Scene,
    inner: &mut Json,
) -> Result<Plan, Refused> {
    let limit = match number(ask, "max_completion_tokens")? {
        Some(limit) => Some(limit),
        None => number(ask, "max_tokens")?,
    };
    let most = terms.most_output.unwrap_or(u64::MAX);
    match plan {
        Plan::Budget(budget) => {
            // the limit holds for thoughts and words together, and must leave room for words
            let budget = budget.min(most / 2).max(1024);
            let asked = limit.map(|(_, value)| value.max(1.0) as u64);
            let total = match asked {
                Some(asked) if asked > budget => asked,
                other => budget + other.unwrap_or(SPEECH),
            };
            inner.member("maxTokens", &total.min(most).to_string());
            Ok(Plan::Budget(budget))
        }
        _ if hard && limit.is_some() => {
            scene.lose("max_tokens", "dropped");
            Ok(plan)
        }
        _ => {
            match limit {
                Some((_, value)) if value > most as f64 => {
                    scene.lose("max_tokens", "clamped");
                    inner.member("maxTokens", &most.to_string());
                }
                Some((raw, _)) => inner.member("maxTokens", raw),
                None => {}
            }
            Ok(plan)
        }
    }
}

/// `stop`, without what the API refuses: texts that are empty or all white space.
fn stops(ask: &Object, scene: &mut Scene, inner: &mut Json) -> Result<(), Refused> {
    let Some(raw) = json::raw(ask, "stop") else { return Ok(()) };
    let list: Vec<&serde_json::value::RawValue> = match raw.starts_with('"') {
        true => vec![json::parse(raw)?],
        false => json::parse(raw).map_err(|_| invalid("stop", "must be a text or an array of texts"))?,
    };
    if list.iter().any(|stop| json::blank(stop.get())) {
        scene.lose("stop", "dropped");
    }
    let mut full = list.into_iter().map(|stop| stop.get()).filter(|stop| !json::blank(stop)).peekable();
    if full.peek().is_some() {
        inner.name("stopSequences");
        inner.open(b'[');
        full.for_each(|stop| inner.item(stop));
        inner.close(b']');
    }
    Ok(())
}

/// Whether the wish for one call at a time is told to the model in fields of its own.
pub(super) fn single(ask: &Object, tools: &Tools<'_>, scene: &mut Scene) -> bool {
    if json::raw(ask, "parallel_tool_calls") != Some("false") || !tools.callable() {
        return false;
    }
    // told in both places, it is refused
    if !(scene.model.serial && tools.free()) {
        scene.lose("parallel_tool_calls", "dropped");
        return false;
    }
    true
}

/// Write `additionalModelRequestFields`: what the caller puts there, and what follows from its other parameters.
pub(super) fn fields(ask: &Object, plan: Plan, single: bool, scene: &mut Scene, out: &mut Json) -> Result<(), Refused> {
    const NAME: &str = "additionalModelRequestFields";
    let mut ours = plan.fields(&scene.model);
    if let Some((raw, _)) = number(ask, "top_k")? {
        let barred = plan.claude_thinks() || scene.model.sampling == Sampling::None;
        match scene.model.top_k.filter(|_| !barred) {
            Some("topK") => ours.push(("inferenceConfig", format!(r#"{{"topK":{raw}}}"#))),
            Some(name) => ours.push((name, raw.to_owned())),
            None => scene.lose("top_k", "dropped"),
        }
    }
    if single {
        ours.push(("tool_choice", r#"{"type":"auto","disable_parallel_tool_use":true}"#.to_owned()));
    }
    match json::raw(ask, "anthropic_beta") {
        Some(beta) if matches!(scene.model.family, Family::Claude | Family::Opaque) => {
            ours.push(("anthropic_beta", beta.to_owned()));
        }
        Some(_) => scene.lose("anthropic_beta", "dropped"),
        None => {}
    }
    let given: Members<'_> = match json::either(ask, "additional_model_request_fields", NAME) {
        Some(raw) => json::parse(raw).map_err(|_| invalid("additional_model_request_fields", "must be an object"))?,
        None => Members::default(),
    };
    ours.retain(|(name, _)| given.raw(name).is_none());
    if !ours.is_empty() || given.iter().next().is_some() {
        out.name(NAME);
        out.open(b'{');
        given.iter().for_each(|(name, value)| out.foreign(name, value));
        ours.iter().for_each(|(name, value)| out.member(name, value));
        out.close(b'}');
    }
    Ok(())
}

/// Write what Converse has beside the conversation: guardrail, tier, latency, metadata.
pub(super) fn rest(ask: &Object, stream: bool, scene: &mut Scene, out: &mut Json) {
    if let Some(raw) = json::either(ask, "guardrail_config", "guardrailConfig") {
        out.name("guardrailConfig");
        match json::parse::<Members<'_>>(raw) {
            // a word for streams only
            Ok(members) if !stream => {
                out.open(b'{');
                let members = members.iter().filter(|(name, _)| *name != "streamProcessingMode");
                members.for_each(|(name, value)| out.foreign(name, value));
                out.close(b'}');
            }
            _ => out.item(raw),
        }
    }
    for (name, raw) in [
        ("performanceConfig", json::either(ask, "performance_config", "performanceConfig")),
        (
            "additionalModelResponseFieldPaths",
            json::either(ask, "additional_model_response_field_paths", "additionalModelResponseFieldPaths"),
        ),
    ] {
        if let Some(raw) = raw {
            out.member(name, raw);
        }
    }
    match json::either(ask, "service_tier", "serviceTier") {
        Some(tier) if tier.starts_with('{') => out.member("serviceTier", tier),
        Some(r#""auto""#) | None => {}
        Some(tier @ (r#""priority""# | r#""default""# | r#""flex""# | r#""reserved""#)) => {
            out.name("serviceTier");
            out.open(b'{');
            out.member("type", tier);
            out.close(b'}');
        }
        Some(_) => scene.lose("service_tier", "dropped"),
    }
    metadata(ask, scene, out);
}

/// The most pairs of `requestMetadata`.
const MOST_PAIRS: usize = 16;

fn metadata(ask: &Object, scene: &mut Scene, out: &mut Json) {
    if let Some(own) = json::either(ask, "request_metadata", "requestMetadata") {
        out.member("requestMetadata", own);
        return;
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || c.is_ascii_whitespace() || ":_@$#=/+,-.".contains(c);
    let fits = |text: &str| text.len() <= 256 && text.chars().all(plain);
    let given = json::raw(ask, "metadata").and_then(|raw| json::parse::<Members<'_>>(raw).ok()).unwrap_or_default();
    let mut pairs: Vec<(String, String)> = Vec::new();
    for (name, value) in given.iter() {
        match json::text(value) {
            Some(value) if fits(name) && !name.is_empty() && fits(&value) && pairs.len() < MOST_PAIRS => {
                pairs.push((name.to_owned(), value.into_owned()));
            }
            _ => scene.lose(format!("metadata.{name}"), "dropped"),
        }
    }
    let user = ["safety_identifier", "user"].into_iter().find_map(|name| Some((name, json::raw(ask, name)?)));
    if let Some((param, user)) = user {
        match json::text(user) {
            Some(user) if fits(&user) && pairs.len() < MOST_PAIRS && given.raw("user").is_none() => {
                pairs.push(("user".to_owned(), user.into_owned()));
            }
            _ => scene.lose(param, "dropped"),
        }
    }
    if !pairs.is_empty() {
        out.name("requestMetadata");
        out.open(b'{');
        for (name, value) in &pairs {
            out.foreign(name, &json::quoted(value));
        }
        out.close(b'}');
    }
}
