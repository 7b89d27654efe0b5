//! Transcripts in the form the caller asked for, made of what the provider has: text, or subtitles of its segments.

use crate::wire::multipart::Draft;
use crate::wire::{Malformed, Object};

/// A stretch of speech, seconds.
struct Line {
    from: f64,
    to: f64,
    text: String,
}

/// Words that make one subtitle where there are no segments.
const WORDS: usize = 8;

/// Ask for everything there is, since the provider has no subtitles; the caller's form is made here.
pub fn all_there_is(draft: &mut Draft<'_>) {
    if matches!(draft.text("response_format"), Some("srt" | "vtt")) {
        draft.set("response_format", "verbose_json");
    }
}

/// Whether an answer in JSON is to be made into this form.
pub fn is_made(format: &str) -> bool {
    matches!(format, "text" | "srt" | "vtt")
}

/// The transcript in this form. Fails if subtitles are asked for and nothing says when what was said.
pub fn render(answer: &Object, format: &str) -> Result<String, Malformed> {
    let text: String = answer.get("text")?.unwrap_or_default();
    if format == "text" {
        return Ok(format!("{}\n", text.trim()));
    }
    let lines = lines(answer)?;
    if lines.is_empty() && !text.trim().is_empty() {
        return Err(Malformed::new("the transcript does not say when what was said"));
    }
    let vtt = format == "vtt";
    let mut out = String::from(if vtt { "WEBVTT\n\n" } else { "" });
    for (at, line) in lines.iter().enumerate() {
        if !vtt {
            out.push_str(&format!("{}\n", at + 1));
        }
        out.push_str(&format!("{} --> {}\n{}\n\n", time(line.from, vtt), time(line.to, vtt), line.text.trim()));
    }
    Ok(out)
}

/// Whether a transcript in this form is its text, so that nothing is lost where it is told as events.
pub fn is_plain(format: &str) -> bool {
    matches!(format, "" | "json" | "text")
}

fn lines(answer: &Object) -> Result<Vec<Line>, Malformed> {
    let line = |item: &Object| -> Result<Line, Malformed> {
        let text = item.get("text")?.or(item.get("word")?).unwrap_or_default();
        Ok(Line { from: item.get("start")?.unwrap_or_default(), to: item.get("end")?.unwrap_or_default(), text })
    };
    let segments = answer.objects("segments")?;
    if !segments.is_empty() {
        return segments.iter().map(line).collect();
    }
    let words = answer.objects("words")?.iter().map(line).collect::<Result<Vec<_>, _>>()?;
    let joined = |words: &[Line]| Line {
        from: words.first().map_or(0.0, |word| word.from),
        to: words.last().map_or(0.0, |word| word.to),
        text: words.iter().map(|word| word.text.trim()).collect::<Vec<_>>().join(" "),
    };
    Ok(words.chunks(WORDS).map(joined).collect())
}

/// `00:01:02,345`, with a point in WebVTT.
fn time(seconds: f64, vtt: bool) -> String {
    let millis = (seconds.max(0.0) * 1000.0).round() as u64;
    let (hours, minutes, seconds) = (millis / 3_600_000, millis / 60_000 % 60, millis / 1000 % 60);
    let point = if vtt { '.' } else { ',' };
    format!("{hours:02}:{minutes:02}:{seconds:02}{point}{:03}", millis % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subtitles_are_made_of_segments_or_else_of_words() {
        let check = |answer: &'static str, format: &str, expected: Option<&str>| {
            let answer = Object::parse(answer.into()).expect("an object");
            assert_eq!(render(&answer, format).ok().as_deref(), expected, "{format}");
        };
        let segments = r#"{"text":" High tide.","segments":[{"start":0,"end":1.5,"text":" High"},{"start":3661.25,"end":3662,"text":" tide."}]}"#;
        let srt = "1\n00:00:00,000 --> 00:00:01,500\nHigh\n\n2\n01:01:01,250 --> 01:01:02,000\ntide.\n\n";
        check(segments, "srt", Some(srt));
        check(segments, "text", Some("High tide.\n"));
        let words =
            r#"{"text":"High tide.","words":[{"start":0.5,"end":1,"word":"High"},{"start":1,"end":2,"text":"tide."}]}"#;
        check(words, "vtt", Some("WEBVTT\n\n00:00:00.500 --> 00:00:02.000\nHigh tide.\n\n"));
        check(r#"{"text":"High tide."}"#, "srt", None);
        check(r#"{"text":""}"#, "srt", Some(""));
    }
}
