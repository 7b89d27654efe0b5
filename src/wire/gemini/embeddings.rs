//! Embeddings: Google's batches, Vertex AI's predictions, and what comes back of either.
//!
//! <https://ai.google.dev/api/embeddings>,
//! <https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/text-embeddings-api>

use std::borrow::Cow;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::Host;
use super::json::{Json, inside, invalid, is_null, malformed, text, unsupported};
use crate::wire::native::{Back, Loss, Refused, Request, Terms, Translated};
use crate::wire::openai::errors;
use crate::wire::openai::stream::Broken;
use crate::wire::{Malformed, Object};

/// How far the length of a vector may be from 1 before it is made so.
const SLACK: f64 = 1e-3;

/// What is asked for, beside the texts.
struct Wishes<'a> {
    task: Option<Cow<'a, str>>,
    title: Option<&'a [u8]>,
    dimensions: Option<&'a [u8]>,
    truncate: Option<&'a [u8]>,
    losses: Vec<Loss>,
}

impl<'a> Wishes<'a> {
    fn of(ask: &'a Object) -> Self {
        let mut wishes = Self { task: None, title: None, dimensions: None, truncate: None, losses: Vec::new() };
        for (name, value) in ask.members().filter(|(_, value)| !is_null(value)) {
            match name {
                "model" | "input" | "encoding_format" => {}
                "dimensions" => wishes.dimensions = Some(value),
                "task_type" | "taskType" => wishes.task = text(value),
                "input_type" => wishes.task = wishes.task.or_else(|| text(value).map(task)),
                "title" => wishes.title = Some(value),
                "auto_truncate" | "autoTruncate" => wishes.truncate = Some(value),
                _ => wishes.losses.push(Loss { param: name.to_owned(), action: "dropped" }),
            }
        }
        wishes
    }
}

/// Cohere's and NVIDIA's words for what a text is, in Google's.
fn task(kind: Cow<'_, str>) -> Cow<'_, str> {
    match kind.as_ref() {
        "query" | "search_query" => Cow::Borrowed("RETRIEVAL_QUERY"),
        "document" | "search_document" | "passage" => Cow::Borrowed("RETRIEVAL_DOCUMENT"),
        "classification" => Cow::Borrowed("CLASSIFICATION"),
        "clustering" => Cow::Borrowed("CLUSTERING"),
        _ => kind,
    }
}

/// The texts, as JSON strings. Fails on token numbers: other tokenizers would read other words out of them.
fn inputs(ask: &Object) -> Result<Vec<&[u8]>, Refused> {
    let Some(raw) = ask.raw("input") else { return invalid("input", "is missing") };
    if inside(raw).is_some() {
        return Ok(vec![raw]);
    }
    let items: Vec<&RawValue> = serde_json::from_slice(raw).map_err(Malformed::from)?;
    for (at, item) in items.iter().enumerate() {
        match item.get().as_bytes().first() {
            Some(b'"') => {}
            Some(b'{') => return unsupported(format!("input[{at}]")),
            _ => return unsupported("input"),
        }
    }
    Ok(items.into_iter().map(|item| item.get().as_bytes()).collect())
}

/// Translate a request: for `batchEmbedContents`; on Vertex AI for `predict`, or `embedContent` for the models of
/// [`takes_one`]. Fails on inputs that are no texts.
pub fn request(ask: &Object, terms: &Terms<'_>, host: Host) -> Result<Request, Refused> {
    match host {
        Host::Api => batch(ask, terms),
        Host::Vertex => vertex(ask, terms),
    }
}

fn batch(ask: &Object, terms: &Terms<'_>) -> Result<Request, Refused> {
    let wishes = Wishes::of(ask);
    let texts = inputs(ask)?;
    let mut body = Json::with_capacity(ask.size() + texts.len() * 128 + 32);
    body.raw(r#"{"requests":["#);
    for text in texts {
        body.next().raw("{").name("model").text(&format!("models/{}", terms.model));
        body.name("content").raw(r#"{"parts":[{"text":"#).raw(text).raw("}]}");
        if let Some(task) = &wishes.task {
            body.name("taskType").text(task);
        }
        if let Some(title) = wishes.title {
            body.name("title").raw(title);
        }
        if let Some(dimensions) = wishes.dimensions {
            body.name("outputDimensionality").raw(dimensions);
        }
        body.raw("}");
    }
    body.raw("]}");
    Ok(finished(body, terms, wishes.losses))
}

fn vertex(ask: &Object, terms: &Terms<'_>) -> Result<Request, Refused> {
    let wishes = Wishes::of(ask);
    let texts = inputs(ask)?;
    let mut body = Json::with_capacity(ask.size() + texts.len() * 64 + 64);
    body.raw("{");
    let mut parameters = Json::default();
    if let Some(dimensions) = wishes.dimensions {
        parameters.name("outputDimensionality").raw(dimensions);
    }
    if let Some(truncate) = wishes.truncate {
        parameters.name("autoTruncate").raw(truncate);
    }
    if takes_one(terms.model) {
        let [text] = texts.as_slice() else { return invalid("input", "must be one text for this model") };
        body.name("content").raw(r#"{"role":"user","parts":[{"text":"#).raw(text).raw("}]}");
        if let Some(task) = &wishes.task {
            parameters.name("taskType").text(task);
        }
        if let Some(title) = wishes.title {
            parameters.name("title").raw(title);
        }
        if !parameters.is_empty() {
            body.name("embedContentConfig").raw("{").raw(&parameters.0).raw("}");
        }
    } else {
        body.name("instances").raw("[");
        for text in texts {
            body.next().raw("{").name("content").raw(text);
            if let Some(task) = &wishes.task {
                body.name("task_type").text(task);
            }
            if let Some(title) = wishes.title {
                body.name("title").raw(title);
            }
            body.raw("}");
        }
        body.raw("]");
        if !parameters.is_empty() {
            body.name("parameters").raw("{").raw(&parameters.0).raw("}");
        }
    }
    body.raw("}");
    Ok(finished(body, terms, wishes.losses))
}

/// Whether Vertex AI serves a model by `embedContent`, which takes one text.
pub fn takes_one(model: &str) -> bool {
    model.contains("gemini") && !model.contains("gemini-embedding-001")
}

fn finished(body: Json, terms: &Terms<'_>, losses: Vec<Loss>) -> Request {
    Request { body: body.0.into(), headers: Vec::new(), losses, back: Back::new(terms) }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer<'a> {
    #[serde(borrow, default)]
    embeddings: Option<Vec<Embedding<'a>>>,
    #[serde(borrow, default)]
    embedding: Option<Embedding<'a>>,
    #[serde(borrow, default)]
    predictions: Option<Vec<Prediction<'a>>>,
    #[serde(default)]
    usage_metadata: Option<Counts>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Embedding<'a> {
    #[serde(borrow)]
    values: &'a RawValue,
    #[serde(default)]
    statistics: Option<Statistics>,
}

#[derive(Deserialize)]
struct Statistics {
    #[serde(default, alias = "tokenCount")]
    token_count: Option<f64>,
}

#[derive(Deserialize)]
struct Prediction<'a> {
    #[serde(borrow)]
    embeddings: Embedding<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Counts {
    #[serde(default)]
    prompt_token_count: Option<u64>,
}

/// Translate an answer of any of the three. Fails if it is none.
pub fn answer(body: Bytes, back: &Back) -> Translated {
    let read: Answer<'_> = serde_json::from_slice(&body).map_err(malformed)?;
    if read.error.is_some() {
        return Err(Broken::Said(errors::read(&body)));
    }
    let predicted = read.predictions.map(|all| all.into_iter().map(|one| one.embeddings).collect());
    let Some(all) = read.embeddings.or(predicted).or(read.embedding.map(|one| vec![one])) else {
        return Err(Broken::Malformed(Malformed::new("an answer without embeddings")));
    };
    let mut json = Json::with_capacity(body.len() + 256);
    json.raw("{").name("object").text("list").name("data").raw("[");
    let mut tokens = None;
    for (at, one) in all.iter().enumerate() {
        json.next().raw("{").name("object").text("embedding").name("index").number(at as u64);
        json.name("embedding").raw(&unit(one.values.get())?).raw("}");
        let counted = one.statistics.as_ref().and_then(|statistics| statistics.token_count);
        if let Some(count) = counted.filter(|count| count.is_finite()) {
            tokens = Some(tokens.unwrap_or(0.0) + count.max(0.0));
        }
    }
    json.raw("]").name("model").text(&back.model);
    let counted = read.usage_metadata.and_then(|counts| counts.prompt_token_count);
    if let Some(prompt) = counted.or(tokens.map(|count| count as u64)) {
        json.name("usage").raw("{").name("prompt_tokens").number(prompt);
        json.name("total_tokens").number(prompt).raw("}");
    }
    json.raw("}");
    Object::parse(json.0.into()).map_err(Broken::Malformed)
}

/// A vector of length 1: what was cut to fewer dimensions is not.
fn unit(raw: &str) -> Result<Cow<'_, [u8]>, Broken> {
    let values: Vec<f64> = serde_json::from_str(raw).map_err(malformed)?;
    let length = values.iter().map(|value| value * value).sum::<f64>().sqrt();
    if (length - 1.0).abs() < SLACK || length == 0.0 || !length.is_finite() {
        return Ok(Cow::Borrowed(raw.as_bytes()));
    }
    let mut json = Json::with_capacity(raw.len());
    json.raw("[");
    for value in values {
        let number = (value / length) as f32;
        json.next().raw(serde_json::to_vec(&number).expect("a finite number always encodes"));
    }
    json.raw("]");
    Ok(Cow::Owned(json.0))
}
