//! Google's `generateContent`: Gemini on Google's own API and on Vertex AI.
//!
//! <https://ai.google.dev/api/generate-content>,
//! <https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference>

pub mod answer;
mod contents;
pub mod embeddings;
mod finish;
mod grounding;
mod json;
mod media;
mod model;
mod read;
mod replay;
pub mod request;
mod said;
mod schema;
pub mod stream;
mod thinking;
mod tools;
mod usage;

pub(in crate::wire) use self::media::by_ending;

/// Who serves the model: the two differ in a few members.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    /// `generativelanguage.googleapis.com`.
    Api,
    /// Vertex AI.
    Vertex,
}

/// Whether a model of the Gemini API takes media from this address; others have to be sent as data.
pub fn takes_address(model: &str, url: &str) -> bool {
    media::reachable(url, Host::Api, &model::Model::of(model))
}

/// The name of what our reasoning details hold.
const FORMAT: &str = "google-gemini-v1";
