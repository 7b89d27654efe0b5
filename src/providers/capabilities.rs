//! What a provider can do: its surfaces, and what becomes of each parameter of a chat on the way to it.
//!
//! Nothing here is written down a second time: a request with the parameter is made fit by the row as any other is, and
//! what came of it is the answer. So the matrix can't differ from what is sent.

use serde::Serialize;

use super::encode;
use super::rework;
use super::settings::Settings;
use super::spec::{Exchange, Notes, Policy, Spec};
use crate::call::{Error, Op};
use crate::wire::native::Terms;
use crate::wire::replicate::{self, Inputs};
use crate::wire::{Dialect, Object};

/// What becomes of a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// It is sent as it came.
    Forward,
    /// It is said in other words.
    Translate,
    /// It is sent, and has no effect; the caller is told so.
    Ignored,
    /// It is left out, and the caller is told so; or refused, if the configuration says so.
    Unsupported,
}

impl Effect {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Effect::Forward => "forward",
            Effect::Translate => "translate",
            Effect::Ignored => "ignored",
            Effect::Unsupported => "unsupported",
        }
    }
}

/// One column of the matrix.
#[derive(Clone, Copy, Debug)]
pub struct Param {
    /// The parameter, or the form of it that is meant, as `response_format.json_schema`.
    pub name: &'static str,
    /// A value that says something.
    value: &'static str,
    /// What it needs beside it to mean something.
    beside: &'static str,
}

const fn param(name: &'static str, value: &'static str) -> Param {
    Param { name, value, beside: "" }
}

const fn beside(name: &'static str, value: &'static str, beside: &'static str) -> Param {
    Param { name, value, beside }
}

const TOOLS: &str =
    r#","tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{}}}}]"#;

/// The parameters, in the order in which they are shown.
pub const PARAMS: &[Param] = &[
    param("temperature", "0.5"),
    param("top_p", "0.5"),
    param("n", "2"),
    param("seed", "7"),
    param("max_tokens", "64"),
    param("max_completion_tokens", "64"),
    param("presence_penalty", "0.5"),
    param("frequency_penalty", "0.5"),
    param("stop", r#"["END"]"#),
    param("tools", r#"[{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{}}}}]"#),
    beside("tool_choice", r#""required""#, TOOLS),
    param("response_format", r#"{"type":"json_object"}"#),
    param("logprobs", "true"),
    beside("top_logprobs", "3", r#","logprobs":true"#),
    beside("parallel_tool_calls", "false", TOOLS),
    param("user", r#""u""#),
    param("logit_bias", r#"{"50":-100}"#),
    param(
        "response_format.json_schema",
        r#"{"type":"json_schema","json_schema":{"name":"s","schema":{"type":"object","properties":{"a":{"type":"string"}},"required":["a"],"additionalProperties":false}}}"#,
    ),
    param("reasoning_effort", r#""low""#),
    param("verbosity", r#""low""#),
    param("modalities", r#"["text","audio"]"#),
    param("audio", r#"{"voice":"alloy","format":"wav"}"#),
    param("prediction", r#"{"type":"content","content":"x"}"#),
    param("web_search_options", r#"{"search_context_size":"low"}"#),
    param("safety_identifier", r#""u""#),
    param("metadata", r#"{"a":"b"}"#),
    param("store", "true"),
    param("service_tier", r#""flex""#),
    param("prompt_cache_key", r#""k""#),
];

/// How many of [`PARAMS`] are those that the reference's matrix has: the first.
pub const CLASSIC: usize = 17;

/// The name of a model that no row's exceptions are about.
const ANY_MODEL: &str = "model";

/// What becomes of each of [`PARAMS`], in their order. With a `model`, of those that it is asked with; else of those that
/// a model is asked with about whose name nothing is known.
pub fn parameters(spec: &Spec, model: Option<&str>) -> Vec<(&'static str, Effect)> {
    let model = model.unwrap_or(ANY_MODEL);
    PARAMS.iter().map(|param| (param.name, effect(spec, model, param))).collect()
}

/// The operations that can be asked of a provider, in their order, and whether each is its own or served by another one.
pub fn surfaces(spec: &Spec) -> Vec<(Op, bool)> {
    let mut found: Vec<(Op, bool)> = spec.ops.iter().map(|(op, _)| (*op, true)).collect();
    if spec.path(Op::Complete).is_none() && spec.serves(Op::Complete) {
        found.push((Op::Complete, false));
    }
    found.sort_by_key(|(op, _)| *op as usize);
    found
}

impl Param {
    /// The member of the request that it is, or is a form of.
    fn member(&self) -> &'static str {
        self.name.split('.').next().unwrap_or_default()
    }

    /// A request with it, or the same without it.
    fn ask(&self, with: bool) -> Object {
        let beside = self.beside;
        let own = if with { format!(r#","{}":{}"#, self.member(), self.value) } else { String::new() };
        let text = format!(r#"{{"messages":[{{"role":"user","content":"json"}}]{beside}{own}}}"#);
        Object::parse(text.into()).expect("it is JSON")
    }
}

fn effect(spec: &Spec, model: &str, param: &Param) -> Effect {
    let (member, mut warnings) = (param.member(), Vec::new());
    let Ok(with) = sent(spec, model, param.ask(true), &mut warnings) else { return Effect::Unsupported };
    let said = |action: &str| {
        let start = format!("param={member};");
        warnings.iter().any(|warning| warning.starts_with(&start) && warning.ends_with(action))
    };
    if said("=dropped") {
        return Effect::Unsupported;
    }
    if said("=ignored") {
        return Effect::Ignored;
    }
    if with.raw(member) == Some(param.value.as_bytes()) {
        return Effect::Forward;
    }
    match sent(spec, model, param.ask(false), &mut Vec::new()) {
        // left out without a word: nothing is lost, and nothing is had
        Ok(without) if without.encode() == with.encode() => Effect::Unsupported,
        _ => Effect::Translate,
    }
}

/// What a provider is sent of this request.
fn sent(spec: &Spec, model: &str, mut body: Object, warnings: &mut Vec<String>) -> Result<Object, Error> {
    let settings = Settings::default();
    let (op, policy) = (Op::Chat, Policy::Warn);
    let mut notes = Notes { model, stream: false, settings: &settings, provider: spec.id, policy, warnings };
    rework::request(spec, op, &mut body, &mut notes)?;
    let way = spec.way(op, model, false, &settings);
    let Dialect::Native(native) = way.map_or(spec.dialect, |way| way.dialect) else { return Ok(body) };
    let terms = Terms { op, model, stream: false, id: "", created: 0, most_output: None, usual_output: None };
    let request = match spec.exchange {
        // what a model there takes is known only when it is asked; here it takes whatever there is a word for
        Exchange::Predictions => replicate::request::request(&body, &terms, Some(&Inputs::usual()), None),
        Exchange::Once | Exchange::Promised(_) | Exchange::Tasks(_) => native.encode(&body, &terms),
    };
    let request = request.map_err(|refused| encode::refusal(spec, refused))?;
    for loss in &request.losses {
        notes.lost(&body, loss)?;
    }
    Ok(Object::parse(request.body)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::providers::table::PROVIDERS;

    #[test]
    fn nothing_is_left_out_without_a_word() {
        let mut silent = Vec::new();
        for (spec, param) in PROVIDERS.iter().flat_map(|spec| PARAMS.iter().map(move |param| (spec, param))) {
            // a hint about caching changes no answer, and Cerebras reasons unless it is told not to
            let harmless = matches!((spec.id, param.name), (_, "prompt_cache_key") | ("cerebras", "reasoning_effort"));
            let mut warnings = Vec::new();
            let Ok(with) = sent(spec, ANY_MODEL, param.ask(true), &mut warnings) else { continue };
            let without = sent(spec, ANY_MODEL, param.ask(false), &mut Vec::new());
            let same = without.is_ok_and(|without| without.encode() == with.encode());
            if same && !harmless && warnings.is_empty() {
                silent.push(format!("{}: {}", spec.id, param.name));
            }
        }
        assert!(silent.is_empty(), "{silent:?}");
    }
}
