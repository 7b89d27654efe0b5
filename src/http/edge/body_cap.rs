//! Bodies that say they are too long are refused before they are read; the extractor counts those that do not say.

use http_body::Body;

use crate::http::error::Failure;
use crate::http::upload;

/// Refuses a declared length over `limit` bytes: the server has read it from the headers. Files have a limit of their own.
pub(super) fn check(limit: u64, path: &str, body: &impl Body) -> Result<(), Failure> {
    let limit = if path == "/v1/files" { limit.max(upload::LARGEST_FILE) } else { limit };
    if body.size_hint().lower() > limit { Err(Failure::BodyTooLarge { limit }) } else { Ok(()) }
}
