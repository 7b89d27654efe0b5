//! Text completions through chat, there and back.

use ferrogw::wire::openai::completions::to_chat;
use ferrogw::wire::openai::stream::Manner;
use serde_json::{Value, json};

use super::events::{plain, run};
use super::object;

#[test]
fn a_text_completion_is_asked_of_chat() {
    let check = |ask: &str, sent: &str| {
        let (chat, _) = to_chat(&object(ask)).unwrap();
        assert_eq!(chat.encode(), sent, "{ask}");
    };
    let hi = r#""messages":[{"role":"user","content":"hi"}]"#;
    check(r#"{"model":"m","prompt":"hi"}"#, &format!(r#"{{"model":"m",{hi}}}"#));
    check(r#"{"model":"m","prompt":["hi"],"max_tokens":9}"#, &format!(r#"{{"model":"m","max_tokens":9,{hi}}}"#));
    check(r#"{"prompt":"\u0068i","stop":["a"],"x_new":[1, 2]}"#, &format!(r#"{{"stop":["a"],"x_new":[1, 2],{hi}}}"#));
    check(
        r#"{"prompt":"hi","suffix":"","best_of":1,"logprobs":null,"echo":false,"stream":true,"n":2}"#,
        &format!(r#"{{"stream":true,"n":2,{hi}}}"#),
    );
    check(r#"{"model":"m"}"#, r#"{"model":"m","messages":[{"role":"user","content":""}]}"#);
    check(r#"{"messages":"mine","prompt":"hi"}"#, &format!("{{{hi}}}"));
}

#[test]
fn what_chat_has_no_word_for_is_named() {
    let beyond = |ask: &str| to_chat(&object(ask)).unwrap_err().param;
    assert_eq!(beyond(r#"{"prompt":["a","b"]}"#), "prompt");
    assert_eq!(beyond(r#"{"prompt":[]}"#), "prompt");
    assert_eq!(beyond(r#"{"prompt":[1,2,3]}"#), "prompt");
    assert_eq!(beyond(r#"{"prompt":[[1],[2]]}"#), "prompt");
    assert_eq!(beyond(r#"{"prompt":7}"#), "prompt");
    assert_eq!(beyond(r#"{"prompt":"a","suffix":"b"}"#), "suffix");
    assert_eq!(beyond(r#"{"prompt":"a","best_of":3}"#), "best_of");
    assert_eq!(beyond(r#"{"prompt":"a","logprobs":5}"#), "logprobs");
    assert_eq!(beyond(r#"{"prompt":"a","logprobs":1}"#), "logprobs");
}

#[test]
fn a_chat_answer_becomes_a_text_completion() {
    let answer = r#"{"id":"1","object":"chat.completion","model":"m","choices":[
        {"index":0,"message":{"role":"assistant","content":"one"},"logprobs":{"content":[]},"finish_reason":"stop"},
        {"index":1,"message":{"role":"assistant","content":null},"finish_reason":"length"}],
        "usage":{"prompt_tokens":1,"completion_tokens":2},"x_new":[1]}"#;
    let back = |ask: &str| -> Value {
        let (_, echo) = to_chat(&object(ask)).unwrap();
        serde_json::from_slice(&echo.answer(&object(answer)).unwrap()).unwrap()
    };
    assert_eq!(
        back(r#"{"prompt":"Say "}"#),
        json!({"id":"1","object":"text_completion","model":"m","choices":[
            {"index":0,"text":"one","logprobs":null,"finish_reason":"stop"},
            {"index":1,"text":"","logprobs":null,"finish_reason":"length"}],
            "usage":{"prompt_tokens":1,"completion_tokens":2},"x_new":[1]})
    );
    let echoed = back(r#"{"prompt":"Say \"","echo":true}"#);
    assert_eq!((&echoed["choices"][0]["text"], &echoed["choices"][1]["text"]), (&json!("Say \"one"), &json!("Say \"")));
}

#[test]
fn a_stream_of_chat_becomes_one_of_text_with_the_prompt_in_front_of_each_choice() {
    let (_, echo) = to_chat(&object(r#"{"prompt":"Say ","echo":true,"stream":true}"#)).unwrap();
    let frames = [
        r#"{"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}"#,
        r#"{"choices":[{"index":1,"delta":{"content":"uno"}}]}"#,
        r#"{"choices":[{"index":0,"delta":{"content":"one"}}]}"#,
        r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#,
        r#"{"choices":[{"index":1,"delta":{"content":" dos"},"finish_reason":"stop"}]}"#,
        r#"{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}"#,
        "[DONE]",
    ];
    let stream: String = frames.iter().map(|frame| format!(": x\ndata: {frame}\n\n")).collect();
    let seen = run(Manner { completion: Some(echo), wants_usage: true, ..plain() }, &[stream.as_bytes()]);
    let events: Vec<Value> =
        seen.out.split("\n\n").filter_map(|frame| serde_json::from_str(frame.strip_prefix("data: ")?).ok()).collect();
    let texts: Vec<_> = events
        .iter()
        .flat_map(|event| event["choices"].as_array().unwrap())
        .map(|choice| (choice["index"].as_u64().unwrap(), choice["text"].as_str().unwrap()))
        .collect();
    assert_eq!(texts, [(0, "Say "), (1, "Say uno"), (0, "one"), (0, ""), (1, " dos")]);
    assert!(events.iter().all(|event| event["object"] == "text_completion"));
    assert_eq!(events.last().unwrap()["usage"]["prompt_tokens"], 1);
    assert!(seen.out.ends_with("[DONE]\n\n"));
}
