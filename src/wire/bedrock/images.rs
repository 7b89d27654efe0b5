//! Images over InvokeModel: Amazon's and Stability's own bodies.
//!
//! <https://docs.aws.amazon.com/nova/latest/userguide/image-gen-req-resp-structure.html>,
//! <https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-stability-diffusion.html>

use bytes::Bytes;

use super::json::{self, Json, Members, invalid};
use super::models;
use crate::wire::extras::images::nearest;
use crate::wire::native::{Back, Loss, Refused, Request, Terms, Translated};
use crate::wire::openai::errors::{self, Complaint};
use crate::wire::openai::stream::Broken;
use crate::wire::{Malformed, Object};

/// What Stability's models draw.
const SHAPES: &[&str] = &["21:9", "16:9", "3:2", "5:4", "1:1", "4:5", "2:3", "9:16", "9:21"];

/// Translate a request for images (OpenAI's `images/generations`). Fails on models that draw nothing, and without a
/// prompt.
pub fn request(ask: &Object, terms: &Terms<'_>) -> Result<Request, Refused> {
    let prompt = json::raw(ask, "prompt").filter(|prompt| prompt.starts_with('"') && !json::blank(prompt));
    let prompt = prompt.ok_or_else(|| invalid("prompt", "must be a text that says something"))?;
    let size = size(ask)?;
    let mut losses = Vec::new();
    let mut lose = |name: &str| losses.push(Loss { param: name.to_owned(), action: "dropped" });
    let mut out = Json::with_capacity(prompt.len() + 256);
    out.open(b'{');
    let copied = |out: &mut Json, from: &str, to: &str| {
        if let Some(raw) = json::raw(ask, from) {
            out.member(to, raw);
        }
    };
    let (vendor, name) = models::base(terms.model).split_once('.').unwrap_or_default();
    let taken: &[&str] = match (vendor, name) {
        ("amazon", name) if name.contains("canvas") || name.contains("titan-image") => {
            out.member("taskType", r#""TEXT_IMAGE""#);
            out.name("textToImageParams");
            out.open(b'{');
            out.member("text", prompt);
            copied(&mut out, "negative_prompt", "negativeText");
            out.close(b'}');
            out.name("imageGenerationConfig");
            out.open(b'{');
            copied(&mut out, "n", "numberOfImages");
            if let Some((width, height)) = size {
                out.member("width", &width.to_string());
                out.member("height", &height.to_string());
            }
            match json::raw(ask, "quality") {
                Some(r#""hd""# | r#""high""# | r#""premium""#) => out.member("quality", r#""premium""#),
                Some(_) => out.member("quality", r#""standard""#),
                None => {}
            }
            copied(&mut out, "cfg_scale", "cfgScale");
            copied(&mut out, "seed", "seed");
            out.close(b'}');
            &["n", "size", "quality", "negative_prompt", "cfg_scale", "seed"]
        }
        ("stability", name) if name.starts_with("stable-diffusion-xl") => {
            out.name("text_prompts");
            out.open(b'[');
            for (prompt, weight) in [(Some(prompt), "1"), (json::raw(ask, "negative_prompt"), "-1")] {
                if let Some(prompt) = prompt {
                    out.open(b'{');
                    out.member("text", prompt);
                    out.member("weight", weight);
                    out.close(b'}');
                }
            }
            out.close(b']');
            if let Some((width, height)) = size {
                out.member("width", &width.to_string());
                out.member("height", &height.to_string());
            }
            ["cfg_scale", "steps", "seed"].iter().for_each(|name| copied(&mut out, name, name));
            &["size", "negative_prompt", "cfg_scale", "steps", "seed"]
        }
        ("stability", _) => {
            out.member("prompt", prompt);
            out.member("mode", r#""text-to-image""#);
            let ratio = json::raw(ask, "aspect_ratio").map(str::to_owned);
            if let Some(ratio) = ratio.or(size.map(|size| json::quoted(nearest(size, SHAPES)))) {
                out.member("aspect_ratio", &ratio);
            }
            ["output_format", "seed", "negative_prompt"].iter().for_each(|name| copied(&mut out, name, name));
            &["size", "aspect_ratio", "output_format", "seed", "negative_prompt"]
        }
        _ => return Err(Refused::Unsupported { param: "model".to_owned() }),
    };
    out.close(b'}');
    for (name, value) in ask.members() {
        let idle = matches!((name, value), (_, b"null") | ("n", b"1") | ("response_format", br#""b64_json""#));
        if !(idle || matches!(name, "model" | "prompt") || taken.contains(&name)) {
            lose(name);
        }
    }
    Ok(Request { body: out.0.into(), headers: Vec::new(), losses, back: Back::new(terms) })
}

/// Width and height in pixels; `None` where the model may choose.
fn size(ask: &Object) -> Result<Option<(u32, u32)>, Refused> {
    let Some(size) = json::raw(ask, "size").and_then(json::text) else { return Ok(None) };
    if size == "auto" {
        return Ok(None);
    }
    let parsed = size.split_once('x').and_then(|(width, height)| Some((width.parse().ok()?, height.parse().ok()?)));
    match parsed {
        Some((width, height)) if width > 0 && height > 0 => Ok(Some((width, height))),
        _ => Err(invalid("size", r#"must look like "1024x1024", or be "auto""#)),
    }
}

/// Translate an answer: pictures in base64. Fails if there is none, because it was filtered or the answer is an error.
pub fn answer(body: Bytes, back: &Back) -> Translated {
    let whole = Members::of_body(&body).map_err(Broken::Malformed)?;
    let reasons: Vec<Option<String>> =
        whole.raw("finish_reasons").and_then(|raw| json::parse(raw).ok()).unwrap_or_default();
    let mut pictures: Vec<String> = Vec::new();
    let mut filtered = whole.text("error").map(|error| error.into_owned());
    if let Some(artifacts) = whole.objects("artifacts") {
        for artifact in &artifacts {
            match (artifact.text("finishReason").as_deref(), artifact.raw("base64")) {
                (Some(reason @ ("CONTENT_FILTERED" | "ERROR")), _) => filtered = Some(reason.to_owned()),
                (_, picture) => pictures.extend(picture.map(str::to_owned)),
            }
        }
    }
    let images: Vec<String> = whole.raw("images").and_then(|raw| json::parse(raw).ok()).unwrap_or_default();
    for (at, picture) in images.into_iter().enumerate() {
        match reasons.get(at) {
            Some(Some(reason)) => filtered = Some(reason.clone()),
            _ => pictures.push(json::quoted(&picture)),
        }
    }
    if pictures.is_empty() {
        return Err(match filtered {
            Some(reason) => Broken::Said(Complaint {
                message: Some(format!("no image was made: {reason}")),
                code: Some("content_policy_violation".to_owned()),
                status: Some(400),
                ..Complaint::default()
            }),
            None => match errors::read(&body) {
                said if said == Complaint::default() => Broken::Malformed(Malformed::new("an answer without images")),
                said => Broken::Said(said),
            },
        });
    }
    let mut out = Json::with_capacity(body.len() + 128);
    out.open(b'{');
    out.member("created", &back.created.to_string());
    out.name("data");
    out.open(b'[');
    for picture in &pictures {
        out.open(b'{');
        out.member("b64_json", picture);
        out.close(b'}');
    }
    out.close(b']');
    out.close(b'}');
    Object::parse(out.0.into()).map_err(Broken::Malformed)
}
