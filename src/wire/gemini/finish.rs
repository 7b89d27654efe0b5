//! Why an answer ended, in OpenAI's words.
//!
//! <https://ai.google.dev/api/generate-content#FinishReason>

use std::borrow::Cow;

use crate::wire::openai::errors::Complaint;

/// What a finish reason means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Finish {
    /// OpenAI has a word for it.
    As(&'static str),
    /// The model went wrong: with nothing to show for it, that is a failure.
    Failed,
    /// A word we do not know, passed on.
    Other(String),
}

impl Finish {
    /// Read Google's word.
    pub(super) fn of(native: &str) -> Self {
        match native.trim().to_ascii_uppercase().as_str() {
            "STOP" | "FINISH_REASON_UNSPECIFIED" | "CONTINUATION" => Finish::As("stop"),
            "MAX_TOKENS" => Finish::As("length"),
            "SAFETY"
            | "RECITATION"
            | "LANGUAGE"
            | "BLOCKLIST"
            | "PROHIBITED_CONTENT"
            | "SPII"
            | "IMAGE_SAFETY"
            | "IMAGE_PROHIBITED_CONTENT"
            | "IMAGE_RECITATION"
            | "MODEL_ARMOR"
            | "JAILBREAK" => Finish::As("content_filter"),
            "MALFORMED_FUNCTION_CALL"
            | "UNEXPECTED_TOOL_CALL"
            | "TOO_MANY_TOOL_CALLS"
            | "MISSING_THOUGHT_SIGNATURE"
            | "MALFORMED_RESPONSE"
            | "OTHER"
            | "IMAGE_OTHER"
            | "NO_IMAGE" => Finish::Failed,
            _ => Finish::Other(native.to_owned()),
        }
    }

    /// OpenAI's word, for an answer that calls tools or does not.
    pub(super) fn word(&self, calls: bool) -> Cow<'_, str> {
        match self {
            Finish::As("stop") | Finish::Failed if calls => Cow::Borrowed("tool_calls"),
            Finish::As(word) => Cow::Borrowed(word),
            Finish::Failed => Cow::Borrowed("stop"),
            Finish::Other(native) => Cow::Borrowed(native),
        }
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
