//! A chat as the input of a prediction.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::model::{Input, Inputs, Kind};
use super::params::{self, Sheet};
use crate::wire::native::{Back, Loss, Refused, Request, Terms, invalid};
use crate::wire::{Malformed, Object};

/// Inputs that take pictures: their addresses, or data URLs.
const IMAGES: &[&str] = &["image", "image_input", "images"];

/// A paragraph's end, as it is written in JSON.
const PARAGRAPH: &[u8] = br"\n\n";

/// What a prediction of this model is made with. `inputs` is what the model takes, if that is known, `version` what the
/// body has to name where the address does not name a model.
///
/// A conversation goes as `messages` where the model has such an input; else as one `prompt`, with what the system says
/// in `system_prompt` where there is one. Fails on content that the model has no input for, calls of tools among it.
pub fn request(
    ask: &Object,
    terms: &Terms<'_>,
    inputs: Option<&Inputs>,
    version: Option<&str>,
) -> Result<Request, Refused> {
    let mut losses = Vec::new();
    let talk = Talk::read(ask, &mut losses)?;
    let mut sheet = Sheet::with_capacity(ask.size());
    match inputs.and_then(|inputs| inputs.get("messages")) {
        Some(input) => talk.as_messages(ask, input, &mut sheet)?,
        None => talk.as_prompt(inputs, &mut sheet)?,
    }
    params::carry(ask, inputs, &mut sheet, &mut losses);
    let mut body = Vec::with_capacity(sheet.len() + 128);
    body.push(b'{');
    if let Some(version) = version {
        body.extend_from_slice(br#""version":"#);
        body.extend_from_slice(json(version).as_bytes());
        body.push(b',');
    }
    if terms.stream {
        body.extend_from_slice(br#""stream":true,"#);
    }
    body.extend_from_slice(br#""input":"#);
    sheet.finish(&mut body);
    body.push(b'}');
    Ok(Request { body: body.into(), headers: Vec::new(), losses, back: Back::new(terms) })
}

/// A text as JSON.
fn json(text: &str) -> String {
    serde_json::to_string(text).expect("a string always encodes")
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    role: Cow<'a, str>,
    #[serde(borrow, default)]
    content: Option<&'a RawValue>,
    #[serde(borrow, default)]
    name: Option<&'a RawValue>,
    #[serde(borrow, default)]
    refusal: Option<&'a RawValue>,
    #[serde(borrow, default)]
    tool_calls: Option<&'a RawValue>,
    #[serde(borrow, default)]
    function_call: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Part<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    text: Option<&'a RawValue>,
    #[serde(borrow, default)]
    refusal: Option<&'a RawValue>,
    #[serde(borrow, default)]
    image_url: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Image<'a> {
    #[serde(borrow)]
    url: &'a RawValue,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    System,
    User,
    Assistant,
}

impl Role {
    /// What stands before what it says, where a conversation is one text.
    fn label(self) -> &'static [u8] {
        match self {
            Role::System => b"System: ",
            Role::User => b"User: ",
            Role::Assistant => b"Assistant: ",
        }
    }
}

/// A conversation. Texts are kept as they are written in JSON, without their quotes: they are put together, never read.
struct Talk<'a> {
    turns: Vec<(Role, Vec<&'a str>)>,
    /// Pictures as JSON texts, each with its place in the body.
    images: Vec<(&'a str, usize, usize)>,
    /// Whether `developer` speaks, whom no model there knows.
    developer: bool,
}

impl<'a> Talk<'a> {
    fn read(ask: &'a Object, losses: &mut Vec<Loss>) -> Result<Self, Refused> {
        let messages: Vec<Message<'a>> = ask.get("messages")?.unwrap_or_default();
        let mut talk = Talk { turns: Vec::with_capacity(messages.len()), images: Vec::new(), developer: false };
        for (at, message) in messages.iter().enumerate() {
            let role = match message.role.as_ref() {
                "system" => Role::System,
                "developer" => Role::System,
                "user" => Role::User,
                "assistant" => Role::Assistant,
                "tool" | "function" => return Err(Refused::Unsupported { param: format!("messages[{at}]") }),
                other => {
                    let message = format!("`{other}` is no role: system, user and assistant are");
                    return Err(invalid(format!("messages[{at}].role"), message));
                }
            };
            talk.developer |= message.role == "developer";
            for (name, calls) in [("tool_calls", message.tool_calls), ("function_call", message.function_call)] {
                if calls.is_some_and(|calls| calls.get() != "[]") {
                    return Err(Refused::Unsupported { param: format!("messages[{at}].{name}") });
                }
            }
            if message.name.is_some() {
                losses.push(Loss { param: format!("messages[{at}].name"), action: "dropped" });
            }
            let mut texts = Vec::new();
            if let Some(content) = message.content {
                talk.content(content, at, &mut texts)?;
            }
            texts.extend(message.refusal.and_then(|refusal| inner(refusal.get())));
            talk.turns.push((role, texts));
        }
        Ok(talk)
    }

    fn content(&mut self, content: &'a RawValue, at: usize, texts: &mut Vec<&'a str>) -> Result<(), Refused> {
        if let Some(text) = inner(content.get()) {
            texts.push(text);
            return Ok(());
        }
        if !content.get().starts_with('[') {
            return Err(invalid(format!("messages[{at}].content"), "must be a text or an array of parts"));
        }
        let parts: Vec<Part<'a>> = serde_json::from_str(content.get()).map_err(Malformed::from)?;
        for (index, part) in parts.iter().enumerate() {
            let place = || format!("messages[{at}].content[{index}]");
            match part.kind.as_ref() {
                "text" | "refusal" => {
                    let text = part.text.or(part.refusal).and_then(|text| inner(text.get()));
                    texts.push(text.ok_or_else(|| invalid(format!("{}.text", place()), "must be a text"))?);
                }
                "image_url" => {
                    let url = part.image_url.map(RawValue::get).unwrap_or_default();
                    let url = match url.starts_with('{') {
                        true => serde_json::from_str::<Image<'a>>(url).map_err(Malformed::from)?.url.get(),
                        false => url,
                    };
                    inner(url).ok_or_else(|| invalid(format!("{}.image_url", place()), "must have a `url`"))?;
                    self.images.push((url, at, index));
                }
                // what a model thought is its own: models there do not take it back
                "thinking" | "redacted_thinking" => {}
                _ => return Err(Refused::Unsupported { param: place() }),
            }
        }
        Ok(())
    }

    /// The conversation as it came, for models that read OpenAI's messages.
    fn as_messages(&self, ask: &Object, input: &Input, sheet: &mut Sheet) -> Result<(), Refused> {
        let told;
        let messages = match self.developer {
            false => ask.raw("messages").unwrap_or(b"[]"),
            true => {
                let mut messages = ask.objects("messages")?;
                for message in &mut messages {
                    if message.get::<Cow<'_, str>>("role")?.as_deref() == Some("developer") {
                        message.set_text("role", "system");
                    }
                }
                let mut copy = Object::default();
                copy.set_objects("messages", &messages);
                told = copy;
                told.raw("messages").unwrap_or(b"[]")
            }
        };
        match input.kind {
            // some want the array, others a text that holds it
            Kind::Text => sheet.put("messages", json(&String::from_utf8_lossy(messages)).as_bytes()),
            _ => sheet.put("messages", messages),
        }
        Ok(())
    }

    /// The conversation as one text.
    fn as_prompt(&self, inputs: Option<&Inputs>, sheet: &mut Sheet) -> Result<(), Refused> {
        if inputs.is_some_and(|inputs| inputs.get("prompt").is_none()) {
            return Err(Refused::Unsupported { param: "messages".to_owned() });
        }
        let apart = inputs.is_none_or(|inputs| inputs.get("system_prompt").is_some());
        if apart && self.turns.iter().any(|(role, texts)| *role == Role::System && !texts.is_empty()) {
            let told = self.turns.iter().filter(|(role, _)| *role == Role::System);
            sheet.text("system_prompt", told.map(|(_, texts)| (&b""[..], texts.as_slice())), b"");
        }
        let said = || self.turns.iter().filter(move |(role, _)| !(apart && *role == Role::System));
        match said().collect::<Vec<_>>().as_slice() {
            [(Role::User, texts)] => sheet.text("prompt", [(&b""[..], texts.as_slice())], b""),
            all => {
                // the label asks for an answer, unless the answer has been begun already
                let begun = matches!(all.last(), Some((Role::Assistant, _)));
                let turns = all.iter().map(|(role, texts)| (role.label(), texts.as_slice()));
                sheet.text("prompt", turns, if begun { b"" } else { b"Assistant:" });
            }
        }
        self.pictures(inputs, sheet)
    }

    fn pictures(&self, inputs: Option<&Inputs>, sheet: &mut Sheet) -> Result<(), Refused> {
        let Some((first, at, index)) = self.images.first() else { return Ok(()) };
        let refused =
            |at: &usize, index: &usize| Refused::Unsupported { param: format!("messages[{at}].content[{index}]") };
        let known = || IMAGES.iter().filter_map(|name| inputs?.get(name));
        let list = known().find(|input| input.kind == Kind::List);
        match (known().next(), list, self.images.get(1)) {
            (Some(input), _, None) if input.kind != Kind::List => sheet.put(&input.name, first.as_bytes()),
            (_, Some(list), _) => {
                let all: Vec<&str> = self.images.iter().map(|(url, ..)| *url).collect();
                sheet.put(&list.name, format!("[{}]", all.join(",")).as_bytes());
            }
            (Some(_), None, Some((_, at, index))) => return Err(refused(at, index)),
            (_, None, _) => return Err(refused(at, index)),
        }
        Ok(())
    }
}

/// What is between the quotes of a JSON text.
fn inner(raw: &str) -> Option<&str> {
    raw.strip_prefix('"')?.strip_suffix('"')
}

impl Sheet {
    /// Put a text together: what each speaker is called and says, paragraph by paragraph, and how it ends.
    fn text<'t>(&mut self, name: &str, turns: impl IntoIterator<Item = (&'t [u8], &'t [&'t str])>, end: &[u8]) {
        let out = self.name(name);
        out.push(b'"');
        let start = out.len();
        for (label, texts) in turns {
            if out.len() > start {
                out.extend_from_slice(PARAGRAPH);
            }
            out.extend_from_slice(label);
            for (at, text) in texts.iter().enumerate() {
                if at > 0 {
                    out.extend_from_slice(br"\n");
                }
                out.extend_from_slice(text.as_bytes());
            }
        }
        if !end.is_empty() {
            out.extend_from_slice(PARAGRAPH);
            out.extend_from_slice(end);
        }
        out.push(b'"');
    }
}
