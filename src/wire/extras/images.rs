//! Images in other forms than OpenAI's: those who answer with the image itself, and those who wrap it in something else.

use bytes::Bytes;
use serde::Serialize;

use super::{base64, made, read, request, text};
use crate::wire::native::{Back, Refused, Request, Terms, Translated, invalid};
use crate::wire::openai::errors::Complaint;
use crate::wire::openai::stream::Broken;
use crate::wire::{Malformed, Object};

/// The width and height of a `size` such as `1024x1536`; `None` for `auto` and where none is given. Fails on others.
pub fn size(ask: &Object) -> Result<Option<(u32, u32)>, Refused> {
    let wrong = || invalid("size", "must look like 1024x1024");
    match ask.get::<String>("size").map_err(|_| wrong())?.as_deref() {
        None | Some("auto") => Ok(None),
        Some(size) => {
            let (width, height) = size.split_once('x').ok_or_else(wrong)?;
            Ok(Some((width.parse().map_err(|_| wrong())?, height.parse().map_err(|_| wrong())?)))
        }
    }
}

/// The nearest of these shapes, as `16:9`.
pub fn nearest<'a>((width, height): (u32, u32), shapes: &[&'a str]) -> &'a str {
    let wanted = f64::from(width.max(1)) / f64::from(height.max(1));
    let far = |shape: &str| {
        let (w, h) = shape.split_once(':').unwrap_or(("1", "1"));
        let is = w.parse().unwrap_or(1.0) / h.parse().unwrap_or(1.0);
        (wanted.ln() - f64::ln(is)).abs()
    };
    shapes.iter().copied().min_by(|a, b| far(a).total_cmp(&far(b))).unwrap_or("1:1")
}

/// Those who draw one image a request. Fails if more are asked for.
pub fn only_one(ask: &Object) -> Result<(), Refused> {
    match ask.get::<u64>("n")? {
        None | Some(1) => Ok(()),
        Some(_) => Err(Refused::Unsupported { param: "n".to_owned() }),
    }
}

/// Cloudflare: <https://developers.cloudflare.com/workers-ai/models/flux-1-schnell/>.
pub fn cloudflare(ask: &Object, terms: &Terms<'_>) -> Result<Request, Refused> {
    #[derive(Serialize)]
    struct Body {
        prompt: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        width: Option<u32>,
        #[serde(skip_serializing_if = "Option::is_none")]
        height: Option<u32>,
        #[serde(skip_serializing_if = "Option::is_none")]
        steps: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        seed: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        negative_prompt: Option<String>,
    }
    only_one(ask)?;
    let size = size(ask)?;
    let body = Body {
        prompt: text(ask, "prompt")?,
        width: size.map(|(width, _)| width),
        height: size.map(|(_, height)| height),
        steps: ask.get("steps")?,
        seed: ask.get("seed")?,
        negative_prompt: ask.get("negative_prompt")?,
    };
    Ok(request(ask, terms, &body, &["prompt", "n", "size", "steps", "seed", "negative_prompt"]))
}

/// Fireworks: <https://docs.fireworks.ai/api-reference/generate-a-new-image-from-a-text-prompt>.
pub fn fireworks(ask: &Object, terms: &Terms<'_>) -> Result<Request, Refused> {
    const SHAPES: &[&str] = &["1:1", "21:9", "16:9", "3:2", "5:4", "4:5", "2:3", "9:16", "9:21", "4:3", "3:4"];
    #[derive(Serialize)]
    struct Body {
        prompt: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        aspect_ratio: Option<&'static str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        guidance_scale: Option<f64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        num_inference_steps: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        seed: Option<u64>,
    }
    only_one(ask)?;
    let body = Body {
        prompt: text(ask, "prompt")?,
        aspect_ratio: size(ask)?.map(|size| nearest(size, SHAPES)),
        guidance_scale: ask.get("guidance_scale")?,
        num_inference_steps: ask.get("steps")?,
        seed: ask.get("seed")?,
    };
    let mut sent = request(ask, terms, &body, &["prompt", "n", "size", "guidance_scale", "steps", "seed"]);
    sent.headers.push(("accept", "image/jpeg".to_owned()));
    Ok(sent)
}

/// Hugging Face: <https://huggingface.co/docs/inference-providers/tasks/text-to-image>.
pub fn hugging_face(ask: &Object, terms: &Terms<'_>) -> Result<Request, Refused> {
    #[derive(Serialize)]
    struct Parameters {
        #[serde(skip_serializing_if = "Option::is_none")]
        width: Option<u32>,
        #[serde(skip_serializing_if = "Option::is_none")]
        height: Option<u32>,
        #[serde(skip_serializing_if = "Option::is_none")]
        num_inference_steps: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        guidance_scale: Option<f64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        negative_prompt: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        seed: Option<u64>,
    }
    #[derive(Serialize)]
    struct Body {
        inputs: String,
        parameters: Parameters,
    }
    only_one(ask)?;
    let size = size(ask)?;
    let parameters = Parameters {
        width: size.map(|(width, _)| width),
        height: size.map(|(_, height)| height),
        num_inference_steps: ask.get("steps")?,
        guidance_scale: ask.get("guidance_scale")?,
        negative_prompt: ask.get("negative_prompt")?,
        seed: ask.get("seed")?,
    };
    let body = Body { inputs: text(ask, "prompt")?, parameters };
    let known = ["prompt", "n", "size", "steps", "guidance_scale", "negative_prompt", "seed"];
    let mut sent = request(ask, terms, &body, &known);
    sent.headers.push(("accept", "image/png".to_owned()));
    Ok(sent)
}

/// OpenRouter: <https://openrouter.ai/docs/features/multimodal/image-generation>.
pub fn openrouter(ask: &Object, terms: &Terms<'_>) -> Result<Request, Refused> {
    const SHAPES: &[&str] = &["1:1", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "21:9"];
    #[derive(Serialize)]
    struct Message {
        role: &'static str,
        content: String,
    }
    #[derive(Serialize)]
    struct Shape {
        aspect_ratio: &'static str,
    }
    #[derive(Serialize)]
    struct Body<'a> {
        model: &'a str,
        messages: [Message; 1],
        modalities: [&'static str; 2],
        #[serde(skip_serializing_if = "Option::is_none")]
        image_config: Option<Shape>,
    }
    only_one(ask)?;
    let image_config = size(ask)?.map(|size| Shape { aspect_ratio: nearest(size, SHAPES) });
    let messages = [Message { role: "user", content: text(ask, "prompt")? }];
    let body = Body { model: terms.model, messages, modalities: ["image", "text"], image_config };
    Ok(request(ask, terms, &body, &["prompt", "n", "size"]))
}

/// Model Studio: <https://www.alibabacloud.com/help/en/model-studio/qwen-image-api>.
pub fn qwen(ask: &Object, terms: &Terms<'_>) -> Result<Request, Refused> {
    #[derive(Serialize)]
    struct Text {
        text: String,
    }
    #[derive(Serialize)]
    struct Message {
        role: &'static str,
        content: [Text; 1],
    }
    #[derive(Serialize)]
    struct Input {
        messages: [Message; 1],
    }
    #[derive(Serialize)]
    struct Parameters {
        #[serde(skip_serializing_if = "Option::is_none")]
        size: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        n: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        negative_prompt: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        seed: Option<u64>,
    }
    #[derive(Serialize)]
    struct Body<'a> {
        model: &'a str,
        input: Input,
        parameters: Parameters,
    }
    let content = [Text { text: text(ask, "prompt")? }];
    let parameters = Parameters {
        size: size(ask)?.map(|(width, height)| format!("{width}*{height}")),
        n: ask.get("n")?,
        negative_prompt: ask.get("negative_prompt")?,
        seed: ask.get("seed")?,
    };
    let input = Input { messages: [Message { role: "user", content }] };
    let body = Body { model: terms.model, input, parameters };
    Ok(request(ask, terms, &body, &["prompt", "n", "size", "negative_prompt", "seed"]))
}

/// One image of an answer.
#[derive(Default, Serialize)]
pub struct Image {
    #[serde(skip_serializing_if = "Option::is_none")]
    b64_json: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
}

impl Image {
    /// One in base64.
    pub fn of(data: String) -> Self {
        Self { b64_json: Some(data), url: None }
    }

    /// An address, or what is in it.
    pub fn at(url: String) -> Self {
        match url.strip_prefix("data:").and_then(|data| data.split_once(";base64,")) {
            Some((_, data)) => Self { b64_json: Some(data.to_owned()), url: None },
            None => Self { url: Some(url), b64_json: None },
        }
    }
}

/// An answer with these images. Fails if there are none.
pub fn images(data: Vec<Image>, back: &Back) -> Translated {
    #[derive(Serialize)]
    struct Images {
        created: u64,
        data: Vec<Image>,
    }
    if data.is_empty() {
        return Err(Broken::Malformed(Malformed::new("the answer has no image")));
    }
    made(&Images { created: back.created, data })
}

/// An answer that is the image, or an object with it in base64, in Cloudflare's envelope or without.
pub fn drawn(body: Bytes, back: &Back) -> Translated {
    if !body.trim_ascii_start().starts_with(b"{") {
        let is_image = [&b"\x89PNG"[..], b"\xff\xd8\xff", b"RIFF", b"GIF8"].iter().any(|mark| body.starts_with(mark));
        return match is_image {
            true => images(vec![Image::of(base64(&body))], back),
            false => Err(Broken::Malformed(Malformed::new("the answer is no image"))),
        };
    }
    let answer = read(body)?;
    let inner = answer.object("result").map_err(Broken::Malformed)?.unwrap_or(answer);
    let image = inner.get::<String>("image").map_err(Broken::Malformed)?;
    images(image.map(Image::of).into_iter().collect(), back)
}

/// The images of a chat's answer.
pub fn of_openrouter(body: Bytes, back: &Back) -> Translated {
    let answer = read(body)?;
    let mut found = Vec::new();
    for choice in answer.objects("choices").map_err(Broken::Malformed)? {
        let Some(message) = choice.object("message").map_err(Broken::Malformed)? else { continue };
        for image in message.objects("images").map_err(Broken::Malformed)? {
            let at = image.object("image_url").ok().flatten();
            found.extend(at.and_then(|at| at.get("url").ok().flatten()).map(Image::at));
        }
    }
    let mut made = images(found, back)?;
    if let Some(usage) = answer.raw("usage") {
        made.set_raw("usage", Bytes::copy_from_slice(usage));
    }
    Ok(made)
}

/// The images of Model Studio's answer.
pub fn of_qwen(body: Bytes, back: &Back) -> Translated {
    let answer = read(body)?;
    if !answer.has("output")
        && let Some(code) = answer.get::<String>("code").ok().flatten()
    {
        let message = answer.get("message").ok().flatten();
        return Err(Broken::Said(Complaint { code: Some(code), message, ..Complaint::default() }));
    }
    let output = answer.object("output").map_err(Broken::Malformed)?.unwrap_or_default();
    let mut found = Vec::new();
    for choice in output.objects("choices").map_err(Broken::Malformed)? {
        let message = choice.object("message").map_err(Broken::Malformed)?.unwrap_or_default();
        for part in message.objects("content").map_err(Broken::Malformed)? {
            found.extend(part.get("image").ok().flatten().map(Image::at));
        }
    }
    images(found, back)
}
