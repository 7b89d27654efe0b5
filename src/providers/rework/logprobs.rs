//! Log probabilities in the form of OpenAI's old completions, as some hosts still answer, turned into today's form.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::choices::{choices_mention, each};
use super::given;
use crate::wire::{Malformed, Object};

#[derive(Deserialize)]
struct Old {
    tokens: Vec<String>,
    #[serde(default)]
    token_logprobs: Vec<Option<f64>>,
    #[serde(default)]
    top_logprobs: Option<Vec<Option<Map<String, Value>>>>,
}

/// `{tokens, token_logprobs, top_logprobs}` becomes `{content: [{token, logprob, bytes, top_logprobs}]}` in chat answers.
pub fn per_token(body: &mut Object) -> Result<bool, Malformed> {
    if !choices_mention(body, "\"token_logprobs\"") {
        return Ok(false);
    }
    each(body, |choice| {
        // completions have the old form by right
        if !given(choice, "message") && !given(choice, "delta") {
            return Ok(false);
        }
        let Ok(Some(old)) = choice.get::<Old>("logprobs") else { return Ok(false) };
        let top = old.top_logprobs.unwrap_or_default();
        let content: Vec<Value> = old
            .tokens
            .iter()
            .enumerate()
            .map(|(at, token)| {
                let mut alternatives: Vec<(&String, f64)> = top
                    .get(at)
                    .and_then(Option::as_ref)
                    .map(|map| map.iter().filter_map(|(token, value)| Some((token, value.as_f64()?))).collect())
                    .unwrap_or_default();
                alternatives.sort_by(|a, b| b.1.total_cmp(&a.1));
                json!({
                    "token": token,
                    "logprob": old.token_logprobs.get(at).copied().flatten(),
                    "bytes": token.as_bytes(),
                    "top_logprobs": alternatives.iter().map(|(token, logprob)| {
                        json!({"token": token, "logprob": logprob, "bytes": token.as_bytes()})
                    }).collect::<Vec<_>>(),
                })
            })
            .collect();
        choice.set("logprobs", &json!({"content": content, "refusal": null}));
        Ok(true)
    })
}
