//! Latencies in log-linear buckets: 64 a power of two, so that a quantile is off by 1.6 % at most.

use std::time::Duration;

const SUB: u64 = 64;
const SUB_BITS: u32 = SUB.ilog2();

/// Counts durations of 1 µs to many hours in fixed memory.
pub(crate) struct Histogram {
    counts: Vec<u64>,
    total: u64,
}

impl Histogram {
    pub(crate) fn new() -> Histogram {
        Histogram { counts: vec![0; (SUB as usize) * 32], total: 0 }
    }

    pub(crate) fn record(&mut self, value: Duration) {
        let micros = u64::try_from(value.as_micros()).unwrap_or(u64::MAX);
        let last = self.counts.len() - 1;
        self.counts[index(micros).min(last)] += 1;
        self.total += 1;
    }

    /// The value below which the share `q` of all durations lies, in milliseconds; 0 when there are none.
    pub(crate) fn millis(&self, q: f64) -> f64 {
        let wanted = (self.total as f64 * q).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (at, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return middle(at as u64) / 1000.0;
            }
        }
        0.0
    }

    pub(crate) fn clear(&mut self) {
        self.counts.fill(0);
        self.total = 0;
    }
}

fn index(micros: u64) -> usize {
    if micros < SUB {
        return micros as usize;
    }
    let shift = micros.ilog2() - SUB_BITS;
    (u64::from(shift) * SUB + (micros >> shift)) as usize
}

/// The middle of a bucket in µs.
fn middle(index: u64) -> f64 {
    if index < 2 * SUB {
        return index as f64;
    }
    let shift = index / SUB - 1;
    let low = (index - shift * SUB) << shift;
    low as f64 + (1u64 << shift) as f64 / 2.0
}
