//! The role that translates: each dialect there and back, beside one parse of the same conversation, in one process.

use std::hint::black_box;
use std::io::Write;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use bytes::{Bytes, BytesMut};
use ferrogw::providers::stream::Source;
use ferrogw::wire::native::Terms;
use ferrogw::wire::openai::stream::{Broken, Events, Manner};
use ferrogw::wire::openai::{think, usage};
use ferrogw::wire::{Object, Op};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::child;
use crate::dialogue::{self, SIZE, SUBJECTS, Subject};
use crate::report::median;

/// How often each thing is done. A single run takes a tenth of a millisecond, so that few are interrupted by what else
/// the machine does: their median is CPU time.
const RUNS: usize = 601;

/// Streams that are measured, and events with a text in each.
const STREAMS: usize = 201;
const DELTAS: u32 = 400;

/// One dialect; µs.
#[derive(Serialize, Deserialize, Clone)]
pub(crate) struct Figures {
    pub(crate) dialect: String,
    /// One parse of the conversation into `serde_json::Value`.
    pub(crate) parse: f64,
    /// The conversation as the vendor takes it, from its bytes to the vendor's.
    pub(crate) there: f64,
    /// An answer of usual size, from its bytes to OpenAI's.
    pub(crate) usual: f64,
    /// An answer as long as the conversation.
    pub(crate) back: f64,
    /// One event of a stream with some text: the decoder alone, and with what reads the decoder's events.
    pub(crate) decoded: f64,
    pub(crate) event: f64,
}

impl Figures {
    /// There and back as a multiple of the parse.
    pub(crate) fn times(&self) -> f64 {
        (self.there + self.back) / self.parse
    }
}

/// Prints the figures as one line of JSON.
pub(crate) fn main() -> anyhow::Result<()> {
    child::end_with_the_driver();
    let figures = SUBJECTS.iter().map(measure).collect::<anyhow::Result<Vec<_>>>()?;
    writeln!(std::io::stdout(), "{}", serde_json::to_string(&figures)?)?;
    Ok(())
}

fn measure(subject: &Subject) -> anyhow::Result<Figures> {
    let ask = Bytes::from(dialogue::conversation());
    let (usual, long) = (Bytes::from(subject.usual()), Bytes::from(subject.long()));
    let terms = Terms {
        op: Op::Chat,
        model: subject.model,
        stream: false,
        id: "chatcmpl-Hq3vT7kRzXw2",
        created: 1_763_640_000,
        most_output: Some(64_000),
        usual_output: None,
    };
    let there = || -> anyhow::Result<_> {
        let object = Object::parse(ask.clone())?;
        let request = subject.native.encode(&object, &terms);
        request.map_err(|refused| anyhow::anyhow!("{}: {refused:?}", subject.name))
    };
    let request = there()?;
    ensure!(request.body.len() > SIZE * 3 / 4, "{}: {} bytes of the conversation", subject.name, request.body.len());
    serde_json::from_slice::<Value>(&request.body).context("a translated conversation")?;
    let back = |answer: &Bytes| -> anyhow::Result<Bytes> {
        let answer = subject.native.answer(Op::Chat, answer.clone(), &request.back);
        Ok(answer.map_err(|broken| anyhow::anyhow!("{}: {broken:?}", subject.name))?.encode())
    };
    for answer in [&usual, &long] {
        let whole = back(answer)?;
        ensure!(whole.len() > answer.len() * 3 / 4, "{}: {} bytes of an answer", subject.name, whole.len());
        serde_json::from_slice::<Value>(&whole).context("a translated answer")?;
    }
    // interleaved, so that whatever slows the machine down slows all of them down
    let mut times: [Vec<f64>; 4] = Default::default();
    for _ in 0..RUNS {
        times[0].push(time(|| serde_json::from_slice::<Value>(&ask)));
        times[1].push(time(there));
        times[2].push(time(|| back(&usual)));
        times[3].push(time(|| back(&long)));
    }
    let [parse, there, usual, back] = times.map(median);
    let mut events = [Vec::new(), Vec::new()];
    for _ in 0..STREAMS {
        events[0].push(decoded(subject, &request.back)?);
        events[1].push(passed(subject, &request.back)?);
    }
    let [decoded, event] = events.map(median);
    Ok(Figures { dialect: subject.name.to_owned(), parse, there, usual, back, decoded, event })
}

/// µs that it takes, without what becomes of the result.
fn time<T>(work: impl FnOnce() -> T) -> f64 {
    let since = Instant::now();
    let result = work();
    let took = since.elapsed();
    black_box(result);
    micros(took)
}

/// µs an event of the decoder alone.
fn decoded(subject: &Subject, back: &ferrogw::wire::native::Back) -> anyhow::Result<f64> {
    let mut decoder = subject.native.decoder(back.clone()).context("the dialect has streams")?;
    let mut out = BytesMut::new();
    let took = events(subject, |chunk| {
        decoder.push(chunk, &mut out)?;
        Ok(out.split().freeze())
    })?;
    Ok(took)
}

/// µs an event on its whole way to the caller.
fn passed(subject: &Subject, back: &ferrogw::wire::native::Back) -> anyhow::Result<f64> {
    let manner = Manner {
        mends: &[],
        follows: &[],
        usage: usage::read,
        wants_usage: true,
        completion: None,
        thinks_aloud: think::Aloud::No,
    };
    let mut source = Source::new(Events::new(manner), subject.native.decoder(back.clone()));
    events(subject, |chunk| source.push(chunk))
}

/// µs an event with a text, each in a chunk of its own.
fn events(subject: &Subject, mut push: impl FnMut(Bytes) -> Result<Bytes, Broken>) -> anyhow::Result<f64> {
    let (opening, delta) = (subject.stream)();
    let (opening, delta) = (Bytes::from(opening), Bytes::from(delta));
    let mut push = |chunk| push(chunk).map_err(|broken| anyhow::anyhow!("{}: {broken:?}", subject.name));
    push(opening)?;
    push(delta.clone())?;
    let mut length = 0;
    let since = Instant::now();
    for _ in 0..DELTAS {
        length += push(delta.clone())?.len();
    }
    let took = since.elapsed();
    ensure!(length > 100 * DELTAS as usize, "{}: {length} bytes of {DELTAS} events", subject.name);
    Ok(micros(took) / f64::from(DELTAS))
}

fn micros(took: Duration) -> f64 {
    took.as_secs_f64() * 1e6
}
