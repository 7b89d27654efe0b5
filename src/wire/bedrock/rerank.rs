//! Reranking: `POST /rerank` at `bedrock-agent-runtime`.
//!
//! <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_agent-runtime_Rerank.html>

use bytes::Bytes;
use serde_json::value::RawValue;

use super::json::{self, Json, Members, invalid};
use super::models;
use crate::wire::native::{Back, Loss, Refused, Request, Terms, Translated};
use crate::wire::openai::errors::{self, Complaint};
use crate::wire::openai::stream::Broken;
use crate::wire::{Malformed, Object};

/// Translate a rerank request (Cohere's v2 form). `region` is where the model is asked, part of its ARN. Fails without a
/// query or documents.
pub fn request(ask: &Object, terms: &Terms<'_>, region: &str) -> Result<Request, Refused> {
    let query = json::raw(ask, "query").filter(|query| query.starts_with('"'));
    let query = query.ok_or_else(|| invalid("query", "must be a text"))?;
    let documents: Vec<&RawValue> = match json::raw(ask, "documents") {
        Some(raw) => json::parse(raw).map_err(|_| invalid("documents", "must be an array"))?,
        None => return Err(invalid("documents", "missing")),
    };
    let mut out = Json::sized(ask.size() * 2);
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
    let known = ["model", "query", "documents", "top_n", "return_documents"];
    let lost = ask.members().filter(|(name, value)| !(known.contains(name) || *value == b"null"));
    let losses = lost.map(|(name, _)| Loss { param: name.to_owned(), action: "dropped" }).collect();
    Ok(Request { body: out.done().into(), headers: Vec::new(), losses, back: Back::new(terms) })
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
    let whole: Members<'_> = serde_json::from_slice(&body).map_err(|error| Broken::Malformed(error.into()))?;
    let Some(results) = whole.objects("results") else {
        let said = errors::read(&body);
        let nothing = said == Complaint::default();
        let malformed = || Broken::Malformed(Malformed::new("an answer without results"));
        return Err(if nothing { malformed() } else { Broken::Said(said) });
    };
    let score = |result: &Members<'_>| result.raw("relevanceScore").and_then(|raw| raw.parse::<f64>().ok());
    let mut results: Vec<(f64, &str, &str)> = results
        .iter()
        .filter_map(|result| Some((score(result)?, result.raw("index")?, result.raw("relevanceScore")?)))
        .collect();
    results.sort_by(|(one, ..), (other, ..)| other.total_cmp(one));
    let mut out = Json::sized(body.len() + 128);
    out.open(b'{');
    out.member_text("id", &back.id);
    out.name("results");
    out.open(b'[');
    for (_, index, score) in results {
        out.open(b'{');
        out.member("index", index);
        out.member("relevance_score", score);
        out.close(b'}');
    }
    out.close(b']');
    out.close(b'}');
    Object::parse(out.done().into()).map_err(Broken::Malformed)
}
