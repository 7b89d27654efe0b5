//! Messages as Google's contents: turns of user and model, in parts.
//!
//! <https://ai.google.dev/api/caching#Content>, <https://ai.google.dev/gemini-api/docs/thought-signatures>

use std::borrow::Cow;

use super::Host;
use super::json::{Json, inside, invalid, is_null, is_object, text, unsupported};
use super::media::{self, Detail, Place};
use super::model::Model;
use super::replay::{Kept, signature_in};
use super::tools::Names;
use crate::wire::Object;
use crate::wire::native::params::OF_MESSAGES;
use crate::wire::native::{Loss, Refused};

/// Stands for a signature that is lost, or that never was because another model made the call.
/// <https://ai.google.dev/gemini-api/docs/thought-signatures#faqs>
const LOST: &[u8] = br#""skip_thought_signature_validator""#;

/// What a history without a beginning begins with: the first turn is the user's.
const OPENING: &[u8] = br#"{"text":"."}"#;

/// The contents of a request as they grow.
pub(super) struct Contents<'a> {
    host: Host,
    model: &'a Model,
    names: &'a mut Names,
    losses: &'a mut Vec<Loss>,
    /// Elements of `contents`; the last is open while `role` is set.
    pub(super) turns: Json,
    role: Option<&'static str>,
    /// Parts of the instructions.
    pub(super) system: Json,
    /// The closest look at an image that is asked for.
    pub(super) detail: Option<Detail>,
    /// Calls so far, in order: the caller's id and name.
    calls: Vec<(String, String)>,
    /// Results that stand together, each with the place of its call.
    results: Vec<(usize, Json)>,
}

impl<'a> Contents<'a> {
    /// Translate all messages.
    pub(super) fn read(
        ask: &Object,
        host: Host,
        model: &'a Model,
        names: &'a mut Names,
        losses: &'a mut Vec<Loss>,
    ) -> Result<Self, Refused> {
        let turns = Json::with_capacity(ask.size());
        let (system, calls, results) = (Json::default(), Vec::new(), Vec::new());
        let mut contents = Self { host, model, names, losses, turns, role: None, system, detail: None, calls, results };
        for (at, message) in ask.objects("messages")?.iter().enumerate() {
            contents.message(message, at)?;
        }
        contents.flush();
        contents.close();
        if contents.turns.is_empty() {
            contents.turn("user").raw(OPENING);
            contents.close();
        }
        Ok(contents)
    }

    fn message(&mut self, message: &Object, at: usize) -> Result<(), Refused> {
        let Some(role) = message.raw("role").and_then(text) else {
            return invalid(format!("messages[{at}].role"), "must be a text");
        };
        for (name, value) in message.members() {
            if !(OF_MESSAGES.contains(&name) || matches!(name, "type" | "status") || is_null(value)) {
                let own = name == "name" && matches!(role.as_ref(), "tool" | "function");
                if !own {
                    self.losses.push(Loss { param: format!("messages[{at}].{name}"), action: "dropped" });
                }
            }
        }
        if !matches!(role.as_ref(), "tool" | "function") {
            self.flush();
        }
        match role.as_ref() {
            "system" | "developer" => self.instructions(message, at),
            "user" => self.parts(message, at, "user"),
            "assistant" => self.assistant(message, at),
            "tool" | "function" => self.result(message, at),
            _ => invalid(
                format!("messages[{at}].role"),
                "must be one of system, developer, user, assistant, tool, function",
            ),
        }
    }

    /// The turn of this role, open for its next part.
    fn turn(&mut self, role: &'static str) -> &mut Json {
        if self.role != Some(role) {
            if self.role.is_none() && role == "model" && self.turns.is_empty() {
                self.turn("user").raw(OPENING);
            }
            self.close();
            self.turns.next().raw("{").name("role").text(role).name("parts").raw("[");
            self.role = Some(role);
        }
        self.turns.next()
    }

    fn close(&mut self) {
        if self.role.take().is_some() {
            self.turns.raw("]}");
        }
    }

    /// Write parts to the turn of a role, which is opened only if there is one.
    fn write(&mut self, role: &'static str, parts: &Json) {
        if !parts.is_empty() {
            self.turn(role).raw(&parts.0);
        }
    }

    fn instructions(&mut self, message: &Object, at: usize) -> Result<(), Refused> {
        let before = self.system.0.len();
        let mut parts = std::mem::take(&mut self.system);
        self.content(message, at, &mut parts)?;
        self.system = parts;
        if self.model.takes_system() || self.system.0.len() == before {
            return Ok(());
        }
        // no place for them: they are the user's first words
        let parts = std::mem::take(&mut self.system);
        self.write("user", &parts);
        Ok(())
    }

    fn parts(&mut self, message: &Object, at: usize, role: &'static str) -> Result<(), Refused> {
        if let Some(text) = message.raw("content").and_then(inside) {
            // the most frequent message of all is copied once
            if !text.is_empty() {
                self.turn(role).raw(br#"{"text":"#).quoted(text).raw("}");
            }
            return Ok(());
        }
        let mut parts = Json::with_capacity(message.size());
        self.content(message, at, &mut parts)?;
        self.write(role, &parts);
        Ok(())
    }

    /// The parts of `content`, be it a text or a list.
    fn content(&mut self, message: &Object, at: usize, out: &mut Json) -> Result<(), Refused> {
        let Some(raw) = message.raw("content").filter(|raw| !is_null(raw)) else { return Ok(()) };
        if let Some(text) = inside(raw) {
            if !text.is_empty() {
                out.next().raw(br#"{"text":"#).quoted(text).raw("}");
            }
            return Ok(());
        }
        if !raw.starts_with(b"[") {
            return invalid(format!("messages[{at}].content"), "must be a text or a list of parts");
        }
        for (number, part) in message.objects("content")?.iter().enumerate() {
            let place = Place { host: self.host, model: self.model, message: at, part: number };
            self.detail = self.detail.max(media::part(part, place, out)?);
        }
        Ok(())
    }

    fn assistant(&mut self, message: &Object, at: usize) -> Result<(), Refused> {
        let mut parts = Json::with_capacity(message.size() + 64);
        let mut kept = Kept::of(message)?;
        for thought in &kept.thoughts {
            parts.next().raw(&thought.0);
        }
        let begun = parts.0.len();
        self.content(message, at, &mut parts)?;
        if let Some(refusal) = message.raw("refusal").and_then(inside).filter(|refusal| !refusal.is_empty()) {
            parts.next().raw(br#"{"text":"#).quoted(refusal).raw("}");
        }
        let mut loose = kept.loose.drain(..);
        if parts.0.len() > begun
            && message.raw("content").and_then(inside).is_some()
            && let Some(signature) = loose.next()
        {
            // the text was one part, or what came of its pieces
            parts.0.pop();
            parts.name("thoughtSignature").raw(signature).raw("}");
        }
        for signature in loose {
            parts.next().raw(br#"{"text":"","thoughtSignature":"#).raw(signature).raw("}");
        }
        for image in message.objects("images")? {
            let url = image.object("image_url")?;
            let signature = signature_in(&image);
            if let Some(url) = url.as_ref().and_then(|url| url.raw("url")) {
                media::replayed(url, signature.as_deref(), &mut parts);
            }
        }
        self.calls(message, at, &kept, &mut parts)?;
        self.write("model", &parts);
        Ok(())
    }

    fn calls(&mut self, message: &Object, at: usize, kept: &Kept, parts: &mut Json) -> Result<(), Refused> {
        let calls = message.objects("tool_calls")?;
        let mut signatures: Vec<Option<Vec<u8>>> = Vec::with_capacity(calls.len());
        for call in &calls {
            let id = call.raw("id").and_then(text).unwrap_or_default();
            signatures.push(signature_in(call).or_else(|| kept.of_call(&id)));
        }
        if self.model.since(3, 0)
            && signatures.iter().all(Option::is_none)
            && let Some(first) = signatures.first_mut()
        {
            *first = Some(LOST.to_vec());
        }
        for (number, (call, signature)) in calls.iter().zip(signatures).enumerate() {
            let path = format!("messages[{at}].tool_calls[{number}]");
            let Some(function) = call.object("function")? else {
                if call.has("custom") {
                    return unsupported(path);
                }
                return invalid(format!("{path}.function"), "is missing");
            };
            let id = call.raw("id").and_then(text).unwrap_or_default();
            self.call(&function, &id, signature.as_deref(), &format!("{path}.function"), parts)?;
        }
        if let Some(function) = message.object("function_call")? {
            let signature = self.model.since(3, 0).then_some(LOST);
            self.call(&function, "", signature, &format!("messages[{at}].function_call"), parts)?;
        }
        Ok(())
    }

    fn call(
        &mut self,
        function: &Object,
        id: &str,
        signature: Option<&[u8]>,
        path: &str,
        parts: &mut Json,
    ) -> Result<(), Refused> {
        let Some(name) = function.raw("name").and_then(text) else {
            return invalid(format!("{path}.name"), "must be a text");
        };
        let arguments = match function.raw("arguments") {
            None | Some(b"null") => Cow::Borrowed("{}"),
            Some(raw) => text(raw).unwrap_or_else(|| String::from_utf8_lossy(raw)),
        };
        let arguments = match arguments.trim() {
            "" => "{}",
            arguments if is_object(arguments.as_bytes()) => arguments,
            _ => return invalid(format!("{path}.arguments"), "must be a JSON object"),
        };
        parts.next().raw(br#"{"functionCall":{"#);
        if self.says_ids() && !id.is_empty() {
            parts.name("id").text(id);
        }
        parts.name("name").text(&self.names.sent(&name)).name("args").raw(arguments).raw("}");
        if let Some(signature) = signature {
            parts.name("thoughtSignature").raw(signature);
        }
        parts.raw("}");
        self.calls.push((id.to_owned(), name.into_owned()));
        Ok(())
    }

    /// Whether calls and results are told apart by ids: Vertex has none, nor had older models.
    fn says_ids(&self) -> bool {
        self.host == Host::Api && self.model.since(3, 0)
    }

    fn result(&mut self, message: &Object, at: usize) -> Result<(), Refused> {
        let id = message.raw("tool_call_id").and_then(text).unwrap_or_default();
        let own = message.raw("name").and_then(text);
        let place = self.calls.iter().rposition(|(known, name)| match id.is_empty() {
            true => own.as_deref() == Some(name),
            false => *known == id,
        });
        let name = match (place, &own) {
            (Some(place), _) => self.calls[place].1.clone(),
            (None, Some(own)) => own.to_string(),
            (None, None) => {
                return invalid(format!("messages[{at}].tool_call_id"), "names no tool call of an earlier message");
            }
        };
        let mut media = Json::default();
        let response = self.response(message, at, &mut media)?;
        let mut out = Json::with_capacity(response.0.len() + media.0.len() + id.len() + 128);
        out.raw(br#"{"functionResponse":{"#);
        if self.says_ids() && !id.is_empty() {
            out.name("id").text(&id);
        }
        out.name("name").text(&self.names.sent(&name)).name("response").raw(&response.0);
        let within = self.model.since(3, 0);
        if within && !media.is_empty() {
            out.name("parts").raw("[").raw(&media.0).raw("]");
        }
        out.raw("}}");
        if !within && !media.is_empty() {
            // older models take media only beside the result
            out.next().raw(&media.0);
        }
        self.results.push((place.unwrap_or(usize::MAX), out));
        Ok(())
    }

    /// What a tool said, as the object that Google wants: its own, or one around it.
    fn response(&mut self, message: &Object, at: usize, media: &mut Json) -> Result<Json, Refused> {
        let raw = message.raw("content").unwrap_or(b"null");
        let failed = message.raw("is_error") == Some(b"true");
        if let Some(said) = inside(raw).filter(|said| is_prose(said)) {
            let mut out = Json::with_capacity(said.len() + 16);
            out.raw("{").name(if failed { "error" } else { "result" }).quoted(said).raw("}");
            return Ok(out);
        }
        let mut words = String::new();
        if let Some(said) = text(raw) {
            words = said.into_owned();
        } else if raw.starts_with(b"[") {
            for (number, part) in message.objects("content")?.iter().enumerate() {
                match part.raw("text").and_then(text) {
                    Some(text) => {
                        if !words.is_empty() {
                            words.push('\n');
                        }
                        words.push_str(&text);
                    }
                    None => {
                        let place = Place { host: self.host, model: self.model, message: at, part: number };
                        media::part(part, place, media)?;
                    }
                }
            }
        } else if raw.starts_with(b"{") {
            words = String::from_utf8_lossy(raw).into_owned();
        }
        let mut out = Json::with_capacity(words.len() + 16);
        let trimmed = words.trim();
        // a `$ref` in a result would be looked up
        let refers = words.contains("\"$ref\"") || words.contains("\"$defs\"");
        if !failed && !refers && trimmed.starts_with('{') && is_object(trimmed.as_bytes()) {
            out.raw(trimmed);
            return Ok(out);
        }
        out.raw("{").name(if failed { "error" } else { "result" });
        if !refers && trimmed.starts_with('[') && serde_json::from_str::<serde::de::IgnoredAny>(trimmed).is_ok() {
            out.raw(trimmed);
        } else {
            out.text(&words);
        }
        out.raw("}");
        Ok(out)
    }

    /// Results stand in the order of their calls, whatever order they came in.
    fn flush(&mut self) {
        let mut results = std::mem::take(&mut self.results);
        results.sort_by_key(|(place, _)| *place);
        for (_, result) in results {
            self.write("user", &result);
        }
    }
}

/// Whether a text, as the inside of a JSON string, is sure to be no JSON itself: it goes on without being decoded.
fn is_prose(inside: &[u8]) -> bool {
    inside.first().is_some_and(|first| first.is_ascii_graphic() && !matches!(first, b'{' | b'[' | b'\\'))
}
