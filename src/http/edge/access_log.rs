//! One access line a request, whatever becomes of it: an `Entry` is dropped exactly once, and writes the line then.

use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use axum::body::Body;
use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{Method, Request, Response, StatusCode};
use http_body::{Body as _, Frame, SizeHint};

use super::{Caller, Standing};
use crate::call::OutcomeSlot;
use crate::http::error::Code;
use crate::http::tunnel::Switch;
use crate::telemetry::Line;

/// The status of requests whose caller left before there was a response (nginx's number for it).
const CLIENT_CLOSED_REQUEST: u16 = 499;

/// Where access lines go.
pub type Log = Arc<dyn Fn(&Line<'_>) + Send + Sync>;

/// A request under way.
pub(super) struct Entry {
    log: Log,
    /// Nothing is written: probes.
    pub(super) silent: bool,
    id: Arc<str>,
    since: Instant,
    method: Method,
    /// The target without scheme and host.
    target: Option<PathAndQuery>,
    pub(super) remote: IpAddr,
    pub(super) key: Option<Arc<str>>,
    status: u16,
    bytes: u64,
    error: Option<&'static str>,
    outcome: OutcomeSlot,
}

impl Entry {
    /// Begins when the head has arrived.
    pub(super) fn open<B>(log: Log, request: &Request<B>, id: Arc<str>, peer: IpAddr) -> Self {
        Self {
            log,
            silent: false,
            id,
            since: Instant::now(),
            method: request.method().clone(),
            target: request.uri().path_and_query().cloned(),
            remote: peer,
            key: None,
            status: CLIENT_CLOSED_REQUEST,
            bytes: 0,
            error: None,
            outcome: OutcomeSlot::default(),
        }
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// The same, as the handler gets to see it.
    pub(super) fn caller(&self, standing: Option<Standing>) -> Caller {
        Caller {
            id: self.id.clone(),
            since: self.since,
            key: self.key.clone(),
            remote: self.remote,
            outcome: self.outcome.clone(),
            standing,
        }
    }

    /// Ends with the response: at once if its body is there and its call, if any, is over; else with the body's end, or
    /// with that of the WebSocket it opens.
    pub(super) fn close(mut self, response: Response<Body>) -> Response<Body> {
        self.status = response.status().as_u16();
        self.error = response.extensions().get().map(|Code(code)| *code);
        if self.status == StatusCode::SWITCHING_PROTOCOLS
            && let Some(switch) = response.extensions().get::<Switch>().cloned()
        {
            switch.attend(Box::new(move |bytes| {
                self.bytes = bytes;
                drop(self);
            }));
            return response;
        }
        // Whoever still holds the slot is going to file an outcome.
        let is_over = self.outcome.get().is_some() || Arc::strong_count(&self.outcome.0) == 1;
        match response.body().size_hint().exact() {
            Some(bytes) if is_over => {
                self.bytes = bytes;
                response
            }
            _ => response.map(|body| Body::new(Counted { body, entry: self })),
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        if self.silent {
            return;
        }
        (self.log)(&Line {
            id: &self.id,
            method: self.method.as_str(),
            path: self.target.as_ref().map_or("", PathAndQuery::path),
            status: self.status,
            bytes: self.bytes,
            took: self.since.elapsed(),
            remote: self.remote,
            key: self.key.as_deref(),
            error: self.error,
            outcome: self.outcome.get(),
        });
    }
}

/// A body that ends its entry. The order of the fields is the order in which they are dropped: the body first, since
/// what it holds files the call's outcome when it is dropped.
struct Counted {
    body: Body,
    entry: Entry,
}

impl http_body::Body for Counted {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(data) = frame.data_ref()
        {
            self.entry.bytes += data.len() as u64;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
