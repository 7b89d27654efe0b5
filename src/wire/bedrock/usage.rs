//! What a call consumed, as Converse counts it and as OpenAI writes it.

use serde::{Deserialize, Deserializer};

/// Converse's `TokenUsage`. Input tokens leave out those of the cache.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Tokens {
    #[serde(deserialize_with = "count")]
    input_tokens: u64,
    #[serde(deserialize_with = "count")]
    output_tokens: u64,
    cache_read_input_tokens: Option<f64>,
    cache_write_input_tokens: Option<f64>,
    cache_details: Vec<Detail>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Detail {
    ttl: String,
    #[serde(deserialize_with = "count")]
    input_tokens: u64,
}

/// A count that may be `null`, or written as a float.
fn count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let number: Option<f64> = Option::deserialize(deserializer)?;
    Ok(number.unwrap_or_default().max(0.0) as u64)
}

impl Tokens {
    /// OpenAI's `usage`: prompt tokens include what was read from and written to the cache.
    pub(super) fn write(&self) -> String {
        let whole = |count: Option<f64>| count.unwrap_or_default().max(0.0) as u64;
        let (read, written) = (whole(self.cache_read_input_tokens), whole(self.cache_write_input_tokens));
        let prompt = self.input_tokens.saturating_add(read).saturating_add(written);
        let total = prompt.saturating_add(self.output_tokens);
        let mut out =
            format!(r#"{{"prompt_tokens":{prompt},"completion_tokens":{},"total_tokens":{total}"#, self.output_tokens);
        if self.cache_read_input_tokens.is_some() || self.cache_write_input_tokens.is_some() {
            out.push_str(&format!(
                r#","prompt_tokens_details":{{"cached_tokens":{read},"cache_write_tokens":{written}}}"#
            ));
        }
        if !self.cache_details.is_empty() {
            let of = |ttl: &str| {
                let of_ttl = self.cache_details.iter().filter(|detail| detail.ttl == ttl);
                of_ttl.fold(0_u64, |sum, detail| sum.saturating_add(detail.input_tokens))
            };
            out.push_str(&format!(
                r#","cache_creation":{{"ephemeral_5m_input_tokens":{},"ephemeral_1h_input_tokens":{}}}"#,
                of("5m"),
                of("1h")
            ));
        }
        out.push('}');
        out
    }
}
