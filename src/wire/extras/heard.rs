//! What a vendor has heard in a recording, in OpenAI's words: as much as it says, and no member that it says nothing about.

use serde::Serialize;

use super::made;
use crate::wire::native::Translated;

/// The forms of a transcript.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// The text, in JSON.
    #[default]
    Json,
    /// The text alone.
    Text,
    /// Subtitles.
    Srt,
    /// Subtitles for the web.
    Vtt,
    /// The text and when what was said.
    Verbose,
    /// The text and who said what and when.
    Diarized,
}

impl Format {
    /// The form of this name.
    pub(super) fn of(word: &str) -> Option<Self> {
        Some(match word {
            "json" => Format::Json,
            "text" => Format::Text,
            "srt" => Format::Srt,
            "vtt" => Format::Vtt,
            "verbose_json" => Format::Verbose,
            "diarized_json" => Format::Diarized,
            _ => return None,
        })
    }

    /// Whether it says when what was said.
    pub(super) fn has_times(self) -> bool {
        !matches!(self, Format::Json | Format::Text)
    }
}

/// What is to come back of a recording.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// In which form.
    pub format: Format,
    /// Whether in English, whatever was spoken.
    pub translated: bool,
    /// Whether with the times of words.
    pub words: bool,
    /// Whether with the times of segments.
    pub segments: bool,
}

/// What was heard.
#[derive(Default)]
pub(in crate::wire) struct Heard {
    pub(in crate::wire) text: String,
    pub(in crate::wire) language: Option<String>,
    /// Of the recording, seconds.
    pub(in crate::wire) duration: Option<f64>,
    pub(in crate::wire) segments: Vec<Segment>,
    pub(in crate::wire) words: Vec<Word>,
    pub(in crate::wire) usage: Option<Consumed>,
}

/// A stretch of speech, times in seconds.
#[derive(Default, Serialize)]
pub(in crate::wire) struct Segment {
    /// Its place among the segments, set when they are all there.
    pub(in crate::wire) id: usize,
    pub(in crate::wire) start: f64,
    pub(in crate::wire) end: f64,
    pub(in crate::wire) text: String,
    #[serde(skip)]
    pub(in crate::wire) speaker: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::wire) temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::wire) avg_logprob: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::wire) compression_ratio: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::wire) no_speech_prob: Option<f64>,
}

/// A word, times in seconds.
#[derive(Serialize)]
pub(in crate::wire) struct Word {
    pub(in crate::wire) word: String,
    pub(in crate::wire) start: f64,
    pub(in crate::wire) end: f64,
}

/// What it took.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(in crate::wire) enum Consumed {
    Tokens {
        input_tokens: u64,
        input_token_details: Input,
        output_tokens: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        output_tokens_details: Option<Output>,
        total_tokens: u64,
    },
    Duration {
        seconds: f64,
    },
}

/// Of the tokens that were sent.
#[derive(Serialize)]
pub(in crate::wire) struct Input {
    pub(in crate::wire) text_tokens: u64,
    pub(in crate::wire) audio_tokens: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::wire) cached_tokens: Option<u64>,
}

/// Of the tokens that came.
#[derive(Serialize)]
pub(in crate::wire) struct Output {
    pub(in crate::wire) reasoning_tokens: u64,
}

#[derive(Serialize)]
struct Diarized<'a> {
    r#type: &'static str,
    id: String,
    start: f64,
    end: f64,
    text: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    speaker: Option<&'a str>,
}

impl<'a> Diarized<'a> {
    fn of(segment: &'a Segment) -> Self {
        let Segment { id, start, end, text, speaker, .. } = segment;
        let (id, speaker) = (format!("seg_{id}"), speaker.as_deref());
        Self { r#type: "transcript.text.segment", id, start: *start, end: *end, text, speaker }
    }
}

#[derive(Serialize)]
struct Told<'a, S> {
    #[serde(skip_serializing_if = "Option::is_none")]
    task: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    language: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration: Option<f64>,
    text: &'a str,
    #[serde(skip_serializing_if = "<[Word]>::is_empty")]
    words: &'a [Word],
    #[serde(skip_serializing_if = "Option::is_none")]
    segments: Option<S>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<&'a Consumed>,
}

impl Heard {
    /// The answer with all there is, for vendors that are told nothing of its form.
    pub(in crate::wire) fn all(self) -> Translated {
        self.answer(Wanted { format: Format::Verbose, segments: true, ..Wanted::default() })
    }

    /// The answer in JSON: for forms that are none, with all that they are made of.
    pub(super) fn answer(mut self, wanted: Wanted) -> Translated {
        self.segments.iter_mut().enumerate().for_each(|(at, segment)| segment.id = at);
        let (text, usage) = (self.text.trim(), self.usage.as_ref());
        let plain =
            Told::<&[Segment]> { task: None, language: None, duration: None, text, words: &[], segments: None, usage };
        let task = Some(if wanted.translated { "translate" } else { "transcribe" });
        match wanted.format {
            Format::Json | Format::Text => made(&plain),
            Format::Diarized => {
                let segments = Some(self.segments.iter().map(Diarized::of).collect::<Vec<_>>());
                made(&Told { task, language: None, duration: self.duration, text, words: &[], segments, usage })
            }
            Format::Srt | Format::Vtt | Format::Verbose => {
                let all = wanted.format != Format::Verbose;
                // words are better than nothing where there are no segments
                let words = if all || wanted.words || self.segments.is_empty() { &self.words[..] } else { &[] };
                let segments =
                    Some(&self.segments[..]).filter(|all_there| (all || wanted.segments) && !all_there.is_empty());
                let (language, duration) = (self.language.as_deref(), self.duration);
                made(&Told { task, language, duration, text, words, segments, usage })
            }
        }
    }
}
