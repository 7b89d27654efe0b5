//! The body of a request on its way out over HTTP/2, as fast as the upstream takes it.

use std::io;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::SendStream;

use crate::providers::client::outgoing::{Outgoing, Pieces, longer, shorter};

/// A body that is being sent. Dropping it before its end resets the stream, unless the answer still holds that.
pub(super) struct Upload {
    stream: SendStream<Bytes>,
    piece: Bytes,
    /// The pieces after this one, and how many bytes are still to come, if that is known.
    rest: Option<(Pieces, Option<u64>)>,
}

/// Why no more of a body is sent.
pub(super) enum Stopped {
    /// It cannot be read.
    Body(io::Error),
    /// The stream takes no more.
    Stream,
}

impl Upload {
    pub(super) fn new(stream: SendStream<Bytes>, body: &Outgoing) -> Self {
        let (piece, rest) = match body {
            Outgoing::Whole(body) => (body.clone(), None),
            Outgoing::Elsewhere { length, open } => (Bytes::new(), Some((open(), *length))),
        };
        Self { stream, piece, rest }
    }

    /// Sends as much as the upstream takes. Ready when all has been sent, and not to be called after that.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Stopped>> {
        loop {
            while !self.piece.is_empty() {
                let room = ready!(self.poll_room(cx))?;
                let part = self.piece.split_to(room.min(self.piece.len()));
                let is_last = self.piece.is_empty() && self.rest.is_none();
                self.stream.send_data(part, is_last).map_err(|_closed| Stopped::Stream)?;
                if is_last {
                    return Poll::Ready(Ok(()));
                }
            }
            let Some((pieces, left)) = &mut self.rest else { return Poll::Ready(Ok(())) };
            let Some(piece) = ready!(pieces.as_mut().poll_next(cx)) else {
                if left.is_some_and(|left| left > 0) {
                    return Poll::Ready(Err(Stopped::Body(shorter())));
                }
                self.rest = None;
                let end = self.stream.send_data(Bytes::new(), true);
                return Poll::Ready(end.map_err(|_closed| Stopped::Stream));
            };
            let piece = piece.map_err(Stopped::Body)?;
            if let Some(left) = left {
                *left = left.checked_sub(piece.len() as u64).ok_or_else(|| Stopped::Body(longer()))?;
            }
            self.piece = piece;
        }
    }

    /// How many bytes the upstream takes now, at least one.
    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, Stopped>> {
        self.stream.reserve_capacity(self.piece.len());
        loop {
            // only changes are told
            match self.stream.capacity() {
                0 => match ready!(self.stream.poll_capacity(cx)) {
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => return Poll::Ready(Err(Stopped::Stream)),
                },
                room => return Poll::Ready(Ok(room)),
            }
        }
    }
}
