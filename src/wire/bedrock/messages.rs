//! The conversation: system texts beside it, and turns that alternate, as Converse wants them.

use super::json::{self, Json, Members, invalid};
use super::parts::{self, Block};
use super::reasoning;
use super::scene::Scene;
use super::tools;
use crate::wire::native::Refused;
use crate::wire::native::params::OF_MESSAGES;

/// What stands where Converse demands a text and there is none.
const PLACEHOLDER: &str = r#"{"text":"."}"#;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    User,
    Assistant,
}

/// Turns being written: neighbours of one role become one.
struct Turns<'t> {
    out: &'t mut Json,
    role: Option<Role>,
    /// Blocks the first turn begins with, where the model has no place for system texts.
    lead: Json,
    has_document: bool,
    has_text: bool,
}

impl Turns<'_> {
    /// Where the next block of this role goes.
    fn block(&mut self, role: Role) -> &mut Json {
        if self.role == Some(role) {
            return self.out;
        }
        if self.role.is_none() && (role == Role::Assistant || !self.lead.is_empty()) {
            // the user begins
            self.begin(Role::User);
            let lead = std::mem::take(&mut self.lead);
            if lead.is_empty() { self.out.item(PLACEHOLDER) } else { self.out.item(lead.0) }
        }
        if self.role != Some(role) {
            self.end();
            self.begin(role);
        }
        self.out
    }

    fn begin(&mut self, role: Role) {
        self.role = Some(role);
        self.out.open(b'{');
        self.out.member("role", if role == Role::User { r#""user""# } else { r#""assistant""# });
        self.out.name("content");
        self.out.open(b'[');
        (self.has_document, self.has_text) = (false, false);
    }

    fn end(&mut self) {
        if self.role.is_some() {
            if self.has_document && !self.has_text {
                self.out.item(PLACEHOLDER);
            }
            self.out.close(b']');
            self.out.close(b'}');
        }
    }

    fn add(&mut self, role: Role, block: &Block<'_>, scene: &mut Scene) {
        block.write(self.block(role), &mut scene.names);
        self.has_document |= matches!(block, Block::Document { .. });
        self.has_text |= matches!(block, Block::Text(_));
    }

    fn say(&mut self, role: Role, text: &str) {
        let out = self.block(role);
        out.open(b'{');
        out.member_text("text", text);
        out.close(b'}');
        self.has_text = true;
    }
}

/// Whether a role is the operator's voice.
fn leads(role: &str) -> bool {
    matches!(role, "system" | "developer")
}

/// Write the system texts, as blocks with commas; `hints` are ours.
pub(super) fn system(messages: &[Members<'_>], hints: &[String], scene: &mut Scene) -> Result<Json, Refused> {
    let mut out = Json::default();
    for (at, message) in messages.iter().enumerate() {
        if !message.text("role").is_some_and(|role| leads(&role)) {
            continue;
        }
        let (before, mut marked) = (out.0.len(), false);
        for (part, mark) in content(message, at, scene)? {
            match part {
                Some(block @ (Block::Text(_) | Block::Own("guardContent", _))) => {
                    block.write(&mut out, &mut scene.names);
                }
                Some(_) => return Err(Refused::Unsupported { param: format!("messages[{at}].content") }),
                None => {}
            }
            marked = mark.is_some();
            if let Some(point) = mark.filter(|_| !out.is_empty()) {
                out.item(point);
            }
        }
        if out.0.len() > before
            && !marked
            && let Some(point) = scene.mark(message)
        {
            out.item(point);
        }
    }
    for hint in hints {
        out.open(b'{');
        out.member_text("text", hint);
        out.close(b'}');
    }
    Ok(out)
}

/// Write the turns. `system` goes before them where the model has no other place for it; a mark on the whole request
/// goes behind them.
pub(super) fn turns(
    messages: &[Members<'_>],
    system: Option<Json>,
    whole: Option<&str>,
    scene: &mut Scene,
    out: &mut Json,
) -> Result<(), Refused> {
    let lead = system.unwrap_or_default();
    let mut turns = Turns { out, role: None, lead, has_document: false, has_text: false };
    for (at, message) in messages.iter().enumerate() {
        let role = message.text("role");
        let role = role.as_deref().ok_or_else(|| invalid(format!("messages[{at}].role"), "missing"))?;
        strangers(message, at, role, scene);
        match role {
            role if leads(role) => continue,
            "user" => user(&mut turns, message, at, scene)?,
            "assistant" => assistant(&mut turns, message, at, at + 1 == messages.len(), scene)?,
            "tool" | "function" => result(&mut turns, message, at, scene)?,
            _ => {
                let roles = "must be system, developer, user, assistant or tool";
                return Err(invalid(format!("messages[{at}].role"), roles));
            }
        }
    }
    if turns.role.is_none() {
        turns.block(Role::User);
        if turns.out.0.ends_with(b"[") {
            turns.out.item(PLACEHOLDER);
        }
    }
    if let Some(point) = whole.and_then(|control| scene.point(control)) {
        turns.out.item(point);
    }
    turns.end();
    Ok(())
}

/// Members of a message that Converse has no word for.
fn strangers(message: &Members<'_>, at: usize, role: &str, scene: &mut Scene) {
    for (name, value) in message.iter() {
        let of_result = name == "name" && matches!(role, "tool" | "function");
        let idle = matches!(value, "null" | "[]" | "{}");
        if !(idle || of_result || OF_MESSAGES.contains(&name) || name == "prefix") {
            scene.lose(format!("messages[{at}].{name}"), "dropped");
        }
    }
}

type Marked<'a> = (Option<Block<'a>>, Option<&'static str>);

/// The parts of a message's content, each with the cache point behind it.
fn content<'a>(message: &Members<'a>, at: usize, scene: &mut Scene) -> Result<Vec<Marked<'a>>, Refused> {
    let Some(content) = message.raw("content") else { return Ok(Vec::new()) };
    if content.starts_with('"') {
        return Ok(vec![(Some(Block::Text(content)).filter(|_| !json::blank(content)), None)]);
    }
    let wrong = || invalid(format!("messages[{at}].content"), "must be a text or an array of parts");
    let list: Vec<Members<'a>> = json::parse(content).map_err(|_| wrong())?;
    list.iter()
        .enumerate()
        .map(|(place, part)| {
            let block = parts::read(part, &scene.model, &|| format!("messages[{at}].content[{place}]"))?;
            let mark = if block.is_some() { scene.mark(part) } else { None };
            Ok((block, mark))
        })
        .collect()
}

fn user(turns: &mut Turns<'_>, message: &Members<'_>, at: usize, scene: &mut Scene) -> Result<(), Refused> {
    let (mut said, mut marked) = (false, false);
    for (block, mark) in content(message, at, scene)? {
        if let Some(block) = block {
            turns.add(Role::User, &block, scene);
            said = true;
        }
        marked = mark.is_some();
        if let Some(point) = mark {
            turns.block(Role::User).item(point);
        }
    }
    if said
        && !marked
        && let Some(point) = scene.mark(message)
    {
        turns.block(Role::User).item(point);
    }
    Ok(())
}

fn assistant(
    turns: &mut Turns<'_>,
    message: &Members<'_>,
    at: usize,
    last: bool,
    scene: &mut Scene,
) -> Result<(), Refused> {
    let (mut said, mut marked) = (false, false);
    for thought in reasoning::replay(message, &scene.model) {
        thought.write(turns.block(Role::Assistant));
        said = true;
    }
    let calls = tools::calls(message, at)?;
    for (block, mark) in content(message, at, scene)? {
        match block {
            // an answer that shall be continued may not end in white space
            Some(Block::Text(text)) if last && calls.is_empty() => {
                let text = json::text(text).unwrap_or_default();
                turns.say(Role::Assistant, text.trim_end());
            }
            Some(block @ Block::Text(_)) => turns.add(Role::Assistant, &block, scene),
            // pictures that a model has drawn are no part of what it is told
            Some(Block::Media("image", ..)) => scene.lose(format!("messages[{at}].content"), "dropped"),
            Some(_) => return Err(Refused::Unsupported { param: format!("messages[{at}].content") }),
            None => continue,
        }
        said = true;
        marked = mark.is_some();
        if let Some(point) = mark {
            turns.block(Role::Assistant).item(point);
        }
    }
    if let Some(refusal) = message.raw("refusal").filter(|text| text.starts_with('"') && !json::blank(text)) {
        turns.add(Role::Assistant, &Block::Text(refusal), scene);
        said = true;
    }
    for call in &calls {
        if scene.flat {
            turns.say(Role::Assistant, &call.told());
        } else {
            call.write(turns.block(Role::Assistant), at, scene);
        }
        (said, marked) = (true, false);
    }
    if said
        && !marked
        && let Some(point) = scene.mark(message)
    {
        turns.block(Role::Assistant).item(point);
    }
    Ok(())
}

/// A tool's result: a block of the user's turn.
fn result(turns: &mut Turns<'_>, message: &Members<'_>, at: usize, scene: &mut Scene) -> Result<(), Refused> {
    // the old form has the function's name and no id
    let id = message.text("tool_call_id").or_else(|| message.text("name"));
    let id = id.ok_or_else(|| invalid(format!("messages[{at}].tool_call_id"), "missing"))?;
    let parts = content(message, at, scene)?;
    if scene.flat {
        turns.say(Role::User, &format!("Result of the tool call {id}:"));
        for (block, _) in parts {
            if let Some(block) = block {
                turns.add(Role::User, &block, scene);
            }
        }
        return Ok(());
    }
    let object = match &parts[..] {
        [(Some(Block::Text(text)), _)] => json::text(text).filter(|text| tools::is_object(text)),
        _ => None,
    };
    let out = turns.block(Role::User);
    out.open(b'{');
    out.name("toolResult");
    out.open(b'{');
    out.member_text("toolUseId", &tools::id(&id, &scene.model));
    out.name("content");
    out.open(b'[');
    match object {
        Some(object) => {
            out.open(b'{');
            out.member("json", &object);
            out.close(b'}');
        }
        None => {
            for (block, _) in parts.iter() {
                match block {
                    Some(Block::Media("audio", ..) | Block::Own("guardContent" | "cachePoint", _)) => {
                        return Err(Refused::Unsupported { param: format!("messages[{at}].content") });
                    }
                    Some(block) => block.write(out, &mut scene.names),
                    None => {}
                }
            }
            if out.0.ends_with(b"[") {
                out.item(PLACEHOLDER);
            }
        }
    }
    out.close(b']');
    if message.raw("is_error") == Some("true") {
        out.member("status", r#""error""#);
    }
    out.close(b'}');
    out.close(b'}');
    let mark = parts.iter().find_map(|(_, mark)| *mark).or_else(|| scene.mark(message));
    if let Some(point) = mark {
        turns.block(Role::User).item(point);
    }
    Ok(())
}
