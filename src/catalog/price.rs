//! What a call costs: the price list of a model, the day, the hour, the tier and the usage, in whole picodollars.

use super::date;
use super::kind::{DISPUTED, KINDS, word};
use super::table::Row;
use crate::wire::usage::Tier;
use crate::wire::{Usage, Usd};

/// Numbers of kinds, as in [`KINDS`].
mod n {
    pub(super) const IN: usize = 0;
    pub(super) const OUT: usize = 1;
    pub(super) const CACHE_READ: usize = 2;
    pub(super) const CACHE_WRITE: usize = 3;
    pub(super) const CACHE_WRITE_1H: usize = 4;
    pub(super) const REASONING: usize = 6;
    pub(super) const AUDIO_IN: usize = 7;
    pub(super) const AUDIO_OUT: usize = 8;
    pub(super) const IMAGE_IN: usize = 11;
    pub(super) const IMAGE_OUT: usize = 12;
    pub(super) const VIDEO_IN: usize = 14;
    pub(super) const CITATION: usize = 16;
    pub(super) const PER_IMAGE_OUT: usize = 18;
    pub(super) const PER_SECOND_IN: usize = 19;
    pub(super) const PER_SECOND_OUT: usize = 20;
    pub(super) const PER_CHAR_IN: usize = 27;
    pub(super) const PER_QUERY: usize = 29;
    pub(super) const PER_REQUEST: usize = 30;
    pub(super) const PER_PAGE: usize = 31;
    pub(super) const PER_SEARCH: usize = 33;
}

/// Prices that hold at one moment for one way of serving, by kind, for one unit each.
#[derive(Clone, Copy, Debug)]
pub struct Rates([Option<Usd>; KINDS.len()]);

impl Default for Rates {
    fn default() -> Self {
        Rates([None; KINDS.len()])
    }
}

/// The price list of a model, held apart from its catalog: found once, read for every call, without an allocation.
#[derive(Clone, Debug)]
pub struct Prices {
    words: Box<[(u8, u64)]>,
    /// The number of the condition for the region in the id, if it names one.
    region: Option<u64>,
    /// The numbers of the conditions for each tier: anywhere, and in that region.
    tiers: [[Option<u64>; 2]; TIERS.len()],
    /// Whether the configuration says so: then it counts more than what the provider says.
    own: bool,
    /// The usual prices, where they depend neither on the day, the hour nor the length of the input, as most do not.
    standard: Option<Box<Rates>>,
}

/// What a token costs, in picodollars, where that is all there is to a price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PerToken {
    /// Of the prompt.
    pub input: u64,
    /// Of the prompt, read from the cache.
    pub cached: u64,
    /// Of the answer.
    pub output: u64,
}

/// Tiers that have conditions.
const TIERS: [Tier; 4] = [Tier::Batch, Tier::Flex, Tier::Priority, Tier::Fast];

/// One entry of a price list: its conditions, and where its prices stand.
#[derive(Clone, Copy, Default)]
struct Entry {
    from: usize,
    to: usize,
    when: Option<u64>,
    /// Whether it has begun, and the hour is right.
    holds: bool,
    windowed: bool,
}

impl Prices {
    /// The prices of a model, where its id names a region, in that.
    pub fn of(row: Row<'_>, region: Option<&str>) -> Self {
        let (at, count) = row.list();
        let number = |name: &str| row.table().when(name);
        let tier = |tier: Tier| {
            let there = region.and_then(|region| number(&format!("region={region}+{}", tier.name())));
            [number(tier.name()), there]
        };
        let words: Box<[(u8, u64)]> = row.table().words(at, count).collect();
        let mut prices = Self {
            words,
            region: region.and_then(|region| number(&format!("region={region}"))),
            tiers: TIERS.map(tier),
            own: row.is_own(),
            standard: None,
        };
        prices.standard = prices.is_steady().then(|| Box::new(prices.rates(0, Tier::Standard, 0)));
        prices
    }

    /// Whether the usual prices are always the same.
    fn is_steady(&self) -> bool {
        let (mut when, mut varies) = (None, false);
        self.words.iter().all(|(kind, value)| {
            match *kind {
                word::WHEN => when = Some(*value),
                word::FROM | word::WINDOW | word::TIER => varies = true,
                word::END => {
                    let usual = when.is_none() || when == self.region;
                    let steady = !(usual && varies);
                    (when, varies) = (None, false);
                    return steady;
                }
                _ => {}
            }
            true
        })
    }

    /// What a token costs, where nothing but tokens does and that is always the same.
    pub fn per_token(&self) -> Option<PerToken> {
        let rates = self.standard.as_ref().filter(|rates| rates.get(n::PER_REQUEST).is_none())?;
        let [input, output] = [n::IN, n::OUT].map(|kind| rates.get(kind).map(|usd| usd.picos()));
        let (input, output) = (input?, output?);
        let cached = rates.get(n::CACHE_READ).map_or(input, |usd| usd.picos());
        Some(PerToken { input, cached, output })
    }

    /// The prices that hold at a moment, seconds of Unix time, for a tier and so many input tokens. What has no price has
    /// none there.
    pub fn rates(&self, at: u64, tier: Tier, input: u64) -> Rates {
        let mut rates = Rates::default();
        let tier = TIERS.iter().position(|known| *known == tier).map_or([None; 2], |at| self.tiers[at]);
        // from the general to the special: the standard price, its hours, the region's, the tier's, the region's tier
        let layers = [self.region, tier[0], tier[1]];
        let mut chosen = [None; 5];
        for entry in entries(&self.words, at).filter(|entry| entry.holds) {
            let layer = match entry.when {
                None => Some(usize::from(entry.windowed)),
                when => layers.iter().position(|layer| *layer == when).map(|layer| layer + 2),
            };
            if let Some(layer) = layer {
                // entries are in the order of their days: the last that has begun holds
                chosen[layer] = Some(entry);
            }
        }
        for entry in chosen.into_iter().flatten() {
            let mut counts = true;
            for (kind, value) in &self.words[entry.from..entry.to] {
                match *kind {
                    word::TIER => counts = input > *value,
                    kind => {
                        if let (true, Some(rate)) = (counts, rates.0.get_mut(usize::from(kind))) {
                            *rate = Some(Usd::of_picos(u128::from(*value)));
                        }
                    }
                }
            }
        }
        rates
    }

    /// What a usage costs at a moment, seconds of Unix time; `None` if something in it has no price. What the provider
    /// itself says counts more than the catalog, and less than the configuration.
    pub fn cost(&self, usage: &Usage, at: u64) -> Option<Usd> {
        if !self.own && usage.told > Usd::ZERO {
            return Some(usage.told);
        }
        match &self.standard {
            Some(rates) if usage.tier == Tier::Standard => rates.cost(usage),
            _ => self.rates(at, usage.tier, usage.prompt).cost(usage),
        }
    }
}

impl Rates {
    /// The price of a kind, for one unit.
    pub fn get(&self, kind: usize) -> Option<Usd> {
        self.0.get(kind).copied().flatten()
    }

    /// Give a kind a price.
    pub fn set(&mut self, kind: usize, usd: Usd) {
        if let Some(rate) = self.0.get_mut(kind) {
            *rate = Some(usd);
        }
    }

    /// Every kind that has a price.
    pub fn iter(&self) -> impl Iterator<Item = (usize, Usd)> + '_ {
        self.0.iter().enumerate().filter_map(|(kind, usd)| Some((kind, (*usd)?)))
    }

    /// What a usage costs; `None` if something in it has no price: what is not known is not free.
    pub fn cost(&self, usage: &Usage) -> Option<Usd> {
        let mut sum = Sum { rates: self, picos: 0, priced: false, lacks: false };
        let count = |count: u32| u64::from(count);
        let hour = count(usage.cache_write_1h);
        let written = hour.max(count(usage.cache_write));
        let (heard, seen, watched) = (count(usage.audio_in), count(usage.image_in), count(usage.video_in));
        let special = total(&[usage.cached, written, heard, seen, watched]);
        sum.add(usage.prompt.saturating_sub(special), &[n::IN]);
        sum.add(usage.cached, &[n::CACHE_READ, n::IN]);
        sum.add(written - hour, &[n::CACHE_WRITE, n::IN]);
        sum.add(hour, &[n::CACHE_WRITE_1H, n::CACHE_WRITE, n::IN]);
        sum.add(heard, &[n::AUDIO_IN, n::IN]);
        sum.add(seen, &[n::IMAGE_IN, n::IN]);
        sum.add(watched, &[n::VIDEO_IN, n::IN]);
        let (said, drawn) = (count(usage.audio_out), count(usage.image_out));
        let special = total(&[usage.reasoning, said, drawn]);
        // where images are made, output that is not told apart is theirs
        let plain: &[usize] =
            if usage.images > 0 { &[n::IMAGE_OUT, n::OUT] } else { &[n::OUT, n::IMAGE_OUT, n::AUDIO_OUT] };
        sum.add(usage.completion.saturating_sub(special), plain);
        sum.add(usage.reasoning.min(usage.completion), &[n::REASONING, n::OUT]);
        sum.add(said, &[n::AUDIO_OUT, n::OUT]);
        sum.add(drawn, &[n::IMAGE_OUT, n::OUT]);
        // a model that charges for units alone counts tokens for information
        if self.get(n::IN).is_none() && self.get(n::OUT).is_none() {
            sum.lacks = false;
        }
        sum.add_if_priced(count(usage.citations), n::CITATION);
        sum.add_if_priced(count(usage.searches), n::PER_SEARCH);
        let by_token = self.get(n::IMAGE_OUT).or(self.get(n::OUT)).is_some_and(|usd| usd > Usd::ZERO);
        if !(by_token && usage.completion > 0) {
            sum.add_if_priced(count(usage.images), n::PER_IMAGE_OUT);
        }
        sum.add_if_priced(count(usage.pages), n::PER_PAGE);
        sum.add_if_priced(count(usage.queries), n::PER_QUERY);
        sum.add_if_priced(count(usage.characters), n::PER_CHAR_IN);
        sum.add_if_priced(1, n::PER_REQUEST);
        if let Some(rate) = self.get(n::PER_SECOND_IN).or(self.get(n::PER_SECOND_OUT)).filter(|_| usage.millis > 0) {
            sum.picos = sum.picos.saturating_add(u128::from(usage.millis) * u128::from(rate.picos()) / 1000);
            sum.priced = true;
        }
        (sum.priced && !sum.lacks).then(|| Usd::of_picos(sum.picos))
    }
}

/// A sum of counts, which others may have made up.
fn total(counts: &[u64]) -> u64 {
    counts.iter().fold(0, |sum, count| sum.saturating_add(*count))
}

struct Sum<'a> {
    rates: &'a Rates,
    picos: u128,
    priced: bool,
    lacks: bool,
}

impl Sum<'_> {
    /// Add so many units at the first of these prices that is known.
    fn add(&mut self, units: u64, kinds: &[usize]) {
        if units == 0 {
            return;
        }
        match kinds.iter().find_map(|kind| self.rates.get(*kind)) {
            Some(rate) => {
                self.picos = self.picos.saturating_add(u128::from(units) * u128::from(rate.picos()));
                self.priced = true;
            }
            None => self.lacks = true,
        }
    }

    /// Add units that are free where they have no price.
    fn add_if_priced(&mut self, units: u64, kind: usize) {
        if self.rates.get(kind).is_some() {
            self.add(units, &[kind]);
        }
    }
}

/// The entries of a list.
fn entries(words: &[(u8, u64)], at: u64) -> impl Iterator<Item = Entry> + '_ {
    let (day, minute, weekday) = date::of_unix(at);
    let mut open = Entry { holds: true, ..Entry::default() };
    words.iter().enumerate().filter_map(move |(place, (kind, value))| {
        match *kind {
            word::WHEN => open.when = Some(*value),
            word::FROM => open.holds &= *value <= u64::from(day),
            word::WINDOW => {
                open.windowed = true;
                open.holds &= within(*value, minute, weekday);
            }
            word::END => {
                let ended = Entry { to: place, ..open };
                open = Entry { from: place + 1, holds: true, ..Entry::default() };
                return Some(ended);
            }
            _ => {}
        }
        None
    })
}

/// Whether a moment lies in a window, which may end on the day after it began.
fn within(window: u64, minute: u16, weekday: u8) -> bool {
    let (days, from, to) = (window >> 32 & 0x7f, (window >> 16) as u16, window as u16);
    let on = |weekday: u8| days >> weekday & 1 == 1;
    if from <= to {
        return on(weekday) && (from..to).contains(&minute);
    }
    on(weekday) && minute >= from || on((weekday + 6) % 7) && minute < to
}

/// One line of a price list, for people: the conditions, and the prices they are about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listed {
    /// The condition, as `batch` or `region=eu`.
    pub when: Option<String>,
    /// The first day.
    pub from: Option<String>,
    /// Hours of the week, as `Mon-Fri 16:30-00:30 UTC`.
    pub hours: Option<String>,
    /// For requests with more input tokens than this.
    pub above: Option<u64>,
    /// Prices by kind, for one unit each.
    pub rates: Vec<(usize, Usd)>,
}

/// The whole price list of a model, line by line.
pub fn list(row: Row<'_>) -> Vec<Listed> {
    let (at, count) = row.list();
    let (mut lines, mut line) = (Vec::new(), Listed::default());
    for (kind, value) in row.table().words(at, count) {
        match kind {
            word::WHEN => line.when = Some(row.table().when_name(value).to_owned()),
            word::FROM => line.from = Some(date::render(value as u16)),
            word::WINDOW => line.hours = Some(hours(value)),
            word::TIER => {
                let tier = Listed { above: Some(value), rates: Vec::new(), ..line.clone() };
                lines.push(std::mem::replace(&mut line, tier));
            }
            word::END => lines.push(std::mem::take(&mut line)),
            kind => line.rates.push((usize::from(kind), Usd::of_picos(u128::from(value)))),
        }
    }
    lines.retain(|line| !line.rates.is_empty());
    lines
}

/// What another source says of the price, where it says less.
pub fn disputed(row: Row<'_>) -> Option<Listed> {
    list(row).into_iter().find(|line| line.when.as_deref() == Some(DISPUTED))
}

fn hours(window: u64) -> String {
    const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
    let on: Vec<&str> =
        DAYS.iter().enumerate().filter(|(day, _)| window >> (32 + day) & 1 == 1).map(|(_, day)| *day).collect();
    let days = match on[..] {
        [] | [_, _, _, _, _, _, _] => String::new(),
        [first, .., last] if on.len() > 1 && DAYS[..].windows(on.len()).any(|run| run == &on[..]) => {
            format!("{first}-{last} ")
        }
        _ => on.join(",") + " ",
    };
    let clock = |minute: u64| format!("{:02}:{:02}", minute / 60, minute % 60);
    format!("{days}{}-{} UTC", clock(window >> 16 & 0xffff), clock(window & 0xffff))
}
