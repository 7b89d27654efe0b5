//! `/v1/route/explain`: what would become of a request, or what has become of one. Nothing is called.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, Request, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use serde::Deserialize;

use super::{asked_for, call, caller};
use crate::call::{Call, Error, Op};
use crate::http::edge::Caller;
use crate::http::error::Failure;
use crate::http::extract;
use crate::pipeline::explain::answer::Explanation;
use crate::pipeline::explain::{self, is_explained};
use crate::pipeline::{Gateway, Snapshot};
use crate::wire::Object;
use crate::wire::op::SURFACES;

/// The members of a question.
const MEMBERS: [&str; 5] = ["surface", "request", "headers", "at", "id"];

/// The query of a question about a call that is over.
#[derive(Deserialize)]
pub struct About {
    /// Its request id.
    id: String,
}

/// `GET /v1/route/explain?id=`
pub async fn recall(State(gateway): State<Arc<Gateway>>, about: Result<Query<About>, QueryRejection>) -> Response {
    let about = about.map_err(|_| invalid("id", "name the call: /v1/route/explain?id=<request id>"));
    match about.and_then(|Query(about)| recalled(&gateway, &about.id)) {
        Ok(explanation) => Json(explanation).into_response(),
        Err(failure) => failure.into_response(),
    }
}

/// `POST /v1/route/explain`
pub async fn explain(State(gateway): State<Arc<Gateway>>, mut request: Request) -> Response {
    let snapshot = gateway.snapshot();
    let caller = caller(&mut request);
    let (parts, body) = request.into_parts();
    let limit = snapshot.rules.max_request_bytes;
    let (body, reserved) = match extract::body(&parts.headers, body, limit, &gateway.memory).await {
        Ok(read) => read,
        Err(failure) => return failure.into_response(),
    };
    // every target's copy of a large body is made: not where other calls wait for it
    let answered = tokio::task::spawn_blocking(move || {
        let _reserved = reserved;
        let body = Object::parse(body)?;
        match body.get::<String>("id").ok().flatten().filter(|_| is_recall(&body)) {
            Some(id) => recalled(&gateway, &id),
            None => explained(&snapshot, body, &parts.headers, &caller),
        }
    });
    match answered.await {
        Ok(Ok(explanation)) => Json(explanation).into_response(),
        Ok(Err(failure)) => failure.into_response(),
        Err(_) => Failure::Panic.into_response(),
    }
}

/// Whether nothing but an id is there.
fn is_recall(body: &Object) -> bool {
    body.members().all(|(name, _)| name == "id")
}

fn recalled(gateway: &Gateway, id: &str) -> Result<Explanation, Failure> {
    let past = gateway.recent.find(id).ok_or(Failure::NotKept)?;
    let outcome = past.outcome.get().ok_or(Failure::NotKept)?;
    Ok(explain::recall(&gateway.snapshot().rules, &past, outcome, Instant::now(), Timestamp::now()))
}

fn explained(snapshot: &Snapshot, body: Object, own: &HeaderMap, caller: &Caller) -> Result<Explanation, Failure> {
    let (now, clock) = (Instant::now(), Timestamp::now());
    if body.has("request") || !(body.has("messages") || body.has("model")) {
        let (call, at) = wrapped(snapshot, &body, own, caller)?;
        return Ok(explain::explain(&snapshot.rules, call, now, at.unwrap_or(clock)));
    }
    let call = Call { headers: asked_for(snapshot, own), ..call(Op::Chat, body, caller)? };
    Ok(explain::explain(&snapshot.rules, call, now, clock))
}

/// A request with what it is for.
fn wrapped(
    snapshot: &Snapshot,
    body: &Object,
    own: &HeaderMap,
    caller: &Caller,
) -> Result<(Call, Option<Timestamp>), Failure> {
    if let Some((name, _)) = body.members().find(|(name, _)| !MEMBERS.contains(name)) {
        return Err(invalid(
            name,
            "is not known here: there are `surface`, `request`, `headers` and `at`, or `id` alone",
        ));
    }
    if body.has("id") {
        let message = "must be the only member, and a text: of a call that is over, its request is not asked about";
        return Err(invalid("id", message));
    }
    let text = |name: &'static str| {
        let text = body.get::<Option<Cow<'_, str>>>(name);
        text.map(Option::flatten).map_err(|_| invalid(name, "must be a text"))
    };
    let surface = text("surface")?.unwrap_or(Cow::Borrowed(Op::Chat.name()));
    let row = SURFACES.iter().find(|row| row.name == surface).filter(|row| is_explained(row.op));
    let row = row.ok_or_else(|| {
        let names: Vec<_> = SURFACES.iter().filter(|row| is_explained(row.op)).map(|row| row.name).collect();
        invalid("surface", &format!("must be one of {}", names.join(", ")))
    })?;
    let at = text("at")?.map(|at| at.parse::<Timestamp>());
    let at = at.transpose().map_err(|_| invalid("at", "must be a moment, as 2026-11-20T12:00:00Z"))?;
    let request =
        body.object("request").map_err(|_| invalid("request", "must be an object: the request as it is sent"))?;
    let request = request.ok_or_else(|| {
        invalid(
            "request",
            "is missing: the request as it is sent, with `surface`, `headers` and `at` beside it; or an `id`",
        )
    })?;
    let headers = match body.get::<Option<BTreeMap<Cow<'_, str>, Cow<'_, str>>>>("headers").map(Option::flatten) {
        Ok(None) => asked_for(snapshot, own),
        Ok(Some(given)) => given.iter().map(header).collect::<Result<_, _>>()?,
        Err(_) => return Err(invalid("headers", "must be an object whose values are texts")),
    };
    let call = call(row.op, request, caller).map_err(|error| match error {
        Error::Invalid { param, message } => Error::Invalid { param: format!("request.{param}"), message },
        other => other,
    })?;
    let call = Call { headers, ..call };
    if call.op != Op::Chat && call.named().is_some() {
        return Err(invalid("headers.x-provider", "names the one target that is asked: nothing is chosen"));
    }
    Ok((call, at))
}

fn header((name, value): (&Cow<'_, str>, &Cow<'_, str>)) -> Result<(HeaderName, HeaderValue), Failure> {
    let known = HeaderName::from_bytes(name.as_bytes()).ok().zip(HeaderValue::from_str(value).ok());
    known.ok_or_else(|| invalid(&format!("headers.{name}"), "is not a header that a request can have"))
}

fn invalid(param: &str, message: &str) -> Failure {
    let message = format!("`{param}`: {message}");
    Error::Invalid { param: param.to_owned(), message }.into()
}
