//! One HTTP/1.1 connection, driven by whoever holds it: there is no connection task, and no buffer while it waits.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::{Instant, Sleep};
use tokio_util::io::poll_read_buf;

use super::head::{self, Head, Nonsense};
use super::outgoing::Sending;
use super::stream::Stream;

/// What is read at once where nobody knows how much there is, bytes: it is on the stack, so that a connection that
/// waits has no buffer.
pub(super) const GLANCE: usize = 16 * 1024;

/// A connection.
pub(super) struct Link {
    stream: Stream,
    alarm: Alarm,
    /// The shard it belongs to: the one of the worker whose reactor watches the socket.
    pub(super) home: usize,
}

/// An exchange that came to no answer.
#[derive(Debug)]
pub(super) enum Failure {
    /// The connection closed before the head was whole: how, if not by its end, and whether any byte of it had come.
    Closed { cause: Option<io::Error>, heard: bool },
    /// What came is no answer.
    Nonsense(Nonsense),
    /// The request's body could not be read.
    Body(io::Error),
    /// The deadline passed.
    Late,
}

/// The answer to a request, as far as it has come.
pub(super) struct Heard {
    pub(super) head: Head,
    /// What came behind the head.
    pub(super) rest: Bytes,
    /// Whether the request was sent to its end: else the connection can't be used again.
    pub(super) sent: bool,
}

impl Link {
    pub(super) fn new(stream: Stream, home: usize) -> Box<Self> {
        Box::new(Self { stream, alarm: Alarm::default(), home })
    }

    /// Sends a request and waits for the head of the answer until `deadline`. `SWITCHES` says whether that may be one that
    /// switches protocols.
    pub(super) async fn exchange<const SWITCHES: bool>(
        &mut self,
        mut sending: Sending,
        deadline: Instant,
    ) -> Result<Heard, Failure> {
        let mut heard = Bytes::new();
        let mut sent = false;
        let mut broken = None;
        std::future::poll_fn(|cx| {
            if !sent && broken.is_none() {
                match sending.poll(&mut self.stream, cx) {
                    Poll::Ready(Ok(())) => sent = true,
                    Poll::Ready(Err(error)) if sending.failed() => return Poll::Ready(Err(Failure::Body(error))),
                    // who does not want the request may have said why before it closed
                    Poll::Ready(Err(error)) => broken = Some(error),
                    Poll::Pending => {}
                }
            }
            while let Poll::Ready(read) = self.poll_glance(cx) {
                let known = heard.len();
                let closed = |cause| Failure::Closed { cause, heard: known > 0 };
                match read {
                    Ok(more) if more.is_empty() => return Poll::Ready(Err(closed(broken.take()))),
                    Ok(more) if heard.is_empty() => heard = more,
                    Ok(more) => heard = [heard.as_ref(), more.as_ref()].concat().into(),
                    Err(error) => return Poll::Ready(Err(closed(Some(broken.take().unwrap_or(error))))),
                }
                match head::read(&heard, known, SWITCHES) {
                    Ok(Some(head)) => {
                        let rest = heard.slice(head.length..);
                        return Poll::Ready(Ok(Heard { head, rest, sent }));
                    }
                    Ok(None) => {}
                    Err(nonsense) => return Poll::Ready(Err(Failure::Nonsense(nonsense))),
                }
            }
            self.poll_late(cx, deadline).map(|()| Err(Failure::Late))
        })
        .await
    }

    /// The stream beneath.
    pub(super) fn into_stream(self) -> Stream {
        self.stream
    }

    /// Reads what there is, up to [`GLANCE`]; empty at the end.
    pub(super) fn poll_glance(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
        let mut space = [const { MaybeUninit::uninit() }; GLANCE];
        let mut buffer = ReadBuf::uninit(&mut space);
        let read = Pin::new(&mut self.stream).poll_read(cx, &mut buffer);
        read.map_ok(|()| Bytes::copy_from_slice(buffer.filled()))
    }

    /// Reads what there is, up to `most` bytes; empty at the end.
    pub(super) fn poll_much(&mut self, cx: &mut Context<'_>, most: usize) -> Poll<io::Result<Bytes>> {
        let mut buffer = BytesMut::with_capacity(most);
        while buffer.len() < most {
            match poll_read_buf(Pin::new(&mut self.stream), cx, &mut buffer) {
                Poll::Ready(Ok(0)) => break,
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(error)) if buffer.is_empty() => return Poll::Ready(Err(error)),
                // what has come counts, and the error is there the next time
                Poll::Ready(Err(_)) => break,
                Poll::Pending if buffer.is_empty() => return Poll::Pending,
                Poll::Pending => break,
            }
        }
        Poll::Ready(Ok(buffer.freeze()))
    }

    /// Whether the next request can be sent: nothing has come that nobody asked for, and the other side is there. The
    /// task that drove the connection is forgotten, so that one at rest keeps no finished task alive.
    pub(super) fn is_at_rest(&mut self) -> bool {
        let nobody = &mut Context::from_waker(Waker::noop());
        self.alarm.forget(nobody);
        self.poll_glance(nobody).is_pending()
    }

    /// Ready when `deadline` has passed; until then the task is woken when it has.
    pub(super) fn poll_late(&mut self, cx: &mut Context<'_>, deadline: Instant) -> Poll<()> {
        self.alarm.poll(cx, deadline)
    }
}

/// A timer that is set rarely: it may stand earlier than asked and is moved on when it fires. A connection in steady
/// use touches the timer wheel once per timeout, not once per request or frame.
#[derive(Default)]
pub(super) struct Alarm {
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Alarm {
    /// Ready when `deadline` has passed; until then the task is woken when it has.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, deadline: Instant) -> Poll<()> {
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

    /// From now on it wakes nobody.
    fn forget(&mut self, nobody: &mut Context<'_>) {
        if let Some(sleep) = &mut self.sleep {
            let _ = sleep.as_mut().poll(nobody);
        }
    }
}
