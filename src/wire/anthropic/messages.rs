//! The conversation: roles made to alternate, tool results put where they belong, system texts taken out.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::content::{self, Path, Place, marker};
use super::desk::{Desk, call_id, invalid};
use super::json;
use super::marked::Marked;
use super::models::Thinks;
use super::replay::{self, Thought, Thread};
use super::rest;
use crate::wire::Object;
use crate::wire::native::Refused;

/// The conversation as it is sent.
#[derive(Default)]
pub(super) struct Conversation {
    /// Text blocks.
    pub(super) system: Marked,
    /// Messages.
    pub(super) turns: Marked,
    /// The tools that were called in it, as they are told to the API; empty names for results without a call.
    pub(super) called: Vec<String>,
    /// Whether the last answer called tools, and nothing is there of what the model thought before it did.
    pub(super) unsigned: bool,
    turn: Option<Turn>,
    /// Calls in the form of old, which have no ids.
    functions: usize,
}

/// The message that is being written.
#[derive(Clone, Copy)]
struct Turn {
    assistant: bool,
    /// Behind the last tool result.
    results: usize,
    /// Whether there is anything but results.
    others: bool,
}

/// Translate `messages`.
pub(super) fn translate(desk: &mut Desk<'_>, ask: &Object) -> Result<Conversation, Refused> {
    let messages = ask.objects("messages").map_err(|error| invalid("messages", error.to_string()))?;
    let mut conversation = Conversation::default();
    conversation.turns.out.reserve(ask.size() + 256);
    let role = |message: &Object| message.raw("role").and_then(json::decoded).map(Cow::into_owned);
    let said = |message: &Object| !matches!(message.raw("role"), Some(br#""system""# | br#""developer""#));
    let last = messages.iter().rposition(said);
    for (at, message) in messages.iter().enumerate() {
        let path = Path { message: at, part: None };
        match role(message).as_deref() {
            Some("system" | "developer") => conversation.system(desk, message, path)?,
            Some("user") => conversation.user(desk, message, path)?,
            Some("assistant") => conversation.assistant(desk, message, path, last == Some(at))?,
            Some("tool" | "function") => conversation.result(desk, message, path)?,
            Some(other) => {
                let message = format!("`{other}` is no role: it must be system, developer, user, assistant or tool");
                return Err(invalid(format!("{path}.role"), message));
            }
            None => return Err(invalid(format!("{path}.role"), "a message needs `role`, a string")),
        }
        rest::of_message(desk, message, path);
    }
    conversation.end();
    if conversation.turns.out.is_empty() {
        return Err(invalid("messages", "there is no message with content beside system messages"));
    }
    Ok(conversation)
}

impl Conversation {
    fn system(&mut self, desk: &mut Desk<'_>, message: &Object, path: Path) -> Result<(), Refused> {
        self.content(desk, message, path, Place::System)
    }

    fn user(&mut self, desk: &mut Desk<'_>, message: &Object, path: Path) -> Result<(), Refused> {
        let before = self.begin(false);
        self.content(desk, message, path, Place::User)?;
        self.wrote(before, true);
        Ok(())
    }

    /// The content of a message, which is a string or parts.
    fn content(&mut self, desk: &mut Desk<'_>, message: &Object, path: Path, place: Place) -> Result<(), Refused> {
        let out = if place == Place::System { &mut self.system } else { &mut self.turns };
        let from = out.out.len();
        match message.raw("content") {
            Some(text) if json::is_string(text) => _ = content::text(out, text, None),
            None | Some(b"null") => {}
            Some(_) => {
                for (at, part) in content::parts(message, path)?.iter().enumerate() {
                    content::part(desk, part, Path { part: Some(at), ..path }, place, out)?;
                }
            }
        }
        if let Some(marker) = marker(message).filter(|_| out.out.len() > from) {
            out.mark_last(marker);
        }
        Ok(())
    }

    fn assistant(&mut self, desk: &mut Desk<'_>, message: &Object, path: Path, last: bool) -> Result<(), Refused> {
        let list =
            |name: &str| message.objects(name).map_err(|error| invalid(format!("{path}.{name}"), error.to_string()));
        let (details, blocks) = (list("reasoning_details")?, list("thinking_blocks")?);
        let (parts, calls) = match message.raw("content") {
            Some([b'[', ..]) => (content::parts(message, path)?, list("tool_calls")?),
            _ => (Vec::new(), list("tool_calls")?),
        };
        let old = message
            .object("function_call")
            .map_err(|error| invalid(format!("{path}.function_call"), error.to_string()))?;
        let text = [message.raw("content"), message.raw("refusal").filter(|_| parts.is_empty())];
        let text = text.into_iter().flatten().find(|raw| json::is_string(raw) && !json::is_empty(raw));

        let thinks = desk.model.thinks != Thinks::Never;
        let placed: Vec<Thought<'_>> = parts.iter().filter_map(replay::of_part).collect();
        // thoughts among the parts have their places already
        let thoughts = if thinks && placed.is_empty() { replay::thoughts(&details, &blocks) } else { Vec::new() };
        let thinking = thinks && !(thoughts.is_empty() && placed.is_empty());
        let others = usize::from(text.is_some()) + parts.len() + calls.len() + usize::from(old.is_some());
        let mut thread = Thread::new(thoughts, others);

        let before = self.begin(true);
        let out = &mut self.turns;
        if let Some(text) = text {
            thread.before_another(out);
            if last && calls.is_empty() { prefill(out, text) } else { _ = content::text(out, text, None) }
        }
        for (at, part) in parts.iter().enumerate() {
            if let Some(thought) = replay::of_part(part) {
                if thinks {
                    thought.write(out);
                }
                continue;
            }
            if matches!(part.raw("type"), Some(br#""thinking""# | br#""redacted_thinking""#)) {
                continue; // not signed
            }
            thread.before_another(out);
            match part.raw("text").filter(|text| json::is_string(text)) {
                Some(text) if last && calls.is_empty() && at + 1 == parts.len() => prefill(out, text),
                _ => _ = content::part(desk, part, Path { part: Some(at), ..path }, Place::Assistant, out)?,
            }
        }
        if let Some(marker) = marker(message).filter(|_| calls.is_empty() && out.out.len() > before.0) {
            out.mark_last(marker);
        }
        for (at, call) in calls.iter().enumerate() {
            thread.before_another(out);
            let function = call.object("function")?.unwrap_or_default();
            let param = format!("{path}.tool_calls[{at}]");
            let id = call.raw("id").and_then(json::decoded).unwrap_or_default();
            self.called.push(used(desk, out, &id, &function, marker(call), &param)?);
        }
        if let Some(function) = &old {
            self.functions += 1;
            thread.before_another(out);
            let id = format!("call_{}", self.functions);
            self.called.push(used(desk, out, &id, function, None, &format!("{path}.function_call"))?);
        }
        let called = !calls.is_empty() || old.is_some();
        self.unsigned = called && !thinking;
        self.wrote(before, true);
        Ok(())
    }

    fn result(&mut self, desk: &mut Desk<'_>, message: &Object, path: Path) -> Result<(), Refused> {
        let id = message.raw("tool_call_id").and_then(json::decoded);
        let id = match id.filter(|id| !id.is_empty()) {
            Some(id) => id,
            None if message.raw("role") == Some(br#""function""#) => Cow::Owned(format!("call_{}", self.functions)),
            None => return Err(invalid(format!("{path}.tool_call_id"), "a tool message needs the id of its call")),
        };
        let before = self.begin(false);
        let from = self.turns.out.len();
        let out = &mut self.turns;
        json::comma(&mut out.out);
        out.out.extend_from_slice(br#"{"type":"tool_result""#);
        json::put_text(&mut out.out, "tool_use_id", &call_id(&id));
        match message.raw("content") {
            None | Some(b"null" | br#""""# | b"[]") => {}
            Some(text) if json::is_string(text) => json::put(&mut out.out, "content", text),
            Some(parts) if parts.starts_with(b"[") && content::parts(message, path).is_ok() => {
                json::key(&mut out.out, "content");
                out.out.push(b'[');
                for (at, part) in content::parts(message, path)?.iter().enumerate() {
                    content::part(desk, part, Path { part: Some(at), ..path }, Place::Result, out)?;
                }
                out.out.push(b']');
            }
            // results that are JSON and not a text of it
            Some(value) => {
                json::key(&mut out.out, "content");
                json::quoted(&mut out.out, value);
            }
        }
        if message.raw("is_error") == Some(b"true") {
            json::put(&mut out.out, "is_error", b"true");
        }
        content::close(out, marker(message));
        self.called.push(String::new());
        self.wrote(before, false);
        let turn = self.turn.as_mut().expect("a result has been written to it");
        if turn.others {
            // results come first, or they are refused
            turn.results = self.turns.move_back(from, turn.results);
        } else {
            turn.results = self.turns.out.len();
        }
        Ok(())
    }

    /// Make sure that the message being written is of this role; returns what to go back to if nothing is written.
    fn begin(&mut self, assistant: bool) -> (usize, Option<Turn>) {
        let before = self.turn;
        if before.is_none_or(|turn| turn.assistant != assistant) {
            let from = self.turns.out.len();
            self.close();
            let role = if assistant { "assistant" } else { "user" };
            json::comma(&mut self.turns.out);
            self.turns.out.extend_from_slice(format!(r#"{{"role":"{role}","content":["#).as_bytes());
            self.turn = Some(Turn { assistant, results: self.turns.out.len(), others: false });
            return (from, before);
        }
        (self.turns.out.len(), before)
    }

    /// What was begun has been written, or turned out to be nothing.
    fn wrote(&mut self, before: (usize, Option<Turn>), others: bool) {
        let same = before.1.is_some_and(|turn| self.turn.is_some_and(|now| now.assistant == turn.assistant));
        let nothing = if same { self.turns.out.len() == before.0 } else { self.turns.out.last() == Some(&b'[') };
        if nothing {
            self.turns.truncate(before.0);
            self.turn = before.1;
        } else if let Some(turn) = &mut self.turn {
            turn.others |= others;
        }
    }

    fn close(&mut self) {
        if self.turn.is_some() {
            self.turns.out.extend_from_slice(b"]}");
        }
    }

    fn end(&mut self) {
        self.close();
        self.turn = None;
    }
}

/// The beginning of the answer: it must not end in white space.
fn prefill(out: &mut Marked, text: &[u8]) {
    let Some(decoded) = json::decoded(text) else { return };
    let trimmed = decoded.trim_end();
    if trimmed.len() == decoded.len() {
        content::text(out, text, None);
    } else if !trimmed.is_empty() {
        let mut shorter = Vec::with_capacity(trimmed.len() + 2);
        json::text(&mut shorter, trimmed);
        content::text(out, &shorter, None);
    }
}

/// Write the call of a tool; returns the name it is told by.
fn used(
    desk: &mut Desk<'_>,
    out: &mut Marked,
    id: &str,
    function: &Object,
    marker: Option<&[u8]>,
    param: &str,
) -> Result<String, Refused> {
    let Some(name) = function.raw("name").and_then(json::decoded) else {
        // custom tools, which take no JSON
        return Err(Refused::Unsupported { param: param.to_owned() });
    };
    let told = desk.tool(&name).into_owned();
    json::comma(&mut out.out);
    out.out.extend_from_slice(br#"{"type":"tool_use""#);
    json::put_text(&mut out.out, "id", &call_id(id));
    json::put_text(&mut out.out, "name", &told);
    json::key(&mut out.out, "input");
    let arguments = function.raw("arguments").unwrap_or(b"{}");
    let text = json::decoded(arguments).filter(|_| json::is_string(arguments));
    let raw = text.as_deref().map_or(arguments, |text| text.trim().as_bytes());
    match serde_json::from_slice::<&RawValue>(raw) {
        Ok(object) if object.get().starts_with('{') => out.out.extend_from_slice(object.get().as_bytes()),
        _ if raw.is_empty() || raw == b"null" => out.out.extend_from_slice(b"{}"),
        // what the model wrote and what is no JSON goes back to it all the same
        _ => {
            desk.lose(format!("{param}.arguments"), "converted");
            out.out.extend_from_slice(br#"{"_raw":"#);
            json::text(&mut out.out, text.as_deref().unwrap_or_default());
            out.out.push(b'}');
        }
    }
    content::close(out, marker);
    Ok(told)
}
