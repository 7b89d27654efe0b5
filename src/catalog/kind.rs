//! The vocabulary of the catalog: what prices are for, and the control words between them. Shared with the build script.

/// What a price is for. Its place in [`KINDS`] is its number in the compiled catalog, so new ones go to the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    /// The name in `models.jsonl`, where prices are for one unit.
    pub name: &'static str,
    /// The name everywhere else, where prices of tokens are for a million.
    pub public: &'static str,
}

const fn tokens(name: &'static str, public: &'static str) -> Kind {
    Kind { name, public }
}

const fn unit(name: &'static str, public: &'static str) -> Kind {
    Kind { name, public }
}

/// Everything that can have a price.
pub static KINDS: [Kind; 40] = [
    tokens("in", "input_per_m_tokens"),
    tokens("out", "output_per_m_tokens"),
    tokens("cache_read", "cache_read_per_m_tokens"),
    tokens("cache_write", "cache_write_per_m_tokens"),
    tokens("cache_write_1h", "cache_write_1h_per_m_tokens"),
    tokens("cache_write_12h", "cache_write_12h_per_m_tokens"),
    tokens("reasoning", "reasoning_per_m_tokens"),
    tokens("audio_in", "audio_input_per_m_tokens"),
    tokens("audio_out", "audio_output_per_m_tokens"),
    tokens("audio_cache_read", "audio_cache_read_per_m_tokens"),
    tokens("audio_cache_write", "audio_cache_write_per_m_tokens"),
    tokens("image_in", "image_input_per_m_tokens"),
    tokens("image_out", "image_output_per_m_tokens"),
    tokens("image_cache_read", "image_cache_read_per_m_tokens"),
    tokens("video_in", "video_input_per_m_tokens"),
    tokens("video_out", "video_output_per_m_tokens"),
    tokens("citation", "citation_per_m_tokens"),
    unit("per_image_in", "input_per_image"),
    unit("per_image_out", "output_per_image"),
    unit("per_second_in", "input_per_second"),
    unit("per_second_out", "output_per_second"),
    unit("per_second_out_480p", "output_per_second_480p"),
    unit("per_second_out_720p", "output_per_second_720p"),
    unit("per_second_out_768p", "output_per_second_768p"),
    unit("per_second_out_1080p", "output_per_second_1080p"),
    unit("per_second_out_2k", "output_per_second_2k"),
    unit("per_second_out_4k", "output_per_second_4k"),
    unit("per_char_in", "input_per_character"),
    unit("per_char_out", "output_per_character"),
    unit("per_query", "per_query"),
    unit("per_request", "per_request"),
    unit("per_page", "per_page"),
    unit("per_page_annotated", "per_annotated_page"),
    unit("per_search", "per_web_search"),
    unit("per_file_search", "per_file_search"),
    unit("per_message", "per_message"),
    unit("per_pixel_in", "input_per_pixel"),
    unit("per_pixel_out", "output_per_pixel"),
    unit("per_maps_query", "per_maps_query"),
    unit("per_session", "per_session"),
];

impl Kind {
    /// Whether it is a price for tokens, which people know by the million.
    pub fn is_of_tokens(&self) -> bool {
        self.public.ends_with("_per_m_tokens")
    }
}

/// The number of a kind by its name in `models.jsonl`.
pub fn number(name: &str) -> Option<usize> {
    KINDS.iter().position(|kind| kind.name == name)
}

/// What a model can be for, by the names in `models.jsonl`.
pub static MODES: [&str; 20] = [
    "chat",
    "completion",
    "responses",
    "embedding",
    "image",
    "image_edit",
    "transcription",
    "speech",
    "video",
    "rerank",
    "moderation",
    "realtime",
    "ocr",
    "search",
    "evaluation",
    "extraction",
    "guardrail",
    "decisions",
    "vector_store",
    "other",
];

/// What a model can do, in the order in which it is listed.
pub static CAPABILITIES: [&str; 18] = [
    "vision",
    "function_calling",
    "parallel_tool_calls",
    "tool_choice",
    "response_schema",
    "streaming",
    "prompt_caching",
    "reasoning",
    "audio_input",
    "audio_output",
    "video_input",
    "pdf_input",
    "image_output",
    "web_search",
    "system_messages",
    "assistant_prefill",
    "computer_use",
    "url_context",
];

/// The capabilities that are content a model takes, in the order of the bits that say that it does not.
pub static INPUTS: [&str; 4] = ["vision", "audio_input", "video_input", "pdf_input"];

/// How far a price can be trusted, from nothing to a person's word.
pub static TRUST: [&str; 5] = ["none", "one", "two", "disputed", "reviewed"];

/// The condition under which the price stands that another source tells.
pub const DISPUTED: &str = "disputed";

/// Control words of a compiled price list; below them stand the numbers of kinds.
pub mod word {
    /// From here on the prices once the input exceeds so many tokens.
    pub const TIER: u8 = 200;
    /// The prices hold under the condition of this number.
    pub const WHEN: u8 = 201;
    /// The prices hold from this day on.
    pub const FROM: u8 = 202;
    /// The prices hold in these hours: days of the week, first minute, last minute.
    pub const WINDOW: u8 = 203;
    /// The end of an entry.
    pub const END: u8 = 204;
    /// The bits of a word that hold its value; the kind stands above them.
    pub const VALUE: u64 = (1 << 56) - 1;
}

/// Parts of the compiled catalog. All numbers are little-endian.
pub mod layout {
    /// How it begins: a name and the version of the format.
    pub const MAGIC: [u8; 8] = *b"FCAT\x03\0\0\0";
    /// Magic; counts of rows, words, index places; lengths of strings and of names.
    pub const HEAD: usize = 8 + 5 * 4;
    /// One model, see `pack`.
    pub const ROW: usize = 44;
    /// A price word.
    pub const WORD: usize = 8;
    /// A place in the index: a row's number.
    pub const PLACE: usize = 2;
    /// In the bits of capabilities, the first of those that say which content a model does not take.
    pub const LACKS: usize = 28;
    /// A place in the index that is free.
    pub const FREE: u16 = u16::MAX;

    /// Where the search for a model begins in an index of so many places, which are a power of two.
    pub fn place(provider: u8, id: &[u8], places: usize) -> usize {
        // FNV-1a: ids are short, and a byte costs one multiplication
        let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        let hash = id.iter().fold(step(0xcbf2_9ce4_8422_2325, provider), |hash, byte| step(hash, *byte));
        (hash ^ (hash >> 32)) as usize & (places - 1)
    }
}
