//! Cohere: batches over datasets. What they are made of is looked at there before a batch can be made of it; results come in
//! Avro, from a host that gets no credential.

use std::collections::VecDeque;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::BytesMut;
use futures_util::stream::{self, StreamExt};
use http::Method;
use http::header::HeaderValue;
use serde_json::json;

use super::errand::Errand;
use super::results::{self, Reading, Wanted};
use super::upload::Input;
use super::{Batch, Desk, File, Order, Page, escaped, invalid, is_missing};
use crate::call::{Error, Fault};
use crate::providers::auth::sigv4::hex;
use crate::providers::client::SendError;
use crate::providers::inbound::Inbound;
use crate::providers::predictions::files::Source;
use crate::providers::receive::Got;
use crate::providers::{fault, stored};
use crate::wire::jobs::Standing;
use crate::wire::jobs::avro::Reader;
use crate::wire::jobs::cohere::{self as wire, Dataset};
use crate::wire::jobs::id::{Kind, Name};
use crate::wire::multipart::Piece;
use crate::wire::{Malformed, Object};

/// Datasets and batches of a page.
const SIZE: usize = 1000;

/// So many pages are looked at, at most.
const PAGES: usize = 20;

/// For so long a batch waits for its input to be looked at.
const PATIENCE: Duration = Duration::from_secs(60);

/// The first pause of that waiting; each other one is twice as long, up to the longest.
const PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(4);

/// Make a dataset of an input.
pub(super) async fn keep_input(desk: &mut Desk<'_>, input: Input) -> Result<File, Error> {
    let mut noise = [0; 16];
    getrandom::fill(&mut noise).map_err(|_| fault::ours(desk.provider, Fault::Server, "no randomness".to_owned()))?;
    let boundary = format!("lines-{}", hex(&noise));
    let begin = format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"data\"; filename=\"batch.jsonl\"\r\n\
         Content-Type: application/jsonl\r\n\r\n"
    );
    let end = format!("\r\n--{boundary}--\r\n");
    let kept = Piece::Kept(0..input.stored.length());
    let body = stored::outgoing(&input.stored, vec![Piece::New(begin.into()), kept, Piece::New(end.into())]);
    let kind = HeaderValue::try_from(format!("multipart/form-data; boundary={boundary}"));
    let kind = kind.map_err(|_| invalid("file", "can't be sent"))?;
    let (name, rows) = (wire::dataset_name(&input.model, &input.filename), wire::dataset_type(input.endpoint));
    // the model is what a caller has written
    let path = format!("/v1/datasets?name={}&type={rows}", escaped(&name));
    let errand = Errand::new(Method::POST, path).sends(kind, body);
    let answer = desk.ask(errand).await?;
    let id = answer.get::<String>("id").ok().flatten().filter(|id| wire::is_id(id));
    let id = id.ok_or_else(|| desk.nonsense(Malformed::new("the dataset has no `id`")))?;
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

/// The inputs and the results, the newest first.
pub(super) async fn files(desk: &mut Desk<'_>, page: &Page) -> Result<(Vec<File>, bool), Error> {
    let wants = |purpose: &str| page.purpose.as_deref().is_none_or(|wanted| wanted == purpose);
    let mut files = Vec::new();
    if wants("batch") {
        files.extend(inputs(desk).await?);
    }
    if wants("batch_output") {
        let all = all_batches(desk).await?;
        files.extend(all.iter().flat_map(|(id, batch)| wire::results(batch, id)));
    }
    files.sort_by_key(|file| std::cmp::Reverse(file.created_at));
    part(files, page, |file| &file.id).ok_or_else(|| desk.no_file(page.after.as_deref().unwrap_or_default()))
}

/// The part of a list that is wanted, and whether there is more behind it; `None` if what it begins behind is not there.
fn part<T>(mut all: Vec<T>, page: &Page, id: impl Fn(&T) -> &String) -> Option<(Vec<T>, bool)> {
    if let Some(after) = &page.after {
        let at = all.iter().position(|item| id(item) == after)?;
        all.drain(..=at);
    }
    let more = all.len() > page.limit;
    all.truncate(page.limit);
    Some((all, more))
}

/// The datasets that are inputs of batches.
async fn inputs(desk: &Desk<'_>) -> Result<Vec<File>, Error> {
    let (mut files, mut seen) = (Vec::<File>::new(), 0);
    for _ in 0..PAGES {
        let answer = desk.ask(Errand::new(Method::GET, format!("/v1/datasets?limit={SIZE}&offset={seen}"))).await?;
        let datasets = objects(desk, &answer, "datasets")?;
        if datasets.is_empty() {
            break;
        }
        seen += datasets.len();
        for dataset in &datasets {
            let dataset = wire::dataset(dataset).map_err(|malformed| desk.nonsense(malformed))?;
            let known = files.iter().any(|file| file.id == dataset.file.id);
            files.extend(Some(dataset.file).filter(|_| dataset.endpoint.is_some() && !known));
        }
    }
    Ok(files)
}

/// All batches, the newest first, and their ids there.
async fn all_batches(desk: &Desk<'_>) -> Result<Vec<(String, Batch)>, Error> {
    let (mut batches, mut token) = (Vec::new(), String::new());
    for _ in 0..PAGES {
        let answer = desk.ask(Errand::new(Method::GET, format!("/v2/batches?page_size={SIZE}{token}"))).await?;
        for job in objects(desk, &answer, "batches")? {
            let (id, _, batch) = wire::batch(job).map_err(|malformed| desk.nonsense(malformed))?;
            batches.push((id, desk.redacted(batch)));
        }
        match answer.get::<String>("next_page_token").ok().flatten().filter(|token| !token.is_empty()) {
            Some(next) => token = format!("&page_token={}", escaped(&next)),
            None => break,
        }
    }
    batches.sort_by_key(|(_, batch)| std::cmp::Reverse(batch.created_at));
    Ok(batches)
}

/// The objects of a list, which may be missing where there are none.
fn objects(desk: &Desk<'_>, answer: &Object, name: &str) -> Result<Vec<Object>, Error> {
    match answer.raw(name) {
        None | Some(b"null") => Ok(Vec::new()),
        Some(_) => answer.objects(name).map_err(|malformed| desk.nonsense(malformed)),
    }
}

/// What is known of a file.
pub(super) async fn file(desk: &mut Desk<'_>, id: &str) -> Result<File, Error> {
    match Which::of(desk, id)? {
        Which::Input(name) => {
            let dataset = dataset(desk, &name).await.map_err(|error| none(desk, id, error))?;
            Some(dataset).filter(|dataset| dataset.endpoint.is_some()).map(|dataset| dataset.file)
        }
        Which::Results(name, _) => {
            let (name, _, batch) = job(desk, &name).await.map_err(|error| none(desk, id, error))?;
            wire::results(&batch, &name).into_iter().find(|file| file.id == id)
        }
    }
    .ok_or_else(|| desk.no_file(id))
}

/// The results of a batch.
pub(super) async fn content(desk: &mut Desk<'_>, id: &str) -> Result<Got, Error> {
    let Which::Results(name, wanted) = Which::of(desk, id)? else {
        return Err(invalid("", "the input of a batch can't be read at Cohere: it is not kept as it came"));
    };
    let (name, output, batch) = job(desk, &name).await.map_err(|error| none(desk, id, error))?;
    let file = wire::results(&batch, &name).into_iter().find(|file| file.id == id);
    let (Some(file), Some(output)) = (file, output) else { return Err(desk.no_file(id)) };
    let dataset = dataset(desk, &output).await.map_err(|error| none(desk, id, error))?;
    let no_hosts = || fault::ours(desk.provider, Fault::Server, "names files, and has no hosts for them".to_owned());
    let files = desk.provider.files.as_deref().ok_or_else(no_hosts)?;
    let sources = dataset.parts.iter().map(|url| files.source(desk.provider, desk.call, url));
    let mut sources = sources.collect::<Result<VecDeque<_>, _>>()?;
    let arriving = match sources.pop_front() {
        None if batch.counts.completed > 0 || batch.counts.failed > 0 => {
            let why = "has counted results, and names no files with them".to_owned();
            return Err(fault::ours(desk.provider, Fault::Server, why).into());
        }
        None => Inbound::Local(VecDeque::new()),
        Some(first) => {
            let opened = first.open().await.map_err(|error| fault::of_transport(desk.provider, &error))?;
            lines(opened, sources, desk.provider.target.as_ref())
        }
    };
    let reading = Reading {
        filename: file.filename,
        batch: name,
        wanted: wanted.of(&batch),
        endpoint: batch.endpoint,
        dialect: desk.provider.spec.dialect,
        model: batch.model.unwrap_or_default(),
        created: batch.ended_at.unwrap_or(batch.created_at),
    };
    Ok(results::stream(desk.provider, arriving, reading, |line| wire::told(&line)))
}

/// The rows of files in Avro, as lines: each file is asked for when those before it have been read.
fn lines(first: Inbound, rest: VecDeque<Source>, host: &str) -> Inbound {
    let host: std::sync::Arc<str> = host.into();
    let unread = move |malformed: &Malformed| {
        let cause = malformed.why().to_owned().into();
        SendError::Protocol { host: host.clone(), cause }
    };
    let state = Some((first, Reader::default(), rest, unread));
    let made = stream::unfold(state, |state| async move {
        let (mut arriving, mut reader, mut rest, unread) = state?;
        loop {
            let mut out = BytesMut::new();
            match arriving.next().await {
                Some(Ok(chunk)) => {
                    if let Err(malformed) = reader.push(&chunk, &mut out) {
                        return Some((Err(unread(&malformed)), None));
                    }
                }
                Some(Err(error)) => return Some((Err(error), None)),
                None => {
                    if let Err(malformed) = reader.end() {
                        return Some((Err(unread(&malformed)), None));
                    }
                    let source = rest.pop_front()?;
                    match source.open().await {
                        Ok(opened) => (arriving, reader) = (opened, Reader::default()),
                        Err(error) => return Some((Err(error), None)),
                    }
                    out.extend_from_slice(b"\n");
                }
            }
            if !out.is_empty() {
                return Some((Ok(out.freeze()), Some((arriving, reader, rest, unread))));
            }
        }
    });
    Inbound::Made(made.boxed())
}

/// Delete a dataset. That of the results of a batch is one: it goes with the answers, or with the failures if there is
/// nothing else.
pub(super) async fn delete(desk: &mut Desk<'_>, id: &str) -> Result<(), Error> {
    let name = match Which::of(desk, id)? {
        Which::Input(name) => {
            // a dataset of the account that is no input of a batch is not one of these files
            let dataset = dataset(desk, &name).await.map_err(|error| none(desk, id, error))?;
            if dataset.endpoint.is_none() {
                return Err(desk.no_file(id));
            }
            name
        }
        Which::Results(name, wanted) => {
            let (_, output, batch) = job(desk, &name).await.map_err(|error| none(desk, id, error))?;
            if wanted == Wanted::Failures && batch.output_file_id.is_some() {
                let message = "Cohere keeps the answers and the failures of a batch as one: delete its `output_file_id`, \
                               and this is gone with it";
                return Err(invalid("", message));
            }
            output.ok_or_else(|| desk.no_file(id))?
        }
    };
    let deleted = desk.open(Errand::new(Method::DELETE, format!("/v1/datasets/{name}"))).await;
    deleted.map_err(|error| none(desk, id, error.into()))?;
    Ok(())
}

/// Make a batch of a dataset, once that has been looked at.
pub(super) async fn make(desk: &mut Desk<'_>, order: Order) -> Result<Batch, Error> {
    let id = &order.input;
    let Which::Input(name) = Which::of(desk, id)? else {
        return Err(invalid("input_file_id", "must name a file that was uploaded with the purpose `batch`"));
    };
    let dataset = validated(desk, id, &name).await?;
    let (Some(endpoint), Some(model)) = (dataset.endpoint, dataset.model) else {
        return Err(invalid("input_file_id", "must name a file that was uploaded here with the purpose `batch`"));
    };
    if endpoint != order.endpoint {
        let path = endpoint.path();
        return Err(invalid("endpoint", format!("must be {path}, as the lines of the input have it")));
    }
    if order.metadata.is_some() {
        desk.lost("metadata")?;
    }
    let body = json!({"name": "ferrogw", "input_dataset_id": dataset.id, "model": model}).to_string();
    let answer = desk.ask(Errand::new(Method::POST, "/v2/batches").json(bytes::Bytes::from(body))).await?;
    Ok(told(desk, &answer)?.2)
}

/// A dataset that has been looked at. Waits for that, for a while; fails if it is not good, or if that takes long.
async fn validated(desk: &Desk<'_>, id: &str, name: &str) -> Result<Dataset, Error> {
    let waiting = async {
        let mut pause = PAUSE;
        loop {
            let dataset = dataset(desk, name).await.map_err(|error| none(desk, id, error))?;
            match &dataset.file.status {
                Standing::Processed => return Ok(dataset),
                Standing::Error(why) => {
                    let why = desk.provider.redactor.error_text(why).into_owned();
                    return Err(invalid("input_file_id", format!("Cohere does not take this file: {why}")));
                }
                Standing::Uploaded => tokio::time::sleep(pause).await,
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    };
    let late = |_| {
        let why = "Cohere is still looking at this file: make the batch once the file's `status` is `processed`";
        invalid("input_file_id", why)
    };
    tokio::time::timeout(PATIENCE.min(desk.provider.total), waiting).await.map_err(late)?
}

/// A part of the batches, the newest first.
pub(super) async fn batches(desk: &mut Desk<'_>, page: &Page) -> Result<(Vec<Batch>, bool), Error> {
    let all = all_batches(desk).await?.into_iter().map(|(_, batch)| batch).collect();
    part(all, page, |batch: &Batch| &batch.id).ok_or_else(|| desk.no_batch(page.after.as_deref().unwrap_or_default()))
}

/// How a batch is doing.
pub(super) async fn batch(desk: &mut Desk<'_>, id: &str) -> Result<Batch, Error> {
    let name = named(desk, id)?;
    Ok(job(desk, &name).await.map_err(|error| no_batch(desk, id, error))?.2)
}

/// End a batch before its time.
pub(super) async fn cancel(desk: &mut Desk<'_>, id: &str) -> Result<Batch, Error> {
    let name = named(desk, id)?;
    let asked = desk.open(Errand::new(Method::POST, format!("/v2/batches/{name}:cancel"))).await;
    asked.map_err(|error| no_batch(desk, id, error.into()))?;
    Ok(job(desk, &name).await?.2)
}

/// A batch by its id there: that id, the dataset with its results, and itself.
async fn job(desk: &Desk<'_>, name: &str) -> Result<(String, Option<String>, Batch), Error> {
    let answer = desk.ask(Errand::new(Method::GET, format!("/v2/batches/{name}"))).await?;
    told(desk, &answer)
}

fn told(desk: &Desk<'_>, answer: &Object) -> Result<(String, Option<String>, Batch), Error> {
    let read = || wire::batch(answer.object("batch")?.ok_or_else(|| Malformed::new("it has no `batch`"))?);
    let (id, output, batch) = read().map_err(|malformed| desk.nonsense(malformed))?;
    Ok((id, output, desk.redacted(batch)))
}

/// A dataset by its id.
async fn dataset(desk: &Desk<'_>, name: &str) -> Result<Dataset, Error> {
    let answer = desk.ask(Errand::new(Method::GET, format!("/v1/datasets/{name}"))).await?;
    let read = || wire::dataset(&answer.object("dataset")?.ok_or_else(|| Malformed::new("it has no `dataset`"))?);
    read().map_err(|malformed| desk.nonsense(malformed))
}

/// The id of a batch there.
fn named(desk: &Desk<'_>, id: &str) -> Result<String, Error> {
    let name = Name::of(id, Kind::Batch).map(|[name]| name).filter(|name| wire::is_id(name));
    name.ok_or_else(|| desk.no_batch(id))
}

/// What is not there, in OpenAI's words.
fn none(desk: &Desk<'_>, id: &str, error: Error) -> Error {
    if is_missing(&error) { desk.no_file(id) } else { error }
}

fn no_batch(desk: &Desk<'_>, id: &str, error: Error) -> Error {
    if is_missing(&error) { desk.no_batch(id) } else { error }
}

/// What a file's id names.
enum Which {
    /// A dataset.
    Input(String),
    /// The results of a batch.
    Results(String, Wanted),
}

impl Which {
    fn of(desk: &Desk<'_>, id: &str) -> Result<Self, Error> {
        let Some(Name { kind, parts }) = Name::read(id) else { return Err(desk.no_file(id)) };
        match (kind, &parts[..]) {
            (Kind::Input, [name]) if wire::is_id(name) => Ok(Which::Input(name.clone())),
            (Kind::Output, [name]) if wire::is_id(name) => Ok(Which::Results(name.clone(), Wanted::Answers)),
            (Kind::Errors, [name]) if wire::is_id(name) => Ok(Which::Results(name.clone(), Wanted::Failures)),
            _ => Err(desk.no_file(id)),
        }
    }
}
