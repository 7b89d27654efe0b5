//! The inputs of a prediction as they are written, and the parameters of a chat among them.

use super::model::{Input, Inputs, Kind};
use crate::wire::Object;
use crate::wire::native::params::{DELIVERY, says_nothing};
use crate::wire::native::{Back, Loss, Request};

/// Inputs in the making: each has its name once.
pub(super) struct Sheet {
    out: Vec<u8>,
    names: Vec<String>,
}

impl Sheet {
    /// Without inputs yet, and with room for this many bytes.
    pub(super) fn with_capacity(size: usize) -> Self {
        Self { out: Vec::with_capacity(size + 64), names: Vec::with_capacity(8) }
    }

    /// Its length so far, bytes.
    pub(super) fn len(&self) -> usize {
        self.out.len()
    }

    /// Begin an input; its value is written behind it.
    pub(super) fn name(&mut self, name: &str) -> &mut Vec<u8> {
        self.out.push(if self.names.is_empty() { b'{' } else { b',' });
        serde_json::to_writer(&mut self.out, name).expect("a string always encodes");
        self.out.push(b':');
        self.names.push(name.to_owned());
        &mut self.out
    }

    /// Add an input whose value is JSON already.
    pub(super) fn put(&mut self, name: &str, value: &[u8]) {
        self.name(name).extend_from_slice(value);
    }

    /// Whether there is an input of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.names.iter().any(|known| known == name)
    }

    /// Write all of it.
    pub(super) fn finish(&self, body: &mut Vec<u8>) {
        body.extend_from_slice(&self.out);
        body.extend_from_slice(if self.names.is_empty() { b"{}" } else { b"}" });
    }
}

/// What can't be had whatever the model takes: the answer would not come back in OpenAI's form.
const BEYOND: &[&str] = &[
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "functions",
    "function_call",
    "response_format",
    "n",
    "logprobs",
    "top_logprobs",
    "logit_bias",
    "modalities",
    "audio",
    "prediction",
    "web_search_options",
    "moderation",
];

/// OpenAI's words for what only some models take. A word that is not OpenAI's is meant for the model, known or not.
const OPENAIS: &[&str] = &[
    "seed",
    "presence_penalty",
    "frequency_penalty",
    "reasoning_effort",
    "verbosity",
    "user",
    "safety_identifier",
    "metadata",
    "store",
    "service_tier",
];

/// The names a limit of the answer's length has, the first that a model knows.
const LIMITS: &[&str] = &["max_tokens", "max_completion_tokens", "max_new_tokens", "max_length"];

/// The names that texts have which end an answer.
const STOPS: &[&str] = &["stop_sequences", "stop"];

/// Carry the parameters over: to the inputs the model has, or, where these are unknown, to those that most models have.
pub(super) fn carry(ask: &Object, inputs: Option<&Inputs>, sheet: &mut Sheet, losses: &mut Vec<Loss>) {
    let said = |name: &str| ask.raw(name).is_some_and(|value| value != b"null");
    let limit = if said("max_completion_tokens") { "max_completion_tokens" } else { "max_tokens" };
    for (name, value) in ask.members() {
        if DELIVERY.contains(&name) || name == "provider_options" || idle(name, value) {
            continue;
        }
        let done = match name {
            _ if BEYOND.contains(&name) => None,
            "max_tokens" | "max_completion_tokens" if name != limit => continue,
            "max_tokens" | "max_completion_tokens" => length(value, inputs, sheet),
            "stop" => stop(value, inputs, sheet),
            _ if sheet.has(name) => None,
            _ => match inputs {
                Some(inputs) => inputs.get(name).map(|input| number(input, value, sheet)),
                None if OPENAIS.contains(&name) => None,
                None => {
                    sheet.put(name, value);
                    Some(Fit::Whole)
                }
            },
        };
        let action = match done {
            Some(Fit::Whole) => continue,
            Some(Fit::Clamped) => "clamped",
            None => "dropped",
        };
        losses.push(Loss { param: name.to_owned(), action });
    }
}

/// A value, within the bounds of its input if that is known; says what became of it if that is something else.
pub(super) fn put(name: &str, input: Option<&Input>, value: &[u8], sheet: &mut Sheet) -> Option<&'static str> {
    match input.map(|input| number(input, value, sheet)) {
        None => sheet.put(name, value),
        Some(Fit::Whole) => {}
        Some(Fit::Clamped) => return Some("clamped"),
    }
    None
}

/// The request for a prediction with these inputs, of this version if it has to be named.
pub(super) fn asked(sheet: &Sheet, version: Option<&str>, losses: Vec<Loss>, back: Back) -> Request {
    let mut body = Vec::with_capacity(sheet.len() + 128);
    body.push(b'{');
    if let Some(version) = version {
        body.extend_from_slice(br#""version":"#);
        serde_json::to_writer(&mut body, version).expect("a string always encodes");
        body.push(b',');
    }
    body.extend_from_slice(br#""input":"#);
    sheet.finish(&mut body);
    body.push(b'}');
    Request { body: body.into(), headers: Vec::new(), losses, back }
}

/// How well a value fitted.
enum Fit {
    Whole,
    Clamped,
}

fn length(value: &[u8], inputs: Option<&Inputs>, sheet: &mut Sheet) -> Option<Fit> {
    match inputs {
        Some(inputs) => inputs.first(LIMITS).map(|input| number(input, value, sheet)),
        None => {
            // the newer and the older name: models know one of them
            sheet.put("max_tokens", value);
            sheet.put("max_new_tokens", value);
            Some(Fit::Whole)
        }
    }
}

/// Texts that end the answer, as an array or joined by commas. A text with a comma can't be joined.
fn stop(value: &[u8], inputs: Option<&Inputs>, sheet: &mut Sheet) -> Option<Fit> {
    let input = inputs?.first(STOPS)?;
    let one = serde_json::from_slice::<String>(value).map(|one| vec![one]);
    let texts = one.or_else(|_| serde_json::from_slice::<Vec<String>>(value)).ok()?;
    let written = match input.kind {
        Kind::List => serde_json::to_vec(&texts),
        _ if texts.iter().any(|text| text.contains(',')) => return None,
        _ => serde_json::to_vec(&texts.join(",")),
    };
    sheet.put(&input.name, &written.ok()?);
    Some(Fit::Whole)
}

/// A value within the bounds of its input. What is no number is as the model may judge.
fn number(input: &Input, value: &[u8], sheet: &mut Sheet) -> Fit {
    let bounds = (input.least.unwrap_or(f64::MIN), input.most.unwrap_or(f64::MAX));
    match serde_json::from_slice::<f64>(value) {
        Ok(asked) if bounds.0 <= bounds.1 && !(bounds.0..=bounds.1).contains(&asked) => {
            let near = asked.clamp(bounds.0, bounds.1);
            let written = match input.kind {
                Kind::Whole => format!("{near:.0}"),
                _ => near.to_string(),
            };
            sheet.put(&input.name, written.as_bytes());
            Fit::Clamped
        }
        _ => {
            sheet.put(&input.name, value);
            Fit::Whole
        }
    }
}

/// Whether a parameter has the value it would have if it were absent.
fn idle(name: &str, value: &[u8]) -> bool {
    let neutral = match name {
        "metadata" => value == b"{}",
        "tools" | "functions" | "stop" => value == b"[]",
        "parallel_tool_calls" => value == b"true",
        "tool_choice" | "service_tier" => value == br#""auto""# || value == br#""none""#,
        "function_call" => value == br#""none""#,
        "response_format" => value == br#"{"type":"text"}"#,
        _ => false,
    };
    neutral || says_nothing(name, value)
}
