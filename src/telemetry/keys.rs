//! What is counted of the keys of pools. A key is told by its place in the list.

use prometheus::IntCounterVec;

use super::Metrics;
use super::families::New;

/// The families.
#[derive(Debug)]
pub(super) struct Keys {
    cooldowns: IntCounterVec,
    switches: IntCounterVec,
}

impl Keys {
    pub(super) fn new(new: &New<'_>) -> Self {
        Self {
            cooldowns: new.counters(
                "gateway_key_cooldowns_total",
                "Keys of a pool that began to cool down, by their place in the list.",
                &["provider", "target", "key", "reason"],
            ),
            switches: new.counters(
                "gateway_key_switches_total",
                "Requests that were sent again with the next key of a pool.",
                &["provider", "target"],
            ),
        }
    }
}

impl Metrics {
    /// Counts a key of a pool that begins to cool down.
    pub fn key_cools(&self, provider: &'static str, target: &str, key: u8, reason: &'static str) {
        let key = key.to_string();
        self.families.keys.cooldowns.with_label_values(&[provider, target, key.as_str(), reason]).inc();
    }

    /// Counts a request that is sent again with the next key of a pool.
    pub fn key_switched(&self, provider: &'static str, target: &str) {
        self.families.keys.switches.with_label_values(&[provider, target]).inc();
    }
}
