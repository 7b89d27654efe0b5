//! The body of an upstream's answer: reads its connection, and says what becomes of it after.

use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::time::Instant;

use super::error::{Phase, SendError, words};
use super::framing::Framing;
use super::http2::Flow;
use super::link::{GLANCE, Link};
use super::origin::Origin;

/// Largest read, and so most memory an answer in flight holds, bytes: large reads are what makes large answers cheap.
const LARGEST_READ: usize = 256 * 1024;

/// The body of an answer. Its connection goes back to the pool at a clean end and is closed at once when the body is
/// dropped before, which is how a client that leaves stops the upstream; of HTTP/2 it is the stream that is closed.
pub struct Incoming {
    /// `None` once given back or closed.
    link: Option<Box<Link>>,
    /// In the place of `link` and `framing` where HTTP/2 is spoken; `None` once it is over.
    flow: Option<Box<Flow>>,
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
    /// What is wrong with what came behind `ready`.
    #[expect(clippy::redundant_allocation, reason = "half the size: an answer is moved often and hardly ever broken")]
    broken: Option<Box<&'static str>>,
}

impl Incoming {
    /// A body of which `rest` has come with the head.
    pub(super) fn new(link: Box<Link>, rest: Bytes, framing: Framing, keeps: bool, origin: Arc<Origin>) -> Self {
        let (link, ready, ample) = (Some(link), Bytes::new(), false);
        let (silence, broken) = (None, None);
        let mut body = Self { link, flow: None, ready, framing, keeps, ample, origin, silence, broken };
        body.take(rest);
        body
    }

    /// One that comes over HTTP/2.
    pub(super) fn flowing(flow: Box<Flow>, origin: Arc<Origin>) -> Self {
        Self {
            link: None,
            flow: Some(flow),
            ready: Bytes::new(),
            framing: Framing::Length(0),
            keeps: false,
            ample: false,
            origin,
            silence: None,
            broken: None,
        }
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
            Err(cause) => self.broken = Some(Box::new(cause)),
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
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, SendError>>> {
        loop {
            if !self.ready.is_empty() {
                self.silence = None;
                return Poll::Ready(Some(Ok(std::mem::take(&mut self.ready))));
            }
            if let Some(cause) = self.broken.take() {
                return self.fail((*cause).into());
            }
            let Some(link) = &mut self.link else { return self.poll_flow(cx) };
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

    fn poll_flow(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, SendError>>> {
        let Some(flow) = &mut self.flow else { return Poll::Ready(None) };
        match flow.poll(cx) {
            Poll::Pending => self.poll_late(cx),
            Poll::Ready(Some(Ok(piece))) => {
                self.silence = None;
                Poll::Ready(Some(Ok(piece)))
            }
            Poll::Ready(Some(Err(cause))) => self.fail(cause),
            Poll::Ready(None) => {
                self.flow = None;
                Poll::Ready(None)
            }
        }
    }

    fn poll_late(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, SendError>>> {
        let after = self.origin.timeouts().idle;
        let deadline = *self.silence.get_or_insert_with(|| Instant::now() + after);
        std::task::ready!(match (&mut self.link, &mut self.flow) {
            (Some(link), _) => link.poll_late(cx, deadline),
            (None, Some(flow)) => flow.poll_late(cx, deadline),
            (None, None) => return Poll::Ready(None),
        });
        (self.link, self.flow) = (None, None);
        let (host, phase) = (self.origin.name().clone(), Phase::Idle);
        Poll::Ready(Some(Err(SendError::Timeout { host, phase, after })))
    }

    fn fail(&mut self, cause: Box<str>) -> Poll<Option<Result<Bytes, SendError>>> {
        (self.link, self.flow) = (None, None);
        Poll::Ready(Some(Err(SendError::Broken { host: self.origin.name().clone(), cause })))
    }
}
