//! Google's `generateContent`, by files: what is asked, what is sent, what comes back, what the caller gets.

use std::fs;
use std::path::{Path, PathBuf};

use bytes::{Bytes, BytesMut};
use ferrogw::wire::gemini::stream::Decoder;
use ferrogw::wire::gemini::{Host, answer, embeddings, request};
use ferrogw::wire::native::{Back, Refused, Request, Terms};
use ferrogw::wire::openai::stream::Broken;
use ferrogw::wire::{Object, Op};
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value, json};

use super::{cut, object, places, scraps};

fn terms<'a>(ask: &'a Value, op: Op) -> Terms<'a> {
    let stream = ask["stream"] == true;
    let model = ask["model"].as_str().unwrap_or("gemini-3-flash");
    Terms { op, model, stream, id: "chatcmpl-test", created: 1_767_225_600, most_output: None, usual_output: None }
}

fn translated(ask: &Value, vertex: bool, op: Op) -> Result<Request, Refused> {
    let (body, terms) = (object(ask.to_string()), terms(ask, op));
    let host = if vertex { Host::Vertex } else { Host::Api };
    match op {
        Op::Embed => embeddings::request(&body, &terms, host),
        _ => request::request(&body, &terms, host),
    }
}

fn chat(ask: Value) -> Result<Request, Refused> {
    translated(&ask, false, Op::Chat)
}

fn back() -> Back {
    Back { id: "chatcmpl-test".into(), created: 1_767_225_600, model: "gemini-3-flash".into(), ..Back::default() }
}

fn json_of(path: &Path) -> Option<Value> {
    let text = fs::read_to_string(path).ok()?;
    Some(serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
}

/// The payloads of a stream, JSON where they are JSON.
fn events(stream: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(stream).unwrap();
    assert!(text.ends_with("\n\n"), "a stream ends with a whole frame: {text}");
    text.trim_end()
        .split("\n\n")
        .map(|frame| frame.strip_prefix("data: ").unwrap_or_else(|| panic!("no frame of data: {frame}")))
        .map(|data| serde_json::from_str(data).unwrap_or_else(|_| Value::from(data)))
        .collect()
}

fn decoded(chunks: &[&[u8]], back: Back) -> (Vec<u8>, Result<(), Broken>) {
    let mut decoder = Decoder::new(back);
    let mut out = BytesMut::new();
    for chunk in chunks {
        if let Err(broken) = decoder.push(Bytes::copy_from_slice(chunk), &mut out) {
            return (out.to_vec(), Err(broken));
        }
    }
    let end = decoder.end(&mut out);
    (out.to_vec(), end)
}

fn cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wire/gemini");
    let mut cases: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    cases
}

#[test]
fn every_case_is_sent_and_answered_as_its_files_say() {
    for case in cases() {
        let name = case.file_name().unwrap().to_str().unwrap();
        let ask = json_of(&case.join("ask.json")).unwrap_or_else(|| panic!("{name}: no ask.json"));
        let op = if name.contains("embed") { Op::Embed } else { Op::Chat };
        let sent = translated(&ask, name.starts_with("vertex"), op).unwrap_or_else(|error| panic!("{name}: {error:?}"));
        let body: Value = serde_json::from_slice(&sent.body).unwrap_or_else(|error| panic!("{name}: {error}"));
        let losses = sent.losses.iter().map(|loss| format!("{} {}", loss.param, loss.action)).collect::<Vec<_>>();
        let headers: Value = sent.headers.iter().map(|(name, value)| (name.to_string(), json!(value))).collect();
        let found = json!({"body": body, "losses": losses, "headers": headers});
        check(&case.join("sent.json"), &found);
        let whole = fs::read_to_string(case.join("upstream.json")).ok().map(|text| match sent.back.tools.first() {
            Some((told, _)) => text.replace("_1_odd_name__NAME", told),
            None => text,
        });
        if let Some(body) = whole {
            let read = if op == Op::Embed { embeddings::answer } else { answer::answer };
            let reply = read(body.into(), &sent.back).unwrap_or_else(|error| panic!("{name}: {error:?}"));
            check(&case.join("reply.json"), &serde_json::from_slice(&reply.encode()).unwrap());
        }
        if let Ok(stream) = fs::read(case.join("upstream.sse")) {
            let (out, end) = decoded(&[&stream], sent.back);
            assert!(end.is_ok(), "{name}: {end:?}");
            let expected = fs::read(case.join("reply.sse")).unwrap();
            assert_eq!(events(&out), events(&expected), "{name}");
        }
    }
}

/// What was found must be what the file says; a difference is shown whole.
fn check(path: &Path, found: &Value) {
    let expected = json_of(path).unwrap_or_else(|| panic!("{} is missing: {found}", path.display()));
    assert!(*found == expected, "{}\nfound:    {found}\nexpected: {expected}", path.display());
}

fn user(content: Value) -> Value {
    json!({"messages": [{"role": "user", "content": content}]})
}

#[test]
fn what_gemini_cannot_carry_is_refused_by_its_path() {
    let image = |url: &str| json!([{"type": "text", "text": "?"}, {"type": "image_url", "image_url": {"url": url}}]);
    let called = |arguments: &str| {
        let function = json!({"name": "f", "arguments": arguments});
        json!({"messages": [{"role": "assistant", "tool_calls": [{"id": "a", "function": function}]}]})
    };
    let old = |mut ask: Value| {
        ask["model"] = "gemini-2.0-flash".into();
        ask
    };
    let recursive = json!({"type": "object", "properties": {"a": {"$ref": "#"}}});
    let mut answer = user(json!("?"));
    answer["response_format"] = json!({"type": "json_schema", "json_schema": {"schema": recursive}});
    for (ask, at) in [
        (user(image("http://a.example/x.png")), "messages[0].content[1].image_url"),
        (old(user(image("https://a.example/x.png"))), "messages[0].content[1].image_url"),
        (user(image("gs://bucket/x.png")), "messages[0].content[1].image_url"),
        (user(image("data:image/png,%89PNG")), "messages[0].content[1].image_url"),
        (user(json!([{"type": "file", "file": {"file_id": "file-abc"}}])), "messages[0].content[0].file"),
        (user(json!([{"type": "hologram"}])), "messages[0].content[0].type"),
        (user(json!(7)), "messages[0].content"),
        (json!({"messages": [{"role": "pilot", "content": "?"}]}), "messages[0].role"),
        (json!({"messages": [{"role": "tool", "tool_call_id": "x", "content": "?"}]}), "messages[0].tool_call_id"),
        (called("[1]"), "messages[0].tool_calls[0].function.arguments"),
        (called("{\"a\":"), "messages[0].tool_calls[0].function.arguments"),
        (json!({"messages": [], "reasoning_effort": "maximal"}), "reasoning_effort"),
        (json!({"messages": [], "tools": [{"type": "function", "function": {}}]}), "tools[0].function.name"),
        (old(answer), "response_format.json_schema.schema"),
    ] {
        let found = match chat(ask.clone()) {
            Err(Refused::Invalid { param, .. } | Refused::Unsupported { param }) => param,
            other => panic!("{ask}: {other:?}"),
        };
        assert_eq!(found, at, "{ask}");
    }
}

#[test]
fn what_is_left_out_is_named() {
    let mut ask = user(json!("?"));
    for (name, value) in [("logit_bias", json!({"1": 2})), ("never_heard_of", json!(1)), ("store", json!(true))] {
        ask[name] = value;
    }
    ask["stop"] = json!(["a", "b", "c", "d", "e", "f"]);
    ask["tools"] = json!([{"type": "custom", "custom": {"name": "x"}}]);
    ask["messages"][0]["mood"] = json!("calm");
    let lost = chat(ask).unwrap().losses;
    let mut found: Vec<String> = lost.iter().map(|loss| format!("{} {}", loss.param, loss.action)).collect();
    found.sort();
    let expected = [
        "logit_bias dropped",
        "messages[0].mood dropped",
        "never_heard_of dropped",
        "stop clamped",
        "store dropped",
        "tools[0] dropped",
    ];
    assert_eq!(found, expected);
}

#[test]
fn an_answer_that_is_none_is_a_failure() {
    let check = |body: &str, status: Option<u16>, words: &str| match answer::answer(body.to_owned().into(), &back()) {
        Err(Broken::Said(complaint)) => {
            assert_eq!(complaint.status, status, "{body}");
            assert!(complaint.message.unwrap_or_default().contains(words), "{body}");
        }
        other => panic!("{body}: {other:?}"),
    };
    check(r#"{"error":{"code":429,"message":"Quota exceeded.","status":"RESOURCE_EXHAUSTED"}}"#, Some(429), "Quota");
    check(r#"{"candidates":[]}"#, Some(502), "no candidates");
    let malformed = r#"{"candidates":[{"finishReason":"MALFORMED_FUNCTION_CALL","finishMessage":"print(f)"}]}"#;
    check(malformed, Some(502), "MALFORMED_FUNCTION_CALL: print(f)");
    for body in ["", "[]", "{", r#"{"candidates":[{"content":{"parts":[{"text":"#] {
        let found = answer::answer(body.into(), &back());
        assert!(matches!(found, Err(Broken::Malformed(_))), "{body}: {found:?}");
    }
}

const TEXT: &str = r#"data: {"candidates":[{"content":{"parts":[{"text":"hi"}]}}]}"#;

#[test]
fn a_stream_without_a_finish_reason_is_cut_short() {
    for stream in ["", "\n\n", &format!("{TEXT}\n\n"), TEXT, &format!("{TEXT}\n\n{}", &TEXT[..30])] {
        let (out, end) = decoded(&[stream.as_bytes()], back());
        assert!(matches!(end, Err(Broken::Truncated)), "{stream}: {end:?}");
        assert!(!String::from_utf8(out).unwrap().contains("[DONE]"), "{stream}");
    }
}

#[test]
fn a_failure_in_the_middle_of_a_stream_is_told_as_it_came() {
    let error = r#"{"error":{"code":503,"message":"The model is overloaded.","status":"UNAVAILABLE"}}"#;
    for failure in
        [format!("data: {error}\n\n"), format!("data: [{error}]\n\n"), format!(",{error}\n]\n\n"), error.to_owned()]
    {
        let (out, end) = decoded(&[format!("{TEXT}\n\n{failure}").as_bytes()], back());
        let Err(Broken::Said(complaint)) = end else { panic!("{failure}: {end:?}") };
        assert_eq!((complaint.status, complaint.kind.as_deref()), (Some(503), Some("UNAVAILABLE")), "{failure}");
        assert_eq!(events(&out).len(), 2, "what came before is good: {failure}");
    }
}

#[test]
fn a_stream_of_nothing_but_a_mistake_is_a_failure_and_with_a_text_it_is_an_answer() {
    let end = r#"data: {"candidates":[{"finishReason":"OTHER"}]}"#;
    let (_, failed) = decoded(&[end.as_bytes()], back());
    assert!(matches!(failed, Err(Broken::Said(complaint)) if complaint.status == Some(502)));
    let (out, ended) = decoded(&[format!("{TEXT}\n\n{end}").as_bytes()], back());
    assert!(ended.is_ok());
    let events = events(&out);
    let last = &events[events.len() - 2]["choices"][0];
    assert_eq!((&last["finish_reason"], &last["native_finish_reason"]), (&json!("stop"), &json!("OTHER")));
}

#[test]
fn line_ends_of_the_provider_never_end_a_frame_of_ours() {
    let pretty = "data: {\"candidates\":[{\"finishReason\":\"STOP\",\ndata: \"safetyRatings\": [\ndata: {\"a b\": 1}],\n\
                  data: \"content\":{\"parts\":[{\"functionCall\":{\"name\":\"f\",\"args\":{\ndata: \"x y\": [1,\ndata: 2]}}}]}}]}\n\n";
    let (out, end) = decoded(&[pretty.as_bytes()], back());
    assert!(end.is_ok(), "{end:?}");
    let events = events(&out);
    let call = &events[1]["choices"][0]["delta"]["tool_calls"][0]["function"];
    assert_eq!(call["arguments"], r#"{"x y":[1,2]}"#);
    assert_eq!(events[2]["provider_metadata"]["google"]["candidates"][0]["safetyRatings"], json!([{"a b": 1}]));
}

proptest! {
    #[test]
    fn a_stream_means_the_same_wherever_it_is_cut(places in places(), case in 0..4_usize) {
        let name = ["stream-tools", "stream-text", "stream-blocked", "stream-grounded"][case];
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wire/gemini").join(name);
        let stream = fs::read(folder.join("upstream.sse")).unwrap();
        let whole = decoded(&[&stream], back()).0;
        prop_assert_eq!(decoded(&cut(&stream, &places), back()).0, whole);
    }

    #[test]
    fn no_stream_panics(stream in scraps(), places in places()) {
        let _ = decoded(&cut(&stream, &places), back());
    }

    #[test]
    fn no_answer_panics_and_what_is_read_is_json(body in scraps(), at in any::<Index>(), with in any::<u8>(), case in 0..5_usize) {
        let _ = answer::answer(body.clone().into(), &back());
        let _ = embeddings::answer(body.into(), &back());
        let name = ["thoughts", "replay", "grounded", "code-and-images", "blocked"][case];
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wire/gemini").join(name);
        let mut bytes = fs::read(folder.join("upstream.json")).unwrap();
        let at = at.index(bytes.len());
        bytes[at] = with;
        if let Ok(reply) = answer::answer(bytes.into(), &back()) {
            prop_assert!(serde_json::from_slice::<Value>(&reply.encode()).is_ok());
        }
    }

    #[test]
    fn no_request_panics_and_what_is_sent_is_json(at in any::<Index>(), with in any::<u8>(), case in any::<Index>()) {
        let cases = cases();
        let case = &cases[case.index(cases.len())];
        let mut bytes = fs::read(case.join("ask.json")).unwrap();
        let at = at.index(bytes.len());
        bytes[at] = with;
        let Ok(ask) = Object::parse(bytes.into()) else { return Ok(()) };
        let terms = Terms { op: Op::Chat, model: "gemini-3-flash", stream: false, id: "x", created: 1, most_output: None, usual_output: None };
        for translate in [request::request, embeddings::request] {
            for host in [Host::Api, Host::Vertex] {
                if let Ok(sent) = translate(&ask, &terms, host) {
                    prop_assert!(serde_json::from_slice::<Value>(&sent.body).is_ok());
                }
            }
        }
    }
}
