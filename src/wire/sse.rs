//! Server-sent events: a byte stream cut into whole frames, without copying where they arrive whole.

use std::borrow::Cow;

use bytes::{Bytes, BytesMut};

use super::Malformed;

/// The longest frame of a chat that is waited for, bytes: images and audio come in one.
pub const LONGEST: usize = 32 << 20;

/// Cuts pushed chunks at the end of their last whole frame. Lines may end in LF, CRLF or CR.
#[derive(Default)]
pub struct Frames {
    /// What has arrived of a frame that is not whole yet.
    tail: BytesMut,
    /// Where the line that is not whole yet begins in `tail`.
    line: usize,
}

impl Frames {
    /// Take the next chunk; returns the frames that are whole now, in one piece, terminators included.
    pub fn push(&mut self, mut chunk: Bytes) -> Bytes {
        if self.tail.is_empty() {
            let (end, line) = scan(&chunk, 0);
            let whole = chunk.split_to(end);
            self.tail.extend_from_slice(&chunk);
            self.line = line - end;
            return whole;
        }
        self.tail.extend_from_slice(&chunk);
        let (end, line) = scan(&self.tail, self.line);
        self.line = line - end;
        self.tail.split_to(end).freeze()
    }

    /// The same. Fails if the frame that is not whole yet is longer than this, bytes.
    pub fn within(&mut self, longest: usize, chunk: Bytes) -> Result<Bytes, Malformed> {
        let whole = self.push(chunk);
        match self.pending() > longest {
            true => Err(Malformed::new(format!("an event of more than {longest} bytes"))),
            false => Ok(whole),
        }
    }

    /// The length of the frame that is not whole yet.
    pub fn pending(&self) -> usize {
        self.tail.len()
    }

    /// What is left at the end of the stream: a last frame without its terminator, or nothing.
    pub fn end(&mut self) -> Bytes {
        self.line = 0;
        self.tail.split().freeze()
    }
}

/// The end of the last whole frame, and the beginning of the last line that is not whole; `line` is where one begins.
fn scan(bytes: &[u8], mut line: usize) -> (usize, usize) {
    let mut end = 0;
    while let Some(found) = memchr::memchr2(b'\n', b'\r', &bytes[line..]) {
        let at = line + found;
        let next = match (bytes[at], bytes.get(at + 1)) {
            (b'\r', None) => break, // a line feed may follow
            (b'\r', Some(b'\n')) => at + 2,
            _ => at + 1,
        };
        if found == 0 {
            end = next;
        }
        line = next;
    }
    (end, line)
}

/// The frames of a piece returned by [`Frames::push`].
pub fn split(mut whole: Bytes) -> impl Iterator<Item = Bytes> {
    std::iter::from_fn(move || {
        let mut line = 0;
        while let Some(found) = memchr::memchr2(b'\n', b'\r', &whole[line..]) {
            let at = line + found;
            let next = at + 1 + usize::from(whole[at] == b'\r' && whole.get(at + 1) == Some(&b'\n'));
            if found == 0 {
                return Some(whole.split_to(next));
            }
            line = next;
        }
        (!whole.is_empty()).then(|| std::mem::take(&mut whole))
    })
}

/// The lines of a frame, without their ends.
fn lines(frame: &[u8]) -> impl Iterator<Item = &[u8]> {
    // a stream may begin with a byte order mark
    let frame = frame.strip_prefix(b"\xef\xbb\xbf").unwrap_or(frame);
    frame.split(|byte| matches!(byte, b'\n' | b'\r')).filter(|line| !line.is_empty())
}

/// The value of a field on one line, if the line is of that field.
fn field<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let value = line.strip_prefix(name)?.strip_prefix(b":")?;
    Some(value.strip_prefix(b" ").unwrap_or(value))
}

/// The payload of a frame: its `data:` lines, joined by line feeds if there are several. `None` for comments.
pub fn data(frame: &Bytes) -> Option<Bytes> {
    let mut found = lines(frame).filter_map(|line| field(line, b"data"));
    let first = found.next()?;
    let Some(second) = found.next() else { return Some(frame.slice_ref(first)) };
    let mut joined = BytesMut::from(first);
    for line in std::iter::once(second).chain(found) {
        joined.extend_from_slice(b"\n");
        joined.extend_from_slice(line);
    }
    Some(joined.freeze())
}

/// The name of a frame's event, if it has one.
pub fn event(frame: &[u8]) -> Option<&[u8]> {
    lines(frame).find_map(|line| field(line, b"event"))
}

/// A frame with this payload, which is JSON: line ends between its parts become spaces.
pub fn frame(payload: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(payload.len() + 8);
    out.extend_from_slice(b"data: ");
    out.extend_from_slice(&one_line(payload));
    out.extend_from_slice(b"\n\n");
    out.freeze()
}

/// JSON on one line. Line ends within its texts are escaped, so those there are stand between its parts.
pub fn one_line(json: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr2(b'\n', b'\r', json).is_none() {
        return Cow::Borrowed(json);
    }
    let line = |byte: &u8| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte };
    Cow::Owned(json.iter().map(line).collect())
}
