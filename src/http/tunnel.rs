//! What a connection becomes behind a 101: handed, beside the response, to whoever drives the connection.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use axum::response::Response;

use crate::call::tunnel::Carry;
use crate::call::{Duplex, Tunnel};

/// An extension of the response that opens a WebSocket. A clone is the same one.
#[derive(Clone)]
pub struct Switch(Arc<Mutex<Option<Next>>>);

/// What comes behind the response. The order of the fields is that in which they are dropped: the outcome is filed before
/// the access line is written.
struct Next {
    carry: Carry,
    attendant: Attendant,
}

/// Told how many bytes have gone to the caller, when it is over.
type AtEnd = Box<dyn FnOnce(u64) + Send>;

#[derive(Default)]
struct Attendant {
    passed: Arc<AtomicU64>,
    at_end: Option<AtEnd>,
}

impl Drop for Attendant {
    fn drop(&mut self) {
        if let Some(at_end) = self.at_end.take() {
            at_end(self.passed.load(Relaxed));
        }
    }
}

impl Switch {
    /// The response that opens a WebSocket.
    pub(super) fn response(tunnel: Tunnel) -> Response {
        let Tunnel { head, passed, carry } = tunnel;
        let next = Next { carry, attendant: Attendant { passed, at_end: None } };
        let mut response = Response::new(Body::empty());
        *response.status_mut() = head.status;
        *response.headers_mut() = head.headers;
        response.extensions_mut().insert(Switch(Arc::new(Mutex::new(Some(next)))));
        response
    }

    /// Has `at_end` called when it is over, or will never be.
    pub(super) fn attend(&self, at_end: AtEnd) {
        if let Some(next) = self.0.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            next.attendant.at_end = Some(at_end);
        }
    }

    /// Carries bytes between the caller and the provider. `client` is the connection behind the response.
    pub async fn run(self, client: Box<dyn Duplex>) {
        let next = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(Next { carry, attendant }) = next else { return };
        // dropped after what is awaited, wherever that is dropped
        let _attendant = attendant;
        carry(client).await;
    }
}
