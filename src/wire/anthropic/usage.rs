//! The usage of an answer as OpenAI counts it: what was cached is part of the prompt, what was thought of the answer.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::json;

/// What has been counted so far: streams say it twice, and the second time counts.
#[derive(Clone, Debug, Default)]
pub(super) struct Usage {
    input: Option<u64>,
    output: Option<u64>,
    read: Option<u64>,
    written: Option<u64>,
    thinking: Option<u64>,
    tier: Option<String>,
    /// Members that OpenAI's usage does not have, by name.
    others: Vec<(String, Vec<u8>)>,
}

/// A usage object, member by member: none is known to be there, and new ones come.
struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Each;
        impl<'de> Visitor<'de> for Each {
            type Value = Members<'de>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("usage")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut found = Vec::new();
                while let Some(name) = map.next_key::<Name<'de>>()? {
                    found.push((name.0, map.next_value()?));
                }
                Ok(Members(found))
            }
            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(Members(Vec::new()))
            }
        }
        from.deserialize_any(Each)
    }
}

#[derive(Deserialize)]
#[serde(transparent)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

#[derive(Deserialize)]
struct Details {
    #[serde(default)]
    thinking_tokens: Option<u64>,
}

impl Usage {
    /// Take what a usage object says; each member that is there replaces what was said before.
    pub(super) fn take(&mut self, raw: &RawValue) {
        let Ok(Members(members)) = serde_json::from_str::<Members<'_>>(raw.get()) else { return };
        for (name, value) in members {
            let count = || value.get().parse::<f64>().ok().map(|count| count.max(0.0) as u64);
            match &*name {
                _ if value.get() == "null" => {}
                "input_tokens" => self.input = count().or(self.input),
                "output_tokens" => self.output = count().or(self.output),
                "cache_read_input_tokens" => self.read = count().or(self.read),
                "cache_creation_input_tokens" => self.written = count().or(self.written),
                "output_tokens_details" => {
                    let details: Option<Details> = serde_json::from_str(value.get()).ok();
                    self.thinking = details.and_then(|details| details.thinking_tokens).or(self.thinking);
                }
                "service_tier" => self.tier = serde_json::from_str(value.get()).ok().or(self.tier.take()),
                other => {
                    self.others.retain(|(known, _)| known != other);
                    let mut plain = Vec::new();
                    json::compact(&mut plain, value.get().as_bytes());
                    self.others.push((other.to_owned(), plain));
                }
            }
        }
    }

    /// OpenAI's word for the tier that served the request.
    pub(super) fn tier(&self) -> Option<&str> {
        self.tier.as_deref().map(|tier| if tier == "standard" { "default" } else { tier })
    }

    /// Write it as the value of `usage`.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let (read, written) = (self.read.unwrap_or_default(), self.written.unwrap_or_default());
        let prompt = self.input.unwrap_or_default().saturating_add(read).saturating_add(written);
        let completion = self.output.unwrap_or_default();
        let total = prompt.saturating_add(completion);
        out.extend_from_slice(
            format!(r#"{{"prompt_tokens":{prompt},"completion_tokens":{completion},"total_tokens":{total}"#).as_bytes(),
        );
        if self.read.is_some() || self.written.is_some() {
            let details = format!(r#"{{"cached_tokens":{read},"cache_write_tokens":{written}}}"#);
            json::put(out, "prompt_tokens_details", details.as_bytes());
        }
        if let Some(thinking) = self.thinking {
            json::put(out, "completion_tokens_details", format!(r#"{{"reasoning_tokens":{thinking}}}"#).as_bytes());
        }
        for (name, value) in &self.others {
            json::comma(out);
            json::text(out, name);
            out.push(b':');
            out.extend_from_slice(value);
        }
        out.push(b'}');
    }
}
