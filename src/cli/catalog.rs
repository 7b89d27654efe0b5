//! `ferrogw catalog`: the models this binary knows, with limits and prices, and how that knowledge is renewed.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use clap::Subcommand;
use serde::Serialize;
use serde_json::{Value, json};

use super::output::{BOLD, FAINT, Failed, Output, YELLOW, paint, say, table};
use crate::catalog::kind::{CAPABILITIES, KINDS, MODES};
use crate::catalog::price::{self, Listed};
use crate::catalog::record::{self, Record};
use crate::catalog::view::{self, View};
use crate::catalog::{self, Row, import};
use crate::wire::Tier;

/// What to do with it.
#[derive(Subcommand)]
pub(super) enum Command {
    /// Show what is known of a model; without one, what the catalog is made of
    Show {
        /// A model, as `gpt-5-mini` or `openai/gpt-5-mini`
        model: Option<String>,
    },
    /// Find models by parts of their names, provider, purpose or capability
    Search(Search),
    /// Show what has changed between two catalogs
    Diff {
        /// The newer one: a models.jsonl
        new: PathBuf,
        /// The older one [default: the catalog of this binary]
        old: Option<PathBuf>,
    },
    /// Make a catalog of registry packages: wheels, the folders they were unpacked to, or a models.jsonl
    Import(Import),
    /// Print where the catalog's facts come from, with the licences of the sources
    Notice,
}

/// What to look for.
#[derive(clap::Args)]
pub(super) struct Search {
    /// Parts of the id or the name, all of which must be there
    words: Vec<String>,
    /// Only models of this provider
    #[arg(long, value_name = "ID")]
    provider: Option<String>,
    /// Only models that can do this; may be given several times
    #[arg(long, value_name = "NAME", value_parser = CAPABILITIES)]
    capability: Vec<String>,
    /// Only models for this
    #[arg(long, value_name = "NAME", value_parser = MODES)]
    mode: Option<String>,
    /// Only models that hold at least so many tokens
    #[arg(long, value_name = "TOKENS", default_value_t = 0)]
    context: u32,
    /// Cheapest input first, and only what has a price
    #[arg(long)]
    cheapest: bool,
    /// Also models that are not served any more
    #[arg(long)]
    retired: bool,
    /// At most so many
    #[arg(long, value_name = "NUMBER", default_value_t = 50)]
    limit: usize,
}

/// What to import.
#[derive(clap::Args)]
pub(super) struct Import {
    /// The packages, as `litellm-….whl` and `genai_prices-….whl`
    #[arg(required = true)]
    sources: Vec<PathBuf>,
    /// Where the models.jsonl goes [default: standard output]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The catalog it is to replace, whose models are never lost: a models.jsonl [default: the catalog of this binary]
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    /// The day that decides which prices are the current ones [default: today]
    #[arg(long, value_name = "YYYY-MM-DD")]
    today: Option<String>,
    /// Write nothing, show what would change
    #[arg(long)]
    check: bool,
    /// Write the result although something about it looks wrong
    #[arg(long)]
    force: bool,
}

/// Carries a command out.
pub(super) fn run(command: &Command, output: Output) -> Result<(), Failed> {
    match command {
        Command::Show { model: None } => summary(output),
        Command::Show { model: Some(model) } => show(model, output),
        Command::Search(search) => find(search, output),
        Command::Diff { new, old } => {
            let (old, new) = (records(old.as_deref())?, records(Some(new))?);
            print_changes(&changes(&old, &new), output)
        }
        Command::Import(args) => bring(args, output),
        Command::Notice => output.write(catalog::NOTICE),
    }
}

/// What the catalog is made of.
fn summary(output: Output) -> Result<(), Failed> {
    let table = catalog::embedded();
    let mut providers: BTreeMap<&str, [usize; 3]> = BTreeMap::new();
    for row in table.rows() {
        let counts = providers.entry(row.provider()).or_default();
        counts[0] += 1;
        counts[1] += usize::from(row.is_priced());
        counts[2] += usize::from(row.trust() == "disputed");
    }
    let origin = table.origin();
    let priced: usize = providers.values().map(|counts| counts[1]).sum();
    let value = json!({
        "date": origin.catalog, "models": table.len(), "priced": priced, "bytes": table.size(), "sources": origin.sources,
        "providers": providers.iter().map(|(name, [models, priced, disputed])| {
            json!({ "provider": name, "models": models, "priced": priced, "disputed": disputed })
        }).collect::<Vec<Value>>(),
    });
    output.print(&value, || {
        let mut text = format!("{} models, {priced} of them with a price, as of {}\n", table.len(), origin.catalog);
        for source in &origin.sources {
            let _infallible = writeln!(text, "from {} {} ({})", source.name, source.version, source.license);
        }
        let rows = providers.iter().map(|(name, counts)| {
            [(*name).to_owned()].into_iter().chain(counts.iter().map(usize::to_string)).collect()
        });
        text + "\n" + &super::output::table(&["PROVIDER", "MODELS", "PRICED", "DISPUTED"], rows.collect())
    })
}

/// The models of a name: an exact id of any provider, or one of a provider that is named before it.
fn named(model: &str) -> Vec<Row<'static>> {
    let table = catalog::embedded();
    let addressed = model.split_once('/').and_then(|(provider, id)| table.get(provider, id));
    let exact = table.providers().filter_map(|provider| table.get(provider, model));
    addressed.into_iter().chain(exact).collect()
}

fn show(model: &str, output: Output) -> Result<(), Failed> {
    let rows = named(model);
    if rows.is_empty() {
        let near = catalog::embedded().rows().filter(|row| row.id().contains(model) && !row.is_retired());
        let near: Vec<String> = near.take(5).map(|row| format!("{}/{}", row.provider(), row.id())).collect();
        let hint = if near.is_empty() { String::new() } else { format!("; there are {}", near.join(", ")) };
        return Err(Failed::because(format!("the catalog has no model `{model}`{hint}")));
    }
    let views: Vec<View> = rows.iter().map(|row| View::of(*row)).collect();
    output.print(&views, || rows.iter().map(|row| sheet(*row)).collect::<Vec<String>>().join("\n"))
}

/// Everything about a model, for people.
fn sheet(row: Row<'_>) -> String {
    let mut text = paint(BOLD, format!("{}/{}", row.provider(), row.id()));
    if let Some(name) = row.name() {
        let _infallible = write!(text, "  {name}");
    }
    text.push('\n');
    let tokens = |number: u32| format!("{} tokens", thousands(u64::from(number)));
    let known = |number: u32| Some(number).filter(|number| *number > 0).map(tokens).unwrap_or_default();
    let end = match (row.is_retired(), row.deprecated()) {
        (true, _) => "it is retired".to_owned(),
        (_, Some(day)) => catalog::date::render(day),
        _ => String::new(),
    };
    let trust = match row.trust() {
        "two" => "two sources agree",
        "one" => "one source",
        "disputed" => "the sources disagree; the higher price counts",
        "reviewed" => "reviewed by a person",
        _ => "not known",
    };
    let dims = if row.dims() > 0 { row.dims().to_string() } else { String::new() };
    for (name, value) in [
        ("For:", row.mode().to_owned()),
        ("Context:", known(row.context())),
        ("Input:", known(row.max_input())),
        ("Output:", known(row.max_output())),
        ("Dimensions:", dims),
        ("Can:", row.capabilities().collect::<Vec<_>>().join(", ")),
        ("Not:", row.lacks().names().collect::<Vec<_>>().join(", ")),
        ("Elsewhere:", row.inherited().collect::<Vec<_>>().join(", ")),
        ("Ends:", end),
        ("Price:", trust.to_owned()),
    ] {
        if !value.is_empty() {
            let _infallible = writeln!(text, "  {name:<12}{value}");
        }
    }
    for line in price::list(row) {
        let _infallible = writeln!(text, "    {}", priced(&line));
    }
    text
}

/// A line of a price list, for people: `batch, above 200,000: input 0.625, output 5 (USD per million tokens)`.
fn priced(line: &Listed) -> String {
    let mut conditions: Vec<String> = line.when.iter().cloned().collect();
    conditions.extend(line.from.iter().map(|day| format!("from {day}")));
    conditions.extend(line.hours.iter().cloned());
    conditions.extend(line.above.map(|above| format!("above {} input tokens", thousands(above))));
    let head = if conditions.is_empty() { "standard".to_owned() } else { conditions.join(", ") };
    let prices = line.rates.iter().filter_map(|(at, usd)| {
        let name = KINDS.get(*at)?.public.replace("_per_m_tokens", "").replace('_', " ");
        let unit = if KINDS[*at].is_of_tokens() { "/M" } else { "" };
        Some(format!("{name} ${}{unit}", view::shown(*at, *usd)))
    });
    format!("{}: {}", paint(FAINT, head), prices.collect::<Vec<String>>().join(", "))
}

/// `1048576` as `1,048,576`.
pub(super) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let parts: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().filter_map(|part| std::str::from_utf8(part).ok()).collect();
    parts.join(",")
}

impl Search {
    fn fits(&self, row: Row<'_>) -> bool {
        let word = |word: &String| {
            let word = word.to_lowercase();
            row.id().to_lowercase().contains(&word)
                || row.name().is_some_and(|name| name.to_lowercase().contains(&word))
        };
        self.provider.as_deref().is_none_or(|provider| provider == row.provider())
            && self.mode.as_deref().is_none_or(|mode| mode == row.mode())
            && (self.retired || !row.is_retired())
            && row.context() >= self.context
            && self.capability.iter().all(|wanted| row.capabilities().any(|name| name == wanted))
            && self.words.iter().all(word)
    }
}

fn find(search: &Search, output: Output) -> Result<(), Failed> {
    let now = catalog::date::unix(SystemTime::now());
    let rates = |row: Row<'_>| price::Prices::of(row, None).rates(now, Tier::Standard, 0);
    let mut rows: Vec<Row<'_>> = catalog::embedded().rows().filter(|row| search.fits(*row)).collect();
    if search.cheapest {
        rows.retain(|row| rates(*row).get(0).is_some());
        rows.sort_by_key(|row| (rates(*row).get(0), rates(*row).get(1)));
    }
    let found = rows.len();
    rows.truncate(search.limit);
    let views: Vec<View> = rows.iter().map(|row| View::of(*row)).collect();
    output.print(&views, || {
        let cells = rows.iter().map(|row| {
            let rates = rates(*row);
            let usd = |kind: usize| rates.get(kind).map_or("-".to_owned(), |usd| view::shown(kind, usd));
            let context = if row.context() > 0 { thousands(u64::from(row.context())) } else { "-".to_owned() };
            vec![
                format!("{}/{}", row.provider(), row.id()),
                row.mode().to_owned(),
                context,
                usd(0),
                usd(1),
                row.trust().to_owned(),
            ]
        });
        let mut text = table(&["MODEL", "FOR", "CONTEXT", "INPUT $/M", "OUTPUT $/M", "TRUST"], cells.collect());
        if found > rows.len() {
            let _infallible = writeln!(text, "… and {} more: narrow the search, or raise --limit", found - rows.len());
        }
        text
    })
}

/// The models of a file, or of this binary.
fn records(path: Option<&Path>) -> Result<Vec<Record>, Failed> {
    let Some(path) = path else { return Ok(catalog::embedded().rows().map(view::record).collect()) };
    let failed = |error: String| Failed::because(format!("{}: {error}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
    record::read(&text).map(|(_, records)| records).map_err(failed)
}

/// How two catalogs differ.
#[derive(Serialize)]
struct Changes {
    added: Vec<String>,
    gone: Vec<String>,
    changed: Vec<Change>,
}

#[derive(Serialize)]
struct Change {
    model: String,
    member: String,
    old: Value,
    new: Value,
}

fn changes(old: &[Record], new: &[Record]) -> Changes {
    let by_name = |records: &[Record]| -> BTreeMap<String, Record> {
        records.iter().map(|record| (format!("{}/{}", record.provider, record.id), record.clone())).collect()
    };
    let (old, new) = (by_name(old), by_name(new));
    let mut changed = Vec::new();
    for (model, new) in &new {
        let Some(old) = old.get(model).filter(|old| *old != new) else { continue };
        let (Value::Object(old), Value::Object(new)) = (json!(old), json!(new)) else { continue };
        let names: std::collections::BTreeSet<&String> = old.keys().chain(new.keys()).collect();
        for name in names.into_iter().filter(|name| old.get(*name) != new.get(*name)) {
            let of = |map: &serde_json::Map<String, Value>| map.get(name).cloned().unwrap_or(Value::Null);
            changed.push(Change { model: model.clone(), member: name.clone(), old: of(&old), new: of(&new) });
        }
    }
    Changes {
        added: new.keys().filter(|model| !old.contains_key(*model)).cloned().collect(),
        gone: old.keys().filter(|model| !new.contains_key(*model)).cloned().collect(),
        changed,
    }
}

fn print_changes(changes: &Changes, output: Output) -> Result<(), Failed> {
    output.print(changes, || {
        let mut text = String::new();
        for (sign, models) in [("+", &changes.added), ("-", &changes.gone)] {
            models.iter().for_each(|model| text += &format!("{sign} {model}\n"));
        }
        for Change { model, member, old, new } in &changes.changed {
            text += &format!("~ {model} {member}: {old} -> {new}\n");
        }
        let counts = (changes.added.len(), changes.gone.len(), changes.changed.len());
        text + &format!("{} added, {} gone, {} members changed\n", counts.0, counts.1, counts.2)
    })
}

fn bring(args: &Import, output: Output) -> Result<(), Failed> {
    let today = args.today.clone().unwrap_or_else(|| catalog::today(SystemTime::now()));
    if catalog::date::parse(&today).is_none() {
        return Err(Failed::because(format!("`{today}` is no day, as 2026-11-21")));
    }
    let before = records(args.from.as_deref())?;
    let import = import::import(&args.sources, &before, &today).map_err(Failed::because)?;
    for line in import.ignored.lines() {
        say(&format!("not understood: {line}\n"));
    }
    for alarm in &import.alarms {
        say(&format!("{}: {alarm}\n", paint(YELLOW, "warning")));
    }
    // what cannot be compiled is not written either
    let bytes = catalog::pack::pack(&import.origin, &import.records).map_err(Failed::because)?;
    if args.check {
        return print_changes(&changes(&before, &import.records), output);
    }
    if !import.alarms.is_empty() && !args.force {
        return Err(Failed::because(
            "nothing is written: look at the warnings, and use --force if all is as it should be",
        ));
    }
    let text = record::write(&import.origin, &import.records).map_err(Failed::because)?;
    let Some(path) = &args.output else { return output.write(&text) };
    std::fs::write(path, text).map_err(|error| Failed::because(format!("{}: {error}", path.display())))?;
    let priced = import.records.iter().filter(|record| !record.price.is_empty()).count();
    let value = json!({
        "file": path, "models": import.records.len(), "priced": priced, "disputed": import.disputes, "vanished": import.vanished,
        "dropped": import.junk, "bytes": bytes.len(), "sources": import.origin.sources,
    });
    output.print(&value, || {
        format!(
            "{} models, {priced} with a price, {} of them disputed; {} retired; {} rows were no models; {} bytes compiled\n",
            import.records.len(), import.disputes, import.vanished, import.junk, bytes.len()
        )
    })
}
