//! A stream of bytes, cut into lines, of which no more than one is held.

use bytes::{Buf, Bytes, BytesMut};

/// No line is longer, bytes.
pub const LONGEST: usize = 32 << 20;

/// A line beyond this is a long one, bytes.
pub const LONG: usize = 1 << 20;

/// What has arrived of a stream, and has not been cut yet.
#[derive(Debug, Default)]
pub struct Lines {
    held: BytesMut,
    /// How much of it is known to have no end of a line.
    looked: usize,
    /// The number of the last line that was cut, from 1.
    number: u64,
}

/// A line that is longer than lines may be.
#[derive(Debug, PartialEq, Eq)]
pub struct TooLong;

impl Lines {
    /// Take what arrived.
    pub fn push(&mut self, chunk: &[u8]) {
        self.held.extend_from_slice(chunk);
    }

    /// The next whole line that is not blank, without its end. Fails beyond [`LONGEST`].
    pub fn next_line(&mut self) -> Option<Result<Bytes, TooLong>> {
        while let Some(at) = memchr::memchr(b'\n', &self.held[self.looked..]) {
            let line = self.held.split_to(self.looked + at).freeze();
            self.held.advance(1);
            self.looked = 0;
            self.number += 1;
            if line.len() > LONG {
                // the room of a long line is not kept for what stands behind it
                self.held = BytesMut::from(&self.held[..]);
            }
            if line.len() > LONGEST {
                return Some(Err(TooLong));
            }
            if !line.trim_ascii().is_empty() {
                return Some(Ok(line));
            }
        }
        self.looked = self.held.len();
        (self.held.len() > LONGEST).then(|| {
            self.number += 1;
            Err(TooLong)
        })
    }

    /// What stands behind the last end of a line, if that is not blank: nothing more arrives.
    pub fn end(&mut self) -> Option<Bytes> {
        let rest = self.held.split().freeze();
        (self.looked, self.number) = (0, self.number + 1);
        (!rest.trim_ascii().is_empty()).then_some(rest)
    }

    /// Whether what is held is, or belongs to, a long line.
    pub fn is_long(&self) -> bool {
        self.held.len() > LONG
    }

    /// The number of the line that was returned last, from 1, blank lines counted.
    pub fn number(&self) -> u64 {
        self.number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_cut_gives_the_same_lines() {
        let text = b"\xef{\"a\":1}\r\n\n  \n{}\nlast";
        for size in 1..=text.len() {
            let (mut lines, mut found) = (Lines::default(), Vec::new());
            for chunk in text.chunks(size) {
                lines.push(chunk);
                while let Some(line) = lines.next_line() {
                    found.push((lines.number(), line.expect("short")));
                }
            }
            found.extend(lines.end().map(|line| (lines.number(), line)));
            let expected: [(u64, &[u8]); 3] = [(1, b"\xef{\"a\":1}\r"), (4, b"{}"), (5, b"last")];
            assert_eq!(found, expected.map(|(number, line)| (number, Bytes::from_static(line))), "{size}");
        }
    }

    #[test]
    fn a_line_without_end_is_not_held_for_ever() {
        let mut lines = Lines::default();
        lines.push(&vec![b'x'; LONGEST]);
        assert_eq!(lines.next_line(), None);
        lines.push(b"x");
        assert_eq!((lines.next_line(), lines.number()), (Some(Err(TooLong)), 1));
    }

    #[test]
    fn the_room_of_a_long_line_is_given_back() {
        let mut lines = Lines::default();
        lines.push(&vec![b'x'; 8 * LONG]);
        assert_eq!((lines.next_line(), lines.is_long()), (None, true));
        lines.push(b"\n{}");
        assert!(lines.next_line().is_some_and(|line| line.is_ok_and(|line| line.len() == 8 * LONG)));
        assert!(!lines.is_long() && lines.held.capacity() < LONG);
        assert_eq!(lines.end(), Some(Bytes::from_static(b"{}")));
    }
}
