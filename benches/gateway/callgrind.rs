//! Instructions a request in user space: callgrind's totals of a run and of one twice as long, subtracted.

use std::path::Path;
use std::thread;

use anyhow::Context;
use serde::Serialize;

use crate::child::Child;
use crate::load::{Job, Measured};
use crate::settings::Settings;
use crate::subject::{Kind, Setup, Upstream};

/// Requests of the shorter run and the connections they take.
const REQUESTS: u64 = 2000;
const CONNECTIONS: usize = 16;

/// Instructions a request of one subject.
#[derive(Serialize)]
pub(crate) struct Count {
    pub(crate) subject: &'static str,
    /// With the few headers of the other loads: the figure the bar is about.
    pub(crate) chat: f64,
    /// With all headers of an SDK and a vendor.
    pub(crate) sdk: f64,
}

impl Count {
    /// Counts for one subject, with one target where it has targets. Fails when a run has errors.
    pub(crate) fn of(kind: Kind, settings: &Settings, upstream: &Upstream, folder: &Path) -> anyhow::Result<Count> {
        let count = |shape| {
            let total = |requests| total(kind, shape, requests, settings, upstream, folder);
            // side by side: the count does not depend on what else the machine does
            let (short, long) = thread::scope(|scope| {
                let short = scope.spawn(|| total(REQUESTS));
                let long = total(2 * REQUESTS);
                (short.join(), long)
            });
            let short = short.map_err(|_| anyhow::anyhow!("a callgrind run panicked"))??;
            anyhow::Ok((long? as f64 - short as f64) / REQUESTS as f64)
        };
        Ok(Count { subject: kind.name(), chat: count("chat")?, sdk: count("sdk")? })
    }
}

/// Instructions of a whole life: start, so many requests, end.
fn total(
    kind: Kind,
    shape: &str,
    requests: u64,
    settings: &Settings,
    upstream: &Upstream,
    folder: &Path,
) -> anyhow::Result<u64> {
    let out = folder.join(format!("callgrind-{}-{shape}-{requests}", kind.name()));
    let setup = Setup { upstream, tls: false, targets: 1, callgrind: Some(&out), folder };
    let subject = kind.start(settings, setup)?;
    let job = Job {
        shape: shape.to_owned(),
        port: subject.port,
        pids: Vec::new(),
        seconds: 0.0,
        count: Some((requests, CONNECTIONS)),
    };
    let mut load = Child::start("load", None, &[serde_json::to_string(&job)?])?;
    let measured: Measured = serde_json::from_str(&load.line()?)?;
    anyhow::ensure!(measured.errors == 0, "{} errors: {:?}", measured.errors, measured.first_error);
    drop(subject);
    let text = std::fs::read_to_string(&out).with_context(|| format!("callgrind's file {}", out.display()))?;
    let totals = text.lines().rev().find_map(|line| line.strip_prefix("totals: "));
    Ok(totals.context("callgrind's file has no totals")?.trim().parse()?)
}
