//! The HTTP/2 connections of one worker to one upstream: as a rule one, and another while that one is full.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use h2::client::{Builder, Connection};
use h2::{Ping, PingPong};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use super::{NOT_SPOKEN, Sender};
use crate::providers::client::error::{Phase, SendError, words};
use crate::providers::client::origin::Origin;
use crate::providers::client::stream::Stream;
use crate::providers::client::tls::HTTP2;

/// Most bytes of one answer that wait here for their caller.
const STREAM_WINDOW: u32 = 512 << 10;
/// The most there is: what callers don't read must never hold up the answers of others.
const CONNECTION_WINDOW: u32 = (1 << 31) - 1;
/// Largest head of an answer, bytes.
const LARGEST_HEAD: u32 = 64 << 10;
/// Silence after which a connection with requests on it is asked whether the other side is still there. Without that,
/// each further request would be lost on one that is not.
const SILENCE: Duration = Duration::from_secs(30);
/// How long the answer to that may take.
const PATIENCE: Duration = Duration::from_secs(15);

/// The connections of one worker. The lock is taken by this worker and, every few seconds, by the sweep; it is never held
/// across an await.
#[derive(Default)]
pub(in crate::providers::client) struct Lane(Mutex<Held>);

#[derive(Default)]
struct Held {
    open: Vec<Arc<Conn>>,
    /// The connection that is being made, for all who wait for one.
    coming: Option<Coming>,
}

/// What became of a connection that was made; nothing as long as it is being made.
type Coming = watch::Receiver<Option<Result<(), SendError>>>;

/// A connection. It closes when nobody holds it.
struct Conn {
    sender: Sender,
    pulse: Arc<Pulse>,
}

/// What is known of a connection, to its task too.
struct Pulse {
    born: Instant,
    /// When something was last heard on it, and when a request last came or went: milliseconds after its birth.
    heard: AtomicU64,
    moved: AtomicU64,
    /// Requests on it.
    busy: AtomicUsize,
    /// Whether a request was ever answered on it.
    used: AtomicBool,
    over: AtomicBool,
}

impl Pulse {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            born: Instant::now(),
            heard: AtomicU64::new(0),
            moved: AtomicU64::new(0),
            busy: AtomicUsize::new(0),
            used: AtomicBool::new(false),
            over: AtomicBool::new(false),
        })
    }

    fn note(&self, what: &AtomicU64) {
        let since = u64::try_from(self.born.elapsed().as_millis()).unwrap_or(u64::MAX);
        what.store(since, Ordering::Relaxed);
    }

    fn since(&self, what: &AtomicU64, now: Instant) -> Duration {
        now.saturating_duration_since(self.born + Duration::from_millis(what.load(Ordering::Relaxed)))
    }

    fn is_busy(&self) -> bool {
        self.busy.load(Ordering::Relaxed) > 0
    }
}

/// One request's place on a connection, until the end of its answer.
pub(super) struct Turn(Arc<Conn>);

impl Turn {
    fn take(conn: &Arc<Conn>) -> Self {
        conn.pulse.busy.fetch_add(1, Ordering::Relaxed);
        conn.pulse.note(&conn.pulse.moved);
        Self(conn.clone())
    }

    /// What a request is sent with. Fails when the connection takes none any more.
    pub(super) async fn stream(&self) -> Result<Sender, h2::Error> {
        self.0.sender.clone().ready().await
    }

    /// Something was heard.
    pub(super) fn note(&self) {
        let pulse = &self.0.pulse;
        pulse.used.store(true, Ordering::Relaxed);
        pulse.note(&pulse.heard);
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let pulse = &self.0.pulse;
        pulse.note(&pulse.moved);
        pulse.busy.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Lane {
    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place on a connection, and whether an answer has come on that before. It is a connection that has room, else a
    /// new one, for which all wait together. The one of `left` is not asked for again.
    pub(super) async fn turn(
        self: &Arc<Self>,
        origin: &Arc<Origin>,
        left: Option<&Turn>,
    ) -> Result<(Turn, bool), SendError> {
        loop {
            let mut coming = {
                let mut held = self.held();
                if let Some(left) = left {
                    held.open.retain(|conn| !Arc::ptr_eq(conn, &left.0));
                }
                if let Some(turn) = held.room(origin.keep.age) {
                    let was_used = turn.0.pulse.used.load(Ordering::Relaxed);
                    return Ok((turn, was_used));
                }
                // one whose task is gone, with the runtime it was on, comes no more
                match held.coming.take().filter(|coming| coming.has_changed().is_ok()) {
                    Some(coming) => held.coming.insert(coming).clone(),
                    None => held.coming.insert(self.begin(origin)).clone(),
                }
            };
            let came = match coming.wait_for(Option::is_some).await {
                Ok(came) => came.clone(),
                Err(_gone) => None,
            };
            if let Some(Err(error)) = came {
                return Err(error);
            }
        }
    }

    /// Begins to make a connection, in a task of its own: whoever it was begun for may leave, others wait, too.
    fn begin(self: &Arc<Self>, origin: &Arc<Origin>) -> Coming {
        let (tell, coming) = watch::channel(None);
        let (lane, origin) = (self.clone(), origin.clone());
        tokio::spawn(async move {
            let within = origin.timeouts.connect;
            let made = timeout(within, connect(&origin)).await.unwrap_or_else(|_elapsed| {
                Err(SendError::Timeout { host: origin.name().clone(), phase: Phase::Connect, after: within })
            });
            // a connection keeps neither the upstream nor the lane
            drop(origin);
            let (told, driven) = match made {
                Ok((sender, connection)) => {
                    let pulse = Pulse::new();
                    let conn = Arc::new(Conn { sender, pulse: pulse.clone() });
                    let mut held = lane.held();
                    held.open.push(conn);
                    held.coming = None;
                    (Ok(()), Some((connection, pulse)))
                }
                Err(error) => {
                    lane.held().coming = None;
                    (Err(error), None)
                }
            };
            let _ = tell.send(Some(told));
            drop((tell, lane));
            if let Some((connection, pulse)) = driven {
                drive(connection, &pulse).await;
                pulse.over.store(true, Ordering::Relaxed);
            }
        });
        coming
    }

    /// Forgets connections that are closed, and closes those on which there was nothing for `age`.
    pub(in crate::providers::client) fn sweep(&self, now: Instant, age: Duration) {
        self.held().open.retain(|conn| !conn.is_over() && !conn.is_old(now, age));
    }

    /// How many connections have no request on them.
    pub(in crate::providers::client) fn resting(&self) -> usize {
        self.held().open.iter().filter(|conn| !conn.is_over() && !conn.pulse.is_busy()).count()
    }
}

impl Held {
    /// A place on the first connection that has one.
    fn room(&mut self, age: Duration) -> Option<Turn> {
        let now = Instant::now();
        self.open.retain(|conn| !conn.is_over() && !conn.is_old(now, age));
        self.open.iter().find(|conn| conn.has_room()).map(Turn::take)
    }
}

impl Conn {
    fn is_over(&self) -> bool {
        self.pulse.over.load(Ordering::Relaxed)
    }

    fn is_old(&self, now: Instant, age: Duration) -> bool {
        !self.pulse.is_busy() && self.pulse.since(&self.pulse.moved, now) >= age
    }

    fn has_room(&self) -> bool {
        self.pulse.busy.load(Ordering::Relaxed) < self.sender.current_max_send_streams()
    }
}

/// A connection whose other side speaks HTTP/2, and has said how many requests it takes at a time.
async fn connect(origin: &Origin) -> Result<(Sender, Connection<Stream, Bytes>), SendError> {
    let no = |why: &str| {
        let cause = if why.is_empty() { NOT_SPOKEN.into() } else { format!("{NOT_SPOKEN}: {why}").into() };
        SendError::Connect { host: origin.name().clone(), cause }
    };
    // a proxy passes on single requests of HTTP/1.1; all else is a matter between its two ends
    let stream = origin.way.connect(origin.timeouts.connect, true).await?;
    if origin.way.tls.is_some() && stream.agreed() != Some(HTTP2) {
        return Err(no("TLS without ALPN"));
    }
    let made = Builder::new()
        .enable_push(false)
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_header_list_size(LARGEST_HEAD)
        // none, until the other side has said how many it takes
        .initial_max_send_streams(0)
        .handshake(stream)
        .await;
    let (sender, mut connection) = made.map_err(|error| no(&words(&error)))?;
    std::future::poll_fn(|cx| match Pin::new(&mut connection).poll(cx) {
        Poll::Ready(Ok(())) => Poll::Ready(Err(no("it closed the connection"))),
        Poll::Ready(Err(error)) => Poll::Ready(Err(no(&words(&error)))),
        Poll::Pending if sender.current_max_send_streams() > 0 => Poll::Ready(Ok(())),
        Poll::Pending => Poll::Pending,
    })
    .await?;
    Ok((sender, connection))
}

/// Drives a connection to its end. One on which nothing is heard any more, not even the answer to a ping, is cut, which
/// fails all requests on it.
async fn drive(mut connection: Connection<Stream, Bytes>, pulse: &Pulse) {
    let pings = connection.ping_pong();
    tokio::select! {
        _ = &mut connection => {}
        () = watch_over(pings, pulse) => {}
    }
}

/// Returns once the other side is gone.
async fn watch_over(pings: Option<PingPong>, pulse: &Pulse) {
    let Some(mut pings) = pings else { return std::future::pending().await };
    loop {
        sleep(SILENCE).await;
        if !pulse.is_busy() || pulse.since(&pulse.heard, Instant::now()) < SILENCE {
            continue;
        }
        match timeout(PATIENCE, pings.ping(Ping::opaque())).await {
            Ok(Ok(_pong)) => {}
            Ok(Err(_)) | Err(_) => return,
        }
    }
}
