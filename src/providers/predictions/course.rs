//! How answers are come by at one target, with what that takes.

use http::Uri;

use super::Predictions;
use super::promised::Promises;
use crate::config::Invalid;
use crate::providers::client::{Client, Protocol, Timeouts};
use crate::providers::root;
use crate::providers::spec::{Exchange, Root, Spec};

/// How answers are come by.
pub enum Course {
    /// With one request.
    Once,
    /// By predictions.
    Predictions(Box<Predictions>),
    /// With one request, or by asking for what was promised.
    Promised(Box<Promises>),
    /// Images by tasks, which are asked for at this path; the rest with one request.
    Tasks(&'static str),
}

impl Course {
    /// That of a row whose target is at `base`. Fails if the row's address is none.
    pub fn of(spec: &Spec, base: &Uri, client: &Client, limits: (Timeouts, Protocol)) -> Result<Self, Invalid> {
        Ok(match spec.exchange {
            Exchange::Once => Course::Once,
            Exchange::Predictions => Course::Predictions(Box::new(Predictions::new(client))),
            Exchange::Tasks(path) => Course::Tasks(path),
            Exchange::Promised(address) => {
                let usual = matches!(spec.root, Root::At(root) if root.parse().is_ok_and(|root: Uri| root.host() == base.host()));
                let own = (!usual).then_some(base);
                let promises = Promises::new(address, own, client, limits).ok_or_else(|| root::invalid(address))?;
                Course::Promised(Box::new(promises))
            }
        })
    }
}
