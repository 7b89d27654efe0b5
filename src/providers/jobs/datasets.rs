//! What vendors whose batches read datasets have in common: how one is uploaded, waited for, and told apart from others.

use std::time::Duration;

use http::header::HeaderValue;
use tokio::time::Instant;

use super::results::Wanted;
use super::upload::Input;
use super::{Desk, Page, invalid, is_missing};
use crate::call::{Error, Fault};
use crate::providers::auth::sigv4::hex;
use crate::providers::client::Outgoing;
use crate::providers::{fault, stored};
use crate::wire::Object;
use crate::wire::jobs::id::{Kind, Name};
use crate::wire::jobs::{File, Standing};
use crate::wire::multipart::Piece;

/// So many pages of a list are looked at, at most.
pub(super) const PAGES: usize = 20;

/// For so long a batch waits for its input to be looked at.
const PATIENCE: Duration = Duration::from_secs(60);

/// The first pause of that waiting; each other one is twice as long, up to the longest.
const PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(4);

/// Digits that nobody has had before.
pub(super) fn noise(desk: &Desk<'_>) -> Result<String, Error> {
    let mut noise = [0; 16];
    getrandom::fill(&mut noise).map_err(|_| fault::ours(desk.provider, Fault::Server, "no randomness".to_owned()))?;
    Ok(hex(&noise))
}

/// An input as a form with one field, and its content type.
pub(super) fn form(desk: &Desk<'_>, input: &Input, field: &str) -> Result<(HeaderValue, Outgoing), Error> {
    let boundary = format!("lines-{}", noise(desk)?);
    let begin = format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"{field}\"; filename=\"batch.jsonl\"\r\n\
         Content-Type: application/jsonl\r\n\r\n"
    );
    let end = format!("\r\n--{boundary}--\r\n");
    let kept = Piece::Kept(0..input.stored.length());
    let body = stored::outgoing(&input.stored, vec![Piece::New(begin.into()), kept, Piece::New(end.into())]);
    let kind = HeaderValue::try_from(format!("multipart/form-data; boundary={boundary}"));
    Ok((kind.map_err(|_| invalid("file", "can't be sent"))?, body))
}

/// How long a batch waits for its input.
pub(super) struct Patience {
    until: Instant,
    pause: Duration,
}

impl Patience {
    pub(super) fn of(desk: &Desk<'_>) -> Self {
        Self { until: Instant::now() + PATIENCE.min(desk.provider.total), pause: PAUSE }
    }

    /// Whether this input has been looked at; waits a little if not. Fails if it is not good, or if that takes long.
    pub(super) async fn is_over(&mut self, desk: &Desk<'_>, file: &File) -> Result<bool, Error> {
        let vendor = desk.provider.spec.id;
        match &file.status {
            Standing::Processed => return Ok(true),
            Standing::Error(why) => {
                let why = desk.provider.redactor.error_text(why);
                return Err(invalid("input_file_id", format!("{vendor} does not take this file: {why}")));
            }
            Standing::Uploaded if Instant::now() + self.pause > self.until => {
                let mend = "make the batch once the file's `status` is `processed`";
                return Err(invalid("input_file_id", format!("{vendor} is still looking at this file: {mend}")));
            }
            Standing::Uploaded => {}
        }
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        Ok(false)
    }
}

/// The part of a list that is wanted, and whether there is more behind it; `None` if what it begins behind is not there.
pub(super) fn part<T>(mut all: Vec<T>, page: &Page, id: impl Fn(&T) -> &String) -> Option<(Vec<T>, bool)> {
    if let Some(after) = &page.after {
        let at = all.iter().position(|item| id(item) == after)?;
        all.drain(..=at);
    }
    let more = all.len() > page.limit;
    all.truncate(page.limit);
    Some((all, more))
}

/// The objects of a list, which may be missing where there are none.
pub(super) fn objects(desk: &Desk<'_>, answer: &Object, name: &str) -> Result<Vec<Object>, Error> {
    match answer.raw(name) {
        None | Some(b"null") => Ok(Vec::new()),
        Some(_) => answer.objects(name).map_err(|malformed| desk.nonsense(malformed)),
    }
}

/// A file that is not there, in OpenAI's words.
pub(super) fn none(desk: &Desk<'_>, id: &str, error: Error) -> Error {
    if is_missing(&error) { desk.no_file(id) } else { error }
}

/// A batch that is not there, in OpenAI's words.
pub(super) fn no_batch(desk: &Desk<'_>, id: &str, error: Error) -> Error {
    if is_missing(&error) { desk.no_batch(id) } else { error }
}

/// The id of a batch there.
pub(super) fn named(desk: &Desk<'_>, id: &str, is_id: fn(&str) -> bool) -> Result<String, Error> {
    let name = Name::of(id, Kind::Batch).map(|[name]| name).filter(|name| is_id(name));
    name.ok_or_else(|| desk.no_batch(id))
}

/// What a file's id names.
pub(super) enum Which {
    /// A dataset.
    Input(String),
    /// The results of a batch.
    Results(String, Wanted),
}

impl Which {
    /// Fails on what is no id of a file.
    pub(super) fn of(desk: &Desk<'_>, id: &str, is_id: fn(&str) -> bool) -> Result<Self, Error> {
        let Some(Name { kind, parts }) = Name::read(id) else { return Err(desk.no_file(id)) };
        match (kind, &parts[..]) {
            (Kind::Input, [name]) if is_id(name) => Ok(Which::Input(name.clone())),
            (Kind::Output, [name]) if is_id(name) => Ok(Which::Results(name.clone(), Wanted::Answers)),
            (Kind::Errors, [name]) if is_id(name) => Ok(Which::Results(name.clone(), Wanted::Failures)),
            _ => Err(desk.no_file(id)),
        }
    }
}
