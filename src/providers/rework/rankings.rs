//! Rankings, as Cohere gives them.

use super::object;
use crate::wire::{Malformed, Object};

/// Results that are called data, as in lists of OpenAI's, with documents that are texts: Fireworks
/// <https://docs.fireworks.ai/api-reference/rerank-documents>.
pub fn results(body: &mut Object) -> Result<bool, Malformed> {
    let mut changed = body.has("data") && !body.has("results");
    if changed {
        body.rename("data", "results");
    }
    if !body.raw("results").is_some_and(|results| results.starts_with(b"[")) {
        return Ok(changed);
    }
    let (mut results, mut plain) = (body.objects("results")?, false);
    for result in &mut results {
        if let Some(text) = result.raw("document").filter(|document| document.starts_with(b"\"")) {
            let document = object(&[("text", text)]);
            result.set_raw("document", document);
            plain = true;
        }
    }
    if plain {
        body.set_objects("results", &results);
        changed = true;
    }
    Ok(changed)
}
