//! Rankings, as Cohere gives them.

use crate::wire::{Malformed, Object};

/// Results that are called data, as in lists of OpenAI's.
pub fn results(body: &mut Object) -> Result<bool, Malformed> {
    let changes = body.has("data") && !body.has("results");
    if changes {
        body.rename("data", "results");
    }
    Ok(changes)
}
