//! Batches at Vertex AI: their lines stand in a bucket of the operator's, inputs and results alike.

use http::Method;

use super::errand::Errand;
use super::gcs::{Bucket, noise};
use super::gemini::{ONE, cancelling};
use super::google::listed;
use super::results::{self, Reading, Wanted};
use super::upload::{BETA, Input};
use super::{Desk, Order, Page, invalid};
use crate::call::{Error, Op};
use crate::providers::receive::Got;
use crate::wire::jobs::google::name_of;
use crate::wire::jobs::id::{Kind, Name};
use crate::wire::jobs::item::Endpoint;
use crate::wire::jobs::vertex::{self, Store};
use crate::wire::jobs::{Batch, File, sum};
use crate::wire::{Dialect, Object};

const JOBS: &str = "/batchPredictionJobs";

/// Where jobs are made: of a project. Fails where there is none.
fn of_project(desk: &Desk<'_>) -> Result<(), Error> {
    let base = desk.provider.place.as_ref().map_or("", |place| &place.base);
    let why = "batches are a project's: its operator must name one in the option `project_id`";
    if base.contains("/projects/") || desk.provider.settings.get("base_url").is_some() {
        Ok(())
    } else {
        Err(invalid("", why))
    }
}

/// Keep the input of a batch: an object in the bucket.
pub async fn keep_input(desk: &mut Desk<'_>, input: Input) -> Result<File, Error> {
    of_project(desk)?;
    if !input.betas.is_empty() {
        desk.lost(BETA)?;
    }
    let bucket = Bucket::of(desk)?;
    let provider = desk.provider;
    let own = (provider.spec.model)(&input.model, Op::Chat, &provider.settings);
    let model = own.as_deref().unwrap_or(&input.model);
    let way = provider.spec.way(Op::Chat, &input.model, false, &provider.settings);
    let dialect = way.map_or(provider.spec.dialect, |way| way.dialect);
    let resource = vertex::resource(model, dialect).map_err(|why| invalid("file", why))?;
    let about = vertex::object(&bucket.store.input(&noise(desk)?), &resource, &input.filename);
    let kept = bucket.put(desk, &about, &input.stored).await?;
    let unreadable = || desk.nonsense(crate::wire::Malformed::new("it names no object of ours"));
    vertex::file(&bucket.store, &kept).ok_or_else(unreadable)
}

/// What a file's id names.
enum Which {
    /// An input, as it is called.
    Input(String),
    /// Results of the job of this number.
    Results(String, Wanted),
}

impl Which {
    fn of(desk: &Desk<'_>, id: &str) -> Result<Self, Error> {
        let Some(Name { kind, parts }) = Name::read(id) else { return Err(desk.no_file(id)) };
        match (kind, &parts[..]) {
            (Kind::Input, [name]) if vertex::is_input(name) => Ok(Which::Input(name.clone())),
            (Kind::Output, [job]) if vertex::is_job(job) => Ok(Which::Results(job.clone(), Wanted::Answers)),
            (Kind::Errors, [job]) if vertex::is_job(job) => Ok(Which::Results(job.clone(), Wanted::Failures)),
            _ => Err(desk.no_file(id)),
        }
    }
}

/// A part of the files, and whether there are more: inputs first, the last one first, then results.
pub async fn files(desk: &Desk<'_>, page: &Page) -> Result<(Vec<File>, bool), Error> {
    of_project(desk)?;
    let bucket = Bucket::of(desk)?;
    let wants = |purpose: &str| page.purpose.as_deref().is_none_or(|wanted| wanted == purpose);
    let after = page.after.as_deref().map(|after| Which::of(desk, after)).transpose()?;
    let mut found = Vec::new();
    if wants("batch") && !matches!(after, Some(Which::Results(..))) {
        let objects = bucket.list(desk, &bucket.store.folder()).await?;
        found = objects.iter().filter_map(|object| vertex::file(&bucket.store, object)).collect();
        found.sort_by(|one: &File, other| (other.created_at, &other.id).cmp(&(one.created_at, &one.id)));
        if let Some(at) = page.after.as_deref().and_then(|after| found.iter().position(|file| file.id == after)) {
            found.drain(..=at);
        }
        if found.len() >= page.limit {
            let more = found.len() > page.limit || wants("batch_output");
            found.truncate(page.limit);
            return Ok((found, more));
        }
    }
    if !wants("batch_output") {
        return Ok((found, false));
    }
    let after = page.after.clone().filter(|_| matches!(after, Some(Which::Results(..))));
    let rest = Page { limit: page.limit - found.len(), after, ..Page::default() };
    let read = |job: Object| vertex::batch(&bucket.store, &job).map_or_else(|_| Vec::new(), |batch| of_results(&batch));
    let (results, more) = listed(desk, (JOBS, "batchPredictionJobs"), &rest, read, |file: &File| &file.id).await?;
    found.extend(results);
    Ok((found, more))
}

/// The results of a batch, as files.
fn of_results(batch: &Batch) -> Vec<File> {
    let file = |id: &Option<String>, wanted| {
        let id = id.clone()?;
        let [job] = Name::read(&id)?.parts.try_into().ok()?;
        Some(File {
            filename: filename(&job, wanted),
            id,
            created_at: batch.ended_at.unwrap_or(batch.created_at),
            purpose: "batch_output".to_owned(),
            ..File::default()
        })
    };
    let all = [file(&batch.output_file_id, Wanted::Answers), file(&batch.error_file_id, Wanted::Failures)];
    all.into_iter().flatten().collect()
}

fn filename(job: &str, wanted: Wanted) -> String {
    format!("batch_{job}_{}.jsonl", if wanted == Wanted::Answers { "output" } else { "error" })
}

/// What is known of a file.
pub async fn file(desk: &Desk<'_>, id: &str) -> Result<File, Error> {
    of_project(desk)?;
    let bucket = Bucket::of(desk)?;
    match Which::of(desk, id)? {
        Which::Input(name) => {
            let about = bucket.about(desk, &bucket.store.input(&name)).await?;
            vertex::file(&bucket.store, &about).ok_or_else(|| desk.no_file(id))
        }
        Which::Results(job, _) => {
            let (job, batch) = told(desk, &bucket.store, &job).await?;
            let file = of_results(&batch).into_iter().find(|file| file.id == id).ok_or_else(|| desk.no_file(id))?;
            let (_, bytes) = parts(desk, &bucket, &job).await?;
            Ok(File { bytes, ..file })
        }
    }
}

/// The names of the objects that hold a job's results, in order, and their length, bytes.
async fn parts(desk: &Desk<'_>, bucket: &Bucket, job: &Object) -> Result<(Vec<String>, u64), Error> {
    let Some(folder) = vertex::results(&bucket.store, job) else { return Ok((Vec::new(), 0)) };
    let objects = bucket.list(desk, &format!("{folder}/")).await?;
    let mut parts: Vec<(String, u64)> = objects.iter().filter_map(vertex::part).collect();
    parts.sort();
    let length = sum(parts.iter().map(|(_, length)| *length));
    Ok((parts.into_iter().map(|(name, _)| name).collect(), length))
}

/// What is in the results of a batch.
pub async fn content(desk: &Desk<'_>, id: &str) -> Result<Got, Error> {
    of_project(desk)?;
    let Which::Results(number, wanted) = Which::of(desk, id)? else {
        return Err(invalid("file_id", "the input of a batch can't be read at Vertex AI: it is not kept as it came"));
    };
    let bucket = Bucket::of(desk)?;
    let (job, batch) = told(desk, &bucket.store, &number).await?;
    if !of_results(&batch).iter().any(|file| file.id == id) {
        return Err(desk.no_file(id));
    }
    let resource = job.get::<String>("model").ok().flatten().unwrap_or_default();
    let (parts, _) = parts(desk, &bucket, &job).await?;
    let native = vertex::native(&resource).filter(|_| !parts.is_empty()).ok_or_else(|| desk.no_file(id))?;
    let reading = Reading {
        filename: filename(&number, wanted),
        batch: number,
        wanted: wanted.of(&batch),
        endpoint: Endpoint::Chat,
        dialect: Dialect::Native(native),
        model: batch.model.unwrap_or_default(),
        created: batch.ended_at.unwrap_or(batch.created_at),
    };
    let lines = bucket.read(desk, &parts).await?;
    Ok(results::stream(desk.provider, lines, reading, |line| vertex::told(&line)))
}

/// Delete a file. The results of a batch are one thing: they go with its answers, or with its failures if there is nothing
/// else.
pub async fn delete(desk: &Desk<'_>, id: &str) -> Result<(), Error> {
    of_project(desk)?;
    let bucket = Bucket::of(desk)?;
    match Which::of(desk, id)? {
        Which::Input(name) => bucket.delete(desk, &bucket.store.input(&name)).await,
        Which::Results(number, wanted) => {
            let (job, batch) = told(desk, &bucket.store, &number).await?;
            if !of_results(&batch).iter().any(|file| file.id == id) {
                return Err(desk.no_file(id));
            }
            if wanted == Wanted::Failures && batch.output_file_id.is_some() {
                return Err(invalid("file_id", ONE));
            }
            let (parts, _) = parts(desk, &bucket, &job).await?;
            if parts.is_empty() {
                return Err(desk.no_file(id));
            }
            for part in &parts {
                bucket.delete(desk, part).await?;
            }
            Ok(())
        }
    }
}

/// Make a batch of an input.
pub async fn make(desk: &mut Desk<'_>, order: Order) -> Result<Batch, Error> {
    of_project(desk)?;
    let bucket = Bucket::of(desk)?;
    let Which::Input(input) = Which::of(desk, &order.input)? else {
        return Err(invalid("input_file_id", "must name a file that was uploaded with the purpose `batch`"));
    };
    let about = bucket.about(desk, &bucket.store.input(&input)).await;
    let about = about.map_err(|error| desk.without(error, &order.input, Desk::no_file))?;
    let model = vertex::model(&about).ok_or_else(|| desk.no_file(&order.input))?;
    let name = match &order.metadata {
        None => None,
        Some(metadata) => {
            let name = name_of(metadata, vertex::LONGEST_NAME);
            if name.is_none() {
                desk.lost("metadata")?;
            }
            name
        }
    };
    let name = name.as_deref().unwrap_or(vertex::UNNAMED);
    let body = vertex::make(&bucket.store, &input, &model, name);
    let job = desk.ask(Errand::new(Method::POST, JOBS).json(body)).await?;
    let batch = vertex::batch(&bucket.store, &job).map_err(|malformed| desk.nonsense(malformed))?;
    Ok(Batch { input_file_id: order.input, ..batch })
}

/// A part of the batches, and whether there are more.
pub async fn batches(desk: &Desk<'_>, page: &Page) -> Result<(Vec<Batch>, bool), Error> {
    of_project(desk)?;
    let bucket = Bucket::of(desk)?;
    // of the project's jobs those whose lines are in the bucket
    let read = |job: Object| {
        let batch = vertex::batch(&bucket.store, &job).ok();
        let ours = batch.filter(|batch| !batch.input_file_id.is_empty());
        ours.into_iter().collect()
    };
    listed(desk, (JOBS, "batchPredictionJobs"), page, read, |batch: &Batch| &batch.id).await
}

/// How a batch is doing.
pub async fn batch(desk: &Desk<'_>, id: &str) -> Result<Batch, Error> {
    of_project(desk)?;
    let bucket = Bucket::of(desk)?;
    Ok(told(desk, &bucket.store, &number(desk, id)?).await?.1)
}

fn number(desk: &Desk<'_>, id: &str) -> Result<String, Error> {
    let number = Name::of::<1>(id, Kind::Batch).filter(|[number]| vertex::is_job(number));
    number.map(|[number]| number).ok_or_else(|| desk.no_batch(id))
}

/// A job of ours, which is one whose lines are in the bucket, and what it is to callers.
async fn told(desk: &Desk<'_>, store: &Store, number: &str) -> Result<(Object, Batch), Error> {
    let job = desk.ask(Errand::new(Method::GET, format!("{JOBS}/{number}"))).await?;
    let batch = vertex::batch(store, &job).map_err(|malformed| desk.nonsense(malformed))?;
    if batch.input_file_id.is_empty() {
        return Err(desk.no_batch(&batch.id));
    }
    Ok((job, batch))
}

/// End a batch before its time. One that goes on still is being cancelled.
pub async fn cancel(desk: &Desk<'_>, id: &str) -> Result<Batch, Error> {
    of_project(desk)?;
    let bucket = Bucket::of(desk)?;
    let number = number(desk, id)?;
    told(desk, &bucket.store, &number).await?;
    desk.open(Errand::new(Method::POST, format!("{JOBS}/{number}:cancel")).json(bytes::Bytes::from_static(b"{}")))
        .await?;
    Ok(cancelling(told(desk, &bucket.store, &number).await?.1))
}
