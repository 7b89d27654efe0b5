//! A call as one provider is sent it: the row's changes, made on a copy of the body's index.

use std::time::Instant;

use bytes::Bytes;

use super::Provider;
use super::rework;
use super::spec::Notes;
use crate::call::{Call, Error, Op};
use crate::wire::Dialect;
use crate::wire::openai::completions::{self, Echo};

/// What goes out.
pub struct Sent {
    /// The operation the provider is asked for.
    pub op: Op,
    /// The body.
    pub body: Bytes,
    /// The way back to the operation the caller asked for, if that is another one.
    pub back: Option<Echo>,
    /// What the provider is asked for instead of the model.
    pub model: Option<String>,
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
    let other = (spec.model)(model, op, &provider.settings);
    let model = other.as_deref().unwrap_or(model);
    let mut notes = Notes {
        model,
        stream: call.stream,
        settings: &provider.settings,
        provider: spec.id,
        policy: provider.policy,
        warnings,
    };
    rework::request(spec, op, &mut body, &mut notes)?;
    if call.model.as_ref() != model || body.raw("model").is_none_or(|raw| !is_text(raw, model)) {
        body.set_text("model", model);
    }
    if call.stream && spec.asks_usage && op != Op::Embed && !call.wants_usage {
        let options = match body.object("stream_options")? {
            None => Bytes::from_static(br#"{"include_usage":true}"#),
            Some(mut options) => {
                options.set_raw("include_usage", Bytes::from_static(b"true"));
                options.encode()
            }
        };
        body.set_raw("stream_options", options);
    }
    if !provider.learned.is_empty() {
        provider.learned.apply(&mut body, &mut notes, Instant::now());
    }
    Ok(Sent { op, body: body.encode(), back, model: other })
}

fn is_text(raw: &[u8], text: &str) -> bool {
    matches!(raw, [b'"', inner @ .., b'"'] if inner == text.as_bytes())
}
