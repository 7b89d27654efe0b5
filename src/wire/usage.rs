//! What a call consumed, in one meaning for every dialect.

use super::Usd;

/// What one call consumed, in OpenAI's meaning: `prompt` includes cached, written, audio, image and video tokens,
/// `completion` includes reasoning, audio and image tokens. What is zero was not told, or there was none. Every call
/// carries one along, so what is rarely large has 32 bits.
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
    /// Input tokens written to the provider's prompt cache, for however long.
    pub cache_write: u32,
    /// Of these, tokens that are kept for an hour.
    pub cache_write_1h: u32,
    /// Input tokens of sound.
    pub audio_in: u32,
    /// Output tokens of sound.
    pub audio_out: u32,
    /// Input tokens of images.
    pub image_in: u32,
    /// Output tokens of images.
    pub image_out: u32,
    /// Input tokens of videos.
    pub video_in: u32,
    /// Tokens of what was cited, which some searching models charge for; not in `prompt`.
    pub citations: u32,
    /// Sound or video that was sent or made, in milliseconds, where it is not counted in tokens.
    pub millis: u32,
    /// Characters of text that became speech, where they are not counted in tokens.
    pub characters: u32,
    /// Images that were made.
    pub images: u32,
    /// Pages that were read.
    pub pages: u32,
    /// Searches of the web.
    pub searches: u32,
    /// Queries, as rerankers count them.
    pub queries: u32,
    /// How the provider served it, where that has a price of its own.
    pub tier: Tier,
    /// What the provider says that the call cost; nothing if it does not say.
    pub told: Usd,
    /// Whether the gateway estimated these numbers, because the provider sent none.
    pub estimated: bool,
}

/// A way of serving that may have a price of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tier {
    /// The usual one.
    #[default]
    Standard,
    /// Some time within a day.
    Batch,
    /// When there is room.
    Flex,
    /// Before others.
    Priority,
    /// On faster machines.
    Fast,
}

impl Tier {
    /// The tier that a provider calls so; words nobody charges extra for are the usual one.
    pub fn of(word: &[u8]) -> Self {
        match word {
            b"batch" => Tier::Batch,
            b"flex" => Tier::Flex,
            b"priority" => Tier::Priority,
            b"fast" => Tier::Fast,
            _ => Tier::Standard,
        }
    }

    /// Its name as a condition of prices.
    pub fn name(self) -> &'static str {
        match self {
            Tier::Standard => "",
            Tier::Batch => "batch",
            Tier::Flex => "flex",
            Tier::Priority => "priority",
            Tier::Fast => "fast",
        }
    }
}
