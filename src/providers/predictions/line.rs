//! Requests to one host, with what each of them carries: it can be kept longer than the call it was made for.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use http::uri::PathAndQuery;
use http::{Method, StatusCode};

use crate::call::{Call, Op, Upstream};
use crate::providers::client::{Fields, Lines, Origin, Outgoing, SendError, Timeouts};
use crate::providers::inbound::{Gathered, Response};
use crate::providers::lines::Ready;
use crate::providers::stage::{Ask, Stage};
use crate::providers::{Provider, REQUEST_ID};

/// No answer is longer, bytes.
const LONGEST: usize = 64 << 20;

/// A host and the fields of every request to it. May hold a credential.
#[derive(Clone)]
pub(super) struct Line {
    origin: Arc<Origin>,
    headers: HeaderMap,
    stage: Option<Arc<Stage>>,
    op: Op,
    model: Arc<str>,
    streams: bool,
}

/// A whole answer.
pub(super) struct Said {
    /// Its status.
    pub(super) status: StatusCode,
    /// Its fields.
    pub(super) fields: Fields,
    /// Its body.
    pub(super) body: Bytes,
}

/// The fields of a request to a host that is told nothing of us.
fn bare() -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    headers.insert(USER_AGENT, HeaderValue::from_static(concat!("ferrogw/", env!("CARGO_PKG_VERSION"))));
    headers
}

impl Line {
    /// To the provider's own host, with its credential. Fails if that can't be had.
    pub(super) async fn new(
        origin: Arc<Origin>,
        provider: &Provider,
        ready: &Ready,
        call: &Call,
        model: &str,
    ) -> Result<Self, Box<Upstream>> {
        let mut headers = ready.headers.clone();
        headers.extend(provider.token().await?);
        if let Ok(id) = HeaderValue::from_str(&call.id) {
            headers.insert(REQUEST_ID, id);
        }
        Ok(Self {
            origin,
            headers,
            stage: provider.stage.clone(),
            op: call.op,
            model: model.into(),
            streams: call.stream,
        })
    }

    /// To another host, which is told nothing of us.
    pub(super) fn bare(&self, origin: Arc<Origin>) -> Self {
        Self { origin, headers: bare(), ..self.clone() }
    }

    /// To a host that is told nothing of us, for a file that a call's answer names.
    pub(super) fn stranger(origin: Arc<Origin>, provider: &Provider, call: &Call) -> Self {
        let mut headers = bare();
        headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
        let (stage, op, model) = (provider.stage.clone(), call.op, call.model.clone());
        Self { origin, headers, stage, op, model, streams: false }
    }

    /// The host, as errors name it.
    pub(super) fn host(&self) -> Arc<str> {
        self.origin.name().clone()
    }

    /// A field of every request from now on.
    pub(super) fn set(&mut self, name: HeaderName, value: &'static str) {
        self.headers.insert(name, HeaderValue::from_static(value));
    }

    /// The content type of every request from now on. Fails on what is none.
    pub(super) fn sends(&mut self, kind: &str) -> Option<()> {
        self.headers.insert(CONTENT_TYPE, HeaderValue::from_str(kind).ok()?);
        Some(())
    }

    /// The host's own name stands in `Host`, not that of the provider.
    pub(super) fn unname(&mut self) {
        self.headers.remove(HOST);
    }

    /// How long the host may take.
    pub(super) fn timeouts(&self) -> Timeouts {
        self.origin.timeouts()
    }

    /// Ask, and read the answer to its end.
    pub(super) async fn ask(
        &self,
        method: Method,
        path: &PathAndQuery,
        more: &Lines,
        body: impl Into<Outgoing>,
    ) -> Result<Said, SendError> {
        let Response { status, fields, body } = self.open(method, path, more, body).await?;
        let expected = fields.content_length().and_then(|length| usize::try_from(length).ok());
        match body.gather(LONGEST, expected).await? {
            Gathered::All(body) => Ok(Said { status, fields, body }),
            Gathered::Beyond(..) => {
                let cause = format!("more than {LONGEST} bytes").into();
                Err(SendError::Protocol { host: self.origin.name().clone(), cause })
            }
        }
    }

    /// Ask, and wait for the head of the answer.
    pub(super) async fn open(
        &self,
        method: Method,
        path: &PathAndQuery,
        more: &Lines,
        body: impl Into<Outgoing>,
    ) -> Result<Response, SendError> {
        let mut headers = self.headers.clone();
        headers.entry(ACCEPT).or_insert(HeaderValue::from_static("application/json"));
        let (ready, body) = (Lines::from(&headers), body.into());
        let answer = match &self.stage {
            None => self.origin.ask(&method, path, &ready, more, body).await.map(Response::from)?,
            Some(stage) => {
                let (op, model, stream) = (self.op, &*self.model, self.streams);
                stage
                    .ask(&self.origin, Ask { op, model, stream, method: &method, path, ready: &ready, more, body })
                    .await?
            }
        };
        let body = answer.body;
        let body = match answer.fields.content_encoding() {
            None => body,
            Some(encoding) => {
                let cause = format!("content-encoding {encoding:?}, which nobody asked for");
                let broken = || SendError::Protocol { host: self.origin.name().clone(), cause: cause.into() };
                body.unpacked(encoding).ok_or_else(broken)?
            }
        };
        Ok(Response { status: answer.status, fields: answer.fields, body })
    }
}
