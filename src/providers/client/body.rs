//! The body of an upstream's answer: reads its connection, and says what becomes of it after.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use tokio::time::Instant;

use super::error::{Phase, SendError, words};
use super::framing::Framing;
use super::link::{GLANCE, Link};
use super::origin::Origin;

/// Largest read, and so most memory an answer in flight holds, bytes: large reads are what makes large answers cheap.
const LARGEST_READ: usize = 256 * 1024;

/// The body of an answer. Its connection goes back to the pool at a clean end and is closed at once when the body is
/// dropped before, which is how a client that leaves stops the upstream.
pub struct Incoming {
    /// `None` once given back or closed.
    link: Option<Box<Link>>,
    /// What has been read and not been passed on.
    ready: Bytes,
    framing: Framing,
    /// Whether the connection can be used again after it.
    keeps: bool,
    /// The last read found more than it could take.
    ample: bool,
    origin: Arc<Origin>,
    /// When the silence that we are in becomes too long.
    silence: Option<Instant>,
    /// When the whole answer is late, for [`collect`] alone.
    total: Option<Instant>,
    /// When the exchange began.
    since: Instant,
    /// Bytes passed on so far.
    seen: usize,
    /// What is wrong with what came behind `ready`.
    broken: Option<&'static str>,
}

impl Incoming {
    /// A body of which `rest` has come with the head.
    pub(super) fn new(
        link: Box<Link>,
        rest: Bytes,
        framing: Framing,
        keeps: bool,
        origin: Arc<Origin>,
        since: Instant,
    ) -> Self {
        let (link, ready, ample) = (Some(link), Bytes::new(), false);
        let (silence, total, seen, broken) = (None, None, 0, None);
        let mut body = Self { link, ready, framing, keeps, ample, origin, silence, total, since, seen, broken };
        body.take(rest);
        body
    }

    /// The upstream it comes from.
    pub fn origin(&self) -> &Arc<Origin> {
        &self.origin
    }

    /// Takes what has been read. At the end of the body the connection is given back if it can be used again.
    fn take(&mut self, read: Bytes) {
        match self.framing.take(read) {
            Ok((body, beyond)) => {
                self.ready = body;
                self.keeps &= beyond == 0;
            }
            Err(cause) => self.broken = Some(cause),
        }
        if self.framing.is_over()
            && let Some(mut link) = self.link.take()
            && self.keeps
            && link.is_at_rest()
        {
            self.origin.rest(link);
        }
    }

    /// The next piece, as it came; `None` at the end, or after a failure.
    pub fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, SendError>>> {
        loop {
            if !self.ready.is_empty() {
                self.silence = None;
                self.seen += self.ready.len();
                return Poll::Ready(Some(Ok(std::mem::take(&mut self.ready))));
            }
            if let Some(cause) = self.broken.take() {
                return self.fail(cause.into());
            }
            let Some(link) = &mut self.link else { return Poll::Ready(None) };
            let much = match self.framing {
                Framing::Length(left) => usize::try_from(left).unwrap_or(LARGEST_READ).min(LARGEST_READ),
                Framing::Chunked(_) | Framing::Close if self.ample => LARGEST_READ / 2,
                Framing::Chunked(_) | Framing::Close => 0,
            };
            let read = if much > GLANCE { link.poll_much(cx, much) } else { link.poll_glance(cx) };
            match read {
                Poll::Pending => return self.poll_late(cx),
                Poll::Ready(Ok(read)) if read.is_empty() => {
                    self.link = None;
                    if matches!(self.framing, Framing::Close) {
                        return Poll::Ready(None);
                    }
                    return self.fail("the connection closed in the middle of it".into());
                }
                Poll::Ready(Ok(read)) => {
                    self.ample = read.len() >= GLANCE;
                    self.take(read);
                }
                Poll::Ready(Err(error)) => return self.fail(words(&error)),
            }
        }
    }

    fn poll_late(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, SendError>>> {
        let timeouts = self.origin.timeouts();
        let idle: Duration = timeouts.idle;
        let silence = *self.silence.get_or_insert_with(|| Instant::now() + idle);
        let deadline = self.total.map_or(silence, |total| total.min(silence));
        let Some(link) = &mut self.link else { return Poll::Ready(None) };
        std::task::ready!(link.poll_late(cx, deadline));
        self.link = None;
        let (phase, after) = match timeouts.total {
            Some(total) if self.total == Some(deadline) => (Phase::Total, total),
            _ => (Phase::Idle, idle),
        };
        Poll::Ready(Some(Err(SendError::Timeout { host: self.origin.name().clone(), phase, after })))
    }

    fn fail(&mut self, cause: Box<str>) -> Poll<Option<Result<Bytes, SendError>>> {
        self.link = None;
        Poll::Ready(Some(Err(SendError::Broken { host: self.origin.name().clone(), cause })))
    }
}

impl Body for Incoming {
    type Data = Bytes;
    type Error = SendError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        self.get_mut().poll_data(cx).map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.ready.is_empty() && self.link.is_none() && self.broken.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        match self.framing {
            Framing::Length(left) => SizeHint::with_exact(left + self.ready.len() as u64),
            Framing::Chunked(_) | Framing::Close => SizeHint::default(),
        }
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
    while let Some(piece) = std::future::poll_fn(|cx| body.poll_data(cx)).await {
        let piece = piece?;
        if body.seen > limit {
            return Err(too_large(&body));
        }
        if first.is_empty() {
            first = piece;
            continue;
        }
        if whole.is_empty() {
            whole.reserve(expected.max(body.seen));
            whole.extend_from_slice(&first);
        }
        whole.extend_from_slice(&piece);
    }
    Ok(if whole.is_empty() { first } else { whole.freeze() })
}
