//! A call as the body of a prediction: the row's changes made before, its options put among the inputs behind.

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;

use crate::call::{Call, Error, Op};
use crate::providers::Provider;
use crate::providers::encode::{id, refusal};
use crate::providers::rework::{self, options};
use crate::providers::spec::Notes;
use crate::wire::Object;
use crate::wire::extras::recordings;
use crate::wire::multipart::Form;
use crate::wire::native::{Back, Terms};
use crate::wire::openai::completions::{self, Echo};
use crate::wire::replicate::{Inputs, images, request, speech, transcripts};

/// What goes out.
pub(super) struct Asked {
    /// The body.
    pub(super) body: Bytes,
    /// The way back from a prediction to a chat.
    pub(super) back: Back,
    /// The way back from a chat to the operation the caller asked for, if that is another one.
    pub(super) completion: Option<Echo>,
}

/// Encode a call for a model that takes these inputs, if that is known, and whose version has to be named, if one is
/// given; of a form with a recording, which is at this address. Fails on what it can't be asked for.
pub(super) fn encode(
    provider: &Provider,
    call: &Call,
    model: &str,
    (inputs, version): (Option<&Inputs>, Option<&str>),
    recording: Option<&str>,
    warnings: &mut Vec<String>,
) -> Result<Asked, Error> {
    let spec = provider.spec;
    if let (Some(form), Some(recording)) = (call.body.form(), recording) {
        return heard(provider, call, (form, recording), (model, inputs, version), warnings);
    }
    let given = call.body.json().ok_or_else(|| Error::NoTarget(call.model.clone()))?;
    let (mut body, completion) = match call.op {
        Op::Complete => {
            let (chat, echo) = completions::to_chat(given)
                .map_err(|beyond| Error::Invalid { param: beyond.param.to_owned(), message: beyond.message })?;
            (chat, Some(echo))
        }
        _ => (given.clone(), None),
    };
    let (settings, policy) = (&provider.settings, provider.policy);
    let op = if matches!(call.op, Op::Image | Op::Speech) { call.op } else { Op::Chat };
    let mut notes = Notes { model, stream: call.stream, settings, provider: spec.id, policy, warnings };
    let options = options::take(&mut body, spec.id)?;
    rework::fit(spec, op, &mut body, &mut notes)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let (id, created) = (id(), now.as_secs());
    let terms = Terms { op, model, stream: call.stream, id: &id, created, most_output: None, usual_output: None };
    let translate = match op {
        Op::Image => images::request,
        Op::Speech => speech::request,
        _ => request::request,
    };
    let mut request = translate(&body, &terms, inputs, version).map_err(|refused| refusal(spec, refused))?;
    for loss in &request.losses {
        notes.lost(&body, loss)?;
    }
    if let Some(options) = options {
        let mut sent = Object::parse(request.body)?;
        if let Some(mut inputs) = sent.object("input")? {
            options::merge(&mut inputs, &options)?;
            sent.set_raw("input", inputs.encode());
        }
        request.body = sent.encode();
    }
    Ok(Asked { body: request.body, back: request.back, completion })
}

/// The same of a form with a recording that is at this address.
fn heard(
    provider: &Provider,
    call: &Call,
    (form, recording): (&Form, &str),
    (model, inputs, version): (&str, Option<&Inputs>, Option<&str>),
    warnings: &mut Vec<String>,
) -> Result<Asked, Error> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let (id, created, op) = (id(), now.as_secs(), call.op);
    let terms = Terms { op, model, stream: false, id: &id, created, most_output: None, usual_output: None };
    let format = form.text("response_format").unwrap_or("json");
    recordings::streams_text(format, call.stream).map_err(|refused| refusal(provider.spec, refused))?;
    let request = transcripts::request(form, recording, &terms, inputs, version);
    let request = request.map_err(|refused| refusal(provider.spec, refused))?;
    let mut notes = provider.notes(model, call.stream, warnings);
    for loss in &request.losses {
        notes.lost_field(&loss.param)?;
    }
    Ok(Asked { body: request.body, back: request.back, completion: None })
}
