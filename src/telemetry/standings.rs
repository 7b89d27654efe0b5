//! How targets stand: read from the live configuration at each scrape.

use std::sync::{Mutex, PoisonError};

use prometheus::IntGaugeVec;

/// One target at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Standing<'a> {
    /// The provider's id.
    pub provider: &'a str,
    /// The target's name.
    pub target: &'a str,
    /// Its circuit, if it has a breaker: 0 closed, 1 open, 2 half-open.
    pub circuit: Option<i64>,
    /// Requests in hand and waiting for their turn, if they are limited.
    pub slots: Option<(usize, usize)>,
    /// Whether it has asked to be left alone.
    pub resting: bool,
    /// How many of its keys cool down, if it has a pool of them.
    pub cooling: Option<usize>,
}

/// The gauges of all targets.
#[derive(Debug)]
pub(super) struct Standings {
    pub(super) circuits: IntGaugeVec,
    pub(super) in_use: IntGaugeVec,
    pub(super) waiting: IntGaugeVec,
    pub(super) resting: IntGaugeVec,
    pub(super) cooling: IntGaugeVec,
    /// One scrape at a time, so that none shows half of the targets.
    pub(super) showing: Mutex<()>,
}

impl Standings {
    /// Shows these targets, and no others.
    pub(super) fn show<'a>(&self, targets: impl Iterator<Item = Standing<'a>>) {
        let _showing = self.showing.lock().unwrap_or_else(PoisonError::into_inner);
        for gauges in [&self.circuits, &self.in_use, &self.waiting, &self.resting, &self.cooling] {
            gauges.reset();
        }
        let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        for target in targets {
            let labels = [target.provider, target.target];
            if let Some(circuit) = target.circuit {
                self.circuits.with_label_values(&labels).set(circuit);
            }
            if let Some((in_use, waiting)) = target.slots {
                self.in_use.with_label_values(&labels).set(count(in_use));
                self.waiting.with_label_values(&labels).set(count(waiting));
            }
            if let Some(cooling) = target.cooling {
                self.cooling.with_label_values(&labels).set(count(cooling));
            }
            self.resting.with_label_values(&labels).set(target.resting.into());
        }
    }
}
