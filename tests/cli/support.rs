//! Runs `ferrogw` as a process: what it prints, how it ends, and gateways that are stopped by their own pid.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

/// An empty folder to run in.
pub(crate) struct Place(TempDir);

/// How a command ended.
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ended {
    /// What was printed, as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}{}", self.out, self.err))
    }

    /// The same with whatever differs between two runs made equal.
    pub(crate) fn shown(&self) -> String {
        format!("status {}\n-- stdout\n{}-- stderr\n{}", self.code, self.out, self.err)
    }
}

impl Place {
    pub(crate) fn new() -> Self {
        Place(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path().join(name), text).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path().join(name)).unwrap()
    }

    fn command(&self, args: &[&str], env: &[(&str, &str)]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ferrogw"));
        command.args(args).env_clear().envs(env.iter().copied()).current_dir(self.path()).stdin(Stdio::null());
        command
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, args: &[&str], env: &[(&str, &str)]) -> Ended {
        let Output { status, stdout, stderr } = self.command(args, env).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Ended { code: status.code().unwrap(), out: text(stdout), err: text(stderr) }
    }

    /// Starts a gateway on a free port, which looks for no models, and waits until it says that it has started.
    pub(crate) fn serve(&self, args: &[&str], env: &[(&str, &str)]) -> Gateway {
        let env: Vec<_> =
            [("PORT", "0"), ("FERRO_MODEL_DISCOVERY_INTERVAL", "0")].into_iter().chain(env.iter().copied()).collect();
        let mut child = self.command(args, &env).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (stdout, mut stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let (send, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines() {
                let Ok(line) = line else { return };
                if send.send(line).is_err() {
                    return;
                }
            }
        });
        let (say, said) = mpsc::channel();
        std::thread::spawn(move || {
            let mut text = String::new();
            let _ended = stderr.read_to_string(&mut text);
            let _nobody_asks = say.send(text);
        });
        let mut gateway = Gateway { child, lines, said, log: Vec::new(), url: String::new() };
        let started = gateway.until("ferrogw started");
        let address = started["addr"].as_str().unwrap().split(", ").next().unwrap().replace("[::]", "127.0.0.1");
        gateway.url = format!("http://{}", address.replace("0.0.0.0", "127.0.0.1"));
        gateway
    }
}

/// A gateway in a process of its own.
pub(crate) struct Gateway {
    child: Child,
    lines: mpsc::Receiver<String>,
    said: mpsc::Receiver<String>,
    pub(crate) log: Vec<Value>,
    pub(crate) url: String,
}

impl Gateway {
    /// The first log line with a message that begins so and that has not been read yet.
    pub(crate) fn until(&mut self, message: &str) -> Value {
        loop {
            let Ok(line) = self.lines.recv_timeout(Duration::from_secs(20)) else {
                let _gone = self.child.kill();
                panic!("no log line {message}: {:?}", self.said.recv_timeout(Duration::from_secs(5)));
            };
            let line: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
            self.log.push(line.clone());
            if line["msg"].as_str().unwrap().starts_with(message) {
                return line;
            }
        }
    }

    pub(crate) fn port(&self) -> &str {
        self.url.rsplit_once(':').unwrap().1
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, name: &str) {
        assert!(Command::new("kill").args([name, &self.child.id().to_string()]).status().unwrap().success());
    }

    /// Stops it as a service manager does: exit status, and what it said on standard error.
    pub(crate) fn stop(mut self) -> (i32, String) {
        self.signal("-TERM");
        self.end()
    }

    /// Waits for its end.
    pub(crate) fn end(&mut self) -> (i32, String) {
        let said = self.said.recv_timeout(Duration::from_secs(20)).unwrap();
        (self.child.wait().unwrap().code().unwrap(), said)
    }

    /// Stops it and gives its standard error back, with its port as PORT.
    pub(crate) fn banner(self) -> String {
        let port = self.port().to_owned();
        self.stop().1.replace(&port, "PORT")
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ended_already = self.child.kill();
        let _reaped = self.child.wait();
    }
}

pub(crate) fn http() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}
