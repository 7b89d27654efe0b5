//! Which targets, in which order. A strategy only orders: it never calls, retries or waits.

pub mod affinity;
pub mod breaker;
pub mod budget;
pub mod conversation;
pub mod digest;
pub mod pace;
pub mod pick;
pub mod random;
pub mod retry;
pub mod slots;
pub mod target;

use std::sync::Arc;

pub use self::target::Target;
use crate::call::Op;

/// How targets are ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// The first target only.
    Single,
    /// All targets that serve the model, in the order of the configuration.
    Fallback,
}

/// The targets to ask, in order, each with its own name for the model; empty if none serves it.
pub type Plan = Vec<(Arc<Target>, Arc<str>)>;

impl Strategy {
    /// Order the targets for a model.
    pub fn plan(self, targets: &[Arc<Target>], op: Op, model: &Arc<str>) -> Plan {
        serving(self.reachable(targets), op, model)
    }

    /// The targets that can be chosen at all.
    pub fn reachable(self, targets: &[Arc<Target>]) -> &[Arc<Target>] {
        match self {
            Strategy::Single => &targets[..targets.len().min(1)],
            Strategy::Fallback => targets,
        }
    }
}

/// Who serves a model. A target that lists the name, or whose provider does, comes before everything else; then a name
/// written `provider/model`; then the names that are a vendor's by their beginning, or as the
/// catalog knows them; then those who take any name.
/// A vendor that owns no match is never asked: a prompt must not go to whoever comes first.
fn serving(targets: &[Arc<Target>], op: Op, model: &Arc<str>) -> Plan {
    let pick = |fits: &dyn Fn(&Target) -> bool, model: &Arc<str>| -> Plan {
        let able = targets.iter().filter(|target| target.provider.spec.serves(op) && fits(target));
        able.map(|target| (target.clone(), target.upstream_model(model))).collect()
    };
    let mut listed = pick(&|target| target.lists(model), model);
    if !listed.is_empty() {
        if !listed.iter().any(|(target, _)| target.declares(model)) {
            // nobody has said who serves it but the providers that have told their lists: the others may as well
            listed.extend(pick(&|target| !target.has_told() && target.provider.spec.owns(model), model));
        }
        return listed;
    }
    if let Some((head, rest)) = model.split_once('/') {
        let addressed = pick(&|target| target.is_called(head), &rest.into());
        if !addressed.is_empty() {
            return addressed;
        }
    }
    let owned = pick(&|target| target.provider.spec.owns(model), model);
    if !owned.is_empty() {
        return owned;
    }
    let catalogued = pick(&|target| target.may_serve(model), model);
    if !catalogued.is_empty() {
        return catalogued;
    }
    pick(&Target::takes_any, model)
}
