//! A WebSocket on its way between caller and provider: bytes both ways, measured, and ended by one outcome.

use std::future::Future;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use std::{io, mem};

use futures_util::FutureExt;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, timeout};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::hold::Hold;
use super::meter::Ledger;
use super::metered::Silence;
use crate::call::{self, Duplex, Error, Usage};
use crate::providers::upgrade;
use crate::wire::openai::realtime;
use crate::wire::websocket::{self, Frames};

/// What is read at once, bytes. It is on the stack: a WebSocket on which nothing passes has no buffer.
const READ: usize = 16 << 10;

/// How long a side may take to close after it was told to. At the end of the process there is a second.
const CLOSING: Duration = Duration::from_millis(500);

/// How long the sides may take to hang up after one has, where a closing handshake has begun.
const HANGING_UP: Duration = Duration::from_secs(10);

/// Of RFC 6455, 7.4.1: an endpoint goes away.
const GOING_AWAY: u16 = 1001;

/// Put the provider's connection behind the answer that agrees. `idle` is how long nothing may pass in either direction.
pub(super) fn answer(
    tunnel: upgrade::Tunnel,
    hold: Hold,
    ledger: Ledger,
    hurry: &CancellationToken,
    idle: Option<Duration>,
) -> Box<call::Tunnel> {
    let (head, passed) = (tunnel.head.clone(), Arc::<AtomicU64>::default());
    let carrying = Carrying {
        down: Way::new(realtime::ENDS),
        up: Way::new(&[]),
        usage: None,
        tunnel,
        hold,
        ledger,
        hurry: Box::pin(hurry.clone().cancelled_owned()),
        idle: idle.map(Silence::new),
        hanging_up: false,
        passed: passed.clone(),
    };
    Box::new(call::Tunnel { head, passed, carry: Box::new(|client| carrying.carry(client).boxed()) })
}

/// A WebSocket that is open.
struct Carrying {
    /// From the provider to the caller.
    down: Way,
    /// From the caller to the provider.
    up: Way,
    usage: Option<Usage>,
    tunnel: upgrade::Tunnel,
    hold: Hold,
    ledger: Ledger,
    hurry: Pin<Box<WaitForCancellationFutureOwned>>,
    idle: Option<Silence>,
    hanging_up: bool,
    passed: Arc<AtomicU64>,
}

/// How a WebSocket came to its end.
enum End {
    /// Both sides have said everything.
    Over,
    /// The caller is gone.
    Left,
    /// The provider is gone.
    Broke(Option<io::Error>),
    /// Nothing has passed for too long.
    Idle,
    /// The process is about to end.
    Hurried,
}

impl Carrying {
    async fn carry(mut self, mut client: Box<dyn Duplex>) {
        let end = std::future::poll_fn(|cx| self.poll(&mut client, cx)).await;
        let (error, reason) = match end {
            End::Over => (None, None),
            // as when it is dropped; what is held is given back, and says nothing about the provider
            End::Left => return,
            End::Broke(cause) => (Some(Error::Upstream(self.tunnel.broke(cause.as_ref()))), None),
            End::Idle => (None, Some("nothing has passed for too long")),
            End::Hurried => (Some(Error::Draining), Some("the gateway is shutting down")),
        };
        self.hold.end(error.as_ref(), self.usage.as_ref());
        if let Some(reason) = reason {
            let (down, up) = (&mut self.down, &mut self.up);
            let (client, raw) = (&mut client, &mut self.tunnel.raw);
            let both = async { tokio::join!(down.close(client, reason, false), up.close(raw, reason, true)) };
            // who does not take even that is cut off
            let _ = timeout(CLOSING, both).await;
        }
        self.ledger.end(error.as_ref().map(Error::code), self.usage);
    }

    fn poll(&mut self, client: &mut Box<dyn Duplex>, cx: &mut Context<'_>) -> Poll<End> {
        let before = (self.up.passed, self.down.passed);
        let raw = &mut self.tunnel.raw;
        let up = self.up.poll(client, raw, cx, |_| {});
        let usage = &mut self.usage;
        let down = self.down.poll(raw, client, cx, |event| {
            if let Some(more) = realtime::used(event) {
                *usage = Some(usage.map_or(more, |known| realtime::together(known, more)));
            }
        });
        self.passed.store(self.down.passed, Relaxed);
        if let Some(idle) = &mut self.idle
            && before != (self.up.passed, self.down.passed)
        {
            idle.since = Instant::now();
        }
        // a closing handshake has begun: how the connections end after that does not matter
        let closes = self.up.frames.closes() || self.down.frames.closes();
        if closes && !self.hanging_up && (up.is_ready() || down.is_ready()) {
            (self.hanging_up, self.idle) = (true, Some(Silence::new(HANGING_UP)));
        }
        match (up, down) {
            (Poll::Ready(Ok(())), Poll::Ready(Ok(()))) if closes => return Poll::Ready(End::Over),
            // the caller's end was first, and the provider agreed
            (Poll::Ready(Ok(())), Poll::Ready(Ok(()))) => return Poll::Ready(End::Left),
            (_, Poll::Ready(Err(_))) | (Poll::Ready(Err(_)), _) if closes => return Poll::Ready(End::Over),
            (Poll::Ready(Err(Broken::From(_))), _) | (_, Poll::Ready(Err(Broken::To(_)))) => {
                return Poll::Ready(End::Left);
            }
            (_, Poll::Ready(Err(Broken::From(error)))) | (Poll::Ready(Err(Broken::To(error))), _) => {
                return Poll::Ready(End::Broke(Some(error)));
            }
            // the provider has hung up on a caller who is still there
            (Poll::Pending, Poll::Ready(Ok(()))) if !closes && !self.up.ended => return Poll::Ready(End::Broke(None)),
            _ => {}
        }
        if self.hurry.as_mut().poll(cx).is_ready() {
            return Poll::Ready(End::Hurried);
        }
        match &mut self.idle {
            Some(idle) => idle.poll(cx).map(|()| if self.hanging_up { End::Over } else { End::Idle }),
            None => Poll::Pending,
        }
    }
}

impl Drop for Carrying {
    fn drop(&mut self) {
        self.ledger.abandon(self.usage);
    }
}

/// One direction.
struct Way {
    frames: Frames,
    /// What was read and not taken yet. Nothing more is read before it is gone.
    held: Vec<u8>,
    sent: usize,
    /// Bytes that were taken.
    passed: u64,
    /// Something was written that may not be sent yet.
    unflushed: bool,
    /// Nothing more will come.
    ended: bool,
    /// And the other side knows.
    told: bool,
}

/// Which end of a direction broke.
enum Broken {
    From(io::Error),
    To(io::Error),
}

impl Way {
    fn new(wanted: websocket::Wanted) -> Self {
        let frames = Frames::new(wanted);
        Self { frames, held: Vec::new(), sent: 0, passed: 0, unflushed: false, ended: false, told: false }
    }

    /// Carries what there is. Ready when one end has said everything and the other has been told so.
    fn poll(
        &mut self,
        from: &mut (impl AsyncRead + Unpin),
        to: &mut (impl AsyncWrite + Unpin),
        cx: &mut Context<'_>,
        mut hear: impl FnMut(Vec<u8>),
    ) -> Poll<Result<(), Broken>> {
        let mut space = [const { MaybeUninit::uninit() }; READ];
        loop {
            ready!(self.poll_held(to, cx)).map_err(Broken::To)?;
            if self.ended {
                return self.poll_told(to, cx).map_err(Broken::To);
            }
            let mut buffer = ReadBuf::uninit(&mut space);
            match Pin::new(&mut *from).poll_read(cx, &mut buffer) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(Broken::From(error))),
                Poll::Pending => {
                    if self.unflushed {
                        ready!(Pin::new(&mut *to).poll_flush(cx)).map_err(Broken::To)?;
                        self.unflushed = false;
                    }
                    return Poll::Pending;
                }
            }
            let mut bytes = buffer.filled();
            self.ended = bytes.is_empty();
            self.frames.push(bytes, &mut hear);
            while !bytes.is_empty() {
                match self.poll_write(bytes, to, cx) {
                    Poll::Ready(Ok(n)) => bytes = &bytes[n..],
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(Broken::To(error))),
                    Poll::Pending => {
                        self.held.extend_from_slice(bytes);
                        break;
                    }
                }
            }
        }
    }

    /// Writes what is held. Ready when nothing is.
    fn poll_held(&mut self, to: &mut (impl AsyncWrite + Unpin), cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.sent < self.held.len() {
            let held = mem::take(&mut self.held);
            let wrote = self.poll_write(&held[self.sent..], to, cx);
            self.held = held;
            self.sent += ready!(wrote)?;
        }
        if self.sent > 0 {
            (self.held, self.sent) = (Vec::new(), 0);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_write(
        &mut self,
        bytes: &[u8],
        to: &mut (impl AsyncWrite + Unpin),
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let n = ready!(Pin::new(to).poll_write(cx, bytes))?;
        if n == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        (self.passed, self.unflushed) = (self.passed + n as u64, true);
        Poll::Ready(Ok(n))
    }

    /// Tells the other side that nothing more will come; it may go on.
    fn poll_told(&mut self, to: &mut (impl AsyncWrite + Unpin), cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.told {
            ready!(Pin::new(to).poll_shutdown(cx))?;
            self.told = true;
        }
        Poll::Ready(Ok(()))
    }

    /// Closes this direction in our own words, where a frame has just ended, and waits until the other side closes, too.
    async fn close(&mut self, to: &mut (impl AsyncRead + AsyncWrite + Unpin), reason: &str, by_client: bool) {
        if self.frames.is_between() && !self.frames.closes() && !self.ended {
            self.held.extend_from_slice(&websocket::close(GOING_AWAY, reason, by_client));
        }
        let said = std::future::poll_fn(|cx| {
            ready!(self.poll_held(to, cx))?;
            self.poll_told(to, cx)
        });
        if said.await.is_err() {
            return;
        }
        // a socket that is closed with unread bytes takes back what it has sent last
        let mut space = [0; 1024];
        while matches!(tokio::io::AsyncReadExt::read(to, &mut space).await, Ok(1..)) {}
    }
}
