//! A configuration and an environment, compiled into what serves them. `validate` runs this dry.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderName, HeaderValue};

use super::{process, ways};
use crate::call::redact::Redactor;
use crate::catalog::Catalog;
use crate::config::{self, Config, Env, Invalid, Mode, OnUnsupported, Secret, Text};
use crate::pipeline::{Rules, inherit};
use crate::providers::auth::Fetcher;
use crate::providers::client::{Client, Protocol, Timeouts};
use crate::providers::faults::Faults;
use crate::providers::media::Media;
use crate::providers::settings::Settings;
use crate::providers::spec::{Policy, Spec};
use crate::providers::tape::{self, Tape};
use crate::providers::{Provider, Setup, demo, table};
use crate::routing::Target;
use crate::routing::breaker::{self, Breaker};
use crate::routing::budget::Budget;
use crate::routing::retry::Retry;
use crate::routing::slots::{self, Slots};
use crate::routing::vitals::Vitals;

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
        strategy: config::Strategy::of(Mode::Fallback),
        targets: ids.into_iter().map(config::Target::of).collect(),
        ..Config::default()
    }
}

/// What is wrong with providers that were left out, by their ids.
pub type LeftOut = Vec<(&'static str, Invalid)>;

/// Compile a configuration, as [`compile`]. One that is no more than what [`derive()`] makes is not stopped by a provider
/// that can't be set up: nobody has asked for it by name, and it may be a leftover of the environment. It is left out,
/// unless nothing remains.
pub fn compile_usable(
    config: &Config,
    env: &Env,
    client: &Client,
    redactor: &Arc<Redactor>,
    fetcher: &Fetcher,
) -> Result<(Rules, LeftOut), Invalid> {
    let compile = |config: &Config| compile(config, env, client, redactor, fetcher);
    let invalid = match compile(config) {
        Ok(rules) => return Ok((rules, Vec::new())),
        Err(invalid) if *config != derive(env) => return Err(invalid),
        Err(invalid) => invalid,
    };
    let (mut usable, mut left_out) = (Config { targets: Vec::new(), ..config.clone() }, Vec::new());
    for target in &config.targets {
        match compile(&Config { targets: vec![target.clone()], ..config.clone() }) {
            Ok(_) => usable.targets.push(target.clone()),
            Err(wrong) => left_out.extend(spec(target.provider()).map(|spec| (spec.id, wrong))),
        }
    }
    if usable.targets.is_empty() { Err(invalid) } else { Ok((compile(&usable)?, left_out)) }
}

/// Compile a configuration. Fails with everything that is wrong with its targets.
pub fn compile(
    config: &Config,
    env: &Env,
    client: &Client,
    redactor: &Arc<Redactor>,
    fetcher: &Fetcher,
) -> Result<Rules, Invalid> {
    succeed(config, env, client, redactor, fetcher, None)
}

/// The same for a configuration that follows another: what its targets know and count goes on where it may.
pub fn succeed(
    config: &Config,
    env: &Env,
    client: &Client,
    redactor: &Arc<Redactor>,
    fetcher: &Fetcher,
    old: Option<&Rules>,
) -> Result<Rules, Invalid> {
    let mut problems = Vec::new();
    let mut targets = Vec::new();
    let catalog = Catalog::of(&config.catalog, config.catalog_file().as_deref()).unwrap_or_else(|invalid| {
        problems.extend(invalid.problems);
        Catalog::default()
    });
    let catalog = Arc::new(catalog);
    let told = old.map_or_else(Arc::default, |old| old.routing.told.clone());
    let media = media(config, env, fetcher, old).unwrap_or_else(|invalid| {
        problems.extend(invalid.problems);
        Arc::default()
    });
    let epoch = Instant::now();
    let around =
        Around { config, env, client, redactor, fetcher, catalog: &catalog, media: &media, told: &told, epoch };
    for (at, given) in config.targets.iter().enumerate() {
        match around.target(given) {
            Ok(_) if given.is_drained() => {}
            Ok(mut target) => {
                inherit::target(&mut target, given, old);
                targets.push(Arc::new(target));
            }
            Err(invalid) => problems.extend(invalid.under(&format!("targets[{at}]")).problems),
        }
    }
    if !problems.is_empty() {
        return Err(Invalid::from(problems));
    }
    let [batch_target, responses_target] =
        config.keepers().map(|(_, name)| targets.iter().find(|target| Some(&*target.name) == name).cloned());
    let chain = |models: &[String]| models.iter().map(|model| Arc::from(model.as_str())).collect();
    let mut routing = ways::routing(config, &targets, &catalog, told);
    inherit::routing(&mut routing, old);
    Ok(Rules {
        routing,
        config: Arc::new(config.clone()),
        targets,
        media,
        batch_target,
        responses_target,
        catalog,
        aliases: config.aliases.iter().map(|(name, models)| (name.as_str().into(), chain(models))).collect(),
        keep_alive: Some(config.server.keep_alive).filter(|pause| !pause.is_zero()),
        tunnel_idle: Some(config.server.tunnel_idle).filter(|idle| !idle.is_zero()),
        max_request_bytes: usize::try_from(config.body_cap()).unwrap_or(usize::MAX),
        max_file_bytes: config.file_cap(),
        expose_headers: config.server.expose_headers,
    })
}

/// What a target is made with.
struct Around<'a> {
    config: &'a Config,
    env: &'a Env,
    client: &'a Client,
    redactor: &'a Arc<Redactor>,
    fetcher: &'a Fetcher,
    catalog: &'a Arc<Catalog>,
    media: &'a Arc<Media>,
    told: &'a Arc<AtomicU64>,
    /// One for all: what is counted from it is counted together.
    epoch: Instant,
}

impl Around<'_> {
    fn target(&self, given: &config::Target) -> Result<Target, Invalid> {
        let Self { config, env, client, redactor, fetcher, catalog, media, told, epoch } = *self;
        let id = given.provider();
        let spec = spec(id).ok_or_else(|| Invalid::at("provider", format!("there is no provider `{id}`")))?;
        let pool = pool(given, env)?;
        let mut texts: BTreeMap<String, Text> = given.options.clone();
        let key = given.api_key.as_ref().and_then(|keys| keys.texts().first());
        for (setting, text) in [("base_url", given.base_url.as_ref()), ("api_key", key)] {
            if let Some(text) = text {
                texts.insert(setting.to_owned(), text.clone());
            }
        }
        let tape = tape(given, spec, env, &config.dir)?;
        let settings = match &tape {
            None => Settings::resolve(spec, &texts, env)?,
            Some(_) => {
                texts.remove("base_url");
                Settings::given(spec, &texts, env)?
            }
        };
        let recorded: Vec<String> = tape.iter().flat_map(|tape| tape.models().map(str::to_owned)).collect();
        let name: Arc<str> = given.virtual_key.as_str().into();
        let listed = settings.models(spec);
        let limits = &given.timeouts;
        let setup = Setup {
            target: name.clone(),
            settings,
            pool,
            headers: headers(given, env)?,
            timeouts: Timeouts {
                connect: limits.connect.unwrap_or(Timeouts::default().connect),
                first_byte: limits.first_byte.unwrap_or(spec.pace.first_byte()),
                idle: limits.idle.unwrap_or(spec.pace.idle()),
                total: Some(limits.total.unwrap_or(spec.pace.total())),
            },
            protocol: if given.http2 { Protocol::Http2 } else { Protocol::Http1 },
            policy: match config.compatibility.on_unsupported_param {
                OnUnsupported::Warn => Policy::Warn,
                OnUnsupported::Drop => Policy::Drop,
                OnUnsupported::Reject => Policy::Reject,
            },
            repairs: config.tools.repair_history,
            redactor: redactor.clone(),
            fetcher: fetcher.clone(),
            catalog: catalog.clone(),
            media: media.clone(),
            faults: Faults::of(&given.faults),
            tape,
        };
        let (wild, exact): (Vec<_>, Vec<_>) = given.models.iter().partition(|model| model.ends_with('*'));
        let (wild, exact) = (wild.into_iter(), exact.into_iter());
        Ok(Target {
            name,
            provider: Provider::build(spec, setup, client)?,
            // what stands elsewhere than the provider's own API need not have the provider's models
            catalog: given.base_url.is_none().then(|| catalog.clone()),
            tag: tag(&given.virtual_key),
            models: exact.chain(&listed).chain(&recorded).map(|model| model.as_str().into()).collect(),
            any: given.models.iter().any(|model| model == "*"),
            wildcards: wild.filter(|model| *model != "*").map(|model| model.trim_end_matches('*').into()).collect(),
            model_map: given
                .model_map
                .iter()
                .map(|(name, model)| (name.as_str().into(), model.as_str().into()))
                .collect::<HashMap<_, _>>(),
            retry: Retry {
                attempts: given.retry.tries(),
                on_status: given.retry.on_status_codes.clone(),
                backoff: Duration::from_millis(given.retry.initial_backoff_ms),
                longest: Duration::from_millis(given.retry.max_backoff_ms),
            },
            min_throughput: given.min_throughput.clone(),
            vitals: vitals(given, epoch),
            discovered: Arc::default(),
            told: told.clone(),
        })
    }
}

/// Who fetches media: the one that did before, where nothing about it has changed.
fn media(config: &Config, env: &Env, fetcher: &Fetcher, old: Option<&Rules>) -> Result<Arc<Media>, Invalid> {
    if let Some(same) = inherit::media(config, old) {
        return Ok(same);
    }
    let fetch = &config.media.fetch;
    if !fetch.enabled {
        return Ok(Arc::default());
    }
    let request = usize::try_from(config.body_cap()).unwrap_or(usize::MAX);
    let invalid =
        |error: &dyn std::error::Error| Invalid::at("media.fetch", format!("there is no client for it: {error}"));
    let http = process::builder(env).map_err(|error| invalid(&error))?;
    Ok(Arc::new(Media::of(fetch, request, http, fetcher.clone()).map_err(|error| invalid(&error))?))
}

fn vitals(given: &config::Target, epoch: Instant) -> Vitals {
    let or = |number: u32, usual: u32| if number == 0 { usual } else { number };
    let usual = config::CircuitBreaker::default();
    let breaker = given.circuit_breaker.as_ref().map(|block| {
        let rate = block.error_rate.as_ref();
        let rate = rate.map(|rate| breaker::Rate { percent: rate.percent, window: rate.window, minimum: rate.minimum });
        let terms = breaker::Terms {
            failures: or(block.failure_threshold, usual.failure_threshold),
            successes: or(block.success_threshold, usual.success_threshold),
            probes: or(block.max_half_threshold, usual.max_half_threshold),
            open_for: block.timeout,
            rate,
        };
        Breaker::new(terms, epoch)
    });
    let slots = given.concurrency.as_ref().map(|block| {
        let queue = if block.queue_size == 0 { config::Concurrency::default().queue_size } else { block.queue_size };
        Slots::new(slots::Terms { most: block.max_concurrency, queue, wait: block.queue_timeout })
    });
    let budget = Budget::new(given.retry.budget.percent, given.retry.budget.min_per_second, epoch);
    Vitals::new(breaker, slots, budget, epoch)
}

/// 16 bits of a name, the same in every process.
fn tag(name: &str) -> u16 {
    let hash = name.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    #[expect(clippy::cast_possible_truncation, reason = "the halves are folded into one")]
    let folded = (hash ^ (hash >> 16)) as u16;
    folded
}

/// The recordings that a target plays instead of asking anybody; `dir` is where folders that are not absolute begin.
fn tape(given: &config::Target, spec: &Spec, env: &Env, dir: &Path) -> Result<Option<Tape>, Invalid> {
    let Some(address) = &given.base_url else { return Ok(None) };
    let address = address.resolve(env).map_err(|invalid| invalid.under("base_url"))?;
    let Some(folder) = tape::folder(address.expose()) else { return Ok(None) };
    Tape::open(&dir.join(folder), &given.virtual_key, spec.id, given.replay_speed.unwrap_or(1.0)).map(Some)
}

/// The keys of a target that has several; none of one that has none or one. Fails, naming the entry, on one that is no
/// key or is there twice.
fn pool(given: &config::Target, env: &Env) -> Result<Vec<Secret>, Invalid> {
    let Some(keys @ config::Keys::Pool(_)) = &given.api_key else { return Ok(Vec::new()) };
    let mut pool: Vec<Secret> = Vec::new();
    for (path, text) in keys.places("api_key") {
        let key = text.resolve(env).map_err(|invalid| invalid.under(&path))?;
        if key.expose().trim().is_empty() {
            return Err(Invalid::at(path, "is empty: a list needs a key in each entry"));
        }
        if HeaderValue::from_str(key.expose()).is_err() {
            return Err(Invalid::at(path, "has characters that a header cannot carry; is it cut or quoted?"));
        }
        if let Some(first) = pool.iter().position(|known| known.expose() == key.expose()) {
            return Err(Invalid::at(path, format!("is the key of `api_key[{first}]` again")));
        }
        pool.push(key);
    }
    Ok(pool)
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
    let keys = config.targets.iter().flat_map(|target| target.api_key.iter().flat_map(config::Keys::texts));
    let keys = keys.filter_map(resolved);
    let variables = env.iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
    keys.fold(Redactor::new(variables.chain(named)), |redactor, key| redactor.with_secret(key.expose()))
}
