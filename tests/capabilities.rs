//! What providers can do: the matrix, and who tells it.

use std::collections::BTreeSet;
use std::fmt::Write;

use ferrogw::call::Op;
use ferrogw::providers::capabilities::{self, CLASSIC, Effect, PARAMS};
use ferrogw::providers::table::{self, PROVIDERS};

use crate::support::{Say, TestGateway, Upstream, target};

/// A change here is a change of what a provider is sent.
#[test]
fn the_matrix_is_that_of_the_rows() {
    let mut matrix = String::new();
    for (at, param) in PARAMS.iter().enumerate() {
        _ = write!(matrix, "{:<28}", param.name);
        for spec in PROVIDERS {
            let sign = match capabilities::parameters(spec, None)[at].1 {
                Effect::Forward => "+",
                Effect::Translate => "T",
                Effect::Ignored => "i",
                Effect::Unsupported => "-",
            };
            _ = write!(matrix, " {sign}");
        }
        matrix.push('\n');
    }
    let ids: Vec<_> = PROVIDERS.iter().map(|spec| spec.id).collect();
    insta::assert_snapshot!(format!("{}\n\n{matrix}", ids.join(" ")));
}

#[test]
fn the_matrix_of_the_reference_comes_first() {
    let names: Vec<_> = PARAMS.iter().map(|param| param.name).collect();
    let reference = "temperature top_p n seed max_tokens max_completion_tokens presence_penalty frequency_penalty stop \
                     tools tool_choice response_format logprobs top_logprobs parallel_tool_calls user logit_bias";
    assert_eq!(names[..CLASSIC], reference.split(' ').collect::<Vec<_>>());
    assert_eq!(names.len(), names.iter().collect::<BTreeSet<_>>().len());
}

#[test]
fn surfaces_are_the_operations_of_the_row_and_completions_through_chat() {
    let surfaces = |id: &str| capabilities::surfaces(table::find(id).unwrap());
    let (chat, kept) = ([(Op::Chat, true), (Op::Complete, false)], [(Op::File, true), (Op::Batch, true)]);
    assert_eq!(surfaces("anthropic"), [chat, kept].concat());
    assert!(surfaces("openai").starts_with(&[(Op::Chat, true), (Op::Complete, true), (Op::Embed, true)]));
}

#[tokio::test]
async fn the_gateway_tells_what_the_served_providers_can_do() {
    let upstream = Upstream::says([Say::text("x")]).await;
    let targets = target("a", "deepseek", &upstream, "m", "") + &target("b", "openai", &upstream, "m", "");
    let more = target("c", "openai", &upstream, "m", "");
    let gateway =
        TestGateway::configured(&format!("strategy: {{ mode: fallback }}\ntargets:\n{targets}{more}"), &[]).await;
    let all = gateway.get("/v1/capabilities").await;
    assert_eq!((all.status, all.header("content-type")), (200, "application/json"));
    let all = all.json();
    let ids: Vec<_> = all["providers"].as_object().unwrap().keys().collect();
    assert_eq!(ids, ["deepseek", "openai"]);
    for (id, matrix) in all["providers"].as_object().unwrap() {
        assert_eq!(matrix.as_object().unwrap().len(), CLASSIC, "{id}");
    }
    let deepseek = &all["providers"]["deepseek"];
    let words =
        ["seed", "stop", "max_completion_tokens", "presence_penalty"].map(|name| deepseek[name].as_str().unwrap());
    assert_eq!(words, ["unsupported", "forward", "translate", "unsupported"]);
    assert_eq!(all["parameters"]["deepseek"]["presence_penalty"], "ignored");
    assert_eq!(all["parameters"]["deepseek"].as_object().unwrap().len(), PARAMS.len());
    assert_eq!(
        all["surfaces"]["deepseek"],
        serde_json::json!({"chat": "native", "completions": "chat", "passthrough": "native"})
    );
    assert_eq!(all["image_response_formats"], serde_json::json!({}));

    let one = gateway.get("/v1/capabilities?provider=openai&model=o3").await.json();
    assert_eq!(one["providers"].as_object().unwrap().len(), 1);
    assert_eq!(
        (&one["parameters"]["openai"]["temperature"], one["parameters"].get("deepseek")),
        (&"unsupported".into(), None)
    );
    assert_eq!(gateway.get("/v1/capabilities?provider=groq").await.status, 404);
    let twice = gateway.get("/v1/capabilities?model=a&model=b").await;
    assert_eq!((twice.status, twice.code().as_str()), (400, "invalid_request"));
    assert!(upstream.seen().is_empty());
}

#[tokio::test]
async fn content_that_the_configuration_says_a_model_cannot_take_is_refused_by_name() {
    let upstream = Upstream::says([Say::text("hi")]).await;
    let overrides =
        "catalog: { overrides: [{ provider: openai, model: m, capabilities: [function_calling, audio_input] }] }\n";
    let blind = TestGateway::with(&[&upstream], "", overrides).await;
    let content = |part: &str| {
        format!(
            r#"{{"model":"m","messages":[{{"role":"system","content":"s"}},{{"role":"user","content":[{{"type":"text","text":"x"}},{part}]}}]}}"#
        )
    };
    let image = r#"{"type":"image_url","image_url":{"url":"https://example.test/a.png"}}"#;
    let sound = r#"{"type":"input_audio","input_audio":{"data":"aGk=","format":"wav"}}"#;
    let reply = blind.post("/v1/chat/completions", content(image)).await;
    let refused = (reply.status, reply.code(), reply.json()["error"]["param"].clone());
    assert_eq!(refused, (400, "unsupported_content".to_owned(), "messages[1].content[1]".into()), "{}", reply.body);
    assert!(upstream.seen().is_empty());
    assert_eq!(blind.post("/v1/chat/completions", content(sound)).await.status, 200);
    let response = r#"{"model":"m","input":[{"role":"user","content":[{"type":"input_file","file_id":"f"}]}]}"#;
    let reply = blind.post("/v1/responses", response).await;
    assert_eq!((reply.status, reply.json()["error"]["param"].clone()), (400, "input[0].content[0]".into()));
    // what is not said may only be unknown
    let silent = "catalog: { overrides: [{ provider: openai, model: m, context_window: 8000 }] }\n";
    let gateway = TestGateway::with(&[&upstream], "", silent).await;
    assert_eq!(gateway.post("/v1/chat/completions", content(image)).await.status, 200);
}
