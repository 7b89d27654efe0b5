//! One value or a list of them, as it is written: `gpt-5` and `[gpt-5, gpt-5-mini]`.

use std::borrow::Cow;
use std::ops::Deref;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// One or more values. A single one is written without brackets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Several<T>(pub Vec<T>);

impl<T> Several<T> {
    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<T> Deref for Several<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T> From<T> for Several<T> {
    fn from(one: T) -> Self {
        Self(vec![one])
    }
}

impl<T: Serialize> Serialize for Several<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.as_slice() {
            [one] => one.serialize(serializer),
            all => all.serialize(serializer),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Several<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written<T> {
            Many(Vec<T>),
            One(T),
        }
        Ok(match Written::deserialize(deserializer)? {
            Written::Many(all) => Self(all),
            Written::One(one) => Self(vec![one]),
        })
    }
}

impl<T: JsonSchema> JsonSchema for Several<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Several{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let item = generator.subschema_for::<T>();
        json_schema!({ "oneOf": [item, { "type": "array", "items": item }], "items": item, "x-is": "either" })
    }
}
