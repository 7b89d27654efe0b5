//! Files and batches at vendors whose batches are not OpenAI's: what a request at `/v1/files` and `/v1/batches` asks for,
//! done in the vendor's way and told in OpenAI's words.
//!
//! Nothing is kept but inputs that a vendor has no place for (`held`): what a later request must know is in the ids.

pub mod anthropic;
pub mod bedrock;
pub mod cohere;
mod datasets;
pub mod errand;
pub mod fireworks;
pub mod gcs;
pub mod gemini;
pub mod google;
pub mod held;
pub mod results;
pub mod s3;
pub mod upload;
mod vendors;
pub mod vertex;

use std::sync::Arc;

use bytes::Bytes;
use http::Method;
use tokio::sync::Semaphore;

use self::held::Held;
use self::vendors::{batch, batches, cancel, content, delete, file, files, make};
use super::Provider;
use super::client::{Client, Timeouts};
use super::fault;
use super::lines::Ready;
use super::notes::Notes;
use super::receive::Got;
use super::settings::Settings;
use super::spec::Spec;
use super::stored;
use crate::call::{Body, Call, Error, Fault, Op, Passage};
use crate::config::Invalid;
use crate::wire::Object;
use crate::wire::jobs::item::{Endpoint, shortened};
pub use crate::wire::jobs::{Batch, File, Jobs};
use crate::wire::jobs::{Limits, Standing, list};

/// What asks for a batch is no longer, bytes.
const LONGEST_ORDER: u64 = 1 << 20;

/// What a list holds where nobody says.
const USUAL_PAGE: usize = 20;

/// The most that a list holds.
const LARGEST_PAGE: usize = 100;

/// What one target has beside its row.
pub struct Office {
    /// Inputs whose batches are not made yet.
    pub held: Arc<Held>,
    /// Finds other hosts of the vendor's.
    pub client: Client,
    /// How patient we are with them.
    pub timeouts: Timeouts,
    /// Has a place for each upload that may have a long line of input in hand.
    long: Semaphore,
}

/// So many uploads have a long line of input in hand at once: each is in memory a few times while it is translated.
const LONG_AT_ONCE: usize = 4;

impl Office {
    /// That of a row with these settings; `None` if it has no such batches. Fails on settings that are no good for them.
    pub fn of(
        spec: &Spec,
        settings: &Settings,
        client: &Client,
        timeouts: Timeouts,
    ) -> Result<Option<Box<Self>>, Invalid> {
        match spec.jobs {
            Some(Jobs::Vertex) => gcs::settings(settings)?,
            Some(Jobs::Fireworks) => fireworks::settings(settings)?,
            _ => {}
        }
        let office = || {
            let long = Semaphore::new(LONG_AT_ONCE);
            Box::new(Self { held: Arc::default(), client: client.clone(), timeouts, long })
        };
        Ok(spec.jobs.map(|_| office()))
    }
}

/// One request on its way, with what doing it takes.
pub struct Desk<'a> {
    /// Whom to ask.
    pub provider: &'a Provider,
    /// The fields of every request with the credential.
    pub(super) ready: &'a Ready,
    /// The request.
    pub call: &'a Call,
    /// What of it is lost.
    pub warnings: &'a mut Vec<String>,
}

/// What a request asks for.
#[derive(Debug, PartialEq, Eq)]
enum Asked<'a> {
    Upload,
    Files(Page),
    File(&'a str),
    Content(&'a str),
    Delete(&'a str),
    Make,
    Batches(Page),
    Batch(&'a str),
    Cancel(&'a str),
}

/// The part of a list that is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// How many.
    pub limit: usize,
    /// The id behind which it begins, if it is not the beginning.
    pub after: Option<String>,
    /// Only files for this.
    pub purpose: Option<String>,
    /// Whether the oldest come first.
    pub oldest_first: bool,
}

/// A batch that is wanted.
#[derive(Debug)]
pub struct Order {
    /// The id of its input.
    pub input: String,
    /// What its lines ask for, as the caller says.
    pub endpoint: Endpoint,
    /// What the caller notes about it: an object.
    pub metadata: Option<Object>,
}

/// Do what is asked for. Fails on what there is not, and as every call does.
pub(super) async fn ask(
    provider: &Provider,
    jobs: Jobs,
    ready: &Ready,
    (call, passage): (&Call, &Passage),
    warnings: &mut Vec<String>,
) -> Result<Got, Error> {
    let mut desk = Desk { provider, ready, call, warnings };
    let desk = &mut desk;
    let asked = Asked::of(call.op, passage).ok_or_else(|| desk.missing(&passage.method, call.op))?;
    let answer = match asked {
        Asked::Upload => upload::take(desk, jobs).await?.encode(),
        Asked::Files(page) => {
            desk.orders(&page)?;
            let (files, more) = files(desk, jobs, &page).await?;
            list(&files.into_iter().map(|file| desk.told(file).encode()).collect::<Vec<_>>(), more)
        }
        Asked::File(id) => {
            let file = file(desk, jobs, id).await.map_err(|error| desk.without(error, id, Desk::no_file))?;
            desk.told(file).encode()
        }
        Asked::Content(id) => {
            return content(desk, jobs, id).await.map_err(|error| desk.without(error, id, Desk::no_file));
        }
        Asked::Delete(id) => {
            delete(desk, jobs, id).await.map_err(|error| desk.without(error, id, Desk::no_file))?;
            let mut deleted = Object::default();
            deleted.set_text("id", id);
            deleted.set("object", &"file");
            deleted.set("deleted", &true);
            deleted
        }
        Asked::Make => {
            let order = desk.order(jobs).await?;
            let batch = make(desk, jobs, order).await?;
            desk.redacted(batch).encode()
        }
        Asked::Batches(page) => {
            desk.orders(&page)?;
            let (batches, more) = batches(desk, jobs, &page).await?;
            list(&batches.into_iter().map(|batch| desk.redacted(batch).encode()).collect::<Vec<_>>(), more)
        }
        Asked::Batch(id) => {
            let batch = batch(desk, jobs, id).await.map_err(|error| desk.without(error, id, Desk::no_batch))?;
            desk.redacted(batch).encode()
        }
        Asked::Cancel(id) => {
            let batch = cancel(desk, jobs, id).await.map_err(|error| desk.without(error, id, Desk::no_batch))?;
            desk.redacted(batch).encode()
        }
    };
    Ok(Got::Whole(answer.encode(), None))
}

impl<'a> Asked<'a> {
    /// What a request asks for; `None` if there is no such thing.
    fn of(op: Op, passage: &'a Passage) -> Option<Self> {
        let (path, query) = passage.below.split_once('?').unwrap_or((&passage.below, ""));
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        Some(match (op, &passage.method, &parts[..]) {
            (Op::File, &Method::POST, []) => Asked::Upload,
            (Op::File, &Method::GET, []) => Asked::Files(Page::of(query)),
            (Op::File, &Method::GET, [id]) => Asked::File(id),
            (Op::File, &Method::GET, [id, "content"]) => Asked::Content(id),
            (Op::File, &Method::DELETE, [id]) => Asked::Delete(id),
            (Op::Batch, &Method::POST, []) => Asked::Make,
            (Op::Batch, &Method::GET, []) => Asked::Batches(Page::of(query)),
            (Op::Batch, &Method::GET, [id]) => Asked::Batch(id),
            (Op::Batch, &Method::POST, [id, "cancel"]) => Asked::Cancel(id),
            _ => return None,
        })
    }
}

impl Page {
    fn of(query: &str) -> Self {
        let mut page = Self { limit: USUAL_PAGE, ..Self::default() };
        for (name, value) in query.split('&').filter_map(|asked| asked.split_once('=')) {
            match name {
                "limit" => page.limit = value.parse().map_or(page.limit, |limit: usize| limit.clamp(1, LARGEST_PAGE)),
                "after" if !value.is_empty() => page.after = Some(value.to_owned()),
                "purpose" if !value.is_empty() => page.purpose = Some(value.to_owned()),
                "order" => page.oldest_first = value == "asc",
                _ => {}
            }
        }
        page
    }
}

impl Desk<'_> {
    /// What this target has for batches.
    pub fn office(&self) -> Result<&Office, Error> {
        let missing = || fault::ours(self.provider, Fault::Server, "keeps no batches".to_owned());
        Ok(self.provider.office.as_deref().ok_or_else(missing)?)
    }

    /// There is no such file.
    pub fn no_file(&self, id: &str) -> Error {
        fault::ours(self.provider, Fault::Missing, format!("No such File object: {}", shortened(id))).into()
    }

    /// There is no such batch.
    pub fn no_batch(&self, id: &str) -> Error {
        fault::ours(self.provider, Fault::Missing, format!("No batch found with id '{}'.", shortened(id))).into()
    }

    /// A failure; where it is that there is no such thing, without the vendor's words for it, which may name the bucket or
    /// the project of the operator.
    fn without(&self, error: Error, id: &str, none: fn(&Self, &str) -> Error) -> Error {
        if is_missing(&error) { none(self, id) } else { error }
    }

    fn missing(&self, method: &Method, op: Op) -> Error {
        let message = format!("there is nothing at this path of {} for {method}", op.name());
        fault::ours(self.provider, Fault::Missing, message).into()
    }

    /// A parameter can't be carried over. Fails where the configuration wants that.
    pub fn lost(&mut self, param: &str) -> Result<(), Error> {
        self.notes().lost_field(param)
    }

    fn notes(&mut self) -> Notes<'_> {
        self.provider.notes("", false, self.warnings)
    }

    /// What a list is asked for that no vendor has.
    fn orders(&mut self, page: &Page) -> Result<(), Error> {
        if page.oldest_first { self.lost("order") } else { Ok(()) }
    }

    /// The batch that is wanted.
    async fn order(&mut self, jobs: Jobs) -> Result<Order, Error> {
        let body = match &self.call.body {
            Body::None => Bytes::new(),
            Body::Json(object) => object.encode(),
            Body::Upload(upload) => {
                let too_long = || {
                    let message = format!("what asks for a batch has at most {LONGEST_ORDER} bytes");
                    invalid("", message)
                };
                stored::whole(&upload.stored, LONGEST_ORDER).await.ok_or_else(too_long)?
            }
        };
        let body = Object::parse(body)?;
        let text = |name: &'static str| {
            let text = body.get::<String>(name)?.filter(|text| !text.is_empty());
            text.ok_or_else(|| invalid(name, format!("`{name}` is missing")))
        };
        let (input, path) = (text("input_file_id")?, text("endpoint")?);
        let Some(endpoint) = Endpoint::of(&path).filter(|endpoint| jobs.endpoints().contains(endpoint)) else {
            let known: Vec<_> = jobs.endpoints().iter().map(|endpoint| endpoint.path()).collect();
            let (known, provider) = (known.join(" or "), self.provider.spec.id);
            let path = shortened(&path);
            return Err(invalid("endpoint", format!("`{path}` has no batches at {provider}: it must be {known}")));
        };
        if text("completion_window")? != "24h" {
            return Err(invalid("completion_window", "the only one there is is 24h"));
        }
        let metadata = body.object("metadata")?.filter(|metadata| !metadata.is_empty());
        for (name, value) in body.members() {
            let known = ["input_file_id", "endpoint", "completion_window", "metadata"].contains(&name);
            if !known && value != b"null" {
                self.lost(name)?;
            }
        }
        Ok(Order { input, endpoint, metadata })
    }
}

/// A member that is not what it must be.
pub fn invalid(param: &str, message: impl Into<String>) -> Error {
    Error::Invalid { param: param.to_owned(), message: message.into() }
}

/// A purpose of a file that the vendor has no place for.
fn for_batches_alone(desk: &Desk<'_>) -> Error {
    let provider = desk.provider.spec.id;
    invalid("purpose", format!("{provider} keeps files for batches alone: it must be `batch`"))
}

impl Desk<'_> {
    /// A batch whose vendor's own words hold no secrets.
    fn redacted(&self, mut batch: Batch) -> Batch {
        for (_, message) in &mut batch.errors {
            *message = self.provider.redactor.error_text(message).into_owned();
        }
        batch
    }

    /// A file, the same.
    fn told(&self, mut file: File) -> File {
        if let Standing::Error(why) = &mut file.status {
            *why = self.provider.redactor.error_text(why).into_owned();
        }
        file
    }
}

/// Whether somebody says that there is no such thing.
fn is_missing(error: &Error) -> bool {
    matches!(error, Error::Upstream(upstream) if upstream.fault == Fault::Missing)
}

/// A text as part of a path or a query: every byte that could mean something there as an escape.
fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// More than a vendor takes in one batch.
fn beyond(provider: &Provider, limits: Limits) -> Error {
    let Limits { bytes, lines } = limits;
    let (id, mib) = (provider.spec.id, bytes >> 20);
    let lines = if lines == u64::MAX { String::new() } else { format!("{lines} lines and ") };
    invalid("file", format!("{id} takes no more than {lines}{mib} MiB in one batch: make several of it"))
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;

    #[test]
    fn a_path_says_what_is_asked_for() {
        let check = |op, method: Method, below: &str, asked: Option<Asked<'_>>| {
            let headers = HeaderMap::new();
            let passage = Passage { method, below: below.to_owned(), headers, to: None, upgrades: false };
            assert_eq!(Asked::of(op, &passage), asked, "{below}");
        };
        let page = |limit, after: Option<&str>| Page { limit, after: after.map(str::to_owned), ..Page::default() };
        check(Op::File, Method::POST, "", Some(Asked::Upload));
        check(Op::File, Method::POST, "/?x=1", Some(Asked::Upload));
        check(Op::File, Method::GET, "", Some(Asked::Files(page(20, None))));
        check(Op::File, Method::GET, "/?limit=0&after=&x", Some(Asked::Files(page(1, None))));
        check(Op::File, Method::GET, "/f/content", Some(Asked::Content("f")));
        check(Op::File, Method::DELETE, "/f", Some(Asked::Delete("f")));
        check(Op::Batch, Method::GET, "?limit=9999&after=b", Some(Asked::Batches(page(100, Some("b")))));
        check(Op::Batch, Method::POST, "/b/cancel", Some(Asked::Cancel("b")));
        check(Op::Batch, Method::DELETE, "/b", None);
        check(Op::File, Method::GET, "/f/content/more", None);
        check(Op::File, Method::PUT, "/f", None);
    }
}
