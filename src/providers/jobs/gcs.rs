//! Cloud Storage, where Vertex AI keeps the lines of batches: <https://cloud.google.com/storage/docs/json_api/v1/objects>.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use http::header::{ACCEPT, HOST, HeaderMap, HeaderValue};
use http::uri::PathAndQuery;
use http::{Method, Uri};

use super::errand::{Errand, To};
use super::{Desk, escaped, invalid};
use crate::call::{Error, Fault, Op, Stored};
use crate::config::Invalid;
use crate::providers::auth::Credential;
use crate::providers::auth::sigv4::hex;
use crate::providers::client::{Lines, Origin, Outgoing, Protocol, SendError};
use crate::providers::fault;
use crate::providers::inbound::{Inbound, Response};
use crate::providers::settings::Settings;
use crate::providers::stage::{Ask, Stage};
use crate::providers::stored;
use crate::wire::Object;
use crate::wire::jobs::google::page;
use crate::wire::jobs::vertex::Store;
use crate::wire::multipart::Piece;

/// Where it is.
const HOST_OF_ALL: &str = "https://storage.googleapis.com";

/// The objects of a page.
const SIZE: usize = 1000;

/// So many pages of a folder are looked at, at most.
const PAGES: usize = 20;

/// Judge the settings of a target about its bucket. Fails naming the one that is no good.
pub fn settings(settings: &Settings) -> Result<(), Invalid> {
    let at = |name: &str, why: &str| Invalid::at(format!("options.{name}"), why.to_owned());
    if let Some(bucket) = settings.get("batch_bucket") {
        Store::read(bucket).map_err(|why| at("batch_bucket", why))?;
    }
    match settings.get("storage_endpoint").map(|given| endpoint(given).parse::<Uri>()) {
        None => Ok(()),
        Some(Ok(uri)) if uri.host().is_some() && matches!(uri.scheme_str(), Some("http" | "https")) => Ok(()),
        Some(_) => {
            Err(at("storage_endpoint", "must be an address of Cloud Storage, as https://storage.googleapis.com"))
        }
    }
}

/// The bucket of one target, and how it is asked.
pub struct Bucket {
    /// Which it is.
    pub store: Store,
    to: To,
    /// What stands before every path.
    before: String,
}

impl Bucket {
    /// The one that the operator has named. Fails where none is, and where the credential can't be one for it.
    pub fn of(desk: &Desk<'_>) -> Result<Self, Error> {
        let settings = &desk.provider.settings;
        let named = settings.get("batch_bucket").ok_or_else(|| {
            let provider = desk.provider.spec.id;
            invalid(
                "",
                format!(
                    "{provider} keeps the lines of batches in a bucket of Cloud Storage, and none is named: its operator \
                     must set the option `batch_bucket`, or VERTEX_BATCH_BUCKET, to gs://bucket or gs://bucket/prefix"
                ),
            )
        })?;
        let store = Store::read(named).map_err(|why| invalid("", format!("`batch_bucket` {why}")))?;
        let office = desk.office()?;
        let origin = |address: &str| -> Result<(Arc<Origin>, String), Error> {
            let failed = |why: String| fault::ours(desk.provider, Fault::Server, why);
            let uri: Uri = address.parse().map_err(|_| failed("`storage_endpoint` is no address".to_owned()))?;
            let origin = office.client.origin(&uri, office.timeouts, Protocol::Http1);
            let origin = origin.map_err(|error| failed(error.to_string()))?;
            Ok((origin, uri.path().trim_end_matches('/').to_owned()))
        };
        let (to, before) = match settings.get("storage_endpoint") {
            Some(address) => {
                let (origin, path) = origin(&endpoint(address))?;
                // the environment names emulators, which get no credential from anybody
                let own = settings.gives("storage_endpoint");
                (if own { To::Host(origin) } else { To::Bare(origin) }, path)
            }
            // an operator who names an address means it for everything, and a recording has everything
            None if settings.get("base_url").is_some() || desk.provider.tape().is_some() => (To::Root, "/".to_owned()),
            None => {
                if !matches!(desk.provider.credential, Credential::Token(_)) {
                    let why = "an API key opens no bucket: batches need a service account, or another credential of Google Cloud";
                    return Err(invalid("", why));
                }
                let (origin, path) = origin(HOST_OF_ALL)?;
                (To::Host(origin), path)
            }
        };
        Ok(Self { store, to, before })
    }

    fn errand(&self, method: Method, path: &str) -> Errand {
        Errand::new(method, format!("{}{path}", self.before)).to(self.to.clone())
    }

    fn object(&self, name: &str) -> String {
        format!("/storage/v1/b/{}/o/{}", escaped(&self.store.bucket), escaped(name))
    }

    /// Put an object there, with what is to be known of it. Returns it as the vendor has it.
    pub async fn put(&self, desk: &Desk<'_>, about: &Bytes, content: &Stored) -> Result<Object, Error> {
        let noise = noise(desk)?;
        let boundary = format!("lines-{noise}");
        let json = "Content-Type: application/json; charset=UTF-8";
        let mut begin = format!("--{boundary}\r\n{json}\r\n\r\n").into_bytes();
        begin.extend_from_slice(about);
        begin.extend_from_slice(format!("\r\n--{boundary}\r\nContent-Type: application/jsonl\r\n\r\n").as_bytes());
        let end = format!("\r\n--{boundary}--\r\n");
        let kept = Piece::Kept(0..content.length());
        let body = stored::outgoing(content, vec![Piece::New(begin.into()), kept, Piece::New(end.into())]);
        let kind = format!("multipart/related; boundary={boundary}");
        let kind = HeaderValue::try_from(kind).map_err(|_| invalid("file", "can't be sent"))?;
        let path = format!("/upload/storage/v1/b/{}/o?uploadType=multipart", escaped(&self.store.bucket));
        desk.ask(self.errand(Method::POST, &path).sends(kind, body)).await
    }

    /// What is known of an object.
    pub async fn about(&self, desk: &Desk<'_>, name: &str) -> Result<Object, Error> {
        desk.ask(self.errand(Method::GET, &self.object(name))).await
    }

    /// Delete an object.
    pub async fn delete(&self, desk: &Desk<'_>, name: &str) -> Result<(), Error> {
        desk.open(self.errand(Method::DELETE, &self.object(name))).await?;
        Ok(())
    }

    /// The objects right in a folder, whose name has a slash at its end. Fails if there are more than anybody looks at.
    pub async fn list(&self, desk: &Desk<'_>, folder: &str) -> Result<Vec<Object>, Error> {
        let bucket = escaped(&self.store.bucket);
        let path = format!("/storage/v1/b/{bucket}/o?prefix={}&delimiter=%2F&maxResults={SIZE}", escaped(folder));
        let (mut found, mut token) = (Vec::new(), None::<String>);
        for _ in 0..PAGES {
            let next = token.as_deref().map(|token| format!("&pageToken={}", escaped(token))).unwrap_or_default();
            let answer = desk.ask(self.errand(Method::GET, &format!("{path}{next}"))).await?;
            let (items, more) = page(&answer, "items").map_err(|malformed| desk.nonsense(malformed))?;
            found.extend(items);
            token = more;
            if token.is_none() {
                return Ok(found);
            }
        }
        let message = format!("there are more than {} objects in a folder of the bucket: delete old ones", found.len());
        // nothing that the store has done: its circuit stays as it is
        Err(invalid("", message))
    }

    /// What is in these objects, one behind the other, a line end between two. The first is asked for at once, each other
    /// one when those before it have been read.
    pub async fn read(&self, desk: &Desk<'_>, names: &[String]) -> Result<Inbound, Error> {
        let mut paths = names.iter().map(|name| format!("{}{}?alt=media", self.before, self.object(name)));
        let Some(first) = paths.next() else { return Ok(Inbound::Local(VecDeque::new())) };
        let any = HeaderValue::from_static("*/*");
        let errand = Errand::new(Method::GET, first).to(self.to.clone()).with(ACCEPT, any.clone());
        let first = desk.open(errand).await?.body;
        let rest: VecDeque<PathAndQuery> =
            paths.filter_map(|path| format!("/{}", path.trim_start_matches('/')).try_into().ok()).collect();
        if rest.is_empty() {
            return Ok(first);
        }
        let nowhere = || fault::ours(desk.provider, Fault::Server, "has no address for this".to_owned());
        let (origin, mut headers) = match &self.to {
            To::Root => (desk.provider.origin().ok_or_else(nowhere)?.clone(), desk.ready.headers.clone()),
            To::Host(origin) => (origin.clone(), desk.ready.headers.clone()),
            To::Bare(origin) | To::Signed(origin, ..) => (origin.clone(), HeaderMap::new()),
        };
        if matches!(self.to, To::Root | To::Host(_)) {
            headers.extend(desk.provider.token().await?);
        }
        headers.insert(ACCEPT, any);
        headers.insert(HOST, origin.host().clone());
        let fields = Lines::from(&headers);
        let (stage, op) = (desk.provider.stage.clone(), desk.call.op);
        let made = stream::unfold(Some((first, rest, fields)), move |state| {
            let (origin, stage) = (origin.clone(), stage.clone());
            async move {
                let (mut arriving, mut rest, fields) = state?;
                if let Some(chunk) = arriving.next().await {
                    let goes_on = chunk.is_ok();
                    return Some((chunk, goes_on.then_some((arriving, rest, fields))));
                }
                let path = rest.pop_front()?;
                Some(match open(&origin, stage.as_deref(), op, &path, &fields).await {
                    Ok(next) => (Ok(Bytes::from_static(b"\n")), Some((next, rest, fields))),
                    Err(error) => (Err(error), None),
                })
            }
        });
        Ok(Inbound::Made(made.boxed()))
    }
}

async fn open(
    origin: &Arc<Origin>,
    stage: Option<&Stage>,
    op: Op,
    path: &PathAndQuery,
    ready: &Lines,
) -> Result<Inbound, SendError> {
    let (method, more, body) = (&Method::GET, &Lines::default(), Outgoing::Whole(Bytes::new()));
    let answer = match stage {
        None => origin.ask(method, path, ready, more, body).await.map(Response::from)?,
        Some(stage) => stage.ask(origin, Ask { op, model: "", stream: false, method, path, ready, more, body }).await?,
    };
    let broken = |cause: String| SendError::Protocol { host: origin.name().clone(), cause: cause.into() };
    if !answer.status.is_success() {
        return Err(broken(format!("a part of the results can't be had ({})", answer.status)));
    }
    match answer.fields.content_encoding() {
        None => Ok(answer.body),
        Some(encoding) => {
            let odd = format!("content-encoding {encoding:?}, which nobody asked for");
            answer.body.unpacked(encoding).ok_or_else(|| broken(odd))
        }
    }
}

/// A name that nobody else has, of 32 hexadecimal digits.
pub fn noise(desk: &Desk<'_>) -> Result<String, Error> {
    let mut noise = [0; 16];
    getrandom::fill(&mut noise).map_err(|_| fault::ours(desk.provider, Fault::Server, "no randomness".to_owned()))?;
    Ok(hex(&noise))
}

/// An address as emulators are named, which may lack its scheme.
fn endpoint(address: &str) -> String {
    if address.contains("://") { address.to_owned() } else { format!("http://{address}") }
}
