//! How much a model shall think: asked for in three ways, told in Google's.
//!
//! <https://ai.google.dev/gemini-api/docs/thinking>

use serde::Deserialize;

use super::json::{Json, invalid};
use super::model::{Level, Model, Thinks};
use crate::wire::Object;
use crate::wire::native::{Loss, Refused};

/// Steps of `reasoning_effort`, lowest first.
const STEPS: [&str; 7] = ["none", "minimal", "low", "medium", "high", "xhigh", "max"];

/// Tokens for each step.
const TOKENS: [u64; 7] = [0, 1024, 1024, 4096, 8192, 16_384, 32_768];

/// What is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Wish {
    /// An index into [`STEPS`].
    step: Option<usize>,
    /// Tokens; below zero: as many as the model sees fit.
    budget: Option<i64>,
    on: Option<bool>,
    hidden: bool,
}

#[derive(Deserialize)]
struct Reasoning {
    effort: Option<String>,
    max_tokens: Option<i64>,
    enabled: Option<bool>,
    exclude: Option<bool>,
}

#[derive(Deserialize)]
struct Thinking {
    r#type: Option<String>,
    budget_tokens: Option<i64>,
}

fn step(name: &str, param: &str) -> Result<usize, Refused> {
    match STEPS.iter().position(|step| *step == name) {
        Some(step) => Ok(step),
        None => invalid(param, format!("must be one of {}", STEPS.join(", "))),
    }
}

impl Wish {
    /// Read `reasoning_effort`, OpenRouter's `reasoning` and Anthropic's `thinking`; the first with a word to say wins.
    fn of(ask: &Object) -> Result<Self, Refused> {
        let mut wish = Self::default();
        if let Some(name) = ask.get::<String>("reasoning_effort")? {
            wish.step = Some(step(&name, "reasoning_effort")?);
        }
        if let Some(reasoning) = ask.get::<Reasoning>("reasoning")? {
            if let (None, Some(name)) = (wish.step, &reasoning.effort) {
                wish.step = Some(step(name, "reasoning.effort")?);
            }
            wish.budget = reasoning.max_tokens;
            wish.on = reasoning.enabled;
            wish.hidden = reasoning.exclude == Some(true);
        }
        if let Some(thinking) = ask.get::<Thinking>("thinking")? {
            wish.budget = wish.budget.or(thinking.budget_tokens);
            wish.on = wish.on.or_else(|| Some(thinking.r#type.as_deref() != Some("disabled")));
        }
        if wish.on == Some(false) {
            wish.step = Some(0);
            wish.budget = None;
        }
        Ok(wish)
    }

    fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The step, be it named or the one that a number of tokens comes to.
    fn step(&self) -> Option<usize> {
        self.step.or_else(|| match self.budget? {
            ..0 => None,
            0 => Some(0),
            1..2048 => Some(2),
            2048..8192 => Some(3),
            _ => Some(4),
        })
    }
}

/// The member of `generationConfig`, if there is something to say.
pub(super) fn config(ask: &Object, model: &Model, losses: &mut Vec<Loss>) -> Result<Option<Json>, Refused> {
    let wish = Wish::of(ask)?;
    let param = ["reasoning_effort", "reasoning", "thinking"].into_iter().find(|name| ask.has(name));
    let mut lost = |action| {
        losses.push(Loss { param: param.unwrap_or("reasoning_effort").to_owned(), action });
    };
    let mut json = Json::default();
    json.raw("{");
    let shown = match model.thinks {
        Thinks::Never => {
            if !wish.is_empty() && wish.step() != Some(0) {
                lost("dropped");
            }
            return Ok(None);
        }
        Thinks::Levels(levels) => {
            if let Some(step) = wish.step() {
                let level = level(step, levels);
                if step == 0 && level != Level::Minimal {
                    lost("clamped");
                }
                json.name("thinkingLevel").text(level.name());
            }
            wish.step() != Some(0)
        }
        Thinks::Budget { least, most, off, on } => {
            let asked = wish.budget.or_else(|| Some(TOKENS[wish.step?] as i64));
            let budget = match asked {
                None if wish.on == Some(true) => Some(-1),
                None | Some(0) if asked.is_none() => None,
                Some(..0) => Some(-1),
                Some(0) if off => Some(0),
                Some(tokens) => Some(tokens.clamp(least as i64, most as i64)),
                None => None,
            };
            if asked == Some(0) && !off {
                lost("clamped");
            }
            if let Some(budget) = budget {
                json.name("thinkingBudget").raw(budget.to_string());
            }
            match budget {
                Some(budget) => budget != 0 && asked != Some(0),
                None => on,
            }
        }
    };
    if shown && !wish.hidden {
        json.name("includeThoughts").raw("true");
    }
    json.raw("}");
    Ok((json.0.len() > 2).then_some(json))
}

/// The nearest word a model knows: the next higher one, if it does not know the one that is meant.
fn level(step: usize, levels: &[Level]) -> Level {
    let meant = match step {
        0 | 1 => Level::Minimal,
        2 => Level::Low,
        3 => Level::Medium,
        _ => Level::High,
    };
    levels.iter().copied().find(|level| *level >= meant).unwrap_or(Level::High)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(model: &str, body: &str) -> String {
        let ask = Object::parse(bytes::Bytes::copy_from_slice(body.as_bytes())).expect("an object");
        let said = config(&ask, &Model::of(model), &mut Vec::new()).expect("a wish");
        said.map_or(String::new(), |json| String::from_utf8(json.0).expect("text"))
    }

    #[test]
    fn every_model_is_told_in_its_own_words() {
        let effort = |step: &str| format!(r#"{{"reasoning_effort":"{step}"}}"#);
        for (model, ask, told) in [
            ("gemini-2.5-pro", effort("none"), r#"{"thinkingBudget":128}"#),
            ("gemini-2.5-pro", effort("max"), r#"{"thinkingBudget":32768,"includeThoughts":true}"#),
            ("gemini-2.5-flash", effort("none"), r#"{"thinkingBudget":0}"#),
            ("gemini-2.5-flash", effort("low"), r#"{"thinkingBudget":1024,"includeThoughts":true}"#),
            ("gemini-2.5-flash", effort("max"), r#"{"thinkingBudget":24576,"includeThoughts":true}"#),
            ("gemini-2.5-flash", "{}".into(), r#"{"includeThoughts":true}"#),
            ("gemini-2.5-flash-lite", "{}".into(), ""),
            (
                "gemini-2.5-flash-lite",
                r#"{"thinking":{"type":"enabled","budget_tokens":100}}"#.into(),
                r#"{"thinkingBudget":512,"includeThoughts":true}"#,
            ),
            ("gemini-3-pro-preview", effort("medium"), r#"{"thinkingLevel":"HIGH","includeThoughts":true}"#),
            ("gemini-3-pro-preview", effort("none"), r#"{"thinkingLevel":"LOW"}"#),
            ("gemini-3.1-pro", effort("medium"), r#"{"thinkingLevel":"MEDIUM","includeThoughts":true}"#),
            ("gemini-3-flash", effort("none"), r#"{"thinkingLevel":"MINIMAL"}"#),
            ("gemini-3-flash", effort("minimal"), r#"{"thinkingLevel":"MINIMAL","includeThoughts":true}"#),
            ("gemini-flash-latest", effort("minimal"), r#"{"thinkingLevel":"LOW","includeThoughts":true}"#),
            ("gemini-3-flash", r#"{"reasoning":{"exclude":true,"effort":"low"}}"#.into(), r#"{"thinkingLevel":"LOW"}"#),
            (
                "gemini-3-flash",
                r#"{"reasoning":{"max_tokens":5000}}"#.into(),
                r#"{"thinkingLevel":"MEDIUM","includeThoughts":true}"#,
            ),
            (
                "gemini-2.5-flash",
                r#"{"reasoning":{"enabled":true}}"#.into(),
                r#"{"thinkingBudget":-1,"includeThoughts":true}"#,
            ),
            ("gemini-2.5-flash-image", effort("high"), ""),
            ("gemma-3-27b-it", effort("high"), ""),
            ("gemini-2.0-flash", "{}".into(), ""),
        ] {
            assert_eq!(said(model, &ask), told, "{model} {ask}");
        }
    }
}
