//! The operations: a request becomes a call, its answer a response.

pub mod answer;
pub mod capabilities;
pub mod explain;
pub mod models;
pub mod pass;

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use tower::Service;

use super::edge::Caller;
use super::error::Failure;
use super::extract;
use super::upload::{self, Cap, Reading};
use super::websocket;
use crate::call::{Body, Call, Error, Op, X_PROVIDER};
use crate::pipeline::gateway::Reserved;
use crate::pipeline::{Gateway, Snapshot};
use crate::wire::Object;
use crate::wire::op::Shape;
use crate::wire::openai::request::{self, Asked, Wrong};

/// `POST /v1/chat/completions`
pub async fn chat(State(gateway): State<Arc<Gateway>>, mut request: Request) -> Response {
    chat_of(caller(&mut request), gateway, request).await
}

/// Who asks, as the edge has noted it.
fn caller(request: &mut Request) -> Caller {
    request.extensions_mut().remove().unwrap_or_default()
}

/// The same for a caller who is known.
pub async fn chat_of(caller: Caller, gateway: Arc<Gateway>, request: Request) -> Response {
    let snapshot = gateway.snapshot();
    let (parts, body) = request.into_parts();
    let limit = snapshot.rules.max_request_bytes;
    let (body, reserved) = match extract::body(&parts.headers, body, limit, &gateway.memory).await {
        Ok(read) => read,
        Err(failure) => return failure.into_response(),
    };
    let headers = asked_for(&snapshot, &parts.headers);
    // a call may take minutes: what it does not need is not kept for so long
    drop(parts);
    let call = match Object::parse(body).map_err(Error::from).and_then(|body| call(Op::Chat, body, &caller)) {
        Ok(call) => Call { headers, ..call },
        Err(error) => return Failure::from(error).into_response(),
    };
    // not [`answer`]: this future is moved, and would hold what it hands over twice
    let from = answer::From { since: call.since, standing: caller.standing };
    let answered = snapshot.stack.clone().call((call, caller.outcome)).await;
    drop(reserved);
    answer::respond(answered, &snapshot.rules, from, Op::Chat)
}

/// `GET /v1/responses`: a WebSocket at whom `X-Provider` names or the configuration has for responses, if there is one.
/// Clients that are told there is none (426) send requests instead.
pub async fn converse(State(gateway): State<Arc<Gateway>>, request: Request) -> Response {
    if !websocket::is_asked(&request) {
        let mut refused = Failure::MethodNotAllowed.into_response();
        refused.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
        return refused;
    }
    let rules = &gateway.snapshot().rules;
    let name = request.headers().get(X_PROVIDER).and_then(|name| name.to_str().ok()).filter(|name| !name.is_empty());
    let talks = match name {
        // whom nobody knows is told so by all operations alike
        Some(name) => {
            rules.targets.iter().find(|target| target.is_called(name)).is_none_or(|one| one.provider.spec.talks)
        }
        None => rules.responses_target.as_ref().is_some_and(|target| target.provider.spec.talks),
    };
    if !(talks && websocket::can_open(&request)) {
        return Failure::NoWebSocket.into_response();
    }
    serve(Op::Stored, gateway, request).await
}

/// Any other operation.
pub async fn serve(op: Op, gateway: Arc<Gateway>, mut request: Request) -> Response {
    let snapshot = gateway.snapshot();
    let caller = caller(&mut request);
    let converses = op == Op::Stored && request.uri().path() == "/v1/responses";
    let upgrades = (converses || matches!(op, Op::Realtime | Op::Pass)) && websocket::can_open(&request);
    if op == Op::Realtime && !upgrades && *request.method() == Method::GET && request.uri().path() == "/v1/realtime" {
        return Failure::OnlyWebSocket.into_response();
    }
    let op = if op == Op::Realtime && !upgrades { Op::Pass } else { op };
    let (parts, body) = request.into_parts();
    let limit = snapshot.rules.max_request_bytes;
    let read = match op.surface().shape {
        _ if upgrades => pass::socket(op, &parts, &caller, &gateway.memory),
        Shape::Kept | Shape::Below | Shape::Socket | Shape::Rest => {
            pass::read(op, &parts, body, &caller, &snapshot.rules, &gateway.memory).await
        }
        Shape::Form if !is_json(&parts.headers) => {
            let form = upload::read(
                &parts.headers,
                body,
                Cap(limit as u64, Failure::too_large),
                &gateway.memory,
                Reading::Form,
            )
            .await;
            form.and_then(|(upload, reserved)| Ok((form_call(op, upload, &caller)?, reserved)))
        }
        Shape::Form | Shape::Json => {
            let body = extract::body(&parts.headers, body, limit, &gateway.memory).await;
            body.and_then(|(body, reserved)| Ok((call(op, Object::parse(body)?, &caller)?, reserved)))
        }
    };
    let mut headers = asked_for(&snapshot, &parts.headers);
    // on chat it is not looked at: a route can be made to heed it there
    if let Some(name) = parts.headers.get(X_PROVIDER) {
        headers.push((X_PROVIDER, name.clone()));
    }
    drop(parts);
    match read {
        Ok((call, reserved)) => answer(snapshot, Call { headers, ..call }, caller, reserved).await,
        Err(failure) => failure.into_response(),
    }
}

/// The headers that rules ask for.
fn asked_for(snapshot: &Snapshot, headers: &HeaderMap) -> Vec<(HeaderName, HeaderValue)> {
    let wanted = &snapshot.rules.routing.headers;
    if wanted.is_empty() {
        return Vec::new();
    }
    let asked = headers.keys().filter(|name| wanted.has(name));
    asked.filter_map(|name| Some((name.clone(), headers.get(name)?.clone()))).collect()
}

async fn answer(snapshot: Arc<Snapshot>, call: Call, caller: Caller, reserved: Reserved) -> Response {
    let (from, op) = (answer::From { since: call.since, standing: caller.standing }, call.op);
    let answered = snapshot.stack.clone().call((call, caller.outcome)).await;
    drop(reserved);
    answer::respond(answered, &snapshot.rules, from, op)
}

fn call(op: Op, body: Object, caller: &Caller) -> Result<Call, Error> {
    let asked = match op {
        Op::Chat => request::chat(&body),
        other => request::of(other, &body),
    };
    let Asked { model, stream, wants_usage } = asked.map_err(invalid)?;
    let stream = stream && !matches!(op, Op::Embed | Op::Rerank | Op::Moderate);
    let call = Call::new(op, Body::None, Arc::from(model.as_ref()), caller.id.clone(), caller.since);
    Ok(Call { body: Body::Json(body), stream, wants_usage, key: caller.key.clone(), ..call })
}

fn form_call(op: Op, upload: crate::call::Upload, caller: &Caller) -> Result<Call, Error> {
    let form =
        upload.form.as_ref().ok_or_else(|| invalid(Wrong { param: "", message: "the form is empty".to_owned() }))?;
    let Asked { model, stream, .. } = request::form(form).map_err(invalid)?;
    let model = Arc::from(model.as_ref());
    let call = Call::new(op, Body::Upload(Arc::new(upload)), model, caller.id.clone(), caller.since);
    Ok(Call { stream, key: caller.key.clone(), ..call })
}

fn invalid(wrong: Wrong) -> Error {
    Error::Invalid { param: wrong.param.to_owned(), message: wrong.message }
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json")
}
