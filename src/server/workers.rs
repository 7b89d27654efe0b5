//! Who serves connections: a thread with its own runtime a core, or the runtime we are on.
//!
//! This file is the only one that knows of the choice. A connection stays with its worker for life, so what it touches
//! (upstream pools, log buffers, sockets) is touched by one thread only.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use axum::body::Body;
use http::{Request, Response};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tower::Service;

use super::Options;
use super::connection::{Incoming, Protocols, serve};
use super::listen::Arrival;
use super::pulse::{Limits, Worker};

/// On which threads connections are served.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Threads {
    /// One thread with a single-threaded runtime for each core the process may use.
    #[default]
    PerCore,
    /// The same with this many threads, at least one.
    Exactly(usize),
    /// The runtime the server is started on; all its threads count as worker 0.
    Shared,
}

impl Threads {
    /// How many workers there are, at least one: the number of pools and buffers that are kept by worker.
    pub fn count(self) -> usize {
        match self {
            Self::PerCore => std::thread::available_parallelism().map_or(1, NonZeroUsize::get),
            Self::Exactly(n) => n.max(1),
            Self::Shared => 1,
        }
    }
}

/// The workers' common end: hands arrivals to the least busy of them.
pub(super) struct Workers {
    desks: Vec<(Arc<Worker>, mpsc::UnboundedSender<Arrival>)>,
    turn: AtomicUsize,
}

impl Workers {
    /// Starts the workers. They end when this value is gone and their last connection has ended; the receiver then
    /// finds its channel closed.
    pub(super) fn start<F, S>(
        options: &Options,
        limits: Limits,
        make: F,
    ) -> io::Result<(Self, mpsc::Receiver<Infallible>)>
    where
        F: Fn(SocketAddr, SocketAddr) -> S + Send + Sync + 'static,
        S: Service<Request<Incoming>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
        S::Future: Send + 'static,
    {
        let Options { threads, on_start, .. } = *options;
        let protocols = Arc::new(Protocols::new(options.refusal));
        let (alive, ended) = mpsc::channel(1);
        let make = Arc::new(make);
        let mut desks = Vec::new();
        for index in 0..threads.count() {
            let (desk, arrivals) = mpsc::unbounded_channel();
            let worker = Worker::new();
            desks.push((worker.clone(), desk));
            let attend = attend(worker, limits, arrivals, protocols.clone(), make.clone());
            let alive = alive.clone();
            if threads == Threads::Shared {
                tokio::spawn(async move {
                    attend.await;
                    drop(alive);
                });
                continue;
            }
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            std::thread::Builder::new().name(format!("worker-{index}")).spawn(move || {
                on_start(index);
                runtime.block_on(attend);
                // A name look-up may hang in the blocking pool; nobody waits for it any more.
                runtime.shutdown_background();
                drop(alive);
            })?;
        }
        Ok((Self { desks, turn: AtomicUsize::new(0) }, ended))
    }

    pub(super) fn all(&self) -> Vec<Arc<Worker>> {
        self.desks.iter().map(|(worker, _)| worker.clone()).collect()
    }

    /// Gives a connection to the worker with the fewest, the next in turn among equals.
    pub(super) fn hand_over(&self, arrival: Arrival) {
        let turn = self.turn.fetch_add(1, Relaxed);
        let least =
            (0..self.desks.len()).map(|i| &self.desks[(turn + i) % self.desks.len()]).min_by_key(|d| d.0.load());
        if let Some((worker, desk)) = least {
            worker.expect();
            // A worker ends after its senders, so the only failure is a thread that panicked: the peer sees a close.
            let _ = desk.send(arrival);
        }
    }
}

/// The life of a worker: takes in connections until no more can come, then waits for the last to end.
async fn attend<F, S>(
    worker: Arc<Worker>,
    limits: Limits,
    mut arrivals: mpsc::UnboundedReceiver<Arrival>,
    protocols: Arc<Protocols>,
    make: Arc<F>,
) where
    F: Fn(SocketAddr, SocketAddr) -> S + Send + Sync + 'static,
    S: Service<Request<Incoming>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send + 'static,
{
    let sweep = tokio::spawn(worker.clone().sweep(limits));
    while let Some(Arrival { stream, peer, local, permit }) = arrivals.recv().await {
        let enrolled = worker.enrol();
        let stream = match TcpStream::from_std(stream) {
            Ok(stream) => stream,
            Err(error) => {
                tracing::error!(%error, "a connection is lost");
                continue;
            }
        };
        let (service, protocols) = (make(peer, local), protocols.clone());
        tokio::spawn(async move {
            serve(&protocols, stream, service, &enrolled.0).await;
            drop((enrolled, permit));
        });
    }
    worker.emptied().await;
    sweep.abort();
}
