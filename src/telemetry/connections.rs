//! How many client connections are open, and how many of them carry a request.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec};

/// The handles all connections share.
#[derive(Clone, Debug)]
pub(super) struct States {
    active: IntGauge,
    idle: IntGauge,
    to_new: IntCounter,
    to_active: IntCounter,
    to_idle: IntCounter,
    to_closed: IntCounter,
}

impl States {
    pub(super) fn new(current: &IntGaugeVec, transitions: &IntCounterVec) -> Self {
        let gauge = |state| current.with_label_values(&[state]);
        let counter = |state| transitions.with_label_values(&[state]);
        Self {
            active: gauge("active"),
            idle: gauge("idle"),
            to_new: counter("new"),
            to_active: counter("active"),
            to_idle: counter("idle"),
            to_closed: counter("closed"),
        }
    }

    pub(super) fn open(&self) -> Connection {
        self.to_new.inc();
        self.idle.inc();
        Connection(Arc::new(Open { states: self.clone(), requests: AtomicUsize::new(0) }))
    }
}

/// An open client connection: counted as idle or active until the last clone is dropped.
#[derive(Clone, Debug)]
pub struct Connection(Arc<Open>);

#[derive(Debug)]
struct Open {
    states: States,
    requests: AtomicUsize,
}

impl Connection {
    /// Marks the connection active for as long as the guard lives. Requests may overlap, as they do on HTTP/2.
    pub fn busy(&self) -> Busy {
        if self.0.requests.fetch_add(1, Ordering::AcqRel) == 0 {
            self.0.states.to_active.inc();
            self.0.states.active.inc();
            self.0.states.idle.dec();
        }
        Busy(self.0.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.states.idle.dec();
        self.states.to_closed.inc();
    }
}

/// A request on a connection; belongs into the body of the answer, so that it ends with the last byte.
#[derive(Debug)]
pub struct Busy(Arc<Open>);

impl Drop for Busy {
    fn drop(&mut self) {
        if self.0.requests.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.states.to_idle.inc();
            self.0.states.idle.inc();
            self.0.states.active.dec();
        }
    }
}
