//! Bodies that are passed on as they came: kept in memory while they are small, in a file without a name beyond, so that
//! they can be sent again to the next target. Forms are read while they come in.

use axum::body::Body;
use bytes::BytesMut;
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use std::pin::pin;
use std::sync::Arc;
use tokio::io::AsyncWriteExt;

use super::error::Failure;
use super::extract;
use crate::call::{Stored, Upload};
use crate::pipeline::gateway::{Memory, Reserved};
use crate::wire::multipart::{self, Scanner};

/// Up to here a body is kept in memory, bytes.
const SMALL: usize = 1 << 20;

/// How much is written at once, bytes.
const WRITTEN: usize = 256 << 10;

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
    let is_small = |length: u64| length <= SMALL as u64;
    let share = declared.filter(|declared| is_small(*declared)).map_or(SMALL, |declared| declared as usize);
    let mut reserved = memory.reserve(share).ok_or(Failure::Overloaded)?;
    let mut body = pin!(body);
    let mut held = BytesMut::new();
    let mut file: Option<tokio::fs::File> = None;
    let mut length = 0_u64;
    while let Some(frame) = extract::next(&mut body).await? {
        let Ok(chunk) = frame.into_data() else { continue };
        length += chunk.len() as u64;
        if length > limit {
            return Err(too_large());
        }
        if let Some(scanner) = &mut scanner {
            scanner.push(&chunk)?;
        }
        match &mut file {
            Some(file) => file.write_all(&chunk).await.map_err(not_stored)?,
            None if is_small(length) && declared.is_none_or(is_small) => held.extend_from_slice(&chunk),
            None => {
                let mut opened = tokio::task::spawn_blocking(tempfile::tempfile)
                    .await
                    .map_err(|_| Failure::Panic)?
                    .map(tokio::fs::File::from_std)
                    .map_err(not_stored)?;
                for part in [&std::mem::take(&mut held)[..], &chunk] {
                    opened.write_all(part).await.map_err(not_stored)?;
                }
                opened.set_max_buf_size(WRITTEN);
                file = Some(opened);
            }
        }
    }
    let form = scanner.map(Scanner::end).transpose()?;
    let stored = match file {
        None => Stored::Memory(held.freeze()),
        Some(mut file) => {
            file.flush().await.map_err(not_stored)?;
            reserved = memory.reserve(0).ok_or(Failure::Overloaded)?;
            Stored::Disk(Arc::new(file.into_std().await), length)
        }
    };
    Ok((Upload { content_type, form, stored }, reserved))
}

fn not_stored(error: std::io::Error) -> Failure {
    tracing::error!(%error, "an upload cannot be stored: is the folder for temporary files (TMPDIR) writable, and not full?");
    Failure::NotStored(error.kind())
}
