//! No input panics, whatever it is.

use bytes::Bytes;
use ferrogw::wire::openai::{answer, completions, errors, request, usage};
use ferrogw::wire::{Object, sse};
use proptest::prelude::*;

use super::events::{plain, run};

/// JSON, or nearly: members the readers look for, with values of every type.
fn json() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "model",
        "messages",
        "prompt",
        "input",
        "stream",
        "stream_options",
        "include_usage",
        "temperature",
        "top_p",
        "stop",
        "max_tokens",
        "echo",
        "suffix",
        "choices",
        "delta",
        "message",
        "content",
        "index",
        "finish_reason",
        "usage",
        "prompt_tokens",
        "prompt_tokens_details",
        "cached_tokens",
        "error",
        "errors",
        "detail",
        "details",
        "retryDelay",
        "loc",
        "msg",
        "metadata",
        "raw",
        "code",
        "status",
        "fault",
        "tool_calls",
        "data",
        "x",
    ]);
    let leaf = prop_oneof![
        prop::sample::select(vec![
            "null",
            "true",
            "false",
            "0",
            "-1",
            "1e999",
            "18446744073709551616",
            "0.1",
            "\"\"",
            "\"a\"",
            "\"\\u0000\"",
            "\"\\ud800\"",
            "\"{\\\"message\\\":1}\"",
            "\"37s\"",
            "\"infs\"",
            "\"nans\"",
            "[]",
            "{}",
            "nul",
            "\"",
            "",
        ])
        .prop_map(str::to_owned),
        "\\PC{0,8}".prop_map(|text| serde_json::to_string(&text).unwrap()),
    ];
    leaf.prop_recursive(6, 48, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(","))),
            prop::collection::vec((word.clone(), inner.clone()), 0..5).prop_map(|members| {
                let members: Vec<_> = members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
                format!("{{{}}}", members.join(","))
            }),
            // JSON in a text, as errors have it
            inner.prop_map(|inner| format!("{{\"message\":{}}}", serde_json::to_string(&inner).unwrap())),
        ]
    })
}

fn bodies() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => json().prop_map(String::into_bytes),
        1 => prop::collection::vec(any::<u8>(), 0..64),
        1 => super::scraps(),
        // cut short
        1 => (json(), any::<prop::sample::Index>()).prop_map(|(json, at)| {
            let mut bytes = json.into_bytes();
            bytes.truncate(at.index(bytes.len() + 1));
            bytes
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    #[test]
    fn no_body_panics_a_reader(bytes in bodies()) {
        let body = Bytes::from(bytes);
        let _ = (errors::read(&body), usage::parse(&body), usage::in_tail(&body), answer::read(body.clone()));
        let _ = (sse::data(&body), sse::event(&body), sse::split(body.clone()).count());
        let Ok(object) = Object::parse(body) else { return Ok(()) };
        let _ = (request::chat(&object), request::completion(&object), request::embedding(&object));
        let _ = (usage::read(&object), errors::inside(&object));
        for name in ["messages", "choices", "stream_options", "x"] {
            let _ = (object.object(name), object.objects(name), object.get::<String>(name), object.get::<f64>(name));
        }
        if let Ok((chat, mut echo)) = completions::to_chat(&object) {
            let _ = (echo.answer(&chat), echo.event(&object), echo.event(&chat));
        }
    }

    #[test]
    fn no_stream_panics_its_reader(bytes in prop::collection::vec(any::<u8>(), 0..128), event in bodies()) {
        run(plain(), &[&bytes]);
        run(plain(), &[b"data: ", &event, b"\n\n", &bytes]);
    }
}

#[test]
fn nesting_without_end_is_no_danger() {
    for (open, close) in [("[", "]"), ("{\"error\":", "}"), ("{\"a\":", "}")] {
        for depth in [100, 200, 100_000] {
            let deep = format!("{{\"error\":{}1{}}}", open.repeat(depth), close.repeat(depth));
            let _ = (errors::read(deep.as_bytes()), usage::parse(deep.as_bytes()), answer::read(deep.into()));
        }
    }
}
