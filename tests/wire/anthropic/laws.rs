//! What holds for any stream, any answer and any request.

use std::fs;
use std::path::PathBuf;

use bytes::Bytes;
use ferrogw::wire::anthropic::answer;
use ferrogw::wire::native::Back;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{cases, events, read, streamed, translate};

proptest! {
    #[test]
    fn any_cut_of_a_stream_gives_the_same(places in crate::wire::places(), case in any::<prop::sample::Index>()) {
        let streams: Vec<PathBuf> = cases().into_iter().filter(|case| case.join("upstream.sse").exists()).collect();
        let stream = fs::read(case.get(&streams).join("upstream.sse")).unwrap();
        let back = Back { json_tool: Some("json_output".to_owned()), ..Back::default() };
        let pieces = crate::wire::cut(&stream, &places);
        prop_assert_eq!(streamed(&back, &pieces), streamed(&back, &[&stream]));
    }

    #[test]
    fn no_stream_and_no_answer_makes_it_panic(scraps in crate::wire::scraps(), garbled in garbled()) {
        let _ = streamed(&Back::default(), &[&scraps]);
        let stream: Vec<u8> = garbled.iter().flat_map(|event| format!("data: {event}\n\n").into_bytes()).collect();
        let (out, _) = streamed(&Back { json_tool: Some("f".to_owned()), ..Back::default() }, &[&stream]);
        for event in events(&out).as_array().unwrap() {
            prop_assert!(event.is_object() || event == "[DONE]");
        }
        for body in garbled {
            if let Ok(answer) = answer::answer(Bytes::from(body.to_string()), &Back::default()) {
                prop_assert!(serde_json::from_slice::<Value>(&answer.encode()).is_ok());
            }
        }
    }

    #[test]
    fn no_request_makes_it_panic_and_what_is_sent_is_json(
        case in any::<prop::sample::Index>(), changes in prop::collection::vec((any::<prop::sample::Index>(), value()), 1..4),
    ) {
        let cases = cases();
        let case = case.get(&cases);
        let ask = changed(read(case, "ask.json").unwrap(), &changes);
        for told in [read(case, "terms.json").unwrap_or_default(), json!({"hosting": "bedrock"})] {
            if let Some(Ok(request)) = ask["model"].is_string().then(|| translate(&ask, &told)) {
                prop_assert!(serde_json::from_slice::<Value>(&request.body).is_ok(), "{ask}");
            }
        }
        if let Some(upstream) = read(case, "upstream.json") {
            let upstream = changed(upstream, &changes);
            if let Ok(answer) = answer::answer(Bytes::from(upstream.to_string()), &Back::default()) {
                prop_assert!(serde_json::from_slice::<Value>(&answer.encode()).is_ok(), "{upstream}");
            }
        }
        if let Ok(stream) = fs::read_to_string(case.join("upstream.sse")) {
            let whole: Value = stream.lines().filter_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok())
                .collect::<Vec<Value>>().into();
            let stream = changed(whole, &changes);
            // white space between the parts, and several lines of data
            let lines = |event: &Value| format!("{event:#}").lines().map(|line| format!("data: {line}\n")).collect::<String>();
            let frames = stream.as_array().map(|events| events.iter().map(|event| lines(event) + "\n").collect::<String>());
            let (out, _) = streamed(&Back::default(), &[frames.unwrap_or_default().as_bytes()]);
            prop_assert!(events(&out).as_array().unwrap().iter().all(|event| event.is_object() || event == "[DONE]"));
        }
    }
}

/// The same JSON with some of its values replaced.
fn changed(mut json: Value, changes: &[(prop::sample::Index, Value)]) -> Value {
    fn places(value: &Value, at: String, found: &mut Vec<String>) {
        match value {
            Value::Object(members) => {
                members.iter().for_each(|(name, value)| places(value, format!("{at}/{name}"), found))
            }
            Value::Array(items) => {
                items.iter().enumerate().for_each(|(n, value)| places(value, format!("{at}/{n}"), found))
            }
            _ => {}
        }
        found.push(at);
    }
    for (place, value) in changes {
        let mut found = Vec::new();
        places(&json, String::new(), &mut found);
        let place: &String = place.get(&found);
        *json.pointer_mut(place).unwrap() = value.clone();
    }
    json
}

/// Words of both formats.
const WORDS: [&str; 52] = [
    "type",
    "role",
    "user",
    "assistant",
    "tool",
    "system",
    "content",
    "text",
    "image_url",
    "url",
    "tool_calls",
    "id",
    "function",
    "name",
    "arguments",
    "tool_call_id",
    "reasoning_details",
    "reasoning.text",
    "signature",
    "index",
    "thinking",
    "thinking_blocks",
    "cache_control",
    "messages",
    "tools",
    "tool_choice",
    "response_format",
    "schema",
    "json_schema",
    "stop",
    "metadata",
    "max_tokens",
    "temperature",
    "top_p",
    "reasoning_effort",
    "high",
    "none",
    "message_start",
    "message",
    "content_block_start",
    "content_block",
    "content_block_delta",
    "delta",
    "text_delta",
    "input_json_delta",
    "partial_json",
    "tool_use",
    "input",
    "usage",
    "message_delta",
    "stop_reason",
    "message_stop",
];

fn name() -> impl Strategy<Value = &'static str> {
    prop::sample::select(WORDS.to_vec())
}

/// JSON made of those words.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i16>().prop_map(Value::from),
        name().prop_map(Value::from),
        "[\\PC\\n\"\\\\]{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((name(), inner), 0..6)
                .prop_map(|members| members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()),
        ]
    })
}

fn garbled() -> impl Strategy<Value = Vec<Value>> {
    prop::collection::vec(value(), 0..8)
}
