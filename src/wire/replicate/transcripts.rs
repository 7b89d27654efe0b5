//! Transcripts as predictions: what a model takes follows from its description, and what it answers from its kind: a text,
//! pieces of one, or an object with segments of several spellings.

use serde_json::value::RawValue;

use super::answer::Prediction;
use super::model::{Inputs, Kind};
use super::params::{Sheet, asked, put};
use crate::wire::extras::heard::{Heard, Segment};
use crate::wire::extras::recordings;
use crate::wire::multipart::Form;
use crate::wire::native::{Back, Refused, Request, Terms, Translated, invalid};
use crate::wire::openai::stream::Broken;
use crate::wire::{Malformed, Object};

/// The names that a recording has, the first that a model knows.
const RECORDINGS: &[&str] =
    &["audio", "audio_file", "file", "audio_path", "audio_input", "input_audio", "audio_url", "file_url"];

/// Those of what is known of its words.
const PROMPTS: &[&str] = &["prompt", "initial_prompt"];

/// What a prediction of this model is made with, of a form and where its recording is; as [`super::request::request`].
/// Fails on a model that takes no recording.
pub fn request(
    form: &Form,
    recording: &str,
    terms: &Terms<'_>,
    inputs: Option<&Inputs>,
    version: Option<&str>,
) -> Result<Request, Refused> {
    const FORMS: [&str; 5] = ["json", "text", "verbose_json", "srt", "vtt"];
    if form.text("response_format").is_some_and(|format| !FORMS.contains(&format)) {
        return Err(Refused::Unsupported { param: "response_format".to_owned() });
    }
    let mut sheet = Sheet::with_capacity(recording.len() + 256);
    let json = |text: &str| serde_json::to_vec(text).expect("a string always encodes");
    let own = match inputs {
        Some(inputs) => inputs.first(RECORDINGS).map(|input| input.name.as_str()),
        None => Some(RECORDINGS[0]),
    };
    let own = own.ok_or_else(|| invalid("model", "this model takes no recording"))?;
    sheet.put(own, &json(recording));
    let mut losses = recordings::losses(form, &["response_format", "stream"]);
    losses.retain(|loss| {
        let name = loss.param.as_str();
        let Some(text) = form.text(name) else { return true };
        let to = match (name, inputs) {
            ("prompt", Some(inputs)) => inputs.first(PROMPTS),
            ("timestamp_granularities[]", _) if text == "segment" => return false,
            ("timestamp_granularities[]", Some(inputs)) => inputs.get("word_timestamps"),
            (_, Some(inputs)) => inputs.get(name),
            (_, None) => None,
        };
        let value = match to {
            Some(_) if name == "timestamp_granularities[]" => b"true".to_vec(),
            Some(input) if input.kind == Kind::Text => json(text),
            // numbers and words of JSON as they are
            Some(_) if serde_json::from_str::<&RawValue>(text).is_ok() => text.trim().into(),
            _ => json(text),
        };
        match to {
            Some(input) if input.allows(&value) && !sheet.has(&input.name) => {
                put(&input.name, Some(input), &value, &mut sheet);
                false
            }
            _ => true,
        }
    });
    Ok(asked(&sheet, version, losses, Back::new(terms)))
}

/// The transcript of a prediction that has ended. Fails on an output that has no text.
pub fn of(prediction: &Prediction, _: &Back) -> Translated {
    prediction.ended()?;
    let output = prediction.object();
    let said = |names: &[&str]| -> Option<String> {
        let output = output.as_ref()?;
        names.iter().find_map(|name| output.get(name).ok().flatten())
    };
    let listed = |name: &&str| output.as_ref()?.objects(name).ok().filter(|items| !items.is_empty());
    let segments = ["segments", "chunks"].iter().find_map(listed).or_else(|| prediction.list()).unwrap_or_default();
    let segments: Vec<Segment> = segments.iter().filter_map(segment).collect();
    let whole = || segments.iter().map(|segment| segment.text.trim()).collect::<Vec<_>>().join(" ");
    let text = match (said(&["text", "transcription", "transcript"]), &output) {
        (Some(text), _) => text,
        (None, _) if !segments.is_empty() => whole(),
        (None, None) => {
            prediction.output().and_then(|text| Ok(serde_json::from_slice(&text)?)).map_err(Broken::Malformed)?
        }
        (None, Some(_)) => return Err(Broken::Malformed(Malformed::new("the output has no text"))),
    };
    let language = said(&["language", "detected_language"]);
    let duration = output.as_ref().and_then(|output| output.get("duration").ok().flatten());
    Heard { text, language, duration, segments, ..Heard::default() }.all()
}

/// A segment, with its times in two members or in a list of both.
fn segment(item: &Object) -> Option<Segment> {
    let time = |name: &str| item.get::<f64>(name).ok().flatten();
    let pair = item.get::<Vec<Option<f64>>>("timestamp").ok().flatten().unwrap_or_default();
    let listed = |at: usize| pair.get(at).copied().flatten();
    let start = time("start").or(listed(0))?;
    let end = time("end").or(listed(1)).unwrap_or(start);
    Some(Segment { start, end, text: item.get("text").ok().flatten()?, ..Segment::default() })
}
