//! How a model is addressed, and what its description says it takes.

use std::borrow::Cow;
use std::fmt::Write as _;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::wire::{Malformed, Object};

/// The name of a model, as callers write it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Name<'a> {
    /// `owner/name`: the model's owner decides which version runs.
    Latest(&'a str, &'a str),
    /// `owner/name:version`.
    Pinned(&'a str, &'a str, &'a str),
    /// 64 hexadecimal digits: a version of whatever model it belongs to.
    Version(&'a str),
    /// `deployments/owner/name`.
    Deployment(&'a str, &'a str),
}

impl<'a> Name<'a> {
    /// Read a name; `None` if it has none of the four forms.
    pub fn read(text: &'a str) -> Option<Self> {
        let plain = |part: &&str| !part.is_empty() && *part != "." && *part != "..";
        let parts: Vec<&str> = text.split('/').collect();
        match parts[..] {
            ["deployments", owner, name] if [owner, name].iter().all(plain) => Some(Name::Deployment(owner, name)),
            [owner, name] if [owner, name].iter().all(plain) => match name.split_once(':') {
                None => Some(Name::Latest(owner, name)),
                Some((name, version)) if plain(&name) && plain(&version) => Some(Name::Pinned(owner, name, version)),
                Some(_) => None,
            },
            [version] if version.len() == 64 && version.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
                Some(Name::Version(version))
            }
            _ => None,
        }
    }

    /// Where a prediction is made, below the API's root.
    pub fn predictions(&self) -> String {
        match self {
            Name::Latest(owner, name) => format!("/models/{}/{}/predictions", escape(owner), escape(name)),
            Name::Pinned(..) | Name::Version(_) => "/predictions".to_owned(),
            Name::Deployment(owner, name) => format!("/deployments/{}/{}/predictions", escape(owner), escape(name)),
        }
    }

    /// The version that the body of a prediction has to name.
    pub fn version(&self) -> Option<&'a str> {
        match self {
            Name::Pinned(_, _, version) | Name::Version(version) => Some(version),
            Name::Latest(..) | Name::Deployment(..) => None,
        }
    }

    /// Where its description is, below the API's root; `None` where there is none.
    pub fn description(&self) -> Option<String> {
        match self {
            Name::Latest(owner, name) => Some(format!("/models/{}/{}", escape(owner), escape(name))),
            Name::Pinned(owner, name, version) => {
                Some(format!("/models/{}/{}/versions/{}", escape(owner), escape(name), escape(version)))
            }
            Name::Version(_) => None,
            Name::Deployment(owner, name) => Some(format!("/deployments/{}/{}", escape(owner), escape(name))),
        }
    }
}

/// Percent-encode a text as one segment of a path.
fn escape(text: &str) -> Cow<'_, str> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    if text.bytes().all(plain) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for byte in text.bytes() {
        if plain(byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    Cow::Owned(out)
}

/// What a description says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Model {
    /// The id of the version that runs.
    pub version: Option<String>,
    /// What it takes.
    pub inputs: Option<Inputs>,
    /// Of a deployment: the model behind it, as `owner/name:version`. Its own description says what that takes.
    pub behind: Option<String>,
}

/// Read the description of a model, of one of its versions, or of a deployment. Fails on what is no description at all;
/// a schema that can't be read is one that isn't there.
pub fn read(body: Bytes) -> Result<Model, Malformed> {
    let said = Object::parse(body)?;
    if let Some(release) = said.object("current_release")? {
        let (model, version) = (release.get::<String>("model")?, release.get::<String>("version")?);
        let behind = model.zip(version).map(|(model, version)| format!("{model}:{version}"));
        return Ok(Model { behind, ..Model::default() });
    }
    let version = match said.object("latest_version")? {
        Some(latest) => latest,
        None => said,
    };
    let inputs =
        version.object("openapi_schema").ok().flatten().and_then(|schema| Inputs::read(&schema).ok().flatten());
    Ok(Model { version: version.get("id")?, inputs, behind: None })
}

/// What a model takes: its inputs by name, in the order of its schema.
#[derive(Clone, Debug, PartialEq)]
pub struct Inputs(Vec<Input>);

/// One input.
#[derive(Clone, Debug, PartialEq)]
pub struct Input {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// The least number it takes.
    pub least: Option<f64>,
    /// The largest number it takes.
    pub most: Option<f64>,
    /// The texts it takes, if it takes only some.
    pub choices: Vec<String>,
}

/// What an input is, as far as that decides how it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A text, addresses of files included.
    Text,
    /// An array.
    List,
    /// A whole number.
    Whole,
    /// Anything else, or unknown.
    Other,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Property<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Cow<'a, str>>,
    minimum: Option<f64>,
    maximum: Option<f64>,
    #[serde(borrow, rename = "anyOf")]
    any_of: Vec<Property<'a>>,
    /// Where the texts are named that it may be.
    #[serde(borrow, rename = "allOf")]
    all_of: Vec<Property<'a>>,
    #[serde(borrow, rename = "$ref")]
    elsewhere: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "enum")]
    choices: Vec<&'a RawValue>,
}

impl Inputs {
    /// The inputs that an OpenAPI document describes; `None` if it describes none.
    fn read(schema: &Object) -> Result<Option<Self>, Malformed> {
        let within = |at: &Object, names: [&str; 2]| -> Result<Option<Object>, Malformed> {
            at.object(names[0])?.map(|next| next.object(names[1])).transpose().map(Option::flatten)
        };
        let Some(schemas) = within(schema, ["components", "schemas"])? else { return Ok(None) };
        let Some(at) = within(&schemas, ["Input", "properties"])? else { return Ok(None) };
        let inputs: Vec<Input> = at.members().map(|(name, value)| Input::read(name, value, &schemas)).collect();
        Ok((!inputs.is_empty()).then_some(Self(inputs)))
    }

    /// Those that language models have, each under the name that most of them give it.
    pub fn usual() -> Self {
        const TEXTS: [&str; 5] = ["prompt", "system_prompt", "stop_sequences", "reasoning_effort", "verbosity"];
        const NUMBERS: [&str; 7] =
            ["max_tokens", "temperature", "top_p", "top_k", "seed", "presence_penalty", "frequency_penalty"];
        let input = |name: &str, kind| {
            let (least, most, choices) = (None, None, Vec::new());
            Input { name: name.to_owned(), kind, least, most, choices }
        };
        let texts = TEXTS.iter().map(|name| input(name, Kind::Text));
        Self(texts.chain(NUMBERS.iter().map(|name| input(name, Kind::Other))).collect())
    }

    /// The input of this name.
    pub fn get(&self, name: &str) -> Option<&Input> {
        self.0.iter().find(|input| input.name == name)
    }

    /// The first of these names that is one of its inputs.
    pub fn first(&self, names: &[&str]) -> Option<&Input> {
        names.iter().find_map(|name| self.get(name))
    }
}

impl Input {
    /// Whether it takes this value, as far as that is known.
    pub(super) fn allows(&self, value: &[u8]) -> bool {
        let text = serde_json::from_slice::<String>(value).ok();
        self.choices.is_empty() || text.is_some_and(|text| self.choices.contains(&text))
    }

    fn read(name: &str, value: &[u8], schemas: &Object) -> Self {
        // an input that is described in a way we don't know is there all the same
        let said: Property<'_> = serde_json::from_slice(value).unwrap_or_default();
        // an optional input may be "this or null"
        let named = |part: &Property<'_>| schemas.raw(part.elsewhere.as_deref()?.rsplit('/').next()?);
        let referred: Vec<Property<'_>> =
            said.all_of.iter().filter_map(named).filter_map(|part| serde_json::from_slice(part).ok()).collect();
        let all = || std::iter::once(&said).chain(&said.any_of).chain(&referred);
        let choices = all().flat_map(|said| &said.choices).filter_map(|one| serde_json::from_str(one.get()).ok());
        let choices = choices.collect();
        let mut kinds = all().filter_map(|said| said.kind.as_deref());
        let kind = match kinds.find(|kind| *kind != "null") {
            Some("string") => Kind::Text,
            Some("array") => Kind::List,
            Some("integer") => Kind::Whole,
            _ => Kind::Other,
        };
        Self { name: name.to_owned(), kind, least: said.minimum, most: said.maximum, choices }
    }
}
