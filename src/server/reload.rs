//! The configuration is read again when its file changes, or when somebody asks for it with SIGHUP.
//!
//! The file is found by its path each time, so that it may be a symbolic link that is set elsewhere, replaced by a new
//! file or written in place. One that cannot be used leaves the configuration before it serving.

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::background::Discovery;
use super::{Stop, build};
use crate::call::redact::Redactor;
use crate::config::diff::{self, Diff};
use crate::config::{self, Config, Env, Invalid, Loaded, Problem};
use crate::http::edge::{Caps, Edge};
use crate::pipeline::gateway::Standing;
use crate::pipeline::{Gateway, Hurry, Snapshot};
use crate::providers::auth::Fetcher;
use crate::providers::client::Client;

/// How often a file is looked at.
const EVERY: Duration = Duration::from_secs(1);

/// What was written less than this long ago may be written again without looking any newer.
const FRESH: Duration = Duration::from_secs(2);

/// Problems that the log names.
const NAMED: usize = 3;

/// Where a configuration comes from, and how its changes are noticed.
#[derive(Clone, Debug)]
pub struct Follow {
    /// Its file; `None` if there is none, and nothing to be read again.
    pub file: Option<PathBuf>,
    /// The [`config::hash`] of what was read from it.
    pub hash: Option<String>,
    /// How often it is looked at.
    pub every: Duration,
}

impl Default for Follow {
    fn default() -> Self {
        Self { file: None, hash: None, every: EVERY }
    }
}

impl Follow {
    pub(super) fn standing(&self) -> Standing {
        Standing { file: self.file.clone(), hash: self.hash.clone(), ..Standing::default() }
    }
}

/// Asks a running gateway to read its configuration again.
#[derive(Clone, Default)]
pub struct Again(Arc<Notify>);

impl Again {
    /// Do it now, whether or not the file looks changed.
    pub fn ask(&self) {
        self.0.notify_one();
    }
}

/// Makes SIGHUP read the configuration again; but when it says that the terminal the process was started from is gone,
/// the drain begins. Call it inside a runtime.
///
/// # Errors
/// When the handler cannot be installed.
pub fn reload_on_hangup(again: &Again, stop: &Stop) -> io::Result<()> {
    let terminals = || [io::stdin().is_terminal(), io::stdout().is_terminal(), io::stderr().is_terminal()];
    let (mut hangup, at_start) = (signal(SignalKind::hangup())?, terminals());
    let (again, stop) = (again.clone(), stop.clone());
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            if at_start == terminals() { again.ask() } else { stop.draining.cancel() }
        }
    });
    Ok(())
}

/// What a reload needs.
pub(super) struct Reloader {
    pub(super) gateway: Arc<Gateway>,
    pub(super) edge: Edge,
    pub(super) env: Env,
    pub(super) client: Client,
    pub(super) fetcher: Fetcher,
    pub(super) hurry: Hurry,
    pub(super) discovery: Discovery,
    /// What the process began with.
    pub(super) started: Arc<Config>,
}

impl Reloader {
    /// Follow the file on the current runtime, until the end.
    pub(super) fn follow(self, follow: Follow, end: CancellationToken) -> Again {
        let again = Again::default();
        let asked = again.clone();
        tokio::spawn(async move {
            let every = follow.every;
            let watch = Watch::new(follow, &self.started);
            tokio::select! {
                () = self.watch(watch, every, asked) => {}
                () = end.cancelled() => {}
            }
        });
        again
    }

    async fn watch(mut self, mut watch: Option<Watch>, every: Duration, again: Again) {
        let mut pause = every;
        loop {
            let asked = tokio::select! {
                () = again.0.notified() => true,
                () = tokio::time::sleep(pause), if watch.is_some() => false,
            };
            let Some(mut at_work) = watch else {
                tracing::info!(
                    "nothing to reload: the configuration follows from the environment, which cannot change"
                );
                continue;
            };
            // files and compilation may take their time, which is not this thread's to give
            let looked = tokio::task::spawn_blocking(move || {
                let step = at_work.look(asked, SystemTime::now());
                let unsettled = matches!(step, Step::Unsettled);
                if let Step::Changed(read) = step {
                    let catalog = self.reload(&at_work.path, read);
                    at_work.goes_by(catalog);
                }
                (self, at_work, unsettled)
            });
            let Ok((me, worked, unsettled)) = looked.await else {
                tracing::error!("the configuration's file is no longer followed");
                return;
            };
            pause = if unsettled { every / 4 } else { every };
            (self, watch) = (me, Some(worked));
        }
    }

    /// Serve what was read from the file, if it can be used. Returns the catalog that the live configuration names.
    fn reload(&mut self, path: &Path, read: Read) -> Option<PathBuf> {
        let old = self.gateway.snapshot();
        match self.load(path, read) {
            Ok((loaded, snapshot)) => {
                let config = snapshot.rules.config.clone();
                let diff = diff::configs(&old.rules.config, &config);
                let pending = diff::pending(&self.started, &config);
                self.edge.take_bodies_up_to(Caps::of(&config));
                let standing = Standing {
                    file: Some(path.to_owned()),
                    hash: Some(loaded.source.hash().to_owned()),
                    pending_restart: pending.into_iter().map(|change| change.path).collect(),
                    ..Standing::default()
                };
                self.gateway.swap(snapshot, standing);
                self.discovery.follow(&self.gateway);
                announce(path, &loaded, &diff);
            }
            Err(invalid) => self.refuse(path, &invalid),
        }
        self.gateway.snapshot().rules.config.catalog_file()
    }

    fn load(&self, path: &Path, read: Read) -> Result<(Loaded, Snapshot), Invalid> {
        let loaded = config::decode(path, read)?;
        let problems = config::check(&loaded.config, &build::provider_ids());
        if !problems.is_empty() {
            return Err(loaded.source.blame(problems));
        }
        let redactor = Arc::new(build::redactor(&loaded.config, &self.env));
        let old = self.gateway.snapshot();
        let Self { env, client, fetcher, .. } = self;
        let rules = build::succeed(&loaded.config, env, client, &redactor, fetcher, Some(&old.rules))
            .map_err(|invalid| loaded.source.blame(invalid.problems))?;
        let snapshot = Snapshot::new(rules, &self.gateway.metrics, &self.hurry, &self.gateway.recent);
        Ok((loaded, snapshot))
    }

    fn refuse(&self, path: &Path, invalid: &Invalid) {
        let first = invalid.problems.first();
        tracing::error!(
            file = %path.display(),
            line = first.and_then(|problem| problem.line),
            column = first.and_then(|problem| problem.column),
            code = first.map(|problem| problem.code),
            problems = invalid.problems.len(),
            "the configuration cannot be used, the one before it goes on: {}",
            words(path, &invalid.problems, NAMED)
        );
        // everybody may ask whether we are ready: they learn the file's name, not where it is
        let name = path.file_name().map_or(path, Path::new);
        let brief = words(name, &invalid.problems, 1);
        self.gateway.stale(Redactor::default().error_text(&brief).into_owned());
    }
}

/// The first problems in one line.
fn words(file: &Path, problems: &[Problem], most: usize) -> String {
    let one = |problem: &Problem| {
        let place = match (problem.line, problem.column) {
            (Some(line), Some(column)) => format!("{}:{line}:{column}", file.display()),
            _ => file.display().to_string(),
        };
        let path = if problem.path.is_empty() { String::new() } else { format!("{}: ", problem.path) };
        format!("{place}: {path}{}", problem.message)
    };
    let mut words: Vec<String> = problems.iter().take(most).map(one).collect();
    if problems.len() > most {
        words.push(format!("and {} more", problems.len() - most));
    }
    words.join("; ")
}

fn announce(path: &Path, loaded: &Loaded, diff: &Diff) {
    let config = &loaded.config;
    tracing::info!(
        file = %path.display(),
        hash = loaded.source.hash(),
        targets = config.targets.len(),
        changes = diff.changes.len(),
        "configuration reloaded: {}",
        diff.summary()
    );
    for change in diff.changes.iter().filter(|change| change.pending_restart) {
        tracing::warn!(path = change.path, pending_restart = true, "a change that takes effect at the next start");
    }
    for problem in &loaded.warnings {
        tracing::warn!(path = problem.path, code = problem.code, line = problem.line, "{}", problem.message);
    }
}

/// What a file held, or why it could not be read.
type Read = io::Result<Vec<u8>>;

/// What a look at the files found.
enum Step {
    /// What is known already.
    Same,
    /// Something new, which may be still in the making.
    Unsettled,
    /// Something new that has stood for a while, or that somebody asked for.
    Changed(Read),
}

/// The files of a configuration, and what was last found in them.
struct Watch {
    path: PathBuf,
    /// The catalog it names.
    catalog: Option<PathBuf>,
    /// Told apart by this, files need not be read.
    stamps: Option<Vec<Stamp>>,
    /// What was last made of them.
    tried: Vec<String>,
    /// What was last seen and not yet tried.
    seen: Option<Vec<String>>,
}

impl Watch {
    fn new(follow: Follow, config: &Config) -> Option<Self> {
        let catalog = config.catalog_file();
        let mut watch = Self { path: follow.file?, catalog, stamps: None, tried: Vec::new(), seen: None };
        watch.tried = watch.contents(&std::fs::read(&watch.path));
        // what was read by whoever started us counts, not what stands there now
        watch.tried[0] = follow.hash.unwrap_or_default();
        Some(watch)
    }

    fn look(&mut self, asked: bool, now: SystemTime) -> Step {
        let stamps: Option<Vec<Stamp>> = self.files().map(Stamp::of).collect();
        if !asked && stamps.is_some() && stamps == self.stamps {
            return Step::Same;
        }
        let read = std::fs::read(&self.path);
        let contents = self.contents(&read);
        self.stamps = stamps.filter(|stamps| stamps.iter().all(|stamp| stamp.is_settled(now)));
        if !asked && contents == self.tried {
            self.seen = None;
            return Step::Same;
        }
        // half of a file may well be a configuration, too
        if !asked && self.seen.as_ref() != Some(&contents) {
            (self.seen, self.stamps) = (Some(contents), None);
            return Step::Unsettled;
        }
        (self.seen, self.tried) = (None, contents);
        Step::Changed(read)
    }

    fn files(&self) -> impl Iterator<Item = &Path> {
        [self.path.as_path()].into_iter().chain(self.catalog.as_deref())
    }

    /// Tells what is in the files from anything else that may be.
    fn contents(&self, read: &Read) -> Vec<String> {
        let catalog = self.catalog.as_ref().map(|path| content(&std::fs::read(path)));
        [content(read)].into_iter().chain(catalog).collect()
    }

    /// From now on this is the catalog that the configuration names.
    fn goes_by(&mut self, catalog: Option<PathBuf>) {
        if self.catalog != catalog {
            self.tried.truncate(1);
            self.tried.extend(catalog.as_ref().map(|path| content(&std::fs::read(path))));
            (self.catalog, self.stamps) = (catalog, None);
        }
    }
}

fn content(read: &Read) -> String {
    match read {
        Ok(bytes) => config::hash(bytes),
        Err(error) => error.to_string(),
    }
}

/// What changes with a file, as far as that can be told without reading it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    len: u64,
    modified: Option<SystemTime>,
    changed: (i64, i64),
}

impl Stamp {
    /// The file that the path leads to now.
    fn of(path: &Path) -> Option<Self> {
        use std::os::unix::fs::MetadataExt;
        let data = std::fs::metadata(path).ok()?;
        Some(Self {
            device: data.dev(),
            inode: data.ino(),
            len: data.len(),
            modified: data.modified().ok(),
            changed: (data.ctime(), data.ctime_nsec()),
        })
    }

    /// Whether another change would show.
    fn is_settled(&self, now: SystemTime) -> bool {
        let age = self.modified.and_then(|modified| now.duration_since(modified).ok());
        age.is_some_and(|age| age > FRESH)
    }
}
