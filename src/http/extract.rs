//! The body of a request: read whole, within its bounds of size, time and memory.

use std::io::Read;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use flate2::read::{MultiGzDecoder, ZlibDecoder};
use http::HeaderMap;
use http::header::CONTENT_ENCODING;
use http_body::Body as _;
use http_body_util::BodyExt;

use super::error::Failure;
use crate::pipeline::gateway::{Memory, Reserved};

/// How long a client may pause in the middle of its body.
const PAUSE: Duration = Duration::from_secs(30);

/// No body grows its buffer by more than this at once: a declared length is a claim, bytes.
const TRUST: usize = 1 << 20;

/// Bodies up to here are copied out of the buffer they arrived in, bytes: half of what hyper reads at first.
const SMALL: usize = 4 << 10;

/// Read a body of at most `limit` bytes, unpacked. A body that arrives in one piece is not copied unless it is small.
/// The reservation returned with it holds its share of the memory for bodies until it is dropped.
pub async fn body(
    headers: &HeaderMap,
    body: Body,
    limit: usize,
    memory: &Memory,
) -> Result<(Bytes, Reserved), Failure> {
    let too_large = || Failure::too_large(limit as u64);
    let declared = body.size_hint().exact().map(|length| usize::try_from(length).unwrap_or(usize::MAX));
    if declared.is_some_and(|declared| declared > limit) {
        return Err(too_large());
    }
    let mut reserved = memory.reserve(declared.unwrap_or(0)).ok_or(Failure::Overloaded)?;
    let mut body = pin!(body);
    let mut first: Option<Bytes> = None;
    let mut rest = BytesMut::new();
    while let Some(frame) = next(&mut body).await? {
        let Ok(chunk) = frame.into_data() else { continue };
        let length = first.as_ref().map_or(0, Bytes::len).max(rest.len()) + chunk.len();
        if length > limit {
            return Err(too_large());
        }
        if length > reserved.bytes() && !reserved.grow(length) {
            return Err(Failure::Overloaded);
        }
        match first.take() {
            None if rest.is_empty() => first = Some(chunk),
            None => rest.extend_from_slice(&chunk),
            Some(before) => {
                rest.reserve(declared.unwrap_or(length).min(length + TRUST));
                rest.extend_from_slice(&before);
                rest.extend_from_slice(&chunk);
            }
        }
    }
    let packed = match first {
        // a slice would keep the connection's whole read buffer, and the connection would need another one
        Some(small) if small.len() <= SMALL => Bytes::copy_from_slice(&small),
        Some(piece) => piece,
        None => rest.freeze(),
    };
    let Some(encoding) = headers.get(CONTENT_ENCODING) else { return Ok((packed, reserved)) };
    let plain = unpack(encoding.as_bytes(), &packed, limit)?;
    if plain.len() > reserved.bytes() && !reserved.grow(plain.len()) {
        return Err(Failure::Overloaded);
    }
    Ok((plain, reserved))
}

pub(super) async fn next(body: &mut std::pin::Pin<&mut Body>) -> Result<Option<http_body::Frame<Bytes>>, Failure> {
    // small bodies are there with their head: only the others need a timer
    let there = std::future::poll_fn(|cx| Poll::Ready(body.as_mut().poll_frame(cx))).await;
    let frame = match there {
        Poll::Ready(frame) => frame,
        Poll::Pending => tokio::time::timeout(PAUSE, body.frame()).await.map_err(|_| Failure::BodyTimeout)?,
    };
    frame.transpose().map_err(|_| Failure::BodyBroken)
}

fn unpack(encoding: &[u8], packed: &Bytes, limit: usize) -> Result<Bytes, Failure> {
    let most = limit as u64 + 1;
    let mut plain = Vec::new();
    let read = match encoding {
        b"identity" | b"" => return Ok(packed.clone()),
        b"gzip" | b"x-gzip" => MultiGzDecoder::new(&packed[..]).take(most).read_to_end(&mut plain),
        b"deflate" => ZlibDecoder::new(&packed[..]).take(most).read_to_end(&mut plain),
        _ => return Err(Failure::UnsupportedEncoding { accepted: "gzip, deflate" }),
    };
    match read {
        Err(_) => Err(Failure::BodyBroken),
        Ok(length) if length > limit => Err(Failure::too_large(limit as u64)),
        Ok(_) => Ok(plain.into()),
    }
}
