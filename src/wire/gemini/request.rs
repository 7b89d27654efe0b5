//! A chat request of OpenAI's, as Google's `generateContent` wants it.

use std::borrow::Cow;

use super::Host;
use super::contents::Contents;
use super::json::{Json, inside, invalid, is_null, text};
use super::media::Detail;
use super::model::Model;
use super::tools::{self, Names, Tools};
use super::{schema, thinking};
use crate::wire::native::params::DELIVERY;
use crate::wire::native::{Back, Loss, Refused, Request, Terms};
use crate::wire::{Malformed, Object};

/// The most texts that end an answer.
const STOPS: usize = 5;

/// Members that are read elsewhere, or that say nothing to the model.
const HANDLED: [&str; 17] = [
    "max_tokens",
    "max_completion_tokens",
    "tools",
    "tool_choice",
    "functions",
    "function_call",
    "web_search_options",
    "reasoning_effort",
    "reasoning",
    "thinking",
    "logprobs",
    "top_logprobs",
    "extra_body",
    "tool_config",
    "toolConfig",
    "thinking_config",
    "thinkingConfig",
];

/// Translate a chat request. Fails if it can't be read, or asks what Gemini has no word for.
pub fn request(ask: &Object, terms: &Terms<'_>, host: Host) -> Result<Request, Refused> {
    // what OpenAI's SDKs send to Google's own compatible endpoint
    let google = match ask.object("extra_body") {
        Ok(Some(extra)) => extra.object("google")?,
        _ => ask.object("google").ok().flatten(),
    };
    let model = Model::of(terms.model);
    let mut names = Names::default();
    let mut losses = Vec::new();
    let contents = Contents::read(ask, host, &model, &mut names, &mut losses)?;
    let (turns, mut system, detail) = (contents.turns, contents.system, contents.detail);
    let tools = tools::tools(ask, host, &model, &mut names, &mut losses)?;
    let mut asked =
        Asked { ask, host, model, config: Config::default(), top: Json::default(), headers: Vec::new(), losses };
    asked.thinking(google.as_ref())?;
    asked.detail(detail);
    for (name, value) in ask.members() {
        asked.member(name, value, &tools, &mut system)?;
    }
    for (name, value) in google.iter().flat_map(Object::members) {
        if !asked.extension(name, value)? && !matches!(name, "thinking_config" | "thinkingConfig") {
            asked.lost(format!("extra_body.google.{name}"), "dropped");
        }
    }
    asked.limit()?;
    asked.logprobs()?;
    let Asked { config, top, headers, losses, .. } = asked;
    let size = turns.0.len() + system.0.len() + tools.tools.0.len() + top.0.len() + config.size() + 256;
    let mut body = Json::with_capacity(size);
    body.raw("{").name("contents").raw("[").raw(&turns.0).raw("]");
    if !system.is_empty() {
        body.raw(br#","systemInstruction":{"parts":["#).raw(&system.0).raw("]}");
    }
    if !tools.tools.is_empty() {
        body.name("tools").raw("[").raw(&tools.tools.0).raw("]");
    }
    if let Some(choice) = &tools.config {
        body.name("toolConfig").raw(&choice.0);
    }
    if !top.is_empty() {
        body.next().raw(&top.0);
    }
    config.write(&mut body);
    body.raw("}");
    let mut back = Back::new(terms);
    back.tools = names.0;
    Ok(Request { body: body.0.into(), headers, losses, back })
}

/// `generationConfig`: a member set twice has its last value.
#[derive(Default)]
struct Config(Vec<(String, Vec<u8>)>);

impl Config {
    fn set(&mut self, name: &str, value: impl Into<Vec<u8>>) {
        let value = value.into();
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some((_, old)) => *old = value,
            None => self.0.push((name.to_owned(), value)),
        }
    }

    fn size(&self) -> usize {
        self.0.iter().map(|(name, value)| name.len() + value.len() + 4).sum()
    }

    fn write(&self, body: &mut Json) {
        if self.0.is_empty() {
            return;
        }
        body.name("generationConfig").raw("{");
        for (name, value) in &self.0 {
            body.next().text(name).raw(":").raw(value);
        }
        body.raw("}");
    }
}

/// A request on its way.
struct Asked<'a> {
    ask: &'a Object,
    host: Host,
    model: Model,
    config: Config,
    /// Members beside `contents`.
    top: Json,
    headers: Vec<(&'static str, String)>,
    losses: Vec<Loss>,
}

impl Asked<'_> {
    fn lost(&mut self, param: impl Into<String>, action: &'static str) {
        self.losses.push(Loss { param: param.into(), action });
    }

    fn member(&mut self, name: &str, value: &[u8], tools: &Tools, system: &mut Json) -> Result<(), Refused> {
        if DELIVERY.contains(&name) || HANDLED.contains(&name) || says_nothing(name, value) {
            return Ok(());
        }
        match name {
            "temperature" => self.config.set("temperature", value),
            "top_p" => self.config.set("topP", value),
            "top_k" => self.config.set("topK", value),
            "presence_penalty" => self.config.set("presencePenalty", value),
            "frequency_penalty" => self.config.set("frequencyPenalty", value),
            "n" => self.config.set("candidateCount", value),
            "seed" => self.seed(value)?,
            "stop" => self.stop(value)?,
            "response_format" => self.format(tools, system)?,
            "modalities" => self.modalities(value)?,
            // said with the modalities, and without effect where they do not ask for speech
            "audio"
                if self.ask.raw("modalities").is_some_and(|names| memchr::memmem::find(names, b"audio").is_some()) => {}
            "service_tier" => self.tier(value),
            "metadata" if self.host == Host::Vertex => self.labels(value),
            _ => {
                if !self.extension(name, value)? && name != "google" {
                    self.lost(name, "dropped");
                }
            }
        }
        Ok(())
    }

    /// Google's own members, in either spelling, for callers that know whom they talk to.
    fn extension(&mut self, name: &str, value: &[u8]) -> Result<bool, Refused> {
        match name {
            "safety_settings" | "safetySettings" => _ = self.top.name("safetySettings").raw(value),
            "cached_content" | "cachedContent" => _ = self.top.name("cachedContent").raw(value),
            "labels" => _ = self.top.name("labels").raw(value),
            "image_config" | "imageConfig" => self.config.set("imageConfig", value),
            "speech_config" | "speechConfig" => self.config.set("speechConfig", value),
            "media_resolution" | "mediaResolution" => self.config.set("mediaResolution", value),
            "generation_config" | "generationConfig" => {
                let given = Object::parse(bytes::Bytes::copy_from_slice(value))?;
                for (name, value) in given.members() {
                    self.config.set(name, value);
                }
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn thinking(&mut self, google: Option<&Object>) -> Result<(), Refused> {
        let own = |object: &Object| {
            ["thinking_config", "thinkingConfig"].iter().find_map(|name| object.raw(name)).map(<[u8]>::to_vec)
        };
        if let Some(given) = own(self.ask).or_else(|| own(google?)) {
            self.config.set("thinkingConfig", camel(&given)?);
        } else if let Some(said) = thinking::config(self.ask, &self.model, &mut self.losses)? {
            self.config.set("thinkingConfig", said.0);
        }
        Ok(())
    }

    /// Parts of one request can be looked at differently only in a preview of the API, so the closest look counts.
    fn detail(&mut self, detail: Option<Detail>) {
        let level = match detail {
            Some(Detail::Low) => "\"MEDIA_RESOLUTION_LOW\"",
            Some(Detail::High) => "\"MEDIA_RESOLUTION_HIGH\"",
            None => return,
        };
        self.config.set("mediaResolution", level);
    }

    fn limit(&mut self) -> Result<(), Refused> {
        let given = ["max_completion_tokens", "max_tokens"];
        if let Some(limit) = given.into_iter().find_map(|name| self.ask.raw(name).filter(|raw| !is_null(raw))) {
            self.config.set("maxOutputTokens", limit);
        }
        Ok(())
    }

    fn logprobs(&mut self) -> Result<(), Refused> {
        if self.ask.raw("logprobs") == Some(b"true") {
            self.config.set("responseLogprobs", "true");
            if let Some(number) = self.ask.get::<u32>("top_logprobs")? {
                self.config.set("logprobs", number.to_string());
            }
        }
        Ok(())
    }

    /// Google's are 32 bits wide.
    fn seed(&mut self, value: &[u8]) -> Result<(), Refused> {
        let Ok(seed) = serde_json::from_slice::<i64>(value) else { return invalid("seed", "must be an integer") };
        let narrow = match i32::try_from(seed) {
            Ok(narrow) => narrow,
            Err(_) => {
                self.lost("seed", "converted");
                (seed ^ (seed >> 32)) as i32
            }
        };
        self.config.set("seed", narrow.to_string());
        Ok(())
    }

    fn stop(&mut self, value: &[u8]) -> Result<(), Refused> {
        let all: Vec<Cow<'_, str>> = match text(value) {
            Some(one) => vec![one],
            None => serde_json::from_slice(value).map_err(Malformed::from)?,
        };
        let all: Vec<Cow<'_, str>> = all.into_iter().filter(|stop| !stop.is_empty()).collect();
        if all.len() > STOPS {
            self.lost("stop", "clamped");
        }
        let mut list = Json::default();
        list.raw("[");
        for stop in all.iter().take(STOPS) {
            list.next().text(stop);
        }
        list.raw("]");
        self.config.set("stopSequences", list.0);
        Ok(())
    }

    fn format(&mut self, tools: &Tools, system: &mut Json) -> Result<(), Refused> {
        let Some(format) = self.ask.object("response_format")? else { return Ok(()) };
        let kind = format.raw("type").and_then(text).unwrap_or_default();
        let inner = format.object("json_schema")?;
        let schema = inner.as_ref().and_then(|inner| inner.raw("schema")).filter(|raw| !is_null(raw));
        match kind.as_ref() {
            "json_object" | "json_schema" => {}
            _ => return invalid("response_format.type", "must be text, json_object or json_schema"),
        }
        if tools.functions && !self.model.since(3, 0) {
            // answers in JSON and functions exclude each other there; asking for it in words does not
            self.lost("response_format", "converted");
            let mut hint = String::from("When you do not call a function, answer with a JSON object and nothing else");
            if let Some(schema) = schema {
                hint.push_str(". It must fit this JSON schema: ");
                hint.push_str(&String::from_utf8_lossy(schema));
            }
            system.next().raw(br#"{"text":"#).text(&hint).raw("}");
            return Ok(());
        }
        self.config.set("responseMimeType", "\"application/json\"");
        match schema {
            Some(schema) if self.model.since(2, 5) => self.config.set("responseJsonSchema", schema),
            Some(raw) => self.config.set("responseSchema", schema::response(raw)?),
            None => {}
        }
        Ok(())
    }

    fn modalities(&mut self, value: &[u8]) -> Result<(), Refused> {
        let names: Vec<String> = serde_json::from_slice(value).map_err(Malformed::from)?;
        let audio = names.iter().any(|name| name.eq_ignore_ascii_case("audio"));
        let mut list = Json::default();
        list.raw("[");
        for name in names.iter().filter(|name| !audio || name.eq_ignore_ascii_case("audio")) {
            // models that speak do not write
            list.next().text(&name.to_ascii_uppercase());
        }
        list.raw("]");
        self.config.set("responseModalities", list.0);
        if let Some(said) = self.ask.object("audio")? {
            if let Some(voice) = said.raw("voice").filter(|raw| inside(raw).is_some()) {
                let mut speech = Json::default();
                speech.raw(br#"{"voiceConfig":{"prebuiltVoiceConfig":{"voiceName":"#).raw(voice).raw("}}}");
                self.config.set("speechConfig", speech.0);
            }
            let format = said.raw("format").and_then(text);
            if format.is_some_and(|format| format != "pcm16") {
                self.lost("audio.format", "converted");
            }
        }
        Ok(())
    }

    /// <https://ai.google.dev/gemini-api/docs/flex-inference>,
    /// <https://cloud.google.com/vertex-ai/generative-ai/docs/flex-paygo>
    fn tier(&mut self, value: &[u8]) {
        let tier = match text(value).as_deref() {
            Some("default") => "standard",
            Some("flex") => "flex",
            Some("priority") => "priority",
            _ => return self.lost("service_tier", "dropped"),
        };
        match self.host {
            Host::Api => _ = self.top.name("serviceTier").text(tier),
            Host::Vertex if tier == "standard" => {}
            Host::Vertex => self.headers.push(("x-vertex-ai-llm-shared-request-type", tier.to_owned())),
        }
    }

    /// Metadata becomes labels, as far as it is fit for them.
    /// <https://cloud.google.com/vertex-ai/generative-ai/docs/multimodal/add-labels-to-api-calls>
    fn labels(&mut self, value: &[u8]) {
        let fits = |text: &str| {
            let plain = |c: char| c.is_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-');
            text.chars().count() <= 63 && text.chars().all(plain)
        };
        let given: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(value).unwrap_or_default();
        let mut labels = Json::default();
        labels.raw("{");
        for (name, value) in &given {
            match value.as_str() {
                Some(value) if fits(value) && fits(name) && name.starts_with(char::is_lowercase) => {
                    labels.next().text(name).raw(":").text(value);
                }
                _ => self.lost(format!("metadata.{name}"), "dropped"),
            }
        }
        labels.raw("}");
        if labels.0.len() > 2 && !self.ask.has("labels") {
            self.top.name("labels").raw(&labels.0);
        }
    }
}

/// Google's SDKs write `thinking_budget`, the wire `thinkingBudget`; both are taken.
fn camel(config: &[u8]) -> Result<Vec<u8>, Refused> {
    let given = Object::parse(bytes::Bytes::copy_from_slice(config))?;
    let mut out = Json::default();
    out.raw("{");
    for (name, value) in given.members() {
        let name = match name {
            "thinking_budget" => "thinkingBudget",
            "thinking_level" => "thinkingLevel",
            "include_thoughts" => "includeThoughts",
            other => other,
        };
        out.next().text(name).raw(":").raw(value);
    }
    out.raw("}");
    Ok(out.0)
}

/// Whether a member has the value it would have if it were absent, or only hints at what happens anyway.
fn says_nothing(name: &str, value: &[u8]) -> bool {
    let neutral = match name {
        "n" => value == b"1",
        "store" => value == b"false",
        "logit_bias" | "metadata" => value == b"{}",
        "parallel_tool_calls" => value == b"true",
        "service_tier" => value == br#""auto""#,
        "stop" => value == b"[]" || value == br#""""#,
        "modalities" => value == br#"["text"]"#,
        "response_format" => {
            // as every SDK writes it
            value.iter().filter(|byte| !byte.is_ascii_whitespace()).eq(br#"{"type":"text"}"#)
        }
        // caching happens by itself
        "cache_control" => true,
        _ => false,
    };
    neutral || is_null(value)
}
