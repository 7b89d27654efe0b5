//! Whether a stream keeps up its least speed: a judge that only counts the time the provider takes.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// How the words begin that say so.
pub const CREEPS: &str = "the stream creeps";

/// Counts events over a time; the time that the caller takes to read does not count.
pub struct Tempo {
    /// Events a second.
    least: f64,
    over: Duration,
    /// Of this window, what the provider has taken so far.
    waited: Duration,
    /// Since when we are waiting for the provider.
    waiting: Option<Instant>,
    /// Events at the beginning of the window.
    before: u64,
    timer: Pin<Box<Sleep>>,
}

impl Tempo {
    /// At least so many events a second, counted over this time.
    pub fn new(least: f64, over: Duration) -> Self {
        let timer = Box::pin(sleep_until(Instant::now() + over));
        Self { least, over, waited: Duration::ZERO, waiting: None, before: 0, timer }
    }

    /// The stream is looked at again, and `events` have come in all. `Err` tells how many came in a window that had too
    /// few.
    pub fn judge(&mut self, events: u64) -> Result<(), u64> {
        if let Some(since) = self.waiting.take() {
            self.waited += since.elapsed();
        }
        if self.waited < self.over {
            return Ok(());
        }
        let came = events.saturating_sub(self.before);
        if (came as f64) < self.least * self.waited.as_secs_f64() {
            return Err(came);
        }
        (self.waited, self.before) = (Duration::ZERO, events);
        Ok(())
    }

    /// Nothing has come: ready when it is time to judge.
    pub fn wait(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let now = Instant::now();
        self.waiting = Some(now);
        self.timer.as_mut().reset(now + self.over.saturating_sub(self.waited));
        self.timer.as_mut().poll(cx)
    }

    /// What it demands, in words.
    pub fn demand(&self) -> String {
        format!("{} events a second over {:?}", self.least, self.over)
    }
}
