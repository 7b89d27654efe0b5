//! Bodies that say they are too long are refused before they are read; the extractor counts those that do not say.

use http_body::Body;

use crate::http::error::Failure;

/// Refuses a declared length over `limit` bytes: the server has read it from the headers.
pub(super) fn check(limit: u64, body: &impl Body) -> Result<(), Failure> {
    if body.size_hint().lower() > limit { Err(Failure::BodyTooLarge { limit }) } else { Ok(()) }
}
