//! Log lines of what is rare, from `tracing` events: the same sink, formats and redaction as the access log.

use std::fmt;
use std::panic;
use std::sync::Arc;

use tracing::field::{Field, Visit};
use tracing::subscriber::SetGlobalDefaultError;
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

use super::members::Members;
use super::sink::{Buffer, Sink};
use super::worker::worker;
use crate::call::redact::Redactor;

/// How important a line is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// For those who look for a defect.
    Debug,
    /// What happened.
    #[default]
    Info,
    /// What somebody should look at.
    Warn,
    /// What went wrong.
    Error,
}

impl Level {
    /// Reads `LOG_LEVEL`, in any case; `None` for words that are no level.
    pub fn parse(text: &str) -> Option<Self> {
        [Level::Debug, Level::Info, Level::Warn, Level::Error]
            .into_iter()
            .find(|level| level.name().eq_ignore_ascii_case(text.trim()))
    }

    /// The level as log lines name it.
    pub fn name(self) -> &'static str {
        match self {
            Level::Debug => "DEBUG",
            Level::Info => "INFO",
            Level::Warn => "WARN",
            Level::Error => "ERROR",
        }
    }

    fn filter(self) -> LevelFilter {
        match self {
            Level::Debug => LevelFilter::DEBUG,
            Level::Info => LevelFilter::INFO,
            Level::Warn => LevelFilter::WARN,
            Level::Error => LevelFilter::ERROR,
        }
    }

    fn of(level: tracing::Level) -> Self {
        match level {
            tracing::Level::ERROR => Level::Error,
            tracing::Level::WARN => Level::Warn,
            tracing::Level::INFO => Level::Info,
            _ => Level::Debug,
        }
    }
}

/// What a line looks like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line.
    #[default]
    Json,
    /// Time, level, message, then `name=value`.
    Text,
}

impl Format {
    /// Reads `LOG_FORMAT`, in any case; `None` for words that are no format.
    pub fn parse(text: &str) -> Option<Self> {
        match text.trim() {
            text if text.eq_ignore_ascii_case("json") => Some(Format::Json),
            text if text.eq_ignore_ascii_case("text") => Some(Format::Text),
            _ => None,
        }
    }
}

/// Sends the process's log events to `sink`, and panics too.
///
/// # Errors
/// When the process has a subscriber already.
pub fn init(sink: &Sink, level: Level, format: Format, redactor: Arc<Redactor>) -> Result<(), SetGlobalDefaultError> {
    tracing::subscriber::set_global_default(subscriber(sink, level, format, redactor.clone()))?;
    log_panics(sink.clone(), format, redactor);
    Ok(())
}

/// A subscriber that writes events of ours from `level` on, and of the libraries what is at least a warning.
pub fn subscriber(
    sink: &Sink,
    level: Level,
    format: Format,
    redactor: Arc<Redactor>,
) -> impl Subscriber + Send + Sync + 'static {
    sink.speaks(format);
    let libraries = level.max(Level::Warn);
    let targets = Targets::new().with_default(libraries.filter()).with_target(env!("CARGO_CRATE_NAME"), level.filter());
    tracing_subscriber::registry().with(Lines { sink: sink.clone(), format, redactor }.with_filter(targets))
}

/// A panic's place, and its message only if it is a constant: a composed one may quote what a caller sent.
fn log_panics(sink: Sink, format: Format, redactor: Arc<Redactor>) {
    panic::set_hook(Box::new(move |panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let reason = panic.payload().downcast_ref::<&'static str>().copied().unwrap_or("a composed message");
        // The buffer of nobody: the panic may have come from a thread that holds its own.
        sink.write(usize::MAX, |buffer| {
            let mut members = Members::begin(buffer, format, Level::Error, "panic", &redactor);
            members.text("place", &place);
            members.text("reason", reason);
            members.end();
        });
        sink.flush();
    }));
}

/// The layer that turns events into lines.
struct Lines {
    sink: Sink,
    format: Format,
    redactor: Arc<Redactor>,
}

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut message = Message(String::new());
        event.record(&mut message);
        // Not under the buffer's lock: a value's `Debug` may log itself.
        let mut line = Buffer::default();
        let level = Level::of(*event.metadata().level());
        let mut members = Members::begin(&mut line, self.format, level, &message.0, &self.redactor);
        event.record(&mut members);
        members.end();
        self.sink.write(worker(), |buffer| buffer.lines.extend_from_slice(&line.lines));
    }
}

const MESSAGE: &str = "message";

/// Takes the message out of an event: it comes first, wherever the event has it.
struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == MESSAGE {
            self.0 = format!("{value:?}");
        }
    }
}

impl Visit for Members<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() != MESSAGE {
            self.text(field.name(), value);
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.number(field.name(), value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.flag(field.name(), value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.literal(field.name(), &value.to_string());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        let text = value.to_string();
        if value.is_finite() { self.literal(field.name(), &text) } else { self.word(field.name(), &text) }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}
