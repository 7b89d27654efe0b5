//! What is listed as files at Anthropic: inputs that are held, the Files API's own, and the results of batches, one after
//! the other.

use std::time::Instant;

use http::Method;

use super::{files_api, job, jobs, known};
use crate::call::Error;
use crate::providers::jobs::errand::Errand;
use crate::providers::jobs::{Desk, File, Page};
use crate::wire::jobs::anthropic as wire;
use crate::wire::jobs::id::{Kind, Name};

/// What is held first, then what the Files API keeps, then the results of batches.
pub(in crate::providers::jobs) async fn files(desk: &mut Desk<'_>, page: &Page) -> Result<(Vec<File>, bool), Error> {
    let purpose = page.purpose.as_deref();
    let (mut files, mut after) = (Vec::new(), page.after.clone());
    let mut part = match after.as_deref() {
        None => Part::Held,
        Some(id) if wire::is_file(id) => Part::Kept,
        Some(id) => match Name::read(id) {
            Some(Name { kind: Kind::Input, .. }) => Part::Held,
            Some(Name { kind: Kind::Output | Kind::Errors, .. }) => Part::Results,
            _ => return Err(desk.no_file(id)),
        },
    };
    let mut pages = 0;
    loop {
        let left = page.limit.saturating_sub(files.len());
        let is_wanted = purpose.is_none_or(|purpose| part.holds(purpose));
        let (some, more) = match part {
            _ if !is_wanted => (Vec::new(), false),
            _ if left == 0 => return Ok((files, true)),
            Part::Held => held_files(desk, left, after.as_deref())?,
            Part::Kept => {
                let most = if pages == 0 { left } else { LARGEST_PAGE };
                kept_files(desk, most, after.as_deref()).await?
            }
            Part::Results => result_files(desk, left, after.as_deref()).await?,
        };
        let last = some.last().map(|file| file.id.clone());
        files.extend(some.into_iter().filter(|file| purpose.is_none_or(|purpose| part.has(purpose, file))));
        if files.len() > page.limit {
            files.truncate(page.limit);
            return Ok((files, true));
        }
        match part.next() {
            Some(next) if !more => (part, after) = (next, None),
            // files for something else have taken the place of those that are wanted
            _ if part == Part::Kept && files.len() < page.limit && last.is_some() && pages < MOST_PAGES => {
                (after, pages) = (last, pages + 1);
            }
            _ => return Ok((files, more)),
        }
    }
}

/// A part of what is listed as files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Held,
    Kept,
    Results,
}

impl Part {
    fn next(self) -> Option<Self> {
        match self {
            Part::Held => Some(Part::Kept),
            Part::Kept => Some(Part::Results),
            Part::Results => None,
        }
    }

    /// Whether files for this may be there.
    fn holds(self, purpose: &str) -> bool {
        match self {
            Part::Held => purpose == "batch",
            Part::Kept => !matches!(purpose, "batch" | "batch_output"),
            Part::Results => purpose == "batch_output",
        }
    }

    /// Whether a file there is for this: the Files API can't tell one purpose of callers from another.
    fn has(self, purpose: &str, file: &File) -> bool {
        self != Part::Kept || (file.purpose == "assistants_output") == (purpose == "assistants_output")
    }
}

fn held_files(desk: &Desk<'_>, limit: usize, after: Option<&str>) -> Result<(Vec<File>, bool), Error> {
    let mut files = desk.office()?.held.files(Instant::now());
    if let Some(at) = after.and_then(|after| files.iter().position(|file| file.id == after)) {
        files.drain(..=at);
    }
    let more = files.len() > limit;
    files.truncate(limit);
    Ok((files, more))
}

async fn kept_files(desk: &Desk<'_>, limit: usize, after: Option<&str>) -> Result<(Vec<File>, bool), Error> {
    let behind = after.map(|after| format!("&after_id={after}")).unwrap_or_default();
    let (files, next) = page_of_files(desk, &format!("limit={limit}{behind}")).await?;
    let (true, Some(after)) = (matches!(next, Next::Page(_)), after) else { return Ok((files, next.is_there())) };
    // newer lists go on at a token of their own, not behind a file: it is looked for from the beginning
    let (mut files, mut found, mut page) = (Vec::new(), false, None::<String>);
    for _ in 0..MOST_PAGES {
        let token = page.map(|page| format!("&page={page}")).unwrap_or_default();
        let (some, next) = page_of_files(desk, &format!("limit={LARGEST_PAGE}{token}")).await?;
        for file in some {
            if found {
                files.push(file);
            } else {
                found = file.id == after;
            }
        }
        let more = files.len() > limit || next.is_there();
        match next {
            Next::Page(Some(token)) if files.len() < limit => page = Some(token),
            _ => {
                files.truncate(limit);
                return Ok((files, more));
            }
        }
    }
    Ok((files, false))
}

/// What a page of the Files API and one of batches hold at most, and how many of them are asked for in search of a file.
const LARGEST_PAGE: usize = 1000;
const MOST_PAGES: usize = 100;

/// How a list of files goes on.
enum Next {
    /// Behind its last file, or not at all.
    File(bool),
    /// At this token, or not at all.
    Page(Option<String>),
}

impl Next {
    fn is_there(&self) -> bool {
        matches!(self, Next::File(true) | Next::Page(Some(_)))
    }
}

async fn page_of_files(desk: &Desk<'_>, query: &str) -> Result<(Vec<File>, Next), Error> {
    let answer = desk.ask(files_api(desk, Errand::new(Method::GET, format!("/files?{query}")))).await?;
    let read = || {
        let files = answer.objects("data")?.into_iter().map(wire::file).collect::<Result<Vec<_>, _>>()?;
        let plain = |token: &String| token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-=.~".contains(&byte));
        let next = match answer.has("next_page") {
            true => Next::Page(answer.get::<String>("next_page")?.filter(plain)),
            false => Next::File(answer.get("has_more")?.unwrap_or_default()),
        };
        Ok((files, next))
    };
    read().map_err(|malformed| desk.nonsense(malformed))
}

async fn result_files(desk: &Desk<'_>, limit: usize, after: Option<&str>) -> Result<(Vec<File>, bool), Error> {
    let mut files = Vec::new();
    let mut after = after.map(str::to_owned);
    // of the batch that stands there its errors may be still to come
    if let Some(Name { kind: Kind::Output, parts }) = after.as_deref().and_then(Name::read)
        && let [name] = &parts[..]
    {
        let (name, batch) =
            job(desk, Errand::new(Method::GET, format!("/messages/batches/{}", known(desk, name)?))).await?;
        files.extend(
            wire::results(&batch, &name).into_iter().filter(|file| file.id != after.as_deref().unwrap_or_default()),
        );
    }
    for pages in 1.. {
        let name = after.as_deref().and_then(Name::read).and_then(|name| name.parts.into_iter().next());
        // most batches of an account have no files any more: they are gone through in long strides
        let most = if pages == 1 { limit } else { LARGEST_PAGE };
        let (batches, mut more) = jobs(desk, most, name.as_deref()).await?;
        let last = batches.last().map(|(_, batch)| batch.id.clone());
        let found = batches.iter().flat_map(|(name, batch)| wire::results(batch, name));
        files.extend(found);
        if files.len() > limit {
            files.truncate(limit);
            more = true;
        }
        // batches that have not ended have no files
        match last.filter(|_| more && files.len() < limit && pages < MOST_PAGES) {
            Some(last) => after = Some(last),
            None => return Ok((files, more)),
        }
    }
    Ok((files, false))
}
