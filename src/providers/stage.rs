//! What stands on purpose between a target and its hosts: faults, and cassettes that record or replay. Without any of it
//! a request pays for one branch.

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use http::uri::PathAndQuery;

use super::Setup;
use super::client::{Client, Fields, Lines, Origin, Outgoing, Phase, Raw, SendError, Switched, Timeouts};
use super::faults::{self, Act, Faults};
use super::inbound::Response;
use super::tape::record::Whose;
use super::tape::{Recorder, Tape};
use crate::call::Op;
use crate::telemetry::Metrics;

/// The stage of one target.
pub struct Stage {
    target: Arc<str>,
    faults: Option<Faults>,
    tape: Option<Tape>,
    recorder: Option<(Recorder, Whose)>,
}

/// One request to a provider.
pub struct Ask<'a> {
    /// The operation the provider is asked for.
    pub op: Op,
    /// Its own name for the model.
    pub model: &'a str,
    /// Whether a stream is asked for.
    pub stream: bool,
    /// The method.
    pub method: &'a Method,
    /// The path and query.
    pub path: &'a PathAndQuery,
    /// The fields of every such request.
    pub ready: &'a Lines,
    /// Those of this one.
    pub more: &'a Lines,
    /// The body.
    pub body: Outgoing,
}

impl Stage {
    /// That of a target whose provider is at `root`; `None` if nothing stands there.
    pub fn of(provider: &'static str, root: &str, setup: &mut Setup, client: &Client) -> Option<Arc<Self>> {
        let (faults, tape) = (setup.faults.take(), setup.tape.take());
        let recorder = client.recorder().filter(|recorder| tape.is_none() && recorder.is_for(&setup.target));
        let recorder = recorder.map(|recorder| {
            let (target, redactor) = (setup.target.clone(), setup.redactor.clone());
            (recorder.clone(), Whose { target, provider, root: without_user(root), redactor })
        });
        let target = setup.target.clone();
        let stage = Self { target, faults, tape, recorder };
        (stage.faults.is_some() || stage.tape.is_some() || stage.recorder.is_some()).then(|| Arc::new(stage))
    }

    /// What is played instead of asking anybody.
    pub fn tape(&self) -> Option<&Tape> {
        self.tape.as_ref()
    }

    /// Counts what happens here from now on.
    pub fn watch(&self, metrics: &Metrics) {
        if let Some(faults) = &self.faults {
            faults.watch(metrics, &self.target);
        }
    }

    /// Ask a host, unless a fault hits the request.
    pub async fn ask(&self, origin: &Arc<Origin>, ask: Ask<'_>) -> Result<Response, SendError> {
        let (op, model) = (ask.op, ask.model);
        self.play(op, model, (origin.name(), origin.timeouts().first_byte), self.truly(origin, ask)).await
    }

    async fn truly(&self, origin: &Arc<Origin>, ask: Ask<'_>) -> Result<Response, SendError> {
        if let Some(tape) = &self.tape {
            return tape.ask(&ask, origin.timeouts()).await;
        }
        let note = self.recorder.as_ref().map(|(recorder, whose)| (recorder, recorder.note(whose, &ask)));
        let Ask { method, path, ready, more, body, .. } = ask;
        let answer = origin.ask(method, path, ready, more, body).await.map(Response::from);
        match note {
            Some((recorder, note)) => recorder.heard(note, answer),
            None => answer,
        }
    }

    /// Ask a host for a WebSocket, unless a fault hits the request: the answer that agrees and the connection, or the answer
    /// that does not. What is passed on a WebSocket is not recorded.
    pub async fn switch(
        &self,
        origin: &Arc<Origin>,
        ask: Ask<'_>,
    ) -> Result<Result<(Fields, Raw), Box<Response>>, SendError> {
        let mut switched = None;
        let truly = async {
            match origin.switch(ask.path, ask.ready, ask.more).await? {
                Switched::Refused(answer) => Ok(answer.into()),
                Switched::To(fields, raw) => {
                    switched = Some((fields, raw));
                    Ok(faults::malformed())
                }
            }
        };
        let host = (origin.name(), origin.timeouts().first_byte);
        let refused = self.play(ask.op, ask.model, host, truly).await?;
        Ok(switched.ok_or_else(|| Box::new(refused)))
    }

    /// What becomes of a request to this host, whose first byte is waited for so long.
    async fn play(
        &self,
        op: Op,
        model: &str,
        (host, patience): (&Arc<str>, Duration),
        truly: impl Future<Output = Result<Response, SendError>>,
    ) -> Result<Response, SendError> {
        let hit = self.faults.as_ref().and_then(|faults| faults.draw(op, model, chance));
        let Some(rule) = hit else { return truly.await };
        rule.count();
        tracing::debug!(target = %self.target, kind = rule.kind(), model, "injected fault");
        if rule.delay >= patience {
            tokio::time::sleep(patience).await;
            return Err(SendError::Timeout { host: host.clone(), phase: Phase::FirstByte, after: patience });
        }
        if !rule.delay.is_zero() {
            tokio::time::sleep(rule.delay).await;
        }
        match rule.act {
            Act::Nothing => truly.await,
            Act::Status(status, wait) => Ok(faults::status(status, wait)),
            Act::Malformed => Ok(faults::malformed()),
            Act::Refuse => Err(SendError::Connect { host: host.clone(), cause: "injected fault: refused".into() }),
            Act::Cut(after) => Ok(faults::cut(truly.await?, after, host)),
        }
    }
}

/// An answer from inside the process, unless a fault hits the request.
pub async fn inside(stage: &Option<Arc<Stage>>, op: Op, model: &str, answer: Response) -> Result<Response, SendError> {
    let Some(stage) = stage else { return Ok(answer) };
    let patience = Timeouts::default().first_byte;
    Box::pin(stage.play(op, model, (&stage.target, patience), async { Ok(answer) })).await
}

/// An address without the user and password it may have.
fn without_user(root: &str) -> String {
    let Some((scheme, rest)) = root.split_once("://") else { return root.to_owned() };
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    format!("{scheme}://{}{path}", host.rsplit('@').next().unwrap_or_default())
}

/// A random number from 0 to 1.
fn chance() -> f64 {
    getrandom::u32().map_or(0.5, |number| f64::from(number) / f64::from(u32::MAX))
}
