//! Content that a model can't take, by the configuration's word or by the catalog's: refused by name before anything is
//! sent.

use memchr::memmem;

use super::Provider;
use crate::call::error::Beyond;
use crate::call::{Call, Error, Op};
use crate::catalog::Inputs;
use crate::catalog::kind::INPUTS;
use crate::catalog::known::Owner;
use crate::wire::Object;

/// The capability that a part of a message asks of a model, and what such content is called; `None` for texts and what
/// is unknown.
fn needed(kind: &str) -> Option<(&'static str, &'static str)> {
    Some(match kind {
        "image_url" | "input_image" | "image" => ("vision", "images"),
        "input_audio" | "audio_url" => ("audio_input", "sound"),
        "video_url" | "video" | "input_video" => ("video_input", "videos"),
        "file" | "input_file" => ("pdf_input", "files"),
        _ => return None,
    })
}

impl Provider {
    /// The content that a model is known not to take here. `model` is the name it is asked for by.
    pub fn lacks(&self, model: &str) -> Inputs {
        let other = (self.spec.model)(model, Op::Chat, &self.settings);
        let owner = Owner { provider: self.spec.id, target: &self.target };
        self.catalog.lacks(owner, other.as_deref().unwrap_or(model))
    }

    /// Which kinds of content a model takes and does not take, where that is known, by their capabilities.
    pub fn content(&self, model: &str) -> impl Iterator<Item = (&'static str, bool)> {
        let lacks = self.lacks(model);
        let owner = Owner { provider: self.spec.id, target: &self.target };
        let row = self.catalog.facts(owner, model);
        let has = move |name: &str| row.is_some_and(|row| row.capabilities().any(|has| has == name));
        let known: Vec<_> = INPUTS
            .iter()
            .filter_map(|name| match (has(name), lacks.has(name)) {
                (true, _) => Some((*name, true)),
                (_, true) => Some((*name, false)),
                _ => None,
            })
            .collect();
        known.into_iter()
    }

    /// Fails on the first part of the messages of a chat or a response that needs what the model `lacks`.
    ///
    /// # Errors
    /// Also if the messages are no objects.
    pub fn takes(&self, call: &Call, model: &str, lacks: Inputs) -> Result<(), Error> {
        let list = match call.op {
            Op::Chat => "messages",
            Op::Respond => "input",
            _ => return Ok(()),
        };
        let Some(body) = call.body.json() else { return Ok(()) };
        // a part has a type; most messages are mere texts
        if !body.raw(list).is_some_and(|raw| raw.starts_with(b"[") && memmem::find(raw, b"\"type\"").is_some()) {
            return Ok(());
        }
        let is_list = |object: &Object, name: &str| object.raw(name).is_some_and(|raw| raw.starts_with(b"["));
        for (at, message) in body.objects(list)?.iter().enumerate().filter(|(_, message)| is_list(message, "content")) {
            // a part that is no object is for the vendor to judge
            let Ok(parts) = message.objects("content") else { continue };
            for (part, content) in parts.iter().enumerate() {
                let kind = content.get::<String>("type").ok().flatten().unwrap_or_default();
                if let Some((_, what)) = needed(&kind).filter(|(needed, _)| lacks.has(needed)) {
                    let param = format!("{list}[{at}].content[{part}]");
                    let (provider, model) = (self.spec.id, model.to_owned());
                    return Err(Error::Beyond(Box::new(Beyond { param, provider, model, what })));
                }
            }
        }
        Ok(())
    }
}
