//! Amazon Bedrock: chat over Converse and ConverseStream, the same for every vendor there; the rest over InvokeModel.
//!
//! <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html>

pub mod answer;
pub mod embeddings;
pub mod eventstream;
pub mod images;
mod json;
mod media;
mod messages;
mod models;
mod params;
mod parts;
mod reasoning;
pub mod request;
pub mod rerank;
mod scene;
mod schema;
pub mod stream;
mod tools;
mod usage;
