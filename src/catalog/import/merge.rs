//! Two sources become one: what both say, what one knows alone, and what they disagree about.

use std::collections::BTreeSet;

use super::{Found, Models};
use crate::catalog::kind::{DISPUTED, KINDS, number};
use crate::catalog::record::{Entry, Rates, Record};
use crate::wire::money::Usd;

/// Prices this close to each other, in thousandths, are the same.
const SAME: u128 = 5;

/// Merge them. `genai` knows the course of prices over time, `litellm` everything else and prices of more kinds.
pub(super) fn merge(litellm: &Models, genai: &Models, today: &str) -> Vec<Record> {
    let keys: BTreeSet<&(String, String)> = litellm.keys().chain(genai.keys()).collect();
    keys.into_iter().map(|key| record(key, litellm.get(key), genai.get(key), today)).collect()
}

fn record(key: &(String, String), litellm: Option<&Found>, genai: Option<&Found>, today: &str) -> Record {
    let nothing = Found::default();
    let (l, g) = (litellm.unwrap_or(&nothing), genai.unwrap_or(&nothing));
    let context = if g.context > 0 { g.context } else { l.max_input };
    let (price, trust) = price(&l.price, &g.price, today);
    Record {
        provider: key.0.clone(),
        id: key.1.clone(),
        mode: l.mode.unwrap_or("chat").to_owned(),
        name: g.name.clone().filter(|name| *name != key.1),
        context,
        max_input: if l.max_input == context { 0 } else { l.max_input },
        max_output: l.max_output,
        dims: l.dims,
        caps: l.caps.iter().map(|cap| (*cap).to_owned()).collect(),
        price,
        deprecated: l.deprecated.clone(),
        retired: g.retired,
        trust: trust.to_owned(),
        src: [litellm.map_or("", |_| "l"), genai.map_or("", |_| "g")].concat(),
        ..Record::default()
    }
}

fn is_standard(entry: &Entry) -> bool {
    entry.when.is_none() && entry.window.is_none()
}

/// The standard price of the day: the last that has begun.
fn current(entries: &[Entry], today: &str) -> Option<usize> {
    let begun = |entry: &Entry| entry.from.as_deref().is_none_or(|from| from <= today);
    entries.iter().rposition(|entry| is_standard(entry) && begun(entry))
}

fn near(a: Usd, b: Usd) -> bool {
    let (a, b) = (u128::from(a.picos()), u128::from(b.picos()));
    a.abs_diff(b) * 1000 <= SAME * a.max(b)
}

/// The prices of both, and how far they can be trusted.
fn price(l: &[Entry], g: &[Entry], today: &str) -> (Vec<Entry>, &'static str) {
    let any = |entries: &[Entry]| entries.iter().any(|entry| !entry.rates.is_empty());
    if !any(g) {
        return if any(l) { (l.to_vec(), "one") } else { (Vec::new(), "none") };
    }
    let mut out = g.to_vec();
    if l.is_empty() {
        return (out, "one");
    }
    let nothing = Rates::default();
    let at = |entries: &[Entry]| current(entries, today).map(|at| entries[at].rates.clone());
    let (a, b) = (at(l).unwrap_or_default(), at(g).unwrap_or_default());
    let positive = |rates: &Rates, kind| rates.get(kind).filter(|usd: &Usd| usd.picos() > 0);
    let both: Vec<(usize, Usd, Usd)> = ["in", "out"]
        .iter()
        .filter_map(|name| number(name))
        .filter_map(|kind| Some((kind, positive(&a, kind)?, positive(&b, kind)?)))
        .collect();
    let mut bad: Vec<(usize, Usd, Usd)> = both.iter().filter(|(_, a, b)| !near(*a, *b)).copied().collect();
    let off_peak = l.iter().find(|entry| entry.window.is_some()).map_or(&nothing, |entry| &entry.rates);
    if !bad.is_empty() && bad.iter().all(|(kind, _, b)| off_peak.get(*kind).is_some_and(|off| near(off, *b))) {
        // the other source quotes the price of the quiet hours
        bad.clear();
        out = l.to_vec();
    }
    let trust = match (bad.is_empty(), both.is_empty()) {
        (false, _) => "disputed",
        (true, false) => "two",
        (true, true) => "one",
    };
    // what only the other source has a price for
    for entry in out.iter_mut().filter(|entry| is_standard(entry)) {
        let alone = a.iter().filter(|(kind, _)| *kind < KINDS.len() && b.get(*kind).is_none());
        alone.for_each(|(kind, usd)| entry.rates.add(kind, usd));
    }
    let have: BTreeSet<Option<String>> = out.iter().map(|entry| entry.when.clone()).collect();
    out.extend(l.iter().filter(|entry| entry.when.is_some() && !have.contains(&entry.when)).cloned());
    if let (false, Some(at)) = (bad.is_empty(), current(&out, today)) {
        // whoever must not spend too much is told the higher price; the lower one stays on record
        let mut other = Entry { when: Some(DISPUTED.to_owned()), ..Entry::default() };
        for (kind, a, b) in bad {
            out[at].rates.set(kind, a.max(b));
            other.rates.set(kind, a.min(b));
        }
        out.push(other);
    }
    (out, trust)
}
