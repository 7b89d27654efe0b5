//! The load generator: so many connections, each asking again as soon as it has its answer.

use std::io::Write;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::bail;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::histogram::Histogram;
use crate::reply::Reply;
use crate::traffic::{Answer, EVENT, EVENTS, Shape};
use crate::{child, process, traffic};

/// What the driver asks for.
#[derive(Serialize, Deserialize)]
pub(crate) struct Job {
    pub(crate) shape: String,
    pub(crate) port: u16,
    /// The processes whose CPU time and memory are taken; none for the mock itself.
    pub(crate) pids: Vec<u32>,
    /// How long is measured, after the shape's warm-up.
    pub(crate) seconds: f64,
    /// Instead of a time: so many requests over so many connections, without a warm-up.
    pub(crate) count: Option<(u64, usize)>,
}

/// What came out.
#[derive(Serialize, Deserialize, Clone, Default)]
pub(crate) struct Measured {
    pub(crate) seconds: f64,
    pub(crate) done: u64,
    pub(crate) errors: u64,
    pub(crate) first_error: Option<String>,
    /// From the first byte sent to the last received, in milliseconds.
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    /// To the first byte of the body.
    pub(crate) first_p50: f64,
    pub(crate) first_p99: f64,
    /// CPU time of the proxy in the measured window, µs.
    pub(crate) cpu: f64,
    /// Memory of the proxy at the end of the window, all connections still busy, and its peak; KiB.
    pub(crate) busy: u64,
    pub(crate) peak: u64,
}

struct Tally {
    whole: Histogram,
    first: Histogram,
    done: u64,
    errors: u64,
    first_error: Option<String>,
}

struct Load {
    shape: &'static Shape,
    port: u16,
    request: Vec<u8>,
    tally: Mutex<Tally>,
    stop: AtomicBool,
    /// Requests still to be started, where they are counted.
    left: AtomicU64,
}

/// `<job as JSON>`: prints what was measured as one line of JSON.
pub(crate) fn main(args: &[String]) -> anyhow::Result<()> {
    let [job] = args else { bail!("load: a job is needed") };
    let job: Job = serde_json::from_str(job)?;
    child::end_with_the_driver();
    let measured = tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(run(&job))?;
    writeln!(std::io::stdout(), "{}", serde_json::to_string(&measured)?)?;
    Ok(())
}

async fn run(job: &Job) -> anyhow::Result<Measured> {
    let shape = traffic::shape(&job.shape)?;
    let load = Arc::new(Load {
        shape,
        port: job.port,
        request: shape.request(),
        tally: Mutex::new(Tally::new()),
        stop: AtomicBool::new(false),
        left: AtomicU64::new(job.count.map_or(u64::MAX, |(requests, _)| requests)),
    });
    let connections = job.count.map_or(shape.connections, |(_, connections)| connections);
    let mut callers = Vec::with_capacity(connections);
    let mut silent = Vec::new();
    for n in 0..connections {
        let stream = load.connect().await?;
        if shape.uneven {
            silent.push(load.connect().await?);
        }
        let delay = shape.spread * n as u32 / connections as u32;
        callers.push(tokio::spawn(load.clone().call(stream, delay)));
    }
    if job.count.is_some() {
        for caller in callers {
            caller.await?;
        }
        return Ok(load.tally().measured());
    }
    sleep(shape.warmup).await;
    process::forget_peak(&job.pids);
    let (since, cpu) = (Instant::now(), process::cpu(&job.pids));
    load.tally().clear();
    sleep(Duration::from_secs_f64(job.seconds)).await;
    let mut measured = load.tally().measured();
    measured.seconds = since.elapsed().as_secs_f64();
    measured.cpu = (process::cpu(&job.pids) - cpu).as_secs_f64() * 1e6;
    measured.busy = process::resident(&job.pids);
    measured.peak = process::peak(&job.pids);
    // let what is under way end, so that the next measurement finds a quiet proxy
    load.stop.store(true, Ordering::Relaxed);
    for caller in callers {
        drop(timeout(Duration::from_secs(2), caller).await);
    }
    Ok(measured)
}

impl Load {
    async fn connect(&self) -> std::io::Result<TcpStream> {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    /// One caller's life: ask, read, ask again.
    async fn call(self: Arc<Load>, stream: TcpStream, delay: Duration) {
        sleep(delay).await;
        let size = match self.shape.answer {
            Answer::Whole(length) => (length + 4096).min(256 * 1024),
            Answer::Events => 16 * 1024,
        };
        let mut buffer = vec![0; size];
        let mut connection = Some(stream);
        while !self.stop.load(Ordering::Relaxed) && self.take() {
            let stream = match &mut connection {
                Some(stream) => stream,
                None => match self.connect().await {
                    Ok(stream) => connection.insert(stream),
                    Err(error) => {
                        self.tally().fail(&error.into());
                        sleep(Duration::from_millis(10)).await;
                        continue;
                    }
                },
            };
            let since = Instant::now();
            match self.exchange(stream, &mut buffer, since).await {
                Ok((first, reply)) => {
                    let whole = since.elapsed();
                    self.tally().succeed(first, whole);
                    if reply.closes {
                        connection = None;
                    }
                }
                Err(error) => {
                    self.tally().fail(&error);
                    connection = None;
                }
            }
        }
    }

    async fn exchange(
        &self,
        stream: &mut TcpStream,
        buffer: &mut [u8],
        since: Instant,
    ) -> anyhow::Result<(Duration, Reply)> {
        stream.write_all(&self.request).await?;
        let mut reply = Reply::new();
        let mut first = None;
        loop {
            let n = stream.read(buffer).await?;
            if n == 0 {
                bail!("the connection was closed within an answer");
            }
            let done = reply.push(&buffer[..n])?;
            if reply.length > 0 && first.is_none() {
                first = Some(since.elapsed());
            }
            if done {
                break;
            }
        }
        match self.shape.answer {
            Answer::Whole(length) if reply.length != length => bail!("{} bytes instead of {length}", reply.length),
            Answer::Events if !reply.ends_with_done() => bail!("a stream without [DONE]"),
            Answer::Events if reply.length < EVENTS * EVENT => bail!("a stream of {} bytes", reply.length),
            _ => Ok((first.unwrap_or_default(), reply)),
        }
    }

    /// Whether one more request may start.
    fn take(&self) -> bool {
        self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
    }

    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tally {
    fn new() -> Tally {
        Tally { whole: Histogram::new(), first: Histogram::new(), done: 0, errors: 0, first_error: None }
    }

    fn succeed(&mut self, first: Duration, whole: Duration) {
        self.first.record(first);
        self.whole.record(whole);
        self.done += 1;
    }

    fn fail(&mut self, error: &anyhow::Error) {
        self.errors += 1;
        self.first_error.get_or_insert_with(|| error.to_string());
    }

    /// Forgets the warm-up, but not that something failed in it.
    fn clear(&mut self) {
        self.whole.clear();
        self.first.clear();
        self.done = 0;
    }

    fn measured(&self) -> Measured {
        Measured {
            done: self.done,
            errors: self.errors,
            first_error: self.first_error.clone(),
            p50: self.whole.millis(0.5),
            p99: self.whole.millis(0.99),
            first_p50: self.first.millis(0.5),
            first_p99: self.first.millis(0.99),
            ..Measured::default()
        }
    }
}
