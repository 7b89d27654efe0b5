//! One line a request, written by hand: field by field into the worker's buffer, no spans and no formatting machinery.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::logs::{Format, Level};
use super::members::Members;
use super::millis::overhead;
use super::sink::Sink;
use crate::call::Outcome;
use crate::call::redact::Redactor;

/// What is known of a finished request.
#[derive(Clone, Copy, Debug)]
pub struct Line<'a> {
    /// The request id.
    pub id: &'a str,
    /// The method.
    pub method: &'a str,
    /// The path without the query, which may hold credentials.
    pub path: &'a str,
    /// The status of the answer.
    pub status: u16,
    /// Bytes of the answer's body that were sent.
    pub bytes: u64,
    /// From the arrival of the request to the last byte of the answer.
    pub took: Duration,
    /// The caller's address.
    pub remote: IpAddr,
    /// The caller's key, by its id.
    pub key: Option<&'a str>,
    /// The code of a failure that has no outcome, because the request never became a call.
    pub error: Option<&'a str>,
    /// What the call came to, if it was one.
    pub outcome: Option<&'a Outcome>,
}

impl Line<'_> {
    fn error(&self) -> Option<&str> {
        self.outcome.and_then(|outcome| outcome.error).or(self.error)
    }

    /// Status decides; an answer that broke after a good status is a warning.
    fn level(&self) -> Level {
        match self.status {
            500.. => Level::Error,
            400.. => Level::Warn,
            _ if self.error().is_some() => Level::Warn,
            _ => Level::Info,
        }
    }
}

/// The access log of one process.
#[derive(Clone, Debug)]
pub struct AccessLog {
    sink: Option<Sink>,
    level: Level,
    format: Format,
    redactor: Arc<Redactor>,
}

impl AccessLog {
    /// An access log to `sink` of lines from `level` on; `redactor` knows the credentials that no path may show.
    pub fn new(sink: Sink, level: Level, format: Format, redactor: Arc<Redactor>) -> Self {
        sink.speaks(format);
        Self { sink: Some(sink), level, format, redactor }
    }

    /// An access log that writes nothing.
    pub fn off() -> Self {
        Self { sink: None, level: Level::Error, format: Format::Json, redactor: Arc::default() }
    }

    /// Writes one line into the buffer of `worker`. It is out within 200 ms; if whoever reads is too slow it is dropped
    /// and counted.
    pub fn write(&self, worker: usize, line: &Line<'_>) {
        let (Some(sink), level) = (&self.sink, line.level()) else { return };
        if level < self.level {
            return;
        }
        sink.write(worker, |buffer| {
            let mut members = Members::begin(buffer, self.format, level, "http request", &self.redactor);
            request(&mut members, line);
            members.end();
        });
    }

    /// Writes out what is buffered. Gives up after a second.
    pub fn flush(&self) {
        if let Some(sink) = &self.sink {
            sink.flush();
        }
    }
}

fn request(out: &mut Members<'_>, line: &Line<'_>) {
    out.text("trace_id", line.id);
    out.text("method", line.method);
    out.text("path", line.path);
    out.number("status", u64::from(line.status));
    out.number("bytes", line.bytes);
    out.millis("duration_ms", line.took);
    out.address("remote", line.remote);
    if let Some(key) = line.key {
        out.text("key", key);
    }
    if let Some(outcome) = line.outcome {
        call(out, outcome);
    }
    if let Some(error) = line.error() {
        out.word("error", error);
    }
}

fn call(out: &mut Members<'_>, outcome: &Outcome) {
    let route = &outcome.route;
    out.word("op", outcome.op.name());
    if !outcome.model.is_empty() {
        out.text("model", &outcome.model);
    }
    if !route.provider.is_empty() {
        out.word("provider", route.provider);
        out.text("target", &route.target);
        if route.model != outcome.model {
            out.text("target_model", &route.model);
        }
        for (name, text) in [("route", &route.name), ("variant", &route.label)] {
            if let Some(text) = text {
                out.text(name, text);
            }
        }
        if let Some(key) = route.key {
            out.number("target_key", u64::from(key));
        }
        out.number("attempts", u64::from(route.attempts));
        out.millis("upstream_ms", route.upstream);
    }
    out.flag("stream", outcome.stream);
    if let Some(overhead) = overhead(outcome) {
        out.millis("overhead_ms", overhead);
    }
    if let Some(first_token) = outcome.first_token {
        out.millis("ttft_ms", first_token);
    }
    if let Some(usage) = outcome.usage {
        out.number("prompt_tokens", usage.prompt);
        out.number("completion_tokens", usage.completion);
        if usage.cached > 0 {
            out.number("cached_tokens", usage.cached);
        }
        if usage.reasoning > 0 {
            out.number("reasoning_tokens", usage.reasoning);
        }
        if usage.cache_write > 0 {
            out.number("cache_write_tokens", u64::from(usage.cache_write));
        }
        if usage.estimated {
            out.flag("estimated", true);
        }
        match outcome.cost {
            Some(cost) => out.literal("cost_usd", cost.digits().as_str()),
            None => out.literal("cost_usd", "null"),
        }
    }
    if outcome.abandoned {
        out.flag("abandoned", true);
    }
    if !route.warnings.is_empty() {
        out.text("warnings", &route.warnings.join(", "));
    }
}
