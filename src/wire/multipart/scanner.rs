//! Where the parts of a form stand, found while it goes by in pieces.

use bytes::{Bytes, BytesMut};
use memchr::memmem;

use super::{Form, Part, param};
use crate::wire::Malformed;

/// The head of a part is at most this long, bytes.
const LONGEST_HEAD: usize = 16 << 10;

/// The texts of a form are at most this long together, bytes; all that is longer has to be a file.
const LONGEST_TEXT: usize = 1 << 20;

/// A form has at most this many parts.
const MOST_PARTS: usize = 1000;

/// Finds the parts of a form while it goes by.
pub struct Scanner {
    /// `\r\n--` and the boundary.
    needle: Vec<u8>,
    /// What has come and is not placed yet.
    held: BytesMut,
    /// Where `held` begins.
    at: u64,
    state: State,
    parts: Vec<Part>,
    /// The bytes of texts so far.
    text: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before the first delimiter.
    Before,
    /// Behind a delimiter, whose place this is.
    Head(u64),
    /// In the content of the last part.
    Content,
    /// Behind the last delimiter.
    After,
}

impl Scanner {
    /// A scanner for a form with this boundary.
    pub fn new(boundary: &str) -> Self {
        let needle = format!("\r\n--{boundary}").into_bytes();
        // the first delimiter has no line end before it: as if one had been there
        Self { needle, held: BytesMut::new(), at: 0, state: State::Before, parts: Vec::new(), text: 0 }
    }

    /// Take what came. Fails on what is no form, or one beyond bounds.
    pub fn push(&mut self, chunk: &[u8]) -> Result<(), Malformed> {
        if self.state == State::After {
            self.at += chunk.len() as u64;
            return Ok(());
        }
        self.held.extend_from_slice(chunk);
        loop {
            let goes_on = match self.state {
                State::Before => self.before()?,
                State::Head(start) => self.head(start)?,
                State::Content => self.content()?,
                State::After => {
                    self.skip(self.held.len());
                    false
                }
            };
            if !goes_on {
                return Ok(());
            }
        }
    }

    /// The body has ended. Fails if the form has not.
    pub fn end(self) -> Result<Form, Malformed> {
        if self.state != State::After {
            return Err(Malformed::new("the form ends before its last boundary"));
        }
        let length = self.at + self.held.len() as u64;
        Ok(Form { delimiter: self.needle[2..].to_vec().into(), parts: self.parts, length })
    }

    fn skip(&mut self, bytes: usize) {
        let _ = self.held.split_to(bytes);
        self.at += bytes as u64;
    }

    fn before(&mut self) -> Result<bool, Malformed> {
        let delimiter = &self.needle[2..];
        if self.held.len() < delimiter.len() {
            return Ok(false);
        }
        if !self.held.starts_with(delimiter) {
            return Err(Malformed::new("the form does not begin with the boundary that its content type names"));
        }
        self.state = State::Head(0);
        let length = delimiter.len();
        self.skip(length);
        Ok(true)
    }

    /// The head of a part, or the end of the form.
    fn head(&mut self, start: u64) -> Result<bool, Malformed> {
        if self.held.len() < 2 {
            return Ok(false);
        }
        if self.held.starts_with(b"--") {
            self.state = State::After;
            return Ok(true);
        }
        let Some(end) = memmem::find(&self.held, b"\r\n\r\n") else {
            return match self.held.len() > LONGEST_HEAD {
                true => Err(Malformed::new("a part of the form has no end of its head")),
                false => Ok(false),
            };
        };
        let head = std::str::from_utf8(&self.held[..end]);
        let head = head.map_err(|_| Malformed::new("the head of a part is not UTF-8"))?;
        let mut part = read_head(head).ok_or_else(|| Malformed::new("a part of the form has no name"))?;
        if self.parts.len() == MOST_PARTS {
            return Err(Malformed::new(format!("the form has more than {MOST_PARTS} parts")));
        }
        self.skip(end + 4);
        (part.start, part.content) = (start, self.at..self.at);
        self.parts.push(part);
        self.state = State::Content;
        Ok(true)
    }

    fn content(&mut self) -> Result<bool, Malformed> {
        let mut from = 0;
        let (end, whole) = loop {
            let Some(found) = memmem::find(&self.held[from..], &self.needle) else {
                break (self.held.len().saturating_sub(self.needle.len() - 1), false);
            };
            let at = from + found;
            match &self.held[at + self.needle.len()..] {
                [b'-', b'-', ..] | [b'\r', b'\n', ..] | [b' ' | b'\t', _, ..] => break (at, true),
                [_, _, ..] => from = at + 1,
                _ => break (at, false),
            }
        };
        let passed = self.held.split_to(end);
        self.at += end as u64;
        let part = self.parts.last_mut().expect("content belongs to a part");
        part.content.end = self.at;
        if let Some(text) = &mut part.text {
            self.text += passed.len();
            if self.text > LONGEST_TEXT {
                return Err(Malformed::new(format!(
                    "the fields that are no files are longer than {LONGEST_TEXT} bytes"
                )));
            }
            // nearly every text comes in one piece
            *text = if text.is_empty() { passed.freeze() } else { [&text[..], &passed].concat().into() };
        }
        if whole {
            self.state = State::Head(self.at + 2);
            let length = self.needle.len();
            self.skip(length);
        }
        Ok(whole)
    }
}

fn read_head(head: &str) -> Option<Part> {
    let (mut disposition, mut content_type) = (None, None);
    for line in head.split("\r\n") {
        let Some((name, value)) = line.split_once(':') else { continue };
        match name.trim() {
            name if name.eq_ignore_ascii_case("content-disposition") => disposition = Some(value),
            name if name.eq_ignore_ascii_case("content-type") => content_type = Some(value.trim().to_owned()),
            _ => {}
        }
    }
    let (_, params) = disposition?.split_once(';')?;
    let name = param(params, "name")?;
    let filename = param(params, "filename").or_else(|| param(params, "filename*"));
    let text = filename.is_none().then(Bytes::new);
    Some(Part { name, filename, content_type, text, content: 0..0, start: 0 })
}
