//! OpenAI's chat body, as Converse and ConverseStream are sent it.

use memchr::memmem;

use super::json::{self, Json, Members, invalid};
use super::messages;
use super::models::{self, Family, Model, Thinking};
use super::params;
use super::reasoning::{self, Plan};
use super::scene::Scene;
use super::schema;
use super::tools::Tools;
use crate::wire::Object;
use crate::wire::native::{Back, Refused, Request, Terms};

/// How much a body may grow on its way, bytes: room for it is taken at once.
const GROWTH: usize = 1024;

/// What the answer shall look like.
enum Format<'a> {
    Text,
    Json,
    Schema(Members<'a>, &'a str),
}

/// What a schema comes to at this model.
#[derive(Default)]
struct Shape {
    /// `outputConfig`, where the model is held to it.
    held: Option<String>,
    /// The tool that stands for it: name, description and parameters.
    tool: Option<(String, String, String)>,
    /// What the model is told.
    hints: Vec<String>,
}

/// Translate a chat request. Fails on a body that is none, on content that Converse has no block for, and on members
/// that are not what they must be.
pub fn request(ask: &Object, terms: &Terms<'_>) -> Result<Request, Refused> {
    let raw = json::raw(ask, "messages").ok_or_else(|| invalid("messages", "missing"))?;
    let list: Vec<Members<'_>> = json::parse(raw)?;
    let tools = Tools::read(ask)?;
    let mut scene = Scene {
        model: model(ask, terms),
        losses: Vec::new(),
        back: Back::new(terms),
        flat: false,
        surplus: 0,
        names: Vec::new(),
    };
    scene.marks(marks(ask));
    params::strangers(ask, &mut scene);
    let bare = scene.model.thinking == Thinking::Budget && unfinished(&list, &scene);
    let plan = reasoning::plan(ask, &scene.model, bare, &mut scene.losses);
    let mut shape = shape(ask, &tools, plan, &mut scene)?;
    let history = list.iter().any(has_tools);
    scene.flat = history && !tools.any() && shape.tool.is_none();
    if scene.flat {
        scene.lose("messages[].tool_calls", "converted");
    }
    // without tools Converse refuses a history that has used some
    let offered = shape.tool.is_some() || tools.callable() || (history && tools.any());
    if offered && tools.any() && !tools.callable() && shape.tool.is_none() {
        shape.hints.push("Do not call any tool now: answer in words.".to_owned());
        scene.lose("tool_choice", "converted");
    }
    let single = params::single(ask, &tools, &mut scene);
    let config = match offered {
        true => tools.write(shape.tool.as_ref(), plan.claude_thinks(), single, &mut scene)?,
        false => None,
    };
    let system = messages::system(&list, &shape.hints, &mut scene)?;

    let mut out = Json::with_capacity(raw.len() + config.as_ref().map_or(0, |config| config.0.len()) + GROWTH);
    out.open(b'{');
    let aside = scene.model.system;
    if aside && !system.is_empty() {
        out.name("system");
        out.open(b'[');
        out.item(&system.0);
        out.close(b']');
    }
    out.name("messages");
    out.open(b'[');
    let lead = Some(system).filter(|_| !aside);
    messages::turns(&list, lead, json::raw(ask, "cache_control"), &mut scene, &mut out)?;
    out.close(b']');
    let plan = params::inference(ask, terms, plan, &mut scene, &mut out)?;
    if let Some(config) = config {
        out.name("toolConfig");
        out.item(&config.0);
    }
    if let Some(held) = &shape.held {
        out.member("outputConfig", held);
    }
    params::fields(ask, plan, single, &mut scene, &mut out)?;
    params::rest(ask, terms.stream, &mut scene, &mut out);
    out.close(b'}');
    let Scene { losses, back, .. } = scene;
    Ok(Request { body: out.0.into(), headers: Vec::new(), losses, back })
}

/// What is known of the model; where its id tells nothing, `base_model` may.
fn model(ask: &Object, terms: &Terms<'_>) -> Model {
    let named = models::of(terms.model);
    match json::raw(ask, "base_model").and_then(json::text) {
        Some(base) if named.family == Family::Opaque => models::of(&base),
        _ => named,
    }
}

/// How many marks for caching there are; those of the whole request count too.
fn marks(ask: &Object) -> usize {
    let count = |name: &str| {
        let raw = ask.raw(name).unwrap_or_default();
        let found = |mark: &[u8]| memmem::find_iter(raw, mark).count();
        found(b"\"cache_control\"") + found(b"\"prompt_cache_breakpoint\"")
    };
    count("messages") + count("tools") + usize::from(json::raw(ask, "cache_control").is_some())
}

fn has_tools(message: &Members<'_>) -> bool {
    message.raw("tool_calls").is_some_and(|calls| calls.trim_start_matches('[').trim() != "]")
        || message.raw("function_call").is_some()
        || matches!(message.text("role").as_deref(), Some("tool" | "function"))
}

/// Whether the last turn of the model has called tools whose results it is now given, without the thoughts it had.
fn unfinished(list: &[Members<'_>], scene: &Scene) -> bool {
    for message in list.iter().rev() {
        match message.text("role").as_deref() {
            Some("tool" | "function") => {}
            Some("assistant") => return has_tools(message) && reasoning::replay(message, &scene.model).is_empty(),
            _ => return false,
        }
    }
    false
}

fn format(ask: &Object) -> Result<Format<'_>, Refused> {
    let Some(raw) = json::raw(ask, "response_format") else { return Ok(Format::Text) };
    let format: Members<'_> = json::parse(raw).map_err(|_| invalid("response_format", "must be an object"))?;
    Ok(match format.text("type").as_deref() {
        Some("json_object") => Format::Json,
        Some("json_schema") => {
            let inner = format.object("json_schema").unwrap_or_default();
            let schema = inner.raw("schema").filter(|schema| schema.starts_with('{'));
            let schema =
                schema.ok_or_else(|| invalid("response_format.json_schema.schema", "must be a JSON schema"))?;
            Format::Schema(inner, schema)
        }
        _ => Format::Text,
    })
}

fn shape(ask: &Object, tools: &Tools<'_>, plan: Plan, scene: &mut Scene) -> Result<Shape, Refused> {
    let mut shape = Shape::default();
    let (named, schema) = match format(ask)? {
        Format::Text => return Ok(shape),
        Format::Json => {
            shape.hints.push("Answer with one JSON object and nothing else.".to_owned());
            scene.lose("response_format", "converted");
            return Ok(shape);
        }
        Format::Schema(named, schema) => (named, schema),
    };
    let wrong = || invalid("response_format.json_schema.schema", "must be a JSON schema");
    let description = named.text("description").filter(|text| !text.trim().is_empty());
    if scene.model.schema {
        let mut out = Json::default();
        out.open(b'{');
        out.member_text("schema", &schema::of_answer(schema).ok_or_else(wrong)?);
        if let Some(name) = named.raw("name") {
            out.member("name", name);
        }
        if let Some(description) = description {
            out.member_text("description", &description);
        }
        out.close(b'}');
        let inner = String::from_utf8(out.0).unwrap_or_default();
        shape.held = Some(format!(r#"{{"textFormat":{{"type":"json_schema","structure":{{"jsonSchema":{inner}}}}}}}"#));
        return Ok(shape);
    }
    let object = json::parse::<Members<'_>>(schema).map_err(|_| wrong())?;
    let is_object = object.text("type").is_none_or(|kind| kind == "object");
    if !(scene.model.tools && is_object) {
        shape.hints.push(format!(
            "Answer with one JSON value, and nothing else, that is valid under this JSON schema: {}",
            json::compact(schema)
        ));
        scene.lose("response_format", "converted");
        return Ok(shape);
    }
    let name = tools.answer_name();
    let description = description.map_or_else(|| "Gives the answer.".to_owned(), |text| text.into_owned());
    let parameters = schema::of_tool(Some(schema), &scene.model).ok_or_else(wrong)?.into_owned();
    if plan.claude_thinks() || !scene.model.forced {
        shape.hints.push(format!("Give your answer by calling the tool {name}, and in no other way."));
        scene.lose("response_format", "converted");
    }
    scene.back.json_tool = Some(name.clone());
    shape.tool = Some((name, description, parameters));
    Ok(shape)
}
