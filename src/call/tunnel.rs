//! An answer after which the connection belongs to another protocol.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use futures_util::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite};

use super::Head;

/// Both directions of a connection.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// Carries bytes between the caller's connection, once it is there, and the provider's, until one of them ends.
pub type Carry = Box<dyn FnOnce(Box<dyn Duplex>) -> BoxFuture<'static, ()> + Send>;

/// What a WebSocket is answered with. Dropped before it is carried, it counts as one that the caller has left.
pub struct Tunnel {
    /// The head of the answer, with the status 101.
    pub head: Head,
    /// Bytes that have gone to the caller.
    pub passed: Arc<AtomicU64>,
    /// What happens behind it.
    pub carry: Carry,
}
