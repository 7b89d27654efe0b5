//! Anthropic: batches over its Message Batches, files over its Files API. It has no place for the input of a batch, since
//! what is uploaded there can't be read again: that is held here until its batch is made.

mod list;

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use http::Method;
use http::header::{ACCEPT, HeaderName, HeaderValue};

pub(super) use self::list::files;
use super::errand::Errand;
use super::held::{self, Found};
use super::results::{self, Reading, Wanted};
use super::upload::{BETA, Input, Sheet};
use super::{Batch, Desk, File, Order, Page, invalid};
use crate::call::{Error, Fault, Head};
use crate::providers::auth::sigv4::hex;
use crate::providers::receive::Got;
use crate::providers::stream::Long;
use crate::providers::{fault, stored, surface};
use crate::wire::Object;
use crate::wire::jobs::anthropic as wire;
use crate::wire::jobs::id::{Kind, Name};
use crate::wire::jobs::item::Endpoint;
use crate::wire::multipart::Piece;

/// Hold an input: there is nobody to be asked.
pub(super) fn keep_input(desk: &mut Desk<'_>, input: Input) -> Result<File, Error> {
    let mut noise = [0; 16];
    getrandom::fill(&mut noise).map_err(|_| fault::ours(desk.provider, Fault::Server, "no randomness".to_owned()))?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() as i64;
    let file = File {
        id: Name::new(Kind::Input, ["held", &hex(&noise)]).encode(),
        bytes: input.bytes,
        created_at: now,
        expires_at: Some(now + held::LIFE.as_secs() as i64),
        filename: input.filename.clone(),
        purpose: "batch".to_owned(),
        ..File::default()
    };
    let held = &desk.office()?.held;
    if held.keep(file.clone(), input, Instant::now()).is_err() {
        let message =
            "the gateway holds as many inputs of batches as it may: make their batches or delete them, or wait";
        return Err(invalid("file", message));
    }
    let held = Arc::downgrade(held);
    tokio::spawn(async move {
        // a moment more, so that its time is over then
        tokio::time::sleep(held::LIFE + Duration::from_secs(1)).await;
        held.upgrade().iter().for_each(|held| held.sweep(Instant::now()));
    });
    Ok(file)
}

/// Keep any other file at its Files API, which knows no purposes.
pub(super) async fn keep_file(desk: &mut Desk<'_>, sheet: Sheet<'_>) -> Result<File, Error> {
    if !matches!(sheet.purpose, "user_data" | "assistants" | "vision") {
        desk.lost("purpose")?;
    }
    let mut draft = sheet.form.draft();
    for part in sheet.form.parts().iter().filter(|part| part.name != "file") {
        draft.remove(&part.name);
    }
    let kind = sheet.upload.content_type.clone().unwrap_or(HeaderValue::from_static("multipart/form-data"));
    let body = stored::outgoing(&sheet.upload.stored, draft.encode());
    let errand = Errand::new(Method::POST, "/files").sends(kind, body);
    let kept = desk.ask(files_api(desk, errand)).await?;
    wire::file(kept).map_err(|malformed| desk.nonsense(malformed))
}

/// What is known of a file.
pub(super) async fn file(desk: &mut Desk<'_>, id: &str) -> Result<File, Error> {
    match Which::of(desk, id)? {
        Which::Input => desk.office()?.held.file(id, Instant::now()).ok_or_else(|| desk.no_file(id)),
        Which::Kept => {
            let kept = desk.ask(files_api(desk, Errand::new(Method::GET, format!("/files/{id}")))).await?;
            wire::file(kept).map_err(|malformed| desk.nonsense(malformed))
        }
        Which::Results(name, _) => {
            let (name, batch) = job(desk, Errand::new(Method::GET, format!("/messages/batches/{name}"))).await?;
            let file = wire::results(&batch, &name).into_iter().find(|file| file.id == id);
            file.ok_or_else(|| desk.no_file(id))
        }
    }
}

/// What is in a file.
pub(super) async fn content(desk: &mut Desk<'_>, id: &str) -> Result<Got, Error> {
    let (name, wanted) = match Which::of(desk, id)? {
        Which::Input => {
            return Err(invalid("", "the input of a batch can't be read at Anthropic: it is not kept as it came"));
        }
        Which::Kept => {
            let any = HeaderValue::from_static("*/*");
            let errand = Errand::new(Method::GET, format!("/files/{id}/content")).with(ACCEPT, any);
            let answer = desk.open(files_api(desk, errand)).await?;
            let head = Head { status: answer.status, headers: surface::passed(desk.provider, &answer.fields) };
            return Ok(Got::Long(Box::new(Long::new(desk.provider, None, answer.body, head, false))));
        }
        Which::Results(name, wanted) => (name, wanted),
    };
    let (_, batch) = job(desk, Errand::new(Method::GET, format!("/messages/batches/{name}"))).await?;
    if !wire::results(&batch, &name).iter().any(|file| file.id == id) {
        return Err(desk.no_file(id));
    }
    let any = HeaderValue::from_static("*/*");
    let answer =
        desk.open(Errand::new(Method::GET, format!("/messages/batches/{name}/results")).with(ACCEPT, any)).await?;
    let reading = Reading {
        filename: format!("{name}_{}.jsonl", if wanted == Wanted::Answers { "output" } else { "error" }),
        batch: name,
        wanted: wanted.of(&batch),
        endpoint: Endpoint::Chat,
        dialect: desk.provider.spec.dialect,
        model: String::new(),
        created: batch.ended_at.unwrap_or(batch.created_at),
    };
    Ok(results::stream(desk.provider, answer.body, reading, wire::told))
}

/// Delete a file. The results of a batch are one thing there: they go with its answers, or with its failures if there is
/// nothing else.
pub(super) async fn delete(desk: &mut Desk<'_>, id: &str) -> Result<(), Error> {
    match Which::of(desk, id)? {
        Which::Input => match desk.office()?.held.forget(id, Instant::now()) {
            true => Ok(()),
            false => Err(desk.no_file(id)),
        },
        Which::Kept => {
            desk.ask(files_api(desk, Errand::new(Method::DELETE, format!("/files/{id}")))).await?;
            Ok(())
        }
        Which::Results(name, wanted) => {
            let path = format!("/messages/batches/{name}");
            if wanted == Wanted::Failures {
                let (_, batch) = job(desk, Errand::new(Method::GET, path.clone())).await?;
                if batch.output_file_id.is_some() {
                    let message = "Anthropic keeps the answers and the failures of a batch as one: delete its \
                                   `output_file_id`, and this is gone with it";
                    return Err(invalid("", message));
                }
            }
            desk.ask(Errand::new(Method::DELETE, path)).await?;
            Ok(())
        }
    }
}

/// Make a batch of an input that is held.
pub(super) async fn make(desk: &mut Desk<'_>, order: Order) -> Result<Batch, Error> {
    let id = &order.input;
    if !matches!(Which::of(desk, id)?, Which::Input) {
        let message = "must name a file that was uploaded with the purpose `batch`";
        return Err(invalid("input_file_id", message));
    }
    let held = desk.office()?.held.clone();
    let input = match held.find(id, Instant::now()) {
        Some(Found::Input(input)) => input,
        Some(Found::Made(batch)) => {
            let message = format!("it became the batch `{batch}` already: upload it again for another one");
            return Err(invalid("input_file_id", message));
        }
        Some(Found::Asked) => return Err(invalid("input_file_id", ASKED)),
        None => return Err(invalid("input_file_id", NOT_HELD)),
    };
    if order.metadata.is_some() {
        desk.lost("metadata")?;
    }
    let whole = vec![Piece::Kept(0..input.stored.length())];
    let mut errand = Errand::new(Method::POST, "/messages/batches").json(stored::outgoing(&input.stored, whole));
    if !input.betas.is_empty() {
        let betas = input.betas.iter().map(String::as_str).collect::<Vec<_>>().join(",");
        errand.headers.extend(HeaderValue::try_from(betas).ok().map(|betas| (HeaderName::from_static(BETA), betas)));
    }
    // whoever leaves now, or gets no answer, and asks again would have two
    held.asks(id, true, Instant::now());
    let made = job(desk, errand).await;
    if made.as_ref().is_err_and(is_not_made) {
        held.asks(id, false, Instant::now());
    }
    let (_, batch) = made?;
    held.made(id, &batch.id, Instant::now());
    Ok(Batch { input_file_id: id.clone(), ..batch })
}

/// Whether such a failure leaves no doubt that nothing was made: it is the API's own answer, or nobody was reached.
fn is_not_made(error: &Error) -> bool {
    let Error::Upstream(failed) = error else { return true };
    match failed.status {
        Some(status) => status >= 400 && !matches!(status, 408 | 502 | 504 | 524),
        None => failed.fault == Fault::Unreachable && !failed.message.starts_with("closed"),
    }
}

/// Why no batch is made of an input a second time.
const ASKED: &str = "its batch was asked for, and the answer was lost or is still to come: look for it among the batches, \
                     and upload the input again if it is not there";

/// Why an input is not there.
const NOT_HELD: &str = "the gateway does not hold this input: Anthropic has no place for inputs of batches, so the process \
                        that took the upload holds it for an hour. Upload it again, make the batch soon, and behind several \
                        replicas send both requests to the same one";

/// A part of the batches.
pub(super) async fn batches(desk: &mut Desk<'_>, page: &Page) -> Result<(Vec<Batch>, bool), Error> {
    let after = page.after.as_deref().map(|after| named(desk, after)).transpose()?;
    let (jobs, more) = jobs(desk, page.limit, after.as_deref()).await?;
    Ok((jobs.into_iter().map(|(_, batch)| batch).collect(), more))
}

/// How a batch is doing.
pub(super) async fn batch(desk: &mut Desk<'_>, id: &str) -> Result<Batch, Error> {
    let name = named(desk, id)?;
    Ok(job(desk, Errand::new(Method::GET, format!("/messages/batches/{name}"))).await?.1)
}

/// End a batch before its time.
pub(super) async fn cancel(desk: &mut Desk<'_>, id: &str) -> Result<Batch, Error> {
    let name = named(desk, id)?;
    Ok(job(desk, Errand::new(Method::POST, format!("/messages/batches/{name}/cancel"))).await?.1)
}

/// A batch, by its name there, as an errand's answer tells it.
async fn job(desk: &Desk<'_>, errand: Errand) -> Result<(String, Batch), Error> {
    let answer = desk.ask(errand).await?;
    told(desk, answer)
}

fn told(desk: &Desk<'_>, answer: Object) -> Result<(String, Batch), Error> {
    let (name, mut batch) = wire::batch(answer).map_err(|malformed| desk.nonsense(malformed))?;
    if let Some(input) = desk.office()?.held.input_of(&batch.id, Instant::now()) {
        batch.input_file_id = input;
    }
    Ok((name, batch))
}

async fn jobs(desk: &Desk<'_>, limit: usize, after: Option<&str>) -> Result<(Vec<(String, Batch)>, bool), Error> {
    let after = after.map(|after| format!("&after_id={after}")).unwrap_or_default();
    let answer = desk.ask(Errand::new(Method::GET, format!("/messages/batches?limit={limit}{after}"))).await?;
    let jobs = answer.objects("data").map_err(|malformed| desk.nonsense(malformed))?;
    let more = answer.get("has_more").map_err(|malformed| desk.nonsense(malformed))?.unwrap_or_default();
    Ok((jobs.into_iter().map(|job| told(desk, job)).collect::<Result<_, _>>()?, more))
}

/// The name of a batch there.
fn named(desk: &Desk<'_>, id: &str) -> Result<String, Error> {
    let name = Name::of(id, Kind::Batch).map(|[name]| name).filter(|name| wire::is_batch(name));
    name.ok_or_else(|| desk.no_batch(id))
}

/// A name that can be one of a batch.
fn known<'n>(desk: &Desk<'_>, name: &'n str) -> Result<&'n str, Error> {
    if wire::is_batch(name) { Ok(name) } else { Err(desk.no_file(name)) }
}

/// What a file's id names.
enum Which {
    /// An input of a batch.
    Input,
    /// A file of the Files API.
    Kept,
    /// Results of the batch of this name.
    Results(String, Wanted),
}

impl Which {
    fn of(desk: &Desk<'_>, id: &str) -> Result<Self, Error> {
        if wire::is_file(id) {
            return Ok(Which::Kept);
        }
        let Some(Name { kind, parts }) = Name::read(id) else { return Err(desk.no_file(id)) };
        match (kind, &parts[..]) {
            (Kind::Input, [_, _]) => Ok(Which::Input),
            (Kind::Output, [name]) if wire::is_batch(name) => Ok(Which::Results(name.clone(), Wanted::Answers)),
            (Kind::Errors, [name]) if wire::is_batch(name) => Ok(Which::Results(name.clone(), Wanted::Failures)),
            _ => Err(desk.no_file(id)),
        }
    }
}

/// A request to the Files API, which is a beta; what the target asks for stays asked for.
fn files_api(desk: &Desk<'_>, errand: Errand) -> Errand {
    let own = desk.ready.headers.get(BETA).and_then(|own| own.to_str().ok());
    let betas = own.map_or_else(|| wire::FILES_BETA.to_owned(), |own| format!("{own},{}", wire::FILES_BETA));
    let betas = HeaderValue::try_from(betas).unwrap_or(HeaderValue::from_static(wire::FILES_BETA));
    errand.with(HeaderName::from_static(BETA), betas)
}
