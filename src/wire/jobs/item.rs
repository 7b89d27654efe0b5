//! One line of a batch: of its input, and of its results
//! (<https://platform.openai.com/docs/guides/batch>, <https://platform.openai.com/docs/api-reference/batch/request-input>).

use bytes::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::wire::native::hash;
use crate::wire::{Dialect, Malformed, Object, Op};

/// Characters of a text of the caller's that an explanation repeats.
const REPEATED: usize = 64;

/// What a line may ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Endpoint {
    /// A chat completion.
    #[default]
    Chat,
    /// Embeddings.
    Embeddings,
}

impl Endpoint {
    /// As a path.
    pub fn path(self) -> &'static str {
        match self {
            Endpoint::Chat => "/v1/chat/completions",
            Endpoint::Embeddings => "/v1/embeddings",
        }
    }

    /// The one of this path.
    pub fn of(path: &str) -> Option<Self> {
        [Endpoint::Chat, Endpoint::Embeddings].into_iter().find(|endpoint| endpoint.path() == path)
    }

    /// The operation.
    pub fn op(self) -> Op {
        match self {
            Endpoint::Chat => Op::Chat,
            Endpoint::Embeddings => Op::Embed,
        }
    }
}

/// A request of a batch.
#[derive(Debug)]
pub struct Item {
    /// What the caller calls it.
    pub custom_id: String,
    /// What it asks for.
    pub endpoint: Endpoint,
    /// What is asked, in OpenAI's words.
    pub body: Object,
    /// Members of the line that nobody knows.
    pub strange: Vec<String>,
}

/// The same as the provider is asked for it.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// What the caller calls it.
    pub custom_id: &'a str,
    /// What it asks for.
    pub endpoint: Endpoint,
    /// The provider's own name for the model.
    pub model: &'a str,
    /// The wire format of `body`.
    pub dialect: Dialect,
    /// What would be sent if it were asked for at once.
    pub body: &'a [u8],
}

/// Read a line of input that asks for one of these. Fails in words for the caller.
pub fn read(line: Bytes, endpoints: &[Endpoint]) -> Result<Item, String> {
    let line = Object::parse(line).map_err(|malformed| format!("it is no JSON object: {}", malformed.why()))?;
    let text = |name: &str| line.get::<String>(name).map_err(|_| format!("`{name}` must be a text"));
    let custom_id = text("custom_id")?.filter(|id| !id.is_empty()).ok_or("`custom_id` is missing")?;
    let of = |why: String| format!("`{}`: {why}", shortened(&custom_id));
    match text("method").map_err(of)?.as_deref() {
        Some("POST") => {}
        Some(other) => return Err(of(format!("`method` is `{}`, and must be POST", shortened(other)))),
        None => return Err(of("`method` is missing, and must be POST".to_owned())),
    }
    let url = text("url").map_err(of)?.ok_or_else(|| of("`url` is missing".to_owned()))?;
    let Some(endpoint) = Endpoint::of(&url).filter(|endpoint| endpoints.contains(endpoint)) else {
        let known: Vec<_> = endpoints.iter().map(|endpoint| endpoint.path()).collect();
        let known = known.join(" or ");
        return Err(of(format!("`url` is `{}`, which has no batches here: it must be {known}", shortened(&url))));
    };
    let body = line.object("body").map_err(|malformed| of(format!("`body` is no JSON object: {}", malformed.why())))?;
    let body = body.ok_or_else(|| of("`body` is missing".to_owned()))?;
    match body.raw("stream") {
        None | Some(b"false" | b"null") => {}
        Some(_) => return Err(of("`body.stream` can't be had in a batch: leave it out".to_owned())),
    }
    let known = ["custom_id", "method", "url", "body"];
    let strange = line.members().map(|(name, _)| name).filter(|name| !known.contains(name)).map(str::to_owned);
    let strange = strange.collect();
    Ok(Item { custom_id, endpoint, body, strange })
}

/// A text of the caller's, no longer than an explanation should be.
pub fn shortened(text: &str) -> String {
    match text.char_indices().nth(REPEATED) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

/// What a vendor tells of one request of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// What the caller calls it.
    pub custom_id: String,
    /// The vendor's own answer, or why there is none.
    pub outcome: Result<Bytes, Failure>,
}

/// Why a request of a batch has no answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Failure {
    /// The status that it was answered with; `None` if it was never asked.
    pub status: Option<u16>,
    /// The vendor's name for it.
    pub code: Option<String>,
    /// In words.
    pub message: String,
    /// The vendor's id of the request, for its support.
    pub request_id: Option<String>,
}

impl Failure {
    /// Of a request that was never asked: its batch was cancelled.
    pub fn cancelled() -> Self {
        Self::unasked("batch_cancelled", "This request was not executed: its batch was cancelled.")
    }

    /// Of a request that was never asked: its batch ran out of time.
    pub fn expired() -> Self {
        Self::unasked("batch_expired", "This request could not be executed before the completion window expired.")
    }

    /// Of a request that was never asked, or whose answer can't be told.
    pub fn unasked(code: &str, message: impl Into<String>) -> Self {
        Self { code: Some(code.to_owned()), message: message.into(), ..Self::default() }
    }
}

#[derive(Serialize)]
struct Line<'a> {
    id: String,
    custom_id: &'a str,
    response: Option<Response<'a>>,
    error: Option<Said<'a>>,
}

#[derive(Serialize)]
struct Response<'a> {
    status_code: u16,
    request_id: &'a str,
    body: &'a RawValue,
}

#[derive(Serialize)]
struct Said<'a> {
    code: &'a str,
    message: &'a str,
}

#[derive(Serialize)]
struct Body<'a> {
    error: Error<'a>,
}

#[derive(Serialize)]
struct Error<'a> {
    message: &'a str,
    r#type: &'a str,
    param: Option<&'a str>,
    code: Option<&'a str>,
}

/// The id of an answer whose vendor gives none: the same in every reading of the same results.
pub fn answer_id(batch: &str, custom_id: &str) -> String {
    format!("chatcmpl-{:016x}{:016x}", hash(batch), hash(custom_id))
}

fn line_id(batch: &str, custom_id: &str) -> String {
    format!("batch_req_{:016x}{:016x}", hash(batch), hash(custom_id))
}

/// Append a line with an answer, in OpenAI's words. Fails if that is no JSON.
pub fn answered(out: &mut Vec<u8>, batch: &str, custom_id: &str, answer: &[u8]) -> Result<(), Malformed> {
    let body: &RawValue = serde_json::from_slice(answer)?;
    let response = Some(Response { status_code: 200, request_id: "", body });
    write(out, &Line { id: line_id(batch, custom_id), custom_id, response, error: None });
    Ok(())
}

/// Append a line with a failure.
pub fn failed(out: &mut Vec<u8>, batch: &str, custom_id: &str, failure: &Failure) {
    let (id, message) = (line_id(batch, custom_id), failure.message.as_str());
    let Some(status_code) = failure.status else {
        let said = Said { code: failure.code.as_deref().unwrap_or("request_failed"), message };
        return write(out, &Line { id, custom_id, response: None, error: Some(said) });
    };
    let kind = match status_code {
        429 => "rate_limit_error",
        400..500 => "invalid_request_error",
        _ => "server_error",
    };
    let error = Error { message, r#type: kind, param: None, code: failure.code.as_deref() };
    let body = serde_json::value::to_raw_value(&Body { error }).expect("texts encode");
    let request_id = failure.request_id.as_deref().unwrap_or_default();
    let response = Some(Response { status_code, request_id, body: &body });
    write(out, &Line { id, custom_id, response, error: None });
}

fn write(out: &mut Vec<u8>, line: &Line<'_>) {
    serde_json::to_writer(&mut *out, line).expect("texts encode");
    out.push(b'\n');
}
