//! What the API says when it fails behind a good status.

use crate::wire::openai::errors::{self, Complaint};

/// Read an error, and give it the status that its kind has (<https://platform.claude.com/docs/en/api/errors>).
pub(super) fn read(body: &[u8]) -> Complaint {
    let mut said = errors::read(body);
    let status = match said.kind.as_deref() {
        Some("invalid_request_error") => Some(400),
        Some("authentication_error") => Some(401),
        Some("billing_error") => Some(402),
        Some("permission_error") => Some(403),
        Some("not_found_error") => Some(404),
        Some("conflict_error") => Some(409),
        Some("request_too_large") => Some(413),
        Some("rate_limit_error") => Some(429),
        Some("api_error") => Some(500),
        Some("timeout_error") => Some(504),
        Some("overloaded_error") => Some(529),
        _ => None,
    };
    said.status = said.status.or(status);
    said
}
