//! Chunks as they are written: all of a stream begin alike.

use bytes::BytesMut;

use super::{finish, json};
use crate::wire::native::Back;

/// What stands behind the delta of every chunk but the last ones.
const GOES_ON: &[u8] = b"},\"logprobs\":null,\"finish_reason\":null}]}\n\n";

/// Writes the chunks of one stream.
#[derive(Default)]
pub(super) struct Chunks {
    /// Up to the choices; empty before the first.
    head: Vec<u8>,
}

impl Chunks {
    /// Whether it is known how chunks begin.
    pub(super) fn begun(&self) -> bool {
        !self.head.is_empty()
    }

    /// From now on chunks have this id and this model, both JSON strings.
    pub(super) fn begin(&mut self, back: &Back, id: Option<&[u8]>, model: Option<&[u8]>) {
        let mut head = b"data: {".to_vec();
        match id {
            Some(id) => json::put(&mut head, "id", id),
            None => json::put_text(&mut head, "id", &back.id),
        }
        json::put(&mut head, "object", br#""chat.completion.chunk""#);
        json::put(&mut head, "created", back.created.to_string().as_bytes());
        match model {
            Some(model) => json::put(&mut head, "model", model),
            None => json::put_text(&mut head, "model", &back.model),
        }
        head.extend_from_slice(br#","choices":["#);
        self.head = head;
    }

    /// A chunk with this delta, in pieces.
    pub(super) fn delta(&self, delta: &[&[u8]], out: &mut BytesMut) {
        out.extend_from_slice(&self.head);
        out.extend_from_slice(br#"{"index":0,"delta":{"#);
        for part in delta {
            out.extend_from_slice(part);
        }
        out.extend_from_slice(GOES_ON);
    }

    /// A chunk that goes on otherwise behind the beginning of its choices.
    pub(super) fn other(&self, rest: &[u8], out: &mut BytesMut) {
        out.extend_from_slice(&self.head);
        out.extend_from_slice(rest);
        out.extend_from_slice(b"}\n\n");
    }

    /// A piece of a thought: its text, its signature, or both; JSON strings.
    pub(super) fn thought(&self, text: Option<&[u8]>, signature: Option<&[u8]>, index: u64, out: &mut BytesMut) {
        let mut item = Vec::with_capacity(text.map_or(0, <[u8]>::len) + signature.map_or(0, <[u8]>::len) + 128);
        finish::thought(&mut item, text, signature, index);
        match text {
            Some(text) => {
                self.delta(&[br#""reasoning_content":"#, text, br#","reasoning_details":["#, &item, b"]"], out)
            }
            None => self.delta(&[br#""reasoning_details":["#, &item, b"]"], out),
        }
    }

    /// The beginning of a call; its id is a JSON string.
    pub(super) fn call(&self, at: u64, name: &str, id: Option<&[u8]>, old: bool, out: &mut BytesMut) {
        let mut named = Vec::with_capacity(name.len() + 48);
        json::put_text(&mut named, "name", name);
        named.extend_from_slice(br#","arguments":"""#);
        if old {
            return self.delta(&[br#""function_call":{"#, &named, b"}"], out);
        }
        let at = at.to_string();
        let begun = [br#""tool_calls":[{"index":"#, at.as_bytes(), br#","id":"#, id.unwrap_or(br#""""#)];
        let rest = [&br#","type":"function","function":{"#[..], &named, b"}}]"];
        self.delta(&[begun[0], begun[1], begun[2], begun[3], rest[0], rest[1], rest[2]], out);
    }

    /// A piece of the arguments of a call, a JSON string.
    pub(super) fn arguments(&self, at: u64, piece: &[u8], old: bool, out: &mut BytesMut) {
        if old {
            return self.delta(&[br#""function_call":{"arguments":"#, piece, b"}"], out);
        }
        let at = at.to_string();
        let begun = br#""tool_calls":[{"index":"#;
        self.delta(&[begun, at.as_bytes(), br#","function":{"arguments":"#, piece, b"}}]"], out);
    }
}
