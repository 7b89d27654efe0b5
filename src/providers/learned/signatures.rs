//! Signatures of what models thought, for callers that keep nothing of a tool call but its id, name and arguments.
//!
//! Anthropic and Google want the thoughts before a call back with its result, signed as they came. Callers that know
//! `reasoning_details` send them along; for the others they are remembered here, for an hour and in this process, and put
//! back into the message that makes the call.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use memchr::memmem;

use crate::providers::rework::{given, is, mentions};
use crate::wire::openai::fold::Fold;
use crate::wire::{Malformed, Object};

/// How long thoughts are remembered: as long as a tool may take, and the person who is asked whether it may.
const MEMORY: Duration = Duration::from_secs(3600);

/// What one target may remember, bytes; beyond it the oldest is forgotten.
const MOST: usize = 16 << 20;

/// Thoughts of one turn that are longer are not remembered, bytes.
const LONGEST: usize = 1 << 20;

/// What an entry takes beside its bytes, about.
const ENTRY: usize = 256;

/// The thoughts of one target's answers, by the caller's key and the id of the first call that followed them.
#[derive(Default)]
pub struct Signatures {
    /// Whether there are any: all that most requests ever look at.
    any: AtomicBool,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    turns: HashMap<Place, Turn>,
    /// The oldest first.
    order: VecDeque<(Instant, Place)>,
    bytes: usize,
}

/// The id of a caller's key, if there is one, and that of a call.
type Place = (Option<Arc<str>>, Arc<str>);

struct Turn {
    since: Instant,
    /// `reasoning_details`, as JSON.
    details: Bytes,
}

impl Signatures {
    /// Remember what an answer thought before it called a tool; a stream's answer is given folded.
    pub fn keep(&self, owner: Option<&Arc<str>>, answer: &Object, now: Instant) {
        // what can't be read has nothing to be remembered
        for choice in answer.objects("choices").unwrap_or_default() {
            let Ok(Some(message)) = choice.object("message") else { continue };
            if let Ok(Some((id, details))) = signed(&message) {
                self.put((owner.cloned(), id), details, now);
            }
        }
    }

    fn put(&self, id: Place, details: Bytes, now: Instant) {
        if details.len() > LONGEST {
            return;
        }
        let mut kept = self.lock();
        kept.forget(now, details.len());
        kept.bytes += details.len() + ENTRY;
        kept.order.push_back((now, id.clone()));
        let old = kept.turns.insert(id, Turn { since: now, details });
        kept.bytes -= old.map_or(0, |old| old.details.len() + ENTRY);
        self.any.store(true, Ordering::Relaxed);
    }

    /// Put thoughts back into the assistant's messages that call tools and came without.
    pub fn recall(&self, owner: Option<&Arc<str>>, body: &mut Object, now: Instant) -> Result<(), Malformed> {
        if !self.any.load(Ordering::Relaxed) || !body.raw("messages").is_some_and(|all| mentions(all, "\"tool_calls\""))
        {
            return Ok(());
        }
        let mut messages = body.objects("messages")?;
        let mut changed = false;
        for message in messages.iter_mut().filter(|message| lacks_thoughts(message)) {
            let id = message.objects("tool_calls")?.first().and_then(|call| call.get::<Arc<str>>("id").ok().flatten());
            let Some(details) = id.and_then(|id| self.get(&(owner.cloned(), id), now)) else { continue };
            message.set_raw("reasoning_details", details);
            changed = true;
        }
        if changed {
            body.set_objects("messages", &messages);
        }
        Ok(())
    }

    fn get(&self, id: &Place, now: Instant) -> Option<Bytes> {
        let kept = self.lock();
        let turn = kept.turns.get(id).filter(|turn| now.duration_since(turn.since) < MEMORY)?;
        Some(turn.details.clone())
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    /// Forget what is too old, and the oldest until there is room.
    fn forget(&mut self, now: Instant, room: usize) {
        while let Some((since, _)) = self.order.front()
            && (self.bytes + room + ENTRY > MOST || now.duration_since(*since) >= MEMORY)
        {
            let Some((since, id)) = self.order.pop_front() else { return };
            // one that was said again has a later place
            if self.turns.get(&id).is_some_and(|turn| turn.since == since)
                && let Some(turn) = self.turns.remove(&id)
            {
                self.bytes -= turn.details.len() + ENTRY;
            }
        }
    }
}

/// The id of a message's first call, and the `reasoning_details` that go with it: its own, and what Google signs calls
/// with. `None` if there is no call, or nothing is signed.
fn signed(message: &Object) -> Result<Option<(Arc<str>, Bytes)>, Malformed> {
    let calls = message.objects("tool_calls")?;
    let Some(first) = calls.first().and_then(|call| call.get::<Arc<str>>("id").transpose()).transpose()? else {
        return Ok(None);
    };
    let mut details = message.objects("reasoning_details")?;
    for call in &calls {
        let google = call.object("extra_content")?.map(|extra| extra.object("google")).transpose()?.flatten();
        let Some(signature) = google.as_ref().and_then(|google| google.raw("thought_signature")) else { continue };
        let mut detail = Object::default();
        detail.set("type", &"reasoning.encrypted");
        detail.set_raw("id", Bytes::copy_from_slice(call.raw("id").unwrap_or(b"null")));
        detail.set_raw("data", Bytes::copy_from_slice(signature));
        details.push(detail);
    }
    let signed = details.iter().any(|detail| given(detail, "signature") || given(detail, "data"));
    let mut holder = Object::default();
    holder.set_objects("details", &details);
    Ok(signed.then(|| (first, Bytes::copy_from_slice(holder.raw("details").unwrap_or(b"[]")))))
}

/// Whether an assistant's message calls tools and says nothing of thoughts, in any of the forms in which they come back.
fn lacks_thoughts(message: &Object) -> bool {
    let among = |member: &str, text: &str| message.raw(member).is_some_and(|raw| mentions(raw, text));
    let parts = message.raw("content").is_some_and(|content| content.starts_with(b"["));
    let has = given(message, "reasoning_details")
        || given(message, "thinking_blocks")
        || among("tool_calls", "thought_signature")
        || (parts && among("content", "thinking\""));
    is(message, "role", "\"assistant\"") && given(message, "tool_calls") && !has
}

/// What is remembered for one caller.
pub struct Shelf {
    /// Of the target.
    pub signatures: Arc<Signatures>,
    /// The id of the caller's key, if there is one: nobody is given the thoughts of another's conversation.
    pub owner: Option<Arc<str>>,
}

impl Shelf {
    /// As [`Signatures::keep`].
    pub fn keep(&self, answer: &Object, now: Instant) {
        self.signatures.keep(self.owner.as_ref(), answer, now);
    }
}

/// Hears the events of one stream, and remembers what is signed in it.
pub struct Listener {
    shelf: Shelf,
    fold: Fold,
}

impl Listener {
    /// For a stream that has not begun.
    pub fn new(shelf: Shelf) -> Self {
        Self { shelf, fold: Fold::default() }
    }

    /// Takes whole frames, as OpenAI's.
    pub fn hear(&mut self, frames: &Bytes) {
        let telling = ["\"reasoning_details\"", "\"tool_calls\""];
        if telling.iter().any(|member| memmem::find(frames, member.as_bytes()).is_some()) {
            // they are ours, and read again where their failures count
            _ = self.fold.push(frames.clone());
        }
    }

    /// The stream has said everything.
    pub fn keep(self, now: Instant) {
        if let Ok(answer) = self.fold.end() {
            self.shelf.keep(&answer, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(id: &str) -> Place {
        (None, id.into())
    }

    fn answer(id: &str, size: usize) -> Object {
        let text = "x".repeat(size);
        let message = format!(
            r#"{{"reasoning_details":[{{"type":"reasoning.text","text":"{text}","signature":"s"}}],"tool_calls":[{{"id":"{id}"}}]}}"#
        );
        Object::parse(format!(r#"{{"choices":[{{"message":{message}}}]}}"#).into()).expect("an object")
    }

    #[test]
    fn the_oldest_is_forgotten_when_there_is_no_more_room_and_all_after_an_hour() {
        let (signatures, now) = (Signatures::default(), Instant::now());
        for turn in 0..40 {
            signatures.keep(None, &answer(&format!("call_{turn}"), LONGEST / 2), now);
        }
        assert!(signatures.get(&place("call_0"), now).is_none() && signatures.get(&place("call_39"), now).is_some());
        assert!(signatures.lock().bytes <= MOST);
        assert!(signatures.get(&place("call_39"), now + MEMORY).is_none());
        signatures.keep(None, &answer("late", 1), now + MEMORY);
        let kept = signatures.lock();
        assert_eq!((kept.turns.len(), kept.order.len()), (1, 1));
    }

    #[test]
    fn a_call_that_is_said_twice_counts_once() {
        let (signatures, now) = (Signatures::default(), Instant::now());
        signatures.keep(None, &answer("a", 10), now);
        let once = signatures.lock().bytes;
        signatures.keep(None, &answer("a", 10), now + Duration::from_secs(1));
        assert_eq!(signatures.lock().bytes, once);
        signatures.keep(None, &answer("b", LONGEST), now);
        assert!(signatures.get(&place("b"), now).is_none(), "too long to be remembered");
    }

    #[test]
    fn thoughts_are_put_back_only_where_none_came() {
        let (signatures, now) = (Signatures::default(), Instant::now());
        signatures.keep(None, &answer("a", 1), now);
        let recalled = |message: &str| {
            let mut body = Object::parse(format!(r#"{{"messages":[{message}]}}"#).into()).expect("an object");
            signatures.recall(None, &mut body, now).expect("messages");
            mentions(&body.encode(), r#""signature":"s""#)
        };
        let call = r#""tool_calls":[{"id":"a"},{"id":"b"}]"#;
        assert!(recalled(&format!(r#"{{"role":"assistant","content":null,{call}}}"#)));
        assert!(recalled(&format!(
            r#"{{"role":"assistant","reasoning_content":"x","reasoning_details":null,{call}}}"#
        )));
        for has in [
            r#""reasoning_details":[{}]"#,
            r#""thinking_blocks":[{}]"#,
            r#""content":[{"type":"thinking","thinking":"x"}]"#,
        ] {
            assert!(!recalled(&format!(r#"{{"role":"assistant",{has},{call}}}"#)), "{has}");
        }
        assert!(!recalled(r#"{"role":"assistant","tool_calls":[{"id":"a","thought_signature":"x"}]}"#));
        assert!(!recalled(r#"{"role":"assistant","tool_calls":[{"id":"other"}]}"#));
        assert!(!recalled(&format!(r#"{{"role":"user",{call}}}"#)));
        let mut body = Object::parse(format!(r#"{{"messages":[{{"role":"assistant",{call}}}]}}"#).into()).expect("one");
        signatures.recall(Some(&"somebody else".into()), &mut body, now).expect("messages");
        assert!(!mentions(&body.encode(), "signature"), "thoughts stay with their caller");
    }
}
