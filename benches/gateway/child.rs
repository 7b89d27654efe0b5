//! This program started again in another role. A child lives as long as the pipe to its standard input.
//!
//! So nothing outlives the driver, however that ends: return, error, panic, Ctrl-C, kill.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::process::{ChildStdin, ChildStdout, Command, Stdio};

use anyhow::Context;

use crate::settings::TASKSET;

/// A running role. Dropping it ends it and waits for the end.
pub(crate) struct Child {
    process: std::process::Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl Child {
    /// Starts `role:<role>` with these arguments, on one core if one is given.
    pub(crate) fn start(role: &str, core: Option<&str>, args: &[String]) -> anyhow::Result<Child> {
        let program = std::env::current_exe()?;
        let mut command = pinned(core, &program.to_string_lossy());
        command.arg(format!("role:{role}")).args(args).stdin(Stdio::piped()).stdout(Stdio::piped());
        // a group of its own: Ctrl-C reaches the driver alone, and the closed pipe ends the rest in good order
        let mut process = command.process_group(0).spawn().with_context(|| format!("starting the {role}"))?;
        let stdin = process.stdin.take();
        let stdout = process.stdout.take().context("a child has a piped standard output")?;
        Ok(Child { process, stdin, stdout: BufReader::new(stdout) })
    }

    /// The next line the child prints; fails when it has ended.
    pub(crate) fn line(&mut self) -> anyhow::Result<String> {
        let mut line = String::new();
        if self.stdout.read_line(&mut line)? == 0 {
            anyhow::bail!("a child ended without an answer");
        }
        Ok(line.trim().to_owned())
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        !matches!(self.process.try_wait(), Ok(None))
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        drop(self.stdin.take());
        drop(self.process.wait());
    }
}

/// A command, on one core if one is given. taskset replaces itself, so the process id is the program's.
pub(crate) fn pinned(core: Option<&str>, program: &str) -> Command {
    let Some(core) = core else { return Command::new(program) };
    let mut command = Command::new(TASKSET);
    command.args(["-c", core, program]);
    command
}

/// Ends this process when the driver lets go of it.
pub(crate) fn end_with_the_driver() {
    std::thread::spawn(|| {
        drop(std::io::stdin().read_to_end(&mut Vec::new()));
        std::process::exit(0);
    });
}
