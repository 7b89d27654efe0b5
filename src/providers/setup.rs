//! What a target adds to a row.

use std::sync::Arc;

use http::header::HeaderMap;

use super::auth::Fetcher;
use super::client::{Protocol, Timeouts};
use super::faults::Faults;
use super::media::Media;
use super::settings::Settings;
use super::spec::Policy;
use super::tape::Tape;
use crate::call::redact::Redactor;
use crate::catalog::Catalog;
use crate::config::Secret;

/// What a target adds to a row.
pub struct Setup {
    /// The target's name.
    pub target: Arc<str>,
    /// The resolved settings.
    pub settings: Settings,
    /// The keys of a target that has several, the one among the settings first; else none.
    pub pool: Vec<Secret>,
    /// Headers of every request.
    pub headers: HeaderMap,
    /// Time limits; the row's where the target has none.
    pub timeouts: Timeouts,
    /// What its hosts speak.
    pub protocol: Protocol,
    /// What to do with parameters the provider does not take.
    pub policy: Policy,
    /// Whether histories of tool calls are made whole.
    pub repairs: bool,
    /// Keeps secrets out of what the provider says.
    pub redactor: Arc<Redactor>,
    /// What tokens are fetched with.
    pub fetcher: Fetcher,
    /// What is known of models.
    pub catalog: Arc<Catalog>,
    /// Who fetches media.
    pub media: Arc<Media>,
    /// What goes wrong on purpose.
    pub faults: Option<Faults>,
    /// What is played instead of asking anybody.
    pub tape: Option<Tape>,
}
