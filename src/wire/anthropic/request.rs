//! OpenAI's chat request as a request of the Messages API.

use bytes::Bytes;

use super::desk::{Desk, invalid};
use super::hosting::Hosting;
use super::json;
use super::marked;
use super::messages::{self, Conversation};
use super::models::{Sampling, Thinks};
use super::rest;
use super::schema;
use super::thinking::{self, Plan, Thinking};
use super::tools::{self, Tools};
use crate::wire::Object;
use crate::wire::native::{Refused, Request, Terms};

/// What an answer may have where neither the request nor the target says it, if the model can answer so much, tokens.
const USUAL: u64 = 8_192;

/// The tool that stands for a schema.
const JSON_TOOL: &str = "json_output";

/// What the model is told where nothing else makes it answer in JSON.
const ONLY_JSON: &str = "Answer with one valid JSON object and nothing else: no text around it, no code fence.";

/// Translate a request for Anthropic itself.
pub fn request(ask: &Object, terms: &Terms<'_>) -> Result<Request, Refused> {
    hosted(ask, terms, Hosting::Direct)
}

/// Translate a request for this host.
pub fn hosted(ask: &Object, terms: &Terms<'_>, hosting: Hosting) -> Result<Request, Refused> {
    let mut desk = Desk::new(terms, hosting);
    let mut said = messages::translate(&mut desk, ask)?;
    let mut plan = thinking::plan(&mut desk, ask)?;
    if matches!(plan.thinking, Thinking::Budget(_)) && said.unsigned {
        // the API wants to see what the model thought before it called the tools
        desk.lose(plan.param, "dropped");
        plan.thinking = Thinking::Unsaid;
    }
    let mut tools = tools::translate(&mut desk, ask, &said)?;
    let format = format(&mut desk, ask, &mut said, &mut tools)?;
    if tools.soften(&desk, &plan) {
        match &desk.back.json_tool {
            Some(tool) => {
                let hint = format!("Give the answer by calling the tool `{tool}`.");
                hint_at(&mut said, &hint);
            }
            None => desk.lose(if desk.back.functions { "function_call" } else { "tool_choice" }, "converted"),
        }
    }
    if matches!(plan.thinking, Thinking::Budget(_)) && desk.model.interleaves && !tools.list.out.is_empty() {
        desk.beta("interleaved-thinking-2025-05-14");
    }
    let mut out = Vec::with_capacity(said.turns.out.len() + said.system.out.len() + tools.list.out.len() + 1_024);
    out.push(b'{');
    if hosting.names_model() {
        json::put_text(&mut out, "model", terms.model);
    }
    if let Some(version) = hosting.version() {
        json::put_text(&mut out, "anthropic_version", version);
    }
    let limit = limit(&mut desk, ask, &mut plan)?;
    json::put(&mut out, "max_tokens", limit.to_string().as_bytes());
    lists(ask, &said, &tools, &mut out);
    tools.write_choice(&mut out);
    plan.write(&mut out);
    output_config(ask, &plan, format.as_deref(), &mut out)?;
    sampling(&mut desk, ask, &plan, &mut out)?;
    stop(&mut desk, ask, &mut out)?;
    user(&mut desk, ask, &mut out)?;
    rest::write(&mut desk, ask, &mut out)?;
    if terms.stream && hosting.says_stream() {
        json::put(&mut out, "stream", b"true");
    }
    let mut headers = Vec::new();
    if !desk.betas.is_empty() {
        if hosting.names_model() {
            headers.push(("anthropic-beta", desk.betas.join(",")));
        } else {
            json::put(&mut out, "anthropic_beta", &serde_json::to_vec(&desk.betas).expect("texts encode"));
        }
    }
    out.push(b'}');
    Ok(Request { body: Bytes::from(out), headers, losses: desk.losses, back: desk.back })
}

/// `system`, `messages` and `tools`, with as many cache markers as are taken: the first ones go.
fn lists(ask: &Object, said: &Conversation, tools: &Tools, out: &mut Vec<u8>) {
    // the order in which the API sees them
    let marks = [tools.list.marks(), said.system.marks(), said.turns.marks()];
    let automatic = usize::from(ask.raw("cache_control").is_some_and(|raw| raw.starts_with(b"{")));
    let mut beyond = (marks.iter().sum::<usize>() + automatic).saturating_sub(marked::MOST);
    let without = marks.map(|there| {
        let gone = there.min(beyond);
        beyond -= gone;
        gone
    });
    for (name, list, without) in [
        ("system", &said.system, without[1]),
        ("messages", &said.turns, without[2]),
        ("tools", &tools.list, without[0]),
    ] {
        if !list.out.is_empty() {
            json::key(out, name);
            out.push(b'[');
            list.append(out, without);
            out.push(b']');
        }
    }
}

/// How many tokens the answer may have; makes room for those of thinking.
fn limit(desk: &mut Desk<'_>, ask: &Object, plan: &mut Plan) -> Result<u64, Refused> {
    let known = desk.model.is_known().then_some(desk.model.most);
    let most = desk.terms.most_output.or(known);
    let mut asked = None;
    for param in ["max_completion_tokens", "max_tokens"] {
        let number: Option<f64> = ask.get(param)?;
        if let Some(number) = number.filter(|_| asked.is_none()) {
            asked = Some((param, number as u64));
        }
    }
    let usual = desk.terms.usual_output.unwrap_or(USUAL);
    let own = asked.map_or_else(|| usual.min(most.unwrap_or(usual)), |(_, number)| number);
    let mut limit = own;
    if let Thinking::Budget(tokens) = &mut plan.thinking {
        if limit <= *tokens {
            limit = limit.saturating_add(*tokens);
        }
        let most = most.unwrap_or(u64::MAX);
        if most <= *tokens {
            // at least a quarter of what there is remains for the answer
            *tokens = (most / 4 * 3).max(1_024);
        }
    }
    if let Some(most) = most.filter(|most| limit > *most) {
        if let Some((param, _)) = asked.filter(|(_, number)| *number > most) {
            desk.lose(param, "clamped");
        }
        limit = most;
    }
    Ok(limit)
}

/// What `response_format` asks for: a schema that the API enforces is returned, all else is a tool or a hint.
fn format(
    desk: &mut Desk<'_>,
    ask: &Object,
    said: &mut Conversation,
    tools: &mut Tools,
) -> Result<Option<Vec<u8>>, Refused> {
    let Some(format) = ask.object("response_format").map_err(|error| invalid("response_format", error.to_string()))?
    else {
        return Ok(None);
    };
    match &*format.raw("type").and_then(json::decoded).unwrap_or_default() {
        "text" => Ok(None),
        "json_object" => {
            hint_at(said, ONLY_JSON);
            Ok(None)
        }
        "json_schema" => {
            let inner = format.object("json_schema")?.unwrap_or(format);
            let Some(raw) = inner.raw("schema").filter(|raw| raw.starts_with(b"{")) else {
                return Err(invalid("response_format.json_schema.schema", "it must be a JSON schema, an object"));
            };
            let native = desk.model.schemas && desk.hosting.takes_schemas();
            if let Some(schema) = if native { schema::enforced(raw)? } else { None } {
                return Ok(Some(schema));
            }
            let mut name = JSON_TOOL.to_owned();
            while tools.has(&name) {
                name.push('_');
            }
            let given = inner.raw("description").filter(|raw| json::is_string(raw) && !json::is_empty(raw));
            tools.add_schema(&name, given.unwrap_or(br#""Gives the answer.""#), raw)?;
            desk.back.json_tool = Some(name);
            Ok(None)
        }
        other => {
            let message = format!("`{other}` is no format: it must be text, json_object or json_schema");
            Err(invalid("response_format.type", message))
        }
    }
}

fn hint_at(said: &mut Conversation, hint: &str) {
    let mut text = Vec::with_capacity(hint.len() + 2);
    json::text(&mut text, hint);
    super::content::text(&mut said.system, &text, None);
}

/// The caller's own `output_config`, with the effort and the schema that other parameters ask for.
fn output_config(ask: &Object, plan: &Plan, schema: Option<&[u8]>, out: &mut Vec<u8>) -> Result<(), Refused> {
    let own = ask.object("output_config").map_err(|error| invalid("output_config", error.to_string()))?;
    let own = own.unwrap_or_default();
    let effort = plan.effort.filter(|_| !own.has("effort"));
    let schema = schema.filter(|_| !own.has("format"));
    if own.is_empty() && effort.is_none() && schema.is_none() {
        return Ok(());
    }
    json::key(out, "output_config");
    out.push(b'{');
    for (name, value) in own.members() {
        json::comma(out);
        json::text(out, name);
        out.push(b':');
        out.extend_from_slice(value);
    }
    if let Some(effort) = effort {
        json::put_text(out, "effort", effort);
    }
    if let Some(schema) = schema {
        json::key(out, "format");
        out.extend_from_slice(br#"{"type":"json_schema","schema":"#);
        out.extend_from_slice(schema);
        out.push(b'}');
    }
    out.push(b'}');
    Ok(())
}

/// `temperature`, `top_p`, `top_k`, as far as the model takes them, and takes them while it thinks.
fn sampling(desk: &mut Desk<'_>, ask: &Object, plan: &Plan, out: &mut Vec<u8>) -> Result<(), Refused> {
    let number = |name: &str| ask.get::<f64>(name).map_err(|_| invalid(name, format!("`{name}` must be a number")));
    let (temperature, top_p, top_k) = (number("temperature")?, number("top_p")?, number("top_k")?);
    let fixed = desk.model.sampling == Sampling::Fixed;
    let thinks = plan.is_on() && desk.model.thinks != Thinks::Never;
    let before = out.len();
    if let Some(value) = temperature {
        match value {
            1.0 if fixed || thinks => {}
            _ if fixed || thinks => desk.lose("temperature", "dropped"),
            value if value > 1.0 => {
                desk.lose("temperature", "clamped");
                json::put(out, "temperature", b"1");
            }
            _ => json::put(out, "temperature", ask.raw("temperature").unwrap_or_default()),
        }
    }
    if let Some(value) = top_p {
        let both = out.len() > before && desk.model.sampling == Sampling::Either;
        match value {
            1.0 if fixed || thinks || both => {}
            value if fixed || both || (thinks && value < 0.95) => desk.lose("top_p", "dropped"),
            _ => json::put(out, "top_p", ask.raw("top_p").unwrap_or_default()),
        }
    }
    if top_k.is_some() {
        if fixed || thinks {
            desk.lose("top_k", "dropped");
        } else {
            json::put(out, "top_k", ask.raw("top_k").unwrap_or_default());
        }
    }
    Ok(())
}

/// `stop`, without what the API refuses: texts that are empty or all white space.
fn stop(desk: &mut Desk<'_>, ask: &Object, out: &mut Vec<u8>) -> Result<(), Refused> {
    let mut texts: Vec<String> = Vec::new();
    for name in ["stop", "stop_sequences"] {
        match ask.raw(name) {
            Some([b'"', ..]) => texts.extend(ask.get::<String>(name)?),
            Some(_) => texts.extend(ask.get::<Vec<String>>(name)?.unwrap_or_default()),
            None => {}
        }
    }
    let all = texts.len();
    texts.retain(|text| !text.trim().is_empty());
    if texts.len() < all {
        desk.lose("stop", "dropped");
    }
    if !texts.is_empty() {
        json::put(out, "stop_sequences", &serde_json::to_vec(&texts).expect("texts encode"));
    }
    Ok(())
}

/// Who asks. An address is nothing that the API shall be told.
fn user(desk: &mut Desk<'_>, ask: &Object, out: &mut Vec<u8>) -> Result<(), Refused> {
    let metadata = ask.object("metadata").map_err(|error| invalid("metadata", error.to_string()))?.unwrap_or_default();
    let known = [("user", ask.raw("user")), ("safety_identifier", ask.raw("safety_identifier"))];
    let known = known.into_iter().chain([("metadata.user_id", metadata.raw("user_id"))]);
    let text = |raw: &[u8]| json::is_string(raw) && !json::is_empty(raw);
    let mut known = known.filter_map(|(param, raw)| Some((param, json::decoded(raw.filter(|raw| text(raw))?)?)));
    if let Some((param, id)) = known.next() {
        if id.contains('@') {
            desk.lose(param, "dropped");
        } else {
            json::key(out, "metadata");
            out.push(b'{');
            json::put_text(out, "user_id", &id);
            out.push(b'}');
        }
    }
    for (name, _) in metadata.members().filter(|(name, _)| *name != "user_id") {
        desk.lose(format!("metadata.{name}"), "dropped");
    }
    Ok(())
}
