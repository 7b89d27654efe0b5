//! Content that comes as a list of chunks, taken apart: text, thoughts, references.

use super::{given, is, json, object, text};
use crate::wire::{Malformed, Object};

/// What a list of chunks held.
#[derive(Default)]
pub(super) struct Found {
    text: String,
    thoughts: String,
    details: Vec<Object>,
    annotations: Vec<Object>,
    /// Chunks of kinds we do not know, for which there is no other place.
    rest: Vec<Object>,
}

impl Found {
    /// Sort one chunk.
    pub(super) fn add(&mut self, chunk: &Object) -> Result<(), Malformed> {
        if is(chunk, "type", r#""text""#) {
            self.text.push_str(&text(chunk, "text").unwrap_or_default());
            if chunk.raw("citations").is_some_and(|raw| raw.starts_with(b"[")) {
                self.annotations.extend(chunk.objects("citations")?);
            }
        } else if is(chunk, "type", r#""thinking""#) {
            self.thinking(chunk)?;
        } else if is(chunk, "type", r#""reasoning""#) {
            self.summary(chunk)?;
        } else if is(chunk, "type", r#""reference""#) {
            self.annotations.push(chunk.clone());
        } else {
            self.rest.push(chunk.clone());
        }
        Ok(())
    }

    /// Mistral's: `thinking` is a list of text chunks, or a string.
    fn thinking(&mut self, chunk: &Object) -> Result<(), Malformed> {
        let before = self.thoughts.len();
        match text(chunk, "thinking") {
            Some(thought) => self.thoughts.push_str(&thought),
            None => {
                for part in chunk.objects("thinking")? {
                    self.thoughts.push_str(&text(&part, "text").unwrap_or_default());
                }
            }
        }
        let thought = self.thoughts[before..].to_owned();
        self.detail(&thought, chunk, "mistral-v1")
    }

    /// Databricks': `summary` is a list of texts, each with a signature if it is Claude's.
    fn summary(&mut self, chunk: &Object) -> Result<(), Malformed> {
        for part in chunk.objects("summary")? {
            let thought = text(&part, "text").unwrap_or_default();
            self.thoughts.push_str(&thought);
            self.detail(&thought, &part, "databricks-v1")?;
        }
        Ok(())
    }

    fn detail(&mut self, thought: &str, source: &Object, format: &str) -> Result<(), Malformed> {
        let (thought, format) = (json(thought), json(format));
        let mut members: Vec<(&str, &[u8])> =
            vec![("type", br#""reasoning.text""#), ("text", &thought), ("format", &format)];
        if given(source, "signature") {
            members.push(("signature", source.raw("signature").unwrap_or_default()));
        }
        self.details.push(Object::parse(object(&members))?);
        Ok(())
    }

    /// Put what was found into the message instead of the list. Chunks of unknown kinds are kept as `content_parts`.
    pub(super) fn put(self, message: &mut Object) {
        message.set("content", &self.text);
        if !self.thoughts.is_empty() && !given(message, "reasoning_content") {
            message.set("reasoning_content", &self.thoughts);
        }
        if !self.details.is_empty() && !given(message, "reasoning_details") {
            message.set_objects("reasoning_details", &self.details);
        }
        if !self.annotations.is_empty() && !given(message, "annotations") {
            message.set_objects("annotations", &self.annotations);
        }
        if !self.rest.is_empty() {
            message.set_objects("content_parts", &self.rest);
        }
    }
}
