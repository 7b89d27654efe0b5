//! One log line, member by member, in either format.

use std::net::IpAddr;
use std::time::Duration;

use super::json;
use super::logs::{Format, Level};
use super::millis::Millis;
use super::sink::Buffer;
use crate::call::redact::Redactor;

/// A line that is being written.
pub(super) struct Members<'a> {
    out: &'a mut Vec<u8>,
    format: Format,
    redactor: &'a Redactor,
}

impl<'a> Members<'a> {
    /// Begins a line with time, level and message.
    pub(super) fn begin(
        buffer: &'a mut Buffer,
        format: Format,
        level: Level,
        message: &str,
        redactor: &'a Redactor,
    ) -> Self {
        match format {
            Format::Json => {
                buffer.lines.extend_from_slice(br#"{"time":""#);
                buffer.now();
                buffer.lines.extend_from_slice(br#"","level":""#);
                buffer.lines.extend_from_slice(level.name().as_bytes());
                buffer.lines.extend_from_slice(br#"","msg":"#);
                json::string(&mut buffer.lines, &redactor.redact(message));
            }
            Format::Text => {
                buffer.now();
                buffer.lines.push(b' ');
                buffer.lines.extend_from_slice(level.name().as_bytes());
                buffer.lines.extend_from_slice(if level.name().len() < 5 { b"  " } else { b" " });
                json::phrase(&mut buffer.lines, &redactor.redact(message));
            }
        }
        Self { out: &mut buffer.lines, format, redactor }
    }

    /// Ends the line, without a line break.
    pub(super) fn end(self) {
        if self.format == Format::Json {
            self.out.push(b'}');
        }
    }

    /// Inlined, so that a constant name is a few stores instead of three copies of unknown length.
    #[inline(always)]
    fn name(&mut self, name: &str) {
        match self.format {
            Format::Json => {
                self.out.extend_from_slice(b",\"");
                self.out.extend_from_slice(name.as_bytes());
                self.out.extend_from_slice(b"\":");
            }
            Format::Text => {
                self.out.push(b' ');
                self.out.extend_from_slice(name.as_bytes());
                self.out.push(b'=');
            }
        }
    }

    /// A value that others may have chosen: redacted and escaped.
    #[inline(always)]
    pub(super) fn text(&mut self, name: &str, value: &str) {
        self.name(name);
        self.foreign(value);
    }

    fn foreign(&mut self, value: &str) {
        let value = self.redactor.redact(value);
        match self.format {
            Format::Json => json::string(self.out, &value),
            Format::Text => json::word(self.out, &value),
        }
    }

    /// A word of ours, which needs neither.
    #[inline(always)]
    pub(super) fn word(&mut self, name: &str, value: &str) {
        self.quoted(name, |out| out.extend_from_slice(value.as_bytes()));
    }

    #[inline(always)]
    pub(super) fn address(&mut self, name: &str, value: IpAddr) {
        self.quoted(name, |out| json::address(out, value));
    }

    #[inline(always)]
    pub(super) fn number(&mut self, name: &str, value: u64) {
        self.name(name);
        json::number(self.out, value);
    }

    #[inline(always)]
    pub(super) fn millis(&mut self, name: &str, value: Duration) {
        self.name(name);
        self.out.extend_from_slice(Millis::of(value).as_bytes());
    }

    /// A value that is a JSON literal as it stands.
    pub(super) fn literal(&mut self, name: &str, value: &str) {
        self.name(name);
        self.out.extend_from_slice(value.as_bytes());
    }

    #[inline(always)]
    pub(super) fn flag(&mut self, name: &str, value: bool) {
        self.name(name);
        self.out.extend_from_slice(if value { b"true" } else { b"false" });
    }

    #[inline(always)]
    fn quoted(&mut self, name: &str, write: impl FnOnce(&mut Vec<u8>)) {
        self.name(name);
        match self.format {
            Format::Json => {
                self.out.push(b'"');
                write(self.out);
                self.out.push(b'"');
            }
            Format::Text => write(self.out),
        }
    }
}
