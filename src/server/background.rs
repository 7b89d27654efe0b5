//! Work that goes on behind the calls: connections that rest too long are closed, providers are asked what they serve.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;

use crate::config::{self, Env};
use crate::pipeline::Gateway;
use crate::providers::client::Client;
use crate::providers::discover::{self, Found};

/// How often connections to upstreams are looked through.
const SWEEP: Duration = Duration::from_secs(30);

/// How often a list of models is asked for again, unless `FERRO_MODEL_DISCOVERY_INTERVAL` says otherwise.
const DISCOVERY: Duration = Duration::from_secs(6 * 3600);

/// The shortest interval that may be set.
const SHORTEST: Duration = Duration::from_secs(60);

/// The pause after a first failed discovery; it doubles up to the interval.
const FIRST_PAUSE: Duration = Duration::from_secs(15);

/// What the work behind the calls needs.
pub(super) struct Behind {
    pub(super) client: Client,
    pub(super) http: reqwest::Client,
    pub(super) discovery: Option<Duration>,
}

impl Behind {
    /// Start it on the current runtime. It stops at the end. What is returned has to be told of every reload.
    pub(super) fn start(self, gateway: &Arc<Gateway>, end: CancellationToken) -> Discovery {
        tokio::spawn(sweep(self.client, end.clone()));
        let mut discovery = Discovery { http: self.http, interval: self.discovery, end, asking: HashMap::new() };
        discovery.follow(gateway);
        discovery
    }
}

/// Close connections that rest too long, until the end.
async fn sweep(client: Client, end: CancellationToken) {
    let mut tick = tokio::time::interval(SWEEP);
    loop {
        tokio::select! {
            _ = tick.tick() => client.sweep(Instant::now()),
            () = end.cancelled() => return,
        }
    }
}

/// The interval of discovery; `None` for never. A value that can't be meant is reported and not used.
pub(super) fn interval(env: &Env, warnings: &mut Vec<String>) -> Option<Duration> {
    let Some(text) = env.get("FERRO_MODEL_DISCOVERY_INTERVAL") else { return Some(DISCOVERY) };
    match crate::config::parse_duration(text) {
        Some(Duration::ZERO) => None,
        Some(interval) if interval >= SHORTEST => Some(interval),
        _ => {
            warnings.push(format!(
                "FERRO_MODEL_DISCOVERY_INTERVAL: `{text}` is not a duration of at least 1m, as 6h, nor 0 for never: using 6h"
            ));
            Some(DISCOVERY)
        }
    }
}

/// Who is being asked what it serves, now and again, until the end.
pub(super) struct Discovery {
    http: reqwest::Client,
    interval: Option<Duration>,
    end: CancellationToken,
    /// By the target's name: its block of the configuration, and the task.
    asking: HashMap<Arc<str>, (config::Target, AbortHandle)>,
}

impl Discovery {
    /// Ask the targets of the live configuration. Who is asked already and has not changed is not asked again for it.
    pub(super) fn follow(&mut self, gateway: &Arc<Gateway>) {
        let Some(interval) = self.interval else { return };
        let rules = gateway.snapshot().rules.clone();
        let mut before = std::mem::take(&mut self.asking);
        for given in &rules.config.targets {
            let Some(target) = rules.targets.iter().find(|target| *target.name == *given.virtual_key) else { continue };
            let asking = match before.remove(&target.name) {
                Some((was, task)) if was == *given => task,
                changed => {
                    changed.inspect(|(_, task)| task.abort());
                    let (gateway, name, http) = (gateway.clone(), target.name.clone(), self.http.clone());
                    let end = self.end.clone();
                    let asking = tokio::spawn(async move {
                        tokio::select! {
                            () = keep_discovering(&gateway, &name, &http, interval) => {}
                            () = end.cancelled() => {}
                        }
                    });
                    asking.abort_handle()
                }
            };
            self.asking.insert(target.name.clone(), (given.clone(), asking));
        }
        before.values().for_each(|(_, task)| task.abort());
    }
}

/// The pause that is due, and the next one twice as long, up to the interval.
fn longer(pause: &mut Duration, interval: Duration) -> Duration {
    let next = (*pause * 2).min(interval);
    std::mem::replace(pause, next)
}

/// No more models than this are kept of lists that could not be asked.
const MOST_KEPT: usize = 20_000;

/// Asks the target of this name, as it is each time, while there is one.
async fn keep_discovering(gateway: &Gateway, name: &str, http: &reqwest::Client, interval: Duration) {
    let mut pause = FIRST_PAUSE;
    loop {
        let target = gateway.snapshot().rules.targets.iter().find(|target| &*target.name == name).cloned();
        let Some(target) = target else { return };
        let asked = discover::models(&target.provider, http).await;
        let wait = match asked {
            Ok(None) => return,
            Ok(Some(Found { mut models, missing })) => {
                for (list, error) in &missing {
                    tracing::warn!(target = name, list, %error, "the provider does not list some of its models");
                }
                // what could not be asked this time may be there still, but not what may never be asked
                let passing = missing.iter().any(|(_, error)| error.passes());
                if let Some(before) = target.discovered.load().as_ref().filter(|_| passing) {
                    models.extend(before.iter().take(MOST_KEPT).cloned());
                }
                tracing::debug!(target = name, models = models.len(), "model discovery completed");
                target.tell(models);
                if passing {
                    longer(&mut pause, interval)
                } else {
                    pause = FIRST_PAUSE;
                    interval
                }
            }
            Err(error) => {
                tracing::warn!(target = name, %error, retry_in = ?pause, "the provider does not list its models");
                longer(&mut pause, interval)
            }
        };
        // a target that a reload has replaced is not held for hours
        drop(target);
        tokio::time::sleep(wait).await;
    }
}
