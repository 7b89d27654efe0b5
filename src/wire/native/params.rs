//! Members of requests and messages that ask for nothing, whoever is asked.

/// Members of a request that are carried elsewhere, or that only say how the answer is delivered and where a prompt is
/// cached.
pub(in crate::wire) const DELIVERY: [&str; 7] = [
    "model",
    "messages",
    "stream",
    "stream_options",
    "prompt_cache_key",
    "prompt_cache_retention",
    "prompt_cache_options",
];

/// Members of messages that are read, or that callers send back as they got them with an answer.
pub(in crate::wire) const OF_MESSAGES: [&str; 19] = [
    "role",
    "content",
    "cache_control",
    "prompt_cache_breakpoint",
    "tool_calls",
    "tool_call_id",
    "function_call",
    "refusal",
    "is_error",
    "reasoning_content",
    "reasoning",
    "reasoning_details",
    "thinking_blocks",
    // of answers
    "annotations",
    "extra_content",
    "provider_metadata",
    "provider_specific_fields",
    "images",
    "id",
];

/// Whether a parameter has the value it would have if it were absent.
pub(in crate::wire) fn says_nothing(name: &str, value: &[u8]) -> bool {
    let neutral = match name {
        "n" => value == b"1",
        "presence_penalty" | "frequency_penalty" | "top_logprobs" => matches!(value, b"0" | b"0.0"),
        "logprobs" | "store" => value == b"false",
        "logit_bias" => value == b"{}",
        "modalities" => value == br#"["text"]"#,
        _ => false,
    };
    neutral || value == b"null"
}
