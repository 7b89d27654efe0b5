//! The last calls of every worker, so that somebody can ask what became of one.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use crate::call::OutcomeSlot;
use crate::telemetry::worker;

/// Calls that each worker keeps: whichever worker they went through, the last of the gateway are among them.
pub const MOST: usize = 1000;

/// A call that is over.
#[derive(Clone)]
pub struct Past {
    /// The request id.
    pub id: Arc<str>,
    /// When the request reached the gateway.
    pub since: Instant,
    /// What it came to: shared with the access log, so that nothing is copied.
    pub outcome: OutcomeSlot,
}

/// The last calls. Clones share them.
#[derive(Clone)]
pub struct Recent(Arc<[Mutex<VecDeque<Past>>]>);

impl Recent {
    /// For this many workers, at least one.
    pub fn new(workers: usize) -> Self {
        Self((0..workers.max(1)).map(|_| Mutex::new(VecDeque::with_capacity(MOST))).collect())
    }

    /// Keeps a call, in place of the oldest of this worker.
    pub fn push(&self, past: Past) {
        let shard = &self.0[worker().min(self.0.len() - 1)];
        let mut calls = shard.lock().unwrap_or_else(PoisonError::into_inner);
        let oldest = if calls.len() < MOST { None } else { calls.pop_front() };
        calls.push_back(past);
        drop(calls);
        drop(oldest);
    }

    /// The last call with this id, if it is still kept.
    pub fn find(&self, id: &str) -> Option<Past> {
        let last = |shard: &Mutex<VecDeque<Past>>| {
            let calls = shard.lock().unwrap_or_else(PoisonError::into_inner);
            calls.iter().rev().find(|past| *past.id == *id).cloned()
        };
        self.0.iter().filter_map(last).max_by_key(|past| past.since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_thousand_are_kept_and_of_one_id_the_latest() {
        let (recent, since) = (Recent::new(1), Instant::now());
        let past = |id: &str, after: u64| Past {
            id: id.into(),
            since: since + std::time::Duration::from_millis(after),
            outcome: OutcomeSlot::default(),
        };
        recent.push(past("first", 0));
        (1..1000).for_each(|at| recent.push(past("other", at)));
        assert!(recent.find("first").is_some());
        recent.push(past("again", 1000));
        assert!(recent.find("first").is_none());
        assert_eq!(recent.find("other").map(|past| past.since), Some(since + std::time::Duration::from_millis(999)));
        assert!(recent.find("again").is_some() && recent.find("never").is_none());
    }
}
