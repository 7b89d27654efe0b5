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
use crate::call::{Body, Call, Error, Fault, Head, Op, Passage, Upload, Upstream};
use crate::wire::extras::batches::Kept;
use crate::wire::extras::listed::Pages;
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
    let asked = passage.below.as_str();
    if let Some(pages) = kept.pages(passage.method.as_str(), asked) {
        let turning = turned(provider, kept, ready, (call, passage), model, pages);
        return tokio::time::timeout(provider.total, turning).await.unwrap_or_else(|_elapsed| {
            let message = format!("gave no whole list within {:?}", provider.total);
            Err(fault::ours(provider, Fault::Timeout, message).into())
        });
    }
    let refused = |refused| encode::refusal(provider.spec, refused);
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
    let below = kept.below(passage.method.as_str(), asked);
    let call = Call { body, ..call.clone() };
    match exchange(provider, ready, (&call, passage), below, model, warnings).await? {
        Got::Long(mut long) if !kept.is_content(asked) => {
            let said = gathered(provider, &mut long).await?;
            let answer = match said.trim_ascii().is_empty() {
                true => Bytes::new(),
                false => kept.answer(asked, said).map_err(|broken| Flow::fault(provider, broken))?.encode(),
            };
            Ok(told(provider, answer, long.head))
        }
        got => Ok(got),
    }
}

/// A list that comes in pages, put together.
async fn turned(
    provider: &Provider,
    kept: Kept,
    ready: &Ready,
    (call, passage): (&Call, &Arc<Passage>),
    model: &str,
    mut pages: Pages,
) -> Result<Got, Error> {
    loop {
        let asked = exchange(provider, ready, (call, passage), pages.below(), model, &mut Vec::new()).await?;
        let Got::Long(mut long) = asked else { return Ok(asked) };
        let failed = |broken| Flow::fault(provider, broken);
        let said = gathered(provider, &mut long).await?;
        if !pages.push(said).map_err(failed)? {
            let answer = kept.listed(&passage.below, pages).map_err(failed)?.encode();
            return Ok(told(provider, answer, long.head));
        }
    }
}

/// Ask for what is there at the vendor.
async fn exchange(
    provider: &Provider,
    ready: &Ready,
    (call, passage): (&Call, &Arc<Passage>),
    below: String,
    model: &str,
    warnings: &mut Vec<String>,
) -> Result<Got, Error> {
    let passage = Passage { below, ..Passage::clone(passage) };
    let asks = Call { passage: Some(Arc::new(passage)), ..call.clone() };
    let sent = encode::encode(provider, &asks, model, warnings)?;
    provider.exchange(ready, &asks, sent, model).await
}

fn no_form(malformed: Malformed) -> Error {
    let message = format!("must come in a form of multipart/form-data: {}", malformed.why());
    Error::Invalid { param: "file".to_owned(), message }
}

/// A receipt or a list, to its end.
async fn gathered(provider: &Provider, long: &mut Long) -> Result<Bytes, Box<Upstream>> {
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
    Ok(body.freeze())
}

/// An answer that was made here.
fn told(provider: &Provider, answer: Bytes, mut head: Head) -> Got {
    head.status = StatusCode::OK;
    head.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    head.headers.insert(CONTENT_LENGTH, answer.len().into());
    Got::Long(Box::new(Long::new(provider, Some(answer), Inbound::Local(VecDeque::new()), head, false)))
}
