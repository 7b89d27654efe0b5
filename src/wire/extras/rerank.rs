//! Rankings in other forms than Cohere's second one: requests and answers of those who score documents.

use bytes::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;

use super::{made, read, request, text};
use crate::wire::native::{Back, Loss, Refused, Request, Terms, Translated, invalid};
use crate::wire::openai::stream::Broken;
use crate::wire::{Malformed, Object};

/// What a request for a ranking says.
struct Asked {
    query: String,
    documents: Vec<String>,
    top: Option<u64>,
}

impl Asked {
    /// Read it. Fails on documents that are no texts.
    fn of(ask: &Object) -> Result<Self, Refused> {
        let wrong = |at: usize| invalid(format!("documents[{at}]"), "must be a text, or an object with a `text`");
        let raw: Vec<&RawValue> = ask.get("documents")?.unwrap_or_default();
        let mut documents = Vec::with_capacity(raw.len());
        for (at, document) in raw.iter().enumerate() {
            let text = match document.get().as_bytes().first() {
                Some(b'"') => serde_json::from_str(document.get()).ok(),
                _ => Object::parse(Bytes::copy_from_slice(document.get().as_bytes()))
                    .ok()
                    .and_then(|document| document.get::<String>("text").ok().flatten()),
            };
            documents.push(text.ok_or_else(|| wrong(at))?);
        }
        Ok(Self { query: text(ask, "query")?, documents, top: ask.get("top_n")? })
    }

    /// The way back: how many results are wanted, for vendors that give all.
    fn back(&self, terms: &Terms<'_>) -> Back {
        Back { most: self.top.map(|top| top as usize), ..Back::new(terms) }
    }
}

#[derive(Serialize)]
struct Scored {
    index: u64,
    relevance_score: f64,
}

#[derive(Serialize)]
struct Ranking<'a> {
    id: &'a str,
    model: &'a str,
    results: Vec<Scored>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Tokens>,
}

#[derive(Serialize)]
struct Tokens {
    prompt_tokens: u64,
    total_tokens: u64,
}

/// An id for a ranking that has none.
fn id(back: &Back) -> String {
    format!("rerank-{}", back.id.trim_start_matches("chatcmpl-"))
}

/// Scores by document, the best first and as many as are wanted.
fn sorted(scores: impl IntoIterator<Item = (u64, f64)>, tokens: Option<u64>, back: &Back) -> Translated {
    let mut results: Vec<Scored> =
        scores.into_iter().map(|(index, relevance_score)| Scored { index, relevance_score }).collect();
    results.sort_by(|a, b| b.relevance_score.total_cmp(&a.relevance_score));
    results.truncate(back.most.unwrap_or(usize::MAX));
    let usage = tokens.map(|tokens| Tokens { prompt_tokens: tokens, total_tokens: tokens });
    made(&Ranking { id: &id(back), model: &back.model, results, usage })
}

const KNOWN: &[&str] = &["query", "documents", "top_n", "return_documents"];

/// Cohere itself: <https://docs.cohere.com/reference/rerank>. Its second version gives no documents back.
pub fn cohere(ask: &Object, terms: &Terms<'_>) -> Result<Request, Refused> {
    let mut body = ask.clone();
    let mut losses = Vec::new();
    if body.remove("return_documents") && ask.raw("return_documents") == Some(b"true") {
        losses.push(Loss { param: "return_documents".to_owned(), action: "dropped" });
    }
    body.set_text("model", terms.model);
    Ok(Request { body: body.encode(), headers: Vec::new(), losses, back: Back::new(terms) })
}

/// An answer that has Cohere's form already, but for the model.
pub fn ranked(body: Bytes, back: &Back) -> Translated {
    let mut answer = read(body)?;
    if !answer.has("id") {
        answer.set_text("id", &id(back));
    }
    Ok(answer)
}

/// Cloudflare: <https://developers.cloudflare.com/workers-ai/models/bge-reranker-base/>.
pub fn cloudflare(ask: &Object, terms: &Terms<'_>) -> Result<Request, Refused> {
    #[derive(Serialize)]
    struct Text<'a> {
        text: &'a str,
    }
    #[derive(Serialize)]
    struct Body<'a> {
        query: &'a str,
        contexts: Vec<Text<'a>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        top_k: Option<u64>,
    }
    let asked = Asked::of(ask)?;
    let contexts = asked.documents.iter().map(|text| Text { text }).collect();
    let sent = request(ask, terms, &Body { query: &asked.query, contexts, top_k: asked.top }, KNOWN);
    Ok(Request { back: asked.back(terms), ..sent })
}

/// Cloudflare's answer, in its envelope or without.
pub fn of_cloudflare(body: Bytes, back: &Back) -> Translated {
    let answer = read(body)?;
    let inner = answer.object("result").map_err(Broken::Malformed)?.unwrap_or(answer);
    let scored = inner.objects("response").map_err(Broken::Malformed)?;
    scores(&scored, "id", "score").and_then(|scores| sorted(scores, None, back))
}

/// DeepInfra: <https://deepinfra.com/docs/advanced/rerank>.
pub fn deepinfra(ask: &Object, terms: &Terms<'_>) -> Result<Request, Refused> {
    #[derive(Serialize)]
    struct Body<'a> {
        queries: [&'a str; 1],
        documents: &'a [String],
    }
    let asked = Asked::of(ask)?;
    let body = Body { queries: [&asked.query], documents: &asked.documents };
    let sent = request(ask, terms, &body, KNOWN);
    Ok(Request { back: asked.back(terms), ..sent })
}

/// A score for each document, in their order.
pub fn of_deepinfra(body: Bytes, back: &Back) -> Translated {
    let answer = read(body)?;
    let scores: Option<Vec<f64>> = answer.get("scores").map_err(Broken::Malformed)?;
    let scores = scores.ok_or_else(|| Broken::Malformed(Malformed::new("the answer has no `scores`")))?;
    sorted((0..).zip(scores), answer.get("input_tokens").ok().flatten(), back)
}

/// NVIDIA's containers: <https://docs.nvidia.com/nim/nemo-retriever/text-reranking/latest/reference.html>.
pub fn nim(ask: &Object, terms: &Terms<'_>) -> Result<Request, Refused> {
    #[derive(Serialize)]
    struct Text<'a> {
        text: &'a str,
    }
    #[derive(Serialize)]
    struct Body<'a> {
        model: &'a str,
        query: Text<'a>,
        passages: Vec<Text<'a>>,
        truncate: &'static str,
    }
    let asked = Asked::of(ask)?;
    let passages = asked.documents.iter().map(|text| Text { text }).collect();
    let body = Body { model: terms.model, query: Text { text: &asked.query }, passages, truncate: "END" };
    let sent = request(ask, terms, &body, KNOWN);
    Ok(Request { back: asked.back(terms), ..sent })
}

/// Its logits, as chances.
pub fn of_nim(body: Bytes, back: &Back) -> Translated {
    let answer = read(body)?;
    let rankings = answer.objects("rankings").map_err(Broken::Malformed)?;
    let usage = answer.object("usage").map_err(Broken::Malformed)?;
    let tokens = usage.and_then(|usage| usage.get("total_tokens").ok().flatten());
    let logits = scores(&rankings, "index", "logit")?;
    sorted(logits.into_iter().map(|(index, logit)| (index, 1.0 / (1.0 + (-logit).exp()))), tokens, back)
}

/// Google's ranking API: <https://cloud.google.com/generative-ai-app-builder/docs/ranking>. It takes up to 200 records.
pub fn google(ask: &Object, terms: &Terms<'_>) -> Result<Request, Refused> {
    #[derive(Serialize)]
    struct Record<'a> {
        id: String,
        content: &'a str,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Body<'a> {
        model: &'a str,
        query: &'a str,
        records: Vec<Record<'a>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        top_n: Option<u64>,
        ignore_record_details_in_response: bool,
    }
    let asked = Asked::of(ask)?;
    let records = asked.documents.iter().enumerate().map(|(at, content)| Record { id: at.to_string(), content });
    let body = Body {
        model: terms.model,
        query: &asked.query,
        records: records.collect(),
        top_n: asked.top,
        ignore_record_details_in_response: true,
    };
    let sent = request(ask, terms, &body, KNOWN);
    Ok(Request { back: asked.back(terms), ..sent })
}

/// Its answer: the ids that were given, with their scores.
pub fn of_google(body: Bytes, back: &Back) -> Translated {
    let answer = read(body)?;
    let missing = || Broken::Malformed(Malformed::new("a record has no `id` of ours or no `score`"));
    let records = answer.objects("records").map_err(Broken::Malformed)?;
    let scores = records.iter().map(|record| {
        let id = record.get::<String>("id").ok().flatten().and_then(|id| id.parse().ok());
        id.zip(record.get("score").ok().flatten()).ok_or_else(missing)
    });
    sorted(scores.collect::<Result<Vec<_>, _>>()?, None, back)
}

/// Model Studio: <https://www.alibabacloud.com/help/en/model-studio/text-rerank-api>.
pub fn qwen(ask: &Object, terms: &Terms<'_>) -> Result<Request, Refused> {
    #[derive(Serialize)]
    struct Input<'a> {
        query: &'a str,
        documents: &'a [String],
    }
    #[derive(Serialize)]
    struct Parameters {
        #[serde(skip_serializing_if = "Option::is_none")]
        top_n: Option<u64>,
        return_documents: bool,
    }
    #[derive(Serialize)]
    struct Body<'a> {
        model: &'a str,
        input: Input<'a>,
        parameters: Parameters,
    }
    let asked = Asked::of(ask)?;
    let input = Input { query: &asked.query, documents: &asked.documents };
    let return_documents = ask.get("return_documents")?.unwrap_or_default();
    let parameters = Parameters { top_n: asked.top, return_documents };
    Ok(request(ask, terms, &Body { model: terms.model, input, parameters }, KNOWN))
}

/// Its answer: the same results a level deeper.
pub fn of_qwen(body: Bytes, back: &Back) -> Translated {
    let answer = read(body)?;
    let output = answer.object("output").map_err(Broken::Malformed)?;
    let mut ranking = output.ok_or_else(|| Broken::Malformed(Malformed::new("the answer has no `output`")))?;
    ranking.set_text("id", &id(back));
    ranking.set_text("model", &back.model);
    let usage = answer.object("usage").map_err(Broken::Malformed)?;
    if let Some(tokens) = usage.and_then(|usage| usage.get::<u64>("total_tokens").ok().flatten()) {
        ranking.set("usage", &Tokens { prompt_tokens: tokens, total_tokens: tokens });
    }
    Ok(ranking)
}

/// Document and score of each. Fails on those that have none.
fn scores(items: &[Object], index: &str, score: &str) -> Result<Vec<(u64, f64)>, Broken> {
    let missing = || Broken::Malformed(Malformed::new(format!("a result has no `{index}` or no `{score}`")));
    items
        .iter()
        .map(|item| {
            let (index, score) = (item.get(index).ok().flatten(), item.get(score).ok().flatten());
            index.zip(score).ok_or_else(missing)
        })
        .collect()
}
