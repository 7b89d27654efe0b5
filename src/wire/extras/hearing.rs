//! Recordings to be transcribed: what a caller's form says of one, for vendors that take it in another form.
//!
//! <https://platform.openai.com/docs/api-reference/audio/createTranscription>

use std::ops::Range;

use super::heard::{Format, Wanted};
use super::recordings::streams_text;
use crate::wire::Op;
use crate::wire::multipart::{Form, Part};
use crate::wire::native::{Back, Loss, Refused, Terms, invalid};

/// Fields that are read here, whatever the vendor.
const READ: [&str; 6] =
    ["file", "model", "response_format", "stream", "timestamp_granularities", "timestamp_granularities[]"];

/// What is asked for one recording.
pub(super) struct Recording<'a> {
    form: &'a Form,
    file: &'a Part,
    /// What is to come back.
    pub(super) wanted: Wanted,
}

impl<'a> Recording<'a> {
    /// Read a form. Fails on fields that are not what they must be, and where the recording is not in the form.
    pub(super) fn of(form: &'a Form, terms: &Terms<'_>) -> Result<Self, Refused> {
        let file = form.parts().iter().find(|part| part.name == "file" && part.filename.is_some());
        let file =
            file.ok_or_else(|| invalid("file", "must be a file in the form: nothing is fetched for this provider"))?;
        let format = match text(form, "response_format") {
            None => Format::Json,
            Some(word) => Format::of(word).ok_or_else(|| {
                invalid("response_format", "must be json, text, srt, vtt, verbose_json or diarized_json")
            })?,
        };
        streams_text(text(form, "response_format").unwrap_or("json"), terms.stream)?;
        let mut wanted = Wanted { format, translated: terms.op == Op::Translate, ..Wanted::default() };
        let granular = |part: &&Part| part.name.trim_end_matches("[]") == "timestamp_granularities";
        for part in form.parts().iter().filter(granular) {
            match part.text.as_deref().unwrap_or_default() {
                b"word" => wanted.words = true,
                b"segment" => wanted.segments = true,
                _ => return Err(invalid(&part.name, "must be word or segment")),
            }
        }
        wanted.segments |= !wanted.words;
        Ok(Self { form, file, wanted })
    }

    /// Where the sound stands in the form.
    pub(super) fn place(&self) -> Range<u64> {
        self.file.content.clone()
    }

    /// The text of a field that says something.
    pub(super) fn text(&self, name: &str) -> Option<&'a str> {
        text(self.form, name)
    }

    /// A field that is a number. Fails if it is none.
    pub(super) fn number(&self, name: &str) -> Result<Option<f64>, Refused> {
        let read = |text: &str| text.parse().ok().filter(|number: &f64| number.is_finite());
        let Some(text) = self.text(name) else { return Ok(None) };
        read(text).map(Some).ok_or_else(|| invalid(name, "must be a number"))
    }

    /// The fields beyond those that are read here and the `known` ones, each once with its first text, but for those
    /// that say no more than their absence.
    pub(super) fn others(&self, known: &[&str]) -> Vec<(&'a str, &'a str)> {
        let mut others: Vec<(&str, &str)> = Vec::new();
        for part in self.form.parts() {
            let name = part.name.as_str();
            let text = part.text.as_deref().map_or("a file", |text| std::str::from_utf8(text).unwrap_or("?"));
            let idle = text.is_empty() || matches!((name, text), ("chunking_strategy", "auto") | ("temperature", "0"));
            let seen = READ.contains(&name) || known.contains(&name) || others.iter().any(|(other, _)| *other == name);
            if !idle && !seen && name != "user" {
                others.push((name, text));
            }
        }
        others
    }

    /// The fields that are lost where only the `known` ones are carried over.
    pub(super) fn losses(&self, known: &[&str]) -> Vec<Loss> {
        self.others(known).into_iter().map(|(name, _)| Loss { param: name.to_owned(), action: "dropped" }).collect()
    }

    /// What kind of sound it is, by its content type or else by its name; `None` if neither says.
    pub(super) fn kind(&self) -> Option<&str> {
        let said = self.file.content_type.as_deref().and_then(|kind| kind.split(';').next()).map(str::trim);
        let said = said.filter(|kind| kind.starts_with("audio/") || kind.starts_with("video/"));
        said.or_else(|| by_ending(self.file.filename.as_deref()?))
    }

    /// The way back.
    pub(super) fn back(&self, terms: &Terms<'_>) -> Back {
        Back { wanted: self.wanted, ..Back::new(terms) }
    }
}

fn text<'a>(form: &'a Form, name: &str) -> Option<&'a str> {
    form.text(name).filter(|text| !text.trim().is_empty())
}

/// What the end of a name says about a recording.
fn by_ending(name: &str) -> Option<&'static str> {
    Some(match name.rsplit_once('.')?.1.to_ascii_lowercase().as_str() {
        "mp3" | "mpga" => "audio/mpeg",
        "wav" => "audio/wav",
        "flac" => "audio/flac",
        "ogg" | "oga" | "opus" => "audio/ogg",
        "aac" => "audio/aac",
        "aif" | "aiff" => "audio/aiff",
        "m4a" => "audio/m4a",
        "mp4" => "video/mp4",
        "mpeg" => "video/mpeg",
        "webm" => "video/webm",
        _ => return None,
    })
}
