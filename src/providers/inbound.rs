//! The body of an upstream's answer, wherever it comes from, unpacked if it came packed.

use std::collections::VecDeque;
use std::io::Write;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use flate2::write::{GzDecoder, ZlibDecoder};
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use http::StatusCode;

use super::client::{Answer, Fields, Incoming, SendError};

/// An answer whose body is arriving.
pub struct Response {
    /// Its status.
    pub status: StatusCode,
    /// Its fields.
    pub fields: Fields,
    /// Its body.
    pub body: Inbound,
}

impl From<Answer> for Response {
    fn from(answer: Answer) -> Self {
        Self { status: answer.status, fields: answer.fields, body: Inbound::Net(answer.body) }
    }
}

impl Response {
    /// The same with its body in plain, if we can unpack it.
    pub fn unpacked(mut self) -> Self {
        let Some(unpack) = self.fields.content_encoding().and_then(Unpack::of) else { return self };
        if let Inbound::Net(incoming) = self.body {
            self.body = Inbound::Packed(incoming, Box::new(unpack));
            self.fields = self.fields.unpacked();
        }
        self
    }
}

/// A body that is arriving.
pub enum Inbound {
    /// From a socket.
    Net(Incoming),
    /// From a socket, compressed although we asked for it plain.
    Packed(Incoming, Box<Unpack>),
    /// Made in the process.
    Local(VecDeque<Bytes>),
    /// Put together here, of what arrives from one or more sockets.
    Made(BoxStream<'static, Result<Bytes, SendError>>),
}

/// A streaming decompressor.
pub enum Unpack {
    /// `gzip`.
    Gzip(GzDecoder<Vec<u8>>),
    /// `deflate`.
    Zlib(ZlibDecoder<Vec<u8>>),
}

impl Inbound {
    /// The same body, read through the decompressor its `content-encoding` names. `None` if we have none.
    pub fn unpacked(self, encoding: &str) -> Option<Self> {
        if encoding == "identity" {
            return Some(self);
        }
        let unpack = Unpack::of(encoding)?;
        match self {
            Inbound::Net(incoming) => Some(Inbound::Packed(incoming, Box::new(unpack))),
            other => Some(other),
        }
    }

    /// The next chunk; `None` at the end.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, SendError>>> {
        match self {
            Inbound::Local(chunks) => Poll::Ready(chunks.pop_front().map(Ok)),
            Inbound::Made(made) => made.poll_next_unpin(cx),
            Inbound::Net(incoming) => incoming.poll(cx),
            Inbound::Packed(incoming, unpack) => loop {
                let chunk = ready!(incoming.poll(cx));
                let broken = |error: std::io::Error| {
                    let host = incoming.origin().name().clone();
                    SendError::Broken { host, cause: error.to_string().into() }
                };
                let plain = match chunk {
                    Some(Ok(chunk)) => unpack.push(&chunk).map_err(broken),
                    Some(Err(error)) => Err(error),
                    None => return Poll::Ready(unpack.end().map_err(broken).err().map(Err)),
                };
                match plain {
                    Ok(plain) if plain.is_empty() => {}
                    other => return Poll::Ready(Some(other)),
                }
            },
        }
    }

    /// The next chunk; `None` at the end.
    pub async fn next(&mut self) -> Option<Result<Bytes, SendError>> {
        std::future::poll_fn(|cx| self.poll(cx)).await
    }

    /// Everything up to `limit` bytes: all of it, or what was read until then and the rest to come.
    /// A body that arrives in one piece is not copied.
    pub async fn gather(mut self, limit: usize, expected: Option<usize>) -> Result<Gathered, SendError> {
        let Some(first) = self.next().await.transpose()? else { return Ok(Gathered::All(Bytes::new())) };
        if expected == Some(first.len()) || first.len() > limit {
            if first.len() > limit {
                return Ok(Gathered::Beyond(first, self));
            }
            // the body's end must be seen for the connection to be used again
            return match self.next().await.transpose()? {
                None => Ok(Gathered::All(first)),
                Some(more) => Ok(Gathered::All([first, more].concat().into())),
            };
        }
        let mut all = BytesMut::from(first);
        while let Some(chunk) = self.next().await.transpose()? {
            if all.is_empty() {
                all.reserve(expected.unwrap_or(chunk.len()).min(limit));
            }
            all.extend_from_slice(&chunk);
            if all.len() > limit {
                return Ok(Gathered::Beyond(all.freeze(), self));
            }
        }
        Ok(Gathered::All(all.freeze()))
    }
}

/// What [`Inbound::gather`] got.
pub enum Gathered {
    /// The whole body.
    All(Bytes),
    /// More than the limit: what was read, and the rest.
    Beyond(Bytes, Inbound),
}

impl Unpack {
    fn of(encoding: &str) -> Option<Self> {
        match encoding {
            "gzip" | "x-gzip" => Some(Unpack::Gzip(GzDecoder::new(Vec::new()))),
            "deflate" => Some(Unpack::Zlib(ZlibDecoder::new(Vec::new()))),
            _ => None,
        }
    }

    fn push(&mut self, chunk: &[u8]) -> std::io::Result<Bytes> {
        let plain = match self {
            Unpack::Gzip(decoder) => {
                decoder.write_all(chunk)?;
                decoder.flush()?;
                std::mem::take(decoder.get_mut())
            }
            Unpack::Zlib(decoder) => {
                decoder.write_all(chunk)?;
                decoder.flush()?;
                std::mem::take(decoder.get_mut())
            }
        };
        Ok(plain.into())
    }

    /// Nothing more arrives. Fails where a trailer, which holds length and checksum, is still to come.
    fn end(&mut self) -> std::io::Result<()> {
        match self {
            Unpack::Gzip(decoder) if decoder.header().is_some() => decoder.try_finish(),
            Unpack::Gzip(_) | Unpack::Zlib(_) => Ok(()),
        }
    }
}
