//! Requests: what each vendor's quirks make of them.

use ferrogw::call::{Error, Op};
use ferrogw::providers::spec::Policy;

use super::{becomes, becomes_with, sent, value};

#[test]
fn a_request_that_needs_no_change_keeps_its_bytes() {
    let check = |id: &str, ask: &str| {
        let (body, warnings) = sent(id, Op::Chat, ask, Policy::Warn, &[]).unwrap();
        assert_eq!(body.encode(), ask.as_bytes(), "{id}");
        assert!(warnings.is_empty(), "{id}: {warnings:?}");
    };
    let plain = r#"{ "model": "m", "messages": [ {"role":"user","content":"hi"} ], "odd": [1,  2] }"#;
    for spec in ferrogw::providers::table::PROVIDERS.iter().filter(|spec| spec.knows.is_empty()) {
        check(spec.id, plain);
    }
    check(
        "openai",
        r#"{"model":"gpt-4o","temperature":0.2,"max_tokens":9,"logprobs":true,"messages":[{"role":"developer","content":"x"}]}"#,
    );
}

#[test]
fn limits_have_the_name_the_vendor_knows() {
    let check = |id: &str, ask: &str, expected: &str| becomes(id, ask, expected);
    check("groq", r#"{"model":"m","max_tokens":3}"#, r#"{"model":"m","max_completion_tokens":3}"#);
    check(
        "groq",
        r#"{"model":"m","max_tokens":3,"max_completion_tokens":4}"#,
        r#"{"model":"m","max_completion_tokens":4}"#,
    );
    check(
        "groq",
        r#"{"model":"m","max_tokens":3,"max_completion_tokens":null}"#,
        r#"{"model":"m","max_completion_tokens":3}"#,
    );
    check("ollama", r#"{"model":"m","max_completion_tokens":3}"#, r#"{"model":"m","max_tokens":3}"#);
    check("ollama", r#"{"model":"m","max_tokens":2,"max_completion_tokens":3}"#, r#"{"model":"m","max_tokens":3}"#);
    check("ollama", r#"{"model":"m","max_tokens":2,"max_completion_tokens":null}"#, r#"{"model":"m","max_tokens":2}"#);
    check(
        "mistral",
        r#"{"model":"m","max_completion_tokens":3,"seed":5}"#,
        r#"{"model":"m","max_tokens":3,"random_seed":5}"#,
    );
}

#[test]
fn parameters_a_vendor_lacks_are_dropped_or_refused() {
    let ask = r#"{"model":"deepseek-chat","n":2,"seed":1,"logit_bias":{},"temperature":0.5}"#;
    becomes_with(
        "deepseek",
        ask,
        r#"{"model":"deepseek-chat","temperature":0.5}"#,
        &["temperature ignored", "seed dropped", "n dropped"],
    );
    let (dropped, _) = sent("deepseek", Op::Chat, ask, Policy::Drop, &[]).unwrap();
    assert!(!dropped.has("temperature"));
    let refused = sent("deepseek", Op::Chat, ask, Policy::Reject, &[]).unwrap_err();
    assert!(matches!(refused, Error::Unsupported { provider: "deepseek", .. }), "{refused}");
    // a stranger to a vendor that forbids strangers
    becomes_with(
        "mistral",
        r#"{"model":"m","verbosity":"low","n":2}"#,
        r#"{"model":"m","n":2}"#,
        &["verbosity dropped"],
    );
    // what has no effect anyway goes without a word
    becomes("mistral", r#"{"model":"m","stream_options":{"include_usage":true},"user":null}"#, r#"{"model":"m"}"#);
}

#[test]
fn options_for_one_provider_reach_it_alone() {
    let ask = r#"{"model":"m","top_k":1,"provider_options":{"groq":{"top_k":5,"service_tier":"flex"},"xai":{"deferred":true}}}"#;
    becomes("groq", ask, r#"{"model":"m","top_k":5,"service_tier":"flex"}"#);
    becomes("openai", ask, r#"{"model":"m","top_k":1}"#);
    let check = |ask: &str, blamed: &str| match sent("groq", Op::Chat, ask, Policy::Warn, &[]) {
        Err(Error::Invalid { param, .. }) => assert_eq!(param, blamed),
        other => panic!("{other:?}"),
    };
    check(r#"{"model":"m","provider_options":{"groq":{"model":"x"}}}"#, "provider_options.groq.model");
    check(r#"{"model":"m","provider_options":{"groq":5}}"#, "provider_options.groq");
    check(r#"{"model":"m","provider_options":[]}"#, "provider_options");
}

#[test]
fn roles_and_content_are_what_the_vendor_reads() {
    becomes(
        "deepseek",
        r#"{"model":"m","messages":[{"role":"developer","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]},{"role":"user","content":[{"type":"text","text":"c"},{"type":"image_url","image_url":{"url":"data:,"}}]}]}"#,
        r#"{"model":"m","messages":[{"role":"system","content":"a\nb"},{"role":"user","content":[{"type":"text","text":"c"},{"type":"image_url","image_url":{"url":"data:,"}}]}]}"#,
    );
    becomes(
        "groq",
        r#"{"model":"m","messages":[{"role":"user","name":"eve","content":[{"type":"text","text":"c"}]},{"role":"assistant","content":[{"type":"text","text":"d"}],"refusal":null,"annotations":[],"audio":null,"reasoning_content":"hm"}]}"#,
        r#"{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"c"}]},{"role":"assistant","content":"d"}]}"#,
    );
    becomes(
        "cloudflare",
        r#"{"model":"m","messages":[{"role":"assistant","content":null,"tool_calls":[{"id":"a"}]},{"role":"assistant","tool_calls":[{"id":"b"}]}]}"#,
        r#"{"model":"m","messages":[{"role":"assistant","content":"","tool_calls":[{"id":"a"}]},{"role":"assistant","tool_calls":[{"id":"b"}],"content":""}]}"#,
    );
    becomes(
        "together",
        r#"{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"x","cache_control":{"type":"ephemeral"}}],"cache_control":{}}]}"#,
        r#"{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"x"}]}]}"#,
    );
}

#[test]
fn mistral_gets_short_ids_named_results_and_a_prefix() {
    let ask = r#"{"model":"m","tool_choice":"required","tools":[{"type":"function","function":{"name":"f"}}],"messages":[
        {"role":"user","name":"eve","content":"q","refusal":null},
        {"role":"assistant","content":null,"annotations":[],"tool_calls":[{"id":"call_abcdefghijkl","type":"function","function":{"name":"f","arguments":"{}"}},{"id":"ABCdef123","type":"function","function":{"name":"g","arguments":"{}"}}]},
        {"role":"tool","tool_call_id":"call_abcdefghijkl","content":"1"},
        {"role":"tool","tool_call_id":"ABCdef123","content":"2"},
        {"role":"assistant","content":"So"}]}"#;
    let (body, warnings) = sent("mistral", Op::Chat, ask, Policy::Warn, &[]).unwrap();
    assert!(warnings.is_empty(), "{warnings:?}");
    let body = value(&body);
    let messages = &body["messages"];
    assert_eq!(messages[0], serde_json::json!({"role": "user", "content": "q"}));
    let short = messages[1]["tool_calls"][0]["id"].as_str().unwrap();
    assert_eq!((short.len(), short.bytes().all(|b| b.is_ascii_alphanumeric())), (9, true));
    assert_eq!((&messages[1]["content"], &messages[1]["tool_calls"][1]["id"]), (&"".into(), &"ABCdef123".into()));
    assert_eq!(messages[2], serde_json::json!({"role": "tool", "tool_call_id": short, "content": "1", "name": "f"}));
    assert_eq!(messages[3]["name"], "g");
    assert_eq!(messages[4], serde_json::json!({"role": "assistant", "content": "So", "prefix": true}));
    assert_eq!(body["tool_choice"], "any");
    assert_eq!(body["tools"][0]["function"]["parameters"], serde_json::json!({"type": "object", "properties": {}}));
    let again = value(&sent("mistral", Op::Chat, ask, Policy::Warn, &[]).unwrap().0);
    assert_eq!(again, body, "ids are the same a turn later");
}

#[test]
fn mistral_gets_old_calls_as_those_of_tools() {
    let ask = r#"{"model":"m","messages":[
        {"role":"assistant","content":null,"function_call":{"name":"f","arguments":"{}"}},
        {"role":"function","name":"f","content":"1"},
        {"role":"user","content":"and?"}]}"#;
    let (body, warnings) = sent("mistral", Op::Chat, ask, Policy::Warn, &[]).unwrap();
    assert!(warnings.is_empty(), "{warnings:?}");
    let messages = &value(&body)["messages"];
    let call = serde_json::json!({"id": "call00000", "type": "function", "function": {"name": "f", "arguments": "{}"}});
    assert_eq!(messages[0], serde_json::json!({"role": "assistant", "content": "", "tool_calls": [call]}));
    assert_eq!(
        messages[1],
        serde_json::json!({"role": "tool", "name": "f", "content": "1", "tool_call_id": "call00000"})
    );
}

#[test]
fn perplexity_hears_user_and_assistant_by_turns() {
    let check = |messages: &str, expected: &str, warned: &[&str]| {
        let ask = |messages: &str| format!(r#"{{"model":"sonar","messages":[{messages}]}}"#);
        becomes_with("perplexity", &ask(messages), &ask(expected), warned);
    };
    let fine = r#"{"role":"system","content":"s"},{"role":"user","content":"a"},{"role":"assistant","content":"b"},{"role":"user","content":"c"}"#;
    check(fine, fine, &[]);
    check(
        r#"{"role":"assistant","content":"hello"},{"role":"user","content":"a"},{"role":"user","content":"b"},{"role":"system","content":"s"}"#,
        r#"{"role":"system","content":"s"},{"role":"user","content":"a\n\nb"}"#,
        &["messages[0] dropped"],
    );
    check(
        r#"{"role":"user","content":"a"},{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:,"}}]}"#,
        r#"{"role":"user","content":[{"type":"text","text":"a"},{"type":"image_url","image_url":{"url":"data:,"}}]}"#,
        &[],
    );
    let prefill = r#"{"model":"sonar","messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}"#;
    let refused = sent("perplexity", Op::Chat, prefill, Policy::Warn, &[]).unwrap_err();
    assert!(matches!(refused, Error::Invalid { ref param, .. } if param == "messages"), "{refused}");
}

#[test]
fn an_image_nobody_would_fetch_is_refused_by_its_place() {
    let ask = |url: &str| {
        format!(
            r#"{{"model":"llava","messages":[{{"role":"user","content":[{{"type":"text","text":"?"}},{{"type":"image_url","image_url":{{"url":"{url}"}}}}]}}]}}"#
        )
    };
    let refused = sent("ollama", Op::Chat, &ask("https://a.example/x.png"), Policy::Warn, &[]).unwrap_err();
    assert!(
        matches!(refused, Error::Invalid { ref param, .. } if param == "messages[0].content[1].image_url"),
        "{refused}"
    );
    becomes("ollama", &ask("data:image/png;base64,AA=="), &ask("data:image/png;base64,AA=="));
}

#[test]
fn schemas_take_the_form_the_vendor_enforces() {
    let schema = r#"{"type":"json_schema","json_schema":{"name":"x","schema":{"type":"object"}}}"#;
    becomes_with(
        "deepseek",
        &format!(
            r#"{{"model":"deepseek-chat","messages":[{{"role":"system","content":"Be brief."}}],"response_format":{schema}}}"#
        ),
        r#"{"model":"deepseek-chat","messages":[{"role":"system","content":"Be brief.\n\nAnswer with one JSON object, and nothing else, that is valid under this JSON schema: {\"type\":\"object\"}"}],"response_format":{"type":"json_object"}}"#,
        &["response_format translated"],
    );
    becomes(
        "hugging-face",
        &format!(r#"{{"model":"a/b:hf-inference","response_format":{schema}}}"#),
        r#"{"model":"a/b:hf-inference","response_format":{"type":"json_object","value":{"type":"object"}}}"#,
    );
    let other = format!(r#"{{"model":"a/b:groq","response_format":{schema}}}"#);
    becomes("hugging-face", &other, &other);
}

#[test]
fn single_parameters_change_their_form() {
    becomes("together", r#"{"model":"m","logprobs":true,"top_logprobs":3}"#, r#"{"model":"m","logprobs":3}"#);
    becomes("together", r#"{"model":"m","logprobs":true}"#, r#"{"model":"m","logprobs":1}"#);
    becomes("together", r#"{"model":"m","logprobs":false}"#, r#"{"model":"m"}"#);
    becomes("deepseek", r#"{"model":"m","user":"u"}"#, r#"{"model":"m","user_id":"u"}"#);
    becomes("moonshot", r#"{"model":"m","user":"u"}"#, r#"{"model":"m","safety_identifier":"u"}"#);
    becomes_with(
        "moonshot",
        r#"{"model":"kimi-k2.6","temperature":0.2,"tool_choice":"required"}"#,
        r#"{"model":"kimi-k2.6","tool_choice":"auto"}"#,
        &["temperature dropped", "tool_choice lowered"],
    );
    becomes(
        "groq",
        r#"{"model":"qwen/qwen3-32b","tools":[{"type":"function"}]}"#,
        r#"{"model":"qwen/qwen3-32b","tools":[{"type":"function"}],"reasoning_format":"parsed"}"#,
    );
    becomes_with(
        "databricks",
        r#"{"model":"databricks-claude-sonnet-4","tools":[{"type":"function","function":{"name":"f","strict":true}}]}"#,
        r#"{"model":"databricks-claude-sonnet-4","tools":[{"type":"function","function":{"name":"f"}}]}"#,
        &["tools[].function.strict dropped"],
    );
}

#[test]
fn embeddings_have_rules_of_their_own() {
    let check = |id: &str, ask: &str, expected: &str| {
        let (body, _) = sent(id, Op::Embed, ask, Policy::Warn, &[]).unwrap();
        assert_eq!(value(&body), value(&super::object(expected)), "{id}");
    };
    check(
        "mistral",
        r#"{"model":"m","input":"a","dimensions":8,"encoding_format":"base64"}"#,
        r#"{"model":"m","input":"a","output_dimension":8}"#,
    );
    check("nvidia-nim", r#"{"model":"m","input":["a"]}"#, r#"{"model":"m","input":["a"],"input_type":"query"}"#);
    check(
        "openai",
        r#"{"model":"m","input":[1,2],"encoding_format":"base64"}"#,
        r#"{"model":"m","input":[1,2],"encoding_format":"base64"}"#,
    );
    for input in ["[ 1, 2]", "[[1],[2]]"] {
        let ask = format!(r#"{{"model":"m","input":{input}}}"#);
        let refused = sent("qwen", Op::Embed, &ask, Policy::Warn, &[]).unwrap_err();
        assert!(matches!(refused, Error::Invalid { ref param, .. } if param == "input"), "{refused}");
    }
}

#[test]
fn a_flood_of_unknown_members_costs_no_more_than_its_length() {
    let names: String = (0..100_000).map(|n| format!("\"odd;\\n{n}\":1,")).collect();
    let ask = format!(r#"{{{names}"provider_options":{{"mistral":{{{names}"prompt_mode":"x"}}}},"model":"m"}}"#);
    let (body, warnings) = sent("mistral", Op::Chat, &ask, Policy::Warn, &[]).unwrap();
    assert_eq!(body.len(), 100_002, "the options and the model");
    assert_eq!(warnings.len(), 32);
    assert_eq!(warnings[0], "param=odd??0;provider=mistral;action=dropped");
    let refused = sent("mistral", Op::Chat, &ask, Policy::Reject, &[]).unwrap_err();
    assert!(matches!(refused, Error::Unsupported { .. }));
}
