//! What asking a provider leaves behind, beside the answer.

use crate::telemetry::Metrics;

/// What asking a provider leaves behind, and what it is told about the keys of a pool.
pub struct Trace<'a> {
    /// What could not be sent as asked, or is not in the answer.
    pub warnings: &'a mut Vec<String>,
    /// The key of a pool to begin with, by its place in the list, if it does not rest.
    pub prefer: Option<u8>,
    /// The key of a pool that was used last, by its place in the list; `None` where there was no choice.
    pub key: Option<u8>,
    /// Where keys that begin to rest are counted.
    pub metrics: Option<&'a Metrics>,
}

impl<'a> Trace<'a> {
    /// Nothing has been asked yet, and any key may be.
    pub fn new(warnings: &'a mut Vec<String>) -> Self {
        Self { warnings, prefer: None, key: None, metrics: None }
    }
}
