//! The command line: one file a command. Clap ends the process with status 2 when it is used wrongly, everything else
//! that goes wrong ends it with status 1.

mod banner;
mod catalog;
mod checks;
mod choice;
mod client;
mod config;
mod credentials;
mod doctor;
mod explain;
mod explained;
mod healthcheck;
mod init;
mod later;
mod listen;
mod live;
mod models;
mod output;
mod plan;
mod providers;
mod record;
mod serve;
mod status;
mod validate;
mod version;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use clap_complete::Shell;

use self::output::{Failed, Format, Output};
use crate::config::{Env, Secret};

/// One OpenAI-compatible API in front of many LLM providers.
///
/// Without a command the gateway serves: `ferrogw` is `ferrogw serve`.
#[derive(Parser)]
#[command(name = "ferrogw", version, max_term_width = 110, after_help = AFTER)]
struct Cli {
    #[command(flatten)]
    serve: serve::Args,
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Option<Command>,
}

const AFTER: &str = "First run:\n  ferrogw             serves the built-in demo, or the providers whose keys are in the \
                     environment\n  ferrogw init        writes a config.yaml and shows a new master key";

/// What every command takes.
#[derive(clap::Args)]
#[command(next_help_heading = "Options of every command")]
struct Global {
    /// The configuration file [default: $GATEWAY_CONFIG, else ./config.yaml, .yml or .json]
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    /// The gateway to ask [default: $FERROGW_URL, else http://localhost:8080]
    #[arg(long, visible_alias = "url", value_name = "URL", global = true)]
    gateway_url: Option<String>,
    /// The key to ask it with [default: $FERROGW_API_KEY, else $MASTER_KEY]
    #[arg(long, value_name = "KEY", global = true, value_parser = secret)]
    api_key: Option<Secret>,
    /// What answers look like
    #[arg(long, global = true, value_enum, ignore_case = true, default_value_t)]
    format: Format,
    /// Write no colours; neither are there any with NO_COLOR, nor when the output is no terminal
    #[arg(long, global = true)]
    no_color: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Run the gateway (the default)
    Serve(serve::Args),
    /// Run the gateway, and write what providers are asked and answer into a folder: `replay://DIR` plays it
    Record(record::Args),
    /// Write a first configuration file and show a new master key
    Init(init::Args),
    /// Check a configuration file without starting
    Validate(validate::Args),
    /// Compare a configuration file with what a running gateway serves
    Plan(plan::Args),
    /// Check what a gateway started here would find: configuration, credentials, upstreams, port
    Doctor(doctor::Args),
    /// List the providers: what each can do, its variables, and which of them are set here
    Providers(providers::Args),
    /// Ask a running gateway how it is
    Status,
    /// Ask a running gateway what would become of a request, or what became of one; nothing is called
    Explain(explain::Args),
    /// Exit with status 0 if the gateway on this machine takes requests: for containers
    Healthcheck(healthcheck::Args),
    /// List the models that a gateway started here could be asked for, with limits and prices
    Models(models::Args),
    /// Look at the catalog of models and prices, or renew it
    #[command(subcommand, arg_required_else_help = true)]
    Catalog(catalog::Command),
    /// Work with the configuration
    #[command(subcommand, arg_required_else_help = true)]
    Config(config::Command),
    /// Print version, commit and build
    Version,
    /// Print a completion script for a shell
    Completion {
        /// The shell
        shell: Shell,
    },
}

#[expect(clippy::unnecessary_wraps, reason = "the signature of a value parser")]
fn secret(text: &str) -> Result<Secret, std::convert::Infallible> {
    Ok(Secret::from(text))
}

/// Does what the arguments of this process say.
pub fn main() -> ExitCode {
    if std::env::args_os().any(|arg| arg == "--no-color") {
        anstream::ColorChoice::Never.write_global();
    }
    let cli = match parse() {
        Ok(cli) => cli,
        Err(error) => error.exit(),
    };
    let output = Output { format: cli.global.format };
    match run(cli, output) {
        Ok(code) => code,
        Err(failed) => output.fail(failed),
    }
}

fn parse() -> Result<Cli, clap::Error> {
    let color = match anstream::ColorChoice::global() {
        anstream::ColorChoice::Never => clap::ColorChoice::Never,
        _ => clap::ColorChoice::Auto,
    };
    let mut command = Cli::command().color(color);
    let matches = command.try_get_matches_from_mut(std::env::args_os())?;
    let mut cli = Cli::from_arg_matches(&matches)?;
    // `ferrogw --port 1 validate`: the flags of the default command in front of another one would do nothing.
    match &mut cli.command {
        Some(Command::Serve(args)) => args.inherit(std::mem::take(&mut cli.serve)),
        Some(Command::Record(args)) => args.inherit(std::mem::take(&mut cli.serve)),
        Some(_) if !cli.serve.is_empty() => {
            let message = "the flags of `serve` cannot stand before another command";
            return Err(command.error(ErrorKind::ArgumentConflict, message));
        }
        _ => {}
    }
    Ok(cli)
}

fn run(cli: Cli, output: Output) -> Result<ExitCode, Failed> {
    let (global, env) = (cli.global, Env::of_process());
    let done = match cli.command.unwrap_or(Command::Serve(cli.serve)) {
        Command::Serve(args) => serve::run(&args, &global, env, output),
        Command::Record(args) => record::run(&args, &global, env, output),
        Command::Init(args) => init::run(&args, &env, output),
        Command::Validate(args) => validate::run(&args, &global, &env, output),
        Command::Plan(args) => return plan::run(&args, &global, &env, output),
        Command::Doctor(args) => doctor::run(&args, &global, &env, output),
        Command::Providers(args) => providers::run(&args, &env, output),
        Command::Status => status::run(&global, &env, output),
        Command::Explain(args) => explain::run(&args, &global, &env, output),
        Command::Healthcheck(args) => healthcheck::run(&args, &env),
        Command::Models(args) => models::run(&args, &global, &env, output),
        Command::Catalog(command) => catalog::run(&command, output),
        Command::Config(command) => config::run(&command, &global, &env, output),
        Command::Version => version::run(output),
        Command::Completion { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "ferrogw", &mut script);
            output.write(&String::from_utf8_lossy(&script))
        }
    };
    done.map(|()| ExitCode::SUCCESS)
}
