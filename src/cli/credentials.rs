//! Which providers' credentials are in the environment: names of variables, never their values.

use crate::config::Env;
use crate::providers::spec::Spec;
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
    let is_set = |name: &&&'static str| env.get(name).is_some();
    let set = spec.vars.iter().filter_map(|var| var.names.iter().find(is_set).copied()).collect();
    let missing = spec.vars.iter().filter(|var| var.needed && !var.names.iter().any(|name| env.get(name).is_some()));
    let missing = if complete { Vec::new() } else { missing.filter_map(|var| var.names.first().copied()).collect() };
    Credentials { provider: spec.id, complete, set, missing }
}

/// The variables that make providers callable: for each its first needed one, or whatever it has.
pub(super) fn found(env: &Env) -> Vec<&'static str> {
    let mut names = Vec::new();
    for spec in build::present(env) {
        let needed = spec.vars.iter().filter(|var| var.needed).chain(spec.vars);
        let name = needed.flat_map(|var| var.names).find(|name| env.get(name).is_some());
        names.extend(name.filter(|name| !names.contains(*name)).copied().into_iter().collect::<Vec<_>>());
    }
    names
}

/// The variable a vendor's key is read from.
pub(super) fn key_variable(spec: &Spec) -> Option<&'static str> {
    let key = spec.vars.iter().find(|var| var.setting == "api_key").or(spec.vars.iter().find(|var| var.needed));
    key?.names.first().copied()
}
