//! Bodies that say they are too long are refused before they are read; the extractor counts those that do not say.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use http_body::Body;

use crate::config::Config;
use crate::http::error::Failure;

/// The most bytes that bodies may have.
#[derive(Clone, Copy, Debug, Default)]
pub struct Caps {
    /// Under `/v1/files`.
    pub file: u64,
    /// Everywhere else.
    pub body: u64,
}

impl Caps {
    /// As a configuration says.
    pub fn of(config: &Config) -> Self {
        Self { file: config.file_cap(), body: config.body_cap() }
    }
}

/// Those of the live configuration, which may become another.
pub(super) struct Live {
    file: AtomicU64,
    body: AtomicU64,
}

impl Live {
    pub(super) fn new(caps: Caps) -> Self {
        Self { file: caps.file.into(), body: caps.body.into() }
    }

    pub(super) fn set(&self, caps: Caps) {
        self.file.store(caps.file, Relaxed);
        self.body.store(caps.body, Relaxed);
    }

    /// Refuses a declared length that is beyond: the server has read it from the headers.
    pub(super) fn check(&self, path: &str, body: &impl Body) -> Result<(), Failure> {
        let length = body.size_hint().lower();
        if path == "/v1/files" {
            let cap = self.file.load(Relaxed);
            return if length > cap { Err(Failure::file_too_large(cap)) } else { Ok(()) };
        }
        let cap = self.body.load(Relaxed);
        if length > cap { Err(Failure::too_large(cap)) } else { Ok(()) }
    }
}
