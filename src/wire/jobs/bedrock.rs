//! Bedrock's batch inference: jobs over files at S3.
//!
//! <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_CreateModelInvocationJob.html>,
//! <https://docs.aws.amazon.com/bedrock/latest/userguide/batch-inference-data.html>,
//! <https://docs.aws.amazon.com/bedrock/latest/userguide/batch-inference-results.html>. What an input asks for, and of which
//! model, is in its name, so that whoever lists them knows it: `in/<when>/<chat|embed>/<model>/<file>.jsonl`.

use std::fmt::Write;

use bytes::Bytes;
use serde_json::json;

use super::id::{Kind, Name};
use super::item::{Ask as Asked, Endpoint, Failure, Told};
use super::s3::{Store, is_name};
use super::{Batch, Consumed, Counts, File, Frame, Limits, Status, seconds};
use crate::wire::{Malformed, Object};

/// How many lines there may be is a quota of the account: <https://docs.aws.amazon.com/general/latest/gr/bedrock.html>. Their
/// names are held while they are taken, so there is a bound of ours, too.
pub const LIMITS: Limits = Limits { bytes: 1 << 30, lines: 1_000_000 };

/// Lines.
pub const FRAME: Frame = Frame { begin: b"", between: b"\n", end: b"\n" };

/// Where inputs are, below the prefix.
pub const INPUTS: &str = "in/";

/// Where results are, below the prefix.
pub const RESULTS: &str = "out/";

/// What Bedrock appends to the name of an input for its results.
const OUT: &str = ".out";

/// How long a job may take, hours: OpenAI's completion window, and the least that Bedrock takes.
const HOURS: u64 = 24;

/// Names of callers' files are kept up to this length, bytes.
const LONGEST_NAME: usize = 64;

/// The moment whose stamp is 0: stamps count down, so that lists, which go by name, begin with the newest.
const LAST: u64 = 0xfff_ffff_ffff;

/// One line of input. Fails on tools: a job of the type Converse fails each line that has some.
pub fn line(out: &mut Vec<u8>, ask: &Asked<'_>) -> Result<(), String> {
    let has_tools = Object::parse(Bytes::copy_from_slice(ask.body)).is_ok_and(|body| body.has("toolConfig"));
    if has_tools {
        return Err(
            "Bedrock's batches take no tools, nor a JSON schema for a model that is held to one by a tool: leave \
                    `tools` and `response_format` out, or ask for this line outside of a batch"
                .to_owned(),
        );
    }
    out.extend_from_slice(br#"{"recordId":"#);
    serde_json::to_writer(&mut *out, ask.custom_id).map_err(|error| error.to_string())?;
    out.extend_from_slice(br#","modelInput":"#);
    out.extend_from_slice(ask.body);
    out.push(b'}');
    Ok(())
}

/// What the name of an input says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    /// What its lines ask for.
    pub endpoint: Endpoint,
    /// The model of all of them.
    pub model: String,
    /// What the caller calls the file.
    pub filename: String,
    /// When it came to be, milliseconds of Unix time.
    pub created: u64,
}

impl Input {
    /// The name of an object that holds it; `chance` keeps two of the same millisecond apart.
    pub fn key(&self, chance: u32) -> String {
        let operation = if self.endpoint == Endpoint::Embeddings { "embed" } else { "chat" };
        let stamp = LAST.saturating_sub(self.created);
        format!("{INPUTS}{stamp:011x}{chance:08x}/{operation}/{}/{}", coded(&self.model), kept(&self.filename))
    }

    /// What a name says; `None` if it is not that of an input.
    pub fn read(below: &str) -> Option<Self> {
        let mut parts = below.strip_prefix(INPUTS)?.split('/');
        let (stamp, operation, model, filename) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let stamped = stamp.len() == 19 && stamp.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !stamped || parts.next().is_some() || !filename.ends_with(".jsonl") || !is_name(below) {
            return None;
        }
        let stamp = u64::from_str_radix(&stamp[..11], 16).ok()?;
        let endpoint = match operation {
            "chat" => Endpoint::Chat,
            "embed" => Endpoint::Embeddings,
            _ => return None,
        };
        let (model, filename) = (decoded(model)?, filename.to_owned());
        Some(Self { endpoint, model, filename, created: LAST.checked_sub(stamp)? })
    }

    /// The file, as callers see it.
    pub fn file(&self, below: &str, bytes: u64) -> File {
        File {
            id: Name::new(Kind::Input, [below]).encode(),
            bytes,
            created_at: (self.created / 1000) as i64,
            filename: self.filename.clone(),
            purpose: "batch".to_owned(),
            ..File::default()
        }
    }
}

/// A model in the characters that names of objects may have.
fn coded(model: &str) -> String {
    let mut out = String::with_capacity(model.len());
    for byte in model.bytes() {
        match byte.is_ascii_alphanumeric() || b"-._".contains(&byte) {
            true => out.push(char::from(byte)),
            false => drop(write!(out, "!{byte:02X}")),
        }
    }
    out
}

fn decoded(coded: &str) -> Option<String> {
    let (mut out, mut bytes) = (Vec::with_capacity(coded.len()), coded.bytes());
    while let Some(byte) = bytes.next() {
        let byte = match byte {
            b'!' => {
                let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
                u8::try_from(digit(bytes.next())? * 16 + digit(bytes.next())?).ok()?
            }
            plain => plain,
        };
        out.push(byte);
    }
    String::from_utf8(out).ok()
}

/// A caller's name for a file in the characters that names of objects may have.
fn kept(filename: &str) -> String {
    let stem = filename.strip_suffix(".jsonl").unwrap_or(filename);
    let plain = |byte: u8| if byte.is_ascii_alphanumeric() || b"-._".contains(&byte) { char::from(byte) } else { '_' };
    let stem: String = stem.bytes().take(LONGEST_NAME).map(plain).collect();
    format!("{}.jsonl", if stem.is_empty() { "batch" } else { &stem })
}

/// What a job is made of.
#[derive(Clone, Copy, Debug)]
pub struct Order<'a> {
    /// Where its files are.
    pub store: &'a Store,
    /// The object with its input, without the prefix.
    pub input: &'a str,
    /// The role that reads and writes those files.
    pub role: &'a str,
    /// The same for the same call: two attempts make one job.
    pub token: &'a str,
}

/// The body that makes a job; `None` if the input is none of ours.
pub fn job(order: &Order<'_>) -> Option<Object> {
    let input = Input::read(order.input)?;
    let kind = if input.endpoint == Endpoint::Embeddings { "InvokeModel" } else { "Converse" };
    let mut out = Object::default();
    out.set("jobName", &format!("ferrogw-{}", order.token));
    out.set_text("clientRequestToken", order.token);
    out.set_text("roleArn", order.role);
    out.set_text("modelId", &input.model);
    out.set("modelInvocationType", &kind);
    let uri = order.store.uri(order.input);
    out.set("inputDataConfig", &json!({"s3InputDataConfig": {"s3Uri": uri, "s3InputFormat": "JSONL"}}));
    out.set("outputDataConfig", &json!({"s3OutputDataConfig": {"s3Uri": order.store.uri(RESULTS)}}));
    out.set("timeoutDurationInHours", &HOURS);
    Some(out)
}

/// The id in the ARN of a job, which may be it already.
pub fn id_of(arn: &str) -> Option<&str> {
    let id = arn.rsplit('/').next()?;
    is_job(id).then_some(id)
}

/// Whether this may be the id of a job.
pub fn is_job(id: &str) -> bool {
    id.len() == 12 && id.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
}

/// A job, and the objects with its results and its summary, without the prefix.
#[derive(Debug)]
pub struct Job {
    /// Its id.
    pub name: String,
    /// As callers see it.
    pub batch: Batch,
    /// Its results.
    pub results: String,
    /// Its summary.
    pub summary: String,
}

/// A job; `None` if its files are elsewhere, which makes it somebody else's. Fails on what is none.
pub fn batch(mut job: Object, store: &Store) -> Result<Option<Job>, Malformed> {
    let text = |member: &str| job.get::<String>(member);
    let arn = text("jobArn")?.unwrap_or_default();
    let id = id_of(&arn).ok_or_else(|| Malformed::new("the job has no `jobArn`"))?.to_owned();
    let uri = |config: &str, of: &str| -> Result<String, Malformed> {
        let at = job.object(config)?.and_then(|config| config.object(of).ok().flatten());
        Ok(at.and_then(|at| at.get::<String>("s3Uri").ok().flatten()).unwrap_or_default())
    };
    let (input, output) =
        (uri("inputDataConfig", "s3InputDataConfig")?, uri("outputDataConfig", "s3OutputDataConfig")?);
    let below = store.below(&input).and_then(|below| Some((below, Input::read(below)?)));
    let output = store.below(&output).map(|output| output.trim_end_matches('/'));
    let (Some((below, said)), Some(output)) = (below, output) else { return Ok(None) };
    let results = format!("{output}/{id}/{}{OUT}", below.rsplit('/').next().unwrap_or_default());
    let summary = format!("{output}/{id}/manifest.json.out");
    let count = |member: &str| job.get::<u64>(member);
    let (answered, errors) = (count("successRecordCount")?, count("errorRecordCount")?);
    let time = |member: &str| Ok::<_, Malformed>(text(member)?.as_deref().and_then(seconds));
    let message = text("message")?.filter(|message| !message.is_empty());
    let status = status(text("status")?.as_deref());
    let ended = matches!(status, Status::Completed | Status::Failed | Status::Expired | Status::Cancelled);
    let file = |kind, any: bool| (ended && any).then(|| Name::new(kind, [results.as_str()]).encode());
    let untold = status == Status::Completed;
    let batch = Batch {
        id: Name::new(Kind::Batch, [id.as_str()]).encode(),
        endpoint: said.endpoint,
        model: Some(said.model),
        input_file_id: Name::new(Kind::Input, [below]).encode(),
        output_file_id: file(Kind::Output, answered.map_or(untold, |count| count > 0)),
        error_file_id: file(Kind::Errors, errors.is_some_and(|count| count > 0)),
        status,
        errors: message.filter(|_| status == Status::Failed).map(|message| (None, message)).into_iter().collect(),
        created_at: time("submitTime")?.unwrap_or_default(),
        expires_at: time("jobExpirationTime")?,
        cancelling_at: time("lastModifiedTime")?.filter(|_| status == Status::Cancelling),
        ended_at: time("endTime")?.or(time("lastModifiedTime")?).filter(|_| ended),
        counts: Counts {
            total: count("totalRecordCount")?.unwrap_or_default(),
            completed: answered.unwrap_or_default(),
            failed: errors.unwrap_or_default(),
        },
        ..Batch::default()
    };
    // what names the operator's account is nothing for callers
    for own in ["jobArn", "roleArn", "vpcConfig", "clientRequestToken", "inputDataConfig", "outputDataConfig"] {
        job.remove(own);
    }
    for said in ["modelId", "message", "status", "submitTime", "jobExpirationTime", "endTime"] {
        job.remove(said);
    }
    Ok(Some(Job { name: id, batch: Batch { more: job, ..batch }, results, summary }))
}

fn status(said: Option<&str>) -> Status {
    match said {
        Some("Submitted" | "Validating" | "Scheduled") => Status::Validating,
        Some("Completed") => Status::Completed,
        Some("Failed") => Status::Failed,
        Some("Stopping") => Status::Cancelling,
        Some("Stopped") => Status::Cancelled,
        // not all of it was done in time: what was can be read
        Some("Expired" | "PartiallyCompleted") => Status::Expired,
        _ => Status::InProgress,
    }
}

/// What the summary of a job says beside what the job says itself: what was consumed, and how many lines there were.
pub fn summarised(batch: &mut Batch, summary: Bytes) {
    let Ok(summary) = Object::parse(summary) else { return };
    let count = |member: &str| summary.get::<u64>(member).ok().flatten();
    if let (Some(input), Some(output)) = (count("inputTokenCount"), count("outputTokenCount")) {
        batch.usage = Some(Consumed { input, output, ..Consumed::default() });
    }
    if batch.counts == Counts::default() {
        let said = |member: &str| count(member).unwrap_or_default();
        let (completed, failed) = (said("successRecordCount"), said("errorRecordCount"));
        batch.counts = Counts { total: said("totalRecordCount"), completed, failed };
    }
}

/// A file with results, whose object has this name and length. `None` if it is none.
pub fn result(below: &str, kind: Kind, bytes: u64, created: i64) -> Option<File> {
    let (job, name) = below.strip_prefix(RESULTS)?.strip_suffix(OUT)?.split_once('/')?;
    let named = is_job(job) && name.ends_with(".jsonl") && !name.contains('/');
    let what = if kind == Kind::Errors { "error" } else { "output" };
    named.then(|| File {
        id: Name::new(kind, [below]).encode(),
        bytes,
        created_at: created,
        filename: format!("{job}_{what}.jsonl"),
        purpose: "batch_output".to_owned(),
        ..File::default()
    })
}

/// A line of results. Fails on what is none.
pub fn told(line: Bytes) -> Result<Told, Malformed> {
    let line = Object::parse(line)?;
    let custom_id = line.get::<String>("recordId")?.ok_or_else(|| Malformed::new("it has no `recordId`"))?;
    if let Some(answer) = line.raw("modelOutput").filter(|raw| *raw != b"null") {
        return Ok(Told { custom_id, outcome: Ok(Bytes::copy_from_slice(answer)) });
    }
    let Some(error) = line.raw("error").filter(|raw| *raw != b"null") else {
        return Err(Malformed::new("it has neither `modelOutput` nor `error`"));
    };
    let failure = match line.object("error") {
        Ok(Some(error)) => {
            let text = |member: &str| error.get::<String>(member).ok().flatten();
            let number = error.get::<u16>("errorCode").ok().flatten();
            let coded = text("errorCode");
            let status = number.or_else(|| coded.as_deref()?.parse().ok()).filter(|status| (400..600).contains(status));
            let message = text("errorMessage").or_else(|| text("message"));
            let message = message.unwrap_or_else(|| "Bedrock says no reason.".to_owned());
            let code = coded.filter(|code| !code.bytes().all(|byte| byte.is_ascii_digit()));
            Failure { status: status.or(Some(500)), code, message, request_id: None }
        }
        _ => {
            let message = serde_json::from_slice(error).unwrap_or_else(|_| String::from_utf8_lossy(error).into_owned());
            Failure { status: Some(500), code: None, message, request_id: None }
        }
    };
    Ok(Told { custom_id, outcome: Err(failure) })
}

#[cfg(test)]
mod tests;
