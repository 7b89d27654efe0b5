//! Sound at Cloudflare, where each maker's models have a form of their own: Whisper and MeloTTS, and Deepgram's.
//!
//! <https://developers.cloudflare.com/workers-ai/models/>: the page of each model has its schema.

use bytes::Bytes;
use serde::Serialize;

use super::heard::{Consumed, Format, Heard, Segment, Word};
use super::hearing::Recording;
use super::{read, request, text};
use crate::wire::multipart::{Form, Piece};
use crate::wire::native::json::Json;
use crate::wire::native::{Back, Loss, Posted, Refused, Request, Terms, Translated, invalid};
use crate::wire::openai::stream::Broken;
use crate::wire::{Malformed, Object};

/// Fields that the model with the most of them takes beside those of OpenAI's.
const WHISPERS: [&str; 8] = [
    "vad_filter",
    "prefix",
    "beam_size",
    "condition_on_previous_text",
    "no_speech_threshold",
    "compression_ratio_threshold",
    "log_prob_threshold",
    "hallucination_silence_threshold",
];

/// Fields of OpenAI's that Deepgram's models have no word for.
const NOT_DEEPGRAMS: [&str; 6] =
    ["prompt", "temperature", "include[]", "chunking_strategy", "known_speaker_names[]", "known_speaker_references[]"];

fn is_deepgrams(model: &str) -> bool {
    model.contains("/deepgram/")
}

/// Models that take the sound as it is and nothing else.
fn takes_sound_alone(model: &str) -> bool {
    model.ends_with("/whisper") || model.ends_with("/whisper-tiny-en")
}

/// A recording in its model's form. Fails on what the model cannot give.
pub(super) fn transcript(form: &Form, terms: &Terms<'_>) -> Result<Posted, Refused> {
    let recording = Recording::of(form, terms)?;
    let diarized = recording.wanted.format == Format::Diarized;
    match terms.model {
        model if recording.wanted.translated && (is_deepgrams(model) || takes_sound_alone(model)) => {
            Err(invalid("model", format!("`{model}` does not translate; @cf/openai/whisper-large-v3-turbo does")))
        }
        model if is_deepgrams(model) => Ok(to_deepgram(&recording, terms)),
        _ if diarized => Err(Refused::Unsupported { param: "response_format".to_owned() }),
        model if takes_sound_alone(model) => Ok(sound(&recording, terms)),
        _ => Ok(to_whisper(&recording, terms)),
    }
}

/// The sound as it is.
fn sound(recording: &Recording<'_>, terms: &Terms<'_>) -> Posted {
    let kind = recording.kind().unwrap_or("application/octet-stream").to_owned();
    let (pieces, losses) = (vec![Piece::Kept(recording.place())], recording.losses(&[]));
    Posted { pieces, kind, query: None, losses, back: recording.back(terms) }
}

/// The sound in base64, with what else is said of it.
fn to_whisper(recording: &Recording<'_>, terms: &Terms<'_>) -> Posted {
    let mut front = Json::default();
    front.raw("{");
    if recording.wanted.translated {
        front.member_text("task", "translate");
    }
    for (field, member) in [("language", "language"), ("prompt", "initial_prompt")] {
        recording.text(field).into_iter().for_each(|text| front.member_text(member, text));
    }
    for name in WHISPERS {
        match recording.text(name).map(str::trim) {
            // a form has texts alone
            Some(value) if name != "prefix" && is_plain(value) => front.member(name, value),
            Some(value) => front.member_text(name, value),
            None => {}
        }
    }
    front.name("audio").raw(r#"""#);
    let pieces =
        vec![Piece::New(front.0.into()), Piece::Coded(recording.place()), Piece::New(Bytes::from_static(b"\"}"))];
    let known: Vec<&str> = WHISPERS.iter().copied().chain(["language", "prompt"]).collect();
    let (kind, losses) = ("application/json".to_owned(), recording.losses(&known));
    Posted { pieces, kind, query: None, losses, back: recording.back(terms) }
}

/// Whether a text is a number or a boolean in JSON.
fn is_plain(text: &str) -> bool {
    matches!(text, "true" | "false") || serde_json::from_str::<f64>(text).is_ok()
}

/// The sound as it is, with all else behind the path. What is not OpenAI's goes on by its own name.
fn to_deepgram(recording: &Recording<'_>, terms: &Terms<'_>) -> Posted {
    let own = recording.others(&[&NOT_DEEPGRAMS[..], &["language"]].concat());
    let passed: Vec<&str> = own.iter().map(|(name, _)| *name).chain(["language"]).collect();
    let losses = recording.losses(&passed);
    let format = recording.wanted.format;
    let usual = [
        match recording.text("language") {
            Some(language) => Some(("language", language.trim())),
            None => Some(("detect_language", "true")),
        },
        Some(("smart_format", "true")),
        format.has_times().then_some(("utterances", "true")),
        (format == Format::Diarized).then_some(("diarize", "true")),
    ];
    // what the caller says of these holds
    let usual = usual.into_iter().flatten().filter(|(name, _)| !own.iter().any(|(other, _)| other == name));
    let all = usual.chain(own.iter().copied()).map(|(name, value)| format!("{}={}", escape(name), escape(value)));
    let query = all.collect::<Vec<_>>().join("&");
    Posted { query: Some(query), losses, ..sound(recording, terms) }
}

/// A name or value of a query.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// The transcript of any of them.
pub(super) fn heard(body: Bytes, back: &Back) -> Translated {
    let answer = read(body)?;
    let answer = answer.object("result").map_err(Broken::Malformed)?.unwrap_or(answer);
    let heard = match answer.object("results").map_err(Broken::Malformed)? {
        Some(results) => of_deepgram(&answer, &results),
        None => of_whisper(&answer),
    };
    heard.map_err(Broken::Malformed)?.answer(back.wanted)
}

fn of_whisper(answer: &Object) -> Result<Heard, Malformed> {
    let text = answer.get("text")?.ok_or_else(|| Malformed::new("the answer has no `text`"))?;
    let mut heard = Heard { text, words: words(answer)?, ..Heard::default() };
    if let Some(info) = answer.object("transcription_info")? {
        heard.language = info.get("language")?;
        heard.duration = info.get("duration")?;
    }
    for segment in answer.objects("segments")? {
        heard.words.extend(words(&segment)?);
        heard.segments.push(Segment {
            start: segment.get("start")?.unwrap_or_default(),
            end: segment.get("end")?.unwrap_or_default(),
            text: segment.get("text")?.unwrap_or_default(),
            temperature: segment.get("temperature")?,
            avg_logprob: segment.get("avg_logprob")?,
            compression_ratio: segment.get("compression_ratio")?,
            no_speech_prob: segment.get("no_speech_prob")?,
            ..Segment::default()
        });
    }
    heard.usage = heard.duration.map(|seconds| Consumed::Duration { seconds });
    Ok(heard)
}

fn of_deepgram(answer: &Object, results: &Object) -> Result<Heard, Malformed> {
    let mut heard = Heard::default();
    let mut said: Vec<(Word, Option<u64>)> = Vec::new();
    for channel in results.objects("channels")? {
        heard.language = heard.language.or(channel.get("detected_language")?);
        let alternatives = channel.objects("alternatives")?;
        let Some(best) = alternatives.first() else { continue };
        if !heard.text.is_empty() {
            heard.text.push('\n');
        }
        heard.text += &best.get::<String>("transcript")?.unwrap_or_default();
        let speakers = best.objects("words")?;
        let speakers = speakers.iter().map(|word| word.get("speaker")).collect::<Result<Vec<_>, _>>()?;
        said.extend(words(best)?.into_iter().zip(speakers));
    }
    for utterance in results.objects("utterances")? {
        heard.segments.push(Segment {
            start: utterance.get("start")?.unwrap_or_default(),
            end: utterance.get("end")?.unwrap_or_default(),
            text: utterance.get("transcript")?.unwrap_or_default(),
            speaker: utterance.get("speaker")?.map(letter),
            ..Segment::default()
        });
    }
    if heard.segments.is_empty() && said.iter().any(|(_, speaker)| speaker.is_some()) {
        heard.segments = turns(&said);
    }
    heard.words = said.into_iter().map(|(word, _)| word).collect();
    heard.duration = answer.object("metadata")?.and_then(|metadata| metadata.get("duration").ok().flatten());
    heard.usage = heard.duration.map(|seconds| Consumed::Duration { seconds });
    Ok(heard)
}

/// Words in a row that one speaker says.
fn turns(said: &[(Word, Option<u64>)]) -> Vec<Segment> {
    let turn = |words: &[(Word, Option<u64>)]| Segment {
        start: words.first().map_or(0.0, |(word, _)| word.start),
        end: words.last().map_or(0.0, |(word, _)| word.end),
        text: words.iter().map(|(word, _)| word.word.as_str()).collect::<Vec<_>>().join(" "),
        speaker: words.first().and_then(|(_, speaker)| *speaker).map(letter),
        ..Segment::default()
    };
    said.chunk_by(|(_, one), (_, next)| one == next).map(turn).collect()
}

/// What OpenAI calls a speaker who is told by a number: A, B, and so on.
fn letter(speaker: u64) -> String {
    match u8::try_from(speaker).ok().filter(|speaker| *speaker < 26) {
        Some(speaker) => char::from(b'A' + speaker).to_string(),
        None => speaker.to_string(),
    }
}

fn words(of: &Object) -> Result<Vec<Word>, Malformed> {
    let word = |word: &Object| {
        let text: String = word.get("punctuated_word")?.or(word.get("word")?).unwrap_or_default();
        let text = text.trim().to_owned();
        let (start, end) = (word.get("start")?.unwrap_or_default(), word.get("end")?.unwrap_or_default());
        Ok(Word { word: text, start, end })
    };
    of.objects("words")?.iter().map(word).collect()
}

/// A text in its model's form. Fails on forms of sound that the model does not have.
pub(super) fn speech(ask: &Object, terms: &Terms<'_>) -> Result<Request, Refused> {
    let format = ask.get::<String>("response_format")?;
    if terms.model.contains("melotts") {
        #[derive(Serialize)]
        struct Body {
            prompt: String,
            #[serde(skip_serializing_if = "Option::is_none")]
            lang: Option<String>,
        }
        let lang = ask.get("lang")?.or(ask.get("language")?);
        let body = Body { prompt: text(ask, "input")?, lang };
        let mut made = request(ask, terms, &body, &["input", "lang", "language"]);
        // its page promises MP3, callers report WAV: <https://github.com/cloudflare/cloudflare-docs/issues/25480>
        made.losses.extend(format.map(|_| Loss { param: "response_format".to_owned(), action: "dropped" }));
        return Ok(made);
    }
    #[derive(Serialize)]
    struct Body {
        text: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        speaker: Option<String>,
        encoding: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        container: Option<&'static str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        sample_rate: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        bit_rate: Option<u64>,
    }
    // <https://developers.deepgram.com/docs/tts-media-output-settings>; OpenAI's samples are 24,000 a second
    let (encoding, container, usual_rate) = match format.as_deref().unwrap_or("mp3") {
        "mp3" => ("mp3", None, None),
        "opus" => ("opus", Some("ogg"), None),
        "aac" => ("aac", None, None),
        "flac" => ("flac", None, None),
        "wav" => ("linear16", Some("wav"), None),
        "pcm" => ("linear16", Some("none"), Some(24_000)),
        _ => return Err(Refused::Unsupported { param: "response_format".to_owned() }),
    };
    let body = Body {
        text: text(ask, "input")?,
        speaker: ask.get("voice")?,
        encoding,
        container,
        sample_rate: ask.get("sample_rate")?.or(usual_rate),
        bit_rate: ask.get("bit_rate")?,
    };
    Ok(request(ask, terms, &body, &["input", "voice", "sample_rate", "bit_rate"]))
}
