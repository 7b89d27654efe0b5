//! Tokens, counted as OpenAI counts them.
//!
//! <https://ai.google.dev/api/generate-content#UsageMetadata>

use std::borrow::Cow;

use serde::Deserialize;

use super::json::Json;

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Counts<'a> {
    prompt_token_count: Option<u64>,
    tool_use_prompt_token_count: Option<u64>,
    cached_content_token_count: Option<u64>,
    candidates_token_count: Option<u64>,
    thoughts_token_count: Option<u64>,
    total_token_count: Option<u64>,
    #[serde(borrow)]
    prompt_tokens_details: Option<Vec<Kind<'a>>>,
    #[serde(borrow)]
    candidates_tokens_details: Option<Vec<Kind<'a>>>,
    #[serde(borrow)]
    traffic_type: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Kind<'a> {
    #[serde(borrow, default)]
    modality: Cow<'a, str>,
    #[serde(default)]
    token_count: u64,
}

/// Of a modality among the details.
fn of(details: &Option<Vec<Kind<'_>>>, modality: &str) -> Option<u64> {
    let found = details.iter().flatten().filter(|kind| kind.modality == modality).map(|kind| kind.token_count);
    found.reduce(u64::saturating_add)
}

/// The usage object; `None` if the counts can't be read.
pub(super) fn usage(raw: &[u8]) -> Option<Json> {
    let counts: Counts<'_> = serde_json::from_slice(raw).ok()?;
    let thoughts = counts.thoughts_token_count.unwrap_or(0);
    let candidates = counts.candidates_token_count.unwrap_or(0);
    let used = counts.tool_use_prompt_token_count.unwrap_or(0);
    let prompt = counts.prompt_token_count.unwrap_or(0).saturating_add(used);
    // thoughts stand beside the answer; where the sum says otherwise, they are inside
    let inside = thoughts > 0
        && candidates >= thoughts
        && counts.total_token_count.is_some_and(|total| total == prompt.saturating_add(candidates));
    let completion = if inside { candidates } else { candidates.saturating_add(thoughts) };
    let mut json = Json::with_capacity(256);
    json.raw("{").name("prompt_tokens").number(prompt);
    json.name("completion_tokens").number(completion);
    json.name("total_tokens").number(prompt.saturating_add(completion));
    let details = &counts.prompt_tokens_details;
    let (audio, images) = (of(details, "AUDIO"), of(details, "IMAGE"));
    section(
        &mut json,
        "prompt_tokens_details",
        &[
            ("cached_tokens", counts.cached_content_token_count),
            ("audio_tokens", audio),
            ("image_tokens", images),
            ("text_tokens", of(details, "TEXT").filter(|_| audio.is_some() || images.is_some())),
        ],
    );
    let details = &counts.candidates_tokens_details;
    section(
        &mut json,
        "completion_tokens_details",
        &[
            ("reasoning_tokens", counts.thoughts_token_count),
            ("audio_tokens", of(details, "AUDIO")),
            ("image_tokens", of(details, "IMAGE")),
        ],
    );
    json.raw("}");
    Some(json)
}

/// How the traffic was billed, as Vertex says: `ON_DEMAND`, `PROVISIONED_THROUGHPUT`.
pub(super) fn traffic(raw: &[u8]) -> Option<String> {
    serde_json::from_slice::<Counts<'_>>(raw).ok()?.traffic_type.map(Cow::into_owned)
}

fn section(json: &mut Json, name: &str, counts: &[(&str, Option<u64>)]) {
    if counts.iter().all(|(_, count)| count.is_none()) {
        return;
    }
    json.name(name).raw("{");
    for (name, count) in counts {
        if let Some(count) = count {
            json.name(name).number(*count);
        }
    }
    json.raw("}");
}
