//! Speech and transcripts: names that hosts have for what OpenAI calls otherwise.

use super::{invalid, is};
use crate::call::Error;
use crate::providers::spec::Notes;
use crate::wire::Object;
use crate::wire::extras::transcripts;
use crate::wire::multipart::Draft;

/// Mistral's speech: voices have ids, and a stream is asked for as elsewhere.
pub fn mistral(body: &mut Object, notes: &mut Notes<'_>) -> Result<(), Error> {
    body.rename("voice", "voice_id");
    if is(body, "stream_format", r#""sse""#) {
        body.set("stream", &true);
    }
    body.remove("stream_format");
    ["speed", "instructions"].into_iter().try_for_each(|param| notes.lacks(body, param))
}

/// Mistral's transcripts have one form; subtitles are made here, of segments.
pub fn mistral_form(draft: &mut Draft<'_>) -> Result<(), Error> {
    if matches!(draft.text("response_format"), Some("srt" | "vtt")) && !draft.has("timestamp_granularities[]") {
        draft.set("timestamp_granularities[]", "segment");
    }
    draft.remove("response_format");
    draft.rename("timestamp_granularities[]", "timestamp_granularities");
    Ok(())
}

/// Those who have no subtitles: they are made here, of everything else there is.
pub fn no_subtitles(draft: &mut Draft<'_>) -> Result<(), Error> {
    transcripts::all_there_is(draft);
    Ok(())
}

/// Those who have JSON alone.
pub fn json_only(draft: &mut Draft<'_>) -> Result<(), Error> {
    transcripts::all_there_is(draft);
    if draft.text("response_format") == Some("text") {
        draft.set("response_format", "json");
    }
    Ok(())
}

/// Those who have the text and nothing about it: what can't be made of that is refused.
pub fn text_alone(draft: &mut Draft<'_>) -> Result<(), Error> {
    match draft.text("response_format") {
        None | Some("json" | "text") => {
            draft.remove("response_format");
            Ok(())
        }
        Some(other) => Err(invalid("response_format", format!("this provider has no `{other}`, only json and text"))),
    }
}

/// Those who answer whole: the events of a stream are made here.
pub fn told_as_events(draft: &mut Draft<'_>) -> Result<(), Error> {
    draft.remove("stream");
    Ok(())
}

/// Those who do not find out which language is spoken.
pub fn language_is_said(draft: &mut Draft<'_>) -> Result<(), Error> {
    match draft.text("language") {
        Some(language) if !language.trim().is_empty() => Ok(()),
        _ => Err(invalid("language", "must say which language is spoken, as `en`: this provider does not find out")),
    }
}

/// xAI's transcripts: there is one model, and one form with words and their times.
pub fn xai_form(draft: &mut Draft<'_>) -> Result<(), Error> {
    draft.remove("model");
    draft.remove("response_format");
    draft.remove("timestamp_granularities[]");
    Ok(())
}
