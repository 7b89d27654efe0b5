//! What the package `litellm` (PyPI, MIT) knows: one JSON file of prices, limits, capabilities and ends.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::{Found, Ignored, Models, amount};
use crate::catalog::date;
use crate::catalog::kind::{self, CAPABILITIES};
use crate::catalog::record::{Entry, Rates};

/// Where the file lies.
pub(super) const FILE: &str = "model_prices_and_context_window_backup.json";

/// Its name for a provider, ours, and what its ids begin with there.
const PROVIDERS: &[(&str, &str, &[&str])] = &[
    ("ai21", "ai21", &["ai21/"]),
    ("anthropic", "anthropic", &["anthropic/"]),
    ("azure_ai", "azure-foundry", &["azure_ai/"]),
    ("azure", "azure-openai", &["azure/"]),
    ("azure_text", "azure-openai", &["azure/"]),
    ("bedrock", "bedrock", BEDROCK),
    ("bedrock_converse", "bedrock", BEDROCK),
    ("bedrock_mantle", "bedrock", BEDROCK),
    ("cerebras", "cerebras", &["cerebras/"]),
    ("cloudflare", "cloudflare", &["cloudflare/"]),
    ("cohere", "cohere", &["cohere/", "cohere_chat/"]),
    ("cohere_chat", "cohere", &["cohere/", "cohere_chat/"]),
    ("databricks", "databricks", &["databricks/"]),
    ("deepinfra", "deepinfra", &["deepinfra/"]),
    ("deepseek", "deepseek", &["deepseek/"]),
    ("fireworks_ai", "fireworks", &["fireworks_ai/"]),
    ("fireworks_ai-embedding-models", "fireworks", &["fireworks_ai/"]),
    ("gemini", "gemini", &["gemini/"]),
    ("groq", "groq", &["groq/"]),
    ("huggingface", "hugging-face", &["huggingface/"]),
    ("mistral", "mistral", MISTRAL),
    ("codestral", "mistral", MISTRAL),
    ("text-completion-codestral", "mistral", MISTRAL),
    ("moonshot", "moonshot", &["moonshot/"]),
    ("novita", "novita", &["novita/"]),
    ("nvidia_nim", "nvidia-nim", &["nvidia_nim/"]),
    ("ollama", "ollama", &["ollama/"]),
    ("openai", "openai", OPENAI),
    ("text-completion-openai", "openai", OPENAI),
    ("openrouter", "openrouter", &["openrouter/"]),
    ("perplexity", "perplexity", &["perplexity/"]),
    ("dashscope", "qwen", QWEN),
    ("qwen_ai_platform", "qwen", QWEN),
    ("qwencloud", "qwen", QWEN),
    ("replicate", "replicate", &["replicate/"]),
    ("sambanova", "sambanova", &["sambanova/"]),
    ("together_ai", "together", &["together_ai/"]),
    ("vertex_ai", "vertex-ai", &["vertex_ai/"]),
    ("xai", "xai", &["xai/"]),
];
const BEDROCK: &[&str] = &["bedrock/", "bedrock_converse/", "bedrock_mantle/", "converse/"];
const MISTRAL: &[&str] = &["mistral/", "codestral/", "text-completion-codestral/"];
const OPENAI: &[&str] = &["openai/", "text-completion-openai/"];
const QWEN: &[&str] = &["dashscope/", "qwen_ai_platform/", "qwencloud/"];

/// Its name for a price, and ours.
const PRICES: &[(&str, &str)] = &[
    ("input_cost_per_token", "in"),
    ("output_cost_per_token", "out"),
    ("cache_read_input_token_cost", "cache_read"),
    ("input_cost_per_token_cache_hit", "cache_read"),
    ("cache_creation_input_token_cost", "cache_write"),
    ("cache_creation_input_token_cost_above_1hr", "cache_write_1h"),
    ("cache_creation_input_token_cost_above_12hr", "cache_write_12h"),
    ("output_cost_per_reasoning_token", "reasoning"),
    ("input_cost_per_audio_token", "audio_in"),
    ("output_cost_per_audio_token", "audio_out"),
    ("cache_read_input_audio_token_cost", "audio_cache_read"),
    ("cache_creation_input_audio_token_cost", "audio_cache_write"),
    ("input_cost_per_image_token", "image_in"),
    ("output_cost_per_image_token", "image_out"),
    ("cache_read_input_image_token_cost", "image_cache_read"),
    ("input_cost_per_video_token", "video_in"),
    ("output_cost_per_video_token", "video_out"),
    ("citation_cost_per_token", "citation"),
    ("input_cost_per_image", "per_image_in"),
    ("output_cost_per_image", "per_image_out"),
    ("input_cost_per_second", "per_second_in"),
    ("cost_per_second", "per_second_in"),
    ("input_cost_per_audio_per_second", "per_second_in"),
    ("input_cost_per_video_per_second", "per_second_in"),
    ("output_cost_per_second", "per_second_out"),
    ("output_cost_per_video_per_second", "per_second_out"),
    ("output_cost_per_second_480p", "per_second_out_480p"),
    ("output_cost_per_second_720p", "per_second_out_720p"),
    ("output_cost_per_second_768p", "per_second_out_768p"),
    ("output_cost_per_second_1080p", "per_second_out_1080p"),
    ("output_cost_per_second_2k", "per_second_out_2k"),
    ("output_cost_per_second_4k", "per_second_out_4k"),
    ("input_cost_per_character", "per_char_in"),
    ("output_cost_per_character", "per_char_out"),
    ("input_cost_per_query", "per_query"),
    ("input_cost_per_request", "per_request"),
    ("ocr_cost_per_page", "per_page"),
    ("annotation_cost_per_page", "per_page_annotated"),
    ("input_cost_per_pixel", "per_pixel_in"),
    ("output_cost_per_pixel", "per_pixel_out"),
    ("google_maps_grounding_cost_per_query", "per_maps_query"),
    ("input_cost_per_text_message", "per_message"),
    ("code_interpreter_cost_per_session", "per_session"),
];

/// Ways of serving that have prices of their own, and our conditions.
const VARIANTS: [(&str, &str); 5] = [
    ("_batches", "batch"),
    ("_priority", "priority"),
    ("_flex", "flex"),
    ("_ultrafast", "ultrafast"),
    ("_balanced", "balanced"),
];

/// Its flags, and our capabilities.
const FLAGS: &[(&str, &str)] = &[
    ("supports_vision", "vision"),
    ("supports_image_input", "vision"),
    ("supports_embedding_image_input", "vision"),
    ("supports_function_calling", "function_calling"),
    ("supports_parallel_function_calling", "parallel_tool_calls"),
    ("supports_tool_choice", "tool_choice"),
    ("supports_response_schema", "response_schema"),
    ("supports_native_streaming", "streaming"),
    ("supports_prompt_caching", "prompt_caching"),
    ("supports_reasoning", "reasoning"),
    ("supports_audio_input", "audio_input"),
    ("supports_audio_output", "audio_output"),
    ("supports_video_input", "video_input"),
    ("supports_pdf_input", "pdf_input"),
    ("supports_web_search", "web_search"),
    ("supports_system_messages", "system_messages"),
    ("supports_assistant_prefill", "assistant_prefill"),
    ("supports_computer_use", "computer_use"),
    ("supports_url_context", "url_context"),
];

/// Prices by condition, each with its tiers.
#[derive(Default)]
struct Prices(BTreeMap<&'static str, (Rates, BTreeMap<u64, Rates>)>);

/// Our id of the provider that it calls so.
pub(super) fn seller(theirs: &str) -> Option<&'static str> {
    let theirs = if theirs.starts_with("vertex_ai") { "vertex_ai" } else { theirs };
    PROVIDERS.iter().find(|(name, ..)| *name == theirs).map(|(_, ours, _)| *ours)
}

/// Reads the file.
///
/// # Errors
/// It is not JSON.
pub(super) fn read(text: &str, ignored: &mut Ignored) -> Result<Models, String> {
    let all: Map<String, Value> = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let mut models = Models::new();
    for (key, row) in &all {
        let theirs = row.get("litellm_provider").and_then(Value::as_str).unwrap_or_default();
        let theirs = if theirs.starts_with("vertex_ai") { "vertex_ai" } else { theirs };
        let Some((_, ours, prefixes)) = PROVIDERS.iter().find(|(name, ..)| *name == theirs) else { continue };
        let Some(row) = row.as_object().filter(|_| key != "sample_spec") else { continue };
        let id = prefixes.iter().find_map(|prefix| key.strip_prefix(prefix)).unwrap_or(key);
        let found = model(row, ignored);
        match models.entry(((*ours).to_owned(), id.to_owned())) {
            // a model may be there under several prefixes: whoever tells more wins
            std::collections::btree_map::Entry::Occupied(mut known) => {
                if known.get().price.len() < found.price.len() {
                    known.insert(found);
                }
            }
            std::collections::btree_map::Entry::Vacant(free) => {
                free.insert(found);
            }
        }
    }
    Ok(models)
}

fn model(row: &Map<String, Value>, ignored: &mut Ignored) -> Found {
    let tokens = |name: &str| row.get(name).and_then(count).unwrap_or_default();
    let most = tokens("max_output_tokens");
    let flags = FLAGS.iter().filter(|(flag, _)| row.get(*flag).and_then(Value::as_bool) == Some(true));
    let mut caps: BTreeSet<&str> = flags.map(|(_, cap)| *cap).collect();
    let outputs = row.get("supported_output_modalities").and_then(Value::as_array);
    if outputs.is_some_and(|outputs| outputs.iter().any(|output| output == "image")) {
        caps.insert("image_output");
    }
    let end = row.get("deprecation_date").and_then(Value::as_str).filter(|day| date::parse(day).is_some());
    Found {
        mode: Some(mode(row.get("mode").and_then(Value::as_str).unwrap_or("chat"), ignored)),
        max_input: tokens("max_input_tokens"),
        max_output: if most == 0 { tokens("max_tokens") } else { most },
        dims: u16::try_from(tokens("output_vector_size")).unwrap_or_default(),
        caps: CAPABILITIES.iter().copied().filter(|cap| caps.contains(cap)).collect(),
        deprecated: end.map(str::to_owned),
        price: prices(row, ignored),
        ..Found::default()
    }
}

/// A count, which some rows write as a float or as text.
fn count(value: &Value) -> Option<u32> {
    let number = value.as_f64().or_else(|| value.as_str()?.parse().ok())?;
    (number >= 0.0 && number <= f64::from(u32::MAX)).then_some(number as u32)
}

fn mode(theirs: &str, ignored: &mut Ignored) -> &'static str {
    let ours = match theirs {
        "image_generation" => "image",
        "audio_transcription" => "transcription",
        "audio_speech" => "speech",
        "video_generation" => "video",
        same => same,
    };
    kind::MODES.iter().find(|mode| **mode == ours).copied().unwrap_or_else(|| {
        ignored.note(format!("litellm: the mode {theirs}"));
        "other"
    })
}

fn prices(row: &Map<String, Value>, ignored: &mut Ignored) -> Vec<Entry> {
    let mut prices = Prices::default();
    for (name, value) in row {
        match (name.as_str(), value) {
            ("search_context_cost_per_query", Value::Object(sizes)) => {
                let medium = sizes.get("search_context_size_medium").and_then(|value| amount(value, 0));
                if let (Some(usd), Some(kind)) = (medium.filter(|usd| usd.picos() > 0), kind::number("per_search")) {
                    prices.0.entry("").or_default().0.set(kind, usd);
                }
            }
            ("tiered_pricing", Value::Array(tiers)) => tiers.iter().for_each(|tier| prices.put_tier(tier)),
            (name, Value::Number(_) | Value::String(_)) if name.contains("cost") => {
                let Some(usd) = amount(value, 0) else { continue };
                if !prices.put(name, usd) {
                    ignored.note(format!("litellm: the price {name}"));
                }
            }
            _ => {}
        }
    }
    let mut entries = prices.entries();
    if let Some(Value::Object(off)) = row.get("off_peak_pricing") {
        entries.extend(off_peak(off));
    }
    entries
}

impl Prices {
    /// Note a price by its name there; says whether the name is known.
    fn put(&mut self, name: &str, usd: crate::wire::money::Usd) -> bool {
        let known =
            |name: &str| PRICES.iter().find(|(theirs, _)| *theirs == name).and_then(|(_, ours)| kind::number(ours));
        if let Some(kind) = known(name) {
            self.0.entry("").or_default().0.add(kind, usd);
            return true;
        }
        let (name, when) =
            VARIANTS.iter().find_map(|(suffix, when)| Some((name.strip_suffix(suffix)?, *when))).unwrap_or((name, ""));
        let (rates, tiers) = self.0.entry(when).or_default();
        if let Some(kind) = known(name) {
            rates.set(kind, usd);
            return true;
        }
        let tier = name.rsplit_once("_above_").and_then(|(name, rest)| {
            let thousands: u64 = rest.strip_suffix("k_tokens")?.parse().ok()?;
            Some((known(name)?, thousands.checked_mul(1000)?))
        });
        let Some((kind, above)) = tier else { return false };
        tiers.entry(above).or_default().set(kind, usd);
        true
    }

    /// A tier of a list: `{"range": [32000, 128000], "input_cost_per_token": …}`; the first one is the plain price.
    fn put_tier(&mut self, tier: &Value) {
        let Some(from) = tier.get("range").and_then(|range| range.get(0)).and_then(Value::as_f64) else { return };
        let (rates, tiers) = self.0.entry("").or_default();
        let rates = if from > 0.0 { tiers.entry(from as u64).or_default() } else { rates };
        for (name, value) in tier.as_object().into_iter().flatten() {
            let known = PRICES.iter().find(|(theirs, _)| theirs == name).and_then(|(_, ours)| kind::number(ours));
            if let (Some(kind), Some(usd)) = (known, amount(value, 0)) {
                rates.add(kind, usd);
            }
        }
    }

    fn entries(self) -> Vec<Entry> {
        let filled = self.0.into_iter().filter(|(_, (rates, tiers))| !rates.is_empty() || !tiers.is_empty());
        filled
            .map(|(when, (rates, tiers))| Entry {
                when: Some(when.to_owned()).filter(|when| !when.is_empty()),
                rates,
                tiers: tiers.into_iter().collect(),
                ..Entry::default()
            })
            .collect()
    }
}

/// `{"windows": [{"weekdays": [1, 2], "hours_utc": ["16:30-00:30"]}], "input_cost_per_token": …}`
fn off_peak(off: &Map<String, Value>) -> Vec<Entry> {
    let mut rates = Rates::default();
    for (theirs, ours) in PRICES {
        if let (Some(usd), Some(kind)) = (off.get(*theirs).and_then(|value| amount(value, 0)), kind::number(ours)) {
            rates.add(kind, usd);
        }
    }
    let mut entries = Vec::new();
    for window in off.get("windows").and_then(Value::as_array).into_iter().flatten() {
        let days = window.get("weekdays").and_then(Value::as_array);
        let days = days.map_or(0x7f, |days| {
            days.iter()
                .filter_map(Value::as_u64)
                .filter(|day| (1..=7).contains(day))
                .fold(0, |bits, day| bits | 1 << (day - 1))
        });
        let hours = match window.get("hours_utc") {
            Some(Value::Array(hours)) => hours.iter().filter_map(Value::as_str).collect(),
            Some(Value::String(hours)) => vec![hours.as_str()],
            _ => Vec::new(),
        };
        for (from, to) in hours.into_iter().filter_map(|hours| hours.split_once('-')) {
            if let (Some(from), Some(to)) = (minute(from), minute(to)) {
                let to = if to == 0 { 1440 } else { to };
                entries.push(Entry { window: Some([days, from, to]), rates: rates.clone(), ..Entry::default() });
            }
        }
    }
    entries
}

/// `16:30` as a minute of the day.
fn minute(text: &str) -> Option<u16> {
    let (hours, minutes) = text.trim().split_once(':')?;
    let (hours, minutes): (u16, u16) = (hours.parse().ok()?, minutes.parse().ok()?);
    (hours <= 24 && minutes < 60).then_some(hours * 60 + minutes)
}
