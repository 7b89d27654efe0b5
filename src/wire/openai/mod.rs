//! OpenAI's dialect: what 24 of the providers speak, each with an accent.

pub mod answer;
pub mod completions;
pub mod errors;
pub mod fold;
pub mod functions;
pub mod realtime;
pub mod request;
pub mod stream;
pub mod think;
pub mod typed;
pub mod usage;
