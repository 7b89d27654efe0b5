//! `Failure`: the only way to become a status and a body.

use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::{BufMut, Bytes, BytesMut};
use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, StatusCode};
use serde::Serialize;

use super::words;
use crate::call::{self, Fault, Lack, Op, Upstream};
use crate::wire::Malformed;

/// OpenAI's SDKs retry 408, 409, 429 and 5xx unless this header says otherwise.
const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");

/// Room for the headers of most responses, so that their map is allocated once.
pub(super) const HEADERS: usize = 16;

/// Whatever ends a request other than an answer. The text is what the caller reads.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// No credential was sent.
    #[error("no API key: send `Authorization: Bearer <key>` or `x-api-key: <key>`")]
    MissingKey,
    /// The credential is not one of ours.
    #[error("unknown API key")]
    UnknownKey,
    /// Without a master key only this machine is served; the reason says what gave the caller away and what to set.
    #[error("{0}")]
    Forbidden(&'static str),
    /// Too many requests, or failed logins, from one address.
    #[error("too many requests from this address")]
    RateLimited {
        /// When the next one is let in.
        retry_after: Duration,
    },
    /// The body is longer than allowed.
    #[error("the body is larger than {limit} bytes, the gateway's {word}")]
    BodyTooLarge {
        /// The most that is taken, in bytes.
        limit: u64,
        /// What the configuration calls this limit.
        word: &'static str,
    },
    /// The path exists, for other methods: the router adds `Allow`.
    #[error("this path does not take this method; the header `Allow` lists those it takes")]
    MethodNotAllowed,
    /// The path exists, and there is no WebSocket at it. Clients that could as well send a request look for this status.
    #[error("there is no WebSocket at this path: send the request with POST")]
    NoWebSocket,
    /// There is a WebSocket at the path, and nothing else.
    #[error(
        "there is only a WebSocket at this path: ask over HTTP/1.1, with `Connection: Upgrade` and `Upgrade: websocket`"
    )]
    OnlyWebSocket,
    /// A WebSocket is asked for without a key.
    #[error("a WebSocket is asked for with a `Sec-WebSocket-Key`: send one, new and random, of 16 bytes in base64")]
    WebSocketKey,
    /// A WebSocket is asked for in another version than there is.
    #[error("a WebSocket is asked for with `Sec-WebSocket-Version: 13`: there is no other version of it here")]
    WebSocketVersion,
    /// A method HTTP itself does not define.
    #[error("unknown HTTP method")]
    UnknownMethod,
    /// Nothing is served at the path.
    #[error("nothing is served at this path; the API lives under /v1, as /v1/chat/completions")]
    NotFound,
    /// Nobody knows what became of the call.
    #[error(
        "no call with this id is among those that are kept: the last 1,000 that have ended since the gateway started"
    )]
    NotKept,
    /// HTTP/1.1 asks for exactly one `Host`.
    #[error("the request must have exactly one `Host` header")]
    InvalidHost,
    /// The path climbs, or tries to.
    #[error("the path holds `.`, `..`, a backslash or a control character, plain or encoded")]
    InvalidPath,
    /// The body is not JSON by its content type.
    #[error("the body must be JSON: send `Content-Type: application/json`")]
    UnsupportedType,
    /// The operation takes a form.
    #[error("the body must be a form: send `Content-Type: multipart/form-data` with a boundary")]
    NotAForm,
    /// The upload can be stored nowhere; the reason names no path.
    #[error("the gateway cannot store the upload: {0}")]
    NotStored(std::io::ErrorKind),
    /// The body is compressed in a way that is not understood.
    #[error("unsupported Content-Encoding; these are understood: {accepted}")]
    UnsupportedEncoding {
        /// What is understood, as a value of `Accept-Encoding`.
        accepted: &'static str,
    },
    /// The body ended before its declared end, or cannot be decompressed.
    #[error("the request body broke off or cannot be decoded")]
    BodyBroken,
    /// The body did not arrive in time.
    #[error("the request body did not arrive in time")]
    BodyTimeout,
    /// The bodies in hand fill the memory set aside for them.
    #[error("the gateway is out of memory for request bodies: retry later")]
    Overloaded,
    /// A defect of the gateway.
    #[error("internal error; the gateway's log has it under this request id")]
    Panic,
    /// The call failed.
    #[error("{}", words::of(.0))]
    Call(#[from] call::Error),
}

impl From<Malformed> for Failure {
    fn from(malformed: Malformed) -> Self {
        Failure::Call(malformed.into())
    }
}

impl From<Upstream> for Failure {
    fn from(upstream: Upstream) -> Self {
        Failure::Call(upstream.into())
    }
}

impl Failure {
    /// A body of more than `max_request_bytes`.
    pub fn too_large(limit: u64) -> Self {
        Failure::BodyTooLarge { limit, word: "max_request_bytes" }
    }

    /// A file of more than `max_file_bytes`.
    pub fn file_too_large(limit: u64) -> Self {
        Failure::BodyTooLarge { limit, word: "max_file_bytes" }
    }
}

/// The code of the failure a response was made from, for the access log: an extension of that response.
#[derive(Clone, Copy, Debug)]
pub struct Code(pub &'static str);

impl Failure {
    /// The status.
    pub fn status(&self) -> StatusCode {
        self.row().0
    }

    /// The kind, as OpenAI's `error.type`.
    pub fn kind(&self) -> &'static str {
        self.row().1
    }

    /// The one name of this failure in responses, metrics, log lines and tests.
    pub fn code(&self) -> &'static str {
        self.row().2
    }

    /// The whole table.
    fn row(&self) -> (StatusCode, &'static str, &'static str) {
        const INVALID: &str = "invalid_request_error";
        const SERVER: &str = "server_error";
        const UPSTREAM: &str = "upstream_error";
        use StatusCode as S;
        match self {
            Failure::MissingKey => (S::UNAUTHORIZED, "authentication_error", "missing_api_key"),
            Failure::UnknownKey => (S::UNAUTHORIZED, "authentication_error", "invalid_api_key"),
            Failure::Forbidden(_) => (S::FORBIDDEN, "permission_error", "open_mode"),
            Failure::RateLimited { .. } => (S::TOO_MANY_REQUESTS, "rate_limit_error", "rate_limit_exceeded"),
            Failure::BodyTooLarge { .. } => (S::PAYLOAD_TOO_LARGE, INVALID, "request_too_large"),
            Failure::MethodNotAllowed => (S::METHOD_NOT_ALLOWED, INVALID, "method_not_supported"),
            Failure::NoWebSocket | Failure::WebSocketVersion => {
                (S::UPGRADE_REQUIRED, INVALID, "websocket_not_supported")
            }
            Failure::OnlyWebSocket => (S::UPGRADE_REQUIRED, INVALID, "websocket_required"),
            Failure::WebSocketKey => (S::BAD_REQUEST, INVALID, "invalid_request"),
            Failure::UnknownMethod => (S::NOT_IMPLEMENTED, INVALID, "method_not_supported"),
            Failure::NotFound | Failure::NotKept => (S::NOT_FOUND, "not_found_error", "resource_not_found"),
            Failure::InvalidPath => (S::BAD_REQUEST, INVALID, "invalid_proxy_path"),
            Failure::UnsupportedType | Failure::UnsupportedEncoding { .. } => {
                (S::UNSUPPORTED_MEDIA_TYPE, INVALID, "unsupported_media_type")
            }
            Failure::InvalidHost | Failure::BodyBroken | Failure::NotAForm => {
                (S::BAD_REQUEST, INVALID, "invalid_request")
            }
            Failure::BodyTimeout => (S::REQUEST_TIMEOUT, INVALID, "request_timeout"),
            Failure::Overloaded => (S::SERVICE_UNAVAILABLE, SERVER, "gateway_overloaded"),
            Failure::NotStored(_) => (S::SERVICE_UNAVAILABLE, SERVER, "upload_not_stored"),
            Failure::Panic => (S::INTERNAL_SERVER_ERROR, SERVER, "internal_error"),
            Failure::Call(error) => {
                let (status, kind) = match error {
                    call::Error::Malformed(_)
                    | call::Error::Invalid { .. }
                    | call::Error::Unsupported { .. }
                    | call::Error::UnsupportedContent { .. }
                    | call::Error::Beyond(_)
                    | call::Error::Media { .. } => (S::BAD_REQUEST, INVALID),
                    call::Error::NoTarget(_)
                    | call::Error::NotHere(_)
                    | call::Error::NoSurface { .. }
                    | call::Error::Lacking(Lack::Provider(_)) => (S::NOT_FOUND, INVALID),
                    call::Error::Lacking(Lack::Direction(_)) => (S::BAD_REQUEST, INVALID),
                    call::Error::Lacking(_) => (S::NOT_IMPLEMENTED, INVALID),
                    call::Error::NotStored(_) => (S::SERVICE_UNAVAILABLE, SERVER),
                    call::Error::Deadline { .. } => (S::GATEWAY_TIMEOUT, UPSTREAM),
                    call::Error::Unavailable(_) => (S::SERVICE_UNAVAILABLE, UPSTREAM),
                    call::Error::Saturated(_) => (S::TOO_MANY_REQUESTS, "rate_limit_error"),
                    call::Error::Draining => (S::SERVICE_UNAVAILABLE, SERVER),
                    call::Error::Upstream(upstream) => match upstream.fault {
                        Fault::BadRequest | Fault::Conflict | Fault::ContextLength | Fault::ContentPolicy => {
                            (S::BAD_REQUEST, INVALID)
                        }
                        Fault::Unprocessable => (S::UNPROCESSABLE_ENTITY, INVALID),
                        Fault::TooLarge => (S::PAYLOAD_TOO_LARGE, INVALID),
                        Fault::NotFound | Fault::Missing => (S::NOT_FOUND, INVALID),
                        Fault::Billing if upstream.status == Some(429) => (S::TOO_MANY_REQUESTS, "insufficient_quota"),
                        // SDKs make a 429 again, which would be in vain
                        Fault::RateLimited if upstream.is_too_large() => (S::PAYLOAD_TOO_LARGE, "rate_limit_error"),
                        Fault::RateLimited => (S::TOO_MANY_REQUESTS, "rate_limit_error"),
                        Fault::Overloaded => (S::SERVICE_UNAVAILABLE, UPSTREAM),
                        Fault::Timeout => (S::GATEWAY_TIMEOUT, UPSTREAM),
                        Fault::Auth | Fault::Billing | Fault::Server | Fault::Unreachable | Fault::Truncated => {
                            (S::BAD_GATEWAY, UPSTREAM)
                        }
                    },
                };
                (status, kind, error.code())
            }
        }
    }

    /// The error as one server-sent event of a stream that answers `op`; no `[DONE]` follows it. Where events have types,
    /// it has one, too.
    pub fn event(&self, op: Op) -> Bytes {
        let body = self.body();
        let mut event = BytesMut::with_capacity(body.len() + 64);
        if matches!(op, Op::Chat | Op::Complete) {
            event.put_slice(b"data: ");
            event.put_slice(&body);
        } else {
            let typed = Typed { kind: "error", code: self.code(), message: &self.to_string(), param: self.param() };
            let typed = serde_json::to_vec(&typed).expect("strings are always JSON");
            event.put_slice(b"event: error\ndata: ");
            event.put_slice(typed.strip_suffix(b"}").unwrap_or_default());
            event.put_slice(b",");
            event.put_slice(body.strip_prefix(b"{").unwrap_or_default());
        }
        event.put_slice(b"\n\n");
        event.freeze()
    }

    /// The error as JSON, on one line.
    pub fn body(&self) -> Bytes {
        let upstream = self.upstream();
        let body = Envelope {
            error: Inner {
                message: &self.to_string(),
                kind: self.kind(),
                param: self.param(),
                code: self.code(),
                provider: upstream.map(|upstream| upstream.provider),
                upstream_status: upstream.and_then(|upstream| upstream.status),
                upstream_request_id: upstream.and_then(|upstream| upstream.request_id.as_deref()),
            },
        };
        serde_json::to_vec(&body).expect("strings and numbers are always JSON").into()
    }

    fn upstream(&self) -> Option<&Upstream> {
        match self {
            Failure::Call(call::Error::Upstream(upstream)) => Some(upstream),
            _ => None,
        }
    }

    fn param(&self) -> Option<&str> {
        let param: Option<&str> = match self {
            Failure::Call(
                call::Error::Invalid { param, .. }
                | call::Error::Unsupported { param, .. }
                | call::Error::UnsupportedContent { param, .. }
                | call::Error::Media { param, .. },
            ) => Some(param),
            Failure::Call(call::Error::Beyond(beyond)) => Some(&beyond.param),
            Failure::Call(call::Error::NoTarget(_) | call::Error::NotHere(_) | call::Error::NoSurface { .. }) => {
                Some("model")
            }
            _ => self.upstream()?.param.as_deref(),
        };
        param.filter(|member| !member.is_empty())
    }

    /// When to come back: what the provider said, a guess where our own limits decided, else nothing.
    fn retry_after(&self) -> Option<Duration> {
        match self {
            Failure::RateLimited { retry_after } => Some(*retry_after),
            Failure::Call(call::Error::Unavailable(targets)) => Some(targets.first()),
            Failure::Overloaded | Failure::Call(call::Error::Draining | call::Error::Saturated(_)) => {
                Some(Duration::from_secs(1))
            }
            _ => {
                let upstream = self.upstream().filter(|upstream| !upstream.is_too_large())?;
                let guess = (upstream.fault == Fault::Overloaded).then_some(Duration::from_secs(1));
                upstream.retry_after.or(guess)
            }
        }
    }

    fn head(&self, headers: &mut HeaderMap) {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(wait) = self.retry_after() {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(wait.as_millis().div_ceil(1000).max(1) as u64));
        }
        match self {
            Failure::MissingKey | Failure::UnknownKey => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            Failure::NoWebSocket => {
                headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            Failure::OnlyWebSocket | Failure::WebSocketVersion => {
                headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
                headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
                headers.insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
            }
            Failure::UnsupportedEncoding { accepted } => {
                headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(accepted));
            }
            // Only the operator mends these.
            Failure::Call(call::Error::Upstream(upstream)) if words::is_operators(upstream.fault) => {
                headers.insert(SHOULD_RETRY, HeaderValue::from_static("false"));
            }
            _ => {}
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        if let Some(Upstream { provider, target, fault, status, message, .. }) = self.upstream()
            && words::is_operators(*fault)
        {
            tracing::warn!(provider, %target, code = fault.code(), status, reason = %message, "a credential does not serve");
        }
        let mut response = Response::new(Body::from(self.body()));
        *response.status_mut() = self.status();
        response.headers_mut().reserve(HEADERS);
        self.head(response.headers_mut());
        response.extensions_mut().insert(Code(self.code()));
        response
    }
}

#[derive(Serialize)]
struct Envelope<'a> {
    error: Inner<'a>,
}

/// What stands before the error in an event with a type, as the Responses API has it.
#[derive(Serialize)]
struct Typed<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    code: &'static str,
    message: &'a str,
    param: Option<&'a str>,
}

#[derive(Serialize)]
struct Inner<'a> {
    message: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    param: Option<&'a str>,
    code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    provider: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    upstream_status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    upstream_request_id: Option<&'a str>,
}

/// The body of a refusal that happens before there is a request: what arrived is not HTTP, or too much of it.
pub fn refusal(status: StatusCode) -> &'static str {
    macro_rules! body {
        ($message:literal) => {
            concat!(
                r#"{"error":{"message":""#,
                $message,
                r#"","type":"invalid_request_error","param":null,"code":"invalid_request"}}"#,
                "\n"
            )
        };
    }
    match status {
        StatusCode::URI_TOO_LONG => body!("the request's target is too long"),
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => body!("the request has too many headers, or too long ones"),
        _ => body!("this is not a well-formed HTTP request"),
    }
}
