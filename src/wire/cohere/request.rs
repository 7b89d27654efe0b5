//! An OpenAI chat body as Cohere's.

use bytes::Bytes;
use serde_json::value::RawValue;

use super::{messages, thinks};
use crate::wire::Object;
use crate::wire::native::params::DELIVERY;
use crate::wire::native::schema::{AS_IT_IS, Profile};
use crate::wire::native::{Back, Loss, Refused, Request, Terms, invalid};

/// What answers are not held to: <https://docs.cohere.com/docs/structured-outputs>.
const PROFILE: Profile = Profile {
    told: &[
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "multipleOf",
        "minLength",
        "maxLength",
        "minItems",
        "maxItems",
        "uniqueItems",
    ],
    ..AS_IT_IS
};

/// The most stop sequences that are taken.
const STOPS: usize = 5;

/// Members that are Cohere's own, and go as they came.
const OWN: &[&str] = &["documents", "citation_options", "safety_mode", "priority", "strict_tools"];

/// Members that are said elsewhere.
const SILENT: &[&str] = &[
    "max_tokens",
    "max_completion_tokens",
    "tools",
    "tool_choice",
    "functions",
    "function_call",
    "reasoning_effort",
    "reasoning",
    "thinking",
];

/// The body of `POST /v2/chat`. Fails on content it has no word for, naming it.
pub fn request(ask: &Object, terms: &Terms<'_>) -> Result<Request, Refused> {
    let mut writing = Writing { ask, out: Object::default(), losses: Vec::new() };
    writing.out.set_text("model", terms.model);
    writing.out.set("stream", &terms.stream);
    let messages = messages::messages(ask, thinks(terms.model), &mut writing.losses)?;
    writing.out.set_raw("messages", messages);
    let limit = ["max_completion_tokens", "max_tokens"].into_iter().find(|name| says(ask, name));
    if let Some(raw) = limit.and_then(|name| ask.raw(name)) {
        writing.out.set_raw("max_tokens", Bytes::copy_from_slice(raw));
    }
    writing.tools()?;
    writing.thinking(terms.model)?;
    for (name, value) in ask.members() {
        if value != b"null" && !DELIVERY.contains(&name) && !SILENT.contains(&name) {
            writing.param(name, value)?;
        }
    }
    let (body, losses) = (writing.out.encode(), writing.losses);
    let functions = says(ask, "functions");
    Ok(Request { body, headers: Vec::new(), losses, back: Back { functions, ..Back::new(terms) } })
}

struct Writing<'a> {
    ask: &'a Object,
    out: Object,
    losses: Vec<Loss>,
}

impl Writing<'_> {
    fn lose(&mut self, param: impl Into<String>, action: &'static str) {
        self.losses.push(Loss { param: param.into(), action });
    }

    fn param(&mut self, name: &str, value: &[u8]) -> Result<(), Refused> {
        let raw = || Bytes::copy_from_slice(value);
        match name {
            "temperature" => self.within(name, "temperature", 0.0, 1.0)?,
            "presence_penalty" => self.within(name, "presence_penalty", 0.0, 1.0)?,
            "frequency_penalty" => self.within(name, "frequency_penalty", 0.0, 1.0)?,
            "top_p" => {
                // the ends are not taken, and 0.99 is what they call everything
                let top = self.ask.get::<f64>(name)?.unwrap_or(1.0);
                match top >= 1.0 {
                    true => self.out.set("p", &0.99),
                    false => self.within(name, "p", 0.01, 0.99)?,
                }
            }
            "top_k" => self.within(name, "k", 0.0, 500.0)?,
            "seed" => self.out.set_raw("seed", raw()),
            "stop" => self.stops(value)?,
            "logprobs" => self.out.set_raw("logprobs", raw()),
            "response_format" => self.format()?,
            own if OWN.contains(&own) => {
                if let Some(name) = OWN.iter().find(|known| **known == own) {
                    self.out.set_raw(name, raw());
                }
            }
            lost => self.lose(lost, "dropped"),
        }
        Ok(())
    }

    /// A number, brought into the range that is taken.
    fn within(&mut self, name: &str, to: &'static str, low: f64, high: f64) -> Result<(), Refused> {
        let Some(number) = self.ask.get::<f64>(name)? else { return Ok(()) };
        let kept = number.clamp(low, high);
        if kept == number {
            self.out.set_raw(to, Bytes::copy_from_slice(self.ask.raw(name).unwrap_or_default()));
            return Ok(());
        }
        self.out.set(to, &kept);
        self.lose(name, "clamped");
        Ok(())
    }

    fn stops(&mut self, value: &[u8]) -> Result<(), Refused> {
        if value.starts_with(b"\"") {
            self.out.set_raw("stop_sequences", [b"[", value, b"]"].concat().into());
            return Ok(());
        }
        let stops: Vec<&RawValue> = self.ask.get("stop")?.unwrap_or_default();
        if stops.len() > STOPS {
            self.lose("stop", "clamped");
        }
        if !stops.is_empty() {
            self.out.set("stop_sequences", &&stops[..stops.len().min(STOPS)]);
        }
        Ok(())
    }

    /// JSON, with a schema or without; not together with tools.
    fn format(&mut self) -> Result<(), Refused> {
        let Some(format) = self.ask.object("response_format")? else { return Ok(()) };
        let kind: String = format.get("type")?.unwrap_or_default();
        if kind == "text" {
            return Ok(());
        }
        if self.out.has("tools") {
            self.lose("response_format", "dropped");
            return Ok(());
        }
        let mut json = Object::default();
        json.set("type", &"json_object");
        match kind.as_str() {
            "json_object" => {}
            "json_schema" => {
                let schema = format.object("json_schema")?.and_then(|given| given.raw("schema").map(<[u8]>::to_vec));
                let schema = schema
                    .ok_or_else(|| invalid("response_format.json_schema.schema", "a JSON schema is missing here"))?;
                let fitted = PROFILE.fit(&schema)?;
                if fitted.as_ref().is_some_and(|fitted| fitted.told) {
                    self.lose("response_format", "converted");
                }
                json.set_raw("json_schema", fitted.map_or(schema, |fitted| fitted.schema).into());
            }
            _ => return Err(Refused::Unsupported { param: "response_format.type".to_owned() }),
        }
        self.out.set_raw("response_format", json.encode());
        Ok(())
    }

    /// The tools, and which of them may or must be called.
    fn tools(&mut self) -> Result<(), Refused> {
        let mut tools = Vec::new();
        let mut strict = false;
        let given = self.ask.objects("tools")?;
        let old = self.ask.objects("functions")?;
        let wrapped = given.iter().enumerate().map(|(at, tool)| (format!("tools[{at}]"), tool.object("function")));
        let bare = old.iter().enumerate().map(|(at, tool)| (format!("functions[{at}]"), Ok(Some(tool.clone()))));
        for (param, function) in wrapped.chain(bare) {
            let Some(function) = function? else { return Err(Refused::Unsupported { param }) };
            let Some(name) = function.get::<String>("name")? else {
                return Err(invalid(format!("{param}.name"), "a tool needs a name"));
            };
            strict |= function.raw("strict") == Some(b"true");
            let mut told = Object::default();
            told.set_text("name", &name);
            if let Some(description) = function.raw("description").filter(|raw| *raw != b"null") {
                told.set_raw("description", Bytes::copy_from_slice(description));
            }
            let parameters = function.raw("parameters").filter(|raw| !matches!(*raw, b"null" | b"{}"));
            let parameters = parameters.unwrap_or(br#"{"type":"object","properties":{}}"#);
            told.set_raw("parameters", Bytes::copy_from_slice(parameters));
            let mut tool = Object::default();
            tool.set("type", &"function");
            tool.set_raw("function", told.encode());
            tools.push((name, tool));
        }
        if let Some(only) = self.choice()? {
            tools.retain(|(name, _)| only.contains(name));
        }
        if tools.is_empty() {
            // a choice among no tools is refused there
            self.out.remove("tool_choice");
            return Ok(());
        }
        let tools: Vec<Object> = tools.into_iter().map(|(_, tool)| tool).collect();
        self.out.set_objects("tools", &tools);
        if strict && !self.ask.has("strict_tools") {
            self.out.set("strict_tools", &true);
        }
        Ok(())
    }

    /// Say whether a tool must be called; returns the names that may be, if not all.
    fn choice(&mut self) -> Result<Option<Vec<String>>, Refused> {
        let name = if says(self.ask, "tool_choice") { "tool_choice" } else { "function_call" };
        let only = match self.ask.raw(name) {
            None | Some(b"null" | br#""auto""#) => return Ok(None),
            Some(br#""none""#) => {
                self.out.set("tool_choice", &"NONE");
                return Ok(None);
            }
            Some(br#""required""#) => None,
            Some(_) => {
                let Some(choice) = self.ask.object(name)? else { return Ok(None) };
                match choice.object("allowed_tools")? {
                    Some(allowed) => {
                        let names = allowed.objects("tools")?.iter().map(of_tool).collect::<Result<Vec<_>, _>>()?;
                        if allowed.raw("mode") != Some(br#""required""#) {
                            return Ok(Some(names));
                        }
                        Some(names)
                    }
                    None => Some(vec![of_tool(&choice)?]),
                }
            }
        };
        self.out.set("tool_choice", &"REQUIRED");
        Ok(only)
    }

    /// Whether to think, and for how many tokens.
    fn thinking(&mut self, model: &str) -> Result<(), Refused> {
        let (thinking, reasoning) = (self.ask.object("thinking")?, self.ask.object("reasoning")?);
        let effort: Option<String> = match self.ask.get("reasoning_effort")? {
            Some(effort) => Some(effort),
            None => reasoning.as_ref().map(|reasoning| reasoning.get("effort")).transpose()?.flatten(),
        };
        let off = |object: &Option<Object>, member, value: &[u8]| {
            object.as_ref().is_some_and(|object| object.raw(member) == Some(value))
        };
        let off = effort.as_deref() == Some("none")
            || off(&thinking, "type", br#""disabled""#)
            || off(&reasoning, "enabled", b"false");
        let asked = ["reasoning_effort", "thinking", "reasoning"].into_iter().find(|name| says(self.ask, name));
        let Some(asked) = asked else { return Ok(()) };
        if !thinks(model) {
            if !off {
                self.lose(asked, "dropped");
            }
            return Ok(());
        }
        let mut told = Object::default();
        told.set("type", &if off { "disabled" } else { "enabled" });
        let budget = [(&thinking, "budget_tokens"), (&reasoning, "max_tokens")];
        let budget = budget.into_iter().find_map(|(object, member)| object.as_ref()?.get::<u64>(member).ok()?);
        if let Some(budget) = budget.filter(|_| !off) {
            told.set("token_budget", &budget);
        }
        self.out.set_raw("thinking", told.encode());
        Ok(())
    }
}

fn says(ask: &Object, name: &str) -> bool {
    ask.raw(name).is_some_and(|value| value != b"null")
}

/// The name in `{"type":"function","function":{"name":…}}`, or in the older `{"name":…}`.
fn of_tool(choice: &Object) -> Result<String, Refused> {
    let function = choice.object("function")?;
    let name = function.as_ref().unwrap_or(choice).get::<String>("name")?;
    name.ok_or_else(|| Refused::Unsupported { param: "tool_choice".to_owned() })
}
