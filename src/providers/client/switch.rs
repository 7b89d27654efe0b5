//! Requests that ask for another protocol on their connection, and the connection that comes of it.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use http::header::HOST;
use http::uri::PathAndQuery;
use http::{Method, StatusCode};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use super::error::SendError;
use super::fields::{Fields, Lines, line};
use super::head;
use super::origin::{Answer, HEAD, Origin};
use super::outgoing::{Outgoing, Sending};
use super::stream::Stream;

/// What came of asking for another protocol.
pub enum Switched {
    /// It is spoken from now on: the fields of the answer that said so, and the connection.
    To(Fields, Raw),
    /// It is not: the answer instead.
    Refused(Answer),
}

/// A connection on which HTTP is over. Dropping it closes it.
pub struct Raw {
    /// What came behind the head of the answer.
    ahead: Bytes,
    stream: Stream,
}

impl Origin {
    /// Asks for another protocol, by `GET` and with the fields that say which; they are as [`Origin::ask`] has them. It is
    /// asked on a new connection: one at rest might be stale, and this one is never given back.
    pub async fn switch(
        self: &Arc<Self>,
        path: &PathAndQuery,
        ready: &Lines,
        more: &Lines,
    ) -> Result<Switched, SendError> {
        let home = (self.keep.worker)() % self.shards.len();
        // through a proxy in a tunnel: proxies pass on HTTP, and this is none for long
        let mut link = self.connect(home, true).await?;
        let mut out = Vec::with_capacity(HEAD);
        head::begin(&mut out, &Method::GET, path.as_str());
        out.extend_from_slice(ready.bytes());
        out.extend_from_slice(more.bytes());
        if !ready.named && !more.named {
            line(&mut out, HOST.as_str(), self.host.as_bytes());
        }
        let sending = Sending::new(out, &Outgoing::Whole(Bytes::new()), false);
        let deadline = Instant::now() + self.timeouts.first_byte;
        let mut heard = link.exchange::<true>(sending, deadline).await.map_err(|failure| self.blame(failure))?;
        if heard.head.status == StatusCode::SWITCHING_PROTOCOLS {
            return Ok(Switched::To(heard.head.fields, Raw { ahead: heard.rest, stream: link.into_stream() }));
        }
        heard.head.keeps = false;
        Ok(Switched::Refused(self.answer(heard, &Method::GET, link)))
    }
}

impl AsyncRead for Raw {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.ahead.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buf);
        }
        let much = self.ahead.len().min(buf.remaining());
        buf.put_slice(&self.ahead[..much]);
        self.ahead.advance(much);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Raw {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
