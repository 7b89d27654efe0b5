//! A whole answer of Google's, as an OpenAI chat completion.

use bytes::Bytes;

use super::json::{Json, malformed};
use super::read::{Answer, Feedback};
use super::said::{Choice, Said};
use super::usage;
use crate::wire::native::{Back, Translated};
use crate::wire::openai::errors::{self, Complaint};
use crate::wire::openai::stream::Broken;
use crate::wire::{Malformed, Object};

/// Translate a whole answer. Fails if it is none: an error, or a model that ended with nothing but a mistake.
pub fn answer(body: Bytes, back: &Back) -> Translated {
    let read: Answer<'_> = serde_json::from_slice(&body).map_err(malformed)?;
    if read.error.is_some() && read.candidates.is_empty() {
        return Err(Broken::Said(errors::read(&body)));
    }
    let feedback = read.feedback;
    let blocked = feedback.and_then(|raw| blocked(raw.get())).filter(|_| read.candidates.is_empty());
    if read.candidates.is_empty() && blocked.is_none() {
        return Err(Broken::Said(Complaint {
            message: Some("the answer has no candidates".to_owned()),
            status: Some(502),
            ..Complaint::default()
        }));
    }
    let id = read.id.as_deref().unwrap_or(&back.id);
    let mut json = Json::with_capacity(512);
    json.raw("{").name("id").text(id).name("object").text("chat.completion");
    json.name("created").number(back.created).name("model").text(read.model.as_deref().unwrap_or(&back.model));
    json.name("choices").raw("[");
    let mut metadata = Json::default();
    let mut citations = Json::default();
    for candidate in &read.candidates {
        let mut choice = Choice::new(candidate.index, id);
        let mut said = Said::default();
        choice.take(candidate, back, false, &mut said);
        write(&choice, &said, &mut json, &mut citations)?;
        choice.metadata(&mut metadata);
    }
    if let Some(refusal) = &blocked {
        json.raw(r#"{"index":0,"message":{"role":"assistant","content":null,"refusal":"#).text(&refusal.words);
        json.raw(r#"},"logprobs":null,"finish_reason":"content_filter""#);
        json.name("native_finish_reason").text(&refusal.reason).raw("}");
    }
    json.raw("]");
    if let Some(usage) = read.usage.and_then(|raw| usage::usage(raw.get().as_bytes())) {
        json.name("usage").raw(&usage.0);
    }
    if !citations.is_empty() {
        json.name("citations").raw("[").raw(&citations.0).raw("]");
    }
    let traffic = read.usage.and_then(|raw| usage::traffic(raw.get().as_bytes()));
    let rest = read.rest.iter().map(|(name, value)| (name.as_ref(), value.get()));
    provider_metadata(&metadata, feedback.map(|raw| raw.get()), traffic.as_deref(), rest, &mut json);
    json.raw("}");
    Object::parse(json.0.into()).map_err(Broken::Malformed)
}

fn write(choice: &Choice, said: &Said, json: &mut Json, citations: &mut Json) -> Result<(), Broken> {
    let word = choice.finish().map_err(Broken::Said)?;
    // once, and with room for what follows the choices
    json.0.reserve(said.size() + 1024);
    json.next().raw("{").name("index").number(u64::from(choice.index));
    json.name("message").raw("{").name("role").text("assistant").name("content");
    match said.text.is_empty() && said.has_calls() {
        true => json.raw("null"),
        false => json.quoted(&said.text),
    };
    json.name("refusal").raw("null");
    said.members(choice, json);
    if let Some(cited) = choice.cited(false) {
        json.name("annotations").raw("[").raw(&cited.annotations.0).raw("]");
        if !cited.citations.is_empty() {
            citations.next().raw(&cited.citations.0);
        }
    }
    json.raw("}");
    said.logprobs(json);
    match word {
        Some(word) => choice.reasons(&word, json),
        // a whole answer is over, whether it says so or not
        None => _ = json.name("finish_reason").text(if said.has_calls() { "tool_calls" } else { "stop" }),
    }
    json.raw("}");
    Ok(())
}

/// A prompt that was refused.
pub(super) struct Blocked {
    pub(super) reason: String,
    /// In words.
    pub(super) words: String,
}

/// What `promptFeedback` says, if it says that the prompt was refused.
pub(super) fn blocked(raw: &str) -> Option<Blocked> {
    let feedback: Feedback<'_> = serde_json::from_str(raw).ok()?;
    let reason = feedback.block_reason?.into_owned();
    let words = match feedback.block_reason_message.as_deref().filter(|message| !message.is_empty()) {
        Some(message) => message.to_owned(),
        None => format!("the provider refused the prompt: {reason}"),
    };
    Some(Blocked { reason, words })
}

/// The member `provider_metadata`, if there is something for it.
pub(super) fn provider_metadata<'a>(
    candidates: &Json,
    feedback: Option<&str>,
    traffic: Option<&str>,
    rest: impl Iterator<Item = (&'a str, &'a str)>,
    json: &mut Json,
) {
    let mut google = Json::default();
    if !candidates.is_empty() {
        google.name("candidates").raw("[").raw(&candidates.0).raw("]");
    }
    if let Some(feedback) = feedback {
        google.name("promptFeedback").raw(feedback);
    }
    if let Some(traffic) = traffic {
        google.name("trafficType").text(traffic);
    }
    for (name, value) in rest {
        google.next().text(name).raw(":").raw(value);
    }
    if !google.is_empty() {
        json.name("provider_metadata").raw(r#"{"google":{"#).raw(&google.0).raw("}}");
    }
}

/// An answer whose choices can't be told apart.
pub(super) fn too_many() -> Broken {
    Broken::Malformed(Malformed::new("more candidates than any model gives"))
}
