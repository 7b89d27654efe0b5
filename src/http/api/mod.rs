//! The operations: a request becomes a call, its answer a response.

pub mod answer;
pub mod capabilities;
pub mod models;

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use tower::Service;

use super::edge::Caller;
use super::error::Failure;
use super::extract;
use crate::call::{Call, Error, Op};
use crate::pipeline::Gateway;
use crate::wire::openai::request::{self, Asked, Wrong};
use crate::wire::{Dialect, Object};

/// `POST /v1/chat/completions`
pub async fn chat(State(gateway): State<Arc<Gateway>>, mut request: Request) -> Response {
    chat_of(caller(&mut request), gateway, request).await
}

/// The same for a caller who is known.
pub fn chat_of(
    caller: Caller,
    gateway: Arc<Gateway>,
    request: Request,
) -> impl Future<Output = Response> + Send + use<> {
    serve(caller, gateway, request, Op::Chat, request::chat)
}

/// `POST /v1/completions`
pub async fn completions(State(gateway): State<Arc<Gateway>>, mut request: Request) -> Response {
    serve(caller(&mut request), gateway, request, Op::Complete, request::completion).await
}

/// `POST /v1/embeddings`
pub async fn embeddings(State(gateway): State<Arc<Gateway>>, mut request: Request) -> Response {
    serve(caller(&mut request), gateway, request, Op::Embed, request::embedding).await
}

type Read = for<'a> fn(&'a Object) -> Result<Asked<'a>, Wrong>;

/// Who asks, as the edge has noted it.
fn caller(request: &mut Request) -> Caller {
    request.extensions_mut().remove().unwrap_or_default()
}

async fn serve(caller: Caller, gateway: Arc<Gateway>, request: Request, op: Op, read: Read) -> Response {
    let snapshot = gateway.snapshot();
    let (parts, body) = request.into_parts();
    let limit = snapshot.rules.max_request_bytes;
    let (body, reserved) = match extract::body(&parts.headers, body, limit, &gateway.memory).await {
        Ok(read) => read,
        Err(failure) => return failure.into_response(),
    };
    // a call may take minutes: what it does not need is not kept for so long
    drop(parts);
    let call = match call(op, body, &caller, read) {
        Ok(call) => call,
        Err(error) => return Failure::from(error).into_response(),
    };
    let since = call.since;
    let answered = snapshot.stack.clone().call((call, caller.outcome)).await;
    drop(reserved);
    answer::respond(answered, &snapshot.rules, since, Dialect::OpenAi)
}

fn call(op: Op, body: bytes::Bytes, caller: &Caller, read: Read) -> Result<Call, Error> {
    let body = Object::parse(body)?;
    let asked =
        read(&body).map_err(|wrong| Error::Invalid { param: wrong.param.to_owned(), message: wrong.message })?;
    let (model, stream, wants_usage) = (Arc::from(asked.model.as_ref()), asked.stream, asked.wants_usage);
    let (id, since) = (caller.id.clone(), caller.since);
    Ok(Call { op, dialect: Dialect::OpenAi, body, model, stream: stream && op != Op::Embed, wants_usage, id, since })
}
