//! Tools: what a model is offered, what it must call, and what it has called before.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::json::{self, Json, Members, invalid};
use super::models::{Caching, Family, Model};
use super::scene::Scene;
use super::schema;
use crate::wire::Object;
use crate::wire::native::{self, Back, Refused};

/// The name of the tool that stands for a JSON schema.
const ANSWER: &str = "json_output";

/// What the caller says about choosing a tool.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Choice {
    /// Nothing.
    Silent,
    /// None.
    Never,
    /// As the model likes.
    Auto,
    /// Some tool.
    Any,
    /// This one.
    Named(String),
}

/// The tools of a request.
#[derive(Debug)]
pub(super) struct Tools<'a> {
    list: Vec<Members<'a>>,
    /// Whether they came as `functions`.
    old: bool,
    choice: Choice,
    /// The names that may be called, if not all may.
    allowed: Option<Vec<String>>,
}

impl<'a> Tools<'a> {
    /// Read `tools` and `tool_choice`, or `functions` and `function_call`. Fails on what is neither.
    pub(super) fn read(ask: &'a Object) -> Result<Self, Refused> {
        let (name, old) = if json::raw(ask, "tools").is_some() { ("tools", false) } else { ("functions", true) };
        let list = match json::raw(ask, name) {
            None => Vec::new(),
            Some(raw) => json::parse(raw).map_err(|_| invalid(name, "must be an array of objects"))?,
        };
        let mut allowed = None;
        let (param, raw) = match json::raw(ask, "tool_choice") {
            Some(raw) => ("tool_choice", Some(raw)),
            None => ("function_call", json::raw(ask, "function_call")),
        };
        let choice = match raw {
            None => Choice::Silent,
            Some(raw) => choice(raw, &mut allowed).ok_or_else(|| {
                invalid(param, r#"must be "none", "auto", "required", or an object that names a function"#)
            })?,
        };
        Ok(Self { list, old, choice, allowed })
    }

    /// Whether any are offered.
    pub(super) fn any(&self) -> bool {
        !self.list.is_empty()
    }

    /// Whether they may be called.
    pub(super) fn callable(&self) -> bool {
        self.any() && self.choice != Choice::Never
    }

    /// Whether the choice is left to the model.
    pub(super) fn free(&self) -> bool {
        matches!(self.choice, Choice::Silent | Choice::Auto)
    }

    /// A name for the tool that stands for a schema.
    pub(super) fn answer_name(&self) -> String {
        let mut name = ANSWER.to_owned();
        while self.list.iter().any(|tool| function(tool, self.old).text("name").as_deref() == Some(&name)) {
            name.push('_');
        }
        name
    }

    /// Write `toolConfig`; nothing if there are no tools. `schema` is the tool that stands for an answer: its name,
    /// description and parameters. `thinks`: tools can't be demanded of this model now. `single`: the choice is told
    /// elsewhere, together with the wish for one call at a time.
    pub(super) fn write(
        &self,
        schema: Option<&(String, String, String)>,
        thinks: bool,
        single: bool,
        scene: &mut Scene,
    ) -> Result<Option<Json>, Refused> {
        if self.list.is_empty() && schema.is_none() {
            return Ok(None);
        }
        let mut out = Json::with_capacity(1024);
        out.open(b'{');
        out.name("tools");
        out.open(b'[');
        for (at, tool) in self.list.iter().enumerate() {
            self.tool(at, tool, scene, &mut out)?;
        }
        if let Some((name, description, parameters)) = schema {
            spec(&mut out, name, Some(&json::quoted(description)), parameters, false);
        }
        out.close(b']');
        if !single {
            self.choose(schema.map(|(name, ..)| name.as_str()), thinks, scene, &mut out);
        }
        out.close(b'}');
        Ok(Some(out))
    }

    fn tool(&self, at: usize, tool: &Members<'a>, scene: &mut Scene, out: &mut Json) -> Result<(), Refused> {
        let list = if self.old { "functions" } else { "tools" };
        // Converse's own forms
        for own in ["toolSpec", "systemTool", "cachePoint"] {
            if let Some(value) = tool.raw(own) {
                out.open(b'{');
                out.member(own, value);
                out.close(b'}');
                return Ok(());
            }
        }
        if !self.old && tool.text("type").is_some_and(|kind| kind != "function") {
            return Err(Refused::Unsupported { param: format!("{list}[{at}]") });
        }
        let function = function(tool, self.old);
        let name = function.text("name").filter(|name| !name.is_empty());
        let name = name.ok_or_else(|| invalid(format!("{list}[{at}].function.name"), "missing"))?;
        if self.allowed.as_ref().is_some_and(|allowed| !allowed.iter().any(|known| *known == name)) {
            return Ok(());
        }
        let parameters = schema::of_tool(function.raw("parameters"), &scene.model)
            .ok_or_else(|| invalid(format!("{list}[{at}].function.parameters"), "must be a JSON schema"))?;
        let strict = function.raw("strict") == Some("true");
        if strict && !scene.model.schema {
            scene.lose(format!("{list}[{at}].function.strict"), "dropped");
        }
        let description = function.raw("description").filter(|text| text.starts_with('"') && !json::blank(text));
        let sent = told(&name, &mut scene.back);
        spec(out, &sent, description, &parameters, strict && scene.model.schema);
        let point = scene.mark(tool).or_else(|| scene.mark(&function));
        if let Some(point) = point.filter(|_| scene.model.caching == Caching::Everywhere) {
            out.item(point);
        }
        Ok(())
    }

    fn choose(&self, schema: Option<&str>, thinks: bool, scene: &mut Scene, out: &mut Json) {
        let family = scene.model.family;
        let forcible = scene.model.forced && !thinks;
        let named = |name: &str| format!(r#"{{"tool":{{"name":{}}}}}"#, json::quoted(name));
        let any = || r#"{"any":{}}"#.to_owned();
        let choice = match (schema, &self.choice) {
            // with tools of the caller's the model may call those first
            (Some(_), _) if forcible && self.callable() => Some(any()),
            (Some(name), _) if forcible => Some(if family == Family::Mistral { any() } else { named(name) }),
            (Some(_), _) => None,
            (None, Choice::Silent) => None,
            (None, Choice::Any | Choice::Named(_)) if !forcible => {
                scene.lose("tool_choice", "converted");
                Some(r#"{"auto":{}}"#.to_owned()).filter(|_| scene.model.forced)
            }
            (None, Choice::Any) => Some(any()),
            // Mistral knows no names: with one tool it comes to the same
            (None, Choice::Named(_)) if family == Family::Mistral => {
                if self.list.len() > 1 {
                    scene.lose("tool_choice", "converted");
                }
                Some(any())
            }
            (None, Choice::Named(name)) => Some(named(&told(name, &mut scene.back))),
            (None, Choice::Auto | Choice::Never) => Some(r#"{"auto":{}}"#.to_owned()),
        };
        if let Some(choice) = choice {
            out.member("toolChoice", &choice);
        }
    }
}

fn function<'a>(tool: &Members<'a>, old: bool) -> Members<'a> {
    let own = || tool.iter().map(|(name, _)| name).any(|name| name == "name");
    match tool.object("function") {
        Some(function) if !old => function,
        _ if own() => tool.clone(),
        _ => Members::default(),
    }
}

fn spec(out: &mut Json, name: &str, description: Option<&str>, parameters: &str, strict: bool) {
    out.open(b'{');
    out.name("toolSpec");
    out.open(b'{');
    out.member_text("name", name);
    if let Some(description) = description {
        out.member("description", description);
    }
    out.name("inputSchema");
    out.open(b'{');
    out.member("json", parameters);
    out.close(b'}');
    if strict {
        out.member("strict", "true");
    }
    out.close(b'}');
    out.close(b'}');
}

fn choice(raw: &str, allowed: &mut Option<Vec<String>>) -> Option<Choice> {
    let word = |word: &str| match word {
        "none" => Some(Choice::Never),
        "auto" => Some(Choice::Auto),
        "required" | "any" => Some(Choice::Any),
        _ => None,
    };
    if let Some(text) = json::text(raw) {
        return word(&text);
    }
    let object: Members<'_> = json::parse(raw).ok()?;
    let name = |object: &Members<'_>| {
        let function = object.object("function").or_else(|| object.object("custom"));
        function.and_then(|function| function.text("name")).or_else(|| object.text("name")).map(Cow::into_owned)
    };
    match object.text("type").as_deref() {
        Some("allowed_tools") => {
            let inner = object.object("allowed_tools").unwrap_or(object);
            let names = inner.objects("tools")?.iter().filter_map(name).collect();
            *allowed = Some(names);
            word(&inner.text("mode")?)
        }
        Some(kind @ ("auto" | "any" | "none" | "required")) => word(kind),
        _ => name(&object).map(Choice::Named),
    }
}

/// What the provider is told a tool's name is: the name itself if it fits, else one that is made of it and remembered.
fn told<'a>(name: &'a str, back: &mut Back) -> Cow<'a, str> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if (1..=64).contains(&name.len()) && name.bytes().all(fits) {
        return Cow::Borrowed(name);
    }
    if let Some((told, _)) = back.tools.iter().find(|(_, own)| own == name) {
        return Cow::Owned(told.clone());
    }
    let plain: String = name.chars().take(57).map(|c| if c.is_ascii() && fits(c as u8) { c } else { '_' }).collect();
    let told = format!("{plain}_{:06x}", hash(name) & 0x00ff_ffff);
    back.tools.push((told.clone(), name.to_owned()));
    Cow::Owned(told)
}

/// The id of a call as the model takes it: up to 64 letters, digits and `_.:-`, for Mistral nine letters or digits.
/// What is made of an id follows from it alone, so that call and result agree, in this turn and in later ones.
pub(super) fn id<'a>(id: &'a str, model: &Model) -> Cow<'a, str> {
    const BASE: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let (fits, length) = match model.family {
        Family::Mistral => (id.len() == 9 && id.bytes().all(|byte| byte.is_ascii_alphanumeric()), 9),
        _ => {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b':' | b'-');
            ((1..=64).contains(&id.len()) && id.bytes().all(plain), 11)
        }
    };
    if fits {
        return Cow::Borrowed(id);
    }
    let mut rest = hash(id);
    let digits = (0..length).map(|_| {
        let digit = BASE[(rest % 62) as usize];
        rest /= 62;
        char::from(digit)
    });
    Cow::Owned(digits.collect())
}

/// With the finaliser of MurmurHash3: FNV's own low bits are weak.
fn hash(text: &str) -> u64 {
    let hash = native::hash(text);
    let hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash ^ (hash >> 33)
}

/// A call in an assistant's message.
pub(super) struct Call<'a> {
    id: Cow<'a, str>,
    name: Cow<'a, str>,
    arguments: Cow<'a, str>,
}

/// Whether a text is one JSON object.
pub(super) fn is_object(text: &str) -> bool {
    text.trim_start().starts_with('{') && serde_json::from_str::<&RawValue>(text).is_ok()
}

/// The calls of an assistant's message.
pub(super) fn calls<'a>(message: &Members<'a>, at: usize) -> Result<Vec<Call<'a>>, Refused> {
    let missing = |what: String| invalid(format!("messages[{at}].{what}"), "missing");
    let arguments = |function: &Members<'a>| match function.raw("arguments") {
        // some clients send the object
        Some(raw) if raw.starts_with('{') => Cow::Borrowed(raw),
        Some(raw) => json::text(raw).unwrap_or_default(),
        None => Cow::Borrowed(""),
    };
    if let Some(function) = message.object("function_call") {
        let name = function.text("name").ok_or_else(|| missing("function_call.name".to_owned()))?;
        return Ok(vec![Call { id: name.clone(), arguments: arguments(&function), name }]);
    }
    let Some(raw) = message.raw("tool_calls") else { return Ok(Vec::new()) };
    let calls: Vec<Members<'a>> =
        json::parse(raw).map_err(|_| invalid(format!("messages[{at}].tool_calls"), "must be an array of calls"))?;
    calls
        .iter()
        .enumerate()
        .map(|(place, call)| {
            let function = call.object("function").ok_or_else(|| missing(format!("tool_calls[{place}].function")))?;
            let id = call.text("id").ok_or_else(|| missing(format!("tool_calls[{place}].id")))?;
            let name = function.text("name").ok_or_else(|| missing(format!("tool_calls[{place}].function.name")))?;
            Ok(Call { id, arguments: arguments(&function), name })
        })
        .collect()
}

impl Call<'_> {
    /// Write the block.
    pub(super) fn write(&self, out: &mut Json, at: usize, scene: &mut Scene) {
        out.open(b'{');
        out.name("toolUse");
        out.open(b'{');
        out.member_text("toolUseId", &id(&self.id, &scene.model));
        out.member_text("name", &told(&self.name, &mut scene.back));
        match self.arguments.trim() {
            "" => out.member("input", "{}"),
            object if is_object(object) => out.member("input", object),
            other => {
                scene.lose(format!("messages[{at}].tool_calls"), "converted");
                out.name("input");
                out.open(b'{');
                out.member_text("_raw", other);
                out.close(b'}');
            }
        }
        out.close(b'}');
        out.close(b'}');
    }

    /// The call in words.
    pub(super) fn told(&self) -> String {
        format!("Called the tool {} ({}) with {}", self.name, self.id, self.arguments)
    }
}
