//! Listening sockets: bound with errors that say what to do, accepted from until told to stop.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Connections the kernel holds for us while we are busy or at the cap.
const BACKLOG: u32 = 4096;

/// The pause after an error that will not go away by itself, such as too many open files.
const PAUSE: Duration = Duration::from_millis(100);

/// Why we cannot listen, and what mends it.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The address cannot be used.
    #[error("cannot listen on {address}: {reason}")]
    Address {
        /// What was asked for.
        address: SocketAddr,
        /// What is wrong and what to do.
        reason: &'static str,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// There was no address to listen on.
    #[error("no address to listen on: set FERROGW_HOST or --host")]
    Nothing,
}

/// Binds every address. Port 0 takes a free port, the same one for all addresses where that is possible. An IPv6
/// address is left out, with a debug line, on a machine that has none, and `[::]` (which takes IPv4 too) becomes
/// `0.0.0.0` there. Call it inside a runtime.
///
/// # Errors
/// The first address that cannot be bound, with the mend.
pub fn bind(listen: &[SocketAddr]) -> Result<Vec<TcpListener>, BindError> {
    let mut listeners: Vec<TcpListener> = Vec::with_capacity(listen.len());
    let mut skipped = None;
    for &address in listen {
        let shared = listeners.first().and_then(|first| first.local_addr().ok()).filter(|_| address.port() == 0);
        let bound = match shared {
            Some(first) => listener(SocketAddr::new(address.ip(), first.port())).or_else(|_| listener(address)),
            None => listener(address),
        };
        match bound {
            Ok(listener) => listeners.push(listener),
            Err(error) if address.is_ipv6() && lacks_ipv6(&error) => {
                tracing::debug!(%address, %error, "no IPv6 here: not listening on this address");
                let everywhere = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), address.port());
                if address.ip().is_unspecified() && !listen.contains(&everywhere) {
                    listeners.push(listener(everywhere).map_err(|error| unusable(everywhere, error))?);
                }
                skipped = Some(unusable(address, error));
            }
            Err(error) => return Err(unusable(address, error)),
        }
    }
    if listeners.is_empty() { Err(skipped.unwrap_or(BindError::Nothing)) } else { Ok(listeners) }
}

fn listener(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // Without it a restart has to wait for the last connections' TIME_WAIT.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// EAFNOSUPPORT (97 on Linux, 47 on macOS) has no kind of its own that is stable.
fn lacks_ipv6(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrNotAvailable || matches!(error.raw_os_error(), Some(97 | 47))
}

fn unusable(address: SocketAddr, source: io::Error) -> BindError {
    let reason = match source.kind() {
        io::ErrorKind::AddrInUse => "address already in use: stop what listens there, or set PORT or --port",
        io::ErrorKind::PermissionDenied => "not allowed: ports below 1024 need privileges, set PORT or --port",
        io::ErrorKind::AddrNotAvailable => "no interface of this machine has this address: set FERROGW_HOST or --host",
        _ => "the system refuses it",
    };
    BindError::Address { address, reason, source }
}

/// A connection nobody serves yet, off the runtime that accepted it.
pub(super) struct Arrival {
    pub(super) stream: std::net::TcpStream,
    pub(super) peer: SocketAddr,
    pub(super) local: SocketAddr,
    /// Its share of the connection cap.
    pub(super) permit: OwnedSemaphorePermit,
}

/// Accepts for ever and hands over what comes. At the cap it leaves newcomers in the kernel's queue; errors are logged
/// and survived.
pub(super) async fn accept(listener: TcpListener, permits: Arc<Semaphore>, hand_over: impl Fn(Arrival)) {
    // One line for each time of trouble, not one for each connection in it.
    let (mut full, mut failing) = (false, false);
    loop {
        let permit = match permits.clone().try_acquire_owned() {
            Ok(permit) => {
                full = false;
                permit
            }
            Err(_) => {
                if !std::mem::replace(&mut full, true) {
                    tracing::warn!("connection cap reached: new connections wait");
                }
                let Ok(permit) = permits.clone().acquire_owned().await else { return };
                permit
            }
        };
        match listener.accept().await.and_then(|(stream, peer)| arrival(stream, peer, permit)) {
            Ok(arrival) => {
                failing = false;
                hand_over(arrival);
            }
            // The peer left before we came to it.
            Err(error) if is_peers(&error) => {}
            Err(error) => {
                if !std::mem::replace(&mut failing, true) {
                    tracing::error!(%error, "cannot accept connections: trying on");
                }
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

fn arrival(stream: TcpStream, peer: SocketAddr, permit: OwnedSemaphorePermit) -> io::Result<Arrival> {
    stream.set_nodelay(true)?;
    let local = stream.local_addr()?;
    Ok(Arrival { stream: stream.into_std()?, peer, local, permit })
}

fn is_peers(error: &io::Error) -> bool {
    use io::ErrorKind::{
        ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted, InvalidInput, NotConnected,
    };
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted | InvalidInput | NotConnected
    )
}
