//! Models as people and programs get to see them: prices of tokens by the million, days and hours in words.

use serde::Serialize;
use serde_json::{Map, Number, Value};

use super::kind::KINDS;
use super::price::{Listed, Rates, list};
use super::record::{Entry, Record};
use super::{Row, date, kind};
use crate::wire::Usd;

/// A model with everything that is known of it.
#[derive(Clone, Debug, Serialize, PartialEq)]
pub struct View {
    /// The provider's id.
    pub provider: String,
    /// The provider's name for the model.
    pub id: String,
    /// What people call it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What it is for.
    pub mode: &'static str,
    /// Tokens it can hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context_window: Option<u32>,
    /// Tokens of input, where that is another number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_input_tokens: Option<u32>,
    /// Tokens it can answer with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_output_tokens: Option<u32>,
    /// Numbers in an embedding.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dimensions: Option<u16>,
    /// What it can do.
    pub capabilities: Vec<&'static str>,
    /// The content it is known not to take, by the capability that this would be.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lacks: Vec<&'static str>,
    /// `ga`, `deprecated` or `retired`.
    pub status: &'static str,
    /// The day from which on the provider does not serve it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end: Option<String>,
    /// The price list, line by line; empty if nobody knows a price.
    pub prices: Vec<Map<String, Value>>,
    /// How many sources say so: `none`, `one`, `two` that agree, `disputed`, or `reviewed` by a person.
    pub trust: &'static str,
    /// Which of the facts are those of the same model at its maker.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub inherited: Vec<&'static str>,
}

impl View {
    /// What is known of a model.
    pub fn of(row: Row<'_>) -> Self {
        let known = |number: u32| Some(number).filter(|number| *number > 0);
        View {
            provider: row.provider().to_owned(),
            id: row.id().to_owned(),
            name: row.name().map(str::to_owned),
            mode: row.mode(),
            context_window: known(row.context()),
            max_input_tokens: known(row.max_input()),
            max_output_tokens: known(row.max_output()),
            dimensions: Some(row.dims()).filter(|dims| *dims > 0),
            capabilities: row.capabilities().collect(),
            lacks: row.lacks().names().collect(),
            status: status(row),
            end: row.deprecated().map(date::render),
            prices: list(row).into_iter().map(line).collect(),
            trust: row.trust(),
            inherited: row.inherited().collect(),
        }
    }
}

/// `ga`, `deprecated` or `retired`.
pub fn status(row: Row<'_>) -> &'static str {
    match (row.is_retired(), row.deprecated()) {
        (true, _) => "retired",
        (_, Some(_)) => "deprecated",
        _ => "ga",
    }
}

fn line(listed: Listed) -> Map<String, Value> {
    let mut map = Map::new();
    let texts = [("when", listed.when), ("from", listed.from), ("hours", listed.hours)];
    map.extend(texts.into_iter().filter_map(|(name, text)| Some((name.to_owned(), text?.into()))));
    if let Some(above) = listed.above {
        map.insert("above_input_tokens".to_owned(), above.into());
    }
    map.extend(pricing(listed.rates.into_iter()));
    map
}

/// Prices by their public names.
pub fn pricing(rates: impl Iterator<Item = (usize, Usd)>) -> Map<String, Value> {
    rates.filter_map(|(at, usd)| Some((KINDS.get(at)?.public.to_owned(), number(at, usd)))).collect()
}

/// The prices that hold now, by their public names.
pub fn pricing_now(rates: &Rates) -> Map<String, Value> {
    pricing(rates.iter())
}

/// A price as it is shown: of tokens for a million, of anything else for one.
pub fn shown(at: usize, usd: Usd) -> String {
    let of_tokens = KINDS.get(at).is_some_and(kind::Kind::is_of_tokens);
    usd.scaled(if of_tokens { 6 } else { 0 }).as_str().to_owned()
}

/// The float whose shortest form is the exact decimal.
fn number(at: usize, usd: Usd) -> Value {
    shown(at, usd).parse().ok().and_then(Number::from_f64).map_or(Value::Null, Value::Number)
}

/// A line of `models.jsonl` again: the inverse of what the build script does.
pub fn record(row: Row<'_>) -> Record {
    Record {
        provider: row.provider().to_owned(),
        id: row.id().to_owned(),
        mode: row.mode().to_owned(),
        name: row.name().map(str::to_owned),
        context: row.context(),
        max_input: row.max_input(),
        max_output: row.max_output(),
        dims: row.dims(),
        caps: row.capabilities().map(str::to_owned).collect(),
        lacks: row.lacks().names().map(str::to_owned).collect(),
        price: entries(row),
        deprecated: row.deprecated().map(date::render),
        retired: row.is_retired(),
        regions_only: row.regions_only(),
        inherited: row.inherited().map(str::to_owned).collect(),
        trust: row.trust().to_owned(),
        src: row.sources(),
    }
}

fn entries(row: Row<'_>) -> Vec<Entry> {
    use super::kind::word;
    let (at, count) = row.list();
    let (mut entries, mut entry) = (Vec::new(), Entry::default());
    for (kind, value) in row.table().words(at, count) {
        match kind {
            word::WHEN => entry.when = Some(row.table().when_name(value).to_owned()),
            word::FROM => entry.from = Some(date::render(value as u16)),
            word::WINDOW => entry.window = Some([(value >> 32) as u16, (value >> 16) as u16, value as u16]),
            word::TIER => entry.tiers.push((value, Default::default())),
            word::END => entries.push(std::mem::take(&mut entry)),
            kind => {
                let rates = entry.tiers.last_mut().map_or(&mut entry.rates, |(_, rates)| rates);
                rates.set(usize::from(kind), Usd::of_picos(u128::from(value)));
            }
        }
    }
    entries
}
