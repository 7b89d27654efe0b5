//! A configuration and an environment, compiled into what serves them. `validate` runs this dry.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::call::redact::Redactor;
use crate::catalog::Catalog;
use crate::config::{self, Config, Env, Invalid, Mode, OnUnsupported, Text};
use crate::pipeline::Rules;
use crate::providers::auth::Fetcher;
use crate::providers::client::{Client, Timeouts};
use crate::providers::settings::Settings;
use crate::providers::spec::{Policy, Spec};
use crate::providers::{Provider, Setup, demo, table};
use crate::routing::retry::{Failover, Retry};
use crate::routing::{Strategy, Target};

/// The ids of all providers, the demo included.
pub fn provider_ids() -> Vec<&'static str> {
    table::PROVIDERS.iter().chain([&&demo::DEMO]).map(|spec| spec.id).collect()
}

/// The row of an id, the demo included.
pub fn spec(id: &str) -> Option<&'static Spec> {
    table::find(id).or_else(|| (id == demo::DEMO.id).then_some(&demo::DEMO))
}

/// The providers whose credentials are in the environment, in the order of the table.
pub fn present(env: &Env) -> Vec<&'static Spec> {
    let has = |spec: &&Spec| Settings::resolve(spec, &BTreeMap::new(), env).is_ok() && !spec.vars.is_empty();
    table::PROVIDERS.iter().copied().filter(has).collect()
}

/// The configuration of a gateway that has none: every provider whose credentials are in the environment, in turn;
/// without any, the demo.
pub fn derive(env: &Env) -> Config {
    let found = present(env);
    let ids: Vec<&str> =
        if found.is_empty() { vec![demo::DEMO.id] } else { found.iter().map(|spec| spec.id).collect() };
    Config {
        strategy: config::Strategy { mode: Mode::Fallback },
        targets: ids.into_iter().map(config::Target::of).collect(),
        ..Config::default()
    }
}

/// Compile a configuration. Fails with everything that is wrong with its targets.
pub fn compile(
    config: &Config,
    env: &Env,
    client: &Client,
    redactor: &Arc<Redactor>,
    fetcher: &Fetcher,
) -> Result<Rules, Invalid> {
    let mut problems = Vec::new();
    let mut targets = Vec::new();
    let catalog = Catalog::of(&config.catalog).unwrap_or_else(|invalid| {
        problems.extend(invalid.problems);
        Catalog::default()
    });
    let catalog = Arc::new(catalog);
    for (at, given) in config.targets.iter().enumerate() {
        match target(given, config, env, client, redactor, fetcher, &catalog) {
            Ok(_) if given.is_drained() => {}
            Ok(target) => targets.push(Arc::new(target)),
            Err(invalid) => problems.extend(invalid.under(&format!("targets[{at}]")).problems),
        }
    }
    if !problems.is_empty() {
        return Err(Invalid::from(problems));
    }
    let [batch_target, responses_target] =
        config.keepers().map(|(_, name)| targets.iter().find(|target| Some(&*target.name) == name).cloned());
    Ok(Rules {
        targets,
        batch_target,
        responses_target,
        catalog,
        strategy: match config.strategy.mode {
            Mode::Single => Strategy::Single,
            Mode::Fallback => Strategy::Fallback,
        },
        aliases: config.aliases.iter().map(|(name, model)| (name.as_str().into(), model.as_str().into())).collect(),
        request_timeout: config.request_timeout,
        keep_alive: Some(config.server.keep_alive).filter(|pause| !pause.is_zero()),
        max_request_bytes: usize::try_from(config.body_cap()).unwrap_or(usize::MAX),
        expose_headers: config.server.expose_headers,
    })
}

fn target(
    given: &config::Target,
    config: &Config,
    env: &Env,
    client: &Client,
    redactor: &Arc<Redactor>,
    fetcher: &Fetcher,
    catalog: &Arc<Catalog>,
) -> Result<Target, Invalid> {
    let id = given.provider();
    let spec = spec(id).ok_or_else(|| Invalid::at("provider", format!("there is no provider `{id}`")))?;
    let mut texts: BTreeMap<String, Text> = given.options.clone();
    for (setting, text) in [("base_url", &given.base_url), ("api_key", &given.api_key)] {
        if let Some(text) = text {
            texts.insert(setting.to_owned(), text.clone());
        }
    }
    let settings = Settings::resolve(spec, &texts, env)?;
    let name: Arc<str> = given.virtual_key.as_str().into();
    let listed = settings.models(spec);
    let limits = &given.timeouts;
    let setup = Setup {
        target: name.clone(),
        settings,
        headers: headers(given, env)?,
        timeouts: Timeouts {
            connect: limits.connect.unwrap_or(Timeouts::default().connect),
            first_byte: limits.first_byte.unwrap_or(spec.pace.first_byte()),
            idle: limits.idle.unwrap_or(spec.pace.idle()),
            total: Some(limits.total.unwrap_or(spec.pace.total())),
        },
        policy: match config.compatibility.on_unsupported_param {
            OnUnsupported::Warn => Policy::Warn,
            OnUnsupported::Drop => Policy::Drop,
            OnUnsupported::Reject => Policy::Reject,
        },
        redactor: redactor.clone(),
        fetcher: fetcher.clone(),
        catalog: catalog.clone(),
    };
    Ok(Target {
        name,
        provider: Provider::build(spec, setup, client)?,
        // what stands elsewhere than the provider's own API need not have the provider's models
        catalog: given.base_url.is_none().then(|| catalog.clone()),
        models: given.models.iter().chain(&listed).map(|model| model.as_str().into()).collect(),
        model_map: given
            .model_map
            .iter()
            .map(|(name, model)| (name.as_str().into(), model.as_str().into()))
            .collect::<HashMap<_, _>>(),
        retry: Retry {
            attempts: given.retry.tries(),
            on_status: given.retry.on_status_codes.clone(),
            backoff: std::time::Duration::from_millis(given.retry.initial_backoff_ms),
        },
        failover: Failover { on: config.failover_on.clone() },
        discovered: ArcSwapOption::empty(),
    })
}

fn headers(given: &config::Target, env: &Env) -> Result<HeaderMap, Invalid> {
    let mut headers = HeaderMap::new();
    for (name, text) in &given.headers {
        let path = format!("headers.{name}");
        let value = text.resolve(env).map_err(|invalid| invalid.under(&path))?;
        let name =
            HeaderName::try_from(name.as_str()).map_err(|_| Invalid::at(&path, "is not the name of a header"))?;
        let mut value = HeaderValue::from_str(value.expose())
            .map_err(|_| Invalid::at(&path, "has characters that a header can't carry"))?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(headers)
}

/// What keeps the secrets of an environment, and those of a configuration, out of errors and logs.
pub fn redactor(config: &Config, env: &Env) -> Redactor {
    let resolved = |text: &Text| text.resolve(env).ok();
    let named = config.targets.iter().flat_map(|target| target.headers.iter().chain(&target.options));
    let named = named.filter_map(|(name, text)| {
        // a scheme, as `Bearer`, is no secret
        Some((name.clone(), resolved(text)?.expose().rsplit(' ').next()?.to_owned()))
    });
    let keys = config.targets.iter().filter_map(|target| resolved(target.api_key.as_ref()?));
    let variables = env.iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
    keys.fold(Redactor::new(variables.chain(named)), |redactor, key| redactor.with_secret(key.expose()))
}
