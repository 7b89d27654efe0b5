//! Cohere's second version: <https://docs.cohere.com/reference/chat>, <https://docs.cohere.com/reference/embed>.

pub mod answer;
pub mod embeddings;
mod messages;
pub mod request;
pub mod stream;

/// What marks our replayable reasoning as this vendor's.
const FORMAT: &str = "cohere-v2";

/// Whether a model takes thoughts, its own included.
fn thinks(model: &str) -> bool {
    model.contains("reasoning")
}
