//! How hard a model shall think: one wish of the caller, a different control at every provider.

use super::{given, is, object, text};
use crate::call::Error;
use crate::providers::spec::Notes;
use crate::wire::Object;

/// Steps of `reasoning_effort`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names are the vendor's words")]
pub enum Effort {
    None,
    Minimal,
    Low,
    Medium,
    High,
    Xhigh,
    Max,
}

impl Effort {
    /// All steps, lowest first.
    pub const ALL: &'static [Effort] =
        &[Effort::None, Effort::Minimal, Effort::Low, Effort::Medium, Effort::High, Effort::Xhigh, Effort::Max];

    /// The step of a name.
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|effort| effort.name() == name)
    }

    /// The name of the step.
    pub fn name(self) -> &'static str {
        ["none", "minimal", "low", "medium", "high", "xhigh", "max"][self as usize]
    }

    /// Tokens for vendors that want a number.
    pub fn budget(self) -> u64 {
        [0, 1024, 1024, 4096, 8192, 16_384, 32_768][self as usize]
    }
}

/// What the caller asked for, in whichever of the three forms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wish {
    effort: Option<Effort>,
    budget: Option<u64>,
    on: Option<bool>,
}

impl Wish {
    /// Take `reasoning_effort`, OpenRouter's `reasoning` and Anthropic's `thinking` out of a body. Forms that the
    /// provider knows itself stay and are not read; so does an effort that is no known word.
    pub fn take(body: &mut Object, native: &[&str]) -> Result<Option<Self>, Error> {
        let mut wish = Self { effort: None, budget: None, on: None };
        if given(body, "reasoning_effort") {
            wish.effort = text(body, "reasoning_effort").and_then(|name| Effort::of(&name));
            if wish.effort.is_some() {
                body.remove("reasoning_effort");
            }
        }
        if !native.contains(&"reasoning") && body.has("reasoning") {
            if let Ok(Some(reasoning)) = body.object("reasoning") {
                wish.effort = wish.effort.or_else(|| Effort::of(&text(&reasoning, "effort")?));
                wish.budget = reasoning.get("max_tokens").ok().flatten();
                wish.on = reasoning.get("enabled").ok().flatten();
            }
            body.remove("reasoning");
        }
        if !native.contains(&"thinking") && body.has("thinking") {
            if let Ok(Some(thinking)) = body.object("thinking") {
                wish.budget = wish.budget.or_else(|| thinking.get("budget_tokens").ok().flatten());
                wish.on = wish.on.or_else(|| Some(!is(&thinking, "type", r#""disabled""#)));
            }
            body.remove("thinking");
        }
        Ok((wish != Self { effort: None, budget: None, on: None }).then_some(wish))
    }

    /// The wish as a step; `None` if the model shall think, no matter how hard.
    pub fn level(self) -> Option<Effort> {
        match self {
            Self { on: Some(false), .. } => Some(Effort::None),
            Self { effort: Some(effort), .. } => Some(effort),
            Self { budget: Some(budget), .. } => Some(match budget {
                0..2048 => Effort::Low,
                2048..8192 => Effort::Medium,
                _ => Effort::High,
            }),
            _ => None,
        }
    }

    /// Whether the model shall think at all.
    pub fn thinks(self) -> bool {
        self.level() != Some(Effort::None)
    }

    /// The wish as a number of tokens.
    pub fn budget(self) -> Option<u64> {
        self.budget.or_else(|| Some(self.level()?.budget()))
    }
}

/// The provider's word for each step; an empty one leaves the parameter out.
type Words = [&'static str; 7];

fn say(body: &mut Object, words: &Words) -> Result<(), Error> {
    let Some(level) = Wish::take(body, &[])?.and_then(Wish::level) else { return Ok(()) };
    match words[level as usize] {
        "" => {}
        word => body.set("reasoning_effort", &word),
    }
    Ok(())
}

/// Low, medium, high: gpt-oss wherever it is served, grok.
pub fn low_to_high(body: &mut Object, _: &mut Notes<'_>) -> Result<(), Error> {
    say(body, &["low", "low", "low", "medium", "high", "high", "high"])
}

/// Low or high: grok-3-mini.
pub fn low_or_high(body: &mut Object, _: &mut Notes<'_>) -> Result<(), Error> {
    say(body, &["low", "low", "low", "low", "high", "high", "high"])
}

/// None, or low to high: Fireworks.
pub fn none_to_high(body: &mut Object, _: &mut Notes<'_>) -> Result<(), Error> {
    if given(body, "thinking") {
        // both at once are refused
        body.remove("reasoning_effort");
        return Ok(());
    }
    say(body, &["none", "low", "low", "medium", "high", "high", "high"])
}

/// Low to high, none by saying nothing: Perplexity.
pub fn nothing_to_high(body: &mut Object, _: &mut Notes<'_>) -> Result<(), Error> {
    say(body, &["", "low", "low", "medium", "high", "high", "high"])
}

/// None, or low to max: Ollama.
pub fn none_to_max(body: &mut Object, _: &mut Notes<'_>) -> Result<(), Error> {
    say(body, &["none", "low", "low", "medium", "high", "max", "max"])
}

/// None or default: qwen3 at Groq.
pub fn none_or_default(body: &mut Object, _: &mut Notes<'_>) -> Result<(), Error> {
    say(body, &["none", "default", "default", "default", "default", "default", "default"])
}

/// None or high: Mistral's models that think on demand.
pub fn none_or_high(body: &mut Object, _: &mut Notes<'_>) -> Result<(), Error> {
    say(body, &["none", "high", "high", "high", "high", "high", "high"])
}

/// Low, high, max: Kimi K3.
pub fn low_high_max(body: &mut Object, _: &mut Notes<'_>) -> Result<(), Error> {
    say(body, &["low", "low", "low", "high", "high", "max", "max"])
}

/// `prompt_mode: "reasoning"`: magistral.
pub fn prompt_mode(body: &mut Object, _: &mut Notes<'_>) -> Result<(), Error> {
    if Wish::take(body, &[])?.is_some_and(Wish::thinks) {
        body.set("prompt_mode", &"reasoning");
    }
    Ok(())
}

/// `reasoning: {…}`: OpenRouter.
pub fn reasoning_object(body: &mut Object, _: &mut Notes<'_>) -> Result<(), Error> {
    let Some(wish) = Wish::take(body, &["reasoning"])? else { return Ok(()) };
    if given(body, "reasoning") {
        return Ok(());
    }
    let value = match (wish.thinks(), wish.budget, wish.effort) {
        (false, ..) => object(&[("enabled", b"false")]),
        (_, Some(budget), _) => object(&[("max_tokens", budget.to_string().as_bytes())]),
        (_, _, Some(effort)) => object(&[("effort", &super::json(effort.name()))]),
        _ => object(&[("enabled", b"true")]),
    };
    body.set_raw("reasoning", value);
    Ok(())
}

/// `reasoning: {enabled}`: hybrid models at Together.
pub fn reasoning_switch(body: &mut Object, _: &mut Notes<'_>) -> Result<(), Error> {
    let Some(wish) = Wish::take(body, &["reasoning"])? else { return Ok(()) };
    if !given(body, "reasoning") {
        body.set_raw("reasoning", object(&[("enabled", if wish.thinks() { b"true" } else { b"false" })]));
    }
    Ok(())
}

/// `thinking: {type}` with `reasoning_effort` low, high or max beside it: DeepSeek.
pub fn thinking_and_effort(body: &mut Object, _: &mut Notes<'_>) -> Result<(), Error> {
    let Some(wish) = Wish::take(body, &["thinking"])? else { return Ok(()) };
    if !wish.thinks() {
        if !given(body, "thinking") {
            body.set_raw("thinking", object(&[("type", br#""disabled""#)]));
        }
        return Ok(());
    }
    let words: Words = ["", "low", "low", "high", "high", "max", "max"];
    if let Some(level) = wish.level() {
        body.set("reasoning_effort", &words[level as usize]);
    }
    Ok(())
}

/// `thinking: {type}`: Kimi K2.
pub fn thinking_switch(body: &mut Object, _: &mut Notes<'_>) -> Result<(), Error> {
    let Some(wish) = Wish::take(body, &["thinking"])? else { return Ok(()) };
    if !given(body, "thinking") {
        let kind: &[u8] = if wish.thinks() { br#""enabled""# } else { br#""disabled""# };
        body.set_raw("thinking", object(&[("type", kind)]));
    }
    Ok(())
}

/// `enable_thinking`: Novita.
pub fn enable_thinking(body: &mut Object, _: &mut Notes<'_>) -> Result<(), Error> {
    if let Some(wish) = Wish::take(body, &[])?
        && !given(body, "enable_thinking")
    {
        body.set("enable_thinking", &wish.thinks());
    }
    Ok(())
}

/// `separate_reasoning`: models of the R1 kind at Novita, which think within the text otherwise.
pub fn separate_reasoning(body: &mut Object, _: &mut Notes<'_>) -> Result<(), Error> {
    if !body.has("separate_reasoning") {
        body.set("separate_reasoning", &true);
    }
    Ok(())
}

/// `disable_reasoning`: GLM and Qwen at Cerebras.
pub fn disable_reasoning(body: &mut Object, _: &mut Notes<'_>) -> Result<(), Error> {
    if let Some(wish) = Wish::take(body, &[])?
        && !wish.thinks()
    {
        body.set("disable_reasoning", &true);
    }
    Ok(())
}

/// `chat_template_kwargs: {enable_thinking}`: Qwen and Nemotron on vLLM.
pub fn template_enable_thinking(body: &mut Object, _: &mut Notes<'_>) -> Result<(), Error> {
    template(body, "enable_thinking")
}

/// `chat_template_kwargs: {thinking}`: DeepSeek on vLLM.
pub fn template_thinking(body: &mut Object, _: &mut Notes<'_>) -> Result<(), Error> {
    template(body, "thinking")
}

fn template(body: &mut Object, switch: &'static str) -> Result<(), Error> {
    let Some(wish) = Wish::take(body, &[])? else { return Ok(()) };
    let mut arguments = body.object("chat_template_kwargs")?.unwrap_or_default();
    if !arguments.has(switch) {
        arguments.set(switch, &wish.thinks());
        body.set_raw("chat_template_kwargs", arguments.encode());
    }
    Ok(())
}

/// With tools or JSON, thoughts cannot stay in the text: Groq parses them out if told so.
pub fn parsed_reasoning(body: &mut Object, _: &mut Notes<'_>) -> Result<(), Error> {
    let structured = given(body, "tools") || given(body, "response_format");
    if structured && !body.has("reasoning_format") && !body.has("include_reasoning") {
        body.set("reasoning_format", &"parsed");
    }
    Ok(())
}

/// `enable_thinking` and `thinking_budget`: Qwen. Open hybrids think unless they are told not to, and refuse to do so in
/// answers that are not streamed; no model thinks where JSON is demanded.
pub fn qwen(body: &mut Object, notes: &mut Notes<'_>) -> Result<(), Error> {
    let wish = Wish::take(body, &[])?;
    let model = notes.model;
    if model.contains("-thinking") || model.starts_with("qwq") || model.starts_with("qvq") {
        // cannot be switched
        return Ok(());
    }
    let open = qwen_open(model);
    let json = body.raw("response_format").is_some_and(|format| super::mentions(format, "\"json_"));
    let asked = wish.map(Wish::thinks).or_else(|| body.get("enable_thinking").ok().flatten());
    if json || (open && !notes.stream && asked != Some(true)) {
        if asked == Some(true) {
            notes.warn("reasoning_effort", "dropped");
        }
        if asked.is_some() || open {
            body.set("enable_thinking", &false);
        }
        body.remove("thinking_budget");
        return Ok(());
    }
    let Some(wish) = wish.filter(|_| !given(body, "enable_thinking")) else { return Ok(()) };
    body.set("enable_thinking", &wish.thinks());
    if let Some(budget) = wish.budget().filter(|budget| *budget > 0 && !given(body, "thinking_budget")) {
        body.set("thinking_budget", &budget);
    }
    Ok(())
}

/// Qwen's open hybrid models.
pub fn qwen_open(model: &str) -> bool {
    model.starts_with("qwen3-") && !model.contains("-instruct") && !model.contains("coder") && has_size(model)
}

/// Whether a name tells the number of parameters, as `-32b` or `-80b-a3b`: the weights are open then.
fn has_size(model: &str) -> bool {
    model.split('-').any(|part| part.strip_suffix('b').is_some_and(|size| size.parse::<f32>().is_ok()))
}

/// `thinking` with a budget, below the limit: Claude and Gemini 2.5 at Databricks.
pub fn thinking_budget(body: &mut Object, _: &mut Notes<'_>) -> Result<(), Error> {
    let Some(wish) = Wish::take(body, &["thinking"])? else { return Ok(()) };
    if given(body, "thinking") || !wish.thinks() {
        return Ok(());
    }
    let budget = wish.budget().unwrap_or(Effort::Medium.budget()).max(1024);
    body.set_raw("thinking", object(&[("type", br#""enabled""#), ("budget_tokens", budget.to_string().as_bytes())]));
    let limit = body.get::<u64>("max_tokens").ok().flatten();
    if limit.is_none_or(|limit| limit <= budget) {
        body.set("max_tokens", &(budget + limit.unwrap_or(4096)));
    }
    Ok(())
}

/// `thinking: {type: adaptive}`: Claude 4.6 and later at Databricks.
pub fn thinking_adaptive(body: &mut Object, _: &mut Notes<'_>) -> Result<(), Error> {
    let Some(wish) = Wish::take(body, &["thinking"])? else { return Ok(()) };
    if !given(body, "thinking") && wish.thinks() {
        body.set_raw("thinking", object(&[("type", br#""adaptive""#)]));
    }
    Ok(())
}
