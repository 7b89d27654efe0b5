//! One HTTP/1.1 connection, driven by whoever holds it: there is no connection task.
//!
//! hyper splits a connection into a driver (`Connection`), a handle to send on and a body to read from, joined by
//! channels made for different tasks. Here all three live in the request's task. Each poll goes: channel end, driver,
//! channel end. Wakes that hyper's channel ends send to the driver meanwhile would only re-run the task that is running
//! already, so they are hushed; whatever else wakes the driver (the socket, hyper yielding, the timer) gets through.

use std::cell::Cell;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use bytes::Bytes;
use futures_util::task::AtomicWaker;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming as HyperBody;
use hyper::client::conn::http1::{self, Connection, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, Sleep};

use super::stream::Stream;

/// Largest read, and so most memory an answer in flight holds (bytes). hyper starts at 8 KiB and doubles while reads
/// come back full; large reads are what makes large answers cheap.
const LARGEST_READ: usize = 512 * 1024;
/// Largest head of an answer (bytes). The number of header fields is hyper's 100.
const LARGEST_HEAD: usize = 64 * 1024;

thread_local! {
    /// Set while this thread polls a channel end whose driver is polled next anyway.
    static HUSHED: Cell<bool> = const { Cell::new(false) };
}

/// Runs `f` with wakes of this thread's connections hushed. Wakes from other threads are never lost: the flag is ours.
pub(super) fn hushed<R>(f: impl FnOnce() -> R) -> R {
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            HUSHED.set(self.0);
        }
    }
    let _restore = Restore(HUSHED.replace(true));
    f()
}

/// Passes wakes on to the task that holds the connection at the moment. An idle connection wakes nobody.
#[derive(Default)]
struct Bell {
    task: AtomicWaker,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !HUSHED.get() {
            self.task.wake();
        }
    }
}

/// A connection and what it takes to drive it.
pub(super) struct Link {
    send: SendRequest<Full<Bytes>>,
    conn: Connection<TokioIo<Stream>, Full<Bytes>>,
    alarm: Alarm,
    bell: Arc<Bell>,
    /// `bell` as a waker.
    waker: Waker,
    /// The shard it belongs to: the one of the worker whose reactor watches the socket.
    pub(super) home: usize,
}

/// An exchange that came to no answer.
pub(super) enum Failure {
    /// hyper's error, and whether any byte of an answer had arrived.
    Hyper { error: hyper::Error, heard: bool },
    /// The deadline passed.
    Late,
}

impl Link {
    /// Speaks HTTP/1.1 over `stream` from here on.
    pub(super) async fn new(stream: Stream, home: usize) -> Result<Box<Self>, hyper::Error> {
        let (send, conn) = http1::Builder::new()
            .max_buf_size(LARGEST_READ)
            .max_header_size(LARGEST_HEAD)
            .handshake(TokioIo::new(stream))
            .await?;
        let bell = Arc::new(Bell::default());
        let waker = Waker::from(bell.clone());
        Ok(Box::new(Self { send, conn, alarm: Alarm::default(), bell, waker, home }))
    }

    /// Gives up hyper's buffers and keeps the socket. `None` when the connection is not at rest.
    pub(super) fn into_stream(self: Box<Self>) -> Option<Stream> {
        let parts = self.conn.into_parts();
        parts.read_buf.is_empty().then(|| parts.io.into_inner())
    }

    /// Whether the next request can be sent: the exchange before it is over on both sides.
    pub(super) fn is_at_rest(&mut self) -> bool {
        self.send.is_ready() || (self.poll().is_pending() && self.send.is_ready())
    }

    /// Forgets the task that drove the connection, so that a pooled connection keeps no finished task alive.
    pub(super) fn forget_task(&self) {
        drop(self.bell.task.take());
    }

    /// From now on `cx`'s task is woken when there is something to drive.
    pub(super) fn belongs_to(&self, cx: &Context<'_>) {
        self.bell.task.register(cx.waker());
    }

    /// Drives the connection as far as it goes. Ready means that it is over.
    pub(super) fn poll(&mut self) -> Poll<()> {
        Pin::new(&mut self.conn).poll(&mut Context::from_waker(&self.waker)).map(drop)
    }

    /// Ready when `deadline` has passed; until then the task is woken when it has.
    pub(super) fn poll_late(&mut self, deadline: Instant) -> Poll<()> {
        self.alarm.poll(&mut Context::from_waker(&self.waker), deadline)
    }

    /// Sends `request` and waits for the head of the answer until `deadline`. The connection comes back with it unless
    /// it is over already; what is left of the answer then waits in the body.
    pub(super) async fn exchange(
        mut self: Box<Self>,
        request: Request<Full<Bytes>>,
        deadline: Instant,
    ) -> Result<(Response<HyperBody>, Option<Box<Self>>), Failure> {
        // Outside tokio's budget: the channel of the answer is polled with a waker that does nothing, so it must not be
        // told to come back later.
        let reply = tokio::task::coop::unconstrained(hushed(|| self.send.try_send_request(request)));
        let mut reply = pin!(reply);
        let mut held = Some(self);
        let mut heard = false;
        let outcome = std::future::poll_fn(|cx| {
            let mut silent = Context::from_waker(Waker::noop());
            if let Some(link) = &mut held {
                link.belongs_to(cx);
                if link.poll().is_ready() {
                    // hyper hands back a request that it never started when the driver goes.
                    heard = held.take().is_some_and(|link| link.has_unread());
                }
            }
            if let Poll::Ready(answer) = reply.as_mut().poll(&mut silent) {
                return Poll::Ready(Some(answer));
            }
            match &mut held {
                Some(link) => link.poll_late(deadline).map(|()| None),
                None => Poll::Ready(None),
            }
        })
        .await;
        match outcome {
            Some(Ok(answer)) => Ok((answer, held)),
            Some(Err(error)) => {
                let heard = heard || held.is_some_and(|link| link.has_unread());
                Err(Failure::Hyper { error: error.into_error(), heard })
            }
            None => Err(Failure::Late),
        }
    }

    /// Whether bytes have arrived that hyper has not passed on: the beginning of a head.
    fn has_unread(self: Box<Self>) -> bool {
        !self.conn.into_parts().read_buf.is_empty()
    }
}

/// A timer that is set rarely: it may stand earlier than asked and is moved on when it fires. A connection in steady
/// use touches the timer wheel once per timeout, not once per request or frame.
#[derive(Default)]
struct Alarm {
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Alarm {
    fn poll(&mut self, cx: &mut Context<'_>, deadline: Instant) -> Poll<()> {
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        if sleep.deadline() > deadline {
            sleep.as_mut().reset(deadline);
        }
        while sleep.as_mut().poll(cx).is_ready() {
            if Instant::now() >= deadline {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(deadline);
        }
        Poll::Pending
    }
}
