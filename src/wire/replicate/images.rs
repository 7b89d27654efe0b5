//! Images as predictions: <https://replicate.com/docs/topics/predictions>. What a model takes follows from its schema.

use super::answer::Prediction;
use super::model::Inputs;
use super::params::{Sheet, asked};
use crate::wire::Object;
use crate::wire::extras::images::{Image, images, nearest, only_one, size};
use crate::wire::extras::text;
use crate::wire::native::{Back, Loss, Refused, Request, Terms, Translated};
use crate::wire::openai::stream::Broken;

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
    let takes = |name: &str| inputs.is_none_or(|inputs| inputs.get(name).is_some());
    let named = |name: &str| inputs.is_some_and(|inputs| inputs.get(name).is_some());
    let mut sheet = Sheet::with_capacity(ask.size());
    let mut losses = Vec::new();
    let mut lose = |param: &str| losses.push(Loss { param: param.to_owned(), action: "dropped" });
    text(ask, "prompt")?;
    sheet.put("prompt", ask.raw("prompt").unwrap_or_default());
    if let Some(size) = size(ask)? {
        if named("width") && named("height") {
            sheet.put("width", size.0.to_string().as_bytes());
            sheet.put("height", size.1.to_string().as_bytes());
        } else if takes("aspect_ratio") {
            sheet.put("aspect_ratio", format!("\"{}\"", nearest(size, SHAPES)).as_bytes());
        } else {
            lose("size");
        }
    }
    match ask.get::<u64>("n")? {
        Some(n) if n > 1 && named("num_outputs") => sheet.put("num_outputs", n.to_string().as_bytes()),
        _ => only_one(ask)?,
    }
    for name in ["seed", "negative_prompt", "output_format", "guidance_scale", "num_inference_steps"] {
        let Some(value) = ask.raw(name).filter(|value| *value != b"null") else { continue };
        match takes(name) {
            true => sheet.put(name, value),
            false => lose(name),
        }
    }
    for (name, value) in ask.members() {
        if matches!(name, "quality" | "style" | "background" | "moderation" | "stream") && value != b"null" {
            lose(name);
        }
    }
    Ok(asked(&sheet, version, losses, Back::new(terms)))
}

/// The images of a prediction that has ended: its output is one address or several.
pub fn of(prediction: &Prediction, back: &Back) -> Translated {
    prediction.ended()?;
    let found = prediction.addresses().map_err(Broken::Malformed)?;
    images(found.into_iter().map(Image::at).collect(), back)
}
