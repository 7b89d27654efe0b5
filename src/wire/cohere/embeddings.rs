//! OpenAI's embeddings as Cohere's, and back.

use bytes::{BufMut, Bytes, BytesMut};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::wire::Object;
use crate::wire::native::{Back, Loss, Refused, Request, Terms, Translated, invalid};
use crate::wire::openai::errors;
use crate::wire::openai::stream::Broken;

/// The body of `POST /v2/embed`. Fails on token numbers, which another tokenizer made.
pub fn request(ask: &Object, terms: &Terms<'_>) -> Result<Request, Refused> {
    let mut out = Object::default();
    let mut losses = Vec::new();
    out.set_text("model", terms.model);
    let (name, input) = input(ask.raw("input").unwrap_or_default())?;
    out.set_raw(name, input);
    out.set("input_type", &"search_document");
    out.set("embedding_types", &["float"]);
    for (name, value) in ask.members().filter(|(_, value)| *value != b"null") {
        let raw = || Bytes::copy_from_slice(value);
        match name {
            "model" | "input" | "stream" => {}
            "encoding_format" if value == br#""base64""# => out.set("embedding_types", &["base64"]),
            "encoding_format" => {}
            "dimensions" => out.set_raw("output_dimension", raw()),
            "input_type" => out.set_raw("input_type", raw()),
            "truncate" => out.set_raw("truncate", raw()),
            "max_tokens" => out.set_raw("max_tokens", raw()),
            "priority" => out.set_raw("priority", raw()),
            lost => losses.push(Loss { param: lost.to_owned(), action: "dropped" }),
        }
    }
    Ok(Request { body: out.encode(), headers: Vec::new(), losses, back: Back::new(terms) })
}

/// The inputs, and what the member is called: texts, or objects of text and images as Cohere has them.
fn input(given: &[u8]) -> Result<(&'static str, Bytes), Refused> {
    let refused = |message: &str| invalid("input", message);
    let first = given.strip_prefix(b"[").map(<[u8]>::trim_ascii_start).and_then(<[u8]>::first);
    match (given.first(), first) {
        (Some(b'"'), _) => Ok(("texts", [b"[", given, b"]"].concat().into())),
        (_, Some(b'"')) => Ok(("texts", Bytes::copy_from_slice(given))),
        (_, Some(b'{')) => Ok(("inputs", Bytes::copy_from_slice(given))),
        (_, Some(b'[' | b'0'..=b'9')) => Err(refused("this provider embeds text, not token numbers")),
        _ => Err(refused("a text, or an array of texts, is expected here")),
    }
}

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow, default)]
    embeddings: Option<Vectors<'a>>,
    #[serde(borrow, default)]
    meta: Option<Meta<'a>>,
}

#[derive(Deserialize)]
struct Vectors<'a> {
    #[serde(borrow, default)]
    float: Option<Vec<&'a RawValue>>,
    #[serde(borrow, default)]
    base64: Option<Vec<&'a RawValue>>,
}

#[derive(Deserialize)]
struct Meta<'a> {
    #[serde(borrow, default)]
    billed_units: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
struct Units {
    #[serde(default)]
    input_tokens: Option<f64>,
}

/// An answer of `POST /v2/embed`. Fails on what holds no vectors.
pub fn answer(body: Bytes, back: &Back) -> Translated {
    let read: Answer<'_> = serde_json::from_slice(&body).map_err(|error| Broken::Malformed(error.into()))?;
    let vectors = read.embeddings.and_then(|vectors| vectors.float.or(vectors.base64));
    let Some(vectors) = vectors else { return Err(Broken::Said(errors::read(&body))) };
    let mut data = BytesMut::with_capacity(body.len());
    data.put_u8(b'[');
    for (at, vector) in vectors.iter().enumerate() {
        let comma = if at > 0 { "," } else { "" };
        data.put_slice(format!(r#"{comma}{{"object":"embedding","index":{at},"embedding":"#).as_bytes());
        data.put_slice(vector.get().as_bytes());
        data.put_u8(b'}');
    }
    data.put_u8(b']');
    let mut out = Object::default();
    out.set("object", &"list");
    out.set_raw("data", data.freeze());
    out.set_text("model", &back.model);
    let billed = read.meta.and_then(|meta| meta.billed_units);
    let units: Units = billed.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default();
    let tokens = units.input_tokens.unwrap_or_default().max(0.0) as u64;
    let mut usage = Object::default();
    usage.set("prompt_tokens", &tokens);
    usage.set("total_tokens", &tokens);
    if let Some(billed) = billed {
        usage.set("billed_units", &billed);
    }
    out.set_raw("usage", usage.encode());
    Ok(out)
}
