//! A process around the gateway: listen, serve on workers, drain.
//!
//! Nothing here knows what is served: [`start`] takes a function that makes a service for each connection.

mod background;
pub mod build;
mod connection;
mod drain;
pub mod embed;
mod listen;
pub mod process;
mod pulse;
pub mod rehearsal;
pub mod reload;
mod socket;
mod ways;
mod workers;

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use http::{Request, Response, StatusCode};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};
use tower::Service;

pub use crate::telemetry::connections::Counts;
pub use connection::Incoming;
pub use drain::{Ended, Stop, stop_on_signals};
pub use listen::{BindError, bind};
pub use pulse::Connections;
pub use workers::Threads;

/// How connections are served.
#[derive(Clone)]
pub struct Options {
    /// Who serves.
    pub threads: Threads,
    /// Called on each worker's thread with its index before it serves; not called with [`Threads::Shared`].
    pub on_start: fn(usize),
    /// The JSON body of an answer to what is no HTTP request (400), whose target (414) or headers (431) are too long, or
    /// nothing: such answers are written before there is a request that a service could be asked about.
    pub refusal: fn(StatusCode) -> &'static str,
    /// Open connections at a time; further ones wait in the kernel's queue. (One more for each further listener.)
    pub max_connections: usize,
    /// From a request head's first byte to its last, and from a new connection to its first request.
    pub head_timeout: Duration,
    /// How long a connection without a request is kept.
    pub idle_timeout: Duration,
    /// How long a client may take none of the bytes of its answer. (How long it may send none of its body is for the
    /// service to say.)
    pub stall_timeout: Duration,
    /// How long newcomers are still served after `/readyz` has begun to fail.
    pub lead: Duration,
    /// How long requests in hand may go on after that, before they are hurried, and cut a second later.
    pub drain: Duration,
    /// The steps of the end; keep a clone to take them or to know of them.
    pub stop: Stop,
    /// The connection counts; keep a clone to read them.
    pub connections: Connections,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            threads: Threads::default(),
            on_start: crate::telemetry::worker::enter,
            refusal: |_| "",
            max_connections: 10_000,
            head_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(60),
            stall_timeout: Duration::from_secs(30),
            lead: Duration::ZERO,
            drain: Duration::from_secs(15),
            stop: Stop::default(),
            connections: Connections::default(),
        }
    }
}

/// A running server. Dropping it ends the server at once.
pub struct Handle {
    addresses: Vec<SocketAddr>,
    stop: Stop,
    connections: Connections,
    supervisor: JoinHandle<Ended>,
}

impl Handle {
    /// The addresses that are listened on, with the ports that port 0 became.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The connection counts.
    pub fn connections(&self) -> &Connections {
        &self.connections
    }

    /// The steps of its end.
    pub fn stop(&self) -> &Stop {
        &self.stop
    }

    /// Begins the drain.
    pub fn shutdown(&self) {
        self.stop.draining.cancel();
    }

    /// Waits for the end, which somebody must begin.
    pub async fn join(mut self) -> Ended {
        // The supervisor neither panics nor is aborted while we hold it; a runtime that goes away cuts everything.
        (&mut self.supervisor).await.unwrap_or(Ended::Cut(0))
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.stop.now.cancel();
    }
}

/// Serves connections of `listeners` with the services that `make` builds from a connection's peer and local address.
/// Accepting and supervision run on the current runtime, which should be a multi-threaded one with little else to do;
/// connections on the workers. A service must always be ready, and its future is dropped when its client leaves.
///
/// # Errors
/// When the workers' threads or runtimes cannot be made.
pub fn start<F, S>(listeners: Vec<TcpListener>, make: F, options: Options) -> io::Result<Handle>
where
    F: Fn(SocketAddr, SocketAddr) -> S + Send + Sync + 'static,
    S: Service<Request<Incoming>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send + 'static,
{
    let (stop, connections) = (options.stop.clone(), options.connections.clone());
    let addresses = listeners.iter().map(TcpListener::local_addr).collect::<io::Result<_>>()?;
    let limits = pulse::Limits::new(options.head_timeout, options.idle_timeout, options.stall_timeout);
    let (workers, ended) = workers::Workers::start(&options, limits, make)?;
    let all = workers.all();
    connections.watch(&all);
    // Each listener holds a permit while it waits.
    let permits = options.max_connections.saturating_add(listeners.len().saturating_sub(1));
    let permits = Arc::new(Semaphore::new(permits.min(Semaphore::MAX_PERMITS)));
    let workers = Arc::new(workers);
    let mut acceptors = JoinSet::new();
    for listener in listeners {
        let (workers, permits) = (workers.clone(), permits.clone());
        acceptors.spawn(listen::accept(listener, permits, move |arrival| workers.hand_over(arrival)));
    }
    drop(workers);
    let supervisor = tokio::spawn(drain::supervise(stop.clone(), (options.lead, options.drain), acceptors, all, ended));
    Ok(Handle { addresses, stop, connections, supervisor })
}
