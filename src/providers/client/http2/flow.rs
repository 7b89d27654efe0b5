//! The body of an answer that comes over HTTP/2.

use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::{Reason, RecvStream};
use tokio::time::Instant;

use super::lane::Turn;
use super::upload::Upload;
use crate::providers::client::error::words;
use crate::providers::client::link::Alarm;

/// A body on its way. Dropping it before its end resets the stream.
pub(in crate::providers::client) struct Flow {
    body: RecvStream,
    /// What has still to be sent: an upstream may answer before it has heard everything.
    upload: Option<Upload>,
    /// Bytes still to come, if the answer says how many.
    left: Option<u64>,
    alarm: Alarm,
    turn: Turn,
}

impl Flow {
    pub(super) fn new(body: RecvStream, upload: Option<Upload>, left: Option<u64>, turn: Turn) -> Box<Self> {
        Box::new(Self { body, upload, left, alarm: Alarm::default(), turn })
    }

    /// The next piece, never an empty one; `None` at the end.
    pub(in crate::providers::client) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Box<str>>>> {
        if let Some(upload) = &mut self.upload
            && upload.poll(cx).is_ready()
        {
            self.upload = None;
        }
        loop {
            let piece = match ready!(self.body.poll_data(cx)) {
                Some(Ok(piece)) => piece,
                // an upstream that has said everything need not hear the rest of the request (RFC 9113, 8.1)
                Some(Err(error)) if error.is_remote() && error.reason() == Some(Reason::NO_ERROR) => {
                    return Poll::Ready(self.end());
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(words(&error)))),
                None => return Poll::Ready(self.end()),
            };
            self.turn.note();
            // what is passed on makes room for more: a caller that does not read holds up its own stream alone
            let _ = self.body.flow_control().release_capacity(piece.len());
            self.left = self.left.map(|left| left.saturating_sub(piece.len() as u64));
            if !piece.is_empty() {
                return Poll::Ready(Some(Ok(piece)));
            }
        }
    }

    fn end(&self) -> Option<Result<Bytes, Box<str>>> {
        let missing = self.left.filter(|left| *left > 0)?;
        Some(Err(format!("it ended {missing} bytes too early").into()))
    }

    /// Ready when `deadline` has passed; until then the task is woken when it has.
    pub(in crate::providers::client) fn poll_late(&mut self, cx: &mut Context<'_>, deadline: Instant) -> Poll<()> {
        self.alarm.poll(cx, deadline)
    }
}
