//! Files and batches of vendors whose batches are not OpenAI's: what they have in common in OpenAI's words, and a file
//! for each vendor's own words.
//!
//! A vendor's file holds its line of input (`line`), its jobs as [`Batch`]es, and a line of its results as [`item::Told`].

pub mod anthropic;
pub mod avro;
pub mod bedrock;
pub mod cohere;
pub mod fireworks;
pub mod gemini;
pub mod google;
pub mod id;
pub mod item;
pub mod lines;
pub mod s3;
pub mod vertex;

use bytes::Bytes;
use serde::Serialize;

use self::item::{Ask, Endpoint};
use super::Object;

/// Whose batches they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Jobs {
    /// Anthropic's: <https://platform.claude.com/docs/en/build-with-claude/batch-processing>.
    Anthropic,
    /// The Gemini API's: <https://ai.google.dev/gemini-api/docs/batch-api>.
    Gemini,
    /// Vertex AI's: <https://cloud.google.com/vertex-ai/generative-ai/docs/multimodal/batch-prediction-gemini>.
    Vertex,
    /// Bedrock's: <https://docs.aws.amazon.com/bedrock/latest/userguide/batch-inference.html>.
    Bedrock,
    /// Cohere's: <https://docs.cohere.com/reference/create-batch>.
    Cohere,
    /// Fireworks': <https://docs.fireworks.ai/guides/batch-inference>.
    Fireworks,
}

/// What a vendor takes in one batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of its own lines.
    pub bytes: u64,
    /// Lines.
    pub lines: u64,
}

/// What stands around the vendor's own lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Before the first.
    pub begin: &'static [u8],
    /// Between two.
    pub between: &'static [u8],
    /// Behind the last.
    pub end: &'static [u8],
}

impl Jobs {
    /// What may be asked for in a batch.
    pub fn endpoints(self) -> &'static [Endpoint] {
        match self {
            Jobs::Anthropic | Jobs::Fireworks | Jobs::Vertex => &[Endpoint::Chat],
            Jobs::Bedrock | Jobs::Cohere | Jobs::Gemini => &[Endpoint::Chat, Endpoint::Embeddings],
        }
    }

    /// Whether all lines of a batch must name the same model.
    pub fn has_one_model(self) -> bool {
        match self {
            Jobs::Anthropic => false,
            Jobs::Bedrock | Jobs::Cohere | Jobs::Fireworks | Jobs::Gemini | Jobs::Vertex => true,
        }
    }

    /// Whether it keeps files for anything but batches.
    pub fn keeps_files(self) -> bool {
        match self {
            Jobs::Anthropic | Jobs::Gemini => true,
            Jobs::Bedrock | Jobs::Cohere | Jobs::Fireworks | Jobs::Vertex => false,
        }
    }

    /// Whether its batches answer whole what is had in streams alone elsewhere.
    pub fn answers_whole(self) -> bool {
        self == Jobs::Fireworks
    }

    /// The most that it takes.
    pub fn limits(self) -> Limits {
        match self {
            Jobs::Anthropic => anthropic::LIMITS,
            Jobs::Gemini => gemini::LIMITS,
            Jobs::Vertex => vertex::LIMITS,
            Jobs::Bedrock => bedrock::LIMITS,
            Jobs::Cohere => cohere::LIMITS,
            Jobs::Fireworks => fireworks::LIMITS,
        }
    }

    /// What its own lines are put into.
    pub fn frame(self) -> Frame {
        match self {
            Jobs::Anthropic => anthropic::FRAME,
            Jobs::Gemini => gemini::FRAME,
            Jobs::Vertex => vertex::FRAME,
            Jobs::Bedrock => bedrock::FRAME,
            Jobs::Cohere => cohere::FRAME,
            Jobs::Fireworks => fireworks::FRAME,
        }
    }

    /// Append its own line for a request that is encoded already, without what stands between lines. Fails, in words for
    /// the caller, on what it can't carry.
    pub fn line(self, out: &mut Vec<u8>, ask: &Ask<'_>) -> Result<(), String> {
        match self {
            Jobs::Anthropic => anthropic::line(out, ask),
            Jobs::Gemini => gemini::line(out, ask),
            Jobs::Vertex => vertex::line(out, ask),
            Jobs::Bedrock => bedrock::line(out, ask),
            Jobs::Cohere => cohere::line(out, ask),
            Jobs::Fireworks => fireworks::line(out, ask),
        }
    }
}

/// How a batch is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Its input is being looked at.
    Validating,
    /// Its input was no good, or all of it failed.
    Failed,
    /// It is being worked off.
    #[default]
    InProgress,
    /// Its results are being put together.
    Finalizing,
    /// Its results are there.
    Completed,
    /// Its time was over before it was.
    Expired,
    /// It is being cancelled.
    Cancelling,
    /// It was cancelled.
    Cancelled,
}

/// How many requests a batch has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// All of them.
    pub total: u64,
    /// Those that were answered.
    pub completed: u64,
    /// Those that will not be.
    pub failed: u64,
}

/// What a batch has consumed, tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Consumed {
    /// Of the requests.
    pub input: u64,
    /// Of these, those that were read from a cache.
    pub cached: u64,
    /// Of the answers.
    pub output: u64,
    /// Of these, those of thoughts.
    pub reasoning: u64,
}

/// A batch, in OpenAI's words (<https://platform.openai.com/docs/api-reference/batch/object>). Times are seconds of Unix
/// time.
#[derive(Debug, Default)]
pub struct Batch {
    /// Its id, as callers know it.
    pub id: String,
    /// What its lines ask for.
    pub endpoint: Endpoint,
    /// The model of all lines, if there is one and it is known.
    pub model: Option<String>,
    /// The id of its input, as callers know it.
    pub input_file_id: String,
    /// The id of its answers, once there are any.
    pub output_file_id: Option<String>,
    /// The id of its failures, once there are any.
    pub error_file_id: Option<String>,
    /// How it is doing.
    pub status: Status,
    /// Why it failed as a whole: what each of these is called, if anything, and in words.
    pub errors: Vec<(Option<String>, String)>,
    /// When it was made.
    pub created_at: i64,
    /// When work on it began.
    pub in_progress_at: Option<i64>,
    /// When its time is over.
    pub expires_at: Option<i64>,
    /// When its results began to be put together.
    pub finalizing_at: Option<i64>,
    /// When its cancellation began.
    pub cancelling_at: Option<i64>,
    /// When it ended, whatever its end.
    pub ended_at: Option<i64>,
    /// Its requests.
    pub counts: Counts,
    /// What it has consumed, if the vendor says.
    pub usage: Option<Consumed>,
    /// What the caller has noted about it, if the vendor carries that: an object.
    pub metadata: Option<Object>,
    /// What else the vendor says of it: members that OpenAI's batch has, too, are not repeated.
    pub more: Object,
}

#[derive(Serialize)]
struct Errors<'a> {
    object: &'static str,
    data: Vec<Complaint<'a>>,
}

#[derive(Serialize)]
struct Complaint<'a> {
    code: &'a str,
    message: &'a str,
    param: Option<&'a str>,
    line: Option<u64>,
}

impl Batch {
    /// With every member that OpenAI's has.
    pub fn encode(&self) -> Object {
        let mut out = Object::default();
        out.set_text("id", &self.id);
        out.set("object", &"batch");
        out.set("endpoint", &self.endpoint.path());
        out.set("model", &self.model);
        let told = |(code, message)| complaint(code, message);
        let data: Vec<_> = self.errors.iter().map(|(code, message)| told((code.as_deref(), message))).collect();
        out.set("errors", &(!data.is_empty()).then_some(Errors { object: "list", data }));
        out.set_text("input_file_id", &self.input_file_id);
        out.set("completion_window", &"24h");
        out.set("status", &self.status);
        out.set("output_file_id", &self.output_file_id);
        out.set("error_file_id", &self.error_file_id);
        out.set("created_at", &self.created_at);
        out.set("in_progress_at", &self.in_progress_at);
        out.set("expires_at", &self.expires_at);
        out.set("finalizing_at", &self.finalizing_at);
        let ended = |status| self.ended_at.filter(|_| self.status == status);
        out.set("completed_at", &ended(Status::Completed));
        out.set("failed_at", &ended(Status::Failed));
        out.set("expired_at", &ended(Status::Expired));
        out.set("cancelling_at", &self.cancelling_at);
        out.set("cancelled_at", &ended(Status::Cancelled));
        out.set("request_counts", &self.counts);
        if let Some(usage) = &self.usage {
            out.set_raw("usage", usage.encode());
        }
        match &self.metadata {
            Some(metadata) => out.set_raw("metadata", metadata.encode()),
            None => out.set_raw("metadata", Bytes::from_static(b"null")),
        }
        joined(out, &self.more)
    }
}

impl Batch {
    /// Its results as files, those that there are; `name` is what the vendor calls it.
    pub fn results(&self, name: &str) -> Vec<File> {
        let file = |id: &Option<String>, what: &str| {
            Some(File {
                id: id.clone()?,
                created_at: self.ended_at.unwrap_or(self.created_at),
                filename: format!("{name}_{what}.jsonl"),
                purpose: "batch_output".to_owned(),
                ..File::default()
            })
        };
        [file(&self.output_file_id, "output"), file(&self.error_file_id, "error")].into_iter().flatten().collect()
    }
}

fn complaint<'a>(code: Option<&'a str>, message: &'a str) -> Complaint<'a> {
    Complaint { code: code.unwrap_or("batch_failed"), message, param: None, line: None }
}

impl Consumed {
    fn encode(self) -> Bytes {
        let Self { input, cached, output, reasoning } = self;
        let total = input.saturating_add(output);
        let usage = serde_json::json!({
            "input_tokens": input, "input_tokens_details": {"cached_tokens": cached},
            "output_tokens": output, "output_tokens_details": {"reasoning_tokens": reasoning},
            "total_tokens": total,
        });
        usage.to_string().into()
    }
}

/// A file, in OpenAI's words (<https://platform.openai.com/docs/api-reference/files/object>). Times are seconds of Unix
/// time.
#[derive(Clone, Debug, Default)]
pub struct File {
    /// Its id, as callers know it.
    pub id: String,
    /// Its length, bytes; 0 where the vendor does not say.
    pub bytes: u64,
    /// When it came to be.
    pub created_at: i64,
    /// When it will be gone, if that is known.
    pub expires_at: Option<i64>,
    /// What it is called.
    pub filename: String,
    /// What it is for: `batch`, `batch_output`, `user_data`, `assistants_output`.
    pub purpose: String,
    /// Whether it can be used; one that can't is being looked at still, or failed for this reason.
    pub status: Standing,
    /// What else the vendor says of it: members that OpenAI's file has, too, are not repeated.
    pub more: Object,
}

/// Whether a file can be used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Standing {
    /// Not yet.
    Uploaded,
    /// It can.
    #[default]
    Processed,
    /// Never, and why.
    Error(String),
}

impl File {
    /// With every member that OpenAI's has.
    pub fn encode(&self) -> Object {
        let mut out = Object::default();
        out.set_text("id", &self.id);
        out.set("object", &"file");
        out.set("bytes", &self.bytes);
        out.set("created_at", &self.created_at);
        out.set("expires_at", &self.expires_at);
        out.set_text("filename", &self.filename);
        out.set_text("purpose", &self.purpose);
        let (status, details) = match &self.status {
            Standing::Uploaded => ("uploaded", None),
            Standing::Processed => ("processed", None),
            Standing::Error(why) => ("error", Some(why)),
        };
        out.set("status", &status);
        out.set("status_details", &details);
        joined(out, &self.more)
    }
}

/// An object with the members of another one behind its own; of those that both have, its own stay.
fn joined(own: Object, more: &Object) -> Object {
    if more.is_empty() {
        return own;
    }
    let mut out = own.encode().to_vec();
    out.pop();
    for (name, value) in more.members().filter(|(name, _)| !own.has(name)) {
        out.push(b',');
        serde_json::to_writer(&mut out, name).expect("a string always encodes");
        out.push(b':');
        out.extend_from_slice(value);
    }
    out.push(b'}');
    Object::parse(out.into()).unwrap_or(own)
}

/// A list, in OpenAI's words, of what is encoded already.
pub fn list(items: &[Object], more: bool) -> Object {
    let id = |item: Option<&Object>| item.and_then(|item| item.get::<String>("id").ok().flatten());
    let mut out = Object::default();
    out.set("object", &"list");
    out.set_objects("data", items);
    out.set("first_id", &id(items.first()));
    out.set("last_id", &id(items.last()));
    out.set("has_more", &more);
    out
}

/// All of these together, as a vendor has told them: whatever it says, there is a sum.
pub fn sum(counts: impl IntoIterator<Item = u64>) -> u64 {
    counts.into_iter().fold(0, u64::saturating_add)
}

/// Seconds of Unix time of a moment as RFC 3339 has it.
pub fn seconds(moment: &str) -> Option<i64> {
    moment.parse::<jiff::Timestamp>().ok().map(|moment| moment.as_second())
}
