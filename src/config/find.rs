//! Which configuration file is meant.

use std::path::{Path, PathBuf};

use super::problem::{Problem, Warning};
use super::text::Env;

/// A configuration file and why it is the one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The file; it need not exist when it was named.
    pub path: PathBuf,
    /// Who chose it: `--config`, `GATEWAY_CONFIG` or `the working directory`.
    pub why: &'static str,
    /// Files that were passed over.
    pub warnings: Vec<Warning>,
}

/// The file that was named by `--config`, else by `GATEWAY_CONFIG`, else the first of `config.yaml`, `config.yml` and
/// `config.json` in `dir`. `None` when there is none of these: then the environment's keys make the configuration.
pub fn find(flag: Option<&Path>, env: &Env, dir: &Path) -> Option<Found> {
    if let Some(path) = flag {
        return Some(Found { path: path.to_owned(), why: "--config", warnings: Vec::new() });
    }
    if let Some(path) = env.get("GATEWAY_CONFIG") {
        return Some(Found { path: PathBuf::from(path), why: "GATEWAY_CONFIG", warnings: Vec::new() });
    }
    let names = ["config.yaml", "config.yml", "config.json"];
    let mut present = names.iter().map(|name| dir.join(name)).filter(|path| path.is_file());
    let path = present.next()?;
    let warnings = present
        .map(|other| {
            let message = format!("{} is ignored: {} comes first", other.display(), path.display());
            Problem::new("", "ignored_file", message).help("remove one, or name one with --config")
        })
        .collect();
    Some(Found { path, why: "the working directory", warnings })
}
