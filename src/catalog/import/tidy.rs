//! Rows that are no models go, rows for regions become prices of their model, holes are filled from its maker.

use std::collections::BTreeMap;

use crate::catalog::names;
use crate::catalog::record::{Entry, Record};

/// Providers whose ids may begin with a region.
const REGIONAL: [&str; 4] = ["azure-foundry", "azure-openai", "bedrock", "vertex-ai"];

/// Makers, whose word about their own models counts first.
const MAKERS: [&str; 10] =
    ["openai", "anthropic", "gemini", "mistral", "xai", "deepseek", "cohere", "moonshot", "qwen", "perplexity"];

/// Whether a row stands for a size, a quality or a contract instead of a model.
fn is_junk(id: &str) -> bool {
    let graded = ["standard/", "hd/", "low/", "medium/", "high/", "premium/"];
    graded.iter().any(|grade| id.starts_with(grade))
        || ["-steps/", "commitment/", "together-ai-", "-up-to-", "embedding-up"].iter().any(|part| id.contains(part))
        || id.starts_with("fireworks-ai")
        || id.ends_with("/*")
        || has_size(id)
}

/// `1024-x-1792`
fn has_size(id: &str) -> bool {
    id.match_indices("-x-").any(|(at, mark)| {
        let digits = |byte: &u8| byte.is_ascii_digit();
        let before = id.as_bytes()[..at].iter().rev().take_while(|byte| digits(byte)).count();
        let after = id.as_bytes()[at + mark.len()..].iter().take_while(|byte| digits(byte)).count();
        before >= 3 && after >= 3
    })
}

/// Folds regions into their models; says how many rows were none.
pub(super) fn fold(records: Vec<Record>) -> (Vec<Record>, usize) {
    let mut groups: BTreeMap<(String, String), Vec<(String, Record)>> = BTreeMap::new();
    let mut junk = 0;
    for record in records {
        if is_junk(&record.id) {
            junk += 1;
            continue;
        }
        let (mut regions, mut id) = (Vec::new(), record.id.as_str());
        while let Some((region, rest)) = names::region(id).filter(|_| REGIONAL.contains(&record.provider.as_str())) {
            regions.push(region);
            id = rest;
        }
        let key = (record.provider.clone(), id.to_owned());
        groups.entry(key).or_default().push((regions.join("/"), record));
    }
    let folded = groups.into_iter().filter_map(|((_, id), mut group)| {
        group.sort_by(|(a, _), (b, _)| a.cmp(b));
        let mut group = group.into_iter();
        let (region, mut model) = group.next()?;
        model.id = id;
        model.regions_only = !region.is_empty();
        let standard = model.price.clone();
        for (region, other) in group.filter(|(_, other)| other.price != standard) {
            model.price.extend(other.price.into_iter().map(|entry| {
                let when = entry.when.iter().fold(format!("region={region}"), |when, more| format!("{when}+{more}"));
                Entry { when: Some(when), ..entry }
            }));
        }
        Some(model)
    });
    (folded.collect(), junk)
}

/// Context, output and capabilities belong to a model, not to whoever sells it. Prices do not.
pub(super) fn inherit(records: &mut [Record]) {
    let rank = |record: &Record| MAKERS.iter().position(|maker| *maker == record.provider).is_none();
    let mut order: Vec<&Record> = records.iter().collect();
    order.sort_by(|a, b| (rank(a), a.key()).cmp(&(rank(b), b.key())));
    let mut best: BTreeMap<String, Record> = BTreeMap::new();
    for record in order {
        let known = best.entry(names::bare(&record.id)).or_default();
        if known.context == 0 {
            known.context = record.context;
        }
        if known.max_output == 0 {
            known.max_output = record.max_output;
        }
        if known.caps.is_empty() {
            known.caps.clone_from(&record.caps);
        }
    }
    for record in records {
        let Some(known) = best.get(&names::bare(&record.id)) else { continue };
        let mut inherited = Vec::new();
        if record.context == 0 && known.context > 0 {
            record.context = known.context;
            inherited.push("context");
        }
        if record.max_output == 0 && known.max_output > 0 {
            record.max_output = known.max_output;
            inherited.push("max_output");
        }
        if record.caps.is_empty() && !known.caps.is_empty() {
            record.caps.clone_from(&known.caps);
            inherited.push("caps");
        }
        if !inherited.is_empty() {
            record.inherited = inherited.into_iter().map(str::to_owned).collect();
        }
    }
}
