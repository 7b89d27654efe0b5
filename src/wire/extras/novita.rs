//! Images at Novita: most of them tasks, each kind of model with an address of its own.

use bytes::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;

use super::images::{Image, images, only_one, size};
use super::{read, request, text};
use crate::wire::Object;
use crate::wire::native::{Back, Loss, Refused, Request, Terms, Translated};
use crate::wire::openai::errors::Complaint;
use crate::wire::openai::stream::Broken;

/// The only model of its kind: asked for at an address of its own, and answered at once.
pub const SCHNELL: &str = "flux-1-schnell";

/// The size of an image for which none is asked, where one must be said.
const USUAL: (u32, u32) = (1024, 1024);

/// Whether a model is one of Stable Diffusion's checkpoints.
pub fn is_checkpoint(model: &str) -> bool {
    [".safetensors", ".ckpt"].iter().any(|end| model.ends_with(end))
}

/// <https://novita.ai/docs/api-reference/model-apis-text-to-image>,
/// <https://novita.ai/docs/api-reference/model-apis-flux-1-schnell>,
/// <https://novita.ai/docs/api-reference/model-apis-qwen-image-txt2img>. Members that are not OpenAI's go on to models that
/// have an address of their own.
pub fn image(ask: &Object, terms: &Terms<'_>) -> Result<Request, Refused> {
    match terms.model {
        model if is_checkpoint(model) => checkpoint(ask, terms),
        SCHNELL => schnell(ask, terms),
        _ => own(ask, terms),
    }
}

fn checkpoint(ask: &Object, terms: &Terms<'_>) -> Result<Request, Refused> {
    #[derive(Serialize)]
    struct Drawn<'a> {
        model_name: &'a str,
        prompt: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        negative_prompt: Option<String>,
        width: u32,
        height: u32,
        image_num: u64,
        steps: u64,
        seed: i64,
        guidance_scale: f64,
        sampler_name: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        loras: Option<Box<RawValue>>,
    }
    #[derive(Serialize)]
    struct Extra {
        response_image_type: String,
    }
    #[derive(Serialize)]
    struct Body<'a> {
        request: Drawn<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        extra: Option<Extra>,
    }
    let (width, height) = size(ask)?.unwrap_or(USUAL);
    let drawn = Drawn {
        model_name: terms.model,
        prompt: text(ask, "prompt")?,
        negative_prompt: ask.get("negative_prompt")?,
        width,
        height,
        image_num: ask.get("n")?.unwrap_or(1),
        steps: ask.get("steps")?.unwrap_or(20),
        // chance
        seed: ask.get("seed")?.unwrap_or(-1),
        guidance_scale: ask.get("guidance_scale")?.unwrap_or(7.5),
        sampler_name: ask.get("sampler_name")?.unwrap_or_else(|| "Euler a".to_owned()),
        loras: ask.get("loras")?,
    };
    let kind: Option<String> = ask.get("output_format")?;
    let body = Body { request: drawn, extra: kind.map(|response_image_type| Extra { response_image_type }) };
    let known = [
        "prompt",
        "n",
        "size",
        "negative_prompt",
        "steps",
        "seed",
        "guidance_scale",
        "sampler_name",
        "loras",
        "output_format",
    ];
    Ok(request(ask, terms, &body, &known))
}

fn schnell(ask: &Object, terms: &Terms<'_>) -> Result<Request, Refused> {
    #[derive(Serialize)]
    struct Body {
        prompt: String,
        width: u32,
        height: u32,
        image_num: u64,
        steps: u64,
        seed: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        response_image_format: Option<String>,
    }
    let (width, height) = size(ask)?.unwrap_or(USUAL);
    let body = Body {
        prompt: text(ask, "prompt")?,
        width,
        height,
        image_num: ask.get("n")?.unwrap_or(1),
        steps: ask.get("steps")?.unwrap_or(4),
        // one must be said: no two moments have the same
        seed: ask.get("seed")?.unwrap_or(terms.created & u64::from(u32::MAX)),
        response_image_format: ask.get("output_format")?,
    };
    Ok(request(ask, terms, &body, &["prompt", "n", "size", "steps", "seed", "output_format"]))
}

/// A model with an address of its own.
fn own(ask: &Object, terms: &Terms<'_>) -> Result<Request, Refused> {
    only_one(ask)?;
    text(ask, "prompt")?;
    let mut body = ask.clone();
    if let Some((width, height)) = size(ask)? {
        body.set_text("size", &format!("{width}*{height}"));
    } else {
        body.remove("size");
    }
    let mut losses = Vec::new();
    for name in ["quality", "style", "background", "moderation", "stream", "output_compression", "partial_images"] {
        if body.remove(name) && ask.raw(name) != Some(b"null") {
            losses.push(Loss { param: name.to_owned(), action: "dropped" });
        }
    }
    for name in ["model", "n", "user", "response_format"] {
        body.remove(name);
    }
    Ok(Request { body: body.encode(), headers: Vec::new(), losses, back: Back::new(terms) })
}

/// The images of an answer, or of a task that has ended. Fails with what is said of one that failed.
pub fn drawn(body: Bytes, back: &Back) -> Translated {
    let answer = read(body)?;
    let task = answer.object("task").map_err(Broken::Malformed)?.unwrap_or_default();
    let said = |name: &str| task.get::<String>(name).ok().flatten().filter(|text| !text.is_empty());
    if said("status").is_some_and(|status| status == "TASK_STATUS_FAILED") {
        let message = said("reason").or_else(|| Some("the task failed".to_owned()));
        return Err(Broken::Said(Complaint { message, code: Some("task_failed".to_owned()), ..Complaint::default() }));
    }
    let listed: Vec<&RawValue> = answer.get("images").map_err(Broken::Malformed)?.unwrap_or_default();
    let address = |item: &&RawValue| -> Option<String> {
        match item.get().as_bytes().first() {
            Some(b'"') => serde_json::from_str(item.get()).ok(),
            _ => Object::parse(Bytes::copy_from_slice(item.get().as_bytes())).ok()?.get("image_url").ok()?,
        }
    };
    images(listed.iter().filter_map(address).map(Image::at).collect(), back)
}
