//! Speech in other forms than OpenAI's.

use bytes::Bytes;
use serde::Serialize;

use super::{request, text, unbase64};
use crate::wire::Object;
use crate::wire::native::{Refused, Request, Terms};

/// xAI: <https://docs.x.ai/docs/guides/text-to-speech>.
pub fn xai(ask: &Object, terms: &Terms<'_>) -> Result<Request, Refused> {
    #[derive(Serialize)]
    struct Format {
        codec: String,
    }
    #[derive(Serialize)]
    struct Body {
        text: String,
        voice_id: String,
        language: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        output_format: Option<Format>,
        #[serde(skip_serializing_if = "Option::is_none")]
        speed: Option<f64>,
    }
    let codec = match ask.get::<String>("response_format")? {
        Some(codec) if !matches!(codec.as_str(), "mp3" | "wav" | "pcm" | "mulaw" | "alaw") => {
            return Err(Refused::Unsupported { param: "response_format".to_owned() });
        }
        codec => codec,
    };
    let body = Body {
        text: text(ask, "input")?,
        voice_id: ask.get("voice")?.unwrap_or_else(|| "eve".to_owned()),
        language: ask.get("language")?.unwrap_or_else(|| "auto".to_owned()),
        output_format: codec.map(|codec| Format { codec }),
        speed: ask.get("speed")?,
    };
    Ok(request(ask, terms, &body, &["input", "voice", "language", "speed"]))
}

/// The sound in an answer that should have been one: base64 in one of its members, and its content type.
pub fn within(body: &[u8], format: &str) -> Option<(Bytes, &'static str)> {
    let answer = Object::parse(Bytes::copy_from_slice(body)).ok()?;
    let inner = answer.object("result").ok().flatten().unwrap_or(answer);
    let found = ["audio_data", "audio", "data"].iter().find_map(|name| inner.get::<String>(name).ok().flatten())?;
    let sound = unbase64(found.rsplit_once(";base64,").map_or(found.as_str(), |(_, data)| data))?;
    let kind = match format {
        "wav" => "audio/wav",
        "pcm" => "audio/pcm",
        "flac" => "audio/flac",
        "opus" => "audio/ogg",
        "aac" => "audio/aac",
        _ => "audio/mpeg",
    };
    Some((sound.into(), kind))
}
