//! Requests over HTTP/2: many at a time on one connection, each driven by whoever waits for its answer.
//!
//! What is shared is the connection, which has a task of its own on the runtime it was made on (`lane.rs`). A request's
//! future and body hold their stream: dropping them resets it (RST_STREAM), and the others go on.

mod flow;
mod lane;
mod upload;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use h2::Reason;
use http::header::{CONNECTION, CONTENT_LENGTH, HOST, HeaderName, HeaderValue, TE, TRANSFER_ENCODING, UPGRADE};
use http::uri::{Authority, PathAndQuery};
use http::{Method, Request, Response, Uri};
use tokio::time::{Instant, timeout, timeout_at};

pub(super) use self::flow::Flow;
pub(super) use self::lane::Lane;
use self::lane::Turn;
use self::upload::{Stopped, Upload};
use super::body::Incoming;
use super::error::{Phase, SendError, words};
use super::fields::{Fields, Lines};
use super::origin::{Answer, Origin, STALE};
use super::outgoing::Outgoing;

/// How a message begins that says why the option cannot be.
pub(super) const NOT_SPOKEN: &str = "it does not speak HTTP/2, which `http2: true` asks for";

/// One request, as it can be sent more than once.
pub(super) struct Ask<'a> {
    pub(super) method: &'a Method,
    pub(super) path: &'a PathAndQuery,
    pub(super) lines: (&'a Lines, &'a Lines),
    pub(super) body: &'a Outgoing,
}

/// An exchange that came to no answer.
enum Failure {
    /// The connection took no further request: nothing of this one was sent.
    Unsent(h2::Error),
    /// The stream ended before an answer.
    Stream(h2::Error),
    /// The request's body could not be read.
    Body(std::io::Error),
    /// The deadline passed.
    Late,
}

impl Failure {
    /// Whether the upstream has not looked at the request: it said so (GOAWAY, REFUSED_STREAM), or never got it.
    fn is_untouched(&self) -> bool {
        match self {
            Failure::Unsent(_) => true,
            Failure::Stream(error) => {
                error.is_remote() && (error.is_go_away() || error.reason() == Some(Reason::REFUSED_STREAM))
            }
            Failure::Body(_) | Failure::Late => false,
        }
    }

    /// Whether the connection was lost.
    fn is_lost(&self) -> bool {
        matches!(self, Failure::Stream(error) if error.is_io())
    }
}

/// [`Origin::ask`] over HTTP/2. A request that the upstream has not looked at is sent once more, on another connection.
pub(super) async fn ask(origin: &Arc<Origin>, lane: &Arc<Lane>, ask: Ask<'_>) -> Result<Answer, SendError> {
    let patience = origin.timeouts().first_byte;
    let since = Instant::now();
    let (turn, was_used) = place(origin, lane, None).await?;
    let left = match exchange(origin, turn, &ask, Instant::now() + patience).await {
        Ok(answer) => return Ok(answer),
        Err((failure, turn)) => {
            let is_stale = was_used && failure.is_lost() && since.elapsed() < STALE;
            if !is_stale && !failure.is_untouched() {
                return Err(blame(origin, failure));
            }
            turn
        }
    };
    let (turn, _) = place(origin, lane, Some(&left)).await?;
    drop(left);
    exchange(origin, turn, &ask, Instant::now() + patience).await.map_err(|(failure, _)| blame(origin, failure))
}

/// A place on a connection that is not `left`'s, within the time that connecting may take.
async fn place(origin: &Arc<Origin>, lane: &Arc<Lane>, left: Option<&Turn>) -> Result<(Turn, bool), SendError> {
    let within = origin.timeouts().connect;
    timeout(within, lane.turn(origin, left)).await.unwrap_or_else(|_elapsed| {
        Err(SendError::Timeout { host: origin.name().clone(), phase: Phase::Connect, after: within })
    })
}

/// Sends a request and waits for the head of the answer until `deadline`. The turn comes back with a failure.
async fn exchange(
    origin: &Arc<Origin>,
    turn: Turn,
    ask: &Ask<'_>,
    deadline: Instant,
) -> Result<Answer, (Failure, Turn)> {
    let is_empty = matches!(ask.body, Outgoing::Whole(body) if body.is_empty());
    let sent = match turn.stream().await {
        Ok(mut stream) => stream.send_request(request(origin, ask), is_empty),
        Err(error) => Err(error),
    };
    let (mut answer, stream) = match sent {
        Ok(sent) => sent,
        Err(error) => return Err((Failure::Unsent(error), turn)),
    };
    let mut upload = (!is_empty).then(|| Upload::new(stream, ask.body));
    let head = std::future::poll_fn(|cx| {
        match upload.as_mut().map(|upload| upload.poll(cx)) {
            None | Some(Poll::Pending) => {}
            Some(Poll::Ready(Err(Stopped::Body(error)))) => return Poll::Ready(Err(Failure::Body(error))),
            // who does not want the rest says why in its answer, or by how the stream ends
            Some(Poll::Ready(Ok(()) | Err(Stopped::Stream))) => upload = None,
        }
        Pin::new(&mut answer).poll(cx).map_err(Failure::Stream)
    });
    match timeout_at(deadline, head).await.unwrap_or(Err(Failure::Late)) {
        Ok(head) => {
            turn.note();
            Ok(heard(origin, head, ask.method, upload, turn))
        }
        Err(failure) => Err((failure, turn)),
    }
}

fn heard(
    origin: &Arc<Origin>,
    head: Response<h2::RecvStream>,
    method: &Method,
    upload: Option<Upload>,
    turn: Turn,
) -> Answer {
    let (head, body) = head.into_parts();
    let fields = Fields::of_map(&head.headers);
    // what such an answer says of its body is about the one that another method would get
    let length = fields.length.filter(|_| *method != Method::HEAD);
    let body = Incoming::flowing(Flow::new(body, upload, length, turn), origin.clone());
    Answer { status: head.status, fields, body }
}

/// The head of a request. What HTTP/1.1 says about connections has no place in it.
fn request(origin: &Origin, ask: &Ask<'_>) -> Request<()> {
    let Ask { method, path, lines: (ready, more), body } = ask;
    let mut request = Request::new(());
    *request.method_mut() = (*method).clone();
    let mut authority = None;
    let headers = request.headers_mut();
    headers.reserve(16);
    for (name, value) in ready.each().chain(more.each()) {
        let (Ok(name), Ok(mut value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value)) else {
            continue;
        };
        if name == HOST {
            // most often it is the origin's own
            if value != origin.host {
                authority = Authority::try_from(value.as_bytes()).ok();
            }
        } else if !is_hop(&name) {
            value.set_sensitive(is_secret(&name));
            headers.append(name, value);
        }
    }
    match body.length() {
        Some(0) if matches!(**method, Method::GET | Method::HEAD | Method::DELETE | Method::OPTIONS) => {}
        Some(length) => drop(headers.insert(CONTENT_LENGTH, length.into())),
        None => {}
    }
    let mut parts = http::uri::Parts::default();
    parts.scheme = Some(origin.scheme.clone());
    parts.authority = Some(authority.unwrap_or_else(|| origin.authority.clone()));
    parts.path_and_query = Some((*path).clone());
    // with all three it is always one
    *request.uri_mut() = Uri::from_parts(parts).unwrap_or_default();
    request
}

/// Fields about a connection, which HTTP/2 forbids.
fn is_hop(name: &HeaderName) -> bool {
    [CONNECTION, TRANSFER_ENCODING, UPGRADE, TE, CONTENT_LENGTH].contains(name)
        || matches!(name.as_str(), "keep-alive" | "proxy-connection" | "http2-settings")
}

/// Fields that must not get into tables of compression: one connection carries the requests of many callers.
fn is_secret(name: &HeaderName) -> bool {
    let name = name.as_str();
    name == "authorization" || name == "cookie" || name.contains("key") || name.contains("token")
}

fn blame(origin: &Origin, failure: Failure) -> SendError {
    let host = origin.name().clone();
    match failure {
        Failure::Late => SendError::Timeout { host, phase: Phase::FirstByte, after: origin.timeouts().first_byte },
        Failure::Body(error) => SendError::Body { host, cause: words(&error) },
        Failure::Stream(error) if error.reason() == Some(Reason::HTTP_1_1_REQUIRED) => {
            SendError::Connect { host, cause: NOT_SPOKEN.into() }
        }
        Failure::Stream(error) if error.is_library() => SendError::Protocol { host, cause: words(&error) },
        Failure::Unsent(error) | Failure::Stream(error) => SendError::Closed { host, cause: words(&error) },
    }
}

/// What the connections of this kind carry.
type Sender = h2::client::SendRequest<Bytes>;
