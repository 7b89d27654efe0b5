//! The messages of an OpenAI chat body as Cohere's.

use bytes::{BufMut, Bytes, BytesMut};

use super::FORMAT;
use crate::wire::native::{Loss, Refused, invalid};
use crate::wire::{Malformed, Object};

/// The array of messages. With `thoughts`, those of earlier turns are sent back. Fails on content that Cohere has no word
/// for.
pub(super) fn messages(ask: &Object, thoughts: bool, losses: &mut Vec<Loss>) -> Result<Bytes, Refused> {
    let messages = ask.objects("messages")?;
    let mut out = BytesMut::with_capacity(ask.raw("messages").map_or(0, <[u8]>::len) + 64);
    out.put_u8(b'[');
    // the older form has no ids: a result belongs to the call before it
    let mut called = String::new();
    for (at, message) in messages.iter().enumerate() {
        if at > 0 {
            out.put_u8(b',');
        }
        let one = Message { at, message };
        if message.raw("name").is_some_and(|name| name != b"null") && message.raw("role") != Some(br#""function""#) {
            losses.push(Loss { param: format!("messages[{at}].name"), action: "dropped" });
        }
        match message.get::<String>("role")?.as_deref() {
            Some("system" | "developer") => one.plain("system", &mut out)?,
            Some("user") => one.plain("user", &mut out)?,
            Some("assistant") => one.assistant(thoughts, &mut called, &mut out)?,
            Some("tool") => one.result(message.raw("tool_call_id").unwrap_or(b"null"), &mut out)?,
            Some("function") => one.result(&json(&called), &mut out)?,
            _ => {
                let message = "the role must be system, developer, user, assistant or tool";
                return Err(invalid(format!("messages[{at}].role"), message));
            }
        }
    }
    out.put_u8(b']');
    Ok(out.freeze())
}

struct Message<'a> {
    at: usize,
    message: &'a Object,
}

impl Message<'_> {
    fn plain(&self, role: &'static str, out: &mut BytesMut) -> Result<(), Refused> {
        out.put_slice(b"{\"role\":\"");
        out.put_slice(role.as_bytes());
        out.put_slice(b"\",\"content\":");
        self.content(role == "user", out)?;
        out.put_u8(b'}');
        Ok(())
    }

    fn result(&self, id: &[u8], out: &mut BytesMut) -> Result<(), Refused> {
        out.put_slice(b"{\"role\":\"tool\",\"tool_call_id\":");
        out.put_slice(id);
        out.put_slice(b",\"content\":");
        self.content(false, out)?;
        out.put_u8(b'}');
        Ok(())
    }

    /// A text as it came, or parts that are told again without what is not known there.
    fn content(&self, images: bool, out: &mut BytesMut) -> Result<(), Refused> {
        match self.message.raw("content") {
            None | Some(b"null") => out.put_slice(b"\"\""),
            Some(text @ [b'"', ..]) => out.put_slice(text),
            Some(_) => {
                out.put_u8(b'[');
                for (at, part) in self.message.objects("content")?.iter().enumerate() {
                    if at > 0 {
                        out.put_u8(b',');
                    }
                    self.part(at, part, images, out)?;
                }
                out.put_u8(b']');
            }
        }
        Ok(())
    }

    fn part(&self, at: usize, part: &Object, images: bool, out: &mut BytesMut) -> Result<(), Refused> {
        let path = || format!("messages[{}].content[{at}]", self.at);
        let missing = |member: &str| invalid(format!("{}.{member}", path()), "missing");
        match part.get::<String>("type")?.as_deref() {
            Some("text") => {
                out.put_slice(br#"{"type":"text","text":"#);
                out.put_slice(part.raw("text").ok_or_else(|| missing("text"))?);
            }
            Some("image_url") if images => {
                out.put_slice(br#"{"type":"image_url","image_url":"#);
                let url = part.raw("image_url").ok_or_else(|| missing("image_url"))?;
                match url.first() {
                    Some(b'"') => {
                        out.put_slice(b"{\"url\":");
                        out.put_slice(url);
                        out.put_u8(b'}');
                    }
                    _ => out.put_slice(url),
                }
            }
            Some("document") if !images => {
                out.put_slice(br#"{"type":"document","document":"#);
                out.put_slice(part.raw("document").ok_or_else(|| missing("document"))?);
            }
            _ => return Err(Refused::Unsupported { param: path() }),
        }
        out.put_u8(b'}');
        Ok(())
    }

    /// What the model said before: text that stands before calls of tools is its plan.
    fn assistant(&self, thoughts: bool, called: &mut String, out: &mut BytesMut) -> Result<(), Refused> {
        let text = self.text()?;
        let calls = self.calls(called)?;
        let thought = Thoughts::of(self.message)?;
        let (thinking, plan) = match thoughts {
            true => (thought.thinking, thought.plan),
            false => (None, thought.plan.or(thought.thinking)),
        };
        out.put_slice(b"{\"role\":\"assistant\"");
        if thinking.is_some() || calls.is_none() {
            out.put_slice(b",\"content\":[");
            if let Some(thinking) = &thinking {
                out.put_slice(br#"{"type":"thinking","thinking":"#);
                out.put_slice(&json(thinking));
                out.put_slice(b"},");
            }
            if calls.is_none() {
                out.put_slice(br#"{"type":"text","text":"#);
                out.put_slice(&json(text.as_deref().unwrap_or_default()));
                out.put_slice(b"},");
            }
            out.truncate(out.len() - 1);
            out.put_u8(b']');
        }
        if let Some(calls) = calls {
            if let Some(plan) = text.or(plan) {
                out.put_slice(b",\"tool_plan\":");
                out.put_slice(&json(&plan));
            }
            out.put_slice(b",\"tool_calls\":");
            out.put_slice(&calls);
        }
        out.put_u8(b'}');
        Ok(())
    }

    /// All text of the content, or of the refusal that stands in its place.
    fn text(&self) -> Result<Option<String>, Refused> {
        let text = match self.message.raw("content") {
            None | Some(b"null") => self.message.get("refusal")?,
            Some([b'"', ..]) => self.message.get("content")?,
            Some(_) => {
                let mut all = String::new();
                for (at, part) in self.message.objects("content")?.iter().enumerate() {
                    match part.get::<String>("type")?.as_deref() {
                        Some("text") => all.push_str(&part.get::<String>("text")?.unwrap_or_default()),
                        Some("refusal") => all.push_str(&part.get::<String>("refusal")?.unwrap_or_default()),
                        Some("thinking" | "redacted_thinking") => {}
                        _ => {
                            let param = format!("messages[{}].content[{at}]", self.at);
                            return Err(Refused::Unsupported { param });
                        }
                    }
                }
                Some(all)
            }
        };
        Ok(text.filter(|text: &String| !text.is_empty()))
    }

    fn calls(&self, called: &mut String) -> Result<Option<Bytes>, Refused> {
        let mut out = BytesMut::from(&b"["[..]);
        for (at, call) in self.message.objects("tool_calls")?.iter().enumerate() {
            let Some(function) = call.object("function")? else {
                return Err(Refused::Unsupported { param: format!("messages[{}].tool_calls[{at}]", self.at) });
            };
            one_call(call.raw("id").unwrap_or(b"null"), &function, &mut out);
        }
        if let Some(function) = self.message.object("function_call")? {
            *called = format!("call_{}", self.at);
            one_call(&json(called), &function, &mut out);
        }
        if out.len() == 1 {
            return Ok(None);
        }
        out.truncate(out.len() - 1);
        out.put_u8(b']');
        Ok(Some(out.freeze()))
    }
}

fn one_call(id: &[u8], function: &Object, out: &mut BytesMut) {
    let given = |name: &str| function.raw(name).filter(|raw| !matches!(*raw, b"null" | b"\"\""));
    for piece in [
        &b"{\"id\":"[..],
        id,
        br#","type":"function","function":{"name":"#,
        given("name").unwrap_or(b"\"\""),
        b",\"arguments\":",
        given("arguments").unwrap_or(b"\"{}\""),
        b"}},",
    ] {
        out.put_slice(piece);
    }
}

/// What an earlier answer thought, in any of the ways in which callers keep it.
#[derive(Default)]
struct Thoughts {
    thinking: Option<String>,
    plan: Option<String>,
}

impl Thoughts {
    fn of(message: &Object) -> Result<Self, Malformed> {
        let mut found = Self::default();
        for item in message.objects("reasoning_details")? {
            let format: Option<String> = item.get("format")?;
            let strange = format.is_some_and(|format| format != FORMAT);
            match item.get::<String>("type")?.as_deref() {
                Some("reasoning.text") if !strange => add(&mut found.thinking, item.get("text")?),
                Some("reasoning.summary") if !strange => add(&mut found.plan, item.get("summary")?),
                _ => {}
            }
        }
        if found.thinking.is_none() && found.plan.is_none() {
            for block in message.objects("thinking_blocks")? {
                add(&mut found.thinking, block.get("thinking")?);
            }
        }
        if found.thinking.is_none() && found.plan.is_none() && matches!(message.raw("content"), Some([b'[', ..])) {
            for part in message.objects("content")? {
                add(&mut found.thinking, part.get("thinking")?);
            }
        }
        if found.thinking.is_none() && found.plan.is_none() {
            let plain = message.get::<String>("reasoning_content")?;
            found.thinking = plain.or(message.get("reasoning").ok().flatten()).filter(|text| !text.is_empty());
        }
        Ok(found)
    }
}

fn add(to: &mut Option<String>, text: Option<String>) {
    if let Some(text) = text.filter(|text| !text.is_empty()) {
        to.get_or_insert_default().push_str(&text);
    }
}

fn json(text: &str) -> Vec<u8> {
    serde_json::to_vec(text).expect("a string always encodes")
}
