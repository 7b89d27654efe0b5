//! Anthropic's Messages API: what is sent and what comes of an answer, case by case in the folder of the same name.
//!
//! A case has `ask.json` and `sent.json`, with what is told beside the request in `terms.json` and with what is said
//! beside the body in `notes.json`; `upstream.json` becomes `reply.json`, `upstream.sse` becomes `reply.sse`. With
//! `UPDATE_FIXTURES` set, what should come out is written anew.

mod laws;

use std::fs;
use std::path::{Path, PathBuf};

use bytes::{Bytes, BytesMut};
use ferrogw::wire::Op;
use ferrogw::wire::anthropic::stream::Decoder;
use ferrogw::wire::anthropic::{Hosting, answer, request};
use ferrogw::wire::native::{Back, Refused, Request, Terms};
use ferrogw::wire::openai::stream::{Broken, Events, Manner};
use serde_json::{Value, json};

fn cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wire/anthropic");
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut cases: Vec<PathBuf> = entries.filter(|path| path.is_dir()).collect();
    cases.sort();
    cases
}

fn read(case: &Path, name: &str) -> Option<Value> {
    Some(serde_json::from_str(&fs::read_to_string(case.join(name)).ok()?).unwrap())
}

/// What came out is what should; a file that is not there stands for nothing.
fn check(case: &Path, name: &str, found: Option<&Value>) {
    let path = case.join(name);
    if std::env::var_os("UPDATE_FIXTURES").is_some() {
        match found {
            Some(found) => fs::write(&path, format!("{found:#}\n")).unwrap(),
            None => _ = fs::remove_file(&path),
        }
    }
    assert_eq!(read(case, name).as_ref(), found, "{}", path.display());
}

fn translate(ask: &Value, told: &Value) -> Result<Request, Refused> {
    let ask = super::object(ask.to_string());
    let model: String = ask.get("model").unwrap().unwrap();
    let terms = Terms {
        op: Op::Chat,
        model: &model,
        stream: ask.raw("stream") == Some(b"true"),
        id: "chatcmpl-own",
        created: 1_767_225_600,
        most_output: told["most_output"].as_u64(),
        usual_output: told["usual_output"].as_u64(),
    };
    let hosting = match told["hosting"].as_str() {
        None => return request::request(&ask, &terms),
        Some("foundry") => Hosting::Foundry,
        Some("vertex") => Hosting::Vertex,
        Some("bedrock") => Hosting::Bedrock,
        Some(other) => panic!("no host is called {other}"),
    };
    request::hosted(&ask, &terms, hosting)
}

fn sent(ask: &Value) -> (Value, Vec<String>) {
    let request = translate(ask, &Value::Null).unwrap();
    let losses = request.losses.iter().map(|loss| format!("{} {}", loss.param, loss.action)).collect();
    (serde_json::from_slice(&request.body).unwrap(), losses)
}

/// A stream in pieces: all that came of it, and how it ended.
fn streamed(back: &Back, pieces: &[&[u8]]) -> (String, Result<(), String>) {
    let mut decoder = Decoder::new(back.clone());
    let mut out = BytesMut::new();
    let pushed = pieces.iter().try_for_each(|piece| decoder.push(Bytes::copy_from_slice(piece), &mut out));
    let ended = pushed.and_then(|()| decoder.end(&mut out));
    (String::from_utf8(out.to_vec()).unwrap(), ended.map_err(|broken| format!("{broken:?}")))
}

/// The events of a stream, as JSON.
fn events(stream: &str) -> Value {
    let event = |frame: &str| {
        let data = frame.strip_prefix("data: ").unwrap();
        serde_json::from_str(data).unwrap_or_else(|_| Value::String(data.to_owned()))
    };
    stream.split_terminator("\n\n").map(event).collect()
}

#[test]
fn requests_and_answers_are_translated_as_their_cases_say() {
    for case in cases() {
        let told = read(&case, "terms.json").unwrap_or_default();
        let request = translate(&read(&case, "ask.json").unwrap(), &told);
        let request = request.unwrap_or_else(|refused| panic!("{}: {refused:?}", case.display()));
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        check(&case, "sent.json", Some(&body));
        let losses = request.losses.iter().map(|loss| format!("{} {}", loss.param, loss.action));
        let headers = request.headers.iter().map(|(name, value)| format!("{name}: {value}"));
        let notes: Vec<String> = headers.chain(losses).collect();
        check(&case, "notes.json", (!notes.is_empty()).then(|| json!(notes)).as_ref());
        if let Ok(upstream) = fs::read(case.join("upstream.json")) {
            let reply = answer::answer(Bytes::from(upstream), &request.back).unwrap();
            let reply: Value = serde_json::from_slice(&reply.encode()).unwrap();
            check(&case, "reply.json", Some(&reply));
        }
        if let Ok(upstream) = fs::read(case.join("upstream.sse")) {
            let (whole, ended) = streamed(&request.back, &[&upstream]);
            assert_eq!(ended, Ok(()), "{}", case.display());
            check(&case, "reply.sse.json", Some(&events(&whole)));
            let bytes: Vec<&[u8]> = upstream.chunks(1).collect();
            assert_eq!(streamed(&request.back, &bytes).0, whole, "{}", case.display());
            as_openai(&whole);
        }
    }
}

/// What the decoder makes passes for OpenAI's own: the same bytes come out, finished, with their usage.
fn as_openai(stream: &str) {
    let manner = Manner { wants_usage: true, ..super::events::plain() };
    let mut own = Events::new(manner);
    let mut out = own.push(Bytes::copy_from_slice(stream.as_bytes())).unwrap().to_vec();
    out.extend_from_slice(&own.end().unwrap());
    assert_eq!(String::from_utf8(out).unwrap(), stream);
    assert!(own.opened() && own.done() && own.usage().is_some_and(|usage| usage.prompt > 0));
}

const HELLO: &str = r#"{"role":"user","content":"hi"}"#;

fn ask(members: &str) -> Value {
    serde_json::from_str(&format!(r#"{{"model":"claude-haiku-4-5",{members}}}"#)).unwrap()
}

#[test]
fn what_can_t_be_said_is_refused_by_its_path() {
    let check = |members: &str, path: &str, unsupported: bool| {
        let refused = translate(&ask(members), &Value::Null).unwrap_err();
        let (param, is_unsupported) = match &refused {
            Refused::Invalid { param, .. } => (param.as_str(), false),
            Refused::Unsupported { param } => (param.as_str(), true),
            Refused::Malformed(_) => panic!("{members}: {refused:?}"),
        };
        assert_eq!((param, is_unsupported), (path, unsupported), "{members}");
    };
    let part = |part: &str| format!(r#""messages":[{HELLO},{{"role":"user","content":[{part}]}}]"#);
    check(&part(r#"{"type":"input_audio","input_audio":{}}"#), "messages[1].content[0]", true);
    check(&part(r#"{"type":"video_url"}"#), "messages[1].content[0]", true);
    check(&part(r#"{"type":"text"}"#), "messages[1].content[0].text", false);
    check(&part(r#"{"type":"image_url","image_url":{"url":"ftp://x"}}"#), "messages[1].content[0].image_url", false);
    check(
        &part(r#"{"type":"image_url","image_url":{"url":"data:image/svg+xml;base64,AA"}}"#),
        "messages[1].content[0].image_url",
        false,
    );
    check(
        &part(r#"{"type":"file","file":{"file_data":"data:application/zip;base64,AA"}}"#),
        "messages[1].content[0].file",
        false,
    );
    check(&part(r#"{"type":"file","file":{}}"#), "messages[1].content[0].file", false);
    check(&part("3"), "messages[1].content", false);
    check(r#""messages":[{"role":"narrator","content":"x"}]"#, "messages[0].role", false);
    check(r#""messages":[{"content":"x"}]"#, "messages[0].role", false);
    check(r#""messages":[{"role":"system","content":"x"}]"#, "messages", false);
    check(r#""messages":[{"role":"tool","content":"x"}]"#, "messages[0].tool_call_id", false);
    let with = |members: &str| format!(r#""messages":[{HELLO}],{members}"#);
    check(
        r#""messages":[{"role":"assistant","tool_calls":[{"id":"1","type":"custom","custom":{"name":"x"}}]}]"#,
        "messages[0].tool_calls[0]",
        true,
    );
    check(&with(r#""tools":[{"type":"custom","custom":{"name":"x"}}]"#), "tools[0].custom", true);
    check(&with(r#""tools":[{"type":"function"}]"#), "tools[0].function", false);
    check(&with(r#""tools":[{"type":"function","function":{}}]"#), "tools[0].function.name", false);
    check(&with(r#""tool_choice":"required""#), "tool_choice", false);
    check(&with(r#""tool_choice":"always""#), "tool_choice", false);
    check(&with(r#""response_format":{"type":"yaml"}"#), "response_format.type", false);
    check(&with(r#""response_format":{"type":"json_schema"}"#), "response_format.json_schema.schema", false);
    check(&with(r#""reasoning_effort":"huge""#), "reasoning_effort", false);
    check(&with(r#""thinking":{"type":"some"}"#), "thinking.type", false);
    check(&with(r#""betas":["a\r\nb"]"#), "betas", false);
}

#[test]
fn hosts_without_addresses_and_files_refuse_them() {
    for part in [
        r#"{"type":"image_url","image_url":{"url":"https://example.com/a.png"}}"#,
        r#"{"type":"file","file":{"file_id":"file_1"}}"#,
        r#"{"type":"image","source":{"type":"url","url":"https://example.com/a.png"}}"#,
    ] {
        let ask = ask(&format!(r#""messages":[{{"role":"user","content":[{part}]}}]"#));
        for host in ["vertex", "bedrock"] {
            let refused = translate(&ask, &json!({ "hosting": host }));
            assert!(matches!(refused, Err(Refused::Unsupported { .. })), "{host} {part}: {refused:?}");
        }
    }
}

#[test]
fn choices_of_tools_are_said_in_its_words() {
    let check = |members: &str, expected: Value| {
        let tools = r#""tools":[{"type":"function","function":{"name":"f"}}]"#;
        let (body, losses) = sent(&ask(&format!(r#""messages":[{HELLO}],{tools},{members}"#)));
        assert_eq!((&body["tool_choice"], losses), (&expected, vec![]), "{members}");
    };
    check(r#""tool_choice":null"#, Value::Null);
    check(r#""tool_choice":"none""#, json!({"type": "none"}));
    check(r#""tool_choice":"none","parallel_tool_calls":false"#, json!({"type": "none"}));
    check(r#""tool_choice":"required""#, json!({"type": "any"}));
    check(r#""tool_choice":{"type":"function","function":{"name":"f"}}"#, json!({"type": "tool", "name": "f"}));
    check(r#""tool_choice":{"type":"tool","name":"f"}"#, json!({"type": "tool", "name": "f"}));
    check(r#""parallel_tool_calls":true"#, Value::Null);
    check(r#""parallel_tool_calls":false"#, json!({"type": "auto", "disable_parallel_tool_use": true}));
}

#[test]
fn thinking_is_asked_for_as_the_model_takes_it() {
    let check = |model: &str, members: &str, thinking: Value, effort: Value, losses: &[&str]| {
        let mut ask = ask(&format!(r#""messages":[{HELLO}],{members}"#));
        ask["model"] = json!(model);
        let (body, lost) = sent(&ask);
        assert_eq!((&body["thinking"], &body["output_config"]["effort"]), (&thinking, &effort), "{model} {members}");
        assert_eq!(lost, losses, "{model} {members}");
    };
    let budget = |tokens: u64| json!({"type": "enabled", "budget_tokens": tokens});
    let shown = json!({"type": "adaptive", "display": "summarized"});
    let nothing = Value::Null;
    check("claude-haiku-4-5", r#""reasoning_effort":"none""#, nothing.clone(), nothing.clone(), &[]);
    check("claude-haiku-4-5", r#""reasoning_effort":"minimal""#, budget(1024), nothing.clone(), &[]);
    check("claude-haiku-4-5", r#""reasoning":{"enabled":true}"#, budget(4096), nothing.clone(), &[]);
    check("claude-haiku-4-5", r#""thinking":{"type":"adaptive"}"#, budget(4096), nothing.clone(), &[]);
    check("claude-haiku-4-5", r#""reasoning":{"max_tokens":10}"#, budget(1024), nothing.clone(), &[]);
    check("claude-opus-4-1", r#""reasoning_effort":"max""#, budget(24_000), nothing.clone(), &[]);
    check(
        "claude-3-5-haiku",
        r#""reasoning_effort":"low""#,
        nothing.clone(),
        nothing.clone(),
        &["reasoning_effort dropped"],
    );
    check("claude-3-5-haiku", r#""thinking":{"type":"disabled"}"#, nothing.clone(), nothing.clone(), &[]);
    check("claude-opus-4-6", r#""reasoning_effort":"xhigh""#, json!({"type": "adaptive"}), json!("max"), &[]);
    let own = r#""thinking":{"type":"enabled","budget_tokens":2000}"#;
    check("claude-opus-4-6", own, budget(2000), nothing.clone(), &[]);
    check("claude-opus-4-7", own, shown.clone(), json!("low"), &[]);
    check("claude-opus-5-5", r#""reasoning_effort":"xhigh""#, shown.clone(), json!("xhigh"), &[]);
    check(
        "claude-opus-5-5",
        r#""thinking":{"type":"disabled"}"#,
        nothing.clone(),
        json!("low"),
        &["thinking converted"],
    );
    check("claude-sonnet-5", r#""reasoning":{"enabled":false}"#, json!({"type": "disabled"}), nothing.clone(), &[]);
    let hidden = json!({"type": "adaptive", "display": "omitted"});
    check("claude-sonnet-5", r#""thinking":{"type":"adaptive","display":"omitted"}"#, hidden, nothing, &[]);
}

#[test]
fn an_error_in_a_stream_is_its_end() {
    let told = r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"},"request_id":"req_1"}"#;
    let error = format!("event: error\ndata: {told}\n\n");
    let begun = concat!(
        "data: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"model\":\"c\",\"usage\":{\"input_tokens\":1}}}\n\n",
        "data: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"a\"}}\n\n",
    );
    for (stream, chunks) in [(error.clone(), 0), (format!("{begun}{error}"), 2)] {
        let mut decoder = Decoder::new(Back::default());
        let mut out = BytesMut::new();
        let Err(Broken::Said(said)) = decoder.push(Bytes::from(stream), &mut out) else { panic!("no error") };
        assert_eq!((said.status, said.message.as_deref()), (Some(529), Some("Overloaded")));
        assert_eq!(memchr::memmem::find_iter(&out, b"data: {").count(), chunks);
    }
    let answer = answer::answer(Bytes::from(told), &Back::default());
    assert!(matches!(answer, Err(Broken::Said(said)) if said.status == Some(529)));
}

#[test]
fn a_stream_is_finished_if_it_says_why_it_ends() {
    let reason = r#"data: {"type":"message_delta","delta":{"stop_reason":"max_tokens"},"usage":{"output_tokens":3}}"#;
    let text = r#"data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"a"}}"#;
    let check = |stream: &str, ended: Result<(), &str>, done: bool| {
        let (out, found) = streamed(&Back::default(), &[stream.as_bytes()]);
        assert_eq!((found, out.ends_with("data: [DONE]\n\n")), (ended.map_err(str::to_owned), done), "{stream}");
    };
    check(&format!("{text}\n\n"), Err("Truncated"), false);
    check("", Err("Truncated"), false);
    check(&format!("{text}\n\n{reason}\n\n"), Ok(()), true);
    check(&format!("{text}\n\n{reason}"), Ok(()), true);
    check(&format!("{text}\n\n{}", &reason[..40]), Err("Truncated"), false);
}

#[test]
fn what_is_no_message_is_no_answer() {
    for body in ["", "[]", "null", "{}", "{\"content\":\"x\"}", "<html>", "{\"content\":[3]}"] {
        let answer = answer::answer(Bytes::from(body), &Back::default());
        assert!(matches!(answer, Err(Broken::Malformed(_))), "{body}");
    }
}
