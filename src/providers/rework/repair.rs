//! Histories that vendors refuse, made whole where the configuration asks for it: tool calls without a result or with one
//! that comes too late, and the messages some vendors insist on. Each of these is named to the caller.

use std::collections::{HashMap, HashSet};

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

/// Add what is missing, and move results up to their calls.
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

/// A call, and where its result is among the messages.
struct Asked {
    id: String,
    at: usize,
    place: String,
    result: Option<usize>,
}

/// All calls in their order. A result is that of the last call before it that has its id.
fn asked(given: &[Object]) -> Result<Vec<Asked>, Error> {
    let mut all: Vec<Asked> = Vec::new();
    let mut last: HashMap<String, usize> = HashMap::new();
    for (at, message) in given.iter().enumerate() {
        match text(message, "role").as_deref() {
            Some("assistant") if message.raw("tool_calls").is_some_and(|calls| calls.starts_with(b"[")) => {
                for (call, made) in message.objects("tool_calls")?.iter().enumerate() {
                    let Some(id) = text(made, "id") else { continue };
                    if last.get(&id).is_some_and(|&known| all[known].at == at) {
                        continue;
                    }
                    last.insert(id.clone(), all.len());
                    all.push(Asked { id, at, place: format!("messages[{at}].tool_calls[{call}]"), result: None });
                }
            }
            Some("tool") => {
                let id = text(message, "tool_call_id").unwrap_or_default();
                if let Some(&call) = last.get(&id) {
                    all[call].result.get_or_insert(at);
                }
            }
            _ => {}
        }
    }
    Ok(all)
}

fn messages(body: &mut Object, insists: Insists, notes: &mut Notes<'_>) -> Result<(), Error> {
    let given = body.objects("messages")?;
    let mut asked = asked(&given)?.into_iter().peekable();
    let mut whole: Vec<Object> = Vec::with_capacity(given.len() + 2);
    // calls whose results may still follow
    let mut open: Vec<Asked> = Vec::new();
    let mut moved: HashSet<usize> = HashSet::new();
    let (mut begun, mut after_tool) = (false, false);
    for (at, message) in given.iter().enumerate() {
        if moved.contains(&at) {
            continue;
        }
        let role = text(message, "role").unwrap_or_default();
        if role != "tool" {
            after_tool |= answer(&mut open, at, (&given, &mut whole), &mut moved, notes);
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
            _ => {}
        }
        begun |= !matches!(role.as_str(), "system" | "developer");
        after_tool = role == "tool";
        whole.push(message.clone());
        while let Some(call) = asked.next_if(|call| call.at == at) {
            open.push(call);
        }
    }
    answer(&mut open, given.len(), (&given, &mut whole), &mut moved, notes);
    if whole.len() > given.len() || !moved.is_empty() {
        body.set_objects("messages", &whole);
    }
    Ok(())
}

/// Give calls whose results do not stand before the message `at` the result that comes later, or else one that is made
/// up; says whether there were any.
fn answer(
    open: &mut Vec<Asked>,
    at: usize,
    (given, whole): (&[Object], &mut Vec<Object>),
    moved: &mut HashSet<usize>,
    notes: &mut Notes<'_>,
) -> bool {
    let mut any = false;
    for call in open.drain(..) {
        match call.result {
            Some(result) if result < at => continue,
            Some(result) => {
                whole.push(given[result].clone());
                moved.insert(result);
                notes.warn(&format!("messages[{result}]"), "moved");
            }
            None => {
                let mut result = said("tool", RESULT);
                result.set_text("tool_call_id", &call.id);
                whole.push(result);
                notes.warn(&call.place, "answered");
            }
        }
        any = true;
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
