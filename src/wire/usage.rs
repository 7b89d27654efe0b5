//! What a call consumed, in one meaning for every dialect.

/// Tokens of one call, in OpenAI's meaning: `prompt` includes cached tokens, `completion` includes reasoning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Input tokens.
    pub prompt: u64,
    /// Output tokens.
    pub completion: u64,
    /// Input tokens read from the provider's prompt cache.
    pub cached: u64,
    /// Output tokens spent on reasoning.
    pub reasoning: u64,
    /// Whether the gateway estimated these numbers, because the provider sent none.
    pub estimated: bool,
}
