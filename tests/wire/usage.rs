//! Token counts in every spelling of `providers.md` 1.5.

use ferrogw::wire::openai::usage::{in_tail, parse, read};
use ferrogw::wire::usage::Tier;
use ferrogw::wire::{Usage, Usd};

fn tokens(prompt: u64, completion: u64, cached: u64, reasoning: u64) -> Option<Usage> {
    Some(Usage { prompt, completion, cached, reasoning, ..Usage::default() })
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
        r#"{"prompt_tokens":9,"completion_tokens":5,"reasoning_tokens":2,"cost":{"total":1},"queue_time":0.1}"#,
        tokens(9, 5, 0, 2),
    );
    check(r#"{"prompt_tokens":9,"completion_tokens":5,"cache_read_input_tokens":6}"#, tokens(9, 5, 6, 0));
    // responses, images, transcriptions
    check(
        r#"{"input_tokens":9,"input_tokens_details":{"cached_tokens":4},"output_tokens":5,
            "output_tokens_details":{"reasoning_tokens":3},"total_tokens":14}"#,
        tokens(9, 5, 4, 3),
    );
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
    check(r#"{"tokens":9}"#, None);
    check(r#"{"prompt_tokens":"9"}"#, None);
    check("[]", None);
    check("", None);
    check("7", None);
}

#[test]
fn what_has_a_price_of_its_own_is_counted_apart() {
    let check = |raw: &str, expected: Usage| assert_eq!(parse(raw.as_bytes()), Some(expected), "{raw}");
    let usd = |text| Usd::parse(text, 0).unwrap();
    let nine = Usage { prompt: 9, completion: 5, ..Usage::default() };
    check(
        r#"{"prompt_tokens":9,"completion_tokens":5,"prompt_tokens_details":{"cache_write_tokens":4,"audio_tokens":3,
           "image_tokens":2,"video_tokens":1},"completion_tokens_details":{"audio_tokens":3,"image_tokens":2}}"#,
        Usage { cache_write: 4, audio_in: 3, image_in: 2, video_in: 1, audio_out: 3, image_out: 2, ..nine },
    );
    check(
        r#"{"input_tokens":9,"output_tokens":5,"cache_creation_input_tokens":6,
           "cache_creation":{"ephemeral_5m_input_tokens":2,"ephemeral_1h_input_tokens":4},
           "server_tool_use":{"web_search_requests":2},"service_tier":"batch"}"#,
        Usage { cache_write: 6, cache_write_1h: 4, searches: 2, tier: Tier::Batch, ..nine },
    );
    check(
        r#"{"prompt_tokens":9,"completion_tokens":5,"citation_tokens":7,"num_search_queries":3,
           "cost":{"input_tokens_cost":0.1,"total_cost":0.0125}}"#,
        Usage { citations: 7, searches: 3, told: usd("0.0125"), ..nine },
    );
    // what providers say that it cost; nothing is what those say who do not count
    check(r#"{"prompt_tokens":9,"completion_tokens":5,"cost":1.4e-05}"#, Usage { told: usd("0.000014"), ..nine });
    check(
        r#"{"prompt_tokens":9,"completion_tokens":5,"cost_in_usd_ticks":37756000}"#,
        Usage { told: usd("0.0037756"), ..nine },
    );
    check(r#"{"prompt_tokens":9,"completion_tokens":5,"estimated_cost":0}"#, nine);
    check(r#"{"prompt_tokens":9,"completion_tokens":5,"cost":"free"}"#, nine);
    check(r#"{"type":"duration","seconds":12.5}"#, Usage { millis: 12_500, ..Usage::default() });
    assert_eq!(parse(br#"{"seconds":0}"#), None);
}

#[test]
fn the_tier_stands_beside_the_usage() {
    let usage = |tier| Some(Usage { prompt: 9, completion: 5, tier, ..Usage::default() });
    let check = |behind: &str, expected: Tier| {
        let body = format!(r#"{{"id":"1","usage":{{"prompt_tokens":9,"completion_tokens":5}}{behind}}}"#);
        assert_eq!(in_tail(body.as_bytes()), usage(expected), "{body}");
        assert_eq!(read(&ferrogw::wire::Object::parse(body.clone().into()).unwrap()), usage(expected), "{body}");
    };
    check("", Tier::Standard);
    check(r#","service_tier":"default","system_fingerprint":"fp""#, Tier::Standard);
    check(r#","service_tier" : "priority""#, Tier::Priority);
    check(r#","system_fingerprint":"fp","service_tier":"flex""#, Tier::Flex);
    check(r#","service_tier":null"#, Tier::Standard);
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
