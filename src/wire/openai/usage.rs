//! The usage of an answer or event, in every spelling that servers of this dialect use.

use serde::Deserialize;

use crate::wire::{Object, Usage};

/// Counts come as integers nearly everywhere, as floats at a few hosts, and as `null` where nothing was counted.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Wire {
    prompt_tokens: Option<f64>,
    completion_tokens: Option<f64>,
    prompt_tokens_details: Option<Details>,
    completion_tokens_details: Option<Details>,
    prompt_cache_hit_tokens: Option<f64>,
    cached_tokens: Option<f64>,
    cache_read_input_tokens: Option<f64>,
    reasoning_tokens: Option<f64>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Details {
    cached_tokens: Option<f64>,
    reasoning_tokens: Option<f64>,
}

/// The member `usage` of a whole answer or an event; `None` if it is absent, `null` or unreadable.
pub fn read(body: &Object) -> Option<Usage> {
    parse(body.raw("usage")?)
}

/// A usage object on its own.
pub fn parse(raw: &[u8]) -> Option<Usage> {
    let wire: Option<Wire> = serde_json::from_slice(raw).ok()?;
    let wire = wire?;
    if wire.prompt_tokens.is_none() && wire.completion_tokens.is_none() {
        return None;
    }
    let prompt = wire.prompt_tokens_details.unwrap_or_default();
    let completion = wire.completion_tokens_details.unwrap_or_default();
    let most = |counts: [Option<f64>; 4]| counts.into_iter().flatten().fold(0.0, f64::max) as u64;
    Some(Usage {
        prompt: most([wire.prompt_tokens, None, None, None]),
        completion: most([wire.completion_tokens, None, None, None]),
        cached: most([
            prompt.cached_tokens,
            wire.prompt_cache_hit_tokens,
            wire.cached_tokens,
            wire.cache_read_input_tokens,
        ]),
        reasoning: most([completion.reasoning_tokens, wire.reasoning_tokens, None, None]),
        estimated: false,
    })
}

/// The usage in the last bytes of an answer that was too long to be held: the last member of that name that is one.
pub fn in_tail(tail: &[u8]) -> Option<Usage> {
    const NAME: &[u8] = b"\"usage\"";
    memchr::memmem::rfind_iter(tail, NAME).find_map(|at| {
        let rest = tail[at + NAME.len()..].trim_ascii_start().strip_prefix(b":")?;
        let mut values = serde_json::Deserializer::from_slice(rest).into_iter::<&serde_json::value::RawValue>();
        parse(values.next()?.ok()?.get().as_bytes())
    })
}
