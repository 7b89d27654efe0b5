//! The findings of `doctor`, and how they look.

use std::fmt::Write;

use serde::Serialize;

use super::output::{BOLD, FAINT, GREEN, RED, YELLOW, paint};

/// How bad something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Mark {
    Ok,
    Broken,
    Warning,
    Skipped,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
pub(super) struct Check {
    area: &'static str,
    mark: Mark,
    name: String,
    detail: String,
}

/// Everything that was looked at, area by area.
#[derive(Debug, Default, Serialize)]
#[serde(transparent)]
pub(super) struct Checks(Vec<Check>);

impl Checks {
    pub(super) fn add(&mut self, area: &'static str, mark: Mark, name: impl Into<String>, detail: impl Into<String>) {
        self.0.push(Check { area, mark, name: name.into(), detail: detail.into() });
    }

    /// Whether anything is broken.
    pub(super) fn any_broken(&self) -> bool {
        self.0.iter().any(|check| check.mark == Mark::Broken)
    }

    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        let mut area = "";
        for check in &self.0 {
            if area != check.area {
                let gap = if area.is_empty() { "" } else { "\n" };
                area = check.area;
                let _infallible = writeln!(text, "{gap}{}", paint(BOLD, area));
            }
            let (style, sign) = match check.mark {
                Mark::Ok => (GREEN, "[OK]"),
                Mark::Broken => (RED, "[X] "),
                Mark::Warning => (YELLOW, "[!] "),
                Mark::Skipped => (FAINT, "[-] "),
            };
            let colon = if check.name.is_empty() || check.detail.is_empty() { "" } else { ": " };
            let detail = check.detail.trim_end().replace('\n', "\n       ");
            let _infallible = writeln!(text, "  {} {}{colon}{detail}", paint(style, sign), check.name);
        }
        text
    }
}
