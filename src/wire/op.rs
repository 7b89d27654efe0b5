//! What can be asked for.

/// What the caller wants done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    /// Chat completions, streamed or whole.
    Chat,
    /// Legacy text completions, streamed or whole.
    Complete,
    /// Embeddings.
    Embed,
}

impl Op {
    /// The name of the surface in metrics, logs and capability tables.
    pub fn name(self) -> &'static str {
        match self {
            Op::Chat => "chat",
            Op::Complete => "completions",
            Op::Embed => "embeddings",
        }
    }
}
