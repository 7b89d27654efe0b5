//! Files and batches at the Gemini API: what is uploaded goes to its Files API, where batches find it.

use bytes::Bytes;
use http::header::{HeaderName, HeaderValue};
use http::{Method, Uri};

use super::errand::Errand;
use super::google::listed;
use super::results::{self, Reading, Wanted};
use super::upload::{Input, Sheet};
use super::{Desk, Order, Page, invalid, is_missing};
use crate::call::{Error, Fault};
use crate::providers::client::Outgoing;
use crate::providers::fault;
use crate::providers::receive::Got;
use crate::providers::stored;
use crate::wire::jobs::gemini::{self, Label};
use crate::wire::jobs::google::name_of;
use crate::wire::jobs::id::{Kind, Name};
use crate::wire::jobs::item::Endpoint;
use crate::wire::jobs::{Batch, File, Status};
use crate::wire::multipart::Piece;
use crate::wire::{Dialect, Object};

const PROTOCOL: HeaderName = HeaderName::from_static("x-goog-upload-protocol");
const COMMAND: HeaderName = HeaderName::from_static("x-goog-upload-command");
const OFFSET: HeaderName = HeaderName::from_static("x-goog-upload-offset");
const LENGTH: HeaderName = HeaderName::from_static("x-goog-upload-header-content-length");
const KIND: HeaderName = HeaderName::from_static("x-goog-upload-header-content-type");

/// Names the address that takes what is uploaded.
const ADDRESS: &str = "x-goog-upload-url";

/// Keep the input of a batch.
pub async fn keep_input(desk: &mut Desk<'_>, input: Input) -> Result<File, Error> {
    let provider = desk.provider;
    let op = input.endpoint.op();
    let own = (provider.spec.model)(&input.model, op, &provider.settings);
    let model = own.unwrap_or(input.model);
    if !gemini::is_model(&model) {
        return Err(invalid("file", format!("`{model}` is no model of the Gemini API")));
    }
    let length = input.stored.length();
    let body = stored::outgoing(&input.stored, vec![Piece::Kept(0..length)]);
    let label = Label { purpose: "batch", model: Some(&model), filename: &input.filename };
    upload(desk, &label, gemini::CONTENT_TYPE, (length, body)).await
}

/// Keep a file that chats name.
pub async fn keep_file(desk: &mut Desk<'_>, sheet: Sheet<'_>) -> Result<File, Error> {
    if !gemini::PURPOSES.contains(&sheet.purpose) {
        let known = gemini::PURPOSES.join(", ");
        return Err(invalid(
            "purpose",
            format!("the Gemini API keeps files for chats and batches: it must be one of {known}"),
        ));
    }
    let kind = gemini::kind(sheet.kind, sheet.filename);
    let length = sheet.content.end - sheet.content.start;
    let body = stored::outgoing(&sheet.upload.stored, vec![Piece::Kept(sheet.content)]);
    let label = Label { purpose: sheet.purpose, model: None, filename: sheet.filename };
    upload(desk, &label, &kind, (length, body)).await
}

/// Upload a file in the two steps of <https://ai.google.dev/gemini-api/docs/files>: what it is, then what is in it.
async fn upload(
    desk: &Desk<'_>,
    label: &Label<'_>,
    kind: &str,
    (length, body): (u64, Outgoing),
) -> Result<File, Error> {
    let value =
        |text: &str| HeaderValue::from_str(text).map_err(|_| invalid("file", "has a content type that is none"));
    let root: Uri = desk.provider.place.as_ref().map_or("", |place| &place.base).parse().unwrap_or_default();
    // beside the API's own path: /v1beta has its uploads at /upload/v1beta
    let (before, version) = root.path().trim_end_matches('/').rsplit_once('/').unwrap_or(("", ""));
    let begins = Errand::new(Method::POST, format!("/{before}/upload/{version}/files"))
        .json(gemini::begin(&label.told()))
        .with(PROTOCOL, HeaderValue::from_static("resumable"))
        .with(COMMAND, HeaderValue::from_static("start"))
        .with(LENGTH, HeaderValue::from(length))
        .with(KIND, value(kind)?);
    let begun = desk.open(begins).await?;
    let address = begun.fields.get(ADDRESS).and_then(|url| url.parse::<Uri>().ok());
    // whatever host is named: what it is asked at is the provider's own, with the credential
    let path = address.as_ref().and_then(Uri::path_and_query).map(ToString::to_string);
    let nowhere = || fault::ours(desk.provider, Fault::Server, "does not say where to upload to".to_owned());
    let path = path.filter(|path| path.starts_with('/')).ok_or_else(nowhere)?;
    let sends = Errand::new(Method::POST, format!("/{path}"))
        .sends(value(kind)?, body)
        .with(OFFSET, HeaderValue::from(0))
        .with(COMMAND, HeaderValue::from_static("upload, finalize"));
    let answer = desk.ask(sends).await?;
    let told = answer.object("file").map_err(|malformed| desk.nonsense(malformed))?.unwrap_or(answer);
    gemini::file(&told).map_err(|malformed| desk.nonsense(malformed))
}

/// A part of the files, and whether there are more.
pub async fn files(desk: &Desk<'_>, page: &Page) -> Result<(Vec<File>, bool), Error> {
    let wanted = |file: &File| page.purpose.as_deref().is_none_or(|purpose| purpose == file.purpose);
    let read = |item: Object| gemini::file(&item).ok().filter(wanted).into_iter().collect();
    listed(desk, ("/files", "files"), page, read, |file| &file.id).await
}

/// The name of a file at the vendor, and what kind of thing it is.
fn named(desk: &Desk<'_>, id: &str) -> Result<(Kind, String), Error> {
    let name = Name::read(id).filter(|name| name.kind != Kind::Batch);
    let found = name.and_then(|name| Some((name.kind, name.parts.into_iter().next()?)));
    found.filter(|(_, name)| gemini::is_file(name)).ok_or_else(|| desk.no_file(id))
}

/// What is known of a file.
pub async fn file(desk: &Desk<'_>, id: &str) -> Result<File, Error> {
    let (kind, name) = named(desk, id)?;
    let told = desk.ask(Errand::new(Method::GET, format!("/{name}"))).await?;
    let file = gemini::file(&told).map_err(|malformed| desk.nonsense(malformed))?;
    Ok(match kind {
        Kind::Output | Kind::Errors => {
            File { id: id.to_owned(), filename: filename(&name, kind), purpose: "batch_output".to_owned(), ..file }
        }
        _ => File { id: id.to_owned(), ..file },
    })
}

/// What results are called.
fn filename(name: &str, kind: Kind) -> String {
    let what = if kind == Kind::Errors { "errors" } else { "output" };
    format!("{}_{what}.jsonl", name.trim_start_matches("files/"))
}

/// What is in the results of a batch. Fails for what was uploaded, which nobody gets back there.
pub async fn content(desk: &Desk<'_>, id: &str) -> Result<Got, Error> {
    let (kind, name) = named(desk, id)?;
    let wanted = match kind {
        Kind::Output => Wanted::Answers,
        Kind::Errors => Wanted::Failures,
        _ => {
            return Err(invalid(
                "file_id",
                "the Gemini API gives back no files that were uploaded, results of batches alone",
            ));
        }
    };
    // results are called as their batch is, which knows what was asked for
    let batch = batch_of(desk, &name).await?;
    let (endpoint, model, created) = match &batch {
        Some(batch) => (batch.endpoint, batch.model.clone(), batch.ended_at.unwrap_or(batch.created_at)),
        None => (Endpoint::Chat, None, 0),
    };
    let native = match desk.provider.spec.dialect {
        Dialect::Native(native) => native,
        Dialect::OpenAi => return Err(desk.no_file(id)),
    };
    let reading = Reading {
        batch: name.clone(),
        wanted: batch.as_ref().map_or(wanted, |batch| wanted.of(batch)),
        endpoint,
        dialect: Dialect::Native(native),
        model: model.unwrap_or_default(),
        created,
        filename: filename(&name, kind),
    };
    let answer = desk.open(Errand::new(Method::GET, format!("/{name}:download?alt=media"))).await?;
    Ok(results::stream(desk.provider, answer.body, reading, |line| gemini::told(&line)))
}

/// Delete a file. The results of a batch are one thing: they go with its answers, or with its failures if there is nothing
/// else.
pub async fn delete(desk: &Desk<'_>, id: &str) -> Result<(), Error> {
    let (kind, name) = named(desk, id)?;
    if kind == Kind::Errors && batch_of(desk, &name).await?.is_some_and(|batch| batch.output_file_id.is_some()) {
        return Err(invalid("file_id", ONE));
    }
    desk.open(Errand::new(Method::DELETE, format!("/{name}"))).await?;
    Ok(())
}

/// Make a batch of an input.
pub async fn make(desk: &mut Desk<'_>, order: Order) -> Result<Batch, Error> {
    let input = Name::of::<2>(&order.input, Kind::Input);
    let input = input.filter(|[name, model]| gemini::is_file(name) && gemini::is_model(model));
    let [file, model] = input.ok_or_else(|| desk.no_file(&order.input))?;
    let name = match &order.metadata {
        None => None,
        Some(metadata) => {
            let name = name_of(metadata, gemini::LONGEST_NAME);
            if name.is_none() {
                desk.lost("metadata")?;
            }
            name
        }
    };
    let verb = match order.endpoint {
        Endpoint::Chat => "batchGenerateContent",
        Endpoint::Embeddings => "asyncBatchEmbedContent",
    };
    let body: Bytes = gemini::make(&file, name.as_deref().unwrap_or(gemini::UNNAMED));
    let made = desk.ask(Errand::new(Method::POST, format!("/models/{model}:{verb}")).json(body)).await?;
    let batch = gemini::batch(&made).map_err(|malformed| desk.nonsense(malformed))?;
    // what the vendor does not repeat is known here
    Ok(Batch { endpoint: order.endpoint, input_file_id: order.input, model: Some(model), ..batch })
}

/// A part of the batches, and whether there are more.
pub async fn batches(desk: &Desk<'_>, page: &Page) -> Result<(Vec<Batch>, bool), Error> {
    let read = |item: Object| gemini::batch(&item).into_iter().collect();
    listed(desk, ("/batches", "operations"), page, read, |batch: &Batch| &batch.id).await
}

/// How a batch is doing.
pub async fn batch(desk: &Desk<'_>, id: &str) -> Result<Batch, Error> {
    told(desk, &batch_name(desk, id)?).await
}

fn batch_name(desk: &Desk<'_>, id: &str) -> Result<String, Error> {
    let name = Name::of::<1>(id, Kind::Batch).filter(|[name]| gemini::is_batch(name));
    name.map(|[name]| name).ok_or_else(|| desk.no_batch(id))
}

async fn told(desk: &Desk<'_>, name: &str) -> Result<Batch, Error> {
    let operation = desk.ask(Errand::new(Method::GET, format!("/{name}"))).await?;
    let batch = gemini::batch(&operation).map_err(|malformed| desk.nonsense(malformed))?;
    Ok(batch)
}

/// The batch whose results are in this file; `None` if there is none any more. Fails where nobody can tell.
async fn batch_of(desk: &Desk<'_>, file: &str) -> Result<Option<Batch>, Error> {
    let Some(own) = file.strip_prefix("files/batch-") else { return Ok(None) };
    match told(desk, &format!("batches/{own}")).await {
        Err(error) if is_missing(&error) => Ok(None),
        told => told.map(Some),
    }
}

/// End a batch before its time. One that goes on still is being cancelled.
pub async fn cancel(desk: &Desk<'_>, id: &str) -> Result<Batch, Error> {
    let name = batch_name(desk, id)?;
    let empty = Bytes::from_static(b"{}");
    desk.open(Errand::new(Method::POST, format!("/{name}:cancel")).json(empty)).await?;
    Ok(cancelling(told(desk, &name).await?))
}

/// Why failures alone can't be deleted.
pub(super) const ONE: &str =
    "the answers and the failures of a batch are kept as one: delete its `output_file_id`, and this is gone with it";

/// A batch whose end was asked for.
pub(super) fn cancelling(batch: Batch) -> Batch {
    match batch.status {
        Status::Validating | Status::InProgress => Batch { status: Status::Cancelling, ..batch },
        _ => batch,
    }
}
