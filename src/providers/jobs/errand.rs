//! One request of ours on behalf of a caller's: with the provider's credential to its root or to another host of the same
//! account, and judged as every answer is.

use std::sync::Arc;

use http::header::{ACCEPT, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue};
use http::uri::PathAndQuery;
use http::{Method, StatusCode};

use super::Desk;
use crate::call::{Error, Fault, Upstream};
use crate::providers::auth::Credential;
use crate::providers::auth::sigv4::{Payload, Signer};
use crate::providers::client::{Lines, Origin, Outgoing};
use crate::providers::inbound::{Gathered, Response};
use crate::providers::stage::Ask;
use crate::providers::{Link, REQUEST_ID, fault};
use crate::wire::jobs::s3;
use crate::wire::openai::errors::{self, Complaint};
use crate::wire::{Malformed, Object};

/// No answer that is read whole is longer, bytes.
const LONGEST: usize = 16 << 20;

/// Error bodies are read up to here, bytes.
const COMPLAINT: usize = 64 << 10;

/// One request.
#[derive(Clone)]
pub struct Errand {
    /// Its method.
    pub method: Method,
    /// At the root: written as paths of operations are. Elsewhere: the whole path with its query.
    pub path: String,
    /// Fields of this request alone; they win over those of every request.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Its body.
    pub body: Outgoing,
    /// Where it goes.
    pub to: To,
}

/// Where an errand goes.
#[derive(Clone)]
pub enum To {
    /// To the provider's root, with its credential.
    Root,
    /// To another host of the same account, with the fields and the credential of the root, a signature excepted.
    Host(Arc<Origin>),
    /// To another host, with no fields but the errand's own.
    Bare(Arc<Origin>),
    /// The same, signed by this.
    Signed(Arc<Origin>, Arc<Signer>, Seal),
}

/// What of an errand's body a signature covers.
#[derive(Clone)]
pub enum Seal {
    /// All of it: it is in memory.
    Body,
    /// This hash of it (SHA-256, in hexadecimal digits).
    Hash(Arc<str>),
    /// Nothing.
    Nothing,
}

impl Errand {
    /// To the root, without a body.
    pub fn new(method: Method, path: impl Into<String>) -> Self {
        let body = Outgoing::Whole(bytes::Bytes::new());
        Self { method, path: path.into(), headers: Vec::new(), body, to: To::Root }
    }

    /// The same with a body.
    pub fn sends(mut self, kind: HeaderValue, body: impl Into<Outgoing>) -> Self {
        self.headers.push((CONTENT_TYPE, kind));
        self.body = body.into();
        self
    }

    /// The same with a JSON body.
    pub fn json(self, body: impl Into<Outgoing>) -> Self {
        self.sends(HeaderValue::from_static("application/json"), body)
    }

    /// The same with a field.
    pub fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// The same to somewhere else.
    pub fn to(mut self, to: To) -> Self {
        self.to = to;
        self
    }
}

impl Desk<'_> {
    /// Do it, and read the answer, an object. Fails on any other, and on statuses that are not good.
    pub async fn ask(&self, errand: Errand) -> Result<Object, Error> {
        let total = self.provider.total;
        let asking = async {
            let Response { status, fields, body } = self.open(errand).await?;
            let nonsense = |message| fault::of_nonsense(self.provider, status, &fields, message);
            let length = fields.content_length().and_then(|length| usize::try_from(length).ok());
            match body.gather(LONGEST, length).await {
                Ok(Gathered::All(bytes)) => Object::parse(bytes)
                    .map_err(|malformed| nonsense(format!("the answer can't be read: {}", malformed.why()))),
                Ok(Gathered::Beyond(..)) => Err(nonsense(format!("answered with more than {LONGEST} bytes"))),
                Err(error) => Err(fault::of_transport(self.provider, &error)),
            }
        };
        let late = || fault::ours(self.provider, Fault::Timeout, format!("no whole answer within {total:?}"));
        Ok(tokio::time::timeout(total, asking).await.unwrap_or_else(|_elapsed| Err(late()))?)
    }

    /// Do it, and wait for the head of the answer, whose body is unpacked. Fails on statuses that are not good; one that
    /// says that there is no such thing is [`Fault::Missing`].
    pub async fn open(&self, errand: Errand) -> Result<Response, Box<Upstream>> {
        match self.open_once(errand.clone()).await {
            // signed with a clock that was off
            Err(failed) if self.corrected(&errand.to, &failed) => self.open_once(errand).await,
            done => done,
        }
    }

    fn corrected(&self, to: &To, failed: &Upstream) -> bool {
        match to {
            To::Signed(_, signer, _) => signer.corrected(failed.code.as_deref().unwrap_or_default(), &failed.message),
            _ => self.provider.corrected(failed),
        }
    }

    async fn open_once(&self, errand: Errand) -> Result<Response, Box<Upstream>> {
        let (provider, Errand { method, path, headers: own, body, to }) = (self.provider, errand);
        let nowhere = || fault::ours(provider, Fault::Server, "has no address for this".to_owned());
        let Link::Net(root, _) = &provider.link else { return Err(nowhere()) };
        let (origin, path) = match &to {
            To::Root => (root, provider.paths.at(&path)),
            To::Host(origin) | To::Bare(origin) | To::Signed(origin, ..) => (origin, PathAndQuery::try_from(path).ok()),
        };
        let path = path.ok_or_else(nowhere)?;
        let is_bare = matches!(to, To::Bare(_) | To::Signed(..));
        let mut headers = if is_bare { HeaderMap::new() } else { self.ready.headers.clone() };
        headers.remove(CONTENT_TYPE);
        headers.insert(HOST, origin.host().clone());
        headers.entry(ACCEPT).or_insert(HeaderValue::from_static("application/json"));
        for (name, value) in own {
            headers.insert(name, value);
        }
        if !is_bare {
            headers.extend(provider.token().await?);
            if let Ok(id) = HeaderValue::from_str(&self.call.id) {
                headers.insert(REQUEST_ID, id);
            }
        }
        let signer = match (&to, &provider.credential) {
            (To::Signed(_, signer, _), _) | (To::Root, Credential::Signed(signer)) => Some(signer),
            _ => None,
        };
        if let Some(signer) = signer {
            let payload = match (&to, &body) {
                (To::Signed(_, _, Seal::Hash(hash)), _) => Payload::Hash(hash),
                (To::Signed(_, _, Seal::Nothing), _) => Payload::Unsigned,
                (_, Outgoing::Whole(body)) => Payload::Whole(body),
                // a signature covers the whole body
                (_, Outgoing::Elsewhere { .. }) => return Err(nowhere()),
            };
            let signed = signer.sign_payload(&method, &path, &headers, payload).await;
            headers.extend(signed.map_err(|error| fault::ours(provider, error.fault(), error.to_string()))?);
        }
        let (ready, more) = (Lines::from(&headers), Lines::default());
        let answer = match &provider.stage {
            None => origin.ask(&method, &path, &ready, &more, body).await.map(Response::from),
            Some(stage) => {
                let (op, model) = (self.call.op, "");
                let ask =
                    Ask { op, model, stream: false, method: &method, path: &path, ready: &ready, more: &more, body };
                stage.ask(origin, ask).await
            }
        };
        let Response { status, fields, body } = answer.map_err(|error| fault::of_transport(provider, &error))?;
        if let (Some(signer), true) = (signer, status.is_client_error()) {
            fields.get("date").into_iter().for_each(|date| signer.saw(date));
        }
        let nonsense = |message: String| fault::of_nonsense(provider, status, &fields, message);
        let body = match fields.content_encoding() {
            None => body,
            Some(encoding) => body.unpacked(encoding).ok_or_else(|| {
                nonsense(format!("answered with content-encoding {encoding:?}, which nobody asked for"))
            })?,
        };
        if status.is_success() {
            return Ok(Response { status, fields, body });
        }
        let said = match body.gather(COMPLAINT, None).await {
            Ok(Gathered::All(body) | Gathered::Beyond(body, _)) => complaint(&body),
            Err(_) => Complaint::default(),
        };
        let mut failed = fault::of_answer(provider, status, &fields, said);
        if failed.fault == Fault::NotFound || status == StatusCode::GONE {
            failed.fault = Fault::Missing;
        }
        Err(failed)
    }

    /// An answer that is not what it must be.
    pub fn nonsense(&self, malformed: Malformed) -> Error {
        let message = format!("the answer can't be read: {}", malformed.why());
        fault::ours(self.provider, Fault::Server, message).into()
    }
}

/// What an error body says, in JSON or in the XML of stores.
fn complaint(body: &[u8]) -> Complaint {
    match std::str::from_utf8(body).map(s3::refusal) {
        Ok((Some(code), message)) => Complaint { code: Some(code), message, ..Complaint::default() },
        _ => errors::read(body),
    }
}
