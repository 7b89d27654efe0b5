//! Which providers' credentials are in the environment: names of variables, never their values.

use crate::config::Env;
use crate::providers::spec::{Spec, Var};
use crate::providers::table::PROVIDERS;
use crate::server::build;

/// What the environment has of one provider's settings.
pub(super) struct Credentials {
    pub(super) provider: &'static str,
    /// Whether the provider can be called with them.
    pub(super) complete: bool,
    /// The variables that are set.
    pub(super) set: Vec<&'static str>,
    /// Those that the provider needs and that are not.
    pub(super) missing: Vec<&'static str>,
}

/// Every provider, in the order of the table.
pub(super) fn all(env: &Env) -> Vec<Credentials> {
    let present: Vec<&str> = build::present(env).iter().map(|spec| spec.id).collect();
    PROVIDERS.iter().map(|spec| credentials(spec, present.contains(&spec.id), env)).collect()
}

fn credentials(spec: &'static Spec, complete: bool, env: &Env) -> Credentials {
    // every machine has a home: it tells where to look for credentials, and is none
    let telling = spec.vars.iter().filter(|var| var.setting != "home");
    let set = telling.filter_map(|var| set_name(var, env)).collect();
    let mut missing = Vec::new();
    if !complete {
        let unset = |var: &&Var| set_name(var, env).is_none();
        missing.extend(spec.vars.iter().filter(|var| var.needed).filter(unset).filter_map(|var| var.names.first()));
        let any_of = || spec.vars.iter().filter(|var| spec.any_of.contains(&var.setting));
        if any_of().all(|var| unset(&var)) {
            missing.extend(any_of().find_map(|var| var.names.first()));
        }
    }
    Credentials { provider: spec.id, complete, set, missing }
}

/// The one of a setting's variables that is set.
fn set_name(var: &Var, env: &Env) -> Option<&'static str> {
    var.names.iter().copied().find(|name| env.get(name).is_some())
}

/// The variable that makes a provider callable: its key's, or the first that it needs, or whatever it has.
pub(super) fn variable(spec: &Spec, env: &Env) -> Option<&'static str> {
    let key = spec.vars.iter().filter(|var| var.setting == "api_key");
    let needed = spec.vars.iter().filter(|var| var.needed);
    key.chain(needed).chain(spec.vars).find_map(|var| set_name(var, env))
}

/// The variables that make providers callable, one for each.
pub(super) fn found(env: &Env) -> Vec<&'static str> {
    build::present(env).into_iter().filter_map(|spec| variable(spec, env)).collect()
}
