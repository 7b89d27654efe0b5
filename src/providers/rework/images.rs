//! Images: names of sizes and forms, as hosts have them.

use super::{is, text};
use crate::call::Error;
use crate::providers::spec::Notes;
use crate::wire::Object;
use crate::wire::extras::images::{nearest, size};

/// GPT Image models always answer in base64 and refuse to be asked for it.
pub fn always_base64(body: &mut Object, notes: &mut Notes<'_>) -> Result<(), Error> {
    if is(body, "response_format", r#""b64_json""#) {
        body.remove("response_format");
    }
    notes.lacks(body, "response_format")
}

/// A shape instead of a size.
pub fn aspect_ratio(body: &mut Object, notes: &mut Notes<'_>) -> Result<(), Error> {
    const SHAPES: &[&str] = &["1:1", "3:4", "4:3", "9:16", "16:9", "2:3", "3:2", "1:2", "2:1"];
    if !body.has("aspect_ratio")
        && let Ok(Some(size)) = size(body)
    {
        body.set("aspect_ratio", &nearest(size, SHAPES));
        body.remove("size");
    }
    if is(body, "size", r#""auto""#) {
        body.remove("size");
    }
    ["size", "quality", "style"].into_iter().try_for_each(|param| notes.lacks(body, param))
}

/// Width and height instead of a size, and another name for base64.
pub fn width_and_height(body: &mut Object, notes: &mut Notes<'_>) -> Result<(), Error> {
    if let Ok(Some((width, height))) = size(body) {
        body.set("width", &width);
        body.set("height", &height);
        body.remove("size");
    }
    if is(body, "size", r#""auto""#) {
        body.remove("size");
    }
    if text(body, "response_format").as_deref() == Some("b64_json") {
        body.set("response_format", &"base64");
    }
    ["size", "quality", "style", "user"].into_iter().try_for_each(|param| notes.lacks(body, param))
}
