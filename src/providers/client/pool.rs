//! Connections at rest: one stack per worker.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::link::Link;

/// The resting connections of one worker, latest on top. The lock is taken by this worker and, every few seconds, by
/// the sweep, so it is never contended in practice; it is never held across an await or while a socket is closed.
#[derive(Default)]
pub(super) struct Shard(Mutex<Vec<Resting>>);

struct Resting {
    since: Instant,
    link: Box<Link>,
}

impl Shard {
    fn stack(&self) -> MutexGuard<'_, Vec<Resting>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection that rested for the shortest time, unless even that one is older than `age`.
    pub(super) fn take(&self, now: Instant, age: Duration) -> Option<Box<Link>> {
        let mut stack = self.stack();
        let top = stack.pop()?;
        if now.saturating_duration_since(top.since) < age {
            return Some(top.link);
        }
        let expired = std::mem::take(&mut *stack);
        drop(stack);
        drop((top, expired));
        None
    }

    /// Keeps a connection, unless `limit` are kept already: then it is closed.
    pub(super) fn put(&self, link: Box<Link>, now: Instant, limit: usize) {
        let mut stack = self.stack();
        if stack.len() < limit {
            stack.push(Resting { since: now, link });
        }
    }

    /// Closes what rests for longer than `age`.
    pub(super) fn sweep(&self, now: Instant, age: Duration) {
        let old: Vec<Resting> = {
            let mut stack = self.stack();
            let old = stack.partition_point(|resting| now.saturating_duration_since(resting.since) >= age);
            stack.drain(..old).collect()
        };
        drop(old);
    }

    pub(super) fn len(&self) -> usize {
        self.stack().len()
    }
}
