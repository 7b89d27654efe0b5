//! What happens to a call: alias, plan, walk, and one outcome.

pub mod engine;
pub mod explain;
pub mod gateway;
mod hedged;
pub mod hold;
pub mod inherit;
pub mod meter;
pub mod metered;
pub mod recent;
mod tunnel;
pub mod walk;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tower::ServiceBuilder;

use self::engine::Engine;
pub use self::gateway::Gateway;
use self::meter::Meter;
use self::recent::Recent;
use crate::catalog::Catalog;
use crate::config::Config;
use crate::providers::media::Media;
use crate::routing::{Routing, Target};
use crate::telemetry::Metrics;

/// One configuration, compiled: what the engine goes by.
pub struct Rules {
    /// The configuration itself.
    pub config: Arc<Config>,
    /// The targets, in the order of the configuration.
    pub targets: Vec<Arc<Target>>,
    /// What is known of models.
    pub catalog: Arc<Catalog>,
    /// Who fetches media.
    pub media: Arc<Media>,
    /// Who is asked when.
    pub routing: Routing,
    /// Other names for models, each with the models that are asked for in its place, in order.
    pub aliases: HashMap<Arc<str>, Arc<[Arc<str>]>>,
    /// The pause between keep-alive comments in a silent stream; `None` for none.
    pub keep_alive: Option<Duration>,
    /// The target that keeps files and batches.
    pub batch_target: Option<Arc<Target>>,
    /// The target that keeps responses.
    pub responses_target: Option<Arc<Target>>,
    /// How long nothing may pass on a WebSocket; `None` for ever.
    pub tunnel_idle: Option<Duration>,
    /// The largest request body, bytes.
    pub max_request_bytes: usize,
    /// The largest body under `/v1/files`, bytes.
    pub max_file_bytes: u64,
    /// Whether answers carry headers that say which target, model and attempts they took.
    pub expose_headers: bool,
}

/// One configuration, with the stack that its calls go through.
pub struct Snapshot {
    /// What it says.
    pub rules: Arc<Rules>,
    /// The layers over a call, outermost first: what a request costs, then what it goes through.
    pub stack: Meter<Engine>,
}

impl Snapshot {
    /// Put the stack over the rules.
    pub fn new(rules: Rules, metrics: &Arc<Metrics>, hurry: &Hurry, recent: &Recent) -> Self {
        let rules = Arc::new(rules);
        for target in &rules.targets {
            target.provider.watch(metrics);
            // declared models have their series from the start, so that their failures are not counted as unknown
            for model in target.names() {
                let model = target.upstream_model(&model);
                metrics.series(target.provider.spec.id, &target.name, &model);
            }
        }
        let meter = Meter::layer(metrics.clone(), hurry.clone(), rules.clone(), recent.clone());
        let stack =
            ServiceBuilder::new().layer(meter).service(Engine { rules: rules.clone(), metrics: metrics.clone() });
        Self { rules, stack }
    }
}

/// Tells open streams that the process is about to end: one token a worker, because the waiters of one share a lock.
#[derive(Clone)]
pub struct Hurry(pub Arc<[tokio_util::sync::CancellationToken]>);

impl Hurry {
    /// The token of the worker we are on.
    pub fn here(&self) -> &tokio_util::sync::CancellationToken {
        &self.0[crate::telemetry::worker().min(self.0.len() - 1)]
    }
}
