//! The credential of a target: one, or a pool of them.

use std::borrow::Cow;
use std::collections::HashMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::problem::Problem;
use super::source::item_path;
use super::text::Text;

/// The most keys of one target.
pub const MOST_KEYS: usize = 128;

/// The credential of a target: one, or a pool that is used in turn. Shown, it is its references.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(untagged)]
pub enum Keys {
    /// One key; an empty one means that the provider needs none.
    One(Text),
    /// Several, used in turn. One that the provider refuses rests for a while.
    Pool(Vec<Text>),
}

impl Keys {
    /// All keys as written.
    pub fn texts(&self) -> &[Text] {
        match self {
            Keys::One(text) => std::slice::from_ref(text),
            Keys::Pool(texts) => texts,
        }
    }

    /// Each key with its place: `api_key`, or `api_key[1]` in a pool.
    pub fn places(&self, path: &str) -> impl Iterator<Item = (String, &Text)> {
        let pool = matches!(self, Keys::Pool(_));
        let place = move |at| if pool { item_path(path, at) } else { path.to_owned() };
        self.texts().iter().enumerate().map(move |(at, text)| (place(at), text))
    }

    /// What only looks as if it were read from the environment.
    pub(super) fn warnings(&self, path: &str) -> Vec<Problem> {
        let guessed = |(path, text): (String, &Text)| {
            let help = text.meant()?;
            Some(Problem::new(path, "no_reference", "is sent as it stands, and looks like a variable").help(help))
        };
        self.places(path).filter_map(guessed).collect()
    }

    /// What a pool must not say.
    pub(super) fn problems(&self, path: &str) -> Vec<Problem> {
        let Keys::Pool(texts) = self else { return Vec::new() };
        let refused = |path: String, message: String| Problem::new(path, "invalid_value", message);
        if texts.is_empty() {
            return vec![
                refused(path.to_owned(), "a list must name at least one key".to_owned())
                    .help("write `api_key: \"\"` if the provider needs none"),
            ];
        }
        if texts.len() > MOST_KEYS {
            let message = format!("a target has at most {MOST_KEYS} keys, here are {}", texts.len());
            return vec![refused(path.to_owned(), message).help("spread them over several targets")];
        }
        let (mut seen, mut problems) = (HashMap::new(), Vec::new());
        for (at, text) in texts.iter().enumerate() {
            let written = text.as_written().trim();
            if written.is_empty() {
                problems.push(refused(item_path(path, at), "must not be empty".to_owned()));
            } else if let Some(first) = seen.insert(written, at) {
                problems.push(refused(item_path(path, at), format!("is the key of `api_key[{first}]` again")));
            }
        }
        problems
    }
}

impl From<Text> for Keys {
    fn from(text: Text) -> Self {
        Keys::One(text)
    }
}

impl From<&str> for Keys {
    fn from(text: &str) -> Self {
        Keys::One(text.into())
    }
}

impl JsonSchema for Keys {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Keys".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let text = generator.subschema_for::<Text>();
        json_schema!({
            "oneOf": [
                text,
                { "type": "array", "items": text, "minItems": 1, "maxItems": MOST_KEYS, "uniqueItems": true }
            ],
            "x-is": "keys"
        })
    }
}
