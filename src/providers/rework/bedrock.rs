//! What a target says about Bedrock beside its keys, as the members that the translation reads.

use super::{given, json, object};
use crate::call::Error;
use crate::providers::spec::Notes;
use crate::wire::Object;

/// `base_model` tells what hides behind an ARN; `guardrail` and `guardrail_version` guard what names no guardrail itself.
pub fn target_options(body: &mut Object, notes: &mut Notes<'_>) -> Result<(), Error> {
    let get = |name| notes.settings.get(name).filter(|value| !value.is_empty());
    if let Some(base) = get("base_model").filter(|_| !given(body, "base_model")) {
        body.set_text("base_model", base);
    }
    let guarded = given(body, "guardrail_config") || given(body, "guardrailConfig");
    if let Some(guardrail) = get("guardrail").filter(|_| !guarded) {
        let (guardrail, version) = (json(guardrail), json(get("guardrail_version").unwrap_or("DRAFT")));
        let config = object(&[("guardrailIdentifier", &guardrail), ("guardrailVersion", &version)]);
        body.set_raw("guardrail_config", config);
    }
    Ok(())
}
