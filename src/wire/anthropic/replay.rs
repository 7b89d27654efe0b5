//! What the model thought in earlier turns, given back as it came: without it a loop of tool calls ends with a 400.

use std::borrow::Cow;

use super::json;
use super::marked::Marked;
use crate::wire::Object;

/// One thinking block of an earlier turn.
pub(super) struct Thought<'a> {
    /// Its place among the blocks of its turn, if it is known.
    index: Option<u64>,
    kind: Kind<'a>,
}

enum Kind<'a> {
    /// Insides of JSON strings.
    Signed { text: Cow<'a, [u8]>, signature: Cow<'a, [u8]> },
    /// The inside of a JSON string.
    Redacted(Cow<'a, [u8]>),
}

/// The thoughts of an assistant's message: from `reasoning_details`, or else from `thinking_blocks`. What is not signed
/// is left out: nobody but the API can sign it.
pub(super) fn thoughts<'a>(details: &'a [Object], blocks: &'a [Object]) -> Vec<Thought<'a>> {
    let mut found = collect(details.iter().filter(|detail| is_ours(detail)).filter_map(detail));
    if found.is_empty() {
        found = collect(blocks.iter().filter_map(block));
    }
    found
}

/// A thinking block that stands among the parts of a message.
pub(super) fn of_part(part: &Object) -> Option<Thought<'_>> {
    collect(block(part).into_iter()).pop()
}

/// One piece of a block, as streams have them.
struct Piece<'a> {
    index: Option<u64>,
    text: Cow<'a, [u8]>,
    signature: Option<Cow<'a, [u8]>>,
    data: Option<Cow<'a, [u8]>>,
}

/// Whether the item can be one of Anthropic's: others sign otherwise.
fn is_ours(detail: &Object) -> bool {
    matches!(detail.raw("format"), None | Some(br#""anthropic-claude-v1""# | br#""bedrock-v1""# | b"null"))
}

fn find<'a>(object: &'a Object, name: &str) -> Option<Cow<'a, [u8]>> {
    object.raw(name).and_then(json::inside)
}

fn detail(detail: &Object) -> Option<Piece<'_>> {
    let index = detail.get("index").ok().flatten();
    match detail.raw("type")? {
        br#""reasoning.text""# => {
            let text = find(detail, "text").unwrap_or_default();
            Some(Piece { index, text, signature: find(detail, "signature"), data: None })
        }
        br#""reasoning.encrypted""# => {
            Some(Piece { index, text: Cow::default(), signature: None, data: find(detail, "data") })
        }
        _ => None,
    }
}

fn block(block: &Object) -> Option<Piece<'_>> {
    match block.raw("type")? {
        br#""thinking""# => {
            let text = find(block, "thinking").unwrap_or_default();
            Some(Piece { index: None, text, signature: find(block, "signature"), data: None })
        }
        br#""redacted_thinking""# => {
            Some(Piece { index: None, text: Cow::default(), signature: None, data: find(block, "data") })
        }
        _ => None,
    }
}

/// Pieces put together: a block is whole when its signature has come.
fn collect<'a>(pieces: impl Iterator<Item = Piece<'a>>) -> Vec<Thought<'a>> {
    let mut found = Vec::new();
    let mut open: Option<(Option<u64>, Cow<'a, [u8]>)> = None;
    for piece in pieces {
        if let Some(data) = piece.data {
            open = None;
            found.push(Thought { index: piece.index, kind: Kind::Redacted(data) });
            continue;
        }
        let text = match open.take() {
            Some((index, mut text)) if index == piece.index => {
                if !piece.text.is_empty() {
                    text.to_mut().extend_from_slice(&piece.text);
                }
                text
            }
            _ => piece.text,
        };
        match piece.signature.filter(|signature| !signature.is_empty()) {
            Some(signature) => found.push(Thought { index: piece.index, kind: Kind::Signed { text, signature } }),
            None => open = Some((piece.index, text)),
        }
    }
    found
}

impl Thought<'_> {
    /// Write the block: these members and no others, or it is refused.
    pub(super) fn write(&self, out: &mut Marked) {
        let out = &mut out.out;
        json::comma(out);
        out.push(b'{');
        match &self.kind {
            Kind::Signed { text, signature } => {
                json::put(out, "type", br#""thinking""#);
                json::put_inside(out, "thinking", text);
                json::put_inside(out, "signature", signature);
            }
            Kind::Redacted(data) => {
                json::put(out, "type", br#""redacted_thinking""#);
                json::put_inside(out, "data", data);
            }
        }
        out.push(b'}');
    }
}

/// Thoughts on their way to their places among the other blocks of a turn.
pub(super) struct Thread<'a> {
    thoughts: std::iter::Peekable<std::vec::IntoIter<Thought<'a>>>,
    written: u64,
    /// The blocks that are not thoughts: none of those may come behind the last of these.
    others: u64,
    done: u64,
}

impl<'a> Thread<'a> {
    pub(super) fn new(mut thoughts: Vec<Thought<'a>>, others: usize) -> Self {
        if thoughts.iter().all(|thought| thought.index.is_some()) {
            thoughts.sort_by_key(|thought| thought.index);
        }
        Self { thoughts: thoughts.into_iter().peekable(), written: 0, others: others as u64, done: 0 }
    }

    /// Another block follows: write the thoughts that belong before it. Says how many.
    pub(super) fn before_another(&mut self, out: &mut Marked) -> usize {
        let (place, last) = (self.done + self.written, self.done + 1 >= self.others);
        let mut count = 0;
        while let Some(thought) =
            self.thoughts.next_if(|thought| last || thought.index.is_none_or(|index| index <= place + count))
        {
            thought.write(out);
            count += 1;
        }
        self.written += count;
        self.done += 1;
        count as usize
    }
}
