//! What becomes of a request on its way to a provider, and of its answer on the way back: a row's words carried out,
//! and the changes that rows name, a file per theme.

pub mod bedrock;
pub mod choices;
pub mod content;
pub mod effort;
pub mod embeddings;
pub mod generations;
pub mod images;
pub mod logprobs;
pub mod messages;
pub mod mistral;
pub mod moderations;
pub mod options;
pub mod params;
pub mod rankings;
pub mod repair;
pub mod replay;
pub mod schema;
pub mod sound;
pub mod usage;

use bytes::Bytes;
use memchr::memmem;

use super::spec::{Edit, Follow, Mend, Notes, Spec, Trail};
use crate::call::{Error, Op};
use crate::wire::{Malformed, Object};

/// Make a request fit a row, with the options that are meant for its provider. The model and `stream_options` are set by
/// the caller, afterwards. A request that is served through another operation is given as that operation. Fails if the
/// caller asked for what the provider cannot do and that may not be dropped.
pub fn request(spec: &Spec, op: Op, body: &mut Object, notes: &mut Notes<'_>) -> Result<(), Error> {
    let options = options::take(body, spec.id)?;
    fit(spec, op, body, notes)?;
    if let Some(options) = options {
        options::merge(body, &options)?;
    }
    Ok(())
}

/// Carry out a row's words. In order: `edits`, `ignores`, `lacks`, `knows` for chat; the other operations have
/// `completes`, `embeds` or `others` alone. Fails as [`request`] does.
pub fn fit(spec: &Spec, op: Op, body: &mut Object, notes: &mut Notes<'_>) -> Result<(), Error> {
    match op {
        Op::Chat => {
            edit(spec.edits, body, notes)?;
            for param in spec.ignores {
                notes.ignores(body, param)?;
            }
            for param in spec.lacks {
                notes.lacks(body, param)?;
            }
            if !spec.knows.is_empty() {
                notes.lacks_all_but(body, spec.knows)?;
            }
        }
        Op::Complete => edit(spec.completes, body, notes)?,
        Op::Embed => {
            edit(spec.embeds, body, notes)?;
            // other forms are the vendor's own, if it has any
            if spec.floats_only
                && ["\"float\"", "\"base64\"", "null"].iter().any(|form| is(body, "encoding_format", form))
            {
                body.remove("encoding_format");
            }
        }
        other => {
            let edits = spec.others.iter().find(|(op, _)| *op == other);
            edit(edits.map_or(&[], |(_, edits)| edits), body, notes)?;
        }
    }
    Ok(())
}

/// Make a whole answer, or one event of a stream, what a caller of the dialect expects. The trail belongs to the answer.
/// Returns whether anything was changed; fails on members of unexpected shape.
pub fn answer(spec: &Spec, body: &mut Object, trail: &mut Trail) -> Result<bool, Malformed> {
    mend(spec.mends, spec.follows, body, trail)
}

/// Carry out changes of an answer, in order. As [`answer`].
pub fn mend(mends: &[Mend], follows: &[Follow], body: &mut Object, trail: &mut Trail) -> Result<bool, Malformed> {
    let mut changed = false;
    for mend in mends {
        changed |= mend(body)?;
    }
    for follow in follows {
        changed |= follow(body, trail)?;
    }
    Ok(changed)
}

/// Carry out edits, in order.
pub fn edit(edits: &[Edit], body: &mut Object, notes: &mut Notes<'_>) -> Result<(), Error> {
    let mut desk = Desk { body, notes, messages: None, changed: false };
    desk.edit(edits)?;
    desk.put_back();
    Ok(())
}

/// A body under edit. Messages are taken out once for all edits of messages that follow each other.
struct Desk<'a, 'n> {
    body: &'a mut Object,
    notes: &'a mut Notes<'n>,
    messages: Option<Vec<Object>>,
    changed: bool,
}

impl Desk<'_, '_> {
    fn edit(&mut self, edits: &[Edit]) -> Result<(), Error> {
        for edit in edits {
            match *edit {
                Edit::Messages(rework) => {
                    let messages = match &mut self.messages {
                        Some(messages) => messages,
                        None => self.messages.insert(self.body.objects("messages")?),
                    };
                    self.changed |= rework(messages)?;
                }
                Edit::When(fits, inner) => {
                    if fits(self.notes.model) {
                        self.edit(inner)?;
                    }
                }
                Edit::Mentions(texts, inner) => {
                    let messages = self.body.raw("messages").unwrap_or_default();
                    if texts.iter().any(|text| mentions(messages, text)) {
                        self.edit(inner)?;
                    }
                }
                Edit::Rename(from, to) => self.body.rename(from, to),
                Edit::Body(rework) => {
                    self.put_back();
                    rework(self.body, self.notes)?;
                }
                Edit::Lacks(params) => {
                    for param in params {
                        self.notes.lacks(self.body, param)?;
                    }
                }
                Edit::Ignores(params) => {
                    for param in params {
                        self.notes.ignores(self.body, param)?;
                    }
                }
                Edit::Drop(params) => {
                    for param in params {
                        self.body.remove(param);
                    }
                }
            }
        }
        Ok(())
    }

    fn put_back(&mut self) {
        let messages = self.messages.take();
        if let Some(messages) = messages.filter(|_| self.changed) {
            self.body.set_objects("messages", &messages);
        }
        self.changed = false;
    }
}

/// Whether raw JSON contains a text.
pub(crate) fn mentions(raw: &[u8], text: &str) -> bool {
    memmem::find(raw, text.as_bytes()).is_some()
}

/// Whether a member has this value, literally.
pub(crate) fn is(body: &Object, member: &str, value: &str) -> bool {
    body.raw(member) == Some(value.as_bytes())
}

/// Whether a member says something: it is there, and not `null`.
pub(crate) fn given(body: &Object, member: &str) -> bool {
    body.raw(member).is_some_and(|value| value != b"null")
}

/// A member that is a string; `None` if it is something else.
pub(crate) fn text(body: &Object, member: &str) -> Option<String> {
    body.get(member).ok().flatten()
}

/// An object of these members, whose values are JSON already.
pub(crate) fn object(members: &[(&str, &[u8])]) -> Bytes {
    let mut out =
        Vec::with_capacity(members.iter().map(|(name, value)| name.len() + value.len() + 6).sum::<usize>() + 2);
    out.push(b'{');
    for (at, (name, value)) in members.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        out.extend_from_slice(&json(name));
        out.push(b':');
        out.extend_from_slice(value);
    }
    out.push(b'}');
    out.into()
}

/// A string as JSON.
pub(crate) fn json(text: &str) -> Vec<u8> {
    serde_json::to_vec(text).expect("a string always encodes")
}

/// A request that the provider cannot take, told to the caller.
pub(crate) fn invalid(param: impl Into<String>, message: impl Into<String>) -> Error {
    Error::Invalid { param: param.into(), message: message.into() }
}
