//! A stream of chunks folded into the whole answer it would have been, for providers that only stream.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::wire::{Malformed, Object, sse};

/// What has been said so far.
#[derive(Default)]
pub struct Fold {
    answer: Map<String, Value>,
    choices: Vec<Choice>,
}

/// One choice in the making.
#[derive(Default)]
struct Choice {
    index: u64,
    message: Map<String, Value>,
    /// `finish_reason`, `logprobs` and whatever else stands beside the message.
    beside: Map<String, Value>,
}

impl Fold {
    /// Takes whole frames, as `stream::Events` passes them on. Fails on an event that is no JSON object.
    pub fn push(&mut self, frames: Bytes) -> Result<(), Malformed> {
        for data in sse::split(frames).filter_map(|frame| sse::data(&frame)) {
            let data = data.trim_ascii();
            if data.is_empty() || data == b"[DONE]" {
                continue;
            }
            let chunk = serde_json::from_slice(data).map_err(|error| Malformed::new(error.to_string()))?;
            self.take(chunk);
        }
        Ok(())
    }

    fn take(&mut self, chunk: Map<String, Value>) {
        for (name, value) in chunk {
            match (name.as_str(), value) {
                ("choices", Value::Array(choices)) => choices.into_iter().for_each(|choice| self.choice(choice)),
                ("object", _) | (_, Value::Null) => {}
                (_, value) => _ = self.answer.insert(name, value),
            }
        }
    }

    fn choice(&mut self, choice: Value) {
        let Value::Object(mut choice) = choice else { return };
        let index = choice.remove("index").and_then(|index| index.as_u64()).unwrap_or_default();
        let at = self.choices.iter().position(|known| known.index == index).unwrap_or_else(|| {
            self.choices.push(Choice { index, ..Choice::default() });
            self.choices.len() - 1
        });
        let known = &mut self.choices[at];
        if let Some(Value::Object(delta)) = choice.remove("delta") {
            merge(&mut known.message, delta);
        }
        // a role or a reason that is said twice is the same one
        for name in ["finish_reason", "native_finish_reason", "stop_reason"] {
            if let Some(reason) = choice.remove(name).filter(|reason| !reason.is_null()) {
                known.beside.insert(name.to_owned(), reason);
            }
        }
        merge(&mut known.beside, choice);
    }

    /// The whole answer.
    pub fn end(mut self) -> Result<Object, Malformed> {
        self.choices.sort_by_key(|choice| choice.index);
        let choices = self.choices.into_iter().map(|mut choice| {
            if let Some(Value::Array(calls)) = choice.message.get_mut("tool_calls") {
                calls.iter_mut().filter_map(Value::as_object_mut).for_each(|call| _ = call.shift_remove("index"));
            }
            choice.message.entry("role").or_insert_with(|| json!("assistant"));
            choice.message.entry("content").or_insert(Value::Null);
            let mut whole = Map::new();
            whole.insert("index".to_owned(), choice.index.into());
            whole.insert("message".to_owned(), choice.message.into());
            whole.extend(choice.beside);
            whole.entry("finish_reason").or_insert(Value::Null);
            Value::Object(whole)
        });
        let choices: Vec<Value> = choices.collect();
        self.answer.insert("object".to_owned(), json!("chat.completion"));
        self.answer.insert("choices".to_owned(), choices.into());
        Object::parse(Value::Object(self.answer).to_string().into())
    }
}

/// Names whose values are said whole each time.
const WHOLE: [&str; 6] = ["role", "id", "type", "name", "format", "expires_at"];

/// Adds what a delta says: texts and lists grow, objects are merged, the rest is replaced. Items of a list that have an
/// `index` belong to the item of that index.
fn merge(known: &mut Map<String, Value>, delta: Map<String, Value>) {
    for (name, value) in delta {
        match (known.get_mut(&name), value) {
            (_, Value::Null) => {}
            (Some(Value::String(text)), Value::String(more)) if !WHOLE.contains(&name.as_str()) => text.push_str(&more),
            (Some(Value::Object(part)), Value::Object(more)) => merge(part, more),
            (Some(Value::Array(items)), Value::Array(more)) => more.into_iter().for_each(|item| add(items, item)),
            (_, Value::Array(more)) => {
                let mut items = Vec::new();
                more.into_iter().for_each(|item| add(&mut items, item));
                known.insert(name, Value::Array(items));
            }
            (_, value) => _ = known.insert(name, value),
        }
    }
}

fn add(items: &mut Vec<Value>, item: Value) {
    let index = item.get("index").and_then(Value::as_u64);
    let same = |known: &&mut Value| index.is_some() && known.get("index").and_then(Value::as_u64) == index;
    match (items.iter_mut().find(same), item) {
        (Some(Value::Object(known)), Value::Object(more)) => merge(known, more),
        (_, item) => items.push(item),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folded(events: &[Value]) -> Value {
        let mut fold = Fold::default();
        for event in events {
            fold.push(sse::frame(event.to_string().as_bytes())).expect("an object");
        }
        fold.push(Bytes::from_static(b": a comment\n\ndata: [DONE]\n\n")).expect("not an event");
        serde_json::from_slice(&fold.end().expect("an answer").encode()).expect("JSON")
    }

    #[test]
    fn texts_thoughts_tools_and_usage_become_one_answer() {
        let chunk = |delta: Value| json!({"id": "1", "object": "chat.completion.chunk", "model": "m", "choices": [{"index": 0, "delta": delta}]});
        let answer = folded(&[
            chunk(json!({"role": "assistant", "content": null, "reasoning_content": "Let me "})),
            chunk(json!({"reasoning_content": "think.", "content": ""})),
            chunk(json!({"content": "It is "})),
            chunk(json!({"content": "12.", "extra": 1})),
            chunk(
                json!({"tool_calls": [{"index": 0, "id": "c0", "type": "function", "function": {"name": "f", "arguments": ""}}]}),
            ),
            chunk(
                json!({"tool_calls": [{"index": 1, "id": "c1", "type": "function", "function": {"name": "g", "arguments": "{}"}}]}),
            ),
            chunk(json!({"tool_calls": [{"index": 0, "type": "function", "function": {"arguments": "{\"a\":"}}]})),
            chunk(json!({"tool_calls": [{"index": 0, "function": {"arguments": "1}"}}]})),
            json!({"id": "1", "choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls", "logprobs": null}]}),
            json!({"id": "1", "choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 9}}),
        ]);
        let call = |id: &str, name: &str, arguments: &str| json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}});
        let calls = [call("c0", "f", "{\"a\":1}"), call("c1", "g", "{}")];
        assert_eq!(
            answer,
            json!({"id": "1", "object": "chat.completion", "model": "m", "usage": {"prompt_tokens": 3, "completion_tokens": 9},
                "choices": [{"index": 0, "finish_reason": "tool_calls", "message": {"role": "assistant", "content": "It is 12.",
                    "reasoning_content": "Let me think.", "extra": 1, "tool_calls": calls}}]})
        );
    }

    #[test]
    fn choices_are_kept_apart_and_logprobs_grow() {
        let token = |token: &str| json!({"content": [{"token": token, "logprob": -0.1}]});
        let choice = |index: u64, text: &str, logprobs: Value| json!({"choices": [{"index": index, "delta": {"content": text}, "logprobs": logprobs}]});
        let answer = folded(&[
            choice(1, "b", Value::Null),
            choice(0, "a", token("a")),
            choice(0, "c", token("c")),
            choice(1, "d", Value::Null),
        ]);
        assert_eq!(answer["choices"][0]["message"]["content"], "ac");
        assert_eq!(answer["choices"][0]["logprobs"]["content"].as_array().map(Vec::len), Some(2));
        assert_eq!(answer["choices"][1]["message"]["content"], "bd");
    }
}
