//! Fireworks: jobs over datasets of an account, which stand below the host of the root. Long inputs go to a signed address,
//! results come from signed ones, and neither host gets a credential.

use std::collections::VecDeque;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use http::header::{HeaderName, HeaderValue};
use http::{Method, StatusCode};
use serde_json::json;

use super::datasets::{PAGES, Patience, Which, form, named, no_batch, noise, none, objects, part};
use super::errand::{Errand, To};
use super::results::{self, Reading, Wanted};
use super::upload::Input;
use super::{Batch, Desk, File, Order, Page, escaped, invalid};
use crate::call::{Error, Fault};
use crate::config::Invalid;
use crate::providers::client::SendError;
use crate::providers::inbound::Inbound;
use crate::providers::predictions::files::{Files, Source};
use crate::providers::receive::Got;
use crate::providers::settings::Settings;
use crate::providers::{fault, stored};
use crate::wire::jobs::fireworks::{self as wire, AT_ONCE, Dataset};
use crate::wire::jobs::id::{Kind, Name};
use crate::wire::jobs::item::Endpoint;
use crate::wire::jobs::{Standing, Status};
use crate::wire::multipart::Piece;
use crate::wire::{Malformed, Object};

/// Datasets and jobs of a page: the most that it has.
const SIZE: usize = 200;

/// What a dataset's file is called there.
const FILENAME: &str = "batch.jsonl";

/// Bounds what a signed address takes, bytes, as the vendor's SDK does.
const RANGE: HeaderName = HeaderName::from_static("x-goog-content-length-range");

/// Judge the settings of a target about its account. Fails naming the one that is no good.
pub(super) fn settings(settings: &Settings) -> Result<(), Invalid> {
    match settings.get("account_id").filter(|account| !wire::is_id(account)) {
        None => Ok(()),
        Some(_) => {
            let why = "must be the id of an account, of letters, digits, `-` and `_`, without `accounts/` before it";
            Err(Invalid::at("options.account_id".to_owned(), why.to_owned()))
        }
    }
}

/// The name of the operator's account. Fails where none is known.
fn account<'a>(desk: &'a Desk<'_>) -> Result<&'a str, Error> {
    let account = desk.provider.settings.get("account_id").filter(|account| wire::is_id(account));
    account.ok_or_else(|| {
        let id = desk.provider.spec.id;
        let why = format!(
            "{id} keeps the files and batches of an account, and none is named: its operator must set the option \
             `account_id`, or FIREWORKS_ACCOUNT_ID"
        );
        invalid("", why)
    })
}

/// A request for what is below the account.
fn errand(desk: &Desk<'_>, method: Method, below: &str) -> Result<Errand, Error> {
    Ok(Errand::new(method, format!("//v1/accounts/{}/{below}", account(desk)?)))
}

fn post(desk: &Desk<'_>, below: &str, body: &serde_json::Value) -> Result<Errand, Error> {
    Ok(errand(desk, Method::POST, below)?.json(Bytes::from(body.to_string())))
}

/// Make a dataset of an input. One that can't be filled is deleted again.
pub(super) async fn keep_input(desk: &mut Desk<'_>, input: Input) -> Result<File, Error> {
    let own = (desk.provider.spec.model)(&input.model, input.endpoint.op(), &desk.provider.settings);
    let model = own.unwrap_or_else(|| input.model.clone());
    if model.contains(char::is_whitespace) {
        return Err(invalid("file", format!("`{model}` is no model of Fireworks")));
    }
    let id = format!("ferrogw-{}", noise(desk)?);
    let name = wire::display_name(&model, &input.filename);
    let dataset = json!({"displayName": name, "exampleCount": input.lines.to_string(), "userUploaded": {}});
    desk.ask(post(desk, "datasets", &json!({"datasetId": id, "dataset": dataset}))?).await?;
    if let Err(error) = fill(desk, &id, &input).await {
        let emptied = desk.open(errand(desk, Method::DELETE, &format!("datasets/{id}"))?).await;
        if let Err(kept) = emptied {
            tracing::warn!(provider = %desk.provider.target, dataset = id, error = %kept.message, "an empty dataset stays");
        }
        return Err(error);
    }
    Ok(File {
        id: Name::new(Kind::Input, [id.as_str()]).encode(),
        bytes: input.bytes,
        created_at: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() as i64,
        filename: input.filename,
        purpose: "batch".to_owned(),
        status: Standing::Uploaded,
        ..File::default()
    })
}

/// Upload an input: in one request, or to an address that is made for it
/// (<https://docs.fireworks.ai/api-reference/get-dataset-upload-endpoint>).
async fn fill(desk: &Desk<'_>, id: &str, input: &Input) -> Result<(), Error> {
    let length = input.stored.length();
    if length <= AT_ONCE {
        let (kind, body) = form(desk, input, "file")?;
        let sends = errand(desk, Method::POST, &format!("datasets/{id}:upload"))?.sends(kind, body);
        match desk.open(sends).await {
            Err(failed) if failed.status == Some(StatusCode::PAYLOAD_TOO_LARGE.as_u16()) => {}
            done => return Ok(done.map(drop)?),
        }
    }
    let asked = json!({"filenameToSize": {FILENAME: length.to_string()}});
    let answer = desk.ask(post(desk, &format!("datasets/{id}:getUploadEndpoint"), &asked)?).await?;
    let address = wire::addresses(&answer).map_err(|malformed| desk.nonsense(malformed))?.pop();
    let nowhere = || desk.nonsense(Malformed::new("it does not say where to upload to"));
    let (origin, path) = files(desk)?.place(desk.provider, &address.ok_or_else(nowhere)?)?;
    let range = HeaderValue::try_from(format!("{length},{length}"));
    let range = range.map_err(|_| invalid("file", "can't be sent"))?;
    let body = stored::outgoing(&input.stored, vec![Piece::Kept(0..length)]);
    let sends = Errand::new(Method::PUT, path.to_string())
        .sends(HeaderValue::from_static("application/octet-stream"), body)
        .with(RANGE, range)
        .to(To::Bare(origin));
    desk.open(sends).await?;
    desk.open(post(desk, &format!("datasets/{id}:validateUpload"), &json!({}))?).await?;
    Ok(())
}

fn files<'a>(desk: &Desk<'a>) -> Result<&'a Files, Error> {
    let no_hosts = || fault::ours(desk.provider, Fault::Server, "names files, and has no hosts for them".to_owned());
    Ok(desk.provider.files.as_deref().ok_or_else(no_hosts)?)
}

/// The inputs and the results, the newest first.
pub(super) async fn list_files(desk: &mut Desk<'_>, page: &Page) -> Result<(Vec<File>, bool), Error> {
    let wants = |purpose: &str| page.purpose.as_deref().is_none_or(|wanted| wanted == purpose);
    let mut files = Vec::new();
    if wants("batch") {
        for told in all(desk, "datasets").await? {
            let dataset = wire::dataset(&told).map_err(|malformed| desk.nonsense(malformed))?;
            files.extend(dataset.map(|dataset| dataset.file));
        }
    }
    if wants("batch_output") {
        let jobs = all_batches(desk).await?;
        files.extend(jobs.iter().flat_map(|(id, batch)| batch.results(id)));
    }
    files.sort_by_key(|file| std::cmp::Reverse(file.created_at));
    part(files, page, |file| &file.id).ok_or_else(|| desk.no_file(page.after.as_deref().unwrap_or_default()))
}

/// All things of a list.
async fn all(desk: &Desk<'_>, name: &str) -> Result<Vec<Object>, Error> {
    let (mut things, mut token) = (Vec::new(), String::new());
    for _ in 0..PAGES {
        let answer = desk.ask(errand(desk, Method::GET, &format!("{name}?pageSize={SIZE}{token}"))?).await?;
        things.extend(objects(desk, &answer, name)?);
        match answer.get::<String>("nextPageToken").ok().flatten().filter(|token| !token.is_empty()) {
            Some(next) => token = format!("&pageToken={}", escaped(&next)),
            None => break,
        }
    }
    Ok(things)
}

/// All batches, the newest first, and their ids there.
async fn all_batches(desk: &Desk<'_>) -> Result<Vec<(String, Batch)>, Error> {
    let jobs = all(desk, "batchInferenceJobs").await?.into_iter();
    let told = jobs.map(|job| told(desk, job).map(|(id, _, batch)| (id, batch)));
    let mut batches = told.collect::<Result<Vec<_>, _>>()?;
    batches.sort_by_key(|(_, batch)| std::cmp::Reverse(batch.created_at));
    Ok(batches)
}

/// What is known of a file.
pub(super) async fn file(desk: &mut Desk<'_>, id: &str) -> Result<File, Error> {
    match Which::of(desk, id, wire::is_id)? {
        Which::Input(name) => Ok(dataset(desk, id, &name).await?.file),
        Which::Results(name, _) => Ok(results_of(desk, id, &name).await?.0),
    }
}

/// A file of results, the dataset that it is in, and its batch. Fails where there is none.
async fn results_of(desk: &Desk<'_>, id: &str, name: &str) -> Result<(File, String, Batch), Error> {
    let (name, output, batch) = job(desk, name).await.map_err(|error| none(desk, id, error))?;
    let file = batch.results(&name).into_iter().find(|file| file.id == id);
    file.zip(output).map(|(file, output)| (file, output, batch)).ok_or_else(|| desk.no_file(id))
}

/// The results of a batch.
pub(super) async fn content(desk: &mut Desk<'_>, id: &str) -> Result<Got, Error> {
    let Which::Results(name, wanted) = Which::of(desk, id, wire::is_id)? else {
        return Err(invalid("", "the input of a batch can't be read at Fireworks: it is not kept as it came"));
    };
    let (file, output, batch) = results_of(desk, id, &name).await?;
    let asked = errand(desk, Method::GET, &format!("datasets/{output}:getDownloadEndpoint"))?;
    let answer = desk.ask(asked).await.map_err(|error| none(desk, id, error))?;
    let addresses = wire::addresses(&answer).map_err(|malformed| desk.nonsense(malformed))?;
    let files = files(desk)?;
    let sources = addresses.iter().map(|url| files.source(desk.provider, desk.call, url));
    let mut sources = sources.collect::<Result<VecDeque<_>, _>>()?;
    let arriving = match sources.pop_front() {
        None => {
            let why = "has results, and names no files with them".to_owned();
            return Err(fault::ours(desk.provider, Fault::Server, why).into());
        }
        Some(first) => {
            let opened = first.open().await.map_err(|error| fault::of_transport(desk.provider, &error))?;
            joined(opened, sources)
        }
    };
    let reading = Reading {
        filename: file.filename,
        batch: name,
        wanted: wanted.of(&batch),
        endpoint: Endpoint::Chat,
        dialect: desk.provider.spec.dialect,
        model: batch.model.unwrap_or_default(),
        created: batch.ended_at.unwrap_or(batch.created_at),
    };
    Ok(results::stream(desk.provider, arriving, reading, |line| wire::told(&line)))
}

/// Files one after the other, each of which ends a line.
fn joined(first: Inbound, rest: VecDeque<Source>) -> Inbound {
    let made = stream::unfold(Some((first, rest)), |state| async move {
        let (mut arriving, mut rest) = state?;
        match arriving.next().await {
            Some(Ok(chunk)) => Some((Ok::<_, SendError>(chunk), Some((arriving, rest)))),
            Some(Err(error)) => Some((Err(error), None)),
            None => match rest.pop_front()?.open().await {
                Ok(opened) => Some((Ok(Bytes::from_static(b"\n")), Some((opened, rest)))),
                Err(error) => Some((Err(error), None)),
            },
        }
    });
    Inbound::Made(made.boxed())
}

/// Delete a dataset of ours. That of the results of a batch is one: it goes with the answers, or with the failures if there
/// is nothing else.
pub(super) async fn delete(desk: &mut Desk<'_>, id: &str) -> Result<(), Error> {
    let name = match Which::of(desk, id, wire::is_id)? {
        Which::Input(name) => dataset(desk, id, &name).await?.id,
        Which::Results(name, wanted) => {
            let (_, output, batch) = results_of(desk, id, &name).await?;
            if wanted == Wanted::Failures && batch.output_file_id.is_some() {
                let why = "Fireworks keeps the answers and the failures of a batch as one: delete its `output_file_id`, \
                           and this is gone with it";
                return Err(invalid("", why));
            }
            output
        }
    };
    let deleted = desk.open(errand(desk, Method::DELETE, &format!("datasets/{name}"))?).await;
    deleted.map_err(|error| none(desk, id, error.into()))?;
    Ok(())
}

/// Make a job of a dataset, once that is ready. Its id and the dataset for its results are the vendor's to choose.
pub(super) async fn make(desk: &mut Desk<'_>, order: Order) -> Result<Batch, Error> {
    let id = &order.input;
    let Which::Input(name) = Which::of(desk, id, wire::is_id)? else {
        return Err(invalid("input_file_id", "must name a file that was uploaded with the purpose `batch`"));
    };
    let mut patience = Patience::of(desk);
    let dataset = loop {
        let dataset = dataset(desk, id, &name).await?;
        if patience.is_over(desk, &dataset.file).await? {
            break dataset;
        }
    };
    if order.metadata.is_some() {
        desk.lost("metadata")?;
    }
    let input = format!("accounts/{}/datasets/{}", account(desk)?, dataset.id);
    let body = json!({"model": dataset.model, "inputDatasetId": input});
    let answer = desk.ask(post(desk, "batchInferenceJobs", &body)?).await?;
    Ok(told(desk, answer)?.2)
}

/// A part of the batches, the newest first.
pub(super) async fn batches(desk: &mut Desk<'_>, page: &Page) -> Result<(Vec<Batch>, bool), Error> {
    let all = all_batches(desk).await?.into_iter().map(|(_, batch)| batch).collect();
    part(all, page, |batch: &Batch| &batch.id).ok_or_else(|| desk.no_batch(page.after.as_deref().unwrap_or_default()))
}

/// How a batch is doing.
pub(super) async fn batch(desk: &mut Desk<'_>, id: &str) -> Result<Batch, Error> {
    let name = named(desk, id, wire::is_id)?;
    Ok(job(desk, &name).await.map_err(|error| no_batch(desk, id, error))?.2)
}

/// End a batch before its time. There is no other way than to delete the job, so one that has ended stays as it is.
pub(super) async fn cancel(desk: &mut Desk<'_>, id: &str) -> Result<Batch, Error> {
    let name = named(desk, id, wire::is_id)?;
    let (_, _, before) = job(desk, &name).await.map_err(|error| no_batch(desk, id, error))?;
    if before.ended_at.is_some() || matches!(before.status, Status::Cancelling) {
        return Ok(before);
    }
    let asked = desk.open(errand(desk, Method::DELETE, &format!("batchInferenceJobs/{name}"))?).await;
    asked.map_err(|error| no_batch(desk, id, error.into()))?;
    match job(desk, &name).await {
        Ok((_, _, batch)) => Ok(batch),
        // it was quick
        Err(error) if super::is_missing(&error) => {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() as i64;
            Ok(Batch { status: Status::Cancelled, ended_at: Some(now), ..before })
        }
        Err(error) => Err(error),
    }
}

/// A job by its id: that id, the dataset with its results, and itself as a batch.
async fn job(desk: &Desk<'_>, name: &str) -> Result<(String, Option<String>, Batch), Error> {
    told(desk, desk.ask(errand(desk, Method::GET, &format!("batchInferenceJobs/{name}"))?).await?)
}

fn told(desk: &Desk<'_>, job: Object) -> Result<(String, Option<String>, Batch), Error> {
    let (id, output, batch) = wire::batch(job).map_err(|malformed| desk.nonsense(malformed))?;
    Ok((id, output, batch))
}

/// A dataset of ours by its id. Fails as if there were none on any other.
async fn dataset(desk: &Desk<'_>, id: &str, name: &str) -> Result<Dataset, Error> {
    let asked = desk.ask(errand(desk, Method::GET, &format!("datasets/{name}"))?).await;
    let answer = asked.map_err(|error| none(desk, id, error))?;
    let dataset = wire::dataset(&answer).map_err(|malformed| desk.nonsense(malformed))?;
    dataset.ok_or_else(|| desk.no_file(id))
}
