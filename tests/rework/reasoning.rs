//! Reasoning: how a caller's wish to think reaches each vendor, and how thoughts go back to it.

use ferrogw::call::Op;
use ferrogw::providers::spec::Policy;

use super::{becomes, becomes_with, sent, value};

#[test]
fn reasoning_models_of_openai_lose_what_they_refuse() {
    becomes_with(
        "openai",
        r#"{"model":"gpt-5-mini","max_tokens":7,"temperature":0.3,"top_p":1,"stop":["x"],"presence_penalty":0,"logprobs":true}"#,
        r#"{"model":"gpt-5-mini","max_completion_tokens":7,"top_p":1}"#,
        &["temperature dropped", "logprobs dropped", "stop dropped"],
    );
    becomes_with(
        "openai",
        r#"{"model":"o3-mini","max_tokens":7,"max_completion_tokens":8,"stop":"x","parallel_tool_calls":false}"#,
        r#"{"model":"o3-mini","max_completion_tokens":8,"stop":"x"}"#,
        &["parallel_tool_calls dropped"],
    );
    // from 5.1 on, what does not think samples as told
    becomes("openai", r#"{"model":"gpt-5.2","temperature":0.3}"#, r#"{"model":"gpt-5.2","temperature":0.3}"#);
    becomes_with(
        "openai",
        r#"{"model":"gpt-5.2","temperature":0.3,"reasoning_effort":"low"}"#,
        r#"{"model":"gpt-5.2","reasoning_effort":"low"}"#,
        &["temperature dropped"],
    );
    becomes_with("openai", r#"{"model":"gpt-5.7","top_p":0.5}"#, r#"{"model":"gpt-5.7"}"#, &["top_p dropped"]);
    // chat models of the same generation do not think
    let chat = r#"{"model":"gpt-5-chat-latest","temperature":0.3,"max_tokens":5}"#;
    becomes("openai", chat, chat);
    becomes_with(
        "openai",
        r#"{"model":"o1-mini","reasoning_effort":"high","messages":[{"role":"system","content":"s"}]}"#,
        r#"{"model":"o1-mini","messages":[{"role":"user","content":"s"}]}"#,
        &["reasoning_effort dropped"],
    );
    becomes_with(
        "openai",
        r#"{"model":"gpt-4o-search-preview","temperature":0.3,"n":2}"#,
        r#"{"model":"gpt-4o-search-preview"}"#,
        &["temperature dropped", "n dropped"],
    );
}

#[test]
fn effort_is_the_nearest_that_the_generation_knows() {
    let check = |model: &str, asked: &str, expected: &str| {
        let ask = format!(r#"{{"model":"{model}","reasoning_effort":"{asked}"}}"#);
        let (body, warnings) = sent("openai", Op::Chat, &ask, Policy::Warn, &[]).unwrap();
        assert_eq!(value(&body)["reasoning_effort"], expected, "{model} {asked}");
        assert_eq!(warnings.is_empty(), asked == expected, "{model} {asked}");
    };
    check("o3", "minimal", "low");
    check("o4-mini", "xhigh", "high");
    check("gpt-5", "none", "minimal");
    check("gpt-5", "minimal", "minimal");
    check("gpt-5-codex", "minimal", "low");
    check("gpt-5.1", "minimal", "none");
    check("gpt-5.1", "xhigh", "high");
    check("gpt-5.1-codex-max", "max", "xhigh");
    check("gpt-5.2", "xhigh", "xhigh");
    check("gpt-5.2-codex", "none", "low");
    check("gpt-5.4", "max", "xhigh");
    check("gpt-5.6", "max", "max");
    check("gpt-6", "minimal", "minimal");
    check("ft:o4-mini:us::x", "none", "low");
}

#[test]
fn a_deployment_is_known_by_its_base_model_or_by_what_its_name_hints_at() {
    let check = |model: &str, given: &[(&str, &str)], renamed: bool| {
        let ask = format!(r#"{{"model":"{model}","max_tokens":3}}"#);
        let (body, _) = sent("azure-openai", Op::Chat, &ask, Policy::Warn, given).unwrap();
        assert_eq!(body.has("max_completion_tokens"), renamed, "{model} {given:?}");
    };
    check("prod", &[], false);
    check("prod", &[("base_model", "gpt-5-mini")], true);
    check("team-GPT-5-eu", &[], true);
    check("team-gpt-5-eu", &[("base_model", "gpt-4o")], false);
    check("my_o3_mini", &[], false);
    check("eu-o3-mini", &[], true);
    check("demo1", &[], false);
}

#[test]
fn effort_has_the_control_the_vendor_knows() {
    let check = |id: &str, model: &str, effort: &str, expected: &str| {
        let ask = format!(r#"{{"model":"{model}","reasoning_effort":"{effort}"}}"#);
        let mut expected = super::object(expected);
        expected.set("model", &model);
        let (body, warnings) = sent(id, Op::Chat, &ask, Policy::Warn, &[]).unwrap();
        assert_eq!(value(&body), value(&expected), "{id} {model} {effort}");
        assert!(warnings.is_empty(), "{id} {model} {effort}: {warnings:?}");
    };
    check("openrouter", "a/b", "high", r#"{"reasoning":{"effort":"high"}}"#);
    check("openrouter", "a/b", "none", r#"{"reasoning":{"enabled":false}}"#);
    check("deepseek", "deepseek-v4-pro", "minimal", r#"{"reasoning_effort":"low"}"#);
    check("deepseek", "deepseek-v4-pro", "xhigh", r#"{"reasoning_effort":"max"}"#);
    check("deepseek", "deepseek-v4-pro", "none", r#"{"thinking":{"type":"disabled"}}"#);
    check("xai", "grok-3-mini", "medium", r#"{"reasoning_effort":"low"}"#);
    check("xai", "grok-4.3", "xhigh", r#"{"reasoning_effort":"high"}"#);
    check("mistral", "mistral-small-latest", "low", r#"{"reasoning_effort":"high"}"#);
    check("mistral", "mistral-small-latest", "none", r#"{"reasoning_effort":"none"}"#);
    check("mistral", "magistral-medium-latest", "low", r#"{"prompt_mode":"reasoning"}"#);
    check("groq", "openai/gpt-oss-120b", "none", r#"{"reasoning_effort":"low"}"#);
    check("groq", "qwen/qwen3-32b", "high", r#"{"reasoning_effort":"default"}"#);
    check("moonshot", "kimi-k2.6", "none", r#"{"thinking":{"type":"disabled"}}"#);
    check("moonshot", "kimi-k2.6", "high", r#"{"thinking":{"type":"enabled"}}"#);
    check("moonshot", "kimi-k3", "medium", r#"{"reasoning_effort":"high"}"#);
    check("qwen", "qwen-plus", "none", r#"{"enable_thinking":false}"#);
    check("qwen", "qwen-plus", "medium", r#"{"enable_thinking":true,"thinking_budget":4096}"#);
    check("fireworks", "m", "minimal", r#"{"reasoning_effort":"low"}"#);
    check("fireworks", "m", "max", r#"{"reasoning_effort":"high"}"#);
    check("cerebras", "gpt-oss-120b", "max", r#"{"reasoning_effort":"high"}"#);
    check("cerebras", "zai-glm-4.7", "none", r#"{"disable_reasoning":true}"#);
    check("cerebras", "zai-glm-4.7", "high", "{}");
    check("together", "openai/gpt-oss-20b", "max", r#"{"reasoning_effort":"high"}"#);
    check("together", "deepseek-ai/DeepSeek-V3.1", "none", r#"{"reasoning":{"enabled":false}}"#);
    check("deepinfra", "m", "xhigh", r#"{"reasoning_effort":"xhigh"}"#);
    check("novita", "m", "low", r#"{"enable_thinking":true}"#);
    check("nvidia-nim", "qwen/qwen3-235b-a22b", "none", r#"{"chat_template_kwargs":{"enable_thinking":false}}"#);
    check("nvidia-nim", "deepseek-ai/deepseek-v3.1", "high", r#"{"chat_template_kwargs":{"thinking":true}}"#);
    check("sambanova", "Qwen3-32B", "high", r#"{"chat_template_kwargs":{"enable_thinking":true}}"#);
    check("perplexity", "sonar-reasoning-pro", "xhigh", r#"{"reasoning_effort":"high"}"#);
    check("perplexity", "sonar-reasoning-pro", "none", "{}");
    check("ollama", "qwen3:8b", "xhigh", r#"{"reasoning_effort":"max"}"#);
    check("ollama", "gpt-oss:20b", "none", r#"{"reasoning_effort":"low"}"#);
    check("databricks", "databricks-gpt-oss-120b", "high", r#"{"reasoning_effort":"high"}"#);
    check("databricks", "databricks-claude-sonnet-4-5", "none", "{}");
    check(
        "databricks",
        "databricks-claude-sonnet-4-5",
        "high",
        r#"{"thinking":{"type":"enabled","budget_tokens":8192},"max_tokens":12288}"#,
    );
    check("databricks", "databricks-claude-opus-4-7", "high", r#"{"thinking":{"type":"adaptive"}}"#);
}

#[test]
fn a_wish_in_another_vendor_s_form_is_understood() {
    becomes(
        "groq",
        r#"{"model":"openai/gpt-oss-120b","thinking":{"type":"enabled","budget_tokens":9000}}"#,
        r#"{"model":"openai/gpt-oss-120b","reasoning_effort":"high"}"#,
    );
    becomes(
        "qwen",
        r#"{"model":"qwen-plus","reasoning":{"max_tokens":3000}}"#,
        r#"{"model":"qwen-plus","enable_thinking":true,"thinking_budget":3000}"#,
    );
    becomes(
        "openrouter",
        r#"{"model":"a/b","thinking":{"type":"enabled","budget_tokens":2000}}"#,
        r#"{"model":"a/b","reasoning":{"max_tokens":2000}}"#,
    );
    // the vendor's own form stays as it is
    let own = r#"{"model":"a/b","reasoning":{"effort":"low","exclude":true}}"#;
    becomes("openrouter", own, own);
}

#[test]
fn effort_that_a_model_has_no_control_for_is_dropped_with_a_warning() {
    for (id, model) in
        [("xai", "grok-4"), ("groq", "llama-3.3-70b-versatile"), ("nvidia-nim", "meta/llama-3.1-8b-instruct")]
    {
        let ask = format!(r#"{{"model":"{model}","reasoning_effort":"low"}}"#);
        becomes_with(id, &ask, &format!(r#"{{"model":"{model}"}}"#), &["reasoning_effort dropped"]);
    }
}

#[test]
fn open_qwens_think_only_when_asked_and_never_in_json() {
    let check = |ask: &str, expected: &str, warned: &[&str]| becomes_with("qwen", ask, expected, warned);
    check(r#"{"model":"qwen3-32b"}"#, r#"{"model":"qwen3-32b","enable_thinking":false}"#, &[]);
    check(r#"{"model":"qwen3-32b","stream":true}"#, r#"{"model":"qwen3-32b","stream":true}"#, &[]);
    check(
        r#"{"model":"qwen3-32b","reasoning_effort":"low"}"#,
        r#"{"model":"qwen3-32b","enable_thinking":true,"thinking_budget":1024}"#,
        &[],
    );
    check(r#"{"model":"qwen3-coder-480b-a35b-instruct"}"#, r#"{"model":"qwen3-coder-480b-a35b-instruct"}"#, &[]);
    check(r#"{"model":"qwen3-235b-a22b-thinking-2507"}"#, r#"{"model":"qwen3-235b-a22b-thinking-2507"}"#, &[]);
    check(
        r#"{"model":"qwen-plus","stream":true,"enable_thinking":true,"response_format":{"type":"json_object"}}"#,
        r#"{"model":"qwen-plus","stream":true,"enable_thinking":false,"response_format":{"type":"json_object"}}"#,
        &["reasoning_effort dropped"],
    );
}

#[test]
fn thoughts_come_back_under_the_vendor_s_name_or_not_at_all() {
    let check = |id: &str, model: &str, message: &str, expected: &str| {
        let ask = |message: &str| format!(r#"{{"model":"{model}","messages":[{message}]}}"#);
        becomes(id, &ask(message), &ask(expected));
    };
    let said = r#"{"role":"assistant","content":"a","reasoning_content":"hm","reasoning_details":[{"type":"x"}]}"#;
    check("xai", "grok-3", said, r#"{"role":"assistant","content":"a"}"#);
    check("openrouter", "a/b", said, said);
    check("moonshot", "kimi-k3", said, r#"{"role":"assistant","content":"a","reasoning_content":"hm"}"#);
    check("cerebras", "gpt-oss-120b", said, r#"{"role":"assistant","content":"a","reasoning":"hm"}"#);
    check("ollama", "qwen3", said, r#"{"role":"assistant","content":"a","reasoning":"hm"}"#);
    check("deepseek", "deepseek-v4-pro", said, r#"{"role":"assistant","content":"a","reasoning_content":"hm"}"#);
    check("deepseek", "deepseek-reasoner", said, r#"{"role":"assistant","content":"a"}"#);
    let silent = r#"{"role":"assistant","content":"a"}"#;
    check("deepseek", "deepseek-v4-pro", silent, r#"{"role":"assistant","content":"a","reasoning_content":""}"#);
    check("deepseek", "deepseek-reasoner", silent, silent);
    check("moonshot", "kimi-k2.6", silent, silent);
    let calls = |more: &str| format!(r#"{{"role":"assistant","content":"a","tool_calls":[{{"id":"1"}}]{more}}}"#);
    check("moonshot", "kimi-k2.6", &calls(""), &calls(r#","reasoning_content":" ""#));
    check("moonshot", "kimi-k3", &calls(""), &calls(""));
    check(
        "mistral",
        "magistral-small",
        r#"{"role":"assistant","content":"a","reasoning_content":"hm"},{"role":"user","content":"q"}"#,
        r#"{"role":"assistant","content":[{"type":"thinking","thinking":[{"type":"text","text":"hm"}]},{"type":"text","text":"a"}]},{"role":"user","content":"q"}"#,
    );
    check(
        "fireworks",
        "m",
        r#"{"role":"assistant","content":"a","tool_calls":[{"id":"1","extra_content":{"google":{"thought_signature":"s"}}}]}"#,
        r#"{"role":"assistant","content":"a","tool_calls":[{"id":"1"}]}"#,
    );
    becomes(
        "deepseek",
        r#"{"model":"deepseek-v4-pro","reasoning_effort":"none","messages":[{"role":"assistant","content":"a"}]}"#,
        r#"{"model":"deepseek-v4-pro","messages":[{"role":"assistant","content":"a"}],"thinking":{"type":"disabled"}}"#,
    );
}
