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
    if let Some(rate) = inner.get::<u32>("pcm_rate").ok().flatten() {
        return Some(match format {
            "pcm" => (sound.into(), "audio/pcm"),
            _ => (wave(&sound, rate), "audio/wav"),
        });
    }
    let kind = by_beginning(&sound).unwrap_or(match format {
        "wav" => "audio/wav",
        "pcm" => "audio/pcm",
        "flac" => "audio/flac",
        "opus" => "audio/ogg",
        "aac" => "audio/aac",
        _ => "audio/mpeg",
    });
    Some((sound.into(), kind))
}

/// What kind of sound it is, if its first bytes say so.
fn by_beginning(sound: &[u8]) -> Option<&'static str> {
    Some(match sound {
        [b'R', b'I', b'F', b'F', ..] => "audio/wav",
        [b'f', b'L', b'a', b'C', ..] => "audio/flac",
        [b'O', b'g', b'g', b'S', ..] => "audio/ogg",
        [b'I', b'D', b'3', ..] => "audio/mpeg",
        _ => return None,
    })
}

/// Samples of 16 bits and one channel with a head that says so: RIFF WAVE, PCM.
fn wave(samples: &[u8], rate: u32) -> Bytes {
    const HEAD: u32 = 44;
    let length = u32::try_from(samples.len()).unwrap_or(u32::MAX - HEAD);
    let mut out = Vec::with_capacity(samples.len() + HEAD as usize);
    out.extend_from_slice(b"RIFF");
    out.extend_from_slice(&(length.saturating_add(HEAD - 8)).to_le_bytes());
    out.extend_from_slice(b"WAVEfmt ");
    out.extend_from_slice(&16_u32.to_le_bytes());
    // PCM, one channel
    out.extend_from_slice(&[1, 0, 1, 0]);
    out.extend_from_slice(&rate.to_le_bytes());
    out.extend_from_slice(&rate.saturating_mul(2).to_le_bytes());
    // two bytes a frame, 16 bits a sample
    out.extend_from_slice(&[2, 0, 16, 0]);
    out.extend_from_slice(b"data");
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(samples);
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_become_a_file_that_says_what_they_are() {
        let (file, kind) = within(br#"{"audio":"AQIDBA==","pcm_rate":24000}"#, "").expect("it is sound");
        assert_eq!((kind, file.len(), &file[44..]), ("audio/wav", 48, &[1, 2, 3, 4][..]));
        assert_eq!(file[4..8], 40_u32.to_le_bytes());
        assert_eq!((&file[24..28], &file[40..44]), (&24_000_u32.to_le_bytes()[..], &4_u32.to_le_bytes()[..]));
        let (samples, kind) = within(br#"{"audio":"AQIDBA==","pcm_rate":24000}"#, "pcm").expect("it is sound");
        assert_eq!((kind, &samples[..]), ("audio/pcm", &[1, 2, 3, 4][..]));
    }
}
