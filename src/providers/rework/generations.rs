//! OpenAI's models by generation: which parameters a reasoning model takes.
//!
//! <https://platform.openai.com/docs/guides/reasoning>, <https://platform.openai.com/docs/guides/latest-model>

use super::effort::{Effort, Wish};
use super::messages::system_to_user;
use super::{given, is, params};
use crate::call::Error;
use crate::providers::spec::Notes;
use crate::wire::Object;

/// The models that draw in base64 alone.
pub fn draws(model: &str) -> bool {
    model.contains("gpt-image")
}

/// A reasoning model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Generation {
    /// `o1-mini` and `o1-preview`: no system message, no choice of effort.
    Early,
    /// o1, o3, o4, and models named after codex alone.
    O { stops: bool },
    /// GPT-5 and later, as version, and whether it is a codex.
    Gpt { major: u32, minor: u32, codex: bool, max: bool },
    /// Those whose efforts are not known to us, because they exist for the Responses API: pro, deep research.
    Other,
}

/// Whether a model of OpenAI's thinks before it answers.
pub fn thinks(model: &str) -> bool {
    generation(model).is_some()
}

/// Whether a model of OpenAI's searches the web in every answer.
pub fn searches(model: &str) -> bool {
    model.contains("-search-preview") || model.contains("-search-api")
}

/// A model's generation; `None` if it does not think.
fn generation(model: &str) -> Option<Generation> {
    let model = model.strip_prefix("ft:").unwrap_or(model);
    let codex = || model.contains("codex");
    if let Some(rest) = model.strip_prefix("gpt-") {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let major: u32 = rest[..digits].parse().ok()?;
        if major < 5 || model.contains("chat") {
            return None;
        }
        let rest = &rest[digits..];
        let minor =
            rest.strip_prefix('.').map_or("0", |rest| rest.split(|c: char| !c.is_ascii_digit()).next().unwrap_or("0"));
        if model.contains("-pro") {
            return Some(Generation::Other);
        }
        return Some(Generation::Gpt {
            major,
            minor: minor.parse().ok()?,
            codex: codex(),
            max: model.contains("codex-max"),
        });
    }
    let series = model.as_bytes();
    if let [b'o', b'1' | b'3' | b'4', rest @ ..] = series
        && (rest.is_empty() || rest[0] == b'-')
    {
        return Some(match rest {
            b"-mini" | b"-preview" if series[1] == b'1' => Generation::Early,
            _ if series[1] == b'1' && (model.starts_with("o1-mini-") || model.starts_with("o1-preview-")) => {
                Generation::Early
            }
            _ if model.contains("-pro") || model.contains("deep-research") => Generation::Other,
            _ => Generation::O { stops: series[1] == b'1' || model.starts_with("o3-mini") },
        });
    }
    model.starts_with("codex-").then_some(Generation::O { stops: false })
}

/// The generation a name hints at: the first part of it that is a model's name. Deployments are called what one likes.
fn hinted(name: &str) -> Option<Generation> {
    let name = name.to_ascii_lowercase();
    let starts = |at: usize| at == 0 || !name.as_bytes()[at - 1].is_ascii_alphanumeric();
    (0..name.len()).filter(|at| name.is_char_boundary(*at) && starts(*at)).find_map(|at| generation(&name[at..]))
}

/// What OpenAI's reasoning models refuse is left out or translated.
pub fn openai(body: &mut Object, notes: &mut Notes<'_>) -> Result<(), Error> {
    match generation(notes.model) {
        Some(generation) => fit(generation, body, notes),
        None => Ok(()),
    }
}

/// As [`openai`], for deployments: the setting `base_model` says what is behind one, else the names may.
pub fn azure(body: &mut Object, notes: &mut Notes<'_>) -> Result<(), Error> {
    let generation = match notes.settings.get("base_model") {
        Some(base) => generation(base),
        None => hinted(notes.model).or_else(|| hinted(&super::text(body, "model")?)),
    };
    match generation {
        Some(generation) => fit(generation, body, notes),
        None => Ok(()),
    }
}

fn fit(generation: Generation, body: &mut Object, notes: &mut Notes<'_>) -> Result<(), Error> {
    params::max_completion_tokens(body, notes)?;
    choose_effort(generation, body, notes)?;
    if !samples(generation, body) {
        for param in ["temperature", "top_p"] {
            if body.get::<f64>(param).ok().flatten() != Some(1.0) {
                notes.lacks(body, param)?;
            }
        }
        for param in ["logprobs", "top_logprobs"] {
            notes.lacks(body, param)?;
        }
    }
    for param in ["presence_penalty", "frequency_penalty", "logit_bias"] {
        notes.lacks(body, param)?;
    }
    let stops = matches!(generation, Generation::Early | Generation::O { stops: true });
    if !stops {
        notes.lacks(body, "stop")?;
    }
    if matches!(generation, Generation::Early | Generation::O { .. }) {
        notes.lacks(body, "parallel_tool_calls")?;
    }
    if generation == Generation::Early {
        let mut messages = body.objects("messages")?;
        if system_to_user(&mut messages)? {
            body.set_objects("messages", &messages);
        }
    }
    Ok(())
}

/// Whether the model samples as it is told: from GPT-5.1 on, while it does not think, which up to 5.4 is the default.
fn samples(generation: Generation, body: &Object) -> bool {
    let Generation::Gpt { major, minor, codex: false, .. } = generation else { return false };
    if (major, minor) < (5, 1) {
        return false;
    }
    is(body, "reasoning_effort", r#""none""#) || (!given(body, "reasoning_effort") && (major, minor) <= (5, 4))
}

/// The nearest effort that the generation has: the next lower one, or else its lowest.
fn choose_effort(generation: Generation, body: &mut Object, notes: &mut Notes<'_>) -> Result<(), Error> {
    use Effort::{High, Low, Medium, Minimal, None, Xhigh};
    if generation == Generation::Early {
        return notes.lacks(body, "reasoning_effort");
    }
    let Some(wish) = Wish::take(body, &[])? else { return Ok(()) };
    let Some(effort) = wish.level() else { return Ok(()) };
    let has: &[Effort] = match generation {
        Generation::O { .. } => &[Low, Medium, High],
        Generation::Gpt { major: 5, minor: 0, codex: false, .. } => &[Minimal, Low, Medium, High],
        Generation::Gpt { major: 5, minor: 1, codex: false, .. } => &[None, Low, Medium, High],
        Generation::Gpt { major: 5, minor: 0 | 1, codex: true, max: false, .. } => &[Low, Medium, High],
        Generation::Gpt { major: 5, minor: 0 | 1, codex: true, .. } => &[Low, Medium, High, Xhigh],
        Generation::Gpt { major: 5, minor: 2..=4, codex: true, .. } => &[Low, Medium, High, Xhigh],
        Generation::Gpt { major: 5, minor: 2..=4, .. } => &[None, Low, Medium, High, Xhigh],
        // the vendor judges what is newer than this table
        _ => Effort::ALL,
    };
    let chosen = has.iter().rev().find(|known| **known <= effort).unwrap_or(&has[0]);
    body.set("reasoning_effort", &chosen.name());
    if *chosen != effort {
        notes.warn("reasoning_effort", "adjusted");
    }
    Ok(())
}
