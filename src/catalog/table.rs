//! The compiled catalog, read in place: opening it looks at its head alone, and nothing in it can make a read fail.

use bytes::Bytes;
use serde::Deserialize;

use super::kind::{CAPABILITIES, INPUTS, MODES, TRUST, layout};
use super::record::Origin;

/// Bytes that are no catalog.
#[derive(Debug, thiserror::Error)]
#[error("the bytes are no catalog of this version: {0}")]
pub struct Unreadable(&'static str);

/// A compiled catalog.
#[derive(Clone, Debug)]
pub struct Table {
    bytes: Bytes,
    rows: usize,
    /// Where the parts begin.
    words_at: usize,
    rows_at: usize,
    index_at: usize,
    strings_at: usize,
    places: usize,
    names: Names,
}

#[derive(Clone, Debug, Deserialize)]
struct Names {
    origin: Origin,
    providers: Vec<String>,
    whens: Vec<String>,
}

/// Numbers from bytes: 0 where there are none.
fn u16_at(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..at + 2).and_then(|bytes| bytes.try_into().ok()).map_or(0, u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_le_bytes)
}

impl Table {
    /// Open a catalog.
    ///
    /// # Errors
    /// Its head is not that of one, or its parts do not add up to its length.
    pub fn open(bytes: Bytes) -> Result<Self, Unreadable> {
        if !bytes.starts_with(&layout::MAGIC) || bytes.len() < layout::HEAD {
            return Err(Unreadable("its beginning"));
        }
        let [rows, words, places, strings, names] = [8, 12, 16, 20, 24].map(|at| u32_at(&bytes, at) as usize);
        let words_at = layout::HEAD + names;
        let rows_at = words_at + words * layout::WORD;
        let index_at = rows_at + rows * layout::ROW;
        let strings_at = index_at + places * layout::PLACE;
        if strings_at + strings != bytes.len() || !places.is_power_of_two() || places <= rows {
            return Err(Unreadable("its length"));
        }
        let names = bytes.get(layout::HEAD..words_at).and_then(|names| serde_json::from_slice(names).ok());
        let names = names.ok_or(Unreadable("its names"))?;
        Ok(Self { bytes, rows, words_at, rows_at, index_at, strings_at, places, names })
    }

    /// Where its models come from.
    pub fn origin(&self) -> &Origin {
        &self.names.origin
    }

    /// The number of models.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Its size in bytes.
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// The providers it has models of, in the order of their names.
    pub fn providers(&self) -> impl Iterator<Item = &str> {
        self.names.providers.iter().map(String::as_str)
    }

    /// The model that a provider calls exactly so.
    pub fn get(&self, provider: &str, id: &str) -> Option<Row<'_>> {
        let number = self.names.providers.binary_search_by(|known| known.as_str().cmp(provider)).ok()?;
        let mut place = layout::place(u8::try_from(number).ok()?, id.as_bytes(), self.places);
        // a damaged index may have no free place
        for _ in 0..self.places {
            let row = u16_at(&self.bytes, self.index_at + place * layout::PLACE);
            if row == layout::FREE {
                return None;
            }
            let row = Row { table: self, at: self.rows_at + usize::from(row) * layout::ROW };
            if row.provider_number() == number && row.id_bytes() == id.as_bytes() {
                return Some(row);
            }
            place = (place + 1) & (self.places - 1);
        }
        None
    }

    /// The model in a row.
    pub fn row(&self, number: usize) -> Option<Row<'_>> {
        (number < self.rows).then(|| Row { table: self, at: self.rows_at + number * layout::ROW })
    }

    /// All models, by provider and id.
    pub fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        (0..self.rows).map(|row| Row { table: self, at: self.rows_at + row * layout::ROW })
    }

    /// All models of a provider, by id.
    pub fn of(&self, provider: &str) -> impl Iterator<Item = Row<'_>> {
        let number = self.names.providers.iter().position(|known| known == provider);
        let edge = |limit: usize| {
            let (mut low, mut high) = (0, self.rows);
            while low < high {
                let middle = (low + high) / 2;
                let row = Row { table: self, at: self.rows_at + middle * layout::ROW };
                if row.provider_number() < limit { low = middle + 1 } else { high = middle }
            }
            low
        };
        let range = number.map_or(0..0, |number| edge(number)..edge(number + 1));
        range.map(|row| Row { table: self, at: self.rows_at + row * layout::ROW })
    }

    /// The number of a condition.
    pub(super) fn when(&self, name: &str) -> Option<u64> {
        self.names.whens.iter().position(|when| when == name).map(|at| at as u64)
    }

    /// The condition of a number.
    pub(super) fn when_name(&self, number: u64) -> &str {
        usize::try_from(number).ok().and_then(|at| self.names.whens.get(at)).map_or("", String::as_str)
    }

    /// The kind and the value of each of these words.
    pub(super) fn words(&self, from: usize, count: usize) -> impl Iterator<Item = (u8, u64)> + Clone + '_ {
        let at = self.words_at.saturating_add(from.saturating_mul(layout::WORD));
        let end = at.saturating_add(count * layout::WORD).min(self.rows_at);
        let words = self.bytes.get(at..end).unwrap_or_default().chunks_exact(layout::WORD);
        words.map(|word| {
            let word = u64::from_le_bytes(word.try_into().unwrap_or_default());
            ((word >> 56) as u8, word & super::kind::word::VALUE)
        })
    }
}

/// Kinds of content, a bit each of [`INPUTS`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Inputs(pub(super) u8);

impl Inputs {
    /// All of them.
    pub(super) const ALL: Self = Self((1 << INPUTS.len()) - 1);

    /// Those that are in both.
    pub(super) fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether a capability is among them.
    pub fn has(self, capability: &str) -> bool {
        self.names().any(|name| name == capability)
    }

    /// The capabilities they would take.
    pub fn names(self) -> impl Iterator<Item = &'static str> + use<> {
        INPUTS.iter().enumerate().filter(move |(at, _)| self.0 >> at & 1 == 1).map(|(_, name)| *name)
    }
}

/// A model as the compiled catalog has it.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    table: &'a Table,
    at: usize,
}

impl<'a> Row<'a> {
    fn u16(self, offset: usize) -> u16 {
        u16_at(&self.table.bytes, self.at + offset)
    }

    fn u32(self, offset: usize) -> u32 {
        u32_at(&self.table.bytes, self.at + offset)
    }

    fn byte(self, offset: usize) -> usize {
        self.table.bytes.get(self.at + offset).map_or(0, |byte| usize::from(*byte))
    }

    fn bytes_at(self, at: u32, length: u16) -> &'a [u8] {
        let from = self.table.strings_at.saturating_add(at as usize);
        self.table.bytes.get(from..from.saturating_add(usize::from(length))).unwrap_or_default()
    }

    fn id_bytes(self) -> &'a [u8] {
        self.bytes_at(self.u32(0), self.u16(4))
    }

    fn provider_number(self) -> usize {
        self.byte(6)
    }

    fn flags(self) -> u16 {
        self.u16(40)
    }

    /// The table it is in.
    pub(super) fn table(self) -> &'a Table {
        self.table
    }

    /// The provider's name for it.
    pub fn id(self) -> &'a str {
        std::str::from_utf8(self.id_bytes()).unwrap_or_default()
    }

    /// The provider's id.
    pub fn provider(self) -> &'a str {
        self.table.names.providers.get(self.provider_number()).map_or("", String::as_str)
    }

    /// What it is for: one of [`MODES`].
    pub fn mode(self) -> &'static str {
        MODES.get(self.byte(7)).copied().unwrap_or("other")
    }

    /// Tokens it can hold; 0 if that is not known.
    pub fn context(self) -> u32 {
        self.u32(8)
    }

    /// Tokens of input, where that is not the context; 0 otherwise.
    pub fn max_input(self) -> u32 {
        self.u32(12)
    }

    /// Tokens it can answer with; 0 if that is not known.
    pub fn max_output(self) -> u32 {
        self.u32(16)
    }

    /// What it can do, in the order of [`CAPABILITIES`].
    pub fn capabilities(self) -> impl Iterator<Item = &'static str> + use<> {
        let bits = self.u32(20);
        CAPABILITIES.iter().enumerate().filter(move |(at, _)| bits >> at & 1 == 1).map(|(_, name)| *name)
    }

    /// The content it is known not to take.
    pub fn lacks(self) -> Inputs {
        Inputs((self.u32(20) >> layout::LACKS) as u8)
    }

    /// Where its prices stand, and how many words they are.
    pub(super) fn list(self) -> (usize, usize) {
        (self.u32(24) as usize, usize::from(self.u16(34)))
    }

    /// Whether anything about its price is known.
    pub fn is_priced(self) -> bool {
        self.u16(34) > 0
    }

    /// What people call it, if that is not its id.
    pub fn name(self) -> Option<&'a str> {
        std::str::from_utf8(self.bytes_at(self.u32(28), self.u16(32))).ok().filter(|name| !name.is_empty())
    }

    /// The day from which on the provider does not serve it.
    pub fn deprecated(self) -> Option<u16> {
        Some(self.u16(36)).filter(|day| *day > 0)
    }

    /// Numbers in an embedding; 0 if it is none, or that is not known.
    pub fn dims(self) -> u16 {
        self.u16(38)
    }

    /// How far its price can be trusted: one of [`TRUST`].
    pub fn trust(self) -> &'static str {
        TRUST.get(usize::from(self.flags() & 7)).copied().unwrap_or("none")
    }

    /// Whether the provider does not serve it any more.
    pub fn is_retired(self) -> bool {
        self.flags() >> 3 & 1 == 1
    }

    /// Whether it is served in certain regions only.
    pub fn regions_only(self) -> bool {
        self.flags() >> 4 & 1 == 1
    }

    /// Which of its facts are those of the same model at somebody else's.
    pub fn inherited(self) -> impl Iterator<Item = &'static str> + use<> {
        let bits = self.flags() >> 5;
        ["context", "max_output", "caps"]
            .into_iter()
            .enumerate()
            .filter(move |(at, _)| bits >> at & 1 == 1)
            .map(|(_, name)| name)
    }

    /// Whether it is from the configuration.
    pub fn is_own(self) -> bool {
        self.flags() >> 10 & 1 == 1
    }

    /// The letters of the sources that know it.
    pub fn sources(self) -> String {
        let bits = self.flags() >> 8;
        "lgurm".chars().enumerate().filter(|(at, _)| bits >> at & 1 == 1).map(|(_, letter)| letter).collect()
    }
}
