//! Who is calling: the master key, constant in time; which paths ask for it.

use std::fmt::Write;
use std::sync::Arc;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use secrecy::{ExposeSecret, SecretString};

use super::path::Scope;
use crate::http::error::Failure;
use crate::http::websocket;

const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// What callers have to show.
#[derive(Debug)]
pub(super) struct Auth {
    master: Option<MasterKey>,
    /// `/v1` is for everybody (`ALLOW_UNAUTHENTICATED_PROXY`).
    anyone: bool,
}

/// The key of the operator. Its content is nowhere but here.
#[derive(Debug)]
struct MasterKey {
    secret: SecretString,
    id: Arc<str>,
}

/// What the headers of a request present.
enum Presented<'a> {
    Nothing,
    Key(&'a [u8]),
}

impl Auth {
    pub(super) fn new(master: Option<String>, anyone: bool) -> Self {
        let master = master.map(|secret| MasterKey { id: id_of(&secret), secret: secret.into() });
        Self { master, anyone }
    }

    /// Whether a credential exists that could be asked for.
    pub(super) fn has_master_key(&self) -> bool {
        self.master.is_some()
    }

    /// Whether `/v1` is for everybody.
    pub(super) fn opens_data_plane(&self) -> bool {
        self.anyone
    }

    /// Whether the guards of open mode stand where a credential would be asked for.
    pub(super) fn is_open(&self, scope: Scope) -> bool {
        self.master.is_none() && !(self.anyone && scope == Scope::Data)
    }

    /// The id of the caller's key, or `None` where the path is for everybody. Fails with 401.
    pub(super) fn identify(&self, scope: Scope, headers: &HeaderMap) -> Result<Option<Arc<str>>, Failure> {
        let Some(master) = &self.master else { return Ok(None) };
        let known = match presented(headers) {
            Presented::Nothing => Err(Failure::MissingKey),
            // Stored keys (`fgw_`) and sessions (`fgws_`) are told apart by their prefix and looked up here.
            Presented::Key(key) => match master.is(key) {
                true => Ok(Some(master.id.clone())),
                false => Err(Failure::UnknownKey),
            },
        };
        match scope {
            Scope::Data if self.anyone => Ok(known.unwrap_or_default()),
            Scope::Data | Scope::Operator => known,
            Scope::Probe | Scope::Public => Ok(known.unwrap_or_default()),
        }
    }
}

impl MasterKey {
    /// Takes as long for a wrong key as for the right one; the length is no secret.
    fn is(&self, key: &[u8]) -> bool {
        verify_slices_are_equal(self.secret.expose_secret().as_bytes(), key).is_ok()
    }
}

/// `master-key:` and the first eight bytes of the key's SHA-256: names the key in logs, and changes with it.
fn id_of(secret: &str) -> Arc<str> {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, secret.as_bytes());
    let mut id = String::from("master-key:");
    for byte in &digest.as_ref()[..8] {
        write!(id, "{byte:02x}").expect("a string takes any text");
    }
    id.into()
}

/// `Authorization: Bearer`, the scheme in any case; else `x-api-key`; else what browsers send for a WebSocket.
fn presented(headers: &HeaderMap) -> Presented<'_> {
    // nearly every request has it, and few names are as long: cheaper than a look-up
    let is = |name: &HeaderName| name.as_str().len() == 13 && *name == header::AUTHORIZATION;
    let bearer = headers.iter().find(|(name, _)| is(name)).and_then(|(_, value)| bearer(value));
    let key = bearer.or_else(|| headers.get(X_API_KEY).map(|value| value.as_bytes().trim_ascii()));
    let key = key.or_else(|| websocket::key(headers));
    match key {
        None | Some(b"") => Presented::Nothing,
        Some(key) => Presented::Key(key),
    }
}

fn bearer(value: &HeaderValue) -> Option<&[u8]> {
    let (scheme, key) = value.as_bytes().split_at_checked("Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then(|| key.trim_ascii())
}
