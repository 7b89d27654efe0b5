//! How many client connections are open, and how many of them carry a request: read from the server at each scrape.

use std::sync::{Arc, Mutex, PoisonError};

use prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec};

/// The server's connections at one moment, and since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Connections with at least one request in hand.
    pub active: u64,
    /// Connections without.
    pub idle: u64,
    /// Connections accepted since the start (transitions to `new`).
    pub opened: u64,
    /// Connections ended since the start (transitions to `closed`).
    pub closed: u64,
    /// How often a connection went from idle to active.
    pub activated: u64,
    /// How often a connection went from active to idle.
    pub idled: u64,
}

/// Where the counts come from.
pub type Source = Arc<dyn Fn() -> Counts + Send + Sync>;

/// The handles the counts are shown in.
pub(super) struct States {
    active: IntGauge,
    idle: IntGauge,
    transitions: [IntCounter; 4],
    source: Mutex<Option<Source>>,
}

impl std::fmt::Debug for States {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("States").finish_non_exhaustive()
    }
}

impl States {
    pub(super) fn new(current: &IntGaugeVec, transitions: &IntCounterVec) -> Self {
        Self {
            active: current.with_label_values(&["active"]),
            idle: current.with_label_values(&["idle"]),
            transitions: ["new", "active", "idle", "closed"].map(|state| transitions.with_label_values(&[state])),
            source: Mutex::new(None),
        }
    }

    pub(super) fn read_from(&self, source: Source) {
        *self.source.lock().unwrap_or_else(PoisonError::into_inner) = Some(source);
    }

    /// Show the counts as they are now. One scrape at a time, so that a counter is not raised twice.
    pub(super) fn refresh(&self) {
        let source = self.source.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(counts) = source.as_ref().map(|source| source()) else { return };
        let gauge = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        self.active.set(gauge(counts.active));
        self.idle.set(gauge(counts.idle));
        let totals = [counts.opened, counts.activated, counts.idled, counts.closed];
        for (counter, total) in self.transitions.iter().zip(totals) {
            counter.inc_by(total.saturating_sub(counter.get()));
        }
    }
}
