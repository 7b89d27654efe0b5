//! What a configuration must not say although its types allow it, and what it says in vain.

use std::collections::{HashMap, HashSet};

use super::faults;
use super::media;
use super::nearest;
use super::patience;
use super::problem::Problem;
use super::resilience::Concurrency;
use super::schema::Config;
use super::source::{item_path, member_path};
use super::strategies;
use super::target::Target;
use super::text::{self, Env, Text};

/// Problems and warnings, with paths and without lines.
#[derive(Default)]
pub(super) struct Findings {
    pub(super) problems: Vec<Problem>,
    pub(super) warnings: Vec<Problem>,
}

impl Findings {
    pub(super) fn refuse(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.problems.push(Problem::new(path, "invalid_value", message));
    }

    /// Refuses a name that is none of the known, with the one that is nearest.
    pub(super) fn suggest<'a>(
        &mut self,
        path: String,
        message: String,
        name: &str,
        known: impl IntoIterator<Item = &'a str>,
    ) {
        self.problems.push(Problem::new(path, "invalid_value", message).suggest(nearest::of(name, known)));
    }

    pub(super) fn warn(&mut self, path: impl Into<String>, code: &'static str, message: impl Into<String>) {
        self.warnings.push(Problem::new(path, code, message));
    }
}

/// Every rule that needs nothing but the configuration.
pub(super) fn check(config: &Config) -> Findings {
    let mut found = Findings::default();
    if !matches!(config.api_version.as_str(), "" | "v1") {
        found.warn("apiVersion", "unknown_version", "is not `v1`, the one version there is; the file is read as `v1`");
    }
    if config.request_timeout.is_some_and(|timeout| timeout.is_zero()) {
        found.refuse("request_timeout", "must be longer than 0");
    }
    names(config, &mut found);
    strategies::check(config, &mut found);
    patience::check(config, &mut found);
    for (index, target) in config.targets.iter().enumerate() {
        self::target(target, &item_path("targets", index), &mut found);
    }
    aliases(config, &mut found);
    named(config, &mut found);
    models(config, &mut found);
    media::check(&config.media, &mut found);
    found
}

/// Models as the owner of the configuration knows them.
fn models(config: &Config, found: &mut Findings) {
    let mut seen = HashSet::new();
    for (index, given) in config.catalog.overrides.iter().enumerate() {
        let path = item_path("catalog.overrides", index);
        let at = |name: &str| member_path(&path, name);
        if let Some(fault) = model_fault(&given.model) {
            found.refuse(at("model"), fault);
        }
        match (&given.provider, &given.target) {
            (None, None) => found.refuse(&path, "must name the `provider` whose model it is, or a `target`"),
            (Some(_), Some(_)) => {
                found.refuse(at("target"), "cannot stand beside `provider`: one of them says whose it is")
            }
            (None, Some(target)) if !config.targets.iter().any(|known| known.virtual_key == *target) => {
                found.refuse(at("target"), format!("there is no target `{target}`"));
            }
            _ => {}
        }
        if !seen.insert((&given.provider, &given.target, &given.model)) {
            found.refuse(path, format!("the model `{}` is there twice", given.model));
        }
    }
}

/// What is wrong with the name of a target, a group or a route.
pub(super) fn name_fault(name: &str) -> Option<&'static str> {
    if name.is_empty() {
        Some("must not be empty")
    } else if !name.bytes().all(|byte| byte.is_ascii_graphic()) || name.len() > 128 {
        Some("must be at most 128 characters, all of ASCII and none a space")
    } else {
        None
    }
}

fn names(config: &Config, found: &mut Findings) {
    let mut seen: HashMap<&str, usize> = HashMap::new();
    for (index, target) in config.targets.iter().enumerate() {
        let path = format!("targets[{index}].virtual_key");
        let name = target.virtual_key.as_str();
        if name.is_empty() {
            let help = match target.provider.as_deref().unwrap_or_default() {
                "" => "it is the name of the target, as `virtual_key: openai`".to_owned(),
                id => format!("write `virtual_key: {id}`, or any other name"),
            };
            found.problems.push(Problem::new(path, "invalid_value", "is missing").help(help));
        } else if let Some(fault) = name_fault(name) {
            found.refuse(path, fault);
        } else if let Some(first) = seen.insert(name, index) {
            let problem =
                Problem::new(path, "invalid_value", format!("targets[{first}] has the name `{name}` already"));
            found.problems.push(problem.help(format!("give it another name and `provider: {}`", target.provider())));
        }
    }
}

fn target(target: &Target, path: &str, found: &mut Findings) {
    let at = |name: &str| member_path(path, name);
    if target.provider.as_deref() == Some("") {
        found.refuse(at("provider"), "must not be empty");
    }
    if target.weight.is_some_and(|weight| !weight.is_finite() || weight < 0.0) {
        found.refuse(at("weight"), "must not be negative");
    }
    if let Some(fault) = target.base_url.as_ref().and_then(address_fault) {
        found.refuse(at("base_url"), fault);
    }
    if target.base_url.as_ref().is_some_and(has_user) {
        let words = "its user and password have no effect: they are not sent; write a header in `headers`";
        found.warn(at("base_url"), "no_effect", words);
    }
    found.problems.extend(target.api_key.iter().flat_map(|keys| keys.problems(&at("api_key"))));
    found.warnings.extend(target.api_key.iter().flat_map(|keys| keys.warnings(&at("api_key"))));
    let mut seen = HashSet::new();
    for (index, model) in target.models.iter().enumerate() {
        let path = item_path(&at("models"), index);
        let exact = model.strip_suffix('*').filter(|head| !head.is_empty()).unwrap_or(model);
        let fault = if model == "*" { None } else { model_fault(exact) };
        if model != "*" && exact.contains(['*', '?']) {
            found.refuse(path, "can have one `*`, at its end, and is an exact id otherwise");
        } else if let Some(fault) = fault.or((!seen.insert(model)).then_some("is listed twice")) {
            found.refuse(path, fault);
        }
    }
    for (name, model) in &target.model_map {
        if let Some(fault) = model_fault(name).or(model_fault(model)) {
            found.refuse(member_path(&at("model_map"), name), fault);
        }
    }
    for (name, value) in &target.headers {
        if let Some(fault) = header_fault(name, value) {
            found.refuse(member_path(&at("headers"), name), fault);
        }
    }
    let waits = &target.timeouts;
    let breaker = target.circuit_breaker.as_ref();
    let waits = [
        ("timeouts.connect", waits.connect),
        ("timeouts.first_byte", waits.first_byte),
        ("timeouts.idle", waits.idle),
        ("timeouts.total", waits.total),
        ("circuit_breaker.timeout", breaker.map(|given| given.timeout)),
        ("circuit_breaker.error_rate.window", breaker.and_then(|given| Some(given.error_rate.as_ref()?.window))),
    ];
    for (name, _) in waits.iter().filter(|(_, wait)| wait.is_some_and(|wait| wait.is_zero())) {
        found.refuse(format!("{path}.{name}"), "must be longer than 0");
    }
    if target.concurrency.as_ref().is_some_and(|given| given.max_concurrency == 0) {
        found.refuse(member_path(&at("concurrency"), "max_concurrency"), "must be from 1 to 10000");
    }
    if target.concurrency.as_ref().is_some_and(|given| given.queue_size == 0 && given.queue_timeout.is_none()) {
        let usual = Concurrency::default().queue_size;
        let path = member_path(&at("concurrency"), "queue_size");
        let warning = Problem::new(path, "default_value", format!("0 means the default, {usual}"));
        found.warnings.push(warning.help("so that nobody waits, write `queue_timeout: 0s`"));
    }
    if target.min_throughput.as_ref().is_some_and(|given| given.events_per_second <= 0.0 || given.over.is_zero()) {
        found.refuse(at("min_throughput"), "needs `events_per_second` and `over`, both more than 0");
    }
    if target.replay_speed.is_some_and(|speed| !(speed.is_finite() && speed >= 0.0)) {
        found.refuse(at("replay_speed"), "must not be negative");
    }
    let replays = |address: &Text| address.has_references() || address.as_written().starts_with("replay://");
    if target.replay_speed.is_some() && !target.base_url.as_ref().is_some_and(replays) {
        found.warn(at("replay_speed"), "no_effect", "has no effect: only a `base_url` as `replay://DIR` is played");
    }
    let plays = |address: &Text| address.as_written().starts_with("replay://");
    if target.http2 && target.base_url.as_ref().is_some_and(plays) {
        found.warn(at("http2"), "no_effect", "has no effect: what is played asks nobody");
    }
    faults::check(&target.faults, &at("faults"), found);
    let codes = target.retry.on_status_codes.as_deref().unwrap_or_default();
    if codes.iter().any(|code| !(100..600).contains(code)) {
        found.refuse(member_path(&at("retry"), "on_status_codes"), "must be from 100 to 599");
    }
    if !codes.is_empty() && target.retry.tries() == 1 {
        let path = member_path(&at("retry"), "on_status_codes");
        found.warn(path, "no_effect", "has no effect: `attempts` allows one attempt");
    }
}

fn has_user(address: &Text) -> bool {
    let host = address.as_written().split_once("://").and_then(|(_, rest)| rest.split('/').next());
    host.is_some_and(|host| host.contains('@'))
}

/// What is wrong with an address that needs no variables.
fn address_fault(address: &Text) -> Option<&'static str> {
    let written = address.as_written();
    if address.has_references() {
        return None;
    }
    if let Some(folder) = written.strip_prefix("replay://") {
        return folder.is_empty().then_some("must name the folder of the recordings, as `replay://recordings`");
    }
    if written.contains(['?', '#']) {
        return Some("must have no query and no fragment");
    }
    let whole = "must be a whole address, as `https://host/v1`";
    match written.parse::<::http::Uri>() {
        Ok(uri) if !matches!(uri.scheme_str(), Some("http" | "https")) => Some("must begin with https:// or http://"),
        Ok(uri) if uri.host().is_none_or(str::is_empty) => Some(whole),
        Ok(_) => None,
        Err(_) if written.contains("://") => Some(whole),
        Err(_) => Some("must begin with https:// or http://"),
    }
}

pub(super) fn model_fault(model: &str) -> Option<&'static str> {
    if model.is_empty() {
        Some("must not be empty")
    } else if model.trim() != model {
        Some("must not begin or end with a space")
    } else if model.contains(['*', '?']) {
        Some("must be the exact id of a model, without `*` and `?`")
    } else {
        None
    }
}

/// Headers that frame a message are the gateway's own.
fn header_fault(name: &str, value: &Text) -> Option<&'static str> {
    const FRAMING: [&str; 9] = [
        "connection",
        "content-length",
        "host",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ];
    if ::http::HeaderName::from_bytes(name.as_bytes()).is_err() {
        Some("is not a name a header can have")
    } else if FRAMING.contains(&name.to_ascii_lowercase().as_str()) {
        Some("is a header the gateway sets itself")
    } else if ::http::HeaderValue::from_str(value.as_written()).is_err() {
        Some("has a character that a header cannot hold")
    } else {
        None
    }
}

/// Targets that are named for what only one can keep.
fn named(config: &Config, found: &mut Findings) {
    for (member, name) in config.keepers() {
        let Some(name) = name else { continue };
        match config.targets.iter().find(|target| target.virtual_key == name) {
            Some(target) if target.is_drained() => {
                found.refuse(member, format!("names `{name}`, which its weight of 0 takes out of service"));
            }
            Some(_) => {}
            None if config.groups.iter().any(|group| group.name == name) => {
                let message = format!("`{name}` is a group, and what is kept is kept by one target: name that");
                found.refuse(member, message);
            }
            None => {
                let near = nearest::of(name, config.targets.iter().map(|target| target.virtual_key.as_str()));
                let problem = Problem::new(member, "invalid_value", format!("there is no target `{name}`"));
                found.problems.push(problem.suggest(near));
            }
        }
    }
}

fn aliases(config: &Config, found: &mut Findings) {
    for (alias, models) in &config.aliases {
        let path = member_path("aliases", alias);
        if alias.trim().is_empty() {
            found.refuse(path, "the name of an alias must not be empty");
            continue;
        }
        if models.is_empty() {
            found.refuse(&path, "must name a model");
        }
        for (at, model) in models.iter().enumerate() {
            let path = if models.len() == 1 { path.clone() } else { item_path(&path, at) };
            if model.trim().is_empty() {
                found.refuse(path, "must not be empty");
            } else if alias == model {
                found.refuse(path, "names itself");
            } else if config.aliases.contains_key(model) {
                found.refuse(path, format!("names `{model}`, which is an alias itself; an alias must name a model"));
            } else if models[..at].contains(model) {
                found.refuse(path, "is listed twice");
            }
        }
        if let Some(index) = config.targets.iter().position(|target| declares(target, alias)) {
            let (name, models) = (&config.targets[index].virtual_key, models.join("`, `"));
            let message = format!("hides the model `{alias}` of the target `{name}`: callers get `{models}`");
            found.warn(path, "shadowed_model", message);
        }
    }
}

fn declares(target: &Target, model: &str) -> bool {
    target.model_map.contains_key(model) || target.models.iter().any(|declared| declared == model)
}

/// Targets whose provider is not one of the known.
pub(super) fn providers(config: &Config, known: &[&str], problems: &mut Vec<Problem>) {
    for (index, target) in config.targets.iter().enumerate() {
        let id = target.provider();
        if id.is_empty() || known.contains(&id) {
            continue;
        }
        let member = if target.provider.is_some() { "provider" } else { "virtual_key" };
        let path = format!("targets[{index}].{member}");
        let near = nearest::of(id, known.iter().copied());
        let problem = Problem::new(path, "unknown_provider", format!("there is no provider `{id}`"));
        problems.push(match (near, member) {
            (Some(_), _) => problem.suggest(near),
            (None, "virtual_key") => problem.help("if this is the target's own name, add `provider`"),
            (None, _) => problem.help(format!("the providers are {}", known.join(", "))),
        });
    }
    for (index, given) in config.catalog.overrides.iter().enumerate() {
        let Some(id) = given.provider.as_deref().filter(|id| !known.contains(id)) else { continue };
        let path = format!("catalog.overrides[{index}].provider");
        let problem = Problem::new(path, "unknown_provider", format!("there is no provider `{id}`"));
        problems.push(problem.suggest(nearest::of(id, known.iter().copied())));
    }
}

/// References that name nothing.
pub(super) fn undefined(config: &Config, env: &Env) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (index, target) in config.targets.iter().enumerate() {
        let path = item_path("targets", index);
        let address = target.base_url.iter().map(|text| (member_path(&path, "base_url"), text));
        let at = member_path(&path, "api_key");
        let keys = target.api_key.iter().flat_map(|keys| keys.places(&at));
        let named = [("headers", &target.headers), ("options", &target.options)];
        let named = named.into_iter().flat_map(|(name, map)| {
            let path = member_path(&path, name);
            map.iter().map(move |(key, text)| (member_path(&path, key), text))
        });
        for (path, text) in address.chain(keys).chain(named) {
            let missing = text.missing(env);
            if !missing.is_empty() {
                problems.push(text::undefined(&path, &missing));
            }
        }
    }
    problems
}
