//! Tools: what the model may call, and what it must.
//!
//! <https://ai.google.dev/api/caching#Tool>, <https://ai.google.dev/gemini-api/docs/function-calling>

use std::borrow::Cow;

use super::Host;
use super::json::{Json, invalid, is_null, text};
use super::model::Model;
use super::schema;
use crate::wire::Object;
use crate::wire::native::{Loss, Refused, hash};

/// The longest name of a tool, bytes.
const LONGEST: usize = 64;

/// The names of tools, as the caller has them and as Google takes them.
#[derive(Default)]
pub(super) struct Names(pub(super) Vec<(String, String)>);

impl Names {
    /// The name Google is told. One it would refuse is made over, always in the same way: a letter or underscore first,
    /// then also digits, dots, colons and dashes, 64 at most.
    pub(super) fn sent<'a>(&mut self, own: &'a str) -> Cow<'a, str> {
        let first = |c: char| c.is_ascii_alphabetic() || c == '_';
        let other = |c: char| first(c) || c.is_ascii_digit() || matches!(c, '.' | ':' | '-');
        if own.len() <= LONGEST && own.starts_with(first) && own.chars().all(other) {
            return Cow::Borrowed(own);
        }
        if let Some((told, _)) = self.0.iter().find(|(_, known)| known == own) {
            return Cow::Owned(told.clone());
        }
        let lead = if own.starts_with(first) { "" } else { "_" };
        let plain: String = own.chars().map(|c| if other(c) { c } else { '_' }).take(LONGEST - 8).collect();
        let told = format!("{lead}{plain}_{:06x}", hash(own) & 0xff_ffff);
        self.0.push((told.clone(), own.to_owned()));
        Cow::Owned(told)
    }
}

/// The members `tools` and `toolConfig`.
pub(super) struct Tools {
    /// Elements of `tools`; empty if there are none.
    pub(super) tools: Json,
    /// `toolConfig`, if there is one.
    pub(super) config: Option<Json>,
    /// Whether there are functions among them.
    pub(super) functions: bool,
}

/// Tools that Google runs itself, by the names that callers have for them.
fn builtin(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "google_search" | "googleSearch" | "web_search" | "web_search_preview" => "googleSearch",
        "google_search_retrieval" | "googleSearchRetrieval" => "googleSearchRetrieval",
        "code_execution" | "codeExecution" | "code_interpreter" => "codeExecution",
        "url_context" | "urlContext" => "urlContext",
        "google_maps" | "googleMaps" => "googleMaps",
        "file_search" | "fileSearch" => "fileSearch",
        "computer_use" | "computerUse" => "computerUse",
        "enterprise_web_search" | "enterpriseWebSearch" => "enterpriseWebSearch",
        _ => return None,
    })
}

/// Translate what the caller offers.
pub(super) fn tools(
    ask: &Object,
    host: Host,
    model: &Model,
    names: &mut Names,
    losses: &mut Vec<Loss>,
) -> Result<Tools, Refused> {
    let mut functions = Json::default();
    let mut others = Json::default();
    let mut searches = false;
    for (at, tool) in ask.objects("tools")?.iter().enumerate() {
        let kind = tool.raw("type").and_then(text).unwrap_or(Cow::Borrowed("function"));
        if kind == "function" {
            let Some(function) = tool.object("function")? else {
                return invalid(format!("tools[{at}].function"), "is missing");
            };
            declare(&function, &format!("tools[{at}].function"), model, names, &mut functions)?;
            continue;
        }
        let Some(name) = builtin(&kind) else {
            losses.push(Loss { param: format!("tools[{at}]"), action: "dropped" });
            continue;
        };
        searches |= name == "googleSearch";
        others.next().raw("{").name(name).raw(options(tool, &kind, name)).raw("}");
    }
    for (at, function) in ask.objects("functions")?.iter().enumerate() {
        declare(function, &format!("functions[{at}]"), model, names, &mut functions)?;
    }
    if ask.raw("web_search_options").is_some_and(|raw| !is_null(raw)) && !searches {
        others.next().raw(br#"{"googleSearch":{}}"#);
    }
    let mut tools = Json::default();
    let has_functions = !functions.is_empty();
    let mixed = has_functions && !others.is_empty();
    if has_functions {
        tools.next().raw(br#"{"functionDeclarations":["#).raw(&functions.0).raw("]}");
    }
    if !others.is_empty() {
        tools.next().raw(&others.0);
    }
    let mut config = Json::default();
    config.raw("{");
    if has_functions && let Some(choice) = choice(ask, names, losses)? {
        config.name("functionCallingConfig").raw(&choice.0);
    }
    // both kinds together are known from the third generation on, and only if asked for
    if mixed && host == Host::Api && model.since(3, 0) {
        config.name("includeServerSideToolInvocations").raw("true");
    }
    let given = ["tool_config", "toolConfig"].into_iter().find_map(|name| ask.object(name).ok().flatten());
    for (name, value) in given.iter().flat_map(Object::members) {
        if !matches!(name, "functionCallingConfig" | "function_calling_config") {
            config.name(name).raw(value);
        }
    }
    config.raw("}");
    let config = (config.0.len() > 2).then_some(config);
    Ok(Tools { tools, config, functions: has_functions })
}

/// What a caller says about a built-in tool: `{"type": "google_search", "google_search": {…}}`.
fn options<'a>(tool: &'a Object, kind: &str, name: &str) -> &'a [u8] {
    let given = tool.raw(kind).or_else(|| tool.raw(name));
    given.filter(|raw| raw.starts_with(b"{")).unwrap_or(b"{}")
}

fn declare(function: &Object, path: &str, model: &Model, names: &mut Names, out: &mut Json) -> Result<(), Refused> {
    let Some(name) = function.raw("name").and_then(text).filter(|name| !name.is_empty()) else {
        return invalid(format!("{path}.name"), "must be a text");
    };
    out.next().raw("{").name("name").text(&names.sent(&name));
    if let Some(description) = function.raw("description").filter(|raw| raw.starts_with(b"\"")) {
        out.name("description").raw(description);
    }
    match function.raw("parameters") {
        Some(parameters) if parameters.starts_with(b"{") && !schema::is_empty(parameters) => {
            if model.since(2, 5) {
                out.name("parametersJsonSchema").raw(parameters);
            } else if let Some(parameters) = schema::parameters(parameters)? {
                out.name("parameters").raw(&parameters);
            }
        }
        Some(parameters) if !parameters.starts_with(b"{") && !is_null(parameters) => {
            return invalid(format!("{path}.parameters"), "must be a JSON schema");
        }
        _ => {}
    }
    out.raw("}");
    Ok(())
}

/// `functionCallingConfig`, if the caller says something about it.
fn choice(ask: &Object, names: &mut Names, losses: &mut Vec<Loss>) -> Result<Option<Json>, Refused> {
    let (param, raw) = match (ask.raw("tool_choice"), ask.raw("function_call")) {
        (Some(raw), _) if !is_null(raw) => ("tool_choice", raw),
        (_, Some(raw)) if !is_null(raw) => ("function_call", raw),
        _ => return Ok(None),
    };
    let mode = |mode: &str, allowed: &[Cow<'_, str>]| {
        let mut json = Json::default();
        json.raw("{").name("mode").text(mode);
        if !allowed.is_empty() {
            json.name("allowedFunctionNames").raw("[");
            for name in allowed {
                json.next().text(name);
            }
            json.raw("]");
        }
        json.raw("}");
        Some(json)
    };
    if let Some(word) = text(raw) {
        return Ok(match word.as_ref() {
            "none" => mode("NONE", &[]),
            "auto" => mode("AUTO", &[]),
            "required" | "any" => mode("ANY", &[]),
            "validated" => mode("VALIDATED", &[]),
            _ => return invalid(param, "must be none, auto, required or a tool"),
        });
    }
    let Ok(Some(chosen)) = ask.object(param) else { return invalid(param, "must be none, auto, required or a tool") };
    let kind = chosen.raw("type").and_then(text).unwrap_or(Cow::Borrowed("function"));
    match kind.as_ref() {
        "function" => {
            let function = chosen.object("function")?;
            let named = function.as_ref().unwrap_or(&chosen).raw("name").and_then(text);
            let Some(name) = named else { return invalid(format!("{param}.function.name"), "is missing") };
            Ok(mode("ANY", &[names.sent(&name)]))
        }
        "allowed_tools" => {
            let inner = chosen.object("allowed_tools")?;
            let allowed = inner.as_ref().unwrap_or(&chosen);
            let must = allowed.raw("mode").and_then(text).is_some_and(|mode| mode == "required");
            let mut list = Vec::new();
            for tool in allowed.objects("tools")? {
                let function = tool.object("function")?;
                if let Some(name) = function.as_ref().unwrap_or(&tool).raw("name").and_then(text) {
                    list.push(Cow::Owned(names.sent(&name).into_owned()));
                }
            }
            // names are taken only where the model must call, or is held to the schema
            Ok(mode(if must { "ANY" } else { "VALIDATED" }, &list))
        }
        _ => {
            losses.push(Loss { param: param.to_owned(), action: "dropped" });
            Ok(None)
        }
    }
}
