//! The live configuration, and what outlives a reload.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arc_swap::ArcSwap;
use tokio_util::sync::CancellationToken;

use super::Snapshot;
use crate::telemetry::Metrics;

/// A running gateway.
pub struct Gateway {
    live: ArcSwap<Snapshot>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Cancelled when the process begins to end: `/readyz` fails from then on.
    pub draining: CancellationToken,
    /// The memory set aside for request bodies.
    pub memory: Memory,
}

impl Gateway {
    /// A gateway that begins with this configuration.
    pub fn new(snapshot: Snapshot, metrics: Arc<Metrics>, draining: CancellationToken, memory: Memory) -> Self {
        Self { live: ArcSwap::from_pointee(snapshot), metrics, draining, memory }
    }

    /// The configuration as it is now. Take it once a request: a reload must not split a call.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.live.load_full()
    }
}

/// A budget of bytes shared by all request bodies in hand.
#[derive(Clone)]
pub struct Memory {
    used: Arc<AtomicUsize>,
    limit: usize,
}

/// A share of a [`Memory`], given back when dropped.
pub struct Reserved {
    memory: Memory,
    bytes: usize,
}

impl Memory {
    /// A budget of this many bytes.
    pub fn new(limit: usize) -> Self {
        Self { used: Arc::default(), limit }
    }

    /// Take a share; `None` if that many bytes are not left.
    pub fn reserve(&self, bytes: usize) -> Option<Reserved> {
        let mut reserved = Reserved { memory: self.clone(), bytes: 0 };
        reserved.grow(bytes).then_some(reserved)
    }
}

impl Reserved {
    /// The size of the share.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Make it this large; says whether that many bytes were left.
    pub fn grow(&mut self, bytes: usize) -> bool {
        let more = bytes.saturating_sub(self.bytes);
        let used = self.memory.used.fetch_add(more, Ordering::Relaxed) + more;
        if used > self.memory.limit {
            self.memory.used.fetch_sub(more, Ordering::Relaxed);
            return false;
        }
        self.bytes += more;
        true
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.memory.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}
