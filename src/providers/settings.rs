//! What a row's variables come to for one target: from its configuration, or else from the environment.

use std::collections::{BTreeMap, BTreeSet};

use super::spec::Spec;
use crate::config::{Env, Invalid, Secret, Text};

/// The resolved settings of one target. No `Debug`: some of them are secrets.
#[derive(Clone, Default)]
pub struct Settings {
    values: BTreeMap<&'static str, Secret>,
    /// Those that the target gives itself.
    own: BTreeSet<&'static str>,
}

/// Settings that say to which host requests go.
const ADDRESSES: &[&str] = &["base_url", "control_url", "endpoint", "host"];

/// Settings from which an address is made: not needed if `base_url` is given.
const PARTS: &[&str] = &["endpoint", "host", "account_id"];

/// Settings that are credentials, or give access to one.
const CREDENTIALS: &[&str] = &[
    "api_key",
    "client_secret",
    "ad_token",
    "token_file",
    "identity_header",
    "managed_identity",
    "service_account_json",
    "credentials_file",
    "cloudsdk_config",
    "appdata",
    "home",
];

impl Settings {
    /// The settings of a target that asks nobody: those it gives itself, and none is needed. Fails on undefined `${VAR}`s
    /// and on unknown options.
    pub fn given(spec: &Spec, given: &BTreeMap<String, Text>, env: &Env) -> Result<Self, Invalid> {
        known(spec, given)?;
        let mut settings = Self::default();
        for var in spec.vars {
            let Some(text) = given.get(var.setting) else { continue };
            settings.values.insert(var.setting, text.resolve(env)?);
            settings.own.insert(var.setting);
        }
        Ok(settings)
    }

    /// Resolve the settings of a row: what the target says wins over the environment. A target with an address of its
    /// own does not get the vendor's credential from the environment, because it would be sent to another host.
    /// Fails on undefined `${VAR}`s, on unknown options, and on missing settings, naming the variable to set.
    pub fn resolve(spec: &Spec, given: &BTreeMap<String, Text>, env: &Env) -> Result<Self, Invalid> {
        known(spec, given)?;
        let (mut values, mut own) = (BTreeMap::new(), BTreeSet::new());
        let mut elsewhere = false;
        for (name, text) in given.iter().filter(|(name, _)| ADDRESSES.contains(&name.as_str())) {
            let of_env = spec.vars.iter().find(|var| var.setting == name.as_str()).and_then(|var| var.of(env));
            elsewhere |= of_env != Some(text.resolve(env)?.expose());
        }
        for var in spec.vars {
            if let Some(text) = given.get(var.setting) {
                let secret = text.resolve(env)?;
                if !secret.expose().is_empty() {
                    values.insert(var.setting, secret);
                    own.insert(var.setting);
                }
                continue;
            }
            if elsewhere && CREDENTIALS.contains(&var.setting) {
                if var.needed {
                    return Err(Invalid::at(
                        var.setting.to_owned(),
                        format!(
                            "missing; this target has a base_url of its own, so the key of `{}` is not sent there by \
                             itself: add `api_key: ${{{}}}`, or `api_key: \"\"` if it needs none",
                            spec.id, var.names[0]
                        ),
                    ));
                }
                continue;
            }
            let instead = given.contains_key("base_url") && PARTS.contains(&var.setting);
            if let Some(value) = var.of(env) {
                values.insert(var.setting, Secret::from(value));
            } else if var.needed && !instead {
                return Err(Invalid::at(
                    var.setting.to_owned(),
                    format!(
                        "missing; set {} in the environment or `{}` at the target",
                        var.names.join(" or "),
                        var.setting
                    ),
                ));
            }
        }
        let has = |setting: &&str| values.contains_key(*setting) || given.contains_key(*setting);
        if !spec.any_of.is_empty() && !spec.any_of.iter().any(has) {
            let names: Vec<_> = spec.vars.iter().filter(|var| spec.any_of.contains(&var.setting)).collect();
            let variables: Vec<_> = names.iter().filter_map(|var| var.names.first().copied()).collect();
            let settings: Vec<_> = names.iter().map(|var| format!("`{}`", var.setting)).collect();
            return Err(Invalid::at(
                spec.any_of[0].to_owned(),
                format!(
                    "missing; set {} in the environment, or one of {} at the target",
                    variables.join(" or "),
                    settings.join(", ")
                ),
            ));
        }
        let resolved = Self { values, own };
        if resolved.get("max_tokens").is_some() && resolved.usual_output().is_none_or(|tokens| tokens == 0) {
            return Err(Invalid::at(
                "options.max_tokens".to_owned(),
                "must be a number of tokens, at least 1".to_owned(),
            ));
        }
        Ok(resolved)
    }

    /// One setting.
    pub fn get(&self, setting: &str) -> Option<&str> {
        self.values.get(setting).map(Secret::expose)
    }

    /// Whether the target gives this setting itself.
    pub fn gives(&self, setting: &str) -> bool {
        self.own.contains(setting)
    }

    /// The setting `max_tokens`: what an answer may have where the request does not say, tokens.
    pub fn usual_output(&self) -> Option<u64> {
        self.get("max_tokens")?.parse().ok()
    }

    /// The same with another key.
    pub(super) fn with_key(&self, key: &Secret) -> Self {
        let mut settings = self.clone();
        settings.values.insert("api_key", key.clone());
        settings.own.insert("api_key");
        settings
    }

    /// Whether the target names AWS keys of its own, and no API key: one of the environment is not meant for it then.
    pub fn prefers_keys(&self) -> bool {
        let own = |name: &&str| self.gives(name);
        !own(&"api_key") && ["access_key_id", "profile", "assume_role_arn"].iter().any(own)
    }

    /// The models that [`Spec::lists`] names. What looks like a path is none.
    pub fn models(&self, spec: &Spec) -> Vec<String> {
        let lists = spec.lists.iter().filter_map(|setting| self.get(setting));
        let names = lists.flat_map(|list| list.split(',')).map(str::trim).filter(|name| !name.is_empty());
        names.filter(|name| !name.starts_with(['/', '~', '.']) && !name.contains('\\')).map(str::to_owned).collect()
    }

    /// Fill `{setting}` in; fails naming the first that is missing.
    pub fn fill(&self, template: &str) -> Result<String, Invalid> {
        let mut out = String::with_capacity(template.len());
        let mut rest = template;
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}').unwrap_or((after, ""));
            out.push_str(before);
            if name == "model" {
                out.push_str("{model}");
            } else {
                let value = self.get(name).ok_or_else(|| Invalid::at(name.to_owned(), "missing".to_owned()))?;
                out.push_str(value);
            }
            rest = after;
        }
        out.push_str(rest);
        Ok(out)
    }
}

/// Fails on the first option that the provider does not have.
fn known(spec: &Spec, given: &BTreeMap<String, Text>) -> Result<(), Invalid> {
    let strange = given.keys().find(|name| !spec.vars.iter().any(|var| var.setting == name.as_str()));
    let Some(name) = strange else { return Ok(()) };
    let known: Vec<_> = spec.vars.iter().map(|var| var.setting).collect();
    let message = format!("`{}` has no such option; it has {}", spec.id, known.join(", "));
    Err(Invalid::at(format!("options.{name}"), message))
}
