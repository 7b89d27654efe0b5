//! When a second attempt is made beside one that is silent.

use std::sync::Arc;
use std::time::Duration;

use super::budget::Budget;
use super::candidates::Candidate;

/// The rule of a route.
pub struct Hedge {
    /// How long the first may be silent; `None` for what is usual for its model and target.
    pub after: Option<Duration>,
    /// How many requests get a second attempt. Outlives reloads that leave its share alone.
    pub budget: Arc<Budget>,
}

impl Hedge {
    /// How long this one may be silent; `None` if nobody knows what is usual.
    pub fn patience(&self, candidate: &Candidate, stream: bool) -> Option<Duration> {
        self.after.or_else(|| candidate.tracks.as_ref()?[usize::from(stream)].high())
    }
}
