//! Why an answer ended, in OpenAI's words.
//!
//! <https://ai.google.dev/api/generate-content#FinishReason>

use std::borrow::Cow;

use crate::wire::native::finish::Finish;
use crate::wire::openai::errors::Complaint;

/// Read Google's word; `None` if it is a new one.
fn read(native: &str) -> Option<Finish> {
    match native {
        "FINISH_REASON_UNSPECIFIED" | "CONTINUATION" => Some(Finish::Stop),
        "MISSING_THOUGHT_SIGNATURE" | "MALFORMED_RESPONSE" => Some(Finish::Failed),
        _ => Finish::of(native),
    }
}

/// Whether the model went wrong: with nothing to show for it, that is a failure.
pub(super) fn failed(native: &str) -> bool {
    read(native) == Some(Finish::Failed)
}

/// OpenAI's word, for an answer that calls tools or does not; a word we do not know is passed on.
pub(super) fn word(native: &str, calls: bool) -> Cow<'_, str> {
    match read(native) {
        Some(Finish::Stop | Finish::Failed) if calls => Cow::Borrowed(Finish::ToolCalls.word()),
        Some(finish) => Cow::Borrowed(finish.word()),
        None => Cow::Borrowed(native),
    }
}

/// A model that ended without an answer, as a failure of the provider's: it may go better again.
pub(super) fn nothing(native: &str, message: Option<&str>) -> Complaint {
    let mut said = format!("the model ended without an answer: {native}");
    if let Some(message) = message.filter(|message| !message.is_empty()) {
        said.push_str(": ");
        said.push_str(message);
    }
    Complaint { message: Some(said), code: Some(native.to_owned()), status: Some(502), ..Complaint::default() }
}
