//! What rules ask about a request: read from its body when a rule asks, and not before.

use std::borrow::Cow;
use std::cell::OnceCell;

use http::HeaderName;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::call::{Body, Call, Op};
use crate::wire::Object;

/// The headers that rules ask for.
#[derive(Debug, Default)]
pub struct Wanted {
    names: Vec<HeaderName>,
    /// A bit for each length and first letter of a name, so that most names of a request need no comparison.
    marks: u64,
}

impl Wanted {
    /// Whether nobody asks for any.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Their names.
    pub fn names(&self) -> &[HeaderName] {
        &self.names
    }

    /// Whether this one is asked for.
    pub fn has(&self, name: &HeaderName) -> bool {
        self.marks & mark(name) != 0 && self.names.contains(name)
    }
}

fn mark(name: &HeaderName) -> u64 {
    let name = name.as_str().as_bytes();
    1 << ((name.len() * 26 + usize::from(name.first().copied().unwrap_or_default())) % 64)
}

impl FromIterator<HeaderName> for Wanted {
    fn from_iter<T: IntoIterator<Item = HeaderName>>(names: T) -> Self {
        let names: Vec<HeaderName> = names.into_iter().collect();
        let marks = names.iter().fold(0, |marks, name| marks | mark(name));
        Self { names, marks }
    }
}

/// One request, as rules see it.
pub struct Facts<'c> {
    /// The request.
    pub call: &'c Call,
    /// The model, after aliases.
    pub model: &'c str,
    said: OnceCell<Vec<String>>,
}

impl<'c> Facts<'c> {
    /// Of a request that asks for this model.
    pub fn new(call: &'c Call, model: &'c str) -> Self {
        Self { call, model, said: OnceCell::new() }
    }

    /// A header by its name in lower case, if rules ask for it.
    pub fn header(&self, name: &str) -> Option<&'c str> {
        let (_, value) = self.call.headers.iter().find(|(known, _)| known.as_str() == name)?;
        value.to_str().ok()
    }

    /// A text among the members of the body, or the fields of a form.
    fn text(&self, name: &str) -> Option<Cow<'c, str>> {
        match &self.call.body {
            Body::Json(body) => body.get(name).ok().flatten(),
            Body::Upload(upload) => upload.form.as_ref()?.text(name).map(Cow::Borrowed),
            Body::None => None,
        }
    }

    /// Who the caller says is asking.
    pub fn user(&self) -> Option<Cow<'c, str>> {
        self.text("user").or_else(|| self.text("safety_identifier"))
    }

    /// A member of the request's `metadata`; what is no text, as it is written.
    pub fn metadata(&self, name: &str) -> Option<Cow<'c, str>> {
        let Body::Json(body) = &self.call.body else { return None };
        let metadata = body.object("metadata").ok().flatten()?;
        let written = std::str::from_utf8(metadata.raw(name)?).ok()?;
        Some(Cow::Owned(serde_json::from_str(written).unwrap_or_else(|_| written.to_owned())))
    }

    /// The length of the prompt in tokens: a quarter of its bytes.
    pub fn tokens(&self) -> u64 {
        (self.call.body.size() / 4) as u64
    }

    /// The most output tokens that the caller allows.
    pub fn most_output(&self) -> Option<u64> {
        let Body::Json(body) = &self.call.body else { return None };
        ["max_completion_tokens", "max_tokens", "max_output_tokens"]
            .iter()
            .find_map(|name| body.get(name).ok().flatten())
    }

    /// How many answers, or images, the caller wants.
    pub fn count(&self) -> u32 {
        let Body::Json(body) = &self.call.body else { return 1 };
        body.get::<u32>("n").ok().flatten().unwrap_or(1).clamp(1, 1000)
    }

    /// Every text that the user has said: of messages the parts too, of other operations what they are about.
    pub fn said(&self) -> &[String] {
        self.said.get_or_init(|| {
            let mut said = Vec::new();
            match (&self.call.body, self.call.op) {
                (Body::Json(body), Op::Chat) => messages(body, "messages", &mut said),
                (Body::Json(body), _) => {
                    messages(body, "messages", &mut said);
                    for name in ["input", "prompt", "query"] {
                        match body.raw(name).map(serde_json::from_slice::<String>) {
                            Some(Ok(text)) => said.push(text),
                            _ => messages(body, name, &mut said),
                        }
                    }
                }
                (Body::Upload(_), _) => said.extend(self.text("prompt").map(Cow::into_owned)),
                (Body::None, _) => {}
            }
            said
        })
    }
}

#[derive(Deserialize)]
struct Part<'a> {
    #[serde(borrow)]
    text: Option<Cow<'a, str>>,
    #[serde(borrow)]
    role: Option<Cow<'a, str>>,
    #[serde(borrow)]
    content: Option<&'a RawValue>,
}

/// The texts of those messages of a list that are the user's; of a list of texts, all.
fn messages(body: &Object, name: &str, said: &mut Vec<String>) {
    let list = body.raw(name).map(serde_json::from_slice::<Vec<&RawValue>>);
    for item in list.into_iter().flatten().flatten() {
        if let Ok(text) = serde_json::from_str::<String>(item.get()) {
            said.push(text);
            continue;
        }
        let Ok(message) = serde_json::from_str::<Part<'_>>(item.get()) else { continue };
        if message.role.as_deref().is_none_or(|role| role == "user") {
            said.extend(message.text.map(Cow::into_owned));
            message.content.into_iter().for_each(|content| texts(content, said));
        }
    }
}

/// The texts of content, which is one or has parts.
fn texts(content: &RawValue, said: &mut Vec<String>) {
    if let Ok(text) = serde_json::from_str::<String>(content.get()) {
        return said.push(text);
    }
    for part in serde_json::from_str::<Vec<&RawValue>>(content.get()).unwrap_or_default() {
        let text = serde_json::from_str::<Part<'_>>(part.get()).ok().and_then(|part| part.text);
        said.extend(text.map(Cow::into_owned));
    }
}
