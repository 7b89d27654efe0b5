//! Embeddings in other forms than OpenAI's: of Hugging Face's own backend, of Ollama, of Perplexity.

use bytes::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;

use super::{made, read, request, unbase64};
use crate::wire::native::{Back, Refused, Request, Terms, Translated, invalid};
use crate::wire::openai::errors;
use crate::wire::openai::stream::Broken;
use crate::wire::{Malformed, Object};

/// Hugging Face: <https://huggingface.co/docs/inference-providers/tasks/feature-extraction>.
pub fn hugging_face(ask: &Object, terms: &Terms<'_>) -> Result<Request, Refused> {
    #[derive(Serialize)]
    struct Body<'a> {
        inputs: Vec<&'a RawValue>,
        #[serde(skip_serializing_if = "Option::is_none")]
        normalize: Option<bool>,
        #[serde(skip_serializing_if = "Option::is_none")]
        truncate: Option<bool>,
        #[serde(skip_serializing_if = "Option::is_none")]
        prompt_name: Option<String>,
    }
    let body = Body {
        inputs: texts(ask)?,
        normalize: ask.get("normalize")?,
        truncate: ask.get("truncate")?,
        prompt_name: ask.get("prompt_name")?,
    };
    Ok(request(ask, terms, &body, &["input", "encoding_format", "normalize", "truncate", "prompt_name"]))
}

/// Ollama: <https://docs.ollama.com/api/embed>.
pub fn ollama(ask: &Object, terms: &Terms<'_>) -> Result<Request, Refused> {
    #[derive(Serialize)]
    struct Body<'a> {
        model: &'a str,
        input: Vec<&'a RawValue>,
        #[serde(skip_serializing_if = "Option::is_none")]
        truncate: Option<bool>,
        #[serde(skip_serializing_if = "Option::is_none")]
        dimensions: Option<u64>,
    }
    let (truncate, dimensions) = (ask.get("truncate")?, ask.get("dimensions")?);
    let body = Body { model: terms.model, input: texts(ask)?, truncate, dimensions };
    Ok(request(ask, terms, &body, &["input", "encoding_format", "truncate", "dimensions"]))
}

/// The inputs, each a text. Fails on token numbers: other tokenizers read other words out of them.
fn texts(ask: &Object) -> Result<Vec<&RawValue>, Refused> {
    let wrong = |param: String| invalid(param, "must be a text, not token numbers");
    let all: Vec<&RawValue> = match ask.raw("input").unwrap_or_default() {
        [b'[', ..] => ask.get("input")?.unwrap_or_default(),
        _ => ask.get("input")?.into_iter().collect(),
    };
    match all.iter().position(|input| !input.get().starts_with('"')) {
        Some(at) => Err(wrong(format!("input[{at}]"))),
        None => Ok(all),
    }
}

#[derive(Serialize)]
struct Vector<'a> {
    object: &'static str,
    index: usize,
    embedding: &'a RawValue,
}

#[derive(Serialize)]
struct Tokens {
    prompt_tokens: u64,
    total_tokens: u64,
}

fn vectors(all: &[&RawValue], tokens: Option<u64>, back: &Back) -> Translated {
    #[derive(Serialize)]
    struct List<'a> {
        object: &'static str,
        data: Vec<Vector<'a>>,
        model: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        usage: Option<Tokens>,
    }
    fn vector<'a>((index, embedding): (usize, &&'a RawValue)) -> Result<Vector<'a>, Broken> {
        let inner = embedding.get().strip_prefix('[').map(str::trim_start).unwrap_or_default();
        if inner.starts_with('[') {
            return Err(Broken::Malformed(Malformed::new("the model embeds each token, not the whole text")));
        }
        Ok(Vector { object: "embedding", index, embedding })
    }
    let data = all.iter().enumerate().map(vector).collect::<Result<Vec<_>, _>>()?;
    let usage = tokens.map(|tokens| Tokens { prompt_tokens: tokens, total_tokens: tokens });
    made(&List { object: "list", data, model: &back.model, usage })
}

/// Hugging Face's answer: nothing but the vectors.
pub fn of_hugging_face(body: Bytes, back: &Back) -> Translated {
    match serde_json::from_slice::<Vec<&RawValue>>(&body) {
        // one input may come back without a list around it
        Ok(all) if all.first().is_some_and(|first| first.get().starts_with('[')) => vectors(&all, None, back),
        Ok(_) => vectors(&[serde_json::from_slice(&body).map_err(|e| Broken::Malformed(e.into()))?], None, back),
        Err(_) => Err(Broken::Said(errors::read(&body))),
    }
}

/// Ollama's answer.
pub fn of_ollama(body: Bytes, back: &Back) -> Translated {
    let answer = read(body)?;
    let all: Option<Vec<&RawValue>> = answer.get("embeddings").map_err(Broken::Malformed)?;
    let all = all.ok_or_else(|| Broken::Malformed(Malformed::new("the answer has no `embeddings`")))?;
    vectors(&all, answer.get("prompt_eval_count").ok().flatten(), back)
}

/// Perplexity: <https://docs.perplexity.ai/api-reference/embeddings-post>. Its vectors come in base64 of bytes
/// (`base64_int8`) or of bits (`base64_binary`); who asks for one of these by its name gets it as it is.
pub fn perplexity(ask: &Object, terms: &Terms<'_>) -> Result<Request, Refused> {
    #[derive(Serialize)]
    struct Body<'a> {
        model: &'a str,
        input: Vec<&'a RawValue>,
        #[serde(skip_serializing_if = "Option::is_none")]
        dimensions: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        encoding_format: Option<String>,
    }
    let encoding_format = match ask.get::<String>("encoding_format")? {
        Some(format) if !matches!(format.as_str(), "float" | "base64") => Some(format),
        _ => None,
    };
    let own_form = encoding_format.is_some();
    let body = Body { model: terms.model, input: texts(ask)?, dimensions: ask.get("dimensions")?, encoding_format };
    let sent = request(ask, terms, &body, &["input", "encoding_format", "dimensions"]);
    Ok(Request { back: Back { own_form, ..Back::new(terms) }, ..sent })
}

/// Perplexity's answer: OpenAI's, but for the vectors, whose bytes become numbers from -128 to 127. They are not of
/// length one; what compares them by their angle does not mind.
pub fn of_perplexity(body: Bytes, back: &Back) -> Translated {
    let mut answer = read(body)?;
    if back.own_form {
        return Ok(answer);
    }
    let mut items = answer.objects("data").map_err(Broken::Malformed)?;
    for item in &mut items {
        let text: Option<String> = item.get("embedding").map_err(Broken::Malformed)?;
        let bytes = text.and_then(unbase64);
        let bytes = bytes.ok_or_else(|| Broken::Malformed(Malformed::new("an `embedding` is no base64")))?;
        let numbers: Vec<i8> = bytes.into_iter().map(u8::cast_signed).collect();
        item.set("embedding", &numbers);
    }
    answer.set_objects("data", &items);
    Ok(answer)
}
