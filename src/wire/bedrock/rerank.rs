//! Reranking: over InvokeModel where everything else is asked for, or `POST /rerank` at `bedrock-agent-runtime`.
//!
//! <https://docs.aws.amazon.com/bedrock/latest/userguide/model-card-cohere-rerank-3-5.html>,
//! <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_agent-runtime_Rerank.html>

use bytes::Bytes;
use serde_json::value::RawValue;

use super::json::{self, Json, Members, invalid};
use super::models;
use crate::wire::native::{Back, Loss, Refused, Request, Terms, Translated};
use crate::wire::openai::errors::{self, Complaint};
use crate::wire::openai::stream::Broken;
use crate::wire::{Malformed, Object};

/// Translate a rerank request (Cohere's v2 form) for InvokeModel. Fails without a query or documents.
pub fn invoked(ask: &Object, terms: &Terms<'_>) -> Result<Request, Refused> {
    let query = json::raw(ask, "query").filter(|query| query.starts_with('"'));
    let query = query.ok_or_else(|| invalid("query", "must be a text"))?;
    let documents: Vec<&RawValue> = match json::raw(ask, "documents") {
        Some(raw) => json::parse(raw).map_err(|_| invalid("documents", "must be an array"))?,
        None => return Err(invalid("documents", "missing")),
    };
    let mut out = Json::with_capacity(ask.size() + 64);
    out.open(b'{');
    out.member("query", query);
    out.name("documents");
    out.open(b'[');
    for (at, document) in documents.iter().enumerate() {
        let raw = document.get();
        let text = json::parse::<Members<'_>>(raw).ok().and_then(|members| members.raw("text"));
        match text.filter(|text| text.starts_with('"')) {
            Some(text) => out.item(text),
            None if raw.starts_with('"') => out.item(raw),
            // what has no text of its own is read as it is written
            None if raw.starts_with('{') => _ = out.text(raw),
            None => return Err(invalid(format!("documents[{at}]"), "must be a text or an object")),
        }
    }
    out.close(b']');
    if let Some(count) = json::raw(ask, "top_n") {
        out.member("top_n", count);
    }
    if models::base(terms.model).starts_with("cohere.") {
        out.member("api_version", "2");
    }
    out.close(b'}');
    Ok(Request { body: out.0.into(), headers: Vec::new(), losses: losses(ask), back: Back::new(terms) })
}

/// Members that have no counterpart there.
fn losses(ask: &Object) -> Vec<Loss> {
    let known = ["model", "query", "documents", "top_n"];
    let idle = |name: &str, value: &[u8]| value == b"null" || (name == "return_documents" && value == b"false");
    let lost = ask.members().filter(|(name, value)| !(known.contains(name) || idle(name, value)));
    lost.map(|(name, _)| Loss { param: name.to_owned(), action: "dropped" }).collect()
}

/// Translate a rerank request (Cohere's v2 form) for `POST /rerank`. `region` is where the model is asked, part of its ARN. Fails without a
/// query or documents.
pub fn request(ask: &Object, terms: &Terms<'_>, region: &str) -> Result<Request, Refused> {
    let query = json::raw(ask, "query").filter(|query| query.starts_with('"'));
    let query = query.ok_or_else(|| invalid("query", "must be a text"))?;
    let documents: Vec<&RawValue> = match json::raw(ask, "documents") {
        Some(raw) => json::parse(raw).map_err(|_| invalid("documents", "must be an array"))?,
        None => return Err(invalid("documents", "missing")),
    };
    let mut out = Json::with_capacity(ask.size() * 2);
    out.open(b'{');
    out.name("queries");
    out.open(b'[');
    out.open(b'{');
    out.member("type", r#""TEXT""#);
    text(&mut out, "textQuery", query);
    out.close(b'}');
    out.close(b']');
    out.name("sources");
    out.open(b'[');
    for (at, document) in documents.iter().enumerate() {
        out.open(b'{');
        out.member("type", r#""INLINE""#);
        out.name("inlineDocumentSource");
        out.open(b'{');
        let raw = document.get();
        let alone = json::parse::<Members<'_>>(raw).ok().filter(|members| members.iter().count() == 1);
        match alone.and_then(|members| members.raw("text")) {
            Some(inner) if inner.starts_with('"') => document_text(&mut out, inner),
            _ if raw.starts_with('"') => document_text(&mut out, raw),
            _ if raw.starts_with('{') => {
                out.member("type", r#""JSON""#);
                out.member("jsonDocument", raw);
            }
            _ => return Err(invalid(format!("documents[{at}]"), "must be a text or an object")),
        }
        out.close(b'}');
        out.close(b'}');
    }
    out.close(b']');
    let arn = match terms.model.starts_with("arn:") {
        true => terms.model.to_owned(),
        false => format!("arn:aws:bedrock:{region}::foundation-model/{}", models::base(terms.model)),
    };
    out.name("rerankingConfiguration");
    out.open(b'{');
    out.member("type", r#""BEDROCK_RERANKING_MODEL""#);
    out.name("bedrockRerankingConfiguration");
    out.open(b'{');
    if let Some(count) = json::raw(ask, "top_n") {
        out.member("numberOfResults", count);
    }
    out.name("modelConfiguration");
    out.open(b'{');
    out.member_text("modelArn", &arn);
    out.close(b'}');
    out.close(b'}');
    out.close(b'}');
    out.close(b'}');
    Ok(Request { body: out.0.into(), headers: Vec::new(), losses: losses(ask), back: Back::new(terms) })
}

fn document_text(out: &mut Json, raw: &str) {
    out.member("type", r#""TEXT""#);
    text(out, "textDocument", raw);
}

fn text(out: &mut Json, name: &str, raw: &str) {
    out.name(name);
    out.open(b'{');
    out.member("text", raw);
    out.close(b'}');
}

/// Translate an answer: results with the highest score first. Fails if it is an error with a good status, or can't be
/// read.
pub fn answer(body: Bytes, back: &Back) -> Translated {
    let whole = Members::of_body(&body).map_err(Broken::Malformed)?;
    let Some(results) = whole.objects("results") else {
        let said = errors::read(&body);
        let nothing = said == Complaint::default();
        let malformed = || Broken::Malformed(Malformed::new("an answer without results"));
        return Err(if nothing { malformed() } else { Broken::Said(said) });
    };
    let scored = |result: &Members<'_>| {
        let score = result.raw("relevance_score").or_else(|| result.raw("relevanceScore"))?;
        Some((score.parse::<f64>().ok()?, result.raw("index")?.to_owned(), score.to_owned()))
    };
    let mut results: Vec<(f64, String, String)> = results.iter().filter_map(scored).collect();
    results.sort_by(|(one, ..), (other, ..)| other.total_cmp(one));
    let mut out = Json::with_capacity(body.len() + 128);
    out.open(b'{');
    out.member_text("id", &format!("rerank-{}", back.id.trim_start_matches("chatcmpl-")));
    out.name("results");
    out.open(b'[');
    for (_, index, score) in results {
        out.open(b'{');
        out.member("index", &index);
        out.member("relevance_score", &score);
        out.close(b'}');
    }
    out.close(b']');
    out.close(b'}');
    Object::parse(out.0.into()).map_err(Broken::Malformed)
}
