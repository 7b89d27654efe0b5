//! Bodies that are passed on as they came: kept in memory while they are small, in a file without a name beyond, so that
//! they can be sent again to the next target. Forms are read while they come in.

use axum::body::Body;
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use std::pin::pin;

use super::error::Failure;
use super::extract;
use crate::call::{Stored, Upload};
use crate::pipeline::gateway::{Memory, Reserved};
use crate::providers::spool::{SMALL, Spool};
use crate::wire::multipart::{self, Scanner};

/// How a body is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// It must be a form, whose fields matter.
    Form,
    /// Its fields matter if it is a form.
    MaybeForm,
    /// Nothing in it matters.
    Blind,
}

/// The most bytes that a body may have, and the failure of one that has more.
#[derive(Clone, Copy, Debug)]
pub struct Cap(pub u64, pub fn(u64) -> Failure);

/// Read a body that is not beyond its cap. Fails on what is no form where it must be one, and when it can't be stored.
pub async fn read(
    headers: &HeaderMap,
    body: Body,
    Cap(limit, beyond): Cap,
    memory: &Memory,
    reading: Reading,
) -> Result<(Upload, Reserved), Failure> {
    let content_type = headers.get(CONTENT_TYPE).cloned();
    let boundary = content_type.as_ref().and_then(|kind| multipart::boundary(kind.to_str().ok()?));
    let mut scanner = match (reading, boundary) {
        (Reading::Blind, _) | (Reading::MaybeForm, None) => None,
        (_, Some(boundary)) => Some(Scanner::new(&boundary)),
        (Reading::Form, None) => return Err(Failure::NotAForm),
    };
    if scanner.is_some() && headers.get(CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
        return Err(Failure::UnsupportedEncoding { accepted: "identity" });
    }
    let declared = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    let too_large = || beyond(limit);
    if declared.is_some_and(|declared| declared > limit) {
        return Err(too_large());
    }
    let share = declared.filter(|declared| *declared <= SMALL).map_or(SMALL as usize, |declared| declared as usize);
    let mut reserved = memory.reserve(share).ok_or(Failure::Overloaded)?;
    let mut body = pin!(body);
    let mut spool = Spool::new(declared);
    while let Some(frame) = extract::next(&mut body).await? {
        let Ok(chunk) = frame.into_data() else { continue };
        if spool.length() + chunk.len() as u64 > limit {
            return Err(too_large());
        }
        if let Some(scanner) = &mut scanner {
            scanner.push(&chunk)?;
        }
        spool.push(&chunk).await.map_err(not_stored)?;
    }
    let form = scanner.map(Scanner::end).transpose()?;
    let stored = spool.end().await.map_err(not_stored)?;
    if matches!(stored, Stored::Disk(..)) {
        reserved = memory.reserve(0).ok_or(Failure::Overloaded)?;
    }
    Ok((Upload { content_type, form, stored }, reserved))
}

fn not_stored(error: std::io::Error) -> Failure {
    Failure::NotStored(error.kind())
}
