//! Uploads: the input of a batch, which becomes the vendor's own line by line while it is taken, and other files.

use std::collections::{BTreeSet, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt;

use super::vendors::{keep_file, keep_input};
use super::{Desk, Jobs, beyond, for_batches_alone, invalid};
use crate::call::{Body, Call, Error, Stored, Upload};
use crate::providers::client::Outgoing;
use crate::providers::encode::{self, Sent};
use crate::providers::notes::MOST_WARNINGS;
use crate::providers::spool::Spool;
use crate::providers::{Provider, batch, stored};
use crate::wire::Dialect;
use crate::wire::jobs::File;
use crate::wire::jobs::item::{self, Ask, Endpoint, Item, shortened};
use crate::wire::jobs::lines::{self, Lines, TooLong};
use crate::wire::multipart::{self, Form};
use crate::wire::openai::functions;

/// The tool by which some translations get an answer in JSON. A reader of results knows nothing of the requests, so in a
/// batch no other tool is called so.
pub const JSON_TOOL: &str = "json_output";

/// After so many bytes of lines others have their turn.
const TURN: usize = 64 << 10;

/// A file of the input of a batch, in the vendor's own lines.
#[derive(Debug)]
pub struct Input {
    /// What the caller calls it.
    pub filename: String,
    /// How long it was when it came, bytes.
    pub bytes: u64,
    /// Its requests.
    pub lines: u64,
    /// What all of them ask for.
    pub endpoint: Endpoint,
    /// The model of the first one, which is that of all where the vendor wants that.
    pub model: String,
    /// What they need of `anthropic-beta`.
    pub betas: BTreeSet<String>,
    /// The vendor's own lines in their frame.
    pub stored: Stored,
}

impl Default for Input {
    fn default() -> Self {
        let (filename, model, stored) = (String::new(), String::new(), Stored::Memory(Bytes::new()));
        let (bytes, lines, endpoint, betas) = (0, 0, Endpoint::Chat, BTreeSet::new());
        Self { filename, bytes, lines, endpoint, model, betas, stored }
    }
}

/// A file for anything but a batch, where it stands in the form that brought it.
pub struct Sheet<'a> {
    /// What it is for, as the caller says.
    pub purpose: &'a str,
    /// What it is called.
    pub filename: &'a str,
    /// Its content type, if the caller says.
    pub kind: Option<&'a str>,
    /// The form.
    pub form: &'a Form,
    /// What the form came in.
    pub upload: &'a Upload,
    /// Where in it the content stands.
    pub content: Range<u64>,
}

/// Take an upload. Fails on what is no form with a purpose and a file, and on inputs that can't be made the vendor's.
pub(super) async fn take(desk: &mut Desk<'_>, jobs: Jobs) -> Result<File, Error> {
    let call = desk.call;
    let Body::Upload(upload) = &call.body else { return Err(no_form()) };
    let kind = upload.content_type.as_ref().and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let boundary = multipart::boundary(kind).ok_or_else(no_form)?;
    let form = stored::form(&upload.stored, &boundary)
        .await
        .map_err(|malformed| invalid("file", format!("the form can't be read: {}", malformed.why())))?;
    let purpose = form.text("purpose").filter(|purpose| !purpose.is_empty());
    let purpose = purpose.ok_or_else(|| invalid("purpose", "`purpose` is missing"))?;
    let mut parts = form.parts().iter().filter(|part| part.name == "file");
    let part = parts.next().ok_or_else(|| invalid("file", "`file` is missing"))?;
    if parts.next().is_some() {
        return Err(invalid("file", "the form has several files: upload one at a time"));
    }
    let (filename, content) = (part.filename.as_deref().unwrap_or("file"), part.content.clone());
    if purpose != "batch" && !jobs.keeps_files() {
        return Err(for_batches_alone(desk));
    }
    for field in form.parts().iter().filter(|part| !matches!(&*part.name, "file" | "purpose")) {
        desk.lost(&field.name)?;
    }
    if purpose != "batch" {
        let kind = part.content_type.as_deref();
        let sheet = Sheet { purpose, filename, kind, form: &form, upload, content };
        return keep_file(desk, jobs, sheet).await;
    }
    let input = input(desk, jobs, upload, filename, content).await?;
    keep_input(desk, jobs, input).await
}

fn no_form() -> Error {
    invalid("file", "must come in a form of multipart/form-data")
}

/// What could not be written, or read again.
pub(super) fn not_stored(error: io::Error) -> Error {
    Error::NotStored(error.kind())
}

async fn input(
    desk: &mut Desk<'_>,
    jobs: Jobs,
    upload: &Upload,
    filename: &str,
    content: Range<u64>,
) -> Result<Input, Error> {
    let mut clerk = Clerk {
        provider: desk.provider,
        call: desk.call,
        jobs,
        spool: Spool::new(None),
        seen: HashSet::new(),
        keyed: RandomState::new(),
        first: None,
        betas: BTreeSet::new(),
        warnings: Vec::new(),
    };
    let bytes = content.end - content.start;
    clerk.spool.push(jobs.frame().begin).await.map_err(not_stored)?;
    let (mut cut, mut pieces, mut turn) = (Lines::default(), stored::stretches(&upload.stored, content), 0);
    let (office, mut place) = (desk.provider.office.as_deref(), None);
    while let Some(piece) = pieces.next().await {
        place = match (place, office) {
            _ if !cut.is_long() => None,
            (None, Some(office)) => office.long.acquire().await.ok(),
            (place, _) => place,
        };
        cut.push(&piece.map_err(not_stored)?);
        while let Some(line) = cut.next_line() {
            turn += line.as_ref().map_or(0, Bytes::len);
            clerk.line(cut.number(), line).await?;
            if turn >= TURN {
                turn = 0;
                tokio::task::yield_now().await;
            }
        }
    }
    if let Some(line) = cut.end() {
        clerk.line(cut.number(), Ok(line)).await?;
    }
    drop(place);
    let Clerk { mut spool, seen, first, betas, warnings, .. } = clerk;
    let First { endpoint, model, .. } = first.ok_or_else(|| invalid("file", "has no lines: there is nothing to do"))?;
    spool.push(jobs.frame().end).await.map_err(not_stored)?;
    let stored = spool.end().await.map_err(not_stored)?;
    desk.warnings.extend(warnings);
    Ok(Input { filename: filename.to_owned(), bytes, lines: seen.len() as u64, endpoint, model, betas, stored })
}

/// Makes lines the vendor's own.
struct Clerk<'a> {
    provider: &'a Provider,
    call: &'a Call,
    jobs: Jobs,
    spool: Spool,
    /// The names of the lines so far, hashed with a key that nobody knows.
    seen: HashSet<u64>,
    keyed: RandomState,
    first: Option<First>,
    betas: BTreeSet<String>,
    /// What is lost of lines, each loss once.
    warnings: Vec<String>,
}

/// What the first line says.
struct First {
    number: u64,
    endpoint: Endpoint,
    model: String,
    /// The same as the row calls it.
    own: String,
}

impl Clerk<'_> {
    /// Append a line of input. Fails, naming the line, on what can't be asked for.
    async fn line(&mut self, number: u64, line: Result<Bytes, TooLong>) -> Result<(), Error> {
        let at = |why: String| invalid("file", format!("line {number}: {why}"));
        let line = line.map_err(|_| at(format!("has more than {} bytes", lines::LONGEST)))?;
        let item = item::read(line, self.jobs.endpoints()).map_err(at)?;
        let id = shortened(&item.custom_id);
        let of = |why: String| at(format!("`{id}`: {why}"));
        if !self.seen.insert(self.keyed.hash_one(&item.custom_id)) {
            return Err(of("another line before has the same `custom_id`".to_owned()));
        }
        if self.seen.len() as u64 > self.jobs.limits().lines {
            return Err(beyond(self.provider, self.jobs.limits()));
        }
        let model = self.model(&item).map_err(of)?;
        let own = (self.provider.spec.model)(&model, item.endpoint.op(), &self.provider.settings);
        let own = own.unwrap_or_else(|| model.clone());
        if let Some(first) = &self.first {
            if first.endpoint != item.endpoint {
                let (path, other) = (item.endpoint.path(), first.endpoint.path());
                return Err(of(format!(
                    "`url` is {path}, and that of line {} is {other}: make two batches",
                    first.number
                )));
            }
            if self.jobs.has_one_model() && first.own != own {
                let (provider, other) = (self.provider.spec.id, shortened(&first.own));
                let mine = shortened(&own);
                return Err(of(format!(
                    "`model` is `{mine}`, and that of line {} is `{other}`: {provider} has one model a batch, so make two",
                    first.number
                )));
            }
        }
        let mut warnings = Vec::new();
        let made = match self.own(item, &model, &mut warnings).await {
            Ok(made) => made,
            Err(Refused::Line(why)) => return Err(of(why)),
            Err(Refused::Call(error)) => return Err(told(error, of)),
        };
        for warning in warnings {
            if !self.warnings.contains(&warning) && self.warnings.len() < MOST_WARNINGS {
                self.warnings.push(warning);
            }
        }
        match &self.first {
            None => self.first = Some(First { number, endpoint: made.endpoint, model, own }),
            Some(_) => self.spool.push(self.jobs.frame().between).await.map_err(not_stored)?,
        }
        self.spool.push(&made.line).await.map_err(not_stored)?;
        if self.spool.length() > self.jobs.limits().bytes {
            return Err(beyond(self.provider, self.jobs.limits()));
        }
        Ok(())
    }

    /// The provider's own name of the model that a line names.
    fn model(&self, item: &Item) -> Result<String, String> {
        let model = item.body.get::<String>("model").map_err(|_| "`body.model` must be a text")?;
        let model = model.filter(|model| !model.is_empty()).ok_or("`body.model` is missing")?;
        let own = |name: &str| name == &*self.provider.target || self.provider.spec.is_called(name);
        Ok(match model.split_once('/').filter(|(name, rest)| own(name) && !rest.is_empty()) {
            Some((_, rest)) => rest.to_owned(),
            None => model,
        })
    }

    /// A line as the vendor has it.
    async fn own(&mut self, item: Item, model: &str, warnings: &mut Vec<String>) -> Result<Own, Refused> {
        let Item { custom_id, endpoint, body, strange } = item;
        let provider = self.provider;
        for name in &strange {
            provider.notes(model, false, warnings).lost_field(name)?;
        }
        if functions::asked(&body) {
            return Err(said("`functions` can't be had in a batch: give them as `tools`"));
        }
        if takes_name(&body)? {
            return Err(said(format!("a tool can't be called `{JSON_TOOL}` in a batch: call it otherwise")));
        }
        if body.raw("encoding_format") == Some(br#""base64""#) {
            return Err(said("`encoding_format` can't be base64 in a batch: leave it out"));
        }
        let (op, model) = (endpoint.op(), Arc::<str>::from(model));
        let call = Call::new(op, Body::Json(body), model.clone(), self.call.id.clone(), self.call.since);
        let call = Call { key: self.call.key.clone(), ..call };
        if batch::split(provider.spec, &call, &model)?.is_some() {
            return Err(said("it has more inputs than one request may have: make several of it"));
        }
        let fetched;
        let call = match provider.wants(&call, &model) {
            None => &call,
            Some(wanted) => {
                fetched = provider.fetched(&call, wanted).await?;
                &fetched.call
            }
        };
        let Sent { body, back, model: other, headers, .. } = encode::encode(provider, call, &model, warnings)?;
        let Outgoing::Whole(body) = body else { return Err(said("it can't be asked for in a batch")) };
        if back.fold && !self.jobs.answers_whole() {
            return Err(said("this model answers in streams alone, which can't be had in a batch"));
        }
        let dialect = back.native.as_ref().map_or(Dialect::OpenAi, |foreign| Dialect::Native(foreign.native));
        if let Some((_, name)) = back.native.as_ref().and_then(|foreign| foreign.back.tools.first()) {
            let (name, provider) = (shortened(name), provider.spec.id);
            return Err(said(format!(
                "{provider} does not take the name of the tool `{name}`: in a batch it must be letters, digits, `_` and `-`, 64 at most"
            )));
        }
        for (_, value) in headers.iter().filter(|(name, _)| name == BETA) {
            let names = value.to_str().unwrap_or_default().split(',').map(str::trim);
            self.betas.extend(names.filter(|name| !name.is_empty()).map(str::to_owned));
        }
        // a line has no headers
        for (name, _) in headers.iter().filter(|(name, _)| name != BETA) {
            provider.notes(&model, false, warnings).lost_field(name.as_str())?;
        }
        let model = other.as_deref().unwrap_or(&model);
        let mut line = Vec::with_capacity(body.len() + custom_id.len() + 64);
        let ask = Ask { custom_id: &custom_id, endpoint, model, dialect, body: &body };
        self.jobs.line(&mut line, &ask).map_err(Refused::Line)?;
        Ok(Own { endpoint, line })
    }
}

/// The header in which Anthropic is asked for what is not for everybody.
pub const BETA: &str = "anthropic-beta";

struct Own {
    endpoint: Endpoint,
    line: Vec<u8>,
}

/// Why a line can't be asked for.
enum Refused {
    /// For a reason of batches.
    Line(String),
    /// As the call that it is.
    Call(Error),
}

impl<E: Into<Error>> From<E> for Refused {
    fn from(error: E) -> Self {
        Refused::Call(error.into())
    }
}

fn said(why: impl Into<String>) -> Refused {
    Refused::Line(why.into())
}

/// A call that can't be made, as the failure of its line; what is nobody's fault here stays what it is.
fn told(error: Error, of: impl Fn(String) -> Error) -> Error {
    match error {
        Error::Upstream(_) | Error::NotStored(_) | Error::Saturated(_) => error,
        Error::Invalid { param, message } if !param.is_empty() => of(format!("`body.{param}`: {message}")),
        other => of(other.to_string()),
    }
}

/// Whether a tool of the caller's is called as that one is.
fn takes_name(body: &crate::wire::Object) -> Result<bool, Error> {
    if body.raw("tools").is_none_or(|tools| memchr::memmem::find(tools, JSON_TOOL.as_bytes()).is_none()) {
        return Ok(false);
    }
    for tool in body.objects("tools")? {
        let function = tool.object("function")?.unwrap_or(tool);
        if function.get::<String>("name")?.is_some_and(|name| name.starts_with(JSON_TOOL)) {
            return Ok(true);
        }
    }
    Ok(false)
}
