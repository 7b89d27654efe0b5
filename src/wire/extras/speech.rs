//! Speech of Google's models, which comes as samples in an answer's content, and of Hugging Face's own backend.

use bytes::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;

use super::google::{Tokens, blocked};
use super::{made, read, request, text};
use crate::wire::native::{Back, Loss, Refused, Request, Terms, Translated};
use crate::wire::openai::stream::Broken;
use crate::wire::{Malformed, Object};

/// The rate at which Google's models speak where the answer names none, samples a second.
const RATE: u32 = 24_000;

/// <https://ai.google.dev/gemini-api/docs/speech-generation>. How it is said is part of what is to be said.
pub fn google(ask: &Object, terms: &Terms<'_>) -> Result<Request, Refused> {
    #[derive(Serialize)]
    struct Part {
        text: String,
    }
    #[derive(Serialize)]
    struct Content {
        role: &'static str,
        parts: [Part; 1],
    }
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Prebuilt {
        voice_name: String,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Voice {
        prebuilt_voice_config: Prebuilt,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Speech {
        voice_config: Voice,
        #[serde(skip_serializing_if = "Option::is_none")]
        language_code: Option<String>,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Config {
        response_modalities: [&'static str; 1],
        speech_config: Speech,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Body {
        contents: [Content; 1],
        generation_config: Config,
    }
    // samples can be sent as they are or with a head, and nothing here compresses
    if let Some(format) = ask.get::<String>("response_format")?
        && !matches!(format.as_str(), "wav" | "pcm")
    {
        return Err(Refused::Unsupported { param: "response_format".to_owned() });
    }
    let said = text(ask, "input")?;
    let said = match ask.get::<String>("instructions")?.as_deref().map(str::trim) {
        None | Some("") => said,
        Some(how) => format!("{}: {said}", how.trim_end_matches(['.', ':'])),
    };
    let voice_name = ask.get("voice")?.unwrap_or_else(|| "Kore".to_owned());
    let voice_config = Voice { prebuilt_voice_config: Prebuilt { voice_name } };
    let speech_config = Speech { voice_config, language_code: ask.get("language")? };
    let generation_config = Config { response_modalities: ["AUDIO"], speech_config };
    let body = Body { contents: [Content { role: "user", parts: [Part { text: said }] }], generation_config };
    Ok(request(ask, terms, &body, &["input", "voice", "instructions", "language"]))
}

/// The samples, in base64, and how many a second they are. Fails with what keeps them back.
pub fn of_google(body: Bytes, _: &Back) -> Translated {
    #[derive(Serialize)]
    struct Spoken {
        audio: String,
        pcm_rate: u32,
        #[serde(skip_serializing_if = "Option::is_none")]
        usage: Option<Tokens>,
    }
    let answer = read(body)?;
    for candidate in answer.objects("candidates").map_err(Broken::Malformed)? {
        let content = candidate.object("content").map_err(Broken::Malformed)?.unwrap_or_default();
        for part in content.objects("parts").map_err(Broken::Malformed)? {
            let Some(data) = part.object("inlineData").map_err(Broken::Malformed)? else { continue };
            let Some(audio) = data.get("data").map_err(Broken::Malformed)? else { continue };
            let kind: String = data.get("mimeType").ok().flatten().unwrap_or_default();
            let rate = kind.split("rate=").nth(1).and_then(|rate| rate.split(';').next()?.trim().parse().ok());
            return made(&Spoken { audio, pcm_rate: rate.unwrap_or(RATE), usage: Tokens::of(&answer) });
        }
    }
    Err(blocked(&answer, "no speech").unwrap_or_else(|| Broken::Malformed(Malformed::new("the answer has no sound"))))
}

/// Hugging Face: <https://huggingface.co/docs/huggingface_hub/package_reference/inference_types> (text to speech). The model
/// alone decides about the voice and the form of the sound, which its content type tells.
pub fn hugging_face(ask: &Object, terms: &Terms<'_>) -> Result<Request, Refused> {
    #[derive(Serialize)]
    struct Body<'a> {
        inputs: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        parameters: Option<&'a RawValue>,
    }
    let body = Body { inputs: text(ask, "input")?, parameters: ask.get("parameters")? };
    let mut made = request(ask, terms, &body, &["input", "parameters"]);
    if ask.raw("response_format").is_some_and(|format| format != b"null") {
        made.losses.push(Loss { param: "response_format".to_owned(), action: "dropped" });
    }
    Ok(made)
}
