//! Faults on purpose: which fault of a target hits a request, and what the request gets instead of its answer.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::{Buf, Bytes};
use futures_util::StreamExt;
use futures_util::stream;
use http::StatusCode;
use prometheus::IntCounter;
use serde_json::json;

use super::client::{Fields, SendError};
use super::inbound::{Inbound, Response};
use crate::call::Op;
use crate::config::Injection;
use crate::telemetry::Metrics;

/// What stands in for the provider's id of a request that it was never sent.
pub const REQUEST: &str = "injected-fault";

/// The faults of one target.
pub struct Faults(Vec<Rule>);

/// One fault.
pub struct Rule {
    when: When,
    /// How many requests it was held against.
    seen: AtomicU64,
    models: Vec<String>,
    ops: Vec<Op>,
    /// How long the request waits.
    pub delay: Duration,
    /// What happens then.
    pub act: Act,
    hits: OnceLock<IntCounter>,
}

enum When {
    /// By chance: the part of all requests.
    Rate(f64),
    /// Each of this number.
    Every(u64),
}

/// What happens to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// It is asked as usual.
    Nothing,
    /// It is answered with this status, and when to come back.
    Status(StatusCode, Option<Duration>),
    /// Its answer breaks off after so many events.
    Cut(u64),
    /// Its answer can't be read.
    Malformed,
    /// No connection is made.
    Refuse,
}

impl Faults {
    /// Those of a configuration; `None` if it has none.
    pub fn of(given: &[Injection]) -> Option<Self> {
        let rules: Vec<Rule> = given.iter().map(Rule::of).collect();
        (!rules.is_empty()).then_some(Self(rules))
    }

    /// The fault that hits a request, if one does: the first, for each is held against every request that it is for.
    /// `chance` gives numbers from 0 to 1.
    pub fn draw(&self, op: Op, model: &str, mut chance: impl FnMut() -> f64) -> Option<&Rule> {
        let mut hit = None;
        for rule in self.0.iter().filter(|rule| rule.is_for(op, model)) {
            let hits = match rule.when {
                When::Rate(rate) => chance() < rate,
                When::Every(number) => (rule.seen.fetch_add(1, Ordering::Relaxed) + 1).is_multiple_of(number),
            };
            hit = hit.or(hits.then_some(rule));
        }
        hit
    }

    /// Counts them there from now on.
    pub fn watch(&self, metrics: &Metrics, target: &str) {
        for rule in &self.0 {
            let _known = rule.hits.set(metrics.injected(target, rule.kind()));
        }
    }
}

impl Rule {
    fn of(given: &Injection) -> Self {
        let status = given.status.and_then(|status| StatusCode::from_u16(status).ok());
        let act = match (status, given.cut_after) {
            (Some(status), _) => Act::Status(status, given.retry_after),
            (_, Some(events)) => Act::Cut(events),
            _ if given.malformed => Act::Malformed,
            _ if given.refuse => Act::Refuse,
            _ => Act::Nothing,
        };
        let when = match given.every {
            Some(number) => When::Every(number.max(1)),
            // a whole 1 is never reached by chance, and shall be always
            None => When::Rate(given.rate.map_or(0.0, |rate| if rate >= 100.0 { f64::INFINITY } else { rate / 100.0 })),
        };
        Self {
            when,
            seen: AtomicU64::new(0),
            models: given.models.clone(),
            ops: given.ops().collect(),
            delay: given.delay.unwrap_or_default(),
            act,
            hits: OnceLock::new(),
        }
    }

    fn is_for(&self, op: Op, model: &str) -> bool {
        let named = |known: &String| match known.strip_suffix('*') {
            Some(beginning) => model.starts_with(beginning),
            None => known == model,
        };
        (self.ops.is_empty() || self.ops.contains(&op)) && (self.models.is_empty() || self.models.iter().any(named))
    }

    /// Its kind, for metrics and logs.
    pub fn kind(&self) -> &'static str {
        match self.act {
            Act::Nothing => "delay",
            Act::Status(..) => "status",
            Act::Cut(_) => "cut",
            Act::Malformed => "malformed",
            Act::Refuse => "refuse",
        }
    }

    /// Counts a hit.
    pub fn count(&self) {
        if let Some(hits) = self.hits.get() {
            hits.inc();
        }
    }
}

/// An error in a form that every dialect reads.
pub fn status(status: StatusCode, retry_after: Option<Duration>) -> Response {
    let wait = retry_after.map(|wait| wait.as_millis().to_string());
    let fields = wait.as_deref().map(|wait| ("retry-after-ms", wait));
    let message = format!("injected fault: status {}", status.as_u16());
    let error = json!({ "error": { "message": message, "type": "injected_fault", "code": "injected_fault" } });
    made(status, fields, error.to_string().into())
}

/// A good answer, but for its end, which is missing.
pub fn malformed() -> Response {
    made(StatusCode::OK, None, Bytes::from_static(br#"{"injected fault":"#))
}

fn made(status: StatusCode, field: Option<(&str, &str)>, body: Bytes) -> Response {
    let usual = [("content-type", "application/json"), ("x-request-id", REQUEST)];
    Response { status, fields: Fields::of(usual.into_iter().chain(field)), body: Inbound::Local([body].into()) }
}

/// The answer of `host`, until it breaks off.
pub fn cut(response: Response, after: u64, host: &Arc<str>) -> Response {
    let Response { status, fields, body } = response.unpacked();
    let kind = fields.content_type().split(';').next().unwrap_or_default().trim();
    let knife = match kind {
        "text/event-stream" => Knife::Events { left: after, empty_line: true, empty: true },
        "application/vnd.amazon.eventstream" => Knife::Frames { left: after, head: 0, seen: 0, rest: 0 },
        _ => Knife::Middle(fields.content_length().map(|length| length / 2)),
    };
    let begin = Some((body, knife, host.clone()));
    let body = stream::unfold(begin, |state| async move {
        let (mut body, mut knife, host) = state?;
        let broken = || SendError::Broken { host: host.clone(), cause: "injected fault: cut".into() };
        if knife.is_through() {
            return Some((Err(broken()), None));
        }
        match body.next().await? {
            Ok(mut chunk) => {
                if let Some(at) = knife.place(&chunk) {
                    chunk.truncate(at);
                }
                Some((Ok(chunk), Some((body, knife, host))))
            }
            Err(error) => Some((Err(error), None)),
        }
    });
    Response { status, fields, body: Inbound::Made(body.boxed()) }
}

/// Finds the place where a body is cut.
enum Knife {
    /// After so many server-sent events.
    Events { left: u64, empty_line: bool, empty: bool },
    /// After so many frames of AWS's event streams, which begin with their length in four bytes.
    Frames { left: u64, head: u32, seen: u8, rest: u64 },
    /// After so many bytes, or in the middle of the first piece.
    Middle(Option<u64>),
}

impl Knife {
    fn is_through(&self) -> bool {
        match self {
            Knife::Events { left, .. } => *left == 0,
            Knife::Frames { left, .. } => *left == 0,
            Knife::Middle(left) => *left == Some(0),
        }
    }

    /// How much of a piece is before the cut, if the cut is within it or at its end.
    fn place(&mut self, piece: &[u8]) -> Option<usize> {
        match self {
            Knife::Events { left, empty_line, empty } => {
                for (at, byte) in piece.iter().enumerate() {
                    match byte {
                        b'\n' if *empty_line && !*empty => {
                            (*left, *empty) = (*left - 1, true);
                            if *left == 0 {
                                return Some(at + 1);
                            }
                        }
                        b'\n' => *empty_line = true,
                        b'\r' => {}
                        _ => (*empty_line, *empty) = (false, false),
                    }
                }
                None
            }
            Knife::Frames { left, head, seen, rest } => {
                let mut ahead = piece;
                while ahead.has_remaining() {
                    if *seen < 4 {
                        (*head, *seen) = (*head << 8 | u32::from(ahead.get_u8()), *seen + 1);
                        *rest = u64::from(*head).saturating_sub(4);
                    } else {
                        let taken = ahead.len().min(usize::try_from(*rest).unwrap_or(usize::MAX));
                        ahead.advance(taken);
                        *rest -= taken as u64;
                    }
                    if *seen == 4 && *rest == 0 {
                        (*left, *head, *seen) = (*left - 1, 0, 0);
                        if *left == 0 {
                            return Some(piece.len() - ahead.len());
                        }
                    }
                }
                None
            }
            Knife::Middle(left) => {
                let place = left.unwrap_or(piece.len() as u64 / 2);
                *left = Some(place.saturating_sub(piece.len() as u64));
                usize::try_from(place).ok().filter(|place| *place <= piece.len())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(faults: &Faults, requests: usize, mut chance: impl FnMut() -> f64) -> Vec<&'static str> {
        (0..requests).map(|_| faults.draw(Op::Chat, "m", &mut chance).map_or("", Rule::kind)).collect()
    }

    #[test]
    fn the_first_fault_that_hits_acts_and_each_counts_for_itself() {
        let faults = Faults::of(&[
            Injection { every: Some(2), refuse: true, ..Injection::default() },
            Injection { every: Some(3), status: Some(503), ..Injection::default() },
            Injection { rate: Some(10.0), malformed: true, ..Injection::default() },
        ]);
        let faults = faults.expect("there are some");
        assert_eq!(drawn(&faults, 6, || 0.1), ["", "refuse", "status", "refuse", "", "refuse"]);
        assert_eq!(drawn(&faults, 2, || 0.099), ["malformed", "refuse"]);
        let always = Faults::of(&[Injection { rate: Some(100.0), refuse: true, ..Injection::default() }]);
        assert_eq!(drawn(&always.expect("there is one"), 1, || 1.0), ["refuse"]);
        assert!(Faults::of(&[]).is_none());
    }

    #[test]
    fn a_fault_is_for_the_models_and_operations_it_names() {
        let faults = Faults::of(&[Injection {
            rate: Some(100.0),
            refuse: true,
            models: vec!["gpt-5*".to_owned(), "o3".to_owned()],
            operations: vec!["embeddings".to_owned()],
            ..Injection::default()
        }]);
        let faults = faults.expect("there is one");
        let hits = |op, model| faults.draw(op, model, || 0.0).is_some();
        assert!(hits(Op::Embed, "gpt-5-mini") && hits(Op::Embed, "o3"));
        assert!(!hits(Op::Embed, "o3-mini") && !hits(Op::Chat, "o3"));
    }

    #[test]
    fn a_cut_is_between_events_wherever_the_pieces_end() {
        let check = |knife: fn() -> Knife, body: &[u8], expected: usize| {
            for size in 1..=body.len() {
                let (mut knife, mut passed) = (knife(), 0);
                for piece in body.chunks(size) {
                    match knife.place(piece) {
                        Some(at) => {
                            passed += at;
                            break;
                        }
                        None => passed += piece.len(),
                    }
                }
                assert_eq!(passed, expected, "in pieces of {size}");
            }
        };
        let events = || Knife::Events { left: 2, empty_line: true, empty: true };
        check(events, b"data: 1\n\n\ndata: 2\n\ndata: 3\n\n", 19);
        check(events, b"data: 1\r\n\r\n: c\r\n\r\ndata: 3\r\n\r\n", 18);
        check(events, b"data: 1\n\ndata: 2\n", 17);
        let frames = || Knife::Frames { left: 2, head: 0, seen: 0, rest: 0 };
        check(frames, b"\0\0\0\x06ab\0\0\0\x05c\0\0\0\x05d", 11);
        check(|| Knife::Middle(Some(4)), b"12345678", 4);
    }
}
