//! What is wrong with a configuration, as data and as text in the manner of rustc.

use std::fmt;

use serde::Serialize;

/// One thing that is wrong, and where.
#[derive(Clone, Debug, Serialize, PartialEq, Eq)]
pub struct Problem {
    /// The member: `targets[2].weight`. Empty for the file as a whole.
    pub path: String,
    /// Line in the file, from 1.
    pub line: Option<usize>,
    /// Column in the line, in characters, from 1.
    pub column: Option<usize>,
    /// The line itself, secrets masked and shortened around the column if it is long.
    pub source: Option<String>,
    /// The one name of this kind of problem, as `unknown_key`.
    pub code: &'static str,
    /// What is wrong, in plain words.
    pub message: String,
    /// What would be right.
    pub help: Option<String>,
    /// Where in `source` the place is and how long, if it can be shown.
    #[serde(skip)]
    pub(super) mark: Option<(usize, usize)>,
}

/// What is allowed and yet probably not meant: a [`Problem`] that stops nobody.
pub type Warning = Problem;

impl Problem {
    pub(super) fn new(path: impl Into<String>, code: &'static str, message: impl Into<String>) -> Self {
        Problem {
            path: path.into(),
            line: None,
            column: None,
            source: None,
            code,
            message: message.into(),
            help: None,
            mark: None,
        }
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    pub(super) fn suggest(self, name: Option<&str>) -> Self {
        match name {
            Some(name) => self.help(format!("did you mean `{name}`?")),
            None => self,
        }
    }

    pub(super) fn at(mut self, line: usize, column: usize) -> Self {
        (self.line, self.column) = (Some(line), Some(column));
        self
    }

    /// The problem as text of several lines; `level` is `error` or `warning`, `file` may be empty.
    pub fn render(&self, level: &str, file: &str) -> String {
        let path = if self.path.is_empty() { String::new() } else { format!("{}: ", self.path) };
        let mut text = format!("{level}[{}]: {path}{}\n", self.code, self.message);
        let margin = " ".repeat(self.line.map_or(1, |line| line.to_string().len()));
        match (self.line, self.column) {
            (Some(line), Some(column)) if !file.is_empty() => text += &format!("{margin}--> {file}:{line}:{column}\n"),
            _ if !file.is_empty() => text += &format!("{margin}--> {file}\n"),
            _ => {}
        }
        if let (Some(line), Some(source)) = (self.line, &self.source) {
            text += &format!("{margin} |\n{line} | {source}\n");
            if let Some((start, len)) = self.mark {
                text += &format!("{margin} | {}{}\n", " ".repeat(start), "^".repeat(len));
            }
        }
        if let Some(help) = &self.help {
            text += &format!("{margin} = help: {help}\n");
        }
        text
    }
}

/// Why a configuration cannot be used: every problem at once. Shown, it is text without colour.
#[derive(Clone, Debug, Default, Serialize, PartialEq, Eq)]
pub struct Invalid {
    /// The file the problems are in; empty for a configuration that came from no file.
    pub file: String,
    /// The problems, in the order of the file.
    pub problems: Vec<Problem>,
}

impl Invalid {
    pub(super) fn file(file: &str, code: &'static str, message: &str) -> Self {
        Invalid { file: file.to_owned(), problems: vec![Problem::new("", code, message)] }
    }

    /// One problem: `path` is the member, as `base_url`.
    pub fn at(path: impl Into<String>, message: impl Into<String>) -> Self {
        Invalid::from(vec![Problem::new(path, "invalid_value", message)])
    }

    /// The same seen from further out: `base_url` under `targets[0]` is `targets[0].base_url`.
    #[must_use]
    pub fn under(mut self, parent: &str) -> Self {
        for problem in &mut self.problems {
            problem.path = match problem.path.as_str() {
                "" => parent.to_owned(),
                path => format!("{parent}.{path}"),
            };
        }
        self
    }
}

impl From<Vec<Problem>> for Invalid {
    fn from(problems: Vec<Problem>) -> Self {
        Invalid { file: String::new(), problems }
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            f.write_str(&problem.render("error", &self.file))?;
        }
        Ok(())
    }
}

impl std::error::Error for Invalid {}
