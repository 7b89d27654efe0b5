//! Conversations over WebSockets, in the events of the Realtime API or of the Responses API: what their responses consumed.

use bytes::Bytes;

use super::usage;
use crate::wire::{Object, Usage};

/// What stands near the beginning of the events that tell a response's usage: of the Realtime API, and of the Responses
/// API, <https://developers.openai.com/api/docs/guides/websocket-mode>.
pub const ENDS: &[&[u8]] = &[b"response.done", b"response.completed", b"response.incomplete", b"response.failed"];

/// The usage that an event tells; `None` for all but the end of a response.
pub fn used(event: Vec<u8>) -> Option<Usage> {
    let event = Object::parse(Bytes::from(event)).ok()?;
    let kind: String = event.get("type").ok()??;
    if !ENDS.contains(&kind.as_bytes()) {
        return None;
    }
    usage::read(&event.object("response").ok()??)
}

/// What two responses of one conversation consumed together.
pub fn together(one: Usage, other: Usage) -> Usage {
    Usage {
        prompt: one.prompt.saturating_add(other.prompt),
        completion: one.completion.saturating_add(other.completion),
        cached: one.cached.saturating_add(other.cached),
        reasoning: one.reasoning.saturating_add(other.reasoning),
        audio_in: one.audio_in.saturating_add(other.audio_in),
        audio_out: one.audio_out.saturating_add(other.audio_out),
        image_in: one.image_in.saturating_add(other.image_in),
        image_out: one.image_out.saturating_add(other.image_out),
        video_in: one.video_in.saturating_add(other.video_in),
        ..one
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_response_tells_its_usage() {
        // https://platform.openai.com/docs/api-reference/realtime-server-events/response/done
        let event = r#"{"type":"response.done","event_id":"e","response":{"id":"r","status":"completed","output":[],
            "usage":{"total_tokens":253,"input_tokens":132,"output_tokens":121,
            "input_token_details":{"text_tokens":119,"audio_tokens":13,"cached_tokens":64,
            "cached_tokens_details":{"text_tokens":64,"audio_tokens":0}},
            "output_token_details":{"text_tokens":30,"audio_tokens":91}}}}"#;
        let usage = used(event.as_bytes().to_vec()).unwrap_or_default();
        let expected =
            Usage { prompt: 132, completion: 121, cached: 64, audio_in: 13, audio_out: 91, ..Usage::default() };
        assert_eq!(usage, expected);
        assert_eq!(together(usage, usage).audio_out, 182);
        assert_eq!(used(br#"{"type":"response.created","response":{"usage":{"input_tokens":1}}}"#.to_vec()), None);
        assert_eq!(used(br#"{"type":"response.done","response":{"usage":null}}"#.to_vec()), None);
        assert_eq!(used(b"response.done".to_vec()), None);
        // https://developers.openai.com/api/reference/resources/responses/websocket-events
        let event = r#"{"type":"response.completed","sequence_number":9,"response":{"id":"r","output":[],"usage":{
            "input_tokens":36,"input_tokens_details":{"cached_tokens":8},"output_tokens":87,
            "output_tokens_details":{"reasoning_tokens":5},"total_tokens":123}}}"#;
        let expected = Usage { prompt: 36, completion: 87, cached: 8, reasoning: 5, ..Usage::default() };
        assert_eq!(used(event.as_bytes().to_vec()), Some(expected));
    }
}
