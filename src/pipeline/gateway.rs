//! The live configuration, and what outlives a reload.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;

use arc_swap::ArcSwap;
use tokio_util::sync::CancellationToken;

use super::Snapshot;
use super::recent::Recent;
use crate::telemetry::Metrics;

/// A running gateway.
pub struct Gateway {
    live: ArcSwap<Snapshot>,
    standing: ArcSwap<Standing>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Cancelled when the process begins to end: `/readyz` fails from then on.
    pub draining: CancellationToken,
    /// The memory set aside for request bodies.
    pub memory: Memory,
    /// The last calls, whatever configuration they went through.
    pub recent: Recent,
}

impl Gateway {
    /// A gateway that begins with this configuration.
    pub fn new(
        snapshot: Snapshot,
        metrics: Arc<Metrics>,
        draining: CancellationToken,
        memory: Memory,
        recent: Recent,
    ) -> Self {
        metrics.reloads.begun(SystemTime::now());
        let standing = ArcSwap::from_pointee(Standing::default());
        Self { live: ArcSwap::from_pointee(snapshot), standing, metrics, draining, memory, recent }
    }

    /// Goes on with another configuration. Calls in hand keep the one they began with.
    pub fn swap(&self, snapshot: Snapshot, standing: Standing) {
        self.live.store(Arc::new(snapshot));
        self.metrics.reloads.done(standing.loaded);
        self.standing.store(Arc::new(standing));
    }

    /// Where the live configuration comes from, and whether it is still what is wanted.
    pub fn standing(&self) -> Arc<Standing> {
        self.standing.load_full()
    }

    /// Notes where the live configuration comes from.
    pub fn stands(&self, standing: Standing) {
        self.standing.store(Arc::new(standing));
    }

    /// Notes that the configuration was changed into one that cannot be used.
    pub fn stale(&self, error: String) {
        let (now, standing) = (SystemTime::now(), self.standing());
        let since = standing.stale.as_ref().map_or(now, |stale| stale.since);
        self.metrics.reloads.failed();
        self.stands(Standing { stale: Some(Stale { error, since }), ..Standing::clone(&standing) });
    }

    /// The configuration as it is now. Take it once a request: a reload must not split a call.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.live.load_full()
    }
}

/// Where a configuration comes from, and whether it is still what is wanted.
#[derive(Clone, Debug)]
pub struct Standing {
    /// Its file; `None` if it was made from the environment, or by an application.
    pub file: Option<PathBuf>,
    /// SHA-256 of the file, in hexadecimal digits.
    pub hash: Option<String>,
    /// When it was loaded.
    pub loaded: SystemTime,
    /// What it says that this process can't do before its next start: paths of members.
    pub pending_restart: Vec<String>,
    /// Why the file, as it is now, is not what is served.
    pub stale: Option<Stale>,
}

/// A file that was changed into one that cannot be used.
#[derive(Clone, Debug)]
pub struct Stale {
    /// What is wrong with it, in a line that holds no secrets.
    pub error: String,
    /// Since when it has been so.
    pub since: SystemTime,
}

/// A configuration without a file, loaded now.
impl Default for Standing {
    fn default() -> Self {
        Self { file: None, hash: None, loaded: SystemTime::now(), pending_restart: Vec::new(), stale: None }
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
