//! Thoughts that stand in front of answers, in rows whose models write them there.

use serde_json::json;

use crate::support::{Say, TestGateway, Upstream, events, target};

const CHAT: &str = "/v1/chat/completions";

fn ask(model: &str, more: &str) -> String {
    format!(r#"{{"model":"{model}",{more}"messages":[{{"role":"user","content":"hi"}}]}}"#)
}

async fn gateway(row: &str, upstream: &Upstream, model: &str) -> TestGateway {
    let targets = target("t", row, upstream, &format!("{model:?}"), "");
    TestGateway::configured(&format!("strategy: {{ mode: single }}\ntargets:\n{targets}"), &[]).await
}

#[tokio::test]
async fn thoughts_of_a_reasoning_sonar_come_as_reasoning_content() {
    let upstream = Upstream::says([
        Say::text(r"<think>\nHm.\n</think>\n\nYes."),
        Say::words(&["<thi", "nk>Hm", ".</", "think>", r"\n", "Yes."]),
    ])
    .await;
    let gateway = gateway("perplexity", &upstream, "sonar-reasoning-pro").await;
    let whole = gateway.post(CHAT, ask("sonar-reasoning-pro", "")).await.json();
    let message = &whole["choices"][0]["message"];
    assert_eq!((&message["reasoning_content"], &message["content"]), (&json!("Hm."), &json!("Yes.")));
    let streamed = gateway.post(CHAT, ask("sonar-reasoning-pro", "\"stream\":true,")).await;
    assert!(streamed.is_done(), "{}", streamed.body);
    let said = |member: &str| -> String {
        let deltas = events(&streamed.body).into_iter().filter_map(|event| {
            let event: serde_json::Value = serde_json::from_str(event).ok()?;
            event["choices"][0]["delta"][member].as_str().map(str::to_owned)
        });
        deltas.collect()
    };
    assert_eq!((said("reasoning_content"), said("content")), ("Hm.".to_owned(), "Yes.".to_owned()));
}

#[tokio::test]
async fn other_models_may_begin_with_whatever_they_like() {
    let upstream = Upstream::says([Say::text("<think>a</think>b")]).await;
    let gateway = gateway("perplexity", &upstream, "sonar-pro").await;
    let whole = gateway.post(CHAT, ask("sonar-pro", "")).await.json();
    assert_eq!(whole["choices"][0]["message"]["content"], "<think>a</think>b");
}

#[tokio::test]
async fn thoughts_of_open_models_are_taken_out_of_the_text_unless_they_are_wanted_there() {
    for (row, model, more, content) in [
        ("sambanova", "DeepSeek-R1-0528", "", "b"),
        ("together", "Qwen/QwQ-32B", "", "b"),
        ("groq", "qwen/qwen3-32b", "", "b"),
        ("groq", "qwen/qwen3-32b", "\"reasoning_format\":\"raw\",", "<think>a</think>b"),
        ("sambanova", "Meta-Llama-3.3-70B-Instruct", "", "<think>a</think>b"),
    ] {
        let upstream = Upstream::says([Say::text("<think>a</think>b")]).await;
        let gateway = gateway(row, &upstream, model).await;
        let whole = gateway.post(CHAT, ask(model, more)).await.json();
        assert_eq!(whole["choices"][0]["message"]["content"], content, "{row} {model}");
    }
}

#[tokio::test]
async fn where_the_template_opens_the_thoughts_only_their_end_is_told() {
    let words = || Say::words(&["Hm", r".\n</think>", r"\n\n", "Yes."]);
    for (model, more, thought, answer) in [
        ("Qwen/QwQ-32B", "", "Hm.", "Yes."),
        ("deepseek-ai/DeepSeek-R1-Distill-Qwen-32B", "", "Hm.", "Yes."),
        ("Qwen/Qwen3-235B-A22B-Thinking-2507", "", "Hm.", "Yes."),
        ("Qwen/QwQ-32B", "\"response_format\":{\"type\":\"json_object\"},", "", "Hm.\n</think>\n\nYes."),
        ("Qwen/Qwen3-235B-A22B-Instruct-2507", "", "", "Hm.\n</think>\n\nYes."),
    ] {
        let upstream = Upstream::says([words()]).await;
        let gateway = gateway("together", &upstream, model).await;
        let streamed = gateway.post(CHAT, ask(model, &format!("\"stream\":true,{more}"))).await;
        let said = |member: &str| -> String {
            let events = events(&streamed.body).into_iter();
            let deltas = events.filter_map(|event| serde_json::from_str::<serde_json::Value>(event).ok());
            deltas.filter_map(|event| event["choices"][0]["delta"][member].as_str().map(str::to_owned)).collect()
        };
        assert_eq!(
            (said("reasoning_content"), said("content")),
            (thought.to_owned(), answer.to_owned()),
            "{model}{more}"
        );
    }
}
