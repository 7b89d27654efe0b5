//! Compiles `models.jsonl` into the form that is read in place. Shared with the build script.

use std::collections::HashMap;

use super::kind::{self, layout, word};
use super::record::{Entry, Origin, Rates, Record};
use super::{date, record};

/// The names that rows refer to by number, and where the models come from: the JSON behind the head.
#[derive(serde::Serialize)]
struct Names<'a> {
    origin: &'a Origin,
    providers: Vec<&'a str>,
    whens: Vec<&'a str>,
}

/// Compiles the text of a `models.jsonl`.
///
/// # Errors
/// What is wrong with it, and in which line or model.
pub fn compile(text: &str) -> Result<Vec<u8>, String> {
    let (origin, records) = record::read(text)?;
    pack(&origin, &records)
}

/// Compiles models, which may come in any order.
///
/// # Errors
/// What is wrong with which model.
pub fn pack(origin: &Origin, records: &[Record]) -> Result<Vec<u8>, String> {
    let mut records: Vec<&Record> = records.iter().collect();
    records.sort_by_key(|record| record.key());
    if let Some(twice) = records.windows(2).find(|pair| pair[0].key() == pair[1].key()) {
        return Err(format!("{}/{} is there twice", twice[0].provider, twice[0].id));
    }
    if records.len() >= usize::from(layout::FREE) {
        return Err(format!("{} models are too many", records.len()));
    }
    let mut providers: Vec<&str> = records.iter().map(|record| record.provider.as_str()).collect();
    providers.dedup();
    let mut pack = Pack::default();
    let mut rows = Vec::with_capacity(records.len() * layout::ROW);
    for record in &records {
        let provider = providers.binary_search(&record.provider.as_str()).map_err(|_| "a provider is lost")?;
        let row = pack.row(record, provider);
        rows.extend(row.map_err(|error| format!("{}/{}: {error}", record.provider, record.id))?);
    }
    let mut whens: Vec<(&str, u64)> = pack.whens.iter().map(|(when, number)| (when.as_str(), *number)).collect();
    whens.sort_by_key(|(_, number)| *number);
    let whens = whens.into_iter().map(|(when, _)| when).collect();
    let names = Names { origin, providers: providers.clone(), whens };
    let mut names = serde_json::to_vec(&names).map_err(|error| error.to_string())?;
    while !(layout::HEAD + names.len()).is_multiple_of(layout::WORD) {
        names.push(b' ');
    }
    let index = index(&records, &providers);
    let mut out = layout::MAGIC.to_vec();
    for count in [records.len(), pack.words.len(), index.len(), pack.strings.len(), names.len()] {
        out.extend(u32::try_from(count).map_err(|_| "it is too large")?.to_le_bytes());
    }
    out.extend(names);
    out.extend(pack.words.iter().flat_map(|word| word.to_le_bytes()));
    out.extend(rows);
    out.extend(index.iter().flat_map(|row| row.to_le_bytes()));
    out.extend(pack.strings);
    Ok(out)
}

/// Open addressing: at most half of the places are taken, so that a search is short.
fn index(records: &[&Record], providers: &[&str]) -> Vec<u16> {
    let places = (records.len() * 2).next_power_of_two();
    let mut index = vec![layout::FREE; places];
    for (row, record) in records.iter().enumerate() {
        let provider = providers.binary_search(&record.provider.as_str()).unwrap_or_default();
        let mut at = layout::place(provider as u8, record.id.as_bytes(), places);
        while index[at] != layout::FREE {
            at = (at + 1) & (places - 1);
        }
        index[at] = row as u16;
    }
    index
}

/// What rows share.
#[derive(Default)]
struct Pack {
    strings: Vec<u8>,
    seen: HashMap<String, u32>,
    words: Vec<u64>,
    lists: HashMap<Vec<u64>, u32>,
    whens: HashMap<String, u64>,
}

impl Pack {
    fn row(&mut self, record: &Record, provider: usize) -> Result<[u8; layout::ROW], String> {
        let number = |list: &[&str], name: &str| {
            list.iter().position(|known| *known == name).ok_or_else(|| format!("there is no `{name}`"))
        };
        let name = record.name.as_deref().unwrap_or_default();
        let (id_at, name_at) = (self.text(&record.id)?, self.text(name)?);
        let mut caps = 0_u32;
        for cap in &record.caps {
            caps |= 1 << number(&kind::CAPABILITIES, cap)?;
        }
        for lack in &record.lacks {
            if record.caps.contains(lack) {
                return Err(format!("it takes and does not take `{lack}`"));
            }
            caps |= 1 << (layout::LACKS + number(&kind::INPUTS, lack)?);
        }
        let inherited = ["context", "max_output", "caps"];
        let mut flags = number(&kind::TRUST, &record.trust)? as u16;
        flags |= u16::from(record.retired) << 3 | u16::from(record.regions_only) << 4;
        for name in &record.inherited {
            flags |= 1 << (5 + number(&inherited, name)?);
        }
        for letter in record.src.bytes() {
            flags |= 1 << (8 + number(&["l", "g", "u", "r", "m"], &char::from(letter).to_string())?);
        }
        let (list, length) = self.prices(&record.price)?;
        let day = match &record.deprecated {
            // day 0 stands for none
            Some(day) => date::parse(day).ok_or_else(|| format!("`{day}` is no day"))?.max(1),
            None => 0,
        };
        let short = |text: &str| u16::try_from(text.len()).map_err(|_| "a name is too long".to_owned());
        let mut row = Vec::with_capacity(layout::ROW);
        row.extend(id_at.to_le_bytes());
        row.extend(short(&record.id)?.to_le_bytes());
        row.extend([u8::try_from(provider).map_err(|_| "too many providers")?]);
        row.extend([number(&kind::MODES, &record.mode)? as u8]);
        for tokens in [record.context, record.max_input, record.max_output, caps, list, name_at] {
            row.extend(tokens.to_le_bytes());
        }
        for short in [short(name)?, length, day, record.dims, flags, 0] {
            row.extend(short.to_le_bytes());
        }
        row.try_into().map_err(|_| "a row has another length".to_owned())
    }

    /// Texts share their bytes, where one is part of another, too.
    fn text(&mut self, text: &str) -> Result<u32, String> {
        if let Some(at) = self.seen.get(text) {
            return Ok(*at);
        }
        let bytes = text.as_bytes();
        let found = if bytes.is_empty() { Some(0) } else { find(&self.strings, bytes) };
        let at = found.unwrap_or_else(|| {
            self.strings.extend(bytes);
            self.strings.len() - bytes.len()
        });
        let at = u32::try_from(at).map_err(|_| "too many names")?;
        self.seen.insert(text.to_owned(), at);
        Ok(at)
    }

    fn prices(&mut self, entries: &[Entry]) -> Result<(u32, u16), String> {
        let mut words: Vec<u64> = Vec::new();
        let word = |kind: u8, value: u64| u64::from(kind) << 56 | value & word::VALUE;
        let prices =
            |rates: &Rates| rates.iter().map(|(kind, usd)| word(kind as u8, usd.picos())).collect::<Vec<u64>>();
        for entry in entries {
            if let Some(when) = &entry.when {
                let next = self.whens.len() as u64;
                words.push(word(word::WHEN, *self.whens.entry(when.clone()).or_insert(next)));
            }
            if let Some(from) = &entry.from {
                let day = date::parse(from).ok_or_else(|| format!("`{from}` is no day"))?;
                words.push(word(word::FROM, u64::from(day)));
            }
            if let Some([days, from, to]) = entry.window {
                words.push(word(word::WINDOW, u64::from(days) << 32 | u64::from(from) << 16 | u64::from(to)));
            }
            words.extend(prices(&entry.rates));
            for (above, tier) in &entry.tiers {
                words.push(word(word::TIER, *above));
                words.extend(prices(tier));
            }
            words.push(word(word::END, 0));
        }
        let length = u16::try_from(words.len()).map_err(|_| "too many prices")?;
        let next = u32::try_from(self.words.len()).map_err(|_| "too many prices")?;
        match self.lists.get(&words) {
            Some(at) => Ok((*at, length)),
            None => {
                self.words.extend(&words);
                self.lists.insert(words, next);
                Ok((next, length))
            }
        }
    }
}

/// Where a text stands in others.
fn find(hay: &[u8], needle: &[u8]) -> Option<usize> {
    let first = *needle.first()?;
    let mut from = 0;
    while let Some(at) = hay.get(from..)?.iter().position(|byte| *byte == first) {
        if hay[from + at..].starts_with(needle) {
            return Some(from + at);
        }
        from += at + 1;
    }
    None
}
