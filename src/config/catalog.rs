//! What the configuration says about models: a newer catalog, and facts and prices of its owner's own.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is known of models beside what the binary knows: limits, capabilities, prices.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct Catalog {
    /// A newer catalog, as `ferrogw catalog import` writes it; what it does not know is looked up in the built-in one. A
    /// path that is not absolute begins at the folder of this file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Refuse images, sound and videos for models that are known not to take them, before anything is sent. `false`: only
    /// what `overrides` say counts. Default: `true`.
    pub check_content: bool,
    /// Models as you know them: own prices, deployments, fine-tuned models. They win over every catalog.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub overrides: Vec<Override>,
}

impl Default for Catalog {
    fn default() -> Self {
        Self { file: None, check_content: true, overrides: Vec::new() }
    }
}

impl Catalog {
    pub(super) fn is_default(&self) -> bool {
        *self == Catalog::default()
    }
}

/// One model as you know it.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("required" = ["model"]))]
pub struct Override {
    /// Id of the provider whose model it is; or else `target`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// Name of the one target for which this holds, as for prices of a contract.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// The provider's own name for the model: after `model_map`, and at Azure the deployment.
    pub model: String,
    /// A model of the catalog from which everything is taken that is not said here: `openai/gpt-5-mini`. Default: what
    /// the catalog knows of this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub like: Option<String>,
    /// What it is for: `chat`, `embedding`, `image`, `transcription`, `speech`, `rerank` …
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// Tokens it can hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context_window: Option<u32>,
    /// Tokens it can answer with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_output_tokens: Option<u32>,
    /// What it can do: `vision`, `function_calling`, `reasoning` … Replaces what the catalog says. Images, sound, files
    /// and videos are refused with `unsupported_content` where `vision`, `audio_input`, `pdf_input` or `video_input` is
    /// left out here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capabilities: Option<Vec<String>>,
    /// What it costs, in US dollars; 0 is free. Replaces the whole price list of the catalog.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price: Option<Price>,
}

/// Prices in US dollars. Tokens of a kind without a price cost what input or output does.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct Price {
    /// A million input tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub input_per_m_tokens: Option<f64>,
    /// A million output tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub output_per_m_tokens: Option<f64>,
    /// A million input tokens read from the provider's cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub cache_read_per_m_tokens: Option<f64>,
    /// A million input tokens written to the provider's cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub cache_write_per_m_tokens: Option<f64>,
    /// A million input tokens written to the provider's cache for an hour.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub cache_write_1h_per_m_tokens: Option<f64>,
    /// A million output tokens of reasoning.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub reasoning_per_m_tokens: Option<f64>,
    /// A million input tokens of sound.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub audio_input_per_m_tokens: Option<f64>,
    /// A million output tokens of sound.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub audio_output_per_m_tokens: Option<f64>,
    /// A million input tokens of images.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub image_input_per_m_tokens: Option<f64>,
    /// A million output tokens of images.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub image_output_per_m_tokens: Option<f64>,
    /// An image that is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub output_per_image: Option<f64>,
    /// A second of sound that is heard.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub input_per_second: Option<f64>,
    /// A character that is spoken.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub input_per_character: Option<f64>,
    /// A page that is read.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub per_page: Option<f64>,
    /// A query of a reranker.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub per_query: Option<f64>,
    /// Every request, beside its tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub per_request: Option<f64>,
    /// A search of the web.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub per_web_search: Option<f64>,
}

impl Price {
    /// Every price that is given, by its name here.
    pub fn given(&self) -> impl Iterator<Item = (&'static str, f64)> {
        let all = [
            ("input_per_m_tokens", self.input_per_m_tokens),
            ("output_per_m_tokens", self.output_per_m_tokens),
            ("cache_read_per_m_tokens", self.cache_read_per_m_tokens),
            ("cache_write_per_m_tokens", self.cache_write_per_m_tokens),
            ("cache_write_1h_per_m_tokens", self.cache_write_1h_per_m_tokens),
            ("reasoning_per_m_tokens", self.reasoning_per_m_tokens),
            ("audio_input_per_m_tokens", self.audio_input_per_m_tokens),
            ("audio_output_per_m_tokens", self.audio_output_per_m_tokens),
            ("image_input_per_m_tokens", self.image_input_per_m_tokens),
            ("image_output_per_m_tokens", self.image_output_per_m_tokens),
            ("output_per_image", self.output_per_image),
            ("input_per_second", self.input_per_second),
            ("input_per_character", self.input_per_character),
            ("per_page", self.per_page),
            ("per_query", self.per_query),
            ("per_request", self.per_request),
            ("per_web_search", self.per_web_search),
        ];
        all.into_iter().filter_map(|(name, price)| Some((name, price?)))
    }
}
