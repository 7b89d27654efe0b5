//! Replicate's predictions: a model is a program with inputs of its own, and a chat is one run of it.
//!
//! What a model takes is known from its description ([`model::read`]); without one, the inputs that most language models
//! there have are assumed. <https://replicate.com/docs/reference/http>

pub mod answer;
pub mod images;
pub mod model;
mod params;
pub mod request;
pub mod speech;
pub mod stream;
pub mod transcripts;

pub use self::answer::Prediction;
pub use self::model::Inputs;
