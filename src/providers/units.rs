//! What operations consume that is not counted in tokens: images, characters, minutes, queries.

use bytes::Bytes;
use serde_json::value::RawValue;

use crate::call::{Call, Op, Usage};
use crate::wire::Object;

/// What a request consumes by what it asks for; `None` if only the answer tells.
pub fn asked(call: &Call) -> Option<Usage> {
    let json = call.body.json();
    match call.op {
        Op::Image | Op::ImageEdit | Op::ImageVariation => {
            let of_form = || call.body.form()?.text("n")?.trim().parse().ok();
            let images = json.map_or_else(of_form, |json| json.get::<u32>("n").ok().flatten()).unwrap_or(1);
            Some(Usage { images, ..Usage::default() })
        }
        Op::Speech => {
            let input: String = json?.get("input").ok().flatten()?;
            Some(Usage { characters: u32::try_from(input.chars().count()).ok()?, ..Usage::default() })
        }
        Op::Rerank => {
            let documents: Vec<&RawValue> = json?.get("documents").ok().flatten()?;
            let queries = u32::try_from(documents.len().div_ceil(DOCUMENTS)).ok()?;
            Some(Usage { queries, ..Usage::default() })
        }
        _ => None,
    }
}

/// The most documents of a query, as rankings are billed:
/// <https://docs.cohere.com/docs/how-does-cohere-pricing-work>, <https://cloud.google.com/generative-ai-app-builder/pricing>.
const DOCUMENTS: usize = 100;

/// What a whole answer says, with what its request asked for.
pub fn told(op: Op, answer: &Bytes, told: Option<Usage>, asked: Option<Usage>) -> Option<Usage> {
    let read = || Object::parse(answer.clone()).ok();
    let counted = match op {
        Op::Rerank => {
            let known = asked.map_or(1, |asked| asked.queries.max(1));
            Some(Usage { queries: queries(&read()?).unwrap_or(known), ..Usage::default() })
        }
        Op::Transcribe | Op::Translate => read()
            .and_then(|answer| answer.get::<f64>("duration").ok().flatten())
            .map(|seconds| Usage { millis: (seconds.max(0.0) * 1000.0) as u32, ..Usage::default() }),
        _ => asked,
    };
    both(told, counted)
}

/// What the provider says and what is known beside: of each count, what was said if anything was.
pub fn both(told: Option<Usage>, counted: Option<Usage>) -> Option<Usage> {
    let (Some(mut usage), Some(counted)) = (told, counted) else { return told.or(counted) };
    for (said, known) in [
        (&mut usage.images, counted.images),
        (&mut usage.characters, counted.characters),
        (&mut usage.millis, counted.millis),
        (&mut usage.queries, counted.queries),
    ] {
        if *said == 0 {
            *said = known;
        }
    }
    Some(usage)
}

/// The units that Cohere bills a ranking by.
fn queries(answer: &Object) -> Option<u32> {
    let billed = answer.object("meta").ok()??.object("billed_units").ok()??;
    billed.get::<f64>("search_units").ok()?.map(|units| units.max(0.0) as u32)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::call::Body;

    #[test]
    fn a_ranking_is_a_query_for_every_hundred_documents_unless_its_answer_says_otherwise() {
        let check = |documents: usize, answer: &'static str, expected: u32| {
            let body = serde_json::json!({"model": "m", "query": "q", "documents": vec!["d"; documents]}).to_string();
            let body = Body::Json(Object::parse(body.into()).expect("as the test has it"));
            let call = Call::new(Op::Rerank, body, "m".into(), "id".into(), Instant::now());
            let usage = told(Op::Rerank, &Bytes::from_static(answer.as_bytes()), None, asked(&call));
            assert_eq!(usage.map(|usage| usage.queries), Some(expected), "{documents} {answer}");
        };
        check(1, "{}", 1);
        check(100, "{}", 1);
        check(150, "{}", 2);
        check(0, "{}", 1);
        check(150, r#"{"meta":{"billed_units":{"search_units":7}}}"#, 7);
    }
}
