//! `ferrogw record`: serve as usual, and write every exchange with a provider into a folder.

use std::path::PathBuf;

use super::Global;
use super::choice::choose;
use super::output::{Failed, Output};
use super::serve;
use crate::config::Env;
use crate::providers::tape::Recorder;

/// What to record, and where.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The folder to write into, a file an exchange; made if it is not there, and added to if it is
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Record this target alone; can be given several times [default: all targets]
    #[arg(long = "target", value_name = "NAME")]
    targets: Vec<String>,
    #[command(flatten)]
    serve: serve::Args,
}

impl Args {
    /// Takes what is not set from the flags that stood in front of the command.
    pub(super) fn inherit(&mut self, before: serve::Args) {
        self.serve.inherit(before);
    }
}

/// Serves and records until told to stop.
pub(super) fn run(args: &Args, global: &Global, env: Env, output: Output) -> Result<(), Failed> {
    let choice = choose(global.config.as_deref(), &env)?;
    let known = choice.targets();
    if let Some(strange) = args.targets.iter().find(|name| !known.contains(&name.as_str())) {
        return Err(Failed::because(format!(
            "--target: there is no target `{strange}`; there are {}",
            known.join(", ")
        )));
    }
    let folder = args.out.display();
    let recorder = Recorder::start(&args.out, args.targets.clone())
        .map_err(|error| Failed::because(format!("--out: cannot write into {folder}: {error}")))?;
    let what = "prompts and answers as they are, credentials left out";
    let warning = format!("every exchange with a provider is written into {folder}: {what}");
    serve::run_recorded(&args.serve, global, env, output, Some((recorder, warning)))
}
