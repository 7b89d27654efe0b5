//! Forms that a provider takes in a format of its own: what it is sent of one, stretches of the upload among it.

use std::time::{SystemTime, UNIX_EPOCH};

use http::HeaderValue;
use http::header::{ACCEPT, CONTENT_TYPE};

use super::Provider;
use super::encode::{Back, Foreign, Sent, id, refusal};
use super::spec::Way;
use super::stored;
use crate::call::{Call, Error, Upload};
use crate::wire::multipart::Form;
use crate::wire::native::{self, Native, Terms};

/// Encode a form. Fails on what the provider can't be asked for.
pub fn encode(
    provider: &Provider,
    call: &Call,
    (form, upload): (&Form, &Upload),
    (native, way): (Native, Way),
    model: &str,
    warnings: &mut Vec<String>,
) -> Result<Sent, Error> {
    let spec = provider.spec;
    let other = (spec.model)(model, call.op, &provider.settings);
    let model = other.as_deref().unwrap_or(model);
    let (op, stream, id) = (call.op, call.stream, id());
    let created = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let terms = Terms { op, model, stream, id: &id, created, most_output: None, usual_output: None };
    let posted = native.form(form, &terms).map_err(|refused| refusal(spec, refused))?;
    let mut notes = provider.notes(model, stream, warnings);
    for loss in &posted.losses {
        match loss.action {
            "dropped" => notes.lost_field(&loss.param)?,
            action => notes.warn(&loss.param, action),
        }
    }
    let body = stored::outgoing(&upload.stored, posted.pieces);
    // the caller may name what no header can carry, but not as the kind of its sound
    let kind = HeaderValue::try_from(posted.kind).unwrap_or(HeaderValue::from_static("application/octet-stream"));
    let mut headers = vec![(CONTENT_TYPE, kind)];
    if !stream || native.decoder(native::Back::default()).is_none() {
        // whole, whatever becomes of it: some take a wish for events for one
        headers.push((ACCEPT, HeaderValue::from_static("application/json")));
    }
    let foreign = Foreign { native, op, back: posted.back, functions: false, shelf: None, query: posted.query };
    let back = Back { native: Some(Box::new(foreign)), ..Back::default() };
    Ok(Sent { op, body, back, model: other, path: Some(way.path), headers })
}
