//! Judgements of texts, as OpenAI gives them.

use serde_json::Value;

use crate::wire::{Malformed, Object};

/// A text is flagged if it falls into any category, where the host does not say.
pub fn flagged(body: &mut Object) -> Result<bool, Malformed> {
    let mut results = body.objects("results")?;
    let mut changed = false;
    for result in &mut results {
        if result.has("flagged") {
            continue;
        }
        let categories = result.object("categories")?.unwrap_or_default();
        let any = categories.members().any(|(_, value)| serde_json::from_slice(value).ok() == Some(Value::Bool(true)));
        result.set("flagged", &any);
        changed = true;
    }
    if changed {
        body.set_objects("results", &results);
    }
    Ok(changed)
}
