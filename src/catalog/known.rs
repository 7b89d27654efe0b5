//! What one configuration knows of models: its own word first, then a newer catalog, then the one of this binary.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::LazyLock;

use super::price::Prices;
use super::record::{Entry, Origin, Rates, Record};
use super::{Inputs, Row, Table, embedded, kind, names, pack, view};
use crate::config::{self, Invalid, Override};
use crate::wire::Usd;

/// The models as one configuration knows them.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    /// The configuration's own word. What is for one target alone is under `@` and the target's name.
    own: Option<Table>,
    file: Option<Table>,
    /// Provider and id, as in `own`, of the models about whose capabilities the configuration has its own word.
    told: Vec<(String, String)>,
    /// Whether only the configuration's own word counts of what models do not take.
    own_word_only: bool,
}

/// Whose model is meant: an id of a provider, and the name of the target that calls it.
#[derive(Clone, Copy, Debug)]
pub struct Owner<'a> {
    /// The provider's id.
    pub provider: &'a str,
    /// The target's name.
    pub target: &'a str,
}

/// A model of the catalog that is meant by an id.
#[derive(Clone, Copy, Debug)]
pub struct Hit<'a> {
    /// The model.
    pub row: Row<'a>,
    /// The region that the id names.
    pub region: Option<&'a str>,
}

impl Catalog {
    /// What a configuration knows, with a newer catalog of this file.
    ///
    /// # Errors
    /// All that is wrong with its overrides, and why its file cannot be used.
    pub fn of(config: &config::Catalog, file: Option<&Path>) -> Result<Self, Invalid> {
        let mut catalog = Self { own_word_only: !config.check_content, ..Self::default() };
        if let Some(path) = file {
            let table = std::fs::read_to_string(path).map_err(|error| error.to_string()).and_then(|text| {
                let bytes = pack::compile(&text)?;
                Table::open(bytes.into()).map_err(|error| error.to_string())
            });
            let wrong =
                |error: String| Invalid::at("catalog.file", format!("`{}` cannot be used: {error}", path.display()));
            catalog.file = Some(table.map_err(wrong)?);
        }
        let (mut records, mut problems) = (Vec::new(), Vec::new());
        for (at, given) in config.overrides.iter().enumerate() {
            match catalog.record(given) {
                Ok(record) => {
                    if given.capabilities.is_some() {
                        catalog.told.push((record.provider.clone(), record.id.clone()));
                    }
                    records.push(record);
                }
                Err(invalid) => problems.extend(invalid.under(&format!("catalog.overrides[{at}]")).problems),
            }
        }
        if !problems.is_empty() {
            return Err(Invalid::from(problems));
        }
        if !records.is_empty() {
            let bytes =
                pack::pack(&Origin::default(), &records).map_err(|error| Invalid::at("catalog.overrides", error))?;
            let table =
                Table::open(bytes.into()).map_err(|error| Invalid::at("catalog.overrides", error.to_string()))?;
            catalog.own = Some(table);
        }
        Ok(catalog)
    }

    /// A model as the configuration has it, over what is known of it.
    fn record(&self, given: &Override) -> Result<Record, Invalid> {
        let provider = match (&given.provider, &given.target) {
            (Some(provider), _) => provider.clone(),
            (None, target) => format!("@{}", target.as_deref().unwrap_or_default()),
        };
        let base = match &given.like {
            Some(like) => {
                let row = like.split_once('/').and_then(|(provider, id)| self.get(provider, id));
                let lost = || format!("the catalog has no `{like}`; a model is named as `openai/gpt-5-mini`");
                Some(row.ok_or_else(|| Invalid::at("like", lost()))?)
            }
            None => given.provider.as_deref().and_then(|provider| self.get(provider, &given.model)),
        };
        let mut record = base.map(view::record).unwrap_or_else(|| Record {
            mode: "chat".to_owned(),
            trust: "none".to_owned(),
            ..Record::default()
        });
        (record.provider, record.id, record.src) = (provider, given.model.clone(), "u".to_owned());
        (record.inherited, record.retired, record.deprecated) = (Vec::new(), false, None);
        if let Some(mode) = &given.mode {
            if !kind::MODES.contains(&mode.as_str()) {
                return Err(Invalid::at("mode", format!("there is no `{mode}`; there are {}", kind::MODES.join(", "))));
            }
            record.mode.clone_from(mode);
        }
        record.context = given.context_window.unwrap_or(record.context);
        record.max_output = given.max_output_tokens.unwrap_or(record.max_output);
        if let Some(capabilities) = &given.capabilities {
            let strange = capabilities.iter().find(|name| !kind::CAPABILITIES.contains(&name.as_str()));
            if let Some(strange) = strange {
                let known = kind::CAPABILITIES.join(", ");
                return Err(Invalid::at("capabilities", format!("there is no `{strange}`; there are {known}")));
            }
            record.caps.clone_from(capabilities);
            let lacks = kind::INPUTS.iter().filter(|input| !capabilities.iter().any(|has| has == *input));
            record.lacks = lacks.map(|input| (*input).to_owned()).collect();
        }
        if let Some(price) = &given.price {
            record.price = vec![Entry { rates: rates(price)?, ..Entry::default() }];
            record.trust = "reviewed".to_owned();
        }
        Ok(record)
    }

    fn layers(&self) -> impl Iterator<Item = &Table> {
        self.own.iter().chain(&self.file).chain([embedded()])
    }

    /// The model that a provider calls exactly so.
    pub fn get(&self, provider: &str, id: &str) -> Option<Row<'_>> {
        self.layers().find_map(|table| table.get(provider, id))
    }

    /// The model that is meant by an id: by exactly this, without its region, or without its version.
    pub fn find<'a>(&'a self, owner: Owner<'_>, id: &'a str) -> Option<Hit<'a>> {
        let exact = |id: &str| -> Option<Row<'a>> {
            let of_target = self.own.as_ref().and_then(|own| own.get(&format!("@{}", owner.target), id));
            of_target.or_else(|| self.get(owner.provider, id))
        };
        let versions = |id: &'a str, region: Option<&'a str>| {
            let mut name = id;
            loop {
                if let Some(row) = exact(name) {
                    return Some(Hit { row, region });
                }
                name = names::undated(name)?;
            }
        };
        versions(id, None).or_else(|| {
            let (region, rest) = names::region(id)?;
            versions(rest, Some(region))
        })
    }

    /// The same, or else the same model at its maker: for limits and capabilities, never for prices.
    pub fn facts<'a>(&'a self, owner: Owner<'_>, id: &'a str) -> Option<Row<'a>> {
        let found = self.find(owner, id).map(|hit| hit.row);
        found.or_else(|| made().get(names::bare(id).as_str()).and_then(|row| embedded().row(*row)))
    }

    /// What a model costs at a target; `None` if nothing is known.
    pub fn prices(&self, owner: Owner<'_>, id: &str) -> Option<Prices> {
        let hit = self.find(owner, id).filter(|hit| hit.row.is_priced())?;
        Some(Prices::of(hit.row, hit.region))
    }

    /// The most tokens a model answers with, if that is known.
    pub fn most_output(&self, owner: Owner<'_>, id: &str) -> Option<u64> {
        self.facts(owner, id).map(|row| u64::from(row.max_output())).filter(|most| *most > 0)
    }

    /// The content that a model is known not to take: by the configuration's own word, which is all that it can do, or
    /// else by the catalog, which leaves out only what everybody leaves out who lists what the model takes.
    pub fn lacks(&self, owner: Owner<'_>, id: &str) -> Inputs {
        let row = self.find(owner, id).map(|hit| hit.row);
        let same = |row: &Row<'_>| self.told.iter().any(|(owner, model)| owner == row.provider() && model == row.id());
        match row {
            Some(row) if !self.own_word_only || row.is_own() && same(&row) => row.lacks(),
            None if !self.own_word_only && !names::NAMED_BY_OPERATORS.contains(&owner.provider) => {
                blind().get(&names::stem(id)).copied().unwrap_or_default()
            }
            _ => Inputs::default(),
        }
    }

    /// Every model of a provider, in no particular order, each once.
    pub fn of_provider<'a>(&'a self, provider: &'a str) -> impl Iterator<Item = Row<'a>> {
        let mut seen = BTreeSet::new();
        self.layers().flat_map(move |table| table.of(provider)).filter(move |row| seen.insert(row.id()))
    }
}

/// The models of those who make them, by their bare names. Made at the first question.
fn made() -> &'static HashMap<String, usize> {
    const MAKERS: [&str; 10] =
        ["openai", "anthropic", "gemini", "mistral", "xai", "deepseek", "cohere", "moonshot", "qwen", "perplexity"];
    static MADE: LazyLock<HashMap<String, usize>> = LazyLock::new(|| {
        let rows = embedded().rows().enumerate();
        let own = rows.filter(|(_, row)| MAKERS.contains(&row.provider()) && !row.id().contains('/'));
        // of several versions, the last: ids are in order
        own.map(|(at, row)| (names::bare(row.id()), at)).collect()
    });
    &MADE
}

/// What models do not take by their stems, for those that the catalog knows of other providers than the one asked, and
/// hardly anybody says otherwise. Made at the first question.
fn blind() -> &'static HashMap<names::Stem, Inputs> {
    static BLIND: LazyLock<HashMap<names::Stem, Inputs>> = LazyLock::new(|| {
        let mut votes: HashMap<names::Stem, (Inputs, i32)> = HashMap::new();
        for row in embedded().rows() {
            let lacks = row.lacks();
            let vote = if row.capabilities().any(|name| name == kind::INPUTS[0]) { -10 } else { 1 };
            if vote < 0 || !lacks.is_empty() {
                let known = votes.entry(names::stem(row.id())).or_insert((Inputs::ALL, 0));
                known.1 += vote;
                known.0 = if vote > 0 { known.0.and(lacks) } else { known.0 };
            }
        }
        votes.into_iter().filter(|(_, (_, votes))| *votes > 0).map(|(stem, (lacks, _))| (stem, lacks)).collect()
    });
    &BLIND
}

/// Prices of a configuration, for one unit each.
fn rates(price: &config::Price) -> Result<Rates, Invalid> {
    let mut rates = Rates::default();
    for (name, dollars) in price.given() {
        let wrong = |why: &str| Invalid::at(format!("price.{name}"), why.to_owned());
        let at = kind::KINDS.iter().position(|kind| kind.public == name).ok_or_else(|| wrong("is no price"))?;
        let shift = if kind::KINDS[at].is_of_tokens() { -6 } else { 0 };
        let usd = Usd::parse(&dollars.to_string(), shift);
        let usd = usd.ok_or_else(|| {
            wrong(
                "must be an amount of US dollars from 0, with at most 6 decimals, or 12 for what is counted one by one",
            )
        })?;
        if usd.picos() > kind::word::VALUE {
            return Err(wrong("is more than a price can be"));
        }
        rates.set(at, usd);
    }
    Ok(rates)
}
