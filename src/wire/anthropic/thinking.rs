//! How hard the model shall think: three forms in which callers say it, two in which models are told.

use std::borrow::Cow;

use super::desk::{Desk, invalid};
use super::json;
use super::models::{Off, Thinks};
use crate::wire::Object;
use crate::wire::native::Refused;

/// Steps of `reasoning_effort`, and the tokens they stand for.
const EFFORTS: [(&str, u64); 7] = [
    ("none", 0),
    ("minimal", 1_024),
    ("low", 1_024),
    ("medium", 4_096),
    ("high", 8_192),
    ("xhigh", 16_384),
    ("max", 32_768),
];

/// The least tokens that can be given for thinking.
const LEAST: u64 = 1_024;

/// What the model is told.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Thinking {
    /// Nothing: it does as it does.
    Unsaid,
    /// `disabled`, `between_tools`.
    Off(&'static str),
    /// Up to so many tokens.
    Budget(u64),
    /// As it sees fit.
    Adaptive,
}

/// What is said about thinking.
pub(super) struct Plan {
    pub(super) thinking: Thinking,
    /// How what is thought is shown.
    display: Option<String>,
    /// The value of `output_config.effort`.
    pub(super) effort: Option<&'static str>,
    /// The parameter that asked for it.
    pub(super) param: &'static str,
}

/// What the caller asked for.
#[derive(Default)]
struct Wish {
    param: &'static str,
    effort: Option<usize>,
    budget: Option<u64>,
    on: Option<bool>,
    display: Option<String>,
    /// Whether it was said in Anthropic's own words that there is a number of tokens.
    manual: bool,
}

/// Read the caller's wish and put it as the model takes it.
pub(super) fn plan(desk: &mut Desk<'_>, ask: &Object) -> Result<Plan, Refused> {
    let wish = read(ask)?;
    let param = wish.param;
    let step = wish.effort.filter(|step| *step > 0);
    let mut plan = Plan { thinking: Thinking::Unsaid, display: wish.display, effort: None, param };
    let Some(on) = wish.on.or(wish.effort.map(|step| step > 0)).or(wish.budget.map(|_| true)) else { return Ok(plan) };
    let model = desk.model;
    match (on, model.thinks) {
        (false, Thinks::Never | Thinks::Budget) => {}
        (false, Thinks::Adaptive | Thinks::Either) => match model.off {
            Off::Silence => {}
            Off::Disabled => plan.thinking = Thinking::Off("disabled"),
            Off::BetweenTools => plan.thinking = Thinking::Off("between_tools"),
            Off::Impossible => {
                plan.effort = Some("low");
                desk.lose(param, "converted");
            }
        },
        (true, Thinks::Never) => desk.lose(param, "dropped"),
        (true, thinks) if thinks == Thinks::Budget || (thinks == Thinks::Either && wish.manual) => {
            let tokens = wish.budget.or(step.map(|step| EFFORTS[step].1)).unwrap_or(EFFORTS[3].1);
            plan.thinking = Thinking::Budget(tokens.max(LEAST));
        }
        (true, _) => {
            plan.thinking = Thinking::Adaptive;
            let step = step.or(wish.budget.map(|budget| match budget {
                0..2_048 => 2,
                2_048..8_192 => 3,
                _ => 4,
            }));
            plan.effort = step.map(|step| match EFFORTS[step].0 {
                "minimal" => "low",
                "xhigh" if !model.xhigh => "max",
                other => other,
            });
            if !model.shows && plan.display.is_none() {
                plan.display = Some("summarized".to_owned());
            }
        }
    }
    Ok(plan)
}

fn read(ask: &Object) -> Result<Wish, Refused> {
    let mut wish = Wish { param: "reasoning_effort", ..Wish::default() };
    let object = |name: &str| match ask.raw(name) {
        Some(raw) if raw.starts_with(b"{") => Ok(ask.object(name)?),
        None | Some(b"null") => Ok(None),
        Some(_) => Err(invalid(name, format!("`{name}` must be an object"))),
    };
    let number = |of: &Object, param: &str, name: &str| {
        of.get::<f64>(name)
            .map(|n| n.map(|n| n as u64))
            .map_err(|_| invalid(format!("{param}.{name}"), "it must be a number"))
    };
    if let Some(raw) = ask.raw("reasoning_effort").filter(|raw| *raw != b"null") {
        wish.effort = Some(step(raw, "reasoning_effort")?);
    }
    if let Some(reasoning) = object("reasoning")? {
        wish.param = if wish.effort.is_some() { wish.param } else { "reasoning" };
        if let Some(raw) = reasoning.raw("effort").filter(|raw| *raw != b"null" && wish.effort.is_none()) {
            wish.effort = Some(step(raw, "reasoning.effort")?);
        }
        wish.budget = number(&reasoning, "reasoning", "max_tokens")?;
        wish.on = match reasoning.raw("enabled") {
            Some(b"false") => Some(false),
            Some(b"true") => Some(wish.effort != Some(0)),
            _ => None,
        };
        if reasoning.raw("exclude") == Some(b"true") {
            wish.display = Some("omitted".to_owned());
        }
    }
    if let Some(thinking) = object("thinking")? {
        wish.param = "thinking";
        let kind = thinking.raw("type").and_then(json::decoded).map(Cow::into_owned);
        wish.on = match kind.as_deref() {
            Some("disabled" | "between_tools") => Some(false),
            Some("enabled" | "adaptive" | "auto") => Some(true),
            _ => {
                let message = "it must be enabled, adaptive, disabled or between_tools";
                return Err(invalid("thinking.type", message));
            }
        };
        wish.budget = number(&thinking, "thinking", "budget_tokens")?.or(wish.budget);
        wish.manual = wish.budget.is_some() && kind.as_deref() == Some("enabled");
        let display = thinking.raw("display").and_then(json::decoded).map(Cow::into_owned);
        wish.display = display.or(wish.display);
    }
    Ok(wish)
}

fn step(raw: &[u8], param: &str) -> Result<usize, Refused> {
    let named = json::decoded(raw).filter(|_| json::is_string(raw));
    let step = named.and_then(|name| EFFORTS.iter().position(|(known, _)| *known == name));
    step.ok_or_else(|| invalid(param, "it must be none, minimal, low, medium, high, xhigh or max"))
}

impl Plan {
    /// Whether the model was told to think.
    pub(super) fn is_on(&self) -> bool {
        matches!(self.thinking, Thinking::Budget(_) | Thinking::Adaptive)
    }

    /// Write `thinking`, if there is anything to say.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let (kind, budget) = match self.thinking {
            Thinking::Unsaid => return,
            Thinking::Off(kind) => (kind, None),
            Thinking::Budget(tokens) => ("enabled", Some(tokens)),
            Thinking::Adaptive => ("adaptive", None),
        };
        json::key(out, "thinking");
        out.push(b'{');
        json::put_text(out, "type", kind);
        if let Some(tokens) = budget {
            json::put(out, "budget_tokens", tokens.to_string().as_bytes());
        }
        if let Some(display) = self.display.as_deref().filter(|_| self.is_on()) {
            json::put_text(out, "display", display);
        }
        out.push(b'}');
    }
}
