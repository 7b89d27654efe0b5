//! Whom we can call: a row, made concrete by a target's settings, with its credential and its pool.

pub mod auth;
pub mod batch;
pub mod capabilities;
pub mod client;
pub mod content;
mod cooling;
pub mod demo;
pub mod discover;
pub mod encode;
pub mod fault;
pub mod faults;
pub mod forms;
pub mod inbound;
pub mod jobs;
mod kept;
pub mod keys;
pub mod learned;
mod lines;
pub mod lists;
pub mod media;
pub mod notes;
mod pace;
pub mod paths;
mod pictures;
pub mod predictions;
pub mod preview;
pub mod receive;
mod recorded;
pub mod rework;
pub mod root;
pub mod settings;
mod setup;
pub mod spec;
pub mod spool;
pub mod stage;
pub mod stored;
pub mod stream;
pub mod surface;
pub mod table;
pub mod tape;
pub mod tempo;
pub mod trace;
pub mod units;
pub mod upgrade;

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::header::HOST;
use http::{StatusCode, Uri};

use self::auth::Credential;
use self::client::{Client, Lines, Origin, Outgoing};
use self::encode::Sent;
use self::inbound::Response;
use self::jobs::Office;
use self::keys::Pool;
use self::learned::Learned;
use self::lines::{REQUEST_ID, Ready};
use self::media::Media;
use self::paths::Paths;
use self::predictions::course::Course;
use self::predictions::files::Files;
use self::predictions::tasks;
use self::receive::Got;
use self::settings::Settings;
pub use self::setup::Setup;
use self::spec::{Notes, Place, Policy, Root, Spec};
use self::stage::{Ask, Stage};
use self::tape::Tape;
use self::trace::Trace;
use crate::call::redact::Redactor;
use crate::call::{Call, Error, Op};
use crate::catalog::Catalog;
use crate::catalog::known::Owner;
use crate::config::Invalid;
use crate::telemetry::Metrics;

/// One provider as one target uses it.
pub struct Provider {
    /// Its row.
    pub spec: &'static Spec,
    /// The target's name, for errors.
    pub target: Arc<str>,
    settings: Settings,
    policy: Policy,
    repairs: bool,
    redactor: Arc<Redactor>,
    link: Link,
    paths: Paths,
    ready: Ready,
    credential: Credential,
    keys: Option<Box<Pool>>,
    place: Option<Place>,
    learned: Arc<Learned>,
    total: Duration,
    catalog: Arc<Catalog>,
    course: Course,
    /// Where the files are that its answers name, if they name any.
    files: Option<Box<Files>>,
    /// What it has for batches that are not OpenAI's.
    office: Option<Box<Office>>,
    stage: Option<Arc<Stage>>,
    media: Arc<Media>,
    /// The host as it is asked for WebSockets, where it speaks HTTP/2 otherwise.
    sockets: Option<Arc<Origin>>,
}

/// How requests get there.
enum Link {
    /// To the host of the root, and for some paths to other hosts, by how those paths begin.
    Net(Arc<Origin>, Vec<(&'static str, Arc<Origin>)>),
    Inside,
}

impl Provider {
    /// Make a row concrete. Fails when its root can't be an API root, naming what is wrong with it.
    pub fn build(spec: &'static Spec, mut setup: Setup, client: &Client) -> Result<Self, Invalid> {
        let tape = setup.tape.as_ref().map(Tape::place);
        let is_taped = tape.is_some();
        let place = match (tape, spec.root) {
            (Some(place), _) => Some(place),
            (None, Root::Inside) => None,
            (None, Root::At(default)) => Some(root::at(default, &setup.settings)?),
            (None, Root::By(place)) => Some(place(&setup.settings)?),
        };
        let base = place.as_ref().map_or("", |place| &place.base);
        let stage = Stage::of(spec.id, base, &mut setup, client);
        let repairs = setup.repairs;
        let Setup {
            target,
            settings,
            pool,
            headers: own,
            timeouts,
            protocol,
            policy,
            redactor,
            fetcher,
            catalog,
            media,
            ..
        } = setup;
        let total = timeouts.total.unwrap_or(spec.pace.total());
        let Some(place) = place else {
            return Ok(Self {
                spec,
                target,
                settings,
                policy,
                repairs,
                redactor,
                link: Link::Inside,
                paths: Paths::default(),
                ready: Ready::default(),
                credential: Credential::None,
                keys: None,
                place: None,
                learned: Arc::default(),
                total,
                course: Course::Once,
                files: None,
                office: None,
                catalog,
                stage,
                media,
                sockets: None,
            });
        };
        let base: Uri = place.base.replace("{model}", "model").parse().map_err(|_| root::invalid(&place.base))?;
        let origin =
            client.origin(&base, timeouts, protocol).map_err(|error| Invalid::at("base_url", error.to_string()))?;
        let course = Course::of(spec, &base, client, (timeouts, protocol))?;
        let named = is_taped || settings.get("base_url").is_some();
        let files = Files::of(spec.files, named.then_some(&*place.base), client, timeouts);
        let office = Office::of(spec, &settings, client, timeouts)?;
        let sockets = upgrade::host(client, &base, timeouts, protocol)?;
        let paths = Paths::of(spec, &place)?;
        let mut headers = root::headers(spec, &settings)?;
        let credential = match is_taped {
            true => Credential::None,
            false => auth::credential(spec, &settings, &place, &fetcher)?,
        };
        if let Credential::Fixed(name, value) = &credential {
            headers.insert(name, value.clone());
        }
        headers.extend(own);
        headers.entry(HOST).or_insert_with(|| origin.host().clone());
        // an operator who names an address means it for everything
        let hosts = if settings.get("base_url").is_some() { &[] } else { spec.hosts };
        let elsewhere = hosts.iter().map(|base| {
            let uri = base.parse().map_err(|_| root::invalid(base))?;
            let origin =
                client.origin(&uri, timeouts, protocol).map_err(|error| Invalid::at("base_url", error.to_string()))?;
            Ok((*base, origin))
        });
        let elsewhere = elsewhere.collect::<Result<Vec<_>, Invalid>>()?;
        // who plays a recording needs no key
        let pool = if is_taped { Vec::new() } else { pool };
        let keys = Pool::build(spec, &settings, &pool, &place, &headers, &fetcher)?.map(Box::new);
        let (link, ready) = (Link::Net(origin, elsewhere), Ready::new(headers, spec.dialect));
        let (place, learned) = (Some(place), Arc::default());
        Ok(Self {
            spec,
            target,
            settings,
            policy,
            repairs,
            redactor,
            link,
            paths,
            ready,
            credential,
            keys,
            place,
            learned,
            total,
            course,
            files,
            office,
            catalog,
            stage,
            media,
            sockets,
        })
    }

    /// The most tokens a model answers with, if the catalog knows.
    pub fn most_output(&self, model: &str) -> Option<u64> {
        self.catalog.most_output(Owner { provider: self.spec.id, target: &self.target }, model)
    }

    /// The host it asks; `None` for a provider inside the process.
    pub fn origin(&self) -> Option<&Arc<Origin>> {
        match &self.link {
            Link::Net(origin, _) => Some(origin),
            Link::Inside => None,
        }
    }

    /// What it plays instead of asking anybody.
    pub fn tape(&self) -> Option<&Tape> {
        self.stage.as_ref()?.tape()
    }

    /// Counts there what happens on purpose.
    pub fn watch(&self, metrics: &Metrics) {
        self.stage.iter().for_each(|stage| stage.watch(metrics));
    }

    /// The keys of a target that has several.
    pub fn keys(&self) -> Option<&Pool> {
        self.keys.as_deref()
    }

    /// Ask the provider once. `model` is its own name for the model; what can't be sent as asked is in the `trace`.
    /// An answer that is streamed is returned with its first content, so that every failure before it can still be
    /// answered by somebody else. A refusal that teaches something about the model is asked again at once, and one that
    /// is the key's with another key; a list of inputs that is too long is asked for in parts.
    pub async fn ask(&self, call: &Call, model: &str, trace: &mut Trace<'_>) -> Result<Got, Error> {
        if let Some(parts) = batch::split(self.spec, call, model)? {
            return Box::pin(batch::ask(self, &parts, model, trace)).await;
        }
        match &self.keys {
            _ if call.op.draws() => Box::pin(pictures::ask(self, call, model, trace)).await,
            // what an account keeps is found with its key alone
            Some(keys) if !call.op.is_passed() || call.op == Op::Realtime => {
                Box::pin(keys.ask(self, call, model, trace)).await
            }
            _ => self.ask_with(&self.ready, call, model, trace.warnings).await,
        }
    }

    /// The same with one key of a pool alone, whether it cools down or not.
    pub async fn ask_with_key(&self, key: u8, call: &Call, model: &str, trace: &mut Trace<'_>) -> Result<Got, Error> {
        let ready = self.keys.as_ref().and_then(|keys| keys.ready(key)).unwrap_or(&self.ready);
        self.ask_with(ready, call, model, trace.warnings).await
    }

    /// Ask with one credential, which is in `ready`.
    async fn ask_with(
        &self,
        ready: &Ready,
        call: &Call,
        model: &str,
        warnings: &mut Vec<String>,
    ) -> Result<Got, Error> {
        if let Some(passage) = &call.passage {
            if passage.upgrades {
                return Box::pin(upgrade::ask(self, ready, call, passage, model)).await;
            }
            if let Some(jobs) = self.spec.jobs.filter(|_| matches!(call.op, Op::File | Op::Batch)) {
                return Box::pin(jobs::ask(self, jobs, ready, (call, passage), warnings)).await;
            }
            if let Some(kept) = kept::of(self.spec, call.op, passage) {
                return Box::pin(kept::ask(self, kept, ready, (call, passage), model, warnings)).await;
            }
        }
        if let Course::Predictions(predictions) = &self.course {
            return Box::pin(predictions::ask(self, predictions, ready, call, model, warnings)).await;
        }
        let sent = encode::encode(self, call, model, warnings)?;
        let (name, body) = (sent.model.clone(), sent.body.clone());
        let asked = self.exchange(ready, call, sent, model).await;
        let Err(Error::Upstream(failed)) = &asked else { return asked };
        let name = name.as_deref().unwrap_or(model);
        let Outgoing::Whole(body) = body else { return asked };
        let learns = !call.op.is_passed() && self.learned.learn(failed, name, &body, self.policy, Instant::now());
        if !learns && !self.corrected(failed) {
            return asked;
        }
        warnings.clear();
        let sent = encode::encode(self, call, model, warnings)?;
        // boxed, as everything rare is: each request's future is moved, and pays for the largest path it might take
        Box::pin(self.exchange(ready, call, sent, model)).await
    }

    async fn exchange(&self, ready: &Ready, call: &Call, sent: Sent, model: &str) -> Result<Got, Error> {
        let Sent { op, body, back, model: name, path, headers: mut more } = sent;
        let response = match &self.link {
            Link::Inside => match &body {
                Outgoing::Whole(body) => {
                    let answer = demo::answer(op, body, call.stream);
                    let staged = stage::inside(&self.stage, op, model, answer).await;
                    staged.map_err(|error| fault::of_transport(self, &error))?
                }
                Outgoing::Elsewhere { .. } => return Err(Error::NoTarget(call.model.clone())),
            },
            Link::Net(origin, elsewhere) => {
                let begins =
                    |(base, _): &&(&str, _)| path.or(self.spec.path(op)).is_some_and(|path| path.starts_with(base));
                let origin = elsewhere.iter().find(begins).map_or(origin, |(_, origin)| origin);
                let path = match &call.passage {
                    None => self.paths.find(op, path, name.as_deref().unwrap_or(model)),
                    Some(passage) => self.paths.below(op, path, &passage.below),
                };
                let mut path = path.ok_or_else(|| Error::NoTarget(call.model.clone()))?;
                if let Some(query) = back.native.as_ref().and_then(|foreign| foreign.query.as_deref()) {
                    path = paths::asking(&path, query).ok_or_else(|| Error::NoTarget(call.model.clone()))?;
                }
                match &self.credential {
                    Credential::Token(_) => more.extend(Box::pin(self.token()).await?),
                    Credential::Signed(signer) => {
                        // a signature covers the whole body, and what is only read while it is sent is never whole
                        let Outgoing::Whole(body) = &body else { return Err(Error::NoTarget(call.model.clone())) };
                        let method = surface::method(call);
                        let signed = Box::pin(signer.sign(method, &path, &ready.headers, body)).await;
                        more.extend(signed.map_err(|error| fault::ours(self, error.fault(), error.to_string()))?);
                    }
                    Credential::Fixed(..) | Credential::None => {}
                }
                let mut own = Lines::default();
                own.text(REQUEST_ID, &call.id);
                let stream = call.stream || back.fold;
                let replaced = match call.op {
                    Op::Chat | Op::Complete | Op::Embed => ready.add(more, stream, &mut own),
                    _ => Some(surface::lines(&ready.headers, origin.host(), more, call)),
                };
                let lines = replaced.as_ref().unwrap_or(ready.of(stream));
                let method = surface::method(call);
                let answer = match &self.stage {
                    None => origin.ask(method, &path, lines, &own, body).await.map(Response::from),
                    Some(stage) => {
                        let ask = Ask { op, model, stream, method, path: &path, ready: lines, more: &own, body };
                        Box::pin(stage.ask(origin, ask)).await
                    }
                };
                let answer = answer.map_err(|error| fault::of_transport(self, &error))?;
                if let (Credential::Signed(signer), true) = (&self.credential, answer.status.is_client_error()) {
                    answer.fields.get("date").into_iter().for_each(|date| signer.saw(date));
                }
                match &self.course {
                    Course::Promised(promises) if answer.status == StatusCode::ACCEPTED => {
                        Box::pin(promises.keep(self, ready, (call, model), answer)).await?
                    }
                    Course::Tasks(path) if op == Op::Image => {
                        Box::pin(tasks::end(self, (origin, path), ready, (call, model), answer)).await?
                    }
                    _ => answer,
                }
            }
        };
        Ok(receive::receive(self, call, response, back).await?)
    }

    /// What a row's changes know and report.
    fn notes<'a>(&'a self, model: &'a str, stream: bool, warnings: &'a mut Vec<String>) -> Notes<'a> {
        let (settings, provider, policy) = (&self.settings, self.spec.id, self.policy);
        Notes { model, stream, settings, provider, policy, warnings }
    }
}
