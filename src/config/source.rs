//! The text a configuration came from: gives every problem its line.

use std::collections::HashMap;

use super::mask;
use super::node::{Node, Place, Value};
use super::problem::{Invalid, Problem};

/// Characters of a line that are shown.
const SHOWN: usize = 120;
/// Problems that are reported; who has more reads no further.
const MOST: usize = 100;

/// The text of a configuration and where its members stand.
pub struct Source {
    name: String,
    text: String,
    hash: String,
    places: HashMap<String, Place>,
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Source({})", self.name)
    }
}

impl Source {
    pub(super) fn new(name: &str, text: &str) -> Self {
        let hash = hash(text.as_bytes());
        let text = text.strip_prefix('\u{feff}').unwrap_or(text).to_owned();
        Source { name: name.to_owned(), text, hash, places: HashMap::new() }
    }

    /// What the text is called, as a rule its path.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The [`hash`] of the text.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Remembers where each member stands.
    pub(super) fn index(&mut self, tree: &Node) {
        fn walk(places: &mut HashMap<String, Place>, path: String, node: &Node) {
            match &node.value {
                Value::List(items) => {
                    for (index, item) in items.iter().enumerate() {
                        walk(places, item_path(&path, index), item);
                    }
                }
                Value::Map(members) => {
                    for (key, member) in members {
                        walk(places, member_path(&path, &key.name), member);
                    }
                }
                _ => {}
            }
            if !path.is_empty() {
                places.entry(path).or_insert(node.at);
            }
        }
        walk(&mut self.places, String::new(), tree);
    }

    /// Adds line, column and the line itself to problems that know only their path. A member that is missing is shown
    /// where the nearest one that contains it begins.
    pub fn blame(&self, mut problems: Vec<Problem>) -> Invalid {
        for problem in &mut problems {
            if problem.line.is_none()
                && let Some(place) = self.place(&problem.path)
            {
                (problem.line, problem.column) = (Some(place.line), Some(place.column));
            }
        }
        problems.sort_by_key(|problem| (problem.line, problem.column));
        let omitted = problems.len().saturating_sub(MOST);
        problems.truncate(MOST);
        let lines: Vec<&str> = self.text.lines().collect();
        for problem in &mut problems {
            if let (Some(line), Some(column)) = (problem.line, problem.column)
                && (1..=lines.len()).contains(&line)
            {
                let (source, mark) = excerpt(&lines, line - 1, column);
                (problem.source, problem.mark) = (Some(source), mark);
            }
        }
        if omitted > 0 {
            problems.push(Problem::new("", "too_many_problems", format!("and {omitted} more")));
        }
        Invalid { file: self.name.clone(), problems }
    }

    fn place(&self, path: &str) -> Option<Place> {
        let mut path = path;
        while !path.is_empty() {
            if let Some(place) = self.places.get(path) {
                return Some(*place);
            }
            path = &path[..path.rfind(['.', '[']).unwrap_or(0)];
        }
        None
    }
}

/// SHA-256 of a text, in hexadecimal digits.
pub fn hash(text: &[u8]) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text);
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The path of a member of the object at `path`. What does not read as a name is quoted.
pub(super) fn member_path(path: &str, key: &str) -> String {
    let name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let key: String = mask::words(&key.chars().take(64).collect::<String>());
    match (key.chars().all(name) && !key.is_empty(), path.is_empty()) {
        (true, true) => key,
        (true, false) => format!("{path}.{key}"),
        (false, _) => format!("{path}[{key:?}]"),
    }
}

/// The path of an item of the list at `path`.
pub(super) fn item_path(path: &str, index: usize) -> String {
    format!("{path}[{index}]")
}

/// The line without secrets, cut to what can be read, and where in it the column is.
fn excerpt(lines: &[&str], index: usize, column: usize) -> (String, Option<(usize, usize)>) {
    let masked = mask::line(lines, index);
    let start = column - 1;
    let same = lines[index].chars().zip(masked.chars()).take_while(|(a, b)| a == b).count();
    let from = if start < SHOWN { 0 } else { start - SHOWN / 2 };
    let mut shown: String = masked.chars().skip(from).take(SHOWN).map(|c| if c == '\t' { ' ' } else { c }).collect();
    let len = width(masked.chars().skip(start)).clamp(1, SHOWN / 2);
    let mark = (start <= same && start < from + SHOWN).then_some((start - from, len));
    if from > 0 && shown.is_empty() {
        shown = masked.chars().take(SHOWN).collect();
    }
    (shown.trim_end().to_owned(), mark)
}

/// How many characters the word or the quoted text that begins here has.
fn width(rest: impl Iterator<Item = char>) -> usize {
    let mut rest = rest.peekable();
    match rest.next() {
        Some(quote @ ('"' | '\'')) => 2 + rest.take_while(|c| *c != quote).count(),
        Some(_) => {
            let mut len = 1;
            while let Some(c) = rest.next() {
                let ends = c == ':' && rest.peek().is_none_or(|next| next.is_whitespace());
                if ends || c.is_whitespace() || ",]}\"'".contains(c) {
                    break;
                }
                len += 1;
            }
            len
        }
        None => 1,
    }
}
