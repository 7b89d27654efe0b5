//! Connections at rest: one stack per worker.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::link::Link;
use super::stream::Stream;

/// After this time at rest a connection gives up hyper's buffers (about 20 KiB) and keeps its socket.
const COOL_AFTER: Duration = Duration::from_secs(5);

/// The resting connections of one worker, latest on top. The lock is taken by this worker and, every few seconds, by
/// the sweep, so it is never contended in practice; it is never held across an await or while a socket is closed.
#[derive(Default)]
pub(super) struct Shard(Mutex<Vec<Resting>>);

struct Resting {
    since: Instant,
    connection: Connection,
}

/// A connection at rest.
pub(super) enum Connection {
    /// Ready to send.
    Warm(Box<Link>),
    /// Only the socket.
    Cold(Stream),
}

impl Shard {
    fn stack(&self) -> MutexGuard<'_, Vec<Resting>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection that rested for the shortest time, unless even that one is older than `age`.
    pub(super) fn take(&self, now: Instant, age: Duration) -> Option<Connection> {
        let mut stack = self.stack();
        let top = stack.pop()?;
        if now.saturating_duration_since(top.since) < age {
            return Some(top.connection);
        }
        let expired = std::mem::take(&mut *stack);
        drop(stack);
        drop((top, expired));
        None
    }

    /// Keeps a connection, unless `limit` are kept already: then it is closed.
    pub(super) fn put(&self, connection: Connection, now: Instant, limit: usize) {
        let mut stack = self.stack();
        if stack.len() < limit {
            stack.push(Resting { since: now, connection });
        }
    }

    /// Closes what rests for longer than `age`, and cools down what rests for more than a few seconds.
    pub(super) fn sweep(&self, now: Instant, age: Duration) {
        let rested = |resting: &Resting| now.saturating_duration_since(resting.since);
        let mut old: Vec<Resting> = {
            let mut stack = self.stack();
            let idle = stack.partition_point(|resting| rested(resting) >= COOL_AFTER);
            stack.drain(..idle).collect()
        };
        old.retain(|resting| rested(resting) < age);
        let cold = old.into_iter().filter_map(|Resting { since, connection }| {
            let stream = match connection {
                Connection::Cold(stream) => stream,
                Connection::Warm(link) => link.into_stream()?,
            };
            Some(Resting { since, connection: Connection::Cold(stream) })
        });
        let mut cold: Vec<Resting> = cold.collect();
        let mut stack = self.stack();
        cold.append(&mut stack);
        *stack = cold;
    }

    pub(super) fn len(&self) -> usize {
        self.stack().len()
    }
}
