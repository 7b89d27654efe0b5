//! Transcripts by Google's models, which are told what to write down of a sound among their content.
//!
//! <https://ai.google.dev/gemini-api/docs/audio>,
//! <https://cloud.google.com/vertex-ai/generative-ai/docs/multimodal/audio-understanding>. Times are what the model says
//! they are; nothing measures them.

use bytes::{Bytes, BytesMut};
use serde::Serialize;

use super::google::blocked;
use super::heard::{Consumed, Format, Heard, Input, Output, Segment};
use super::hearing::Recording;
use super::read;
use crate::wire::gemini::{Host, stream};
use crate::wire::multipart::{Form, Piece};
use crate::wire::native::json::Json;
use crate::wire::native::{Back, Loss, Posted, Refused, Terms, Translated, invalid};
use crate::wire::openai::errors::Complaint;
use crate::wire::openai::stream::Broken;
use crate::wire::{Malformed, Object, sse};

/// Fields that are carried over.
const KNOWN: [&str; 3] = ["language", "prompt", "temperature"];

/// The form of an answer with times.
const TIMED: &str = r#"{"type":"OBJECT","properties":{"language":{"type":"STRING"},"duration":{"type":"STRING"},"segments":{"type":"ARRAY","items":{"type":"OBJECT","properties":{"start":{"type":"STRING"},"end":{"type":"STRING"},"text":{"type":"STRING"}},"required":["start","end","text"],"propertyOrdering":["start","end","text"]}}},"required":["language","duration","segments"],"propertyOrdering":["language","duration","segments"]}"#;

/// The same with speakers.
const SPEAKERS: &str = r#"{"type":"OBJECT","properties":{"language":{"type":"STRING"},"duration":{"type":"STRING"},"segments":{"type":"ARRAY","items":{"type":"OBJECT","properties":{"speaker":{"type":"STRING"},"start":{"type":"STRING"},"end":{"type":"STRING"},"text":{"type":"STRING"}},"required":["speaker","start","end","text"],"propertyOrdering":["speaker","start","end","text"]}}},"required":["language","duration","segments"],"propertyOrdering":["language","duration","segments"]}"#;

/// The largest request with a sound in it, bytes: <https://ai.google.dev/gemini-api/docs/file-input-methods>, and at
/// Vertex <https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference>.
fn largest(host: Host) -> u64 {
    match host {
        Host::Api => 100_000_000,
        Host::Vertex => 20 << 20,
    }
}

/// A request for the content of a recording. Fails on what is no sound by all that is said of it, and on too much of it.
pub(super) fn ask(form: &Form, terms: &Terms<'_>, host: Host) -> Result<Posted, Refused> {
    let recording = Recording::of(form, terms)?;
    let wanted = recording.wanted;
    let kind = recording.kind().map(known_kind).ok_or_else(|| {
        invalid(
            "file",
            "what kind of sound it is must be told by its content type, as audio/wav, or its name, as tide.mp3",
        )
    })?;
    let mut front = Json::default();
    front.raw(r#"{"contents":[{"role":"user","parts":[{"text":"#).raw(quoted(&instruction(&recording)));
    front.raw(r#"},{"inlineData":{"mimeType":"#).raw(quoted(kind)).raw(r#","data":""#);
    let mut back = Json::default();
    back.raw(r#""}}]}]"#);
    let mut config = Json::default();
    if let Some(temperature) = recording.number("temperature")? {
        config.name("temperature").raw(temperature.to_string());
    }
    let mut losses = recording.losses(&KNOWN);
    if wanted.format.has_times() {
        config.name("responseMimeType").raw(r#""application/json""#);
        config.name("responseSchema").raw(if wanted.format == Format::Diarized { SPEAKERS } else { TIMED });
        if host == Host::Vertex {
            // without it the model does not know where in a sound it is
            config.name("audioTimestamp").raw("true");
        }
        losses.push(Loss { param: "response_format".to_owned(), action: "estimated" });
        if wanted.words {
            losses.push(Loss { param: "timestamp_granularities[]".to_owned(), action: "dropped" });
        }
    }
    if !config.is_empty() {
        back.raw(r#","generationConfig":{"#).raw(&config.0).raw("}");
    }
    back.raw("}");
    let pieces = vec![Piece::New(front.0.into()), Piece::Coded(recording.place()), Piece::New(back.0.into())];
    let (length, largest) = (pieces.iter().map(Piece::length).sum::<u64>(), largest(host));
    if length > largest {
        let sound = recording.place();
        let message = format!(
            "the recording has {} bytes, which makes a request of {length}, and this provider takes {largest} at most: \
             send it in shorter parts, or compressed",
            sound.end - sound.start
        );
        return Err(invalid("file", message));
    }
    Ok(Posted { pieces, kind: "application/json".to_owned(), query: None, losses, back: recording.back(terms) })
}

fn quoted(text: &str) -> Vec<u8> {
    serde_json::to_vec(text).expect("a text always encodes")
}

/// The name that Google has for a kind of sound.
fn known_kind(kind: &str) -> &str {
    match kind {
        "audio/mpeg" | "audio/mpga" | "audio/x-mpeg" | "audio/x-mp3" => "audio/mp3",
        "audio/x-wav" | "audio/wave" | "audio/vnd.wave" => "audio/wav",
        "audio/x-flac" => "audio/flac",
        "audio/x-aiff" => "audio/aiff",
        "audio/x-aac" | "audio/aacp" => "audio/aac",
        "audio/x-m4a" | "audio/mp4a-latm" => "audio/m4a",
        "audio/opus" | "audio/x-ogg" => "audio/ogg",
        other => other,
    }
}

/// What the model is told to do.
fn instruction(recording: &Recording<'_>) -> String {
    let wanted = recording.wanted;
    let mut told = String::from(match wanted.translated {
        false => "Transcribe this recording: write down what is said, word for word, in the language it is said in.",
        true => "Translate this recording: write down in English what is said, whatever language it is said in.",
    });
    if wanted.format.has_times() {
        told += " Divide it into segments of a sentence or less, in order and without gaps in the text. Say of each when \
                 it begins and when it ends, from the beginning of the recording, as MM:SS.mmm; in the same form, say \
                 how long the recording is. Name the language that is spoken in English and in lower case, as french.";
        if wanted.format == Format::Diarized {
            told += " Call the speakers A, B, C and so on, in the order in which they are first heard.";
        }
    } else {
        told += " Answer with the text alone: no times, no names of speakers, no remarks and no markup. If nobody speaks, \
                 answer with nothing.";
    }
    if let Some(language) = recording.text("language") {
        told += &format!(" The language that is spoken is `{}`.", language.trim());
    }
    if let Some(prompt) = recording.text("prompt") {
        told += " The following is no part of the recording and is not to be written down; it is what came before, or \
                 shows names, spellings and style: ";
        told += &String::from_utf8_lossy(&quoted(prompt));
    }
    told
}

/// The transcript. Fails with what keeps it back, and where it ends before the recording does.
pub(super) fn heard(body: Bytes, back: &Back) -> Translated {
    let answer = read(body)?;
    judge(&answer)?;
    if !answer.has("candidates") {
        return Err(Broken::Malformed(Malformed::new("the answer has no candidate")));
    }
    let text = said(&answer)?;
    let mut heard = match back.wanted.format.has_times() {
        true => timed(&text).map_err(Broken::Malformed)?,
        false => Heard { text, ..Heard::default() },
    };
    heard.usage = consumed(&answer);
    heard.answer(back.wanted)
}

/// Fails if the transcript was kept back or broke off.
fn judge(answer: &Object) -> Result<(), Broken> {
    if let Some(broken) = blocked(answer, "no transcript") {
        return Err(broken);
    }
    let finish = |candidate: &Object| candidate.raw("finishReason") == Some(br#""MAX_TOKENS""#);
    match answer.objects("candidates").map_err(Broken::Malformed)?.iter().any(finish) {
        true => {
            let message =
                "the transcript is longer than the model can answer at once (MAX_TOKENS): send the recording in parts";
            Err(Broken::Said(Complaint {
                message: Some(message.to_owned()),
                status: Some(400),
                ..Complaint::default()
            }))
        }
        false => Ok(()),
    }
}

/// What the first candidate says, thoughts left out.
fn said(answer: &Object) -> Result<String, Broken> {
    let mut text = String::new();
    if let Some(candidate) = answer.objects("candidates").map_err(Broken::Malformed)?.first() {
        let content = candidate.object("content").map_err(Broken::Malformed)?.unwrap_or_default();
        for part in content.objects("parts").map_err(Broken::Malformed)? {
            if part.raw("thought") != Some(b"true") {
                text += &part.get::<String>("text").map_err(Broken::Malformed)?.unwrap_or_default();
            }
        }
    }
    Ok(text)
}

/// A transcript with times.
fn timed(text: &str) -> Result<Heard, Malformed> {
    let told = Object::parse(Bytes::copy_from_slice(text.trim().as_bytes()))?;
    let time = |of: &Object, name: &str| -> Result<f64, Malformed> {
        let text: String = of.get(name)?.unwrap_or_default();
        seconds(&text).ok_or_else(|| Malformed::new(format!("`{name}` of a segment is no time: {text:?}")))
    };
    let mut heard = Heard { language: told.get("language")?, ..Heard::default() };
    heard.duration = told.get::<String>("duration")?.as_deref().and_then(seconds);
    for segment in told.objects("segments")? {
        let (start, end) = (time(&segment, "start")?, time(&segment, "end")?);
        let text: String = segment.get("text")?.unwrap_or_default();
        let text = text.trim().to_owned();
        append(&mut heard.text, &text);
        heard.segments.push(Segment {
            start,
            end: end.max(start),
            text,
            speaker: segment.get("speaker")?,
            ..Segment::default()
        });
    }
    Ok(heard)
}

/// Add a segment to a text: with a space, but in scripts that have none.
fn append(all: &mut String, text: &str) {
    let spaceless = |c: char| matches!(c, '\u{2e80}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{ff00}'..='\u{ffef}' | '\u{20000}'..='\u{3ffff}');
    let joined = all.chars().next_back().is_none_or(spaceless) || text.chars().next().is_none_or(spaceless);
    if !joined {
        all.push(' ');
    }
    all.push_str(text);
}

/// `01:02.5`, `1:01:02` or `62.5` in seconds.
fn seconds(text: &str) -> Option<f64> {
    let mut parts = text.trim().split(':');
    let total = parts.by_ref().take(3).try_fold(0.0, |sum, part| {
        let part: f64 = part.trim().replace(',', ".").parse().ok()?;
        (part.is_finite() && part >= 0.0).then_some(sum * 60.0 + part)
    })?;
    parts.next().is_none().then_some(total)
}

/// The tokens of an answer, thoughts among those that came.
fn consumed(answer: &Object) -> Option<Consumed> {
    let usage = answer.object("usageMetadata").ok()??;
    let count = |name: &str| usage.get::<u64>(name).ok().flatten();
    let input_tokens = count("promptTokenCount")?;
    let of = |modality: &str| -> u64 {
        let details = usage.objects("promptTokensDetails").unwrap_or_default();
        let fits =
            |detail: &&Object| detail.get::<String>("modality").ok().flatten().is_some_and(|kind| kind == modality);
        details
            .iter()
            .filter(fits)
            .filter_map(|detail| detail.get::<u64>("tokenCount").ok()?)
            .fold(0, u64::saturating_add)
    };
    let thoughts = count("thoughtsTokenCount").filter(|thoughts| *thoughts > 0);
    let output_tokens = count("candidatesTokenCount").unwrap_or_default().saturating_add(thoughts.unwrap_or_default());
    Some(Consumed::Tokens {
        input_tokens,
        input_token_details: Input {
            text_tokens: of("TEXT"),
            audio_tokens: of("AUDIO"),
            cached_tokens: count("cachedContentTokenCount"),
        },
        output_tokens,
        output_tokens_details: thoughts.map(|reasoning_tokens| Output { reasoning_tokens }),
        total_tokens: input_tokens.saturating_add(output_tokens),
    })
}

/// The state of a streamed transcript: Google's frames become OpenAI's events.
#[derive(Default)]
pub struct Decoder {
    frames: sse::Frames,
    text: String,
    usage: Option<Consumed>,
    finished: bool,
}

impl Decoder {
    /// Take what arrived, and append the events it comes to. Fails where the provider reports a failure or keeps the rest
    /// back, and on what is no event of its.
    pub fn push(&mut self, chunk: Bytes, out: &mut BytesMut) -> Result<(), Broken> {
        sse::split(self.frames.within(sse::LONGEST, chunk)?).try_for_each(|frame| self.frame(&frame, out))
    }

    /// The provider has closed the stream: append the last event. Fails if the transcript was not finished.
    pub fn end(&mut self, out: &mut BytesMut) -> Result<(), Broken> {
        let rest = self.frames.end();
        if !rest.trim_ascii().is_empty() {
            self.frame(&rest, out).map_err(Broken::at_the_end)?;
        }
        if !self.finished {
            return Err(Broken::Truncated);
        }
        #[derive(Serialize)]
        struct Done<'a> {
            r#type: &'static str,
            text: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            usage: Option<&'a Consumed>,
        }
        send(&Done { r#type: "transcript.text.done", text: self.text.trim(), usage: self.usage.as_ref() }, out);
        Ok(())
    }

    fn frame(&mut self, frame: &Bytes, out: &mut BytesMut) -> Result<(), Broken> {
        let Some(data) = stream::said(frame)? else { return Ok(()) };
        let answer = read(data)?;
        let delta = said(&answer)?;
        if !delta.is_empty() {
            #[derive(Serialize)]
            struct Delta<'a> {
                r#type: &'static str,
                delta: &'a str,
            }
            self.text += &delta;
            send(&Delta { r#type: "transcript.text.delta", delta: &delta }, out);
        }
        self.usage = consumed(&answer).or(self.usage.take());
        judge(&answer)?;
        let candidates = answer.objects("candidates").map_err(Broken::Malformed)?;
        self.finished |=
            candidates.iter().any(|candidate| candidate.raw("finishReason").is_some_and(|reason| reason.len() > 2));
        Ok(())
    }
}

fn send(event: &impl Serialize, out: &mut BytesMut) {
    let event = serde_json::to_vec(event).expect("texts and numbers are always JSON");
    out.extend_from_slice(&sse::frame(&event));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_models_write_them() {
        let check = |text: &str, expected: Option<f64>| assert_eq!(seconds(text), expected, "{text}");
        check("01:02.500", Some(62.5));
        check("1:01:02,25", Some(3662.25));
        check("62.5", Some(62.5));
        check("00:00", Some(0.0));
        check("1:2:3:4", None);
        check("-1:00", None);
        check("soon", None);
        check("", None);
    }

    #[test]
    fn segments_make_a_text_in_any_script() {
        let text = |segments: &[&str]| {
            let mut all = String::new();
            segments.iter().for_each(|segment| append(&mut all, segment));
            all
        };
        assert_eq!(text(&["High tide.", "Low tide."]), "High tide. Low tide.");
        assert_eq!(text(&["満潮です。", "干潮です。"]), "満潮です。干潮です。");
    }
}
