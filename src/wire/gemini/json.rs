//! JSON that is read and passed on without being decoded.

use crate::wire::Malformed;
pub(super) use crate::wire::native::json::{Json, compacted as compact, decoded as text};
use crate::wire::native::{self, Refused};

/// What stands between the quotes of a JSON string; `None` if it is none.
pub(super) fn inside(raw: &[u8]) -> Option<&[u8]> {
    match raw {
        [b'"', inside @ .., b'"'] => Some(inside),
        _ => None,
    }
}

/// Whether a value stands for none.
pub(super) fn is_null(raw: &[u8]) -> bool {
    raw == b"null"
}

/// A member is not what it must be.
pub(super) fn invalid<T>(param: impl Into<String>, message: impl Into<String>) -> Result<T, Refused> {
    Err(native::invalid(param, message))
}

/// There is no word for a member.
pub(super) fn unsupported<T>(param: impl Into<String>) -> Result<T, Refused> {
    Err(Refused::Unsupported { param: param.into() })
}

/// Whether a text is exactly one JSON object.
pub(super) fn is_object(text: &[u8]) -> bool {
    crate::wire::scan::members(text, |_| Ok(())).is_ok()
}

/// A text of the provider's that can't be read.
pub(super) fn malformed(error: serde_json::Error) -> crate::wire::openai::stream::Broken {
    crate::wire::openai::stream::Broken::Malformed(Malformed::from(error))
}
