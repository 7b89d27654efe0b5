//! Wire formats, and nothing else: functions from bytes to bytes that have never heard of a socket or a clock.

pub mod anthropic;
mod base64;
pub mod bedrock;
pub mod cohere;
pub mod extras;
pub mod gemini;
pub mod jobs;
pub mod media;
pub mod money;
pub mod multipart;
pub mod native;
pub mod object;
pub mod op;
pub mod openai;
pub mod replicate;
mod scan;
pub mod sse;
pub mod usage;
pub mod websocket;

pub use self::extras::Extra;
pub use self::money::Usd;
pub use self::native::Native;
pub use self::object::{Malformed, Object};
pub use self::op::Op;
pub use self::usage::{Tier, Usage};

/// A wire format a caller or a provider speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// OpenAI's chat completions, completions and embeddings.
    OpenAi,
    /// One that is translated.
    Native(Native),
}
