//! What each connection is doing, written down cheaply enough that one sweep a tick can enforce every time limit.
//!
//! A timer a request costs about a thousand instructions; here a request writes three integers, and the sweep of its
//! worker reads them. All times are ticks of that sweep, so no clock is read either.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering::Acquire, Ordering::Relaxed, Ordering::Release};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Wake, Waker};
use std::time::Duration;

use futures_util::task::AtomicWaker;
use tokio::sync::Notify;

use crate::http::tunnel::Switch;
use crate::telemetry::connections::Counts;

thread_local! {
    /// Whether wakes of this thread's connections are held back, and whether one was.
    static HUSHED: Cell<Option<bool>> = const { Cell::new(None) };
}

/// Runs `f` with wakes of this thread's connections held back; says whether there was one. Wakes from other threads are
/// never held back: the flag is ours.
pub(super) fn hushed<R>(f: impl FnOnce() -> R) -> (R, bool) {
    struct Restore(Option<bool>);
    impl Drop for Restore {
        fn drop(&mut self) {
            HUSHED.set(self.0);
        }
    }
    let _restore = Restore(HUSHED.replace(Some(false)));
    let done = f();
    (done, HUSHED.get() == Some(true))
}

/// What a connection is told to do. Orders only ever become stricter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum Order {
    /// Carry on.
    Serve = 0,
    /// Finish what has begun, then close.
    Finish = 1,
    /// Close now.
    Cut = 2,
}

/// The limits of [`super::Options`] in ticks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) tick: Duration,
    head: u32,
    idle: u32,
    stall: u32,
    linger: u32,
}

/// How long a closed connection is read, so that the peer sees our last answer and not a reset.
const LINGER: Duration = Duration::from_secs(2);

impl Limits {
    pub(super) fn new(head: Duration, idle: Duration, stall: Duration) -> Self {
        let tick = (head.min(idle).min(stall) / 4).clamp(Duration::from_millis(5), Duration::from_secs(1));
        // One tick more: the first of them is already running when it is written down.
        let ticks =
            |time: Duration| u32::try_from(time.as_nanos().div_ceil(tick.as_nanos())).unwrap_or(u32::MAX / 2) + 1;
        Self { tick, head: ticks(head), idle: ticks(idle), stall: ticks(stall), linger: ticks(LINGER) }
    }
}

/// The state of one connection. Written by its task (HTTP/2: its tasks), read by the sweep.
pub(super) struct Pulse {
    worker: Arc<Worker>,
    id: u64,
    order: AtomicU8,
    waker: AtomicWaker,
    /// Requests whose answer is not finished.
    busy: AtomicU32,
    /// The tick of the last answer's end.
    quiet: AtomicU32,
    /// The tick at which a request's head began to arrive; 0: none is arriving.
    head: AtomicU32,
    /// The tick at which the peer stopped taking our bytes; 0: it takes them.
    stall: AtomicU32,
    /// The tick at which we had closed our side; 0: not yet.
    linger: AtomicU32,
    /// What the connection becomes once HTTP is over on it.
    switch: OnceLock<Switch>,
}

impl Pulse {
    pub(super) fn order(&self) -> Order {
        match self.order.load(Acquire) {
            0 => Order::Serve,
            1 => Order::Finish,
            _ => Order::Cut,
        }
    }

    fn command(&self, order: Order) {
        if self.order.fetch_max(order as u8, Release) < order as u8 {
            self.waker.wake();
        }
    }

    /// Names the task to wake when the order changes; look at [`Self::order`] after this.
    pub(super) fn listen(&self, waker: &Waker) {
        self.waker.register(waker);
    }

    /// Bytes have come in.
    pub(super) fn read(&self) {
        if self.busy.load(Relaxed) == 0 && self.head.load(Relaxed) == 0 {
            self.head.store(self.worker.tick.load(Relaxed), Relaxed);
        }
    }

    /// The peer does or does not take what we write.
    pub(super) fn wrote(&self, full: bool) {
        let since = self.stall.load(Relaxed);
        if full != (since != 0) {
            self.stall.store(if full { self.worker.tick.load(Relaxed) } else { 0 }, Relaxed);
        }
    }

    /// Our side of the socket is closed.
    pub(super) fn closed(&self) {
        self.linger.store(self.worker.tick.load(Relaxed), Relaxed);
    }

    /// A request has arrived; its answer is finished when the guard goes.
    pub(super) fn begin(self: &Arc<Self>) -> Busy {
        if self.busy.fetch_add(1, Relaxed) == 0 {
            self.worker.activated.fetch_add(1, Relaxed);
        }
        self.head.store(0, Relaxed);
        Busy(self.clone())
    }

    /// What the connection becomes now that HTTP is over, if anything.
    pub(super) fn left(&self) -> Option<Switch> {
        self.switch.get().cloned()
    }

    /// Whether a request is in hand.
    pub(super) fn is_busy(&self) -> bool {
        self.busy.load(Relaxed) != 0
    }

    fn sweep(&self, tick: u32, limits: &Limits) {
        let over = |since: &AtomicU32, limit: u32| {
            let since = since.load(Relaxed);
            since != 0 && tick.wrapping_sub(since) >= limit
        };
        let waiting = self.busy.load(Acquire) == 0;
        if over(&self.stall, limits.stall)
            || over(&self.linger, limits.linger)
            || waiting && over(&self.head, limits.head)
        {
            self.command(Order::Cut);
        } else if waiting && self.head.load(Relaxed) == 0 && over(&self.quiet, limits.idle) {
            self.command(Order::Finish);
        }
    }
}

/// A connection is woken through its pulse, so that a wake can be held back.
impl Wake for Pulse {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        match HUSHED.get() {
            None => self.waker.wake(),
            Some(_) => HUSHED.set(Some(true)),
        }
    }
}

/// A request in hand, until it is dropped.
pub(super) struct Busy(Arc<Pulse>);

impl Busy {
    /// Leaves for the connection what it becomes behind the answer to this request.
    pub(super) fn leave(&self, switch: Option<Switch>) {
        if let Some(switch) = switch {
            let _ = self.0.switch.set(switch);
        }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.quiet.store(self.0.worker.tick.load(Relaxed), Relaxed);
        // Whoever sees that nothing is in hand any more also sees since when.
        if self.0.busy.fetch_sub(1, Release) == 1 {
            self.0.worker.idled.fetch_add(1, Relaxed);
        }
    }
}

/// The connections of one worker: who they are, and how many have come and gone.
#[repr(align(128))]
pub(super) struct Worker {
    /// Never 0.
    tick: AtomicU32,
    opened: AtomicU64,
    closed: AtomicU64,
    activated: AtomicU64,
    idled: AtomicU64,
    roll: Mutex<Roll>,
    empty: Notify,
}

struct Roll {
    pulses: HashMap<u64, Arc<Pulse>>,
    next: u64,
    order: Order,
}

impl Worker {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            tick: AtomicU32::new(1),
            opened: AtomicU64::new(0),
            closed: AtomicU64::new(0),
            activated: AtomicU64::new(0),
            idled: AtomicU64::new(0),
            roll: Mutex::new(Roll { pulses: HashMap::new(), next: 0, order: Order::Serve }),
            empty: Notify::new(),
        })
    }

    fn roll(&self) -> MutexGuard<'_, Roll> {
        self.roll.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a connection that is on its way here, so that the next choice of a worker knows of it.
    pub(super) fn expect(&self) {
        self.opened.fetch_add(1, Relaxed);
    }

    /// Open connections, then those with a request in hand: the order in which workers are compared.
    pub(super) fn load(&self) -> (u64, u64) {
        let counts = self.counts();
        (counts.active + counts.idle, counts.active)
    }

    /// Takes in an expected connection; it leaves when the guard goes.
    pub(super) fn enrol(self: &Arc<Self>) -> Enrolled {
        let tick = self.tick.load(Relaxed);
        let mut roll = self.roll();
        let id = roll.next;
        roll.next += 1;
        let pulse = Arc::new(Pulse {
            worker: self.clone(),
            id,
            order: AtomicU8::new(roll.order as u8),
            waker: AtomicWaker::new(),
            busy: AtomicU32::new(0),
            quiet: AtomicU32::new(tick),
            // The first request of a connection is due at once, as if it had begun.
            head: AtomicU32::new(tick),
            stall: AtomicU32::new(0),
            linger: AtomicU32::new(0),
            switch: OnceLock::new(),
        });
        roll.pulses.insert(id, pulse.clone());
        Enrolled(pulse)
    }

    /// Gives an order to every connection, and to those still to come.
    pub(super) fn command(&self, order: Order) {
        let pulses: Vec<_> = {
            let mut roll = self.roll();
            roll.order = roll.order.max(order);
            roll.pulses.values().cloned().collect()
        };
        pulses.iter().for_each(|pulse| pulse.command(order));
    }

    /// Waits until no connection is left.
    pub(super) async fn emptied(&self) {
        while !self.roll().pulses.is_empty() {
            self.empty.notified().await;
        }
    }

    /// Enforces the limits, for ever.
    pub(super) async fn sweep(self: Arc<Self>, limits: Limits) {
        loop {
            // Not an interval: it makes up for lateness, and a limit must never be short.
            tokio::time::sleep(limits.tick).await;
            let tick = self.tick.load(Relaxed).checked_add(1).unwrap_or(1);
            self.tick.store(tick, Relaxed);
            self.roll().pulses.values().for_each(|pulse| pulse.sweep(tick, &limits));
        }
    }

    fn counts(&self) -> Counts {
        // The later event of each pair is read first: a gauge must not go below zero.
        let (closed, opened) = (self.closed.load(Relaxed), self.opened.load(Relaxed));
        let (idled, activated) = (self.idled.load(Relaxed), self.activated.load(Relaxed));
        let active = activated.saturating_sub(idled);
        Counts { active, idle: opened.saturating_sub(closed).saturating_sub(active), opened, closed, activated, idled }
    }
}

/// A connection on the roll of its worker, until it is dropped.
pub(super) struct Enrolled(pub(super) Arc<Pulse>);

impl Drop for Enrolled {
    fn drop(&mut self) {
        let worker = &self.0.worker;
        worker.closed.fetch_add(1, Relaxed);
        let empty = {
            let mut roll = worker.roll();
            roll.pulses.remove(&self.0.id);
            roll.pulses.is_empty()
        };
        if empty {
            worker.empty.notify_one();
        }
    }
}

/// How many connections there are and were, over all workers: make one, keep a clone for the metrics, and hand it in
/// with [`super::Options`]. All zero before the server starts.
#[derive(Clone, Default)]
pub struct Connections(Arc<OnceLock<Vec<Arc<Worker>>>>);

impl Connections {
    pub(super) fn watch(&self, workers: &[Arc<Worker>]) {
        // A second server with the same handle is not counted; the first one stays the one that is.
        let _ = self.0.set(workers.to_vec());
    }

    /// The sums over all workers.
    pub fn counts(&self) -> Counts {
        let mut sum = Counts::default();
        for one in self.each() {
            sum.active += one.active;
            sum.idle += one.idle;
            sum.opened += one.opened;
            sum.closed += one.closed;
            sum.activated += one.activated;
            sum.idled += one.idled;
        }
        sum
    }

    /// The counts of each worker, in the order of their indices.
    pub fn each(&self) -> impl Iterator<Item = Counts> {
        self.0.get().into_iter().flatten().map(|worker| worker.counts())
    }
}
