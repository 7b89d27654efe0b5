//! Streams of chat chunks: the same for every cut, and judged as `providers.md` 1.9.2 says.

use bytes::Bytes;
use ferrogw::wire::openai::completions::{self, Echo};
use ferrogw::wire::openai::stream::{Broken, Events, Manner};
use ferrogw::wire::openai::think::Aloud;
use ferrogw::wire::openai::usage;
use ferrogw::wire::{Malformed, Object, Usage};
use proptest::prelude::*;

/// Everything a stream came to.
#[derive(Debug, PartialEq)]
pub(super) struct Seen {
    pub(super) out: String,
    pub(super) usage: Option<Usage>,
    pub(super) opened: bool,
    pub(super) done: bool,
    pub(super) chunks: u64,
    pub(super) broken: Option<String>,
}

pub(super) fn plain() -> Manner {
    Manner {
        mends: &[],
        follows: &[],
        usage: usage::read,
        wants_usage: false,
        thinks_aloud: Aloud::No,
        completion: None,
    }
}

fn mended() -> Manner {
    fn sign(event: &mut Object) -> Result<bool, Malformed> {
        let fits = event.has("choices");
        if fits {
            event.set("seen", &true);
        }
        Ok(fits)
    }
    Manner { mends: &[sign], ..plain() }
}

fn echoing() -> Echo {
    let ask = super::object(r#"{"model":"m","prompt":"Once ","echo":true,"stream":true}"#);
    completions::to_chat(&ask).unwrap().1
}

/// Mended or not, with the usage event or not, as text completions or not.
fn manner([mends, wants_usage, completes]: [bool; 3]) -> Manner {
    Manner { wants_usage, completion: completes.then(echoing), ..if mends { mended() } else { plain() } }
}

pub(super) fn run(manner: Manner, pieces: &[&[u8]]) -> Seen {
    let mut events = Events::new(manner);
    let mut out = Vec::new();
    let mut broken = None;
    for piece in pieces {
        match events.push(Bytes::copy_from_slice(piece)) {
            Ok(passed) => out.extend_from_slice(&passed),
            Err(error) => broken = Some(error),
        }
        broken = broken.or_else(|| events.broken());
        if broken.is_some() {
            break;
        }
    }
    if broken.is_none() {
        match events.end() {
            Ok(passed) => out.extend_from_slice(&passed),
            Err(error) => broken = Some(error),
        }
        assert!(events.broken().is_none(), "the end says at once what is wrong");
    }
    Seen {
        out: String::from_utf8_lossy(&out).into_owned(),
        usage: events.usage(),
        opened: events.opened(),
        done: events.done(),
        chunks: events.chunks(),
        broken: broken.map(|broken| match broken {
            Broken::Said(said) => format!("said {} {}", said.status.unwrap_or(0), said.message.unwrap_or_default()),
            Broken::Malformed(_) => "malformed".to_owned(),
            Broken::Truncated => "truncated".to_owned(),
        }),
    }
}

const TEXT: &str = r#"{"id":"1","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"hi"}}]}"#;
const ROLE: &str =
    r#"{"id":"1","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}"#;
const END: &str = r#"{"id":"1","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;
const USAGE: &str = r#"{"id":"1","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}}"#;
const WITH_USAGE: &str =
    r#"{"id":"1","choices":[{"delta":{"content":"x"}}],"usage":{"prompt_tokens":3,"completion_tokens":1}}"#;
const ERROR: &str = r#"{"error":{"message":"no","code":503}}"#;

/// Whole frames as servers write them, with these line ends.
fn streams() -> impl Strategy<Value = Vec<u8>> {
    let payload = prop::sample::select(vec![
        TEXT, TEXT, TEXT, ROLE, END, USAGE, WITH_USAGE, ERROR, "[DONE]", "[DONE] ", "", "nonsense", "{broken}", "{}",
    ]);
    let dress = prop::sample::select(vec!["data: §", "data:§", ": ping|data: §", "event: message|data: §|id: 4"]);
    let frame = (payload, dress, 0_usize..3).prop_map(|(payload, dress, lines)| {
        let mut payload = payload.to_owned();
        for _ in 0..lines {
            // JSON may be broken into lines after a comma
            payload = payload.replacen(",\"", ",|data:\"", lines);
        }
        dress.replace('§', &payload) + "||"
    });
    let comment =
        prop::sample::select(vec![": ping||", ":||", "|", "retry: 3||", "event: x||"]).prop_map(str::to_owned);
    let frames = prop::collection::vec(prop_oneof![6 => frame, 1 => comment], 0..12);
    let end = prop::sample::select(vec!["\n", "\r\n", "\r"]);
    (frames, end, any::<bool>(), 0_usize..3).prop_map(|(frames, end, mark, missing)| {
        let text = frames.concat().replace('|', end);
        let text = &text[..text.len().saturating_sub(missing * end.len())];
        [if mark { "\u{feff}" } else { "" }, text].concat().into_bytes()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn what_passes_does_not_depend_on_how_the_socket_cut_it(
        stream in prop_oneof![3 => streams(), 1 => super::scraps()],
        places in super::places(),
        how in any::<[bool; 3]>(),
    ) {
        let whole = run(manner(how), &[&stream]);
        let single: Vec<&[u8]> = stream.chunks(1).collect();
        prop_assert_eq!(&run(manner(how), &super::cut(&stream, &places)), &whole);
        prop_assert_eq!(&run(manner(how), &single), &whole);
    }

    #[test]
    fn only_the_usage_nobody_asked_for_is_missing(stream in streams(), places in super::places()) {
        let seen = run(Manner { wants_usage: true, ..plain() }, &super::cut(&stream, &places));
        if seen.broken.is_none() && !seen.out.contains("[DONE]") {
            prop_assert!(seen.out.ends_with("data: [DONE]\n\n"));
        }
        if let Some(at) = String::from_utf8_lossy(&stream).find("[DONE]") && seen.broken.is_none() {
            prop_assert!(seen.done);
            let before = String::from_utf8_lossy(&stream)[..at].to_owned();
            // nothing is held back in front of the end but events without a payload
            let payloads = |text: &str| text.lines().filter(|line| line.contains("choices")).count();
            prop_assert_eq!(payloads(&seen.out), payloads(&before));
        }
    }
}

/// One payload a frame, unless it is a whole frame already.
fn stream(payloads: &[&str]) -> Vec<u8> {
    let frame = |p: &&str| if p.ends_with('\n') { (*p).to_owned() } else { format!("data: {p}\n\n") };
    payloads.iter().map(frame).collect::<String>().into_bytes()
}

#[test]
fn a_stream_ends_well_badly_or_too_early() {
    let check = |payloads: &[&str], out: &[&str], broken: Option<&str>| {
        let sent = stream(payloads);
        let seen = run(plain(), &[&sent]);
        assert_eq!(seen.out, String::from_utf8(stream(out)).unwrap(), "{payloads:?}");
        assert_eq!(seen.broken.as_deref(), broken, "{payloads:?}");
    };
    // the end mark, in every spelling; its absence after a finish reason
    check(&[TEXT, END, "[DONE]"], &[TEXT, END, "[DONE]"], None);
    check(&[TEXT, "data:[DONE]\n\n"], &[TEXT, "data:[DONE]\n\n"], None);
    check(&[TEXT, "data: [DONE] \n\n"], &[TEXT, "data: [DONE] \n\n"], None);
    check(&[TEXT, "data: [DONE]\n"], &[TEXT, "[DONE]", "\n"], None);
    check(&[TEXT, END], &[TEXT, END, "[DONE]"], None);
    check(&[TEXT, "[DONE]", TEXT, "nonsense", ERROR], &[TEXT, "[DONE]"], None);
    // too early
    check(&[], &[], Some("truncated"));
    check(&[TEXT], &[TEXT], Some("truncated"));
    check(&[ROLE], &[ROLE], Some("truncated"));
    check(&[TEXT, "data: {\"id\":\"1\",\"cho\n"], &[TEXT], Some("truncated"));
    check(
        &[TEXT, r#"{"choices":[{"delta":{},"finish_reason":""}]}"#],
        &[TEXT, r#"{"choices":[{"delta":{},"finish_reason":""}]}"#],
        Some("truncated"),
    );
    check(
        &[TEXT, r#"{"choices":[{"finish_reason":"null"}]}"#],
        &[TEXT, r#"{"choices":[{"finish_reason":"null"}]}"#],
        Some("truncated"),
    );
    // badly
    check(&[TEXT, "nonsense", TEXT], &[TEXT], Some("malformed"));
    check(&[TEXT, "[1]"], &[TEXT], Some("malformed"));
    check(&[ERROR], &[], Some("said 503 no"));
    check(&[TEXT, TEXT, ERROR, TEXT], &[TEXT, TEXT], Some("said 503 no"));
    check(
        &[TEXT, "event: error\ndata: {\"message\":\"late\",\"status_code\":500}\n\n"],
        &[TEXT],
        Some("said 500 late"),
    );
    check(&[TEXT, "event: error\ndata: out of memory\n\n"], &[TEXT], Some("said 0 out of memory"));
    check(
        &[TEXT, r#"{"choices":[{"index":0,"finish_reason":"error"}],"error":{"code":502,"message":"gone"}}"#],
        &[TEXT],
        Some("said 502 gone"),
    );
    check(&[r#"{"choices":[],"error":{"message":"no","code":"503"}}"#], &[], Some("said 0 no"));
    check(&[r#"{"choices": [ ],"error":{"message":"no","code":529}}"#], &[], Some("said 529 no"));
    check(&[r#"{"choices":null,"error":{"message":"no","code":529}}"#], &[], Some("said 529 no"));
    // an error that is none
    let fine = r#"{"choices":[{"delta":{"content":"x"}}],"error":null}"#;
    check(&[fine, END], &[fine, END, "[DONE]"], None);
    // comments, events without a payload, events of other kinds
    check(&[": ping\n\n", TEXT, END, "[DONE]", ": bye\n\n"], &[": ping\n\n", TEXT, END, "[DONE]", ": bye\n\n"], None);
    check(&["data:\n\n", TEXT, "data: \n\n", END], &[TEXT, END, "[DONE]"], None);
    check(&["{}", TEXT, r#"{"object":"x"}"#, END], &["{}", TEXT, r#"{"object":"x"}"#, END, "[DONE]"], None);
    // usage nobody asked for, alone and with content
    check(&[TEXT, END, USAGE, "[DONE]"], &[TEXT, END, "[DONE]"], None);
    check(&[WITH_USAGE, END, "[DONE]"], &[WITH_USAGE, END, "[DONE]"], None);
}

#[test]
fn a_stream_opens_with_its_first_content() {
    let opens = |payload: &str| run(plain(), &[&stream(&[payload])]).opened;
    for delta in [
        r#"{"content":"a"}"#,
        r#"{"reasoning":"a"}"#,
        r#"{"reasoning_content":"a"}"#,
        r#"{"refusal":"a"}"#,
        r#"{"audio":{"id":"a"}}"#,
        r#"{"tool_calls":[{"index":0}]}"#,
        r#"{"function_call":{"name":"f"}}"#,
        r#"{"role":"assistant","content":" "}"#,
    ] {
        assert!(opens(&format!(r#"{{"choices":[{{"index":0,"delta":{delta}}}]}}"#)), "{delta}");
    }
    for silent in [
        ROLE,
        USAGE,
        "{}",
        r#"{"choices":[]}"#,
        r#"{"choices":null}"#,
        r#"{"choices":[{"delta":null}]}"#,
        r#"{"choices":[{"delta":{"tool_calls":[],"audio":null,"refusal":""}}]}"#,
        r#"{"choices":[{"delta":{},"finish_reason":null}]}"#,
    ] {
        assert!(!opens(silent), "{silent}");
    }
    assert!(opens(END), "an empty answer that is finished");
    assert!(opens(r#"{"choices":[{"index":0,"text":"a"}]}"#), "a text completion");
}

#[test]
fn usage_and_content_are_counted_whether_or_not_the_caller_sees_them() {
    let seen = run(plain(), &[&stream(&[ROLE, TEXT, TEXT, END, USAGE, "[DONE]"])]);
    assert_eq!((seen.chunks, seen.usage.map(|usage| (usage.prompt, usage.completion))), (2, Some((3, 4))));
    let last = run(plain(), &[&stream(&[WITH_USAGE, TEXT, USAGE, END])]);
    assert_eq!(last.usage.map(|usage| usage.completion), Some(4), "the last one counts");
}

#[test]
fn an_event_too_long_to_be_held_breaks_the_stream() {
    let mut events = Events::new(plain());
    let piece = Bytes::from(vec![b'x'; 1 << 20]);
    let broken = (0..40).find_map(|_| events.push(piece.clone()).err());
    assert!(matches!(broken, Some(Broken::Malformed(_))));
}
