//! Embeddings over InvokeModel: Titan's, Nova's and Cohere's own bodies.
//!
//! <https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-titan-embed-text.html>,
//! <https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-embed.html>

use bytes::Bytes;
use serde_json::value::RawValue;

use super::json::{self, Json, Members, invalid};
use super::models;
use crate::wire::native::{Back, Loss, Refused, Request, Terms, Translated};
use crate::wire::openai::errors::{self, Complaint};
use crate::wire::openai::stream::Broken;
use crate::wire::{Malformed, Object};

/// The most texts that Cohere takes at once.
const MOST_TEXTS: usize = 96;

/// Translate an embeddings request. Fails on models that embed nothing, on token numbers, and on more texts than the
/// model takes at once: Titan and Nova take one.
pub fn request(ask: &Object, terms: &Terms<'_>) -> Result<Request, Refused> {
    let texts = texts(ask)?;
    let mut losses = Vec::new();
    let mut lose = |name: &str| losses.push(Loss { param: name.to_owned(), action: "dropped" });
    let dimensions = json::raw(ask, "dimensions");
    let (vendor, name) = models::base(terms.model).split_once('.').unwrap_or_default();
    let mut out = Json::with_capacity(ask.size() + 256);
    out.open(b'{');
    let extras: &[&str] = match (vendor, name) {
        ("cohere", name) => {
            if texts.len() > MOST_TEXTS {
                return Err(invalid("input", format!("must have at most {MOST_TEXTS} texts for this model")));
            }
            out.name("texts");
            out.open(b'[');
            texts.iter().for_each(|text| out.item(text));
            out.close(b']');
            out.member("input_type", json::raw(ask, "input_type").unwrap_or(r#""search_document""#));
            if let Some(truncate) = json::raw(ask, "truncate") {
                out.member("truncate", truncate);
            }
            match dimensions {
                Some(dimensions) if name.contains("v4") => out.member("output_dimension", dimensions),
                Some(_) => lose("dimensions"),
                None => {}
            }
            if name.contains("v4") {
                out.member("embedding_types", r#"["float"]"#);
            }
            &["input_type", "truncate"]
        }
        ("amazon", name) if name.starts_with("titan-embed") => {
            out.member("inputText", one(&texts)?);
            match dimensions {
                Some(dimensions) if name.starts_with("titan-embed-text-v2") => out.member("dimensions", dimensions),
                Some(dimensions) if name.starts_with("titan-embed-image") => {
                    out.name("embeddingConfig");
                    out.open(b'{');
                    out.member("outputEmbeddingLength", dimensions);
                    out.close(b'}');
                }
                Some(_) => lose("dimensions"),
                None => {}
            }
            if let Some(normalize) = json::raw(ask, "normalize") {
                out.member("normalize", normalize);
            }
            &["normalize"]
        }
        ("amazon", name) if name.contains("multimodal-embeddings") => {
            out.member("taskType", r#""SINGLE_EMBEDDING""#);
            out.name("singleEmbeddingParams");
            out.open(b'{');
            out.member("embeddingPurpose", json::raw(ask, "embedding_purpose").unwrap_or(r#""GENERIC_INDEX""#));
            if let Some(dimensions) = dimensions {
                out.member("embeddingDimension", dimensions);
            }
            out.name("text");
            out.open(b'{');
            out.member("truncationMode", r#""END""#);
            out.member("value", one(&texts)?);
            out.close(b'}');
            out.close(b'}');
            &["embedding_purpose"]
        }
        _ => return Err(Refused::Unsupported { param: "model".to_owned() }),
    };
    out.close(b'}');
    for (name, value) in ask.members() {
        let known = ["model", "input", "dimensions", "encoding_format"].contains(&name) || extras.contains(&name);
        if !(known || value == b"null") {
            lose(name);
        }
    }
    Ok(Request { body: out.0.into(), headers: Vec::new(), losses, back: Back::new(terms) })
}

/// The texts, as JSON strings.
fn texts(ask: &Object) -> Result<Vec<&str>, Refused> {
    let wrong = || invalid("input", "must be a text or an array of texts: this provider does not embed token numbers");
    let raw = json::raw(ask, "input").ok_or_else(|| invalid("input", "missing"))?;
    if raw.starts_with('"') {
        return Ok(vec![raw]);
    }
    let list: Vec<&RawValue> = json::parse(raw).map_err(|_| wrong())?;
    let texts: Vec<&str> = list.into_iter().map(RawValue::get).filter(|text| text.starts_with('"')).collect();
    let all = json::parse::<Vec<&RawValue>>(raw).is_ok_and(|list| list.len() == texts.len());
    if all && !texts.is_empty() { Ok(texts) } else { Err(wrong()) }
}

fn one<'a>(texts: &[&'a str]) -> Result<&'a str, Refused> {
    match texts {
        [text] => Ok(text),
        _ => Err(invalid("input", "must be one text: this model embeds one at a time")),
    }
}

/// Translate an answer. Fails if it is an error with a good status, or can't be read.
pub fn answer(body: Bytes, back: &Back) -> Translated {
    let whole = Members::of_body(&body).map_err(Broken::Malformed)?;
    let lists = vectors(&whole).ok_or_else(|| {
        let said = errors::read(&body);
        let nothing = said == Complaint::default();
        if nothing { Broken::Malformed(Malformed::new("an answer without embeddings")) } else { Broken::Said(said) }
    })?;
    let mut out = Json::with_capacity(body.len() + 256);
    out.open(b'{');
    out.member("object", r#""list""#);
    out.name("data");
    out.open(b'[');
    for (at, list) in lists.iter().enumerate() {
        out.open(b'{');
        out.member("object", r#""embedding""#);
        out.member("index", &at.to_string());
        out.member("embedding", list);
        out.close(b'}');
    }
    out.close(b']');
    out.member_text("model", &back.model);
    let billed = || {
        let meta = whole.object("meta")?;
        meta.object("billed_units")?.raw("input_tokens")
    };
    let tokens = whole.raw("inputTextTokenCount").or_else(|| whole.raw("inputTokenCount")).or_else(billed);
    if let Some(tokens) = tokens.and_then(|tokens| tokens.parse::<f64>().ok()) {
        let tokens = tokens.max(0.0) as u64;
        out.member("usage", &format!(r#"{{"prompt_tokens":{tokens},"total_tokens":{tokens}}}"#));
    }
    out.close(b'}');
    Object::parse(out.0.into()).map_err(Broken::Malformed)
}

/// The vectors, each as the array it came as.
fn vectors<'a>(whole: &Members<'a>) -> Option<Vec<&'a str>> {
    let list = |raw: &'a str| -> Option<Vec<&'a str>> {
        let items: Vec<&RawValue> = json::parse(raw).ok()?;
        Some(items.into_iter().map(RawValue::get).collect())
    };
    if let Some(one) = whole.raw("embedding") {
        return Some(vec![one]);
    }
    if let Some(one) = whole.object("embeddingsByType").and_then(|types| types.raw("float")) {
        return Some(vec![one]);
    }
    let raw = whole.raw("embeddings")?;
    if raw.starts_with('{') {
        return list(json::parse::<Members<'a>>(raw).ok()?.raw("float")?);
    }
    match json::parse::<Vec<Members<'a>>>(raw) {
        Ok(items) if !items.is_empty() => items.iter().map(|item| item.raw("embedding")).collect(),
        _ => list(raw),
    }
}
