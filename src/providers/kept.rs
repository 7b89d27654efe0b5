//! Files and batches that a provider keeps in a form of its own: asked for as it has them, answered as OpenAI has them.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::StatusCode;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};

use super::Provider;
use super::encode;
use super::fault;
use super::inbound::Inbound;
use super::lines::Ready;
use super::receive::Got;
use super::spec::Spec;
use super::stored;
use super::stream::{Flow, Long};
use crate::call::{Body, Call, Error, Fault, Op, Passage, Upload, Upstream};
use crate::wire::extras::batches::Kept;
use crate::wire::{Malformed, Object};

/// What is asked for in JSON is no longer, bytes.
const LONGEST_ASK: u64 = 1 << 20;

/// No list or receipt is longer, bytes.
const LONGEST: usize = 16 << 20;

/// The form that this has at a provider which keeps it in one of its own.
pub(super) fn of(spec: &Spec, op: Op, passage: &Passage) -> Option<Kept> {
    let kept = spec.kept.iter().find(|(kept, _)| *kept == op).map(|(_, kept)| *kept);
    kept.filter(|kept| kept.differs(passage.method.as_str(), &passage.below))
}

/// Ask for something that is kept. Fails on what can't be asked for there, and as every call does.
pub(super) async fn ask(
    provider: &Provider,
    kept: Kept,
    ready: &Ready,
    (call, passage): (&Call, &Arc<Passage>),
    model: &str,
    warnings: &mut Vec<String>,
) -> Result<Got, Error> {
    let refused = |refused| encode::refusal(provider.spec, refused);
    let below = kept.below(passage.method.as_str(), &passage.below);
    let mut passage = Passage::clone(passage);
    let asked = std::mem::replace(&mut passage.below, below);
    let body = match &call.body {
        Body::Upload(upload) if upload.form.is_none() => {
            let bytes = async || stored::whole(&upload.stored, LONGEST_ASK).await;
            let kind = upload.content_type.as_ref().and_then(|kind| kind.to_str().ok()).unwrap_or_default();
            if let Some(boundary) = crate::wire::multipart::boundary(kind) {
                let form = Some(stored::form(&upload.stored, &boundary).await.map_err(no_form)?);
                let (content_type, stored) = (upload.content_type.clone(), upload.stored.clone());
                Body::Upload(Arc::new(Upload { content_type, form, stored }))
            } else if let Some(object) = bytes().await.and_then(|bytes| Object::parse(bytes).ok()) {
                let (sent, losses) = kept.encode(object.clone()).map_err(refused)?;
                let mut notes = provider.notes(model, false, warnings);
                for loss in &losses {
                    notes.lost(&object, loss)?;
                }
                Body::Json(sent)
            } else {
                call.body.clone()
            }
        }
        other => other.clone(),
    };
    let asks = Call { body, passage: Some(Arc::new(passage)), ..call.clone() };
    let sent = encode::encode(provider, &asks, model, warnings)?;
    match provider.exchange(ready, &asks, sent, model).await? {
        Got::Long(long) if !kept.is_content(&asked) => Ok(answer(provider, kept, &asked, *long).await?),
        got => Ok(got),
    }
}

fn no_form(malformed: Malformed) -> Error {
    let message = format!("must come in a form of multipart/form-data: {}", malformed.why());
    Error::Invalid { param: "file".to_owned(), message }
}

/// A receipt or a list, as OpenAI's.
async fn answer(provider: &Provider, kept: Kept, asked: &str, mut long: Long) -> Result<Got, Box<Upstream>> {
    let mut body = BytesMut::new();
    while let Some(chunk) = std::future::poll_fn(|cx| long.poll(cx)).await {
        body.extend_from_slice(&chunk?);
        if body.len() > LONGEST {
            let message = format!("answered with more than {LONGEST} bytes");
            return Err(fault::ours(provider, Fault::Server, message));
        }
        if long.complete() {
            break;
        }
    }
    let answer: Bytes = match body.trim_ascii().is_empty() {
        true => Bytes::new(),
        false => kept.answer(asked, body.freeze()).map_err(|broken| Flow::fault(provider, broken))?.encode(),
    };
    let mut head = long.head;
    head.status = StatusCode::OK;
    head.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    head.headers.insert(CONTENT_LENGTH, answer.len().into());
    Ok(Got::Long(Box::new(Long::new(provider, Some(answer), Inbound::Local(VecDeque::new()), head, false))))
}
