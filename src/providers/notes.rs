//! What a request loses on its way to a provider: reported to the caller, or a reason to refuse.

use super::settings::Settings;
use crate::call::Error;
use crate::wire::Object;
use crate::wire::native::Loss;

/// What to do with a parameter the provider does not take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// Leave it out where it would be refused, send it where it is ignored, and warn.
    #[default]
    Warn,
    /// Leave it out, and warn.
    Drop,
    /// Refuse the request with 400.
    Reject,
}

/// A request has no more warnings than this: the names in it are the caller's.
pub const MOST_WARNINGS: usize = 32;

/// What became of a parameter that is said in other words.
const CONVERTED: &str = "converted";

/// What a row's changes know and report.
pub struct Notes<'a> {
    /// The model the provider is asked for.
    pub model: &'a str,
    /// Whether the answer is streamed.
    pub stream: bool,
    /// The provider's settings.
    pub settings: &'a Settings,
    /// The provider's id.
    pub provider: &'static str,
    /// The operator's choice.
    pub policy: Policy,
    /// Filled with what could not be sent as asked.
    pub warnings: &'a mut Vec<String>,
}

impl Notes<'_> {
    /// Leave a parameter out that the provider would refuse. Fails under [`Policy::Reject`].
    pub fn lacks(&mut self, body: &mut Object, param: &str) -> Result<(), Error> {
        self.lose(body, param, true)
    }

    /// Leave every parameter out that is not known. Fails under [`Policy::Reject`].
    pub fn lacks_all_but(&mut self, body: &mut Object, known: &[&str]) -> Result<(), Error> {
        let strange = |(name, value): &(&str, &[u8])| !known.contains(name) && !says_nothing(name, value);
        let (policy, provider) = (self.policy, self.provider);
        let lost: Vec<String> = body.members().filter(strange).map(|(name, _)| name.to_owned()).collect();
        match lost.first() {
            Some(param) if policy == Policy::Reject => {
                return Err(Error::Unsupported { param: param.clone(), provider });
            }
            _ => lost.iter().for_each(|param| self.warn(param, "dropped")),
        }
        body.retain(|name| known.contains(&name));
        Ok(())
    }

    /// Say that a parameter has no effect. Fails under [`Policy::Reject`].
    pub fn ignores(&mut self, body: &mut Object, param: &str) -> Result<(), Error> {
        self.lose(body, param, self.policy == Policy::Drop)
    }

    /// Report what became of a parameter: in a header, so its name is kept short and plain, and there are not many.
    pub fn warn(&mut self, param: &str, action: &str) {
        if self.warnings.len() >= MOST_WARNINGS {
            return;
        }
        let plain = |c: char| if c.is_ascii_graphic() && !matches!(c, ';' | ',') { c } else { '?' };
        let param: String = param.chars().take(64).map(plain).collect();
        self.warnings.push(format!("param={param};provider={};action={action}", self.provider));
    }

    /// Report what a translation could not carry over, but for members that say nothing. Fails under
    /// [`Policy::Reject`], unless the meaning is kept in other words.
    pub fn lost(&mut self, body: &Object, loss: &Loss) -> Result<(), Error> {
        let value = body.raw(&loss.param);
        if value.is_some_and(|value| says_nothing(&loss.param, value)) {
            return Ok(());
        }
        if self.policy == Policy::Reject && loss.action != CONVERTED {
            return Err(Error::Unsupported { param: loss.param.clone(), provider: self.provider });
        }
        self.warn(&loss.param, loss.action);
        Ok(())
    }

    /// Report a field of a form that is left out. Fails under [`Policy::Reject`].
    pub fn lost_field(&mut self, field: &str) -> Result<(), Error> {
        if self.policy == Policy::Reject {
            return Err(Error::Unsupported { param: field.to_owned(), provider: self.provider });
        }
        self.warn(field, "dropped");
        Ok(())
    }

    fn lose(&mut self, body: &mut Object, param: &str, remove: bool) -> Result<(), Error> {
        let Some(value) = body.raw(param) else { return Ok(()) };
        let idle = says_nothing(param, value);
        if !idle && self.policy == Policy::Reject {
            return Err(Error::Unsupported { param: param.to_owned(), provider: self.provider });
        }
        if remove || idle {
            body.remove(param);
        }
        if !idle {
            self.warn(param, if remove { "dropped" } else { "ignored" });
        }
        Ok(())
    }
}

/// Whether a parameter has the value it would have if it were absent.
fn says_nothing(param: &str, value: &[u8]) -> bool {
    let neutral = match param {
        "n" => value == b"1",
        "presence_penalty" | "frequency_penalty" => matches!(value, b"0" | b"0.0"),
        "logprobs" | "store" | "echo" => value == b"false",
        "logit_bias" | "metadata" => value == b"{}",
        "top_logprobs" => value == b"0",
        "parallel_tool_calls" => value == b"true",
        "tool_choice" | "service_tier" => value == br#""auto""#,
        "tools" | "stop" => value == b"[]",
        "modalities" => value == br#"["text"]"#,
        "response_format" => value == br#"{"type":"text"}"#,
        _ => false,
    };
    neutral || value == b"null"
}
