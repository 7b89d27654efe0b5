//! Cohere's batches: jobs over datasets.
//!
//! <https://docs.cohere.com/reference/create-batch>, <https://docs.cohere.com/reference/create-dataset>. The words of a line
//! are not quite those of `POST /v2/chat`: a dataset's rows have a fixed form. What a dataset asks for is its type, and of which
//! model is in its name.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::id::{Kind, Name};
use super::item::{Ask as Asked, Endpoint, Failure, Told};
use super::{Batch, Consumed, Counts, File, Frame, Limits, Standing, Status, seconds};
use crate::wire::{Malformed, Object};

/// <https://docs.cohere.com/docs/datasets#file-size-limits>. Nothing is said of lines: their names are held while they are
/// taken, so the bound is ours.
pub const LIMITS: Limits = Limits { bytes: 1_500_000_000, lines: 1_000_000 };

/// Lines.
pub const FRAME: Frame = Frame { begin: b"", between: b"\n", end: b"\n" };

/// Members of a chat that a row has.
const CHAT: &[&str] = &[
    "messages",
    "tools",
    "temperature",
    "p",
    "k",
    "seed",
    "frequency_penalty",
    "presence_penalty",
    "reasoning",
    "thinking_budget",
    "logprobs",
    "max_tokens",
    "max_input_tokens",
    "return_prompt",
];

/// Members of what is to be embedded that a row has.
const EMBED: &[&str] = &["texts", "images", "inputs", "input_type", "max_tokens", "embedding_types", "truncate"];

/// What callers know by another name.
const RENAMED: &[(&str, &str)] = &[("stop_sequences", "stop"), ("output_dimension", "dimensions")];

/// What the names of our datasets begin with, and what stands between their parts.
const MARK: &str = "ferrogw";
const BETWEEN: &str = "__";

/// Names of callers' files are kept up to this length, bytes.
const LONGEST_NAME: usize = 64;

/// One row, of a body as `POST /v2/chat` or `POST /v2/embed` has it. Fails on what a row has no word for.
pub fn line(out: &mut Vec<u8>, ask: &Asked<'_>) -> Result<(), String> {
    let unread = |malformed: Malformed| malformed.why().to_owned();
    let mut row = Object::parse(Bytes::copy_from_slice(ask.body)).map_err(unread)?;
    row.remove("model");
    row.remove("stream");
    let known = match ask.endpoint {
        Endpoint::Embeddings => EMBED,
        Endpoint::Chat => {
            chat(&mut row)?;
            CHAT
        }
    };
    if let Some((name, _)) = row.members().find(|(name, _)| !known.contains(name)) {
        let name = RENAMED.iter().find(|(own, _)| *own == name).map_or(name, |(_, known)| known);
        return Err(format!(
            "Cohere's batches have no `{name}`: leave it out, or ask for this line outside of a batch"
        ));
    }
    out.extend_from_slice(br#"{"custom_id":"#);
    serde_json::to_writer(&mut *out, ask.custom_id).map_err(|error| error.to_string())?;
    out.extend_from_slice(br#","body":"#);
    out.extend_from_slice(&row.encode());
    out.push(b'}');
    Ok(())
}

/// A chat in a row's words: contents are lists, images plain addresses, parameters of tools texts.
fn chat(row: &mut Object) -> Result<(), String> {
    let unread = |malformed: Malformed| malformed.why().to_owned();
    if let Some(thinking) = row.object("thinking").map_err(unread)? {
        row.set("reasoning", &(thinking.raw("type") != Some(br#""disabled""#)));
        if let Some(budget) = thinking.raw("token_budget") {
            row.set_raw("thinking_budget", Bytes::copy_from_slice(budget));
        }
        row.remove("thinking");
    }
    let mut messages = row.objects("messages").map_err(unread)?;
    for message in &mut messages {
        let content = message.raw("content").map(Bytes::copy_from_slice);
        match content.as_deref() {
            Some([b'"', ..]) => {
                let text = content.unwrap_or_default();
                message.set_raw("content", [br#"[{"type":"text","text":"#, &text[..], b"}]"].concat().into());
            }
            Some([b'[', ..]) => {
                let mut parts = message.objects("content").map_err(unread)?;
                parts.iter_mut().try_for_each(part)?;
                message.set_objects("content", &parts);
            }
            _ => {}
        }
    }
    row.set_objects("messages", &messages);
    if row.has("tools") {
        let mut tools = row.objects("tools").map_err(unread)?;
        for tool in &mut tools {
            let Some(mut function) = tool.object("function").map_err(unread)? else { continue };
            if let Some(parameters) = function.raw("parameters").filter(|raw| !raw.starts_with(b"\"")) {
                let parameters = String::from_utf8_lossy(parameters).into_owned();
                function.set_text("parameters", &parameters);
            }
            tool.set_raw("function", function.encode());
        }
        row.set_objects("tools", &tools);
    }
    Ok(())
}

fn part(part: &mut Object) -> Result<(), String> {
    let kind: String = part.get("type").ok().flatten().unwrap_or_default();
    match kind.as_str() {
        "text" | "thinking" => Ok(()),
        "image_url" => {
            let image = part.object("image_url").ok().flatten();
            if let Some(url) = image.as_ref().and_then(|image| image.raw("url")) {
                part.set_raw("image_url", Bytes::copy_from_slice(url));
            }
            Ok(())
        }
        other => Err(format!("Cohere's batches have no content of the type `{other}`: say it as text")),
    }
}

/// Whether this may be the id of a dataset or of a batch.
pub fn is_id(id: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    (1..=255).contains(&id.len()) && id.bytes().all(plain) && !id.starts_with('.')
}

/// The type of a dataset whose rows ask for this.
pub fn dataset_type(endpoint: Endpoint) -> &'static str {
    match endpoint {
        Endpoint::Chat => "batch-chat-v2-input",
        Endpoint::Embeddings => "batch-embed-v2-input",
    }
}

fn endpoint(dataset_type: &str) -> Option<Endpoint> {
    [Endpoint::Chat, Endpoint::Embeddings].into_iter().find(|endpoint| self::dataset_type(*endpoint) == dataset_type)
}

/// The name of a dataset: it says the model, and what the caller calls the file.
pub fn dataset_name(model: &str, filename: &str) -> String {
    let plain = |byte: u8| if byte.is_ascii_alphanumeric() || b"-.".contains(&byte) { char::from(byte) } else { '-' };
    let filename: String = filename.bytes().take(LONGEST_NAME).map(plain).collect();
    let filename = if filename.is_empty() { "batch.jsonl" } else { &filename };
    [MARK, model, filename].join(BETWEEN)
}

/// A dataset.
#[derive(Debug)]
pub struct Dataset {
    /// Its id.
    pub id: String,
    /// As callers see it.
    pub file: File,
    /// What its rows ask for, if it is the input of a batch.
    pub endpoint: Option<Endpoint>,
    /// The model they ask, if its name says so.
    pub model: Option<String>,
    /// The addresses of its files, in their order, each with a signature in it; empty where one has none.
    pub parts: Vec<String>,
}

/// A dataset. Fails on what is none.
pub fn dataset(dataset: &Object) -> Result<Dataset, Malformed> {
    let text = |member: &str| Ok::<_, Malformed>(dataset.get::<String>(member)?.unwrap_or_default());
    let id = Some(text("id")?).filter(|id| is_id(id)).ok_or_else(|| Malformed::new("the dataset has no `id`"))?;
    let name = text("name")?;
    let said = name.strip_prefix(MARK).and_then(|rest| rest.strip_prefix(BETWEEN)?.rsplit_once(BETWEEN));
    let (model, filename) = said.map_or((None, &*name), |(model, filename)| (Some(model.to_owned()), filename));
    let endpoint = endpoint(&text("dataset_type")?);
    let mut parts = match dataset.raw("dataset_parts") {
        None | Some(b"null") => Vec::new(),
        Some(_) => dataset.objects("dataset_parts")?,
    };
    parts.sort_by_key(|part| part.get::<u64>("index").ok().flatten().unwrap_or_default());
    let sizes = parts.iter().filter_map(|part| part.get::<u64>("size_bytes").ok().flatten());
    let bytes = sizes.fold(0, u64::saturating_add);
    let url = |part: &Object| part.get::<String>("url").ok().flatten().unwrap_or_default();
    let parts = parts.iter().map(url);
    let status = match text("validation_status")?.as_str() {
        "validated" | "skipped" => Standing::Processed,
        "failed" => {
            let why = text("validation_error")?;
            Standing::Error(if why.is_empty() { "the dataset is not valid".to_owned() } else { why })
        }
        _ => Standing::Uploaded,
    };
    let file = File {
        id: Name::new(Kind::Input, [id.as_str()]).encode(),
        bytes,
        created_at: seconds(&text("created_at")?).unwrap_or_default(),
        filename: filename.to_owned(),
        purpose: "batch".to_owned(),
        status,
        ..File::default()
    };
    Ok(Dataset { parts: parts.collect(), id, file, endpoint, model })
}

/// A batch, its id and that of the dataset with its results. Fails on what is none.
pub fn batch(mut job: Object) -> Result<(String, Option<String>, Batch), Malformed> {
    let text = |member: &str| job.get::<String>(member);
    let id = text("id")?.filter(|id| is_id(id)).ok_or_else(|| Malformed::new("the batch has no `id`"))?;
    let input = text("input_dataset_id")?.filter(|id| is_id(id)).unwrap_or_else(|| "unknown".to_owned());
    let output = text("output_dataset_id")?.filter(|id| is_id(id));
    // counts of tokens come as texts
    let count = |member: &str| match job.raw(member) {
        Some([b'"', ..]) => text(member).ok().flatten().and_then(|digits| digits.parse::<u64>().ok()),
        _ => job.get::<u64>(member).ok().flatten(),
    };
    let (completed, failed) =
        (count("num_successful_records").unwrap_or_default(), count("num_failed_records").unwrap_or_default());
    let total = count("num_records").unwrap_or_default();
    let status = match text("status")?.unwrap_or_default().trim_start_matches("BATCH_STATUS_") {
        "QUEUED" | "UNSPECIFIED" => Status::Validating,
        "COMPLETED" => Status::Completed,
        "FAILED" => Status::Failed,
        "CANCELING" => Status::Cancelling,
        "CANCELED" => Status::Cancelled,
        _ => Status::InProgress,
    };
    let ended = matches!(status, Status::Completed | Status::Failed | Status::Cancelled);
    let file = |kind, any: bool| (ended && any && output.is_some()).then(|| Name::new(kind, [id.as_str()]).encode());
    let used = count("input_tokens").zip(count("output_tokens")).filter(|used| *used != (0, 0));
    let updated = text("updated_at")?.as_deref().and_then(seconds);
    let reason = text("status_reason")?.filter(|reason| !reason.is_empty() && status == Status::Failed);
    let model = text("model")?;
    // a batch does not say what its rows are, but no model does both
    let embeds = model.as_deref().is_some_and(|model| model.starts_with("embed"));
    let batch = Batch {
        id: Name::new(Kind::Batch, [id.as_str()]).encode(),
        endpoint: if embeds { Endpoint::Embeddings } else { Endpoint::Chat },
        model,
        input_file_id: Name::new(Kind::Input, [input.as_str()]).encode(),
        // who does not count has some all the same
        output_file_id: file(Kind::Output, completed > 0 || (status == Status::Completed && failed == 0)),
        error_file_id: file(Kind::Errors, failed > 0),
        status,
        errors: reason.map(|reason| (None, reason)).into_iter().collect(),
        created_at: text("created_at")?.as_deref().and_then(seconds).unwrap_or_default(),
        cancelling_at: updated.filter(|_| status == Status::Cancelling),
        ended_at: updated.filter(|_| ended),
        counts: Counts { total, completed, failed },
        usage: used.map(|(input, output)| Consumed { input, output, ..Consumed::default() }),
        ..Batch::default()
    };
    // what names the operator's account is nothing for callers
    for own in ["creator_id", "org_id", "input_dataset_id", "output_dataset_id"] {
        job.remove(own);
    }
    for said in ["id", "status", "status_reason", "model", "created_at", "input_tokens", "output_tokens"] {
        job.remove(said);
    }
    for count in ["num_records", "num_successful_records", "num_failed_records"] {
        job.remove(count);
    }
    Ok((id, output, Batch { more: job, ..batch }))
}

#[derive(Deserialize)]
struct Row<'a> {
    custom_id: String,
    #[serde(borrow, default)]
    body: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
struct Reason {
    #[serde(default)]
    message: Option<String>,
    #[serde(default)]
    code: Option<String>,
    #[serde(default, alias = "status_code")]
    status: Option<u16>,
}

/// A row of results. Fails on what is none.
pub fn told(line: &[u8]) -> Result<Told, Malformed> {
    let Row { custom_id, body, error } = serde_json::from_slice(line)?;
    let said = error.map(RawValue::get).filter(|raw| !matches!(*raw, "null" | "\"\"" | "{}"));
    let outcome = match (said, body) {
        (None, Some(body)) => match body.get().starts_with('"') {
            // an object, or one written as a text
            true => Ok(Bytes::from(serde_json::from_str::<String>(body.get())?)),
            false => Ok(Bytes::copy_from_slice(body.get().as_bytes())),
        },
        (None, None) => return Err(Malformed::new("it has neither `body` nor `error`")),
        (Some(said), _) => {
            let text = serde_json::from_str::<String>(said).unwrap_or_else(|_| said.to_owned());
            let reason: Reason = serde_json::from_str(&text).unwrap_or_default();
            let status = reason.status.filter(|status| (400..600).contains(status)).unwrap_or(500);
            let message = reason.message.unwrap_or(text);
            Err(Failure { status: Some(status), code: reason.code, message, request_id: None })
        }
    };
    Ok(Told { custom_id, outcome })
}

#[cfg(test)]
mod tests;
