//! What the parts of one translation share: the model, what was lost, and the marks for caching.

use super::json::Members;
use super::models::{Caching, Model};
use crate::wire::native::{Back, Loss};

/// The most marks of one request.
const MOST_MARKS: usize = 4;

/// What the parts of one translation share.
pub(super) struct Scene {
    /// The model asked for.
    pub(super) model: Model,
    /// What could not be carried over.
    pub(super) losses: Vec<Loss>,
    /// What the way back needs.
    pub(super) back: Back,
    /// Whether tool calls and results become text: there are no tools that the history could refer to.
    pub(super) flat: bool,
    /// Marks still to be passed over, because there are more than are allowed: the last ones count.
    pub(super) surplus: usize,
    /// Names that documents have taken.
    pub(super) names: Vec<String>,
}

impl Scene {
    /// Something was lost.
    pub(super) fn lose(&mut self, param: impl Into<String>, action: &'static str) {
        self.losses.push(Loss { param: param.into(), action });
    }

    /// The cache point that a mark on this message, part or tool stands for.
    pub(super) fn mark(&mut self, holder: &Members<'_>) -> Option<&'static str> {
        let control = holder.raw("cache_control").or_else(|| holder.raw("prompt_cache_breakpoint"))?;
        self.point(control)
    }

    /// The cache point for this `cache_control`.
    pub(super) fn point(&mut self, control: &str) -> Option<&'static str> {
        if self.model.caching == Caching::Never {
            return None;
        }
        if self.surplus > 0 {
            self.surplus -= 1;
            return None;
        }
        let hour = self.model.hour && control.contains("\"1h\"");
        Some(if hour {
            r#"{"cachePoint":{"type":"default","ttl":"1h"}}"#
        } else {
            r#"{"cachePoint":{"type":"default"}}"#
        })
    }

    /// Pass over the first of so many marks.
    pub(super) fn marks(&mut self, found: usize) {
        self.surplus = found.saturating_sub(MOST_MARKS);
    }
}
