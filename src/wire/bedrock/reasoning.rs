//! Thoughts: how a model is asked for them, and how those of earlier turns are handed back.

use super::json::{self, Json, Members};
use super::models::{Family, Model, Thinking};
use crate::wire::Object;
use crate::wire::native::Loss;

/// The least number of tokens a Claude can be told to think.
const LEAST: u64 = 1024;

/// How much thought is asked for, in OpenAI's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Effort {
    Minimal,
    Low,
    Medium,
    High,
    Xhigh,
    Max,
}

impl Effort {
    fn read(word: &str) -> Option<Self> {
        Some(match word {
            "minimal" => Effort::Minimal,
            "low" => Effort::Low,
            "medium" => Effort::Medium,
            "high" => Effort::High,
            "xhigh" => Effort::Xhigh,
            "max" => Effort::Max,
            _ => return None,
        })
    }

    /// Tokens of thought, for models that are told a number.
    fn budget(self) -> u64 {
        match self {
            Effort::Minimal | Effort::Low => LEAST,
            Effort::Medium => 4096,
            Effort::High => 8192,
            Effort::Xhigh => 16_384,
            Effort::Max => 32_768,
        }
    }

    /// The effort a number of tokens stands for.
    fn of_budget(tokens: u64) -> Self {
        match tokens {
            0..2048 => Effort::Low,
            2048..8192 => Effort::Medium,
            _ => Effort::High,
        }
    }

    /// One of three levels.
    fn level(self) -> &'static str {
        match self {
            Effort::Minimal | Effort::Low => "low",
            Effort::Medium => "medium",
            _ => "high",
        }
    }
}

/// What is asked of the model's thinking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Plan {
    /// Nothing is said.
    Silent,
    /// Claude shall not think, which must be said.
    Off,
    /// Claude shall think so many tokens.
    Budget(u64),
    /// Claude shall think as it finds right, at this effort.
    Adaptive(Option<&'static str>),
    /// Nova shall think at this level.
    Config(&'static str),
    /// A flat `reasoning_effort`.
    Flat(&'static str),
}

impl Plan {
    /// Whether a Claude thinks: it then takes neither sampling nor forced tools.
    pub(super) fn claude_thinks(self) -> bool {
        matches!(self, Plan::Budget(_) | Plan::Adaptive(_))
    }

    /// The fields that say so, by name.
    pub(super) fn fields(self, model: &Model) -> Vec<(&'static str, String)> {
        match self {
            Plan::Silent => Vec::new(),
            Plan::Off => vec![("thinking", r#"{"type":"disabled"}"#.to_owned())],
            Plan::Budget(tokens) => {
                vec![("thinking", format!(r#"{{"type":"enabled","budget_tokens":{tokens}}}"#))]
            }
            Plan::Adaptive(effort) => {
                // the newest keep their thoughts to themselves unless asked for a summary
                let shown = matches!(model.thinking, Thinking::Adaptive { xhigh: true, .. });
                let display = if shown { r#","display":"summarized""# } else { "" };
                let thinking = ("thinking", format!(r#"{{"type":"adaptive"{display}}}"#));
                let effort = effort.map(|effort| ("output_config", format!(r#"{{"effort":"{effort}"}}"#)));
                std::iter::once(thinking).chain(effort).collect()
            }
            Plan::Config(level) => {
                vec![("reasoningConfig", format!(r#"{{"type":"enabled","maxReasoningEffort":"{level}"}}"#))]
            }
            Plan::Flat(level) => vec![("reasoning_effort", format!("\"{level}\""))],
        }
    }
}

/// What the caller says about thinking, in any of its three spellings: effort, budget, and whether it is refused.
#[derive(Debug, Default)]
struct Wish {
    effort: Option<Effort>,
    budget: Option<u64>,
    adaptive: bool,
    off: bool,
    /// The member it stands in; empty if nothing is said.
    param: &'static str,
}

fn wish(ask: &Object, losses: &mut Vec<Loss>) -> Wish {
    let mut wish = Wish::default();
    let mut word = |wish: &mut Wish, word: &str, param: &'static str| {
        wish.param = param;
        match (word, Effort::read(word)) {
            ("none", _) => wish.off = true,
            (_, Some(effort)) => wish.effort = wish.effort.or(Some(effort)),
            _ => losses.push(Loss { param: param.to_owned(), action: "dropped" }),
        }
    };
    if let Some(effort) = json::raw(ask, "reasoning_effort").and_then(json::text) {
        word(&mut wish, &effort, "reasoning_effort");
    }
    let object = |name| json::raw(ask, name).and_then(|raw| json::parse::<Members<'_>>(raw).ok());
    if let Some(reasoning) = object("reasoning") {
        wish.param = "reasoning";
        wish.off |= reasoning.raw("enabled") == Some("false");
        wish.budget = reasoning.raw("max_tokens").and_then(|tokens| tokens.parse().ok());
        if let Some(effort) = reasoning.text("effort") {
            word(&mut wish, &effort, "reasoning.effort");
        } else if reasoning.raw("enabled") == Some("true") && wish.budget.is_none() {
            wish.effort = wish.effort.or(Some(Effort::Medium));
        }
    }
    if let Some(thinking) = object("thinking") {
        wish.param = "thinking";
        let kind = thinking.text("type");
        wish.off |= kind.as_deref() == Some("disabled");
        wish.adaptive = kind.as_deref() == Some("adaptive");
        wish.budget = thinking.raw("budget_tokens").and_then(|tokens| tokens.parse().ok()).or(wish.budget);
    }
    if let Some(effort) = object("output_config").and_then(|config| config.text("effort")) {
        word(&mut wish, &effort, "output_config.effort");
    }
    wish
}

/// What to ask of the model. Thoughts that an unfinished tool loop would need and does not bring (`bare`) turn the
/// thinking of budget models off for this request: they refuse a turn that begins with a tool call.
pub(super) fn plan(ask: &Object, model: &Model, bare: bool, losses: &mut Vec<Loss>) -> Plan {
    let wish = wish(ask, losses);
    if wish.param.is_empty() {
        return Plan::Silent;
    }
    let mut lost = |action| losses.push(Loss { param: wish.param.to_owned(), action });
    if wish.off {
        return match model.thinking {
            Thinking::Adaptive { default: true, .. } => Plan::Off,
            // the least there is: these can't be told not to think
            Thinking::Effort => Plan::Flat("low"),
            _ => Plan::Silent,
        };
    }
    let effort = wish.effort.or(wish.budget.map(Effort::of_budget));
    match model.thinking {
        Thinking::Never => {
            lost("dropped");
            Plan::Silent
        }
        Thinking::Budget if bare => {
            lost("dropped");
            Plan::Silent
        }
        Thinking::Budget => {
            let budget = wish.budget.or(wish.effort.map(Effort::budget)).unwrap_or(Effort::High.budget());
            Plan::Budget(budget.max(LEAST))
        }
        Thinking::Adaptive { xhigh, .. } => Plan::Adaptive(effort.map(|effort| match effort {
            Effort::Xhigh if xhigh => "xhigh",
            Effort::Xhigh | Effort::Max => "max",
            other => other.level(),
        })),
        Thinking::Config => Plan::Config(effort.unwrap_or(Effort::Medium).level()),
        Thinking::Effort => match effort {
            Some(effort) => Plan::Flat(effort.level()),
            None if wish.adaptive => Plan::Silent,
            None => Plan::Flat("medium"),
        },
    }
}

/// One block of thought of an earlier answer. Texts are the insides of JSON strings, in pieces as a stream brought them.
#[derive(Debug, Default)]
pub(super) struct Thought<'a> {
    index: Option<&'a str>,
    text: Vec<&'a str>,
    signature: Vec<&'a str>,
    redacted: Option<&'a str>,
}

impl Thought<'_> {
    /// Write the block.
    pub(super) fn write(&self, out: &mut Json) {
        out.open(b'{');
        out.name("reasoningContent");
        out.open(b'{');
        match self.redacted {
            Some(data) => out.member("redactedContent", data),
            None => {
                out.name("reasoningText");
                out.open(b'{');
                out.name("text");
                out.joined(self.text.iter().copied());
                if !self.signature.is_empty() {
                    out.name("signature");
                    out.joined(self.signature.iter().copied());
                }
                out.close(b'}');
            }
        }
        out.close(b'}');
        out.close(b'}');
    }

    /// Whether the model takes it back: Claude what it has signed, Nova everything.
    fn fits(&self, model: &Model) -> bool {
        match model.family {
            Family::Claude | Family::Opaque => self.redacted.is_some() || !self.signature.is_empty(),
            Family::Nova => self.redacted.is_some() || !self.text.is_empty(),
            _ => false,
        }
    }
}

/// The thoughts an assistant's message brings back, in whichever form its client keeps them.
pub(super) fn replay<'a>(message: &Members<'a>, model: &Model) -> Vec<Thought<'a>> {
    let mut thoughts = details(message);
    if thoughts.is_empty() {
        let blocks = message.objects("thinking_blocks").or_else(|| {
            let content = message.raw("content").filter(|content| content.contains("thinking\""))?;
            json::parse(content).ok()
        });
        thoughts = blocks.unwrap_or_default().iter().filter_map(block).collect();
    }
    if thoughts.is_empty() && model.family == Family::Nova {
        let text = message.raw("reasoning_content").or_else(|| message.raw("reasoning")).and_then(json::inner);
        thoughts.extend(text.map(|text| Thought { text: vec![text], ..Thought::default() }));
    }
    thoughts.retain(|thought| thought.fits(model));
    thoughts
}

/// `reasoning_details`: the pieces of one index are one block.
fn details<'a>(message: &Members<'a>) -> Vec<Thought<'a>> {
    let mut thoughts: Vec<Thought<'a>> = Vec::new();
    for item in message.objects("reasoning_details").unwrap_or_default() {
        // what another vendor has signed or sealed, nobody here can read
        let ours = item.text("format").is_none_or(|format| matches!(&*format, "anthropic-claude-v1" | "bedrock-v1"));
        let full = |name| item.raw(name).and_then(json::inner).filter(|inner| !inner.is_empty());
        match item.text("type").as_deref() {
            Some("reasoning.text") if ours => {
                let index = item.raw("index");
                let known = thoughts
                    .last()
                    .is_some_and(|last| index.is_some() && last.index == index && last.redacted.is_none());
                if !known {
                    thoughts.push(Thought { index, ..Thought::default() });
                }
                if let Some(thought) = thoughts.last_mut() {
                    thought.text.extend(full("text"));
                    thought.signature.extend(full("signature"));
                }
            }
            Some("reasoning.encrypted") if ours => {
                let redacted = item.raw("data").filter(|data| json::inner(data).is_some_and(|data| !data.is_empty()));
                thoughts.extend(redacted.map(|data| Thought { redacted: Some(data), ..Thought::default() }));
            }
            _ => {}
        }
    }
    thoughts
}

/// Anthropic's form, as `thinking_blocks` or among the parts of the content.
fn block<'a>(block: &Members<'a>) -> Option<Thought<'a>> {
    let full = |name| block.raw(name).and_then(json::inner).filter(|inner| !inner.is_empty());
    match block.text("type")?.as_ref() {
        "thinking" => Some(Thought {
            text: full("thinking").into_iter().collect(),
            signature: full("signature").into_iter().collect(),
            ..Thought::default()
        }),
        "redacted_thinking" => Some(Thought { redacted: block.raw("data"), ..Thought::default() }),
        _ => None,
    }
}
