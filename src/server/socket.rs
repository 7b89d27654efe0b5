//! A client's socket that reports to its pulse, and closes so that the peer reads our last answer.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http::StatusCode;
use memchr::memmem;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::pulse::{Order, Pulse};

/// A TCP stream whose pulse knows when bytes arrive and when the peer takes none.
pub(super) struct Socket {
    stream: TcpStream,
    pulse: Arc<Pulse>,
    /// The bodies of HTTP/1.1's refusals. `None` for HTTP/2: it has frames between requests, so that arriving bytes need
    /// not begin a head there, and refusals of its own.
    refusal: Option<fn(StatusCode) -> &'static str>,
    closed: bool,
}

impl Socket {
    pub(super) fn new(stream: TcpStream, pulse: Arc<Pulse>, refusal: Option<fn(StatusCode) -> &'static str>) -> Self {
        Self { stream, pulse, refusal, closed: false }
    }

    /// Hyper answers what it cannot parse itself, without a body: the same answer with ours. The shape is hyper's own
    /// alone, since every refusal of a service has a body.
    fn with_body(&self, written: &[u8]) -> Option<Vec<u8>> {
        const LENGTH: &[u8] = b"\r\ncontent-length: 0\r\n";
        let refusal = self.refusal.filter(|_| written.starts_with(b"HTTP/1.1 4") && !self.pulse.is_busy())?;
        let status = written.get(9..12).filter(|status| matches!(*status, b"400" | b"414" | b"431"))?;
        let body = refusal(StatusCode::from_bytes(status).ok()?);
        let at = memmem::find(written, LENGTH)?;
        if body.is_empty() || memmem::find(written, b"\r\n\r\n")? + 4 != written.len() {
            return None;
        }
        let (head, rest) = (&written[..at], &written[at + LENGTH.len()..]);
        let length = format!("\r\ncontent-type: application/json\r\ncontent-length: {}\r\n", body.len());
        Some([head, length.as_bytes(), rest, body.as_bytes()].concat())
    }

    /// Writes `answer` in the place of `written` bytes.
    fn poll_replace(&mut self, cx: &mut Context<'_>, answer: &[u8], written: usize) -> Poll<io::Result<usize>> {
        match ready!(Pin::new(&mut self.stream).poll_write(cx, answer))? {
            n if n == answer.len() => Poll::Ready(Ok(written)),
            // A peer whose window does not hold half a kilobyte is not owed an explanation.
            _ => Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        if self.refusal.is_some() && buf.filled().len() > before {
            self.pulse.read();
        }
        read
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let wrote = match self.with_body(buf) {
            None => Pin::new(&mut self.stream).poll_write(cx, buf),
            Some(answer) => self.poll_replace(cx, &answer, buf.len()),
        };
        self.pulse.wrote(wrote.is_pending());
        wrote
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let wrote = match bufs {
            [one] => return self.poll_write(cx, one),
            _ => Pin::new(&mut self.stream).poll_write_vectored(cx, bufs),
        };
        self.pulse.wrote(wrote.is_pending());
        wrote
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    /// Closes our side, then reads on until the peer closes its own (the sweep sets the bound): a socket closed with
    /// unread bytes answers with a reset, which takes our 413 or 431 from a client that is still sending.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.closed {
            ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
            self.closed = true;
            self.pulse.closed();
        }
        let mut scratch = [MaybeUninit::uninit(); 16 * 1024];
        loop {
            let mut buf = ReadBuf::uninit(&mut scratch);
            match Pin::new(&mut self.stream).poll_read(cx, &mut buf) {
                Poll::Ready(Ok(())) if !buf.filled().is_empty() => {}
                Poll::Ready(_) => return Poll::Ready(Ok(())),
                // A connection that is closed because it idles has nothing more to read, and its peer may not look.
                Poll::Pending if self.pulse.order() == Order::Serve => return Poll::Pending,
                Poll::Pending => return Poll::Ready(Ok(())),
            }
        }
    }
}

/// The same socket once HTTP is over on it: each direction ends for itself, and nobody waits for the peer.
pub(super) struct Bare {
    /// What came behind the last request.
    ahead: Bytes,
    socket: Socket,
}

impl Bare {
    pub(super) fn new(socket: Socket, ahead: Bytes) -> Self {
        Self { ahead, socket }
    }
}

impl AsyncRead for Bare {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.ahead.is_empty() {
            return Pin::new(&mut self.socket).poll_read(cx, buf);
        }
        let much = self.ahead.len().min(buf.remaining());
        buf.put_slice(&self.ahead[..much]);
        self.ahead.advance(much);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Bare {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket.stream).poll_shutdown(cx)
    }
}
