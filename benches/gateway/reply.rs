//! Reading one HTTP/1.1 answer, piece by piece as it comes from the socket, without keeping it.

use anyhow::{Context, bail};
use memchr::memmem;

/// An answer as far as it has arrived.
pub(crate) struct Reply {
    head: Vec<u8>,
    body: Body,
    /// Bytes of the body so far, without chunk framing.
    pub(crate) length: usize,
    /// The last bytes of the body, to see how a stream ends.
    tail: Vec<u8>,
    /// The server closes the connection after this answer.
    pub(crate) closes: bool,
}

enum Body {
    /// The head is not complete yet.
    Head,
    Left(usize),
    /// Inside the line with a chunk's size.
    Size(usize),
    Chunk(usize),
    /// Bytes of the line end behind a chunk, or behind the last one.
    Line(usize),
    End(usize),
    Done,
}

const TAIL: usize = 16;

impl Reply {
    pub(crate) fn new() -> Reply {
        Reply { head: Vec::new(), body: Body::Head, length: 0, tail: Vec::new(), closes: false }
    }

    /// Takes what was read; true when the answer is complete. Fails on a status other than 200 and on broken framing.
    pub(crate) fn push(&mut self, mut bytes: &[u8]) -> anyhow::Result<bool> {
        if matches!(self.body, Body::Head) {
            let before = self.head.len();
            self.head.extend_from_slice(bytes);
            let Some(end) = memmem::find(&self.head, b"\r\n\r\n") else { return Ok(false) };
            bytes = &bytes[end + 4 - before..];
            self.head.truncate(end + 2);
            self.body = self.framing()?;
        }
        loop {
            match &mut self.body {
                Body::Done if bytes.is_empty() => return Ok(true),
                Body::Done => bail!("bytes behind the end of an answer"),
                _ if bytes.is_empty() => return Ok(false),
                Body::Left(left) => {
                    let n = bytes.len().min(*left);
                    *left -= n;
                    let done = *left == 0;
                    self.count(&bytes[..n]);
                    bytes = &bytes[n..];
                    if done {
                        self.body = Body::Done;
                    }
                }
                Body::Size(size) => {
                    match bytes[0] {
                        b'\n' if *size == 0 => self.body = Body::End(2),
                        b'\n' => self.body = Body::Chunk(*size),
                        b'\r' => {}
                        digit => {
                            let digit = (digit as char).to_digit(16).context("a chunk without a size")?;
                            *size = *size * 16 + digit as usize;
                        }
                    }
                    bytes = &bytes[1..];
                }
                Body::Chunk(left) => {
                    let n = bytes.len().min(*left);
                    *left -= n;
                    let done = *left == 0;
                    self.count(&bytes[..n]);
                    bytes = &bytes[n..];
                    if done {
                        self.body = Body::Line(2);
                    }
                }
                Body::Line(left) | Body::End(left) => {
                    let n = bytes.len().min(*left);
                    *left -= n;
                    bytes = &bytes[n..];
                    match self.body {
                        Body::Line(0) => self.body = Body::Size(0),
                        Body::End(0) => self.body = Body::Done,
                        _ => {}
                    }
                }
                Body::Head => bail!("the head is read before"),
            }
        }
    }

    /// Whether the body ends as a complete stream of events does.
    pub(crate) fn ends_with_done(&self) -> bool {
        memmem::find(&self.tail, b"[DONE]").is_some()
    }

    fn framing(&mut self) -> anyhow::Result<Body> {
        let text = std::str::from_utf8(&self.head)?;
        let mut lines = text.split("\r\n");
        let status = lines.next().unwrap_or_default();
        if !status.starts_with("HTTP/1.1 200") {
            bail!("{status}");
        }
        let mut body = None;
        for line in lines {
            let Some((name, value)) = line.split_once(':') else { continue };
            let value = value.trim();
            if name.eq_ignore_ascii_case("content-length") {
                body = Some(Body::Left(value.parse()?));
            } else if name.eq_ignore_ascii_case("transfer-encoding") {
                body = Some(Body::Size(0));
            } else if name.eq_ignore_ascii_case("connection") {
                self.closes = value.eq_ignore_ascii_case("close");
            }
        }
        body.context("an answer without a length")
    }

    fn count(&mut self, bytes: &[u8]) {
        self.length += bytes.len();
        self.tail.extend_from_slice(&bytes[bytes.len().saturating_sub(TAIL)..]);
        let excess = self.tail.len().saturating_sub(TAIL);
        self.tail.drain(..excess);
    }
}
