//! The role that starts a proxy we did not write for the bench, and ends it when the driver is gone.

use std::fs::File;
use std::io::{Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::Context;

/// How long a proxy may take to end after SIGTERM: callgrind writes its file then.
const GRACE: Duration = Duration::from_secs(30);

static LET_GO: AtomicBool = AtomicBool::new(false);

/// `<log file> <program> <argument>…`: the program's output goes to the file, its id to our standard output.
pub(crate) fn main(args: &[String]) -> anyhow::Result<()> {
    let [log, program, args @ ..] = args else { anyhow::bail!("warden: a log file and a program are needed") };
    let log = File::options().create(true).append(true).open(log).with_context(|| log.clone())?;
    std::thread::spawn(|| {
        drop(std::io::stdin().read_to_end(&mut Vec::new()));
        LET_GO.store(true, Ordering::Relaxed);
    });
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    let mut child = command.spawn().with_context(|| program.clone())?;
    writeln!(std::io::stdout(), "{}", child.id())?;
    while !LET_GO.load(Ordering::Relaxed) {
        if let Some(status) = child.try_wait()? {
            anyhow::bail!("{program} ended by itself: {status}");
        }
        sleep(Duration::from_millis(20));
    }
    end(&mut child)?;
    Ok(())
}

fn end(child: &mut Child) -> anyhow::Result<ExitStatus> {
    // std knows SIGKILL only, on which nginx would leave its workers behind
    Command::new("sh").args(["-c", &format!("kill -TERM {}", child.id())]).status()?;
    let since = Instant::now();
    while since.elapsed() < GRACE {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        sleep(Duration::from_millis(10));
    }
    child.kill()?;
    Ok(child.wait()?)
}
