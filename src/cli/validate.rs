//! `ferrogw validate`: everything that is wrong with a configuration, without credentials and without starting.

use std::path::{Path, PathBuf};

use super::Global;
use super::choice::{Choice, choose};
use super::output::{Failed, GREEN, Output, paint};
use crate::config::Env;
use crate::providers::auth::Fetcher;
use crate::providers::client::{Client, Options};
use crate::server::rehearsal::rehearse;

/// What to check.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The file [default: the one that `ferrogw` would use]
    file: Option<PathBuf>,
    /// Fail on warnings too, such as credentials that are not in the environment
    #[arg(long)]
    strict: bool,
}

/// What counts, beside what is wrong wherever a configuration is used.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Care {
    /// Nothing: it is meant for another environment.
    File,
    /// What this environment lacks is a warning.
    Environment,
    /// Warnings are failures.
    Strict,
}

/// The configuration, if it can be used. Prints warnings, and to programs what is wrong.
pub(super) fn checked(file: Option<&Path>, env: &Env, output: Output, care: Care) -> Result<Choice, Failed> {
    let choice = match choose(file, env) {
        Ok(choice) => choice,
        Err(failed) => return Err(refuse(failed, output)),
    };
    let client = Client::new(Options::default()).map_err(Failed::because)?;
    let rehearsal = rehearse(&choice.config, env, &client, &Fetcher::default());
    let mut problems = rehearsal.problems;
    let mut warnings = choice.warnings.clone();
    if care != Care::File {
        warnings.extend(choice.blame(rehearsal.lacks).problems);
    }
    if care == Care::Strict {
        problems.append(&mut warnings);
    }
    output.warn(&warnings, choice.file());
    if !problems.is_empty() {
        return Err(refuse(choice.blame(problems).into(), output));
    }
    Ok(choice)
}

/// Prints the configuration in short, or whole with all defaults as JSON or YAML.
pub(super) fn run(args: &Args, global: &Global, env: &Env, output: Output) -> Result<(), Failed> {
    let care = if args.strict { Care::Strict } else { Care::Environment };
    let choice = checked(args.file.as_deref().or(global.config.as_deref()), env, output, care)?;
    let config = &choice.config;
    output.print(config, || {
        let mut text = format!("{} Config is valid\n", paint(GREEN, "[OK]"));
        let aliases = config.aliases.len();
        for (name, value) in [
            ("Config:", choice.origin()),
            ("Strategy:", config.strategy.mode.unwrap_or_default().name().to_owned()),
            ("Targets:", config.targets.len().to_string()),
            ("Providers:", choice.providers().join(", ")),
            ("Aliases:", if aliases == 0 { String::new() } else { aliases.to_string() }),
        ] {
            if !value.is_empty() {
                text += &format!("{name:<11}{value}\n");
            }
        }
        text
    })
}

/// Programs get the list of problems as the answer.
fn refuse(failed: Failed, output: Output) -> Failed {
    if output.is_text() {
        return failed;
    }
    match output.print(&failed.data(), String::new) {
        Ok(()) => Failed::told(),
        Err(failed) => failed,
    }
}
