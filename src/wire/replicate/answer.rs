//! A prediction: what it says of itself, and its output as a chat's answer.

use std::borrow::Cow;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::wire::native::{Back, Translated};
use crate::wire::openai::errors::{self, Complaint};
use crate::wire::openai::stream::Broken;
use crate::wire::{Malformed, Object, Usage};

/// How deep an output may be nested to be read as a text.
const DEEPEST: usize = 4;

/// A prediction, as the API describes it.
#[derive(Clone, Debug)]
pub struct Prediction(Object);

/// How far a prediction is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It goes on: `starting`, `processing`, or a word we do not know.
    Running,
    /// It has its output.
    Succeeded,
    /// It has none, and will have none: `failed`, `canceled`, `aborted`.
    Failed,
}

impl Prediction {
    /// Read one. Fails on what is no JSON object.
    pub fn read(body: Bytes) -> Result<Self, Malformed> {
        let trimmed = body.trim_ascii();
        Object::parse(body.slice_ref(trimmed)).map(Self)
    }

    /// How far it is.
    pub fn status(&self) -> Status {
        match self.text("status").as_deref() {
            Some("succeeded") => Status::Succeeded,
            Some("failed" | "canceled" | "aborted") => Status::Failed,
            _ => Status::Running,
        }
    }

    /// Whether it is a prediction at all: has an id, or a status.
    pub fn is_one(&self) -> bool {
        self.0.has("id") || self.0.has("status")
    }

    /// Its id.
    pub fn id(&self) -> Option<Cow<'_, str>> {
        self.text("id").filter(|id| !id.is_empty())
    }

    /// The address it gives for `get`, `cancel` or `stream`. Nobody has said yet that it may be asked.
    pub fn url(&self, what: &str) -> Option<String> {
        self.0.object("urls").ok().flatten()?.get(what).ok().flatten()
    }

    /// Why it has no output.
    pub fn complaint(&self) -> Complaint {
        let status = self.text("status").unwrap_or_default();
        let said = self.0.raw("error").filter(|error| *error != b"null").map(errors::read).unwrap_or_default();
        let message = said.message.or_else(|| Some(format!("the prediction ended as `{status}`")));
        Complaint { message, code: said.code.or(Some(format!("prediction_{status}"))), ..said }
    }

    /// The tokens, if the model counts any.
    pub fn usage(&self) -> Option<Usage> {
        let metrics = self.0.object("metrics").ok().flatten()?;
        let count = |names: [&str; 2]| {
            let found = names.iter().find_map(|name| metrics.get::<f64>(name).ok().flatten())?;
            Some(found.max(0.0) as u64)
        };
        // the second spelling is that of models which are served elsewhere
        let prompt = count(["input_token_count", "token_input_count"]);
        let completion = count(["output_token_count", "token_output_count"]);
        prompt.or(completion)?;
        let (prompt, completion) = (prompt.unwrap_or_default(), completion.unwrap_or_default());
        Some(Usage { prompt, completion, ..Usage::default() })
    }

    /// Its output as one text, written in JSON. Fails on an output that isn't JSON.
    pub fn output(&self) -> Result<Vec<u8>, Malformed> {
        let mut text = vec![b'"'];
        write(self.0.raw("output").unwrap_or(b"null"), &mut text, DEEPEST)?;
        text.push(b'"');
        Ok(text)
    }

    /// Fails unless it has succeeded.
    pub(super) fn ended(&self) -> Result<(), Broken> {
        match self.status() {
            Status::Succeeded => Ok(()),
            Status::Failed => Err(Broken::Said(self.complaint())),
            Status::Running if self.is_one() => Err(Broken::Truncated),
            Status::Running => Err(Broken::Malformed(Malformed::new("it is not a prediction"))),
        }
    }

    /// Its output as addresses: one, or a list of them.
    pub fn addresses(&self) -> Result<Vec<String>, Malformed> {
        match self.0.raw("output") {
            Some([b'[', ..]) => Ok(self.0.get("output")?.unwrap_or_default()),
            _ => Ok(self.0.get::<String>("output")?.into_iter().collect()),
        }
    }

    /// Its output, if that is an object.
    pub(super) fn object(&self) -> Option<Object> {
        self.0.object("output").ok().flatten()
    }

    /// Its output, if that is a list of objects.
    pub(super) fn list(&self) -> Option<Vec<Object>> {
        self.0.objects("output").ok().filter(|items| !items.is_empty())
    }

    /// The model it was made with.
    pub fn model(&self) -> Option<Cow<'_, str>> {
        self.text("model").filter(|model| !model.is_empty())
    }

    fn text(&self, name: &str) -> Option<Cow<'_, str>> {
        self.0.get(name).ok().flatten()
    }
}

/// Usage as OpenAI writes it.
#[derive(Serialize)]
pub(super) struct Counted {
    prompt_tokens: u64,
    completion_tokens: u64,
    total_tokens: u64,
}

impl From<Usage> for Counted {
    fn from(usage: Usage) -> Self {
        let total_tokens = usage.prompt.saturating_add(usage.completion);
        Self { prompt_tokens: usage.prompt, completion_tokens: usage.completion, total_tokens }
    }
}

/// A prediction that succeeded, as an OpenAI answer.
/// Fails on one that did not ([`Broken::Said`]), or that has not ended yet ([`Broken::Truncated`]).
pub fn answer(body: Bytes, back: &Back) -> Translated {
    of(&Prediction::read(body).map_err(Broken::Malformed)?, back)
}

/// As [`answer`], of a prediction that has been read.
pub fn of(prediction: &Prediction, back: &Back) -> Translated {
    prediction.ended()?;
    let content = prediction.output().map_err(Broken::Malformed)?;
    let mut choices = Vec::with_capacity(content.len() + 100);
    choices.extend_from_slice(br#"[{"index":0,"message":{"role":"assistant","content":"#);
    choices.extend_from_slice(&content);
    choices.extend_from_slice(br#","refusal":null},"logprobs":null,"finish_reason":"stop"}]"#);
    let mut answer = Object::default();
    answer.set_text("id", prediction.id().as_deref().unwrap_or(&back.id));
    answer.set_text("object", "chat.completion");
    answer.set("created", &back.created);
    answer.set_text("model", prediction.model().as_deref().unwrap_or(&back.model));
    answer.set_raw("choices", choices.into());
    if let Some(usage) = prediction.usage() {
        answer.set("usage", &Counted::from(usage));
    }
    Ok(answer)
}

#[derive(Deserialize)]
struct Said<'a> {
    #[serde(borrow, default)]
    text: Option<&'a RawValue>,
    #[serde(borrow, default)]
    output: Option<&'a RawValue>,
}

/// Write what an output says, as the inside of a JSON text: texts as they are written, lists joined, of an object its
/// `text` or `output`; anything else as the JSON it is.
fn write(raw: &[u8], text: &mut Vec<u8>, deep: usize) -> Result<(), Malformed> {
    match raw.trim_ascii() {
        b"null" | b"" => {}
        [b'"', inner @ .., b'"'] => text.extend_from_slice(inner),
        list @ [b'[', ..] if deep > 0 => {
            for item in serde_json::from_slice::<Vec<&RawValue>>(list)? {
                write(item.get().as_bytes(), text, deep - 1)?;
            }
        }
        object @ [b'{', ..] if deep > 0 => match serde_json::from_slice::<Said<'_>>(object) {
            Ok(Said { text: Some(said), .. } | Said { output: Some(said), .. }) => {
                write(said.get().as_bytes(), text, deep - 1)?;
            }
            _ => quote(object, text),
        },
        other => quote(other, text),
    }
    Ok(())
}

/// JSON as the inside of a text.
fn quote(json: &[u8], text: &mut Vec<u8>) {
    let quoted = serde_json::to_vec(&String::from_utf8_lossy(json)).expect("a string always encodes");
    text.extend_from_slice(&quoted[1..quoted.len() - 1]);
}
