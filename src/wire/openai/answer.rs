//! Whole answers: is it one, and what did it consume.

use std::sync::LazyLock;

use bytes::Bytes;
use memchr::memmem::Finder;

use super::errors::{self, Complaint};
use crate::wire::{Malformed, Object};

/// Made once: making a finder costs more than using it on a short answer.
static FINDER: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"error\""));

/// What a whole 2xx body turned out to be.
#[derive(Debug)]
pub enum Whole {
    /// An answer.
    Good(Object),
    /// An error that came with a good status.
    Error(Complaint),
}

/// Whether an answer can be passed on without being read: it begins and ends as an object, and nothing in it speaks of
/// an error. Its framing has been checked by whoever received it; reading it as well costs a tenth of a small request.
pub fn looks_whole(body: &[u8]) -> bool {
    matches!(body.trim_ascii(), [b'{', .., b'}']) && FINDER.find(body).is_none()
}

/// Index a whole answer. Some servers send blank lines while they work, so white space around it is fine.
/// Fails if it is not one JSON object.
pub fn read(body: Bytes) -> Result<Whole, Malformed> {
    let trimmed = body.trim_ascii();
    let body = if trimmed.len() == body.len() { body } else { body.slice_ref(trimmed) };
    let object = Object::parse(body)?;
    Ok(match errors::inside(&object).or_else(|| errors::of_choices(&object)) {
        Some(complaint) => Whole::Error(complaint),
        None => Whole::Good(object),
    })
}
