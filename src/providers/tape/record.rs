//! Writing cassettes: exchanges are noted on their way and written by a thread of their own. Nobody waits for it: what it
//! cannot keep up with is lost, counted and told.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::StreamExt;
use http::StatusCode;

use super::file::{Exchange, Failure, Piece, Request, Response, VERSION, sha256};
use crate::call::redact::{Redactor, patterns};
use crate::providers::client::{Fields, Outgoing, SendError};
use crate::providers::inbound::{self, Inbound};
use crate::providers::stage::Ask;

/// Exchanges that may wait for the thread.
const WAITING: usize = 256;

/// No exchange is kept whose answer is longer, bytes.
const LONGEST: usize = 16 << 20;

/// How long the end may take.
const LAST: Duration = Duration::from_secs(10);

/// Fields of requests whose values are shown.
const HARMLESS: &[&str] = &[
    "accept",
    "accept-encoding",
    "anthropic-beta",
    "anthropic-version",
    "cancel-after",
    "content-type",
    "host",
    "openai-beta",
    "prefer",
    "user-agent",
    "x-client-request-id",
];

/// Parts of the names of fields that carry credentials, or what is made with one.
const TELLING: &[&str] = &["auth", "cookie", "credential", "password", "secret", "signature"];

/// Ends of such names: what counts `tokens` carries none.
const ENDS: &[&str] = &["key", "token"];

/// Fields of answers that are not kept although they may be harmless: who is known there, and how the body came.
const LEFT: &[&str] = &["connection", "content-encoding", "keep-alive", "set-cookie", "transfer-encoding"];

/// Writes what passes by. A clone is the same one.
#[derive(Clone)]
pub struct Recorder(Arc<Desk>);

struct Desk {
    send: SyncSender<Message>,
    next: AtomicU64,
    lost: AtomicU64,
    only: Vec<String>,
}

enum Message {
    Note(Box<Note>),
    Finish(Sender<()>),
}

/// Whose exchanges are noted.
#[derive(Clone)]
pub struct Whose {
    /// The target.
    pub target: Arc<str>,
    /// The id of its provider.
    pub provider: &'static str,
    /// The root of the provider's API.
    pub root: String,
    /// Knows the secrets.
    pub redactor: Arc<Redactor>,
}

/// One exchange, as it passes by.
pub struct Note {
    number: u64,
    whose: Whose,
    begun: Instant,
    recorded: jiff::Timestamp,
    operation: &'static str,
    model: String,
    stream: bool,
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: Option<Bytes>,
    head: Option<(u64, StatusCode, Fields)>,
    chunks: Vec<(u64, Bytes)>,
    length: usize,
    failure: Option<Failure>,
}

impl Recorder {
    /// Begins to write into a folder, behind what is there already; with `only` the exchanges of these targets alone.
    ///
    /// # Errors
    /// When the folder cannot be made or read, or there is no thread.
    pub fn start(folder: &Path, only: Vec<String>) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let mut last = 0;
        for entry in fs::read_dir(folder)? {
            let name = entry?.file_name();
            let number = name.to_str().and_then(|name| name.split('-').next()?.parse().ok());
            last = last.max(number.unwrap_or(0));
        }
        let (send, receive) = sync_channel(WAITING);
        let folder = folder.to_owned();
        std::thread::Builder::new().name("cassettes".to_owned()).spawn(move || work(&folder, &receive))?;
        Ok(Self(Arc::new(Desk { send, next: AtomicU64::new(last + 1), lost: AtomicU64::new(0), only })))
    }

    /// Whether the exchanges of this target are noted.
    pub fn is_for(&self, target: &str) -> bool {
        self.0.only.is_empty() || self.0.only.iter().any(|name| name == target)
    }

    /// Begins to note a request.
    pub fn note(&self, whose: &Whose, ask: &Ask<'_>) -> Box<Note> {
        let lines = ask.ready.iter().chain(ask.more.iter());
        Box::new(Note {
            number: self.0.next.fetch_add(1, Ordering::Relaxed),
            whose: whose.clone(),
            begun: Instant::now(),
            recorded: jiff::Timestamp::now(),
            operation: ask.op.name(),
            model: ask.model.to_owned(),
            stream: ask.stream,
            method: ask.method.to_string(),
            path: ask.path.to_string(),
            headers: lines.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect(),
            body: match &ask.body {
                Outgoing::Whole(body) => Some(body.clone()),
                Outgoing::Elsewhere { .. } => None,
            },
            head: None,
            chunks: Vec::new(),
            length: 0,
            failure: None,
        })
    }

    /// Notes what came back, or begins to.
    pub fn heard(
        &self,
        mut note: Box<Note>,
        answer: Result<inbound::Response, SendError>,
    ) -> Result<inbound::Response, SendError> {
        let inbound::Response { status, fields, body } = match answer {
            Ok(response) => response.unpacked(),
            Err(error) => {
                note.failure = Failure::of(&error, note.ms());
                self.send(note);
                return Err(error);
            }
        };
        note.head = Some((note.ms(), status, fields.clone()));
        let mut heard = Heard { body, note: Some(note), recorder: self.clone() };
        let body = futures_util::stream::poll_fn(move |cx| {
            let next = std::task::ready!(heard.body.poll(cx));
            heard.note(next.as_ref());
            std::task::Poll::Ready(next)
        });
        Ok(inbound::Response { status, fields, body: Inbound::Made(body.boxed()) })
    }

    fn send(&self, note: Box<Note>) {
        let longer = note.length > LONGEST;
        if longer || self.0.send.try_send(Message::Note(note)).is_err() {
            let lost = self.0.lost.fetch_add(1, Ordering::Relaxed) + 1;
            let why = if longer { "the answer is too long" } else { "writing does not keep up" };
            tracing::warn!(lost, "an exchange was not recorded: {why}");
        }
    }

    /// Waits until everything noted so far is written, for ten seconds at most.
    pub fn finish(&self) {
        let (done, wait) = channel();
        if self.0.send.send(Message::Finish(done)).is_ok() {
            let _ended = wait.recv_timeout(LAST);
        }
    }
}

/// An answer that is noted while it passes by: to its end, or until nobody wants it any more.
struct Heard {
    body: Inbound,
    note: Option<Box<Note>>,
    recorder: Recorder,
}

impl Heard {
    fn note(&mut self, next: Option<&Result<Bytes, SendError>>) {
        let Some(note) = &mut self.note else { return };
        let ms = note.ms();
        match next {
            Some(Ok(chunk)) => {
                note.length += chunk.len();
                if note.length <= LONGEST {
                    note.chunks.push((ms, chunk.clone()));
                }
                return;
            }
            Some(Err(error)) => note.failure = Failure::of(error, ms),
            None => {}
        }
        self.end();
    }

    fn end(&mut self) {
        if let Some(note) = self.note.take() {
            self.recorder.send(note);
        }
    }
}

impl Drop for Heard {
    fn drop(&mut self) {
        self.end();
    }
}

impl Note {
    fn ms(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn file_name(&self) -> String {
        let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' };
        let target: String = self.whose.target.chars().map(plain).collect();
        format!("{:06}-{target}-{}.json", self.number, self.operation)
    }

    /// As it is written, without secrets. `None` if one stands where it can't be taken out.
    fn exchange(self) -> Option<Exchange> {
        let redactor = &*self.whose.redactor;
        let text = |text: &str| patterns::redact(&redactor.redact(text)).into_owned();
        let failure = self.failure.map(|failure| Failure { cause: text(&failure.cause), ..failure });
        let body = self.body.as_ref().filter(|body| !body.is_empty());
        let request = Request {
            method: self.method,
            path: text(&self.path),
            headers: collect(self.headers.iter().filter(|(name, _)| !tells(name)).map(|(name, value)| {
                let harmless = HARMLESS.contains(&name.as_str());
                (name.clone(), if harmless { text(value) } else { "[REDACTED]".to_owned() })
            })),
            sha256: self.body.as_ref().map(|body| sha256(body)),
            body: match body {
                Some(body) => Some(pieces(redactor, &[(0, body.clone())])?.pop()?),
                None => None,
            },
        };
        let (mut response, mut failed) = (None, failure);
        if let Some((ms, status, fields)) = self.head {
            let chunks = pieces(redactor, &self.chunks)?;
            let length: usize = chunks.iter().filter_map(Piece::bytes).map(|bytes| bytes.len()).sum();
            let headers = fields.iter().filter_map(|(name, value)| {
                let name = name.to_ascii_lowercase();
                let left = LEFT.contains(&name.as_str()) || tells(&name);
                let value = match name.as_str() {
                    "content-length" => length.to_string(),
                    _ => text(std::str::from_utf8(value).ok()?),
                };
                (!left).then_some((name, value))
            });
            let failure = failed.take();
            response = Some(Response { ms, status: status.as_u16(), headers: collect(headers), chunks, failure });
        }
        Some(Exchange {
            cassette: VERSION,
            recorded: self.recorded.to_string(),
            target: self.whose.target.to_string(),
            provider: self.whose.provider.to_owned(),
            root: text(&self.whose.root),
            operation: self.operation.to_owned(),
            model: text(&self.model),
            stream: self.stream,
            request,
            response,
            failure: failed,
        })
    }
}

/// Of a field that is there several times the values are a list.
fn collect(fields: impl Iterator<Item = (String, String)>) -> BTreeMap<String, String> {
    let mut map: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in fields {
        match map.entry(name) {
            std::collections::btree_map::Entry::Occupied(mut there) => *there.get_mut() += &format!(", {value}"),
            std::collections::btree_map::Entry::Vacant(free) => {
                free.insert(value);
            }
        }
    }
    map
}

fn tells(name: &str) -> bool {
    TELLING.iter().any(|part| name.contains(part)) || ENDS.iter().any(|end| name.ends_with(end))
}

/// A body without the secrets that are known; `None` if one of them is in bytes that are no text. One that is spread over
/// pieces takes their borders with it.
fn pieces(redactor: &Redactor, chunks: &[(u64, Bytes)]) -> Option<Vec<Piece>> {
    let all = chunks.iter().map(|(_, chunk)| chunk.as_ref()).collect::<Vec<_>>().concat();
    if let Ok(whole) = std::str::from_utf8(&all) {
        let texts: Option<Vec<&str>> = chunks.iter().map(|(_, chunk)| std::str::from_utf8(chunk).ok()).collect();
        let texts: Vec<String> = texts.into_iter().flatten().map(|text| redactor.redact(text).into_owned()).collect();
        if texts.len() == chunks.len() && *redactor.redact(whole) == texts.concat() {
            let times = chunks.iter().map(|(ms, _)| *ms);
            return Some(times.zip(texts).map(|(ms, text)| Piece::text(ms, text)).collect());
        }
        if *redactor.redact(whole) != *whole {
            let last = chunks.last().map_or(0, |(ms, _)| *ms);
            return Some(vec![Piece::text(last, redactor.redact(whole).into_owned())]);
        }
    } else if matches!(redactor.redact(&String::from_utf8_lossy(&all)), std::borrow::Cow::Owned(_)) {
        return None;
    }
    let piece = |(ms, chunk): &(u64, Bytes)| match std::str::from_utf8(chunk) {
        Ok(text) => Piece::text(*ms, text.to_owned()),
        Err(_) => Piece::binary(*ms, chunk),
    };
    Some(chunks.iter().map(piece).collect())
}

fn work(folder: &Path, receive: &Receiver<Message>) {
    for message in receive {
        match message {
            Message::Finish(done) => drop(done.send(())),
            Message::Note(note) => {
                let path = folder.join(note.file_name());
                let name = path.display().to_string();
                match note.exchange().map(|exchange| write(&path, &exchange)) {
                    Some(Ok(())) => {}
                    Some(Err(error)) => tracing::warn!(file = name, %error, "an exchange was not recorded"),
                    None => tracing::warn!(file = name, "an exchange was not recorded: a secret is in its binary data"),
                }
            }
        }
    }
}

/// Written aside first, so that whoever reads the folder sees whole files.
fn write(path: &Path, exchange: &Exchange) -> io::Result<()> {
    let mut text = serde_json::to_vec_pretty(exchange)?;
    text.push(b'\n');
    let aside: PathBuf = path.with_extension("part");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600); // prompts are nobody else's
    options.open(&aside)?.write_all(&text)?;
    fs::rename(aside, path)
}

impl std::fmt::Debug for Recorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Recorder({} lost)", self.0.lost.load(Ordering::Relaxed))
    }
}
