//! Usage that stands in another place, or counts in another way.

use super::{given, is, mentions};
use crate::wire::openai::usage;
use crate::wire::{Malformed, Object, Usage};

/// xAI counts reasoning beside the completion where OpenAI counts it inside, and may change that: the sum decides.
/// Likewise, cached tokens that are more than the prompt are not part of it.
pub fn inclusive(body: &mut Object) -> Result<bool, Malformed> {
    if !given(body, "usage") {
        return Ok(false);
    }
    let Some(mut wire) = body.object("usage")? else { return Ok(false) };
    let Some(read) = usage::read(body) else { return Ok(false) };
    let total: u64 = wire.get("total_tokens").ok().flatten().unwrap_or(0);
    let mut changed = false;
    if read.reasoning > 0 && total == read.prompt + read.completion + read.reasoning {
        wire.set("completion_tokens", &(read.completion + read.reasoning));
        changed = true;
    }
    if read.cached > read.prompt {
        wire.set("prompt_tokens", &(read.prompt + read.cached));
        changed = true;
    }
    if changed {
        body.set_raw("usage", wire.encode());
    }
    Ok(changed)
}

/// Moonshot's older models put the usage of a stream into its last choice.
pub fn out_of_choice(body: &mut Object) -> Result<bool, Malformed> {
    if given(body, "usage") || !body.raw("choices").is_some_and(|choices| mentions(choices, "\"usage\"")) {
        return Ok(false);
    }
    for choice in body.objects("choices")? {
        if let Some(usage) = choice.object("usage")? {
            body.set_raw("usage", usage.encode());
            return Ok(true);
        }
    }
    Ok(false)
}

/// Groq sends the usage of a stream in `x_groq` too, whether it was asked for or not.
pub fn groq(body: &Object) -> Option<Usage> {
    usage::read(body).or_else(|| usage::read(&body.object("x_groq").ok()??))
}

/// Frames of Cloudflare's own format among those of this dialect carry nothing but, at times, the usage.
pub fn native_frame(body: &mut Object) -> Result<bool, Malformed> {
    if !body.has("response") || body.has("choices") || body.has("data") {
        return Ok(false);
    }
    if is(body, "response", "\"\"") {
        body.remove("response");
        body.set_objects("choices", &[]);
        return Ok(true);
    }
    Ok(false)
}
