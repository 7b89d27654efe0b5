//! Files and batches of the Gemini API.
//!
//! <https://ai.google.dev/gemini-api/docs/batch-api>, <https://ai.google.dev/api/batch-api>,
//! <https://ai.google.dev/api/files>

use std::borrow::Cow;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::google::{count, failure, inner, metadata_of, moment, status, text};
use super::id::{Kind, Name};
use super::item::{Ask, Endpoint, Failure, Told};
use super::{Batch, Counts, File, Frame, Limits, Standing, Status, sum};
use crate::wire::gemini::by_ending;
use crate::wire::native::json::{Json, compact};
use crate::wire::{Malformed, Object};

/// The longest file: <https://ai.google.dev/gemini-api/docs/batch-api#input-file>. Nothing is said of lines: as many as there
/// are, their names are held while they are taken, so the bound is ours.
pub const LIMITS: Limits = Limits { bytes: 2 << 30, lines: 1_000_000 };

/// One line after the other.
pub const FRAME: Frame = Frame { begin: b"", between: b"\n", end: b"\n" };

/// The longest name of a file, characters. Nothing is said of those of batches, which get none that is longer.
pub const LONGEST_NAME: usize = 512;

/// How its lines are called when they are uploaded.
pub const CONTENT_TYPE: &str = "application/jsonl";

/// What a file of a caller's may be for, in OpenAI's words. Its name begins so.
pub const PURPOSES: &[&str] = &["batch", "user_data", "vision", "assistants"];

/// A line of input: the key comes back with its answer. Fails on what is asked of embeddings but one at a time.
pub fn line(out: &mut Vec<u8>, ask: &Ask<'_>) -> Result<(), String> {
    let Ask { custom_id, body, .. } = *ask;
    let mut json = Json(std::mem::take(out));
    json.0.extend_from_slice(b"{");
    json.name("key").text(custom_id).name("request");
    let written = match embedding(body) {
        None => {
            compact(&mut json.0, body);
            Ok(())
        }
        Some(Ok(one)) => {
            compact(&mut json.0, one.as_bytes());
            Ok(())
        }
        Some(Err(more)) => {
            Err(format!("`input` has {more} texts, and a line of a batch takes one there: write a line for each"))
        }
    };
    json.raw("}");
    *out = json.0;
    written
}

/// The one request of a list of requests for embeddings, or how many there are; `None` if it is none of embeddings.
fn embedding(body: &[u8]) -> Option<Result<&str, usize>> {
    #[derive(Deserialize)]
    struct Requests<'a> {
        #[serde(borrow)]
        requests: Vec<&'a RawValue>,
    }
    if !body.starts_with(br#"{"requests":"#) {
        return None;
    }
    let all: Requests<'_> = serde_json::from_slice(body).ok()?;
    Some(match all.requests[..] {
        [one] => Ok(one.get()),
        _ => Err(all.requests.len()),
    })
}

/// What a caller's file is called there: what it is for, the model if it is the input of a batch, and its own name. The
/// vendor has no other place for what must be known of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Label<'a> {
    /// One of OpenAI's purposes.
    pub purpose: &'a str,
    /// The model that all lines are for.
    pub model: Option<&'a str>,
    /// What the caller calls it.
    pub filename: &'a str,
}

impl<'a> Label<'a> {
    /// As the vendor is told.
    pub fn told(&self) -> String {
        let words = [Some(self.purpose), self.model, Some(self.filename)];
        let told = words.into_iter().flatten().collect::<Vec<_>>().join(" ");
        told.chars().filter(|c| !c.is_control()).take(LONGEST_NAME).collect()
    }

    /// What the vendor was told; what somebody else has uploaded is data.
    fn read(told: &'a str) -> Self {
        let known = told.split_once(' ').filter(|(purpose, _)| PURPOSES.contains(purpose));
        match known {
            Some((purpose @ "batch", rest)) => {
                let (model, filename) = rest.split_once(' ').unwrap_or((rest, ""));
                Self { purpose, model: Some(model).filter(|model| !model.is_empty()), filename }
            }
            Some((purpose, filename)) => Self { purpose, model: None, filename },
            None => Self { purpose: "user_data", model: None, filename: told },
        }
    }
}

/// What begins the upload of a file that will be called so.
pub fn begin(name: &str) -> Bytes {
    let mut json = Json::default();
    json.raw(r#"{"file":{"#).name("displayName").text(name).raw("}}");
    json.0.into()
}

/// What makes a batch of a file.
pub fn make(file: &str, name: &str) -> Bytes {
    let mut json = Json::default();
    json.raw(r#"{"batch":{"#).name("displayName").text(name);
    json.name("inputConfig").raw("{").name("fileName").text(file).raw("}}}");
    json.0.into()
}

/// Whether this may be the name of a file: no more than its own name can be asked for by it.
pub fn is_file(name: &str) -> bool {
    is_below(name, "files/")
}

/// Whether this may be the name of a batch.
pub fn is_batch(name: &str) -> bool {
    is_below(name, "batches/")
}

fn is_below(name: &str, folder: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    name.strip_prefix(folder).is_some_and(|id| !id.is_empty() && id.len() <= 128 && id.bytes().all(plain))
}

/// Whether this may be the name of a model.
pub fn is_model(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    (1..=128).contains(&name.len()) && name.bytes().all(plain) && !name.contains("..")
}

/// The content type of a file: what its sender says, or what the end of its name says where that is nothing.
pub fn kind(told: Option<&str>, filename: &str) -> String {
    let told = told.filter(|kind| !kind.is_empty() && !kind.starts_with("application/octet-stream"));
    told.or_else(|| by_ending(filename)).unwrap_or("application/octet-stream").to_owned()
}

/// A model's own name.
fn plain_model(name: &str) -> &str {
    name.strip_prefix("models/").unwrap_or(name)
}

/// A batch, which is told as an operation. Fails on what is none.
pub fn batch(operation: &Object) -> Result<Batch, Malformed> {
    let name = text(operation, "name").filter(|name| is_batch(name));
    let name = name.ok_or_else(|| Malformed::new("it names no batch"))?;
    let mut told = operation.object("metadata")?.unwrap_or_default();
    let state = status(&text(&told, "state").unwrap_or_default());
    let model = text(&told, "model").map(|model| plain_model(&model).to_owned());
    let stats = inner(&told, "batchStats");
    let [total, completed, failed, pending] =
        ["requestCount", "successfulRequestCount", "failedRequestCount", "pendingRequestCount"]
            .map(|name| count(&stats, name));
    let counts = Counts {
        total: total.unwrap_or_else(|| sum([completed, failed, pending].into_iter().flatten())),
        completed: completed.unwrap_or_default(),
        failed: failed.unwrap_or_default(),
    };
    // the same twice, once it is done
    let output = [inner(&told, "output"), inner(operation, "response")];
    let results = output.iter().find_map(|output| text(output, "responsesFile")).filter(|name| is_file(name));
    let known = completed.is_some() || failed.is_some();
    let file = |kind, wanted: bool| results.as_deref().filter(|_| wanted).map(|name| Name::new(kind, [name]).encode());
    let embeds = text(&told, "@type").is_some_and(|kind| kind.ends_with("EmbedContentBatch"));
    let input = text(&inner(&told, "inputConfig"), "fileName").filter(|name| is_file(name));
    let input = input.map(|name| input_id(&name, model.as_deref().unwrap_or("unknown"))).unwrap_or_default();
    let cancelled = state == Status::Cancelled;
    let why = operation.raw("error").and_then(|raw| failure(std::str::from_utf8(raw).ok()?)).filter(|_| !cancelled);
    let metadata = text(&told, "displayName").and_then(|name| metadata_of(&name));
    let done = [Status::Completed, Status::Failed, Status::Cancelled, Status::Expired].contains(&state);
    let ended = moment(&told, "endTime").or_else(|| moment(&told, "updateTime"));
    let batch = Batch {
        id: Name::new(Kind::Batch, [name.as_str()]).encode(),
        endpoint: if embeds { Endpoint::Embeddings } else { Endpoint::Chat },
        model,
        input_file_id: input,
        output_file_id: file(Kind::Output, !known || counts.completed > 0),
        error_file_id: file(Kind::Errors, !known || counts.failed > 0),
        status: state,
        errors: why.map(|why| (why.code, why.message)).into_iter().collect(),
        created_at: moment(&told, "createTime").unwrap_or_default(),
        ended_at: ended.filter(|_| done),
        counts,
        ..Batch::default()
    };
    let mut read = ["@type", "name", "state", "model", "batchStats", "inputConfig", "output", "createTime"].to_vec();
    read.extend(["endTime", "updateTime"]);
    if metadata.is_some() || text(&told, "displayName").as_deref() == Some(UNNAMED) {
        read.push("displayName");
    }
    told.retain(|name| !read.contains(&name));
    Ok(Batch { metadata, more: told, ..batch })
}

/// What a batch is called that its caller has noted nothing about: it must have a name.
pub const UNNAMED: &str = "ferrogw";

/// The id of a batch's input.
fn input_id(name: &str, model: &str) -> String {
    Name::new(Kind::Input, [name, model]).encode()
}

/// A file. Fails on what is none.
pub fn file(told: &Object) -> Result<File, Malformed> {
    let name = text(told, "name").filter(|name| is_file(name)).ok_or_else(|| Malformed::new("it names no file"))?;
    let display = text(told, "displayName").unwrap_or_default();
    let label = Label::read(&display);
    let made = text(told, "source").is_some_and(|source| source == "GENERATED") || name.starts_with("files/batch-");
    let mime = text(told, "mimeType").unwrap_or_else(|| "application/octet-stream".to_owned());
    let id = match (made, label.model) {
        (true, _) => Name::new(Kind::Output, [name.as_str()]).encode(),
        (false, Some(model)) => input_id(&name, model),
        (false, None) => Name::new(Kind::File, [name.as_str(), &mime]).encode(),
    };
    let why = || told.raw("error").and_then(|raw| failure(std::str::from_utf8(raw).ok()?)).map(|why| why.message);
    let mut more = told.clone();
    let known = ["name", "displayName", "sizeBytes", "createTime", "expirationTime", "state", "error"];
    more.retain(|name| !known.contains(&name));
    Ok(File {
        id,
        bytes: count(told, "sizeBytes").unwrap_or_default(),
        created_at: moment(told, "createTime").unwrap_or_default(),
        expires_at: moment(told, "expirationTime"),
        filename: if label.filename.is_empty() { name } else { label.filename.to_owned() },
        purpose: if made { "batch_output" } else { label.purpose }.to_owned(),
        status: match text(told, "state").as_deref() {
            Some("PROCESSING") => Standing::Uploaded,
            Some("FAILED") => Standing::Error(why().unwrap_or_else(|| "the vendor gives no reason".to_owned())),
            _ => Standing::Processed,
        },
        more,
    })
}

/// What a part of a chat means that names a file of ours: its address there, and what it is.
pub fn shared(file_id: &str) -> Option<(String, String)> {
    let [name, mime] = Name::of::<2>(file_id, Kind::File)?;
    is_file(&name).then_some((name, mime))
}

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    key: Option<Cow<'a, str>>,
    #[serde(borrow)]
    response: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    #[serde(borrow)]
    status: Option<&'a RawValue>,
}

/// One line of results. Fails on what is none.
pub fn told(line: &Bytes) -> Result<Told, Malformed> {
    let read: Line<'_> = serde_json::from_slice(line)?;
    let custom_id = read.key.ok_or_else(|| Malformed::new("it has no key"))?.into_owned();
    let failed = [read.error, read.status].into_iter().flatten().find_map(|raw| failure(raw.get()));
    let outcome = match (read.response, failed) {
        (Some(response), None) => Ok(line.slice_ref(response.get().as_bytes())),
        (_, Some(failure)) => Err(failure),
        (None, None) => Err(Failure::unasked("no_answer", "The vendor tells neither an answer nor a failure.")),
    };
    Ok(Told { custom_id, outcome })
}
