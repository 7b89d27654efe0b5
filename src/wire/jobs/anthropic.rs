//! Anthropic's Message Batches and Files API (<https://platform.claude.com/docs/en/api/messages/batches>,
//! <https://platform.claude.com/docs/en/api/beta/files>).

use bytes::Bytes;

use super::id::{Kind, Name};
use super::item::{Ask, Endpoint, Failure, Told};
use super::{Batch, Counts, File, Frame, Limits, Status, seconds, sum};
use crate::wire::openai::errors;
use crate::wire::{Malformed, Object};

/// What a request for its files must ask for.
pub const FILES_BETA: &str = "files-api-2025-04-14";

/// <https://platform.claude.com/docs/en/build-with-claude/batch-processing#batch-limitations>
pub const LIMITS: Limits = Limits { bytes: 256 << 20, lines: 100_000 };

/// The requests are the elements of an array.
pub const FRAME: Frame = Frame { begin: br#"{"requests":["#, between: b",\n", end: b"]}" };

/// The longest name of a request.
const LONGEST_ID: usize = 64;

/// The most that a name has behind its prefix. How long they are is not documented; those that are given out have 24.
const LONGEST_NAME: usize = 128;

/// One element of `requests`. Fails on names that the API does not take.
pub fn line(out: &mut Vec<u8>, ask: &Ask<'_>) -> Result<(), String> {
    let Ask { custom_id, body, .. } = *ask;
    if custom_id.len() > LONGEST_ID || !custom_id.bytes().all(plain) {
        return Err(format!(
            "Anthropic takes no such `custom_id`: it must be 1 to {LONGEST_ID} letters, digits, `_` and `-` of ASCII"
        ));
    }
    out.extend_from_slice(br#"{"custom_id":""#);
    out.extend_from_slice(custom_id.as_bytes());
    out.extend_from_slice(br#"","params":"#);
    out.extend_from_slice(body);
    out.push(b'}');
    Ok(())
}

fn plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

/// Whether this may be the name of a batch.
pub fn is_batch(name: &str) -> bool {
    named(name, "msgbatch_")
}

/// Whether this may be the name of a file.
pub fn is_file(name: &str) -> bool {
    named(name, "file_")
}

fn named(name: &str, prefix: &str) -> bool {
    let rest = name.strip_prefix(prefix).unwrap_or_default();
    (1..=LONGEST_NAME).contains(&rest.len()) && rest.bytes().all(plain)
}

/// What a job has come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Outcomes {
    waiting: u64,
    succeeded: u64,
    errored: u64,
    cancelled: u64,
    expired: u64,
}

/// A job, and what it is called. Fails on what is none.
pub fn batch(mut job: Object) -> Result<(String, Batch), Malformed> {
    let name = job.get::<String>("id")?.filter(|name| is_batch(name));
    let name = name.ok_or_else(|| Malformed::new("the batch has no `id`"))?;
    let counts = job.object("request_counts")?.unwrap_or_default();
    let count = |member: &str| counts.get::<u64>(member).map(Option::unwrap_or_default);
    let outcomes = Outcomes {
        waiting: count("processing")?,
        succeeded: count("succeeded")?,
        errored: count("errored")?,
        cancelled: count("canceled")?,
        expired: count("expired")?,
    };
    let time = |member: &str| Ok::<_, Malformed>(job.get::<String>(member)?.as_deref().and_then(seconds));
    let (created, cancelling) = (time("created_at")?.unwrap_or_default(), time("cancel_initiated_at")?);
    let (ended, archived) = (time("ended_at")?, time("archived_at")?);
    let failed = sum([outcomes.errored, outcomes.cancelled, outcomes.expired]);
    let status = match job.get::<String>("processing_status")?.as_deref() {
        Some("canceling") => Status::Cancelling,
        Some("ended") if cancelling.is_some() && outcomes.cancelled > 0 => Status::Cancelled,
        Some("ended") if outcomes.expired > 0 => Status::Expired,
        Some("ended") => Status::Completed,
        _ => Status::InProgress,
    };
    // what is archived can't be read any more
    let readable = ended.is_some() && archived.is_none();
    let results = |kind, count: u64| (readable && count > 0).then(|| Name::new(kind, [name.as_str()]).encode());
    let batch = Batch {
        id: Name::new(Kind::Batch, [name.as_str()]).encode(),
        endpoint: Endpoint::Chat,
        input_file_id: Name::new(Kind::Input, ["of", name.as_str()]).encode(),
        output_file_id: results(Kind::Output, outcomes.succeeded),
        error_file_id: results(Kind::Errors, failed),
        status,
        created_at: created,
        in_progress_at: Some(created),
        expires_at: time("expires_at")?,
        cancelling_at: cancelling,
        ended_at: ended,
        counts: Counts {
            total: sum([outcomes.waiting, outcomes.succeeded, failed]),
            completed: outcomes.succeeded,
            failed,
        },
        ..Batch::default()
    };
    for said in ["id", "type", "request_counts", "ended_at", "cancel_initiated_at", "results_url"] {
        job.remove(said);
    }
    Ok((name, Batch { more: job, ..batch }))
}

/// Its results as files: those that there are.
pub fn results(batch: &Batch, name: &str) -> Vec<File> {
    let file = |id: &Option<String>, what: &str| {
        Some(File {
            id: id.clone()?,
            created_at: batch.ended_at.unwrap_or(batch.created_at),
            filename: format!("{name}_{what}.jsonl"),
            purpose: "batch_output".to_owned(),
            ..File::default()
        })
    };
    [file(&batch.output_file_id, "output"), file(&batch.error_file_id, "error")].into_iter().flatten().collect()
}

/// A file that its Files API keeps. Fails on what is none.
pub fn file(mut meta: Object) -> Result<File, Malformed> {
    let id = meta.get::<String>("id")?.ok_or_else(|| Malformed::new("the file has no `id`"))?;
    let created = meta.get::<String>("created_at")?.as_deref().and_then(seconds);
    // what models have made can be read, what callers have sent can't
    let made = meta.get::<bool>("downloadable")?.unwrap_or_default();
    let expires = meta.get::<String>("expires_at")?.as_deref().and_then(seconds);
    let file = File {
        id,
        expires_at: expires,
        bytes: meta.get("size_bytes")?.unwrap_or_default(),
        created_at: created.unwrap_or_default(),
        filename: meta.get("filename")?.unwrap_or_default(),
        purpose: if made { "assistants_output" } else { "user_data" }.to_owned(),
        ..File::default()
    };
    for said in ["type", "size_bytes"] {
        meta.remove(said);
    }
    Ok(File { more: meta, ..file })
}

/// A line of results. Fails on what is none.
pub fn told(line: Bytes) -> Result<Told, Malformed> {
    let line = Object::parse(line)?;
    let custom_id = line.get::<String>("custom_id")?.ok_or_else(|| Malformed::new("it has no `custom_id`"))?;
    let result = line.object("result")?.ok_or_else(|| Malformed::new("it has no `result`"))?;
    let outcome = match result.get::<String>("type")?.as_deref() {
        Some("succeeded") => {
            let message = result.object("message")?.ok_or_else(|| Malformed::new("it has no `message`"))?;
            Ok(message.encode())
        }
        Some("errored") => Err(failure(&result)),
        Some("canceled") => Err(Failure::cancelled()),
        Some("expired") => Err(Failure::expired()),
        _ => return Err(Malformed::new("its `result` is of a kind that is not known")),
    };
    Ok(Told { custom_id, outcome })
}

/// What `result.error` says: an answer of the API with an error in it.
fn failure(result: &Object) -> Failure {
    let said = result.raw("error").map(errors::read).unwrap_or_default();
    let answer = result.object("error").ok().flatten();
    let status = match said.kind.as_deref() {
        Some("invalid_request_error") => 400,
        Some("authentication_error") => 401,
        Some("billing_error") => 402,
        Some("permission_error") => 403,
        Some("not_found_error") => 404,
        Some("request_too_large") => 413,
        Some("rate_limit_error") => 429,
        Some("timeout_error") => 504,
        Some("overloaded_error") => 529,
        _ => 500,
    };
    Failure {
        status: Some(status),
        code: said.kind,
        message: said.message.unwrap_or_else(|| "the request failed, and nobody says why".to_owned()),
        request_id: answer.and_then(|answer| answer.get("request_id").ok().flatten()),
    }
}
