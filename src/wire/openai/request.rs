//! What the gateway itself must know of a request, and the few rules it judges by.

use std::borrow::Cow;

use crate::wire::multipart::{Form, Part};
use crate::wire::{Object, Op};

/// The members of a request that decide what happens to it.
#[derive(Debug, PartialEq, Eq)]
pub struct Asked<'a> {
    /// The model's name.
    pub model: Cow<'a, str>,
    /// Whether the answer shall be streamed.
    pub stream: bool,
    /// Whether the usage event of a stream was asked for.
    pub wants_usage: bool,
}

/// The model of OpenAI that judges where none is named, there as here.
const MODERATION: &str = "omni-moderation-latest";

/// What moderation is about.
const INPUT: &str = "a text, or an array of texts and images";

/// A member that is missing or out of range.
#[derive(Debug, PartialEq, Eq)]
pub struct Wrong {
    /// The member.
    pub param: &'static str,
    /// What is wrong and what would be right.
    pub message: String,
}

fn wrong<T>(param: &'static str, message: impl Into<String>) -> Result<T, Wrong> {
    Err(Wrong { param, message: message.into() })
}

/// Read a chat request. Everything but these ranges is the provider's to judge.
pub fn chat(body: &Object) -> Result<Asked<'_>, Wrong> {
    match body.raw("messages").map(<[u8]>::trim_ascii) {
        Some([b'[', inner @ .., b']']) if !inner.trim_ascii().is_empty() => {}
        Some([b'[', ..]) => return wrong("messages", "`messages` is empty: it needs at least one message"),
        Some(_) => return wrong("messages", "`messages` must be an array of messages"),
        None => return wrong("messages", "`messages` is missing: it needs at least one message"),
    }
    sampling(body)?;
    asked(body)
}

/// Read a request for a text completion.
pub fn completion(body: &Object) -> Result<Asked<'_>, Wrong> {
    sampling(body)?;
    asked(body)
}

/// Read a request for embeddings.
pub fn embedding(body: &Object) -> Result<Asked<'_>, Wrong> {
    match body.raw("input") {
        None | Some(b"null") => wrong("input", "`input` is missing: a string, an array of strings, or token ids"),
        Some(b"[]") => wrong("input", "`input` is empty"),
        Some(_) => asked(body),
    }
}

/// Read a request of any operation that takes a JSON object.
pub fn of(op: Op, body: &Object) -> Result<Asked<'_>, Wrong> {
    match op {
        Op::Chat => chat(body),
        Op::Complete => completion(body),
        Op::Embed => embedding(body),
        Op::Speech => needs(body, "input", "the text to be spoken"),
        Op::Image => needs(body, "prompt", "what the image shall show"),
        Op::Moderate if matches!(body.raw("model"), None | Some(b"null")) => {
            has(body, "input", INPUT)?;
            Ok(Asked { model: Cow::Borrowed(MODERATION), stream: false, wants_usage: false })
        }
        Op::Moderate => needs(body, "input", INPUT),
        Op::Rerank => {
            needs(body, "query", "a text")?;
            match body.raw("documents") {
                None | Some(b"null") => wrong("documents", "`documents` is missing: an array of texts"),
                Some(b"[]") => wrong("documents", "`documents` is empty"),
                Some([b'[', ..]) => asked(body),
                Some(_) => wrong("documents", "`documents` must be an array of texts"),
            }
        }
        _ => asked(body),
    }
}

/// A body that has this member, and a model.
fn needs<'a>(body: &'a Object, param: &'static str, what: &str) -> Result<Asked<'a>, Wrong> {
    has(body, param, what)?;
    asked(body)
}

fn has(body: &Object, param: &'static str, what: &str) -> Result<(), Wrong> {
    match body.raw(param) {
        None | Some(b"null") => wrong(param, format!("`{param}` is missing: {what}")),
        Some(b"\"\"" | b"[]") => wrong(param, format!("`{param}` is empty")),
        Some(_) => Ok(()),
    }
}

/// Read a form. Fields that stand for a file elsewhere, as some servers have them, do as well as a file.
pub fn form(form: &Form) -> Result<Asked<'_>, Wrong> {
    const ELSEWHERE: [&str; 4] = ["url", "file_url", "file_id", "image_url"];
    let model = match form.text("model").map(str::trim) {
        None => return wrong("model", "`model` is missing"),
        Some("") => return wrong("model", "`model` is empty"),
        Some(model) => Cow::Borrowed(model),
    };
    let is_file = |part: &Part| part.filename.is_some() || ELSEWHERE.contains(&part.name.as_str());
    if !form.parts().iter().any(is_file) {
        return wrong("file", "the form has no file");
    }
    let stream = match form.text("stream").map(str::trim) {
        None | Some("" | "false" | "False" | "0") => false,
        Some("true" | "True" | "1") => true,
        Some(_) => return wrong("stream", "`stream` must be true or false"),
    };
    Ok(Asked { model, stream, wants_usage: false })
}

fn asked(body: &Object) -> Result<Asked<'_>, Wrong> {
    let model = match body.raw("model") {
        None | Some(b"null") => return wrong("model", "`model` is missing"),
        Some([b'"', inner @ .., b'"']) if !inner.contains(&b'\\') => match std::str::from_utf8(inner) {
            Ok(model) => Cow::Borrowed(model),
            Err(_) => return wrong("model", "`model` must be a string"),
        },
        Some(raw) => match serde_json::from_slice::<String>(raw) {
            Ok(model) => Cow::Owned(model),
            Err(_) => return wrong("model", "`model` must be a string"),
        },
    };
    if model.chars().all(char::is_whitespace) {
        return wrong("model", "`model` is empty");
    }
    let stream = match body.raw("stream") {
        None | Some(b"null" | b"false") => false,
        Some(b"true") => true,
        Some(_) => return wrong("stream", "`stream` must be true or false"),
    };
    let wants_usage = stream
        && match body.object("stream_options") {
            Ok(Some(options)) => options.raw("include_usage") == Some(b"true"),
            Ok(None) => false,
            Err(_) => return wrong("stream_options", "`stream_options` must be an object"),
        };
    Ok(Asked { model, stream, wants_usage })
}

fn sampling(body: &Object) -> Result<(), Wrong> {
    for (name, value) in body.raw_members() {
        let (param, low, high) = match name {
            b"temperature" => ("temperature", 0.0, 2.0),
            b"top_p" => ("top_p", 0.0, 1.0),
            b"presence_penalty" => ("presence_penalty", -2.0, 2.0),
            b"frequency_penalty" => ("frequency_penalty", -2.0, 2.0),
            b"max_tokens" => ("max_tokens", 1.0, f64::MAX),
            b"max_completion_tokens" => ("max_completion_tokens", 1.0, f64::MAX),
            b"stop" => {
                stop(value)?;
                continue;
            }
            _ => continue,
        };
        if value == b"null" {
            continue;
        }
        let Some(number) = short(value).or_else(|| serde_json::from_slice::<f64>(value).ok()) else {
            return wrong(param, format!("`{param}` must be a number"));
        };
        if !(low..=high).contains(&number) {
            let range = if high == f64::MAX { "at least 1".to_owned() } else { format!("from {low} to {high}") };
            return wrong(param, format!("`{param}` is {number}: it must be {range}"));
        }
    }
    Ok(())
}

/// A short decimal number without sign and exponent, as nearly all are, to the last bit but one.
fn short(value: &[u8]) -> Option<f64> {
    let (mut digits, mut scale) = (0_u32, 0_u32);
    for (at, byte) in value.iter().enumerate() {
        match byte {
            b'0'..=b'9' if at < 9 => {
                digits = digits * 10 + u32::from(byte - b'0');
                scale *= 10;
            }
            b'.' if at > 0 && at + 1 < value.len() && scale == 0 => scale = 1,
            _ => return None,
        }
    }
    let leads = value.len() > 1 && value[0] == b'0' && value[1] != b'.';
    (!value.is_empty() && !leads).then(|| f64::from(digits) / f64::from(scale.max(1)))
}

fn stop(value: &[u8]) -> Result<(), Wrong> {
    let fits = match value.first() {
        Some(b'"') => true,
        Some(b'[') => serde_json::from_slice::<Vec<Cow<'_, str>>>(value).is_ok(),
        _ => value == b"null",
    };
    if fits { Ok(()) } else { wrong("stop", "`stop` must be a string or an array of strings") }
}
