//! WebSocket frames as they pass by (RFC 6455, 5.2): where they end, whether they close, and what a server says in text.

/// Of a message's beginning so much is looked at before it is known whether it is wanted, bytes.
const BEGINNING: usize = 256;

/// Longer messages are not heard, bytes.
const LONGEST: usize = 1 << 20;

/// A text message whose beginning has one of these is heard.
pub type Wanted = &'static [&'static [u8]];

/// Follows the frames of one direction. Bytes that are no frames are followed somewhere, and never refused: who receives
/// them does that.
pub struct Frames {
    wanted: Wanted,
    /// The head of the frame that is arriving, as far as it has come.
    head: [u8; 14],
    known: usize,
    /// Bytes still to come of the frame's content.
    left: u64,
    /// Whether the last message ends with the frame.
    last: bool,
    /// Whether the content is part of the message that is heard.
    heard: bool,
    message: Message,
    closes: bool,
}

/// The text message that is arriving.
enum Message {
    /// There is none, or nobody wants it.
    Unheard,
    /// What has come of it, and whether it is known to be wanted.
    Arriving(Vec<u8>, bool),
}

impl Frames {
    /// Those of a connection that begins.
    pub fn new(wanted: Wanted) -> Self {
        let (head, message) = ([0; 14], Message::Unheard);
        Self { wanted, head, known: 0, left: 0, last: false, heard: false, message, closes: false }
    }

    /// Whether one frame has ended and the next has not begun.
    pub fn is_between(&self) -> bool {
        self.known == 0 && self.left == 0
    }

    /// Whether a frame has begun that closes the conversation.
    pub fn closes(&self) -> bool {
        self.closes
    }

    /// Follows the next bytes; `hear` is given each wanted message when it is whole.
    pub fn push(&mut self, mut bytes: &[u8], mut hear: impl FnMut(Vec<u8>)) {
        while let Some(first) = bytes.first() {
            if self.left == 0 {
                self.head[self.known] = *first;
                self.known += 1;
                bytes = &bytes[1..];
                if self.known >= 2 && self.known == self.length() {
                    self.begin();
                    self.end(&mut hear);
                }
                continue;
            }
            let much = bytes.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
            let (content, rest) = bytes.split_at(much);
            bytes = rest;
            self.left -= much as u64;
            if self.heard {
                self.message.take(content, self.wanted);
            }
            self.end(&mut hear);
        }
    }

    /// How long the head is, as its second byte tells.
    fn length(&self) -> usize {
        let more = match self.head[1] & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let mask = if self.head[1] & 0x80 != 0 { 4 } else { 0 };
        2 + more + mask
    }

    /// The head is whole.
    fn begin(&mut self) {
        let big = |bytes: &[u8]| bytes.iter().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
        self.left = match self.head[1] & 0x7f {
            126 => big(&self.head[2..4]),
            127 => big(&self.head[2..10]),
            short => u64::from(short),
        };
        self.known = 0;
        self.last = self.head[0] & 0x80 != 0;
        let (packed, masked) = (self.head[0] & 0x70 != 0, self.head[1] & 0x80 != 0);
        self.heard = match self.head[0] & 0x0f {
            // a continuation
            0 => true,
            1 => {
                let readable = !self.wanted.is_empty() && !packed && !masked;
                self.message = if readable { Message::Arriving(Vec::new(), false) } else { Message::Unheard };
                true
            }
            2 => {
                self.message = Message::Unheard;
                true
            }
            code => {
                self.closes |= code == 8;
                false
            }
        };
    }

    fn end(&mut self, hear: &mut impl FnMut(Vec<u8>)) {
        if self.left == 0
            && self.heard
            && self.last
            && let Message::Arriving(text, known) = std::mem::replace(&mut self.message, Message::Unheard)
            && (known || is_wanted(&text, self.wanted))
        {
            hear(text);
        }
    }
}

impl Message {
    fn take(&mut self, content: &[u8], wanted: Wanted) {
        let Message::Arriving(text, known) = self else { return };
        let room = if *known { LONGEST } else { BEGINNING };
        text.extend_from_slice(&content[..content.len().min(room)]);
        if !*known && text.len() >= BEGINNING {
            *known = is_wanted(text, wanted);
            if !*known {
                *self = Message::Unheard;
                return;
            }
            text.extend_from_slice(&content[content.len().min(room)..]);
        }
        if text.len() > LONGEST {
            *self = Message::Unheard;
        }
    }
}

fn is_wanted(text: &[u8], wanted: Wanted) -> bool {
    let beginning = &text[..text.len().min(BEGINNING)];
    wanted.iter().any(|wanted| memchr::memmem::find(beginning, wanted).is_some())
}

/// A frame that closes a conversation, with a code (RFC 6455, 7.4.1) and a reason of at most 123 bytes. A client's frames
/// are masked: with zeros, since a mask is against caches that could mistake chosen content for HTTP, and nobody chose this.
pub fn close(code: u16, reason: &str, by_client: bool) -> Vec<u8> {
    let reason = &reason.as_bytes()[..reason.len().min(123)];
    let mut frame = vec![0x88, (2 + reason.len()) as u8 | if by_client { 0x80 } else { 0 }];
    if by_client {
        frame.extend_from_slice(&[0; 4]);
    }
    frame.extend_from_slice(&code.to_be_bytes());
    frame.extend_from_slice(reason);
    frame
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(first: u8, content: &[u8]) -> Vec<u8> {
        let mut frame = vec![first];
        match content.len() {
            short @ ..126 => frame.push(short as u8),
            long @ ..65_536 => {
                frame.push(126);
                frame.extend_from_slice(&(long as u16).to_be_bytes());
            }
            long => {
                frame.push(127);
                frame.extend_from_slice(&(long as u64).to_be_bytes());
            }
        }
        frame.extend_from_slice(content);
        frame
    }

    fn heard(bytes: &[u8], size: usize) -> (Vec<Vec<u8>>, bool, bool) {
        let (mut frames, mut all) = (Frames::new(&[b"done"]), Vec::new());
        for piece in bytes.chunks(size) {
            frames.push(piece, |message| all.push(message));
        }
        (all, frames.closes(), frames.is_between())
    }

    #[test]
    fn wanted_messages_are_heard_wherever_the_pieces_end() {
        let long = [b"{\"type\":\"done\",\"x\":\"", &vec![b'x'; 70_000][..], b"\"}"].concat();
        let other = [b"{\"type\":\"delta\",\"x\":\"", &vec![b'x'; 300][..], b"done\"}"].concat();
        let sent = [
            frame(0x81, b"{\"type\":\"done\"}"),
            frame(0x81, &long),
            frame(0x81, &other),
            frame(0x82, b"done"),
            frame(0xc1, b"done, packed"),
            frame(0x01, b"in parts: "),
            frame(0x89, b"done?"),
            frame(0x80, b"done"),
            frame(0x81, b""),
        ]
        .concat();
        let expected: Vec<Vec<u8>> = vec![b"{\"type\":\"done\"}".to_vec(), long, b"in parts: done".to_vec()];
        for size in [1, 2, 3, 7, 64, 1000, sent.len()] {
            assert_eq!(heard(&sent, size), (expected.clone(), false, true), "in pieces of {size}");
        }
        assert!(!heard(&sent[..20], 20).2);
    }

    #[test]
    fn what_is_too_long_is_not_heard_and_a_close_is_seen() {
        let long = [&b"done"[..], &vec![b'x'; LONGEST]].concat();
        let sent = [frame(0x81, &long), close(1001, "away", false)].concat();
        assert_eq!(heard(&sent, 4096), (Vec::new(), true, true));
        let mut frames = Frames::new(&[]);
        frames.push(&close(1001, &"y".repeat(200), true), |_| unreachable!());
        assert!(frames.closes() && frames.is_between());
    }

    proptest! {
        #[test]
        fn any_bytes_are_followed_without_harm(bytes in prop::collection::vec(any::<u8>(), 0..300), size in 1..50_usize) {
            let whole = heard(&bytes, bytes.len().max(1));
            prop_assert_eq!(heard(&bytes, size), whole);
        }
    }
}
