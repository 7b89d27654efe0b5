//! Error bodies: the shapes in which servers of this dialect, and the gateways in front of them, say no.

use serde_json::Value;

/// What an error body says, as far as it says anything.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Complaint {
    /// In words.
    pub message: Option<String>,
    /// The server's name for the kind of failure.
    pub kind: Option<String>,
    /// The server's name for this failure; numbers are written out.
    pub code: Option<String>,
    /// The parameter it blames.
    pub param: Option<String>,
    /// A status the body names, where the HTTP status does not tell.
    pub status: Option<u16>,
    /// Seconds to wait, as the body says (Hugging Face while a model loads, Google's `RetryInfo`, many in words).
    pub wait: Option<f64>,
}

/// Read an error body. Anything that is not JSON is kept as the message if it is short plain text.
pub fn read(body: &[u8]) -> Complaint {
    match serde_json::from_slice::<Value>(body) {
        Ok(value) => of_value(&value),
        Err(_) => Complaint { message: plain(body), ..Complaint::default() },
    }
}

/// Whether a 200 is none: it has an `error` and nothing that could be an answer.
pub fn inside(body: &crate::wire::Object) -> Option<Complaint> {
    let error = body.raw("error")?;
    let answers = |name: &str| match body.raw(name) {
        None | Some(b"null") => false,
        Some([b'[', items @ .., b']']) => !items.trim_ascii().is_empty(),
        Some(_) => true,
    };
    if error == b"null" || answers("choices") || answers("data") {
        return None;
    }
    // what can't be decoded (numbers without bounds, endless nesting) is an error without words
    Some(serde_json::from_slice(&body.encode()).map_or_else(|_| Complaint::default(), |value| of_value(&value)))
}

/// Whether a whole answer broke off: a choice of it has ended with `error`.
pub fn of_choices(body: &crate::wire::Object) -> Option<Complaint> {
    // rare, and worth a look only where it is spelled so
    memchr::memmem::find(body.raw("choices")?, b"\"error\"")?;
    let choices = body.objects("choices").ok()?;
    let broken = choices.iter().find(|choice| choice.raw("finish_reason") == Some(b"\"error\""))?;
    let said = read(&broken.encode());
    Some(if said.message.is_some() { said } else { of_broken(&body.encode()) })
}

/// What an answer says that ended with `error`: some say no more than that.
pub fn of_broken(body: &[u8]) -> Complaint {
    let said = read(body);
    Complaint { message: said.message.or_else(|| Some("the model broke off with an error".to_owned())), ..said }
}

fn of_value(value: &Value) -> Complaint {
    match value {
        // Google wraps the object in an array
        Value::Array(items) => items.first().map(of_value).unwrap_or_default(),
        Value::String(_) => Complaint { message: text(value), ..Complaint::default() },
        Value::Object(body) => {
            let inner = ["error", "detail", "fault"].iter().filter_map(|name| body.get(*name)).map(of_part);
            let mut found = inner.into_iter().find(|said| *said != Complaint::default()).unwrap_or_default();
            if let Some(Value::Array(errors)) = body.get("errors") {
                // Cloudflare's envelope
                let first = errors.first().map(of_value).unwrap_or_default();
                found.message = found.message.or(first.message);
                found.code = found.code.or(first.code);
            }
            let own = |name: &str| body.get(name).and_then(text);
            // OpenRouter keeps the vendor's own words in `metadata.raw`
            let raw = body.get("metadata").and_then(|m| m.get("raw")).and_then(text).map(|raw| read(raw.as_bytes()));
            // Mistral puts the list of validation errors there
            let message = match body.get("message") {
                Some(part @ (Value::Object(_) | Value::Array(_))) => of_part(part).message,
                _ => nested(own("message")),
            };
            let message = raw.and_then(|inner| inner.message).or(message).or_else(|| own("faultstring"));
            // some of AWS' services spell it so
            let message = message.or_else(|| own("Message"));
            found.message = found.message.or(message).or_else(|| own("title")).or_else(|| own("reason"));
            // a problem of RFC 9457 without a type of its own: the title is its name
            let kind = own("type").and_then(|kind| if kind == "about:blank" { own("title") } else { Some(kind) });
            found.kind = found.kind.or(kind).or_else(|| own("error_type"));
            // Google's name for the kind; elsewhere the HTTP status
            found.kind = found.kind.or_else(|| own("status").filter(|_| body["status"].is_string()));
            found.code = found.code.or_else(|| own("code")).or_else(|| own("error_code")).or_else(|| own("status"));
            // AWS names the exception behind its service: `com.amazon.coral.service#UnknownOperationException`
            let exception = || own("__type").map(|kind| kind.rsplit('#').next().unwrap_or_default().to_owned());
            found.code = found.code.or_else(exception);
            // Replicate lists the inputs that a model does not take so
            let field = |fields: &Value| fields.get(0)?.get("field").and_then(text);
            found.param = found.param.or_else(|| own("param")).or_else(|| field(body.get("invalid_fields")?));
            let number = |name: &str| u16::try_from(body.get(name)?.as_u64()?).ok().filter(|n| (400..600).contains(n));
            let numbers = ["code", "status", "status_code", "raw_status_code"];
            found.status = found.status.or_else(|| numbers.into_iter().find_map(number));
            found.wait = found
                .wait
                .or_else(|| body.get("estimated_time").and_then(Value::as_f64))
                .or_else(|| retry_info(body.get("details")?))
                .or_else(|| resets(found.message.as_deref()?));
            found
        }
        _ => Complaint::default(),
    }
}

/// What stands where most servers have an object or a text.
fn of_part(value: &Value) -> Complaint {
    match value {
        Value::Array(items) => Complaint { message: validation(items), ..Complaint::default() },
        other => of_value(other),
    }
}

/// Databricks and older vLLM put JSON into the message.
fn nested(message: Option<String>) -> Option<String> {
    let message = message?;
    if message.trim_start().starts_with('{') {
        return read(message.as_bytes()).message.or(Some(message));
    }
    Some(message)
}

/// FastAPI's list of validation errors, as `loc: msg; …`; others have texts in such lists.
fn validation(items: &[Value]) -> Option<String> {
    let lines: Vec<String> = items
        .iter()
        .filter_map(|item| {
            let message = item.get("msg").or_else(|| item.get("message")).unwrap_or(item);
            let message = text(message)?;
            let place = item.get("loc").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
            let place: Vec<String> = place.iter().filter_map(text).collect();
            Some(if place.is_empty() { message } else { format!("{}: {message}", place.join(".")) })
        })
        .collect();
    (!lines.is_empty()).then(|| lines.join("; "))
}

/// How long a server wants to be left alone, in its words: `Please try again in 1.2s` (OpenAI, Groq), `Please retry after
/// 3 seconds` (Azure), `… resets in ~6s` (Replicate). Seconds.
fn resets(message: &str) -> Option<f64> {
    const WORDS: [&str; 3] = ["try again in ", "retry after ", "resets in ~"];
    WORDS.iter().find_map(|words| {
        // nothing but ASCII is folded, so places stay what they are
        let at = message.to_ascii_lowercase().find(words)?;
        span(&message[at + words.len()..])
    })
}

/// The duration a text begins with: `350ms`, `1.2s`, `1m30s`, `6m0s`, `20 seconds`. Seconds.
fn span(mut text: &str) -> Option<f64> {
    // longer names first: each is the beginning of another
    const UNITS: [(&str, f64); 10] = [
        ("ms", 0.001),
        ("millisecond", 0.001),
        ("minute", 60.0),
        ("min", 60.0),
        ("m", 60.0),
        ("second", 1.0),
        ("s", 1.0),
        ("hour", 3600.0),
        ("h", 3600.0),
        ("d", 86_400.0),
    ];
    let mut total = None;
    loop {
        let digits = text.find(|char: char| !char.is_ascii_digit() && char != '.').unwrap_or(text.len());
        let Ok(number) = text[..digits].parse::<f64>() else { return total };
        let rest = &text[digits..];
        let rest = rest.strip_prefix(' ').unwrap_or(rest);
        let Some((name, unit)) = UNITS.iter().find(|(name, _)| rest.starts_with(name)) else { return total };
        total = Some(total.unwrap_or_default() + number * unit);
        text = &rest[name.len()..];
    }
}

/// Google's `RetryInfo` among the details: a duration such as `37s` or `1.5s`.
fn retry_info(details: &Value) -> Option<f64> {
    details.as_array()?.iter().find_map(|detail| detail.get("retryDelay")?.as_str()?.strip_suffix('s')?.parse().ok())
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// A short body that is text and not a web page.
fn plain(body: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?.trim();
    let page = text.starts_with('<');
    (!text.is_empty() && !page && text.len() <= 2048).then(|| text.to_owned())
}
