//! Bodies that are stored, as they are sent: read in stretches while they go out, once for each time they are sent.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{self, StreamExt};

use super::client::{Outgoing, Pieces};
use crate::call::Stored;
use crate::call::upload::read_at;
use crate::wire::Malformed;
use crate::wire::extras::base64;
use crate::wire::multipart::{Form, Piece, Scanner};

/// How much of a file is read at once, bytes.
const READ: u64 = 128 << 10;

/// How much of what is sent in base64 is read at once, bytes: whole groups of three, so that nothing but the end is padded.
const READ_CODED: u64 = READ / 3 * 3;

/// A body of these pieces, whose kept ones are stretches of what is stored.
pub fn outgoing(stored: &Stored, pieces: Vec<Piece>) -> Outgoing {
    if let (Stored::Memory(bytes), [Piece::Kept(range)]) = (stored, &pieces[..]) {
        return bytes.slice(range.start as usize..range.end as usize).into();
    }
    let length = pieces.iter().map(Piece::length).sum();
    let (stored, pieces): (_, Arc<[Piece]>) = (stored.clone(), pieces.into());
    let open = move || -> Pieces {
        let (stored, pieces) = (stored.clone(), pieces.clone());
        let each = (0..pieces.len()).map(move |at| (stored.clone(), pieces[at].clone()));
        stream::iter(each).flat_map(|(stored, piece)| read(stored, piece)).boxed()
    };
    Outgoing::Elsewhere { length: Some(length), open: Arc::new(open) }
}

fn read(stored: Stored, piece: Piece) -> Pieces {
    match (piece, stored) {
        (Piece::New(bytes), _) => stream::iter([Ok(bytes)]).boxed(),
        (Piece::Kept(range), Stored::Memory(bytes)) => stream::iter([Ok(within(&bytes, &range))]).boxed(),
        (Piece::Kept(range), Stored::Disk(file, _)) => {
            stream::iter(steps(range, READ)).then(move |range| stretch(file.clone(), range, Bytes::from)).boxed()
        }
        (Piece::Coded(range), Stored::Memory(bytes)) => {
            stream::iter(steps(range, READ_CODED)).map(move |range| Ok(in_base64(within(&bytes, &range)))).boxed()
        }
        (Piece::Coded(range), Stored::Disk(file, _)) => {
            stream::iter(steps(range, READ_CODED)).then(move |range| stretch(file.clone(), range, in_base64)).boxed()
        }
    }
}

/// A stretch of what is stored, as it stands there.
pub fn stretches(stored: &Stored, range: Range<u64>) -> Pieces {
    read(stored.clone(), Piece::Kept(range))
}

fn within(bytes: &Bytes, range: &Range<u64>) -> Bytes {
    bytes.slice(range.start as usize..range.end as usize)
}

fn in_base64(bytes: impl AsRef<[u8]>) -> Bytes {
    base64(bytes.as_ref()).into()
}

/// A range in stretches of at most this length.
fn steps(range: Range<u64>, length: u64) -> impl Iterator<Item = Range<u64>> + Send {
    range.clone().step_by(length as usize).map(move |from| from..range.end.min(from + length))
}

/// A stretch of a file, read and made into what is sent where it disturbs nobody.
async fn stretch(file: Arc<File>, range: Range<u64>, made: fn(Vec<u8>) -> Bytes) -> io::Result<Bytes> {
    let read = tokio::task::spawn_blocking(move || {
        let mut buffer = vec![0; (range.end - range.start) as usize];
        read_at(&file, &mut buffer, range.start)?;
        Ok(made(buffer))
    });
    read.await.unwrap_or_else(|_| Err(io::ErrorKind::Interrupted.into()))
}

/// All of what is stored, if it is no longer than this, bytes, and can be read.
pub async fn whole(stored: &Stored, most: u64) -> Option<Bytes> {
    match stored {
        _ if stored.length() > most => None,
        Stored::Memory(bytes) => Some(bytes.clone()),
        Stored::Disk(file, length) => stretch(file.clone(), 0..*length, Bytes::from).await.ok(),
    }
}

/// The places of a form's parts in what is stored. Fails on what is no form, or can't be read.
pub async fn form(stored: &Stored, boundary: &str) -> Result<Form, Malformed> {
    let mut scanner = Scanner::new(boundary);
    match stored {
        Stored::Memory(bytes) => scanner.push(bytes)?,
        Stored::Disk(file, length) => {
            for from in (0..*length).step_by(READ as usize) {
                let chunk = stretch(file.clone(), from..(*length).min(from + READ), Bytes::from).await;
                scanner.push(&chunk.map_err(|_| Malformed::new("what was stored of the body can't be read"))?)?;
            }
        }
    }
    scanner.end()
}
