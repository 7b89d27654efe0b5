//! A prediction that is listened to: its events as OpenAI's, and at its end one look at what it cost.

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use serde_json::json;

use super::run::Run;
use crate::providers::client::SendError;
use crate::providers::inbound::Inbound;
use crate::wire::openai::errors::Complaint;
use crate::wire::openai::stream::Broken;
use crate::wire::replicate::stream::Decoder;
use crate::wire::sse;

struct Listener {
    run: Run,
    body: Inbound,
    decoder: Decoder,
    stage: Stage,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Events arrive.
    Listening,
    /// The prediction has said everything; its tokens are not counted yet.
    Ended,
    /// There is nothing more to say.
    Over,
}

/// The events of a prediction, in OpenAI's dialect. A stream that ends without its end mark was cut.
pub(super) fn events(run: Run, body: Inbound, decoder: Decoder) -> BoxStream<'static, Result<Bytes, SendError>> {
    let listener = Listener { run, body, decoder, stage: Stage::Listening };
    stream::unfold(listener, |mut listener| async move { Some((listener.next().await?, listener)) }).boxed()
}

impl Listener {
    async fn next(&mut self) -> Option<Result<Bytes, SendError>> {
        let mut out = BytesMut::new();
        while out.is_empty() {
            let heard = match self.stage {
                Stage::Over => return None,
                Stage::Ended => {
                    if let Some(prediction) = self.run.look().await {
                        self.decoder.meter(&prediction);
                    }
                    self.stage = Stage::Over;
                    self.decoder.end(&mut out)
                }
                Stage::Listening => match self.body.next().await {
                    Some(Ok(chunk)) => self.decoder.push(chunk, &mut out),
                    Some(Err(error)) => {
                        self.stage = Stage::Over;
                        return Some(Err(error));
                    }
                    None => {
                        self.stage = Stage::Over;
                        self.decoder.end(&mut out)
                    }
                },
            };
            match heard {
                Ok(()) if self.decoder.done() && self.stage == Stage::Listening => {
                    self.run.over();
                    self.stage = Stage::Ended;
                }
                Ok(()) => {}
                Err(broken) => {
                    self.stage = Stage::Over;
                    out.extend_from_slice(&self.broke(broken));
                }
            }
        }
        Some(Ok(out.freeze()))
    }

    /// What is said of a stream that broke: nothing if it was cut, which its missing end says.
    fn broke(&mut self, broken: Broken) -> Bytes {
        let said = match broken {
            Broken::Truncated => return Bytes::new(),
            Broken::Said(said) => {
                // the prediction has ended, if badly
                self.run.over();
                said
            }
            Broken::Malformed(error) => Complaint { message: Some(error.to_string()), ..Complaint::default() },
        };
        let Complaint { message, kind, code, param, .. } = said;
        let error = json!({ "error": { "message": message, "type": kind, "code": code, "param": param } });
        sse::frame(error.to_string().as_bytes())
    }
}
