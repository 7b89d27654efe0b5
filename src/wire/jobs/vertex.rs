//! Batches of Vertex AI, whose lines stand in Cloud Storage.
//!
//! <https://cloud.google.com/vertex-ai/generative-ai/docs/multimodal/batch-prediction-from-cloud-storage>,
//! <https://cloud.google.com/vertex-ai/generative-ai/docs/partner-models/claude/batch>,
//! <https://cloud.google.com/vertex-ai/docs/reference/rest/v1/projects.locations.batchPredictionJobs>,
//! <https://cloud.google.com/storage/docs/json_api/v1/objects>

use std::borrow::Cow;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::google::{count, failure, inner, metadata_of, moment, status, text};
use super::id::{Kind, Name};
use super::item::{Ask, Failure, Told, shortened};
use super::{Batch, Counts, File, Frame, Limits, Status, sum};
use crate::wire::anthropic::Hosting;
use crate::wire::gemini::Host;
use crate::wire::native::json::{Json, compact};
use crate::wire::{Dialect, Malformed, Native, Object};

/// <https://cloud.google.com/vertex-ai/generative-ai/docs/multimodal/batch-prediction-gemini>
pub const LIMITS: Limits = Limits { bytes: 1 << 30, lines: 200_000 };

/// One line after the other.
pub const FRAME: Frame = Frame { begin: b"", between: b"\n", end: b"\n" };

/// The longest name of a job, characters.
pub const LONGEST_NAME: usize = 128;

/// Stands before each `custom_id`: whoever imports the lines takes what looks like a number, or a date, for one.
const MARK: &str = "id-";

/// A line of input. Claude's have a `custom_id` beside the request; others get it back, too, as everything beside it. Fails
/// on models whose batches have a form that is not known here.
pub fn line(out: &mut Vec<u8>, ask: &Ask<'_>) -> Result<(), String> {
    let Ask { custom_id, body, model, dialect, .. } = *ask;
    resource(model, dialect)?;
    let mut json = Json(std::mem::take(out));
    json.0.extend_from_slice(b"{");
    json.name("custom_id").text(&format!("{MARK}{custom_id}")).name("request");
    compact(&mut json.0, body);
    json.raw("}");
    *out = json.0;
    Ok(())
}

/// A model, as jobs name it. Fails, in words for the caller, on those whose batches have a form that is not known here.
pub fn resource(model: &str, dialect: Dialect) -> Result<String, String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._@:".contains(&byte);
    let is_plain = model.len() <= 128 && model.bytes().all(plain);
    match dialect {
        Dialect::Native(Native::Gemini(_)) if is_plain && model.starts_with("gemini-") => {
            Ok(format!("publishers/google/models/{model}"))
        }
        Dialect::Native(Native::Anthropic(_)) if is_plain => Ok(format!("publishers/anthropic/models/{model}")),
        _ => {
            let model = shortened(model);
            Err(format!("`{model}` has no batches here: at Vertex AI they are made for models of Gemini and Claude"))
        }
    }
}

/// Where the lines are kept: a bucket, and what all names of objects in it begin with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Store {
    /// The bucket.
    pub bucket: String,
    /// What all names begin with; empty, or with a slash at its end.
    pub prefix: String,
}

/// Below the prefix everything of ours stands in this folder.
const FOLDER: &str = "ferrogw-batches/";

/// What the names of inputs end with.
const LINES: &str = ".jsonl";

impl Store {
    /// Of `gs://bucket/prefix`. Fails in words for the operator.
    pub fn read(text: &str) -> Result<Self, &'static str> {
        const WANTED: &str = "must be a bucket of Cloud Storage, as gs://bucket or gs://bucket/prefix";
        let rest = text.strip_prefix("gs://").ok_or(WANTED)?;
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.".contains(&byte);
        if !(3..=222).contains(&bucket.len()) || !bucket.bytes().all(plain) || bucket.contains("..") {
            return Err(WANTED);
        }
        let prefix = prefix.trim_end_matches('/');
        let odd = |part: &str| part.is_empty() || part == "." || part == "..";
        let strange = |c: char| c.is_control() || matches!(c, '#' | '[' | ']' | '*' | '?');
        if !prefix.is_empty() && (prefix.split('/').any(odd) || prefix.contains(strange) || prefix.len() > 512) {
            return Err("must have a prefix of plain names with a slash between them, as gs://bucket/batches/blue");
        }
        let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
        Ok(Self { bucket: bucket.to_owned(), prefix })
    }

    /// What the names of all objects of ours begin with.
    pub fn folder(&self) -> String {
        format!("{}{FOLDER}", self.prefix)
    }

    /// The name of the input that is called so.
    pub fn input(&self, name: &str) -> String {
        format!("{}{FOLDER}{name}{LINES}", self.prefix)
    }

    /// What an input is called, by the name of its object.
    fn called<'a>(&self, object: &'a str) -> Option<&'a str> {
        let name = object.strip_prefix(self.folder().as_str())?.strip_suffix(LINES)?;
        is_input(name).then_some(name)
    }

    /// The name of an object or folder, of an address below ours.
    pub fn below<'a>(&self, address: &'a str) -> Option<&'a str> {
        let name = address.strip_prefix("gs://")?.strip_prefix(self.bucket.as_str())?.strip_prefix('/')?;
        let odd = |part: &str| part == "." || part == "..";
        (name.starts_with(self.folder().as_str()) && !name.split('/').any(odd)).then_some(name)
    }

    fn address(&self, object: &str) -> String {
        format!("gs://{}/{object}", self.bucket)
    }
}

/// Whether this may be what an input is called.
pub fn is_input(name: &str) -> bool {
    name.len() == 32 && name.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

/// Whether this may be the number of a job.
pub fn is_job(name: &str) -> bool {
    (1..=32).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_digit())
}

/// What an upload to the store begins with: the object's name, and what has to be known of it later.
pub fn object(name: &str, model: &str, filename: &str) -> Bytes {
    let mut json = Json::default();
    json.raw("{").name("name").text(name).name("contentType").text("application/jsonl").name("metadata").raw("{");
    json.name("model").text(model).name("filename").text(filename).raw("}}");
    json.0.into()
}

/// The format in which a model answers, by its resource; `None` if its batches have a form that is not known here.
pub fn native(resource: &str) -> Option<Native> {
    if resource.contains("publishers/google/models/gemini") {
        return Some(Native::Gemini(Host::Vertex));
    }
    let claude = resource.contains("publishers/anthropic/models/");
    claude.then_some(Native::Anthropic(Hosting::Vertex))
}

/// What makes a job of an input. Its results will stand beside it, each job's in a folder with the job's time in its name.
pub fn make(store: &Store, input: &str, model: &str, name: &str) -> Bytes {
    let output = format!("{}{input}", store.folder());
    let mut json = Json::default();
    json.raw("{").name("displayName").text(name).name("model").text(model);
    json.name("inputConfig").raw("{").name("instancesFormat").text("jsonl");
    json.name("gcsSource").raw(r#"{"uris":["#).text(&store.address(&store.input(input))).raw("]}}");
    json.name("outputConfig").raw("{").name("predictionsFormat").text("jsonl");
    json.name("gcsDestination").raw("{").name("outputUriPrefix").text(&store.address(&output)).raw("}}}");
    json.0.into()
}

/// What a job is called that its caller has noted nothing about.
pub const UNNAMED: &str = "ferrogw";

/// The folder of a job's results; `None` if there is none yet, or not in the store.
pub fn results(store: &Store, job: &Object) -> Option<String> {
    let folder = text(&inner(job, "outputInfo"), "gcsOutputDirectory")?;
    Some(store.below(&folder)?.trim_end_matches('/').to_owned())
}

/// The name and length of an object in that folder, if it holds results: a long job may write several.
pub fn part(object: &Object) -> Option<(String, u64)> {
    let name = text(object, "name")?;
    let own = name.rsplit('/').next().unwrap_or_default();
    let holds = own.starts_with("prediction") && !own.contains("error");
    holds.then(|| (name, count(object, "size").unwrap_or_default()))
}

/// A model's own name.
fn plain_model(resource: &str) -> String {
    resource.rsplit_once("/models/").map_or(resource, |(_, model)| model).to_owned()
}

/// A batch, which is told as a job. Fails on what is none.
pub fn batch(store: &Store, job: &Object) -> Result<Batch, Malformed> {
    let name = text(job, "name").unwrap_or_default();
    let number = name.rsplit('/').next().filter(|number| is_job(number));
    let number = number.ok_or_else(|| Malformed::new("it names no job"))?;
    let state = status(&text(job, "state").unwrap_or_default());
    let model = text(job, "model").map(|model| plain_model(&model));
    let stats = inner(job, "completionStats");
    let [completed, failed, left] =
        ["successfulCount", "failedCount", "incompleteCount"].map(|name| count(&stats, name));
    let known = completed.is_some() || failed.is_some();
    let (completed, failed) = (completed.unwrap_or_default(), failed.unwrap_or_default());
    let counts = Counts { total: sum([completed, failed, left.unwrap_or_default()]), completed, failed };
    let done = [Status::Completed, Status::Failed, Status::Cancelled, Status::Expired].contains(&state);
    // they are written while the job goes on, too, but it is not known when a line is whole
    let readable = done && results(store, job).is_some();
    let file = |kind, wanted: bool| (readable && wanted).then(|| Name::new(kind, [number]).encode());
    let sources = inner(&inner(job, "inputConfig"), "gcsSource").get::<Vec<String>>("uris").ok().flatten();
    let source = sources.and_then(|uris| uris.into_iter().next()).unwrap_or_default();
    let input = store.below(&source).and_then(|object| store.called(object));
    let cancelled = state == Status::Cancelled;
    let why = job.raw("error").and_then(|raw| failure(std::str::from_utf8(raw).ok()?)).filter(|_| !cancelled);
    let display = text(job, "displayName").unwrap_or_default();
    let metadata = metadata_of(&display);
    let ended = moment(job, "endTime").or_else(|| moment(job, "updateTime"));
    let batch = Batch {
        id: Name::new(Kind::Batch, [number]).encode(),
        input_file_id: input.map(|name| Name::new(Kind::Input, [name]).encode()).unwrap_or_default(),
        output_file_id: file(Kind::Output, !known || completed > 0),
        error_file_id: file(Kind::Errors, !known || failed > 0 || left.is_some_and(|left| left > 0)),
        model,
        status: state,
        errors: why.map(|why| (why.code, why.message)).into_iter().collect(),
        created_at: moment(job, "createTime").unwrap_or_default(),
        in_progress_at: moment(job, "startTime"),
        ended_at: ended.filter(|_| done),
        counts,
        ..Batch::default()
    };
    let mut known = ["name", "model", "state", "error", "completionStats", "inputConfig", "outputConfig"].to_vec();
    known.extend(["outputInfo", "createTime", "startTime", "endTime", "updateTime"]);
    if metadata.is_some() || display == UNNAMED {
        known.push("displayName");
    }
    let mut more = job.clone();
    more.retain(|name| !known.contains(&name));
    Ok(Batch { metadata, more, ..batch })
}

/// An input, of its object in the store; `None` if the object is none.
pub fn file(store: &Store, object: &Object) -> Option<File> {
    let name = text(object, "name")?;
    let called = store.called(&name)?;
    let noted = inner(object, "metadata");
    Some(File {
        id: Name::new(Kind::Input, [called]).encode(),
        bytes: count(object, "size").unwrap_or_default(),
        created_at: moment(object, "timeCreated").unwrap_or_default(),
        filename: text(&noted, "filename").unwrap_or_else(|| format!("{called}{LINES}")),
        purpose: "batch".to_owned(),
        ..File::default()
    })
}

/// The model that all lines of an input are for, of its object in the store.
pub fn model(object: &Object) -> Option<String> {
    text(&inner(object, "metadata"), "model")
}

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    custom_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    status: Option<&'a RawValue>,
    #[serde(borrow)]
    response: Option<&'a RawValue>,
}

/// One line of results. Fails on what is none.
pub fn told(line: &Bytes) -> Result<Told, Malformed> {
    let read: Line<'_> = serde_json::from_slice(line)?;
    let custom_id = read.custom_id.ok_or_else(|| Malformed::new("it has no custom_id"))?;
    let custom_id = custom_id.strip_prefix(MARK).unwrap_or(&custom_id).to_owned();
    let said = read.status.map(RawValue::get).filter(|status| !matches!(*status, r#""""# | "null" | "{}"));
    let response = read.response.filter(|response| !matches!(response.get(), "null" | "{}"));
    let outcome = match (said, response) {
        (None, Some(response)) => Ok(line.slice_ref(response.get().as_bytes())),
        (Some(said), _) => Err(refusal(said)),
        (None, None) => Err(Failure::unasked("no_answer", "The vendor tells neither an answer nor a failure.")),
    };
    Ok(Told { custom_id, outcome })
}

/// `"Bad Request: {\"error\": {…}}"`, or anything else.
fn refusal(status: &str) -> Failure {
    let said: Cow<'_, str> = serde_json::from_str::<String>(status).map_or(Cow::Borrowed(status), Cow::Owned);
    let within = said.find('{').and_then(|at| failure(&said[at..]));
    within.unwrap_or_else(|| Failure { status: Some(500), message: said.into_owned(), ..Failure::default() })
}
