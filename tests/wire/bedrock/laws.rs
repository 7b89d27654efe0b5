//! What holds for any bytes.

use ferrogw::wire::Object;
use ferrogw::wire::bedrock::{answer, embeddings, images, rerank};
use ferrogw::wire::native::Back;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::{cut, places};
use super::{decode, folders, frame, frames, read, sent};

/// JSON that is nearly a request, with what the translation looks at in odd places.
fn odd() -> impl Strategy<Value = Value> {
    let word = prop::sample::select(vec![
        "user",
        "assistant",
        "tool",
        "system",
        "text",
        "image_url",
        "file",
        "function",
        "auto",
        "none",
        "",
        " ",
        "{}",
        "data:,",
        "data:image/png;base64,iVBORw0KGgo=",
        "s3://b/k",
        "high",
        "json_schema",
        "é\u{1f600}",
        "\\\"",
    ]);
    let leaf = prop_oneof![
        word.prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        Just(Value::Null)
    ];
    let name = prop::sample::select(vec![
        "role",
        "content",
        "type",
        "text",
        "image_url",
        "url",
        "file",
        "file_data",
        "tool_calls",
        "function",
        "name",
        "arguments",
        "id",
        "tool_call_id",
        "parameters",
        "properties",
        "$ref",
        "$defs",
        "cache_control",
        "reasoning_details",
        "signature",
        "thinking",
        "json_schema",
        "schema",
        "output",
        "message",
        "toolUse",
        "input",
        "reasoningContent",
        "reasoningText",
        "usage",
        "start",
        "delta",
        "contentBlockIndex",
        "stopReason",
    ]);
    leaf.prop_recursive(5, 48, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            prop::collection::vec((name.clone(), inner), 0..5).prop_map(|members| {
                Value::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
            }),
        ]
    })
}

fn scripts() -> impl Strategy<Value = Vec<u8>> {
    let name = prop::sample::select(vec![
        "messageStart",
        "contentBlockStart",
        "contentBlockDelta",
        "contentBlockStop",
        "messageStop",
        "metadata",
        "other",
    ]);
    prop::collection::vec((name, odd()), 0..8).prop_map(|events| {
        events.into_iter().flat_map(|(name, payload)| frame("event", name, &payload.to_string())).collect()
    })
}

fn whole() -> impl Strategy<Value = Vec<u8>> {
    let scripts = folders().into_iter().filter_map(|folder| read(&folder.join("upstream.events")));
    prop::sample::select(scripts.map(|script| frames(&script)).collect::<Vec<_>>())
}

proptest! {
    #[test]
    fn any_cut_of_a_stream_gives_the_same_output(bytes in prop_oneof![whole(), scripts()], places in places()) {
        let once = decode(&Back::default(), &[&bytes]);
        let pieces = decode(&Back::default(), &cut(&bytes, &places));
        prop_assert_eq!(once.0, pieces.0);
        prop_assert_eq!(format!("{:?}", once.1), format!("{:?}", pieces.1));
    }

    #[test]
    fn no_bytes_make_a_decoder_panic(bytes in prop::collection::vec(any::<u8>(), 0..400), places in places()) {
        decode(&Back::default(), &cut(&bytes, &places));
        let _ = answer::answer(bytes.clone().into(), &Back::default());
        let _ = embeddings::answer(bytes.clone().into(), &Back::default());
        let _ = images::answer(bytes.clone().into(), &Back::default());
        let _ = rerank::answer(bytes.into(), &Back::default());
    }

    #[test]
    fn no_request_panics_and_what_is_sent_is_json(messages in odd(), tools in odd(), more in odd(), at in any::<prop::sample::Index>()) {
        let models = ["anthropic.claude-sonnet-4-5-20250929-v1:0", "amazon.nova-pro-v1:0", "mistral.mistral-7b-instruct-v0:2", "x"];
        let mut ask = json!({"model": models[at.index(models.len())], "messages": messages, "tools": tools,
            "response_format": more.clone(), "reasoning": more.clone(), "tool_choice": more});
        if !ask["messages"].is_array() {
            ask["messages"] = json!([ask["messages"].clone()]);
        }
        if let Ok(request) = sent(&ask) {
            let sent = Object::parse(request.body).unwrap();
            prop_assert!(sent.has("messages"));
        }
    }

    #[test]
    fn odd_answers_are_errors_or_chat_completions(body in odd(), stop in "[a-z_]{0,12}") {
        let body = json!({"output": {"message": {"content": body}}, "stopReason": stop, "usage": {"inputTokens": 3}});
        if let Ok(reply) = answer::answer(body.to_string().into(), &Back::default()) {
            prop_assert_eq!(reply.raw("object"), Some(&br#""chat.completion""#[..]));
        }
    }
}
