//! Predictions: made with one request, waited for or listened to with others, and cancelled when nobody wants them any
//! more. The answer goes on as one of OpenAI's dialect, into which it is translated here.

mod address;
pub mod course;
mod encode;
pub mod files;
mod line;
mod listen;
mod models;
pub mod promised;
mod recording;
mod run;
pub mod tasks;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CACHE_CONTROL};
use http::{Method, StatusCode};
use tokio::time::Instant;

use self::address::Place;
use self::encode::Asked;
use self::line::{Line, Said};
use self::models::{Known, Models};
use self::run::{Made, Run, make};
use super::Provider;
use super::client::{Client, Fields, Lines, Protocol};
use super::encode::Back;
use super::fault;
use super::inbound::{Inbound, Response};
use super::lines::Ready;
use super::receive::{self, Got};
use super::stream::Flow;
use crate::call::{Call, Error, Fault, Op, Upstream, Usage};
use crate::wire::openai::errors;
use crate::wire::replicate::answer::{self, Status};
use crate::wire::replicate::model::Name;
use crate::wire::replicate::stream::Decoder;
use crate::wire::replicate::{Inputs, Prediction, images, speech, transcripts};
use crate::wire::{Object, native};

/// The longest that the API waits for a prediction before it answers without its output.
const WAIT: Duration = Duration::from_secs(60);

/// What of the time for a first byte is left for the way.
const WAY: Duration = Duration::from_secs(5);

/// The shortest time after which the API cancels a prediction by itself.
const SOONEST: Duration = Duration::from_secs(5);

/// The first pause before asking how a prediction is; each next one is half as long again.
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// So many times in a row asking may fail before a prediction is given up: it costs money already.
const PATIENCE: u32 = 4;

/// What a provider of predictions remembers.
pub struct Predictions {
    /// Makes connections to the hosts of streams.
    client: Client,
    models: Models,
}

impl Predictions {
    /// Nothing is known yet.
    pub fn new(client: &Client) -> Self {
        Self { client: client.clone(), models: Models::default() }
    }
}

/// One call on its way.
struct Desk<'a> {
    provider: &'a Provider,
    predictions: &'a Predictions,
    place: Place,
    line: Line,
    /// When it is too late for a whole answer.
    deadline: Instant,
    /// Whether it is listened to: only chats are.
    streams: bool,
}

/// Ask for a prediction, and answer with it. Fails as [`Provider::ask`] does. When the future or the stream it returns
/// is dropped before its end, the prediction is cancelled.
pub(super) async fn ask(
    provider: &Provider,
    predictions: &Predictions,
    ready: &Ready,
    call: &Call,
    model: &str,
    warnings: &mut Vec<String>,
) -> Result<Got, Error> {
    let nowhere = || Error::NoTarget(call.model.clone());
    let (Some(origin), Some(place)) = (provider.origin(), &provider.place) else { return Err(nowhere()) };
    let place = Place::read(&place.base).ok_or_else(nowhere)?;
    let Some(name) = Name::read(model) else {
        let message = format!(
            "`{model}` is no model's name there: it must be owner/name, owner/name:version, deployments/owner/name or the \
             id of a version"
        );
        return Err(fault::ours(provider, Fault::NotFound, message).into());
    };
    let line = Line::new(origin.clone(), provider, ready, call, model).await?;
    let (chats, deadline) = (matches!(call.op, Op::Chat | Op::Complete), Instant::now() + provider.total);
    let desk = Desk { provider, predictions, place, line, deadline, streams: call.stream && chats };
    let known = predictions.models.of(&desk.line, &desk.place, &name, model).await;
    let recording = desk.recording(call).await?;
    let (asked, made) = desk.begin(call, &name, (model, &known), recording.as_deref(), warnings).await?;
    let ((response, said), completion) = (desk.finish(call, made, asked.back).await?, asked.completion);
    let thinks_aloud = (provider.spec.thinks_aloud)(model, &Object::default());
    let back = Back { completion, thinks_aloud, ..Back::default() };
    match receive::receive(provider, call, response, back).await? {
        Got::Whole(answer, None) if chats => {
            // not every model counts tokens: about four bytes are one
            let [prompt, completion] = [asked.body.len(), said].map(|bytes| (bytes / 4) as u64);
            Ok(Got::Whole(answer, Some(Usage { prompt, completion, estimated: true, ..Usage::default() })))
        }
        got => Ok(got),
    }
}

impl Desk<'_> {
    /// Make the prediction. A model that only runs by its version is asked so, and remembered.
    async fn begin(
        &self,
        call: &Call,
        name: &Name<'_>,
        (model, known): (&str, &Known),
        recording: Option<&str>,
        warnings: &mut Vec<String>,
    ) -> Result<(Asked, Made), Error> {
        let inputs: Option<&Inputs> = known.model.inputs.as_ref();
        let latest = known.model.version.as_deref().filter(|_| matches!(name, Name::Latest(..)));
        let pinned = name.version().or(latest.filter(|_| known.by_version));
        let mut asked = encode::encode(self.provider, call, model, (inputs, pinned), recording, warnings)?;
        let path = if pinned.is_some() { "/predictions".to_owned() } else { name.predictions() };
        let mut made = self.make(call, &path, asked.body.clone()).await?;
        if made.said.status == StatusCode::NOT_FOUND
            && pinned.is_none()
            && let Some(version) = latest
        {
            warnings.clear();
            asked = encode::encode(self.provider, call, model, (inputs, Some(version)), recording, warnings)?;
            made = self.make(call, "/predictions", asked.body.clone()).await?;
            if made.said.status.is_success() {
                self.predictions.models.runs_by_version(model);
            }
        }
        self.judge(&made.said)?;
        Ok((asked, made))
    }

    async fn make(&self, call: &Call, path: &str, body: Bytes) -> Result<Made, Error> {
        let path = self.place.below(path).ok_or_else(|| Error::NoTarget(call.model.clone()))?;
        let mut more = Lines::default();
        if !self.streams {
            // what nobody waits for any more ends there by itself, even if this process is gone; a stream may take longer
            let limit = self.provider.total.max(SOONEST).as_secs();
            let patient = self.line.timeouts().first_byte.saturating_sub(WAY).min(WAIT).as_secs();
            if patient > 0 {
                more.text("prefer", &format!("wait={patient}"));
            }
            more.text("cancel-after", &format!("{limit}s"));
        }
        let made = make(&self.line, &self.place, path, more, body);
        match tokio::time::timeout_at(self.deadline, made).await {
            Ok(made) => Ok(made.map_err(|error| fault::of_transport(self.provider, &error))?),
            Err(_elapsed) => Err(self.late().into()),
        }
    }

    /// Listen to the prediction if it can be listened to, else wait for it: as an answer of OpenAI's dialect. Of a whole
    /// one also how many bytes it says.
    async fn finish(
        &self,
        call: &Call,
        made: Made,
        mut back: native::Back,
    ) -> Result<(Response, usize), Box<Upstream>> {
        let Made { said, mut run } = made;
        let prediction = self.read(said)?;
        if let Some(id) = prediction.id() {
            back.id = id.into_owned();
        }
        if self.streams
            && prediction.status() == Status::Running
            && let Some(url) = prediction.url("stream")
            && let Some(body) = self.stream(&url).await?
        {
            if let Some(model) = prediction.model() {
                back.model = model.into_owned();
            }
            let body = Inbound::Made(listen::events(run, body, Decoder::new(back)));
            return Ok((Response { status: StatusCode::OK, fields: Fields::of_kind("text/event-stream"), body }, 0));
        }
        let waited = tokio::time::timeout_at(self.deadline, self.wait(&mut run, prediction)).await;
        let prediction = waited.unwrap_or_else(|_elapsed| Err(self.late()))?;
        run.over();
        let translate = match call.op {
            Op::Image => images::of,
            Op::Speech => speech::of,
            Op::Transcribe => transcripts::of,
            _ => answer::of,
        };
        let answer = translate(&prediction, &back).map_err(|broken| Flow::fault(self.provider, broken))?;
        let said = prediction.output().map_or(0, |text| text.len());
        let body = Inbound::Local([answer.encode()].into());
        Ok((Response { status: StatusCode::OK, fields: Fields::of_kind("application/json"), body }, said))
    }

    /// The prediction when it has ended, well or not.
    async fn wait(&self, run: &mut Run, mut prediction: Prediction) -> Result<Prediction, Box<Upstream>> {
        let (mut pause, mut failures) = (FIRST_PAUSE, 0);
        while prediction.status() == Status::Running {
            let Some(path) = run.address() else {
                let message = "the prediction's address is on another host than the provider's, which is not asked";
                return Err(fault::ours(self.provider, Fault::Server, message.to_owned()));
            };
            tokio::time::sleep(pause).await;
            pause = (pause * 3 / 2).min(LONGEST_PAUSE);
            let asked = self.line.ask(Method::GET, path, &Lines::default(), Bytes::new()).await;
            let said = asked
                .map_err(|error| fault::of_transport(self.provider, &error))
                .and_then(|said| self.judge(&said).map(|()| said));
            match said {
                Ok(said) => (prediction, failures) = (self.read(said)?, 0),
                Err(failed) if failed.fault.is_retryable() && failures < PATIENCE => {
                    failures += 1;
                    pause = pause.max(failed.retry_after.unwrap_or_default());
                }
                Err(failed) => return Err(failed),
            }
        }
        Ok(prediction)
    }

    /// The events at an address that the prediction named; `None` if nothing is to be heard there. Fails if the address
    /// is none that may be asked.
    async fn stream(&self, url: &str) -> Result<Option<Inbound>, Box<Upstream>> {
        let mut listens = self.line.clone();
        let (line, path) = match address::stream(&self.place, url) {
            Some(address::Stream::Own(path)) => (&mut listens, path),
            Some(address::Stream::Known(host, path)) => {
                // another host than the one the option is about
                let origin = self.predictions.client.origin(&host, self.line.timeouts(), Protocol::Http1);
                let origin = origin.map_err(|error| fault::ours(self.provider, Fault::Server, error.to_string()))?;
                // whoever streams needs no credential, and gets none
                listens = self.line.bare(origin);
                (&mut listens, path)
            }
            None => {
                let message = "the address of the prediction's stream is on a host that is not the provider's, which is \
                               not asked";
                return Err(fault::ours(self.provider, Fault::Server, message.to_owned()));
            }
        };
        line.set(ACCEPT, "text/event-stream");
        line.set(CACHE_CONTROL, "no-store");
        let heard = line.open(Method::GET, &path, &Lines::default(), Bytes::new()).await;
        let is_stream = |heard: &Response| {
            let kind = heard.fields.content_type().split(';').next().unwrap_or_default();
            heard.status == StatusCode::OK && kind.trim().eq_ignore_ascii_case("text/event-stream")
        };
        // the prediction runs whether it can be heard or not: it is asked for instead
        Ok(heard.ok().filter(is_stream).map(|heard| heard.body))
    }

    /// Fails if an answer has an error's status.
    fn judge(&self, said: &Said) -> Result<(), Box<Upstream>> {
        if said.status.is_success() {
            return Ok(());
        }
        Err(fault::of_answer(self.provider, said.status, &said.fields, errors::read(&said.body)))
    }

    fn read(&self, said: Said) -> Result<Prediction, Box<Upstream>> {
        let Said { status, fields, body } = said;
        let nonsense = |message: String| fault::of_nonsense(self.provider, status, &fields, message);
        let prediction =
            Prediction::read(body).map_err(|error| nonsense(format!("the answer can't be read: {error}")))?;
        if !prediction.is_one() {
            return Err(nonsense("answered with something else than a prediction".to_owned()));
        }
        Ok(prediction)
    }

    fn late(&self) -> Box<Upstream> {
        let message = format!("no whole answer within {:?}", self.provider.total);
        fault::ours(self.provider, Fault::Timeout, message)
    }
}

/// A model's description is shared by the calls that need it.
type Shared = Arc<crate::wire::replicate::model::Model>;
