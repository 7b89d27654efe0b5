//! An answer on its way out: measured, kept alive in silence, and ended by one outcome.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use futures_util::future::BoxFuture;
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::engine::Walked;
use super::hold::Hold;
use super::meter::Ledger;
use crate::call::{Error, Fault, Usage};
use crate::providers::receive::Got;
use crate::providers::stream::{Flow, Long};

/// What a silent stream says so that proxies and clients do not give it up.
const KEEP_ALIVE: Bytes = Bytes::from_static(b": keep-alive\n\n");

/// How long a stream may stay open after its end mark.
const LINGER: Duration = Duration::from_secs(1);

/// Where the bytes come from.
pub enum Source {
    /// From nobody yet.
    Waiting(BoxFuture<'static, Walked>),
    /// From a stream of events.
    Flow(Box<Flow>),
    /// From a long body.
    Long(Box<Long>),
    /// From nobody any more.
    Over,
}

/// A body in the making.
pub struct Metered {
    source: Source,
    hold: Hold,
    ledger: Ledger,
    hurry: Pin<Box<WaitForCancellationFutureOwned>>,
    silence: Option<Silence>,
    /// Whether what the stream cost is told at its end.
    tells: bool,
}

/// How long nothing has been said. The timer is made at the first pause and set again only when it rings, so a stream
/// without pauses never touches it.
pub(super) struct Silence {
    limit: Duration,
    timer: Option<Pin<Box<Sleep>>>,
    pub(super) since: Instant,
}

impl Silence {
    pub(super) fn new(limit: Duration) -> Self {
        Self { limit, timer: None, since: Instant::now() }
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(self.since + self.limit)));
        while timer.as_mut().poll(cx).is_ready() {
            let due = self.since + self.limit;
            let now = Instant::now();
            if now >= due {
                self.since = now;
                timer.as_mut().reset(now + self.limit);
                return Poll::Ready(());
            }
            timer.as_mut().reset(due);
        }
        Poll::Pending
    }
}

impl Metered {
    /// Measure a source. `keep_alive` is the pause after which a silent stream gets a comment.
    pub fn new(
        source: Source,
        hold: Hold,
        ledger: Ledger,
        hurry: &CancellationToken,
        keep_alive: Option<Duration>,
    ) -> Self {
        let silence = keep_alive.map(Silence::new);
        let tells = ledger.tells() && !matches!(source, Source::Long(_));
        Self { source, hold, ledger, hurry: Box::pin(hurry.clone().cancelled_owned()), silence, tells }
    }

    fn poll_source(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
        loop {
            match &mut self.source {
                Source::Waiting(walk) => match std::task::ready!(walk.as_mut().poll(cx)) {
                    Ok((got, route, hold)) => {
                        (self.ledger.outcome.route, self.hold) = (route, hold);
                        self.source = match got {
                            Got::Flow(flow) => Source::Flow(flow),
                            Got::Long(long) => Source::Long(long),
                            // nobody who asks for a stream is given one
                            Got::Tunnel(tunnel) => return Poll::Ready(Some(Err(tunnel.broke(None).into()))),
                            Got::Whole(body, usage) => {
                                self.ledger.end(None, usage);
                                self.source = Source::Over;
                                return Poll::Ready(Some(Ok(body)));
                            }
                        };
                    }
                    Err(failed) => {
                        self.ledger.outcome.route = failed.route;
                        return Poll::Ready(Some(Err(failed.error)));
                    }
                },
                Source::Flow(flow) => {
                    let next = std::task::ready!(flow.poll(cx));
                    if next.is_some() {
                        self.ledger.first_content();
                    }
                    return Poll::Ready(next.map(|chunk| chunk.map_err(Error::from)));
                }
                Source::Long(long) => {
                    let next = std::task::ready!(long.poll(cx));
                    if long.complete() {
                        let usage = long.usage();
                        self.hold.end(None, usage.as_ref());
                        self.ledger.end(None, usage);
                    }
                    return Poll::Ready(next.map(|chunk| chunk.map_err(Error::from)));
                }
                Source::Over => return Poll::Ready(None),
            }
        }
    }

    /// The tokens as far as they are known; of an answer that broke off, at least an estimate.
    fn usage(&mut self, whole: bool) -> Option<Usage> {
        match &mut self.source {
            Source::Flow(flow) => flow.usage().or_else(|| Some(self.ledger.estimate(flow.chunks()))),
            Source::Long(long) if whole => long.usage(),
            Source::Long(_) => Some(self.ledger.estimate(0)),
            Source::Waiting(_) | Source::Over => None,
        }
    }

    /// What a stream cost that ended well: a comment behind everything else, which every client skips.
    fn last_word(&mut self) -> Option<Result<Bytes, Error>> {
        let outcome = &self.ledger.outcome;
        let cost = outcome.cost.filter(|_| std::mem::take(&mut self.tells) && outcome.error.is_none())?;
        Some(Ok(format!(": x-ferro-cost-usd {cost}\n\n").into()))
    }

    fn end(&mut self, error: Option<&Error>) {
        let failed = matches!(&self.source, Source::Flow(flow) if flow.failed());
        let code = error.map(Error::code).or(failed.then_some(Fault::Server.code()));
        let usage = self.usage(code.is_none());
        if failed {
            self.hold.fail(Fault::Server);
        }
        self.hold.end(error, usage.as_ref());
        self.ledger.end(code, usage);
        self.source = Source::Over;
    }
}

impl Stream for Metered {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let me = &mut *self;
        match me.poll_source(cx) {
            Poll::Ready(Some(Ok(chunk))) => {
                if let Some(silence) = &mut me.silence {
                    silence.since = Instant::now();
                }
                Poll::Ready(Some(Ok(chunk)))
            }
            Poll::Ready(Some(Err(error))) => {
                me.end(Some(&error));
                Poll::Ready(Some(Err(error)))
            }
            Poll::Ready(None) => {
                me.end(None);
                Poll::Ready(me.last_word())
            }
            Poll::Pending if me.hurry.as_mut().poll(cx).is_ready() => {
                me.end(Some(&Error::Draining));
                Poll::Ready(Some(Err(Error::Draining)))
            }
            Poll::Pending if matches!(&me.source, Source::Flow(flow) if flow.done()) => {
                let linger = me.silence.get_or_insert_with(|| Silence::new(LINGER));
                linger.limit = LINGER;
                std::task::ready!(linger.poll(cx));
                me.end(None);
                Poll::Ready(me.last_word())
            }
            Poll::Pending => match &mut me.silence {
                Some(silence) => silence.poll(cx).map(|()| Some(Ok(KEEP_ALIVE))),
                None => Poll::Pending,
            },
        }
    }
}

impl Drop for Metered {
    fn drop(&mut self) {
        let usage = self.usage(false);
        self.ledger.abandon(usage);
    }
}
