//! Forms (`multipart/form-data`, RFC 7578): where each part stands in a body that goes by in pieces, and what is sent
//! when some of its texts are changed. File parts are never held; they are named by their place.

mod draft;
mod scanner;

use std::ops::Range;

use bytes::Bytes;

pub use self::draft::Draft;
pub use self::scanner::Scanner;

/// A form whose bytes stand elsewhere.
#[derive(Clone, Debug)]
pub struct Form {
    /// `--` and the boundary.
    delimiter: Bytes,
    parts: Vec<Part>,
    length: u64,
}

/// One part of a form.
#[derive(Clone, Debug)]
pub struct Part {
    /// Its field.
    pub name: String,
    /// The file's name, if it is a file.
    pub filename: Option<String>,
    /// Its content type, if it has one of its own.
    pub content_type: Option<String>,
    /// The content of a part that is no file.
    pub text: Option<Bytes>,
    /// Where the content stands.
    pub content: Range<u64>,
    /// Where the part begins: at its delimiter.
    start: u64,
}

/// A stretch of a body that is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// These bytes.
    New(Bytes),
    /// Bytes of the body that came, by their place.
    Kept(Range<u64>),
    /// The same in base64.
    Coded(Range<u64>),
}

impl Piece {
    /// Its length, bytes.
    pub fn length(&self) -> u64 {
        match self {
            Piece::New(bytes) => bytes.len() as u64,
            Piece::Kept(range) => range.end - range.start,
            Piece::Coded(range) => (range.end - range.start).div_ceil(3) * 4,
        }
    }
}

/// The boundary that a content type names; `None` if it is not one of a form.
pub fn boundary(content_type: &str) -> Option<String> {
    let (essence, rest) = content_type.split_once(';')?;
    if !essence.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    param(rest, "boundary").filter(|boundary| (1..=200).contains(&boundary.len()))
}

impl Form {
    /// The content of the first field of this name that is no file.
    pub fn text(&self, name: &str) -> Option<&str> {
        let part = self.parts.iter().find(|part| part.name == name)?;
        std::str::from_utf8(part.text.as_ref()?).ok()
    }

    /// All parts, in order.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// The length of the whole, bytes.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// A copy to be changed.
    pub fn draft(&self) -> Draft<'_> {
        Draft::of(self)
    }
}

/// The value of a parameter, as `name` in `; name="file"; filename="a.mp3"`.
fn param(params: &str, wanted: &str) -> Option<String> {
    let mut rest = params;
    loop {
        rest = rest.trim_start_matches([';', ' ', '\t']);
        let (name, value) = rest.split_once('=')?;
        let (value, after) = match value.strip_prefix('"') {
            Some(quoted) => unquote(quoted)?,
            None => {
                let end = value.find(';').unwrap_or(value.len());
                (value[..end].trim().to_owned(), &value[end..])
            }
        };
        if name.trim().eq_ignore_ascii_case(wanted) {
            return Some(value);
        }
        rest = after;
    }
}

/// A quoted text behind its first quote, and what follows it.
fn unquote(quoted: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, &quoted[at + 1..])),
            // browsers write %22 for a quote, and a backslash for itself
            '\\' if quoted[at + 1..].starts_with(['"', '\\']) => value.push(characters.next()?.1),
            other => value.push(other),
        }
    }
    None
}
