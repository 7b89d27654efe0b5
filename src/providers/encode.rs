//! A call as one provider is sent it: the row's changes, made on a copy of the body's index.

use bytes::Bytes;

use super::Provider;
use super::spec::{Edit, Notes};
use crate::call::{Call, Error, Op};
use crate::wire::openai::completions::{self, Echo};
use crate::wire::{Dialect, Object};

/// What goes out.
pub struct Sent {
    /// The operation the provider is asked for.
    pub op: Op,
    /// The body.
    pub body: Bytes,
    /// The way back to the operation the caller asked for, if that is another one.
    pub back: Option<Echo>,
}

/// Encode a call for a provider. Fails on what it can't be asked for.
pub fn encode(provider: &Provider, call: &Call, model: &str, warnings: &mut Vec<String>) -> Result<Sent, Error> {
    let spec = provider.spec;
    let (op, mut body, back) = match call.op {
        Op::Complete if spec.path(Op::Complete).is_none() => {
            let (chat, echo) = completions::to_chat(&call.body)
                .map_err(|beyond| Error::Invalid { param: beyond.param.to_owned(), message: beyond.message })?;
            (Op::Chat, chat, Some(echo))
        }
        op => (op, call.body.clone(), None),
    };
    match (call.dialect, spec.dialect) {
        (Dialect::OpenAi, Dialect::OpenAi) => {}
    }
    let mut notes = Notes {
        model,
        stream: call.stream,
        settings: &provider.settings,
        provider: spec.id,
        policy: provider.policy,
        warnings,
    };
    if call.model.as_ref() != model || body.raw("model").is_none_or(|raw| !is_text(raw, model)) {
        body.set("model", &model);
    }
    apply(spec.edits, &mut body, &mut notes)?;
    for param in spec.ignores {
        notes.ignores(&mut body, param)?;
    }
    for param in spec.lacks {
        notes.lacks(&mut body, param)?;
    }
    if !spec.knows.is_empty() {
        let strange: Vec<String> =
            body.members().map(|(name, _)| name).filter(|name| !spec.knows.contains(name)).map(str::to_owned).collect();
        for param in strange {
            notes.lacks(&mut body, &param)?;
        }
    }
    if call.stream && spec.asks_usage && !call.wants_usage {
        let mut options = body.object("stream_options")?.unwrap_or_default();
        options.set("include_usage", &true);
        body.set_raw("stream_options", options.encode());
    }
    Ok(Sent { op, body: body.encode(), back })
}

fn is_text(raw: &[u8], text: &str) -> bool {
    matches!(raw, [b'"', inner @ .., b'"'] if inner == text.as_bytes())
}

fn apply(edits: &[Edit], body: &mut Object, notes: &mut Notes<'_>) -> Result<(), Error> {
    for edit in edits {
        match edit {
            Edit::Rename(from, to) => body.rename(from, to),
            Edit::Body(change) => change(body, notes)?,
            Edit::When(fits, edits) => {
                if fits(notes.model) {
                    apply(edits, body, notes)?;
                }
            }
            Edit::Lacks(params) => {
                for param in *params {
                    notes.lacks(body, param)?;
                }
            }
            Edit::Messages(change) => {
                if body.has("messages") {
                    let mut messages = body.objects("messages")?;
                    if change(&mut messages)? {
                        body.set_objects("messages", &messages);
                    }
                }
            }
        }
    }
    Ok(())
}
