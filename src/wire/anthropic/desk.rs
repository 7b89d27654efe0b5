//! What the parts of a translation share while a request is written.

use std::borrow::Cow;

use super::hosting::Hosting;
use super::models::Model;
pub(super) use crate::wire::native::invalid;
use crate::wire::native::{Back, Loss, Terms, hash};

/// The longest name of a tool.
const LONGEST_NAME: usize = 64;

/// The state of one translation.
pub(super) struct Desk<'a> {
    pub(super) terms: &'a Terms<'a>,
    pub(super) model: &'static Model,
    pub(super) hosting: Hosting,
    pub(super) losses: Vec<Loss>,
    pub(super) betas: Vec<Cow<'static, str>>,
    pub(super) back: Back,
}

impl<'a> Desk<'a> {
    pub(super) fn new(terms: &'a Terms<'a>, hosting: Hosting) -> Self {
        let model = Model::of(terms.model);
        Self { terms, model, hosting, losses: Vec::new(), betas: Vec::new(), back: Back::new(terms) }
    }

    /// Report a parameter that could not be carried over.
    pub(super) fn lose(&mut self, param: impl Into<String>, action: &'static str) {
        self.losses.push(Loss { param: param.into(), action });
    }

    /// Ask for a beta, if the host knows it.
    pub(super) fn beta(&mut self, beta: impl Into<Cow<'static, str>>) {
        let beta = beta.into();
        if self.hosting.knows(&beta) && !self.betas.contains(&beta) {
            self.betas.push(beta);
        }
    }

    /// The name under which the API gets to know a tool. The way back is kept where it is another one.
    pub(super) fn tool<'n>(&mut self, own: &'n str) -> Cow<'n, str> {
        if !own.is_empty() && own.len() <= LONGEST_NAME && own.bytes().all(plain) {
            return Cow::Borrowed(own);
        }
        let told = mangled(own, LONGEST_NAME);
        if !self.back.tools.iter().any(|(known, _)| *known == told) {
            self.back.tools.push((told.clone(), own.to_owned()));
        }
        Cow::Owned(told)
    }
}

/// The id under which the API gets to know a call: always the same for the same id, so that histories stay the same.
pub(super) fn call_id(id: &str) -> Cow<'_, str> {
    if !id.is_empty() && id.bytes().all(plain) { Cow::Borrowed(id) } else { Cow::Owned(mangled(id, usize::MAX)) }
}

fn plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

/// Only characters that are allowed, and six that tell what was replaced.
fn mangled(own: &str, longest: usize) -> String {
    let hash = hash(own);
    let kept = own.chars().map(|c| if c.is_ascii() && plain(c as u8) { c } else { '_' });
    let kept: String = kept.take(longest.saturating_sub(7)).collect();
    format!("{kept}_{:06x}", (hash ^ hash >> 32) & 0xff_ffff)
}
