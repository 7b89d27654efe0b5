//! The configuration that a gateway started here would use, and why this one.

use std::path::{Path, PathBuf};

use super::credentials;
use super::output::Failed;
use crate::config::{self, Config, Env, Found, Invalid, Problem, Source};
use crate::server::build;
use crate::server::reload::Follow;

/// A configuration and where it comes from.
pub(super) struct Choice {
    pub(super) config: Config,
    pub(super) origin: Origin,
    /// What its owner should know, with lines.
    pub(super) warnings: Vec<Problem>,
    source: Option<Source>,
}

/// Where a configuration comes from.
pub(super) enum Origin {
    /// A file, and who chose it.
    File { path: PathBuf, why: &'static str },
    /// These environment variables.
    Keys(Vec<&'static str>),
    /// Nothing was found: the demo.
    Nothing,
}

/// The configuration that is meant: `flag`, `GATEWAY_CONFIG`, the working directory, the keys of the environment.
/// Fails with everything that is wrong with it whatever the environment.
pub(super) fn choose(flag: Option<&Path>, env: &Env) -> Result<Choice, Failed> {
    let dir = std::env::current_dir()?;
    let Some(Found { path, why, warnings }) = config::find(flag, env, &dir) else {
        let origin = match credentials::found(env) {
            names if names.is_empty() => Origin::Nothing,
            names => Origin::Keys(names),
        };
        let warnings = ignored(Path::new("/etc/ferrogw"));
        return Ok(Choice { config: build::derive(env), origin, warnings, source: None });
    };
    // Shown as people would write it.
    let path = path.strip_prefix(&dir).map(Path::to_owned).unwrap_or(path);
    let mut loaded = config::load(&path)?;
    let problems = config::check(&loaded.config, &build::provider_ids());
    if !problems.is_empty() {
        return Err(loaded.source.blame(problems).into());
    }
    loaded.warnings.splice(0..0, warnings);
    let origin = Origin::File { path, why };
    Ok(Choice { config: loaded.config, origin, warnings: loaded.warnings, source: Some(loaded.source) })
}

/// Files at the place where containers have them, which nobody has named.
fn ignored(dir: &Path) -> Vec<Problem> {
    let files = ["config.yaml", "config.yml", "config.json"].iter().map(|name| dir.join(name));
    files
        .filter(|path| path.is_file())
        .flat_map(|path| {
            let path = path.display();
            let message = format!("{path} is ignored: set GATEWAY_CONFIG={path} to use it");
            Invalid::at("", message).problems.into_iter().map(|mut problem| {
                problem.code = "ignored_file";
                problem
            })
        })
        .collect()
}

impl Choice {
    /// The file's name, empty if there is none.
    pub(super) fn file(&self) -> &str {
        self.source.as_ref().map_or("", Source::name)
    }

    /// The [`config::hash`] of the file's text.
    pub(super) fn hash(&self) -> Option<&str> {
        self.source.as_ref().map(Source::hash)
    }

    /// The same problems, with their lines in the file.
    pub(super) fn blame(&self, problems: Vec<Problem>) -> Invalid {
        match &self.source {
            Some(source) => source.blame(problems),
            None => Invalid::from(problems),
        }
    }

    /// How its changes are noticed.
    pub(super) fn follow(&self) -> Follow {
        let Origin::File { path, .. } = &self.origin else { return Follow::default() };
        let hash = self.hash().map(str::to_owned);
        Follow { file: Some(path.clone()), hash, ..Follow::default() }
    }

    /// The targets' names.
    pub(super) fn targets(&self) -> Vec<&str> {
        self.config.targets.iter().map(|target| target.virtual_key.as_str()).collect()
    }

    /// The providers' ids, each once.
    pub(super) fn providers(&self) -> Vec<&str> {
        let mut ids = Vec::new();
        for target in &self.config.targets {
            if !ids.contains(&target.provider()) {
                ids.push(target.provider());
            }
        }
        ids
    }

    /// Where it comes from, for people.
    pub(super) fn origin(&self) -> String {
        match &self.origin {
            Origin::File { path, why } if why.starts_with("the ") => format!("{} (found in {why})", path.display()),
            Origin::File { path, why } => format!("{} (named by {why})", path.display()),
            Origin::Keys(names) => format!("no file, made from the environment: {}", names.join(", ")),
            Origin::Nothing => "no file and no provider key found, so there is only the demo".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_file_where_containers_have_it_is_not_used_in_silence() {
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::write(dir.path().join("config.yml"), "").expect("a file");
        let warnings = super::ignored(dir.path());
        assert_eq!(warnings.len(), 1);
        assert!(warnings[0].message.contains("config.yml is ignored: set GATEWAY_CONFIG="), "{}", warnings[0].message);
    }
}
