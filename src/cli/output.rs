//! What commands print: the same answer as text, JSON or YAML, and failures as one kind of line.

use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;

use anstyle::{AnsiColor, Style};
use clap::ValueEnum;
use comfy_table::{Table, presets};
use serde::Serialize;
use serde_json::{Value, json};

use crate::config::{Invalid, Problem};

/// What answers look like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    #[default]
    #[value(alias = "table")]
    Text,
    Json,
    Yaml,
}

/// Where a command's answer goes: standard output, in the format that was asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Output {
    pub(super) format: Format,
}

/// Why a command ends without success.
#[derive(Debug, Default)]
pub(super) struct Failed(Vec<Reason>);

#[derive(Debug)]
enum Reason {
    Line(String),
    Problems(Invalid),
}

impl Failed {
    /// The reason has been printed already.
    pub(super) fn told() -> Self {
        Failed::default()
    }

    /// One reason, in one line.
    pub(super) fn because(reason: impl Display) -> Self {
        Failed(vec![Reason::Line(reason.to_string())])
    }

    /// The reasons as text, each in the lines it needs.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for reason in &self.0 {
            match reason {
                Reason::Line(line) => lines.push(line.clone()),
                Reason::Problems(Invalid { file, problems }) => {
                    lines.extend(problems.iter().map(|problem| problem.render("error", file)));
                }
            }
        }
        lines
    }

    /// The reasons as data: objects with at least a `message`.
    pub(super) fn data(&self) -> Vec<Value> {
        self.0.iter().flat_map(data).collect()
    }

    pub(super) fn add(&mut self, more: impl Into<Failed>) {
        self.0.extend(more.into().0);
    }

    /// Whether there is no reason yet.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Fails if there is any reason to.
    pub(super) fn check(self) -> Result<(), Failed> {
        if self.is_empty() { Ok(()) } else { Err(self) }
    }
}

impl From<Invalid> for Failed {
    fn from(invalid: Invalid) -> Self {
        Failed(vec![Reason::Problems(invalid)])
    }
}

impl From<Vec<String>> for Failed {
    fn from(lines: Vec<String>) -> Self {
        Failed(lines.into_iter().map(Reason::Line).collect())
    }
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        Failed::because(error)
    }
}

impl Output {
    pub(super) fn is_text(self) -> bool {
        self.format == Format::Text
    }

    /// Prints an answer; `text` is what people get to see.
    pub(super) fn print(self, value: &impl Serialize, text: impl FnOnce() -> String) -> Result<(), Failed> {
        match self.format {
            Format::Text => self.write(&text()),
            Format::Json => self.write(&(serde_json::to_string_pretty(value).map_err(Failed::because)? + "\n")),
            Format::Yaml => self.write(&serde_yaml::to_string(value).map_err(Failed::because)?),
        }
    }

    /// Prints a text as it is, without its colours where they are not wanted.
    pub(super) fn write(self, text: &str) -> Result<(), Failed> {
        let mut out = anstream::stdout().lock();
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            // Whoever reads has seen enough, as `head` does.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            done => Ok(done?),
        }
    }

    /// Prints warnings on standard error.
    pub(super) fn warn(self, warnings: &[Problem], file: &str) {
        for warning in warnings {
            say(&styled(&warning.render("warning", file), "warning", YELLOW));
        }
    }

    /// Prints why a command failed on standard error.
    pub(super) fn fail(self, failed: Failed) -> ExitCode {
        if failed.is_empty() {
            return ExitCode::FAILURE;
        }
        if self.is_text() {
            for (at, text) in failed.lines().into_iter().enumerate() {
                // Problems of a configuration have a head of their own, as `error[unknown_key]`.
                let text = if text.starts_with("error[") { text } else { format!("error: {text}\n") };
                let gap = if at > 0 && text.trim_end().contains('\n') { "\n" } else { "" };
                say(&format!("{gap}{}", styled(&text, "error", RED)));
            }
        } else {
            say(&format!("{}\n", json!({ "errors": failed.data() })));
        }
        ExitCode::FAILURE
    }
}

fn data(reason: &Reason) -> Vec<Value> {
    match reason {
        Reason::Line(line) => vec![json!({ "message": line })],
        Reason::Problems(Invalid { file, problems }) => problems
            .iter()
            .map(|problem| {
                let mut problem = json!(problem);
                problem["file"] = json!(file);
                problem
            })
            .collect(),
    }
}

/// Writes to standard error. There is nobody left to tell that it is closed.
pub(super) fn say(text: &str) {
    let _written = anstream::stderr().lock().write_all(text.as_bytes());
}

pub(super) const RED: Style = AnsiColor::Red.on_default().bold();
pub(super) const YELLOW: Style = AnsiColor::Yellow.on_default().bold();
pub(super) const GREEN: Style = AnsiColor::Green.on_default();
pub(super) const FAINT: Style = Style::new().dimmed();
pub(super) const BOLD: Style = Style::new().bold();

/// A text in a style.
pub(super) fn paint(style: Style, text: impl Display) -> String {
    format!("{style}{text}{style:#}")
}

/// A text that begins with `word`, which gets the style.
fn styled(text: &str, word: &str, style: Style) -> String {
    match text.strip_prefix(word) {
        Some(rest) => format!("{}{rest}", paint(style, word)),
        None => text.to_owned(),
    }
}

/// Rows below a header and a line of dashes: columns are as wide as their content, with three spaces between them.
pub(super) fn table(header: &[&str], rows: Vec<Vec<String>>) -> String {
    let dashes = header.iter().enumerate().map(|(at, name)| {
        let width = rows.iter().map(|row| row[at].chars().count()).chain([name.len()]).max();
        "-".repeat(width.unwrap_or_default())
    });
    let mut table = Table::new();
    table.load_style(presets::NOTHING).add_row(header).add_row(dashes).add_rows(&rows);
    for column in table.column_iter_mut() {
        column.set_padding((0, 3));
    }
    table.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
}
