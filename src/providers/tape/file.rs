//! One exchange as a file.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::providers::auth::sigv4::hex;
use crate::providers::client::{Phase, SendError};
use crate::wire::extras::{base64, unbase64};

/// The version of the format.
pub const VERSION: u32 = 1;

/// An exchange with a provider.
#[derive(Debug, Deserialize, Serialize)]
pub struct Exchange {
    /// The version of the format: 1.
    pub cassette: u32,
    /// When the request was sent.
    #[serde(default)]
    pub recorded: String,
    /// The target's name.
    #[serde(default)]
    pub target: String,
    /// The id of its provider.
    pub provider: String,
    /// The root of the provider's API, which paths begin with.
    pub root: String,
    /// The operation, as `chat`.
    pub operation: String,
    /// The provider's name of the model; empty where none was named.
    #[serde(default)]
    pub model: String,
    /// Whether a stream was asked for.
    #[serde(default)]
    pub stream: bool,
    /// What was sent.
    pub request: Request,
    /// What came back; one of this and `failure` is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response: Option<Response>,
    /// Why nothing came back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
}

/// What was sent.
#[derive(Debug, Deserialize, Serialize)]
pub struct Request {
    /// The method.
    pub method: String,
    /// The path and query.
    pub path: String,
    /// The fields.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// The SHA-256 of the body as it was sent, in hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// The body. Forms with files are not kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Piece>,
}

/// What came back.
#[derive(Debug, Deserialize, Serialize)]
pub struct Response {
    /// When its head was there, in milliseconds since the request.
    #[serde(default)]
    pub ms: u64,
    /// The status.
    pub status: u16,
    /// The fields.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// The body, in the pieces it came in.
    #[serde(default)]
    pub chunks: Vec<Piece>,
    /// How it broke off, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
}

/// A piece of a body, in the most readable of three forms.
#[derive(Debug, Default, Deserialize, Serialize)]
pub struct Piece {
    /// When it was there, in milliseconds since the request.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub ms: u64,
    /// It is JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub json: Option<Box<RawValue>>,
    /// It is text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// It is neither.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base64: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
fn is_zero(ms: &u64) -> bool {
    *ms == 0
}

impl Piece {
    /// A text that came after so many milliseconds.
    pub fn text(ms: u64, text: String) -> Self {
        match serde_json::from_str::<&RawValue>(&text) {
            // white space around it would be lost
            Ok(json) if json.get().len() == text.len() => Self { ms, json: Some(json.to_owned()), ..Self::default() },
            _ => Self { ms, text: Some(text), ..Self::default() },
        }
    }

    /// Bytes that are no text.
    pub fn binary(ms: u64, bytes: &[u8]) -> Self {
        Self { ms, base64: Some(base64(bytes)), ..Self::default() }
    }

    /// The bytes; `None` if it has none, or none that can be read.
    pub fn bytes(&self) -> Option<Bytes> {
        match (&self.json, &self.text, &self.base64) {
            (Some(json), None, None) => Some(Bytes::copy_from_slice(json.get().as_bytes())),
            (None, Some(text), None) => Some(Bytes::copy_from_slice(text.as_bytes())),
            (None, None, Some(code)) => unbase64(code).map(Bytes::from),
            _ => None,
        }
    }
}

/// What broke on the way.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Failure {
    /// When, in milliseconds since the request.
    #[serde(default)]
    pub ms: u64,
    /// Where it broke.
    pub kind: Kind,
    /// The cause in words.
    #[serde(default)]
    pub cause: String,
}

/// Where an exchange broke.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// No connection could be made.
    Connect,
    /// It closed before the head of the answer.
    Closed,
    /// It took too long.
    Timeout,
    /// The answer is not HTTP.
    Protocol,
    /// The answer broke off.
    Broken,
}

impl Failure {
    /// What is kept of an error; `None` if it was none of the way.
    pub fn of(error: &SendError, ms: u64) -> Option<Self> {
        let (kind, cause) = match error {
            SendError::Resolve { cause, .. }
            | SendError::Connect { cause, .. }
            | SendError::Tls { cause, .. }
            | SendError::Proxy { cause, .. } => (Kind::Connect, &**cause),
            SendError::Closed { cause, .. } => (Kind::Closed, &**cause),
            SendError::Timeout { .. } => (Kind::Timeout, ""),
            SendError::Protocol { cause, .. } => (Kind::Protocol, &**cause),
            SendError::Broken { cause, .. } => (Kind::Broken, &**cause),
            SendError::Body { .. } => return None,
        };
        Some(Self { ms, kind, cause: cause.to_owned() })
    }

    /// The error again, of this host.
    pub fn error(&self, host: &Arc<str>, phase: Phase) -> SendError {
        let (host, cause) = (host.clone(), self.cause.as_str().into());
        match self.kind {
            Kind::Connect => SendError::Connect { host, cause },
            Kind::Closed => SendError::Closed { host, cause },
            Kind::Timeout => SendError::Timeout { host, phase, after: Duration::from_millis(self.ms) },
            Kind::Protocol => SendError::Protocol { host, cause },
            Kind::Broken => SendError::Broken { host, cause },
        }
    }
}

/// The SHA-256 of a body, in hexadecimal digits.
pub fn sha256(body: &[u8]) -> String {
    hex(digest(&SHA256, body).as_ref())
}
