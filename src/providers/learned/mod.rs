//! What a provider's refusals have taught: parameters that one of its models does not take, left out for an hour, and
//! models that are held to no schema, which are told it instead. And what its answers leave to be remembered.
//!
//! What a deployment accepts depends on the model behind its name, which the name need not tell. So a refusal that names
//! a parameter is answered by asking once more without it, unless the operator wants such requests refused.

pub mod signatures;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use bytes::Bytes;

use self::signatures::Signatures;
use super::Provider;
use super::rework::{mentions, params};
use super::spec::{Notes, Policy};
use crate::call::{Fault, Upstream};
use crate::wire::Object;

/// How long a lesson is remembered.
const MEMORY: Duration = Duration::from_secs(3600);

/// The most lessons that are kept: models are named by callers.
const MOST: usize = 256;

/// The parameters whose absence changes no answer beyond recognition.
const OPTIONAL: &[&str] = &["stream_options", "parallel_tool_calls", "temperature", "top_p", "max_tokens"];

/// How servers say that they do not know or take a parameter, lower case.
const REFUSALS: &[&str] = &[
    "unsupported",
    "not support",
    "unrecognized",
    "unknown",
    "unexpected",
    "not permitted",
    "extra inputs",
    "extra field",
    "not allowed",
    "extra_forbidden",
    "is not compatible",
    "instead",
];

/// A lesson that is no parameter, but a value of one.
const JSON_SCHEMA: &str = "json_schema";

/// How servers say that a model is held to no schema, lower case and without quotes (Groq, DeepSeek's servers). What they say
/// of schemas they do not like is none of these.
const NO_SCHEMA: &[&str] = &[
    "does not support response format json_schema",
    "only supports response formats",
    "this response_format type is unavailable",
];

/// The lessons of one target.
#[derive(Default)]
pub struct Learned {
    lessons: ArcSwap<Vec<Lesson>>,
    /// Whether there are any: all that most requests ever look at.
    any: AtomicBool,
    /// What its models thought before they called tools.
    pub signatures: Arc<Signatures>,
}

impl Provider {
    /// Take over what `old`, the same provider at the same place, has learned of its models and of keys that both have, and what it
    /// holds.
    pub fn inherit(&mut self, old: &Provider) {
        self.learned = old.learned.clone();
        if let (Some(keys), Some(old)) = (&mut self.keys, &old.keys) {
            keys.inherit(old);
        }
        if let (Some(office), Some(old)) = (&mut self.office, &old.office) {
            office.held = old.held.clone();
        }
    }
}

#[derive(Clone)]
struct Lesson {
    model: Arc<str>,
    param: &'static str,
    until: Instant,
}

impl Learned {
    /// Whether nothing has been learned.
    pub fn is_empty(&self) -> bool {
        !self.any.load(Ordering::Relaxed)
    }

    /// Leave out what the model is known to refuse.
    pub fn apply(&self, body: &mut Object, notes: &mut Notes<'_>, now: Instant) {
        let lessons = self.lessons.load();
        for lesson in lessons.iter().filter(|lesson| lesson.until > now && *lesson.model == *notes.model) {
            match lesson.param {
                // the newer name of the same limit
                "max_tokens" => body.rename("max_tokens", "max_completion_tokens"),
                "stream_options" => _ = body.remove("stream_options"),
                // a format without a schema is the caller's mistake, and the provider's to name
                JSON_SCHEMA => _ = params::schema_as_instruction(body, notes),
                param if body.remove(param) => notes.warn(param, "dropped"),
                _ => {}
            }
        }
    }

    /// Learn from a refusal; says whether asking again without what it names may help.
    pub fn learn(&self, failed: &Upstream, model: &str, sent: &Bytes, policy: Policy, now: Instant) -> bool {
        let refused = matches!(failed.fault, Fault::BadRequest | Fault::Unprocessable);
        let words = format!("{}\n{}", failed.message, failed.param.as_deref().unwrap_or_default()).to_ascii_lowercase();
        if !refused || !REFUSALS.iter().chain(NO_SCHEMA).any(|refusal| words.contains(refusal)) {
            return false;
        }
        let Ok(sent) = Object::parse(sent.clone()) else { return false };
        let unheld = sent.raw("response_format").is_some_and(|format| mentions(format, "\"json_schema\""))
            && NO_SCHEMA.iter().any(|refusal| words.replace(['`', '\'', '"'], "").contains(refusal));
        let named = || OPTIONAL.iter().copied().find(|param| sent.has(param) && words.contains(*param));
        let param = if unheld { Some(JSON_SCHEMA) } else { named() };
        let Some(param) = param.filter(|param| policy != Policy::Reject || *param == "stream_options") else {
            return false;
        };
        let lesson = Lesson { model: model.into(), param, until: now + MEMORY };
        let mut lessons: Vec<Lesson> = self.lessons.load().iter().filter(|known| known.until > now).cloned().collect();
        lessons.truncate(MOST - 1);
        lessons.push(lesson);
        self.lessons.store(Arc::new(lessons));
        self.any.store(true, Ordering::Relaxed);
        true
    }
}
