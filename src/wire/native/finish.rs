//! Why models stopped, in the words of many vendors.

/// Why a model stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// It was done, or came to a stop sequence.
    Stop,
    /// It came to a limit.
    Length,
    /// It waits for tools.
    ToolCalls,
    /// Something of it is not said.
    ContentFilter,
    /// It broke down: without any content this is a failure.
    Failed,
}

impl Finish {
    /// Read a vendor's word; `None` if it is not known.
    pub fn of(word: &str) -> Option<Self> {
        Some(match word.trim().to_ascii_lowercase().as_str() {
            "stop" | "end_turn" | "stop_sequence" | "complete" | "completed" | "finish" | "finished"
            | "stop_criteria_met" | "eos" | "eos_token" | "succeeded" | "done" | "load" | "unload" | "pause_turn"
            | "compaction" => Finish::Stop,
            "length"
            | "max_tokens"
            | "model_length"
            | "max_output_tokens"
            | "model_context_window_exceeded"
            | "context_window"
            | "truncated"
            | "error_limit" => Finish::Length,
            "tool_use" | "tool_call" | "tool_calls" | "function_call" => Finish::ToolCalls,
            "content_filter"
            | "content_filtered"
            | "safety"
            | "refusal"
            | "error_toxic"
            | "recitation"
            | "blocklist"
            | "prohibited_content"
            | "spii"
            | "image_safety"
            | "image_prohibited_content"
            | "image_recitation"
            | "language"
            | "guardrail_intervened"
            | "model_armor"
            | "jailbreak" => Finish::ContentFilter,
            "malformed_function_call"
            | "unexpected_tool_call"
            | "too_many_tool_calls"
            | "malformed_tool_use"
            | "malformed_model_output"
            | "other"
            | "image_other"
            | "no_image"
            | "insufficient_system_resource"
            | "error"
            | "timeout" => Finish::Failed,
            _ => return None,
        })
    }

    /// OpenAI's word. What broke down with content in hand has stopped.
    pub fn word(self) -> &'static str {
        match self {
            Finish::Stop | Finish::Failed => "stop",
            Finish::Length => "length",
            Finish::ToolCalls => "tool_calls",
            Finish::ContentFilter => "content_filter",
        }
    }
}
