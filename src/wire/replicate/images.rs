//! Images as predictions: <https://replicate.com/docs/topics/predictions>. What a model takes follows from its schema.

use bytes::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;

use super::answer::Prediction;
use super::model::Inputs;
use crate::wire::extras::images::{Image, images, nearest, only_one, size};
use crate::wire::native::{Back, Loss, Refused, Request, Terms, Translated};
use crate::wire::openai::stream::Broken;
use crate::wire::{Malformed, Object};

/// Shapes that most models know.
const SHAPES: &[&str] = &["1:1", "16:9", "21:9", "3:2", "2:3", "4:5", "5:4", "3:4", "4:3", "9:16", "9:21"];

/// What a prediction of this model is made with; as [`super::request::request`]. Fails on several images where the model
/// makes one.
pub fn request(
    ask: &Object,
    terms: &Terms<'_>,
    inputs: Option<&Inputs>,
    version: Option<&str>,
) -> Result<Request, Refused> {
    #[derive(Serialize)]
    struct Body<'a> {
        #[serde(skip_serializing_if = "Option::is_none")]
        version: Option<&'a str>,
        input: Box<RawValue>,
    }
    let takes = |name: &str| inputs.is_none_or(|inputs| inputs.get(name).is_some());
    let named = |name: &str| inputs.is_some_and(|inputs| inputs.get(name).is_some());
    let mut input = Object::default();
    let mut losses = Vec::new();
    input.set_text("prompt", &super::super::extras::text(ask, "prompt")?);
    if let Some(size) = size(ask)? {
        if named("width") && named("height") {
            input.set("width", &size.0);
            input.set("height", &size.1);
        } else if takes("aspect_ratio") {
            input.set("aspect_ratio", &nearest(size, SHAPES));
        } else {
            losses.push(Loss { param: "size".to_owned(), action: "dropped" });
        }
    }
    match ask.get::<u64>("n")? {
        Some(n) if n > 1 && named("num_outputs") => input.set("num_outputs", &n),
        _ => only_one(ask)?,
    }
    for name in ["seed", "negative_prompt", "output_format", "guidance_scale", "num_inference_steps"] {
        let Some(value) = ask.raw(name).filter(|value| *value != b"null") else { continue };
        match takes(name) {
            true => input.set_raw(name, Bytes::copy_from_slice(value)),
            false => losses.push(Loss { param: name.to_owned(), action: "dropped" }),
        }
    }
    for (name, value) in ask.members() {
        if matches!(name, "quality" | "style" | "background" | "moderation" | "stream") && value != b"null" {
            losses.push(Loss { param: name.to_owned(), action: "dropped" });
        }
    }
    let input = serde_json::from_slice(&input.encode()).map_err(Malformed::from)?;
    let body = serde_json::to_vec(&Body { version, input }).expect("texts and JSON are always JSON").into();
    Ok(Request { body, headers: Vec::new(), losses, back: Back::new(terms) })
}

/// The images of a prediction that has ended: its output is one address or several.
pub fn of(prediction: &Prediction, back: &Back) -> Translated {
    prediction.ended()?;
    let found = prediction.addresses().map_err(Broken::Malformed)?;
    images(found.into_iter().map(Image::at).collect(), back)
}
