//! Playing cassettes: the answer that was recorded for such a request, in the time it took then.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::StatusCode;
use serde_json::json;
use tokio::time::{Instant, sleep, sleep_until};

use super::file::{Exchange, Failure, VERSION, sha256};
use crate::call::Op;
use crate::config::Invalid;
use crate::providers::client::{Fields, Outgoing, Phase, SendError, Timeouts};
use crate::providers::inbound::{Inbound, Response};
use crate::providers::spec::Place;
use crate::providers::stage::Ask;
use crate::wire::op::SURFACES;

/// The folder that an address names: `replay://recordings`, `replay:///var/recordings`. `None` for other addresses.
pub fn folder(address: &str) -> Option<&Path> {
    address.strip_prefix("replay://").map(Path::new)
}

/// The recordings that one target plays.
pub struct Tape {
    folder: PathBuf,
    /// What stands for the host in errors.
    host: Arc<str>,
    root: String,
    /// How much faster than it was; 0 means at once.
    speed: f64,
    scenes: Vec<Scene>,
    /// How often each was played.
    played: Mutex<Vec<u64>>,
}

/// One recording.
struct Scene {
    op: Op,
    model: String,
    stream: bool,
    method: String,
    path: String,
    sha256: Option<String>,
    act: Act,
}

enum Act {
    Answer {
        ms: u64,
        status: StatusCode,
        headers: BTreeMap<String, String>,
        chunks: Vec<(u64, Bytes)>,
        end: Option<Failure>,
    },
    Failure(Failure),
}

impl Tape {
    /// The recordings in a folder that are for a target: those of a target of the same name, else those of its provider.
    /// Fails, at `base_url`, if there are none or one of them can't be read.
    pub fn open(folder: &Path, target: &str, provider: &str, speed: f64) -> Result<Self, Invalid> {
        let shown = folder.display();
        let fault = |message: String| Invalid::at("base_url".to_owned(), message);
        let files = std::fs::read_dir(folder).and_then(|entries| {
            entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<BTreeSet<PathBuf>, _>>()
        });
        let files = files.map_err(|error| fault(format!("the recordings in `{shown}` can't be read: {error}")))?;
        let mut all = Vec::new();
        for file in files.iter().filter(|file| file.extension().is_some_and(|end| end == "json")) {
            let unreadable = |why: String| fault(format!("`{}` is no recording: {why}", file.display()));
            let text = std::fs::read(file).map_err(|error| unreadable(error.to_string()))?;
            let exchange: Exchange = serde_json::from_slice(&text).map_err(|error| unreadable(error.to_string()))?;
            if exchange.cassette != VERSION {
                return Err(unreadable(format!(
                    "its format is {}, and this version reads {VERSION}",
                    exchange.cassette
                )));
            }
            if exchange.provider == provider {
                all.push((exchange.target.clone(), exchange.root.clone(), Scene::of(exchange).map_err(unreadable)?));
            }
        }
        if all.iter().any(|(of, ..)| of == target) {
            all.retain(|(of, ..)| of == target);
        }
        let Some(root) = all.first().map(|(_, root, _)| root.clone()) else {
            let help = "`ferrogw record --out DIR` makes them";
            return Err(fault(format!("there are no recordings of `{provider}` in `{shown}`; {help}")));
        };
        let scenes: Vec<Scene> = all.into_iter().map(|(.., scene)| scene).collect();
        let played = Mutex::new(vec![0; scenes.len()]);
        Ok(Self { folder: folder.to_owned(), host: "replay".into(), root, speed, scenes, played })
    }

    /// Where the provider was when it was recorded.
    pub fn place(&self) -> Place {
        Place { base: self.root.clone(), query: None }
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The provider's names of the models that were recorded.
    pub fn models(&self) -> impl Iterator<Item = &str> {
        self.scenes.iter().map(|scene| scene.model.as_str()).filter(|model| !model.is_empty())
    }

    /// Answer a request as it was answered then. Its limits are kept as if it came over a network.
    pub async fn ask(&self, ask: &Ask<'_>, limits: Timeouts) -> Result<Response, SendError> {
        let Some(scene) = self.find(ask) else { return Ok(self.missing(ask)) };
        let begun = Instant::now();
        let until = match &scene.act {
            Act::Answer { ms, .. } => *ms,
            Act::Failure(failure) => failure.ms,
        };
        let wait = self.scaled(until);
        if wait > limits.first_byte {
            sleep(limits.first_byte).await;
            let (host, phase) = (self.host.clone(), Phase::FirstByte);
            return Err(SendError::Timeout { host, phase, after: limits.first_byte });
        }
        self.rest(begun + wait).await;
        match &scene.act {
            Act::Failure(failure) => Err(failure.error(&self.host, Phase::FirstByte)),
            Act::Answer { status, headers, chunks, end, .. } => {
                let fields = Fields::of(headers.iter().map(|(name, value)| (name.as_str(), value.as_str())));
                let timed = chunks.iter().map(|(ms, chunk)| (*ms, Ok(chunk.clone())));
                let end = end.iter().map(|failure| (failure.ms, Err(failure.error(&self.host, Phase::Idle))));
                let timed = timed.chain(end).map(|(ms, item)| (self.scaled(ms), item));
                let body = if self.speed == 0.0 && !timed.clone().any(|(_, item)| item.is_err()) {
                    Inbound::Local(timed.filter_map(|(_, item)| item.ok()).collect())
                } else {
                    Inbound::Made(in_time(begun, limits.idle, self.host.clone(), timed.collect()).boxed())
                };
                Ok(Response { status: *status, fields, body })
            }
        }
    }

    fn scaled(&self, ms: u64) -> Duration {
        let seconds = if self.speed > 0.0 { ms as f64 / 1000.0 / self.speed } else { 0.0 };
        Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
    }

    async fn rest(&self, until: Instant) {
        if until > Instant::now() {
            sleep_until(until).await;
        }
    }

    /// The recording that comes nearest; of several the one that was played least, in the order they were made.
    fn find(&self, ask: &Ask<'_>) -> Option<&Scene> {
        let sent = match &ask.body {
            Outgoing::Whole(body) => Some(sha256(body)),
            Outgoing::Elsewhere { .. } => None,
        };
        let likeness = |scene: &Scene| {
            let same_path = scene.path == ask.path.as_str();
            let beside = scene.below() == ask.path.path();
            // what is looked at beside a stream is no stream itself
            let same_form = scene.stream == ask.stream || scene.method != "POST";
            let is_for = scene.model == ask.model && scene.method == ask.method.as_str() && same_form;
            let fits = is_for && (beside || (scene.op == ask.op && scene.is_elsewhere(ask.path.path())));
            let same_body = sent.is_some() && scene.sha256 == sent;
            fits.then_some((same_body, same_path, beside))
        };
        let best = self.scenes.iter().filter_map(likeness).max()?;
        let mut played = self.played.lock().unwrap_or_else(PoisonError::into_inner);
        let equal = self.scenes.iter().enumerate().filter(|(_, scene)| likeness(scene) == Some(best));
        let (at, scene) = equal.min_by_key(|(at, _)| played[*at])?;
        played[at] += 1;
        Some(scene)
    }

    /// The answer to a request that was never made.
    fn missing(&self, ask: &Ask<'_>) -> Response {
        let known: BTreeSet<String> =
            self.scenes.iter().map(|scene| what(scene.op, &scene.model, scene.stream)).collect();
        let known: Vec<String> = known.into_iter().take(8).collect();
        let message = format!(
            "no recording in `{}` matches {} {}, {}; there are: {}",
            self.folder.display(),
            ask.method,
            ask.path.path(),
            what(ask.op, ask.model, ask.stream),
            known.join(", ")
        );
        let error = json!({ "error": { "message": message, "type": "no_recording", "code": "no_recording" } });
        let body = Inbound::Local([Bytes::from(error.to_string())].into());
        Response { status: StatusCode::BAD_GATEWAY, fields: Fields::of([("content-type", "application/json")]), body }
    }
}

impl Scene {
    /// Fails, in words, on what can't be played.
    fn of(exchange: Exchange) -> Result<Self, String> {
        let operation = exchange.operation;
        let surface = SURFACES.iter().find(|surface| surface.name == operation);
        let op = surface.ok_or_else(|| format!("operation: there is no `{operation}`"))?.op;
        let act = match (exchange.response, exchange.failure) {
            (Some(response), None) => {
                let status = StatusCode::from_u16(response.status);
                let mut chunks = Vec::with_capacity(response.chunks.len());
                for (at, chunk) in response.chunks.iter().enumerate() {
                    let bytes = chunk.bytes();
                    let bytes =
                        bytes.ok_or_else(|| format!("response.chunks[{at}]: needs `json`, `text` or `base64`"))?;
                    chunks.push((chunk.ms, bytes));
                }
                Act::Answer {
                    ms: response.ms,
                    status: status.map_err(|_| format!("response.status: `{}` is none", response.status))?,
                    headers: response.headers,
                    chunks,
                    end: response.failure,
                }
            }
            (None, Some(failure)) => Act::Failure(failure),
            _ => return Err("it needs one of `response` and `failure`".to_owned()),
        };
        let request = exchange.request;
        let (method, path, sha256) = (request.method, request.path, request.sha256);
        Ok(Self { op, model: exchange.model, stream: exchange.stream, method, path, sha256, act })
    }

    /// Its path without the query.
    fn below(&self) -> &str {
        self.path.split('?').next().unwrap_or_default()
    }

    /// Whether this path may be the same below another root.
    fn is_elsewhere(&self, path: &str) -> bool {
        !self.op.is_passed() && self.below().rsplit('/').next() == path.rsplit('/').next()
    }
}

/// What is asked for, in words.
fn what(op: Op, model: &str, stream: bool) -> String {
    format!("{} for `{model}`{}", op.name(), if stream { " as a stream" } else { "" })
}

/// Pieces that come when they came then. A pause longer than `idle` is a timeout.
fn in_time(
    begun: Instant,
    idle: Duration,
    host: Arc<str>,
    timed: std::collections::VecDeque<(Duration, Result<Bytes, SendError>)>,
) -> impl futures_util::Stream<Item = Result<Bytes, SendError>> + Send {
    stream::unfold((timed, host), move |(mut timed, host)| async move {
        let (at, item) = timed.pop_front()?;
        let due = begun + at;
        let late = Instant::now() + idle;
        if due > late {
            sleep_until(late).await;
            timed.clear();
            let timeout = SendError::Timeout { host: host.clone(), phase: Phase::Idle, after: idle };
            return Some((Err(timeout), (timed, host)));
        }
        if due > Instant::now() {
            sleep_until(due).await;
        }
        if item.is_err() {
            timed.clear();
        }
        Some((item, (timed, host)))
    })
}
