//! Google's images: Imagen's predictions, and the pictures that Gemini's models answer with.

use bytes::Bytes;
use serde::Serialize;

use super::images::{Image, images, nearest, only_one, size};
use super::{read, request, text};
use crate::wire::Object;
use crate::wire::native::{Back, Refused, Request, Terms, Translated};
use crate::wire::openai::errors::Complaint;
use crate::wire::openai::stream::Broken;

/// Whether a model is asked for predictions rather than for content.
pub fn predicts(model: &str) -> bool {
    model.contains("imagen")
}

/// <https://ai.google.dev/gemini-api/docs/imagen>, <https://ai.google.dev/gemini-api/docs/image-generation>.
pub fn image(ask: &Object, terms: &Terms<'_>) -> Result<Request, Refused> {
    if predicts(terms.model) { imagen(ask, terms) } else { gemini(ask, terms) }
}

fn imagen(ask: &Object, terms: &Terms<'_>) -> Result<Request, Refused> {
    const SHAPES: &[&str] = &["1:1", "3:4", "4:3", "9:16", "16:9"];
    #[derive(Serialize)]
    struct Prompt {
        prompt: String,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Parameters {
        sample_count: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        aspect_ratio: Option<&'static str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        negative_prompt: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        seed: Option<u64>,
    }
    #[derive(Serialize)]
    struct Body {
        instances: [Prompt; 1],
        parameters: Parameters,
    }
    let parameters = Parameters {
        sample_count: ask.get("n")?.unwrap_or(1),
        aspect_ratio: size(ask)?.map(|size| nearest(size, SHAPES)),
        negative_prompt: ask.get("negative_prompt")?,
        seed: ask.get("seed")?,
    };
    let body = Body { instances: [Prompt { prompt: text(ask, "prompt")? }], parameters };
    Ok(request(ask, terms, &body, &["prompt", "n", "size", "negative_prompt", "seed"]))
}

fn gemini(ask: &Object, terms: &Terms<'_>) -> Result<Request, Refused> {
    const SHAPES: &[&str] = &["1:1", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "21:9"];
    #[derive(Serialize)]
    struct Part {
        text: String,
    }
    #[derive(Serialize)]
    struct Content {
        role: &'static str,
        parts: [Part; 1],
    }
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Shape {
        aspect_ratio: &'static str,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Config {
        response_modalities: [&'static str; 2],
        #[serde(skip_serializing_if = "Option::is_none")]
        image_config: Option<Shape>,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Body {
        contents: [Content; 1],
        generation_config: Config,
    }
    only_one(ask)?;
    let image_config = size(ask)?.map(|size| Shape { aspect_ratio: nearest(size, SHAPES) });
    let generation_config = Config { response_modalities: ["TEXT", "IMAGE"], image_config };
    let parts = [Part { text: text(ask, "prompt")? }];
    let body = Body { contents: [Content { role: "user", parts }], generation_config };
    Ok(request(ask, terms, &body, &["prompt", "n", "size"]))
}

/// An answer that was held back.
pub(super) fn refusal(what: &str, reason: &str) -> Broken {
    let (message, code) = (Some(format!("{what}: {reason}")), Some("content_filter".to_owned()));
    Broken::Said(Complaint { message, code, status: Some(400), ..Complaint::default() })
}

/// Why a generated content, or its prompt, was held back, if it was.
pub(super) fn blocked(answer: &Object, what: &str) -> Option<Broken> {
    let candidates = answer.objects("candidates").unwrap_or_default();
    let finished = |candidate: &Object| candidate.get::<String>("finishReason").ok().flatten();
    let reason = candidates.iter().filter_map(finished).find(|reason| reason != "STOP" && reason != "MAX_TOKENS");
    let of_prompt = || answer.object("promptFeedback").ok().flatten()?.get("blockReason").ok().flatten();
    reason.or_else(of_prompt).map(|reason| refusal(what, &reason))
}

/// The tokens of an answer.
#[derive(Serialize)]
pub(super) struct Tokens {
    input_tokens: u64,
    output_tokens: u64,
    total_tokens: u64,
}

impl Tokens {
    /// Those in `usageMetadata`, if it is there.
    pub(super) fn of(answer: &Object) -> Option<Self> {
        let usage = answer.object("usageMetadata").ok()??;
        let count = |name: &str| usage.get::<u64>(name).ok().flatten().unwrap_or_default();
        let (input_tokens, output_tokens) = (count("promptTokenCount"), count("candidatesTokenCount"));
        Some(Self { input_tokens, output_tokens, total_tokens: input_tokens.saturating_add(output_tokens) })
    }
}

/// The images of either. Fails with what keeps them back if there is none.
pub fn drawn(body: Bytes, back: &Back) -> Translated {
    let answer = read(body)?;
    let mut found = Vec::new();
    let mut kept_back = None;
    for prediction in answer.objects("predictions").map_err(Broken::Malformed)? {
        match prediction.get("bytesBase64Encoded").ok().flatten() {
            Some(data) => found.push(Image::of(data)),
            None => kept_back = kept_back.or(prediction.get::<String>("raiFilteredReason").ok().flatten()),
        }
    }
    for candidate in answer.objects("candidates").map_err(Broken::Malformed)? {
        let content = candidate.object("content").map_err(Broken::Malformed)?.unwrap_or_default();
        for part in content.objects("parts").map_err(Broken::Malformed)? {
            let data = part.object("inlineData").ok().flatten().and_then(|data| data.get("data").ok().flatten());
            found.extend(data.map(Image::of));
        }
    }
    if found.is_empty() {
        let blocked = kept_back.map(|reason| refusal("no image", &reason)).or_else(|| blocked(&answer, "no image"));
        blocked.map_or(Ok(()), Err)?;
    }
    let mut answered = images(found, back)?;
    if let Some(tokens) = Tokens::of(&answer) {
        answered.set("usage", &tokens);
    }
    Ok(answered)
}
