//! Images at NVIDIA: artifacts, of its own hosts and of containers.

use bytes::Bytes;
use serde::Serialize;

use super::google::refusal;
use super::images::{Image, images, nearest, only_one, size};
use super::{read, request, text};
use crate::wire::Object;
use crate::wire::native::{Back, Refused, Request, Terms, Translated};
use crate::wire::openai::stream::Broken;

/// <https://docs.api.nvidia.com/nim/reference/visual-models-apis>. Stable Diffusion takes a shape, FLUX a size.
pub fn image(ask: &Object, terms: &Terms<'_>) -> Result<Request, Refused> {
    const SHAPES: &[&str] = &["1:1", "16:9", "9:16", "5:4", "4:5", "3:2", "2:3"];
    #[derive(Serialize)]
    struct Body {
        prompt: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        aspect_ratio: Option<&'static str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        width: Option<u32>,
        #[serde(skip_serializing_if = "Option::is_none")]
        height: Option<u32>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cfg_scale: Option<f64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        steps: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        seed: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        negative_prompt: Option<String>,
    }
    only_one(ask)?;
    let size = size(ask)?;
    let sized = size.filter(|_| !terms.model.contains("stable-diffusion-3"));
    let shaped = size.filter(|_| sized.is_none());
    let body = Body {
        prompt: text(ask, "prompt")?,
        aspect_ratio: shaped.map(|size| nearest(size, SHAPES)),
        width: sized.map(|(width, _)| width),
        height: sized.map(|(_, height)| height),
        cfg_scale: ask.get("cfg_scale")?,
        steps: ask.get("steps")?,
        seed: ask.get("seed")?,
        negative_prompt: ask.get("negative_prompt")?,
    };
    Ok(request(ask, terms, &body, &["prompt", "n", "size", "cfg_scale", "steps", "seed", "negative_prompt"]))
}

/// The artifacts of the answer, or the one image of Stable Diffusion 3:
/// <https://docs.api.nvidia.com/nim/reference/stabilityai-stable-diffusion-3-medium-infer>. Fails if all were filtered.
pub fn drawn(body: Bytes, back: &Back) -> Translated {
    let mut answer = read(body)?;
    if answer.has("image") && !answer.has("artifacts") {
        answer.rename("image", "base64");
        answer.rename("finish_reason", "finishReason");
        let only = [answer.clone()];
        answer.set_objects("artifacts", &only);
    }
    let artifacts = answer.objects("artifacts").map_err(Broken::Malformed)?;
    let filtered = |artifact: &Object| artifact.raw("finishReason") == Some(br#""CONTENT_FILTERED""#);
    if !artifacts.is_empty() && artifacts.iter().all(filtered) {
        return Err(refusal("no image", "CONTENT_FILTERED"));
    }
    let good = artifacts.iter().filter(|artifact| !filtered(artifact));
    images(good.filter_map(|artifact| artifact.get("base64").ok().flatten()).map(Image::of).collect(), back)
}
