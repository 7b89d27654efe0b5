//! The bars the gateway is held to, and which of them the figures of a run meet.

use serde::Serialize;

use crate::report::Figures;

/// One bar: what was measured, what is asked, what would be better still.
#[derive(Serialize)]
pub(crate) struct Bar {
    pub(crate) what: String,
    pub(crate) figure: f64,
    pub(crate) limit: f64,
    pub(crate) stretch: Option<f64>,
    pub(crate) met: bool,
}

/// CPU of a shape as a multiple of nginx's: at most, and better still.
const CPU: [(&str, f64, Option<f64>); 5] = [
    ("chat", 1.7, Some(1.2)),
    ("busy", 1.7, Some(1.2)),
    ("stream", 1.4, None),
    ("large-request", 2.6, None),
    ("large-answer", 1.2, None),
];

/// The dialects that are held to a bar; others are measured beside them.
const TRANSLATED: [&str; 3] = ["anthropic", "gemini", "bedrock"];

/// Every bar whose figure was measured in this run.
pub(crate) fn judge(figures: &Figures) -> Vec<Bar> {
    let Figures { rows, memory, instructions, plans, translations, uploads } = figures;
    let mut bars = Vec::new();
    if let Some(count) = instructions.iter().find(|count| count.subject == "gateway") {
        bars.push(Bar::new("instructions a request".to_owned(), count.chat, 50_000.0, Some(35_000.0)));
    }
    if let Some(count) = instructions.iter().find(|count| count.subject == "routed") {
        bars.push(Bar::new("instructions a request, routed".to_owned(), count.chat, 50_000.0, None));
    }
    for plan in plans {
        bars.push(Bar::new(format!("µs a plan over 30 targets, {}", plan.strategy), plan.took, 2.0, None));
    }
    for (shape, limit, stretch) in CPU {
        let row = rows.iter().find(|row| row.shape == shape && row.subject == "gateway");
        if let Some(ratio) = row.and_then(|row| row.times(rows, "nginx")) {
            bars.push(Bar::new(format!("CPU, {shape}, × nginx"), ratio, limit, stretch));
        }
    }
    if let Some(memory) = memory.iter().find(|memory| memory.subject == "gateway") {
        bars.push(Bar::new("MB at start".to_owned(), memory.start, 20.0, Some(12.0)));
        bars.push(Bar::new("MB at 1000 busy connections".to_owned(), memory.busy, 60.0, Some(35.0)));
        bars.push(Bar::new("MB 15 s after that".to_owned(), memory.rested, 35.0, None));
    }
    for row in translations.iter().filter(|row| TRANSLATED.contains(&row.dialect.as_str())) {
        bars.push(Bar::new(format!("100 KB there and back, {}, × parse", row.dialect), row.times(), 3.0, None));
        bars.push(Bar::new(format!("µs an event, {}", row.dialect), row.event, 3.0, None));
    }
    for upload in uploads.iter().filter(|upload| upload.subject == "gateway") {
        bars.push(Bar::new(format!("MB more at 50 MB, {}", upload.way), upload.growth, 8.0, None));
    }
    bars
}

impl Bar {
    fn new(what: String, figure: f64, limit: f64, stretch: Option<f64>) -> Bar {
        Bar { what, figure, limit, stretch, met: figure <= limit }
    }
}
