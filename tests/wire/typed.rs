//! Streams whose events have types: they pass as they came, and what they say is noticed.

use bytes::Bytes;
use ferrogw::wire::openai::stream::Broken;
use ferrogw::wire::openai::typed::Typed;
use proptest::prelude::*;

const STREAM: &str = "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{}}\n\n\
    : a comment\n\n\
    event: response.output_text.delta\r\ndata: {\"type\":\"response.output_text.delta\",\"delta\":\"a\\n\\nb\"}\r\n\r\n\
    data: {\"type\":\"response.completed\",\"response\":{\"usage\":{\"input_tokens\":9,\"output_tokens\":5}}}\n\n";

fn pass(stream: &str, cuts: &[usize]) -> (Typed, String, Option<Broken>) {
    let (mut typed, mut out, mut from) = (Typed::default(), String::new(), 0);
    for cut in cuts.iter().copied().chain([stream.len()]) {
        match typed.push(Bytes::copy_from_slice(&stream.as_bytes()[from..cut])) {
            Ok(passed) => out.push_str(std::str::from_utf8(&passed).unwrap()),
            Err(broken) => return (typed, out, Some(broken)),
        }
        if let Some(broken) = typed.broken() {
            return (typed, out, Some(broken));
        }
        from = cut;
    }
    match typed.end() {
        Ok(rest) => out.push_str(std::str::from_utf8(&rest).unwrap()),
        Err(broken) => return (typed, out, Some(broken)),
    }
    (typed, out, None)
}

#[test]
fn a_stream_passes_and_its_usage_is_read() {
    let (typed, out, broken) = pass(STREAM, &[]);
    assert!(broken.is_none() && typed.opened() && typed.done() && !typed.failed());
    assert_eq!((out.as_str(), typed.usage().map(|usage| (usage.prompt, usage.completion))), (STREAM, Some((9, 5))));
}

#[test]
fn a_failure_is_noticed_wherever_it_is_said() {
    let check = |stream: &str, message: &str| {
        let (_, out, broken) = pass(stream, &[]);
        assert!(
            matches!(&broken, Some(Broken::Said(said)) if said.message.as_deref() == Some(message)),
            "{stream}: {broken:?}"
        );
        assert!(!out.contains(message));
    };
    check("event: error\ndata: {\"type\":\"error\",\"code\":\"x\",\"message\":\"no\",\"param\":null}\n\n", "no");
    check("data: {\"type\":\"error\",\"error\":{\"message\":\"no\"}}\n\n", "no");
    check("data: {\"error\":{\"message\":\"no\"}}\n\n", "no");
    check("data: {\"type\":\"response.failed\",\"response\":{\"error\":{\"message\":\"no\"}}}\n\n", "no");
    check("data: {\"type\":\"speech.audio.delta\",\"audio\":\"\"}\n\ndata: {\"error\":{\"message\":\"no\"}}\n\n", "no");
    let late = "data: {\"type\":\"response.x.delta\"}\n\ndata: {\"type\":\"response.failed\",\"response\":{\"error\":{\"message\":\"no\"}}}\n\n";
    let (typed, out, broken) = pass(late, &[]);
    assert!(broken.is_none() && typed.failed() && out == late);
}

#[test]
fn a_response_must_have_an_end_and_other_streams_need_none() {
    let cut = &STREAM[..STREAM.len() - 100];
    assert!(matches!(pass(cut, &[]).2, Some(Broken::Truncated | Broken::Malformed(_))));
    let sound = "data: {\"type\":\"speech.audio.delta\",\"audio\":\"\"}\n\n";
    assert!(pass(sound, &[]).2.is_none());
    assert!(matches!(pass("data: nonsense\n\n", &[]).2, Some(Broken::Malformed(_))));
}

proptest! {
    #[test]
    fn any_cut_passes_the_same(mut cuts in proptest::collection::vec(0..STREAM.len(), 0..10)) {
        cuts.sort_unstable();
        let (typed, out, broken) = pass(STREAM, &cuts);
        prop_assert!(broken.is_none() && typed.usage().is_some());
        prop_assert_eq!(out, STREAM);
    }
}
