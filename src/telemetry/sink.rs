//! Where log lines go: a buffer a worker, and one thread that writes them out. No worker ever waits for the disk or for
//! whoever reads the pipe: when a buffer is full, lines are dropped and counted.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Thread};
use std::time::{Duration, Instant, SystemTime};

use prometheus::{IntCounter, Opts};

use super::calendar::Calendar;
use super::logs::{Format, Level};
use super::members::Members;
use crate::call::redact::Redactor;

/// Lines wait this long for company; half of the 200 ms within which they are promised.
const GATHER: Duration = Duration::from_millis(100);
/// A buffer this full is written at once.
const FULL: usize = 64 << 10;
/// A buffer never grows beyond this: with a blocked reader that is about 3,000 lines a worker.
const LIMIT: usize = 1 << 20;
/// A flush gives up after this time: a blocked reader must not keep the process from ending.
const PATIENCE: Duration = Duration::from_secs(1);

/// A destination of log lines. Clones write to the same place; the last one flushes when it is dropped.
#[derive(Clone, Debug)]
pub struct Sink(Arc<Owner>);

#[derive(Debug)]
struct Owner {
    shared: Arc<Shared>,
    thread: Thread,
}

#[derive(Debug)]
struct Shared {
    shards: Box<[Shard]>,
    /// Lines wait: the thread sleeps without a timeout while this is false.
    pending: AtomicBool,
    /// Lines shall not wait any longer.
    urgent: AtomicBool,
    closing: AtomicBool,
    /// What the sink itself has to say is text, not JSON.
    text: AtomicBool,
    flushes: Mutex<Flushes>,
    flushed: Condvar,
    dropped: IntCounter,
}

/// Flushes asked for and done.
#[derive(Debug, Default)]
struct Flushes {
    asked: u64,
    done: u64,
}

/// The buffer of one worker, on cache lines of its own.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Shard(Mutex<Buffer>);

/// A worker's lines, and its calendar.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    pub(super) lines: Vec<u8>,
    pub(super) calendar: Calendar,
}

impl Buffer {
    /// Appends the current time.
    pub(super) fn now(&mut self) {
        self.calendar.write(&mut self.lines, SystemTime::now());
    }
}

impl Sink {
    /// Writes to standard output, with a buffer for each of `workers` threads.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn stdout(workers: usize) -> io::Result<Self> {
        Self::to(io::stdout(), "stdout", workers)
    }

    /// Appends to the file at `path`, which is made if it is not there.
    ///
    /// # Errors
    /// When the file cannot be opened or no thread can be started.
    pub fn file(path: &Path, workers: usize) -> io::Result<Self> {
        Self::to(OpenOptions::new().append(true).create(true).open(path)?, "file", workers)
    }

    /// Writes to `out`; `name` is the sink's label in the metrics.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn to(out: impl Write + Send + 'static, name: &'static str, workers: usize) -> io::Result<Self> {
        let help = "Log lines dropped, because their reader was too slow or gone.";
        let dropped = Opts::new("gateway_log_lines_dropped_total", help).const_label("sink", name);
        let shared = Arc::new(Shared {
            shards: (0..=workers).map(|_| Shard::default()).collect(),
            pending: AtomicBool::new(false),
            urgent: AtomicBool::new(false),
            closing: AtomicBool::new(false),
            text: AtomicBool::new(false),
            flushes: Mutex::default(),
            flushed: Condvar::new(),
            dropped: IntCounter::with_opts(dropped).expect("name and label are valid constants"),
        });
        let writer = Writer { shared: shared.clone(), out, spare: Vec::new(), reported: 0 };
        let thread = thread::Builder::new().name("log".into()).spawn(move || writer.run())?.thread().clone();
        Ok(Self(Arc::new(Owner { shared, thread })))
    }

    /// Appends one line to the buffer of worker `worker`; `write` leaves the line break to us. A number that is no
    /// worker's means the one further buffer, which belongs to nobody.
    pub(super) fn write(&self, worker: usize, write: impl FnOnce(&mut Buffer)) {
        let Owner { shared, thread } = &*self.0;
        let shard = &shared.shards[worker.min(shared.shards.len() - 1)];
        let mut buffer = shard.lock();
        if buffer.lines.len() >= LIMIT {
            shared.dropped.inc();
            return;
        }
        write(&mut buffer);
        buffer.lines.push(b'\n');
        let full = buffer.lines.len() >= FULL;
        drop(buffer);
        // Read first: all workers share these flags, and nearly always they are up.
        let raise = |flag: &AtomicBool| !flag.load(Ordering::Acquire) && !flag.swap(true, Ordering::AcqRel);
        if raise(&shared.pending) | (full && raise(&shared.urgent)) {
            thread.unpark();
        }
    }

    /// Writes out what was logged before this call. Gives up after a second, and says whether it succeeded.
    pub fn flush(&self) -> bool {
        let Owner { shared, thread } = &*self.0;
        let mut flushes = lock(&shared.flushes);
        flushes.asked += 1;
        let mine = flushes.asked;
        shared.pending.store(true, Ordering::Release);
        shared.urgent.store(true, Ordering::Release);
        thread.unpark();
        let waited = shared.flushed.wait_timeout_while(flushes, PATIENCE, |flushes| flushes.done < mine);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    /// Tells the format of the lines, for what the sink itself has to say.
    pub(super) fn speaks(&self, format: Format) {
        self.0.shared.text.store(format == Format::Text, Ordering::Release);
    }

    /// Lines dropped so far.
    pub(super) fn dropped(&self) -> IntCounter {
        self.0.shared.dropped.clone()
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.shared.closing.store(true, Ordering::Release);
        self.thread.unpark();
        let flushes = lock(&self.shared.flushes);
        let open = |flushes: &mut Flushes| flushes.done < u64::MAX;
        drop(self.shared.flushed.wait_timeout_while(flushes, PATIENCE, open));
    }
}

impl Shard {
    fn lock(&self) -> MutexGuard<'_, Buffer> {
        lock(&self.0)
    }
}

/// Nothing we guard is left half done by a panic.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The thread that writes.
struct Writer<W> {
    shared: Arc<Shared>,
    out: W,
    /// An empty buffer, to be exchanged for a full one.
    spare: Vec<u8>,
    /// Dropped lines already spoken of.
    reported: u64,
}

impl<W: Write> Writer<W> {
    fn run(mut self) {
        loop {
            let closing = self.wait();
            let asked = lock(&self.shared.flushes).asked;
            self.drain();
            lock(&self.shared.flushes).done = if closing { u64::MAX } else { asked };
            self.shared.flushed.notify_all();
            if closing {
                return;
            }
        }
    }

    /// Waits for a line, then for its company. Whether the sink is closing.
    fn wait(&self) -> bool {
        let shared = &*self.shared;
        let closing = || shared.closing.load(Ordering::Acquire);
        while !shared.pending.load(Ordering::Acquire) && !closing() {
            thread::park();
        }
        let since = Instant::now();
        while !shared.urgent.load(Ordering::Acquire) && !closing() {
            match GATHER.checked_sub(since.elapsed()) {
                Some(rest) if !rest.is_zero() => thread::park_timeout(rest),
                _ => break,
            }
        }
        // Cleared before the buffers are read: a line that comes in between asks for another round.
        shared.urgent.store(false, Ordering::Release);
        shared.pending.store(false, Ordering::Release);
        closing()
    }

    fn drain(&mut self) {
        for at in 0..self.shared.shards.len() {
            std::mem::swap(&mut self.shared.shards[at].lock().lines, &mut self.spare);
            let lines = std::mem::take(&mut self.spare);
            self.put(&lines);
            self.spare = lines;
            self.spare.clear();
            // A burst's buffer is not kept for ever.
            self.spare.shrink_to(FULL * 2);
        }
        self.report();
        // A sink that fails has lost lines already counted; there is nobody left to tell.
        let _flushed = self.out.flush();
    }

    fn put(&mut self, lines: &[u8]) {
        if self.out.write_all(lines).is_err() {
            self.shared.dropped.inc_by(memchr::memchr_iter(b'\n', lines).count() as u64);
        }
    }

    /// Says once per round how many lines are missing.
    fn report(&mut self) {
        let dropped = self.shared.dropped.get();
        if dropped == self.reported {
            return;
        }
        let format = if self.shared.text.load(Ordering::Acquire) { Format::Text } else { Format::Json };
        let (mut buffer, redactor) = (Buffer::default(), Redactor::default());
        let mut members = Members::begin(&mut buffer, format, Level::Warn, "log lines dropped", &redactor);
        members.number("count", dropped - self.reported);
        members.end();
        buffer.lines.push(b'\n');
        if self.out.write_all(&buffer.lines).is_ok() {
            self.reported = dropped;
        }
    }
}
