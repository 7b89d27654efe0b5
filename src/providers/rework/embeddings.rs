//! Changes of embeddings: requests of hosts with narrower ideas, and base64 where only numbers come.

use serde::Deserialize;

use super::{given, invalid, is};
use crate::call::{Call, Error, Op};
use crate::providers::spec::{Notes, Spec};
use crate::wire::{Malformed, Object};

/// Text only: other tokenizers would read other words out of OpenAI's token numbers.
pub fn text_only(body: &mut Object, _: &mut Notes<'_>) -> Result<(), Error> {
    let Some(input) = body.raw("input") else { return Ok(()) };
    let inside = input.strip_prefix(b"[").map(<[u8]>::trim_ascii_start);
    if inside.is_some_and(|inside| inside.starts_with(b"[") || inside.first().is_some_and(u8::is_ascii_digit)) {
        return Err(invalid("input", "this provider embeds text, not token numbers"));
    }
    Ok(())
}

/// Models with one embedding for questions and another for passages must be told which; questions are the default.
pub fn query_by_default(body: &mut Object, _: &mut Notes<'_>) -> Result<(), Error> {
    if !given(body, "input_type") {
        body.set("input_type", &"query");
    }
    Ok(())
}

/// Whether a caller wants base64 of a provider that has numbers only: [`to_base64`] makes it, and the provider is not told.
pub fn wants_base64(spec: &Spec, call: &Call) -> bool {
    spec.floats_only
        && call.op == Op::Embed
        && call.body.json().is_some_and(|body| is(body, "encoding_format", r#""base64""#))
}

/// Numbers become base64 of little-endian 32-bit floats, as OpenAI has it. Fails if they are no numbers.
pub fn to_base64(body: &mut Object) -> Result<bool, Malformed> {
    #[derive(Deserialize)]
    struct Numbers(Vec<f32>);
    let mut items = body.objects("data")?;
    let mut changed = false;
    for item in &mut items {
        if !item.raw("embedding").is_some_and(|raw| raw.starts_with(b"[")) {
            continue;
        }
        if let Some(Numbers(numbers)) = item.get("embedding")? {
            let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
            item.set("embedding", &base64(&bytes));
            changed = true;
        }
    }
    if changed {
        body.set_objects("data", &items);
    }
    Ok(changed)
}

/// Base64 with padding, RFC 4648 section 4.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let word = group.iter().chain([0, 0].iter()).take(3).fold(0_u32, |word, byte| word << 8 | u32::from(*byte));
        for digit in 0..4 {
            let character = match digit <= group.len() {
                true => DIGITS[(word >> (18 - 6 * digit)) as usize & 63],
                false => b'=',
            };
            out.push(char::from(character));
        }
    }
    out
}
