//! Tools, and whether they must be called.

use super::content::{close, marker};
use super::desk::{Desk, invalid};
use super::json;
use super::marked::Marked;
use super::messages::Conversation;
use super::schema;
use super::thinking::{Plan, Thinking};
use crate::wire::Object;
use crate::wire::native::Refused;

/// Members of a function that the API knows by the same name.
const SAME: [&str; 4] = ["defer_loading", "input_examples", "allowed_callers", "eager_input_streaming"];

/// Betas that tools of Anthropic's own need, by the beginning of their type.
const BETAS: [(&str, &str); 10] = [
    ("computer_20241022", "computer-use-2024-10-22"),
    ("computer_20250124", "computer-use-2025-01-24"),
    ("computer_20251124", "computer-use-2025-11-24"),
    ("bash_20241022", "computer-use-2024-10-22"),
    ("text_editor_20241022", "computer-use-2024-10-22"),
    ("code_execution_20250522", "code-execution-2025-05-22"),
    ("code_execution_20250825", "code-execution-2025-08-25"),
    ("web_fetch_20250910", "web-fetch-2025-09-10"),
    ("mcp_toolset", "mcp-client-2025-11-20"),
    ("advisor_", "advisor-tool-2026-03-01"),
];

/// Which tool must be called.
#[derive(Debug, PartialEq, Eq)]
enum Choice {
    Unsaid,
    None,
    Auto,
    Any,
    /// By the name it is told by.
    Tool(String),
}

/// The tools as they are sent.
pub(super) struct Tools {
    /// The elements of `tools`.
    pub(super) list: Marked,
    choice: Choice,
    one_at_a_time: bool,
}

/// Translate `tools`, `functions`, `web_search_options`, and what says how they are chosen.
pub(super) fn translate(desk: &mut Desk<'_>, ask: &Object, said: &Conversation) -> Result<Tools, Refused> {
    let list = |name: &'static str| ask.objects(name).map_err(|error| invalid(name, error.to_string()));
    let (tools, functions) = (list("tools")?, list("functions")?);
    desk.back.functions = tools.is_empty() && !functions.is_empty();
    let (mut choice, allowed) = choice(desk, ask)?;
    let mut out = Marked::default();
    for (at, tool) in tools.iter().enumerate() {
        let param = format!("tools[{at}]");
        match tool.object("function")? {
            Some(inner) => {
                function(desk, &inner, marker(&inner).or(marker(tool)), &param, allowed.as_deref(), &mut out)?
            }
            None => own(desk, tool, &param, allowed.as_deref(), &mut out)?,
        }
    }
    for (at, tool) in functions.iter().enumerate() {
        function(desk, tool, None, &format!("functions[{at}]"), None, &mut out)?;
    }
    web_search(desk, ask, &tools, &mut out)?;
    if out.out.is_empty() {
        if matches!(choice, Choice::Any | Choice::Tool(_)) {
            return Err(invalid("tool_choice", "there are no tools to choose from: give `tools` with it"));
        }
        choice = stubs(said, &mut out);
    }
    // the old form has room for one call
    let one_at_a_time = desk.back.functions || ask.raw("parallel_tool_calls") == Some(b"false");
    Ok(Tools { list: out, choice, one_at_a_time })
}

/// The history has calls, and the API wants their tools: the request gets tools that must not be called.
fn stubs(said: &Conversation, out: &mut Marked) -> Choice {
    let mut known: Vec<&str> = Vec::new();
    for name in said.called.iter().map(String::as_str).filter(|name| !name.is_empty()) {
        if known.contains(&name) {
            continue;
        }
        known.push(name);
        json::comma(&mut out.out);
        out.out.push(b'{');
        json::put_text(&mut out.out, "name", name);
        json::put(&mut out.out, "input_schema", br#"{"type":"object"}"#);
        out.out.push(b'}');
    }
    if known.is_empty() { Choice::Unsaid } else { Choice::None }
}

/// Write one function, unless others alone are allowed.
fn function(
    desk: &mut Desk<'_>,
    function: &Object,
    marker: Option<&[u8]>,
    param: &str,
    allowed: Option<&[String]>,
    out: &mut Marked,
) -> Result<(), Refused> {
    let Some(name) = function.raw("name").filter(|raw| json::is_string(raw)).and_then(json::decoded) else {
        return Err(invalid(format!("{param}.function.name"), "a function needs a name"));
    };
    if allowed.is_some_and(|allowed| !allowed.iter().any(|own| *own == name)) {
        return Ok(());
    }
    json::comma(&mut out.out);
    out.out.push(b'{');
    json::put_text(&mut out.out, "name", &desk.tool(&name));
    if let Some(text) = function.raw("description").filter(|raw| json::is_string(raw) && !json::is_empty(raw)) {
        json::put(&mut out.out, "description", text);
    }
    let mut strict = function.raw("strict") == Some(b"true");
    let parameters = function.raw("parameters").filter(|raw| *raw != b"null").unwrap_or(b"{}");
    if !parameters.starts_with(b"{") {
        return Err(invalid(format!("{param}.function.parameters"), "it must be a JSON schema, an object"));
    }
    let enforced =
        if strict && desk.model.schemas && desk.hosting.takes_schemas() { schema::enforced(parameters)? } else { None };
    if strict && enforced.is_none() {
        strict = false;
        desk.lose(format!("{param}.function.strict"), "dropped");
    }
    json::key(&mut out.out, "input_schema");
    input_schema(enforced.as_deref().unwrap_or(parameters), &mut out.out)?;
    if strict {
        json::put(&mut out.out, "strict", b"true");
    }
    for name in SAME {
        if let Some(value) = function.raw(name).filter(|value| *value != b"null") {
            json::put(&mut out.out, name, value);
        }
    }
    close(out, marker);
    Ok(())
}

/// A schema of arguments: the API wants to be told that they are an object.
pub(super) fn input_schema(schema: &[u8], out: &mut Vec<u8>) -> Result<(), Refused> {
    let object = Object::parse(bytes::Bytes::copy_from_slice(schema))?;
    match (object.has("type"), object.is_empty()) {
        (true, _) => out.extend_from_slice(schema),
        (false, true) => out.extend_from_slice(br#"{"type":"object","properties":{}}"#),
        (false, false) => {
            out.extend_from_slice(br#"{"type":"object","#);
            let inner = schema.iter().position(|byte| *byte == b'{').map_or(0, |at| at + 1);
            out.extend_from_slice(&schema[inner..]);
        }
    }
    Ok(())
}

/// A tool in Anthropic's own form: it goes as it came, with its beta.
fn own(
    desk: &mut Desk<'_>,
    tool: &Object,
    param: &str,
    allowed: Option<&[String]>,
    out: &mut Marked,
) -> Result<(), Refused> {
    let kind = tool.raw("type").and_then(json::decoded).unwrap_or_default();
    if !tool.has("input_schema") && matches!(&*kind, "" | "function" | "custom") {
        // OpenAI's custom tools take a text, and there is no such thing here
        let param = format!("{param}.{}", if kind == "custom" { "custom" } else { "function" });
        return Err(if kind == "custom" {
            Refused::Unsupported { param }
        } else {
            invalid(param, "it must be an object")
        });
    }
    let name = tool.raw("name").and_then(json::decoded);
    if allowed.is_some_and(|allowed| name.is_some_and(|name| !allowed.iter().any(|own| *own == name))) {
        return Ok(());
    }
    if let Some((_, beta)) = BETAS.iter().find(|(start, _)| kind.starts_with(start)) {
        desk.beta(*beta);
    }
    json::comma(&mut out.out);
    out.out.push(b'{');
    for (name, value) in tool.members().filter(|(name, _)| *name != "cache_control") {
        json::comma(&mut out.out);
        json::text(&mut out.out, name);
        out.out.push(b':');
        out.out.extend_from_slice(value);
    }
    close(out, marker(tool));
    Ok(())
}

/// OpenAI's wish for a search becomes Anthropic's tool.
fn web_search(desk: &mut Desk<'_>, ask: &Object, tools: &[Object], out: &mut Marked) -> Result<(), Refused> {
    let Some(options) =
        ask.object("web_search_options").map_err(|error| invalid("web_search_options", error.to_string()))?
    else {
        return Ok(());
    };
    let there = tools.iter().any(|tool| tool.raw("type").is_some_and(|kind| kind.starts_with(b"\"web_search_")));
    if there {
        return Ok(());
    }
    if !desk.hosting.searches() {
        desk.lose("web_search_options", "dropped");
        return Ok(());
    }
    if options.raw("search_context_size").is_some_and(|size| !matches!(size, br#""medium""# | b"null")) {
        desk.lose("web_search_options.search_context_size", "dropped");
    }
    json::comma(&mut out.out);
    out.out.extend_from_slice(br#"{"type":"web_search_20250305","name":"web_search""#);
    if let Some(place) = options.object("user_location")? {
        // OpenAI nests the place by its type
        let place = place.object("approximate")?.unwrap_or(place);
        json::key(&mut out.out, "user_location");
        out.out.extend_from_slice(br#"{"type":"approximate""#);
        for name in ["city", "region", "country", "timezone"] {
            if let Some(value) = place.raw(name).filter(|value| json::is_string(value)) {
                json::put(&mut out.out, name, value);
            }
        }
        out.out.push(b'}');
    }
    out.out.push(b'}');
    Ok(())
}

/// `tool_choice` or `function_call`, and the names of the functions that alone are allowed.
fn choice(desk: &mut Desk<'_>, ask: &Object) -> Result<(Choice, Option<Vec<String>>), Refused> {
    let old = desk.back.functions;
    let param = if old { "function_call" } else { "tool_choice" };
    let Some(raw) = ask.raw(param).filter(|raw| *raw != b"null") else { return Ok((Choice::Unsaid, None)) };
    if json::is_string(raw) {
        return match &*json::decoded(raw).unwrap_or_default() {
            "none" => Ok((Choice::None, None)),
            "auto" => Ok((Choice::Auto, None)),
            "required" | "any" => Ok((Choice::Any, None)),
            other => {
                Err(invalid(param, format!("`{other}` is no choice: it must be none, auto, required or an object")))
            }
        };
    }
    let object = ask.object(param).map_err(|error| invalid(param, error.to_string()))?.unwrap_or_default();
    let name = |object: &Object| object.raw("name").and_then(json::decoded).map(|name| name.into_owned());
    let kind = object.raw("type").and_then(json::decoded).unwrap_or_default();
    match &*kind {
        "allowed_tools" => {
            let inner = object.object("allowed_tools")?.unwrap_or(object);
            let tools = inner.objects("tools")?;
            let names = tools.iter().filter_map(|tool| match tool.object("function") {
                Ok(Some(function)) => name(&function),
                _ => name(tool),
            });
            let choice = if inner.raw("mode") == Some(br#""required""#) { Choice::Any } else { Choice::Auto };
            Ok((choice, Some(names.collect())))
        }
        "none" => Ok((Choice::None, None)),
        "auto" => Ok((Choice::Auto, None)),
        "any" => Ok((Choice::Any, None)),
        _ => {
            let named = object.object("function")?.as_ref().and_then(name).or_else(|| name(&object));
            match named.filter(|_| old || matches!(&*kind, "function" | "tool")) {
                Some(own) => Ok((Choice::Tool(desk.tool(&own).into_owned()), None)),
                None => {
                    Err(invalid(param, "it must name a function: {\"type\":\"function\",\"function\":{\"name\":…}}"))
                }
            }
        }
    }
}

impl Tools {
    /// Add the tool that stands for a schema, and make the model call it, or any, if there are others.
    pub(super) fn add_schema(&mut self, name: &str, description: &[u8], schema: &[u8]) -> Result<(), Refused> {
        let alone = self.list.out.is_empty() || self.choice == Choice::None;
        let out = &mut self.list.out;
        json::comma(out);
        out.push(b'{');
        json::put_text(out, "name", name);
        json::put(out, "description", description);
        json::key(out, "input_schema");
        input_schema(schema, out)?;
        out.push(b'}');
        if !matches!(self.choice, Choice::Tool(_)) {
            self.choice = if alone { Choice::Tool(name.to_owned()) } else { Choice::Any };
        }
        Ok(())
    }

    /// Whether a tool is told by this name.
    pub(super) fn has(&self, name: &str) -> bool {
        memchr::memmem::find(&self.list.out, format!(r#""name":"{name}""#).as_bytes()).is_some()
    }

    /// A choice that the model does not take becomes one that it takes; says whether it did.
    pub(super) fn soften(&mut self, desk: &Desk<'_>, plan: &Plan) -> bool {
        // a number of tokens for thinking, or a model that can't be made to call
        let refused = matches!(plan.thinking, Thinking::Budget(_)) || !desk.model.forced;
        let forced = matches!(self.choice, Choice::Any | Choice::Tool(_));
        if refused && forced {
            self.choice = Choice::Auto;
        }
        refused && forced
    }

    /// Write `tool_choice`, if there is anything to say.
    pub(super) fn write_choice(&self, out: &mut Vec<u8>) {
        if self.list.out.is_empty() {
            return;
        }
        let (kind, name) = match &self.choice {
            Choice::Unsaid if !self.one_at_a_time => return,
            Choice::None => ("none", None),
            Choice::Unsaid | Choice::Auto => ("auto", None),
            Choice::Any => ("any", None),
            Choice::Tool(name) => ("tool", Some(name)),
        };
        json::key(out, "tool_choice");
        out.push(b'{');
        json::put_text(out, "type", kind);
        if let Some(name) = name {
            json::put_text(out, "name", name);
        }
        if self.one_at_a_time && kind != "none" {
            json::put(out, "disable_parallel_tool_use", b"true");
        }
        out.push(b'}');
    }
}
