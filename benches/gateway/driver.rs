//! The driver: starts everything, sends the load in interleaved rounds, hands the figures to the report.

use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::Context;

use crate::callgrind::Count;
use crate::child::Child;
use crate::load::{Job, Measured};
use crate::process;
use crate::report::{self, Figures, Memory, Row};
use crate::settings::Settings;
use crate::subject::{Kind, Setup, Subject, Upstream};
use crate::traffic::Shape;
use crate::{plan, translate, upload};

/// How long a proxy rests before its memory is taken again.
const REST: Duration = Duration::from_secs(15);

/// The whole run. Fails when a subject does not start; a missed bar is a figure, not a failure.
pub(crate) fn main() -> anyhow::Result<()> {
    let settings = Settings::from_env()?;
    let temporary = tempfile::tempdir()?;
    remove_on_ctrl_c(temporary.path().to_owned());
    let folder = settings.folder.as_deref().unwrap_or(temporary.path());
    std::fs::create_dir_all(folder)?;
    let since = Instant::now();
    let (_mock, upstream) = start_mock(&settings, folder)?;
    let mut figures = Figures::default();
    for tls in [false, true] {
        let shapes: Vec<&Shape> = settings.shapes.iter().copied().filter(|shape| shape.tls == tls).collect();
        if shapes.is_empty() {
            continue;
        }
        let setup = Setup { upstream: &upstream, tls, targets: 2, callgrind: None, folder };
        let mut subjects = Vec::new();
        // over TLS the load cannot speak to the mock itself
        for kind in settings.subjects.iter().filter(|kind| !(tls && **kind == Kind::Direct)) {
            subjects.push(kind.start(&settings, setup)?);
        }
        let at_start: Vec<u64> = subjects.iter().map(|subject| process::resident(&subject.pids)).collect();
        for shape in shapes {
            let measured = rounds(shape, &subjects, &settings)?;
            if shape.name == "busy" {
                eprintln!("  (15 s of rest)");
                sleep(REST);
                figures.memory = remember(&subjects, &at_start, &measured);
            }
            figures
                .rows
                .extend(subjects.iter().zip(measured).map(|(subject, runs)| Row::new(shape, subject.kind, &runs)));
        }
    }
    if settings.instructions {
        let mut kinds = settings.subjects.clone();
        kinds.retain(|kind| *kind != Kind::Direct);
        if kinds.contains(&Kind::Gateway) && !kinds.contains(&Kind::Routed) {
            kinds.push(Kind::Routed);
        }
        for kind in &kinds {
            eprintln!("instructions: {}", kind.name());
            figures.instructions.push(Count::of(*kind, &settings, &upstream, folder)?);
        }
    }
    if settings.plan {
        eprintln!("plans");
        let mut role = Child::start("plan", settings.proxy_core(), &[])?;
        figures.plans = serde_json::from_str::<Vec<plan::Figures>>(&role.line()?)?;
    }
    if settings.translate {
        eprintln!("translations");
        let mut role = Child::start("translate", settings.proxy_core(), &[])?;
        figures.translations = serde_json::from_str::<Vec<translate::Figures>>(&role.line()?)?;
    }
    if settings.upload {
        figures.uploads = upload::measure(&settings, &upstream, folder)?;
    }
    report::print(&settings, &figures, since.elapsed())
}

/// Without this Ctrl-C would leave the folder, access logs included. The children end with the pipes to them.
fn remove_on_ctrl_c(folder: PathBuf) {
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        if runtime.is_ok_and(|runtime| runtime.block_on(tokio::signal::ctrl_c()).is_ok()) {
            drop(std::fs::remove_dir_all(folder));
            std::process::exit(130);
        }
    });
}

fn start_mock(settings: &Settings, folder: &Path) -> anyhow::Result<(Child, Upstream)> {
    let certificate = folder.join("upstream.pem").to_string_lossy().into_owned();
    let mut mock = Child::start("mock", settings.load_core(), std::slice::from_ref(&certificate))?;
    let line = mock.line()?;
    let (port, tls_port) = line.split_once(' ').context("the mock prints two ports")?;
    let upstream = Upstream { port: port.parse()?, tls_port: tls_port.parse()?, certificate };
    Ok((mock, upstream))
}

/// Sends one shape to every subject in turn, `rounds` times; the runs of each subject.
fn rounds(shape: &Shape, subjects: &[Subject], settings: &Settings) -> anyhow::Result<Vec<Vec<Measured>>> {
    let mut runs = vec![Vec::new(); subjects.len()];
    for round in 1..=settings.rounds {
        eprintln!("{}: round {round} of {}", shape.title, settings.rounds);
        for (subject, runs) in subjects.iter().zip(&mut runs) {
            let job = Job {
                shape: shape.name.to_owned(),
                port: subject.port,
                pids: subject.pids.clone(),
                seconds: settings.seconds,
                count: None,
            };
            let mut load = Child::start("load", settings.load_core(), &[serde_json::to_string(&job)?])?;
            let measured: Measured = serde_json::from_str(&load.line()?)?;
            if let Some(error) = &measured.first_error {
                eprintln!("  {}: {} errors, the first: {error}", subject.kind.name(), measured.errors);
            }
            runs.push(measured);
        }
    }
    Ok(runs)
}

fn remember(subjects: &[Subject], at_start: &[u64], measured: &[Vec<Measured>]) -> Vec<Memory> {
    let proxies = subjects.iter().zip(at_start).zip(measured).filter(|((subject, _), _)| subject.kind != Kind::Direct);
    proxies
        .map(|((subject, start), runs)| Memory {
            subject: subject.kind.name(),
            start: report::megabytes(*start),
            busy: runs.iter().map(|run| report::megabytes(run.busy)).fold(0.0, f64::max),
            rested: report::megabytes(process::resident(&subject.pids)),
        })
        .collect()
}
