//! Thoughts in front of answers: taken out the same wherever the text is cut, and nothing else touched.

use bytes::Bytes;
use ferrogw::wire::openai::stream::{Events, Manner};
use ferrogw::wire::openai::think::{self, Aloud, Splitter};
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value, json};

use super::events::plain;
use super::{object, places};

/// A text in pieces, cut between characters.
fn pieces<'a>(text: &'a str, places: &[Index]) -> Vec<&'a str> {
    let mut at: Vec<usize> = places.iter().map(|place| place.index(text.len() + 1)).collect();
    at.retain(|at| text.is_char_boundary(*at));
    at.extend([0, text.len()]);
    at.sort_unstable();
    at.windows(2).map(|pair| &text[pair[0]..pair[1]]).collect()
}

/// Thoughts and answer of a text that arrives in these pieces; `None` for the thoughts if there are none in front.
fn split(pieces: &[&str]) -> (Option<String>, String) {
    let mut splitter = Splitter::default();
    for (at, piece) in pieces.iter().enumerate() {
        splitter.judge(piece, at + 1 == pieces.len());
    }
    let (mut thought, mut answer) = (None::<String>, String::new());
    for (at, piece) in pieces.iter().enumerate() {
        match splitter.split(piece, at + 1 == pieces.len()) {
            None => answer.push_str(piece),
            Some(parts) => {
                thought.get_or_insert_default().push_str(&parts.thought);
                answer.push_str(&parts.answer);
            }
        }
    }
    (thought, answer)
}

fn text() -> impl Strategy<Value = String> {
    let scrap = prop::sample::select(vec![
        "<think>", "</think>", "<", "</", "think", ">", " ", "\n\n", "a", "é", "\"", "</thin",
    ]);
    prop::collection::vec(scrap, 0..12).prop_map(|scraps| scraps.concat())
}

/// A stream of one choice's text in these pieces, each an event.
fn stream(pieces: &[&str], done: bool) -> String {
    let event = |delta: Value, reason: Value| {
        let choice = json!({"index": 0, "delta": delta, "finish_reason": reason});
        format!("data: {}\n\n", json!({"id": "1", "choices": [choice], "x": 1}))
    };
    let mut out = event(json!({"role": "assistant", "content": ""}), Value::Null);
    pieces.iter().for_each(|piece| out.push_str(&event(json!({"content": piece}), Value::Null)));
    if done {
        out.push_str(&event(json!({}), "stop".into()));
    }
    out + "data: [DONE]\n\n"
}

fn through(stream: &str) -> String {
    through_as(Aloud::Tagged, stream)
}

fn through_as(thinks_aloud: Aloud, stream: &str) -> String {
    let mut events = Events::new(Manner { thinks_aloud, ..plain() });
    let mut out = Vec::new();
    for frame in stream.split_inclusive("\n\n") {
        out.extend_from_slice(&events.push(Bytes::copy_from_slice(frame.as_bytes())).unwrap());
    }
    out.extend_from_slice(&events.end().unwrap());
    String::from_utf8(out).unwrap()
}

/// All that a member of the deltas says.
fn said(stream: &str, member: &str) -> String {
    let payloads = stream.split("\n\n").filter_map(|frame| serde_json::from_str::<Value>(frame.get(6..)?).ok());
    payloads.filter_map(|event| event["choices"][0]["delta"][member].as_str().map(str::to_owned)).collect()
}

#[track_caller]
fn check(text: &str, thought: Option<&str>, answer: &str) {
    assert_eq!(split(&[text]), (thought.map(str::to_owned), answer.to_owned()), "{text:?}");
}

#[test]
fn only_thoughts_that_stand_in_front_are_taken_out() {
    check("<think>\nHm.\n</think>\n\nYes.", Some("Hm."), "Yes.");
    check("\n <think>a</think>b</think>c", Some("a"), "b</think>c");
    check("<think></think> {}", Some(""), "{}");
    check("<think>a </b> </thin k>\n", Some("a </b> </thin k>\n"), "");
    check("Yes: <think>a</think>", None, "Yes: <think>a</think>");
    check("  <thinker>", None, "  <thinker>");
    check("<thi", None, "<thi");
    check(" \n", None, " \n");
    check("", None, "");
}

#[test]
fn a_whole_answer_has_its_thoughts_moved_in_every_choice() {
    let mut answer = object(
        r#"{"choices":[{"index":0,"message":{"content":"<think>a</think>\nb","x":1}},{"index":1,"message":{"content":"c"}},{"index":2,"message":{"content":"<think>cut off"}}],"y":2}"#,
    );
    assert!(think::whole(Aloud::Tagged, &mut answer).unwrap());
    assert_eq!(
        answer.encode(),
        r#"{"choices":[{"index":0,"message":{"content":"b","x":1,"reasoning_content":"a"}},{"index":1,"message":{"content":"c"}},{"index":2,"message":{"content":"","reasoning_content":"cut off"}}],"y":2}"#
    );
    for left in [
        r#"{"choices":[{"message":{"content":null}},{"message":{"content":"<think>","reasoning_content":"a"}}]}"#,
        "{}",
    ] {
        assert!(!think::whole(Aloud::Tagged, &mut object(left)).unwrap(), "{left}");
    }
}

#[test]
fn nothing_is_passed_on_before_it_is_clear_how_the_answer_begins() {
    let mut events = Events::new(Manner { thinks_aloud: Aloud::Tagged, ..plain() });
    let mut push = |delta: &str| {
        let frame = format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{delta}}}]}}\n\n");
        let passed = String::from_utf8(events.push(frame.into()).unwrap().to_vec()).unwrap();
        (passed.matches("data:").count(), said(&passed, "reasoning_content"), events.opened())
    };
    assert_eq!(push(r#"{"role":"assistant"}"#), (1, String::new(), false));
    assert_eq!(push(r#"{"content":"\n<th"}"#), (0, String::new(), false));
    assert_eq!(push(r#"{"content":"ink>"}"#), (2, String::new(), true));
    assert_eq!(push(r#"{"content":"So "}"#), (1, "So".to_owned(), true));
    assert_eq!(push(r#"{"content":"it is"}"#), (1, " it is".to_owned(), true));
}

#[test]
fn a_call_of_a_tool_ends_the_waiting() {
    let call = r#"data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"c"}]}}]}"#;
    let stream = format!(
        "data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\" \"}}}}]}}\n\n{call}\n\ndata: [DONE]\n\n"
    );
    assert_eq!(through(&stream), stream);
}

/// Thoughts and answer of a stream whose thoughts the prompt may have opened, and the number of its events.
fn begun(pieces: &[&str]) -> (String, String, usize) {
    let out = through_as(Aloud::Begun, &stream(pieces, true));
    (said(&out, "reasoning_content"), said(&out, "content"), out.matches("\"delta\"").count())
}

#[test]
fn thoughts_that_the_prompt_has_opened_end_with_their_tag_alone() {
    let both = |thought: &str, answer: &str, events| (thought.to_owned(), answer.to_owned(), events);
    assert_eq!(begun(&["Hm.", "\n</thi", "nk>\n\n", "Yes", "."]), both("Hm.", "Yes.", 7));
    assert_eq!(begun(&["Hm.</think>Yes."]), both("Hm.", "Yes.", 3));
    // who opens them all the same
    assert_eq!(begun(&["<think>Hm.", "</think>Yes."]), both("Hm.", "Yes.", 4));
    // who has not thought has answered
    assert_eq!(begun(&["Ye", "s."]), both("Yes.", "Yes.", 4));
}

/// Thoughts and answer of a whole text.
fn whole(aloud: Aloud, text: &str) -> (Option<String>, String) {
    let mut answer = object(json!({"choices": [{"message": {"content": text}}]}).to_string());
    think::whole(aloud, &mut answer).unwrap();
    let answer: Value = serde_json::from_slice(&answer.encode()).unwrap();
    let said = |member: &str| answer["choices"][0]["message"][member].as_str().map(str::to_owned);
    (said("reasoning_content"), said("content").unwrap())
}

#[test]
fn a_closing_tag_alone_ends_thoughts_and_a_text_about_tags_stays_whole() {
    for text in ["Hm.\n</think>\n\nYes.", "Hm.</think>\r\nYes.", "```\na\n```\n</think>\nYes.", "Hm.</think>"] {
        let answer = if text.ends_with("Yes.") { "Yes." } else { "" };
        for aloud in [Aloud::Tagged, Aloud::Begun] {
            let (thought, rest) = whole(aloud, text);
            assert_eq!((thought.is_some(), rest.as_str()), (true, answer), "{text:?} {aloud:?}");
        }
    }
    for (text, thought, answer) in [
        ("In HTML-like prompts the tag </think> ends thoughts.", "In HTML-like prompts the tag", "ends thoughts."),
        ("Write `</think>`.\nSo", "Write `", "`.\nSo"),
        ("See:\n```xml\nHm.\n</think>\nYes.\n```", "See:\n```xml\nHm.", "Yes.\n```"),
        ("a <think>b</think>\nc", "a <think>b", "c"),
    ] {
        assert_eq!(whole(Aloud::Tagged, text), (None, text.to_owned()));
        assert_eq!(whole(Aloud::Begun, text), (Some(thought.to_owned()), answer.to_owned()));
        assert_eq!(through(&stream(&[text], true)), stream(&[text], true));
        assert_eq!(begun(&[text]), (thought.to_owned(), answer.to_owned(), 3));
    }
}

#[test]
fn guessed_thoughts_are_the_answer_at_every_end_but_length() {
    let text = "\nLet me see. ";
    let first = format!("data: {}\n\n", json!({"id": "1", "choices": [{"index": 0, "delta": {"content": text}}]}));
    let done = "data: [DONE]\n\n";
    let answer_of = |out: &str| (said(out, "reasoning_content"), said(out, "content"));
    for (reason, answer) in [("stop", text), ("tool_calls", text), ("content_filter", text), ("length", "")] {
        let call = json!({"tool_calls": [{"index": 0, "id": "c"}]});
        let choice = json!({"index": 0, "delta": call, "finish_reason": reason});
        let last = format!("data: {}\n\n", json!({"id": "1", "choices": [choice]}));
        let out = through_as(Aloud::Begun, &[&first, &last, done].concat());
        assert_eq!(answer_of(&out), ("Let me see. ".to_owned(), answer.to_owned()), "{out}");
        assert_eq!(out.matches("data:").count(), 3, "{out}");

        let choice = json!({"message": {"content": text}, "finish_reason": reason});
        let mut whole = object(json!({"choices": [choice]}).to_string());
        assert_eq!(think::whole(Aloud::Begun, &mut whole).unwrap(), answer.is_empty());
        let whole: Value = serde_json::from_slice(&whole.encode()).unwrap();
        assert_eq!(whole["choices"][0]["message"]["content"], answer, "{reason}");
    }
    let out = through_as(Aloud::Begun, &[&first, done].concat());
    assert_eq!(answer_of(&out), ("Let me see.".to_owned(), text.to_owned()), "{out}");
    assert!(out.ends_with(done) && out.matches("\"id\":\"1\"").count() == 2, "{out}");
}

#[test]
fn thoughts_are_passed_on_at_once_and_not_taken_out_of_what_the_host_has_parsed() {
    let mut events = Events::new(Manner { thinks_aloud: Aloud::Begun, ..plain() });
    let mut push = |delta: &str| {
        let frame = format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{delta}}}]}}\n\n");
        String::from_utf8(events.push(frame.into()).unwrap().to_vec()).unwrap()
    };
    assert_eq!(said(&push(r#"{"content":"Hm"}"#), "reasoning_content"), "Hm");
    let event = |delta: &str| format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{delta}}}]}}\n\n");
    let parsed = [event(r#"{"reasoning_content":"Hm"}"#), event(r#"{"content":"Yes"}"#)].concat() + "data: [DONE]\n\n";
    assert_eq!(through_as(Aloud::Begun, &parsed), parsed);
}

#[test]
fn choices_are_told_apart() {
    let event = |index: u64, text: &str| {
        format!("data: {}\n\n", json!({"choices": [{"index": index, "delta": {"content": text}}]}))
    };
    let stream = [event(0, "<think>"), event(1, "plain"), event(0, "a</think>"), event(1, "<think>"), event(0, "b")];
    let out = through(&(stream.concat() + "data: [DONE]\n\n"));
    let moved = json!({"choices": [{"index": 0, "delta": {"content": null, "reasoning_content": "a"}}]});
    assert!(out.contains(&format!("data: {moved}\n\n")), "{out}");
    assert!(out.contains(&stream[1]) && out.contains(&stream[3]) && out.contains(&stream[4]), "{out}");
}

proptest! {
    #[test]
    fn any_cut_gives_the_same_thoughts_and_the_same_answer(text in text(), places in places()) {
        prop_assert_eq!(split(&pieces(&text, &places)), split(&[&text]));
    }

    #[test]
    fn a_stream_says_what_the_whole_answer_says(text in text(), places in places()) {
        let out = through(&stream(&pieces(&text, &places), true));
        let (thought, answer) = split(&[&text]);
        prop_assert_eq!(said(&out, "reasoning_content"), thought.unwrap_or_default());
        prop_assert_eq!(said(&out, "content"), answer);
    }

    #[test]
    fn an_answer_without_thoughts_passes_byte_for_byte(text in text(), places in places(), done in any::<bool>()) {
        prop_assume!(!text.trim_start().starts_with("<think>"));
        let stream = stream(&pieces(&text, &places), done);
        prop_assert_eq!(through(&stream), stream);
    }
}
