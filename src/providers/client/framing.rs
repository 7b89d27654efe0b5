//! Where the body of an answer ends: by its length, in chunks, or with its connection.

use bytes::{Bytes, BytesMut};

/// Longest line of a chunk's size with its extensions, and of all trailers together, bytes.
const LONGEST_LINE: usize = 16 * 1024;

/// How a body is delimited, and how far it has been read.
#[derive(Clone, Debug)]
pub(super) enum Framing {
    /// So many bytes are still to come.
    Length(u64),
    /// In chunks.
    Chunked(Chunked),
    /// It ends with its connection.
    Close,
}

/// Where in a chunked body we are.
#[derive(Clone, Debug)]
pub(super) struct Chunked {
    at: At,
    /// The size of the chunk whose line is being read, or what is missing of the chunk.
    left: u64,
    /// Bytes of the line, or of the trailers, so far.
    line: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// The first digit of a size.
    Size,
    /// A further digit, or what follows it.
    MoreSize,
    /// What a server adds to a size.
    Extension,
    /// The line feed behind a size.
    SizeEnd,
    Data,
    /// The carriage return behind a chunk.
    DataReturn,
    /// The line feed behind a chunk.
    DataEnd,
    /// The beginning of a line behind the last chunk.
    Trailer,
    /// Within the name of such a field, which means nothing to us.
    TrailerName,
    /// Within its value.
    TrailerValue,
    /// The line feed behind it.
    TrailerEnd,
    /// The last line feed.
    LastEnd,
    Over,
}

impl Framing {
    pub(super) fn chunked() -> Self {
        Framing::Chunked(Chunked { at: At::Size, left: 0, line: 0 })
    }

    /// Whether the body has been read to its end.
    pub(super) fn is_over(&self) -> bool {
        match self {
            Framing::Length(left) => *left == 0,
            Framing::Chunked(chunked) => chunked.at == At::Over,
            Framing::Close => false,
        }
    }

    /// Takes what arrived and returns what of it is the body, and how many bytes lie behind the body's end. A body
    /// without chunks is not copied. Fails on chunks that are none.
    pub(super) fn take(&mut self, mut arrived: Bytes) -> Result<(Bytes, usize), &'static str> {
        match self {
            Framing::Close => Ok((arrived, 0)),
            Framing::Length(left) => {
                let mine = usize::try_from(*left).unwrap_or(usize::MAX).min(arrived.len());
                let beyond = arrived.len() - mine;
                arrived.truncate(mine);
                *left -= mine as u64;
                Ok((arrived, beyond))
            }
            Framing::Chunked(chunked) => chunked.take(&arrived),
        }
    }
}

impl Chunked {
    fn take(&mut self, arrived: &Bytes) -> Result<(Bytes, usize), &'static str> {
        let mut only: Option<Bytes> = None;
        let mut several = BytesMut::new();
        let mut at = 0;
        while at < arrived.len() && self.at != At::Over {
            if self.at != At::Data {
                self.step(arrived[at])?;
                at += 1;
                continue;
            }
            let end = at + usize::try_from(self.left).unwrap_or(usize::MAX).min(arrived.len() - at);
            match only.take() {
                None if several.is_empty() => only = Some(arrived.slice(at..end)),
                first => {
                    if let Some(first) = first {
                        several.reserve(arrived.len());
                        several.extend_from_slice(&first);
                    }
                    several.extend_from_slice(&arrived[at..end]);
                }
            }
            self.left -= (end - at) as u64;
            at = end;
            if self.left == 0 {
                self.at = At::DataReturn;
            }
        }
        let body = only.unwrap_or_else(|| several.freeze());
        Ok((body, arrived.len() - at))
    }

    fn step(&mut self, byte: u8) -> Result<(), &'static str> {
        self.line += 1;
        if self.line > LONGEST_LINE {
            return Err("a line between its chunks is too long");
        }
        self.at = match (self.at, byte) {
            (At::Size | At::MoreSize, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                if self.left >> 56 != 0 {
                    return Err("the size of a chunk is too large");
                }
                self.left = self.left << 4 | u64::from(char::from(byte).to_digit(16).unwrap_or_default());
                At::MoreSize
            }
            (At::MoreSize, b';' | b' ' | b'\t') => At::Extension,
            (At::MoreSize | At::Extension, b'\r') => At::SizeEnd,
            (At::Extension, byte) if byte != b'\n' => At::Extension,
            (At::SizeEnd, b'\n') => {
                self.line = 0;
                if self.left == 0 { At::Trailer } else { At::Data }
            }
            (At::DataReturn, b'\r') => At::DataEnd,
            (At::DataEnd, b'\n') => {
                self.line = 0;
                At::Size
            }
            (At::Trailer, b'\r') => At::LastEnd,
            (At::TrailerName, b':') => At::TrailerValue,
            (At::Trailer | At::TrailerName, byte) if is_of_name(byte) => At::TrailerName,
            (At::TrailerValue, b'\r') => At::TrailerEnd,
            (At::TrailerValue, byte) if byte == b'\t' || (byte >= b' ' && byte != 0x7f) => At::TrailerValue,
            (At::TrailerEnd, b'\n') => At::Trailer,
            (At::LastEnd, b'\n') => At::Over,
            _ => return Err("its chunks are malformed"),
        };
        Ok(())
    }
}

/// Whether the name of a field can have it (RFC 9110, 5.6.2).
fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A body in chunks, as servers write it.
    fn chunked(pieces: &[Vec<u8>], extension: &str, trailer: &str) -> Vec<u8> {
        let mut out = Vec::new();
        for piece in pieces.iter().filter(|piece| !piece.is_empty()) {
            out.extend_from_slice(format!("{:X}{extension}\r\n", piece.len()).as_bytes());
            out.extend_from_slice(piece);
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(format!("0{extension}\r\n{trailer}\r\n").as_bytes());
        out
    }

    /// Feeds `bytes` in pieces that end at `cuts`; the body, whether it ended, and what lies behind it.
    fn feed(bytes: &[u8], cuts: &[usize]) -> Result<(Vec<u8>, bool, usize), &'static str> {
        let mut framing = Framing::chunked();
        let (mut body, mut beyond, mut begin) = (Vec::new(), 0, 0);
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).chain([bytes.len()]).collect();
        cuts.sort_unstable();
        for cut in cuts {
            let (piece, behind) = framing.take(Bytes::copy_from_slice(&bytes[begin..cut]))?;
            body.extend_from_slice(&piece);
            (beyond, begin) = (beyond + behind, cut);
        }
        Ok((body, framing.is_over(), beyond))
    }

    proptest! {
        #[test]
        fn chunks_are_read_whole_wherever_they_are_cut(
            pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..8),
            extension in prop::sample::select(vec!["", ";a=b", " ; q=\"x\""]),
            trailer in prop::sample::select(vec!["", "x: 1\r\n", "x: 1\r\ny: 2\r\n"]),
            behind in prop::collection::vec(any::<u8>(), 0..5),
            cuts in prop::collection::vec(any::<usize>(), 0..10),
        ) {
            let mut bytes = chunked(&pieces, extension, trailer);
            bytes.extend_from_slice(&behind);
            prop_assert_eq!(feed(&bytes, &cuts), Ok((pieces.concat(), true, behind.len())));
        }

        #[test]
        fn nonsense_is_refused_or_incomplete_and_the_same_in_every_cut(
            bytes in prop::collection::vec(prop::sample::select(b"0123aF;\r\n x".to_vec()), 0..60),
            cuts in prop::collection::vec(any::<usize>(), 0..10),
        ) {
            prop_assert_eq!(feed(&bytes, &cuts), feed(&bytes, &[]));
        }
    }

    #[test]
    fn sizes_and_lines_without_end_are_refused() {
        for bytes in
            [&b"fffffffffffffffff\r\n"[..], b"-1\r\n", b"\r\n", b"5\nhello", b"5\r\nhelloX", b"0x5\r\nhello\r\n"]
        {
            assert!(feed(bytes, &[]).is_err(), "{bytes:?}");
        }
        let long = format!("5;{}\r\nhello\r\n", "a".repeat(LONGEST_LINE));
        assert!(feed(long.as_bytes(), &[]).is_err());
    }
}
