//! The framing of AWS' event streams: binary messages with headers, a payload and two checksums.
//!
//! <https://docs.aws.amazon.com/transcribe/latest/dg/event-stream.html>

use aws_smithy_eventstream::frame::read_message_from;
use bytes::{Buf, Bytes, BytesMut};
use flate2::Crc;

use crate::wire::Malformed;

/// The longest message that is waited for, bytes: pictures come in one.
const LONGEST: usize = 32 << 20;

/// Two lengths and their checksum.
const PRELUDE: usize = 12;

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Part of the answer.
    Event,
    /// A failure the service has a name for.
    Exception,
    /// A failure it has none for.
    Error,
}

/// One whole message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// What it is.
    pub kind: Kind,
    /// Its name: `contentBlockDelta`, `throttlingException`, an error's code.
    pub name: String,
    /// JSON, or the text of an error.
    pub payload: Bytes,
}

/// Cuts a byte stream into messages.
#[derive(Debug, Default)]
pub struct Frames {
    tail: BytesMut,
}

impl Frames {
    /// Take the next chunk.
    pub fn push(&mut self, chunk: &[u8]) {
        self.tail.extend_from_slice(chunk);
    }

    /// What has arrived of a message that is not whole yet, bytes.
    pub fn pending(&self) -> usize {
        self.tail.len()
    }

    /// The next whole message, if one is there. Fails on what is no message; nothing behind it can be found then.
    pub fn take(&mut self) -> Result<Option<Event>, Malformed> {
        let Some((mut prelude, _)) = self.tail.split_at_checked(PRELUDE) else { return Ok(None) };
        // before its length is believed
        let mut crc = Crc::new();
        crc.update(&prelude[..8]);
        let length = prelude.get_u32() as usize;
        let _headers = prelude.get_u32();
        if crc.sum() != prelude.get_u32() {
            return Err(Malformed::new("an event whose prelude does not match its checksum"));
        }
        if length > LONGEST {
            return Err(Malformed::new(format!("an event of more than {LONGEST} bytes")));
        }
        if length < PRELUDE + 4 {
            return Err(Malformed::new("an event that is shorter than its own frame"));
        }
        if self.tail.len() < length {
            return Ok(None);
        }
        let whole = self.tail.split_to(length).freeze();
        let message = read_message_from(whole).map_err(|error| Malformed::new(format!("a broken event: {error}")))?;
        let mut event = Event { kind: Kind::Event, name: String::new(), payload: message.payload().clone() };
        for header in message.headers() {
            let Ok(value) = header.value().as_string() else { continue };
            match header.name().as_str() {
                ":message-type" => {
                    event.kind = match value.as_str() {
                        "exception" => Kind::Exception,
                        "error" => Kind::Error,
                        _ => Kind::Event,
                    };
                }
                ":event-type" | ":exception-type" | ":error-code" => value.as_str().clone_into(&mut event.name),
                ":error-message" => event.payload = value.as_bytes().clone(),
                _ => {}
            }
        }
        Ok(Some(event))
    }
}
