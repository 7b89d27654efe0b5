//! Sound at Alibaba's Model Studio: speech that is said by reference, and transcripts of recordings within a message.

use bytes::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;

use super::heard::{Consumed, Heard};
use super::recordings::{Inlaid, losses, recording, streams_text};
use super::{made, read, request, text};
use crate::wire::multipart::Form;
use crate::wire::native::{Back, Refused, Request, Terms, Translated};
use crate::wire::openai::errors::Complaint;
use crate::wire::openai::stream::Broken;
use crate::wire::{Malformed, Object};

/// The rate at which the models speak, samples a second.
const RATE: u32 = 24_000;

/// Whether a model speaks at the address of CosyVoice and its successors, which know several formats.
pub fn synthesizes(model: &str) -> bool {
    let model = model.to_ascii_lowercase();
    model.starts_with("cosyvoice") || model.starts_with("qwen-audio")
}

/// <https://www.alibabacloud.com/help/en/model-studio/qwen-tts-api>,
/// <https://www.alibabacloud.com/help/en/model-studio/qwen-audio-tts-http-api>. Instructions among the parameters are as
/// the vendor's SDK sends them, `rate` is as CosyVoice has it; neither is verified live.
pub fn speech(ask: &Object, terms: &Terms<'_>) -> Result<Request, Refused> {
    #[derive(Serialize)]
    struct Input {
        text: String,
        voice: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        language_type: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        format: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        sample_rate: Option<u32>,
        #[serde(skip_serializing_if = "Option::is_none")]
        rate: Option<f64>,
    }
    #[derive(Serialize)]
    struct Parameters {
        instructions: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        optimize_instructions: Option<bool>,
    }
    #[derive(Serialize)]
    struct Body<'a> {
        model: &'a str,
        input: Input,
        #[serde(skip_serializing_if = "Option::is_none")]
        parameters: Option<Parameters>,
    }
    let unsupported = || Refused::Unsupported { param: "response_format".to_owned() };
    let asked = ask.get::<String>("response_format")?;
    let mut known = vec!["input", "voice"];
    let mut input = Input {
        text: text(ask, "input")?,
        voice: text(ask, "voice")?,
        language_type: None,
        format: None,
        sample_rate: None,
        rate: None,
    };
    let mut parameters = None;
    if synthesizes(terms.model) {
        let format = asked.unwrap_or_else(|| "mp3".to_owned());
        if !matches!(format.as_str(), "mp3" | "wav" | "pcm" | "opus") {
            return Err(unsupported());
        }
        // samples have no head that tells their rate: it is that of OpenAI's
        input.sample_rate = (format == "pcm").then_some(RATE);
        (input.format, input.rate) = (Some(format), ask.get("speed")?);
        known.push("speed");
    } else {
        if asked.is_some_and(|format| !matches!(format.as_str(), "wav" | "pcm")) {
            return Err(unsupported());
        }
        input.language_type = ask.get("language_type")?;
        known.push("language_type");
        if terms.model.contains("instruct") {
            let optimize_instructions = ask.get("optimize_instructions")?;
            let instructions = ask.get::<String>("instructions")?;
            parameters = instructions.map(|instructions| Parameters { instructions, optimize_instructions });
            known.extend(["instructions", "optimize_instructions"]);
        }
    }
    Ok(request(ask, terms, &Body { model: terms.model, input, parameters }, &known))
}

/// Where the speech is, or itself in base64, and what it cost.
pub fn spoken(body: Bytes, _: &Back) -> Translated {
    #[derive(Default, Serialize)]
    struct Spoken<'a> {
        #[serde(skip_serializing_if = "Option::is_none")]
        audio_url: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        audio: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pcm_rate: Option<u32>,
        #[serde(skip_serializing_if = "Option::is_none")]
        usage: Option<&'a RawValue>,
    }
    let answer = read(body)?;
    let output = output(&answer)?;
    let audio = output.object("audio").map_err(Broken::Malformed)?.unwrap_or_default();
    let said = |name: &str| audio.get::<String>(name).ok().flatten().filter(|text| !text.is_empty());
    let usage = answer.raw("usage").and_then(|usage| serde_json::from_slice(usage).ok());
    made(&match (said("url"), said("data")) {
        (Some(url), _) => Spoken { audio_url: Some(url), usage, ..Spoken::default() },
        (None, Some(data)) => Spoken { audio: Some(data), pcm_rate: Some(RATE), usage, ..Spoken::default() },
        (None, None) => return Err(Broken::Malformed(Malformed::new("the answer has no sound"))),
    })
}

/// <https://www.alibabacloud.com/help/en/model-studio/qwen-asr-api-reference>. The form of the vendor's own protocol: the
/// one that is like OpenAI's is not served in every region.
pub fn hear(form: &Form, terms: &Terms<'_>) -> Result<Inlaid, Refused> {
    #[derive(Serialize)]
    struct Options<'a> {
        #[serde(skip_serializing_if = "Option::is_none")]
        language: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        enable_itn: Option<bool>,
    }
    // nothing is said of when what was said
    if form.text("response_format").is_some_and(|format| !matches!(format, "json" | "text" | "verbose_json")) {
        return Err(Refused::Unsupported { param: "response_format".to_owned() });
    }
    streams_text(form.text("response_format").unwrap_or("json"), terms.stream)?;
    let json = |text: &str| serde_json::to_string(text).expect("a string always encodes");
    let (part, kind) = recording(form)?;
    let said = |name: &str| form.text(name).map(str::trim).filter(|text| !text.is_empty());
    let context = said("prompt")
        .map(|prompt| format!(r#"{{"role":"system","content":[{{"text":{}}}]}},"#, json(prompt)))
        .unwrap_or_default();
    let before = format!(
        r#"{{"model":{},"input":{{"messages":[{context}{{"role":"user","content":[{{"audio":"data:{kind};base64,"#,
        json(terms.model)
    );
    let options = Options { language: said("language"), enable_itn: said("enable_itn").map(|word| word == "true") };
    let options = serde_json::to_string(&options).expect("texts are always JSON");
    let after = format!(r#""}}]}}]}},"parameters":{{"asr_options":{options}}}}}"#);
    Ok(Inlaid {
        before: before.into(),
        file: part.content.clone(),
        after: after.into(),
        losses: losses(form, &["prompt", "language", "enable_itn", "response_format"]),
        back: Back::new(terms),
    })
}

/// What was said, in which language, and how long it took.
pub fn heard(body: Bytes, _: &Back) -> Translated {
    let answer = read(body)?;
    let choices = output(&answer)?.objects("choices").map_err(Broken::Malformed)?;
    let message = choices.first().map(|choice| choice.object("message")).transpose().map_err(Broken::Malformed)?;
    let message = message.flatten().ok_or_else(|| Broken::Malformed(Malformed::new("the answer has no message")))?;
    let parts = message.objects("content").map_err(Broken::Malformed)?;
    let text = parts.iter().filter_map(|part| part.get::<String>("text").ok().flatten()).collect();
    let notes = message.objects("annotations").unwrap_or_default();
    let language = notes.iter().find_map(|note| note.get("language").ok().flatten());
    let usage = answer.object("usage").map_err(Broken::Malformed)?;
    let duration: Option<f64> = usage.and_then(|usage| usage.get("seconds").ok().flatten());
    let usage = duration.map(|seconds| Consumed::Duration { seconds });
    Heard { text, language, duration, usage, ..Heard::default() }.all()
}

/// What an answer holds. Fails with what is said in its place.
fn output(answer: &Object) -> Result<Object, Broken> {
    if let Some(output) = answer.object("output").map_err(Broken::Malformed)? {
        return Ok(output);
    }
    let said = |name: &str| answer.get::<String>(name).ok().flatten();
    match said("code") {
        Some(code) => {
            Err(Broken::Said(Complaint { code: Some(code), message: said("message"), ..Complaint::default() }))
        }
        None => Err(Broken::Malformed(Malformed::new("the answer has no `output`"))),
    }
}
