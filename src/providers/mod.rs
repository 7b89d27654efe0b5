//! Whom we can call: a row, made concrete by a target's settings, with its credential and its pool.

pub mod auth;
pub mod client;
pub mod demo;
pub mod encode;
pub mod fault;
pub mod inbound;
pub mod receive;
pub mod rework;
pub mod settings;
pub mod spec;
pub mod stream;
pub mod table;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use http::{Request, Uri};

use self::auth::{Credential, Fetcher};
use self::client::{Client, Origin, Timeouts};
use self::inbound::Inbound;
use self::receive::Got;
use self::settings::Settings;
use self::spec::{Place, Policy, Root, Spec};
use crate::call::redact::Redactor;
use crate::call::{Call, Error, Op, Upstream};
use crate::config::Invalid;

/// One provider as one target uses it.
pub struct Provider {
    /// Its row.
    pub spec: &'static Spec,
    /// The target's name, for errors.
    pub target: Arc<str>,
    settings: Settings,
    policy: Policy,
    redactor: Arc<Redactor>,
    link: Link,
    paths: Vec<(Op, Path)>,
    headers: HeaderMap,
    credential: Credential,
    total: Duration,
}

/// How requests get there.
enum Link {
    Net(Arc<Origin>),
    Inside,
}

/// The path and query of an operation.
enum Path {
    Fixed(Uri),
    PerModel(String),
}

/// What a target adds to a row.
pub struct Setup {
    /// The target's name.
    pub target: Arc<str>,
    /// The resolved settings.
    pub settings: Settings,
    /// Headers of every request.
    pub headers: HeaderMap,
    /// Time limits; the row's where the target has none.
    pub timeouts: Timeouts,
    /// What to do with parameters the provider does not take.
    pub policy: Policy,
    /// Keeps secrets out of what the provider says.
    pub redactor: Arc<Redactor>,
    /// What tokens are fetched with.
    pub fetcher: Fetcher,
}

impl Provider {
    /// Make a row concrete. Fails when its root can't be an API root, naming what is wrong with it.
    pub fn build(spec: &'static Spec, setup: Setup, client: &Client) -> Result<Self, Invalid> {
        let Setup { target, settings, headers: own, timeouts, policy, redactor, fetcher } = setup;
        let total = timeouts.total.unwrap_or(spec.pace.total());
        let place = match spec.root {
            Root::Inside => {
                let (paths, headers, credential) = (Vec::new(), HeaderMap::new(), Credential::None);
                return Ok(Self {
                    spec,
                    target,
                    settings,
                    policy,
                    redactor,
                    link: Link::Inside,
                    paths,
                    headers,
                    credential,
                    total,
                });
            }
            Root::At(default) => at(default, &settings)?,
            Root::By(place) => place(&settings)?,
        };
        let base: Uri = place.base.replace("{model}", "model").parse().map_err(|_| invalid_root(&place.base))?;
        let origin = client.origin(&base, timeouts).map_err(|error| Invalid::at("base_url", error.to_string()))?;
        let paths = spec
            .ops
            .iter()
            .map(|(op, path)| Ok((*op, Path::of(&place, path)?)))
            .collect::<Result<Vec<_>, Invalid>>()?;
        let mut headers = base_headers(spec, &settings)?;
        let credential = auth::credential(spec, &settings, &place, &fetcher)?;
        if let Credential::Fixed(name, value) = &credential {
            headers.insert(name, value.clone());
        }
        headers.extend(own);
        let link = Link::Net(origin);
        Ok(Self { spec, target, settings, policy, redactor, link, paths, headers, credential, total })
    }

    /// Ask the provider once. `model` is its own name for the model; what can't be sent as asked is added to `warnings`.
    /// An answer that is streamed is returned with its first content, so that every failure before it can still be
    /// answered by somebody else.
    pub async fn ask(&self, call: &Call, model: &str, warnings: &mut Vec<String>) -> Result<Got, Error> {
        let sent = encode::encode(self, call, model, warnings)?;
        let response = match &self.link {
            Link::Inside => demo::answer(sent.op, &sent.body, call.stream),
            Link::Net(origin) => {
                let mut request = self.request(call, &sent, sent.model.as_deref().unwrap_or(model))?;
                self.authorise(request.headers_mut()).await?;
                origin.send(request).await.map_err(|error| self.lost(error))?.map(Inbound::Net)
            }
        };
        Ok(receive::receive(self, call, response, sent.back).await?)
    }

    /// The address of a path below the root's host, with everything that authorises it; `None` inside the process.
    pub fn origin(&self) -> Option<&Arc<Origin>> {
        match &self.link {
            Link::Net(origin) => Some(origin),
            Link::Inside => None,
        }
    }

    /// Add the credential, if it is one that has to be fetched; the others are among the headers of every request.
    pub async fn authorise(&self, headers: &mut HeaderMap) -> Result<(), Error> {
        if !matches!(self.credential, Credential::Token(_)) {
            return Ok(());
        }
        let header = self.credential.header().await;
        if let Some((name, value)) = header.map_err(|error| fault::ours(self, error.fault(), error.to_string()))? {
            headers.insert(name, value);
        }
        Ok(())
    }

    fn request(&self, call: &Call, sent: &encode::Sent, model: &str) -> Result<Request<Bytes>, Error> {
        let path = self.paths.iter().find(|(op, _)| *op == sent.op).map(|(_, path)| path);
        let uri = path.and_then(|path| path.uri(model)).ok_or_else(|| Error::NoTarget(call.model.clone()))?;
        let mut request = Request::new(sent.body.clone());
        *request.method_mut() = http::Method::POST;
        *request.uri_mut() = uri;
        let headers = request.headers_mut();
        *headers = self.headers.clone();
        let accept = if call.stream { "text/event-stream" } else { "application/json" };
        headers.insert(ACCEPT, HeaderValue::from_static(accept));
        if let Ok(id) = HeaderValue::from_maybe_shared(Bytes::copy_from_slice(call.id.as_bytes())) {
            headers.insert(REQUEST_ID, id);
        }
        Ok(request)
    }

    fn lost(&self, error: client::SendError) -> Upstream {
        fault::of_transport(self, &error)
    }
}

const REQUEST_ID: HeaderName = HeaderName::from_static("x-client-request-id");

impl Path {
    fn of(place: &Place, path: &str) -> Result<Self, Invalid> {
        let full = match &place.query {
            Some(query) => format!("{}{path}?{query}", place.base),
            None => format!("{}{path}", place.base),
        };
        let uri: Uri = full.replace("{model}", "model").parse().map_err(|_| invalid_root(&place.base))?;
        let below = uri.path_and_query().map(|p| p.as_str().to_owned()).unwrap_or_default();
        if full.contains("{model}") {
            let start = full.len() - full.splitn(4, '/').nth(3).map_or(0, |rest| rest.len() + 1);
            return Ok(Path::PerModel(full[start..].to_owned()));
        }
        below.parse().map(Path::Fixed).map_err(|_| invalid_root(&place.base))
    }

    fn uri(&self, model: &str) -> Option<Uri> {
        match self {
            Path::Fixed(uri) => Some(uri.clone()),
            Path::PerModel(template) => template.replace("{model}", &escape(model)).parse().ok(),
        }
    }
}

/// Percent-encode a model's name as one path segment.
fn escape(model: &str) -> String {
    let mut out = String::with_capacity(model.len());
    for byte in model.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

fn invalid_root(base: &str) -> Invalid {
    Invalid::at("base_url".to_owned(), format!("`{base}` is not an API root: it must look like https://host/v1"))
}

/// The root of a row with a fixed address, or what `base_url` makes of it.
fn at(default: &str, settings: &Settings) -> Result<Place, Invalid> {
    let Some(given) = settings.get("base_url") else {
        return Ok(Place { base: settings.fill(default)?, query: None });
    };
    let shown = given.split_once('@').map_or(given, |(_, host)| host);
    let uri: Uri = given.parse().map_err(|_| invalid_root(shown))?;
    if uri.query().is_some() || given.contains('#') || !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err(invalid_root(shown));
    }
    let mut base = given.trim_end_matches('/').to_owned();
    if uri.path() == "/" {
        let path = default.splitn(4, '/').nth(3).unwrap_or_default();
        if !path.is_empty() {
            base = format!("{base}/{}", settings.fill(path)?);
        }
    }
    Ok(Place { base, query: None })
}

fn base_headers(spec: &Spec, settings: &Settings) -> Result<HeaderMap, Invalid> {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    headers.insert(USER_AGENT, HeaderValue::from_static(concat!("ferrogw/", env!("CARGO_PKG_VERSION"))));
    let value = |setting: &str, text: String| {
        let mut value = HeaderValue::try_from(text)
            .map_err(|_| Invalid::at(setting.to_owned(), "has characters that a header can't carry".to_owned()))?;
        value.set_sensitive(true);
        Ok::<_, Invalid>(value)
    };
    for (name, value) in spec.fixed_headers {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    for (name, setting) in spec.headers {
        if let Some(text) = settings.get(setting) {
            headers.insert(HeaderName::from_static(name), value(setting, text.to_owned())?);
        }
    }
    Ok(headers)
}
