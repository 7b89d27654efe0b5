//! Histories of tool calls made whole, only where the configuration asks for it.

use serde_json::{Value, json};

use crate::support::{Reply, Say, Seen, TestGateway, Upstream, target};

const REPAIR: &str = "tools: { repair_history: true }\n";

async fn ask(row: &str, path: &str, body: &Value, top: &str, say: Say) -> (Reply, Seen) {
    let upstream = Upstream::says([say]).await;
    let targets = target("t", row, &upstream, "m", "");
    let gateway = TestGateway::configured(&format!("targets:\n{targets}{top}"), &[]).await;
    let reply = gateway.post(path, body.to_string()).await;
    (reply, upstream.seen().remove(0))
}

async fn chat(row: &str, messages: Value, top: &str) -> (Reply, Value) {
    let body = json!({"model": "m", "messages": messages});
    let (reply, seen) = ask(row, "/v1/chat/completions", &body, top, Say::text("ok")).await;
    (reply, seen.json())
}

fn calls(ids: &[&str]) -> Value {
    let call = |id: &&str| json!({"id": id, "type": "function", "function": {"name": "f", "arguments": "{}"}});
    json!({"role": "assistant", "content": null, "tool_calls": ids.iter().map(call).collect::<Vec<_>>()})
}

#[tokio::test]
async fn a_call_without_a_result_gets_one_that_says_so() {
    let user = json!({"role": "user", "content": "go"});
    let given = json!({"role": "tool", "tool_call_id": "b", "content": "2"});
    let messages = json!([user, calls(&["a", "b"]), given, user, calls(&["c"])]);
    let none = |id: &str| json!({"role": "tool", "content": "no result was provided", "tool_call_id": id});
    let (reply, sent) = chat("openai", messages.clone(), REPAIR).await;
    let whole = json!([user, calls(&["a", "b"]), given, none("a"), user, calls(&["c"]), none("c")]);
    assert_eq!(sent["messages"], whole);
    assert_eq!(
        reply.header("x-ferro-warnings"),
        "param=messages[1].tool_calls[0];provider=openai;action=answered, \
         param=messages[4].tool_calls[0];provider=openai;action=answered"
    );
    // nobody has asked for it
    let (reply, sent) = chat("openai", messages.clone(), "").await;
    assert_eq!((&sent["messages"], reply.header("x-ferro-warnings")), (&messages, ""));
    // nothing is missing
    let messages = json!([user, calls(&["b"]), given]);
    let (reply, sent) = chat("openai", messages.clone(), REPAIR).await;
    assert_eq!((&sent["messages"], reply.header("x-ferro-warnings")), (&messages, ""));
}

#[tokio::test]
async fn a_result_that_comes_late_is_moved_up_to_its_call() {
    let user = |text: &str| json!({"role": "user", "content": text});
    let result = |id: &str, text: &str| json!({"role": "tool", "tool_call_id": id, "content": text});
    let (a, b) = ("abcdefghi", "bcdefghij");
    let messages =
        json!([user("go"), calls(&[a, b]), result(b, "2"), user("wait"), result(a, "1"), user("on"), calls(&[a])]);

    let (reply, sent) = chat("mistral", messages.clone(), REPAIR).await;
    let sent = sent["messages"].as_array().unwrap();
    let of = |message: &Value| (message["role"].as_str().unwrap().to_owned(), message["content"].clone());
    let expected = [
        ("user", json!("go")),
        ("assistant", json!("")),
        ("tool", json!("2")),
        ("tool", json!("1")),
        ("assistant", json!("Noted.")),
        ("user", json!("wait")),
        ("user", json!("on")),
        ("assistant", json!("")),
        ("tool", json!("no result was provided")),
    ];
    let expected: Vec<_> = expected.into_iter().map(|(role, content)| (role.to_owned(), content)).collect();
    assert_eq!(sent.iter().map(of).collect::<Vec<_>>(), expected);
    assert_eq!(
        reply.header("x-ferro-warnings"),
        "param=messages[4];provider=mistral;action=moved, param=messages[3];provider=mistral;action=preceded, \
         param=messages[6].tool_calls[0];provider=mistral;action=answered"
    );

    let messages = json!([user("go"), calls(&["a"]), user("wait"), result("a", "r"), user("b")]);
    let body = json!({"model": "m", "messages": messages});
    let answer = r#"{"id":"x","type":"message","role":"assistant","model":"m","content":[{"type":"text","text":"ok"}],"stop_reason":"end_turn","usage":{"input_tokens":1,"output_tokens":1}}"#;
    let (reply, seen) = ask("anthropic", "/v1/chat/completions", &body, REPAIR, Say::json(200, answer)).await;
    let sent = seen.json();
    assert_eq!(sent["messages"].to_string().matches("tool_result").count(), 1, "{}", sent["messages"]);
    assert_eq!(sent["messages"][2]["content"][0]["tool_use_id"], "a", "{}", sent["messages"]);
    assert!(sent["messages"][2]["content"][0].to_string().contains("\"r\""), "{}", sent["messages"]);
    assert_eq!(reply.header("x-ferro-warnings"), "param=messages[3];provider=anthropic;action=moved");
}

#[tokio::test]
async fn the_messages_that_vendors_insist_on_are_added() {
    let (system, user) = (json!({"role": "system", "content": "s"}), json!({"role": "user", "content": "go"}));
    let result = json!({"role": "tool", "tool_call_id": "abcdefghi", "content": "2"});
    let messages = json!([user, calls(&["abcdefghi"]), result, user]);
    let (reply, sent) = chat("mistral", messages, REPAIR).await;
    assert_eq!(sent["messages"][3], json!({"role": "assistant", "content": "Noted."}));
    assert_eq!(reply.header("x-ferro-warnings"), "param=messages[3];provider=mistral;action=preceded");

    let begun = json!({"role": "assistant", "content": "Hello"});
    let body = json!({"model": "m", "messages": [system, begun, user]});
    let answer = r#"{"id":"x","type":"message","role":"assistant","model":"m","content":[{"type":"text","text":"ok"}],"stop_reason":"end_turn","usage":{"input_tokens":1,"output_tokens":1}}"#;
    let (reply, seen) = ask("anthropic", "/v1/chat/completions", &body, REPAIR, Say::json(200, answer)).await;
    let roles = |sent: &Value| {
        let messages = sent["messages"].as_array().unwrap().iter();
        messages.map(|message| message["role"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(roles(&seen.json()), ["user", "assistant", "user"]);
    assert_eq!(reply.header("x-ferro-warnings"), "param=messages[1];provider=anthropic;action=preceded");
}

#[tokio::test]
async fn items_of_a_response_are_made_whole_too() {
    let call = json!({"type": "function_call", "call_id": "a", "name": "f", "arguments": "{}"});
    let body = json!({"model": "m", "input": [{"role": "user", "content": "go"}, call]});
    let answer = Say::json(200, r#"{"id":"resp_1","object":"response","status":"completed","output":[]}"#);
    let (_, seen) = ask("openai", "/v1/responses", &body, REPAIR, answer).await;
    let none = json!({"type": "function_call_output", "call_id": "a", "output": "no result was provided"});
    assert_eq!(seen.json()["input"], json!([{"role": "user", "content": "go"}, call, none]));
}

#[tokio::test]
async fn a_refusal_of_such_a_history_names_the_mend() {
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "go"}, calls(&["a"])]});
    let words =
        "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'.";
    let error =
        json!({"error": {"message": words, "type": "invalid_request_error", "param": "messages", "code": null}});
    let (reply, _) = ask("openai", "/v1/chat/completions", &body, "", Say::json(400, &error.to_string())).await;
    assert_eq!(reply.status, 400);
    let message = reply.json()["error"]["message"].as_str().unwrap().to_owned();
    assert!(message.contains(words) && message.contains("tools.repair_history"), "{message}");
}
