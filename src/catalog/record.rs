//! One line of `models.jsonl`: a model of one provider. Shared with the build script.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::kind::{self, KINDS};
use super::money::Usd;

/// The first line: where the others come from.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Origin {
    /// The day on which the sources were read.
    pub catalog: String,
    /// The sources, each with a name, a version and a licence.
    pub sources: Vec<Origins>,
}

/// One source.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Origins {
    /// Its letter in `src`.
    pub letter: char,
    /// The package.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its licence, as an SPDX expression.
    pub license: String,
}

/// A model of one provider.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(deny_unknown_fields, default)]
pub struct Record {
    /// The provider's id.
    pub provider: String,
    /// The provider's name for the model.
    pub id: String,
    /// What it is for: one of [`kind::MODES`].
    pub mode: String,
    /// What people call it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Tokens it can hold, input and output together or the input alone, as the provider counts.
    #[serde(skip_serializing_if = "is_zero")]
    pub context: u32,
    /// Tokens of input, where that is not `context`.
    #[serde(skip_serializing_if = "is_zero")]
    pub max_input: u32,
    /// Tokens it can answer with.
    #[serde(skip_serializing_if = "is_zero")]
    pub max_output: u32,
    /// Numbers in an embedding.
    #[serde(skip_serializing_if = "is_none")]
    pub dims: u16,
    /// What it can do: of [`kind::CAPABILITIES`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub caps: Vec<String>,
    /// The content it is known not to take: of [`kind::INPUTS`]. What is in neither list is not known.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lacks: Vec<String>,
    /// What it costs; empty if nobody knows.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub price: Vec<Entry>,
    /// The day from which on the provider does not serve it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deprecated: Option<String>,
    /// The provider does not serve it any more, or a source has dropped it. What it cost remains known.
    #[serde(skip_serializing_if = "is_false")]
    pub retired: bool,
    /// It is served in certain regions only, and its price is that of one of them.
    #[serde(skip_serializing_if = "is_false")]
    pub regions_only: bool,
    /// Which of context, output and capabilities are those of the same model elsewhere.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub inherited: Vec<String>,
    /// One of [`kind::TRUST`].
    pub trust: String,
    /// The letters of the sources that know it.
    pub src: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature serde asks for")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature serde asks for")]
fn is_none(number: &u16) -> bool {
    *number == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature serde asks for")]
fn is_false(flag: &bool) -> bool {
    !flag
}

impl Record {
    /// What it is sorted and found by.
    pub fn key(&self) -> (&str, &str) {
        (&self.provider, &self.id)
    }
}

/// Prices that hold together.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(try_from = "Map<String, Value>", into = "Map<String, Value>")]
pub struct Entry {
    /// A condition, as `batch`, `flex` or `region=eu+batch`; none for the standard price.
    pub when: Option<String>,
    /// The first day.
    pub from: Option<String>,
    /// Days of the week (bit 0 is Monday), first minute and last minute of the day, in UTC.
    pub window: Option<[u16; 3]>,
    /// The prices.
    pub rates: Rates,
    /// The prices of requests whose input exceeds so many tokens, by that number.
    pub tiers: Vec<(u64, Rates)>,
}

/// Prices for one unit each, by the number of the kind, in ascending order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rates(Vec<(usize, Usd)>);

impl Rates {
    /// The price of a kind.
    pub fn get(&self, kind: usize) -> Option<Usd> {
        self.0.binary_search_by_key(&kind, |(kind, _)| *kind).ok().map(|at| self.0[at].1)
    }

    /// Give a kind a price.
    pub fn set(&mut self, kind: usize, usd: Usd) {
        match self.0.binary_search_by_key(&kind, |(kind, _)| *kind) {
            Ok(at) => self.0[at].1 = usd,
            Err(at) => self.0.insert(at, (kind, usd)),
        }
    }

    /// The same, unless it has one.
    pub fn add(&mut self, kind: usize, usd: Usd) {
        if self.get(kind).is_none() {
            self.set(kind, usd);
        }
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (usize, Usd)> + '_ {
        self.0.iter().copied()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn write(&self, map: &mut Map<String, Value>) {
        map.extend(self.iter().map(|(kind, usd)| (KINDS[kind].name.to_owned(), json!(usd.to_string()))));
    }

    fn read(&mut self, name: &str, value: &Value) -> Result<(), String> {
        let kind = kind::number(name).ok_or_else(|| format!("`{name}` is nothing that has a price"))?;
        let text = value.as_str().ok_or_else(|| format!("`{name}` is no text"))?;
        let usd = Usd::parse(text, 0).ok_or_else(|| format!("`{name}`: `{text}` is no amount in picodollars"))?;
        if usd.picos() > kind::word::VALUE {
            return Err(format!("`{name}`: `{text}` is more than a price can be"));
        }
        self.set(kind, usd);
        Ok(())
    }
}

impl TryFrom<Map<String, Value>> for Entry {
    type Error = String;

    fn try_from(map: Map<String, Value>) -> Result<Self, String> {
        let mut entry = Entry::default();
        let text = |value: &Value| value.as_str().map(str::to_owned).ok_or("a condition or day is no text");
        for (name, value) in &map {
            match name.as_str() {
                "when" => entry.when = Some(text(value)?),
                "from" => entry.from = Some(text(value)?),
                "window" => {
                    let window = serde_json::from_value(value.clone()).map_err(|error| format!("`window`: {error}"))?;
                    entry.window = Some(window);
                }
                "tiers" => {
                    for tier in value.as_array().ok_or("`tiers` is no list")? {
                        let tier = tier.as_object().ok_or("a tier is no object")?;
                        let above = tier.get("above").and_then(Value::as_u64).ok_or("a tier has no `above`")?;
                        let mut rates = Rates::default();
                        for (name, value) in tier.iter().filter(|(name, _)| *name != "above") {
                            rates.read(name, value)?;
                        }
                        entry.tiers.push((above, rates));
                    }
                }
                _ => entry.rates.read(name, value)?,
            }
        }
        Ok(entry)
    }
}

impl From<Entry> for Map<String, Value> {
    fn from(entry: Entry) -> Self {
        let mut map = Map::new();
        if let Some(when) = entry.when {
            map.insert("when".to_owned(), when.into());
        }
        if let Some(from) = entry.from {
            map.insert("from".to_owned(), from.into());
        }
        if let Some(window) = entry.window {
            map.insert("window".to_owned(), json!(window));
        }
        entry.rates.write(&mut map);
        if !entry.tiers.is_empty() {
            let tier = |(above, rates): &(u64, Rates)| {
                let mut map = Map::new();
                map.insert("above".to_owned(), json!(above));
                rates.write(&mut map);
                Value::Object(map)
            };
            map.insert("tiers".to_owned(), entry.tiers.iter().map(tier).collect());
        }
        map
    }
}

/// Reads a whole `models.jsonl`: where it comes from, and its models.
///
/// # Errors
/// The first line that is not what it must be.
pub fn read(text: &str) -> Result<(Origin, Vec<Record>), String> {
    let mut lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let place = |at: usize, error: &dyn std::fmt::Display| format!("line {}: {error}", at + 1);
    let (at, first) = lines.next().ok_or("it is empty")?;
    let origin = serde_json::from_str(first).map_err(|error| place(at, &error))?;
    let records = lines
        .map(|(at, line)| serde_json::from_str(line).map_err(|error| place(at, &error)))
        .collect::<Result<_, String>>()?;
    Ok((origin, records))
}

/// Writes it: the inverse of [`read`], always the same bytes for the same models.
pub fn write(origin: &Origin, records: &[Record]) -> Result<String, serde_json::Error> {
    let mut text = serde_json::to_string(origin)? + "\n";
    let mut records: Vec<&Record> = records.iter().collect();
    records.sort_by_key(|record| record.key());
    for record in records {
        text += &serde_json::to_string(record)?;
        text.push('\n');
    }
    Ok(text)
}
