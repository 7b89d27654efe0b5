//! Token counts in every spelling of `providers.md` 1.5.

use ferrogw::wire::Usage;
use ferrogw::wire::openai::usage::{in_tail, parse, read};

fn tokens(prompt: u64, completion: u64, cached: u64, reasoning: u64) -> Option<Usage> {
    Some(Usage { prompt, completion, cached, reasoning, estimated: false })
}

#[test]
fn usage_is_read_in_every_spelling() {
    let check = |raw: &str, expected: Option<Usage>| assert_eq!(parse(raw.as_bytes()), expected, "{raw}");
    check(
        r#"{"prompt_tokens":9,"completion_tokens":5,"total_tokens":14,"prompt_tokens_details":{"cached_tokens":4,"audio_tokens":0},
           "completion_tokens_details":{"reasoning_tokens":3,"accepted_prediction_tokens":0}}"#,
        tokens(9, 5, 4, 3),
    );
    // deepseek, moonshot, perplexity, hosts that pass Anthropic's words on
    check(
        r#"{"prompt_tokens":9,"completion_tokens":5,"prompt_cache_hit_tokens":8,"prompt_cache_miss_tokens":1}"#,
        tokens(9, 5, 8, 0),
    );
    check(r#"{"prompt_tokens":9,"completion_tokens":5,"cached_tokens":7}"#, tokens(9, 5, 7, 0));
    check(
        r#"{"prompt_tokens":9,"completion_tokens":5,"reasoning_tokens":2,"citation_tokens":11,"cost":{"total":1}}"#,
        tokens(9, 5, 0, 2),
    );
    check(r#"{"prompt_tokens":9,"completion_tokens":5,"cache_read_input_tokens":6}"#, tokens(9, 5, 6, 0));
    // the same thing said twice is not added up
    check(
        r#"{"prompt_tokens":9,"completion_tokens":5,"cached_tokens":4,"prompt_tokens_details":{"cached_tokens":4}}"#,
        tokens(9, 5, 4, 0),
    );
    // embeddings have no completion; floats, nulls and nonsense
    check(r#"{"prompt_tokens":9,"total_tokens":9}"#, tokens(9, 0, 0, 0));
    check(r#"{"prompt_tokens":9.0,"completion_tokens":5e0}"#, tokens(9, 5, 0, 0));
    check(r#"{"prompt_tokens":9,"completion_tokens":null,"prompt_tokens_details":null}"#, tokens(9, 0, 0, 0));
    check(r#"{"prompt_tokens":-1,"completion_tokens":1e300}"#, tokens(0, u64::MAX, 0, 0));
    check("null", None);
    check("{}", None);
    check(r#"{"prompt_tokens":null,"completion_tokens":null}"#, None);
    check(r#"{"input_tokens":9}"#, None);
    check(r#"{"prompt_tokens":"9"}"#, None);
    check("[]", None);
    check("", None);
    check("7", None);
}

#[test]
fn usage_is_the_member_of_that_name() {
    let of = |body: &str| read(&super::object(body));
    assert_eq!(of(r#"{"usage":{"prompt_tokens":1,"completion_tokens":2}}"#), tokens(1, 2, 0, 0));
    assert_eq!(of(r#"{"usage":null}"#), None);
    assert_eq!(of(r#"{"x":{"usage":{"prompt_tokens":1}}}"#), None);
}

#[test]
fn usage_is_found_at_the_end_of_what_was_too_long_to_hold() {
    let check = |tail: &str, expected: Option<Usage>| assert_eq!(in_tail(tail.as_bytes()), expected, "{tail}");
    let found = tokens(1, 2, 0, 0);
    check(r#"0.5]}],"usage":{"prompt_tokens":1,"completion_tokens":2}}"#, found);
    check("5]}],\n \"usage\" :\n{\"prompt_tokens\": 1, \"completion_tokens\": 2}\n}\n", found);
    check(r#""usage":{"prompt_tokens":1,"completion_tokens":2},"system_fingerprint":"fp","service_tier":"x"}"#, found);
    // the word elsewhere
    check(r#""usage":{"prompt_tokens":1,"completion_tokens":2},"note":"usage"}"#, found);
    check(r#""usage":{"prompt_tokens":1,"completion_tokens":2},"x_host":{"usage":null}}"#, found);
    check(r#""content":"a \"usage\": {}"}}],"usage":{"prompt_tokens":1,"completion_tokens":2}}"#, found);
    // not there, or not whole
    check(r#"…"usage":null}"#, None);
    check(r#"prompt_tokens":1,"completion_tokens":2}}"#, None);
    check(r#""usage":{"prompt_tokens":1,"#, None);
    check("", None);
    // cut inside a character
    assert_eq!(in_tail(b"\xa9\"}],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}}"), found);
}
