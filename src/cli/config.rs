//! `ferrogw config`: the configuration's schema, and the configuration as it is understood.

use clap::Subcommand;

use super::Global;
use super::choice::choose;
use super::output::{Failed, Format, Output};
use crate::config::{self, Env};

/// What to do with it.
#[derive(Subcommand)]
pub(super) enum Command {
    /// Print the JSON Schema of the configuration file, for editors
    Schema,
    /// Print the configuration that a gateway started here would use, defaults included, secrets masked
    Show,
}

/// Prints either.
pub(super) fn run(command: &Command, global: &Global, env: &Env, output: Output) -> Result<(), Failed> {
    match command {
        Command::Schema => output.write(&config::schema_json()),
        Command::Show => {
            let choice = choose(global.config.as_deref(), env)?;
            let format = if output.is_text() { Format::Yaml } else { output.format };
            let comment = if output.is_text() { format!("# {}\n", choice.origin()) } else { String::new() };
            output.write(&comment)?;
            Output { format }.print(&choice.config, String::new)
        }
    }
}
