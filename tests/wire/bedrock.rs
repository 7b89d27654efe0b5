//! Bedrock's formats: fixtures both ways, and laws for any bytes.
//!
//! A folder holds `ask.json` and what it becomes, `sent.json`; and what comes of an answer: `upstream.json` and
//! `reply.json`, or `upstream.events` (a line an event: its name, then its payload; `!` before an exception's name) and
//! `reply.sse`. `losses.txt` names what could not be carried over, if anything.

mod invoke;
mod laws;

use std::fs;
use std::path::{Path, PathBuf};

use aws_smithy_eventstream::frame::write_message_to;
use aws_smithy_types::event_stream::{Header, HeaderValue, Message};
use bytes::{Bytes, BytesMut};
use ferrogw::wire::Op;
use ferrogw::wire::bedrock::{answer, request, stream::Decoder};
use ferrogw::wire::native::{Back, Refused, Request, Terms};
use ferrogw::wire::openai::stream::Broken;
use serde_json::{Value, json};

use super::object;

fn terms(model: &str, stream: bool) -> Terms<'_> {
    Terms {
        op: Op::Chat,
        model,
        stream,
        id: "chatcmpl-1",
        created: 1_767_225_600,
        most_output: None,
        usual_output: None,
    }
}

fn sent(ask: &Value) -> Result<Request, Refused> {
    let model = ask["model"].as_str().unwrap();
    request::request(&object(ask.to_string()), &terms(model, ask["stream"] == true))
}

fn body(request: &Request) -> Value {
    serde_json::from_slice(&request.body).unwrap()
}

fn losses(request: &Request) -> String {
    request.losses.iter().map(|loss| format!("{} {}\n", loss.param, loss.action)).collect()
}

/// One frame of an event stream.
pub(crate) fn frame(kind: &str, name: &str, payload: &str) -> Vec<u8> {
    let text = |name: &'static str, value: &str| Header::new(name, HeaderValue::String(value.to_owned().into()));
    let named = if kind == "exception" { ":exception-type" } else { ":event-type" };
    let message = Message::new(Bytes::copy_from_slice(payload.as_bytes()))
        .add_header(text(named, name))
        .add_header(text(":content-type", "application/json"))
        .add_header(text(":message-type", kind));
    let mut out = Vec::new();
    write_message_to(&message, &mut out).unwrap();
    out
}

/// The frames of a script.
pub(crate) fn frames(script: &str) -> Vec<u8> {
    let lines = script.lines().filter(|line| !line.is_empty()).map(|line| {
        let (name, payload) = line.split_once(' ').unwrap();
        match name.strip_prefix('!') {
            Some(name) => frame("exception", name, payload),
            None => frame("event", name, payload),
        }
    });
    lines.collect::<Vec<_>>().concat()
}

fn decode(back: &Back, pieces: &[&[u8]]) -> (String, Option<Broken>) {
    let mut decoder = Decoder::new(back.clone());
    let mut out = BytesMut::new();
    let mut broken = None;
    for piece in pieces {
        broken = decoder.push(Bytes::copy_from_slice(piece), &mut out).err();
        if broken.is_some() {
            break;
        }
    }
    if broken.is_none() {
        broken = decoder.end(&mut out).err();
    }
    (String::from_utf8(out.to_vec()).unwrap(), broken)
}

fn read(path: &Path) -> Option<String> {
    fs::read_to_string(path).ok()
}

fn folders() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wire/bedrock");
    let mut found: Vec<_> =
        fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect();
    found.sort();
    assert!(found.len() > 10, "the fixtures are gone");
    found
}

#[test]
fn fixtures_translate_both_ways() {
    for folder in folders() {
        let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
        let ask: Value = serde_json::from_str(&read(&folder.join("ask.json")).unwrap()).unwrap();
        let request = sent(&ask).unwrap_or_else(|refused| panic!("{name}: {refused:?}"));
        let expected: Value = serde_json::from_str(&read(&folder.join("sent.json")).unwrap()).unwrap();
        assert_eq!(body(&request), expected, "{name}: sent");
        let expected = read(&folder.join("losses.txt")).unwrap_or_default();
        assert_eq!(losses(&request), expected, "{name}: losses");
        if let Some(upstream) = read(&folder.join("upstream.json")) {
            let reply = answer::answer(upstream.into(), &request.back).unwrap();
            let reply: Value = serde_json::from_slice(&reply.encode()).unwrap();
            let expected: Value = serde_json::from_str(&read(&folder.join("reply.json")).unwrap()).unwrap();
            assert_eq!(reply, expected, "{name}: reply");
        }
        if let Some(script) = read(&folder.join("upstream.events")) {
            let (reply, broken) = decode(&request.back, &[&frames(&script)]);
            assert!(broken.is_none(), "{name}: {broken:?}");
            assert_eq!(reply, read(&folder.join("reply.sse")).unwrap(), "{name}: stream");
        }
    }
}

fn say(complaint: Broken) -> (Option<u16>, String, String) {
    match complaint {
        Broken::Said(said) => (said.status, said.code.unwrap_or_default(), said.message.unwrap_or_default()),
        other => panic!("{other:?}"),
    }
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// `providers.md` 9.6.
const STOP: &str = "0000007a00000051ca2c46650b3a6576656e742d7479706507000b6d65737361676553746f700d3a636f6e74656e742d747970650700106170706c69636174696f6e2f6a736f6e0d3a6d6573736167652d747970650700056576656e747b2273746f70526561736f6e223a22656e645f7475726e227d5fbf09fc";
const DELTA: &str = "0000009e00000057fe1b824f0b3a6576656e742d74797065070011636f6e74656e74426c6f636b44656c74610d3a636f6e74656e742d747970650700106170706c69636174696f6e2f6a736f6e0d3a6d6573736167652d747970650700056576656e747b22636f6e74656e74426c6f636b496e646578223a302c2264656c7461223a7b2274657874223a224869227d2c2270223a22616263227d9343f010";
const THROTTLED: &str = "0000008900000061e3615c440f3a657863657074696f6e2d747970650700137468726f74746c696e67457863657074696f6e0d3a636f6e74656e742d747970650700106170706c69636174696f6e2f6a736f6e0d3a6d6573736167652d74797065070009657863657074696f6e7b226d657373616765223a22536c6f7720646f776e2e227d3705a772";

#[test]
fn known_frames_are_read_and_written_as_they_are() {
    assert_eq!(hex(STOP), frame("event", "messageStop", r#"{"stopReason":"end_turn"}"#));
    assert_eq!(hex(THROTTLED), frame("exception", "throttlingException", r#"{"message":"Slow down."}"#));
    let (out, broken) = decode(&Back::default(), &[&hex(DELTA), &hex(STOP)]);
    assert!(broken.is_none(), "{broken:?}");
    assert!(out.contains(r#""delta":{"content":"Hi"}"#) && out.ends_with("data: [DONE]\n\n"), "{out}");
}

#[test]
fn an_exception_ends_a_stream_with_the_status_it_would_have_as_an_answer() {
    let check = |name: &str, payload: &str, expected: (u16, &str, &str)| {
        let bytes = [hex(DELTA), frame("exception", name, payload)].concat();
        let (out, broken) = decode(&Back::default(), &[&bytes]);
        assert!(out.ends_with("\n\n") && !out.contains("[DONE]"), "{out}");
        let (status, code, message) = say(broken.unwrap());
        assert_eq!((status.unwrap(), code.as_str(), message.as_str()), expected);
    };
    check("throttlingException", r#"{"message":"Slow down."}"#, (429, "ThrottlingException", "Slow down."));
    check(
        "validationException",
        r#"{"message":"Input is too long."}"#,
        (400, "ValidationException", "Input is too long."),
    );
    check("internalServerException", "{}", (500, "InternalServerException", ""));
    check("serviceUnavailableException", r#"{"message":"m"}"#, (503, "ServiceUnavailableException", "m"));
    check("modelTimeoutException", r#"{"message":"m"}"#, (408, "ModelTimeoutException", "m"));
    let payload = r#"{"message":"m","originalStatusCode":500,"originalMessage":"boom"}"#;
    check("modelStreamErrorException", payload, (424, "ModelStreamErrorException", "m: boom"));
    check("neverHeardOf", "not json", (500, "NeverHeardOf", "not json"));
}

#[test]
fn a_stream_that_is_cut_or_damaged_is_not_taken_for_a_whole_one() {
    let whole = [hex(DELTA), hex(STOP)].concat();
    for cut in 0..whole.len() {
        let (out, broken) = decode(&Back::default(), &[&whole[..cut]]);
        assert!(matches!(broken, Some(Broken::Truncated)), "{cut}: {broken:?}");
        assert!(!out.contains("[DONE]"), "{out}");
    }
    for at in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x10;
        let (_, broken) = decode(&Back::default(), &[&damaged]);
        assert!(matches!(broken, Some(Broken::Malformed(_))), "{at}: {broken:?}");
    }
}

#[test]
fn answers_that_are_none_are_errors() {
    let fails = |body: &str| answer::answer(Bytes::copy_from_slice(body.as_bytes()), &Back::default()).unwrap_err();
    let front = r#"{"Output":{"__type":"com.amazon.coral.service#UnknownOperationException"},"Version":"1.0"}"#;
    let (status, code, _) = say(fails(front));
    assert_eq!((status, code.as_str()), (Some(404), "UnknownOperationException"));
    assert_eq!(say(fails(r#"{"message":"no"}"#)).2, "no");
    assert_eq!(say(fails(r#"{"Message":"no"}"#)).2, "no");
    let nonsense = r#"{"output":{"message":{"role":"assistant","content":[]}},"stopReason":"malformed_tool_use"}"#;
    assert_eq!(say(fails(nonsense)).0, Some(502));
    for body in ["{}", "[]", "", r#"{"output":null}"#, r#"{"output":{"message":3}}"#] {
        assert!(matches!(fails(body), Broken::Malformed(_)), "{body}");
    }
}

#[test]
fn what_converse_has_no_block_for_is_refused_by_its_place() {
    let check = |part: Value, model: &str| {
        let ask =
            json!({"model": model, "messages": [{"role": "user", "content": [{"type": "text", "text": "x"}, part]}]});
        match sent(&ask) {
            Err(Refused::Unsupported { param }) => assert_eq!(param, "messages[0].content[1]"),
            other => panic!("{other:?}"),
        }
    };
    const CLAUDE: &str = "anthropic.claude-sonnet-4-5-20250929-v1:0";
    check(json!({"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}), CLAUDE);
    check(json!({"type": "image_url", "image_url": {"url": "data:image/tiff;base64,SUkqAA=="}}), CLAUDE);
    check(json!({"type": "input_audio", "input_audio": {"data": "SUQz", "format": "mp3"}}), CLAUDE);
    check(json!({"type": "video_url", "video_url": {"url": "s3://films/boat.mp4"}}), CLAUDE);
    check(json!({"type": "file", "file": {"file_id": "file-123"}}), CLAUDE);
    check(json!({"type": "never_heard_of"}), CLAUDE);
}

#[test]
fn members_that_are_not_what_they_must_be_are_named() {
    let check = |mut ask: Value, expected: &str| {
        ask["model"] = json!("amazon.nova-pro-v1:0");
        match sent(&ask) {
            Err(Refused::Invalid { param, message }) => assert_eq!(param, expected, "{message}"),
            other => panic!("{expected}: {other:?}"),
        }
    };
    let ask = |messages: Value| json!({"messages": messages});
    let hi = json!([{"role": "user", "content": "hi"}]);
    check(json!({}), "messages");
    check(ask(json!([{"content": "x"}])), "messages[0].role");
    check(ask(json!([{"role": "wizard", "content": "x"}])), "messages[0].role");
    check(ask(json!([{"role": "user", "content": 3}])), "messages[0].content");
    check(ask(json!([{"role": "user", "content": [{"type": "text"}]}])), "messages[0].content[0].text");
    check(ask(json!([{"role": "tool", "content": "x"}])), "messages[0].tool_call_id");
    check(json!({"messages": hi, "tools": 3}), "tools");
    check(json!({"messages": hi, "tools": [{"type": "function", "function": {}}]}), "tools[0].function.name");
    check(json!({"messages": hi, "tool_choice": "sometimes"}), "tool_choice");
    check(json!({"messages": hi, "temperature": "hot"}), "temperature");
    check(json!({"messages": hi, "stop": 3}), "stop");
    let format = json!({"type": "json_schema", "json_schema": {"name": "x"}});
    check(json!({"messages": hi, "response_format": format}), "response_format.json_schema.schema");
}
