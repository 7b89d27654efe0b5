//! The body of an upstream's answer: drives its connection while it is read, and says what becomes of it after.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming as HyperBody;
use tokio::time::Instant;

use super::error::{Phase, SendError, words};
use super::link::{Link, hushed};
use super::origin::Origin;

/// Answers longer than this (bytes) leave hyper with large buffers, which a connection at rest has no use for.
const LARGE: usize = 64 * 1024;

/// The body of an answer. Its connection goes back to the pool at a clean end and is closed at once when the body is
/// dropped before, which is how a client that leaves stops the upstream.
pub struct Incoming {
    /// `None` once given back or closed. First, so that it is dropped before the body.
    link: Option<Box<Link>>,
    body: HyperBody,
    origin: Arc<Origin>,
    /// When the silence that we are in becomes too long.
    silence: Option<Instant>,
    /// When the whole answer is late, for [`collect`] alone.
    total: Option<Instant>,
    /// When the exchange began.
    since: Instant,
    /// Bytes passed on so far.
    seen: usize,
    over: bool,
}

impl Incoming {
    pub(super) fn new(link: Option<Box<Link>>, body: HyperBody, origin: Arc<Origin>, since: Instant) -> Self {
        let mut incoming = Self { link, body, origin, silence: None, total: None, since, seen: 0, over: false };
        if incoming.body.is_end_stream() {
            incoming.release();
        }
        incoming
    }

    /// The upstream it comes from.
    pub fn origin(&self) -> &Arc<Origin> {
        &self.origin
    }

    /// Gives the connection back if it can be used again, else closes it.
    fn release(&mut self) {
        self.over = true;
        if let Some(mut link) = self.link.take()
            && link.is_at_rest()
        {
            link.forget_task();
            self.origin.rest(link, self.seen > LARGE);
        }
    }

    /// What hyper has for us already.
    fn poll_body(&mut self) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        hushed(|| Pin::new(&mut self.body).poll_frame(&mut Context::from_waker(Waker::noop())))
    }

    fn settle(
        &mut self,
        frame: Option<Result<Frame<Bytes>, hyper::Error>>,
    ) -> Poll<Option<Result<Frame<Bytes>, SendError>>> {
        match frame {
            Some(Ok(frame)) => {
                self.silence = None;
                self.seen += frame.data_ref().map_or(0, Bytes::len);
                if self.body.is_end_stream() {
                    self.release();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Some(Err(error)) => {
                let cause = words(&error);
                self.fail(SendError::Broken { host: self.origin.name().clone(), cause })
            }
            None => {
                self.release();
                Poll::Ready(None)
            }
        }
    }

    fn fail(&mut self, error: SendError) -> Poll<Option<Result<Frame<Bytes>, SendError>>> {
        self.over = true;
        self.link = None;
        Poll::Ready(Some(Err(error)))
    }

    fn late(&mut self, deadline: Instant) -> Poll<Option<Result<Frame<Bytes>, SendError>>> {
        let timeouts = self.origin.timeouts();
        let (phase, after) = match timeouts.total {
            Some(total) if self.total == Some(deadline) => (Phase::Total, total),
            _ => (Phase::Idle, timeouts.idle),
        };
        self.fail(SendError::Timeout { host: self.origin.name().clone(), phase, after })
    }

    /// The time at which waiting any longer is too long.
    fn deadline(&mut self) -> Instant {
        let idle: Duration = self.origin.timeouts().idle;
        let silence = *self.silence.get_or_insert_with(|| Instant::now() + idle);
        self.total.map_or(silence, |total| total.min(silence))
    }
}

impl Body for Incoming {
    type Data = Bytes;
    type Error = SendError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let this = self.get_mut();
        if this.over {
            return Poll::Ready(None);
        }
        if let Poll::Ready(frame) = this.poll_body() {
            return this.settle(frame);
        }
        if let Some(link) = &mut this.link {
            link.belongs_to(cx);
            if link.poll().is_ready() {
                this.link = None;
            }
            if let Poll::Ready(frame) = this.poll_body() {
                return this.settle(frame);
            }
        }
        let deadline = this.deadline();
        match &mut this.link {
            Some(link) => match link.poll_late(deadline) {
                Poll::Pending => Poll::Pending,
                Poll::Ready(()) => this.late(deadline),
            },
            // The driver is gone and left neither an end nor an error behind: cannot be, and must not hang.
            None => {
                let cause = "connection closed".into();
                this.fail(SendError::Broken { host: this.origin.name().clone(), cause })
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.over || self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        if self.over { SizeHint::with_exact(0) } else { self.body.size_hint() }
    }
}

/// Reads an answer to its end. A body that came in one piece is passed on without a copy.
///
/// Fails when the answer breaks off, pauses for too long, takes longer than [`Timeouts::total`](super::Timeouts) from
/// the beginning of the exchange, or has more than `limit` bytes.
pub async fn collect(mut body: Incoming, limit: usize) -> Result<Bytes, SendError> {
    let too_large = |body: &Incoming| SendError::TooLarge { host: body.origin.name().clone(), limit };
    let expected = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if expected > limit {
        return Err(too_large(&body));
    }
    body.total = body.origin.timeouts().total.map(|total| body.since + total);
    let mut first = Bytes::new();
    let mut whole = BytesMut::new();
    while let Some(frame) = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        let Ok(data) = frame?.into_data() else { continue };
        if body.seen > limit {
            return Err(too_large(&body));
        }
        if first.is_empty() {
            first = data;
            continue;
        }
        if whole.is_empty() {
            whole.reserve(expected.max(body.seen));
            whole.extend_from_slice(&first);
        }
        whole.extend_from_slice(&data);
    }
    Ok(if whole.is_empty() { first } else { whole.freeze() })
}
