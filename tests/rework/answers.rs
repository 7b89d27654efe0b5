//! Answers: what callers of the dialect get to see of each vendor's accent.

use ferrogw::providers::rework::embeddings;

use super::{object, row, says, value};

fn choice(message: &str, finish: &str) -> String {
    format!(r#"{{"choices":[{{"index":0,"message":{message},"finish_reason":{finish}}}]}}"#)
}

fn chunk(delta: &str, finish: &str) -> String {
    format!(r#"{{"id":"x","choices":[{{"index":0,"delta":{delta},"finish_reason":{finish}}}]}}"#)
}

#[test]
fn reasoning_is_there_under_both_names() {
    for id in ["groq", "together", "cerebras", "openrouter", "ollama", "ollama-cloud", "nvidia-nim"] {
        says(
            id,
            &[
                (
                    &choice(r#"{"content":"a","reasoning":"hm"}"#, "\"stop\""),
                    &choice(r#"{"content":"a","reasoning":"hm","reasoning_content":"hm"}"#, "\"stop\""),
                ),
                (
                    &chunk(r#"{"reasoning":"h"}"#, "null"),
                    &chunk(r#"{"reasoning":"h","reasoning_content":"h"}"#, "null"),
                ),
                (
                    &chunk(r#"{"reasoning":null,"content":"a"}"#, "null"),
                    &chunk(r#"{"reasoning":null,"content":"a"}"#, "null"),
                ),
            ],
        );
    }
}

#[test]
fn finish_reasons_have_the_names_of_the_dialect() {
    let check = |id: &str, native: &str, expected: &str| {
        let before = choice(r#"{"content":"a"}"#, &format!("\"{native}\""));
        let after = format!(
            r#"{{"choices":[{{"index":0,"message":{{"content":"a"}},"finish_reason":"{expected}","native_finish_reason":"{native}"}}]}}"#
        );
        says(id, &[(&before, &after)]);
    };
    check("together", "eos", "stop");
    check("mistral", "model_length", "length");
    check("novita", "SAFETY", "content_filter");
    check("databricks", "tool_use", "tool_calls");
    let unknown = choice(r#"{"content":"a"}"#, "\"insufficient_system_resource\"");
    says("deepseek", &[(&unknown, &unknown)]);
}

#[test]
fn a_stop_after_tool_calls_is_tool_calls() {
    let call = r#"{"tool_calls":[{"index":0,"id":"c1","type":"function","function":{"name":"f","arguments":"{}"}}]}"#;
    for id in ["ollama", "together", "cloudflare", "hugging-face", "sambanova"] {
        says(
            id,
            &[(&chunk(call, "null"), &chunk(call, "null")), (&chunk("{}", "\"stop\""), &chunk("{}", "\"tool_calls\""))],
        );
        says(id, &[(&choice(call, "\"stop\""), &choice(call, "\"tool_calls\""))]);
        says(id, &[(&chunk(r#"{"tool_calls":[]}"#, "\"stop\""), &chunk(r#"{"tool_calls":[]}"#, "\"stop\""))]);
    }
}

#[test]
fn tool_calls_are_completed() {
    let (before, after) = (
        r#"{"tool_calls":[{"function":{"name":"f","arguments":{"a": 1}}}]}"#,
        r#"{"tool_calls":[{"function":{"name":"f","arguments":"{\"a\":1}"},"id":"call_ID","type":"function"}]}"#,
    );
    let mut body =
        object(&format!(r#"{{"id":"r","choices":[{{"index":0,"message":{before},"finish_reason":"tool_calls"}}]}}"#));
    let mut trail = ferrogw::providers::spec::Trail::default();
    assert!(ferrogw::providers::rework::answer(row("cloudflare"), &mut body, &mut trail).unwrap());
    let mut got = value(&body)["choices"][0]["message"].clone();
    let id = got["tool_calls"][0]["id"].as_str().unwrap().to_owned();
    assert!(id.starts_with("call_") && id.len() == 29, "{id}");
    got["tool_calls"][0]["id"] = "call_ID".into();
    assert_eq!(got, value(&object(after)));
    // a fragment that goes on is no new call
    let more = chunk(r#"{"tool_calls":[{"index":0,"function":{"arguments":"{}"}}]}"#, "null");
    says("groq", &[(&more, &more)]);
    says(
        "mistral",
        &[(
            &chunk(r#"{"tool_calls":[{"id":"abc","function":{"name":"f","arguments":"{}"}}]}"#, "null"),
            &chunk(
                r#"{"tool_calls":[{"id":"abc","function":{"name":"f","arguments":"{}"},"index":0,"type":"function"}]}"#,
                "null",
            ),
        )],
    );
}

#[test]
fn content_lists_become_text_and_thoughts() {
    says(
        "mistral",
        &[(
            &choice(
                r#"{"content":[{"type":"thinking","thinking":[{"type":"text","text":"hm"}]},{"type":"text","text":"a"},{"type":"reference","reference_ids":[1]}]}"#,
                "\"stop\"",
            ),
            &choice(
                r#"{"content":"a","reasoning_content":"hm","reasoning_details":[{"type":"reasoning.text","text":"hm","format":"mistral-v1"}],"annotations":[{"type":"reference","reference_ids":[1]}]}"#,
                "\"stop\"",
            ),
        )],
    );
    says(
        "databricks",
        &[(
            &chunk(
                r#"{"content": [{"type":"reasoning","summary":[{"type":"summary_text","text":"hm","signature":"s"}]}]}"#,
                "null",
            ),
            &chunk(
                r#"{"content":"","reasoning_content":"hm","reasoning_details":[{"type":"reasoning.text","text":"hm","format":"databricks-v1","signature":"s"}]}"#,
                "null",
            ),
        )],
    );
}

#[test]
fn log_probabilities_of_the_old_form_become_those_of_chat() {
    let old = r#"{"choices":[{"index":0,"message":{"content":"é"},"finish_reason":"stop","logprobs":{"tokens":["é"],"token_logprobs":[-0.5],"top_logprobs":[{"e":-2.0,"é":-0.5}]}}]}"#;
    let new = r#"{"choices":[{"index":0,"message":{"content":"é"},"finish_reason":"stop","logprobs":{"content":[{"token":"é","logprob":-0.5,"bytes":[195,169],"top_logprobs":[{"token":"é","logprob":-0.5,"bytes":[195,169]},{"token":"e","logprob":-2.0,"bytes":[101]}]}],"refusal":null}}]}"#;
    says("together", &[(old, new)]);
    let completion = r#"{"choices":[{"index":0,"text":"a","finish_reason":"stop","logprobs":{"tokens":["a"],"token_logprobs":[-1.0]}}]}"#;
    says("together", &[(completion, completion)]);
}

#[test]
fn usage_means_the_same_everywhere() {
    says(
        "xai",
        &[
            (
                r#"{"usage":{"prompt_tokens":10,"completion_tokens":5,"total_tokens":35,"completion_tokens_details":{"reasoning_tokens":20}}}"#,
                r#"{"usage":{"prompt_tokens":10,"completion_tokens":25,"total_tokens":35,"completion_tokens_details":{"reasoning_tokens":20}}}"#,
            ),
            (
                r#"{"usage":{"prompt_tokens":10,"completion_tokens":25,"total_tokens":35,"completion_tokens_details":{"reasoning_tokens":20}}}"#,
                r#"{"usage":{"prompt_tokens":10,"completion_tokens":25,"total_tokens":35,"completion_tokens_details":{"reasoning_tokens":20}}}"#,
            ),
        ],
    );
    says(
        "moonshot",
        &[(
            r#"{"choices":[{"delta":{},"finish_reason":"stop","usage":{"prompt_tokens":1,"completion_tokens":2}}]}"#,
            r#"{"choices":[{"delta":{},"finish_reason":"stop","usage":{"prompt_tokens":1,"completion_tokens":2}}],"usage":{"prompt_tokens":1,"completion_tokens":2}}"#,
        )],
    );
    let read = |id: &str, event: &str| {
        row(id).usage.unwrap_or(ferrogw::wire::openai::usage::read)(&object(event))
            .map(|usage| (usage.prompt, usage.completion, usage.cached))
    };
    assert_eq!(
        read("groq", r#"{"choices":[],"x_groq":{"usage":{"prompt_tokens":3,"completion_tokens":4}}}"#),
        Some((3, 4, 0))
    );
    assert_eq!(
        read("deepseek", r#"{"usage":{"prompt_tokens":3,"completion_tokens":4,"prompt_cache_hit_tokens":2}}"#),
        Some((3, 4, 2))
    );
}

#[test]
fn perplexity_s_events_say_each_word_once_and_cite() {
    says(
        "perplexity",
        &[
            (
                r#"{"choices":[{"index":0,"delta":{"content":"b"},"message":{"content":"ab"},"finish_reason":null}]}"#,
                r#"{"choices":[{"index":0,"delta":{"content":"b"},"finish_reason":null}]}"#,
            ),
            (
                r#"{"search_results":[{"title":"T","url":"https://t.example"}],"choices":[{"index":0,"message":{"content":"a"},"finish_reason":"stop"}]}"#,
                r#"{"search_results":[{"title":"T","url":"https://t.example"}],"choices":[{"index":0,"message":{"content":"a","annotations":[{"type":"url_citation","url_citation":{"url":"https://t.example","title":"T"}}]},"finish_reason":"stop"}]}"#,
            ),
        ],
    );
}

#[test]
fn frames_of_cloudflare_s_own_format_are_empty_events() {
    says(
        "cloudflare",
        &[(
            r#"{"response":"","usage":{"prompt_tokens":1,"completion_tokens":1}}"#,
            r#"{"usage":{"prompt_tokens":1,"completion_tokens":1},"choices":[]}"#,
        )],
    );
}

#[test]
fn numbers_become_base64_of_little_endian_floats() {
    let check = |numbers: &str, expected: &str| {
        let mut body = object(&format!(r#"{{"data":[{{"index":0,"embedding":{numbers}}}]}}"#));
        embeddings::to_base64(&mut body).unwrap();
        assert_eq!(value(&body)["data"][0]["embedding"], expected);
    };
    check("[]", "");
    check("[1]", "AACAPw==");
    check("[1.0, -2.5]", "AACAPwAAIMA=");
    check("[0.5,0.25,1]", "AAAAPwAAgD4AAIA/");
    check("\"AACAPw==\"", "AACAPw==");
}
