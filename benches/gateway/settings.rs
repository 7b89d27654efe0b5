//! What a run measures: the environment variables of the bench and their defaults.

use std::path::{Path, PathBuf};
use std::thread::available_parallelism;

use anyhow::{Context, bail};

use crate::subject::Kind;
use crate::traffic::{SHAPES, Shape};

/// One run of the bench.
pub(crate) struct Settings {
    /// `BENCH`: comma-separated names of shapes, and of `MORE`. Without it all but `sdk`, of which only the instructions are
    /// counted, and `uneven`, which compares runtimes.
    pub(crate) shapes: Vec<&'static Shape>,
    /// Whether instructions are counted (`BENCH` names them, valgrind is present).
    pub(crate) instructions: bool,
    /// Whether the translations are measured.
    pub(crate) translate: bool,
    /// Whether plans are measured.
    pub(crate) plan: bool,
    /// Whether the memory of uploads is measured.
    pub(crate) upload: bool,
    /// `BENCH_SUBJECTS`: `gateway,floor,nginx,direct`; nginx only where it is installed. `shared` is the gateway on one
    /// runtime: compare them without pins.
    pub(crate) subjects: Vec<Kind>,
    /// `BENCH_ROUNDS`: how often each shape meets each subject, interleaved; 2.
    pub(crate) rounds: usize,
    /// `BENCH_SECONDS`: the measured window; 2.5.
    pub(crate) seconds: f64,
    /// `BENCH_PIN=off` leaves the scheduling to the kernel. Otherwise, with taskset and two cores, proxies run on
    /// core 1, the mock and the load on core 0.
    pub(crate) pin: bool,
    /// `BENCH_NGINX_LOG=on` lets nginx write an access log as the gateway does. Off by default: the harder rival.
    pub(crate) nginx_log: bool,
    /// `FERROGW_BIN`: the gateway to measure; without it the one that cargo built for this bench.
    pub(crate) gateway: String,
    /// `BENCH_FOLDER`: where configurations, logs and callgrind's files stay, for `callgrind_annotate`. Otherwise they
    /// are removed.
    pub(crate) folder: Option<PathBuf>,
}

pub(crate) const NGINX: &str = "/usr/sbin/nginx";
pub(crate) const VALGRIND: &str = "/usr/bin/valgrind";
pub(crate) const TASKSET: &str = "/usr/bin/taskset";

/// What `BENCH` can name beside the shapes of load.
const MORE: [&str; 4] = ["instructions", "plan", "translate", "upload"];

impl Settings {
    /// Reads the environment; fails on a name or number it does not know.
    pub(crate) fn from_env() -> anyhow::Result<Settings> {
        let wanted = list("BENCH");
        let mut shapes: Vec<&'static Shape> = SHAPES.iter().collect();
        if wanted.is_none() {
            shapes.retain(|shape| !shape.sdk && !shape.uneven);
        }
        let names: Vec<&str> = SHAPES.iter().map(|shape| shape.name).chain(MORE).collect();
        if let Some(wanted) = &wanted {
            if let Some(unknown) = wanted.iter().find(|name| !names.contains(&name.as_str())) {
                bail!("BENCH: unknown `{unknown}`; there are {}", names.join(", "));
            }
            shapes.retain(|shape| wanted.iter().any(|name| name == shape.name));
        }
        let wants = |what: &str| wanted.as_ref().is_none_or(|wanted| wanted.iter().any(|name| name == what));
        let subjects = match list("BENCH_SUBJECTS") {
            Some(names) => names.iter().map(|name| Kind::parse(name)).collect::<Result<_, _>>()?,
            None => vec![Kind::Gateway, Kind::Floor, Kind::Nginx, Kind::Direct],
        };
        let cores = available_parallelism().map_or(1, usize::from);
        Ok(Settings {
            shapes,
            instructions: wants("instructions") && Path::new(VALGRIND).exists(),
            plan: wants("plan"),
            translate: wants("translate"),
            upload: wants("upload"),
            subjects: subjects.into_iter().filter(|kind| *kind != Kind::Nginx || Path::new(NGINX).exists()).collect(),
            rounds: number("BENCH_ROUNDS", 2.0)? as usize,
            seconds: number("BENCH_SECONDS", 2.5)?,
            pin: cores > 1 && Path::new(TASKSET).exists() && var("BENCH_PIN").as_deref() != Some("off"),
            nginx_log: var("BENCH_NGINX_LOG").as_deref() == Some("on"),
            gateway: var("FERROGW_BIN").unwrap_or_else(|| env!("CARGO_BIN_EXE_ferrogw").to_owned()),
            folder: var("BENCH_FOLDER").map(std::path::absolute).transpose()?,
        })
    }

    /// The core of the proxies, where processes are pinned.
    pub(crate) fn proxy_core(&self) -> Option<&'static str> {
        self.pin.then_some("1")
    }

    /// The core of the mock upstream and the load generator, where processes are pinned.
    pub(crate) fn load_core(&self) -> Option<&'static str> {
        self.pin.then_some("0")
    }

    /// Worker processes of nginx: as many as the cores our own proxies see.
    pub(crate) fn workers(&self) -> usize {
        if self.pin { 1 } else { available_parallelism().map_or(1, usize::from) }
    }
}

fn var(name: &str) -> Option<String> {
    std::env::var(name).ok().map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
}

fn list(name: &str) -> Option<Vec<String>> {
    Some(var(name)?.split(',').map(|part| part.trim().to_owned()).collect())
}

fn number(name: &str, default: f64) -> anyhow::Result<f64> {
    let Some(text) = var(name) else { return Ok(default) };
    let value: f64 = text.parse().with_context(|| format!("{name}: `{text}` is not a number"))?;
    if !(0.1..=600.0).contains(&value) || (name == "BENCH_ROUNDS" && value < 1.0) {
        bail!("{name}: {value} is out of range");
    }
    Ok(value)
}
