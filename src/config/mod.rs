//! The configuration: what it may say, how it is read, and what is wrong with it.
//!
//! A file is read in three steps. [`node`] makes a tree that knows the line and column of every part; [`shape`] holds
//! the tree against the JSON Schema of [`Config`] and [`rules`] holds the typed result against what a schema cannot say.
//! All problems come back at once. Nothing here knows a provider: the list is handed to [`check`].

mod catalog;
pub mod diff;
mod faults;
mod find;
mod idle;
mod keys;
mod later;
mod mask;
mod media;
mod nearest;
mod node;
mod patience;
mod period;
mod problem;
mod resilience;
mod routes;
mod rules;
mod schema;
mod several;
mod shape;
mod source;
mod strategies;
mod strategy;
mod target;
mod text;

use std::path::Path;

pub use self::catalog::{Catalog, Override, Price};
pub use self::faults::Injection;
pub use self::find::{Found, find};
pub use self::keys::{Keys, MOST_KEYS};
pub use self::media::{Fetch, Media};
pub use self::period::{parse as parse_duration, render as render_duration};
pub use self::problem::{Invalid, Problem, Warning};
pub use self::resilience::{CircuitBreaker, Concurrency, ErrorRate, MinThroughput};
pub use self::routes::{Day, Group, Hours, Match, Route, Tokens};
pub use self::schema::{Compatibility, Config, OnUnsupported, Server, Tools};
pub use self::several::Several;
pub use self::source::{Source, hash};
pub use self::strategy::{
    Affinity, Condition, ConditionKey, ContentCondition, ContentKind, Hedge, Mode, OnFailure, Sticky, StickyBy,
    Strategy, Unpriced, Variant,
};
pub use self::target::{Failure, Retry, RetryBudget, Target, Timeouts};
pub use self::text::{Env, Secret, Text};

/// How a configuration is written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// YAML 1.2, one document.
    Yaml,
    /// JSON, one object.
    Json,
}

impl Format {
    /// The format a file name promises, whatever the case of its extension.
    pub fn of(path: &Path) -> Option<Self> {
        let extension = path.extension()?.to_str()?.to_ascii_lowercase();
        match extension.as_str() {
            "yaml" | "yml" => Some(Format::Yaml),
            "json" => Some(Format::Json),
            _ => None,
        }
    }
}

/// A configuration that can be used, with what its owner should still know.
#[derive(Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// What is allowed and yet probably not meant.
    pub warnings: Vec<Warning>,
    /// The text it came from: gives later problems their line.
    pub source: Source,
}

/// Reads a configuration file. The extension decides the format.
///
/// # Errors
/// Every problem of the file at once, or why it cannot be read.
pub fn load(path: &Path) -> Result<Loaded, Invalid> {
    decode(path, std::fs::read(path))
}

/// The same for a file that somebody has read, or tried to.
///
/// # Errors
/// Every problem of the file at once, or why it cannot be read.
pub fn decode(path: &Path, read: std::io::Result<Vec<u8>>) -> Result<Loaded, Invalid> {
    let name = path.display().to_string();
    let Some(format) = Format::of(path) else {
        return Err(Invalid::file(&name, "unknown_format", "the file name ends neither in .yaml or .yml nor in .json"));
    };
    let bytes = read.map_err(|error| Invalid::file(&name, "unreadable_file", &error.to_string()))?;
    let text = String::from_utf8(bytes)
        .map_err(|_| Invalid::file(&name, "unreadable_file", "the file is not text in UTF-8"))?;
    let mut loaded = parse(&text, format, &name)?;
    loaded.config.dir = path.parent().map(Path::to_owned).unwrap_or_default();
    Ok(loaded)
}

/// Reads a configuration from a text; `name` is what problems call it.
///
/// # Errors
/// Every problem of the text at once.
pub fn parse(text: &str, format: Format, name: &str) -> Result<Loaded, Invalid> {
    let mut source = Source::new(name, text);
    let tree = match node::parse(source.text(), format) {
        Ok(tree) => tree,
        Err(fault) => return Err(source.blame(vec![*fault])),
    };
    source.index(&tree);
    let schema = schema_value();
    let shape::Read { mut value, mut problems, mut warnings, mut settled } = shape::read(&tree, &schema, format);
    if settled.covers("strategy.mode") {
        // The mode is not known: judge the rest by the one that uses every target.
        value["strategy"] = serde_json::json!({ "mode": Mode::Fallback });
    }
    match serde_json::from_value::<Config>(value) {
        Ok(mut config) => {
            config.strategy.mode.get_or_insert_default();
            let found = rules::check(&config);
            problems.extend(found.problems.into_iter().filter(|problem| !settled.covers(&problem.path)));
            warnings.extend(found.warnings);
            if problems.is_empty() {
                return Ok(Loaded { config, warnings: source.blame(warnings).problems, source });
            }
        }
        // The shape pass is meant to find all of these; this is what is left when it and serde disagree.
        Err(error) if problems.is_empty() => {
            settled.add("");
            problems.push(Problem::new("", "wrong_type", error.to_string()));
        }
        Err(_) => {}
    }
    Err(source.blame(problems))
}

/// What is wrong with a configuration, given the ids of the providers there are: for one that was built by hand, and
/// for the names that [`load`] cannot judge. [`Source::blame`] adds the lines.
pub fn check(config: &Config, known_providers: &[&str]) -> Vec<Problem> {
    let mut problems = rules::check(config).problems;
    rules::providers(config, known_providers, &mut problems);
    problems
}

/// The references `${NAME}` of a configuration that name nothing in the environment, one problem each place.
pub fn undefined(config: &Config, env: &Env) -> Vec<Problem> {
    rules::undefined(config, env)
}

/// The JSON Schema of the configuration, for editors.
pub fn schema_json() -> String {
    format!("{:#}\n", schema_value())
}

fn schema_value() -> serde_json::Value {
    schemars::schema_for!(Config).to_value()
}
