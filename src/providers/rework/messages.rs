//! Changes of messages: roles, content, names.

use super::{given, invalid, is, json, object, text};
use crate::call::Error;
use crate::providers::spec::Notes;
use crate::wire::{Malformed, Object};

/// `developer` is `system` there.
pub fn developer_to_system(messages: &mut [Object]) -> Result<bool, Error> {
    Ok(set_roles(messages, |message| is(message, "role", r#""developer""#).then_some("system")))
}

/// Nobody but users and assistants speaks there.
pub fn system_to_user(messages: &mut [Object]) -> Result<bool, Error> {
    Ok(set_roles(messages, |message| has_role(message, &["system", "developer"]).then_some("user")))
}

fn set_roles(messages: &mut [Object], role: impl Fn(&Object) -> Option<&'static str>) -> bool {
    let mut changed = false;
    for message in messages {
        if let Some(role) = role(message) {
            message.set("role", &role);
            changed = true;
        }
    }
    changed
}

/// Content is one string there: parts that are all text are joined by line breaks. Other parts stay as they are.
pub fn flatten(messages: &mut [Object]) -> Result<bool, Error> {
    flatten_where(messages, |_| true)
}

/// As [`flatten`], for what tools, assistants and the system say: users may send parts.
pub fn flatten_all_but_user(messages: &mut [Object]) -> Result<bool, Error> {
    flatten_where(messages, |message| !has_role(message, &["user"]))
}

fn flatten_where(messages: &mut [Object], fits: impl Fn(&Object) -> bool) -> Result<bool, Error> {
    let mut changed = false;
    for message in messages {
        if fits(message)
            && let Some(joined) = joined(message)?
        {
            message.set("content", &joined);
            changed = true;
        }
    }
    Ok(changed)
}

/// The text of a message whose content is an array of nothing but text parts.
fn joined(message: &Object) -> Result<Option<String>, Malformed> {
    if !message.raw("content").is_some_and(|content| content.starts_with(b"[")) {
        return Ok(None);
    }
    let mut joined = String::new();
    for (at, part) in message.objects("content")?.iter().enumerate() {
        let Some(text) = is(part, "type", r#""text""#).then(|| text(part, "text")).flatten() else { return Ok(None) };
        if at > 0 {
            joined.push('\n');
        }
        joined.push_str(&text);
    }
    Ok(Some(joined))
}

/// An assistant that only calls tools has `content: null`, or none; there it must be a string.
pub fn empty_for_null(messages: &mut [Object]) -> Result<bool, Error> {
    let mut changed = false;
    for message in messages {
        if is(message, "role", r#""assistant""#) && !given(message, "content") {
            message.set("content", &"");
            changed = true;
        }
    }
    Ok(changed)
}

/// Messages have no `name` there.
pub fn no_names(messages: &mut [Object]) -> Result<bool, Error> {
    Ok(strip(messages, &["name"]))
}

/// What SDKs copy from an answer into the history, and strict servers refuse there.
pub fn no_answer_fields(messages: &mut [Object]) -> Result<bool, Error> {
    let mut changed = false;
    for message in messages {
        changed |= message.remove("annotations");
        for member in ["refusal", "audio", "function_call", "tool_calls"] {
            if message.has(member) && !given(message, member) {
                changed |= message.remove(member);
            }
        }
    }
    Ok(changed)
}

/// Calls of functions, and what these said, are those of tools there: the words that OpenAI had before are not known.
pub fn tools_for_functions(messages: &mut [Object]) -> Result<bool, Error> {
    let mut called = None;
    for (at, message) in messages.iter_mut().enumerate() {
        if given(message, "function_call") && !given(message, "tool_calls") {
            let (id, function) = (format!("call{at:05}"), message.raw("function_call").unwrap_or_default());
            let call = object(&[("id", &json(&id)), ("type", br#""function""#), ("function", function)]);
            message.remove("function_call");
            message.set_objects("tool_calls", &[Object::parse(call)?]);
            called = Some(id);
        } else if is(message, "role", r#""function""#)
            && let Some(id) = &called
        {
            message.set("role", &"tool");
            message.set("tool_call_id", id);
        }
    }
    Ok(called.is_some())
}

/// Messages have these members there, and no others.
pub fn known_members_only(messages: &mut [Object]) -> Result<bool, Error> {
    const KNOWN: &[&str] = &["role", "content", "tool_calls", "tool_call_id", "name", "prefix"];
    let mut changed = false;
    for message in messages {
        changed |= !message.retain(|name| KNOWN.contains(&name)).is_empty();
        if message.has("tool_calls") && !given(message, "tool_calls") {
            changed |= message.remove("tool_calls");
        }
    }
    Ok(changed)
}

/// Marks of what is worth caching mean nothing there.
pub fn no_cache_marks(messages: &mut [Object]) -> Result<bool, Error> {
    const MARKS: &[&str] = &["cache_control", "prompt_cache_breakpoint"];
    let mut changed = strip(messages, MARKS);
    for message in messages {
        if !message.raw("content").is_some_and(|content| content.starts_with(b"[")) {
            continue;
        }
        let mut parts = message.objects("content")?;
        if strip(&mut parts, MARKS) {
            message.set_objects("content", &parts);
            changed = true;
        }
    }
    Ok(changed)
}

/// Remove members; returns whether any was there.
pub(super) fn strip(items: &mut [Object], members: &[&str]) -> bool {
    let mut changed = false;
    for item in items {
        for member in members {
            changed |= item.remove(member);
        }
    }
    changed
}

pub(super) fn has_role(message: &Object, roles: &[&str]) -> bool {
    roles
        .iter()
        .any(|role| message.raw("role").is_some_and(|raw| raw[1..].strip_suffix(b"\"") == Some(role.as_bytes())))
}

/// Images are sent as data there: an address is refused, because nobody would fetch it.
pub fn inline_images(messages: &mut [Object]) -> Result<bool, Error> {
    for (at, message) in messages.iter().enumerate() {
        if !message.raw("content").is_some_and(|content| content.starts_with(b"[")) {
            continue;
        }
        for (nth, part) in message.objects("content")?.iter().enumerate() {
            if !is(part, "type", r#""image_url""#) {
                continue;
            }
            let url = match part.raw("image_url") {
                Some(raw) if raw.starts_with(b"\"") => text(part, "image_url"),
                _ => part.object("image_url")?.and_then(|image| text(&image, "url")),
            };
            if url.is_some_and(|url| !url.starts_with("data:")) {
                return Err(invalid(
                    format!("messages[{at}].content[{nth}].image_url"),
                    "this provider takes images only as data, and fetching is for http(s) addresses: send a `data:` URL",
                ));
            }
        }
    }
    Ok(false)
}

/// An optional system message, then user and assistant by turns, the user last: what Perplexity's search needs. Later
/// system messages move to the front, what tools say is said by the user, a leading assistant is left out.
/// Fails if the assistant has the last word.
pub fn alternate(body: &mut Object, notes: &mut Notes<'_>) -> Result<(), Error> {
    let messages = body.objects("messages")?;
    let mut system: Option<Object> = None;
    let mut turns: Vec<Object> = Vec::with_capacity(messages.len());
    let mut changed = false;
    for (at, mut message) in messages.into_iter().enumerate() {
        let role = match () {
            () if has_role(&message, &["system", "developer"]) => "system",
            () if has_role(&message, &["assistant"]) => "assistant",
            () => "user",
        };
        if !has_role(&message, &[role]) {
            message.set("role", &role);
            changed = true;
        }
        changed |= !message.retain(|name| matches!(name, "role" | "content")).is_empty();
        if !given(&message, "content") {
            message.set("content", &"");
            changed = true;
        }
        let before = match role {
            "system" => system.as_mut(),
            _ => turns.last_mut().filter(|last| has_role(last, &[role])),
        };
        if let Some(before) = before {
            join(before, &message)?;
            changed = true;
        } else if role == "system" {
            changed |= at > 0;
            system = Some(message);
        } else if role == "assistant" && turns.is_empty() {
            notes.warn(&format!("messages[{at}]"), "dropped");
            changed = true;
        } else {
            turns.push(message);
        }
    }
    if turns.last().is_some_and(|last| has_role(last, &["assistant"])) {
        return Err(invalid(
            "messages",
            "the last message must be the user's: this provider does not continue an assistant's",
        ));
    }
    if changed {
        turns.splice(0..0, system);
        body.set_objects("messages", &turns);
    }
    Ok(())
}

/// Append the content of one message to another one's.
fn join(first: &mut Object, second: &Object) -> Result<(), Malformed> {
    if let (Some(a), Some(b)) = (text(first, "content"), text(second, "content")) {
        let gap = if a.is_empty() || b.is_empty() { "" } else { "\n\n" };
        first.set("content", &format!("{a}{gap}{b}"));
        return Ok(());
    }
    let mut parts = parts(first)?;
    parts.extend(self::parts(second)?);
    first.set_objects("content", &parts);
    Ok(())
}

fn parts(message: &Object) -> Result<Vec<Object>, Malformed> {
    match text(message, "content") {
        Some(text) if text.is_empty() => Ok(Vec::new()),
        Some(text) => Ok(vec![Object::parse(object(&[("type", br#""text""#), ("text", &json(&text))]))?]),
        None => message.objects("content"),
    }
}
