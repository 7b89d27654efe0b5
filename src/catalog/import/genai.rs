//! What the package `genai-prices` (PyPI, MIT) knows: Python constructor calls with dated prices, tiers and variants.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::python;
use super::{Found, Ignored, Models, amount};
use crate::catalog::kind;
use crate::catalog::record::{Entry, Rates};
use crate::wire::money::Usd;

/// Where the file lies.
pub(super) const FILE: &str = "genai_prices/data.py";

/// Its name for a provider, and ours. Routers of Hugging Face are told apart by a suffix of the id, as it does itself.
const PROVIDERS: &[(&str, &str)] = &[
    ("anthropic", "anthropic"),
    ("aws", "bedrock"),
    ("azure", "azure-openai"),
    ("cerebras", "cerebras"),
    ("cloudflare", "cloudflare"),
    ("cohere", "cohere"),
    ("databricks", "databricks"),
    ("deepseek", "deepseek"),
    ("fireworks", "fireworks"),
    ("google", "gemini"),
    ("groq", "groq"),
    ("mistral", "mistral"),
    ("moonshotai", "moonshot"),
    ("novita", "novita"),
    ("openai", "openai"),
    ("openrouter", "openrouter"),
    ("perplexity", "perplexity"),
    ("together", "together"),
    ("x-ai", "xai"),
];

/// It has one Google for two services: what begins otherwise is served by Vertex AI alone.
const GOOGLES_OWN: [&str; 12] = [
    "gemini",
    "gemma",
    "text-embedding",
    "embedding",
    "imagen",
    "veo",
    "lyria",
    "learnlm",
    "aqa",
    "nano-banana",
    "deep-research",
    "antigravity",
];

/// Its name for a price, ours, and for how many units it is, as a power of ten; hours are 3,600 seconds.
const PRICES: &[(&str, &str, i32)] = &[
    ("input_mtok", "in", 6),
    ("output_mtok", "out", 6),
    ("cache_read_mtok", "cache_read", 6),
    ("cache_write_mtok", "cache_write", 6),
    ("cache_write_5m_mtok", "cache_write", 6),
    ("cache_write_1h_mtok", "cache_write_1h", 6),
    ("output_reasoning_mtok", "reasoning", 6),
    ("input_audio_mtok", "audio_in", 6),
    ("output_audio_mtok", "audio_out", 6),
    ("cache_audio_read_mtok", "audio_cache_read", 6),
    ("input_image_mtok", "image_in", 6),
    ("output_image_mtok", "image_out", 6),
    ("cache_image_read_mtok", "image_cache_read", 6),
    ("input_video_mtok", "video_in", 6),
    ("output_video_mtok", "video_out", 6),
    ("output_citation_mtok", "citation", 6),
    ("requests_kcount", "per_request", 3),
    ("web_searches_kcount", "per_search", 3),
    ("storage_searches_kcount", "per_file_search", 3),
    ("input_mchars", "per_char_in", 6),
    ("input_document_kpages", "per_page", 3),
    ("input_annotated_document_kpages", "per_page_annotated", 3),
    ("input_text_messages_kcount", "per_message", 3),
    ("audio_hours", "per_second_in", HOURS),
    ("input_audio_hours", "per_second_in", HOURS),
];
const HOURS: i32 = 0;

/// Reads the file.
///
/// # Errors
/// Where it is not data.
pub(super) fn read(text: &str, ignored: &mut Ignored) -> Result<Models, String> {
    let providers = python::assigned(text, "providers")?;
    let mut models = Models::new();
    for provider in list(Some(&providers)) {
        let theirs = word(provider, "id");
        let backend = theirs.strip_prefix("huggingface_");
        let known = PROVIDERS.iter().find(|(name, _)| *name == theirs).map(|(_, ours)| *ours);
        let Some(ours) = known.or(backend.map(|_| "hugging-face")) else { continue };
        for model in list(provider.get("models")) {
            let id = backend
                .map_or_else(|| word(model, "id").to_owned(), |backend| format!("{}:{backend}", word(model, "id")));
            let own =
                ours != "gemini" || GOOGLES_OWN.iter().any(|own| id.starts_with(own)) || id.starts_with("computer-use");
            let at = if own { ours } else { "vertex-ai" };
            models.insert((at.to_owned(), id), self::model(model, ignored));
        }
    }
    Ok(models)
}

fn list(value: Option<&Value>) -> &[Value] {
    value.and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn word<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn model(model: &Value, ignored: &mut Ignored) -> Found {
    let mut price = Vec::new();
    match model.get("prices") {
        Some(Value::Array(dated)) => {
            for one in dated {
                price.extend(entry(one.get("prices"), one.get("constraint"), None, ignored));
            }
        }
        plain => price.extend(entry(plain, None, None, ignored)),
    }
    for variant in list(model.get("price_variants")) {
        let when = variant.get("when").and_then(Value::as_object).map(condition).unwrap_or_default();
        if !when.is_empty() {
            price.extend(entry(variant.get("prices"), variant.get("constraint"), Some(when), ignored));
        }
    }
    Found {
        name: Some(word(model, "name").to_owned()).filter(|name| !name.is_empty()),
        context: word(model, "context_window").parse().unwrap_or_default(),
        retired: model.get("deprecated").and_then(Value::as_bool) == Some(true),
        price,
        ..Found::default()
    }
}

/// Its condition in our words; the default way of serving is none.
fn condition(when: &Map<String, Value>) -> String {
    let parts: Vec<String> =
        when.iter().map(|(name, value)| format!("{name}={}", value.as_str().unwrap_or_default())).collect();
    match parts.join("+").as_str() {
        "processing=batch" => "batch".to_owned(),
        "service_tier=flex" => "flex".to_owned(),
        "service_tier=priority" => "priority".to_owned(),
        "service_tier=fast" | "speed=fast" => "fast".to_owned(),
        "service_tier=default" => String::new(),
        other => other.to_owned(),
    }
}

fn entry(prices: Option<&Value>, limit: Option<&Value>, when: Option<String>, ignored: &mut Ignored) -> Option<Entry> {
    let mut entry = Entry { when, ..Entry::default() };
    match limit.map(|limit| word(limit, "_")) {
        Some("StartDateConstraint") => {
            let parts: Vec<u32> = numbers(limit?.get("start_date")?.get("args"));
            let [year, month, day] = parts[..] else { return None };
            entry.from = Some(format!("{year:04}-{month:02}-{day:02}"));
        }
        Some("TimeOfDateConstraint") => {
            let minute = |name: &str| {
                let time = limit?.get(name)?;
                let given = numbers(time.get("args"));
                let named = |name: &str| word(time, name).parse().unwrap_or(0);
                let (hour, minute) = (given.first().copied(), given.get(1).copied());
                Some((hour.unwrap_or_else(|| named("hour")) * 60 + minute.unwrap_or_else(|| named("minute"))) as u16)
            };
            entry.window = Some([0x7f, minute("start_time")?, minute("end_time")?]);
        }
        Some(other) if !other.is_empty() => {
            ignored.note(format!("genai-prices: the constraint {other}"));
            return None;
        }
        _ => {}
    }
    let mut tiers: BTreeMap<u64, Rates> = BTreeMap::new();
    for (name, value) in prices?.as_object()?.iter().filter(|(name, value)| *name != "_" && !value.is_null()) {
        let Some((_, ours, units)) = PRICES.iter().find(|(theirs, ..)| theirs == name) else {
            ignored.note(format!("genai-prices: the price {name}"));
            continue;
        };
        let Some(kind) = kind::number(ours) else { continue };
        if let Some(usd) = one(value.get("base").unwrap_or(value), *units) {
            entry.rates.set(kind, usd);
        }
        for tier in list(value.get("tiers")) {
            let above = word(tier, "start").parse().ok();
            if let (Some(above), Some(usd)) = (above, tier.get("price").and_then(|price| one(price, *units))) {
                tiers.entry(above).or_default().set(kind, usd);
            }
        }
    }
    entry.tiers = tiers.into_iter().collect();
    Some(entry)
}

/// The price of one unit.
fn one(value: &Value, units: i32) -> Option<Usd> {
    let usd = amount(value, -units)?;
    Some(if units == HOURS { Usd::of_picos(u128::from(usd.picos() + 1800) / 3600) } else { usd })
}

fn numbers(args: Option<&Value>) -> Vec<u32> {
    list(args).iter().filter_map(|arg| arg.as_str()?.parse().ok()).collect()
}
