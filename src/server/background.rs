//! Work that goes on behind the calls: connections that rest too long are closed, providers are asked what they serve.

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use crate::config::Env;
use crate::pipeline::Gateway;
use crate::providers::client::Client;
use crate::providers::discover;
use crate::routing::Target;

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
    /// Start it on the current runtime. It stops at the end.
    pub(super) fn start(self, gateway: &Gateway, end: CancellationToken) {
        if let Some(interval) = self.discovery {
            discover(gateway, &self.http, interval, &end);
        }
        tokio::spawn(sweep(self.client, end));
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

/// Ask every provider what it serves, now and again, until the end.
fn discover(gateway: &Gateway, http: &reqwest::Client, interval: Duration, end: &CancellationToken) {
    for target in &gateway.snapshot().rules.targets {
        let (target, http, end) = (target.clone(), http.clone(), end.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = keep_discovering(&target, &http, interval) => {}
                () = end.cancelled() => {}
            }
        });
    }
}

async fn keep_discovering(target: &Target, http: &reqwest::Client, interval: Duration) {
    let mut pause = FIRST_PAUSE;
    loop {
        match discover::models(&target.provider, http).await {
            Ok(None) => return,
            Ok(Some(models)) => {
                tracing::debug!(target = %target.name, models = models.len(), "model discovery completed");
                target.tell(models);
                pause = FIRST_PAUSE;
                tokio::time::sleep(interval).await;
            }
            Err(error) => {
                tracing::warn!(target = %target.name, %error, retry_in = ?pause, "the provider does not list its models");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(interval);
            }
        }
    }
}
