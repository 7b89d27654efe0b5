//! Fireworks' batches: jobs of an account over its datasets, in OpenAI's words but for the model, which a job has.
//!
//! <https://docs.fireworks.ai/guides/batch-inference>, <https://docs.fireworks.ai/api-reference/create-batch-inference-job>,
//! <https://docs.fireworks.ai/api-reference/create-dataset>. Of which model a dataset asks is in its display name.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::id::{Kind, Name};
use super::item::{Ask as Asked, Failure, Told};
use super::{Batch, Consumed, Counts, File, Frame, Limits, Standing, Status, seconds, sum};
use crate::wire::{Malformed, Object};

/// The guide's limit of a dataset. Nothing is said of lines: their names are held while they are taken, so the bound is ours.
pub const LIMITS: Limits = Limits { bytes: 1_000_000_000, lines: 1_000_000 };

/// Uploads in one request have no more, bytes: <https://docs.fireworks.ai/api-reference/upload-dataset-files>.
pub const AT_ONCE: u64 = 150_000_000;

/// Lines.
pub const FRAME: Frame = Frame { begin: b"", between: b"\n", end: b"\n" };

/// What the display names of our datasets begin with.
const MARK: &str = "ferrogw ";

/// Names of things have no more characters there, as its pages say of models and deployments.
const LONGEST_NAME: usize = 63;

/// Models of its own stand below this.
const OWN: &str = "accounts/fireworks/models/";

/// Members of a job that name the operator's account, or that a batch says in its own words.
const SAID: &[&str] = &[
    "name",
    "createdBy",
    "inputDatasetId",
    "outputDatasetId",
    "continuedFromJobName",
    "model",
    "state",
    "status",
    "createTime",
    "updateTime",
    "expireTime",
    "lifecycle",
    "jobProgress",
];

/// One line. The model is the job's, and nothing streams.
pub fn line(out: &mut Vec<u8>, ask: &Asked<'_>) -> Result<(), String> {
    let body = Object::parse(Bytes::copy_from_slice(ask.body));
    let mut body = body.map_err(|malformed| malformed.why().to_owned())?;
    for elsewhere in ["model", "stream", "stream_options"] {
        body.remove(elsewhere);
    }
    out.extend_from_slice(br#"{"custom_id":"#);
    serde_json::to_writer(&mut *out, ask.custom_id).map_err(|error| error.to_string())?;
    out.extend_from_slice(br#","body":"#);
    out.extend_from_slice(&body.encode());
    out.push(b'}');
    Ok(())
}

/// Whether this may be the id of an account, a dataset or a job.
pub fn is_id(id: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    (1..=128).contains(&id.len()) && id.bytes().all(plain)
}

/// The display name of a dataset: it says the model, and what the caller calls the file, as far as there is room.
pub fn display_name(model: &str, filename: &str) -> String {
    let mut name = format!("{MARK}{} ", model.strip_prefix(OWN).unwrap_or(model));
    let room = LONGEST_NAME.saturating_sub(name.chars().count());
    name.extend(filename.chars().filter(|character| !character.is_control()).take(room));
    name.trim_end().to_owned()
}

/// A dataset.
#[derive(Debug)]
pub struct Dataset {
    /// Its id.
    pub id: String,
    /// The model that its lines ask.
    pub model: String,
    /// As callers see it.
    pub file: File,
}

/// A dataset of ours; `None` for any other. Fails on what is none.
pub fn dataset(dataset: &Object) -> Result<Option<Dataset>, Malformed> {
    let text = |member: &str| Ok::<_, Malformed>(dataset.get::<String>(member)?.unwrap_or_default());
    let id = last(&text("name")?).ok_or_else(|| Malformed::new("the dataset has no `name`"))?;
    let named = text("displayName")?;
    let Some(said) = named.strip_prefix(MARK) else { return Ok(None) };
    let (model, filename) = said.split_once(' ').unwrap_or((said, "batch.jsonl"));
    let model = if model.contains('/') { model.to_owned() } else { format!("{OWN}{model}") };
    let status = match (why(dataset)?, text("state")?.as_str()) {
        (Some((_, why)), _) => Standing::Error(why),
        (None, "READY") => Standing::Processed,
        (None, _) => Standing::Uploaded,
    };
    let file = File {
        id: Name::new(Kind::Input, [id.as_str()]).encode(),
        created_at: seconds(&text("createTime")?).unwrap_or_default(),
        filename: filename.to_owned(),
        purpose: "batch".to_owned(),
        status,
        ..File::default()
    };
    Ok(Some(Dataset { id, model, file }))
}

/// The id at the end of the name of a thing.
fn last(name: &str) -> Option<String> {
    name.rsplit('/').next().filter(|id| is_id(id)).map(str::to_owned)
}

/// What is wrong with a thing, if anything is: its code, and in words.
fn why(thing: &Object) -> Result<Option<(String, String)>, Malformed> {
    let Some(status) = thing.object("status").ok().flatten() else { return Ok(None) };
    let code = status.get::<String>("code")?.filter(|code| !matches!(code.as_str(), "OK" | ""));
    let message = status.get::<String>("message")?.filter(|message| !message.is_empty());
    Ok(code.map(|code| (code.to_lowercase(), message.unwrap_or_else(|| format!("it failed: {code}")))))
}

/// A batch, its id and that of the dataset with its results, which there may not be. Fails on what is none.
pub fn batch(mut job: Object) -> Result<(String, Option<String>, Batch), Malformed> {
    let text = |member: &str| job.get::<String>(member);
    let id = text("name")?.as_deref().and_then(last).ok_or_else(|| Malformed::new("the job has no `name`"))?;
    let input = text("inputDatasetId")?.as_deref().and_then(last).unwrap_or_else(|| "unknown".to_owned());
    let output = text("outputDatasetId")?.as_deref().and_then(last);
    let part = |member: &str| job.object(member).ok().flatten().unwrap_or_default();
    let (progress, lifecycle) = (part("jobProgress"), part("lifecycle"));
    let count = |member: &str| match progress.raw(member) {
        // 64 bits come as texts
        Some([b'"', ..]) => progress.get::<String>(member).ok().flatten().and_then(|digits| digits.parse::<u64>().ok()),
        _ => progress.get::<u64>(member).ok().flatten(),
    };
    let of = |member: &str| count(member).unwrap_or_default();
    let (completed, failed) = (of("successfullyProcessedRequests"), of("failedRequests"));
    // the first is what the upload has said, the second what was found until now
    let total = of("totalInputRequests").max(of("totalProcessedRequests")).max(sum([completed, failed]));
    let status = match text("state")?.unwrap_or_default().trim_start_matches("JOB_STATE_") {
        "VALIDATING" | "UNSPECIFIED" => Status::Validating,
        "WRITING_RESULTS" => Status::Finalizing,
        "COMPLETED" => Status::Completed,
        "FAILED" => Status::Failed,
        "EXPIRED" | "EARLY_STOPPED" => Status::Expired,
        "CANCELLING" => Status::Cancelling,
        // who ends a job deletes it, and it is gone after that
        "CANCELLED" | "DELETING" | "DELETING_CLEANING_UP" | "DELETED" | "ARCHIVED" => Status::Cancelled,
        _ => Status::InProgress,
    };
    let ended = matches!(status, Status::Completed | Status::Failed | Status::Expired | Status::Cancelled);
    let file = |kind, any: bool| (ended && any && output.is_some()).then(|| Name::new(kind, [id.as_str()]).encode());
    let used = count("inputTokens").zip(count("outputTokens")).filter(|used| *used != (0, 0));
    let moment = |of: &Object, member: &str| of.get::<String>(member).ok().flatten().as_deref().and_then(seconds);
    let updated = moment(&job, "updateTime");
    let errors = if status == Status::Failed { why(&job)? } else { None };
    let batch = Batch {
        id: Name::new(Kind::Batch, [id.as_str()]).encode(),
        model: text("model")?,
        input_file_id: Name::new(Kind::Input, [input.as_str()]).encode(),
        // who does not count has some all the same; a job that failed as a whole has no results
        output_file_id: file(Kind::Output, completed > 0 || (status == Status::Completed && failed == 0)),
        error_file_id: file(Kind::Errors, failed > 0),
        status,
        errors: errors.map(|(code, message)| (Some(code), message)).into_iter().collect(),
        created_at: moment(&job, "createTime").unwrap_or_default(),
        in_progress_at: moment(&lifecycle, "runStartTime"),
        expires_at: moment(&job, "expireTime"),
        cancelling_at: updated.filter(|_| matches!(status, Status::Cancelling)),
        ended_at: moment(&lifecycle, "endTime").or(updated).filter(|_| ended),
        counts: Counts { total, completed, failed },
        usage: used.map(|(input, output)| Consumed {
            input,
            cached: of("cachedInputTokenCount"),
            output,
            ..Consumed::default()
        }),
        ..Batch::default()
    };
    let empty = job.members().filter(|(_, value)| matches!(*value, b"null" | b"\"\"" | b"{}"));
    let empty: Vec<_> = empty.map(|(name, _)| name.to_owned()).collect();
    for nothing in empty.iter().map(String::as_str).chain(SAID.iter().copied()) {
        job.remove(nothing);
    }
    Ok((id, output, Batch { more: job, ..batch }))
}

/// The addresses of the files of a dataset, each with a signature in it: answers first, `error-data` behind them. Fails on
/// what names none.
pub fn addresses(answer: &Object) -> Result<Vec<String>, Malformed> {
    let named = answer.object("filenameToSignedUrls")?.unwrap_or_default();
    let mut files = Vec::new();
    for (name, _) in named.members() {
        files.extend(named.get::<String>(name)?.map(|url| (name.contains("error"), name.to_owned(), url)));
    }
    files.sort();
    Ok(files.into_iter().map(|(_, _, url)| url).collect())
}

#[derive(Deserialize)]
struct Row<'a> {
    custom_id: String,
    #[serde(borrow, default)]
    response: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
struct Reason {
    #[serde(default)]
    message: Option<String>,
    #[serde(default)]
    code: Option<serde_json::Value>,
}

/// A line of results: the answer itself, without what OpenAI puts around it. Its pages do not show a line of `error-data`:
/// whoever reads them finds an `error` with a message and a code. Fails on what is neither.
pub fn told(line: &[u8]) -> Result<Told, Malformed> {
    let Row { custom_id, response, error } = serde_json::from_slice(line)?;
    let said = error.map(RawValue::get).filter(|raw| !matches!(*raw, "null" | "\"\"" | "{}"));
    let response = response.map(RawValue::get).filter(|raw| *raw != "null");
    let outcome = match (said, response) {
        (None, Some(answer)) => Ok(Bytes::copy_from_slice(answer.as_bytes())),
        (None, None) => return Err(Malformed::new("it has neither `response` nor `error`")),
        (Some(said), _) => {
            let text = serde_json::from_str::<String>(said).unwrap_or_else(|_| said.to_owned());
            let reason: Reason = serde_json::from_str(&text).unwrap_or_default();
            let code = reason.code.map(|code| code.as_str().map_or_else(|| code.to_string(), str::to_owned));
            let status = code.as_deref().and_then(|code| code.parse().ok()).filter(|code| (400..600).contains(code));
            let code = code.filter(|_| status.is_none());
            let message = reason.message.unwrap_or(text);
            Err(Failure { status: Some(status.unwrap_or(500)), code, message, request_id: None })
        }
    };
    Ok(Told { custom_id, outcome })
}

#[cfg(test)]
mod tests;
