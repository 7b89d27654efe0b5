//! The laws of `Object`: bytes that nobody edits stay where they are, and edits are those of an ordered map.

use std::time::{Duration, Instant};

use bytes::Bytes;
use ferrogw::wire::Object;
use proptest::prelude::*;
use serde_json::Value;

use super::object;

const NAMES: [&str; 8] = ["a", "b", "model", "", "é", "a\"b", "tab\there", "long-name-of-a-member"];

const VALUES: [&str; 9] = [
    "null",
    "true",
    "-1.50e3",
    "\"\"",
    "\"a \\\"b\\\" \\u00e9 é\"",
    "[]",
    "[ 1,  {\"a\": 2} ]",
    "{}",
    "{ \"x\" : [ ] }",
];

/// One edit, by places in the lists above.
#[derive(Clone, Debug)]
enum Edit {
    Set(usize, usize),
    Remove(usize),
    Rename(usize, usize),
    Retain(usize),
}

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let (name, value) = (0..NAMES.len(), 0..VALUES.len());
    let edit = prop_oneof![
        (name.clone(), value).prop_map(|(n, v)| Edit::Set(n, v)),
        name.clone().prop_map(Edit::Remove),
        (name.clone(), name.clone()).prop_map(|(from, to)| Edit::Rename(from, to)),
        name.prop_map(Edit::Retain),
    ];
    prop::collection::vec(edit, 0..8)
}

/// A name as JSON: as it is, or with every character escaped.
fn quoted(name: &str, escaped: bool) -> String {
    if escaped {
        return format!("\"{}\"", name.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect::<String>());
    }
    serde_json::to_string(name).unwrap()
}

fn written(members: &[(usize, usize, bool)], space: &str) -> String {
    let member = |(name, value, escaped): &(usize, usize, bool)| {
        format!("{space}{}{space}:{space}{}{space}", quoted(NAMES[*name], *escaped), VALUES[*value])
    };
    format!("{space}{{{}}}{space}", members.iter().map(member).collect::<Vec<_>>().join(","))
}

/// What the edits do, on a list of pairs.
fn model(members: &mut Vec<(String, String)>, edit: &Edit) {
    let at = |members: &[(String, String)], name: &str| members.iter().position(|(known, _)| known == name);
    match edit {
        Edit::Set(name, value) => match at(members, NAMES[*name]) {
            Some(at) => members[at].1 = VALUES[*value].to_owned(),
            None => members.push((NAMES[*name].to_owned(), VALUES[*value].to_owned())),
        },
        Edit::Remove(name) => members.retain(|(known, _)| known != NAMES[*name]),
        Edit::Rename(from, to) if from != to && at(members, NAMES[*from]).is_some() => {
            members.retain(|(known, _)| known != NAMES[*to]);
            let at = at(members, NAMES[*from]).unwrap();
            members[at].0 = NAMES[*to].to_owned();
        }
        Edit::Rename(..) => {}
        Edit::Retain(longest) => members.retain(|(name, _)| name.len() <= *longest),
    }
}

fn apply(object: &mut Object, edit: &Edit) {
    match edit {
        Edit::Set(name, value) => object.set_raw(NAMES[*name], Bytes::from_static(VALUES[*value].as_bytes())),
        Edit::Remove(name) => drop(object.remove(NAMES[*name])),
        Edit::Rename(from, to) => object.rename(NAMES[*from], NAMES[*to]),
        Edit::Retain(longest) => drop(object.retain(|name| name.len() <= *longest)),
    }
}

proptest! {
    #[test]
    fn edits_are_those_of_an_ordered_map(
        names in prop::sample::subsequence((0..NAMES.len()).collect::<Vec<_>>(), 0..=NAMES.len()).prop_shuffle(),
        values in prop::collection::vec((0..VALUES.len(), any::<bool>()), NAMES.len()),
        space in prop::sample::select(vec!["", " ", "\n\t "]),
        edits in edits(),
    ) {
        let members: Vec<(usize, usize, bool)> =
            names.iter().zip(values).map(|(name, (value, escaped))| (*name, value, escaped)).collect();
        let text = written(&members, space);
        let mut edited = object(text.clone());
        prop_assert_eq!(edited.encode(), &text);
        let mut expected: Vec<(String, String)> =
            members.iter().map(|(name, value, _)| (NAMES[*name].to_owned(), VALUES[*value].to_owned())).collect();
        for edit in &edits {
            model(&mut expected, edit);
            apply(&mut edited, edit);
        }
        let seen: Vec<(String, String)> = edited
            .members()
            .map(|(name, value)| (name.to_owned(), String::from_utf8(value.to_vec()).unwrap()))
            .collect();
        prop_assert_eq!(&seen, &expected);
        prop_assert_eq!((edited.len(), edited.is_empty()), (expected.len(), expected.is_empty()));
        // what is sent says the same to any other reader
        let sent: Value = serde_json::from_slice(&edited.encode()).unwrap();
        let expected: Vec<(String, Value)> =
            expected.into_iter().map(|(name, value)| (name, serde_json::from_str(&value).unwrap())).collect();
        let sent: Vec<(String, Value)> = sent.as_object().unwrap().clone().into_iter().collect();
        prop_assert_eq!(sent, expected);
        // and is as long as was said, but for escapes
        let escapes = edited.members().any(|(name, _)| name.contains(['"', '\t']));
        prop_assert!(escapes || edited.size() == edited.encode().len());
    }

    #[test]
    fn a_name_given_twice_is_refused_however_it_is_written(
        before in 0_usize..60, between in 0_usize..60, first in any::<bool>(), second in any::<bool>(),
    ) {
        let filler = |from: usize, count: usize| (from..from + count).map(|n| format!("\"f{n}\":{n},")).collect::<String>();
        let body = |second: &str| {
            format!("{{{}{}:1,{}{second}:2}}", filler(0, before), quoted("twice", first), filler(100, between))
        };
        prop_assert!(Object::parse(body(&quoted("twice", second)).into()).is_err());
        prop_assert!(Object::parse(body(&quoted("once", second)).into()).is_ok());
    }

    #[test]
    fn objects_are_taken_out_and_put_back(
        items in prop::collection::vec((prop::sample::select(VALUES.to_vec()), any::<bool>()), 0..6),
        own in any::<bool>(),
    ) {
        let written: Vec<String> = items.iter().map(|(value, _)| format!("{{\"v\" :{value} }}")).collect();
        let array = format!("[ {} ]", written.join(" , "));
        // from the body, or from an edit
        let mut whole = if own { object("{}") } else { object(format!("{{\"items\":{array}}}")) };
        if own {
            whole.set_raw("items", array.into());
        }
        let mut taken = whole.objects("items").unwrap();
        prop_assert_eq!(taken.len(), items.len());
        let mut expected = written;
        for ((item, (_, change)), expected) in taken.iter_mut().zip(&items).zip(&mut expected) {
            if *change {
                item.set("v", &7);
                *expected = "{\"v\":7}".to_owned();
            }
        }
        whole.set_objects("items", &taken);
        let expected = format!("[{}]", expected.join(","));
        prop_assert_eq!(whole.raw("items").unwrap(), expected.as_bytes());
        prop_assert_eq!(whole.objects("items").unwrap().len(), items.len());
    }

    #[test]
    fn texts_are_set_as_json(text in "\\PC{0,40}|[\\x00-\\x7f]{0,20}") {
        let mut body = object(r#"{"model":"x"}"#);
        body.set_text("model", &text);
        prop_assert_eq!(body.get::<String>("model").unwrap().unwrap(), text.clone());
        let sent: Value = serde_json::from_slice(&body.encode()).unwrap();
        prop_assert_eq!(&sent["model"], &Value::String(text));
    }
}

#[test]
fn an_unedited_body_is_sent_from_where_it_arrived() {
    let body = Bytes::from(r#" {"model":"m", "messages":[ {"role":"user","content":"hi"} ]} "#.as_bytes().to_vec());
    let parsed = Object::parse(body.clone()).unwrap();
    let within = |part: &[u8]| body.as_ptr_range().contains(&part.as_ptr());
    assert_eq!(parsed.encode().as_ptr(), body.as_ptr());
    assert_eq!(parsed.clone().encode().as_ptr(), body.as_ptr());
    assert!(within(&parsed.objects("messages").unwrap()[0].encode()));
    assert!(within(parsed.raw("messages").unwrap()));
    let mut same = parsed.clone();
    assert!(!same.remove("absent"));
    same.rename("absent", "other");
    same.rename("model", "model");
    assert!(same.retain(|_| true).is_empty());
    assert_eq!(same.encode().as_ptr(), body.as_ptr(), "edits that change nothing are none");
}

#[test]
fn anything_but_one_object_is_refused_in_plain_words() {
    let check = |body: &[u8], why: &str| {
        let error = Object::parse(Bytes::copy_from_slice(body)).unwrap_err().to_string();
        assert_eq!(error, format!("malformed JSON: {why}"));
    };
    check(b"", "the body is empty");
    check(b" \r\n\t", "the body is empty");
    check(b"\xff{}", "the body is not UTF-8");
    check(b"{\"a\":1} {}", "expected the end of the body at line 1 column 9");
    check(b"{\"a\":1", "it ends where `,` or `}` should be at line 1 column 7");
    check(b"[{}]", "expected a JSON object at line 1 column 1");
    check(b"{\"a\":1,\"a\":2}", "the member `a` is there twice at line 1 column 9");
    check(b"{\"a\":1,\"\\u0061\":2}", "the member `a` is there twice at line 1 column 9");
}

#[test]
fn what_is_wrong_is_said_without_quoting_the_body() {
    let secret = "sk-live-0123456789".repeat(100);
    let body = object(format!("{{\"text\":\"{secret}\"}}"));
    let quoted = object(format!("{{\"text\":\"{secret} \\\"and\\\" more\"}}"));
    let texts = [
        body.get::<bool>("text").unwrap_err().to_string(),
        body.objects("text").unwrap_err().to_string(),
        body.object("text").unwrap_err().to_string(),
        quoted.get::<u8>("text").unwrap_err().to_string(),
        Object::parse(format!("\"{secret}\"").into()).unwrap_err().to_string(),
        Object::parse(format!("{{\"{secret}\":1,\"{secret}\":1}}").into()).unwrap_err().to_string(),
    ];
    for text in &texts {
        assert!(text.len() < 200, "{text}");
        assert!(!text.contains(&secret), "{text}");
    }
    assert_eq!(texts[0], "malformed JSON: `text`: invalid type: string …, expected a boolean at line 1 column 1802");
}

#[test]
fn null_is_absent_to_readers_and_there_to_writers() {
    let body = object(r#"{"a":null}"#);
    assert_eq!(body.get::<bool>("a").unwrap(), None);
    assert!(body.object("a").unwrap().is_none());
    assert!(body.objects("a").unwrap().is_empty());
    assert!(body.has("a"));
    assert_eq!(body.raw("a"), Some(&b"null"[..]));
}

#[test]
fn work_grows_with_the_body_and_not_faster() {
    // linear work takes a fraction of a second here, quadratic work hours
    const MANY: usize = 100_000;
    let since = Instant::now();
    let members: String = (0..MANY).map(|n| format!("\"m{n}\":0,")).collect();
    let mut body = object(format!("{{{members}\"messages\":[{}{{}}]}}", "{},".repeat(MANY)));
    assert_eq!(body.len(), MANY + 1);
    let messages = body.objects("messages").unwrap();
    body.set_objects("messages", &messages);
    assert_eq!(body.objects("messages").unwrap().len(), MANY + 1, "from an edit as from the body");
    assert_eq!(body.retain(|name| name == "messages").len(), MANY);
    assert_eq!(body.len(), 1);
    assert!(since.elapsed() < Duration::from_secs(30));
}
