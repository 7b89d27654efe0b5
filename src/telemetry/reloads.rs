//! What became of the configuration's file: how often it was read again, and whether that went well.

use std::time::{SystemTime, UNIX_EPOCH};

use prometheus::{IntCounter, IntCounterVec, IntGauge};

/// Counts attempts to reload the configuration.
#[derive(Debug)]
pub struct Reloads {
    ok: IntCounter,
    error: IntCounter,
    loaded: IntGauge,
    successful: IntGauge,
}

impl Reloads {
    pub(super) fn new(total: &IntCounterVec, loaded: IntGauge, successful: IntGauge) -> Self {
        let [ok, error] = ["ok", "error"].map(|result| total.with_label_values(&[result]));
        Self { ok, error, loaded, successful }
    }

    /// The first configuration was loaded.
    pub fn begun(&self, at: SystemTime) {
        let seconds = at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        self.loaded.set(i64::try_from(seconds).unwrap_or(i64::MAX));
        self.successful.set(1);
    }

    /// A configuration took the place of another.
    pub fn done(&self, at: SystemTime) {
        self.begun(at);
        self.ok.inc();
    }

    /// A configuration could not be used.
    pub fn failed(&self) {
        self.error.inc();
        self.successful.set(0);
    }
}
