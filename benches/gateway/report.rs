//! The figures of a run: medians of the rounds, a table for people, `target/bench.json` for programs.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use serde_json::json;

use crate::bars;
use crate::callgrind::Count;
use crate::load::Measured;
use crate::settings::Settings;
use crate::subject::Kind;
use crate::traffic::{Answer, Shape};
use crate::{plan, translate, upload};

/// One subject under one shape of load.
#[derive(Serialize)]
pub(crate) struct Row {
    pub(crate) shape: &'static str,
    title: &'static str,
    pub(crate) subject: &'static str,
    /// CPU µs a request, user and system; none for the mock itself.
    cpu: Option<f64>,
    /// The same of every round.
    cpu_rounds: Vec<f64>,
    /// Requests a second.
    rps: f64,
    /// Milliseconds.
    p50: f64,
    p99: f64,
    /// Milliseconds to the first event, of streams.
    first: Option<(f64, f64)>,
    /// Peak memory in MB while the load lasted.
    peak: f64,
    requests: u64,
    errors: u64,
}

/// Resident memory of one subject, in MB.
#[derive(Serialize)]
pub(crate) struct Memory {
    pub(crate) subject: &'static str,
    pub(crate) start: f64,
    /// With 1000 connections busy, before any other load.
    pub(crate) busy: f64,
    /// 15 s after that load.
    pub(crate) rested: f64,
}

/// Everything that a run measures.
#[derive(Default)]
pub(crate) struct Figures {
    pub(crate) rows: Vec<Row>,
    pub(crate) memory: Vec<Memory>,
    pub(crate) instructions: Vec<Count>,
    pub(crate) plans: Vec<plan::Figures>,
    pub(crate) translations: Vec<translate::Figures>,
    pub(crate) uploads: Vec<upload::Upload>,
}

impl Row {
    pub(crate) fn new(shape: &Shape, kind: Kind, runs: &[Measured]) -> Row {
        let of = |value: fn(&Measured) -> f64| median(runs.iter().map(value).collect());
        let first = (of(|run| run.first_p50), of(|run| run.first_p99));
        let cpu_rounds: Vec<f64> = runs.iter().map(|run| run.cpu / run.done.max(1) as f64).collect();
        Row {
            shape: shape.name,
            title: shape.title,
            subject: kind.name(),
            cpu: (kind != Kind::Direct).then(|| median(cpu_rounds.clone())),
            cpu_rounds,
            rps: of(|run| run.done as f64 / run.seconds),
            p50: of(|run| run.p50),
            p99: of(|run| run.p99),
            first: (shape.answer == Answer::Events).then_some(first),
            peak: runs.iter().map(|run| megabytes(run.peak)).fold(0.0, f64::max),
            requests: runs.iter().map(|run| run.done).sum(),
            errors: runs.iter().map(|run| run.errors).sum(),
        }
    }

    /// Its CPU as a multiple of another subject's under the same load.
    pub(crate) fn times(&self, rows: &[Row], subject: &str) -> Option<f64> {
        let other = rows.iter().find(|row| row.shape == self.shape && row.subject == subject)?;
        Some(self.cpu? / other.cpu?)
    }
}

/// Prints the table and the bars, and writes the file.
pub(crate) fn print(settings: &Settings, figures: &Figures, took: Duration) -> anyhow::Result<()> {
    let Figures { rows, memory, instructions, plans, translations, uploads } = figures;
    let bars = bars::judge(figures);
    let mut text = String::new();
    table(&mut text, rows)?;
    if !memory.is_empty() {
        writeln!(text, "\n{:<20}{:>12}{:>16}{:>14}", "memory, MB", "at start", "1000 busy", "15 s later")?;
        for row in memory {
            writeln!(text, "  {:<18}{:>12.1}{:>16.1}{:>14.1}", row.subject, row.start, row.busy, row.rested)?;
        }
    }
    if !instructions.is_empty() {
        writeln!(text, "\n{:<20}{:>12}{:>16}", "instructions", "chat, 0 ms", "all headers")?;
        for count in instructions {
            writeln!(text, "  {:<18}{:>12.0}{:>16.0}", count.subject, count.chat, count.sdk)?;
        }
        writeln!(
            text,
            "  (a request, in user space; the gateway with one target; routed: with least-latency, breaker and slots)"
        )?;
    }
    if !plans.is_empty() {
        writeln!(text, "\n{:<20}{:>12}{:>16}", "a plan, 30 targets", "µs", "allocations")?;
        for row in plans {
            writeln!(text, "  {:<18}{:>12.2}{:>16}", row.strategy, row.took, row.allocations)?;
        }
    }
    translated(&mut text, translations)?;
    if !uploads.is_empty() {
        writeln!(
            text,
            "\n{:<20}{:<14}{:>12}{:>12}{:>10}{:>10}",
            "upload of 50 MB", "", "MB before", "MB more", "ms", "CPU ms"
        )?;
        for row in uploads {
            write!(text, "  {:<18}{:<14}{:>12.1}{:>12.1}", row.subject, row.way, row.before, row.growth)?;
            writeln!(text, "{:>10.0}{:>10.0}", row.millis, row.cpu)?;
        }
    }
    if !bars.is_empty() {
        writeln!(text, "\n{:<44}{:>10}{:>10}{:>10}", "bar", "figure", "at most", "stretch")?;
        for bar in &bars {
            let stretch = bar.stretch.map(round).unwrap_or_default();
            let verdict = match (bar.met, bar.stretch) {
                (false, _) => "MISSED",
                (true, Some(stretch)) if bar.figure <= stretch => "met, stretch too",
                (true, _) => "met",
            };
            writeln!(
                text,
                "  {:<42}{:>10}{:>10}{stretch:>10}  {verdict}",
                bar.what,
                round(bar.figure),
                round(bar.limit)
            )?;
        }
    }
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("bench.json");
    let how = json!({
        "rounds": settings.rounds, "seconds": settings.seconds, "pinned": settings.pin, "nginx_log": settings.nginx_log,
    });
    let all = json!({
        "settings": how, "loads": rows, "memory": memory, "instructions": instructions, "plans": plans, "translations": translations,
        "uploads": uploads, "bars": bars,
    });
    std::fs::write(&file, serde_json::to_vec_pretty(&all)?)?;
    let pinned = if settings.pin { "proxy on core 1, the rest on core 0" } else { "not pinned" };
    writeln!(
        text,
        "\n{} rounds of {} s, {pinned}, {:.0} s in all; also in {}",
        settings.rounds,
        settings.seconds,
        took.as_secs_f64(),
        file.display()
    )?;
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(())
}

fn translated(text: &mut String, translations: &[translate::Figures]) -> std::fmt::Result {
    if translations.is_empty() {
        return Ok(());
    }
    writeln!(
        text,
        "\n{:<20}{:>10}{:>10}{:>10}{:>10}{:>14}{:>12}{:>12}",
        "translation, µs", "a parse", "there", "back", "× parse", "usual answer", "an event", "passed on"
    )?;
    for row in translations {
        write!(text, "  {:<18}{:>10.1}{:>10.1}{:>10.1}", row.dialect, row.parse, row.there, row.back)?;
        writeln!(text, "{:>10.2}{:>14.1}{:>12.2}{:>12.2}", row.times(), row.usual, row.decoded, row.event)?;
    }
    writeln!(text, "  (100 KB each way; a parse: the same conversation into serde_json::Value)")
}

fn table(text: &mut String, rows: &[Row]) -> std::fmt::Result {
    let mut last = "";
    for row in rows {
        if row.title != last {
            last = row.title;
            writeln!(
                text,
                "\n{last}\n{:<12}{:>10}{:>9}{:>9}{:>10}{:>10}{:>10}{:>9}{:>8}",
                "", "CPU µs", "× nginx", "× floor", "req/s", "p50 ms", "p99 ms", "peak MB", "errors"
            )?;
        }
        let times = |subject| row.times(rows, subject).map_or_else(|| "–".to_owned(), |times| format!("{times:.2}"));
        let cpu = row.cpu.map_or_else(|| "–".to_owned(), |cpu| format!("{cpu:.1}"));
        let peak = row.cpu.map_or_else(|| "–".to_owned(), |_| format!("{:.1}", row.peak));
        write!(
            text,
            "  {:<10}{cpu:>10}{:>9}{:>9}{:>10.0}{:>10.2}{:>10.2}{peak:>9}{:>8}",
            row.subject,
            times("nginx"),
            times("floor"),
            row.rps,
            row.p50,
            row.p99,
            row.errors
        )?;
        match row.first {
            Some((p50, p99)) => writeln!(text, "  first event {p50:.2} / {p99:.2} ms")?,
            None => writeln!(text)?,
        }
    }
    Ok(())
}

/// KiB as the MB of the tables.
pub(crate) fn megabytes(kib: u64) -> f64 {
    kib as f64 / 1024.0
}

/// The middle of them; 0 where there are none.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => 0.0,
        n if n % 2 == 1 => values[middle],
        _ => (values[middle - 1] + values[middle]) / 2.0,
    }
}

/// Large figures without decimals, small ones with two.
fn round(figure: f64) -> String {
    if figure >= 100.0 { format!("{figure:.0}") } else { format!("{figure:.2}") }
}
