//! Bodies that say they are too long are refused before they are read; the extractor counts those that do not say.

use http::{HeaderMap, header};

use crate::http::error::Failure;

/// Refuses a declared length over `limit` bytes.
pub(super) fn check(limit: u64, headers: &HeaderMap) -> Result<(), Failure> {
    let declared = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    match declared {
        Some(length) if length > limit => Err(Failure::BodyTooLarge { limit }),
        _ => Ok(()),
    }
}
