//! Speech as predictions: what a model takes for a text, a voice and a format follows from its description.

use serde::Serialize;

use super::answer::Prediction;
use super::model::Inputs;
use super::params::{Sheet, asked, put};
use crate::wire::extras::{made, text};
use crate::wire::native::{Back, Loss, Refused, Request, Terms, Translated, invalid};
use crate::wire::openai::stream::Broken;
use crate::wire::{Malformed, Object};

/// The names that a text to be spoken has, the first that a model knows.
const TEXTS: &[&str] = &["text", "prompt", "input", "text_input", "gen_text", "tts_text"];

/// Those of a voice.
const VOICES: &[&str] = &["voice", "voice_id", "speaker", "voice_name"];

/// Those of the sound's format.
const FORMATS: &[&str] = &["audio_format", "output_format", "format", "response_format"];

/// Those of how it is spoken.
const MANNERS: &[&str] = &["instructions", "style_prompt", "prompt"];

/// What a prediction of this model is made with; as [`super::request::request`]. Fails on a model that takes no text.
pub fn request(
    ask: &Object,
    terms: &Terms<'_>,
    inputs: Option<&Inputs>,
    version: Option<&str>,
) -> Result<Request, Refused> {
    let mut sheet = Sheet::with_capacity(ask.size());
    let mut losses = Vec::new();
    // without a description those that most models have
    let find = |names: &[&str]| match inputs {
        Some(inputs) => inputs.first(names).map(|input| input.name.clone()),
        None => names.first().map(|name| (*name).to_owned()),
    };
    text(ask, "input")?;
    let own = find(TEXTS).ok_or_else(|| invalid("model", "this model takes no text that could be spoken"))?;
    for (name, value) in ask.members().filter(|(_, value)| *value != b"null") {
        let to = match name {
            "model" | "user" | "provider_options" | "stream_format" => continue,
            "input" => Some(own.clone()),
            "voice" => find(VOICES),
            "response_format" => inputs.and_then(|_| find(FORMATS)),
            "instructions" => inputs.and_then(|_| find(MANNERS)).filter(|to| *to != own),
            "speed" => find(&["speed"]),
            _ => inputs.is_none_or(|inputs| inputs.get(name).is_some()).then(|| name.to_owned()),
        };
        let Some(to) = to.filter(|to| !sheet.has(to)) else {
            losses.push(Loss { param: name.to_owned(), action: "dropped" });
            continue;
        };
        let input = inputs.and_then(|inputs| inputs.get(&to));
        if name == "response_format" && input.is_some_and(|input| !input.allows(value)) {
            return Err(Refused::Unsupported { param: name.to_owned() });
        }
        losses.extend(put(&to, input, value, &mut sheet).map(|action| Loss { param: name.to_owned(), action }));
    }
    Ok(asked(&sheet, version, losses, Back::new(terms)))
}

/// Where the sound of a prediction is that has ended, or itself.
pub fn of(prediction: &Prediction, _: &Back) -> Translated {
    #[derive(Default, Serialize)]
    struct Spoken {
        #[serde(skip_serializing_if = "Option::is_none")]
        audio_url: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        audio: Option<String>,
    }
    prediction.ended()?;
    let found = match prediction.object() {
        Some(output) => ["audio", "audio_out", "url", "file"].iter().find_map(|name| output.get(name).ok().flatten()),
        None => prediction.addresses().map_err(Broken::Malformed)?.into_iter().next(),
    };
    let found: String = found.ok_or_else(|| Broken::Malformed(Malformed::new("the output names no file")))?;
    made(&match found.starts_with("data:") {
        true => Spoken { audio: Some(found), ..Spoken::default() },
        false => Spoken { audio_url: Some(found), ..Spoken::default() },
    })
}
