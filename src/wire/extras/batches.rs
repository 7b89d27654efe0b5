//! What vendors keep in forms of their own, files and batches, asked for and answered as OpenAI has them.

use bytes::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;

use super::listed::{Asked, Pages, list};
use super::read;
use crate::wire::native::{Loss, Refused, Translated, invalid};
use crate::wire::openai::stream::Broken;
use crate::wire::{Malformed, Object};

/// One kind of thing that one vendor keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// Together's files: <https://docs.together.ai/reference/upload-file>.
    TogetherFiles,
    /// Together's batches: <https://docs.together.ai/reference/batch-create>.
    TogetherBatches,
    /// Mistral's lists of files: <https://docs.mistral.ai/api/endpoint/files>.
    MistralFiles,
    /// Mistral's batch jobs: <https://docs.mistral.ai/api/endpoint/batch>.
    MistralBatches,
}

impl Kept {
    /// Whether what is asked for at `below` has another form at the vendor.
    pub fn differs(self, method: &str, below: &str) -> bool {
        self != Kept::MistralFiles || is_list(method, below)
    }

    /// What of the path is below the operation's at the vendor, the query included.
    pub fn below(self, method: &str, below: &str) -> String {
        let (path, query) = below.split_once('?').unwrap_or((below, ""));
        match self {
            Kept::TogetherFiles if method == "POST" && path.trim_end_matches('/').is_empty() => "/upload".to_owned(),
            // it lists all there are: what is asked for is chosen here
            Kept::TogetherFiles | Kept::TogetherBatches => path.to_owned(),
            Kept::MistralFiles | Kept::MistralBatches if is_list(method, below) => {
                let asked = query.split('&').filter(|asked| !asked.is_empty());
                let told = asked.filter_map(|asked| match asked.split_once('=') {
                    Some(("limit" | "page_size", limit)) => Some(format!("page_size={limit}")),
                    Some(("after", _)) => None,
                    _ => Some(asked.to_owned()),
                });
                format!("{path}?{}", told.collect::<Vec<_>>().join("&"))
            }
            Kept::MistralFiles | Kept::MistralBatches => below.to_owned(),
        }
    }

    /// The pages of a list, where what is asked for at `below` is one that the vendor gives in pages and that nobody
    /// counts.
    pub fn pages(self, method: &str, below: &str) -> Option<Pages> {
        let comes_so = matches!(self, Kept::MistralFiles | Kept::MistralBatches) && is_list(method, below);
        comes_so.then(|| Pages::of(below)).flatten()
    }

    /// What the vendor is sent of a body, and what is lost of it. Fails on what can't be said there.
    pub fn encode(self, mut ask: Object) -> Result<(Object, Vec<Loss>), Refused> {
        let mut losses = Vec::new();
        match self {
            Kept::TogetherFiles | Kept::MistralFiles => {}
            Kept::TogetherBatches => {
                if ask.remove("metadata") {
                    losses.push(Loss { param: "metadata".to_owned(), action: "dropped" });
                }
            }
            Kept::MistralBatches => {
                if let Some(file) = ask.get::<String>("input_file_id")? {
                    ask.remove("input_file_id");
                    ask.set("input_files", &[file]);
                }
                if let Some(window) = ask.get::<String>("completion_window")? {
                    let hours = window.strip_suffix('h').and_then(|hours| hours.parse::<u32>().ok());
                    let hours = hours.ok_or_else(|| invalid("completion_window", "must be hours, as 24h"))?;
                    ask.remove("completion_window");
                    ask.set("timeout_hours", &hours);
                }
            }
        }
        Ok((ask, losses))
    }

    /// Whether an answer to this is a file's content, which is passed on as it comes.
    pub fn is_content(self, below: &str) -> bool {
        let path = below.split_once('?').map_or(below, |(path, _)| path);
        self == Kept::TogetherFiles && path.trim_end_matches('/').ends_with("/content")
    }

    /// The list that was asked for at `below`, of the pages it came in, as OpenAI's.
    pub fn listed(self, below: &str, pages: Pages) -> Translated {
        let (answer, mut items, cut) = pages.end();
        if self == Kept::MistralBatches {
            let jobs = items.into_iter().map(mistral).collect::<Result<_, _>>();
            items = jobs.map_err(Broken::Malformed)?;
        }
        Ok(Asked::of(below).of_pages(answer, items, cut))
    }

    /// The answer to what was asked for at `below`, as the caller has it, as OpenAI's.
    pub fn answer(self, below: &str, body: Bytes) -> Translated {
        let asked = Asked::of(below);
        match self {
            Kept::TogetherFiles => {
                let mut answer = read(body)?;
                if answer.has("data") {
                    let files = answer.objects("data").map_err(Broken::Malformed)?;
                    let files =
                        files.into_iter().map(file).collect::<Result<Vec<_>, _>>().map_err(Broken::Malformed)?;
                    return Ok(list(answer, asked.chosen(files)));
                }
                if answer.has("deleted") {
                    answer.set("object", &"file");
                    return Ok(answer);
                }
                file(answer).map_err(Broken::Malformed)
            }
            Kept::TogetherBatches => {
                if body.trim_ascii_start().starts_with(b"[") {
                    let all: Vec<&RawValue> =
                        serde_json::from_slice(&body).map_err(|error| Broken::Malformed(error.into()))?;
                    let each = all.iter().map(|raw| {
                        let job = Object::parse(Bytes::copy_from_slice(raw.get().as_bytes()))?;
                        together(job)
                    });
                    let jobs = each.collect::<Result<Vec<_>, Malformed>>().map_err(Broken::Malformed)?;
                    return Ok(list(Object::default(), asked.chosen(jobs)));
                }
                // what a job has failed of is its own member `error`
                let answer = match Object::parse(body.clone()) {
                    Ok(job) if job.has("job") || job.has("id") => job,
                    _ => read(body)?,
                };
                let Some(mut job) = answer.object("job").map_err(Broken::Malformed)? else {
                    return together(answer).map_err(Broken::Malformed);
                };
                if let Some(warning) = answer.get::<String>("warning").ok().flatten().filter(|text| !text.is_empty()) {
                    job.set("warning", &warning);
                }
                together(job).map_err(Broken::Malformed)
            }
            Kept::MistralBatches => {
                let answer = read(body)?;
                if !answer.has("data") && answer.get::<String>("object").ok().flatten().as_deref() != Some("list") {
                    return mistral(answer).map_err(Broken::Malformed);
                }
                let jobs = answer.objects("data").map_err(Broken::Malformed)?;
                let jobs = jobs.into_iter().map(mistral).collect::<Result<Vec<_>, _>>().map_err(Broken::Malformed)?;
                Ok(asked.of_pages(answer, jobs, false))
            }
            Kept::MistralFiles => {
                let answer = read(body)?;
                let files = answer.objects("data").map_err(Broken::Malformed)?;
                Ok(asked.of_pages(answer, files, false))
            }
        }
    }
}

fn is_list(method: &str, below: &str) -> bool {
    method == "GET" && below.split('?').next().is_some_and(|path| path.trim_end_matches('/').is_empty())
}

/// Purposes of files by OpenAI's names and by Together's.
const PURPOSES: &[(&str, &str)] = &[("batch", "batch-api"), ("batch_output", "batch-generated"), ("evals", "eval")];

/// Together's name for a purpose.
pub fn together_purpose(purpose: &str) -> &str {
    PURPOSES.iter().find(|(own, _)| *own == purpose).map_or(purpose, |(_, told)| told)
}

/// A file of Together's.
fn file(mut file: Object) -> Result<Object, Malformed> {
    if let Some(told) = file.get::<String>("purpose")? {
        let own = PURPOSES.iter().find(|(_, known)| *known == told).map_or(told.as_str(), |(own, _)| own);
        file.set("purpose", &own);
    }
    if !file.has("status") {
        let processed = file.get::<bool>("Processed")?.unwrap_or_default();
        file.set("status", &if processed { "processed" } else { "uploaded" });
    }
    file.set("object", &"file");
    Ok(file)
}

#[derive(Serialize)]
struct Failures {
    object: &'static str,
    data: Vec<Failure>,
}

#[derive(Serialize)]
struct Failure {
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<u64>,
}

impl Failures {
    fn of(data: Vec<Failure>) -> Option<Self> {
        (!data.is_empty()).then_some(Self { object: "list", data })
    }
}

/// A batch of Together's: its times are texts, its status is in capitals.
fn together(mut job: Object) -> Result<Object, Malformed> {
    for member in ["created_at", "job_deadline", "completed_at"] {
        let time = job.get::<String>(member).ok().flatten().and_then(|time| time.parse::<jiff::Timestamp>().ok());
        if let Some(time) = time {
            job.set(member, &time.as_second());
        }
    }
    job.rename("job_deadline", "expires_at");
    for member in ["output_file_id", "error_file_id"] {
        if job.raw(member) == Some(b"\"\"") {
            job.set_raw(member, Bytes::from_static(b"null"));
        }
    }
    let error = job.get::<String>("error")?.filter(|error| !error.is_empty());
    job.remove("error");
    job.set("errors", &Failures::of(error.into_iter().map(|message| Failure { message, count: None }).collect()));
    if let Some(status) = job.get::<String>("status")? {
        job.set("status", &status.to_ascii_lowercase());
    }
    batch(job)
}

/// A job of Mistral's.
fn mistral(mut job: Object) -> Result<Object, Malformed> {
    if job.has("deleted") {
        return Ok(job);
    }
    if let Some(files) = job.get::<Vec<String>>("input_files")? {
        job.set("input_file_id", &files.first());
        if files.len() < 2 {
            job.remove("input_files");
        }
    }
    job.rename("output_file", "output_file_id");
    job.rename("error_file", "error_file_id");
    job.rename("started_at", "in_progress_at");
    let failures = job.objects("errors")?.into_iter().map(|error| {
        let message = error.get::<String>("message")?.unwrap_or_default();
        Ok(Failure { message, count: error.get("count")? })
    });
    let failures = failures.collect::<Result<Vec<_>, Malformed>>()?;
    job.set("errors", &Failures::of(failures));
    let mut counts = Object::default();
    for (told, own) in [("total_requests", "total"), ("succeeded_requests", "completed"), ("failed_requests", "failed")]
    {
        counts.set(own, &job.get::<u64>(told)?.unwrap_or_default());
        job.remove(told);
    }
    job.set_raw("request_counts", counts.encode());
    if let Some(status) = job.get::<String>("status")? {
        let own = match status.as_str() {
            "QUEUED" => "validating",
            "RUNNING" => "in_progress",
            "SUCCESS" => "completed",
            "FAILED" => "failed",
            "TIMEOUT_EXCEEDED" => "expired",
            "CANCELLATION_REQUESTED" => "cancelling",
            "CANCELLED" => "cancelled",
            other => other,
        };
        job.set("status", &own);
    }
    batch(job)
}

/// What every batch of OpenAI's has.
fn batch(mut job: Object) -> Result<Object, Malformed> {
    job.set("object", &"batch");
    if !job.has("completion_window") {
        // the only one there is
        job.set("completion_window", &"24h");
    }
    // what has ended otherwise has not been completed
    let ended = match job.get::<String>("status")?.as_deref() {
        Some("failed") => Some("failed_at"),
        Some("expired") => Some("expired_at"),
        Some("cancelled") => Some("cancelled_at"),
        _ => None,
    };
    if let Some(ended) = ended {
        job.rename("completed_at", ended);
    }
    Ok(job)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_cut_here_where_the_vendor_does_not() {
        let all = br#"[{"id":"1","status":"COMPLETED"},{"id":"2","status":"VALIDATING"},{"id":"3","status":"FAILED"}]"#;
        let check = |below: &str, ids: &[&str], more: bool| {
            let answer = Kept::TogetherBatches.answer(below, Bytes::from_static(all)).expect("as the test has it");
            let found: Vec<String> = answer
                .objects("data")
                .expect("as the test has it")
                .iter()
                .filter_map(|job| job.get("id").ok().flatten())
                .collect();
            assert_eq!(
                (found.as_slice(), answer.get("has_more").ok().flatten()),
                (ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>().as_slice(), Some(more)),
                "{below}"
            );
        };
        check("", &["1", "2", "3"], false);
        check("?limit=2", &["1", "2"], true);
        check("?limit=2&after=2", &["3"], false);
        check("?after=nobody", &["1", "2", "3"], false);
    }

    #[test]
    fn what_is_no_answer_is_none() {
        for kept in [Kept::TogetherFiles, Kept::TogetherBatches, Kept::MistralFiles, Kept::MistralBatches] {
            for body in ["", "[", "7", "[7]", r#"{"data":7}"#, r#"{"job":7}"#, r#"{"errors":7,"status":7}"#, "\u{0}"] {
                let _read = kept.answer("?limit=x&page=&after", Bytes::from(body.to_owned()));
            }
        }
        let odd = Bytes::from_static(br#"{"status":"PAUSED","input_files":[],"created_at":"soon"}"#);
        let odd = Kept::MistralBatches.answer("", odd).expect("it is an object");
        assert_eq!(odd.get::<String>("status").ok().flatten().as_deref(), Some("PAUSED"));
    }
}
