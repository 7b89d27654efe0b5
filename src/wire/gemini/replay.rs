//! What an earlier answer of Gemini's left with the caller, on its way back.
//!
//! <https://ai.google.dev/gemini-api/docs/thought-signatures>

use super::FORMAT;
use super::json::{Json, inside, text};
use crate::wire::Object;
use crate::wire::native::Refused;

/// Signatures, each as JSON.
#[derive(Default)]
pub(super) struct Kept {
    /// Whole parts: thoughts that are signed themselves.
    pub(super) thoughts: Vec<Json>,
    /// Of texts.
    pub(super) loose: Vec<Vec<u8>>,
    /// Of calls, by their ids.
    calls: Vec<(String, Vec<u8>)>,
}

impl Kept {
    /// Read an assistant's message.
    pub(super) fn of(message: &Object) -> Result<Self, Refused> {
        let mut kept = Self::default();
        if !message.raw("reasoning_details").is_some_and(|raw| raw.starts_with(b"[")) {
            return Ok(kept);
        }
        for item in message.objects("reasoning_details")? {
            if item.raw("format").and_then(text).is_some_and(|format| format != FORMAT) {
                continue;
            }
            let signed = |name: &str| item.raw(name).filter(|raw| inside(raw).is_some_and(|inside| !inside.is_empty()));
            match item.raw("type").and_then(text).as_deref() {
                Some("reasoning.encrypted") => {
                    let Some(data) = signed("data") else { continue };
                    match item.raw("id").and_then(text) {
                        Some(id) => kept.calls.push((id.into_owned(), data.to_vec())),
                        None => kept.loose.push(data.to_vec()),
                    }
                }
                Some("reasoning.text") => {
                    let (Some(text), Some(signature)) = (signed("text"), signed("signature")) else { continue };
                    let mut part = Json::default();
                    part.raw("{").name("text").raw(text).name("thought").raw("true");
                    part.name("thoughtSignature").raw(signature).raw("}");
                    kept.thoughts.push(part);
                }
                _ => {}
            }
        }
        Ok(kept)
    }

    /// The one of a call.
    pub(super) fn of_call(&self, id: &str) -> Option<Vec<u8>> {
        self.calls.iter().find(|(known, _)| known == id).map(|(_, signature)| signature.clone())
    }
}

/// The signature a tool call or an image carries, in any of the places where clients keep it.
pub(super) fn signature_in(item: &Object) -> Option<Vec<u8>> {
    let own = |object: &Object| {
        let raw = object.raw("thought_signature")?;
        inside(raw).filter(|inside| !inside.is_empty()).map(|_| raw.to_vec())
    };
    let google = || item.object("extra_content").ok()??.object("google").ok()?.as_ref().and_then(own);
    let specific = || item.object("provider_specific_fields").ok()?.as_ref().and_then(own);
    google().or_else(|| own(item)).or_else(specific)
}
