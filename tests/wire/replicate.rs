//! Replicate's predictions: each folder beside this file is a request, what is sent for it, and what comes back.
//!
//! `model.json` is what the API says of the model, `losses.json` what could not be carried over, `after.json` the
//! prediction as it is when its stream has ended.

use std::fs;
use std::path::{Path, PathBuf};

use bytes::{Bytes, BytesMut};
use ferrogw::wire::native::{Back, Refused, Request, Terms};
use ferrogw::wire::openai::stream::Broken;
use ferrogw::wire::replicate::model::{self, Name};
use ferrogw::wire::replicate::stream::Decoder;
use ferrogw::wire::replicate::{Inputs, Prediction, answer, request};
use ferrogw::wire::{Object, Op};
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value, json};

use super::{cut, object, places};

fn cases() -> Vec<PathBuf> {
    let home = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wire/replicate");
    let mut cases: Vec<_> = fs::read_dir(home).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    cases
}

fn file(case: &Path, name: &str) -> Option<Bytes> {
    fs::read(case.join(name)).ok().map(Bytes::from)
}

fn json_of(case: &Path, name: &str) -> Option<Value> {
    file(case, name)
        .map(|body| serde_json::from_slice(&body).unwrap_or_else(|error| panic!("{case:?} {name}: {error}")))
}

fn back(model: &str) -> Back {
    Back { id: "chatcmpl-1".to_owned(), created: 1_767_225_600, model: model.to_owned(), ..Back::default() }
}

fn translate(ask: &Object, inputs: Option<&Inputs>) -> Result<Request, Refused> {
    let model = ask.get::<String>("model").unwrap().unwrap();
    let stream = ask.get("stream").unwrap().unwrap_or_default();
    let terms = Terms {
        op: Op::Chat,
        model: &model,
        stream,
        id: "chatcmpl-1",
        created: 1_767_225_600,
        most_output: None,
        usual_output: None,
    };
    let version = Name::read(&model).and_then(|name| name.version().map(str::to_owned));
    request::request(ask, &terms, inputs, version.as_deref())
}

fn value(object: &Object) -> Value {
    serde_json::from_slice(&object.encode()).unwrap()
}

#[test]
fn every_case_is_sent_and_answered_as_its_files_say() {
    let cases = cases();
    assert!(cases.len() >= 6);
    for case in &cases {
        let ask = Object::parse(file(case, "ask.json").unwrap()).unwrap();
        let described = file(case, "model.json").map(|body| model::read(body).unwrap().inputs.unwrap());
        let sent = translate(&ask, described.as_ref()).unwrap_or_else(|refused| panic!("{case:?}: {refused:?}"));
        let body: Value = serde_json::from_slice(&sent.body).unwrap();
        assert_eq!(body, json_of(case, "sent.json").unwrap(), "{case:?}");
        let losses: Vec<_> = sent.losses.iter().map(|loss| format!("{} {}", loss.param, loss.action)).collect();
        assert_eq!(json!(losses), json_of(case, "losses.json").unwrap_or(json!([])), "{case:?}");
        if let Some(upstream) = file(case, "upstream.json") {
            let answer = answer::answer(upstream, &sent.back).unwrap_or_else(|broken| panic!("{case:?}: {broken:?}"));
            assert_eq!(value(&answer), json_of(case, "reply.json").unwrap(), "{case:?}");
        }
        if let Some(upstream) = file(case, "upstream.sse") {
            let after = file(case, "after.json").map(|body| Prediction::read(body).unwrap());
            let told = decoded(sent.back, &[&upstream], after.as_ref());
            let expected = String::from_utf8(file(case, "reply.sse").unwrap().to_vec()).unwrap();
            assert!(told.1.is_none(), "{case:?}: {told:?}");
            assert_eq!(told.0, expected, "{case:?}");
        }
    }
}

/// All that a stream says, and what broke it.
fn decoded(back: Back, pieces: &[&[u8]], after: Option<&Prediction>) -> (String, Option<Broken>) {
    let (mut decoder, mut out) = (Decoder::new(back), BytesMut::new());
    let pushed = pieces.iter().try_for_each(|piece| decoder.push(Bytes::copy_from_slice(piece), &mut out));
    if let Some(after) = after {
        decoder.meter(after);
    }
    let ended = pushed.and_then(|()| decoder.end(&mut out));
    (String::from_utf8(out.to_vec()).unwrap(), ended.err())
}

#[test]
fn content_that_no_input_takes_is_refused_by_name() {
    let check = |messages: Value, inputs: Option<Value>, expected: &str| {
        let ask = object(json!({ "model": "o/n", "messages": messages }).to_string());
        let properties = inputs.map(|inputs| json!({"components": {"schemas": {"Input": {"properties": inputs}}}}));
        let described = properties.map(|schema| json!({"latest_version": {"id": "v", "openapi_schema": schema}}));
        let inputs = described.and_then(|body| model::read(body.to_string().into()).unwrap().inputs);
        match translate(&ask, inputs.as_ref()) {
            Err(Refused::Unsupported { param } | Refused::Invalid { param, .. }) => {
                assert_eq!(param, expected, "{messages}");
            }
            other => panic!("{messages}: {other:?}"),
        }
    };
    let picture = json!({"type": "image_url", "image_url": {"url": "https://example.com/a.png"}});
    let user = |parts: Value| json!([{"role": "system", "content": "s"}, {"role": "user", "content": parts}]);
    check(user(json!([picture])), None, "messages[1].content[0]");
    check(user(json!([picture])), Some(json!({"prompt": {}})), "messages[1].content[0]");
    check(user(json!([picture, picture])), Some(json!({"prompt": {}, "image": {}})), "messages[1].content[1]");
    check(user(json!([{"type": "input_audio", "input_audio": {}}])), None, "messages[1].content[0]");
    check(user(json!([{"type": "image_url", "image_url": {"url": 7}}])), None, "messages[1].content[0].image_url");
    check(user(json!([{"type": "text", "text": 7}])), None, "messages[1].content[0].text");
    check(user(json!(7)), None, "messages[1].content");
    check(json!([{"role": "tool", "tool_call_id": "c", "content": "x"}]), None, "messages[0]");
    check(json!([{"role": "pilot", "content": "x"}]), None, "messages[0].role");
    let calls = json!([{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]);
    check(json!([{"role": "assistant", "content": null, "tool_calls": calls}]), None, "messages[0].tool_calls");
    check(user(json!("x")), Some(json!({"text": {"type": "string"}})), "messages");
}

#[test]
fn a_model_is_addressed_as_its_name_says() {
    let check = |name: &str, predictions: &str, version: Option<&str>, description: Option<&str>| {
        let name = Name::read(name).unwrap_or_else(|| panic!("{name}"));
        assert_eq!((name.predictions().as_str(), name.version()), (predictions, version));
        assert_eq!(name.description().as_deref(), description);
    };
    check("a/b-1.5", "/models/a/b-1.5/predictions", None, Some("/models/a/b-1.5"));
    check("a/b:v1", "/predictions", Some("v1"), Some("/models/a/b/versions/v1"));
    check("a/b ü?", "/models/a/b%20%C3%BC%3F/predictions", None, Some("/models/a/b%20%C3%BC%3F"));
    check("deployments/a/b", "/deployments/a/b/predictions", None, Some("/deployments/a/b"));
    let version = "5c7d5dc6dd8bf75c1acaa8565735e7986bc5b66206b55cca93cb72c9bf15ccaa";
    check(version, "/predictions", Some(version), None);
    for none in ["", "m", "a/", "/b", "a/b/c", "../b", "a/..", "a/b:", "a/..:v", "deployments/../b", "5c7d"] {
        let read = Name::read(none);
        assert!(read.is_none() || none == "{none}: {read:?}");
    }
}

#[test]
fn a_deployment_names_the_model_behind_it() {
    let deployment = r#"{"owner":"a","name":"d","current_release":{"number":1,"model":"a/b","version":"v9"}}"#;
    assert_eq!(model::read(deployment.into()).unwrap().behind.as_deref(), Some("a/b:v9"));
    // a version describes itself, and a schema that can't be read is none
    let version = model::read(r#"{"id":"v9","openapi_schema":{"components":[]}}"#.into()).unwrap();
    assert_eq!((version.version.as_deref(), version.inputs, version.behind), (Some("v9"), None, None));
}

#[test]
fn a_prediction_without_output_says_why() {
    let check = |body: &str, message: &str, code: &str| {
        let Err(Broken::Said(said)) = answer::answer(body.to_owned().into(), &back("o/n")) else { panic!("{body}") };
        assert_eq!((said.message.as_deref(), said.code.as_deref()), (Some(message), Some(code)), "{body}");
    };
    check(
        r#"{"id":"p1","status":"failed","error":"CUDA out of memory","logs":"…"}"#,
        "CUDA out of memory",
        "prediction_failed",
    );
    check(
        r#"{"id":"p1","status":"canceled","error":null}"#,
        "the prediction ended as `canceled`",
        "prediction_canceled",
    );
    check(r#"{"id":"p1","status":"aborted","error":{"detail":"gone"}}"#, "gone", "prediction_aborted");
    let running = answer::answer(r#"{"id":"p1","status":"starting"}"#.into(), &back("o/n"));
    assert!(matches!(running, Err(Broken::Truncated)), "{running:?}");
    for none in [r#"{"detail":"x"}"#, "[]", "", "<html>"] {
        assert!(matches!(answer::answer(none.into(), &back("o/n")), Err(Broken::Malformed(_))), "{none}");
    }
}

#[test]
fn a_stream_that_breaks_says_how_and_keeps_what_came_before() {
    let begun = "event: output\ndata: Hi\n\n";
    let check = |rest: &str, expected: Option<&str>| {
        let (told, broken) = decoded(back("o/n"), &[begun.as_bytes(), rest.as_bytes()], None);
        assert!(told.contains(r#""content":"Hi""#) && !told.contains("[DONE]"), "{told}");
        match (broken.unwrap(), expected) {
            (Broken::Truncated, None) => {}
            (Broken::Said(said), Some(message)) => assert_eq!(said.message.as_deref(), Some(message), "{rest}"),
            (other, _) => panic!("{rest}: {other:?}"),
        }
    };
    check("", None);
    check("event: output\ndata: cut", None);
    check("event: error\ndata: CUDA out of memory\n\n", Some("CUDA out of memory"));
    check("event: error\ndata: {\"detail\":\"Streaming error\"}\n\n", Some("Streaming error"));
    check("event: error\ndata:\n\n", Some("the prediction failed"));
    check("event: done\ndata: {\"reason\":\"canceled\"}\n\n", Some("the prediction ended with the reason `canceled`"));
    check("event: done\ndata: {\"reason\":\"error\"}\n\n", Some("the prediction ended with the reason `error`"));
    // an end mark needs no blank line behind it, and what follows it does not matter
    let (whole, broken) = decoded(back("o/n"), &[begun.as_bytes(), b"event: done\r\ndata: {}"], None);
    assert!(whole.ends_with("data: [DONE]\n\n") && !whole.contains("usage") && broken.is_none(), "{whole}");
    let late = b"event: done\ndata: {}\n\nevent: error\ndata: late\n\n";
    assert!(decoded(back("o/n"), &[late], None).1.is_none());
}

proptest! {
    #[test]
    fn a_stream_is_the_same_wherever_it_was_cut(places in places()) {
        for case in cases() {
            let Some(upstream) = file(&case, "upstream.sse") else { continue };
            let told = decoded(back("m"), &cut(&upstream, &places), None);
            prop_assert!(told.1.is_none());
            prop_assert_eq!(told.0, decoded(back("m"), &[&upstream], None).0);
        }
    }

    #[test]
    fn no_bytes_are_too_strange(bytes in nearly(), places in places()) {
        _ = decoded(back("m"), &cut(&bytes, &places), None);
        _ = answer::answer(bytes.clone().into(), &back("m"));
        _ = model::read(bytes.into());
    }

    #[test]
    fn no_request_is_too_strange(ask in "\\PC{0,60}", role in "[a-z]{0,9}", at in any::<Index>()) {
        let mut messages = json!([{"role": "user", "content": [{"type": "text", "text": &ask}]}, {"role": role, "content": &ask}]);
        let places = ["/0/content/0/text", "/0/content/0/type", "/0/content/0", "/0/content", "/0/role", "/0", "/1"];
        *messages.pointer_mut(places[at.index(places.len())]).unwrap() = json!(ask);
        let ask = object(json!({"model": "o/n", "messages": messages, "stop": ask, "seed": ask}).to_string());
        if let Ok(sent) = translate(&ask, None) {
            prop_assert!(serde_json::from_slice::<Value>(&sent.body).is_ok());
        }
    }
}

/// Bytes that are nearly events, or nearly predictions.
fn nearly() -> impl Strategy<Value = Vec<u8>> {
    let scraps = prop::sample::select(vec![
        "event: output\n",
        "event: done\n",
        "event: error\n",
        "event:",
        "data: {}\n\n",
        "data: x\n",
        "data: \u{e9}\r\n",
        "\n\n",
        "\r",
        ":",
        "{\"id\":\"p\",",
        "\"status\":\"succeeded\",",
        "\"status\":\"failed\"",
        "\"output\":",
        "[",
        "\"a\"",
        ",",
        "]",
        "{\"text\":",
        "}",
        "\"openapi_schema\":{\"components\":",
        "null",
        "1e999",
        "\\ud800",
    ]);
    prop::collection::vec(scraps, 0..24).prop_map(|scraps| scraps.concat().into_bytes())
}
