//! A configuration compiled without being served: tells what is wrong with it from what only this environment lacks.

use std::sync::Arc;

use super::build;
use crate::catalog::Catalog;
use crate::config::{self, Config, Env, Invalid, Problem};
use crate::providers::auth::Fetcher;
use crate::providers::client::Client;
use crate::providers::spec::Var;
use crate::routing::Target;

/// What stands in for variables that are not set: a word, and an address where a word will not do.
const STAND_INS: [&str; 2] = ["stand-in", "https://stand-in.invalid"];

/// What came of it.
#[derive(Default)]
pub struct Rehearsal {
    /// What is wrong wherever the configuration is used.
    pub problems: Vec<Problem>,
    /// What the environment lacks: credentials and `${VAR}`s.
    pub lacks: Vec<Problem>,
    /// The targets that could serve.
    pub targets: Vec<Arc<Target>>,
}

/// Compiles every target by itself. Nothing is sent to anybody; with `fetcher` the targets will get tokens if they are
/// used.
pub fn rehearse(config: &Config, env: &Env, client: &Client, fetcher: &Fetcher) -> Rehearsal {
    let mut rehearsal = Rehearsal::default();
    let redactor = Arc::new(build::redactor(config, env));
    let undefined = config::undefined(config, env);
    if let Err(invalid) = Catalog::of(&config.catalog, config.catalog_file().as_deref()) {
        rehearsal.problems.extend(invalid.problems);
    }
    for (at, given) in config.targets.iter().enumerate() {
        let place = format!("targets[{at}]");
        let (catalog, media) = (config::Catalog::default(), config::Media::default());
        let alone = Config { targets: vec![given.clone()], catalog, media, ..config.clone() };
        let compile = |env: &Env| build::compile(&alone, env, client, &redactor, fetcher);
        let placed = |invalid: Invalid| {
            let mut problems = invalid.problems;
            problems.iter_mut().for_each(|problem| problem.path = problem.path.replacen("targets[0]", &place, 1));
            problems
        };
        let failed = match compile(env) {
            Ok(rules) => {
                rehearsal.targets.extend(rules.targets);
                continue;
            }
            Err(invalid) => placed(invalid),
        };
        let here = format!("{place}.");
        let mut lacks: Vec<Problem> =
            undefined.iter().filter(|problem| problem.path.starts_with(&here)).cloned().collect();
        let stood_in = STAND_INS.map(|stand_in| compile(&completed(given, env, stand_in)));
        if stood_in.iter().any(Result::is_ok) {
            if lacks.is_empty() {
                lacks = failed;
                lacks.iter_mut().for_each(|problem| problem.code = "missing_setting");
            }
            rehearsal.lacks.extend(lacks);
            continue;
        }
        let problems = stood_in.into_iter().next().and_then(Result::err).map_or(failed, |invalid| {
            let stands = |problem: &Problem| !lacks.iter().any(|lack| lack.path == problem.path);
            placed(invalid).into_iter().filter(stands).collect()
        });
        rehearsal.problems.extend(problems);
        rehearsal.lacks.extend(lacks);
    }
    rehearsal
}

/// The part of the environment that a target reads, with `stand_in` for what it needs and nobody has set.
fn completed(given: &config::Target, env: &Env, stand_in: &str) -> Env {
    let nothing = Env::default();
    let keys = given.api_key.iter().flat_map(config::Keys::texts);
    let texts = given.base_url.iter().chain(keys).chain(given.headers.values()).chain(given.options.values());
    let needed = texts.flat_map(|text| text.missing(&nothing)).map(|name| (name, true));
    let spec = build::spec(given.provider());
    let vars = spec.map_or(&[][..], |spec| spec.vars);
    let is_set = |var: &Var| var.names.iter().any(|name| env.get(name).is_some());
    // One of these will do: it is the first, unless there is one.
    let any_of = spec.map_or(&[][..], |spec| spec.any_of);
    let one = any_of.first().filter(|_| !vars.iter().any(|var| any_of.contains(&var.setting) && is_set(var)));
    let read = vars.iter().flat_map(|var| {
        let needed = (var.needed || one == Some(&var.setting)) && !is_set(var);
        var.names.iter().enumerate().map(move |(at, name)| (*name, needed && at == 0))
    });
    let value = |(name, needed): (&str, bool)| {
        let value = match env.raw(name) {
            // Of a provider's own variables an empty one counts as unset.
            Some(value) if !value.trim().is_empty() || !needed => value,
            None if !needed => return None,
            _ => stand_in,
        };
        Some((name.to_owned(), value.to_owned()))
    };
    needed.chain(read).filter_map(value).collect()
}
