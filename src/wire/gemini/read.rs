//! An answer or an event of Google's, read in one pass without copying; what is not known is kept as it came.
//!
//! <https://ai.google.dev/api/generate-content#GenerateContentResponse>

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// Members nobody reads here, for whoever wants them.
pub(super) type Rest<'a> = Vec<(Cow<'a, str>, &'a RawValue)>;

/// A type that takes the members of an object one by one, the unknown ones too.
trait Fields<'de>: Default {
    fn take<A: MapAccess<'de>>(&mut self, name: Cow<'de, str>, map: &mut A) -> Result<(), A::Error>;
}

struct Reader<T>(PhantomData<T>);

impl<'de, T: Fields<'de>> Visitor<'de> for Reader<T> {
    type Value = T;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<T, A::Error> {
        let mut fields = T::default();
        while let Some(Name(name)) = map.next_key()? {
            fields.take(name, &mut map)?;
        }
        Ok(fields)
    }
}

#[derive(serde::Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

/// A text; `null` is an empty one.
fn text<'de, A: MapAccess<'de>>(map: &mut A) -> Result<Option<Cow<'de, str>>, A::Error> {
    Ok(map.next_value::<Option<Name<'de>>>()?.map(|name| name.0))
}

/// A value as it came; `null` is none.
fn raw<'de, A: MapAccess<'de>>(map: &mut A) -> Result<Option<&'de RawValue>, A::Error> {
    Ok(map.next_value::<Option<&'de RawValue>>()?.filter(|raw| raw.get() != "null"))
}

/// A value; `null` is its default.
fn some<'de, T: Deserialize<'de> + Default, A: MapAccess<'de>>(map: &mut A) -> Result<T, A::Error> {
    Ok(map.next_value::<Option<T>>()?.unwrap_or_default())
}

/// A whole answer, or an event of a stream.
#[derive(Default)]
pub(super) struct Answer<'a> {
    pub(super) candidates: Vec<Candidate<'a>>,
    /// Why the prompt was refused.
    pub(super) feedback: Option<&'a RawValue>,
    pub(super) usage: Option<&'a RawValue>,
    pub(super) model: Option<Cow<'a, str>>,
    pub(super) id: Option<Cow<'a, str>>,
    pub(super) error: Option<&'a RawValue>,
    pub(super) rest: Rest<'a>,
}

impl<'de> Fields<'de> for Answer<'de> {
    fn take<A: MapAccess<'de>>(&mut self, name: Cow<'de, str>, map: &mut A) -> Result<(), A::Error> {
        match name.as_ref() {
            "candidates" => self.candidates = some(map)?,
            "promptFeedback" => self.feedback = raw(map)?,
            "usageMetadata" => self.usage = raw(map)?,
            "modelVersion" => self.model = text(map)?,
            "responseId" => self.id = text(map)?,
            "error" => self.error = raw(map)?,
            _ => self.rest.extend(raw(map)?.map(|value| (name, value))),
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Answer<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Reader(PhantomData))
    }
}

/// One of the answers that were asked for.
#[derive(Default)]
pub(super) struct Candidate<'a> {
    pub(super) index: u32,
    pub(super) parts: Vec<Part<'a>>,
    pub(super) reason: Option<Cow<'a, str>>,
    pub(super) message: Option<Cow<'a, str>>,
    pub(super) grounding: Option<&'a RawValue>,
    pub(super) logprobs: Option<&'a RawValue>,
    pub(super) rest: Rest<'a>,
}

impl<'de> Fields<'de> for Candidate<'de> {
    fn take<A: MapAccess<'de>>(&mut self, name: Cow<'de, str>, map: &mut A) -> Result<(), A::Error> {
        match name.as_ref() {
            "index" => self.index = some(map)?,
            "content" => self.parts = some::<Content<'de>, A>(map)?.0,
            "finishReason" => self.reason = text(map)?.filter(|reason| !reason.is_empty()),
            "finishMessage" => self.message = text(map)?,
            "groundingMetadata" => self.grounding = raw(map)?,
            "logprobsResult" => self.logprobs = raw(map)?,
            _ => self.rest.extend(raw(map)?.map(|value| (name, value))),
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Candidate<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Reader(PhantomData))
    }
}

#[derive(Default)]
struct Content<'a>(Vec<Part<'a>>);

impl<'de> Fields<'de> for Content<'de> {
    fn take<A: MapAccess<'de>>(&mut self, name: Cow<'de, str>, map: &mut A) -> Result<(), A::Error> {
        match name.as_ref() {
            "parts" => self.0 = some(map)?,
            _ => _ = map.next_value::<serde::de::IgnoredAny>()?,
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Content<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Reader(PhantomData))
    }
}

/// A piece of an answer.
#[derive(Default)]
pub(super) struct Part<'a> {
    pub(super) text: Option<&'a RawValue>,
    pub(super) thought: bool,
    /// As JSON, quotes included.
    pub(super) signature: Option<&'a RawValue>,
    pub(super) call: Option<FunctionCall<'a>>,
    pub(super) blob: Option<Blob<'a>>,
    pub(super) rest: Rest<'a>,
}

impl<'de> Fields<'de> for Part<'de> {
    fn take<A: MapAccess<'de>>(&mut self, name: Cow<'de, str>, map: &mut A) -> Result<(), A::Error> {
        match name.as_ref() {
            "text" => self.text = raw(map)?,
            "thought" => self.thought = some(map)?,
            "thoughtSignature" => self.signature = raw(map)?.filter(|raw| raw.get().len() > 2),
            "functionCall" => self.call = map.next_value()?,
            "inlineData" => self.blob = map.next_value()?,
            _ => self.rest.extend(raw(map)?.map(|value| (name, value))),
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Part<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Reader(PhantomData))
    }
}

/// A call of a function.
#[derive(serde::Deserialize)]
pub(super) struct FunctionCall<'a> {
    #[serde(borrow, default)]
    pub(super) id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub(super) name: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub(super) args: Option<&'a RawValue>,
}

/// Media.
#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Blob<'a> {
    #[serde(borrow, default)]
    pub(super) mime_type: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub(super) data: Option<&'a RawValue>,
}

/// Why a prompt was refused.
#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Feedback<'a> {
    #[serde(borrow, default)]
    pub(super) block_reason: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub(super) block_reason_message: Option<Cow<'a, str>>,
}
