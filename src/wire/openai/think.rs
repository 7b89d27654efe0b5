//! Thoughts that a model writes as `<think>…</think>` in front of its answer, moved to `reasoning_content`. An answer
//! that begins otherwise passes as it came, byte for byte.
//!
//! Templates of some models end the prompt with `<think>`, so that only `</think>` is in the text. In a whole answer that
//! is seen, with care where the model is not known for it: answers speak of tags, too. A stream can't wait for it: for models that are known for such a template, and a request that lets them think,
//! the text is taken for thoughts until `</think>` comes. Where it never comes, the text is said again as the answer,
//! unless the answer was cut at its greatest length: then it has not got beyond its thoughts.

use bytes::Bytes;

use crate::wire::{Malformed, Object};

const OPEN: &str = "<think>";
const CLOSE: &str = "</think>";

/// White space in front of an answer is waited for up to here, bytes: some models never stop writing it.
const PATIENCE: usize = 256;

/// Where the thoughts of a model stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Aloud {
    /// Not in its text.
    #[default]
    No,
    /// In front of its answer, between the tags.
    Tagged,
    /// There, and the prompt may have opened them.
    Begun,
}

impl Aloud {
    /// Between the tags, if so.
    pub fn tagged(so: bool) -> Self {
        if so { Aloud::Tagged } else { Aloud::No }
    }
}

/// One event of a stream on its way through.
pub struct Event {
    /// As it came.
    pub frame: Bytes,
    /// Its payload, as far as it is mended.
    pub object: Object,
    /// Whether the payload is another one than came.
    pub changed: bool,
}

/// The choices of one stream, and the events that wait until it is clear how an answer begins.
#[derive(Default)]
pub struct Thoughts {
    aloud: Aloud,
    /// The last event with choices, where thoughts are guessed: what is said again behind them looks like it.
    last: Option<Object>,
    choices: Vec<(u64, Splitter)>,
    waiting: Vec<Event>,
}

/// Splits the text of one choice, however it is cut: first [`judge`](Splitter::judge) is told the text until it is decided,
/// then [`split`](Splitter::split) the same text from its beginning.
#[derive(Default)]
pub struct Splitter {
    at: At,
    /// The beginning, while it is undecided.
    seen: String,
    /// How much of the text from its beginning is left out, bytes: the opening tag and what is in front of it.
    skip: usize,
    /// The end of the thoughts so far, if it is white space or may become the closing tag.
    held: String,
    /// Whether the part that is being read has begun: white space in front of it is left out.
    begun: bool,
    /// Whether a text that begins without a tag is taken for thoughts.
    guesses: bool,
    /// All of the text so far, while it is taken for thoughts without a tag.
    guessed: Option<String>,
}

/// Where a text stands.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum At {
    #[default]
    Undecided,
    Thinking,
    Answering,
    /// There are no thoughts in front.
    Plain,
}

/// A piece of text, taken apart.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Parts {
    /// What belongs to the thoughts.
    pub thought: String,
    /// What belongs to the answer.
    pub answer: String,
}

impl Splitter {
    /// The splitter of a text that has not begun.
    pub fn new(aloud: Aloud) -> Self {
        Self { guesses: aloud == Aloud::Begun, ..Self::default() }
    }

    /// Look at the next piece of a text whose beginning is undecided. `over` says that no more of the beginning follows.
    pub fn judge(&mut self, text: &str, over: bool) {
        if self.at != At::Undecided {
            return;
        }
        self.seen.push_str(text);
        let begin = self.seen.trim_start();
        if begin.starts_with(OPEN) {
            self.skip = self.seen.len() - begin.len() + OPEN.len();
            self.at = At::Thinking;
        } else if !OPEN.starts_with(begin) || over || self.seen.len() > PATIENCE {
            let guess = self.guesses && !over && !begin.is_empty();
            self.guessed = guess.then(String::new);
            self.at = if guess { At::Thinking } else { At::Plain };
        }
    }

    /// Look at a whole text, or its rest: what stands before a closing tag can be thoughts without an opening one.
    /// `cut` says that the answer was as long as it may be: it then ends within the thoughts that the prompt has opened.
    pub fn judge_rest(&mut self, text: &str, cut: bool) {
        if self.at != At::Undecided {
            return;
        }
        self.judge(text, true);
        let thinks = match self.guesses {
            true => self.seen.contains(CLOSE) || (cut && !self.seen.trim_start().is_empty()),
            false => closes(&self.seen),
        };
        if self.at == At::Plain && thinks {
            self.at = At::Thinking;
        }
    }

    /// Whether it takes more of the text to decide.
    pub fn waits(&self) -> bool {
        self.at == At::Undecided && !self.seen.is_empty()
    }

    /// Take the next piece of a decided text apart; `None` if it stays as it is. `last` says that the text ends here.
    pub fn split(&mut self, text: &str, last: bool) -> Option<Parts> {
        if matches!(self.at, At::Undecided | At::Plain) || (text.is_empty() && !last) {
            return None;
        }
        let mut parts = Parts::default();
        if let Some(guessed) = &mut self.guessed {
            guessed.push_str(text);
        }
        let skipped = self.skip.min(text.len());
        self.skip -= skipped;
        let mut held = std::mem::take(&mut self.held);
        held.push_str(&text[skipped..]);
        if self.at == At::Answering {
            parts.answer = self.begin(&held);
        } else if let Some(end) = held.find(CLOSE) {
            parts.thought = self.begin(held[..end].trim_end());
            (self.at, self.begun, self.guessed) = (At::Answering, false, None);
            parts.answer = self.begin(&held[end + CLOSE.len()..]);
        } else {
            let sure = if last { held.len() } else { sure(&held) };
            self.held = held.split_off(sure);
            parts.thought = self.begin(&held);
        }
        Some(parts)
    }

    /// A piece of a part, without the white space that stands in front of the part.
    fn begin(&mut self, text: &str) -> String {
        let text = if self.begun { text } else { text.trim_start() };
        self.begun |= !text.is_empty();
        text.to_owned()
    }
}

/// Whether the first closing tag of a text ends thoughts that nothing has opened, and is not one the text speaks of: it
/// ends its line, no opening one stands before it, and it is not within a fence.
fn closes(text: &str) -> bool {
    let Some((before, behind)) = text.split_once(CLOSE) else { return false };
    let ends_line = behind.is_empty() || behind.starts_with('\n') || behind.starts_with("\r\n");
    let fences = before.lines().filter(|line| line.trim_start().starts_with("```")).count();
    ends_line && !before.contains(OPEN) && fences % 2 == 0
}

/// How much of unfinished thoughts can be passed on: what is behind may belong to the closing tag, or stand before it.
fn sure(thoughts: &str) -> usize {
    let piece = (1..CLOSE.len()).rev().find(|&length| thoughts.ends_with(&CLOSE[..length])).unwrap_or_default();
    thoughts[..thoughts.len() - piece].trim_end().len()
}

impl Thoughts {
    /// The thoughts of a stream that has not begun.
    pub fn new(aloud: Aloud) -> Self {
        Self { aloud, ..Self::default() }
    }

    /// Take one event; returns those that can be passed on now, in order, with thoughts where they belong.
    pub fn take(&mut self, event: Event) -> Result<Vec<Event>, Malformed> {
        for choice in event.object.objects("choices")? {
            let delta = choice.object("delta")?.unwrap_or_default();
            let (other, last) = (speaks_otherwise(&delta), ends(&choice));
            let splitter = self.of(&choice)?;
            if last && !other {
                splitter.judge_rest(&content(&delta), cut(&choice));
            } else {
                splitter.judge(&content(&delta), last || other);
            }
        }
        if self.aloud == Aloud::Begun && !event.object.objects("choices")?.is_empty() {
            self.last = Some(event.object.clone());
        }
        self.waiting.push(event);
        if self.waits() { Ok(Vec::new()) } else { self.release() }
    }

    /// Whether events wait.
    pub fn waits(&self) -> bool {
        !self.waiting.is_empty() && self.choices.iter().any(|(_, splitter)| splitter.waits())
    }

    /// Whether the end of the stream has something to say: events that wait, or thoughts that are the answer.
    pub fn owes(&self) -> bool {
        self.waits() || self.choices.iter().any(|(_, splitter)| splitter.guessed.is_some())
    }

    /// The stream is over: what still waits is passed on, and what was never closed is said again.
    pub fn end(&mut self) -> Result<Vec<Event>, Malformed> {
        self.choices.iter_mut().for_each(|(_, splitter)| splitter.judge("", true));
        let mut events = self.release()?;
        let mut again = Vec::new();
        for (index, splitter) in &mut self.choices {
            let Some(answer) = splitter.guessed.take() else { continue };
            let (mut choice, mut delta) = (Object::default(), Object::default());
            delta.set_text("content", &answer);
            choice.set("index", index);
            choice.set_raw("delta", delta.encode());
            choice.set_raw("finish_reason", Bytes::from_static(b"null"));
            again.push(choice);
        }
        if let (false, Some(mut object)) = (again.is_empty(), self.last.take()) {
            object.remove("usage");
            object.set_objects("choices", &again);
            events.push(Event { frame: Bytes::new(), object, changed: true });
        }
        Ok(events)
    }

    fn release(&mut self) -> Result<Vec<Event>, Malformed> {
        let mut events = std::mem::take(&mut self.waiting);
        for event in &mut events {
            let mut choices = event.object.objects("choices")?;
            let mut changed = false;
            for choice in &mut choices {
                let mut delta = choice.object("delta")?.unwrap_or_default();
                let splitter = self.of(choice)?;
                let mut parts = splitter.split(&content(&delta), ends(choice));
                if ends(choice)
                    && let Some(answer) = splitter.guessed.take()
                    && !cut(choice)
                {
                    parts.get_or_insert_default().answer = answer;
                }
                if parts.is_some_and(|parts| put(&mut delta, &parts, b"null")) {
                    choice.set_raw("delta", delta.encode());
                    changed = true;
                }
            }
            if changed {
                event.object.set_objects("choices", &choices);
                event.changed = true;
            }
        }
        Ok(events)
    }

    fn of(&mut self, choice: &Object) -> Result<&mut Splitter, Malformed> {
        let index: u64 = choice.get("index")?.unwrap_or_default();
        let at = self.choices.iter().position(|(known, _)| *known == index).unwrap_or_else(|| {
            self.choices.push((index, Splitter::new(self.aloud)));
            self.choices.len() - 1
        });
        Ok(&mut self.choices[at].1)
    }
}

/// Move the thoughts of a whole answer; says whether there were any.
pub fn whole(aloud: Aloud, answer: &mut Object) -> Result<bool, Malformed> {
    let mut choices = answer.objects("choices")?;
    let mut changed = false;
    for choice in &mut choices {
        let Some(mut message) = choice.object("message")? else { continue };
        if full(&message, "reasoning_content") || full(&message, "reasoning") {
            continue;
        }
        let (mut splitter, text) = (Splitter::new(aloud), content(&message));
        splitter.judge_rest(&text, cut(choice));
        if splitter.split(&text, true).is_some_and(|parts| put(&mut message, &parts, b"\"\"")) {
            choice.set_raw("message", message.encode());
            changed = true;
        }
    }
    if changed {
        answer.set_objects("choices", &choices);
    }
    Ok(changed)
}

/// Writes both parts; `nothing` is the content where there is none. Says whether anything is different then.
fn put(message: &mut Object, parts: &Parts, nothing: &'static [u8]) -> bool {
    let mut changed = false;
    if !parts.thought.is_empty() {
        let before: String = message.get("reasoning_content").ok().flatten().unwrap_or_default();
        message.set_text("reasoning_content", &format!("{before}{}", parts.thought));
        changed = true;
    }
    if message.has("content") || !parts.answer.is_empty() {
        match parts.answer.as_str() {
            "" => message.set_raw("content", Bytes::from_static(nothing)),
            answer => message.set_text("content", answer),
        }
        changed = true;
    }
    changed
}

fn content(message: &Object) -> String {
    message.get("content").ok().flatten().unwrap_or_default()
}

/// Whether a choice has ended.
fn ends(choice: &Object) -> bool {
    full(choice, "finish_reason")
}

/// Whether a choice has ended because it was as long as it may be.
fn cut(choice: &Object) -> bool {
    choice.raw("finish_reason") == Some(br#""length""#)
}

/// Whether a choice says something else than text: then its text does not begin with thoughts any more.
fn speaks_otherwise(delta: &Object) -> bool {
    let listed = delta.raw("content").is_some_and(|content| content.starts_with(b"["));
    listed
        || ["tool_calls", "reasoning_content", "reasoning", "refusal", "audio"].iter().any(|member| full(delta, member))
}

fn full(object: &Object, member: &str) -> bool {
    object.raw(member).is_some_and(|value| !matches!(value, b"null" | b"\"\"" | b"[]" | b"{}"))
}
