//! A prediction's events as OpenAI's: `output` is text, `done` the end, `error` what went wrong, `logs` nobody's business.

use bytes::{BufMut, Bytes, BytesMut};
use serde::Deserialize;

use super::answer::{Counted, Prediction};
use crate::wire::native::Back;
use crate::wire::openai::errors::{self, Complaint};
use crate::wire::openai::stream::{Broken, DONE};
use crate::wire::{Usage, sse};

/// The state of one stream.
pub struct Decoder {
    frames: sse::Frames,
    /// What every event begins with, up to its choices.
    head: Vec<u8>,
    begun: bool,
    done: bool,
    usage: Option<Usage>,
}

#[derive(Deserialize)]
struct Done {
    #[serde(default)]
    reason: Option<String>,
}

impl Decoder {
    /// A stream that has not begun. `back.id` is the prediction's.
    pub fn new(back: Back) -> Self {
        let text = |text: &str| serde_json::to_string(text).expect("a string always encodes");
        let (id, model, created) = (text(&back.id), text(&back.model), back.created);
        let head = format!(
            r#"data: {{"id":{id},"object":"chat.completion.chunk","created":{created},"model":{model},"choices":["#
        );
        Self { frames: sse::Frames::default(), head: head.into(), begun: false, done: false, usage: None }
    }

    /// Take what arrived; whole events are appended to `out` as OpenAI's.
    /// Fails when the provider reports a failure; what is in `out` already is valid all the same.
    pub fn push(&mut self, chunk: Bytes, out: &mut BytesMut) -> Result<(), Broken> {
        sse::split(self.frames.within(sse::LONGEST, chunk)?).try_for_each(|frame| self.event(&frame, out))
    }

    /// The end mark has been seen: the provider has nothing more to say.
    pub fn done(&self) -> bool {
        self.done
    }

    /// The prediction as it is after its end: it has the count of tokens, which the stream does not.
    pub fn meter(&mut self, prediction: &Prediction) {
        self.usage = prediction.usage();
    }

    /// The provider has closed the stream: what is left of it, usage and end mark. Fails if its end never came.
    pub fn end(&mut self, out: &mut BytesMut) -> Result<(), Broken> {
        let rest = self.frames.end();
        if !self.done && !rest.trim_ascii().is_empty() {
            // a last event may lack its blank line
            self.event(&rest, out)?;
        }
        if !self.done {
            return Err(Broken::Truncated);
        }
        if let Some(usage) = self.usage.take() {
            out.put_slice(&self.head);
            out.put_slice(br#"],"usage":"#);
            serde_json::to_writer((&mut *out).writer(), &Counted::from(usage)).expect("numbers always encode");
            out.put_slice(b"}\n\n");
        }
        out.put_slice(DONE);
        Ok(())
    }

    fn event(&mut self, frame: &Bytes, out: &mut BytesMut) -> Result<(), Broken> {
        if self.done {
            return Ok(());
        }
        let Some(name) = sse::event(frame) else { return Ok(()) };
        let data = sse::data(frame).unwrap_or_default();
        match name {
            b"output" if !data.is_empty() => {
                self.begin(out);
                self.chunk(out, |out| {
                    out.put_slice(br#"{"content":"#);
                    let text = String::from_utf8_lossy(&data);
                    serde_json::to_writer((&mut *out).writer(), &text).expect("a string always encodes");
                    out.put_slice(br#"},"finish_reason":null"#);
                });
            }
            b"error" => {
                let said = errors::read(&data);
                let message = said.message.or_else(|| Some("the prediction failed".to_owned()));
                return Err(Broken::Said(Complaint { message, ..said }));
            }
            b"done" => {
                let reason = serde_json::from_slice::<Done>(&data).ok().and_then(|done| done.reason);
                if let Some(reason @ ("error" | "canceled" | "aborted")) = reason.as_deref() {
                    let message = Some(format!("the prediction ended with the reason `{reason}`"));
                    let code = Some(format!("prediction_{reason}"));
                    return Err(Broken::Said(Complaint { message, code, ..Complaint::default() }));
                }
                self.begin(out);
                self.chunk(out, |out| out.put_slice(br#"{},"finish_reason":"stop""#));
                self.done = true;
            }
            _ => {}
        }
        Ok(())
    }

    /// The event that says who speaks, before the first other one.
    fn begin(&mut self, out: &mut BytesMut) {
        if !std::mem::replace(&mut self.begun, true) {
            self.chunk(out, |out| out.put_slice(br#"{"role":"assistant","content":""},"finish_reason":null"#));
        }
    }

    fn chunk(&self, out: &mut BytesMut, delta: impl FnOnce(&mut BytesMut)) {
        out.put_slice(&self.head);
        out.put_slice(br#"{"index":0,"delta":"#);
        delta(out);
        out.put_slice(b"}]}\n\n");
    }
}
