//! What a row's variables come to for one target: from its configuration, or else from the environment.

use std::collections::BTreeMap;

use super::spec::Spec;
use crate::config::{Env, Invalid, Secret, Text};

/// The resolved settings of one target. No `Debug`: some of them are secrets.
#[derive(Default)]
pub struct Settings {
    values: BTreeMap<&'static str, Secret>,
}

impl Settings {
    /// Resolve the settings of a row: what the target says wins over the environment. A target with an address of its
    /// own does not get the vendor's credential from the environment, because it would be sent to another host.
    /// Fails on undefined `${VAR}`s, on unknown options, and on missing settings, naming the variable to set.
    pub fn resolve(spec: &Spec, given: &BTreeMap<String, Text>, env: &Env) -> Result<Self, Invalid> {
        let mut values = BTreeMap::new();
        for name in given.keys() {
            if !spec.vars.iter().any(|var| var.setting == name) {
                let known: Vec<_> = spec.vars.iter().map(|var| var.setting).collect();
                return Err(Invalid::at(
                    format!("options.{name}"),
                    format!("`{}` has no such option; it has {}", spec.id, known.join(", ")),
                ));
            }
        }
        let elsewhere = given.contains_key("base_url");
        for var in spec.vars {
            if let Some(text) = given.get(var.setting) {
                let secret = text.resolve(env)?;
                if !secret.expose().is_empty() {
                    values.insert(var.setting, secret);
                }
                continue;
            }
            let credential = matches!(var.setting, "api_key" | "client_secret" | "ad_token");
            if elsewhere && credential {
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
            if let Some(value) = var.names.iter().find_map(|name| env.get(name)) {
                values.insert(var.setting, Secret::from(value));
            } else if var.needed {
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
        Ok(Self { values })
    }

    /// One setting.
    pub fn get(&self, setting: &str) -> Option<&str> {
        self.values.get(setting).map(Secret::expose)
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
