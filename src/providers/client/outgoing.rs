//! The body of a request on its way out.

use std::fmt;
use std::io::{self, IoSlice, Write};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use futures_util::stream::BoxStream;
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use tokio::io::AsyncWrite;

use super::fields::line;
use super::stream::Stream;

/// The pieces of a body that is read while it is sent.
pub type Pieces = BoxStream<'static, io::Result<Bytes>>;

/// The body of a request.
#[derive(Clone)]
pub enum Outgoing {
    /// In memory.
    Whole(Bytes),
    /// Somewhere else.
    Elsewhere {
        /// Its length in bytes; unknown, it is sent in chunks.
        length: Option<u64>,
        /// Begins to read it, once for each connection it is sent on.
        open: Arc<dyn Fn() -> Pieces + Send + Sync>,
    },
}

impl Outgoing {
    /// Its length in bytes, if it is known.
    pub(super) fn length(&self) -> Option<u64> {
        match self {
            Outgoing::Whole(body) => Some(body.len() as u64),
            Outgoing::Elsewhere { length, .. } => *length,
        }
    }
}

impl From<Bytes> for Outgoing {
    fn from(body: Bytes) -> Self {
        Outgoing::Whole(body)
    }
}

impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Outgoing({:?})", self.length())
    }
}

/// A request that is being sent.
pub(super) struct Sending {
    /// What goes before the piece: the head, or the size of a chunk.
    front: Vec<u8>,
    /// How much of it has been sent.
    sent: usize,
    piece: Bytes,
    /// The pieces after this one, and what is known of them.
    rest: Option<Rest>,
    /// The body itself has failed us, not the connection.
    failed: bool,
}

struct Rest {
    pieces: Pieces,
    /// Bytes still to come; `None` for chunks.
    left: Option<u64>,
    /// A chunk has been sent, whose end has not.
    within: bool,
}

impl Sending {
    /// Ends a head with the fields about the body.
    pub(super) fn new(mut head: Vec<u8>, body: &Outgoing, is_empty_said: bool) -> Self {
        match body.length() {
            Some(0) if !is_empty_said => {}
            Some(length) => line(&mut head, CONTENT_LENGTH.as_str(), digits(length, &mut [0; 20])),
            None => line(&mut head, TRANSFER_ENCODING.as_str(), b"chunked"),
        }
        head.extend_from_slice(b"\r\n");
        let (piece, rest) = match body {
            Outgoing::Whole(body) => (body.clone(), None),
            Outgoing::Elsewhere { length, open } => {
                (Bytes::new(), Some(Rest { pieces: open(), left: *length, within: false }))
            }
        };
        Self { front: head, sent: 0, piece, rest, failed: false }
    }

    /// Sends as much as the connection takes. Ready when all has been sent.
    pub(super) fn poll(&mut self, stream: &mut Stream, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            while self.sent < self.front.len() || !self.piece.is_empty() {
                let parts = [IoSlice::new(&self.front[self.sent..]), IoSlice::new(&self.piece)];
                let n = ready!(Pin::new(&mut *stream).poll_write_vectored(cx, &parts))?;
                if n == 0 {
                    return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                }
                let ahead = n.min(self.front.len() - self.sent);
                self.sent += ahead;
                self.piece.advance(n - ahead);
            }
            // an answer may take minutes, and nothing of the request is needed for it
            self.front = Vec::new();
            self.sent = 0;
            self.piece = Bytes::new();
            let Some(rest) = &mut self.rest else { return Pin::new(&mut *stream).poll_flush(cx) };
            let next = match ready!(rest.pieces.as_mut().poll_next(cx)) {
                Some(piece) => piece.and_then(|piece| rest.frame(piece, &mut self.front)),
                None => {
                    let end = rest.end(&mut self.front);
                    self.rest = None;
                    end.map(|()| Bytes::new())
                }
            };
            self.failed = next.is_err();
            self.piece = next?;
        }
    }

    /// Whether the last failure is the body's, not the connection's.
    pub(super) fn failed(&self) -> bool {
        self.failed
    }
}

pub(super) fn longer() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the body is longer than was said")
}

pub(super) fn shorter() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the body is shorter than was said")
}

/// A number in digits, without the machinery of formatting.
fn digits(mut number: u64, space: &mut [u8; 20]) -> &[u8] {
    let mut at = space.len();
    loop {
        at -= 1;
        space[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return &space[at..];
        }
    }
}

impl Rest {
    /// Puts what a piece needs before it in front.
    fn frame(&mut self, piece: Bytes, front: &mut Vec<u8>) -> io::Result<Bytes> {
        match &mut self.left {
            Some(left) => {
                *left = left.checked_sub(piece.len() as u64).ok_or_else(longer)?;
            }
            // an empty chunk would be the last one
            None if piece.is_empty() => {}
            None => {
                write!(front, "{}{:x}\r\n", if self.within { "\r\n" } else { "" }, piece.len())?;
                self.within = true;
            }
        }
        Ok(piece)
    }

    fn end(&self, front: &mut Vec<u8>) -> io::Result<()> {
        match self.left {
            Some(0) => Ok(()),
            Some(_) => Err(shorter()),
            None => write!(front, "{}0\r\n\r\n", if self.within { "\r\n" } else { "" }),
        }
    }
}
