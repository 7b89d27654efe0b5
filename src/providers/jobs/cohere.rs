//! Cohere: batches over datasets. What they are made of is looked at there before a batch can be made of it; results come in
//! Avro, from a host that gets no credential.

use std::collections::VecDeque;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::BytesMut;
use futures_util::stream::{self, StreamExt};
use http::Method;
use serde_json::json;

use super::datasets::{PAGES, Patience, Which, form, named, no_batch, none, objects, part};
use super::errand::Errand;
use super::results::{self, Reading, Wanted};
use super::upload::Input;
use super::{Batch, Desk, File, Order, Page, escaped, invalid};
use crate::call::{Error, Fault};
use crate::providers::client::SendError;
use crate::providers::fault;
use crate::providers::inbound::Inbound;
use crate::providers::predictions::files::Source;
use crate::providers::receive::Got;
use crate::wire::jobs::Standing;
use crate::wire::jobs::avro::Reader;
use crate::wire::jobs::cohere::{self as wire, Dataset};
use crate::wire::jobs::id::{Kind, Name};
use crate::wire::{Malformed, Object};

/// Datasets and batches of a page.
const SIZE: usize = 1000;

/// Make a dataset of an input.
pub(super) async fn keep_input(desk: &mut Desk<'_>, input: Input) -> Result<File, Error> {
    let (kind, body) = form(desk, &input, "data")?;
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
        files.extend(all.iter().flat_map(|(id, batch)| batch.results(id)));
    }
    files.sort_by_key(|file| std::cmp::Reverse(file.created_at));
    part(files, page, |file| &file.id).ok_or_else(|| desk.no_file(page.after.as_deref().unwrap_or_default()))
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
            batches.push((id, batch));
        }
        match answer.get::<String>("next_page_token").ok().flatten().filter(|token| !token.is_empty()) {
            Some(next) => token = format!("&page_token={}", escaped(&next)),
            None => break,
        }
    }
    batches.sort_by_key(|(_, batch)| std::cmp::Reverse(batch.created_at));
    Ok(batches)
}

/// What is known of a file.
pub(super) async fn file(desk: &mut Desk<'_>, id: &str) -> Result<File, Error> {
    match Which::of(desk, id, wire::is_id)? {
        Which::Input(name) => {
            let dataset = dataset(desk, &name).await.map_err(|error| none(desk, id, error))?;
            Some(dataset).filter(|dataset| dataset.endpoint.is_some()).map(|dataset| dataset.file)
        }
        Which::Results(name, _) => {
            let (name, _, batch) = job(desk, &name).await.map_err(|error| none(desk, id, error))?;
            batch.results(&name).into_iter().find(|file| file.id == id)
        }
    }
    .ok_or_else(|| desk.no_file(id))
}

/// The results of a batch.
pub(super) async fn content(desk: &mut Desk<'_>, id: &str) -> Result<Got, Error> {
    let Which::Results(name, wanted) = Which::of(desk, id, wire::is_id)? else {
        return Err(invalid("", "the input of a batch can't be read at Cohere: it is not kept as it came"));
    };
    let (name, output, batch) = job(desk, &name).await.map_err(|error| none(desk, id, error))?;
    let file = batch.results(&name).into_iter().find(|file| file.id == id);
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
    let name = match Which::of(desk, id, wire::is_id)? {
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
    let Which::Input(name) = Which::of(desk, id, wire::is_id)? else {
        return Err(invalid("input_file_id", "must name a file that was uploaded with the purpose `batch`"));
    };
    let mut patience = Patience::of(desk);
    let dataset = loop {
        let dataset = dataset(desk, &name).await.map_err(|error| none(desk, id, error))?;
        if patience.is_over(desk, &dataset.file).await? {
            break dataset;
        }
    };
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

/// End a batch before its time.
pub(super) async fn cancel(desk: &mut Desk<'_>, id: &str) -> Result<Batch, Error> {
    let name = named(desk, id, wire::is_id)?;
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
    Ok((id, output, batch))
}

/// A dataset by its id.
async fn dataset(desk: &Desk<'_>, name: &str) -> Result<Dataset, Error> {
    let answer = desk.ask(Errand::new(Method::GET, format!("/v1/datasets/{name}"))).await?;
    let read = || wire::dataset(&answer.object("dataset")?.ok_or_else(|| Malformed::new("it has no `dataset`"))?);
    read().map_err(|malformed| desk.nonsense(malformed))
}
