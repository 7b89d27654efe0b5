//! The end of the process in steps: not ready, no newcomers, finish, hurry, cut.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::pulse::{Order, Worker};

/// Between the hurry and the cut: time to write a last event.
const GRACE: Duration = Duration::from_secs(1);

/// The steps of the end, shared by who asks for it and who must know. Each is taken once and for all.
#[derive(Clone, Default)]
pub struct Stop {
    /// The end has begun: `/readyz` fails, no newcomers. Cancel it to begin a drain.
    pub draining: CancellationToken,
    /// The drain time is over: streams write their last event within a second. Watch a child token for each worker,
    /// for a token's waiters share a lock.
    pub hurry: CancellationToken,
    /// Nothing is waited for any longer. Cancel it to end at once.
    pub now: CancellationToken,
}

/// Makes SIGTERM and SIGINT begin the drain, and a second one end at once. Call it inside a runtime; signals are caught
/// from the moment it returns.
///
/// # Errors
/// When the handlers cannot be installed.
pub fn stop_on_signals(stop: &Stop) -> io::Result<()> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let stop = stop.clone();
    tokio::spawn(async move {
        for step in [&stop.draining, &stop.now] {
            tokio::select! { _ = terminate.recv() => {} _ = interrupt.recv() => {} }
            step.cancel();
        }
    });
    Ok(())
}

/// How a server came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Every connection had finished.
    Clean,
    /// This many connections were cut.
    Cut(u64),
}

/// Waits for the end to begin and takes its steps.
pub(super) async fn supervise(
    stop: Stop,
    (lead, drain): (Duration, Duration),
    mut acceptors: JoinSet<()>,
    workers: Vec<Arc<Worker>>,
    mut ended: mpsc::Receiver<Infallible>,
) -> Ended {
    // Should this task itself be dropped with its runtime, the workers still end.
    let last = Last(workers, stop.clone());
    tokio::select! { () = stop.draining.cancelled() => {} () = stop.now.cancelled() => {} }
    stop.draining.cancel();
    let open = last.open();
    tracing::info!(connections = open, "shutting down: finishing what has begun, signal again to end at once");
    let _ = unless(&stop.now, lead, std::future::pending::<()>()).await;
    acceptors.shutdown().await;
    last.command(Order::Finish);
    if unless(&stop.now, drain, ended.recv()).await.is_some() {
        return Ended::Clean;
    }
    stop.hurry.cancel();
    if unless(&stop.now, GRACE, ended.recv()).await.is_some() {
        return Ended::Clean;
    }
    let cut = last.open();
    last.command(Order::Cut);
    let _ = timeout(GRACE, ended.recv()).await;
    if cut == 0 {
        return Ended::Clean;
    }
    tracing::warn!(connections = cut, "requests that had not finished were cut");
    Ended::Cut(cut)
}

/// The future's output, or `None` when the time is over or the end is to be at once.
async fn unless<F: Future>(now: &CancellationToken, time: Duration, future: F) -> Option<F::Output> {
    tokio::select! {
        biased;
        output = future => Some(output),
        () = now.cancelled() => None,
        () = tokio::time::sleep(time) => None,
    }
}

struct Last(Vec<Arc<Worker>>, Stop);

impl Last {
    fn command(&self, order: Order) {
        self.0.iter().for_each(|worker| worker.command(order));
    }

    fn open(&self) -> u64 {
        self.0.iter().map(|worker| worker.load().0).sum()
    }
}

impl Drop for Last {
    fn drop(&mut self) {
        self.1.draining.cancel();
        self.1.hurry.cancel();
        self.command(Order::Cut);
    }
}
