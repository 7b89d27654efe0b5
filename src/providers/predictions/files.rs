//! Files that answers name instead of holding them: fetched from hosts that the row expects, without any credential.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream;
use http::uri::PathAndQuery;
use http::{Method, StatusCode};

use super::FIRST_PAUSE;
use super::address::{self, Place};
use super::line::Line;
use crate::call::{Call, Fault, Upstream};
use crate::providers::client::{Client, Fields, Lines, Origin, Protocol, SendError, Timeouts};
use crate::providers::inbound::{Gathered, Inbound, Response};
use crate::providers::{Provider, fault};

/// No file is longer, bytes.
pub(in crate::providers) const LONGEST: u64 = 64 << 20;

/// So often a file is asked for: what it is of is paid already.
const ATTEMPTS: u32 = 3;

/// Where the files of one target may be.
pub struct Files {
    client: Client,
    /// Ends of the hosts that the row expects.
    hosts: &'static [&'static str],
    /// The API itself, if the target has an address of its own: what stands there in the vendor's place may hold files.
    own: Option<Place>,
    timeouts: Timeouts,
}

/// A file that is arriving.
pub(in crate::providers) struct File {
    /// Its content type, as its host says; empty if it says nothing.
    pub(in crate::providers) kind: String,
    /// How long it is, bytes, if that is known.
    pub(in crate::providers) length: Option<u64>,
    /// Its content; fails beyond the limit.
    pub(in crate::providers) body: Inbound,
}

/// A file that nobody has asked for yet.
pub(in crate::providers) struct Source {
    line: Line,
    path: PathAndQuery,
}

impl Source {
    /// What is in it, however much that is. Fails if it can't be had.
    pub(in crate::providers) async fn open(&self) -> Result<Inbound, SendError> {
        let said = self.line.open(Method::GET, &self.path, &Lines::default(), Bytes::new()).await?;
        match said.status {
            StatusCode::OK => Ok(said.body),
            status => {
                let cause = format!("the file that the answer names can't be had ({status})").into();
                Err(SendError::Protocol { host: self.line.host(), cause })
            }
        }
    }
}

impl Files {
    /// Those at hosts whose names end so, and at `own`. `None` if the row names no hosts.
    pub fn of(
        hosts: &'static [&'static str],
        own: Option<&str>,
        client: &Client,
        timeouts: Timeouts,
    ) -> Option<Box<Self>> {
        let files = || Self { client: client.clone(), hosts, own: own.and_then(Place::read), timeouts };
        (!hosts.is_empty()).then(|| Box::new(files()))
    }

    /// The file at this address, before it is asked for. Fails if it is at a host that is not expected.
    pub(in crate::providers) fn source(
        &self,
        provider: &Provider,
        call: &Call,
        url: &str,
    ) -> Result<Source, Box<Upstream>> {
        let (origin, path) = self.place(provider, url)?;
        Ok(Source { line: Line::stranger(origin, provider, call), path })
    }

    /// The host and path of this address. Fails if it is at a host that is not expected.
    pub(in crate::providers) fn place(
        &self,
        provider: &Provider,
        url: &str,
    ) -> Result<(Arc<Origin>, PathAndQuery), Box<Upstream>> {
        let failed = |message: String| fault::ours(provider, Fault::Server, message);
        let found = address::file(self.own.as_ref(), self.hosts, url);
        let Some((host, path)) = found else {
            return Err(failed("names a file at a host that is not one of its own, which is not asked".to_owned()));
        };
        let origin = self.client.origin(&host, self.timeouts, Protocol::Http1);
        Ok((origin.map_err(|error| failed(error.to_string()))?, path))
    }

    /// The file at this address. Fails if it is at a host that is not expected, if it can't be had or is too long.
    pub(in crate::providers) async fn open(
        &self,
        provider: &Provider,
        call: &Call,
        url: &str,
    ) -> Result<File, Box<Upstream>> {
        let failed = |message: String| fault::ours(provider, Fault::Server, message);
        let Source { line, path } = self.source(provider, call, url)?;
        let (mut pause, mut attempt) = (FIRST_PAUSE, 1);
        loop {
            let asked = line.open(Method::GET, &path, &Lines::default(), Bytes::new()).await;
            let failure = match asked {
                Ok(Response { status: StatusCode::OK, fields, body }) => {
                    return File::of(&fields, body, line.host()).ok_or_else(|| failed(too_long(LONGEST)));
                }
                // no redirect is followed, and what it says of itself may hold a signature
                Ok(said) if !said.status.is_server_error() => {
                    return Err(failed(format!("the file that the answer names can't be had ({})", said.status)));
                }
                Ok(said) => failed(format!("the file that the answer names can't be had ({})", said.status)),
                Err(error) => fault::of_transport(provider, &error),
            };
            if attempt == ATTEMPTS {
                return Err(failure);
            }
            tokio::time::sleep(pause).await;
            (pause, attempt) = (pause * 2, attempt + 1);
        }
    }

    /// The same, read to its end. Fails if it has more than `most` bytes.
    pub(in crate::providers) async fn read(
        &self,
        provider: &Provider,
        call: &Call,
        url: &str,
        most: usize,
    ) -> Result<(String, Bytes), Box<Upstream>> {
        let reading = async {
            let File { kind, length, body } = self.open(provider, call, url).await?;
            let expected = length.and_then(|length| usize::try_from(length).ok());
            match body.gather(most, expected).await {
                Ok(Gathered::All(content)) => Ok((kind, content)),
                Ok(Gathered::Beyond(..)) => Err(fault::ours(provider, Fault::Server, too_long(most as u64))),
                Err(error) => Err(fault::of_transport(provider, &error)),
            }
        };
        let total: Duration = provider.total;
        tokio::time::timeout(total, reading).await.unwrap_or_else(|_elapsed| {
            Err(fault::ours(provider, Fault::Timeout, format!("no whole file within {total:?}")))
        })
    }
}

fn too_long(most: u64) -> String {
    format!("the file that the answer names has more than {most} bytes")
}

impl File {
    /// What an answer holds; `None` if it says that it is too long.
    fn of(fields: &Fields, body: Inbound, host: Arc<str>) -> Option<Self> {
        // of an answer that came packed the length is another one
        let length = fields.content_length().filter(|_| fields.content_encoding().is_none());
        let kind = fields.content_type().to_owned();
        length.is_none_or(|length| length <= LONGEST).then(|| Self { kind, length, body: bounded(body, host) })
    }
}

/// A body that fails beyond the limit.
fn bounded(body: Inbound, host: Arc<str>) -> Inbound {
    let made = stream::unfold(Some((body, 0)), move |state| {
        let host = host.clone();
        async move {
            let (mut body, passed) = state?;
            let chunk = match body.next().await? {
                Ok(chunk) => chunk,
                Err(error) => return Some((Err(error), None)),
            };
            let passed = passed + chunk.len() as u64;
            if passed > LONGEST {
                return Some((Err(SendError::Protocol { host, cause: too_long(LONGEST).into() }), None));
            }
            Some((Ok(chunk), Some((body, passed))))
        }
    });
    Inbound::Made(made.boxed())
}
