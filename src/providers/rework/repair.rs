//! Histories that vendors refuse, made whole where the configuration asks for it: tool calls without a result, and the
//! messages some vendors insist on. Each of these is named to the caller.

use super::text;
use crate::call::{Error, Op};
use crate::providers::spec::Notes;
use crate::wire::Object;

/// What stands for a result that nobody gave.
const RESULT: &str = "no result was provided";

/// What a vendor insists on beside results.
#[derive(Clone, Copy, Debug, Default)]
pub struct Insists {
    /// The first message after those of the system is a user's.
    pub user_first: bool,
    /// A result is followed by the assistant before a user speaks.
    pub reply_after_tool: bool,
}

/// Add what is missing.
///
/// # Errors
/// The messages are no objects.
pub fn history(op: Op, body: &mut Object, insists: Insists, notes: &mut Notes<'_>) -> Result<(), Error> {
    match op {
        Op::Chat => messages(body, insists, notes),
        Op::Respond if body.raw("input").is_some_and(|input| input.starts_with(b"[")) => items(body, notes),
        _ => Ok(()),
    }
}

/// A message with a role and a text.
fn said(role: &'static str, content: &str) -> Object {
    let mut message = Object::default();
    message.set_text("role", role);
    message.set_text("content", content);
    message
}

fn messages(body: &mut Object, insists: Insists, notes: &mut Notes<'_>) -> Result<(), Error> {
    let given = body.objects("messages")?;
    let count = given.len();
    let mut whole: Vec<Object> = Vec::with_capacity(count + 2);
    // calls without a result so far, each with its place
    let mut open: Vec<(String, String)> = Vec::new();
    let (mut begun, mut after_tool) = (false, false);
    for (at, message) in given.into_iter().enumerate() {
        let role = text(&message, "role").unwrap_or_default();
        if role != "tool" {
            after_tool |= answer(&mut open, &mut whole, notes);
        }
        match role.as_str() {
            "assistant" if insists.user_first && !begun => {
                whole.push(said("user", "(conversation continues)"));
                notes.warn(&format!("messages[{at}]"), "preceded");
            }
            "user" if insists.reply_after_tool && after_tool => {
                whole.push(said("assistant", "Noted."));
                notes.warn(&format!("messages[{at}]"), "preceded");
            }
            "tool" => {
                let id = text(&message, "tool_call_id").unwrap_or_default();
                open.retain(|(call, _)| *call != id);
            }
            _ => {}
        }
        begun |= !matches!(role.as_str(), "system" | "developer");
        after_tool = role == "tool";
        if role == "assistant" && message.raw("tool_calls").is_some_and(|calls| calls.starts_with(b"[")) {
            for (call, made) in message.objects("tool_calls")?.iter().enumerate() {
                open.extend(text(made, "id").map(|id| (id, format!("messages[{at}].tool_calls[{call}]"))));
            }
        }
        whole.push(message);
    }
    answer(&mut open, &mut whole, notes);
    if whole.len() > count {
        body.set_objects("messages", &whole);
    }
    Ok(())
}

/// Give calls a result; says whether there were any.
fn answer(open: &mut Vec<(String, String)>, whole: &mut Vec<Object>, notes: &mut Notes<'_>) -> bool {
    let any = !open.is_empty();
    for (id, place) in open.drain(..) {
        let mut result = said("tool", RESULT);
        result.set_text("tool_call_id", &id);
        whole.push(result);
        notes.warn(&place, "answered");
    }
    any
}

/// The same for the items of a response: a result is an item of its own, and may come at any later place.
fn items(body: &mut Object, notes: &mut Notes<'_>) -> Result<(), Error> {
    const RESULTS: [(&str, &str); 2] =
        [("function_call", "function_call_output"), ("custom_tool_call", "custom_tool_call_output")];
    let given = body.objects("input")?;
    let is = |item: &Object, kind: &str| super::is(item, "type", &format!("\"{kind}\""));
    let answers = |item: &Object, kind: &str, id: &str| is(item, kind) && text(item, "call_id").as_deref() == Some(id);
    let mut whole = Vec::with_capacity(given.len() + 1);
    for (at, item) in given.iter().enumerate() {
        whole.push(item.clone());
        let Some((_, kind)) = RESULTS.iter().find(|(call, _)| is(item, call)) else { continue };
        let Some(id) = text(item, "call_id") else { continue };
        if !given[at..].iter().any(|later| answers(later, kind, &id)) {
            let mut result = Object::default();
            result.set_text("type", kind);
            result.set_text("call_id", &id);
            result.set_text("output", RESULT);
            whole.push(result);
            notes.warn(&format!("input[{at}]"), "answered");
        }
    }
    if whole.len() > given.len() {
        body.set_objects("input", &whole);
    }
    Ok(())
}

/// What vendors say of histories that this would make whole, lower case.
const COMPLAINTS: [&str; 9] = [
    // OpenAI, and those who speak as it does
    "must be followed by tool messages",
    "no tool output found for",
    // Anthropic
    "without `tool_result` blocks",
    "first message must use the \"user\" role",
    // Bedrock
    "expected toolresult blocks",
    "conversation must start with a user message",
    // Gemini
    "number of function response parts",
    // Mistral
    "not the same number of function calls and responses",
    "unexpected role 'user' after role 'tool'",
];

/// Whether a refusal is about such a history.
pub fn is_about(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    COMPLAINTS.iter().any(|words| message.contains(words))
}
