//! Bedrock: batches over its jobs of the control plane, whose lines are in a bucket of the operator's.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::digest::{SHA256, digest};
use http::{Method, Uri};

use super::errand::{Errand, Seal, To};
use super::results::{self, Reading, Wanted};
use super::s3::Bucket;
use super::upload::Input;
use super::{Batch, Desk, File, Order, Page, escaped, invalid, is_missing};
use crate::call::{Error, Fault};
use crate::providers::auth::Credential;
use crate::providers::auth::sigv4::hex;
use crate::providers::client::{Origin, Protocol};
use crate::providers::fault;
use crate::providers::inbound::Gathered;
use crate::providers::receive::Got;
use crate::providers::spec::Discover;
use crate::wire::Object;
use crate::wire::jobs::bedrock::{self as wire, Job};
use crate::wire::jobs::id::{Kind, Name};

/// The jobs of a page, which are those of all users of the account.
const JOBS: usize = 100;

/// So many pages are looked at for one of ours, at most.
const PAGES: usize = 20;

/// Summaries are read up to here, bytes.
const SUMMARY: usize = 64 << 10;

/// Put an input into the bucket.
pub(super) async fn keep_input(desk: &mut Desk<'_>, input: Input) -> Result<File, Error> {
    let bucket = Bucket::of(desk)?;
    let provider = desk.provider;
    let model = (provider.spec.model)(&input.model, input.endpoint.op(), &provider.settings).unwrap_or(input.model);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let chance = getrandom::u32().map_err(|_| fault::ours(provider, Fault::Server, "no randomness".to_owned()))?;
    let created = u64::try_from(now).unwrap_or_default();
    let named = wire::Input { endpoint: input.endpoint, model, filename: input.filename, created };
    let key = named.key(chance);
    bucket.put(desk, &key, &input.stored).await?;
    Ok(wire::Input::read(&key).unwrap_or(named).file(&key, input.bytes))
}

/// The inputs, the newest first, then the results.
pub(super) async fn files(desk: &mut Desk<'_>, page: &Page) -> Result<(Vec<File>, bool), Error> {
    let bucket = Bucket::of(desk)?;
    let parts: &[&str] = match page.purpose.as_deref() {
        None => &[wire::INPUTS, wire::RESULTS],
        Some("batch") => &[wire::INPUTS],
        Some("batch_output") => &[wire::RESULTS],
        Some(_) => return Ok((Vec::new(), false)),
    };
    let after = page.after.as_deref().map(|after| Ok::<_, Error>(Which::of(desk, after)?.key)).transpose()?;
    let (mut files, mut pages) = (Vec::new(), 0..PAGES);
    for begins in parts {
        let mut behind = match &after {
            Some(after) if after.starts_with(begins) => Some(after.clone()),
            Some(after) if &**after > *begins => continue,
            _ => None,
        };
        loop {
            if pages.next().is_none() {
                return Ok((files, true));
            }
            let (objects, more) = bucket.list(desk, begins, behind.as_deref(), 1000).await?;
            for object in &objects {
                let input = wire::Input::read(&object.below).map(|input| input.file(&object.below, object.size));
                let file = input.or_else(|| wire::result(&object.below, Kind::Output, object.size, object.modified));
                let Some(file) = file else { continue };
                if files.len() == page.limit {
                    return Ok((files, true));
                }
                files.push(file);
            }
            // among objects of others there may be pages with none of ours
            behind = more;
            if behind.is_none() {
                break;
            }
        }
    }
    Ok((files, false))
}

/// What is known of a file.
pub(super) async fn file(desk: &mut Desk<'_>, id: &str) -> Result<File, Error> {
    let Which { kind, key } = Which::of(desk, id)?;
    let (bytes, written) = Bucket::of(desk)?.about(desk, &key).await.map_err(|error| none(desk, id, error))?;
    let file = match kind {
        Kind::Input => wire::Input::read(&key).map(|input| input.file(&key, bytes)),
        kind => wire::result(&key, kind, bytes, written),
    };
    file.ok_or_else(|| desk.no_file(id))
}

/// The results of a batch.
pub(super) async fn content(desk: &mut Desk<'_>, id: &str) -> Result<Got, Error> {
    let Which { kind, key } = Which::of(desk, id)?;
    if kind == Kind::Input {
        return Err(invalid("", "the input of a batch can't be read at Bedrock: it is not kept as it came"));
    }
    let bucket = Bucket::of(desk)?;
    let job = owner(desk, &bucket, id, &key).await?;
    let answer = bucket.get(desk, &key).await.map_err(|error| none(desk, id, error))?;
    let (wanted, what) = match kind {
        Kind::Errors => (Wanted::Failures, "error"),
        _ => (Wanted::Answers, "output"),
    };
    let name = job.name;
    let reading = Reading {
        filename: format!("{name}_{what}.jsonl"),
        batch: name,
        wanted: wanted.of(&job.batch),
        endpoint: job.batch.endpoint,
        dialect: desk.provider.spec.dialect,
        model: job.batch.model.unwrap_or_default(),
        created: job.batch.ended_at.unwrap_or(job.batch.created_at),
    };
    Ok(results::stream(desk.provider, answer.body, reading, wire::told))
}

/// Delete a file. The results of a batch are one object: it goes with the answers, or with the failures if there is nothing
/// else.
pub(super) async fn delete(desk: &mut Desk<'_>, id: &str) -> Result<(), Error> {
    let Which { kind, key } = Which::of(desk, id)?;
    let bucket = Bucket::of(desk)?;
    bucket.about(desk, &key).await.map_err(|error| none(desk, id, error))?;
    if kind == Kind::Errors && owner(desk, &bucket, id, &key).await?.batch.output_file_id.is_some() {
        let message = "Bedrock keeps the answers and the failures of a batch as one: delete its `output_file_id`, and this \
                       is gone with it";
        return Err(invalid("", message));
    }
    bucket.delete(desk, &key).await
}

/// Make a job of an input that is in the bucket.
pub(super) async fn make(desk: &mut Desk<'_>, order: Order) -> Result<Batch, Error> {
    let id = &order.input;
    let bucket = Bucket::of(desk)?;
    let named = Which::of(desk, id)?;
    let input = wire::Input::read(&named.key)
        .filter(|_| named.kind == Kind::Input)
        .ok_or_else(|| invalid("input_file_id", "must name a file that was uploaded with the purpose `batch`"))?;
    if input.endpoint != order.endpoint {
        let path = input.endpoint.path();
        return Err(invalid("endpoint", format!("must be {path}, as the lines of the input have it")));
    }
    let role = desk.provider.settings.get("batch_role").filter(|role| !role.is_empty()).ok_or_else(|| {
        let why = "Bedrock reads and writes the lines of batches in a role of yours, and none is named: its operator must \
                   set the option `batch_role`, or BEDROCK_BATCH_ROLE_ARN, to the role's ARN";
        invalid("", why)
    })?;
    bucket.about(desk, &named.key).await.map_err(|error| none(desk, id, error))?;
    if order.metadata.is_some() {
        desk.lost("metadata")?;
    }
    // two attempts of one call make one job
    let token = hex(&digest(&SHA256, format!("{}\n{}", desk.call.id, named.key).as_bytes()).as_ref()[..16]);
    let wanted = wire::Order { store: &bucket.store, input: &named.key, role, token: &token };
    let body = wire::job(&wanted).ok_or_else(|| desk.no_file(id))?;
    let to = Control::of(desk)?;
    let made = desk.ask(to.errand(Method::POST, "/model-invocation-job").json(body.encode())).await?;
    // what it is, as far as it is known before anybody asks
    let mut job = body;
    job.set_raw("jobArn", made.raw("jobArn").map_or_else(bytes::Bytes::new, bytes::Bytes::copy_from_slice));
    job.set("status", &"Submitted");
    job.set("submitTime", &jiff::Timestamp::now().to_string());
    Ok(ours(desk, &bucket, job)?.ok_or_else(|| desk.no_batch(id))?.batch)
}

/// A part of the batches, the newest first.
pub(super) async fn batches(desk: &mut Desk<'_>, page: &Page) -> Result<(Vec<Batch>, bool), Error> {
    let bucket = Bucket::of(desk)?;
    let to = Control::of(desk)?;
    let mut path = format!("/model-invocation-jobs?maxResults={JOBS}&sortBy=CreationTime&sortOrder=Descending");
    let after = page.after.as_deref();
    let mut since = None;
    if let Some(after) = after {
        let name = named(desk, after)?;
        let job = desk.ask(to.errand(Method::GET, &format!("/model-invocation-job/{name}"))).await?;
        let time = submitted(&job).ok_or_else(|| desk.no_batch(after))?;
        since = Some(time);
        // whether that moment counts nobody says: the batch itself, and what stood before it, is left out below
        let time = time.checked_add(jiff::SignedDuration::from_millis(1)).unwrap_or(time).to_string();
        path.push_str(&format!("&submitTimeBefore={}", time.replace(':', "%3A")));
    }
    let (mut batches, mut token) = (Vec::new(), None::<String>);
    for _ in 0..PAGES {
        let next = token.as_deref().map(|token| format!("&nextToken={}", escaped(token))).unwrap_or_default();
        let answer = desk.ask(to.errand(Method::GET, &format!("{path}{next}"))).await?;
        let jobs = answer.objects("invocationJobSummaries").map_err(|malformed| desk.nonsense(malformed))?;
        for job in jobs {
            let time = submitted(&job);
            let Some(Job { batch, .. }) = ours(desk, &bucket, job)? else { continue };
            if since.is_some_and(|since| time.is_none_or(|time| time >= since)) {
                // those of the same moment up to the batch itself were on the page before
                since = since.filter(|_| Some(&*batch.id) != after);
                continue;
            }
            if batches.len() == page.limit {
                return Ok((batches, true));
            }
            batches.push(batch);
        }
        token = answer.get::<String>("nextToken").ok().flatten().filter(|token| !token.is_empty());
        if token.is_none() {
            return Ok((batches, false));
        }
    }
    Ok((batches, true))
}

/// How a batch is doing, and what it has consumed, if it has ended.
pub(super) async fn batch(desk: &mut Desk<'_>, id: &str) -> Result<Batch, Error> {
    let name = named(desk, id)?;
    let bucket = Bucket::of(desk)?;
    let Job { mut batch, summary, .. } =
        job(desk, &bucket, &name).await.map_err(|error| no_batch(desk, id, error))?.ok_or_else(|| desk.no_batch(id))?;
    // a job that failed as a whole has none
    if batch.ended_at.is_some()
        && let Ok(answer) = bucket.get(desk, &summary).await
        && let Ok(Gathered::All(summary)) = answer.body.gather(SUMMARY, None).await
    {
        wire::summarised(&mut batch, summary);
    }
    Ok(batch)
}

/// End a batch before its time.
pub(super) async fn cancel(desk: &mut Desk<'_>, id: &str) -> Result<Batch, Error> {
    let name = named(desk, id)?;
    let bucket = Bucket::of(desk)?;
    // a job of somebody else's is not ours to end
    let found = job(desk, &bucket, &name).await.map_err(|error| no_batch(desk, id, error))?;
    found.ok_or_else(|| desk.no_batch(id))?;
    let to = Control::of(desk)?;
    desk.open(to.errand(Method::POST, &format!("/model-invocation-job/{name}/stop"))).await?;
    Ok(job(desk, &bucket, &name).await?.ok_or_else(|| desk.no_batch(id))?.batch)
}

/// The control plane, which is at a host of its own.
struct Control {
    to: To,
    /// What stands before every path.
    before: String,
}

impl Control {
    fn of(desk: &Desk<'_>) -> Result<Self, Error> {
        let provider = desk.provider;
        let failed = |why: String| Error::from(fault::ours(provider, Fault::Server, why));
        let place = provider.place.as_ref().ok_or_else(|| failed("has no address".to_owned()))?;
        let base = match provider.spec.discover {
            Discover::By(at, _) => at(place, &provider.settings).map_err(|invalid| failed(invalid.to_string()))?.base,
            _ => place.base.clone(),
        };
        let uri: Uri = base.parse().map_err(|_| failed("`control_url` is no address".to_owned()))?;
        let office = desk.office()?;
        let origin: Arc<Origin> = office
            .client
            .origin(&uri, office.timeouts, Protocol::Http1)
            .map_err(|error| failed(format!("`control_url`: {error}")))?;
        let to = match &provider.credential {
            Credential::Signed(signer) => To::Signed(origin, signer.clone(), Seal::Body),
            _ => To::Host(origin),
        };
        Ok(Self { to, before: uri.path().trim_end_matches('/').to_owned() })
    }

    fn errand(&self, method: Method, path: &str) -> Errand {
        Errand::new(method, format!("{}{path}", self.before)).to(self.to.clone())
    }
}

/// A job by its id; `None` if it is somebody else's.
async fn job(desk: &Desk<'_>, bucket: &Bucket, name: &str) -> Result<Option<Job>, Error> {
    let errand = Control::of(desk)?.errand(Method::GET, &format!("/model-invocation-job/{name}"));
    let answer = desk.ask(errand).await?;
    ours(desk, bucket, answer)
}

fn ours(desk: &Desk<'_>, bucket: &Bucket, job: Object) -> Result<Option<Job>, Error> {
    wire::batch(job, &bucket.store).map_err(|malformed| desk.nonsense(malformed))
}

/// The job whose results these are.
async fn owner(desk: &Desk<'_>, bucket: &Bucket, id: &str, key: &str) -> Result<Job, Error> {
    let name = key.rsplit('/').nth(1).unwrap_or_default();
    let job = job(desk, bucket, name).await.map_err(|error| none(desk, id, error))?;
    job.filter(|job| job.results == key).ok_or_else(|| desk.no_file(id))
}

/// When a job was made.
fn submitted(job: &Object) -> Option<jiff::Timestamp> {
    job.get::<String>("submitTime").ok().flatten()?.parse().ok()
}

/// The id of a job.
fn named(desk: &Desk<'_>, id: &str) -> Result<String, Error> {
    let name = Name::of(id, Kind::Batch).map(|[name]| name).filter(|name| wire::is_job(name));
    name.ok_or_else(|| desk.no_batch(id))
}

/// What is not there, in OpenAI's words.
fn none(desk: &Desk<'_>, id: &str, error: Error) -> Error {
    if is_missing(&error) { desk.no_file(id) } else { error }
}

fn no_batch(desk: &Desk<'_>, id: &str, error: Error) -> Error {
    if is_missing(&error) { desk.no_batch(id) } else { error }
}

/// What a file's id names: an object below the prefix.
struct Which {
    kind: Kind,
    key: String,
}

impl Which {
    fn of(desk: &Desk<'_>, id: &str) -> Result<Self, Error> {
        let Some(Name { kind, parts }) = Name::read(id) else { return Err(desk.no_file(id)) };
        let [key] = &parts[..] else { return Err(desk.no_file(id)) };
        let is_ours = match kind {
            Kind::Input => wire::Input::read(key).is_some(),
            Kind::Output | Kind::Errors => wire::result(key, kind, 0, 0).is_some(),
            Kind::Batch | Kind::File => false,
        };
        if is_ours { Ok(Self { kind, key: key.clone() }) } else { Err(desk.no_file(id)) }
    }
}
